//! Frames between two linked peers, over the data channel with id 0 (negotiated, ordered, reliable), in chunks.

use crate::cbor::{self as minicbor, Decode, Decoder, Encode, Error};

use crate::{Bytes, DiscoveryKey, List, PeerId, Proof, Signature, Tag, limits};

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
        /// The connection replaces a stream of which so many chunks have come: what is missing comes here, before all else.
        #[n(5)]
        resumes: Option<u64>,
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
        /// What the feed has from this number on, before the bundle, is not wanted behind the receiver: it is no gap.
        #[n(4)]
        from: Option<u64>,
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
        /// Only what may match this summary (query, section 8); none: everything.
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        wants: Option<&'a [u8]>,
    },
    /// All that was wanted has been sent.
    #[n(8)]
    Sent {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Feeds of which the sender has something that is older than what was asked for, up to the last number of it.
        #[n(1)]
        heads: List<FeedRange, { limits::WANT_FEEDS }>,
        /// What the sender has under the last number of each run of its feeds, so that two who have different things under
        /// one number notice it.
        #[n(2)]
        ends: Option<List<End, { limits::WANT_FEEDS }>>,
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
    /// An envelope for the receiver, or for a peer to which the receiver knows a way.
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
        /// Links that it may still take; none: one, and only if the receiver has a link to whom it is for. It shrinks with
        /// every link, so that nothing goes round in circles.
        #[n(3)]
        left: Option<u8>,
    },
    /// Where the sender stands in the party's broadcast tree. On a new link, on changes, and with each beacon of the root.
    #[n(11)]
    Tree {
        /// The party.
        #[n(0)]
        party: Tag,
        /// The root: the peer of the greatest weight; of several, the one with the smallest tag.
        #[n(1)]
        root: Tag,
        /// How much the root publishes, as it says.
        #[n(2)]
        weight: u8,
        /// The root's beacon: grows while the root lives (seconds since the Unix epoch, or the last one plus one).
        #[n(3)]
        seq: u32,
        /// Links between the sender and the root.
        #[n(4)]
        hops: u8,
        /// Time between the sender and the root, milliseconds, as far as it is known.
        #[n(5)]
        cost: u16,
        /// The receiver is the sender's parent.
        #[n(6)]
        parent: bool,
        /// Links that the sender has, of all parties.
        #[n(7)]
        links: u8,
        /// Somebody knows no way to the root, and asks it for a new beacon.
        #[n(8)]
        anew: Option<bool>,
    },
    /// Publications that the sender has and does not send unasked.
    #[n(12)]
    Digest {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Which.
        #[n(1)]
        have: List<FeedRange, { limits::RANGES }>,
    },
    /// Asks for publications of a digest, and to be sent what is new for the time being.
    #[n(13)]
    Graft {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Which.
        #[n(1)]
        want: List<FeedRange, { limits::RANGES }>,
    },
    /// The sender gets publications from another neighbour sooner: digests will do.
    #[n(14)]
    Prune {
        /// The party.
        #[n(0)]
        party: Tag,
    },
    /// Some members that the sender knows, itself among them.
    #[n(15)]
    Shuffle {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Answers a shuffle; otherwise the receiver is to answer with as many of its own.
        #[n(1)]
        reply: bool,
        /// Signed [`crate::Presence`]s, as received.
        #[n(2)]
        members: List<Bytes<{ limits::PRESENCE }>, { limits::SHUFFLE }>,
    },
    /// What is wanted at the sender and behind it, seen from the receiver. Replaces the last one; until there is one,
    /// everything is.
    #[n(19)]
    Interest {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Encoded summary (query, section 8), at most [`limits::INTEREST`] bytes.
        #[b(1)]
        #[cbor(with = "minicbor::bytes")]
        wants: &'a [u8],
    },
    /// Peers near the sender: what has changed since the last such frame on this link.
    #[n(16)]
    Routes {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Forget what earlier ones said.
        #[n(1)]
        anew: bool,
        /// Which.
        #[n(2)]
        near: List<Near, { limits::ROUTES }>,
    },
    /// Looks for a way to a peer that is not near.
    #[n(17)]
    Seek {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Who looks for it.
        #[n(1)]
        origin: Tag,
        /// Of this search of the origin's.
        #[n(2)]
        id: u32,
        /// The peer, or an identity one of whose peers is sought.
        #[n(3)]
        target: Tag,
        /// `target` is an identity.
        #[n(4)]
        identity: bool,
        /// Links between the origin and the sender.
        #[n(5)]
        hops: u8,
        /// Links that it may still take.
        #[n(6)]
        left: u8,
    },
    /// Answers a search, from the peer that was sought, along the way the search took.
    #[n(18)]
    Found {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Who looked for it.
        #[n(1)]
        origin: Tag,
        /// Links between the sender and the peer that was found.
        #[n(2)]
        hops: u8,
        /// Its signed [`crate::PeerRecord`].
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        record: &'a [u8],
    },
    /// A feed has forked: here are two bundles that cannot both be of it.
    #[n(20)]
    Fork {
        /// The party.
        #[n(0)]
        party: Tag,
        /// Encoded [`crate::Bundle`], as received.
        #[b(1)]
        #[cbor(with = "minicbor::bytes")]
        one: &'a [u8],
        /// Another one of the same feed.
        #[b(2)]
        #[cbor(with = "minicbor::bytes")]
        other: &'a [u8],
    },
    /// Statements about the members of a private party. Sent to who has proved its key: first those that show that the
    /// sender is a member; all of them once both are; then what is new.
    #[n(21)]
    Members {
        /// The party.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Signed [`crate::membership::Membership`]s.
        #[n(1)]
        statements: List<Bytes<{ limits::MEMBERSHIP }>, { limits::MEMBERSHIPS }>,
        /// A signed [`crate::membership::Redemption`]: an admin is to admit its member. Others pass it on.
        #[b(2)]
        #[cbor(with = "minicbor::bytes")]
        redemption: Option<&'a [u8]>,
    },
    /// The sender does not take the receiver, or who redeems an invitation, for a member of a private party.
    #[n(22)]
    NoMember {
        /// The party.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Why.
        #[n(1)]
        reason: Exclusion,
    },
    /// A key with which the receiver can begin a session with the sender. Sent once the link is open, if there is none.
    #[n(64)]
    Prekey {
        /// Signed [`crate::ratchet::Prekey`].
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        prekey: &'a [u8],
    },
    /// Peers that are their identities' no longer. To all neighbours when the sender has learnt of it; to a new one those of the
    /// sender's identity and of its own; and to a peer that was revoked, before `Bye`.
    #[n(65)]
    Revoked {
        /// Signed [`crate::Revocation`]s, as received.
        #[n(0)]
        revocations: List<Bytes<{ limits::REVOCATION }>, { limits::REVOCATIONS }>,
    },
}

