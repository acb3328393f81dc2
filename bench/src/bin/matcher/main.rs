//! `matcher CONTENDER QUERIES COUNT EVENTS`: one native contender of `bench match`, as a process of its own.
//!
//! It loads the first COUNT lines of QUERIES, says what that cost, and then does what each line of standard input
//! asks for, with one line of JSON for an answer, until the input ends:
//!
//! - `run SECONDS` matches events in turn for so much CPU time;
//! - `check SECONDS` matches them from the first one on and tells the hits of each, for the contenders to be compared;
//! - `churn` removes a random tenth of the queries and adds it again (ours only).
//!
//! bench/match.ts starts it; bench/match-worker.mjs is the same for JavaScript and wasm.

#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people: 52 bits are enough")]

mod atree;
mod churn;
mod serve;
mod typed;
mod typed_hostile;
mod weft;
mod workload;

use std::path::PathBuf;

use clap::Parser;

use crate::serve::serve;
use crate::weft::{Form, Weft};
use crate::workload::Workload;

#[derive(Parser)]
struct Cli {
    contender: Contender,
    /// A file with a query in each line
    queries: PathBuf,
    /// How many of them
    count: usize,
    /// A file with an event in each line
    events: PathBuf,
}

/// Who matches.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Contender {
    /// Our index; events are parsed documents.
    Weft,
    /// Our index; events arrive as CBOR.
    WeftCbor,
    /// Our index; events arrive as JSON text.
    WeftJson,
    /// Our evaluator, one filter after the other.
    WeftScan,
    /// The crate a-tree.
    ATree,
    /// Structs and an enum made for the workload, one query after the other.
    Typed,
    /// The same for the hostile workload, with the crate regex.
    TypedHostile,
    /// The same with the crate regex-lite.
    TypedHostileLite,
}

fn main() -> anyhow::Result<()> {
    let Cli { contender, queries, count, events } = Cli::parse();
    let workload = Workload::new(queries, count, &events)?;
    match contender {
        Contender::Weft => serve(&workload, |workload| Weft::load(workload, Form::Parsed)),
        Contender::WeftCbor => serve(&workload, |workload| Weft::load(workload, Form::Cbor)),
        Contender::WeftJson => serve(&workload, |workload| Weft::load(workload, Form::Json)),
        Contender::WeftScan => serve(&workload, weft::Scan::load),
        Contender::ATree => serve(&workload, atree::Tree::load),
        Contender::Typed => serve(&workload, typed::Scan::load),
        Contender::TypedHostile => serve(&workload, typed_hostile::Scan::<regex::Regex>::load),
        Contender::TypedHostileLite => serve(&workload, typed_hostile::Scan::<regex_lite::Regex>::load),
    }
}
