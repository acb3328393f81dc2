//! The build, run, test and release steps of Weft: `cargo xtask COMMAND`, or `npm run COMMAND` at the root.
//!
//! Every step says what it does and how long it took, skips what is up to date, and ends with the next thing to do
//! when it fails. `cargo xtask help` lists the commands.

mod acceptance;
mod api;
mod bench;
mod build;
mod deny;
mod fuzz;
mod lint;
mod process;
mod results;
mod setup;
mod sim;
mod stamp;
mod start;
mod suites;
mod test;
mod toolchain;
mod ui;
mod wasm;
mod web;
mod workspace;

use anyhow::{Result, bail};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  setup [--tests]     install what building needs (with --tests: browsers, coturn, pebble, tmux, namespaces)
  wasm [--names]      the wasm peer: crates -> web/generated (--names keeps function names for profiling)
  web                 the npm package, the demo and the dashboard: web/dist, web/*/dist, web/weft-mesh-VERSION.tgz
  build               wasm, web, then target/release/weft-signaler and target/release/weft
  start [ARGS]        setup, build, and run one open signaler on port 8190; ARGS go to weft-signaler
  test [--only LIST]  everything, or some of: build,size,lint,deny,rust,wasm,node,e2e,acceptance (separated by commas)
  lint                formats, clippy, biome, tsc
  fmt                 format Rust and TypeScript in place
  bench [NAME ARGS]   build, then run bench/NAME; without a name, list them
  acceptance          check docs/acceptance.md against the sources and the last run of the tests
  deny                licences, sources, duplicates and advisories of the dependencies (installs cargo-deny once)
  api [ARGS]          hold a signaler's answers against its /openapi.json (installs schemathesis once); ARGS go to it
  fuzz [TARGET] [--seconds N]
                      fuzz queries, decoders and sessions: all targets for 60 s each, or some (installs cargo-fuzz once);
                      --keep instead chooses anew which of the inputs that were found are committed
  sim SCENARIO [--seed N] [--seeds N] [--peers N] [--json FILE] [--against FILE] [--svg DIR] [--threads N]
                      run thousands of simulated peers; scenarios are in crates/sim/scenarios
  ci                  what continuous integration runs: `test`, with everything from the lock files

Environment: WEFT_WASM_TOOLCHAIN=debian takes the wasm standard library from Debian's packages; MESH_PORT and
MESH_DB_PATH are passed on to the signaler; CARGO_TARGET_DIR is honoured.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    match command {
        "setup" => setup::run(only_flag(rest, "--tests", setup::Scope::Build, setup::Scope::Tests)?),
        "wasm" => {
            let names = only_flag(rest, "--names", wasm::Names::Strip, wasm::Names::Keep)?;
            wasm::build(names)
        }
        "web" => web::build(),
        "build" => {
            setup::run(setup::Scope::Build)?;
            build::everything()
        }
        "start" => start::run(rest),
        "test" => test::run(rest),
        // The same file that the machine in charge calls, so that there is one list of settings.
        "ci" => process::run(&mut process::command(".ci/run", &workspace::root()), "see above"),
        "lint" => lint::run(),
        "fmt" => lint::format_in_place(),
        "bench" => bench::run(rest),
        "acceptance" => acceptance::run(),
        "deny" => deny::run(),
        "api" => api::run(rest),
        "fuzz" => fuzz::run(rest),
        "sim" => sim::run(rest),
        "help" | "--help" | "-h" => {
            ui::out(HELP);
            Ok(())
        }
        other => bail!("there is no command {other}\n\n{HELP}"),
    }
}

/// `on` when the one allowed flag is given, `off` without arguments, an error for anything else.
fn only_flag<T>(arguments: &[String], flag: &str, off: T, on: T) -> Result<T> {
    match arguments {
        [] => Ok(off),
        [one] if one == flag => Ok(on),
        other => bail!("unexpected argument {}; only {flag} is known here", other.join(" ")),
    }
}
