//! Feeds of a party: numbering and signing our own publications, checking and ordering those of others, keeping what
//! others may lack.
//!
//! Inputs: own documents, bundles as they came, wants; what was stored.
//! Outputs: bundles to pass on, publications to deliver, in the order of each feed; what is to be stored.
//! Timers: own publications that wait to be signed together, gaps that are waited for, what is too old to be kept.
//! Invariants: a bundle is remembered as seen only after its signature has been verified, so that a forged copy cannot
//! censor the true one; each publication is accepted once; each feed is delivered in ascending order; everything that
//! is kept or held is bounded. Of a feed that has [forked](crate::forks) what comes first has its number; what comes later
//! under the same number, up to a bound, is passed on and delivered as it comes, without an order.

use crate::sorted::{Map, Set};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use weft_crypto::{group, publication, statement};
use weft_wire::link::{FeedHave, FeedRange};
use weft_wire::{
    Bundle, BundleEntry, DiscoveryKey, Epoch, IdentityId, List, PeerId, PeerRecord, PublicationId, Tag, Time,
    decode, encode, limits,
};

use crate::broadcast::feed_range;
use crate::env::Env;
use crate::forks::Forks;
use crate::kept::{Age, Kept};
use crate::pace::Pace;
use crate::ranges::Ranges;
use crate::storage::Storage;

mod meeting;
mod stored;

/// A want names so many more parts of what we have of feeds with many gaps.
const MORE_HAVE: usize = 64;
/// A burst of publications is collected for this long; the first after a pause goes out at once.
const FLUSH_WAIT: Duration = Duration::from_millis(2);
/// What ends a burst: an answer to what has just come over a link of the same house takes longer.
const PAUSE: Duration = Duration::from_micros(500);
/// What each signature of a publication alone costs, and how much of that can have been saved up: in the long run no more than where
/// a burst never ends.
const ALONE: (Duration, Duration) = (FLUSH_WAIT, Duration::from_secs(1));
/// Largest encoded bundle: one document of the largest size, or many small ones, and the bundle's own fields.
pub(crate) const BUNDLE: usize = limits::DOCUMENT + limits::BUNDLE_BYTES + 4096;

#[derive(Debug)]
pub(crate) struct Feeds {
    discovery: DiscoveryKey,
    own: Own,
    others: Map<PeerId, Feed>,
    /// Oldest first, by when it was published.
    kept: VecDeque<Arc<Kept>>,
    /// The same by feed, ascending.
    places: Map<PeerId, VecDeque<Arc<Kept>>>,
    /// Of feeds that we had nothing of when we came: what is not newer than this is not awaited.
    old: Map<Tag, u64>,
    kept_bytes: usize,
    kept_publications: u64,
    held_bytes: usize,
    /// Own bundles (by their first number) that were made when there was nobody to send them to.
    alone: Set<u64>,
    alone_bytes: usize,
    pub(crate) storage: Storage,
    pub(crate) forks: Forks,
}

#[derive(Debug)]
struct Own {
    next: u64,
    /// The number of the last one, and its id; none and zeroes before the first.
    last: u64,
    previous: PublicationId,
    pending: Vec<BundleEntry>,
    pending_bytes: usize,
    pending_first: u64,
    pending_previous: PublicationId,
    /// The number of that, if it is not the one before the first.
    pending_after: Option<u64>,
    /// Our record has been given to the store.
    recorded: bool,
    flush_at: Option<Time>,
    flushed_at: Time,
    /// Publications that were signed alone.
    alone: Pace,
}

#[derive(Debug)]
struct Feed {
    author: IdentityId,
    record: Vec<u8>,
    issued: u64,
    seen: Ranges,
    /// What a neighbour says nobody wants here: not a gap.
    passed_over: Ranges,
    delivered: u64,
    held: Map<u64, Accepted>,
    held_since: Time,
    heard: Time,
}

