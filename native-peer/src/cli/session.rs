//! A peer in a party for the length of one command, and what people are told about it meanwhile.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Once;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weft_native_peer::keystore::KeyStore;
use weft_native_peer::{
    Config, DiscoveryKey, Event, Events, Exclusion, HomeIndex, Invitation, Messages, Party, SignalerState,
    Weft,
};
use weft_wire::PartyKey;

use super::exit::{Exit, Failure};
use super::interrupt::Interrupt;
use super::{Named, NetworkArgs};

/// A peer that has joined its party.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) weft: Weft,
    pub(crate) party: DiscoveryKey,
    /// Of a private party, its key, and where it is remembered.
    private: Option<(PartyKey, KeyStore)>,
    /// The party as people are told about it.
    shown: String,
    interrupt: Interrupt,
    deadline: Option<Instant>,
    /// Changes whenever something may be different about peers or members.
    changes: watch::Receiver<Changes>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    /// Counts what concerns peers, and members.
    peers: u64,
    /// A signaler has been reached.
    reached: bool,
}

/// Why a command stops before its work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Interrupted,
    TimedOut,
}

impl Session {
    /// Starts the peer and joins the party. Messages are left to a command that listens: they wait until then.
    pub(crate) async fn start(network: &NetworkArgs, timeout: Option<Duration>) -> Result<Self, Failure> {
        Self::start_with(network, timeout, |_| {}).await
    }

    /// The same, with some constants of the core changed.
    pub(crate) async fn start_with(
        network: &NetworkArgs,
        timeout: Option<Duration>,
        change: impl FnOnce(&mut Config),
    ) -> Result<Self, Failure> {
        let (session, _) = Self::connect(network, timeout, change, false).await?;
        Ok(session)
    }

    /// The same, for a command that reads its messages.
    pub(crate) async fn start_listening(
        network: &NetworkArgs,
        timeout: Option<Duration>,
    ) -> Result<(Self, Messages), Failure> {
        let (session, messages) = Self::connect(network, timeout, |_| {}, true).await?;
        let messages = messages.ok_or(weft_native_peer::Error::Closed)?;
        Ok((session, messages))
    }

    async fn connect(
        network: &NetworkArgs,
        timeout: Option<Duration>,
        change: impl FnOnce(&mut Config),
        listens: bool,
    ) -> Result<(Self, Option<Messages>), Failure> {
        let interrupt = Interrupt::start();
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut options = network.reach.options();
        change(&mut options.config);
        let (weft, events) = Weft::connect_with_events(options).await?;
        // Before anybody is met, so that no message is missed.
        let messages = if listens { Some(weft.messages().await?) } else { None };
        let refusals = weft.events();
        let (party, private) = match &network.party.party {
            Named::Name(name) => (weft.join(&Party::open(name)).await?, None),
            Named::Key(key) if !is_private(network, *key)? => (weft.join(&Party::new(*key)).await?, None),
            Named::Key(key) => (join_private(&weft, network, *key, None).await?, Some(*key)),
            Named::Invitation(invitation) => {
                let key = invitation.party();
                (join_private(&weft, network, key, Some(invitation.clone())).await?, Some(key))
            }
        };
        let (changed, changes) = watch::channel(Changes::default());
        tokio::spawn(report(events, changed));
        let shown = network.party.shown.clone();
        let mut session = Self { weft, party, private: None, shown, interrupt, deadline, changes };
        if let Some(key) = private {
            let admitted = admitted(session.weft.clone(), party, refusals);
            let admitted = match session.until(admitted).await {
                Ok(admitted) => admitted,
                Err(Stop::Interrupted) => Err(Failure::interrupted()),
                Err(Stop::TimedOut) => {
                    Err(Failure::timed_out(&"no admin of the party has let us in yet: one has to be online"))
                }
            };
            if let Err(failure) = admitted {
                session.close().await;
                return Err(failure);
            }
            session.private = Some((key, network.reach.keys.store()?));
            session.remember().await;
        }
        Ok((session, messages))
    }

