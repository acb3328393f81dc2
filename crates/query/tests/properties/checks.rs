//! What has to hold of every input, whoever made it: the fuzz targets of `crates/query/fuzz` call this with what libFuzzer
//! tries, and `corpus` with the inputs that are kept.

use crate::{made_up, naive};
use std::sync::LazyLock;
use weft_query::{Document, Filter, Index, Summary, Value, covers, json, limits, overlap};

/// Looks at one input; panics where something does not hold.
pub(crate) type Check = fn(&[u8]);

/// The fuzz targets.
pub(crate) const TARGETS: [(&str, Check); 6] = [
    ("filter_json", filter_json),
    ("filter_cbor", filter_cbor),
    ("document", document),
    ("match_cbor", match_cbor),
    ("match_values", match_values),
    ("summary", summary),
];

/// Checks one input of a target; panics where something does not hold.
pub(crate) fn check(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    check(input);
}

/// Text, as a query in JSON.
fn filter_json(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(filter) = Filter::parse_json(text) else { return };
    let value = json::parse(text).expect("a query was parsed from it");
    assert_eq!(Filter::parse(&value).as_ref(), Ok(&filter));
    assert_eq!(Filter::parse_json(&json::to_string(&value)).as_ref(), Ok(&filter));
    assert_eq!(Filter::decode(filter.as_bytes()).as_ref(), Ok(&filter));
    for document in some_documents() {
        verdict(&filter, document);
    }
}

/// CBOR, as a query.
fn filter_cbor(input: &[u8]) {
    let Ok(filter) = Filter::decode(input) else { return };
    assert_eq!(filter.encode(), input);
    let again = Filter::parse(&value_of(input)).expect("what was decoded is a query as a value, too");
    assert_eq!(again.encode(), input);
    for document in some_documents() {
        verdict(&filter, document);
    }
}

/// CBOR, as a document.
fn document(input: &[u8]) {
    let Ok(document) = Document::decode(input) else { return };
    assert_eq!(document.encode(), input);
    let value = document.to_value();
    assert_eq!(Document::from_value(&value).map(|document| document.encode()).as_deref(), Ok(input));
    let text = json::to_string(&value);
    // Dates and bytes are two values in JSON, and some characters are six bytes.
    if input.len() < limits::DOCUMENT_VALUES / 2 {
        let parsed = json::parse(&text).expect("it was just written");
        assert_eq!(Document::from_value(&parsed).map(|document| document.encode()).as_deref(), Ok(input));
        assert_eq!(json::to_string(&parsed), text);
    }
    for filter in others() {
        verdict(filter, &document);
    }
}

/// The length of the query in two bytes, a query and a document, both as CBOR.
fn match_cbor(input: &[u8]) {
    let [high, low, rest @ ..] = input else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let Some((query, document)) = rest.split_at_checked(length) else { return };
    if let (Ok(filter), Ok(document)) = (Filter::decode(query), Document::decode(document)) {
        agree(&value_of(query), &filter, &document);
    }
}

/// What to choose when a query and a document are made up.
fn match_values(input: &[u8]) {
    let (query, document) = made_up::query_and_document(input);
    let Ok(document) = Document::from_value(&document) else { return };
    assert_eq!(Document::decode(&document.encode()).as_ref(), Ok(&document));
    if let Ok(filter) = Filter::parse(&query) {
        agree(&query, &filter, &document);
        assert_eq!(Filter::decode(filter.as_bytes()).as_ref(), Ok(&filter));
    }
}

/// CBOR, as a summary.
fn summary(input: &[u8]) {
    let Some(summary) = Summary::decode(input) else { return };
    assert_eq!(summary.encode(), input);
    let of_others = summary_of_others();
    for bytes in [5, 50, 4096] {
        let mut both = summary.clone();
        both.merge(of_others, bytes);
        travels(&both, bytes);
        let mut reverse = of_others.clone();
        reverse.merge(&summary, bytes);
        travels(&reverse, bytes);
        for document in some_documents() {
            let may_match = summary.may_match(document) || of_others.may_match(document);
            assert!(both.may_match(document) || !may_match, "{document:?}");
            assert!(reverse.may_match(document) || !may_match, "{document:?}");
        }
    }
}

