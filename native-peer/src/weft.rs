//! The handle of a running peer.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};
use weft_crypto::{Invitation, Members, Party};
use weft_peer_core::{
    Backlog, Command, CommandError, CommandId, Diagnosis, Event, Keys, MemberDeed, OwnPeer, PeerInfo,
    Publication, Stats,
};
use weft_query::{Document, Filter};
use weft_wire::{Digest, DiscoveryKey, IdentityId, MessageId, PeerId, PublicationId};

use crate::driver::Driver;
use crate::error::Error;
use crate::keystore::{self, KeyStore, Slot};
use crate::options::{KeySource, Options};
use crate::queue::{self, Item};
use crate::request::Request;
use crate::sending::{Sending, Sent, Until};

/// Requests that may wait for the driver; a caller waits for a place.
const REQUESTS: usize = 256;
/// Events that a slow reader may be behind before it misses some.
const EVENTS: usize = 4096;

/// A running peer. Clones are handles of the same one; it says goodbye when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct Weft {
    id: PeerId,
    identity: IdentityId,
    requests: mpsc::Sender<Request>,
    events: broadcast::WeakSender<Event>,
    revoked: Arc<AtomicBool>,
}

impl Weft {
    /// Takes the keys and starts a peer on the current tokio runtime. Signalers are dialled in the background, again and
    /// again: see [`events`](Self::events) for how that goes.
    ///
    /// # Errors
    /// [`Error::KeyStore`], [`Error::Options`] or [`Error::Randomness`].
    pub async fn connect(options: Options) -> Result<Self, Error> {
        Self::connect_with_events(options).await.map(|(weft, _)| weft)
    }

