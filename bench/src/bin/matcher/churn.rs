//! How long it takes to remove a query and to add one, beside all the others.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;
use weft_query::{Filter, Index};

use crate::workload::Workload;

/// Of the index and of the choice of queries.
pub(crate) const SEED: u64 = 0x5745_4654;
/// One of so many queries is removed and added again.
const SHARE: usize = 10;

/// Times of single operations on a parsed filter.
#[derive(Serialize)]
pub(crate) struct Churn {
    add: Times,
    remove: Times,
}

/// Microseconds.
#[derive(Serialize)]
struct Times {
    mean: f64,
    /// Of a thousand operations, one takes longer.
    p999: f64,
    longest: f64,
}

impl Churn {
    /// Removes a random tenth in random order and adds it in another one.
    pub(crate) fn measure(index: &mut Index<u32>, workload: &Workload) -> anyhow::Result<Self> {
        let all = index.len();
        let mut random = Random(SEED);
        let chosen: HashSet<u32> = random.numbers(all).take(all / SHARE).collect();
        let mut filters = Vec::with_capacity(chosen.len());
        workload.queries(|number, text| {
            if chosen.contains(&number) {
                filters.push((number, Filter::parse_json(text)?));
            }
            Ok(())
        })?;
        random.shuffle(&mut filters);
        let remove = times(&filters, |(number, _)| index.remove(number))?;
        ensure!(index.len() == all - filters.len(), "{} are left of {all}", index.len());
        random.shuffle(&mut filters);
        let add = times(&filters, |(number, filter)| index.insert(*number, filter))?;
        ensure!(index.len() == all, "{} instead of {all}", index.len());
        Ok(Self { add, remove })
    }
}

/// Times each operation by the clock on the wall: a CPU clock costs more than what is measured.
fn times<T>(items: &[T], mut operate: impl FnMut(&T) -> bool) -> anyhow::Result<Times> {
    ensure!(!items.is_empty(), "too few queries for a share of them");
    let mut times = Vec::with_capacity(items.len());
    for item in items {
        let start = Instant::now();
        let done = operate(item);
        times.push(start.elapsed());
        ensure!(done, "an operation was refused");
    }
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Ok(Times {
        mean: micros(times.iter().sum()) / times.len() as f64,
        p999: micros(times[(times.len() - 1) * 999 / 1000]),
        longest: micros(times[times.len() - 1]),
    })
}

/// Steele, Lea and Flood's splitmix64 (OOPSLA 2014): the same choice in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap_or_default()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.below(end + 1);
            items.swap(end, other);
        }
    }

    /// All numbers below `end`, in random order.
    fn numbers(&mut self, end: usize) -> impl Iterator<Item = u32> + use<> {
        let mut numbers: Vec<u32> = (0..).take(end).collect();
        self.shuffle(&mut numbers);
        numbers.into_iter()
    }
}
