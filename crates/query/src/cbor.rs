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

use crate::limits::{self, Budget};
use crate::tree::{Builder, Tree};
use crate::value::key_order;
use crate::{DocumentError, View};
use minicbor::data::{IanaTag, Tag, Type};
use minicbor::encode::Error as EncodeError;
use minicbor::{Decoder, Encoder};
use std::cmp::Ordering;
use std::convert::Infallible;

/// Extended time, RFC 9581.
const EXTENDED_TIME: Tag = Tag::new(1001);
/// The head of a date's map, its two keys and its tag.
pub(crate) const DATE_FRAME_BYTES: usize = 3 + 1 + 1 + 1;

/// The value in bytes. Its depth is bounded, as that of every tree.
pub(crate) fn encode(value: View<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    // Appending to a Vec is infallible, and the encoder has no other error.
    let _: Result<(), EncodeError<Infallible>> = write(&mut encoder, value);
    encoder.into_writer()
}

/// The value that the bytes encode, if they are its one deterministic encoding.
pub(crate) fn decode(bytes: &[u8], budget: Budget) -> Result<Tree, DocumentError> {
    if bytes.len() > budget.bytes {
        return Err(DocumentError::TooLarge { len: bytes.len(), limit: budget.bytes });
    }
    let builder = Builder::for_bytes(bytes.len());
    let mut reader = Reader { decoder: Decoder::new(bytes), builder, values: 0, budget };
    reader.value(0)?;
    match reader.decoder.position() {
        end if end == bytes.len() => Ok(reader.builder.finish()),
        offset => Err(DocumentError::Malformed { offset, reason: "bytes after the end" }),
    }
}

fn write(encoder: &mut Encoder<Vec<u8>>, value: View<'_>) -> Result<(), EncodeError<Infallible>> {
    match value {
        View::Null => encoder.null()?.ok(),
        View::Bool(bool) => encoder.bool(bool)?.ok(),
        View::Int(int) => encoder.i64(int)?.ok(),
        View::Float(float) => write_float(encoder, float),
        View::String(text) => encoder.str(text)?.ok(),
        View::Bytes(bytes) => encoder.bytes(bytes)?.ok(),
        View::Date(millis) => {
            encoder.tag(EXTENDED_TIME)?.map(2)?;
            encoder.i8(1)?.i64(millis.div_euclid(1000))?;
            encoder.i8(-3)?.i64(millis.rem_euclid(1000))?.ok()
        }
        View::Array(items) => {
            encoder.array(items.len() as u64)?;
            items.iter().try_for_each(|item| write(encoder, item))
        }
        View::Object(object) => {
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
    builder: Builder,
    values: usize,
    budget: Budget,
}

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Result<(), DocumentError> {
        let start = self.decoder.position();
        self.values += 1;
        if self.values > self.budget.values {
            return Err(DocumentError::TooManyValues { limit: self.budget.values });
        }
        match self.decoder.datatype().map_err(|_| malformed(start))? {
            Type::Null => {
                self.decoder.null().map_err(|_| malformed(start))?;
                self.builder.null();
            }
            Type::Bool => {
                let bool = self.decoder.bool().map_err(|_| malformed(start))?;
                self.builder.bool(bool);
            }
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => {
                let int = self.int()?;
                self.builder.int(int);
            }
            Type::F16 | Type::F32 | Type::F64 => {
                let float = self.float()?;
                self.builder.float(float);
            }
            Type::String => {
                let text = self.text()?;
                self.builder.text(text);
            }
            Type::Bytes => {
                let bytes = self.bytes()?;
                self.builder.bytes(bytes);
            }
            Type::Tag => {
                let millis = self.date()?;
                self.builder.date(millis);
            }
            Type::Array => self.array(depth + 1)?,
            Type::Map => self.object(depth + 1)?,
            Type::ArrayIndef | Type::MapIndef | Type::BytesIndef | Type::StringIndef => {
                return Err(not_deterministic(start, "indefinite length"));
            }
            Type::Undefined | Type::Simple | Type::Break | Type::Unknown(_) => {
                return Err(DocumentError::Malformed { offset: start, reason: "not a value of documents" });
            }
        }
        Ok(())
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

    fn text(&mut self) -> Result<&'b str, DocumentError> {
        let start = self.decoder.position();
        let text = self.decoder.str().map_err(|_| malformed(start))?;
        self.shortest(start, head_bytes(text.len() as u64) + text.len())?;
        Ok(text)
    }

    fn bytes(&mut self) -> Result<&'b [u8], DocumentError> {
        let start = self.decoder.position();
        let bytes = self.decoder.bytes().map_err(|_| malformed(start))?;
        self.shortest(start, head_bytes(bytes.len() as u64) + bytes.len())?;
        Ok(bytes)
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

    fn array(&mut self, depth: usize) -> Result<(), DocumentError> {
        check_depth(depth)?;
        let len = self.head(Decoder::array)?;
        for _ in 0..len {
            self.value(depth)?;
        }
        self.builder.array(len);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), DocumentError> {
        check_depth(depth)?;
        let len = self.head(Decoder::map)?;
        let mut last: Option<&str> = None;
        for _ in 0..len {
            let start = self.decoder.position();
            let key = self.text()?;
            match last.map(|last| key_order(last, key)) {
                None | Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(DocumentError::DuplicateKey { key: key.to_owned() }),
                Some(Ordering::Greater) => return Err(not_deterministic(start, "names out of order")),
            }
            last = Some(key);
            self.builder.name(key);
            self.value(depth)?;
        }
        self.builder.object(len);
        Ok(())
    }

    /// The definite length of an array or a map.
    fn head(
        &mut self,
        read: fn(&mut Decoder<'b>) -> Result<Option<u64>, minicbor::decode::Error>,
    ) -> Result<usize, DocumentError> {
        let start = self.decoder.position();
        let len = read(&mut self.decoder).map_err(|_| malformed(start))?;
        let len = len.ok_or(not_deterministic(start, "indefinite length"))?;
        self.shortest(start, head_bytes(len))?;
        // Beyond what a budget allows, so the items run out or the budget does.
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn shortest(&self, start: usize, expected: usize) -> Result<(), DocumentError> {
        if self.decoder.position() - start == expected {
            return Ok(());
        }
        Err(not_deterministic(start, "a longer encoding than necessary"))
    }
}

pub(crate) fn check_depth(depth: usize) -> Result<(), DocumentError> {
    if depth > limits::DEPTH { Err(DocumentError::TooDeep) } else { Ok(()) }
}

pub(crate) fn date_is_in_range(millis: i64) -> bool {
    millis.unsigned_abs() <= limits::DATE_MILLIS.unsigned_abs()
}

/// The number in the head of an integer: itself, or -1 - itself.
pub(crate) fn int_argument(int: i64) -> u64 {
    (int ^ (int >> 63)).cast_unsigned()
}

/// The length of a head with this argument.
pub(crate) fn head_bytes(argument: u64) -> usize {
    match argument {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The length of the shortest float that keeps the value.
pub(crate) fn float_bytes(float: f64) -> usize {
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
