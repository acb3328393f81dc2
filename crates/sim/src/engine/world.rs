//! The world: nodes in shards, and time in windows.
//!
//! Every message between two nodes takes at least the network's least latency, so whatever happens within one window of
//! that length at one node has no effect on another in the same window. Windows are therefore worked through one after
//! another, the nodes of a window in any order and on any thread. What they send is handed over between windows, by
//! shard and then in the order in which it was sent, so a run is the same with any number of threads.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use weft_crypto::{IdentityKey, Party, PeerKey, Seed, SignalerKey};
use weft_peer_core::{Config, Keys};
use weft_signaler_core::{Config as SignalerConfig, SiblingConfig};
use weft_wire::{DiscoveryKey, IdentityId, Time};

use super::announced_node::AnnouncedNode;
use super::clock::{Clock, START};
use super::dice::Dice;
use super::network::{Cut, Divided, Laws, Network};
use super::node::{Node, Role, UNLISTED};
use super::parcel::{Act, Cargo, NodeId, Parcel};
use super::peer_node::{ICE_NOTICES, PeerNode, Plan};
use super::queue::{NEVER, SHARDS, place};
use super::shard::Shard;
use super::signaler_node::{Files, SignalerNode, url_of};
use super::tally::Violation;

/// Windows with less to do than this are not worth waking other threads for.
const PARALLEL: usize = 64;

/// Peers and signalers, and the network between them.
#[derive(Debug)]
pub struct World {
    network: Network,
    shards: Vec<Shard>,
    clock: Clock,
    /// Everything before has happened.
    now: Time,
    pool: Option<rayon::ThreadPool>,
    dice: Dice,
    nodes: u32,
    party: Party,
    identities: Vec<IdentityId>,
}

