//! Numbers by hash, and slots that numbers name.

use hashbrown::HashTable;

/// Numbers of slots, found by the hash of what is in the slot. One type for every use: each instance of a hash table is
/// kilobytes of code.
#[derive(Debug, Default)]
pub(super) struct Table(HashTable<(u32, u32)>);

impl Table {
    /// The first number under this hash that `is_it` takes.
    pub(super) fn find(&self, hash: u64, is_it: &mut dyn FnMut(u32) -> bool) -> Option<u32> {
        let short = short(hash);
        self.0.find(long(short), |(other, slot)| *other == short && is_it(*slot)).map(|(_, slot)| *slot)
    }

    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let short = short(hash);
        self.0.insert_unique(long(short), (short, slot), |(short, _)| long(*short));
    }

    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let short = short(hash);
        if let Ok(entry) = self.0.find_entry(long(short), |other| *other == (short, slot)) {
            entry.remove();
        }
        if self.0.len() * 8 < self.0.capacity() {
            self.0.shrink_to(self.0.len() * 2, |(short, _)| long(*short));
        }
    }
}

/// What is kept of a hash: half, so that a million entries are eight megabytes.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn short(hash: u64) -> u32 {
    hash as u32
}

/// Spread over 64 bits again: a table looks at the highest bits, too (D. E. Knuth, TAOCP volume 3, section 6.4).
fn long(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Values under numbers that are given again once they are free.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            if let Some(place) = self.slots.get_mut(slot as usize) {
                *place = Some(value);
            }
            return slot;
        }
        self.slots.push(Some(value));
        u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let value = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        // The last ones leave nothing behind; all the more so once everything is removed.
        if self.free.len() == self.slots.len() {
            *self = Self::default();
        }
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// One more than the greatest number that was given.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }
}
