//! Links without a connection: when to have one, how both sides agree on it, and how a connection takes its place.

use std::collections::VecDeque;

use weft_crypto::link::Transcript;
use weft_crypto::stream::{self, Half};
use weft_wire::sealed::{Refusal, Signal};
use weft_wire::{AgreementKey, DiscoveryKey, PeerId, SessionId, Time, limits};

use super::stream::Stream;
use super::{Attempt, Carrier, Negotiator, Step, knock_step};
use crate::api::{Event, LinkState};
use crate::env::Env;

impl Negotiator {
    // ---- questions ----

    /// The link with this peer is a stream, for now.
    pub(crate) fn is_forwarded(&self, peer: &PeerId) -> bool {
        self.streams.get(peer).is_some_and(|stream| stream.is_up() && !stream.frozen)
    }

    /// The stream that a new connection with this peer is to replace.
    pub(super) fn stream_id(&self, peer: &PeerId) -> Option<SessionId> {
        let replaceable = |stream: &&Stream| stream.is_up() && !stream.frozen;
        self.streams.get(peer).filter(replaceable).map(|stream| stream.session)
    }

    // ---- the way to a stream ----

    /// No connection came about, though signals do: asks for a stream in its place.
    pub(super) fn begin_stream(
        &mut self,
        now: Time,
        peer: PeerId,
        (discovery, urgent): (DiscoveryKey, bool),
        env: &mut Env,
    ) -> Vec<Step> {
        if self.streams.len() >= env.config.forwarded_links || self.streams.contains_key(&peer) {
            return Vec::new();
        }
        let session = SessionId(env.random());
        self.remember(session);
        let stream = Stream::new(now, session, discovery, urgent, env);
        let step = stream_step(peer, &stream, 0);
        self.streams.insert(peer, stream);
        vec![step]
    }

    /// The other side asks for a stream, or agrees to ours.
    pub(super) fn on_stream(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        key: &AgreementKey,
        owes: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        if let Some(stream) = self.streams.get_mut(&from) {
            let crossed = stream.session != id && !stream.is_up();
            if stream.session == id {
                // It may not have heard that we agree.
                return if stream.is_up() {
                    let heard = stream.came() > 0;
                    if heard { Vec::new() } else { vec![stream_step(from, stream, 1)] }
                } else {
                    self.agree(now, from, key, env)
                };
            }
            if crossed && env.me < from {
                return Vec::new(); // Ours counts, and will be answered.
            }
        }
        let connected = self.sessions.get(&from).is_some_and(|session| session.open_since.is_some());
        let doubted = owes.is_some_and(|at| now.since(at) >= super::DOUBT);
        if connected && !self.streams.contains_key(&from) && !doubted {
            // Does it know something of our connection that we do not?
            return vec![Step::Doubted { peer: from }];
        }
        if !self.remember(id) || env.config.forwarded_links == 0 {
            return Vec::new();
        }
        let known = self.has(&from);
        let was_up = connected || self.streams.get(&from).is_some_and(Stream::is_up);
        let mut steps = Vec::new();
        let others = self.streams.len() - usize::from(self.streams.contains_key(&from));
        let full = others >= env.config.forwarded_links;
        if was_up || full {
            steps.extend(self.end(from, "the other side began anew", None, env));
        } else {
            self.streams.remove(&from);
            self.give_way(now, from, env);
        }
        if full {
            steps.push(super::refuse_step(from, discovery, id, 0, Refusal::Full));
            return steps;
        }
        if was_up || !known {
            env.event(Event::Link { peer: from, state: LinkState::Connecting });
        }
        let stream = Stream::new(now, id, discovery, false, env);
        steps.push(stream_step(from, &stream, 0));
        self.streams.insert(from, stream);
        steps.extend(self.agree(now, from, key, env));
        steps
    }

    fn agree(&mut self, now: Time, peer: PeerId, key: &AgreementKey, env: &mut Env) -> Vec<Step> {
        let Some(stream) = self.streams.get_mut(&peer) else { return Vec::new() };
        if !stream.agree(now, (env.me, peer), key) {
            return self.end(peer, "the other side's key is none", None, env);
        }
        let (ours, theirs) = (Half::text(&stream.half.public()), Half::text(key));
        let (session, us, them) = (stream.session, (env.me, ours.as_str()), (peer, theirs.as_str()));
        let transcript = if env.me < peer {
            Transcript::new(session, us, them)
        } else {
            Transcript::new(session, them, us)
        };
        self.give_way(now, peer, env);
        vec![Step::Opened { peer, carrier: Carrier::Stream, transcript, largest: limits::CHUNK }]
    }

    /// An attempt at a connection ends because the other side has given it up.
    fn give_way(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        self.remember_attempt(peer, Attempt::new(now, None, false, "no connection came about"));
        self.drop_session(peer, env);
        self.knocks.remove(&peer);
    }

    // ---- what it carries ----

    /// Takes a chunk for a stream.
    pub(crate) fn give(&mut self, now: Time, peer: &PeerId, chunk: Vec<u8>) {
        if let Some(stream) = self.streams.get_mut(peer).filter(|stream| stream.is_up()) {
            stream.give(now, chunk);
        }
    }

    /// Takes what a signaler brought, if it is a packet.
    pub(crate) fn on_packet(&mut self, now: Time, bytes: &[u8], env: &mut Env) -> Option<Vec<Step>> {
        let session = stream::session(bytes)?;
        let stream = self.streams.iter_mut().find(|(_, stream)| stream.session == session);
        let came = stream.and_then(|(peer, stream)| Some((*peer, stream.on_packet(now, bytes, env)?)));
        let Some((peer, came)) = came else {
            // Of a stream that has ended here, or forged.
            env.stats.unopened += 1;
            return Some(Vec::new());
        };
        let mut steps = vec![Step::Chunks { peer, chunks: came.chunks }];
        if came.drained {
            steps.push(Step::Drained { peer });
        }
        if came.mended {
            steps.push(Step::Working { peer, works: true });
        }
        Some(steps)
    }

