//! Revocations that are known: which peers are their identities' no longer.
//!
//! Inputs: revocations of our own, of neighbours, and from the store. Outputs: whether a peer is revoked, and the statement that
//! shows it. No timers: what has expired goes when the composition looks.
//! Invariants: everything that is known was signed by its identity, and counts for that identity's peer alone, so that nobody
//! can revoke somebody else's; at most [`KNOWN`] are known, and [`limits::REVOCATIONS`] of one identity; of one neighbour
//! [`AT_ONCE`] that are new are looked at, and then one [`EVERY`]; those of our own identity are not crowded out by others.

use std::time::Duration;

use weft_crypto::statement;
use weft_wire::{IdentityId, PeerId, Revocation, Time, limits};

use crate::pace::Pace;
use crate::sorted::Map;

/// Revocations of all identities: 200 KB. Of more, the one that was of use the longest ago goes.
const KNOWN: usize = 1024;
/// Of one neighbour, what is new: a signature is verified, and it goes to all neighbours.
const EVERY: Duration = Duration::from_secs(1);
/// So many at once: a new neighbour tells those of two identities.
const AT_ONCE: u32 = 128;
const _: () = assert!(AT_ONCE as usize == 2 * limits::REVOCATIONS);
/// The life of a revocation: as long as signalers keep one.
pub(crate) const LIFE: Duration = Duration::from_secs(400 * 86_400);

/// One that counts for longer than another by less than this says nothing new: whoever signs may sign for ever.
const LONGER: Duration = Duration::from_secs(86_400);

/// Whose peer, and which.
pub(crate) type Revoked = (IdentityId, PeerId);

#[derive(Debug, Default)]
pub(crate) struct Revocations {
    known: Map<Revoked, Known>,
    /// Counts uses.
    uses: u64,
    paces: Map<PeerId, Pace>,
}

#[derive(Debug)]
struct Known {
    issued: u64,
    /// Until then it counts.
    until: Time,
    bytes: Vec<u8>,
    used: u64,
}

/// What came of a revocation that somebody tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Learnt {
    New(Revocation),
    /// Of what is known already, for longer.
    Longer(Revocation),
    /// Known, expired, or one more than is kept.
    Nothing,
    Forged,
}

impl Revocations {
    /// A peer is its identity's no longer.
    pub(crate) fn has(&self, now: Time, identity: &IdentityId, peer: &PeerId) -> bool {
        self.since(now, identity, peer).is_some()
    }

    /// When that was said, milliseconds since the Unix epoch on the clock of who said it.
    pub(crate) fn since(&self, now: Time, identity: &IdentityId, peer: &PeerId) -> Option<u64> {
        let known = self.known.get(&(*identity, *peer))?;
        (known.until > now).then_some(known.issued)
    }

    /// The statement, to be shown to somebody: it was of use.
    pub(crate) fn show(&mut self, now: Time, of: Revoked) -> Option<Vec<u8>> {
        self.uses += 1;
        let known = self.known.get_mut(&of).filter(|known| known.until > now)?;
        known.used = self.uses;
        Some(known.bytes.clone())
    }

    /// All statements of an identity.
    pub(crate) fn of(&self, now: Time, identity: &IdentityId) -> Vec<Vec<u8>> {
        let theirs = self.known.iter().filter(|((of, _), known)| of == identity && known.until > now);
        theirs.map(|(_, known)| known.bytes.clone()).collect()
    }

    /// As many of this identity are known as there may be.
    pub(crate) fn is_full(&self, identity: &IdentityId) -> bool {
        self.known.keys().filter(|(of, _)| of == identity).count() >= limits::REVOCATIONS
    }

    /// A neighbour tells of one. In the order: seen before, how much it tells, signature; then it is remembered. What is about
    /// ourselves, `us`, is always looked at, and so is, however much it tells, what is about our identity's peers and about those
    /// that are `near`.
    pub(crate) fn learn(
        &mut self,
        now: Time,
        from: PeerId,
        us: Revoked,
        is_near: impl FnOnce(&Revoked) -> bool,
        bytes: &[u8],
    ) -> Learnt {
        let Ok(peeked) = statement::peek_revocation(bytes) else { return Learnt::Forged };
        let of = (peeked.identity, peeked.peer);
        let known = self.known.get(&of).map(|known| known.until);
        let until = until(now, &peeked);
        if until <= now || known.is_some_and(|known| until < known + LONGER) {
            return Learnt::Nothing;
        }
        if of != us {
            let is_more = known.is_none() && self.is_full(&of.0);
            let is_ours = of.0 == us.0 || is_near(&of);
            if is_more || !(is_ours || self.may_look(now, from)) {
                return Learnt::Nothing;
            }
        }
        let Ok(revocation) = statement::open_revocation(bytes) else { return Learnt::Forged };
        self.insert(now, &revocation, bytes, &us.0);
        if known.is_some() { Learnt::Longer(revocation) } else { Learnt::New(revocation) }
    }

