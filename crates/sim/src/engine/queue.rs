//! What a node has still to do, in order, and what it sends to others.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use weft_wire::Time;

use super::network::Network;
use super::parcel::{Cargo, NodeId, Parcel};

/// Shards of a world: a constant, so that the order of events does not depend on the number of threads.
pub(crate) const SHARDS: usize = 16;

/// The shard of a node and its place there.
pub(crate) fn place(node: NodeId) -> (usize, usize) {
    (node.index() % SHARDS, node.index() / SHARDS)
}

#[derive(Debug)]
struct Pending {
    at: Time,
    order: u64,
    cargo: Cargo,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What a node has still to do: by time, then in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Pending>>,
    count: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Time, cargo: Cargo) {
        self.count += 1;
        self.heap.push(Reverse(Pending { at, order: self.count, cargo }));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(pending)| pending.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Cargo> {
        self.heap.pop().map(|Reverse(pending)| pending.cargo)
    }

    /// Forgets everything, and the memory.
    pub(crate) fn clear(&mut self) {
        self.heap = BinaryHeap::new();
    }
}

/// What the nodes of one shard send, by the shard it goes to.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) boxes: Vec<Vec<Parcel>>,
    /// When the first of them arrives.
    pub(crate) earliest: Time,
    /// Nothing may arrive before: the end of the window that is being worked through.
    pub(crate) not_before: Time,
}

/// The far end of time.
pub(crate) const NEVER: Time = Time::from_micros(u64::MAX);

impl Default for Post {
    fn default() -> Self {
        Self { boxes: (0..SHARDS).map(|_| Vec::new()).collect(), earliest: NEVER, not_before: Time::ZERO }
    }
}

/// What a node has at hand while something happens to it.
pub(crate) struct Scope<'a> {
    pub(crate) now: Time,
    pub(crate) me: NodeId,
    pub(crate) network: &'a Network,
    pub(crate) queue: &'a mut Queue,
    pub(crate) post: &'a mut Post,
}

impl Scope<'_> {
    /// Something of our own, later.
    pub(crate) fn later(&mut self, after: Duration, cargo: Cargo) {
        self.queue.push(self.now + after, cargo);
    }

    /// Something for another node, which must be a latency away.
    pub(crate) fn send(&mut self, to: NodeId, at: Time, cargo: Cargo) {
        debug_assert!(at >= self.post.not_before, "a message overtakes its window");
        debug_assert!(to != self.me, "a node sends to itself");
        self.post.earliest = self.post.earliest.min(at);
        self.post.boxes[place(to).0].push(Parcel { at, to, cargo });
    }

    /// Latency to another node, one way.
    pub(crate) fn latency(&self, to: NodeId) -> Duration {
        self.network.latency(self.me, to)
    }
}
