//! Stand-ins for the simulator, under `--cfg weft_simulation` only: as fast as a hash, and as safe as none.
//!
//! A signature is a hash over the public key, the domain and the parts: whatever is altered is still noticed, but anybody
//! could make one. Agreement is a hash of the secret. Programs that people run refuse to compile under this cfg.

use rand_core::CryptoRng;
use weft_wire::{AgreementKey, Signature};

use crate::sign::BadSignature;

/// In place of an Ed25519 key.
#[derive(Clone)]
pub struct SigningKey {
    public: [u8; 32],
}

/// In place of an Ed25519 public key.
#[derive(Clone, Copy)]
pub struct VerifyingKey([u8; 32]);

impl SigningKey {
    /// The key of these secret bytes.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self { public: blake3::derive_key("weft/simulation/signing", secret) }
    }

    /// The public key.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.public)
    }
}

impl VerifyingKey {
    /// As on the wire.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

/// In place of an X25519 secret.
#[derive(Clone)]
pub(crate) struct StaticSecret {
    public: [u8; 32],
}

impl From<[u8; 32]> for StaticSecret {
    fn from(secret: [u8; 32]) -> Self {
        Self { public: blake3::derive_key("weft/simulation/agreement", &secret) }
    }
}

impl StaticSecret {
    /// Both sides come to the same.
    pub(crate) fn diffie_hellman(&self, other: &PublicKey) -> Shared {
        let (low, high) = (self.public.min(other.0), self.public.max(other.0));
        let hash =
            blake3::Hasher::new_derive_key("weft/simulation/shared").update(&low).update(&high).finalize();
        Shared(*hash.as_bytes())
    }
}

/// In place of what two X25519 keys agree on.
pub(crate) struct Shared([u8; 32]);

impl Shared {
    pub(crate) fn was_contributory(&self) -> bool {
        true
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// In place of an X25519 public key.
pub(crate) struct PublicKey([u8; 32]);

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<&StaticSecret> for PublicKey {
    fn from(secret: &StaticSecret) -> Self {
        Self(secret.public)
    }
}

impl PublicKey {
    /// As on the wire.
    pub(crate) fn to_bytes(&self) -> [u8; 32] {
        self.0
    }
}

pub(crate) fn sign(key: &SigningKey, domain: &str, parts: &[&[u8]]) -> Signature {
    Signature(hash(&key.public, domain, parts))
}

pub(crate) fn verify(
    key: &[u8; 32],
    domain: &str,
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), BadSignature> {
    if hash(key, domain, parts) == signature.0 { Ok(()) } else { Err(BadSignature) }
}

/// In place of HPKE: nothing is hidden, but a tag says to whom it was sealed and that nothing was altered.
pub(crate) struct Sealer {
    agreement: [u8; 32],
    encapsulated: [u8; 32],
}

impl Sealer {
    pub(crate) fn new(rng: &mut impl CryptoRng, agreement: &AgreementKey) -> Option<(Self, [u8; 32])> {
        let mut encapsulated = [0; 32];
        rng.fill_bytes(&mut encapsulated);
        let sealer = Self { agreement: agreement.0, encapsulated };
        (agreement.0 != [0; 32]).then_some((sealer, encapsulated))
    }

    pub(crate) fn seal(self, plain: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        sealed.extend_from_slice(&tag(&self.agreement, &[&self.encapsulated, associated, plain]));
        Some(sealed)
    }
}

pub(crate) fn unseal(
    agreement: &StaticSecret,
    encapsulated: &[u8],
    sealed: &[u8],
    associated: &[u8],
) -> Option<Vec<u8>> {
    let (plain, end) = sealed.split_last_chunk::<16>()?;
    (tag(&agreement.public, &[encapsulated, associated, plain]) == *end).then(|| plain.to_vec())
}

fn tag(agreement: &[u8; 32], parts: &[&[u8]]) -> [u8; 16] {
    let mut tag = [0; 16];
    tag.copy_from_slice(&hash(agreement, "weft/simulation/tag", parts)[..16]);
    tag
}

fn hash(key: &[u8; 32], domain: &str, parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = blake3::Hasher::new_keyed(key);
    hash.update(domain.as_bytes()).update(&[0]);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes()).update(part);
    }
    let mut bytes = [0; 64];
    hash.finalize_xof().fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_part_is_noticed() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let public = key.verifying_key().to_bytes();
        let signature = sign(&key, "a", &[b"one", b"two"]);
        assert_eq!(verify(&public, "a", &[b"one", b"two"], &signature), Ok(()));
        assert_eq!(verify(&public, "b", &[b"one", b"two"], &signature), Err(BadSignature));
        assert_eq!(verify(&public, "a", &[b"onet", b"wo"], &signature), Err(BadSignature));
        assert_eq!(verify(&[2; 32], "a", &[b"one", b"two"], &signature), Err(BadSignature));
    }
}
