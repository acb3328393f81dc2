use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_wire::AgreementKey;
use weft_wire::ratchet::Prekey;

use super::*;
use crate::keys::Seed;
#[cfg(all(feature = "olm", not(weft_simulation)))]
use crate::session::Olm;
use crate::session::{GAP, Simulated};
use crate::statement::sign_prekey;

const NOW: u64 = 1_700_000_000_000;

/// A peer with its disk, and what it has published.
struct Side<S: Sessions> {
    key: PeerKey,
    one: Correspondence<S>,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    rng: ChaCha20Rng,
    once: Vec<Vec<u8>>,
    fallback: Vec<u8>,
}

impl<S: Sessions> Side<S> {
    fn new(n: u8) -> Self {
        let key = PeerKey::new(&Seed::new([n; 32]));
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let one = Correspondence::new(key.id(), &mut rng);
        let mut side = Self { key, one, disk: BTreeMap::new(), rng, once: Vec::new(), fallback: Vec::new() };
        side.publish(NOW);
        side
    }

    fn id(&self) -> PeerId {
        self.key.id()
    }

    /// What the peer publishes takes the place of what is not its any more.
    fn publish(&mut self, now: u64) {
        for signed in self.one.replenish(&mut self.rng, &self.key, now, self.once.len()) {
            if open_prekey(&signed).unwrap().once {
                self.once.push(signed);
            } else {
                self.fallback = signed;
            }
        }
        self.store();
    }

    fn store(&mut self) {
        let vault = VaultKey::new(&self.key);
        for change in self.one.changes(&mut self.rng, &vault) {
            match change.value {
                Some(value) => self.disk.insert(change.key, value),
                None => self.disk.remove(&change.key),
            };
        }
    }

    fn restart(&mut self) {
        let rows = self.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        self.one = Correspondence::restore(self.key.id(), &VaultKey::new(&self.key), rows).unwrap();
    }

    /// Everything but its key is lost.
    fn lose(&mut self, now: u64) {
        self.disk.clear();
        self.once.clear();
        self.one = Correspondence::new(self.key.id(), &mut self.rng);
        self.publish(now);
    }

    fn begin(&mut self, other: &mut Self, now: u64) {
        let prekey = other.once.pop().unwrap_or_else(|| other.fallback.clone());
        self.one.begin(&mut self.rng, now, other.id(), &prekey).unwrap();
    }

    fn seal(&mut self, to: PeerId, plain: &[u8]) -> Vec<u8> {
        let sealed = self.one.seal(&mut self.rng, to, plain).unwrap();
        self.store();
        sealed
    }

    fn open(&mut self, from: PeerId, bytes: &[u8]) -> Result<Opened, SessionError> {
        let opened = self.one.open(from, bytes);
        self.store();
        opened
    }
}

#[allow(clippy::unnecessary_wraps)] // It is compared with outcomes.
fn message(text: &[u8]) -> Result<Opened, SessionError> {
    Ok(Opened::Message(text.to_vec()))
}

/// Two that have heard each other.
fn acquainted<S: Sessions>() -> (Side<S>, Side<S>) {
    let (mut a, mut b) = (Side::<S>::new(1), Side::<S>::new(2));
    a.begin(&mut b, NOW);
    let hello = a.seal(b.id(), b"hello");
    assert_eq!(b.open(a.id(), &hello), message(b"hello"));
    let back = b.seal(a.id(), b"hello yourself");
    assert_eq!(a.open(b.id(), &back), message(b"hello yourself"));
    (a, b)
}

