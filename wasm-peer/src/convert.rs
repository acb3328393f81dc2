//! JavaScript values to documents and queries, and documents back.
//!
//! | JavaScript | value | back |
//! |---|---|---|
//! | number, whole and at most 2^53 - 1 in size | Int | number |
//! | any other number: fractions, -0, NaN, infinities | Float | number |
//! | bigint within 64 bits | Int | number if at most 2^53 - 1 in size, otherwise bigint |
//! | string (a lone surrogate becomes U+FFFD) | String | string |
//! | Date (a valid one) | Date | Date |
//! | Uint8Array, ArrayBuffer | Bytes | Uint8Array |
//! | array | Array | array |
//! | object, by its own enumerable members; undefined ones are left out, and refused in queries | Object | object |
//! | RegExp, in queries only | `{$regex, $options}` | |
//!
//! Everything else, and what is nested too deeply (so also what contains itself), is refused with its path.

use std::fmt;

use js_sys::{Array, ArrayBuffer, BigInt, Date, JsString, Object as JsObject, Reflect, RegExp, Uint8Array};
use wasm_bindgen::prelude::*;
use weft_query::{Document, DocumentError, Filter, FilterError, View, Writer, limits};

use crate::failure::Failure;

#[wasm_bindgen]
extern "C" {
    // Members may be getters or behind a proxy, so reading them may throw.
    #[wasm_bindgen(js_namespace = Object, js_name = entries, catch)]
    fn entries(object: &JsValue) -> Result<Array, JsValue>;
    #[wasm_bindgen(js_namespace = ["Object", "prototype", "toString"], js_name = call, catch)]
    fn tag(value: &JsValue) -> Result<String, JsValue>;
    type TextEncoder;
    #[wasm_bindgen(constructor)]
    fn new() -> TextEncoder;
    /// With U+FFFD in place of a lone surrogate.
    #[wasm_bindgen(method)]
    fn encode(this: &TextEncoder, text: &JsString) -> Uint8Array;
    // Throws for a revoked proxy.
    #[wasm_bindgen(js_namespace = Array, js_name = isArray, catch)]
    fn is_array(value: &JsValue) -> Result<bool, JsValue>;
}

/// Texts of so many UTF-16 units are encoded by the browser at once; the glue looks at each unit, which is faster where there are few.
const LONG: u32 = 1024;

thread_local! {
    static ENCODER: TextEncoder = TextEncoder::new();
}

/// A document from JavaScript.
pub(crate) fn document(value: &JsValue) -> Result<Document, Failure> {
    let mut reader = Reader {
        code: "bad-document",
        patterns: false,
        left: limits::DOCUMENT_VALUES,
        writer: Writer::of_document(),
    };
    reader.read(value, &Place::Root, limits::DEPTH)?;
    Ok(reader.writer.into_document()?)
}

/// A query from JavaScript.
pub(crate) fn filter(value: &JsValue) -> Result<Filter, Failure> {
    let mut reader =
        Reader { code: "bad-query", patterns: true, left: limits::FILTER_BYTES, writer: Writer::of_filter() };
    reader.read(value, &Place::Root, limits::DEPTH)?;
    Ok(reader.writer.into_filter()?)
}

/// A value as JavaScript's.
pub(crate) fn to_js(value: View<'_>) -> JsValue {
    match value {
        View::Null => JsValue::NULL,
        View::Bool(bool) => bool.into(),
        View::Int(int) if int.unsigned_abs() <= MAX_SAFE => number(int),
        View::Int(int) => BigInt::from(int).into(),
        View::Float(float) => float.into(),
        View::String(text) => text.into(),
        View::Bytes(bytes) => Uint8Array::from(bytes).into(),
        View::Date(millis) => Date::new(&number(millis)).into(),
        View::Array(items) => items.iter().map(to_js).collect::<Array>().into(),
        View::Object(object) => {
            let result = JsObject::new();
            for (key, value) in object.iter() {
                set(&result, key, &to_js(value));
            }
            result.into()
        }
    }
}

/// An object of these members, of which undefined ones are left out.
pub(crate) fn record(members: &[(&str, JsValue)]) -> JsValue {
    let object = JsObject::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_undefined()) {
        set(&object, name, value);
    }
    object.into()
}

/// Up to 2^53 exact.
pub(crate) fn number(int: i64) -> JsValue {
    #[expect(clippy::cast_precision_loss, reason = "times, sizes and safe integers are below 2^53")]
    let float = int as f64;
    float.into()
}

/// 2^53 - 1: up to here JavaScript's numbers hold every integer.
const MAX_SAFE: u64 = (1 << 53) - 1;

fn set(object: &JsObject, key: &str, value: &JsValue) {
    // A fresh object takes every member; `__proto__` alone would go to a setter.
    if key == "__proto__" {
        let property = JsObject::new();
        for (name, setting) in
            [("value", value), ("enumerable", &JsValue::TRUE), ("configurable", &JsValue::TRUE)]
        {
            let _ = Reflect::set(&property, &name.into(), setting);
        }
        let _ = Reflect::define_property(object, &key.into(), &property);
    } else {
        let _ = Reflect::set(object, &key.into(), value);
    }
}

