//! The whole of the semantics, as literally as `docs/spec/query.md` has them: it interprets the query value itself, lists every
//! value that a path leads to before it looks at any, and shares no code with the crate but the value types and the engine of
//! regular expressions. It does not know the limit on text that is searched: no document may have that much.

use regex_lite::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use weft_query::{Object, Value};

/// Whether a query that the parser takes selects an object.
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
    conditions(operand).iter().all(|(operator, argument)| {
        let values = || {
            let whole = matches!(operator.as_str(), "$size" | "$elemMatch" | "$contains");
            if whole { values_at(&steps, document) } else { every_value(&steps, document) }
        };
        match operator.as_str() {
            "$ne" => !single("$eq", argument, &values()),
            "$nin" => !single("$in", argument, &values()),
            "$not" => !field(path, argument, document),
            "$exists" => single("$exists", &Value::Bool(true), &values()) == is_yes(argument),
            "$all" => {
                let items = list(argument);
                !items.is_empty() && items.iter().all(|item| field(path, &condition_of(item), document))
            }
            operator => single(operator, argument, &values()),
        }
    })
}

/// The operators of an object. That of `$regex` is the object itself, since `$options` belong to it.
fn conditions(operators: &Value) -> Vec<(String, &Value)> {
    let own = |(key, argument)| if key == "$regex" { (key, operators) } else { (key, argument) };
    members(operators).into_iter().filter(|(key, _)| key != "$options").map(own).collect()
}

/// An item of `$in` or `$all` as operators.
fn condition_of(item: &Value) -> Value {
    if is_operators(item) {
        return item.clone();
    }
    Value::Object(Object::from_entries(vec![("$eq".to_owned(), item.clone())]).unwrap())
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
        "$in" => list(argument).iter().any(|item| all_accept(&condition_of(item), value)),
        "$exists" => value.is_some() == is_yes(argument),
        "$type" => value.is_some_and(|value| match argument {
            Value::Array(types) => types.iter().any(|of_type| is_of(value, of_type)),
            of_type => is_of(value, of_type),
        }),
        "$size" => {
            matches!(value, Some(Value::Array(items)) if whole(argument) == Some(items.len() as i128))
        }
        "$mod" => match (value.and_then(whole_part), list(argument)) {
            (Some(dividend), [divisor, remainder]) => {
                dividend % whole(divisor).unwrap() == whole(remainder).unwrap()
            }
            _ => false,
        },
        "$regex" => matches!(value, Some(Value::String(text)) if occurs(argument, text)),
        "$contains" => match (value, argument) {
            (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
            (Some(Value::Array(items)), _) => items.iter().any(|item| accepts("$eq", argument, Some(item))),
            _ => false,
        },
        "$elemMatch" => match value {
            Some(Value::Array(items)) => items.iter().any(|item| element(argument, item)),
            _ => false,
        },
        "$ne" => !accepts("$eq", argument, value),
        "$nin" => !accepts("$in", argument, value),
        "$not" => !all_accept(argument, value),
        "$all" => {
            let items = list(argument);
            !items.is_empty() && items.iter().all(|item| all_accept(&condition_of(item), value))
        }
        other => panic!("the parser took {other}"),
    }
}

/// Whether one value satisfies all operators of an object.
fn all_accept(operators: &Value, value: Option<&Value>) -> bool {
    conditions(operators).iter().all(|(operator, argument)| accepts(operator, argument, value))
}

/// The operand of `$exists`.
fn is_yes(operand: &Value) -> bool {
    matches!(operand, Value::Bool(true) | Value::Int(1))
}

/// Whether a value is of a type that is given by name or number.
fn is_of(value: &Value, of_type: &Value) -> bool {
    let (names, number): (&[&str], i128) = match value {
        Value::Null => (&["null"], 10),
        Value::Bool(_) => (&["bool"], 8),
        Value::Int(_) => (&["int", "long", "number"], 16),
        Value::Float(_) => (&["double", "number"], 1),
        Value::String(_) => (&["string"], 2),
        Value::Bytes(_) => (&["binData"], 5),
        Value::Date(_) => (&["date"], 9),
        Value::Array(_) => (&["array"], 4),
        Value::Object(_) => (&["object"], 3),
    };
    match of_type {
        Value::String(name) => names.contains(&name.as_str()),
        other => whole(other).is_some_and(|code| code == number || (number == 16 && code == 18)),
    }
}

/// The integer that a number of a query is.
fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Float(float) if float.fract() != 0.0 => None,
        other => whole_part(other),
    }
}

/// A number without its fraction, if that is within 64 bits.
fn whole_part(value: &Value) -> Option<i128> {
    match value {
        Value::Int(int) => Some(i128::from(*int)),
        // Saturates, so that what is far beyond stays beyond; NaN would be 0.
        Value::Float(float) if !float.is_nan() => {
            Some(*float as i128).filter(|whole| i64::try_from(*whole).is_ok())
        }
        _ => None,
    }
}

/// Whether an expression, `{$regex, $options}`, occurs in a text. Compiling takes much longer than that.
fn occurs(expression: &Value, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<BTreeMap<(String, String), Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    let part = |name: &str| {
        expression.as_object().and_then(|object| object.get(name)).and_then(Value::as_str).unwrap_or_default()
    };
    let (source, options) = (part("$regex"), part("$options"));
    COMPILED.with_borrow_mut(|compiled| {
        if compiled.len() > 100 {
            compiled.clear();
        }
        let regex = compiled.entry((source.to_owned(), options.to_owned())).or_insert_with(|| {
            RegexBuilder::new(source)
                .case_insensitive(options.contains('i'))
                .multi_line(options.contains('m'))
                .dot_matches_new_line(options.contains('s'))
                .ignore_whitespace(options.contains('x'))
                .build()
                .unwrap()
        });
        regex.is_match(text)
    })
}

fn element(query: &Value, item: &Value) -> bool {
    let logical = members(query).iter().any(|(key, _)| matches!(key.as_str(), "$and" | "$or" | "$nor"));
    if is_operators(query) && !logical {
        return all_accept(query, Some(item));
    }
    match item {
        Value::Object(_) => matches(query, item),
        Value::Array(items) => {
            let named = items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect();
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
        (Value::Int(a), Value::Float(b)) => int_and_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => int_and_float(*b, *a).reverse(),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(b.is_nan().cmp(&a.is_nan())),
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

fn int_and_float(int: i64, float: f64) -> Ordering {
    if float.is_nan() {
        return Ordering::Greater;
    }
    // Floors exactly; saturates where any i64 is on the same side.
    let floor = float.floor();
    let order = i128::from(int).cmp(&(floor as i128));
    if order == Ordering::Equal && float > floor { Ordering::Less } else { order }
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
