//! A swarm, as the discovery table keeps it: its members, what was said of each, and what is counted of them.

use std::sync::Arc;

use weft_crypto::placement::entry_mark;
use weft_wire::{PeerId, SignalerId};

use crate::io::ConnId;
use crate::ring::Placed;
use crate::table::{Key, Kind};

/// Classes of swarms by their size: 1, 2 and 3, 4 to 7, and so on; the last one has all that are larger.
pub(crate) const SIZES: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Swarm {
    /// Ordered by peer.
    pub(crate) members: Vec<Member>,
    /// Members that are present.
    pub(crate) present: usize,
    /// Ordered by peer.
    pub(crate) locals: Vec<Local>,
    /// Homes elsewhere with members of this swarm, and how many.
    pub(crate) homes: Vec<(SignalerId, u32)>,
    /// Entries that are present and at home here.
    pub(crate) own: usize,
    /// The marks of the entries that are present, XORed.
    pub(crate) sum: u64,
    /// Who keeps it.
    pub(crate) placed: Option<Arc<Placed>>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: PeerId,
    /// Ordered by home.
    pub(crate) records: Vec<Record>,
}

/// A member with a connection here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) peer: PeerId,
    pub(crate) conn: ConnId,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) home: SignalerId,
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    /// Place in the log.
    pub(crate) version: u64,
    /// By which the log and the calendar name it.
    pub(crate) slot: u32,
    /// The sibling connection it came from.
    pub(crate) via: Option<ConnId>,
    /// Whoever told us did not tell the others that keep it.
    pub(crate) pass: bool,
    /// See [`weft_crypto::placement::entry_name`].
    pub(crate) name: u64,
    /// The change since which it was only refreshed.
    pub(crate) base: u64,
    /// The sibling that brought it first, by its place in [`crate::table::Table::sources`].
    pub(crate) source: Option<u16>,
    pub(crate) bytes: Arc<[u8]>,
}

impl Member {
    pub(crate) fn is_present(&self) -> bool {
        self.records.iter().any(|record| record.kind == Kind::Present)
    }

    /// What was signed of those of its entries that are present.
    pub(crate) fn entries(&self, into: &mut Vec<Arc<[u8]>>) {
        let present = self.records.iter().filter(|record| record.kind == Kind::Present);
        into.extend(present.map(|record| record.bytes.clone()));
    }
}

impl Record {
    /// What it adds to the sum of its swarm: nothing, unless it is present.
    pub(crate) fn mark(&self) -> u64 {
        if self.kind == Kind::Present { entry_mark(self.name, self.seq) } else { 0 }
    }
}

impl Swarm {
    pub(crate) fn member(&self, peer: &PeerId) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.peer.cmp(peer)).ok()?;
        self.members.get(at)
    }

    pub(crate) fn member_or_new(&mut self, peer: &PeerId) -> &mut Member {
        let at = self.members.binary_search_by(|member| member.peer.cmp(peer)).unwrap_or_else(|at| {
            self.members.insert(at, Member { peer: *peer, records: Vec::with_capacity(1) });
            at
        });
        &mut self.members[at]
    }

    /// Takes a record out. Says whether its member was present, and whether it still is.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<(Record, bool, bool)> {
        let place = self.members.binary_search_by(|member| member.peer.cmp(&key.peer)).ok()?;
        let member = &mut self.members[place];
        let was = member.is_present();
        let at = member.records.iter().position(|record| record.home == key.home)?;
        let record = member.records.remove(at);
        let is = member.is_present();
        if member.records.is_empty() {
            self.members.remove(place);
        }
        Some((record, was, is))
    }

    /// A present record came to or went from a home: the counts by home follow. Says whether that is elsewhere.
    pub(crate) fn moved(&mut self, home: &SignalerId, us: &SignalerId, here: bool) -> bool {
        if home == us {
            self.own = self.own + usize::from(here) - usize::from(!here);
            return false;
        }
        adjust(&mut self.homes, *home, here);
        true
    }

    /// A member came or went: the class of the swarm follows.
    pub(crate) fn count(&mut self, was: bool, is: bool, sizes: &mut [usize; SIZES]) {
        if let Some(class) = class(self.present) {
            sizes[class] -= 1;
        }
        self.present = self.present + usize::from(is) - usize::from(was);
        if let Some(class) = class(self.present) {
            sizes[class] += 1;
        }
    }
}

/// The class of a size; a swarm of tombstones has none.
fn class(present: usize) -> Option<usize> {
    present.checked_ilog2().map(|log| (log as usize).min(SIZES - 1))
}

/// Counts a home once more, or once less.
pub(crate) fn adjust(homes: &mut Vec<(SignalerId, u32)>, home: SignalerId, more: bool) {
    match (homes.iter().position(|(known, _)| *known == home), more) {
        (Some(at), true) => homes[at].1 += 1,
        (Some(at), false) if homes[at].1 > 1 => homes[at].1 -= 1,
        (Some(at), false) => {
            homes.remove(at);
        }
        (None, true) => homes.push((home, 1)),
        (None, false) => {}
    }
}
