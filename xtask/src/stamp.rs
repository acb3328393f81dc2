//! Up-to-date checks: a stamp file beside an output remembers the hash of everything the output was made from.
//!
//! Contents are hashed, not modification times: a checkout or a touch rebuilds nothing.

use anyhow::{Context as _, Result};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// The inputs of one build step.
#[derive(Default)]
pub(crate) struct Inputs {
    hasher: DefaultHasher,
}

impl Inputs {
    /// Adds an option or a version.
    pub(crate) fn text(mut self, text: &str) -> Self {
        text.hash(&mut self.hasher);
        self
    }

    /// Adds a file's name and contents; a missing file is an input, too.
    pub(crate) fn file(mut self, path: &Path) -> Self {
        path.hash(&mut self.hasher);
        fs::read(path).ok().hash(&mut self.hasher);
        self
    }

    /// Adds many files.
    pub(crate) fn files(self, paths: &[PathBuf]) -> Self {
        paths.iter().fold(self, |inputs, path| inputs.file(path))
    }

    /// Closes the list. `stamp` is the file that remembers the last successful build.
    pub(crate) fn stamp(self, stamp: PathBuf) -> Stamp {
        Stamp { path: stamp, value: format!("{:016x}", self.hasher.finish()) }
    }
}

/// The state of one output.
pub(crate) struct Stamp {
    path: PathBuf,
    value: String,
}

impl Stamp {
    /// Whether the last build had the same inputs and all `outputs` are still there.
    pub(crate) fn is_fresh(&self, outputs: &[PathBuf]) -> bool {
        outputs.iter().all(|output| output.exists())
            && fs::read_to_string(&self.path).is_ok_and(|remembered| remembered == self.value)
    }

    /// Remembers that the outputs were built from these inputs.
    pub(crate) fn write(&self) -> Result<()> {
        fs::write(&self.path, &self.value)
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_fresh_until_an_input_changes_or_an_output_is_gone() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("weft-stamp-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let (input, output) = (dir.join("input"), dir.join("output"));
        fs::write(&input, "one")?;
        fs::write(&output, "")?;
        let stamp = || Inputs::default().text("option").file(&input).stamp(dir.join("stamp"));
        let outputs = [output.clone()];

        assert!(!stamp().is_fresh(&outputs), "never built");
        stamp().write()?;
        assert!(stamp().is_fresh(&outputs), "just built");
        fs::write(&input, "two")?;
        assert!(!stamp().is_fresh(&outputs), "the input changed");
        fs::write(&input, "one")?;
        assert!(stamp().is_fresh(&outputs), "contents count, not times");
        fs::remove_file(&output)?;
        assert!(!stamp().is_fresh(&outputs), "the output is gone");
        fs::remove_dir_all(&dir)?;
        Ok(())
    }
}
