//! An identity and its private parties under a passphrase, to take them elsewhere or to keep them safe.
//!
//! Peers and their sessions are not a part of it: a peer that runs in two places forks its feed and loses its sessions. Where
//! it is imported the identity has a new peer, which others give the keys of what they keep.
//!
//! ```text
//!  0        4         5             9        13      14          30           54
//! +--------+---------+-------------+--------+-------+-----------+------------+--------------------+
//! | "weft" | version | memory, KiB | passes | lanes | salt (16) | nonce (24) | ciphertext and tag |
//! |        | 1       | (u32)       | (u32)  |       |           |            |                    |
//! +--------+---------+-------------+--------+-------+-----------+------------+--------------------+
//! ```
//! Numbers are big-endian. The key is Argon2id's (RFC 9106, version 19) of the passphrase and the salt; the cipher is
//! XChaCha20-Poly1305 with the first 30 bytes as associated data.

#[cfg(feature = "export")]
use argon2::{Algorithm, Argon2, Params, Version};
use minicbor::{Decoder, Encoder};
use rand_core::CryptoRng;
use weft_wire::PartyKey;
use zeroize::Zeroizing;

use crate::cipher::{RANDOM_OVERHEAD, open_random, seal_random};
use crate::keys::Seed;

/// What exports begin with, so that they are known for what they are.
const MAGIC: &[u8; 4] = b"weft";
const VERSION: u8 = 1;
const HEAD: usize = 4 + 1 + 4 + 4 + 1 + 16;
/// What is done at most to open one: whoever made it may have had more patience, or ill will.
const MOST: Costs = Costs { memory: 256 * 1024, passes: 16, lanes: 16 };
/// Bytes of the largest export: 4 parties with as many statements as are kept, and thousands of usual ones.
pub const EXPORT: usize = 64 * 1024 * 1024;
/// Letters that a passphrase has at least.
pub const PASSPHRASE: usize = 8;

/// Why an export was not made or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Too short.
    #[error("a passphrase has at least {PASSPHRASE} letters")]
    ShortPassphrase,
    /// More than is ever imported.
    #[error("so many members are known of the parties that the export would be larger than {EXPORT} bytes")]
    TooLarge,
    /// It is something else, or only the beginning.
    #[error("this is no export of an identity, or not all of one")]
    NotAnExport,
    /// Of a later version, or as costly as nobody makes them.
    #[error("this export is of a version that is not known here")]
    Version,
    /// Which of the two, nobody can say.
    #[error("the passphrase is wrong, or the export was altered")]
    WrongPassphrase,
}

/// What is exported.
#[derive(Debug)]
pub struct Export {
    /// The identity's seed.
    pub identity: Seed,
    /// The display name, may be empty.
    pub name: String,
    /// Private parties.
    pub parties: Vec<ExportedParty>,
}

/// A private party.
#[derive(Debug)]
pub struct ExportedParty {
    /// Its key.
    pub key: PartyKey,
    /// Its seed, if the identity has founded it.
    pub seed: Option<Seed>,
    /// Signed statements about its members.
    pub statements: Vec<Vec<u8>>,
}

/// What Argon2id is to do (RFC 9106, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// KiB.
    pub memory: u32,
    /// How often it goes over the memory.
    pub passes: u32,
    /// Lanes, which may be computed at the same time.
    pub lanes: u8,
}

impl Default for Costs {
    /// RFC 9106, section 4, the second recommendation, but for one lane, which is all that a browser has: 64 MiB, three
    /// passes.
    fn default() -> Self {
        Self { memory: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// How the key of an export comes of its passphrase: what is to be seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What is to be done.
    pub costs: Costs,
    /// Random.
    pub salt: [u8; 16],
}

impl Recipe {
    /// One for a new export.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self { costs: Costs::default(), salt }
    }

    /// That of an export, which these bytes look like. Where there is no passphrase yet, it need not be asked for.
    ///
    /// # Errors
    /// [`ExportError::NotAnExport`] and [`ExportError::Version`].
    pub fn of(bytes: &[u8]) -> Result<Self, ExportError> {
        parts(bytes).map(|(recipe, ..)| recipe)
    }

    /// The key of a passphrase. Takes its time.
    #[cfg(feature = "export")]
    fn key(&self, passphrase: &str) -> Result<Zeroizing<[u8; 32]>, ExportError> {
        key(passphrase, &self.salt, self.costs)
    }

    fn head(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.costs.memory.to_be_bytes());
        bytes.extend_from_slice(&self.costs.passes.to_be_bytes());
        bytes.push(self.costs.lanes);
        bytes.extend_from_slice(&self.salt);
        bytes
    }
}

