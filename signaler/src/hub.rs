//! The one task that owns the core: takes what connections report, in batches, and carries out what the core wants.
//!
//! A full channel to the hub stops the connections' reading, so that TCP slows down whoever sends too much. The hub
//! itself waits for nobody: queues to connections are bounded, see [`crate::outbox`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{broadcast, oneshot};
use weft_signaler_core::registry::{Record, Refusal, Shown, Status, Target, Totals};
use weft_signaler_core::{ConnId, Counters, DialId, Event, Gauges, Input, Linked, Origin, Output, Signaler};
use weft_wire::registry::{NetworkName, RegistrantId, ServiceType, Statement};
use weft_wire::{RegistryKey, SignalerId, Signature};

use crate::clock::Clock;
use crate::dial::Dialler;
use crate::outbox::{Bounds, Outbox, Pushed};
use crate::rest;
use crate::store::{Place, Store, Troubles};

/// What connections, pages and signals tell the hub.
#[derive(Debug)]
pub(crate) enum ToHub {
    Connected {
        conn: ConnId,
        origin: Origin,
        outbox: Arc<Outbox>,
    },
    Frame {
        conn: ConnId,
        bytes: Bytes,
    },
    Oversized {
        conn: ConnId,
    },
    NotBinary {
        conn: ConnId,
    },
    Heard {
        conn: ConnId,
    },
    Drained {
        conn: ConnId,
    },
    Closed {
        conn: ConnId,
    },
    /// The store has written what peers left, or could not.
    MailKept {
        number: u64,
        durable: bool,
    },
    DialFailed {
        dial: DialId,
    },
    Registry(Ask),
    Snapshot(oneshot::Sender<Snapshot>),
    Shutdown(oneshot::Sender<()>),
}

/// What the registry's pages, probes and self-registration want.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A client says something; the answer comes when it is durable.
    Submit { statement: Box<Statement>, signature: Signature, to: oneshot::Sender<Submitted> },
    /// One registrant.
    Show { id: RegistrantId, to: oneshot::Sender<Option<Box<Shown>>> },
    /// Some registrants, and whether there are more.
    Page {
        status: Option<Status>,
        after: Option<RegistrantId>,
        most: usize,
        to: oneshot::Sender<(Vec<Shown>, bool)>,
    },
    /// How the registry stands.
    About(oneshot::Sender<About>),
    /// Who is linked with whom.
    Linked(oneshot::Sender<Linked>),
    /// What to probe.
    Targets(oneshot::Sender<Vec<Target>>),
    /// A service was probed.
    Probed { id: RegistrantId, kind: ServiceType, port: u16, healthy: bool },
    /// Siblings may let us in now.
    Redial,
}

/// The outcome of a statement.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// It counts, and is stored.
    Taken(Option<Status>),
    Refused(Refusal),
    /// It counts, and is stored as soon as the disk takes it.
    Late,
    /// Nothing has changed: it could not be stored.
    NoRoom,
}

/// How the registry stands.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) network: NetworkName,
    /// Those that were named when this signaler was started, now or before.
    pub(crate) first_sovereigns: Vec<RegistryKey>,
    pub(crate) sovereigns: Vec<RegistryKey>,
    pub(crate) changed_at: u64,
    pub(crate) totals: Totals,
    pub(crate) now_ms: u64,
}

/// How the signaler stands.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) counters: Counters,
    pub(crate) gauges: Gauges,
    pub(crate) uptime: Duration,
    /// By our clock, milliseconds since the Unix epoch.
    pub(crate) at: u64,
    /// Frames dropped because a queue had reached its hard limit; the connection was given up.
    pub(crate) overflows: u64,
    /// What could not be stored; `late`: changes that count and are not durable yet.
    pub(crate) store: Troubles,
    /// Registrants by their standing.
    pub(crate) totals: Totals,
}

/// A way to the hub, for whoever opens connections.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle {
    pub(crate) to: Sender<ToHub>,
    next: Arc<AtomicU64>,
    changes: broadcast::Sender<Arc<str>>,
}

impl HubHandle {
    /// Announces a connection. None: the hub has stopped.
    pub(crate) async fn open(&self, origin: Origin) -> Option<(ConnId, Arc<Outbox>)> {
        let conn = ConnId(self.next.fetch_add(1, Ordering::Relaxed));
        let bounds = if origin == Origin::Peer { Bounds::PEER } else { Bounds::SIBLING };
        let outbox = Arc::new(Outbox::new(bounds));
        self.to.send(ToHub::Connected { conn, origin, outbox: outbox.clone() }).await.ok()?;
        Some((conn, outbox))
    }

