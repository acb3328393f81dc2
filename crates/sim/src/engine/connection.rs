//! One side of a simulated WebRTC connection: descriptions, ICE checks, an ordered and reliable channel.
//!
//! The side that accepts the other's description last sends a check; when the other side knows our description of the
//! same generation the connection is there, and the channel opens after the handshakes of DTLS and SCTP on both sides at
//! the same moment. A restart of ICE is the same with the next generation.

use std::time::Duration;

use weft_peer_core::LinkId;
use weft_wire::Time;

use super::parcel::{Cargo, NodeId};
use super::queue::Scope;

/// Round trips from the first successful check to the open channel: DTLS 1.2 and SCTP, two each, of which browsers
/// interleave one.
const HANDSHAKES: u32 = 3;
/// A check that got no answer is repeated after this long (RFC 8445: RTO at least 500 ms).
const RECHECK: Duration = Duration::from_millis(500);
/// Checks before ICE fails: 15 s.
const CHECKS: u32 = 30;
/// ICE goes from `disconnected` to `failed` after this long: consent lasts 30 s (RFC 7675), and 6 s have passed.
pub(crate) const CONSENT: Duration = Duration::from_secs(24);

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: LinkId,
    /// Of our descriptions: one more for each restart.
    generation: u64,
    /// The other side as its description says, the generation of that, and the latency to it.
    pub(crate) remote: Option<Remote>,
    /// The channel is open.
    pub(crate) open: bool,
    /// The channel will open.
    opening: bool,
    /// Successful checks.
    pub(crate) checks: u32,
    /// ICE has said that it is disconnected.
    pub(crate) troubled: bool,
    /// ICE has failed: nothing passes until a restart.
    pub(crate) failed: bool,
    held: Vec<Vec<u8>>,
    /// Until when the channel is busy with what was written.
    busy_until: Time,
    last_arrival: Time,
    messages: u64,
    /// A report that the channel has drained is on its way.
    pub(crate) draining: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote {
    pub(crate) node: NodeId,
    pub(crate) link: LinkId,
    generation: u64,
    latency: Duration,
}

/// What a description says.
struct Origin {
    node: NodeId,
    link: LinkId,
    generation: u64,
}

impl Connection {
    pub(crate) fn new(link: LinkId) -> Self {
        Self {
            link,
            generation: 0,
            remote: None,
            open: false,
            opening: false,
            checks: 0,
            troubled: false,
            failed: false,
            held: Vec::new(),
            busy_until: Time::ZERO,
            last_arrival: Time::ZERO,
            messages: 0,
            draining: false,
        }
    }

    /// Makes a description and finds a candidate, which takes a browser about a millisecond.
    pub(crate) fn describe(&self, scope: &mut Scope<'_>) {
        let (node, link) = (scope.me.0, self.link.0);
        let sdp = format!(
            "v=0\r\no={node} {link} {}\r\na=fingerprint:sha-256 {node:08x}:AA:BB:CC:{link:08x}\r\n",
            self.generation
        );
        scope
            .later(Duration::from_millis(1), Cargo::Described { link: self.link, sdp: sdp.into_boxed_str() });
        scope.later(Duration::from_millis(1), Cargo::Gathered { link: self.link });
    }

    pub(crate) fn restart(&mut self, scope: &mut Scope<'_>) {
        self.generation += 1;
        self.describe(scope);
    }

    /// Takes the other side's description; false if it is none.
    pub(crate) fn accept(&mut self, sdp: &str, scope: &mut Scope<'_>) -> bool {
        let Some(Origin { node, link, generation }) = origin(sdp).filter(|origin| origin.node != scope.me)
        else {
            scope.later(Duration::from_millis(1), Cargo::Unusable { link: self.link });
            return false;
        };
        let latency = scope.latency(node);
        self.remote = Some(Remote { node, link, generation, latency });
        self.generation = self.generation.max(generation);
        self.check(0, scope);
        true
    }

