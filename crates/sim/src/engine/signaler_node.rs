//! The driver of a simulated signaler: sockets with latency around `weft_signaler_core`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use weft_crypto::SignalerKey;
use weft_signaler_core::{
    Config, ConnId, Counters, DialId, Gauges, Input, MailChange, Origin, Output, Signaler,
};
use weft_wire::{Digest, DiscoveryKey, IdentityId, PeerId, SignalerId, Time};

use super::dice::Dice;
use super::network::Network;
use super::parcel::{Cargo, NodeId, Socket};
use super::queue::Scope;

/// A dial that leads nowhere fails after this long.
pub(crate) const NOBODY: Duration = Duration::from_secs(5);
/// One-way latencies until a WebSocket is open at the signaler: TCP, TLS 1.3 and the upgrade.
pub(crate) const OPENING: u32 = 5;

/// What stays of a signaler when it ends: its files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) config: Config,
    pub(crate) key: SignalerKey,
    pub(crate) seed: [u8; 32],
}

/// A signaler and its sockets.
#[derive(Debug)]
pub struct SignalerNode {
    signaler: Signaler,
    files: Files,
    /// Cards that it was told to keep.
    cards: BTreeMap<SignalerId, Vec<u8>>,
    /// What peers left, on a disk that takes no time.
    mail: BTreeMap<(IdentityId, PeerId, Digest), MailChange>,
    /// It has ended, and starts again then.
    ended: Option<Time>,
    /// When its present life began.
    began: Time,
    /// The last end was no crash.
    gracefully: bool,
    /// Open sockets: who is at the other end, and when the last message arrives there.
    open: BTreeMap<Socket, (NodeId, Time)>,
    /// Sockets to siblings that are being opened.
    dialling: BTreeMap<Socket, (DialId, NodeId)>,
    dials: u32,
}

impl SignalerNode {
    /// `clock` is the time as it has it.
    pub(crate) fn new(files: Files, now: Time, clock: Time) -> Self {
        let signaler = Signaler::new(files.config.clone(), files.key.clone(), files.seed, clock);
        Self {
            signaler,
            files,
            cards: BTreeMap::new(),
            mail: BTreeMap::new(),
            ended: None,
            began: now,
            gracefully: false,
            open: BTreeMap::new(),
            dialling: BTreeMap::new(),
            dials: 0,
        }
    }

    /// Who it is.
    pub fn id(&self) -> SignalerId {
        self.signaler.id()
    }

    /// Since when it has been running; none if it is not.
    pub fn runs_since(&self) -> Option<Time> {
        self.ended.is_none().then_some(self.began)
    }

    /// Whether its last end was no crash.
    pub fn was_graceful(&self) -> bool {
        self.gracefully
    }

    /// The entries of a swarm that it has.
    pub fn entries(&self, discovery: &DiscoveryKey) -> Vec<(PeerId, SignalerId)> {
        self.signaler.entries(discovery)
    }

    /// The number of the entry of a peer at one home, if it has it.
    pub fn seq_of(&self, discovery: DiscoveryKey, peer: PeerId, home: SignalerId) -> Option<u64> {
        self.signaler.seq_of(discovery, peer, home)
    }

    /// Who keeps a key, as it sees it.
    pub fn residence(&self, key: &[u8; 32]) -> Vec<SignalerId> {
        self.signaler.residence(key)
    }

    /// What happened in its present life, or in its last one.
    pub fn counters(&self) -> &Counters {
        self.signaler.counters()
    }

    /// How it stands.
    pub fn gauges(&self) -> Gauges {
        self.signaler.gauges()
    }

    /// When it wants to be called, by its own clock; by everybody's if it has ended.
    pub(crate) fn deadline(&self, me: NodeId, network: &Network) -> Option<Time> {
        self.ended.or_else(|| self.signaler.deadline().map(|at| network.when_by_clock_of(me, at)))
    }

    pub(crate) fn tick(&mut self, scope: &mut Scope<'_>) {
        match self.ended {
            None => self.input(Input::Tick, scope),
            Some(at) if at <= scope.now => {
                let files = &self.files;
                let config = Config { cards: self.cards.values().cloned().collect(), ..files.config.clone() };
                let first = files.seed.first_chunk().copied().unwrap_or_default();
                let seed = Dice::new(u64::from_be_bytes(first), scope.now.micros()).bytes();
                let clock = scope.network.by_clock_of(scope.me, scope.now);
                self.signaler = Signaler::new(config, files.key.clone(), seed, clock);
                self.signaler.restore_mail(clock, self.mail.values().cloned());
                (self.ended, self.began) = (None, scope.now);
                self.drain(scope);
            }
            Some(_) => {}
        }
    }

    /// The process ends, and starts again at a time.
    pub(crate) fn restart(&mut self, gracefully: bool, at: Time, scope: &mut Scope<'_>) {
        if self.ended.is_some() {
            return;
        }
        if gracefully {
            self.input(Input::Shutdown, scope);
        }
        // The system closes what the program did not.
        let (me, now) = (scope.me, scope.now);
        let dialled = core::mem::take(&mut self.dialling).into_iter();
        let open = core::mem::take(&mut self.open).into_iter();
        let all = open.chain(dialled.map(|(socket, (_, to))| (socket, (to, now))));
        for (socket, (to, last)) in all.filter(|(_, (to, _))| *to != me) {
            let at = arrival(to, last, scope);
            scope.send(to, at, Cargo::SocketClosed { socket });
        }
        (self.ended, self.gracefully) = (Some(at), gracefully);
    }

