//! What has to hold of every input, whoever made it: the fuzz targets of `crates/crypto/fuzz` call this with what libFuzzer
//! tries, and `corpus` with the inputs that are kept.

use crate::{decoding, members, sessions};

/// Looks at one input; panics where something does not hold.
pub(crate) type Check = fn(&[u8]);

/// The fuzz targets.
pub(crate) const TARGETS: [(&str, Check); 5] = [
    ("frames", decoding::frames),
    ("statements", decoding::statements),
    ("chunks", decoding::chunks),
    ("sessions", sessions::sessions),
    ("members", members::members),
];

/// Checks one input of a target; panics where something does not hold.
pub(crate) fn check(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no target {target}"));
    check(input);
}

/// The bytes of an input, as choices. When there are no more, everything is done.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    /// One of so many.
    pub(crate) fn one_of(&mut self, many: usize) -> Option<usize> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (many > 0).then(|| usize::from(*first) % many)
    }
}
