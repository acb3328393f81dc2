//! How publications get to everybody: at once along the [tree](crate::tree), announced in digests to all other
//! neighbours, fetched from those where the tree failed.
//!
//! This is Plumtree (Leitão, Pereira, Rodrigues: Epidemic Broadcast Trees, SRDS 2007) with one difference: which links are
//! eager is decided by the tree of shortest paths to a root and not by who was first, so that there is next to no
//! redundancy whoever sends, and nobody is far from anybody. Lazy links, digests (IHAVE), grafts and prunes are the
//! paper's; section 3.7 there.
//!
//! Inputs: publications that are new here, from whom they came; digests, grafts and prunes.
//! Outputs: neighbours to send a publication to; digests, grafts and prunes to send.
//! Timers: digests that are due, publications that were announced and have not come.
//! Invariants: never back to where it came from, and by each peer once, whatever is said of the hops it took; one digest per lazy neighbour and
//! [`Config::digest_wait`](crate::Config::digest_wait), one per [`DIGEST_PAUSE`] while there is always something new; at
//! most [`MISSING`] feeds are waited for, of which no neighbour takes all places, and a neighbour that announces what it
//! does not have is not listened to.

use crate::sorted::Map;
use std::time::Duration;

use weft_wire::link::{FeedRange, Link as Frame};
use weft_wire::{List, PeerId, Tag, Time, limits};

use crate::env::Env;
use crate::ranges::Ranges;
use crate::tree::Tree;

/// Digests to one neighbour are at least so far apart in a steady flow.
const DIGEST_PAUSE: Duration = Duration::from_millis(2500);
/// Feeds of which something was announced and has not come.
const MISSING: usize = 1024;
/// Feeds in what waits to be announced to one neighbour.
const PENDING: usize = 1024;
/// A graft without effect is sent to the next neighbour after so long.
const GRAFT_AGAIN: Duration = Duration::from_millis(400);
/// Grafts for the same gap.
const GRAFTS: u32 = 12;
/// A grafted link stays eager so long, unless it brings what is known already: the tree has mended itself by then.
const GRAFTED: Duration = Duration::from_secs(20);
/// After so many grafts, each [`GRAFT_AGAIN`] after the last, of which none was answered, a neighbour's digests are not
/// believed for so long.
const LIES: u32 = 8;
const DISTRUST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    lazy: Map<PeerId, Lazy>,
    missing: Map<Tag, Missing>,
    /// Frames that are due at once.
    now: Vec<(PeerId, Frame<'static>)>,
}

/// What concerns one neighbour.
#[derive(Debug, Default)]
struct Lazy {
    /// Not announced to it yet.
    pending: Map<Tag, Ranges>,
    due: Option<Time>,
    told: Time,
    /// It asked for what is new, until then.
    eager_until: Time,
    /// We asked it.
    grafted_until: Time,
    /// What it was asked for since it last sent something of that.
    asked: Map<Tag, Ranges>,
    /// How often, and when that was counted last.
    unanswered: u32,
    counted_at: Time,
    distrusted_until: Time,
}

/// Something of a feed that others have and we do not.
#[derive(Debug, Default)]
struct Missing {
    /// By whom, in the order in which they said so, and what each.
    by: Vec<(PeerId, Ranges)>,
    at: Time,
    asked: u32,
}

impl Broadcast {
    // ---- neighbours ----

    pub(crate) fn on_linked(&mut self, peer: PeerId) {
        self.lazy.entry(peer).or_default();
    }

    pub(crate) fn on_unlinked(&mut self, now: Time, peer: &PeerId) {
        self.lazy.remove(peer);
        for missing in self.missing.values_mut() {
            missing.by.retain(|(by, _)| by != peer);
            missing.at = missing.at.min(now);
        }
    }

    // ---- publications ----

