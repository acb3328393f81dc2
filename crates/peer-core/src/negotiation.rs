//! Negotiation of connections: offer, answer, candidates, retry, ICE restart, all over opaque SDP strings (the roles
//! and the order of steps follow RFC 8829; candidates RFC 8838).
//!
//! Inputs: wishes for a link, signals, descriptions and candidates of the platform, ICE states.
//! Outputs: what the platform is to do; [`Step`]s for the other machines.
//! Timers: candidates that wait to travel together, retries, give up, ICE restarts.
//! Invariants: at most one session per peer; the lower PeerId offers, the higher one knocks, so two that dial each
//! other at once end up with one connection; a session id is never accepted twice; a remote candidate is never given
//! to the platform before the description it belongs to.

use crate::recent::Recent;
use crate::sorted::Map;
use std::time::Duration;

use weft_crypto::link::Transcript;
use weft_wire::sealed::{Candidate, Refusal, Signal};
use weft_wire::{DiscoveryKey, List, PeerId, SessionId, Text, Time, limits};

use crate::api::{Event, IceState, LinkId, LinkState, Output};
use crate::env::Env;

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
/// A session that a knock casts doubt on must have been silent this long to be replaced.
const DOUBT: Duration = Duration::from_secs(1);
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
    /// The channel is open: authenticate it.
    Opened { peer: PeerId, link: LinkId, transcript: Transcript, largest: usize },
    /// A session ended. `open_since` is set if the channel was open.
    Ended { peer: PeerId, refusal: Option<Refusal>, open_since: Option<Time> },
    /// A knock casts doubt on an open link: ping it.
    Doubted { peer: PeerId },
}