/// A bundle that was verified.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) kept: Arc<Kept>,
    pub(crate) bundle: Bundle,
    pub(crate) ids: Vec<PublicationId>,
    /// It comes without an order: another one has its numbers, for the feed has forked; or it was read from the store late, or came when it was not awaited any more.
    pub(crate) unordered: bool,
}

/// What came of a bundle.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// New and verified: pass it on, and deliver what is ready.
    New { kept: Arc<Kept>, ready: Vec<Accepted> },
    /// Seen before.
    Known,
    /// Its author's record is missing; not the sender's fault for certain.
    NoRecord,
    /// It does not verify.
    Forged,
}

impl Feeds {
    pub(crate) fn new(discovery: DiscoveryKey, now: Time, env: &mut Env) -> Self {
        let none = PublicationId([0; 32]);
        Self {
            discovery,
            own: Own {
                // A run begins at the time in microseconds: above all that there was in earlier ones.
                next: now.micros().max(1),
                last: 0,
                previous: none,
                pending: Vec::new(),
                pending_bytes: 0,
                pending_first: 0,
                pending_previous: none,
                pending_after: None,
                recorded: false,
                flush_at: None,
                flushed_at: Time::ZERO,
                alone: Pace::default(),
            },
            others: Map::new(),
            kept: VecDeque::new(),
            places: Map::new(),
            old: Map::new(),
            kept_bytes: 0,
            kept_publications: 0,
            held_bytes: 0,
            alone: Set::new(),
            alone_bytes: 0,
            storage: Storage::new(discovery, now, env),
            forks: Forks::default(),
        }
    }

    // ---- our own ----

    /// Our identity's documents that are kept, or wait to be signed, each as it travels, with its feed.
    pub(crate) fn own_bodies<'a>(&'a self, env: &'a Env) -> impl Iterator<Item = (PeerId, Vec<u8>)> + 'a {
        let is_ours = |feed: &PeerId| *feed == env.me || self.author(feed) == Some(env.identity);
        let kept = self.places.iter().filter(move |(feed, _)| is_ours(feed)).flat_map(|(_, kept)| kept);
        let bundles = kept.filter_map(|kept| decode::<Bundle>(&kept.bytes, BUNDLE).ok());
        let signed = bundles.flat_map(|bundle| {
            let feed = bundle.feed;
            bundle.entries.into_iter().map(move |entry| (feed, entry.body))
        });
        signed.chain(self.own.pending.iter().map(|entry| (env.me, entry.body.clone())))
    }

    /// The first place of a chain of keys that something uses which was published since then, milliseconds since the Unix epoch, and
    /// is kept.
    pub(crate) fn first_place(&self, feed: &PeerId, epoch: Epoch, since: u64) -> Option<u32> {
        let kept = self.places.get(feed)?.iter().filter(|kept| kept.since.millis() >= since);
        let bundles = kept.filter_map(|kept| decode::<Bundle>(&kept.bytes, BUNDLE).ok());
        let named = bundles.flat_map(|bundle| {
            let named = bundle.entries.iter().filter_map(|entry| group::named(&entry.body));
            named.collect::<Vec<_>>()
        });
        named.filter(|named| named.epoch == epoch).map(|named| named.place).min()
    }

    /// Gives a document its place in our feed.
    pub(crate) fn publish(&mut self, now: Time, body: Vec<u8>, env: &Env) -> (PublicationId, u64) {
        let own = &mut self.own;
        let place = publication::Place { discovery: self.discovery, author: env.identity, feed: env.me };
        let seq = own.next;
        let id = publication::id(&place, seq, &own.previous, now.millis(), &body);
        if own.pending.is_empty() {
            own.pending_first = seq;
            own.pending_previous = own.previous;
            own.pending_after = (own.last > 0 && own.last + 1 != seq).then_some(own.last);
            let (cost, burst) = ALONE;
            let at_once = now.since(own.flushed_at) > PAUSE && own.alone.take(now, cost, burst).is_ok();
            own.flush_at = Some(if at_once { now } else { now + FLUSH_WAIT });
        }
        own.pending_bytes += body.len();
        own.pending.push(BundleEntry { time: now.millis(), body });
        own.next += 1;
        own.last = seq;
        own.previous = id;
        (id, seq)
    }

