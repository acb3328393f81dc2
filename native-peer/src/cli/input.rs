//! Documents from a file or a pipe.
//!
//! Both JSON lines and the elements of an array, which is what begins with `[`, are given away as they are read, so
//! `tail -f` works and what is no JSON is known at once. The reading is done by a thread of its own, which waits where
//! nothing is asked of it: a pipe that never ends must not hold up the end of the program.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::de::Deserializer;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use weft_query::{Document, Object, Value, json};

use super::exit::Failure;

/// Documents read ahead.
const AHEAD: usize = 64;
/// Bytes of one line or element. A document has at most 1 MiB as CBOR; JSON with base64, escapes and blanks takes more.
const LINE_BYTES: usize = 8 * 1024 * 1024;

/// One document, or why there is none.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `line 3` or `element 3`.
    pub(crate) place: String,
    /// The document, or what is wrong with it.
    pub(crate) document: Result<Document, String>,
}

/// Documents as they are read. An `Err` is the last one.
pub(crate) type Entries = mpsc::Receiver<io::Result<Entry>>;

/// Begins to read a file, or standard input for `-`.
///
/// # Errors
/// If the file cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Entries, Failure> {
    if path == Path::new("-") {
        return Ok(start(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| Failure::error(&format!("{}: {error}", path.display())))?;
    Ok(start(BufReader::new(file)))
}

fn start(source: impl BufRead + Send + 'static) -> Entries {
    let (into, from) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        // Nobody who takes more is a reason to end, and not an error.
        if let Err(error) = read(source, &mut |entry| into.blocking_send(Ok(entry)).is_ok()) {
            let _ = into.blocking_send(Err(error));
        }
    });
    from
}

/// Reads entries and gives them away until nobody takes them.
fn read(mut source: impl BufRead, take: &mut dyn FnMut(Entry) -> bool) -> io::Result<()> {
    let mut number = 0_u64;
    loop {
        if number == 0 && first_byte(&mut source)? == Some(b'[') {
            return read_array(source, take);
        }
        let Some((line, whole)) = read_line(&mut source)? else { return Ok(()) };
        number += 1;
        if whole && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let document = if whole {
            std::str::from_utf8(&line).map_err(|_| "not UTF-8".to_owned()).and_then(parse)
        } else {
            Err(format!("longer than {LINE_BYTES} bytes"))
        };
        if !take(Entry { place: format!("line {number}"), document }) {
            return Ok(());
        }
    }
}

fn read_array(source: impl Read, take: &mut dyn FnMut(Entry) -> bool) -> io::Result<()> {
    let left = Cell::new(LINE_BYTES);
    let mut taken = true;
    let mut deserializer = Deserializer::from_reader(Bounded { source, left: &left });
    let mut elements = Elements { left: &left, taken: &mut taken, take };
    let done = serde::Deserializer::deserialize_seq(&mut deserializer, &mut elements)
        .and_then(|()| deserializer.end());
    match done {
        Err(error) if taken => Err(io::Error::other(if error.is_io() {
            error.to_string()
        } else {
            format!("neither a JSON array nor one document per line: {error}")
        })),
        _ => Ok(()),
    }
}

/// A source that gives so many bytes and then fails.
struct Bounded<'a, R> {
    source: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(self.left.get());
        if most == 0 && !into.is_empty() {
            return Err(io::Error::other(format!("an element is longer than {LINE_BYTES} bytes")));
        }
        let count = self.source.read(&mut into[..most])?;
        self.left.set(self.left.get() - count);
        Ok(count)
    }
}

/// Gives away the elements of an array, one after the other.
struct Elements<'a> {
    /// Bytes that the element being read may still have.
    left: &'a Cell<usize>,
    /// Somebody still takes them.
    taken: &'a mut bool,
    take: &'a mut dyn FnMut(Entry) -> bool,
}

impl<'de> Visitor<'de> for &mut Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0_u64;
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            number += 1;
            self.left.set(LINE_BYTES);
            let entry = Entry { place: format!("element {number}"), document: parse(element.get()) };
            *self.taken = (self.take)(entry);
            if !*self.taken {
                return Err(A::Error::custom("nobody takes more"));
            }
        }
        Ok(())
    }
}

/// A document of JSON with extended forms.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    let value = json::parse(text).map_err(|error| error.to_string())?;
    Document::from_value(&value).map_err(|error| error.to_string())
}

