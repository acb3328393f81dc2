//! A seeded world in which Weft's peers and signalers run by the thousand, unmodified.
//!
//! [`engine`] moves time and messages; a [`scenario`] says what happens, [`simulate`] and [`phases`] let it happen (or
//! `federation`, where peers only announce themselves), and a [`report`] says what was found out. [`measure`] knows how a peer's figures are called.

#![forbid(unsafe_code)]

pub mod against;
mod cost;
pub mod engine;
mod federation;
pub mod graph;
pub mod measure;
pub mod phases;
pub mod report;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod simulate;
mod svg;
pub mod table;
pub mod watch;

pub use report::Report;
pub use run::{Failure, Options};
pub use scenario::Scenario;
pub use simulate::{Results, run};
