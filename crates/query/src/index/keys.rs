//! What an index looks up of a value: a hash for equality, a number that orders it.

use crate::View;
use crate::order::{bracket, truncated};
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use std::hash::{BuildHasher as _, Hash, Hasher};

/// Keyed hashing: who does not know the seed cannot make many values fall together.
#[derive(Clone, Debug)]
pub(crate) struct Hashing(SeedableRandomState, u64);

impl Hashing {
    pub(crate) fn new(seed: u64) -> Self {
        let state = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        // Not the seed itself, so that one hash tells nothing of the other.
        let secret = state.hash_one(seed);
        Self(state, secret)
    }

    /// Of anything. One copy of the hash function serves all types.
    pub(crate) fn of(&self, value: &(impl Hash + ?Sized)) -> u64 {
        let mut hasher = self.0.build_hasher();
        let mut shared: &mut dyn Hasher = &mut hasher;
        value.hash(&mut shared);
        hasher.finish()
    }

    /// Of three numbers of which the last is a hash, or no secret is needed to keep it apart from others: quicker.
    #[inline]
    pub(crate) fn mix(&self, a: u64, b: u64, hash: u64) -> u64 {
        // Multiplications by odd numbers (the golden ratio, and FNV's prime, which share nothing) leave numbers apart.
        let salt = (a ^ self.1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0x0000_0100_0000_01b3);
        let mixed = (hash ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    }

    /// Of three numbers.
    pub(crate) fn numbers(&self, numbers: [u64; 3]) -> u64 {
        let mut hasher = self.0.build_hasher();
        for number in numbers {
            hasher.write_u64(number);
        }
        hasher.finish()
    }

    /// Of bytes.
    pub(crate) fn bytes(&self, kind: u8, bytes: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(u64::from(kind));
        hasher.write(bytes);
        hasher.finish()
    }

    /// Equal for values that a query takes for equal. Arrays and objects count by their length alone.
    pub(crate) fn value(&self, value: View<'_>) -> u64 {
        let whole = |number: i64| (0, number.cast_unsigned());
        let (sort, number) = match value {
            View::String(text) => return self.bytes(bracket(value), text.as_bytes()),
            View::Bytes(bytes) => return self.bytes(bracket(value), bytes),
            View::Null => (0, 0),
            View::Bool(bool) => (0, u64::from(bool)),
            View::Int(int) | View::Date(int) => whole(int),
            View::Float(float) => match truncated(float) {
                Some(int) if float.fract() == 0.0 => whole(int),
                _ if float.is_nan() => (1, f64::NAN.to_bits()),
                _ => (1, float.to_bits()),
            },
            View::Array(items) => (0, items.len() as u64),
            View::Object(members) => (0, members.len() as u64),
        };
        self.numbers([u64::from(bracket(value)), sort, number])
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
        // Shorter bytes come before longer ones; all very long ones have one rank.
        View::Bytes(bytes) if bytes.len() < 0xffff => {
            Some((bytes.len() as u64) << 48 | first_bytes(bytes) >> 16)
        }
        View::Bytes(_) => Some(0xffff << 48),
        View::Null | View::Array(_) | View::Object(_) => None,
    }
}

/// Whether a value is the only one of its kind with its rank, among those of which the same is said; the rank is counted as 0
/// for null. Not so of what others, which a query tells apart, share a rank with: long text, whole numbers beyond 2^53.
#[inline]
pub(crate) fn is_exact(value: View<'_>) -> bool {
    match value {
        View::Null | View::Bool(_) | View::Date(_) => true,
        // Filled up with zeros to eight bytes: so the last letter must be none.
        View::String(text) => text.len() < 8 && text.as_bytes().last() != Some(&0),
        View::Int(int) => int.unsigned_abs() < 1 << 53,
        View::Float(float) => float.abs() < 9_007_199_254_740_992.0,
        _ => false,
    }
}

/// The rank of a value that [`is_exact`].
pub(crate) fn exact(value: View<'_>) -> Option<u64> {
    is_exact(value).then(|| rank(value).unwrap_or_default())
}

fn rank_of_float(float: f64) -> u64 {
    // -0 is 0.
    let bits = (float + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn first_bytes(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    // Not by way of an array: bytes that were just written one by one are slow to read as one number.
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    number << (8 * (8 - bytes.len().clamp(1, 8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operand::Operand;
    use crate::order::compare;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    fn numbers() -> impl Strategy<Value = View<'static>> {
        prop_oneof![
            any::<i64>().prop_map(View::Int),
            (-5i64..5).prop_map(View::Int),
            any::<f64>().prop_map(View::Float),
            (-5i32..5).prop_map(|half| View::Float(f64::from(half) / 2.0)),
            prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 9.223_372_036_854_776e18])
                .prop_map(View::Float),
        ]
    }

    fn anything() -> impl Strategy<Value = Operand> {
        prop_oneof![
            numbers().prop_map(Operand::of),
            "[ab\0]{0,9}".prop_map(|text| Operand::String(text.into())),
            any::<bool>().prop_map(Operand::Bool),
            (-3i64..3).prop_map(Operand::Date),
            Just(Operand::Null),
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
        fn exact_ranks_are_those_of_equal_values_alone(a in anything(), b in anything()) {
            if let (Some(of_a), Some(of_b)) = (exact(a.view()), exact(b.view())) {
                let same_kind = bracket(a.view()) == bracket(b.view());
                prop_assert_eq!(same_kind && of_a == of_b, compare(a.view(), b.view()).is_eq());
            } else if exact(a.view()).is_some() != exact(b.view()).is_some() {
                prop_assert!(compare(a.view(), b.view()).is_ne());
            }
        }

        #[test]
        fn exact_ranks_end_where_doubles_skip_integers(near in -2i64..=2, half in 0u8..2, negative: bool) {
            let int = (1 << 53) + near;
            let int = if negative { -int } else { int };
            #[expect(clippy::cast_precision_loss, reason = "that is what is tested")]
            let (a, b) = (View::Int(int), View::Float(int as f64 + f64::from(half) / 2.0));
            let both = exact(a).is_some() && exact(b).is_some();
            prop_assert_eq!(both && exact(a) == exact(b), both && compare(a, b).is_eq());
            prop_assert!(both || exact(a).is_some() == exact(b).is_some() || compare(a, b).is_ne());
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

        #[test]
        fn ranks_keep_the_order_of_long_bytes(a in 65_530usize..65_540, b in 65_530usize..65_540, first_of_a: u8, first_of_b: u8) {
            let (mut a, mut b) = (vec![0; a], vec![0; b]);
            (a[0], b[0]) = (first_of_a, first_of_b);
            let (a, b) = (View::Bytes(&a), View::Bytes(&b));
            prop_assert!(compare(a, b).is_ge() || rank(a) <= rank(b));
        }
    }
}
