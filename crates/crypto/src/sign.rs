//! The one way in which things are signed.
//!
//! The signed bytes are: the domain, a zero byte, then each part with its length before it (8 bytes, big-endian). A
//! signature for one purpose can therefore never be taken for another's, nor parts be shifted into each other.

#[cfg(weft_simulation)]
pub use crate::simulated::SigningKey;
#[cfg(weft_simulation)]
pub(crate) use crate::simulated::{sign, verify};
#[cfg(not(weft_simulation))]
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
#[cfg(not(weft_simulation))]
use weft_wire::Signature;

/// A signature does not verify, or the key is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Signs the parts for a purpose, `weft/v1/<purpose>`.
#[cfg(not(weft_simulation))]
pub fn sign(key: &SigningKey, domain: &str, parts: &[&[u8]]) -> Signature {
    sign_message(key, &message(domain, parts))
}

/// Checks a signature over the parts for a purpose.
///
/// # Errors
/// [`BadSignature`], also for keys of small order.
#[cfg(not(weft_simulation))]
pub fn verify(
    key: &[u8; 32],
    domain: &str,
    parts: &[&[u8]],
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify_message(key, &message(domain, parts), signature)
}

#[cfg(not(weft_simulation))]
pub(crate) fn sign_message(key: &SigningKey, message: &[u8]) -> Signature {
    Signature(key.sign(message).to_bytes())
}

#[cfg(not(weft_simulation))]
pub(crate) fn verify_message(
    key: &[u8; 32],
    message: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
    key.verify_strict(message, &signature).map_err(|_| BadSignature)
}

#[cfg(not(weft_simulation))]
fn message(domain: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes =
        Vec::with_capacity(domain.len() + 1 + parts.iter().map(|part| part.len() + 8).sum::<usize>());
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(not(weft_simulation))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_domain_and_its_parts_only() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let id = key.verifying_key().to_bytes();
        let signature = sign(&key, "weft/v1/a", &[b"one", b"two"]);
        assert_eq!(verify(&id, "weft/v1/a", &[b"one", b"two"], &signature), Ok(()));
        assert_eq!(verify(&id, "weft/v1/b", &[b"one", b"two"], &signature), Err(BadSignature));
        assert_eq!(verify(&id, "weft/v1/a", &[b"onet", b"wo"], &signature), Err(BadSignature));
        assert_eq!(verify(&id, "weft/v1/a", &[b"one"], &signature), Err(BadSignature));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(verify(&identity_point, "weft/v1/a", &[], &Signature([0; 64])), Err(BadSignature));
    }
}
