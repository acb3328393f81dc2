//! Sets of sequence numbers as inclusive ranges.

/// Ascending, disjoint, not adjacent. At most [`Ranges::MOST`]; beyond it the lowest gap is closed, so that memory is
/// bounded and what would be lost is the oldest of what is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Where only some of an author's publications are wanted, each of the others is a gap.
    const MOST: usize = 256;

    #[cfg(test)]
    pub(crate) fn from_pairs(pairs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut ranges = Self::default();
        for (first, last) in pairs {
            ranges.insert(first, last);
        }
        ranges
    }

    pub(crate) fn contains_all(&self, first: u64, last: u64) -> bool {
        self.0.iter().any(|&(a, b)| a <= first && last <= b)
    }

    pub(crate) fn overlaps(&self, first: u64, last: u64) -> bool {
        self.0.iter().any(|&(a, b)| a <= last && first <= b)
    }

    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        self.0.retain(|&(a, b)| {
            let apart = b.saturating_add(1) < first || last.saturating_add(1) < a;
            if !apart {
                first = first.min(a);
                last = last.max(b);
            }
            apart
        });
        let at = self.0.partition_point(|&(a, _)| a < first);
        self.0.insert(at, (first, last));
        if self.0.len() > Self::MOST {
            let (first, _) = self.0.remove(0);
            if let Some(next) = self.0.first_mut() {
                next.0 = first;
            }
        }
    }

    /// So many at once, those of the highest numbers first.
    pub(crate) fn newest(&self, most: usize) -> impl Iterator<Item = &[(u64, u64)]> {
        self.0.rchunks(most)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes numbers out. Where that would make more ranges than there may be, the cut is not made.
    pub(crate) fn remove(&mut self, first: u64, last: u64) {
        let mut rest = Vec::with_capacity(self.0.len() + 1);
        for &(a, b) in &self.0 {
            if b < first || last < a {
                rest.push((a, b));
                continue;
            }
            if a < first {
                rest.push((a, first - 1));
            }
            if last < b {
                rest.push((last + 1, b));
            }
        }
        if rest.len() <= Self::MOST {
            self.0 = rest;
        }
    }

    /// What is in these ranges and not in others.
    pub(crate) fn without(&self, others: &Self) -> Vec<(u64, u64)> {
        let mut rest = Vec::new();
        for &(first, last) in &self.0 {
            let mut next = Some(first);
            for &(a, b) in others.0.iter().filter(|&&(a, b)| b >= first && a <= last) {
                if let Some(from) = next.filter(|from| *from < a) {
                    rest.push((from, a - 1));
                }
                next = b.checked_add(1).filter(|after| *after <= last);
            }
            rest.extend(next.map(|from| (from, last)));
        }
        rest
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn neighbours_merge() {
        assert_eq!(Ranges::from_pairs([(1, 2), (5, 6), (3, 4)]), Ranges(vec![(1, 6)]));
        assert_eq!(
            Ranges::from_pairs([(u64::MAX, u64::MAX), (0, 0)]),
            Ranges(vec![(0, 0), (u64::MAX, u64::MAX)])
        );
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let ranges = Ranges::from_pairs((0..1000).map(|n| (n * 10, n * 10)));
        assert_eq!(ranges.0.len(), Ranges::MOST);
        assert!(ranges.contains_all(9990, 9990));
        assert_eq!(ranges.newest(2).next(), Some(&[(9980, 9980), (9990, 9990)][..]));
        let all: Vec<_> = ranges.newest(10).flatten().copied().collect();
        assert_eq!((all.len(), Ranges::from_pairs(all)), (Ranges::MOST, ranges.clone()));
    }

    proptest! {
        #[test]
        fn holds_what_a_set_holds(pairs in proptest::collection::vec((0_u64..40, 0_u64..4), 0..8)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(first, len)| (first, first + len)).collect();
            let set: BTreeSet<u64> = pairs.iter().flat_map(|&(a, b)| a..=b).collect();
            let ranges = Ranges::from_pairs(pairs);
            for n in 0..50 {
                prop_assert_eq!(ranges.contains_all(n, n), set.contains(&n));
            }
            prop_assert!(ranges.0.windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }

        #[test]
        fn takes_out_what_a_set_takes_out(
            pairs in proptest::collection::vec((0_u64..40, 0_u64..6), 0..6),
            others in proptest::collection::vec((0_u64..40, 0_u64..6), 0..6),
        ) {
            let whole = |pairs: Vec<(u64, u64)>| Ranges::from_pairs(pairs.into_iter().map(|(a, n)| (a, a + n)));
            let (ranges, others) = (whole(pairs), whole(others));
            let rest = Ranges::from_pairs(ranges.without(&others));
            let mut removed = ranges.clone();
            others.pairs().for_each(|(first, last)| removed.remove(first, last));
            for n in 0..50 {
                let left = ranges.contains_all(n, n) && !others.contains_all(n, n);
                prop_assert_eq!(rest.contains_all(n, n), left);
                prop_assert_eq!(removed.contains_all(n, n), left);
            }
        }
    }
}
