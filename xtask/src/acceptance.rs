//! docs/acceptance.md, held to its word: every test it names exists, and ran, and passed.
//!
//! The table's rows are `| id | tests | state |`. `done` needs a test of what is shipped whose name begins with the id;
//! `partial` needs a test named so anywhere; `open` (this release) and `planned` (a later one) name none.

use crate::results::{Outcome, Results};
use crate::suites::is_end_to_end;
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

/// A file with tests.
struct Source {
    text: String,
    /// Whether its tests run what is shipped: the built programs, the packed package.
    shipped: bool,
    /// The list in test-results/ that its tests are in.
    suite: &'static str,
}

/// A definition of a test, and how its last run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Definition {
    shipped: bool,
    outcome: Option<Outcome>,
}

/// Where tests of what is shipped are.
const SHIPPED: [&str; 8] = [
    "tests/e2e",
    "tests/interop",
    "tests/federation",
    "tests/packaging",
    "tests/network",
    "web/test",
    "signaler/tests",
    "native-peer/tests",
];

/// Checks the table against the sources and the last run of the tests.
pub(crate) fn run() -> Result<()> {
    let items = parse(&read(&root().join("docs").join("acceptance.md"))?);
    let sources = sources()?;
    let mut ran = Vec::new();
    for suite in ["rust", "node", "e2e"] {
        ran.push((suite, Results::load(suite)?));
    }
    let problems = check(&items, &|test| definitions(test, &sources, &ran));
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
fn check(items: &[Item], definitions: &dyn Fn(&str) -> Vec<Definition>) -> Vec<String> {
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
        let Item { id, tests, state } = item;
        let named = || tests.iter().filter(|test| is_named_after(id, test));
        match state.as_str() {
            "done" if !named().any(|test| definitions(test).iter().any(|definition| definition.shipped)) => {
                problems
                    .push(format!("{id} is done without a test of what is shipped that is named after it"));
            }
            "partial" if named().next().is_none() => {
                problems.push(format!("{id} is partial without a test that is named after it"));
            }
            "open" | "planned" if !tests.is_empty() => {
                problems.push(format!("{id} is {state} and yet names tests"));
            }
            "done" | "partial" | "open" | "planned" => {}
            other => {
                problems
                    .push(format!("{id}: the state {other:?} is not one of done, partial, open, planned"));
            }
        }
        for test in tests {
            let definitions = definitions(test);
            if definitions.is_empty() {
                problems.push(format!("{id}: no source defines {test}"));
            }
            for definition in definitions {
                match definition.outcome {
                    Some(Outcome::Passed) => {}
                    Some(Outcome::Failed) => problems.push(format!("{id}: {test} failed")),
                    Some(Outcome::Skipped) => problems.push(format!("{id}: {test} was skipped")),
                    None => problems.push(format!("{id}: {test} did not run")),
                }
            }
        }
    }
    problems
}

/// `d3_…`, or `d2_d3_…` for a test of several items.
fn is_named_after(id: &str, test: &str) -> bool {
    let id = id.to_lowercase();
    test.split('_').take_while(|part| is_id(&part.to_uppercase())).any(|part| part == id)
}

