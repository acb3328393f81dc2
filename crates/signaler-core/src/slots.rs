//! A number for each record of the table, by which others name it in four bytes; numbers that are free are used again.
//! Items are in pieces of one size, so that nothing is copied when there are more.

/// Items of a piece.
const PIECE: usize = 1_024;

/// Items by number.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// All but the last are full.
    pieces: Vec<Vec<T>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { pieces: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    /// Gives something a number.
    pub(crate) fn put(&mut self, item: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.pieces[slot as usize / PIECE][slot as usize % PIECE] = item;
            return slot;
        }
        // The table has far fewer records than that: `max_entries` is of 32 bits.
        let slot = u32::try_from(self.len).unwrap_or(u32::MAX);
        if self.len.is_multiple_of(PIECE) {
            // The first one may stay small.
            self.pieces.push(Vec::with_capacity(if self.len == 0 { 0 } else { PIECE }));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(item);
        }
        self.len += 1;
        slot
    }

    /// Takes a number back. What has it stays readable until it is used again. Says whether none is in use any more; then the
    /// memory is given back.
    pub(crate) fn free(&mut self, slot: u32) -> bool {
        self.free.push(slot);
        let empty = self.free.len() == self.len;
        if empty {
            *self = Self::default();
        }
        empty
    }

    /// What has a number.
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.pieces.get(slot as usize / PIECE)?.get(slot as usize % PIECE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again_and_memory_goes_with_the_last() {
        let mut slots = Slots::default();
        let numbers: Vec<u32> = (0..100).map(|item| slots.put(item)).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        assert!(!slots.free(17));
        assert!(!slots.free(40));
        assert_eq!((slots.put(1_000), slots.put(1_001), slots.put(1_002)), (40, 17, 100));
        assert_eq!((slots.get(40), slots.get(17), slots.get(101)), (Some(&1_000), Some(&1_001), None));
        assert_eq!((0..=100).filter(|slot| slots.free(*slot)).collect::<Vec<_>>(), [100]);
        assert_eq!((slots.pieces.capacity(), slots.free.capacity(), slots.put(5)), (0, 0, 0));
    }

    #[test]
    fn more_than_a_piece_are_found_where_they_were_put() {
        let mut slots = Slots::default();
        let many = 3 * 1_024 + 5;
        assert!((0..many).all(|item| slots.put(item * 2) == item));
        assert!((0..many).all(|item| slots.get(item) == Some(&(item * 2))));
        assert_eq!((slots.get(many), slots.pieces.len()), (None, 4));
        assert!(slots.pieces.iter().skip(1).all(|piece| piece.capacity() == PIECE));
    }
}