    pub(crate) async fn snapshot(&self) -> Option<Snapshot> {
        let (to, from) = oneshot::channel();
        self.to.send(ToHub::Snapshot(to)).await.ok()?;
        from.await.ok()
    }

    /// Asks the registry. None: the hub has stopped.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (to, from) = oneshot::channel();
        self.to.send(ToHub::Registry(ask(to))).await.ok()?;
        from.await.ok()
    }

    /// Every change of the registry from now on, as its listeners get it.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Arc<str>> {
        self.changes.subscribe()
    }

    /// Tells peers and siblings; resolves when all connections are closed.
    pub(crate) async fn shutdown(&self) {
        let (to, from) = oneshot::channel();
        if self.to.send(ToHub::Shutdown(to)).await.is_ok() {
            let _ = from.await;
        }
    }
}

/// Reports that may wait for the hub before connections have to.
const QUEUE: usize = 4096;
/// Changes of the registry that a listener may be behind; one that is further behind is disconnected.
const CHANGES: usize = 256;
/// Reports handled before connections get to write.
const BATCH: usize = 256;
/// How long a connection may take to send what is queued once it is told to close.
const LINGER: Duration = Duration::from_secs(3);

pub(crate) struct Hub {
    core: Signaler,
    clock: Clock,
    from: Receiver<ToHub>,
    /// For the store, which answers.
    to: tokio::sync::mpsc::WeakSender<ToHub>,
    conns: HashMap<ConnId, Arc<Outbox>>,
    /// Told to close, and when they are given up.
    closing: VecDeque<(Instant, ConnId, Arc<Outbox>)>,
    lingering: usize,
    overflows: u64,
    dialler: Dialler,
    store: Store,
    /// To be stored before anybody is answered.
    records: Vec<Record>,
    changes: broadcast::Sender<Arc<str>>,
    stopped: Vec<oneshot::Sender<()>>,
}

impl Hub {
    pub(crate) fn new(
        core: Signaler,
        clock: Clock,
        store: Store,
        dialler: impl FnOnce(HubHandle) -> Dialler,
    ) -> (Self, HubHandle) {
        let (to, from) = channel(QUEUE);
        let (changes, _) = broadcast::channel(CHANGES);
        let weak = to.downgrade();
        let handle = HubHandle { to, next: Arc::default(), changes: changes.clone() };
        let hub = Self {
            core,
            clock,
            from,
            to: weak,
            conns: HashMap::new(),
            closing: VecDeque::new(),
            lingering: 0,
            overflows: 0,
            dialler: dialler(handle.clone()),
            store,
            records: Vec::new(),
            changes,
            stopped: Vec::new(),
        };
        (hub, handle)
    }

    /// Runs until it was told to stop and all connections are closed.
    pub(crate) async fn run(mut self) {
        // What it wants from the start on.
        self.carry_out(self.clock.now());
        let mut batch = Vec::with_capacity(BATCH);
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        let mut armed = Instant::now();
        loop {
            let deadline = self.deadline();
            if deadline != armed {
                armed = deadline;
                sleep.as_mut().reset(deadline.into());
            }
            tokio::select! {
                biased;
                count = self.from.recv_many(&mut batch, BATCH) => if count == 0 { return },
                () = &mut sleep => {}
            }
            let now = self.clock.now();
            for report in batch.drain(..) {
                self.on_report(now, report);
            }
            if self.core.deadline().is_some_and(|deadline| deadline <= now) {
                self.core.handle(now, Input::Tick);
                self.carry_out(now);
            }
            self.give_up();
            if !self.stopped.is_empty() && self.lingering == 0 {
                return;
            }
            // Connections write what they got before the next batch: more is gathered into each write.
            tokio::task::yield_now().await;
        }
    }

