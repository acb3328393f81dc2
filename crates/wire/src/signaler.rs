//! Frames between a peer and a signaler, WebSocket sub-protocol [`crate::PEER_PROTOCOL`], one per binary message.
//!
//! ```text
//! peer                               signaler
//!   | <----------- Challenge ----------- |   nonce, the signaler's id
//!   | ---------- Authenticate ---------> |   peer id, signature over nonce and both ids, nonce of its own
//!   | <------------ Welcome ------------ |   signature over the peer's nonce, what it allows
//!   | ------ Announce (signed entry) --> |
//!   | <-- Members, then Joined / Left -- |
//!   | ---- Forward (sealed) -----------> |
//!   | <-- Error, or Ack; Deliver ------- |
//!   | --- Publish, Store, Peers -------> |   to the residence of an identity, passed on by whoever is asked
//!   | --- Collect ---------------------> |
//!   | <------------- Prove ------------- |   nonce of a signaler of the residence
//!   | --- Proof -----------------------> |
//!   | <------------- Mail -------------- |   until it is empty
//!   | --- Taken -----------------------> |
//! ```

use crate::bounded::Bytes;
use crate::cbor::{self as minicbor, Decode, Encode};

use crate::{
    Code, Digest, DiscoveryKey, IdentityId, List, Nonce, PeerId, SignalerId, Signature, Text, limits,
};

