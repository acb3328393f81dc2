//! Comparing values as queries do: numbers by value, other types only with their own kind.

use crate::View;
use std::cmp::Ordering;

/// A total order over all values: null, numbers, text, objects, arrays, bytes, booleans, dates (MongoDB's order
/// of types).
///
/// Numbers compare by their exact value whether integer or float, -0 equals 0, and NaN equals itself and comes
/// before every other number. Bytes compare by length first. Objects compare member by member in the order of
/// their encoding: by type, then name, then value; so, unlike in MongoDB, the order in which members were written
/// is of no importance.
pub fn compare(a: View<'_>, b: View<'_>) -> Ordering {
    match (a, b) {
        (View::Int(a), View::Int(b)) | (View::Date(a), View::Date(b)) => a.cmp(&b),
        (View::Int(a), View::Float(b)) => compare_int_float(a, b),
        (View::Float(a), View::Int(b)) => compare_int_float(b, a).reverse(),
        (View::Float(a), View::Float(b)) => compare_floats(a, b),
        (View::String(a), View::String(b)) => a.cmp(b),
        (View::Bytes(a), View::Bytes(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (View::Bool(a), View::Bool(b)) => a.cmp(&b),
        (View::Array(a), View::Array(b)) => {
            first_difference(a.iter().zip(b.iter()).map(|(a, b)| compare(a, b)))
                .unwrap_or(a.len().cmp(&b.len()))
        }
        (View::Object(a), View::Object(b)) => {
            let members = a.iter().zip(b.iter()).map(|((a_key, a), (b_key, b))| {
                bracket(a).cmp(&bracket(b)).then_with(|| a_key.cmp(b_key)).then_with(|| compare(a, b))
            });
            first_difference(members).unwrap_or(a.len().cmp(&b.len()))
        }
        _ => bracket(a).cmp(&bracket(b)),
    }
}

/// Whether a query takes the two values for equal.
pub fn same(a: View<'_>, b: View<'_>) -> bool {
    compare(a, b) == Ordering::Equal
}

/// The kind of a value: `$gt` and its like only ever select values of the operand's kind.
pub(crate) fn bracket(value: View<'_>) -> u8 {
    match value {
        View::Null => 0,
        View::Int(_) | View::Float(_) => 1,
        View::String(_) => 2,
        View::Object(_) => 3,
        View::Array(_) => 4,
        View::Bytes(_) => 5,
        View::Bool(_) => 6,
        View::Date(_) => 7,
    }
}

/// Whether the value is the one number that is neither less nor greater than another.
pub(crate) fn is_nan(value: View<'_>) -> bool {
    matches!(value, View::Float(float) if float.is_nan())
}

/// The float without its fraction, if that is an `i64`; not for NaN and the infinities.
pub(crate) fn truncated(float: f64) -> Option<i64> {
    /// 2^63, the first float above every `i64`.
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    (-TWO_63..TWO_63).contains(&float).then_some(float as i64)
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Option<Ordering> {
    orders.find(|order| order.is_ne())
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Exact where converting either side would round: above 2^53 an `f64` skips integers.
fn compare_int_float(int: i64, float: f64) -> Ordering {
    match truncated(float) {
        // Truncation went towards zero: the fraction that is left decides between equal whole parts.
        Some(whole) => int.cmp(&whole).then_with(|| compare_floats(0.0, float.fract())),
        None if float > 0.0 => Ordering::Less,
        None => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;
    use crate::{Object, Value};

    #[test]
    fn integers_and_floats_compare_by_exact_value() {
        let cases = [
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Ordering::Greater),
            (9_007_199_254_740_992, 9_007_199_254_740_992.0, Ordering::Equal),
            (i64::MAX, 9_223_372_036_854_775_807.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
            (i64::MIN, -9_223_372_036_854_777_856.0, Ordering::Greater),
            (4, 4.5, Ordering::Less),
            (-4, -4.5, Ordering::Greater),
            (0, -0.0, Ordering::Equal),
            (0, f64::INFINITY, Ordering::Less),
            (0, f64::NEG_INFINITY, Ordering::Greater),
            (i64::MIN, f64::NAN, Ordering::Greater),
        ];
        for (int, float, order) in cases {
            assert_eq!(compare(View::Int(int), View::Float(float)), order, "{int} {float}");
            assert_eq!(compare(View::Float(float), View::Int(int)), order.reverse(), "{float} {int}");
        }
    }

    #[test]
    fn nan_equals_itself_and_comes_before_other_numbers() {
        let nan = View::Float(f64::NAN);
        assert!(same(nan, View::Float(-f64::NAN)));
        assert_eq!(compare(nan, View::Float(f64::NEG_INFINITY)), Ordering::Less);
        assert_eq!(compare(View::Float(0.0), nan), Ordering::Greater);
    }

    #[test]
    fn objects_are_equal_whatever_the_order_they_were_written_in() {
        let pair = |first: &str, second: &str| {
            let members = [first, second].map(|name| (name.to_owned(), Value::from(name))).to_vec();
            Tree::of_value(&Value::Object(Object::from_entries(members).unwrap()))
        };
        assert!(same(pair("a", "b").root(), pair("b", "a").root()));
        assert!(!same(pair("a", "b").root(), pair("a", "c").root()));
    }
}
