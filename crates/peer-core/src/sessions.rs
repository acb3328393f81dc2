//! Sessions with other peers: the state of [`weft_crypto::correspondence`], what has to wait until it is stored, and what
//! is stored beside it.
//!
//! Inputs: contents to seal, frames of sessions that came, prekeys of others; what the driver says of the store.
//! Outputs: sealed frames; [`StoreWork`]; what was [`Held`] back until what it follows from was durable.
//! Timers: what was stored is waited for so long.
//! Invariants: nothing that was sealed leaves, and nothing that was opened is told or confirmed, before the state that
//! belongs to it is durable, together with the message; at most one write is under way; where the store fails, sessions
//! begin anew and live in memory, so that no key is used twice. Without a store all of it lives in memory, and nothing waits.
//!
//! The rows lie in a place of the peer's own, every value sealed by the key of its vault:
//!
//! ```text
//! key             value
//! 0, 1 | peer     see `weft_crypto::correspondence`
//! 3 | id (16)     when it came, ms (8), each later than the one before, and unless it was told: its identity (32) | peer (32) | time ms (8) | body
//! 4 | number (8)  what is left for others: see [`crate::outbox`]
//! 5 | id (16)     a message of ours that is left for others: see [`crate::mail`]
//! 6 | hash (32)   an envelope that we have collected, and when, ms (8)
//! 7 | peer        our residence knows (1) | the signed revocation of a peer of our identity, perhaps our own
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::challenge::Collection;
use weft_crypto::correspondence::{Correspondence, Opened, SessionError};
use weft_crypto::session::Ratchets;
use weft_crypto::vault::{self, VaultKey};
use weft_wire::sealed::Sealed;
use weft_wire::{Digest, DiscoveryKey, IdentityId, MessageId, PeerId, Time};

use crate::api::Output;
use crate::env::Env;
use crate::roster::Contact;
use crate::sorted::Map;
use crate::storage::{Reader, StoreRow, StoreWork};

/// What was stored is waited for so long.
const LOAD_WAIT: Duration = Duration::from_secs(5);
/// Prekeys of others that are kept.
const PREKEYS: usize = 512;
/// First bytes of the keys of rows.
const MESSAGE: u8 = 3;
const PARCEL: u8 = 4;
const LEFT: u8 = 5;
const COLLECTED: u8 = 6;
const REVOCATION: u8 = 7;

/// What waits until everything that it follows from is durable.
#[derive(Debug)]
pub(crate) enum Held {
    /// To seal for a peer and to send; for this message of ours, if it is one.
    Send {
        to: PeerId,
        contact: Option<Contact>,
        contents: Box<Sealed>,
        attempt: u32,
        message: Option<MessageId>,
    },
    /// A prekey for a neighbour.
    Prekey { to: PeerId, prekey: Vec<u8> },
    /// To tell the application; of this message, if it is kept until then.
    Tell { said: VecDeque<Output>, message: Option<MessageId> },
    /// Something of this number may be left for somebody.
    Parcel(u64),
    /// Prekeys may be given to our residence.
    Publish(Vec<Vec<u8>>),
    /// These envelopes of our mailbox may be deleted.
    Taken { of: Collection, ids: Vec<Digest> },
}

/// A message that is kept until the application was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) id: MessageId,
    pub(crate) from: IdentityId,
    pub(crate) peer: PeerId,
    pub(crate) time: u64,
    pub(crate) body: Vec<u8>,
}

/// What was read of the store.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Messages that came before, oldest first.
    pub(crate) received: Vec<MessageId>,
    /// Those of them of which the application was not told.
    pub(crate) untold: Vec<Kept>,
    /// What is left for others, by its number; and messages that are.
    pub(crate) parcels: Vec<(u64, Vec<u8>)>,
    pub(crate) left: Vec<(MessageId, Vec<u8>)>,
    /// Envelopes that were collected, oldest first.
    pub(crate) collected: Vec<Digest>,
    /// Revocations of peers of our identity, and whether our residence has them.
    pub(crate) revocations: Vec<(PeerId, bool, Vec<u8>)>,
}

