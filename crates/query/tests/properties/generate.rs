//! Documents and queries that often meet.

use proptest::prelude::*;
use weft_query::{Filter, FilterError, Object, Value};

/// Queries as they stand: most have a few conditions that a document is likely to meet, some are of any form.
pub(crate) fn standing() -> BoxedStrategy<Value> {
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
    let query = prop_oneof![4 => and.clone(), 2 => (or, and).prop_map(|(a, b)| one("$and", Value::Array(vec![a, b]))), 1 => queries()];
    // A dozen conditions may all be expressions, which are more than one query may have.
    query.prop_filter("within the limits of a query", fits).boxed()
}

/// Whether a query has no more of anything than one may have.
pub(crate) fn fits(query: &Value) -> bool {
    !matches!(Filter::parse(query), Err(FilterError::TooMany { .. }))
}

/// Few names, so that queries and documents meet.
pub(crate) fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "0", "1"]).prop_map(str::to_owned)
}

pub(crate) fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec(names(), 1..4).prop_map(|steps| steps.join("."))
}

/// Few values, so that they are often equal.
pub(crate) fn scalars() -> impl Strategy<Value = Value> {
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

pub(crate) fn values(depth: u32) -> BoxedStrategy<Value> {
    scalars()
        .prop_recursive(depth, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                entries(inner).prop_map(Value::Object),
            ]
        })
        .boxed()
}

pub(crate) fn objects(depth: u32) -> impl Strategy<Value = Value> {
    entries(values(depth)).prop_map(Value::Object)
}

pub(crate) fn entries(values: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Object> {
    prop::collection::btree_map(names(), values, 0..4)
        .prop_map(|entries| Object::from_entries(entries.into_iter().collect()).unwrap())
}

pub(crate) fn one(key: impl Into<String>, value: Value) -> Value {
    Value::Object(Object::from_entries(vec![(key.into(), value)]).unwrap())
}

pub(crate) fn lists(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec(values, 0..4).prop_map(Value::Array)
}

/// An operator with its operand, as an object of one member.
pub(crate) fn operators() -> BoxedStrategy<Value> {
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

pub(crate) fn queries() -> BoxedStrategy<Value> {
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
