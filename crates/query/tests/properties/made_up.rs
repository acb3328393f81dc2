//! Queries and documents that bytes choose, of few names and values so that they often meet. Nearly every query is one that the
//! parser takes, so a fuzzer that changes the bytes gets at once to what is behind it.

use arbitrary::{Result, Unstructured};
use weft_query::{Object, Value};

/// The query and the document that the bytes stand for. Bytes that are missing are zeros.
pub(crate) fn query_and_document(bytes: &[u8]) -> (Value, Value) {
    let mut bytes = Unstructured::new(bytes);
    // Its errors are those of types that are not asked for.
    let query = query(&mut bytes, DEPTH).unwrap_or_default();
    let document = object(&mut bytes, DEPTH).unwrap_or_default();
    (query, document)
}

/// Containers in containers.
const DEPTH: usize = 4;

const NAMES: [&str; 6] = ["a", "b", "0", "1", "", "abc"];
const TYPES: [&str; 11] =
    ["int", "string", "double", "number", "long", "null", "bool", "date", "binData", "array", "object"];
const TEXT: [&str; 12] = ["a", "b", "c", "ab", "abc", ".", "1", "é", "\n", "A", "-", "\u{1f600}"];
const PATTERN: [&str; 34] = [
    "a",
    "b",
    "c",
    "ab",
    "abc",
    ".",
    "\\.",
    "1",
    "é",
    "^",
    "$",
    "*",
    "+",
    "?",
    "|",
    "(a|b)",
    "(ab)",
    "[ab]",
    "[^a]",
    "[]a]",
    "(?i)",
    "(?i:a)",
    "(?:a(b)c)",
    "\\d",
    "\\w",
    "\\b",
    "{2}",
    "{0,1}",
    "{1,}?",
    "\\x61",
    "\\<",
    "-",
    " ",
    "A",
];
const INTS: [i64; 14] = [
    0,
    1,
    2,
    -1,
    3,
    255,
    1 << 32,
    -(1 << 32),
    (1 << 53) - 1,
    (1 << 53) + 1,
    -(1 << 53) - 1,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
];
const FLOATS: [f64; 16] = [
    0.0,
    1.0,
    1.5,
    -0.0,
    -1.5,
    2.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    -9_223_372_036_854_775_808.0,
    5e-324,
    1e300,
    0.1,
    65504.0,
];

fn query(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut members = Object::new();
    for _ in 0..bytes.int_in_range(1..=3)? {
        if depth > 0 && bytes.ratio(1, 4)? {
            let logic = *bytes.choose(&["$and", "$or", "$nor"])?;
            let branches = several(bytes, 1, |bytes| query(bytes, depth - 1))?;
            members.insert(logic, Value::Array(branches));
        } else {
            let condition = match bytes.int_in_range(0..=3)? {
                0 => value(bytes, 1)?,
                _ => operators(bytes, depth)?,
            };
            members.insert(path(bytes)?, condition);
        }
    }
    Ok(Value::Object(members))
}

/// One to three operators with their operands.
fn operators(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut all = Object::new();
    for _ in 0..bytes.int_in_range(1..=3)? {
        let (name, operand) = operator(bytes, depth)?;
        if name == "$regex" {
            let options = *bytes.choose(&["", "i", "s", "m", "x", "u", "is", "imsxu"])?;
            if options.is_empty() {
                all.remove("$options")
            } else {
                all.insert("$options", options)
            };
        }
        all.insert(name, operand);
    }
    Ok(Value::Object(all))
}

