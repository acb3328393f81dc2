//! What the fuzz targets check. The same modules are part of the tests in `crates/query/tests/properties`, which replay the
//! corpus.

#![forbid(unsafe_code)]

#[path = "../../tests/properties/checks.rs"]
mod checks;
#[path = "../../tests/properties/made_up.rs"]
mod made_up;
#[path = "../../tests/properties/naive.rs"]
mod naive;

/// Checks one input of a target; panics where something does not hold.
pub fn check(target: &str, input: &[u8]) {
    checks::check(target, input);
}
