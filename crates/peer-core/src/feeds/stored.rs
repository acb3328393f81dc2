//! Feeds that were stored: what is read again joins what has come meanwhile.

use std::sync::Arc;

use weft_crypto::{publication, statement};
use weft_wire::{Bundle, PeerId, Time, decode};

use super::{Accepted, BUNDLE, Feeds};
use crate::env::Env;
use crate::forks::conflict_with;
use crate::kept::Kept;
use crate::storage::{Read, StoreRow};

impl Feeds {
    /// Takes what was read. It has been verified before: the store's tags say so. What is here already stays as it is. Gives
    /// what was not known, if there are `live` subscriptions, which have not had it, and what had waited for it.
    pub(crate) fn on_loaded(
        &mut self,
        now: Time,
        rows: Vec<StoreRow>,
        live: bool,
        env: &Env,
    ) -> Vec<Accepted> {
        let mut late = Vec::new();
        for read in self.storage.read(now, rows) {
            match read {
                Read::Head { feed, last, id, used } if feed == env.me => {
                    // Numbers of one bundle follow each other.
                    if self.own.pending.is_empty() {
                        self.own.next = self.own.next.max(used.saturating_add(1));
                    }
                    // Our feed goes on behind its last publication that is stored; a run that has begun is one of its own.
                    if self.own.last == 0 {
                        (self.own.last, self.own.previous) = (last, id);
                    }
                }
                Read::Head { .. } => {}
                Read::Record { feed, record } => self.on_stored_record(now, feed, &record, env),
                Read::Bundle { kept, alone } => {
                    late.extend(self.on_stored_bundle(now, kept, (alone, live), env).filter(|_| live));
                }
                Read::Statement(bytes) => self.storage.statements.push(bytes),
                Read::Secret { feed, epoch, sealed } => self.storage.secrets.push((feed, epoch, sealed)),
                // What has forked is told again; a proof that is none, or beyond what is kept, is of no use.
                Read::Proof { feed, one, other } => {
                    if self.forks.on_proof(&self.discovery, &one, &other).is_err() {
                        self.storage.remove_proof(now, feed);
                    }
                    self.remove_proofs(now);
                }
            }
        }
        self.expire(now, env);
        late.retain(|kept| self.is_kept(kept));
        let mut ready: Vec<Accepted> = late.iter().filter_map(|kept| Accepted::of_kept(kept, true)).collect();
        for feed in self.others.values_mut() {
            feed.follow(&mut ready, &mut self.held_bytes);
        }
        ready
    }

    fn on_stored_record(&mut self, now: Time, feed: PeerId, bytes: &[u8], env: &Env) {
        let record = statement::peek_record(bytes).ok();
        let record = record.filter(|record| record.peer == feed && record.until > now.millis());
        self.storage.records.insert(feed, record.is_some());
        if let Some(record) = record.filter(|_| feed != env.me) {
            self.learn(now, &record, bytes, env);
        }
    }

    /// All that is stored has been read: records of which nothing is kept any more are of no use. While it is read, or
    /// could not be, another peer may have bundles there that are not known here.
    pub(crate) fn on_all_loaded(&mut self, now: Time, failed: bool) {
        for (feed, _) in std::mem::take(&mut self.storage.records) {
            if !failed && !self.places.contains_key(&feed) {
                self.storage.remove_record(now, feed);
            }
        }
    }

    /// Gives it if nobody can have had it: another one's, under numbers that were not known, or of another branch.
    fn on_stored_bundle(
        &mut self,
        now: Time,
        mut kept: Kept,
        (alone, live): (bool, bool),
        env: &Env,
    ) -> Option<Arc<Kept>> {
        kept.since = kept.since.min(now);
        if self.is_kept(&kept) {
            return None;
        }
        let branches = live && self.is_branch(&kept);
        let mut new = false;
        if kept.feed == env.me {
            kept.record.clone_from(&env.record);
            if alone {
                self.alone.insert(kept.first);
                self.alone_bytes += kept.bytes.len();
            }
        } else if let Some(feed) = self.others.get_mut(&kept.feed) {
            kept.record.clone_from(&feed.record);
            new = branches || !feed.seen.overlaps(kept.first, kept.last);
            feed.seen.insert(kept.first, kept.last);
            // What follows them does not wait for them.
            feed.passed_over.insert(kept.first, kept.last);
            // They are read in the order of their numbers, and what lies between was not awaited when they were stored.
            if feed.held.first_key_value().is_none_or(|(first, _)| *first > kept.last) {
                feed.delivered = feed.delivered.max(kept.last);
            }
            if self.storage.records.insert(kept.feed, true) != Some(true) {
                self.storage.put_record(now, kept.feed, &feed.record);
            }
        } else {
            // Its author's record has expired: nobody would take it from us. Where it was not found, it may yet come.
            let expired = self.storage.records.get(&kept.feed) == Some(&false);
            if expired || kept.since + env.config.keep_age <= now {
                self.storage.remove(now, &kept);
            } else {
                self.storage.records.remove(&kept.feed);
            }
            return None;
        }
        let kept = Arc::new(kept);
        self.place(Arc::clone(&kept));
        new.then_some(kept)
    }

    /// What is kept under its numbers is something else.
    fn is_branch(&self, kept: &Kept) -> bool {
        let Ok(bundle) = decode::<Bundle>(&kept.bytes, BUNDLE) else { return false };
        let ids = publication::ids(&bundle);
        let differs = |rival: &Arc<Kept>| conflict_with((&bundle, &ids), rival).is_some();
        self.rivals(&bundle, &kept.bytes).iter().any(|rival| rival.overlaps(&bundle) && differs(rival))
    }

    fn is_kept(&self, kept: &Kept) -> bool {
        let Some(places) = self.places.get(&kept.feed) else { return false };
        let begin = places.partition_point(|one| one.first < kept.first);
        places.iter().skip(begin).take_while(|one| one.first == kept.first).any(|one| one.id == kept.id)
    }
}
