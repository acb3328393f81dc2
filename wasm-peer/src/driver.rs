//! Runs the core in a page.
//!
//! Inputs: events of sockets, links and the timer ([`Report`]), commands of the application. Outputs: calls of the
//! browser while the core is borrowed (none of them calls back before it returns), and events for the application,
//! which wait in a queue until the borrow has ended. Timers: the core's deadline and the end of retired links, in one
//! `setTimeout`. Invariants: only this file borrows the core; after every input or command, `poll` is run until it
//! gives nothing; events reach the application in order, one at a time, and never inside a command's call, so that
//! the caller knows the command's number before it hears of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{RtcConfiguration, RtcIceServer, RtcPeerConnection};
use weft_peer_core::{
    Command, CommandError, CommandId, Config, Event, HomeIndex, IceServer, Input, Keys, LinkId, Output, Peer,
    StoreDone,
};
use weft_wire::Time;

use crate::clock::Clock;
use crate::link::{Link, message_of};
use crate::sink::{Names, Sink};
use crate::socket::Socket;
use crate::timer::Timer;

/// A running core with its sockets and links.
pub(crate) struct Driver {
    state: RefCell<State>,
    /// For the application, oldest first. What one input produces; drained before the next.
    events: RefCell<VecDeque<Event>>,
    telling: Cell<bool>,
    scheduled: Cell<bool>,
    clock: Clock,
    timer: Timer,
    report: Report,
    sink: Sink,
    names: Names,
}

struct State {
    core: Peer,
    /// A handful each: a list is found through at once, and every map type adds 10 kB to the wasm.
    sockets: Vec<(HomeIndex, Socket)>,
    links: Vec<(LinkId, Link)>,
    /// Links that were closed and may still have something to send, with the time of patience's end.
    retired: Vec<(Time, Link)>,
    /// The last output of the core; told when the goodbyes are out.
    closed: Option<Event>,
    /// What the browser or the store told at once; inputs for when `poll` gives nothing.
    failures: VecDeque<Input<'static>>,
    /// Links that were sent on since `poll` last gave nothing.
    sent: Vec<LinkId>,
    /// As the application gave it, and with what signalers gave.
    given: RtcConfiguration,
    configuration: RtcConfiguration,
    /// Bytes in a channel at or under which it counts as drained.
    channel_low: u32,
}

/// How long a closed link may take to send what it has.
const RETIREMENT: Duration = Duration::from_secs(1);

/// Reports to the driver, for as long as there is one.
#[derive(Clone)]
pub(crate) struct Report(Weak<Driver>);

impl Report {
    /// Passes on what happened.
    pub(crate) fn send(&self, input: Input<'_>) {
        if let Some(driver) = self.0.upgrade() {
            driver.input(input);
        }
    }

    /// A retired link has fallen silent.
    pub(crate) fn retired(&self) {
        if let Some(driver) = self.0.upgrade() {
            driver.step(|_, _| ());
        }
    }
}

impl Driver {
    /// Starts a peer: it dials its signalers at once.
    pub(crate) fn start(
        config: Config,
        keys: Keys,
        seed: [u8; 32],
        configuration: RtcConfiguration,
        sink: Sink,
    ) -> Rc<Self> {
        let clock = Clock::new();
        let channel_low = u32::try_from(config.channel_low).unwrap_or(u32::MAX);
        let core = Peer::new(config, keys, seed, clock.now());
        let driver = Rc::new_cyclic(|me: &Weak<Self>| {
            let report = Report(me.clone());
            let on_timer = me.clone();
            Self {
                state: RefCell::new(State {
                    core,
                    sockets: Vec::new(),
                    links: Vec::new(),
                    retired: Vec::new(),
                    closed: None,
                    failures: VecDeque::new(),
                    sent: Vec::new(),
                    given: configuration.clone(),
                    configuration,
                    channel_low,
                }),
                events: RefCell::new(VecDeque::new()),
                telling: Cell::new(false),
                scheduled: Cell::new(false),
                clock,
                timer: Timer::new(move || {
                    if let Some(driver) = on_timer.upgrade() {
                        driver.on_timer();
                    }
                }),
                report,
                sink,
                names: Names::default(),
            }
        });
        driver.run(&mut driver.state.borrow_mut());
        driver.tell_soon();
        driver
    }

