//! Identifiers: fixed-size byte strings, each a type of its own.

use core::fmt;
use core::str::FromStr;

use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

use crate::cbor::{Decode, Decoder, Error};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text does not begin with `z`, multibase's letter for base58btc.
    #[error("a key begins with 'z' (multibase base58btc), as in z6Mk…")]
    NotMultibase,
    /// The text holds a character that base58btc does not have.
    #[error("a key holds only letters and digits of base58btc")]
    NotBase58,
    /// The bytes are not 0xed 0x01 and 32 bytes.
    #[error("not an Ed25519 key: expected the multicodec prefix ed01 and 32 bytes")]
    NotEd25519,
    /// The text is not hexadecimal, or of another length.
    #[error("expected hexadecimal digits, two for each byte, of the right length")]
    NotHex,
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
                e.bytes(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
                let mut id = Self([0; $len]);
                d.fill(&mut id.0)?;
                Ok(id)
            }
        }
    };
}

impl Tag {
    /// Of 32 bytes.
    const fn first(bytes: &[u8; 32]) -> Self {
        match bytes.first_chunk() {
            Some(first) => Self(*first),
            None => Self([0; 8]),
        }
    }
}

impl From<&PeerId> for Tag {
    fn from(id: &PeerId) -> Self {
        Self::first(&id.0)
    }
}

impl From<&IdentityId> for Tag {
    fn from(id: &IdentityId) -> Self {
        Self::first(&id.0)
    }
}

impl From<&PublicationId> for Tag {
    fn from(id: &PublicationId) -> Self {
        Self::first(&id.0)
    }
}

impl From<&DiscoveryKey> for Tag {
    fn from(key: &DiscoveryKey) -> Self {
        Self::first(&key.0)
    }
}

impl From<&Digest> for Tag {
    fn from(digest: &Digest) -> Self {
        Self::first(&digest.0)
    }
}

impl From<SignalerId> for RegistryKey {
    fn from(id: SignalerId) -> Self {
        Self(id.0)
    }
}

impl From<IdentityId> for RegistryKey {
    fn from(id: IdentityId) -> Self {
        Self(id.0)
    }
}

macro_rules! hex_shown {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(hexadecimal(&self.0, &mut [0; 2 * LONGEST]))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                f.write_str(hexadecimal(self.0.first_chunk::<4>().unwrap_or(&[0; 4]), &mut [0; 2 * LONGEST]))?;
                f.write_str("…)")
            }
        }
    )*};
}

macro_rules! hex_read {
    ($($name:ident)*) => {$(
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut id = Self([0; _]);
                from_hex(text, &mut id.0)?;
                Ok(id)
            }
        }
    )*};
}

macro_rules! key_shown {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&multibase(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = multibase(&self.0);
                write!(f, "{}({}…)", stringify!($name), text.get(..12).unwrap_or(&text))
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_multibase(text).map(Self)
            }
        }
    )*};
}

