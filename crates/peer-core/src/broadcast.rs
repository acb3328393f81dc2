//! Whom to pass a publication on to.
//!
//! Inputs: a publication that is new, and from whom it came; the neighbours of the moment.
//! Outputs: the neighbours to send it to. No timers.
//! Invariants: never back to where it came from; never after [`limits::HOPS`] hops.
//!
//! This is a flood, bounded because every receiver passes on only what is new to it: each publication crosses each
//! link at most once in each direction. The machine's interface is that of a broadcast tree, which can take its place.

use weft_wire::{PeerId, limits};

#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    /// Publications that went no further because they had taken too many hops.
    exhausted: u64,
}

impl Broadcast {
    pub(crate) fn on_new(
        &mut self,
        from: Option<PeerId>,
        hops: u8,
        neighbours: impl Iterator<Item = PeerId>,
    ) -> Vec<PeerId> {
        if hops >= limits::HOPS {
            self.exhausted += 1;
            return Vec::new();
        }
        neighbours.filter(|peer| Some(*peer) != from).collect()
    }
}
