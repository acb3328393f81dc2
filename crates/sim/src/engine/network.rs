//! What lies between nodes: latency, jitter, loss, bandwidth, pairs that cannot connect, partitions.
//!
//! Everything follows from the seed and the nodes by hashing, so nothing is stored per pair and any thread may ask.
//! It changes only between windows.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_wire::{PeerId, Time};

use super::dice::{is_in_share, mix};
use super::parcel::NodeId;

/// The laws of a network.
#[derive(Clone, Debug)]
pub struct Laws {
    /// Least and most latency between two peers, one way.
    pub link: (Duration, Duration),
    /// Least and most latency between a node and a signaler, one way.
    pub socket: (Duration, Duration),
    /// Added to the latency of each message on a link, at most.
    pub jitter: Duration,
    /// Share of the messages on links that are lost at first, 0 to 1: each costs a retransmission.
    pub loss: f64,
    /// Bytes per second that a link carries in each direction; 0: without bound.
    pub bandwidth: u64,
    /// Share of the pairs of peers between which no connection comes about, 0 to 1.
    pub unreachable: f64,
    /// Of three signalers one has a clock that is right, one is ahead by so much, one is behind.
    pub skew: Duration,
}

impl Default for Laws {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            link: (ms(10), ms(50)),
            socket: (ms(10), ms(30)),
            jitter: Duration::ZERO,
            loss: 0.0,
            bandwidth: 0,
            unreachable: 0.0,
            skew: Duration::ZERO,
        }
    }
}

/// A division of the nodes into groups that do not reach each other, for a time.
#[derive(Clone, Debug)]
pub struct Cut {
    /// From when on.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// How many groups.
    pub groups: u64,
    /// Decides who is in which group.
    pub seed: u64,
    /// Whom it keeps apart.
    pub divided: Divided,
}

/// Whom a division keeps apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divided {
    /// Peers; everybody reaches the signalers.
    Peers,
    /// Signalers; each reaches the peers.
    Signalers,
    /// Everybody.
    All,
}

impl Cut {
    /// The group of a node.
    pub fn group(&self, node: NodeId) -> u64 {
        mix(self.seed, u64::from(node.0)) % self.groups.max(1)
    }
}

/// A retransmission of SCTP begins after the round trip and this long (RFC 9260: RTO.Min is 1 s, browsers use 200 ms).
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// After a partition, what was held up arrives this much later: timers have backed off.
const AFTER_CUT: Duration = Duration::from_secs(1);
/// Bytes that SCTP, DTLS, UDP and IP add to a message.
const HEADERS: u64 = 80;

/// The network: its laws, who is who, and what is cut.
#[derive(Debug)]
pub struct Network {
    /// The laws.
    pub laws: Laws,
    seed: u64,
    /// Nodes below are signalers.
    pub(crate) signalers: u32,
    cuts: Vec<Cut>,
    directory: BTreeMap<PeerId, NodeId>,
    /// Chunks are decoded to learn who brought a publication first.
    pub(crate) trace: bool,
}

impl Network {
    pub(crate) fn new(laws: Laws, seed: u64, signalers: u32) -> Self {
        Self { laws, seed, signalers, cuts: Vec::new(), directory: BTreeMap::new(), trace: false }
    }

    pub(crate) fn enter(&mut self, peer: PeerId, node: NodeId) {
        self.directory.insert(peer, node);
    }

    /// The node of a peer.
    pub fn node_of(&self, peer: &PeerId) -> Option<NodeId> {
        self.directory.get(peer).copied()
    }

    pub(crate) fn is_signaler(&self, node: NodeId) -> bool {
        node.0 < self.signalers
    }

    pub(crate) fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// No message between two nodes takes less: the length of a window.
    pub(crate) fn least_latency(&self) -> Duration {
        self.laws.link.0.min(self.laws.socket.0).max(Duration::from_millis(1))
    }

