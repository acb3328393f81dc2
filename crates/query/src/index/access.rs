//! By what a condition can be found, given a document that satisfies it.

use crate::View;
use crate::literal::Shape;
use crate::order::{bracket, is_nan};
use crate::path::Path;
use crate::term::{Field, Logic, Relation, Term, Test, TypeSet};

use super::keys::{Hashing, rank};

/// What one of the values at a path has to be for a condition to hold: necessary, not sufficient.
///
/// "The values at a path" are those that a path visits with the elements of arrays; a missing one counts as null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A value of this hash.
    Equal(u64),
    /// A string whose first bytes, as many as this, have this hash.
    Prefix(u8, u64),
    /// A string with these three bytes in it, or an array with such a string.
    Gram(u64),
    /// A value of this kind, at least and at most of these ranks.
    Within { kind: u8, least: u64, most: u64 },
    /// A value of this kind.
    Kind(u8),
    /// Any value, if only it is not missing.
    Present,
}

/// How selective an access is thought to be; the least is best. What a query is filed under also depends on how many others
/// are filed there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Selectivity {
    Value,
    Few,
    Text,
    Interval,
    HalfLine,
    Kind,
    Presence,
    /// The negation of one of the others.
    Absence,
}

impl Access {
    pub(crate) fn selectivity(self) -> Selectivity {
        match self {
            Self::Equal(_) => Selectivity::Value,
            Self::Prefix(..) | Self::Gram(_) => Selectivity::Text,
            Self::Within { least: 0, .. } | Self::Within { most: u64::MAX, .. } => Selectivity::HalfLine,
            Self::Within { .. } => Selectivity::Interval,
            Self::Kind(_) => Selectivity::Kind,
            Self::Present => Selectivity::Presence,
        }
    }
}

/// One of these accesses finds the condition.
pub(crate) type Alternatives = Vec<(Path, Access)>;

/// Accesses of one condition, at most: an `$in` of more is found by presence.
const MOST: usize = 64;
/// Bytes of a prefix that count.
pub(crate) const PREFIX: usize = 32;
/// Bytes of a gram.
pub(crate) const GRAM: usize = 3;

/// By what a condition is found; empty if it never holds, None if documents satisfy it that have nothing in particular.
pub(crate) fn of_term(term: &Term, hashing: &Hashing) -> Option<Alternatives> {
    match term {
        Term::Field(field) => of_field(&field.path, &field.test, hashing),
        Term::Logic { logic: Logic::Members | Logic::And, terms } => {
            terms.iter().filter_map(|term| of_term(term, hashing)).min_by_key(cost)
        }
        Term::Logic { logic: Logic::Or, terms } => {
            bounded(terms.iter().map(|term| of_term(term, hashing)).collect::<Option<Vec<_>>>()?.concat())
        }
        Term::Logic { logic: Logic::Nor, .. } => None,
    }
}

/// The worst access decides, then the number of them.
pub(crate) fn cost(alternatives: &Alternatives) -> (Option<Selectivity>, usize) {
    let worst = alternatives.iter().map(|(_, access)| access.selectivity()).max();
    let worst = if alternatives.len() > 1 { worst.max(Some(Selectivity::Few)) } else { worst };
    (worst, alternatives.len())
}

/// The same of a test at a path.
pub(crate) fn of_field(path: &Path, test: &Test, hashing: &Hashing) -> Option<Alternatives> {
    if let Test::ElementMembers(term) = test {
        return of_element_members(path, term, hashing)
            .or_else(|| Some(vec![(path.clone(), Access::Present)]));
    }
    let accesses = of_test(test, !path.ends_with_index(), hashing)?;
    Some(accesses.into_iter().map(|access| (path.clone(), access)).collect())
}

/// `$elemMatch` with a query: a condition on a member of an element is one on the joined path.
fn of_element_members(path: &Path, term: &Term, hashing: &Hashing) -> Option<Alternatives> {
    match term {
        // An array is an object of its indices here, and only here: such names say nothing about the joined path.
        // Nor does what a missing member satisfies.
        Term::Field(field) if !field.path.begins_with_index() && !takes_missing(&field.test) => {
            of_field(&path.join(&field.path), &field.test, hashing)
        }
        Term::Logic { logic: Logic::Members | Logic::And, terms } => {
            let each = terms.iter().filter_map(|term| of_element_members(path, term, hashing));
            each.min_by_key(cost)
        }
        Term::Logic { logic: Logic::Or, terms } => {
            let each = terms.iter().map(|term| of_element_members(path, term, hashing));
            bounded(each.collect::<Option<Vec<_>>>()?.concat())
        }
        _ => None,
    }
}

/// Whether the test holds of a missing value: then an element without the member satisfies it, which on the joined path
/// is the same; but so does an element that is an array, which is not.
fn takes_missing(test: &Test) -> bool {
    test.accepts(None)
}

fn bounded(alternatives: Alternatives) -> Option<Alternatives> {
    (alternatives.len() <= MOST).then_some(alternatives)
}

