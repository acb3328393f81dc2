//! Stand-ins for sessions, for the simulator and for tests: as fast as a hash, and as safe as none.
//!
//! They behave as Olm does as far as anybody can see who does not break it: prekeys are used up, messages are numbered and
//! open once, in any order within bounds, and an altered one is noticed.

use rand_core::CryptoRng;
use weft_wire::{AgreementKey, RatchetId};
use zeroize::Zeroizing;

use super::{First, GAP, Refused, Sessions, name};

/// Numbers of messages that are missing and still opened if they come.
const LATE: usize = 200;
const KEYS: usize = 3 * 32;
/// Direction, number and tag.
const HEAD: usize = 1 + 8 + 16;

/// In place of a lasting key and its prekeys: only public keys, which here open as much as secret ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    account: [u8; 32],
    once: Vec<[u8; 32]>,
    fallback: Vec<[u8; 32]>,
}

/// In place of one end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Account and base key of who began it, and the prekey.
    keys: [u8; KEYS],
    /// We began it.
    ours: bool,
    heard: bool,
    next_out: u64,
    next_in: u64,
    missing: Vec<u64>,
}

impl Sessions for Simulated {
    type Session = Session;

    fn new(rng: &mut impl CryptoRng) -> Self {
        Self { account: random(rng), once: Vec::new(), fallback: Vec::new() }
    }

    fn account(&self) -> AgreementKey {
        AgreementKey(self.account)
    }

    fn add_prekeys(&mut self, rng: &mut impl CryptoRng, count: usize) -> Vec<AgreementKey> {
        let made: Vec<[u8; 32]> = (0..count).map(|_| random(rng)).collect();
        self.once.extend(&made);
        made.into_iter().map(AgreementKey).collect()
    }

    fn remove_prekey(&mut self, key: &AgreementKey) {
        self.once.retain(|one| *one != key.0);
    }

    fn renew_fallback(&mut self, rng: &mut impl CryptoRng) -> AgreementKey {
        self.fallback.insert(0, random(rng));
        self.fallback.truncate(2);
        AgreementKey(self.fallback[0])
    }

    fn begin(
        &self,
        rng: &mut impl CryptoRng,
        account: &AgreementKey,
        prekey: &AgreementKey,
    ) -> Option<Session> {
        let mut keys = [0; KEYS];
        keys[..32].copy_from_slice(&self.account);
        keys[32..64].copy_from_slice(&random(rng));
        keys[64..].copy_from_slice(&prekey.0);
        let session =
            Session { keys, ours: true, heard: false, next_out: 0, next_in: 0, missing: Vec::new() };
        (account.0 != [0; 32] && prekey.0 != [0; 32]).then_some(session)
    }

    fn first(bytes: &[u8]) -> Result<First, Refused> {
        let (keys, _) = bytes.split_first_chunk::<KEYS>().ok_or(Refused::Malformed)?;
        Ok(First {
            id: name_of(keys),
            account: AgreementKey(part(keys, 0)),
            prekey: AgreementKey(part(keys, 2)),
        })
    }

    fn accept(&mut self, bytes: &[u8]) -> Result<(Session, Vec<u8>), Refused> {
        let (keys, _) = bytes.split_first_chunk::<KEYS>().ok_or(Refused::Malformed)?;
        let prekey = part(keys, 2);
        if !self.once.contains(&prekey) && !self.fallback.contains(&prekey) {
            return Err(Refused::UnknownPrekey);
        }
        let mut session =
            Session { keys: *keys, ours: false, heard: false, next_out: 0, next_in: 0, missing: Vec::new() };
        let plain = Self::open(&mut session, true, bytes)?;
        self.once.retain(|one| *one != prekey);
        Ok((session, plain))
    }

    fn id(session: &Session) -> RatchetId {
        name_of(&session.keys)
    }

