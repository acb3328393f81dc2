//! The suites of tests: what each runs, and how its output is shortened. The full output is in test-results/.

use crate::process::{command, lines, run};
use crate::results::{Outcome, Results};
use crate::setup;
use crate::toolchain::{TARGET, wasm_target_dir};
use crate::ui;
use crate::wasm::{self, Names};
use crate::workspace::{cargo, files, is_source_dir, release_binary, results_dir, root};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories of tests/ whose tests start browsers or the built programs; they run one file at a time.
const END_TO_END: [&str; 4] = ["e2e", "interop", "federation", "packaging"];

/// Crates whose golden vectors (tests/vectors.rs, with the vectors compiled in) also run as wasm.
const WITH_VECTORS: [&str; 3] = ["query", "wire", "crypto"];

/// All native Rust tests. `cargo test`, not nextest: nothing to install, and documentation tests run as well.
pub(crate) fn rust() -> Result<Results> {
    let mut results = Results::default();
    let mut log = String::new();
    let mut test = command(cargo(), &root());
    test.args(["test", "--no-fail-fast"]);
    let succeeded = lines(&mut test, "is cargo on PATH?", |line| {
        let _ = writeln!(log, "{line}");
        let outcome = results.add_libtest_line(line);
        let is_noise = line.is_empty() || line.starts_with("running ") || line.starts_with("test result: ok");
        if outcome == Some(Outcome::Failed) || (outcome.is_none() && !is_noise) {
            eprintln!("{line}");
        }
    })?;
    keep_log("rust.log", &log)?;
    finish("rust", &results, succeeded, "cargo test -p CRATE NAME runs one of them")?;
    Ok(results)
}

/// The golden vectors as wasm under Node: the same test programs as natively, compiled for wasm32.
///
/// libtest has no standard output there. A failing vector aborts the program, and the count comes from the native
/// run of the same file, so one entry per crate is recorded.
pub(crate) fn wasm_vectors() -> Result<Results> {
    let toolchain = setup::wasm_toolchain()?;
    let mut results = Results::default();
    for crate_name in WITH_VECTORS {
        if !root().join("crates").join(crate_name).join("tests/vectors.rs").is_file() {
            ui::note(&format!("crates/{crate_name} has no tests/vectors.rs"));
            continue;
        }
        let package = format!("weft-{crate_name}");
        let mut build = toolchain.cargo("test");
        build.args([
            "--no-run",
            "-p",
            &package,
            "--test",
            "vectors",
            "--message-format",
            "json-render-diagnostics",
        ]);
        let mut program = None;
        let built = lines(&mut build, "read the compiler's first error above", |line| {
            program = executable(line).or_else(|| program.take());
        })?;
        let program = program.filter(|_| built).with_context(|| {
            format!("{package}'s vectors do not compile for {TARGET}\nNext: tests/vectors.rs may use no files, only include_str!")
        })?;
        let name = format!("vectors_of_{crate_name}_in_wasm");
        let outcome = match run_wasm_test(&program, crate_name) {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                ui::error(&error);
                Outcome::Failed
            }
        };
        results.add(&name, outcome);
    }
    if results == Results::default() {
        bail!("no crate has golden vectors to run as wasm\nNext: crates/NAME/tests/vectors.rs");
    }
    finish("wasm", &results, true, "the same test fails natively, or depends on the platform")?;
    Ok(results)
}

/// Node tests that need neither a browser nor the built programs: `*.test.{mjs,ts}` of web/, tests/ and xtask/.
pub(crate) fn node() -> Result<Results> {
    let is_end_to_end =
        |path: &Path| END_TO_END.iter().any(|dir| path.starts_with(root().join("tests").join(dir)));
    let found = test_files()?.into_iter().filter(|path| !is_end_to_end(path)).collect::<Vec<_>>();
    run_node("node", &found, &[])
}