/// Each of these holds for the sessions that people use and for those of the simulator.
macro_rules! for_both {
    ($($name:ident)*) => {
        #[cfg(all(feature = "olm", not(weft_simulation)))]
        mod olm {
            $(#[test] fn $name() { super::$name::<super::Olm>(); })*
        }
        mod simulated {
            $(#[test] fn $name() { super::$name::<super::Simulated>(); })*
        }
    };
}

for_both! {
    messages_cross_both_ways_in_any_order_and_once
    p3_two_who_begin_at_once_settle_on_one_session
    p3_whichever_side_is_restarted_goes_on
    p3_whichever_side_has_lost_its_state_is_understood_again
    p3_a_side_whose_state_has_gone_back_is_understood_again
    who_asks_gets_a_prekey_of_its_own_until_it_is_used_and_too_many_get_the_fallback
    p3_who_has_lost_state_and_time_is_understood_again_though_a_session_of_before_counted_more
    c7_replayed_first_messages_are_refused_also_when_their_session_is_forgotten
    c7_poisoned_prekeys_are_refused_each_with_its_error
    c7_what_was_made_for_others_is_refused_and_uses_nothing_up
    c7_every_flipped_byte_of_a_message_is_noticed
    what_is_missing_is_bounded
    prekeys_are_bounded_replenished_and_renewed
    who_was_not_heard_for_the_longest_time_is_forgotten_first
    what_is_stored_shows_nothing_and_what_was_altered_is_lost
    c9_who_takes_all_keys_and_records_all_messages_reads_none_of_before
}

fn messages_cross_both_ways_in_any_order_and_once<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    let sealed: Vec<_> = (0..30_u8).map(|n| a.seal(b.id(), &[n])).collect();
    for n in [7_u8, 3, 29, 0, 28] {
        assert_eq!(b.open(a.id(), &sealed[usize::from(n)]), message(&[n]));
        assert_eq!(b.open(a.id(), &sealed[usize::from(n)]), Err(SessionError::Replayed));
    }
    let back = b.seal(a.id(), b"back");
    assert_eq!(a.open(b.id(), &back), message(b"back"));
    assert_eq!(b.open(a.id(), &sealed[5]), message(&[5]));
    assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
}

fn p3_two_who_begin_at_once_settle_on_one_session<S: Sessions>() {
    for later in [0, 1] {
        let (mut a, mut b) = (Side::<S>::new(1), Side::<S>::new(2));
        a.begin(&mut b, NOW);
        b.begin(&mut a, NOW + later);
        let (from_a, from_b) = (a.seal(b.id(), b"from a"), b.seal(a.id(), b"from b"));
        assert_eq!(a.open(b.id(), &from_b), message(b"from b"));
        assert_eq!(b.open(a.id(), &from_a), message(b"from a"));
        assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
        let next = a.seal(b.id(), b"next");
        assert_eq!(b.open(a.id(), &next), message(b"next"));
    }
}

fn p3_whichever_side_is_restarted_goes_on<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    for n in 0..4_u8 {
        let sealed = a.seal(b.id(), &[n]);
        if n % 2 == 0 {
            a.restart();
        } else {
            b.restart();
        }
        assert_eq!(b.open(a.id(), &sealed), message(&[n]));
        b.restart();
        assert_eq!(b.open(a.id(), &sealed), Err(SessionError::Replayed));
        let back = b.seal(a.id(), b"back");
        assert_eq!(a.open(b.id(), &back), message(b"back"));
    }
    assert_eq!(a.one.with[&b.id()].held.len(), 1);
}

/// Sends until it is understood; what the other side says in between is heard.
fn repeat<S: Sessions>(from: &mut Side<S>, to: &mut Side<S>, now: u64) -> usize {
    for attempt in 0..5 {
        if !from.one.has(&to.id()) {
            let prekey = to.fallback.clone();
            from.one.begin(&mut from.rng, now, to.id(), &prekey).unwrap();
        }
        let sealed = from.seal(to.id(), b"again");
        match to.open(from.id(), &sealed) {
            Ok(opened) => {
                assert_eq!(opened, Opened::Message(b"again".to_vec()));
                return attempt;
            }
            Err(error) => {
                if matches!(error, SessionError::UnknownPrekey(_)) {
                    to.fallback = to.one.fallback(&to.key).unwrap();
                }
                let notice = error.notice().unwrap_or_else(|| panic!("{error}"));
                assert!(matches!(from.open(to.id(), &notice), Ok(Opened::Lost { .. } | Opened::Missed)));
            }
        }
    }
    panic!("they do not understand each other");
}

fn p3_whichever_side_has_lost_its_state_is_understood_again<S: Sessions>() {
    // Who has lost it speaks first.
    let (mut a, mut b) = acquainted::<S>();
    a.lose(NOW + 1);
    assert_eq!(repeat(&mut a, &mut b, NOW + 1), 0);
    assert_eq!(repeat(&mut b, &mut a, NOW + 1), 0);
    assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
    // The other one does.
    b.lose(NOW + 2);
    assert_eq!(repeat(&mut a, &mut b, NOW + 2), 1);
    assert_eq!(repeat(&mut b, &mut a, NOW + 2), 0);
    assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
    // Its clock has gone back, too.
    a.lose(NOW - 1000);
    assert_eq!(repeat(&mut a, &mut b, NOW - 1000), 0);
    assert_eq!(repeat(&mut b, &mut a, NOW + 3), 1);
    assert_eq!(repeat(&mut a, &mut b, NOW + 3), 0);
    assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
}

