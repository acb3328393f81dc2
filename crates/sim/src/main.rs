//! The simulator's command line: `cargo xtask sim SCENARIO`.

use std::io::{IsTerminal as _, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use weft_sim::{Failure, Options, Results, Scenario, against, scenarios, table};

// Millions of small frames a second come and go.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Runs thousands of peers and some signalers through a scenario, in simulated time.
#[derive(Debug, Parser)]
#[command(name = "weft-sim", version)]
struct Arguments {
    /// Name of a scenario, or path of a file.
    scenario: String,
    /// Seed of the first run.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs, each with the next seed.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Peers, in place of the scenario's.
    #[arg(long)]
    peers: Option<u32>,
    /// Writes the reports here.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Compares with reports written earlier.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Draws the swarm and a broadcast into this directory.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Threads; 0: one for each core. The report does not depend on it.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("weft-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every seed; false if a rule was broken.
fn run(arguments: &Arguments) -> Result<bool> {
    let mut scenario = scenarios::find(&arguments.scenario)?;
    scenario.peers = arguments.peers.unwrap_or(scenario.peers);
    let before = arguments.against.as_deref().map(read).transpose()?;
    let mut runs = Vec::new();
    let mut good = true;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        match run_one(arguments, &scenario, seed)? {
            Some(run) => runs.push(run),
            None => good = false,
        }
    }
    let all = json!({ "runs": runs });
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&all)? + "\n";
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if let Some(before) = before {
        out(&format!("\n{}", against::compare(&before, &all)));
    }
    Ok(good)
}

/// Runs one seed and tells about it; nothing if a rule was broken.
fn run_one(arguments: &Arguments, scenario: &Scenario, seed: u64) -> Result<Option<Value>> {
    let options = Options { seed, threads: arguments.threads, draw: arguments.svg.is_some() };
    let terminal = std::io::stderr().is_terminal();
    let mut progress = |line: &str| {
        if terminal {
            eprint!("\r\x1b[K{line}");
        } else {
            eprintln!("{line}");
        }
    };
    // A panic in a peer is a rule that was broken too; what it says is on standard error already.
    let run = AssertUnwindSafe(|| weft_sim::run(scenario, options, &mut progress));
    let outcome = std::panic::catch_unwind(run);
    if terminal {
        eprint!("\r\x1b[K");
    }
    let Results { report, cost, pictures } = match outcome {
        Ok(Ok(results)) => results,
        Ok(Err(Failure::Other(error))) => return Err(error),
        broken => {
            let what = broken.ok().and_then(Result::err);
            let what = what.map_or_else(|| "a panic, see above".to_owned(), |failure| failure.to_string());
            eprintln!("weft-sim: {} breaks a rule with seed {seed}: {what}", scenario.name);
            let (name, peers) = (&arguments.scenario, scenario.peers);
            eprintln!("again: cargo xtask sim {name} --peers {peers} --seed {seed}");
            return Ok(None);
        }
    };
    out(&table::text(&report, &scenario.about, &cost));
    if let Some(dir) = &arguments.svg {
        std::fs::create_dir_all(dir)?;
        for (name, picture) in pictures {
            let path = dir.join(format!("{}-{name}.svg", scenario.name));
            std::fs::write(&path, picture)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(Some(json!({ "report": report, "cost": cost })))
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no report", path.display()))
}

fn out(text: &str) {
    // A closed pipe is no reason to complain.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
