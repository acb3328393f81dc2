//! What everything here goes through, for tests with published vectors alone: bytes in, bytes out.

#![doc(hidden)]

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit as _;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use weft_wire::{AgreementKey, Signature};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::sealing::{Sealer, unseal_with_info};
use crate::{cipher, sign, stream};

/// X25519; none where the other key is none.
#[must_use]
pub fn agree(secret: [u8; 32], public: [u8; 32]) -> Option<[u8; 32]> {
    stream::agreed(&StaticSecret::from(secret), &AgreementKey(public)).map(|shared| *shared.as_bytes())
}

/// The public key of an X25519 secret.
#[must_use]
pub fn agreement_key(secret: [u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(secret)).to_bytes()
}

/// The public key of an Ed25519 seed, and its signature.
#[must_use]
pub fn sign(seed: [u8; 32], message: &[u8]) -> ([u8; 32], [u8; 64]) {
    let key = SigningKey::from_bytes(&seed);
    (key.verifying_key().to_bytes(), *sign::sign_message(&key, message).as_bytes())
}

/// Whether an Ed25519 signature holds.
#[must_use]
pub fn verify(key: &[u8; 32], message: &[u8], signature: [u8; 64]) -> bool {
    sign::verify_message(key, message, &Signature(signature)).is_ok()
}

/// ChaCha20-Poly1305.
#[must_use]
pub fn seal(key: [u8; 32], nonce: [u8; 12], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    cipher::seal(&ChaCha20Poly1305::new(&key.into()), nonce, associated, plain)
}

/// The same, opened.
#[must_use]
pub fn open(key: [u8; 32], nonce: [u8; 12], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    cipher::open(&ChaCha20Poly1305::new(&key.into()), nonce, associated, sealed)
}

/// XChaCha20-Poly1305 with a random nonce in front.
#[must_use]
pub fn seal_random(rng: &mut impl CryptoRng, key: [u8; 32], associated: &[u8], plain: &[u8]) -> Vec<u8> {
    cipher::seal_random(rng, &key, associated, plain)
}

/// The same, opened.
#[must_use]
pub fn open_random(key: [u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    cipher::open_random(&key, associated, sealed)
}

/// HPKE in base mode: the encapsulated key, and the first message of the context.
#[must_use]
pub fn hpke_seal(
    rng: &mut impl CryptoRng,
    public: [u8; 32],
    info: &[u8],
    (plain, associated): (&[u8], &[u8]),
) -> Option<([u8; 32], Vec<u8>)> {
    let (sealer, encapsulated) = Sealer::with_info(rng, &AgreementKey(public), info)?;
    Some((encapsulated, sealer.seal(plain, associated)?))
}

/// The same, opened.
#[must_use]
pub fn hpke_open(
    secret: [u8; 32],
    encapsulated: &[u8; 32],
    info: &[u8],
    (sealed, associated): (&[u8], &[u8]),
) -> Option<Vec<u8>> {
    unseal_with_info(&StaticSecret::from(secret), encapsulated, sealed, associated, info)
}
