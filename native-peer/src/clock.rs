//! The core's time: a monotonic clock, anchored at the wall clock once.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weft_wire::Time;

/// Microseconds since the Unix epoch on a clock that never runs backwards, whatever happens to the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    anchor: Time,
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { origin: Instant::now(), anchor: Time::ZERO + since_epoch }
    }

    /// The core's time of an instant.
    pub(crate) fn time(&self, at: Instant) -> Time {
        self.anchor + at.saturating_duration_since(self.origin)
    }

    /// The instant of a core's time; a time before the start is the start.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.origin + time.since(self.anchor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_instants_convert_both_ways() {
        let clock = Clock::start();
        let later = clock.origin + Duration::from_micros(1_234_567);
        assert_eq!(clock.instant(clock.time(later)), later);
        assert_eq!(clock.instant(Time::ZERO), clock.origin);
    }
}
