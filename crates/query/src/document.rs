//! What is published: an object within the limits.

use crate::tree::Tree;
use crate::writer::{Budget, Writer};
use crate::{Value, View, cbor, limits};

/// An object whose depth, size and dates are within [`limits`]: every peer can decode it again.
///
/// Equal are documents with equal encodings; NaN equals NaN here.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its root is an object.
    tree: Tree,
}

impl Document {
    /// Takes an object that fits the limits.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let mut writer = Writer::of_document();
        writer.value(value)?;
        writer.into_document()
    }

    /// Decodes deterministic CBOR (see `docs/spec/query.md`); anything that [`encode`](Self::encode) could not
    /// have written is an error. Allocates a few times however many values there are.
    pub fn decode(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::of_tree(cbor::decode(bytes, Budget::DOCUMENT)?)
    }

    /// Deterministic CBOR: documents with the same members have the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self.view())
    }

    /// The document, always a [`View::Object`].
    pub fn view(&self) -> View<'_> {
        self.tree.root()
    }

    /// The document's member of this name.
    pub fn get(&self, name: &str) -> Option<View<'_>> {
        self.view().as_object()?.get(name)
    }

    /// The document as a value of its own, always [`Value::Object`].
    pub fn to_value(&self) -> Value {
        self.view().to_value()
    }

    pub(crate) fn of_tree(tree: Tree) -> Result<Self, DocumentError> {
        match tree.root() {
            View::Object(_) => Ok(Self { tree }),
            other => Err(DocumentError::NotAnObject { found: other.type_name() }),
        }
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.encode() == other.encode()
    }
}

impl Eq for Document {}

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
    #[error("more than {limit} bytes")]
    TooLarge {
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
