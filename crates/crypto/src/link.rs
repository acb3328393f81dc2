//! Authentication of a link: both peers sign the link's transcript, which holds both DTLS fingerprints.

use weft_wire::{PeerId, SessionId, Signature};

use crate::keys::PeerKey;
use crate::sign::{BadSignature, sign, verify};

/// What a link is: who offered, who answered, in which session, with which certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    hash: [u8; 32],
}

impl Transcript {
    /// Of the session, both peers and the value of each side's `a=fingerprint` line (RFC 8122), as the browser or
    /// library wrote it, in upper case.
    pub fn new(
        session: SessionId,
        (offerer, offerer_fingerprint): (PeerId, &str),
        (answerer, answerer_fingerprint): (PeerId, &str),
    ) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("weft/v1/link-transcript");
        hash.update(&session.0).update(&offerer.0).update(&answerer.0);
        for fingerprint in [offerer_fingerprint, answerer_fingerprint] {
            hash.update(&(fingerprint.len() as u64).to_be_bytes()).update(fingerprint.as_bytes());
        }
        Self { hash: *hash.finalize().as_bytes() }
    }

    /// The hash that is signed, and over which party proofs are made.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// Signs the transcript.
pub fn sign_link(key: &PeerKey, transcript: &Transcript) -> Signature {
    sign(&key.signing, "weft/v1/link", &[&key.id().0, &transcript.hash])
}

/// Checks the other side's signature.
///
/// # Errors
/// [`BadSignature`].
pub fn check_link(peer: PeerId, transcript: &Transcript, signature: &Signature) -> Result<(), BadSignature> {
    verify(&peer.0, "weft/v1/link", &[&peer.0, &transcript.hash], signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;

    #[test]
    fn a_swapped_fingerprint_breaks_the_link() {
        let (a, b) = (PeerKey::new(&Seed::new([1; 32])), PeerKey::new(&Seed::new([2; 32])));
        let session = SessionId([3; 16]);
        let honest = Transcript::new(session, (a.id(), "SHA-256 AA"), (b.id(), "SHA-256 BB"));
        let swapped = Transcript::new(session, (a.id(), "SHA-256 AA"), (b.id(), "SHA-256 CC"));
        let signature = sign_link(&a, &honest);
        assert_eq!(check_link(a.id(), &honest, &signature), Ok(()));
        assert_eq!(check_link(a.id(), &swapped, &signature), Err(BadSignature));
        assert_eq!(check_link(b.id(), &honest, &signature), Err(BadSignature));
    }
}
