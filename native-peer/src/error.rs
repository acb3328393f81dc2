//! What can go wrong for a caller.

use weft_peer_core::{CommandError, RequestError, ResidenceError, SendError};

use crate::keystore::KeyStoreError;

/// Why something the application asked for did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The keys could not be read or made. Nothing was started.
    #[error(transparent)]
    KeyStore(#[from] KeyStoreError),
    /// An option is of no use. Nothing was started.
    #[error("{0}")]
    Options(String),
    /// The operating system gives no randomness, so there can be no keys. Nothing was started.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(String),
    /// The peer refused the command; its state is unchanged.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The message was not delivered, as far as is known.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The request has no answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The signalers have not done something for our identity.
    #[error(transparent)]
    Residence(#[from] ResidenceError),
    /// What was stored could not be removed.
    #[error("what was stored could not be removed: {0}")]
    Store(String),
    /// The peer was closed before it could answer.
    #[error("the peer is closed")]
    Closed,
    /// The peer's own identity has revoked it: it has ended for good.
    #[error("this peer was revoked by its identity, and has ended for good")]
    Revoked,
}

impl Error {
    /// The stable code, the same as browsers see.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Revoked | Self::KeyStore(KeyStoreError::Revoked { .. }) => "revoked",
            Self::KeyStore(_) => "keystore",
            Self::Options(_) => "bad-option",
            Self::Randomness(_) => "no-randomness",
            Self::Command(error) => error.code(),
            Self::Send(error) => error.code(),
            Self::Request(error) => error.code(),
            Self::Residence(error) => error.code(),
            Self::Store(_) => "store-failed",
            Self::Closed => "closed",
        }
    }
}
