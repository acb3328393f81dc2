//! Connections to signalers: dialling, authentication, keepalive, announcing.
//!
//! Inputs: a WebSocket opened, closed or gave a frame; swarms to be in; `Online`.
//! Outputs: dial, hang up, frames; [`HomeEvent`]s for the other machines.
//! Timers: give up connecting, ping, take for lost, refresh entries, dial again.
//! Invariants: at most [`Config::homes`](crate::Config::homes) signalers are dialled or connected at once; a signaler
//! is told of exactly the wanted swarms, after it has proved its key; no frame but `Authenticate` is sent before that.

use crate::sorted::Map;
use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::{challenge, statement};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Code, DiscoveryKey, Entry, Nonce, PeerId, SignalerId, Text, Time, decode, encode, limits};

use crate::api::{Event, HomeIndex, IceServer, Output, SignalerState};
use crate::env::Env;

/// What else a signaler says would be a server, no browser takes.
const ICE_SCHEMES: [&str; 4] = ["turn:", "turns:", "stun:", "stuns:"];
/// Envelopes whose failure can still be told apart.
const FORWARDED: usize = 256;

/// What signalers say, as far as it concerns other machines.
#[derive(Debug)]
pub(crate) enum HomeEvent {
    /// A signaler is connected and authenticated.
    Up,
    /// A signaler that was up is lost.
    Lost(HomeIndex),
    /// Who is in a swarm.
    Members { home: HomeIndex, discovery: DiscoveryKey, entries: Vec<Vec<u8>>, total: u32 },
    /// A signed entry of a member that came.
    Joined { home: HomeIndex, entry: Vec<u8> },
    /// A member went.
    Left { home: HomeIndex, discovery: DiscoveryKey, peer: PeerId },
    /// An envelope for us.
    Envelope { envelope: Vec<u8> },
    /// No signaler knows where this peer is.
    Unknown { peer: PeerId },
    /// Something for this peer was not passed on, this time.
    Busy { peer: PeerId },
    /// A payload for all members of a swarm.
    Fanned { discovery: DiscoveryKey, payload: Vec<u8> },
}

#[derive(Debug)]
pub(crate) struct Homes {
    list: Vec<Home>,
    /// Swarms to be in, and since when.
    wanted: Map<DiscoveryKey, Time>,
    next_re: u32,
    /// To whom the last envelopes went: a signaler that does not know a recipient names only the number.
    forwarded: VecDeque<(u32, PeerId)>,
    closing: bool,
}

#[derive(Debug)]
struct Home {
    url: String,
    state: State,
    /// Failures in a row.
    failures: u32,
    /// Not dialled before this.
    not_before: Time,
    heard: Time,
    pinged: bool,
    code: Option<Code>,
    keepalive: Duration,
    ttl: Duration,
    /// TURN servers that it gave, and until when they let us in.
    server: Option<(IceServer, Time)>,
    /// When each swarm's entry is to be signed anew, and the last one that was.
    announced: Map<DiscoveryKey, Announced>,
}

#[derive(Debug)]
struct Announced {
    refresh_at: Time,
    entry: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    /// Dialled, or open and waiting for the challenge.
    Dialing {
        since: Time,
    },
    /// We have answered the challenge.
    Authenticating {
        since: Time,
        signaler: SignalerId,
        theirs: Nonce,
        ours: Nonce,
    },
    Up {
        signaler: SignalerId,
    },
}

impl Homes {
    pub(crate) fn new(urls: &[String], now: Time, env: &Env) -> Self {
        let home = |url: &String| Home {
            url: url.clone(),
            state: State::Idle,
            failures: 0,
            not_before: now,
            heard: now,
            pinged: false,
            code: None,
            keepalive: env.config.signaler_keepalive,
            ttl: env.config.entry_ttl,
            server: None,
            announced: Map::new(),
        };
        Self {
            list: urls.iter().map(home).collect(),
            wanted: Map::new(),
            next_re: 0,
            forwarded: VecDeque::new(),
            closing: false,
        }
    }

    // ---- swarms ----

