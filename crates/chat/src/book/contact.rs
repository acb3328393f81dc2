//! People one talks to, and people who want to.

use weft_wire::IdentityId;

use super::conversation::{Conversation, Item};
use crate::hex::{AttachmentHash, DocumentId, Room};
use crate::limits;
use crate::said::Profile;
use crate::shown;

/// How far two people are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// We asked, and have no answer.
    Asked,
    /// One of the two asked, and the other one agreed.
    Both,
}

/// Somebody one talks to.
#[derive(Clone, Debug)]
pub struct Contact {
    /// How far it is.
    pub relation: Relation,
    /// What they called themselves when they asked or agreed, or what a link says.
    pub(crate) said: String,
    /// The name that we gave them.
    pub given: Option<String>,
    /// What they say of themselves.
    pub profile: Option<Profile>,
    /// Where we meet.
    pub room: Option<Room>,
    pub(crate) asked: Option<(DocumentId, Room)>,
    pub(crate) was_asked: Option<(DocumentId, Room)>,
    /// Nothing of theirs is announced.
    pub muted: bool,
    /// The words were compared.
    pub verified: bool,
    /// A peer of theirs is linked in the room.
    pub present: bool,
    pub(crate) typing_until: Option<u64>,
    /// `n` of the last document that we wrote to them.
    pub(crate) count: u64,
    /// Since when they are known, ms.
    pub(crate) since: u64,
    pub(crate) conversation: Conversation,
    /// Pieces that came before their text.
    pub(crate) early: Vec<(AttachmentHash, u32, Vec<u8>)>,
    pub(crate) read_at: u64,
    pub(crate) read_due: Option<DocumentId>,
    pub(crate) typed_at: Option<u64>,
    pub(crate) flood: (u64, u32),
}

impl Contact {
    pub(crate) fn new(relation: Relation, said: String, since: u64) -> Self {
        Self {
            relation,
            said,
            given: None,
            profile: None,
            room: None,
            asked: None,
            was_asked: None,
            muted: false,
            verified: false,
            present: false,
            typing_until: None,
            count: 0,
            since,
            conversation: Conversation::default(),
            early: Vec::new(),
            read_at: 0,
            read_due: None,
            typed_at: None,
            flood: (0, 0),
        }
    }

    /// What is said, in order.
    pub fn items(&self) -> impl DoubleEndedIterator<Item = &Item> + ExactSizeIterator {
        self.conversation.items().iter()
    }

    /// A text, by its author and id.
    pub fn item(&self, author: IdentityId, id: DocumentId) -> Option<&Item> {
        self.conversation.find(author, id)
    }

    /// A text by its id alone; the latest, if both have used it.
    pub fn item_of(&self, id: DocumentId) -> Option<&Item> {
        self.conversation.of_id(id)
    }

    /// Texts that we have not seen.
    pub fn unread(&self) -> usize {
        self.conversation.unread()
    }

    /// They write just now.
    pub fn typing(&self) -> bool {
        self.typing_until.is_some()
    }

    /// What to call them: the name we gave them, or the one they say they have, or the beginning of their identity.
    pub fn name(&self, identity: &IdentityId) -> String {
        let said = self.profile.as_ref().map_or(&self.said, |profile| &profile.name);
        let names = [self.given.as_ref(), Some(said)];
        let names = names.into_iter().flatten().map(|name| shown::line(name));
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| short(identity))
    }

    /// When there was something last, ms.
    pub fn latest(&self) -> u64 {
        self.conversation.items().back().map_or(self.since, |item| item.came.max(self.since))
    }

    /// Counts a document; says whether it is one too many to be announced.
    pub(crate) fn is_flood(&mut self, now: u64) -> bool {
        is_flood(&mut self.flood, now)
    }
}

/// Counts a document in the minute that began then.
pub(crate) fn is_flood((since, count): &mut (u64, u32), now: u64) -> bool {
    if now.saturating_sub(*since) >= 60_000 || now < *since {
        (*since, *count) = (now, 0);
    }
    *count = count.saturating_add(1);
    *count > limits::FLOOD
}

/// Somebody who has written and is no contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Stranger {
    /// When they came, ms.
    pub came: u64,
    /// What they call themselves.
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) request: Option<(DocumentId, Room)>,
    pub(crate) items: Vec<Item>,
}

impl Stranger {
    pub(crate) fn new(came: u64) -> Self {
        Self { came, name: String::new(), note: String::new(), request: None, items: Vec::new() }
    }

    /// They ask to be a contact.
    pub fn asks(&self) -> bool {
        self.request.is_some()
    }

    /// What to call them.
    pub fn name(&self, identity: &IdentityId) -> String {
        Some(shown::line(&self.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| short(identity))
    }

    /// What they said with their request.
    pub fn note(&self) -> String {
        shown::text(&self.note).into_owned()
    }

    /// What they have written besides.
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// The beginning of an identity, for people.
pub fn short(identity: &IdentityId) -> String {
    let text = identity.to_string();
    // All begin alike.
    text.get(..16).map_or_else(|| text.clone(), |text| format!("{text}…"))
}
