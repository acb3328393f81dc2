//! What people said to each other, in order.
//!
//! Inputs: texts, edits, deletions, reactions, receipts, in whatever order they come. Invariants: at most
//! [`limits::KEPT`] items, of which the oldest go first; no two of one author with the same id; between two people items of one
//! peer in the order of their `n`, in a group all in that of their time; at most [`limits::EARLY`] changes wait for what they are of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_wire::{IdentityId, MessageId, PeerId};

use super::api::State;
use crate::hex::DocumentId;
use crate::limits;
use crate::said::{Attachment, Head, Reads};

/// A text as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Its number here: later ones came later.
    pub(crate) seq: u64,
    /// Who wrote it.
    pub author: IdentityId,
    /// With which peer.
    pub(crate) peer: PeerId,
    /// Name, time and place.
    pub head: Head,
    /// When it came, or was written here; ms.
    pub came: u64,
    /// The words, as they are now; see [`shown::text`](crate::shown::text).
    pub text: String,
    /// What is answered.
    pub reply: Option<(DocumentId, IdentityId)>,
    /// Files, without what they hold.
    pub attachments: Vec<Attachment>,
    /// It is no text but an invitation: to the group of that name, by that text.
    pub invitation: Option<(String, String)>,
    /// By which edit the words are what they are.
    pub(crate) edit: Option<(u64, DocumentId)>,
    /// Nothing but the fact that there was something.
    pub deleted: bool,
    /// By person.
    pub reactions: BTreeMap<IdentityId, Reaction>,
    /// How far it is, if it is ours.
    pub state: State,
    /// The core's id of it, by which it will tell that it is delivered.
    pub(crate) message: Option<MessageId>,
    /// We have seen it, or wrote it.
    pub seen: bool,
    /// Of an invitation: we have taken it, or refused.
    pub taken: Option<bool>,
}

impl Item {
    /// The words are others than at first.
    pub fn edited(&self) -> bool {
        self.edit.is_some() && !self.deleted
    }

    /// When it was written, as far as that is believed.
    pub fn time(&self) -> u64 {
        crate::shown::time(self.head.sent, self.came)
    }

    /// Its place in a group: the same for everybody whose clock is right.
    fn place(&self) -> (u64, DocumentId, IdentityId) {
        (self.time(), self.head.id, self.author)
    }
}

/// A sign to a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// What; empty: taken back.
    pub emoji: String,
    /// When, and its id: the greater counts.
    pub(crate) rank: (u64, DocumentId),
}

/// Something that changes an item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// Who says so, and whose item it is about.
    pub(crate) by: IdentityId,
    pub(crate) author: IdentityId,
    pub(crate) of: DocumentId,
    pub(crate) head: Head,
    pub(crate) deed: Deed,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Edit(String),
    Delete,
    React(String),
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The item is another now.
    Changed { seq: u64 },
    /// Nothing is different.
    Nothing,
    /// It waits for the item.
    Waits,
}

/// The items, in the order in which they are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    items: VecDeque<Item>,
    names: BTreeSet<(IdentityId, DocumentId)>,
    /// The greatest `n` of each peer.
    last: BTreeMap<PeerId, u64>,
    early: VecDeque<Change>,
    next: u64,
    /// Of a group.
    by_time: bool,
}

impl Conversation {
    /// One of many authors, whose items come in no order.
    pub(crate) fn by_time() -> Self {
        Self { by_time: true, ..Self::default() }
    }

    pub(crate) fn items(&self) -> &VecDeque<Item> {
        &self.items
    }

    pub(crate) fn has(&self, author: IdentityId, id: DocumentId) -> bool {
        self.names.contains(&(author, id))
    }

    pub(crate) fn find(&self, author: IdentityId, id: DocumentId) -> Option<&Item> {
        if !self.has(author, id) {
            return None;
        }
        self.items.iter().rev().find(|item| item.author == author && item.head.id == id)
    }

    pub(crate) fn find_mut(&mut self, author: IdentityId, id: DocumentId) -> Option<&mut Item> {
        if !self.has(author, id) {
            return None;
        }
        self.items.iter_mut().rev().find(|item| item.author == author && item.head.id == id)
    }

