//! A small world for tests: peers, signalers that share one table, connections; time is moved by hand, everything that
//! is random comes from one seed. Connections are as reliable as a data channel: what is sent while a side is cut off
//! arrives when it is back and ICE was restarted.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_crypto::{IdentityKey, Party, PeerKey, Seed, SignalerKey, challenge, statement};
use weft_peer_core::{
    Backlog, Command, CommandId, Config, Event, HomeIndex, IceServer, IceState, Input, Keys, LinkId,
    LinkState, Output, Peer, StoreWork,
};
use weft_query::{Document, Filter, Value, View};
use weft_wire::chunk::{Outgoing, Reassembler};
use weft_wire::link::Link as Frame;
use weft_wire::sealed::Candidate;
use weft_wire::signaler::{EntryBytes, FromSignaler, ToSignaler};
use weft_wire::{Code, DiscoveryKey, List, Nonce, PeerId, Text, Time, decode, encode, limits};

use crate::disk::Disk;
use crate::residence::Residence;

pub(crate) const START: Time = Time::from_millis(1_700_000_000_000);
/// ICE notices a cut after this long (measured in Chromium).
const ICE_NOTICES: Duration = Duration::from_secs(6);

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) signalers: Vec<Signaler>,
    queue: BinaryHeap<Happening>,
    order: u64,
    rng: ChaCha12Rng,
    connections: BTreeMap<(usize, LinkId), Connection>,
    /// Nodes without any network.
    cut: BTreeSet<usize>,
    /// What a cut holds up on WebSockets: TCP delivers it when the network is back.
    stalled: Vec<What>,
    /// Sockets with signalers over which nothing comes any more after a cut: TCP sends again when its timer says so.
    pub(crate) sockets_stay_stuck: bool,
    dead: BTreeSet<(usize, HomeIndex)>,
    /// Changes what a signaler passes on: (envelope) -> altered.
    pub(crate) tamper: bool,
    /// Drops this share of forwarded envelopes, percent.
    pub(crate) drop_forwards: u64,
    /// Nodes between which no connection comes about.
    pub(crate) walls: BTreeSet<(usize, usize)>,
    /// Added to the latency of links.
    pub(crate) slowness: Duration,
    /// Bytes per second of each direction of each connection; none: no limit. A channel then buffers what waits.
    pub(crate) bandwidth: Option<u64>,
    /// The most bytes that any channel has buffered.
    pub(crate) most_buffered: u64,
    /// The most that any peer had waiting for its channels.
    pub(crate) most_queued: usize,
    /// Bytes of the largest message that the channels of a node take.
    pub(crate) takes: BTreeMap<usize, usize>,
    /// A channel whose connection was restored delivers only after this long: SCTP sends again when its timer says so.
    pub(crate) stuck: Duration,
    /// Nodes whose hellos prove no party's key.
    pub(crate) unproved: BTreeSet<usize>,
    /// So many presences that are sent next over links are lost.
    pub(crate) lose_presences: usize,
    pub(crate) connections_made: u64,
    pub(crate) forwards: u64,
    /// Everything forwarded comes twice.
    pub(crate) repeat_forwards: bool,
    /// What was forwarded, one after the other.
    pub(crate) seen_by_signalers: Vec<u8>,
    /// The same, each with its recipient.
    pub(crate) recorded: Vec<(PeerId, Vec<u8>)>,
    /// What went over links, if it is to be remembered: to whom, and the message.
    pub(crate) tape: Option<Vec<(usize, Vec<u8>)>>,
    pub(crate) disks: Vec<Disk>,
    /// Mail waits there; none: signalers are of a version that knows of none.
    pub(crate) residence: Option<Residence>,
    /// Drops this share of what nodes and signalers say to each other about mail, percent.
    pub(crate) drop_mail: u64,
}

pub(crate) struct Node {
    pub(crate) peer: Peer,
    pub(crate) events: Vec<Event>,
    /// TURN servers that the driver was told of, each time.
    pub(crate) ice_servers: Vec<Vec<IceServer>>,
    sockets: BTreeMap<HomeIndex, usize>,
    /// Which of the world's disks it has.
    pub(crate) disk: Option<usize>,
    pub(crate) killed: bool,
}

pub(crate) struct Signaler {
    key: SignalerKey,
    up: bool,
    sessions: BTreeMap<(usize, HomeIndex), Option<PeerId>>,
    /// (swarm, peer) -> entry
    entries: BTreeMap<(DiscoveryKey, PeerId), Vec<u8>>,
}

