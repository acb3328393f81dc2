//! A query and a document, made up from what the fuzzer chooses.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| weft_query_fuzz::check("match_values", input));
