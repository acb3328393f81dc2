//! What a hostile node does to the messages that it sends on its links.

use weft_wire::chunk::{Outgoing, Reassembler};
use weft_wire::link::{FeedRange, Link as Frame};
use weft_wire::{List, Tag, Time, decode, encode, limits};

use super::dice::mix;
use super::parcel::Vice;

/// One in so many messages is followed by noise: a link that carries nothing else would not last a second.
const NOISE_EVERY: u64 = 50;
/// Feeds in each false announcement.
const BOASTS: u64 = 16;
/// A weight that no claim may exceed, and the tag that comes first.
const GREATEST: (u8, Tag) = (12, Tag([0; 8]));

/// What is sent instead of a message; `salt` tells messages apart.
pub(crate) fn turn(vice: Vice, bytes: Vec<u8>, salt: u64, now: Time) -> Vec<Vec<u8>> {
    match vice {
        Vice::Noise => {
            let noise = mix(salt, bytes.len() as u64);
            let mut out = vec![bytes];
            if noise.is_multiple_of(NOISE_EVERY) {
                out.push(noise.to_le_bytes().repeat(4));
            }
            out
        }
        Vice::Silent | Vice::Usurp if has_publication(&bytes) => Vec::new(),
        Vice::Repeat if has_publication(&bytes) => vec![bytes.clone(), bytes],
        Vice::Alter => vec![altered(bytes)],
        Vice::Boast => {
            let boast = boast(&bytes, salt);
            [Some(bytes), boast].into_iter().flatten().collect()
        }
        Vice::Usurp => vec![usurping(bytes, now)],
        Vice::Silent | Vice::Repeat => vec![bytes],
    }
}

/// The frame of a message that is one chunk.
fn whole(chunk: &[u8]) -> Option<Vec<u8>> {
    Reassembler::default().push(chunk).ok().flatten().map(|bytes| bytes.to_vec())
}

/// Another frame under the number of a message.
fn under_number_of(chunk: &[u8], frame: &Frame<'_>) -> Option<Vec<u8>> {
    // The number of the message is in the bytes after the flags.
    let number = chunk.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    Outgoing::new(number, encode(frame)).ok()?.next_chunk()
}

fn has_publication(chunk: &[u8]) -> bool {
    whole(chunk).is_some_and(|bytes| {
        matches!(decode::<Frame<'_>>(&bytes, limits::LINK_MESSAGE), Ok(Frame::Publish { hops: 1.., .. }))
    })
}

/// The same publication, if it is somebody else's, with one bit of its content changed.
fn altered(chunk: Vec<u8>) -> Vec<u8> {
    let Some(bytes) = whole(&chunk) else { return chunk };
    let Ok(Frame::Publish { hops: hops @ 1.., age_ms, record, bundle, from }) =
        decode(&bytes, limits::LINK_MESSAGE)
    else {
        return chunk;
    };
    let mut bundle = bundle.to_vec();
    let at = bundle.len() / 2;
    bundle[at] ^= 1;
    let frame = Frame::Publish { hops, age_ms, record, bundle: &bundle, from };
    under_number_of(&chunk, &frame).unwrap_or(chunk)
}

/// Goes with what is said of the tree, and with true announcements.
fn boast(chunk: &[u8], salt: u64) -> Option<Vec<u8>> {
    let bytes = whole(chunk)?;
    let (Frame::Tree { party, .. } | Frame::Digest { party, .. }) =
        decode(&bytes, limits::LINK_MESSAGE).ok()?
    else {
        return None;
    };
    let range = |n| FeedRange { feed: Tag(mix(salt, n).to_be_bytes()), first: 1, more: 2 };
    under_number_of(chunk, &Frame::Digest { party, have: List::first((0..BOASTS).map(range)) })
}

fn usurping(chunk: Vec<u8>, now: Time) -> Vec<u8> {
    let Some(bytes) = whole(&chunk) else { return chunk };
    let Ok(Frame::Tree { party, links, .. }) = decode(&bytes, limits::LINK_MESSAGE) else { return chunk };
    let (weight, root) = GREATEST;
    let seq = u32::try_from(now.millis() / 1000).unwrap_or(u32::MAX);
    let frame = Frame::Tree { party, root, weight, seq, hops: 1, cost: 1, parent: false, links, anew: None };
    under_number_of(&chunk, &frame).unwrap_or(chunk)
}
