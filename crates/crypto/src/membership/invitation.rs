//! Invitations as people pass them on: a party's key and a secret, in one word.
//!
//! ```text
//! weft:z<base58btc of>  1 | party's public key (32) | secret (16) | check (4)
//! ```
//! The check is the first bytes of BLAKE3 over what comes before: a typing error is told from a wrong invitation.

use core::fmt;
use core::str::FromStr;

#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use weft_wire::membership::Redemption;
use weft_wire::{IdentityId, InvitationKey, PartyKey};
use zeroize::Zeroizing;

use super::{REDEMPTION, seal};
use crate::Party;
#[cfg(weft_simulation)]
use crate::simulated::SigningKey;
use crate::word;

const PREFIX: &str = "weft:z";
const VERSION: u8 = 1;
/// Version, party, secret.
const LEN: usize = 1 + 32 + 16;

/// Why a text is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// It does not begin like one, or holds something that base58btc does not have.
    #[error("an invitation is a word that begins with {PREFIX}")]
    NotAnInvitation,
    /// It is cut short, or was copied with an error.
    #[error("the invitation is not whole: copy it again")]
    Damaged,
    /// Of a later version.
    #[error("the invitation is of a version that is not known here")]
    Version(u8),
}

/// An invitation with its secret: whoever has it may redeem it, once. Never shown by `Debug`.
#[derive(Clone)]
pub struct Invitation {
    party: PartyKey,
    secret: Zeroizing<[u8; 16]>,
}

impl Invitation {
    /// A new one. It counts once an admin has said so ([`Members::invite`](super::Members::invite)).
    pub fn new(rng: &mut impl CryptoRng, party: PartyKey) -> Self {
        let mut secret = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut *secret);
        Self { party, secret }
    }

    /// One with these 16 bytes from a cryptographic source.
    pub fn with_secret(party: PartyKey, secret: [u8; 16]) -> Self {
        Self { party, secret: Zeroizing::new(secret) }
    }

    /// The party.
    pub fn party(&self) -> PartyKey {
        self.party
    }

    /// The public key, which names it.
    pub fn key(&self) -> InvitationKey {
        InvitationKey(self.signing().verifying_key().to_bytes())
    }

    /// Redeems it for somebody.
    pub fn redeem(&self, member: IdentityId) -> Vec<u8> {
        let discovery = Party::new(self.party).discovery();
        seal(&self.signing(), REDEMPTION, &Redemption { discovery, key: self.key(), member })
    }

    fn signing(&self) -> SigningKey {
        let mut hash = blake3::Hasher::new_derive_key("weft/v1/invitation");
        hash.update(&self.party.0).update(&*self.secret);
        SigningKey::from_bytes(hash.finalize().as_bytes())
    }
}

impl fmt::Display for Invitation {
    /// With its secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LEN));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.party.0);
        bytes.extend_from_slice(&*self.secret);
        word::write(f, PREFIX, &bytes)
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let said = word::read(text, PREFIX, LEN).map_err(|wrong| match wrong {
            word::Wrong::Other => InvitationError::NotAnInvitation,
            word::Wrong::Damaged => InvitationError::Damaged,
        })?;
        match said.split_first() {
            Some((&VERSION, rest)) => {
                let (party, secret) = rest.split_first_chunk::<32>().ok_or(InvitationError::Damaged)?;
                let secret: [u8; 16] = secret.try_into().map_err(|_| InvitationError::Damaged)?;
                Ok(Self { party: PartyKey(*party), secret: Zeroizing::new(secret) })
            }
            Some((version, _)) => Err(InvitationError::Version(*version)),
            None => Err(InvitationError::Damaged),
        }
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("key", &self.key()).finish_non_exhaustive()
    }
}