/// Tests of what is shipped: browsers, the built signaler and `weft`, the packed tarball. One file at a time, since
/// each starts several programs.
pub(crate) fn end_to_end() -> Result<Results> {
    let shipped = [release_binary("weft-signaler"), release_binary("weft"), crate::web::tarball()?];
    if let Some(missing) = shipped.iter().find(|file| !file.exists()) {
        bail!("{} is not built\nNext: `npm run build`", missing.display());
    }
    let is_end_to_end =
        |path: &PathBuf| END_TO_END.iter().any(|dir| path.starts_with(root().join("tests").join(dir)));
    let found = test_files()?.into_iter().filter(is_end_to_end).collect::<Vec<_>>();
    run_node("e2e", &found, &["--test-concurrency=1"])
}

fn test_files() -> Result<Vec<PathBuf>> {
    let is_test = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".test.mjs") || name.ends_with(".test.ts")
    };
    let mut found = Vec::new();
    for dir in ["web", "tests", "xtask"] {
        found.extend(files(&root().join(dir), &is_source_dir, &is_test)?);
    }
    Ok(found)
}

fn run_node(suite: &str, found: &[PathBuf], options: &[&str]) -> Result<Results> {
    if found.is_empty() {
        bail!("there is no test file for {suite}\nNext: is the checkout complete?");
    }
    let tap = results_dir().join(format!("{suite}.tap"));
    fs::create_dir_all(results_dir())?;
    let _ = fs::remove_file(&tap);
    let mut test = command("node", &root());
    test.args(["--import", "tsx", "--test", "--test-reporter=spec", "--test-reporter-destination=stdout"]);
    test.arg("--test-reporter=tap").arg(format!("--test-reporter-destination={}", tap.display()));
    test.args(options).args(found);
    test.env("WEFT_SIGNALER", release_binary("weft-signaler")).env("WEFT", release_binary("weft"));
    test.env("WEFT_TARBALL", crate::web::tarball()?);
    let succeeded = run(&mut test, "see above").is_ok();

    let mut results = Results::default();
    for line in fs::read_to_string(&tap).unwrap_or_default().lines() {
        results.add_tap_line(line);
    }
    finish(suite, &results, succeeded, "node --import tsx --test FILE runs one of them")?;
    Ok(results)
}

/// Saves the list, sums up, and decides whether the suite held: a suite that ran nothing did not.
fn finish(suite: &str, results: &Results, succeeded: bool, next: &str) -> Result<()> {
    results.save(suite)?;
    let (passed, failed, skipped) = results.counts();
    ui::note(&format!("{suite}: {passed} passed, {failed} failed, {skipped} skipped"));
    results.failures().for_each(|name| ui::note(&format!("FAILED {name}")));
    if failed > 0 {
        bail!("{failed} of {} tests of {suite} failed\nNext: {next}", passed + failed);
    }
    if !succeeded {
        bail!(
            "{suite} did not end well though no test failed: it did not compile, or a file did not load\nNext: {next}"
        );
    }
    if passed == 0 {
        bail!("{suite} ran no test\nNext: is the checkout complete?");
    }
    Ok(())
}

fn keep_log(name: &str, log: &str) -> Result<()> {
    fs::create_dir_all(results_dir())?;
    fs::write(results_dir().join(name), log).with_context(|| format!("test-results/{name} cannot be written"))
}

/// Gives a wasm test program its glue and runs it; its main function runs on loading.
fn run_wasm_test(program: &Path, crate_name: &str) -> Result<()> {
    let out_dir = wasm_target_dir().join("vectors").join(crate_name);
    fs::create_dir_all(&out_dir)?;
    // The root's package.json says that .js is an ES module; this glue is CommonJS.
    fs::write(out_dir.join("package.json"), "{ \"type\": \"commonjs\" }")?;
    wasm::bindgen(program, &out_dir, "vectors", "nodejs", Names::Keep)?;
    let mut node = command("node", &out_dir);
    run(node.arg("vectors.js"), "the stack above names the failing test")
}

/// The executable that a line of cargo's JSON messages names, if any.
fn executable(line: &str) -> Option<PathBuf> {
    let (_, rest) = line.split_once("\"executable\":\"")?;
    Some(PathBuf::from(rest.split_once('"')?.0))
}
