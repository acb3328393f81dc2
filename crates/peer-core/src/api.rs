//! What goes into a peer and what comes out of it.
//!
//! The contract of a driver, in steps:
//!
//! 1. Make a [`Peer`](crate::Peer) with a configuration, keys, a random seed and the time.
//! 2. Call [`poll`](crate::Peer::poll) until it gives nothing; carry out each [`Output`] as it comes.
//! 3. Wait for whatever comes first: something from a socket, a connection or the application, or
//!    [`deadline`](crate::Peer::deadline).
//! 4. Pass it on with [`handle`](crate::Peer::handle) ([`Input::Timeout`] at the deadline) or
//!    [`command`](crate::Peer::command), then go to 2. Never feed a second input before step 2 gave nothing.
//!
//! A driver holds no rule of the protocol: it opens what it is told to open and reports what happens.

use std::time::Duration;

use crate::sorted::Set;
use crate::storage::{StoreDone, StoreWork};
use crate::traffic::Traffic;

use weft_crypto::{Grant, Invitation, Members, MembershipError, Party};
use weft_query::{Document, Filter};
use weft_wire::link::Exclusion;
use weft_wire::sealed::Candidate;
use weft_wire::{Code, DiscoveryKey, IdentityId, MessageId, PeerId, PublicationId, SignalerId, limits};

/// Names a command; a subscription keeps the name of the command that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// A configured signaler: its place in [`Config::signalers`](crate::Config::signalers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HomeIndex(pub u32);

/// One attempt at a connection to another peer; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the application wants.
#[derive(Clone, Debug)]
pub enum Command {
    /// Be in a party. Joining twice is the same as once.
    Join {
        /// The party.
        party: Party,
    },
    /// Be in a private party. Nothing of it crosses a link before each side has shown the other that it is a member.
    JoinPrivate {
        /// What is known of its members, beside what is stored: [`Members::found`] of a new party, what was told by
        /// [`Event::Members`] before where nothing is stored, or nothing.
        members: Box<Members>,
        /// Redeemed with every peer that we meet, until an admin has admitted us.
        invitation: Option<Invitation>,
    },
    /// Say something about the members of a private party, as one of its admins. Answered by
    /// [`Event::Members`].
    Say {
        /// The party.
        discovery: DiscoveryKey,
        /// What.
        deed: MemberDeed,
    },
    /// Leave a party; its subscriptions end.
    Leave {
        /// The party.
        discovery: DiscoveryKey,
    },
    /// Get publications that match. The [`CommandId`] names the subscription.
    Subscribe {
        /// The party.
        discovery: DiscoveryKey,
        /// What to get.
        filter: Filter,
        /// Also what was published before, as far as it is kept anywhere near.
        backlog: Option<Backlog>,
    },
    /// Remove what is stored of a party; leaves it first. Answered by [`Event::Forgotten`].
    Forget {
        /// The party.
        discovery: DiscoveryKey,
    },
    /// End a subscription.
    Unsubscribe {
        /// The command that made it.
        subscription: CommandId,
    },
    /// Publish a document. Answered by [`Event::Published`].
    Publish {
        /// The party.
        discovery: DiscoveryKey,
        /// What.
        document: Document,
    },
    /// Send a message to every known peer of an identity. Answered by [`Event::Sent`]. Who cannot be reached finds it at its
    /// residence, if it is of at most [`limits::MESSAGE_WHOLE`] bytes: [`Event::Stored`].
    Send {
        /// To whom.
        to: IdentityId,
        /// What; at most [`limits::MESSAGE`] bytes encoded. A large one goes out in parts: [`Event::Progress`].
        document: Document,
    },
    /// The same, and say how long it may wait there.
    SendFor {
        /// To whom.
        to: IdentityId,
        /// What.
        document: Document,
        /// At most [`Config::mail_life`](crate::Config::mail_life); zero: it is not left anywhere.
        life: Duration,
    },
    /// Ask for an answer. Answered by [`Event::Answered`].
    Request {
        /// Whom. The first answer of any of its peers counts.
        to: IdentityId,
        /// Only this peer of it.
        peer: Option<PeerId>,
        /// What; as large as a message.
        document: Document,
        /// How long the answer may take; from when the last part crossed, if request or answer are large. It does not run
        /// while a request of more than [`limits::CHUNK`] bytes waits for its turn.
        timeout: Duration,
    },
    /// Give up a message or a request: what becomes of it is not told any more, and what has not been sent is not sent.
    Cancel {
        /// The command that sent or asked.
        command: CommandId,
    },
    /// Whether requests of others are answered from now on. At first they are not: each is refused at once.
    AnswerRequests {
        /// They are.
        on: bool,
    },
    /// Messages are taken from now on: what waits for us at our residence is collected, unless
    /// [`Config::collect`](crate::Config::collect) has said so from the start.
    Collect,
    /// Answer an [`Event::Request`]; once.
    Respond {
        /// The request.
        request: MessageId,
        /// The answer, or why there is none; of a text the first [`limits::FAILURE`] bytes are told.
        outcome: Result<Document, String>,
    },
    /// Have no links with a peer from now on (documents still travel around it).
    Block {
        /// Whom.
        peer: PeerId,
    },
    /// Allow links with a peer again.
    Unblock {
        /// Whom.
        peer: PeerId,
    },
    /// Say who the peers of our own identity are. Answered by [`Event::OwnPeers`].
    ListPeers,
    /// Say that a peer is our identity's no longer; whether it ever was one need not be known. Answered by
    /// [`Event::PeerRevoked`]. It counts at once, here and for whoever hears of it, and is told to our residence until that has it,
    /// with a store also by later runs.
    Revoke {
        /// Which; not the one that is asked.
        peer: PeerId,
    },
    /// Change the display name, at most [`limits::NAME`] bytes.
    Rename {
        /// The name.
        name: String,
    },
    /// Say of oneself in a party from now on, in place of what was said before: everybody there learns it with the next
    /// presence, the last value always, at most every [`Config::presence_soonest`](crate::Config::presence_soonest). In
    /// parties of more than [`Config::presence_members`](crate::Config::presence_members) only those with a link do.
    SetState {
        /// The party.
        discovery: DiscoveryKey,
        /// What, at most [`limits::STATE`] bytes encoded; nothing takes it back.
        state: Option<Document>,
    },
    /// Say goodbye everywhere and close. [`Event::Closed`] is the last output.
    Close,
}

