//! The suites of tests: what each runs, and how its output is shortened. The full output is in test-results/.

use crate::process::{command, lines, run};
use crate::results::{Outcome, Results};
use crate::setup;
use crate::toolchain::TARGET;
use crate::ui;
use crate::workspace::{cargo, files, is_source_dir, release_binary, results_dir, root};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories of tests/ whose tests start browsers or the built programs.
const END_TO_END: [&str; 5] = ["e2e", "interop", "federation", "packaging", "network"];

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
/// libtest has no standard output there: a failing vector aborts the program, and one entry per crate is recorded.
pub(crate) fn wasm_vectors() -> Result<Results> {
    let crates = root().join("crates");
    let is_vectors = |path: &Path| path.to_string_lossy().ends_with("vectors.rs");
    let suites: Vec<Vectors> = files(&crates, &is_source_dir, &is_vectors)?
        .iter()
        .filter_map(|path| Vectors::of(&crates, path))
        .collect();
    if suites.is_empty() {
        bail!("no crate has golden vectors to run as wasm\nNext: crates/NAME/tests/vectors.rs");
    }
    let mut build = setup::wasm_toolchain()?.cargo("test");
    // The wasm peer is among the packages because its choice of getrandom's backend then holds for the tests, too.
    // The unoptimised profile: the vectors are few, the crates to compile are many.
    build.args(["--no-run", "--profile", "tools", "--test", "*vectors", "-p", "weft-wasm-peer"]);
    build.args(["--message-format", "json-render-diagnostics"]);
    for Vectors { package, .. } in &suites {
        build.args(["-p", &format!("weft-{package}")]);
    }
    let mut programs = Vec::new();
    let next =
        "the vectors may use no files, only include_str!, and no dependency that needs an operating system";
    if !lines(&mut build, next, |line| programs.extend(Program::parse(line)))? {
        bail!("the vectors do not compile for {TARGET}\nNext: {next}");
    }
    let mut results = Results::default();
    for suite in &suites {
        let outcome = run_wasm_test(suite, &programs);
        if let Err(error) = &outcome {
            ui::error(error);
        }
        let outcome = if outcome.is_ok() { Outcome::Passed } else { Outcome::Failed };
        results.add(&format!("wasm_{}_{}", suite.package.replace('-', "_"), suite.test), outcome);
    }
    finish("wasm", &results, true, "cargo test --test vectors shows natively which vector it is")?;
    Ok(results)
}

/// Node tests that need neither a browser nor the built programs: `*.test.{mjs,ts}` of web/, tests/ and xtask/.
pub(crate) fn node() -> Result<Results> {
    let is_end_to_end =
        |path: &Path| END_TO_END.iter().any(|dir| path.starts_with(root().join("tests").join(dir)));
    let found = test_files()?.into_iter().filter(|path| !is_end_to_end(path)).collect::<Vec<_>>();
    run_node("node", &found, &[])
}

/// Tests of what is shipped: browsers, the built signaler and `weft`, the packed tarball. Two files at a time: each starts
/// several programs, and mostly waits for what has to take its time.
pub(crate) fn end_to_end() -> Result<Results> {
    let shipped = [release_binary("weft-signaler"), release_binary("weft"), crate::web::tarball()?];
    if let Some(missing) = shipped.iter().find(|file| !file.exists()) {
        bail!("{} is not built\nNext: `npm run build`", missing.display());
    }
    let found = test_files()?.into_iter().filter(|path| is_end_to_end(path)).collect::<Vec<_>>();
    run_node("e2e", &found, &["--test-concurrency=2"])
}

/// Whether a test file belongs to [`end_to_end`].
pub(crate) fn is_end_to_end(path: &Path) -> bool {
    END_TO_END.iter().any(|dir| path.starts_with(root().join("tests").join(dir)))
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
    test.args(["--import", "tsx", "--import", "./tests/limit.ts", "--test"]);
    test.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
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

/// A test program with golden vectors: crates/PACKAGE/tests/TEST.rs.
struct Vectors {
    package: String,
    test: String,
}

impl Vectors {
    fn of(crates: &Path, file: &Path) -> Option<Self> {
        let package = file.strip_prefix(crates).ok()?.components().next()?;
        let package = package.as_os_str().to_string_lossy().into_owned();
        let is_test = file.parent()? == crates.join(&package).join("tests");
        is_test.then_some(Self { package, test: file.file_stem()?.to_string_lossy().into_owned() })
    }
}

/// Runs a wasm test program in Node. It needs nothing from outside, and ends with 0 or a trap.
fn run_wasm_test(suite: &Vectors, programs: &[Program]) -> Result<()> {
    let Vectors { package, test } = suite;
    let source = root().join("crates").join(package).join("tests").join(format!("{test}.rs"));
    let program = programs.iter().find(|program| program.source == source);
    let program = program.with_context(|| format!("cargo built no {test} of weft-{package}"))?;
    // What the wasm peer's build brings along asks the browser for randomness and more; a vector must not.
    let script = "const {readFileSync} = require('node:fs'); \
                  const module = new WebAssembly.Module(readFileSync(process.argv[1])); \
                  const imports = {}; \
                  for (const {module: from, name} of WebAssembly.Module.imports(module)) \
                  (imports[from] ??= {})[name] = () => { throw new Error(`a vector asks for ${name}`); }; \
                  process.exit(new WebAssembly.Instance(module, imports).exports.main(0, 0))";
    let mut node = command("node", &root());
    run(node.args(["-e", script]).arg(&program.file), "the stack above names the failing test")
}

/// A program that cargo built.
struct Program {
    source: PathBuf,
    file: PathBuf,
}

impl Program {
    /// The program that a line of cargo's JSON messages names, if any.
    fn parse(line: &str) -> Option<Self> {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
            Some(PathBuf::from(rest.split_once('"')?.0))
        };
        Some(Self { source: field("src_path")?, file: field("executable")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_name_the_programs_and_nothing_else() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"vectors","src_path":"/w/crates/query/tests/vectors.rs"},"executable":"/t/vectors-1f.wasm","fresh":false}"#;
        let program = Program::parse(line).map(|program| (program.source, program.file));
        assert_eq!(program, Some(("/w/crates/query/tests/vectors.rs".into(), "/t/vectors-1f.wasm".into())));
        assert!(Program::parse(r#"{"target":{"src_path":"/w/lib.rs"},"executable":null}"#).is_none());
    }

    #[test]
    fn vectors_are_test_programs_of_a_crate() {
        let of =
            |file: &str| Vectors::of(Path::new("/w/crates"), Path::new(file)).map(|v| (v.package, v.test));
        let found = of("/w/crates/wire/tests/link_vectors.rs");
        assert_eq!(found, Some(("wire".to_owned(), "link_vectors".to_owned())));
        assert_eq!(of("/w/crates/wire/src/vectors.rs"), None);
    }
}