    /// Latency between two nodes, one way; the same in both directions, for ever.
    pub fn latency(&self, a: NodeId, b: NodeId) -> Duration {
        let (low, high) =
            if self.is_signaler(a) || self.is_signaler(b) { self.laws.socket } else { self.laws.link };
        let hash = self.pair(a, b, 1);
        let span = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX - 1) + 1;
        (low + Duration::from_micros(hash % span)).max(self.least_latency())
    }

    /// Time as a signaler has it.
    pub(crate) fn by_clock_of(&self, node: NodeId, at: Time) -> Time {
        match node.0 % 3 {
            1 => at + self.laws.skew,
            2 => at - self.laws.skew,
            _ => at,
        }
    }

    /// When a signaler's clock says so.
    pub(crate) fn when_by_clock_of(&self, node: NodeId, said: Time) -> Time {
        match node.0 % 3 {
            1 => said - self.laws.skew,
            2 => said + self.laws.skew,
            _ => said,
        }
    }

    /// No connection comes about between these two.
    pub fn is_unreachable(&self, a: NodeId, b: NodeId) -> bool {
        self.laws.unreachable > 0.0 && is_in_share(self.pair(a, b, 2), self.laws.unreachable)
    }

    /// When what is sent now passes between two nodes: now, or after the partition that keeps them apart.
    pub fn passes(&self, now: Time, a: NodeId, b: NodeId) -> Time {
        self.cut_until(now, a, b).map_or(now, |until| until + AFTER_CUT)
    }

    /// Until when a partition keeps two nodes apart, if one does.
    pub fn cut_until(&self, now: Time, a: NodeId, b: NodeId) -> Option<Time> {
        let parts = |cut: &&Cut| {
            cut.from <= now
                && now < cut.until
                && match cut.divided {
                    Divided::Peers => !(self.is_signaler(a) || self.is_signaler(b)),
                    Divided::Signalers => self.is_signaler(a) && self.is_signaler(b),
                    Divided::All => true,
                }
                && cut.group(a) != cut.group(b)
        };
        self.cuts.iter().filter(parts).map(|cut| cut.until).max()
    }

    /// How long the `n`th message of a link is under way beyond its latency: jitter and retransmissions.
    pub(crate) fn delay(&self, from: NodeId, to: NodeId, n: u64, latency: Duration) -> Duration {
        if self.laws.jitter.is_zero() && self.laws.loss <= 0.0 {
            return Duration::ZERO;
        }
        let mut hash = mix(mix(self.seed, n), u64::from(from.0) << 32 | u64::from(to.0));
        let most = u64::try_from(self.laws.jitter.as_micros()).unwrap_or(u64::MAX - 1) + 1;
        let mut delay = Duration::from_micros(hash % most);
        // Ten losses in a row are as good as a dead link, which this is not the place for.
        for _ in 0..10 {
            hash = mix(hash, 3);
            if !is_in_share(hash, self.laws.loss) {
                break;
            }
            delay += latency * 2 + RETRANSMISSION;
        }
        delay
    }

    /// How long a link is busy with a message.
    pub(crate) fn transmission(&self, bytes: usize) -> Duration {
        if self.laws.bandwidth == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros((bytes as u64 + HEADERS) * 1_000_000 / self.laws.bandwidth)
    }

    fn pair(&self, a: NodeId, b: NodeId, purpose: u64) -> u64 {
        let (low, high) = (a.0.min(b.0), a.0.max(b.0));
        mix(mix(self.seed, purpose), u64::from(low) << 32 | u64::from(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(laws: Laws) -> Network {
        Network::new(laws, 7, 1)
    }

    #[test]
    fn latency_is_symmetric_constant_and_within_its_range() {
        let network = network(Laws::default());
        let mut sum = Duration::ZERO;
        for n in 1..1_000 {
            let latency = network.latency(NodeId(n), NodeId(n + 1));
            assert_eq!(latency, network.latency(NodeId(n + 1), NodeId(n)));
            assert!(latency >= Duration::from_millis(10) && latency <= Duration::from_millis(50));
            sum += latency;
        }
        let mean = sum / 999;
        assert!((28..32).contains(&mean.as_millis()), "{mean:?}");
        let to_signaler = network.latency(NodeId(0), NodeId(5));
        assert!(to_signaler <= Duration::from_millis(30));
    }

    #[test]
    fn a_partition_holds_between_groups_and_for_its_time() {
        let mut network = network(Laws::default());
        let at = Time::from_millis;
        network.cut(Cut { from: at(100), until: at(200), groups: 2, seed: 1, divided: Divided::Peers });
        let cut = network.cuts[0].clone();
        let a = NodeId(1);
        let same = (2..50).map(NodeId).find(|node| cut.group(*node) == cut.group(a)).unwrap();
        let other = (2..50).map(NodeId).find(|node| cut.group(*node) != cut.group(a)).unwrap();
        assert_eq!(network.cut_until(at(150), a, other), Some(at(200)));
        assert_eq!(network.cut_until(at(150), a, same), None);
        assert_eq!(network.cut_until(at(200), a, other), None);
        assert_eq!(network.cut_until(at(99), a, other), None);
        // Everybody reaches the signaler unless it is in a group too.
        assert!((1..50).all(|node| network.cut_until(at(150), NodeId(node), NodeId(0)).is_none()));
    }

    #[test]
    fn loss_delays_its_share_by_a_retransmission() {
        let laws = Laws { loss: 0.1, ..Laws::default() };
        let network = network(laws);
        let late = (0..10_000)
            .filter(|n| !network.delay(NodeId(1), NodeId(2), *n, Duration::from_millis(20)).is_zero())
            .count();
        assert!((900..1_100).contains(&late), "{late}");
    }
}
