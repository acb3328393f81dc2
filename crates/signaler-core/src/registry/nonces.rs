//! Nonces of statements that were taken, for as long as they could be taken again.
//!
//! Input: who used which, and until when it counts. Output: whether it was used before. No timer: what has run out goes when
//! the next one comes. Invariant: never more than `max`.

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::{Nonce, RegistryKey, Time};

#[derive(Debug, Default)]
pub(crate) struct Nonces {
    used: BTreeMap<(RegistryKey, Nonce), Time>,
    until: BTreeSet<(Time, RegistryKey, Nonce)>,
}

impl Nonces {
    pub(crate) fn was_used(&self, key: RegistryKey, nonce: Nonce) -> bool {
        self.used.contains_key(&(key, nonce))
    }

    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }

    /// Remembers one until then.
    pub(crate) fn remember(&mut self, key: RegistryKey, nonce: Nonce, until: Time) {
        if let Some(before) = self.used.insert((key, nonce), until) {
            self.until.remove(&(before, key, nonce));
        }
        self.until.insert((until, key, nonce));
    }

    /// Forgets what has run out.
    pub(crate) fn forget(&mut self, now: Time) {
        while let Some((_, key, nonce)) = self.until.first().copied().filter(|(until, ..)| *until < now) {
            self.until.pop_first();
            self.used.remove(&(key, nonce));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_per_key_until_its_time_is_over() {
        let (one, other) = (RegistryKey([1; 32]), RegistryKey([2; 32]));
        let mut nonces = Nonces::default();
        nonces.remember(one, Nonce([7; 32]), Time::from_millis(10));
        nonces.forget(Time::from_millis(10));
        assert!(nonces.was_used(one, Nonce([7; 32])));
        assert!(!nonces.was_used(other, Nonce([7; 32])));
        nonces.remember(one, Nonce([7; 32]), Time::from_millis(20));
        nonces.forget(Time::from_millis(15));
        assert_eq!(nonces.len(), 1);
        nonces.forget(Time::from_millis(21));
        assert_eq!((nonces.len(), nonces.was_used(one, Nonce([7; 32]))), (0, false));
    }
}
