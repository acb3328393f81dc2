//! What holds of every query and every document: the evaluator, a deliberately naive one and the index agree, and what
//! is said of two filters is true.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::float_cmp,
    reason = "helpers of tests, on small numbers"
)]

mod checks;
mod corpus;
mod evaluator;
mod generate;
mod index;
mod made_up;
mod naive;
mod relations;
