//! Every maximum of documents and filters. The specification repeats them; peers that disagree about a limit
//! disagree about what is a document, so changing one is a change of the protocol.

/// Bytes of an encoded document: the largest message of a data channel (16 MiB). Frames that carry documents
/// usually allow less.
pub const DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// Values in one document, counting every array, object, member and element. A one-byte value takes 16
/// bytes in memory, a member with an empty name 33, so this, too, bounds a hostile document (to about 9 MiB).
pub const DOCUMENT_VALUES: usize = 1 << 18;

/// Arrays and objects inside each other, the document itself included. Bounds the recursion of everything
/// that walks a document; a 1 MiB wasm stack holds many times this.
pub const DEPTH: usize = 32;

/// Largest distance of a date from 1970 in milliseconds: what a JavaScript `Date` can hold (ECMA-262, section
/// 21.4.1.1), so that every peer can show every date.
pub const DATE_MILLIS: i64 = 8_640_000_000_000_000;

/// Bytes of an encoded query document. A guess: an `$in` of a thousand identities fits.
pub const FILTER_BYTES: usize = 64 * 1024;

/// Conditions in one filter: each operator, each implied `$eq` and each branch of `$and`, `$or`, `$nor` counts.
/// Together with [`DOCUMENT_VALUES`] it bounds the work of one match.
pub const FILTER_TERMS: usize = 256;

/// Steps of a dotted path: a document is no deeper.
pub const PATH_STEPS: usize = DEPTH;

/// `$regex` conditions in one filter.
pub const FILTER_PATTERNS: usize = 8;

/// Bytes of one regular expression.
pub const PATTERN_BYTES: usize = 512;

/// Bytes of one compiled regular expression. Rejects what grows when repetitions are expanded.
pub const PATTERN_COMPILED_BYTES: usize = 8 * 1024;

/// Groups inside each other in one regular expression.
pub const PATTERN_DEPTH: u32 = 32;

/// Bytes of text, counting one more for each string, that a document may have in the member that a `$regex` condition
/// looks into; with more it is not selected. The engine's time is the product of text and pattern, so this,
/// [`FILTER_PATTERNS`] and [`PATTERN_COMPILED_BYTES`] bound it: about a second natively for eight of the worst pattern
/// known, 5 us a byte.
pub const PATTERN_TEXT_BYTES: usize = 32 * 1024;

/// Failed conditions that one explanation lists; the rest is only counted as a mismatch.
pub const EXPLANATION_FAILURES: usize = 32;

/// Bytes of JSON text. Base64 makes bytes a third longer than they are in CBOR.
pub const JSON_BYTES: usize = 2 * DOCUMENT_BYTES;

/// What a value may cost; a document and a query differ only in these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Bytes of the encoding.
    pub(crate) bytes: usize,
    /// Values of every kind.
    pub(crate) values: usize,
}

impl Budget {
    pub(crate) const DOCUMENT: Self = Self { bytes: DOCUMENT_BYTES, values: DOCUMENT_VALUES };
    pub(crate) const FILTER: Self = Self { bytes: FILTER_BYTES, values: FILTER_BYTES };
}
