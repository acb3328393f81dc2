//! What three admins say of the members of a party.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_crypto_fuzz::check("members", input));
