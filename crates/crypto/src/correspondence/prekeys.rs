//! A peer's prekeys: how many, how old, and which have begun what.

use std::collections::VecDeque;

use rand_core::CryptoRng;
use weft_wire::ratchet::Prekey;
use weft_wire::{AgreementKey, RatchetId};

use super::{Missed, SessionError};
use crate::keys::PeerKey;
use crate::session::Sessions;
use crate::statement::sign_prekey;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Prekeys for one session each that lie ready for others.
pub const ONCE: usize = 50;
/// Such prekeys that are kept: those that lie ready, and those that were taken and have begun nothing yet.
pub const KEPT: usize = 200;
/// Milliseconds for which such a prekey may be used.
pub const ONCE_LIFE: u64 = 30 * DAY;
/// Milliseconds after which the fallback is renewed.
pub const FALLBACK_AGE: u64 = 7 * DAY;
/// Milliseconds for which a fallback may be used. It is kept until the one after it is renewed.
pub const FALLBACK_LIFE: u64 = 14 * DAY;
/// Sessions that one fallback begins; each is remembered, so that its first message opens nothing a second time.
pub const FALLBACK_USES: usize = 512;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prekeys {
    /// The oldest in front.
    pub(super) once: VecDeque<AgreementKey>,
    /// The newest in front, at most two.
    pub(super) fallbacks: Vec<Fallback>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fallback {
    pub(super) key: AgreementKey,
    pub(super) issued: u64,
    /// What it has begun.
    pub(super) begun: Vec<RatchetId>,
}

impl Prekeys {
    pub(super) fn replenish<S: Sessions>(
        &mut self,
        sessions: &mut S,
        rng: &mut impl CryptoRng,
        key: &PeerKey,
        now: u64,
        unused: usize,
    ) -> Vec<Vec<u8>> {
        let account = sessions.account();
        let mut signed = Vec::new();
        // A clock that was set back makes one that seems to come from the future: it is as good as old.
        let fresh = |last: &Fallback| {
            last.issued <= now && now - last.issued < FALLBACK_AGE && last.begun.len() < FALLBACK_USES / 2
        };
        if !self.fallbacks.first().is_some_and(fresh) {
            let made = sessions.renew_fallback(rng);
            self.fallbacks.insert(0, Fallback { key: made, issued: now, begun: Vec::new() });
            self.fallbacks.truncate(2);
            signed.push(signed_prekey(key, account, made, false, now));
        }
        for made in sessions.add_prekeys(rng, ONCE.saturating_sub(unused)) {
            self.once.push_back(made);
            signed.push(signed_prekey(key, account, made, true, now));
        }
        while self.once.len() > KEPT {
            if let Some(oldest) = self.once.pop_front() {
                sessions.remove_prekey(&oldest);
            }
        }
        signed
    }

    /// The last fallback, signed.
    pub(super) fn fallback(&self, key: &PeerKey, account: AgreementKey) -> Option<Vec<u8>> {
        let last = self.fallbacks.first()?;
        Some(signed_prekey(key, account, last.key, false, last.issued))
    }

    /// Somebody begins a session with a prekey.
    pub(super) fn check(&self, key: &AgreementKey, missed: Missed) -> Result<(), SessionError> {
        let Some(fallback) = self.fallbacks.iter().find(|one| one.key == *key) else {
            return if self.once.contains(key) { Ok(()) } else { Err(SessionError::UnknownPrekey(missed)) };
        };
        if fallback.begun.contains(&missed.session) {
            // It was forgotten since. Who repeats its first message gains nothing; who goes on in it has to know.
            return Err(SessionError::UnknownSession(missed));
        }
        if fallback.begun.len() >= FALLBACK_USES { Err(SessionError::Worn(missed)) } else { Ok(()) }
    }

    /// It has.
    pub(super) fn on_used(&mut self, key: &AgreementKey, session: RatchetId) {
        self.once.retain(|one| one != key);
        if let Some(fallback) = self.fallbacks.iter_mut().find(|one| one.key == *key) {
            fallback.begun.push(session);
        }
    }
}

fn signed_prekey(
    peer: &PeerKey,
    account: AgreementKey,
    key: AgreementKey,
    once: bool,
    issued: u64,
) -> Vec<u8> {
    let until = issued.saturating_add(if once { ONCE_LIFE } else { FALLBACK_LIFE });
    sign_prekey(peer, &Prekey { peer: peer.id(), account, key, once, issued, until })
}
