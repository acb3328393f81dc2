//! docs/acceptance.md, held to its word: every test it names exists, and ran, and passed.
//!
//! The table's rows are `| id | tests | state |`. `done` and `partial` need at least one test, and one whose name
//! begins with the id; `open` (this release) and `planned` (a later one) name none.

use crate::results::{Outcome, Results};
use crate::ui;
use crate::workspace::{files, is_source_dir, read, root};
use anyhow::{Result, bail};
use std::path::Path;

/// The items there are: a letter, and the last number.
const ITEMS: [(char, u32); 7] = [('M', 5), ('D', 15), ('Q', 13), ('N', 13), ('C', 13), ('P', 5), ('T', 17)];

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    id: String,
    tests: Vec<String>,
    state: String,
}

/// Checks the table against the sources and the last run of the tests.
pub(crate) fn run() -> Result<()> {
    let items = parse(&read(&root().join("docs").join("acceptance.md"))?);
    let sources = sources()?;
    let exists = |test: &str| sources.iter().any(|source| defines(source, test));
    let ran = Results::load_all()?;
    let problems = check(&items, &exists, &|test| ran.outcome(test));
    for problem in &problems {
        ui::note(problem);
    }
    for test in unlisted(&items, &sources) {
        ui::note(&format!("remark: {test} is in no row"));
    }
    let count = |state: &str| items.iter().filter(|item| item.state == state).count();
    ui::note(&format!(
        "{} done, {} partial, {} open, {} planned for a later release",
        count("done"),
        count("partial"),
        count("open"),
        count("planned")
    ));
    if !problems.is_empty() {
        bail!(
            "docs/acceptance.md claims {} things that do not hold\nNext: `npm test` first (the lists of tests that \
             ran are in test-results/), then correct the row or the test",
            problems.len()
        );
    }
    Ok(())
}

/// The rows of the table, in order; other lines are prose.
fn parse(document: &str) -> Vec<Item> {
    let cells = |line: &str| {
        line.trim().trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect::<Vec<_>>()
    };
    document
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(cells)
        .filter(|cells| cells.len() >= 3 && is_id(&cells[0]))
        .map(|cells| Item {
            id: cells[0].clone(),
            // Tests are in backticks; everything between them is a remark.
            tests: cells[1].split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            state: cells[2].clone(),
        })
        .collect()
}

/// Everything the table claims that does not hold.
fn check(
    items: &[Item],
    exists: &dyn Fn(&str) -> bool,
    outcome: &dyn Fn(&str) -> Option<Outcome>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for id in
        ITEMS.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")))
    {
        match items.iter().filter(|item| item.id == id).count() {
            1 => {}
            0 => problems.push(format!("{id} has no row")),
            several => problems.push(format!("{id} has {several} rows")),
        }
    }
    for item in items {
        let id = &item.id;
        match item.state.as_str() {
            "done" | "partial" => {
                let prefix = format!("{}_", id.to_lowercase());
                if !item.tests.iter().any(|test| test.starts_with(&prefix)) {
                    problems.push(format!("{id} is {} without a test named {prefix}…", item.state));
                }
            }
            "open" | "planned" if item.tests.is_empty() => {}
            "open" | "planned" => problems.push(format!("{id} is {} and yet names tests", item.state)),
            other => {
                problems
                    .push(format!("{id}: the state {other:?} is not one of done, partial, open, planned"));
            }
        }
        for test in &item.tests {
            if !exists(test) {
                problems.push(format!("{id}: no source defines {test}"));
                continue;
            }
            match outcome(test) {
                Some(Outcome::Passed) => {}
                Some(Outcome::Failed) => problems.push(format!("{id}: {test} failed")),
                Some(Outcome::Skipped) => problems.push(format!("{id}: {test} was skipped")),
                None => problems.push(format!("{id}: {test} did not run")),
            }
        }
    }
    problems
}

