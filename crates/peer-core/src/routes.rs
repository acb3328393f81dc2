//! Ways to peers without a link: a table of those that are near, and searches for the others.
//!
//! This is zone routing (Haas and Pearlman, The Zone Routing Protocol, IETF draft and ICUPC 1997): within
//! [`Config::zone`](crate::Config::zone) links everybody knows everybody by distance vectors, of which only changes are
//! sent; beyond it a search goes out, which only has to reach the edge of the zone of whom it looks for, and comes back
//! along the way it took. Links of random graphs reach a thousand peers in five steps, so two zones of four meet
//! nearly always.
//!
//! Inputs: neighbours and their tables, searches and what they found.
//! Outputs: the next link of a way; frames to send.
//! Timers: changes are collected for [`TELL_AFTER`].
//! Invariants: an envelope's `left` shrinks with each link and is never more than the way is believed to be long, and one;
//! so there are no loops, whatever anybody says. Tables, ways found and searches remembered are bounded, and so is the
//! rate at which a neighbour's searches are passed on.

use std::time::Duration;

use crate::sorted::{Map, Set};

use weft_wire::link::{Link as Frame, Near};
use weft_wire::{IdentityId, List, PeerId, Tag, Time, limits};

use crate::env::Env;
use crate::pace::Pace;
use crate::recent::Recent;

/// Changes are collected for so long.
const TELL_AFTER: Duration = Duration::from_millis(300);
/// A way that was found is believed for so long.
const FOUND_FOR: Duration = Duration::from_secs(60);
/// A way that was found so lately is believed more than what neighbours say.
const PROVEN: Duration = Duration::from_secs(5);
/// What was found within so long was found by the same search, and of that the shortest way counts.
const SAME_SEARCH: Duration = Duration::from_secs(1);
/// Ways to one peer that are remembered.
const WAYS: usize = 3;
/// Peers to whom ways were found.
const FOUND: usize = 1024;
/// Searches that are remembered, so that none is passed on twice.
const SEEN: usize = 2048;
/// Peers believed near, of one neighbour.
const NEAR: usize = 2048;
/// Searches of one neighbour that are passed on at once, and the time in which one more is.
const SEARCHES: u32 = 64;
const SEARCH_EVERY: Duration = Duration::from_millis(50);
/// Bytes of a neighbour's envelopes that are passed on in a second, and at once.
const ENVELOPES_PER_S: u32 = 128 * 1024;
const ENVELOPES_AT_ONCE: Duration = Duration::from_secs(8);

#[derive(Debug, Default)]
pub(crate) struct Routes {
    neighbours: Map<PeerId, Neighbour>,
    /// What neighbours were told last.
    told: Map<Tag, (Tag, u8)>,
    /// Peers about which neighbours may have to be told something.
    changed: Set<Tag>,
    tell_at: Option<Time>,
    /// A few for each, over different neighbours, the latest last.
    found: Map<Tag, Vec<Way>>,
    seen: Recent<(Tag, u32)>,
}

#[derive(Debug)]
struct Neighbour {
    identity: Tag,
    near: Map<Tag, (Tag, u8)>,
    /// It has been told everything.
    greeted: bool,
    searches: Pace,
    finds: Pace,
    envelopes: Pace,
}

#[derive(Debug)]
struct Way {
    via: PeerId,
    hops: u8,
    until: Time,
    proven_until: Time,
}

impl Way {
    fn is_proven(&self, now: Time) -> bool {
        self.proven_until > now
    }
}

impl Routes {
    // ---- neighbours ----

    pub(crate) fn on_linked(&mut self, now: Time, peer: PeerId, identity: Option<&IdentityId>) {
        let identity = identity.map_or(Tag([0; 8]), Tag::from);
        let neighbour = Neighbour {
            identity,
            near: Map::new(),
            greeted: false,
            searches: Pace::default(),
            finds: Pace::default(),
            envelopes: Pace::default(),
        };
        self.neighbours.insert(peer, neighbour);
        self.change(now, Tag::from(&peer));
    }

