//! What is published: an object within the limits.

use crate::limits::Budget;
use crate::tree::Tree;
use crate::writer::Writer;
use crate::{DocumentError, Value, View, cbor};

/// An object whose depth, size and dates are within [`limits`](crate::limits): every peer can decode it again.
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