/// Reads one document or query.
struct Reader {
    /// Of the errors.
    code: &'static str,
    /// RegExp is allowed.
    patterns: bool,
    /// Values that may still come.
    left: usize,
    writer: Writer,
}

impl Reader {
    /// `depth`: arrays and objects that may still be inside each other.
    fn read(&mut self, value: &JsValue, place: &Place<'_>, depth: usize) -> Result<(), Failure> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.too_many())?;
        let written = if value.is_null() {
            self.writer.null()
        } else if let Some(float) = value.as_f64() {
            match whole(float) {
                Some(int) => self.writer.int(int),
                None => self.writer.float(float),
            }
        } else if let Some(text) = value.dyn_ref::<JsString>() {
            let text = self.text(text)?;
            self.writer.text(&text)
        } else if let Some(bool) = value.as_bool() {
            self.writer.bool(bool)
        } else if value.is_bigint() {
            match i64::try_from(value.clone().unchecked_into::<BigInt>()) {
                Ok(int) => self.writer.int(int),
                Err(_) => return Err(self.refused(place, "a bigint has at most 64 bits here")),
            }
        } else if value.is_undefined() {
            return Err(self.refused(place, self.instead_of_undefined(place)));
        } else if value.is_object() {
            return self.object(value, place, depth);
        } else {
            return Err(self.refused(place, "a function or symbol cannot travel"));
        };
        written.map_err(|error| self.beyond(error))
    }

    fn object(&mut self, value: &JsValue, place: &Place<'_>, depth: usize) -> Result<(), Failure> {
        if let Some(date) = value.dyn_ref::<Date>() {
            let millis = date.get_time();
            if millis.is_nan() {
                return Err(self.refused(place, "an invalid date cannot travel"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "a valid date is whole and below 2^53")]
            return self.writer.date(millis as i64).map_err(|error| self.beyond(error));
        }
        if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
            return self.bytes(bytes);
        }
        if let Some(buffer) = value.dyn_ref::<ArrayBuffer>() {
            return self.bytes(&Uint8Array::new(buffer));
        }
        let Some(depth) = depth.checked_sub(1) else {
            let reason =
                format!("more than {} arrays and objects inside each other, or a cycle", limits::DEPTH);
            // Of a query the language says the whole.
            return Err(self.refused(if self.patterns { &Place::Root } else { place }, &reason));
        };
        if is_array(value).unwrap_or(false) {
            return self.array(value.unchecked_ref(), place, depth);
        }
        if let Some(pattern) = value.dyn_ref::<RegExp>() {
            if !self.patterns {
                return Err(self.refused(place, "a RegExp cannot travel in a document; use its source"));
            }
            self.writer.begin().map_err(|error| self.beyond(error))?;
            self.pattern(pattern, true)?;
            return self.writer.end_object().map_err(|error| self.beyond(error));
        }
        let kind = tag(value).unwrap_or_default();
        if kind != "[object Object]" {
            let kind = kind.trim_start_matches("[object ").trim_end_matches(']').to_owned();
            return Err(self
                .refused(place, &format!("{kind} cannot travel; use plain objects, arrays or Uint8Array")));
        }
        self.members(value, place, depth)
    }

    fn members(&mut self, value: &JsValue, place: &Place<'_>, depth: usize) -> Result<(), Failure> {
        let entries = entries(value).map_err(|_| self.refused(place, "reading its members throws"))?;
        self.writer.begin().map_err(|error| self.beyond(error))?;
        for entry in entries.iter() {
            let entry: Array = entry.unchecked_into();
            let (key, value) = (entry.get(0), entry.get(1));
            // Left out of a query it would silently match more.
            if value.is_undefined() && !self.patterns {
                continue;
            }
            let key = self.text(key.unchecked_ref())?;
            let inner = Place::Member(place, &key);
            if value.is_undefined() {
                return Err(self.no_condition(&inner));
            }
            match value.dyn_ref::<RegExp>() {
                // `{$regex: /…/i}`: the flags count unless there are $options.
                Some(pattern) if self.patterns && key == "$regex" => {
                    let has_options = entries.iter().any(|entry| {
                        entry.unchecked_into::<Array>().get(0).as_string().as_deref() == Some("$options")
                    });
                    self.pattern(pattern, !has_options)?;
                }
                _ => {
                    self.writer.name(&key).map_err(|error| self.beyond(error))?;
                    self.read(&value, &inner, depth)?;
                }
            }
        }
        // Keys of an object are unique; two lone surrogates may become equal, though.
        self.writer.end_object().map_err(|error| match error {
            DocumentError::DuplicateKey { .. } => self.refused(place, &error.to_string()),
            error => self.beyond(error),
        })
    }