    pub(crate) fn on_unlinked(&mut self, now: Time, peer: &PeerId) {
        let Some(gone) = self.neighbours.remove(peer) else { return };
        self.change(now, Tag::from(peer));
        for tag in gone.near.keys() {
            self.change(now, *tag);
        }
        self.found.retain(|_, ways| {
            ways.retain(|way| way.via != *peer);
            !ways.is_empty()
        });
    }

    /// A neighbour says who is near it.
    pub(crate) fn on_routes(&mut self, now: Time, from: &PeerId, anew: bool, near: &[Near], env: &Env) {
        let Some(neighbour) = self.neighbours.get_mut(from) else { return };
        let mut changed: Vec<Tag> = Vec::new();
        if anew {
            changed.extend(neighbour.near.keys());
            neighbour.near.clear();
        }
        for one in near.iter().filter(|one| one.peer != Tag::from(&env.me)) {
            let before = if one.hops == 0 || one.hops >= env.config.zone {
                neighbour.near.remove(&one.peer)
            } else if neighbour.near.len() < NEAR || neighbour.near.contains_key(&one.peer) {
                neighbour.near.insert(one.peer, (one.identity, one.hops))
            } else {
                continue;
            };
            if before != Some((one.identity, one.hops)) {
                changed.push(one.peer);
            }
        }
        for tag in changed {
            self.change(now, tag);
        }
    }

    // ---- questions ----

    /// The next link towards a peer and the links it takes altogether, at most `most`. `detour`: how many better ones to
    /// pass over, if there are others. Ways that a search has just gone along come first: what neighbours say of their
    /// surroundings may be as old as it takes to notice a death.
    pub(crate) fn way(&self, now: Time, to: &PeerId, detour: usize, most: u8) -> Option<(PeerId, u8)> {
        let tag = Tag::from(to);
        let near = self
            .neighbours
            .iter()
            .filter_map(|(peer, one)| one.near.get(&tag).map(|(_, hops)| (false, hops + 1, *peer)));
        let found = self.found(now, tag).map(|way| (way.is_proven(now), way.hops, way.via));
        // What a peer itself has told over its link leads over that link.
        let mut ways: Vec<_> =
            near.chain(found).filter(|(_, hops, via)| *hops <= most && via != to).collect();
        ways.sort_unstable_by_key(|(proven, hops, via)| (!proven, *hops, *via));
        let mut seen = Set::new();
        ways.retain(|(_, _, via)| seen.insert(*via));
        let (_, hops, via) = *ways.get(detour % ways.len().max(1))?;
        Some((via, hops))
    }

    /// Ways that were found and are still believed.
    fn found(&self, now: Time, tag: Tag) -> impl Iterator<Item = &Way> {
        self.found.get(&tag).into_iter().flatten().filter(move |way| way.until > now)
    }

    /// The shortest way of the latest search, not over one neighbour.
    fn latest(&self, now: Time, tag: Tag, except: Option<&PeerId>) -> Option<&Way> {
        let ways = || self.found(now, tag).filter(|way| Some(&way.via) != except);
        let newest = ways().map(|way| way.until).max()?;
        ways().filter(|way| way.until + SAME_SEARCH > newest).min_by_key(|way| (way.hops, way.via))
    }

    fn nearest(&self, now: Time, target: Tag, identity: bool) -> Option<(u8, PeerId)> {
        let mut best: Option<(u8, PeerId)> = None;
        for (peer, one) in &self.neighbours {
            let own = if identity { one.identity } else { Tag::from(peer) };
            let near = if own == target {
                Some(1)
            } else if identity {
                let theirs = one.near.values().filter(|(of, _)| *of == target);
                theirs.map(|(_, hops)| hops + 1).min()
            } else {
                one.near.get(&target).map(|(_, hops)| hops + 1)
            };
            best = near.map(|hops| (hops, *peer)).into_iter().chain(best).min();
        }
        best.or_else(|| {
            let found = self.latest(now, target, None).filter(|_| !identity)?;
            Some((found.hops, found.via))
        })
    }