/// What an admin says about members.
#[derive(Clone, Debug)]
pub enum MemberDeed {
    /// Whoever redeems the invitation is to be admitted, once.
    Invite {
        /// The invitation.
        invitation: Invitation,
        /// As what.
        grant: Grant,
        /// It ends then, milliseconds since the Unix epoch.
        until: u64,
    },
    /// Somebody is a member from now on.
    Admit {
        /// Who.
        member: IdentityId,
        /// As what.
        grant: Grant,
    },
    /// Somebody is no member any more.
    Remove {
        /// Who.
        member: IdentityId,
    },
}

/// How much of what was published before a subscription gets. The default is all that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Only what is not older than this, as far as its age is known.
    pub age: Option<Duration>,
    /// Only so many of the newest that match; each author's in order all the same.
    pub count: Option<usize>,
}

/// Why a command was refused. State is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The peer has been closed.
    #[error("the peer is closed")]
    Closed,
    /// The peer's own identity has revoked it: it has ended for good.
    #[error("this peer was revoked by its identity, and has ended for good")]
    Revoked,
    /// A peer does not revoke itself.
    #[error("this is the peer itself: revoke it from another place of the identity")]
    Oneself,
    /// Only the peers of one's own identity can be revoked.
    #[error("that is a peer of another identity")]
    AnothersPeer,
    /// As many peers of an identity are revoked as are remembered.
    #[error("{max} peers of this identity are revoked already: more are not remembered", max = limits::REVOCATIONS)]
    TooManyRevoked,
    /// The peer has not joined that party.
    #[error("not in that party: join it first")]
    NotInParty,
    /// As many parties as a link can carry.
    #[error("in {max} parties already; leave one first", max = limits::PARTIES)]
    TooManyParties,
    /// As many subscriptions as configured.
    #[error("{0} subscriptions already; end some, or write one query for several")]
    TooManySubscriptions(usize),
    /// No such subscription.
    #[error("no such subscription")]
    UnknownSubscription,
    /// The document or message is too large.
    #[error("{len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Encoded length.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// More is waiting to be sent than the queue may hold: wait for [`Event::Drained`], or with large messages until some
    /// have ended.
    #[error("the queue of what waits to be sent is full ({0} bytes); wait until it drains")]
    QueueFull(usize),
    /// As many messages or requests under way as there may be.
    #[error("{0} messages or requests are under way already; wait until some have ended")]
    TooManyMessages(usize),
    /// No such request, or it has been answered, or it is too long ago.
    #[error("no such request waits for an answer")]
    UnknownRequest,
    /// Only a private party has members.
    #[error("that party is open: it has no members to say anything about")]
    NotPrivate,
    /// We may read in this private party, but not write.
    #[error("not a writer in that party: an admin has to admit you as one")]
    NotAWriter,
    /// Not an admin, or it would have no effect.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// A display name that is too long.
    #[error("a name has at most {max} bytes", max = limits::NAME)]
    NameTooLong,
}

