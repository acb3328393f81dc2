//! Writes what a fuzz target may begin with, from the golden vectors: `seeds DIRECTORY` makes DIRECTORY/TARGET/NUMBER.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use weft_query::{Document, Filter, Summary, Value, json};

const QUERIES: &str = include_str!("../../../../tests/vectors/query.json");
const DOCUMENTS: &str = include_str!("../../../../tests/vectors/query-encoding.json");

fn main() -> Result<()> {
    let into = PathBuf::from(std::env::args_os().nth(1).context("seeds DIRECTORY")?);
    let mut written = 0;
    let mut seed = |target: &str, bytes: &[u8]| -> Result<()> {
        fs::create_dir_all(into.join(target))?;
        written += 1;
        Ok(fs::write(into.join(target).join(format!("seed-{written:04}")), bytes)?)
    };
    let mut filters = Vec::new();
    for case in cases(QUERIES)? {
        let Some(query) = case.get("query") else { continue };
        seed("filter_json", json::to_string(query).as_bytes())?;
        let Ok(filter) = Filter::parse(query) else { continue };
        seed("filter_cbor", filter.as_bytes())?;
        seed("summary", &Summary::of([&filter], 4096).encode())?;
        if let Some(document) = case.get("document").and_then(|document| Document::from_value(document).ok())
        {
            let length = u16::try_from(filter.as_bytes().len())?.to_be_bytes();
            seed("match_cbor", &[&length, filter.as_bytes(), &document.encode()].concat())?;
            // Bytes for choices as good as any.
            seed("match_values", &document.encode())?;
            seed("document", &document.encode())?;
        }
        filters.push(filter);
    }
    for several in filters.chunks(20) {
        seed("summary", &Summary::of(several, 4096).encode())?;
    }
    for case in cases(DOCUMENTS)? {
        let digits = case.get("cbor").and_then(Value::as_str).unwrap_or_default();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16);
        let bytes = (0..digits.len()).step_by(2).map(byte).collect::<Result<Vec<_>, _>>()?;
        // Some are of the largest document.
        if bytes.len() < 1000 {
            seed("document", &bytes)?;
        }
    }
    Ok(())
}

fn cases(vectors: &str) -> Result<Vec<weft_query::Object>> {
    let Value::Array(cases) = json::parse(vectors)? else { anyhow::bail!("the vectors are an array") };
    Ok(cases.into_iter().filter_map(|case| case.as_object().cloned()).collect())
}
