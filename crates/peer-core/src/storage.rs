//! What a party keeps, handed to the driver to be stored, and read again at the next start.
//!
//! A store is a list of keys with values for each party; what they mean is known here alone. Every value has a tag that only
//! our identity can make ([`weft_crypto::store`]): what was verified once is not verified by its signatures again, and
//! what does not have the tag is dropped and removed.
//!
//! Inputs: bundles that are kept or not kept any more, records, our own place, proofs of forks; what the driver says.
//! Outputs: [`StoreWork`]. Timers: changes that wait to be written together.
//! Invariants: of each party at most one write is under way, but for the last one; what waits is bounded by what is kept; a
//! store that fails costs a warning and a pause, and nothing else.
//!
//! ```text
//! key                                          value, each with its tag behind
//! 0 | feed (32)                                 last (8) | id of it (32) | numbers up to this may have been used (8)
//! 1 | feed                                      its author's signed peer record
//! 2 | feed | first (8) | id of the last (8)     since, µs (8) | last (8) | hops | alone | previous (32) | id (32) | bundle
//! 3 | feed                                      length (4) | bundle | another: a proof of its fork
//! 4 | hash (32)                                 a signed statement about members
//! 16 | feed | epoch (8)                           a chain of keys, sealed
//! ```
//! Numbers are big-endian.

use std::sync::Arc;
use std::time::Duration;

use weft_crypto::StoreKey;
use weft_wire::{Digest, DiscoveryKey, Epoch, PeerId, PublicationId, Tag, Time};

use crate::api::Output;
use crate::env::Env;
use crate::kept::Kept;
use crate::sorted::Map;

/// Changes are collected for this long.
const COLLECT: Duration = Duration::from_millis(50);
/// Bytes of values, and changes, in one write.
const WRITE_BYTES: usize = 1024 * 1024;
const WRITE_ROWS: usize = 2048;
/// After a write that failed nothing is written for this long.
const PAUSE: Duration = Duration::from_secs(60);
/// What was stored is waited for so long before others are answered without it.
const LOAD_WAIT: Duration = Duration::from_secs(5);
/// Own numbers that are marked as used beyond the last one: more than are published between two writes.
const RESERVE: u64 = 4096;