impl CommandError {
    /// The stable code that applications see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::NotInParty => "not-in-party",
            Self::TooManyParties => "too-many-parties",
            Self::TooManySubscriptions(_) => "too-many-subscriptions",
            Self::UnknownSubscription => "unknown-subscription",
            Self::TooLarge { .. } => "too-large",
            Self::QueueFull(_) | Self::TooManyMessages(_) => "queue-full",
            Self::UnknownRequest => "unknown-request",
            Self::NotPrivate => "not-private",
            Self::NotAWriter => "not-a-writer",
            Self::Membership(MembershipError::NotAnAdmin) => "not-an-admin",
            Self::Membership(_) => "not-possible",
            Self::NameTooLong => "name-too-long",
            Self::Revoked => "revoked",
            Self::Oneself | Self::AnothersPeer => "bad-option",
            Self::TooManyRevoked => "too-many-peers",
        }
    }
}

/// What the driver reports.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The WebSocket of a signaler is open, sub-protocol [`weft_wire::PEER_PROTOCOL`].
    SignalerOpened {
        /// Which.
        home: HomeIndex,
    },
    /// A binary message of a signaler (a text message is reported as an empty one).
    SignalerFrame {
        /// Which.
        home: HomeIndex,
        /// The message.
        bytes: &'a [u8],
    },
    /// The WebSocket could not be opened or has closed. Also after [`Output::HangUpSignaler`], once.
    SignalerClosed {
        /// Which.
        home: HomeIndex,
        /// For people, as the platform says it.
        reason: String,
    },
    /// The local description asked for by [`Output::OpenLink`], [`Output::RestartIce`] or [`Output::AcceptOffer`].
    LocalDescription {
        /// Which.
        link: LinkId,
        /// SDP.
        sdp: String,
    },
    /// A local candidate; an empty line means that there are no more.
    LocalCandidate {
        /// Which.
        link: LinkId,
        /// The candidate.
        candidate: Candidate,
    },
    /// The connection could not be made, or refused a remote description.
    LinkFailed {
        /// Which.
        link: LinkId,
        /// For people.
        reason: String,
    },
    /// The connection refused a remote candidate. Costs nothing but that candidate.
    CandidateRefused {
        /// Which.
        link: LinkId,
    },
    /// The state of ICE changed.
    IceChanged {
        /// Which.
        link: LinkId,
        /// To what.
        state: IceState,
    },
    /// The data channel is open.
    ChannelOpened {
        /// Which.
        link: LinkId,
    },
    /// A message on the data channel (a text message is reported as an empty one).
    ChannelMessage {
        /// Which.
        link: LinkId,
        /// The message.
        bytes: &'a [u8],
    },
    /// What the channel has buffered is at or under [`Config::channel_low`](crate::Config::channel_low). To be reported
    /// once after every run of [`Output::ChannelMessage`]s: at once if it is so when [`Peer::poll`](crate::Peer::poll)
    /// has given nothing more, otherwise when the channel says so (`bufferedamountlow`). Without it the peer stops
    /// sending on the link after [`Config::channel_high`](crate::Config::channel_high) bytes.
    ChannelDrained {
        /// Which.
        link: LinkId,
    },
    /// The data channel, or the whole connection, has closed.
    ChannelClosed {
        /// Which.
        link: LinkId,
    },
    /// The platform says that the network is there, or is there again (browser event `online`, a changed address), or
    /// that the page became visible after a pause: everything that looks broken is tried again at once.
    Online,
    /// What became of a [`Output::Store`].
    Store(StoreDone),
    /// The deadline has come.
    Timeout,
}

