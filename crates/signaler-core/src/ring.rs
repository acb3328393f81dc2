//! Who keeps what: the signalers that live, now and before things changed.
//!
//! Input: who lives ([`Ring::set`]), time ([`Ring::settle`]). Output: [`Ring::place`]. Timer: [`Ring::settles`].
//!
//! Not everybody hears of a change at the same moment. So for [`Config::settle_ms`] after the last one a key is kept by those
//! whom placement chose before as well as by those whom it chooses now: whoever asks either of them gets an answer.
//!
//! [`Config::settle_ms`]: crate::Config::settle_ms

use core::time::Duration;

use weft_crypto::placement::{REPLICAS, placed, ring_name};
use weft_wire::{SignalerId, Time};

#[derive(Debug)]
pub(crate) struct Ring {
    us: SignalerId,
    /// In order, this one included.
    now: Vec<SignalerId>,
    /// The same before the changes that are not settled; empty once they are.
    before: Vec<SignalerId>,
    /// Grows with each change of either.
    version: u64,
    name: u64,
    changed: Time,
    settles: Option<Time>,
}

/// How long nobody comes or goes before a table is compared with that of somebody who came: halves of a federation that find
/// each other have then done so.
pub(crate) const QUIET: Duration = Duration::from_millis(250);

/// Who keeps one swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) version: u64,
    /// The first first.
    pub(crate) now: Vec<SignalerId>,
    /// Empty once things have settled.
    pub(crate) before: Vec<SignalerId>,
}

impl Placed {
    /// Whether `id` is to hear of every change.
    pub(crate) fn keeps(&self, id: &SignalerId) -> bool {
        self.now.contains(id) || self.before.contains(id)
    }

    /// Whether `id` has everything: one that was only just chosen may not yet.
    pub(crate) fn is_whole(&self, id: &SignalerId) -> bool {
        self.now.contains(id) && (self.before.is_empty() || self.before.contains(id))
    }

    /// Whether both `us` and `id` should have an entry with this home.
    pub(crate) fn is_shared(&self, us: &SignalerId, id: &SignalerId, home: &SignalerId) -> bool {
        if self.now.contains(us) {
            self.now.contains(id) || home == id
        } else {
            self.now.contains(id) && home == us
        }
    }

    /// Everybody, each once: those first that were and are chosen.
    pub(crate) fn all(&self) -> Vec<SignalerId> {
        let mut all: Vec<SignalerId> =
            self.now.iter().filter(|id| self.before.contains(id)).copied().collect();
        for id in self.now.iter().chain(&self.before) {
            if !all.contains(id) {
                all.push(*id);
            }
        }
        all
    }
}

impl Ring {
    pub(crate) fn new(us: SignalerId) -> Self {
        let now = vec![us];
        let name = ring_name(&now);
        Self { us, name, now, before: Vec::new(), version: 1, changed: Time::ZERO, settles: None }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Names those that live now.
    pub(crate) fn name(&self) -> u64 {
        self.name
    }

    /// Whether there are so few that each keeps everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.now.len() <= REPLICAS
    }

    /// Whether nobody came or went a moment ago, or it makes no difference.
    pub(crate) fn is_quiet(&self, now: Time) -> bool {
        self.is_whole() || self.changed + QUIET <= now
    }

    pub(crate) fn lives(&self, id: &SignalerId) -> bool {
        self.now.binary_search(id).is_ok()
    }

    /// When [`Ring::settle`] has something to do.
    pub(crate) fn settles(&self) -> Option<Time> {
        self.settles
    }

    /// These live, this one not among them. Returns whether that is news.
    pub(crate) fn set(
        &mut self,
        now: Time,
        others: impl Iterator<Item = SignalerId>,
        settle: Duration,
    ) -> bool {
        let mut all: Vec<SignalerId> = others.chain([self.us]).collect();
        all.sort_unstable();
        all.dedup();
        if all == self.now {
            return false;
        }
        let before = core::mem::replace(&mut self.now, all);
        if self.settles.is_none() {
            self.before = before;
        }
        (self.changed, self.settles) = (now, Some(now + settle));
        self.version += 1;
        self.name = ring_name(&self.now);
        true
    }

    /// Returns whether things have settled just now.
    pub(crate) fn settle(&mut self, now: Time) -> bool {
        if self.settles.is_none_or(|at| at > now) {
            return false;
        }
        self.settles = None;
        self.before = Vec::new();
        self.version += 1;
        true
    }

    pub(crate) fn place(&self, key: &[u8; 32]) -> Placed {
        let before = if self.before.is_empty() { Vec::new() } else { placed(key, &self.before) };
        Placed { version: self.version, now: placed(key, &self.now), before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SignalerId {
        SignalerId([n; 32])
    }

    const SETTLE: Duration = Duration::from_secs(5);

    #[test]
    fn until_things_settle_both_sets_keep_a_key() {
        let mut ring = Ring::new(id(1));
        assert!(!ring.set(Time::ZERO, [].into_iter(), SETTLE));
        assert!(ring.set(Time::ZERO, (2..=9).map(id), SETTLE));
        let placed = ring.place(&[7; 32]);
        assert_eq!((placed.now.len(), &placed.before[..]), (3, &[id(1)][..]));
        assert!(placed.keeps(&id(1)));
        // A change meanwhile: what counts is what was before all of them, and the wait begins anew.
        let later = Time::ZERO + Duration::from_secs(3);
        assert!(ring.set(later, (2..=8).map(id), SETTLE));
        assert_eq!(ring.place(&[7; 32]).before, [id(1)]);
        assert!(!ring.settle(Time::ZERO + SETTLE));
        assert!(ring.settle(later + SETTLE));
        assert!(ring.place(&[7; 32]).before.is_empty());
        assert_eq!(ring.settles(), None);
    }

    #[test]
    fn everybody_keeps_everything_while_there_are_no_more_than_three() {
        let mut ring = Ring::new(id(1));
        ring.set(Time::ZERO, [id(2), id(3)].into_iter(), SETTLE);
        for key in 0..50 {
            let mut now = ring.place(&[key; 32]).now;
            now.sort_unstable();
            assert_eq!(now, [id(1), id(2), id(3)]);
        }
    }
}