    /// The pending publications are as many as one signature covers, or have waited long enough.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.own.due_at().is_some_and(|at| at <= now)
    }

    /// A body of this size does not fit the bundle that is pending.
    pub(crate) fn must_flush_before(&self, len: usize) -> bool {
        !self.own.pending.is_empty() && self.own.pending_bytes + len > limits::BUNDLE_BYTES
    }

    /// Signs what is pending. `alone`: there is nobody to send it to yet.
    pub(crate) fn flush(&mut self, now: Time, alone: bool, env: &mut Env) -> Option<Arc<Kept>> {
        let own = &mut self.own;
        own.flush_at = None;
        own.flushed_at = now;
        own.pending_bytes = 0;
        let pending = std::mem::take(&mut own.pending);
        if pending.is_empty() {
            return None;
        }
        let (mut bundle, id) = publication::sign_bundle(
            &env.keys.peer,
            self.discovery,
            env.identity,
            own.pending_first,
            own.pending_previous,
            List::first(pending),
        );
        bundle.after = own.pending_after;
        let kept = Arc::new(Kept {
            feed: env.me,
            first: bundle.first,
            last: bundle.last(),
            since: now,
            hops: 0,
            previous: bundle.previous,
            id,
            bytes: encode(&bundle),
            record: env.record.clone(),
        });
        if alone {
            self.alone.insert(kept.first);
            self.alone_bytes += kept.bytes.len();
        }
        self.storage.put_head(now, env.me, kept.last, id);
        self.insert(now, Arc::clone(&kept), true, env);
        Some(kept)
    }

    /// Bytes of own publications that nobody has been given yet.
    pub(crate) fn alone_bytes(&self) -> usize {
        self.alone_bytes + self.own.pending_bytes
    }

    /// What is kept, or about to be, and not durable yet; 0 without a store.
    pub(crate) fn unstored(&self) -> usize {
        self.storage.unstored() + if self.storage.stores() { self.own.pending.len() } else { 0 }
    }

    // ---- others' ----

    /// Takes a bundle as it came, in the order: size, decode, seen before, record, signature; then remembers it.
    pub(crate) fn on_bundle(
        &mut self,
        now: Time,
        (bundle, bytes): (Bundle, &[u8]),
        record: Option<&[u8]>,
        (age, hops, begin): (Age, u8, Option<u64>),
        env: &mut Env,
    ) -> Verdict {
        let feed = bundle.feed;
        if feed == env.me {
            return Verdict::Known;
        }
        let seen =
            self.others.get(&feed).is_some_and(|known| known.seen.contains_all(bundle.first, bundle.last()));
        let rivals = self.rivals(&bundle, bytes);
        if seen && !rivals.iter().any(|kept| kept.overlaps(&bundle)) {
            return Verdict::Known;
        }
        // A record is one identity's word about a peer, a bundle that peer's word about its identity. Only with both of
        // them is anything learnt: anybody can sign a record that claims the feed of somebody else.
        let known = self.others.get(&feed);
        let opened = match record.map(statement::open_record) {
            Some(Ok(opened)) if opened.peer == feed => Some(opened),
            Some(_) => return Verdict::Forged,
            None => None,
        };
        let newer = |opened: &PeerRecord| {
            opened.until > now.millis() && known.is_none_or(|known| known.is_older_than(opened))
        };
        let newer = opened.filter(newer);
        let author = newer.as_ref().map(|opened| opened.identity).or(known.map(|known| known.author));
        match author {
            None => return Verdict::NoRecord,
            Some(author) if author != bundle.author => return Verdict::Forged,
            Some(_) => {}
        }
        let Ok(ids) = publication::check_bundle(&bundle) else { return Verdict::Forged };
        if let Some(opened) = newer {
            self.learn(now, &opened, record.unwrap_or_default(), env);
        }
        let branches = self.compare(now, (&bundle, &ids, bytes), &rivals);
        if seen && !branches {
            return Verdict::Known;
        }
        let Some(known) = self.others.get_mut(&feed) else { return Verdict::NoRecord };
        if let Some(after) = bundle.after {
            known.passed_over.insert(after.saturating_add(1), bundle.first - 1);
        }
        // What nobody waits for any more: late rather than never.
        let late = bundle.first <= known.delivered && !known.seen.overlaps(bundle.first, bundle.last());
        known.seen.insert(bundle.first, bundle.last());
        known.heard = now;
        if let Some(begin) = begin {
            known.passed_over.insert(begin, bundle.first - 1);
        }
        let kept = Arc::new(Kept {
            feed,
            first: bundle.first,
            last: bundle.last(),
            since: age.since(now, &bundle),
            hops,
            previous: bundle.previous,
            id: ids.last().copied().unwrap_or(bundle.previous),
            bytes: bytes.to_vec(),
            record: known.record.clone(),
        });
        self.insert(now, Arc::clone(&kept), true, env);
        let accepted = Accepted { kept: Arc::clone(&kept), bundle, ids, unordered: branches || late };
        let ready = self.order(now, accepted, env);
        Verdict::New { kept, ready }
    }

    /// Takes a verified record of a feed's owner.
    pub(crate) fn learn(&mut self, now: Time, record: &PeerRecord, bytes: &[u8], env: &Env) {
        if record.until <= now.millis() {
            return;
        }
        if self.others.len() >= env.config.feeds && !self.others.contains_key(&record.peer) {
            let oldest = self.others.iter().min_by_key(|(_, feed)| feed.heard).map(|(peer, _)| *peer);
            let gone = oldest.and_then(|peer| self.others.remove(&peer));
            let held = gone.iter().flat_map(|feed| feed.held.values());
            self.held_bytes -= held.map(|accepted| accepted.kept.bytes.len()).sum::<usize>();
        }
        let feed = self.others.entry(record.peer).or_insert_with(|| Feed {
            author: record.identity,
            record: Vec::new(),
            issued: 0,
            seen: Ranges::default(),
            passed_over: Ranges::default(),
            delivered: 0,
            held: Map::new(),
            held_since: now,
            heard: now,
        });
        if feed.is_older_than(record) {
            feed.author = record.identity;
            feed.issued = record.issued;
            bytes.clone_into(&mut feed.record);
            if self.places.contains_key(&record.peer) {
                self.storage.put_record(now, record.peer, bytes);
            }
        }
    }

    /// Whose feed it is, if its record or something of it has come.
    pub(crate) fn author(&self, feed: &PeerId) -> Option<IdentityId> {
        self.others.get(feed).map(|feed| feed.author)
    }

    // ---- digests and grafts ----

    /// We do not have all of this.
    pub(crate) fn lacks(&self, range: &FeedRange, env: &Env) -> bool {
        range.feed != Tag::from(&env.me)
            && self.by_tag(range.feed).is_none_or(|feed| !feed.seen.contains_all(range.first, range.last()))
    }

    /// What we do not have of what was announced.
    pub(crate) fn lacking(&self, feed: Tag, announced: &Ranges) -> Vec<FeedRange> {
        let none = Ranges::default();
        let seen = self.by_tag(feed).map_or(&none, |feed| &feed.seen);
        announced.without(seen).into_iter().map(|(first, last)| feed_range(feed, first, last)).collect()
    }

    /// What was published since, in the order in which it came.
    pub(crate) fn since(&self, time: Time) -> impl Iterator<Item = &Arc<Kept>> {
        // They are in the order in which they came, which is another one.
        self.kept.iter().filter(move |kept| kept.since >= time)
    }

    /// What we keep of a feed between two numbers.
    pub(crate) fn of_range(&self, feed: Tag, first: u64, last: u64) -> Vec<Arc<Kept>> {
        let named = self.places.range(at_least(feed)..).next();
        let Some((_, places)) = named.filter(|(peer, _)| Tag::from(*peer) == feed) else { return Vec::new() };
        let begin = places.partition_point(|kept| kept.last < first);
        places.iter().skip(begin).take_while(|kept| kept.first <= last).cloned().collect()
    }

    fn by_tag(&self, tag: Tag) -> Option<&Feed> {
        let (peer, feed) = self.others.range(at_least(tag)..).next()?;
        (Tag::from(peer) == tag).then_some(feed)
    }

    // ---- wants ----

    /// What we have, for a want of ours: the newest of each feed, then more of those that have many gaps. What lies between
    /// the runs of a feed is not known to be empty: its author may have lost the end of one.
    pub(crate) fn have(&self) -> List<FeedHave, { limits::WANT_FEEDS }> {
        let parts = |(peer, feed): (&PeerId, &Feed)| {
            let have = |part: &[_]| FeedHave { feed: *peer, ranges: List::first(part.iter().copied()) };
            feed.seen.newest(limits::WANT_RANGES).map(have).collect::<Vec<_>>()
        };
        let (mut have, mut more) = (Vec::new(), Vec::new());
        for mut parts in self.others.iter().map(parts) {
            more.extend(parts.drain(1.min(parts.len())..));
            have.append(&mut parts);
        }
        List::first(have.into_iter().chain(more.into_iter().take(MORE_HAVE)))
    }

    /// What answers a want, in the order of each feed, with its age. What was published when nobody was there goes to
    /// the first who asks, as if it were live.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        asker: PeerId,
        at_most: Option<Duration>,
        have: &[FeedHave],
        env: &Env,
    ) -> Vec<(Arc<Kept>, Duration)> {
        let alone = std::mem::take(&mut self.alone);
        self.alone_bytes = 0;
        for kept in self.places.get(&env.me).into_iter().flatten().filter(|kept| alone.contains(&kept.first))
        {
            self.storage.put(now, kept, (false, false));
        }
        let mut known: Map<PeerId, Ranges> = Map::new();
        for have in have {
            let known = known.entry(have.feed).or_default();
            have.ranges.iter().for_each(|&(first, last)| known.insert(first, last));
        }
        let mut wanted: Vec<(Arc<Kept>, Duration)> = Vec::new();
        for kept in &self.kept {
            let unsent = kept.feed == env.me && alone.contains(&kept.first);
            let age = if unsent { Duration::ZERO } else { now.since(kept.since) };
            let known =
                known.get(&kept.feed).is_some_and(|ranges| ranges.contains_all(kept.first, kept.last));
            if kept.feed != asker && !known && at_most.is_none_or(|most| age <= most) {
                wanted.push((Arc::clone(kept), age));
            }
        }
        wanted.sort_by_key(|(kept, _)| (kept.since, kept.first));
        wanted
    }

    /// Everything of others that is kept, feed by feed, ascending, decoded: for a subscription that wants the backlog.
    pub(crate) fn backlog(&self, env: &Env) -> Vec<Accepted> {
        let mut kept: Vec<&Arc<Kept>> = self.kept.iter().filter(|kept| kept.feed != env.me).collect();
        let mut begins: Map<PeerId, Time> = Map::new();
        for one in &kept {
            let begin = begins.entry(one.feed).or_insert(one.since);
            *begin = (*begin).min(one.since);
        }
        kept.sort_by_key(|one| (begins.get(&one.feed).copied(), one.feed, one.first));
        kept.into_iter().filter_map(|one| Accepted::of_kept(one, false)).collect()
    }

    pub(crate) fn keeps_something(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Up to where our feeds are older than what is asked for: who asks need not wait for that.
    pub(crate) fn heads(
        &self,
        now: Time,
        at_most: Option<Duration>,
    ) -> List<FeedRange, { limits::WANT_FEEDS }> {
        let old = |kept: &&Arc<Kept>| at_most.is_some_and(|most| now.since(kept.since) > most);
        let heads = self.places.iter().filter_map(|(feed, places)| {
            let last = places.iter().take_while(|kept| old(kept)).last()?.last;
            Some(feed_range(Tag::from(feed), 0, last))
        });
        List::first(heads)
    }

    /// A neighbour says what is older than what we want.
    pub(crate) fn on_heads(&mut self, heads: &[FeedRange]) {
        for head in heads {
            if self.old.len() < limits::WANT_FEEDS || self.old.contains_key(&head.feed) {
                let last = self.old.entry(head.feed).or_insert(0);
                *last = (*last).max(head.last());
            }
        }
    }

    // ---- timers ----

    /// Gaps that were waited for long enough are passed over.
    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<Accepted> {
        self.expire(now, env);
        self.storage.write(now, false, env);
        let mut ready = Vec::new();
        if self.held_bytes == 0 {
            return ready;
        }
        for feed in self.others.values_mut() {
            if feed.gives_up_at(env).is_some_and(|at| at <= now) {
                feed.release(now, &mut ready, &mut self.held_bytes);
            }
        }
        ready
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let oldest = self.kept.front().map(|kept| kept.since + env.config.keep_age);
        let rest = [self.own.due_at(), self.storage.deadline(), oldest, self.forks.deadline()];
        let rest = rest.into_iter().flatten().min();
        if self.held_bytes == 0 {
            return rest;
        }
        let gaps = self.others.values().filter_map(|feed| feed.gives_up_at(env));
        gaps.chain(rest).min()
    }

    // ---- helpers ----

    fn order(&mut self, now: Time, accepted: Accepted, env: &Env) -> Vec<Accepted> {
        let mut ready = Vec::new();
        let Some(feed) = self.others.get_mut(&accepted.bundle.feed) else { return ready };
        let first = accepted.bundle.first;
        if accepted.unordered {
            ready.push(accepted);
            return ready;
        }
        if first <= feed.delivered {
            return ready;
        }
        let begins = accepted.bundle.previous == PublicationId([0; 32]);
        let old = self.old.get(&Tag::from(&accepted.bundle.feed)).copied().unwrap_or_default();
        let next = begins || feed.follows(first) || feed.is_next(old, first);
        let len = accepted.kept.bytes.len();
        if next {
            feed.deliver(accepted, &mut ready);
            feed.follow(&mut ready, &mut self.held_bytes);
        } else {
            if feed.held.is_empty() {
                feed.held_since = now;
            }
            self.held_bytes += len;
            if let Some(other) = feed.held.insert(first, accepted) {
                self.held_bytes -= other.kept.bytes.len();
            }
            if self.held_bytes > env.config.gap_bytes {
                feed.release(now, &mut ready, &mut self.held_bytes);
            }
        }
        ready
    }

    /// Keeps a bundle, and gives up what is beyond the bounds. `new`: it is not stored yet.
    fn insert(&mut self, now: Time, kept: Arc<Kept>, new: bool, env: &Env) {
        if new {
            let alone = kept.feed == env.me && self.alone.contains(&kept.first);
            // Ours for those who share the store; and once in each run, for it expires.
            let own = kept.feed == env.me && !std::mem::replace(&mut self.own.recorded, true);
            if own || !self.places.contains_key(&kept.feed) {
                self.storage.put_record(now, kept.feed, &kept.record);
            }
            self.storage.put(now, &kept, (alone, true));
        }
        self.place(kept);
        self.expire(now, env);
    }

    fn place(&mut self, kept: Arc<Kept>) {
        self.kept_bytes += kept.bytes.len();
        self.kept_publications += kept.publications();
        let places = self.places.entry(kept.feed).or_default();
        let newest = places.back().is_none_or(|last| last.first < kept.first);
        let at = if newest { places.len() } else { places.partition_point(|one| one.first < kept.first) };
        places.insert(at, Arc::clone(&kept));
        let newest = self.kept.back().is_none_or(|last| last.since <= kept.since);
        let at =
            if newest { self.kept.len() } else { self.kept.partition_point(|one| one.since <= kept.since) };
        self.kept.insert(at, kept);
    }

    /// Gives up the oldest of what is kept, as long as that is too much or too old.
    fn expire(&mut self, now: Time, env: &Env) {
        while let Some(oldest) = self.kept.front()
            && (self.kept_bytes > env.config.keep_bytes
                || self.kept_publications > env.config.keep_publications as u64
                || oldest.since + env.config.keep_age <= now)
        {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.storage.remove(now, &oldest);
            if let Some(places) = self.places.get_mut(&oldest.feed) {
                let begin = places.partition_point(|one| one.first < oldest.first);
                let at = places.iter().skip(begin).position(|one| Arc::ptr_eq(one, &oldest));
                places.remove(begin + at.unwrap_or_default());
                if places.is_empty() {
                    self.places.remove(&oldest.feed);
                }
            }
            if oldest.feed == env.me && self.alone.remove(&oldest.first) {
                self.alone_bytes -= oldest.bytes.len();
            }
            self.kept_bytes -= oldest.bytes.len();
            self.kept_publications -= oldest.publications();
        }
    }
}