/// State of ICE, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceState {
    /// `connected` or `completed`.
    Connected,
    /// `disconnected`: no answer for some seconds; may heal by itself.
    Disconnected,
    /// `failed`.
    Failed,
}

/// What the driver is to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a WebSocket to the signaler, sub-protocol [`weft_wire::PEER_PROTOCOL`].
    DialSignaler {
        /// Which.
        home: HomeIndex,
        /// `ws://` or `wss://`.
        url: String,
    },
    /// Send a binary message to the signaler.
    SignalerFrame {
        /// Which.
        home: HomeIndex,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close the WebSocket (what was sent before still goes out).
    HangUpSignaler {
        /// Which.
        home: HomeIndex,
    },
    /// Make a connection with one data channel: label `weft`, negotiated, id 0, ordered, reliable. When offering, make
    /// an offer, set it as the local description and report it; otherwise wait for [`Output::AcceptOffer`].
    OpenLink {
        /// Which.
        link: LinkId,
        /// Make an offer now.
        offer: bool,
    },
    /// Make an offer with an ICE restart, set and report it.
    RestartIce {
        /// Which.
        link: LinkId,
    },
    /// Set the remote offer; make an answer, set and report it.
    AcceptOffer {
        /// Which.
        link: LinkId,
        /// SDP.
        sdp: String,
    },
    /// Set the remote answer.
    AcceptAnswer {
        /// Which.
        link: LinkId,
        /// SDP.
        sdp: String,
    },
    /// Add a remote candidate; never before the description that it belongs to.
    AddCandidate {
        /// Which.
        link: LinkId,
        /// The candidate.
        candidate: Candidate,
    },
    /// Send a message on the data channel. What is queued in the channel stays within
    /// [`Config::channel_high`](crate::Config::channel_high) bytes plus one chunk.
    ChannelMessage {
        /// Which.
        link: LinkId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close the connection and forget it (what was sent before should still go out). No more inputs for it.
    CloseLink {
        /// Which.
        link: LinkId,
    },
    /// Use these TURN and STUN servers beside those of the application, in place of what was given here before: for
    /// connections from now on, and for the next ICE restart of those that there are.
    UseIceServers {
        /// One for each signaler that has given any.
        servers: Vec<IceServer>,
    },
    /// Work for the store; only with [`Config::store`](crate::Config::store). Answered by [`Input::Store`].
    Store(StoreWork),
    /// Tell the application.
    Event(Event),
}

/// TURN and STUN servers that a signaler gave, as in `RTCIceServer` of WebRTC.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `turn:`, `turns:`, `stun:` or `stuns:` and what follows.
    pub urls: Vec<String>,
    /// For the TURN servers.
    pub username: String,
    /// For the TURN servers.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// What the application learns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The state of a signaler changed.
    Signaler {
        /// Which.
        home: HomeIndex,
        /// Its URL.
        url: String,
        /// It is not configured: others told of it. When it is lost, it need not be dialled again.
        told: bool,
        /// To what.
        state: SignalerState,
    },
    /// The first link in this party is open: what was published before is on its way. Once per party.
    Ready {
        /// The party.
        discovery: DiscoveryKey,
    },
    /// Something new is known about the members of a private party: see [`Peer::members`](crate::Peer::members).
    Members {
        /// The party.
        discovery: DiscoveryKey,
        /// The new statements, signed. With [`Config::store`](crate::Config::store) they are stored.
        statements: Vec<Vec<u8>>,
    },
    /// A peer does not take us for a member of a private party, or refuses our invitation.
    NoMember {
        /// The party.
        discovery: DiscoveryKey,
        /// Who says so.
        peer: PeerId,
        /// Why.
        reason: Exclusion,
    },
    /// Somebody came, changed or went.
    Peer {
        /// The party.
        discovery: DiscoveryKey,
        /// What happened.
        change: PeerChange,
        /// Who, as known now (as last known, if gone).
        peer: Box<PeerInfo>,
    },
    /// A publication that matches.
    Data {
        /// The subscription.
        subscription: CommandId,
        /// The publication.
        publication: Publication,
        /// It was published before the subscription was made.
        backlog: bool,
    },
    /// Every neighbour that was asked for a backlog has sent what it had; from now on publications are live. Once.
    Live {
        /// The subscription.
        subscription: CommandId,
    },
    /// A document was taken: it has its place in the feed.
    Published {
        /// The command.
        command: CommandId,
        /// The publication's id.
        id: PublicationId,
        /// Its sequence number.
        seq: u64,
    },
    /// There is room again after [`CommandError::QueueFull`].
    Drained,
    /// A message came; its receipt is on its way.
    Message {
        /// The sender's identity.
        from: IdentityId,
        /// The sender's peer.
        peer: PeerId,
        /// Its id.
        id: MessageId,
        /// When it was written, milliseconds since the Unix epoch on the sender's clock.
        time: u64,
        /// What it says.
        document: Document,
        /// Links it came over; none if a signaler brought it, or kept it.
        hops: Option<u8>,
    },
    /// Somebody asks for an answer: [`Command::Respond`].
    Request {
        /// The asker's identity.
        from: IdentityId,
        /// The asker's peer.
        peer: PeerId,
        /// Its id.
        id: MessageId,
        /// When it was written, milliseconds since the Unix epoch on the asker's clock.
        time: u64,
        /// What is asked.
        document: Document,
    },
    /// What became of a request. Once for each, unless it was cancelled.
    Answered {
        /// The command.
        command: CommandId,
        /// Its id, the same as the other side sees.
        id: MessageId,
        /// The answer.
        outcome: Result<Document, RequestError>,
    },
    /// So much of a large message or request has arrived at a peer of its recipient, at the one that has most. Grows.
    Progress {
        /// The command.
        command: CommandId,
        /// Its id, the same as the recipient sees.
        id: MessageId,
        /// Bytes of it that are confirmed.
        sent: usize,
        /// Its bytes.
        total: usize,
    },
    /// A large message, request or answer is coming. It is told itself when all of it is here, if ever.
    Incoming {
        /// The sender's identity.
        from: IdentityId,
        /// The sender's peer.
        peer: PeerId,
        /// Its id.
        id: MessageId,
        /// The request that it answers.
        answers: Option<MessageId>,
        /// Bytes that are here.
        received: usize,
        /// Its bytes.
        total: usize,
    },
    /// The recipient of a message could not be reached; it waits at the residence, durable, for at least one of the recipient's peers.
    /// Once, if at all. [`Event::Sent`] follows when it has been received, or its time is over: perhaps in a later run, with a store.
    Stored {
        /// The command; 0 if it is of an earlier run.
        command: CommandId,
        /// Its id, the same as the recipient sees.
        id: MessageId,
    },
    /// What became of a message.
    Sent {
        /// The command; 0 if it is of an earlier run.
        command: CommandId,
        /// Its id, the same as the recipient sees.
        id: MessageId,
        /// `Ok`: at least one peer of the recipient has it.
        outcome: Result<(), SendError>,
    },
    /// The state of a link changed.
    Link {
        /// The other side.
        peer: PeerId,
        /// To what.
        state: LinkState,
    },
    /// A peer has signed what cannot all be of one feed: its publications are not the same for everybody, be it by
    /// intent, or because its keys run in two places. Once per feed; everybody in the party learns of it.
    Fork {
        /// The party.
        discovery: DiscoveryKey,
        /// Whose publications they are, if that is known.
        author: Option<IdentityId>,
        /// The feed.
        feed: PeerId,
        /// The first number known where there are two ways on.
        seq: u64,
    },
    /// What was stored of a party is removed, or why not.
    Forgotten {
        /// The command.
        command: CommandId,
        /// For people.
        outcome: Result<(), String>,
    },
    /// The peers of our own identity; ordered by id. Once for each [`Command::ListPeers`].
    OwnPeers {
        /// The command.
        command: CommandId,
        /// Those that our residence knows and those that are here, this one among them; or why that is not known.
        outcome: Result<Vec<OwnPeer>, ResidenceError>,
    },
    /// What became of a [`Command::Revoke`]. Once for each, and not before it is in the store, if there is one that works.
    PeerRevoked {
        /// The command.
        command: CommandId,
        /// Which.
        peer: PeerId,
        /// `Ok`: our residence has it, durable. Otherwise it counts all the same where it is heard of, and unless it was refused it is
        /// told again.
        outcome: Result<(), ResidenceError>,
    },
    /// Our own identity has revoked this peer: it ends for good, and [`Event::Closed`] follows. With a store each later run says
    /// the same.
    Revoked {
        /// When that was said, milliseconds since the Unix epoch on the clock of who said it.
        issued: u64,
    },
    /// Something is wrong that the application may want to show or count. Nothing else depends on it.
    Warning {
        /// A stable code.
        code: &'static str,
        /// For people.
        text: String,
    },
    /// The peer has said its goodbyes.
    Closed,
}

