//! Interest in swarms that are kept elsewhere: ours, where members are, and that of siblings in what is kept here.
//!
//! Inputs: a swarm is wanted or no longer, what was answered, links that were lost. Outputs: whom to ask, who waits for the
//! first answer, whom to tell of changes. Timers: one per first answer, one for all refreshes; both are the composition's.
//!
//! Invariants: at most one sibling feeds a swarm; whoever waits comes out exactly once; a sibling has at most
//! [`Config::max_watches_per_sibling`], and none once its link is lost.
//!
//! [`Config::max_watches_per_sibling`]: crate::Config::max_watches_per_sibling

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::{DiscoveryKey, PeerId, Time};

use crate::io::ConnId;
use crate::pending::Asker;

/// Who waits for the first answer.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A peer that announced itself.
    Member { conn: ConnId, peer: PeerId },
    /// A sibling that asked us.
    Sibling(ConnId),
    /// A member that sent something to all.
    Fan { asker: Asker, peer: PeerId, payload: Vec<u8> },
}

/// Ours.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Who tells us of changes.
    pub(crate) feeder: Option<ConnId>,
    /// Whose answer has not come.
    pub(crate) awaited: BTreeSet<ConnId>,
    /// The others that keep it were asked, too.
    pub(crate) looked: bool,
    /// The first answer is there, or was waited for long enough.
    pub(crate) filled: bool,
    waiting: Vec<Waiter>,
}

/// A sibling's.
#[derive(Debug)]
struct Watcher {
    conn: ConnId,
    /// Unless it says so again.
    until: Time,
    /// It wants it for somebody else.
    relays: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Watches {
    ours: BTreeMap<DiscoveryKey, Watch>,
    theirs: BTreeMap<DiscoveryKey, Vec<Watcher>>,
    by_conn: BTreeMap<ConnId, BTreeSet<DiscoveryKey>>,
}

/// Who may wait for one first answer: the members of a busy moment. One more is answered at once, with what is known.
const WAITING: usize = 256;

impl Watches {
    /// Ours, which begins if it has not.
    pub(crate) fn begin(&mut self, discovery: DiscoveryKey) -> &mut Watch {
        self.ours.entry(discovery).or_default()
    }

    pub(crate) fn ours(&mut self, discovery: &DiscoveryKey) -> Option<&mut Watch> {
        self.ours.get_mut(discovery)
    }

    pub(crate) fn end(&mut self, discovery: &DiscoveryKey) -> Option<Watch> {
        self.ours.remove(discovery)
    }

    /// The swarms that we watch, in order.
    pub(crate) fn all(&self) -> Vec<DiscoveryKey> {
        self.ours.keys().copied().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.ours.len()
    }

    /// Swarms that siblings watch here, each sibling counted.
    pub(crate) fn watched(&self) -> usize {
        self.by_conn.values().map(BTreeSet::len).sum()
    }

    /// Gives `waiter` back where there is nothing to wait for.
    pub(crate) fn wait(&mut self, discovery: &DiscoveryKey, waiter: Waiter) -> Option<Waiter> {
        match self.ours.get_mut(discovery) {
            Some(watch) if !watch.filled && watch.waiting.len() < WAITING => {
                watch.waiting.push(waiter);
                None
            }
            _ => Some(waiter),
        }
    }

    /// Whether a swarm's first answer has not come yet.
    pub(crate) fn is_filling(&self, discovery: &DiscoveryKey) -> bool {
        self.ours.get(discovery).is_some_and(|watch| !watch.filled && watch.waiting.len() < WAITING)
    }

    /// Whether the list of members is still to come over a connection, so that it need not hear of each of them.
    pub(crate) fn is_waiting(&self, discovery: &DiscoveryKey, at: ConnId) -> bool {
        self.ours.get(discovery).is_some_and(|watch| {
            let mut waiting = watch.waiting.iter();
            waiting.any(|waiter| matches!(waiter, Waiter::Member { conn, .. } if *conn == at))
        })
    }

    /// Swarms that wait for an answer over `conn`, or are fed over it; neither is so any more.
    pub(crate) fn on_lost(&mut self, conn: ConnId) -> Vec<DiscoveryKey> {
        for discovery in self.by_conn.remove(&conn).unwrap_or_default() {
            self.forget(&discovery, conn);
        }
        let mut lost = Vec::new();
        for (discovery, watch) in &mut self.ours {
            let fed = watch.feeder == Some(conn);
            if fed {
                watch.feeder = None;
            }
            if watch.awaited.remove(&conn) || fed {
                lost.push(*discovery);
            }
        }
        lost
    }

