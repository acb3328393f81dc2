//! What a run found out: the same for the same scenario and seed, on any machine.

use std::collections::BTreeMap;

use serde::Serialize;

/// A whole run. Times are simulated.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the scenario.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Peers at the beginning.
    pub peers: u32,
    /// Signalers.
    pub signalers: u32,
    /// How the swarm came about.
    pub bootstrap: Bootstrap,
    /// What happened then, one entry for each phase.
    pub phases: Vec<PhaseReport>,
    /// The state at the end.
    pub end: Sample,
    /// Where peers are announced and no more: the signalers at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federation: Option<Federation>,
    /// Sums over the whole run.
    pub totals: Totals,
    /// The state of the swarm each second.
    pub timeline: Vec<Sample>,
}

/// How the swarm came about.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bootstrap {
    /// Peers that had a link at the end of the warm-up.
    pub ready: u32,
    /// From a peer's start to its first open link, milliseconds.
    pub first_link_ms: Spread,
    /// From the first start until the swarm was one, seconds, to the whole second; none: not before the first phase.
    pub connected_s: Option<u64>,
    /// The state before the first phase.
    pub swarm: Sample,
    /// Longest of the shortest ways between two peers, links (estimated from below).
    pub diameter: u32,
}

/// The state of the swarm at one time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at_s: u64,
    /// Peers that run.
    pub peers: u32,
    /// Connected components of their open links.
    pub components: u32,
    /// Peers in the largest one.
    pub largest: u32,
    /// Fewest open links of a peer.
    pub degree_min: u32,
    /// Mean of open links.
    pub degree_mean: f64,
    /// Most open links of a peer.
    pub degree_max: u32,
}

/// How values are spread.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Half are not above.
    pub p50: f64,
    /// 95 of 100 are not above.
    pub p95: f64,
    /// 99 of 100 are not above.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of values in any order.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let Some(max) = values.last().copied() else { return Self::default() };
        let at = |percent: usize| values[(values.len() * percent).div_ceil(100).clamp(1, values.len()) - 1];
        Self {
            mean: round(mean(&values)),
            p50: round(at(50)),
            p95: round(at(95)),
            p99: round(at(99)),
            max: round(max),
        }
    }
}

/// Signalers, where peers are announced and no more. Counters are those of the present lives.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Federation {
    /// Peers that have a place in their swarm.
    pub announced: usize,
    /// Swarms.
    pub swarms: usize,
    /// Peers that each signaler has in its table.
    pub known: Spread,
    /// Swarms with members at a signaler that others keep, all signalers together.
    pub watches: usize,
    /// Entries that comparing found missing.
    pub repaired: u64,
    /// Entries that were given to those that keep them now.
    pub handed_over: u64,
    /// Frames between signalers.
    pub sibling_frames: u64,
    /// Bytes in them.
    pub sibling_bytes: u64,
}

/// Questions who is in a swarm.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lookups {
    /// How many were judged.
    pub asked: u64,
    /// Peers that had to be found, and were.
    pub due: u64,
    /// Peers that need not be found: too new, or out of reach as far as anybody could know.
    pub excused: u64,
    /// From a question until all that were due had been found, milliseconds.
    pub found_ms: Spread,
}

/// What a phase found out.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PhaseReport {
    /// Its kind, as in the scenario.
    pub kind: &'static str,
    /// When it began, seconds.
    pub at_s: f64,
    /// In a few words.
    pub note: String,
    /// Of publications, if it published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publications: Option<Publications>,
    /// Of messages, if it sent some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Messages>,
    /// Of questions who is in a swarm, where peers are announced and no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookups: Option<Lookups>,
    /// Seconds until the swarm was one again, if that was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healed_s: Option<u64>,
    /// Every publication, for phases that report them one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
}

