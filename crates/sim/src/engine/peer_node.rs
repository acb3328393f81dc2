//! The driver of a simulated peer: carries out what `weft_peer_core` says, as a browser would.

use std::time::Duration;

use weft_crypto::Party;
use weft_peer_core::{Command, Config, Event, HomeIndex, IceState, Input, Keys, LinkId, Output, Peer};
use weft_query::{Document, Filter};
use weft_wire::sealed::Candidate;
use weft_wire::{DiscoveryKey, Text, Time, limits};

use super::connection::{CONSENT, Connection};
use super::content;
use super::dice::mix;
use super::hostility;
use super::parcel::{Act, Cargo, NodeId, Socket, Vice};
use super::queue::Scope;
use super::signaler_node::{OPENING, arrival, node_of};
use super::tally::Tally;
use super::trace;

/// ICE notices silence after this long (measured in Chromium).
pub(crate) const ICE_NOTICES: Duration = Duration::from_secs(6);
/// A dial that leads nowhere fails after this long.
const NOBODY: Duration = Duration::from_secs(5);
/// Time-outs handled at one moment, after which the peer's deadline cannot be meant.
const SAME_MOMENT: u32 = 1_000;

/// What a peer is made of when it starts.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) seed: [u8; 32],
    pub(crate) topic: Option<u32>,
}

#[derive(Debug)]
struct Home {
    index: HomeIndex,
    socket: Socket,
    signaler: NodeId,
    open: bool,
    last_arrival: Time,
}

/// A running peer, its sockets and its connections.
#[derive(Debug)]
pub struct PeerNode {
    /// The peer.
    pub peer: Peer,
    /// What its application saw.
    pub tally: Tally,
    discovery: DiscoveryKey,
    connections: Vec<Connection>,
    homes: Vec<Home>,
    dials: u32,
    /// Links written to since the last report that they have drained.
    written: Vec<LinkId>,
    vice: Option<Vice>,
    moment: (Time, u32),
}

impl PeerNode {
    pub(crate) fn start(plan: Plan, party: Party, scope: &mut Scope<'_>) -> Self {
        // One more is sought in a party that seems split.
        let most_links = plan.config.active_view + plan.config.active_slack + 1;
        let mut node = Self {
            tally: Tally::new(plan.topic, most_links),
            discovery: party.discovery(),
            peer: Peer::new(plan.config, plan.keys, plan.seed, scope.now),
            connections: Vec::new(),
            homes: Vec::new(),
            dials: 0,
            written: Vec::new(),
            vice: None,
            moment: (Time::ZERO, 0),
        };
        node.drain(scope);
        node.command(Command::Join { party }, scope);
        match Filter::parse(&content::query(plan.topic)) {
            Ok(filter) => {
                let discovery = node.discovery;
                node.command(Command::Subscribe { discovery, filter, backlog: None }, scope);
            }
            Err(error) => node.tally.break_rule(format!("the query was refused: {error}")),
        }
        node
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.peer.deadline()
    }

    pub(crate) fn tick(&mut self, scope: &mut Scope<'_>) {
        if self.moment.0 != scope.now {
            self.moment = (scope.now, 0);
        }
        self.moment.1 += 1;
        if self.moment.1 > SAME_MOMENT {
            self.tally.break_rule(format!("the deadline stays at {} whatever is done", scope.now));
        }
        self.input(Input::Timeout, scope);
    }

    /// It has turned on the others.
    pub fn is_hostile(&self) -> bool {
        self.vice.is_some()
    }

    /// The other ends of open connections, whatever the peer says of them.
    pub fn connected(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.connections.iter().filter(|c| c.open).filter_map(|c| Some(c.remote?.node))
    }

    // ---- what happens ----

