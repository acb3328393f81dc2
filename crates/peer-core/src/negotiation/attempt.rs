//! What is remembered of attempts at connections, to say in words why there is none.

use crate::sorted::Map;

use weft_wire::sealed::Refusal;
use weft_wire::{PeerId, Time};

/// Peers of whose last attempt something is remembered.
const PEERS: usize = 256;

/// Kinds of addresses (RFC 8839 section 5.1: `typ`) that a side has found for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// In its own network.
    pub(crate) host: bool,
    /// Before its NAT, as a STUN server sees it.
    pub(crate) reflexive: bool,
    /// At a TURN server.
    pub(crate) turn: bool,
}

impl Kinds {
    /// Takes a candidate line, or a whole description.
    pub(crate) fn learn(&mut self, text: &str) {
        for line in text.lines().filter(|line| line.contains("candidate:")) {
            let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "typ");
            match words.nth(1) {
                Some("host") => self.host = true,
                Some("srflx" | "prflx") => self.reflexive = true,
                Some("relay") => self.turn = true,
                _ => {}
            }
        }
    }

    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

/// The last attempt at a peer that did not become a connection.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    at: Time,
    /// The other side has said something.
    pub(crate) answered: bool,
    pub(crate) ours: Kinds,
    pub(crate) theirs: Kinds,
    pub(crate) refusal: Option<Refusal>,
    /// This side, or the other, could make no connection at all.
    pub(crate) platform: bool,
    /// As it was told.
    pub(crate) reason: String,
}

impl Attempt {
    pub(super) fn new(at: Time, refusal: Option<Refusal>, platform: bool, reason: &str) -> Self {
        let (ours, theirs) = (Kinds::default(), Kinds::default());
        Self { at, answered: refusal.is_some(), ours, theirs, refusal, platform, reason: reason.to_owned() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Attempts(Map<PeerId, Attempt>);

impl Attempts {
    pub(super) fn of(&self, peer: &PeerId) -> Option<&Attempt> {
        self.0.get(peer)
    }

    pub(super) fn remember(&mut self, peer: PeerId, attempt: Attempt) {
        if self.0.len() >= PEERS && !self.0.contains_key(&peer) {
            let oldest = self.0.iter().min_by_key(|(_, attempt)| attempt.at).map(|(peer, _)| *peer);
            oldest.map(|peer| self.0.remove(&peer));
        }
        self.0.insert(peer, attempt);
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_from_candidates_and_descriptions() {
        let mut kinds = Kinds::default();
        kinds.learn("candidate:1 1 udp 2113937151 d2b1.local 50000 typ host generation 0");
        assert_eq!(kinds, Kinds { host: true, ..Kinds::default() });
        kinds.learn(
            "v=0\r\na=candidate:2 1 udp 1677729535 203.0.113.7 40000 typ srflx raddr 0.0.0.0 rport 0\r\n",
        );
        kinds.learn("candidate:3 1 udp 33562367 203.0.113.1 49200 typ relay raddr 203.0.113.7 rport 40000");
        assert_eq!(kinds, Kinds { host: true, reflexive: true, turn: true });
        let mut none = Kinds::default();
        for text in ["", "a=typ relay", "candidate: typ", "candidate:1 typ strange"] {
            none.learn(text);
        }
        assert!(none.none());
    }
}
