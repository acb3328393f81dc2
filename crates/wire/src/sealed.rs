//! What is inside envelopes, once they are opened.

use crate::cbor::{self as minicbor, Decode, Decoder, Encode, Error};

use crate::{
    AgreementKey, Bytes, ChainKey, Digest, DiscoveryKey, Epoch, IdentityId, List, MessageId, PartSecret,
    PeerId, SessionId, Tag, Text, limits,
};

/// The contents of an envelope between two peers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Sealed {
    /// Part of a negotiation.
    #[n(1)]
    Signal {
        /// The swarm in which the two met; a signal for a swarm that the recipient is not in is dropped.
        #[n(0)]
        discovery: DiscoveryKey,
        /// The negotiation.
        #[n(1)]
        session: SessionId,
        /// Counts descriptions within a session: 0 for the first, one more for each ICE restart.
        #[n(2)]
        generation: u32,
        /// What is said.
        #[n(3)]
        signal: Signal,
    },
    /// A message from an identity to an identity.
    #[n(2)]
    Message {
        /// Repeated in every copy and in the receipt.
        #[n(0)]
        id: MessageId,
        /// The sender's signed [`crate::PeerRecord`].
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        record: Vec<u8>,
        /// When it was written, milliseconds since the Unix epoch on the sender's clock.
        #[n(2)]
        time: u64,
        /// A document, deterministic CBOR.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        body: Vec<u8>,
        /// The sender's signed discovery entry, so that the receipt finds its way.
        #[n(4)]
        #[cbor(with = "minicbor::bytes")]
        entry: Vec<u8>,
        /// For whom. Somebody else could claim that the receiving peer is theirs.
        #[n(5)]
        to: IdentityId,
        /// It is a request: an answer is waited for.
        #[n(6)]
        asks: Option<bool>,
        /// It answers the request of this id.
        #[n(7)]
        answers: Option<MessageId>,
        /// With `answers`: why there is no other answer; the body says nothing then.
        #[n(8)]
        failed: Option<Text<{ limits::FAILURE }>>,
    },
    /// The message was taken by the recipient's application.
    #[n(3)]
    Receipt {
        /// Of the message.
        #[n(0)]
        id: MessageId,
        /// It was a request, and nobody answers requests here.
        #[n(1)]
        refused: Option<bool>,
        /// More messages that were taken together with it.
        #[n(2)]
        others: Option<List<MessageId, { limits::MAIL }>>,
    },
    /// Which broadcast tree the sender is in. Peers of one swarm in two trees are on two islands.
    #[n(4)]
    Root {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// The root.
        #[n(1)]
        root: Tag,
        /// Its last beacon.
        #[n(2)]
        seq: u32,
        /// Answers one of the receiver's; otherwise the receiver is to answer with its own.
        #[n(3)]
        reply: bool,
    },
    /// A message that is too large for one envelope: its parts follow where the recipient asks for them. Repeated until
    /// there is a receipt.
    #[n(6)]
    Large {
        /// The message, an encoded [`Sealed::Message`] with an empty body.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        message: Vec<u8>,
        /// Bytes of its body, at most [`limits::MESSAGE`].
        #[n(1)]
        length: u32,
        /// Of its body.
        #[n(2)]
        hash: Digest,
        /// Its parts are sealed once more, under this key: they do not travel in the session that this travels in.
        #[n(3)]
        key: Option<PartSecret>,
    },
    /// A part of such a message's body.
    #[n(7)]
    Part {
        /// Of the message.
        #[n(0)]
        id: MessageId,
        /// Which: it begins at this number times [`limits::PART`].
        #[n(1)]
        at: u32,
        /// Exactly [`limits::PART`] bytes, but for the last part; sealed under the key of the announcement, if it had one.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// What the recipient has of such a message. Answers `Large`, and follows every few parts.
    #[n(8)]
    Taken {
        /// Of the message.
        #[n(0)]
        id: MessageId,
        /// Chosen at random when the recipient began to keep parts: with another one, what was told before is forgotten.
        #[n(1)]
        run: u32,
        /// Every part before this one is there, and this one is not.
        #[n(2)]
        next: u32,
        /// The lowest bit stands for the part after `next`, and so on: those with ones are there.
        #[n(3)]
        ahead: u64,
        /// There is no room for the message now. Parts that are sent all the same are dropped.
        #[n(4)]
        full: Option<bool>,
    },
    /// Keys of feeds in a private party, for a member.
    #[n(20)]
    Keys {
        /// The party.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Which.
        #[n(1)]
        keys: List<FeedKey, { limits::KEYS }>,
    },
    /// Asks a member for keys of feeds.
    #[n(21)]
    KeysWanted {
        /// The party.
        #[n(0)]
        discovery: DiscoveryKey,
        /// The sender's signed [`crate::PeerRecord`]: whose peer it is.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        record: Vec<u8>,
        /// Which.
        #[n(2)]
        wanted: List<FeedEpoch, { limits::KEYS }>,
    },
    /// The sender does not go on with a message, or the recipient wants no more of it: it is to be forgotten.
    #[n(9)]
    Stop {
        /// Of the message.
        #[n(0)]
        id: MessageId,
    },
    /// Something of the session between the two. In it travel `Message`, `Large` and `Receipt`.
    #[n(12)]
    Session {
        /// An encoded [`crate::ratchet::Ratcheted`].
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        frame: Vec<u8>,
        /// The sender's signed [`crate::PeerRecord`]; what is inside need not repeat it.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        record: Option<Vec<u8>>,
        /// The sender's signed discovery entry; what is inside need not repeat it.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        entry: Option<Vec<u8>>,
        /// The sender's signed fallback [`crate::ratchet::Prekey`], where the session is lost: the next one begins with it.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        prekey: Option<Vec<u8>>,
    },
    /// Asks for a prekey, or gives one.
    #[n(13)]
    Prekey {
        /// The sender's signed [`crate::ratchet::Prekey`]; none: the sender asks for the recipient's.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        prekey: Option<Vec<u8>>,
        /// Where the sender is, if it asks: its signed discovery entry.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        entry: Option<Vec<u8>>,
    },
}

