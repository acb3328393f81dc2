//! The evaluator against a deliberately naive one, which interprets the query value itself, lists every value that
//! a path leads to before it looks at any, and shares no code with the crate but the value types.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    reason = "helpers of tests, on small numbers"
)]

use proptest::prelude::*;
use std::cmp::Ordering;
use weft_query::{Document, Filter, Index, Object, Value};

/// The whole of the semantics, as literally as `docs/spec/query.md` has them.
mod naive {
    use super::{Object, Ordering, Value};

    pub(crate) fn matches(query: &Value, document: &Value) -> bool {
        members(query).into_iter().all(|(key, operand)| match key.as_str() {
            "$and" => list(operand).iter().all(|query| matches(query, document)),
            "$or" => list(operand).iter().any(|query| matches(query, document)),
            "$nor" => list(operand).iter().all(|query| !matches(query, document)),
            path => field(path, operand, document),
        })
    }

    /// One field of a query against the values at its path.
    fn field(path: &str, operand: &Value, document: &Value) -> bool {
        let steps: Vec<&str> = path.split('.').collect();
        if !is_operators(operand) {
            return single("$eq", operand, &every_value(&steps, document));
        }
        members(operand).iter().all(|(operator, argument)| {
            let whole = matches!(operator.as_str(), "$size" | "$elemMatch" | "$contains");
            let values = if whole { values_at(&steps, document) } else { every_value(&steps, document) };
            match operator.as_str() {
                "$ne" => !single("$eq", argument, &values),
                "$nin" => !single("$in", argument, &values),
                "$not" => !field(path, argument, document),
                "$exists" => {
                    single("$exists", &Value::Bool(true), &values) == (**argument == Value::Bool(true))
                }
                "$all" => {
                    let items = list(argument);
                    !items.is_empty() && items.iter().all(|item| single("$eq", item, &values))
                }
                operator => single(operator, argument, &values),
            }
        })
    }

    /// Whether one of the values satisfies an operator that is no negation.
    fn single(operator: &str, argument: &Value, values: &[Option<Value>]) -> bool {
        values.iter().any(|value| accepts(operator, argument, value.as_ref()))
    }

    fn accepts(operator: &str, argument: &Value, value: Option<&Value>) -> bool {
        let null = Value::Null;
        let ordered = |wanted: &[Ordering]| {
            let value = value.unwrap_or(&null);
            kind(value) == kind(argument)
                && relation(value, argument).is_some_and(|order| wanted.contains(&order))
        };
        match operator {
            "$eq" => ordered(&[Ordering::Equal]),
            "$gt" => ordered(&[Ordering::Greater]),
            "$gte" => ordered(&[Ordering::Greater, Ordering::Equal]),
            "$lt" => ordered(&[Ordering::Less]),
            "$lte" => ordered(&[Ordering::Less, Ordering::Equal]),
            "$in" => list(argument).iter().any(|item| accepts("$eq", item, value)),
            "$exists" => value.is_some() == (*argument == Value::Bool(true)),
            "$type" => value.is_some_and(|value| *argument == Value::String(type_name(value).into())),
            "$size" => {
                matches!((value, argument), (Some(Value::Array(items)), Value::Int(size)) if items.len() as i64 == *size)
            }
            "$mod" => match (value, list(argument)) {
                (Some(Value::Int(dividend)), [Value::Int(divisor), Value::Int(remainder)]) => {
                    i128::from(*dividend) % i128::from(*divisor) == i128::from(*remainder)
                }
                (Some(Value::Float(dividend)), [Value::Int(divisor), Value::Int(remainder)]) => {
                    dividend.is_finite() && dividend.trunc() % *divisor as f64 == *remainder as f64
                }
                _ => false,
            },
            // The generator only makes patterns of the form ^letters.
            "$regex" => {
                matches!((value, argument), (Some(Value::String(text)), Value::String(pattern)) if text.starts_with(&pattern[1..]))
            }
            "$contains" => match (value, argument) {
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                (Some(Value::Array(items)), _) => {
                    items.iter().any(|item| accepts("$eq", argument, Some(item)))
                }
                _ => false,
            },
            "$elemMatch" => match value {
                Some(Value::Array(items)) => items.iter().any(|item| element(argument, item)),
                _ => false,
            },
            "$ne" => !accepts("$eq", argument, value),
            "$nin" => !accepts("$in", argument, value),
            "$not" => !members(argument).iter().all(|(key, inner)| accepts(key, inner, value)),
            "$all" => {
                let items = list(argument);
                !items.is_empty() && items.iter().all(|item| accepts("$eq", item, value))
            }
            other => panic!("the generator made {other}"),
        }
    }

