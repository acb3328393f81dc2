//! The paths of conditions and of nodes, equal ones once.

use super::keys::Hashing;
use super::table::{Slots, Table};
use crate::path::Path;

/// Paths under numbers.
#[derive(Debug, Default)]
pub(super) struct Paths {
    slots: Slots<Held>,
    by_hash: Table,
}

#[derive(Debug)]
struct Held {
    path: Path,
    holders: u32,
}

impl Paths {
    /// The number of a path, which stays until it is released as often as it was held.
    pub(super) fn hold(&mut self, path: &Path, hashing: &Hashing) -> u32 {
        let slot = self.find(path, hashing).unwrap_or_else(|| {
            let slot = self.slots.insert(Held { path: path.clone(), holders: 0 });
            self.by_hash.insert(hashing.of(path), slot);
            slot
        });
        self.hold_again(slot);
        slot
    }

    /// Holds a path that somebody else holds.
    pub(super) fn hold_again(&mut self, slot: u32) {
        if let Some(held) = self.slots.get_mut(slot) {
            held.holders += 1;
        }
    }

    pub(super) fn release(&mut self, slot: u32, hashing: &Hashing) {
        let Some(held) = self.slots.get_mut(slot) else { return };
        held.holders -= 1;
        if held.holders == 0 {
            self.by_hash.remove(hashing.of(&held.path), slot);
            self.slots.remove(slot);
        }
    }

    pub(super) fn find(&self, path: &Path, hashing: &Hashing) -> Option<u32> {
        let is_it = |slot| self.slots.get(slot).is_some_and(|held: &Held| held.path == *path);
        self.by_hash.find(hashing.of(path), &mut { is_it })
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Path> {
        self.slots.get(slot).map(|held| &held.path)
    }

    /// How many conditions and nodes there are with the path.
    pub(super) fn holders(&self, slot: u32) -> u32 {
        self.slots.get(slot).map_or(0, |held| held.holders)
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
