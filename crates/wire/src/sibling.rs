//! Frames between two signalers, WebSocket sub-protocol [`crate::FEDERATION_PROTOCOL`].
//!
//! Both sides send `Challenge`, then `Prove`; only then does either say anything else. Entries and removals are signed
//! by those they concern, so a sibling may pass them on: the tables converge over any connected set of sibling links.

use crate::cbor::{self as minicbor, Decode, Encode};

use crate::registry::{NetworkName, Sealed};
use crate::signaler::EntryBytes;
use crate::{
    Bytes, Code, Digest, DiscoveryKey, IdentityId, List, Nonce, PeerId, SignalerId, Signature, Tag, Text,
    limits,
};

/// What one signaler says to another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Sibling<'a> {
    /// The first frame of either side.
    #[n(1)]
    Challenge {
        /// Who speaks.
        #[n(0)]
        signaler: SignalerId,
        /// For the other to sign.
        #[n(1)]
        nonce: Nonce,
    },
    /// Answers the other's challenge.
    #[n(2)]
    Prove {
        /// Over both nonces and both ids.
        #[n(0)]
        signature: Signature,
    },
    /// Both sides have proved their keys and this side admits the other: tables and traffic may flow.
    #[n(3)]
    Admitted {
        /// Where this signaler can be reached by peers and siblings, if it knows.
        #[n(0)]
        url: Option<Text<{ limits::URL }>>,
        /// Its signed [`crate::Card`]: it understands `Gossip`. Absent: it does not, and gets none.
        #[n(1)]
        card: Option<Bytes<{ limits::CARD }>>,
    },
    /// Something was refused.
    #[n(4)]
    Error {
        /// Why.
        #[n(0)]
        code: Code,
        /// For people.
        #[n(1)]
        text: Text<{ limits::TEXT }>,
    },
    /// New or newer discovery entries, tombstones included. After admission first the whole table, then changes.
    #[n(5)]
    Entries {
        /// Signed [`crate::Entry`]s.
        #[n(0)]
        entries: List<EntryBytes, { limits::ENTRIES }>,
        /// The sender itself tells everybody who keeps them; this names the signalers that live, as it sees it. Absent, or
        /// another than the receiver's: they are to be passed on to those who keep them.
        #[n(1)]
        ring: Option<u64>,
    },
    /// Entries whose home says that they are gone: signed [`crate::Gone`]s.
    #[n(6)]
    Gone {
        /// Signed [`crate::Gone`]s.
        #[n(0)]
        gone: List<EntryBytes, { limits::ENTRIES }>,
        /// As in `Entries`.
        #[n(1)]
        ring: Option<u64>,
    },
    /// An envelope for a peer whose home is `home`.
    #[n(7)]
    Forward {
        /// Repeated in the answer; meaningful on this link only.
        #[n(0)]
        re: u32,
        /// To whom.
        #[n(1)]
        to: PeerId,
        /// Where the recipient is.
        #[n(2)]
        home: SignalerId,
        /// Hops taken so far, at most [`limits::HOPS`].
        #[n(3)]
        hops: u8,
        /// Sealed.
        #[b(4)]
        #[cbor(with = "minicbor::bytes")]
        envelope: &'a [u8],
    },
    /// The outcome of a `Forward` or `Fanout`.
    #[n(8)]
    Outcome {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// None: delivered.
        #[n(1)]
        code: Option<Code>,
    },
    /// A payload for the members of a swarm whose home is `home`.
    #[n(9)]
    Fanout {
        /// Repeated in the answer; meaningful on this link only.
        #[n(0)]
        re: u32,
        /// The swarm.
        #[n(1)]
        discovery: DiscoveryKey,
        /// The signaler whose local members are meant.
        #[n(2)]
        home: SignalerId,
        /// Hops taken so far.
        #[n(3)]
        hops: u8,
        /// Who sent it, so that it does not come back to a second home of the sender.
        #[n(4)]
        from: PeerId,
        /// Sealed under the party's key.
        #[b(5)]
        #[cbor(with = "minicbor::bytes")]
        payload: &'a [u8],
    },
    /// Asks for a `Pong`.
    #[n(10)]
    Ping {
        /// Repeated in the answer.
        #[n(0)]
        token: u32,
    },
    /// Answers `Ping`.
    #[n(11)]
    Pong {
        /// Of the ping.
        #[n(0)]
        token: u32,
    },
    /// Who is a member, and whether it lives; only for those that sent a card.
    #[n(13)]
    Gossip {
        /// See [`crate::gossip`]; at most [`limits::GOSSIP`] bytes.
        #[b(0)]
        #[cbor(with = "minicbor::bytes")]
        packet: &'a [u8],
    },
    /// Entries whose peers say that they are still there, to those that were told of them before.
    #[n(14)]
    Refreshes {
        /// What is new in each.
        #[n(0)]
        refreshes: List<Refresh, { limits::ENTRIES }>,
        /// As in `Entries`.
        #[n(1)]
        ring: Option<u64>,
    },
    /// What the sender has of one swarm: whoever keeps it, too, asks for the rest with `Wanted`.
    #[n(15)]
    Offer {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// Entries that are present: eight bytes for what each is about, then the lower four of its number.
        #[n(1)]
        names: Bytes<{ limits::NAMES * limits::NAME_BYTES }>,
    },
    /// Answers an `Offer`: what the sender of this lacks. Without any it has everything.
    #[n(16)]
    Wanted {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// As in `Offer`.
        #[n(1)]
        names: Bytes<{ limits::NAMES * limits::NAME_BYTES }>,
    },
    /// Interest in a swarm, and the answer to it.
    #[n(17)]
    Watch {
        /// The swarm.
        #[n(0)]
        discovery: DiscoveryKey,
        /// What is meant.
        #[n(1)]
        said: Watching,
        /// The marks of the entries that the sender has and that are present, XORed.
        #[n(2)]
        sum: u64,
        /// 1: on behalf of somebody else, and not to be passed on again.
        #[n(3)]
        hops: u8,
    },
    /// Peers that are connected to the sender, or no longer are: for their residences.
    #[n(18)]
    Connected {
        /// Who is.
        #[n(0)]
        peers: List<PeerId, { limits::CONNECTED }>,
        /// Who no longer is.
        #[n(1)]
        gone: List<PeerId, { limits::CONNECTED }>,
    },
    /// What the sender and the receiver should both have, as far as the sender has it.
    #[n(19)]
    Summary {
        /// Names the signalers that live, as the sender sees it.
        #[n(0)]
        ring: u64,
        /// They are so few that each keeps everything.
        #[n(1)]
        whole: bool,
        /// For each first byte of a discovery key, in order, eight bytes: the marks of those entries, XORed.
        #[n(2)]
        sums: Bytes<{ limits::TABLE_SUMS }>,
    },
    /// This signaler is about to close.
    #[n(12)]
    Goodbye {
        /// Why.
        #[n(0)]
        code: Code,
    },
    /// What this signaler's registry holds: to be compared with one's own.
    #[n(20)]
    RegistrySummary {
        /// Of which federation.
        #[n(0)]
        network: NetworkName,
        /// For each first byte of a digest, in order: the second eight bytes of all such digests, XORed.
        #[n(1)]
        sums: Bytes<{ limits::REGISTRY_SUMS }>,
    },
    /// The statements with one first byte that this signaler has: the answer to a summary that differs there.
    #[n(21)]
    RegistryHave {
        /// The first byte.
        #[n(0)]
        bucket: u8,
        /// Their digests.
        #[n(1)]
        digests: List<Digest, { limits::REGISTRY_DIGESTS }>,
    },
    /// Statements that are new, or that the other one lacks.
    #[n(22)]
    RegistryStatements {
        /// As they were signed.
        #[n(0)]
        statements: List<Sealed, { limits::REGISTRY_STATEMENTS }>,
    },
    /// A peer's frame about mail, for the residence of an identity. Answered by `MailAnswer`, or by an `Outcome`. Like all frames
    /// about mail optional: a signaler of before keeps none.
    #[n(64)]
    MailAsk {
        /// Repeated in the answer; meaningful on this link only.
        #[n(0)]
        re: u32,
        /// Hops taken so far: at 1 it is not passed on again.
        #[n(1)]
        hops: u8,
        /// Names the peer to nobody but its home, and another way each day: what it asked for and stored is counted by it.
        #[n(2)]
        sender: Tag,
        /// [`crate::signaler::ToSignaler`], as the peer sent it.
        #[b(3)]
        #[cbor(with = "minicbor::bytes")]
        frame: &'a [u8],
    },
    /// Answers `MailAsk`.
    #[n(65)]
    MailAnswer {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// [`crate::signaler::FromSignaler`], for the peer.
        #[b(1)]
        #[cbor(with = "minicbor::bytes")]
        frame: &'a [u8],
    },
    /// To be kept, too. Answered by `MailKept` once it is durable, if there is a `re`.
    #[n(66)]
    MailKeep {
        /// Repeated in the answer.
        #[n(0)]
        re: Option<u32>,
        /// Whose.
        #[n(1)]
        identity: IdentityId,
        /// In which mailbox.
        #[n(2)]
        peer: PeerId,
        /// What.
        #[n(3)]
        items: List<Kept, { limits::KEPT }>,
    },
    /// Answers `MailKeep`.
    #[n(67)]
    MailKept {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
        /// None: it is durable. Else nothing was kept.
        #[n(1)]
        code: Option<Code>,
        /// With `Replayed`: the mailbox has mail as late as that, so what is new has to have a later time.
        #[n(2)]
        after: Option<u64>,
    },
    /// What is durable here of that which the sender and the receiver both keep.
    #[n(68)]
    MailSums {
        /// Names the signalers that live, as the sender sees it.
        #[n(0)]
        ring: u64,
        /// It answers another one.
        #[n(1)]
        answer: bool,
        /// For each first byte of an identity, in order, eight bytes: the sums of those mailboxes, XORed.
        #[n(2)]
        sums: Bytes<{ limits::TABLE_SUMS }>,
    },
    /// Which mailboxes of an identity does the receiver have that are not like these? Answered by `MailHave`.
    #[n(69)]
    MailLook {
        /// Repeated in the answer.
        #[n(0)]
        re: u32,
        /// Whose.
        #[n(1)]
        identity: IdentityId,
        /// As the sender has them.
        #[n(2)]
        boxes: List<BoxSum, { limits::MAILBOXES_KEPT }>,
    },
    /// Mailboxes that the sender has: whoever keeps them, too, and has others asks with `MailNames`.
    #[n(70)]
    MailHave {
        /// Of the answered frame, if it answers one.
        #[n(0)]
        re: Option<u32>,
        /// The sender is not to keep them any more: the receiver answers in any case.
        #[n(1)]
        leaving: bool,
        /// What it has.
        #[n(2)]
        boxes: List<BoxSum, { limits::BOX_SUMS }>,
    },
    /// What the sender has durably of a mailbox. Answered by what it lacks in `MailKeep`s without `re`, then by `MailDone`.
    #[n(71)]
    MailNames {
        /// Repeated in the answer.
        #[n(0)]
        re: u32,
        /// Whose.
        #[n(1)]
        identity: IdentityId,
        /// Which.
        #[n(2)]
        peer: PeerId,
        /// Eight bytes for each item.
        #[n(3)]
        names: Bytes<{ limits::NAMES * 8 }>,
    },
    /// Answers `MailNames`: this was all.
    #[n(72)]
    MailDone {
        /// Of the answered frame.
        #[n(0)]
        re: u32,
    },
    /// There is mail for a peer, wherever it is connected.
    #[n(73)]
    MailWaits {
        /// At whose residence.
        #[n(0)]
        identity: IdentityId,
        /// For whom.
        #[n(1)]
        peer: PeerId,
        /// Hops taken so far: at 1 it is not passed on again.
        #[n(2)]
        hops: u8,
    },
    /// With which siblings the sender has a link that is up: all of them. Optional: a signaler of before says nothing of its links.
    #[n(74)]
    Linked {
        /// The siblings, the receiver among them.
        #[n(0)]
        siblings: List<SignalerId, { limits::MEMBERS }>,
    },
}