#[derive(Default)]
struct Connection {
    local: Option<u64>,
    remote: Option<(usize, LinkId)>,
    remote_generation: Option<u64>,
    generation: u64,
    open: bool,
    /// The network went away and ICE has not been restarted since.
    broken: bool,
    waiting: Vec<Vec<u8>>,
    last_arrival: Time,
    /// When all that is buffered has gone out.
    busy_until: Time,
    candidates: Vec<Candidate>,
    /// A description was asked for and has not been given yet.
    describing: bool,
}

struct Happening {
    at: Time,
    order: u64,
    what: What,
}

enum What {
    Timer(usize),
    Opened(usize, HomeIndex),
    ToNode(usize, HomeIndex, Vec<u8>),
    ToSignaler(usize, HomeIndex, usize, Vec<u8>),
    HungUp(usize, HomeIndex, usize),
    Closed(usize, HomeIndex),
    Description(usize, LinkId, String),
    Candidate(usize, LinkId),
    LinkFailed(usize, LinkId),
    ChannelOpened(usize, LinkId),
    Message(usize, LinkId, Vec<u8>),
    Drained(usize, LinkId),
    ChannelClosed(usize, LinkId),
    Ice(usize, LinkId, IceState),
    IceNotices(usize),
    Store(usize, StoreWork),
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Happening {}
impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Happening {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl World {
    pub(crate) fn new(seed: u64, signalers: usize) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let signalers = (0..signalers)
            .map(|_| Signaler {
                key: SignalerKey::new(&Seed::new(bytes(&mut rng))),
                up: true,
                sessions: BTreeMap::new(),
                entries: BTreeMap::new(),
            })
            .collect();
        Self {
            now: START,
            nodes: Vec::new(),
            signalers,
            queue: BinaryHeap::new(),
            order: 0,
            rng,
            connections: BTreeMap::new(),
            cut: BTreeSet::new(),
            stalled: Vec::new(),
            sockets_stay_stuck: false,
            dead: BTreeSet::new(),
            tamper: false,
            drop_forwards: 0,
            walls: BTreeSet::new(),
            slowness: Duration::ZERO,
            bandwidth: None,
            takes: BTreeMap::new(),
            most_buffered: 0,
            most_queued: 0,
            stuck: Duration::ZERO,
            unproved: BTreeSet::new(),
            lose_presences: 0,
            connections_made: 0,
            forwards: 0,
            repeat_forwards: false,
            seen_by_signalers: Vec::new(),
            recorded: Vec::new(),
            tape: None,
            disks: Vec::new(),
            residence: None,
            drop_mail: 0,
        }
    }

    // ---- setting the scene ----

    pub(crate) fn add(&mut self, signalers: &[usize]) -> usize {
        self.add_with(signalers, |_| {})
    }

    pub(crate) fn add_with(&mut self, signalers: &[usize], configure: impl FnOnce(&mut Config)) -> usize {
        let identity = IdentityKey::new(&Seed::new(bytes(&mut self.rng)));
        let peer = PeerKey::new(&Seed::new(bytes(&mut self.rng)));
        self.add_keys(Keys { identity, peer }, signalers, configure)
    }

    pub(crate) fn add_keys(
        &mut self,
        keys: Keys,
        signalers: &[usize],
        configure: impl FnOnce(&mut Config),
    ) -> usize {
        self.add_on(keys, signalers, None, configure)
    }

    /// A peer with one of the disks.
    pub(crate) fn add_on(
        &mut self,
        keys: Keys,
        signalers: &[usize],
        disk: Option<usize>,
        configure: impl FnOnce(&mut Config),
    ) -> usize {
        let mut config = Config {
            signalers: signalers.iter().map(|n| format!("ws://{n}")).collect(),
            ..Config::default()
        };
        configure(&mut config);
        let seed = bytes(&mut self.rng);
        let peer = Peer::new(config, keys, seed, self.now);
        self.nodes.push(Node {
            peer,
            events: Vec::new(),
            ice_servers: Vec::new(),
            sockets: BTreeMap::new(),
            disk,
            killed: false,
        });
        let node = self.nodes.len() - 1;
        self.drain(node);
        node
    }

    pub(crate) fn command(&mut self, node: usize, command: Command) -> CommandId {
        let id = self.nodes[node].peer.command(self.now, command).expect("the command is taken");
        self.drain(node);
        id
    }

    pub(crate) fn join(&mut self, node: usize, name: &str) -> DiscoveryKey {
        let party = Party::open(name);
        let discovery = party.discovery();
        self.command(node, Command::Join { party });
        discovery
    }

    pub(crate) fn subscribe(
        &mut self,
        node: usize,
        discovery: DiscoveryKey,
        query: &Value,
        backlog: bool,
    ) -> CommandId {
        self.subscribe_with(node, discovery, query, backlog.then(Backlog::default))
    }

    pub(crate) fn subscribe_with(
        &mut self,
        node: usize,
        discovery: DiscoveryKey,
        query: &Value,
        backlog: Option<Backlog>,
    ) -> CommandId {
        let filter = Filter::parse(query).expect("the query is good");
        self.command(node, Command::Subscribe { discovery, filter, backlog })
    }

    pub(crate) fn publish(&mut self, node: usize, discovery: DiscoveryKey, n: i64) -> CommandId {
        self.command(node, Command::Publish { discovery, document: number(n) })
    }

    /// The page reloads or the process dies: no goodbye, the sockets close.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].killed = true;
        let sockets: Vec<HomeIndex> = self.nodes[node].sockets.keys().copied().collect();
        for home in sockets {
            self.hang_up(node, home);
        }
        let links: Vec<LinkId> =
            self.connections.keys().filter(|(of, _)| *of == node).map(|(_, link)| *link).collect();
        for link in links {
            self.close_connection(node, link);
        }
    }

