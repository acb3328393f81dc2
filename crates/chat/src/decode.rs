//! What documents say, if they keep to every bound.

use weft_query::{Document, View};
use weft_wire::{IdentityId, MessageId};

use crate::hex::DocumentId;
use crate::limits;
use crate::said::{Attachment, Head, Picture, Profile, Reads, Said, Text, pieces};

/// Why a document says nothing. It is dropped and counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// It is longer than documents may be.
    #[error("the document has {0} bytes, at most {max} are allowed", max = limits::DOCUMENT)]
    TooLarge(usize),
    /// It is of another version.
    #[error("chat is not 1")]
    Version,
    /// A member that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member has another type.
    #[error("{0} is of another type")]
    Type(&'static str),
    /// A member is not within its bounds.
    #[error("{0} is not within its bounds")]
    Bound(&'static str),
    /// It is no document of the chat, or of a kind that is not known, and has no text to show.
    #[error("a kind that is not known, without a text")]
    Unknown,
}

impl Dropped {
    /// What it is counted as.
    pub fn code(&self) -> &'static str {
        if *self == Self::Unknown { "unknown" } else { "malformed" }
    }
}

/// Reads a document that came with the core's id and time of its message.
///
/// # Errors
/// [`Dropped`].
pub fn decode(document: &Document, id: &MessageId, time: u64) -> Result<Said, Dropped> {
    let size = document.encode().len();
    if size > limits::DOCUMENT {
        return Err(Dropped::TooLarge(size));
    }
    let foreign = || {
        let text = Members(document).text("text", 1, limits::TEXT).map_err(|_| Dropped::Unknown)?;
        let head = Head { id: DocumentId(id.0), sent: time.min(limits::INTEGER.unsigned_abs()), n: None };
        Ok(Said::Text(Text { head, text, reply: None, attachments: Vec::new() }))
    };
    match document.get("chat") {
        None => return foreign(),
        Some(View::Int(1)) => {}
        Some(_) => return Err(Dropped::Version),
    }
    let one = Members(document);
    match one.string("kind")? {
        "text" => text(one).map(Said::Text),
        "edit" => {
            let text = one.text("text", 1, limits::TEXT)?;
            Ok(Said::Edit { head: one.head()?, of: one.parsed("of")?, text })
        }
        "delete" => Ok(Said::Delete { head: one.head()?, of: one.parsed("of")? }),
        "reaction" => Ok(Said::Reaction {
            head: one.head()?,
            of: one.parsed("of")?,
            author: one.parsed("author")?,
            emoji: one.text("emoji", 0, limits::EMOJI)?,
        }),
        "read" => reads(one).map(Said::Read),
        "typing" => match one.need("on")? {
            View::Bool(on) => Ok(Said::Typing { on }),
            _ => Err(Dropped::Type("on")),
        },
        "profile" => Ok(Said::Profile(Profile {
            issued: one.int("issued", 0, limits::INTEGER)?,
            name: one.name()?,
            color: one.may("color", Members::color)?,
            picture: one.picture()?,
        })),
        "contact" => Ok(Said::Contact {
            head: one.head()?,
            name: one.name()?,
            room: one.parsed("room")?,
            note: one.may("note", |one| one.text("note", 0, limits::NOTE))?.unwrap_or_default(),
        }),
        "accept" => Ok(Said::Accept { name: one.name()?, room: one.parsed("room")? }),
        "piece" => {
            let most = i64::from(pieces(limits::ATTACHMENT)) - 1;
            let at = u32::try_from(one.int("at", 0, most)?).map_err(|_| Dropped::Bound("at"))?;
            let data = one.may("data", |one| one.bytes("data", 1, limits::PIECE))?;
            Ok(Said::Piece { of: one.parsed("of")?, at, data })
        }
        "invitation" => Ok(Said::Invitation {
            head: one.head()?,
            name: one.name()?,
            invitation: one.text("invitation", 1, limits::INVITATION)?,
        }),
        "group" => Ok(Said::Group {
            issued: one.int("issued", 0, limits::INTEGER)?,
            name: one.name()?,
            picture: one.picture()?,
        }),
        "leave" => Ok(Said::Leave { head: one.head()? }),
        _ => foreign(),
    }
}

/// Members of a document, one at a time.
#[derive(Clone, Copy)]
struct Members<'d>(&'d Document);

