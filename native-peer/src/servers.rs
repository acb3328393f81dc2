//! STUN servers as people and signalers write them, and where they are.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::reflect::SERVERS;

/// The port without one (RFC 7064, section 3.2).
const PORT: u16 = 3478;
/// A name that is not found in this time is left out.
const LOOKUP: Duration = Duration::from_secs(5);

/// A STUN server that answers over UDP (RFC 8489), written as `stun:HOST[:PORT]` (RFC 7064) or without the scheme. `turn:` (RFC 7065) will do
/// too: a TURN server answers what is asked of STUN servers. Over TCP or TLS nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunServer {
    host: String,
    port: u16,
}

impl FromStr for StunServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!("{text:?} is no STUN server that is asked over UDP: write stun:HOST[:PORT], as in stun:stun.example.org:3478")
        })
    }
}

impl StunServer {
    fn parse(text: &str) -> Option<Self> {
        let (rest, parameters) = text.split_once('?').unwrap_or((text, ""));
        if !matches!(parameters, "" | "transport=udp") {
            return None;
        }
        let rest = rest.strip_prefix("stun:").or_else(|| rest.strip_prefix("turn:")).unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port > 0))?;
        let is_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
        let known = !host.is_empty() && host.chars().all(is_host);
        known.then(|| Self { host: host.to_owned(), port })
    }
}

/// Where servers are, those named first first: at most one address of each family each.
pub(crate) async fn resolve(servers: Vec<StunServer>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for StunServer { host, port } in servers.into_iter().take(SERVERS) {
        match tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host.as_str(), port))).await {
            Ok(Ok(addresses)) => {
                let addresses: Vec<SocketAddr> = addresses.collect();
                for family in [SocketAddr::is_ipv4, SocketAddr::is_ipv6] {
                    found.extend(addresses.iter().find(|address| family(address)));
                }
            }
            Ok(Err(error)) => tracing::warn!(%host, %error, "a STUN server is not found"),
            Err(_) => tracing::warn!(%host, "a STUN server is not found in time"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_in_these_ways() {
        for (text, expected) in [
            ("stun.example.org", Some(("stun.example.org", 3478))),
            ("stun.example.org:19302", Some(("stun.example.org", 19302))),
            ("stun:stun.example.org", Some(("stun.example.org", 3478))),
            ("turn:192.0.2.1:3479", Some(("192.0.2.1", 3479))),
            ("turn:192.0.2.1?transport=udp", Some(("192.0.2.1", 3478))),
            ("stun:[2001:db8::1]:5000", Some(("2001:db8::1", 5000))),
            ("[2001:db8::1]", Some(("2001:db8::1", 3478))),
            ("turn:192.0.2.1?transport=tcp", None),
            ("stuns:stun.example.org", None),
            ("turns:192.0.2.1", None),
            ("https://example.org", None),
            ("stun:", None),
            ("", None),
            ("stun:host:0", None),
            ("stun:host:70000", None),
            ("stun:[2001:db8::1", None),
            ("stun:[2001:db8::1]5000", None),
            ("stun:a b", None),
        ] {
            let parsed = StunServer::parse(text);
            let parsed = parsed.as_ref().map(|server| (server.host.as_str(), server.port));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn addresses_are_found_in_order_and_names_that_do_not_exist_are_left_out() {
        let servers = ["192.0.2.1:5", "does-not-exist.invalid", "[2001:db8::1]"];
        let servers = servers.iter().filter_map(|text| StunServer::parse(text)).collect();
        let expected: Vec<SocketAddr> =
            ["192.0.2.1:5", "[2001:db8::1]:3478"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(resolve(servers).await, expected);
    }
}