#[derive(Debug, Default)]
pub(crate) struct Negotiator {
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
        self.sessions.contains_key(peer) || self.knocks.contains_key(peer)
    }

    /// With whom there is a link or one is being negotiated.
    pub(crate) fn all(&self) -> impl Iterator<Item = &PeerId> + Clone {
        let knocks = self.knocks.keys().filter(|peer| !self.sessions.contains_key(peer));
        self.sessions.keys().chain(knocks)
    }

    pub(crate) fn peer(&self, link: LinkId) -> Option<PeerId> {
        self.links.get(&link).copied()
    }

    /// The link is interrupted: it may come back, but nobody should count on it.
    pub(crate) fn is_interrupted(&self, peer: &PeerId) -> bool {
        self.sessions.get(peer).is_some_and(|session| session.troubled_since.is_some())
    }

    /// It was asked for a link and has not said a word for so long that it may not be there.
    pub(crate) fn is_unanswered(&self, now: Time, peer: &PeerId) -> bool {
        let late = |since| now.since(since) >= UNANSWERED;
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

    /// The link's connection works as far as ICE says.
    pub(crate) fn healthy(&self, peer: &PeerId) -> bool {
        self.sessions
            .get(peer)
            .is_some_and(|session| session.open_since.is_some() && session.troubled_since.is_none())
    }

    /// This signal would make a new session (the admission has to be asked).
    pub(crate) fn is_new(&self, from: &PeerId, session: &SessionId, signal: &Signal) -> bool {
        match signal {
            Signal::Offer { .. } => !self.is_session(from, session) && !self.seen.contains(session),
            Signal::Knock { .. } => !self.sessions.contains_key(from),
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
        vec![knock_step(peer, discovery, None, 0, urgent, 0)]
    }

    /// Ends a session or wish from our side.
    pub(crate) fn close(&mut self, peer: PeerId, reason: &str, env: &mut Env) -> Vec<Step> {
        self.end(peer, reason, None, env)
    }

    // ---- signals ----

    /// Takes a signal that has been opened, from a peer whose wish (if it is a new one) is admitted.
    pub(crate) fn on_signal(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, id, generation): (DiscoveryKey, SessionId, u32),
        signal: Signal,
        heard: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        match signal {
            Signal::Knock { urgent, .. } => self.on_knock(now, from, (discovery, id), urgent, heard, env),
            Signal::Offer { sdp, candidates, urgent, .. } if from < env.me => {
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
                let mut steps = self.replace(from, env);
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
            return self.end(peer, "the platform made an unusable description", None, env);
        };
        session.describing = false;
        session.fingerprints.0.get_or_insert(fingerprint);
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

    pub(crate) fn on_link_failed(&mut self, link: LinkId, reason: &str, env: &mut Env) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get(&peer) else { return Vec::new() };
        let no =
            refuse_step(peer, session.discovery, session.id, session.generation, Refusal::BadDescription);
        let mut steps = self.end(peer, reason, Some(Refusal::BadDescription), env);
        steps.insert(0, no);
        steps
    }

    pub(crate) fn on_ice(&mut self, now: Time, link: LinkId, state: IceState, env: &mut Env) {
        let Some(session) = self.peer(link).and_then(|peer| self.sessions.get_mut(&peer)) else { return };
        match state {
            IceState::Connected => {
                session.connected = true;
                session.restart_at = None;
                session.retry = None;
                if session.troubled_since.take().is_some() {
                    let state = LinkState::Open;
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
            // Before it was ever connected: candidates may still come; the give-up timer ends it otherwise.
            IceState::Disconnected | IceState::Failed => {}
        }
    }

    pub(crate) fn on_channel_opened(&mut self, now: Time, link: LinkId, env: &mut Env) -> Vec<Step> {
        let Some(peer) = self.peer(link) else { return Vec::new() };
        let Some(session) = self.sessions.get_mut(&peer) else { return Vec::new() };
        if session.open_since.is_some() {
            return Vec::new();
        }
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
        vec![Step::Opened { peer, link, transcript, largest }]
    }

    /// Something came over the channel: whatever ICE thinks, it works.
    pub(crate) fn on_alive(&mut self, peer: &PeerId, env: &mut Env) {
        let Some(session) = self.sessions.get_mut(peer) else { return };
        if session.troubled_since.take().is_some() {
            session.restart_at = None;
            env.event(Event::Link { peer: *peer, state: LinkState::Open });
        }
    }

    pub(crate) fn on_channel_closed(&mut self, link: LinkId, env: &mut Env) -> Vec<Step> {
        match self.peer(link) {
            Some(peer) => self.end(peer, "the connection was closed", None, env),
            None => Vec::new(),
        }
    }

    /// A way to the other sides exists again: whatever is interrupted is restarted at once.
    pub(crate) fn on_reachable(&mut self, now: Time) {
        for session in self.sessions.values_mut().filter(|session| session.troubled_since.is_some()) {
            session.restart_at = Some(now);
            session.restart_anew = true;
        }
        for knock in self.knocks.values_mut() {
            knock.retry.at = now;
        }
        for retry in self.sessions.values_mut().filter_map(|session| session.retry.as_mut()) {
            retry.at = now;
        }
    }

    /// No signaler knows this peer: a wish that nobody has answered ends here; `at_once`, or when neighbours have been asked.
    pub(crate) fn on_unreachable(&mut self, peer: PeerId, at_once: bool, env: &mut Env) -> Vec<Step> {
        let attempts = if at_once { 0 } else { KNOWN_BY_NOBODY };
        let knocked = self.knocks.get(&peer).is_some_and(|knock| knock.retry.attempt >= attempts);
        let offered = self.sessions.get(&peer).is_some_and(|session| {
            session.open_since.is_none()
                && session.remote.is_none()
                && session.retry.is_some_and(|retry| retry.attempt >= attempts)
        });
        if knocked || offered { self.end(peer, "no signaler knows it", None, env) } else { Vec::new() }
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
            steps.extend(self.end(peer, "no answer", None, env));
        }
        for (peer, knock) in &mut self.knocks {
            if knock.retry.at <= now {
                let attempt = knock.retry.next(now);
                steps.push(knock_step(*peer, knock.discovery, None, 0, knock.urgent, attempt));
            }
        }
        steps
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let sessions = self.sessions.values().flat_map(|session| session.deadlines(env));
        let knocks =
            self.knocks.values().flat_map(|knock| [knock.retry.at, knock.since + env.config.signal_give_up]);
        sessions.chain(knocks).min()
    }

    fn check(&mut self, now: Time, peer: PeerId, env: &mut Env, steps: &mut Vec<Step>) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        if session.flush_at.is_some_and(|at| at <= now) {
            session.flush_at = None;
            steps.extend(session.flush(now, peer, env));
        }
        if let Some(retry) = session.retry.as_mut().filter(|retry| retry.at <= now) {
            let attempt = retry.next(now);
            steps.extend(session.describe(peer, attempt));
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
            steps.extend(self.end(peer, reason, None, env));
        }
    }

    // ---- offers ----

    fn begin_offer(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey, urgent: bool, env: &mut Env) {
        let id = SessionId(env.random());
        self.remember(id);
        let link = self.begin(now, peer, (discovery, id), true, urgent);
        env.out.push_back(Output::OpenLink { link, offer: true });
    }

    fn begin_answer(
        &mut self,
        now: Time,
        peer: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        urgent: bool,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(fingerprint) = fingerprint(&description.sdp) else {
            return vec![refuse_step(peer, discovery, id, 0, Refusal::BadDescription)];
        };
        if self.knocks.remove(&peer).is_none() {
            env.event(Event::Link { peer, state: LinkState::Connecting });
        }
        let link = self.begin(now, peer, (discovery, id), false, urgent);
        env.out.push_back(Output::OpenLink { link, offer: false });
        if let Some(session) = self.sessions.get_mut(&peer) {
            session.fingerprints.1 = Some(fingerprint);
            session.accept(0, description, false, env);
        }
        Vec::new()
    }

    fn begin(
        &mut self,
        now: Time,
        peer: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        offerer: bool,
        urgent: bool,
    ) -> LinkId {
        self.next_link += 1;
        let link = LinkId(self.next_link);
        self.links.insert(link, peer);
        self.sessions.insert(
            peer,
            Session {
                link,
                id,
                discovery,
                offerer,
                urgent,
                generation: 0,
                since: now,
                local: None,
                local_sent: false,
                describing: offerer,
                waiting_offer: None,
                restart_anew: false,
                candidates: Vec::new(),
                candidates_sent: 0,
                flush_at: None,
                remote: None,
                remote_candidates: Vec::new(),
                retry: None,
                fingerprints: (None, None),
                largest: limits::CHUNK,
                open_since: None,
                connected: false,
                restart_at: None,
                troubled_since: None,
            },
        );
        link
    }

    /// An offer in a session that we know: our answer got lost, or ICE restarts.
    fn on_known_offer(
        &mut self,
        now: Time,
        from: PeerId,
        generation: u32,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(session) = self.sessions.get_mut(&from) else { return Vec::new() };
        if session.offerer || generation < session.generation {
            return Vec::new();
        }
        if generation > session.generation {
            if !session.describing {
                session.begin_generation(now, generation);
                session.accept(generation, description, false, env);
            } else if session.waiting_offer.as_ref().is_none_or(|(waiting, _)| *waiting < generation) {
                session.waiting_offer = Some((generation, description));
            }
            return Vec::new();
        }
        session.take_candidates(generation, description.candidates, env);
        if session.local_sent { session.describe(from, 0).into_iter().collect() } else { Vec::new() }
    }

    fn on_answer(
        &mut self,
        from: PeerId,
        generation: u32,
        description: Description,
        env: &mut Env,
    ) -> Vec<Step> {
        let Some(session) = self.sessions.get_mut(&from) else { return Vec::new() };
        if !session.offerer || generation != session.generation || !session.local_sent {
            return Vec::new();
        }
        if session.remote == Some(generation) {
            session.take_candidates(generation, description.candidates, env);
            return Vec::new();
        }
        let Some(fingerprint) = fingerprint(&description.sdp) else {
            return self.end(from, "the answer has no fingerprint", Some(Refusal::BadDescription), env);
        };
        session.fingerprints.1.get_or_insert(fingerprint);
        session.retry = None;
        session.accept(generation, description, true, env);
        Vec::new()
    }

    fn on_knock(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, id): (DiscoveryKey, SessionId),
        urgent: bool,
        heard: Option<Time>,
        env: &mut Env,
    ) -> Vec<Step> {
        if from < env.me {
            return Vec::new(); // The lower side offers, it does not knock.
        }
        let Some(session) = self.sessions.get_mut(&from) else {
            env.event(Event::Link { peer: from, state: LinkState::Connecting });
            self.begin_offer(now, from, discovery, urgent, env);
            return Vec::new();
        };
        if session.id == id {
            // The other side asks for an ICE restart. Ours may be under way already.
            if session.open_since.is_some() && now.since(session.since) >= env.config.signal_retry {
                session.restart_at = Some(now);
                session.troubled_since.get_or_insert(now);
            }
            return Vec::new();
        }
        // The other side knows of no session. While ours is young its knock and our offer have crossed.
        let silent_since = heard.or(session.open_since);
        match silent_since {
            Some(at) if now.since(at) >= DOUBT => {
                let mut steps = self.replace(from, env);
                self.begin_offer(now, from, discovery, urgent, env);
                steps.retain(|step| !matches!(step, Step::Doubted { .. }));
                steps
            }
            Some(_) => vec![Step::Doubted { peer: from }],
            None => Vec::new(),
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
    fn replace(&mut self, peer: PeerId, env: &mut Env) -> Vec<Step> {
        if self.sessions.contains_key(&peer) {
            self.end(peer, "the other side began anew", None, env)
        } else {
            Vec::new()
        }
    }

    fn end(&mut self, peer: PeerId, reason: &str, refusal: Option<Refusal>, env: &mut Env) -> Vec<Step> {
        let knock = self.knocks.remove(&peer);
        let session = self.sessions.remove(&peer);
        if knock.is_none() && session.is_none() {
            return Vec::new();
        }
        let mut open_since = None;
        if let Some(session) = session {
            self.links.remove(&session.link);
            env.out.push_back(Output::CloseLink { link: session.link });
            open_since = session.open_since;
        }
        env.event(Event::Link { peer, state: LinkState::Closed { reason: reason.to_owned() } });
        vec![Step::Ended { peer, refusal, open_since }]
    }

    fn tell(&self, link: LinkId, state: LinkState, env: &mut Env) {
        if let Some(peer) = self.peer(link) {
            env.event(Event::Link { peer, state });
        }
    }
}

impl Session {
    fn begin_generation(&mut self, now: Time, generation: u32) {
        self.generation = generation;
        self.since = now;
        self.local = None;
        self.local_sent = false;
        self.candidates.clear();
        self.candidates_sent = 0;
        self.flush_at = None;
        self.retry = None;
        self.remote_candidates.retain(|(of, _)| *of >= generation);
    }

    /// Restarts ICE, or asks the other side to. Should that get lost, another one follows.
    fn restart(&mut self, now: Time, peer: PeerId, env: &mut Env, steps: &mut Vec<Step>) {
        self.restart_at = Some(now + env.config.ice_restart_after);
        if !self.offerer {
            steps.push(knock_step(
                peer,
                self.discovery,
                Some(self.id),
                self.generation,
                false,
                self.generation,
            ));
            return;
        }
        // An offer that is on its way is sent again by itself; a newer one would only overtake its answer.
        let under_way = self.remote.is_none_or(|of| of < self.generation)
            && now.since(self.since) < env.config.signal_give_up;
        if self.describing || (under_way && !self.restart_anew) {
            return;
        }
        self.restart_anew = false;
        self.begin_generation(now, self.generation + 1);
        self.describing = true;
        env.out.push_back(Output::RestartIce { link: self.link });
    }

    /// Gives a remote description to the platform, and the candidates that waited for it.
    fn accept(&mut self, generation: u32, description: Description, answer: bool, env: &mut Env) {
        let (link, sdp) = (self.link, description.sdp.into_string());
        self.largest = largest_message(&sdp);
        env.out.push_back(if answer {
            Output::AcceptAnswer { link, sdp }
        } else {
            Output::AcceptOffer { link, sdp }
        });
        self.describing |= !answer;
        self.remote = Some(generation);
        let waited: Vec<Candidate> = self
            .remote_candidates
            .iter()
            .filter(|(of, _)| *of == generation)
            .map(|(_, c)| c.clone())
            .collect();
        for candidate in waited {
            env.out.push_back(Output::AddCandidate { link, candidate });
        }
        self.take_candidates(generation, description.candidates, env);
    }

    fn take_candidates(
        &mut self,
        generation: u32,
        candidates: List<Candidate, { limits::CANDIDATES }>,
        env: &mut Env,
    ) {
        for candidate in candidates {
            let known = self.remote_candidates.iter().any(|(of, c)| *of == generation && *c == candidate);
            if known || generation < self.generation || self.remote_candidates.len() >= REMOTE_CANDIDATES {
                continue;
            }
            self.remote_candidates.push((generation, candidate.clone()));
            if self.remote == Some(generation) {
                env.out.push_back(Output::AddCandidate { link: self.link, candidate });
            }
        }
    }

    /// Sends the description if it has not been sent, else the candidates that came since.
    fn flush(&mut self, now: Time, peer: PeerId, env: &Env) -> Option<Step> {
        self.local.as_ref()?;
        if !self.local_sent {
            self.local_sent = true;
            self.candidates_sent = self.candidates.len();
            if self.offerer {
                self.retry = Some(Retry::first(now, env));
            }
            return self.describe(peer, 0);
        }
        let more = List::first(self.candidates.iter().skip(self.candidates_sent).cloned());
        self.candidates_sent = self.candidates.len();
        (!more.is_empty()).then(|| self.step(peer, Signal::Candidates { candidates: more }, 0))
    }

    fn describe(&self, peer: PeerId, attempt: u32) -> Option<Step> {
        let sdp = self.local.clone()?;
        let candidates = List::first(self.candidates.iter().cloned());
        let signal = if self.offerer {
            Signal::Offer { sdp, candidates, urgent: self.urgent, entry: Vec::new(), links: None }
        } else {
            Signal::Answer { sdp, candidates }
        };
        Some(self.step(peer, signal, attempt))
    }

    fn step(&self, to: PeerId, signal: Signal, attempt: u32) -> Step {
        let (discovery, session, generation) = (self.discovery, self.id, self.generation);
        Step::Send { to, discovery, session, generation, signal, attempt }
    }

    fn give_up_at(&self, env: &Env) -> Option<Time> {
        match (self.open_since, self.troubled_since) {
            (None, _) => Some(self.since + env.config.signal_give_up),
            (Some(_), Some(since)) => Some(since + env.config.ice_give_up),
            (Some(_), None) => None,
        }
    }

    fn deadlines(&self, env: &Env) -> impl Iterator<Item = Time> {
        let retry = self.retry.map(|retry| retry.at);
        [self.flush_at, retry, self.restart_at, self.give_up_at(env)].into_iter().flatten()
    }
}

fn knock_step(
    to: PeerId,
    discovery: DiscoveryKey,
    session: Option<SessionId>,
    generation: u32,
    urgent: bool,
    attempt: u32,
) -> Step {
    let session = session.unwrap_or(SessionId([0; 16]));
    Step::Send {
        to,
        discovery,
        session,
        generation,
        signal: Signal::Knock { urgent, entry: Vec::new(), links: None },
        attempt,
    }
}

fn refuse_step(
    to: PeerId,
    discovery: DiscoveryKey,
    session: SessionId,
    generation: u32,
    reason: Refusal,
) -> Step {
    Step::Send { to, discovery, session, generation, signal: Signal::Refuse { reason }, attempt: 0 }
}

fn refusal_text(reason: Refusal) -> &'static str {
    match reason {
        Refusal::Full => "refused: all its places are taken",
        Refusal::Blocked => "refused",
        Refusal::NotInSwarm => "refused: it is not in this party any more",
        Refusal::BadDescription => "refused: it could not use our description",
        Refusal::UnknownSession => "the other side was restarted",
        Refusal::Other => "refused, for a reason that this version does not know",
    }
}

/// The value of the first `a=fingerprint` line (RFC 8122 section 5), in upper case.
fn fingerprint(sdp: &str) -> Option<String> {
    let value = sdp.lines().find_map(|line| line.trim().strip_prefix("a=fingerprint:"))?.trim();
    (value.len() >= 16 && value.len() <= 256).then(|| value.to_ascii_uppercase())
}

/// The value of the first `a=max-message-size` line (RFC 8841 section 6): 64 KiB without one, any size if it is 0.
fn largest_message(sdp: &str) -> usize {
    let value = sdp.lines().find_map(|line| line.trim().strip_prefix("a=max-message-size:"));
    match value.and_then(|value| value.trim().parse().ok()) {
        Some(0) => usize::MAX,
        Some(bytes) => bytes,
        None => 64 * 1024,
    }
}