    fn check(&mut self, attempt: u32, scope: &mut Scope<'_>) {
        let Some(remote) = self.remote else { return };
        let fails = Cargo::IceFails { link: self.link, checks: self.checks };
        if scope.network.is_unreachable(scope.me, remote.node) {
            scope.later(RECHECK * CHECKS, fails);
        } else if scope.network.cut_until(scope.now, scope.me, remote.node).is_none() {
            let from = (scope.me, self.link);
            let check = Cargo::Check { link: remote.link, from, generation: remote.generation };
            scope.send(remote.node, scope.now + remote.latency, check);
        } else if attempt >= CHECKS {
            scope.later(Duration::ZERO, fails);
        } else {
            let generation = remote.generation;
            scope.later(RECHECK, Cargo::Recheck { link: self.link, generation, attempt: attempt + 1 });
        }
    }

    /// A check did not get through some time ago.
    pub(crate) fn recheck(&mut self, generation: u64, attempt: u32, scope: &mut Scope<'_>) {
        if self.remote.is_some_and(|remote| remote.generation == generation) {
            self.check(attempt, scope);
        }
    }

    /// The other side has accepted our description. True if the connection is there.
    pub(crate) fn on_check(
        &mut self,
        from: (NodeId, LinkId),
        generation: u64,
        scope: &mut Scope<'_>,
    ) -> bool {
        let Some(remote) = self.remote else { return false };
        if (remote.node, remote.link) != from || remote.generation != generation {
            return false;
        }
        let checked = Cargo::Checked { link: remote.link, generation };
        scope.send(remote.node, scope.now + remote.latency, checked);
        self.establish(remote.latency * (1 + 2 * HANDSHAKES), scope);
        true
    }

    /// Our check was answered. True if the connection is there.
    pub(crate) fn on_checked(&mut self, generation: u64, scope: &mut Scope<'_>) -> bool {
        let Some(remote) = self.remote.filter(|remote| remote.generation == generation) else { return false };
        self.establish(remote.latency * (2 * HANDSHAKES), scope);
        true
    }

    fn establish(&mut self, handshakes: Duration, scope: &mut Scope<'_>) {
        self.checks += 1;
        self.troubled = false;
        self.failed = false;
        if !self.opening {
            self.opening = true;
            scope.later(handshakes, Cargo::Opened { link: self.link });
        }
        for bytes in std::mem::take(&mut self.held) {
            self.write(bytes, scope);
        }
    }

    /// Sends a message: ordered and reliable, so that whatever goes wrong only takes longer.
    pub(crate) fn write(&mut self, bytes: Vec<u8>, scope: &mut Scope<'_>) {
        let Some(remote) = self.remote.filter(|_| self.open) else { return };
        if self.failed {
            self.held.push(bytes);
            return;
        }
        let network = scope.network;
        self.messages += 1;
        let start = network.passes(scope.now, scope.me, remote.node).max(self.busy_until);
        let sent = start + network.transmission(bytes.len());
        if sent > scope.now {
            self.busy_until = sent;
        }
        let extra = network.delay(scope.me, remote.node, self.messages, remote.latency);
        let at = (sent + remote.latency + extra).max(self.last_arrival);
        self.last_arrival = at;
        scope.send(remote.node, at, Cargo::Chunk { link: remote.link, bytes });
    }

    /// When the channel has nothing buffered; none while nobody knows.
    pub(crate) fn drained_at(&self) -> Option<Time> {
        (!self.failed).then_some(self.busy_until)
    }

    /// Closes our side, and tells the other one after what was sent before.
    pub(crate) fn close(&self, scope: &mut Scope<'_>) {
        let Some(remote) = self.remote else { return };
        let passes = scope.network.passes(scope.now, scope.me, remote.node);
        let at = (passes + remote.latency).max(self.last_arrival);
        scope.send(remote.node, at, Cargo::ChannelClosed { link: remote.link });
    }

    /// Our side is gone without a word: the other one notices after `after`.
    pub(crate) fn vanish(&self, after: Duration, scope: &mut Scope<'_>) {
        if let Some(remote) = self.remote.filter(|_| self.checks > 0) {
            scope.send(remote.node, scope.now + remote.latency + after, Cargo::Silence { link: remote.link });
        }
    }
}

/// `o=NODE LINK GENERATION`.
fn origin(sdp: &str) -> Option<Origin> {
    let line = sdp.lines().find_map(|line| line.strip_prefix("o="))?;
    let mut parts = line.split(' ');
    Some(Origin {
        node: NodeId(parts.next()?.parse().ok()?),
        link: LinkId(parts.next()?.parse().ok()?),
        generation: parts.next()?.parse().ok()?,
    })
}
