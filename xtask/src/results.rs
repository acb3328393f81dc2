//! Which tests ran and how they ended: read from the output of cargo and node, kept in test-results/ for the
//! acceptance check and the final line.

use crate::workspace::{read, results_dir};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// It ran and held.
    Passed,
    /// It was left out: ignored, or skipped by itself.
    Skipped,
    /// It ran and did not hold.
    Failed,
}

/// The tests of one suite (rust, wasm, node, e2e) by name. Of two tests with one name the worse outcome counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Results {
    tests: BTreeMap<String, Outcome>,
    passed: usize,
    skipped: usize,
    failed: usize,
}

impl Results {
    /// Adds one test.
    pub(crate) fn add(&mut self, name: &str, outcome: Outcome) {
        *match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Failed => &mut self.failed,
        } += 1;
        let known = self.tests.entry(name.to_owned()).or_insert(outcome);
        *known = (*known).max(outcome);
    }

    /// Reads a line of libtest: `test path::name ... ok`. Other lines are ignored.
    pub(crate) fn add_libtest_line(&mut self, line: &str) -> Option<Outcome> {
        let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let outcome = match outcome.split([' ', ',']).next()? {
            "ok" => Outcome::Passed,
            "ignored" => Outcome::Skipped,
            "FAILED" => Outcome::Failed,
            _ => return None,
        };
        self.add(name.trim_end_matches(" - should panic"), outcome);
        Some(outcome)
    }

    /// Reads a line of TAP at any depth: `ok 3 - name # SKIP why`. The line that sums up a file is ignored.
    pub(crate) fn add_tap_line(&mut self, line: &str) -> Option<Outcome> {
        let line = line.trim_start();
        let (ok, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok ")?),
        };
        let (number, rest) = rest.split_once(" - ")?;
        number.parse::<u32>().ok()?;
        let (name, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
        // A file whose tests all passed is no test; a file that failed (it did not load, say) is a failure of its own.
        if ok && is_file_name(name) {
            return None;
        }
        let outcome = match (directive.starts_with("SKIP") || directive.starts_with("TODO"), ok) {
            (true, _) => Outcome::Skipped,
            (false, true) => Outcome::Passed,
            (false, false) => Outcome::Failed,
        };
        self.add(name, outcome);
        Some(outcome)
    }

    /// The outcome of a test, found by its full name or by the last part of its path.
    pub(crate) fn outcome(&self, name: &str) -> Option<Outcome> {
        let suffix = format!("::{name}");
        let matching = self.tests.iter().filter(|(known, _)| *known == name || known.ends_with(&suffix));
        matching.map(|(_, outcome)| *outcome).max()
    }

    /// Names of failed tests.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().filter(|(_, outcome)| **outcome == Outcome::Failed).map(|(name, _)| name.as_str())
    }

    /// Passed, failed, skipped.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.passed, self.failed, self.skipped)
    }

    /// Adds the tests of another suite.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.passed += other.passed;
        self.skipped += other.skipped;
        self.failed += other.failed;
        for (name, outcome) in &other.tests {
            let known = self.tests.entry(name.clone()).or_insert(*outcome);
            *known = (*known).max(*outcome);
        }
    }

    /// Writes test-results/SUITE.list: one line `passed NAME` per test.
    pub(crate) fn save(&self, suite: &str) -> Result<()> {
        let dir = results_dir();
        fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let lines: Vec<String> =
            self.tests.iter().map(|(name, outcome)| format!("{} {name}", word(*outcome))).collect();
        fs::write(dir.join(format!("{suite}.list")), lines.join("\n"))
            .context("the list of tests cannot be written")
    }

    /// Forgets the last run of a suite, so that a run that breaks off leaves no old list behind.
    pub(crate) fn forget(suite: &str) {
        let _ = fs::remove_file(results_dir().join(format!("{suite}.list")));
    }

    /// The list of one suite; empty if it did not get as far as writing one.
    pub(crate) fn load(suite: &str) -> Result<Self> {
        let list = results_dir().join(format!("{suite}.list"));
        if list.exists() { Self::read_list(&list) } else { Ok(Self::default()) }
    }

    fn read_list(list: &Path) -> Result<Self> {
        let mut results = Self::default();
        for line in read(list)?.lines() {
            let Some((ended, name)) = line.split_once(' ') else { continue };
            let outcomes = [Outcome::Passed, Outcome::Skipped, Outcome::Failed];
            if let Some(outcome) = outcomes.into_iter().find(|outcome| word(*outcome) == ended) {
                results.add(name, outcome);
            }
        }
        Ok(results)
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Skipped => "skipped",
        Outcome::Failed => "failed",
    }
}

fn is_file_name(name: &str) -> bool {
    [".test.mjs", ".test.ts", ".test.js"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_lines_become_tests_and_other_lines_do_not() {
        let mut results = Results::default();
        for line in [
            "running 4 tests",
            "test frames::tests::a_frame_survives ... ok",
            "test refuses - should panic ... ok",
            "test slow ... ignored, takes an hour",
            "test broken ... FAILED",
            "test result: FAILED. 2 passed; 1 failed; 1 ignored",
        ] {
            results.add_libtest_line(line);
        }
        assert_eq!(results.counts(), (2, 1, 1));
        assert_eq!(results.outcome("a_frame_survives"), Some(Outcome::Passed));
        assert_eq!(results.outcome("refuses"), Some(Outcome::Passed));
        assert_eq!(results.outcome("slow"), Some(Outcome::Skipped));
        assert_eq!(results.outcome("survives"), None, "a part of a name is not its last part");
        assert_eq!(results.failures().collect::<Vec<_>>(), ["broken"]);
    }

    #[test]
    fn tap_lines_of_any_depth_become_tests_and_good_files_do_not() {
        let mut results = Results::default();
        for line in [
            "TAP version 13",
            "# Subtest: m1_two_tabs",
            "    ok 1 - m1_two_tabs",
            "ok 1 - tests/e2e/start.test.mjs",
            "    not ok 2 - m2_films",
            "not ok 2 - tests/e2e/broken.test.mjs",
            "ok 3 - firefox # SKIP not installed",
            "1..3",
        ] {
            results.add_tap_line(line);
        }
        assert_eq!(results.counts(), (1, 2, 1));
        assert_eq!(results.outcome("m2_films"), Some(Outcome::Failed));
    }

    #[test]
    fn of_two_tests_with_one_name_the_worse_outcome_counts() {
        let mut results = Results::default();
        results.add("a::same", Outcome::Passed);
        results.add("b::same", Outcome::Failed);
        assert_eq!(results.outcome("same"), Some(Outcome::Failed));
    }
}
