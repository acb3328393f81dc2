//! Names of fixed length that are written as lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

/// Text that is not of that many lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0} lower-case hexadecimal digits")]
pub struct HexError(usize);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                let mut id = Self([0; $len]);
                if read(text.as_bytes(), &mut id.0) { Ok(id) } else { Err(HexError(2 * $len)) }
            }
        }
    };
}

hex_id!(
    /// What may be spoken of: random, chosen by its author, and only a name together with the author.
    DocumentId, 16
);
hex_id!(
    /// Where two contacts meet; as secret as what they say.
    Room, 16
);
hex_id!(
    /// SHA-256 of an attachment.
    AttachmentHash, 32
);

impl Room {
    /// The name of the open party in which the two meet.
    pub fn party(&self) -> String {
        format!("weft-chat/{self}")
    }
}

fn read(text: &[u8], into: &mut [u8]) -> bool {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    text.len() == 2 * into.len()
        && text.chunks_exact(2).zip(into).all(|(pair, byte)| {
            let both = digit(pair[0]).zip(digit(pair[1]));
            both.is_some_and(|(high, low)| {
                *byte = high * 16 + low;
                true
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_lower_case_digits_and_nothing_else() {
        let text = "00ff102030405060708090a0b0c0d0e0";
        assert_eq!(text.parse::<DocumentId>().unwrap().to_string(), text);
        for wrong in ["", "00", &text[1..], &text.to_uppercase(), "zz", &format!("{text}00")] {
            assert_eq!(wrong.parse::<DocumentId>(), Err(HexError(32)), "{wrong}");
        }
    }
}
