//! What goes into and comes out of a signaler.

use bytes::Bytes;
use weft_wire::registry::NetworkName;
use weft_wire::sibling::KeptKind;
use weft_wire::{Code, Digest, IdentityId, PeerId, SignalerId, Tag};

use crate::registry::{Record, Shown};

/// A connection, named by the driver. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A sibling that this signaler dials: one of [`crate::Config::siblings`], or a member that it learned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u32);

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A peer connected (sub-protocol [`weft_wire::PEER_PROTOCOL`]).
    Peer,
    /// A sibling connected (sub-protocol [`weft_wire::FEDERATION_PROTOCOL`]).
    Sibling,
    /// An [`Output::Dial`] succeeded.
    Dialled(DialId),
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A connection is open.
    Connected {
        /// Its name from now on.
        conn: ConnId,
        /// How it came about.
        origin: Origin,
    },
    /// A binary message arrived.
    Frame {
        /// On which connection.
        conn: ConnId,
        /// The whole message.
        bytes: &'a [u8],
    },
    /// A message was larger than the connection's limit, and was not read.
    Oversized {
        /// On which connection.
        conn: ConnId,
    },
    /// A message that is not binary arrived (text is no part of the protocol).
    NotBinary {
        /// On which connection.
        conn: ConnId,
    },
    /// A sign of life that is no frame: a WebSocket ping or pong.
    Heard {
        /// On which connection.
        conn: ConnId,
    },
    /// The outgoing queue of a connection passed its high-water mark.
    Full {
        /// Of which connection.
        conn: ConnId,
    },
    /// The outgoing queue of a connection that was full is short again.
    Drained {
        /// Of which connection.
        conn: ConnId,
    },
    /// A connection is closed, by whichever side.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// An [`Output::Dial`] failed.
    DialFailed {
        /// Which.
        dial: DialId,
    },
    /// What an [`Output::KeepMail`] asked for is durable, or could not be written.
    MailKept {
        /// Its number.
        number: u64,
        /// Whether it is durable.
        durable: bool,
    },
    /// Nothing but time has passed.
    Tick,
    /// The operator wants to stop: peers and siblings are told, then everything is closed.
    Shutdown,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Output {
    /// Queue a binary message.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The encoded frame; copies share their bytes.
        frame: Bytes,
    },
    /// Send a WebSocket ping; report the answer as [`Input::Heard`].
    Ping {
        /// On which connection.
        conn: ConnId,
    },
    /// The connection is authenticated: messages up to [`weft_wire::limits::FRAME`] are accepted from now on.
    Raise {
        /// Which connection.
        conn: ConnId,
    },
    /// Close, after what is queued was sent. No [`Input`] about this connection is needed afterwards.
    Close {
        /// Which connection.
        conn: ConnId,
        /// For the close frame: its code is 4000 plus this one's number.
        code: Code,
    },
    /// Connect to a sibling; answer with [`Input::Connected`] or [`Input::DialFailed`].
    Dial {
        /// Repeated in the answer.
        dial: DialId,
        /// Where.
        url: String,
    },
    /// Remember durably that this URL proved this key.
    PinSibling {
        /// The URL, as configured.
        url: String,
        /// The key.
        id: SignalerId,
    },
    /// Store this durably; the answer to whoever caused it waits for that.
    Record(Record),
    /// Somebody in the registry is new, or in another state, or elsewhere.
    Registrant(Box<Shown>),
    /// Remember durably that this is a member's card, or our own, in place of any older one; to be given back in
    /// [`crate::Config::cards`].
    KeepCard {
        /// Whose.
        id: SignalerId,
        /// None: it is no longer to be remembered.
        card: Option<Bytes>,
    },
    /// Make these changes to what peers left here durable, in order and together; answer with [`Input::MailKept`]. To be given
    /// back to [`crate::Signaler::restore_mail`].
    KeepMail {
        /// Repeated in the answer.
        number: u64,
        /// What.
        changes: Vec<MailChange>,
    },
    /// Something worth a line in the log.
    Event(Event),
}

/// A change of what waits for a peer. An item is named by identity, peer and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailChange {
    /// The item is this now.
    Put {
        /// Whose.
        identity: IdentityId,
        /// In which mailbox.
        peer: PeerId,
        /// Which.
        id: Digest,
        /// What.
        item: MailItem,
    },
    /// There is no such item any more, if there was.
    Drop {
        /// Whose.
        identity: IdentityId,
        /// In which mailbox.
        peer: PeerId,
        /// Which.
        id: Digest,
    },
}

/// What lies in a mailbox, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailItem {
    /// What it is.
    pub kind: KeptKind,
    /// Orders mail; when a statement was issued.
    pub at: u64,
    /// Until when it is kept, milliseconds since the Unix epoch.
    pub until: u64,
    /// Who left it there, by its home's tag.
    pub sender: Tag,
    /// None: it was taken, or used.
    pub body: Option<Bytes>,
}

/// Something worth a line in the log. Holds ids only, never what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer authenticated.
    PeerUp(PeerId),
    /// A peer's connection was closed.
    PeerDown(PeerId),
    /// Tables and traffic flow between us and a sibling.
    SiblingUp(SignalerId),
    /// They no longer do.
    SiblingDown(SignalerId),
    /// Siblings say that they are linked with others than before: see [`crate::Signaler::linked`]. At most once a second.
    LinksChanged,
    /// A signaler is a member, as a sibling says or as it says itself.
    MemberUp(SignalerId),
    /// A member is down: it stopped, or was not heard of.
    MemberDown(SignalerId),
    /// A signaler does not let us be its sibling.
    RefusedBySibling {
        /// Which, if it proved who it is.
        id: Option<SignalerId>,
        /// Why.
        code: Code,
    },
    /// We do not let a signaler be a sibling.
    SiblingRefused {
        /// Which; it proved who it is.
        id: SignalerId,
        /// The registry knows it, and nobody has approved it, or not any more. Otherwise nobody has named it here.
        registered: bool,
    },
    /// A sibling's registry is that of another federation: neither takes anything from the other. Once for each link.
    OtherNetwork {
        /// Which.
        id: SignalerId,
        /// The name of its federation.
        theirs: NetworkName,
    },
    /// A URL proved a key other than the one configured or pinned for it.
    WrongSibling {
        /// The URL, as configured.
        url: String,
        /// The key it should prove.
        expected: SignalerId,
        /// The key it proved.
        proved: SignalerId,
    },
    /// A URL that should be a sibling's is this signaler's own. Once, until it leads to somebody else.
    OwnUrl(String),
}
