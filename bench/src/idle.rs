//! Resident memory per idle connection: authenticated, announced in a swarm of 8, then silent.

use std::time::{Duration, Instant};

use crate::Common;
use crate::client::Client;
use crate::figures::{Figure, say};
use crate::server::{Kind, Server};

/// How long connections are idle before memory is read: buffers of the handshake are given back by then.
const SETTLE: Duration = Duration::from_secs(3);

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Connections to each server
    #[arg(long, default_value_t = 9_600)]
    connections: usize,
    /// Rounds, each with fresh servers
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

/// Measures, and prints a table.
pub(crate) fn run(common: &Common, options: &Options) -> anyhow::Result<()> {
    let (connections, rounds) = if common.quick { (1_000, 1) } else { (options.connections, options.rounds) };
    let kinds = [Kind::Weft, Kind::Floor, Kind::Tracker, Kind::Peerjs, Kind::Matchbox, Kind::YWebrtc];
    let mut rows: Vec<(Kind, Figure, Figure)> = kinds
        .into_iter()
        .filter(|kind| common.wants(*kind))
        .map(|kind| (kind, Figure::default(), Figure::default()))
        .collect();
    for _ in 0..rounds {
        for (kind, memory, handshake) in &mut rows {
            let server = Server::start(*kind, common)?;
            // Whatever a program allocates for its first connections is no cost of the later ones.
            let first = Client::open(*kind, server.addr(), 1)?;
            let (resident, cpu, began) = (server.resident()?, server.cpu()?, Instant::now());
            drop(first);
            let mut client = Client::open(*kind, server.addr(), connections)?;
            let opened = began.elapsed();
            handshake.add((server.cpu()? - cpu) * 1e6 / connections as f64);
            client.idle(SETTLE)?;
            let grown = server.resident()?.saturating_sub(resident) as f64 / connections as f64 / 1024.0;
            memory.add(grown);
            say(&format!("# {}: {grown:.2} KiB per connection, opened in {opened:.1?}", kind.name()));
        }
    }
    say(&format!("\n{connections} idle connections, {rounds} rounds: median (least to most)\n"));
    say("| server | resident KiB per connection | CPU us per handshake |");
    say("| --- | --- | --- |");
    for (kind, memory, handshake) in &rows {
        say(&format!("| {} | {} | {} |", kind.name(), memory.show(2), handshake.show(0)));
    }
    Ok(())
}
