//! What is wanted behind each link, so that documents travel where somebody wants them.
//!
//! ```text
//!    own filters ─┐
//!    child ───────┼──►  told to the parent: what is wanted here and below
//!    child ───────┘
//!    parent and the other children, and own filters  ──►  told to each child
//!    own filters and the children                    ──►  told to neighbours that are not in the tree, for their digests
//! ```
//! This is content-based routing over an acyclic graph (Carzaniga, Rosenblum, Wolf: Design and Evaluation of a Wide-Area
//! Event Notification Service, TOCS 2001), with summaries in place of filters: they have a bound, and get coarser beyond
//! it. Only in large swarms: in small ones everybody keeps everything for those who come later.
//!
//! Inputs: our filters, what neighbours say is wanted behind them, the tree.
//! Outputs: whether a publication is wanted behind a neighbour; summaries to tell.
//! Timers: changes are collected; a summary that has become too wide is made anew.
//! Invariants: interest never decides whether somebody is reached: what is not known counts as wanted, a summary grows at
//! once and shrinks late, and whoever begins to want is told of what was passed over lately.

use std::time::Duration;

use crate::sorted::Map;

use weft_query::{Document, Summary};
use weft_wire::link::FeedRange;
use weft_wire::{PeerId, Tag, Time, limits};

use crate::ranges::Ranges;
use crate::tree::Tree;

/// Changes are collected for so long.
const GROW_AFTER: Duration = Duration::from_millis(20);
/// A neighbour is told of changes at most this often; the first one at once.
const PAUSE: Duration = Duration::from_millis(300);
/// What is no longer wanted is so for so long before anybody is told.
const SHRINK_AFTER: Duration = Duration::from_millis(1500);
/// A new neighbour that has not told what is wanted behind it after so long will not: it takes the swarm for a small one.
const TELLS_WITHIN: Duration = Duration::from_secs(2);
/// Feeds of which it is remembered what a neighbour was not sent.
const FEEDS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Interest {
    own: Summary,
    /// Filters have come or gone since `own` was made.
    stale: bool,
    neighbours: Map<PeerId, Neighbour>,
    /// The tree of which neighbours were told.
    tree: Option<u32>,
    tell_at: Option<Time>,
}

#[derive(Debug, Default)]
struct Neighbour {
    /// What is wanted behind it; none: not known, so everything.
    wants: Option<Summary>,
    told: Option<Summary>,
    told_at: Time,
    /// When it is told that less is wanted, if that is still so then.
    shrink_at: Option<Time>,
    /// What it asked for when it became a neighbour; none: everything, or nothing yet.
    asked: Option<Summary>,
    /// What it wanted when it was last told of what was passed over, if it has begun to want something else.
    wanted: Option<Summary>,
    caught_up_at: Time,
    /// When it became a neighbour.
    since: Time,
    /// What it was not sent because nobody behind it wants it.
    skipped: Map<Tag, Ranges>,
}

impl Neighbour {
    /// What it is to be told now, or when to ask again.
    fn tell(&mut self, now: Time, wants: &Summary) -> Result<Vec<u8>, Option<Time>> {
        let mut next = wants.clone();
        if let Some(told) = &self.told {
            if told == wants {
                self.shrink_at = None;
                return Err(None);
            }
            let mut both = told.clone();
            both.merge(wants, limits::INTEREST);
            let at = *self.shrink_at.get_or_insert(now + SHRINK_AFTER);
            let shrinks = at <= now;
            if both == *told && !shrinks {
                return Err(Some(at));
            }
            if self.told_at + PAUSE > now {
                return Err(Some(self.told_at + PAUSE));
            }
            if !shrinks {
                next = both;
            }
        }
        self.shrink_at = (next != *wants).then_some(now + SHRINK_AFTER);
        self.told_at = now;
        let encoded = next.encode();
        self.told = Some(next);
        Ok(encoded)
    }
}

impl Interest {
    // ---- inputs ----

    pub(crate) fn on_linked(&mut self, now: Time, peer: PeerId) {
        self.neighbours.insert(peer, Neighbour { since: now, ..Neighbour::default() });
        self.tell_at = Some(now);
    }

    pub(crate) fn on_unlinked(&mut self, now: Time, peer: &PeerId) {
        self.neighbours.remove(peer);
        self.tell_at = self.tell_at.or(Some(now + GROW_AFTER));
    }

    /// Our filters have changed.
    pub(crate) fn on_filters(&mut self, now: Time) {
        self.stale = true;
        self.soon(now);
    }

    /// A neighbour says what is wanted behind it.
    pub(crate) fn on_interest(&mut self, now: Time, from: &PeerId, wants: Summary) {
        let Some(neighbour) = self.neighbours.get_mut(from) else { return };
        if let Some(before) = neighbour.wants.replace(wants).or(neighbour.asked.take()) {
            neighbour.wanted.get_or_insert(before);
        }
        self.soon(now);
    }

    /// A neighbour asks for what it lacks of what it wants so far: what it begins to want later is announced to it.
    pub(crate) fn on_asked(&mut self, from: &PeerId, wants: Option<&Summary>) {
        if let Some(neighbour) = self.neighbours.get_mut(from) {
            neighbour.asked = wants.cloned();
        }
    }

    /// Neighbours that have begun to want something, what they wanted before and what now. Each at most once in
    /// [`PAUSE`], for looking at what was passed over takes time.
    pub(crate) fn newly_wanted(&mut self, now: Time) -> Vec<(PeerId, Summary, Summary)> {
        let mut due = Vec::new();
        for (peer, neighbour) in &mut self.neighbours {
            if neighbour.wanted.is_none() || now.since(neighbour.caught_up_at) < PAUSE {
                continue;
            }
            neighbour.caught_up_at = now;
            let before = neighbour.wanted.take().filter(|before| Some(before) != neighbour.wants.as_ref());
            if let (Some(before), Some(wants)) = (before, neighbour.wants.clone()) {
                due.push((*peer, before, wants));
            }
        }
        due
    }

