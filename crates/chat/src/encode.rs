//! Documents of what is said.

use weft_query::{Document, DocumentError, Object, Value};

use crate::limits;
use crate::said::{Attachment, Head, Picture, Reads, Said, Text, object};

impl Said {
    /// The document that says this.
    ///
    /// # Errors
    /// If it is within no bounds at all, which what was decoded, or made by a [`Book`](crate::Book), never is.
    pub fn encode(&self) -> Result<Document, DocumentError> {
        Document::from_value(&Value::Object(self.to_object()))
    }

    /// The kind, as it is written.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Reaction { .. } => "reaction",
            Self::Read(_) => "read",
            Self::Typing { .. } => "typing",
            Self::Profile(_) => "profile",
            Self::Contact { .. } => "contact",
            Self::Accept { .. } => "accept",
            Self::Piece { .. } => "piece",
            Self::Invitation { .. } => "invitation",
            Self::Group { .. } => "group",
            Self::Leave { .. } => "leave",
        }
    }

    fn to_object(&self) -> Object {
        let mut object = match self {
            Self::Text(text) => text_object(text),
            Self::Edit { head, of, text } => {
                headed(head, [("of", shown(of)), ("text", text.as_str().into())])
            }
            Self::Delete { head, of } => headed(head, [("of", shown(of))]),
            Self::Reaction { head, of, author, emoji } => {
                headed(head, [("of", shown(of)), ("author", shown(author)), ("emoji", emoji.as_str().into())])
            }
            Self::Read(Reads::UpTo(id)) => object([("upTo", shown(id))]),
            Self::Read(Reads::Ids(ids)) => {
                object([("ids", Value::Array(ids.iter().map(|id| shown(id)).collect()))])
            }
            Self::Typing { on } => object([("on", (*on).into())]),
            Self::Profile(profile) => {
                let mut members =
                    object([("issued", int(profile.issued)), ("name", profile.name.as_str().into())]);
                if let Some(color) = &profile.color {
                    members.insert("color", color.as_str());
                }
                add_picture(&mut members, profile.picture.as_ref());
                members
            }
            Self::Contact { head, name, room, note } => {
                let mut members = headed(head, [("name", name.as_str().into()), ("room", shown(room))]);
                if !note.is_empty() {
                    members.insert("note", note.as_str());
                }
                members
            }
            Self::Accept { name, room } => object([("name", name.as_str().into()), ("room", shown(room))]),
            Self::Piece { of, at, data } => {
                let mut members = object([("of", shown(of)), ("at", Value::Int(i64::from(*at)))]);
                if let Some(data) = data {
                    members.insert("data", Value::Bytes(data.clone()));
                }
                members
            }
            Self::Invitation { head, name, invitation } => {
                headed(head, [("name", name.as_str().into()), ("invitation", invitation.as_str().into())])
            }
            Self::Group { issued, name, picture } => {
                let mut members = object([("issued", int(*issued)), ("name", name.as_str().into())]);
                add_picture(&mut members, picture.as_ref());
                members
            }
            Self::Leave { head } => headed(head, []),
        };
        object.insert("chat", 1);
        object.insert("kind", self.kind());
        object
    }
}

impl Text {
    /// Takes out what makes the document too large: attachments that are then fetched in pieces. Those that stay are the
    /// first ones for which there is room.
    pub(crate) fn fit(&mut self) {
        let mut left = limits::DOCUMENT;
        let bare = Self {
            attachments: self
                .attachments
                .iter()
                .map(|one| Attachment { data: None, ..one.clone() })
                .collect(),
            ..self.clone()
        };
        let size = Said::Text(bare).encode().map_or(usize::MAX, |document| document.encode().len());
        left = left.saturating_sub(size);
        for attachment in &mut self.attachments {
            // The name of the member, and how the bytes begin.
            let cost = attachment.data.as_ref().map_or(0, |data| data.len() + 16);
            if cost > left {
                attachment.data = None;
            } else {
                left -= cost;
            }
        }
    }
}

fn text_object(text: &Text) -> Object {
    let mut members = headed(&text.head, [("text", text.text.as_str().into())]);
    if let Some((id, author)) = &text.reply {
        members.insert("reply", shown(id));
        members.insert("replyTo", shown(author));
    }
    if !text.attachments.is_empty() {
        members.insert(
            "attachments",
            Value::Array(text.attachments.iter().map(attachment).map(Value::Object).collect()),
        );
    }
    members
}

pub(crate) fn attachment(one: &Attachment) -> Object {
    let mut members = object([
        ("name", one.name.as_str().into()),
        ("type", one.media_type.as_str().into()),
        ("size", int(one.size)),
        ("hash", shown(&one.hash)),
    ]);
    if let Some(data) = &one.data {
        members.insert("data", Value::Bytes(data.clone()));
    }
    members
}

fn headed<const N: usize>(head: &Head, members: [(&str, Value); N]) -> Object {
    let mut object = object(members);
    object.insert("id", shown(&head.id));
    object.insert("sent", int(head.sent));
    if let Some(n) = head.n {
        object.insert("n", int(n));
    }
    object
}

fn add_picture(members: &mut Object, picture: Option<&Picture>) {
    if let Some(picture) = picture {
        members.insert("picture", Value::Bytes(picture.0.clone()));
    }
}

pub(crate) fn shown(id: &dyn std::fmt::Display) -> Value {
    Value::String(id.to_string())
}

pub(crate) fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