/// State of a signaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalerState {
    /// Being dialled.
    Connecting,
    /// Both sides have proved who they are.
    Connected {
        /// Who it is.
        signaler: SignalerId,
    },
    /// Lost or out of reach; it is dialled again.
    Lost {
        /// For people.
        reason: String,
        /// The code it gave, if it gave one.
        code: Option<Code>,
    },
}

/// What happened to a peer in a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// It is here.
    Joined,
    /// Its name, links, homes, state or connection to us changed.
    Changed,
    /// It is gone.
    Left,
}

/// What is known of a peer in a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Who.
    pub peer: PeerId,
    /// Whose, once its record is known.
    pub identity: Option<IdentityId>,
    /// Display name, may be empty. Neither unique nor proven.
    pub name: String,
    /// Since when it is in the swarm, milliseconds since the Unix epoch on its own clock.
    pub since: Option<u64>,
    /// We have an open link to it.
    pub linked: bool,
    /// Whom it says it has links to.
    pub links: Set<PeerId>,
    /// The signalers it says it is at home at.
    pub homes: Set<SignalerId>,
    /// How many publications it says it has passed on.
    pub forwarded: u64,
    /// What its application says of itself, while it is heard or linked: [`Command::SetState`].
    pub state: Option<Document>,
}

/// A peer of our own identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPeer {
    /// Which.
    pub peer: PeerId,
    /// Display name, if the peer is or was met; the residence does not know it.
    pub name: String,
    /// When its newest record was issued that is known here, milliseconds since the Unix epoch: the residence has one of the last full
    /// twelfth of a record's life.
    pub issued: u64,
    /// It is the one that was asked.
    pub this: bool,
    /// It is here now: there is a link, or it is in a party in common.
    pub connected: bool,
}

