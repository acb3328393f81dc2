//! All links of a peer: the open ones by their id, and those that are on their way out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use str0m::crypto::CryptoProvider;
use weft_peer_core::LinkId;

use crate::link::{Link, LinkError, LinkEvent};
use crate::options::Network;

/// Links that may flush at once; beyond it the oldest is dropped as it is.
const CLOSING: usize = 32;

/// What the channels had been given at some time. Links go on talking, so one that waits until nothing at all is
/// unacknowledged might wait for long.
#[derive(Debug)]
pub(crate) struct Given(BTreeMap<LinkId, u64>);

/// The links.
#[derive(Debug)]
pub(crate) struct Links {
    crypto: Arc<CryptoProvider>,
    network: Network,
    low: usize,
    open: BTreeMap<LinkId, Link>,
    closing: Vec<Link>,
    /// STUN servers.
    servers: Vec<SocketAddr>,
}

impl Links {
    /// None yet. A link reports when at most `low` bytes are buffered in its channel.
    pub(crate) fn new(network: Network, low: usize) -> Self {
        let crypto = Arc::new(str0m::crypto::from_feature_flags());
        Self { crypto, network, low, open: BTreeMap::new(), closing: Vec::new(), servers: Vec::new() }
    }

    /// Asks these STUN servers from now on.
    pub(crate) fn use_servers(&mut self, now: Instant, servers: Vec<SocketAddr>) {
        self.servers = servers;
        for link in self.open.values_mut().filter(|link| !link.is_open()) {
            link.reflect(now, &self.servers);
        }
    }

    /// Makes a link, and its offer if one is wanted.
    pub(crate) fn open(
        &mut self,
        id: LinkId,
        offer: bool,
        now: Instant,
    ) -> Result<Option<String>, LinkError> {
        let mut link = Link::open(&self.crypto, &self.network, self.low, now)?;
        let description = offer.then(|| link.offer()).transpose()?;
        self.open.insert(id, link);
        Ok(description)
    }

    /// Asks at which addresses the outside sees a link that is described, or described anew: it may be elsewhere by now.
    pub(crate) fn reflect(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.open.get_mut(&id) {
            link.reflect(now, &self.servers);
        }
    }

    /// An open link.
    pub(crate) fn of(&mut self, id: LinkId) -> Option<&mut Link> {
        self.open.get_mut(&id)
    }

    /// Lets a link send what it has and go.
    pub(crate) fn close(&mut self, id: LinkId, now: Instant) {
        if let Some(mut link) = self.open.remove(&id) {
            link.close(now);
            if self.closing.len() == CLOSING {
                self.closing.remove(0);
            }
            self.closing.push(link);
        }
    }

    /// Lets all links send what they have and go.
    pub(crate) fn close_all(&mut self, now: Instant) {
        while let Some((id, _)) = self.open.first_key_value() {
            self.close(*id, now);
        }
    }

    /// Whether there is none at all any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closing.is_empty()
    }

    /// How much each channel has been given up to now.
    pub(crate) fn given(&self) -> Given {
        Given(self.open.iter().map(|(id, link)| (*id, link.given())).collect())
    }

    /// Whether the other sides have acknowledged that much. Who is gone, or was not heard for seconds, is not waited for
    /// as long as there is anybody else.
    pub(crate) fn have_acknowledged(&mut self, given: &Given) -> bool {
        let somebody = self.open.values().any(|link| !link.is_interrupted());
        given.0.iter().all(|(id, bytes)| {
            let link = self.open.get_mut(id).filter(|link| !(somebody && link.is_interrupted()));
            link.is_none_or(|link| link.has_acknowledged(*bytes))
        })
    }

    /// Pumps every link and gives what they report, in the order of their ids.
    pub(crate) fn pump(&mut self, now: Instant, mut report: impl FnMut(LinkId, LinkEvent)) {
        let mut events = Vec::new();
        for (id, link) in &mut self.open {
            link.pump(now, &mut events);
            events.drain(..).for_each(|event| report(*id, event));
        }
        for link in &mut self.closing {
            link.pump(now, &mut events);
        }
        self.closing.retain(|link| !link.is_gone(now));
    }

    /// Takes datagrams off all sockets; pending while there are none.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut any = Poll::Pending;
        for link in self.open.values_mut().chain(&mut self.closing) {
            if link.poll_receive(cx).is_ready() {
                any = Poll::Ready(());
            }
        }
        any
    }

    /// When [`pump`](Self::pump) is due without any input.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.open.values().chain(&self.closing).map(Link::wake_at).min()
    }
}
