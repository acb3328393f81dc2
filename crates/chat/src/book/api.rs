//! What goes into a book and comes out of it.

use std::fmt;

use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PartyKey};

use super::with::With;
use crate::hex::{AttachmentHash, DocumentId, Room};
use crate::limits;

/// What a driver has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a document to an identity.
    Send {
        /// Names it in [`Book::on_sent`](super::Book::on_sent); 0: nobody wants to know.
        token: u64,
        /// To whom.
        to: IdentityId,
        /// What.
        document: Document,
        /// It may not wait for who is away.
        now_or_never: bool,
    },
    /// Send a piece of an attachment, which is kept. As [`Output::Send`].
    SendPiece {
        /// Names it.
        token: u64,
        /// To whom, and in whose conversation it is kept.
        to: IdentityId,
        /// Which attachment.
        hash: AttachmentHash,
        /// Which piece.
        at: u32,
    },
    /// Publish a document in a group; [`Book::on_published`](super::Book::on_published) takes what comes of it.
    Publish {
        /// Names it.
        token: u64,
        /// Where.
        group: PartyKey,
        /// What.
        document: Document,
    },
    /// Be in a private party, with the invitation if there is one.
    Join {
        /// Which.
        group: PartyKey,
        /// What lets us in.
        invitation: Option<String>,
    },
    /// Publish that we leave, be in that party no more, and keep nothing of it.
    Leave {
        /// Which.
        group: PartyKey,
        /// The last words; none if nobody would take them.
        document: Option<Document>,
    },
    /// Ask an identity; [`Book::on_answer`](super::Book::on_answer) takes what comes of it.
    Ask {
        /// Names it.
        token: u64,
        /// Whom.
        to: IdentityId,
        /// What.
        document: Document,
    },
    /// Answer a request with a piece that is kept.
    Give {
        /// The request.
        request: MessageId,
        /// In whose conversation it is kept.
        with: With,
        /// Which attachment.
        hash: AttachmentHash,
        /// Which piece.
        at: u32,
    },
    /// Answer a request with the failure `gone`.
    Refuse {
        /// The request.
        request: MessageId,
    },
    /// Store a row, which [`Book::load`](super::Book::load) gets at the next start.
    Put {
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// Remove a row.
    Remove {
        /// Its key.
        key: Vec<u8>,
    },
    /// Keep a piece of an attachment.
    Keep {
        /// In whose conversation.
        with: With,
        /// Which attachment.
        hash: AttachmentHash,
        /// Which piece.
        at: u32,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// All pieces are kept: compare the hash, and tell [`Book::on_checked`](super::Book::on_checked).
    Check {
        /// In whose conversation.
        with: With,
        /// Which attachment.
        hash: AttachmentHash,
        /// How many bytes it has to have.
        size: u64,
    },
    /// Remove all pieces of an attachment.
    Forget {
        /// In whose conversation.
        with: With,
        /// Which attachment.
        hash: AttachmentHash,
    },
    /// Be in these rooms and in no others.
    Rooms(Vec<(IdentityId, Room)>),
    /// Tell people.
    Event(Event),
}

/// What people may want to know. What it is about is in the book by then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody wrote.
    Came {
        /// In whose conversation.
        with: With,
        /// Who.
        author: IdentityId,
        /// What.
        id: DocumentId,
        /// It is not to be announced: too much comes, the conversation is muted, or it was said before we were there.
        quiet: bool,
    },
    /// A text was edited or deleted, or somebody reacted to it.
    Changed {
        /// In whose conversation.
        with: With,
        /// Who wrote the text.
        author: IdentityId,
        /// The text.
        id: DocumentId,
    },
    /// A text of ours is so far.
    State {
        /// In whose conversation.
        with: With,
        /// The text.
        id: DocumentId,
        /// How far.
        state: State,
    },
    /// Somebody who is no contact asks to be one, or has written.
    Stranger {
        /// Who.
        from: IdentityId,
    },
    /// A contact is one now, is none any more, or is called otherwise.
    Contact {
        /// Who.
        with: IdentityId,
    },
    /// A group is there now or no more; its name, its members, or how we are in it, are others.
    Group {
        /// Which.
        group: PartyKey,
    },
    /// How much is unread has changed.
    Unread {
        /// In whose conversation.
        with: With,
    },
    /// A contact begins or stops to write.
    Typing {
        /// Who.
        with: IdentityId,
        /// Which.
        on: bool,
    },
    /// A contact came or went.
    Presence {
        /// Who.
        with: IdentityId,
        /// Which.
        on: bool,
    },
    /// More of an attachment is here, or it turned out otherwise.
    File {
        /// In whose conversation.
        with: With,
        /// Which.
        hash: AttachmentHash,
    },
}