/// A chain of keys of a feed, from one of its places on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FeedKey {
    /// The feed.
    #[n(0)]
    pub feed: PeerId,
    /// Which of its chains.
    #[n(1)]
    pub epoch: Epoch,
    /// The place.
    #[n(2)]
    pub place: u32,
    /// The chain there.
    #[n(3)]
    pub chain: ChainKey,
    /// The beginnings of the hashes of removals that the author knew, the newest: who does not know them, too, does not
    /// pass the key on.
    #[n(4)]
    pub knows: List<Tag, { limits::REMOVALS }>,
}

/// A chain of keys of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FeedEpoch {
    /// The feed.
    #[n(0)]
    pub feed: PeerId,
    /// Which of its chains.
    #[n(1)]
    pub epoch: Epoch,
}

/// One step of a negotiation. The lower PeerId offers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Signal {
    /// The higher PeerId asks the lower one for an offer (or, in a session, for an ICE restart).
    #[n(1)]
    Knock {
        /// The sender has no link at all: the recipient should make room.
        #[n(0)]
        urgent: bool,
        /// The sender's signed discovery entry: where to answer, sealed to which key.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        entry: Vec<u8>,
        /// Links that the sender has, of all parties.
        #[n(2)]
        links: Option<u8>,
        /// The stream between the two that the connection is to replace. None, and the recipient has one: the sender knows
        /// nothing of it any more.
        #[n(3)]
        stream: Option<SessionId>,
    },
    /// An offer.
    #[n(2)]
    Offer {
        /// SDP (RFC 8866, RFC 8829).
        #[n(0)]
        sdp: Text<{ limits::SDP }>,
        /// Candidates gathered so far.
        #[n(1)]
        candidates: List<Candidate, { limits::CANDIDATES }>,
        /// The sender has no link at all: the recipient should make room.
        #[n(2)]
        urgent: bool,
        /// The sender's signed discovery entry: where to answer, sealed to which key.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        entry: Vec<u8>,
        /// Links that the sender has, of all parties.
        #[n(4)]
        links: Option<u8>,
        /// As in a knock.
        #[n(5)]
        stream: Option<SessionId>,
    },
    /// An answer.
    #[n(3)]
    Answer {
        /// SDP.
        #[n(0)]
        sdp: Text<{ limits::SDP }>,
        /// Candidates gathered so far.
        #[n(1)]
        candidates: List<Candidate, { limits::CANDIDATES }>,
    },
    /// More candidates.
    #[n(4)]
    Candidates {
        /// In the order in which they were gathered.
        #[n(0)]
        candidates: List<Candidate, { limits::CANDIDATES }>,
    },
    /// No link now.
    #[n(5)]
    Refuse {
        /// Why.
        #[n(0)]
        reason: Refusal,
    },
    /// No connection comes about: the sender asks for a stream forwarded by signalers, or agrees to one that the
    /// recipient asked for. The signal's session is the stream's; of two that cross, the lower PeerId's counts.
    #[n(6)]
    Stream {
        /// For this stream only.
        #[n(0)]
        key: AgreementKey,
        /// The sender has no link at all: the recipient should make room.
        #[n(1)]
        urgent: bool,
        /// The sender's signed discovery entry.
        #[n(2)]
        #[cbor(with = "minicbor::bytes")]
        entry: Vec<u8>,
        /// Links that the sender has, of all parties.
        #[n(3)]
        links: Option<u8>,
    },
}

/// What is inside a packet of a forwarded stream (see `weft_crypto::stream`): chunks of a link, in order and each once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Packet {
    /// So many chunks of the receiver's have come.
    #[n(0)]
    pub came: u64,
    /// Number of the first chunk here, counted from 0.
    #[n(1)]
    pub first: u64,
    /// Chunks, one after the other.
    #[n(2)]
    pub chunks: List<Bytes<{ limits::CHUNK }>, { limits::PACKET_CHUNKS }>,
}

/// One ICE candidate (RFC 8839), as `RTCIceCandidateInit` has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Candidate {
    /// The candidate line, `candidate:…`; empty: no more of them.
    #[n(0)]
    pub candidate: Text<{ limits::CANDIDATE }>,
    /// Media stream identification.
    #[n(1)]
    pub mid: Option<Text<32>>,
    /// Index of the media description.
    #[n(2)]
    pub index: Option<u16>,
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode)]
#[cbor(index_only)]
pub enum Refusal {
    /// All places are taken.
    #[n(0)]
    Full,
    /// The recipient blocks the sender.
    #[n(1)]
    Blocked,
    /// The recipient is not in that swarm.
    #[n(2)]
    NotInSwarm,
    /// The recipient could not use the description.
    #[n(3)]
    BadDescription,
    /// The recipient does not know the session (it was restarted): begin anew.
    #[n(4)]
    UnknownSession,
    /// A reason of a later version; any number that is not above.
    #[n(255)]
    Other,
}

impl<'b, C> Decode<'b, C> for Refusal {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(match decoder.unsigned(u32::MAX.into())? {
            0 => Self::Full,
            1 => Self::Blocked,
            2 => Self::NotInSwarm,
            3 => Self::BadDescription,
            4 => Self::UnknownSession,
            _ => Self::Other,
        })
    }
}
