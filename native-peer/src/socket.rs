//! The UDP sockets of one link: one per address.
//!
//! A link has sockets of its own, although str0m can tell links on a shared socket apart: two links between the same
//! two peers (an old one that still flushes, a new one that begins) would have the same pair of addresses, and DTLS
//! records carry nothing else to tell them apart by.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use socket2::SockRef;
use str0m::Candidate;
use str0m::net::Transmit;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::address;
use crate::options::Network;

/// Bytes of the largest datagram that is read; WebRTC keeps under 1,500.
const DATAGRAM: usize = 2048;
/// Datagrams read from one socket before the others and everything else get their turn.
const READ_AT_ONCE: usize = 64;

/// A datagram that came in.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// From where.
    pub(crate) source: SocketAddr,
    /// On which of our addresses.
    pub(crate) local: SocketAddr,
    /// What.
    pub(crate) bytes: Vec<u8>,
}

/// The sockets of one link.
#[derive(Debug)]
pub(crate) struct Sockets {
    network: Network,
    bound: Vec<Bound>,
    /// Datagrams that the system did not take; lost like any other on the way.
    pub(crate) unsent: u64,
}

#[derive(Debug)]
struct Bound {
    socket: UdpSocket,
    local: SocketAddr,
}

impl Sockets {
    /// One socket per address of the network. An address that cannot be bound is left out.
    ///
    /// # Errors
    /// If none can be bound.
    pub(crate) fn bind(network: &Network) -> io::Result<Self> {
        let mut sockets = Self { network: network.clone(), bound: Vec::new(), unsent: 0 };
        sockets.refresh()?;
        Ok(sockets)
    }

