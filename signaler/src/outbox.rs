//! The outgoing queue of one connection: filled by the hub, emptied by the connection's task.
//!
//! It is bounded twice. Past the high-water mark the core is told ([`Pushed::Full`]) and hands over nothing that may be
//! dropped; past the hard limit, reached only by frames that may not be dropped, the connection is given up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use weft_wire::Code;

/// Sizes of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Frames and bytes at which the queue counts as full.
    pub(crate) high: (usize, usize),
    /// Frames and bytes that it never exceeds.
    pub(crate) hard: (usize, usize),
}

impl Bounds {
    /// Of a peer: a browser that is behind by this much is not reading.
    pub(crate) const PEER: Self = Self { high: (512, 1 << 20), hard: (4096, 4 << 20) };
    /// Of a sibling, which speaks for many peers.
    pub(crate) const SIBLING: Self = Self { high: (16_384, 8 << 20), hard: (65_536, 32 << 20) };
}

/// What pushing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Queued,
    /// Queued, and the queue just passed its high-water mark.
    Full,
    /// Not queued: the connection is to be given up.
    Overflow,
}

/// What a connection's task is to do.
#[derive(Debug, Default)]
struct Orders {
    frames: VecDeque<Bytes>,
    bytes: usize,
    full: bool,
    ping: bool,
    raise: bool,
    close: Option<Code>,
    /// Nobody will push or pop any more.
    abandoned: bool,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    bounds: Bounds,
    orders: Mutex<Orders>,
    /// There may be something to take; a connection looks here many times for each time that there is.
    waiting: AtomicBool,
    waker: AtomicWaker,
}

/// A portion of what is queued.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    pub(crate) ping: bool,
    pub(crate) raise: bool,
    /// The queue was full and is short again: the core is to be told.
    pub(crate) drained: bool,
    /// Everything was taken and then the connection is to be closed.
    pub(crate) close: Option<Code>,
    pub(crate) abandoned: bool,
}

impl Outbox {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, orders: Mutex::default(), waiting: AtomicBool::new(false), waker: AtomicWaker::new() }
    }

    pub(crate) fn push(&self, frame: Bytes) -> Pushed {
        let mut orders = self.lock();
        let (frames, bytes) = (orders.frames.len() + 1, orders.bytes + frame.len());
        if frames > self.bounds.hard.0 || bytes > self.bounds.hard.1 {
            return Pushed::Overflow;
        }
        orders.bytes = bytes;
        orders.frames.push_back(frame);
        let over = frames > self.bounds.high.0 || bytes > self.bounds.high.1;
        let pushed = if over && !orders.full { Pushed::Full } else { Pushed::Queued };
        orders.full |= over;
        drop(orders);
        self.wake();
        pushed
    }

    pub(crate) fn ping(&self) {
        self.lock().ping = true;
        self.wake();
    }

    pub(crate) fn raise(&self) {
        self.lock().raise = true;
        self.wake();
    }

    pub(crate) fn close(&self, code: Code) {
        self.lock().close = Some(code);
        self.wake();
    }

    pub(crate) fn abandon(&self) {
        let mut orders = self.lock();
        orders.abandoned = true;
        orders.frames = VecDeque::new();
        drop(orders);
        self.wake();
    }

    fn wake(&self) {
        self.waiting.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// To be called before [`Self::take`], so that nothing that comes in between is missed.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Takes frames up to about `bytes`, handing each to `each`.
    pub(crate) fn take(&self, bytes: usize, mut each: impl FnMut(&Bytes)) -> Portion {
        if !self.waiting.swap(false, Ordering::AcqRel) {
            return Portion::default();
        }
        let mut orders = self.lock();
        let mut taken = 0;
        while taken < bytes {
            let Some(frame) = orders.frames.pop_front() else { break };
            taken += frame.len();
            orders.bytes -= frame.len();
            each(&frame);
        }
        if orders.frames.is_empty() && orders.frames.capacity() > 8 {
            orders.frames = VecDeque::new();
        }
        let short = orders.frames.len() <= self.bounds.high.0 / 2 && orders.bytes <= self.bounds.high.1 / 2;
        let drained = orders.full && short;
        orders.full &= !short;
        // How it ends is said as often as somebody asks.
        if !orders.frames.is_empty() || orders.close.is_some() || orders.abandoned {
            self.waiting.store(true, Ordering::Release);
        }
        Portion {
            ping: std::mem::take(&mut orders.ping),
            raise: std::mem::take(&mut orders.raise),
            drained,
            close: if orders.frames.is_empty() { orders.close } else { None },
            abandoned: orders.abandoned,
        }
    }

    /// A poisoned lock only means that some thread panicked: the queue itself is whole between its operations.
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds { high: (2, 100), hard: (4, 200) };

    #[test]
    fn full_is_said_once_and_drained_once() {
        let outbox = Outbox::new(SMALL);
        let pushed: Vec<Pushed> = (0..5).map(|_| outbox.push(Bytes::from_static(b"x"))).collect();
        assert_eq!(pushed, [Pushed::Queued, Pushed::Queued, Pushed::Full, Pushed::Queued, Pushed::Overflow]);
        assert!(!outbox.take(1, |_| {}).drained);
        assert!(outbox.take(100, |_| {}).drained);
        assert!(!outbox.take(100, |_| {}).drained);
    }

    #[test]
    fn a_close_comes_after_what_was_queued() {
        let outbox = Outbox::new(SMALL);
        outbox.push(Bytes::from_static(b"1234"));
        outbox.push(Bytes::from_static(b"5678"));
        outbox.close(Code::TimedOut);
        assert_eq!(outbox.take(4, |_| {}).close, None);
        assert_eq!(outbox.take(4, |_| {}).close, Some(Code::TimedOut));
    }
}
