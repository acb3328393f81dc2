//! The golden cases of `tests/vectors/query.json`, which the tests in JavaScript run as well.
//!
//! A case is `{name, query, document, matches}` or `{name, query, error_path, error_contains}`; query and document
//! are JSON with the extended forms of `weft_query::json`.

#![allow(clippy::panic, reason = "helpers of tests, on small numbers")]

use std::collections::BTreeSet;
use weft_query::{Document, Filter, Object, Value, json};

const VECTORS: &str = include_str!("../../../tests/vectors/query.json");

struct Case(Object);

impl Case {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }

    fn name(&self) -> &str {
        self.text("name").expect("every case has a name")
    }

    fn query(&self) -> &Value {
        self.0.get("query").expect("every case has a query")
    }
}

fn cases() -> Vec<Case> {
    let Ok(Value::Array(items)) = json::parse(VECTORS) else { panic!("the vectors are an array") };
    items.into_iter().map(|item| Case(item.as_object().expect("each vector is an object").clone())).collect()
}

#[test]
fn every_golden_case_matches_or_does_not_as_it_says() {
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in cases() {
        let (Some(document), Some(Value::Bool(expected))) = (case.0.get("document"), case.0.get("matches"))
        else {
            continue;
        };
        ran += 1;
        let filter = Filter::parse(case.query()).unwrap_or_else(|error| panic!("{}: {error}", case.name()));
        let document = Document::from_value(&document.clone()).unwrap();
        // What travels must behave as what was written.
        let travelled = Filter::decode(&filter.encode()).unwrap();
        let received = Document::decode(&document.encode()).unwrap();
        let explanation = filter.explain(&document);
        if filter.matches(&document) != *expected || travelled.matches(&received) != *expected {
            wrong.push(case.name().to_owned());
        }
        assert_eq!(explanation.matches, filter.matches(&document), "{}", case.name());
        assert_eq!(explanation.matches, explanation.failures.is_empty(), "{}", case.name());
    }
    assert!(wrong.is_empty(), "wrong: {wrong:#?}");
    assert!(ran > 400, "only {ran} cases ran");
}

#[test]
fn every_golden_error_names_its_path_and_reason() {
    let mut ran = 0;
    for case in cases() {
        let (Some(path), Some(part)) = (case.text("error_path"), case.text("error_contains")) else {
            continue;
        };
        ran += 1;
        let error = Filter::parse(case.query()).err().unwrap_or_else(|| panic!("{}: no error", case.name()));
        assert_eq!(error.path(), path, "{}: {error}", case.name());
        let text = error.to_string();
        assert!(text.contains(part) && text.contains(path), "{}: {text}", case.name());
    }
    assert!(ran > 60, "only {ran} cases ran");
}

#[test]
fn every_case_is_complete_and_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for case in cases() {
        let keys: Vec<&str> = case.0.iter().map(|(key, _)| key).collect();
        assert!(
            keys == ["name", "query", "matches", "document"]
                || keys == ["name", "query", "error_path", "error_contains"],
            "{keys:?}"
        );
        assert!(names.insert(case.name().to_owned()), "twice: {}", case.name());
    }
}

/// The specification's truth table is a golden case too: conditions down, values of `a` across, ✓ for a match.
#[test]
fn the_truth_table_of_the_specification_is_true() {
    let specification = include_str!("../../../docs/spec/query.md");
    let (_, section) = specification.split_once("### Truth table").expect("the section");
    let rows: Vec<Vec<&str>> = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let [head, _, body @ ..] = rows.as_slice() else { panic!("a table has a head and a rule") };
    let documents: Vec<Document> = head[1..]
        .iter()
        .map(|cell| match *cell {
            "–" => "{}".to_owned(),
            "NaN" => r#"{"a":{"$float":"NaN"}}"#.to_owned(),
            "date 5" => r#"{"a":{"$date":5}}"#.to_owned(),
            json => format!("{{\"a\":{json}}}"),
        })
        .map(|text| Document::from_value(&json::parse(&text).expect(&text)).expect(&text))
        .collect();
    assert!(body.len() > 20 && documents.len() > 10);
    for row in body {
        // `4` or `{$eq: 4}`: the first of them. Operators are written without quotes.
        let condition = row[0].split('`').nth(1).expect("a condition in backquotes");
        let quoted = condition.replace("{$", "{\"$").replace(": ", "\": ");
        let filter = Filter::parse_json(&format!("{{\"a\":{quoted}}}")).expect(condition);
        for ((document, cell), name) in documents.iter().zip(&row[1..]).zip(&head[1..]) {
            assert_eq!(filter.matches(document), *cell == "✓", "{condition} with {name}");
        }
    }
}
