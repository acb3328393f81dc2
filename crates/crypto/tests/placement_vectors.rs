//! Golden residences of 10,000 keys among 11 signalers: `tests/vectors/placement.json`.
//!
//! `WEFT_WRITE_VECTORS=1 cargo test -p weft-crypto --test placement_vectors` writes the file anew; a difference in review
//! is a change of the protocol: signalers that differ in this lose each other's entries.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::format_collect)]

use std::fmt::Write as _;

use weft_crypto::placement::placed;
use weft_wire::SignalerId;

const GOLDEN: &str = include_str!("../../../tests/vectors/placement.json");

const SIGNALERS: u32 = 11;
const KEYS: u32 = 10_000;
/// Residences on one line of the file.
const LINE: usize = 25;

fn derived(what: &str, n: u32) -> [u8; 32] {
    blake3::derive_key(what, &n.to_be_bytes())
}

/// The places in the list of signalers of those that keep a key, one digit (of base 11) each.
fn residence(key: u32, signalers: &[SignalerId]) -> String {
    let kept = placed(&derived("weft/vectors/key", key), signalers);
    kept.iter()
        .map(|id| {
            let place = signalers.iter().position(|other| other == id).unwrap();
            char::from_digit(u32::try_from(place).unwrap(), SIGNALERS).unwrap()
        })
        .collect()
}

#[test]
fn c2_ten_thousand_keys_have_their_golden_residences() {
    let signalers: Vec<SignalerId> =
        (0..SIGNALERS).map(|n| SignalerId(derived("weft/vectors/signaler", n))).collect();
    let residences: Vec<String> = (0..KEYS).map(|key| residence(key, &signalers)).collect();
    let mut text = String::from("{\n  \"signalers\": [\n");
    for (n, SignalerId(id)) in signalers.iter().enumerate() {
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let comma = if n + 1 < signalers.len() { "," } else { "" };
        writeln!(text, "    \"{hex}\"{comma}").unwrap();
    }
    text.push_str("  ],\n  \"residences\": [\n");
    let lines = residences.chunks(LINE);
    let last = lines.len() - 1;
    for (n, line) in lines.enumerate() {
        writeln!(text, "    \"{}\"{}", line.join(" "), if n < last { "," } else { "" }).unwrap();
    }
    text.push_str("  ]\n}\n");
    if std::env::var_os("WEFT_WRITE_VECTORS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/placement.json");
        std::fs::write(file, &text).unwrap();
        return;
    }
    for (ours, golden) in text.lines().zip(GOLDEN.lines()) {
        assert_eq!(ours, golden);
    }
    assert_eq!(text.len(), GOLDEN.len());
}
