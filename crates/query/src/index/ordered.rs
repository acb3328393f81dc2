//! Postings in the order of a bound.

/// Something under a bound; bounds may be equal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<T> {
    pub(super) bound: u64,
    pub(super) value: T,
}

/// A sorted list in pieces: adding moves at most a piece, and a range is read in one go.
#[derive(Debug)]
pub(super) struct Ordered<T> {
    /// None of them empty.
    pieces: Vec<Vec<Item<T>>>,
}

/// Items of one piece: about a microsecond to move.
const PIECE: usize = 256;

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T: Copy> Ordered<T> {
    pub(super) fn insert(&mut self, bound: u64, value: T) {
        let at = self.pieces.partition_point(|piece| last(piece) < bound);
        let at = at.min(self.pieces.len().saturating_sub(1));
        let Some(piece) = self.pieces.get_mut(at) else {
            self.pieces.push(vec![Item { bound, value }]);
            return;
        };
        let within = piece.partition_point(|item| item.bound < bound);
        piece.insert(within, Item { bound, value });
        if piece.len() >= PIECE {
            let upper = piece.split_off(PIECE / 2);
            self.pieces.insert(at + 1, upper);
        }
    }

    /// Takes out the first item of this bound that `is_it` takes.
    pub(super) fn remove(&mut self, bound: u64, is_it: impl Fn(&T) -> bool) {
        let first = self.pieces.partition_point(|piece| last(piece) < bound);
        for at in first..self.pieces.len() {
            let Some(piece) = self.pieces.get_mut(at) else { return };
            let start = piece.partition_point(|item| item.bound < bound);
            let same = piece.iter().skip(start).take_while(|item| item.bound == bound);
            if let Some(offset) = same.map(|item| &item.value).position(&is_it) {
                piece.remove(start + offset);
                if piece.is_empty() {
                    self.pieces.remove(at);
                }
                return;
            }
            if last(piece) > bound {
                return;
            }
        }
    }

    /// The items whose bounds are in the range, both ends included.
    pub(super) fn range(&self, from: u64, to: u64) -> impl Iterator<Item = &T> {
        let first = self.pieces.partition_point(|piece| last(piece) < from);
        let pieces = self.pieces.get(first..).unwrap_or_default();
        let items = pieces.iter().enumerate().flat_map(move |(at, piece)| {
            // Only in the first piece may there be lesser ones.
            let start = if at == 0 { piece.partition_point(|item| item.bound < from) } else { 0 };
            piece.get(start..).unwrap_or_default()
        });
        items.take_while(move |item| item.bound <= to).map(|item| &item.value)
    }
}

fn last<T>(piece: &[Item<T>]) -> u64 {
    piece.last().map_or(0, |item| item.bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_a_sorted_vector_would_be(
            steps in prop::collection::vec((0u64..50, any::<bool>()), 0..2000), from in 0u64..50, to in 0u64..50,
        ) {
            let (mut ordered, mut plain) = (Ordered::default(), Vec::new());
            for (at, (bound, add)) in steps.into_iter().enumerate() {
                if add {
                    ordered.insert(bound, at);
                    plain.push((bound, at));
                } else if let Some(position) = plain.iter().position(|(other, _)| *other == bound) {
                    let (_, value) = plain.swap_remove(position);
                    ordered.remove(bound, |other| *other == value);
                } else {
                    ordered.remove(bound, |_| true);
                }
            }
            let mut expected: Vec<_> = plain.iter().filter(|(bound, _)| (from..=to).contains(bound)).map(|(_, at)| *at).collect();
            let mut found: Vec<_> = ordered.range(from, to).copied().collect();
            expected.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(ordered.pieces.is_empty(), plain.is_empty());
        }
    }
}