    /// Remembers one that has been verified.
    pub(crate) fn insert(&mut self, now: Time, revocation: &Revocation, bytes: &[u8], us: &IdentityId) {
        let of = (revocation.identity, revocation.peer);
        if self.known.len() >= KNOWN && !self.known.contains_key(&of) {
            let others = self.known.iter().filter(|((identity, _), _)| identity != us);
            let oldest = others.min_by_key(|(_, known)| known.used).map(|(of, _)| *of);
            oldest.map(|of| self.known.remove(&of));
        }
        self.uses += 1;
        let (issued, until) = (revocation.issued, until(now, revocation));
        let known = Known { issued, until, bytes: bytes.to_vec(), used: self.uses };
        self.known.insert(of, known);
    }

    fn may_look(&mut self, now: Time, from: PeerId) -> bool {
        self.paces.entry(from).or_default().take(now, EVERY, EVERY * AT_ONCE).is_ok()
    }

    /// What has expired goes, and what was counted of neighbours that told little. Gives those of our own that went.
    pub(crate) fn expire(&mut self, now: Time, us: &IdentityId) -> Vec<PeerId> {
        self.paces.retain(|_, pace| !pace.is_paid(now));
        let late = self.known.iter().filter(|(_, known)| known.until <= now);
        let late: Vec<Revoked> = late.map(|(of, _)| *of).collect();
        for of in &late {
            self.known.remove(of);
        }
        late.into_iter().filter(|(identity, _)| identity == us).map(|(_, peer)| peer).collect()
    }
}

