//! What a book keeps, as rows: CBOR documents under keys that begin with a letter for what they are.
//!
//! | key | row |
//! |---|---|
//! | `p` | our profile |
//! | `b` identity | somebody who is never heard |
//! | `c` identity | a contact |
//! | `s` identity | a stranger, with what they said |
//! | `i` identity, number (8) | an item of a conversation |
//! | `g` key of a group | a group |
//! | `j` key of a group, number (8) | an item of a group |
//! | `o` number (8) | a document that is not safe yet |
//! | `f` identity, hash | what is here of an attachment |
//! | `h` key of a group, hash | the same, in a group |
//!
//! What cannot be read is passed over: it is of a later version, or damaged.

use weft_query::{Document, Object, Value, View};
use weft_wire::membership::Role;
use weft_wire::{IdentityId, MessageId, PartyKey, PeerId};

use super::api::State;
use super::contact::{Contact, Relation, Stranger};
use super::conversation::{Item, Reaction};
use super::files::{File, FileState};
use super::group::{Group, Naming, Standing};
use super::outgoing::{Kind, Waiting, What};
use super::with::With;
use crate::decode;
use crate::encode::{attachment, int, shown};
use crate::hex::{AttachmentHash, DocumentId};
use crate::said::{Head, Picture, Profile, object};

pub(crate) const PROFILE: &[u8] = b"p";

pub(crate) fn key(letter: u8, identity: &IdentityId, rest: &[u8]) -> Vec<u8> {
    [&[letter], identity.0.as_slice(), rest].concat()
}

/// A key, taken apart.
pub(crate) enum Key {
    Profile,
    Blocked(IdentityId),
    Contact(IdentityId),
    Stranger(IdentityId),
    Group(PartyKey),
    Item(With, u64),
    Outgoing(u64),
    File(With, AttachmentHash),
}

pub(crate) fn item_key(with: With, seq: u64) -> Vec<u8> {
    let letter = if with.group().is_some() { b'j' } else { b'i' };
    [&[letter], with.bytes().as_slice(), &seq.to_be_bytes()].concat()
}

pub(crate) fn file_key(with: With, hash: AttachmentHash) -> Vec<u8> {
    let letter = if with.group().is_some() { b'h' } else { b'f' };
    [&[letter], with.bytes().as_slice(), &hash.0].concat()
}

pub(crate) fn group_key(group: PartyKey) -> Vec<u8> {
    [b"g", group.0.as_slice()].concat()
}

impl Key {
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        let (letter, rest) = key.split_first()?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let both = || {
            let (identity, rest) = rest.split_first_chunk::<32>()?;
            Some((IdentityId(*identity), rest))
        };
        let person = || both().map(|(who, rest)| (With::Person(who), rest));
        let group = || both().map(|(key, rest)| (With::Group(PartyKey(key.0)), rest));
        Some(match letter {
            b'p' => Self::Profile,
            b'b' => Self::Blocked(both()?.0),
            b'c' => Self::Contact(both()?.0),
            b's' => Self::Stranger(both()?.0),
            b'g' => Self::Group(group()?.0.group()?),
            b'i' => Self::Item(person()?.0, number(person()?.1)?),
            b'j' => Self::Item(group()?.0, number(group()?.1)?),
            b'o' => Self::Outgoing(number(rest)?),
            b'f' => Self::File(person()?.0, AttachmentHash(person()?.1.try_into().ok()?)),
            b'h' => Self::File(group()?.0, AttachmentHash(group()?.1.try_into().ok()?)),
            _ => return None,
        })
    }
}

/// A row's bytes. What is kept is within every limit of documents.
fn bytes(members: Object) -> Vec<u8> {
    Document::from_value(&Value::Object(members)).map(|document| document.encode()).unwrap_or_default()
}

/// A row's members.
struct Row(Document);

impl Row {
    fn of(bytes: &[u8]) -> Option<Self> {
        Document::decode(bytes).ok().map(Self)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(str::to_owned)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.as_str()?.parse().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        number(self.0.get(name)?)
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(View::Bool(true)))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.0.get(name)? {
            View::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Objects of a list, as rows of their own.
    fn rows(&self, name: &str) -> Vec<Self> {
        let views = self.list(name).into_iter();
        views.filter_map(|view| Document::from_value(&view.to_value()).ok().map(Self)).collect()
    }

    fn list(&self, name: &str) -> Vec<View<'_>> {
        match self.0.get(name) {
            Some(View::Array(items)) => items.iter().collect(),
            _ => Vec::new(),
        }
    }
}

