//! What a book hears: documents, requests, answers, what became of its own, who is there.

use std::collections::btree_map::Entry;

use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PeerId};

use super::api::{Event, Output, State};
use super::contact::{Relation, Stranger};
use super::conversation::{Change, Deed, Item};
use super::files::{File, FileState, Question};
use super::group::Standing;
use super::outgoing::{self, Kind, What};
use super::with::With;
use super::{Book, outgoing_key, piece_of, rows};
use crate::decode::decode;
use crate::hex::{AttachmentHash, Room};
use crate::limits;
use crate::said::{Attachment, Head, Reads, Said, Text};

impl Book {
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
    pub(super) fn agree(&mut self, now: u64, who: IdentityId) {
        let Some(room) = self.contacts.get(&who).and_then(|contact| contact.room) else { return };
        let said = Said::Accept { name: self.own_name(), room };
        self.send(now, who, &said, None);
        self.tell_profile(now, who);
        self.contact_changed(who);
        self.settle_rooms();
    }

    pub(super) fn on_item(
        &mut self,
        now: u64,
        with: With,
        item: Item,
        attachments: Vec<Attachment>,
        quiet: bool,
    ) {
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
    pub(super) fn note_author(&mut self, with: With, author: IdentityId, attachments: &[Attachment]) {
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
    pub(super) fn give_up(&mut self, with: With) {
        let present = self.asked_in(&with);
        let lost = self.files.of(with).filter(|(_, file)| file.wanted && file.is_lost(&present));
        for hash in lost.map(|(hash, _)| hash).collect::<Vec<_>>() {
            self.lose(with, hash);
        }
    }

    /// Who is there in a conversation and may have its attachments.
    pub(super) fn asked_in(&self, with: &With) -> Vec<IdentityId> {
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
}
