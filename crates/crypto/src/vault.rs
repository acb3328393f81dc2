//! What a peer stores of its secrets: sealed, so that who reads the store does not read them.
//!
//! XChaCha20-Poly1305 with a random nonce in front; the row's key is the associated data. The key is derived from the
//! peer's own secret, which lies where the driver keeps secrets.

use core::fmt;

use rand_core::CryptoRng;
use weft_wire::{DiscoveryKey, PeerId};
use zeroize::Zeroizing;

use crate::cipher::{RANDOM_OVERHEAD, open_random, seal_random};
use crate::keys::{IdentityKey, PeerKey};
use crate::sign::sign;

/// Bytes that sealing adds to a value: nonce and tag.
pub const OVERHEAD: usize = RANDOM_OVERHEAD;

/// Where a peer's own rows are in a store that has a place for each party.
pub fn place(peer: &PeerId) -> DiscoveryKey {
    DiscoveryKey(blake3::derive_key("weft/v1/vault-place", &peer.0))
}

/// The key of a peer's stored secrets.
#[derive(Clone)]
pub struct VaultKey(Zeroizing<[u8; 32]>);

impl VaultKey {
    /// Derived from the peer's secret: Ed25519 signatures are deterministic (RFC 8032, section 5.1.6), and nobody else can
    /// make this one, which is shown to nobody.
    pub fn new(peer: &PeerKey) -> Self {
        let secret = sign(&peer.signing, "weft/v1/vault", &[]);
        Self(Zeroizing::new(blake3::derive_key("weft/v1/vault-key", secret.as_bytes())))
    }

    /// The same of an identity, for what all its peers on one device share.
    pub fn of_identity(identity: &IdentityKey) -> Self {
        let secret = sign(&identity.signing, "weft/v1/vault", &[]);
        Self(Zeroizing::new(blake3::derive_key("weft/v1/vault-key", secret.as_bytes())))
    }

    /// Seals a value that is stored under a key.
    pub fn seal(&self, rng: &mut impl CryptoRng, key: &[u8], value: &[u8]) -> Vec<u8> {
        seal_random(rng, &self.0, key, value)
    }

    /// The value; nothing if it was not sealed so, under this key.
    pub fn open(&self, key: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open_random(&self.0, key, sealed).map(Zeroizing::new)
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn what_is_altered_moved_or_anothers_does_not_open_and_nothing_shows() {
        let key = |n| VaultKey::new(&PeerKey::new(&Seed::new([n; 32])));
        let sealed = key(1).seal(&mut ChaCha20Rng::from_seed([1; 32]), b"k", b"a secret value");
        assert_eq!(key(1).open(b"k", &sealed).as_deref().map(Vec::as_slice), Some(&b"a secret value"[..]));
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(sealed.len(), b"a secret value".len() + OVERHEAD);
        assert!(key(2).open(b"k", &sealed).is_none());
        assert!(key(1).open(b"other", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key(1).open(b"k", &altered).is_none());
            assert!(key(1).open(b"k", &sealed[..at]).is_none());
        }
        assert!(!format!("{:?}", key(1)).contains(char::is_numeric));
    }
}