/// How far a text of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits here, or is on its way.
    Sending,
    /// It waits at the residence of its reader.
    Stored,
    /// A peer of its reader has it.
    Delivered,
    /// It was seen.
    Read,
    /// It is in our feed, for all members who are there or come: all that is known of a text in a group.
    Published,
    /// It will not go: the core's code.
    Failed(String),
}

impl State {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Published => "published",
            Self::Failed(_) => "failed",
        }
    }

    /// Greater is further; nothing takes a text back.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Failed(_) => 0,
            Self::Sending => 1,
            Self::Stored | Self::Published => 2,
            Self::Delivered => 3,
            Self::Read => 4,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(code) => write!(f, "failed ({code})"),
            other => f.write_str(other.word()),
        }
    }
}

/// Why the book refuses a command. It is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// Nobody of that identity is known.
    #[error("that is no contact: add them first, or accept their request")]
    NoContact,
    /// We are in no such group.
    #[error("there is no such group: take an invitation first, or make one")]
    NoGroup,
    /// We are in that group already, or in as good as that.
    #[error("you are in that group already")]
    KnownGroup,
    /// We are no member of it, or not yet, or none any more.
    #[error("you are no member of that group: {0}")]
    NotAMember(String),
    /// Only members who may write do that.
    #[error("you may only read in that group: an admin has to admit you as a writer")]
    NotAWriter,
    /// Only admins do that.
    #[error("only an admin of the group can do that")]
    NotAnAdmin,
    /// It is a member of the group.
    #[error("that is a member of the group already")]
    Member,
    /// It is no invitation, or was answered.
    #[error("there is no invitation in that text that could be answered")]
    NoInvitation,
    /// There are as many groups as there may be.
    #[error("you are in {max} groups already: leave one first", max = limits::GROUPS)]
    TooManyGroups,
    /// It is not somebody who asked.
    #[error("there is no request of theirs")]
    NoRequest,
    /// It is us.
    #[error("that is you yourself")]
    Oneself,
    /// It is a contact.
    #[error("that is a contact already")]
    Known,
    /// It is somebody who is never heard.
    #[error("they are blocked: unblock them first")]
    Blocked,
    /// There are as many as there may be.
    #[error("there are {max} contacts already: remove some first", max = limits::CONTACTS)]
    TooMany,
    /// As much waits as may.
    #[error("{max} documents wait already: come back when a signaler is in reach", max = limits::OUTGOING)]
    OutgoingFull,
    /// There is no such text.
    #[error("there is no such text in the conversation")]
    NoText,
    /// It is somebody else's.
    #[error("only your own texts can be edited, deleted or sent again")]
    NotYours,
    /// It is not within its bounds.
    #[error("{what} has {len} bytes; {least} to {most} are allowed")]
    Bound {
        /// What.
        what: &'static str,
        /// What it has.
        len: usize,
        /// What it has at least.
        least: usize,
        /// What it has at most.
        most: usize,
    },
    /// A member is not as it has to be.
    #[error("{0} is not as it has to be")]
    Wrong(&'static str),
}

impl BookError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoContact => "no-contact",
            Self::NoGroup => "no-group",
            Self::KnownGroup => "known-group",
            Self::NotAMember(_) => "not-a-member",
            Self::NotAWriter => "not-a-writer",
            Self::NotAnAdmin => "not-an-admin",
            Self::Member => "member",
            Self::NoInvitation => "no-invitation",
            Self::TooManyGroups => "too-many-groups",
            Self::NoRequest => "no-request",
            Self::Oneself => "oneself",
            Self::Known => "known",
            Self::Blocked => "blocked",
            Self::TooMany => "too-many",
            Self::OutgoingFull => "outgoing-full",
            Self::NoText => "no-text",
            Self::NotYours => "not-yours",
            Self::Bound { .. } => "bound",
            Self::Wrong(_) => "wrong",
        }
    }
}