    /// A publication is new here. Gives the neighbours to send it to at once; the others will be told. `wanted`: it is
    /// wanted behind a neighbour; who is not sent it is given, too. `burst`: it goes to all of them at once
    /// ([`burst`]).
    pub(crate) fn on_new(
        &mut self,
        now: Time,
        from: Option<PeerId>,
        range: FeedRange,
        neighbours: impl Iterator<Item = PeerId>,
        (tree, wanted, burst): (&Tree, impl Fn(&PeerId) -> bool, bool),
        env: &Env,
    ) -> (Vec<PeerId>, Vec<PeerId>) {
        self.on_had(from, range);
        let (mut eager, mut skipped) = (Vec::new(), Vec::new());
        for peer in neighbours.filter(|peer| Some(*peer) != from) {
            let lazy = self.lazy.entry(peer).or_default();
            if !wanted(&peer) {
                skipped.push(peer);
            } else if burst || tree.has(&peer) || tree.had(now, &peer) || lazy.eager_until > now {
                eager.push(peer);
            } else {
                lazy.announce(now, range, peer, env);
            }
        }
        (eager, skipped)
    }

    /// A neighbour has begun to want this.
    pub(crate) fn on_wanted(&mut self, now: Time, peer: PeerId, range: FeedRange, env: &Env) {
        if let Some(lazy) = self.lazy.get_mut(&peer) {
            lazy.announce(now, range, peer, env);
        }
    }

    /// Something that is not fresh has come: those who lack it, too, are told and can ask for it.
    pub(crate) fn on_old(
        &mut self,
        now: Time,
        from: PeerId,
        range: FeedRange,
        neighbours: impl Iterator<Item = PeerId>,
        env: &Env,
    ) {
        self.on_had(Some(from), range);
        for peer in neighbours.filter(|peer| *peer != from) {
            self.lazy.entry(peer).or_default().announce(now, range, peer, env);
        }
    }

    /// A publication came that we have. Links that were grafted are not needed any more if the tree brings it, too; nor is
    /// one that brings what came over the tree.
    pub(crate) fn on_again(&mut self, now: Time, from: PeerId, range: FeedRange, party: Tag, tree: &Tree) {
        self.on_had(Some(from), range);
        let mended = tree.has(&from);
        for (peer, lazy) in &mut self.lazy {
            if lazy.grafted_until > now && (mended || *peer == from) && !tree.has(peer) {
                lazy.grafted_until = now;
                self.now.push((*peer, Frame::Prune { party }));
            }
        }
    }

    /// A neighbour has this: it need not be told, and if it was asked for that it did not lie.
    /// It sent what is not taken, and is not its fault: it had what it announced, and is not asked for that again.
    pub(crate) fn on_refused(&mut self, from: PeerId, range: FeedRange) {
        self.on_had(Some(from), range);
        if let Some(missing) = self.missing.get_mut(&range.feed) {
            missing.by.retain(|(by, _)| *by != from);
        }
    }

    fn on_had(&mut self, from: Option<PeerId>, range: FeedRange) {
        let Some(lazy) = from.and_then(|peer| self.lazy.get_mut(&peer)) else { return };
        lazy.forget(range);
        if lazy.asked.get(&range.feed).is_some_and(|asked| asked.overlaps(range.first, range.last())) {
            lazy.believe();
        }
    }

    // ---- what neighbours say ----

    /// A neighbour announces what it has. `lacks` says what of a range we do not have.
    pub(crate) fn on_digest(
        &mut self,
        now: Time,
        from: PeerId,
        have: &[FeedRange],
        lacks: impl Fn(&FeedRange) -> bool,
        env: &Env,
    ) {
        let Some(lazy) = self.lazy.get_mut(&from) else { return };
        for range in have {
            lazy.forget(*range);
        }
        if lazy.distrusted_until > now {
            return;
        }
        let theirs = |missing: &&Missing| missing.by.first().is_some_and(|(by, _)| *by == from);
        let mut theirs = self.missing.values().filter(theirs).count();
        for range in have.iter().filter(|range| lacks(range)) {
            if !self.missing.contains_key(&range.feed) {
                // Half of what is left at most, so that there always is something left for others.
                if theirs + self.missing.len() >= MISSING {
                    continue;
                }
                theirs += 1;
            }
            let at = now + env.config.graft_wait;
            let missing =
                self.missing.entry(range.feed).or_insert_with(|| Missing { at, ..Missing::default() });
            let place = missing.by.iter().position(|(by, _)| *by == from).unwrap_or_else(|| {
                missing.by.push((from, Ranges::default()));
                missing.by.len() - 1
            });
            missing.by[place].1.insert(range.first, range.last());
        }
    }

