//! The time: the page's monotonic clock, anchored at the wall clock.

use std::cell::Cell;

use wasm_bindgen::prelude::*;
use weft_wire::Time;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn date_now() -> f64;
}

/// A clock that never runs backwards.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Milliseconds of the wall clock when the monotonic clock was 0.
    anchor: Cell<f64>,
    last: Cell<Time>,
}

/// A monotonic clock this many milliseconds behind the wall clock has slept with the machine.
const SLEPT: f64 = 1000.0;

impl Clock {
    /// A clock anchored now.
    pub(crate) fn new() -> Self {
        Self { anchor: Cell::new(date_now() - performance_now()), last: Cell::new(Time::ZERO) }
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        let micros = ((self.anchor.get() + performance_now()) * 1000.0).max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, saturates"
        )]
        let now = Time::from_micros(micros as u64).max(self.last.get());
        self.last.set(now);
        now
    }

    /// Catches up with the wall clock: in some browsers the monotonic clock stands still while the machine sleeps.
    pub(crate) fn woke(&self) {
        let behind = date_now() - (self.anchor.get() + performance_now());
        if behind > SLEPT {
            self.anchor.set(self.anchor.get() + behind);
        }
    }
}