    /// The item of that id, whoever wrote it; the latest, if both did.
    pub(crate) fn of_id(&self, id: DocumentId) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.head.id == id)
    }

    /// The number of the next item.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next
    }

    /// Puts an item where it belongs. Gives those that had to go: perhaps itself, if it is older than all that may be kept.
    /// Nothing if it is known.
    pub(crate) fn insert(&mut self, item: Item) -> Option<Vec<Item>> {
        if !self.names.insert((item.author, item.head.id)) {
            return None;
        }
        self.next = self.next.max(item.seq + 1);
        let place = match item.head.n {
            _ if self.by_time => Some(self.items.partition_point(|other| other.place() < item.place())),
            Some(n) if self.last.get(&item.peer).is_some_and(|last| *last > n) => self
                .items
                .iter()
                .position(|other| other.peer == item.peer && other.head.n.is_some_and(|other| other > n)),
            _ => None,
        };
        if let Some(n) = item.head.n {
            let last = self.last.entry(item.peer).or_default();
            *last = n.max(*last);
        }
        match place {
            Some(place) => self.items.insert(place, item),
            None => self.items.push_back(item),
        }
        let mut gone = Vec::new();
        while self.items.len() > limits::KEPT {
            let Some(item) = self.items.pop_front() else { break };
            self.names.remove(&(item.author, item.head.id));
            gone.push(item);
        }
        // Peers that have nothing here any more are forgotten with their items.
        if self.last.len() > self.items.len() {
            let there: BTreeSet<PeerId> = self.items.iter().map(|item| item.peer).collect();
            self.last.retain(|peer, _| there.contains(peer));
        }
        Some(gone)
    }

    /// Changes an item, or keeps the change until it comes.
    pub(crate) fn change(&mut self, change: Change) -> Applied {
        let Some(item) = self.find_mut(change.author, change.of) else {
            self.early.push_back(change);
            if self.early.len() > limits::EARLY {
                self.early.pop_front();
            }
            return Applied::Waits;
        };
        apply(item, change)
    }

    /// Changes that waited for an item that has come.
    pub(crate) fn take_early(&mut self, author: IdentityId, id: DocumentId) {
        let (now, still): (VecDeque<_>, VecDeque<_>) =
            self.early.drain(..).partition(|change| change.author == author && change.of == id);
        self.early = still;
        for change in now {
            self.change(change);
        }
    }

    /// What the other one has seen of ours. Gives the items that are new to that.
    pub(crate) fn read(&mut self, me: IdentityId, reads: &Reads) -> Vec<u64> {
        let covered = match reads {
            Reads::UpTo(id) => {
                let Some(end) = self.items.iter().rposition(|item| item.author == me && item.head.id == *id)
                else {
                    return Vec::new();
                };
                end + 1
            }
            Reads::Ids(_) => self.items.len(),
        };
        let named = |item: &Item| match reads {
            Reads::UpTo(_) => true,
            Reads::Ids(ids) => ids.contains(&item.head.id),
        };
        let mut seqs = Vec::new();
        for item in self.items.range_mut(..covered) {
            // What never went has not been seen, whatever comes behind it.
            let open =
                item.author == me && matches!(item.state, State::Sending | State::Stored | State::Delivered);
            if open && named(item) {
                item.state = State::Read;
                item.message = None;
                seqs.push(item.seq);
            }
        }
        seqs
    }

    /// We have seen everything up to that item. Gives those that are new to that, and the last text of the other one among
    /// all of them.
    pub(crate) fn see(
        &mut self,
        me: IdentityId,
        up_to: Option<DocumentId>,
    ) -> (Vec<u64>, Option<DocumentId>) {
        let end = match up_to {
            None => self.items.len(),
            Some(id) => match self.items.iter().rposition(|item| item.head.id == id) {
                Some(place) => place + 1,
                None => 0,
            },
        };
        let (mut seqs, mut last) = (Vec::new(), None);
        for item in self.items.range_mut(..end) {
            if item.author != me {
                last = Some(item.head.id);
                if !item.seen {
                    item.seen = true;
                    seqs.push(item.seq);
                }
            }
        }
        (seqs, last)
    }

    pub(crate) fn unread(&self) -> usize {
        self.items.iter().rev().filter(|item| !item.seen && !item.deleted).count()
    }

    pub(crate) fn by_seq(&self, seq: u64) -> Option<&Item> {
        self.items.iter().rev().find(|item| item.seq == seq)
    }
}

fn apply(item: &mut Item, change: Change) -> Applied {
    let changed = Applied::Changed { seq: item.seq };
    match change.deed {
        // A deletion is final.
        Deed::Delete if !item.deleted && change.by == item.author => {
            item.deleted = true;
            item.text.clear();
            item.reply = None;
            item.attachments.clear();
            item.invitation = None;
            item.reactions.clear();
            changed
        }
        Deed::Edit(text) if !item.deleted && change.by == item.author && item.invitation.is_none() => {
            let rank = (change.head.n.unwrap_or_default(), change.head.id);
            if item.edit.is_some_and(|edit| edit >= rank) {
                return Applied::Nothing;
            }
            item.edit = Some(rank);
            item.text = text;
            changed
        }
        Deed::React(emoji) if !item.deleted => {
            let rank = (change.head.sent, change.head.id);
            let known = item.reactions.get(&change.by);
            let full = known.is_none() && item.reactions.len() >= limits::REACTIONS;
            if full || known.is_some_and(|known| known.rank >= rank) {
                return Applied::Nothing;
            }
            item.reactions.insert(change.by, Reaction { emoji, rank });
            changed
        }
        _ => Applied::Nothing,
    }
}
