//! The documents of a simulated application, and how they are recognised again.

use weft_query::{Document, Object, Value, View};

/// What a publication of the simulation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Which publication, over the whole run.
    pub number: u32,
    /// What it is about: subscriptions ask for it.
    pub topic: u32,
}

impl Content {
    /// The document, about `bytes` long when encoded (never under 40).
    ///
    /// # Errors
    /// None for sizes within the limits of documents.
    pub fn document(self, bytes: usize) -> anyhow::Result<Document> {
        let fill = self.fill();
        let document = |pad: usize| {
            let entries = vec![
                ("n".to_owned(), Value::Int(self.number.into())),
                ("topic".to_owned(), Value::Int(self.topic.into())),
                ("pad".to_owned(), Value::Bytes(vec![fill; pad])),
            ];
            Ok::<_, anyhow::Error>(Document::from_value(&Value::Object(Object::from_entries(entries)?))?)
        };
        let bare = document(0)?.encode().len();
        let most = document(bytes.saturating_sub(bare))?.encode().len();
        document(bytes.saturating_sub(bare).saturating_sub(most.saturating_sub(bytes.max(bare))))
    }

    /// What a document says; none if it was altered or is none of ours.
    pub fn of(document: &Document) -> Option<Self> {
        let number = |name| match document.get(name) {
            Some(View::Int(n)) => u32::try_from(n).ok(),
            _ => None,
        };
        let content = Self { number: number("n")?, topic: number("topic")? };
        let fill = content.fill();
        match document.get("pad") {
            Some(View::Bytes(pad)) if pad.iter().all(|byte| *byte == fill) => Some(content),
            _ => None,
        }
    }

    fn fill(self) -> u8 {
        u8::try_from(self.number % 251).unwrap_or_default()
    }
}

/// The query for everything about a topic, or for everything.
pub fn query(topic: Option<u32>) -> Value {
    let mut object = Object::new();
    if let Some(topic) = topic {
        object.insert("topic", i64::from(topic));
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_size_asked_for_and_is_recognised() {
        for bytes in [64, 100, 256, 300, 1_000, 70_000] {
            let content = Content { number: 77, topic: 3 };
            let document = content.document(bytes).unwrap();
            let encoded = document.encode();
            assert_eq!(encoded.len(), bytes);
            assert_eq!(Content::of(&Document::decode(&encoded).unwrap()), Some(content));
        }
    }

    #[test]
    fn an_altered_document_is_not_recognised() {
        let mut bytes = Content { number: 1, topic: 0 }.document(100).unwrap().encode();
        let at = bytes.iter().rposition(|byte| *byte == 1).unwrap();
        bytes[at] ^= 4;
        assert!(Document::decode(&bytes).map_or(true, |document| Content::of(&document).is_none()));
    }
}