/// Everything that has a say in whether a filter selects a document says the same.
fn agree(query: &Value, filter: &Filter, document: &Document) {
    verdict(filter, document);
    let selected = filter.matches(document);
    // The naive evaluator does not know that too much text cannot be searched. A value is no shorter once encoded.
    if document.encode().len() <= limits::PATTERN_TEXT_BYTES {
        assert_eq!(naive::matches(query, &document.to_value()), selected, "{query:?} and {document:?}");
    }
    found_by_the_index(filter, document);
    assert!(covers(filter, filter) || !is_small(query), "{query:?} covers itself");
    assert!(overlap(filter, filter) || !selected, "{query:?} selects {document:?}");
    for other in others() {
        let by_other = other.matches(document);
        assert!(!covers(filter, other) || !by_other || selected, "{query:?} covers {other:?}: {document:?}");
        assert!(!covers(other, filter) || !selected || by_other, "{other:?} covers {query:?}: {document:?}");
        let overlap = overlap(filter, other) && overlap(other, filter);
        assert!(overlap || !selected || !by_other, "{query:?} and {other:?} select {document:?}");
    }
    for bytes in [5, 30, 1000] {
        let summary = Summary::of([filter], bytes);
        travels(&summary, bytes);
        assert!(summary.may_match(document) || !selected, "{query:?} selects {document:?}");
        let mut merged = summary_of_others().clone();
        merged.merge(&summary, bytes);
        travels(&merged, bytes);
        let selected = selected || summary_of_others().may_match(document);
        assert!(merged.may_match(document) || !selected, "{query:?} or another selects {document:?}");
    }
}

/// A match and its explanation.
fn verdict(filter: &Filter, document: &Document) {
    let explanation = filter.explain(document);
    assert_eq!(explanation.matches, filter.matches(document), "{filter:?} and {document:?}");
    assert_eq!(explanation.matches, explanation.failures.is_empty(), "{filter:?} and {document:?}");
    assert!(explanation.failures.len() <= limits::EXPLANATION_FAILURES);
}

/// Twice the filter, beside others of which some come and go.
fn found_by_the_index(filter: &Filter, document: &Document) {
    let mut filters: Vec<(usize, &Filter)> = others().iter().enumerate().collect();
    let first = filters.len();
    let mut index = Index::new(7);
    for (id, other) in &filters {
        assert!(index.insert(*id, other));
    }
    for id in [first, first + 1] {
        assert!(index.insert(id, filter));
        filters.push((id, filter));
    }
    let agrees = |index: &mut Index<usize>, filters: &[(usize, &Filter)]| {
        let mut found = Vec::new();
        index.select(document, |id| found.push(id));
        found.sort_unstable();
        let expected: Vec<_> =
            filters.iter().filter(|(_, filter)| filter.matches(document)).map(|(id, _)| *id).collect();
        assert_eq!(found, expected, "{filter:?} and {document:?}");
    };
    agrees(&mut index, &filters);
    for (id, _) in filters.extract_if(.., |(id, _)| *id == first || *id % 3 == 0) {
        assert!(index.remove(&id));
    }
    agrees(&mut index, &filters);
}

/// A summary fits and comes back from its bytes.
fn travels(summary: &Summary, bytes: usize) {
    let encoded = summary.encode();
    assert!(encoded.len() <= bytes, "{} bytes, not {bytes}", encoded.len());
    assert_eq!(Summary::decode(&encoded).as_ref(), Some(summary));
}

/// Whether a proof about the query cannot take more steps than it may.
fn is_small(query: &Value) -> bool {
    fn size(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(object) => object.iter().map(|(_, value)| size(value)).sum(),
            _ => 0,
        }
    }
    size(query) <= 40
}

/// The value of a query's bytes; a query within its limits is within those of documents.
fn value_of(query: &[u8]) -> Value {
    Document::decode(query).expect("a query is written as a document").to_value()
}