    /// Does something until it is done, interrupted or out of time.
    pub(crate) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let deadline = self.deadline;
        let time_up = async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = work => Ok(done),
            () = self.interrupt.asked() => Err(Stop::Interrupted),
            () = time_up => Err(Stop::TimedOut),
        }
    }

    /// Waits for something about peers to change.
    pub(crate) fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.clone()
    }

    /// Whether any signaler has been reached so far.
    pub(crate) fn has_reached(&self) -> bool {
        self.changes.borrow().reached
    }

    /// What is missing for something to happen in the party, if it is not just that nobody does anything.
    pub(crate) async fn obstacle(&self) -> Option<String> {
        let peers = self.weft.peers(self.party).await.unwrap_or_default();
        if peers.iter().any(|peer| peer.linked) {
            return None;
        }
        Some(match peers.len() {
            // Old acquaintances may be met without any signaler.
            0 if !self.has_reached() => "no signaler was reached".into(),
            0 => format!("nobody else is in {}", self.shown),
            count => format!("no link came about to any of the {count} other peers in {}", self.shown),
        })
    }

    /// Waits until so many peers are in the party and at least one of them is linked.
    pub(crate) async fn wait_for_peers(&mut self, count: usize) -> Result<(), End> {
        let (weft, party, mut changes) = (self.weft.clone(), self.party, self.changes());
        let wait = async move {
            let mut progress = Progress::new();
            loop {
                let peers = weft.peers(party).await?;
                let linked = peers.iter().filter(|peer| peer.linked).count();
                if peers.len() >= count && linked >= count.min(1) {
                    return Ok(());
                }
                progress.show(&format!("waiting for peers: {} of {count}, {linked} linked", peers.len()));
                if changes.changed().await.is_err() {
                    return Err(weft_native_peer::Error::Closed);
                }
            }
        };
        Ok(self.until(wait).await??)
    }

    /// Keeps what is known of the members of a private party beside the keys: the next command needs no invitation.
    async fn remember(&self) {
        let Some((key, store)) = &self.private else { return };
        // Who has been told to end already has nothing new.
        let Ok(members) = self.weft.members(self.party).await else { return };
        let statements = members.statements().map(|(_, bytes)| bytes);
        if let Err(error) = store.remember_party(*key, statements) {
            eprintln!("weft: warning: what is known of the party's members was not kept: {error}");
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        self.remember().await;
        close(&self.weft).await;
    }
}

/// How long those who do not know us may be wrong: others may know more.
const DOUBT: Duration = Duration::from_secs(8);

fn is_private(network: &NetworkArgs, key: PartyKey) -> Result<bool, Failure> {
    // Nobody is a member of anything, and has no directory.
    Ok(!network.reach.keys.ephemeral && network.reach.keys.store()?.is_private(key))
}

async fn join_private(
    weft: &Weft,
    network: &NetworkArgs,
    key: PartyKey,
    invitation: Option<Invitation>,
) -> Result<DiscoveryKey, Failure> {
    let members = network.reach.keys.store()?.members(key).map_err(|error| Failure::error(&error))?;
    Ok(weft.join_private(members, invitation).await?)
}

/// Waits until we are a member of a private party.
async fn admitted(weft: Weft, party: DiscoveryKey, mut events: Events) -> Result<(), Failure> {
    let mut doubt: Option<(Instant, Exclusion)> = None;
    let mut progress = Progress::new();
    loop {
        let members = weft.members(party).await?;
        if members.role(&weft.identity()).is_some() {
            return Ok(());
        }
        progress.show("waiting for an admin of the party to let us in");
        let refused = |reason: Exclusion| Failure::refused(&reason.text(), reason.code());
        let until = doubt.map_or_else(|| Instant::now() + DOUBT * 1000, |(until, _)| until);
        tokio::select! {
            event = events.next() => match event {
                None => return Err(weft_native_peer::Error::Closed.into()),
                Some(Event::NoMember { discovery, reason, .. }) if discovery == party => match reason {
                    Exclusion::UsedInvitation | Exclusion::ExpiredInvitation | Exclusion::Removed => {
                        return Err(refused(reason));
                    }
                    _ => _ = doubt.get_or_insert((Instant::now() + DOUBT, reason)),
                },
                Some(_) => {}
            },
            () = tokio::time::sleep_until(until) => {
                if let Some((_, reason)) = doubt {
                    return Err(refused(reason));
                }
            }
        }
    }
}

