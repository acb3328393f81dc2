//! Whether a document satisfies a term.

use crate::View;
use crate::limits;
use crate::operand::Operand;
use crate::order::{bracket, compare, is_nan, same, truncated};
use crate::path::Path;
use crate::term::{Field, Logic, Relation, Term, Test};
use crate::tree::Single;
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// The outcome of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    /// It does not hold.
    No,
    /// Finding out would take too long. Neither it nor its negation selects a document.
    Unknown,
    /// It holds.
    Yes,
}

impl Truth {
    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl Term {
    /// Whether the document, or the element inside `$elemMatch`, satisfies the condition.
    ///
    /// Three values (S. C. Kleene, Introduction to Metamathematics, section 64), so that the outcome does not depend on the
    /// order of evaluation: an index and a scan agree even about documents that `$regex` refuses.
    pub(crate) fn matches(&self, root: View<'_>) -> Truth {
        match self {
            Self::Field(field) => field.matches(root),
            Self::Logic { logic, terms } => match logic {
                Logic::Members | Logic::And => all(terms.iter().map(|term| term.matches(root))),
                Logic::Or => all(terms.iter().map(|term| term.matches(root).not())).not(),
                Logic::Nor => all(terms.iter().map(|term| term.matches(root).not())),
            },
        }
    }
}

/// The least of them.
fn all(mut parts: impl Iterator<Item = Truth>) -> Truth {
    let least = parts.try_fold(Truth::Yes, |least, part| match part {
        Truth::No => ControlFlow::Break(()),
        part => ControlFlow::Continue(least.min(part)),
    });
    if let ControlFlow::Continue(least) = least { least } else { Truth::No }
}

impl Field {
    pub(crate) fn matches(&self, root: View<'_>) -> Truth {
        if self.searches && self.searches_too_much(root) {
            return Truth::Unknown;
        }
        Truth::of(self.test.matches_at(&self.path, root))
    }

    /// Whether there is more text than may be searched in the member that the path begins with.
    fn searches_too_much(&self, root: View<'_>) -> bool {
        let member = match root {
            View::Object(members) => members.get(self.path.first()),
            // An element inside $elemMatch, whose text was counted outside.
            _ => None,
        };
        let mut left = limits::PATTERN_TEXT_BYTES;
        member.is_some_and(|member| take_text(member, &mut left).is_none())
    }
}

/// Takes the text in a value off what is left; None if that is not enough. As deep as the value.
fn take_text(value: View<'_>, left: &mut usize) -> Option<()> {
    match value {
        // One more than the text, so that many empty ones are not free.
        View::String(text) => *left = left.checked_sub(text.len() + 1)?,
        View::Array(items) => return items.iter().try_for_each(|item| take_text(item, left)),
        View::Object(members) => return members.iter().try_for_each(|(_, value)| take_text(value, left)),
        _ => {}
    }
    Some(())
}

impl Test {
    /// Whether the values at the path satisfy the test: one of them, or for a negation, none.
    pub(crate) fn matches_at(&self, path: &Path, root: View<'_>) -> bool {
        match self {
            Self::Not { tests, .. } => !tests.iter().all(|test| test.matches_at(path, root)),
            Self::All(tests) => !tests.is_empty() && tests.iter().all(|test| test.matches_at(path, root)),
            _ => match path.single(root) {
                Single::One(value) => self.accepts(value),
                Single::Many => path.any(root, self.leaf(), &mut |value| self.accepts(value)),
            },
        }
    }

    /// Whether one value satisfies the test; `None` is a missing one. Arrays are not looked into.
    pub(crate) fn accepts(&self, value: Option<View<'_>>) -> bool {
        match (self, value) {
            (Self::Not { tests, .. }, _) => !tests.iter().all(|test| test.accepts(value)),
            (Self::All(tests), _) => !tests.is_empty() && tests.iter().all(|test| test.accepts(value)),
            // A missing value is like null to comparisons, and like nothing to everything else.
            (Self::Compare { relation, operand }, None) => {
                relation.takes_equal() && matches!(operand.view(), View::Null)
            }
            (Self::In { values, .. }, None) => {
                values.first().is_some_and(|least| matches!(least.view(), View::Null))
            }
            (Self::Compare { relation, operand }, Some(value)) => relation.holds(value, operand.view()),
            (Self::In { values, patterns }, Some(value)) => {
                is_one_of(values, value)
                    || value
                        .as_str()
                        .is_some_and(|text| patterns.iter().any(|pattern| pattern.occurs_in(text)))
            }
            (Self::Exists, Some(_)) => true,
            (Self::Type(types), Some(value)) => types.contains(value),
            (Self::Mod { divisor, remainder }, Some(value)) => {
                dividend(value).is_some_and(|dividend| dividend.wrapping_rem(*divisor) == *remainder)
            }
            (Self::Regex(pattern), Some(value)) => value.as_str().is_some_and(|text| pattern.occurs_in(text)),
            (Self::Contains(operand), Some(View::String(text))) => {
                operand.view().as_str().is_some_and(|part| text.contains(part))
            }
            (Self::Contains(operand), Some(View::Array(items))) => {
                items.iter().any(|item| same(item, operand.view()))
            }
            (Self::Size(size), Some(View::Array(items))) => items.len() == *size,
            (Self::ElementMembers(term), Some(View::Array(items))) => items.iter().any(|item| {
                matches!(item, View::Object(_) | View::Array(_)) && term.matches(item) == Truth::Yes
            }),
            (Self::ElementValue(tests), Some(View::Array(items))) => {
                items.iter().any(|item| tests.iter().all(|test| test.accepts(Some(item))))
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
    pub(crate) fn holds(self, value: View<'_>, operand: View<'_>) -> bool {
        // Most conditions compare text for equality, which needs no order.
        if let (Self::Eq, View::String(value), View::String(operand)) = (self, value, operand) {
            return value == operand;
        }
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

/// Whether a value equals one of these, which are in the order of [`compare`].
fn is_one_of(values: &[Operand], value: View<'_>) -> bool {
    /// Up to here it is quicker to ask each: most values that are unequal are so at first sight.
    const FEW: usize = 4;
    match values.len() {
        0..=FEW => values.iter().any(|one| Relation::Eq.holds(value, one.view())),
        _ => values.binary_search_by(|one| compare(one.view(), value)).is_ok(),
    }
}

/// What `$mod` divides: a number without its fraction.
fn dividend(value: View<'_>) -> Option<i64> {
    match value {
        View::Int(int) => Some(int),
        View::Float(float) => truncated(float),
        _ => None,
    }
}
