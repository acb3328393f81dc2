//! Signed challenges: a peer to a signaler, two signalers to each other, and a peer to the residence that has its mail.
//!
//! Every signature names both sides and covers fresh nonces of both, so an answer is of no use anywhere else or again.

use weft_wire::{Digest, IdentityId, Nonce, PeerId, SignalerId, Signature};

use crate::keys::{PeerKey, SignalerKey};
use crate::sign::{BadSignature, sign, verify};

const PEER: &str = "weft/v1/peer-to-signaler";
const SIGNALER: &str = "weft/v1/signaler-to-peer";
const SIBLING: &str = "weft/v1/signaler-to-signaler";
const COLLECT: &str = "weft/v1/collect";
const TAKEN: &str = "weft/v1/taken";

/// One collection of mail: what both proofs in it name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Whose mailbox.
    pub peer: PeerId,
    /// At the residence of which identity.
    pub identity: IdentityId,
    /// The signaler of the residence that asked for the proof.
    pub signaler: SignalerId,
    /// Its nonce.
    pub nonce: Nonce,
}

/// A peer proves to a residence that mail is its own: signs (signaler, peer, identity, nonce).
pub fn prove_collection(key: &PeerKey, collection: &Collection) -> Signature {
    let Collection { peer, identity, signaler, nonce } = collection;
    sign(&key.signing, COLLECT, &[&signaler.0, &peer.0, &identity.0, &nonce.0])
}

/// A residence checks a peer's proof.
///
/// # Errors
/// [`BadSignature`].
pub fn check_collection(collection: &Collection, signature: &Signature) -> Result<(), BadSignature> {
    let Collection { peer, identity, signaler, nonce } = collection;
    verify(&peer.0, COLLECT, &[&signaler.0, &peer.0, &identity.0, &nonce.0], signature)
}

/// A peer says which mail it has stored: signs (signaler, peer, identity, nonce, the ids one after another).
pub fn sign_taken(key: &PeerKey, collection: &Collection, ids: &[Digest]) -> Signature {
    let Collection { peer, identity, signaler, nonce } = collection;
    sign(&key.signing, TAKEN, &[&signaler.0, &peer.0, &identity.0, &nonce.0, &joined(ids)])
}

/// A residence checks that.
///
/// # Errors
/// [`BadSignature`].
pub fn check_taken(
    collection: &Collection,
    ids: &[Digest],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let Collection { peer, identity, signaler, nonce } = collection;
    verify(&peer.0, TAKEN, &[&signaler.0, &peer.0, &identity.0, &nonce.0, &joined(ids)], signature)
}

fn joined(ids: &[Digest]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.0).collect()
}

/// A peer answers a signaler's challenge: signs (signaler, peer, the signaler's nonce, the peer's nonce).
pub fn answer_as_peer(key: &PeerKey, signaler: SignalerId, theirs: &Nonce, ours: &Nonce) -> Signature {
    sign(&key.signing, PEER, &[&signaler.0, &key.id().0, &theirs.0, &ours.0])
}

/// A signaler checks a peer's answer.
///
/// # Errors
/// [`BadSignature`].
pub fn check_peer(
    peer: PeerId,
    signaler: SignalerId,
    ours: &Nonce,
    theirs: &Nonce,
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify(&peer.0, PEER, &[&signaler.0, &peer.0, &ours.0, &theirs.0], signature)
}

/// A signaler answers a peer: signs (signaler, peer, its own nonce, the peer's nonce).
pub fn answer_as_signaler(key: &SignalerKey, peer: PeerId, ours: &Nonce, theirs: &Nonce) -> Signature {
    sign(&key.signing, SIGNALER, &[&key.id().0, &peer.0, &ours.0, &theirs.0])
}

/// A peer checks a signaler's answer.
///
/// # Errors
/// [`BadSignature`].
pub fn check_signaler(
    signaler: SignalerId,
    peer: PeerId,
    theirs: &Nonce,
    ours: &Nonce,
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify(&signaler.0, SIGNALER, &[&signaler.0, &peer.0, &theirs.0, &ours.0], signature)
}

