//! The loop: the one task that owns the core, the links and what waits for answers.
//!
//! 1. Carry out the core's outputs until it has no more.
//! 2. Give it the next thing that happened, one at a time, and go to 1.
//! 3. When nothing is left, pump the links; if that made something happen, go to 2.
//! 4. Wait for a datagram, a report of a signaler, a request of the application, or the earliest timer.
//!
//! Nothing here ever waits for another task: queues to the outside that are full have their policy where they are
//! defined ([`crate::queue`], [`crate::signaler`]), and what comes in waits in its sender.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;
use weft_crypto::Members;
use weft_peer_core::{
    Command, CommandError, CommandId, Event, HomeIndex, Input, Keys, LinkId, Output, OwnPeer, Peer, StoreDone,
};
use weft_query::Document;
use weft_wire::sealed::Candidate;
use weft_wire::{Digest, DiscoveryKey, Text, Time};

use crate::clock::Clock;
use crate::error::Error;
use crate::keystore::Slot;
use crate::link::{Link, LinkError, LinkEvent};
use crate::links::{Given, Links};
use crate::options::Options;
use crate::queue;
use crate::request::Request;
use crate::sending::{Progress, Sent, Underway, Until};
use crate::servers::{StunServer, resolve};
use crate::signaler::{Happened, Report, Signalers};
use crate::store::Store;
use crate::weft::{Live, Message, Published, queue_full};

/// Reports of signalers that may wait; their tasks wait for a place.
const REPORTS: usize = 64;
/// Publications that may wait for room in the core, after which their callers get an error. Each is at most 1 MiB.
const WAITING: usize = 256;
/// How long the core may take to say goodbye, and links and signalers to send it, in all.
const FAREWELL: Duration = Duration::from_millis(1800);
/// How long the store may then take for what it was given.
const STORE_FAREWELL: Duration = Duration::from_secs(2);
/// Longest wait without looking at the clock, in case it was suspended.
const NAP: Duration = Duration::from_secs(60);

/// The owner of everything.
#[derive(Debug)]
pub(crate) struct Driver {
    peer: Peer,
    clock: Clock,
    links: Links,
    signalers: Signalers,
    reports: mpsc::Receiver<Report>,
    requests: mpsc::Receiver<Request>,
    events: broadcast::Sender<Event>,
    /// What happened and was not yet told the core.
    happened: VecDeque<Told>,
    /// Publications, and their bytes, that are kept of a party: a backlog may have as many.
    kept: (usize, usize),
    subscriptions: BTreeMap<CommandId, queue::Sender<Live>>,
    listeners: Vec<queue::Sender<Message>>,
    publishing: BTreeMap<CommandId, oneshot::Sender<Result<Published, Error>>>,
    sending: BTreeMap<CommandId, (Until, Underway<Sent>)>,
    asking: BTreeMap<CommandId, Underway<Document>>,
    /// Who answers requests.
    answerer: Option<queue::Sender<Message>>,
    waiting: VecDeque<Waiting>,
    store: Option<Store>,
    stored: Option<mpsc::Receiver<StoreDone>>,
    /// Who waits for a store to be emptied, or for what was kept to be durable.
    forgetting: BTreeMap<CommandId, oneshot::Sender<Result<(), Error>>>,
    storing: Vec<oneshot::Sender<()>>,
    /// Who waits to know who the peers of our identity are, or for one to be revoked.
    listing: BTreeMap<CommandId, oneshot::Sender<Result<Vec<OwnPeer>, Error>>>,
    revoking: BTreeMap<CommandId, oneshot::Sender<Result<(), Error>>>,
    /// Our identity has revoked this peer.
    revoked: Arc<AtomicBool>,
    /// Who waits to know what of ours is kept.
    recalling: Vec<(DiscoveryKey, oneshot::Sender<BTreeSet<Digest>>)>,
    /// Who waits to know who is a member.
    counting: Vec<(DiscoveryKey, oneshot::Sender<Members>)>,
    /// Who waits for a neighbour to tell what it knows.
    meeting: Vec<(DiscoveryKey, oneshot::Sender<()>)>,
    flushing: Vec<Flush>,
    /// The core has no room for another publication until it says so.
    full: bool,
    state: State,
    /// STUN servers that are configured, and where they and others are, as soon as that is known.
    stun: Vec<StunServer>,
    resolving: JoinSet<Vec<SocketAddr>>,
}

