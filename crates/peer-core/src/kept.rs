//! A bundle that is kept for those who lack it.

use weft_wire::{PeerId, Time};

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) feed: PeerId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// When we received it, less for how long its sender had had it.
    pub(crate) since: Time,
    /// Encoded bundle, as received.
    pub(crate) bytes: Vec<u8>,
    /// The author's signed record.
    pub(crate) record: Vec<u8>,
}
