//! The values that documents and queries are made of.

use std::cmp::Ordering;

/// A JSON-like value, with the three things that JSON lacks: 64-bit integers, bytes and dates.
///
/// `==` compares the representation: `Int(1) != Float(1.0)` and a NaN is unequal to itself. Queries compare
/// with [`same`](crate::same) instead, by value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Null, which a query can tell from a missing member only by `$exists` and `$type`.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// An integer. A number from JavaScript that is one arrives here, whatever its type there.
    Int(i64),
    /// An IEEE 754 double. Keeps -0 apart from 0 in bytes, though not in comparisons; all NaNs are one.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A moment in milliseconds since 1970-01-01T00:00:00Z, as in JavaScript.
    Date(i64),
    /// A sequence of values.
    Array(Vec<Value>),
    /// Named values.
    Object(Object),
}

impl Value {
    /// The name of the type, as `$type` spells it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "binData",
            Self::Date(_) => "date",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<Object> for Value {
    fn from(value: Object) -> Self {
        Self::Object(value)
    }
}

/// Members with unique names, always in the order of their encoding: shorter names first, equally long ones by
/// their bytes (RFC 8949, section 4.2.1).
///
/// The order in which members were written is not kept. It would not survive the encoding, so the author of a
/// document would see it otherwise than everybody else; and in this order lookup is a binary search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The object of these members, given in any order; in O(n log n), unlike repeated [`insert`](Self::insert).
    pub fn from_entries(mut entries: Vec<(String, Value)>) -> Result<Self, DuplicateKey> {
        entries.sort_unstable_by(|(a, _), (b, _)| key_order(a, b));
        match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(DuplicateKey { key: pair[0].0.clone() }),
            None => Ok(Self(entries)),
        }
    }

    /// The object of members that are in order and unique already.
    pub(crate) fn from_sorted(entries: Vec<(String, Value)>) -> Self {
        debug_assert!(entries.windows(2).all(|pair| key_order(&pair[0].0, &pair[1].0).is_lt()));
        Self(entries)
    }

    /// The member of this name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// Adds or replaces a member; returns the value that it had before.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.position(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.position(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The members, in the order of their encoding.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| key_order(other, key))
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Two members of one object have the same name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {} occurs twice in one object", crate::quoted::Quoted(key))]
pub struct DuplicateKey {
    /// The name.
    pub key: String,
}

/// The bytewise order of two names once encoded: a CBOR text string begins with its length.
pub(crate) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_listed_in_the_order_of_their_encoding() {
        let mut object = Object::new();
        for (at, key) in ["bb", "a", "", "ab", "ccc", "é"].into_iter().enumerate() {
            assert_eq!(object.insert(key, i64::try_from(at).unwrap()), None);
        }
        let keys: Vec<_> = object.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["", "a", "ab", "bb", "é", "ccc"]);
        assert_eq!(object.get("ab"), Some(&Value::Int(3)));
        assert_eq!(object.get("b"), None);
        assert_eq!(object.insert("ab", true), Some(Value::Int(3)));
        assert_eq!(object.remove("ab"), Some(Value::Bool(true)));
        assert_eq!(object.len(), 5);
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let entries = ["b", "a", "b"].map(|key| (key.to_owned(), Value::Null)).to_vec();
        assert_eq!(Object::from_entries(entries), Err(DuplicateKey { key: "b".into() }));
    }
}