    /// A sibling watches a swarm here, or says so again. False: it watches too many.
    pub(crate) fn on_begin(
        &mut self,
        discovery: DiscoveryKey,
        conn: ConnId,
        relays: bool,
        until: Time,
        most: usize,
    ) -> bool {
        let at = self.by_conn.entry(conn).or_default();
        if at.len() >= most && !at.contains(&discovery) {
            return false;
        }
        at.insert(discovery);
        let watchers = self.theirs.entry(discovery).or_default();
        match watchers.iter_mut().find(|watcher| watcher.conn == conn) {
            Some(watcher) => (watcher.until, watcher.relays) = (until, relays),
            None => watchers.push(Watcher { conn, until, relays }),
        }
        true
    }

    pub(crate) fn on_end(&mut self, discovery: &DiscoveryKey, conn: ConnId) {
        if let Some(at) = self.by_conn.get_mut(&conn) {
            at.remove(discovery);
            if at.is_empty() {
                self.by_conn.remove(&conn);
            }
        }
        self.forget(discovery, conn);
    }

    /// Forgets those that did not say again that they watch. Returns what they watched.
    pub(crate) fn on_time(&mut self, now: Time) -> Vec<DiscoveryKey> {
        let over: Vec<(DiscoveryKey, ConnId)> = self
            .theirs
            .iter()
            .flat_map(|(discovery, watchers)| watchers.iter().map(move |watcher| (*discovery, watcher)))
            .filter(|(_, watcher)| watcher.until <= now)
            .map(|(discovery, watcher)| (discovery, watcher.conn))
            .collect();
        for (discovery, conn) in &over {
            self.on_end(discovery, *conn);
        }
        over.into_iter().map(|(discovery, _)| discovery).collect()
    }

    /// Whether a sibling is to hear of changes.
    pub(crate) fn is_watched_by(&self, discovery: &DiscoveryKey, conn: ConnId) -> bool {
        self.by_conn.get(&conn).is_some_and(|at| at.contains(discovery))
    }

    /// Whether a sibling has members of its own in a swarm, and believes that it is kept here.
    pub(crate) fn is_watched(&self, discovery: &DiscoveryKey) -> bool {
        self.theirs.get(discovery).is_some_and(|watchers| watchers.iter().any(|watcher| !watcher.relays))
    }

    fn forget(&mut self, discovery: &DiscoveryKey, conn: ConnId) {
        if let Some(watchers) = self.theirs.get_mut(discovery) {
            watchers.retain(|watcher| watcher.conn != conn);
            if watchers.is_empty() {
                self.theirs.remove(discovery);
            }
        }
    }
}

impl Watch {
    /// The first answer is there.
    pub(crate) fn fill(&mut self) -> Vec<Waiter> {
        self.filled = true;
        core::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: DiscoveryKey = DiscoveryKey([1; 32]);

    fn time(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn whoever_waits_comes_out_once_and_nobody_waits_for_what_is_there() {
        let mut watches = Watches::default();
        assert!(watches.wait(&SWARM, Waiter::Sibling(ConnId(1))).is_some());
        watches.begin(SWARM).awaited.insert(ConnId(2));
        let member = Waiter::Member { conn: ConnId(1), peer: PeerId([2; 32]) };
        assert!(watches.wait(&SWARM, member).is_none());
        assert!(watches.is_waiting(&SWARM, ConnId(1)) && !watches.is_waiting(&SWARM, ConnId(2)));
        assert_eq!(watches.begin(SWARM).fill().len(), 1);
        assert_eq!(watches.begin(SWARM).fill().len(), 0);
        assert!(watches.wait(&SWARM, Waiter::Sibling(ConnId(1))).is_some());
    }

    #[test]
    fn a_sibling_watches_no_more_than_its_share_and_nothing_once_it_is_silent_or_gone() {
        let mut watches = Watches::default();
        let begin = |watches: &mut Watches, key: u8, conn: u64, until: u64| {
            watches.on_begin(DiscoveryKey([key; 32]), ConnId(conn), false, time(until), 2)
        };
        assert!(begin(&mut watches, 1, 1, 10) && begin(&mut watches, 2, 1, 10));
        assert!(!begin(&mut watches, 3, 1, 10), "a third one");
        assert!(begin(&mut watches, 3, 2, 10), "another sibling");
        assert!(begin(&mut watches, 1, 1, 20), "the first one again");
        assert_eq!(watches.on_time(time(15)).len(), 2);
        assert!(watches.is_watched(&SWARM) && watches.is_watched_by(&SWARM, ConnId(1)));
        assert!(begin(&mut watches, 3, 1, 30), "there is room again");
        assert!(watches.on_lost(ConnId(1)).is_empty());
        assert_eq!((watches.watched(), watches.is_watched(&SWARM)), (0, false));
    }

    #[test]
    fn who_asks_for_somebody_else_is_told_but_keeps_nothing_alive() {
        let mut watches = Watches::default();
        assert!(watches.on_begin(SWARM, ConnId(1), true, time(10), 2));
        assert!(watches.is_watched_by(&SWARM, ConnId(1)) && !watches.is_watched(&SWARM));
    }
}
