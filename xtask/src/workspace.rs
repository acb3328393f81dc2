//! Where things are: paths of the workspace and the tools found on this machine.

use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo's target directory: CARGO_TARGET_DIR, or `target` at the root.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Where the tests leave their lists and reports.
pub(crate) fn results_dir() -> PathBuf {
    root().join("test-results")
}

/// A built program of the release profile.
pub(crate) fn release_binary(name: &str) -> PathBuf {
    target_dir().join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// A command that `npm install` put at the root.
pub(crate) fn node_binary(name: &str) -> PathBuf {
    root().join("node_modules").join(".bin").join(name)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The first program of this name on PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    // Servers are in sbin, which is not on everybody's PATH.
    let path = env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(extra)
        .map(|dir| dir.join(format!("{name}{}", env::consts::EXE_SUFFIX)))
        .find(|candidate| candidate.is_file())
}

/// Whether this runs in continuous integration, where everything comes from the lock files.
pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}

/// The first `"version": "…"` of a package.json.
pub(crate) fn npm_version(package_json: &Path) -> Result<String> {
    let text = read(package_json)?;
    text.lines()
        .find_map(|line| line.trim().strip_prefix("\"version\": \"")?.split('"').next().map(str::to_owned))
        .with_context(|| format!("{} has no version", package_json.display()))
}

/// A text file, with its path in the error.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// All files below `dir` that `keep` accepts, sorted; directories for which `enter` is false are left out.
pub(crate) fn files(
    dir: &Path,
    enter: &dyn Fn(&Path) -> bool,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir).with_context(|| format!("{} cannot be listed", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if enter(&path) {
                    pending.push(path);
                }
            } else if keep(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a directory holds sources: not dependencies, outputs or hidden directories.
pub(crate) fn is_source_dir(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    !name.starts_with('.')
        && !matches!(name.as_str(), "node_modules" | "target" | "dist" | "generated" | "test-results")
}