    fn array(&mut self, array: &Array, place: &Place<'_>, depth: usize) -> Result<(), Failure> {
        // The length is checked before anything is reserved: `new Array(2 ** 32 - 1)` costs its maker nothing.
        if array.length() as usize > self.left {
            return Err(self.too_many());
        }
        self.writer.begin().map_err(|error| self.beyond(error))?;
        for at in 0..array.length() {
            let item = Reflect::get_u32(array, at);
            let item = item.map_err(|_| self.refused(place, "reading its elements throws"))?;
            self.read(&item, &Place::Element(place, at), depth)?;
        }
        self.writer.end_array().map_err(|error| self.beyond(error))
    }

    /// `$regex` and, of the flags, those that change what matches and that the language has, as `$options`.
    fn pattern(&mut self, pattern: &RegExp, with_options: bool) -> Result<(), Failure> {
        let flags = String::from(pattern.flags());
        let options: String = flags.chars().filter(|flag| matches!(flag, 'i' | 'm' | 's')).collect();
        let mut member = |name, text: &str| {
            self.writer.name(name)?;
            self.writer.text(text)
        };
        let mut written = member("$regex", &String::from(pattern.source()));
        if with_options && !options.is_empty() {
            written = written.and_then(|()| member("$options", &options));
        }
        written.map_err(|error| self.beyond(error))
    }

    /// Refuses what is too long before it is copied.
    fn text(&self, text: &JsString) -> Result<String, Failure> {
        self.copyable(text.length())?;
        if text.length() < LONG {
            return Ok(String::from(text));
        }
        let bytes = ENCODER.with(|encoder| encoder.encode(text)).to_vec();
        // It encodes nothing else (WHATWG Encoding, section 8.2.4).
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    fn bytes(&mut self, bytes: &Uint8Array) -> Result<(), Failure> {
        self.copyable(bytes.length())?;
        self.writer.bytes(&bytes.to_vec()).map_err(|error| self.beyond(error))
    }

    fn copyable(&self, len: u32) -> Result<(), Failure> {
        let (len, document) = (len as usize, limits::DOCUMENT_BYTES);
        let limit = if self.patterns { limits::FILTER_BYTES } else { document };
        if len <= document { Ok(()) } else { Err(self.beyond(DocumentError::TooLarge { len, limit })) }
    }

    /// A limit that the writer found.
    fn beyond(&self, error: DocumentError) -> Failure {
        if self.patterns { FilterError::from(error).into() } else { error.into() }
    }

    fn too_many(&self) -> Failure {
        let limit = if self.patterns { limits::FILTER_BYTES } else { limits::DOCUMENT_VALUES };
        self.beyond(DocumentError::TooManyValues { limit })
    }

    fn instead_of_undefined(&self, place: &Place<'_>) -> &'static str {
        match (place, self.patterns) {
            (Place::Root, true) => "a query is an object, not undefined; {} matches everything",
            (Place::Root, false) => "a document is an object, not undefined",
            _ => "undefined cannot travel; use null",
        }
    }

    fn no_condition(&self, place: &Place<'_>) -> Failure {
        let hint = "leave the member out, or ask for null or {$exists: false}".to_owned();
        Failure { hint: Some(hint), ..self.refused(place, "undefined is no condition") }
    }

    fn refused(&self, place: &Place<'_>, reason: &str) -> Failure {
        let path = place.to_string();
        Failure::new(self.code, format!("{path}: {reason}")).at(path)
    }
}

/// The integer that a number is, if it is one that JavaScript holds exactly.
fn whole(float: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "exactly 2^53 - 1")]
    const MOST: f64 = MAX_SAFE as f64;
    let negative_zero = float == 0.0 && float.is_sign_negative();
    #[expect(clippy::cast_possible_truncation, reason = "whole and at most 2^53 - 1 in size")]
    (float.fract() == 0.0 && float.abs() <= MOST && !negative_zero).then_some(float as i64)
}

/// A place in a value, as a chain on the stack: only an error turns it into text.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Element(&'a Place<'a>, u32),
}

impl fmt::Display for Place<'_> {
    // Recursion as deep as the value, at most `limits::DEPTH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("$"),
            Self::Member(parent, name) => {
                let end =
                    name.char_indices().map(|(at, _)| at).find(|at| *at >= QUOTED).unwrap_or(name.len());
                write!(f, "{parent}.{}", name.get(..end).unwrap_or_default())
            }
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Longest part of a name that is repeated in an error, in bytes.
const QUOTED: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_integers_and_no_others() {
        assert_eq!(whole(9_007_199_254_740_991.0), Some(9_007_199_254_740_991));
        assert_eq!(whole(-3.0), Some(-3));
        for other in [9_007_199_254_740_992.0, 0.5, -0.0, f64::NAN, f64::INFINITY] {
            assert_eq!(whole(other), None, "{other}");
        }
    }

    #[test]
    fn a_place_reads_as_a_path_with_long_names_cut() {
        let (root, long) = (Place::Root, "é".repeat(100));
        let list = Place::Member(&root, "list");
        assert_eq!(Place::Element(&list, 3).to_string(), "$.list[3]");
        assert!(Place::Member(&root, &long).to_string().len() <= 2 + QUOTED + 1);
    }
}
