//! The whole of the semantics, as literally as `docs/spec/query.md` has them: it interprets the query value itself, lists every
//! value that a path leads to before it looks at any, and shares no code with the crate but the value types.

use std::cmp::Ordering;
use weft_query::{Object, Value};

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
            "$exists" => single("$exists", &Value::Bool(true), &values) == (**argument == Value::Bool(true)),
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
            (Some(Value::Array(items)), _) => items.iter().any(|item| accepts("$eq", argument, Some(item))),
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
