//! A scenario being run: the swarm comes about, time passes, and figures are taken.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use weft_peer_core::Stats;
use weft_wire::Time;

use crate::engine::dice::{is_in_share, mix};
use crate::engine::{Dice, NodeId, START, Violation, World};
use crate::graph::Graph;
use crate::measure;
use crate::report::{Bootstrap, Sample, Spread, Totals, count, figure, round};
use crate::scenario::{Scenario, seconds};
use crate::watch::Watches;

/// Links that only one side has open may be found in so many samples, one a second, before that is a violation.
const ASYMMETRIC: u32 = 5;

/// Peers that are interested however small the share is: fewer would be no tree.
const INTERESTED: u32 = 4;

/// How a scenario is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Everything that is random follows from it.
    pub seed: u64,
    /// Threads; 0: one for each core.
    pub threads: usize,
    /// Draw pictures.
    pub draw: bool,
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Failure {
    /// A rule was broken.
    Broken(Violation),
    /// The run could not be made.
    Other(anyhow::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(violation) => write!(f, "{violation}"),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// A scenario being run.
pub struct Run<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The world.
    pub world: World,
    /// Decides who does what.
    pub dice: Dice,
    /// Publications and messages under way.
    pub watches: Watches,
    /// Told what goes on, in a few words.
    progress: &'a mut dyn FnMut(&str),
    next_number: u32,
    pub(crate) timeline: Vec<Sample>,
    asymmetric: BTreeMap<(NodeId, NodeId), u32>,
    next_sample: Time,
    /// Peers that were added, in order.
    added: u32,
    /// Draw pictures.
    pub draw: bool,
    /// Pictures: names, and SVG.
    pub pictures: Vec<(String, String)>,
    /// Who published last, which churn spares.
    pub publisher: Option<NodeId>,
}

/// Sums over peers, to be compared with later ones of the same peers.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Vec<Option<Stats>>);

/// What the peers that live have done since a ledger was made.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Payload transmissions.
    pub frames: u64,
    /// Bytes of those, where peers say so.
    pub payload_bytes: Option<u64>,
    /// Bytes sent on links.
    pub bytes: u64,
    /// Publications that came again.
    pub duplicates: u64,
    /// Bytes of frames, by what they are for.
    pub kinds: BTreeMap<&'static str, u64>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        options: Options,
        progress: &'a mut dyn FnMut(&str),
    ) -> Result<Self, Failure> {
        let world = World::new(
            scenario.laws(),
            options.seed,
            scenario.signalers,
            scenario.peers.saturating_mul(2),
            options.threads,
        )?;
        Ok(Self {
            scenario,
            next_sample: world.now(),
            world,
            dice: Dice::new(options.seed, 12),
            watches: Watches::default(),
            progress,
            next_number: 0,
            timeline: Vec::new(),
            asymmetric: BTreeMap::new(),
            added: 0,
            draw: options.draw,
            pictures: Vec::new(),
            publisher: None,
        })
    }

    pub(crate) fn bootstrap(&mut self) -> Result<Bootstrap, Failure> {
        let began = self.world.now();
        let joining = seconds(self.scenario.join_s);
        for n in 0..self.scenario.peers {
            let at = began + joining.mul_f64(f64::from(n) / f64::from(self.scenario.peers));
            self.join(at);
        }
        self.advance(joining + seconds(self.scenario.warm_up_s))?;
        let starts: Vec<Time> = (0..self.scenario.peers)
            .map(|n| began + joining.mul_f64(f64::from(n) / f64::from(self.scenario.peers)))
            .collect();
        let first = self.scenario.signalers;
        let waits = starts.iter().zip(first..).filter_map(|(start, node)| {
            let ready = self.world.peer(NodeId(node))?.tally.ready_at?;
            Some(ready.since(*start).as_secs_f64() * 1_000.0)
        });
        let waits: Vec<f64> = waits.collect();
        let joined = joining.as_secs();
        let connected = self.timeline.iter().find(|sample| sample.at_s >= joined && sample.components == 1);
        let graph = Graph::of(&self.world, |_| true);
        Ok(Bootstrap {
            ready: u32::try_from(waits.len()).unwrap_or(u32::MAX),
            first_link_ms: Spread::of(waits),
            connected_s: connected.map(|sample| sample.at_s),
            swarm: self.sample(&graph),
            diameter: graph.diameter(),
        })
    }

    /// Adds a peer that starts at a time.
    pub fn join(&mut self, at: Time) -> NodeId {
        let mut config = self.scenario.config();
        self.added += 1;
        config.name = format!("peer {}", self.added);
        let topic = self.scenario.interested.map(|share| {
            let hash = mix(self.dice.roll(), 13);
            // Those who are not interested want one of many other things. The first few always are interested.
            if self.added <= INTERESTED || is_in_share(hash, share) {
                0
            } else {
                1 + u32::try_from(hash % 97).unwrap_or(0)
            }
        });
        self.world.add_peer(config, topic, at)
    }

    /// A number for the next publication or message.
    pub fn number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    /// Honest peers that are awake and have had a link.
    pub fn able(&self) -> Vec<NodeId> {
        let able = self.world.peers().filter(|(id, peer)| {
            !peer.is_hostile() && peer.tally.ready_at.is_some() && !self.world.is_asleep(*id)
        });
        able.map(|(id, _)| id).collect()
    }

    /// A share of the peers that live, at random.
    pub fn some(&mut self, share: f64) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = self.world.peers().map(|(id, _)| id).collect();
        self.dice.shuffle(&mut all);
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a count of peers")]
        let some = (count(all.len()) * share.clamp(0.0, 1.0)).round() as usize;
        all.truncate(some);
        all.sort_unstable();
        all
    }

    /// Tells what goes on.
    pub fn tell(&mut self, text: &str) {
        let line = format!("{:>7.1} s  {text}", self.elapsed_s());
        (self.progress)(&line);
    }

    /// Simulated seconds since the beginning.
    pub fn elapsed_s(&self) -> f64 {
        round(self.world.now().since(START).as_secs_f64())
    }

    /// Lets time pass, looks at the swarm each second, and takes what applications saw.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn advance(&mut self, time: Duration) -> Result<(), Failure> {
        let until = self.world.now() + time;
        while self.world.now() < until {
            let stop = until.min(self.next_sample);
            self.world.run_until(stop)?;
            if self.world.now() >= self.next_sample {
                self.next_sample = self.next_sample + Duration::from_secs(1);
                self.look()?;
            }
        }
        self.watches.collect(&mut self.world);
        Ok(())
    }

    fn look(&mut self) -> Result<(), Failure> {
        self.watches.collect(&mut self.world);
        let graph = Graph::of(&self.world, |_| true);
        let sample = self.sample(&graph);
        let line = format!(
            "{} peers, {} components, degree {}..{} mean {:.1}",
            sample.peers, sample.components, sample.degree_min, sample.degree_max, sample.degree_mean
        );
        if sample.at_s.is_multiple_of(5) {
            self.tell(&line);
        }
        self.timeline.push(sample);
        self.check_symmetry()
    }

    /// Both sides of a link agree that it is there; for a moment they need not.
    fn check_symmetry(&mut self) -> Result<(), Failure> {
        let mut found = BTreeMap::new();
        let now = self.world.now();
        for (id, peer) in
            self.world.peers().filter(|(id, peer)| !peer.is_hostile() && !self.world.is_asleep(*id))
        {
            for other in &peer.tally.neighbours {
                let Some(there) = self.world.peer(*other) else { continue };
                if there.is_hostile()
                    || self.world.is_asleep(*other)
                    || self.world.network().cut_until(now, id, *other).is_some()
                    || there.tally.neighbours.binary_search(&id).is_ok()
                {
                    continue;
                }
                let times = self.asymmetric.get(&(id, *other)).copied().unwrap_or(0) + 1;
                if times > ASYMMETRIC {
                    let what = format!("has a link to node {} that is not there at its side", other.0);
                    return Err(Violation { at: now, node: id, what }.into());
                }
                found.insert((id, *other), times);
            }
        }
        self.asymmetric = found;
        Ok(())
    }

    /// The state of the swarm.
    pub fn sample(&self, graph: &Graph) -> Sample {
        let whole = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let degrees = || graph.links.iter().map(Vec::len);
        let components = graph.components();
        let ends: usize = degrees().sum();
        Sample {
            at_s: self.world.now().since(START).as_secs(),
            peers: whole(graph.len()),
            components: whole(components.len()),
            largest: whole(components.first().copied().unwrap_or(0)),
            degree_min: whole(degrees().min().unwrap_or(0)),
            degree_mean: round(count(ends) / count(graph.len().max(1))),
            degree_max: whole(degrees().max().unwrap_or(0)),
        }
    }

    /// The figures of all peers as they are now.
    pub fn ledger(&self) -> Ledger {
        let mut stats = vec![None; self.world.nodes() as usize];
        for (id, peer) in self.world.peers() {
            stats[id.index()] = Some(peer.peer.stats());
        }
        Ledger(stats)
    }

    /// What peers that live now have done since.
    pub fn change(&self, since: &Ledger) -> Change {
        let mut change = Change::default();
        let mut payload = 0;
        let mut known = true;
        for (id, peer) in self.world.peers() {
            let before = since.0.get(id.index()).copied().flatten().unwrap_or_default();
            let now = peer.peer.stats();
            change.frames += measure::payload_frames(&now).saturating_sub(measure::payload_frames(&before));
            change.bytes += measure::sent_bytes(&now).saturating_sub(measure::sent_bytes(&before));
            for ((kind, now), (_, before)) in measure::kinds(&now).into_iter().zip(measure::kinds(&before)) {
                *change.kinds.entry(kind).or_default() += now.saturating_sub(before);
            }
            change.duplicates += now.duplicates.saturating_sub(before.duplicates);
            match (measure::payload_bytes(&now), measure::payload_bytes(&before)) {
                (Some(now), Some(before)) => payload += now.saturating_sub(before),
                _ => known = false,
            }
        }
        change.payload_bytes = known.then_some(payload);
        change
    }

    /// Frames that signalers have sent since the start.
    pub fn signaler_frames(&self) -> u64 {
        self.world.signalers().map(|signaler| signaler.counters().sent_frames).sum()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            simulated_s: self.elapsed_s(),
            events: self.world.events(),
            signaler_frames_out: self.signaler_frames(),
            ..Totals::default()
        };
        for signaler in self.world.signalers() {
            totals.signaler_frames_in += signaler.counters().peer_frames;
            totals.signaler_bytes_out += signaler.counters().sent_bytes;
        }
        for (_, peer) in self.world.peers() {
            let stats = peer.peer.stats();
            totals.forged += stats.forged;
            totals.malformed += stats.malformed;
            totals.deliveries += peer.tally.delivered;
            for (code, times) in &peer.tally.warnings {
                *totals.warnings.entry((*code).to_owned()).or_default() += times;
            }
        }
        totals
    }

    /// Applications got so many publications since the start, as far as the peers live.
    pub fn deliveries(&self) -> f64 {
        figure(self.world.peers().map(|(_, peer)| peer.tally.delivered).sum())
    }
}
