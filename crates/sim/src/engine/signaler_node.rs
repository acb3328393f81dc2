//! The driver of a simulated signaler: sockets with latency around `weft_signaler_core`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use weft_signaler_core::{ConnId, Counters, DialId, Gauges, Input, Origin, Output, Signaler};
use weft_wire::Time;

use super::parcel::{Cargo, NodeId, Socket};
use super::queue::Scope;

/// A dial that leads nowhere fails after this long.
const NOBODY: Duration = Duration::from_secs(5);
/// One-way latencies until a WebSocket is open at the signaler: TCP, TLS 1.3 and the upgrade.
pub(crate) const OPENING: u32 = 5;

/// A signaler and its sockets.
#[derive(Debug)]
pub struct SignalerNode {
    signaler: Signaler,
    /// Open sockets: who is at the other end, and when the last message arrives there.
    open: BTreeMap<Socket, (NodeId, Time)>,
    /// Sockets to siblings that are being opened.
    dialling: BTreeMap<Socket, (DialId, NodeId)>,
    dials: u32,
}

impl SignalerNode {
    pub(crate) fn new(signaler: Signaler) -> Self {
        Self { signaler, open: BTreeMap::new(), dialling: BTreeMap::new(), dials: 0 }
    }

    /// What happened since the start.
    pub fn counters(&self) -> &Counters {
        self.signaler.counters()
    }

    /// How it stands.
    pub fn gauges(&self) -> Gauges {
        self.signaler.gauges()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.signaler.deadline()
    }

    pub(crate) fn tick(&mut self, scope: &mut Scope<'_>) {
        self.input(Input::Tick, scope);
    }

    pub(crate) fn happen(&mut self, cargo: Cargo, scope: &mut Scope<'_>) {
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
        self.signaler.handle(scope.now, input);
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
                Output::Raise { .. }
                | Output::PinSibling { .. }
                | Output::Record(_)
                | Output::Registrant(_)
                | Output::KeepCard { .. }
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
