//! Contacts, strangers, groups and conversations: what documents make of them.
//!
//! Inputs: commands of whoever writes, documents and requests that came, what became of documents and questions, who is
//! there, whether signalers are in reach, time. Outputs: [`Output`], taken with [`Book::poll`] until there is none.
//! Timers ([`Book::deadline`]): a name that stops being shown as writing, a receipt that may go again, documents and pieces
//! that are tried again. Time is ms since 1970.
//!
//! Invariants: every bound of [`limits`] holds, whatever comes in whatever order; what came is never an
//! error but is dropped and counted; what is put into rows is the same book at the next start.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

use crate::hex::{AttachmentHash, DocumentId, Room};
use crate::limits;
use crate::said::{Attachment, Head, Profile, Said, Text};

mod api;
mod commands;
mod contact;
mod conversation;
mod files;
mod group;
mod groups;
mod hearing;
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
