//! `weft-bench relay|announce|idle|table|mailbox`: one light client against `weft-signaler` and the servers it is compared with.
//!
//! Servers run on core 0, the client on core 1, everything on loopback. A run ends by itself. What is measured and
//! what came out: bench/RESULTS.md. `cargo xtask bench` installs and builds what this program needs.

#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]

mod alone;
mod announce;
mod client;
mod figures;
mod floor;
mod framing;
mod idle;
mod mailbox;
mod relay;
mod server;
mod sqlite;
mod table;
mod wire;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// As in the signaler, since its table is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "weft-bench", about = "Measures weft-signaler beside other servers")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Bench {
    /// Delivered messages per CPU-second of the server, and latencies
    Relay(relay::Options),
    /// Announces per CPU-second of the server
    Announce(announce::Options),
    /// Resident memory per idle connection
    Idle(idle::Options),
    /// The discovery table with a million entries beside bare hash maps, in this process
    Table(table::Options),
    /// Mail left and collected, beside bare SQLite
    Mailbox(mailbox::Options),
    /// A server that does the least that forwarding takes, for the other benchmarks
    #[command(hide = true)]
    Floor(floor::Options),
}

/// What both benchmarks want to know.
#[derive(Args)]
struct Common {
    /// One short round: whether everything works, not a figure to quote
    #[arg(long, global = true)]
    quick: bool,
    /// The signaler to measure
    #[arg(long, global = true, default_value = "target/release/weft-signaler")]
    signaler: PathBuf,
    /// The matchbox_server to measure
    #[arg(long, global = true, default_value = "target/rivals/bin/matchbox_server")]
    matchbox: PathBuf,
    /// The root of this repository, whose node_modules hold peerjs-server, y-webrtc and bittorrent-tracker
    #[arg(long, global = true, default_value = ".")]
    npm: PathBuf,
    /// Servers to measure, separated by commas: weft, peerjs, matchbox, y-webrtc, tracker, floor
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<server::Kind>,
}

impl Common {
    fn wants(&self, kind: server::Kind) -> bool {
        self.only.is_empty() || self.only.contains(&kind)
    }
}

fn main() -> anyhow::Result<()> {
    let Cli { bench, common } = Cli::parse();
    server::raise_open_files()?;
    if let Bench::Floor(options) = &bench {
        return floor::run(options);
    }
    server::pin_client()?;
    match bench {
        Bench::Relay(options) => relay::run(&common, &options),
        Bench::Announce(options) => announce::run(&common, &options),
        Bench::Idle(options) => idle::run(&common, &options),
        Bench::Table(options) => table::run(&common, &options),
        Bench::Mailbox(options) => mailbox::run(&common, &options),
        Bench::Floor(options) => floor::run(&options),
    }
}