    /// A neighbour asks for publications: it gets what is new, too, until its tree has mended.
    pub(crate) fn on_graft(&mut self, now: Time, from: PeerId, want: &[FeedRange]) {
        if let Some(lazy) = self.lazy.get_mut(&from) {
            lazy.eager_until = now + GRAFTED;
            for range in want {
                lazy.forget(*range);
            }
        }
    }

    pub(crate) fn on_prune(&mut self, from: PeerId) {
        if let Some(lazy) = self.lazy.get_mut(&from) {
            lazy.eager_until = Time::ZERO;
        }
    }

    // ---- timers ----

    /// Frames that are due. `lacking` gives what of announced ranges we still do not have.
    pub(crate) fn frames(
        &mut self,
        now: Time,
        party: Tag,
        lacking: impl Fn(Tag, &Ranges) -> Vec<FeedRange>,
        env: &Env,
    ) -> Vec<(PeerId, Frame<'static>)> {
        let mut frames = core::mem::take(&mut self.now);
        for (peer, lazy) in &mut self.lazy {
            if lazy.due.is_some_and(|at| at <= now) {
                lazy.due = None;
                lazy.told = now;
                let mut have: Vec<FeedRange> = Vec::new();
                for (feed, ranges) in core::mem::take(&mut lazy.pending) {
                    have.extend(ranges.pairs().map(|(first, last)| feed_range(feed, first, last)));
                }
                for part in have.chunks(limits::RANGES) {
                    frames.push((*peer, Frame::Digest { party, have: List::first(part.iter().copied()) }));
                }
            }
        }
        if self.missing.values().any(|missing| missing.at <= now) {
            self.graft(now, party, lacking, env, &mut frames);
        }
        frames
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        if !self.now.is_empty() {
            return Some(Time::ZERO);
        }
        let digests = self.lazy.values().filter_map(|lazy| lazy.due);
        digests.chain(self.missing.values().map(|missing| missing.at)).min()
    }

    fn graft(
        &mut self,
        now: Time,
        party: Tag,
        lacking: impl Fn(Tag, &Ranges) -> Vec<FeedRange>,
        env: &Env,
        frames: &mut Vec<(PeerId, Frame<'static>)>,
    ) {
        // One frame for each neighbour that is asked.
        let mut asked: Map<PeerId, Vec<FeedRange>> = Map::new();
        let lazy = &mut self.lazy;
        self.missing.retain(|feed, missing| {
            if missing.at > now {
                return true;
            }
            // Each is asked for what it announced itself.
            missing.by.retain(|(by, announced)| {
                let believed = lazy.get(by).is_some_and(|one| one.distrusted_until <= now);
                believed && !lacking(*feed, announced).is_empty()
            });
            if missing.asked >= GRAFTS || missing.by.is_empty() {
                return false;
            }
            let (peer, announced) = &missing.by[missing.asked as usize % missing.by.len()];
            let (peer, wanted) = (*peer, lacking(*feed, announced));
            missing.asked += 1;
            missing.at = now + GRAFT_AGAIN.max(env.config.graft_wait);
            asked.entry(peer).or_default().extend(wanted);
            true
        });
        for (peer, want) in asked {
            let Some(one) = lazy.get_mut(&peer) else { continue };
            one.grafted_until = now + GRAFTED;
            if one.lies(now, &want) {
                one.unanswered = 0;
                one.distrusted_until = now + DISTRUST;
                continue;
            }
            for part in want.chunks(limits::RANGES) {
                frames.push((peer, Frame::Graft { party, want: List::first(part.iter().copied()) }));
            }
        }
    }
}

impl Lazy {
    /// It is asked for this. True if it was asked too often for what it has announced and does not send.
    fn lies(&mut self, now: Time, want: &[FeedRange]) -> bool {
        if self.asked.len() >= MISSING {
            self.asked.clear();
        }
        for range in want {
            self.asked.entry(range.feed).or_default().insert(range.first, range.last());
        }
        // Grafts of the same moment cannot have been answered yet.
        if now.since(self.counted_at) >= GRAFT_AGAIN {
            self.counted_at = now;
            self.unanswered += 1;
        }
        self.unanswered > LIES
    }

    /// It sent something that it was asked for, be it late.
    fn believe(&mut self) {
        self.unanswered = 0;
        self.asked.clear();
        self.distrusted_until = Time::ZERO;
    }