#[derive(Debug)]
enum Store {
    /// There is none, or it has failed.
    None,
    /// What is there is being read, and waited for until then.
    Loading(Time, Vec<StoreRow>),
    Ready,
}

#[derive(Debug)]
pub(crate) struct Sessions {
    with: Correspondence<Ratchets>,
    vault: VaultKey,
    place: DiscoveryKey,
    store: Store,
    /// Of others, to begin sessions with.
    prekeys: Map<PeerId, Vec<u8>>,
    /// Who was asked for one, how often.
    asked: Map<PeerId, u32>,
    /// Rows that are to be written; none: removed.
    rows: Map<Vec<u8>, Option<Vec<u8>>>,
    /// Messages that have a row, oldest first.
    received: VecDeque<MessageId>,
    /// When the last of them came, in ms: each a little later than the one before.
    last_came: u64,
    held: Vec<Held>,
    under_way: Option<(u64, Vec<Held>)>,
}

impl Sessions {
    /// Begins to read, if anything is stored.
    pub(crate) fn new(now: Time, env: &mut Env) -> Self {
        let place = vault::place(&env.me);
        let store = if env.config.store && env.config.store_peer {
            env.out.push_back(Output::Store(StoreWork::Load { discovery: place, after: None }));
            Store::Loading(now + LOAD_WAIT, Vec::new())
        } else {
            Store::None
        };
        Self {
            with: Correspondence::new(env.me, &mut env.rng),
            vault: VaultKey::new(&env.keys.peer),
            place,
            store,
            prekeys: Map::new(),
            asked: Map::new(),
            rows: Map::new(),
            received: VecDeque::new(),
            last_came: 0,
            held: Vec::new(),
            under_way: None,
        }
    }

    /// The place of our rows in the store.
    pub(crate) fn place(&self) -> DiscoveryKey {
        self.place
    }

    /// What was stored may still come: until then nothing is sealed or opened.
    pub(crate) fn is_loading(&self) -> bool {
        matches!(self.store, Store::Loading(..))
    }

    pub(crate) fn stores(&self) -> bool {
        !matches!(self.store, Store::None)
    }

    /// There is, or was, a session with a peer.
    pub(crate) fn knows(&self, peer: &PeerId) -> bool {
        self.with.knows(peer)
    }

