//! Statements that somebody signed. The signatures themselves are `weft-crypto`'s; here are the shapes.

use crate::cbor::{self as minicbor, Decode, Encode};

use crate::{
    AgreementKey, Bytes, DiscoveryKey, IdentityId, List, PeerId, PublicationId, SignalerId, Signature, Text,
    limits,
};

/// A signed body as it travels: the bytes that were signed are kept and passed on as received.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signed<'a> {
    /// The encoded body.
    #[b(0)]
    #[cbor(with = "minicbor::bytes")]
    pub body: &'a [u8],
    /// Over the domain of the body's kind and the body.
    #[n(1)]
    pub signature: Signature,
}

/// Discovery entry: a peer's statement that it is (or, with `left`, no longer is) in a swarm and at home at a signaler.
/// Signed by the peer, domain `weft/v1/entry`. Keyed by (discovery, peer, home); the highest `seq` counts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entry {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// Who.
    #[n(1)]
    pub peer: PeerId,
    /// Through which signaler it can be reached.
    #[n(2)]
    pub home: SignalerId,
    /// Envelopes for the peer are sealed to this key.
    #[n(3)]
    pub agreement: AgreementKey,
    /// Grows with each statement of this peer: milliseconds since the Unix epoch, or the last one plus one.
    #[n(4)]
    pub seq: u64,
    /// Since when the peer is in the swarm, milliseconds since the Unix epoch on the peer's clock.
    #[n(5)]
    pub since: u64,
    /// When the entry expires, milliseconds since the Unix epoch on the peer's clock. Receivers clamp it to their own
    /// clock plus their TTL.
    #[n(6)]
    pub until: u64,
    /// A tombstone: the peer has left this swarm at this home.
    #[n(7)]
    pub left: bool,
}

/// A home's statement that an entry of its own is gone though the peer did not sign a leave (its socket was lost).
/// Signed by the home, domain `weft/v1/gone`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Gone {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// Who.
    #[n(1)]
    pub peer: PeerId,
    /// The signer.
    #[n(2)]
    pub home: SignalerId,
    /// Of the entry that is gone; a newer one stays.
    #[n(3)]
    pub seq: u64,
}

/// A signaler's statement of itself, from which others know where to call it. Signed by the signaler, domain
/// `weft/v1/member`. Of two the one with the greater `since` counts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Card {
    /// The signer.
    #[n(0)]
    pub signaler: SignalerId,
    /// When this life of it began: its start, or later if it was taken for dead meanwhile. Milliseconds since the Unix epoch,
    /// or the last one plus one.
    #[n(1)]
    pub since: u64,
    /// Where siblings and peers reach it, if they do.
    #[n(2)]
    pub url: Option<Text<{ limits::URL }>>,
    /// The highest version of the federation's protocol that it speaks.
    #[n(3)]
    pub version: u16,
}

/// The identity's statement that a peer is its own. Signed by the identity, domain `weft/v1/peer-record`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PeerRecord {
    /// The signer.
    #[n(0)]
    pub identity: IdentityId,
    /// The peer.
    #[n(1)]
    pub peer: PeerId,
    /// The peer's key for agreement.
    #[n(2)]
    pub agreement: AgreementKey,
    /// Display name; may be empty. Not unique, not proven.
    #[n(3)]
    pub name: Text<{ limits::NAME }>,
    /// When it was signed, milliseconds since the Unix epoch; the newest record of a peer counts.
    #[n(4)]
    pub issued: u64,
    /// When it expires, milliseconds since the Unix epoch.
    #[n(5)]
    pub until: u64,
    /// Messages to the peer travel in sessions ([`crate::ratchet`]) only. None: it is of a version that knows none.
    #[n(6)]
    pub sessions: Option<bool>,
}

/// The identity's statement that a peer is its own no longer. Signed by the identity, domain `weft/v1/revocation`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Revocation {
    /// The signer.
    #[n(0)]
    pub identity: IdentityId,
    /// The peer.
    #[n(1)]
    pub peer: PeerId,
    /// When it was signed, milliseconds since the Unix epoch.
    #[n(2)]
    pub issued: u64,
    /// Until then no record of this peer by this identity counts: no earlier than the last one runs out.
    #[n(3)]
    pub until: u64,
}

/// What a peer says of itself to the swarm, passed on by everybody. Signed by the peer, domain `weft/v1/presence`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Presence {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// The signer.
    #[n(1)]
    pub peer: PeerId,
    /// Grows with each statement; milliseconds since the Unix epoch, or the last one plus one.
    #[n(2)]
    pub seq: u64,
    /// Signed [`PeerRecord`].
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub record: Vec<u8>,
    /// Whom it has links to, in this swarm.
    #[n(4)]
    pub links: List<PeerId, { limits::PRESENCE_LINKS }>,
    /// Its homes.
    #[n(5)]
    pub homes: List<SignalerId, { limits::PRESENCE_HOMES }>,
    /// The peer is going.
    #[n(6)]
    pub left: bool,
    /// Publications it has passed on to others since it started.
    #[n(7)]
    pub forwarded: u64,
    /// What its application says of itself in this swarm: a document, deterministic CBOR.
    #[n(8)]
    pub state: Option<Bytes<{ limits::STATE }>>,
}

/// One publication in a [`Bundle`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BundleEntry {
    /// When it was published, milliseconds since the Unix epoch on the author's clock.
    #[n(0)]
    pub time: u64,
    /// The document: deterministic CBOR, at most [`limits::DOCUMENT`] bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// Consecutive publications of one feed under one signature. Each publication's id hashes the one before it, so the
/// signature over the last id (domain `weft/v1/publication`, by the feed's peer) covers all of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Bundle {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// Whose publications these are; the feed's peer record says the same.
    #[n(1)]
    pub author: IdentityId,
    /// The peer whose feed it is, and the signer.
    #[n(2)]
    pub feed: PeerId,
    /// Sequence number of the first entry; a feed begins at 1.
    #[n(3)]
    pub first: u64,
    /// Id of the publication before the first; zeroes if there is none.
    #[n(4)]
    pub previous: PublicationId,
    /// At least one, at most [`limits::BUNDLE_ENTRIES`].
    #[n(5)]
    pub entries: List<BundleEntry, { limits::BUNDLE_ENTRIES }>,
    /// Over the last id.
    #[n(6)]
    pub signature: Signature,
    /// The number of `previous`, if that is not the one before the first: the feed was taken up again and goes on at a
    /// later number, and between the two nothing is missing. Not signed; it only saves waiting.
    #[n(7)]
    pub after: Option<u64>,
}

impl Bundle {
    /// Sequence number of the last entry.
    pub fn last(&self) -> u64 {
        self.first.saturating_add((self.entries.len() as u64).saturating_sub(1))
    }
}
