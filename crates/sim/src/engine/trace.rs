//! Who brought a publication: read from the chunks themselves, for pictures only.

use weft_wire::chunk::Reassembler;
use weft_wire::link::Link as Frame;
use weft_wire::{Bundle, PeerId, Time, decode, limits};

use super::parcel::NodeId;

/// A publication that came over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// From whom.
    pub from: NodeId,
    /// When.
    pub at: Time,
    /// Whose feed.
    pub feed: PeerId,
    /// Its place there.
    pub seq: u64,
}

/// What a chunk brings, if it is a whole publication.
pub(crate) fn read(chunk: &[u8], from: NodeId, at: Time) -> Option<Trace> {
    let whole = Reassembler::default().push(chunk).ok().flatten()?;
    let Ok(Frame::Publish { bundle, .. }) = decode(&whole, limits::LINK_MESSAGE) else { return None };
    let bundle: Bundle = decode(bundle, limits::LINK_MESSAGE).ok()?;
    Some(Trace { from, at, feed: bundle.feed, seq: bundle.first })
}
