//! What a condition compares with.

use crate::tree::{Builder, Tree};
use crate::{View, cbor};
use std::hash::{Hash, Hasher};

/// A value of a query, small if it is a scalar: an index holds very many.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Date(i64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    /// An array or object.
    Deep(Box<Tree>),
}

impl Operand {
    /// A copy of the value. Its size is bounded by the query that it stands in.
    pub(crate) fn of(view: View<'_>) -> Self {
        match view {
            View::Null => Self::Null,
            View::Bool(bool) => Self::Bool(bool),
            View::Int(int) => Self::Int(int),
            View::Float(float) => Self::Float(float),
            View::Date(millis) => Self::Date(millis),
            View::String(text) => Self::String(text.into()),
            View::Bytes(bytes) => Self::Bytes(bytes.into()),
            View::Array(_) | View::Object(_) => {
                let mut builder = Builder::default();
                builder.copy(view);
                Self::Deep(Box::new(builder.finish()))
            }
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Null => View::Null,
            Self::Bool(bool) => View::Bool(*bool),
            Self::Int(int) => View::Int(*int),
            Self::Float(float) => View::Float(*float),
            Self::Date(millis) => View::Date(*millis),
            Self::String(text) => View::String(text),
            Self::Bytes(bytes) => View::Bytes(bytes),
            Self::Deep(tree) => tree.root(),
        }
    }
}

/// By representation, as encodings are equal: NaN equals itself, 1 is not 1.0, and 0 is not -0.
impl PartialEq for Operand {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::String(a), Self::String(b)) => a == b,
            _ => cbor::encode(self.view()) == cbor::encode(other.view()),
        }
    }
}

impl Hash for Operand {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::String(text) => text.hash(state),
            _ => cbor::encode(self.view()).hash(state),
        }
    }
}
