//! The one timer of a page.

use std::cell::RefCell;
use std::time::Duration;

use wasm_bindgen::prelude::*;
use weft_wire::Time;

#[wasm_bindgen]
extern "C" {
    // The handle is a number in browsers and an object under Node.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &JsValue, millis: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(handle: &JsValue);
}

/// One `setTimeout`, which fires when the earliest due time has come or earlier, never later.
pub(crate) struct Timer {
    fire: Closure<dyn FnMut()>,
    armed: RefCell<Option<(JsValue, Time)>>,
}

/// Browsers fire at once what is further away than 2^31 ms.
const FURTHEST: Duration = Duration::from_secs(3600);

impl Timer {
    /// A timer that is not armed; `fire` calls [`fired`](Self::fired) first.
    pub(crate) fn new(fire: impl FnMut() + 'static) -> Self {
        Self { fire: Closure::new(fire), armed: RefCell::new(None) }
    }

    /// Sees to it that the timer fires when `due` has come. A timer that is armed for an earlier time stays: firing
    /// once too often costs less than re-arming for every frame.
    pub(crate) fn arm(&self, now: Time, due: Time) {
        let mut armed = self.armed.borrow_mut();
        if let Some((handle, at)) = &*armed {
            if *at <= due {
                return;
            }
            clear_timeout(handle);
        }
        let wait = due.since(now).min(FURTHEST);
        // Rounded up: a timer that fires just before its time would be armed again for nothing.
        let handle = set_timeout(self.fire.as_ref(), (wait.as_secs_f64() * 1000.0).ceil());
        *armed = Some((handle, now + wait));
    }

    /// To be called when the timer has fired.
    pub(crate) fn fired(&self) {
        *self.armed.borrow_mut() = None;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((handle, _)) = self.armed.get_mut().take() {
            clear_timeout(&handle);
        }
    }
}