    /// The same, with its events from the very first.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with_events(mut options: Options) -> Result<(Self, Events), Error> {
        options.check()?;
        // Until somebody listens there is nobody to tell.
        options.config.collect = false;
        let (keys, name, slot, directory) = tokio::task::spawn_blocking({
            let source = options.keys.clone();
            move || load(source)
        })
        .await
        .map_err(|error| Error::Options(error.to_string()))??;
        if options.config.name.is_empty() {
            options.config.name = name;
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Randomness(error.to_string()))?;
        let (id, identity) = (keys.peer.id(), keys.identity.id());
        let (requests, incoming) = mpsc::channel(REQUESTS);
        let (events, first) = broadcast::channel(EVENTS);
        let revoked = Arc::new(AtomicBool::new(false));
        let weft = Self { id, identity, requests, events: events.downgrade(), revoked: Arc::clone(&revoked) };
        let store = directory.filter(|_| options.store).map(|directory| directory.join("feeds.db"));
        let driver = Driver::new(options, (keys, revoked), seed, store, incoming, events);
        tokio::spawn(driver.run(slot));
        Ok((weft, Events { from: first }))
    }

    /// This peer.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Whose peer it is.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// Joins a party; its discovery key names it from now on.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn join(&self, party: &Party) -> Result<DiscoveryKey, Error> {
        self.command(Command::Join { party: party.clone() }).await?;
        Ok(party.discovery())
    }

    /// Joins a private party. Documents come once an admin has let us in: see [`members`](Self::members), and
    /// [`Event::NoMember`] for why not.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn join_private(
        &self,
        members: Members,
        invitation: Option<Invitation>,
    ) -> Result<DiscoveryKey, Error> {
        let discovery = Party::new(members.party()).discovery();
        self.command(Command::JoinPrivate { members: Box::new(members), invitation }).await?;
        Ok(discovery)
    }

    /// Says something about the members of a private party, as one of its admins.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn say(&self, discovery: DiscoveryKey, deed: MemberDeed) -> Result<(), Error> {
        self.command(Command::Say { discovery, deed }).await
    }

    /// Who is a member of a private party, as far as is known here, and as what. Waits for what is stored to be read; without
    /// end for a party that was not joined, or is open.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn members(&self, discovery: DiscoveryKey) -> Result<Members, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Members { discovery, reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Waits until a neighbour in a party has told what it knows, as who is a member; without end where nobody is met.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn met(&self, discovery: DiscoveryKey) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Met { discovery, reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Leaves a party. What is stored of it stays; see [`forget`](Self::forget).
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn leave(&self, discovery: DiscoveryKey) -> Result<(), Error> {
        self.command(Command::Leave { discovery }).await
    }

    /// Leaves a party and removes what is stored of it. Other processes that are in it go on storing.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Command`] or [`Error::Closed`].
    pub async fn forget(&self, discovery: DiscoveryKey) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Forget { discovery, reply }).await?;
        answer.await.map_err(|_| self.ended())?
    }

    /// Hashes (BLAKE3) of the documents, encoded, that this identity has published in a party and this peer keeps, those of
    /// earlier runs among them. Waits for what is stored to be read; without end for a party that was not joined.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn published(&self, discovery: DiscoveryKey) -> Result<BTreeSet<Digest>, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Published { discovery, reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Waits until everything that is kept so far will be there after a restart, whatever ends this process. At once if
    /// nothing is stored; a store that fails is told by a warning, and waited for.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn stored(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Stored { reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Gets publications that match, with `backlog` also earlier ones, all or some. Dropping the subscription ends it.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn subscribe(
        &self,
        discovery: DiscoveryKey,
        filter: Filter,
        backlog: Option<Backlog>,
    ) -> Result<Subscription, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Subscribe { discovery, filter, backlog, reply }).await?;
        let (id, from) = answer.await.map_err(|_| self.ended())??;
        Ok(Subscription { id, from, requests: self.requests.downgrade() })
    }

    /// Publishes a document, and waits until it has its place in this peer's feed. Waits longer if more is waiting to be
    /// sent than may.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn publish(&self, discovery: DiscoveryKey, document: Document) -> Result<Published, Error> {
        self.start_publish(discovery, document).await?.await
    }

    /// Hands a document over, in the order of calls; what comes back can be awaited for its place in the feed.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn start_publish(
        &self,
        discovery: DiscoveryKey,
        document: Document,
    ) -> Result<Publishing, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Publish { discovery, document, reply }).await?;
        Ok(Publishing { answer })
    }

    /// Sends a message of at most 16 MiB encoded to every known peer of an identity, and waits until at least one has it, or it
    /// waits for them: who is away finds messages of up to 128 KiB at the residence of its identity, if signalers keep mail. Of large ones four to one identity are under way at once, others wait; if more than 64 MiB
    /// would, it is refused with [`CommandError::QueueFull`]. Dropping the future gives the message up.
    ///
    /// # Errors
    /// [`Error::Send`], [`Error::Command`] or [`Error::Closed`].
    pub async fn send(&self, to: IdentityId, document: Document) -> Result<Sent, Error> {
        self.start_send(to, document).await?.await
    }

    /// The same; what comes back tells how far it is, and can be awaited for its fate.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn start_send(&self, to: IdentityId, document: Document) -> Result<Sending, Error> {
        self.start_send_until(to, document, Until::Stored, None).await
    }

    /// The same, until it is so far; and for how long it may wait for who is away: 7 days if that is not said, zero: not at all.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn start_send_until(
        &self,
        to: IdentityId,
        document: Document,
        until: Until,
        life: Option<Duration>,
    ) -> Result<Sending, Error> {
        let (underway, sending) = Sending::new(self.requests.downgrade());
        self.ask(Request::Send { to, document, until, life, underway }).await?;
        Ok(sending)
    }

    /// Asks an identity, or only one peer of it, and waits for the answer. If request or answer are large, the time-out
    /// counts from when the last part of them crossed; while a request of more than 16 KiB waits for its turn behind others
    /// to the same identity it does not run. Dropping the future gives the request up.
    ///
    /// # Errors
    /// [`Error::Request`], [`Error::Command`] or [`Error::Closed`].
    pub async fn request(
        &self,
        to: IdentityId,
        peer: Option<PeerId>,
        document: Document,
        timeout: Duration,
    ) -> Result<Document, Error> {
        self.start_request(to, peer, document, timeout).await?.await
    }

    /// The same; what comes back tells how much of the request has arrived, and can be awaited for the answer.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn start_request(
        &self,
        to: IdentityId,
        peer: Option<PeerId>,
        document: Document,
        timeout: Duration,
    ) -> Result<Sending<Document>, Error> {
        let (underway, asking) = Sending::new(self.requests.downgrade());
        self.ask(Request::Ask { to, peer, document, timeout, underway }).await?;
        Ok(asking)
    }

    /// Requests of others from now on, to be answered with [`respond`](Self::respond). There is one reader: it takes the
    /// place of an earlier one. As long as there is none, requests are refused.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn requests(&self) -> Result<Requests, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Answer { reply }).await?;
        Ok(Requests { from: answer.await.map_err(|_| self.ended())? })
    }

    /// Answers a request, or says in words why not.
    ///
    /// # Errors
    /// [`Error::Command`], with [`CommandError::UnknownRequest`] if it was answered before, or [`Error::Closed`].
    pub async fn respond(&self, request: MessageId, outcome: Result<Document, String>) -> Result<(), Error> {
        self.command(Command::Respond { request, outcome }).await
    }

    /// Messages from now on. Several readers each get all. Before the first call none are taken: they wait where their
    /// senders leave them, and whoever sent them is not told that they were delivered.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn messages(&self) -> Result<Messages, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Listen { reply }).await?;
        let messages = Messages { from: answer.await.map_err(|_| self.ended())? };
        self.command(Command::Collect).await?;
        Ok(messages)
    }

    /// Who is in a party, this peer not counted; ordered by id.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn peers(&self, discovery: DiscoveryKey) -> Result<Vec<PeerInfo>, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Peers { discovery, reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// The peers of our own identity: those that its residence knows, and those that are here; ordered by id. Waits for up to 30 s for
    /// the signalers.
    ///
    /// # Errors
    /// [`Error::Residence`], [`Error::Command`] or [`Error::Closed`].
    pub async fn own_peers(&self) -> Result<Vec<OwnPeer>, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::OwnPeers { reply }).await?;
        answer.await.map_err(|_| self.ended())?
    }

    /// Says that a peer is our identity's no longer, and waits until the residence has that, for up to 30 s. Neighbours are told at
    /// once; after an error, and after a restart, the residence is told again until it has it, unless it refuses.
    ///
    /// # Errors
    /// [`Error::Residence`], [`Error::Command`] (this peer itself, another identity's, too many), or [`Error::Closed`].
    pub async fn revoke(&self, peer: PeerId) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Revoke { peer, reply }).await?;
        answer.await.map_err(|_| self.ended())?
    }

    /// Why each peer of our parties is, or is not, directly connected, and what would help.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn diagnose(&self) -> Result<Vec<Diagnosis>, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Diagnose { reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Figures since the start.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Stats { reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Changes the display name of the running peer (not the one that is kept with the keys).
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn rename(&self, name: &str) -> Result<(), Error> {
        self.command(Command::Rename { name: name.to_owned() }).await
    }

    /// Says something of this peer to everybody in a party, in place of what it said before: at most
    /// [`limits::STATE`](weft_wire::limits::STATE) bytes encoded, told at most four times a second, the last one always.
    /// Nothing takes it back. In parties of more than 64 members only peers with a link learn it.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn set_state(&self, discovery: DiscoveryKey, state: Option<Document>) -> Result<(), Error> {
        self.command(Command::SetState { discovery, state }).await
    }

    /// Has no links with a peer from now on.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn block(&self, peer: PeerId) -> Result<(), Error> {
        self.command(Command::Block { peer }).await
    }

    /// Allows links with a peer again.
    ///
    /// # Errors
    /// [`Error::Command`] or [`Error::Closed`].
    pub async fn unblock(&self, peer: PeerId) -> Result<(), Error> {
        self.command(Command::Unblock { peer }).await
    }

    /// Everything else that happens, from now on: signalers, links, peers, warnings.
    pub fn events(&self) -> Events {
        // A driver that has ended has no events: its readers end at once.
        let events = self.events.upgrade().unwrap_or_else(|| broadcast::channel(1).0);
        Events { from: events.subscribe() }
    }

    /// Waits until everything published so far has been acknowledged by the connections to at least one neighbour in its
    /// party and to all that there are now, so that [`close`](Self::close) loses nothing.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn flush(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Flush { reply }).await?;
        answer.await.map_err(|_| self.ended())
    }

    /// Says goodbye everywhere, sends what was given before, and ends; within two seconds, and two more if the disk is slow.
    pub async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.requests.send(Request::Close).await;
        self.requests.closed().await;
    }

    async fn command(&self, command: Command) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Command { command, reply }).await?;
        Ok(answer.await.map_err(|_| self.ended())??)
    }

    /// Our identity has revoked this peer: it has ended for good, or is about to.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    fn ended(&self) -> Error {
        if self.is_revoked() { Error::Revoked } else { Error::Closed }
    }

    async fn ask(&self, request: Request) -> Result<(), Error> {
        self.requests.send(request).await.map_err(|_| self.ended())
    }
}

