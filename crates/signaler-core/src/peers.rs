//! Peers' connections: challenge, authentication, signs of life, strikes.
//!
//! Inputs: connections, frames (their arrival, not their contents), the driver's words about full queues. Outputs: who
//! a connection is; whether it may go on. Timer: one pulse per connection, looked at lazily.
//!
//! Invariants: a peer has at most one connection, the latest that authenticated; a connection that has not
//! authenticated is in no swarm.

use weft_crypto::challenge::{answer_as_signaler, check_peer};
use weft_crypto::{BadSignature, SignalerKey};
use weft_wire::{Code, DiscoveryKey, Nonce, PeerId, Signature, Time};

use crate::config::Config;
use crate::io::ConnId;
use crate::map::{Map, map, trim};
use crate::quota::{Rate, SharedClock};

/// Signs of life of a connection, of a peer or a sibling.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    /// When the other side was last heard of.
    pub(crate) heard: Time,
    /// Since when the queue to the other side is full.
    pub(crate) full: Option<Time>,
}

/// What a pulse asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Look again then.
    Wait(Time),
    /// Ping, and look again then.
    Ping(Time),
    /// It is dead.
    Dead(Code),
}

impl Pulse {
    pub(crate) fn new(now: Time) -> Self {
        Self { heard: now, full: None }
    }

    pub(crate) fn beat(&self, now: Time, config: &Config) -> Beat {
        if self.full.is_some_and(|since| now >= since + config.dead()) {
            return Beat::Dead(Code::RecipientBusy);
        }
        let dead = self.heard + config.dead();
        if now >= dead {
            return Beat::Dead(Code::TimedOut);
        }
        let quiet = self.heard + config.keepalive();
        if now < quiet { Beat::Wait(quiet) } else { Beat::Ping(dead.min(now + config.keepalive())) }
    }
}

#[derive(Debug)]
enum State {
    Challenged(Nonce),
    In(PeerId),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    state: State,
    pub(crate) opened: Time,
    pub(crate) pulse: Pulse,
    strikes: u32,
    refusals: u32,
    /// When it is told of TURN servers again.
    pub(crate) turn_at: Time,
    /// Which version of the list of signalers it was told, and when it may be told of another.
    pub(crate) roll: (u64, Time),
    /// Links to its residences that were told of it.
    pub(crate) residences: Vec<ConnId>,
    frames: Rate,
    bytes: Rate,
    /// In which it stands for its peer.
    pub(crate) swarms: Vec<DiscoveryKey>,
}

/// Whether a frame may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Over the rate: refused.
    Refused,
    /// Over the rate for too long: closed.
    Close,
}

impl Peer {
    pub(crate) fn id(&self) -> Option<PeerId> {
        match self.state {
            State::Challenged(_) => None,
            State::In(peer) => Some(peer),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pulse.full.is_some()
    }

    /// A frame arrived.
    pub(crate) fn on_frame(&mut self, now: Time, bytes: usize, config: &Config) -> Gate {
        self.pulse.heard = now;
        if self.frames.take(1) && self.bytes.take(bytes) {
            // A row of refusals is not broken by the few frames that the rate still lets through.
            self.refusals = self.refusals.saturating_sub(1);
            return Gate::Open;
        }
        self.refusals += 1;
        if self.refusals > config.refusals { Gate::Close } else { Gate::Refused }
    }

    /// A frame was malformed. Returns whether that was once too often.
    pub(crate) fn strike(&mut self, config: &Config) -> bool {
        self.strikes += 1;
        self.strikes >= config.strikes
    }
}

#[derive(Debug)]
pub(crate) struct Peers {
    conns: Map<ConnId, Peer>,
    by_id: Map<PeerId, ConnId>,
}

impl Peers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { conns: map(seed), by_id: map(seed.rotate_left(23)) }
    }

    pub(crate) fn connections(&self) -> usize {
        self.conns.len()
    }

    pub(crate) fn authenticated(&self) -> usize {
        self.by_id.len()
    }

    /// Every connection, in order.
    pub(crate) fn all(&self) -> Vec<ConnId> {
        let mut all: Vec<ConnId> = self.conns.keys().copied().collect();
        all.sort_unstable();
        all
    }

    pub(crate) fn on_connected(
        &mut self,
        now: Time,
        conn: ConnId,
        nonce: Nonce,
        config: &Config,
        clock: &SharedClock,
    ) {
        let peer = Peer {
            state: State::Challenged(nonce),
            opened: now,
            pulse: Pulse::new(now),
            strikes: 0,
            refusals: 0,
            turn_at: now,
            roll: (0, now),
            residences: Vec::new(),
            frames: Rate::new(config.frames_per_second, config.frames_burst, clock),
            bytes: Rate::new(config.bytes_per_second, config.bytes_burst, clock),
            swarms: Vec::new(),
        };
        self.conns.insert(conn, peer);
    }

    pub(crate) fn conn_mut(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.conns.get_mut(&conn)
    }

    pub(crate) fn conn(&self, conn: ConnId) -> Option<&Peer> {
        self.conns.get(&conn)
    }

    /// The connection of a peer.
    pub(crate) fn conn_of(&self, peer: &PeerId) -> Option<ConnId> {
        self.by_id.get(peer).copied()
    }

    /// Checks the answer to the challenge. Returns our own answer and the connection that is replaced, if any.
    ///
    /// # Errors
    /// [`BadSignature`], also for a second answer: the nonce was used. Nothing changed.
    pub(crate) fn authenticate(
        &mut self,
        conn: ConnId,
        peer: PeerId,
        theirs: &Nonce,
        signature: &Signature,
        key: &SignalerKey,
    ) -> Result<(Signature, Option<ConnId>), BadSignature> {
        let at = self.conns.get_mut(&conn).ok_or(BadSignature)?;
        let State::Challenged(ours) = at.state else { return Err(BadSignature) };
        check_peer(peer, key.id(), &ours, theirs, signature)?;
        at.state = State::In(peer);
        let replaced = self.by_id.insert(peer, conn);
        Ok((answer_as_signaler(key, peer, &ours, theirs), replaced))
    }

    /// Forgets a connection.
    pub(crate) fn on_closed(&mut self, conn: ConnId) -> Option<Peer> {
        let peer = self.conns.remove(&conn)?;
        if let Some(id) = peer.id()
            && self.by_id.get(&id) == Some(&conn)
        {
            self.by_id.remove(&id);
        }
        trim(&mut self.conns);
        trim(&mut self.by_id);
        Some(peer)
    }
}