impl World {
    /// A world with `signalers` that know each other; `threads` of 0 means one for each core.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(laws: Laws, seed: u64, signalers: u32, members: u32, threads: usize) -> Result<Self> {
        let network = Network::new(laws, seed, signalers);
        let length = u64::try_from(network.least_latency().as_micros())?;
        let clock = Clock::new(length);
        let pool = (threads != 1)
            .then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build())
            .transpose()
            .context("the threads could not be started")?;
        let mut world = Self {
            network,
            shards: (0..SHARDS).map(|_| Shard::new()).collect(),
            clock,
            now: Time::from_micros(START.micros() / length * length),
            pool,
            dice: Dice::new(seed, 11),
            nodes: 0,
            party: Party::open("simulation"),
            identities: Vec::new(),
        };
        world.add_signalers(signalers, members);
        Ok(world)
    }

    fn add_signalers(&mut self, count: u32, members: u32) {
        let keys: Vec<SignalerKey> =
            (0..count).map(|_| SignalerKey::new(&Seed::new(self.dice.bytes()))).collect();
        for at in 0..count {
            // Each admits all others and has the address of the first alone: the rest is found out.
            let sibling = |(other, key): (u32, &SignalerKey)| SiblingConfig {
                id: Some(key.id()),
                url: (other == 0).then(|| url_of(NodeId(other))),
                pinned: None,
            };
            let siblings = (0_u32..).zip(&keys).filter(|(other, _)| *other != at).map(sibling).collect();
            let defaults = SignalerConfig::default();
            let config = SignalerConfig {
                siblings,
                public_url: Some(url_of(NodeId(at))),
                max_members_per_swarm: defaults.max_members_per_swarm.max(members),
                max_connections: defaults.max_connections.max(members),
                max_entries: defaults.max_entries.max(members.saturating_mul(4)),
                max_pending: defaults.max_pending.max(members.saturating_mul(8)),
                handshakes_burst: defaults.handshakes_burst.max(members),
                ..defaults
            };
            let key = keys[at as usize].clone();
            let files = Files { config, key, seed: self.dice.bytes() };
            let clock = self.network.by_clock_of(NodeId(at), self.now);
            let id = self.add(Role::Signaler(Box::new(SignalerNode::new(files, self.now, clock))));
            // Its siblings are dialled at once.
            self.shards[place(id).0].rouse(id, self.now, self.clock);
        }
    }

    pub(super) fn add(&mut self, role: Role) -> NodeId {
        let id = NodeId(self.nodes);
        self.nodes += 1;
        self.shards[place(id).0].nodes.push(Node::new(id, role));
        id
    }

    // ---- what a scenario does ----

    /// A new peer that starts at a time, joins the party, and subscribes to a topic or to everything.
    pub fn add_peer(&mut self, config: Config, topic: Option<u32>, at: Time) -> NodeId {
        let identity = IdentityKey::new(&Seed::new(self.dice.bytes()));
        let peer = PeerKey::new(&Seed::new(self.dice.bytes()));
        let (peer_id, identity_id) = (peer.id(), identity.id());
        let mut config = config;
        let count = self.network.signalers;
        let first = self.nodes;
        config.signalers = (0..count).map(|n| url_of(NodeId((first + n) % count))).collect();
        let keys = Keys { identity, peer };
        let plan = Plan { config, keys, seed: self.dice.bytes(), topic };
        let id = self.add(Role::Planned(Box::new(plan)));
        self.network.enter(peer_id, id);
        self.identities.resize(id.index() + 1, IdentityId([0; 32]));
        self.identities[id.index()] = identity_id;
        self.act(id, at, Act::Start { party: self.party.clone() });
        id
    }

    /// A new peer that connects to a signaler at a time and announces itself in a swarm; without one, it waits to be told to ask.
    pub fn add_announced(&mut self, discovery: Option<DiscoveryKey>, home: NodeId, at: Time) -> NodeId {
        let key = PeerKey::new(&Seed::new(self.dice.bytes()));
        let id = self.add(Role::Announced(Box::new(AnnouncedNode::new(key, discovery, home, at))));
        self.shards[place(id).0].rouse(id, at, self.clock);
        id
    }

    /// Gives a chunk to a node.
    #[cfg(test)]
    pub(super) fn give(&mut self, to: NodeId, cargo: Cargo) {
        let parcel = Parcel { at: self.now, to, cargo };
        self.shards[place(to).0].take(parcel, self.clock);
    }

    /// Does something to a node at a time, which must not have passed.
    pub(crate) fn act(&mut self, id: NodeId, at: Time, act: Act) {
        let at = at.max(self.now);
        let parcel = Parcel { at, to: id, cargo: Cargo::Act(Box::new(act)) };
        self.shards[place(id).0].take(parcel, self.clock);
    }

    /// Divides the nodes into groups for a time, from now on.
    pub fn cut(&mut self, groups: u64, time: Duration, divided: Divided) -> Cut {
        let seed = self.dice.roll();
        let cut = Cut { from: self.now, until: self.now + time, groups, seed, divided };
        self.network.cut(cut.clone());
        let consent = ICE_NOTICES + super::connection::CONSENT;
        for id in self.peers().map(|(id, _)| id).collect::<Vec<_>>() {
            if time > ICE_NOTICES {
                self.act(id, cut.from + ICE_NOTICES, Act::CutNoticed);
            }
            if time > consent {
                self.act(id, cut.from + consent, Act::CutFails);
            }
            // Connectivity checks are seconds apart (RFC 7675 section 5.1: every 4 to 6 s; browsers: 2.5 s).
            let notices = Duration::from_micros(self.dice.roll() % 2_500_000);
            self.act(id, cut.until + notices, Act::CutHealed);
        }
        cut
    }

    /// Chunks are looked into from now on, to draw how a publication spread.
    pub fn trace(&mut self, on: bool) {
        self.network.trace = on;
    }

    // ---- questions ----

    /// Everything before this has happened.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The identity of a peer's user.
    pub fn identity(&self, id: NodeId) -> Option<IdentityId> {
        self.identities.get(id.index()).copied()
    }

    /// How many nodes there have been, signalers included.
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// Messages that ended well for those who sent them, and that did not; of peers that are gone, too.
    pub fn sent(&self) -> (u64, u64) {
        let nodes = (0..self.nodes).map(NodeId).filter_map(|id| self.shards[place(id).0].node(id));
        nodes.map(Node::sent).fold((0, 0), |(ok, failed), sent| (ok + sent.0, failed + sent.1))
    }

    /// Peers that run, in the order of their nodes.
    pub fn peers(&self) -> impl Iterator<Item = (NodeId, &PeerNode)> + '_ {
        (0..self.nodes).map(NodeId).filter_map(|id| Some((id, self.peer(id)?)))
    }

    /// A peer that runs.
    pub fn peer(&self, id: NodeId) -> Option<&PeerNode> {
        self.shards[place(id).0].node(id)?.peer()
    }

    /// A peer that only announces itself.
    pub fn announced(&self, id: NodeId) -> Option<&AnnouncedNode> {
        match &self.shards[place(id).0].node(id)?.role {
            Role::Announced(peer) => Some(peer),
            _ => None,
        }
    }

    /// A peer that only announces itself.
    pub fn announced_mut(&mut self, id: NodeId) -> Option<&mut AnnouncedNode> {
        match &mut self.shards[place(id).0].node_mut(id)?.role {
            Role::Announced(peer) => Some(peer),
            _ => None,
        }
    }

    /// Whether a node is in the background.
    pub fn is_asleep(&self, id: NodeId) -> bool {
        self.shards[place(id).0].node(id).is_some_and(|node| node.is_asleep(self.now))
    }

    /// A peer that runs.
    pub fn peer_mut(&mut self, id: NodeId) -> Option<&mut PeerNode> {
        self.shards[place(id).0].node_mut(id)?.peer_mut()
    }

    /// The signalers.
    pub fn signalers(&self) -> impl Iterator<Item = &SignalerNode> + '_ {
        (0..self.network.signalers).map(NodeId).filter_map(|id| self.signaler(id))
    }

    /// A signaler, whether it runs or not.
    pub fn signaler(&self, id: NodeId) -> Option<&SignalerNode> {
        match &self.shards[place(id).0].node(id)?.role {
            Role::Signaler(signaler) => Some(signaler),
            _ => None,
        }
    }

    /// Threads that work.
    pub fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Things that happened at nodes since the start.
    pub fn events(&self) -> u64 {
        self.shards.iter().map(|shard| shard.events).sum()
    }

    // ---- letting time pass ----

    /// Lets time pass; ends early when a rule is broken.
    ///
    /// # Errors
    /// The violation that came first; of several in one window that of the lowest node.
    pub fn run(&mut self, time: Duration) -> Result<(), Violation> {
        self.run_until(self.now + time)
    }

    /// Lets time pass until then, rounded up to a whole window.
    ///
    /// # Errors
    /// See [`World::run`].
    pub fn run_until(&mut self, until: Time) -> Result<(), Violation> {
        let pool = self.pool.take();
        let outcome = match &pool {
            Some(pool) => pool.install(|| self.windows(until, true)),
            None => self.windows(until, false),
        };
        self.pool = pool;
        outcome
    }

    fn windows(&mut self, until: Time, parallel: bool) -> Result<(), Violation> {
        let clock = self.clock;
        let last = clock.window(until - Duration::from_micros(1));
        loop {
            let next = self.shards.iter().map(|shard| shard.next_window(clock)).min().unwrap_or(UNLISTED);
            if next > last {
                self.now = self.now.max(clock.end(last));
                return Ok(());
            }
            self.hand_over();
            let network = &self.network;
            let load: usize = self.shards.iter().map(|shard| shard.load(next)).sum();
            if parallel && load >= PARALLEL {
                self.shards.par_iter_mut().for_each(|shard| shard.work(next, clock, network));
            } else {
                self.shards.iter_mut().for_each(|shard| shard.work(next, clock, network));
            }
            self.now = clock.end(next);
            let broken = self.shards.iter_mut().flat_map(|shard| shard.violations.drain(..)).min();
            if let Some(violation) = broken {
                return Err(violation);
            }
        }
    }

    /// Carries the post of each shard to the others. Lists are exchanged, not copied.
    fn hand_over(&mut self) {
        for from in 0..SHARDS {
            if self.shards[from].post.earliest == NEVER {
                continue;
            }
            for to in 0..SHARDS {
                if self.shards[from].post.boxes[to].is_empty() {
                    continue;
                }
                let sent = std::mem::take(&mut self.shards[from].post.boxes[to]);
                // Empty by now: its memory goes back to the sender.
                let read = std::mem::replace(&mut self.shards[to].inbox[from], sent);
                self.shards[from].post.boxes[to] = read;
            }
            self.shards[from].post.earliest = NEVER;
        }
    }
}