    /// The process dies, and nothing tells its neighbours.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].killed = true;
        let sockets: Vec<HomeIndex> = self.nodes[node].sockets.keys().copied().collect();
        for home in sockets {
            self.hang_up(node, home);
        }
        self.cut(node);
    }

    pub(crate) fn kill_signaler(&mut self, signaler: usize) {
        self.signalers[signaler].up = false;
        let sessions: Vec<(usize, HomeIndex)> = self.signalers[signaler].sessions.keys().copied().collect();
        self.signalers[signaler].sessions.clear();
        self.signalers[signaler].entries.clear();
        for (node, home) in sessions {
            self.nodes[node].sockets.remove(&home);
            self.later(What::Closed(node, home));
        }
    }

    pub(crate) fn revive_signaler(&mut self, signaler: usize) {
        self.signalers[signaler].up = true;
    }

    /// Takes a node's whole network away: nothing is told to anybody until it is noticed.
    pub(crate) fn cut(&mut self, node: usize) {
        self.cut.insert(node);
        for ((of, _), connection) in &mut self.connections {
            if *of == node || connection.remote.is_some_and(|(other, _)| other == node) {
                connection.broken = connection.open;
            }
        }
        self.at(self.now + ICE_NOTICES, What::IceNotices(node));
    }

    /// Gives it back; the platform says `online`.
    pub(crate) fn restore(&mut self, node: usize) {
        self.cut.remove(&node);
        let stalled = std::mem::take(&mut self.stalled);
        if self.sockets_stay_stuck {
            self.dead.extend(self.nodes[node].sockets.keys().map(|home| (node, *home)));
        } else {
            for what in stalled {
                self.later(what);
            }
        }
        self.input(node, Input::Online);
    }

    // ---- letting time pass ----

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until the condition holds or the time is over; gives how long it took if it held.
    pub(crate) fn run_until(&mut self, time: Duration, holds: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (begin, end) = (self.now, self.now + time);
        loop {
            if holds(self) {
                return Some(self.now.since(begin));
            }
            let next = self.queue.peek().map(|happening| happening.at);
            let Some(at) = next.filter(|at| *at <= end) else {
                self.now = end;
                return None;
            };
            self.now = self.now + at.since(self.now);
            if let Some(happening) = self.queue.pop() {
                self.happen(happening.what);
            }
        }
    }

    // ---- questions ----

    pub(crate) fn id(&self, node: usize) -> PeerId {
        self.nodes[node].peer.id()
    }

    /// Numbers that a subscription got, in order.
    pub(crate) fn numbers(&self, node: usize, subscription: CommandId) -> Vec<i64> {
        let data = self.nodes[node].events.iter().filter_map(|event| match event {
            Event::Data { subscription: of, publication, .. } if *of == subscription => {
                match publication.document.get("n") {
                    Some(View::Int(n)) => Some(n),
                    _ => None,
                }
            }
            _ => None,
        });
        data.collect()
    }

    pub(crate) fn linked(&self, a: usize, b: usize) -> bool {
        let (ids, events) = ((self.id(a), self.id(b)), |node: usize| &self.nodes[node].events);
        let open = |node: usize, other: PeerId| {
            let last = events(node).iter().rev().find_map(|event| match event {
                Event::Link { peer, state } if *peer == other => Some(state),
                _ => None,
            });
            matches!(last, Some(LinkState::Open { .. }))
        };
        open(a, ids.1) && open(b, ids.0)
    }

    /// Signalers forward the link, as both sides see it.
    pub(crate) fn forwarded(&self, a: usize, b: usize) -> bool {
        let last = |node: usize, other: PeerId| {
            let mut events = self.nodes[node].events.iter().rev();
            events.find_map(|event| match event {
                Event::Link { peer, state: LinkState::Open { forwarded } } if *peer == other => {
                    Some(*forwarded)
                }
                _ => None,
            })
        };
        last(a, self.id(b)) == Some(true) && last(b, self.id(a)) == Some(true)
    }

    /// The newest connection of a node.
    pub(crate) fn link_of(&self, node: usize) -> LinkId {
        self.connections
            .keys()
            .filter(|(of, _)| *of == node)
            .map(|(_, link)| *link)
            .max()
            .expect("a connection")
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.connections.values().filter(|connection| connection.open).count() / 2
    }

    pub(crate) fn count(&self, node: usize, which: impl Fn(&Event) -> bool) -> usize {
        self.nodes[node].events.iter().filter(|event| which(event)).count()
    }

    // ---- inside ----

    pub(crate) fn input(&mut self, node: usize, input: Input<'_>) {
        if !self.nodes[node].killed {
            self.nodes[node].peer.handle(self.now, input);
            self.drain(node);
        }
    }

    fn drain(&mut self, node: usize) {
        let mut sent = BTreeSet::new();
        loop {
            let Some(output) = self.nodes[node].peer.poll() else {
                // Without a limit the fake channel buffers nothing: it is drained when the run of messages is over.
                let Some(link) = sent.pop_first() else { break };
                match self.drained_at(node, link) {
                    Some(at) if at > self.now => self.at(at, What::Drained(node, link)),
                    Some(_) => self.nodes[node].peer.handle(self.now, Input::ChannelDrained { link }),
                    None => {}
                }
                continue;
            };
            if let Output::ChannelMessage { link, .. } = &output {
                sent.insert(*link);
            }
            self.carry_out(node, output);
        }
        self.most_queued = self.most_queued.max(self.nodes[node].peer.unsent());
        if let Some(at) = self.nodes[node].peer.deadline() {
            let at = if at > self.now { at } else { self.now };
            self.at(at, What::Timer(node));
        }
    }

    /// When little enough of a channel is buffered.
    fn drained_at(&self, node: usize, link: LinkId) -> Option<Time> {
        let low = Config::default().channel_low as u64;
        let wait =
            self.bandwidth.map_or(Duration::ZERO, |rate| Duration::from_micros(low * 1_000_000 / rate));
        Some(self.connections.get(&(node, link))?.busy_until - wait)
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Event(event) => self.nodes[node].events.push(event),
            Output::Store(work) => {
                let disk = self.nodes[node].disk.expect("a peer that stores has a disk");
                self.at(self.now + self.disks[disk].latency, What::Store(node, work));
            }
            Output::UseIceServers { servers } => self.nodes[node].ice_servers.push(servers),
            Output::DialSignaler { home, url } => {
                let signaler: usize = url.trim_start_matches("ws://").parse().expect("a signaler's number");
                if self.signalers[signaler].up && !self.cut.contains(&node) {
                    self.nodes[node].sockets.insert(home, signaler);
                    self.later(What::Opened(node, home));
                } else {
                    self.later(What::Closed(node, home));
                }
            }
            Output::SignalerFrame { home, bytes } => {
                let Some(&signaler) = self.nodes[node].sockets.get(&home) else { return };
                let what = What::ToSignaler(node, home, signaler, bytes);
                if self.dead.contains(&(node, home)) {
                    return;
                }
                if self.cut.contains(&node) {
                    self.stalled.push(what);
                } else {
                    self.later(what);
                }
            }
            Output::HangUpSignaler { home } => self.hang_up(node, home),
            Output::OpenLink { link, offer } => {
                self.connections.insert((node, link), Connection::default());
                if offer {
                    self.describe(node, link);
                }
            }
            Output::RestartIce { link } => {
                if let Some(connection) = self.connections.get_mut(&(node, link)) {
                    connection.generation += 1;
                }
                self.describe(node, link);
            }
            Output::AcceptOffer { link, sdp } => {
                if self.accept(node, link, &sdp) {
                    self.describe(node, link);
                }
            }
            Output::AcceptAnswer { link, sdp } => {
                self.accept(node, link, &sdp);
            }
            Output::AddCandidate { link, candidate } => {
                let connection =
                    self.connections.get_mut(&(node, link)).expect("a candidate for a connection");
                assert!(connection.remote.is_some(), "a candidate before the description it belongs to");
                connection.candidates.push(candidate);
            }
            Output::ChannelMessage { bytes, .. } if self.lose_presences > 0 && is_presence(&bytes) => {
                self.lose_presences -= 1;
            }
            Output::ChannelMessage { link, bytes } => self.send(node, link, bytes),
            Output::CloseLink { link } => self.close_connection(node, link),
        }
    }

    fn describe(&mut self, node: usize, link: LinkId) {
        let Some(connection) = self.connections.get_mut(&(node, link)) else { return };
        let (local, generation) = (link.0, connection.generation);
        // As in a browser: two at once end in "called in wrong state".
        assert!(!connection.describing, "a description was asked for while another was being made");
        connection.describing = true;
        connection.local = Some(local);
        let sdp = format!(
            "v=0\r\no={node} {local} {generation}\r\na=fingerprint:sha-256 {:02x}:AA:BB:CC:DD:EE:{local:04x}\r\n",
            node % 256
        );
        let takes = self.takes.get(&node).map(|bytes| format!("a=max-message-size:{bytes}\r\n"));
        let sdp = sdp + &takes.unwrap_or_default();
        self.soon(What::Description(node, link, sdp));
        self.soon(What::Candidate(node, link));
    }

    fn accept(&mut self, node: usize, link: LinkId, sdp: &str) -> bool {
        let origin = sdp.lines().find_map(|line| line.strip_prefix("o="));
        let parts: Vec<u64> =
            origin.into_iter().flat_map(|o| o.split(' ')).filter_map(|p| p.parse().ok()).collect();
        let [other, other_link, generation] = parts[..] else {
            self.soon(What::LinkFailed(node, link));
            return false;
        };
        let other = (usize::try_from(other).unwrap(), LinkId(other_link));
        let Some(connection) = self.connections.get_mut(&(node, link)) else { return false };
        connection.remote = Some(other);
        connection.remote_generation = Some(generation);
        connection.generation = connection.generation.max(generation);
        self.try_connect(node, link);
        true
    }

    /// Both sides know each other's description of the same generation: the connection is there (or heals).
    fn try_connect(&mut self, node: usize, link: LinkId) {
        let Some(connection) = self.connections.get(&(node, link)) else { return };
        let Some(other) = connection.remote else { return };
        let Some(counterpart) = self.connections.get(&other) else { return };
        let mutual = counterpart.remote == Some((node, link))
            && counterpart.remote_generation == connection.remote_generation;
        let walled = self.walls.contains(&(node.min(other.0), node.max(other.0)));
        if !mutual || walled || self.cut.contains(&node) || self.cut.contains(&other.0) {
            return;
        }
        let was_open = connection.open;
        for side in [(node, link), other] {
            let Some(connection) = self.connections.get_mut(&side) else { continue };
            connection.open = true;
            connection.broken = false;
            if was_open {
                connection.last_arrival = connection.last_arrival.max(self.now + self.stuck);
            }
            let waiting = std::mem::take(&mut connection.waiting);
            self.later(What::Ice(side.0, side.1, IceState::Connected));
            if !was_open {
                self.later(What::ChannelOpened(side.0, side.1));
            }
            for bytes in waiting {
                self.send(side.0, side.1, bytes);
            }
        }
        if !was_open {
            self.connections_made += 1;
        }
    }

    fn send(&mut self, node: usize, link: LinkId, bytes: Vec<u8>) {
        assert!(bytes.len() <= limits::CHUNK, "a chunk of {} bytes", bytes.len());
        let bytes = if self.unproved.contains(&node) { without_proofs(bytes) } else { bytes };
        let latency = self.latency();
        let now = self.now;
        let Some(connection) = self.connections.get_mut(&(node, link)) else { return };
        let Some((other, other_link)) = connection.remote.filter(|_| connection.open) else { return };
        let most = self.takes.get(&other).copied().filter(|bytes| *bytes > 0).unwrap_or(limits::CHUNK);
        assert!(bytes.len() <= most, "{} bytes for a channel that takes {most}", bytes.len());
        if connection.broken || self.cut.contains(&node) || self.cut.contains(&other) {
            connection.waiting.push(bytes);
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.push((other, bytes.clone()));
        }
        let mut gone = now;
        if let Some(rate) = self.bandwidth {
            gone =
                now.max(connection.busy_until) + Duration::from_micros(bytes.len() as u64 * 1_000_000 / rate);
            connection.busy_until = gone;
            let buffered = (gone.micros() - now.micros()) * rate / 1_000_000;
            self.most_buffered = self.most_buffered.max(buffered);
        }
        // In order, as the channel is.
        let at = (gone + latency).max(connection.last_arrival);
        connection.last_arrival = at;
        self.at(at, What::Message(other, other_link, bytes));
    }

    fn close_connection(&mut self, node: usize, link: LinkId) {
        if let Some(connection) = self.connections.remove(&(node, link))
            && let Some((other, other_link)) = connection.remote
        {
            let at = (self.now + self.latency()).max(connection.last_arrival);
            self.at(at, What::ChannelClosed(other, other_link));
        }
    }

    fn hang_up(&mut self, node: usize, home: HomeIndex) {
        let Some(signaler) = self.nodes[node].sockets.remove(&home) else { return };
        self.dead.remove(&(node, home));
        if self.nodes[node].killed {
            self.hung_up(node, home, signaler);
        } else {
            // What was sent before still arrives.
            self.later(What::HungUp(node, home, signaler));
        }
    }

    fn hung_up(&mut self, node: usize, home: HomeIndex, signaler: usize) {
        let Some(Some(peer)) = self.signalers[signaler].sessions.remove(&(node, home)) else { return };
        if self.nodes[node].killed {
            // As a signaler does after its grace; here at once.
            let entries = self.signalers[signaler].entries.keys();
            let swarms: Vec<DiscoveryKey> =
                entries.filter(|(_, of)| *of == peer).map(|(discovery, _)| *discovery).collect();
            for discovery in swarms {
                self.remove_entry(signaler, discovery, peer);
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            // What has not got to the disk when its peer dies is lost.
            What::Store(node, _) if self.nodes[node].killed => {}
            What::Store(node, work) => {
                let disk = self.nodes[node].disk.expect("a disk");
                let done = self.disks[disk].work(work);
                if !self.disks[disk].is_mute(&done) {
                    self.input(node, Input::Store(done));
                }
            }
            What::Timer(node) => {
                if self.nodes[node].peer.deadline().is_some_and(|at| at <= self.now) {
                    self.input(node, Input::Timeout);
                }
            }
            What::Opened(node, home) => {
                self.input(node, Input::SignalerOpened { home });
                let Some(&signaler) = self.nodes[node].sockets.get(&home) else { return };
                self.signalers[signaler].sessions.insert((node, home), None);
                let id = self.signalers[signaler].key.id();
                self.say(node, home, &FromSignaler::Challenge { signaler: id, nonce: Nonce([7; 32]) });
            }
            What::ToNode(node, home, bytes) => {
                if self.cut.contains(&node) {
                    self.stalled.push(What::ToNode(node, home, bytes));
                } else if self.nodes[node].sockets.contains_key(&home) && !self.dead.contains(&(node, home)) {
                    self.input(node, Input::SignalerFrame { home, bytes: &bytes });
                }
            }
            What::ToSignaler(node, home, signaler, bytes) => self.on_signaler(node, home, signaler, &bytes),
            What::HungUp(node, home, signaler) => self.hung_up(node, home, signaler),
            What::Closed(node, home) => {
                self.input(node, Input::SignalerClosed { home, reason: "closed".into() });
            }
            What::Description(node, link, sdp) => {
                if let Some(connection) = self.connections.get_mut(&(node, link)) {
                    connection.describing = false;
                    self.input(node, Input::LocalDescription { link, sdp });
                }
            }
            What::Candidate(node, link) => {
                let candidate =
                    Text::new(format!("candidate:1 1 udp 1 host{node} {} typ host", link.0)).unwrap();
                let candidate = Candidate { candidate, mid: Text::new("0"), index: Some(0) };
                self.input(node, Input::LocalCandidate { link, candidate });
            }
            What::LinkFailed(node, link) => {
                self.input(node, Input::LinkFailed { link, reason: "bad description".into() });
            }
            What::ChannelOpened(node, link) => self.input(node, Input::ChannelOpened { link }),
            What::Message(node, link, bytes) => {
                if self.connections.contains_key(&(node, link)) {
                    self.input(node, Input::ChannelMessage { link, bytes: &bytes });
                }
            }
            What::Drained(node, link) => {
                // If more was sent since, it is reported later.
                if self.drained_at(node, link).is_some_and(|at| at <= self.now) {
                    self.input(node, Input::ChannelDrained { link });
                }
            }
            What::ChannelClosed(node, link) => {
                if self.connections.remove(&(node, link)).is_some() {
                    self.input(node, Input::ChannelClosed { link });
                }
            }
            What::Ice(node, link, state) => {
                if self.connections.contains_key(&(node, link)) {
                    self.input(node, Input::IceChanged { link, state });
                }
            }
            What::IceNotices(node) => {
                let broken: Vec<(usize, LinkId)> = self
                    .connections
                    .iter()
                    .filter(|((of, _), c)| c.broken && (*of == node || c.remote.is_some_and(|r| r.0 == node)))
                    .map(|(side, _)| *side)
                    .collect();
                for (of, link) in broken {
                    self.input(of, Input::IceChanged { link, state: IceState::Disconnected });
                }
            }
        }
    }

    // ---- a signaler, as simple as can be: one table for all of them ----

    fn on_signaler(&mut self, node: usize, home: HomeIndex, signaler: usize, bytes: &[u8]) {
        let Some(&session) = self.signalers[signaler].sessions.get(&(node, home)) else { return };
        let frame: ToSignaler<'_> = decode(bytes, limits::FRAME).expect("peers send well-formed frames");
        match (session, frame) {
            (None, ToSignaler::Authenticate { peer, nonce, signature, .. }) => {
                let key = &self.signalers[signaler].key;
                challenge::check_peer(peer, key.id(), &Nonce([7; 32]), &nonce, &signature)
                    .expect("a good answer");
                let signature = challenge::answer_as_signaler(key, peer, &Nonce([7; 32]), &nonce);
                self.signalers[signaler].sessions.insert((node, home), Some(peer));
                self.say(
                    node,
                    home,
                    &FromSignaler::Welcome {
                        signature,
                        ttl_ms: 120_000,
                        keepalive_ms: 18_000,
                        max_frame: 262_144,
                        max_swarms: 64,
                        now_ms: self.now.millis(),
                    },
                );
            }
            (Some(me), ToSignaler::Announce { entry }) => self.on_announce(signaler, node, home, me, entry),
            (Some(me), ToSignaler::Leave { entry }) => {
                let entry = statement::open_entry(entry).expect("a signed leave");
                self.remove_entry(signaler, entry.discovery, me);
            }
            (Some(_), ToSignaler::Forward { re, to, envelope, .. }) => {
                self.forwards += 1;
                let lost = u64::from_le_bytes(bytes8(&mut self.rng)) % 100 < self.drop_forwards;
                let mut envelope = envelope.to_vec();
                self.seen_by_signalers.extend_from_slice(&envelope);
                self.recorded.push((to, envelope.clone()));
                if self.tamper {
                    let at = envelope.len() / 2;
                    envelope[at] ^= 1;
                }
                match self.session_of(to) {
                    Some((to, home)) if !lost => {
                        for _ in 0..=usize::from(self.repeat_forwards) {
                            self.say(to, home, &FromSignaler::Deliver { envelope: &envelope });
                        }
                    }
                    Some(_) => {}
                    None => {
                        let text = Text::cut("unknown");
                        let error = FromSignaler::Error {
                            code: Code::UnknownPeer,
                            re: Some(re),
                            discovery: None,
                            text,
                        };
                        self.say(node, home, &error);
                    }
                }
            }
            (Some(me), ToSignaler::Fanout { discovery, payload, .. }) => {
                for peer in self.members(discovery).into_keys().filter(|peer| *peer != me) {
                    if let Some((to, home)) = self.session_of(peer) {
                        self.say(to, home, &FromSignaler::Fanned { discovery, payload });
                    }
                }
            }
            (Some(_), ToSignaler::Ping { token }) => self.say(node, home, &FromSignaler::Pong { token }),
            // Who knows nothing of mail passes it over.
            (Some(me), frame) if bytes[1] == 0x18 && bytes[2] >= 64 => {
                self.on_mail(node, home, signaler, me, &frame);
            }
            _ => panic!("a peer spoke out of turn"),
        }
    }

    fn on_mail(&mut self, node: usize, home: HomeIndex, signaler: usize, me: PeerId, frame: &ToSignaler<'_>) {
        let lost = |world: &mut Self| u64::from_le_bytes(bytes8(&mut world.rng)) % 100 < world.drop_mail;
        if self.residence.is_none() || lost(self) {
            return;
        }
        let (now, us) = (self.now, self.signalers[signaler].key.id());
        let Some(residence) = &mut self.residence else { return };
        let Some((answer, waits)) = residence.ask(now, (us, me), frame) else { return };
        if !answer.is_empty() && !lost(self) {
            self.later(What::ToNode(node, home, answer));
        }
        if let Some((identity, peer)) = waits
            && let Some((to, home)) = self.session_of(peer)
        {
            self.say(to, home, &FromSignaler::MailWaits { identity });
        }
    }

    fn on_announce(&mut self, signaler: usize, node: usize, home: HomeIndex, me: PeerId, bytes: &[u8]) {
        let entry = statement::open_entry(bytes).expect("a signed entry");
        let before = self.members(entry.discovery);
        self.signalers[signaler].entries.insert((entry.discovery, me), bytes.to_vec());
        let others: Vec<EntryBytes> = before
            .iter()
            .filter(|(peer, _)| **peer != me)
            .map(|(_, entry)| weft_wire::Bytes(entry.clone()))
            .collect();
        let total = u32::try_from(others.len()).unwrap();
        let frame = FromSignaler::Members { discovery: entry.discovery, entries: List::first(others), total };
        self.say(node, home, &frame);
        if !before.contains_key(&me) {
            for peer in before.into_keys() {
                if let Some((to, home)) = self.session_of(peer) {
                    self.say(to, home, &FromSignaler::Joined { entry: bytes });
                }
            }
        }
    }

    fn remove_entry(&mut self, signaler: usize, discovery: DiscoveryKey, peer: PeerId) {
        self.signalers[signaler].entries.remove(&(discovery, peer));
        let members = self.members(discovery);
        if !members.contains_key(&peer) {
            for other in members.into_keys() {
                if let Some((to, home)) = self.session_of(other) {
                    self.say(to, home, &FromSignaler::Left { discovery, peer });
                }
            }
        }
    }

    fn members(&self, discovery: DiscoveryKey) -> BTreeMap<PeerId, Vec<u8>> {
        let entries = self.signalers.iter().flat_map(|signaler| &signaler.entries);
        entries
            .filter(|((of, _), _)| *of == discovery)
            .map(|((_, peer), entry)| (*peer, entry.clone()))
            .collect()
    }

    fn session_of(&self, peer: PeerId) -> Option<(usize, HomeIndex)> {
        let sessions = self.signalers.iter().flat_map(|signaler| &signaler.sessions);
        sessions.filter(|(_, of)| **of == Some(peer)).map(|(session, _)| *session).next()
    }

    fn say(&mut self, node: usize, home: HomeIndex, frame: &FromSignaler<'_>) {
        self.later(What::ToNode(node, home, encode(frame)));
    }

    // ---- time ----

    fn latency(&mut self) -> Duration {
        self.slowness + Duration::from_micros(5000 + u64::from_le_bytes(bytes8(&mut self.rng)) % 20_000)
    }

    fn soon(&mut self, what: What) {
        self.at(self.now + Duration::from_millis(1), what);
    }

    /// After a signaler's latency: the same for all, so that what one says keeps its order.
    fn later(&mut self, what: What) {
        self.at(self.now + Duration::from_millis(10), what);
    }

    fn at(&mut self, at: Time, what: What) {
        self.order += 1;
        self.queue.push(Happening { at, order: self.order, what });
    }
}

