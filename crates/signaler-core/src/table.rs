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
//! - Every record has exactly one place in the log (its last change) and one live place in the expiry buckets.
//! - A swarm without records does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use weft_crypto::placement::{entry_mark, entry_name};
use weft_crypto::statement::refresh_of;
use weft_wire::{DiscoveryKey, PeerId, SignalerId, Time};

use crate::io::ConnId;
use crate::map::{Map, map, trim};
use crate::ring::Placed;

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

#[derive(Debug)]
struct Record {
    home: SignalerId,
    seq: u64,
    kind: Kind,
    until: Time,
    /// Place in the log.
    version: u64,
    /// Live place in the expiry buckets.
    bucket: u64,
    /// The sibling connection it came from.
    via: Option<ConnId>,
    /// Whoever told us did not tell the others that keep it.
    pass: bool,
    /// See [`entry_name`].
    name: u64,
    /// The change since which it was only refreshed.
    base: u64,
    /// The sibling that brought it first, by its place in [`Table::sources`].
    source: Option<u16>,
    bytes: Arc<[u8]>,
}

#[derive(Debug)]
struct Member {
    peer: PeerId,
    /// Ordered by home.
    records: Vec<Record>,
}

impl Member {
    fn is_present(&self) -> bool {
        self.records.iter().any(|record| record.kind == Kind::Present)
    }
}

/// A member with a connection here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) peer: PeerId,
    pub(crate) conn: ConnId,
}

#[derive(Debug, Default)]
struct Swarm {
    /// Ordered by peer.
    members: Vec<Member>,
    /// Members that are present.
    present: usize,
    /// Ordered by peer.
    locals: Vec<Local>,
    /// Homes elsewhere with members of this swarm, and how many.
    homes: Vec<(SignalerId, u32)>,
    /// Entries that are present and at home here.
    own: usize,
    /// The marks of the entries that are present, XORed.
    sum: u64,
    /// Who keeps it.
    placed: Option<Arc<Placed>>,
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

/// Width of an expiry bucket: how much later than its time an entry may go.
const BUCKET_MICROS: u64 = 250_000;

#[derive(Debug)]
pub(crate) struct Table {
    us: SignalerId,
    swarms: Map<DiscoveryKey, Swarm>,
    /// The swarms in order.
    order: BTreeSet<DiscoveryKey>,
    /// Homes elsewhere at which a peer has entries, and how many.
    whereabouts: Map<PeerId, Vec<(SignalerId, u32)>>,
    log: BTreeMap<u64, Key>,
    version: u64,
    buckets: BTreeMap<u64, Vec<Key>>,
    local_swarms: usize,
    /// By sibling and first byte of the discovery key: the marks of the entries that both should have, XORed. Those of swarms
    /// of which it is known who keeps them.
    shared: BTreeMap<SignalerId, Vec<u64>>,
    sizes: [usize; SIZES],
    /// Siblings, whether it is about records of which they are the home, and how many of those each brought first.
    sources: Vec<((SignalerId, bool), usize)>,
}

/// Classes of swarms by their size: 1, 2 and 3, 4 to 7, and so on; the last one has all that are larger.
pub(crate) const SIZES: usize = 16;

impl Table {
    pub(crate) fn new(us: SignalerId, seed: u64) -> Self {
        Self {
            us,
            swarms: map(seed),
            order: BTreeSet::new(),
            whereabouts: map(seed.rotate_left(17)),
            log: BTreeMap::new(),
            version: 0,
            buckets: BTreeMap::new(),
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
        self.version += 1;
        let version = self.version;
        self.log.insert(version, key);
        let wanted = bucket(until);
        let order = &mut self.order;
        let swarm = self.swarms.entry(key.discovery).or_insert_with(|| {
            order.insert(key.discovery);
            Swarm::default()
        });
        let member = swarm.member_or_new(&key.peer);
        let was = (member.is_present(), false);
        let mut old_seq = None;
        let was_here = match member.records.binary_search_by(|record| record.home.cmp(&key.home)) {
            Ok(at) => {
                let record = &mut member.records[at];
                let was_here = record.kind == Kind::Present;
                let refreshes = was_here && kind == Kind::Present;
                if !(refreshes && refresh_of(&record.bytes, &bytes, record.name).is_some()) {
                    record.base = version;
                }
                old_seq = was_here.then_some(record.seq);
                self.log.remove(&record.version);
                if wanted < record.bucket {
                    record.bucket = wanted;
                    self.buckets.entry(wanted).or_default().push(key);
                }
                (record.seq, record.kind, record.until) = (seq, kind, until);
                (record.version, record.via, record.bytes) = (version, via, bytes);
                record.pass = pass;
                was_here
            }
            Err(at) => {
                self.buckets.entry(wanted).or_default().push(key);
                let home = key.home;
                let record = Record {
                    home,
                    seq,
                    kind,
                    until,
                    version,
                    bucket: wanted,
                    via,
                    pass,
                    name: entry_name(&key.discovery, &key.peer, &home),
                    base: version,
                    source: None,
                    bytes,
                };
                member.records.insert(at, record);
                false
            }
        };
        let is = member.is_present();
        let here = kind == Kind::Present;
        swarm.count(was.0, is, &mut self.sizes);
        if was_here != here {
            self.moved(&key, here);
        }
        if let Some(old) = old_seq {
            self.mark(&key, old);
        }
        if here {
            self.mark(&key, seq);
        }
        Change { joined: here && !was_here, left: was.0 && !is }
    }

    /// Removes at most `budget` records whose time has passed. Returns those that were present, and whether each was
    /// its peer's last.
    pub(crate) fn expire(&mut self, now: Time, budget: usize) -> Vec<(Key, Change)> {
        let mut gone = Vec::new();
        for _ in 0..budget {
            let Some(mut first) = self.buckets.first_entry().filter(|first| bucket_end(*first.key()) <= now)
            else {
                break;
            };
            let at = *first.key();
            let Some(key) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            let Some(record) = self.record_mut(&key).filter(|record| record.bucket == at) else {
                continue;
            };
            if record.until > now {
                // It was refreshed since: to the bucket of its new time, but never again to this one.
                let next = bucket(record.until).max(at + 1);
                record.bucket = next;
                self.buckets.entry(next).or_default().push(key);
                continue;
            }
            let (was_here, change) = self.remove(&key);
            if was_here {
                gone.push((key, change));
            }
        }
        gone
    }

    /// When [`Table::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.buckets.first_key_value().map(|(at, _)| bucket_end(*at))
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
        self.version
    }

