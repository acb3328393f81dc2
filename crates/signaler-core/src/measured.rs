//! The discovery table by itself, for `weft-bench table`. No part of the signaler: the feature `measured` is off in it.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_wire::{DiscoveryKey, PeerId, SignalerId, Time};

use crate::table::{Key, Kind, Statement, Table};

/// A discovery table whose statements nobody verifies.
#[derive(Debug)]
pub struct Discovery {
    table: Table,
    us: SignalerId,
    rng: ChaCha20Rng,
}

impl Discovery {
    /// An empty one.
    pub fn new(us: SignalerId, seed: u64) -> Self {
        Self { table: Table::new(us, seed), us, rng: ChaCha20Rng::seed_from_u64(seed) }
    }

    /// A peer announces itself, or once more.
    pub fn announce(&mut self, discovery: DiscoveryKey, peer: PeerId, seq: u64, until: Time, bytes: &[u8]) {
        let key = Key { discovery, peer, home: self.us };
        let statement = Statement { key, seq, kind: Kind::Present, until, bytes: bytes.into() };
        self.table.apply(statement, None, false);
    }

    /// The entries that somebody who asks is told, at most so many.
    pub fn lookup(&mut self, discovery: &DiscoveryKey, asking: &PeerId, most: usize) -> Vec<Arc<[u8]>> {
        self.table.members(discovery, asking, most, &mut self.rng).0
    }

    /// Looks at no more than `budget` entries whose time has come; says how many went.
    pub fn expire(&mut self, now: Time, budget: usize) -> usize {
        self.table.expire(now, budget).len()
    }

    /// When [`Self::expire`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        self.table.deadline()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