/// A JSON object as it is, and any other text as `{"text": …}`.
pub(crate) fn of_text(text: &str) -> Result<Document, String> {
    if text.trim_start().starts_with('{') {
        return parse(text);
    }
    let mut object = Object::new();
    object.insert("text", text);
    Document::from_value(&Value::Object(object)).map_err(|error| error.to_string())
}

/// The first byte that is not blank. Blanks before it are skipped, except ends of lines, which count.
fn first_byte(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = source.fill_buf()?;
        match buffer.first() {
            Some(b' ' | b'\t') => source.consume(1),
            first => return Ok(first.copied()),
        }
    }
}

/// A line without its end, and whether it is whole; the rest of one that is too long is skipped.
fn read_line(source: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, bool)>> {
    let mut line = Vec::new();
    let mut whole = true;
    let mut any = false;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(any.then_some((line, whole)));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        whole &= line.len() + part.len() <= LINE_BYTES;
        if whole {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return Ok(Some((line, whole)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> io::Result<Vec<(String, Result<String, String>)>> {
        let mut entries = Vec::new();
        // A small buffer, so that lines span several of its fillings.
        read(BufReader::with_capacity(7, text.as_bytes()), &mut |entry| {
            entries.push((entry.place, entry.document.map(|document| json::to_string(&document.to_value()))));
            true
        })?;
        Ok(entries)
    }

    #[test]
    fn lines_are_counted_blank_ones_passed_over_and_bad_ones_told() {
        let entries = read_all("{\"a\":1}\n\n  \nnonsense\n[1]\n{\"b\":{\"$date\":5}}").unwrap();
        let places: Vec<_> = entries.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["line 1", "line 4", "line 5", "line 6"]);
        assert_eq!(entries[0].1.as_deref(), Ok("{\"a\":1}"));
        assert!(entries[1].1.is_err());
        assert!(entries[2].1.as_ref().unwrap_err().contains("object"));
        assert_eq!(entries[3].1.as_deref(), Ok("{\"b\":{\"$date\":5}}"));
    }

    #[test]
    fn an_array_is_read_by_its_elements() {
        let entries = read_all("  [ {\"a\":1},\n 2, {\"c\":\n3} ]\n").unwrap();
        assert_eq!(entries[0], ("element 1".into(), Ok("{\"a\":1}".into())));
        assert_eq!(entries[1].0, "element 2");
        assert!(entries[1].1.is_err());
        assert_eq!(entries[2], ("element 3".into(), Ok("{\"c\":3}".into())));
        assert!(read_all("[{\"a\":1}").is_err());
        assert_eq!(read_all("[]").unwrap(), []);
    }

    /// A pipe that stays open: whoever reads beyond what there is would wait.
    struct Open<'a>(&'a [u8]);

    impl Read for Open<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::Error::other("waits")) } else { self.0.read(into) }
        }
    }

    #[test]
    fn what_begins_like_an_array_and_is_none_is_an_error_as_soon_as_it_shows() {
        for text in ["[2026-11-21] started", "[info] x", "[1] {\"a\":1}"] {
            let error = read(BufReader::new(Open(text.as_bytes())), &mut |_| true).unwrap_err();
            assert!(error.to_string().contains("one document per line"), "{error}");
        }
    }

    #[test]
    fn elements_are_given_away_before_the_array_ends() {
        let mut places = Vec::new();
        let source = BufReader::new(Open(b"[{\"a\":1},{\"a\":2},"));
        let waits = read(source, &mut |entry| {
            places.push(entry.place);
            true
        });
        assert!(waits.unwrap_err().to_string().contains("waits"));
        assert_eq!(places, ["element 1", "element 2"]);
    }

    #[test]
    fn an_element_that_is_too_long_is_an_error() {
        let long = format!("[{{\"a\":1}}, \"{}\"]", "x".repeat(LINE_BYTES));
        assert!(read_all(&long).unwrap_err().to_string().contains("longer"));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
        let long = format!("\"{}\"\n{{\"a\":1}}", "x".repeat(LINE_BYTES));
        let mut entries = Vec::new();
        read(long.as_bytes(), &mut |entry| {
            entries.push(entry);
            true
        })
        .unwrap();
        assert!(entries[0].document.as_ref().unwrap_err().contains("longer"));
        assert!(entries[1].document.is_ok());
    }

    #[test]
    fn nothing_at_all_is_no_document() {
        assert_eq!(read_all("").unwrap(), []);
        assert_eq!(read_all("\n\n").unwrap(), []);
    }
}
