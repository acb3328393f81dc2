//! What signalers tell each other of who is a member, and whether it lives: the packets in [`crate::sibling::Sibling::Gossip`].
//!
//! ```text
//! packet = head || ( number of updates, 2 bytes, big-endian || updates ) or nothing
//! ```
//!
//! The exchange is SWIM's (Das, Gupta and Motivala, "SWIM: scalable weakly-consistent infection-style process group membership
//! protocol", DSN 2002), with the suspicion of its section 4.2.

use crate::cbor::{self as minicbor, Decode, Encode};

use crate::{Bytes, SignalerId, limits};

/// A member in one of its lives, where it is only named: its [`crate::Card`] says the same of `signaler` and `since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Life {
    /// Who.
    #[n(0)]
    pub signaler: SignalerId,
    /// Since when.
    #[n(1)]
    pub since: u64,
}

/// The first part of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct GossipHead {
    /// Signed [`crate::Card`] of the sender, which is the sibling at the other end of the link.
    #[n(0)]
    pub from: Bytes<{ limits::CARD }>,
    /// Of the sender: grows when it hears that it is suspected.
    #[n(1)]
    pub incarnation: u16,
    /// For whom.
    #[n(2)]
    pub to: Life,
    /// What is asked or answered.
    #[n(3)]
    pub said: Said,
}

/// What one member asks of or answers to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Said {
    /// Are you there?
    #[n(1)]
    Ping {
        /// Repeated in the answer.
        #[n(0)]
        number: u8,
    },
    /// Answers `Ping`.
    #[n(2)]
    Ack {
        /// Of the ping.
        #[n(0)]
        number: u8,
    },
    /// Ping `target` for me: I got no answer.
    #[n(3)]
    AskPing {
        /// Whom.
        #[n(0)]
        target: Life,
        /// Of my ping.
        #[n(1)]
        number: u8,
    },
    /// Are you there? `origin` wants to know.
    #[n(4)]
    PingFor {
        /// Who asked for it.
        #[n(0)]
        origin: Life,
        /// Of its ping.
        #[n(1)]
        number: u8,
    },
    /// Answers `PingFor`.
    #[n(5)]
    AckFor {
        /// Who asked for it.
        #[n(0)]
        target: Life,
        /// Of its ping.
        #[n(1)]
        number: u8,
    },
    /// Answers `AskPing`: `origin` is there.
    #[n(6)]
    AckOf {
        /// Who is there.
        #[n(0)]
        origin: Life,
        /// Of the ping.
        #[n(1)]
        number: u8,
    },
    /// I am new: who is there? No updates follow.
    #[n(7)]
    Announce,
    /// Answers `Announce`: the updates name members that are there.
    #[n(8)]
    Feed,
    /// Nothing but the updates.
    #[n(9)]
    News,
    /// The recipient has been declared down, and needs a new life. No updates follow.
    #[n(10)]
    YouAreDown,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Update {
    /// Its signed [`crate::Card`].
    #[n(0)]
    pub card: Bytes<{ limits::CARD }>,
    /// Its incarnation.
    #[n(1)]
    pub incarnation: u16,
    /// Whether it lives.
    #[n(2)]
    pub standing: Standing,
}

/// Whether a member lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Standing {
    /// It does.
    #[n(0)]
    Alive,
    /// It did not answer, and has some time to object.
    #[n(1)]
    Suspect,
    /// It does not, in this life.
    #[n(2)]
    Down,
}
