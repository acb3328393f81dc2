//! What happens to the sessions of three peers.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_crypto_fuzz::check("sessions", input));