/// What a peer says to a signaler.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum ToSignaler<'a> {
    /// Answers the challenge. The signature is described at `weft_crypto::challenge`.
    #[n(1)]
    Authenticate {
        /// Who connects.
        #[n(0)]
        peer: PeerId,
        /// For the signaler to sign.
        #[n(1)]
        nonce: Nonce,
        /// Over the signaler's nonce and both ids.
        #[n(2)]
        signature: Signature,
        /// Name and version of the program, for the operator's statistics.
        #[n(3)]
        agent: Text<{ limits::AGENT }>,
    },
    /// Joins a swarm, or refreshes the entry: a signed [`crate::Entry`] with `left` false.
    #[n(2)]
    Announce {
        /// Encoded [`crate::Signed`] entry, at most [`limits::ENTRY`] bytes.
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        entry: &'a [u8],
    },
    /// Leaves a swarm: a signed [`crate::Entry`] with `left` true.
    #[n(3)]
    Leave {
        /// Encoded [`crate::Signed`] entry, at most [`limits::ENTRY`] bytes.
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        entry: &'a [u8],
    },
    /// Passes an envelope to a peer. A failure is answered by [`FromSignaler::Error`] with the same `re`, success by
    /// [`FromSignaler::Ack`] if that is asked for.
    #[n(4)]
    Forward {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// To whom.
        #[n(1)]
        to: PeerId,
        /// Where the recipient was last seen, if not here.
        #[n(2)]
        home: Option<SignalerId>,
        /// Sealed; at most [`limits::ENVELOPE`] bytes.
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        envelope: &'a [u8],
        /// Success is to be answered, too. Absent: false.
        #[n(4)]
        #[cbor(skip_if = "is_false")]
        ack: bool,
    },
    /// Passes one sealed payload to every other member of a swarm, on this signaler and its siblings. Answered as
    /// [`ToSignaler::Forward`] is.
    #[n(5)]
    Fanout {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// The swarm; the sender must be announced in it.
        #[n(1)]
        discovery: DiscoveryKey,
        /// Sealed under the party's key; at most [`limits::ENVELOPE`] bytes.
        #[b(2)]
        #[cbor(with = "minicbor::bytes")]
        payload: &'a [u8],
        /// Success is to be answered, too. Absent: false.
        #[n(3)]
        #[cbor(skip_if = "is_false")]
        ack: bool,
    },
    /// Asks for a [`FromSignaler::Pong`] (a page cannot see WebSocket pings).
    #[n(6)]
    Ping {
        /// Repeated in the answer.
        #[n(0)]
        token: u32,
    },
    /// Leaves a peer's record and prekeys at the residence of its identity, and opens a mailbox for it there, or refreshes
    /// both. Answered by [`FromSignaler::Published`]. Like all frames about mail optional: a signaler of before does not answer.
    #[n(66)]
    Publish {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// Signed [`crate::PeerRecord`]; the newest counts.
        #[n(1)]
        record: Bytes<{ limits::RECORD }>,
        /// Signed [`crate::ratchet::Prekey`]s to be added; may be none. A fallback takes the place of an older one.
        #[n(2)]
        prekeys: List<Bytes<{ limits::PREKEY }>, { limits::PREKEYS }>,
    },
    /// Asks for the peers of an identity, at its residence. Answered by [`FromSignaler::Peers`].
    #[n(67)]
    Peers {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// Whose.
        #[n(1)]
        identity: IdentityId,
        /// With a prekey of each for one use, which nobody gets again. Absent: with the fallbacks only.
        #[n(2)]
        #[cbor(skip_if = "is_false")]
        once: bool,
    },
    /// Leaves an envelope in the mailbox of a peer, at the residence of its identity. Answered by [`FromSignaler::Ack`] once it
    /// is durable there. To be sent again unchanged if no answer comes: what is there already, or was, is only acknowledged.
    #[n(68)]
    Store {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// Whose residence.
        #[n(1)]
        identity: IdentityId,
        /// Which of its peers.
        #[n(2)]
        peer: PeerId,
        /// How long it may wait, milliseconds from now; longer than the signaler allows is cut.
        #[n(3)]
        life_ms: u64,
        /// Sealed; at most [`limits::ENVELOPE`] bytes. Its hash (BLAKE3) names it.
        #[b(4)]
        #[cbor(with = "minicbor::bytes")]
        envelope: &'a [u8],
    },
    /// Asks for the mail of a peer. Answered by [`FromSignaler::Prove`].
    #[n(69)]
    Collect {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// Whose residence.
        #[n(1)]
        identity: IdentityId,
        /// Whose mailbox.
        #[n(2)]
        peer: PeerId,
    },
    /// Answers [`FromSignaler::Prove`]. Answered by the first [`FromSignaler::Mail`].
    #[n(70)]
    Proof {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// As in `Collect`.
        #[n(1)]
        identity: IdentityId,
        /// As in `Collect`.
        #[n(2)]
        peer: PeerId,
        /// Who asked for the proof.
        #[n(3)]
        signaler: SignalerId,
        /// As in `Prove`.
        #[n(4)]
        nonce: Nonce,
        /// The peer's. See `weft_crypto::challenge`.
        #[n(5)]
        signature: Signature,
    },
    /// What was collected is stored, and can be deleted. Answered by the next [`FromSignaler::Mail`] once that is durable.
    #[n(71)]
    Taken {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// As in `Proof`.
        #[n(1)]
        identity: IdentityId,
        /// As in `Proof`.
        #[n(2)]
        peer: PeerId,
        /// As in `Proof`.
        #[n(3)]
        signaler: SignalerId,
        /// As in `Proof`.
        #[n(4)]
        nonce: Nonce,
        /// The hashes (BLAKE3) of the envelopes.
        #[n(5)]
        ids: List<Digest, { limits::MAIL }>,
        /// The peer's, over all of the above but `re`.
        #[n(6)]
        signature: Signature,
    },
    /// A peer is its identity's no longer: what its residence has of it goes. Answered by [`FromSignaler::Ack`].
    #[n(72)]
    Revoke {
        /// Chosen by the sender, repeated in the answer.
        #[n(0)]
        re: u32,
        /// Signed [`crate::Revocation`].
        #[n(1)]
        revocation: Bytes<{ limits::REVOCATION }>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derive's signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What a signaler says to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum FromSignaler<'a> {
    /// The first frame of a connection.
    #[n(1)]
    Challenge {
        /// Who this signaler is.
        #[n(0)]
        signaler: SignalerId,
        /// For the peer to sign.
        #[n(1)]
        nonce: Nonce,
    },
    /// The peer is authenticated.
    #[n(2)]
    Welcome {
        /// Over the peer's nonce and both ids.
        #[n(0)]
        signature: Signature,
        /// Longest life of a discovery entry, milliseconds.
        #[n(1)]
        ttl_ms: u64,
        /// Ping at least this often, milliseconds.
        #[n(2)]
        keepalive_ms: u64,
        /// Largest frame accepted from now on, bytes.
        #[n(3)]
        max_frame: u32,
        /// Most swarms one peer may be in.
        #[n(4)]
        max_swarms: u32,
        /// The signaler's wall clock, milliseconds since the Unix epoch.
        #[n(5)]
        now_ms: u64,
    },
    /// Something was refused. The connection goes on unless a close follows.
    #[n(3)]
    Error {
        /// Why.
        #[n(0)]
        code: Code,
        /// The `re` of the frame that was refused, if it had one.
        #[n(1)]
        re: Option<u32>,
        /// The swarm that it concerned, if it concerned one.
        #[n(2)]
        discovery: Option<DiscoveryKey>,
        /// For people.
        #[n(3)]
        text: Text<{ limits::TEXT }>,
    },
    /// Who is in a swarm at the time of the peer's announce: all members, or a random choice of them.
    #[n(4)]
    Members {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Signed entries.
        #[n(1)]
        entries: List<EntryBytes, { limits::ENTRIES }>,
        /// How many members the signaler knows, the asking peer not counted.
        #[n(2)]
        total: u32,
    },
    /// A member came, or moved to a new home. Not sent for refreshes.
    #[n(5)]
    Joined {
        /// Encoded [`crate::Signed`] entry.
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        entry: &'a [u8],
    },
    /// The last entry of a member in this swarm is gone.
    #[n(6)]
    Left {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Who.
        #[n(1)]
        peer: PeerId,
    },
    /// An envelope for this peer.
    #[n(7)]
    Deliver {
        /// Sealed for the receiving peer.
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        envelope: &'a [u8],
    },
    /// A payload for all members of a swarm.
    #[n(8)]
    Fanned {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Sealed under the party's key.
        #[b(1)]
        #[cbor(with = "minicbor::bytes")]
        payload: &'a [u8],
    },
    /// The frame with this `re` was handed to the recipient's socket, or to every member's.
    #[n(9)]
    Ack {
        /// Of the acknowledged frame.
        #[n(0)]
        re: u32,
    },
    /// Answers [`ToSignaler::Ping`].
    #[n(10)]
    Pong {
        /// Of the ping.
        #[n(0)]
        token: u32,
    },
    /// TURN and STUN servers (RFC 8656, RFC 8489) that this peer may use. Sent after [`FromSignaler::Welcome`], and anew
    /// before the credentials expire. Optional: who does not know it does without.
    #[n(64)]
    IceServers {
        /// `turn:`, `turns:`, `stun:` or `stuns:` (RFC 7064, RFC 7065).
        #[n(0)]
        urls: List<Text<{ limits::URL }>, { limits::ICE_URLS }>,
        /// For the TURN servers.
        #[n(1)]
        username: Text<{ limits::ICE_CREDENTIAL }>,
        /// For the TURN servers.
        #[n(2)]
        credential: Text<{ limits::ICE_CREDENTIAL }>,
        /// Seconds that the credential is good for.
        #[n(3)]
        life_s: u32,
    },
    /// The signalers of the federation that live, this one among them: a peer that reaches one can find all. Sent after
    /// [`FromSignaler::Welcome`], and anew when it has changed. Optional: who does not know it does without.
    #[n(65)]
    Signalers {
        /// Their signed [`crate::Card`]s.
        #[n(0)]
        cards: List<Bytes<{ limits::CARD }>, { limits::MEMBERS }>,
    },
    /// Answers [`ToSignaler::Publish`]: the record is durable, and so are the prekeys.
    #[n(66)]
    Published {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// Prekeys for one use each that lie ready now.
        #[n(1)]
        left: u32,
    },
    /// Answers [`ToSignaler::Peers`].
    #[n(67)]
    Peers {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// Those of which there is a record; none: nobody of this identity can be written to.
        #[n(1)]
        peers: List<Recorded, { limits::MAILBOXES }>,
    },
    /// Answers [`ToSignaler::Collect`]: asks for a proof.
    #[n(68)]
    Prove {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// Who asks: a signaler of the residence, not always the one that passes this on.
        #[n(1)]
        signaler: SignalerId,
        /// For the peer to sign; good for one collection.
        #[n(2)]
        nonce: Nonce,
    },
    /// Answers [`ToSignaler::Proof`] and [`ToSignaler::Taken`]: what waits, those first that came first. Without any, nothing
    /// more does, and the collection is over.
    #[n(69)]
    Mail {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// What waits, as far as it fits into one frame.
        #[n(1)]
        items: List<Waiting, { limits::MAIL }>,
        /// There is more than that.
        #[n(2)]
        #[cbor(skip_if = "is_false")]
        more: bool,
    },
    /// Mail waits for this peer: it may collect it. May come without need, and need not come.
    #[n(70)]
    MailWaits {
        /// At the residence of which of its identities.
        #[n(0)]
        identity: IdentityId,
    },
    /// The signaler is about to close.
    #[n(11)]
    Goodbye {
        /// Why.
        #[n(0)]
        code: Code,
        /// Come back no sooner than this, milliseconds.
        #[n(1)]
        retry_ms: u64,
    },
}

/// A peer of an identity, as its residence knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recorded {
    /// Signed [`crate::PeerRecord`].
    #[n(0)]
    pub record: Bytes<{ limits::RECORD }>,
    /// Signed [`crate::ratchet::Prekey`]s: one for one use, if that was asked for and one is left; then the fallback, if there
    /// is one.
    #[n(1)]
    pub prekeys: List<Bytes<{ limits::PREKEY }>, { limits::PREKEYS_EACH }>,
}

/// An envelope in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Waiting {
    /// When it came, milliseconds since the Unix epoch on the clock of the signaler that took it; each later one has more.
    #[n(0)]
    pub at: u64,
    /// Sealed; its hash (BLAKE3) names it.
    #[n(1)]
    pub envelope: Bytes<{ limits::ENVELOPE }>,
}

/// One encoded [`crate::Signed`] entry of at most [`limits::ENTRY`] bytes.
pub type EntryBytes = Bytes<{ limits::ENTRY }>;