/// A subscription. Ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    id: CommandId,
    from: queue::Receiver<Live>,
    requests: mpsc::WeakSender<Request>,
}

/// What comes out of a subscription.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every delivery is data")]
pub enum Delivery {
    /// A publication that matches.
    Data {
        /// The publication.
        publication: Publication,
        /// It was published before the subscription was made.
        backlog: bool,
    },
    /// From now on publications are live.
    Live,
    /// The reader was too slow, and so many deliveries were dropped here.
    Missed(u64),
}

impl Subscription {
    /// The next delivery; nothing once the peer is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        Some(match self.from.next().await? {
            Item::Value(Live::Data { publication, backlog }) => Delivery::Data { publication, backlog },
            Item::Value(Live::Live) => Delivery::Live,
            Item::Missed(count) => Delivery::Missed(count),
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        let command = Command::Unsubscribe { subscription: self.id };
        // Where there is no place for a request, the driver finds out with the next delivery.
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.try_send(Request::Command { command, reply });
        }
    }
}

/// What the driver puts into a subscription's queue.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every delivery is data")]
pub(crate) enum Live {
    Data { publication: Publication, backlog: bool },
    Live,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The sender's identity.
    pub from: IdentityId,
    /// The sender's peer.
    pub peer: PeerId,
    /// Its id, the same as the sender sees.
    pub id: MessageId,
    /// When it was written, milliseconds since the Unix epoch on the sender's clock.
    pub time: u64,
    /// What it says.
    pub document: Document,
}

