//! Every behavioural constant of a peer, with its unit and its reason.

use core::time::Duration;

/// How a peer behaves. [`Config::default`] is what DESIGN's table says; sizes on the wire are in [`weft_wire::limits`].
#[derive(Clone, Debug)]
pub struct Config {
    /// URLs of signalers, in order of preference.
    pub signalers: Vec<String>,
    /// How many to be connected to at once.
    pub homes: usize,
    /// Signalers that those tell of stand in for them: for one that is down, and where fewer are configured than `homes`.
    pub discover: bool,
    /// Display name in the peer record, may be empty.
    pub name: String,
    /// Name and version of the program, told to signalers.
    pub agent: String,

    /// A ping to the signaler after this long without a frame from it.
    pub signaler_keepalive: Duration,
    /// The signaler is taken for lost after this long without a frame from it.
    pub signaler_dead: Duration,
    /// Connecting and authenticating may take this long.
    pub signaler_timeout: Duration,
    /// First wait before a signaler is dialled again; doubled each time, with jitter.
    pub reconnect_first: Duration,
    /// Longest wait before a signaler is dialled again.
    pub reconnect_most: Duration,
    /// While others stand in for it, a signaler that is configured is dialled this often: as long as siblings wait at most.
    pub return_every: Duration,

    /// Life of a discovery entry, if the signaler does not say less.
    pub entry_ttl: Duration,
    /// Entries are signed anew after this long, give or take a fifth.
    pub entry_refresh: Duration,

    /// Links that a peer seeks (HyParView's active view).
    pub active_view: usize,
    /// Further links that it accepts before it refuses or makes room: a newcomer always finds a place.
    pub active_slack: usize,
    /// Members that neighbours told of, remembered per party for when no signaler tells of any (HyParView's passive view).
    pub passive_view: usize,
    /// Neighbours exchange some of the members that they know this often.
    pub shuffle_every: Duration,
    /// Some member is asked this often, through the signalers, whether it is on the same island.
    pub island_probe: Duration,
    /// Up to this many members everybody hears the presence of everybody; in larger swarms a signaler's lists, neighbours
    /// and shuffles say who is there.
    pub presence_members: usize,
    /// No more than one link is made room for in this time, so that newcomers cannot churn a swarm.
    pub make_room_every: Duration,

    /// The root of a party's broadcast tree says that it is there this often.
    pub beacon_every: Duration,
    /// A root whose beacon has not come for this long is gone: three beacons.
    pub root_dead: Duration,
    /// Neighbours that get no publication from us at once are told of it after this long.
    pub digest_wait: Duration,
    /// A publication that was announced and has not come for this long is asked for.
    pub graft_wait: Duration,
    /// Publications that were missed and are older than this are not announced any more.
    pub repair_age: Duration,
    /// A link that does not answer for this long when it is asked to is taken for dead by the broadcast tree.
    pub suspect_after: Duration,

    /// Within so many links every peer knows the way to every other.
    pub zone: u8,
    /// A search for a peer that is further away goes so many links, to the edge of that peer's own zone.
    pub search: u8,

    /// A description waits this long for candidates to travel with it.
    pub candidate_wait: Duration,
    /// But only this long after the first of them: those of one host come together.
    pub candidate_settle: Duration,
    /// First wait before a signal is sent again; doubled each time.
    pub signal_retry: Duration,
    /// A negotiation that takes longer has failed.
    pub signal_give_up: Duration,
    /// Waits before the next attempt at the same peer, one after another; the last one repeats.
    pub link_backoff: [Duration; 6],
    /// A link that was up for this long starts the waits from the beginning.
    pub link_stable: Duration,
    /// Ping on a link after this long without a message from it.
    pub link_heartbeat: Duration,
    /// A link without a message for this long is dead.
    pub link_dead: Duration,
    /// ICE is restarted after this long in `disconnected`.
    pub ice_restart_after: Duration,
    /// A link that is not connected this long after the first restart is given up.
    pub ice_give_up: Duration,

    /// Links that signalers may forward at once because no connection came about; 0: none. Each costs signalers what it carries.
    /// As many as there are places for links, so that islands of forwarded links can meet.
    pub forwarded_links: usize,
    /// A connection is tried again for the first time after a link has been forwarded for so long; doubled each time.
    pub direct_retry: Duration,
    /// Longest wait before a connection is tried again.
    pub direct_retry_most: Duration,

    /// Nothing more is given to a channel that has this many bytes buffered.
    pub channel_high: usize,
    /// At or under this many buffered bytes the channel is filled again.
    pub channel_low: usize,
    /// Bytes that may wait for one link; beyond it the link is closed as too slow (and catches up when it returns).
    pub link_queue: usize,
    /// Bytes of own publications that may wait before [`crate::CommandError::QueueFull`].
    pub publish_queue: usize,
    /// Own publications that nobody has been given yet wait in that queue; else what is kept alone bounds them.
    pub alone_waits: bool,

    /// Own presence is sent this often.
    pub presence_every: Duration,
    /// A peer without a presence or a link for this long is offline, unless a signaler says otherwise.
    pub presence_offline: Duration,
    /// Changes of links are told at most this often.
    pub presence_soonest: Duration,

    /// A message is sent again after this long without receipt; doubled each time.
    pub message_retry: Duration,
    /// A message without receipt for this long is unreachable.
    pub message_give_up: Duration,
    /// Bytes of messages and answers that may be under way before one of more than 16 KiB is refused with
    /// [`crate::CommandError::QueueFull`].
    pub message_queue: usize,
    /// Bytes of large messages of one identity, as announced, that are put together at once.
    pub parts_each: usize,
    /// The same for all identities; of those of which a whole part has come.
    pub parts_all: usize,
    /// A large message of which nothing comes for this long is forgotten.
    pub parts_idle: Duration,
    /// Ids of received messages that are remembered.
    pub message_memory: usize,

