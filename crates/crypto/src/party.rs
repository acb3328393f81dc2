//! What follows from a party's public key: its discovery key, its proofs, its sealed fan-out.

#[cfg(weft_simulation)]
use crate::simulated::SigningKey;
#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use rand_core::Rng;
use weft_wire::{DiscoveryKey, PartyKey, Proof};
use zeroize::Zeroizing;

use crate::cipher::{RANDOM_OVERHEAD, open_random, seal_random};

/// A party as a member knows it.
#[derive(Clone)]
pub struct Party {
    key: PartyKey,
    discovery: DiscoveryKey,
    proof: Zeroizing<[u8; 32]>,
    fanout: Zeroizing<[u8; 32]>,
}

/// Bytes that sealing adds to a fan-out payload: nonce and tag.
pub const FANOUT_OVERHEAD: usize = RANDOM_OVERHEAD;

impl Party {
    /// The party of this public key.
    pub fn new(key: PartyKey) -> Self {
        Self {
            key,
            discovery: DiscoveryKey(*blake3::keyed_hash(&key.0, b"weft/v1/discovery-key").as_bytes()),
            proof: Zeroizing::new(blake3::derive_key("weft/v1/party-proof", &key.0)),
            fanout: Zeroizing::new(blake3::derive_key("weft/v1/party-fanout", &key.0)),
        }
    }

    /// The open party of a name: everybody who guesses the name is in it.
    pub fn open(name: &str) -> Self {
        let seed = blake3::derive_key("weft/v1/open-party", name.as_bytes());
        Self::new(PartyKey(SigningKey::from_bytes(&seed).verifying_key().to_bytes()))
    }

    /// The party's public key. Not for signalers, logs or storage in clear.
    pub fn key(&self) -> PartyKey {
        self.key
    }

    /// What signalers see.
    pub fn discovery(&self) -> DiscoveryKey {
        self.discovery
    }

    /// Shows knowledge of the party's key on a link: keyed hash over the link's transcript and the prover's id.
    pub fn prove(&self, transcript: &[u8; 32], prover: &[u8; 32]) -> Proof {
        let mut hash = blake3::Hasher::new_keyed(&self.proof);
        hash.update(transcript).update(prover);
        Proof(*hash.finalize().as_bytes())
    }

    /// Checks the other side's proof, in constant time.
    pub fn check(&self, transcript: &[u8; 32], prover: &[u8; 32], proof: &Proof) -> bool {
        // blake3::Hash compares in constant time.
        blake3::Hash::from(self.prove(transcript, prover).0) == blake3::Hash::from(proof.0)
    }

    /// Seals a payload for every member (XChaCha20-Poly1305 under a key derived from the party's, the discovery key as
    /// associated data).
    pub fn seal_fanout(&self, rng: &mut impl Rng, payload: &[u8]) -> Vec<u8> {
        seal_random(rng, &self.fanout, &self.discovery.0, payload)
    }

    /// Opens what a member sealed; nothing if it was not for this party or was altered.
    pub fn open_fanout(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        open_random(&self.fanout, &self.discovery.0, bytes)
    }
}

impl core::fmt::Debug for Party {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party").field("discovery", &self.discovery).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn d6_the_discovery_key_is_a_hash_and_debug_shows_no_party_key() {
        let party = Party::open("movies");
        assert_ne!(party.discovery().0, party.key().0);
        let shown = format!("{party:?}");
        assert!(!shown.contains(&party.key().to_string()), "{shown}");
        assert!(!shown.contains(&format!("{:?}", party.key())), "{shown}");
    }

    #[test]
    fn d6_a_proof_needs_the_partys_key_and_holds_for_one_link_and_prover() {
        let (party, other) = (Party::open("movies"), Party::open("music"));
        let proof = party.prove(&[1; 32], &[2; 32]);
        assert!(party.check(&[1; 32], &[2; 32], &proof));
        assert!(!other.check(&[1; 32], &[2; 32], &proof));
        assert!(!party.check(&[9; 32], &[2; 32], &proof));
        assert!(!party.check(&[1; 32], &[9; 32], &proof));
    }

    #[test]
    fn a_fanout_opens_for_members_only_and_unaltered() {
        let party = Party::open("movies");
        let mut sealed = party.seal_fanout(&mut ChaCha20Rng::from_seed([1; 32]), b"here I am");
        assert_eq!(party.open_fanout(&sealed).as_deref(), Some(&b"here I am"[..]));
        assert_eq!(Party::open("music").open_fanout(&sealed), None);
        sealed[30] ^= 1;
        assert_eq!(party.open_fanout(&sealed), None);
        assert_eq!(party.open_fanout(&[0; 10]), None);
    }
}
