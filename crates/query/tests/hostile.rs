//! Queries and documents made to hurt: every one ends in an error or a result, soon and without a panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests, on small numbers")]

use weft_query::{Document, DocumentError, Filter, FilterError, Object, Value, json, limits};

fn one(key: &str, value: Value) -> Value {
    Value::Object(Object::from_entries(vec![(key.into(), value)]).unwrap())
}

fn document(value: Value) -> Document {
    Document::from_value(&one("a", value)).unwrap()
}

fn filter(text: &str) -> Filter {
    Filter::parse_json(text).unwrap()
}

#[test]
fn a_query_of_a_megabyte_is_refused_whatever_it_consists_of() {
    let too_large = |len| {
        let limit = limits::FILTER_BYTES;
        Err(FilterError::Encoding(DocumentError::TooLarge { len, limit }))
    };
    let megabyte = 1 << 20;
    assert_eq!(Filter::parse(&one("a", Value::String("x".repeat(megabyte)))), too_large(megabyte + 8));
    assert_eq!(Filter::parse(&one(&"a.".repeat(megabyte / 2), Value::Null)), too_large(megabyte + 6));
    assert_eq!(Filter::decode(&vec![0xf6; megabyte]), too_large(megabyte));
    let list = Value::Array((0..200_000).map(Value::Int).collect());
    assert!(matches!(Filter::parse(&one("a", one("$in", list))), Err(FilterError::Encoding(_))));
    let text = format!("{{\"a\":{{\"$in\":[{}0]}}}}", "0,".repeat(megabyte / 2));
    assert!(Filter::parse_json(&text).is_err());
}

#[test]
fn a_query_of_depth_a_thousand_is_refused_without_deep_recursion() {
    let branches = (0..1000).fold(one("a", Value::Null), |inner, _| one("$and", Value::Array(vec![inner])));
    assert_eq!(Filter::parse(&branches), Err(FilterError::Encoding(DocumentError::TooDeep)));
    let negations = (0..1000).fold(one("$gt", Value::Null), |inner, _| one("$not", inner));
    assert_eq!(Filter::parse(&one("a", negations)), Err(FilterError::Encoding(DocumentError::TooDeep)));
    assert!(Filter::parse_json(&format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000))).is_err());
    for container in [0x81, 0xa1] {
        assert!(Filter::decode(&vec![container; 60_000]).is_err());
        assert!(Document::decode(&vec![container; 60_000]).is_err());
    }
    // a1 60: an object with an empty name, in an object with an empty name…
    assert_eq!(Document::decode(&[0xa1, 0x60].repeat(1000)), Err(DocumentError::TooDeep));
}

