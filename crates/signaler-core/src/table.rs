//! The discovery table: who is in which swarm, at home where, until when.
//!
//! Inputs: [`Table::apply`] with verified statements, [`Table::attach`]/[`Table::detach`] of local members,
//! [`Table::expire`] with the time. Outputs: what changed for those who watch a swarm ([`Change`]), and a log of
//! changes in order, from which siblings are told ([`Table::changes`]). Timer: [`Table::deadline`].
//!
//! Invariants:
//! - One record per (swarm, peer, home). The order of statements about it is (seq, withdrawn): the greatest stays, so
//!   tables that saw the same statements are equal, whatever the order. Of two equal ones the first stays.
//! - A withdrawal (the peer's signed leave, or its home's signed removal) is kept as a tombstone for one TTL, so that an
//!   older statement on its way cannot bring the entry back.
//! - Every record has a slot, by which it is in the log exactly once (its last change) and is due exactly once.
//! - A swarm without records does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::hash_map::Entry;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use weft_crypto::placement::{entry_mark, entry_name};
use weft_crypto::statement::refresh_of;
use weft_wire::{DiscoveryKey, PeerId, SignalerId, Time};

use crate::calendar::{Calendar, Looked};
use crate::io::ConnId;
use crate::log::Log;
use crate::map::{Map, map, trim};
use crate::ring::Placed;
use crate::slots::Slots;
use crate::swarm::{Local, Member, Record, SIZES, Swarm, adjust};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) discovery: DiscoveryKey,
    pub(crate) peer: PeerId,
    pub(crate) home: SignalerId,
}

/// A verified statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) key: Key,
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    /// Clamped to the receiver's clock plus its TTL.
    pub(crate) until: Time,
    /// As it was signed.
    pub(crate) bytes: Arc<[u8]>,
}

/// What a statement says. The order is that of statements with the same sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The peer is there.
    Present,
    /// The peer says that it left.
    Left,
    /// The home says that it is gone.
    Gone,
}

/// What a statement did to what members of the swarm see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// The peer came, or moved to a new home.
    pub(crate) joined: bool,
    /// The peer's last entry went.
    pub(crate) left: bool,
}

/// How a statement compares to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing is known of it.
    New,
    /// Newer than what is known.
    Newer,
    /// The very same bytes are known: it need not be verified to be believed.
    Same,
    /// As new as what is known, and something else: somebody signed both.
    Other,
    /// Older than what is known.
    Old,
}

/// One record, as others are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: u64,
    pub(crate) seq: u64,
    pub(crate) home: SignalerId,
    pub(crate) kind: Kind,
    pub(crate) bytes: Arc<[u8]>,
}

/// One change, as it is told to siblings.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) pass: bool,
    pub(crate) kind: Kind,
    pub(crate) via: Option<ConnId>,
    pub(crate) name: u64,
    /// Whoever was told of this change can do with what is new in a refresh.
    pub(crate) base: u64,
    pub(crate) bytes: Arc<[u8]>,
}

#[derive(Debug)]
pub(crate) struct Table {
    us: SignalerId,
    swarms: Map<DiscoveryKey, Swarm>,
    /// The swarms in order.
    order: BTreeSet<DiscoveryKey>,
    /// Homes elsewhere at which a peer has entries, and how many.
    whereabouts: Map<PeerId, Vec<(SignalerId, u32)>>,
    /// The records by their slots.
    slots: Slots<Key>,
    log: Log,
    calendar: Calendar,
    local_swarms: usize,
    /// By sibling and first byte of the discovery key: the marks of the entries that both should have, XORed. Those of swarms
    /// of which it is known who keeps them.
    shared: BTreeMap<SignalerId, Vec<u64>>,
    sizes: [usize; SIZES],
    /// Siblings, whether it is about records of which they are the home, and how many of those each brought first.
    sources: Vec<((SignalerId, bool), usize)>,
}

