//! The addresses that host candidates are made of.

use std::io;
use std::net::IpAddr;

use if_addrs::{IfOperStatus, Interface};

/// Addresses used at once. A link binds a socket for each and checks each against each of the other side's, so more
/// make connecting slower; a host with more has most of them on bridges of containers.
const MOST: usize = 8;

/// The usable addresses of all interfaces that are up, the most widely reachable ones first, loopback last.
///
/// Loopback counts: two peers on one machine may have nothing else. Link-local addresses do not: they mean nothing
/// without the name of an interface, which a candidate cannot carry.
///
/// # Errors
/// What the operating system says.
pub(crate) fn usable() -> io::Result<Vec<IpAddr>> {
    let up = |interface: &Interface| {
        matches!(interface.oper_status, IfOperStatus::Up | IfOperStatus::Unknown) || interface.is_loopback()
    };
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(choose(interfaces.into_iter().filter(up).map(|interface| interface.ip())))
}

fn choose(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (mut loopback, mut others): (Vec<_>, Vec<_>) =
        addresses.filter(is_usable).partition(IpAddr::is_loopback);
    others.sort_by_key(|address| (rank(address), *address));
    others.dedup();
    loopback.sort();
    // One is enough to reach this machine.
    loopback.truncate(1);
    others.truncate(MOST - loopback.len());
    others.extend(loopback);
    others
}

fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !v4.is_link_local() && !v4.is_unspecified() && !v4.is_multicast() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified() && !v6.is_multicast(),
    }
}

/// IPv4 first: it is what the other side has for certain. Among IPv6, private addresses last.
fn rank(address: &IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if !v6.is_unique_local() => 1,
        IpAddr::V6(_) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(texts: &[&str]) -> Vec<String> {
        choose(texts.iter().map(|text| text.parse().unwrap())).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reachable_addresses_come_first_and_loopback_last() {
        let all = ["::1", "127.0.0.1", "fd00::1", "2001:db8::1", "192.168.1.2", "fe80::1", "169.254.0.1"];
        assert_eq!(chosen(&all), ["192.168.1.2", "2001:db8::1", "fd00::1", "127.0.0.1"]);
    }

    #[test]
    fn many_addresses_are_cut_but_loopback_stays() {
        let many: Vec<_> = (1..40).map(|at| format!("10.0.{at}.1")).chain(["127.0.0.1".into()]).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let chosen = chosen(&many);
        assert_eq!(chosen.len(), MOST);
        assert_eq!(chosen.last().unwrap(), "127.0.0.1");
    }

    #[test]
    fn this_machine_has_an_address() {
        assert!(!usable().unwrap().is_empty());
    }
}