fn p3_a_side_whose_state_has_gone_back_is_understood_again<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    let before = a.disk.clone();
    for n in 0..3 {
        let sealed = a.seal(b.id(), &[n]);
        assert_eq!(b.open(a.id(), &sealed), message(&[n]));
    }
    a.disk = before;
    a.restart();
    let repeated = a.seal(b.id(), b"other words, same number");
    let refused = b.open(a.id(), &repeated).unwrap_err();
    assert!(matches!(refused, SessionError::Stale(_) | SessionError::Tampered(_)), "{refused}");
    let lost = a.open(b.id(), &refused.notice().unwrap());
    assert_eq!(lost, Ok(Opened::Lost { anew: true }));
    assert_eq!(repeat(&mut a, &mut b, NOW + 1), 0);
    assert_eq!(repeat(&mut b, &mut a, NOW + 1), 0);
    assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()));
}

/// The session of before was begun later, by the clock, than the one that takes its place: it counts, is lost, and takes the
/// new one with it.
fn p3_who_has_lost_state_and_time_is_understood_again_though_a_session_of_before_counted_more<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    a.lose(NOW);
    a.one.begin(&mut a.rng, NOW - 1000, b.id(), &b.fallback).unwrap();
    let sealed = a.seal(b.id(), b"I am back");
    assert_eq!(b.open(a.id(), &sealed), message(b"I am back"));
    let of_before = b.seal(a.id(), b"where were you");
    let notice = a.open(b.id(), &of_before).unwrap_err().notice().unwrap();
    assert_eq!(b.open(a.id(), &notice), Ok(Opened::Lost { anew: true }));
    // It has nothing more to say: the other has to learn by itself that its session is gone.
    let sealed = a.seal(b.id(), b"are you there");
    let notice = b.open(a.id(), &sealed).unwrap_err().notice().unwrap();
    assert_eq!(a.open(b.id(), &notice), Ok(Opened::Lost { anew: true }));
    a.begin(&mut b, NOW);
    let sealed = a.seal(b.id(), b"are you there");
    assert_eq!(b.open(a.id(), &sealed), message(b"are you there"));
}

fn c7_replayed_first_messages_are_refused_also_when_their_session_is_forgotten<S: Sessions>() {
    let (mut a, mut b) = (Side::<S>::new(1), Side::<S>::new(2));
    let fallback = b.fallback.clone();
    let mut first = Vec::new();
    for n in 0..2 + SESSIONS as u64 {
        // The first one by the fallback, all others by prekeys for one session.
        let prekey = if n == 0 { fallback.clone() } else { b.once.pop().unwrap() };
        a.one.begin(&mut a.rng, NOW + n, b.id(), &prekey).unwrap();
        let sealed = a.seal(b.id(), b"hello");
        assert_eq!(b.open(a.id(), &sealed), message(b"hello"));
        assert_eq!(b.open(a.id(), &sealed), Err(SessionError::Replayed));
        first.push(sealed);
    }
    assert_eq!(b.one.with[&a.id()].held.len(), SESSIONS);
    assert!(matches!(b.open(a.id(), &first[0]), Err(SessionError::UnknownSession(_))));
    assert!(matches!(b.open(a.id(), &first[1]), Err(SessionError::UnknownPrekey(_))));
    b.restart();
    assert!(matches!(b.open(a.id(), &first[0]), Err(SessionError::UnknownSession(_))));
    // The notice of a replay names a session that the sender has left behind, or uses no more.
    let current = a.one.current(&b.id());
    for replayed in &first[..2] {
        let notice = b.open(a.id(), replayed).unwrap_err().notice().unwrap();
        assert_eq!(a.open(b.id(), &notice), Ok(Opened::Missed));
        assert_eq!(a.one.current(&b.id()), current);
    }
}

