//! What is said of queries: the golden cases of `tests/vectors/query-summary.json` and `tests/vectors/query-relations.json`.
//!
//! A summary's case is `{name, queries, max_bytes, cbor, documents: [{document, may_match}]}`, or `{name, cbor, refused}`
//! for bytes that are no summary; a relation's is `{name, a, b, covers, overlap}`. Queries and documents are JSON with the
//! extended forms of `weft_query::json`.

#![allow(clippy::panic, clippy::format_collect, reason = "helpers of tests, on small numbers")]

use std::collections::BTreeSet;
use weft_query::{Document, Filter, Object, Summary, Value, covers, json, overlap};

const SUMMARIES: &str = include_str!("../../../tests/vectors/query-summary.json");
const RELATIONS: &str = include_str!("../../../tests/vectors/query-relations.json");

struct Case(Object);

impl Case {
    fn get(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or_else(|| panic!("{key} is missing in {:?}", self.0.get("name")))
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).as_str().expect("text")
    }

    fn bool(&self, key: &str) -> bool {
        let Value::Bool(bool) = self.get(key) else { panic!("{key} of {}", self.text("name")) };
        *bool
    }

    fn list(&self, key: &str) -> Vec<Value> {
        let Value::Array(items) = self.get(key) else { panic!("{key} of {}", self.text("name")) };
        items.clone()
    }

    /// The names of the members.
    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key).collect()
    }

    fn filter(&self, key: &str) -> Filter {
        parse(self.get(key))
    }

    /// What bytes the case is about.
    fn cbor(&self) -> Vec<u8> {
        let digits: Vec<_> =
            self.text("cbor").chars().map(|char| char.to_digit(16).expect("hexadecimal")).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte")).collect()
    }

    fn is_refused(&self) -> bool {
        self.0.get("refused").is_some()
    }
}

fn cases(text: &str) -> Vec<Case> {
    let Ok(Value::Array(items)) = json::parse(text) else { panic!("the vectors are an array") };
    items.iter().map(case).collect()
}

fn case(value: &Value) -> Case {
    Case(value.as_object().expect("each vector is an object").clone())
}

fn parse(query: &Value) -> Filter {
    Filter::parse(query).unwrap_or_else(|error| panic!("{query:?}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_golden_summary_is_made_to_the_byte_and_says_what_may_match() {
    let mut wrong = Vec::new();
    let mut ran = 0;
    for one in cases(SUMMARIES).iter().filter(|one| !one.is_refused()) {
        let name = one.text("name");
        let filters: Vec<Filter> = one.list("queries").iter().map(parse).collect();
        let Value::Int(max_bytes) = one.get("max_bytes") else { panic!("max_bytes of {name}") };
        let made = Summary::of(&filters, usize::try_from(*max_bytes).expect("a size"));
        assert_eq!(hex(&made.encode()), one.text("cbor"), "{name}");
        let received = Summary::decode(&one.cbor()).unwrap_or_else(|| panic!("{name}: refused"));
        assert_eq!(received, made, "{name}");
        for document in one.list("documents") {
            ran += 1;
            let entry = case(&document);
            let document = Document::from_value(entry.get("document")).expect(name);
            if received.may_match(&document) != entry.bool("may_match") {
                wrong.push(format!("{name}: {}", json::to_string(&document.to_value())));
            }
            let is_selected = filters.iter().any(|filter| filter.matches(&document));
            assert!(entry.bool("may_match") || !is_selected, "{name}: a query selects {document:?}");
        }
    }
    assert!(wrong.is_empty(), "wrong: {wrong:#?}");
    assert!(ran > 250, "only {ran} documents");
}

#[test]
fn golden_bytes_that_are_no_summary_are_refused() {
    let refused: Vec<_> = cases(SUMMARIES).into_iter().filter(Case::is_refused).collect();
    let taken: Vec<_> = refused
        .iter()
        .filter(|one| Summary::decode(&one.cbor()).is_some())
        .map(|one| one.text("name"))
        .collect();
    assert!(taken.is_empty(), "taken: {taken:#?}");
    assert!(refused.len() > 35, "only {} cases ran", refused.len());
}

#[test]
fn what_is_said_of_two_golden_queries_is_what_they_say() {
    let mut wrong = Vec::new();
    let cases = cases(RELATIONS);
    for one in &cases {
        let (a, b) = (one.filter("a"), one.filter("b"));
        let (covered, both) = (covers(&a, &b), overlap(&a, &b));
        if (covered, both, overlap(&b, &a)) != (one.bool("covers"), one.bool("overlap"), one.bool("overlap"))
        {
            wrong.push(format!("{}: covers {covered}, overlap {both}", one.text("name")));
        }
    }
    assert!(wrong.is_empty(), "wrong: {wrong:#?}");
    assert!(cases.len() > 60, "only {} cases ran", cases.len());
}

#[test]
fn every_case_is_complete_and_has_a_name_of_its_own() {
    for text in [SUMMARIES, RELATIONS] {
        let mut names = BTreeSet::new();
        for case in cases(text) {
            let keys: BTreeSet<&str> = case.keys().into_iter().collect();
            let forms =
                ["name queries max_bytes cbor documents", "name cbor refused", "name a b covers overlap"];
            assert!(forms.iter().any(|form| form.split(' ').collect::<BTreeSet<_>>() == keys), "{keys:?}");
            assert!(names.insert(case.text("name").to_owned()), "twice: {}", case.text("name"));
        }
    }
}