fn number(view: View<'_>) -> Option<u64> {
    match view {
        View::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

fn add<T: std::fmt::Display>(members: &mut Object, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        members.insert(name, value.to_string());
    }
}

fn pair(first: &dyn std::fmt::Display, second: &dyn std::fmt::Display) -> String {
    format!("{first} {second}")
}

fn split<A: std::str::FromStr, B: std::str::FromStr>(text: &str) -> Option<(A, B)> {
    let (first, second) = text.split_once(' ')?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

pub(crate) fn profile(profile: &Profile) -> Vec<u8> {
    bytes(profile_members(profile))
}

fn profile_members(profile: &Profile) -> Object {
    let mut members = object([("issued", int(profile.issued)), ("name", profile.name.as_str().into())]);
    add(&mut members, "color", profile.color.as_ref());
    if let Some(picture) = &profile.picture {
        members.insert("picture", Value::Bytes(picture.0.clone()));
    }
    members
}

pub(crate) fn read_profile(bytes: &[u8]) -> Option<Profile> {
    profile_of(&Row::of(bytes)?)
}

fn profile_of(row: &Row) -> Option<Profile> {
    Some(Profile {
        issued: row.number("issued")?,
        name: row.text("name")?,
        color: row.text("color"),
        picture: row.bytes("picture").and_then(Picture::new),
    })
}

pub(crate) fn contact(contact: &Contact) -> Vec<u8> {
    let mut members = contact.profile.as_ref().map(profile_members).unwrap_or_default();
    members.insert("said", contact.said.as_str());
    members.insert("both", contact.relation == Relation::Both);
    members.insert("muted", contact.muted);
    members.insert("verified", contact.verified);
    members.insert("count", int(contact.count));
    members.insert("since", int(contact.since));
    add(&mut members, "given", contact.given.as_ref());
    add(&mut members, "room", contact.room.as_ref());
    add(&mut members, "asked", contact.asked.map(|(id, room)| pair(&id, &room)).as_ref());
    add(&mut members, "wasAsked", contact.was_asked.map(|(id, room)| pair(&id, &room)).as_ref());
    bytes(members)
}

pub(crate) fn read_contact(bytes: &[u8]) -> Option<Contact> {
    let row = Row::of(bytes)?;
    let relation = if row.flag("both") { Relation::Both } else { Relation::Asked };
    let mut contact = Contact::new(relation, row.text("said")?, row.number("since").unwrap_or_default());
    contact.profile = profile_of(&row);
    contact.muted = row.flag("muted");
    contact.verified = row.flag("verified");
    contact.count = row.number("count").unwrap_or_default();
    contact.given = row.text("given");
    contact.room = row.parsed("room");
    contact.asked = row.text("asked").and_then(|text| split(&text));
    contact.was_asked = row.text("wasAsked").and_then(|text| split(&text));
    Some(contact)
}

pub(crate) fn stranger(stranger: &Stranger) -> Vec<u8> {
    let mut members = object([("came", int(stranger.came)), ("name", stranger.name.as_str().into())]);
    members.insert("note", stranger.note.as_str());
    add(&mut members, "request", stranger.request.map(|(id, room)| pair(&id, &room)).as_ref());
    let items = stranger.items.iter().map(|one| Value::Object(item_members(one))).collect();
    members.insert("items", Value::Array(items));
    bytes(members)
}

pub(crate) fn read_stranger(bytes: &[u8]) -> Option<Stranger> {
    let row = Row::of(bytes)?;
    let items = row.rows("items").into_iter().filter_map(|row| item_of(&row, 0));
    Some(Stranger {
        came: row.number("came")?,
        name: row.text("name")?,
        note: row.text("note").unwrap_or_default(),
        request: row.text("request").and_then(|text| split(&text)),
        items: items.collect(),
    })
}

pub(crate) fn group(group: &Group) -> Vec<u8> {
    let mut members = object([
        ("standing", group.standing.word().into()),
        ("said", group.said.as_str().into()),
        ("muted", group.muted.into()),
        ("introduced", group.introduced.into()),
        ("count", int(group.count)),
        ("since", int(group.since)),
    ]);
    if let Standing::Out(code) = &group.standing {
        members.insert("code", code.as_str());
    }
    add(&mut members, "invitation", group.invitation.as_ref());
    let namings = group.namings.iter().map(|(who, one)| {
        let mut members =
            object([("who", shown(who)), ("issued", int(one.issued)), ("name", one.name.as_str().into())]);
        if let Some(picture) = &one.picture {
            members.insert("picture", Value::Bytes(picture.0.clone()));
        }
        Value::Object(members)
    });
    members.insert("namings", Value::Array(namings.collect()));
    let profiles = group.profiles.iter().map(|(who, one)| {
        let mut members = profile_members(one);
        members.insert("who", who.to_string());
        Value::Object(members)
    });
    members.insert("profiles", Value::Array(profiles.collect()));
    let roles = group
        .members
        .iter()
        .map(|(who, role)| Value::Object(object([("who", shown(who)), ("role", role.name().into())])));
    members.insert("members", Value::Array(roles.collect()));
    members.insert("former", Value::Array(group.former.iter().map(|who| shown(who)).collect()));
    let left =
        group.left.iter().map(|(who, at)| Value::Object(object([("who", shown(who)), ("at", int(*at))])));
    members.insert("left", Value::Array(left.collect()));
    bytes(members)
}

pub(crate) fn read_group(bytes: &[u8]) -> Option<Group> {
    let row = Row::of(bytes)?;
    let standing = match row.text("standing")?.as_str() {
        "member" => Standing::Member,
        "out" => Standing::Out(row.text("code").unwrap_or_default()),
        _ => Standing::Joining,
    };
    let mut group = Group::new(standing, row.text("said")?, row.number("since")?);
    group.muted = row.flag("muted");
    group.introduced = row.flag("introduced");
    group.count = row.number("count").unwrap_or_default();
    group.invitation = row.text("invitation");
    for one in row.rows("namings") {
        if let (Some(who), Some(issued), Some(name)) =
            (one.parsed("who"), one.number("issued"), one.text("name"))
        {
            let picture = one.bytes("picture").and_then(Picture::new);
            group.namings.insert(who, Naming { issued, name, picture });
        }
    }
    for one in row.rows("profiles") {
        if let (Some(who), Some(profile)) = (one.parsed("who"), profile_of(&one)) {
            group.profiles.insert(who, profile);
        }
    }
    for one in row.rows("members") {
        if let (Some(who), Some(role)) = (one.parsed("who"), one.text("role").and_then(|name| role_of(&name)))
        {
            group.members.insert(who, role);
        }
    }
    group.former = row.list("former").into_iter().filter_map(|who| who.as_str()?.parse().ok()).collect();
    for one in row.rows("left") {
        if let (Some(who), Some(at)) = (one.parsed("who"), one.number("at")) {
            group.left.insert(who, at);
        }
    }
    Some(group)
}

/// A role by its name.
fn role_of(name: &str) -> Option<Role> {
    [Role::Reader, Role::Writer, Role::Admin].into_iter().find(|role| role.name() == name)
}

pub(crate) fn item(item: &Item) -> Vec<u8> {
    bytes(item_members(item))
}

fn item_members(item: &Item) -> Object {
    let mut members = object([
        ("author", shown(&item.author)),
        ("peer", shown(&item.peer)),
        ("id", shown(&item.head.id)),
        ("sent", int(item.head.sent)),
        ("came", int(item.came)),
        ("text", item.text.as_str().into()),
        ("state", item.state.word().into()),
        ("seen", item.seen.into()),
        ("deleted", item.deleted.into()),
    ]);
    if let Some(n) = item.head.n {
        members.insert("n", int(n));
    }
    if let State::Failed(code) = &item.state {
        members.insert("code", code.as_str());
    }
    add(&mut members, "message", item.message.as_ref());
    add(&mut members, "reply", item.reply.map(|(id, author)| pair(&id, &author)).as_ref());
    add(&mut members, "edit", item.edit.map(|(n, id)| pair(&n, &id)).as_ref());
    if let Some((name, invitation)) = &item.invitation {
        members.insert("group", name.as_str());
        members.insert("invitation", invitation.as_str());
    }
    if let Some(taken) = item.taken {
        members.insert("taken", taken);
    }
    let attachments = item.attachments.iter().map(|one| Value::Object(attachment(one))).collect();
    members.insert("attachments", Value::Array(attachments));
    let reactions = item.reactions.iter().map(|(who, one)| {
        Value::Object(object([
            ("who", shown(who)),
            ("emoji", one.emoji.as_str().into()),
            ("rank", shown(&pair(&one.rank.0, &one.rank.1))),
        ]))
    });
    members.insert("reactions", Value::Array(reactions.collect()));
    members
}

pub(crate) fn read_item(bytes: &[u8], seq: u64) -> Option<Item> {
    item_of(&Row::of(bytes)?, seq)
}

fn item_of(row: &Row, seq: u64) -> Option<Item> {
    let state = match row.text("state")?.as_str() {
        "stored" => State::Stored,
        "delivered" => State::Delivered,
        "read" => State::Read,
        "published" => State::Published,
        "failed" => State::Failed(row.text("code").unwrap_or_default()),
        _ => State::Sending,
    };
    let reactions = row.list("reactions").into_iter().filter_map(|view| {
        let members = view.as_object()?;
        let text = |name| members.get(name).and_then(View::as_str);
        let (sent, id) = split(text("rank")?)?;
        Some((text("who")?.parse().ok()?, Reaction { emoji: text("emoji")?.to_owned(), rank: (sent, id) }))
    });
    Some(Item {
        seq,
        author: row.parsed("author")?,
        peer: row.parsed::<PeerId>("peer")?,
        head: Head { id: row.parsed("id")?, sent: row.number("sent")?, n: row.number("n") },
        came: row.number("came")?,
        text: row.text("text")?,
        reply: row.text("reply").and_then(|text| split::<DocumentId, IdentityId>(&text)),
        attachments: row
            .list("attachments")
            .into_iter()
            .filter_map(|view| decode::attachment(view).ok())
            .collect(),
        invitation: row.text("group").zip(row.text("invitation")),
        edit: row.text("edit").and_then(|text| split(&text)),
        deleted: row.flag("deleted"),
        reactions: reactions.collect(),
        state,
        message: row.parsed::<DocumentId>("message").map(|id| MessageId(id.0)),
        seen: row.flag("seen"),
        taken: match row.0.get("taken") {
            Some(View::Bool(taken)) => Some(taken),
            _ => None,
        },
    })
}

pub(crate) fn waiting(one: &Waiting) -> Vec<u8> {
    let to = if one.to.group().is_some() { "group" } else { "to" };
    let mut members = object([(to, shown(&one.to)), ("since", int(one.since))]);
    add(&mut members, "text", one.text.as_ref());
    match &one.what {
        What::Document(document, kind) => {
            members.insert("document", Value::Bytes(document.clone()));
            let kind = match kind {
                Kind::Text => "text",
                Kind::Profile => "profile",
                Kind::Read => "read",
                Kind::Other => "other",
            };
            members.insert("kind", kind);
        }
        What::Piece(hash, at) => {
            members.insert("hash", hash.to_string());
            members.insert("at", i64::from(*at));
        }
    }
    bytes(members)
}

pub(crate) fn read_waiting(bytes: &[u8]) -> Option<Waiting> {
    let row = Row::of(bytes)?;
    let what = match row.bytes("document") {
        Some(document) => {
            let kind = match row.text("kind")?.as_str() {
                "text" => Kind::Text,
                "profile" => Kind::Profile,
                "read" => Kind::Read,
                _ => Kind::Other,
            };
            What::Document(document.to_vec(), kind)
        }
        None => What::Piece(row.parsed("hash")?, u32::try_from(row.number("at")?).ok()?),
    };
    let group = row.parsed::<PartyKey>("group").map(With::Group);
    Some(Waiting {
        to: group.or_else(|| row.parsed::<IdentityId>("to").map(With::Person))?,
        what,
        text: row.parsed("text"),
        since: row.number("since")?,
        under_way: false,
        retry_at: 0,
        tries: 0,
    })
}

pub(crate) fn file(file: &File) -> Vec<u8> {
    bytes(object([
        ("size", int(file.size)),
        ("state", file.state.word().into()),
        ("have", Value::Bytes(file.have.clone())),
        ("wanted", file.wanted.into()),
        ("suspect", file.suspect.into()),
        ("byItself", file.by_itself.into()),
    ]))
}

pub(crate) fn read_file(bytes: &[u8]) -> Option<File> {
    let row = Row::of(bytes)?;
    let mut file = File::new(row.number("size").filter(|size| *size <= crate::limits::ATTACHMENT)?);
    let have = row.bytes("have").filter(|have| have.len() == file.have.len())?;
    file.have.copy_from_slice(have);
    file.wanted = row.flag("wanted");
    file.suspect = row.flag("suspect");
    file.by_itself = row.flag("byItself");
    file.state = match row.text("state")?.as_str() {
        "here" => FileState::Here,
        "damaged" => FileState::Damaged,
        "gone" => FileState::Gone,
        // What was being compared is compared again.
        "checking" => FileState::Checking,
        _ => FileState::Partial,
    };
    Some(file)
}
