//! What is stored, and what neighbours say of forks.

use weft_wire::link::{End, Link as Frame};
use weft_wire::{Bundle, DiscoveryKey, PeerId, Tag, Time, decode};

use super::Peer;
use crate::api::{CommandError, CommandId, Event, Output};
use crate::feeds::BUNDLE;
use crate::storage::{StoreDone, StoreWork};
use crate::swarm::Swarm;
use crate::told;
use crate::wants::Want;

/// Nobody else is known in a party that we have kept something of.
pub(super) fn is_alone(swarm: &Swarm) -> bool {
    swarm.roster.size() == 1 && swarm.feeds.keeps_something()
}

impl Peer {
    pub(super) fn on_store(&mut self, now: Time, done: StoreDone) {
        match done {
            StoreDone::Loaded { discovery, .. } | StoreDone::Written { discovery, .. }
                if discovery == told::STORED =>
            {
                self.homes.on_store(now, done, &mut self.env);
            }
            StoreDone::Loaded { discovery, rows, more } if discovery == self.sessions.place() => {
                self.on_sessions_loaded(now, rows, more);
            }
            StoreDone::Written { discovery, work, outcome } if discovery == self.sessions.place() => {
                let stored = self.sessions.stores();
                let held = self.sessions.on_written(work, outcome, &mut self.env);
                if stored && !self.sessions.stores() {
                    self.on_sessions_failed();
                }
                self.release(now, held);
            }
            StoreDone::Loaded { discovery, rows, more } => {
                let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
                let (rows, failed) = match rows {
                    Ok(rows) => (rows, None),
                    Err(reason) => (Vec::new(), Some(reason)),
                };
                let after = rows.last().filter(|_| more).map(|row| row.key.clone());
                let live = self.subscriptions.any_live(&discovery);
                let ready = swarm.feeds.on_loaded(now, rows, live, &self.env);
                if after.is_some() {
                    self.env.out.push_back(Output::Store(StoreWork::Load { discovery, after }));
                } else {
                    swarm.feeds.on_all_loaded(now, failed.is_some());
                    swarm.feeds.storage.on_loaded(failed, &mut self.env);
                    swarm.wants.release(now);
                    self.on_stored_statements(now, discovery);
                    self.on_stored_keys(now, discovery);
                }
                self.deliver(now, discovery, &ready);
                self.tell_forks(now, discovery, None);
            }
            StoreDone::Written { discovery, work, outcome } => {
                if let Some(command) = self.forgetting.remove(&work) {
                    return self.env.event(Event::Forgotten { command, outcome });
                }
                if self.leaving.remove(&work) {
                    if let Err(reason) = outcome {
                        let text = format!(
                            "the last that a party which was left kept could not be stored ({reason})"
                        );
                        self.env.warn("store-failed", text);
                    }
                } else if let Some(swarm) = self.swarms.get_mut(&discovery) {
                    swarm.feeds.storage.on_written(now, work, outcome, &mut self.env);
                }
            }
        }
    }

    pub(super) fn forget(
        &mut self,
        now: Time,
        command: CommandId,
        discovery: DiscoveryKey,
    ) -> Result<(), CommandError> {
        if self.swarms.contains_key(&discovery) {
            self.leave(now, discovery)?;
        }
        if self.env.config.store {
            let work = self.env.next_store_work();
            self.forgetting.insert(work, command);
            self.env.out.push_back(Output::Store(StoreWork::Forget { discovery, work }));
        } else {
            self.env.event(Event::Forgotten { command, outcome: Ok(()) });
        }
        Ok(())
    }

    /// Gives the store all that waits: nothing comes after this.
    pub(super) fn store_all(&mut self, now: Time, discovery: DiscoveryKey) {
        if let Some(swarm) = self.swarms.get_mut(&discovery) {
            swarm.feeds.storage.write(now, true, &mut self.env);
        }
    }