impl<'d> Members<'d> {
    fn need(self, name: &'static str) -> Result<View<'d>, Dropped> {
        self.0.get(name).ok_or(Dropped::Missing(name))
    }

    /// What may be left out.
    fn may<T>(
        self,
        name: &'static str,
        read: impl FnOnce(Self) -> Result<T, Dropped>,
    ) -> Result<Option<T>, Dropped> {
        self.0.get(name).map(|_| read(self)).transpose()
    }

    fn string(self, name: &'static str) -> Result<&'d str, Dropped> {
        self.need(name)?.as_str().ok_or(Dropped::Type(name))
    }

    fn text(self, name: &'static str, least: usize, most: usize) -> Result<String, Dropped> {
        let text = self.string(name)?;
        within(name, text.len(), least, most)?;
        Ok(text.to_owned())
    }

    fn name(self) -> Result<String, Dropped> {
        self.text("name", 1, limits::NAME)
    }

    fn int(self, name: &'static str, least: i64, most: i64) -> Result<u64, Dropped> {
        int(self.need(name)?, name, least, most)
    }

    fn bytes(self, name: &'static str, least: usize, most: usize) -> Result<Vec<u8>, Dropped> {
        let View::Bytes(bytes) = self.need(name)? else { return Err(Dropped::Type(name)) };
        within(name, bytes.len(), least, most)?;
        Ok(bytes.to_vec())
    }

    fn parsed<T: std::str::FromStr>(self, name: &'static str) -> Result<T, Dropped> {
        self.string(name)?.parse().map_err(|_| Dropped::Bound(name))
    }

    fn head(self) -> Result<Head, Dropped> {
        Ok(Head {
            id: self.parsed("id")?,
            sent: self.int("sent", 0, limits::INTEGER)?,
            n: Some(self.int("n", 1, limits::INTEGER)?),
        })
    }

    fn color(self) -> Result<String, Dropped> {
        let color = self.string("color")?;
        let digits = color.strip_prefix('#').ok_or(Dropped::Bound("color"))?;
        let is_color = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_color { Ok(color.to_owned()) } else { Err(Dropped::Bound("color")) }
    }

    fn picture(self) -> Result<Option<Picture>, Dropped> {
        self.may("picture", |one| {
            let bytes = one.bytes("picture", 1, limits::PICTURE)?;
            Picture::new(&bytes).ok_or(Dropped::Bound("picture"))
        })
    }
}

fn within(name: &'static str, len: usize, least: usize, most: usize) -> Result<(), Dropped> {
    if (least..=most).contains(&len) { Ok(()) } else { Err(Dropped::Bound(name)) }
}

fn int(view: View<'_>, name: &'static str, least: i64, most: i64) -> Result<u64, Dropped> {
    let View::Int(number) = view else { return Err(Dropped::Type(name)) };
    if (least..=most).contains(&number) { Ok(number.unsigned_abs()) } else { Err(Dropped::Bound(name)) }
}

fn text(one: Members<'_>) -> Result<Text, Dropped> {
    let attachments = match one.0.get("attachments") {
        None => Vec::new(),
        Some(View::Array(items)) => {
            within("attachments", items.len(), 0, limits::ATTACHMENTS)?;
            items.iter().map(attachment).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(Dropped::Type("attachments")),
    };
    let reply: Option<DocumentId> = one.may("reply", |one| one.parsed("reply"))?;
    let author: Option<IdentityId> = one.may("replyTo", |one| one.parsed("replyTo"))?;
    let reply = match (reply, author) {
        (Some(id), Some(author)) => Some((id, author)),
        (None, None) => None,
        (Some(_), None) => return Err(Dropped::Missing("replyTo")),
        (None, Some(_)) => return Err(Dropped::Missing("reply")),
    };
    let text = one.text("text", usize::from(attachments.is_empty()), limits::TEXT)?;
    Ok(Text { head: one.head()?, text, reply, attachments })
}

/// One attachment; also of what is kept.
pub(crate) fn attachment(view: View<'_>) -> Result<Attachment, Dropped> {
    let members = view.as_object().ok_or(Dropped::Type("attachments"))?;
    let need = |name: &'static str| members.get(name).ok_or(Dropped::Missing(name));
    let string = |name: &'static str| need(name)?.as_str().ok_or(Dropped::Type(name));
    let name = string("name")?;
    within("name", name.len(), 1, limits::FILE_NAME)?;
    if name.chars().any(|char| char == '/' || char == '\\' || char.is_control()) {
        return Err(Dropped::Bound("name"));
    }
    let media_type = string("type")?;
    if !is_media_type(media_type) {
        return Err(Dropped::Bound("type"));
    }
    let most = i64::try_from(limits::ATTACHMENT).unwrap_or(i64::MAX);
    let size = int(need("size")?, "size", 0, most)?;
    let data = match members.get("data") {
        None => None,
        Some(View::Bytes(data)) => {
            within("data", data.len(), 0, limits::PIECE)?;
            if data.len() as u64 != size {
                return Err(Dropped::Bound("data"));
            }
            Some(data.to_vec())
        }
        Some(_) => return Err(Dropped::Type("data")),
    };
    let hash = string("hash")?.parse().map_err(|_| Dropped::Bound("hash"))?;
    Ok(Attachment { name: name.to_owned(), media_type: media_type.to_owned(), size, hash, data })
}

/// RFC 6838, section 4.2: two names with a slash between them.
pub(crate) fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|char: char| char.is_ascii_alphanumeric())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || "!#$&-^_.+".contains(char))
    };
    text.len() <= limits::MEDIA_TYPE && text.split_once('/').is_some_and(|(a, b)| is_name(a) && is_name(b))
}