    // ---- questions ----

    /// Some neighbour does not want everything.
    pub(crate) fn is_selective(&self) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.wants.is_some())
    }

    /// One of these documents may be wanted behind a neighbour.
    pub(crate) fn wants(&self, peer: &PeerId, documents: &[Document]) -> bool {
        let wants = self.neighbours.get(peer).and_then(|neighbour| neighbour.wants.as_ref());
        wants.is_none_or(|wants| documents.iter().any(|document| wants.may_match(document)))
    }

    /// What we want ourselves, and for our children. `own` gives what our filters want.
    pub(crate) fn downward(&mut self, now: Time, tree: &Tree, own: impl FnOnce() -> Summary) -> Summary {
        self.refresh(own);
        self.merged(now, tree, None)
    }

    // ---- what was passed over ----

    /// A neighbour is not sent this: its feed goes on behind it.
    pub(crate) fn skip(&mut self, peer: &PeerId, range: FeedRange) {
        let Some(neighbour) = self.neighbours.get_mut(peer) else { return };
        if neighbour.skipped.len() >= FEEDS && !neighbour.skipped.contains_key(&range.feed) {
            neighbour.skipped.pop_first();
        }
        neighbour.skipped.entry(range.feed).or_default().insert(range.first, range.last());
    }

    /// We were not sent this ourselves, so others do not get it from us.
    pub(crate) fn on_skipped(&mut self, from: &PeerId, range: FeedRange) {
        let others: Vec<PeerId> = self.neighbours.keys().filter(|peer| *peer != from).copied().collect();
        for peer in others {
            self.skip(&peer, range);
        }
    }

    /// From which number on, directly before this one, a neighbour was not sent a feed.
    pub(crate) fn skipped(&self, peer: &PeerId, feed: Tag, first: u64) -> Option<u64> {
        let ranges = self.neighbours.get(peer)?.skipped.get(&feed)?;
        ranges.pairs().find(|(_, last)| last.checked_add(1) == Some(first)).map(|(from, _)| from)
    }

    // ---- timers ----

    pub(crate) fn deadline(&self, tree: &Tree) -> Option<Time> {
        if self.tree != Some(tree.version()) && !self.neighbours.is_empty() {
            return Some(Time::ZERO);
        }
        let wanted = self.neighbours.values().filter(|neighbour| neighbour.wanted.is_some());
        self.tell_at.into_iter().chain(wanted.map(|neighbour| neighbour.caught_up_at + PAUSE)).min()
    }

    /// Neighbours that were told that we do not want everything, and forgets that.
    pub(crate) fn take_back(&mut self) -> Vec<PeerId> {
        self.tree = None;
        let everything = Summary::everything();
        let told = |neighbour: &mut Neighbour| neighbour.told.take().is_some_and(|told| told != everything);
        self.neighbours.iter_mut().filter_map(|(peer, one)| told(one).then_some(*peer)).collect()
    }

    /// What is wanted here may have changed: neighbours are told after a short while.
    fn soon(&mut self, now: Time) {
        let soon = now + GROW_AFTER;
        self.tell_at = Some(self.tell_at.map_or(soon, |at| at.min(soon)));
    }

    fn refresh(&mut self, own: impl FnOnce() -> Summary) {
        if core::mem::take(&mut self.stale) {
            self.own = own();
        }
    }

    /// Who is to be told what. `own` gives what our filters want.
    pub(crate) fn summaries(
        &mut self,
        now: Time,
        tree: &Tree,
        own: impl FnOnce() -> Summary,
    ) -> Vec<(PeerId, Vec<u8>)> {
        let changed = self.tree.replace(tree.version()) != Some(tree.version());
        if !changed && self.tell_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.tell_at = None;
        self.refresh(own);
        let mut told = Vec::new();
        let peers: Vec<PeerId> = self.neighbours.keys().copied().collect();
        for peer in peers {
            let wants = self.merged(now, tree, Some(&peer));
            let Some(neighbour) = self.neighbours.get_mut(&peer) else { continue };
            match neighbour.tell(now, &wants) {
                Ok(wants) => told.push((peer, wants)),
                Err(None) => {}
                Err(Some(at)) => self.tell_at = Some(self.tell_at.map_or(at, |soonest| soonest.min(at))),
            }
            self.tell_at = self.tell_at.into_iter().chain(neighbour.shrink_at).min();
        }
        let unknown = self.neighbours.values().filter(|neighbour| neighbour.wants.is_none());
        let patience = unknown.map(|neighbour| neighbour.since + TELLS_WITHIN).filter(|at| *at > now);
        self.tell_at = self.tell_at.into_iter().chain(patience).min();
        told
    }

    /// Our own wants and those behind the links that publications for `to` would come over to us.
    fn merged(&self, now: Time, tree: &Tree, to: Option<&PeerId>) -> Summary {
        let mut merged = self.own.clone();
        let in_tree = to.is_some_and(|to| tree.has(to));
        for (peer, neighbour) in &self.neighbours {
            let counts = if in_tree { tree.has(peer) } else { tree.is_child(peer) };
            if !counts || Some(peer) == to {
                continue;
            }
            match &neighbour.wants {
                Some(wants) => merged.merge(wants, limits::INTEREST),
                // It is about to tell; what it wants is announced to it then.
                None if now.since(neighbour.since) < TELLS_WITHIN => {}
                None => return Summary::everything(),
            }
        }
        merged
    }
}
