//! What is read from a peer: the one place that knows how its figures are called.

use weft_peer_core::{Event, Publication, Stats};

/// Payload transmissions of a peer since its start: publications given to a link, its own included.
pub fn payload_frames(stats: &Stats) -> u64 {
    stats.forwarded + stats.published
}

/// Bytes of those.
pub fn payload_bytes(_stats: &Stats) -> Option<u64> {
    None
}

/// Bytes of everything a peer has sent on links.
pub fn sent_bytes(stats: &Stats) -> u64 {
    stats.link_bytes_out
}

/// Links that a publication came over.
pub fn hops(_publication: &Publication) -> Option<u8> {
    None
}

/// Links that a message came over; none if it came through a signaler, or if nobody knows.
pub fn message_hops(_event: &Event) -> Option<u8> {
    None
}
