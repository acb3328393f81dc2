//! Sender keys: what makes the publications of a private party unreadable to everybody but its members.
//!
//! Each peer that publishes has a chain of keys of its own, which goes one way: whoever has the chain at one place reads
//! what comes from there on, and nothing from before. A chain serves for an *epoch*, at most [`EPOCH`] publications; with a
//! new epoch a new chain begins at random, so that who was given none of it reads nothing.
//!
//! ```text
//!  0         1           9               13               29
//! +---------+-----------+---------------+----------------+----------------------+
//! | version | epoch (8) | place (u32)   | check (16)     | ciphertext and tag   |
//! | 1       |           | big-endian    |                |                      |
//! +---------+-----------+---------------+----------------+----------------------+
//! ```
//! The check binds the ciphertext to its key: ChaCha20-Poly1305 alone would allow an author to make one ciphertext that
//! says different things under different keys, and so to say different things to different members under one id.

use core::fmt;

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::KeyInit as _;
use rand_core::CryptoRng;
use weft_wire::{ChainKey, DiscoveryKey, Epoch, PeerId};
use zeroize::Zeroizing;

use crate::cipher;

/// Publications of one epoch: what has to be computed at most to open one.
pub const EPOCH: u32 = 1024;
/// Bytes that sealing adds to a document.
pub const OVERHEAD: usize = HEAD + 16;

const VERSION: u8 = 1;
const CHECK: usize = 16;
const HEAD: usize = 1 + 8 + 4 + CHECK;

/// A chain, at one of its places.
#[derive(Clone)]
pub struct Chain {
    place: u32,
    key: Zeroizing<[u8; 32]>,
}

/// Which key opens a sealed document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The epoch of its author's peer.
    pub epoch: Epoch,
    /// The place in the chain.
    pub place: u32,
}

/// Why a document does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no sealed document, or one of a later version.
    Malformed,
    /// It was published before the place from which on the chain is known.
    Before,
    /// The chain is another one, or the document was altered.
    WrongKey,
}