/// A signaler proves itself to a sibling: signs (own id, the sibling's id, own nonce, the sibling's nonce).
pub fn prove_to_sibling(key: &SignalerKey, sibling: SignalerId, ours: &Nonce, theirs: &Nonce) -> Signature {
    sign(&key.signing, SIBLING, &[&key.id().0, &sibling.0, &ours.0, &theirs.0])
}

/// A signaler checks a sibling's proof.
///
/// # Errors
/// [`BadSignature`].
pub fn check_sibling(
    sibling: SignalerId,
    us: SignalerId,
    theirs: &Nonce,
    ours: &Nonce,
    signature: &Signature,
) -> Result<(), BadSignature> {
    verify(&sibling.0, SIBLING, &[&sibling.0, &us.0, &theirs.0, &ours.0], signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;

    #[test]
    fn a_proof_made_for_one_signaler_is_refused_by_another() {
        let peer = PeerKey::new(&Seed::new([1; 32]));
        let (a, b) = (SignalerKey::new(&Seed::new([2; 32])), SignalerKey::new(&Seed::new([3; 32])));
        let (theirs, ours) = (Nonce([4; 32]), Nonce([5; 32]));
        let signature = answer_as_peer(&peer, a.id(), &theirs, &ours);
        assert_eq!(check_peer(peer.id(), a.id(), &theirs, &ours, &signature), Ok(()));
        assert_eq!(check_peer(peer.id(), b.id(), &theirs, &ours, &signature), Err(BadSignature));
        assert_eq!(check_peer(peer.id(), a.id(), &ours, &theirs, &signature), Err(BadSignature));
    }

    #[test]
    fn c6_a_proof_for_mail_is_good_for_one_mailbox_one_signaler_and_one_nonce() {
        let [key, other] = [1, 2].map(|n| PeerKey::new(&Seed::new([n; 32])));
        let collection = Collection {
            peer: key.id(),
            identity: IdentityId([3; 32]),
            signaler: SignalerId([4; 32]),
            nonce: Nonce([5; 32]),
        };
        let proof = prove_collection(&key, &collection);
        assert_eq!(check_collection(&collection, &proof), Ok(()));
        assert_eq!(check_collection(&collection, &prove_collection(&other, &collection)), Err(BadSignature));
        let others = [
            Collection { peer: other.id(), ..collection },
            Collection { identity: IdentityId([9; 32]), ..collection },
            Collection { signaler: SignalerId([9; 32]), ..collection },
            Collection { nonce: Nonce([9; 32]), ..collection },
        ];
        let ids = [Digest([6; 32]), Digest([7; 32])];
        let taken = sign_taken(&key, &collection, &ids);
        assert_eq!(check_taken(&collection, &ids, &taken), Ok(()));
        for wrong in others {
            assert_eq!(check_collection(&wrong, &proof), Err(BadSignature), "{wrong:?}");
            assert_eq!(check_taken(&wrong, &ids, &taken), Err(BadSignature), "{wrong:?}");
        }
        assert_eq!(check_taken(&collection, &ids[..1], &taken), Err(BadSignature));
        assert_eq!(check_taken(&collection, &[], &proof), Err(BadSignature), "one is not the other");
    }

    #[test]
    fn siblings_cannot_reflect_a_proof() {
        let (a, b) = (SignalerKey::new(&Seed::new([2; 32])), SignalerKey::new(&Seed::new([3; 32])));
        let (na, nb) = (Nonce([4; 32]), Nonce([5; 32]));
        let proof = prove_to_sibling(&a, b.id(), &na, &nb);
        assert_eq!(check_sibling(a.id(), b.id(), &na, &nb, &proof), Ok(()));
        assert_eq!(check_sibling(b.id(), a.id(), &nb, &na, &proof), Err(BadSignature));
    }
}
