//! Relayed messages: how many per CPU-second of the server, and how long they take.
//!
//! One round starts each server in turn, opens 2,000 connections in swarms of 8, and measures three stretches: warming
//! up (not counted), many pairs at once, one pair alone. Ratios are taken within a round and their median is what counts:
//! machines drift from minute to minute, a round lasts half a minute.

use std::time::Duration;

use crate::Common;
use crate::client::{Client, Stretch};
use crate::figures::{Figure, percentile, say};
use crate::server::{Kind, Server, own_cpu};
use crate::wire::{Mode, SWARM};

/// Connections to each server.
const CONNECTIONS: usize = 2_000;
/// Pairs that exchange at once, unicast: everybody.
const UNICAST_PAIRS: usize = 1_000;
/// Pairs that exchange at once, fan-out.
const FANOUT_PAIRS: usize = 64;
/// An answer later than that, with nothing else going on, was held back by something (Nagle: 40 ms).
const HELD: Duration = Duration::from_millis(5);

/// Who exchanges with whom, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Case {
    /// Everybody with a neighbour.
    Unicast,
    /// In 16 swarms of 8, all of whose members are busy: what is queued for one of them can share a write.
    Fanout,
    /// In 64 swarms of 8, one pair in each: nothing to share.
    Apart,
}

impl Case {
    fn mode(self) -> Mode {
        if self == Self::Unicast { Mode::Unicast } else { Mode::Fanout }
    }

    fn servers(self) -> &'static [Kind] {
        match self {
            Self::Unicast => &[Kind::Weft, Kind::Floor, Kind::Tracker, Kind::Peerjs, Kind::Matchbox],
            Self::Fanout | Self::Apart => &[Kind::Weft, Kind::Floor, Kind::YWebrtc],
        }
    }

    fn pairs(self) -> usize {
        if self == Self::Unicast { UNICAST_PAIRS } else { FANOUT_PAIRS }
    }

    fn pair(self, pair: usize) -> (usize, usize) {
        match self {
            Self::Unicast | Self::Fanout => (2 * pair, 2 * pair + 1),
            Self::Apart => (SWARM * pair, SWARM * pair + 1),
        }
    }
}

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// One case instead of all three
    #[arg(long)]
    case: Option<Case>,
    /// Interleaved rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds that each stretch is measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// Measures, and prints a table for each mode.
pub(crate) fn run(common: &Common, options: &Options) -> anyhow::Result<()> {
    let (rounds, seconds) = if common.quick { (1, 0.5) } else { (options.rounds, options.seconds) };
    let lasting = Duration::from_secs_f64(seconds);
    for case in [Case::Unicast, Case::Fanout, Case::Apart] {
        if options.case.is_some_and(|only| only != case) {
            continue;
        }
        let mut rows: Vec<Row> =
            case.servers().iter().filter(|kind| common.wants(**kind)).map(|kind| Row::new(*kind)).collect();
        for _ in 0..rounds {
            round(common, case, lasting, &mut rows)?;
        }
        print(case, rounds, &rows);
    }
    Ok(())
}

/// The figures of one server.
struct Row {
    kind: Kind,
    per_cpu: Figure,
    /// What weft-signaler reached in the same round, divided by this server's.
    ratio: Figure,
    p50: Figure,
    p99: Figure,
    server_share: Figure,
    client_share: Figure,
    alone_p50: Figure,
    alone_p99: Figure,
    alone_ratio: Figure,
    longest: Figure,
    held: u64,
    alone: u64,
}

impl Row {
    fn new(kind: Kind) -> Self {
        let none = Figure::default;
        Self {
            kind,
            per_cpu: none(),
            ratio: none(),
            p50: none(),
            p99: none(),
            server_share: none(),
            client_share: none(),
            alone_p50: none(),
            alone_p99: none(),
            alone_ratio: none(),
            longest: none(),
            held: 0,
            alone: 0,
        }
    }

