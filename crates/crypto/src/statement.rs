//! Signing and checking the statements of [`weft_wire`]: entries, records, presences, removals.

#[cfg(weft_simulation)]
use crate::simulated::SigningKey;
#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use minicbor::Encode;
use weft_wire::cbor::Decode;
use weft_wire::ratchet::Prekey;
use weft_wire::sibling::Refresh;
use weft_wire::{
    Card, Entry, Gone, PeerRecord, Presence, Revocation, Signed, WireError, decode, encode, limits,
};

use crate::keys::{IdentityKey, PeerKey, SignalerKey};
use crate::sign::{BadSignature, sign, verify};

/// Why a statement was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Too large, or not a statement of this kind.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The signature is not the named signer's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

/// A kind of statement: its domain, its largest size, its signer.
trait Statement: for<'b> Decode<'b, ()> + Encode<()> {
    const DOMAIN: &'static str;
    const MAX: usize;
    fn signer(&self) -> &[u8; 32];
}

impl Statement for Entry {
    const DOMAIN: &'static str = "weft/v1/entry";
    const MAX: usize = limits::ENTRY;
    fn signer(&self) -> &[u8; 32] {
        self.peer.as_bytes()
    }
}

impl Statement for Gone {
    const DOMAIN: &'static str = "weft/v1/gone";
    const MAX: usize = limits::ENTRY;
    fn signer(&self) -> &[u8; 32] {
        self.home.as_bytes()
    }
}

impl Statement for Card {
    const DOMAIN: &'static str = "weft/v1/member";
    const MAX: usize = limits::CARD;
    fn signer(&self) -> &[u8; 32] {
        self.signaler.as_bytes()
    }
}

impl Statement for PeerRecord {
    const DOMAIN: &'static str = "weft/v1/peer-record";
    const MAX: usize = limits::RECORD;
    fn signer(&self) -> &[u8; 32] {
        self.identity.as_bytes()
    }
}

impl Statement for Revocation {
    const DOMAIN: &'static str = "weft/v1/revocation";
    const MAX: usize = limits::REVOCATION;
    fn signer(&self) -> &[u8; 32] {
        self.identity.as_bytes()
    }
}

impl Statement for Presence {
    const DOMAIN: &'static str = "weft/v1/presence";
    const MAX: usize = limits::PRESENCE;
    fn signer(&self) -> &[u8; 32] {
        self.peer.as_bytes()
    }
}

impl Statement for Prekey {
    const DOMAIN: &'static str = "weft/v1/prekey";
    const MAX: usize = limits::PREKEY;
    fn signer(&self) -> &[u8; 32] {
        self.peer.as_bytes()
    }
}

/// Signs a prekey.
pub fn sign_prekey(key: &PeerKey, prekey: &Prekey) -> Vec<u8> {
    seal(&key.signing, prekey)
}

/// Decodes a prekey without checking its signature: for what was checked before it was stored.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_prekey(bytes: &[u8]) -> Result<Prekey, StatementError> {
    peek(bytes)
}

/// Decodes and checks a prekey. Whether it has expired is for the caller, who has a clock.
///
/// # Errors
/// See [`StatementError`].
pub fn open_prekey(bytes: &[u8]) -> Result<Prekey, StatementError> {
    open(bytes)
}

/// Signs a discovery entry.
pub fn sign_entry(key: &PeerKey, entry: &Entry) -> Vec<u8> {
    seal(&key.signing, entry)
}

/// Decodes a discovery entry without checking its signature: for looking up whether it is known already.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_entry(bytes: &[u8]) -> Result<Entry, StatementError> {
    peek(bytes)
}

/// Decodes and checks a discovery entry.
///
/// # Errors
/// See [`StatementError`].
pub fn open_entry(bytes: &[u8]) -> Result<Entry, StatementError> {
    open(bytes)
}

/// The whole of an entry of which a refresh says what is new, not verified. None: `old` is no entry.
pub fn refreshed(old: &[u8], refresh: &Refresh) -> Option<Vec<u8>> {
    let entry = Entry { seq: refresh.seq, until: refresh.until, ..peek_entry(old).ok()? };
    Some(encode(&Signed { body: &encode(&entry), signature: refresh.signature }))
}