/// All definitions of a test: one name may be used in a core and with what is shipped, and then both have to hold.
fn definitions(test: &str, sources: &[Source], ran: &[(&'static str, Results)]) -> Vec<Definition> {
    let outcome =
        |suite: &str| ran.iter().find(|(name, _)| *name == suite).and_then(|(_, all)| all.outcome(test));
    sources
        .iter()
        .filter(|source| defines(&source.text, test))
        .map(|source| Definition { shipped: source.shipped, outcome: outcome(source.suite) })
        .collect()
}

/// Names of tests of what is shipped that begin with an id and are in no row.
fn unlisted(items: &[Item], sources: &[Source]) -> Vec<String> {
    let mut found: Vec<String> = sources
        .iter()
        .filter(|source| source.shipped)
        .flat_map(|source| {
            let words = source.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words
                .filter(|word| word.split_once('_').is_some_and(|(id, _)| is_id(&id.to_uppercase())))
                .filter(|word| defines(&source.text, word))
        })
        .filter(|word| !items.iter().any(|item| item.tests.iter().any(|test| test == word)))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Whether a source defines a test of this name: `fn name(` in Rust (or `fn name<`, of one for several types), a string that begins with it in TypeScript.
fn defines(source: &str, test: &str) -> bool {
    let quoted = |quote: char| {
        [format!("test({quote}{test}"), format!("it({quote}{test}")].iter().any(|call| {
            source.match_indices(call.as_str()).any(|(at, _)| source[at + call.len()..].starts_with(quote))
        })
    };
    ["(", "<"].into_iter().any(|after| source.contains(&format!("fn {test}{after}")))
        || ['"', '\'', '`'].into_iter().any(quoted)
}

fn sources() -> Result<Vec<Source>> {
    let root = root();
    let is_source = |path: &Path| {
        // This crate's own tests hold names of tests in strings.
        !path.starts_with(root.join("xtask")) && (is_rust(path) || is_node_test(path))
    };
    let mut found = Vec::new();
    for path in files(&root, &is_source_dir, &is_source)? {
        let shipped = SHIPPED.iter().any(|dir| path.starts_with(root.join(dir)));
        let suite = match (is_rust(&path), is_end_to_end(&path)) {
            (true, _) => "rust",
            (false, true) => "e2e",
            (false, false) => "node",
        };
        found.push(Source { text: read(&path)?, shipped, suite });
    }
    Ok(found)
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn is_node_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.ends_with(".test.mjs") || name.ends_with(".test.ts")
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

    fn defined(shipped: bool, outcome: Option<Outcome>) -> impl Fn(&str) -> Vec<Definition> {
        move |_| vec![Definition { shipped, outcome }]
    }

    #[test]
    fn a_row_that_is_done_holds_when_its_test_of_what_is_shipped_passed() {
        let items = complete("| D3 | `d3_no_leave` (both) | done |");
        assert_eq!(items[0].tests, ["d3_no_leave"]);
        assert!(check(&items, &defined(true, Some(Outcome::Passed))).is_empty());
        let several = complete("| D3 | `d2_d3_leaves` | done |");
        assert!(check(&several, &defined(true, Some(Outcome::Passed))).is_empty());
    }

    #[test]
    fn a_test_of_a_core_makes_a_row_partial_and_not_done() {
        let check = |row| check(&complete(row), &defined(false, Some(Outcome::Passed)));
        assert!(check("| D3 | `d3_no_leave` | partial |").is_empty());
        let problem = "D3 is done without a test of what is shipped that is named after it";
        assert_eq!(check("| D3 | `d3_no_leave` | done |"), [problem]);
    }

    #[test]
    fn a_row_that_claims_too_much_is_a_problem() {
        let items = complete("| D3 | `d3_no_leave` | partial |");
        let problems = |outcome| check(&items, &defined(true, outcome));
        assert_eq!(problems(None), ["D3: d3_no_leave did not run"]);
        assert_eq!(problems(Some(Outcome::Skipped)), ["D3: d3_no_leave was skipped"]);
        assert_eq!(problems(Some(Outcome::Failed)), ["D3: d3_no_leave failed"]);
        assert_eq!(check(&items, &|_| Vec::new()), ["D3: no source defines d3_no_leave"]);
        for (row, problem) in [
            ("| D3 | `d4_other` | partial |", "D3 is partial without a test that is named after it"),
            ("| D3 |  | partial |", "D3 is partial without a test that is named after it"),
            ("| D3 | `d3_x` | planned |", "D3 is planned and yet names tests"),
            ("| D3 |  | soon |", "D3: the state \"soon\" is not one of done, partial, open, planned"),
        ] {
            assert_eq!(check(&complete(row), &defined(true, Some(Outcome::Passed))), [problem]);
        }
    }

    #[test]
    fn a_test_counts_only_where_the_suite_of_its_file_ran_it() {
        let source = |suite, shipped| Source { text: "fn d3_no_leave() {".to_owned(), shipped, suite };
        let sources = [source("rust", false), source("e2e", true)];
        let mut rust = Results::default();
        rust.add("core::d3_no_leave", Outcome::Passed);
        let found = definitions("d3_no_leave", &sources, &[("rust", rust), ("e2e", Results::default())]);
        let core = Definition { shipped: false, outcome: Some(Outcome::Passed) };
        assert_eq!(found, [core, Definition { shipped: true, outcome: None }]);
    }

    #[test]
    fn every_item_has_exactly_one_row() {
        let mut items = complete("");
        let first = items.remove(0);
        assert_eq!(check(&items, &|_| Vec::new()), ["M1 has no row"]);
        items.extend([first.clone(), first]);
        assert_eq!(check(&items, &|_| Vec::new()), ["M1 has 2 rows"]);
    }

    #[test]
    fn a_test_is_defined_by_its_whole_name_in_rust_or_typescript() {
        assert!(defines("#[test]\nfn d3_no_leave() {", "d3_no_leave"));
        assert!(defines("fn d3_no_leave<S: Sessions>() {", "d3_no_leave"));
        assert!(defines("test(\"d3_no_leave\", async () => {", "d3_no_leave"));
        assert!(!defines("test(\"d3_no_leave_twice\", async () => {", "d3_no_leave"));
        assert!(!defines("// d3_no_leave is missing", "d3_no_leave"));
    }
}
