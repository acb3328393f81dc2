//! Contacts, strangers, groups and conversations: what documents make of them.
//!
//! Inputs: commands of whoever writes, documents and requests that came, what became of documents and questions, who is
//! there, whether signalers are in reach, time. Outputs: [`Output`], taken with [`Book::poll`] until there is none.
//! Timers ([`Book::deadline`]): a name that stops being shown as writing, a receipt that may go again, documents and pieces
//! that are tried again. Time is ms since 1970.
//!
//! Invariants: every bound of [`limits`] holds, whatever comes in whatever order; what came is never an
//! error but is dropped and counted; what is put into rows is the same book at the next start.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

use crate::decode::{decode, is_media_type};
use crate::hex::{AttachmentHash, DocumentId, Room};
use crate::limits;
use crate::said::{Attachment, Head, Picture, Profile, Reads, Said, Text};

mod api;
mod contact;
mod conversation;
mod files;
mod group;
mod groups;
mod outgoing;
mod rows;
mod with;

pub use api::{BookError, Event, Output, State};
pub use contact::{Contact, Relation, Stranger, short};
pub use conversation::{Item, Reaction};
pub use files::{File, FileState};
pub use group::{Group, Standing};
pub use groups::Published;
pub use with::With;

use conversation::{Applied, Change, Conversation, Deed};
use files::{Files, Question};
use outgoing::{Kind, Outgoing, Waiting, What};
use rows::Key;

/// Everybody one talks to, and what was said.
#[derive(Debug)]
pub struct Book {
    me: IdentityId,
    peer: PeerId,
    rng: ChaCha20Rng,
    profile: Profile,
    contacts: BTreeMap<IdentityId, Contact>,
    groups: BTreeMap<PartyKey, Group>,
    strangers: BTreeMap<IdentityId, Stranger>,
    blocked: BTreeSet<IdentityId>,
    outgoing: Outgoing,
    files: Files,
    /// Texts that are stored at residences, by the core's id.
    stored: BTreeMap<MessageId, (IdentityId, DocumentId)>,
    online: bool,
    rooms: Vec<(IdentityId, Room)>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// What was dropped so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Documents that break a bound.
    pub malformed: u64,
    /// Documents of kinds that are not known.
    pub unknown: u64,
    /// Documents that came again, or that nobody may send.
    pub dropped: u64,
}

/// A file to be sent, whose bytes the driver keeps already, in the conversation it is sent in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of them.
    pub hash: AttachmentHash,
    /// All of them, if they are at most [`limits::PIECE`].
    pub data: Option<Vec<u8>>,
}

type Done<T = ()> = Result<T, BookError>;