    /// A signaler did not pass a packet on: it is too busy, or (`unknown`) knows nothing of the recipient.
    pub(crate) fn on_refused(&mut self, now: Time, peer: PeerId, unknown: bool, env: &mut Env) -> Vec<Step> {
        let Some(stream) = self.streams.get_mut(&peer).filter(|stream| stream.is_up()) else {
            return Vec::new();
        };
        stream.on_refused(now);
        if unknown && stream.is_dead(now, true) {
            return self.end(peer, "the other side is gone", None, env);
        }
        Vec::new()
    }

    /// Packets that are due.
    pub(crate) fn packets(&mut self, now: Time) -> Vec<Step> {
        let mut steps = Vec::new();
        self.paced_at = None;
        // In turns, one packet each, beginning behind the one that had its turn last.
        let mut turns: VecDeque<PeerId> = self.streams.keys().copied().collect();
        turns.rotate_left(
            self.turn.map_or(0, |last| self.streams.keys().filter(|peer| **peer <= last).count()),
        );
        while let Some(peer) = turns.pop_front() {
            let Some(stream) = self.streams.get_mut(&peer) else { continue };
            match stream.packet(now, &mut self.pace) {
                Ok(Some(packet)) => {
                    steps.push(Step::Packet { to: peer, packet, attempt: stream.way });
                    self.turn = Some(peer);
                    turns.push_back(peer);
                }
                Ok(None) => {}
                Err(at) => {
                    self.paced_at = Some(at);
                    break;
                }
            }
        }
        for (peer, stream) in &mut self.streams {
            if stream.attempt >= 2 && !stream.troubled && !stream.frozen {
                stream.troubled = true;
                steps.push(Step::Working { peer: *peer, works: false });
            }
        }
        steps
    }

    // ---- a connection in its place ----

    /// A connection is taking over: gives how many chunks have come; later ones do not count.
    pub(crate) fn freeze(&mut self, peer: &PeerId) -> Option<u64> {
        let stream = self.streams.get_mut(peer)?;
        stream.frozen = true;
        Some(stream.came())
    }

    /// The connection has taken over: gives the chunks that the other side lacks.
    pub(crate) fn on_replaced(&mut self, peer: &PeerId, came: u64) -> Vec<Vec<u8>> {
        self.streams.remove(peer).map(|mut stream| stream.lacking(came)).unwrap_or_default()
    }

    /// Nothing of the stream can be used any more, but the connection can.
    pub(crate) fn forget_stream(&mut self, peer: &PeerId) {
        self.streams.remove(peer);
    }

    pub(super) fn streams_reachable(&mut self, now: Time) {
        for stream in self.streams.values_mut() {
            stream.direct_at = now;
        }
    }

    // ---- timers ----

    pub(super) fn streams_on_time(&mut self, now: Time, env: &mut Env) -> Vec<Step> {
        let mut steps = Vec::new();
        let peers: Vec<PeerId> = self.streams.keys().copied().collect();
        for peer in peers {
            let busy = self.sessions.contains_key(&peer);
            let Some(stream) = self.streams.get_mut(&peer) else { continue };
            if !stream.is_up() {
                if now.since(stream.since) >= env.config.signal_give_up {
                    steps.extend(self.end(
                        peer,
                        "neither a connection nor a forwarded link came about",
                        None,
                        env,
                    ));
                } else if let Some(retry) = stream.retry.as_mut().filter(|retry| retry.at <= now) {
                    let attempt = retry.next(now);
                    steps.push(stream_step(peer, stream, attempt));
                }
                continue;
            }
            if stream.is_dead(now, false) {
                steps.extend(self.end(peer, "the forwarded link went silent", None, env));
                continue;
            }
            if stream.direct_at <= now {
                stream.direct_at = now + stream.direct_wait;
                let (discovery, session) = (stream.discovery, stream.session);
                if busy || stream.frozen {
                    continue;
                }
                stream.direct_wait = (stream.direct_wait * 2).min(env.config.direct_retry_most);
                stream.direct_at = now + stream.direct_wait;
                if env.me < peer {
                    self.begin_offer(now, peer, discovery, false, env);
                } else {
                    // The lower side offers; if it tries too, the two cross and one of them counts.
                    steps.push(knock_step(peer, discovery, None, 0, (false, Some(session)), 0));
                }
            }
        }
        steps
    }

    pub(crate) fn streams_deadline(&self, env: &Env) -> Option<Time> {
        let each = self.streams.values().filter_map(|stream| {
            if !stream.is_up() {
                let retry = stream.retry.map(|retry| retry.at);
                return [retry, Some(stream.since + env.config.signal_give_up)].into_iter().flatten().min();
            }
            let due = stream.deadline().map(|at| self.paced_at.map_or(at, |paced| at.max(paced)));
            due.into_iter().chain([stream.direct_at]).min()
        });
        each.min()
    }
}

fn stream_step(to: PeerId, stream: &Stream, attempt: u32) -> Step {
    let key = stream.half.public();
    let signal = Signal::Stream { key, urgent: stream.urgent, entry: Vec::new(), links: None };
    let (discovery, session) = (stream.discovery, stream.session);
    Step::Send { to, discovery, session, generation: 0, signal, attempt }
}