    fn add(&mut self, many: &Busy, alone: &Stretch) {
        let wall = many.stretch.lasted.as_secs_f64();
        self.per_cpu.add(many.per_cpu());
        self.p50.add(percentile(&many.stretch.latencies, 0.5));
        self.p99.add(percentile(&many.stretch.latencies, 0.99));
        self.server_share.add(many.server / wall * 100.0);
        self.client_share.add(many.client / wall * 100.0);
        self.alone_p50.add(percentile(&alone.latencies, 0.5));
        self.alone_p99.add(percentile(&alone.latencies, 0.99));
        self.longest.add(percentile(&alone.latencies, 1.0));
        self.held += alone.latencies.iter().filter(|latency| **latency > HELD).count() as u64;
        self.alone += alone.exchanges;
    }
}

/// A stretch, and the CPU seconds it took.
struct Busy {
    stretch: Stretch,
    server: f64,
    client: f64,
}

impl Busy {
    fn per_cpu(&self) -> f64 {
        self.stretch.delivered as f64 / self.server.max(0.01)
    }
}

/// Every server once, weft-signaler first.
fn round(common: &Common, case: Case, lasting: Duration, rows: &mut [Row]) -> anyhow::Result<()> {
    let mut ours = None;
    for row in rows {
        let server = Server::start(row.kind, common)?;
        let mut client = Client::open(row.kind, server.addr(), CONNECTIONS)?;
        client.pair(case.mode(), (0..case.pairs()).map(|pair| case.pair(pair)));
        client.exchange(lasting)?;
        let (server_before, client_before) = (server.cpu()?, own_cpu()?);
        let stretch = client.exchange(lasting)?;
        let busy =
            Busy { stretch, server: server.cpu()? - server_before, client: own_cpu()? - client_before };
        client.settle()?;
        client.pair(case.mode(), std::iter::once(case.pair(0)));
        let alone = client.exchange(lasting)?;
        client.settle()?;

        let alone_p50 = percentile(&alone.latencies, 0.5);
        let (our_rate, our_p50) = *ours.get_or_insert((busy.per_cpu(), alone_p50));
        row.ratio.add(our_rate / busy.per_cpu().max(1.0));
        row.alone_ratio.add(our_p50 / alone_p50.max(0.001));
        row.add(&busy, &alone);
        say(&format!(
            "# {case:?} {}: {:.0} delivered/CPU-s, {:.0}/s wall, p50 {:.1} ms, alone {:.3} ms",
            row.kind.name(),
            busy.per_cpu(),
            busy.stretch.delivered as f64 / busy.stretch.lasted.as_secs_f64(),
            percentile(&busy.stretch.latencies, 0.5),
            alone_p50,
        ));
    }
    Ok(())
}

fn print(case: Case, rounds: u32, rows: &[Row]) {
    let what = match case {
        Case::Unicast => format!("Unicast, {UNICAST_PAIRS} pairs at once"),
        Case::Fanout => {
            format!("Fan-out to swarms of {SWARM}, {FANOUT_PAIRS} pairs at once, four in each swarm")
        }
        Case::Apart => format!("Fan-out to swarms of {SWARM}, {FANOUT_PAIRS} pairs at once, each in its own"),
    };
    say(&format!("\n{what}, {CONNECTIONS} connections, {rounds} rounds: median (least to most)\n"));
    say("| server | delivered/CPU-s | weft is x times | p50 / p99 ms | server / client CPU % |");
    say("| --- | --- | --- | --- | --- |");
    for row in rows {
        say(&format!(
            "| {} | {} | {} | {:.1} / {:.1} | {:.0} / {:.0} |",
            row.kind.name(),
            row.per_cpu.show(0),
            row.ratio.show(2),
            row.p50.median(),
            row.p99.median(),
            row.server_share.median(),
            row.client_share.median(),
        ));
    }
    say("\nOne pair alone (an exchange: four loopback hops):\n");
    say("| server | p50 ms | p99 ms | longest ms | over 5 ms | weft's p50 is x times |");
    say("| --- | --- | --- | --- | --- | --- |");
    for row in rows {
        say(&format!(
            "| {} | {} | {} | {} | {} of {} | {} |",
            row.kind.name(),
            row.alone_p50.show(3),
            row.alone_p99.show(3),
            row.longest.show(1),
            row.held,
            row.alone,
            row.alone_ratio.show(2),
        ));
    }
}
