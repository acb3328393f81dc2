//! The conditions of all filters, equal ones once.

use super::access::{self, Access};
use super::keys::{Hashing, exact};
use super::paths::Paths;
use super::table::{Slots, Table};
use crate::order::bracket;
use crate::path::Path;
use crate::term::{Field, Term, Test};

/// Conditions under numbers.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    slots: Slots<Condition>,
    by_hash: Table,
    /// By number, closely packed.
    quick: Vec<Option<Quick>>,
}

#[derive(Debug)]
struct Condition {
    term: Term,
    hash: u64,
    /// How many entries have it.
    holders: u32,
}

/// What can be said of most conditions with a look at the values that their path leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick {
    /// The number of the path.
    pub(super) path: u32,
    pub(super) look: Look,
}

/// What the look is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    /// It holds if a value of this kind has this exact rank, and only then: what has no exact rank equals nothing that has one.
    Exact(u8, u64),
    /// Without a value of this hash it does not hold.
    Equal(u64),
    /// It holds if a value of this kind has a greater rank, and does not if all have lesser ones.
    Above(u8, u64),
    /// The other way round.
    Below(u8, u64),
}

impl Look {
    fn of<'t>(term: &'t Term, hashing: &Hashing) -> Option<(&'t Path, Self)> {
        let Term::Field(field) = term else { return None };
        let Field { path, test: Test::Compare { relation, operand }, .. } = &**field else { return None };
        let look = match access::of_comparison(*relation, operand.view(), hashing)? {
            Access::Equal(hash) => match exact(operand.view()) {
                Some(rank) => Self::Exact(bracket(operand.view()), rank),
                None => Self::Equal(hash),
            },
            Access::Within { kind, least, most: u64::MAX } => Self::Above(kind, least),
            Access::Within { kind, least: 0, most } => Self::Below(kind, most),
            _ => return None,
        };
        Some((path, look))
    }
}

impl Conditions {
    /// The number of a condition, which stays until it is released as often as it was held.
    pub(super) fn hold(&mut self, term: Term, hashing: &Hashing, paths: &mut Paths) -> u32 {
        let hash = hashing.of(&term);
        let is_it = |slot| self.slots.get(slot).is_some_and(|one: &Condition| one.term == term);
        if let Some(slot) = self.by_hash.find(hash, &mut { is_it }) {
            if let Some(condition) = self.slots.get_mut(slot) {
                condition.holders += 1;
            }
            return slot;
        }
        let look = Look::of(&term, hashing);
        let quick = look.map(|(path, look)| Quick { path: paths.hold(path, hashing), look });
        let slot = self.slots.insert(Condition { term, hash, holders: 1 });
        self.by_hash.insert(hash, slot);
        self.quick.resize(self.slots.end(), None);
        if let Some(place) = self.quick.get_mut(slot as usize) {
            *place = quick;
        }
        slot
    }

    pub(super) fn release(&mut self, slot: u32, hashing: &Hashing, paths: &mut Paths) {
        let Some(condition) = self.slots.get_mut(slot) else { return };
        condition.holders -= 1;
        if condition.holders > 0 {
            return;
        }
        self.by_hash.remove(condition.hash, slot);
        self.slots.remove(slot);
        if let Some(quick) = self.quick.get_mut(slot as usize).and_then(Option::take) {
            paths.release(quick.path, hashing);
        }
        self.quick.truncate(self.slots.end());
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Term> {
        self.slots.get(slot).map(|condition| &condition.term)
    }

    /// What can be told of a condition by a look.
    pub(super) fn quick(&self, slot: u32) -> Option<Quick> {
        *self.quick.get(slot as usize)?
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
