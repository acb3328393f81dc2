//! What is due when: slots of the table in buckets of time.
//!
//! A slot is in one bucket, in a list through an array of 24 bytes for each slot: putting it in, taking it out and moving it
//! need no memory, so that no step takes longer than others do, and the array is small enough for the processor's cache
//! when the table is not. What is put off stays where it is, and only its new time is noted: when its bucket comes it
//! moves, and the table is not looked at. What is due earlier moves at once. Which slot of a bucket comes first is not
//! stated, but the same each time.

use std::collections::BTreeMap;

use weft_wire::Time;

/// Width of a bucket: how much later than its time something may come.
const BUCKET_MICROS: u64 = 250_000;
/// No slot.
const NONE: u32 = u32::MAX;
/// The bucket of what is in none; no time is as late.
const NOWHERE: u64 = u64::MAX;

/// When a slot is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// The bucket that it is in.
    stands: u64,
    /// The bucket that it wants to be in: never an earlier one.
    wanted: u64,
    /// Before and after it in the bucket.
    before: u32,
    after: u32,
}

const NOT_DUE: Due = Due { stands: NOWHERE, wanted: NOWHERE, before: NONE, after: NONE };

#[derive(Debug, Default)]
pub(crate) struct Calendar {
    /// By slot.
    due: Vec<Due>,
    /// The first slot of each bucket that has any.
    buckets: BTreeMap<u64, u32>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// A slot is due, and no longer in the calendar.
    Due(u32),
    /// One was put off, and is now where it belongs.
    Later,
}

impl Looked {
    /// The slot that is due.
    pub(crate) fn due(self) -> Option<u32> {
        match self {
            Self::Due(slot) => Some(slot),
            Self::Later => None,
        }
    }
}

impl Calendar {
    /// A slot is due at a time, whatever was said of it before.
    pub(crate) fn set(&mut self, slot: u32, until: Time) {
        let wanted = bucket(until);
        let at = slot as usize;
        if at >= self.due.len() {
            self.due.resize(at + 1, NOT_DUE);
        }
        self.due[at].wanted = wanted;
        if wanted < self.due[at].stands {
            self.unlink(slot);
            self.link(slot, wanted);
        }
    }

    /// A slot is not due at all.
    pub(crate) fn clear(&mut self, slot: u32) {
        if (slot as usize) < self.due.len() {
            self.unlink(slot);
        }
    }

    /// Nothing is due at all, and memory is given back.
    pub(crate) fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// Looks at one slot whose bucket has passed, if there is any.
    pub(crate) fn look(&mut self, now: Time) -> Option<Looked> {
        let (bucket, slot) = self.buckets.first_key_value().map(|(bucket, slot)| (*bucket, *slot))?;
        if bucket_end(bucket) > now {
            return None;
        }
        let wanted = self.due[slot as usize].wanted;
        self.unlink(slot);
        if bucket_end(wanted) <= now {
            return Some(Looked::Due(slot));
        }
        self.link(slot, wanted);
        Some(Looked::Later)
    }

    /// When [`Self::look`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.buckets.first_key_value().map(|(bucket, _)| bucket_end(*bucket))
    }

    /// Puts a slot that is in no bucket first into one.
    fn link(&mut self, slot: u32, bucket: u64) {
        let first = self.buckets.insert(bucket, slot).unwrap_or(NONE);
        if let Some(first) = self.due.get_mut(first as usize) {
            first.before = slot;
        }
        let due = &mut self.due[slot as usize];
        (due.stands, due.wanted, due.before, due.after) = (bucket, bucket, NONE, first);
    }

    /// Takes a slot out of the bucket that it is in, if any.
    fn unlink(&mut self, slot: u32) {
        let Due { stands, before, after, .. } = core::mem::replace(&mut self.due[slot as usize], NOT_DUE);
        if stands == NOWHERE {
            return;
        }
        if let Some(after) = self.due.get_mut(after as usize) {
            after.before = before;
        }
        match self.due.get_mut(before as usize) {
            Some(before) => before.after = after,
            None if after == NONE => _ = self.buckets.remove(&stands),
            None => _ = self.buckets.insert(stands, after),
        }
    }
}

