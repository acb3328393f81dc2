//! Time in a world: when it begins, and the windows that it is divided into.

use weft_wire::Time;

/// When every world begins.
pub const START: Time = Time::from_millis(1_700_000_000_000);

/// How time is divided into windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Microseconds of a window.
    length: u64,
}

impl Clock {
    pub(crate) const fn new(length: u64) -> Self {
        Self { length }
    }

    pub(crate) fn window(self, at: Time) -> u64 {
        at.micros() / self.length
    }

    pub(crate) fn end(self, window: u64) -> Time {
        Time::from_micros((window + 1).saturating_mul(self.length))
    }
}
