//! What was seen lately, in as much memory as it is given.

use std::collections::VecDeque;

use crate::sorted::Set;

/// The last so many different values.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    known: Set<T>,
    order: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { known: Set::new(), order: VecDeque::new() }
    }
}

impl<T: Ord + Copy> Recent<T> {
    pub(crate) fn contains(&self, value: &T) -> bool {
        self.known.contains(value)
    }

    /// Forgets the oldest value if there are more than `most`, and says which it was.
    pub(crate) fn forget_over(&mut self, most: usize) -> Option<T> {
        let oldest = (self.order.len() > most).then(|| self.order.pop_front()).flatten()?;
        self.known.remove(&oldest);
        Some(oldest)
    }

    /// Remembers a value, and forgets the oldest ones beyond `most`; false if it was known.
    pub(crate) fn insert(&mut self, value: T, most: usize) -> bool {
        if !self.known.insert(value) {
            return false;
        }
        self.order.push_back(value);
        while self.forget_over(most).is_some() {}
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::default();
        assert!([5, 1, 9].iter().all(|value| recent.insert(*value, 3)));
        assert!(!recent.insert(5, 3));
        assert!(recent.insert(2, 3));
        assert_eq!([5, 1, 9, 2].map(|value| recent.contains(&value)), [false, true, true, true]);
    }
}
