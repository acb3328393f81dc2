//! The broadcast tree of a party: one spanning tree of shortest paths to an elected root, shared by all senders.
//!
//! ```text
//!   root's beacon  ──►  its neighbours  ──►  theirs  …   each passes on (root, seq, hops + 1) to all neighbours
//!   parent = the neighbour that is nearest to the root    children = neighbours that say so
//! ```
//! Publications travel along parent and children, up and down, so nobody gets one twice whoever sends
//! ([`crate::broadcast`], which also repairs what the tree loses). The rules for parents are those of DSDV (Perkins and
//! Bhagwat, SIGCOMM 1994, section 3): a newer sequence number, or the same one and nearer to the root than we ever were
//! with it (the feasibility condition of DUAL, Garcia-Luna-Aceves, SIGCOMM 1989); so there are no loops. The
//! election is that of a spanning-tree bridge (IEEE 802.1D): the best claim anyone has heard counts.
//!
//! Inputs: what neighbours say of their place, neighbours that go, publications of our own (who publishes much is
//! root, so that its paths are short).
//! Outputs: [`Link::Tree`](weft_wire::link::Link::Tree) frames to send.
//! Timers: the root's beacon, a parent that does not pass on the beacon, a root that has gone silent, advertisements.
//! Invariants: a parent has a newer beacon than we had, or the same and is nearer than we ever were with it; a root whose beacon has
//! not grown for [`Config::root_dead`](crate::Config::root_dead) is believed only with a greater one.

use crate::sorted::{Map, Set};
use std::cmp::Reverse;
use std::time::Duration;

use weft_wire::link::Link as Frame;
use weft_wire::{PeerId, Tag, Time, limits};

use crate::env::Env;

/// Changes are collected for so long before neighbours are told, so that the best of several ways counts.
const ADVERTISE_AFTER: Duration = Duration::from_millis(20);
/// A parent that is this much later with a beacon than another neighbour is left.
const PARENT_LATE: Duration = Duration::from_secs(2);
/// A way is taken for another only if it saves this much, milliseconds.
const WORTH: u16 = 8;
/// What a link counts beside its time, milliseconds: of two ways that take as long the one with fewer links is better.
const PER_HOP: u16 = 12;
/// Clocks differ by less than this, seconds.
const CLOCK: u32 = 60;
/// A beacon counts seconds, so it does not grow by more than this while anybody remembers it.
const LEAP: u32 = 24 * 3600;
/// Greatest weight of a claim: one step for each fourfold of publications.
const WEIGHTS: u8 = 12;
/// Beacons that are further apart have not crossed the same tree.
const SAME_TREE: u32 = 60;
/// Who has had no way to the root for so long says so, and is no way for others any more.
const LOST_AFTER: Duration = Duration::from_millis(300);
/// It says so again after so long, and asks for a new beacon each time.
const LOST_AGAIN: Duration = Duration::from_secs(1);
/// A root that is asked for a beacon sends none sooner than this after the last one.
const ASKED_BEACON: Duration = Duration::from_secs(2);
/// A root to which nobody around has had a way for so long is gone: its beacon would have made one.
const GONE_AFTER: Duration = Duration::from_secs(4);
/// Roots that are remembered as silent.
const SILENT: usize = 64;
/// After a change of root, links of the old tree are used for so long.
const LINGER: Duration = Duration::from_millis(800);
/// A publication counts towards our claim after so long: the tree should not change under it.
const COUNTED_AFTER: Duration = Duration::from_millis(500);
/// Half-life of the count of our own publications, by which we may claim to be root.
const ACTIVITY: Duration = Duration::from_secs(120);

fn seconds(time: Time) -> u32 {
    u32::try_from(time.millis() / 1000).unwrap_or(u32::MAX)
}

/// A claim to be root; the greater one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    weight: u8,
    root: Reverse<Tag>,
}

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    claim: Claim,
    seq: u32,
    hops: u8,
    cost: u16,
}

