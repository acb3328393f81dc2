//! `npm run bench NAME`: the benchmarks whose figures the documents quote.

use crate::process::{command, run as run_command};
use crate::workspace::{files, is_source_dir, root};
use crate::{build, setup, ui};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Builds everything, then runs one benchmark with the rest of the arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let known = benchmarks()?;
    let Some((name, rest)) = arguments.split_first() else {
        ui::out("benchmarks (npm run bench NAME -- ARGS):");
        for bench in &known {
            ui::out(&format!("  {}", stem(bench)));
        }
        return Ok(());
    };
    let bench = known.iter().find(|bench| stem(bench) == *name).with_context(|| {
        format!("there is no bench/{name}.mjs\nNext: `npm run bench` lists what there is")
    })?;
    setup::run(setup::Scope::Build)?;
    build::everything()?;
    ui::step(&format!("bench {name}"), || {
        run_command(
            command("node", &root()).args(["--import", "tsx"]).arg(bench).args(rest),
            "read the error above",
        )
    })
}

/// The programs directly in bench/: `NAME.mjs` or `NAME.ts`.
fn benchmarks() -> Result<Vec<PathBuf>> {
    let dir = root().join("bench");
    let is_program = |path: &Path| {
        path.parent() == Some(&dir)
            && path.extension().is_some_and(|extension| extension == "mjs" || extension == "ts")
    };
    files(&dir, &is_source_dir, &is_program)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