    pub(crate) fn join(&mut self, now: Time, discovery: DiscoveryKey, env: &mut Env) {
        if self.wanted.insert(discovery, now).is_none() {
            for index in self.up() {
                self.announce(now, index, discovery, env);
            }
        }
    }

    pub(crate) fn leave(&mut self, now: Time, discovery: DiscoveryKey, env: &mut Env) {
        let Some(since) = self.wanted.remove(&discovery) else { return };
        for index in self.up() {
            let home = &mut self.list[index];
            let State::Up { signaler } = home.state else { continue };
            if home.announced.remove(&discovery).is_some() {
                let entry = sign_entry(now, discovery, signaler, since, now, true, env);
                send(index, &ToSignaler::Leave { entry: &entry }, env);
            }
        }
    }

    /// Leaves every swarm and hangs up.
    pub(crate) fn close(&mut self, now: Time, env: &mut Env) {
        let wanted: Vec<_> = self.wanted.keys().copied().collect();
        for discovery in wanted {
            self.leave(now, discovery, env);
        }
        self.closing = true;
        for (index, home) in self.list.iter_mut().enumerate() {
            if home.state != State::Idle {
                home.state = State::Idle;
                env.out.push_back(Output::HangUpSignaler { home: to_index(index) });
            }
        }
    }

    // ---- questions ----

