//! Whether a document satisfies a term.

use crate::Value;
use crate::order::{bracket, compare, is_nan, same, truncated};
use crate::path::Path;
use crate::pattern::Searches;
use crate::term::{Logic, Relation, Term, Test};
use std::cmp::Ordering;

impl Term {
    /// Whether the document, or the element inside `$elemMatch`, satisfies the condition.
    pub(crate) fn matches(&self, root: &Value, searches: &Searches) -> bool {
        match self {
            Self::Field { path, test } => test.matches_at(path, root, searches),
            Self::Logic { logic, terms } => match logic {
                Logic::Members | Logic::And => terms.iter().all(|term| term.matches(root, searches)),
                Logic::Or => terms.iter().any(|term| term.matches(root, searches)),
                Logic::Nor => !terms.iter().any(|term| term.matches(root, searches)),
            },
        }
    }
}

impl Test {
    /// Whether the values at the path satisfy the test: one of them, or for a negation, none.
    pub(crate) fn matches_at(&self, path: &Path, root: &Value, searches: &Searches) -> bool {
        match self {
            Self::Not { tests, .. } => !tests.iter().all(|test| test.matches_at(path, root, searches)),
            Self::All(tests) => {
                !tests.is_empty() && tests.iter().all(|test| test.matches_at(path, root, searches))
            }
            _ => path.any(root, self.leaf(), &mut |value| self.accepts(value, searches)),
        }
    }

    /// Whether one value satisfies the test; `None` is a missing one. Arrays are not looked into.
    fn accepts(&self, value: Option<&Value>, searches: &Searches) -> bool {
        match (self, value) {
            (Self::Not { tests, .. }, _) => !tests.iter().all(|test| test.accepts(value, searches)),
            (Self::All(tests), _) => {
                !tests.is_empty() && tests.iter().all(|test| test.accepts(value, searches))
            }
            // A missing value is like null to comparisons, and like nothing to everything else.
            (Self::Compare { relation, operand }, None) => relation.takes_equal() && *operand == Value::Null,
            (Self::In { values, .. }, None) => values.first() == Some(&Value::Null),
            (Self::Compare { relation, operand }, Some(value)) => relation.holds(value, operand),
            (Self::In { values, patterns }, Some(value)) => {
                values.binary_search_by(|candidate| compare(candidate, value)).is_ok()
                    || value
                        .as_str()
                        .is_some_and(|text| patterns.iter().any(|pattern| searches.finds(pattern, text)))
            }
            (Self::Exists, Some(_)) => true,
            (Self::Type(types), Some(value)) => types.contains(value),
            (Self::Mod { divisor, remainder }, Some(value)) => {
                dividend(value).is_some_and(|dividend| dividend.wrapping_rem(*divisor) == *remainder)
            }
            (Self::Regex(pattern), Some(value)) => {
                value.as_str().is_some_and(|text| searches.finds(pattern, text))
            }
            (Self::Contains(operand), Some(Value::String(text))) => {
                operand.as_str().is_some_and(|part| text.contains(part))
            }
            (Self::Contains(operand), Some(Value::Array(items))) => {
                items.iter().any(|item| same(item, operand))
            }
            (Self::Size(size), Some(Value::Array(items))) => items.len() == *size,
            (Self::ElementMembers(term), Some(Value::Array(items))) => items.iter().any(|item| {
                matches!(item, Value::Object(_) | Value::Array(_)) && term.matches(item, searches)
            }),
            (Self::ElementValue(tests), Some(Value::Array(items))) => {
                items.iter().any(|item| tests.iter().all(|test| test.accepts(Some(item), searches)))
            }
            (_, None)
            | (Self::Contains(_) | Self::Size(_) | Self::ElementMembers(_) | Self::ElementValue(_), _) => {
                false
            }
        }
    }
}

impl Relation {
    /// Whether `value` stands in this relation to `operand`: only values of the same kind are ordered.
    fn holds(self, value: &Value, operand: &Value) -> bool {
        if bracket(value) != bracket(operand) {
            return false;
        }
        // NaN equals itself but is neither less nor greater than anything.
        if is_nan(value) != is_nan(operand) {
            return false;
        }
        match (self, compare(value, operand)) {
            (_, Ordering::Equal) => self.takes_equal(),
            (Self::Gt | Self::Gte, order) => order.is_gt(),
            (Self::Lt | Self::Lte, order) => order.is_lt(),
            (Self::Eq, _) => false,
        }
    }
}

/// What `$mod` divides: a number without its fraction.
fn dividend(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        Value::Float(float) => truncated(*float),
        _ => None,
    }
}