/// Messages as they come.
#[derive(Debug)]
pub struct Messages {
    from: queue::Receiver<Message>,
}

impl Messages {
    /// The next message, or how many were dropped because the reader was too slow; nothing once the peer is closed.
    /// Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Message, u64>> {
        Some(match self.from.next().await? {
            Item::Value(message) => Ok(message),
            Item::Missed(count) => Err(count),
        })
    }
}

/// Requests as they come.
#[derive(Debug)]
pub struct Requests {
    from: queue::Receiver<Message>,
}

impl Requests {
    /// The next request; nothing once the peer is closed or somebody else reads them. What was dropped because the reader
    /// was too slow is passed over: whoever asked hears of a timeout. Cancel safe.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match self.from.next().await? {
                Item::Value(request) => return Some(request),
                Item::Missed(count) => {
                    tracing::warn!(count, "requests were dropped: they are read too slowly");
                }
            }
        }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    from: broadcast::Receiver<Event>,
}

impl Events {
    /// The next event; nothing once the peer is closed. A reader that is far behind misses the oldest. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.from.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    tracing::warn!(count, "a reader of events was too slow and missed some");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// Where a document has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The publication's id.
    pub id: PublicationId,
    /// Its sequence number in this peer's feed.
    pub seq: u64,
}

/// A document that was handed over. Resolves to its place in the feed; dropping this takes nothing back.
#[derive(Debug)]
pub struct Publishing {
    answer: oneshot::Receiver<Result<Published, Error>>,
}

impl Future for Publishing {
    type Output = Result<Published, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

/// The keys, the display name kept with them, what holds the slot, and the directory.
fn load(source: KeySource) -> Result<(Keys, String, Option<Slot>, Option<PathBuf>), Error> {
    let directory = match source {
        KeySource::Ephemeral => return Ok((keystore::ephemeral()?, String::new(), None, None)),
        KeySource::Directory(directory) => directory,
        KeySource::DefaultDirectory => KeyStore::default_directory()?,
    };
    let store = KeyStore::open(directory)?;
    let slot = store.take_slot()?;
    Ok((slot.keys.clone(), store.name()?, Some(slot), Some(store.directory().to_owned())))
}

/// The command error of a queue that has no more room, for callers that do not wait.
pub(crate) fn queue_full(waiting: usize) -> Error {
    Error::Command(CommandError::QueueFull(waiting))
}
