//! Messages of others that come in parts.
//!
//! Inputs: announcements, parts, what was taken back.
//! Outputs: [`State`] to tell the sender; whole messages.
//! Timers: a word to the sender [`TELL_AFTER`] a part came; a message of which nothing comes is forgotten.
//! Invariants: nothing is reserved for what was only announced: a message takes at most twice the memory of what came of
//! it, and has a place, as long as it is, from its first whole part on; the places of all, and the announced lengths of
//! one identity, stay within the configured bounds; nothing in a place gives way to what was only announced, but within
//! one identity; a message is given out once, whole, with the hash that was announced.

use std::time::Duration;

use weft_crypto::digest;
use weft_crypto::part::PartKey;
use weft_wire::{Digest, IdentityId, MessageId, PeerId, Time, limits};

use crate::env::Env;
use crate::mail::Head;
use crate::sorted::Map;

/// So many new parts are told of at once.
const TELL_PARTS: u32 = 2;
/// And fewer after so long.
const TELL_AFTER: Duration = Duration::from_millis(25);
/// Messages of one identity that are kept at once; of all, those that have a place, and as many others.
const EACH: usize = 16;
const ALL: usize = 128;
/// A message of which nothing came for so long makes room for another one that really comes.
const IDLE: Duration = Duration::from_secs(2);

pub(crate) type Key = (PeerId, MessageId);

#[derive(Debug, Default)]
pub(crate) struct Assemblies {
    list: Map<Key, Assembly>,
}

/// A message that is not whole yet.
#[derive(Debug)]
struct Assembly {
    head: Head,
    length: usize,
    hash: Digest,
    /// Its parts are sealed under it.
    key: Option<PartKey>,
    run: u32,
    /// Every part up to the first that is missing.
    bytes: Vec<u8>,
    /// Parts after that one.
    ahead: Map<u32, Vec<u8>>,
    /// When it was announced, or the last new part came.
    heard: Time,
    /// New parts since the sender was told.
    untold: u32,
    tell_at: Option<Time>,
    /// The last part did not come over the link.
    around: bool,
}

/// What to tell the sender of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) run: u32,
    pub(crate) next: u32,
    pub(crate) ahead: u64,
    /// There is no room for it.
    pub(crate) full: bool,
    /// Bytes that are here, and all.
    pub(crate) received: (usize, usize),
    /// The link may be broken.
    pub(crate) around: bool,
}

/// What a part led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing to do now.
    Kept,
    /// The sender is to be told where it stands.
    Tell,
    /// All is here.
    Whole(Head, Vec<u8>),
    /// There is no place for it. It is forgotten, as the sender is to be told.
    Full(Head, State),
    /// It is not as announced. It is forgotten.
    Bad(&'static str),
}

impl Assemblies {
    /// Somebody has a message for us. Says what is here of it.
    pub(crate) fn on_large(
        &mut self,
        now: Time,
        key: Key,
        (head, length, hash, part_key): (Head, usize, Digest, Option<PartKey>),
        env: &mut Env,
    ) -> State {
        let is_it = |one: &Assembly| {
            let same_key = one.key.as_ref().map(PartKey::secret) == part_key.as_ref().map(PartKey::secret);
            one.length == length && one.hash == hash && same_key
        };
        let known = self.list.get(&key).is_some_and(is_it);
        if !known {
            self.list.remove(&key);
            if !self.may_come(now, &head.from, length, env) {
                return State::full(length, false);
            }
            let one = Assembly {
                head,
                length,
                hash,
                key: part_key,
                run: u32::from_le_bytes(env.random()),
                bytes: Vec::new(),
                ahead: Map::new(),
                heard: now,
                untold: 0,
                tell_at: None,
                around: false,
            };
            self.list.insert(key, one);
        }
        // It is there, or was put there.
        self.list.get_mut(&key).map_or_else(|| State::full(length, false), Assembly::tell)
    }

