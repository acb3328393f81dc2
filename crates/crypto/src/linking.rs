//! Codes by which an identity goes to another place of the same person over the mesh.
//!
//! Who has the identity shows a code, as text or as a QR code, and waits in the open party that is named after it; who has been
//! given the code asks there, and gets an [export](crate::export) whose passphrase is the code. The code has 128 random bits and
//! is good once: nobody guesses it, and signalers see a discovery key that says nothing of it.
//!
//! ```text
//! "weft:l" || base58btc(version 1 || secret (16 bytes) || the first 4 bytes of BLAKE3 of what is before)
//! ```

use core::fmt;
use core::str::FromStr;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::party::Party;
use crate::word;

/// How codes begin.
pub const PREFIX: &str = "weft:l";
const VERSION: u8 = 1;
/// Version, secret.
const LEN: usize = 1 + 16;

/// Why a text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkCodeError {
    /// It does not begin like one, or holds something that base58btc does not have.
    #[error("a code for linking is a word that begins with {PREFIX}")]
    NotACode,
    /// It is cut short, or was copied with an error.
    #[error("the code is not whole: copy it again")]
    Damaged,
    /// Of a later version.
    #[error("the code is of a version that is not known here")]
    Version(u8),
}

/// A code. Whoever has it in time gets the identity. Never shown by `Debug`.
#[derive(Clone)]
pub struct LinkCode(Zeroizing<[u8; 16]>);

impl LinkCode {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *secret);
        Self(secret)
    }

    /// Where both sides meet.
    pub fn party(&self) -> Party {
        Party::open(&format!("weft/link/{self}"))
    }
}

impl fmt::Display for LinkCode {
    /// With its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LEN));
        bytes.push(VERSION);
        bytes.extend_from_slice(&*self.0);
        word::write(f, PREFIX, &bytes)
    }
}

impl FromStr for LinkCode {
    type Err = LinkCodeError;

    fn from_str(text: &str) -> Result<Self, LinkCodeError> {
        let said = word::read(text, PREFIX, LEN).map_err(|wrong| match wrong {
            word::Wrong::Other => LinkCodeError::NotACode,
            word::Wrong::Damaged => LinkCodeError::Damaged,
        })?;
        match said.split_first() {
            Some((&VERSION, secret)) => {
                let secret = secret.try_into().map_err(|_| LinkCodeError::Damaged)?;
                Ok(Self(Zeroizing::new(secret)))
            }
            Some((version, _)) => Err(LinkCodeError::Version(*version)),
            None => Err(LinkCodeError::Damaged),
        }
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn a_code_is_read_as_it_was_written_and_what_was_copied_wrongly_is_none() {
        let code = LinkCode::new(&mut ChaCha20Rng::from_seed([5; 32]));
        let text = code.to_string();
        assert!(text.len() <= 36, "{text}");
        let read: LinkCode = format!(" {text}\n").parse().unwrap();
        assert_eq!(read.party().discovery(), code.party().discovery());
        let other = LinkCode::new(&mut ChaCha20Rng::from_seed([6; 32]));
        assert_ne!(other.party().discovery(), code.party().discovery());
        for at in 0..text.len() {
            assert!(text[..at].parse::<LinkCode>().is_err(), "cut at {at}");
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'2' { b'3' } else { b'2' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(wrong.parse::<LinkCode>().is_err(), "{wrong}");
        }
        let long = format!("{PREFIX}{}", "2".repeat(10_000));
        assert_eq!(long.parse::<LinkCode>().err(), Some(LinkCodeError::Damaged));
        let mut later = vec![2; 17];
        later.extend(word::check(&later));
        let later = format!("{PREFIX}{}", bs58::encode(&later).into_string());
        assert_eq!(later.parse::<LinkCode>().err(), Some(LinkCodeError::Version(2)));
        assert_eq!("weft:z1".parse::<LinkCode>().err(), Some(LinkCodeError::NotACode));
        assert!(!format!("{code:?}").contains(&text[6..]));
    }
}