impl Chain {
    /// A new one.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *key);
        Self { place: 0, key }
    }

    /// One that was handed over; none if there is no such place.
    pub fn from_key(place: u32, key: &ChainKey) -> Option<Self> {
        (place < EPOCH).then(|| Self { place, key: Zeroizing::new(key.0) })
    }

    /// Where it is.
    pub fn place(&self) -> u32 {
        self.place
    }

    /// To hand it over.
    pub fn key(&self) -> ChainKey {
        ChainKey(*self.key)
    }

    /// At a later place; none if that is before this one, or beyond the end.
    pub fn at(&self, place: u32) -> Option<Self> {
        if place < self.place || place > EPOCH {
            return None;
        }
        let mut chain = self.clone();
        while chain.place < place {
            chain.step();
        }
        Some(chain)
    }

    /// All places have been used.
    pub fn is_used_up(&self) -> bool {
        self.place >= EPOCH
    }

    /// Seals a document with the key of this place, and goes on to the next one.
    pub fn seal(&mut self, (party, feed): (&DiscoveryKey, &PeerId), epoch: Epoch, plain: &[u8]) -> Vec<u8> {
        let (key, check) = self.secrets();
        let mut bytes = Vec::with_capacity(plain.len() + OVERHEAD);
        bytes.push(VERSION);
        bytes.extend_from_slice(&epoch.0);
        bytes.extend_from_slice(&self.place.to_be_bytes());
        bytes.extend_from_slice(&check);
        let associated = [&bytes[..], &party.0, &feed.0].concat();
        // Each key seals one document.
        bytes.extend(cipher::seal(&ChaCha20Poly1305::new((&*key).into()), [0; 12], &associated, plain));
        self.step();
        bytes
    }

    fn step(&mut self) {
        self.key = Zeroizing::new(blake3::derive_key("weft/v1/group-chain", &*self.key));
        self.place += 1;
    }

    /// The key of this place, and what shows that a document was sealed with it.
    fn secrets(&self) -> (Zeroizing<[u8; 32]>, [u8; CHECK]) {
        let mut hash = blake3::Hasher::new_derive_key("weft/v1/group-publication");
        let mut stream = hash.update(&*self.key).finalize_xof();
        let (mut key, mut check) = (Zeroizing::new([0; 32]), [0; CHECK]);
        stream.fill(&mut *key);
        stream.fill(&mut check);
        (key, check)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Which key opens this; none if it is no sealed document.
pub fn named(bytes: &[u8]) -> Option<Named> {
    let (version, rest) = bytes.split_first()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (place, rest) = rest.split_first_chunk::<4>()?;
    let place = u32::from_be_bytes(*place);
    let whole = *version == VERSION && place < EPOCH && rest.len() >= CHECK + 16;
    whole.then_some(Named { epoch: Epoch(*epoch), place })
}

/// Opens the documents of one epoch, the cheaper the nearer each is to the one before.
#[derive(Clone, Debug)]
pub struct Reader {
    first: Chain,
    ahead: Chain,
}

impl Reader {
    /// From this place on.
    pub fn new(chain: Chain) -> Self {
        Self { ahead: chain.clone(), first: chain }
    }

    /// The chain as far back as it is known.
    pub fn first(&self) -> &Chain {
        &self.first
    }

    /// Behind the last document that was opened, in the order of places.
    pub fn next(&self) -> u32 {
        self.ahead.place
    }

    /// Takes a chain that reaches further back; false if it is not the same one, or does not.
    pub fn extend(&mut self, chain: Chain) -> bool {
        let same = chain.place < self.first.place
            && chain.at(self.first.place).is_some_and(|at| *at.key == *self.first.key);
        if same {
            self.first = chain;
        }
        same
    }

    /// Opens a document.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn open(
        &mut self,
        (party, feed): (&DiscoveryKey, &PeerId),
        bytes: &[u8],
    ) -> Result<Vec<u8>, Unreadable> {
        let named = named(bytes).ok_or(Unreadable::Malformed)?;
        let from = if self.ahead.place <= named.place { &self.ahead } else { &self.first };
        let mut chain = from.at(named.place).ok_or(Unreadable::Before)?;
        let (key, check) = chain.secrets();
        let (head, sealed) = bytes.split_at_checked(HEAD).ok_or(Unreadable::Malformed)?;
        if head.last_chunk() != Some(&check) {
            return Err(Unreadable::WrongKey);
        }
        let associated = [head, &party.0, &feed.0].concat();
        let opened = cipher::open(&ChaCha20Poly1305::new((&*key).into()), [0; 12], &associated, sealed);
        let opened = opened.ok_or(Unreadable::WrongKey)?;
        if chain.place >= self.ahead.place {
            chain.step();
            self.ahead = chain;
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const PARTY: DiscoveryKey = DiscoveryKey([1; 32]);
    const FEED: PeerId = PeerId([2; 32]);
    const ID: Epoch = Epoch([3; 8]);

    fn chain(seed: u8) -> Chain {
        Chain::new(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    fn sealed(chain: &mut Chain, plain: &[u8]) -> Vec<u8> {
        chain.seal((&PARTY, &FEED), ID, plain)
    }

    #[test]
    fn documents_open_in_any_order_with_the_chain_from_their_place_on() {
        let mut writing = chain(1);
        let mut reader = Reader::new(writing.clone());
        let all: Vec<_> = (0..5_u8).map(|n| sealed(&mut writing, &[n; 9])).collect();
        for n in [2, 0, 4, 1, 3, 4] {
            assert_eq!(reader.open((&PARTY, &FEED), &all[n]), Ok(vec![u8::try_from(n).unwrap(); 9]));
        }
        assert_eq!((reader.next(), all[0].len()), (5, 9 + OVERHEAD));
        assert_eq!(named(&all[3]), Some(Named { epoch: ID, place: 3 }));
        let later = chain(1).at(3).unwrap();
        let mut late = Reader::new(Chain::from_key(3, &later.key()).unwrap());
        assert_eq!(late.open((&PARTY, &FEED), &all[2]), Err(Unreadable::Before));
        assert_eq!(late.open((&PARTY, &FEED), &all[3]), Ok(vec![3; 9]));
        assert!(!late.extend(chain(2)) && !late.extend(chain(1).at(4).unwrap()));
        assert!(late.extend(chain(1)));
        assert_eq!(late.open((&PARTY, &FEED), &all[0]), Ok(vec![0; 9]));
    }

    #[test]
    fn an_epoch_has_an_end() {
        let mut last = chain(1).at(EPOCH - 1).unwrap();
        assert!(!last.is_used_up() && named(&sealed(&mut last, b"x")).is_some() && last.is_used_up());
        assert!(named(&sealed(&mut last, b"x")).is_none());
        assert!(chain(1).at(EPOCH + 1).is_none() && Chain::from_key(EPOCH, &last.key()).is_none());
    }

    #[test]
    fn another_chain_party_or_feed_opens_nothing_and_nothing_shows() {
        let mut reader = Reader::new(chain(1));
        let bytes = sealed(&mut chain(1), b"a secret document");
        assert!(!bytes.windows(6).any(|part| part == b"secret"));
        for (mut reader, party, feed) in [
            (Reader::new(chain(2)), PARTY, FEED),
            (reader.clone(), DiscoveryKey([9; 32]), FEED),
            (reader.clone(), PARTY, PeerId([9; 32])),
        ] {
            assert_eq!(reader.open((&party, &feed), &bytes), Err(Unreadable::WrongKey));
        }
        assert!(reader.open((&PARTY, &FEED), &bytes).is_ok());
        assert_eq!(format!("{:?}", chain(1)), "Chain { place: 0, .. }");
        assert_eq!(format!("{:?}", chain(1).key()), "ChainKey(…)");
    }

    proptest! {
        #[test]
        fn a_flipped_bit_or_a_cut_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let bytes = sealed(&mut chain(1), b"some document");
            let at = at.index(bytes.len());
            let mut altered = bytes.clone();
            altered[at] ^= 1_u8 << bit;
            for bad in [&altered[..], &bytes[..at]] {
                prop_assert!(Reader::new(chain(1)).open((&PARTY, &FEED), bad).is_err());
            }
        }

        #[test]
        fn any_bytes_are_refused_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Reader::new(chain(1)).open((&PARTY, &FEED), &bytes).is_err());
        }
    }
}
