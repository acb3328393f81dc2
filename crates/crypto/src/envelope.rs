//! Sealed envelopes: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
//!
//! ```text
//!  0         1               9                       41
//! +---------+---------------+-----------------------+---------------------------+
//! | version | hint (8)      | encapsulated key (32) | ciphertext and tag        |
//! | 1       | of recipient  |                       |                           |
//! +---------+---------------+-----------------------+---------------------------+
//! plaintext: sender's PeerId (32) | signature (64) | body
//! ```
//! The signature (domain `weft/v1/envelope`) is over sender, recipient's PeerId, recipient's agreement key,
//! encapsulated key and body: an inner message cannot be passed on as if meant for another, or sealed again. The
//! purpose is part of the body ([`weft_wire::sealed::Sealed`] is one enum). Nobody on the way learns the sender from it.

use rand_core::CryptoRng;
use weft_wire::{AgreementKey, PeerId, Signature, limits};

use crate::keys::PeerKey;
#[cfg(not(weft_simulation))]
use crate::sealing::{Sealer, unseal};
use crate::sign::{sign, verify};
#[cfg(weft_simulation)]
use crate::simulated::{Sealer, unseal};

const VERSION: u8 = 1;
const DOMAIN: &str = "weft/v1/envelope";
const HEADER: usize = 1 + 8 + 32;
const INNER: usize = 32 + 64;
/// Bytes that sealing adds to a body.
pub const OVERHEAD: usize = HEADER + INNER + 16;

/// An opened envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Who signed it.
    pub sender: PeerId,
    /// What was said.
    pub body: Vec<u8>,
}

/// Why an envelope was not opened or not sealed. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Too short, or larger than [`limits::ENVELOPE`].
    #[error("an envelope has {OVERHEAD} to {max} bytes", max = limits::ENVELOPE)]
    Size,
    /// Of a version this program does not know.
    #[error("envelope of unknown version {0}")]
    Version(u8),
    /// Sealed to another key.
    #[error("the envelope is for somebody else")]
    WrongRecipient,
    /// Altered on the way.
    #[error("the envelope was altered on its way")]
    Tampered,
    /// The inner signature is not the named sender's, or was made for another recipient or envelope.
    #[error("the envelope's sender is forged")]
    ForgedSender,
    /// The recipient's agreement key is none.
    #[error("the recipient's key is not usable")]
    BadKey,
}

