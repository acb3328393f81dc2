//! Who keeps what: the ring of those that live, swarms that move from one to another, and who is told of what.
//!
//! A swarm is *kept* by those whom placement chooses for its discovery key. Besides them a home has its own entries, and a
//! signaler with members in a swarm has all of it: it watches (`watching.rs`). While things settle those keep a swarm, too,
//! who did before. Then they offer what they have to those who keep it now, give what is lacking, and delete once nothing is.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_wire::sibling::Sibling;
use weft_wire::{Bytes, DiscoveryKey, List, SignalerId, Time, limits};

use crate::frames;
use crate::io::ConnId;
use crate::links::Link;
use crate::ring::Placed;
use crate::signaler::Signaler;
use crate::table::{Kind, Logged, Told};
use crate::timers::Timer;

/// What is on its way from one ring to another.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// The ring changed, and not every swarm has been looked at since.
    walks: bool,
    /// The last one that was.
    seen: Option<DiscoveryKey>,
    /// Swarms that are to be deleted here: who has not confirmed yet that it has everything, and how often it was offered.
    leaving: BTreeMap<DiscoveryKey, BTreeMap<SignalerId, u8>>,
    /// The list of members that the ring was made from.
    members: u64,
    /// The last change of the table for which it is known who keeps the swarm.
    placed: u64,
}

/// Swarms looked at in one go after the ring changed: about a millisecond, with 64 signalers.
const WALK_AT_ONCE: usize = 128;
/// How often a swarm is offered to one sibling before it is left to expire: that sibling is full.
const OFFERS: u8 = 3;

impl Signaler {
    /// Somebody came, or is down: swarms move.
    pub(crate) fn on_ring(&mut self, now: Time) {
        if core::mem::replace(&mut self.moves.members, self.membership.version()) == self.membership.version()
        {
            return;
        }
        let others: Vec<SignalerId> = self.membership.active().map(|known| known.card.signaler).collect();
        let settle = Duration::from_millis(self.config.settle_ms);
        let came: Vec<SignalerId> = others.iter().filter(|id| !self.ring.lives(id)).copied().collect();
        if !self.ring.set(now, others.into_iter(), settle) {
            return;
        }
        // What they should have they are told from the beginning, once it is known what that is.
        for conn in came.iter().filter_map(|id| self.links.to(id)).collect::<Vec<_>>() {
            if let Some(link) = self.links.link_mut(conn) {
                (link.told, link.behind) = (0, true);
            }
        }
        self.walk(now);
        if let Some(at) = self.ring.settles() {
            self.timers.arm(at, Timer::Settle);
        }
    }

    pub(crate) fn on_settle(&mut self, now: Time) {
        if self.ring.settle(now) {
            self.walk(now);
        }
    }

    /// Looks at a portion of the swarms: who keeps them now?
    pub(crate) fn on_walk(&mut self, now: Time) {
        if !self.moves.walks {
            return;
        }
        for _ in 0..WALK_AT_ONCE {
            let Some(discovery) = self.table.next(self.moves.seen) else {
                self.moves.walks = false;
                for discovery in self.watches.all() {
                    self.reconsider(now, &discovery);
                }
                self.retell_connected(now);
                return self.arm_flush(now);
            };
            self.placed(now, &discovery);
            self.moves.seen = Some(discovery);
        }
        self.timers.arm(now, Timer::Walk);
    }

    /// Who keeps a swarm. If that is news, it is seen to.
    pub(crate) fn placed(&mut self, now: Time, discovery: &DiscoveryKey) -> Arc<Placed> {
        let old = self.table.placed(discovery).cloned();
        if let Some(old) = old.as_ref().filter(|old| old.version == self.ring.version()) {
            return old.clone();
        }
        let new = Arc::new(self.ring.place(&discovery.0));
        self.table.place(discovery, new.clone());
        if let Some(old) = old {
            self.on_placed_anew(now, discovery, &old, &new);
        }
        new
    }

    /// Whether a sibling gets everything that there is, and takes no part in placement: it is of the version before.
    pub(crate) fn is_unplaced(&self, conn: ConnId) -> bool {
        self.links.link(conn).is_some_and(|link| link.card.is_none())
    }

    /// It is to be found out who keeps the swarms that changed.
    pub(crate) fn place_changes(&mut self, now: Time) {
        if self.moves.placed == self.table.version() {
            return;
        }
        let changed: BTreeSet<DiscoveryKey> =
            self.table.changes(self.moves.placed).map(|logged| logged.key.discovery).collect();
        self.moves.placed = self.table.version();
        for discovery in changed {
            self.placed(now, &discovery);
        }
    }

