//! Deterministic CBOR (RFC 8949, section 4.2.1) for values: equal documents have equal bytes.
//!
//! ```text
//! null, booleans   f6, f4, f5
//! Int              shortest integer
//! Float            shortest of f16, f32, f64 that keeps the value; NaN is always f9 7e00; -0 stays f9 8000
//! String, Bytes    definite length
//! Date             d9 03e9 a2 01 <whole seconds, rounded down> 22 <milliseconds 0..=999>
//! Array, Object    definite length; names sorted by their encoded bytes, unique
//! ```
//! A date is tag 1001 (RFC 9581, extended time) with the keys 1 (seconds) and -3 (milliseconds). Tag 1 would be
//! shorter but counts in seconds: milliseconds would travel as a fraction that no float holds exactly.

use crate::document::DocumentError;
use crate::value::key_order;
use crate::{Object, Value, limits};
use minicbor::data::{IanaTag, Tag, Type};
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};
use std::convert::Infallible;

/// Extended time, RFC 9581.
const EXTENDED_TIME: Tag = Tag::new(1001);
/// The head of a date's map, its two keys and its tag.
const DATE_FRAME_BYTES: usize = 3 + 1 + 1 + 1;

/// What a value may cost; a document and a query differ only in these.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    /// Bytes of the encoding.
    pub(crate) bytes: usize,
    /// Values of every kind.
    pub(crate) values: usize,
}

/// The value in bytes. The caller has [`measure`]d it, so its depth is bounded.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // Appending to a Vec is infallible, and the encoder has no other error.
    let _: Result<(), EncodeError<Infallible>> = write(&mut encoder, value);
    encoder.into_writer()
}

/// The value that the bytes encode, if they are its one deterministic encoding.
pub(crate) fn decode(bytes: &[u8], budget: Budget) -> Result<Value, DocumentError> {
    if bytes.len() > budget.bytes {
        return Err(DocumentError::TooLarge { limit: budget.bytes });
    }
    let mut reader = Reader { decoder: Decoder::new(bytes), values: 0, budget };
    let value = reader.value(0)?;
    match reader.decoder.position() {
        end if end == bytes.len() => Ok(value),
        offset => Err(DocumentError::Malformed { offset, reason: "bytes after the end" }),
    }
}

/// Checks a value that did not come from bytes against the same limits; returns the size of its encoding.
pub(crate) fn measure(value: &Value, budget: Budget) -> Result<usize, DocumentError> {
    let mut meter = Meter { bytes: 0, values: 0, budget };
    meter.value(value, 0)?;
    Ok(meter.bytes)
}

fn write(encoder: &mut Encoder<Vec<u8>>, value: &Value) -> Result<(), EncodeError<Infallible>> {
    match value {
        Value::Null => encoder.null()?.ok(),
        Value::Bool(bool) => encoder.bool(*bool)?.ok(),
        Value::Int(int) => encoder.i64(*int)?.ok(),
        Value::Float(float) => write_float(encoder, *float),
        Value::String(text) => encoder.str(text)?.ok(),
        Value::Bytes(bytes) => encoder.bytes(bytes)?.ok(),
        Value::Date(millis) => {
            encoder.tag(EXTENDED_TIME)?.map(2)?;
            encoder.i8(1)?.i64(millis.div_euclid(1000))?;
            encoder.i8(-3)?.i64(millis.rem_euclid(1000))?.ok()
        }
        Value::Array(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write(encoder, item))
        }
        Value::Object(object) => {
            encoder.map(object.len() as u64)?;
            object.iter().try_for_each(|(key, value)| write(encoder.str(key)?, value))
        }
    }
}

fn write_float(encoder: &mut Encoder<Vec<u8>>, float: f64) -> Result<(), EncodeError<Infallible>> {
    #[expect(clippy::cast_possible_truncation, reason = "float_bytes says that the value survives")]
    let single = float as f32;
    match float_bytes(float) {
        // One NaN for all: sign and payload are not part of the value.
        3 if float.is_nan() => encoder.f16(f32::from_bits(0x7fc0_0000))?.ok(),
        3 => encoder.f16(single)?.ok(),
        5 => encoder.f32(single)?.ok(),
        _ => encoder.f64(float)?.ok(),
    }
}

