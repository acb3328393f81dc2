//! Every constant and limit of a signaler's behaviour, with its unit and reason. Sizes of frames are
//! [`weft_wire::limits`].

use core::time::Duration;

use weft_wire::SignalerId;

use crate::registry::RegistryConfig;
use crate::turn::TurnConfig;

/// A signaler's configuration. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Where peers and siblings can reach this signaler, told to siblings. None: not told.
    pub public_url: Option<String>,
    /// Signalers to federate with.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub siblings: Vec<SiblingConfig>,
    /// Signed cards that the driver was told to keep, ours among them: of members that are called again.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub cards: Vec<Vec<u8>>,
    /// TURN servers that peers may use. None: peers are told of none.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub turn: Option<TurnConfig>,
    /// Who takes registrants in, and how long their silence may last.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub registry: RegistryConfig,
    /// Admits any signaler as a sibling. For development only: a sibling is trusted not to invent traffic.
    pub open: bool,

    /// Longest life of a discovery entry: three refreshes of 40 s.
    pub ttl_ms: u64,
    /// How long a peer keeps its place in its swarms after its socket was lost: a page reload or a change of network.
    pub grace_ms: u64,
    /// How long a connection may take to authenticate.
    pub auth_ms: u64,
    /// A connection silent for so long is pinged: below the 20 s and 30 s after which common proxies cut connections.
    pub keepalive_ms: u64,
    /// A connection silent for so long, or that does not read for so long, is closed: two keepalives and some.
    pub dead_ms: u64,
    /// How long the outcome of a forwarded frame is awaited.
    pub outcome_ms: u64,
    /// Changes of the table are gathered for so long before siblings are told: far below what a person notices,
    /// long enough to put the announces of a busy moment into one frame.
    pub batch_ms: u64,
    /// One member is asked so often whether it lives, and has half of that to answer before others are asked to try:
    /// `memberlist`'s value.
    pub probe_ms: u64,
    /// How long a member that did not answer has to object before it is down: what `memberlist` gives it in networks of up to
    /// 10 members, and one more probe.
    pub suspect_ms: u64,
    /// How long a member that is down is called and remembered: longer than outages of a line commonly last, and than this
    /// program takes to be updated.
    pub forget_ms: u64,
    /// How long after somebody came or went those still keep a swarm who did before: a few times as long as news of members
    /// take to be everywhere.
    pub settle_ms: u64,
    /// Least and most delay before a sibling is dialled again.
    pub redial_min_ms: u64,
    /// See `redial_min_ms`.
    pub redial_max_ms: u64,

    /// Connections of peers and siblings together.
    pub max_connections: u32,
    /// Swarms that one peer may be in.
    pub max_swarms_per_peer: u32,
    /// Members that one swarm may have, on all signalers together.
    pub max_members_per_swarm: u32,
    /// Entries in the discovery table, those of siblings and tombstones included; about 600 bytes each.
    pub max_entries: u32,
    /// Entries of its own peers that one sibling may bring, and half as many of other homes behind it: less than the table, so that
    /// there is room for others whatever it does.
    pub max_entries_per_sibling: u32,
    /// Swarms that one sibling may watch here: as many as all of its peers may be in, if most are in one or two.
    pub max_watches_per_sibling: u32,
    /// Forwarded frames whose outcome is awaited.
    pub max_pending: u32,
    /// How long an envelope waits at most.
    pub mail_life_ms: u64,
    /// Envelopes that may wait for one peer.
    pub mailbox_envelopes: u32,
    /// Their bytes.
    pub mailbox_bytes: u32,
    /// Envelopes of one sender, at one home and on one day, that may wait for one peer: others are to have room, too.
    pub mailbox_envelopes_per_sender: u32,
    /// Their bytes.
    pub mailbox_bytes_per_sender: u32,
    /// Peers whose records, prekeys and mail are kept here; about 15 KB each without mail.
    pub max_mailboxes: u32,
    /// Bytes of all records, prekeys and mail that are kept here. They are in memory, too.
    pub max_mail_bytes: u64,
    /// Malformed frames after which a connection is closed.
    pub strikes: u32,

    /// Frames per second that one peer may send, and how many at once. A negotiation takes about ten; the rest is for
    /// links that signalers forward.
    pub frames_per_second: u32,
    /// See `frames_per_second`.
    pub frames_burst: u32,
    /// Bytes per second that one peer may send.
    pub bytes_per_second: u32,
    /// See `bytes_per_second`; at least the largest frame.
    pub bytes_burst: u32,
    /// Refused frames, one after another, after which a connection that goes on regardless is closed.
    pub refusals: u32,
    /// New connections per second, all together: each costs one signature and one verification.
    pub handshakes_per_second: u32,
    /// See `handshakes_per_second`.
    pub handshakes_burst: u32,
}

/// Another signaler to federate with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiblingConfig {
    /// Its key. None: the key that the URL proves first is pinned.
    pub id: Option<SignalerId>,
    /// Where to call it. None: it calls us.
    pub url: Option<String>,
    /// The key that was pinned for this URL before, from the driver's storage.
    pub pinned: Option<SignalerId>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: None,
            siblings: Vec::new(),
            cards: Vec::new(),
            turn: None,
            registry: RegistryConfig::default(),
            open: false,
            ttl_ms: 120_000,
            grace_ms: 10_000,
            auth_ms: 10_000,
            keepalive_ms: 18_000,
            dead_ms: 40_000,
            outcome_ms: 10_000,
            batch_ms: 3,
            probe_ms: 1_000,
            suspect_ms: 5_000,
            forget_ms: 3_600_000,
            settle_ms: 5_000,
            redial_min_ms: 1_000,
            redial_max_ms: 60_000,
            max_connections: 20_000,
            max_swarms_per_peer: 64,
            max_members_per_swarm: 10_000,
            max_entries: 200_000,
            max_entries_per_sibling: 100_000,
            max_watches_per_sibling: 50_000,
            max_pending: 20_000,
            mail_life_ms: 7 * 86_400_000,
            mailbox_envelopes: 1_000,
            mailbox_bytes: 4 * 1024 * 1024,
            mailbox_envelopes_per_sender: 250,
            mailbox_bytes_per_sender: 1024 * 1024,
            max_mailboxes: 50_000,
            max_mail_bytes: 256 * 1024 * 1024,
            strikes: 3,
            frames_per_second: 1_000,
            frames_burst: 2_000,
            bytes_per_second: 4 * 1024 * 1024,
            bytes_burst: 8 * 1024 * 1024,
            refusals: 1_000,
            handshakes_per_second: 1_000,
            handshakes_burst: 10_000,
        }
    }
}

impl Config {
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    pub(crate) fn auth(&self) -> Duration {
        Duration::from_millis(self.auth_ms)
    }

    pub(crate) fn keepalive(&self) -> Duration {
        Duration::from_millis(self.keepalive_ms.max(1))
    }

    pub(crate) fn dead(&self) -> Duration {
        Duration::from_millis(self.dead_ms)
    }

    pub(crate) fn outcome(&self) -> Duration {
        Duration::from_millis(self.outcome_ms)
    }

    pub(crate) fn batch(&self) -> Duration {
        Duration::from_millis(self.batch_ms)
    }
}
