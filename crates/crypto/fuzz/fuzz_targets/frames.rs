//! A frame, statement or sealed structure from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_crypto_fuzz::check("frames", input));
