//! `npm test`: everything, in an order in which the cheap and likely failures come first.
//!
//! A failing suite does not stop the others; the last line counts what passed and failed. Figures of a run are in
//! test-results/.

use crate::results::Results;
use crate::{acceptance, build, deny, lint, setup, suites, ui, wasm};
use anyhow::{Context as _, Result, bail};
use std::time::Instant;

/// A part of the tests that can be chosen with `--only`.
struct Part {
    name: &'static str,
    /// The list in test-results/ that this part writes.
    list: Option<&'static str>,
    run: fn() -> Result<Results>,
}

const PARTS: [Part; 9] = [
    // Clippy and tsc need the glue and the demo, so the build is before them.
    Part {
        name: "build",
        list: None,
        run: || build::everything().and_then(|()| wasm::check_budget()).map(none),
    },
    Part { name: "size", list: None, run: || wasm::check_budget().map(none) },
    Part { name: "lint", list: None, run: || lint::run().map(none) },
    Part { name: "deny", list: None, run: || deny::offline().map(none) },
    Part { name: "rust", list: Some("rust"), run: suites::rust },
    Part { name: "wasm", list: Some("wasm"), run: suites::wasm_vectors },
    Part { name: "node", list: Some("node"), run: suites::node },
    Part { name: "e2e", list: Some("e2e"), run: suites::end_to_end },
    Part { name: "acceptance", list: None, run: || acceptance::run().map(none) },
];

/// Runs all parts, or those after `--only`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let chosen = choose(arguments)?;
    let needs_browsers = chosen.iter().any(|part| part.name == "e2e");
    let scope = if needs_browsers { setup::Scope::Tests } else { setup::Scope::Build };
    setup::run(scope)?;
    chosen.iter().filter_map(|part| part.list).for_each(Results::forget);

    let mut all = Results::default();
    let mut rows = Vec::new();
    let mut broken = Vec::new();
    for part in &chosen {
        let started = Instant::now();
        let outcome = ui::step(&format!("test: {}", part.name), part.run);
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        rows.push(format!("{:<12}{word:<8}{}", part.name, ui::seconds(started.elapsed())));
        if let Err(error) = outcome {
            ui::error(&error);
            broken.push(part.name);
        }
        if let Some(list) = part.list {
            all.extend(&Results::load(list)?);
        }
    }

    ui::out("");
    for row in &rows {
        ui::out(row);
    }
    all.failures().for_each(|name| ui::out(&format!("FAILED {name}")));
    let (passed, failed, skipped) = all.counts();
    ui::out(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if !broken.is_empty() {
        bail!(
            "{} failed\nNext: `npm test -- --only {}` repeats just that",
            broken.join(", "),
            broken.join(",")
        );
    }
    Ok(())
}

fn choose(arguments: &[String]) -> Result<Vec<&'static Part>> {
    match arguments {
        [] => Ok(PARTS.iter().collect()),
        [flag, names] if flag == "--only" => names.split(',').map(part).collect(),
        other => bail!("unexpected argument {}\nNext: --only {}", other.join(" "), names()),
    }
}

fn part(name: &str) -> Result<&'static Part> {
    let found = PARTS.iter().find(|part| part.name == name);
    found.with_context(|| format!("there is no part {name}\nNext: --only {}", names()))
}

fn names() -> String {
    PARTS.map(|part| part.name).join(",")
}

fn none((): ()) -> Results {
    Results::default()
}
