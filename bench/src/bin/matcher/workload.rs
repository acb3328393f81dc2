//! The files that bench/match-workload.mjs writes.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

/// Events in memory, queries on disk: only what a contender keeps of a query counts as its memory.
pub(crate) struct Workload {
    events: Vec<String>,
    queries: PathBuf,
    count: usize,
    /// Resident memory before the first query, bytes.
    before: Cell<u64>,
}

impl Workload {
    /// The first `count` queries of a file, and all events of another.
    pub(crate) fn new(queries: PathBuf, count: usize, events: &Path) -> anyhow::Result<Self> {
        let events = lines(events)?.collect::<std::io::Result<_>>()?;
        Ok(Self { events, queries, count, before: Cell::new(0) })
    }

    /// Hands over each query's number and JSON text.
    pub(crate) fn queries(
        &self,
        mut take: impl FnMut(u32, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.before.set(resident()?);
        let mut number = 0;
        for line in lines(&self.queries)?.take(self.count) {
            let line = line?;
            take(number, &line).with_context(|| format!("query {number}: {line}"))?;
            number += 1;
        }
        anyhow::ensure!(number as usize == self.count, "only {number} queries instead of {}", self.count);
        Ok(())
    }

    /// By how many bytes resident memory has grown since the queries were asked for.
    pub(crate) fn growth(&self) -> anyhow::Result<u64> {
        Ok(resident()?.saturating_sub(self.before.get()))
    }

    /// Every event, made from its JSON text.
    pub(crate) fn events<T>(&self, make: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
        self.events.iter().map(|text| make(text).with_context(|| text.clone())).collect()
    }

    /// Every event as a program that knows its fields would hold it.
    pub(crate) fn typed_events(&self) -> anyhow::Result<Vec<Event>> {
        self.events(|text| Ok(serde_json::from_str(text)?))
    }
}

/// An event as a program that knows its fields would hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) room: String,
    pub(crate) user: String,
    /// Seconds since 1970.
    pub(crate) ts: f64,
    pub(crate) price: f64,
    pub(crate) qty: f64,
    pub(crate) level: f64,
    pub(crate) tags: Vec<String>,
    pub(crate) geo: Place,
    pub(crate) text: String,
}

/// Where an event happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) country: String,
    /// Degrees.
    pub(crate) lat: f64,
}

fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>> + use<>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(BufReader::new(file).lines())
}

/// Resident memory of this process, bytes.
fn resident() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).context("no resident pages")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