impl Place {
    /// How far it is from the root: time, and something for each link.
    fn distance(&self) -> u16 {
        self.cost.saturating_add(u16::from(self.hops) * PER_HOP)
    }
}

#[derive(Debug)]
struct Neighbour {
    /// As it last said.
    place: Option<Place>,
    /// It says that we are its parent.
    child: bool,
    /// Milliseconds of the way to it.
    cost: u16,
    /// When it last left the tree, unless the root stayed the same.
    left_at: Option<Time>,
    /// Nothing comes from it at the moment.
    suspect: bool,
    /// Links it has, of all parties.
    links: u8,
}

#[derive(Debug)]
pub(crate) struct Tree {
    party: Tag,
    me: Tag,
    neighbours: Map<PeerId, Neighbour>,
    place: Place,
    /// The least distance we have had with this beacon: who is nearer than that cannot be behind us.
    nearest: u16,
    parent: Option<PeerId>,
    version: u32,
    /// When `place.seq` last grew.
    grown: Time,
    /// Since when we know of no way to the root.
    orphan_since: Option<Time>,
    /// Neighbours are told so.
    says_lost: bool,
    /// When they were last told so.
    said_lost: Time,
    /// With which beacon, and when, the parent was last asked for a newer one; and whether it is to be asked.
    asked: Option<(u32, Time)>,
    ask: bool,
    /// Since when some neighbour has had a newer beacon than our parent gave us.
    late_since: Option<Time>,
    /// Silent roots, and the beacon that is not believed any more.
    silent: Map<Tag, u32>,
    beacon_at: Time,
    own_seq: u32,
    advertise_at: Option<Time>,
    /// Neighbours to tell at once.
    tell: Set<PeerId>,
    /// Parents that were left for better ones, and when they are told: until then publications come over both.
    parting: Map<PeerId, Time>,
    activity: f32,
    active_at: Time,
    /// Publications that do not count yet, and when they do.
    fresh: (f32, Option<Time>),
}

impl Tree {
    pub(crate) fn new(party: Tag, now: Time, env: &Env) -> Self {
        let me = Tag::from(&env.me);
        let claim = Claim { weight: 0, root: Reverse(me) };
        Self {
            party,
            me,
            neighbours: Map::new(),
            place: Place { claim, seq: 0, hops: 0, cost: 0 },
            nearest: 0,
            parent: None,
            version: 0,
            grown: now,
            orphan_since: None,
            says_lost: false,
            said_lost: Time::ZERO,
            asked: None,
            ask: false,
            late_since: None,
            silent: Map::new(),
            beacon_at: now,
            own_seq: 0,
            advertise_at: None,
            tell: Set::new(),
            parting: Map::new(),
            activity: 0.0,
            active_at: now,
            fresh: (0.0, None),
        }
    }

    // ---- questions ----

    /// The link is part of the tree.
    pub(crate) fn has(&self, peer: &PeerId) -> bool {
        self.parent == Some(*peer) || self.neighbours.get(peer).is_some_and(|one| one.child)
    }

    /// The way to the root.
    pub(crate) fn parent(&self) -> Option<PeerId> {
        self.parent
    }

    /// We know no way to the root, and neighbours are told so.
    pub(crate) fn is_lost(&self) -> bool {
        self.says_lost
    }

    /// The link was part of the tree a moment ago: until the others have followed a change, publications take both ways.
    pub(crate) fn had(&self, now: Time, peer: &PeerId) -> bool {
        self.neighbours.get(peer).is_some_and(|one| one.left_at.is_some_and(|at| now.since(at) < LINGER))
    }

    /// The neighbour says that we are its parent.
    pub(crate) fn is_child(&self, peer: &PeerId) -> bool {
        self.parent != Some(*peer) && self.neighbours.get(peer).is_some_and(|one| one.child)
    }

