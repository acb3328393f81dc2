//! What waits for the application: a queue bounded in items and bytes.
//!
//! The driver never waits for the application. What does not fit is dropped and counted, and the count takes its place
//! in the queue as soon as there is room, so that a reader learns that, where and how much it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// Items in one queue. The channel allocates as it fills.
const ITEMS: usize = 1 << 16;
/// The same for a configuration that keeps very many.
const MOST_ITEMS: usize = 1 << 21;
/// Bytes in one queue: twice what a core keeps of a party if nothing else is configured.
const BYTES: usize = 64 * 1024 * 1024;

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<T> {
    /// An item.
    Value(T),
    /// So many items were dropped here.
    Missed(u64),
}

/// A new queue.
pub(crate) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    bounded(ITEMS, BYTES)
}

/// A new queue that takes a whole backlog at once, and as much again, where so much is kept of a party.
pub(crate) fn of_backlog<T>(publications: usize, bytes: usize) -> (Sender<T>, Receiver<T>) {
    bounded(publications.saturating_mul(2).clamp(ITEMS, MOST_ITEMS), bytes.saturating_mul(2).max(BYTES))
}

fn bounded<T>(items: usize, most: usize) -> (Sender<T>, Receiver<T>) {
    let (into, from) = mpsc::channel(items);
    let bytes = Arc::new(AtomicUsize::new(0));
    (Sender { into, bytes: Arc::clone(&bytes), most, missed: 0 }, Receiver { from, bytes })
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    into: mpsc::Sender<(Item<T>, usize)>,
    bytes: Arc<AtomicUsize>,
    most: usize,
    missed: u64,
}

/// The application's end.
#[derive(Debug)]
pub(crate) struct Receiver<T> {
    from: mpsc::Receiver<(Item<T>, usize)>,
    bytes: Arc<AtomicUsize>,
}

/// Nobody reads any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl<T> Sender<T> {
    /// Puts an item of so many bytes into the queue, or counts it as missed.
    pub(crate) fn push(&mut self, value: T, size: usize) -> Result<(), Gone> {
        let fits = self.bytes.load(Ordering::Acquire).saturating_add(size) <= self.most;
        if fits && self.missed > 0 && self.offer(Item::Missed(self.missed), 0)? {
            self.missed = 0;
        }
        if !fits || self.missed > 0 || !self.offer(Item::Value(value), size)? {
            self.missed += 1;
        }
        if self.into.is_closed() { Err(Gone) } else { Ok(()) }
    }

    fn offer(&self, item: Item<T>, size: usize) -> Result<bool, Gone> {
        // Added before the item is there to be read, so that the reader never takes off what was not yet added.
        self.bytes.fetch_add(size, Ordering::AcqRel);
        let refused = match self.into.try_send((item, size)) {
            Ok(()) => return Ok(true),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(false),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
        };
        self.bytes.fetch_sub(size, Ordering::AcqRel);
        refused
    }
}

impl<T> Receiver<T> {
    /// The next item; nothing once the driver is gone and all has been read. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Item<T>> {
        let (item, size) = self.from.recv().await?;
        self.bytes.fetch_sub(size, Ordering::AcqRel);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_counted_in_its_place() {
        let (mut sender, mut receiver) = bounded(8, 10);
        for (value, size) in [(1, 6), (2, 6), (3, 6)] {
            sender.push(value, size).unwrap();
        }
        assert_eq!(receiver.next().await, Some(Item::Value(1)));
        sender.push(4, 6).unwrap();
        assert_eq!(receiver.next().await, Some(Item::Missed(2)));
        assert_eq!(receiver.next().await, Some(Item::Value(4)));
        drop(sender);
        assert_eq!(receiver.next().await, None);
    }

    #[tokio::test]
    async fn a_backlog_fits_twice_and_no_more() {
        let (mut sender, mut receiver) = of_backlog(ITEMS, BYTES);
        for value in 0..=2 * ITEMS {
            sender.push(value, 1).unwrap();
        }
        for value in 0..2 * ITEMS {
            assert_eq!(receiver.next().await, Some(Item::Value(value)));
        }
        sender.push(0, 2 * BYTES).unwrap();
        assert_eq!(receiver.next().await, Some(Item::Missed(1)));
        assert_eq!(receiver.next().await, Some(Item::Value(0)));
        sender.push(1, 2 * BYTES + 1).unwrap();
        sender.push(2, 0).unwrap();
        assert_eq!(receiver.next().await, Some(Item::Missed(1)));
    }

    #[test]
    fn items_are_bounded_too_and_a_reader_that_left_is_noticed() {
        let (mut sender, receiver) = bounded(1, 10);
        sender.push(1, 0).unwrap();
        sender.push(2, 0).unwrap();
        assert_eq!(sender.missed, 1);
        drop(receiver);
        assert_eq!(sender.push(3, 0), Err(Gone));
    }
}
