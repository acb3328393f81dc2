//! What travels between nodes, and what a node has to do later.

use bytes::Bytes;
use weft_crypto::Party;
use weft_peer_core::{Command, HomeIndex, LinkId};
use weft_query::Document;
use weft_wire::{DiscoveryKey, Time};

/// A node: signalers first, then peers in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A WebSocket: its dialler and the dialler's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket(pub(crate) u64);

impl Socket {
    pub(crate) fn new(dialler: NodeId, count: u32) -> Self {
        Self(u64::from(dialler.0) << 32 | u64::from(count))
    }

    pub(crate) fn dialler(self) -> NodeId {
        NodeId(u32::try_from(self.0 >> 32).unwrap_or(u32::MAX))
    }
}

/// Something for a node at a time.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) at: Time,
    pub(crate) to: NodeId,
    pub(crate) cargo: Cargo,
}

/// What happens to a node. The large and rare ones are boxed: a cargo is moved about in heaps.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// A message on a link's channel.
    Chunk { link: LinkId, bytes: Vec<u8> },
    /// A message on a WebSocket.
    Frame { socket: Socket, bytes: Bytes },

    /// A signaler is dialled.
    Dial { socket: Socket },
    /// A dialled WebSocket is open.
    Accepted { socket: Socket },
    /// A WebSocket was closed, or could not be opened.
    SocketClosed { socket: Socket },
    /// Our own hanging up, as the platform reports it.
    HungUp { home: HomeIndex },
    /// The answer to a WebSocket ping.
    Heard { socket: Socket },

    /// An ICE check: its sender has accepted our description of this generation.
    Check { link: LinkId, from: (NodeId, LinkId), generation: u64 },
    /// The answer to a check that was right.
    Checked { link: LinkId, generation: u64 },
    /// The channel was closed by the other side.
    ChannelClosed { link: LinkId },
    /// Nothing comes from the other side any more, and ICE notices.
    Silence { link: LinkId },

    /// A description and a candidate are ready.
    Described { link: LinkId, sdp: Box<str> },
    /// A candidate was found.
    Gathered { link: LinkId },
    /// The remote description was no description.
    Unusable { link: LinkId },
    /// The channel opens.
    Opened { link: LinkId },
    /// A check that did not get through is repeated.
    Recheck { link: LinkId, generation: u64, attempt: u32 },
    /// ICE gives up, unless it has succeeded since.
    IceFails { link: LinkId, checks: u32 },
    /// The channel has sent what it had buffered.
    Drained { link: LinkId },

    /// Something that the scenario does to the node.
    Act(Box<Act>),
}

/// What a scenario does to a node.
#[derive(Debug)]
pub(crate) enum Act {
    /// The program starts, joins the party and subscribes.
    Start { party: Party },
    /// A command of the application.
    Command(Command),
    /// Publishes in the party.
    Publish(Document),
    /// Says goodbye and ends.
    Leave,
    /// The process is gone, without a word.
    Crash,
    /// Nothing is done until then: a tab in the background.
    Sleep { until: Time },
    /// ICE notices which neighbours are cut off.
    CutNoticed,
    /// ICE gives up those that still are.
    CutFails,
    /// What a partition had interrupted works again.
    CutHealed,
    /// Asks who is in a swarm.
    Ask { discovery: DiscoveryKey },
    /// A signaler ends, and starts again at a time.
    Restart { gracefully: bool, at: Time },
    /// From now on the node does this to what it sends.
    Turn(Vice),
}

/// What a hostile node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vice {
    /// Alters publications that it passes on.
    Alter,
    /// Passes no publication on.
    Silent,
    /// Sends noise now and then.
    Noise,
    /// Sends every publication of others twice.
    Repeat,
    /// Announces publications that there are not.
    Boast,
    /// Says that it is next to a root with the greatest claim that there may be, and passes no publication on.
    Usurp,
}