    pub(crate) fn happen(&mut self, cargo: Cargo, scope: &mut Scope<'_>) {
        match cargo {
            Cargo::Chunk { link, bytes } => {
                if let Some(at) = self.place(link) {
                    if scope.network.trace
                        && let Some(remote) = self.connections[at].remote
                    {
                        self.tally.traces.extend(trace::read(&bytes, remote.node, scope.now));
                    }
                    self.input(Input::ChannelMessage { link, bytes: &bytes }, scope);
                }
            }
            Cargo::Frame { socket, bytes } => {
                if let Some(home) = self.home(socket).map(|home| home.index) {
                    self.input(Input::SignalerFrame { home, bytes: &bytes }, scope);
                }
            }
            Cargo::Accepted { socket } => {
                if let Some(home) = self.home(socket) {
                    home.open = true;
                    let home = home.index;
                    self.input(Input::SignalerOpened { home }, scope);
                }
            }
            Cargo::SocketClosed { socket } => {
                if let Some(at) = self.homes.iter().position(|home| home.socket == socket) {
                    let home = self.homes.swap_remove(at).index;
                    self.input(Input::SignalerClosed { home, reason: "closed".into() }, scope);
                }
            }
            Cargo::HungUp { home } => {
                // A new socket for the same signaler is another matter.
                if !self.homes.iter().any(|known| known.index == home) {
                    self.input(Input::SignalerClosed { home, reason: "hung up".into() }, scope);
                }
            }
            Cargo::Check { link, from, generation } => {
                let there = self.connection(link).is_some_and(|c| c.on_check(from, generation, scope));
                self.on_established(there, link, scope);
            }
            Cargo::Checked { link, generation } => {
                let there = self.connection(link).is_some_and(|c| c.on_checked(generation, scope));
                self.on_established(there, link, scope);
            }
            Cargo::Opened { link } => {
                if let Some(connection) = self.connection(link) {
                    connection.open = true;
                    self.input(Input::ChannelOpened { link }, scope);
                }
            }
            Cargo::ChannelClosed { link } => {
                if let Some(at) = self.place(link) {
                    self.connections.remove(at);
                    self.input(Input::ChannelClosed { link }, scope);
                }
            }
            Cargo::Silence { link } => self.trouble(link, scope),
            Cargo::Described { link, sdp } => {
                if self.place(link).is_some() {
                    self.input(Input::LocalDescription { link, sdp: sdp.into() }, scope);
                }
            }
            Cargo::Gathered { link } => self.on_gathered(link, scope),
            Cargo::Unusable { link } => {
                if self.place(link).is_some() {
                    self.input(Input::LinkFailed { link, reason: "no description".into() }, scope);
                }
            }
            Cargo::Recheck { link, generation, attempt } => {
                if let Some(connection) = self.connection(link) {
                    connection.recheck(generation, attempt, scope);
                }
            }
            Cargo::IceFails { link, checks } => {
                if let Some(connection) = self.connection(link).filter(|c| c.checks == checks) {
                    connection.failed = true;
                    self.input(Input::IceChanged { link, state: IceState::Failed }, scope);
                }
            }
            Cargo::Drained { link } => {
                if let Some(connection) = self.connection(link) {
                    connection.draining = false;
                    self.written.push(link);
                    self.drain(scope);
                }
            }
            // Nothing that happens to peers.
            Cargo::Dial { .. } | Cargo::Heard { .. } | Cargo::Act(_) => {}
        }
    }

    pub(crate) fn act(&mut self, act: Act, scope: &mut Scope<'_>) {
        match act {
            Act::Command(command) => self.command(command, scope),
            Act::Publish(document) => self.publish(document, scope),
            Act::Leave => self.command(Command::Close, scope),
            Act::Crash => self.crash(scope),
            Act::CutNoticed => {
                for link in self.cut_off(scope) {
                    self.trouble(link, scope);
                }
            }
            Act::CutFails => {
                for link in self.cut_off(scope) {
                    if let Some(connection) = self.connection(link) {
                        connection.failed = true;
                        self.input(Input::IceChanged { link, state: IceState::Failed }, scope);
                    }
                }
            }
            Act::CutHealed => self.heal(scope),
            Act::Turn(vice) => self.vice = Some(vice),
            Act::Start { .. } | Act::Sleep { .. } | Act::Ask { .. } | Act::Restart { .. } => {}
        }
    }