    /// Grows whenever a link joins or leaves the tree.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Who is root, as far as we know, and its beacon.
    pub(crate) fn root(&self) -> (Tag, u32) {
        (self.place.claim.root.0, self.place.seq)
    }

    /// Who has this root and beacon is in the same tree, or was a moment ago: trees do not change while one probes.
    pub(crate) fn agrees(&self, root: Tag, seq: u32) -> bool {
        let (ours, beacon) = self.root();
        ours == root && beacon.abs_diff(seq) <= SAME_TREE
    }

    /// Milliseconds of the way to a neighbour, as it was measured.
    pub(crate) fn cost(&self, peer: &PeerId) -> Option<u16> {
        self.neighbours.get(peer).map(|one| one.cost)
    }

    /// Links that a neighbour has.
    pub(crate) fn links(&self, peer: &PeerId) -> Option<u8> {
        self.neighbours.get(peer).filter(|one| one.place.is_some()).map(|one| one.links)
    }

    // ---- inputs ----

    pub(crate) fn on_linked(&mut self, peer: PeerId) {
        let one = Neighbour { place: None, child: false, left_at: None, cost: 0, suspect: false, links: 0 };
        self.neighbours.insert(peer, one);
        self.tell.insert(peer);
    }

    pub(crate) fn on_unlinked(&mut self, now: Time, peer: &PeerId, env: &Env) {
        self.neighbours.remove(peer);
        self.tell.remove(peer);
        self.parting.remove(peer);
        self.version = self.version.wrapping_add(1);
        if self.parent == Some(*peer) {
            self.parent = None;
        }
        self.settle(now, env);
    }

    /// The time to a neighbour was measured.
    pub(crate) fn on_measured(&mut self, peer: &PeerId, round_trip: Duration) {
        if let Some(one) = self.neighbours.get_mut(peer) {
            one.cost = u16::try_from(round_trip.as_millis() / 2).unwrap_or(u16::MAX);
        }
    }

    /// A neighbour does not answer, or does again.
    pub(crate) fn on_suspect(&mut self, now: Time, peer: &PeerId, suspect: bool, env: &Env) {
        let Some(one) = self.neighbours.get_mut(peer).filter(|one| one.suspect != suspect) else { return };
        one.suspect = suspect;
        if suspect && self.parent == Some(*peer) {
            self.parent = None;
            self.version = self.version.wrapping_add(1);
            self.tell.insert(*peer);
        }
        self.settle(now, env);
    }

    /// A neighbour says where it stands. Not more hops than a frame may take are believed.
    pub(crate) fn on_tree(&mut self, now: Time, from: &PeerId, frame: &Frame<'_>, env: &Env) {
        let &Frame::Tree { root, weight, seq, hops, cost, parent, links, anew, .. } = frame else { return };
        let Some(one) = self.neighbours.get_mut(from) else { return };
        let claim = Claim { weight: weight.min(WEIGHTS), root: Reverse(root) };
        // A beacon that leaps is made up, to outlive the root's own.
        let leaps = root == self.place.claim.root.0 && seq > self.place.seq.saturating_add(LEAP);
        one.place = (hops < limits::HOPS && !leaps).then_some(Place { claim, seq, hops, cost });
        if one.child && !parent && root != self.place.claim.root.0 {
            one.left_at = Some(now);
        }
        if one.child != parent {
            self.version = self.version.wrapping_add(1);
        }
        one.child = parent;
        one.links = links;
        if root == self.me && seq > self.own_seq && seq <= seconds(now).saturating_add(CLOCK) {
            // Of an earlier life of ours: our own beacon goes on from there.
            self.own_seq = seq;
            self.beacon_at = self.beacon_at.min(self.grown + ASKED_BEACON);
        }
        self.settle(now, env);
        if anew == Some(true) && (root, seq) == self.root() {
            self.on_asked(now, from);
        }
    }

