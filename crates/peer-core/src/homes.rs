//! Connections to signalers: dialling, authentication, keepalive, announcing.
//!
//! Inputs: a WebSocket opened, closed or gave a frame; swarms to be in; `Online`.
//! Outputs: dial, hang up, frames; [`HomeEvent`]s for the other machines.
//! Timers: give up connecting, ping, take for lost, refresh entries, dial again, let a stand-in go, answers about mail.
//! Invariants: at most [`Config::homes`](crate::Config::homes) signalers are dialled or connected at once, and one more while
//! a configured one comes back for which another stands in; a signaler is told of exactly the wanted swarms, after it has
//! proved its key; no frame but `Authenticate` is sent before that. A signaler that was told of ([`crate::told`]) is dialled
//! where no configured one can be, is left again for one, and is the one whose card it was or is left at once.

use crate::sorted::Map;
use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::{challenge, statement};
use weft_wire::signaler::{FromSignaler, Recorded, ToSignaler};
use weft_wire::{
    Code, DiscoveryKey, Entry, IdentityId, Nonce, PeerId, SignalerId, Text, Time, decode, encode, limits,
};

use crate::api::{Event, HomeIndex, IceServer, Output, SignalerState};
use crate::env::Env;
use crate::storage::StoreDone;
use crate::told::{Candidate, Teller, Told};

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
    /// What became of something that was asked about mail. Once for each.
    Answered { re: u32, answer: Answer },
    /// Mail waits for us at the residence of this identity.
    MailWaits(IdentityId),
}

/// What became of something that was asked about mail ([`Homes::ask`]).
#[derive(Debug)]
pub(crate) enum Answer {
    Ack,
    /// So many prekeys for one use lie ready.
    Published(u32),
    Peers(Vec<Recorded>),
    Prove(SignalerId, Nonce),
    Mail(Vec<Vec<u8>>),
    Refused(Code),
    /// Nobody answered in time: also what a signaler does that knows nothing of mail.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Homes {
    /// Those that are configured, and behind them places for stand-ins.
    list: Vec<Home>,
    configured: usize,
    told: Told,
    /// Swarms to be in, and since when.
    wanted: Map<DiscoveryKey, Time>,
    next_re: u32,
    /// To whom the last envelopes went: a signaler that does not know a recipient names only the number.
    forwarded: VecDeque<(u32, PeerId)>,
    /// What was asked about mail: its number, of which home, and until when an answer is waited for.
    asked: Vec<(u32, usize, Time)>,
    closing: bool,
}

