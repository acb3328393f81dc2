//! Weft's documents and the filters that select them.
//!
//! A [`Document`] is a JSON-like object that may also hold bytes, dates and 64-bit integers; it travels as
//! deterministic CBOR. A [`Filter`] is a parsed query in MongoDB's language. Both are specified for strangers
//! in `docs/spec/query.md`; `tests/vectors/query.json` holds the golden cases.
//!
//! ```
//! use weft_query::{Document, Filter, Object, Value};
//!
//! let adult = Object::from_entries(vec![("$gte".into(), Value::Int(18))])?;
//! let query = Object::from_entries(vec![("age".into(), Value::Object(adult))])?;
//! let filter = Filter::parse(&Value::Object(query))?;
//!
//! let person = Object::from_entries(vec![("age".into(), Value::Float(41.5))])?;
//! assert!(filter.matches(&Document::from_value(&Value::Object(person))?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything here is a pure function of its arguments: no IO, no clock, no randomness. Whatever comes from
//! outside (bytes, text, values) ends in a value within [`limits`] or in an error, never in a panic.

#![forbid(unsafe_code)]

mod cbor;
mod document;
mod error;
mod evaluate;
mod explain;
mod filter;
mod index;
pub mod limits;
mod literal;
mod operand;
mod order;
mod parse;
mod path;
mod pattern;
mod quoted;
mod relate;
mod summary;
mod term;
mod tree;
mod value;
mod writer;

#[cfg(feature = "json")]
pub mod json;

pub use document::Document;
pub use error::{DocumentError, FilterError};
pub use explain::{Explanation, Failure};
pub use filter::Filter;
pub use index::Index;
pub use order::{compare, same};
pub use relate::{covers, overlap};
pub use summary::Summary;
pub use tree::{Elements, Members, View};
pub use value::{DuplicateKey, Object, Value};
pub use writer::Writer;
