//! A query and a document, both in CBOR.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_query_fuzz::check("match_cbor", input));
