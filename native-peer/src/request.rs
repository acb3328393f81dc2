//! What handles ask of the driver.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;
use weft_crypto::Members;
use weft_peer_core::{Backlog, Command, CommandError, CommandId, Diagnosis, OwnPeer, PeerInfo, Stats};
use weft_query::{Document, Filter};
use weft_wire::{Digest, DiscoveryKey, IdentityId, PeerId};

use crate::error::Error;
use crate::queue;
use crate::sending::{Sent, Underway, Until};
use crate::weft::{Live, Message, Published};

/// One request. The driver answers each, unless it ends first; an answer that nobody waits for is dropped.
#[derive(Debug)]
pub(crate) enum Request {
    /// A command whose acceptance is all there is to know.
    Command { command: Command, reply: oneshot::Sender<Result<(), CommandError>> },
    /// A subscription.
    Subscribe {
        discovery: DiscoveryKey,
        filter: Filter,
        backlog: Option<Backlog>,
        reply: oneshot::Sender<Result<(CommandId, queue::Receiver<Live>), CommandError>>,
    },
    /// A publication; waits while the core's queue is full.
    Publish { discovery: DiscoveryKey, document: Document, reply: oneshot::Sender<Result<Published, Error>> },
    /// A message; answered when its fate is known.
    Send {
        to: IdentityId,
        document: Document,
        until: Until,
        /// How long it may wait for who is away.
        life: Option<Duration>,
        underway: Underway<Sent>,
    },
    /// A request; answered when its answer has come, or will not.
    Ask {
        to: IdentityId,
        peer: Option<PeerId>,
        document: Document,
        timeout: Duration,
        underway: Underway<Document>,
    },
    /// Somebody has stopped waiting for a message's fate or an answer.
    Forgotten,
    /// Requests of others from now on, in place of whoever got them before.
    Answer { reply: oneshot::Sender<queue::Receiver<Message>> },
    /// Messages from now on.
    Listen { reply: oneshot::Sender<queue::Receiver<Message>> },
    /// Who is in a party.
    Peers { discovery: DiscoveryKey, reply: oneshot::Sender<Vec<PeerInfo>> },
    /// Who the peers of our own identity are.
    OwnPeers { reply: oneshot::Sender<Result<Vec<OwnPeer>, Error>> },
    /// A peer is our identity's no longer; answered when the residence has that.
    Revoke { peer: PeerId, reply: oneshot::Sender<Result<(), Error>> },
    /// Why there are connections, or none.
    Diagnose { reply: oneshot::Sender<Vec<Diagnosis>> },
    /// Figures.
    Stats { reply: oneshot::Sender<Stats> },
    /// Remove what is stored of a party.
    Forget { discovery: DiscoveryKey, reply: oneshot::Sender<Result<(), Error>> },
    /// Which of our documents are kept; answered when what is stored has been read.
    Published { discovery: DiscoveryKey, reply: oneshot::Sender<BTreeSet<Digest>> },
    /// Who is a member of a private party; answered when what is stored has been read.
    Members { discovery: DiscoveryKey, reply: oneshot::Sender<Members> },
    /// Whether a neighbour has told what it knows.
    Met { discovery: DiscoveryKey, reply: oneshot::Sender<()> },
    /// Answered when everything that is kept so far is durable.
    Stored { reply: oneshot::Sender<()> },
    /// Answered when everything that was published has been given to the neighbours' channels.
    Flush { reply: oneshot::Sender<()> },
    /// Say goodbye and end.
    Close,
}