#[derive(Debug)]
struct Home {
    url: String,
    state: State,
    /// Who it has to be and the configured URL by which we know of it, if others told of it.
    stand_in: Option<(SignalerId, String)>,
    /// Who it last proved to be.
    proved: Option<SignalerId>,
    /// When it was last dialled, and came up.
    dialled: Time,
    since: Time,
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
    pub(crate) fn new(now: Time, env: &mut Env) -> Self {
        let home = |url: String| Home {
            url,
            state: State::Idle,
            stand_in: None,
            proved: None,
            dialled: now,
            since: now,
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
        let configured = env.config.signalers.len();
        let places = if env.config.discover { env.config.homes } else { 0 };
        let places = core::iter::repeat_n(String::new(), places);
        Self {
            list: env.config.signalers.iter().cloned().chain(places).map(home).collect(),
            configured,
            told: Told::new(env),
            wanted: Map::new(),
            next_re: 0,
            forwarded: VecDeque::new(),
            asked: Vec::new(),
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
        let up: Vec<_> = self.signalers().collect();
        self.told.write(now, true, &up, env);
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

    /// Asks something about mail of one of our homes; `attempt` counts from 0, and a later one takes another home if there is
    /// one. Its number, by which [`HomeEvent::Answered`] tells what became of it; none without a home.
    pub(crate) fn ask<'a>(
        &mut self,
        now: Time,
        attempt: u32,
        frame: impl FnOnce(u32) -> ToSignaler<'a>,
        env: &mut Env,
    ) -> Option<u32> {
        let up = self.up();
        let index = *up.get(attempt as usize % up.len().max(1))?;
        self.next_re = self.next_re.wrapping_add(1);
        self.asked.push((self.next_re, index, now + env.config.mail_answer));
        send(index, &frame(self.next_re), env);
        Some(self.next_re)
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
                if let Some(reason) = self.is_another(now, at, signaler, env) {
                    return self.hang_up(now, at, reason.into(), env);
                }
                let home = &mut self.list[at];
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
                home.proved = Some(signaler);
                home.since = now;
                home.failures = 0;
                if home.stand_in.is_none() {
                    self.told.on_ours(now, signaler);
                }
                home.code = None;
                home.ttl = env.config.entry_ttl.min(Duration::from_millis(ttl_ms));
                home.keepalive =
                    env.config.signaler_keepalive.min(Duration::from_millis(keepalive_ms.max(1000)));
                let url = home.url.clone();
                let state = SignalerState::Connected { signaler };
                env.event(Event::Signaler { home: index, url, told: home.stand_in.is_some(), state });
                let wanted: Vec<_> = self.wanted.keys().copied().collect();
                for discovery in wanted {
                    self.announce(now, at, discovery, env);
                }
                Some(HomeEvent::Up)
            }
            (_, FromSignaler::Error { code, re: Some(re), .. })
                if self.asked.iter().any(|(of, ..)| *of == re) =>
            {
                self.answered(at, re, Answer::Refused(code))
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
            (State::Up { signaler }, FromSignaler::Signalers { cards }) => {
                if env.config.discover {
                    let through = home.stand_in.as_ref().map(|(_, through)| through.clone());
                    let teller = Teller {
                        id: signaler,
                        configured: through.is_none(),
                        through: through.unwrap_or_else(|| home.url.clone()),
                        at: now,
                        heard: true,
                    };
                    let url = home.url.clone();
                    let ours: Vec<_> =
                        self.list[..self.configured].iter().filter_map(|home| home.proved).collect();
                    let up: Vec<_> = self.signalers().collect();
                    let cards = cards.into_iter().map(|card| card.0);
                    self.told.on_list(teller, &url, cards, (&ours, &up), env);
                }
                None
            }
            (State::Up { .. }, FromSignaler::Ack { re }) => self.answered(at, re, Answer::Ack),
            (State::Up { .. }, FromSignaler::Published { re, left }) => {
                self.answered(at, re, Answer::Published(left))
            }
            (State::Up { .. }, FromSignaler::Peers { re, peers }) => {
                self.answered(at, re, Answer::Peers(peers.into_iter().collect()))
            }
            (State::Up { .. }, FromSignaler::Prove { re, signaler, nonce }) => {
                self.answered(at, re, Answer::Prove(signaler, nonce))
            }
            (State::Up { .. }, FromSignaler::Mail { re, items, .. }) => {
                let envelopes = items.into_iter().map(|item| item.envelope.0).collect();
                self.answered(at, re, Answer::Mail(envelopes))
            }
            (State::Up { .. }, frame) => up_event(index, frame),
            _ => self.hang_up(now, at, "the signaler spoke out of turn".into(), env),
        }
    }

    /// Everything that looks broken is tried again at once.
    pub(crate) fn on_online(&mut self, now: Time, env: &mut Env) {
        self.told.on_online();
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

    /// What is stored of those that were told of.
    pub(crate) fn on_store(&mut self, now: Time, done: StoreDone, env: &mut Env) {
        self.told.on_store(now, done, env);
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<HomeEvent> {
        let mut events = Vec::new();
        for index in 0..self.list.len() {
            events.extend(self.check(now, index, env));
        }
        while let Some(at) = self.asked.iter().position(|(.., until)| *until <= now) {
            let (re, ..) = self.asked.remove(at);
            events.push(HomeEvent::Answered { re, answer: Answer::Nothing });
        }
        if let Some(stand_in) = self.surplus(env).filter(|(at, _)| *at <= now).map(|(_, index)| index) {
            self.say_leave(now, stand_in, env);
            events.extend(self.hang_up(now, stand_in, "a configured signaler is back".into(), env));
        }
        let up: Vec<_> = self.signalers().collect();
        self.told.write(now, false, &up, env);
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
        let surplus = self.surplus(env).map(|(at, _)| at);
        per_home
            .chain(self.asked.iter().map(|(.., until)| *until))
            .chain(self.next_dial(Time::ZERO, env).map(|(at, _)| at))
            .chain(surplus)
            .chain(self.told.deadline())
            .min()
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

    /// An answer counts if it was asked for, of this home.
    fn answered(&mut self, index: usize, re: u32, answer: Answer) -> Option<HomeEvent> {
        let at = self.asked.iter().position(|(of, home, _)| (*of, *home) == (re, index))?;
        self.asked.remove(at);
        Some(HomeEvent::Answered { re, answer })
    }

    fn up(&self) -> Vec<usize> {
        let up = |home: &Home| matches!(home.state, State::Up { .. });
        (0..self.list.len()).filter(|&index| up(&self.list[index])).collect()
    }

    fn busy(&self) -> usize {
        self.list.iter().filter(|home| home.state != State::Idle).count()
    }

    /// The configured home to dial next: the one that failed least, first in order of preference.
    fn next_idle(&self) -> Option<usize> {
        let idle = (0..self.configured).filter(|&index| self.list[index].state == State::Idle);
        idle.min_by_key(|&index| (self.list[index].not_before, self.list[index].failures, index))
    }

    /// When something is to be dialled, not before this, and what.
    fn next_dial(&self, from: Time, env: &Env) -> Option<(Time, Next)> {
        if self.closing || self.busy() > env.config.homes {
            return None;
        }
        let ours = self.next_idle();
        if self.busy() == env.config.homes {
            let has_stand_in = self.list[self.configured..].iter().any(|home| home.state != State::Idle);
            let home = ours.filter(|_| has_stand_in).map(|index| (index, &self.list[index]));
            return home.map(|(index, home)| {
                (home.not_before.max(home.dialled + env.config.return_every), Next::Configured(index))
            });
        }
        let ours = ours.map(|index| (self.list[index].not_before, Next::Configured(index)));
        let place = (self.configured..self.list.len()).find(|&index| self.list[index].state == State::Idle);
        let other = place.and_then(|place| {
            let candidate = self.told.next(&self.met())?;
            Some((candidate.at.max(self.list[place].not_before), Next::StandIn(place, candidate)))
        });
        // Of two that may be dialled, the configured one.
        [ours, other].into_iter().flatten().min_by_key(|(at, _)| from.max(*at))
    }

    /// Who need not be dialled as one that was told of: our homes, and all that are configured.
    fn met(&self) -> Vec<SignalerId> {
        let (ours, places) = self.list.split_at(self.configured);
        let busy = places.iter().filter(|home| home.state != State::Idle);
        let stand_ins = busy.filter_map(|home| home.stand_in.as_ref()).map(|(id, _)| *id);
        ours.iter().filter_map(|home| home.proved).chain(stand_ins).collect()
    }

    fn dial(&mut self, now: Time, env: &mut Env) {
        while let Some((_, next)) = self.next_dial(now, env).filter(|(at, _)| *at <= now) {
            let index = match next {
                Next::Configured(index) => index,
                Next::StandIn(index, candidate) => {
                    let home = &mut self.list[index];
                    home.url = candidate.url;
                    home.stand_in = Some((candidate.id, candidate.through));
                    home.proved = None;
                    index
                }
            };
            let home = &mut self.list[index];
            home.state = State::Dialing { since: now };
            home.dialled = now;
            home.code = None;
            let url = home.url.clone();
            env.event(Event::Signaler {
                home: to_index(index),
                url: url.clone(),
                told: home.stand_in.is_some(),
                state: SignalerState::Connecting,
            });
            env.out.push_back(Output::DialSignaler { home: to_index(index), url });
        }
    }

    /// Whether a signaler that was dialled is not to be spoken to, and why. Nobody is a home twice: of two, one that was
    /// told of goes.
    fn is_another(
        &mut self,
        now: Time,
        at: usize,
        signaler: SignalerId,
        env: &mut Env,
    ) -> Option<&'static str> {
        let is_it = |home: &Home| match home.state {
            State::Up { signaler: other } | State::Authenticating { signaler: other, .. } => {
                other == signaler
            }
            _ => false,
        };
        let twin = (0..self.list.len()).find(|&index| index != at && is_it(&self.list[index]));
        match &self.list[at].stand_in {
            Some((id, _)) if *id != signaler => {
                Some("it is not the signaler whose address this was said to be")
            }
            Some(_) if twin.is_some() => Some("it is a home already"),
            Some(_) => None,
            None => {
                if let Some(twin) = twin.filter(|&twin| self.list[twin].stand_in.is_some()) {
                    self.say_leave(now, twin, env);
                    env.out.push_back(Output::HangUpSignaler { home: to_index(twin) });
                }
                None
            }
        }
    }

    /// A stand-in that is not needed any more, and from when on: what came back must be known to stay.
    fn surplus(&self, env: &Env) -> Option<(Time, usize)> {
        if self.up().len() <= env.config.homes {
            return None;
        }
        let up = |home: &&Home| matches!(home.state, State::Up { .. });
        let (ours, places) = self.list.split_at(self.configured);
        let back = ours.iter().filter(up).map(|home| home.since).max()?;
        let stand_in = places.iter().rposition(|home| up(&home))?;
        Some((back + env.config.link_stable, self.configured + stand_in))
    }

    /// Takes back what was announced at a signaler.
    fn say_leave(&mut self, now: Time, index: usize, env: &mut Env) {
        let State::Up { signaler } = self.list[index].state else { return };
        for discovery in core::mem::take(&mut self.list[index].announced).into_keys() {
            let since = self.wanted.get(&discovery).copied().unwrap_or(now);
            let entry = sign_entry(now, discovery, signaler, since, now, true, env);
            send(index, &ToSignaler::Leave { entry: &entry }, env);
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
        if let State::Up { signaler } = home.state {
            self.told.on_teller_gone(now, signaler);
        }
        home.state = State::Idle;
        home.announced.clear();
        home.pinged = false;
        for (.., until) in self.asked.iter_mut().filter(|(_, of, _)| *of == index) {
            *until = now;
        }
        let wait = env.backoff(home.failures, env.config.reconnect_most);
        if let Some((id, _)) = &home.stand_in {
            let stable = was_up && now.since(home.since) >= env.config.link_stable;
            self.told.on_lost(now, *id, (stable, home.not_before), env);
            // The next one here may be another.
            home.not_before = now + wait;
        } else {
            home.failures += 1;
            home.not_before = home.not_before.max(now + wait);
        }
        let state = SignalerState::Lost { reason, code: home.code };
        let (url, told) = (home.url.clone(), home.stand_in.is_some());
        env.event(Event::Signaler { home: to_index(index), url, told, state });
        was_up.then_some(HomeEvent::Lost(to_index(index)))
    }
}

/// What to dial.
enum Next {
    Configured(usize),
    StandIn(usize, Candidate),
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
        FromSignaler::MailWaits { identity } => Some(HomeEvent::MailWaits(identity)),
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
