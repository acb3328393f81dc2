//! Who is linked with whom: what each signaler says of its own links, and nobody of another's.
//!
//! Inputs: our links that come up and go, siblings' `Linked`. Outputs: our own `Linked`, [`Event::LinksChanged`],
//! [`Signaler::linked`]. Timers: [`Timer::SayLinked`], [`Timer::TellLinked`], each at most once in [`PAUSE`].
//!
//! Invariants: what a sibling says is kept with its link and goes with it; after a change each member that reads is told once; at
//! most so many siblings are believed as a federation has members.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use weft_wire::sibling::Sibling;
use weft_wire::{Code, List, SignalerId, Time, limits};

use crate::frames;
use crate::io::{ConnId, Event, Output};
use crate::links::Link;
use crate::signaler::Signaler;
use crate::timers::Timer;

/// Least time between two frames about our links on one link, and between two events about those of others: people look at it,
/// and a link that comes and goes is to cost little.
const PAUSE: Duration = Duration::from_secs(1);
/// Links that are shown at once: all of 90 signalers, about a megabyte as JSON.
const SHOWN: usize = 4_096;

/// The links of the federation, as far as this signaler hears of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// Who says with whom it is linked: this signaler, and those of its siblings that do, by id.
    pub told_by: Vec<SignalerId>,
    /// Links that one end says at least, each once, by their ends.
    pub links: Vec<LinkStatus>,
    /// There are more than are shown; then those are that only one end says.
    pub more: bool,
}

/// A link between two signalers, as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its ends, the lower id first.
    pub between: [SignalerId; 2],
    /// Whether the one and the other says that it is there.
    pub said: [bool; 2],
}

/// When something may be done again that is done once in [`PAUSE`] at most.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Time>,
    armed: bool,
}

impl Pace {
    /// There is something to do: when, unless that is arranged already.
    fn arm(&mut self, soon: Time) -> Option<Time> {
        let at = self.last.map_or(soon, |last| soon.max(last + PAUSE));
        (!core::mem::replace(&mut self.armed, true)).then_some(at)
    }

    fn on_done(&mut self, now: Time) {
        *self = Self { last: Some(now), armed: false };
    }
}

#[derive(Debug, Default)]
pub(crate) struct Saying {
    /// Changes of the set of siblings that we are linked with.
    version: u64,
    say: Pace,
    tell: Pace,
}

impl Signaler {
    /// Who is linked with whom. What is said of signalers that are not known here is left out.
    pub fn linked(&self) -> Linked {
        let ours: BTreeSet<SignalerId> = self.links.siblings().copied().collect();
        let mut known: BTreeSet<SignalerId> =
            &ours | &self.membership.known().map(|one| one.card.signaler).collect();
        known.insert(self.us);
        let mut words = self.words();
        words.insert(self.us, &ours);
        links_of(&words, &known)
    }

    /// Pairs of our siblings that both say that they are not linked with each other.
    pub(crate) fn siblings_apart(&self) -> usize {
        let words: Vec<(SignalerId, &BTreeSet<SignalerId>)> = self.words().into_iter().collect();
        let pairs = words
            .iter()
            .enumerate()
            .flat_map(|(n, one)| words.iter().skip(n + 1).map(move |other| (one, other)));
        pairs.filter(|((one, said), (other, theirs))| !said.contains(other) && !theirs.contains(one)).count()
    }

    /// What siblings say of their links.
    fn words(&self) -> BTreeMap<SignalerId, &BTreeSet<SignalerId>> {
        let links = self.links.up().into_iter().filter_map(|conn| self.links.link(conn));
        links.filter_map(|link| Some((link.id()?, link.says.as_ref()?))).collect()
    }

    /// We are linked with other siblings than before, or one has another connection.
    pub(crate) fn on_links_changed(&mut self, now: Time, others: bool) {
        self.saying.version += u64::from(others);
        self.say_linked_soon(now);
    }

    /// A sibling reads again: it may not have been told of the last change.
    pub(crate) fn say_linked_to(&mut self, now: Time, conn: ConnId) {
        if self.links.link(conn).is_some_and(|link| link.linked_told != Some(self.saying.version)) {
            self.say_linked_soon(now);
        }
    }

    fn say_linked_soon(&mut self, now: Time) {
        if !self.stopping
            && let Some(at) = self.saying.say.arm(now + self.config.batch())
        {
            self.timers.arm(at, Timer::SayLinked);
        }
    }

    /// Tells all members that have not been told, and read.
    pub(crate) fn on_say_linked(&mut self, now: Time) {
        self.saying.say.on_done(now);
        let siblings = List::first(self.links.siblings().copied());
        let size = siblings.len() * size_of::<SignalerId>() * 2;
        let frame = frames::carrying(&Sibling::Linked { siblings }, size);
        for conn in self.links.up() {
            let Some(link) = self.links.link_mut(conn) else { continue };
            if link.card.is_none() || link.is_full() || link.linked_told == Some(self.saying.version) {
                continue;
            }
            link.linked_told = Some(self.saying.version);
            self.send(conn, frame.clone());
        }
    }

