//! Groups: what a book knows of a private party in which people write to each other.
//!
//! Invariants: at most [`limits::NAMERS`] authors' words for what it is called, at most [`limits::MEMBERS`] members and names
//! of them. What it is called follows from these words and from who is an admin now, in whatever order both come.

use std::collections::{BTreeMap, BTreeSet};

use weft_wire::membership::Role;
use weft_wire::{IdentityId, PartyKey};

use super::contact::{Contact, is_flood, short};
use super::conversation::{Conversation, Item};
use crate::hex::DocumentId;
use crate::limits;
use crate::said::{Picture, Profile};
use crate::shown;

/// How we are in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// We have taken an invitation, and no admin has let us in yet.
    Joining,
    /// A member.
    Member,
    /// None any more, or none at all: the core's code for why, as `removed` or `invitation-used`.
    Out(String),
}

impl Standing {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Member => "member",
            Self::Out(_) => "out",
        }
    }
}

/// What somebody says the group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    pub(crate) issued: u64,
    pub(crate) name: String,
    pub(crate) picture: Option<Picture>,
}

/// People who write to each other in a private party.
#[derive(Clone, Debug)]
pub struct Group {
    /// How we are in it.
    pub standing: Standing,
    /// Nothing of it is announced.
    pub muted: bool,
    /// The invitation that we have taken, for as long as nobody has let us in.
    pub(crate) invitation: Option<String>,
    /// What it was called when we came.
    pub(crate) said: String,
    pub(crate) namings: BTreeMap<IdentityId, Naming>,
    pub(crate) members: BTreeMap<IdentityId, Role>,
    /// Who was a member and is none any more.
    pub(crate) former: BTreeSet<IdentityId>,
    pub(crate) profiles: BTreeMap<IdentityId, Profile>,
    /// Who said that they leave, and when.
    pub(crate) left: BTreeMap<IdentityId, u64>,
    /// Who is linked in the party now.
    pub(crate) present: BTreeSet<IdentityId>,
    /// Everybody who is a member can know our name.
    pub(crate) introduced: bool,
    /// `n` of the last document that we wrote.
    pub(crate) count: u64,
    pub(crate) since: u64,
    pub(crate) conversation: Conversation,
    pub(crate) flood: (u64, u32),
}

impl Group {
    pub(crate) fn new(standing: Standing, said: String, since: u64) -> Self {
        Self {
            standing,
            muted: false,
            invitation: None,
            said,
            namings: BTreeMap::new(),
            members: BTreeMap::new(),
            former: BTreeSet::new(),
            profiles: BTreeMap::new(),
            left: BTreeMap::new(),
            present: BTreeSet::new(),
            introduced: false,
            count: 0,
            since,
            conversation: Conversation::by_time(),
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

    /// Texts that we have not seen.
    pub fn unread(&self) -> usize {
        self.conversation.unread()
    }

    /// Who is in it, as what; by identity.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&IdentityId, Role)> {
        self.members.iter().map(|(who, role)| (who, *role))
    }

    /// What somebody may do, if they are a member.
    pub fn role(&self, who: &IdentityId) -> Option<Role> {
        self.members.get(who).copied()
    }

    /// A member said that they leave, and nothing since.
    pub fn has_left(&self, who: &IdentityId) -> bool {
        self.left.contains_key(who)
    }

    /// Somebody was a member and was removed: no invitation lets them in again, only an admin by name.
    pub fn was_removed(&self, who: &IdentityId) -> bool {
        self.former.contains(who)
    }

    /// Somebody is there just now.
    pub fn is_present(&self, who: &IdentityId) -> bool {
        self.present.contains(who)
    }

    /// Who is there, of the members.
    pub fn present(&self) -> usize {
        self.present.len()
    }

    /// What it is called.
    pub fn name(&self, key: &PartyKey) -> String {
        let said = [self.naming().map(|one| &one.name), Some(&self.said)];
        let names = said.into_iter().flatten().map(|name| shown::line(name));
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| short(&IdentityId(key.0)))
    }

    /// Its picture.
    pub fn picture(&self) -> Option<&Picture> {
        self.naming()?.picture.as_ref()
    }

    /// What a member is called: as our contact, or as they say themselves, with the end of their identity.
    pub fn name_of(&self, who: &IdentityId, contact: Option<&Contact>) -> String {
        if let Some(contact) = contact {
            return contact.name(who);
        }
        let name = self.profiles.get(who).map(|profile| shown::line(&profile.name));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("{name} ({})", tail(who)),
            None => short(who),
        }
    }

    fn naming(&self) -> Option<&Naming> {
        let admins = self.namings.iter().filter(|(who, _)| self.role(who) == Some(Role::Admin));
        admins.max_by_key(|(who, one)| (one.issued, **who)).map(|(_, one)| one)
    }

    /// Whether that is news.
    pub(crate) fn take_naming(&mut self, author: IdentityId, naming: Naming) -> bool {
        if self.namings.get(&author).is_some_and(|known| known.issued >= naming.issued) {
            return false;
        }
        self.namings.insert(author, naming);
        if self.namings.len() > limits::NAMERS {
            // Of those that count for nothing first.
            let role = |who: &IdentityId| self.role(who) == Some(Role::Admin);
            let oldest = self
                .namings
                .iter()
                .min_by_key(|(who, one)| (role(who), one.issued, **who))
                .map(|(who, _)| *who);
            oldest.map(|who| self.namings.remove(&who));
        }
        true
    }

    /// Whether that is news.
    pub(crate) fn take_profile(&mut self, author: IdentityId, profile: Profile) -> bool {
        let known = self.profiles.get(&author);
        let full = known.is_none() && self.profiles.len() >= limits::MEMBERS;
        if full || known.is_some_and(|known| known.issued >= profile.issued) {
            return false;
        }
        self.profiles.insert(author, Profile { picture: None, ..profile });
        true
    }

    /// Counts a document; says whether it is one too many to be announced.
    pub(crate) fn is_flood(&mut self, now: u64) -> bool {
        is_flood(&mut self.flood, now)
    }

    /// Somebody said something then; whether they are back.
    pub(crate) fn spoke(&mut self, author: IdentityId, sent: u64) -> bool {
        self.left.get(&author).is_some_and(|at| *at < sent) && self.left.remove(&author).is_some()
    }

    /// When there was something last, ms.
    pub fn latest(&self) -> u64 {
        self.conversation.items().back().map_or(self.since, |item| item.came.max(self.since))
    }
}

/// The end of an identity, for people.
fn tail(who: &IdentityId) -> String {
    let text = who.to_string();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}
