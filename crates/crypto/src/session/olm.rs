//! Olm (<https://gitlab.matrix.org/matrix-org/olm/-/blob/master/docs/olm.md>), by `vodozemac`: triple Diffie-Hellman, then
//! a double ratchet of X25519, HKDF-SHA-256, AES-256-CBC and HMAC-SHA-256.
//!
//! Olm cuts its authentication code to 8 bytes. Its messages travel in envelopes only, which are sealed with a code of 16
//! bytes and signed. Secrets come from the operating system: the library takes no generator.

use rand_core::CryptoRng;
use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{
    Account, AccountPickle, DecryptionError, OlmMessage, PreKeyMessage, Session, SessionConfig,
    SessionCreationError, SessionKeys, SessionPickle,
};
use weft_wire::{AgreementKey, RatchetId};
use zeroize::Zeroizing;

use super::{First, Refused, Sessions, name};

/// Olm's numbers for its two kinds of messages.
const PRE_KEY: usize = 0;
const NORMAL: usize = 1;

/// A peer's lasting key and prekeys.
pub struct Olm(Account);

impl Sessions for Olm {
    type Session = Session;

    fn new(_: &mut impl CryptoRng) -> Self {
        Self(Account::new())
    }

    fn account(&self) -> AgreementKey {
        AgreementKey(self.0.curve25519_key().to_bytes())
    }

    fn add_prekeys(&mut self, _: &mut impl CryptoRng, count: usize) -> Vec<AgreementKey> {
        let made = self.0.generate_one_time_keys(count);
        self.0.mark_keys_as_published();
        made.created.iter().map(|key| AgreementKey(key.to_bytes())).collect()
    }

    fn remove_prekey(&mut self, key: &AgreementKey) {
        self.0.remove_one_time_key(public(key));
    }

    fn renew_fallback(&mut self, _: &mut impl CryptoRng) -> AgreementKey {
        self.0.generate_fallback_key();
        let made = self.0.fallback_key().into_values().next();
        self.0.mark_keys_as_published();
        // A key was just made; nobody could agree on anything with this one.
        AgreementKey(made.map_or([0; 32], |key| key.to_bytes()))
    }

    fn begin(
        &self,
        _: &mut impl CryptoRng,
        account: &AgreementKey,
        prekey: &AgreementKey,
    ) -> Option<Self::Session> {
        self.0.create_outbound_session(SessionConfig::version_1(), public(account), public(prekey)).ok()
    }

    fn first(bytes: &[u8]) -> Result<First, Refused> {
        let keys = PreKeyMessage::from_bytes(bytes).map_err(|_| Refused::Malformed)?.session_keys();
        Ok(First {
            id: name_of(&keys),
            account: AgreementKey(keys.identity_key.to_bytes()),
            prekey: AgreementKey(keys.one_time_key.to_bytes()),
        })
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(Self::Session, Vec<u8>), Refused> {
        let message = PreKeyMessage::from_bytes(bytes).map_err(|_| Refused::Malformed)?;
        let (config, account) = (SessionConfig::version_1(), message.identity_key());
        match self.0.create_inbound_session(config, account, &message) {
            Ok(made) => Ok((made.session, made.plaintext)),
            Err(SessionCreationError::MissingOneTimeKey(_)) => Err(Refused::UnknownPrekey),
            Err(SessionCreationError::NonContributoryKey) => Err(Refused::WeakKey),
            Err(SessionCreationError::Decryption(error)) => Err(refused(&error)),
            Err(_) => Err(Refused::Malformed),
        }
    }

    fn id(session: &Self::Session) -> RatchetId {
        name_of(&session.session_keys())
    }

    fn seal(session: &mut Self::Session, _: &mut impl CryptoRng, plain: &[u8]) -> Option<(bool, Vec<u8>)> {
        let (kind, bytes) = session.encrypt(plain).ok()?.to_parts();
        Some((kind == PRE_KEY, bytes))
    }

    fn open(session: &mut Self::Session, first: bool, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        let kind = if first { PRE_KEY } else { NORMAL };
        let message = OlmMessage::from_parts(kind, bytes).map_err(|_| Refused::Malformed)?;
        session.decrypt(&message).map_err(|error| refused(&error))
    }

    fn save(&self) -> Zeroizing<Vec<u8>> {
        // Writing to a Vec cannot fail; what is empty would not be restored.
        Zeroizing::new(minicbor_serde::to_vec(self.0.pickle()).unwrap_or_default())
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        let kept: AccountPickle = minicbor_serde::from_slice(bytes).ok()?;
        Some(Self(Account::from_pickle(kept)))
    }

    fn save_session(session: &Self::Session) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(minicbor_serde::to_vec(session.pickle()).unwrap_or_default())
    }

    fn restore_session(bytes: &[u8]) -> Option<Self::Session> {
        let kept: SessionPickle = minicbor_serde::from_slice(bytes).ok()?;
        Some(Session::from_pickle(kept))
    }
}

impl core::fmt::Debug for Olm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Olm").field("account", &self.account()).finish_non_exhaustive()
    }
}

fn public(key: &AgreementKey) -> Curve25519PublicKey {
    Curve25519PublicKey::from_bytes(key.0)
}

fn name_of(keys: &SessionKeys) -> RatchetId {
    name(keys.identity_key.as_bytes(), keys.base_key.as_bytes(), keys.one_time_key.as_bytes())
}

fn refused(error: &DecryptionError) -> Refused {
    match error {
        DecryptionError::NonContributoryKey => Refused::WeakKey,
        DecryptionError::MissingMessageKey(_) => Refused::Used,
        DecryptionError::TooBigMessageGap(..) => Refused::TooFarAhead,
        DecryptionError::InvalidMACLength(..) => Refused::Malformed,
        _ => Refused::Tampered,
    }
}