/// An input of the core that owns its bytes.
#[derive(Debug)]
enum Told {
    SignalerFrame(HomeIndex, Vec<u8>),
    ChannelMessage(LinkId, Vec<u8>),
    Other(Input<'static>),
}

/// A publication that waits for room in the core.
#[derive(Debug)]
struct Waiting {
    discovery: DiscoveryKey,
    document: Document,
    reply: oneshot::Sender<Result<Published, Error>>,
}

/// Somebody waits for what was published before to be acknowledged.
#[derive(Debug)]
struct Flush {
    reply: oneshot::Sender<()>,
    /// What the channels had been given once nothing waited any more.
    given: Option<Given>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// The core has been asked to close; it gets no longer than this.
    Closing(Instant),
    /// The core is closed; links and signalers get no longer than this.
    Closed(Instant),
}

impl Driver {
    /// A driver of a new peer.
    pub(crate) fn new(
        mut options: Options,
        (keys, revoked): (Keys, Arc<AtomicBool>),
        seed: [u8; 32],
        store: Option<PathBuf>,
        requests: mpsc::Receiver<Request>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        let clock = Clock::start();
        let (into, reports) = mpsc::channel(REPORTS);
        options.config.store = store.is_some();
        let (store, stored) = store.map(Store::start).unzip();
        let stun = options.network.stun.clone();
        let links = Links::new(options.network, options.config.channel_low);
        let kept = (options.config.keep_publications, options.config.keep_bytes);
        Self {
            peer: Peer::new(options.config, keys, seed, clock.time(Instant::now())),
            clock,
            links,
            signalers: Signalers::new(into),
            reports,
            requests,
            events,
            happened: VecDeque::new(),
            kept,
            subscriptions: BTreeMap::new(),
            listeners: Vec::new(),
            publishing: BTreeMap::new(),
            sending: BTreeMap::new(),
            asking: BTreeMap::new(),
            answerer: None,
            waiting: VecDeque::new(),
            store,
            stored,
            forgetting: BTreeMap::new(),
            storing: Vec::new(),
            listing: BTreeMap::new(),
            revoking: BTreeMap::new(),
            revoked,
            recalling: Vec::new(),
            counting: Vec::new(),
            meeting: Vec::new(),
            flushing: Vec::new(),
            full: false,
            state: State::Running,
            stun,
            resolving: JoinSet::new(),
        }
    }

    /// Runs until the peer is closed or the last handle is gone. Lets go of the slot before anybody is told of the end: the next
    /// process may then be this peer.
    pub(crate) async fn run(mut self, slot: Option<Slot>) {
        self.find_servers([]);
        let until = loop {
            self.settle();
            let wake_at = match self.state {
                State::Running => self.wake_at(),
                State::Closing(until) if Instant::now() < until => self.wake_at().min(until),
                State::Closing(until) | State::Closed(until) => break until,
            };
            tokio::select! {
                () = poll_fn(|cx| self.links.poll_receive(cx)) => {}
                Some(done) = answer(&mut self.stored) => self.happened.push_back(Told::Other(Input::Store(done))),
                Some(Ok(servers)) = self.resolving.join_next() => self.links.use_servers(Instant::now(), servers),
                Some(report) = self.reports.recv() => self.on_report(report),
                request = self.requests.recv(), if self.state == State::Running => self.on_request(request),
                () = tokio::time::sleep_until(wake_at.into()) => {}
            }
        };
        self.farewell(until).await;
        if let Some(mut store) = self.store.take() {
            // What was handed over is little, and all that is left to do.
            self.stored = None;
            let finished = tokio::task::spawn_blocking(move || store.finish());
            // A disk that does not answer must not hold up the end for ever.
            let _ = tokio::time::timeout(STORE_FAREWELL, finished).await;
        }
        if let Some(slot) = slot.as_ref().filter(|_| self.revoked.load(Ordering::Acquire))
            && let Err(error) = slot.mark_revoked()
        {
            // Its own store says so, too, if there is one.
            tracing::warn!(%error, "that this peer was revoked could not be kept beside its key");
        }
        drop(slot);
    }