struct Reader<'b> {
    decoder: Decoder<'b>,
    values: usize,
    budget: Budget,
}

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Result<Value, DocumentError> {
        let start = self.decoder.position();
        self.values += 1;
        if self.values > self.budget.values {
            return Err(DocumentError::TooManyValues { limit: self.budget.values });
        }
        match self.decoder.datatype().map_err(|_| malformed(start))? {
            Type::Null => self.decoder.null().map(|()| Value::Null).map_err(|_| malformed(start)),
            Type::Bool => self.decoder.bool().map(Value::Bool).map_err(|_| malformed(start)),
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => self.int().map(Value::Int),
            Type::F16 | Type::F32 | Type::F64 => self.float().map(Value::Float),
            Type::String => self.text().map(Value::String),
            Type::Bytes => self.bytes().map(Value::Bytes),
            Type::Tag => self.date().map(Value::Date),
            Type::Array => self.array(depth + 1).map(Value::Array),
            Type::Map => self.object(depth + 1).map(Value::Object),
            Type::ArrayIndef | Type::MapIndef | Type::BytesIndef | Type::StringIndef => {
                Err(not_deterministic(start, "indefinite length"))
            }
            Type::Undefined | Type::Simple | Type::Break | Type::Unknown(_) => {
                Err(DocumentError::Malformed { offset: start, reason: "not a value of documents" })
            }
        }
    }

    fn int(&mut self) -> Result<i64, DocumentError> {
        let start = self.decoder.position();
        let int = self.decoder.i64().map_err(|_| malformed(start))?;
        self.shortest(start, head_bytes(int_argument(int)))?;
        Ok(int)
    }

    fn float(&mut self) -> Result<f64, DocumentError> {
        let start = self.decoder.position();
        let float = self.decoder.f64().map_err(|_| malformed(start))?;
        self.shortest(start, float_bytes(float))?;
        if float.is_nan() && self.decoder.input().get(start..start + 3) != Some(&[0xf9, 0x7e, 0x00]) {
            return Err(not_deterministic(start, "a NaN other than f97e00"));
        }
        Ok(float)
    }

    fn text(&mut self) -> Result<String, DocumentError> {
        let start = self.decoder.position();
        let text = self.decoder.str().map_err(|_| malformed(start))?;
        self.shortest(start, head_bytes(text.len() as u64) + text.len())?;
        Ok(text.to_owned())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, DocumentError> {
        let start = self.decoder.position();
        let bytes = self.decoder.bytes().map_err(|_| malformed(start))?;
        self.shortest(start, head_bytes(bytes.len() as u64) + bytes.len())?;
        Ok(bytes.to_vec())
    }

    fn date(&mut self) -> Result<i64, DocumentError> {
        let start = self.decoder.position();
        let tag = self.decoder.tag().map_err(|_| malformed(start))?;
        if tag != EXTENDED_TIME {
            let reason = if tag == Tag::from(IanaTag::Timestamp) {
                "a date has tag 1001, not tag 1"
            } else {
                "an unknown tag"
            };
            return Err(DocumentError::Malformed { offset: start, reason });
        }
        self.shortest(start, head_bytes(tag.as_u64()))?;
        let frame = self.decoder.position();
        let (entries, seconds_key) = (self.head(Decoder::map)?, self.int()?);
        let (seconds, millis_key, millis) = (self.int()?, self.int()?, self.int()?);
        if entries != 2 || seconds_key != 1 || millis_key != -3 || !(0..1000).contains(&millis) {
            return Err(not_deterministic(frame, "a date is {1: seconds, -3: milliseconds 0..=999}"));
        }
        let date = seconds.checked_mul(1000).and_then(|whole| whole.checked_add(millis));
        date.filter(|date| date_is_in_range(*date)).ok_or(DocumentError::DateOutOfRange)
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Value>, DocumentError> {
        check_depth(depth)?;
        let len = self.head(Decoder::array)?;
        let mut items = Vec::with_capacity(self.plausible(len, 1));
        for _ in 0..len {
            items.push(self.value(depth)?);
        }
        Ok(items)
    }

    fn object(&mut self, depth: usize) -> Result<Object, DocumentError> {
        check_depth(depth)?;
        let len = self.head(Decoder::map)?;
        let mut entries: Vec<(String, Value)> = Vec::with_capacity(self.plausible(len, 2));
        for _ in 0..len {
            let start = self.decoder.position();
            let key = self.text()?;
            if let Some((last, _)) = entries.last() {
                match key_order(last, &key) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Err(DocumentError::DuplicateKey { key }),
                    std::cmp::Ordering::Greater => {
                        return Err(not_deterministic(start, "names out of order"));
                    }
                }
            }
            entries.push((key, self.value(depth)?));
        }
        Ok(Object::from_sorted(entries))
    }

    /// The definite length of an array or a map.
    fn head(
        &mut self,
        read: fn(&mut Decoder<'b>) -> Result<Option<u64>, minicbor::decode::Error>,
    ) -> Result<u64, DocumentError> {
        let start = self.decoder.position();
        let len = read(&mut self.decoder).map_err(|_| malformed(start))?;
        let len = len.ok_or(not_deterministic(start, "indefinite length"))?;
        self.shortest(start, head_bytes(len))?;
        Ok(len)
    }

    /// How much to reserve for `len` items of at least `item_bytes` each: never more than the input could hold.
    fn plausible(&self, len: u64, item_bytes: usize) -> usize {
        let left = self.decoder.input().len().saturating_sub(self.decoder.position());
        let most = (left / item_bytes).min(self.budget.values.saturating_sub(self.values));
        usize::try_from(len).unwrap_or(usize::MAX).min(most)
    }

    fn shortest(&self, start: usize, expected: usize) -> Result<(), DocumentError> {
        if self.decoder.position() - start == expected {
            return Ok(());
        }
        Err(not_deterministic(start, "a longer encoding than necessary"))
    }
}

struct Meter {
    bytes: usize,
    values: usize,
    budget: Budget,
}

impl Meter {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), DocumentError> {
        self.values += 1;
        if self.values > self.budget.values {
            return Err(DocumentError::TooManyValues { limit: self.budget.values });
        }
        match value {
            Value::Null | Value::Bool(_) => self.add(1),
            Value::Int(int) => self.add(head_bytes(int_argument(*int))),
            Value::Float(float) => self.add(float_bytes(*float)),
            Value::String(text) => self.add_text(text.len()),
            Value::Bytes(bytes) => self.add_text(bytes.len()),
            Value::Date(millis) => {
                if !date_is_in_range(*millis) {
                    return Err(DocumentError::DateOutOfRange);
                }
                let parts = [millis.div_euclid(1000), millis.rem_euclid(1000)];
                self.add(
                    DATE_FRAME_BYTES + parts.map(|part| head_bytes(int_argument(part))).iter().sum::<usize>(),
                )
            }
            Value::Array(items) => {
                check_depth(depth + 1)?;
                self.add(head_bytes(items.len() as u64))?;
                items.iter().try_for_each(|item| self.value(item, depth + 1))
            }
            Value::Object(object) => {
                check_depth(depth + 1)?;
                self.add(head_bytes(object.len() as u64))?;
                object.iter().try_for_each(|(key, value)| {
                    self.add_text(key.len())?;
                    self.value(value, depth + 1)
                })
            }
        }
    }

    fn add_text(&mut self, len: usize) -> Result<(), DocumentError> {
        self.add(head_bytes(len as u64).saturating_add(len))
    }

    fn add(&mut self, bytes: usize) -> Result<(), DocumentError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.budget.bytes {
            return Err(DocumentError::TooLarge { limit: self.budget.bytes });
        }
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), DocumentError> {
    if depth > limits::DEPTH { Err(DocumentError::TooDeep) } else { Ok(()) }
}

