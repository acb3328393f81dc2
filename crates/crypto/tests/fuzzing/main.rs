//! The checks of the fuzz targets, for the inputs that fuzzing found worth keeping.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checks;
mod corpus;
mod decoding;
mod members;
mod sessions;
