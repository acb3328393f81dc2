//! The two ciphers: ChaCha20-Poly1305 (RFC 8439) where messages are numbered, XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha-03) where nonces are random.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, XChaCha20Poly1305, XNonce};
use rand_core::Rng;

/// Bytes that sealing under a random nonce adds: the nonce, in front, and the tag.
pub(crate) const RANDOM_OVERHEAD: usize = 24 + 16;

/// Seals what is numbered: no nonce twice under one key.
pub(crate) fn seal(cipher: &ChaCha20Poly1305, nonce: [u8; 12], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plain, aad: associated };
    // Sealing fails only beyond 256 GiB; an empty body would be refused by every receiver.
    cipher.encrypt(&Nonce::from(nonce), payload).unwrap_or_default()
}

/// Opens what is numbered; nothing if it was altered.
pub(crate) fn open(
    cipher: &ChaCha20Poly1305,
    nonce: [u8; 12],
    associated: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    cipher.decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: associated }).ok()
}

/// Seals under a random nonce.
pub(crate) fn seal_random(rng: &mut impl Rng, key: &[u8; 32], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; 24];
    rng.fill_bytes(&mut nonce);
    let payload = Payload { msg: plain, aad: associated };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload);
    let mut bytes = nonce.to_vec();
    bytes.extend(sealed.unwrap_or_default());
    bytes
}

/// Opens what was sealed under a random nonce; nothing if it was altered or sealed under another key.
pub(crate) fn open_random(key: &[u8; 32], associated: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = bytes.split_first_chunk::<24>()?;
    let payload = Payload { msg: sealed, aad: associated };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok()
}
