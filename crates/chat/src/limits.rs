//! Every bound of the chat, in one place. Sizes are bytes, of text those of its UTF-8.

/// Of a document, encoded: it may wait for somebody who is away.
pub const DOCUMENT: usize = weft_wire::limits::MESSAGE_WHOLE;
/// Of a text or an edit.
pub const TEXT: usize = 16 * 1024;
/// Attachments of one text.
pub const ATTACHMENTS: usize = 8;
/// Of a reaction.
pub const EMOJI: usize = 32;
/// Ids in one `read`.
pub const READ_IDS: usize = 64;
/// Of a name of a person or group.
pub const NAME: usize = 64;
/// Of a picture of a person or group.
pub const PICTURE: usize = 32 * 1024;
/// Of what is said with a request.
pub const NOTE: usize = 512;
/// Of an invitation as text.
pub const INVITATION: usize = 512;
/// Of the name of a file.
pub const FILE_NAME: usize = 255;
/// Of a media type.
pub const MEDIA_TYPE: usize = 127;
/// Of an attachment.
pub const ATTACHMENT: u64 = 64 * 1024 * 1024;
/// Of what travels inside a text, and of a piece of what does not.
pub const PIECE: usize = 64 * 1024;
/// Of an attachment whose pieces are sent right behind its text.
pub const PUSHED: u64 = 512 * 1024;
/// Of all attachments in groups that are fetched without that anybody says so; each of at most [`PUSHED`].
pub const BY_ITSELF: u64 = 256 * 1024 * 1024;
/// Integers are those that every language has (ECMA-262, Number.MAX_SAFE_INTEGER).
pub const INTEGER: i64 = (1 << 53) - 1;

/// Documents of one conversation that are kept.
pub const KEPT: usize = 10_000;
/// People one talks to.
pub const CONTACTS: usize = 1024;
/// Groups one is in: with the rooms as many parties as a link carries.
pub const GROUPS: usize = weft_wire::limits::PARTIES - ROOMS;
/// Members of a group that are known, and names of them.
pub const MEMBERS: usize = 1024;
/// Authors whose words for what a group is called are kept.
pub const NAMERS: usize = 16;
/// People who have written and are none of those.
pub const STRANGERS: usize = 64;
/// Documents that are kept of each of them.
pub const STRANGERS_DOCUMENTS: usize = 16;
/// Identities that are never heard.
pub const BLOCKED: usize = 1024;
/// Edits, deletions and reactions of a conversation that wait for what they are of.
pub const EARLY: usize = 64;
/// Pieces of a conversation that wait for the text that they belong to.
pub const EARLY_PIECES: usize = 8;
/// Persons whose reactions to one text are kept.
pub const REACTIONS: usize = 64;
/// Documents of a contact in a minute that are announced.
pub const FLOOD: u32 = 200;
/// Conversations whose rooms are joined: the latest.
pub const ROOMS: usize = 16;
/// Pieces that are asked for at once.
pub const ASKED: usize = 4;
/// Documents that are given to the core at once; others wait for their turn.
pub const UNDER_WAY: usize = 64;
/// Documents that wait, in all.
pub const OUTGOING: usize = 4096;

/// How long somebody is shown as writing, milliseconds.
pub const TYPING_SHOWN: u64 = 6000;
/// Between two words that somebody writes, milliseconds.
pub const TYPING_EVERY: u64 = 4000;
/// Between two words of what was read in a conversation, milliseconds.
pub const READ_EVERY: u64 = 2000;
/// A time of others that is further ahead than this is not believed, milliseconds.
pub const AHEAD: u64 = 5 * 60 * 1000;

/// Signalers in a link.
pub const SIGNALERS: usize = 4;
/// Of what is at a well-known address.
pub const WELL_KNOWN: usize = 16 * 1024;
