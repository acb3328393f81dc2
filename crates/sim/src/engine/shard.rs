//! A part of the nodes, worked through by one thread at a time.

use std::collections::BTreeMap;

use weft_wire::Time;

use super::clock::Clock;
use super::network::Network;
use super::node::{Node, UNLISTED};
use super::parcel::{NodeId, Parcel};
use super::queue::{NEVER, Post, SHARDS, place};
use super::tally::Violation;

#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) nodes: Vec<Node>,
    /// Windows and who has something to do in them. A node is in the list of the window that it names; older places of
    /// its are skipped.
    calendar: BTreeMap<u64, Vec<u32>>,
    /// Empty lists, to be used again.
    spare: Vec<Vec<u32>>,
    /// What comes from each shard.
    pub(crate) inbox: Vec<Vec<Parcel>>,
    pub(crate) post: Post,
    /// Things that happened.
    pub(crate) events: u64,
    /// The first rules that were broken.
    pub(crate) violations: Vec<Violation>,
}

/// Lists that are kept for use again.
const SPARE: usize = 64;

impl Shard {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            calendar: BTreeMap::new(),
            spare: Vec::new(),
            inbox: (0..SHARDS).map(|_| Vec::new()).collect(),
            post: Post::default(),
            events: 0,
            violations: Vec::new(),
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(place(id).1)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(place(id).1)
    }

    /// Gives a parcel to its node.
    pub(crate) fn take(&mut self, parcel: Parcel, clock: Clock) {
        let at = place(parcel.to).1;
        let Some(node) = self.nodes.get_mut(at) else { return };
        node.push(parcel.at, parcel.cargo);
        self.list(at, clock);
    }

    /// Calls a node at a time, whatever it waits for.
    pub(crate) fn rouse(&mut self, id: NodeId, at: Time, clock: Clock) {
        if let Some(node) = self.node_mut(id) {
            node.timer = at;
            self.list(place(id).1, clock);
        }
    }

    /// Puts a node into the list of the window in which it has something to do next.
    fn list(&mut self, at: usize, clock: Clock) {
        let node = &mut self.nodes[at];
        let next = node.next();
        if next == NEVER {
            node.listed = UNLISTED;
            return;
        }
        let window = clock.window(next);
        if window < node.listed {
            node.listed = window;
            let spare = &mut self.spare;
            let list = self.calendar.entry(window).or_insert_with(|| spare.pop().unwrap_or_default());
            list.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }

    /// The window in which something happens next, mail that is being sent included.
    pub(crate) fn next_window(&self, clock: Clock) -> u64 {
        let listed = self.calendar.first_key_value().map_or(UNLISTED, |(window, _)| *window);
        if self.post.earliest == NEVER { listed } else { listed.min(clock.window(self.post.earliest)) }
    }

    /// How many nodes may have something to do in a window, and how many parcels have come.
    pub(crate) fn load(&self, window: u64) -> usize {
        self.calendar.get(&window).map_or(0, Vec::len) + self.inbox.iter().map(Vec::len).sum::<usize>()
    }

    /// Takes what has come and works through a window.
    pub(crate) fn work(&mut self, window: u64, clock: Clock, network: &Network) {
        let mut inbox = std::mem::take(&mut self.inbox);
        for parcels in &mut inbox {
            for parcel in parcels.drain(..) {
                self.take(parcel, clock);
            }
        }
        self.inbox = inbox;
        self.post.earliest = NEVER;
        let end = clock.end(window);
        self.post.not_before = end;
        let Some(mut due) = self.calendar.remove(&window) else { return };
        due.sort_unstable();
        for at in due.drain(..) {
            let at = at as usize;
            let node = &mut self.nodes[at];
            if node.listed != window {
                continue;
            }
            self.events += node.run(end, network, &mut self.post);
            node.listed = UNLISTED;
            if let Some(violation) = node.violation(end) {
                self.violations.push(violation);
            }
            self.list(at, clock);
        }
        if self.spare.len() < SPARE {
            self.spare.push(due);
        }
    }
}