    /// Somebody has lost its way to the root, and cannot take another one with the beacon that it has: it asks for a
    /// new one (as Babel does, RFC 8966, section 3.8.1.2).
    fn on_asked(&mut self, now: Time, from: &PeerId) {
        let again = |(seq, at): (u32, Time)| seq == self.place.seq && now.since(at) < LOST_AGAIN;
        if self.place.claim.root.0 == self.me {
            self.beacon_at = self.beacon_at.min(self.grown + ASKED_BEACON);
        } else if let Some(parent) =
            self.parent.filter(|parent| parent != from && !self.asked.is_some_and(again))
        {
            self.asked = Some((self.place.seq, now));
            self.ask = true;
            self.tell.insert(parent);
        }
    }

    /// We publish: whoever does that much is a good root.
    pub(crate) fn on_published(&mut self, now: Time) {
        self.fresh.0 += 1.0;
        self.fresh.1.get_or_insert(now + COUNTED_AFTER);
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &Env) {
        if self.fresh.1.is_some_and(|at| at <= now) {
            self.activity = self.activity_at(now) + self.fresh.0;
            self.active_at = now;
            self.fresh = (0.0, None);
        }
        let is_root = self.place.claim.root.0 == self.me;
        let known = |one: &Neighbour| {
            !one.suspect
                && !one.child
                && one.place.is_some_and(|place| place.claim.root == self.place.claim.root)
        };
        let lost = self.orphan_since.is_some_and(|at| now.since(at) >= GONE_AFTER)
            && !self.neighbours.values().any(known);
        if !is_root && (lost || now.since(self.grown) >= env.config.root_dead) {
            self.disbelieve(self.place);
            self.forget_root(now);
        }
        if self.lost_at().is_some_and(|at| at <= now) {
            self.says_lost = true;
            self.said_lost = now;
            self.advertise(now);
        }
        self.tell.extend(self.parting.iter().filter(|(_, at)| **at <= now).map(|(peer, _)| *peer));
        self.parting.retain(|_, at| *at > now);
        if self.late_since.is_some_and(|at| now.since(at) >= PARENT_LATE) {
            self.parent.take().map(|parent| self.tell.insert(parent));
            self.version = self.version.wrapping_add(1);
            self.late_since = None;
        }
        self.settle(now, env);
        if self.place.claim.root.0 == self.me && self.beacon_at <= now {
            self.beacon(now, env);
        }
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        if self.neighbours.is_empty() {
            return None;
        }
        if !self.tell.is_empty() {
            return Some(Time::ZERO);
        }
        let root = if self.place.claim.root.0 == self.me {
            self.beacon_at
        } else {
            self.grown + env.config.root_dead
        };
        let late = self.late_since.map(|at| at + PARENT_LATE);
        let lost = self.lost_at();
        let parting = self.parting.values().copied();
        parting.chain([Some(root), late, lost, self.advertise_at, self.fresh.1].into_iter().flatten()).min()
    }

    /// When neighbours are to be told that we have no way to the root.
    fn lost_at(&self) -> Option<Time> {
        let since = self.orphan_since?;
        Some(if self.says_lost { self.said_lost + LOST_AGAIN } else { since + LOST_AFTER })
    }

    /// Something is due to be told.
    pub(crate) fn has_frames(&self, now: Time) -> bool {
        !self.tell.is_empty() || self.advertise_at.is_some_and(|at| at <= now)
    }

    /// Frames that are due, and for whom.
    pub(crate) fn frames(&mut self, now: Time, links: usize) -> Vec<(PeerId, Frame<'static>)> {
        if self.advertise_at.is_some_and(|at| at <= now) {
            self.advertise_at = None;
            self.tell.extend(self.neighbours.keys().copied());
        }
        let tell = core::mem::take(&mut self.tell);
        let frames = tell.into_iter().map(|peer| (peer, self.frame(&peer, links))).collect();
        self.ask = false;
        frames
    }

    // ---- helpers ----