    // ---- searches ----

    /// Looks for a peer or for one of an identity's.
    pub(crate) fn search(
        &mut self,
        party: Tag,
        target: Tag,
        identity: bool,
        env: &mut Env,
    ) -> Vec<(PeerId, Frame<'static>)> {
        // Not one after the other: nobody can use them up before us, and after a reload they are not the same again.
        let (origin, id) = (Tag::from(&env.me), u32::from_le_bytes(env.random()));
        self.seen.insert((origin, id), SEEN);
        let left = env.config.search;
        let frame = Frame::Seek { party, origin, id, target, identity, hops: 0, left };
        self.neighbours.keys().map(|peer| (*peer, frame.clone())).collect()
    }

    /// A neighbour passes on a search. Gives frames to send; true if it is for us: then we answer the neighbour.
    pub(crate) fn on_seek(
        &mut self,
        now: Time,
        from: PeerId,
        seek: &Frame<'_>,
        env: &Env,
    ) -> (Vec<(PeerId, Frame<'static>)>, bool) {
        let &Frame::Seek { party, origin, id, target, identity, hops, left } = seek else {
            return (Vec::new(), false);
        };
        let me = Tag::from(&env.me);
        let hops = hops.saturating_add(1);
        let welcome = origin != me && hops <= limits::HOPS && self.may_search(now, &from);
        if !welcome || !self.seen.insert((origin, id), SEEN) {
            return (Vec::new(), false);
        }
        self.learn(now, origin, from, (hops, false));
        if target == if identity { Tag::from(&env.identity) } else { me } {
            return (Vec::new(), true);
        }
        let left = left.min(env.config.search).saturating_sub(1);
        let near = self.nearest(now, target, identity).filter(|(_, via)| *via != from);
        let frame = |left| Frame::Seek { party, origin, id, target, identity, hops, left };
        let frames = match near {
            // It is in our zone: straight there.
            Some((_, via)) => vec![(via, frame(0))],
            None if left > 0 => {
                let others = self.neighbours.keys().filter(|peer| **peer != from);
                others.map(|peer| (*peer, frame(left))).collect()
            }
            None => Vec::new(),
        };
        (frames, false)
    }

    /// What was sought by somebody has been found. Gives where to pass that on, and the links to it. Nothing is learnt from
    /// what nobody sought by way of us, nor from a neighbour that finds too much.
    pub(crate) fn on_found(
        &mut self,
        now: Time,
        from: PeerId,
        (origin, me): (Tag, Tag),
        target: &PeerId,
        hops: u8,
    ) -> Option<(PeerId, u8)> {
        let hops = hops.saturating_add(1);
        let back = self.latest(now, origin, Some(&from)).map(|way| way.via);
        let one = self.neighbours.get_mut(&from)?;
        let paced = one.finds.take(now, SEARCH_EVERY, SEARCH_EVERY * SEARCHES).is_ok();
        if hops > limits::HOPS || !paced || (back.is_none() && origin != me) {
            return None;
        }
        self.learn(now, Tag::from(target), from, (hops, true));
        Some((back?, hops))
    }

    /// `found`: as the answer to a search, which came along this way just now.
    fn learn(&mut self, now: Time, tag: Tag, via: PeerId, (hops, found): (u8, bool)) {
        if self.found.len() >= FOUND && !self.found.contains_key(&tag) {
            let last = |ways: &[Way]| ways.iter().map(|way| way.until).max();
            let first = self.found.iter().min_by_key(|(_, ways)| last(ways)).map(|(tag, _)| *tag);
            first.map(|tag| self.found.remove(&tag));
        }
        let ways = self.found.entry(tag).or_default();
        let known = ways.iter().find(|way| way.via == via);
        // Of one search the shortest counts; what is found later counts for more than what was found before.
        if known.is_some_and(|known| hops > known.hops && known.until > now + FOUND_FOR - SAME_SEARCH) {
            return;
        }
        ways.retain(|way| way.via != via);
        if ways.len() >= WAYS {
            ways.remove(0);
        }
        let proven_until = if found { now + PROVEN } else { Time::ZERO };
        ways.push(Way { via, hops, until: now + FOUND_FOR, proven_until });
    }

    fn may_search(&mut self, now: Time, from: &PeerId) -> bool {
        let one = self.neighbours.get_mut(from);
        one.is_some_and(|one| one.searches.take(now, SEARCH_EVERY, SEARCH_EVERY * SEARCHES).is_ok())
    }

    /// Whether an envelope of so many bytes that a neighbour gives us for others is passed on; none if it is no neighbour.
    pub(crate) fn may_pass(&mut self, now: Time, from: &PeerId, len: usize) -> Option<bool> {
        let cost = Duration::from_secs(1) * u32::try_from(len).unwrap_or(u32::MAX) / ENVELOPES_PER_S;
        let one = self.neighbours.get_mut(from)?;
        Some(one.envelopes.take(now, cost, ENVELOPES_AT_ONCE).is_ok())
    }

    // ---- timers ----

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.tell_at
    }

