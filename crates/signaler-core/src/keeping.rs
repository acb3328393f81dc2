//! Who keeps what: the ring of those that live, swarms that move from one to another, and who is told of what.
//!
//! A swarm is *kept* by those whom placement chooses for its discovery key. Besides them a home has its own entries, and a
//! signaler with members in a swarm has all of it: it watches (`watching.rs`). While things settle those keep a swarm, too,
//! who did before. Then they offer what they have to those who keep it now, give what is lacking, and delete once nothing is.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use weft_wire::sibling::{Refresh, Sibling};
use weft_wire::{Bytes, DiscoveryKey, List, SignalerId, Time, limits};

use crate::frames;
use crate::io::ConnId;
use crate::links::{Link, Summary};
use crate::ring::{Placed, QUIET};
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
    /// Things have settled: once all swarms have been looked at, all siblings hear what they should have.
    compares: bool,
    /// Swarms that are to be deleted here: who has not confirmed yet that it has everything, and how often it was offered.
    leaving: BTreeMap<DiscoveryKey, BTreeMap<SignalerId, u8>>,
    /// The list of members that the ring was made from.
    members: u64,
    /// Names of entries that somebody was asked for, and until when nobody else is.
    asked: BTreeMap<u64, Time>,
    /// Buckets in which a sibling has something else than we do.
    unlike: VecDeque<(ConnId, u8)>,
    /// The last change of the table for which it is known who keeps the swarm.
    placed: u64,
}

