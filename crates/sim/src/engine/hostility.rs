//! What a hostile node does to the messages that it sends on its links.

use weft_wire::chunk::{Outgoing, Reassembler};
use weft_wire::link::Link as Frame;
use weft_wire::{decode, encode, limits};

use super::dice::mix;
use super::parcel::Vice;

/// One in so many messages is followed by noise: a link that carries nothing else would not last a second.
const NOISE_EVERY: u64 = 50;

/// What is sent instead of a message; `salt` tells messages apart.
pub(crate) fn turn(vice: Vice, bytes: Vec<u8>, salt: u64) -> Vec<Vec<u8>> {
    match vice {
        Vice::Noise => {
            let noise = mix(salt, bytes.len() as u64);
            let mut out = vec![bytes];
            if noise.is_multiple_of(NOISE_EVERY) {
                out.push(noise.to_le_bytes().repeat(4));
            }
            out
        }
        Vice::Silent if has_publication(&bytes) => Vec::new(),
        Vice::Repeat if has_publication(&bytes) => vec![bytes.clone(), bytes],
        Vice::Alter if has_publication(&bytes) => altered(bytes),
        Vice::Silent | Vice::Repeat | Vice::Alter => vec![bytes],
    }
}

fn has_publication(chunk: &[u8]) -> bool {
    let whole = Reassembler::default().push(chunk).ok().flatten();
    whole.is_some_and(|bytes| {
        matches!(decode::<Frame<'_>>(&bytes, limits::LINK_MESSAGE), Ok(Frame::Publish { hops: 1.., .. }))
    })
}

/// The same publication with one bit of its content changed.
fn altered(chunk: Vec<u8>) -> Vec<Vec<u8>> {
    let whole = Reassembler::default().push(&chunk).ok().flatten();
    let Some(whole) = whole else { return vec![chunk] };
    let Ok(Frame::Publish { hops, age_ms, record, bundle, from }) = decode(&whole, limits::LINK_MESSAGE)
    else {
        return vec![chunk];
    };
    let mut bundle = bundle.to_vec();
    let at = bundle.len() / 2;
    bundle[at] ^= 1;
    let frame = Frame::Publish { hops, age_ms, record, bundle: &bundle, from };
    // The number of the message is in the bytes after the flags.
    let number = chunk.get(1..5).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let cut = Outgoing::new(number, encode(&frame)).map(|mut outgoing| outgoing.next_chunk());
    cut.ok().flatten().map_or_else(|| vec![chunk], |altered| vec![altered])
}