impl Table {
    pub(crate) fn new(us: SignalerId, seed: u64) -> Self {
        Self {
            us,
            swarms: map(seed),
            order: BTreeSet::new(),
            whereabouts: map(seed.rotate_left(17)),
            slots: Slots::default(),
            log: Log::default(),
            calendar: Calendar::default(),
            local_swarms: 0,
            shared: BTreeMap::new(),
            sizes: [0; SIZES],
            sources: Vec::new(),
        }
    }

    /// How many records there are, tombstones included.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    pub(crate) fn swarms(&self) -> usize {
        self.swarms.len()
    }

    /// Swarms with a local member.
    pub(crate) fn local_swarms(&self) -> usize {
        self.local_swarms
    }

    /// How many swarms have so many present members: class `n` begins at 2 to the power of `n`.
    pub(crate) fn sizes(&self) -> [usize; SIZES] {
        self.sizes
    }

    /// Members of a swarm that are present, and whether `peer` is one of them.
    pub(crate) fn presence(&self, discovery: &DiscoveryKey, peer: &PeerId) -> (usize, bool) {
        self.swarms
            .get(discovery)
            .map_or((0, false), |swarm| (swarm.present, swarm.member(peer).is_some_and(Member::is_present)))
    }

    /// Compares a statement, not yet verified, to what is known.
    pub(crate) fn news(&self, key: &Key, seq: u64, kind: Kind, bytes: &[u8]) -> News {
        match self.record(key) {
            None => News::New,
            Some(record) if (seq, kind.rank()) > (record.seq, record.kind.rank()) => News::Newer,
            Some(record) if *record.bytes == *bytes => News::Same,
            Some(record) if (seq, kind) == (record.seq, record.kind) => News::Other,
            Some(_) => News::Old,
        }
    }

    /// The sequence number of a present record.
    pub(crate) fn present_seq(&self, key: &Key) -> Option<u64> {
        self.record(key).filter(|record| record.kind == Kind::Present).map(|record| record.seq)
    }

    /// Takes a verified statement whose [`News`] is new or newer. `pass`: whoever told us of it did not tell the others that
    /// keep it.
    pub(crate) fn apply(&mut self, statement: Statement, via: Option<ConnId>, pass: bool) -> Change {
        let Statement { key, seq, kind, until, bytes } = statement;
        let order = &mut self.order;
        let swarm = self.swarms.entry(key.discovery).or_insert_with(|| {
            order.insert(key.discovery);
            Swarm::default()
        });
        let member = swarm.member_or_new(&key.peer);
        let was = member.is_present();
        let here = kind == Kind::Present;
        let (was_here, mark) = match member.records.binary_search_by(|record| record.home.cmp(&key.home)) {
            Ok(at) => {
                let record = &mut member.records[at];
                let was_here = record.kind == Kind::Present;
                let mark = record.mark();
                self.log.remove(record.version);
                record.version = self.log.push(record.slot);
                if !(was_here && here && refresh_of(&record.bytes, &bytes, record.name).is_some()) {
                    record.base = record.version;
                }
                self.calendar.set(record.slot, until);
                (record.seq, record.kind, record.via, record.pass) = (seq, kind, via, pass);
                record.bytes = bytes;
                (was_here, mark ^ record.mark())
            }
            Err(at) => {
                let slot = self.slots.put(key);
                self.calendar.set(slot, until);
                let version = self.log.push(slot);
                let name = entry_name(&key.discovery, &key.peer, &key.home);
                let (home, base, source) = (key.home, version, None);
                let record = Record { home, seq, kind, version, slot, via, pass, name, base, source, bytes };
                let mark = record.mark();
                member.records.insert(at, record);
                (false, mark)
            }
        };
        let is = member.is_present();
        if was != is {
            swarm.count(was, is, &mut self.sizes);
        }
        swarm.sum ^= mark;
        let placed = swarm.placed.clone();
        if was_here != here && swarm.moved(&key.home, &self.us, here) {
            self.wanders(&key, here);
        }
        if let Some(placed) = placed {
            self.share(&key.discovery, &key.home, mark, &placed);
        }
        Change { joined: here && !was_here, left: was && !is }
    }

    /// Removes records whose time has passed; looks at no more than `budget`. Returns those that were present, and whether
    /// each was its peer's last.
    pub(crate) fn expire(&mut self, now: Time, budget: usize) -> Vec<(Key, Change)> {
        let looks = core::iter::from_fn(|| self.calendar.look(now)).take(budget);
        let slots: Vec<u32> = looks.filter_map(Looked::due).collect();
        // One step over all before the next: so the processor waits for several of them at a time, none of which is in its
        // cache. That they are found here makes them quick to find again.
        let keys: Vec<Key> = slots.iter().filter_map(|slot| self.slots.get(*slot).copied()).collect();
        let is_present = |key: &&Key| self.record(key).is_some_and(|record| record.kind == Kind::Present);
        let mut gone = Vec::with_capacity(keys.iter().filter(is_present).count());
        for key in keys {
            let (was_here, change) = self.remove(&key);
            if was_here {
                gone.push((key, change));
            }
        }
        gone
    }

    /// When [`Table::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.calendar.deadline()
    }

    /// A member of a swarm has a connection here. Returns whether it is a new one.
    pub(crate) fn attach(&mut self, discovery: &DiscoveryKey, peer: PeerId, conn: ConnId) -> bool {
        let Some(swarm) = self.swarms.get_mut(discovery) else { return false };
        match swarm.locals.binary_search_by(|local| local.peer.cmp(&peer)) {
            Ok(at) => {
                let known = swarm.locals[at].conn == conn;
                swarm.locals[at].conn = conn;
                !known
            }
            Err(at) => {
                self.local_swarms += usize::from(swarm.locals.is_empty());
                swarm.locals.insert(at, Local { peer, conn });
                true
            }
        }
    }

    /// A connection no longer stands for a member.
    pub(crate) fn detach(&mut self, discovery: &DiscoveryKey, peer: &PeerId, conn: ConnId) {
        let Some(swarm) = self.swarms.get_mut(discovery) else { return };
        if let Ok(at) = swarm.locals.binary_search_by(|local| local.peer.cmp(peer))
            && swarm.locals[at].conn == conn
        {
            swarm.locals.remove(at);
            if swarm.locals.is_empty() {
                swarm.locals = Vec::new();
                self.local_swarms -= 1;
            }
        }
    }

    /// Members of a swarm with a connection here, ordered by peer.
    pub(crate) fn locals(&self, discovery: &DiscoveryKey) -> &[Local] {
        self.swarms.get(discovery).map_or(&[], |swarm| &swarm.locals)
    }

    /// Whether `conn` stands for `peer` in a swarm.
    pub(crate) fn is_local(&self, discovery: &DiscoveryKey, peer: &PeerId, conn: ConnId) -> bool {
        let locals = self.locals(discovery);
        locals.binary_search_by(|local| local.peer.cmp(peer)).is_ok_and(|at| locals[at].conn == conn)
    }

    /// Homes elsewhere with members of a swarm.
    pub(crate) fn homes(&self, discovery: &DiscoveryKey) -> impl Iterator<Item = SignalerId> {
        self.swarms.get(discovery).into_iter().flat_map(|swarm| swarm.homes.iter().map(|(home, _)| *home))
    }

    /// Homes elsewhere at which a peer is.
    pub(crate) fn whereabouts(&self, peer: &PeerId) -> impl Iterator<Item = SignalerId> {
        self.whereabouts.get(peer).into_iter().flatten().map(|(home, _)| *home)
    }

    /// Entries of at most `limit` members other than `peer`, chosen at random where there are more, and how many
    /// members there are.
    pub(crate) fn members(
        &self,
        discovery: &DiscoveryKey,
        peer: &PeerId,
        limit: usize,
        rng: &mut ChaCha20Rng,
    ) -> (Vec<Arc<[u8]>>, usize) {
        let Some(swarm) = self.swarms.get(discovery) else { return (Vec::new(), 0) };
        let total = swarm.present - usize::from(swarm.member(peer).is_some_and(Member::is_present));
        let others = |member: &&Member| member.peer != *peer && member.is_present();
        let mut entries = Vec::with_capacity(total.min(limit));
        if total <= limit {
            swarm.members.iter().filter(others).for_each(|member| member.entries(&mut entries));
        } else {
            // Robert Floyd's sample of `limit` places, then in order.
            let len = swarm.members.len();
            let mut chosen = std::collections::BTreeSet::new();
            // Some places hold tombstones: draw as many more as there can be of them, up to twice the limit.
            let draws = limit.saturating_mul(2).min(len);
            for top in len - draws..len {
                let at = below(rng, top + 1);
                if !chosen.insert(at) {
                    chosen.insert(top);
                }
            }
            let mut chosen: Vec<usize> = chosen.into_iter().collect();
            for at in 0..chosen.len() {
                let with = at + below(rng, chosen.len() - at);
                chosen.swap(at, with);
            }
            chosen
                .into_iter()
                .filter_map(|at| swarm.members.get(at))
                .filter(others)
                .take(limit)
                .for_each(|member| member.entries(&mut entries));
        }
        entries.truncate(limit);
        (entries, total)
    }

    /// The number of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.log.version()
    }

    /// Changes after a version, oldest first. From version 0: the whole table.
    pub(crate) fn changes(&self, after: u64) -> impl Iterator<Item = Logged> {
        self.log.after(after).filter_map(|(version, slot)| {
            let key = self.slots.get(slot)?;
            let record = self.record(key)?;
            Some(Logged {
                version,
                key: *key,
                pass: record.pass,
                kind: record.kind,
                via: record.via,
                name: record.name,
                base: record.base,
                bytes: record.bytes.clone(),
            })
        })
    }

    /// Whether a member of a swarm is here, or was a moment ago.
    pub(crate) fn is_own(&self, discovery: &DiscoveryKey) -> bool {
        self.swarms.get(discovery).is_some_and(|swarm| swarm.own > 0 || !swarm.locals.is_empty())
    }

    /// The marks of the entries of a swarm that are present, XORed.
    pub(crate) fn sum(&self, discovery: &DiscoveryKey) -> u64 {
        self.swarms.get(discovery).map_or(0, |swarm| swarm.sum)
    }

    /// Who keeps a swarm, as far as it was found out.
    pub(crate) fn placed(&self, discovery: &DiscoveryKey) -> Option<&Arc<Placed>> {
        self.swarms.get(discovery)?.placed.as_ref()
    }

    /// Remembers who keeps a swarm that is there.
    pub(crate) fn place(&mut self, discovery: &DiscoveryKey, placed: &Arc<Placed>) {
        let Some(swarm) = self.swarms.get_mut(discovery) else { return };
        let old = swarm.placed.replace(placed.clone());
        if old.as_ref().is_some_and(|old| old.now == placed.now) {
            return;
        }
        for told in self.records(discovery).filter(|told| told.kind == Kind::Present).collect::<Vec<_>>() {
            let mark = entry_mark(told.name, told.seq);
            if let Some(old) = &old {
                self.share(discovery, &told.home, mark, old);
            }
            self.share(discovery, &told.home, mark, placed);
        }
    }

    /// What a sibling and we should both have, as far as we have it: see [`weft_wire::sibling::Sibling::Summary`].
    pub(crate) fn shared(&self, id: &SignalerId) -> Vec<u8> {
        let sums = self.shared.get(id).map_or(&[][..], Vec::as_slice);
        let rest = core::iter::repeat_n(&0, 256 - sums.len());
        sums.iter().chain(rest).flat_map(|sum| sum.to_be_bytes()).collect()
    }

    /// Siblings that no longer live have nothing in common with us.
    pub(crate) fn retain_shared(&mut self, lives: impl Fn(&SignalerId) -> bool) {
        self.shared.retain(|id, sums| lives(id) || sums.iter().any(|sum| *sum != 0));
    }

    /// The swarms whose discovery key has this first byte, in order.
    pub(crate) fn bucket(&self, first: u8) -> Vec<DiscoveryKey> {
        let (mut low, mut high) = ([0; 32], [u8::MAX; 32]);
        (low[0], high[0]) = (first, first);
        self.order.range(DiscoveryKey(low)..=DiscoveryKey(high)).copied().collect()
    }

    /// An entry is, or no longer is, among what each that should have it has in common with us.
    fn share(&mut self, discovery: &DiscoveryKey, home: &SignalerId, mark: u64, placed: &Placed) {
        let elsewhere = Some(home).filter(|home| !placed.now.contains(home));
        for id in placed.now.iter().chain(elsewhere).filter(|id| **id != self.us) {
            if placed.is_shared(&self.us, id, home) {
                let sums = self.shared.entry(*id).or_insert_with(|| vec![0; 256]);
                sums[usize::from(discovery.0[0])] ^= mark;
            }
        }
    }

    /// The first swarm after one, in order; without one, the first of all.
    pub(crate) fn next(&self, after: Option<DiscoveryKey>) -> Option<DiscoveryKey> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.order.range((from, Bound::Unbounded)).next().copied()
    }

    /// The records of a swarm in order, withdrawals included.
    pub(crate) fn records(&self, discovery: &DiscoveryKey) -> impl Iterator<Item = Told> {
        let discovery = *discovery;
        let members = self.swarms.get(&discovery).into_iter().flat_map(|swarm| &swarm.members);
        members.flat_map(move |member| {
            member.records.iter().map(move |record| Told {
                name: record.name,
                seq: record.seq,
                home: record.home,
                kind: record.kind,
                bytes: record.bytes.clone(),
            })
        })
    }

    /// The record of a name in a swarm, if it is present. Looks at all of them.
    pub(crate) fn present_named(&self, discovery: &DiscoveryKey, name: u64) -> Option<(u64, Arc<[u8]>)> {
        let mut records = self.swarms.get(discovery)?.members.iter().flat_map(|member| &member.records);
        let record = records.find(|record| record.name == name && record.kind == Kind::Present)?;
        Some((record.seq, record.bytes.clone()))
    }

    /// How many records a sibling brought first: of those that are at home there, or of the others.
    pub(crate) fn share_of(&self, id: &SignalerId, own: bool) -> usize {
        self.sources.iter().find(|(known, _)| *known == (*id, own)).map_or(0, |(_, count)| *count)
    }

    /// A sibling brought a record that was not known.
    pub(crate) fn charge(&mut self, key: &Key, id: SignalerId) {
        let whose = (id, key.home == id);
        let known = self.sources.iter().position(|(known, _)| *known == whose);
        let at = known.or_else(|| self.sources.iter().position(|(_, count)| *count == 0));
        let at = at.unwrap_or_else(|| {
            self.sources.push((whose, 0));
            self.sources.len() - 1
        });
        let Ok(source) = u16::try_from(at) else { return };
        if let Some(record) = self.record_mut(key).filter(|record| record.source.is_none()) {
            record.source = Some(source);
            self.sources[at] = (whose, self.sources[at].1 + 1);
        }
    }

    /// Who is in a swarm, and at home where.
    pub(crate) fn present(&self, discovery: &DiscoveryKey) -> Vec<(PeerId, SignalerId)> {
        let members = self.swarms.get(discovery).into_iter().flat_map(|swarm| &swarm.members);
        let present = members.flat_map(|member| {
            let records = member.records.iter().filter(|record| record.kind == Kind::Present);
            records.map(|record| (member.peer, record.home))
        });
        present.collect()
    }

    /// Forgets what is at home elsewhere.
    pub(crate) fn forget_foreign(&mut self, discovery: &DiscoveryKey) {
        let us = self.us;
        let members = self.swarms.get(discovery).into_iter().flat_map(|swarm| &swarm.members);
        let foreign = members.flat_map(|member| {
            let records = member.records.iter().filter(|record| record.home != us);
            records.map(|record| Key { discovery: *discovery, peer: member.peer, home: record.home })
        });
        for key in foreign.collect::<Vec<_>>() {
            self.remove(&key);
        }
    }

    fn record(&self, key: &Key) -> Option<&Record> {
        let member = self.swarms.get(&key.discovery)?.member(&key.peer)?;
        member.records.iter().find(|record| record.home == key.home)
    }

    fn record_mut(&mut self, key: &Key) -> Option<&mut Record> {
        let swarm = self.swarms.get_mut(&key.discovery)?;
        let at = swarm.members.binary_search_by(|member| member.peer.cmp(&key.peer)).ok()?;
        swarm.members[at].records.iter_mut().find(|record| record.home == key.home)
    }

    /// Removes a record; says whether it was present.
    fn remove(&mut self, key: &Key) -> (bool, Change) {
        let nothing = (false, Change::default());
        let Entry::Occupied(mut entry) = self.swarms.entry(key.discovery) else { return nothing };
        let swarm = entry.get_mut();
        let Some((record, was, is)) = swarm.remove(key) else { return nothing };
        if was != is {
            swarm.count(was, is, &mut self.sizes);
        }
        let (was_here, mark) = (record.kind == Kind::Present, record.mark());
        swarm.sum ^= mark;
        let wanders = was_here && swarm.moved(&key.home, &self.us, false);
        let placed = swarm.placed.clone();
        if swarm.members.is_empty() {
            self.local_swarms -= usize::from(!swarm.locals.is_empty());
            entry.remove();
            self.order.remove(&key.discovery);
            trim(&mut self.swarms);
        }
        self.log.remove(record.version);
        self.calendar.clear(record.slot);
        if self.slots.free(record.slot) {
            self.calendar.clear_all();
        }
        if let Some(source) = record.source {
            self.sources[usize::from(source)].1 -= 1;
        }
        if let Some(placed) = placed.filter(|_| was_here) {
            self.share(&key.discovery, &key.home, mark, &placed);
        }
        if wanders {
            self.wanders(key, false);
        }
        (was_here, Change { joined: false, left: was && !is })
    }

    /// A present record came to or went from a home elsewhere: where the peer is follows.
    fn wanders(&mut self, key: &Key, here: bool) {
        let homes = self.whereabouts.entry(key.peer).or_default();
        adjust(homes, key.home, here);
        if homes.is_empty() {
            self.whereabouts.remove(&key.peer);
            trim(&mut self.whereabouts);
        }
    }
}

