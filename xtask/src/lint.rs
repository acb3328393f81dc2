//! Formats and lints: the same in the editor, in `npm test` and in continuous integration.

use crate::process::{command, run as run_command};
use crate::wasm::{self, Names};
use crate::workspace::{cargo, files, is_source_dir, node_binary, root};
use crate::{setup, ui, web};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Workspaces of their own: what cargo-fuzz builds, and a rival that is measured. Only their format is checked.
const APART: [&str; 3] =
    ["crates/query/fuzz/Cargo.toml", "crates/crypto/fuzz/Cargo.toml", "bench/gossip-iroh/Cargo.toml"];

/// Checks everything, the cheap ones first. All of them run, so that one run shows all there is to repair.
pub(crate) fn run() -> Result<()> {
    setup::npm()?;
    prerequisites()?;
    let root = root();
    let mut biome = command(node_binary("biome"), &root);
    biome.args(["check", "--error-on-warnings"]);
    let mut clippy = command(cargo(), &root);
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut rustfmt = command(cargo(), &root);
    rustfmt.args(["fmt", "--all", "--check"]);
    let mut checks = vec![
        ("rustfmt".to_owned(), rustfmt, "`npm run fmt` formats everything"),
        ("biome".to_owned(), biome, "`npm run fmt` repairs most of it"),
    ];
    for manifest in APART {
        let mut rustfmt = command(cargo(), &root);
        rustfmt.args(["fmt", "--check", "--manifest-path", manifest]);
        checks.push((format!("rustfmt {manifest}"), rustfmt, "`npm run fmt` formats everything"));
    }
    for project in projects()? {
        let name = project.strip_prefix(&root).unwrap_or(&project).display().to_string();
        let mut tsc = command(node_binary("tsc"), &root);
        tsc.args(["--noEmit", "-p"]).arg(&project);
        checks.push((format!("tsc {name}"), tsc, "TypeScript must be strict-clean"));
    }
    checks.push(("clippy".to_owned(), clippy, "each lint says how to repair it"));

    let mut failed = Vec::new();
    for (name, mut check, next) in checks {
        if let Err(error) = ui::step(&format!("lint: {name}"), || run_command(&mut check, next)) {
            ui::error(&error);
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} found something\nNext: see above; `npm run fmt` repairs what a program can repair",
            failed.join(", ")
        );
    }
    Ok(())
}

/// Formats Rust, TypeScript, JSON and CSS in place.
pub(crate) fn format_in_place() -> Result<()> {
    setup::npm()?;
    let root = root();
    ui::step("fmt: rustfmt", || {
        run_command(command(cargo(), &root).args(["fmt", "--all"]), "a file does not parse")?;
        for manifest in APART {
            let mut rustfmt = command(cargo(), &root);
            run_command(rustfmt.args(["fmt", "--manifest-path", manifest]), "a file does not parse")?;
        }
        Ok(())
    })?;
    ui::step("fmt: biome", || {
        let mut biome = command(node_binary("biome"), &root);
        run_command(biome.args(["check", "--write"]), "what is left has to be repaired by hand")
    })
}

/// Clippy compiles the signaler, which embeds the demo, and tsc reads the types of the glue: both have to be there,
/// though not up to date.
fn prerequisites() -> Result<()> {
    if !wasm::generated_dir().join("weft.d.ts").exists() {
        wasm::build(Names::Strip)?;
    }
    if !root().join("web/demo/dist").exists() {
        web::build()?;
    }
    Ok(())
}

/// Directories with a tsconfig.json and TypeScript of their own; types are checked here, bundling does not look at them.
fn projects() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for dir in ["web", "tests", "bench"] {
        for config in files(&root().join(dir), &is_source_dir, &|path| path.ends_with("tsconfig.json"))? {
            let Some(project) = config.parent() else { continue };
            let is_typescript = |path: &Path| path.extension().is_some_and(|extension| extension == "ts");
            if !files(project, &is_source_dir, &is_typescript)?.is_empty() {
                found.push(project.to_path_buf());
            }
        }
    }
    Ok(found)
}
