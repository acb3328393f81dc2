//! Where a signaler's URL leads to, and who may tell of it.
//!
//! Whoever tells a peer of an address makes it call there: from within a browser, which may stand in a network that the
//! teller cannot reach. So nobody is believed who points further in than where it is itself, and who is reached over an
//! encrypted connection never leads to one that is not. A name may still lead anywhere: what is sent there is the opening of a
//! WebSocket and no more, unless the signaler there proves the key that it was told of with.

/// The innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The machine itself.
    Machine,
    /// A network that the world does not reach.
    Inside,
    World,
}

/// Ends of names that no public DNS has.
const INSIDE: [&str; 6] = [".local", ".internal", ".lan", ".home", ".corp", ".home.arpa"];

/// Whether a signaler that was reached at one URL may tell of another.
pub(crate) fn may_tell(teller: &str, told: &str) -> bool {
    let (Some((teller_encrypts, from)), Some((encrypts, to))) = (look(teller), look(told)) else {
        return false;
    };
    if encrypts { to >= from } else { to == from && (to == Place::Machine || !teller_encrypts) }
}

/// Whether a URL is `wss:`, and where it leads to; nothing if it is more than the address of a signaler, or less.
fn look(url: &str) -> Option<(bool, Place)> {
    let (encrypts, rest) = match url.strip_prefix("wss://") {
        Some(rest) => (true, rest),
        None => (false, url.strip_prefix("ws://")?),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if !path.bytes().all(plain) {
        return None;
    }
    let (host, port) = match authority.strip_prefix("[::1]") {
        Some(port) => ("localhost", port),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return None;
    }
    // Browsers take 127.1 and 0x7f000001 for addresses, too: what ends like a number is a whole address or nothing.
    let is_number = host.rsplit('.').next()?.starts_with(|first: char| first.is_ascii_digit());
    Some((encrypts, if is_number { of_v4(host)? } else { of_name(host)? }))
}

fn of_name(name: &str) -> Option<Place> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if !name.bytes().all(fits) || name.split('.').any(str::is_empty) {
        return None;
    }
    Some(if name == "localhost" || name.ends_with(".localhost") {
        Place::Machine
    } else if !name.contains('.') || INSIDE.iter().any(|end| name.ends_with(end)) {
        Place::Inside
    } else {
        Place::World
    })
}

/// RFC 6890's registry, as far as it tells the three apart.
fn of_v4(address: &str) -> Option<Place> {
    let mut octets = [0; 4];
    let mut parts = address.split('.');
    for octet in &mut octets {
        // A zero in front would make it octal somewhere.
        let part = parts.next().filter(|part| *part == "0" || !part.starts_with(['0', '+']))?;
        *octet = part.parse::<u8>().ok()?;
    }
    if parts.next().is_some() {
        return None;
    }
    Some(match octets {
        [0 | 127, ..] => Place::Machine,
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [169, 254, ..]
        | [100, 64..=127, ..]
        | [198, 18 | 19, ..]
        | [192, 0, 0, _] => Place::Inside,
        [224..=255, ..] => return None,
        _ => Place::World,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_the_machine_a_network_inside_or_the_world() {
        let places = [
            (
                Place::Machine,
                ["ws://127.0.0.1:8190", "ws://127.9.9.9", "ws://[::1]:1/", "ws://localhost:8190"],
            ),
            (Place::Machine, ["ws://0.0.0.0:1", "ws://[::1]", "ws://127.0.0.1/", "ws://a.localhost"]),
            (
                Place::Inside,
                ["ws://10.0.0.1", "ws://192.168.1.1:8190/x", "ws://172.16.0.1", "ws://169.254.169.254"],
            ),
            (
                Place::Inside,
                ["ws://100.64.0.1", "ws://172.31.255.255", "ws://192.0.0.8:1", "ws://198.19.0.1"],
            ),
            (
                Place::Inside,
                ["ws://router", "ws://nas.local:1", "ws://metadata.internal", "ws://a.home.arpa"],
            ),
            (Place::Inside, ["ws://nas", "ws://x.lan", "ws://198.18.0.1", "ws://x.corp:9"]),
            (
                Place::World,
                ["ws://weft.example", "ws://8.8.8.8:1", "ws://172.32.0.1:1", "ws://a-b.example/x/y"],
            ),
        ];
        for (place, urls) in places {
            for url in urls {
                assert_eq!(look(url), Some((false, place)), "{url}");
                let encrypted = url.replace("ws:", "wss:");
                assert_eq!(look(&encrypted), Some((true, place)), "{encrypted}");
            }
        }
    }

    #[test]
    fn what_is_not_plainly_an_address_is_none() {
        for url in [
            "",
            "ws://",
            "http://a.example",
            "WS://a.example",
            "ws:/a.example",
            "a.example",
            "ws://a.example:0",
            "ws://a.example:+80",
            "ws://a.example:65536",
            "ws://a.example:",
            "ws://a.example:8x",
            "ws://u@a.example",
            "ws://u:p@a.example",
            "ws://a.example/?x=1",
            "ws://a.example?x",
            "ws://a.example/#x",
            "ws://a.example/%2e",
            "ws://a.example\\x",
            "ws://127.1",
            "ws://2130706433",
            "ws://0x7f000001",
            "ws://0x7f.1",
            "ws://0177.0.0.1",
            "ws://1.2.3.4.5",
            "ws://localhost.",
            "ws://.example",
            "ws://a..example",
            "ws://LOCALHOST",
            "ws://ä.example",
            "ws://a b",
            "ws://[::1",
            "ws://[::]",
            "ws://[2001:db8::1]:1",
            "ws://[::ffff:127.0.0.1]",
            "ws://[fd00::1]",
            "ws://+1.2.3.4",
            "ws://1.2.3.04",
            "ws://[::1]x",
            "ws://[::1]:",
            "ws://[fe80::1%25eth0]",
            "ws://224.0.0.1",
            "ws://255.255.255.255",
            "ws://[ff02::1]",
            "ws://10.0.0.1/\n",
        ] {
            assert_eq!(look(url), None, "{url}");
        }
    }

    #[test]
    fn nobody_points_further_in_than_where_it_is_nor_away_from_encryption() {
        let (machine, inside, world) = ("ws://127.0.0.1:1", "ws://10.0.0.1", "ws://a.example");
        let (machine_s, inside_s, world_s) = ("wss://localhost", "wss://10.0.0.1", "wss://a.example");
        for (teller, told) in [
            (machine, [machine, machine_s, inside_s, world_s].as_slice()),
            (machine_s, &[machine, machine_s, inside_s, world_s]),
            (inside, &[inside, inside_s, world_s]),
            (inside_s, &[inside_s, world_s]),
            (world, &[world, world_s]),
            // From a page that came over https only this one, and the machine itself, can be reached at all.
            (world_s, &[world_s]),
        ] {
            for url in [machine, inside, world, machine_s, inside_s, world_s] {
                assert_eq!(may_tell(teller, url), told.contains(&url), "{teller} tells of {url}");
            }
        }
    }
}