fn date_is_in_range(millis: i64) -> bool {
    millis.unsigned_abs() <= limits::DATE_MILLIS.unsigned_abs()
}

/// The number in the head of an integer: itself, or -1 - itself.
fn int_argument(int: i64) -> u64 {
    (int ^ (int >> 63)).cast_unsigned()
}

/// The length of a head with this argument.
fn head_bytes(argument: u64) -> usize {
    match argument {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The length of the shortest float that keeps the value.
fn float_bytes(float: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the comparison is what detects a loss")]
    let single = float as f32;
    if float.is_nan() {
        3
    } else if f64::from(single).to_bits() != float.to_bits() {
        9
    } else if fits_half(single) {
        3
    } else {
        5
    }
}

/// Whether a 16-bit float holds the value: 10 bits of fraction, exponents -14..=15, and subnormals down to 2^-24.
fn fits_half(single: f32) -> bool {
    let bits = single.to_bits();
    let exponent = i32::from(((bits >> 23) & 0xff) as u8) - 127;
    let fraction = bits & 0x7f_ffff;
    match exponent {
        -127 => fraction == 0,
        128 => true,
        -14..=15 => fraction.trailing_zeros() >= 13,
        // Each step below -14 costs one more bit of the fraction.
        -24..=-15 => fraction == 0 || fraction.trailing_zeros().cast_signed() >= -1 - exponent,
        _ => false,
    }
}

fn malformed(offset: usize) -> DocumentError {
    DocumentError::Malformed { offset, reason: "not CBOR, cut short, or a number out of range" }
}

fn not_deterministic(offset: usize, reason: &'static str) -> DocumentError {
    DocumentError::NotDeterministic { offset, reason }
}