    /// Whether a sibling must wait for what it should have: it is being found out.
    pub(crate) fn is_held_back(&self, link: &Link) -> bool {
        link.behind && self.moves.walks
    }

    /// Whether a sibling is told of a change.
    pub(crate) fn is_told(&self, conn: ConnId, link: &Link, logged: &Logged) -> bool {
        let (Some(id), Some(placed)) = (link.id(), self.table.placed(&logged.key.discovery)) else {
            return true;
        };
        if self.is_unplaced(conn) || self.watches.is_watched_by(&logged.key.discovery, conn) {
            return true;
        }
        let home = logged.key.home;
        if logged.version <= link.since {
            // From before its link, or before it lived. A home may have lost its own.
            return home == id || placed.keeps(&id);
        }
        placed.keeps(&id) && home != id && (home == self.us || logged.pass)
    }

    /// Whether everybody who keeps a swarm hears of its members here from us.
    pub(crate) fn reaches_all(&self, discovery: &DiscoveryKey) -> bool {
        let Some(placed) = self.table.placed(discovery) else { return false };
        let mut all = placed.now.iter().chain(&placed.before);
        all.all(|id| *id == self.us || self.links.to(id).is_some())
    }

    /// Sends records of a swarm, whoever else has them.
    pub(crate) fn tell_records(&mut self, conn: ConnId, records: impl IntoIterator<Item = Told>) -> usize {
        let (mut entries, mut gone) = (Vec::new(), Vec::new());
        for told in records {
            let list = if told.kind == Kind::Gone { &mut gone } else { &mut entries };
            list.push(Bytes(told.bytes.to_vec()));
        }
        let count = entries.len() + gone.len();
        let ring = Some(self.ring.name());
        self.send_entries(conn, entries, ring);
        self.send_gone(conn, gone, ring);
        count
    }

    /// A sibling says what it has of a swarm.
    pub(crate) fn on_offer(&mut self, now: Time, conn: ConnId, discovery: DiscoveryKey, names: &[u8]) {
        if !self.placed(now, &discovery).keeps(&self.us) && !self.wants(&discovery) {
            // No answer: nothing would be kept here.
            self.counters.misdirected += 1;
            return;
        }
        let ours: BTreeMap<u64, Told> =
            self.table.records(&discovery).map(|told| (told.name, told)).collect();
        let mut lacking = Vec::new();
        let mut withdrawn = Vec::new();
        for name in names.chunks_exact(8) {
            match ours.get(&u64::from_be_bytes(name.try_into().unwrap_or_default())) {
                None => lacking.extend_from_slice(name),
                Some(told) if told.kind != Kind::Present => withdrawn.push(told.clone()),
                Some(_) => {}
            }
        }
        let withdrawn = self.tell_records(conn, withdrawn);
        self.counters.repaired += withdrawn as u64;
        let size = lacking.len();
        let frame = Sibling::Wanted { discovery, names: Bytes(lacking) };
        self.send(conn, frames::carrying(&frame, size));
    }

    /// A sibling says what it lacks of a swarm that we offered.
    pub(crate) fn on_wanted(&mut self, conn: ConnId, discovery: DiscoveryKey, names: &[u8]) {
        let Some(id) = self.links.link(conn).and_then(Link::id) else { return };
        let leaves = self.moves.leaving.get(&discovery).is_some_and(|to| to.contains_key(&id));
        if names.is_empty() {
            if leaves {
                self.on_confirmed(&discovery, &id);
            }
            return;
        }
        let wanted: BTreeSet<u64> = names
            .chunks_exact(8)
            .map(|name| u64::from_be_bytes(name.try_into().unwrap_or_default()))
            .collect();
        let records = self.table.records(&discovery).filter(|told| wanted.contains(&told.name));
        let records: Vec<Told> = records.collect();
        let count = self.tell_records(conn, records) as u64;
        if leaves {
            self.counters.handed_over += count;
            self.offer_again(conn, &discovery, id);
        } else {
            self.counters.repaired += count;
        }
    }