    /// A sibling says with whom it is linked.
    pub(crate) fn on_linked(&mut self, now: Time, conn: ConnId, siblings: &[SignalerId]) {
        let Some(id) = self.links.link(conn).and_then(Link::id) else { return };
        if siblings.contains(&id) {
            return self.sibling_strike(now, conn, Code::BadFrame);
        }
        let is_new = self.links.link(conn).is_some_and(|link| link.says.is_none());
        if is_new && self.links.all().filter(|(_, link)| link.says.is_some()).count() >= limits::MEMBERS {
            self.counters.refused_links += 1;
            return;
        }
        let Some(link) = self.links.link_mut(conn) else { return };
        let said: BTreeSet<SignalerId> = siblings.iter().copied().collect();
        if link.says.as_ref() == Some(&said) {
            return;
        }
        link.says = Some(said);
        if let Some(at) = self.saying.tell.arm(now) {
            self.timers.arm(at, Timer::TellLinked);
        }
    }

    pub(crate) fn on_tell_linked(&mut self, now: Time) {
        self.saying.tell.on_done(now);
        self.put(Output::Event(Event::LinksChanged));
    }
}

/// Each link once, out of what each end says of its own.
fn links_of(words: &BTreeMap<SignalerId, &BTreeSet<SignalerId>>, known: &BTreeSet<SignalerId>) -> Linked {
    let mut links = Vec::new();
    for (one, said) in words {
        for other in said.iter().filter(|other| known.contains(other)) {
            let both = words.get(other).is_some_and(|theirs| theirs.contains(one));
            if one < other {
                links.push(LinkStatus { between: [*one, *other], said: [true, both] });
            } else if !both {
                links.push(LinkStatus { between: [*other, *one], said: [false, true] });
            }
        }
    }
    links.sort_unstable_by_key(|link| link.between);
    let more = links.len() > SHOWN;
    if more {
        // What is odd comes first.
        links.sort_by_key(|link| link.said == [true, true]);
        links.truncate(SHOWN);
        links.sort_unstable_by_key(|link| link.between);
    }
    Linked { told_by: words.keys().copied().collect(), links, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> SignalerId {
        SignalerId([n; 32])
    }

    fn shown(said: &[(u8, &[u8])], known: &[u8]) -> Vec<(u8, u8, [bool; 2])> {
        let said: Vec<(SignalerId, BTreeSet<SignalerId>)> = said
            .iter()
            .map(|(one, others)| (id(*one), others.iter().map(|other| id(*other)).collect()))
            .collect();
        let words = said.iter().map(|(one, others)| (*one, others)).collect();
        let all = links_of(&words, &known.iter().map(|n| id(*n)).collect());
        all.links.iter().map(|link| (link.between[0].0[0], link.between[1].0[0], link.said)).collect()
    }

    #[test]
    fn each_link_is_there_once_with_who_says_so() {
        for (said, known, expected) in [
            (
                &[(1, &[2, 3][..]), (2, &[1, 3]), (3, &[1, 2])][..],
                &[1, 2, 3][..],
                &[(1, 2, [true; 2]), (1, 3, [true; 2]), (2, 3, [true; 2])][..],
            ),
            (&[(1, &[2, 3]), (2, &[1]), (3, &[1])], &[1, 2, 3], &[(1, 2, [true; 2]), (1, 3, [true; 2])]),
            // Of a lower and of a higher one, whose other end says otherwise, or nothing.
            (&[(2, &[3]), (3, &[])], &[2, 3], &[(2, 3, [true, false])]),
            (&[(2, &[]), (3, &[2])], &[2, 3], &[(2, 3, [false, true])]),
            (&[(1, &[]), (3, &[2])], &[1, 2, 3], &[(2, 3, [false, true])]),
            // Whom nobody here knows.
            (&[(1, &[9])], &[1], &[]),
            (&[], &[], &[]),
        ] {
            assert_eq!(shown(said, known), expected, "{said:?}");
        }
    }

    #[test]
    fn of_too_many_links_those_are_shown_that_only_one_end_says() {
        let all: BTreeSet<SignalerId> = (0..=255).map(id).collect();
        let but =
            |n: u8| -> BTreeSet<SignalerId> { all.iter().filter(|one| **one != id(n)).copied().collect() };
        let mut said: Vec<(SignalerId, BTreeSet<SignalerId>)> = (0..=255).map(|n| (id(n), but(n))).collect();
        said[255].1.clear();
        let words = said.iter().map(|(one, others)| (*one, others)).collect();
        let shown = links_of(&words, &all);
        assert!(shown.more);
        assert_eq!(shown.links.len(), SHOWN);
        let odd = shown.links.iter().filter(|link| link.said == [true, false] && link.between[1] == id(255));
        assert_eq!(odd.count(), 255);
        assert!(shown.links.is_sorted_by_key(|link| link.between));
    }

    #[test]
    fn what_changes_often_is_told_once_in_a_while_and_the_last_of_it_is_told() {
        let at = Time::from_millis;
        let mut pace = Pace::default();
        assert_eq!(pace.arm(at(5_000)), Some(at(5_000)), "at once");
        assert_eq!(pace.arm(at(5_000)), None, "that is arranged");
        pace.on_done(at(5_000));
        assert_eq!(pace.arm(at(5_001)), Some(at(6_000)));
        pace.on_done(at(6_000));
        assert_eq!(pace.arm(at(9_000)), Some(at(9_000)));
    }
}