impl Book {
    /// An empty one. The seed makes ids and rooms; it has to be new each time.
    pub fn new(me: IdentityId, peer: PeerId, seed: [u8; 32]) -> Self {
        Self {
            me,
            peer,
            rng: ChaCha20Rng::from_seed(seed),
            profile: Profile::default(),
            contacts: BTreeMap::new(),
            groups: BTreeMap::new(),
            strangers: BTreeMap::new(),
            blocked: BTreeSet::new(),
            outgoing: Outgoing::default(),
            files: Files::default(),
            stored: BTreeMap::new(),
            online: false,
            rooms: Vec::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes what an earlier run put into rows, in any order. To be called once, before anything else.
    pub fn load(&mut self, rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut items = Vec::new();
        for (key, value) in rows {
            match Key::of(&key) {
                Some(Key::Profile) => self.profile = rows::read_profile(&value).unwrap_or_default(),
                Some(Key::Blocked(who)) => _ = self.blocked.insert(who),
                Some(Key::Contact(who)) => {
                    if let Some(contact) = rows::read_contact(&value) {
                        self.contacts.insert(who, contact);
                    }
                }
                Some(Key::Stranger(who)) => {
                    if let Some(stranger) = rows::read_stranger(&value) {
                        self.strangers.insert(who, stranger);
                    }
                }
                Some(Key::Group(key)) => {
                    if let Some(group) = rows::read_group(&value) {
                        self.groups.insert(key, group);
                    }
                }
                Some(Key::Item(with, seq)) => {
                    items.extend(rows::read_item(&value, seq).map(|item| (with, item)));
                }
                Some(Key::Outgoing(token)) => {
                    if let Some(waiting) = rows::read_waiting(&value) {
                        self.outgoing.restore(token, waiting);
                    }
                }
                Some(Key::File(with, hash)) => {
                    if let Some(file) = rows::read_file(&value) {
                        self.files.by_itself += if file.by_itself { file.size } else { 0 };
                        self.files.all.insert((with, hash), file);
                    }
                }
                None => {}
            }
        }
        // In the order of their coming, each has the place that it had.
        items.sort_by_key(|(with, item)| (*with, item.seq));
        for (with, item) in items {
            let (message, id) = (item.message, item.head.id);
            self.note_author(with, item.author, &item.attachments);
            let Some(conversation) = self.conversation_mut(with) else { continue };
            let _ = conversation.insert(item);
            if let (Some(message), Some(who)) = (message, with.person()) {
                self.stored.insert(message, (who, id));
            }
        }
        let checks = self.files.all.iter().filter(|(_, file)| file.state == FileState::Checking);
        let checks =
            checks.map(|((with, hash), file)| Output::Check { with: *with, hash: *hash, size: file.size });
        self.outputs.extend(checks);
        self.join_groups();
        self.settle_rooms();
    }

    // ---- what is in it ----

    /// Whose it is.
    pub fn me(&self) -> IdentityId {
        self.me
    }

    /// What we say of ourselves.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The name that others are told.
    pub fn own_name(&self) -> String {
        if self.profile.name.is_empty() { short(&self.me) } else { self.profile.name.clone() }
    }

    /// Everybody one talks to.
    pub fn contacts(&self) -> impl Iterator<Item = (&IdentityId, &Contact)> {
        self.contacts.iter()
    }

    /// One of them.
    pub fn contact(&self, who: &IdentityId) -> Option<&Contact> {
        self.contacts.get(who)
    }

    /// Who has written and is none of those.
    pub fn strangers(&self) -> impl Iterator<Item = (&IdentityId, &Stranger)> {
        self.strangers.iter()
    }

    /// One of them.
    pub fn stranger(&self, who: &IdentityId) -> Option<&Stranger> {
        self.strangers.get(who)
    }

    /// Who is never heard.
    pub fn blocked(&self) -> impl Iterator<Item = &IdentityId> {
        self.blocked.iter()
    }

    /// What is here of an attachment.
    pub fn file(&self, with: impl Into<With>, hash: AttachmentHash) -> Option<&File> {
        self.files.all.get(&(with.into(), hash))
    }

    /// A text of a conversation, by its author and id.
    pub fn item(&self, with: impl Into<With>, author: IdentityId, id: DocumentId) -> Option<&Item> {
        self.conversation(with.into())?.find(author, id)
    }

    /// A text of a conversation by its id alone; the latest, if several have used it.
    pub fn item_of(&self, with: impl Into<With>, id: DocumentId) -> Option<&Item> {
        self.conversation(with.into())?.of_id(id)
    }

    /// What is said in a conversation, in order.
    pub fn items(&self, with: impl Into<With>) -> impl DoubleEndedIterator<Item = &Item> + ExactSizeIterator {
        static NOTHING: VecDeque<Item> = VecDeque::new();
        self.conversation(with.into()).map_or(&NOTHING, Conversation::items).iter()
    }

    /// There is such a conversation.
    pub fn has(&self, with: impl Into<With>) -> bool {
        self.conversation(with.into()).is_some()
    }

    /// Texts of a conversation that we have not seen.
    pub fn unread(&self, with: impl Into<With>) -> usize {
        self.conversation(with.into()).map_or(0, Conversation::unread)
    }

    /// How many documents wait here.
    pub fn waiting(&self) -> usize {
        self.outgoing.len()
    }

    /// What was dropped so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Signalers are in reach, as far as was told.
    pub fn online(&self) -> bool {
        self.online
    }

    // ---- commands ----

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

    // ---- what happens ----

    /// A message came.
    pub fn on_document(
        &mut self,
        now: u64,
        from: IdentityId,
        peer: PeerId,
        id: &MessageId,
        time: u64,
        document: &Document,
    ) {
        match decode(document, id, time) {
            Ok(said) => self.on_said(now, from, peer, said),
            Err(error) if error.code() == "unknown" => self.counters.unknown += 1,
            Err(_) => self.counters.malformed += 1,
        }
    }

    fn on_said(&mut self, now: u64, from: IdentityId, peer: PeerId, said: Said) {
        if from == self.me || self.blocked.contains(&from) {
            self.counters.dropped += 1;
            return;
        }
        let Some(contact) = self.contacts.get_mut(&from) else {
            return self.on_stranger(now, from, peer, said);
        };
        let quiet = contact.is_flood(now) || contact.muted;
        match said {
            Said::Text(text) => {
                if std::mem::take(&mut contact.typing_until).is_some() {
                    self.outputs.push_back(Output::Event(Event::Typing { with: from, on: false }));
                }
                let item = self.new_item(now, from, peer, &text, None);
                self.on_item(now, from.into(), item, text.attachments, quiet);
            }
            Said::Invitation { head, name, invitation } => {
                let text = Text { head, text: String::new(), reply: None, attachments: Vec::new() };
                let item = self.new_item(now, from, peer, &text, Some((name, invitation)));
                self.on_item(now, from.into(), item, Vec::new(), quiet);
            }
            Said::Edit { head, of, text } => {
                let deed = Deed::Edit(text);
                self.change(from.into(), Change { by: from, author: from, of, head, deed });
            }
            Said::Delete { head, of } => {
                let deed = Deed::Delete;
                self.change(from.into(), Change { by: from, author: from, of, head, deed });
            }
            Said::Reaction { head, of, author, emoji } => {
                if author == from || author == self.me {
                    let deed = Deed::React(emoji);
                    self.change(from.into(), Change { by: from, author, of, head, deed });
                } else {
                    self.counters.dropped += 1;
                }
            }
            Said::Read(reads) => {
                let seqs = contact.conversation.read(self.me, &reads);
                for seq in seqs {
                    self.item_row(from.into(), seq);
                    self.state_event(from.into(), seq);
                }
            }
            Said::Typing { on } => {
                let was = contact.typing();
                contact.typing_until = on.then(|| now.saturating_add(limits::TYPING_SHOWN));
                if was != on {
                    self.outputs.push_back(Output::Event(Event::Typing { with: from, on }));
                }
            }
            Said::Profile(profile) => {
                if contact.profile.as_ref().is_none_or(|known| known.issued < profile.issued) {
                    contact.profile = Some(profile);
                    self.contact_changed(from);
                }
            }
            Said::Contact { head, name, room, .. } => self.on_asked(now, from, head, name, room),
            Said::Accept { name, room } => {
                let known = contact.relation == Relation::Both && contact.room == Some(room);
                contact.said = name;
                contact.room = Some(room);
                let first = std::mem::replace(&mut contact.relation, Relation::Both) == Relation::Asked;
                if !known {
                    self.contact_changed(from);
                    self.settle_rooms();
                }
                if first {
                    self.tell_profile(now, from);
                }
            }
            Said::Piece { of, at, data: Some(data) } => self.on_piece(now, from.into(), of, at, data),
            Said::Piece { data: None, .. } | Said::Group { .. } | Said::Leave { .. } => {
                self.counters.dropped += 1;
            }
        }
    }

    fn on_stranger(&mut self, now: u64, from: IdentityId, peer: PeerId, said: Said) {
        let item = match &said {
            Said::Text(text) => Some(self.new_item(now, from, peer, text, None)),
            Said::Contact { .. } => None,
            // Nobody asked for anything else of theirs.
            _ => {
                self.counters.dropped += 1;
                return;
            }
        };
        let stranger = self.strangers.entry(from).or_insert_with(|| Stranger::new(now));
        match (said, item) {
            (Said::Contact { head, name, room, note }, _)
                if stranger.request.is_none_or(|(id, _)| id != head.id) =>
            {
                stranger.request = Some((head.id, room));
                stranger.name = name;
                stranger.note = note;
            }
            (Said::Text(_), Some(item))
                if stranger.items.len() < limits::STRANGERS_DOCUMENTS
                    && stranger.items.iter().all(|other| other.head.id != item.head.id) =>
            {
                stranger.items.push(item);
            }
            _ => {
                self.counters.dropped += 1;
                return;
            }
        }
        let value = rows::stranger(stranger);
        self.put(rows::key(b's', &from, b""), value);
        if self.strangers.len() > limits::STRANGERS {
            let oldest =
                self.strangers.iter().filter(|(who, _)| **who != from).min_by_key(|(_, one)| one.came);
            if let Some(oldest) = oldest.map(|(who, _)| *who) {
                self.take_stranger(oldest);
            }
        }
        self.outputs.push_back(Output::Event(Event::Stranger { from }));
    }

    /// A contact asks: they did not know that we had, or know no more that we are.
    fn on_asked(&mut self, now: u64, from: IdentityId, head: Head, name: String, room: Room) {
        let Some(contact) = self.contacts.get_mut(&from) else { return };
        if contact.was_asked.is_some_and(|(id, _)| id == head.id) {
            self.counters.dropped += 1;
            return;
        }
        contact.was_asked = Some((head.id, room));
        contact.said = name;
        let ours = contact.asked.filter(|_| contact.relation == Relation::Asked);
        contact.relation = Relation::Both;
        contact.room = Some(match ours {
            Some((id, own)) if id < head.id => own,
            _ => room,
        });
        self.agree(now, from);
    }

    /// Both agree: says so, and who we are.
    fn agree(&mut self, now: u64, who: IdentityId) {
        let Some(room) = self.contacts.get(&who).and_then(|contact| contact.room) else { return };
        let said = Said::Accept { name: self.own_name(), room };
        self.send(now, who, &said, None);
        self.tell_profile(now, who);
        self.contact_changed(who);
        self.settle_rooms();
    }

    fn on_item(&mut self, now: u64, with: With, item: Item, attachments: Vec<Attachment>, quiet: bool) {
        let (author, id) = (item.author, item.head.id);
        if !self.insert(with, item) {
            self.counters.dropped += 1;
            return;
        }
        if let Some(conversation) = self.conversation_mut(with) {
            conversation.take_early(author, id);
            let seq = conversation.find(author, id).map(|item| item.seq);
            if let Some(seq) = seq {
                self.item_row(with, seq);
            }
        }
        for one in &attachments {
            self.expect(with, one);
        }
        self.note_author(with, author, &attachments);
        for one in attachments {
            if one.size == 0 {
                self.check(with, one.hash);
            }
            if let Some(data) = one.data.filter(|data| !data.is_empty()) {
                self.on_piece(now, with, one.hash, 0, data);
            }
        }
        let contact = with.person().and_then(|who| self.contacts.get_mut(&who));
        let early = contact.map(|one| std::mem::take(&mut one.early)).unwrap_or_default();
        for (hash, at, data) in early {
            self.on_piece(now, with, hash, at, data);
        }
        self.outputs.push_back(Output::Event(Event::Came { with, author, id, quiet }));
        self.settle_rooms();
        self.pump(now);
    }

    /// There is such an attachment.
    fn expect(&mut self, with: With, one: &Attachment) {
        let in_group = with.group().is_some();
        match self.files.all.entry((with, one.hash)) {
            Entry::Vacant(place) => {
                let mut file = File::new(one.size);
                let fits = self.files.by_itself + one.size <= limits::BY_ITSELF;
                file.by_itself = in_group && fits && one.size <= limits::PUSHED;
                file.wanted = file.by_itself || (!in_group && one.size <= limits::PUSHED);
                self.files.by_itself += if file.by_itself { one.size } else { 0 };
                place.insert(file);
                self.file_row(with, one.hash);
            }
            // Somebody else has it.
            Entry::Occupied(mut place) if in_group && place.get().state == FileState::Gone => {
                let file = place.get_mut();
                file.state = FileState::Partial;
                file.wanted = file.by_itself;
                self.file_row(with, one.hash);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// In a group somebody wrote a text with these, and may be asked for them.
    fn note_author(&mut self, with: With, author: IdentityId, attachments: &[Attachment]) {
        for one in attachments.iter().filter(|_| with.group().is_some()) {
            if let Some(file) = self.files.all.get_mut(&(with, one.hash)) {
                file.authors.insert(author);
            }
        }
    }

    /// A piece of something of theirs, asked for or not.
    fn on_piece(&mut self, now: u64, with: With, hash: AttachmentHash, at: u32, data: Vec<u8>) {
        let Some(file) = self.files.all.get_mut(&(with, hash)) else {
            if let Some(contact) = with.person().and_then(|who| self.contacts.get_mut(&who)) {
                contact.early.push((hash, at, data));
                if contact.early.len() > limits::EARLY_PIECES {
                    contact.early.remove(0);
                }
            }
            return;
        };
        if file.state != FileState::Partial || data.len() != file.piece_len(at) || !file.take(at) {
            self.counters.dropped += 1;
            return;
        }
        let all = file.got() == file.pieces();
        self.outputs.push_back(Output::Keep { with, hash, at, data });
        self.file_row(with, hash);
        if all {
            self.check(with, hash);
        }
        self.pump(now);
    }

    fn check(&mut self, with: With, hash: AttachmentHash) {
        let Some(file) = self.files.all.get_mut(&(with, hash)) else { return };
        if file.state == FileState::Partial {
            file.state = FileState::Checking;
            let size = file.size;
            self.file_row(with, hash);
            self.outputs.push_back(Output::Check { with, hash, size });
        }
    }

    /// The pieces of an attachment, one behind the other, have its hash and size, or not.
    pub fn on_checked(&mut self, now: u64, with: impl Into<With>, hash: AttachmentHash, right: bool) {
        let with = with.into();
        let Some(file) = self.files.all.get_mut(&(with, hash)) else { return };
        if file.state != FileState::Checking {
            return;
        }
        file.wanted = false;
        file.state = if right { FileState::Here } else { FileState::Damaged };
        if !right {
            file.restart();
            file.suspect = with.group().is_some();
            self.outputs.push_back(Output::Forget { with, hash });
        }
        self.file_row(with, hash);
        self.pump(now);
    }

    /// Somebody asks something of us: only pieces are given, and only to whom the attachment was sent, or to members of a group
    /// in which it is.
    pub fn on_request(&mut self, from: IdentityId, request: MessageId, time: u64, document: &Document) {
        let given = match decode(document, &request, time) {
            Ok(Said::Piece { of, at, data: None }) => self.given_to(from, of, at).map(|with| (with, of, at)),
            _ => None,
        };
        self.outputs.push_back(match given {
            Some((with, hash, at)) => Output::Give { request, with, hash, at },
            None => Output::Refuse { request },
        });
    }

    /// The conversation in which a piece is kept that somebody may have.
    fn given_to(&self, who: IdentityId, hash: AttachmentHash, at: u32) -> Option<With> {
        let is_here = |with: With| {
            let file = self.files.all.get(&(with, hash));
            file.is_some_and(|file| file.state == FileState::Here && file.has(at))
        };
        if self.blocked.contains(&who) {
            return None;
        }
        let groups = self.groups.iter().filter(|(_, one)| one.standing == Standing::Member);
        let groups =
            groups.filter(|(_, one)| one.members.contains_key(&who)).map(|(key, _)| With::Group(*key));
        let person = Some(With::Person(who)).filter(|_| self.was_sent(who, hash));
        person.into_iter().chain(groups).find(|with| is_here(*with))
    }

    fn was_sent(&self, to: IdentityId, hash: AttachmentHash) -> bool {
        let Some(contact) = self.contacts.get(&to) else { return false };
        let ours = contact.conversation.items().iter().filter(|item| item.author == self.me);
        ours.flat_map(|item| &item.attachments).any(|one| one.hash == hash)
    }

    /// A question of ours has its answer, or the core's or the other side's word for why not.
    pub fn on_answer(&mut self, now: u64, token: u64, answer: Result<&Document, &str>) {
        let Some(Question { key, at, to }) = self.files.close(token) else { return };
        let (with, hash) = key;
        let Some(file) = self.files.all.get_mut(&key) else { return self.pump(now) };
        let piece = answer.ok().and_then(|document| piece_of(document, hash, at));
        let piece = piece.filter(|data| data.len() == file.piece_len(at));
        match (piece, answer) {
            (Some(data), _) => {
                self.files.is_heard(&to);
                self.on_piece(now, with, hash, at, data);
            }
            (None, Err("gone")) if with.person().is_some() => self.lose(with, hash),
            // Perhaps another member has it.
            (None, Err("gone") | Ok(_)) if with.group().is_some() => {
                file.refused(now, to, answer.is_err());
                self.files.is_heard(&to);
                self.give_up(with);
            }
            (None, _) => self.files.is_silent(now, to),
        }
        self.pump(now);
    }

    /// Nobody has an attachment any more, unless it came meanwhile.
    fn lose(&mut self, with: With, hash: AttachmentHash) {
        let file = self.files.all.get_mut(&(with, hash)).filter(|file| file.state == FileState::Partial);
        if let Some(file) = file {
            file.state = FileState::Gone;
            file.wanted = false;
            self.file_row(with, hash);
        }
    }

    /// What nobody of a group has who could be asked is gone.
    fn give_up(&mut self, with: With) {
        let present = self.asked_in(&with);
        let lost = self.files.of(with).filter(|(_, file)| file.wanted && file.is_lost(&present));
        for hash in lost.map(|(hash, _)| hash).collect::<Vec<_>>() {
            self.lose(with, hash);
        }
    }

    /// Who is there in a conversation and may have its attachments.
    fn asked_in(&self, with: &With) -> Vec<IdentityId> {
        match with {
            With::Person(who) => Some(*who).filter(|_| self.is_present(with)).into_iter().collect(),
            With::Group(group) => {
                let one = self.groups.get(group).filter(|one| one.standing == Standing::Member);
                let present = one
                    .into_iter()
                    .flat_map(|one| one.present.iter().filter(|who| one.members.contains_key(who)).copied());
                present.filter(|who| !self.blocked.contains(who)).collect()
            }
        }
    }

    /// A document was taken by the core: it is stored at the reader's residence, or delivered, under that id; or it was not,
    /// with the core's code.
    pub fn on_sent(&mut self, now: u64, token: u64, outcome: Result<(MessageId, bool), &str>) {
        let Some(one) = self.outgoing.get(token).cloned() else { return };
        let is_text = matches!(one.what, What::Document(_, Kind::Text));
        let With::Person(to) = one.to else { return };
        match outcome {
            Ok((message, delivered)) => {
                self.outgoing.remove(token);
                self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
                if let Some(id) = one.text.filter(|_| is_text) {
                    if !delivered {
                        self.stored.insert(message, (to, id));
                    }
                    let state = if delivered { State::Delivered } else { State::Stored };
                    self.advance(one.to, id, state, Some(message));
                }
            }
            // The core ends, has no room or reaches nobody at all: it goes later, and also in the next run.
            Err("closed" | "queue-full" | "too-many" | "outbox-full") => self.outgoing.later(now, token),
            Err(_) if !self.online => self.outgoing.later(now, token),
            Err(code) if is_text => {
                self.outgoing.remove(token);
                self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
                if let Some(id) = one.text {
                    self.advance(one.to, id, State::Failed(code.to_owned()), None);
                }
            }
            // A piece is asked for when both are there; what nobody sees is tried again for as long as the core would.
            Err(_)
                if matches!(one.what, What::Piece(..)) || now.saturating_sub(one.since) > outgoing::LIFE =>
            {
                self.outgoing.remove(token);
                self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
            }
            Err(_) => self.outgoing.later(now, token),
        }
        self.pump(now);
    }

    /// What became later of a message that was stored, also in an earlier run.
    pub fn on_outcome(&mut self, message: &MessageId, outcome: Result<(), &str>) {
        let Some((with, id)) = self.stored.remove(message) else { return };
        let state = match outcome {
            Ok(()) => State::Delivered,
            // It is told in the next run.
            Err("closed") => {
                self.stored.insert(*message, (with, id));
                return;
            }
            Err(code) => State::Failed(code.to_owned()),
        };
        self.advance(with.into(), id, state, None);
    }

    /// A peer of a contact is linked in the room, or none any more.
    pub fn on_presence(&mut self, now: u64, who: IdentityId, on: bool) {
        let Some(contact) = self.contacts.get_mut(&who) else { return };
        if contact.present == on {
            return;
        }
        contact.present = on;
        contact.typed_at = None;
        self.outputs.push_back(Output::Event(Event::Presence { with: who, on }));
        if on {
            self.outgoing.hurry(Some(who.into()));
            self.files.is_heard(&who);
        }
        self.pump(now);
    }

    /// Some signaler is in reach, or none.
    pub fn on_online(&mut self, now: u64, on: bool) {
        if !std::mem::replace(&mut self.online, on) && on {
            self.outgoing.hurry(None);
        }
        self.pump(now);
    }

    /// It is now.
    pub fn on_time(&mut self, now: u64) {
        let mut due = Vec::new();
        for (who, contact) in &mut self.contacts {
            if contact.typing_until.is_some_and(|until| until <= now) {
                contact.typing_until = None;
                self.outputs.push_back(Output::Event(Event::Typing { with: *who, on: false }));
            }
            let pause = contact.read_at.saturating_add(limits::READ_EVERY) > now && contact.read_at <= now;
            if !pause && let Some(id) = contact.read_due.take() {
                contact.read_at = now;
                due.push((*who, id));
            }
        }
        for (who, id) in due {
            // What is not yet gone says less than this.
            self.supersede(who.into(), Kind::Read);
            self.send(now, who, &Said::Read(Reads::UpTo(id)), None);
        }
        self.pump(now);
    }

    /// What is to be done, until there is nothing.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`on_time`](Self::on_time) is due, if nothing else happens.
    pub fn deadline(&self, now: u64) -> Option<u64> {
        let contacts = self.contacts.values();
        let typing = contacts.clone().filter_map(|one| one.typing_until);
        let reads = contacts.filter(|one| one.read_due.is_some()).map(|one| one.read_at + limits::READ_EVERY);
        let outgoing = self.outgoing.deadline(|with| self.reaches(with));
        let files = self.files.deadline(now, |with| self.asked_in(with));
        typing.chain(reads).chain(outgoing).chain(files).min()
    }

    // ---- inside ----

    /// What is for them can be given to the core.
    fn reaches(&self, with: &With) -> bool {
        match with {
            With::Person(_) => self.online || self.is_present(with),
            // One's own feed is always in reach.
            With::Group(group) => self.groups.get(group).is_some_and(|one| one.standing == Standing::Member),
        }
    }

    fn is_present(&self, with: &With) -> bool {
        with.person().and_then(|who| self.contacts.get(&who)).is_some_and(|contact| contact.present)
    }

    fn conversation(&self, with: With) -> Option<&Conversation> {
        match with {
            With::Person(who) => self.contacts.get(&who).map(|one| &one.conversation),
            With::Group(group) => self.groups.get(&group).map(|one| &one.conversation),
        }
    }

    fn conversation_mut(&mut self, with: With) -> Option<&mut Conversation> {
        match with {
            With::Person(who) => self.contacts.get_mut(&who).map(|one| &mut one.conversation),
            With::Group(group) => self.groups.get_mut(&group).map(|one| &mut one.conversation),
        }
    }

    /// A conversation in which we may write.
    fn written_to(&self, with: With) -> Done<&Conversation> {
        if let With::Group(group) = with {
            self.writes(group)?;
        }
        self.conversation(with).ok_or(missing(with))
    }

    /// Gives the core what may go, and asks for what may be asked for.
    fn pump(&mut self, now: u64) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        while let Some((token, one)) = outgoing.next(now, |with| self.reaches(with)) {
            let output = match (&one.what, one.to) {
                (What::Document(bytes, _), to) => match (Document::decode(bytes), to) {
                    (Ok(document), With::Person(to)) => {
                        Output::Send { token, to, document, now_or_never: false }
                    }
                    (Ok(document), With::Group(group)) => Output::Publish { token, group, document },
                    (Err(_), _) => continue,
                },
                (What::Piece(hash, at), With::Person(to)) => {
                    Output::SendPiece { token, to, hash: *hash, at: *at }
                }
                (What::Piece(..), With::Group(_)) => continue,
            };
            self.outputs.push_back(output);
        }
        self.outgoing = outgoing;
        let mut files = std::mem::take(&mut self.files);
        while let Some((token, Question { key: (_, of), at, to })) =
            files.ask(now, |with| self.asked_in(with))
        {
            if let Ok(document) = (Said::Piece { of, at, data: None }).encode() {
                self.outputs.push_back(Output::Ask { token, to, document });
            }
        }
        self.files = files;
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.outputs.push_back(Output::Put { key, value });
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The head of the next document in a conversation.
    fn head(&mut self, now: u64, to: With) -> Option<Head> {
        let id = DocumentId(self.random());
        let count = match to {
            With::Person(who) => &mut self.contacts.get_mut(&who)?.count,
            With::Group(group) => &mut self.groups.get_mut(&group)?.count,
        };
        *count += 1;
        let sent = now.min(limits::INTEGER.unsigned_abs());
        Some(Head { id, sent, n: Some(*count) })
    }

    fn new_item(
        &self,
        now: u64,
        author: IdentityId,
        peer: PeerId,
        text: &Text,
        invitation: Option<(String, String)>,
    ) -> Item {
        let attachments = text.attachments.iter().map(|one| Attachment { data: None, ..one.clone() });
        Item {
            seq: 0,
            author,
            peer,
            head: text.head,
            came: now,
            text: text.text.clone(),
            reply: text.reply,
            attachments: attachments.collect(),
            invitation,
            edit: None,
            deleted: false,
            reactions: BTreeMap::new(),
            state: State::Sending,
            message: None,
            seen: author == self.me,
            taken: None,
        }
    }

    /// Puts an item into a conversation; says whether it is new there.
    fn insert(&mut self, with: With, mut item: Item) -> bool {
        let Some(conversation) = self.conversation_mut(with) else { return false };
        item.seq = conversation.next_seq();
        let (author, id, seq) = (item.author, item.head.id, item.seq);
        let Some(gone) = conversation.insert(item) else { return false };
        let is_there = conversation.has(author, id);
        for item in gone {
            self.outputs.push_back(Output::Remove { key: rows::item_key(with, item.seq) });
            self.forget_unused(with, &item.attachments);
        }
        if is_there {
            self.item_row(with, seq);
        }
        is_there
    }

    fn change(&mut self, with: With, change: Change) {
        let (author, id, deed) = (change.author, change.of, change.deed.clone());
        let Some(conversation) = self.conversation_mut(with) else { return };
        let files = match deed {
            Deed::Delete => conversation.find(author, id).map(|item| item.attachments.clone()),
            _ => None,
        };
        let Applied::Changed { seq } = conversation.change(change) else { return };
        self.item_row(with, seq);
        self.forget_unused(with, &files.unwrap_or_default());
        self.outputs.push_back(Output::Event(Event::Changed { with, author, id }));
    }

    /// Removes what no item of the conversation has any more.
    fn forget_unused(&mut self, with: With, attachments: &[Attachment]) {
        for one in attachments {
            let Some(conversation) = self.conversation(with) else { return };
            let mut others = conversation.items().iter().flat_map(|item| &item.attachments);
            if others.all(|other| other.hash != one.hash) {
                self.forget_file(with, one.hash);
            } else if with.group().is_some() {
                let items = conversation.items().iter();
                let with_it =
                    items.filter(|item| item.attachments.iter().any(|other| other.hash == one.hash));
                let authors = with_it.map(|item| item.author).collect();
                if let Some(file) = self.files.all.get_mut(&(with, one.hash)) {
                    file.authors = authors;
                }
            }
        }
    }

    fn forget_by_itself(&mut self, with: With, hash: AttachmentHash) {
        let file = self.files.all.get(&(with, hash)).filter(|file| file.by_itself);
        self.files.by_itself -= file.map_or(0, |file| file.size);
    }

    fn forget_file(&mut self, with: With, hash: AttachmentHash) {
        self.forget_by_itself(with, hash);
        if self.files.all.remove(&(with, hash)).is_some() {
            self.outputs.push_back(Output::Remove { key: rows::file_key(with, hash) });
            self.outputs.push_back(Output::Forget { with, hash });
        }
    }

    /// Removes all that was said, what belongs to it, and what waits to be said.
    fn forget_conversation(&mut self, with: With, conversation: &Conversation) {
        for item in conversation.items() {
            self.outputs.push_back(Output::Remove { key: rows::item_key(with, item.seq) });
        }
        let hashes: Vec<_> = self.files.all.keys().filter(|(other, _)| *other == with).copied().collect();
        for (with, hash) in hashes {
            self.forget_file(with, hash);
        }
        for token in self.outgoing.take(|one| one.to == with) {
            self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
        }
    }

    /// A text of ours is further than it was.
    fn advance(&mut self, with: With, id: DocumentId, state: State, message: Option<MessageId>) {
        let me = self.me;
        let item = self.conversation_mut(with).and_then(|one| one.find_mut(me, id));
        let Some(item) = item.filter(|item| !item.deleted) else { return };
        let failed =
            matches!(state, State::Failed(_)) && matches!(item.state, State::Sending | State::Stored);
        if !failed && state.rank() <= item.state.rank() {
            return;
        }
        item.message = message.filter(|_| state == State::Stored);
        item.state = state;
        let seq = item.seq;
        self.item_row(with, seq);
        self.state_event(with, seq);
    }

    fn state_event(&mut self, with: With, seq: u64) {
        let item = self.conversation(with).and_then(|one| one.by_seq(seq));
        if let Some(item) = item {
            let (id, state) = (item.head.id, item.state.clone());
            self.outputs.push_back(Output::Event(Event::State { with, id, state }));
        }
    }

    fn item_row(&mut self, with: With, seq: u64) {
        let item = self.conversation(with).and_then(|one| one.by_seq(seq));
        if let Some(value) = item.map(rows::item) {
            self.put(rows::item_key(with, seq), value);
        }
    }

    fn file_row(&mut self, with: With, hash: AttachmentHash) {
        if let Some(value) = self.files.all.get(&(with, hash)).map(rows::file) {
            self.put(rows::file_key(with, hash), value);
            self.outputs.push_back(Output::Event(Event::File { with, hash }));
        }
    }

    fn row_of(&mut self, with: With) {
        match with {
            With::Person(who) => self.contact_row(who),
            With::Group(group) => self.group_row(group),
        }
    }

    fn contact_row(&mut self, who: IdentityId) {
        if let Some(value) = self.contacts.get(&who).map(rows::contact) {
            self.put(rows::key(b'c', &who, b""), value);
        }
    }

    fn contact_changed(&mut self, who: IdentityId) {
        self.contact_row(who);
        self.outputs.push_back(Output::Event(Event::Contact { with: who }));
    }

    /// Gives a document to the core, as soon as that can be.
    fn send(&mut self, now: u64, to: impl Into<With>, said: &Said, text: Option<DocumentId>) {
        let to = to.into();
        let kind = match said {
            Said::Text(_) | Said::Invitation { .. } => Kind::Text,
            Said::Profile(_) => Kind::Profile,
            Said::Read(_) => Kind::Read,
            _ => Kind::Other,
        };
        if let Ok(document) = said.encode() {
            self.queue(now, to, What::Document(document.encode(), kind), text);
            self.pump(now);
        }
    }

    fn queue(&mut self, now: u64, to: With, what: What, text: Option<DocumentId>) {
        // Commands look for room before; what is said besides may be left out.
        if self.outgoing.is_full(1) {
            return;
        }
        let one = Waiting { to, what, text, since: now, under_way: false, retry_at: 0, tries: 0 };
        let value = rows::waiting(&one);
        let token = self.outgoing.add(one);
        self.put(outgoing_key(token), value);
    }

    /// Takes out what waits of a kind of which only the last counts.
    fn supersede(&mut self, to: With, kind: Kind) {
        let older = |one: &Waiting| {
            one.to == to && !one.under_way && matches!(one.what, What::Document(_, other) if other == kind)
        };
        for token in self.outgoing.take(older) {
            self.outputs.push_back(Output::Remove { key: outgoing_key(token) });
        }
    }

    fn tell_profile(&mut self, now: u64, who: IdentityId) {
        if !self.profile.name.is_empty() {
            self.supersede(who.into(), Kind::Profile);
            let said = Said::Profile(self.profile.clone());
            self.send(now, who, &said, None);
        }
    }

    fn say_typing(&mut self, to: IdentityId, on: bool) {
        if let Ok(document) = (Said::Typing { on }).encode() {
            self.outputs.push_back(Output::Send { token: 0, to, document, now_or_never: true });
        }
    }

    /// Nobody waits for more words of ours; says so unless they see it by what came.
    fn stop_typing(&mut self, to: With, tell: bool) {
        let With::Person(to) = to else { return };
        let Some(contact) = self.contacts.get_mut(&to) else { return };
        let told = contact.typed_at.take().is_some();
        if told && tell && contact.present {
            self.say_typing(to, false);
        }
    }

    fn own(&self, to: With, of: DocumentId) -> Done {
        let conversation = self.written_to(to)?;
        if conversation.find(self.me, of).is_some_and(|item| !item.deleted) {
            return Ok(());
        }
        let theirs = conversation.of_id(of).is_some_and(|item| item.author != self.me);
        Err(if theirs { BookError::NotYours } else { BookError::NoText })
    }

    fn room_for_one_more(&self) -> Done {
        if self.contacts.len() >= limits::CONTACTS {
            return Err(BookError::TooMany);
        }
        self.room_to_send(2)
    }

    fn room_to_send(&self, more: usize) -> Done {
        if self.outgoing.is_full(more) { Err(BookError::OutgoingFull) } else { Ok(()) }
    }

    fn take_stranger(&mut self, who: IdentityId) -> Option<Stranger> {
        let stranger = self.strangers.remove(&who)?;
        self.outputs.push_back(Output::Remove { key: rows::key(b's', &who, b"") });
        Some(stranger)
    }

    /// What a stranger said is a part of the conversation now.
    fn move_in(&mut self, now: u64, who: IdentityId, stranger: Option<Stranger>) {
        for item in stranger.map(|one| one.items).unwrap_or_default() {
            let attachments = item.attachments.clone();
            self.on_item(now, who.into(), item, attachments, true);
        }
    }

    /// The rooms of the latest conversations.
    fn settle_rooms(&mut self) {
        let both = self.contacts.iter().filter(|(_, one)| one.relation == Relation::Both);
        let mut rooms: Vec<_> =
            both.filter_map(|(who, one)| Some((std::cmp::Reverse(one.latest()), *who, one.room?))).collect();
        rooms.sort_unstable();
        rooms.truncate(limits::ROOMS);
        let mut rooms: Vec<_> = rooms.into_iter().map(|(_, who, room)| (who, room)).collect();
        rooms.sort_unstable();
        if rooms != self.rooms {
            self.rooms.clone_from(&rooms);
            self.outputs.push_back(Output::Rooms(rooms));
        }
    }
}

/// There is no such conversation.
fn missing(with: With) -> BookError {
    match with {
        With::Person(_) => BookError::NoContact,
        With::Group(_) => BookError::NoGroup,
    }
}

fn outgoing_key(token: u64) -> Vec<u8> {
    [b"o".as_slice(), &token.to_be_bytes()].concat()
}

fn within(what: &'static str, len: usize, least: usize, most: usize) -> Done {
    if (least..=most).contains(&len) { Ok(()) } else { Err(BookError::Bound { what, len, least, most }) }
}

/// The answer to a request: `{ of, at, data }`.
fn piece_of(document: &Document, of: AttachmentHash, at: u32) -> Option<Vec<u8>> {
    let said_of: AttachmentHash = document.get("of")?.as_str()?.parse().ok()?;
    let (weft_query::View::Int(said_at), weft_query::View::Bytes(data)) =
        (document.get("at")?, document.get("data")?)
    else {
        return None;
    };
    (said_of == of && said_at == i64::from(at) && data.len() <= limits::PIECE).then(|| data.to_vec())
}

/// The answer to a request for a piece.
///
/// # Errors
/// As [`Said::encode`].
pub fn answer(of: AttachmentHash, at: u32, data: Vec<u8>) -> Result<Document, weft_query::DocumentError> {
    let members = crate::said::object([
        ("of", crate::encode::shown(&of)),
        ("at", weft_query::Value::Int(i64::from(at))),
        ("data", weft_query::Value::Bytes(data)),
    ]);
    Document::from_value(&weft_query::Value::Object(members))
}
