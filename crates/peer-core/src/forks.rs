//! Forks: feeds whose peer has signed what cannot all be of one feed.
//!
//! Two bundles of a feed are a proof of its fork if they have different publications under one number, or if one begins
//! right behind the other and does not name its last publication as the one before. Whoever comes upon two such bundles
//! tells its neighbours ([`Fork`](weft_wire::link::Link::Fork)), who check them and pass them on, once for each feed. That
//! two parts of a swarm have different branches is noticed where they touch: by a bundle that comes again and is another
//! one, by one that does not fit what is before it, and by the ends of runs that neighbours compare when they meet.
//!
//! A fork changes nothing about who is reached: see [`Feeds`](crate::feeds::Feeds) for what is delivered.
//!
//! Inputs: pairs of bundles, found or told. Outputs: news to tell, once per feed. Timers: neighbours
//! that are told of many, one after the other.
//! Invariants: nothing is believed without both signatures; how many feeds are remembered, how many proofs are kept for those
//! who come later, and how many bundles are taken beyond the first ones, is bounded.

use std::sync::Arc;
use std::time::Duration;

use weft_crypto::publication;
use weft_wire::{Bundle, DiscoveryKey, PeerId, PublicationId, Time, decode};

use crate::feeds::BUNDLE;
use crate::kept::Kept;
use crate::pace::Pace;
use crate::sorted::Map;

/// Feeds of which it is remembered that they have forked; beyond it the one that was learnt of first is forgotten.
const FEEDS: usize = 1024;
/// Bytes of proofs that are kept for those who come later.
const PROOF_BYTES: usize = 4 * 1024 * 1024;
/// Bundles of a forked feed that are taken though others are there under their numbers.
const BRANCHES: u32 = 256;
/// Bundles of a forked feed that go to all neighbours, and not along the tree alone: digests, which name numbers, would not
/// repair what is lost of one branch where the other one is known.
const SPREADS: u32 = 1024;
/// Of a neighbour so many proofs or comparisons are looked at at once, and one in this time.
const EVERY: Duration = Duration::from_millis(100);
const AT_ONCE: u32 = 16;

#[derive(Debug, Default)]
pub(crate) struct Forks {
    /// With the order in which they were learnt of.
    known: Map<PeerId, Forked>,
    learnt: u64,
    proof_bytes: usize,
    news: Vec<News>,
    /// Feeds whose proofs are not kept any more.
    gone: Vec<PeerId>,
    paces: Map<PeerId, Pace>,
    /// What neighbours are still to be told.
    telling: Map<PeerId, Telling>,
}

/// Feeds whose proofs go to a neighbour, no faster than it looks at them: the last one first.
#[derive(Debug, Default)]
struct Telling {
    feeds: Vec<PeerId>,
    pace: Pace,
    at: Time,
}

#[derive(Debug)]
struct Forked {
    learnt: u64,
    branches: u32,
    spreads: u32,
    proof: Option<Arc<Proof>>,
}

/// Two encoded bundles, as received.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) one: Vec<u8>,
    pub(crate) other: Vec<u8>,
}

/// A feed has turned out to have forked.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) feed: PeerId,
    /// The first number known where there are two ways on.
    pub(crate) seq: u64,
}

impl Forks {
    pub(crate) fn is_known(&self, feed: &PeerId) -> bool {
        self.known.contains_key(feed)
    }

    /// Another bundle under numbers that are taken may be had, if it turns out to be of another branch.
    pub(crate) fn has_room(&self, feed: &PeerId) -> bool {
        self.known.get(feed).is_none_or(|forked| forked.branches < BRANCHES)
    }

    /// One more such bundle is had.
    pub(crate) fn on_branch(&mut self, feed: &PeerId) {
        if let Some(forked) = self.known.get_mut(feed) {
            forked.branches += 1;
        }
    }

    /// A new bundle of this feed goes to all neighbours.
    pub(crate) fn spreads(&mut self, feed: &PeerId) -> bool {
        let Some(forked) = self.known.get_mut(feed).filter(|forked| forked.spreads < SPREADS) else {
            return false;
        };
        forked.spreads += 1;
        true
    }

    /// Two verified bundles are a proof. Gives it, if it is the first of this feed.
    pub(crate) fn on_found(
        &mut self,
        bundle: &Bundle,
        seq: u64,
        one: &[u8],
        other: &[u8],
    ) -> Option<Arc<Proof>> {
        if self.is_known(&bundle.feed) {
            return None;
        }
        let oldest = self.known.iter().min_by_key(|(_, forked)| forked.learnt).map(|(feed, _)| *feed);
        if self.known.len() >= FEEDS
            && let Some(oldest) = oldest
            && let Some(gone) = self.known.remove(&oldest)
        {
            self.forget(oldest, gone.proof);
        }
        let proof = Arc::new(Proof { one: one.to_vec(), other: other.to_vec() });
        self.learnt += 1;
        self.proof_bytes += proof.bytes();
        let forked = Forked { learnt: self.learnt, branches: 0, spreads: 0, proof: Some(Arc::clone(&proof)) };
        self.known.insert(bundle.feed, forked);
        while self.proof_bytes > PROOF_BYTES {
            let with = self.known.iter_mut().filter(|(_, forked)| forked.proof.is_some());
            let Some((oldest, forked)) = with.min_by_key(|(_, forked)| forked.learnt) else { break };
            let (oldest, gone) = (*oldest, forked.proof.take());
            self.forget(oldest, gone);
        }
        self.news.push(News { feed: bundle.feed, seq });
        Some(proof)
    }