    /// Takes a command; its events come later.
    pub(crate) fn command(&self, command: Command) -> Result<CommandId, CommandError> {
        let mut state = self.state.borrow_mut();
        let result = state.core.command(self.clock.now(), command);
        self.run(&mut state);
        drop(state);
        self.tell_soon();
        result
    }

    /// The store has done something.
    pub(crate) fn on_store(&self, done: StoreDone) {
        self.input(Input::Store(done));
    }

    /// The network is there again, or the page is looked at again after a pause.
    pub(crate) fn woke(&self) {
        self.clock.woke();
        self.input(Input::Online);
    }

    /// Looks into the core.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Peer) -> T) -> T {
        at(&self.state.borrow().core)
    }

    /// The same with the time.
    pub(crate) fn look_now<T>(&self, at: impl FnOnce(&Peer, Time) -> T) -> T {
        at(&self.state.borrow().core, self.clock.now())
    }

    /// RTCPeerConnections at the moment.
    pub(crate) fn connections(&self) -> usize {
        let state = self.state.borrow();
        state.links.len() + state.retired.len()
    }

    fn input(&self, input: Input<'_>) {
        self.step(|core, now| core.handle(now, input));
    }

    fn on_timer(&self) {
        self.timer.fired();
        self.step(|core, now| {
            if core.deadline().is_some_and(|deadline| deadline <= now) {
                core.handle(now, Input::Timeout);
            }
        });
    }

    /// One input, all that follows from it, and then the application's turn.
    fn step(&self, input: impl FnOnce(&mut Peer, Time)) {
        let mut state = self.state.borrow_mut();
        input(&mut state.core, self.clock.now());
        self.run(&mut state);
        drop(state);
        self.tell();
    }

    /// Carries out outputs until there are none, and arms the timer.
    fn run(&self, state: &mut State) {
        loop {
            while let Some(output) = state.core.poll() {
                self.carry_out(state, output);
            }
            state.look_for_drained();
            let Some(input) = state.failures.pop_front() else { break };
            state.core.handle(self.clock.now(), input);
        }
        let now = self.clock.now();
        state.retired.retain(|(end, link)| *end > now && !link.is_silent());
        if state.retired.is_empty()
            && let Some(closed) = state.closed.take()
        {
            state.sockets.clear();
            self.events.borrow_mut().push_back(closed);
        }
        let ends = state.retired.iter().map(|(end, _)| *end);
        if let Some(due) = ends.chain(state.core.deadline()).min() {
            self.timer.arm(now, due);
        }
    }

    fn carry_out(&self, state: &mut State, output: Output) {
        match output {
            Output::DialSignaler { home, url } => {
                // A socket that was there before is closed first: two at once could answer for each other.
                drop(take(&mut state.sockets, home));
                match Socket::dial(home, &url, &self.report) {
                    Ok(socket) => state.sockets.push((home, socket)),
                    Err(error) => {
                        let reason = message_of(&error);
                        state.failures.push_back(Input::SignalerClosed { home, reason });
                    }
                }
            }
            Output::SignalerFrame { home, bytes } => {
                if let Some(socket) = find(&state.sockets, home) {
                    socket.send(&bytes);
                }
            }
            Output::HangUpSignaler { home } => {
                // Reported at once: a dead network would keep the browser's own report back for a minute.
                if take(&mut state.sockets, home).is_some() {
                    state.failures.push_back(Input::SignalerClosed { home, reason: "hung up".to_owned() });
                }
            }
            Output::OpenLink { link, offer } => {
                match Link::open(link, &state.configuration, state.channel_low, &self.report) {
                    Ok(opened) => {
                        if offer {
                            opened.offer(false);
                        }
                        state.links.push((link, opened));
                    }
                    Err(error) => {
                        state.failures.push_back(Input::LinkFailed { link, reason: message_of(&error) });
                    }
                }
            }
            Output::RestartIce { link } => state.with(link, |link| link.offer(true)),
            Output::AcceptOffer { link, sdp } => state.with(link, |link| link.accept_offer(&sdp)),
            Output::AcceptAnswer { link, sdp } => state.with(link, |link| link.accept_answer(&sdp)),
            Output::AddCandidate { link, candidate } => {
                state.with(link, |link| link.add_candidate(&candidate));
            }
            Output::ChannelMessage { link, bytes } => {
                match find(&state.links, link).map(|link| link.send(&bytes)) {
                    Some(true) if state.sent.contains(&link) => {}
                    Some(true) => state.sent.push(link),
                    // A channel that takes no message is of no more use.
                    Some(false) => state.failures.push_back(Input::ChannelClosed { link }),
                    None => {}
                }
            }
            Output::CloseLink { link } => {
                if let Some(link) = take(&mut state.links, link) {
                    link.retire();
                    state.retired.push((self.clock.now() + RETIREMENT, link));
                }
            }
            Output::UseIceServers { servers } => {
                // What the browser does not take would let no connection be made at all.
                if let Ok(configuration) = with_servers(&state.given, &servers) {
                    for (_, link) in &state.links {
                        link.configure(&configuration);
                    }
                    state.configuration = configuration;
                }
            }
            Output::Store(work) => {
                state.failures.extend(self.sink.give(work).map(Input::Store));
            }
            Output::Event(Event::Closed) => state.closed = Some(Event::Closed),
            Output::Event(event) => self.events.borrow_mut().push_back(event),
        }
    }

    /// Tells the application what waits, unless that is going on already further up the stack.
    fn tell(&self) {
        if self.telling.replace(true) {
            return;
        }
        loop {
            let next = self.events.borrow_mut().pop_front();
            let Some(event) = next else { break };
            self.sink.tell(&self.names, event);
        }
        self.telling.set(false);
    }

    /// Tells the application what waits as soon as its running code has ended.
    fn tell_soon(&self) {
        if self.events.borrow().is_empty() || self.scheduled.replace(true) {
            return;
        }
        let report = self.report.clone();
        spawn_local(async move {
            if let Some(driver) = report.0.upgrade() {
                driver.scheduled.set(false);
                driver.tell();
            }
        });
    }
}

