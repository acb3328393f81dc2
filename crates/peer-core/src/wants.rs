//! What neighbours ask for ([`Want`](weft_wire::link::Link::Want)): answered at once, and together where somebody asks
//! again and again, for an answer may take a look at everything that is kept.
//!
//! Inputs: wants of neighbours.
//! Outputs: wants to answer now.
//! Timers: wants that wait.
//! Invariants: each want is answered, alone or with later ones of the same neighbour; of each neighbour one waits at most.

use std::time::Duration;

use crate::sorted::Map;

use weft_query::Summary;
use weft_wire::link::FeedHave;
use weft_wire::{PeerId, Time, limits};

use crate::pace::Pace;

/// So often each neighbour is answered, and so many times at once.
const ANSWER_EVERY: Duration = Duration::from_millis(100);
const AT_ONCE: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Wants {
    neighbours: Map<PeerId, Asking>,
}

#[derive(Debug, Default)]
struct Asking {
    pace: Pace,
    waiting: Option<(Want, Time)>,
}

/// What a neighbour wants.
#[derive(Debug)]
pub(crate) struct Want {
    /// When it asked.
    pub(crate) since: Time,
    /// How old it may have been then; none: everything that is kept.
    pub(crate) age: Option<Duration>,
    /// What it has.
    pub(crate) have: Vec<FeedHave>,
    /// What it is interested in; none: everything.
    pub(crate) wants: Option<Summary>,
}

impl Want {
    /// The time from which on things are wanted.
    fn from(&self) -> Option<Time> {
        self.age.map(|age| self.since - age)
    }

    /// One that is answered by what answers both.
    fn and(self, later: Self) -> Self {
        let age = match (self.from(), later.from()) {
            (Some(one), Some(other)) => Some(later.since.since(one.min(other))),
            _ => None,
        };
        let wants = match (self.wants, later.wants) {
            (Some(mut one), Some(other)) => {
                one.merge(&other, limits::INTEREST);
                Some(one)
            }
            _ => None,
        };
        Self { since: later.since, age, have: later.have, wants }
    }
}

impl Wants {
    /// A neighbour asks. Gives the want if it is to be answered now; else it waits.
    pub(crate) fn on_want(&mut self, now: Time, peer: PeerId, want: Want) -> Option<Want> {
        let asking = self.neighbours.entry(peer).or_default();
        let want = match asking.waiting.take() {
            Some((before, _)) => before.and(want),
            None => want,
        };
        match asking.pace.take(now, ANSWER_EVERY, ANSWER_EVERY * AT_ONCE) {
            Ok(()) => Some(want),
            Err(at) => {
                asking.waiting = Some((want, at));
                None
            }
        }
    }

    /// A want that cannot be answered before then.
    pub(crate) fn hold(&mut self, peer: PeerId, want: Want, until: Time) {
        self.neighbours.entry(peer).or_default().waiting = Some((want, until));
    }

    /// What waits need not wait any longer.
    pub(crate) fn release(&mut self, now: Time) {
        for (_, at) in self.neighbours.values_mut().filter_map(|asking| asking.waiting.as_mut()) {
            *at = now;
        }
    }

    /// Wants that have waited long enough.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(PeerId, Want)> {
        let mut due = Vec::new();
        for (peer, asking) in &mut self.neighbours {
            let Some((_, waits_until)) = asking.waiting.as_mut().filter(|(_, at)| *at <= now) else {
                continue;
            };
            match asking.pace.take(now, ANSWER_EVERY, ANSWER_EVERY * AT_ONCE) {
                Ok(()) => due.extend(asking.waiting.take().map(|(want, _)| (*peer, want))),
                Err(at) => *waits_until = at,
            }
        }
        due
    }

    pub(crate) fn on_unlinked(&mut self, peer: &PeerId) {
        self.neighbours.remove(peer);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.neighbours.values().filter_map(|asking| asking.waiting.as_ref()).map(|(_, at)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);
    const PEER: PeerId = PeerId([1; 32]);

    fn want(now: Time, age_s: Option<u64>, wants: Option<Summary>) -> Want {
        Want { since: now, age: age_s.map(Duration::from_secs), have: Vec::new(), wants }
    }

    #[test]
    fn who_asks_again_and_again_is_answered_together() {
        let mut wants = Wants::default();
        let many = || want(NOW, Some(3), None);
        let answered = (0..1000).filter(|_| wants.on_want(NOW, PEER, many()).is_some()).count();
        assert_eq!(answered, AT_ONCE as usize);
        let at = wants.deadline().unwrap();
        assert_eq!(at, NOW + ANSWER_EVERY);
        assert!(wants.due(NOW).is_empty());
        assert_eq!(wants.due(at).len(), 1);
        assert_eq!(wants.deadline(), None);
        assert!(wants.on_want(at, PEER, many()).is_none(), "it has used up its time");
        assert!(wants.on_want(at, PeerId([2; 32]), many()).is_some(), "another has not");
    }

    #[test]
    fn what_waits_asks_for_what_each_asked_for() {
        let later = NOW + Duration::from_secs(1);
        let both = |a, b| want(NOW, a, None).and(want(later, b, None)).age.map(|age| age.as_secs());
        assert_eq!(both(Some(3), Some(2)), Some(4));
        assert_eq!(both(Some(3), Some(9)), Some(9));
        assert_eq!(both(Some(3), None), None);
        assert_eq!(both(None, Some(3)), None);
        let selective = |a, b| want(NOW, None, a).and(want(NOW, None, b)).wants;
        let (all, none) = (Summary::everything, Summary::default);
        assert_eq!(selective(Some(none()), Some(all())), Some(all()));
        assert_eq!(selective(Some(none()), Some(none())), Some(none()));
        assert_eq!(selective(None, Some(none())), None);
    }
}
