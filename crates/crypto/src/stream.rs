//! Streams that signalers forward where no connection comes about: both sides agree on keys for this stream only, as DTLS
//! would, and seal each packet under them.
//!
//! ```text
//!  0         1                17                25
//! +---------+----------------+-----------------+--------------------+
//! | version | session (16)   | number (u64)    | ciphertext and tag |
//! | 2       |                | big-endian      |                    |
//! +---------+----------------+-----------------+--------------------+
//! ```
//! ChaCha20-Poly1305 (RFC 8439): the nonce is four zero bytes and the number, the associated data is what comes before
//! the number. The keys, one for each direction, are BLAKE3's key derivation over the X25519 agreement (RFC 7748) of two
//! keys made for this stream, the session, both PeerIds and both public keys, so that who reads the peers' lasting keys
//! later reads no stream of before. That the keys are those of the peers is what the link's hello proves: its transcript
//! holds both public keys in place of the fingerprints ([`Half::text`]).

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit as _;
use rand_core::CryptoRng;
use weft_wire::{AgreementKey, PeerId, SessionId, limits};
#[cfg(not(weft_simulation))]
use x25519_dalek::{PublicKey, SharedSecret as Shared, StaticSecret};
use zeroize::Zeroizing;

use crate::cipher;
#[cfg(weft_simulation)]
use crate::simulated::{PublicKey, Shared, StaticSecret};

/// The first byte of a packet; an envelope has another.
pub const VERSION: u8 = 2;
const ASSOCIATED: usize = 1 + 16;
const HEADER: usize = ASSOCIATED + 8;
/// Bytes that sealing adds to a packet.
pub const OVERHEAD: usize = HEADER + 16;

/// Our half of the agreement.
pub struct Half {
    secret: StaticSecret,
    public: AgreementKey,
}

/// Seals what goes out and opens what comes in.
pub struct Tunnel {
    session: SessionId,
    out: ChaCha20Poly1305,
    into: ChaCha20Poly1305,
    next: u64,
}

impl Half {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        let secret = StaticSecret::from(*bytes);
        let public = AgreementKey(PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// What the other side has to know.
    pub fn public(&self) -> AgreementKey {
        self.public
    }

    /// A public key in the place of a fingerprint in the link's transcript.
    pub fn text(key: &AgreementKey) -> String {
        use core::fmt::Write as _;
        key.0.iter().fold(String::from("X25519 "), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        })
    }

    /// Agrees with the other side. None if its key is none (of small order).
    pub fn agree(
        &self,
        session: SessionId,
        (us, them): (PeerId, PeerId),
        their: &AgreementKey,
    ) -> Option<Tunnel> {
        let shared = agreed(&self.secret, their)?;
        let key = |from: (PeerId, &AgreementKey), to: (PeerId, &AgreementKey)| {
            let mut hash = blake3::Hasher::new_derive_key("weft/v1/stream");
            hash.update(shared.as_bytes()).update(&session.0);
            hash.update(&from.0.0).update(&from.1.0).update(&to.0.0).update(&to.1.0);
            let key = Zeroizing::new(*hash.finalize().as_bytes());
            ChaCha20Poly1305::new((&*key).into())
        };
        let (ours, theirs) = ((us, &self.public), (them, their));
        Some(Tunnel { session, out: key(ours, theirs), into: key(theirs, ours), next: 0 })
    }
}

impl core::fmt::Debug for Half {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Half").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Seals a packet; each gets a number of its own, so that none is ever sealed under the same nonce.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(plain.len() + OVERHEAD);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.session.0);
        bytes.extend_from_slice(&self.next.to_be_bytes());
        let sealed = cipher::seal(&self.out, nonce(self.next), &bytes[..ASSOCIATED], plain);
        bytes.extend_from_slice(&sealed);
        self.next += 1;
        bytes
    }

    /// Opens a packet; nothing if it is of another stream or was altered. One that comes again opens again: the packets'
    /// own numbers say what is new.
    pub fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (associated, rest) = bytes.split_at_checked(ASSOCIATED)?;
        let (number, sealed) = rest.split_first_chunk::<8>()?;
        if session(bytes)? != self.session {
            return None;
        }
        cipher::open(&self.into, nonce(u64::from_be_bytes(*number)), associated, sealed)
    }
}

impl core::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tunnel").field("session", &self.session).finish_non_exhaustive()
    }
}

/// What two keys agree on; none if the other one is none (of small order).
pub(crate) fn agreed(secret: &StaticSecret, their: &AgreementKey) -> Option<Shared> {
    let shared = secret.diffie_hellman(&PublicKey::from(their.0));
    shared.was_contributory().then_some(shared)
}

/// Of which stream a packet is; none if it is no packet.
pub fn session(bytes: &[u8]) -> Option<SessionId> {
    let (&version, rest) = bytes.split_first()?;
    let long_enough = version == VERSION && bytes.len() >= OVERHEAD && bytes.len() <= limits::ENVELOPE;
    long_enough.then(|| rest.first_chunk().map(|id| SessionId(*id))).flatten()
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const SESSION: SessionId = SessionId([7; 16]);
    const A: PeerId = PeerId([1; 32]);
    const B: PeerId = PeerId([2; 32]);

    fn pair() -> (Tunnel, Tunnel) {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (a, b) = (Half::new(&mut rng), Half::new(&mut rng));
        let ours = a.agree(SESSION, (A, B), &b.public()).unwrap();
        let theirs = b.agree(SESSION, (B, A), &a.public()).unwrap();
        (ours, theirs)
    }

    #[test]
    fn each_side_opens_what_the_other_seals_and_nothing_else() {
        let (mut a, mut b) = pair();
        let (one, two) = (a.seal(b"one"), a.seal(b"one"));
        assert_ne!(one, two);
        assert_eq!(b.open(&one).as_deref(), Some(&b"one"[..]));
        assert_eq!(b.open(&two).as_deref(), Some(&b"one"[..]));
        assert_eq!(a.open(&one), None, "its own packet came back");
        let back = b.seal(b"two");
        assert_eq!(a.open(&back).as_deref(), Some(&b"two"[..]));
        assert_eq!(one.len(), 3 + OVERHEAD);
        assert_eq!(session(&one), Some(SESSION));
    }

    #[test]
    fn a_key_made_for_another_pair_or_session_opens_nothing() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let (a, b) = (Half::new(&mut rng), Half::new(&mut rng));
        let sealed = a.agree(SESSION, (A, B), &b.public()).unwrap().seal(b"one");
        let third = b.agree(SESSION, (B, PeerId([3; 32])), &a.public()).unwrap();
        assert_eq!(third.open(&sealed), None);
        let other = b.agree(SessionId([8; 16]), (B, A), &a.public()).unwrap();
        assert_eq!(other.open(&sealed), None);
    }

    #[cfg(not(weft_simulation))]
    #[test]
    fn a_key_of_small_order_is_refused() {
        let half = Half::new(&mut ChaCha20Rng::from_seed([1; 32]));
        assert!(half.agree(SESSION, (A, B), &AgreementKey([0; 32])).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(half.agree(SESSION, (A, B), &AgreementKey(one)).is_none());
    }

    #[test]
    fn debug_shows_no_secret() {
        let half = Half::new(&mut ChaCha20Rng::from_seed([1; 32]));
        let (tunnel, _) = pair();
        assert!(!format!("{half:?}{tunnel:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let (mut a, b) = pair();
            let mut bytes = a.seal(b"hello");
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(b.open(&bytes).is_none());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(pair().1.open(&bytes).is_none());
        }
    }
}
