//! Rates: GCRA (the leaky bucket as a meter, ITU-T I.371) by `governor`, on injected time.

use core::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use weft_wire::Time;

/// The time that all limiters of one signaler share; moved by the signaler.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedClock(Arc<AtomicU64>);

impl SharedClock {
    pub(crate) fn set(&self, now: Time) {
        self.0.store(now.micros().saturating_mul(1000), Ordering::Relaxed);
    }
}

impl Clock for SharedClock {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

/// One rate.
#[derive(Debug)]
pub(crate) struct Rate(RateLimiter<NotKeyed, InMemoryState, SharedClock, NoOpMiddleware<Nanos>>);

impl Rate {
    /// `burst` at once, `per_second` from then on. Zero is taken as one.
    pub(crate) fn new(per_second: u32, burst: u32, clock: &SharedClock) -> Self {
        let one = NonZeroU32::MIN;
        let per_second = NonZeroU32::new(per_second).unwrap_or(one);
        let quota = Quota::per_second(per_second).allow_burst(NonZeroU32::new(burst).unwrap_or(one));
        Self(RateLimiter::direct_with_clock(quota, clock.clone()))
    }

    /// Takes `n`, if there are so many.
    pub(crate) fn take(&self, n: usize) -> bool {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        NonZeroU32::new(n).is_none_or(|n| matches!(self.0.check_n(n), Ok(Ok(()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let clock = SharedClock::default();
        clock.set(Time::from_millis(1_000));
        let rate = Rate::new(10, 5, &clock);
        assert_eq!((0..9).filter(|_| rate.take(1)).count(), 5);
        clock.set(Time::from_millis(1_100));
        assert_eq!((0..9).filter(|_| rate.take(1)).count(), 1);
    }

    #[test]
    fn more_than_the_burst_at_once_is_refused() {
        let clock = SharedClock::default();
        assert!(!Rate::new(10, 5, &clock).take(6));
    }
}
