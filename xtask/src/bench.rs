//! `npm run bench NAME`: the benchmarks whose figures the documents quote.

use crate::process::{command, run as run_command};
use crate::workspace::{cargo, files, is_source_dir, release_binary, root, target_dir};
use crate::{build, setup, ui, wasm, web};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The benchmarks of the crate `weft-bench`.
const NATIVE: [&str; 5] = ["relay", "announce", "idle", "table", "mailbox"];
/// The rival from crates.io. Those from npm are in bench/package.json.
const MATCHBOX: &str = "matchbox_server@0.15.0";

/// Builds everything, then runs one benchmark with the rest of the arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let known = benchmarks()?;
    let Some((name, rest)) = arguments.split_first() else {
        ui::out("benchmarks (npm run bench NAME -- ARGS):");
        for bench in NATIVE.into_iter().map(str::to_owned).chain(known.iter().map(|bench| stem(bench))) {
            ui::out(&format!("  {bench}"));
        }
        return Ok(());
    };
    if NATIVE.contains(&name.as_str()) {
        return native(name, rest);
    }
    let bench = known.iter().find(|bench| stem(bench) == *name).with_context(|| {
        format!("there is no bench/{name}.mjs\nNext: `npm run bench` lists what there is")
    })?;
    setup::run(setup::Scope::Build)?;
    let mut program = command("node", &root());
    program.args(["--import", "tsx"]).arg(bench).args(rest);
    match name.as_str() {
        "match" => {
            program.envs(matchers()?);
        }
        "crypto" => {
            program.env("WEFT_CRYPTO_WASM", crypto()?);
        }
        "gossip" => {
            program.env("WEFT_GOSSIP_IROH", iroh_gossip()?).env("CARGO", cargo());
        }
        _ => build::everything()?,
    }
    ui::step(&format!("bench {name}"), || run_command(&mut program, "read the error above"))
}

/// Builds what bench/match.ts measures: the npm package, the native contenders, and our index as wasm. It looks for the
/// two last ones where these variables say.
fn matchers() -> Result<[(&'static str, PathBuf); 2]> {
    wasm::build(wasm::Names::Strip)?;
    web::build()?;
    ui::step("bench: build the native matchers (the first time a minute or two)", || {
        let mut build = command(cargo(), &root());
        run_command(
            build.args(["build", "--release", "-p", "weft-bench", "--bin", "matcher"]),
            "read the compiler's first error above",
        )
    })?;
    let glue = target_dir().join("matcher-wasm");
    wasm::build_like_the_peer("weft-matcher-wasm", &glue, "matcher")?;
    Ok([("WEFT_MATCHER", release_binary("matcher")), ("WEFT_MATCHER_WASM", glue)])
}

/// Builds what bench/crypto.ts measures: our cryptography as wasm. It looks for it where this variable says.
fn crypto() -> Result<PathBuf> {
    let glue = target_dir().join("crypto-wasm");
    wasm::build_like_the_peer("weft-crypto-wasm", &glue, "crypto")?;
    Ok(glue)
}

/// Builds the rival of bench/gossip.ts, a workspace of its own. Our simulator is a command of this program.
fn iroh_gossip() -> Result<PathBuf> {
    let target = target_dir().join("gossip-iroh");
    ui::step("bench: build iroh-gossip and its simulator (the first time a minute or two)", || {
        let mut build = command(cargo(), &root());
        build.args(["build", "--release", "--locked", "--manifest-path", "bench/gossip-iroh/Cargo.toml"]);
        run_command(build.arg("--target-dir").arg(&target), "is crates.io reachable?")
    })?;
    let name = format!("weft-bench-gossip-iroh{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(name))
}

/// Runs a benchmark of `weft-bench` against the built signaler and its rivals, installed once below the target directory.
fn native(name: &str, rest: &[String]) -> Result<()> {
    setup::run(setup::Scope::Build)?;
    build::everything()?;
    let rivals = target_dir().join("rivals");
    let matchbox = rivals.join("bin").join("matchbox_server");
    if !matchbox.is_file() {
        ui::step("bench: install matchbox_server (some minutes, once)", || {
            let mut install = command(cargo(), &root());
            install.args(["install", MATCHBOX, "--locked", "--root"]).arg(&rivals);
            run_command(&mut install, "is crates.io reachable?")
        })?;
    }
    ui::step("bench: build the load client", || {
        let mut build = command(cargo(), &root());
        run_command(
            build.args(["build", "--release", "-p", "weft-bench", "--bin", "weft-bench"]),
            "read the compiler's first error above",
        )
    })?;
    ui::step(&format!("bench {name}"), || {
        let mut bench = command(release_binary("weft-bench"), &root());
        bench.arg(name).args(rest);
        bench.arg("--signaler").arg(release_binary("weft-signaler")).arg("--matchbox").arg(&matchbox);
        run_command(&mut bench, "read the error above")
    })
}

/// The programs directly in bench/: `NAME.mjs` or `NAME.ts`. `NAME-PART` is a part of one.
fn benchmarks() -> Result<Vec<PathBuf>> {
    let dir = root().join("bench");
    let is_program = |path: &Path| {
        path.parent() == Some(&dir)
            && path.extension().is_some_and(|extension| extension == "mjs" || extension == "ts")
            && !stem(path).contains('-')
    };
    files(&dir, &is_source_dir, &is_program)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
