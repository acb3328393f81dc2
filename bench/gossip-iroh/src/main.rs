//! iroh-gossip 0.101.0 in its own simulator, for `cargo xtask bench gossip`: one case, one line of JSON.
//!
//! Peers, protocol, links, events, bootstrap and crash are upstream's (`iroh_gossip::proto::sim`); its configuration is
//! the default (active view 5, passive 30, shuffles each 60 s, IHAVEs gathered for 5 ms, grafts after 80 ms and then each 40 ms).
//! Only the loop of a round is ours, because upstream's `gossip_round` tells no more than means over all rounds, panics
//! when a message of a round that ended early comes in a later one, and does not say when the last delivery was if one is
//! missing. It sends the same, ends at the same event and counts the same; the test below runs both.
//!
//! What a comparison has to know of upstream's simulator:
//!
//! - **Links.** A latency is drawn once for each pair of peers, uniformly, and is the same in both directions and for all
//!   messages. Nothing is lost, nothing takes bandwidth or time to compute, nothing has to be connected first.
//! - **Bootstrap.** `--contacts` peers join by peer 0 at the same instant; 7 times the greatest latency later all others
//!   at the same instant, each by a random one of these; 20 times the greatest latency later the rounds begin, which is
//!   1,350 ms of simulated time in all. The contacts decide the overlay's diameter: with 1, as in upstream's tests, the LDH of
//!   10,000 peers is 32 to 44 in the first round, with 20 it is 17 to 19, with 100 some 16. Ours has to join alike.
//!   No shuffle happens in that time, nor before 60,000 simulated ms, which these rounds hardly reach: what a crash finds in the passive
//!   views is what the joins have left there.
//! - **End of a round.** At the very event that delivers the last missing message; if one stays missing, after 5,000 ms.
//!   Nothing is drained: the next round begins at that instant, with duplicates, IHAVEs and prunes of the one before
//!   still under way. They arrive in the next round and count there, so the first round counts too few payloads.
//! - **First round.** All links of a new tree are eager: it floods, and its prunes make the tree. The means leave it out.
//! - **RMR.** Payloads received, of any message, per delivery, less 1. Upstream divides by one less than the deliveries
//!   ("rmr_upstream"): 0.001 more at 1,000 peers, and senseless if almost nothing is delivered.
//! - **LDH.** The greatest hop of a delivery, where neighbours of the sender have hop 0: links passed are one more.
//! - **Crash.** Peers vanish between two events, in no simulated time. What they have sent still arrives. Each open
//!   connection is closed, and the other side is told one latency of that link and 1 us later: 10 to 50 ms, as if every
//!   crash reset its connections; there is no keep-alive to wait for. Connections are those over which a message was
//!   received since they were last closed. A crashed peer in a passive view is not known to be one: a request to it is
//!   lost, and given up after 500 ms. The next round begins at the instant of the crash, before anybody knows of it.
//! - **Missed.** Survivors without the message when the round ends. Crashed peers are not expected to have it.

mod kinds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use iroh_gossip::proto::sim::{BootstrapMode, LatencyConfig, NetworkConfig, Simulator, SimulatorConfig};
use iroh_gossip::proto::{Command, Config, Event, Scope, TopicId};
use kinds::Kinds;
use serde::Serialize;

/// The simulator's only topic.
const TOPIC: TopicId = TopicId::from_bytes([0; 32]);
/// Bounds of a link's latency, milliseconds.
const LATENCY: (u64, u64) = (10, 50);
/// A round in which a message stays missing ends after this: the default of upstream's simulator.
const ROUND: Duration = Duration::from_secs(5);

/// iroh-gossip in its own simulator.
#[derive(Parser)]
struct Options {
    /// Peers at the start
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(3..))]
    peers: u32,
    /// Seed of everything drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Broadcasts, one after the other; with a crash, so many before it and so many after it
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    rounds: u32,
    /// Who sends, and whether peers crash
    #[arg(long, value_enum, default_value_t = Case::Single)]
    case: Case,
    /// Share of the peers that crash
    #[arg(long, default_value_t = 0.3)]
    share: f64,
    /// Peers that join first; the others then ask one of them each. 1: all ask peer 0
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    contacts: u64,
    /// Count the messages by kind; times on the clock mean nothing then
    #[arg(long)]
    kinds: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    /// One random peer sends all messages
    Single,
    /// A random peer sends, another one in each round
    Rotating,
    /// The same, and between two rounds a share of the peers crashes at once
    Crash,
}

