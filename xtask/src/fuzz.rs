//! `cargo xtask fuzz`: libFuzzer against the parsers and the matching of crates/query, by cargo-fuzz.
//!
//! The stable compiler does: the crate has no unsafe code, so no sanitizer is needed, and what libFuzzer wants of the compiler
//! is not unstable. Inputs that a run finds gather in the target directory; those worth keeping are committed
//! (crates/query/fuzz/corpus), and `cargo test` checks them all.

use crate::process::{command, probe, run as run_command};
use crate::ui;
use crate::workspace::{cargo, files, find_program, root, target_dir};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Seconds for each target, unless told otherwise.
const SECONDS: u64 = 60;
/// A run that takes longer for one input, or more memory in all, has found something. A match of inputs this short takes
/// microseconds, and the largest expression of 8 KiB no megabyte.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=1024", "-verbosity=0"];
/// Bytes of the longest input: enough for everything that the limits do not make larger.
const LONGEST: &str = "-max_len=4096";
/// Committed inputs of one target and all their bytes, at most: what everybody clones and every `cargo test` checks.
const KEPT: (usize, u64) = (120, 48 * 1024);

/// Runs the targets that the arguments name, or all; with `--keep`, only replaces the committed inputs by the best there are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let known = targets()?;
    let asked = Asked::parse(arguments, &known)?;
    let fuzzer = Fuzzer { program: tool()? };
    fuzzer.build()?;
    let mut failed = Vec::new();
    for target in &asked.targets {
        let seconds = asked.seconds;
        let outcome = if asked.keep {
            ui::step(&format!("fuzz: choose what is kept of {target}"), || keep(target))
        } else {
            ui::step(&format!("fuzz: {target} for {seconds} s"), || fuzzer.fuzz(target, seconds))
        };
        if let Err(error) = outcome {
            ui::error(&error);
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!("{} found something\nNext: see above", failed.join(", "));
    }
    Ok(())
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    targets: Vec<String>,
    seconds: u64,
    keep: bool,
}

impl Asked {
    fn parse(arguments: &[String], known: &[String]) -> Result<Self> {
        let mut asked = Self { targets: Vec::new(), seconds: SECONDS, keep: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--keep" => asked.keep = true,
                "--seconds" => {
                    let seconds =
                        rest.next().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
                    asked.seconds = seconds.context("--seconds takes a whole number from 1")?;
                }
                target if known.iter().any(|name| name == target) => asked.targets.push(target.to_owned()),
                other => bail!("there is no fuzz target {other}\nNext: one of {}", known.join(", ")),
            }
        }
        if asked.targets.is_empty() {
            asked.targets = known.to_vec();
        }
        Ok(asked)
    }
}

struct Fuzzer {
    /// cargo-fuzz.
    program: PathBuf,
}

impl Fuzzer {
    fn build(&self) -> Result<()> {
        ui::step("fuzz: build the targets (the first time a minute)", || {
            let next = "libFuzzer needs a C++ compiler; otherwise read the compiler's first error above";
            run_command(&mut self.cargo_fuzz("build"), next)?;
            let mut seeds = command(cargo(), &directory());
            seeds.args(["run", "--quiet", "--example", "seeds"]).arg(gathered());
            run_command(seeds.env("CARGO_TARGET_DIR", built()), "read the compiler's first error above")
        })
    }

    fn fuzz(&self, target: &str, seconds: u64) -> Result<()> {
        // New inputs go into the first directory.
        let (gathered, kept) = (gathered().join(target), corpus().join(target));
        fs::create_dir_all(&gathered)?;
        fs::create_dir_all(&kept)?;
        let started = SystemTime::now();
        let mut fuzz = self.cargo_fuzz("run");
        fuzz.arg(target).args([&gathered, &kept]).arg("--").args(LIMITS).arg(LONGEST);
        fuzz.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        fuzz.arg(format!("-dict={}", directory().join("query.dict").display()));
        let ended = run_command(&mut fuzz, "see above");
        let mut new = artifacts(target)?;
        // Earlier ones stay until somebody removes them.
        new.retain(|file| {
            fs::metadata(file).and_then(|about| about.modified()).is_ok_and(|at| at >= started)
        });
        for file in &new {
            ui::note(&format!("FOUND  {} ({} bytes)", file.display(), fs::metadata(file)?.len()));
            ui::note(&format!("again  {} {}", target_program(target).display(), file.display()));
            ui::note("next   a test with the smallest query and document, at the end of");
            ui::note("       crates/query/tests/properties/checks.rs");
        }
        match new.first() {
            None => ended,
            Some(file) => bail!("an input of {target} breaks a rule\nNext: {}", file.display()),
        }
    }

    /// A command of cargo-fuzz.
    fn cargo_fuzz(&self, name: &str) -> Command {
        let mut fuzz = command(&self.program, &root());
        fuzz.args(["fuzz", name, "--sanitizer", "none", "--fuzz-dir"]).arg(directory());
        fuzz.arg("--target-dir").arg(built());
        fuzz
    }
}

