//! JSON lines on standard output.

use std::io::{self, Write as _};

use weft_query::{Document, Value, json};

use super::exit::Failure;

/// One JSON object in one line, its members in the order in which they are added.
#[derive(Debug)]
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn new() -> Self {
        Self("{".into())
    }

    /// A document, with bytes, dates and large integers in their extended forms.
    pub(crate) fn document(self, name: &str, document: &Document) -> Self {
        self.raw(name, &json::to_string(&document.to_value()))
    }

    pub(crate) fn text(self, name: &str, text: &dyn std::fmt::Display) -> Self {
        self.raw(name, &json::to_string(&Value::String(text.to_string())))
    }

    pub(crate) fn number(self, name: &str, number: u64) -> Self {
        self.raw(name, &number.to_string())
    }

    pub(crate) fn flag(self, name: &str, flag: bool) -> Self {
        self.raw(name, if flag { "true" } else { "false" })
    }

    pub(crate) fn list<T: std::fmt::Display>(self, name: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| Value::String(item.to_string())).collect();
        self.raw(name, &json::to_string(&Value::Array(items)))
    }

    /// The line without its end.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// Writes the line, and waits until it is taken.
    pub(crate) fn print(self) -> Result<(), Failure> {
        let mut line = self.finish();
        line.push('\n');
        print(&line)
    }

    /// The names are our own and need no escapes.
    fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(value);
        self
    }
}

/// Writes text, and waits until it is taken.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Failure::error(&format!("standard output: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_whatever_is_in_it() {
        let document = json::parse("{\"t\":\"a\\n\\\"b\",\"when\":{\"$date\":5}}").unwrap();
        let line = Line::new()
            .document("data", &Document::from_value(&document).unwrap())
            .text("author", &"z\"6\n")
            .number("seq", 7)
            .flag("backlog", false)
            .list("links", ["a", "b"])
            .finish();
        assert!(!line.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["data"]["t"], "a\n\"b");
        assert_eq!(read["data"]["when"]["$date"], 5);
        assert_eq!(read["author"], "z\"6\n");
        assert_eq!((read["seq"].as_u64(), read["backlog"].as_bool()), (Some(7), Some(false)));
        assert_eq!(read["links"][1], "b");
    }
}
