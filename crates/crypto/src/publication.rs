//! Ids and signatures of publications.

use weft_wire::{Bundle, BundleEntry, DiscoveryKey, IdentityId, List, PeerId, PublicationId, Signature};

use crate::keys::PeerKey;
use crate::sign::{BadSignature, sign, verify};

const DOMAIN: &str = "weft/v1/publication";

/// Where a publication stands in its feed: all that its id depends on, but for time and body.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The swarm.
    pub discovery: DiscoveryKey,
    /// The author.
    pub author: IdentityId,
    /// The feed.
    pub feed: PeerId,
}

/// The id of one publication: BLAKE3 over its place, its sequence number, the id before it, its time and its body.
pub fn id(place: &Place, seq: u64, previous: &PublicationId, time: u64, body: &[u8]) -> PublicationId {
    let mut hash = blake3::Hasher::new_derive_key("weft/v1/publication-id");
    hash.update(&place.discovery.0).update(&place.author.0).update(&place.feed.0);
    hash.update(&seq.to_be_bytes()).update(&previous.0).update(&time.to_be_bytes()).update(body);
    PublicationId(*hash.finalize().as_bytes())
}

/// The ids of a bundle's publications, in order.
pub fn ids(bundle: &Bundle) -> Vec<PublicationId> {
    let place = Place { discovery: bundle.discovery, author: bundle.author, feed: bundle.feed };
    let mut previous = bundle.previous;
    let mut seq = bundle.first;
    bundle
        .entries
        .iter()
        .map(|entry| {
            previous = id(&place, seq, &previous, entry.time, &entry.body);
            seq = seq.saturating_add(1);
            previous
        })
        .collect()
}

/// Signs consecutive publications of the key's own feed; gives the bundle and the last id.
pub fn sign_bundle(
    key: &PeerKey,
    discovery: DiscoveryKey,
    author: IdentityId,
    first: u64,
    previous: PublicationId,
    entries: List<BundleEntry, { weft_wire::limits::BUNDLE_ENTRIES }>,
) -> (Bundle, PublicationId) {
    let mut bundle = Bundle {
        discovery,
        author,
        feed: key.id(),
        first,
        previous,
        entries,
        signature: Signature([0; 64]),
        after: None,
    };
    let last = ids(&bundle).last().copied().unwrap_or(previous);
    bundle.signature = sign(&key.signing, DOMAIN, &[&last.0]);
    (bundle, last)
}

/// Checks a bundle's signature; gives the ids of its publications.
///
/// # Errors
/// [`BadSignature`], also for an empty bundle, for sequence number 0 and for one that runs past the last number.
pub fn check_bundle(bundle: &Bundle) -> Result<Vec<PublicationId>, BadSignature> {
    if bundle.first == 0 || bundle.first.checked_add(bundle.entries.len() as u64).is_none() {
        return Err(BadSignature);
    }
    let ids = ids(bundle);
    let last = ids.last().ok_or(BadSignature)?;
    verify(&bundle.feed.0, DOMAIN, &[&last.0], &bundle.signature)?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{IdentityKey, Seed};
    use proptest::prelude::*;
    use weft_wire::{decode, encode};

    fn bundle(bodies: &[&[u8]]) -> Bundle {
        let entries = List::first(bodies.iter().map(|body| BundleEntry { time: 5, body: body.to_vec() }));
        let author = IdentityKey::new(&Seed::new([2; 32])).id();
        let key = PeerKey::new(&Seed::new([1; 32]));
        sign_bundle(&key, DiscoveryKey([3; 32]), author, 1, PublicationId([0; 32]), entries).0
    }

    #[test]
    fn q5_equal_bodies_have_different_ids() {
        let ids = check_bundle(&bundle(&[b"same", b"same"])).unwrap();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn one_signature_covers_every_publication() {
        let mut altered = bundle(&[b"one", b"two", b"three"]);
        assert!(check_bundle(&altered).is_ok());
        let mut entries = altered.entries.clone().into_vec();
        entries[0].body = b"ONE".to_vec();
        altered.entries = List::first(entries);
        assert_eq!(check_bundle(&altered), Err(BadSignature));
        assert_eq!(check_bundle(&bundle(&[])), Err(BadSignature));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut bytes = encode(&bundle(&[b"one", b"two"]));
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let noticed = match decode::<Bundle>(&bytes, 10_000) {
                Ok(altered) => check_bundle(&altered).is_err(),
                Err(_) => true,
            };
            prop_assert!(noticed);
        }
    }
}
