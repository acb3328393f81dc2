//! `cargo xtask fuzz`: libFuzzer against the parsers and the matching of crates/query, everything that crates/wire and
//! crates/crypto decode, and their state machines, by cargo-fuzz.
//!
//! The stable compiler does: the crate has no unsafe code, so no sanitizer is needed, and what libFuzzer wants of the compiler
//! is not unstable. Inputs that a run finds gather in the target directory; those worth keeping are committed
//! (crates/…/fuzz/corpus), and `cargo test` checks them all.

use crate::process::{command, probe, run as run_command};
use crate::sim::CFG;
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

/// A crate of fuzz targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suite {
    /// Its name, which is that of the crate that it is about.
    name: &'static str,
    /// Words of the language that the targets read.
    dictionary: Option<&'static str>,
    /// Where the test for what was found belongs.
    checks: &'static str,
    /// With the stand-ins for cryptography.
    simulated: bool,
}

const SUITES: [Suite; 2] = [
    Suite {
        name: "query",
        dictionary: Some("query.dict"),
        checks: "crates/query/tests/properties/checks.rs",
        simulated: false,
    },
    Suite { name: "crypto", dictionary: None, checks: "crates/crypto/tests/fuzzing", simulated: true },
];

/// A target and the suite that it is of.
type Target = (Suite, String);

