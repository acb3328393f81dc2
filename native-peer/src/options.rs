//! What a native peer is told at its start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use weft_peer_core::Config;
use weft_wire::limits;

use crate::error::Error;
use crate::servers::StunServer;

/// How to start a peer.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the core behaves: signalers, display name, every constant.
    pub config: Config,
    /// Where the keys come from.
    pub keys: KeySource,
    /// Keep what parties keep over the end of the process, beside the keys; nothing is kept beside ephemeral ones.
    pub store: bool,
    /// Which addresses are used.
    pub network: Network,
}

impl Options {
    /// The defaults, with these signalers and with keys kept in the default directory.
    pub fn new<S: Into<String>>(signalers: impl IntoIterator<Item = S>) -> Self {
        let config = Config {
            signalers: signalers.into_iter().map(Into::into).collect(),
            agent: concat!("weft-native/", env!("CARGO_PKG_VERSION")).into(),
            ..Config::default()
        };
        Self { config, keys: KeySource::DefaultDirectory, store: true, network: Network::default() }
    }

    /// With keys from elsewhere.
    pub fn keys(mut self, keys: KeySource) -> Self {
        self.keys = keys;
        self
    }

    /// Checks what can be checked before anything is started.
    ///
    /// # Errors
    /// [`Error::Options`], saying which and why.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for url in &self.config.signalers {
            let known = url.strip_prefix("ws://").or_else(|| url.strip_prefix("wss://"));
            if known.is_none_or(str::is_empty) {
                return Err(Error::Options(format!(
                    "{url:?} is no signaler's URL: it begins with ws:// or wss://, as in ws://localhost:8190"
                )));
            }
            if url.len() > limits::URL {
                return Err(Error::Options(format!("a signaler's URL has at most {} bytes", limits::URL)));
            }
        }
        if self.config.name.len() > limits::NAME {
            return Err(Error::Options(format!("a name has at most {} bytes", limits::NAME)));
        }
        Ok(())
    }
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The default directory of [`crate::keystore`].
    DefaultDirectory,
    /// A directory, made if there is none.
    Directory(PathBuf),
    /// New keys that are forgotten at the end: a new identity each time.
    Ephemeral,
}

/// Which addresses WebRTC uses. The default is every address of every interface that is up, on ports that the system
/// chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Bind these addresses instead of those of all interfaces.
    pub listen: Vec<IpAddr>,
    /// Addresses at which this host is also reached: a NAT in front of it maps their ports one to one.
    pub public: Vec<IpAddr>,
    /// Take UDP ports from this range, for firewalls. Every link takes one port per address.
    pub ports: Option<RangeInclusive<u16>>,
    /// STUN servers, asked at which addresses the outside sees this host. The TURN servers that a signaler names are asked too. At most four
    /// are used.
    pub stun: Vec<StunServer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_no_websocket_is_refused_with_a_hint() {
        assert!(Options::new(["ws://localhost:8190", "wss://example.org"]).check().is_ok());
        for url in ["localhost:8190", "http://localhost:8190", "ws://", ""] {
            let error = Options::new([url]).check().unwrap_err();
            assert_eq!(error.code(), "bad-option");
            assert!(error.to_string().contains("ws://localhost:8190"), "{error}");
        }
    }
}
