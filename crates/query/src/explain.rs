//! Why a document does not satisfy a filter.

use crate::View;
use crate::error::{ROOT, shortened};
use crate::evaluate::Truth;
use crate::limits;
use crate::quoted::{self, Quoted};
use crate::term::{Field, Logic, Term, Test};

/// The outcome of a match with what stood against it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether the document matches.
    pub matches: bool,
    /// What failed, in the order of the filter; empty if the document matches. At most
    /// [`limits::EXPLANATION_FAILURES`].
    pub failures: Vec<Failure>,
}

/// A condition that a document does not satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The condition's place in the query, such as `$.$or[1].age.$gt`.
    pub term: String,
    /// The path in the document that it looked at; empty for `$nor`.
    pub field: String,
    /// What it found there.
    pub reason: String,
}

/// Explains a match; the reasons are sentences for people.
pub(crate) fn explain(term: &Term, root: View<'_>) -> Explanation {
    let matches = term.matches(root) == Truth::Yes;
    let mut failures = Vec::new();
    if !matches {
        collect(term, root, ROOT, &mut failures);
    }
    Explanation { matches, failures }
}

/// Lists what fails below a term that does not match.
fn collect(term: &Term, root: View<'_>, place: &str, failures: &mut Vec<Failure>) {
    if failures.len() >= limits::EXPLANATION_FAILURES {
        return;
    }
    match term {
        Term::Field(field) => {
            let Field { path, test, .. } = &**field;
            let (field, operator) = (path.to_string(), test.operator());
            let mut found = Vec::new();
            path.any(root, test.leaf(), &mut |value| {
                found.push(value.map_or_else(|| "nothing".to_owned(), describe));
                found.len() >= FOUND_LISTED
            });
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            let reason = match (term.matches(root), test) {
                (Truth::Unknown, _) => {
                    format!("$regex would search more than {} bytes of text", limits::PATTERN_TEXT_BYTES)
                }
                (_, Test::Not { .. }) => format!("found {found}, which {operator} excludes"),
                _ => format!("found {found}, which does not satisfy {operator}"),
            };
            failures.push(Failure { term: format!("{place}.{field}.{operator}"), field, reason });
        }
        Term::Logic { logic, terms } => {
            let name = match logic {
                Logic::Members => None,
                Logic::And => Some("$and"),
                Logic::Or => Some("$or"),
                Logic::Nor => Some("$nor"),
            };
            for (at, term) in terms.iter().enumerate() {
                if failures.len() >= limits::EXPLANATION_FAILURES {
                    return;
                }
                let place = name.map_or_else(|| place.to_owned(), |name| format!("{place}.{name}[{at}]"));
                match (logic, term.matches(root)) {
                    (Logic::Nor, Truth::Yes) => failures.push(Failure {
                        term: place,
                        field: String::new(),
                        reason: "matches, which $nor excludes".to_owned(),
                    }),
                    (Logic::Nor, Truth::No) | (_, Truth::Yes) => {}
                    (_, Truth::No | Truth::Unknown) => collect(term, root, &place, failures),
                }
            }
        }
    }
}

/// Values that one reason lists.
const FOUND_LISTED: usize = 3;

/// A value in a few words.
fn describe(value: View<'_>) -> String {
    match value {
        View::Null => "null".to_owned(),
        View::Bool(bool) => bool.to_string(),
        View::Int(int) => int.to_string(),
        View::Float(float) => quoted::float(float),
        View::String(text) => Quoted(shortened(text)).to_string(),
        View::Bytes(bytes) => format!("{} bytes", bytes.len()),
        View::Date(millis) => format!("date {millis}"),
        View::Array(items) => format!("an array of {}", items.len()),
        View::Object(object) => format!("an object of {}", object.len()),
    }
}
