//! `cargo xtask sim SCENARIO`: thousands of simulated peers.
//!
//! The simulator is built with stand-ins for cryptography, which everything that people run refuses to compile with; so it
//! has a target directory of its own.

use crate::process::{command, run as run_command};
use crate::ui;
use crate::workspace::{cargo, root, target_dir};
use anyhow::Result;
use std::path::PathBuf;

/// What the stand-ins hang on (crates/crypto).
pub(crate) const CFG: &str = "--cfg weft_simulation";

/// Builds the simulator and runs it with the arguments; without any it says what it takes.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ui::step("sim: build the simulator (the first time some minutes)", || {
        let mut build = command(cargo(), &root());
        build.args(["build", "--quiet", "--release", "-p", "weft-sim"]);
        build.env("CARGO_TARGET_DIR", built()).env("RUSTFLAGS", CFG);
        // A setting from outside would come before RUSTFLAGS.
        build.env_remove("CARGO_ENCODED_RUSTFLAGS");
        run_command(&mut build, "read the compiler's first error above")
    })?;
    let program = built().join("release").join(format!("weft-sim{}", std::env::consts::EXE_SUFFIX));
    let mut sim = command(program, &root());
    if arguments.is_empty() {
        sim.arg("--help");
    }
    run_command(sim.args(arguments), "see above")
}

/// Cargo's target directory of the simulator: its compiler flags are others.
fn built() -> PathBuf {
    target_dir().join("simulation")
}
