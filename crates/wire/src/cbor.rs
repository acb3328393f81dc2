//! How frames are read: minicbor's decoder behind an error of one byte.
//!
//! minicbor's own error owns a text, and moving and dropping it at every field was half of the code of the decoders,
//! which a page has to load. So these are minicbor's names with the error replaced, and modules that derive import
//! this one as `minicbor`. The place of an error is where the decoder stands when it gives up. What is not defined here
//! is minicbor's: encoding, data types, the derives.
//!
//! Lengths are definite, as `docs/spec/wire.md` asks; an indefinite one is an error.

pub(crate) use minicbor::*;

/// As minicbor's module of this name.
pub mod decode {
    pub use super::{Decode, Decoder, Error};
}

/// A type that can be read from CBOR.
pub trait Decode<'b, C>: Sized {
    /// Reads one value; `context` is unused in Weft.
    ///
    /// # Errors
    /// See [`Error`]; the decoder then stands behind what could not be used.
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error>;

    /// The value of a field that is absent, where it may be.
    fn nil() -> Option<Self> {
        None
    }
}

/// Why bytes could not be read. Nothing was changed by reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end within a value.
    #[error("cut short")]
    Cut,
    /// Another type than expected, or a number out of range.
    #[error("a value of another type or out of range")]
    Unexpected,
    /// A text or list is longer than allowed, or bytes have not the length of an id.
    #[error("a wrong length")]
    Length,
    /// A field that has to be there is not.
    #[error("a field is missing")]
    Missing,
    /// A variant that this version does not know.
    #[error("an unknown variant")]
    UnknownVariant,
}

/// What the derives call; the texts and places they offer are not kept.
#[doc(hidden)]
impl Error {
    pub fn message(_: &'static str) -> Self {
        Self::Unexpected
    }

    pub fn missing_value(_: i64) -> Self {
        Self::Missing
    }

    pub fn unknown_variant(_: i64) -> Self {
        Self::UnknownVariant
    }

    pub fn is_unknown_variant(self) -> bool {
        self == Self::UnknownVariant
    }

    pub fn with_message(self, _: &'static str) -> Self {
        self
    }

    pub fn at(self, _: usize) -> Self {
        self
    }
}

impl From<minicbor::decode::Error> for Error {
    fn from(error: minicbor::decode::Error) -> Self {
        if error.is_end_of_input() { Self::Cut } else { Self::Unexpected }
    }
}

/// Reads values one after the other. What the derives call has no generics and is not inlined: each is in the program
/// once.
#[derive(Clone, Debug)]
pub struct Decoder<'b>(minicbor::Decoder<'b>);

impl<'b> Decoder<'b> {
    /// At the beginning of the bytes.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(minicbor::Decoder::new(bytes))
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.0.position()
    }

    /// The type of what follows.
    ///
    /// # Errors
    /// See [`Error`]; the same for all that follow.
    #[inline(never)]
    pub fn datatype(&self) -> Result<data::Type, Error> {
        Ok(self.0.datatype()?)
    }

    /// A boolean.
    #[inline(never)]
    pub fn bool(&mut self) -> Result<bool, Error> {
        Ok(self.0.bool()?)
    }

    /// An unsigned integer of at most `max`.
    #[inline(never)]
    pub fn unsigned(&mut self, max: u64) -> Result<u64, Error> {
        let number = self.0.u64()?;
        if number > max { Err(Error::Unexpected) } else { Ok(number) }
    }

    /// An integer: the key of a field, or the number of a frame or variant.
    #[inline(never)]
    pub fn i64(&mut self) -> Result<i64, Error> {
        self.0.int()?.try_into().map_err(|_| Error::Unexpected)
    }

    /// Bytes.
    #[inline(never)]
    pub fn bytes(&mut self) -> Result<&'b [u8], Error> {
        Ok(self.0.bytes()?)
    }

    /// Bytes of exactly the length of `into`.
    #[inline(never)]
    pub fn fill(&mut self, into: &mut [u8]) -> Result<(), Error> {
        let bytes = self.0.bytes()?;
        if bytes.len() != into.len() {
            return Err(Error::Length);
        }
        into.copy_from_slice(bytes);
        Ok(())
    }

    /// Text of at most `max` bytes.
    #[inline(never)]
    pub fn text(&mut self, max: usize) -> Result<String, Error> {
        let text = self.0.str()?;
        if text.len() > max { Err(Error::Length) } else { Ok(text.to_owned()) }
    }

    /// The number of items of an array. Always `Some`: the derives ask for an option, and what they would do without a
    /// length is then left out of the program.
    #[inline(always)]
    #[allow(clippy::inline_always, clippy::unnecessary_wraps)]
    pub fn array(&mut self) -> Result<Option<u64>, Error> {
        self.items(usize::MAX).map(|len| Some(len as u64))
    }

    /// The number of fields of a map; `Some` as in [`array`](Self::array).
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub fn map(&mut self) -> Result<Option<u64>, Error> {
        self.fields().map(Some)
    }

    /// Leaves out the value that follows.
    #[inline(never)]
    pub fn skip(&mut self) -> Result<(), Error> {
        Ok(self.0.skip()?)
    }

    /// The number of items of an array of at most `max`.
    #[inline(never)]
    pub fn items(&mut self, max: usize) -> Result<usize, Error> {
        let len = self.0.array()?.ok_or(Error::Unexpected)?;
        usize::try_from(len).ok().filter(|len| *len <= max).ok_or(Error::Length)
    }

    #[inline(never)]
    fn fields(&mut self) -> Result<u64, Error> {
        self.0.map()?.ok_or(Error::Unexpected)
    }
}