/// The line on standard output.
#[derive(Serialize)]
struct Report {
    case: Case,
    peers: u32,
    seed: u64,
    crashed: u32,
    bootstrap: Bootstrap,
    phases: Vec<Phase>,
    end: Overlay,
    wall: Wall,
}

#[derive(Serialize)]
struct Bootstrap {
    contacts: u64,
    simulated_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Rounds between which nothing crashes.
#[derive(Serialize)]
struct Phase {
    name: &'static str,
    /// At the instant of the first broadcast, so that after a crash it is what the crash has left.
    overlay: Overlay,
    rounds: Vec<Round>,
    mean: Means,
    /// Without the first round.
    mean_warm: Means,
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<serde_json::Map<String, serde_json::Value>>,
}

/// One broadcast.
#[derive(Clone, Serialize)]
struct Round {
    /// Payloads received per delivery, less 1; null without a delivery.
    rmr: Option<f64>,
    rmr_upstream: f64,
    /// Hop of the latest delivery by hops; the sender's neighbours have 0.
    ldh: u16,
    /// From the broadcast to the last delivery.
    last_ms: f64,
    /// From the broadcast to the end of the round.
    ended_ms: f64,
    missed: u32,
    delivered: u32,
    /// Deliveries of earlier messages.
    late: u32,
    payloads: u64,
    /// IHAVE, GRAFT and PRUNE.
    control: u64,
    /// HyParView's messages.
    membership: u64,
}

#[derive(Serialize)]
struct Means {
    rmr: f64,
    ldh: f64,
    last_ms: f64,
    missed: f64,
    control: f64,
    membership: f64,
}

/// The links of the survivors.
#[derive(Serialize)]
struct Overlay {
    peers: u32,
    /// Mean and greatest size of an active view, with crashed peers in it.
    degree_mean: f64,
    degree_max: usize,
    /// Crashed peers that are still in active views.
    dead: u32,
    /// Peers without a neighbour that is alive.
    isolated: u32,
    /// Peers that no path connects with the greatest part of the overlay; the isolated ones are among them.
    outside: u32,
}

#[derive(Serialize)]
struct Wall {
    bootstrap_seconds: f64,
    rounds_seconds: f64,
    deliveries_per_second: f64,
    /// The same of the processor, which the machine's other work disturbs less; null where the system does not say.
    #[serde(rename = "deliveries_per_cpu_second")]
    per_cpu: Option<f64>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ensure!((0.0..1.0).contains(&options.share), "--share is from 0 to 1");
    let kinds = if options.kinds { Some(Kinds::install()?) } else { None };
    serde_json::to_writer(std::io::stdout().lock(), &run(&options, kinds.as_ref()))?;
    Ok(())
}

fn simulator(peers: u32, seed: u64) -> Simulator {
    let config = SimulatorConfig { rng_seed: seed, peers: peers as usize, gossip_round_timeout: ROUND };
    let latency = LatencyConfig::random_ms(LATENCY.0, LATENCY.1);
    Simulator::new(config, NetworkConfig { latency, proto: Config::default() })
}

fn run(options: &Options, kinds: Option<&Kinds>) -> Report {
    let mut simulator = simulator(options.peers, options.seed);
    let started = Instant::now();
    simulator.bootstrap(match options.contacts {
        1 => BootstrapMode::Single,
        count => BootstrapMode::Set { count },
    });
    let bootstrap_s = started.elapsed();
    let bootstrap = Bootstrap {
        simulated_ms: ms(simulator.network.elapsed()),
        contacts: options.contacts,
        kinds: kinds.map(Kinds::take),
    };

    let mut rounds = Rounds { simulator, sent: 0, clock: Duration::ZERO, cpu: Some(Duration::ZERO) };
    let mut phases = Vec::new();
    let mut crashed = 0;
    if options.case == Case::Crash {
        phases.push(rounds.phase("before", options, kinds));
        crashed = share(options.peers, options.share);
        rounds.simulator.remove_peers(crashed as usize);
        phases.push(rounds.phase("after", options, kinds));
    } else {
        phases.push(rounds.phase("rounds", options, kinds));
    }
    let delivered: u32 = phases.iter().flat_map(|phase| &phase.rounds).map(|round| round.delivered).sum();
    Report {
        case: options.case,
        peers: options.peers,
        seed: options.seed,
        crashed,
        bootstrap,
        end: overlay(&rounds.simulator),
        wall: Wall {
            bootstrap_seconds: bootstrap_s.as_secs_f64(),
            rounds_seconds: rounds.clock.as_secs_f64(),
            deliveries_per_second: f64::from(delivered) / rounds.clock.as_secs_f64(),
            per_cpu: rounds.cpu.map(|cpu| f64::from(delivered) / cpu.as_secs_f64()),
        },
        phases,
    }
}

struct Rounds {
    simulator: Simulator,
    /// Messages so far.
    sent: u32,
    /// Time that the simulator took for all rounds.
    clock: Duration,
    /// The same of the processor.
    cpu: Option<Duration>,
}

impl Rounds {
    fn phase(&mut self, name: &'static str, options: &Options, kinds: Option<&Kinds>) -> Phase {
        let mut rounds = Vec::new();
        let overlay = overlay(&self.simulator);
        let single = (options.case == Case::Single).then(|| self.simulator.random_peer());
        for _ in 0..options.rounds {
            let sender = single.unwrap_or_else(|| self.simulator.random_peer());
            rounds.push(self.round(sender));
        }
        Phase {
            name,
            mean: means(&rounds),
            mean_warm: means(&rounds[1..]),
            kinds: kinds.map(Kinds::take),
            overlay,
            rounds,
        }
    }