    /// Messages to who cannot be reached wait at the residence of its identity; and with a store that keeps the peer's own state,
    /// ours wait for us there.
    pub mail: bool,
    /// Messages are taken: what waits for us is collected, and what comes is confirmed. Else nothing is told of them, and
    /// they go on waiting, until [`Command::Collect`](crate::Command::Collect).
    pub collect: bool,
    /// A message without receipt for this long is left there.
    pub mail_after: Duration,
    /// Where nobody of the recipient's is known at all: this long after a signaler was connected or a party joined, which may yet tell
    /// of somebody, and at once after that. And so long after word that a peer of the recipient's is not there.
    pub mail_soonest: Duration,
    /// What comes live is told of only when all that waits for us was shown, or after this long in which nothing was, as its sender
    /// may have written it later; at most twelve times as long. It is stored and confirmed meanwhile.
    pub mail_hold: Duration,
    /// What is asked about mail has no answer after this long.
    pub mail_answer: Duration,
    /// First wait before something about mail is tried again; doubled each time, with jitter.
    pub mail_retry: Duration,
    /// Longest such wait.
    pub mail_retry_most: Duration,
    /// So often in a row our own mail is asked for, or our record published, without success; then once in `mail_renew`, or with the
    /// next home.
    pub mail_tries: u32,
    /// Our record and prekeys are looked after this often.
    pub mail_renew: Duration,
    /// A message waits for at most this long, here and there: as long as signalers keep any.
    pub mail_life: Duration,
    /// Messages that are left for others, and not confirmed.
    pub outbox_messages: usize,
    /// Their bytes.
    pub outbox_bytes: usize,

    /// Publications kept per party for those who lack them.
    pub keep_publications: usize,
    /// Bytes of publications kept per party.
    pub keep_bytes: usize,
    /// Publications older than this are not kept: as long as a mailbox.
    pub keep_age: Duration,
    /// What is kept is stored, too: the driver has a store ([`StoreWork`](crate::StoreWork)).
    pub store: bool,
    /// The peer's own state is stored, too: its key will be there at the next start. Only with `store`.
    pub store_peer: bool,
    /// A publication that came before its predecessor waits this long for it.
    pub gap_wait: Duration,
    /// Bytes of publications per party that may wait for predecessors.
    pub gap_bytes: usize,
    /// Feeds per party whose sequence numbers are remembered.
    pub feeds: usize,
    /// Subscriptions of this peer.
    pub subscriptions: usize,
    /// Life of a peer record.
    pub record_life: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let ms = Duration::from_millis;
        let s = Duration::from_secs;
        Self {
            signalers: Vec::new(),
            homes: 2,
            discover: true,
            name: String::new(),
            agent: concat!("weft/", env!("CARGO_PKG_VERSION")).into(),
            signaler_keepalive: s(18),
            signaler_dead: s(40),
            signaler_timeout: s(10),
            reconnect_first: ms(100),
            reconnect_most: s(5),
            return_every: s(60),
            entry_ttl: s(120),
            entry_refresh: s(40),
            active_view: 5,
            active_slack: 2,
            passive_view: 30,
            shuffle_every: s(60),
            island_probe: s(60),
            presence_members: 64,
            make_room_every: s(1),
            beacon_every: s(10),
            root_dead: s(32),
            digest_wait: ms(100),
            graft_wait: ms(150),
            repair_age: s(120),
            suspect_after: s(1),
            zone: 4,
            search: 5,
            candidate_wait: ms(10),
            candidate_settle: ms(2),
            signal_retry: ms(300),
            signal_give_up: s(10),
            link_backoff: [ms(0), ms(50), ms(500), ms(1000), ms(5000), ms(10_000)],
            link_stable: s(5),
            link_heartbeat: s(10),
            link_dead: s(60),
            ice_restart_after: s(5),
            ice_give_up: s(30),
            forwarded_links: 7,
            direct_retry: s(30),
            direct_retry_most: s(600),
            channel_high: 256 * 1024,
            channel_low: 64 * 1024,
            link_queue: 32 * 1024 * 1024,
            publish_queue: 16 * 1024 * 1024,
            alone_waits: true,
            presence_every: s(10),
            presence_offline: s(20),
            presence_soonest: ms(250),
            message_retry: ms(300),
            message_give_up: s(10),
            message_queue: 64 * 1024 * 1024,
            parts_each: 32 * 1024 * 1024,
            parts_all: 64 * 1024 * 1024,
            parts_idle: s(15),
            message_memory: 4096,
            mail: true,
            collect: true,
            mail_after: s(2),
            mail_soonest: ms(500),
            mail_hold: s(5),
            mail_answer: s(10),
            mail_retry: s(1),
            mail_retry_most: s(120),
            mail_tries: 12,
            mail_renew: s(6 * 3600),
            mail_life: s(7 * 24 * 3600),
            outbox_messages: 1024,
            outbox_bytes: 8 * 1024 * 1024,
            keep_publications: 20_000,
            keep_bytes: 32 * 1024 * 1024,
            keep_age: s(7 * 24 * 3600),
            store: false,
            store_peer: true,
            gap_wait: s(5),
            gap_bytes: 8 * 1024 * 1024,
            feeds: 4096,
            subscriptions: 10_000,
            record_life: s(90 * 24 * 3600),
        }
    }
}
