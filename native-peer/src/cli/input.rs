//! Documents from a file or a pipe.
//!
//! JSON lines are read as they come, so `tail -f` works. What begins with `[` is one JSON array and is read whole. The
//! reading is done by a thread of its own, which waits where nothing is asked of it: a pipe that never ends must not hold
//! up the end of the program.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use serde_json::value::RawValue;
use tokio::sync::mpsc;
use weft_query::{Document, json};

use super::exit::Failure;

/// Documents read ahead.
const AHEAD: usize = 64;
/// Bytes of one line. A document has at most 1 MiB as CBOR; JSON with base64, escapes and blanks takes more.
const LINE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one array, which is held in memory.
const ARRAY_BYTES: u64 = 256 * 1024 * 1024;

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

fn read_array(source: impl BufRead, take: &mut dyn FnMut(Entry) -> bool) -> io::Result<()> {
    let mut text = String::new();
    source.take(ARRAY_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > ARRAY_BYTES {
        return Err(io::Error::other(format!(
            "an array of more than {ARRAY_BYTES} bytes; write one document per line"
        )));
    }
    let elements: Vec<&RawValue> = serde_json::from_str(&text)
        .map_err(|error| io::Error::other(format!("not a JSON array: {error}")))?;
    for (at, element) in elements.into_iter().enumerate() {
        let entry = Entry { place: format!("element {}", at + 1), document: parse(element.get()) };
        if !take(entry) {
            break;
        }
    }
    Ok(())
}

/// A document of JSON with extended forms.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    let value = json::parse(text).map_err(|error| error.to_string())?;
    Document::from_value(value).map_err(|error| error.to_string())
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
            entries.push((entry.place, entry.document.map(|document| json::to_string(document.as_value()))));
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