/// What the driver is to do with its store. Work of one party is to be done in the order in which it was given.
#[derive(Clone, Debug)]
pub enum StoreWork {
    /// Read what is stored of a party, in the order of keys, from behind `after` on: as much as is read well at once.
    /// Answered by [`StoreDone::Loaded`].
    Load {
        /// The party.
        discovery: DiscoveryKey,
        /// From behind this key on; none: from the beginning.
        after: Option<Vec<u8>>,
    },
    /// Put and remove, all of it or nothing. Answered by [`StoreDone::Written`] once that is durable, or has failed.
    Write {
        /// The party.
        discovery: DiscoveryKey,
        /// Names this work in the answer.
        work: u64,
        /// In place of what was there under the same key.
        put: Vec<StoreRow>,
        /// Keys; some may not be there.
        remove: Vec<Vec<u8>>,
    },
    /// Remove everything of a party. Answered by [`StoreDone::Written`].
    Forget {
        /// The party.
        discovery: DiscoveryKey,
        /// Names this work in the answer.
        work: u64,
    },
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRow {
    /// At most 64 bytes.
    pub key: Vec<u8>,
    /// Opaque.
    pub value: Vec<u8>,
}

/// What the driver did with its store.
#[derive(Clone, Debug)]
pub enum StoreDone {
    /// Some of what is stored of a party, or why it cannot be read.
    Loaded {
        /// The party.
        discovery: DiscoveryKey,
        /// In the order of their keys.
        rows: Result<Vec<StoreRow>, String>,
        /// There is more behind the last one.
        more: bool,
    },
    /// What became of a [`StoreWork::Write`] or [`StoreWork::Forget`].
    Written {
        /// Of which party.
        discovery: DiscoveryKey,
        /// Which work.
        work: u64,
        /// It is durable, or why it is not.
        outcome: Result<(), String>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Head(PeerId),
    Record(PeerId),
    Bundle(PeerId, u64, Tag),
    Proof(PeerId),
    Statement(Digest),
    Secret(PeerId, Epoch),
    /// Something that was read and is none of ours.
    Other(Vec<u8>),
}

/// Between which keys of a party its statements about members lie, the second not included: for a driver that reads those
/// alone, to have [`Peer::stored_statements`](crate::Peer::stored_statements) open them.
pub const STATEMENT_KEYS: ([u8; 1], [u8; 1]) = ([STATEMENT], [STATEMENT + 1]);
/// First byte of their keys.
const STATEMENT: u8 = 4;

/// The statements about members among rows of a party; what is none, or was stored by somebody else, is left out.
pub(crate) fn statements(seal: &StoreKey, discovery: &DiscoveryKey, rows: &[StoreRow]) -> Vec<Vec<u8>> {
    let opened = rows.iter().filter_map(|StoreRow { key, value }| {
        match Read::decode(key, seal.open(discovery, key, value)?)? {
            Read::Statement(bytes) => Some(bytes),
            _ => None,
        }
    });
    opened.collect()
}

#[derive(Debug)]
enum Change {
    /// With whether its key has never been handed out before: then it need not be removed.
    Put(Value, bool),
    Remove,
}

#[derive(Debug)]
enum Value {
    /// Of which number, its id.
    Head(u64, PublicationId),
    Record(Vec<u8>),
    Bundle(Arc<Kept>, bool),
    Proof(Vec<u8>, Vec<u8>),
    Statement(Vec<u8>),
    Secret(Vec<u8>),
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Read {
    Head { feed: PeerId, last: u64, id: PublicationId, used: u64 },
    Record { feed: PeerId, record: Vec<u8> },
    Bundle { kept: Kept, alone: bool },
    Proof { feed: PeerId, one: Vec<u8>, other: Vec<u8> },
    Statement(Vec<u8>),
    Secret { feed: PeerId, epoch: Epoch, sealed: Vec<u8> },
}

#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// None: nothing is stored.
    key: Option<StoreKey>,
    discovery: Option<DiscoveryKey>,
    /// Until when what was stored is waited for.
    loading: Option<Time>,
    changes: Map<Key, Change>,
    due: Option<Time>,
    /// At the end there may be several.
    under_way: Vec<(u64, Vec<(Key, Change)>)>,
    failed: bool,
    /// The next write only removes.
    removes_first: bool,
    damaged: u64,
    /// Feeds whose records were found, and whether they hold, until all has been read.
    pub(crate) records: Map<PeerId, bool>,
    /// Statements about members that were found, until all has been read.
    pub(crate) statements: Vec<Vec<u8>>,
    /// Chains of keys that were found, sealed, until all has been read.
    pub(crate) secrets: Vec<(PeerId, Epoch, Vec<u8>)>,
}

impl Storage {
    /// Begins to read, if anything is to be stored.
    pub(crate) fn new(discovery: DiscoveryKey, now: Time, env: &mut Env) -> Self {
        if !env.config.store {
            return Self::default();
        }
        env.out.push_back(Output::Store(StoreWork::Load { discovery, after: None }));
        let key = StoreKey::new(&env.keys.identity);
        let loading = Some(now + LOAD_WAIT);
        Self { key: Some(key), discovery: Some(discovery), loading, ..Self::default() }
    }

    /// What was stored may still come, and others should wait for it until then.
    pub(crate) fn loading(&self) -> Option<Time> {
        self.loading
    }

    /// Changes that are not durable yet.
    pub(crate) fn unstored(&self) -> usize {
        self.changes.len() + self.under_way.iter().map(|(_, changes)| changes.len()).sum::<usize>()
    }

    /// Writes that are under way.
    pub(crate) fn works(&self) -> impl Iterator<Item = u64> + '_ {
        self.under_way.iter().map(|(work, _)| *work)
    }

    /// Anything is stored.
    pub(crate) fn stores(&self) -> bool {
        self.key.is_some()
    }

    // ---- changes ----

    /// `new`: it was not put before.
    pub(crate) fn put(&mut self, now: Time, kept: &Arc<Kept>, (alone, new): (bool, bool)) {
        self.change(now, Key::of(kept), Change::Put(Value::Bundle(Arc::clone(kept), alone), new));
    }

    pub(crate) fn put_record(&mut self, now: Time, feed: PeerId, record: &[u8]) {
        if self.key.is_some() {
            self.change(now, Key::Record(feed), Change::Put(Value::Record(record.to_vec()), false));
        }
    }

    pub(crate) fn put_head(&mut self, now: Time, me: PeerId, last: u64, id: PublicationId) {
        self.change(now, Key::Head(me), Change::Put(Value::Head(last, id), false));
    }

    pub(crate) fn put_proof(&mut self, now: Time, feed: PeerId, one: &[u8], other: &[u8]) {
        if self.key.is_some() {
            let proof = Value::Proof(one.to_vec(), other.to_vec());
            self.change(now, Key::Proof(feed), Change::Put(proof, false));
        }
    }