/// Until when one counts: whoever says that it does so for ever is believed for as long as anybody.
fn until(now: Time, revocation: &Revocation) -> Time {
    Time::from_millis(revocation.until).min(now + LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_crypto::{IdentityKey, Seed};

    const NOW: Time = Time::from_millis(1_700_000_000_000);
    const FROM: PeerId = PeerId([9; 32]);
    const US: Revoked = (IdentityId([8; 32]), PeerId([8; 32]));
    const SECOND: Duration = Duration::from_secs(1);

    fn key(n: u16) -> IdentityKey {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        IdentityKey::new(&Seed::new(seed))
    }

    fn revocation(key: &IdentityKey, peer: u16, until: Time) -> (Revoked, Vec<u8>) {
        let mut id = [1; 32];
        id[..2].copy_from_slice(&peer.to_be_bytes());
        let (identity, peer) = (key.id(), PeerId(id));
        let said = Revocation { identity, peer, issued: NOW.millis(), until: until.millis() };
        ((identity, peer), statement::sign_revocation(key, &said))
    }

    #[test]
    fn a_forged_one_is_not_believed_and_does_not_keep_out_the_true_one() {
        let mut all = Revocations::default();
        let (of, bytes) = revocation(&key(1), 1, NOW + LIFE);
        let mut forged = bytes.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(all.learn(NOW, FROM, US, |_| false, &forged), Learnt::Forged);
        assert!(!all.has(NOW, &of.0, &of.1));
        assert_eq!(all.learn(NOW, FROM, US, |_| false, b"?"), Learnt::Forged);
        assert!(matches!(all.learn(NOW, FROM, US, |_| false, &bytes), Learnt::New(_)));
        assert!(all.has(NOW, &of.0, &of.1));
        assert_eq!(all.learn(NOW, FROM, US, |_| false, &bytes), Learnt::Nothing, "once");
        assert!(!all.has(NOW, &key(2).id(), &of.1), "it is nobody else's business");
    }

    #[test]
    fn one_that_has_expired_says_nothing_and_goes() {
        let mut all = Revocations::default();
        let (_, late) = revocation(&key(1), 1, NOW);
        assert_eq!(all.learn(NOW, FROM, US, |_| false, &late), Learnt::Nothing);
        let (of, bytes) = revocation(&key(1), 1, NOW + SECOND);
        assert!(matches!(all.learn(NOW, FROM, US, |_| false, &bytes), Learnt::New(_)));
        assert!(!all.has(NOW + SECOND, &of.0, &of.1));
        assert_eq!(all.show(NOW + SECOND, of), None);
        assert!(all.expire(NOW + SECOND, &US.0).is_empty(), "none of our own");
        assert!(all.known.is_empty());
        // Whoever says that it counts for ever is believed for as long as anybody.
        let (of, bytes) = revocation(&key(1), 2, Time::from_millis(u64::MAX));
        assert!(matches!(all.learn(NOW, FROM, US, |_| false, &bytes), Learnt::New(_)));
        assert!(!all.has(NOW + LIFE, &of.0, &of.1));
    }

    #[test]
    fn of_one_identity_so_many_are_known_and_of_all_so_many_and_never_fewer_of_our_own() {
        let mut all = Revocations::default();
        let own = key(0);
        let us = (own.id(), PeerId([8; 32]));
        let (mine, bytes) = revocation(&own, 1, NOW + LIFE);
        assert!(matches!(all.learn(NOW, FROM, us, |_| false, &bytes), Learnt::New(_)));
        let mut now = NOW;
        for n in 0..=u16::try_from(limits::REVOCATIONS).unwrap() {
            now = now + SECOND;
            let (_, bytes) = revocation(&key(1), n, NOW + LIFE);
            let is_new = matches!(all.learn(now, FROM, us, |_| false, &bytes), Learnt::New(_));
            assert_eq!(is_new, usize::from(n) < limits::REVOCATIONS, "{n}");
        }
        for n in 2..u16::try_from(KNOWN).unwrap() + 100 {
            now = now + SECOND;
            let (_, bytes) = revocation(&key(n), 1, NOW + LIFE);
            assert!(matches!(all.learn(now, FROM, us, |_| false, &bytes), Learnt::New(_)));
        }
        assert_eq!(all.known.len(), KNOWN);
        assert!(all.has(now, &mine.0, &mine.1), "others do not crowd it out");
        assert!(all.of(now, &key(1).id()).is_empty(), "those of before have gone");
    }

    #[test]
    fn a_flood_costs_its_sender_its_say_and_not_us() {
        let mut all = Revocations::default();
        let burst = u16::try_from(AT_ONCE).unwrap();
        for n in 0..burst + 50 {
            let (_, bytes) = revocation(&key(n), 1, NOW + LIFE);
            let is_new = matches!(all.learn(NOW, FROM, US, |_| false, &bytes), Learnt::New(_));
            assert_eq!(is_new, n < burst);
        }
        let (_, other) = revocation(&key(5000), 1, NOW + LIFE);
        assert!(
            matches!(all.learn(NOW, PeerId([3; 32]), US, |_| false, &other), Learnt::New(_)),
            "others are heard"
        );
        let own = key(6000);
        let (us, bytes) = revocation(&own, 1, NOW + LIFE);
        assert!(
            matches!(all.learn(NOW, FROM, us, |_| false, &bytes), Learnt::New(_)),
            "and what is about ourselves is"
        );
    }

    #[test]
    fn who_signs_again_and_again_is_heard_once_a_day_of_more() {
        let mut all = Revocations::default();
        let begin = NOW + SECOND;
        let (of, first) = revocation(&key(1), 1, begin);
        assert!(matches!(all.learn(NOW, FROM, US, |_| true, &first), Learnt::New(_)));
        for more in [1, 60, 86_399] {
            let (_, again) = revocation(&key(1), 1, begin + SECOND * more);
            assert_eq!(all.learn(NOW, FROM, US, |_| true, &again), Learnt::Nothing, "{more}");
        }
        let mut heard = 0;
        for day in 1..2_000 {
            let (_, again) = revocation(&key(1), 1, begin + LONGER * day);
            match all.learn(NOW, FROM, US, |_| true, &again) {
                Learnt::Longer(_) => heard += 1,
                other => assert_eq!(other, Learnt::Nothing),
            }
        }
        assert!((390..=400).contains(&heard), "{heard}");
        assert!(all.has(NOW + LIFE - LONGER * 2, &of.0, &of.1));
    }

    #[test]
    fn what_is_about_our_own_and_those_near_is_heard_from_who_tells_too_much() {
        let mut all = Revocations::default();
        let own = key(6000);
        let us = (own.id(), PeerId([8; 32]));
        for n in 0..u16::try_from(AT_ONCE).unwrap() + 10 {
            let (_, bytes) = revocation(&key(n), 1, NOW + LIFE);
            all.learn(NOW, FROM, us, |_| false, &bytes);
        }
        let (_, bytes) = revocation(&own, 5, NOW + LIFE);
        assert!(matches!(all.learn(NOW, FROM, us, |_| false, &bytes), Learnt::New(_)));
        let (near, bytes) = revocation(&key(7000), 5, NOW + LIFE);
        assert_eq!(all.learn(NOW, FROM, us, |_| false, &bytes), Learnt::Nothing);
        assert!(matches!(all.learn(NOW, FROM, us, |of| *of == near, &bytes), Learnt::New(_)));
    }
}
