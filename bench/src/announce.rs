//! The whole way of an announce: a frame arrives, is believed or not, the table changes, the swarm's members are told back.
//!
//! 2,000 connections, each of which announces itself anew as soon as it was answered. Rounds are interleaved as in `relay`.

use std::time::Duration;

use crate::Common;
use crate::client::Client;
use crate::figures::{Figure, percentile, say};
use crate::server::{Kind, Server, own_cpu};

/// Connections to each server.
const CONNECTIONS: usize = 2_000;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Interleaved rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds that are measured
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

/// Measures, and prints a table.
pub(crate) fn run(common: &Common, options: &Options) -> anyhow::Result<()> {
    let (rounds, seconds) = if common.quick { (1, 0.5) } else { (options.rounds, options.seconds) };
    let lasting = Duration::from_secs_f64(seconds);
    let kinds = [Kind::Weft, Kind::Tracker];
    let mut rows: Vec<(Kind, [Figure; 6])> = kinds
        .into_iter()
        .filter(|kind| common.wants(*kind))
        .map(|kind| (kind, std::array::from_fn(|_| Figure::default())))
        .collect();
    for _ in 0..rounds {
        let mut ours = None;
        for (kind, [per_cpu, ratio, p50, p99, server_share, client_share]) in &mut rows {
            let server = Server::start(*kind, common)?;
            let mut client = Client::open(*kind, server.addr(), CONNECTIONS)?;
            client.announce(lasting)?;
            let (server_before, client_before) = (server.cpu()?, own_cpu()?);
            let stretch = client.announce(lasting)?;
            let (server_took, client_took) = (server.cpu()? - server_before, own_cpu()? - client_before);
            let rate = stretch.exchanges as f64 / server_took.max(0.01);
            let our_rate = *ours.get_or_insert(rate);
            let wall = stretch.lasted.as_secs_f64();
            per_cpu.add(rate);
            ratio.add(our_rate / rate.max(1.0));
            p50.add(percentile(&stretch.latencies, 0.5));
            p99.add(percentile(&stretch.latencies, 0.99));
            server_share.add(server_took / wall * 100.0);
            client_share.add(client_took / wall * 100.0);
            say(&format!("# {}: {rate:.0} announces/CPU-s", kind.name()));
        }
    }
    say(&format!(
        "\nAnnounces of {CONNECTIONS} connections, one each at a time, {rounds} rounds: median (least to most)\n"
    ));
    say("| server | announces/CPU-s | weft is x times | p50 / p99 ms | server / client CPU % |");
    say("| --- | --- | --- | --- | --- |");
    for (kind, [per_cpu, ratio, p50, p99, server_share, client_share]) in &rows {
        say(&format!(
            "| {} | {} | {} | {:.1} / {:.1} | {:.0} / {:.0} |",
            kind.name(),
            per_cpu.show(0),
            ratio.show(2),
            p50.median(),
            p99.median(),
            server_share.median(),
            client_share.median(),
        ));
    }
    Ok(())
}