    fn seal(session: &mut Session, _: &mut impl CryptoRng, plain: &[u8]) -> Option<(bool, Vec<u8>)> {
        let first = !session.heard;
        let mut bytes = if first { session.keys.to_vec() } else { Vec::new() };
        bytes.push(u8::from(session.ours));
        bytes.extend_from_slice(&session.next_out.to_be_bytes());
        bytes.extend_from_slice(&tag(&session.keys, session.ours, session.next_out, plain));
        bytes.extend_from_slice(plain);
        session.next_out += 1;
        Some((first, bytes))
    }

    fn open(session: &mut Session, first: bool, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        let bytes = if first {
            let (keys, rest) = bytes.split_first_chunk::<KEYS>().ok_or(Refused::Malformed)?;
            if *keys != session.keys {
                return Err(Refused::Tampered);
            }
            rest
        } else {
            bytes
        };
        let (head, plain) = bytes.split_first_chunk::<HEAD>().ok_or(Refused::Malformed)?;
        let mut number = [0; 8];
        number.copy_from_slice(&head[1..9]);
        let number = u64::from_be_bytes(number);
        if head[0] != u8::from(!session.ours) || head[9..] != tag(&session.keys, !session.ours, number, plain)
        {
            return Err(Refused::Tampered);
        }
        if number >= session.next_in {
            if number - session.next_in > GAP {
                return Err(Refused::TooFarAhead);
            }
            session.missing.extend(session.next_in..number);
            let excess = session.missing.len().saturating_sub(LATE);
            session.missing.drain(..excess);
            session.next_in = number + 1;
        } else if let Some(at) = session.missing.iter().position(|one| *one == number) {
            session.missing.remove(at);
        } else {
            return Err(Refused::Used);
        }
        session.heard = true;
        Ok(plain.to_vec())
    }

    fn save(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.account.to_vec();
        bytes.push(u8::try_from(self.fallback.len()).unwrap_or_default());
        for key in self.fallback.iter().chain(&self.once) {
            bytes.extend_from_slice(key);
        }
        Zeroizing::new(bytes)
    }

    fn restore(bytes: &[u8]) -> Option<Self> {
        let (account, rest) = bytes.split_first_chunk::<32>()?;
        let (fallback, rest) = rest.split_first()?;
        let (keys, rest) = rest.as_chunks::<32>();
        let (fallback, once) = keys.split_at_checked((*fallback).into())?;
        let kept = Self { account: *account, once: once.to_vec(), fallback: fallback.to_vec() };
        rest.is_empty().then_some(kept)
    }

    fn save_session(session: &Session) -> Zeroizing<Vec<u8>> {
        let mut bytes = session.keys.to_vec();
        bytes.extend([u8::from(session.ours), u8::from(session.heard)]);
        for number in [session.next_out, session.next_in].iter().chain(&session.missing) {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        Zeroizing::new(bytes)
    }

    fn restore_session(bytes: &[u8]) -> Option<Session> {
        let (keys, rest) = bytes.split_first_chunk::<KEYS>()?;
        let ([ours, heard], rest) = rest.split_first_chunk::<2>()?;
        let (numbers, rest) = rest.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let session = Session {
            keys: *keys,
            ours: *ours == 1,
            heard: *heard == 1,
            next_out: numbers.next()?,
            next_in: numbers.next()?,
            missing: numbers.collect(),
        };
        rest.is_empty().then_some(session)
    }
}

fn random(rng: &mut impl CryptoRng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn part(keys: &[u8; KEYS], at: usize) -> [u8; 32] {
    let mut part = [0; 32];
    part.copy_from_slice(&keys[32 * at..32 * (at + 1)]);
    part
}

fn name_of(keys: &[u8; KEYS]) -> RatchetId {
    name(&part(keys, 0), &part(keys, 1), &part(keys, 2))
}

fn tag(keys: &[u8; KEYS], by_beginner: bool, number: u64, plain: &[u8]) -> [u8; 16] {
    let mut tag = [0; 16];
    let mut hash = blake3::Hasher::new_derive_key("weft/simulation/session");
    hash.update(keys).update(&[u8::from(by_beginner)]).update(&number.to_be_bytes()).update(plain);
    hash.finalize_xof().fill(&mut tag);
    tag
}
