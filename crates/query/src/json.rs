//! JSON text to values and back, with extended forms for what JSON lacks.
//!
//! ```text
//! {"$date": 1700000000000}                 a date in milliseconds since 1970
//! {"$date": "2023-11-14T22:13:20.000Z"}    the same, in RFC 3339
//! {"$bytes": "AAEC"}                       bytes in base64 with padding
//! {"$int": "9007199254740993"}             a 64-bit integer that other JSON parsers would round
//! {"$float": "NaN"}                        also "Infinity", "-Infinity" and numbers
//! {"$object": {"$date": 1}}                an object that only looks like one of these
//! ```
//! Only an object with exactly this one name is an extended form. A number without fraction and exponent that
//! fits 64 bits is an integer, every other one a float; -0 is a float.

use crate::error::shortened;
use crate::quoted::Quoted;
use crate::{Object, Value, limits};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt::{self, Write as _};

/// Parses one JSON text with extended forms. The depth is bounded by `serde_json` (128); documents and filters
/// check their own, smaller limit.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    if text.len() > limits::JSON_BYTES {
        return Err(JsonError { reason: format!("more than {} bytes", limits::JSON_BYTES) });
    }
    let left = Cell::new(limits::DOCUMENT_VALUES);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed { left: &left }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    extended(value).map_err(|reason| JsonError { reason })
}

/// Writes a value as JSON in one line; [`parse`] gives back the same value, unless the text is beyond its limits: control
/// characters take six bytes, and an extended form counts as two values.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// The text is not JSON, too large, or has an extended form with a bad operand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct JsonError {
    reason: String,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self { reason: error.to_string() }
    }
}

const DATE: &str = "$date";
const BYTES: &str = "$bytes";
const INT: &str = "$int";
const FLOAT: &str = "$float";
const OBJECT: &str = "$object";
/// The largest distance from 0 within which JavaScript's numbers hold every integer, 2^53 - 1.
const SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Builds one value, counting it.
#[derive(Clone, Copy)]
struct Seed<'a> {
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(de::Error::custom(format!("more than {} values", limits::DOCUMENT_VALUES))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "as a number of JSON beyond 64 bits is: the nearest float"
        )]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            entries.push((key, members.next_value_seed(self)?));
        }
        Object::from_entries(entries).map(Value::Object).map_err(de::Error::custom)
    }
}

/// The value with its extended forms replaced by what they stand for. As deep as the value, so at most 128.
fn extended(value: Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => Ok(Value::Array(items.into_iter().map(extended).collect::<Result<_, _>>()?)),
        Value::Object(object) => match form(&object) {
            Some((OBJECT, Value::Object(_))) => match object.into_iter().next() {
                Some((_, Value::Object(inner))) => members_extended(inner),
                _ => Err(format!("{OBJECT} takes an object")),
            },
            Some((name, operand)) => stands_for(name, operand),
            None => members_extended(object),
        },
        scalar => Ok(scalar),
    }
}

fn members_extended(object: Object) -> Result<Value, String> {
    let entries = object.into_iter().map(|(key, value)| Ok((key, extended(value)?)));
    let entries = entries.collect::<Result<Vec<_>, String>>()?;
    Object::from_entries(entries).map(Value::Object).map_err(|error| error.to_string())
}

/// The name and operand of an extended form, if the object has that shape.
fn form(object: &Object) -> Option<(&'static str, &Value)> {
    let (key, operand) = object.iter().next().filter(|_| object.len() == 1)?;
    let name = [DATE, BYTES, INT, FLOAT, OBJECT].into_iter().find(|name| *name == key)?;
    Some((name, operand))
}

/// The value that an extended form other than `$object` stands for.
fn stands_for(name: &'static str, operand: &Value) -> Result<Value, String> {
    let (value, wrong) = match (name, operand) {
        (DATE, Value::Int(millis)) => return Ok(Value::Date(*millis)),
        (INT, Value::Int(int)) => return Ok(Value::Int(*int)),
        (FLOAT, Value::Float(float)) => return Ok(Value::Float(*float)),
        (DATE, Value::String(text)) => (
            date_from_rfc3339(text).map(Value::Date),
            "is no date with a time in UTC, such as 2023-11-14T22:13:20.000Z",
        ),
        (BYTES, Value::String(text)) => {
            (BASE64.decode(text).ok().map(Value::Bytes), "is not base64 with padding")
        }
        (INT, Value::String(text)) => (
            text.parse().ok().map(Value::Int),
            if is_whole(text) { "is beyond 64 bits" } else { "is no integer" },
        ),
        (FLOAT, Value::String(text)) => {
            (float_from(text).map(Value::Float), "is no finite number, NaN, Infinity or -Infinity")
        }
        _ => {
            let expected = match name {
                DATE => "whole milliseconds since 1970 or a date in RFC 3339",
                BYTES => "base64 in a string",
                INT => "a 64-bit integer, or one in a string",
                FLOAT => "a number with a fraction, or any in a string",
                _ => "an object",
            };
            return Err(format!("{name} takes {expected}, not {}", operand.type_name()));
        }
    };
    let text = if let Value::String(text) = operand { shortened(text) } else { "" };
    value.ok_or_else(|| format!("{name}: {} {wrong}", Quoted(text)))
}

/// Whether a text is an integer of any size.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// JavaScript's spelling; Rust's own parser also knows `inf` and the like.
fn float_from(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok().filter(|float: &f64| float.is_finite()),
    }
}

