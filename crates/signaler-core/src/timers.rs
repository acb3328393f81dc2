//! The one timer table.
//!
//! Inputs: [`Timers::arm`]. Output: [`Timers::due`]. Invariant: a timer may be armed more than once; whoever handles it
//! looks at its own state and may find that there is nothing to do. Timers are not disarmed, they run out.

use std::collections::BTreeSet;

use weft_wire::{DiscoveryKey, PeerId, Time};

use crate::io::{ConnId, DialId};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Look whether a connection is alive and authenticated.
    Pulse(ConnId),
    /// A lost peer's grace ends.
    Grace(PeerId),
    /// Tell siblings what changed.
    Flush,
    /// Verify what siblings sent.
    Inbox,
    /// Give up on outcomes.
    Pending,
    /// Dial a sibling.
    Dial(DialId),
    /// Compare registries with siblings.
    Registry,
    /// Look after the members.
    Members,
    /// Look who keeps the swarms now.
    Walk,
    /// Those who kept a swarm before the last changes no longer do.
    Settle,
    /// Somebody waited for the first answer about a swarm for long enough.
    Fill(DiscoveryKey),
    /// Nobody came or went for a moment: those that did are told.
    Quiet,
    /// Say what we have where a sibling has something else.
    Unlike,
    /// Compare again with a sibling that knew other members.
    Compare(ConnId),
    /// Say again what is watched.
    Refresh,
    /// Tell residences of peers.
    Retell,
    /// Tell siblings with whom we are linked.
    SayLinked,
    /// Tell the driver that siblings are linked with others than before.
    TellLinked,
}

#[derive(Debug, Default)]
pub(crate) struct Timers {
    armed: BTreeSet<(Time, Timer)>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Time, timer: Timer) {
        self.armed.insert((at, timer));
    }

    /// The next timer that is due, removed.
    pub(crate) fn due(&mut self, now: Time) -> Option<Timer> {
        let first = *self.armed.first().filter(|(at, _)| *at <= now)?;
        self.armed.remove(&first);
        Some(first.1)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.armed.first().map(|(at, _)| *at)
    }
}