    fn publish(&mut self, document: Document, scope: &mut Scope<'_>) {
        self.command(Command::Publish { discovery: self.discovery, document }, scope);
    }

    fn command(&mut self, command: Command, scope: &mut Scope<'_>) {
        if let Err(error) = self.peer.command(scope.now, command) {
            *self.tally.warnings.entry(error.code()).or_default() += 1;
        }
        self.drain(scope);
    }

    fn crash(&mut self, scope: &mut Scope<'_>) {
        for home in std::mem::take(&mut self.homes) {
            let at = arrival(home.signaler, home.last_arrival, scope);
            scope.send(home.signaler, at, Cargo::SocketClosed { socket: home.socket });
        }
        for connection in std::mem::take(&mut self.connections) {
            // Not everybody's timers run alike.
            let spread = Duration::from_micros(mix(connection.link.0, u64::from(scope.me.0)) % 1_000_000);
            connection.vanish(ICE_NOTICES + spread, scope);
        }
    }

    // ---- connections ----

    fn place(&self, link: LinkId) -> Option<usize> {
        self.connections.iter().position(|connection| connection.link == link)
    }

    fn connection(&mut self, link: LinkId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.link == link)
    }

    fn on_established(&mut self, there: bool, link: LinkId, scope: &mut Scope<'_>) {
        if there {
            self.input(Input::IceChanged { link, state: IceState::Connected }, scope);
        }
    }

    /// Nothing comes from the other side.
    fn trouble(&mut self, link: LinkId, scope: &mut Scope<'_>) {
        if let Some(connection) = self.connection(link) {
            connection.troubled = true;
            let fails = Cargo::IceFails { link, checks: connection.checks };
            scope.later(CONSENT, fails);
            self.input(Input::IceChanged { link, state: IceState::Disconnected }, scope);
        }
    }

    /// Connections that a partition interrupts.
    fn cut_off(&self, scope: &Scope<'_>) -> Vec<LinkId> {
        let is_cut = |connection: &&Connection| {
            connection.checks > 0
                && connection
                    .remote
                    .is_some_and(|remote| scope.network.cut_until(scope.now, scope.me, remote.node).is_some())
        };
        self.connections.iter().filter(is_cut).map(|connection| connection.link).collect()
    }

    fn heal(&mut self, scope: &mut Scope<'_>) {
        let cut = self.cut_off(scope);
        let heals = |c: &&mut Connection| c.troubled && !c.failed && !cut.contains(&c.link);
        let mut healed = Vec::new();
        for connection in self.connections.iter_mut().filter(heals) {
            connection.troubled = false;
            // What was to make it fail is out of date.
            connection.checks += 1;
            healed.push(connection.link);
        }
        for link in healed {
            self.input(Input::IceChanged { link, state: IceState::Connected }, scope);
        }
    }

    fn on_gathered(&mut self, link: LinkId, scope: &mut Scope<'_>) {
        let Some(text) = Text::new(format!("candidate:1 1 udp 1 host{} {} typ host", scope.me.0, link.0))
        else {
            return;
        };
        if self.place(link).is_some() {
            let candidate = Candidate { candidate: text, mid: Text::new("0"), index: Some(0) };
            self.input(Input::LocalCandidate { link, candidate }, scope);
        }
    }

    // ---- what the peer says ----

    pub(crate) fn input(&mut self, input: Input<'_>, scope: &mut Scope<'_>) {
        self.peer.handle(scope.now, input);
        self.drain(scope);
    }

    fn drain(&mut self, scope: &mut Scope<'_>) {
        loop {
            while let Some(output) = self.peer.poll() {
                self.carry_out(output, scope);
            }
            let Some(link) = self.written.pop() else { break };
            let Some(connection) = self.connection(link) else { continue };
            match connection.drained_at() {
                Some(at) if at <= scope.now => {
                    self.peer.handle(scope.now, Input::ChannelDrained { link });
                }
                Some(at) if !connection.draining => {
                    connection.draining = true;
                    scope.queue.push(at, Cargo::Drained { link });
                }
                Some(_) => {}
                None => connection.draining = false,
            }
        }
    }

    fn carry_out(&mut self, output: Output, scope: &mut Scope<'_>) {
        match output {
            Output::ChannelMessage { link, bytes } => self.write(link, bytes, scope),
            Output::Event(event) => self.on_event(&event, scope),
            Output::UseIceServers { .. } | Output::Store(_) => {}
            Output::SignalerFrame { home, bytes } => {
                if let Some(home) = self.homes.iter_mut().find(|known| known.index == home) {
                    home.last_arrival = arrival(home.signaler, home.last_arrival, scope);
                    let frame = Cargo::Frame { socket: home.socket, bytes: bytes.into() };
                    scope.send(home.signaler, home.last_arrival, frame);
                }
            }
            Output::DialSignaler { home, url } => self.dial(home, &url, scope),
            Output::HangUpSignaler { home } => {
                if let Some(at) = self.homes.iter().position(|known| known.index == home) {
                    let gone = self.homes.swap_remove(at);
                    let at = arrival(gone.signaler, gone.last_arrival, scope);
                    scope.send(gone.signaler, at, Cargo::SocketClosed { socket: gone.socket });
                    scope.later(Duration::ZERO, Cargo::HungUp { home });
                }
            }
            Output::OpenLink { link, offer } => {
                let connection = Connection::new(link);
                if offer {
                    connection.describe(scope);
                }
                self.connections.push(connection);
            }
            Output::RestartIce { link } => {
                if let Some(connection) = self.connection(link) {
                    connection.restart(scope);
                }
            }
            Output::AcceptOffer { link, sdp } => {
                if let Some(connection) = self.connection(link)
                    && connection.accept(&sdp, scope)
                {
                    connection.describe(scope);
                }
            }
            Output::AcceptAnswer { link, sdp } => {
                if let Some(connection) = self.connection(link) {
                    connection.accept(&sdp, scope);
                }
            }
            Output::AddCandidate { link, .. } => {
                if self.connection(link).is_none_or(|connection| connection.remote.is_none()) {
                    self.tally.break_rule("a candidate came before its description".into());
                }
            }
            Output::CloseLink { link } => {
                if let Some(at) = self.place(link) {
                    self.connections.remove(at).close(scope);
                }
            }
        }
    }

    fn write(&mut self, link: LinkId, bytes: Vec<u8>, scope: &mut Scope<'_>) {
        if bytes.len() > limits::CHUNK {
            self.tally.break_rule(format!("a chunk of {} bytes", bytes.len()));
        }
        let hostile = self.vice;
        let Some(connection) = self.connection(link) else { return };
        match hostile {
            None => connection.write(bytes, scope),
            Some(vice) => {
                let count = u64::from(scope.me.0) ^ scope.now.micros();
                for bytes in hostility::turn(vice, bytes, count, scope.now) {
                    connection.write(bytes, scope);
                }
            }
        }
        if self.written.last() != Some(&link) && !self.written.contains(&link) {
            self.written.push(link);
        }
    }

    fn on_event(&mut self, event: &Event, scope: &mut Scope<'_>) {
        self.tally.on_event(scope.now, event, self.vice.is_none(), scope.network);
    }

    fn dial(&mut self, home: HomeIndex, url: &str, scope: &mut Scope<'_>) {
        self.dials += 1;
        let socket = Socket::new(scope.me, self.dials);
        let signaler = node_of(url).filter(|node| scope.network.is_signaler(*node));
        let signaler = signaler.unwrap_or(NodeId(0));
        self.homes.push(Home { index: home, socket, signaler, open: false, last_arrival: scope.now });
        if scope.network.cut_until(scope.now, scope.me, signaler).is_some() {
            scope.later(NOBODY, Cargo::SocketClosed { socket });
        } else {
            let at = scope.now + scope.latency(signaler) * OPENING;
            scope.send(signaler, at, Cargo::Dial { socket });
        }
    }

    fn home(&mut self, socket: Socket) -> Option<&mut Home> {
        self.homes.iter_mut().find(|home| home.socket == socket)
    }
}