    fn element(query: &Value, item: &Value) -> bool {
        let logical = members(query).iter().any(|(key, _)| matches!(key.as_str(), "$and" | "$or" | "$nor"));
        if is_operators(query) && !logical {
            return members(query).iter().all(|(key, argument)| accepts(key, argument, Some(item)));
        }
        match item {
            Value::Object(_) => matches(query, item),
            Value::Array(items) => {
                let named =
                    items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect();
                // One level only: an array inside is an array again.
                matches(query, &Value::Object(Object::from_entries(named).unwrap()))
            }
            _ => false,
        }
    }

    /// The values at a path, and in place of every array first its elements.
    fn every_value(steps: &[&str], document: &Value) -> Vec<Option<Value>> {
        let mut all = Vec::new();
        for (value, looked_into) in at(steps, document) {
            if let (Some(Value::Array(items)), true) = (&value, looked_into) {
                all.extend(items.iter().cloned().map(Some));
            }
            all.push(value);
        }
        all
    }

    fn values_at(steps: &[&str], document: &Value) -> Vec<Option<Value>> {
        at(steps, document).into_iter().map(|(value, _)| value).collect()
    }

    /// Every value that a path leads to, and whether an array there stands for its elements too.
    fn at(steps: &[&str], value: &Value) -> Vec<(Option<Value>, bool)> {
        match (steps, value) {
            ([], value) => vec![(Some(value.clone()), true)],
            ([step, rest @ ..], Value::Object(object)) => match object.get(step) {
                Some(member) => at(rest, member),
                None => vec![(None, true)],
            },
            ([step, rest @ ..], Value::Array(items)) => {
                let mut all = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    if let Value::Object(_) = item {
                        all.extend(at(steps, item));
                    }
                    if **step == index.to_string() {
                        match (rest, item) {
                            ([], _) => all.push((Some(item.clone()), false)),
                            (_, Value::Object(_) | Value::Array(_)) => all.extend(at(rest, item)),
                            _ => {}
                        }
                    }
                }
                all
            }
            _ => vec![(None, true)],
        }
    }

    /// How two values of one kind compare; None if neither is before the other, nor equal.
    fn relation(a: &Value, b: &Value) -> Option<Ordering> {
        match (a, b) {
            (Value::Float(a), _) if a.is_nan() => {
                matches!(b, Value::Float(b) if b.is_nan()).then_some(Ordering::Equal)
            }
            (_, Value::Float(b)) if b.is_nan() => None,
            _ => Some(total(a, b)),
        }
    }

    fn total(a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Int(a), Value::Int(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
            // Exact for the generator's numbers, which an f64 holds.
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                let (a, b) = (float(a), float(b));
                a.partial_cmp(&b).unwrap_or(b.is_nan().cmp(&a.is_nan()))
            }
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => (a.len(), a).cmp(&(b.len(), b)),
            (Value::Array(a), Value::Array(b)) => {
                for (a, b) in a.iter().zip(b) {
                    if total(a, b) != Ordering::Equal {
                        return total(a, b);
                    }
                }
                a.len().cmp(&b.len())
            }
            (Value::Object(_), Value::Object(_)) => {
                let (a, b) = (members(a), members(b));
                for ((a_key, a), (b_key, b)) in a.iter().zip(&b) {
                    let order = kind(a).cmp(&kind(b)).then(a_key.cmp(b_key)).then_with(|| total(a, b));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            _ => kind(a).cmp(&kind(b)),
        }
    }

    fn float(value: &Value) -> f64 {
        match value {
            Value::Int(int) => *int as f64,
            Value::Float(float) => *float,
            _ => f64::NAN,
        }
    }

    fn kind(value: &Value) -> usize {
        let order = ["null", "number", "string", "object", "array", "binData", "bool", "date"];
        let name = match value {
            Value::Int(_) | Value::Float(_) => "number",
            other => type_name(other),
        };
        order.iter().position(|other| *other == name).unwrap()
    }

    fn type_name(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "binData",
            Value::Date(_) => "date",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    fn is_operators(value: &Value) -> bool {
        matches!(value, Value::Object(_)) && members(value).iter().any(|(key, _)| key.starts_with('$'))
    }

    fn members(value: &Value) -> Vec<(String, &Value)> {
        match value {
            Value::Object(object) => object.iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            _ => Vec::new(),
        }
    }

    fn list(value: &Value) -> &[Value] {
        match value {
            Value::Array(items) => items,
            _ => &[],
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_evaluator_agrees_with_the_naive_one(query in queries(), document in objects(3)) {
        let filter = Filter::parse(&query).unwrap();
        let matches = naive::matches(&query, &document);
        let document = Document::from_value(&document).unwrap();
        prop_assert_eq!(filter.matches(&document), matches, "{:?}", filter.explain(&document));
        prop_assert_eq!(filter.explain(&document).failures.is_empty(), matches);
        // What travels behaves as what was written.
        let travelled = Filter::decode(&filter.encode()).unwrap();
        prop_assert_eq!(travelled.matches(&Document::decode(&document.encode()).unwrap()), matches);
    }

    /// The same where query and document always meet: one path, one or two conditions.
    #[test]
    fn the_evaluator_agrees_on_values_that_are_there(condition in operators(), values in prop::collection::vec(values(2), 1..8)) {
        let query = one("a", condition);
        let filter = Filter::parse(&query).unwrap();
        for value in values {
            let document = one("a", value);
            let matches = naive::matches(&query, &document);
            prop_assert_eq!(filter.matches(&Document::from_value(&document.clone()).unwrap()), matches, "{:?}", document);
        }
    }

    #[test]
    fn a_query_made_from_a_member_of_the_document_selects_it(document in objects(3)) {
        let members: Vec<_> = document.as_object().unwrap().iter().filter(|(_, value)| !matches!(value, Value::Object(_)))
            .map(|(key, value)| (key.to_owned(), value.clone())).collect();
        let query = Value::Object(Object::from_entries(members).unwrap());
        prop_assert!(Filter::parse(&query).unwrap().matches(&Document::from_value(&document).unwrap()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_index_agrees_with_the_evaluator_whatever_comes_and_goes(
        steps in prop::collection::vec((0u8..60, prop::option::weighted(0.8, standing())), 1..200),
        documents in prop::collection::vec(objects(3), 1..12),
        seed: u64,
    ) {
        let mut index = Index::new(seed);
        let mut filters = std::collections::BTreeMap::new();
        let documents: Vec<_> = documents.iter().map(|document| Document::from_value(document).unwrap()).collect();
        for (at, (id, query)) in steps.into_iter().enumerate() {
            match query {
                Some(query) => {
                    let filter = Filter::parse(&query).unwrap();
                    prop_assert_eq!(index.insert(id, &filter), filters.insert(id, filter).is_none());
                }
                None => prop_assert_eq!(index.remove(&id), filters.remove(&id).is_some()),
            }
            prop_assert_eq!(index.len(), filters.len());
            let document = &documents[at % documents.len()];
            let mut found = Vec::new();
            index.select(document, |id| found.push(id));
            found.sort_unstable();
            let expected: Vec<u8> =
                filters.iter().filter(|(_, filter)| filter.matches(document)).map(|(id, _)| *id).collect();
            prop_assert_eq!(found, expected, "{:?}", document);
        }
    }
}

/// Queries as they stand: most have a few conditions that a document is likely to meet, some are of any form.
fn standing() -> BoxedStrategy<Value> {
    let text =
        prop::sample::select(vec!["^a", "^ab", "ab", "abc", "b$", "a.*c", "(ab|b)c", "[ab]", "", "^abcd"]);
    let condition = prop_oneof![
        4 => scalars(),
        2 => operators(),
        2 => (prop::sample::select(vec!["$gt", "$gte", "$lt", "$lte"]), scalars()).prop_map(|(operator, value)| one(operator, value)),
        2 => (prop::sample::select(vec!["$gt", "$gte"]), scalars(), prop::sample::select(vec!["$lt", "$lte"]), scalars())
            .prop_map(|(lower, least, upper, most)| Value::Object(Object::from_entries(vec![(lower.into(), least), (upper.into(), most)]).unwrap())),
        2 => text.prop_map(|pattern| one("$regex", Value::from(pattern))),
        1 => prop::sample::select(vec!["abc", "bcd", "ab"]).prop_map(|part| one("$contains", Value::from(part))),
        2 => (prop::sample::select(vec!["$ne", "$eq"]), scalars()).prop_map(|(operator, value)| one(operator, value)),
        1 => (prop::sample::select(vec!["$in", "$nin"]), lists(scalars())).prop_map(|(operator, value)| one(operator, value)),
    ];
    let field = (paths(), condition).prop_map(|(path, condition)| one(path, condition)).boxed();
    let and = prop::collection::vec(field.clone(), 1..5).prop_map(|all| one("$and", Value::Array(all)));
    let or = prop::collection::vec(and.clone(), 1..3).prop_map(|all| one("$or", Value::Array(all)));
    prop_oneof![4 => and.clone(), 2 => (or, and).prop_map(|(a, b)| one("$and", Value::Array(vec![a, b]))), 1 => queries()].boxed()
}

/// Few names, so that queries and documents meet.
fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "0", "1"]).prop_map(str::to_owned)
}

fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec(names(), 1..4).prop_map(|steps| steps.join("."))
}

/// Few values, so that they are often equal.
fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2i64..3).prop_map(Value::Int),
        prop::sample::select(vec![0.0, -0.0, 1.0, 1.5, -1.5, f64::NAN, f64::INFINITY]).prop_map(Value::Float),
        prop::sample::select(vec!["", "a", "b", "ab", "abc", "abcd"]).prop_map(Value::from),
        prop::collection::vec(0u8..2, 0..2).prop_map(Value::Bytes),
        (-1i64..2).prop_map(Value::Date),
    ]
}

