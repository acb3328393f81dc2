//! The order of changes: which place in the table changed at which version.
//!
//! A change goes to the end, and what its place had before is taken out, so that each place is in it once. Versions stand
//! in pieces of [`PIECE`] in a row and are found by arithmetic; a piece of which nothing is left goes. Since every record
//! changes or goes within one TTL, the oldest piece is that old at most.
//!
//! Memory: a piece for each change that still stands, in the worst case (every 64th of what changed within a TTL is all that
//! is left); and 8 bytes for each 64 changes since the oldest.

use std::collections::VecDeque;

/// Versions of a piece.
const PIECE: u64 = WIDTH as u64;
/// See [`PIECE`].
const WIDTH: usize = 64;
/// No place.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Piece {
    places: [u32; WIDTH],
    /// How many of them stand.
    live: u8,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The first one stands, if there is any.
    pieces: VecDeque<Option<Box<Piece>>>,
    /// The number of the first piece.
    first: u64,
    version: u64,
    len: usize,
}

impl Log {
    /// How many changes stand.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of the last change; the first one has number 1.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// A place changed. Returns the number of the change. The number of its last one is the caller's to [`Self::remove`].
    pub(crate) fn push(&mut self, place: u32) -> u64 {
        self.version += 1;
        let (piece, at) = split(self.version);
        if self.pieces.is_empty() {
            self.first = piece;
        }
        // At most one further than the last, which is there as long as it can still be added to.
        while self.first + self.pieces.len() as u64 <= piece {
            self.pieces.push_back(None);
        }
        let last = self
            .pieces
            .back_mut()
            .map(|last| last.get_or_insert_with(|| Box::new(Piece { places: [NONE; WIDTH], live: 0 })));
        if let Some(last) = last {
            last.places[at] = place;
            last.live += 1;
        }
        self.len += 1;
        self.version
    }

    /// A change no longer stands.
    pub(crate) fn remove(&mut self, version: u64) {
        let (piece, at) = split(version);
        let Some(slot) = self.index(piece).and_then(|index| self.pieces.get_mut(index)) else { return };
        let Some(found) = slot.as_deref_mut().filter(|found| found.places[at] != NONE) else { return };
        found.places[at] = NONE;
        found.live -= 1;
        self.len -= 1;
        if found.live > 0 {
            return;
        }
        *slot = None;
        while self.pieces.front().is_some_and(Option::is_none) {
            self.pieces.pop_front();
            self.first += 1;
        }
        if self.pieces.is_empty() {
            self.pieces = VecDeque::new();
        }
    }

    /// Changes after a version, oldest first: number and place.
    pub(crate) fn after(&self, version: u64) -> impl Iterator<Item = (u64, u32)> {
        let from = version.saturating_add(1);
        let skipped = usize::try_from(split(from).0.saturating_sub(self.first)).unwrap_or(usize::MAX);
        // A range is found at once; `skip` behind `zip` would count through all of them, for each link and each flush.
        let skipped = skipped.min(self.pieces.len());
        let pieces = (self.first + skipped as u64..).zip(self.pieces.range(skipped..));
        let standing = pieces.filter_map(|(number, piece)| Some((number, piece.as_deref()?)));
        let changes = standing.flat_map(|(number, piece)| {
            (number * PIECE..).zip(piece.places.iter().copied()).filter(|(_, place)| *place != NONE)
        });
        changes.skip_while(move |(version, _)| *version < from)
    }

    fn index(&self, piece: u64) -> Option<usize> {
        usize::try_from(piece.checked_sub(self.first)?).ok()
    }
}

/// Number of the piece and place in it.
fn split(version: u64) -> (u64, usize) {
    (version / PIECE, (version % PIECE) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stands_is_found_from_any_version_on() {
        let mut log = Log::default();
        let versions: Vec<u64> = (0..1_000).map(|place| log.push(place)).collect();
        assert_eq!((versions[0], log.version(), log.len()), (1, 1_000, 1_000));
        versions.iter().filter(|version| *version % 7 != 0).for_each(|version| log.remove(*version));
        for after in [0, 6, 7, 63, 64, 500, 993, 994, 999, 1_000, u64::MAX] {
            let wanted: Vec<(u64, u32)> = (1..=1_000)
                .filter(|n| n % 7 == 0 && u64::from(*n) > after)
                .map(|n| (u64::from(n), n - 1))
                .collect();
            assert_eq!(log.after(after).collect::<Vec<_>>(), wanted, "after {after}");
        }
    }

    #[test]
    fn pieces_of_which_nothing_is_left_go_also_in_the_middle() {
        let mut log = Log::default();
        (0..6_400).for_each(|place| _ = log.push(place));
        let standing = |log: &Log| log.pieces.iter().flatten().count();
        (2 * PIECE..98 * PIECE).for_each(|version| log.remove(version));
        assert_eq!((standing(&log), log.len()), (5, 4 * WIDTH));
        (1..2 * PIECE).for_each(|version| log.remove(version));
        assert_eq!((log.first, log.pieces.len()), (98, 3));
        (98 * PIECE..=100 * PIECE).for_each(|version| log.remove(version));
        assert_eq!((log.len(), log.pieces.capacity(), log.after(0).count()), (0, 0, 0));
        // Twice is once, and numbers go on.
        log.remove(5);
        assert_eq!((log.push(3), log.len()), (100 * PIECE + 1, 1));
    }

    #[test]
    fn refreshing_for_ever_takes_no_more_room() {
        let mut log = Log::default();
        let mut versions: Vec<u64> = (0..100).map(|place| log.push(place)).collect();
        for round in 0..200 {
            for (place, version) in (0..).zip(&mut versions) {
                log.remove(*version);
                *version = log.push(place);
            }
            assert!(log.pieces.len() <= 3, "{} in round {round}", log.pieces.len());
        }
        assert!(log.pieces.capacity() <= 16);
    }

    proptest! {
        #[test]
        fn like_an_ordered_map(steps in prop::collection::vec((0..40_u32, any::<bool>(), 0..600_u64), 0..600)) {
            let (mut log, mut map, mut at) = (Log::default(), BTreeMap::new(), BTreeMap::new());
            for (place, push, after) in steps {
                if let Some(version) = at.remove(&place) {
                    log.remove(version);
                    map.remove(&version);
                }
                if push {
                    let version = log.push(place);
                    map.insert(version, place);
                    at.insert(place, version);
                }
                prop_assert_eq!(log.len(), map.len());
                let wanted: Vec<(u64, u32)> = map.range(after + 1..).map(|(version, place)| (*version, *place)).collect();
                prop_assert_eq!(log.after(after).collect::<Vec<_>>(), wanted);
            }
        }
    }
}