fn who_asks_gets_a_prekey_of_its_own_until_it_is_used_and_too_many_get_the_fallback<S: Sessions>() {
    let (mut a, mut b) = (Side::<S>::new(1), Side::<S>::new(2));
    let ask = |b: &mut Side<S>, n: u8| b.one.hand_out(&mut b.rng, &b.key, NOW, PeerId([n; 32]));
    let first = ask(&mut b, 100);
    assert!(open_prekey(&first).unwrap().once);
    assert_eq!(ask(&mut b, 100), first, "asking again uses nothing up");
    let others: BTreeSet<Vec<u8>> = (0..99).take(HANDED - 1).map(|n| ask(&mut b, n)).collect();
    assert_eq!(others.len(), HANDED - 1);
    assert!(others.iter().all(|prekey| open_prekey(prekey).unwrap().once && *prekey != first));
    assert!(!open_prekey(&ask(&mut b, 101)).unwrap().once, "too many have one");
    // It works, once; then another one has its place, and whoever used it gets a new one.
    a.one.begin(&mut a.rng, NOW, b.id(), &first).unwrap();
    let sealed = a.seal(b.id(), b"hello");
    assert_eq!(b.open(a.id(), &sealed), message(b"hello"));
    let again = ask(&mut b, 100);
    assert!(again != first && open_prekey(&again).unwrap().once);
    assert!(!open_prekey(&ask(&mut b, 101)).unwrap().once);
}

/// Olm keeps the keys of five turns; the stand-in opens it all the same.
#[cfg(all(feature = "olm", not(weft_simulation)))]
#[test]
fn a_message_that_more_turns_have_overtaken_than_are_kept_is_missed_and_the_session_goes_on() {
    let (mut a, mut b) = acquainted::<Olm>();
    let late = a.seal(b.id(), b"late");
    for n in 0..8 {
        let there = a.seal(b.id(), &[n]);
        assert_eq!(b.open(a.id(), &there), message(&[n]));
        let back = b.seal(a.id(), &[n]);
        assert_eq!(a.open(b.id(), &back), message(&[n]));
    }
    let current = a.one.current(&b.id());
    let notice = b.open(a.id(), &late).unwrap_err().notice().unwrap();
    assert_eq!(a.open(b.id(), &notice), Ok(Opened::Missed));
    assert_eq!(a.one.current(&b.id()), current);
    let again = a.seal(b.id(), b"late");
    assert_eq!(b.open(a.id(), &again), message(b"late"));
}

fn c7_poisoned_prekeys_are_refused_each_with_its_error<S: Sessions>() {
    let (mut a, b, c) = (Side::<S>::new(1), Side::<S>::new(2), Side::<S>::new(3));
    let good = open_prekey(&b.once[0]).unwrap();
    let mut begin = |now, prekey: &[u8]| a.one.begin(&mut a.rng, now, b.id(), prekey);
    // Signed by somebody else, in the peer's name and in its own.
    let forged = begin(NOW, &sign_prekey(&c.key, &good));
    assert!(matches!(forged, Err(SessionError::ForgedPrekey(StatementError::Signature(_)))));
    let anothers = Prekey { peer: c.id(), ..good.clone() };
    assert_eq!(begin(NOW, &sign_prekey(&c.key, &anothers)), Err(SessionError::AnothersPrekey));
    assert_eq!(begin(good.until + 1, &b.once[0]), Err(SessionError::ExpiredPrekey));
    let eternal = Prekey { until: u64::MAX, ..good.clone() };
    assert_eq!(begin(NOW, &sign_prekey(&b.key, &eternal)), Err(SessionError::ExpiredPrekey));
    for weak in [
        Prekey { key: AgreementKey([0; 32]), ..good.clone() },
        Prekey { account: AgreementKey([0; 32]), ..good.clone() },
    ] {
        assert_eq!(begin(NOW, &sign_prekey(&b.key, &weak)), Err(SessionError::PoisonedPrekey));
    }
    for at in 0..b.once[0].len() {
        let mut altered = b.once[0].clone();
        altered[at] ^= 1;
        assert!(matches!(begin(NOW, &altered), Err(SessionError::ForgedPrekey(_))), "byte {at}");
    }
    assert_eq!(begin(NOW, &b.once[0]), Ok(()));
}

fn c7_what_was_made_for_others_is_refused_and_uses_nothing_up<S: Sessions>() {
    let (mut a, mut b, c) = (Side::<S>::new(1), Side::<S>::new(2), Side::<S>::new(3));
    // C publishes B's keys as its own, and passes on to B what A says to C.
    let stolen = Prekey { peer: c.id(), ..open_prekey(b.once.last().unwrap()).unwrap() };
    a.one.begin(&mut a.rng, NOW, c.id(), &sign_prekey(&c.key, &stolen)).unwrap();
    let for_c = a.seal(c.id(), b"for c only");
    assert_eq!(b.open(c.id(), &for_c), Err(SessionError::Misdirected));
    assert_eq!(b.open(a.id(), &for_c), Err(SessionError::Misdirected));
    assert!(!b.one.has(&a.id()) && !b.one.has(&c.id()));
    // The prekey that it used is good for A still.
    a.begin(&mut b, NOW);
    let for_b = a.seal(b.id(), b"for b");
    // So is it when C claims to have said what A has.
    assert_eq!(b.open(c.id(), &for_b), Err(SessionError::Misdirected));
    assert_eq!(b.open(a.id(), &for_b), message(b"for b"));
    let back = b.seal(a.id(), b"back");
    assert!(matches!(a.open(c.id(), &back), Err(SessionError::UnknownSession(_))));
    assert_eq!(a.open(a.id(), &[0xff; 9]).unwrap_err().notice(), None);
}