fn values(depth: u32) -> BoxedStrategy<Value> {
    scalars()
        .prop_recursive(depth, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                entries(inner).prop_map(Value::Object),
            ]
        })
        .boxed()
}

fn objects(depth: u32) -> impl Strategy<Value = Value> {
    entries(values(depth)).prop_map(Value::Object)
}

fn entries(values: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Object> {
    prop::collection::btree_map(names(), values, 0..4)
        .prop_map(|entries| Object::from_entries(entries.into_iter().collect()).unwrap())
}

fn one(key: impl Into<String>, value: Value) -> Value {
    Value::Object(Object::from_entries(vec![(key.into(), value)]).unwrap())
}

fn lists(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(values, 0..4).prop_map(Value::Array)
}

/// An operator with its operand, as an object of one member.
fn operators() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        (prop::sample::select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$contains"]), values(2))
            .prop_map(|(operator, value)| one(operator, value)),
        (prop::sample::select(vec!["$in", "$nin", "$all"]), lists(values(2)))
            .prop_map(|(operator, value)| one(operator, value)),
        any::<bool>().prop_map(|yes| one("$exists", Value::Bool(yes))),
        (0i64..4).prop_map(|size| one("$size", Value::Int(size))),
        (prop::sample::select(vec![-2i64, -1, 1, 2]), -1i64..2).prop_map(|(divisor, rest)| one(
            "$mod",
            Value::Array(vec![Value::Int(divisor), Value::Int(rest)])
        )),
        prop::sample::select(vec!["^", "^a", "^ab"]).prop_map(|pattern| one("$regex", Value::from(pattern))),
        scalars().prop_map(|value| one("$type", Value::from(value.type_name()))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| {
            let mut all = Object::new();
            for (key, value) in parts.iter().flat_map(|part| part.as_object().unwrap().iter()) {
                all.insert(key, value.clone());
            }
            Value::Object(all)
        });
        prop_oneof![
            several.clone(),
            several.clone().prop_map(|operators| one("$not", operators)),
            several.clone().prop_map(|operators| one("$elemMatch", operators)),
            (paths(), several).prop_map(|(path, operators)| one("$elemMatch", one(path, operators))),
        ]
    })
    .boxed()
}

fn queries() -> BoxedStrategy<Value> {
    let field =
        (paths(), prop_oneof![3 => operators(), 1 => scalars(), 1 => lists(values(1)), 1 => objects(1)])
            .prop_map(|(path, condition)| one(path, condition));
    field
        .prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                (
                    prop::sample::select(vec!["$and", "$or", "$nor"]),
                    prop::collection::vec(inner.clone(), 1..3)
                )
                    .prop_map(|(operator, queries)| one(operator, Value::Array(queries))),
                (paths(), inner).prop_map(|(path, query)| one(path, one("$elemMatch", query))),
            ]
        })
        .boxed()
}