    /// Signalers that are up.
    pub(crate) fn signalers(&self) -> impl Iterator<Item = SignalerId> + '_ {
        self.list.iter().filter_map(|home| match home.state {
            State::Up { signaler } => Some(signaler),
            _ => None,
        })
    }

    pub(crate) fn any_up(&self) -> bool {
        self.signalers().next().is_some()
    }

    /// An entry of ours for this swarm (or, if there is none, for any), so that others can answer. Empty without a home.
    pub(crate) fn own_entry(&self, discovery: Option<&DiscoveryKey>) -> Vec<u8> {
        let up = || self.list.iter().filter(|home| matches!(home.state, State::Up { .. }));
        up().find_map(|home| home.announced.get(discovery?))
            .or_else(|| up().find_map(|home| home.announced.values().next()))
            .map(|announced| announced.entry.clone())
            .unwrap_or_default()
    }

    // ---- sending ----

    /// Passes an envelope to a peer that was seen at `theirs`. `attempt` counts from 0: a later attempt takes another
    /// way if there is one. False if there is no signaler to give it to.
    pub(crate) fn forward(
        &mut self,
        to: PeerId,
        theirs: &[SignalerId],
        envelope: &[u8],
        attempt: u32,
        env: &mut Env,
    ) -> bool {
        // First a home that we share with the recipient, then our others with each of the recipient's as a hint.
        let mut ways: Vec<(usize, Option<SignalerId>)> = Vec::new();
        for index in self.up() {
            let State::Up { signaler } = self.list[index].state else { continue };
            if theirs.contains(&signaler) {
                ways.insert(0, (index, Some(signaler)));
            } else if theirs.is_empty() {
                ways.push((index, None));
            } else {
                ways.extend(theirs.iter().map(|hint| (index, Some(*hint))));
            }
        }
        if ways.is_empty() {
            return false;
        }
        let (index, home) = ways[attempt as usize % ways.len()];
        self.next_re = self.next_re.wrapping_add(1);
        if self.forwarded.len() >= FORWARDED {
            self.forwarded.pop_front();
        }
        self.forwarded.push_back((self.next_re, to));
        send(index, &ToSignaler::Forward { re: self.next_re, to, home, envelope, ack: false }, env);
        true
    }

    /// Passes a sealed payload to all members of a swarm, through one signaler.
    pub(crate) fn fanout(&mut self, discovery: DiscoveryKey, payload: &[u8], env: &mut Env) {
        let Some(index) =
            self.up().into_iter().find(|&index| self.list[index].announced.contains_key(&discovery))
        else {
            return;
        };
        self.next_re = self.next_re.wrapping_add(1);
        send(index, &ToSignaler::Fanout { re: self.next_re, discovery, payload, ack: false }, env);
    }

    // ---- inputs ----

    pub(crate) fn on_opened(&mut self, now: Time, index: HomeIndex) {
        if let Some(home) = self.list.get_mut(index.0 as usize) {
            home.heard = now;
        }
    }

    pub(crate) fn on_closed(
        &mut self,
        now: Time,
        index: HomeIndex,
        reason: String,
        env: &mut Env,
    ) -> Option<HomeEvent> {
        let home = self.list.get_mut(index.0 as usize)?;
        if home.state == State::Idle {
            return None; // We hung up ourselves.
        }
        self.lost(now, index.0 as usize, reason, env)
    }

    pub(crate) fn on_frame(
        &mut self,
        now: Time,
        index: HomeIndex,
        bytes: &[u8],
        env: &mut Env,
    ) -> Option<HomeEvent> {
        let at = index.0 as usize;
        let home = self.list.get_mut(at)?;
        if home.state == State::Idle {
            return None;
        }
        home.heard = now;
        home.pinged = false;
        let frame = match decode::<FromSignaler<'_>>(bytes, limits::FRAME) {
            Ok(frame) => frame,
            Err(weft_wire::WireError::UnknownOptional(_)) => return None,
            Err(error) => {
                env.stats.malformed += 1;
                return self.hang_up(now, at, format!("the signaler sent a malformed frame ({error})"), env);
            }
        };
        match (home.state, frame) {
            (State::Dialing { since }, FromSignaler::Challenge { signaler, nonce }) => {
                let ours = Nonce(env.random());
                home.state = State::Authenticating { since, signaler, theirs: nonce, ours };
                let signature = challenge::answer_as_peer(&env.keys.peer, signaler, &nonce, &ours);
                let agent = Text::cut(&env.config.agent);
                send(at, &ToSignaler::Authenticate { peer: env.me, nonce: ours, signature, agent }, env);
                None
            }
            (
                State::Authenticating { signaler, theirs, ours, .. },
                FromSignaler::Welcome { signature, ttl_ms, keepalive_ms, .. },
            ) => {
                if challenge::check_signaler(signaler, env.me, &theirs, &ours, &signature).is_err() {
                    return self.hang_up(now, at, "the signaler did not prove its key".into(), env);
                }
                home.state = State::Up { signaler };
                home.failures = 0;
                home.code = None;
                home.ttl = env.config.entry_ttl.min(Duration::from_millis(ttl_ms));
                home.keepalive =
                    env.config.signaler_keepalive.min(Duration::from_millis(keepalive_ms.max(1000)));
                let url = home.url.clone();
                env.event(Event::Signaler { home: index, url, state: SignalerState::Connected { signaler } });
                let wanted: Vec<_> = self.wanted.keys().copied().collect();
                for discovery in wanted {
                    self.announce(now, at, discovery, env);
                }
                Some(HomeEvent::Up)
            }
            (_, FromSignaler::Error { code, text, re, .. }) => {
                home.code = Some(code);
                let sent = re.and_then(|re| self.forwarded.iter().find(|(sent, _)| *sent == re));
                let peer = sent.map(|(_, peer)| *peer);
                if let Some(peer) = peer.filter(|_| code == Code::UnknownPeer) {
                    return Some(HomeEvent::Unknown { peer });
                }
                if !matches!(code, Code::UnknownPeer | Code::RecipientBusy | Code::SiblingUnreachable) {
                    env.warn(code.name(), format!("{}: {}", home.url, &*text));
                }
                peer.map(|peer| HomeEvent::Busy { peer })
            }
            (_, FromSignaler::Goodbye { code, retry_ms }) => {
                home.code = Some(code);
                home.not_before = now + Duration::from_millis(retry_ms.min(60_000));
                None
            }
            (State::Up { .. }, FromSignaler::IceServers { urls, username, credential, life_s }) => {
                let is_known = |url: &String| ICE_SCHEMES.iter().any(|scheme| url.starts_with(scheme));
                let urls = urls.into_iter().map(Text::into_string).filter(is_known).collect();
                let (username, credential) = (username.into_string(), credential.into_string());
                let until = now + Duration::from_secs(life_s.into());
                home.server = Some((IceServer { urls, username, credential }, until));
                let servers = self.list.iter().filter_map(|home| home.server.clone());
                let is_of_use = |(server, until): &(IceServer, Time)| *until > now && !server.urls.is_empty();
                let servers = servers.filter(is_of_use).map(|(server, _)| server).collect();
                env.out.push_back(Output::UseIceServers { servers });
                None
            }
            (State::Up { .. }, frame) => up_event(index, frame),
            _ => self.hang_up(now, at, "the signaler spoke out of turn".into(), env),
        }
    }

    /// Everything that looks broken is tried again at once.
    pub(crate) fn on_online(&mut self, now: Time, env: &mut Env) {
        for (index, home) in self.list.iter_mut().enumerate() {
            home.not_before = now;
            home.failures = 0;
            if matches!(home.state, State::Up { .. }) {
                // Silence now costs a second, not the whole keepalive: TCP, too, sends again when its timer says so, and that
                // has backed off. What was asked before is stuck with all else.
                ping(now, index, home, env);
                home.heard = now - env.config.signaler_dead.saturating_sub(env.config.suspect_after);
            }
        }
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<HomeEvent> {
        let mut events = Vec::new();
        for index in 0..self.list.len() {
            events.extend(self.check(now, index, env));
        }
        self.dial(now, env);
        events
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let per_home = self.list.iter().filter_map(|home| match home.state {
            State::Idle => None,
            State::Dialing { since } | State::Authenticating { since, .. } => {
                Some(since + env.config.signaler_timeout)
            }
            State::Up { .. } => {
                let silence = if home.pinged { env.config.signaler_dead } else { home.keepalive };
                let refresh = home.announced.values().map(|announced| announced.refresh_at).min();
                refresh.into_iter().chain([home.heard + silence]).min()
            }
        });
        per_home.chain(self.next_dial(env)).min()
    }

    fn check(&mut self, now: Time, index: usize, env: &mut Env) -> Option<HomeEvent> {
        let home = &mut self.list[index];
        match home.state {
            State::Idle => None,
            State::Dialing { since } | State::Authenticating { since, .. } => {
                let late = now.since(since) >= env.config.signaler_timeout;
                if late {
                    self.hang_up(now, index, "the signaler did not answer in time".into(), env)
                } else {
                    None
                }
            }
            State::Up { .. } => {
                let silent = now.since(home.heard);
                if silent >= env.config.signaler_dead {
                    return self.hang_up(now, index, "the signaler went silent".into(), env);
                }
                if silent >= home.keepalive && !home.pinged {
                    ping(now, index, home, env);
                }
                let due: Vec<_> =
                    home.announced.iter().filter(|(_, a)| a.refresh_at <= now).map(|(key, _)| *key).collect();
                for discovery in due {
                    self.announce(now, index, discovery, env);
                }
                None
            }
        }
    }

    // ---- helpers ----

    fn up(&self) -> Vec<usize> {
        let up = |home: &Home| matches!(home.state, State::Up { .. });
        (0..self.list.len()).filter(|&index| up(&self.list[index])).collect()
    }

    fn busy(&self) -> usize {
        self.list.iter().filter(|home| home.state != State::Idle).count()
    }

    /// The idle home to dial next: the one that failed least, first in order of preference.
    fn next_idle(&self) -> Option<usize> {
        let idle = (0..self.list.len()).filter(|&index| self.list[index].state == State::Idle);
        idle.min_by_key(|&index| (self.list[index].not_before, self.list[index].failures, index))
    }

    fn next_dial(&self, env: &Env) -> Option<Time> {
        if self.closing || self.busy() >= env.config.homes {
            return None;
        }
        self.next_idle().map(|index| self.list[index].not_before)
    }

    fn dial(&mut self, now: Time, env: &mut Env) {
        while self.next_dial(env).is_some_and(|at| at <= now) {
            let Some(index) = self.next_idle() else { return };
            let home = &mut self.list[index];
            home.state = State::Dialing { since: now };
            home.code = None;
            let url = home.url.clone();
            env.event(Event::Signaler {
                home: to_index(index),
                url: url.clone(),
                state: SignalerState::Connecting,
            });
            env.out.push_back(Output::DialSignaler { home: to_index(index), url });
        }
    }

    fn announce(&mut self, now: Time, index: usize, discovery: DiscoveryKey, env: &mut Env) {
        let Some(&since) = self.wanted.get(&discovery) else { return };
        let home = &mut self.list[index];
        let State::Up { signaler } = home.state else { return };
        let entry = sign_entry(now, discovery, signaler, since, now + home.ttl, false, env);
        send(index, &ToSignaler::Announce { entry: &entry }, env);
        // A third of the life, give or take a fifth of that, so that peers of one signaler spread out.
        let refresh = env.config.entry_refresh.min(home.ttl / 3);
        let jitter = refresh * 2 / 5;
        let part = u32::try_from(env.below(1001)).unwrap_or_default();
        let refresh_at = now + refresh * 4 / 5 + jitter * part / 1000;
        home.announced.insert(discovery, Announced { refresh_at, entry });
    }

    fn hang_up(&mut self, now: Time, index: usize, reason: String, env: &mut Env) -> Option<HomeEvent> {
        env.out.push_back(Output::HangUpSignaler { home: to_index(index) });
        self.lost(now, index, reason, env)
    }

    fn lost(&mut self, now: Time, index: usize, reason: String, env: &mut Env) -> Option<HomeEvent> {
        let home = &mut self.list[index];
        let was_up = matches!(home.state, State::Up { .. });
        home.state = State::Idle;
        home.announced.clear();
        home.pinged = false;
        // Doubling from the first wait, half of it at random.
        let wait = env.config.reconnect_first.saturating_mul(1 << home.failures.min(16));
        let wait = wait.min(env.config.reconnect_most);
        let part = u32::try_from(env.below(501)).unwrap_or_default();
        home.failures += 1;
        home.not_before = home.not_before.max(now + wait / 2 + wait * part / 1000);
        let state = SignalerState::Lost { reason, code: home.code };
        let url = home.url.clone();
        env.event(Event::Signaler { home: to_index(index), url, state });
        was_up.then_some(HomeEvent::Lost(to_index(index)))
    }
}

