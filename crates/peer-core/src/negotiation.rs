//! Negotiation of connections: offer, answer, candidates, retry, ICE restart, all over opaque SDP strings (the roles
//! and the order of steps follow RFC 8829; candidates RFC 8838).
//!
//! Inputs: wishes for a link, signals, descriptions and candidates of the platform, ICE states.
//! Outputs: what the platform is to do; [`Step`]s for the other machines.
//! Timers: candidates that wait to travel together, retries, give up, ICE restarts.
//! Where no connection comes about, signalers forward a stream in its place ([`streams`]), and connections are tried again
//! beside it.
//!
//! Invariants: at most one session per peer; the lower PeerId offers, the higher one knocks, so two that dial each
//! other at once end up with one connection; a session id is never accepted twice; a remote candidate is never given
//! to the platform before the description it belongs to.

use crate::recent::Recent;
use crate::sorted::Map;
use std::time::Duration;

use weft_crypto::link::Transcript;
use weft_wire::sealed::{Candidate, Refusal, Signal};
use weft_wire::{DiscoveryKey, List, PeerId, SessionId, Text, Time, limits};

use self::stream::Stream;
use crate::api::{Event, IceState, LinkId, LinkState, Output};
use crate::env::Env;
use crate::pace::Pace;

mod attempt;
mod offers;
mod session;
mod stream;
mod streams;

use self::attempt::Attempts;
pub(crate) use self::attempt::{Attempt, Kinds};
use self::session::{fingerprint, knock_step, refusal_text, refuse_step};

/// Longest wait before a signal is sent again.
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// A wish for a link that was not answered for so long does not take the place of another: two repetitions.
const UNANSWERED: Duration = Duration::from_secs(2);
/// Session ids that are remembered so that a replayed offer opens nothing.
const SEEN: usize = 1024;
/// Remote candidates that may wait for their description, or be known, per session.
const REMOTE_CANDIDATES: usize = 64;
/// Attempts, the first not counted, after which a peer that signalers do not know is not waited for. The third goes over
/// the mesh.
const KNOWN_BY_NOBODY: u32 = 3;
/// A link that a knock casts doubt on must have owed a sign of life for this long to be replaced: the third knock comes after
/// 900 ms.
const DOUBT: Duration = Duration::from_millis(800);
/// Later candidates are collected for this many times [`Config::candidate_wait`](crate::Config::candidate_wait).
const LATER_CANDIDATES: u32 = 5;

/// A description and the candidates that travel with it.
#[derive(Debug)]
struct Description {
    sdp: Text<{ limits::SDP }>,
    candidates: List<Candidate, { limits::CANDIDATES }>,
}

/// What other machines are to do.
#[derive(Debug)]
pub(crate) enum Step {
    /// Seal this signal and send it. Later attempts should take another way if there is one.
    Send {
        to: PeerId,
        discovery: DiscoveryKey,
        session: SessionId,
        generation: u32,
        signal: Signal,
        attempt: u32,
    },
    /// There is something that carries a link: authenticate it.
    Opened { peer: PeerId, carrier: Carrier, transcript: Transcript, largest: usize },
    /// Chunks that came over a stream.
    Chunks { peer: PeerId, chunks: Vec<Vec<u8>> },
    /// A stream takes more.
    Drained { peer: PeerId },
    /// A stream has been interrupted, or works again.
    Working { peer: PeerId, works: bool },
    /// Pass this packet of a stream to signalers.
    Packet { to: PeerId, packet: Vec<u8>, attempt: u32 },
    /// A session ended. `open_since` is set if the channel was open.
    Ended { peer: PeerId, refusal: Option<Refusal>, open_since: Option<Time> },
    /// A knock casts doubt on an open link: ping it.
    Doubted { peer: PeerId },
}

/// What a link goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A data channel.
    Channel(LinkId),
    /// A stream that signalers forward.
    Stream,
}

#[derive(Debug, Default)]
pub(crate) struct Negotiator {
    /// Links are so few, or missing in some party, that a forwarded one is worth what it costs; and there is a signaler.
    pub(crate) may_forward: bool,
    streams: Map<PeerId, Stream>,
    pace: Pace,
    /// Packets wait until then.
    paced_at: Option<Time>,
    /// The stream that sent last.
    turn: Option<PeerId>,
    attempts: Attempts,
    sessions: Map<PeerId, Session>,
    links: Map<LinkId, PeerId>,
    knocks: Map<PeerId, Knock>,
    seen: Recent<SessionId>,
    next_link: u64,
}

