//! Licences, sources, duplicates and advisories of the Rust dependencies, by cargo-deny.
//!
//! Compiling cargo-deny takes minutes, so `npm test` only uses one that is there already, and leaves out the
//! advisories, whose database comes from the network. `cargo xtask deny` installs it and checks everything.

use crate::process::{command, run as run_command};
use crate::ui;
use crate::workspace::{cargo, find_program, root, target_dir};
use anyhow::Result;
use std::path::PathBuf;

/// Installs cargo-deny below the target directory if it is missing, and runs all its checks.
pub(crate) fn run() -> Result<()> {
    if installed().is_none() {
        ui::step("deny: install cargo-deny (some minutes, once)", || {
            let mut install = command(cargo(), &root());
            install.args(["install", "cargo-deny", "--locked", "--root"]).arg(tools_dir());
            run_command(&mut install, "is crates.io reachable?")
        })?;
    }
    check(&["check"])
}

/// The checks that need no network, where cargo-deny is there.
pub(crate) fn offline() -> Result<()> {
    if installed().is_none() {
        ui::note(
            "deny: cargo-deny is not installed; `cargo xtask deny` installs it and checks licences and advisories",
        );
        return Ok(());
    }
    check(&["--offline", "check", "licenses", "bans", "sources"])
}

fn check(arguments: &[&str]) -> Result<()> {
    ui::step("deny: dependencies", || {
        let program = installed().unwrap_or_else(|| PathBuf::from("cargo-deny"));
        let mut deny = command(program, &root());
        run_command(
            deny.args(["--log-level", "error"]).args(arguments),
            "deny.toml says what is allowed, and why",
        )
    })
}

fn installed() -> Option<PathBuf> {
    let own = tools_dir().join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    own.is_file().then_some(own).or_else(|| find_program("cargo-deny"))
}

fn tools_dir() -> PathBuf {
    target_dir().join("deny")
}
