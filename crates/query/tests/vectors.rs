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

/// The specification's truth tables are golden cases, too: conditions or queries down, values or documents across,
/// ✓ for a match.
#[test]
fn the_truth_tables_of_the_specification_are_true() {
    let mut operators: BTreeSet<&str> =
        "$and $or $nor $eq $ne $gt $gte $lt $lte $in $nin $exists $type $mod $regex $options $contains $size \
         $elemMatch $all $not"
            .split(' ')
            .collect();
    let mut wrong = Vec::new();
    let tables = truth_tables();
    assert!(tables.len() > 12, "{} tables", tables.len());
    for Table { title, of_documents, columns, rows } in &tables {
        let whole =
            |cell: &str| if *of_documents { relaxed(cell) } else { format!("{{\"a\":{}}}", relaxed(cell)) };
        let documents: Vec<Document> = columns
            .iter()
            .map(|cell| if *cell == "–" { "{}".to_owned() } else { whole(cell) })
            .map(|text| Document::from_value(&json::parse(&text).expect(&text)).expect(&text))
            .collect();
        for row in rows {
            let condition = row[0];
            assert_eq!(row.len(), columns.len() + 1, "{title}: {condition}");
            operators.retain(|operator| !condition.contains(&format!("{operator}:")));
            let filter = Filter::parse_json(&whole(condition)).expect(condition);
            for ((document, cell), column) in documents.iter().zip(&row[1..]).zip(columns) {
                if filter.matches(document) != (*cell == "✓") {
                    wrong.push(format!("{title}: {condition} with {column}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "wrong: {wrong:#?}");
    assert!(operators.is_empty(), "in no table: {operators:?}");
}

/// A table of the section, its cells without backquotes.
struct Table {
    title: &'static str,
    /// The columns are whole documents and the rows whole queries, instead of values and conditions of `a`.
    of_documents: bool,
    columns: Vec<&'static str>,
    rows: Vec<Vec<&'static str>>,
}

fn truth_tables() -> Vec<Table> {
    let specification = include_str!("../../../docs/spec/query.md");
    let (_, section) = specification.split_once("### Truth tables\n").expect("the section");
    let (section, _) = section.split_once("\n### ").expect("a section after it");
    let parse = |part: &'static str| {
        let (title, body) = part.split_once('\n').expect("a title");
        let mut lines = body.lines().filter(|line| line.starts_with('|')).map(|line| {
            let cells =
                line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).expect(line).split('|');
            cells.map(|cell| cell.trim().trim_matches('`')).collect::<Vec<_>>()
        });
        let head = lines.next().expect(title);
        assert!(matches!(head[0], "condition" | "query"), "{title}: {}", head[0]);
        let (columns, rows) = (head[1..].to_vec(), lines.skip(1).collect());
        Table { title, of_documents: head[0] == "query", columns, rows }
    };
    section.split("\n#### ").skip(1).map(parse).collect()
}

/// JSON from what the tables have: quotes around names may be left out, and the doubles that JSON lacks are words.
fn relaxed(text: &str) -> String {
    let mut json = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => 1 + rest[1..].replace("\\\"", "..").find('"').expect(text) + 1,
            '-' | '$' | '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => {
                let is_in = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '$' | '_' | '.');
                rest.find(|c| !is_in(c)).unwrap_or(rest.len())
            }
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        let is_name = after.trim_start().starts_with(':') && first != '"';
        match token {
            "NaN" | "Infinity" | "-Infinity" => json.extend(["{\"$float\":\"", token, "\"}"]),
            name if is_name => json.extend(["\"", name, "\""]),
            other => json.push_str(other),
        }
        rest = after;
    }
    json
}
