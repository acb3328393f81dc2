//! The composition root: owns the machines and routes inputs, frames and timers to the parts that join them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_crypto::SignalerKey;
use weft_wire::sibling::Sibling;
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Code, DiscoveryKey, Nonce, PeerId, SignalerId, Time, WireError, decode, limits};

use crate::admission::COMPARING;
use crate::config::Config;
use crate::counters::{Counters, Gauges, SiblingStatus};
use crate::dials::Dials;
use crate::discovery::Lost;
use crate::federation::Inbox;
use crate::forwarding::Passage;
use crate::frames;
use crate::io::{ConnId, Event, Input, Origin, Output};
use crate::keeping::Moves;
use crate::linked::Saying;
use crate::links::Links;
use crate::mailing::Mail;
use crate::members::Roll;
use crate::membership::Membership;
use crate::peers::{Beat, Gate, Peers};
use crate::pending::{Asker, Pending};
use crate::quota::{Rate, SharedClock};
use crate::registry::Registry;
use crate::residences::Residences;
use crate::ring::Ring;
use crate::table::{Key, Table};
use crate::timers::{Timer, Timers};
use crate::watches::Watches;
use crate::watching::REFRESH;

/// A signaler without its sockets: see the crate's documentation for the run loop.
#[derive(Debug)]
pub struct Signaler {
    pub(crate) config: Config,
    pub(crate) key: SignalerKey,
    pub(crate) us: SignalerId,
    pub(crate) rng: ChaCha20Rng,
    clock: SharedClock,
    handshakes: Rate,
    out: VecDeque<Output>,
    pub(crate) counters: Counters,
    pub(crate) timers: Timers,
    pub(crate) peers: Peers,
    pub(crate) table: Table,
    /// Peers whose socket was lost, in their grace.
    pub(crate) lost: BTreeMap<PeerId, Lost>,
    pub(crate) links: Links,
    /// Who is told of our links, and when.
    pub(crate) saying: Saying,
    pub(crate) dials: Dials,
    pub(crate) pending: Pending,
    pub(crate) inbox: Inbox,
    pub(crate) registry: Registry,
    pub(crate) membership: Membership,
    /// Who lives, and so keeps what.
    pub(crate) ring: Ring,
    pub(crate) moves: Moves,
    pub(crate) watches: Watches,
    pub(crate) residences: Residences,
    pub(crate) mail: Mail,
    /// Peers whose residences are to be looked at.
    pub(crate) retell: Vec<ConnId>,
    /// When the [`Timer::Members`] that counts is armed for.
    pub(crate) members_armed: Option<Time>,
    /// What peers are told of the members.
    pub(crate) roll: Roll,
    /// A [`Timer::Flush`] is armed.
    pub(crate) flush_armed: bool,
    /// A [`Timer::Pending`] is armed.
    pub(crate) pending_armed: bool,
    pub(crate) stopping: bool,
}

/// Entries looked at for expiry at once.
const EXPIRE_AT_ONCE: usize = 64;

