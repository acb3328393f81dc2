//! Writes what a fuzz target may begin with, from the golden vectors: `seeds DIRECTORY` makes DIRECTORY/TARGET/NUMBER.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use weft_query::{Value, json};

const LINK: &str = include_str!("../../../../tests/vectors/frames-link.json");
const SIGNALER: &str = include_str!("../../../../tests/vectors/frames-signaler.json");
const CRYPTO: &str = include_str!("../../../../tests/vectors/crypto.json");
/// Kinds of frames that the first byte chooses from.
const KINDS: u8 = 17;

fn main() -> Result<()> {
    let into = PathBuf::from(std::env::args_os().nth(1).context("seeds DIRECTORY")?);
    let mut written = 0;
    let mut seed = |target: &str, bytes: &[u8]| -> Result<()> {
        fs::create_dir_all(into.join(target))?;
        written += 1;
        Ok(fs::write(into.join(target).join(format!("seed-{written:04}")), bytes)?)
    };
    let mut chunks = Vec::new();
    for bytes in golden(LINK)?.into_iter().chain(golden(SIGNALER)?).chain(golden(CRYPTO)?) {
        // Which kind it is, finds out who tries.
        for kind in 0..KINDS {
            seed("frames", &[&[kind], &bytes[..]].concat())?;
        }
        seed("statements", &bytes)?;
        chunks.extend(u16::try_from(bytes.len() + 9)?.to_be_bytes());
        chunks.extend([3, 0, 0, 0, 1]);
        chunks.extend(u32::try_from(bytes.len())?.to_be_bytes());
        chunks.extend(&bytes);
        seed("chunks", &chunks[chunks.len().saturating_sub(600)..])?;
    }
    // A conversation, and a party: choices as they come.
    for start in 0..40_u8 {
        let choices: Vec<u8> =
            (0..400_u32).map(|n| (n * n * 7 + n * u32::from(start) * 13 + 5).to_be_bytes()[3]).collect();
        seed("sessions", &choices)?;
        seed("members", &choices)?;
    }
    Ok(())
}

/// Everything in hexadecimal digits that the vectors hold.
fn golden(vectors: &str) -> Result<Vec<Vec<u8>>> {
    let Value::Array(cases) = json::parse(vectors)? else { anyhow::bail!("the vectors are an array") };
    let mut all = Vec::new();
    for case in cases.iter().filter_map(Value::as_object) {
        let digits = ["hex", "value"].iter().find_map(|name| case.get(name).and_then(Value::as_str));
        let digits = digits.unwrap_or_default();
        let byte = |at| digits.get(at..at + 2).map(|two| u8::from_str_radix(two, 16));
        let bytes: Option<Result<Vec<_>, _>> = (0..digits.len()).step_by(2).map(byte).collect();
        // Ids are texts of their own kind.
        if let Some(Ok(bytes)) = bytes {
            all.push(bytes);
        }
    }
    Ok(all)
}
