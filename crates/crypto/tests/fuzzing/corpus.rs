//! What fuzzing found worth keeping, checked again.

use crate::checks;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn corpus() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))
}

#[test]
fn every_kept_input_of_the_fuzz_targets_passes_their_checks() {
    for (target, _) in checks::TARGETS {
        let mut ran = 0;
        for entry in fs::read_dir(corpus().join(target)).expect(target) {
            let path = entry.unwrap().path();
            // On its own line, for the panic that may follow.
            println!("{}", path.display());
            checks::check(target, &fs::read(&path).unwrap());
            ran += 1;
        }
        assert!(ran > 10, "only {ran} inputs of {target}");
    }
}

#[test]
fn every_fuzz_target_has_a_corpus_and_a_program() {
    let names = |dir: PathBuf| {
        let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let stem = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        entries.map(|entry| stem(entry.unwrap().path())).collect::<BTreeSet<_>>()
    };
    let targets: BTreeSet<_> = checks::TARGETS.map(|(name, _)| name.to_owned()).into();
    assert_eq!(names(corpus()), targets);
    assert_eq!(names(corpus().with_file_name("fuzz_targets")), targets);
}