/// The higher PeerId's wish for an offer.
#[derive(Debug)]
struct Knock {
    discovery: DiscoveryKey,
    urgent: bool,
    since: Time,
    retry: Retry,
}

#[derive(Debug)]
struct Session {
    link: LinkId,
    id: SessionId,
    discovery: DiscoveryKey,
    offerer: bool,
    urgent: bool,
    /// Of descriptions: 0, then one more for each ICE restart.
    generation: u32,
    /// Of this generation.
    since: Time,
    local: Option<Text<{ limits::SDP }>>,
    local_sent: bool,
    /// The platform is making a description: it takes one wish at a time.
    describing: bool,
    /// An offer that came meanwhile.
    waiting_offer: Option<(u32, Description)>,
    /// A restart is wanted whatever has happened to the one before: the network has changed.
    restart_anew: bool,
    candidates: Vec<Candidate>,
    candidates_sent: usize,
    flush_at: Option<Time>,
    /// The generation whose remote description has been accepted.
    remote: Option<u32>,
    remote_candidates: Vec<(u32, Candidate)>,
    retry: Option<Retry>,
    fingerprints: (Option<String>, Option<String>),
    /// Bytes of the largest message that the other side's channel takes.
    largest: usize,
    open_since: Option<Time>,
    connected: bool,
    restart_at: Option<Time>,
    /// Since when ICE has not been connected, once it was.
    troubled_since: Option<Time>,
    /// ICE says that it has failed, before it was ever connected.
    failed_at: Option<Time>,
    /// Addresses that either side has found.
    kinds: (Kinds, Kinds),
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Time,
    wait: Duration,
    attempt: u32,
}

impl Retry {
    fn first(now: Time, env: &Env) -> Self {
        Self { at: now + env.config.signal_retry, wait: env.config.signal_retry, attempt: 0 }
    }

    fn next(&mut self, now: Time) -> u32 {
        self.wait = (self.wait * 2).min(RETRY_AT_MOST);
        self.at = now + self.wait;
        self.attempt = self.attempt.saturating_add(1);
        self.attempt
    }
}

impl Negotiator {
    // ---- questions ----

