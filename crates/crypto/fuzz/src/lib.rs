//! What the fuzz targets check. The same modules are part of the tests in `crates/crypto/tests/fuzzing`, which replay the
//! corpus with real cryptography. Here, stand-ins are in its place: fast, and the same for the same input.

#![forbid(unsafe_code)]

#[cfg(not(weft_simulation))]
compile_error!("build with `cargo xtask fuzz`, which chooses the stand-ins for cryptography");

#[path = "../../tests/fuzzing/checks.rs"]
mod checks;
#[path = "../../tests/fuzzing/decoding.rs"]
mod decoding;
#[path = "../../tests/fuzzing/members.rs"]
mod members;
#[path = "../../tests/fuzzing/sessions.rs"]
mod sessions;

/// Checks one input of a target; panics where something does not hold.
pub fn check(target: &str, input: &[u8]) {
    checks::check(target, input);
}