/// A bundle's place in its feed, as digests name it.
pub(crate) fn range(bundle: &Bundle) -> FeedRange {
    feed_range(Tag::from(&bundle.feed), bundle.first, bundle.last())
}

/// The least peer with a tag.
fn at_least(tag: Tag) -> PeerId {
    let mut least = [0; 32];
    least[..tag.0.len()].copy_from_slice(&tag.0);
    PeerId(least)
}

impl Accepted {
    /// Decodes what is kept.
    fn of_kept(kept: &Arc<Kept>, unordered: bool) -> Option<Self> {
        let bundle: Bundle = decode(&kept.bytes, BUNDLE).ok()?;
        let ids = publication::ids(&bundle);
        Some(Self { kept: Arc::clone(kept), bundle, ids, unordered })
    }
}

impl Own {
    fn due_at(&self) -> Option<Time> {
        let full = self.pending.len() >= limits::BUNDLE_ENTRIES || self.pending_bytes >= limits::BUNDLE_BYTES;
        if full { Some(Time::ZERO) } else { self.flush_at }
    }
}

impl Feed {
    /// What is known of its owner is older than this record.
    fn is_older_than(&self, record: &PeerRecord) -> bool {
        self.issued < record.issued || self.record.is_empty()
    }

    fn deliver(&mut self, accepted: Accepted, ready: &mut Vec<Accepted>) {
        self.delivered = accepted.bundle.last();
        ready.push(accepted);
    }

