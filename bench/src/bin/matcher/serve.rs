//! A contender at work: what it is asked for on standard input, what it answers on standard output.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::churn::Churn;
use crate::workload::Workload;

/// Several passes over slow events are not worth waiting for: one pass is, for so many times the asked CPU time.
const PATIENCE: u32 = 3;
/// Of the asked CPU time, what goes ahead of a measurement: others have had the caches since the last one.
const WARM_UP: f64 = 0.1;
/// A look at the clock is worth so much work.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Standing queries and the events they are matched against.
pub(crate) trait Matcher {
    /// How many events there are.
    fn events(&self) -> usize;

    /// Hands over the number of every query that the event matches.
    fn select(&mut self, event: usize, hit: impl FnMut(u32));

    /// Removes and adds queries. `None` where that is not measured.
    fn churn(&mut self) -> Option<anyhow::Result<Churn>> {
        None
    }
}

/// What loading cost.
#[derive(Serialize)]
struct Loaded {
    /// CPU seconds, from text in a file.
    seconds: f64,
    /// Growth of resident memory since the first query.
    bytes: u64,
}

/// A measurement.
#[derive(Serialize)]
struct Run {
    /// The first event; the following ones came in order, and after the last one the first.
    from: usize,
    events: u64,
    hits: u64,
    /// Of the hits' query numbers.
    sum: u64,
    /// CPU seconds.
    seconds: f64,
}

/// Hits and the sum of their queries' numbers, for each event from the first one on.
#[derive(Default, Serialize)]
struct Check {
    hits: Vec<u64>,
    sums: Vec<u64>,
}

/// Loads a contender and lets it work until the input ends.
pub(crate) fn serve<'a, M: Matcher>(
    workload: &'a Workload,
    load: impl FnOnce(&'a Workload) -> anyhow::Result<M>,
) -> anyhow::Result<()> {
    let begin = cpu();
    let mut matcher = load(workload)?;
    let seconds = cpu().saturating_sub(begin).as_secs_f64();
    answer(&Loaded { seconds, bytes: workload.growth()? })?;
    let mut next = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("run", seconds) => answer(&run(&mut matcher, &mut next, seconds.parse()?))?,
            ("check", seconds) => answer(&check(&mut matcher, seconds.parse()?))?,
            ("churn", _) => answer(&matcher.churn().context("this contender's queries stay")??)?,
            _ => bail!("unknown: {line}"),
        }
    }
    Ok(())
}

fn run(matcher: &mut impl Matcher, next: &mut usize, seconds: f64) -> Run {
    let asked = Duration::from_secs_f64(seconds);
    stretch(matcher, next, asked.mul_f64(WARM_UP), asked.mul_f64(WARM_UP));
    stretch(matcher, next, asked, asked * PATIENCE)
}

/// Matches event after event, at least for the time `least`, and for a pass or the time `most`.
fn stretch(matcher: &mut impl Matcher, next: &mut usize, least: Duration, most: Duration) -> Run {
    let all = matcher.events();
    let from = *next;
    let (mut events, mut hits, mut sum) = (0, 0, 0);
    let mut batch = 1;
    let begin = cpu();
    let mut looked = begin;
    loop {
        for _ in 0..batch {
            matcher.select(*next, |query| {
                hits += 1;
                sum += u64::from(query);
            });
            *next = if *next + 1 == all { 0 } else { *next + 1 };
        }
        events += batch;
        let now = cpu();
        let spent = now.saturating_sub(begin);
        if spent >= least && (events >= all as u64 || spent >= most) {
            return Run { from, events, hits, sum, seconds: spent.as_secs_f64() };
        }
        if now.saturating_sub(looked) < BETWEEN_LOOKS {
            batch *= 2;
        }
        looked = now;
    }
}

fn check(matcher: &mut impl Matcher, seconds: f64) -> Check {
    let enough = cpu() + Duration::from_secs_f64(seconds);
    let mut check = Check::default();
    for event in 0..matcher.events() {
        let (mut hits, mut sum) = (0, 0);
        matcher.select(event, |query| {
            hits += 1;
            sum += u64::from(query);
        });
        check.hits.push(hits);
        check.sums.push(sum);
        if cpu() >= enough {
            break;
        }
    }
    check
}

fn answer(answer: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// CPU time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}
