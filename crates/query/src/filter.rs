//! A parsed query.

use crate::evaluate::Truth;
use crate::limits::Budget;
use crate::term::Term;
use crate::tree::Tree;
use crate::writer::Writer;
use crate::{Document, Explanation, FilterError, Value, cbor, explain, parse};

/// A query that was found to be well-formed and within the [`limits`](crate::limits); matching cannot fail.
///
/// Two filters are equal if their queries are, whatever the order of the members.
#[derive(Clone, Debug)]
pub struct Filter {
    term: Term,
    /// The query as it travels.
    encoded: Box<[u8]>,
}

impl Filter {
    /// Parses a query; it must be an object.
    pub fn parse(query: &Value) -> Result<Self, FilterError> {
        let mut writer = Writer::of_filter();
        writer.value(query)?;
        writer.into_filter()
    }

    /// Parses a query in JSON with the extended forms of [`json`](crate::json).
    #[cfg(feature = "json")]
    pub fn parse_json(text: &str) -> Result<Self, FilterError> {
        let query =
            crate::json::parse(text).map_err(|error| FilterError::Json { reason: error.to_string() })?;
        Self::parse(&query)
    }

    /// Decodes a query from the deterministic CBOR that [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, FilterError> {
        let query = cbor::decode(bytes, Budget::FILTER)?;
        Ok(Self { term: parse::parse(query.root())?, encoded: bytes.into() })
    }

    /// The query in deterministic CBOR: equal queries have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encoded.to_vec()
    }

    /// The query in deterministic CBOR, without a copy.
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// Whether the document satisfies every condition.
    ///
    /// The time is bounded by the limits: conditions times values, and for `$regex` text times pattern. A document
    /// with more than [`PATTERN_TEXT_BYTES`](crate::limits::PATTERN_TEXT_BYTES) where a `$regex` would have to search is not selected by it.
    pub fn matches(&self, document: &Document) -> bool {
        self.term.matches(document.view()) == Truth::Yes
    }

    /// Which conditions the document does not satisfy, for people who wonder why.
    pub fn explain(&self, document: &Document) -> Explanation {
        explain::explain(&self.term, document.view())
    }
}

impl Filter {
    pub(crate) fn of_tree(query: &Tree) -> Result<Self, FilterError> {
        Ok(Self { term: parse::parse(query.root())?, encoded: cbor::encode(query.root()).into() })
    }

    pub(crate) fn term(&self) -> &Term {
        &self.term
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Filter {}
