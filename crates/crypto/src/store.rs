//! What a peer stores for itself: sealed with a tag, so that what is read again is known to be what was written.
//!
//! A store on a disk or in a browser is as untrusted as a neighbour. What was verified once is not verified anew by its
//! signatures, which takes a browser seconds for what a party keeps: the tag says that one's own identity has verified it.

use core::fmt;

use weft_wire::DiscoveryKey;

use crate::keys::IdentityKey;
use crate::sign::sign;

/// Bytes of a tag: 128 bits, which nobody guesses who may try once per start.
pub const TAG: usize = 16;

/// The key of an identity's stores. All its peers have the same.
#[derive(Clone)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// Derived from the identity's secret: Ed25519 signatures are deterministic (RFC 8032, section 5.1.6), and nobody else
    /// can make this one, which is shown to nobody.
    pub fn new(identity: &IdentityKey) -> Self {
        let secret = sign(&identity.signing, "weft/v1/store", &[]);
        Self(blake3::derive_key("weft/v1/store-key", secret.as_bytes()))
    }

    /// Appends the tag to a value that is stored under a key of a party.
    pub fn seal(&self, party: &DiscoveryKey, key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
        let tag = self.tag(party, key, &value);
        value.extend_from_slice(tag.as_bytes().get(..TAG).unwrap_or_default());
        value
    }

    /// The value without its tag; nothing if it was not stored so, under this key of this party.
    pub fn open<'a>(&self, party: &DiscoveryKey, key: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (value, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let expected = self.tag(party, key, value);
        // Nobody measures how long this takes: it happens once per start, on one's own machine.
        (expected.as_bytes().get(..TAG)? == tag).then_some(value)
    }

    fn tag(&self, party: &DiscoveryKey, key: &[u8], value: &[u8]) -> blake3::Hash {
        let mut hash = blake3::Hasher::new_keyed(&self.0);
        hash.update(&party.0).update(&(key.len() as u64).to_be_bytes()).update(key).update(value);
        hash.finalize()
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;

    #[test]
    fn what_is_altered_moved_or_anothers_does_not_open() {
        let key = |n| StoreKey::new(&IdentityKey::new(&Seed::new([n; 32])));
        let (party, other) = (DiscoveryKey([1; 32]), DiscoveryKey([2; 32]));
        let sealed = key(1).seal(&party, b"k", b"value".to_vec());
        assert_eq!(key(1).open(&party, b"k", &sealed), Some(&b"value"[..]));
        assert_eq!(key(2).open(&party, b"k", &sealed), None);
        assert_eq!(key(1).open(&other, b"k", &sealed), None);
        assert_eq!(key(1).open(&party, b"kv", &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(key(1).open(&party, b"k", &altered), None);
            assert_eq!(key(1).open(&party, b"k", &sealed[..at]), None);
        }
        assert!(!format!("{:?}", key(1)).contains(char::is_numeric));
    }
}
