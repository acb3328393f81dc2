//! A peer that announces itself, and no more: what signalers know of a peer. And one that asks who is in a swarm.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use weft_crypto::PeerKey;
use weft_crypto::challenge::answer_as_peer;
use weft_crypto::statement::{peek_entry, sign_entry};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{DiscoveryKey, Entry, Nonce, PeerId, SignalerId, Text, Time, decode, encode, limits};

use super::dice::mix;
use super::parcel::{Cargo, NodeId, Socket};
use super::queue::Scope;
use super::signaler_node::{NOBODY, OPENING, arrival};

/// Life that an entry claims; signalers cut it to theirs, which is as long.
pub const TTL: Duration = Duration::from_secs(120);
/// From one announce to the next, less or more by up to a fifth.
pub const REFRESH: Duration = Duration::from_secs(40);
/// An announce that has no answer after this long: another signaler is tried.
const PATIENCE: Duration = Duration::from_secs(15);
/// Least and most time until another attempt.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long one that asks listens.
pub const ASKING: Duration = Duration::from_millis(2_500);

/// A connection, as far as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// None; the next attempt is at [`AnnouncedNode::timer`].
    Down,
    Dialling,
    Proving,
    Up {
        signaler: SignalerId,
        /// An announce waits for its answer.
        awaits: bool,
    },
}

/// A place in a swarm that a signaler confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Where.
    pub home: NodeId,
    /// The first answer.
    pub since: Time,
    /// When the entry that was answered last was signed.
    pub signed: Time,
    /// The connection was lost then.
    pub lost: Option<Time>,
}

/// What one that asked heard.
#[derive(Clone, Debug)]
pub struct Answer {
    /// About which swarm.
    pub discovery: DiscoveryKey,
    /// When it asked.
    pub asked: Time,
    /// Who is there, and when that was heard.
    pub found: BTreeMap<PeerId, Time>,
}

/// A peer that announces itself in one swarm, or in the swarms that it is to ask about.
#[derive(Debug)]
pub struct AnnouncedNode {
    key: PeerKey,
    /// Its swarm; none if it asks.
    discovery: Option<DiscoveryKey>,
    home: NodeId,
    socket: Socket,
    stage: Stage,
    /// When what is sent arrives: in order.
    last: Time,
    dials: u32,
    failures: u32,
    seq: u64,
    /// When the entry that waits for its answer was signed.
    signed: Time,
    timer: Option<Time>,
    /// Its place now, and the one before.
    stands: [Option<Stand>; 2],
    asking: Option<Answer>,
    answers: Vec<Answer>,
}

impl AnnouncedNode {
    pub(crate) fn new(key: PeerKey, discovery: Option<DiscoveryKey>, home: NodeId, start: Time) -> Self {
        Self {
            key,
            discovery,
            home,
            socket: Socket::new(home, 0),
            stage: Stage::Down,
            last: start,
            dials: 0,
            failures: 0,
            seq: 0,
            signed: start,
            timer: Some(start),
            stands: [None; 2],
            asking: None,
            answers: Vec::new(),
        }
    }

    /// Its name.
    pub fn id(&self) -> PeerId {
        self.key.id()
    }

    /// The signaler that it is connected to, or tries.
    pub fn home(&self) -> NodeId {
        self.home
    }

    /// Its places in its swarm, the present one first.
    pub fn stands(&self) -> impl Iterator<Item = &Stand> {
        self.stands.iter().flatten()
    }

