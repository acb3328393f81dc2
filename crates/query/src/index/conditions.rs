//! The conditions of all filters, equal ones once.

use super::keys::Hashing;
use super::table::{Slots, Table};
use crate::term::Term;

/// Conditions under numbers.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    slots: Slots<Condition>,
    by_hash: Table,
}

#[derive(Debug)]
struct Condition {
    term: Term,
    hash: u64,
    /// How many entries have it.
    holders: u32,
}

impl Conditions {
    /// The number of a condition, which stays until it is released as often as it was held.
    pub(super) fn hold(&mut self, term: Term, hashing: &Hashing) -> u32 {
        let hash = hashing.of(&term);
        let is_it = |slot| self.slots.get(slot).is_some_and(|one: &Condition| one.term == term);
        if let Some(slot) = self.by_hash.find(hash, &mut { is_it }) {
            if let Some(condition) = self.slots.get_mut(slot) {
                condition.holders += 1;
            }
            return slot;
        }
        let slot = self.slots.insert(Condition { term, hash, holders: 1 });
        self.by_hash.insert(hash, slot);
        slot
    }

    pub(super) fn release(&mut self, slot: u32) {
        let Some(condition) = self.slots.get_mut(slot) else { return };
        condition.holders -= 1;
        if condition.holders == 0 {
            self.by_hash.remove(condition.hash, slot);
            self.slots.remove(slot);
        }
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Term> {
        self.slots.get(slot).map(|condition| &condition.term)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// One more than the greatest number.
    pub(super) fn end(&self) -> usize {
        self.slots.end()
    }
}