/// Few inputs that together reach nearly everything that any of them reaches.
fn keep(target: &str) -> Result<()> {
    let kept = corpus().join(target);
    let chosen = target_dir().join("fuzz-kept").join(target);
    if chosen.exists() {
        fs::remove_dir_all(&chosen)?;
    }
    fs::create_dir_all(&chosen)?;
    fs::create_dir_all(&kept)?;
    let mut merge = command(target_program(target), &directory());
    // How often code runs, and how near a comparison was, would keep thousands.
    merge.args(["-set_cover_merge=1", "-use_counters=0", "-max_len=512"]).args(LIMITS);
    merge.arg(&chosen).args([&kept, &gathered().join(target)]);
    run_command(&mut merge, "see above")?;
    let mut inputs = Vec::new();
    for path in files(&chosen, &|_| true, &|_| true)? {
        let about = fs::metadata(&path)?;
        inputs.push((about.modified()?, path, about.len()));
    }
    // libFuzzer writes first what reaches most.
    inputs.sort();
    fs::remove_dir_all(&kept)?;
    fs::create_dir_all(&kept)?;
    let (mut number, mut bytes) = (0, 0);
    for (_, input, size) in inputs.iter().take(KEPT.0).filter(|(_, _, size)| *size > 0) {
        if bytes + size > KEPT.1 {
            break;
        }
        (number, bytes) = (number + 1, bytes + size);
        fs::copy(input, kept.join(input.file_name().unwrap_or_default()))?;
    }
    ui::note(&format!("{number} inputs of {}, {bytes} bytes", inputs.len()));
    Ok(())
}

/// A built target.
fn target_program(target: &str) -> PathBuf {
    let programs = |path: &Path| path.is_file() && path.ends_with(Path::new("release").join(target));
    let found = files(&built(), &|dir| !dir.ends_with("deps"), &programs).unwrap_or_default();
    found.into_iter().next().unwrap_or_else(|| built().join(target))
}

/// cargo-fuzz, installed below the target directory if it is missing.
fn tool() -> Result<PathBuf> {
    if probe(command("c++", &root()).arg("--version")).is_none() {
        bail!(
            "libFuzzer is written in C++ and c++ is missing\nNext: install a C++ compiler (build-essential)"
        );
    }
    let name = format!("cargo-fuzz{}", std::env::consts::EXE_SUFFIX);
    let own = target_dir().join("fuzz-tools");
    let program = own.join("bin").join(&name);
    if let Some(found) =
        Some(program.clone()).filter(|own| own.is_file()).or_else(|| find_program("cargo-fuzz"))
    {
        return Ok(found);
    }
    ui::step("fuzz: install cargo-fuzz (a minute, once)", || {
        let mut install = command(cargo(), &root());
        install.args(["install", "cargo-fuzz", "--locked", "--root"]).arg(&own);
        run_command(&mut install, "is crates.io reachable?")
    })?;
    Ok(program)
}

/// Where cargo-fuzz expects everything.
fn directory() -> PathBuf {
    root().join("crates/query/fuzz")
}

/// The inputs that are committed.
fn corpus() -> PathBuf {
    directory().join("corpus")
}

/// The inputs that runs on this machine have found.
fn gathered() -> PathBuf {
    target_dir().join("fuzz-corpus")
}

/// Cargo's target directory of the fuzz crate: its compiler flags are others.
fn built() -> PathBuf {
    target_dir().join("fuzz")
}

/// The names of the targets.
fn targets() -> Result<Vec<String>> {
    let found = files(&directory().join("fuzz_targets"), &|_| false, &|_| true)?;
    Ok(found.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect())
}

/// What breaks a target, as libFuzzer has kept it.
fn artifacts(target: &str) -> Result<Vec<PathBuf>> {
    files(&directory().join("artifacts").join(target), &|_| false, &|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Asked> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Asked::parse(&arguments, &["one".to_owned(), "two".to_owned()])
    }

    #[test]
    fn without_a_name_all_targets_are_meant() {
        let all = vec!["one".to_owned(), "two".to_owned()];
        assert_eq!(parse(&[]).unwrap(), Asked { targets: all, seconds: SECONDS, keep: false });
        let two = vec!["two".to_owned()];
        assert_eq!(
            parse(&["two", "--seconds", "5"]).unwrap(),
            Asked { targets: two, seconds: 5, keep: false }
        );
    }

    #[test]
    fn a_target_that_does_not_exist_is_an_error_that_lists_those_which_do() {
        assert!(parse(&["three"]).unwrap_err().to_string().contains("one, two"));
        assert!(parse(&["--seconds", "0"]).is_err() && parse(&["--seconds"]).is_err());
    }
}