impl State {
    fn with(&self, link: LinkId, act: impl FnOnce(&Link)) {
        if let Some(link) = find(&self.links, link) {
            act(link);
        }
    }

    /// Reports links that were sent on and have room again already; of the others the browser will say so.
    fn look_for_drained(&mut self) {
        for link in std::mem::take(&mut self.sent) {
            if find(&self.links, link).is_some_and(|link| link.buffered() <= self.channel_low) {
                self.failures.push_back(Input::ChannelDrained { link });
            }
        }
    }
}

fn find<K: Copy + Eq, V>(list: &[(K, V)], key: K) -> Option<&V> {
    list.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
}

fn take<K: Copy + Eq, V>(list: &mut Vec<(K, V)>, key: K) -> Option<V> {
    let at = list.iter().position(|(other, _)| *other == key)?;
    Some(list.swap_remove(at).1)
}

/// A configuration with more servers, if the browser takes it.
fn with_servers(given: &RtcConfiguration, more: &[IceServer]) -> Result<RtcConfiguration, JsValue> {
    let configuration: RtcConfiguration = Object::assign(&Object::new(), given).unchecked_into();
    let mut servers = Array::new();
    if let Some(own) = given.get_ice_servers() {
        servers.extend(own.unchecked_into::<Array>().iter());
    }
    for IceServer { urls, username, credential } in more {
        let server = RtcIceServer::new();
        server.set_urls(&urls.iter().map(JsValue::from).collect::<Array>());
        server.set_username(username);
        server.set_credential(credential);
        servers.push(&server);
    }
    configuration.set_ice_servers(&servers);
    RtcPeerConnection::new_with_configuration(&configuration)?.close();
    Ok(configuration)
}

/// A configuration for connections: what was given, or an empty one.
pub(crate) fn configuration(given: &wasm_bindgen::JsValue) -> RtcConfiguration {
    if Reflect::own_keys(given).is_ok() {
        given.unchecked_ref::<RtcConfiguration>().clone()
    } else {
        RtcConfiguration::new()
    }
}
