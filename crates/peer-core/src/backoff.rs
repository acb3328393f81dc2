//! How long to wait before the next attempt at a peer.
//!
//! Inputs: a link opened, closed, failed or was refused. No outputs, no timers of its own: [`Backoff::ready_at`] is
//! asked. Invariant: at most [`PEERS`] peers are remembered; the one that may be tried first is forgotten first.

use crate::sorted::Map;
use std::time::Duration;

use weft_wire::{PeerId, Time};

use crate::env::Env;

const PEERS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    peers: Map<PeerId, Attempts>,
}

#[derive(Debug)]
struct Attempts {
    step: usize,
    ready_at: Time,
    /// Its own attempts are refused until then.
    barred_until: Time,
}

impl Backoff {
    /// Not before this; `ZERO` if at once.
    pub(crate) fn ready_at(&self, peer: &PeerId) -> Time {
        self.peers.get(peer).map_or(Time::ZERO, |attempts| attempts.ready_at)
    }

    /// An attempt failed, or a link closed that had been open for `up`.
    pub(crate) fn on_ended(&mut self, now: Time, peer: PeerId, up: Option<Duration>, env: &Env) {
        if self.peers.len() >= PEERS && !self.peers.contains_key(&peer) {
            let first =
                self.peers.iter().min_by_key(|(_, attempts)| attempts.ready_at).map(|(peer, _)| *peer);
            first.map(|peer| self.peers.remove(&peer));
        }
        let attempts =
            self.peers.entry(peer).or_insert(Attempts { step: 0, ready_at: now, barred_until: Time::ZERO });
        if up.is_some_and(|up| up >= env.config.link_stable) {
            attempts.step = 0;
        }
        attempts.ready_at = now + env.config.link_backoff[attempts.step];
        attempts.step = (attempts.step + 1).min(env.config.link_backoff.len() - 1);
    }

    /// Leave this peer alone for a while: it refused, or misbehaved.
    pub(crate) fn hold(&mut self, now: Time, peer: PeerId, wait: Duration, env: &Env) {
        self.on_ended(now, peer, None, env);
        if let Some(attempts) = self.peers.get_mut(&peer) {
            attempts.ready_at = attempts.ready_at.max(now + wait);
        }
    }

    /// Neither try this peer nor let it try for a while.
    pub(crate) fn bar(&mut self, now: Time, peer: PeerId, wait: Duration, env: &Env) {
        self.hold(now, peer, wait, env);
        if let Some(attempts) = self.peers.get_mut(&peer) {
            attempts.barred_until = now + wait;
        }
    }

    pub(crate) fn is_barred(&self, now: Time, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|attempts| now < attempts.barred_until)
    }

    /// A link ended because it was not needed: that says nothing against the next one.
    pub(crate) fn forget(&mut self, now: Time, peer: &PeerId) {
        if !self.is_barred(now, peer) {
            self.peers.remove(peer);
        }
    }

    /// The network is back: everybody may be tried at once but those who are barred.
    pub(crate) fn on_online(&mut self, now: Time) {
        self.peers.retain(|_, attempts| now < attempts.barred_until);
    }
}
