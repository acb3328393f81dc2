//! The clock: monotonic, anchored at the wall clock once, at start.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use weft_wire::Time;

/// Tells the time to the core and turns its deadlines into the runtime's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    at: Time,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Time::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        Self { started: Instant::now(), at }
    }

    pub(crate) fn now(&self) -> Time {
        self.at + self.started.elapsed()
    }

    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.started + time.since(self.at)
    }

    /// Since the start.
    pub(crate) fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }
}