fn reads(one: Members<'_>) -> Result<Reads, Dropped> {
    match (one.0.get("upTo"), one.0.get("ids")) {
        (Some(_), None) => one.parsed("upTo").map(Reads::UpTo),
        (None, Some(View::Array(ids))) => {
            within("ids", ids.len(), 0, limits::READ_IDS)?;
            let ids = ids.iter().map(|id| {
                id.as_str().ok_or(Dropped::Type("ids"))?.parse().map_err(|_| Dropped::Bound("ids"))
            });
            ids.collect::<Result<_, _>>().map(Reads::Ids)
        }
        (None, Some(_)) => Err(Dropped::Type("ids")),
        (None, None) => Err(Dropped::Missing("upTo")),
        (Some(_), Some(_)) => Err(Dropped::Bound("upTo")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::AttachmentHash;
    use weft_query::{Object, Value};

    const ID: MessageId = MessageId([7; 16]);

    fn document(members: Vec<(&str, Value)>) -> Document {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Document::from_value(&Value::Object(Object::from_entries(members).unwrap())).unwrap()
    }

    fn text(more: Vec<(&'static str, Value)>) -> Result<Said, Dropped> {
        let mut members = vec![
            ("chat", Value::Int(1)),
            ("kind", "text".into()),
            ("id", DocumentId([1; 16]).to_string().into()),
            ("sent", Value::Int(1)),
            ("n", Value::Int(1)),
            ("text", "hello".into()),
        ];
        members.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        members.extend(more);
        decode(&document(members), &ID, 5)
    }

    #[test]
    fn bounds_that_are_large_hold_to_the_byte() {
        let words = |len: usize| Value::String("a".repeat(len));
        assert!(text(vec![("text", words(limits::TEXT))]).is_ok());
        assert_eq!(text(vec![("text", words(limits::TEXT + 1))]), Err(Dropped::Bound("text")));
        // Of what nobody knows there may be as much as a document has room for.
        let fits = text(vec![("later", words(limits::DOCUMENT - 200))]);
        assert!(fits.is_ok());
        let large = text(vec![("later", words(limits::DOCUMENT))]);
        assert!(matches!(large, Err(Dropped::TooLarge(size)) if size > limits::DOCUMENT));
        let picture = |len: usize| {
            let mut bytes = b"\xff\xd8\xff".to_vec();
            bytes.resize(len, 0);
            let members = vec![
                ("chat", Value::Int(1)),
                ("kind", "profile".into()),
                ("issued", Value::Int(1)),
                ("name", "Ada".into()),
                ("picture", Value::Bytes(bytes)),
            ];
            decode(&document(members), &ID, 5)
        };
        assert!(picture(limits::PICTURE).is_ok());
        assert_eq!(picture(limits::PICTURE + 1), Err(Dropped::Bound("picture")));
        let piece = |len: usize| {
            let members = vec![
                ("chat", Value::Int(1)),
                ("kind", "piece".into()),
                ("of", AttachmentHash([3; 32]).to_string().into()),
                ("at", Value::Int(0)),
                ("data", Value::Bytes(vec![0; len])),
            ];
            decode(&document(members), &ID, 5)
        };
        assert!(piece(limits::PIECE).is_ok());
        assert_eq!(piece(limits::PIECE + 1), Err(Dropped::Bound("data")));
    }

    #[test]
    fn what_names_no_chat_is_a_text_by_the_cores_id_and_time() {
        let said = decode(&document(vec![("text", "hello".into())]), &ID, 5).unwrap();
        let head = Head { id: DocumentId(ID.0), sent: 5, n: None };
        let expected = Text { head, text: "hello".into(), reply: None, attachments: Vec::new() };
        assert_eq!(said, Said::Text(expected));
        assert_eq!(decode(&document(vec![("text", Value::Int(1))]), &ID, 5), Err(Dropped::Unknown));
        assert_eq!(text(vec![("chat", Value::Int(2))]), Err(Dropped::Version));
        assert_eq!((Dropped::Unknown.code(), Dropped::Version.code()), ("unknown", "malformed"));
    }
}