    /// When what is held is delivered though something before it is missing.
    fn gives_up_at(&self, env: &Env) -> Option<Time> {
        (!self.held.is_empty()).then(|| self.held_since + env.config.gap_wait)
    }

    /// Nothing that is wanted is missing before this number.
    fn follows(&self, first: u64) -> bool {
        self.is_next(self.delivered, first)
    }

    /// Nothing that is wanted lies between two numbers.
    fn is_next(&self, last: u64, first: u64) -> bool {
        let next = last.saturating_add(1);
        first <= next || self.passed_over.contains_all(next, first - 1)
    }

    /// Delivers what was held and now follows.
    fn follow(&mut self, ready: &mut Vec<Accepted>, held_bytes: &mut usize) {
        while self.held.first_key_value().is_some_and(|(first, _)| self.follows(*first)) {
            let Some((_, accepted)) = self.held.pop_first() else { return };
            *held_bytes -= accepted.kept.bytes.len();
            if accepted.bundle.first > self.delivered {
                self.deliver(accepted, ready);
            }
        }
    }

    /// Passes over the first gap.
    fn release(&mut self, now: Time, ready: &mut Vec<Accepted>, held_bytes: &mut usize) {
        if let Some((_, accepted)) = self.held.pop_first() {
            *held_bytes -= accepted.kept.bytes.len();
            self.deliver(accepted, ready);
        }
        self.follow(ready, held_bytes);
        self.held_since = now;
    }
}