/// Why a command ends before its work is done: it was stopped, or it failed.
#[derive(Debug)]
pub(crate) enum End {
    Stopped(Stop),
    Failed(Failure),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<weft_native_peer::Error> for End {
    fn from(error: weft_native_peer::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl End {
    /// The result of a command that is only done when its work is; `doing` is what it still did, and `why` what was in
    /// its way.
    pub(crate) fn unfinished(self, doing: &str, why: &str) -> Result<Exit, Failure> {
        match self {
            Self::Stopped(Stop::Interrupted) => Ok(Exit::Interrupted),
            Self::Stopped(Stop::TimedOut) => {
                Err(Failure::timed_out(&format!("timed out while {doing}: {why}")))
            }
            Self::Failed(failure) => Err(failure),
        }
    }

    /// The result of a command that goes on until it is interrupted.
    pub(crate) fn endless(self) -> Result<Exit, Failure> {
        match self {
            Self::Stopped(_) => Ok(Exit::Done),
            Self::Failed(failure) => Err(failure),
        }
    }
}

/// A line that is written over and over, on a terminal only.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: false }
    }

    pub(crate) fn show(&mut self, text: &str) {
        if self.terminal {
            self.shown = true;
            // Back to the start of the line, and clear it to its end (ECMA-48 EL). Nobody to see it is no failure.
            let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Says goodbye. If the identity has revoked the peer, the command ends here, however it would have ended.
pub(crate) async fn close(weft: &Weft) {
    weft.close().await;
    if weft.is_revoked() {
        end_as_revoked();
    }
}

/// Says once what has happened, and ends.
fn end_as_revoked() -> ! {
    static SAID: Once = Once::new();
    SAID.call_once(|| eprintln!("weft: {REVOKED}"));
    std::process::exit(Exit::Revoked as i32);
}

/// Tells people what happens to a peer that is in no party.
pub(crate) fn tell(events: Events) {
    tokio::spawn(report(events, watch::channel(Changes::default()).0));
}

/// What people are told when their identity has revoked this place.
pub(crate) const REVOKED: &str = "this place was revoked by its identity: it has left everything, and does not run any more. Nothing was deleted";

/// Tells people, in one line each, when a signaler is lost and when it is back, and of warnings.
async fn report(mut events: Events, changed: watch::Sender<Changes>) {
    let mut lost: BTreeSet<HomeIndex> = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut revoked = false;
    while let Some(event) = events.next().await {
        match event {
            Event::Revoked { .. } => revoked = true,
            Event::Signaler { home, url, told, state } => {
                if matches!(state, SignalerState::Connected { .. }) {
                    changed.send_modify(|changes| changes.reached = true);
                }
                let line = match state {
                    SignalerState::Connected { .. } if told => {
                        format!("connected to signaler {url}, which others told of")
                    }
                    // There are others.
                    _ if told => continue,
                    SignalerState::Lost { reason, .. } if lost.insert(home) => {
                        format!("signaler {url} is out of reach ({reason}); trying again")
                    }
                    SignalerState::Connected { .. } if lost.remove(&home) => {
                        format!("connected to signaler {url}")
                    }
                    _ => continue,
                };
                eprintln!("weft: {line}");
            }
            Event::NoMember { reason, .. } if refused.insert(reason.code()) => {
                eprintln!("weft: somebody in the party says: {} ({})", reason.text(), reason.code());
            }
            Event::Warning { code, text } => eprintln!("weft: warning: {text} ({code})"),
            Event::Fork { author, feed, seq, .. } => {
                let author =
                    author.map_or_else(|| "somebody unknown".to_owned(), |author| author.to_string());
                eprintln!(
                    "weft: the feed {feed} of {author} has forked at number {seq}: not everybody gets the same from it"
                );
            }
            Event::Peer { .. } | Event::Ready { .. } | Event::Link { .. } | Event::Members { .. } => {
                changed.send_modify(|changes| changes.peers += 1);
            }
            _ => {}
        }
    }
    if revoked {
        // The peer has ended, and its slot is marked. Whatever the command still waits for does not come.
        end_as_revoked();
    }
}
