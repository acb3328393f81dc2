//! A query in CBOR from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_query_fuzz::check("filter_cbor", input));
