//! Deterministic CBOR: the golden cases of `tests/vectors/query-encoding.json`, and what holds for all values.
//!
//! A case is `{name, document, cbor}`, to be read in both directions, or `{name, cbor, error_contains}`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::format_collect,
    reason = "helpers of tests, on small numbers"
)]

use proptest::prelude::*;
use weft_query::{Document, DocumentError, Object, Value, json, limits};

const VECTORS: &str = include_str!("../../../tests/vectors/query-encoding.json");

fn cases() -> Vec<Object> {
    let Ok(Value::Array(items)) = json::parse(VECTORS) else { panic!("the vectors are an array") };
    items.into_iter().map(|item| item.as_object().expect("each vector is an object").clone()).collect()
}

fn text<'o>(case: &'o Object, key: &str) -> Option<&'o str> {
    case.get(key).and_then(Value::as_str)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|char| char.to_digit(16).expect("hexadecimal")).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_documents_encode_and_decode_to_the_byte() {
    let mut ran = 0;
    for case in cases() {
        let Some(value) = case.get("document") else { continue };
        ran += 1;
        let (name, cbor) = (text(&case, "name").unwrap(), text(&case, "cbor").unwrap());
        let document = Document::from_value(&value.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(to_hex(&document.encode()), cbor, "{name}");
        let decoded = Document::decode(&hex(cbor)).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Through text, because a NaN is unequal to itself.
        assert_eq!(json::to_string(&decoded.to_value()), json::to_string(value), "{name}");
    }
    assert!(ran > 60, "only {ran} cases ran");
}

#[test]
fn golden_malformed_documents_are_refused_for_the_stated_reason() {
    let mut ran = 0;
    for case in cases() {
        let Some(part) = text(&case, "error_contains") else { continue };
        ran += 1;
        let (name, cbor) = (text(&case, "name").unwrap(), text(&case, "cbor").unwrap());
        let error = Document::decode(&hex(cbor)).err().unwrap_or_else(|| panic!("{name}: no error"));
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
    assert!(ran > 60, "only {ran} cases ran");
}

#[test]
fn every_half_precision_float_travels_in_three_bytes() {
    for bits in 0..=u16::MAX {
        let [high, low] = bits.to_be_bytes();
        let bytes = [0xa1, 0x61, b'a', 0xf9, high, low];
        let is_nan = bits & 0x7c00 == 0x7c00 && bits & 0x03ff != 0;
        match Document::decode(&bytes) {
            Ok(document) => assert_eq!(document.encode(), bytes),
            Err(error) => assert!(is_nan && bits != 0x7e00, "{bits:04x}: {error}"),
        }
    }
}

#[test]
fn what_is_beyond_a_limit_is_refused_in_both_directions() {
    let document = |value| {
        Document::from_value(&Value::Object(Object::from_entries(vec![("a".into(), value)]).unwrap()))
    };
    let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert!(document(nested(limits::DEPTH - 1)).is_ok());
    assert_eq!(document(nested(limits::DEPTH)), Err(DocumentError::TooDeep));

    let nulls = |len| Value::Array(vec![Value::Null; len]);
    let full = document(nulls(limits::DOCUMENT_VALUES - 2)).unwrap();
    assert_eq!(Document::decode(&full.encode()).as_ref(), Ok(&full));
    let too_many = DocumentError::TooManyValues { limit: limits::DOCUMENT_VALUES };
    assert_eq!(document(nulls(limits::DOCUMENT_VALUES - 1)), Err(too_many.clone()));
    // The same array with one more null, by hand: a1 6161 9a…, the length, and the nulls.
    let mut bytes = full.encode();
    let len = u32::try_from(limits::DOCUMENT_VALUES - 1).unwrap();
    bytes[4..8].copy_from_slice(&len.to_be_bytes());
    bytes.push(0xf6);
    assert_eq!(Document::decode(&bytes), Err(too_many));

    // a1 6161 5a…: nine bytes around the content.
    let large = |len| Value::Bytes(vec![0; len]);
    let full = document(large(limits::DOCUMENT_BYTES - 8)).unwrap();
    assert_eq!(full.encode().len(), limits::DOCUMENT_BYTES);
    assert_eq!(Document::decode(&full.encode()), Ok(full));
    let len = limits::DOCUMENT_BYTES + 1;
    let too_large = DocumentError::TooLarge { len, limit: limits::DOCUMENT_BYTES };
    assert_eq!(too_large.to_string(), "more than 16777216 bytes: it has at least 16777217");
    assert_eq!(document(large(limits::DOCUMENT_BYTES - 7)), Err(too_large.clone()));
    assert_eq!(Document::decode(&vec![0; limits::DOCUMENT_BYTES + 1]), Err(too_large));

    assert_eq!(document(Value::Date(limits::DATE_MILLIS + 1)), Err(DocumentError::DateOutOfRange));
    assert_eq!(document(Value::Date(i64::MIN)), Err(DocumentError::DateOutOfRange));
    assert_eq!(Document::from_value(&Value::Null), Err(DocumentError::NotAnObject { found: "null" }));
}

proptest! {
    #[test]
    fn any_document_comes_back_from_bytes_and_from_text(object in objects()) {
        let document = Document::from_value(&object).unwrap();
        let bytes = document.encode();
        let decoded = Document::decode(&bytes).unwrap();
        prop_assert_eq!(decoded.encode(), bytes.clone());
        let text = json::to_string(&document.to_value());
        prop_assert_eq!(json::to_string(&decoded.to_value()), text.clone());
        let parsed = Document::from_value(&json::parse(&text).unwrap()).unwrap();
        prop_assert_eq!(parsed.encode(), bytes);
    }

    #[test]
    fn mutated_bytes_never_panic_and_whatever_decodes_has_only_this_encoding(
        object in objects(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: bool
    ) {
        let mut bytes = Document::from_value(&object).unwrap().encode();
        for (at, byte) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if cut {
            bytes.truncate(edits[0].0.index(bytes.len()));
        }
        if let Ok(document) = Document::decode(&bytes) {
            prop_assert_eq!(document.encode(), bytes);
        }
    }
}

fn objects() -> impl Strategy<Value = Value> {
    let scalars = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-300i64..300).prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        any::<f32>().prop_map(|float| Value::Float(f64::from(float))),
        any::<String>().prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        (-limits::DATE_MILLIS..=limits::DATE_MILLIS).prop_map(Value::Date),
    ];
    let values = scalars.prop_recursive(4, 40, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..30).prop_map(Value::Array),
            prop::collection::btree_map(keys(), inner, 0..8).prop_map(object_of),
        ]
    });
    prop::collection::btree_map(keys(), values, 0..8).prop_map(object_of)
}

/// Names of which some look like extended forms.
fn keys() -> impl Strategy<Value = String> {
    prop_oneof![4 => any::<String>(), 1 => prop::sample::select(vec!["$date", "$bytes", "$int", "$float", "$object"]).prop_map(str::to_owned)]
}

fn object_of(entries: std::collections::BTreeMap<String, Value>) -> Value {
    Value::Object(Object::from_entries(entries.into_iter().collect()).unwrap())
}
