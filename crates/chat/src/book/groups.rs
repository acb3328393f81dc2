//! What a book does with groups: see [`Group`].

use std::collections::{BTreeMap, BTreeSet};

use weft_query::Document;
use weft_wire::membership::Role;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

use super::api::{BookError, Event, Output, State};
use super::conversation::{Change, Deed};
use super::group::{Group, Naming, Standing};
use super::outgoing::{Kind, What};
use super::with::With;
use super::{Book, Done, rows, within};
use crate::decode::decode;
use crate::hex::DocumentId;
use crate::limits;
use crate::said::{Picture, Profile, Said, Text};
use crate::shown;

/// A document that was published in a group.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// Whose it is.
    pub author: IdentityId,
    /// The author's peer.
    pub peer: PeerId,
    /// The first half of the publication's id.
    pub id: MessageId,
    /// When it was published, by the author's clock, ms.
    pub time: u64,
    /// It was published before we asked for it.
    pub backlog: bool,
    /// What it says.
    pub document: &'a Document,
}

impl Book {
    /// Every group.
    pub fn groups(&self) -> impl Iterator<Item = (&PartyKey, &Group)> {
        self.groups.iter()
    }

    /// One of them.
    pub fn group(&self, group: &PartyKey) -> Option<&Group> {
        self.groups.get(group)
    }

    /// What a member of a group is called.
    pub fn member_name(&self, group: &PartyKey, who: &IdentityId) -> String {
        if *who == self.me {
            return self.own_name();
        }
        let contact = self.contacts.get(who);
        self.groups.get(group).map_or_else(|| super::short(who), |one| one.name_of(who, contact))
    }

    // ---- commands ----

    /// Takes a private party that was made just now, and whose first admin we are, as a group.
    ///
    /// # Errors
    /// [`BookError::Bound`], [`BookError::TooManyGroups`], [`BookError::KnownGroup`], [`BookError::OutgoingFull`].
    pub fn found(&mut self, now: u64, group: PartyKey, name: &str) -> Done {
        self.may_found(name)?;
        let name = name.trim();
        self.room_for_group(group)?;
        let mut one = Group::new(Standing::Member, name.to_owned(), now);
        one.members.insert(self.me, Role::Admin);
        self.groups.insert(group, one);
        self.outputs.push_back(Output::Join { group, invitation: None });
        self.introduce(now, group.into());
        self.say_name(now, group, name.to_owned(), None);
        Ok(())
    }

    /// Whether one more group of that name may be made.
    ///
    /// # Errors
    /// [`BookError::Bound`], [`BookError::TooManyGroups`], [`BookError::OutgoingFull`].
    pub fn may_found(&self, name: &str) -> Done {
        within("the name", name.trim().len(), 1, limits::NAME)?;
        if self.groups.len() >= limits::GROUPS {
            return Err(BookError::TooManyGroups);
        }
        self.room_to_send(2)
    }