    /// Answers a neighbour once what was stored is here, too.
    pub(super) fn answer_when_loaded(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        want: Want,
    ) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        match swarm.feeds.storage.loading().filter(|until| *until > now) {
            Some(until) => swarm.wants.hold(peer, want, until),
            None => self.answer(now, peer, discovery, want),
        }
    }

    /// Some subscription's backlog is complete.
    pub(super) fn is_complete(&self, now: Time, discovery: &DiscoveryKey, swarm: &Swarm) -> bool {
        swarm.feeds.storage.loading().is_none_or(|until| until <= now)
            && self.subscriptions.complete(now, discovery, (is_alone(swarm), swarm.waits_for_keys()))
    }

    // ---- forks ----

    /// Tells the application and all neighbours of feeds that have turned out to have forked.
    pub(super) fn tell_forks(&mut self, now: Time, discovery: DiscoveryKey, from: Option<PeerId>) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let news = swarm.feeds.forks.take_news();
        if news.is_empty() {
            return;
        }
        for news in news {
            let (feed, seq) = (news.feed, news.seq);
            // What the bundles say of their author is the forker's word.
            let own = (feed == self.env.me).then_some(self.env.identity);
            let author = own.or_else(|| swarm.feeds.author(&feed));
            self.env.event(Event::Fork { discovery, author, feed, seq });
            for peer in self.links.neighbours(&discovery).filter(|peer| Some(*peer) != from) {
                swarm.feeds.forks.tell(peer, feed);
            }
        }
        self.send_forks(now, discovery);
    }

    /// Sends neighbours the proofs whose turn it is.
    pub(super) fn send_forks(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        for (peer, proof) in swarm.feeds.forks.due(now) {
            let frame = Frame::Fork { party: swarm.tag, one: &proof.one, other: &proof.other };
            // Behind what is on its way of that feed, from which its author is known.
            self.links.send_after_kept(peer, &frame, &mut self.env);
        }
    }

    /// Tells a new neighbour what is known of forks.
    pub(super) fn show_forks(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey) {
        if let Some(swarm) = self.swarms.get_mut(&discovery) {
            swarm.feeds.forks.tell_all(peer);
        }
        self.send_forks(now, discovery);
    }

    /// A neighbour says that a feed has forked.
    pub(super) fn on_fork(&mut self, now: Time, peer: PeerId, party: Tag, (one, other): (&[u8], &[u8])) {
        let Some((swarm, _)) = self.common_mut(&peer, party) else { return };
        let discovery = swarm.party.discovery();
        let known = |bundle: Bundle| swarm.feeds.forks.is_known(&bundle.feed);
        if decode(one, BUNDLE).is_ok_and(known) || !swarm.feeds.forks.may_look(now, peer) {
            return;
        }
        match swarm.feeds.on_proof(now, one, other) {
            Ok(false) => {}
            Ok(true) => {
                self.tell_forks(now, discovery, Some(peer));
                // Both are publications, too, as old as they say.
                for bytes in [one, other] {
                    let Ok(bundle) = decode::<Bundle>(bytes, BUNDLE) else { continue };
                    let time = bundle.entries.last().map_or(0, |entry| entry.time);
                    let author =
                        self.swarms.get(&discovery).and_then(|swarm| swarm.feeds.author(&bundle.feed));
                    // Who names somebody else as the author has forked, but published nothing.
                    if author == Some(bundle.author) {
                        let age_ms = now.millis().saturating_sub(time);
                        self.on_bundle(now, peer, (0, age_ms, None), None, bytes);
                    }
                }
            }
            Err(()) => self.strike(now, Some(peer), "a proof of a fork that is none"),
        }
    }

    /// A neighbour says what it has at the ends of feeds: where we have something else, we show it.
    pub(super) fn on_ends(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey, ends: &[End]) {
        let Some(swarm) = self.swarms.get_mut(&discovery).filter(|_| !ends.is_empty()) else { return };
        if !swarm.feeds.forks.may_look(now, peer) {
            return;
        }
        for kept in swarm.feeds.on_ends(ends) {
            let age_ms = u64::try_from(now.since(kept.since).as_millis()).unwrap_or(u64::MAX);
            self.links.send_kept(peer, (&kept, None), Some(age_ms), &mut self.env);
        }
    }
}