    pub(crate) fn put_statement(&mut self, now: Time, bytes: &[u8]) {
        if self.key.is_some() {
            let key = Key::Statement(weft_crypto::digest(bytes));
            self.change(now, key, Change::Put(Value::Statement(bytes.to_vec()), false));
        }
    }

    pub(crate) fn remove_statement(&mut self, now: Time, bytes: &[u8]) {
        self.change(now, Key::Statement(weft_crypto::digest(bytes)), Change::Remove);
    }

    pub(crate) fn put_secret(&mut self, now: Time, feed: PeerId, epoch: Epoch, sealed: Vec<u8>) {
        self.change(now, Key::Secret(feed, epoch), Change::Put(Value::Secret(sealed), false));
    }

    pub(crate) fn remove_secret(&mut self, now: Time, feed: PeerId, epoch: Epoch) {
        self.change(now, Key::Secret(feed, epoch), Change::Remove);
    }

    pub(crate) fn remove(&mut self, now: Time, kept: &Kept) {
        self.change(now, Key::of(kept), Change::Remove);
    }

    pub(crate) fn remove_proof(&mut self, now: Time, feed: PeerId) {
        self.change(now, Key::Proof(feed), Change::Remove);
    }

    pub(crate) fn remove_record(&mut self, now: Time, feed: PeerId) {
        self.change(now, Key::Record(feed), Change::Remove);
    }

    fn change(&mut self, now: Time, key: Key, mut change: Change) {
        if self.key.is_none() {
            return;
        }
        match (&mut change, self.changes.get(&key)) {
            // What is put and removed before it was written need not be written at all. Should it have been there from
            // before, as it may in a store that others share, the next start removes it.
            (Change::Remove, Some(Change::Put(_, true))) => {
                self.changes.remove(&key);
                return;
            }
            (Change::Put(_, new), Some(before)) => *new = matches!(before, Change::Put(_, true)),
            _ => {}
        }
        self.changes.insert(key, change);
        self.due.get_or_insert(now + COLLECT);
    }

    // ---- writes ----

    /// Gives out what is due; with `all`, all that there is.
    pub(crate) fn write(&mut self, now: Time, all: bool, env: &mut Env) {
        self.loading = self.loading.filter(|until| *until > now);
        loop {
            let is_due = self.due.is_some_and(|at| at <= now) && self.under_way.is_empty();
            if self.changes.is_empty() || !(is_due || all) {
                return;
            }
            self.write_some(now, env);
        }
    }

    fn write_some(&mut self, now: Time, env: &mut Env) {
        let (Some(seal), Some(discovery)) = (&self.key, self.discovery) else { return };
        let (mut put, mut remove, mut bytes) = (Vec::new(), Vec::new(), 0);
        let removes = |change: &Change| matches!(change, Change::Remove);
        let removes_only = std::mem::take(&mut self.removes_first) && self.changes.values().any(removes);
        let mut changes = std::mem::take(&mut self.changes).into_iter();
        let (mut written, mut later) = (Vec::new(), Vec::new());
        for (name, change) in changes.by_ref() {
            if removes_only && matches!(change, Change::Put(..)) {
                later.push((name, change));
                continue;
            }
            let key = name.encode();
            match &change {
                Change::Remove => remove.push(key),
                Change::Put(value, _) => {
                    let value = seal.seal(&discovery, &key, value.encode());
                    bytes += value.len();
                    put.push(StoreRow { key, value });
                }
            }
            written.push((name, change));
            if bytes >= WRITE_BYTES || put.len() + remove.len() >= WRITE_ROWS {
                break;
            }
        }
        self.changes = later.into_iter().chain(changes).collect();
        self.due = (!self.changes.is_empty()).then_some(now);
        let work = env.next_store_work();
        self.under_way.push((work, written));
        env.out.push_back(Output::Store(StoreWork::Write { discovery, work, put, remove }));
    }

