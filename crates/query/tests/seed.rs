//! The query that the project began with.

use weft_query::{Document, Filter, json};

const QUERY: &str = r#"{
    "key": "value",
    "age": {"$gt": 4},
    "$and": [{"$or": [{"name": {"$contains": "b"}}, {"name": {"$contains": "a"}}]}, {"type": {"$in": [1, 4, 5]}}]
}"#;

#[test]
fn q1_the_seed_query_selects_its_datum_and_no_near_miss() {
    let filter = Filter::parse_json(QUERY).unwrap();
    let matches = |text: &str| filter.matches(&Document::from_value(&json::parse(text).unwrap()).unwrap());
    assert!(matches(r#"{"key":"value","age":5,"name":"aaa","type":4}"#));
    let near_misses = [
        r#"{"key":"Value","age":5,"name":"aaa","type":4}"#,
        r#"{"key":"value ","age":5,"name":"aaa","type":4}"#,
        r#"{"key":null,"age":5,"name":"aaa","type":4}"#,
        r#"{"key":{"value":true},"age":5,"name":"aaa","type":4}"#,
        r#"{"age":5,"name":"aaa","type":4}"#,
        r#"{"key":"value","age":4,"name":"aaa","type":4}"#,
        r#"{"key":"value","age":4.0,"name":"aaa","type":4}"#,
        r#"{"key":"value","age":-5,"name":"aaa","type":4}"#,
        r#"{"key":"value","age":"5","name":"aaa","type":4}"#,
        r#"{"key":"value","age":null,"name":"aaa","type":4}"#,
        r#"{"key":"value","age":{"$float":"NaN"},"name":"aaa","type":4}"#,
        r#"{"key":"value","name":"aaa","type":4}"#,
        r#"{"key":"value","age":5,"name":"ccc","type":4}"#,
        r#"{"key":"value","age":5,"name":"AAA","type":4}"#,
        r#"{"key":"value","age":5,"name":"","type":4}"#,
        r#"{"key":"value","age":5,"name":["aaa"],"type":4}"#,
        r#"{"key":"value","age":5,"type":4}"#,
        r#"{"key":"value","age":5,"name":"aaa","type":2}"#,
        r#"{"key":"value","age":5,"name":"aaa","type":"4"}"#,
        r#"{"key":"value","age":5,"name":"aaa"}"#,
    ];
    assert_eq!(near_misses.len(), 20);
    for text in near_misses {
        assert!(!matches(text), "{text}");
    }
}