/// A mailbox, and what is durable in it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BoxSum {
    /// Whose.
    #[n(0)]
    pub identity: IdentityId,
    /// Which.
    #[n(1)]
    pub peer: PeerId,
    /// The names of what is in it, XORed.
    #[n(2)]
    pub sum: u64,
}

/// What lies in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Kept {
    /// What it is.
    #[n(0)]
    pub kind: KeptKind,
    /// The hash (BLAKE3) of the body.
    #[n(1)]
    pub id: Digest,
    /// Orders mail; when a statement was issued.
    #[n(2)]
    pub at: u64,
    /// For how long it is kept, milliseconds from now.
    #[n(3)]
    pub life_ms: u64,
    /// Who stored it, by the home's tag.
    #[n(4)]
    pub sender: Tag,
    /// None: it was taken, or used, and does not come back.
    #[n(5)]
    pub body: Option<Bytes<{ limits::ENVELOPE }>>,
}

/// Kinds of what lies in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum KeptKind {
    /// An envelope.
    #[n(0)]
    Mail,
    /// A prekey for one use.
    #[n(1)]
    Once,
    /// The prekey for when no other is left.
    #[n(2)]
    Fallback,
    /// The peer's record.
    #[n(3)]
    Record,
    /// The revocation of the peer.
    #[n(4)]
    Revocation,
}

/// What differs between a signed [`crate::Entry`] and an older one about the same: with that and this the whole can be put
/// together again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refresh {
    /// The swarm.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// What the entry is about, as in `Offer`.
    #[n(1)]
    pub name: u64,
    /// Its number.
    #[n(2)]
    pub seq: u64,
    /// When it expires.
    #[n(3)]
    pub until: u64,
    /// The peer's, over the whole entry.
    #[n(4)]
    pub signature: Signature,
}

/// What a [`Sibling::Watch`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Watching {
    /// Tell me what you have of it, and what changes from now on.
    #[n(0)]
    Begin,
    /// Tell me what you have of it.
    #[n(1)]
    Look,
    /// Tell me nothing any more.
    #[n(2)]
    End,
    /// Answers `Begin` and `Look`: this was all.
    #[n(3)]
    Done,
}
