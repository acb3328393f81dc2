//! `covers`, `overlap` and summaries against documents.

use crate::generate::{fits, objects, one, standing};
use proptest::prelude::*;
use std::collections::BTreeSet;
use weft_query::{Document, Filter, Summary, Value, covers, overlap};

fn filter(text: &str) -> Filter {
    Filter::parse_json(text).unwrap()
}

fn and(parts: Vec<Value>) -> Value {
    one("$and", Value::Array(parts))
}

/// Two queries that share some of their conditions; both within the limits of one query, which their parts together may pass.
fn related() -> impl Strategy<Value = (Value, Value)> {
    let parts = (standing(), standing(), standing());
    let related = (parts, 0u8..7).prop_map(|((a, b, c), how)| match how {
        0 => (a, b),
        1 => (a.clone(), and(vec![a, b])),
        2 => (one("$or", Value::Array(vec![a.clone(), b])), a),
        3 => (and(vec![a.clone(), b.clone()]), and(vec![b, c, a])),
        4 => (one("$nor", Value::Array(vec![a.clone()])), and(vec![a, b])),
        5 => (one("$nor", Value::Array(vec![and(vec![a.clone(), b])])), one("$nor", Value::Array(vec![a]))),
        _ => (one("$or", Value::Array(vec![a.clone(), b.clone()])), one("$or", Value::Array(vec![b, a]))),
    });
    related.prop_filter("within the limits of a query", |(a, b)| fits(a) && fits(b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_said_of_two_filters_is_true_of_every_document((a, b) in related(), documents in prop::collection::vec(objects(3), 1..12)) {
        let (a, b) = (Filter::parse(&a).unwrap(), Filter::parse(&b).unwrap());
        let (covers, overlap, reverse) = (covers(&a, &b), overlap(&a, &b), overlap(&b, &a));
        for document in documents {
            let document = Document::from_value(&document).unwrap();
            let (by_a, by_b) = (a.matches(&document), b.matches(&document));
            prop_assert!(!covers || !by_b || by_a, "{:?} is selected by b alone", document);
            prop_assert!((overlap && reverse) || !(by_a && by_b), "{:?} is selected by both", document);
        }
    }

    #[test]
    fn a_summary_never_says_no_to_what_a_filter_selects(
        queries in prop::collection::vec(standing(), 0..12), others in prop::collection::vec(standing(), 0..4),
        documents in prop::collection::vec(objects(3), 1..12), bytes in 5usize..400,
    ) {
        let parse = |queries: Vec<Value>| queries.iter().map(|query| Filter::parse(query).unwrap()).collect::<Vec<_>>();
        let (filters, others) = (parse(queries), parse(others));
        let of_these = Summary::of(&filters, bytes);
        let mut of_all = of_these.clone();
        of_all.merge(&Summary::of(&others, bytes), bytes);
        for summary in [&of_these, &of_all] {
            let encoded = summary.encode();
            prop_assert!(encoded.len() <= bytes, "{} bytes, not {}", encoded.len(), bytes);
            prop_assert_eq!(Summary::decode(&encoded), Some(summary.clone()));
        }
        for document in documents {
            let document = Document::from_value(&document).unwrap();
            let selected = |filters: &[Filter]| filters.iter().any(|filter| filter.matches(&document));
            prop_assert!(of_these.may_match(&document) || !selected(&filters), "{:?}", document);
            prop_assert!(of_all.may_match(&document) || !(selected(&filters) || selected(&others)), "{:?}", document);
        }
    }

    #[test]
    fn mutated_summaries_never_panic_and_whatever_decodes_has_only_this_encoding(
        queries in prop::collection::vec(standing(), 0..12),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        document in objects(3),
    ) {
        let filters: Vec<_> = queries.iter().map(|query| Filter::parse(query).unwrap()).collect();
        let mut bytes = Summary::of(&filters, 1000).encode();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(summary) = Summary::decode(&bytes) {
            prop_assert_eq!(summary.encode(), bytes);
            let _ = summary.may_match(&Document::from_value(&document).unwrap());
        }
    }
}

#[test]
fn a_summary_with_a_kind_that_does_not_exist_is_refused() {
    let summary = Summary::of(&[filter(r#"{"a":{"$gt":1}}"#)], 100);
    let bytes = summary.encode();
    // The head of a text of one byte is an `a`, too.
    let at = bytes.iter().position(|byte| *byte == b'a').unwrap() + 2;
    assert_eq!((bytes[at], Summary::decode(&bytes)), (1, Some(summary)));
    for kind in [8, 23] {
        let mut bytes = bytes.clone();
        bytes[at] = kind;
        assert_eq!(Summary::decode(&bytes), None);
    }
}

#[test]
fn what_people_write_is_seen_to_be_covered() {
    for (a, b) in [
        ("{}", r#"{"a":1}"#),
        (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":{"$gte":5}}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":{"$gte":5}}"#, r#"{"a":7.5}"#),
        (r#"{"a":{"$gt":5,"$lt":10}}"#, r#"{"a":{"$gte":6,"$lte":9}}"#),
        (r#"{"a":{"$in":[1,2,3]}}"#, r#"{"a":{"$in":[3.0,1]}}"#),
        (r#"{"a":{"$exists":true}}"#, r#"{"a":{"$regex":"x"}}"#),
        (r#"{"a":{"$type":"number"}}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":{"$type":["int","string"]}}"#, r#"{"a":{"$type":"string"}}"#),
        (r#"{"a":{"$regex":"^ab"}}"#, r#"{"a":{"$regex":"^abc.*d"}}"#),
        (r#"{"a":{"$regex":"b"}}"#, r#"{"a":{"$regex":"abc$"}}"#),
        (r#"{"a":{"$ne":1}}"#, r#"{"a":{"$nin":[1,2]}}"#),
        (r#"{"a":{"$not":{"$gt":9}}}"#, r#"{"a":{"$not":{"$gt":5}}}"#),
        (r#"{"$or":[{"a":1},{"b":2}]}"#, r#"{"b":2,"c":3}"#),
        (r#"{"$or":[{"a":1},{"b":2}]}"#, r#"{"$or":[{"b":2,"c":1},{"a":1}]}"#),
        (r#"{"$nor":[{"a":1,"b":2}]}"#, r#"{"$nor":[{"a":1}]}"#),
        (r#"{"a":{"$elemMatch":{"$gte":1}}}"#, r#"{"a":{"$elemMatch":{"$gte":2,"$lt":9}}}"#),
        (r#"{"a":{"$elemMatch":{"b":{"$gte":1}}}}"#, r#"{"a":{"$elemMatch":{"b":2,"c":3}}}"#),
        (r#"{"a":{"$gte":1}}"#, r#"{"a":{"$elemMatch":{"$gte":2}}}"#),
        (r#"{"tags":"x"}"#, r#"{"tags":{"$all":["x","y"]}}"#),
        (r#"{"a":{"$contains":"x"}}"#, r#"{"a":{"$contains":"x"},"b":1}"#),
    ] {
        assert!(covers(&filter(a), &filter(b)), "{a} covers {b}");
        assert!(overlap(&filter(a), &filter(b)), "{a} overlaps {b}");
    }
}

#[test]
fn what_is_not_covered_is_not_said_to_be() {
    for (a, b) in [
        (r#"{"a":1}"#, "{}"),
        (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$gte":5}}"#),
        // [1, 2] is equal to 2 and not unequal to 1.
        (r#"{"a":{"$ne":1}}"#, r#"{"a":2}"#),
        // 1.0 is equal to 1 and no int.
        (r#"{"a":{"$type":"int"}}"#, r#"{"a":1}"#),
        // A missing member is like null.
        (r#"{"a":{"$exists":true}}"#, r#"{"a":null}"#),
        (r#"{"a":{"$exists":true}}"#, r#"{"a":{"$gte":null}}"#),
        // [3, 12]: each condition by another element.
        (r#"{"a":{"$elemMatch":{"$gt":5,"$lt":10}}}"#, r#"{"a":{"$gt":5,"$lt":10}}"#),
        // Beside a text that is too long for a search.
        (r#"{"a":{"$regex":"x"}}"#, r#"{"a":"x"}"#),
        (r#"{"a":{"$size":1}}"#, r#"{"a":[1]}"#),
        (r#"{"a":{"$contains":"x"}}"#, r#"{"a":{"$contains":"xy"}}"#),
    ] {
        assert!(!covers(&filter(a), &filter(b)), "{a} does not cover {b}");
    }
}

#[test]
fn contradictions_are_seen_and_arrays_are_thought_of() {
    for (a, b) in [
        (r#"{"a":1}"#, r#"{"a":{"$ne":1}}"#),
        (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$not":{"$gte":3}}}"#),
        (r#"{"a":{"$exists":false}}"#, r#"{"a":{"$type":"string"}}"#),
        (r#"{"a":1,"b":2}"#, r#"{"$nor":[{"a":1}]}"#),
        (r#"{"$or":[{"a":1},{"a":2}]}"#, r#"{"a":{"$nin":[1,2]}}"#),
        (r#"{"a":{"$in":[]}}"#, "{}"),
        (r#"{"a":{"$all":[]}}"#, "{}"),
    ] {
        assert!(!overlap(&filter(a), &filter(b)) && !overlap(&filter(b), &filter(a)), "{a} and {b}");
    }
    for (a, b) in [(r#"{"a":1}"#, r#"{"a":2}"#), (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$lt":3}}"#)] {
        assert!(overlap(&filter(a), &filter(b)), "{a} and {b} select an array with both");
    }
}

#[test]
fn a_summary_of_very_many_paths_is_everything_and_one_with_too_many_groups_is_refused() {
    let filters: Vec<_> = (0..65).map(|n| filter(&format!(r#"{{"a{n}":{{"$exists":true}}}}"#))).collect();
    let most = Summary::of(&filters[..64], 60_000).encode();
    assert!(most.len() > 5 && Summary::decode(&most).is_some());
    assert_eq!(Summary::of(&filters, 60_000).encode().len(), 5);
    // 84 f4 80 80 98 40 …: one more entry of the kinds, by hand.
    assert_eq!(&most[..6], [0x84, 0xf4, 0x80, 0x80, 0x98, 64]);
    let mut bytes = most.clone();
    bytes[5] = 65;
    bytes.extend([0x82, 0x61, b'b', 0x01]);
    assert_eq!(Summary::decode(&bytes), None);
}

#[test]
fn a_proof_ends_even_where_there_are_very_many_ways() {
    let branches = |n: i64| format!(r#"{{"$or":[{{"a{n}":1}},{{"b{n}":1}},{{"c{n}":1}}]}}"#);
    let many: Vec<_> = (0..30).map(branches).collect();
    let filter = filter(&format!(r#"{{"$and":[{}]}}"#, many.join(",")));
    assert!(overlap(&filter, &filter) && covers(&filter, &filter));
    let other = Filter::parse_json(r#"{"z":1}"#).unwrap();
    assert!(!covers(&other, &filter));
}

#[test]
fn a_summary_of_rooms_passes_hardly_anything_of_other_rooms() {
    let query = |n: i64| format!(r#"{{"room":"r{n}","type":{{"$in":["t1","t2"]}},"price":{{"$gt":{n}}}}}"#);
    let filters: Vec<_> = (0..500).map(|n| filter(&query(n))).collect();
    let document = |n: i64, kind: &str| {
        let text = format!(r#"{{"room":"r{n}","type":"{kind}","price":1e9}}"#);
        Document::from_value(&weft_query::json::parse(&text).unwrap()).unwrap()
    };
    let mut sizes = BTreeSet::new();
    for bytes in [6000, 3100, 1600] {
        let summary = Summary::of(&filters, bytes);
        sizes.insert(summary.encode().len());
        let wrong = (500..20_500).filter(|n| summary.may_match(&document(*n, "t1"))).count();
        assert!(wrong < 200, "{wrong} of 20,000 in {bytes} bytes");
        assert!((0..500).all(|n| summary.may_match(&document(n, "t2"))));
    }
    assert_eq!(sizes.len(), 3);
    // With room for both paths, another type in the same room is nothing, either.
    let fine = Summary::of(&filters, 6000);
    let wrong = (0..500).filter(|n| fine.may_match(&document(*n, "t3"))).count();
    assert!(wrong < 10, "{wrong} of 500");
    assert_eq!(Summary::of(&filters, 5).encode().len(), 5);
    assert!(Summary::of(&[], 5).is_empty());
}
