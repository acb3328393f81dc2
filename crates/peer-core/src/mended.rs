//! Links whose connection works again after an interruption and over which nothing has come since.
//!
//! What a channel could not deliver meanwhile is sent again when SCTP's timer says so, and that has backed off: to 3 s in
//! Chromium, to a minute where RFC 9260 (section 16) is followed. A new connection takes a fraction of a second.
//!
//! Inputs: a connection is restored; something comes over a link.
//! Outputs: links to replace.
//! Timers: one for each of these links.
//! Invariants: a link is replaced only after the other side had [`Config::suspect_after`](crate::Config::suspect_after)
//! to say something.

use weft_wire::{PeerId, Time};

use crate::env::Env;
use crate::sorted::Map;

#[derive(Debug, Default)]
pub(crate) struct Mended(Map<PeerId, Time>);

impl Mended {
    /// The connection to a peer is restored, and it was asked for a sign of life.
    pub(crate) fn on_restored(&mut self, now: Time, peer: PeerId, env: &Env) {
        self.0.insert(peer, now + env.config.suspect_after);
    }

    /// Something came over the link, or it has ended.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }

    /// Links that stay silent.
    pub(crate) fn due(&mut self, now: Time) -> Vec<PeerId> {
        let due: Vec<PeerId> = self.0.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer).collect();
        self.0.retain(|_, at| *at > now);
        due
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.values().min().copied()
    }
}
