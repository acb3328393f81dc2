//! Messages of others that come in parts.
//!
//! Inputs: announcements, parts, what was taken back.
//! Outputs: [`State`] to tell the sender; whole messages.
//! Timers: a word to the sender [`TELL_AFTER`] a part came; a message of which nothing comes is forgotten.
//! Invariants: nothing is reserved for what was only announced: a message takes at most twice the memory of what came of
//! it; the announced lengths of those that are kept, of one identity and of all, stay within the configured bounds; a
//! message is given out once, whole, with the hash that was announced.

use std::time::Duration;

use weft_crypto::digest;
use weft_wire::{Digest, IdentityId, MessageId, PeerId, Time, limits};

use crate::env::Env;
use crate::mail::Head;
use crate::sorted::Map;

/// So many new parts are told of at once.
const TELL_PARTS: u32 = 2;
/// And fewer after so long.
const TELL_AFTER: Duration = Duration::from_millis(25);
/// Messages of one identity, and of all, that are kept at once.
const EACH: usize = 16;
const ALL: usize = 128;
/// A message of which nothing came for so long makes room for another.
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
    /// It is not as announced. It is forgotten.
    Bad(&'static str),
}

impl Assemblies {
    /// Somebody has a message for us. Says what is here of it.
    pub(crate) fn on_large(
        &mut self,
        now: Time,
        key: Key,
        (head, length, hash): (Head, usize, Digest),
        env: &mut Env,
    ) -> State {
        let known = self.list.get(&key).is_some_and(|one| one.length == length && one.hash == hash);
        if !known {
            self.list.remove(&key);
            if !self.make_room(now, &head.from, length, env) {
                let received = (0, length);
                return State { run: 0, next: 0, ahead: 0, full: true, received, around: false };
            }
            let one = Assembly {
                head,
                length,
                hash,
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
        self.list.get_mut(&key).map_or_else(
            || State { run: 0, next: 0, ahead: 0, full: true, received: (0, length), around: false },
            Assembly::tell,
        )
    }

    /// Whether a message may be kept; those that are idle make room.
    fn make_room(&mut self, now: Time, from: &IdentityId, length: usize, env: &Env) -> bool {
        let fits = |list: &Map<Key, Assembly>, of: Option<&IdentityId>, most: (usize, usize)| {
            let those = || list.values().filter(|one| of.is_none_or(|of| one.head.from == *of));
            those().count() < most.0 && those().map(|one| one.length).sum::<usize>() + length <= most.1
        };
        let each = (EACH, env.config.parts_each);
        for (of, most) in [(Some(from), each), (None, (ALL, env.config.parts_all))] {
            while !fits(&self.list, of, most) {
                let idle = self.list.iter().filter(|(_, one)| {
                    now.since(one.heard) >= IDLE && of.is_none_or(|of| one.head.from == *of)
                });
                let Some(key) = idle.min_by_key(|(_, one)| one.heard).map(|(key, _)| *key) else {
                    return false;
                };
                self.list.remove(&key);
            }
        }
        true
    }

    /// A part of a message; of one that is not known nothing is taken.
    pub(crate) fn on_part(
        &mut self,
        now: Time,
        key: &Key,
        (at, part): (u32, Vec<u8>),
        around: bool,
    ) -> Outcome {
        let Some(one) = self.list.get_mut(key) else { return Outcome::Kept };
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

impl Assembly {
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
