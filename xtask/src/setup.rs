//! Installs what is missing and nothing else: Debian packages by apt-get, npm packages from the lock file.
//!
//! Idempotent and quick when everything is there. Without Debian, or without the right to install, it says what to
//! install instead.

use crate::process::{self, command, probe};
use crate::stamp::Inputs;
use crate::toolchain::{self, Found, Toolchain};
use crate::ui;
use crate::workspace::{find_program, in_ci, root};
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// How much to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// To build and start.
    Build,
    /// To run every test as well.
    Tests,
}

/// A program and the Debian package it comes from.
struct Need {
    program: &'static str,
    package: &'static str,
}

const TO_BUILD: [Need; 1] = [
    // SQLite and the DTLS library of the native peer are C.
    Need { program: "cc", package: "build-essential" },
];

const TO_TEST: [Need; 9] = [
    Need { program: "chromium", package: "chromium" },
    Need { program: "firefox-esr", package: "firefox-esr" },
    Need { program: "turnserver", package: "coturn" },
    // An ACME authority.
    Need { program: "pebble", package: "pebble" },
    // What the guide for operators uses.
    Need { program: "jq", package: "jq" },
    // A terminal for `weft chat`.
    Need { program: "tmux", package: "tmux" },
    // Network namespaces and NAT for the tests of links.
    Need { program: "ip", package: "iproute2" },
    Need { program: "nft", package: "nftables" },
    Need { program: "conntrack", package: "conntrack" },
];

/// Makes this machine ready to build (and to test).
pub(crate) fn run(scope: Scope) -> Result<()> {
    let missing = missing(scope);
    if missing.is_empty() {
        ui::fresh("setup: tools");
    } else {
        let packages: Vec<String> = missing.iter().map(|need| need.package.to_owned()).collect();
        ui::step(&format!("setup: {}", packages.join(", ")), || install(&packages))?;
    }
    wasm_toolchain()?;
    npm()
}

/// A toolchain for wasm32, installed if it has to be.
pub(crate) fn wasm_toolchain() -> Result<Toolchain> {
    if let Found::Ready(toolchain) = toolchain::find()? {
        return Ok(toolchain);
    }
    ui::step("setup: the wasm32 standard library", || {
        if toolchain::find()? == Found::AskRustup && toolchain::add_target_with_rustup() {
            return Ok(Toolchain::Installed);
        }
        if let Some(toolchain) = toolchain::debian() {
            return Ok(toolchain);
        }
        update_lists()?;
        let lld = toolchain::newest_lld_package().context(
            "apt knows no lld-NN\nNext: `rustup target add wasm32-unknown-unknown`, or a Debian 12 or newer",
        )?;
        let packages: Vec<String> =
            toolchain::DEBIAN_PACKAGES.map(str::to_owned).into_iter().chain([lld]).collect();
        install(&packages)?;
        toolchain::debian()
            .context("Debian's packages are installed, yet rustc, its sources or wasm-ld are missing")
    })
}

/// The packages of package-lock.json, installed again only when a package.json or the lock file changed.
pub(crate) fn npm() -> Result<()> {
    let root = root();
    let manifests =
        ["package-lock.json", "package.json", "web/package.json", "tests/package.json", "bench/package.json"];
    let stamp = Inputs::default()
        .files(&manifests.map(|file| root.join(file)))
        .stamp(root.join("node_modules").join(".weft-stamp"));
    if stamp.is_fresh(&[root.join("node_modules")]) {
        ui::fresh("setup: npm packages");
        return Ok(());
    }
    // `ci` starts from nothing and never changes the lock file; `install` is for who is just editing a package.json.
    let subcommand = if in_ci() || !root.join("node_modules").exists() { "ci" } else { "install" };
    ui::step(&format!("setup: npm {subcommand}"), || {
        let next =
            "is the npm registry reachable? `npm install` repairs a package-lock.json that lags behind";
        process::run(command("npm", &root).args([subcommand, "--no-audit", "--no-fund"]), next)
    })?;
    // The lock file may have been completed just now.
    Inputs::default()
        .files(&manifests.map(|file| root.join(file)))
        .stamp(root.join("node_modules").join(".weft-stamp"))
        .write()
}

fn missing(scope: Scope) -> Vec<&'static Need> {
    let tests: &[Need] = if scope == Scope::Tests { &TO_TEST } else { &[] };
    TO_BUILD.iter().chain(tests).filter(|need| find_program(need.program).is_none()).collect()
}

fn install(packages: &[String]) -> Result<()> {
    let by_hand = format!("install these yourself, then run this again: {}", packages.join(" "));
    if find_program("apt-get").is_none() {
        bail!("this machine has no apt-get\nNext: {by_hand}");
    }
    update_lists()?;
    let mut apt = as_root("apt-get").with_context(|| format!("installing needs root\nNext: {by_hand}"))?;
    apt.args(["install", "--yes", "--no-install-recommends", "-qq"]).args(APT_OPTIONS).args(packages);
    process::run(&mut apt, &by_hand)
}

/// Waits for another apt-get instead of failing, and draws no progress bars into logs.
const APT_OPTIONS: [&str; 4] = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"];

fn update_lists() -> Result<()> {
    let mut apt =
        as_root("apt-get").context("installing needs root\nNext: run `npm run build` once with sudo")?;
    // Lists that are a little old still install; apt-get itself reports what it cannot find.
    if process::run(apt.args(["update", "-qq"]).args(APT_OPTIONS), "check the package sources").is_err() {
        ui::note("apt-get update failed; going on with the package lists there are");
    }
    Ok(())
}

/// `program` with the rights to install: directly as root, else through sudo.
fn as_root(program: &str) -> Option<Command> {
    let root_dir = root();
    let mut elevated = if probe(command("id", &root_dir).arg("-u"))? == "0" {
        command(program, &root_dir)
    } else {
        find_program("sudo")?;
        let mut sudo = command("sudo", &root_dir);
        // sudo drops the environment, so the variable goes on its command line.
        sudo.args(["DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    };
    elevated.env("DEBIAN_FRONTEND", "noninteractive");
    Some(elevated)
}