    /// Whether a message may be announced. Those of its identity that idle make room for it; of others only one of which
    /// nothing has come, where there are too many.
    fn may_come(&mut self, now: Time, from: &IdentityId, length: usize, env: &Env) -> bool {
        let own = |one: &Assembly| one.head.from == *from;
        let each = (EACH, env.config.parts_each);
        while !fits(self.list.values().filter(|one| own(one)).map(|one| one.length), length, each) {
            if !self.remove_oldest(|_, one| own(one) && one.is_idle(now)) {
                return false;
            }
        }
        let placed = self.list.values().filter(|one| one.has_place() && !one.is_idle(now));
        if !fits(placed.map(|one| one.length), length, (ALL, env.config.parts_all)) {
            return false;
        }
        let waits = |one: &Assembly| !one.has_place();
        self.list.values().filter(|one| waits(one)).count() < ALL || self.remove_oldest(|_, one| waits(one))
    }

    /// Whether so many bytes of a message may be kept. Bytes that are no whole part give way, and to a whole part also
    /// messages that idle.
    fn may_keep(&mut self, now: Time, key: &Key, bytes: usize, env: &Env) -> bool {
        let Some(one) = self.list.get(key).filter(|one| !one.has_place()) else { return true };
        let come = one.received() + bytes;
        let place = come >= limits::PART.min(one.length);
        let room = if place { one.length } else { come };
        let gives_way = |other: &Key, one: &Assembly| {
            other != key && one.received() > 0 && (!one.has_place() || (place && one.is_idle(now)))
        };
        let all = (ALL, env.config.parts_all);
        let others = |list: &Map<Key, Assembly>, which: &dyn Fn(&Key, &Assembly) -> bool| {
            let those = list.iter().filter(|(other, one)| *other != key && one.received() > 0);
            fits(those.filter(|(other, one)| which(other, one)).map(|(_, one)| one.room()), room, all)
        };
        if !others(&self.list, &|other, one| !gives_way(other, one)) {
            return false;
        }
        while !others(&self.list, &|_, _| true) {
            if !self.remove_oldest(gives_way) {
                return false;
            }
        }
        true
    }

    /// Forgets one of these: first those without a place, then the one that has idled longest.
    fn remove_oldest(&mut self, which: impl Fn(&Key, &Assembly) -> bool) -> bool {
        let those = self.list.iter().filter(|(key, one)| which(key, one));
        let oldest = those.min_by_key(|(_, one)| (one.has_place(), one.heard)).map(|(key, _)| *key);
        oldest.is_some_and(|key| self.list.remove(&key).is_some())
    }

    /// A part of a message; of one that is not known nothing is taken.
    pub(crate) fn on_part(
        &mut self,
        now: Time,
        key: &Key,
        (at, part): (u32, Vec<u8>),
        around: bool,
        env: &Env,
    ) -> Outcome {
        let Some(one) = self.list.get_mut(key) else { return Outcome::Kept };
        let opened = match &one.key {
            Some(part_key) => part_key.open(&key.1, at, &part),
            None => Some(part),
        };
        let Some(part) = opened else {
            self.list.remove(key);
            return Outcome::Bad("a part of a message that is not sealed as it must be");
        };
        let begin = (at as usize).saturating_mul(limits::PART);
        if begin >= one.length || part.len() != limits::PART.min(one.length - begin) {
            self.list.remove(key);
            return Outcome::Bad("a part of a message that has not the length it must have");
        }
        one.around = around;
        let next = one.next();
        if at < next || at > next.saturating_add(limits::PARTS_AHEAD) || one.ahead.contains_key(&at) {
            // The sender does not know that it is here, or is too far ahead.
            one.untold += 1;
            one.tell_at.get_or_insert(now + TELL_AFTER);
            return Outcome::Kept;
        }
        if !self.may_keep(now, key, part.len(), env) {
            let Some(one) = self.list.remove(key) else { return Outcome::Kept };
            return Outcome::Full(one.head, State::full(one.length, around));
        }
        let Some(one) = self.list.get_mut(key) else { return Outcome::Kept };
        one.heard = now;
        one.take(at, part);
        if one.bytes.len() == one.length {
            return match self.list.remove(key) {
                Some(one) if digest(&one.bytes) == one.hash => Outcome::Whole(one.head, one.bytes),
                _ => Outcome::Bad("a message that has not the hash it was announced with"),
            };
        }
        one.untold += 1;
        one.tell_at.get_or_insert(now + TELL_AFTER);
        // A gap is told of at once: what is missing may be lost.
        if one.untold >= TELL_PARTS { Outcome::Tell } else { Outcome::Kept }
    }

