//! Secret keys, each made from a 32-byte seed that is all one has to keep.

use core::fmt;

#[cfg(weft_simulation)]
use crate::simulated::{PublicKey, SigningKey, StaticSecret};
#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use weft_wire::{AgreementKey, IdentityId, PeerId, SignalerId};
#[cfg(not(weft_simulation))]
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// 32 secret random bytes from which a key pair is derived. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Takes 32 bytes from a cryptographic source.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, to store them where secrets are kept.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &*self.0)
    }

    pub(crate) fn signing(&self, context: &str) -> SigningKey {
        SigningKey::from_bytes(&self.derive(context))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// An identity's key.
#[derive(Clone)]
pub struct IdentityKey {
    pub(crate) signing: SigningKey,
}

impl IdentityKey {
    /// The identity of this seed.
    pub fn new(seed: &Seed) -> Self {
        Self { signing: SigningKey::from_bytes(&seed.derive("weft/v1/identity-signing")) }
    }

    /// The public key.
    pub fn id(&self) -> IdentityId {
        IdentityId(self.signing.verifying_key().to_bytes())
    }
}

/// A peer's keys: one for signatures, one for agreement.
#[derive(Clone)]
pub struct PeerKey {
    pub(crate) signing: SigningKey,
    pub(crate) agreement: StaticSecret,
}

impl PeerKey {
    /// The peer of this seed.
    pub fn new(seed: &Seed) -> Self {
        Self {
            signing: SigningKey::from_bytes(&seed.derive("weft/v1/peer-signing")),
            agreement: StaticSecret::from(seed.derive("weft/v1/peer-agreement")),
        }
    }

    /// The public key for signatures.
    pub fn id(&self) -> PeerId {
        PeerId(self.signing.verifying_key().to_bytes())
    }

    /// The public key for agreement.
    pub fn agreement(&self) -> AgreementKey {
        AgreementKey(PublicKey::from(&self.agreement).to_bytes())
    }
}

/// A signaler's key.
#[derive(Clone)]
pub struct SignalerKey {
    pub(crate) signing: SigningKey,
}

impl SignalerKey {
    /// The signaler of this seed.
    pub fn new(seed: &Seed) -> Self {
        Self { signing: SigningKey::from_bytes(&seed.derive("weft/v1/signaler-signing")) }
    }

    /// The public key.
    pub fn id(&self) -> SignalerId {
        SignalerId(self.signing.verifying_key().to_bytes())
    }
}

macro_rules! secret_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("id", &self.id()).finish_non_exhaustive()
            }
        }
    )*};
}
secret_debug!(IdentityKey PeerKey SignalerKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let seed = Seed::new([0xab; 32]);
        let secret = format!("{:?}", seed.derive("weft/v1/peer-signing"));
        for text in [
            format!("{seed:?}"),
            format!("{:?}", PeerKey::new(&seed)),
            format!("{:?}", IdentityKey::new(&seed)),
        ] {
            assert!(!text.contains("171"), "{text}");
            assert!(!text.contains(&secret), "{text}");
        }
    }

    #[test]
    fn one_seed_gives_different_keys_for_different_uses() {
        let seed = Seed::new([1; 32]);
        assert_ne!(PeerKey::new(&seed).id().0, IdentityKey::new(&seed).id().0);
        assert_ne!(SignalerKey::new(&seed).id().0, IdentityKey::new(&seed).id().0);
    }
}