    /// `Simulator::gossip_round` with one message, told in full.
    fn round(&mut self, sender: u64) -> Round {
        let message = Bytes::from(format!("m{}", self.sent));
        self.sent += 1;
        let before = self.counted();
        let expected = u32::try_from(self.simulator.peer_count()).unwrap_or(u32::MAX) - 1;
        let network = &mut self.simulator.network;
        let start = network.elapsed();
        let since = |instant: Duration| instant.saturating_sub(start);

        let (clock, cpu) = (Instant::now(), on_cpu());
        network.command(sender, TOPIC, Command::Broadcast(message.clone(), Scope::Swarm));
        let (mut delivered, mut late, mut farthest, mut last) = (0, 0, None, start);
        while delivered < expected {
            let mut received = None;
            // Until the next delivery: only between events does the network say what time it is.
            network.run_while_with_timeout(ROUND.saturating_sub(since(network.elapsed())), |_, _, event| {
                if let Event::Received(event) = event {
                    received = Some(event);
                }
                received.is_none()
            });
            match received {
                None => break,
                Some(event) if event.content == message => {
                    delivered += 1;
                    last = network.elapsed();
                    farthest = farthest.max(Some(event.scope));
                }
                Some(_) => late += 1,
            }
        }
        self.clock += clock.elapsed();
        let spent = cpu.zip(on_cpu()).map(|(before, after)| after.saturating_sub(before));
        self.cpu = self.cpu.zip(spent).map(|(sum, spent)| sum + spent);

        let ended = self.simulator.network.elapsed();
        let after = self.counted();
        let payloads = after.payloads - before.payloads;
        let control = after.control - before.control;
        let deliveries = f64::from(delivered);
        Round {
            rmr: (delivered > 0).then(|| float(payloads) / deliveries - 1.0),
            rmr_upstream: float(payloads) / (deliveries - 1.0) - 1.0,
            // The number of hops is private, but not its encoding: {"Swarm": hops}.
            ldh: farthest
                .and_then(|scope| serde_json::to_value(scope).ok())
                .and_then(|scope| scope.get("Swarm")?.as_u64()?.try_into().ok())
                .unwrap_or_default(),
            last_ms: ms(since(last)),
            ended_ms: ms(since(ended)),
            missed: expected - delivered,
            delivered,
            late,
            payloads,
            control,
            membership: (after.all - before.all) - payloads - control,
        }
    }