    fn deadline(&self) -> Instant {
        let core = self.core.deadline().map(|at| self.clock.instant(at));
        let closing = self.closing.front().map(|(at, ..)| *at);
        core.into_iter().chain(closing).min().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn on_report(&mut self, now: weft_wire::Time, report: ToHub) {
        match report {
            ToHub::Frame { conn, bytes } => self.core.handle(now, Input::Frame { conn, bytes: &bytes }),
            ToHub::Connected { conn, origin, outbox } => {
                self.conns.insert(conn, outbox);
                self.core.handle(now, Input::Connected { conn, origin });
            }
            ToHub::Oversized { conn } => self.core.handle(now, Input::Oversized { conn }),
            ToHub::NotBinary { conn } => self.core.handle(now, Input::NotBinary { conn }),
            ToHub::Heard { conn } => self.core.handle(now, Input::Heard { conn }),
            ToHub::Drained { conn } => self.core.handle(now, Input::Drained { conn }),
            ToHub::Closed { conn } => {
                if self.conns.remove(&conn).is_none() {
                    self.lingering = self.lingering.saturating_sub(1);
                    self.closing.retain(|(_, closing, _)| *closing != conn);
                }
                self.core.handle(now, Input::Closed { conn });
            }
            ToHub::MailKept { number, durable } => {
                self.core.handle(now, Input::MailKept { number, durable });
            }
            ToHub::DialFailed { dial } => self.core.handle(now, Input::DialFailed { dial }),
            ToHub::Registry(ask) => self.on_ask(now, ask),
            ToHub::Snapshot(to) => {
                let _ = to.send(Snapshot {
                    store: self.store.troubles(),
                    totals: self.core.registry().totals(now),
                    counters: self.core.counters().clone(),
                    gauges: self.core.gauges(),
                    uptime: self.clock.uptime(),
                    at: now.millis(),
                    overflows: self.overflows,
                });
            }
            ToHub::Shutdown(to) => {
                self.stopped.push(to);
                self.core.handle(now, Input::Shutdown);
            }
        }
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: weft_wire::Time) {
        self.perform(now);
        if !self.records.is_empty() {
            self.store.keep_if_room(std::mem::take(&mut self.records));
        }
    }

    /// As [`Self::carry_out`]; somebody waits for what has to be stored, at a place that is kept for it.
    fn carry_out_and(
        &mut self,
        now: weft_wire::Time,
        place: Place,
        done: impl FnOnce(bool) + Send + 'static,
    ) {
        self.perform(now);
        self.store.keep(place, std::mem::take(&mut self.records), done);
    }

    fn perform(&mut self, now: weft_wire::Time) {
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { conn, frame } => {
                    let Some(outbox) = self.conns.get(&conn) else { continue };
                    match outbox.push(frame) {
                        Pushed::Queued => {}
                        Pushed::Full => self.core.handle(now, Input::Full { conn }),
                        Pushed::Overflow => {
                            self.overflows += 1;
                            outbox.abandon();
                            self.linger(conn);
                            self.core.handle(now, Input::Closed { conn });
                        }
                    }
                }
                Output::Ping { conn } => {
                    if let Some(outbox) = self.conns.get(&conn) {
                        outbox.ping();
                    }
                }
                Output::Raise { conn } => {
                    if let Some(outbox) = self.conns.get(&conn) {
                        outbox.raise();
                    }
                }
                Output::Close { conn, code } => {
                    if let Some(outbox) = self.conns.get(&conn) {
                        outbox.close(code);
                        self.linger(conn);
                    }
                }
                Output::Dial { dial, url } => self.dialler.dial(dial, url),
                Output::PinSibling { url, id } => {
                    tracing::info!(%url, sibling = %short(id), "sibling pinned: this URL must prove this key from now on");
                    self.store.pin(url, id);
                }
                Output::Record(record) => self.records.push(record),
                Output::Registrant(shown) => {
                    let at = now.millis();
                    // Nobody may be listening.
                    let _ = self.changes.send(rest::change(&shown, at).to_string().into());
                    tracing::info!(id = %shown.id, status = %shown.status, "registry");
                }
                Output::KeepCard { id, card } => self.store.card(id, card),
                Output::KeepMail { number, changes } => {
                    let to = self.to.clone();
                    let queued = self.store.mail(changes, move |durable| {
                        if let Some(to) = to.upgrade() {
                            // The writer may wait for the hub, which never waits for the writer.
                            let _ = to.blocking_send(ToHub::MailKept { number, durable });
                        }
                    });
                    if !queued {
                        self.core.handle(now, Input::MailKept { number, durable: false });
                    }
                }
                Output::Event(event) => {
                    let at = now.millis();
                    if let Some((what, id)) = told(&event) {
                        let url = self.url_of(id);
                        let change = rest::link(what, id, url.as_deref(), at);
                        let _ = self.changes.send(change.to_string().into());
                    } else if event == Event::LinksChanged {
                        let _ = self.changes.send(rest::links_changed(at).to_string().into());
                    }
                    log(&event);
                }
            }
        }
    }

    /// Where a sibling or member can be reached, as far as is known.
    fn url_of(&self, id: SignalerId) -> Option<String> {
        let gauges = self.core.gauges();
        let siblings = gauges.siblings.into_iter().filter(|one| one.id == Some(id)).map(|one| one.url);
        let members = gauges.members.into_iter().filter(|one| one.id == id).map(|one| one.url);
        siblings.chain(members).flatten().next()
    }

    fn on_ask(&mut self, now: weft_wire::Time, ask: Ask) {
        let registry = self.core.registry();
        match ask {
            Ask::Submit { statement, signature, to } => {
                let Some(place) = self.store.place() else {
                    let _ = to.send(Submitted::NoRoom);
                    return;
                };
                match self.core.submit(now, &statement, signature) {
                    Ok(status) => self.carry_out_and(now, place, move |durable| {
                        let _ = to.send(if durable { Submitted::Taken(status) } else { Submitted::Late });
                    }),
                    Err(refusal) => {
                        let _ = to.send(Submitted::Refused(refusal));
                    }
                }
            }
            Ask::Show { id, to } => {
                let _ = to.send(registry.show(now, &id).map(Box::new));
            }
            Ask::Page { status, after, most, to } => {
                let _ = to.send(registry.page(now, status, after.as_ref(), most));
            }
            Ask::About(to) => {
                let _ = to.send(About {
                    network: registry.network().clone(),
                    first_sovereigns: registry.first_sovereigns().collect(),
                    sovereigns: registry.sovereigns().collect(),
                    changed_at: registry.sovereigns_changed_at(),
                    totals: registry.totals(now),
                    now_ms: now.millis(),
                });
            }
            Ask::Linked(to) => {
                let _ = to.send(self.core.linked());
            }
            Ask::Targets(to) => {
                let _ = to.send(registry.targets().collect());
            }
            Ask::Probed { id, kind, port, healthy } => self.core.on_probed(now, &id, &kind, port, healthy),
            Ask::Redial => self.core.redial(now),
        }
    }

    /// A connection is on its way out; nothing more is queued for it.
    fn linger(&mut self, conn: ConnId) {
        if let Some(outbox) = self.conns.remove(&conn) {
            self.lingering += 1;
            self.closing.push_back((Instant::now() + LINGER, conn, outbox));
        }
    }

    /// Those that were told to close and did not in time.
    fn give_up(&mut self) {
        let now = Instant::now();
        while self.closing.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, _, outbox)) = self.closing.pop_front() {
                outbox.abandon();
            }
        }
    }
}

