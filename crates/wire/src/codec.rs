//! Encoding and decoding of whole frames.

use core::convert::Infallible;

use minicbor::Encode;

use crate::cbor::{Decode, Decoder, Error};

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
    #[error("malformed frame: {error}, before byte {at}")]
    Malformed {
        /// What is wrong.
        error: Error,
        /// How many bytes were read until then.
        at: usize,
    },
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
    match T::decode(&mut decoder, &mut ()) {
        Ok(value) if decoder.position() == bytes.len() => Ok(value),
        Ok(_) => Err(WireError::Trailing(bytes.len() - decoder.position())),
        Err(error) => Err(refusal(bytes, error, decoder.position())),
    }
}

/// What `error` means, which came up after `at` bytes.
#[inline(never)]
fn refusal(bytes: &[u8], error: Error, at: usize) -> WireError {
    match frame_number(bytes) {
        // Further on it is a variant within a frame that is known.
        Some((number, end)) if error == Error::UnknownVariant && at == end => {
            if number >= OPTIONAL_FRAMES {
                WireError::UnknownOptional(number)
            } else {
                WireError::Unknown(number)
            }
        }
        _ => WireError::Malformed { error, at },
    }
}

/// The number of a frame, and where it ends.
fn frame_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut decoder = Decoder::new(bytes);
    decoder.items(2).ok()?;
    let number = u32::decode(&mut decoder, &mut ()).ok()?;
    Some((number, decoder.position()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Link;
    use crate::sealed::Sealed;

    #[test]
    fn an_unknown_variant_within_a_known_frame_is_not_an_unknown_frame() {
        // A signal, number 1, whose step has number 70.
        let mut bytes = vec![0x82, 0x01, 0xa1, 0x03, 0x82, 0x18, 70, 0xa0];
        let refused = WireError::Malformed { error: Error::UnknownVariant, at: 7 };
        assert_eq!(decode::<Sealed>(&bytes, 100), Err(refused));
        bytes.truncate(1);
        assert_eq!(decode::<Sealed>(&bytes, 100), Err(WireError::Malformed { error: Error::Cut, at: 1 }));
    }

    #[test]
    fn a_reason_of_a_later_version_is_still_a_reason() {
        let bye = decode::<Link<'_>>(&[0x82, 0x05, 0xa1, 0x00, 0x18, 99], 100);
        assert_eq!(bye, Ok(Link::Bye { reason: crate::link::ByeReason::Other }));
        let mut bytes =
            encode(&crate::sealed::Signal::Refuse { reason: crate::sealed::Refusal::UnknownSession });
        assert_eq!(bytes.pop(), Some(4));
        bytes.extend([0x19, 0x01, 0x00]);
        let refused = decode::<crate::sealed::Signal>(&bytes, 100);
        assert_eq!(refused, Ok(crate::sealed::Signal::Refuse { reason: crate::sealed::Refusal::Other }));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refused = decode::<Link<'_>>(&[0x82, 0x03, 0xa0], 100).map_err(|error| error.to_string());
        assert_eq!(refused, Err("malformed frame: a field is missing, before byte 3".into()));
    }
}