fn operator(bytes: &mut Unstructured<'_>, depth: usize) -> Result<(&'static str, Value)> {
    let nested = ["$not", "$elemMatch", "$elemMatch", "$not"];
    let name = *match bytes.int_in_range(0..=3)? {
        0 if depth > 0 => bytes.choose(&nested)?,
        1 => bytes.choose(&["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])?,
        _ => bytes.choose(&[
            "$in",
            "$nin",
            "$all",
            "$exists",
            "$type",
            "$size",
            "$mod",
            "$regex",
            "$contains",
        ])?,
    };
    let operand = match name {
        "$not" => operators(bytes, depth - 1)?,
        "$elemMatch" => element(bytes, depth - 1)?,
        "$all" if depth > 0 && bytes.ratio(1, 4)? => {
            Value::Array(several(bytes, 1, |bytes| Ok(one("$elemMatch", element(bytes, depth - 1)?)))?)
        }
        "$in" | "$nin" | "$all" => Value::Array(several(bytes, 0, value_or_pattern)?),
        "$exists" => {
            bytes.choose(&[Value::Bool(true), Value::Bool(false), Value::Int(1), Value::Int(0)])?.clone()
        }
        "$type" if bytes.ratio(1, 4)? => Value::Array(several(bytes, 1, of_type)?),
        "$type" => of_type(bytes)?,
        "$size" => bytes.choose(&[Value::Int(0), Value::Int(1), Value::Int(2), Value::Float(3.0)])?.clone(),
        "$mod" => {
            let divisor = number(bytes)?;
            Value::Array(vec![divisor, number(bytes)?])
        }
        "$regex" => pattern(bytes)?,
        _ => value(bytes, 2)?,
    };
    Ok((name, operand))
}

/// The operand of `$elemMatch`.
fn element(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    if bytes.ratio(1, 2)? { query(bytes, depth) } else { operators(bytes, depth) }
}

fn value_or_pattern(bytes: &mut Unstructured<'_>) -> Result<Value> {
    if bytes.ratio(1, 4)? { Ok(one("$regex", pattern(bytes)?)) } else { value(bytes, 1) }
}

fn of_type(bytes: &mut Unstructured<'_>) -> Result<Value> {
    if bytes.ratio(1, 4)? {
        return Ok(Value::Int(*bytes.choose(&[1, 2, 3, 4, 5, 8, 9, 10, 16, 18])?));
    }
    Ok(Value::from(*bytes.choose(&TYPES)?))
}

fn number(bytes: &mut Unstructured<'_>) -> Result<Value> {
    Ok(if bytes.ratio(1, 4)? {
        Value::Float(*bytes.choose(&FLOATS)?)
    } else {
        Value::Int(*bytes.choose(&INTS)?)
    })
}

fn path(bytes: &mut Unstructured<'_>) -> Result<String> {
    let mut steps = vec![*bytes.choose(&NAMES[..4])?];
    while steps.len() < 5 && bytes.ratio(1, 3)? {
        steps.push(*bytes.choose(&NAMES)?);
    }
    Ok(steps.join("."))
}

fn value(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match bytes.int_in_range(0..=11)? {
        0 => Value::Null,
        1 => Value::Bool(bytes.ratio(1, 2)?),
        2 | 3 => Value::Int(*bytes.choose(&INTS)?),
        4 => Value::Float(*bytes.choose(&FLOATS)?),
        5 | 6 => Value::String(text(bytes, &TEXT)?),
        7 => Value::Bytes(bytes.choose(&[&[][..], &[0], &[1], &[0, 0], &[255]])?.to_vec()),
        8 => Value::Date(*bytes.choose(&[0, 1, -1, 5, 8_640_000_000_000_000, -8_640_000_000_000_000])?),
        9 | 10 if depth > 0 => Value::Array(several(bytes, 0, |bytes| value(bytes, depth - 1))?),
        11 if depth > 0 => object(bytes, depth - 1)?,
        _ => Value::Int(1),
    })
}

fn object(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let mut members = Object::new();
    for _ in 0..bytes.int_in_range(0..=4)? {
        let name = *bytes.choose(&NAMES)?;
        members.insert(name, value(bytes, depth)?);
    }
    Ok(Value::Object(members))
}

fn pattern(bytes: &mut Unstructured<'_>) -> Result<Value> {
    Ok(Value::String(text(bytes, &PATTERN)?))
}

fn text(bytes: &mut Unstructured<'_>, parts: &[&str]) -> Result<String> {
    (0..bytes.int_in_range(0..=6)?).map(|_| bytes.choose(parts).copied()).collect()
}

/// At least `least`, at most three more.
fn several(
    bytes: &mut Unstructured<'_>,
    least: usize,
    mut item: impl FnMut(&mut Unstructured<'_>) -> Result<Value>,
) -> Result<Vec<Value>> {
    (0..bytes.int_in_range(least..=least + 3)?).map(|_| item(bytes)).collect()
}

fn one(key: &str, value: Value) -> Value {
    Value::Object(Object::from_entries(vec![(key.to_owned(), value)]).unwrap())
}
