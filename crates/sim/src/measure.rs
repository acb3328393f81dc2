//! What is read from a peer: the one place that knows how its figures are called.

use weft_peer_core::{Event, Publication, Stats};

/// Payload transmissions of a peer since its start: publications given to a link, its own included.
pub fn payload_frames(stats: &Stats) -> u64 {
    stats.sent.publications.frames
}

/// Bytes of those.
pub fn payload_bytes(stats: &Stats) -> Option<u64> {
    Some(stats.sent.publications.bytes)
}

/// Bytes of everything a peer has sent on links.
pub fn sent_bytes(stats: &Stats) -> u64 {
    stats.link_bytes_out
}

/// Links that a publication came over.
pub fn hops(publication: &Publication) -> Option<u8> {
    Some(publication.hops)
}

/// Links that a message came over; none if it came through a signaler.
pub fn message_hops(event: &Event) -> Option<u8> {
    match event {
        Event::Message { hops, .. } => *hops,
        _ => None,
    }
}

/// Bytes of frames that a peer has sent on links, by what they are for.
pub fn kinds(stats: &Stats) -> [(&'static str, u64); 8] {
    let sent = &stats.sent;
    [
        ("publications", sent.publications.bytes),
        ("digests", sent.digests.bytes),
        ("tree", sent.tree.bytes),
        ("membership", sent.membership.bytes),
        ("presence", sent.presence.bytes),
        ("keepalive", sent.keepalive.bytes),
        ("unicast", sent.unicast.bytes),
        ("session", sent.session.bytes),
    ]
}

/// The kinds without which publications would not find their way.
pub const SPREADING: [&str; 3] = ["digests", "tree", "membership"];
