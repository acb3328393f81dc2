//! What a person does with a book: contacts, texts, files.

use weft_wire::IdentityId;

use super::api::{BookError, Event, Output, State};
use super::contact::{Contact, Relation, Stranger};
use super::conversation::{Change, Deed};
use super::files::{File, FileState};
use super::outgoing::{Waiting, What};
use super::with::With;
use super::{Book, Done, NewFile, missing, outgoing_key, rows, within};
use crate::decode::is_media_type;
use crate::hex::{AttachmentHash, DocumentId, Room};
use crate::limits;
use crate::said::{Attachment, Head, Picture, Profile, Said, Text};

impl Book {
    /// Says who we are, to all contacts.
    ///
    /// # Errors
    /// [`BookError::Bound`], [`BookError::Wrong`].
    pub fn set_profile(
        &mut self,
        now: u64,
        name: &str,
        color: Option<String>,
        picture: Option<Picture>,
    ) -> Done {
        let name = name.trim();
        within("the name", name.len(), 1, limits::NAME)?;
        let is_color = |color: &str| {
            color
                .strip_prefix('#')
                .is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        if color.as_deref().is_some_and(|color| !is_color(color)) {
            return Err(BookError::Wrong("the color"));
        }
        let issued = now.max(self.profile.issued + 1);
        self.profile = Profile { issued, name: name.to_owned(), color, picture };
        self.put(rows::PROFILE.to_vec(), rows::profile(&self.profile));
        let all: Vec<_> = self.contacts.iter().filter(|(_, one)| one.relation == Relation::Both).collect();
        for who in all.into_iter().map(|(who, _)| *who).collect::<Vec<_>>() {
            self.tell_profile(now, who);
        }
        self.introduce_everywhere(now);
        Ok(())
    }

    /// Asks somebody to be a contact; if they have asked already, that makes both one.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn add(&mut self, now: u64, who: IdentityId, name: &str, note: &str) -> Done {
        within("the note", note.len(), 0, limits::NOTE)?;
        if who == self.me {
            return Err(BookError::Oneself);
        }
        if self.blocked.contains(&who) {
            return Err(BookError::Blocked);
        }
        if self.contacts.contains_key(&who) {
            return Err(BookError::Known);
        }
        if self.strangers.get(&who).is_some_and(Stranger::asks) {
            return self.accept(now, who);
        }
        self.room_for_one_more()?;
        let stranger = self.take_stranger(who);
        let name = crate::shown::line(name);
        self.contacts.insert(who, Contact::new(Relation::Asked, name, now));
        self.move_in(now, who, stranger);
        let room = Room(self.random());
        let Some(head) = self.head(now, who.into()) else { return Ok(()) };
        if let Some(contact) = self.contacts.get_mut(&who) {
            contact.asked = Some((head.id, room));
        }
        let said = Said::Contact { head, name: self.own_name(), room, note: note.to_owned() };
        self.send(now, who, &said, None);
        self.contact_changed(who);
        Ok(())
    }

