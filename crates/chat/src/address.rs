//! How somebody is added: a link `weft:IDENTITY?name=NAME&signaler=URL`, the identity alone, or what is at a well-known address.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use weft_query::{Value, json};
use weft_wire::IdentityId;

use crate::limits;

/// Whom to write to, and what helps to find them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who.
    pub identity: IdentityId,
    /// What they call themselves, may be empty.
    pub name: String,
    /// Where they are at home, at most four.
    pub signalers: Vec<String>,
}

/// Why text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no identity in it.
    #[error("neither an identity (z6Mk…) nor a link (weft:z6Mk…): ask for it again, and copy all of it")]
    NoIdentity,
    /// It lets into a private party.
    #[error("that is an invitation to a private party: weft subscribe --party takes it")]
    Invitation,
    /// A member or parameter is not what it has to be.
    #[error("{0} is not as it has to be in a link or well-known document")]
    Wrong(&'static str),
    /// It is longer than it may be.
    #[error("the document is longer than {max} KiB", max = limits::WELL_KNOWN / 1024)]
    TooLong,
    /// It is no JSON object that says `weft: 1`.
    #[error("there is no JSON object that says weft: 1")]
    NotWellKnown,
}

/// What need not be encoded in a query (RFC 3986, section 3.4), without what separates parameters.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

impl Address {
    /// Reads a well-known document.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn from_well_known(bytes: &[u8]) -> Result<Self, AddressError> {
        if bytes.len() > limits::WELL_KNOWN {
            return Err(AddressError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| AddressError::NotWellKnown)?;
        let value = json::parse(text).map_err(|_| AddressError::NotWellKnown)?;
        let members = value.as_object().ok_or(AddressError::NotWellKnown)?;
        if members.get("weft") != Some(&Value::Int(1)) {
            return Err(AddressError::NotWellKnown);
        }
        let identity = members.get("identity").and_then(Value::as_str).ok_or(AddressError::NoIdentity)?;
        let mut address = Self::of(identity)?;
        if let Some(name) = members.get("name") {
            address.set_name(name.as_str().ok_or(AddressError::Wrong("name"))?)?;
        }
        match members.get("signalers") {
            None => {}
            Some(Value::Array(urls)) => {
                for url in urls {
                    address.add_signaler(url.as_str().ok_or(AddressError::Wrong("signalers"))?)?;
                }
            }
            Some(_) => return Err(AddressError::Wrong("signalers")),
        }
        Ok(address)
    }

    fn of(identity: &str) -> Result<Self, AddressError> {
        let identity = identity.parse().map_err(|_| AddressError::NoIdentity)?;
        Ok(Self { identity, name: String::new(), signalers: Vec::new() })
    }

    fn set_name(&mut self, name: &str) -> Result<(), AddressError> {
        if name.is_empty() || name.len() > limits::NAME {
            return Err(AddressError::Wrong("name"));
        }
        name.clone_into(&mut self.name);
        Ok(())
    }

    fn add_signaler(&mut self, url: &str) -> Result<(), AddressError> {
        let rest = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://"));
        let is_url = rest.is_some_and(|rest| !rest.is_empty())
            && url.len() <= weft_wire::limits::URL
            && url.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_url || self.signalers.len() == limits::SIGNALERS {
            return Err(AddressError::Wrong("signaler"));
        }
        self.signalers.push(url.to_owned());
        Ok(())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let link = match text.rsplit_once("#weft:") {
            Some((_, link)) => link,
            None => match text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("weft:")) {
                Some(_) => &text[5..],
                None => return Self::of(text),
            },
        };
        let (identity, query) = link.split_once('?').unwrap_or((link, ""));
        if identity.len() > 80 && identity.starts_with('z') {
            return Err(AddressError::Invitation);
        }
        let mut address = Self::of(identity)?;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let decoded =
                |what| percent_decode_str(value).decode_utf8().map_err(|_| AddressError::Wrong(what));
            match key {
                "name" => address.set_name(&decoded("name")?)?,
                "signaler" => address.add_signaler(&decoded("signaler")?)?,
                // Those of later versions.
                _ => {}
            }
        }
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weft:{}", self.identity)?;
        let mut separator = '?';
        let name = Some(&self.name).filter(|name| !name.is_empty());
        let parameters = name.map(|name| ("name", name));
        for (key, value) in parameters.into_iter().chain(self.signalers.iter().map(|url| ("signaler", url))) {
            write!(f, "{separator}{key}={}", utf8_percent_encode(value, PLAIN))?;
            separator = '&';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Address {
        Address {
            identity: IdentityId([7; 32]),
            name: "Ada & Co. ü".into(),
            signalers: vec!["wss://signaler.example/weft?a=b".into(), "ws://localhost:8190".into()],
        }
    }

    #[test]
    fn a_link_is_read_as_it_was_written_wherever_it_stands() {
        let link = ada().to_string();
        assert_eq!(link.parse(), Ok(ada()));
        assert_eq!(format!("https://weft.example/demo/chat/#{link}").parse(), Ok(ada()));
        assert_eq!(format!(" WEFT:{}\n", &link[5..]).parse(), Ok(ada()));
        let bare = Address { name: String::new(), signalers: Vec::new(), ..ada() };
        assert_eq!(bare.to_string(), format!("weft:{}", ada().identity));
        assert_eq!(ada().identity.to_string().parse(), Ok(bare.clone()));
        assert_eq!(format!("{bare}?later=1&x").parse(), Ok(bare));
    }

    #[test]
    fn what_is_wrong_in_a_link_is_named() {
        let who = ada().identity;
        let five = "&signaler=ws://a".repeat(5);
        let cases = [
            ("weft:nobody".to_owned(), AddressError::NoIdentity),
            (String::new(), AddressError::NoIdentity),
            (format!("weft:z{}", "1".repeat(90)), AddressError::Invitation),
            (format!("weft:{who}?name="), AddressError::Wrong("name")),
            (format!("weft:{who}?name={}", "a".repeat(65)), AddressError::Wrong("name")),
            (format!("weft:{who}?name=%ff"), AddressError::Wrong("name")),
            (format!("weft:{who}?signaler=http://a"), AddressError::Wrong("signaler")),
            (format!("weft:{who}?x{five}"), AddressError::Wrong("signaler")),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_well_known_document_says_who_answers_for_a_host() {
        let who = ada().identity;
        let text = format!(
            "{{\"weft\":1,\"identity\":\"{who}\",\"name\":\"Ada\",\"signalers\":[\"wss://a\"],\"x\":2}}"
        );
        let read = Address::from_well_known(text.as_bytes()).unwrap();
        assert_eq!(
            (read.identity, &read.name[..], &read.signalers[..]),
            (who, "Ada", &["wss://a".to_owned()][..])
        );
        assert_eq!(Address::from_well_known(b"[]"), Err(AddressError::NotWellKnown));
        assert_eq!(Address::from_well_known(b"{\"weft\":2}"), Err(AddressError::NotWellKnown));
        assert_eq!(Address::from_well_known(b"{\"weft\":1}"), Err(AddressError::NoIdentity));
        let long = vec![b' '; limits::WELL_KNOWN + 1];
        assert_eq!(Address::from_well_known(&long), Err(AddressError::TooLong));
    }
}