    fn forget(&mut self, feed: PeerId, proof: Option<Arc<Proof>>) {
        let Some(proof) = proof else { return };
        self.proof_bytes -= proof.bytes();
        self.gone.push(feed);
    }

    /// Feeds whose proofs are not kept any more, since this was asked last.
    pub(crate) fn take_gone(&mut self) -> Vec<PeerId> {
        std::mem::take(&mut self.gone)
    }

    /// A neighbour, or the store, says that a feed has forked. An error: it is no proof.
    pub(crate) fn on_proof(
        &mut self,
        discovery: &DiscoveryKey,
        one: &[u8],
        other: &[u8],
    ) -> Result<Option<(PeerId, Arc<Proof>)>, ()> {
        let of = |bytes| decode::<Bundle>(bytes, BUNDLE).map_err(|_| ());
        let (first, second) = (of(one)?, of(other)?);
        if [&first, &second].iter().any(|bundle| bundle.discovery != *discovery || bundle.feed != first.feed)
        {
            return Err(());
        }
        if self.is_known(&first.feed) {
            return Ok(None);
        }
        let ids = |bundle| publication::check_bundle(bundle).map_err(|_| ());
        let (first_ids, second_ids) = (ids(&first)?, ids(&second)?);
        let seq = conflict((&first, &first_ids), (&second, &second_ids)).ok_or(())?;
        Ok(self.on_found(&first, seq, one, other).map(|proof| (first.feed, proof)))
    }

    /// What has become known since this was asked last.
    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// A neighbour is to be told of a feed.
    pub(crate) fn tell(&mut self, peer: PeerId, feed: PeerId) {
        let feeds = &mut self.telling.entry(peer).or_default().feeds;
        if feeds.len() >= FEEDS {
            feeds.remove(0);
        }
        feeds.push(feed);
    }

    /// A new neighbour is to be told of all.
    pub(crate) fn tell_all(&mut self, peer: PeerId) {
        if !self.known.is_empty() {
            self.telling.entry(peer).or_default().feeds = self.known.keys().copied().collect();
        }
    }

    /// Who is to be sent what now.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(PeerId, Arc<Proof>)> {
        let mut due = Vec::new();
        for (peer, telling) in self.telling.iter_mut().filter(|(_, telling)| telling.at <= now) {
            while let Some(feed) = telling.feeds.last() {
                if let Some(proof) = self.known.get(feed).and_then(|forked| forked.proof.as_ref()) {
                    // Half as fast as is looked at, for the way may make them come closer together.
                    if let Err(at) = telling.pace.take(now, EVERY * 2, EVERY * AT_ONCE) {
                        telling.at = at;
                        break;
                    }
                    due.push((*peer, Arc::clone(proof)));
                }
                telling.feeds.pop();
            }
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.telling.values().filter(|telling| !telling.feeds.is_empty()).map(|telling| telling.at).min()
    }

    /// Something that a neighbour says may be looked at.
    pub(crate) fn may_look(&mut self, now: Time, peer: PeerId) -> bool {
        self.paces.entry(peer).or_default().take(now, EVERY, EVERY * AT_ONCE).is_ok()
    }

    pub(crate) fn on_unlinked(&mut self, peer: &PeerId) {
        self.paces.remove(peer);
        self.telling.remove(peer);
    }
}

impl Proof {
    fn bytes(&self) -> usize {
        self.one.len() + self.other.len()
    }
}

/// The first number where two bundles of one feed, with their ids, go different ways.
pub(crate) fn conflict(a: (&Bundle, &[PublicationId]), b: (&Bundle, &[PublicationId])) -> Option<u64> {
    let at = |(bundle, ids): (&Bundle, &[PublicationId]), seq: u64| {
        ids.get(usize::try_from(seq.checked_sub(bundle.first)?).ok()?).copied()
    };
    let (first, last) = (a.0.first.max(b.0.first), a.0.last().min(b.0.last()));
    if first <= last {
        return (first..=last).find(|seq| at(a, *seq) != at(b, *seq));
    }
    let follows = |before: (&Bundle, &[PublicationId]), after: &Bundle| {
        let next = before.0.last().checked_add(1) == Some(after.first);
        (next && before.1.last() != Some(&after.previous)).then_some(after.first)
    };
    follows(a, b.0).or_else(|| follows(b, a.0))
}

/// The same for a verified bundle and one that is kept.
pub(crate) fn conflict_with(bundle: (&Bundle, &[PublicationId]), kept: &Kept) -> Option<u64> {
    // What stands next to it is compared at once; that is nearly always all there is.
    if kept.last.checked_add(1) == Some(bundle.0.first) {
        return (bundle.0.previous != kept.id).then_some(bundle.0.first);
    }
    if bundle.0.last().checked_add(1) == Some(kept.first) {
        return (bundle.1.last() != Some(&kept.previous)).then_some(kept.first);
    }
    let other: Bundle = decode(&kept.bytes, BUNDLE).ok()?;
    conflict(bundle, (&other, &publication::ids(&other)))
}
