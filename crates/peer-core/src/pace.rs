//! A bound on how often something is done: the generic cell rate algorithm (ITU-T I.371, annex A; a leaky bucket that
//! needs no timer).

use std::time::Duration;

use weft_wire::Time;

/// What was done, as the time at which it will be paid for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    paid_at: Time,
}

impl Pace {
    /// Takes what costs so much time, if not more than `burst` would then be owed; else says when to ask again.
    pub(crate) fn take(&mut self, now: Time, cost: Duration, burst: Duration) -> Result<(), Time> {
        // Who has been slow and is in a hurry now does not pay for that at the slow rate.
        self.paid_at = self.paid_at.min(now + burst);
        let paid_at = self.paid_at.max(now) + cost;
        if paid_at > now + burst {
            return Err(now + paid_at.since(now + burst));
        }
        self.paid_at = paid_at;
        Ok(())
    }

    /// All that was taken has been paid for: it is as if nothing had been.
    pub(crate) fn is_paid(self, now: Time) -> bool {
        self.paid_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let (mut pace, now, s) = (Pace::default(), Time::from_millis(1000), Duration::from_secs(1));
        assert!((0..3).all(|_| pace.take(now, s, s * 3).is_ok()));
        assert_eq!(pace.take(now, s, s * 3), Err(now + s));
        assert_eq!(pace.take(now + s, s, s * 3), Ok(()));
        assert_eq!(pace.take(now + s, s, s * 3), Err(now + s * 2));
        assert!((0..3).all(|_| pace.take(now + s * 9, s, s * 3).is_ok()));
    }

    #[test]
    fn what_was_done_at_a_slow_rate_does_not_hold_up_a_fast_one() {
        let (mut pace, now, s) = (Pace::default(), Time::from_millis(1000), Duration::from_secs(1));
        assert!((0..5).all(|_| pace.take(now, s * 3, s * 15).is_ok()));
        assert_eq!(pace.take(now, s, s * 5), Err(now + s));
        assert_eq!(pace.take(now + s, s, s * 5), Ok(()));
    }
}