    /// Works until nothing is left to do now.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.peer.poll() {
                self.carry_out(output);
            }
            let now = Instant::now();
            if !self.full && self.publish_waiting() {
                continue;
            }
            if let Some(told) = self.happened.pop_front() {
                self.tell(told);
            } else if self.peer.deadline().is_some_and(|due| due <= self.clock.time(now)) {
                self.peer.handle(self.clock.time(now), Input::Timeout);
            } else {
                self.pump(now);
                if self.happened.is_empty() {
                    break;
                }
            }
        }
        self.tell_flushed();
        if self.waiting.is_empty() && self.peer.unstored() == 0 {
            for reply in self.storing.drain(..) {
                let _ = reply.send(());
            }
        }
        for (discovery, reply) in std::mem::take(&mut self.recalling) {
            match self.peer.published(&discovery) {
                Some(published) => {
                    let _ = reply.send(published.iter().copied().collect());
                }
                None => self.recalling.push((discovery, reply)),
            }
        }
        for (discovery, reply) in std::mem::take(&mut self.counting) {
            // What is stored says who is one.
            match self.peer.members(&discovery).filter(|_| self.peer.published(&discovery).is_some()) {
                Some(members) => _ = reply.send(members.clone()),
                None => self.counting.push((discovery, reply)),
            }
        }
        let met = |(discovery, reply): &mut (DiscoveryKey, oneshot::Sender<()>)| {
            self.peer.has_met(discovery) || reply.is_closed()
        };
        for (_, reply) in self.meeting.extract_if(.., met) {
            let _ = reply.send(());
        }
    }

    /// Answers those who wait for what was published before to be acknowledged.
    fn tell_flushed(&mut self) {
        let handed_over = self.waiting.is_empty() && self.peer.unsent() == 0;
        let links = &mut self.links;
        for mut flush in std::mem::take(&mut self.flushing) {
            if handed_over {
                flush.given.get_or_insert_with(|| links.given());
            }
            if flush.given.as_ref().is_some_and(|given| links.have_acknowledged(given)) {
                // Whoever has stopped waiting is not missed.
                _ = flush.reply.send(());
            } else {
                self.flushing.push(flush);
            }
        }
    }

    /// Looks up the STUN servers that are configured, and others.
    fn find_servers<'a>(&mut self, others: impl IntoIterator<Item = &'a String>) {
        let others = others.into_iter().filter_map(|url| url.parse().ok());
        let servers = self.stun.iter().cloned().chain(others).collect();
        self.resolving.abort_all();
        self.resolving.spawn(resolve(servers));
    }

    fn wake_at(&self) -> Instant {
        let core = self.peer.deadline().map(|due| self.clock.instant(due));
        let nap = Instant::now() + NAP;
        [core, self.links.wake_at()].into_iter().flatten().fold(nap, Instant::min)
    }

    fn pump(&mut self, now: Instant) {
        let happened = &mut self.happened;
        self.links.pump(now, |link, event| {
            happened.push_back(match event {
                LinkEvent::Candidate(line) => match Text::new(line) {
                    Some(candidate) => {
                        let candidate = Candidate { candidate, mid: None, index: None };
                        Told::Other(Input::LocalCandidate { link, candidate })
                    }
                    None => return,
                },
                LinkEvent::Ice(state) => Told::Other(Input::IceChanged { link, state }),
                LinkEvent::Opened => Told::Other(Input::ChannelOpened { link }),
                LinkEvent::Message(bytes) => Told::ChannelMessage(link, bytes),
                LinkEvent::Drained => Told::Other(Input::ChannelDrained { link }),
                LinkEvent::Closed => Told::Other(Input::ChannelClosed { link }),
            });
        });
    }

    fn tell(&mut self, told: Told) {
        let now = self.now();
        match told {
            Told::SignalerFrame(home, bytes) => {
                self.peer.handle(now, Input::SignalerFrame { home, bytes: &bytes });
            }
            Told::ChannelMessage(link, bytes) => {
                // The core may have closed the link since.
                if self.links.of(link).is_some() {
                    self.peer.handle(now, Input::ChannelMessage { link, bytes: &bytes });
                }
            }
            Told::Other(input) => self.peer.handle(now, input),
        }
    }

    fn now(&self) -> Time {
        self.clock.time(Instant::now())
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::DialSignaler { home, url } => self.signalers.dial(home, url),
            Output::SignalerFrame { home, bytes } => {
                if !self.signalers.send(home, bytes) {
                    let reason = "the signaler does not read fast enough".into();
                    self.happened.push_back(Told::Other(Input::SignalerClosed { home, reason }));
                }
            }
            Output::HangUpSignaler { home } => {
                if self.signalers.hang_up(home) {
                    let reason = "hung up".into();
                    self.happened.push_back(Told::Other(Input::SignalerClosed { home, reason }));
                }
            }
            Output::OpenLink { link, offer } => {
                let description = self.links.open(link, offer, Instant::now());
                self.described(link, description);
                if offer {
                    self.links.reflect(link, Instant::now());
                }
            }
            Output::RestartIce { link } => {
                self.describe(link, |open| open.restart().map(Some));
                self.links.reflect(link, Instant::now());
            }
            Output::AcceptOffer { link, sdp } => {
                self.describe(link, |open| open.accept_offer(&sdp).map(Some));
                self.links.reflect(link, Instant::now());
            }
            Output::AcceptAnswer { link, sdp } => {
                self.describe(link, |open| open.accept_answer(&sdp).map(|()| None));
            }
            Output::AddCandidate { link, candidate } => {
                if self.links.of(link).is_some_and(|open| !open.add_candidate(&candidate.candidate)) {
                    self.happened.push_back(Told::Other(Input::CandidateRefused { link }));
                }
            }
            Output::ChannelMessage { link, bytes } => {
                if let Some(open) = self.links.of(link) {
                    open.write(bytes);
                }
            }
            Output::CloseLink { link } => self.links.close(link, Instant::now()),
            // There is no client for TURN here; what they tell about addresses is enough if the other side has one.
            Output::UseIceServers { servers } => {
                self.find_servers(servers.iter().flat_map(|server| &server.urls));
            }
            Output::Store(work) => {
                let refused = self.store.as_ref().and_then(|store| store.give(work));
                self.happened.extend(refused.map(|done| Told::Other(Input::Store(done))));
            }
            Output::Event(event) => self.on_event(event),
        }
    }

    fn describe(&mut self, link: LinkId, make: impl FnOnce(&mut Link) -> Result<Option<String>, LinkError>) {
        if let Some(open) = self.links.of(link) {
            let description = make(open);
            self.described(link, description);
        }
    }

    /// Reports a description, which has all candidates in it, or that there will be none.
    fn described(&mut self, link: LinkId, description: Result<Option<String>, LinkError>) {
        let mut tell = |input| self.happened.push_back(Told::Other(input));
        match description {
            Ok(Some(sdp)) => {
                tell(Input::LocalDescription { link, sdp });
                let candidate =
                    weft_wire::sealed::Candidate { candidate: Text::default(), mid: None, index: None };
                tell(Input::LocalCandidate { link, candidate });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(link = link.0, %error, "a link failed");
                tell(Input::LinkFailed { link, reason: error.to_string() });
            }
        }
    }

    fn on_report(&mut self, report: Report) {
        let Some((home, happened)) = self.signalers.accept(report) else { return };
        self.happened.push_back(match happened {
            Happened::Opened => Told::Other(Input::SignalerOpened { home }),
            Happened::Frame(bytes) => Told::SignalerFrame(home, bytes),
            Happened::Closed(reason) => Told::Other(Input::SignalerClosed { home, reason }),
        });
    }

    /// Answers that nobody waits for any more are dropped, here and below.
    fn on_request(&mut self, request: Option<Request>) {
        match request {
            Some(Request::Command { command, reply }) => {
                let _ = reply.send(self.command(command).map(|_| ()));
            }
            Some(Request::Subscribe { discovery, filter, backlog, reply }) => {
                let answer = self.command(Command::Subscribe { discovery, filter, backlog }).map(|id| {
                    let (into, from) = queue::of_backlog(self.kept.0, self.kept.1);
                    self.subscriptions.insert(id, into);
                    (id, from)
                });
                let _ = reply.send(answer);
            }
            Some(Request::Publish { discovery, document, reply }) => {
                if self.waiting.len() == WAITING {
                    let _ = reply.send(Err(queue_full(WAITING)));
                } else {
                    self.waiting.push_back(Waiting { discovery, document, reply });
                }
            }
            Some(Request::Send { to, document, until, life, underway }) => {
                self.cancel_forgotten();
                let command = match life {
                    Some(life) => Command::SendFor { to, document, life },
                    None => Command::Send { to, document },
                };
                match self.command(command) {
                    Ok(id) => _ = self.sending.insert(id, (until, underway)),
                    Err(error) => _ = underway.reply.send(Err(error.into())),
                }
            }
            Some(Request::Ask { to, peer, document, timeout, underway }) => {
                self.cancel_forgotten();
                match self.command(Command::Request { to, peer, document, timeout }) {
                    Ok(id) => _ = self.asking.insert(id, underway),
                    Err(error) => _ = underway.reply.send(Err(error.into())),
                }
            }
            Some(Request::Forgotten) => self.cancel_forgotten(),
            Some(Request::Answer { reply }) => {
                let (into, from) = queue::queue();
                self.answerer = Some(into);
                // A peer that is closed gets no requests.
                let _ = self.command(Command::AnswerRequests { on: true });
                let _ = reply.send(from);
            }
            Some(Request::Listen { reply }) => {
                let (into, from) = queue::queue();
                self.listeners.push(into);
                let _ = reply.send(from);
            }
            Some(Request::Peers { discovery, reply }) => {
                let _ = reply.send(self.peer.peers(&discovery));
            }
            Some(Request::OwnPeers { reply }) => match self.command(Command::ListPeers) {
                Ok(id) => _ = self.listing.insert(id, reply),
                Err(error) => _ = reply.send(Err(error.into())),
            },
            Some(Request::Revoke { peer, reply }) => match self.command(Command::Revoke { peer }) {
                Ok(id) => _ = self.revoking.insert(id, reply),
                Err(error) => _ = reply.send(Err(error.into())),
            },
            Some(Request::Diagnose { reply }) => {
                let _ = reply.send(self.peer.diagnose(self.clock.time(Instant::now())));
            }
            Some(Request::Stats { reply }) => {
                let _ = reply.send(self.peer.stats());
            }
            Some(Request::Forget { discovery, reply }) => match self.command(Command::Forget { discovery }) {
                Ok(id) => _ = self.forgetting.insert(id, reply),
                Err(error) => _ = reply.send(Err(error.into())),
            },
            Some(Request::Stored { reply }) => self.storing.push(reply),
            Some(Request::Published { discovery, reply }) => self.recalling.push((discovery, reply)),
            Some(Request::Members { discovery, reply }) => self.counting.push((discovery, reply)),
            Some(Request::Met { discovery, reply }) => self.meeting.push((discovery, reply)),
            Some(Request::Flush { reply }) => self.flushing.push(Flush { reply, given: None }),
            Some(Request::Close) | None => {
                let until = Instant::now() + FAREWELL;
                let closing = self.command(Command::Close).is_ok();
                self.state = if closing { State::Closing(until) } else { State::Closed(until) };
            }
        }
    }

    /// Messages and requests whose callers have stopped waiting are given up.
    fn cancel_forgotten(&mut self) {
        let asking = self.asking.iter().filter(|(_, one)| one.reply.is_closed()).map(|(id, _)| *id);
        let sending = self.sending.iter().filter(|(_, (_, one))| one.reply.is_closed()).map(|(id, _)| *id);
        for command in asking.chain(sending).collect::<Vec<_>>() {
            self.asking.remove(&command);
            self.sending.remove(&command);
            let _ = self.command(Command::Cancel { command });
        }
    }

    fn command(&mut self, command: Command) -> Result<CommandId, CommandError> {
        let now = self.now();
        self.peer.command(now, command)
    }

    /// Gives the core the next publication that waits. Says whether there was one that it took.
    fn publish_waiting(&mut self) -> bool {
        let Some(Waiting { discovery, document, reply }) = self.waiting.pop_front() else { return false };
        match self.command(Command::Publish { discovery, document: document.clone() }) {
            Ok(id) => {
                self.publishing.insert(id, reply);
            }
            Err(CommandError::QueueFull(_)) => {
                self.waiting.push_front(Waiting { discovery, document, reply });
                self.full = true;
                return false;
            }
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
        true
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Data { subscription, publication, backlog } => {
                let size = publication.document.encode().len();
                self.deliver(subscription, Live::Data { publication, backlog }, size);
            }
            Event::Live { subscription } => self.deliver(subscription, Live::Live, 0),
            Event::Published { command, id, seq } => {
                if let Some(reply) = self.publishing.remove(&command) {
                    let _ = reply.send(Ok(Published { id, seq }));
                }
            }
            Event::Forgotten { command, outcome } => {
                if let Some(reply) = self.forgetting.remove(&command) {
                    let _ = reply.send(outcome.map_err(Error::Store));
                }
            }
            Event::OwnPeers { command, outcome } => {
                if let Some(reply) = self.listing.remove(&command) {
                    let _ = reply.send(outcome.map_err(Error::from));
                }
            }
            Event::PeerRevoked { command, peer: _, outcome } => {
                if let Some(reply) = self.revoking.remove(&command) {
                    let _ = reply.send(outcome.map_err(Error::from));
                }
            }
            Event::Revoked { issued } => {
                self.revoked.store(true, Ordering::Release);
                // No reader is no error.
                let _ = self.events.send(Event::Revoked { issued });
            }
            Event::Drained => self.full = false,
            Event::Message { from, peer, id, time, document, hops: _ } => {
                let size = document.encode().len();
                let message = Message { from, peer, id, time, document };
                self.listeners.retain_mut(|listener| listener.push(message.clone(), size).is_ok());
            }
            Event::Progress { command, id: _, sent, total } => {
                let sending = self.sending.get(&command).map(|(_, one)| &one.progress);
                if let Some(progress) = sending.or_else(|| Some(&self.asking.get(&command)?.progress)) {
                    progress.send_replace(Progress { sent, total });
                }
            }
            Event::Stored { command, id } => {
                if self.sending.get(&command).is_some_and(|(until, _)| *until == Until::Stored)
                    && let Some((_, Underway { reply, .. })) = self.sending.remove(&command)
                {
                    let _ = reply.send(Ok(Sent { id, state: Until::Stored }));
                }
                let _ = self.events.send(Event::Stored { command, id });
            }
            Event::Sent { command, id, outcome } => {
                if let Some((_, Underway { reply, .. })) = self.sending.remove(&command) {
                    let sent = outcome.clone().map(|()| Sent { id, state: Until::Delivered });
                    let _ = reply.send(sent.map_err(Error::from));
                }
                let _ = self.events.send(Event::Sent { command, id, outcome });
            }
            Event::Request { from, peer, id, time, document } => {
                let size = document.encode().len();
                let request = Message { from, peer, id, time, document };
                let read =
                    self.answerer.as_mut().is_some_and(|answerer| answerer.push(request, size).is_ok());
                if !read {
                    self.answerer = None;
                    let _ = self.command(Command::AnswerRequests { on: false });
                    let outcome = Err("nobody answers requests there".to_owned());
                    // It may have been forgotten: there are only so many.
                    let _ = self.command(Command::Respond { request: id, outcome });
                }
            }
            Event::Answered { command, id: _, outcome } => {
                if let Some(Underway { reply, .. }) = self.asking.remove(&command) {
                    let _ = reply.send(outcome.map_err(Error::from));
                }
            }
            Event::Closed => {
                self.state = match self.state {
                    State::Closing(until) | State::Closed(until) => State::Closed(until),
                    State::Running => State::Closed(Instant::now() + FAREWELL),
                };
            }
            other => {
                tracing::debug!(event = ?other, "event");
                // No reader is no error.
                let _ = self.events.send(other);
            }
        }
    }

    fn deliver(&mut self, subscription: CommandId, item: Live, size: usize) {
        let Some(queue) = self.subscriptions.get_mut(&subscription) else { return };
        if queue.push(item, size).is_err() {
            self.subscriptions.remove(&subscription);
            // It may have ended with its party.
            let _ = self.command(Command::Unsubscribe { subscription });
        }
    }

    /// Sends what links and signalers still have, within a limit.
    async fn farewell(&mut self, until: Instant) {
        self.happened.clear();
        let now = Instant::now();
        self.links.close_all(now);
        let links = async {
            loop {
                self.links.pump(Instant::now(), |_, _| {});
                if self.links.is_empty() {
                    return;
                }
                let wake_at = self.links.wake_at().unwrap_or(now);
                tokio::select! {
                    () = poll_fn(|cx| self.links.poll_receive(cx)) => {}
                    () = tokio::time::sleep_until(wake_at.into()) => {}
                }
            }
        };
        let all = async { tokio::join!(links, self.signalers.finish()) };
        // What is not done by then is cut off.
        let _ = tokio::time::timeout_at(until.into(), all).await;
    }
}

/// The next answer of the store, if there is one.
async fn answer(from: &mut Option<mpsc::Receiver<StoreDone>>) -> Option<StoreDone> {
    from.as_mut()?.recv().await
}