    /// Messages that the peers alive have received so far.
    fn counted(&self) -> Counted {
        let mut sum = Counted::default();
        for state in self.simulator.network.peer_states().filter_map(|peer| peer.state(&TOPIC)) {
            sum.payloads += state.gossip_stats().payload_messages_received;
            sum.control += state.gossip_stats().control_messages_received;
            sum.all += state.stats().messages_received as u64;
        }
        sum
    }
}

#[derive(Default)]
struct Counted {
    payloads: u64,
    control: u64,
    all: u64,
}

fn means(rounds: &[Round]) -> Means {
    let mean = |of: &dyn Fn(&Round) -> Option<f64>| {
        let values: Vec<f64> = rounds.iter().filter_map(of).collect();
        values.iter().sum::<f64>() / float(values.len() as u64)
    };
    Means {
        rmr: mean(&|round| round.rmr),
        ldh: mean(&|round| Some(f64::from(round.ldh))),
        last_ms: mean(&|round| Some(round.last_ms)),
        missed: mean(&|round| Some(f64::from(round.missed))),
        control: mean(&|round| Some(float(round.control))),
        membership: mean(&|round| Some(float(round.membership))),
    }
}

fn overlay(simulator: &Simulator) -> Overlay {
    let network = &simulator.network;
    let views: BTreeMap<u64, Vec<u64>> =
        network.peer_ids().map(|id| (id, network.neighbors(&id, &TOPIC).unwrap_or_default())).collect();
    let mut links: BTreeMap<u64, Vec<u64>> = views.keys().map(|id| (*id, Vec::new())).collect();
    let (mut dead, mut isolated) = (0, 0);
    for (id, view) in &views {
        let alive: Vec<u64> = view.iter().copied().filter(|other| views.contains_key(other)).collect();
        dead += count(view.len() - alive.len());
        isolated += u32::from(alive.is_empty());
        for other in alive {
            links.entry(*id).or_default().push(other);
            links.entry(other).or_default().push(*id);
        }
    }
    let degrees: usize = views.values().map(Vec::len).sum();
    Overlay {
        peers: count(views.len()),
        degree_mean: float(degrees as u64) / float(views.len() as u64),
        degree_max: views.values().map(Vec::len).max().unwrap_or_default(),
        dead,
        isolated,
        outside: count(views.len() - greatest_part(&links)),
    }
}

/// Peers of the greatest part of the overlay in which there is a path from each to each.
fn greatest_part(links: &BTreeMap<u64, Vec<u64>>) -> usize {
    let mut left: BTreeSet<u64> = links.keys().copied().collect();
    let mut greatest = 0;
    while let Some(first) = left.pop_first() {
        let (mut reached, mut pending) = (1, vec![first]);
        while let Some(peer) = pending.pop() {
            for other in links.get(&peer).into_iter().flatten() {
                if left.remove(other) {
                    reached += 1;
                    pending.push(*other);
                }
            }
        }
        greatest = greatest.max(reached);
    }
    greatest
}

fn share(peers: u32, share: f64) -> u32 {
    (0..peers)
        .take_while(|crashed| f64::from(*crashed) + 0.5 < f64::from(peers) * share)
        .last()
        .map_or(0, |last| last + 1)
}

/// Time that this program, which has one thread, has had on a processor: Linux says it in nanoseconds.
fn on_cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split_whitespace().next()?.parse().ok()?))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Counts here are far from where a float is no longer exact.
fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, upstream: f32) -> bool {
        (ours - f64::from(upstream)).abs() < 1e-3
    }

    #[test]
    fn a_round_is_the_one_of_upstream() {
        for case in [Case::Single, Case::Rotating] {
            let options =
                Options { peers: 300, seed: 3, rounds: 8, case, share: 0.0, contacts: 5, kinds: false };
            let ours = run(&options, None);
            let mut upstream = simulator(options.peers, options.seed);
            upstream.bootstrap(BootstrapMode::Set { count: options.contacts });
            let single = upstream.random_peer();
            for at in 0..options.rounds {
                let sender = match case {
                    Case::Rotating if at > 0 => upstream.random_peer(),
                    _ => single,
                };
                upstream.gossip_round(vec![(sender, Bytes::from(format!("m{at}")))]);
            }
            let (ours, upstream) = (&ours.phases[0], upstream.round_stats_average().mean);
            let rmr = ours.rounds.iter().map(|round| round.rmr_upstream).sum::<f64>()
                / float(ours.rounds.len() as u64);
            assert!(close(rmr, upstream.rmr), "{rmr} {upstream}");
            assert!(close(ours.mean.ldh, upstream.ldh), "{} {upstream}", ours.mean.ldh);
            assert!(close(ours.mean.missed, upstream.missed), "{} {upstream}", ours.mean.missed);
            assert!(
                (ours.mean.last_ms - ms(upstream.duration)).abs() < 1e-3,
                "{} {upstream}",
                ours.mean.last_ms
            );
        }
    }

    #[test]
    fn a_share_of_the_peers() {
        assert_eq!(share(1_000, 0.3), 300);
        assert_eq!(share(10_000, 0.8), 8_000);
        assert_eq!(share(10, 0.0), 0);
    }
}
