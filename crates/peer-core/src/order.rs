//! Messages that came while older ones of their senders may wait in our mailbox: they are told behind those.
//!
//! They are stored and confirmed as always; only the application hears of them later. What is shown of the mailbox is told
//! at once, behind what is kept back here and was written before it by the same identity.
//!
//! Inputs: messages that came live, or that an earlier run has stored and not told. Outputs: the same, as the application is to hear of them.
//! Timers: none of its own; [`crate::mailbox`] says how long.
//! Invariants: at most [`MOST`] messages and [`MOST_BYTES`] of them; each comes out once, of one sender in the order in which
//! they were written, as the sender's clock says.

use std::collections::VecDeque;

use weft_wire::{IdentityId, MessageId};

use crate::api::Output;

/// Messages that are kept back: as many as a mailbox holds.
const MOST: usize = 1024;
/// Their bytes: of the largest message, and of what a mailbox holds.
const MOST_BYTES: usize = 20 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Order {
    held: Vec<Message>,
    bytes: usize,
}

/// A message to tell the application of.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) from: IdentityId,
    pub(crate) id: MessageId,
    /// When it was written, ms on the sender's clock.
    pub(crate) time: u64,
    /// Bytes of its body.
    pub(crate) len: usize,
    pub(crate) said: VecDeque<Output>,
}

impl Order {
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// No more is to be kept back.
    pub(crate) fn is_full(&self) -> bool {
        self.held.len() >= MOST || self.bytes >= MOST_BYTES
    }

    /// Keeps a message back.
    pub(crate) fn push(&mut self, one: Message) {
        self.bytes += one.len;
        self.held.push(one);
    }

    /// What somebody wrote up to then, in the order in which it was written. What has the same time came live before the
    /// other was left: later messages follow to the mailbox, not the other way round.
    pub(crate) fn take_until(&mut self, from: &IdentityId, time: u64) -> Vec<Message> {
        self.take_if(|one| one.from == *from && one.time <= time)
    }

    /// All of it.
    pub(crate) fn take(&mut self) -> Vec<Message> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, is_it: impl Fn(&Message) -> bool) -> Vec<Message> {
        let (mut out, stays): (Vec<Message>, Vec<Message>) =
            std::mem::take(&mut self.held).into_iter().partition(is_it);
        self.held = stays;
        self.bytes = self.held.iter().map(|one| one.len).sum();
        // Where times are the same, as they came.
        out.sort_by_key(|one| one.time);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(from: u8, time: u64) -> Message {
        Message { from: IdentityId([from; 32]), id: MessageId([0; 16]), time, len: 10, said: VecDeque::new() }
    }

    fn times(some: Vec<Message>) -> Vec<(u8, u64)> {
        some.into_iter().map(|one| (one.from.0[0], one.time)).collect()
    }

    #[test]
    fn each_comes_out_once_in_the_order_in_which_it_was_written() {
        let mut order = Order::default();
        for (from, time) in [(1, 5), (2, 3), (1, 4), (1, 9), (2, 9)] {
            order.push(message(from, time));
        }
        assert_eq!(times(order.take_until(&IdentityId([1; 32]), 5)), [(1, 4), (1, 5)]);
        assert_eq!(order.bytes, 30);
        assert_eq!(times(order.take()), [(2, 3), (1, 9), (2, 9)]);
        assert!(order.is_empty() && order.bytes == 0);
    }

    #[test]
    fn it_is_full_by_count_and_by_bytes() {
        let mut order = Order::default();
        for time in 0..MOST as u64 {
            assert!(!order.is_full());
            order.push(message(1, time));
        }
        assert!(order.is_full());
        let mut order = Order::default();
        order.push(Message { len: MOST_BYTES, ..message(1, 1) });
        assert!(order.is_full());
    }
}
