//! Scenarios: TOML files that say who takes part, over which network, and what happens.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::engine::{Laws, Vice};

/// Who takes part and what happens to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// Peers at the beginning.
    pub peers: u32,
    /// Signalers, federated with each other.
    #[serde(default = "two")]
    pub signalers: u32,
    /// Peers join one after another within this many seconds.
    pub join_s: f64,
    /// Seconds from the last join to the first phase.
    pub warm_up_s: f64,
    /// The network.
    #[serde(default)]
    pub network: NetworkTable,
    /// What differs from a peer's default configuration.
    #[serde(default)]
    pub peer: PeerTable,
    /// Share of the peers that subscribe to topic 0, which is what is published; the others subscribe to another one.
    /// Not given: everybody subscribes to everything.
    pub interested: Option<f64>,
    /// Peers announce themselves and do nothing else, in small swarms. Not given: they are one swarm, with links.
    pub announced: Option<Announced>,
    /// What happens, one after another.
    #[serde(default)]
    pub phase: Vec<Phase>,
}

/// Peers that only announce themselves.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    /// Peers in each swarm.
    pub members: u32,
    /// Of three signalers one has a clock that is ahead by so many seconds, one is behind.
    #[serde(default)]
    pub skew_s: f64,
}

fn two() -> u32 {
    2
}

/// The network, as in a scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkTable {
    /// Least and most latency between peers, one way, milliseconds.
    pub link_ms: [f64; 2],
    /// Least and most latency to signalers, one way, milliseconds.
    pub signaler_ms: [f64; 2],
    /// Most jitter of a message, milliseconds.
    pub jitter_ms: f64,
    /// Share of messages that need a retransmission.
    pub loss: f64,
    /// Bytes per second of a link in each direction; 0: no bound.
    pub bandwidth: u64,
    /// Share of pairs between which no connection comes about.
    pub unreachable: f64,
}

impl Default for NetworkTable {
    fn default() -> Self {
        Self {
            link_ms: [10.0, 50.0],
            signaler_ms: [10.0, 30.0],
            jitter_ms: 0.0,
            loss: 0.0,
            bandwidth: 0,
            unreachable: 0.0,
        }
    }
}

/// What a scenario changes of `weft_peer_core::Config`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerTable {
    /// Signalers that each peer is connected to.
    pub homes: usize,
    /// Links that a peer seeks.
    pub active_view: Option<usize>,
    /// Further links that it accepts.
    pub active_slack: Option<usize>,
    /// Members that it remembers.
    pub passive_view: Option<usize>,
    /// Publications that it keeps.
    pub keep_publications: usize,
    /// Bytes of publications that it keeps.
    pub keep_bytes: usize,
    /// Feeds whose sequence numbers it remembers.
    pub feeds: Option<usize>,
    /// Seconds between its presences.
    pub presence_every_s: Option<f64>,
    /// Seconds after which a peer without presence is offline.
    pub presence_offline_s: Option<f64>,
}

