//! HPKE (RFC 9180) in base mode, as envelopes use it.

use hpke::aead::{AeadCtxS, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem as KemTrait, OpModeR, OpModeS, Serializable as _};
use rand_core::CryptoRng;
use weft_wire::AgreementKey;
use x25519_dalek::StaticSecret;

pub(crate) type Kem = X25519HkdfSha256;

pub(crate) const INFO: &[u8] = b"weft/v1/envelope";

/// What seals one message to one recipient.
pub(crate) struct Sealer(AeadCtxS<ChaCha20Poly1305, HkdfSha256, Kem>);

impl Sealer {
    /// A sealer to a key, and what the recipient needs to open; nothing if the key is none.
    pub(crate) fn new(rng: &mut impl CryptoRng, agreement: &AgreementKey) -> Option<(Self, [u8; 32])> {
        Self::with_info(rng, agreement, INFO)
    }

    pub(crate) fn with_info(
        rng: &mut impl CryptoRng,
        agreement: &AgreementKey,
        info: &[u8],
    ) -> Option<(Self, [u8; 32])> {
        let public = <Kem as KemTrait>::PublicKey::from_bytes(&agreement.0).ok()?;
        let (encapsulated, context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeS::Base,
            &public,
            info,
            rng,
        )
        .ok()?;
        Some((Self(context), encapsulated.to_bytes().into()))
    }

    /// Seals.
    pub(crate) fn seal(mut self, plain: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(plain, associated).ok()
    }
}

/// Opens what was sealed to a key; nothing if it was altered or sealed to another.
pub(crate) fn unseal(
    agreement: &StaticSecret,
    encapsulated: &[u8],
    sealed: &[u8],
    associated: &[u8],
) -> Option<Vec<u8>> {
    unseal_with_info(agreement, encapsulated, sealed, associated, INFO)
}

pub(crate) fn unseal_with_info(
    agreement: &StaticSecret,
    encapsulated: &[u8],
    sealed: &[u8],
    associated: &[u8],
    info: &[u8],
) -> Option<Vec<u8>> {
    let secret = <Kem as KemTrait>::PrivateKey::from_bytes(agreement.as_bytes()).ok()?;
    let key = <Kem as KemTrait>::EncappedKey::from_bytes(encapsulated).ok()?;
    hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(&OpModeR::Base, &secret, &key, info)
        .and_then(|mut context| context.open(sealed, associated))
        .ok()
}