/// Why our residence has not done something for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResidenceError {
    /// No signaler was reached, or none answered in time.
    #[error("no signaler has answered for this identity within {0} s")]
    Unanswered(u64),
    /// It refuses.
    #[error("the signalers refuse it ({0})")]
    Refused(Code),
}

impl ResidenceError {
    /// The stable code that applications see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unanswered(_) => "unreachable",
            Self::Refused(code) => code.name(),
        }
    }
}

/// State of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Being negotiated.
    Connecting,
    /// Open and authenticated. Told again when a connection takes the place of a forwarded link.
    Open {
        /// There is no connection: signalers forward the link, sealed, until one comes about.
        forwarded: bool,
    },
    /// No answer at the moment; it is being mended.
    Interrupted,
    /// Gone.
    Closed {
        /// For people.
        reason: String,
    },
}

/// A publication, as delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// The party.
    pub discovery: DiscoveryKey,
    /// Its id.
    pub id: PublicationId,
    /// Whose it is.
    pub author: IdentityId,
    /// The feed, which is the author's peer.
    pub feed: PeerId,
    /// Its place in the feed.
    pub seq: u64,
    /// When it was published, milliseconds since the Unix epoch on the author's clock.
    pub time: u64,
    /// What it says.
    pub document: Document,
    /// Links it came over.
    pub hops: u8,
}

