//! What a document says.

use weft_query::Object;
use weft_wire::IdentityId;

use crate::hex::{AttachmentHash, DocumentId, Room};

/// What a document of the chat says, within its bounds.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Words, with what belongs to them.
    Text(Text),
    /// Other words in place of a text's.
    Edit {
        /// What may be spoken of.
        head: Head,
        /// The text, of the same author.
        of: DocumentId,
        /// The words.
        text: String,
    },
    /// A text is taken back.
    Delete {
        /// What may be spoken of.
        head: Head,
        /// The text, of the same author.
        of: DocumentId,
    },
    /// A sign to a text.
    Reaction {
        /// What may be spoken of.
        head: Head,
        /// The text.
        of: DocumentId,
        /// Who wrote the text.
        author: IdentityId,
        /// Empty: none any more.
        emoji: String,
    },
    /// Texts were seen.
    Read(Reads),
    /// Somebody writes just now, or has stopped.
    Typing {
        /// Which.
        on: bool,
    },
    /// Who somebody is.
    Profile(Profile),
    /// Somebody asks to be a contact.
    Contact {
        /// What may be spoken of.
        head: Head,
        /// Who says so.
        name: String,
        /// Where to meet.
        room: Room,
        /// A word with it, may be empty.
        note: String,
    },
    /// Somebody agrees.
    Accept {
        /// Who says so.
        name: String,
        /// Where to meet from now on.
        room: Room,
    },
    /// A part of an attachment, or without data, the wish for one.
    Piece {
        /// Which attachment.
        of: AttachmentHash,
        /// Which part, from 0.
        at: u32,
        /// Its bytes.
        data: Option<Vec<u8>>,
    },
    /// Somebody lets us into a group.
    Invitation {
        /// What may be spoken of.
        head: Head,
        /// The group's name.
        name: String,
        /// The invitation as text.
        invitation: String,
    },
    /// What a group is called.
    Group {
        /// When that was said, ms.
        issued: u64,
        /// Its name.
        name: String,
        /// Its picture.
        picture: Option<Picture>,
    },
    /// A member of a group leaves.
    Leave {
        /// What may be spoken of.
        head: Head,
    },
}

/// What makes it possible to speak of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// A name, together with the author.
    pub id: DocumentId,
    /// When it was written, ms by the author's clock.
    pub sent: u64,
    /// Its place among what this peer of the author wrote in the conversation, from 1; none where an application without
    /// conversations wrote it.
    pub n: Option<u64>,
}

/// Words, with what belongs to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What may be spoken of.
    pub head: Head,
    /// The words; empty only with attachments.
    pub text: String,
    /// The text that is answered, and who wrote that.
    pub reply: Option<(DocumentId, IdentityId)>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// A file that belongs to a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name, without a folder.
    pub name: String,
    /// Its media type (RFC 6838).
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Of all of it.
    pub hash: AttachmentHash,
    /// All of it, if it is small.
    pub data: Option<Vec<u8>>,
}

impl Attachment {
    /// How many pieces it has.
    pub fn pieces(&self) -> u32 {
        pieces(self.size)
    }

    /// It is one of the pictures that are shown in line.
    pub fn is_picture(&self) -> bool {
        matches!(self.media_type.as_str(), "image/png" | "image/jpeg" | "image/webp" | "image/gif")
    }
}

/// How many pieces an attachment of so many bytes has.
pub(crate) fn pieces(size: u64) -> u32 {
    u32::try_from(size.div_ceil(crate::limits::PIECE as u64)).unwrap_or(u32::MAX)
}

/// Which texts were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// That one, and what its author wrote before.
    UpTo(DocumentId),
    /// Those.
    Ids(Vec<DocumentId>),
}

/// Who somebody is, as they say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// When that was said, ms.
    pub issued: u64,
    /// The name.
    pub name: String,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// A small picture.
    pub picture: Option<Picture>,
}

/// A picture whose first bytes are those of PNG, JPEG or WebP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture(pub(crate) Vec<u8>);

impl Picture {
    /// Takes bytes that begin as a picture does, and are not too many.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let webp = bytes.get(..4) == Some(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
        let known = bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(b"\xff\xd8\xff") || webp;
        (known && bytes.len() <= crate::limits::PICTURE).then(|| Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A member and its value, for what is written.
pub(crate) fn object<const N: usize>(members: [(&str, weft_query::Value); N]) -> Object {
    let mut object = Object::new();
    for (name, value) in members {
        object.insert(name, value);
    }
    object
}