    /// Where the sockets are.
    pub(crate) fn locals(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.local).collect()
    }

    /// Binds addresses that are new since. Says where.
    ///
    /// # Errors
    /// If there is no socket at all.
    pub(crate) fn refresh(&mut self) -> io::Result<Vec<SocketAddr>> {
        let addresses =
            if self.network.listen.is_empty() { address::usable()? } else { self.network.listen.clone() };
        let mut trouble = None;
        let mut new = Vec::new();
        for ip in addresses {
            if self.bound.iter().any(|bound| bound.local.ip() == ip) {
                continue;
            }
            match bind(ip, &self.network) {
                Ok(bound) => {
                    new.push(bound.local);
                    self.bound.push(bound);
                }
                Err(error) => {
                    tracing::debug!(%ip, %error, "an address cannot be used");
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) if self.bound.is_empty() => Err(error),
            _ if self.bound.is_empty() => Err(io::Error::other("this machine has no network address")),
            _ => Ok(new),
        }
    }

    /// The candidates of some of the sockets: the address itself, and those the outside knows it by.
    pub(crate) fn candidates(&self, locals: &[SocketAddr]) -> Vec<Candidate> {
        let mut candidates: Vec<_> =
            locals.iter().filter_map(|local| Candidate::host(*local, "udp").ok()).collect();
        for public in &self.network.public {
            // A NAT maps the first address of the family that is not only this machine's.
            let base =
                locals.iter().find(|local| local.is_ipv4() == public.is_ipv4() && !local.ip().is_loopback());
            if let Some(base) = base {
                let mapped = SocketAddr::new(*public, base.port());
                candidates.extend(Candidate::server_reflexive(mapped, *base, "udp").ok());
            }
        }
        candidates
    }

    /// Sends a datagram from the address it is meant to come from.
    pub(crate) fn send(&mut self, transmit: &Transmit) {
        self.send_bytes(transmit.source, transmit.destination, &transmit.contents);
    }

    /// The same in parts.
    pub(crate) fn send_bytes(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        // Straight to the system: tokio's own `try_send_to` refuses until its reactor has seen the socket once, which
        // would lose the first checks of every link.
        let bound = self.bound.iter().find(|bound| bound.local == source);
        let sent = bound.map(|bound| SockRef::from(&bound.socket).send_to(bytes, &destination.into()));
        if !matches!(sent, Some(Ok(_))) {
            self.unsent += 1;
        }
    }

    /// Reads what has come; pending while nothing has.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>, into: &mut VecDeque<Datagram>) -> Poll<()> {
        let mut buffer = [0; DATAGRAM];
        let mut any = Poll::Pending;
        for bound in &self.bound {
            for _ in 0..READ_AT_ONCE {
                let mut read = ReadBuf::new(&mut buffer);
                match bound.socket.poll_recv_from(cx, &mut read) {
                    Poll::Ready(Ok(source)) => {
                        into.push_back(Datagram {
                            source,
                            local: bound.local,
                            bytes: read.filled().to_vec(),
                        });
                        any = Poll::Ready(());
                    }
                    // What the network says about an earlier datagram; ICE finds out by itself.
                    Poll::Ready(Err(_)) => any = Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
        }
        any
    }
}

fn bind(ip: IpAddr, network: &Network) -> io::Result<Bound> {
    let socket = match &network.ports {
        None => std::net::UdpSocket::bind((ip, 0))?,
        Some(ports) => {
            ports.clone().find_map(|port| std::net::UdpSocket::bind((ip, port)).ok()).ok_or_else(|| {
                io::Error::other(format!("no free UDP port from {} to {}", ports.start(), ports.end()))
            })?
        }
    };
    socket.set_nonblocking(true)?;
    let local = socket.local_addr()?;
    Ok(Bound { socket: UdpSocket::from_std(socket)?, local })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use str0m::net::Protocol;

    fn loopback(ports: Option<std::ops::RangeInclusive<u16>>) -> Network {
        Network { listen: vec![Ipv4Addr::LOCALHOST.into()], ports, ..Network::default() }
    }

    #[tokio::test]
    async fn a_datagram_arrives_with_both_addresses() {
        let mut from = Sockets::bind(&loopback(None)).unwrap();
        let to = Sockets::bind(&loopback(None)).unwrap();
        let (source, destination) = (from.bound[0].local, to.bound[0].local);
        from.send(&Transmit { proto: Protocol::Udp, source, destination, contents: vec![1, 2, 3].into() });
        let mut got = VecDeque::new();
        poll_fn(|cx| to.poll_receive(cx, &mut got)).await;
        assert_eq!((got[0].source, got[0].local, &got[0].bytes[..]), (source, destination, &[1, 2, 3][..]));
        assert_eq!(from.unsent, 0);
    }

    #[tokio::test]
    async fn ports_come_from_the_range_and_a_range_without_a_free_one_is_an_error() {
        let taken = Sockets::bind(&loopback(None)).unwrap();
        let port = taken.bound[0].local.port();
        let next = Sockets::bind(&loopback(Some(port..=u16::MAX))).unwrap();
        assert!(next.bound[0].local.port() > port);
        let error = Sockets::bind(&loopback(Some(port..=port))).unwrap_err();
        assert!(error.to_string().contains("no free UDP port"), "{error}");
    }

    #[tokio::test]
    async fn a_public_address_becomes_a_candidate_of_the_first_outside_address() {
        let mut network = loopback(None);
        network.public = vec!["203.0.113.7".parse().unwrap()];
        let sockets = Sockets::bind(&network).unwrap();
        let outside: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let lines: Vec<_> = sockets.candidates(&[outside]).iter().map(Candidate::to_sdp_string).collect();
        assert!(lines[1].contains("203.0.113.7 4000 typ srflx"), "{lines:?}");
        // Loopback is mapped by nobody.
        assert_eq!(sockets.candidates(&[sockets.bound[0].local]).len(), 1);
    }

    #[tokio::test]
    async fn no_usable_address_is_an_error() {
        let network = Network { listen: vec!["192.0.2.1".parse().unwrap()], ..Network::default() };
        assert!(Sockets::bind(&network).is_err());
    }
}
