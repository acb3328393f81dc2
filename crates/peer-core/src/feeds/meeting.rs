//! What two peers have under the same numbers, compared.

use std::sync::Arc;

use weft_crypto::publication;
use weft_wire::link::End;
use weft_wire::{Bundle, List, PeerId, PublicationId, Tag, Time, decode, limits};

use super::{BUNDLE, Feeds};
use crate::forks::{Proof, conflict_with};
use crate::kept::Kept;

/// Bundles that are looked into, and those that are sent, for one list of ends.
const LOOKS: usize = 64;
const SHOWN: usize = 16;

impl Feeds {
    /// Other bundles that are kept under the numbers of one, or right before or behind them. None if it is kept itself.
    pub(super) fn rivals(&self, bundle: &Bundle, bytes: &[u8]) -> Vec<Arc<Kept>> {
        let Some(places) = self.places.get(&bundle.feed) else { return Vec::new() };
        // A bundle has few numbers, so that looking a little to the left finds those that reach into it.
        let begin = places.partition_point(|kept| kept.first < bundle.first).saturating_sub(2);
        let near = || {
            let touches = |kept: &&Arc<Kept>| kept.last.saturating_add(1) >= bundle.first;
            let end = bundle.last().saturating_add(1);
            places.iter().skip(begin).take_while(move |kept| kept.first <= end).filter(touches)
        };
        if near().any(|kept| kept.bytes == bytes) {
            return Vec::new();
        }
        near().cloned().collect()
    }

    /// Compares a verified bundle with those; says whether it is of another branch and may be had beside them.
    pub(super) fn compare(
        &mut self,
        now: Time,
        (bundle, ids, bytes): (&Bundle, &[PublicationId], &[u8]),
        rivals: &[Arc<Kept>],
    ) -> bool {
        let mut branches = false;
        for rival in rivals {
            let Some(seq) = conflict_with((bundle, ids), rival) else { continue };
            branches |= rival.overlaps(bundle);
            if let Some(proof) = self.forks.on_found(bundle, seq, &rival.bytes, bytes) {
                self.store_proof(now, bundle.feed, &proof);
            }
        }
        let taken = branches && self.forks.has_room(&bundle.feed);
        if taken {
            self.forks.on_branch(&bundle.feed);
        }
        taken
    }

    /// A neighbour says that a feed has forked, and whether we did not know it. An error: what it shows is no proof.
    pub(crate) fn on_proof(&mut self, now: Time, one: &[u8], other: &[u8]) -> Result<bool, ()> {
        let Some((feed, proof)) = self.forks.on_proof(&self.discovery, one, other)? else { return Ok(false) };
        self.store_proof(now, feed, &proof);
        Ok(true)
    }

    fn store_proof(&mut self, now: Time, feed: PeerId, proof: &Proof) {
        self.storage.put_proof(now, feed, &proof.one, &proof.other);
        self.remove_proofs(now);
    }

    /// What is not kept any more is not stored either.
    pub(super) fn remove_proofs(&mut self, now: Time) {
        for gone in self.forks.take_gone() {
            self.storage.remove_proof(now, gone);
        }
    }

    /// What is under the last number of each run, of feeds that are not known to have forked: the newest of each.
    pub(crate) fn ends(&self) -> List<End, { limits::WANT_FEEDS }> {
        let feeds = self.places.iter().filter(|(feed, _)| !self.forks.is_known(feed));
        let ends = feeds.flat_map(|(feed, places)| {
            let next = places.iter().skip(1).map(|kept| Some(kept.first)).chain([None]);
            let ends = places.iter().zip(next).filter(|(kept, next)| kept.last.checked_add(1) != *next);
            let end =
                |kept: &Arc<Kept>| End { feed: Tag::from(feed), seq: kept.last, id: Tag::from(&kept.id) };
            let mut ends: Vec<End> = ends.map(|(kept, _)| end(kept)).collect();
            ends.drain(..ends.len().saturating_sub(limits::WANT_RANGES));
            ends
        });
        List::first(ends)
    }

    /// Ours of which a neighbour has something else under the same number.
    pub(crate) fn on_ends(&self, ends: &[End]) -> Vec<Arc<Kept>> {
        let mut looks = LOOKS;
        let differs = |end: &End| {
            let kept = self.of_range(end.feed, end.seq, end.seq).into_iter().next()?;
            if self.forks.is_known(&kept.feed) {
                return None;
            }
            let mut id = Some(kept.id);
            if kept.last != end.seq {
                looks = looks.checked_sub(1)?;
                let bundle: Bundle = decode(&kept.bytes, BUNDLE).ok()?;
                let at = usize::try_from(end.seq.checked_sub(bundle.first)?).ok()?;
                id = publication::ids(&bundle).get(at).copied();
            }
            (id.as_ref().map(Tag::from) != Some(end.id)).then_some(kept)
        };
        ends.iter().filter_map(differs).take(SHOWN).collect()
    }
}

impl Kept {
    pub(super) fn overlaps(&self, bundle: &Bundle) -> bool {
        self.first <= bundle.last() && bundle.first <= self.last
    }
}
