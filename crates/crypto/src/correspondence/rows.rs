//! How sessions are stored. Numbers are big-endian; every list has its length in front.
//!
//! ```text
//! key          value, before it is sealed
//! 0            1 | prekeys (2): key (32) | fallbacks (1): key (32), issued (8), begun (2): session (16) | the library's
//! 1 | peer     1 | latest (8) | sessions (1): began (8), opened (1): hash (8), sealed (1): hash (8), length (4), the
//!              library's
//! ```

use std::collections::VecDeque;

use weft_wire::{AgreementKey, PeerId, RatchetId, Tag};
use zeroize::Zeroizing;

use super::prekeys::{FALLBACK_USES, Fallback, Prekeys};
use super::{Correspondent, Held, KEPT, REMEMBERED, SESSIONS};
use crate::session::Sessions;

/// The key of the row with the lasting key and the prekeys.
pub(super) const ACCOUNT: &[u8] = &[0];
const VERSION: u8 = 1;

/// The key of the row with a peer's sessions.
pub(super) fn key(peer: &PeerId) -> Vec<u8> {
    [&[1], &peer.0[..]].concat()
}

/// The peer of such a key.
pub(super) fn peer(key: &[u8]) -> Option<PeerId> {
    let (1, peer) = key.split_first().map(|(first, rest)| (*first, rest))? else { return None };
    peer.try_into().ok().map(PeerId)
}

pub(super) fn account<S: Sessions>(prekeys: &Prekeys, sessions: &S) -> Zeroizing<Vec<u8>> {
    let kept = sessions.save();
    let mut bytes = Zeroizing::new(Vec::with_capacity(kept.len() + 32 * prekeys.once.len() + 256));
    bytes.push(VERSION);
    bytes.extend(length::<2>(prekeys.once.len()));
    for key in &prekeys.once {
        bytes.extend(key.0);
    }
    bytes.extend(length::<1>(prekeys.fallbacks.len()));
    for fallback in &prekeys.fallbacks {
        bytes.extend(fallback.key.0);
        bytes.extend(fallback.issued.to_be_bytes());
        bytes.extend(length::<2>(fallback.begun.len()));
        for session in &fallback.begun {
            bytes.extend(session.0);
        }
    }
    bytes.extend_from_slice(&kept);
    bytes
}

pub(super) fn read_account<S: Sessions>(bytes: &[u8]) -> Option<(Prekeys, S)> {
    let mut reader = Reader(bytes);
    reader.version()?;
    let mut prekeys = Prekeys::default();
    for _ in 0..reader.length::<2>(KEPT)? {
        prekeys.once.push_back(AgreementKey(reader.take()?));
    }
    for _ in 0..reader.length::<1>(2)? {
        let mut fallback =
            Fallback { key: AgreementKey(reader.take()?), issued: reader.number()?, begun: Vec::new() };
        for _ in 0..reader.length::<2>(FALLBACK_USES)? {
            fallback.begun.push(RatchetId(reader.take()?));
        }
        prekeys.fallbacks.push(fallback);
    }
    Some((prekeys, S::restore(reader.0)?))
}

pub(super) fn correspondent<S: Sessions>(with: &Correspondent<S>) -> Zeroizing<Vec<u8>> {
    let kept: Vec<_> = with.held.iter().map(|held| S::save_session(&held.session)).collect();
    let len: usize = kept.iter().map(|session| session.len() + 2048).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 64));
    bytes.push(VERSION);
    bytes.extend(with.latest.to_be_bytes());
    bytes.extend(length::<1>(with.held.len()));
    for (held, session) in with.held.iter().zip(kept) {
        bytes.extend(held.began.to_be_bytes());
        for last in [&held.opened, &held.sealed] {
            bytes.extend(length::<1>(last.len()));
            for message in last {
                bytes.extend(message.0);
            }
        }
        bytes.extend(length::<4>(session.len()));
        bytes.extend_from_slice(&session);
    }
    bytes
}

pub(super) fn read_correspondent<S: Sessions>(bytes: &[u8], turn: u64) -> Option<Correspondent<S>> {
    let mut reader = Reader(bytes);
    reader.version()?;
    let mut with = Correspondent { latest: reader.number()?, held: Vec::new(), turn };
    for _ in 0..reader.length::<1>(SESSIONS)? {
        let began = reader.number()?;
        let (opened, sealed) = (reader.messages()?, reader.messages()?);
        let len = reader.length::<4>(bytes.len())?;
        let session = S::restore_session(reader.slice(len)?)?;
        let unheard = sealed.len();
        with.held.push(Held { session, began, opened, sealed, unheard });
    }
    reader.0.is_empty().then_some(with)
}

/// A length in so many bytes. Bounds are far below.
fn length<const N: usize>(len: usize) -> impl Iterator<Item = u8> {
    let bytes = len.to_be_bytes();
    let skip = bytes.len() - N;
    bytes.into_iter().skip(skip)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn length<const N: usize>(&mut self, max: usize) -> Option<usize> {
        let bytes: [u8; N] = self.take()?;
        let len = bytes.iter().fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
        (len <= max).then_some(len)
    }

    fn messages(&mut self) -> Option<VecDeque<Tag>> {
        let mut messages = VecDeque::new();
        for _ in 0..self.length::<1>(REMEMBERED)? {
            messages.push_back(Tag(self.take()?));
        }
        Some(messages)
    }

    fn version(&mut self) -> Option<()> {
        (self.take::<1>()? == [VERSION]).then_some(())
    }
}
