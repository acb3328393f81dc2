//! Identities, signed statements, sealed envelopes and proofs, on reviewed libraries (see `docs/spec/crypto.md`).
//!
//! Order for anything received: size limit, decode, seen-before lookup, verify, then remember. What is here is the
//! step "verify": every function that opens something checks sizes first and never panics on remote input.
//!
//! Every signature is Ed25519 (RFC 8032) over a domain string and length-prefixed parts ([`mod@sign`]), and is checked
//! strictly (no small-order keys, canonical encodings only).

#![forbid(unsafe_code)]

pub mod challenge;
mod cipher;
pub mod correspondence;
pub mod envelope;
pub mod export;
pub mod group;
mod keys;
pub mod link;
pub mod linking;
pub mod membership;
pub mod part;
pub mod party;
pub mod placement;
#[cfg(all(feature = "primitives", not(weft_simulation)))]
pub mod primitives;
pub mod publication;
pub mod registry;
#[cfg(not(weft_simulation))]
mod sealing;
pub mod session;
pub mod sign;
#[cfg(weft_simulation)]
mod simulated;
pub mod statement;
pub mod store;
pub mod stream;
mod table;
pub mod vault;
mod word;

/// The hash of a message that travels in parts: BLAKE3.
pub fn digest(bytes: &[u8]) -> weft_wire::Digest {
    weft_wire::Digest(*blake3::hash(bytes).as_bytes())
}

pub use correspondence::{Correspondence, SessionError};
pub use envelope::{EnvelopeError, Opened};
pub use keys::{IdentityKey, PeerKey, Seed, SignalerKey};
pub use membership::{Grant, Invitation, Members, MembershipError, PartySecret};
pub use party::Party;
pub use sign::BadSignature;
pub use statement::StatementError;
pub use store::StoreKey;
pub use vault::VaultKey;
