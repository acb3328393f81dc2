//! Signing and checking statements to the registry.

#[cfg(weft_simulation)]
use crate::simulated::SigningKey;
#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use weft_wire::registry::{Kind, Sealed, Statement};
use weft_wire::{Bytes, Digest, RegistryKey, Signature, WireError};

use crate::keys::{IdentityKey, SignalerKey};
use crate::sign::{BadSignature, sign, verify};
use crate::statement::StatementError;

/// Who may speak to a registry: people, with their identity, and signalers.
#[derive(Debug, Clone, Copy)]
pub enum Signer<'a> {
    /// A sovereign, or what somebody registers with an identity of its own.
    Identity(&'a IdentityKey),
    /// A signaler that registers itself.
    Signaler(&'a SignalerKey),
}

impl Signer<'_> {
    /// The public key.
    pub fn key(self) -> RegistryKey {
        match self {
            Self::Identity(key) => key.id().into(),
            Self::Signaler(key) => key.id().into(),
        }
    }

    fn signing(&self) -> &SigningKey {
        match self {
            Self::Identity(key) => &key.signing,
            Self::Signaler(key) => &key.signing,
        }
    }

    /// Signs.
    pub fn sign(self, statement: &Statement) -> Signature {
        sign(self.signing(), statement.kind().domain(), &[&statement.body()])
    }
}

/// Checks that the statement's signer signed it.
///
/// # Errors
/// [`BadSignature`].
pub fn check(statement: &Statement, signature: &Signature) -> Result<(), BadSignature> {
    verify(&statement.signer().0, statement.kind().domain(), &[&statement.body()], signature)
}

/// What names a statement: BLAKE3 over its domain, a zero byte and its body.
pub fn digest(statement: &Statement) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(statement.kind().domain().as_bytes()).update(&[0]).update(&statement.body());
    Digest(*hasher.finalize().as_bytes())
}

/// A statement in the form in which it travels between signalers.
pub fn seal(statement: &Statement, signature: Signature) -> Sealed {
    Sealed { kind: statement.kind().number(), body: Bytes(statement.body()), signature }
}

/// Reads one without checking its signature: for looking up whether it is known, or for what was checked before it was
/// stored.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek(sealed: &Sealed) -> Result<Statement, StatementError> {
    let kind = Kind::of(sealed.kind).ok_or(WireError::Unknown(sealed.kind.into()))?;
    Ok(Statement::read(kind, &sealed.body.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use weft_wire::registry::{Decision, Registration, Service};
    use weft_wire::{List, Nonce, limits};

    fn decision(sovereign: RegistryKey) -> Decision {
        Decision {
            network: "n".parse().unwrap(),
            signaler: weft_wire::SignalerId([1; 32]),
            id: "a".parse().unwrap(),
            key: RegistryKey([2; 32]),
            after: Digest([3; 32]),
            sovereign,
            time: 4,
            nonce: Nonce([5; 32]),
        }
    }

    #[test]
    fn an_approval_is_no_denial_and_says_nothing_about_anything_else() {
        let key = IdentityKey::new(&Seed::new([1; 32]));
        let said = decision(key.id().into());
        let approval = Statement::Approve(said.clone());
        let signature = Signer::Identity(&key).sign(&approval);
        assert_eq!(check(&approval, &signature), Ok(()));
        for other in [
            Statement::Deny(said.clone()),
            Statement::Approve(Decision { network: "m".parse().unwrap(), ..said.clone() }),
            Statement::Approve(Decision { signaler: weft_wire::SignalerId([9; 32]), ..said.clone() }),
            Statement::Approve(Decision { id: "b".parse().unwrap(), ..said.clone() }),
            Statement::Approve(Decision { key: RegistryKey([9; 32]), ..said.clone() }),
            Statement::Approve(Decision { after: Digest([9; 32]), ..said.clone() }),
            Statement::Approve(Decision { sovereign: RegistryKey([9; 32]), ..said.clone() }),
            Statement::Approve(Decision { time: 9, ..said.clone() }),
            Statement::Approve(Decision { nonce: Nonce([9; 32]), ..said.clone() }),
        ] {
            assert_eq!(check(&other, &signature), Err(BadSignature), "{other:?}");
            assert_ne!(digest(&other), digest(&approval));
        }
    }

    #[test]
    fn the_largest_registration_is_within_its_limit() {
        let key = SignalerKey::new(&Seed::new([1; 32]));
        let service =
            Service { kind: "x".repeat(32).parse().unwrap(), port: 65_535, key: RegistryKey([3; 32]) };
        let statement = Statement::Register(Registration {
            network: "n".repeat(64).parse().unwrap(),
            signaler: key.id(),
            id: "a".repeat(64).parse().unwrap(),
            key: key.id().into(),
            host: ["h".repeat(63), "h".repeat(63), "h".repeat(63), "h".repeat(61)].join(".").parse().unwrap(),
            address: Some("1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap()),
            services: List::first(std::iter::repeat_n(service, limits::SERVICES)),
            after: Some(Digest([4; 32])),
            time: u64::MAX,
            nonce: Nonce([5; 32]),
        });
        let sealed = seal(&statement, Signer::Signaler(&key).sign(&statement));
        assert!(weft_wire::encode(&sealed).len() <= limits::REGISTRY_STATEMENT);
        assert_eq!(peek(&sealed), Ok(statement.clone()));
        assert_eq!(check(&statement, &sealed.signature), Ok(()));
    }
}