    /// Takes somebody who asked, or who wrote without asking: then we ask.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn accept(&mut self, now: u64, who: IdentityId) -> Done {
        let Some(stranger) = self.strangers.get(&who) else { return Err(BookError::NoRequest) };
        let Some((id, room)) = stranger.request else {
            let name = stranger.name.clone();
            return self.add(now, who, &name, "");
        };
        self.room_for_one_more()?;
        let stranger = self.take_stranger(who);
        let name = stranger.as_ref().map(|one| one.name.clone()).unwrap_or_default();
        let mut contact = Contact::new(Relation::Both, name, now);
        contact.was_asked = Some((id, room));
        contact.room = Some(room);
        self.contacts.insert(who, contact);
        self.move_in(now, who, stranger);
        self.agree(now, who);
        Ok(())
    }

    /// Turns somebody away who asked. They are told nothing.
    ///
    /// # Errors
    /// [`BookError::NoRequest`].
    pub fn refuse(&mut self, who: IdentityId) -> Done {
        self.take_stranger(who).map(|_| ()).ok_or(BookError::NoRequest)
    }

    /// Never hears somebody again, until that is taken back. A contact is one no more, and what was said is removed.
    ///
    /// # Errors
    /// [`BookError::TooMany`].
    pub fn block(&mut self, who: IdentityId) -> Done {
        if self.blocked.len() >= limits::BLOCKED {
            return Err(BookError::TooMany);
        }
        self.take_stranger(who);
        // They may not be one.
        let _ = self.remove(who);
        self.blocked.insert(who);
        self.put(rows::key(b'b', &who, b""), vec![0xa0]);
        Ok(())
    }

    /// Hears somebody again.
    ///
    /// # Errors
    /// [`BookError::NoContact`].
    pub fn unblock(&mut self, who: IdentityId) -> Done {
        if !self.blocked.remove(&who) {
            return Err(BookError::NoContact);
        }
        self.outputs.push_back(Output::Remove { key: rows::key(b'b', &who, b"") });
        Ok(())
    }

    /// Removes a contact and all that was said.
    ///
    /// # Errors
    /// [`BookError::NoContact`].
    pub fn remove(&mut self, who: IdentityId) -> Done {
        let contact = self.contacts.remove(&who).ok_or(BookError::NoContact)?;
        self.forget_conversation(who.into(), &contact.conversation);
        self.stored.retain(|_, (with, _)| *with != who);
        self.outputs.push_back(Output::Remove { key: rows::key(b'c', &who, b"") });
        self.outputs.push_back(Output::Event(Event::Contact { with: who }));
        self.settle_rooms();
        Ok(())
    }

    /// Gives a contact a name of one's own, or with an empty one takes it back.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::Bound`].
    pub fn rename(&mut self, who: IdentityId, name: &str) -> Done {
        let name = name.trim();
        within("the name", name.len(), 0, limits::NAME)?;
        let contact = self.contacts.get_mut(&who).ok_or(BookError::NoContact)?;
        contact.given = Some(name.to_owned()).filter(|name| !name.is_empty());
        self.contact_changed(who);
        Ok(())
    }

    /// Remembers that the words were compared, or not.
    ///
    /// # Errors
    /// [`BookError::NoContact`].
    pub fn set_verified(&mut self, who: IdentityId, verified: bool) -> Done {
        self.contacts.get_mut(&who).ok_or(BookError::NoContact)?.verified = verified;
        self.contact_changed(who);
        Ok(())
    }

    /// Announces nothing of a contact or group, or again.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::NoGroup`].
    pub fn set_muted(&mut self, with: impl Into<With>, muted: bool) -> Done {
        match with.into() {
            With::Person(who) => {
                self.contacts.get_mut(&who).ok_or(BookError::NoContact)?.muted = muted;
                self.contact_changed(who);
            }
            With::Group(group) => {
                self.groups.get_mut(&group).ok_or(BookError::NoGroup)?.muted = muted;
                self.group_changed(group);
            }
        }
        Ok(())
    }

    /// Writes a text. Gives its id.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn say(
        &mut self,
        now: u64,
        to: impl Into<With>,
        text: &str,
        reply: Option<(DocumentId, IdentityId)>,
        files: Vec<NewFile>,
    ) -> Done<DocumentId> {
        let to = to.into();
        within("the text", text.len(), usize::from(files.is_empty()), limits::TEXT)?;
        within("the list of attachments", files.len(), 0, limits::ATTACHMENTS)?;
        let conversation = self.written_to(to)?;
        if reply.is_some_and(|(id, author)| !conversation.has(author, id)) {
            return Err(BookError::NoText);
        }
        for file in &files {
            within("the attachment's name", file.name.len(), 1, limits::FILE_NAME)?;
            if file.name.chars().any(|char| char == '/' || char == '\\' || char.is_control()) {
                return Err(BookError::Wrong("the attachment's name"));
            }
            if !is_media_type(&file.media_type) {
                return Err(BookError::Wrong("the media type"));
            }
            let size = usize::try_from(file.size).unwrap_or(usize::MAX);
            within("the attachment", size, 0, usize::try_from(limits::ATTACHMENT).unwrap_or(usize::MAX))?;
        }
        let is_pushed = |size: u64| to.person().is_some() && size <= limits::PUSHED;
        let pushed: usize = files.iter().filter(|file| is_pushed(file.size)).map(|_| 8).sum();
        self.room_to_send(2 + pushed)?;
        let attachments = files.into_iter().map(|file| Attachment {
            name: file.name,
            media_type: file.media_type,
            size: file.size,
            hash: file.hash,
            data: file.data,
        });
        // Its number is as long as any that it may get.
        let longest = Head { id: DocumentId([0; 16]), sent: now, n: Some(limits::INTEGER.unsigned_abs()) };
        let mut said =
            Text { head: longest, text: text.to_owned(), reply, attachments: attachments.collect() };
        said.fit();
        self.introduce(now, to);
        let head = self.head(now, to).ok_or(BookError::NoContact)?;
        said.head = head;
        let pushed = said.attachments.iter().filter(|one| one.data.is_none() && is_pushed(one.size));
        let pushed: Vec<_> = pushed.map(|one| (one.hash, one.pieces())).collect();
        for one in &said.attachments {
            self.forget_by_itself(to, one.hash);
            let file = File::whole(one.size);
            self.put(rows::file_key(to, one.hash), rows::file(&file));
            self.files.all.insert((to, one.hash), file);
        }
        self.note_author(to, self.me, &said.attachments);
        let item = self.new_item(now, self.me, self.peer, &said, None);
        let said = Said::Text(said);
        self.insert(to, item);
        self.row_of(to);
        self.send(now, to, &said, Some(head.id));
        for (hash, count) in pushed {
            for at in 0..count {
                self.queue(now, to, What::Piece(hash, at), Some(head.id));
            }
        }
        self.stop_typing(to, false);
        self.settle_rooms();
        self.pump(now);
        Ok(head.id)
    }

    /// Writes other words in place of those of a text of ours.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn edit(&mut self, now: u64, to: impl Into<With>, of: DocumentId, text: &str) -> Done {
        let to = to.into();
        within("the text", text.len(), 1, limits::TEXT)?;
        self.own(to, of)?;
        self.room_to_send(1)?;
        let head = self.head(now, to).ok_or(BookError::NoContact)?;
        let deed = Deed::Edit(text.to_owned());
        self.change(to, Change { by: self.me, author: self.me, of, head, deed });
        self.send(now, to, &Said::Edit { head, of, text: text.to_owned() }, None);
        self.row_of(to);
        self.stop_typing(to, false);
        Ok(())
    }

    /// Takes a text of ours back.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn delete(&mut self, now: u64, to: impl Into<With>, of: DocumentId) -> Done {
        let to = to.into();
        self.own(to, of)?;
        self.room_to_send(1)?;
        let head = self.head(now, to).ok_or(BookError::NoContact)?;
        // What has not gone need not go.
        let waits = |one: &Waiting| one.to == to && one.text == Some(of) && !one.under_way;
        for token in self.outgoing.take(waits) {
            self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
        }
        self.change(to, Change { by: self.me, author: self.me, of, head, deed: Deed::Delete });
        self.send(now, to, &Said::Delete { head, of }, None);
        self.row_of(to);
        Ok(())
    }

    /// Reacts to a text, or with an empty sign takes that back.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn react(
        &mut self,
        now: u64,
        to: impl Into<With>,
        author: IdentityId,
        of: DocumentId,
        emoji: &str,
    ) -> Done {
        let to = to.into();
        within("the reaction", emoji.len(), 0, limits::EMOJI)?;
        let item = self.written_to(to)?.find(author, of).ok_or(BookError::NoText)?;
        let last = item.reactions.get(&self.me).map_or(0, |one| one.rank.0);
        self.room_to_send(1)?;
        let mut head = self.head(now, to).ok_or(BookError::NoContact)?;
        // The later one counts, also where the clock went back.
        head.sent = head.sent.max(last + 1);
        let deed = Deed::React(emoji.to_owned());
        self.change(to, Change { by: self.me, author, of, head, deed });
        self.send(now, to, &Said::Reaction { head, of, author, emoji: emoji.to_owned() }, None);
        self.row_of(to);
        Ok(())
    }

    /// We have seen what was said, up to a text or all of it; tells the other one, if it is one.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::NoGroup`], [`BookError::NoText`].
    pub fn read(&mut self, now: u64, with: impl Into<With>, up_to: Option<DocumentId>) -> Done {
        let with = with.into();
        let me = self.me;
        let conversation = self.conversation_mut(with).ok_or(missing(with))?;
        if up_to.is_some_and(|id| conversation.of_id(id).is_none()) {
            return Err(BookError::NoText);
        }
        let (seqs, last) = conversation.see(me, up_to);
        if seqs.is_empty() {
            return Ok(());
        }
        if let With::Person(who) = with
            && let Some(contact) = self.contacts.get_mut(&who)
        {
            contact.read_due = last;
        }
        for seq in seqs {
            self.item_row(with, seq);
        }
        self.outputs.push_back(Output::Event(Event::Unread { with }));
        self.on_time(now);
        Ok(())
    }

    /// We write just now, or have stopped. May be called with each key.
    ///
    /// # Errors
    /// [`BookError::NoContact`].
    pub fn typing(&mut self, now: u64, to: IdentityId, on: bool) -> Done {
        let contact = self.contacts.get_mut(&to).ok_or(BookError::NoContact)?;
        if !on {
            self.stop_typing(to.into(), true);
            return Ok(());
        }
        let soon =
            contact.typed_at.is_some_and(|at| now < at.saturating_add(limits::TYPING_EVERY) && now >= at);
        if contact.present && !soon {
            contact.typed_at = Some(now);
            self.say_typing(to, true);
        }
        Ok(())
    }

    /// Tries a text that has failed once more.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn resend(&mut self, now: u64, to: impl Into<With>, id: DocumentId) -> Done {
        let to = to.into();
        self.own(to, id)?;
        self.room_to_send(9)?;
        let me = self.me;
        let Some(item) = self.conversation_mut(to).and_then(|one| one.find_mut(me, id)) else {
            return Err(BookError::NoText);
        };
        if !matches!(item.state, State::Failed(_)) || item.deleted {
            return Err(BookError::NoText);
        }
        item.state = State::Sending;
        // What was inside it is not kept with it: it follows in pieces, or is asked for.
        let is_pushed = |one: &&Attachment| to.person().is_some() && one.size <= limits::PUSHED;
        let pushed: Vec<_> = item.attachments.iter().filter(is_pushed).cloned().collect();
        let said = match item.invitation.clone() {
            Some((name, invitation)) => Said::Invitation { head: item.head, name, invitation },
            None => Said::Text(Text {
                head: item.head,
                text: item.text.clone(),
                reply: item.reply,
                attachments: item.attachments.clone(),
            }),
        };
        let seq = item.seq;
        self.item_row(to, seq);
        self.outputs.push_back(Output::Event(Event::State { with: to, id, state: State::Sending }));
        self.send(now, to, &said, Some(id));
        for one in pushed {
            for at in 0..one.pieces() {
                self.queue(now, to, What::Piece(one.hash, at), Some(id));
            }
        }
        self.pump(now);
        Ok(())
    }

    /// Wants an attachment whole: it comes when who sent it is there, in a group also from others who have it, and goes on
    /// after a restart.
    ///
    /// # Errors
    /// [`BookError::NoContact`], [`BookError::NoText`].
    pub fn fetch(&mut self, now: u64, with: impl Into<With>, hash: AttachmentHash) -> Done {
        let with = with.into();
        self.conversation(with).ok_or(missing(with))?;
        let file = self.files.all.get_mut(&(with, hash)).ok_or(BookError::NoText)?;
        if matches!(file.state, FileState::Damaged | FileState::Gone) {
            file.state = FileState::Partial;
        }
        file.wanted = true;
        self.files.anew(&(with, hash));
        self.file_row(with, hash);
        self.pump(now);
        Ok(())
    }
}