impl Signaler {
    /// A signaler that is alone so far; its siblings are dialled at once. `seed` must be random and secret: challenges
    /// come from it.
    pub fn new(config: Config, key: SignalerKey, seed: [u8; 32], now: Time) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let clock = SharedClock::default();
        clock.set(now);
        let us = key.id();
        let mut timers = Timers::default();
        let dials = Dials::new(&config);
        dials.all().for_each(|dial| timers.arm(now, Timer::Dial(dial)));
        timers.arm(now + COMPARING, Timer::Registry);
        let registry = Registry::new(config.registry.clone(), us);
        let (peers, table) = (Peers::new(rng.next_u64()), Table::new(us, rng.next_u64()));
        let residences = Residences::new(rng.next_u64());
        timers.arm(now + REFRESH, Timer::Refresh);
        let mail = Mail::new(seed);
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let membership = Membership::new(&config, &key, ChaCha20Rng::from_seed(seed), now);
        let mut signaler = Self {
            handshakes: Rate::new(config.handshakes_per_second, config.handshakes_burst, &clock),
            peers,
            table,
            membership,
            ring: Ring::new(us),
            moves: Moves::default(),
            watches: Watches::default(),
            residences,
            mail,
            retell: Vec::new(),
            members_armed: None,
            roll: Roll::default(),
            config,
            key,
            us,
            rng,
            clock,
            out: VecDeque::new(),
            counters: Counters::default(),
            timers,
            lost: BTreeMap::new(),
            links: Links::default(),
            saying: Saying::default(),
            dials,
            pending: Pending::default(),
            inbox: Inbox::default(),
            registry,
            flush_armed: false,
            pending_armed: false,
            stopping: false,
        };
        signaler.on_registry(now, None);
        signaler.settle_members(now);
        signaler
    }

    /// Who this signaler is.
    pub fn id(&self) -> SignalerId {
        self.us
    }

    /// What happened since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The entries of a swarm that are known here: who is in it, and at home where.
    pub fn entries(&self, discovery: &DiscoveryKey) -> Vec<(PeerId, SignalerId)> {
        self.table.present(discovery)
    }

    /// The number of the entry of a peer at one home, if it is known here that it is there.
    pub fn seq_of(&self, discovery: DiscoveryKey, peer: PeerId, home: SignalerId) -> Option<u64> {
        self.table.present_seq(&Key { discovery, peer, home })
    }

    /// How things stand. Walks over the siblings only.
    pub fn gauges(&self) -> Gauges {
        let mut siblings: Vec<SiblingStatus> = self
            .dials
            .known()
            .map(|(id, url)| SiblingStatus {
                id,
                url: url.map(str::to_owned),
                up: id.is_some_and(|id| self.links.to(&id).is_some()),
            })
            .collect();
        for (_, link) in self.links.all().filter(|(_, link)| link.is_up()) {
            if !siblings.iter().any(|known| known.id == link.id()) {
                siblings.push(SiblingStatus { id: link.id(), url: link.url.clone(), up: true });
            }
        }
        Gauges {
            connections: self.peers.connections() + self.links.connections(),
            peers: self.peers.authenticated(),
            swarms: self.table.swarms(),
            local_swarms: self.table.local_swarms(),
            swarm_sizes: self.table.sizes(),
            entries: self.table.len(),
            watches: self.watches.len(),
            watched: self.watches.watched(),
            residents: self.residences.len(),
            mailboxes: self.mail.boxes.len(),
            mail: self.mail.boxes.waiting(),
            mail_bytes: self.mail.boxes.bytes(),
            pending: self.pending.len(),
            siblings,
            apart: self.siblings_apart(),
            members: self.member_statuses(),
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        self.clock.set(now);
        match input {
            Input::Frame { conn, bytes } => self.on_frame(now, conn, bytes),
            Input::Connected { conn, origin } => self.on_connected(now, conn, origin),
            Input::Oversized { conn } => self.on_oversized(now, conn),
            Input::NotBinary { conn } => self.on_malformed(now, conn),
            Input::Heard { conn } => self.on_heard(now, conn),
            Input::Full { conn } => self.on_full(now, conn),
            Input::Drained { conn } => self.on_drained(now, conn),
            Input::Closed { conn } => {
                self.forget_peer(now, conn);
                self.forget_link(now, conn);
            }
            Input::DialFailed { dial } => self.on_dial_down(now, dial),
            Input::MailKept { number, durable } => self.on_mail_written(now, number, durable),
            Input::Tick => {}
            Input::Shutdown => self.on_shutdown(now),
        }
        self.on_time(now);
    }

    /// What the driver is to do next.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Signaler::handle`] must be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let machines = self.table.deadline().into_iter().chain(self.registry.deadline());
        let machines = machines.chain(self.mail_deadline());
        self.timers.deadline().into_iter().chain(machines).min()
    }

    fn on_time(&mut self, now: Time) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.on_expiry(now, EXPIRE_AT_ONCE);
        self.registry.on_time(now);
        self.on_registry(now, None);
        self.on_mail_time(now);
        let mut worked = false;
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::Pulse(conn) => self.on_pulse(now, conn),
                Timer::Grace(peer) => self.on_grace(now, peer),
                Timer::Flush => self.on_flush(now),
                Timer::Pending => self.on_overdue(now),
                Timer::Registry => self.on_compare(now),
                Timer::Dial(dial) => self.on_dial(now, dial),
                Timer::Members => self.on_members_due(now),
                Timer::Settle => self.on_settle(now),
                Timer::Compare(conn) => self.on_compare_again(now, conn),
                Timer::Quiet => {
                    self.on_put_off(now);
                    self.arm_flush(now);
                }
                Timer::Fill(discovery) => self.on_fill_over(now, &discovery),
                Timer::Refresh => self.on_refresh(now),
                Timer::SayLinked => self.on_say_linked(now),
                Timer::TellLinked => self.on_tell_linked(now),
                // Re-armed for the same moment if there is more: other inputs come first.
                Timer::Inbox | Timer::Walk | Timer::Unlike | Timer::Retell if worked => {
                    self.timers.arm(now, timer);
                    break;
                }
                Timer::Inbox => {
                    worked = true;
                    self.on_inbox(now);
                }
                Timer::Walk => {
                    worked = true;
                    self.on_walk(now);
                }
                Timer::Unlike => {
                    worked = true;
                    self.on_unlike(now);
                }
                Timer::Retell => {
                    worked = true;
                    self.on_retell(now);
                }
            }
        }
    }

    fn on_connected(&mut self, now: Time, conn: ConnId, origin: Origin) {
        let refusal = if self.stopping {
            Some(Code::ShuttingDown)
        } else if self.peers.connections() + self.links.connections() >= self.config.max_connections as usize
        {
            Some(Code::SignalerFull)
        } else if matches!(origin, Origin::Dialled(_)) || self.handshakes.take(1) {
            None
        } else {
            Some(Code::RateLimited)
        };
        if let Some(code) = refusal {
            self.counters.refuse(code);
            match origin {
                Origin::Peer => self.goodbye(conn, code),
                Origin::Sibling => self.sibling_goodbye(conn, code),
                Origin::Dialled(dial) => {
                    self.sibling_goodbye(conn, code);
                    self.on_dial_down(now, dial);
                }
            }
            return;
        }
        let mut nonce = Nonce([0; 32]);
        self.rng.fill_bytes(&mut nonce.0);
        self.timers.arm(now + self.config.auth().min(self.config.keepalive()), Timer::Pulse(conn));
        let frame = if origin == Origin::Peer {
            self.peers.on_connected(now, conn, nonce, &self.config, &self.clock);
            frames::small(&FromSignaler::Challenge { signaler: self.us, nonce })
        } else {
            let dial = if let Origin::Dialled(dial) = origin { Some(dial) } else { None };
            self.links.on_connected(now, conn, dial, nonce);
            frames::small(&Sibling::Challenge { signaler: self.us, nonce })
        };
        self.send(conn, frame);
    }

    fn on_frame(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(peer) = self.peers.conn_mut(conn) else {
            return self.on_sibling_bytes(now, conn, bytes);
        };
        self.counters.peer_frames += 1;
        self.counters.peer_bytes += bytes.len() as u64;
        let gate = peer.on_frame(now, bytes.len(), &self.config);
        let id = peer.id();
        let max = if id.is_some() { limits::FRAME } else { limits::FRAME_BEFORE_AUTH };
        let frame = match decode::<ToSignaler<'_>>(bytes, max) {
            Ok(frame) => frame,
            Err(WireError::UnknownOptional(_)) => {
                self.counters.ignored_frames += 1;
                return;
            }
            Err(WireError::TooLarge { .. }) => return self.on_oversized(now, conn),
            Err(_) => return self.on_malformed(now, conn),
        };
        if gate != Gate::Open {
            self.refuse(conn, Code::RateLimited, re_of(&frame), None);
            if gate == Gate::Close {
                self.close_peer(now, conn, Code::RateLimited);
            }
            return;
        }
        if id.is_some() {
            self.tell_ice_servers(now, conn);
            self.tell_signalers(now, conn);
        }
        match (frame, id) {
            (ToSignaler::Authenticate { peer, nonce, signature, .. }, None) => {
                self.on_authenticate(now, conn, peer, nonce, &signature);
            }
            (ToSignaler::Announce { entry }, Some(id)) => self.on_announce(now, conn, id, entry),
            (ToSignaler::Leave { entry }, Some(id)) => self.on_leave(now, conn, id, entry),
            (ToSignaler::Forward { re, to, home, envelope, ack }, Some(_)) => {
                let passage = Passage { to, home, hops: 0, from: None, envelope };
                self.on_forward(now, Asker::peer(conn, re, ack), &passage);
            }
            (ToSignaler::Fanout { re, discovery, payload, ack }, Some(id)) => {
                self.on_fanout(now, Asker::peer(conn, re, ack), id, discovery, payload);
            }
            (ToSignaler::Ping { token }, Some(_)) => {
                self.send(conn, frames::small(&FromSignaler::Pong { token }));
            }
            (
                ToSignaler::Publish { re, .. }
                | ToSignaler::Peers { re, .. }
                | ToSignaler::Store { re, .. }
                | ToSignaler::Collect { re, .. }
                | ToSignaler::Proof { re, .. }
                | ToSignaler::Taken { re, .. }
                | ToSignaler::Revoke { re, .. },
                Some(id),
            ) => self.on_mail(now, conn, id, re, bytes),
            (ToSignaler::Authenticate { .. }, Some(_)) => self.on_malformed(now, conn),
            (frame, None) => {
                self.refuse(conn, Code::NotAuthenticated, re_of(&frame), None);
                self.strike(now, conn, Code::NotAuthenticated);
            }
        }
    }

    fn on_authenticate(
        &mut self,
        now: Time,
        conn: ConnId,
        peer: PeerId,
        nonce: Nonce,
        signature: &weft_wire::Signature,
    ) {
        let Ok((signature, replaced)) = self.peers.authenticate(conn, peer, &nonce, signature, &self.key)
        else {
            self.refuse(conn, Code::BadSignature, None, None);
            return self.close_peer(now, conn, Code::BadSignature);
        };
        if let Some(old) = replaced {
            self.counters.refuse(Code::Replaced);
            self.close_peer(now, old, Code::Replaced);
        }
        let frame = frames::small(&FromSignaler::Welcome {
            signature,
            ttl_ms: self.config.ttl_ms,
            keepalive_ms: self.config.keepalive_ms,
            max_frame: u32::try_from(limits::FRAME).unwrap_or(u32::MAX),
            max_swarms: self.config.max_swarms_per_peer,
            now_ms: now.millis(),
        });
        self.counters.authenticated += 1;
        self.put(Output::Raise { conn });
        self.send(conn, frame);
        self.put(Output::Event(Event::PeerUp(peer)));
        self.tell_connected(conn);
        self.tell_ice_servers(now, conn);
        self.tell_signalers(now, conn);
    }

    /// Tells an authenticated peer of TURN servers, if there are any and its credentials are old.
    fn tell_ice_servers(&mut self, now: Time, conn: ConnId) {
        let Some(turn) = &self.config.turn else { return };
        let Some(peer) = self.peers.conn_mut(conn).filter(|peer| peer.turn_at <= now) else { return };
        peer.turn_at = now + turn.renewal();
        let frame = turn.frame(now);
        self.send(conn, frame);
    }

    fn on_oversized(&mut self, now: Time, conn: ConnId) {
        if self.peers.conn(conn).is_some() {
            self.refuse(conn, Code::TooLarge, None, None);
            self.close_peer(now, conn, Code::TooLarge);
        } else if self.links.link(conn).is_some() {
            self.close_link(now, conn, Code::TooLarge);
        }
    }

    fn on_malformed(&mut self, now: Time, conn: ConnId) {
        if self.peers.conn(conn).is_some() {
            self.refuse(conn, Code::BadFrame, None, None);
            self.strike(now, conn, Code::BadFrame);
        } else if self.links.link(conn).is_some() {
            self.sibling_strike(now, conn, Code::BadFrame);
        }
    }

    fn on_heard(&mut self, now: Time, conn: ConnId) {
        if let Some(peer) = self.peers.conn_mut(conn) {
            peer.pulse.heard = now;
        } else if let Some(link) = self.links.link_mut(conn) {
            link.pulse.heard = now;
        }
    }

    fn on_full(&mut self, now: Time, conn: ConnId) {
        let pulse = match self.peers.conn_mut(conn) {
            Some(peer) => &mut peer.pulse,
            None => match self.links.link_mut(conn) {
                Some(link) => &mut link.pulse,
                None => return,
            },
        };
        pulse.full = Some(now);
        self.timers.arm(now + self.config.dead(), Timer::Pulse(conn));
    }

    fn on_drained(&mut self, now: Time, conn: ConnId) {
        if let Some(peer) = self.peers.conn_mut(conn) {
            peer.pulse.full = None;
        } else if let Some(link) = self.links.link_mut(conn) {
            link.pulse.full = None;
            self.arm_flush(now);
            self.say_linked_to(now, conn);
        }
    }

    fn on_pulse(&mut self, now: Time, conn: ConnId) {
        let (pulse, waits) = if let Some(peer) = self.peers.conn(conn) {
            (peer.pulse, peer.id().is_none().then_some(peer.opened))
        } else if let Some(link) = self.links.link(conn) {
            (link.pulse, (!link.is_up()).then_some(link.opened))
        } else {
            return;
        };
        let beat = match waits {
            Some(opened) if now >= opened + self.config.auth() => Beat::Dead(Code::TimedOut),
            // It may be in by then, and is asked for signs of life from then on.
            Some(opened) => Beat::Wait((opened + self.config.auth()).min(now + self.config.keepalive())),
            None => pulse.beat(now, &self.config),
        };
        match beat {
            Beat::Wait(at) => self.timers.arm(at, Timer::Pulse(conn)),
            Beat::Ping(at) => {
                self.timers.arm(at, Timer::Pulse(conn));
                self.put(Output::Ping { conn });
            }
            Beat::Dead(code) => {
                self.counters.refuse(code);
                if self.peers.conn(conn).is_some() {
                    self.close_peer(now, conn, code);
                } else {
                    self.close_link(now, conn, code);
                }
            }
        }
    }

    fn on_shutdown(&mut self, now: Time) {
        self.stopping = true;
        self.keep_cards(now);
        let since = self.table.version();
        self.withdraw_all(now);
        for conn in self.peers.all() {
            self.close_peer(now, conn, Code::ShuttingDown);
        }
        let links: Vec<ConnId> = self.links.all().map(|(conn, _)| conn).collect();
        // All hear of it before one is closed: then they need not tell each other.
        for conn in &links {
            self.flush_all(now, *conn, since);
        }
        for conn in links {
            self.close_link(now, conn, Code::ShuttingDown);
        }
    }

    pub(crate) fn put(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(crate) fn send(&mut self, conn: ConnId, frame: Bytes) {
        self.counters.sent_frames += 1;
        self.counters.sent_bytes += frame.len() as u64;
        self.out.push_back(Output::Send { conn, frame });
    }

    /// Tells a peer that something was refused.
    pub(crate) fn refuse(
        &mut self,
        conn: ConnId,
        code: Code,
        re: Option<u32>,
        discovery: Option<weft_wire::DiscoveryKey>,
    ) {
        self.counters.refuse(code);
        self.send(conn, frames::error(code, re, discovery));
    }

    /// Counts a peer's malformed frame.
    pub(crate) fn strike(&mut self, now: Time, conn: ConnId, code: Code) {
        if self.peers.conn_mut(conn).is_some_and(|peer| peer.strike(&self.config)) {
            self.close_peer(now, conn, code);
        }
    }

    /// Says goodbye to a peer and closes.
    pub(crate) fn close_peer(&mut self, now: Time, conn: ConnId, code: Code) {
        self.goodbye(conn, code);
        self.forget_peer(now, conn);
    }

    fn goodbye(&mut self, conn: ConnId, code: Code) {
        // Spread over some seconds, so that not everybody comes back at once.
        let jitter = self.rng.next_u64() % 4_000;
        let retry_ms = match code {
            Code::ShuttingDown | Code::TimedOut | Code::RecipientBusy => 500 + jitter,
            Code::Replaced => 60_000 + jitter,
            _ => 5_000 + jitter,
        };
        self.send(conn, frames::small(&FromSignaler::Goodbye { code, retry_ms }));
        self.put(Output::Close { conn, code });
    }
}

/// The number that the sender gave a frame.
fn re_of(frame: &ToSignaler<'_>) -> Option<u32> {
    match frame {
        ToSignaler::Forward { re, .. }
        | ToSignaler::Fanout { re, .. }
        | ToSignaler::Publish { re, .. }
        | ToSignaler::Peers { re, .. }
        | ToSignaler::Store { re, .. }
        | ToSignaler::Collect { re, .. }
        | ToSignaler::Proof { re, .. }
        | ToSignaler::Taken { re, .. }
        | ToSignaler::Revoke { re, .. } => Some(*re),
        _ => None,
    }
}