fn c7_every_flipped_byte_of_a_message_is_noticed<S: Sessions>() {
    let (mut a, mut b) = (Side::<S>::new(1), Side::<S>::new(2));
    a.begin(&mut b, NOW);
    let first = a.seal(b.id(), b"hello");
    for at in 0..first.len() {
        let mut altered = first.clone();
        altered[at] ^= 1;
        let refused = b.open(a.id(), &altered);
        assert!(refused.is_err(), "byte {at} of {}: {refused:?}", first.len());
    }
    assert_eq!(b.open(a.id(), &first), message(b"hello"));
    let answer = b.seal(a.id(), b"hello yourself");
    for at in 0..answer.len() {
        let mut altered = answer.clone();
        altered[at] ^= 1;
        assert!(a.open(b.id(), &altered).is_err(), "byte {at}");
    }
    assert_eq!(a.open(b.id(), &answer), message(b"hello yourself"));
}

fn what_is_missing_is_bounded<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    let mut sealed = Vec::new();
    for _ in 0..=usize::try_from(GAP).unwrap() + 1 {
        sealed.push(a.seal(b.id(), b"x"));
    }
    let refused = b.open(a.id(), sealed.last().unwrap()).unwrap_err();
    assert!(matches!(refused, SessionError::TooFarAhead(_)));
    assert!(refused.notice().is_some());
    assert_eq!(b.open(a.id(), &sealed[usize::try_from(GAP).unwrap() - 1]), message(b"x"));
    // Keys of the last ones before are there, those of the first ones are not.
    assert_eq!(b.open(a.id(), &sealed[usize::try_from(GAP).unwrap() - 2]), message(b"x"));
    let old = b.open(a.id(), &sealed[0]).unwrap_err();
    assert!(matches!(old, SessionError::Stale(_)));
    // That an old message came again is no reason to begin anew; that the last one was not understood is one.
    assert_eq!(a.open(b.id(), &old.notice().unwrap()), Ok(Opened::Missed));
    assert_eq!(a.open(b.id(), &refused.notice().unwrap()), Ok(Opened::Lost { anew: true }));
    assert!(!a.one.has(&b.id()));
    a.restart();
    assert!(!a.one.has(&b.id()));
    a.begin(&mut b, NOW + 1);
    let with = &b.one.with[&a.id()];
    assert!(rows::correspondent(with).len() < 10_000, "{}", rows::correspondent(with).len());
    assert!(with.held[0].opened.len() <= REMEMBERED);
    let largest = vec![0; limits::RATCHETED - BINDING - 512];
    let sealed = a.seal(b.id(), &largest);
    assert_eq!(b.open(a.id(), &sealed), message(&largest));
    let larger = vec![0; largest.len() + 1];
    assert_eq!(a.one.seal(&mut a.rng, b.id(), &larger), Err(SessionError::TooLarge));
    assert_eq!(a.one.seal(&mut a.rng, PeerId([9; 32]), b""), Err(SessionError::NoSession));
}