fn up_event(home: HomeIndex, frame: FromSignaler<'_>) -> Option<HomeEvent> {
    match frame {
        FromSignaler::Members { discovery, entries, total } => {
            let entries = entries.into_iter().map(|entry| entry.0).collect();
            Some(HomeEvent::Members { home, discovery, entries, total })
        }
        FromSignaler::Joined { entry } => Some(HomeEvent::Joined { home, entry: entry.to_vec() }),
        FromSignaler::Left { discovery, peer } => Some(HomeEvent::Left { home, discovery, peer }),
        FromSignaler::Deliver { envelope } => Some(HomeEvent::Envelope { envelope: envelope.to_vec() }),
        FromSignaler::Fanned { discovery, payload } => {
            Some(HomeEvent::Fanned { discovery, payload: payload.to_vec() })
        }
        // Retries are timed; what is not acknowledged is sent again by its machine.
        _ => None,
    }
}

fn sign_entry(
    now: Time,
    discovery: DiscoveryKey,
    home: SignalerId,
    since: Time,
    until: Time,
    left: bool,
    env: &mut Env,
) -> Vec<u8> {
    let entry = Entry {
        discovery,
        peer: env.me,
        home,
        agreement: env.keys.peer.agreement(),
        seq: env.next_stamp(now),
        since: since.millis(),
        until: until.millis(),
        left,
    };
    statement::sign_entry(&env.keys.peer, &entry)
}

fn ping(now: Time, index: usize, home: &mut Home, env: &mut Env) {
    home.pinged = true;
    let token = u32::try_from(now.millis() & 0xffff_ffff).unwrap_or_default();
    send(index, &ToSignaler::Ping { token }, env);
}

fn send(index: usize, frame: &ToSignaler<'_>, env: &mut Env) {
    env.out.push_back(Output::SignalerFrame { home: to_index(index), bytes: encode(frame) });
}

fn to_index(index: usize) -> HomeIndex {
    HomeIndex(u32::try_from(index).unwrap_or(u32::MAX))
}