    /// Whether it may be asked to ask.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Up { .. }) && self.asking.is_none()
    }

    /// What it heard since the last time.
    pub fn take(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timer
    }

    /// Asks who is in a swarm, by joining it for a moment.
    pub(crate) fn ask(&mut self, discovery: DiscoveryKey, scope: &mut Scope<'_>) {
        if !self.is_idle() {
            return;
        }
        self.asking = Some(Answer { discovery, asked: scope.now, found: BTreeMap::new() });
        self.announce(discovery, scope);
        self.timer = Some(scope.now + ASKING);
    }

    pub(crate) fn tick(&mut self, scope: &mut Scope<'_>) {
        if self.timer.is_none_or(|at| at > scope.now) {
            return;
        }
        self.timer = None;
        match (self.stage, self.discovery) {
            (Stage::Down, _) => self.dial(scope),
            (Stage::Up { awaits: false, .. }, Some(discovery)) => {
                self.announce(discovery, scope);
                self.timer = Some(scope.now + PATIENCE);
            }
            (Stage::Up { .. }, None) => {
                if let Some(answer) = self.asking.take() {
                    let entry = self.entry(answer.discovery, true, scope.now);
                    self.send(&ToSignaler::Leave { entry: &sign_entry(&self.key, &entry) }, scope);
                    self.answers.push(answer);
                }
            }
            // Nothing came of it.
            (Stage::Dialling | Stage::Proving | Stage::Up { .. }, _) => {
                let at = arrival(self.home, self.last, scope);
                scope.send(self.home, at, Cargo::SocketClosed { socket: self.socket });
                self.on_lost(scope);
            }
        }
    }

    pub(crate) fn happen(&mut self, cargo: Cargo, scope: &mut Scope<'_>) {
        match cargo {
            Cargo::Accepted { socket } if socket == self.socket && self.stage == Stage::Dialling => {
                self.stage = Stage::Proving;
            }
            Cargo::SocketClosed { socket } if socket == self.socket && self.stage != Stage::Down => {
                self.on_lost(scope);
            }
            Cargo::Frame { socket, bytes } if socket == self.socket => self.on_frame(&bytes, scope),
            // Of sockets that are closed, or nothing that happens to those who only announce themselves.
            _ => {}
        }
    }

    fn on_frame(&mut self, bytes: &[u8], scope: &mut Scope<'_>) {
        let Ok(frame) = decode::<FromSignaler<'_>>(bytes, limits::FRAME) else { return };
        match frame {
            FromSignaler::Challenge { signaler, nonce } => {
                let ours = Nonce([7; 32]);
                let signature = answer_as_peer(&self.key, signaler, &nonce, &ours);
                let (peer, agent) = (self.key.id(), Text::cut("simulated"));
                self.send(&ToSignaler::Authenticate { peer, nonce: ours, signature, agent }, scope);
                self.stage = Stage::Up { signaler, awaits: true };
            }
            FromSignaler::Welcome { .. } => {
                self.failures = 0;
                let Stage::Up { awaits, .. } = &mut self.stage else { return };
                *awaits = false;
                self.timer = self.discovery.map(|_| scope.now);
            }
            FromSignaler::Members { entries, .. } => {
                if let Some(answer) = &mut self.asking {
                    let peers = entries.iter().filter_map(|entry| peek_entry(&entry.0).ok());
                    peers.for_each(|entry| _ = answer.found.entry(entry.peer).or_insert(scope.now));
                } else if self.discovery.is_some() {
                    self.on_answer(scope);
                }
            }
            FromSignaler::Joined { entry } => {
                if let (Some(answer), Ok(entry)) = (&mut self.asking, peek_entry(entry)) {
                    answer.found.entry(entry.peer).or_insert(scope.now);
                }
            }
            FromSignaler::Left { peer, .. } => {
                if let Some(answer) = &mut self.asking {
                    answer.found.remove(&peer);
                }
            }
            _ => {}
        }
    }

    /// Its place is confirmed.
    fn on_answer(&mut self, scope: &Scope<'_>) {
        let Stage::Up { awaits, .. } = &mut self.stage else { return };
        if !core::mem::take(awaits) {
            return;
        }
        match &mut self.stands[0] {
            Some(stand) if stand.home == self.home && stand.lost.is_none() => stand.signed = self.signed,
            now => {
                let stand = Stand { home: self.home, since: scope.now, signed: self.signed, lost: None };
                self.stands[1] = now.replace(stand);
            }
        }
        let spread = REFRESH / 5 * 2;
        let less = spread.mul_f64(unit(mix(u64::from(scope.me.0), scope.now.micros())));
        self.timer = Some(scope.now + REFRESH + spread / 2 - less);
    }

    fn on_lost(&mut self, scope: &Scope<'_>) {
        self.stage = Stage::Down;
        self.asking = None;
        if let Some(stand) = &mut self.stands[0] {
            stand.lost.get_or_insert(scope.now);
        }
        if self.discovery.is_some() {
            // Any other one, so that those who were at one home do not meet at another.
            let count = scope.network.signalers;
            let step = mix(u64::from(scope.me.0), u64::from(self.dials)) % u64::from(count.max(2) - 1);
            self.home = NodeId((self.home.0 + 1 + u32::try_from(step).unwrap_or_default()) % count);
        }
        let wait = (AGAIN.0 * (1 << self.failures.min(6))).min(AGAIN.1);
        self.failures += 1;
        self.timer = Some(scope.now + wait);
    }

    fn dial(&mut self, scope: &mut Scope<'_>) {
        self.dials += 1;
        self.socket = Socket::new(scope.me, self.dials);
        (self.stage, self.last) = (Stage::Dialling, scope.now);
        if scope.network.cut_until(scope.now, scope.me, self.home).is_some() {
            self.timer = Some(scope.now + NOBODY);
            return;
        }
        let at = scope.now + scope.latency(self.home) * OPENING;
        scope.send(self.home, at, Cargo::Dial { socket: self.socket });
        self.timer = Some(scope.now + PATIENCE);
    }

    fn announce(&mut self, discovery: DiscoveryKey, scope: &mut Scope<'_>) {
        let entry = self.entry(discovery, false, scope.now);
        self.signed = scope.now;
        if let Stage::Up { awaits, .. } = &mut self.stage {
            *awaits = true;
        }
        self.send(&ToSignaler::Announce { entry: &sign_entry(&self.key, &entry) }, scope);
    }

    fn entry(&mut self, discovery: DiscoveryKey, left: bool, now: Time) -> Entry {
        self.seq = (self.seq + 1).max(now.millis());
        let home = match self.stage {
            Stage::Up { signaler, .. } => signaler,
            _ => SignalerId([0; 32]),
        };
        let since = self.stands[0].map_or(now, |stand| stand.since).millis();
        let until = (now + TTL).millis();
        let (peer, agreement) = (self.key.id(), self.key.agreement());
        Entry { discovery, peer, home, agreement, seq: self.seq, since, until, left }
    }

    fn send(&mut self, frame: &ToSignaler<'_>, scope: &mut Scope<'_>) {
        self.last = arrival(self.home, self.last, scope);
        let bytes = Bytes::from(encode(frame));
        scope.send(self.home, self.last, Cargo::Frame { socket: self.socket, bytes });
    }
}

/// A hash as a share from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