/// Of all publications of a phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Publications {
    /// How many were published.
    pub published: u32,
    /// Deliveries that were due: publications times the subscribers that lived all the time.
    pub due: u64,
    /// Deliveries that were not made in time.
    pub missed: u64,
    /// From publication to delivery, milliseconds.
    pub delivery_ms: Spread,
    /// Last delivery of each publication, milliseconds.
    pub last_ms: Spread,
    /// Links to the farthest receiver, of each publication; zeros where peers do not say.
    pub last_hop: Spread,
    /// Links to the farthest receiver at least, of each publication.
    pub floor_hop: Spread,
    /// Last delivery at least, of each publication, milliseconds.
    pub floor_ms: Spread,
    /// Payload transmissions.
    pub frames: u64,
    /// Relative message redundancy of the whole phase: transmissions for each receiver, minus one.
    pub rmr: f64,
    /// The same from the third publication on, for phases that report them one by one.
    pub rmr_settled: f64,
    /// Publications that came again.
    pub duplicates: u64,
    /// Transmissions for each edge of a tree that connects sender and interested peers; 0 if all are interested.
    pub steiner_ratio: f64,
    /// Bytes sent on links that are not payload, for each byte of payload; everything counts as long as the phase lasts.
    pub control_ratio: f64,
    /// Of these only what makes publications find their way: digests, tree and membership.
    pub spreading_ratio: f64,
    /// Bytes sent on links.
    pub bytes: u64,
    /// Bytes of frames, by what they are for.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// One publication.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// When it was published, seconds.
    pub at_s: f64,
    /// By which node.
    pub sender: u32,
    /// Subscribers that lived all the time, the sender not counted.
    pub due: u32,
    /// Those of them that got it.
    pub reached: u32,
    /// Those that did not.
    pub missed: u32,
    /// Payload transmissions.
    pub frames: u64,
    /// Relative message redundancy.
    pub rmr: f64,
    /// Publications that came again.
    pub duplicates: u64,
    /// Links to the farthest receiver, where peers say so.
    pub last_hop: Option<u32>,
    /// Links to a receiver on average, where peers say so.
    pub mean_hop: Option<f64>,
    /// Links to the farthest receiver at least (breadth-first search).
    pub floor_hop: u32,
    /// From publication to delivery, milliseconds.
    pub delivery_ms: Spread,
    /// The last delivery at the earliest, milliseconds (Dijkstra).
    pub floor_ms: f64,
    /// Edges of a tree that connects sender and interested peers, if not all are interested.
    pub steiner: Option<u32>,
}

/// Of all messages of a phase.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Messages {
    /// How many were sent.
    pub sent: u32,
    /// Those that arrived.
    pub arrived: u32,
    /// Those whose sender knows that they arrived.
    pub confirmed: u64,
    /// Those whose sender gave up.
    pub failed: u64,
    /// From sending to arrival, milliseconds.
    pub delivery_ms: Spread,
    /// Latency of the direct way between sender and recipient, milliseconds.
    pub direct_ms: Spread,
    /// Frames that signalers sent meanwhile.
    pub signaler_frames: u64,
    /// Links that a message came over, of those that came over links, where peers say so.
    pub hops: Spread,
    /// Links that these had to come over at least, when they were sent.
    pub shortest: Spread,
    /// Links that messages came over for each that they had to.
    pub stretch: f64,
    /// Messages that came over links.
    pub over_links: u32,
    /// Bytes sent on links meanwhile.
    pub bytes: u64,
    /// Bytes of frames, by what they are for.
    pub kinds: BTreeMap<&'static str, u64>,
}

/// Sums over the whole run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Things that happened at nodes.
    pub events: u64,
    /// Publications given to applications.
    pub deliveries: u64,
    /// Frames that signalers received from peers.
    pub signaler_frames_in: u64,
    /// Frames that signalers sent.
    pub signaler_frames_out: u64,
    /// Bytes that signalers sent.
    pub signaler_bytes_out: u64,
    /// Publications and presences that did not verify, at peers that live.
    pub forged: u64,
    /// Frames that could not be decoded, at peers that live.
    pub malformed: u64,
    /// Warnings of peers that live, by code.
    pub warnings: BTreeMap<String, u64>,
}

/// What a run cost on this machine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// Seconds on the clock, from the first start to the end.
    pub wall_s: f64,
    /// Seconds of that after the warm-up.
    pub phases_s: f64,
    /// Publications given to applications in a second of the phases.
    pub deliveries_per_s: f64,
    /// Things that happened at nodes in a second.
    pub events_per_s: f64,
    /// Most memory that the process had, MiB; 0 where the system does not say.
    pub peak_mib: f64,
    /// Threads.
    pub threads: usize,
}

/// To four places, so that reports stay readable.
pub fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / count(values.len()) }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn count(count: usize) -> f64 {
    count as f64
}

/// A sum as a figure.
#[expect(clippy::cast_precision_loss, reason = "sums are far below 2^53")]
pub fn figure(sum: u64) -> f64 {
    sum as f64
}

/// One divided by another; 0 by nothing.
pub fn ratio(of: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { round(figure(of) / figure(by)) }
}