    fn announce(&mut self, now: Time, range: FeedRange, to: PeerId, env: &Env) {
        if self.pending.len() >= PENDING && !self.pending.contains_key(&range.feed) {
            self.pending.pop_first();
        }
        self.pending.entry(range.feed).or_default().insert(range.first, range.last());
        if self.due.is_none() {
            // One side first: what it announces need not be announced to it.
            let wait = if env.me < to { env.config.digest_wait } else { env.config.digest_wait * 2 };
            self.due = Some((now + wait).max(self.told + DIGEST_PAUSE));
        }
    }

    fn forget(&mut self, range: FeedRange) {
        if let Some(ranges) = self.pending.get_mut(&range.feed) {
            ranges.remove(range.first, range.last());
            if ranges.is_empty() {
                self.pending.remove(&range.feed);
                if self.pending.is_empty() {
                    self.due = None;
                }
            }
        }
    }
}

/// How many links a publication goes over every link before it follows the tree, in a swarm of so many members with so
/// many links each.
///
/// The tree's ways lead over the root, so two peers next to each other may be far apart on it. Some hundred peers
/// around the sender that get it first, by whatever link, are spread over the whole tree, and each is the beginning of
/// a short way for those near it. What they get twice is bounded by a ninth of the swarm.
pub(crate) fn burst(members: usize, links: usize) -> u8 {
    let (mut reached, mut edge, mut radius) = (1, links, 0);
    while reached + edge <= members / 9 {
        reached += edge;
        edge *= links.saturating_sub(1).max(2);
        radius += 1;
    }
    radius
}

/// A range as the wire has it; what is too long for it is cut at its front.
pub(crate) fn feed_range(feed: Tag, first: u64, last: u64) -> FeedRange {
    let first = first.max(last.saturating_sub(u32::MAX.into()));
    FeedRange { feed, first, more: u32::try_from(last - first).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Keys};
    use weft_crypto::{IdentityKey, PeerKey, Seed};

    const NOW: Time = Time::from_millis(1_000_000);
    const LIAR: PeerId = PeerId([1; 32]);
    const HONEST: PeerId = PeerId([2; 32]);
    const PARTY: Tag = Tag([7; 8]);

    fn env() -> Env {
        let identity = IdentityKey::new(&Seed::new([3; 32]));
        let keys = Keys { identity, peer: PeerKey::new(&Seed::new([4; 32])) };
        Env::new(Config::default(), keys, [5; 32], NOW)
    }

    fn neighbours() -> Broadcast {
        let mut broadcast = Broadcast::default();
        for peer in [LIAR, HONEST] {
            broadcast.on_linked(peer);
        }
        broadcast
    }

    /// The feed of somebody.
    fn feed(n: u64) -> FeedRange {
        feed_range(Tag(n.to_be_bytes()), 5, 5)
    }

    /// Neighbours that are asked at a time, where nothing of what was announced has come.
    fn grafted(broadcast: &mut Broadcast, now: Time, env: &Env) -> Vec<PeerId> {
        let lacking = |feed, ranges: &Ranges| {
            ranges.pairs().map(|(first, last)| feed_range(feed, first, last)).collect()
        };
        let frames = broadcast.frames(now, PARTY, lacking, env);
        let mut grafted: Vec<PeerId> = frames
            .into_iter()
            .filter_map(|(peer, frame)| matches!(frame, Frame::Graft { .. }).then_some(peer))
            .collect();
        grafted.dedup();
        grafted
    }

    #[test]
    fn one_neighbours_digests_leave_room_for_anothers() {
        let (mut broadcast, env) = (neighbours(), env());
        let many: Vec<FeedRange> = (0..5000).map(feed).collect();
        broadcast.on_digest(NOW, LIAR, &many, |_| true, &env);
        assert!(broadcast.missing.len() < MISSING);
        broadcast.on_digest(NOW, HONEST, &[feed(9999)], |_| true, &env);
        assert!(broadcast.missing.contains_key(&feed(9999).feed));
    }

    #[test]
    fn who_announces_what_it_does_not_have_is_not_believed_whatever_else_it_sends() {
        let (mut broadcast, env) = (neighbours(), env());
        let mut now = NOW;
        let asked = (0..40).filter(|round| {
            broadcast.on_digest(now, LIAR, &[feed(*round)], |_| true, &env);
            // Something that it had no need to send, and that it was not asked for.
            broadcast.on_had(Some(LIAR), feed(7777));
            now = now + GRAFT_AGAIN;
            grafted(&mut broadcast, now, &env).contains(&LIAR)
        });
        assert_eq!(asked.count(), LIES as usize);
    }

    #[test]
    fn who_is_asked_for_much_at_once_has_time_to_answer() {
        let (mut broadcast, env) = (neighbours(), env());
        for n in 0..60 {
            let now = NOW + Duration::from_millis(n * 5);
            broadcast.on_digest(now, HONEST, &[feed(n)], |_| true, &env);
            grafted(&mut broadcast, now, &env);
        }
        // A new one each 5 ms, so that it was asked again and again before it could answer.
        let now = NOW + Duration::from_millis(320);
        broadcast.on_digest(now, HONEST, &[feed(100)], |_| true, &env);
        assert_eq!(grafted(&mut broadcast, now + env.config.graft_wait, &env), [HONEST]);
    }

    #[test]
    fn who_answers_late_is_believed_again_and_nobody_is_asked_for_what_others_announced() {
        let (mut broadcast, env) = (neighbours(), env());
        let mut now = NOW;
        broadcast.on_digest(now, HONEST, &[feed(1)], |_| true, &env);
        let far = FeedRange { first: 1000, ..feed(1) };
        broadcast.on_digest(now, LIAR, &[far], |_| true, &env);
        let lacking = |feed, ranges: &Ranges| {
            ranges.pairs().map(|(first, last)| feed_range(feed, first, last)).collect()
        };
        for _ in 0..2 {
            now = now + GRAFT_AGAIN;
            for (peer, frame) in broadcast.frames(now, PARTY, lacking, &env) {
                let Frame::Graft { want, .. } = frame else { continue };
                let asked: Vec<u64> = want.iter().map(|range| range.first).collect();
                assert_eq!(asked, if peer == HONEST { [5] } else { [1000] });
            }
        }
        for round in 0..40 {
            broadcast.on_digest(now, HONEST, &[feed(100 + round)], |_| true, &env);
            now = now + GRAFT_AGAIN;
            grafted(&mut broadcast, now, &env);
        }
        broadcast.on_digest(now, HONEST, &[feed(200)], |_| true, &env);
        assert_eq!(grafted(&mut broadcast, now + GRAFT_AGAIN, &env), [], "it has not answered for long");
        broadcast.on_had(Some(HONEST), feed(105));
        broadcast.on_digest(now, HONEST, &[feed(200)], |_| true, &env);
        assert_eq!(grafted(&mut broadcast, now + GRAFT_AGAIN, &env), [HONEST]);
    }

    #[test]
    fn who_sends_what_is_not_taken_is_not_asked_again_and_stays_believed() {
        let (mut broadcast, env) = (neighbours(), env());
        let mut now = NOW + GRAFT_AGAIN;
        broadcast.on_digest(NOW, HONEST, &[feed(1)], |_| true, &env);
        assert_eq!(grafted(&mut broadcast, now, &env), [HONEST]);
        broadcast.on_refused(HONEST, feed(1));
        for _ in 0..20 {
            now = now + GRAFT_AGAIN;
            assert_eq!(grafted(&mut broadcast, now, &env), []);
        }
        broadcast.on_digest(now, HONEST, &[feed(2)], |_| true, &env);
        assert_eq!(grafted(&mut broadcast, now + GRAFT_AGAIN, &env), [HONEST]);
    }

    #[test]
    fn who_answers_now_and_then_stays_believed() {
        let (mut broadcast, env) = (neighbours(), env());
        let mut now = NOW;
        for n in 0..40 {
            broadcast.on_digest(now, HONEST, &[feed(n)], |_| true, &env);
            now = now + GRAFT_AGAIN;
            assert_eq!(grafted(&mut broadcast, now, &env), [HONEST], "{n}");
            if n % 4 == 0 {
                broadcast.on_had(Some(HONEST), feed(n));
            }
        }
    }

    #[test]
    fn a_burst_reaches_less_than_a_ninth_of_the_swarm() {
        let radii = [1, 10, 50, 60, 250, 1000, 10_000, 100_000].map(|members| burst(members, 5));
        assert_eq!(radii, [0, 0, 0, 1, 2, 3, 4, 6]);
    }
}