/// What is new in an entry, if that and an older one are enough to put it together again.
pub fn refresh_of(old: &[u8], new: &[u8], name: u64) -> Option<Refresh> {
    let signature = decode::<Signed<'_>>(new, limits::ENTRY).ok()?.signature;
    let entry = peek_entry(new).ok()?;
    let Entry { discovery, seq, until, .. } = entry;
    let refresh = Refresh { discovery, name, seq, until, signature };
    (refreshed(old, &refresh)? == new).then_some(refresh)
}

/// Signs a removal.
pub fn sign_gone(key: &SignalerKey, gone: &Gone) -> Vec<u8> {
    seal(&key.signing, gone)
}

/// Decodes a removal without checking its signature: for looking up whether it is known already.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_gone(bytes: &[u8]) -> Result<Gone, StatementError> {
    peek(bytes)
}

/// Decodes and checks a removal.
///
/// # Errors
/// See [`StatementError`].
pub fn open_gone(bytes: &[u8]) -> Result<Gone, StatementError> {
    open(bytes)
}

/// Signs a signaler's card.
pub fn sign_card(key: &SignalerKey, card: &Card) -> Vec<u8> {
    seal(&key.signing, card)
}

/// Decodes a card without checking its signature: for looking up whether it is known already.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_card(bytes: &[u8]) -> Result<Card, StatementError> {
    peek(bytes)
}

/// Decodes and checks a card.
///
/// # Errors
/// See [`StatementError`].
pub fn open_card(bytes: &[u8]) -> Result<Card, StatementError> {
    open(bytes)
}

/// Signs a peer record.
pub fn sign_record(key: &IdentityKey, record: &PeerRecord) -> Vec<u8> {
    seal(&key.signing, record)
}

/// Decodes a peer record without checking its signature: for what was checked before it was stored.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_record(bytes: &[u8]) -> Result<PeerRecord, StatementError> {
    peek(bytes)
}

/// Decodes and checks a peer record. Whether it has expired is for the caller, who has a clock.
///
/// # Errors
/// See [`StatementError`].
pub fn open_record(bytes: &[u8]) -> Result<PeerRecord, StatementError> {
    open(bytes)
}

/// Signs a revocation.
pub fn sign_revocation(key: &IdentityKey, revocation: &Revocation) -> Vec<u8> {
    seal(&key.signing, revocation)
}

/// Decodes a revocation without checking its signature: for what was checked before it was stored.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_revocation(bytes: &[u8]) -> Result<Revocation, StatementError> {
    peek(bytes)
}

/// Decodes and checks a revocation.
///
/// # Errors
/// See [`StatementError`].
pub fn open_revocation(bytes: &[u8]) -> Result<Revocation, StatementError> {
    open(bytes)
}

/// Signs a presence.
pub fn sign_presence(key: &PeerKey, presence: &Presence) -> Vec<u8> {
    seal(&key.signing, presence)
}

/// Decodes a presence without checking its signature: for looking up whether it is known already.
///
/// # Errors
/// [`StatementError::Wire`].
pub fn peek_presence(bytes: &[u8]) -> Result<Presence, StatementError> {
    peek(bytes)
}

/// Decodes and checks a presence (not the record in it).
///
/// # Errors
/// See [`StatementError`].
pub fn open_presence(bytes: &[u8]) -> Result<Presence, StatementError> {
    open(bytes)
}

fn seal<S: Statement>(key: &SigningKey, statement: &S) -> Vec<u8> {
    let body = encode(statement);
    let signature = sign(key, S::DOMAIN, &[&body]);
    encode(&Signed { body: &body, signature })
}

fn peek<S: Statement>(bytes: &[u8]) -> Result<S, StatementError> {
    let signed: Signed<'_> = decode(bytes, S::MAX)?;
    Ok(decode(signed.body, S::MAX)?)
}