    /// What to tell the sender of a message.
    pub(crate) fn tell(&mut self, key: &Key) -> Option<State> {
        self.list.get_mut(key).map(Assembly::tell)
    }

    pub(crate) fn head(&self, key: &Key) -> Option<&Head> {
        self.list.get(key).map(|one| &one.head)
    }

    /// The sender does not go on with it.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.list.remove(key);
    }

    /// Bytes that are here of messages that are not whole.
    pub(crate) fn bytes(&self) -> usize {
        self.list.values().map(Assembly::received).sum()
    }

    /// Forgets what is idle; gives the messages whose senders are to be told where they stand.
    pub(crate) fn on_time(&mut self, now: Time, env: &Env) -> Vec<Key> {
        self.list.retain(|_, one| now.since(one.heard) < env.config.parts_idle);
        let due = self.list.iter().filter(|(_, one)| one.tell_at.is_some_and(|at| at <= now));
        due.map(|(key, _)| *key).collect()
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let due = |one: &Assembly| {
            let idle = one.heard + env.config.parts_idle;
            one.tell_at.map_or(idle, |at| at.min(idle))
        };
        self.list.values().map(due).min()
    }
}

/// Whether another one, so long, may be beside these: there are at most so many, so long in all.
fn fits(lengths: impl Iterator<Item = usize>, length: usize, most: (usize, usize)) -> bool {
    let (count, sum) = lengths.fold((1, length), |(count, sum), one| (count + 1, sum + one));
    count <= most.0 && sum <= most.1
}

impl State {
    /// Of a message for which there is no room.
    fn full(length: usize, around: bool) -> Self {
        Self { run: 0, next: 0, ahead: 0, full: true, received: (0, length), around }
    }
}

impl Assembly {
    /// So much of it came that all of it has to come.
    fn has_place(&self) -> bool {
        self.received() >= limits::PART
    }

    fn room(&self) -> usize {
        if self.has_place() { self.length } else { self.received() }
    }

    fn is_idle(&self, now: Time) -> bool {
        now.since(self.heard) >= IDLE
    }

    /// The first part that is missing.
    fn next(&self) -> u32 {
        u32::try_from(self.bytes.len() / limits::PART).unwrap_or(u32::MAX)
    }

    fn received(&self) -> usize {
        self.bytes.len() + self.ahead.values().map(Vec::len).sum::<usize>()
    }

    fn take(&mut self, at: u32, part: Vec<u8>) {
        if at != self.next() {
            self.ahead.insert(at, part);
            return;
        }
        self.append(&part);
        while let Some(part) = self.ahead.remove(&self.next()) {
            self.append(&part);
        }
    }

    fn append(&mut self, part: &[u8]) {
        let len = self.bytes.len() + part.len();
        if len > self.bytes.capacity() {
            // Never more than twice of what came, nor more than there will be.
            let capacity = (len * 2).min(self.length);
            self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(part);
    }

    fn tell(&mut self) -> State {
        (self.untold, self.tell_at) = (0, None);
        let next = self.next();
        let bit = |at: &u32| 1_u64.checked_shl(at - next - 1).unwrap_or(0);
        let ahead = self.ahead.keys().map(bit).fold(0, |bits, bit| bits | bit);
        let received = (self.received(), self.length);
        State { run: self.run, next, ahead, full: false, received, around: self.around }
    }
}