impl Kind {
    /// Withdrawals of either sort are equals.
    const fn rank(self) -> u8 {
        match self {
            Self::Present => 0,
            Self::Left | Self::Gone => 1,
        }
    }
}

/// A random number below `bound`, which is not zero. The bias of 2^-64 times the bound does not matter here.
pub(crate) fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * (bound as u128);
    usize::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: SignalerId = SignalerId([1; 32]);
    const SECOND: u64 = 1_000_000;

    fn at(second: u64) -> Time {
        Time::from_micros(second * SECOND)
    }

    fn key(peer: u32, home: SignalerId) -> Key {
        let (mut name, mut swarm) = ([0; 32], [0; 32]);
        name[..4].copy_from_slice(&peer.to_be_bytes());
        // Ten to a swarm.
        swarm[..4].copy_from_slice(&(peer / 10).to_be_bytes());
        Key { discovery: DiscoveryKey(swarm), peer: PeerId(name), home }
    }

    fn tell(table: &mut Table, key: Key, seq: u64, kind: Kind, until: Time) -> Change {
        let bytes = seq.to_be_bytes()[..].into();
        table.apply(Statement { key, seq, kind, until, bytes }, None, false)
    }

    /// Everything of which nothing is left when the last record has gone.
    fn is_bare(table: &Table) -> bool {
        let sums = table.shared.values().flatten().all(|sum| *sum == 0);
        let found =
            table.order.is_empty() && table.whereabouts.is_empty() && table.changes(0).next().is_none();
        sums && found
            && table.len() + table.swarms() == 0
            && table.deadline().is_none()
            && table.sizes == [0; SIZES]
    }

    #[test]
    fn a_go_looks_at_no_more_than_its_budget_and_all_go_once() {
        let mut table = Table::new(US, 1);
        (0..1_000).for_each(|peer| _ = tell(&mut table, key(peer, US), 1, Kind::Present, at(10)));
        // Half of them are put off: looking at those is work, too.
        (0..500).for_each(|peer| _ = tell(&mut table, key(peer, US), 2, Kind::Present, at(20)));
        let mut gone = Vec::new();
        for go in 1..=10 {
            let found = table.expire(at(10), 100);
            assert!(found.len() <= 100);
            gone.extend(found);
            assert_eq!(table.deadline() == Some(at(10)), go < 10, "go {go}");
        }
        assert!(gone.iter().all(|(_, change)| *change == Change { joined: false, left: true }));
        assert_eq!((gone.len(), table.len(), table.deadline()), (500, 500, Some(at(20))));
        gone.extend(table.expire(at(20), 1_000));
        let mut peers: Vec<PeerId> = gone.iter().map(|(key, _)| key.peer).collect();
        peers.sort_unstable();
        peers.dedup();
        assert_eq!((peers.len(), gone.len()), (1_000, 1_000));
        assert!(is_bare(&table));
    }

    #[test]
    fn an_entry_that_is_refreshed_goes_once_at_its_last_time() {
        let mut table = Table::new(US, 1);
        (1..=50).for_each(|seq| _ = tell(&mut table, key(0, US), seq, Kind::Present, at(seq * 10)));
        let gone: Vec<u64> = (0..=600).filter(|second| !table.expire(at(*second), 64).is_empty()).collect();
        assert_eq!(gone, [500]);
        assert!(is_bare(&table));
    }

    #[test]
    fn a_life_that_is_cut_short_ends_then_and_a_tombstone_goes_without_a_word() {
        let mut table = Table::new(US, 1);
        let elsewhere = SignalerId([2; 32]);
        for home in [US, elsewhere] {
            tell(&mut table, key(0, home), 1, Kind::Present, at(120));
        }
        tell(&mut table, key(0, US), 2, Kind::Present, at(30));
        tell(&mut table, key(0, elsewhere), 2, Kind::Left, at(60));
        assert_eq!(table.deadline(), Some(at(30)));
        assert_eq!(table.expire(at(30), 64), [(key(0, US), Change { joined: false, left: true })]);
        assert_eq!((table.len(), table.expire(at(59), 64)), (1, Vec::new()));
        assert_eq!((table.expire(at(60), 64), is_bare(&table)), (Vec::new(), true));
    }

    #[test]
    fn a_clock_that_jumps_leaves_nothing_behind_and_a_slot_that_is_used_again_is_not_the_one_before() {
        let mut table = Table::new(US, 1);
        (0..30).for_each(|peer| {
            _ = tell(&mut table, key(peer, US), 1, Kind::Present, at(1_000 + u64::from(peer)));
        });
        assert_eq!(table.expire(at(1_014), 64).len(), 15);
        // An hour back: others come in their slots.
        (30..45).for_each(|peer| _ = tell(&mut table, key(peer, US), 1, Kind::Present, at(5)));
        let mut told: Vec<PeerId> = table.changes(30).map(|logged| logged.key.peer).collect();
        told.sort_unstable();
        assert_eq!(told, (30..45).map(|peer| key(peer, US).peer).collect::<Vec<_>>());
        assert_eq!(table.changes(0).count(), 30);
        let gone = table.expire(at(5), 64);
        assert!(gone.len() == 15 && gone.iter().all(|(gone, _)| *gone >= key(30, US)));
        // And to the end of time.
        assert_eq!(table.expire(Time::from_micros(u64::MAX), 64).len(), 15);
        assert!(is_bare(&table));
    }
}