bytes_id!(
    /// A person's or bot's long-lived Ed25519 public key (RFC 8032), shown as `z6Mk…`: the body of a `did:key`.
    IdentityId, 32
);
bytes_id!(
    /// A running participant's Ed25519 public key, shown as `z6Mk…`.
    PeerId, 32
);
bytes_id!(
    /// A signaler's Ed25519 public key, shown as `z6Mk…`.
    SignalerId, 32
);
bytes_id!(
    /// An Ed25519 public key that the registry knows, shown as `z6Mk…`: a registrant's, which may be a signaler's, that of a
    /// service, or a sovereign's, which is an identity's.
    RegistryKey, 32
);
bytes_id!(
    /// A party's Ed25519 public key, shown as `z6Mk…`. Whoever knows it can find and join an open party; signalers see
    /// only its [`DiscoveryKey`].
    PartyKey, 32
);
bytes_id!(
    /// An Ed25519 public key that is good for admitting one member to a private party.
    InvitationKey, 32
);
bytes_id!(
    /// Keyed BLAKE3 hash of a party's public key: all that signalers ever see of a party.
    DiscoveryKey, 32
);
bytes_id!(
    /// An X25519 public key (RFC 7748).
    AgreementKey, 32
);
bytes_id!(
    /// BLAKE3 hash that names a publication.
    PublicationId, 32
);
bytes_id!(
    /// Names one end-to-end message; chosen at random by its sender.
    MessageId, 16
);
bytes_id!(
    /// The first eight bytes of a [`PeerId`], [`IdentityId`] or [`DiscoveryKey`], where frames between neighbours name many of them. Two
    /// ids that share a tag cost a needless frame, never a wrong one: what matters is checked against the whole id.
    Tag, 8
);
bytes_id!(
    /// Names one negotiation between two peers; chosen at random by the offering side.
    SessionId, 16
);
bytes_id!(
    /// Names one double-ratchet session between two peers: a hash of the three public keys from which it began.
    RatchetId, 16
);
bytes_id!(
    /// Names a chain of keys under which a peer publishes in a private party; chosen at random by it.
    Epoch, 8
);
bytes_id!(
    /// A place of such a chain. Secret: never shown.
    ChainKey, 32
);
bytes_id!(
    /// A fresh random challenge.
    Nonce, 32
);
bytes_id!(
    /// A keyed hash that shows knowledge of a party's public key.
    Proof, 32
);
bytes_id!(
    /// BLAKE3 hash: of a message that travels in parts, of an envelope that waits in a mailbox, of a statement.
    Digest, 32
);
bytes_id!(
    /// The secret key of one message's parts. Not shown.
    PartSecret, 32
);
bytes_id!(
    /// An Ed25519 signature (RFC 8032).
    Signature, 64
);

impl fmt::Debug for PartSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartSecret(…)")
    }
}

key_shown!(IdentityId PeerId SignalerId RegistryKey PartyKey InvitationKey);
hex_shown!(DiscoveryKey AgreementKey PublicationId MessageId Tag Epoch SessionId RatchetId Nonce Proof Digest Signature);

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(…)")
    }
}

// What JSON carries.
hex_read!(Nonce Digest Signature);

/// Bytes of the longest id.
const LONGEST: usize = 64;

/// Two digits for each byte. Every publication that is delivered has its id written so.
fn hexadecimal<'a>(bytes: &[u8], digits: &'a mut [u8; 2 * LONGEST]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    let digits = digits.get(..2 * bytes.len()).unwrap_or_default();
    core::str::from_utf8(digits).unwrap_or_default()
}

/// Reads exactly as many bytes as there is room for, digits of either case.
fn from_hex(text: &str, into: &mut [u8]) -> Result<(), IdError> {
    let digits = text.as_bytes();
    if digits.len() != into.len() * 2 {
        return Err(IdError::NotHex);
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, pair) in into.iter_mut().zip(digits.chunks_exact(2)) {
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(IdError::NotHex) };
        *byte = high << 4 | low;
    }
    Ok(())
}

/// Multicodec prefix of an Ed25519 public key (unsigned varint of 0xed).
const ED25519: [u8; 2] = [0xed, 0x01];

fn multibase(key: &[u8; 32]) -> String {
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&ED25519);
    bytes[2..].copy_from_slice(key);
    let mut text = String::with_capacity(49);
    text.push('z');
    text.push_str(&bs58::encode(bytes).into_string());
    text
}

fn parse_multibase(text: &str) -> Result<[u8; 32], IdError> {
    let body = text.strip_prefix('z').ok_or(IdError::NotMultibase)?;
    // 34 bytes have at most 47 digits: anything longer is refused before it is decoded.
    if body.len() > 64 {
        return Err(IdError::NotEd25519);
    }
    let bytes = bs58::decode(body).into_vec().map_err(|_| IdError::NotBase58)?;
    let key = bytes.strip_prefix(&ED25519[..]).ok_or(IdError::NotEd25519)?;
    key.try_into().map_err(|_| IdError::NotEd25519)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_the_body_of_a_did_key() {
        // The did:key method specification's first Ed25519 example.
        let text = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let id: PeerId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn texts_that_are_no_keys_say_why() {
        assert_eq!("6Mk".parse::<PeerId>(), Err(IdError::NotMultibase));
        assert_eq!("z6MkO0".parse::<PeerId>(), Err(IdError::NotBase58));
        assert_eq!("z6Mk".parse::<PeerId>(), Err(IdError::NotEd25519));
        assert_eq!(format!("z{}", "1".repeat(10_000)).parse::<PeerId>(), Err(IdError::NotEd25519));
    }
}