/// Milliseconds since 1970 of `YYYY-MM-DDThh:mm:ss[.f…]Z`; digits behind the third are cut off.
fn date_from_rfc3339(text: &str) -> Option<i64> {
    let (whole, fraction) = match text.strip_suffix('Z')?.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text.strip_suffix('Z')?, None),
    };
    let bytes = whole.as_bytes();
    let shape = b"0000-00-00T00:00:00";
    let fits = |(byte, expected): (&u8, &u8)| {
        if *expected == b'0' { byte.is_ascii_digit() } else { byte == expected }
    };
    if bytes.len() != shape.len() || !bytes.iter().zip(shape).all(fits) {
        return None;
    }
    let number =
        |range: std::ops::Range<usize>| whole.get(range).and_then(|digits| digits.parse::<i64>().ok());
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let millis = match fraction {
        None => 0,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{:0<3}", digits.get(..3).unwrap_or(digits)).parse::<i64>().ok()?
        }
        Some(_) => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

/// Days in the proleptic Gregorian calendar, counting years from March so that the leap day is last
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Int(int) if int.unsigned_abs() <= SAFE_INTEGER => out.push_str(&int.to_string()),
        Value::Int(int) => write_form(out, INT, &int.to_string()),
        Value::Float(float) if float.is_nan() => write_form(out, FLOAT, "NaN"),
        Value::Float(float) if float.is_infinite() => {
            write_form(out, FLOAT, if *float > 0.0 { "Infinity" } else { "-Infinity" });
        }
        // Debug keeps the point of 1.0, by which the reader knows that it is a float.
        Value::Float(float) => _ = write!(out, "{float:?}"),
        Value::String(text) => write_text(out, text),
        Value::Bytes(bytes) => write_form(out, BYTES, &BASE64.encode(bytes)),
        Value::Date(millis) => _ = write!(out, "{{\"{DATE}\":{millis}}}"),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                write_value(out, item);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(object) => {
            let disguised = form(object).is_some();
            if disguised {
                _ = write!(out, "{{\"{OBJECT}\":");
            }
            for (at, (key, value)) in object.iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                write_text(out, key);
                out.push(':');
                write_value(out, value);
            }
            out.push_str(if object.is_empty() { "{}" } else { "}" });
            if disguised {
                out.push('}');
            }
        }
    }
}

fn write_form(out: &mut String, name: &str, text: &str) {
    out.push_str("{\"");
    out.push_str(name);
    out.push_str("\":");
    write_text(out, text);
    out.push('}');
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => _ = write!(out, "\\u{:04x}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_fraction_that_fit_are_integers_and_all_others_floats() {
        let cases = [
            ("1", Value::Int(1)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("9223372036854775808", Value::Float(9_223_372_036_854_775_808.0)),
            ("1.0", Value::Float(1.0)),
            ("1e3", Value::Float(1000.0)),
            (r#"{"$int":"9223372036854775807"}"#, Value::Int(i64::MAX)),
            (r#"{"$float":"-Infinity"}"#, Value::Float(f64::NEG_INFINITY)),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn dates_are_read_in_milliseconds_and_in_rfc_3339() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500),
            ("2000-02-29T23:59:59.9999Z", 951_868_799_999),
            ("1969-12-31T23:59:59.001Z", -999),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(&format!(r#"{{"$date":"{text}"}}"#)), Ok(Value::Date(millis)), "{text}");
            assert_eq!(parse(&format!(r#"{{"$date":{millis}}}"#)), Ok(Value::Date(millis)), "{millis}");
        }
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01",
            "2023-01-01T00:00:00.Z",
            "é",
            "",
            "Z",
        ] {
            assert!(parse(&format!(r#"{{"$date":"{text}"}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_even_where_an_object_looks_like_an_extended_form() {
        let texts = [
            r#"{"$object":{"$date":{"$date":5}}}"#,
            r#"{"$object":{"$object":{"$bytes":"AAE="}}}"#,
            r#"{"a":2,"$date":1}"#,
            r#"["\"\\\n\u0001é",{"$float":"NaN"},-0.0,1e300,5e-324,[],{},{"$int":"9007199254740992"},9007199254740991]"#,
        ];
        for text in texts {
            let value = parse(text).unwrap();
            assert_eq!(to_string(&value), text);
        }
    }

    #[test]
    fn a_text_that_an_extended_form_cannot_use_is_quoted_with_what_is_wrong_with_it() {
        let cases = [
            (r#"{"$int":"99999999999999999999"}"#, r#"$int: "99999999999999999999" is beyond 64 bits"#),
            (r#"{"$int":"-9223372036854775809"}"#, "beyond 64 bits"),
            (r#"{"$int":"1.5"}"#, r#""1.5" is no integer"#),
            (r#"{"$int":""}"#, "is no integer"),
            (r#"{"$int":true}"#, "or one in a string, not bool"),
            (
                r#"{"$date":"2020-01-01"}"#,
                r#"$date: "2020-01-01" is no date with a time in UTC, such as 2023"#,
            ),
            (r#"{"$bytes":"!"}"#, r#""!" is not base64"#),
            (r#"{"$float":"1e999"}"#, r#""1e999" is no finite number"#),
        ];
        for (text, what) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_not_json_or_a_bad_form_is_an_error() {
        let texts = [
            "",
            "{",
            "[1,]",
            "nul",
            "1 2",
            "{\"a\":1,\"a\":2}",
            r#"{"$bytes":"!"}"#,
            r#"{"$bytes":1}"#,
            r#"{"$int":"1.5"}"#,
            r#"{"$float":"inf"}"#,
            r#"{"$object":1}"#,
            r#"{"$date":1.5}"#,
        ];
        for text in texts {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("[{}1]", "1,".repeat(limits::DOCUMENT_VALUES))).is_err());
    }
}
