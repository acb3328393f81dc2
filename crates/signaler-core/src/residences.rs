//! Where peers are: for those of whom this signaler is the residence, and the siblings' peers it was told of.
//!
//! Input: what siblings say of their own connections ([`Residences::on_told`]). Output: [`Residences::homes`]. No timer: what a
//! sibling said holds while its link stands. Invariant: of each sibling at most so many as a signaler may have connections.

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::PeerId;

use crate::io::ConnId;
use crate::map::{Map, map, trim};

#[derive(Debug)]
pub(crate) struct Residences {
    /// By peer: the links to its homes.
    homes: Map<PeerId, Vec<ConnId>>,
    by_link: BTreeMap<ConnId, BTreeSet<PeerId>>,
}

impl Residences {
    pub(crate) fn new(seed: u64) -> Self {
        Self { homes: map(seed), by_link: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.homes.len()
    }

    /// A peer is connected to the sibling at the other end of `link`. False: it has told us of too many.
    pub(crate) fn on_told(&mut self, link: ConnId, peer: PeerId, most: usize) -> bool {
        let told = self.by_link.entry(link).or_default();
        if told.contains(&peer) {
            return true;
        }
        if told.len() >= most {
            return false;
        }
        told.insert(peer);
        self.homes.entry(peer).or_default().push(link);
        true
    }

    /// A peer no longer is connected there.
    pub(crate) fn on_gone(&mut self, link: ConnId, peer: &PeerId) {
        if self.by_link.get_mut(&link).is_some_and(|told| told.remove(peer)) {
            self.forget(link, peer);
        }
    }

    pub(crate) fn on_lost(&mut self, link: ConnId) {
        for peer in self.by_link.remove(&link).unwrap_or_default() {
            self.forget(link, &peer);
        }
    }

    /// The links to the homes of a peer, those first that said so first.
    pub(crate) fn homes(&self, peer: &PeerId) -> &[ConnId] {
        self.homes.get(peer).map_or(&[], Vec::as_slice)
    }

    fn forget(&mut self, link: ConnId, peer: &PeerId) {
        if let Some(homes) = self.homes.get_mut(peer) {
            homes.retain(|home| *home != link);
            if homes.is_empty() {
                self.homes.remove(peer);
                trim(&mut self.homes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sibling_said_holds_until_it_says_otherwise_or_is_gone() {
        let mut residences = Residences::new(1);
        let (one, other) = (PeerId([1; 32]), PeerId([2; 32]));
        assert!(residences.on_told(ConnId(1), one, 2) && residences.on_told(ConnId(2), one, 2));
        assert!(residences.on_told(ConnId(1), one, 2), "again");
        assert_eq!(residences.homes(&one), [ConnId(1), ConnId(2)]);
        residences.on_gone(ConnId(1), &one);
        residences.on_gone(ConnId(1), &other);
        assert_eq!(residences.homes(&one), [ConnId(2)]);
        residences.on_lost(ConnId(2));
        assert_eq!((residences.homes(&one).len(), residences.len()), (0, 0));
    }

    #[test]
    fn a_sibling_names_no_more_peers_than_its_share() {
        let mut residences = Residences::new(1);
        for n in 0..10 {
            assert_eq!(residences.on_told(ConnId(1), PeerId([n; 32]), 3), n < 3);
        }
        assert!(residences.on_told(ConnId(2), PeerId([9; 32]), 3), "another one's is its own");
    }
}