fn prekeys_are_bounded_replenished_and_renewed<S: Sessions>() {
    let mut b = Side::<S>::new(2);
    assert_eq!(b.once.len(), ONCE);
    let first = b.fallback.clone();
    b.publish(NOW + 1);
    assert_eq!((b.once.len(), &b.fallback), (ONCE, &first));
    // All are taken: the fallback begins sessions, and as many new ones are made.
    let oldest = b.once[0].clone();
    let mut a = Side::<S>::new(1);
    b.once.clear();
    a.begin(&mut b, NOW);
    let hello = a.seal(b.id(), b"hello");
    assert_eq!(b.open(a.id(), &hello), message(b"hello"));
    for n in 0..KEPT / ONCE {
        b.once.clear();
        b.publish(NOW + 2);
        assert_eq!((b.once.len(), b.one.prekeys.once.len()), (ONCE, KEPT.min((n + 2) * ONCE)));
    }
    let mut c = Side::<S>::new(3);
    c.one.begin(&mut c.rng, NOW, b.id(), &oldest).unwrap();
    let late = c.seal(b.id(), b"hello");
    assert!(matches!(b.open(c.id(), &late), Err(SessionError::UnknownPrekey(_))));
    // A fallback works until the one after its successor is made.
    b.publish(NOW + FALLBACK_AGE);
    assert_ne!(b.fallback, first);
    c.one.begin(&mut c.rng, NOW, b.id(), &first).unwrap();
    let in_time = c.seal(b.id(), b"hello");
    assert_eq!(b.open(c.id(), &in_time), message(b"hello"));
    b.publish(NOW + 2 * FALLBACK_AGE);
    assert_eq!(b.one.prekeys.fallbacks.len(), 2);
    let mut d = Side::<S>::new(4);
    d.one.begin(&mut d.rng, NOW, b.id(), &first).unwrap();
    let too_late = d.seal(b.id(), b"hello");
    assert!(matches!(b.open(d.id(), &too_late), Err(SessionError::UnknownPrekey(_))));
    // One that has begun very many sessions is renewed early, and refuses more than are remembered.
    let worn = &mut b.one.prekeys.fallbacks[0];
    worn.begun = vec![RatchetId([0; 16]); FALLBACK_USES];
    let prekey = b.fallback.clone();
    d.one.begin(&mut d.rng, NOW + 2 * FALLBACK_AGE, b.id(), &prekey).unwrap();
    let refused = d.seal(b.id(), b"hello");
    let why = b.open(d.id(), &refused).unwrap_err();
    assert!(
        matches!(why, SessionError::Worn(_)) && why.notice().is_some(),
        "its sender has to begin another one"
    );
    b.publish(NOW + 2 * FALLBACK_AGE + 1);
    assert_ne!(b.fallback, prekey);
}

fn who_was_not_heard_for_the_longest_time_is_forgotten_first<S: Sessions>() {
    let (mut a, b) = (Side::<S>::new(1), Side::<S>::new(2));
    let good = open_prekey(&b.fallback).unwrap();
    let other = |n: usize| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
        PeerKey::new(&Seed::new(seed))
    };
    for n in 0..CORRESPONDENTS {
        let key = other(n);
        let prekey = sign_prekey(&key, &Prekey { peer: key.id(), ..good.clone() });
        a.one.begin(&mut a.rng, NOW, key.id(), &prekey).unwrap();
    }
    a.store();
    a.seal(other(0).id(), b"still here");
    a.one.begin(&mut a.rng, NOW, b.id(), &b.fallback).unwrap();
    a.store();
    assert_eq!(a.one.with.len(), CORRESPONDENTS);
    assert!(a.one.has(&other(0).id()) && !a.one.has(&other(1).id()) && a.one.has(&b.id()));
    assert_eq!(a.disk.len(), CORRESPONDENTS + 1, "and its row is removed");
}

fn what_is_stored_shows_nothing_and_what_was_altered_is_lost<S: Sessions>() {
    let (mut a, b) = acquainted::<S>();
    let secret = a.one.sessions.save();
    for value in a.disk.values() {
        assert!(!value.windows(8).any(|bytes| secret.windows(8).any(|secret| secret == bytes)));
    }
    let shown = format!("{:?}", a.one);
    assert!(!shown.contains("session") && !shown.contains("key:"), "{shown}");
    // A session that cannot be read is left out; without the account there is nothing.
    let row = rows::key(&b.id());
    a.disk.get_mut(&row).unwrap()[30] ^= 1;
    a.restart();
    assert!(!a.one.has(&b.id()));
    a.disk.get_mut(rows::ACCOUNT).unwrap()[30] ^= 1;
    let stored = a.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
    assert!(Correspondence::<S>::restore(a.id(), &VaultKey::new(&a.key), stored).is_none());
}

fn c9_who_takes_all_keys_and_records_all_messages_reads_none_of_before<S: Sessions>() {
    let (mut a, mut b) = acquainted::<S>();
    let mut recorded = Vec::new();
    for n in 0..10_u8 {
        let there = a.seal(b.id(), &[n; 40]);
        assert_eq!(b.open(a.id(), &there), message(&[n; 40]));
        let back = b.seal(a.id(), &[n; 41]);
        assert_eq!(a.open(b.id(), &back), message(&[n; 41]));
        recorded.push((there, back));
    }
    // The thief has both disks, opens them with both keys, and does not care what was opened before.
    a.restart();
    b.restart();
    for side in [&mut a.one, &mut b.one] {
        side.with.values_mut().for_each(|with| with.held.iter_mut().for_each(|held| held.opened.clear()));
    }
    for (there, back) in recorded {
        let gone = |refused| matches!(refused, Err(SessionError::Stale(_) | SessionError::Tampered(_)));
        assert!(gone(b.open(a.id(), &there)) && gone(a.open(b.id(), &back)));
        assert!(a.open(a.id(), &there).is_err() && b.open(b.id(), &back).is_err());
    }
}

