//! What people say to each other: documents of the core, and the state of the conversations that they make.
//!
//! Specified for strangers in `docs/spec/chat.md`; `tests/vectors/chat.json` holds the golden cases. The core knows none of
//! it: it seals, delivers, waits and tells how far a message is, for documents of any kind.
//!
//! | part | does |
//! |---|---|
//! | [`Said`] | what a document says, with every bound; a document of what is said |
//! | [`Book`] | contacts, strangers and conversations: a state machine without IO |
//! | [`Address`], [`Contact links`](Address) | how somebody is added |
//! | [`words`] | what two people read to each other to be sure of their keys |
//! | [`shown`] | what of others' text may be on a screen |

#![forbid(unsafe_code)]

mod address;
pub mod book;
mod decode;
mod encode;
mod hex;
pub mod limits;
mod said;
pub mod shown;
pub mod words;

pub use address::{Address, AddressError};
pub use book::Book;
pub use decode::{Dropped, decode};
pub use hex::{AttachmentHash, DocumentId, HexError, Room};
pub use said::{Attachment, Head, Picture, Profile, Reads, Said, Text};