/// The bucket in which something that expires at `until` is looked at.
fn bucket(until: Time) -> u64 {
    until.micros().div_ceil(BUCKET_MICROS)
}

fn bucket_end(bucket: u64) -> Time {
    Time::from_micros(bucket.saturating_mul(BUCKET_MICROS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    /// Everything that is due, in order of slot, and how many looks that took.
    fn due(calendar: &mut Calendar, now: u64) -> (Vec<u32>, usize) {
        let (mut due, mut looks) = (Vec::new(), 0);
        while let Some(looked) = calendar.look(at(now)) {
            looks += 1;
            due.extend(looked.due());
        }
        due.sort_unstable();
        (due, looks)
    }

    /// How many slots stand in buckets. Each knows its neighbours, and its bucket.
    fn standing(calendar: &Calendar) -> usize {
        let mut count = 0;
        for (bucket, first) in &calendar.buckets {
            let (mut before, mut slot) = (NONE, *first);
            assert_ne!(slot, NONE, "bucket {bucket} is empty");
            while slot != NONE {
                let due = calendar.due[slot as usize];
                assert_eq!((due.stands, due.before), (*bucket, before));
                assert!(due.wanted >= due.stands);
                (before, slot) = (slot, due.after);
                count += 1;
            }
        }
        assert_eq!(calendar.due.iter().filter(|due| due.stands != NOWHERE).count(), count);
        count
    }

    #[test]
    fn each_comes_once_and_at_most_a_bucket_late() {
        let mut calendar = Calendar::default();
        let until = |slot: u32| u64::from(slot) * 7_919 % (10 * SECOND) + 1;
        (0..5_000).for_each(|slot| calendar.set(slot, at(until(slot))));
        let (mut seen, mut before) = (Vec::new(), 0);
        for now in (0..=11 * SECOND).step_by(100_000) {
            for slot in due(&mut calendar, now).0 {
                let wanted = until(slot);
                assert!(wanted <= now && wanted + BUCKET_MICROS > before, "{slot} at {now}");
                seen.push(slot);
            }
            before = now;
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..5_000).collect::<Vec<_>>());
        assert_eq!((calendar.deadline(), standing(&calendar)), (None, 0));
    }

    #[test]
    fn what_is_put_off_moves_when_its_bucket_comes_and_comes_once() {
        let mut calendar = Calendar::default();
        calendar.set(3, at(SECOND));
        (2..10).for_each(|second| calendar.set(3, at(second * SECOND)));
        assert_eq!((standing(&calendar), calendar.deadline()), (1, Some(at(SECOND))));
        assert_eq!(due(&mut calendar, SECOND), (Vec::new(), 1));
        assert_eq!((standing(&calendar), calendar.deadline()), (1, Some(at(9 * SECOND))));
        assert_eq!(due(&mut calendar, 9 * SECOND - 1), (Vec::new(), 0));
        assert_eq!(due(&mut calendar, 9 * SECOND), (vec![3], 1));
        assert_eq!((due(&mut calendar, 99 * SECOND), calendar.deadline()), ((Vec::new(), 0), None));
    }

    #[test]
    fn what_is_due_earlier_moves_at_once_and_comes_once() {
        let mut calendar = Calendar::default();
        (0..5).for_each(|slot| calendar.set(slot, at(90 * SECOND)));
        // The last, the first and the middle one of a list.
        for slot in [0, 4, 2] {
            for second in [60, 30, 60] {
                calendar.set(slot, at(second * SECOND));
            }
            assert_eq!(standing(&calendar), 5);
        }
        assert_eq!(calendar.deadline(), Some(at(30 * SECOND)));
        assert_eq!(due(&mut calendar, 59 * SECOND), (Vec::new(), 3));
        assert_eq!(due(&mut calendar, 60 * SECOND), (vec![0, 2, 4], 3));
        assert_eq!((due(&mut calendar, 90 * SECOND), standing(&calendar)), ((vec![1, 3], 2), 0));
    }

    #[test]
    fn a_slot_that_is_used_again_is_not_due_by_what_was_there_before() {
        let mut calendar = Calendar::default();
        calendar.set(0, at(10 * SECOND));
        calendar.clear(0);
        assert_eq!((standing(&calendar), calendar.deadline()), (0, None));
        calendar.set(0, at(20 * SECOND));
        assert_eq!((standing(&calendar), due(&mut calendar, 19 * SECOND)), (1, (Vec::new(), 0)));
        assert_eq!(due(&mut calendar, 20 * SECOND), (vec![0], 1));
        // One that was never there, or is no more.
        calendar.clear(7);
        calendar.clear(0);
        assert_eq!((due(&mut calendar, 99 * SECOND), standing(&calendar)), ((Vec::new(), 0), 0));
    }

    #[test]
    fn a_clock_that_jumps_loses_nothing_and_doubles_nothing() {
        let mut calendar = Calendar::default();
        (0..100).for_each(|slot| calendar.set(slot, at((100 + u64::from(slot)) * SECOND)));
        // Put off, so that all wait in buckets before their time, and then a leap over both.
        (0..50).for_each(|slot| calendar.set(slot, at((500 + u64::from(slot)) * SECOND)));
        assert_eq!(due(&mut calendar, 10_000 * SECOND), ((0..100).collect(), 100));
        // Back: what is announced by the clock of then is due by the clock of then.
        calendar.set(1, at(5 * SECOND));
        calendar.set(2, Time::from_micros(0));
        assert_eq!((due(&mut calendar, 0).0, due(&mut calendar, 5 * SECOND).0), (vec![2], vec![1]));
        // The end of time is a time like others.
        calendar.set(4, at(u64::MAX));
        assert_eq!((due(&mut calendar, u64::MAX - 1).0, due(&mut calendar, u64::MAX).0), (vec![], vec![4]));
    }

    #[test]
    fn nothing_is_allocated_for_what_moves() {
        let mut calendar = Calendar::default();
        (0..20_000).for_each(|slot| calendar.set(slot, at(SECOND)));
        let room = calendar.due.capacity();
        for second in 1..50 {
            (0..20_000).for_each(|slot| calendar.set(slot, at((second + 1) * SECOND)));
            assert_eq!(due(&mut calendar, second * SECOND), (Vec::new(), 20_000));
        }
        assert_eq!((calendar.due.capacity(), calendar.buckets.len(), standing(&calendar)), (room, 1, 20_000));
        calendar.clear_all();
        assert_eq!((calendar.due.capacity(), calendar.deadline()), (0, None));
    }

    proptest! {
        #[test]
        fn like_a_map_of_times(steps in prop::collection::vec((0..12_u32, 0..8_u8, 0..400_u64), 0..300)) {
            let (mut calendar, mut times) = (Calendar::default(), BTreeMap::new());
            for (slot, what, tenths) in steps {
                let time = tenths * SECOND / 10;
                match what {
                    0..5 => {
                        calendar.set(slot, at(time));
                        times.insert(slot, time);
                    }
                    5..7 => {
                        calendar.clear(slot);
                        times.remove(&slot);
                    }
                    _ => {
                        let wanted: Vec<u32> =
                            times.iter().filter(|(_, until)| bucket_end(bucket(at(**until))) <= at(time)).map(|(slot, _)| *slot).collect();
                        prop_assert_eq!(due(&mut calendar, time).0, wanted.clone());
                        times.retain(|slot, _| !wanted.contains(slot));
                    }
                }
                prop_assert_eq!(standing(&calendar), times.len());
            }
        }
    }
}