// ---- any interleaving ----

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Deliver(prop::sample::Index),
    Drop(prop::sample::Index),
    Repeat(prop::sample::Index),
    SealAgain(usize),
    Restart(usize),
    Lose(usize),
    GoBack(usize),
    Publish(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0..2_usize).prop_map(Step::Send),
        8 => index().prop_map(Step::Deliver),
        2 => index().prop_map(Step::Drop),
        2 => index().prop_map(Step::Repeat),
        1 => (0..2_usize).prop_map(Step::SealAgain),
        1 => (0..2_usize).prop_map(Step::Restart),
        1 => (0..2_usize).prop_map(Step::Lose),
        1 => (0..2_usize).prop_map(Step::GoBack),
        1 => (0..2_usize).prop_map(Step::Publish),
    ]
}

/// Two peers that send again what has no receipt, a network that does what it likes, and their residence.
struct World<S: Sessions> {
    sides: [Side<S>; 2],
    olden: [BTreeMap<Vec<u8>, Vec<u8>>; 2],
    /// To whom, and what.
    wire: Vec<(usize, Vec<u8>)>,
    unconfirmed: [BTreeSet<u32>; 2],
    taken: [BTreeSet<u32>; 2],
    /// The other side has said that all sessions are lost.
    lost: [bool; 2],
    sent: u32,
    now: u64,
    notices: usize,
}

impl<S: Sessions> World<S> {
    fn new() -> Self {
        let sides = [Side::new(1), Side::new(2)];
        let olden = [sides[0].disk.clone(), sides[1].disk.clone()];
        Self {
            sides,
            olden,
            wire: Vec::new(),
            unconfirmed: Default::default(),
            taken: Default::default(),
            lost: [false; 2],
            sent: 0,
            now: NOW,
            notices: 0,
        }
    }

    fn say(&mut self, from: usize, kind: u8, id: u32) {
        let [a, b] = &mut self.sides;
        let (us, them) = if from == 0 { (a, b) } else { (b, a) };
        if !us.one.has(&them.id()) {
            let once = if self.lost[from] { None } else { them.once.pop() };
            let prekey = once.unwrap_or_else(|| them.fallback.clone());
            us.one.begin(&mut us.rng, self.now, them.id(), &prekey).unwrap();
            self.lost[from] = false;
        }
        let sealed = us.seal(them.id(), &[&[kind][..], &id.to_be_bytes()].concat());
        self.wire.push((1 - from, sealed));
    }

    fn deliver(&mut self, at: usize) {
        let (to, bytes) = self.wire.remove(at);
        let from = self.sides[1 - to].id();
        match self.sides[to].open(from, &bytes) {
            Ok(Opened::Message(plain)) => {
                let id = u32::from_be_bytes(plain[1..].try_into().unwrap());
                if plain[0] == 0 {
                    self.taken[to].insert(id);
                    self.say(to, 1, id);
                } else {
                    self.unconfirmed[to].remove(&id);
                }
            }
            Ok(Opened::Lost { anew }) => self.lost[to] |= anew,
            Ok(Opened::Missed) => {}
            Err(error) => {
                if matches!(error, SessionError::UnknownPrekey(_)) {
                    let side = &mut self.sides[to];
                    side.fallback = side.one.fallback(&side.key).unwrap();
                }
                if let Some(notice) = error.notice() {
                    self.notices += 1;
                    self.wire.push((1 - to, notice));
                }
            }
        }
    }

