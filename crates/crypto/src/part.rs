//! Parts of messages that are too large for a session: it carries their key, and they travel beside it.
//!
//! ChaCha20-Poly1305 (RFC 8439); the nonce is eight zero bytes and the part's number, the associated data is the message's
//! id. The key is made for one message and its recipients, and forgotten with it.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit as _;
use rand_core::CryptoRng;
use weft_wire::{MessageId, PartSecret};
use zeroize::Zeroizing;

use crate::cipher;

/// Bytes that sealing adds to a part.
pub const OVERHEAD: usize = 16;

/// The key of one message's parts.
#[derive(Clone)]
pub struct PartKey(Zeroizing<[u8; 32]>);

impl PartKey {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// What the session carries.
    pub fn secret(&self) -> PartSecret {
        PartSecret(*self.0)
    }

    /// Seals a part.
    pub fn seal(&self, message: &MessageId, at: u32, plain: &[u8]) -> Vec<u8> {
        cipher::seal(&self.cipher(), nonce(at), &message.0, plain)
    }

    /// Opens a part; nothing if it was altered, or is another one.
    pub fn open(&self, message: &MessageId, at: u32, sealed: &[u8]) -> Option<Vec<u8>> {
        cipher::open(&self.cipher(), nonce(at), &message.0, sealed)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

impl From<PartSecret> for PartKey {
    fn from(secret: PartSecret) -> Self {
        Self(Zeroizing::new(secret.0))
    }
}

impl core::fmt::Debug for PartKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PartKey(…)")
    }
}

fn nonce(at: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&at.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_altered_or_another_part_does_not_open() {
        let (key, id) = (PartKey::from(PartSecret([7; 32])), MessageId([1; 16]));
        let sealed = key.seal(&id, 3, b"a part");
        assert_eq!(sealed.len(), b"a part".len() + OVERHEAD);
        assert_eq!(key.open(&id, 3, &sealed).as_deref(), Some(&b"a part"[..]));
        assert!(key.open(&id, 4, &sealed).is_none());
        assert!(key.open(&MessageId([2; 16]), 3, &sealed).is_none());
        assert!(PartKey::from(PartSecret([8; 32])).open(&id, 3, &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key.open(&id, 3, &altered).is_none());
        }
        assert_eq!(format!("{key:?}"), "PartKey(…)");
    }
}
