//! Why a query is not a filter, and a value not a document.

use crate::limits;
use std::fmt;

/// Why a query is not a filter. Nothing was changed. Paths begin with `$`, the query itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A name that begins with `$` and is no operator, or not one that may stand there.
    #[error("unknown operator {operator} at {path}; {hint}")]
    UnknownOperator {
        /// The object that holds it.
        path: String,
        /// The operator, shortened if very long.
        operator: String,
        /// What to write instead.
        hint: String,
    },
    /// An operator's operand has the wrong type or form.
    #[error("bad operand at {path}: expected {expected}, found {found}")]
    BadOperand {
        /// The operator's place.
        path: String,
        /// What the operator takes.
        expected: &'static str,
        /// The type of what is there.
        found: &'static str,
    },
    /// Operators and ordinary names in one object.
    #[error(
        "operators and the name {} mixed at {path}; to compare with an object that has such names, use $eq",
        crate::quoted::Quoted(key)
    )]
    MixedNames {
        /// The object.
        path: String,
        /// The first ordinary name, shortened if very long.
        key: String,
    },
    /// A regular expression that does not compile or is beyond the limits.
    #[error("bad regular expression at {path}: {reason}")]
    BadPattern {
        /// The operator's place.
        path: String,
        /// What the compiler says.
        reason: String,
    },
    /// More conditions, patterns or steps of a path than a filter may have.
    #[error("too many {what} at {path}: the limit is {limit}")]
    TooMany {
        /// Where the limit was passed.
        path: String,
        /// What there is too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The query is too deep or too large, or its bytes are not deterministic CBOR.
    #[error("query at $: {0}")]
    Encoding(#[from] DocumentError),
    /// The text is not JSON.
    #[error("query at $: {reason}")]
    Json {
        /// What the JSON parser says, with line and column.
        reason: String,
    },
}

/// Why something is not a document. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The top is something else than an object.
    #[error("a document is an object, not {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// More than [`limits::DEPTH`] arrays and objects inside each other.
    #[error("more than {} arrays and objects inside each other", limits::DEPTH)]
    TooDeep,
    /// The encoding is too long.
    #[error("more than {limit} bytes: it has at least {len}")]
    TooLarge {
        /// Bytes that it has, as far as they were counted.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many members and elements.
    #[error("more than {limit} values")]
    TooManyValues {
        /// Values allowed.
        limit: usize,
    },
    /// Two members of one object have the same name.
    #[error("the name {} occurs twice in one object", crate::quoted::Quoted(key))]
    DuplicateKey {
        /// The name.
        key: String,
    },
    /// A date that JavaScript cannot hold; see [`limits::DATE_MILLIS`].
    #[error("a date more than {} ms from 1970", limits::DATE_MILLIS)]
    DateOutOfRange,
    /// Not CBOR, or CBOR that has no place in a document.
    #[error("byte {offset}: {reason}")]
    Malformed {
        /// Where, in bytes from the start.
        offset: usize,
        /// What.
        reason: &'static str,
    },
    /// CBOR, but not the one encoding that a document has.
    #[error("byte {offset}: not deterministic CBOR: {reason}")]
    NotDeterministic {
        /// Where, in bytes from the start.
        offset: usize,
        /// What.
        reason: &'static str,
    },
}

impl FilterError {
    /// The place of the offending term: `$` for the whole query, then `.name` and `[index]`.
    pub fn path(&self) -> &str {
        match self {
            Self::UnknownOperator { path, .. }
            | Self::BadOperand { path, .. }
            | Self::MixedNames { path, .. }
            | Self::BadPattern { path, .. }
            | Self::TooMany { path, .. } => path,
            Self::Encoding(_) | Self::Json { .. } => ROOT,
        }
    }
}

/// The query itself, in paths.
pub(crate) const ROOT: &str = "$";

/// Longest part of a query that is repeated in an error, in bytes: errors travel and are logged.
const QUOTED_BYTES: usize = 80;

/// A place in a query, as a chain on the stack: only an error turns it into text.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(crate) fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    pub(crate) fn element(&'a self, index: usize) -> Self {
        Self::Element(self, index)
    }

    pub(crate) fn unknown_operator(&self, operator: &str, hint: String) -> FilterError {
        FilterError::UnknownOperator {
            path: self.to_string(),
            operator: shortened(operator).to_owned(),
            hint,
        }
    }

    pub(crate) fn bad_operand(&self, expected: &'static str, found: &'static str) -> FilterError {
        FilterError::BadOperand { path: self.to_string(), expected, found }
    }

    pub(crate) fn mixed_names(&self, key: &str) -> FilterError {
        FilterError::MixedNames { path: self.to_string(), key: shortened(key).to_owned() }
    }

    pub(crate) fn bad_pattern(&self, reason: String) -> FilterError {
        FilterError::BadPattern { path: self.to_string(), reason }
    }

    pub(crate) fn too_many(&self, what: &'static str, limit: usize) -> FilterError {
        FilterError::TooMany { path: self.to_string(), what, limit }
    }
}

impl fmt::Display for Place<'_> {
    // Recursion as deep as the query, at most twice `limits::DEPTH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const { assert!(limits::DEPTH < 1000) };
        match self {
            Self::Root => f.write_str(ROOT),
            Self::Member(parent, name) => write!(f, "{parent}.{}", shortened(name)),
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The text, cut at a character boundary.
pub(crate) fn shortened(text: &str) -> &str {
    match text.char_indices().map(|(at, _)| at).find(|at| *at >= QUOTED_BYTES) {
        Some(end) => &text[..end],
        None => text,
    }
}