impl Export {
    /// Seals it. Takes as long as a guess of the passphrase: about a quarter of a second.
    ///
    /// # Errors
    /// [`ExportError::ShortPassphrase`] and [`ExportError::TooLarge`].
    #[cfg(feature = "export")]
    pub fn seal(&self, rng: &mut impl CryptoRng, passphrase: &str) -> Result<Vec<u8>, ExportError> {
        if passphrase.chars().count() < PASSPHRASE {
            return Err(ExportError::ShortPassphrase);
        }
        let recipe = Recipe::new(rng);
        self.seal_under(rng, &recipe, &*recipe.key(passphrase)?)
    }

    /// Seals it under the key that somebody else has made by the recipe, of a passphrase of [`PASSPHRASE`] letters at least.
    ///
    /// # Errors
    /// [`ExportError::TooLarge`].
    pub fn seal_under(
        &self,
        rng: &mut impl CryptoRng,
        recipe: &Recipe,
        key: &[u8; 32],
    ) -> Result<Vec<u8>, ExportError> {
        let plain = self.encode();
        if HEAD + RANDOM_OVERHEAD + plain.len() > EXPORT {
            return Err(ExportError::TooLarge);
        }
        let mut bytes = recipe.head();
        let sealed = seal_random(rng, key, &bytes, &plain);
        bytes.extend(sealed);
        Ok(bytes)
    }

    /// Opens one.
    ///
    /// # Errors
    /// See [`ExportError`].
    #[cfg(feature = "export")]
    pub fn open(bytes: &[u8], passphrase: &str) -> Result<Self, ExportError> {
        Self::open_under(bytes, &*Recipe::of(bytes)?.key(passphrase)?)
    }

    /// Opens one under the key that somebody else has made by its [`Recipe`].
    ///
    /// # Errors
    /// [`ExportError::NotAnExport`], [`ExportError::Version`] and [`ExportError::WrongPassphrase`].
    pub fn open_under(bytes: &[u8], key: &[u8; 32]) -> Result<Self, ExportError> {
        let (_, head, sealed) = parts(bytes)?;
        let plain = open_random(key, head, sealed).map(Zeroizing::new).ok_or(ExportError::WrongPassphrase)?;
        Self::decode(&plain).map_err(|_| ExportError::NotAnExport)
    }

    /// CBOR: [seed, name, [[key, seed or empty, [statement…]]…]].
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut encoder = Encoder::new(&mut *bytes);
        // Writing to a Vec cannot fail; what is cut short would not be read.
        let _ = self.encode_to(&mut encoder);
        bytes
    }

    fn encode_to(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(3)?.bytes(self.identity.expose())?.str(&self.name)?;
        encoder.array(self.parties.len() as u64)?;
        for party in &self.parties {
            let seed = party.seed.as_ref().map_or(&[][..], |seed| &seed.expose()[..]);
            encoder.array(3)?.bytes(&party.key.0)?.bytes(seed)?;
            encoder.array(party.statements.len() as u64)?;
            for statement in &party.statements {
                encoder.bytes(statement)?;
            }
        }
        Ok(())
    }

    fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        let wrong = || minicbor::decode::Error::message("not an export");
        let array = |decoder: &mut Decoder<'_>| decoder.array()?.ok_or_else(wrong);
        let seed = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map(Seed::new).map_err(|_| wrong());
        let mut decoder = Decoder::new(bytes);
        if array(&mut decoder)? != 3 {
            return Err(wrong());
        }
        let (identity, name) = (seed(decoder.bytes()?)?, decoder.str()?.to_owned());
        let mut parties = Vec::new();
        for _ in 0..array(&mut decoder)? {
            if array(&mut decoder)? != 3 {
                return Err(wrong());
            }
            let key = PartyKey(decoder.bytes()?.try_into().map_err(|_| wrong())?);
            let own = decoder.bytes()?;
            let own = if own.is_empty() { None } else { Some(seed(own)?) };
            let mut statements = Vec::new();
            for _ in 0..array(&mut decoder)? {
                statements.push(decoder.bytes()?.to_vec());
            }
            parties.push(ExportedParty { key, seed: own, statements });
        }
        Ok(Self { identity, name, parties })
    }
}

#[cfg(feature = "export")]
fn key(passphrase: &str, salt: &[u8], costs: Costs) -> Result<Zeroizing<[u8; 32]>, ExportError> {
    let Costs { memory, passes, lanes } = costs;
    let params = Params::new(memory, passes, lanes.into(), Some(32)).map_err(|_| ExportError::NotAnExport)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| ExportError::NotAnExport)?;
    Ok(key)
}