/// Why a message was not delivered. It may have been received all the same if only the receipt was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No peer of that identity was found in any party, or none confirmed within the time limit.
    #[error(
        "no peer of the recipient could be reached within {0} s; it may be offline or share no party with you"
    )]
    Unreachable(u64),
    /// The recipient's peers take as many large messages already as they have room for.
    #[error("the recipient has no room for a message of this size now; send it again later")]
    NoRoom,
    /// The peer was closed first. Of what waits at the recipient's residence, or is stored to be left there, nothing is told then: with
    /// a store the next run tells what became of it.
    #[error("the peer was closed before the message was confirmed")]
    Closed,
    /// Nobody of the recipient's could be reached, and only smaller messages wait for them.
    #[error("the recipient is away, and only messages of up to {max} KiB wait for it", max = limits::MESSAGE_WHOLE / 1024)]
    TooLargeToWait,
    /// As many messages wait for recipients that are away as may ([`Config::outbox_messages`](crate::Config::outbox_messages)).
    #[error("too many messages wait for recipients that are away; cancel some, or send it again later")]
    OutboxFull,
    /// The mailboxes of the recipient's peers have no room.
    #[error("the recipient is away, and its mailbox is full")]
    MailboxFull,
    /// As much of ours waits in the mailboxes of the recipient's peers as may.
    #[error(
        "the recipient is away, and as many messages of yours wait for it as its mailbox takes of one sender"
    )]
    SenderFull,
    /// Nobody has received it within its time.
    #[error("the recipient did not come for the message within its time")]
    Expired,
}

impl SendError {
    /// The stable code that applications see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::NoRoom => "queue-full",
            Self::Closed => "closed",
            Self::TooLargeToWait => "too-large",
            Self::OutboxFull => "outbox-full",
            Self::MailboxFull => "mailbox-full",
            Self::SenderFull => "sender-full",
            Self::Expired => "expired",
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer came in time; the request may have been received, and acted upon.
    #[error("no answer within {0} ms; the request may have been received")]
    Timeout(u64),
    /// As [`SendError::Unreachable`].
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// The other side answers that it failed, in its words.
    #[error("{0}")]
    Failed(String),
    /// Every peer that was asked says that nobody answers requests there.
    #[error("nobody answers requests there")]
    Refused,
}

impl RequestError {
    /// The stable code that applications see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::NotSent(error) => error.code(),
            Self::Failed(_) | Self::Refused => "request-failed",
        }
    }
}

/// Figures since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Publications of our own.
    pub published: u64,
    /// Publications of others, each counted once.
    pub received: u64,
    /// Publications that were passed on, counted once per link.
    pub forwarded: u64,
    /// Publications that came again and were dropped.
    pub duplicates: u64,
    /// Publications and presences that did not verify.
    pub forged: u64,
    /// Events given to subscriptions.
    pub delivered: u64,
    /// Keys of private parties' feeds that were given to other peers, each sealed once for each.
    pub keys_given: u64,
    /// Envelopes that could not be opened.
    pub unopened: u64,
    /// Frames that could not be decoded.
    pub malformed: u64,
    /// Bytes sent on links.
    pub link_bytes_out: u64,
    /// Bytes received on links.
    pub link_bytes_in: u64,
    /// Bytes of large messages of others that are not whole yet, at the moment.
    pub assembling: u64,
    /// What was sent on links, by what it is for.
    pub sent: Traffic,
}
