//! The keys that a peer is given.

use weft_crypto::{IdentityKey, PeerKey};

/// The keys of a peer.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Whose peer it is.
    pub identity: IdentityKey,
    /// The peer's own.
    pub peer: PeerKey,
}
