//! Encoding and decoding of whole frames.

use core::convert::Infallible;

use minicbor::{Decode, Decoder, Encode};

/// Frame numbers from here on are optional: a receiver that does not know them ignores the frame.
pub const OPTIONAL_FRAMES: u32 = 64;

/// Why bytes are not a frame. Nothing was changed by decoding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes are more than the limit.
    #[error("{len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length received.
        len: usize,
        /// Length allowed.
        max: usize,
    },
    /// Not CBOR, not a frame of this protocol, or a field is out of bounds.
    #[error("malformed frame: {0}")]
    Malformed(String),
    /// Bytes follow the frame.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// A frame this version does not know and may ignore.
    #[error("unknown optional frame {0}")]
    UnknownOptional(u32),
    /// A frame this version does not know and may not ignore.
    #[error("unknown frame {0}")]
    Unknown(u32),
}

/// Encodes a value. Values are bounded by their types, memory is the only thing that can run out.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let result: Result<(), minicbor::encode::Error<Infallible>> = minicbor::encode(value, &mut bytes);
    debug_assert!(result.is_ok(), "writing to a Vec cannot fail");
    bytes
}

/// Decodes a whole frame or signed body of at most `max` bytes.
///
/// # Errors
/// [`WireError::TooLarge`] before anything is looked at; then the other variants.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], max: usize) -> Result<T, WireError> {
    if bytes.len() > max {
        return Err(WireError::TooLarge { len: bytes.len(), max });
    }
    let mut decoder = Decoder::new(bytes);
    match decoder.decode::<T>() {
        Ok(value) if decoder.position() == bytes.len() => Ok(value),
        Ok(_) => Err(WireError::Trailing(bytes.len() - decoder.position())),
        Err(error) if error.is_unknown_variant() => Err(match frame_number(bytes) {
            Some(number) if number >= OPTIONAL_FRAMES => WireError::UnknownOptional(number),
            Some(number) => WireError::Unknown(number),
            None => WireError::Malformed(error.to_string()),
        }),
        Err(error) => Err(WireError::Malformed(error.to_string())),
    }
}

fn frame_number(bytes: &[u8]) -> Option<u32> {
    let mut decoder = Decoder::new(bytes);
    decoder.array().ok()?;
    decoder.u32().ok()
}