/// Which events are for everybody, as listeners of `/events` get them: those of signalers, none of peers.
fn told(event: &Event) -> Option<(&'static str, SignalerId)> {
    Some(match event {
        Event::SiblingUp(id) => ("sibling-up", *id),
        Event::SiblingDown(id) => ("sibling-down", *id),
        Event::MemberUp(id) => ("member-up", *id),
        Event::MemberDown(id) => ("member-down", *id),
        _ => return None,
    })
}

fn log(event: &Event) {
    match event {
        Event::PeerUp(peer) => tracing::debug!(peer = %short(peer), "peer connected"),
        Event::PeerDown(peer) => tracing::debug!(peer = %short(peer), "peer disconnected"),
        Event::SiblingUp(id) => tracing::info!(sibling = %short(id), "sibling connected"),
        Event::SiblingDown(id) => tracing::info!(sibling = %short(id), "sibling disconnected"),
        Event::LinksChanged => tracing::debug!("siblings are linked with others than before"),
        Event::MemberUp(id) => tracing::info!(member = %short(id), "member of the federation"),
        Event::MemberDown(id) => tracing::info!(member = %short(id), "member of the federation is down"),
        Event::RefusedBySibling { id, code } => {
            let sibling = id.map(show).unwrap_or_default();
            tracing::warn!(%sibling, %code, "this sibling does not let us in yet: a sovereign has to approve this signaler there, or that one has to name ours (--sibling); we call again");
        }
        Event::SiblingRefused { id, registered: true } => tracing::warn!(
            sibling = %id, code = %weft_wire::Code::NotAdmitted,
            "sibling refused: it is registered, and pending, denied or revoked. `weft nodes` shows it, `weft approve` or `weft reset` by a sovereign changes it"
        ),
        Event::SiblingRefused { id, registered: false } => tracing::warn!(
            sibling = %id, code = %weft_wire::Code::NotAdmitted,
            "sibling refused: it is not registered here and not named with --sibling. It may register (--register-with), or be named"
        ),
        Event::OtherNetwork { id, theirs } => tracing::error!(
            sibling = %id, theirs = %**theirs,
            "this sibling belongs to another federation, by the name that --network gives it: the registries have nothing in common until both have the same"
        ),
        Event::WrongSibling { url, expected, proved } => tracing::error!(
            %url, expected = %expected, proved = %proved,
            "this sibling proved another key than the one that was named or pinned for it: if that is on purpose, name the new one, --sibling ID@URL"
        ),
        Event::OwnUrl(url) => tracing::error!(%url, "this sibling URL is this signaler's own: remove it"),
    }
}

/// Enough of an id to tell it from others in a log.
pub(crate) fn short(id: impl std::fmt::Display) -> String {
    let mut text = id.to_string();
    text.truncate(16);
    text
}

/// As shown to people.
pub(crate) fn show(id: SignalerId) -> String {
    id.to_string()
}