macro_rules! unsigned {
    ($($number:ident)*) => {$(
        impl<'b, C> Decode<'b, C> for $number {
            fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
                #[allow(clippy::cast_possible_truncation, clippy::cast_lossless)]
                decoder.unsigned($number::MAX as u64).map(|number| number as $number)
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64);

impl<'b, C> Decode<'b, C> for bool {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        decoder.bool()
    }
}

impl<'b, C, T: Decode<'b, C>> Decode<'b, C> for Option<T> {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        if decoder.datatype()? == data::Type::Null {
            decoder.skip()?;
            return Ok(None);
        }
        T::decode(decoder, context).map(Some)
    }

    fn nil() -> Option<Self> {
        Some(None)
    }
}

impl<'b, C, A: Decode<'b, C>, B: Decode<'b, C>> Decode<'b, C> for (A, B) {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, Error> {
        if decoder.items(2)? != 2 {
            return Err(Error::Length);
        }
        Ok((A::decode(decoder, context)?, B::decode(decoder, context)?))
    }
}

/// As minicbor's module of this name: fields that are bytes.
pub mod bytes {
    use super::{Decoder, Error, data};
    pub use minicbor::bytes::encode;

    /// Bytes, borrowed or owned, perhaps absent.
    pub trait Bytes<'b>: Sized {
        /// Reads them.
        ///
        /// # Errors
        /// See [`Error`].
        fn read(decoder: &mut Decoder<'b>) -> Result<Self, Error>;
    }

    impl<'b> Bytes<'b> for &'b [u8] {
        fn read(decoder: &mut Decoder<'b>) -> Result<Self, Error> {
            decoder.bytes()
        }
    }

    impl<'b> Bytes<'b> for Vec<u8> {
        fn read(decoder: &mut Decoder<'b>) -> Result<Self, Error> {
            decoder.bytes().map(<[u8]>::to_vec)
        }
    }

    impl<'b, T: Bytes<'b>> Bytes<'b> for Option<T> {
        fn read(decoder: &mut Decoder<'b>) -> Result<Self, Error> {
            if decoder.datatype()? == data::Type::Null {
                decoder.skip()?;
                return Ok(None);
            }
            T::read(decoder).map(Some)
        }
    }

    /// What the derives call.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn decode<'b, C, T: Bytes<'b>>(decoder: &mut Decoder<'b>, _: &mut C) -> Result<T, Error> {
        T::read(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nonce, PeerId, Text, link::Link};

    fn read<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Error> {
        T::decode(&mut Decoder::new(bytes), &mut ())
    }

    #[test]
    fn numbers_are_checked_against_their_type() {
        assert_eq!(read(&[0x18, 255]), Ok(255_u8));
        assert_eq!(read::<u8>(&[0x19, 1, 0]), Err(Error::Unexpected));
        assert_eq!(read(&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255]), Ok(u64::MAX));
        assert_eq!(read::<u32>(&[0x20]), Err(Error::Unexpected));
        assert_eq!(read::<bool>(&[0x01]), Err(Error::Unexpected));
    }

    #[test]
    fn lengths_are_those_of_the_type() {
        assert_eq!(read::<Nonce>(&[0x41, 7]), Err(Error::Length));
        assert_eq!(read::<PeerId>(&[0x58, 32, 7]), Err(Error::Cut));
        assert_eq!(read::<Text<1>>(&[0x62, b'a', b'b']), Err(Error::Length));
        assert_eq!(read::<(u8, u8)>(&[0x81, 1]), Err(Error::Length));
        assert_eq!(read::<(u8, u8)>(&[0x83, 1, 2, 3]), Err(Error::Length));
    }

    #[test]
    fn absent_and_null_are_both_nothing() {
        assert_eq!(read::<Option<u8>>(&[0xf6]), Ok(None));
        assert_eq!(<Option<u8> as Decode<'_, ()>>::nil(), Some(None));
        assert_eq!(read::<Option<u8>>(&[7]), Ok(Some(7)));
    }

    #[test]
    fn lengths_are_definite() {
        let (definite, indefinite) = ([0x82, 0x03, 0xa1, 0, 7], [0x82, 0x03, 0xbf, 0, 7, 0xff]);
        assert_eq!(read(&definite), Ok(Link::Ping { token: 7 }));
        assert_eq!(read::<Link<'_>>(&indefinite), Err(Error::Unexpected));
    }
}