    fn take(&mut self, step: &Step) {
        self.now += 1;
        let at =
            |index: &prop::sample::Index, wire: &[_]| (!wire.is_empty()).then(|| index.index(wire.len()));
        match step {
            Step::Send(side) => {
                self.sent += 1;
                self.unconfirmed[*side].insert(self.sent);
                self.say(*side, 0, self.sent);
            }
            Step::Deliver(index) => {
                if let Some(at) = at(index, &self.wire) {
                    self.deliver(at);
                }
            }
            Step::Drop(index) => {
                if let Some(at) = at(index, &self.wire) {
                    self.wire.remove(at);
                }
            }
            Step::Repeat(index) => {
                if let Some(at) = at(index, &self.wire) {
                    self.wire.push(self.wire[at].clone());
                }
            }
            Step::SealAgain(side) => self.seal_again(*side),
            Step::Restart(side) => {
                self.olden[*side].clone_from(&self.sides[*side].disk);
                self.sides[*side].restart();
            }
            Step::Lose(side) => self.sides[*side].lose(self.now),
            Step::GoBack(side) => {
                self.sides[*side].disk.clone_from(&self.olden[*side]);
                self.sides[*side].restart();
            }
            Step::Publish(side) => self.sides[*side].publish(self.now),
        }
    }

    fn seal_again(&mut self, side: usize) {
        for id in self.unconfirmed[side].clone() {
            self.say(side, 0, id);
        }
    }

    /// Nothing is lost from now on: everything arrives, and both come to one session.
    fn calm(&mut self) {
        for _ in 0..10 {
            self.now += 1;
            while !self.wire.is_empty() {
                self.deliver(0);
            }
            if self.unconfirmed.iter().all(BTreeSet::is_empty) {
                break;
            }
            self.seal_again(0);
            self.seal_again(1);
        }
        assert!(self.unconfirmed.iter().all(BTreeSet::is_empty), "something never arrives");
        // One more each way may find what is left of sessions that only one side has; then nothing is lost any more.
        for round in 0..6 {
            let before = self.notices;
            for side in [0, 1] {
                self.take(&Step::Send(side));
                while !self.wire.is_empty() {
                    self.deliver(0);
                }
                for _ in 0..4 {
                    self.seal_again(side);
                    while !self.wire.is_empty() {
                        self.deliver(0);
                    }
                }
            }
            if round > 3 {
                assert_eq!(self.notices, before, "they go on losing sessions");
            }
        }
        let [a, b] = &self.sides;
        assert_eq!(a.one.current(&b.id()), b.one.current(&a.id()), "they are in two sessions");
        assert!(a.one.current(&b.id()).is_some());
        assert!(self.unconfirmed.iter().all(BTreeSet::is_empty));
        for side in &self.sides {
            assert!(side.one.with.values().all(|with| with.held.len() <= SESSIONS));
            assert!(side.one.prekeys.once.len() <= KEPT);
        }
    }
}

fn any_interleaving<S: Sessions>(steps: &[Step]) {
    let mut world = World::<S>::new();
    for step in steps {
        world.take(step);
    }
    world.calm();
    assert_eq!(world.taken.iter().map(BTreeSet::len).sum::<usize>(), world.sent as usize);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn p3_whatever_is_lost_repeated_restarted_or_forgotten_all_arrives_and_one_session_is_left(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        any_interleaving::<Simulated>(&steps);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut a, b) = acquainted::<Simulated>();
        prop_assert!(a.open(b.id(), &bytes).is_err());
        prop_assert!(a.one.begin(&mut a.rng, NOW, b.id(), &bytes).is_err());
        prop_assert!(rows::read_account::<Simulated>(&bytes).is_none());
        let _ = rows::read_correspondent::<Simulated>(&bytes, 0);
    }
}

#[cfg(all(feature = "olm", not(weft_simulation)))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    #[test]
    fn p3_with_olm_too_all_arrives_and_one_session_is_left(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        any_interleaving::<Olm>(&steps);
    }

    #[test]
    fn no_bytes_make_olm_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), version in any::<bool>(), first in any::<bool>()
    ) {
        let (mut a, b) = acquainted::<Olm>();
        let mut body = bytes;
        if version && let Some(byte) = body.first_mut() {
            *byte = 3; // Olm's version; what follows is its fields.
        }
        let session = a.one.current(&b.id()).unwrap();
        let began = NOW;
        let bytes = encode(&Ratcheted::Message { session, began, first, body: Bytes(body.clone()) });
        prop_assert!(a.open(b.id(), &bytes).is_err());
        prop_assert!(Olm::first(&body).is_err() || first);
        prop_assert!(Olm::restore(&body).is_none() && Olm::restore_session(&body).is_none());
    }
}

#[test]
fn the_simulators_sessions_are_the_same_for_the_same_seed() {
    let run = || {
        let (mut a, b) = acquainted::<Simulated>();
        (a.seal(b.id(), b"hello"), a.disk)
    };
    assert_eq!(run(), run());
}