    /// There is a session with a peer.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.with.has(peer)
    }

    /// Changes that are not durable yet.
    pub(crate) fn unstored(&self) -> usize {
        let waits = matches!(self.store, Store::Ready) && (self.with.is_changed() || !self.rows.is_empty());
        usize::from(waits) + usize::from(self.under_way.is_some())
    }

    /// What was sealed, is no message, and waits to be durable before it leaves: keys and receipts.
    pub(crate) fn unsaid(&self) -> usize {
        let held = self.held.iter().chain(self.under_way.iter().flat_map(|(_, held)| held));
        held.filter(|held| matches!(held, Held::Send { message: None, .. })).count()
    }

    // ---- what is said ----

    /// Seals contents for a peer, in a session that is begun if there is none. None if a prekey of it is lacking.
    pub(crate) fn seal(&mut self, now: Time, to: PeerId, plain: &[u8], env: &mut Env) -> Option<Vec<u8>> {
        if !self.begin(now, to, env) {
            return None;
        }
        let sealed = self.with.seal(&mut env.rng, to, plain);
        if let Err(error) = &sealed {
            env.warn("not-sealed", error.to_string());
        }
        sealed.ok()
    }

    /// Begins a session with a peer if there is none; false if a good prekey of it is lacking. What is begun is stored, so that a
    /// prekey that came once is of use in the next run as well.
    pub(crate) fn begin(&mut self, now: Time, to: PeerId, env: &mut Env) -> bool {
        if self.with.has(&to) {
            return true;
        }
        let Some(prekey) = self.prekeys.remove(&to) else { return false };
        let begun = self.with.begin(&mut env.rng, now.millis(), to, &prekey);
        begun.inspect_err(|_| env.stats.forged += 1).is_ok()
    }

    /// Opens what came in a session.
    pub(crate) fn open(&mut self, from: PeerId, frame: &[u8]) -> Result<Opened, SessionError> {
        self.with.open(from, frame)
    }

    /// Nothing is said in sessions with a peer any more.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.with.forget(peer);
        self.prekeys.remove(peer);
        self.asked.remove(peer);
    }

    /// A peer's prekey has come. Whether it is one is looked at when it is used.
    pub(crate) fn on_prekey(&mut self, from: PeerId, prekey: Vec<u8>) {
        if self.prekeys.len() >= PREKEYS && !self.prekeys.contains_key(&from) {
            self.prekeys.pop_first();
        }
        self.asked.remove(&from);
        self.prekeys.insert(from, prekey);
    }

    /// A peer is asked for a prekey: how often it was before.
    pub(crate) fn ask(&mut self, peer: PeerId) -> u32 {
        if self.asked.len() >= PREKEYS && !self.asked.contains_key(&peer) {
            self.asked.pop_first();
        }
        let times = self.asked.entry(peer).or_default();
        *times = times.saturating_add(1);
        *times - 1
    }

    /// A peer was asked for a prekey, and has not answered yet.
    pub(crate) fn is_asked(&self, peer: &PeerId) -> bool {
        self.asked.contains_key(peer)
    }

    /// A prekey of ours for a peer that asks, or has just become a neighbour.
    pub(crate) fn hand_out(&mut self, now: Time, to: PeerId, env: &mut Env) -> Vec<u8> {
        self.with.hand_out(&mut env.rng, &env.keys.peer, now.millis(), to)
    }

    /// The prekey for a peer that is told that its session is lost.
    pub(crate) fn fallback(&mut self, now: Time, env: &mut Env) -> Option<Vec<u8>> {
        // Makes one only if there is none that is fresh; others are none of this peer's business.
        self.with.replenish(&mut env.rng, &env.keys.peer, now.millis(), usize::MAX);
        self.with.fallback(&env.keys.peer)
    }

    /// A prekey of this peer is here.
    pub(crate) fn has_prekey(&self, peer: &PeerId) -> bool {
        self.prekeys.contains_key(peer)
    }

    /// Prekeys for our residence, where so many lie unused.
    pub(crate) fn replenish(&mut self, now: Time, unused: usize, env: &mut Env) -> Vec<Vec<u8>> {
        self.with.replenish(&mut env.rng, &env.keys.peer, now.millis(), unused)
    }

    // ---- what is held back and stored ----

    /// Stores what is left for others, a message of ours that is, or that an envelope was collected; none: not any more.
    pub(crate) fn put_parcel(&mut self, number: u64, value: Option<Vec<u8>>) {
        self.put([&[PARCEL][..], &number.to_be_bytes()].concat(), value);
    }

    pub(crate) fn put_left(&mut self, id: &MessageId, value: Option<Vec<u8>>) {
        self.put([&[LEFT][..], &id.0].concat(), value);
    }

    pub(crate) fn put_collected(&mut self, id: &Digest, at: Option<Time>) {
        let value = at.map(|at| at.millis().to_be_bytes().to_vec());
        self.put([&[COLLECTED][..], &id.0].concat(), value);
    }

    pub(crate) fn put_revocation(&mut self, peer: &PeerId, value: Option<(bool, &[u8])>) {
        let value = value.map(|(told, bytes)| [&[u8::from(told)], bytes].concat());
        self.put([&[REVOCATION][..], &peer.0].concat(), value);
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        if self.stores() {
            self.rows.insert(key, value);
        }
    }

    /// Something is to be done once all that was sealed, opened and kept so far is durable.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held.push(held);
    }

    /// Keeps a message until the application was told of it, and its id for as long as `most` others have not come.
    pub(crate) fn keep(&mut self, now: Time, kept: &Kept, most: usize) {
        if !self.stores() {
            return;
        }
        self.last_came = now.millis().max(self.last_came + 1);
        let value = [
            &self.last_came.to_be_bytes()[..],
            &kept.from.0,
            &kept.peer.0,
            &kept.time.to_be_bytes(),
            &kept.body,
        ];
        self.rows.insert(row(&kept.id), Some(value.concat()));
        self.received.push_back(kept.id);
        while self.received.len() > most
            && let Some(oldest) = self.received.pop_front()
        {
            self.rows.insert(row(&oldest), None);
        }
    }

    /// The application was told of a message.
    pub(crate) fn on_told(&mut self, now: Time, id: &MessageId) {
        if self.stores() && self.received.contains(id) {
            self.rows.insert(row(id), Some(now.millis().to_be_bytes().to_vec()));
        }
    }

    /// Gives the store what has changed; gives back what waits for nothing. With `all`, also behind another write, and what
    /// was held back is dropped: nothing comes after this.
    pub(crate) fn write(&mut self, all: bool, env: &mut Env) -> Vec<Held> {
        match self.store {
            Store::None => return std::mem::take(&mut self.held),
            Store::Loading(..) => return Vec::new(),
            Store::Ready => {}
        }
        if self.under_way.is_some() && !all {
            return Vec::new();
        }
        if !self.with.is_changed() && self.rows.is_empty() {
            return std::mem::take(&mut self.held);
        }
        let (mut put, mut remove) = (Vec::new(), Vec::new());
        for change in self.with.changes(&mut env.rng, &self.vault) {
            match change.value {
                Some(value) => put.push(StoreRow { key: change.key, value }),
                None => remove.push(change.key),
            }
        }
        for (key, value) in std::mem::take(&mut self.rows) {
            match value {
                Some(value) => {
                    put.push(StoreRow { value: self.vault.seal(&mut env.rng, &key, &value), key });
                }
                None => remove.push(key),
            }
        }
        let work = env.next_store_work();
        self.under_way = Some((work, std::mem::take(&mut self.held)));
        env.out.push_back(Output::Store(StoreWork::Write { discovery: self.place, work, put, remove }));
        Vec::new()
    }

    /// A write has ended. Gives what was held back for it.
    pub(crate) fn on_written(&mut self, work: u64, outcome: Result<(), String>, env: &mut Env) -> Vec<Held> {
        let Some((_, held)) = self.under_way.take_if(|(of, _)| *of == work) else { return Vec::new() };
        match outcome {
            Ok(()) => held,
            Err(reason) => self.fail(&reason, held, env),
        }
    }

    /// Sessions begin anew: the keys of those that could not be stored are not used any more. What was opened is told.
    fn fail(&mut self, reason: &str, held: Vec<Held>, env: &mut Env) -> Vec<Held> {
        env.warn(
            "sessions-not-stored",
            format!("the state of sessions could not be stored ({reason}); until the next start they live in memory"),
        );
        self.store = Store::None;
        self.with = Correspondence::new(env.me, &mut env.rng);
        self.rows.clear();
        let all = held.into_iter().chain(std::mem::take(&mut self.held));
        all.filter(|held| matches!(held, Held::Tell { .. })).collect()
    }

    // ---- reading ----

    /// Some of what is stored. Gives what there is once that is all of it; or where to go on.
    pub(crate) fn on_loaded(
        &mut self,
        rows: Result<Vec<StoreRow>, String>,
        more: bool,
        env: &mut Env,
    ) -> Result<Loaded, Option<Vec<u8>>> {
        let Store::Loading(_, read) = &mut self.store else { return Err(None) };
        match rows {
            Err(reason) => {
                self.fail(&reason, Vec::new(), env);
                return Ok(Loaded::default());
            }
            Ok(rows) => read.extend(rows),
        }
        if more {
            return Err(read.last().map(|row| row.key.clone()));
        }
        let read = std::mem::take(read);
        self.store = Store::Ready;
        let own = read.iter().filter(|row| row.key.first() < Some(&MESSAGE));
        let rows = own.map(|row| (row.key.as_slice(), row.value.as_slice()));
        if let Some(with) = Correspondence::restore(env.me, &self.vault, rows) {
            self.with = with;
        }
        Ok(self.messages(&read))
    }

    /// What was not read in time is taken for lost.
    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> bool {
        let late = matches!(self.store, Store::Loading(until, _) if until <= now);
        if late {
            self.fail("it was not read in time", Vec::new(), env);
        }
        late
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        if let Store::Loading(until, _) = self.store { Some(until) } else { None }
    }

    fn messages(&mut self, rows: &[StoreRow]) -> Loaded {
        let (mut received, mut untold) = (Vec::new(), Vec::new());
        let (mut loaded, mut collected) = (Loaded::default(), Vec::new());
        for StoreRow { key, value } in rows {
            let Some((kind, id)) = key.split_first() else { continue };
            if (PARCEL..=REVOCATION).contains(kind) {
                let Some(value) = self.vault.open(key, value) else {
                    self.rows.insert(key.clone(), None);
                    continue;
                };
                let mut id = Reader(id);
                match *kind {
                    PARCEL => loaded.parcels.extend(id.number().map(|number| (number, value.to_vec()))),
                    LEFT => loaded.left.extend(id.take().map(|id| (MessageId(id), value.to_vec()))),
                    REVOCATION => loaded.revocations.extend(
                        id.take()
                            .zip(value.split_first())
                            .map(|(peer, (told, bytes))| (PeerId(peer), *told == 1, bytes.to_vec())),
                    ),
                    _ => collected.extend(Reader(&value).number().zip(id.take().map(Digest))),
                }
                continue;
            }
            if *kind != MESSAGE {
                continue;
            }
            let read = <[u8; 16]>::try_from(id).ok().zip(self.vault.open(key, value));
            let Some((id, value)) = read.map(|(id, value)| (MessageId(id), value)) else {
                self.rows.insert(key.clone(), None);
                continue;
            };
            let Some((came, rest)) = value.split_first_chunk() else { continue };
            let came = u64::from_be_bytes(*came);
            received.push((came, id));
            if let Some(kept) = Kept::read(id, rest) {
                untold.push((came, kept));
            }
        }
        received.sort_unstable();
        self.last_came = received.last().map_or(0, |(came, _)| *came);
        untold.sort_unstable_by_key(|(came, kept)| (*came, kept.id));
        self.received = received.iter().map(|(_, id)| *id).collect();
        collected.sort_unstable();
        loaded.received = received.into_iter().map(|(_, id)| id).collect();
        loaded.untold = untold.into_iter().map(|(_, kept)| kept).collect();
        loaded.collected = collected.into_iter().map(|(_, id)| id).collect();
        loaded
    }
}

impl Kept {
    fn read(id: MessageId, bytes: &[u8]) -> Option<Self> {
        let (from, rest) = bytes.split_first_chunk()?;
        let (peer, rest) = rest.split_first_chunk()?;
        let (time, body) = rest.split_first_chunk()?;
        let (from, peer, time) = (IdentityId(*from), PeerId(*peer), u64::from_be_bytes(*time));
        Some(Self { id, from, peer, time, body: body.to_vec() })
    }
}

fn row(id: &MessageId) -> Vec<u8> {
    [&[MESSAGE], &id.0[..]].concat()
}
