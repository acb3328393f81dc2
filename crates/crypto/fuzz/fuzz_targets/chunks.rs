//! Chunks from a link.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_crypto_fuzz::check("chunks", input));