/// What somebody has under a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct End {
    /// The feed.
    #[n(0)]
    pub feed: Tag,
    /// The number.
    #[n(1)]
    pub seq: u64,
    /// The beginning of the publication's id.
    #[n(2)]
    pub id: Tag,
}

/// A peer near the one that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Near {
    /// Who.
    #[n(0)]
    pub peer: Tag,
    /// Whose.
    #[n(1)]
    pub identity: Tag,
    /// Links to it; 0: it is not near any more.
    #[n(2)]
    pub hops: u8,
}

/// Consecutive publications of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FeedRange {
    /// The feed.
    #[n(0)]
    pub feed: Tag,
    /// First number.
    #[n(1)]
    pub first: u64,
    /// How many follow the first one.
    #[n(2)]
    pub more: u32,
}

impl FeedRange {
    /// Number of the last one.
    pub fn last(&self) -> u64 {
        self.first.saturating_add(self.more.into())
    }
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

/// Why somebody is no member of a private party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub enum Exclusion {
    /// Nothing that is known makes it one.
    #[n(0)]
    NotAMember,
    /// No admin has made this invitation.
    #[n(1)]
    UnknownInvitation,
    /// The invitation's time has passed.
    #[n(2)]
    ExpiredInvitation,
    /// The invitation has admitted somebody else.
    #[n(3)]
    UsedInvitation,
    /// It was a member and was removed.
    #[n(4)]
    Removed,
    /// A reason of a later version; any number that is not above.
    #[n(255)]
    Other,
}

impl<'b, C> Decode<'b, C> for Exclusion {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(match decoder.unsigned(u32::MAX.into())? {
            0 => Self::NotAMember,
            1 => Self::UnknownInvitation,
            2 => Self::ExpiredInvitation,
            3 => Self::UsedInvitation,
            4 => Self::Removed,
            _ => Self::Other,
        })
    }
}

impl Exclusion {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotAMember => "not a member of this party",
            Self::UnknownInvitation => "no admin has made this invitation",
            Self::ExpiredInvitation => "the invitation has expired",
            Self::UsedInvitation => "the invitation was used already",
            Self::Removed => "removed from this party: an admin has to admit you again",
            Self::Other => "not let in, for a reason that this version does not know",
        }
    }

    /// The stable code that applications see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAMember => "not-a-member",
            Self::UnknownInvitation => "invitation-unknown",
            Self::ExpiredInvitation => "invitation-expired",
            Self::UsedInvitation => "invitation-used",
            Self::Removed => "removed",
            Self::Other => "other",
        }
    }
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
    /// The other side's identity has revoked it.
    #[n(6)]
    Revoked,
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
            6 => Self::Revoked,
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
            Self::Revoked => "it says that our identity has revoked us",
            Self::Other => "for a reason that this version does not know",
        }
    }
}