/// Swarms looked at in one go after the ring changed: about a millisecond, with 64 signalers.
const WALK_AT_ONCE: usize = 128;
/// How long an entry that somebody was asked for is not asked of others.
const ASKING: Duration = Duration::from_secs(2);
/// Entries that are asked for at once; of more, some come twice.
const ASKED: usize = 65_536;
/// Least time between two summaries of one sibling that are looked at: each may cost as many offers as there are swarms.
const COMPARING: Duration = Duration::from_secs(1);
/// How long until two that know different members compare again: news of members take about as long.
const AGAIN: Duration = Duration::from_secs(2);
/// Summaries in a row by which a sibling knows other members than we do, always the same ones, before it is told everything.
const DIFFERS: u32 = 6;
/// Summaries that one sibling gets in answer to its own, between those that it gets anyway.
const ANSWERS: u8 = 4;
/// Bytes of what is new in a refresh.
const REFRESH_BYTES: usize = 132;
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
                if !link.behind {
                    // What it watches it was told of until now.
                    link.since = link.told;
                }
                (link.told, link.behind, link.unlike) = (0, true, false);
            }
        }
        let ring = &self.ring;
        self.table.retain_shared(|id| ring.lives(id));
        self.walk(now);
        self.compare_mail_soon(now);
        self.timers.arm(now + QUIET, Timer::Quiet);
        if let Some(at) = self.ring.settles() {
            self.timers.arm(at, Timer::Settle);
        }
    }

    pub(crate) fn on_settle(&mut self, now: Time) {
        if self.ring.settle(now) {
            // Siblings that settled before us offered what we keep now when we did not know that we do.
            self.moves.compares = true;
            self.walk(now);
            self.compare_mail_soon(now);
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
                if core::mem::take(&mut self.moves.compares) {
                    self.compare_all(now);
                }
                self.on_put_off(now);
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
        self.table.place(discovery, &new);
        if let Some(old) = old {
            self.on_placed_anew(now, discovery, &old, &new);
        }
        new
    }

    /// Whether a sibling gets everything that there is, and takes no part in placement: it is of the version before.
    pub(crate) fn is_unplaced(&self, conn: ConnId) -> bool {
        self.links.link(conn).is_some_and(|link| link.card.is_none() || link.differs >= DIFFERS)
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
    pub(crate) fn is_held_back(&self, now: Time, link: &Link) -> bool {
        link.behind && link.card.is_some() && (self.moves.walks || !self.ring.is_quiet(now))
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
        let kept = self.placed(now, &discovery).keeps(&self.us) || self.wants(&discovery);
        let ours: BTreeMap<u64, Told> =
            self.table.records(&discovery).map(|told| (told.name, told)).collect();
        let (mut lacking, mut better) = (Vec::new(), Vec::new());
        let mut asked = false;
        for (name, seq) in named(names) {
            let newer = match ours.get(&name) {
                Some(told) if told.kind == Kind::Present && low(told.seq) == seq => continue,
                // Of numbers in milliseconds, the lower half wraps around after some weeks.
                Some(told) => low(told.seq).wrapping_sub(seq) < u32::MAX / 2,
                None => false,
            };
            if newer {
                better.extend(ours.get(&name).cloned());
            } else if !kept {
                // It would not be taken, and nobody else asked for it meanwhile.
            } else if self.moves.asked.get(&name).is_some_and(|until| *until > now) {
                // It is on its way from somebody else.
                asked = true;
            } else {
                if self.moves.asked.len() < ASKED {
                    self.moves.asked.insert(name, now + ASKING);
                }
                push_name(&mut lacking, name, seq);
            }
        }
        let better = self.tell_records(conn, better);
        self.counters.repaired += better as u64;
        if lacking.is_empty() && (asked || !kept) {
            // It must not be taken for a confirmation.
            self.counters.misdirected += u64::from(!kept);
            return;
        }
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
        let wanted: BTreeSet<u64> = named(names).map(|(name, _)| name).collect();
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
        let names = names_of(present);
        self.say_offer(conn, discovery, &names);
    }

    fn say_offer(&mut self, conn: ConnId, discovery: DiscoveryKey, names: &[u8]) {
        let mut rest = names;
        loop {
            let (first, others) = rest.split_at(rest.len().min(limits::NAMES * limits::NAME_BYTES));
            let frame = Sibling::Offer { discovery, names: Bytes(first.to_vec()) };
            self.send(conn, frames::carrying(&frame, first.len()));
            rest = others;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Before a sibling that was not linked, or not alive, is told of changes: what do both of us have? What changed since it is
    /// linked it is told nevertheless, for it may watch what we do not have in common.
    pub(crate) fn compare_first(&mut self, conn: ConnId) {
        let Some(link) = self.links.link_mut(conn).filter(|link| link.behind && link.told == 0) else {
            return;
        };
        if link.card.is_none() || link.unlike {
            return;
        }
        (link.told, link.behind) = (link.since, false);
        self.say_summary(conn);
    }

    /// Says what all siblings should have as well.
    pub(crate) fn compare_all(&mut self, now: Time) {
        if self.moves.walks {
            return;
        }
        for conn in self.links.up() {
            self.flush_link(now, conn);
            if self
                .links
                .link(conn)
                .is_some_and(|link| link.card.is_some() && !link.behind && !link.is_full())
            {
                if let Some(link) = self.links.link_mut(conn) {
                    link.answers = 0;
                }
                self.say_summary(conn);
            }
        }
    }

    /// A sibling says what it has of what both should have.
    pub(crate) fn on_summary(&mut self, now: Time, conn: ConnId, summary: Summary) {
        let walks = self.moves.walks || !self.ring.is_quiet(now);
        let Some(link) = self.links.link_mut(conn).filter(|link| link.is_up() && link.card.is_some()) else {
            return;
        };
        if walks {
            link.summary = Some(summary);
            return;
        }
        if now < link.compares_at {
            link.summary = Some(summary);
            let at = link.compares_at;
            return self.timers.arm(at, Timer::Quiet);
        }
        link.compares_at = now + COMPARING;
        let Some(id) = link.id() else { return };
        let ring = self.ring.name();
        if summary.ring != ring && !(summary.whole && self.ring.is_whole()) {
            // Who finds out later than others that somebody is down knows other members only for so long.
            if core::mem::replace(&mut link.rings, (summary.ring, ring)) != (summary.ring, ring) {
                link.differs = 0;
            }
            link.differs = link.differs.saturating_add(1);
            if link.differs == DIFFERS {
                // From now on it hears of everything.
                (link.told, link.behind, link.unlike) = (0, true, true);
                self.arm_flush(now);
            } else if link.differs < DIFFERS {
                self.timers.arm(now + AGAIN, Timer::Compare(conn));
            }
            return;
        }
        link.differs = 0;
        let ours = self.table.shared(&id);
        let theirs = summary.sums.chunks_exact(8).chain(core::iter::repeat(&[0; 8][..]));
        self.moves.unlike.retain(|(other, _)| *other != conn);
        let mut lacks = false;
        for (bucket, (ours, theirs)) in (0..=u8::MAX).zip(ours.chunks_exact(8).zip(theirs)) {
            if ours != theirs {
                self.moves.unlike.push_back((conn, bucket));
                lacks |= ours == [0; 8];
            }
        }
        // Where there is nothing to offer the other one has to.
        if lacks && let Some(link) = self.links.link_mut(conn).filter(|link| link.answers < ANSWERS) {
            link.answers += 1;
            self.say_summary(conn);
        }
        if !self.moves.unlike.is_empty() {
            self.timers.arm(now, Timer::Unlike);
        }
    }

    /// Says what we have in one bucket in which a sibling has something else.
    pub(crate) fn on_unlike(&mut self, now: Time) {
        let Some((conn, bucket)) = self.moves.unlike.pop_front() else { return };
        if !self.moves.unlike.is_empty() {
            self.timers.arm(now, Timer::Unlike);
        }
        let Some(id) = self.links.link(conn).filter(|link| !link.is_full()).and_then(Link::id) else {
            return;
        };
        for discovery in self.table.bucket(bucket) {
            let placed = self.placed(now, &discovery);
            let us = self.us;
            let records =
                self.table.records(&discovery).filter(|told| placed.is_shared(&us, &id, &told.home));
            let present = records.filter(|told| told.kind == Kind::Present);
            let names = names_of(present);
            if !names.is_empty() {
                self.say_offer(conn, discovery, &names);
            }
        }
    }

    /// What could not be looked at until it was known who keeps what.
    pub(crate) fn on_put_off(&mut self, now: Time) {
        if self.moves.walks || !self.ring.is_quiet(now) {
            return;
        }
        for conn in self.links.up() {
            if let Some(summary) = self.links.link_mut(conn).and_then(|link| link.summary.take()) {
                self.on_summary(now, conn, summary);
            }
        }
    }

    /// Two that knew different members compare again.
    pub(crate) fn on_compare_again(&mut self, now: Time, conn: ConnId) {
        if self.moves.walks || self.links.link(conn).is_none_or(|link| !link.is_up() || link.behind) {
            return;
        }
        self.flush_link(now, conn);
        self.say_summary(conn);
    }

    /// What was not confirmed is offered again, and what was asked for and did not come may be asked for again.
    pub(crate) fn on_moves_refresh(&mut self, now: Time) {
        self.moves.asked.retain(|_, until| *until > now);
        let leaving = self.moves.leaving.iter();
        let again: Vec<(DiscoveryKey, SignalerId)> =
            leaving.flat_map(|(discovery, to)| to.keys().map(|id| (*discovery, *id))).collect();
        for (discovery, id) in again {
            if let Some(conn) = self.placed_link(&id) {
                self.offer_again(conn, &discovery, id);
            }
        }
    }

    /// Asks for the whole of an entry of which only what is new was told.
    pub(crate) fn ask_for(&mut self, now: Time, conn: ConnId, discovery: DiscoveryKey, name: u64, seq: u64) {
        if self.moves.asked.get(&name).is_some_and(|until| *until > now) || self.moves.asked.len() >= ASKED {
            return;
        }
        self.moves.asked.insert(name, now + ASKING);
        self.counters.asked_entries += 1;
        let mut names = Vec::new();
        push_name(&mut names, name, low(seq));
        self.send(conn, frames::small(&Sibling::Wanted { discovery, names: Bytes(names) }));
    }

    fn say_summary(&mut self, conn: ConnId) {
        let Some(id) = self.links.link(conn).and_then(Link::id) else { return };
        let (ring, whole) = (self.ring.name(), self.ring.is_whole());
        let frame = Sibling::Summary { ring, whole, sums: Bytes(self.table.shared(&id)) };
        self.send(conn, frames::carrying(&frame, limits::TABLE_SUMS));
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

    pub(crate) fn send_refreshes(&mut self, conn: ConnId, mut refreshes: Vec<Refresh>, ring: Option<u64>) {
        while !refreshes.is_empty() {
            let rest = refreshes.split_off(refreshes.len().min(limits::ENTRIES));
            let size = refreshes.len() * REFRESH_BYTES;
            let frame = Sibling::Refreshes { refreshes: List::first(refreshes), ring };
            self.send(conn, frames::carrying(&frame, size));
            refreshes = rest;
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

/// What entries are about, and the lower halves of their numbers.
fn named(names: &[u8]) -> impl Iterator<Item = (u64, u32)> {
    names.chunks_exact(limits::NAME_BYTES).filter_map(|name| {
        let (about, seq) = name.split_first_chunk()?;
        Some((u64::from_be_bytes(*about), u32::from_be_bytes(*seq.first_chunk()?)))
    })
}

fn names_of(records: impl Iterator<Item = Told>) -> Vec<u8> {
    let mut names = Vec::new();
    for told in records {
        push_name(&mut names, told.name, low(told.seq));
    }
    names
}

fn push_name(names: &mut Vec<u8>, name: u64, seq: u32) {
    names.extend(name.to_be_bytes());
    names.extend(seq.to_be_bytes());
}

#[allow(clippy::cast_possible_truncation, reason = "the lower 32 bits are what is wanted")]
const fn low(seq: u64) -> u32 {
    seq as u32
}