    /// Says what a group is called, and how it looks.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn name_group(&mut self, now: u64, group: PartyKey, name: &str, picture: Option<Picture>) -> Done {
        let name = name.trim();
        within("the name", name.len(), 1, limits::NAME)?;
        self.administers(group)?;
        self.room_to_send(1)?;
        self.say_name(now, group, name.to_owned(), picture);
        Ok(())
    }

    /// Whether somebody may be invited by us: no member, and a contact.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn may_invite(&self, group: PartyKey, who: IdentityId) -> Done {
        let one = self.administers(group)?;
        self.contacts.get(&who).ok_or(BookError::NoContact)?;
        if one.members.contains_key(&who) { Err(BookError::Member) } else { self.room_to_send(1) }
    }

    /// Sends a contact an invitation that an admin, we, has said in the party. Gives its id.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn invite(
        &mut self,
        now: u64,
        group: PartyKey,
        who: IdentityId,
        invitation: &str,
    ) -> Done<DocumentId> {
        within("the invitation", invitation.len(), 1, limits::INVITATION)?;
        self.may_invite(group, who)?;
        let name = self.groups.get(&group).map(|one| one.name(&group)).ok_or(BookError::NoGroup)?;
        let head = self.head(now, who.into()).ok_or(BookError::NoContact)?;
        let text = Text { head, text: String::new(), reply: None, attachments: Vec::new() };
        let item = self.new_item(now, self.me, self.peer, &text, Some((name.clone(), invitation.to_owned())));
        self.insert(who.into(), item);
        self.contact_row(who);
        let said = Said::Invitation { head, name, invitation: invitation.to_owned() };
        self.send(now, who, &said, Some(head.id));
        self.settle_rooms();
        Ok(head.id)
    }

    /// The text of an invitation of a contact that was not answered yet.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::NoInvitation`].
    pub fn invitation(&self, with: IdentityId, of: DocumentId) -> Done<&str> {
        let contact = self.contacts.get(&with).ok_or(BookError::NoContact)?;
        let item = contact.conversation.find(with, of).filter(|item| item.taken.is_none());
        let text = item.and_then(|item| item.invitation.as_ref()).map(|(_, text)| text.as_str());
        text.ok_or(BookError::NoInvitation)
    }

    /// Takes an invitation of a contact into a group whose key is that.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn take_invitation(&mut self, now: u64, with: IdentityId, of: DocumentId, group: PartyKey) -> Done {
        let invitation = self.invitation(with, of)?.to_owned();
        let item = self.contacts.get(&with).and_then(|one| one.conversation.find(with, of));
        let name = item.and_then(|item| item.invitation.as_ref()).map(|(name, _)| shown::line(name));
        self.join(now, group, &invitation, &name.unwrap_or_default())?;
        self.answer(with, of, true);
        Ok(())
    }

    /// Turns an invitation down. Nobody is told.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::NoInvitation`].
    pub fn refuse_invitation(&mut self, with: IdentityId, of: DocumentId) -> Done {
        self.invitation(with, of)?;
        self.answer(with, of, false);
        Ok(())
    }

    /// Joins a group by an invitation that came another way.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn join(&mut self, now: u64, group: PartyKey, invitation: &str, name: &str) -> Done {
        within("the invitation", invitation.len(), 1, limits::INVITATION)?;
        match self.groups.get_mut(&group) {
            // Who was removed, or refused, may have been asked again.
            Some(one) if one.standing != Standing::Member => one.standing = Standing::Joining,
            _ => {
                self.room_for_group(group)?;
                self.groups.insert(group, Group::new(Standing::Joining, name.to_owned(), now));
            }
        }
        if let Some(one) = self.groups.get_mut(&group) {
            one.invitation = Some(invitation.to_owned());
        }
        self.outputs.push_back(Output::Join { group, invitation: Some(invitation.to_owned()) });
        self.group_changed(group);
        Ok(())
    }

    /// Leaves a group, and removes all that was said in it.
    ///
    /// # Errors
    /// [`BookError::NoGroup`].
    pub fn leave(&mut self, now: u64, group: PartyKey) -> Done {
        let head = self.head(now, group.into()).ok_or(BookError::NoGroup)?;
        let may = self.writes(group).is_ok();
        let document = (Said::Leave { head }).encode().ok().filter(|_| may);
        let one = self.groups.remove(&group).ok_or(BookError::NoGroup)?;
        self.forget_conversation(group.into(), &one.conversation);
        self.outputs.push_back(Output::Remove { key: rows::group_key(group) });
        self.outputs.push_back(Output::Leave { group, document });
        self.outputs.push_back(Output::Event(Event::Group { group }));
        Ok(())
    }

    // ---- what happens ----

    /// A document was published in a group.
    pub fn on_document_in(&mut self, now: u64, group: PartyKey, one: Published<'_>) {
        match decode(one.document, &one.id, one.time) {
            Ok(said) => self.on_said_in(now, group, one, said),
            Err(error) if error.code() == "unknown" => self.counters.unknown += 1,
            Err(_) => self.counters.malformed += 1,
        }
    }

    fn on_said_in(&mut self, now: u64, group: PartyKey, one: Published<'_>, said: Said) {
        let (me, author, with) = (self.me, one.author, With::Group(group));
        let blocked = self.blocked.contains(&author);
        let Some(there) = self.groups.get_mut(&group) else { return };
        // What others let through, a reader's, is not taken all the same.
        if blocked || there.role(&author) == Some(Role::Reader) {
            self.counters.dropped += 1;
            return;
        }
        let by = |of, author, head, deed| Change { by: one.author, author, of, head, deed };
        match said {
            Said::Text(text) => {
                let quiet = one.backlog || there.muted || author == me || there.is_flood(now);
                let back = there.spoke(author, text.head.sent);
                let mut item = self.new_item(now, author, one.peer, &text, None);
                item.state = State::Published;
                self.on_item(now, with, item, text.attachments, quiet);
                if back {
                    self.group_changed(group);
                }
            }
            Said::Edit { head, of, text } => self.change(with, by(of, author, head, Deed::Edit(text))),
            Said::Delete { head, of } => self.change(with, by(of, author, head, Deed::Delete)),
            Said::Reaction { head, of, author, emoji } => {
                self.change(with, by(of, author, head, Deed::React(emoji)));
            }
            Said::Group { issued, name, picture } => {
                if there.take_naming(author, Naming { issued, name, picture }) {
                    self.group_changed(group);
                }
            }
            Said::Profile(profile) => {
                let issued = profile.issued;
                let back = there.spoke(author, issued);
                if there.take_profile(author, profile) || back {
                    self.group_changed(group);
                }
            }
            Said::Leave { head } => {
                let newer = there.left.get(&author).is_none_or(|at| *at < head.sent);
                let said_more =
                    there.items().rev().any(|item| item.author == author && item.head.sent > head.sent);
                let room = there.left.len() < limits::MEMBERS || there.left.contains_key(&author);
                if author != me && newer && !said_more && room {
                    there.left.insert(author, head.sent);
                    self.group_changed(group);
                }
            }
            Said::Read(_)
            | Said::Typing { .. }
            | Said::Contact { .. }
            | Said::Accept { .. }
            | Said::Piece { .. }
            | Said::Invitation { .. } => self.counters.dropped += 1,
        }
    }

    /// These are the members of a group, as far as is known.
    pub fn on_members(
        &mut self,
        now: u64,
        group: PartyKey,
        members: impl IntoIterator<Item = (IdentityId, Role)>,
    ) {
        let me = self.me;
        let Some(one) = self.groups.get_mut(&group) else { return };
        let mut all: Vec<(IdentityId, Role)> = members.into_iter().collect();
        // A party has an admin at least: otherwise nothing is known yet.
        if all.is_empty() {
            return;
        }
        // Ourselves and admins before others, where there are more than are kept.
        all.sort_by_key(|(who, role)| (*who != me, std::cmp::Reverse(*role), *who));
        let members: BTreeMap<IdentityId, Role> = all.into_iter().take(limits::MEMBERS).collect();
        let standing = match (members.contains_key(&me), &one.standing) {
            (true, _) => Standing::Member,
            (false, Standing::Member) => Standing::Out("removed".to_owned()),
            (false, other) => other.clone(),
        };
        if members == one.members && standing == one.standing {
            return;
        }
        let came = members.keys().any(|who| !one.members.contains_key(who));
        let gone: Vec<IdentityId> =
            one.members.keys().filter(|who| !members.contains_key(who)).copied().collect();
        one.former.extend(gone.iter().copied().filter(|who| *who != me));
        one.former.retain(|who| !members.contains_key(who));
        while one.former.len() > limits::MEMBERS {
            one.former.pop_first();
        }
        for who in gone {
            one.left.remove(&who);
        }
        one.members = members;
        let let_in = standing == Standing::Member && one.standing != Standing::Member;
        one.standing = standing;
        if one.standing == Standing::Member {
            one.invitation = None;
        }
        if came {
            one.introduced = false;
        }
        if let_in {
            self.introduce(now, group.into());
        }
        self.group_changed(group);
        self.give_up(group.into());
        self.pump(now);
    }

    /// A peer of a group takes us for no member, or refuses our invitation: whose it is, if that is known, and the core's code. What
    /// can only be so for all counts; as a member we believe it of members, for who was removed says the same of others.
    pub fn on_excluded(&mut self, group: PartyKey, by: Option<IdentityId>, code: &str) {
        let Some(one) = self.groups.get_mut(&group) else { return };
        let certain = match one.standing {
            Standing::Joining => matches!(code, "invitation-used" | "invitation-expired" | "removed"),
            Standing::Member => code == "removed" && by.is_some_and(|by| one.members.contains_key(&by)),
            Standing::Out(_) => false,
        };
        if certain {
            one.standing = Standing::Out(code.to_owned());
            one.invitation = None;
            self.group_changed(group);
        }
    }

    /// These are linked in the party of a group.
    pub fn on_present(&mut self, now: u64, group: PartyKey, present: impl IntoIterator<Item = IdentityId>) {
        let me = self.me;
        let Some(one) = self.groups.get_mut(&group) else { return };
        let present: BTreeSet<IdentityId> =
            present.into_iter().filter(|who| *who != me).take(limits::MEMBERS).collect();
        if present == one.present {
            return;
        }
        for who in present.difference(&one.present) {
            self.files.is_heard(who);
            self.files.of(group.into()).for_each(|(_, file)| file.came(who));
        }
        one.present = present;
        self.outputs.push_back(Output::Event(Event::Group { group }));
        self.give_up(group.into());
        self.pump(now);
    }

    /// A document has its place in our feed, and is stored; or not, with the core's code.
    pub fn on_published(&mut self, now: u64, token: u64, outcome: Result<(), &str>) {
        let Some(one) = self.outgoing.get(token).cloned() else { return };
        let Some(group) = one.to.group() else { return };
        match outcome {
            // The peer ends, or is not in the party yet: it goes later, also in the next run.
            Err("closed" | "queue-full" | "not-in-party") => self.outgoing.later(now, token),
            outcome => {
                self.outgoing.remove(token);
                self.outputs.push_back(Output::Remove { key: super::outgoing_key(token) });
                let state = match outcome {
                    Ok(()) => State::Published,
                    Err(code) => State::Failed(code.to_owned()),
                };
                if let Some(id) = one.text {
                    self.advance(group.into(), id, state, None);
                }
            }
        }
        self.pump(now);
    }

    // ---- inside ----

    /// Joins what we are in, at the start.
    pub(super) fn join_groups(&mut self) {
        for (group, one) in &self.groups {
            if !matches!(one.standing, Standing::Out(_)) {
                let invitation = one.invitation.clone();
                self.outputs.push_back(Output::Join { group: *group, invitation });
            }
        }
    }

    /// A group in which we may write.
    pub(super) fn writes(&self, group: PartyKey) -> Done<&Group> {
        let one = self.groups.get(&group).ok_or(BookError::NoGroup)?;
        match &one.standing {
            Standing::Joining => return Err(BookError::NotAMember("no admin has let you in yet".to_owned())),
            Standing::Out(code) => return Err(BookError::NotAMember(code.clone())),
            Standing::Member => {}
        }
        if one.role(&self.me) >= Some(Role::Writer) { Ok(one) } else { Err(BookError::NotAWriter) }
    }

    fn administers(&self, group: PartyKey) -> Done<&Group> {
        let one = self.writes(group)?;
        if one.role(&self.me) == Some(Role::Admin) { Ok(one) } else { Err(BookError::NotAnAdmin) }
    }

    /// Whether somebody may be removed by us.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn may_remove(&self, group: PartyKey, who: IdentityId) -> Done {
        let one = self.administers(group)?;
        if who == self.me {
            return Err(BookError::Oneself);
        }
        if one.members.contains_key(&who) { Ok(()) } else { Err(BookError::NoContact) }
    }

    fn room_for_group(&self, group: PartyKey) -> Done {
        if self.groups.contains_key(&group) {
            return Err(BookError::KnownGroup);
        }
        if self.groups.len() >= limits::GROUPS {
            return Err(BookError::TooManyGroups);
        }
        self.room_to_send(2)
    }

    fn answer(&mut self, with: IdentityId, of: DocumentId, taken: bool) {
        let item = self.contacts.get_mut(&with).and_then(|one| one.conversation.find_mut(with, of));
        if let Some(item) = item {
            item.taken = Some(taken);
            let seq = item.seq;
            self.item_row(with.into(), seq);
            let changed = Event::Changed { with: with.into(), author: with, id: of };
            self.outputs.push_back(Output::Event(changed));
        }
    }

    fn say_name(&mut self, now: u64, group: PartyKey, name: String, picture: Option<Picture>) {
        let me = self.me;
        let Some(one) = self.groups.get_mut(&group) else { return };
        let last = one.namings.values().map(|naming| naming.issued).max().unwrap_or_default();
        let issued = now.max(last + 1).min(limits::INTEGER.unsigned_abs());
        one.take_naming(me, Naming { issued, name: name.clone(), picture: picture.clone() });
        self.send(now, group, &Said::Group { issued, name, picture }, None);
        self.group_changed(group);
    }

    /// Says who we are, if somebody may not know it.
    pub(super) fn introduce(&mut self, now: u64, with: With) {
        let With::Group(group) = with else { return };
        let may = self.writes(group).is_ok() && !self.profile.name.is_empty() && !self.outgoing.is_full(1);
        let Some(one) = self.groups.get_mut(&group).filter(|one| may && !one.introduced) else { return };
        one.introduced = true;
        let profile = Profile { picture: None, ..self.profile.clone() };
        self.group_row(group);
        self.supersede(with, Kind::Profile);
        if let Ok(document) = (Said::Profile(profile)).encode() {
            self.queue(now, with, What::Document(document.encode(), Kind::Profile), None);
            self.pump(now);
        }
    }

    /// We are called otherwise.
    pub(super) fn introduce_everywhere(&mut self, now: u64) {
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            if let Some(one) = self.groups.get_mut(&group) {
                one.introduced = false;
            }
            self.group_row(group);
            self.introduce(now, group.into());
        }
    }

    pub(super) fn group_row(&mut self, group: PartyKey) {
        if let Some(value) = self.groups.get(&group).map(rows::group) {
            self.put(rows::group_key(group), value);
        }
    }

    pub(super) fn group_changed(&mut self, group: PartyKey) {
        self.group_row(group);
        self.outputs.push_back(Output::Event(Event::Group { group }));
    }
}
