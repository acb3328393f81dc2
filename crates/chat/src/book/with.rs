//! With whom a conversation is.

use std::fmt;

use weft_wire::{IdentityId, PartyKey};

/// A conversation's other side. Keys of groups and identities look alike, and one may have been made to be the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum With {
    /// Somebody.
    Person(IdentityId),
    /// A group, by the key of its private party.
    Group(PartyKey),
}

impl With {
    /// The bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        match self {
            Self::Person(who) => &who.0,
            Self::Group(group) => &group.0,
        }
    }

    /// Who it is, if it is one person.
    pub fn person(self) -> Option<IdentityId> {
        match self {
            Self::Person(who) => Some(who),
            Self::Group(_) => None,
        }
    }

    /// Which group it is, if it is one.
    pub fn group(self) -> Option<PartyKey> {
        match self {
            Self::Person(_) => None,
            Self::Group(group) => Some(group),
        }
    }
}

impl From<IdentityId> for With {
    fn from(who: IdentityId) -> Self {
        Self::Person(who)
    }
}

impl From<PartyKey> for With {
    fn from(group: PartyKey) -> Self {
        Self::Group(group)
    }
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(who) => who.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}