impl Default for PeerTable {
    fn default() -> Self {
        Self {
            homes: 1,
            active_view: None,
            active_slack: None,
            passive_view: None,
            keep_publications: 256,
            keep_bytes: 256 * 1024,
            feeds: None,
            presence_every_s: None,
            presence_offline_s: None,
        }
    }
}

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// The same peer in each round.
    Single,
    /// Another one in each round.
    Random,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Phase {
    /// One publication after another, each reported.
    Broadcast {
        /// How many.
        rounds: u32,
        /// From one to the next, milliseconds.
        every_ms: u64,
        /// Who publishes.
        sender: Sender,
        /// Encoded size of each document.
        #[serde(default = "small_document")]
        body_bytes: usize,
    },
    /// One sender publishes steadily; reported as a whole.
    Stream {
        /// Documents per second.
        rate: f64,
        /// For how long.
        seconds: f64,
        /// Encoded size of each document.
        #[serde(default = "small_document")]
        body_bytes: usize,
    },
    /// Peers are gone from one moment to the next, without a word.
    Crash {
        /// Share of those that live.
        #[serde(default)]
        share: f64,
        /// Or how many.
        #[serde(default)]
        count: u32,
    },
    /// Peers come and go: half of those that go crash, the others say goodbye.
    Churn {
        /// Share that is replaced in each minute.
        per_minute: f64,
        /// For how long.
        minutes: f64,
        /// Milliseconds between publications of random senders.
        publish_every_ms: u64,
        /// Encoded size of each document.
        #[serde(default = "small_document")]
        body_bytes: usize,
        /// Milliseconds between messages of random pairs; none if 0.
        #[serde(default)]
        message_every_ms: u64,
    },
    /// Groups of peers do not reach each other for a time.
    Partition {
        /// How many groups.
        groups: u64,
        /// For how long.
        seconds: f64,
        /// Signalers are divided as well.
        #[serde(default)]
        signalers: bool,
    },
    /// Messages between random pairs.
    Messages {
        /// How many.
        count: u32,
        /// From one to the next, milliseconds.
        every_ms: u64,
        /// Encoded size of each document.
        #[serde(default = "small_document")]
        body_bytes: usize,
    },
    /// Some peers turn on the others.
    Hostile {
        /// Share of those that live.
        share: f64,
        /// How.
        vice: ViceName,
    },
    /// Tabs go to the background for a time.
    Suspend {
        /// Share of those that live.
        share: f64,
        /// For how long; the phase does not wait for the end.
        seconds: f64,
    },
    /// Time passes.
    Wait {
        /// How much.
        seconds: f64,
    },
    /// Signalers end and start again, some at a time. Only where peers are announced.
    Restarts {
        /// How often.
        rounds: u32,
        /// How many at a time.
        at_once: u32,
        /// For how long they do not run, seconds.
        down_s: f64,
        /// Seconds from their start to the next round.
        between_s: f64,
        /// Share of the rounds in which they say goodbye; in the others they crash.
        graceful: f64,
    },
    /// Time passes until everybody is connected to everybody again; a violation if that takes longer than it may.
    Heal {
        /// How long it may take.
        within_s: f64,
    },
}

impl Phase {
    /// Its kind, as in a scenario.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Broadcast { .. } => "broadcast",
            Self::Stream { .. } => "stream",
            Self::Crash { .. } => "crash",
            Self::Churn { .. } => "churn",
            Self::Partition { .. } => "partition",
            Self::Messages { .. } => "messages",
            Self::Hostile { .. } => "hostile",
            Self::Suspend { .. } => "suspend",
            Self::Wait { .. } => "wait",
            Self::Heal { .. } => "heal",
            Self::Restarts { .. } => "restarts",
        }
    }
}

/// [`Vice`], as in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViceName {
    /// See [`Vice::Alter`].
    Alter,
    /// See [`Vice::Silent`].
    Silent,
    /// See [`Vice::Noise`].
    Noise,
    /// See [`Vice::Repeat`].
    Repeat,
    /// See [`Vice::Boast`].
    Boast,
    /// See [`Vice::Usurp`].
    Usurp,
}

impl From<ViceName> for Vice {
    fn from(name: ViceName) -> Self {
        match name {
            ViceName::Alter => Self::Alter,
            ViceName::Silent => Self::Silent,
            ViceName::Noise => Self::Noise,
            ViceName::Repeat => Self::Repeat,
            ViceName::Boast => Self::Boast,
            ViceName::Usurp => Self::Usurp,
        }
    }
}

fn small_document() -> usize {
    256
}

