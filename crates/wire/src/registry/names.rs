//! Texts of statements, each checked where it enters.

use core::fmt;
use core::net::IpAddr;
use core::ops::Deref;
use core::str::FromStr;

use minicbor::encode::{Encode, Encoder, Error as EncodeError, Write};

use crate::cbor::{Decode, Decoder, Error};
use crate::limits;

/// Why a text is not a name of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct NameError(pub &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $wanted:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                let fits = !text.is_empty() && text.len() <= $max && check(text);
                if fits { Ok(Self(text.to_owned())) } else { Err(NameError($wanted)) }
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
                e.str(&self.0)?;
                Ok(())
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
                d.text($max)?.parse().map_err(|_| Error::Unexpected)
            }
        }
    };
}

name!(
    /// The name of a federation; the same at all its signalers.
    NetworkName, limits::NAME, "1 to 64 letters, digits, '.', '_' or '-'", is_plain
);
name!(
    /// The name that a registrant has in the registry.
    RegistrantId, limits::NAME, "1 to 64 letters, digits, '.', '_' or '-'", is_plain
);
name!(
    /// What a service is: `signaler`, `ledger`.
    ServiceType, limits::SERVICE_TYPE, "1 to 32 letters, digits, '.', '_' or '-'", is_plain
);
name!(
    /// A host name (RFC 1123) or an IP address; IPv6 without brackets.
    Host, limits::HOST, "a host name or an IP address of at most 253 characters", is_host
);
name!(
    /// An IP address as text, in its usual form (RFC 5952).
    Address, limits::ADDRESS, "an IP address, in its shortest form", is_address
);

impl Default for NetworkName {
    /// What a federation is called that has no name of its own.
    fn default() -> Self {
        Self("weft".into())
    }
}

impl Address {
    /// The address itself.
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

fn is_plain(text: &str) -> bool {
    // As a path they are themselves: nothing is escaped, and nothing climbs.
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && text.bytes().any(|byte| byte != b'.')
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    text.parse::<IpAddr>().is_ok() || text.split('.').all(label)
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|ip| ip.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_enter() {
        for good in ["validator-002", "a", "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", "a..b", "A_1"]
        {
            assert!(good.parse::<RegistrantId>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a%2f", &"a".repeat(65)] {
            assert!(bad.parse::<RegistrantId>().is_err(), "{bad}");
        }
        for good in ["validator-b.ts.net", "localhost", "127.0.0.1", "::1", "fd7a:115c::1"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in ["", "a..b", "-a", "a-", "a:80", "[::1]", "http://a", "a/b", "a@b", &"a.".repeat(130)] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
        for (text, fits) in
            [("100.64.0.5", true), ("::1", true), ("0:0::1", false), ("100.64.0.05", false), ("a", false)]
        {
            assert_eq!(text.parse::<Address>().is_ok(), fits, "{text}");
        }
    }
}