/// A hello in one chunk without its proofs; anything else as it is.
fn without_proofs(chunk: Vec<u8>) -> Vec<u8> {
    let whole = Reassembler::default().push(&chunk).ok().flatten();
    match whole.as_deref().and_then(|bytes| decode::<Frame<'_>>(bytes, limits::LINK_MESSAGE).ok()) {
        Some(Frame::Hello { version, peer, signature, record, .. }) => one_chunk(&Frame::Hello {
            version,
            peer,
            signature,
            record,
            parties: List::default(),
            resumes: None,
        }),
        _ => chunk,
    }
}

/// A presence in one chunk.
fn is_presence(chunk: &[u8]) -> bool {
    let whole = Reassembler::default().push(chunk).ok().flatten();
    let frame = whole.as_deref().and_then(|bytes| decode::<Frame<'_>>(bytes, limits::LINK_MESSAGE).ok());
    matches!(frame, Some(Frame::Presence { .. }))
}

/// A frame of a link as one message of the channel.
pub(crate) fn one_chunk(frame: &Frame<'_>) -> Vec<u8> {
    let mut cutter = Outgoing::new(9, encode(frame)).expect("a short frame");
    cutter.next_chunk().expect("the first chunk")
}

pub(crate) fn number(n: i64) -> Document {
    Document::from_value(&object(vec![("n", Value::Int(n))])).expect("a document")
}

pub(crate) fn object(entries: Vec<(&str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Value::Object(weft_query::Object::from_entries(entries).expect("no key twice"))
}

pub(crate) fn everything() -> Value {
    object(Vec::new())
}

fn bytes(rng: &mut ChaCha12Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn bytes8(rng: &mut ChaCha12Rng) -> [u8; 8] {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    bytes
}