    /// A write has ended. What was in one that failed waits for the next one; the peer goes on.
    pub(crate) fn on_written(&mut self, now: Time, work: u64, outcome: Result<(), String>, env: &mut Env) {
        let Some(at) = self.under_way.iter().position(|(of, _)| *of == work) else { return };
        let (_, written) = self.under_way.remove(at);
        match outcome {
            Ok(()) => self.failed &= !written.iter().any(|(_, change)| matches!(change, Change::Put(..))),
            Err(reason) => {
                for (key, change) in written {
                    // Something newer may have happened to it. Nothing of a write that failed is there.
                    self.changes.entry(key).or_insert(change);
                }
                self.due = Some(now + PAUSE);
                // It may be full: what is removed makes room, if nothing is put together with it.
                self.removes_first = true;
                if !std::mem::replace(&mut self.failed, true) {
                    let text = format!(
                        "what this party keeps could not be stored ({reason}); it is kept in memory and tried again in a minute"
                    );
                    env.warn("store-failed", text);
                }
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let write = self.due.filter(|_| self.under_way.is_empty() && !self.changes.is_empty());
        [self.loading, write].into_iter().flatten().min()
    }

    // ---- reading ----

    /// What has been read. What is none of ours is removed.
    pub(crate) fn read(&mut self, now: Time, rows: Vec<StoreRow>) -> Vec<Read> {
        let (Some(seal), Some(discovery)) = (self.key.clone(), self.discovery) else { return Vec::new() };
        let mut read = Vec::with_capacity(rows.len());
        for StoreRow { key, value } in rows {
            let value = seal.open(&discovery, &key, &value);
            if let Some(one) = value.and_then(|value| Read::decode(&key, value)) {
                read.push(one);
            } else {
                self.damaged += 1;
                self.change(now, Key::Other(key), Change::Remove);
            }
        }
        read
    }

    /// All has been read, or cannot be, or has taken too long.
    pub(crate) fn on_loaded(&mut self, failed: Option<String>, env: &mut Env) {
        self.loading = None;
        let reason = failed.or_else(|| {
            (self.damaged > 0).then(|| format!("{} entries were damaged and are removed", self.damaged))
        });
        if let Some(reason) = reason {
            env.warn(
                "store-damaged",
                format!("what was stored of this party could not all be read: {reason}"),
            );
        }
        self.damaged = 0;
    }
}

impl Key {
    fn of(kept: &Kept) -> Self {
        Self::Bundle(kept.feed, kept.first, Tag::from(&kept.id))
    }

    fn encode(&self) -> Vec<u8> {
        let (kind, feed, rest) = match self {
            Self::Head(feed) => (0, &feed.0, None),
            Self::Record(feed) => (1, &feed.0, None),
            Self::Bundle(feed, first, id) => (2, &feed.0, Some((first, id))),
            Self::Proof(feed) => (3, &feed.0, None),
            Self::Statement(hash) => (STATEMENT, &hash.0, None),
            Self::Secret(feed, epoch) => return [&[16][..], &feed.0, &epoch.0].concat(),
            Self::Other(key) => return key.clone(),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(feed);
        if let Some((first, id)) = rest {
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&id.0);
        }
        bytes
    }
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Head(last, id) => {
                [&last.to_be_bytes()[..], &id.0, &last.saturating_add(RESERVE).to_be_bytes()].concat()
            }
            Self::Record(bytes) | Self::Statement(bytes) | Self::Secret(bytes) => bytes.clone(),
            Self::Bundle(kept, alone) => [
                &kept.since.micros().to_be_bytes()[..],
                &kept.last.to_be_bytes(),
                &[kept.hops, u8::from(*alone)],
                &kept.previous.0,
                &kept.id.0,
                &kept.bytes,
            ]
            .concat(),
            Self::Proof(one, other) => {
                let len = u32::try_from(one.len()).unwrap_or_default().to_be_bytes();
                [&len[..], one, other].concat()
            }
        }
    }
}

impl Read {
    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let (mut key, mut value) = (Reader(key), Reader(value));
        let [kind] = key.take()?;
        let feed = PeerId(key.take()?);
        Some(match kind {
            0 => Self::Head {
                feed,
                last: value.number()?,
                id: PublicationId(value.take()?),
                used: value.number()?,
            },
            1 => Self::Record { feed, record: value.0.to_vec() },
            2 => {
                let first = key.number()?;
                let since = Time::ZERO + Duration::from_micros(value.number()?);
                let last = value.number().filter(|last| *last >= first)?;
                let [hops, alone] = value.take()?;
                let (previous, id) = (PublicationId(value.take()?), PublicationId(value.take()?));
                let bytes = value.0.to_vec();
                let kept = Kept { feed, first, last, since, hops, previous, id, bytes, record: Vec::new() };
                Self::Bundle { kept, alone: alone == 1 }
            }
            3 => {
                let len = u32::from_be_bytes(value.take()?);
                let (one, other) = value.0.split_at_checked(usize::try_from(len).ok()?)?;
                Self::Proof { feed, one: one.to_vec(), other: other.to_vec() }
            }
            STATEMENT => Self::Statement(value.0.to_vec()),
            16 => Self::Secret { feed, epoch: Epoch(key.take()?), sealed: value.0.to_vec() },
            _ => return None,
        })
    }
}

/// Takes bytes from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}