/// Seals a body from a peer to a peer.
///
/// # Errors
/// [`EnvelopeError::Size`] for a body that does not fit, [`EnvelopeError::BadKey`] for an all-zero agreement.
pub fn seal(
    rng: &mut impl CryptoRng,
    sender: &PeerKey,
    recipient: PeerId,
    agreement: &AgreementKey,
    body: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    if body.len() + OVERHEAD > limits::ENVELOPE {
        return Err(EnvelopeError::Size);
    }
    let (sealer, encapsulated) = Sealer::new(rng, agreement).ok_or(EnvelopeError::BadKey)?;
    let id = sender.id();
    let signature = sign(&sender.signing, DOMAIN, &[&id.0, &recipient.0, &agreement.0, &encapsulated, body]);

    let mut plain = Vec::with_capacity(INNER + body.len());
    plain.extend_from_slice(&id.0);
    plain.extend_from_slice(&signature.0);
    plain.extend_from_slice(body);

    let mut bytes = Vec::with_capacity(body.len() + OVERHEAD);
    bytes.push(VERSION);
    bytes.extend_from_slice(&hint(agreement));
    bytes.extend_from_slice(&encapsulated);
    let sealed = sealer.seal(&plain, &bytes[..9]).ok_or(EnvelopeError::Size)?;
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

/// Opens an envelope for a peer.
///
/// # Errors
/// See [`EnvelopeError`]: tampering, a wrong recipient and a forged sender are told apart.
pub fn open(recipient: &PeerKey, bytes: &[u8]) -> Result<Opened, EnvelopeError> {
    if bytes.len() < OVERHEAD || bytes.len() > limits::ENVELOPE {
        return Err(EnvelopeError::Size);
    }
    let (header, sealed) = bytes.split_at(HEADER);
    let (associated, encapsulated) = header.split_at(9);
    if associated[0] != VERSION {
        return Err(EnvelopeError::Version(associated[0]));
    }
    let agreement = recipient.agreement();
    if associated[1..] != hint(&agreement) {
        return Err(EnvelopeError::WrongRecipient);
    }
    let plain =
        unseal(&recipient.agreement, encapsulated, sealed, associated).ok_or(EnvelopeError::Tampered)?;

    let (sender, rest) = plain.split_first_chunk::<32>().ok_or(EnvelopeError::Tampered)?;
    let (signature, body) = rest.split_first_chunk::<64>().ok_or(EnvelopeError::Tampered)?;
    let parts: [&[u8]; 5] = [sender, &recipient.id().0, &agreement.0, encapsulated, body];
    verify(sender, DOMAIN, &parts, &Signature(*signature)).map_err(|_| EnvelopeError::ForgedSender)?;
    Ok(Opened { sender: PeerId(*sender), body: body.to_vec() })
}

/// The first bytes of a hash of the recipient's key: tells a misdelivered envelope from an altered one.
fn hint(agreement: &AgreementKey) -> [u8; 8] {
    let mut hint = [0; 8];
    blake3::Hasher::new_derive_key("weft/v1/envelope-hint")
        .update(&agreement.0)
        .finalize_xof()
        .fill(&mut hint);
    hint
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn key(n: u8) -> PeerKey {
        PeerKey::new(&Seed::new([n; 32]))
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        let to = key(2);
        seal(&mut ChaCha20Rng::from_seed([9; 32]), &key(1), to.id(), &to.agreement(), body).unwrap()
    }

    #[test]
    fn opens_for_the_recipient_and_names_the_sender() {
        let opened = open(&key(2), &sealed(b"hello")).unwrap();
        assert_eq!((opened.sender, opened.body.as_slice()), (key(1).id(), &b"hello"[..]));
    }

    #[test]
    fn is_no_longer_than_it_says() {
        assert_eq!(sealed(b"").len(), OVERHEAD);
        let to = key(2);
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let most = vec![0; limits::ENVELOPE - OVERHEAD];
        assert!(seal(&mut rng, &key(1), to.id(), &to.agreement(), &most).is_ok());
        let more = vec![0; limits::ENVELOPE - OVERHEAD + 1];
        assert_eq!(seal(&mut rng, &key(1), to.id(), &to.agreement(), &more), Err(EnvelopeError::Size));
    }

    #[test]
    fn c7_each_way_to_be_wrong_has_its_own_error() {
        let good = sealed(b"hello");
        assert_eq!(open(&key(3), &good), Err(EnvelopeError::WrongRecipient));
        assert_eq!(open(&key(2), &good[..OVERHEAD - 1]), Err(EnvelopeError::Size));
        let mut version = good.clone();
        version[0] = 2;
        assert_eq!(open(&key(2), &version), Err(EnvelopeError::Version(2)));
        let mut altered = good.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(open(&key(2), &altered), Err(EnvelopeError::Tampered));
    }

    #[cfg(not(weft_simulation))]
    #[test]
    fn c7_an_inner_message_cannot_be_passed_on_as_if_meant_for_another() {
        use crate::sealing::{INFO, Kem};
        use hpke::aead::ChaCha20Poly1305;
        use hpke::kdf::HkdfSha256;
        use hpke::{Deserializable as _, Kem as KemTrait, OpModeR, OpModeS, Serializable as _};

        // The recipient (2) takes the sender's signed plaintext and seals it to 3 by hand.
        let good = sealed(b"hello");
        let (associated, rest) = good.split_at(9);
        let secret = <Kem as KemTrait>::PrivateKey::from_bytes(key(2).agreement.as_bytes()).unwrap();
        let encapsulated = <Kem as KemTrait>::EncappedKey::from_bytes(&rest[..32]).unwrap();
        let plain = hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &secret,
            &encapsulated,
            INFO,
        )
        .unwrap()
        .open(&rest[32..], associated)
        .unwrap();
        let third = key(3);
        let public = <Kem as KemTrait>::PublicKey::from_bytes(&third.agreement().0).unwrap();
        let (enc, mut context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeS::Base,
            &public,
            INFO,
            &mut ChaCha20Rng::from_seed([8; 32]),
        )
        .unwrap();
        let mut forged = vec![VERSION];
        forged.extend_from_slice(&hint(&third.agreement()));
        let sealed = context.seal(&plain, &forged[..9]).unwrap();
        forged.extend_from_slice(&enc.to_bytes());
        forged.extend_from_slice(&sealed);
        assert_eq!(open(&third, &forged), Err(EnvelopeError::ForgedSender));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = sealed(b"hello");
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(open(&key(2), &bytes).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(open(&key(2), &bytes).is_err());
        }
    }
}