    /// Says to a sibling what we have of a swarm.
    pub(crate) fn offer(&mut self, conn: ConnId, discovery: DiscoveryKey) {
        let present = self.table.records(&discovery).filter(|told| told.kind == Kind::Present);
        let names: Vec<u8> = present.flat_map(|told| told.name.to_be_bytes()).collect();
        let mut rest = &names[..];
        loop {
            let (first, others) = rest.split_at(rest.len().min(limits::NAMES * 8));
            let frame = Sibling::Offer { discovery, names: Bytes(first.to_vec()) };
            self.send(conn, frames::carrying(&frame, first.len()));
            rest = others;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// A link is lost: what was not confirmed over it stays here, until it expires.
    pub(crate) fn on_moves_lost(&mut self, id: &SignalerId) {
        self.moves.leaving.retain(|_, to| !to.contains_key(id));
    }

    pub(crate) fn is_leaving(&self, discovery: &DiscoveryKey) -> bool {
        self.moves.leaving.contains_key(discovery)
    }

    pub(crate) fn send_entries(
        &mut self,
        conn: ConnId,
        mut entries: Vec<Bytes<{ limits::ENTRY }>>,
        ring: Option<u64>,
    ) {
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(limits::ENTRIES));
            let size = entries.iter().map(|entry| entry.0.len() + 4).sum();
            let frame = Sibling::Entries { entries: List::first(entries), ring };
            self.send(conn, frames::carrying(&frame, size));
            entries = rest;
        }
    }

    pub(crate) fn send_gone(
        &mut self,
        conn: ConnId,
        mut gone: Vec<Bytes<{ limits::ENTRY }>>,
        ring: Option<u64>,
    ) {
        while !gone.is_empty() {
            let rest = gone.split_off(gone.len().min(limits::ENTRIES));
            let size = gone.iter().map(|gone| gone.0.len() + 4).sum();
            let frame = Sibling::Gone { gone: List::first(gone), ring };
            self.send(conn, frames::carrying(&frame, size));
            gone = rest;
        }
    }

    fn walk(&mut self, now: Time) {
        (self.moves.walks, self.moves.seen) = (true, None);
        self.timers.arm(now, Timer::Walk);
    }

    /// Others keep a swarm than before.
    fn on_placed_anew(&mut self, now: Time, discovery: &DiscoveryKey, old: &Placed, new: &Placed) {
        let us = self.us;
        for id in new.now.iter().filter(|id| !old.now.contains(id) && **id != us) {
            let Some(conn) = self.placed_link(id).filter(|conn| !self.is_behind(*conn)) else { continue };
            // Homes see to their own. For those that are dead the first does that kept it and lives.
            let first = old.now.iter().find(|id| self.ring.lives(id)) == Some(&self.us);
            let gives = |home: &SignalerId| *home == self.us || (first && !self.ring.lives(home));
            let records: Vec<Told> = self.table.records(discovery).filter(|told| gives(&told.home)).collect();
            self.tell_records(conn, records);
        }
        if !old.before.is_empty() && new.before.is_empty() && old.keeps(&self.us) {
            self.on_settled(discovery, old, new);
        }
        self.reconsider(now, discovery);
    }

    /// Everybody knows by now who keeps a swarm: whoever kept it before makes sure that those who keep it now have all of it.
    fn on_settled(&mut self, discovery: &DiscoveryKey, old: &Placed, new: &Placed) {
        let stays = new.now.contains(&self.us);
        let to: Vec<(SignalerId, ConnId)> = new
            .now
            .iter()
            .filter(|id| **id != self.us && !(stays && old.before.contains(id)))
            .filter_map(|id| Some((*id, self.placed_link(id)?)))
            .collect();
        if self.table.sum(discovery) == 0 {
            return;
        }
        if !stays && !to.is_empty() {
            self.moves.leaving.insert(*discovery, to.iter().map(|(id, _)| (*id, 1)).collect());
        }
        for (_, conn) in to {
            self.offer(conn, *discovery);
        }
    }

    fn offer_again(&mut self, conn: ConnId, discovery: &DiscoveryKey, id: SignalerId) {
        let Some(to) = self.moves.leaving.get_mut(discovery) else { return };
        let Some(offers) = to.get_mut(&id) else { return };
        *offers += 1;
        if *offers > OFFERS {
            self.moves.leaving.remove(discovery);
        } else {
            self.offer(conn, *discovery);
        }
    }

    fn on_confirmed(&mut self, discovery: &DiscoveryKey, id: &SignalerId) {
        let Some(to) = self.moves.leaving.get_mut(discovery) else { return };
        to.remove(id);
        if !to.is_empty() {
            return;
        }
        self.moves.leaving.remove(discovery);
        let keeps = self.table.placed(discovery).is_some_and(|placed| placed.keeps(&self.us));
        if !keeps && !self.wants(discovery) {
            self.table.forget_foreign(discovery);
        }
    }

    /// The link to a sibling that takes part in placement.
    pub(crate) fn placed_link(&self, id: &SignalerId) -> Option<ConnId> {
        self.links.to(id).filter(|conn| !self.is_unplaced(*conn))
    }

    fn is_behind(&self, conn: ConnId) -> bool {
        self.links.link(conn).is_some_and(|link| link.behind)
    }
}
