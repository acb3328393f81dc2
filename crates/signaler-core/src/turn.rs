//! Credentials for TURN servers (RFC 8656) that share a secret with this signaler, each good for a time: what coturn calls
//! `use-auth-secret` (draft-uberti-behave-turn-rest-00, section 2.2). The TURN server asks nobody when one comes.
//!
//! Inputs: that a peer has authenticated, or gave a sign of life. Outputs: a frame for it. Timers: none; a peer speaks up
//! often enough.

use core::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use weft_wire::signaler::FromSignaler;
use weft_wire::{List, Text, Time};

use crate::frames;

/// TURN and STUN servers that peers are told of.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnConfig {
    /// `turn:HOST:PORT?transport=udp` and the like, at most [`weft_wire::limits::ICE_URLS`].
    pub urls: Vec<String>,
    /// What the TURN servers know, too.
    pub secret: String,
    /// Seconds that credentials are good for; half of that later a peer gets new ones.
    pub life_s: u32,
}

impl fmt::Debug for TurnConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnConfig")
            .field("urls", &self.urls)
            .field("life_s", &self.life_s)
            .finish_non_exhaustive()
    }
}

impl TurnConfig {
    /// How long a peer does without new credentials.
    pub(crate) fn renewal(&self) -> Duration {
        Duration::from_secs(self.life_s.into()) / 2
    }

    /// Credentials from now on. They name nobody: whoever runs the TURN server learns addresses, not who has them.
    pub(crate) fn frame(&self, now: Time) -> Bytes {
        let username = format!("{}:weft", now.millis() / 1000 + u64::from(self.life_s));
        let credential = credential(&self.secret, &username);
        frames::small(&FromSignaler::IceServers {
            urls: List::first(self.urls.iter().map(|url| Text::cut(url))),
            username: Text::cut(&username),
            credential: Text::cut(&credential),
            life_s: self.life_s,
        })
    }
}

fn credential(secret: &str, username: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_what_coturn_computes() {
        // printf %s 1433895918:weft | openssl dgst -sha1 -hmac logen -binary | base64
        assert_eq!(credential("logen", "1433895918:weft"), "0oSIBX8/IwpyYAoYm9LqRm72uTg=");
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let config = TurnConfig { urls: vec!["turn:a".into()], secret: "hidden".into(), life_s: 60 };
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