    /// A link is being negotiated or open.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.sessions.contains_key(peer) || self.knocks.contains_key(peer) || self.streams.contains_key(peer)
    }

    /// With whom there is a link or one is being negotiated.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PeerId> + Clone {
        let knocks = self.knocks.keys().filter(|peer| !self.sessions.contains_key(peer));
        let streams = self.streams.keys();
        let streams =
            streams.filter(|peer| !self.sessions.contains_key(peer) && !self.knocks.contains_key(peer));
        self.sessions.keys().chain(knocks).chain(streams)
    }

    pub(crate) fn peer(&self, link: LinkId) -> Option<PeerId> {
        self.links.get(&link).copied()
    }

    /// The link is interrupted: it may come back, but nobody should count on it.
    pub(crate) fn is_interrupted(&self, peer: &PeerId) -> bool {
        if let Some(stream) = self.streams.get(peer) {
            return stream.troubled;
        }
        self.sessions.get(peer).is_some_and(|session| session.troubled_since.is_some())
    }

    /// It was asked for a link and has not said a word for so long that it may not be there.
    pub(crate) fn is_unanswered(&self, now: Time, peer: &PeerId) -> bool {
        let late = |since| now.since(since) >= UNANSWERED;
        if let Some(stream) = self.streams.get(peer) {
            return !stream.is_up() && late(stream.since);
        }
        match self.sessions.get(peer) {
            Some(session) => session.open_since.is_none() && session.remote.is_none() && late(session.since),
            None => self.knocks.get(peer).is_some_and(|knock| late(knock.since)),
        }
    }

    /// The link that has been interrupted the longest.
    pub(crate) fn worst(&self) -> Option<PeerId> {
        let interrupted = self.sessions.iter().filter_map(|(peer, one)| Some((one.troubled_since?, *peer)));
        interrupted.min().map(|(_, peer)| peer)
    }

    /// The last attempt at a connection with this peer, if it came to nothing.
    pub(crate) fn attempt(&self, peer: &PeerId) -> Option<&Attempt> {
        self.attempts.of(peer)
    }

    /// The link's connection works as far as ICE says.
    pub(crate) fn healthy(&self, peer: &PeerId) -> bool {
        if let Some(stream) = self.streams.get(peer) {
            return stream.is_up() && !stream.troubled;
        }
        self.sessions
            .get(peer)
            .is_some_and(|session| session.open_since.is_some() && session.troubled_since.is_none())
    }

    /// This signal would make a new session (the admission has to be asked).
    pub(crate) fn is_new(&self, from: &PeerId, session: &SessionId, signal: &Signal) -> bool {
        match signal {
            Signal::Offer { stream, .. } | Signal::Knock { stream, .. }
                if stream.is_some() && *stream == self.stream_id(from) =>
            {
                false
            }
            Signal::Offer { .. } => !self.is_session(from, session) && !self.seen.contains(session),
            Signal::Knock { .. } => !self.sessions.contains_key(from),
            Signal::Stream { .. } => {
                self.streams.get(from).is_none_or(|stream| stream.session != *session && stream.is_up())
                    && !self.seen.contains(session)
            }
            _ => false,
        }
    }

    // ---- wishes ----

    /// Seeks a link. Nothing happens if there is one, or if one is being negotiated.
    pub(crate) fn dial(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        urgent: bool,
        env: &mut Env,
    ) -> Vec<Step> {
        if self.has(&peer) || peer == env.me {
            return Vec::new();
        }
        env.event(Event::Link { peer, state: LinkState::Connecting });
        if env.me < peer {
            self.begin_offer(now, peer, discovery, urgent, env);
            return Vec::new();
        }
        self.knocks.insert(peer, Knock { discovery, urgent, since: now, retry: Retry::first(now, env) });
        vec![knock_step(peer, discovery, None, 0, (urgent, None), 0)]
    }

    /// Ends a session or wish from our side.
    pub(crate) fn close(&mut self, peer: PeerId, reason: &str, env: &mut Env) -> Vec<Step> {
        self.end(peer, reason, None, env)
    }

    // ---- signals ----

    /// Takes a signal that has been opened, from a peer whose wish (if it is a new one) is admitted. `owes`: since when the
    /// other side's link has owed a sign of life, if it does.
    pub(crate) fn on_signal(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, id, generation): (DiscoveryKey, SessionId, u32),
        signal: Signal,
        owes: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        match signal {
            Signal::Knock { urgent, stream, .. } => {
                self.on_knock(now, from, (discovery, id), (urgent, stream), owes, env)
            }
            Signal::Stream { key, .. } => self.on_stream(now, from, (discovery, id), &key, owes, env),
            Signal::Offer { sdp, candidates, urgent, stream, .. } if from < env.me => {
                if self.is_session(&from, &id) {
                    return self.on_known_offer(now, from, generation, Description { sdp, candidates }, env);
                }
                if generation > 0 {
                    // A restart of a session that we do not know (any more).
                    return vec![refuse_step(from, discovery, id, generation, Refusal::UnknownSession)];
                }
                if !self.remember(id) {
                    return Vec::new();
                }
                // What we call for a stream goes on: whichever comes about first ends the other.
                let calling = self.streams.get(&from).is_some_and(|stream| !stream.is_up());
                let mut steps = if calling || stream.is_some() && stream == self.stream_id(&from) {
                    self.drop_session(from, env);
                    Vec::new()
                } else {
                    self.replace(now, from, env)
                };
                steps.extend(self.begin_answer(
                    now,
                    from,
                    (discovery, id),
                    urgent,
                    Description { sdp, candidates },
                    env,
                ));
                steps
            }
            Signal::Answer { sdp, candidates } if self.is_session(&from, &id) => {
                self.on_answer(from, generation, Description { sdp, candidates }, env)
            }
            Signal::Candidates { candidates } if self.is_session(&from, &id) => {
                if let Some(session) = self.sessions.get_mut(&from) {
                    session.take_candidates(generation, candidates, env);
                }
                Vec::new()
            }
            Signal::Refuse { reason } if self.is_session(&from, &id) || self.knocks.contains_key(&from) => {
                // Only what is not open can be refused, or a restart of what the other side has forgotten.
                let open = self.sessions.get(&from).is_some_and(|session| session.open_since.is_some());
                if open && reason != Refusal::UnknownSession {
                    return Vec::new();
                }
                let platform = reason == Refusal::BadDescription;
                self.fail(now, from, platform, refusal_text(reason), Some(reason), env)
            }
            Signal::Refuse { reason } if self.calls(&from, &id) => {
                self.end(from, refusal_text(reason), Some(reason), env)
            }
            // Of an unknown session, or an offer from the side that must not offer.
            _ => {
                env.stats.unopened += 1;
                Vec::new()
            }
        }
    }

    /// Says no to a new wish.
    pub(crate) fn refuse(
        from: PeerId,
        (discovery, id, generation): (DiscoveryKey, SessionId, u32),
        reason: Refusal,
    ) -> Step {
        refuse_step(from, discovery, id, generation, reason)
    }

    // ---- the platform ----

    pub(crate) fn on_description(&mut self, now: Time, link: LinkId, sdp: &str, env: &mut Env) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get_mut(&peer) else { return Vec::new() };
        let (Some(text), Some(fingerprint)) = (Text::new(sdp), fingerprint(sdp)) else {
            return self.fail(now, peer, true, "the platform made an unusable description", None, env);
        };
        session.describing = false;
        session.fingerprints.0.get_or_insert(fingerprint);
        session.kinds.0.learn(sdp);
        if let Some((generation, offer)) = session.waiting_offer.take() {
            // This answer is to an offer that has been overtaken.
            session.begin_generation(now, generation);
            session.accept(generation, offer, false, env);
            return Vec::new();
        }
        session.local = Some(text);
        let wait = if session.candidates.is_empty() {
            env.config.candidate_wait
        } else {
            env.config.candidate_settle
        };
        session.flush_at = Some(now + wait);
        Vec::new()
    }

    pub(crate) fn on_candidate(
        &mut self,
        now: Time,
        link: LinkId,
        candidate: Candidate,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get_mut(&peer) else { return Vec::new() };
        if candidate.candidate.is_empty() {
            // All are gathered: a description that waited for them need not wait longer.
            if session.local.is_some() && !session.local_sent {
                session.flush_at = Some(now);
            }
        } else if session.candidates.len() < limits::CANDIDATES {
            session.kinds.0.learn(&candidate.candidate);
            session.candidates.push(candidate);
            if session.local_sent {
                session.flush_at.get_or_insert(now + env.config.candidate_wait * LATER_CANDIDATES);
            } else if session.candidates.len() == 1 && session.local.is_some() {
                let soon = now + env.config.candidate_settle;
                session.flush_at = session.flush_at.map(|at| at.min(soon));
            }
        }
        Vec::new()
    }

    pub(crate) fn on_link_failed(
        &mut self,
        now: Time,
        link: LinkId,
        reason: &str,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get(&peer) else { return Vec::new() };
        let no =
            refuse_step(peer, session.discovery, session.id, session.generation, Refusal::BadDescription);
        let mut steps = self.fail(now, peer, true, reason, Some(Refusal::BadDescription), env);
        steps.insert(0, no);
        steps
    }

    pub(crate) fn on_ice(&mut self, now: Time, link: LinkId, state: IceState, env: &mut Env) {
        let Some(peer) = self.peer(link) else { return };
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.open_since.is_none() && self.streams.get(&peer).is_some_and(Stream::is_up) {
            // Beside a stream that carries the link nothing is interrupted, or mended, before the channel is open.
            session.connected |= state == IceState::Connected;
            session.failed_at = (state == IceState::Failed).then_some(now);
            return;
        }
        match state {
            IceState::Connected => {
                session.connected = true;
                session.failed_at = None;
                session.restart_at = None;
                session.retry = None;
                if session.troubled_since.take().is_some() {
                    let state = LinkState::Open { forwarded: false };
                    self.tell(link, state, env);
                }
            }
            IceState::Disconnected | IceState::Failed if session.connected => {
                let wait =
                    if state == IceState::Failed { Duration::ZERO } else { env.config.ice_restart_after };
                let at = now + wait;
                session.restart_at = Some(session.restart_at.map_or(at, |known| known.min(at)));
                if session.troubled_since.is_none() {
                    session.troubled_since = Some(now);
                    self.tell(link, LinkState::Interrupted, env);
                }
            }
            // Before it was ever connected: candidates may still come, but not for long.
            IceState::Failed => {
                session.failed_at.get_or_insert(now);
            }
            IceState::Disconnected => {}
        }
    }

    pub(crate) fn on_channel_opened(&mut self, now: Time, link: LinkId, env: &mut Env) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get_mut(&peer) else { return Vec::new() };
        if session.open_since.is_some() {
            return Vec::new();
        }
        self.attempts.forget(&peer);
        session.open_since = Some(now);
        session.connected = true;
        session.retry = None;
        let (Some(local), Some(remote)) = (&session.fingerprints.0, &session.fingerprints.1) else {
            return self.end(peer, "the connection has no fingerprint", None, env);
        };
        let largest = session.largest;
        if largest < limits::CHUNK_LEAST {
            return self.end(
                peer,
                "the other side's channel takes only messages that are too small",
                None,
                env,
            );
        }
        let (ours, theirs) = ((env.me, local.as_str()), (peer, remote.as_str()));
        let transcript = if session.offerer {
            Transcript::new(session.id, ours, theirs)
        } else {
            Transcript::new(session.id, theirs, ours)
        };
        vec![Step::Opened { peer, carrier: Carrier::Channel(link), transcript, largest }]
    }

    /// Something came over the channel: whatever ICE thinks, it works.
    pub(crate) fn on_alive(&mut self, peer: &PeerId, env: &mut Env) {
        let Some(session) = self.sessions.get_mut(peer) else { return };
        if session.troubled_since.take().is_some() {
            session.restart_at = None;
            env.event(Event::Link { peer: *peer, state: LinkState::Open { forwarded: false } });
        }
    }

    pub(crate) fn on_channel_closed(&mut self, now: Time, link: LinkId, env: &mut Env) -> Vec<Step> {
        match self.peer(link) {
            Some(peer) => self.fail(now, peer, false, "the connection was closed", None, env),
            None => Vec::new(),
        }
    }

    /// A way to the other sides exists again: whatever is interrupted is restarted at once.
    pub(crate) fn on_reachable(&mut self, now: Time) {
        for session in self.sessions.values_mut().filter(|session| session.troubled_since.is_some()) {
            session.restart_at = Some(now);
            session.restart_anew = true;
        }
        self.streams_reachable(now);
        for knock in self.knocks.values_mut() {
            knock.retry.at = now;
        }
        for retry in self.sessions.values_mut().filter_map(|session| session.retry.as_mut()) {
            retry.at = now;
        }
    }

    /// No signaler knows this peer: a wish that nobody has answered ends here; `at_once`, or when neighbours have been asked.
    pub(crate) fn on_unreachable(
        &mut self,
        now: Time,
        peer: PeerId,
        at_once: bool,
        env: &mut Env,
    ) -> Vec<Step> {
        let attempts = if at_once { 0 } else { KNOWN_BY_NOBODY };
        let knocked = self.knocks.get(&peer).is_some_and(|knock| knock.retry.attempt >= attempts);
        let offered = self.sessions.get(&peer).is_some_and(|session| {
            session.open_since.is_none()
                && session.remote.is_none()
                && session.retry.is_some_and(|retry| retry.attempt >= attempts)
        });
        if knocked || offered {
            self.fail(now, peer, false, "no signaler knows it", None, env)
        } else {
            Vec::new()
        }
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<Step> {
        let mut steps = Vec::new();
        let peers: Vec<PeerId> = self.sessions.keys().copied().collect();
        for peer in peers {
            self.check(now, peer, env, &mut steps);
        }
        let late = |knock: &Knock| now.since(knock.since) >= env.config.signal_give_up;
        let given_up: Vec<PeerId> =
            self.knocks.iter().filter(|(_, knock)| late(knock)).map(|(peer, _)| *peer).collect();
        for peer in given_up {
            steps.extend(self.fail(now, peer, false, "it has not answered", None, env));
        }
        for (peer, knock) in &mut self.knocks {
            if knock.retry.at <= now {
                let attempt = knock.retry.next(now);
                steps.push(knock_step(*peer, knock.discovery, None, 0, (knock.urgent, None), attempt));
            }
        }
        steps.extend(self.streams_on_time(now, env));
        steps
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let sessions = self.sessions.values().flat_map(|session| session.deadlines(env));
        let knocks =
            self.knocks.values().flat_map(|knock| [knock.retry.at, knock.since + env.config.signal_give_up]);
        sessions.chain(knocks).chain(self.streams_deadline(env)).min()
    }

    fn check(&mut self, now: Time, peer: PeerId, env: &mut Env, steps: &mut Vec<Step>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.flush_at.is_some_and(|at| at <= now) {
            session.flush_at = None;
            let stream = self.streams.get(&peer).map(|stream| stream.session);
            steps.extend(session.flush(now, peer, stream, env));
        }
        if let Some(retry) = session.retry.as_mut().filter(|retry| retry.at <= now) {
            let attempt = retry.next(now);
            let stream = self.streams.get(&peer).map(|stream| stream.session);
            steps.extend(session.describe(peer, stream, attempt));
        }
        if session.restart_at.is_some_and(|at| at <= now) {
            session.restart(now, peer, env, steps);
        }
        if session.give_up_at(env).is_some_and(|at| at <= now) {
            let reason = if session.open_since.is_some() {
                "the connection was lost"
            } else {
                "no connection came about in time (a TURN server may be needed)"
            };
            steps.extend(self.fail(now, peer, false, reason, None, env));
        }
    }

    // ---- helpers ----

    fn is_session(&self, peer: &PeerId, id: &SessionId) -> bool {
        self.sessions.get(peer).is_some_and(|session| session.id == *id)
    }

    fn remember(&mut self, id: SessionId) -> bool {
        self.seen.insert(id, SEEN)
    }

    /// Ends the session with a peer that begins a new one.
    fn replace(&mut self, now: Time, peer: PeerId, env: &mut Env) -> Vec<Step> {
        if self.sessions.contains_key(&peer) {
            let attempt = Attempt::new(now, None, false, "the other side has begun anew");
            self.remember_attempt(peer, attempt);
        }
        if self.sessions.contains_key(&peer) || self.streams.contains_key(&peer) {
            self.end(peer, "the other side began anew", None, env)
        } else {
            Vec::new()
        }
    }

    fn end(&mut self, peer: PeerId, reason: &str, refusal: Option<Refusal>, env: &mut Env) -> Vec<Step> {
        let knock = self.knocks.remove(&peer);
        let stream = self.streams.remove(&peer);
        let had_session = self.sessions.contains_key(&peer);
        if knock.is_none() && stream.is_none() && !had_session {
            return Vec::new();
        }
        let open_since = self.drop_session(peer, env);
        let open_since = stream.filter(Stream::is_up).map(|stream| stream.since).or(open_since);
        env.event(Event::Link { peer, state: LinkState::Closed { reason: reason.to_owned() } });
        vec![Step::Ended { peer, refusal, open_since }]
    }

    /// An attempt at a connection has come to nothing: a stream goes on if there is one, or takes its place if signals get
    /// through (or `platform`: this side, or the other, can make no connections at all); else all is over.
    fn fail(
        &mut self,
        now: Time,
        peer: PeerId,
        platform: bool,
        reason: &str,
        refusal: Option<Refusal>,
        env: &mut Env,
    ) -> Vec<Step> {
        self.remember_attempt(peer, Attempt::new(now, refusal, platform, reason));
        if let Some(stream) = self.streams.get(&peer)
            && !stream.frozen
        {
            self.drop_session(peer, env);
            return Vec::new();
        }
        if let Some(session) = self.sessions.get(&peer)
            && session.open_since.is_none()
            && (session.remote.is_some() && refusal.is_none() || platform)
            && self.may_forward
        {
            let about = (session.discovery, session.urgent);
            let steps = self.begin_stream(now, peer, about, env);
            if !steps.is_empty() {
                self.drop_session(peer, env);
                self.knocks.remove(&peer);
                return steps;
            }
        }
        self.end(peer, reason, refusal, env)
    }

    /// What an attempt shows that is about to end.
    fn remember_attempt(&mut self, peer: PeerId, attempt: Attempt) {
        let mut attempt = attempt;
        match self.sessions.get(&peer) {
            Some(session) if session.open_since.is_some() => return,
            Some(session) => {
                attempt.answered |= session.remote.is_some();
                (attempt.ours, attempt.theirs) = session.kinds;
            }
            None if self.knocks.contains_key(&peer) => {}
            None => return,
        }
        self.attempts.remember(peer, attempt);
    }

    /// Forgets the connection with a peer; gives since when it was open.
    fn drop_session(&mut self, peer: PeerId, env: &mut Env) -> Option<Time> {
        let session = self.sessions.remove(&peer)?;
        self.links.remove(&session.link);
        env.out.push_back(Output::CloseLink { link: session.link });
        session.open_since
    }

    /// We have asked for this stream, and the other side has not agreed.
    fn calls(&self, peer: &PeerId, id: &SessionId) -> bool {
        self.streams.get(peer).is_some_and(|stream| stream.session == *id && !stream.is_up())
    }

    fn tell(&self, link: LinkId, state: LinkState, env: &mut Env) {
        if let Some(peer) = self.peer(link) {
            env.event(Event::Link { peer, state });
        }
    }
}