    /// What neighbours are to be told.
    pub(crate) fn frames(&mut self, now: Time, party: Tag, env: &Env) -> Vec<(PeerId, Frame<'static>)> {
        if self.tell_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.tell_at = None;
        let mut news: Vec<Near> = Vec::new();
        for tag in core::mem::take(&mut self.changed) {
            // The last link is the listener's own.
            let best = self.best(tag, env).filter(|(_, hops)| *hops < env.config.zone);
            let before = match best {
                Some(best) => self.told.insert(tag, best),
                None => self.told.remove(&tag),
            };
            if before != best {
                let (identity, hops) = best.unwrap_or((Tag([0; 8]), 0));
                news.push(Near { peer: tag, identity, hops });
            }
        }
        let all = self.told.iter().map(|(peer, (identity, hops))| Near {
            peer: *peer,
            identity: *identity,
            hops: *hops,
        });
        let all: Vec<Near> = all.collect();
        let mut frames = Vec::new();
        for (peer, neighbour) in &mut self.neighbours {
            let anew = !core::mem::replace(&mut neighbour.greeted, true);
            let near = if anew { &all } else { &news };
            for (part, near) in near.chunks(limits::ROUTES).enumerate() {
                let near = List::first(near.iter().copied());
                frames.push((*peer, Frame::Routes { party, anew: anew && part == 0, near }));
            }
        }
        frames
    }

    fn best(&self, tag: Tag, env: &Env) -> Option<(Tag, u8)> {
        if tag == Tag::from(&env.me) {
            return None;
        }
        let mut best: Option<(u8, Tag)> = None;
        for (peer, one) in &self.neighbours {
            let way = if Tag::from(peer) == tag {
                Some((1, one.identity))
            } else {
                one.near.get(&tag).map(|(identity, hops)| (hops + 1, *identity))
            };
            best = way.into_iter().chain(best).min();
        }
        best.map(|(hops, identity)| (identity, hops))
    }

