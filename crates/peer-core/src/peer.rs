//! The composition of a peer.

use weft_crypto::{IdentityKey, PeerKey};
use weft_wire::{DiscoveryKey, IdentityId, PeerId, Time};

use crate::api::{Command, CommandError, CommandId, Input, Output, PeerInfo, Stats};
use crate::config::Config;

/// The keys of a peer.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Whose peer it is.
    pub identity: IdentityKey,
    /// The peer's own.
    pub peer: PeerKey,
}

/// A peer. See [`crate::api`] for how to drive it.
#[derive(Debug)]
pub struct Peer {
    id: PeerId,
    identity: IdentityId,
}

impl Peer {
    /// A new peer; dials its signalers at once.
    pub fn new(_config: Config, keys: Keys, _seed: [u8; 32], _now: Time) -> Self {
        Self { id: keys.peer.id(), identity: keys.identity.id() }
    }

    /// This peer.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Whose peer it is.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// Takes a command of the application.
    ///
    /// # Errors
    /// See [`CommandError`]; state is then unchanged.
    pub fn command(&mut self, _now: Time, _command: Command) -> Result<CommandId, CommandError> {
        Err(CommandError::Closed)
    }

    /// Takes what happened. Remote data never fails: it is counted, and may cost its sender the link.
    pub fn handle(&mut self, _now: Time, _input: Input<'_>) {}

    /// The next thing to do; nothing when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Timeout`] is due, at the latest.
    pub fn deadline(&self) -> Option<Time> {
        None
    }

    /// Who is in a party, ourselves not counted; ordered by id.
    pub fn peers(&self, _discovery: &DiscoveryKey) -> Vec<PeerInfo> {
        Vec::new()
    }

    /// Figures since the start.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
