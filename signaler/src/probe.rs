//! Whether the services of approved registrants take connections. See docs/adr/0043 for what is never connected to.
//!
//! A probe opens a TCP connection to a declared host and port, sends nothing, reads nothing, and closes. The name is resolved
//! once, and what is connected to is the address that was judged.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use weft_wire::registry::Host;

use crate::hub::{Ask, HubHandle, ToHub};

/// Connections at once.
const AT_ONCE: usize = 8;
/// How long a name and a connection may each take.
const WAITING: Duration = Duration::from_secs(3);

/// Which addresses may be probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// None.
    Off,
    /// Those of the public internet.
    Public,
    /// And those of private networks (RFC 1918, RFC 4193) and of 100.64.0.0/10.
    #[default]
    Private,
    /// And this machine: for tests, and for federations on one machine.
    Any,
}

impl Probe {
    fn allows(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let private = match ip {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                if v4.is_link_local() || v4.is_broadcast() || v4.is_documentation() || a == 0 || a >= 240 {
                    return false;
                }
                v4.is_private() || (a == 100 && b & 0xc0 == 64)
            }
            IpAddr::V6(v6) => {
                if v6.is_unicast_link_local() {
                    return false;
                }
                v6.is_unique_local()
            }
        };
        if ip.is_unspecified() || ip.is_multicast() {
            return false;
        }
        match self {
            Self::Off => false,
            Self::Public => !private && !ip.is_loopback(),
            Self::Private => !ip.is_loopback(),
            Self::Any => true,
        }
    }
}

/// Probes again and again until the hub stops.
pub(crate) async fn run(hub: HubHandle, policy: Probe, every: Duration) {
    if policy == Probe::Off {
        return;
    }
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let Some(targets) = hub.ask(Ask::Targets).await else { return };
        let mut probes = JoinSet::new();
        for target in targets {
            for (kind, port) in target.services {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let (hub, id, host) = (hub.clone(), target.id.clone(), target.host.clone());
                probes.spawn(async move {
                    // What may not be looked at is not said to be ill.
                    if let Some(healthy) = probe(policy, &host, port).await {
                        let _ = hub.to.send(ToHub::Registry(Ask::Probed { id, kind, port, healthy })).await;
                    }
                    drop(place);
                });
            }
        }
        while probes.join_next().await.is_some() {}
    }
}

/// Whether a connection comes about. None: it was not tried.
async fn probe(policy: Probe, host: &Host, port: u16) -> Option<bool> {
    let Ok(Ok(found)) = timeout(WAITING, lookup_host((&**host, port))).await else { return Some(false) };
    let found: Vec<SocketAddr> = found.collect();
    let allowed = found.iter().find(|addr| policy.allows(addr.ip()))?;
    Some(matches!(timeout(WAITING, TcpStream::connect(allowed)).await, Ok(Ok(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n11_only_addresses_that_the_operator_allows_are_probed() {
        use Probe::{Any, Off, Private, Public};
        for (ip, by) in [
            ("93.184.215.14", &[Public, Private, Any][..]),
            ("2606:2800:21f:cb07::1", &[Public, Private, Any]),
            ("10.0.0.1", &[Private, Any]),
            ("172.16.0.1", &[Private, Any]),
            ("192.168.1.1", &[Private, Any]),
            ("100.64.0.5", &[Private, Any]),
            ("fd7a:115c:a1e0::1", &[Private, Any]),
            ("::ffff:10.0.0.1", &[Private, Any]),
            ("127.0.0.1", &[Any]),
            ("::1", &[Any]),
            ("::ffff:127.0.0.1", &[Any]),
            ("169.254.169.254", &[]),
            ("::ffff:169.254.169.254", &[]),
            ("fe80::1", &[]),
            ("0.0.0.0", &[]),
            ("::", &[]),
            ("224.0.0.1", &[]),
            ("ff02::1", &[]),
            ("255.255.255.255", &[]),
        ] {
            for policy in [Off, Public, Private, Any] {
                assert_eq!(policy.allows(ip.parse().unwrap()), by.contains(&policy), "{ip} {policy:?}");
            }
        }
    }
}
