//! Something signed or sealed, from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_crypto_fuzz::check("statements", input));
