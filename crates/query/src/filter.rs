//! A parsed query.

use crate::cbor::{self, Budget};
use crate::pattern::Searches;
use crate::term::Term;
use crate::{Document, Explanation, FilterError, Value, explain, limits, parse};

const BUDGET: Budget = Budget { bytes: limits::FILTER_BYTES, values: limits::FILTER_BYTES };

/// A query that was found to be well-formed and within the [`limits`]; matching cannot fail.
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
        cbor::measure(query, BUDGET)?;
        Ok(Self { term: parse::parse(query)?, encoded: cbor::encode(query).into() })
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
        let query = cbor::decode(bytes, BUDGET)?;
        Ok(Self { term: parse::parse(&query)?, encoded: bytes.into() })
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
    /// in which `$regex` would have to search more than [`limits::PATTERN_TEXT_BYTES`] does not match.
    pub fn matches(&self, document: &Document) -> bool {
        let searches = Searches::allowed();
        self.term.matches(document.as_value(), &searches) && !searches.are_exhausted()
    }

    /// Which conditions the document does not satisfy, for people who wonder why.
    pub fn explain(&self, document: &Document) -> Explanation {
        explain::explain(&self.term, document.as_value())
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Filter {}