/// Runs the targets that the arguments name, or all; with `--keep`, only replaces the committed inputs by the best there are.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut known = Vec::new();
    for suite in SUITES {
        known.extend(suite.targets()?.into_iter().map(|target| (suite, target)));
    }
    let asked = Asked::parse(arguments, &known)?;
    let fuzzer = Fuzzer { program: tool()? };
    for suite in SUITES.iter().filter(|suite| asked.targets.iter().any(|(of, _)| of == *suite)) {
        fuzzer.build(suite)?;
    }
    let mut failed = Vec::new();
    for (suite, target) in &asked.targets {
        let seconds = asked.seconds;
        let outcome = if asked.keep {
            ui::step(&format!("fuzz: choose what is kept of {target}"), || keep(suite, target))
        } else {
            ui::step(&format!("fuzz: {target} for {seconds} s"), || fuzzer.fuzz(suite, target, seconds))
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
    targets: Vec<Target>,
    seconds: u64,
    keep: bool,
}

impl Asked {
    fn parse(arguments: &[String], known: &[Target]) -> Result<Self> {
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
                name => {
                    // A crate's name means all of its targets.
                    let named = |(suite, target): &&Target| target == name || suite.name == name;
                    let before = asked.targets.len();
                    asked.targets.extend(known.iter().filter(named).cloned());
                    if asked.targets.len() == before {
                        let names: Vec<_> = known.iter().map(|(_, target)| target.as_str()).collect();
                        bail!("there is no fuzz target {name}\nNext: one of {}", names.join(", "));
                    }
                }
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
    fn build(&self, suite: &Suite) -> Result<()> {
        let what = format!("fuzz: build the targets of {} (the first time a minute)", suite.name);
        ui::step(&what, || {
            let next = "libFuzzer needs a C++ compiler; otherwise read the compiler's first error above";
            run_command(&mut self.cargo_fuzz(suite, "build"), next)?;
            let mut seeds = command(cargo(), &suite.directory());
            seeds.args(["run", "--quiet", "--example", "seeds"]).arg(gathered());
            suite.flags(&mut seeds);
            run_command(seeds.env("CARGO_TARGET_DIR", suite.built()), "read the compiler's first error above")
        })
    }

    fn fuzz(&self, suite: &Suite, target: &str, seconds: u64) -> Result<()> {
        // New inputs go into the first directory.
        let (gathered, kept) = (gathered().join(target), suite.corpus().join(target));
        fs::create_dir_all(&gathered)?;
        fs::create_dir_all(&kept)?;
        let started = SystemTime::now();
        let mut fuzz = self.cargo_fuzz(suite, "run");
        fuzz.arg(target).args([&gathered, &kept]).arg("--").args(LIMITS).arg(LONGEST);
        fuzz.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        fuzz.args(suite.dictionary.map(|words| format!("-dict={}", suite.directory().join(words).display())));
        let ended = run_command(&mut fuzz, "see above");
        let mut new = suite.artifacts(target)?;
        // Earlier ones stay until somebody removes them.
        new.retain(|file| {
            fs::metadata(file).and_then(|about| about.modified()).is_ok_and(|at| at >= started)
        });
        for file in &new {
            ui::note(&format!("FOUND  {} ({} bytes)", file.display(), fs::metadata(file)?.len()));
            ui::note(&format!("again  {} {}", suite.program(target).display(), file.display()));
            ui::note("next   a test with the smallest input that shows it, in");
            ui::note(&format!("       {}", suite.checks));
        }
        match new.first() {
            None => ended,
            Some(file) => bail!("an input of {target} breaks a rule\nNext: {}", file.display()),
        }
    }

    /// A command of cargo-fuzz.
    fn cargo_fuzz(&self, suite: &Suite, name: &str) -> Command {
        let mut fuzz = command(&self.program, &root());
        fuzz.args(["fuzz", name, "--sanitizer", "none", "--fuzz-dir"]).arg(suite.directory());
        fuzz.arg("--target-dir").arg(suite.built());
        suite.flags(&mut fuzz);
        fuzz
    }
}

/// Few inputs that together reach nearly everything that any of them reaches.
fn keep(suite: &Suite, target: &str) -> Result<()> {
    let kept = suite.corpus().join(target);
    let chosen = target_dir().join("fuzz-kept").join(target);
    if chosen.exists() {
        fs::remove_dir_all(&chosen)?;
    }
    fs::create_dir_all(&chosen)?;
    fs::create_dir_all(&kept)?;
    let mut merge = command(suite.program(target), &suite.directory());
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

impl Suite {
    /// Where cargo-fuzz expects everything.
    fn directory(&self) -> PathBuf {
        root().join("crates").join(self.name).join("fuzz")
    }

    /// The inputs that are committed.
    fn corpus(&self) -> PathBuf {
        self.directory().join("corpus")
    }

    /// Cargo's target directory of the fuzz crate: its compiler flags are others.
    fn built(&self) -> PathBuf {
        target_dir().join("fuzz").join(self.name)
    }

    /// Sets the compiler's flags.
    fn flags(&self, command: &mut Command) {
        if self.simulated {
            // A setting from outside would come before RUSTFLAGS.
            command.env("RUSTFLAGS", CFG).env_remove("CARGO_ENCODED_RUSTFLAGS");
        }
    }

    /// A built target.
    fn program(&self, target: &str) -> PathBuf {
        let programs = |path: &Path| path.is_file() && path.ends_with(Path::new("release").join(target));
        let found = files(&self.built(), &|dir| !dir.ends_with("deps"), &programs).unwrap_or_default();
        found.into_iter().next().unwrap_or_else(|| self.built().join(target))
    }

    /// The names of the targets.
    fn targets(&self) -> Result<Vec<String>> {
        let found = files(&self.directory().join("fuzz_targets"), &|_| false, &|_| true)?;
        Ok(found.iter().filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect())
    }

    /// What breaks a target, as libFuzzer has kept it.
    fn artifacts(&self, target: &str) -> Result<Vec<PathBuf>> {
        files(&self.directory().join("artifacts").join(target), &|_| false, &|_| true)
    }
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

/// The inputs that runs on this machine have found.
fn gathered() -> PathBuf {
    target_dir().join("fuzz-corpus")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Target> {
        [(SUITES[0], "one"), (SUITES[0], "two"), (SUITES[1], "three")]
            .map(|(of, name)| (of, name.into()))
            .into()
    }

    fn parse(arguments: &[&str]) -> Result<Asked> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Asked::parse(&arguments, &known())
    }

    #[test]
    fn without_a_name_all_targets_are_meant_and_with_that_of_a_crate_its_own() {
        assert_eq!(parse(&[]).unwrap(), Asked { targets: known(), seconds: SECONDS, keep: false });
        let two = vec![known().remove(1)];
        assert_eq!(
            parse(&["two", "--seconds", "5"]).unwrap(),
            Asked { targets: two, seconds: 5, keep: false }
        );
        assert_eq!(parse(&["query"]).unwrap().targets, known()[..2]);
    }

    #[test]
    fn a_target_that_does_not_exist_is_an_error_that_lists_those_which_do() {
        assert!(parse(&["four"]).unwrap_err().to_string().contains("one, two, three"));
        assert!(parse(&["--seconds", "0"]).is_err() && parse(&["--seconds"]).is_err());
    }
}
