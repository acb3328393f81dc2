//! Frames passed to siblings whose outcome is awaited.
//!
//! Inputs: what was passed on and for whom, outcomes, lost connections, time. Outputs: whom to tell. Timer:
//! [`Pending::deadline`]. Invariants: at most [`crate::Config::max_pending`]; every frame that was taken in comes out
//! exactly once.

use std::collections::BTreeMap;

use weft_wire::Time;

use crate::io::ConnId;

/// Who waits for an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// A peer's or a sibling's connection.
    pub(crate) conn: ConnId,
    /// As the asker numbered it.
    pub(crate) re: u32,
    pub(crate) wants: Wants,
}

impl Asker {
    pub(crate) const fn peer(conn: ConnId, re: u32, ack: bool) -> Self {
        Self { conn, re, wants: if ack { Wants::Ack } else { Wants::Failure } }
    }
}

/// Which outcomes an asker is told, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// A peer: failures only.
    Failure,
    /// A peer: success, too.
    Ack,
    /// A sibling: every outcome.
    Outcome,
}

#[derive(Debug)]
struct Waiting {
    asker: Asker,
    link: ConnId,
    until: Time,
}

#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// One numbering for all links; numbers grow, so the first is the oldest. The wire carries the lower 32 bits.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// A number for something whose outcome nobody awaits.
    pub(crate) fn unawaited(&mut self) -> u32 {
        self.next += 1;
        low(self.next)
    }

    /// A frame is passed to `link`. Returns its number there; None if too many are awaited.
    pub(crate) fn wait(&mut self, asker: Asker, link: ConnId, until: Time, max: usize) -> Option<u32> {
        if self.waiting.len() >= max {
            return None;
        }
        self.next += 1;
        self.waiting.insert(self.next, Waiting { asker, link, until });
        Some(low(self.next))
    }

    /// The outcome that `link` told.
    pub(crate) fn on_outcome(&mut self, link: ConnId, re: u32) -> Option<Asker> {
        // The latest number with these lower bits.
        let behind = low(self.next).wrapping_sub(re);
        let number = self.next.checked_sub(u64::from(behind))?;
        if self.waiting.get(&number)?.link != link {
            return None;
        }
        self.waiting.remove(&number).map(|waiting| waiting.asker)
    }

    /// Those whose outcome will not come: their link is lost.
    pub(crate) fn on_lost(&mut self, link: ConnId) -> Vec<Asker> {
        let lost: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| waiting.link == link).map(|(re, _)| *re).collect();
        lost.into_iter().filter_map(|re| self.waiting.remove(&re)).map(|waiting| waiting.asker).collect()
    }

    /// One whose outcome did not come in time.
    pub(crate) fn overdue(&mut self, now: Time) -> Option<Asker> {
        let first = self.waiting.first_entry().filter(|first| first.get().until <= now)?;
        Some(first.remove().asker)
    }

    /// When the oldest is overdue.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.waiting.values().next().map(|waiting| waiting.until)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the lower 32 bits are what is wanted")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker = Asker { conn: ConnId(1), re: 7, wants: Wants::Failure };

    #[test]
    fn an_outcome_counts_once_and_only_from_its_own_link() {
        let mut pending = Pending::default();
        let re = pending.wait(ASKER, ConnId(2), Time::from_millis(10), 1).unwrap();
        assert_eq!(pending.on_outcome(ConnId(3), re), None);
        assert_eq!(pending.on_outcome(ConnId(2), re), Some(ASKER));
        assert_eq!(pending.on_outcome(ConnId(2), re), None);
    }

    #[test]
    fn no_more_than_the_limit_are_awaited() {
        let mut pending = Pending::default();
        assert!(pending.wait(ASKER, ConnId(2), Time::from_millis(10), 1).is_some());
        assert!(pending.wait(ASKER, ConnId(2), Time::from_millis(10), 1).is_none());
        assert_eq!(pending.overdue(Time::from_millis(9)), None);
        assert_eq!(pending.overdue(Time::from_millis(10)), Some(ASKER));
        assert_eq!(pending.len(), 0);
    }
}