/// The recipe of an export, the bytes that say it, and what is sealed.
fn parts(bytes: &[u8]) -> Result<(Recipe, &[u8], &[u8]), ExportError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(ExportError::NotAnExport)?;
    let (version, rest) = rest.split_first().ok_or(ExportError::NotAnExport)?;
    if *version != VERSION {
        return Err(ExportError::Version);
    }
    let (head, sealed) = bytes.split_at_checked(HEAD).ok_or(ExportError::NotAnExport)?;
    let (memory, rest) = rest.split_first_chunk().ok_or(ExportError::NotAnExport)?;
    let (passes, rest) = rest.split_first_chunk().ok_or(ExportError::NotAnExport)?;
    let (lanes, rest) = rest.split_first().ok_or(ExportError::NotAnExport)?;
    let salt = *rest.first_chunk().ok_or(ExportError::NotAnExport)?;
    if sealed.len() <= RANDOM_OVERHEAD || bytes.len() > EXPORT {
        return Err(ExportError::NotAnExport);
    }
    let (memory, passes) = (u32::from_be_bytes(*memory), u32::from_be_bytes(*passes));
    let costs = Costs { memory, passes, lanes: *lanes };
    if memory > MOST.memory || passes > MOST.passes || *lanes > MOST.lanes {
        return Err(ExportError::Version);
    }
    Ok((Recipe { costs, salt }, head, sealed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    /// As cheap as there is: tests try often.
    const CHEAP: Costs = Costs { memory: 8, passes: 1, lanes: 1 };

    fn export() -> Export {
        let party = |n: u8, seed: Option<u8>| ExportedParty {
            key: PartyKey([n; 32]),
            seed: seed.map(|n| Seed::new([n; 32])),
            statements: vec![vec![n; 10], vec![]],
        };
        let parties = vec![party(3, Some(4)), party(5, None)];
        Export { identity: Seed::new([1; 32]), name: "Ada".into(), parties }
    }

    fn seal(export: &Export, passphrase: &str) -> Result<Vec<u8>, ExportError> {
        let mut rng = ChaCha20Rng::from_seed([9; 32]);
        let recipe = Recipe { costs: CHEAP, ..Recipe::new(&mut rng) };
        export.seal_under(&mut rng, &recipe, &recipe.key(passphrase).unwrap())
    }

    fn sealed() -> Vec<u8> {
        seal(&export(), "correct horse").unwrap()
    }

    #[test]
    fn p4_an_export_opens_with_its_passphrase_and_no_other() {
        let bytes = sealed();
        let opened = Export::open(&bytes, "correct horse").unwrap();
        assert_eq!((opened.identity.expose(), &opened.name[..]), (&[1; 32], "Ada"));
        let parties: Vec<_> = opened
            .parties
            .iter()
            .map(|party| (party.key, party.seed.as_ref().map(|seed| *seed.expose()), party.statements.len()))
            .collect();
        assert_eq!(parties, [(PartyKey([3; 32]), Some([4; 32]), 2), (PartyKey([5; 32]), None, 2)]);
        for wrong in ["Correct horse", "correct horse ", ""] {
            assert_eq!(Export::open(&bytes, wrong).err(), Some(ExportError::WrongPassphrase), "{wrong}");
        }
        assert!(!bytes.windows(3).any(|part| part == b"Ada"));
        let shown = format!("{opened:?}");
        assert!(!shown.contains("1, 1") && !shown.contains("4, 4"), "{shown}");
        let mut large = export();
        large.parties[0].statements = vec![vec![0; EXPORT]];
        assert_eq!(seal(&large, "correct horse"), Err(ExportError::TooLarge));
        let short = export().seal(&mut ChaCha20Rng::from_seed([9; 32]), "1234567");
        assert_eq!(short, Err(ExportError::ShortPassphrase));
    }

    #[test]
    fn p4_what_is_altered_cut_or_too_costly_is_refused() {
        let bytes = sealed();
        // Memory and passes that are altered are tried, if they are not too much, and open nothing.
        for at in (0..bytes.len()).filter(|at| !(5..13).contains(at)) {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(Export::open(&altered, "correct horse").is_err(), "byte {at}");
            assert!(Export::open(&bytes[..at], "correct horse").is_err(), "cut at {at}");
        }
        for (at, costs) in [(5, MOST.memory + 1), (9, MOST.passes + 1)] {
            let mut costly = bytes.clone();
            costly[at..at + 4].copy_from_slice(&costs.to_be_bytes());
            assert_eq!(Export::open(&costly, "correct horse").err(), Some(ExportError::Version));
        }
    }

    #[test]
    fn p4_the_key_is_that_of_argon2ids_reference_implementation() {
        // github.com/P-H-C/phc-winner-argon2, src/test.c: Argon2id, version 19, t = 2, m = 2^16, p = 1.
        let costs = Costs { memory: 65536, passes: 2, lanes: 1 };
        let key = key("password", b"somesalt", costs).unwrap();
        let reference = [
            0x09, 0x31, 0x61, 0x15, 0xd5, 0xcf, 0x24, 0xed, 0x5a, 0x15, 0xa3, 0x1a, 0x3b, 0xa3, 0x26, 0xe5,
            0xcf, 0x32, 0xed, 0xc2, 0x47, 0x02, 0x98, 0x7c, 0x02, 0xb6, 0x56, 0x6f, 0x61, 0x91, 0x3c, 0xf7,
        ];
        assert_eq!(*key, reference);
    }
}
