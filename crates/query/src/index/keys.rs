//! What an index looks up of a value: a hash for equality, a number that orders it.

use crate::View;
use crate::order::{bracket, truncated};
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use std::hash::{BuildHasher as _, Hash};

/// Keyed hashing: who does not know the seed cannot make many values fall together.
#[derive(Clone, Debug)]
pub(crate) struct Hashing(SeedableRandomState);

impl Hashing {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()))
    }

    pub(crate) fn of(&self, value: impl Hash) -> u64 {
        self.0.hash_one(value)
    }

    /// Equal for values that a query takes for equal. Arrays and objects count by their length alone.
    pub(crate) fn value(&self, value: View<'_>) -> u64 {
        let kind = bracket(value);
        match value {
            View::Null => self.of(kind),
            View::Bool(bool) => self.of((kind, bool)),
            View::Int(int) | View::Date(int) => self.of((kind, int)),
            View::Float(float) => match truncated(float) {
                Some(whole) if float.fract() == 0.0 => self.of((kind, whole)),
                _ if float.is_nan() => self.of((kind, true, f64::NAN.to_bits())),
                _ => self.of((kind, true, float.to_bits())),
            },
            View::String(text) => self.of((kind, text)),
            View::Bytes(bytes) => self.of((kind, bytes)),
            View::Array(items) => self.of((kind, items.len())),
            View::Object(members) => self.of((kind, members.len())),
        }
    }
}

/// A number that does not decrease as values of one kind increase; None for what is not ordered so. Values that differ little
/// may have the same one.
pub(crate) fn rank(value: View<'_>) -> Option<u64> {
    match value {
        View::Bool(bool) => Some(u64::from(bool)),
        #[expect(clippy::cast_precision_loss, reason = "rounding keeps the order, if not the distance")]
        View::Int(int) => Some(rank_of_float(int as f64)),
        View::Float(float) => (!float.is_nan()).then(|| rank_of_float(float)),
        View::Date(millis) => Some(millis.cast_unsigned() ^ (1 << 63)),
        View::String(text) => Some(first_bytes(text.as_bytes())),
        // Shorter bytes come before longer ones.
        View::Bytes(bytes) => Some((bytes.len().min(0xffff) as u64) << 48 | first_bytes(bytes) >> 16),
        View::Null | View::Array(_) | View::Object(_) => None,
    }
}

fn rank_of_float(float: f64) -> u64 {
    // -0 is 0.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn first_bytes(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::compare;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn numbers() -> impl Strategy<Value = View<'static>> {
        prop_oneof![
            any::<i64>().prop_map(View::Int),
            (-5i64..5).prop_map(View::Int),
            any::<f64>().prop_map(View::Float),
            (-5i32..5).prop_map(|half| View::Float(f64::from(half) / 2.0)),
            prop::sample::select(vec![
                0.0,
                -0.0,
                f64::INFINITY,
                f64::NEG_INFINITY,
                9.223_372_036_854_775_8e18
            ])
            .prop_map(View::Float),
        ]
    }

    proptest! {
        #[test]
        fn ranks_keep_the_order_of_numbers_and_equal_ones_have_equal_hashes(a in numbers(), b in numbers()) {
            let hashing = Hashing::new(7);
            match (rank(a), rank(b)) {
                (Some(of_a), Some(of_b)) => match compare(a, b) {
                    Ordering::Less => prop_assert!(of_a <= of_b),
                    Ordering::Greater => prop_assert!(of_a >= of_b),
                    Ordering::Equal => {
                        prop_assert_eq!(of_a, of_b);
                        prop_assert_eq!(hashing.value(a), hashing.value(b));
                    }
                },
                (None, None) => prop_assert_eq!(hashing.value(a), hashing.value(b)),
                _ => {}
            }
        }

        #[test]
        fn ranks_keep_the_order_of_text_and_bytes(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            if a <= b {
                prop_assert!(rank(View::String(&a)) <= rank(View::String(&b)));
            }
            let (a, b) = (View::Bytes(a.as_bytes()), View::Bytes(b.as_bytes()));
            if compare(a, b).is_le() {
                prop_assert!(rank(a) <= rank(b));
            }
        }
    }
}