/// Documents for queries that come alone.
fn some_documents() -> &'static [Document] {
    static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(|| {
        let texts = [
            "{}",
            r#"{"a":1,"b":"ab"}"#,
            r#"{"a":[1,2.5,"abc",null,[1,[2]],{"b":1}],"b":{"a":[{"a":1},{"b":[3]}],"0":true}}"#,
            r#"{"a":{"$date":5},"b":{"$bytes":"AAEC"},"":{"":""},"0":{"$float":"NaN"},"1":{"$int":"9007199254740993"}}"#,
            r#"{"a":[[["x"]],{"0":[{"1":1}]},"é\n"],"age":42,"tags":["red","blue"],"name":{"first":"Ann"}}"#,
        ];
        texts.map(|text| Document::from_value(&parsed(text)).expect(text)).into()
    });
    &DOCUMENTS
}

/// Filters to be beside another one.
fn others() -> &'static [Filter] {
    static FILTERS: LazyLock<Vec<Filter>> = LazyLock::new(|| {
        let texts = [
            "{}",
            r#"{"a":1}"#,
            r#"{"a":{"$gt":0,"$lte":2}}"#,
            r#"{"a":"abc","b":{"$in":[1,"ab",null]}}"#,
            r#"{"a":{"$regex":"^ab"},"b":{"$ne":1}}"#,
            r#"{"a.b":{"$exists":true}}"#,
            r#"{"a":{"$elemMatch":{"b":{"$gte":1}}}}"#,
            r#"{"$or":[{"a.0":1},{"b":{"$contains":"a"}}]}"#,
            r#"{"$nor":[{"a":null},{"b":{"$type":"string"}}]}"#,
            r#"{"b":{"$not":{"$regex":"b|c"}}}"#,
            r#"{"a":{"$all":[1,2]},"a.1":{"$size":2}}"#,
            r#"{"b":{"$mod":[2,1]}}"#,
        ];
        texts.map(|text| Filter::parse(&parsed(text)).expect(text)).into()
    });
    &FILTERS
}

/// What those are interested in that select anything in particular.
fn summary_of_others() -> &'static Summary {
    static SUMMARY: LazyLock<Summary> = LazyLock::new(|| {
        let in_particular =
            others().iter().filter(|filter| !Summary::of([*filter], 4096).may_match(&some_documents()[0]));
        Summary::of(in_particular.collect::<Vec<_>>(), 4096)
    });
    &SUMMARY
}

fn parsed(text: &str) -> Value {
    json::parse(text).expect(text)
}

/// What fuzzing has found, each with the smallest query and document.
#[cfg(test)]
mod found {
    use super::*;

    fn agree_on(query: &str, document: &str) {
        let (query, document) = (parsed(query), Document::from_value(&parsed(document)).unwrap());
        agree(&query, &Filter::parse(&query).unwrap(), &document);
    }

    #[test]
    fn a_summary_finds_what_exchanged_bounds_select() {
        agree_on(r#"{"a":{"$gt":9,"$lt":5}}"#, r#"{"a":[3,12]}"#);
    }

    #[test]
    fn the_index_finds_elements_of_elements() {
        for condition in
            [r#"{"$elemMatch":{"$gt":2}}"#, r#"{"$contains":3}"#, r#"{"$all":[{"$elemMatch":{"$eq":3}}]}"#]
        {
            agree_on(&format!(r#"{{"a":{{"$elemMatch":{condition}}}}}"#), r#"{"a":[[3]]}"#);
        }
        agree_on(r#"{"a":{"$all":[{"$elemMatch":{"$elemMatch":{"$eq":3}}}]}}"#, r#"{"a":[[3]]}"#);
    }

    #[test]
    fn a_summary_of_many_paths_can_be_decoded() {
        for condition in ["1", r#"{"$exists":true}"#] {
            let query = |n: i64| Filter::parse(&parsed(&format!(r#"{{"{n}":{condition}}}"#))).unwrap();
            travels(&Summary::of(&(0..4097).map(query).collect::<Vec<_>>(), 65_536), 65_536);
        }
    }

    #[test]
    fn an_explanation_of_many_exclusions_is_bounded() {
        let branches = vec!["{}"; limits::EXPLANATION_FAILURES + 1];
        agree_on(&format!(r#"{{"$nor":[{}]}}"#, branches.join(",")), "{}");
    }
}