    fn frame(&self, to: &PeerId, links: usize) -> Frame<'static> {
        Frame::Tree {
            party: self.party,
            root: self.place.claim.root.0,
            weight: self.place.claim.weight,
            seq: self.place.seq,
            // As many as no way may have: there is none.
            hops: if self.says_lost { limits::HOPS } else { self.place.hops },
            cost: self.place.cost,
            parent: self.parent == Some(*to) || self.parting.contains_key(to),
            links: u8::try_from(links).unwrap_or(u8::MAX),
            anew: (self.says_lost || (self.ask && self.parent == Some(*to))).then_some(true),
        }
    }

    fn beacon(&mut self, now: Time, env: &Env) {
        self.own_seq = seconds(now).max(self.own_seq.saturating_add(1));
        self.parent = None;
        self.place = Place { claim: self.own_claim(now), seq: self.own_seq, hops: 0, cost: 0 };
        self.grown = now;
        self.beacon_at = now + env.config.beacon_every;
        self.advertise(now);
    }

    /// A root is believed again only with a newer beacon than it had there.
    fn disbelieve(&mut self, place: Place) {
        if self.silent.len() >= SILENT {
            self.silent.pop_first();
        }
        let seq = self.silent.entry(place.claim.root.0).or_insert(0);
        *seq = place.seq.max(*seq);
    }

    fn is_believed(&self, place: &Place) -> bool {
        let root = place.claim.root.0;
        root != self.me && self.silent.get(&root).is_none_or(|seq| place.seq > *seq)
    }

    fn forget_root(&mut self, now: Time) {
        self.parent.take().map(|parent| self.tell.insert(parent));
        self.version = self.version.wrapping_add(1);
        self.place = Place { claim: self.own_claim(now), seq: self.own_seq, hops: 0, cost: 0 };
        self.grown = now;
        self.late_since = None;
        self.beacon_at = now;
    }

    fn advertise(&mut self, now: Time) {
        self.advertise_at = self.advertise_at.or(Some(now + ADVERTISE_AFTER));
    }

    fn activity_at(&self, now: Time) -> f32 {
        self.activity * (-(now.since(self.active_at).as_secs_f32()) / ACTIVITY.as_secs_f32()).exp2()
    }

    /// One step for each fourfold; whoever publishes about as much as the root leaves it where it is.
    fn own_claim(&self, now: Time) -> Claim {
        let activity = self.activity_at(now);
        let mut weight = 0;
        let mut step = 1.5;
        while activity >= step && weight < WEIGHTS {
            weight += 1;
            step *= 4.0;
        }
        Claim { weight, root: Reverse(self.me) }
    }

    /// Chooses root and parent from what is known.
    fn settle(&mut self, now: Time, env: &Env) {
        let before = (self.place, self.parent);
        let way = |parent| self.neighbours.get(&parent)?.place.filter(|place| self.is_believed(place));
        if self.parent.is_some_and(|parent| way(parent).is_none()) {
            self.parent = None;
        }
        self.choose(now, env);
        self.follow(now);
        if self.parent.is_none() && self.place.claim.root.0 != self.me {
            self.orphan_since.get_or_insert(now);
        } else {
            self.orphan_since = None;
            if core::mem::take(&mut self.says_lost) {
                self.advertise(now);
            }
        }
        if before.0.claim.root != self.place.claim.root
            && before.1 != self.parent
            && let Some(one) = before.1.and_then(|parent| self.neighbours.get_mut(&parent))
        {
            one.left_at = Some(now);
        }
        if before.1 != self.parent {
            self.version = self.version.wrapping_add(1);
            if let Some(new) = self.parent {
                self.parting.remove(&new);
                self.tell.insert(new);
            }
            if let Some(old) = before.1.filter(|old| self.neighbours.contains_key(old)) {
                if before.0.claim.root == self.place.claim.root && self.parent.is_some() {
                    // Not before the new one has us as its child.
                    self.parting.insert(old, now + LINGER);
                } else {
                    // In another tree it may be we who are its way.
                    self.tell.insert(old);
                }
            }
        }
        let (old, new) = (before.0, self.place);
        let cost_moved = old.cost.abs_diff(new.cost) > WORTH;
        if (old.claim, old.seq, old.hops) != (new.claim, new.seq, new.hops) || cost_moved {
            self.advertise(now);
        }
    }

    fn choose(&mut self, now: Time, env: &Env) {
        let own = self.own_claim(now);
        let usable =
            |one: &Neighbour| one.place.filter(|place| !one.child && !one.suspect && self.is_believed(place));
        let best = self.neighbours.values().filter_map(|one| usable(one).map(|place| place.claim)).max();
        let is_root = self.place.claim.root.0 == self.me;
        let (current, orphan) = (self.place.claim, !is_root && self.parent.is_none());
        // Our own claim; ours is also better than that of a root which publishes less than we.
        if own > current.max(best.unwrap_or(current)) || (is_root && best.is_none_or(|best| best < own)) {
            if !is_root || self.place.claim != own {
                self.parent = None;
                self.place = Place { claim: own, seq: self.own_seq, hops: 0, cost: 0 };
                self.beacon(now, env);
            }
            return;
        }
        let Some(best) = best else { return };
        let newer_root = best.root != current.root && best > current;
        // What the same root says of its weight comes with its beacon.
        let mut options: Vec<(Reverse<u32>, u16, PeerId)> = Vec::new();
        for (peer, one) in &self.neighbours {
            let Some(place) = usable(one) else { continue };
            let feasible = if newer_root {
                place.claim == best
            } else {
                place.claim.root == current.root
                    && (place.seq > self.place.seq
                        || (place.seq == self.place.seq && place.distance() < self.nearest))
            };
            if feasible {
                let distance = place.distance().saturating_add(one.cost).saturating_add(PER_HOP);
                options.push((Reverse(place.seq), distance, *peer));
            }
        }
        options.sort_unstable();
        let Some(&(Reverse(seq), distance, peer)) = options.first() else { return };
        if newer_root || orphan {
            self.adopt(peer);
            return;
        }
        let parent = self.parent.and_then(|parent| Some((parent, self.neighbours.get(&parent)?)));
        let Some((parent, place, way)) = parent.and_then(|(peer, one)| Some((peer, one.place?, one.cost)))
        else {
            return;
        };
        if place.claim.root != current.root {
            // Our parent follows another root that we do not believe in (yet).
            self.adopt(peer);
        } else if seq > place.seq {
            self.late_since = self.late_since.or(Some(now));
        } else {
            self.late_since = None;
            let ours = place.distance().saturating_add(way).saturating_add(PER_HOP);
            if seq == place.seq && peer != parent && distance.saturating_add(WORTH) < ours {
                self.adopt(peer);
            }
        }
    }

    fn adopt(&mut self, peer: PeerId) {
        self.parent = Some(peer);
        self.late_since = None;
    }

    /// Stands where the parent says, one hop further.
    fn follow(&mut self, now: Time) {
        let parent = self.parent.and_then(|parent| self.neighbours.get(&parent));
        let Some((place, way)) = parent.and_then(|one| Some((one.place?, one.cost))) else { return };
        let changed = place.claim.root != self.place.claim.root;
        if place.claim < self.place.claim && changed && self.place.claim.root.0 != self.me {
            // The parent has lost a better root. Who still tells of it with this beacon may be behind us.
            self.disbelieve(self.place);
        }
        if changed || place.seq > self.place.seq {
            self.grown = now;
        }
        if !changed && place.seq < self.place.seq {
            return;
        }
        let newer = changed || place.seq > self.place.seq;
        self.place = Place {
            claim: place.claim,
            seq: place.seq,
            hops: place.hops.saturating_add(1),
            cost: place.cost.saturating_add(way),
        };
        let distance = self.place.distance();
        self.nearest = if newer { distance } else { self.nearest.min(distance) };
    }
}