    fn change(&mut self, now: Time, tag: Tag) {
        self.changed.insert(tag);
        self.tell_at = self.tell_at.or(Some(now + TELL_AFTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);
    const TARGET: PeerId = PeerId([9; 32]);
    const TRUE: PeerId = PeerId([1; 32]);
    const STALE: PeerId = PeerId([2; 32]);

    /// Two neighbours; one of them still believes that the target is two links away.
    fn routes() -> Routes {
        let mut routes = Routes::default();
        routes.on_linked(NOW, TRUE, None);
        routes.on_linked(NOW, STALE, None);
        let near = &mut routes.neighbours.get_mut(&STALE).unwrap().near;
        near.insert(Tag::from(&TARGET), (Tag([0; 8]), 2));
        routes
    }

    #[test]
    fn a_way_that_was_just_gone_comes_before_what_neighbours_say() {
        let mut routes = routes();
        let way = |routes: &Routes, at, detour, most| routes.way(at, &TARGET, detour, most);
        assert_eq!(way(&routes, NOW, 0, limits::HOPS), Some((STALE, 3)));
        routes.learn(NOW, Tag::from(&TARGET), TRUE, (6, true));
        assert_eq!(way(&routes, NOW, 0, limits::HOPS), Some((TRUE, 6)));
        assert_eq!(way(&routes, NOW, 1, limits::HOPS), Some((STALE, 3)), "the next attempt");
        assert_eq!(way(&routes, NOW, 0, 5), Some((STALE, 3)), "an envelope that may take five links");
        assert_eq!(way(&routes, NOW, 0, 2), None);
        assert_eq!(way(&routes, NOW + PROVEN, 0, limits::HOPS), Some((STALE, 3)), "it may have broken since");
        assert_eq!(way(&routes, NOW + PROVEN, 1, limits::HOPS), Some((TRUE, 6)));
    }

    #[test]
    fn of_one_search_the_shortest_way_counts_and_of_two_the_later_one() {
        let mut routes = Routes::default();
        for (after, hops, best) in [(0, 3, 3), (10, 5, 3), (4_000, 5, 5), (4_010, 4, 4)] {
            let at = NOW + Duration::from_millis(after);
            routes.learn(at, Tag::from(&TARGET), TRUE, (hops, true));
            assert_eq!(routes.way(at, &TARGET, 0, limits::HOPS), Some((TRUE, best)), "after {after} ms");
        }
    }

    #[test]
    fn what_was_found_over_another_neighbour_is_there_for_the_next_attempt() {
        let mut routes = Routes::default();
        routes.learn(NOW, Tag::from(&TARGET), STALE, (1, true));
        routes.learn(NOW, Tag::from(&TARGET), TRUE, (5, true));
        let vias = [0, 1, 2].map(|detour| routes.way(NOW, &TARGET, detour, limits::HOPS).unwrap().0);
        assert_eq!(vias, [STALE, TRUE, STALE]);
    }

    #[test]
    fn a_peers_own_link_is_no_way_around_it() {
        let mut routes = Routes::default();
        routes.learn(NOW, Tag::from(&TARGET), TARGET, (1, true));
        assert_eq!(routes.way(NOW, &TARGET, 0, limits::HOPS), None);
        routes.learn(NOW, Tag::from(&TARGET), TRUE, (5, true));
        assert_eq!([0, 1].map(|detour| routes.way(NOW, &TARGET, detour, limits::HOPS)), [Some((TRUE, 5)); 2]);
    }

    #[test]
    fn who_only_says_that_it_seeks_or_finds_unasked_comes_before_nobody() {
        let mut routes = routes();
        routes.learn(NOW, Tag::from(&TARGET), TRUE, (1, false));
        assert_eq!(
            routes.way(NOW, &TARGET, 0, limits::HOPS),
            Some((TRUE, 1)),
            "the shortest, and not proven"
        );
        routes.learn(NOW, Tag::from(&TARGET), TRUE, (4, false));
        let later = NOW + SAME_SEARCH;
        routes.learn(later, Tag::from(&TARGET), TRUE, (4, false));
        assert_eq!(routes.way(later, &TARGET, 0, limits::HOPS), Some((STALE, 3)));
        let (nobody, me) = (Tag([5; 8]), Tag([6; 8]));
        assert_eq!(routes.on_found(later, TRUE, (nobody, me), &TARGET, 0), None);
        assert_eq!(routes.way(later, &TARGET, 0, limits::HOPS), Some((STALE, 3)), "nobody had sought it");
        assert_eq!(routes.on_found(later, TRUE, (me, me), &TARGET, 3), None);
        assert_eq!(routes.way(later, &TARGET, 0, limits::HOPS), Some((TRUE, 4)), "we had");
    }
}