    pub(crate) fn happen(&mut self, cargo: Cargo, scope: &mut Scope<'_>) {
        if self.ended.is_some() {
            if let Cargo::Dial { socket } = cargo {
                let dialler = socket.dialler();
                scope.send(dialler, scope.now + scope.latency(dialler), Cargo::SocketClosed { socket });
            }
            return;
        }
        match cargo {
            Cargo::Frame { socket, bytes } if self.open.contains_key(&socket) => {
                self.input(Input::Frame { conn: ConnId(socket.0), bytes: &bytes }, scope);
            }
            Cargo::Dial { socket } => {
                let dialler = socket.dialler();
                let at = scope.now + scope.latency(dialler);
                self.open.insert(socket, (dialler, at));
                scope.send(dialler, at, Cargo::Accepted { socket });
                let origin = if scope.network.is_signaler(dialler) { Origin::Sibling } else { Origin::Peer };
                self.input(Input::Connected { conn: ConnId(socket.0), origin }, scope);
            }
            Cargo::Accepted { socket } => {
                if let Some((dial, sibling)) = self.dialling.remove(&socket) {
                    self.open.insert(socket, (sibling, scope.now));
                    let origin = Origin::Dialled(dial);
                    self.input(Input::Connected { conn: ConnId(socket.0), origin }, scope);
                }
            }
            Cargo::SocketClosed { socket } => {
                if let Some((dial, _)) = self.dialling.remove(&socket) {
                    self.input(Input::DialFailed { dial }, scope);
                } else if self.open.remove(&socket).is_some() {
                    self.input(Input::Closed { conn: ConnId(socket.0) }, scope);
                }
            }
            Cargo::Heard { socket } if self.open.contains_key(&socket) => {
                self.input(Input::Heard { conn: ConnId(socket.0) }, scope);
            }
            // Of sockets that are closed, or nothing that happens to signalers.
            _ => {}
        }
    }

    fn input(&mut self, input: Input<'_>, scope: &mut Scope<'_>) {
        let now = scope.network.by_clock_of(scope.me, scope.now);
        self.signaler.handle(now, input);
        self.drain(scope);
    }

    pub(crate) fn drain(&mut self, scope: &mut Scope<'_>) {
        while let Some(output) = self.signaler.poll() {
            match output {
                Output::Send { conn, frame } => self.send(Socket(conn.0), frame, scope),
                Output::Ping { conn } => {
                    // Answered by the platform, also for a sleeping tab, as long as the socket stands.
                    let socket = Socket(conn.0);
                    if let Some(&(other, _)) = self.open.get(&socket) {
                        let passes = scope.network.passes(scope.now, scope.me, other);
                        let back = passes.since(scope.now) + scope.latency(other) * 2;
                        scope.later(back, Cargo::Heard { socket });
                    }
                }
                Output::Close { conn, .. } => {
                    let socket = Socket(conn.0);
                    if let Some((other, last)) = self.open.remove(&socket) {
                        let at = arrival(other, last, scope);
                        scope.send(other, at, Cargo::SocketClosed { socket });
                    }
                }
                Output::Dial { dial, url } => self.dial(dial, &url, scope),
                Output::KeepCard { id, card: Some(card) } => _ = self.cards.insert(id, card.to_vec()),
                Output::KeepCard { id, card: None } => _ = self.cards.remove(&id),
                Output::KeepMail { number, changes } => {
                    for change in changes {
                        match change {
                            MailChange::Put { identity, peer, id, .. } => {
                                self.mail.insert((identity, peer, id), change);
                            }
                            MailChange::Drop { identity, peer, id } => {
                                self.mail.remove(&(identity, peer, id));
                            }
                        }
                    }
                    let now = scope.network.by_clock_of(scope.me, scope.now);
                    self.signaler.handle(now, Input::MailKept { number, durable: true });
                }
                Output::Raise { .. }
                | Output::PinSibling { .. }
                | Output::Record(_)
                | Output::Registrant(_)
                | Output::Event(_) => {}
            }
        }
    }

    fn send(&mut self, socket: Socket, frame: Bytes, scope: &mut Scope<'_>) {
        if let Some((other, last)) = self.open.get_mut(&socket) {
            *last = arrival(*other, *last, scope);
            scope.send(*other, *last, Cargo::Frame { socket, bytes: frame });
        }
    }

    fn dial(&mut self, dial: DialId, url: &str, scope: &mut Scope<'_>) {
        self.dials += 1;
        let socket = Socket::new(scope.me, self.dials);
        let sibling = node_of(url).filter(|node| scope.network.is_signaler(*node) && *node != scope.me);
        self.dialling.insert(socket, (dial, sibling.unwrap_or(scope.me)));
        match sibling.filter(|node| scope.network.cut_until(scope.now, scope.me, *node).is_none()) {
            Some(node) => {
                let at = scope.now + scope.latency(node) * OPENING;
                scope.send(node, at, Cargo::Dial { socket });
            }
            None => scope.later(NOBODY, Cargo::SocketClosed { socket }),
        }
    }
}

/// When what is sent now on a socket arrives: in order.
pub(crate) fn arrival(to: NodeId, last: Time, scope: &Scope<'_>) -> Time {
    (scope.network.passes(scope.now, scope.me, to) + scope.latency(to)).max(last)
}

/// The URL of a simulated signaler.
pub(crate) fn url_of(node: NodeId) -> String {
    format!("ws://{}", node.0)
}

/// The signaler of a URL.
pub(crate) fn node_of(url: &str) -> Option<NodeId> {
    url.strip_prefix("ws://")?.parse().ok().map(NodeId)
}