/// Names of tests in the sources that begin with an id and are in no row.
fn unlisted(items: &[Item], sources: &[String]) -> Vec<String> {
    let mut found: Vec<String> = sources
        .iter()
        .flat_map(|source| source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| {
            word.split_once('_').is_some_and(|(id, rest)| is_id(&id.to_uppercase()) && rest.contains('_'))
        })
        .filter(|word| !items.iter().any(|item| item.tests.iter().any(|test| test == word)))
        .filter(|word| sources.iter().any(|source| defines(source, word)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a source defines a test of this name: `fn name(` in Rust, a string that begins with it in TypeScript.
fn defines(source: &str, test: &str) -> bool {
    let quoted = |quote: char| {
        [format!("test({quote}{test}"), format!("it({quote}{test}")].iter().any(|call| {
            source.match_indices(call.as_str()).any(|(at, _)| source[at + call.len()..].starts_with(quote))
        })
    };
    source.contains(&format!("fn {test}(")) || ['"', '\'', '`'].into_iter().any(quoted)
}

fn sources() -> Result<Vec<String>> {
    let root = root();
    let is_source = |path: &Path| {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // This crate's own tests hold names of tests in strings.
        let own = path.starts_with(root.join("xtask"));
        !own && (is_rust || name.ends_with(".test.mjs") || name.ends_with(".test.ts"))
    };
    files(&root, &is_source_dir, &is_source)?.iter().map(|path| read(path)).collect()
}

/// `D3`: a letter of [`ITEMS`] and a number.
fn is_id(text: &str) -> bool {
    let mut characters = text.chars();
    let letter = characters.next();
    let number = characters.as_str().parse::<u32>();
    ITEMS
        .iter()
        .any(|(known, last)| Some(*known) == letter && number.as_ref().is_ok_and(|n| (1..=*last).contains(n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(rows: &str) -> Vec<Item> {
        let mut items = parse(rows);
        let all = ITEMS.iter().flat_map(|(letter, last)| (1..=*last).map(move |n| format!("{letter}{n}")));
        for id in all {
            if !items.iter().any(|item| item.id == id) {
                items.push(Item { id, tests: Vec::new(), state: "planned".to_owned() });
            }
        }
        items
    }

    #[test]
    fn a_row_that_is_done_holds_when_its_test_exists_and_passed() {
        let items = complete("| D3 | `d3_no_leave` (both) | done |");
        assert_eq!(items[0].tests, ["d3_no_leave"]);
        assert!(check(&items, &|_| true, &|_| Some(Outcome::Passed)).is_empty());
    }

    #[test]
    fn a_row_that_claims_too_much_is_a_problem() {
        let items = complete("| D3 | `d3_no_leave` | done |");
        let problems = |exists, outcome| check(&items, &|_| exists, &|_| outcome);
        assert_eq!(problems(false, Some(Outcome::Passed)), ["D3: no source defines d3_no_leave"]);
        assert_eq!(problems(true, None), ["D3: d3_no_leave did not run"]);
        assert_eq!(problems(true, Some(Outcome::Skipped)), ["D3: d3_no_leave was skipped"]);
        assert_eq!(problems(true, Some(Outcome::Failed)), ["D3: d3_no_leave failed"]);
        for (row, problem) in [
            ("| D3 | `d4_other` | done |", "D3 is done without a test named d3_…"),
            ("| D3 |  | done |", "D3 is done without a test named d3_…"),
            ("| D3 | `d3_x` | planned |", "D3 is planned and yet names tests"),
            ("| D3 |  | soon |", "D3: the state \"soon\" is not one of done, partial, open, planned"),
        ] {
            assert_eq!(check(&complete(row), &|_| true, &|_| Some(Outcome::Passed)), [problem]);
        }
    }

    #[test]
    fn every_item_has_exactly_one_row() {
        let mut items = complete("");
        let first = items.remove(0);
        assert_eq!(check(&items, &|_| true, &|_| None), ["M1 has no row"]);
        items.extend([first.clone(), first]);
        assert_eq!(check(&items, &|_| true, &|_| None), ["M1 has 2 rows"]);
    }

    #[test]
    fn a_test_is_defined_by_its_whole_name_in_rust_or_typescript() {
        assert!(defines("#[test]\nfn d3_no_leave() {", "d3_no_leave"));
        assert!(defines("test(\"d3_no_leave\", async () => {", "d3_no_leave"));
        assert!(!defines("test(\"d3_no_leave_twice\", async () => {", "d3_no_leave"));
        assert!(!defines("// d3_no_leave is missing", "d3_no_leave"));
    }
}
