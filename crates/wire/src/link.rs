//! Frames between two linked peers, over the data channel with id 0 (negotiated, ordered, reliable), in chunks.

use crate::cbor::{self as minicbor, Decode, Decoder, Encode, Error};

use crate::{DiscoveryKey, List, PeerId, Proof, Signature, limits};

/// What one peer says to another over their link.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Link<'a> {
    /// The first frame of either side, bound to both DTLS fingerprints and to the session.
    #[n(1)]
    Hello {
        /// Highest version the sender speaks.
        #[n(0)]
        version: u32,
        /// The sender.
        #[n(1)]
        peer: PeerId,
        /// Over the link's transcript, by the sender; domain `weft/v1/link`.
        #[n(2)]
        signature: Signature,
        /// The sender's signed [`crate::PeerRecord`].
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        record: &'a [u8],
        /// Parties the sender is in, each with a proof that it knows the party's key.
        #[n(4)]
        parties: List<PartyProof, { limits::PARTIES }>,
    },
    /// The sender is in these parties from now on.
    #[n(2)]
    Parties {
        /// Newly joined, each with its proof.
        #[n(0)]
        joined: List<PartyProof, { limits::PARTIES }>,
        /// Left.
        #[n(1)]
        left: List<DiscoveryKey, { limits::PARTIES }>,
    },
    /// Asks for a `Pong`.
    #[n(3)]
    Ping {
        /// Repeated in the answer.
        #[n(0)]
        token: u32,
    },
    /// Answers `Ping`.
    #[n(4)]
    Pong {
        /// Of the ping.
        #[n(0)]
        token: u32,
    },
    /// The last frame of a side that closes on purpose.
    #[n(5)]
    Bye {
        /// Why.
        #[n(0)]
        reason: ByeReason,
    },
    /// Publications on their way through the swarm.
    #[n(6)]
    Publish {
        /// Hops taken so far.
        #[n(0)]
        hops: u8,
        /// For how long the sender has had it, milliseconds; 0 while it travels live.
        #[n(1)]
        age_ms: u64,
        /// The author's signed [`crate::PeerRecord`], unless it has already crossed this link.
        #[b(2)]
        #[cbor(with = "minicbor::bytes")]
        record: Option<&'a [u8]>,
        /// Encoded [`crate::Bundle`], passed on as received.
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        bundle: &'a [u8],
    },
    /// Asks for publications that the sender lacks.
    #[n(7)]
    Want {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Only what the receiver has had for at most this long, milliseconds; none: all it keeps.
        #[n(1)]
        age_ms: Option<u64>,
        /// What the sender has already.
        #[n(2)]
        have: List<FeedHave, { limits::WANT_FEEDS }>,
    },
    /// All that was wanted has been sent.
    #[n(8)]
    Sent {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
    },
    /// A signed [`crate::Presence`], passed on as received.
    #[n(9)]
    Presence {
        /// Hops taken so far.
        #[n(0)]
        hops: u8,
        /// Encoded [`crate::Signed`] presence.
        #[b(1)]
        #[cbor(with = "minicbor::bytes")]
        presence: &'a [u8],
    },
    /// An envelope for the receiver, or for a peer that the receiver has a link to.
    #[n(10)]
    Envelope {
        /// To whom.
        #[n(0)]
        to: PeerId,
        /// Hops taken so far.
        #[n(1)]
        hops: u8,
        /// Sealed.
        #[b(2)]
        #[cbor(with = "minicbor::bytes")]
        envelope: &'a [u8],
    },
}

/// A party and the proof that its key is known (see `weft_crypto::link`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PartyProof {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// Keyed hash over the link's transcript and the prover.
    #[n(1)]
    pub proof: Proof,
}

/// Which publications of a feed are known: inclusive ranges of sequence numbers, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FeedHave {
    /// The feed.
    #[n(0)]
    pub feed: PeerId,
    /// Inclusive ranges.
    #[n(1)]
    pub ranges: List<(u64, u64), { limits::WANT_RANGES }>,
}

/// Why a side closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub enum ByeReason {
    /// The peer is going.
    #[n(0)]
    Leaving,
    /// The place is needed for a peer that has none.
    #[n(1)]
    MadeRoom,
    /// No party in common any more.
    #[n(2)]
    NothingInCommon,
    /// The other side was caught breaking the protocol.
    #[n(3)]
    Misbehaved,
    /// The other side does not read fast enough.
    #[n(4)]
    TooSlow,
    /// The other side is blocked.
    #[n(5)]
    Blocked,
    /// A reason of a later version; any number that is not above.
    #[n(255)]
    Other,
}

impl<'b, C> Decode<'b, C> for ByeReason {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(match decoder.unsigned(u32::MAX.into())? {
            0 => Self::Leaving,
            1 => Self::MadeRoom,
            2 => Self::NothingInCommon,
            3 => Self::Misbehaved,
            4 => Self::TooSlow,
            5 => Self::Blocked,
            _ => Self::Other,
        })
    }
}

impl ByeReason {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Leaving => "it is leaving",
            Self::MadeRoom => "it made room for a peer that had no link",
            Self::NothingInCommon => "no party in common any more",
            Self::Misbehaved => "it says that we broke the protocol",
            Self::TooSlow => "it says that we read too slowly",
            Self::Blocked => "it blocks us",
            Self::Other => "for a reason that this version does not know",
        }
    }
}