fn open<S: Statement>(bytes: &[u8]) -> Result<S, StatementError> {
    let signed: Signed<'_> = decode(bytes, S::MAX)?;
    let statement: S = decode(signed.body, S::MAX)?;
    verify(statement.signer(), S::DOMAIN, &[signed.body], &signed.signature)?;
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;
    use proptest::prelude::*;
    use weft_wire::{Bytes, DiscoveryKey, List, SignalerId, Text};

    fn entry(key: &PeerKey) -> Entry {
        Entry {
            discovery: DiscoveryKey([1; 32]),
            peer: key.id(),
            home: SignalerId([2; 32]),
            agreement: key.agreement(),
            seq: u64::MAX,
            since: u64::MAX,
            until: u64::MAX,
            left: true,
        }
    }

    #[test]
    fn the_largest_entry_is_within_its_limit() {
        let bytes =
            sign_entry(&PeerKey::new(&Seed::new([3; 32])), &entry(&PeerKey::new(&Seed::new([3; 32]))));
        assert!(bytes.len() <= limits::ENTRY, "{}", bytes.len());
    }

    #[test]
    fn the_largest_card_is_within_its_limit() {
        let key = SignalerKey::new(&Seed::new([3; 32]));
        let url = Text::new("x".repeat(limits::URL));
        let card = Card { signaler: key.id(), since: u64::MAX, url, version: u16::MAX };
        let bytes = sign_card(&key, &card);
        assert!(bytes.len() <= limits::CARD, "{}", bytes.len());
        assert_eq!(open_card(&bytes), Ok(card.clone()));
        let forged = sign_card(&SignalerKey::new(&Seed::new([4; 32])), &card);
        assert_eq!(open_card(&forged), Err(StatementError::Signature(BadSignature)));
    }

    #[test]
    fn the_largest_revocation_is_within_its_limit_and_the_identitys_own() {
        let [key, other] = [3, 4].map(|n| IdentityKey::new(&Seed::new([n; 32])));
        let peer = PeerKey::new(&Seed::new([5; 32])).id();
        let revocation = Revocation { identity: key.id(), peer, issued: u64::MAX, until: u64::MAX };
        let bytes = sign_revocation(&key, &revocation);
        assert!(bytes.len() <= limits::REVOCATION, "{}", bytes.len());
        assert_eq!(open_revocation(&bytes), Ok(revocation.clone()));
        let forged = sign_revocation(&other, &revocation);
        assert_eq!(open_revocation(&forged), Err(StatementError::Signature(BadSignature)));
        let record = PeerRecord {
            identity: key.id(),
            peer,
            agreement: weft_wire::AgreementKey([6; 32]),
            name: Text::default(),
            issued: u64::MAX,
            until: u64::MAX,
            sessions: None,
        };
        assert!(open_revocation(&sign_record(&key, &record)).is_err(), "one is not the other");
    }

    #[test]
    fn the_largest_presence_is_within_its_limit() {
        let key = PeerKey::new(&Seed::new([3; 32]));
        let presence = Presence {
            discovery: DiscoveryKey([1; 32]),
            peer: key.id(),
            seq: u64::MAX,
            record: vec![0; limits::RECORD],
            links: List::first(std::iter::repeat_n(key.id(), limits::PRESENCE_LINKS)),
            homes: List::first(std::iter::repeat_n(SignalerId([2; 32]), limits::PRESENCE_HOMES)),
            left: false,
            forwarded: u64::MAX,
            state: Some(Bytes(vec![0; limits::STATE])),
        };
        let bytes = sign_presence(&key, &presence);
        assert!(bytes.len() <= limits::PRESENCE, "{}", bytes.len());
        assert_eq!(open_presence(&bytes), Ok(presence));
    }

    #[test]
    fn an_entry_is_put_together_from_an_older_one_and_what_is_new() {
        let key = PeerKey::new(&Seed::new([3; 32]));
        let old = Entry { seq: 5, until: 9, left: false, ..entry(&key) };
        let [first, later] =
            [old.clone(), Entry { seq: 6, until: 10, ..old.clone() }].map(|entry| sign_entry(&key, &entry));
        let refresh = refresh_of(&first, &later, 7).unwrap();
        assert_eq!((refresh.name, refresh.seq, refresh.until), (7, 6, 10));
        assert_eq!(refreshed(&first, &refresh), Some(later.clone()));
        assert!(open_entry(&later).is_ok());
        // Whatever else differs has to be told whole.
        for other in [Entry { since: 1, seq: 6, ..old.clone() }, Entry { left: true, seq: 6, ..old }] {
            assert_eq!(refresh_of(&first, &sign_entry(&key, &other), 7), None);
        }
        assert_eq!((refresh_of(b"x", &later, 7), refreshed(b"x", &refresh)), (None, None));
    }

    #[test]
    fn nobody_signs_for_somebody_else() {
        let (one, other) = (PeerKey::new(&Seed::new([3; 32])), PeerKey::new(&Seed::new([4; 32])));
        let forged = sign_entry(&other, &entry(&one));
        assert_eq!(open_entry(&forged), Err(StatementError::Signature(BadSignature)));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let key = PeerKey::new(&Seed::new([3; 32]));
            let mut bytes = sign_entry(&key, &entry(&key));
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(open_entry(&bytes).is_err());
        }
    }
}