    /// Changes after a version, oldest first. From version 0: the whole table.
    pub(crate) fn changes(&self, after: u64) -> impl Iterator<Item = Logged> {
        self.log.range(after + 1..).filter_map(|(version, key)| {
            let record = self.record(key)?;
            Some(Logged {
                version: *version,
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
        let Some(swarm) = self.swarms.get_mut(&key.discovery) else { return (false, Change::default()) };
        let Ok(place) = swarm.members.binary_search_by(|member| member.peer.cmp(&key.peer)) else {
            return (false, Change::default());
        };
        let member = &mut swarm.members[place];
        let was = member.is_present();
        let Some(at) = member.records.iter().position(|record| record.home == key.home) else {
            return (false, Change::default());
        };
        let record = member.records.remove(at);
        let is = member.is_present();
        if member.records.is_empty() {
            swarm.members.remove(place);
        }
        swarm.count(was, is, &mut self.sizes);
        self.log.remove(&record.version);
        if let Some(source) = record.source {
            self.sources[usize::from(source)].1 -= 1;
        }
        let was_here = record.kind == Kind::Present;
        if was_here {
            self.mark(key, record.seq);
            self.moved(key, false);
        }
        if let Some(swarm) = self.swarms.get(&key.discovery)
            && swarm.members.is_empty()
        {
            self.local_swarms -= usize::from(!swarm.locals.is_empty());
            self.swarms.remove(&key.discovery);
            self.order.remove(&key.discovery);
            trim(&mut self.swarms);
        }
        (was_here, Change { joined: false, left: was && !is })
    }

    /// An entry with this number is, or no longer is, present.
    fn mark(&mut self, key: &Key, seq: u64) {
        let mark = entry_mark(entry_name(&key.discovery, &key.peer, &key.home), seq);
        let Some(swarm) = self.swarms.get_mut(&key.discovery) else { return };
        swarm.sum ^= mark;
        if let Some(placed) = swarm.placed.clone() {
            self.share(&key.discovery, &key.home, mark, &placed);
        }
    }

    /// A present record came to or went from a home: the counts by home follow.
    fn moved(&mut self, key: &Key, here: bool) {
        if let Some(swarm) = self.swarms.get_mut(&key.discovery) {
            if key.home == self.us {
                swarm.own = swarm.own + usize::from(here) - usize::from(!here);
                return;
            }
            adjust(&mut swarm.homes, key.home, here);
        }
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

impl Member {
    fn entries(&self, into: &mut Vec<Arc<[u8]>>) {
        let present = self.records.iter().filter(|record| record.kind == Kind::Present);
        into.extend(present.map(|record| record.bytes.clone()));
    }
}

impl Swarm {
    fn member(&self, peer: &PeerId) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.peer.cmp(peer)).ok()?;
        self.members.get(at)
    }

    fn member_or_new(&mut self, peer: &PeerId) -> &mut Member {
        let at = self.members.binary_search_by(|member| member.peer.cmp(peer)).unwrap_or_else(|at| {
            self.members.insert(at, Member { peer: *peer, records: Vec::with_capacity(1) });
            at
        });
        &mut self.members[at]
    }

    fn count(&mut self, was: bool, is: bool, sizes: &mut [usize; SIZES]) {
        if let Some(class) = class(self.present) {
            sizes[class] -= 1;
        }
        self.present = self.present + usize::from(is) - usize::from(was);
        if let Some(class) = class(self.present) {
            sizes[class] += 1;
        }
    }
}

/// The class of a size; a swarm of tombstones has none.
fn class(present: usize) -> Option<usize> {
    present.checked_ilog2().map(|log| (log as usize).min(SIZES - 1))
}

fn adjust(homes: &mut Vec<(SignalerId, u32)>, home: SignalerId, more: bool) {
    match (homes.iter().position(|(known, _)| *known == home), more) {
        (Some(at), true) => homes[at].1 += 1,
        (Some(at), false) if homes[at].1 > 1 => homes[at].1 -= 1,
        (Some(at), false) => {
            homes.remove(at);
        }
        (None, true) => homes.push((home, 1)),
        (None, false) => {}
    }
}

/// The bucket in which something that expires at `until` is looked at.
fn bucket(until: Time) -> u64 {
    until.micros().div_ceil(BUCKET_MICROS)
}

fn bucket_end(bucket: u64) -> Time {
    Time::from_micros(bucket.saturating_mul(BUCKET_MICROS))
}

/// A random number below `bound`, which is not zero. The bias of 2^-64 times the bound does not matter here.
pub(crate) fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    let wide = u128::from(rng.next_u64()) * (bound as u128);
    usize::try_from(wide >> 64).unwrap_or(0)
}
