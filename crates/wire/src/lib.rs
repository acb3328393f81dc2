//! What Weft puts on a wire: ids, limits, versions, frames and chunks.
//!
//! This crate knows shapes and sizes and nothing of behaviour. Bytes become typed values here, once: whoever holds a
//! decoded frame need not check its sizes again. The authority is `docs/spec/wire.md`; `tests/vectors/frames-*.json` hold
//! golden bytes of every frame.
//!
//! Every frame is a CBOR (RFC 8949) array of two: the frame's number and a map with integer keys. Unknown keys are
//! skipped; an unknown frame number below [`OPTIONAL_FRAMES`] is an error, one from there on is ignored.

#![forbid(unsafe_code)]

mod bounded;
pub mod cbor;
pub mod chunk;
mod code;
mod codec;
pub mod gossip;
mod id;
pub mod limits;
pub mod link;
pub mod membership;
pub mod ratchet;
pub mod registry;
pub mod sealed;
pub mod sibling;
pub mod signaler;
mod signed;
mod time;

pub use bounded::{Bytes, List, Text};
pub use code::Code;
pub use codec::{OPTIONAL_FRAMES, WireError, decode, encode};
pub use id::{
    AgreementKey, ChainKey, Digest, DiscoveryKey, Epoch, IdError, IdentityId, InvitationKey, MessageId,
    Nonce, PartSecret, PartyKey, PeerId, Proof, PublicationId, RatchetId, RegistryKey, SessionId, SignalerId,
    Signature, Tag,
};
pub use signed::{Bundle, BundleEntry, Card, Entry, Gone, PeerRecord, Presence, Revocation, Signed};
pub use time::Time;

/// WebSocket sub-protocol between a peer and a signaler.
pub const PEER_PROTOCOL: &str = "weft.v1";
/// WebSocket sub-protocol between two signalers.
pub const FEDERATION_PROTOCOL: &str = "weft-federation.v1";
/// Highest version of the frames between signalers, said in their [`Card`]s.
pub const FEDERATION_VERSION: u16 = 1;
/// Version of the frames between two linked peers, sent in [`link::Link::Hello`].
pub const LINK_VERSION: u32 = 1;