/// `visited`: the elements of an array are among the values, as they are unless an index names the array, or it is an element
/// itself.
fn of_test(test: &Test, visited: bool, hashing: &Hashing) -> Option<Vec<Access>> {
    Some(match test {
        Test::Compare { relation, operand } => {
            of_comparison(*relation, operand.view(), hashing).into_iter().collect()
        }
        Test::In { values, patterns } => {
            let equal = values.iter().map(|value| Access::Equal(hashing.value(value.view())));
            let found: Vec<_> =
                equal.chain(patterns.iter().map(|one| of_pattern(one.shape(), hashing))).collect();
            match values.first().map(|value| value.view()) {
                _ if found.len() <= MOST => found,
                // Null is satisfied by what is missing.
                Some(View::Null) => return None,
                _ => vec![Access::Present],
            }
        }
        Test::Exists | Test::ElementMembers(_) => vec![Access::Present],
        Test::Type(types) => of_types(*types),
        Test::Size(len) => vec![Access::Equal(hashing.numbers([u64::from(ARRAY), 0, *len as u64]))],
        Test::Mod { .. } => vec![Access::Kind(NUMBER)],
        Test::Regex(pattern) => vec![of_pattern(pattern.shape(), hashing)],
        Test::Contains(operand) => vec![match operand.view() {
            View::String(text) => of_part(text),
            _ if !visited => Access::Present,
            value => Access::Equal(hashing.value(value)),
        }],
        Test::ElementValue(tests) => {
            // The element itself is among the values; what is in it is not.
            let each = tests.iter().filter(|test| visited && !test.accepts(None));
            let best =
                each.filter_map(|test| of_test(test, false, hashing)).min_by_key(|found| cost_of(found));
            best.unwrap_or_else(|| vec![Access::Present])
        }
        Test::All(tests) => match tests.first() {
            Some(_) => tests
                .iter()
                .filter_map(|test| of_test(test, visited, hashing))
                .min_by_key(|one| cost_of(one))?,
            None => Vec::new(),
        },
        Test::Not { .. } => return None,
    })
}

fn cost_of(accesses: &[Access]) -> (Option<Selectivity>, usize) {
    (accesses.iter().map(|access| access.selectivity()).max(), accesses.len())
}

/// None if it never holds.
pub(super) fn of_comparison(relation: Relation, operand: View<'_>, hashing: &Hashing) -> Option<Access> {
    let kind = bracket(operand);
    if relation == Relation::Eq || is_nan(operand) || matches!(operand, View::Null) {
        return relation.takes_equal().then(|| Access::Equal(hashing.value(operand)));
    }
    Some(match (relation, rank(operand)) {
        (_, None) => Access::Kind(kind),
        (Relation::Gt | Relation::Gte, Some(least)) => Access::Within { kind, least, most: u64::MAX },
        (_, Some(most)) => Access::Within { kind, least: 0, most },
    })
}

/// What the interval of two conditions on one path is, if they are its two ends.
pub(crate) fn interval(a: &Field, b: &Field) -> Option<Access> {
    if a.path != b.path {
        return None;
    }
    let (Some(a), Some(b)) = (end(&a.test), end(&b.test)) else { return None };
    match (a, b) {
        (Access::Within { kind, least, most: u64::MAX }, Access::Within { kind: other, least: 0, most })
            if kind == other && least != 0 && most != u64::MAX =>
        {
            Some(Access::Within { kind, least, most })
        }
        _ => None,
    }
}

/// The half of a line that a comparison is.
pub(crate) fn end(test: &Test) -> Option<Access> {
    match test {
        Test::Compare { relation, operand } if *relation != Relation::Eq => {
            // Comparisons with an order need no hash.
            of_comparison(*relation, operand.view(), &Hashing::new(0))
        }
        _ => None,
    }
}

fn of_pattern(shape: &Shape, hashing: &Hashing) -> Access {
    match shape.prefix() {
        Some(prefix) => {
            let bytes = prefix.as_bytes();
            let bytes = bytes.get(..PREFIX).unwrap_or(bytes);
            Access::Prefix(u8::try_from(bytes.len()).unwrap_or(u8::MAX), hashing.bytes(STRING, bytes))
        }
        None => match of_part(shape.literal()) {
            Access::Present => Access::Kind(STRING),
            gram => gram,
        },
    }
}

/// A part of a string: its rarest gram is thought to be in the middle, behind what many begin with.
fn of_part(text: &str) -> Access {
    let bytes = text.as_bytes();
    match bytes.len().checked_sub(GRAM) {
        Some(last) => Access::Gram(gram(bytes, last)),
        None => Access::Present,
    }
}

/// The gram that begins at this byte.
pub(crate) fn gram(bytes: &[u8], at: usize) -> u64 {
    bytes.iter().skip(at).take(GRAM).fold(0, |gram, byte| gram << 8 | u64::from(*byte))
}

fn of_types(types: TypeSet) -> Vec<Access> {
    types.kinds().map(Access::Kind).collect()
}

/// The kinds that accesses name themselves; see [`bracket`].
const NUMBER: u8 = 1;
const STRING: u8 = 2;
const ARRAY: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_order() {
        assert_eq!([bracket(View::Int(0)), bracket(View::String(""))], [NUMBER, STRING]);
    }
}
