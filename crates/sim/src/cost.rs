//! What a run costs on this machine.

use std::time::Instant;

use crate::report::{Cost, round};

/// A clock that is stopped twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    began: Instant,
    phases: Instant,
    deliveries: f64,
}

impl Stopwatch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, phases: now, deliveries: 0.0 }
    }

    /// The warm-up is over; so many publications have been delivered.
    pub(crate) fn lap(&mut self, deliveries: f64) {
        self.phases = Instant::now();
        self.deliveries = deliveries;
    }

    /// The run is over, with so many deliveries and events.
    pub(crate) fn stop(&self, deliveries: f64, events: f64, threads: usize) -> Cost {
        let now = Instant::now();
        let (wall, phases) = (now - self.began, now - self.phases);
        Cost {
            wall_s: round(wall.as_secs_f64()),
            phases_s: round(phases.as_secs_f64()),
            deliveries_per_s: ((deliveries - self.deliveries) / phases.as_secs_f64().max(1e-9)).round(),
            events_per_s: (events / wall.as_secs_f64().max(1e-9)).round(),
            peak_mib: round(peak_mib().unwrap_or(0.0)),
            threads,
        }
    }
}

/// Most memory that this process had so far, where Linux says so.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