impl Scenario {
    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// Says which file, and what is wrong where.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the scenario {} cannot be read", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&name, &text).with_context(|| format!("the scenario {} is wrong", path.display()))
    }

    /// Reads a scenario from text.
    ///
    /// # Errors
    /// Says what is wrong where.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut scenario: Self = toml::from_str(text)?;
        name.clone_into(&mut scenario.name);
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<()> {
        if self.peers < 2 || self.signalers < 1 {
            bail!("at least 2 peers and 1 signaler are needed");
        }
        for (what, [low, high]) in
            [("link_ms", self.network.link_ms), ("signaler_ms", self.network.signaler_ms)]
        {
            if !(low >= 1.0 && high >= low) {
                bail!("{what} = [{low}, {high}] is no range of milliseconds from 1 on");
            }
        }
        let shares = [
            ("loss", self.network.loss),
            ("unreachable", self.network.unreachable),
            ("interested", self.interested.unwrap_or(0.0)),
        ];
        for (what, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                bail!("{what} = {share} is no share from 0 to 1");
            }
        }
        Ok(())
    }

    /// Makes everything that is counted or lasts smaller by a factor, for a quick look. What takes its time whatever the
    /// size, as partitions do, keeps it.
    pub fn scale(&mut self, by: f64) {
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "small counts")]
        let fewer = |count: &mut u32| *count = (f64::from(*count) * by).ceil() as u32;
        for phase in &mut self.phase {
            match phase {
                Phase::Broadcast { rounds, .. } | Phase::Restarts { rounds, .. } => fewer(rounds),
                Phase::Messages { count, .. } => fewer(count),
                Phase::Stream { seconds, .. } => *seconds *= by,
                Phase::Churn { minutes, .. } => *minutes *= by,
                _ => {}
            }
        }
    }

    /// The laws of its network.
    pub fn laws(&self) -> Laws {
        let range = |[low, high]: [f64; 2]| (millis(low), millis(high));
        Laws {
            link: range(self.network.link_ms),
            socket: range(self.network.signaler_ms),
            jitter: millis(self.network.jitter_ms),
            loss: self.network.loss,
            bandwidth: self.network.bandwidth,
            unreachable: self.network.unreachable,
            skew: Duration::ZERO,
        }
    }

    /// The configuration of its peers, signalers left out.
    pub fn config(&self) -> weft_peer_core::Config {
        let (mut config, table) = (weft_peer_core::Config::default(), &self.peer);
        config.homes = table.homes;
        config.keep_publications = table.keep_publications;
        config.keep_bytes = table.keep_bytes;
        config.active_view = table.active_view.unwrap_or(config.active_view);
        config.active_slack = table.active_slack.unwrap_or(config.active_slack);
        config.passive_view = table.passive_view.unwrap_or(config.passive_view);
        config.feeds = table.feeds.unwrap_or(config.feeds);
        config.presence_every = table.presence_every_s.map_or(config.presence_every, seconds);
        config.presence_offline = table.presence_offline_s.map_or(config.presence_offline, seconds);
        config
    }
}

/// Seconds as a duration; nothing for what is none.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn millis(millis: f64) -> Duration {
    seconds(millis / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "about = 'a test'\npeers = 10\njoin_s = 1\nwarm_up_s = 2\n";

    #[test]
    fn what_is_not_known_is_an_error_that_says_where() {
        assert!(Scenario::parse("good", GOOD).is_ok());
        let error = Scenario::parse("bad", &format!("{GOOD}piers = 3\n")).unwrap_err();
        assert!(format!("{error:#}").contains("piers"), "{error:#}");
        let error =
            Scenario::parse("bad", &format!("{GOOD}[[phase]]\nkind = 'crash'\nshard = 1.0\n")).unwrap_err();
        assert!(format!("{error:#}").contains("shard"), "{error:#}");
    }

    #[test]
    fn ranges_and_shares_are_checked() {
        for wrong in ["[network]\nlink_ms = [50, 10]", "[network]\nloss = 2.0", "interested = -1.0"] {
            assert!(Scenario::parse("bad", &format!("{GOOD}{wrong}\n")).is_err(), "{wrong}");
        }
    }
}