#[test]
fn regular_expressions_that_grow_or_backtrack_are_refused_or_harmless() {
    let bombs = [
        "(a{1000}){1000}",
        "((((a{10}){10}){10}){10}){10}",
        "(a?){500}{500}",
        "[a-z]{65535}",
        "((a*)*)*{9999}",
    ];
    for bomb in bombs {
        let result = Filter::parse(&one("a", one("$regex", Value::from(bomb))));
        assert!(matches!(result, Err(FilterError::BadPattern { .. })), "{bomb}: {result:?}");
    }
    assert!(Filter::parse(&one("a", one("$regex", Value::String("(".repeat(500))))).is_err());
    assert!(
        Filter::parse(&one(
            "a",
            one("$regex", Value::String(format!("{}a{}", "(".repeat(200), ")".repeat(200))))
        ))
        .is_err()
    );
    // Exponential in an engine that backtracks.
    let evil = filter(r#"{"a":{"$regex":"^(a+)+$"}}"#);
    assert!(!evil.matches(&document(Value::String(format!("{}b", "a".repeat(50_000))))));
    let evil = filter(r#"{"a":{"$regex":"(x+x+)+y"}}"#);
    assert!(!evil.matches(&document(Value::String("x".repeat(50_000)))));
}

#[test]
fn a_document_with_more_text_than_may_be_searched_is_not_selected_even_by_a_negation() {
    let text = |bytes| Value::String("y".repeat(bytes));
    let most = limits::PATTERN_TEXT_BYTES;
    let without = filter(r#"{"a":{"$not":{"$regex":"x"}}}"#);
    assert!(without.matches(&document(text(most - 1))));
    assert!(!without.matches(&document(text(most))));
    assert!(!without.matches(&document(Value::Array(vec![text(most / 2), text(most / 2)]))));
    let elements = filter(r#"{"a":{"$elemMatch":{"b":{"$regex":"x"}}}}"#);
    let found_late = document(Value::Array(vec![one("b", text(most - 1)), one("b", Value::from("x"))]));
    let explanation = elements.explain(&found_late);
    assert!(!explanation.matches && explanation.failures[0].reason.contains("search"), "{explanation:?}");
    // Another condition may decide all the same, whichever comes first.
    assert!(!filter(r#"{"$nor":[{"a":{"$elemMatch":{"b":{"$regex":"x"}}}}]}"#).matches(&found_late));
    assert!(filter(r#"{"$or":[{"a":{"$elemMatch":{"b":{"$regex":"x"}}}},{"c":null}]}"#).matches(&found_late));
    assert!(filter(r#"{"$nor":[{"a":{"$elemMatch":{"b":{"$regex":"x"}}},"c":1}]}"#).matches(&found_late));
    // What $regex does not look at costs nothing, and the next match starts afresh.
    let mut large = Object::new();
    large.insert("body", text(2 * most));
    large.insert("a", "y");
    let large = Document::from_value(&Value::Object(large)).unwrap();
    assert!(without.matches(&large) && without.matches(&large));
}

#[test]
fn the_most_conditions_and_steps_that_are_allowed_work() {
    let branches = (0..limits::FILTER_TERMS / 2).map(|_| one("a", Value::Int(1))).collect();
    let query = one("$and", Value::Array(branches));
    assert!(Filter::parse(&query).unwrap().matches(&document(Value::Int(1))));
    let path = vec!["a"; limits::PATH_STEPS].join(".");
    let deepest = (1..limits::PATH_STEPS).fold(Value::Int(1), |inner, _| one("a", inner));
    assert!(Filter::parse(&one(&path, Value::Int(1))).unwrap().matches(&document(deepest)));
    let query = (1..limits::DEPTH / 2)
        .fold(one("a", Value::Int(1)), |inner, _| one("$and", Value::Array(vec![inner])));
    assert!(Filter::parse(&query).unwrap().matches(&document(Value::Int(1))));
}

#[test]
fn indices_and_members_of_the_same_name_at_every_step_stay_cheap() {
    // Each array holds an object with the member "0" and each step is an index as well: two ways at every level.
    let mut value = Value::Int(7);
    for level in 0..limits::DEPTH - 2 {
        value = if level % 2 == 0 { Value::Array(vec![value]) } else { one("0", value) };
    }
    let path = format!("a{}", ".0".repeat(limits::PATH_STEPS - 1));
    let filter = Filter::parse(&one(&path, Value::Int(8))).unwrap();
    assert!(!filter.matches(&document(value)));
}

#[test]
fn an_error_does_not_repeat_what_the_sender_wrote_at_length() {
    let long = "x".repeat(30_000);
    for query in [
        one(&format!("${long}"), Value::Null),
        one("a", one(&format!("${long}"), Value::Null)),
        one("a", one("$size", Value::String(long.clone()))),
    ] {
        let error = Filter::parse(&query).unwrap_err();
        assert!(error.to_string().len() < 1000, "{}", error.to_string().len());
    }
    let deep = (0..15).fold(one("a", Value::Null), |inner, _| one(&long[..1000], one("$elemMatch", inner)));
    assert!(Filter::parse(&deep).is_ok());
    let deep = (0..15).fold(one("$x", Value::Null), |inner, _| one(&long[..1000], one("$elemMatch", inner)));
    let error = Filter::parse(&deep).unwrap_err();
    assert!(error.to_string().len() < 4000, "{}", error.to_string().len());
}

#[test]
fn an_explanation_is_bounded() {
    let branches = (0..100).map(|_| one("a", Value::Int(1))).collect();
    let filter = Filter::parse(&one("$or", Value::Array(branches))).unwrap();
    let explanation = filter.explain(&document(Value::String("y".repeat(100_000))));
    assert!(!explanation.matches);
    assert_eq!(explanation.failures.len(), limits::EXPLANATION_FAILURES);
    assert!(explanation.failures.iter().all(|failure| failure.reason.len() < 1000));
    assert_eq!(explanation.failures[1].term, "$.$or[1].a.$eq");
    assert_eq!(explanation.failures[1].field, "a");
}

#[test]
fn arbitrary_text_never_panics_as_json() {
    for text in [
        "\u{0}",
        "{\"a\":",
        "\"\\ud800\"",
        "[[[[",
        "{\"$date\":\"é-é-éTé:é:éZ\"}",
        "1e999999",
        "-",
        "{\"\":{\"\":{}}}",
    ] {
        let _: Result<_, _> = json::parse(text).map(|value| Filter::parse(&value));
    }
}
