//! A bundle that is kept for those who lack it, and how old it is.

use std::time::Duration;

use weft_wire::link::FeedRange;
use weft_wire::{Bundle, PeerId, PublicationId, Tag, Time};

use crate::broadcast::feed_range;

#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) feed: PeerId,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// When it was published, as well as we know: see [`Age`].
    pub(crate) since: Time,
    /// Links it came over.
    pub(crate) hops: u8,
    /// The id before its first publication, and that of its last one.
    pub(crate) previous: PublicationId,
    pub(crate) id: PublicationId,
    /// Encoded bundle, as received.
    pub(crate) bytes: Vec<u8>,
    /// The author's signed record.
    pub(crate) record: Vec<u8>,
}

/// What is known of a bundle's age when it arrives.
///
/// A neighbour says how long it had it when it answered our want; that was after we asked and before the answer came.
/// Between these two the author's clock decides, which is right as a rule, and whose errors the two bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    /// As the neighbour told; zero for what is fresh.
    pub(crate) told: Duration,
    /// When we asked that neighbour.
    pub(crate) asked: Option<Time>,
}

impl Age {
    /// When a bundle that arrives now was published.
    pub(crate) fn since(&self, now: Time, bundle: &Bundle) -> Time {
        let latest = now - self.told;
        match (self.asked, bundle.entries.last()) {
            (Some(asked), Some(entry)) if !self.told.is_zero() => {
                // Both are told in whole milliseconds, rounded down.
                let earliest = asked - self.told - Duration::from_millis(1);
                let end = Time::from_millis(entry.time) + Duration::from_micros(999);
                end.clamp(earliest.min(latest), latest)
            }
            _ => latest,
        }
    }
}

impl Kept {
    /// How many publications it has.
    pub(crate) fn publications(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// Its place in its feed, as digests name it.
    pub(crate) fn range(&self) -> FeedRange {
        feed_range(Tag::from(&self.feed), self.first, self.last)
    }
}
