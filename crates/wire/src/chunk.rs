//! Chunking of link messages.
//!
//! One data-channel message is one chunk:
//!
//! ```text
//!  0        1              5                      9
//! +--------+--------------+----------------------+------------------+
//! | flags  | number (u32) | length (u32), only   | part             |
//! |        | big-endian   | in the first chunk   |                  |
//! +--------+--------------+----------------------+------------------+
//! flags: 1 = first, 2 = last
//! ```
//! Chunks of one message come in order; chunks of different messages may interleave. `number` names the message and is
//! free again after its last chunk.

use std::borrow::Cow;

use crate::limits;

const FIRST: u8 = 1;
const LAST: u8 = 2;
const HEADER: usize = 5;
const LENGTH: usize = 4;

/// Why a chunk was refused. The reassembler's state is unchanged; the link should be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// Shorter than its header, or longer than [`limits::CHUNK`].
    #[error("a chunk has 5 to {max} bytes", max = limits::CHUNK)]
    Size,
    /// Flags that this version does not know.
    #[error("unknown chunk flags {0:#04x}")]
    Flags(u8),
    /// The announced length is over [`limits::LINK_MESSAGE`].
    #[error("a message of {0} bytes; at most {max} are allowed", max = limits::LINK_MESSAGE)]
    MessageTooLarge(u32),
    /// Too many messages, or too many bytes, in reassembly.
    #[error("too many messages at once")]
    TooManyPartial,
    /// A later chunk of an unknown message, or a first chunk of a known one.
    #[error("chunk out of order")]
    OutOfOrder,
    /// The parts are not as long as announced.
    #[error("the parts do not add up to the announced length")]
    Length,
}

/// A message on its way out, cut into chunks on demand.
#[derive(Clone, Debug)]
pub struct Outgoing {
    number: u32,
    bytes: Vec<u8>,
    sent: usize,
    started: bool,
    chunk: usize,
}

impl Outgoing {
    /// A message to send under a number that no other message in flight on this link has.
    ///
    /// # Errors
    /// Gives the length back if it is over [`limits::LINK_MESSAGE`].
    pub fn new(number: u32, bytes: Vec<u8>) -> Result<Self, usize> {
        if bytes.len() > limits::LINK_MESSAGE {
            Err(bytes.len())
        } else {
            Ok(Self { number, bytes, sent: 0, started: false, chunk: limits::CHUNK })
        }
    }

    /// With smaller chunks from now on, where the channel takes no larger messages; at least [`limits::CHUNK_LEAST`] bytes.
    pub fn in_chunks_of(self, bytes: usize) -> Self {
        Self { chunk: bytes.clamp(limits::CHUNK_LEAST, limits::CHUNK), ..self }
    }

    /// Bytes of the message that are not yet in a chunk.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// The next chunk, none after the last.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        if self.started && self.remaining() == 0 {
            return None;
        }
        let first = !self.started;
        let header = HEADER + if first { LENGTH } else { 0 };
        let take = self.remaining().min(self.chunk - header);
        let mut chunk = Vec::with_capacity(header + take);
        let last = take == self.remaining();
        chunk.push(if first { FIRST } else { 0 } | if last { LAST } else { 0 });
        chunk.extend_from_slice(&self.number.to_be_bytes());
        if first {
            let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            chunk.extend_from_slice(&length.to_be_bytes());
        }
        chunk.extend_from_slice(&self.bytes[self.sent..self.sent + take]);
        self.sent += take;
        self.started = true;
        Some(chunk)
    }
}

/// Puts messages together from chunks, within [`limits::PARTIAL_MESSAGES`] and [`limits::PARTIAL_BYTES`].
#[derive(Debug, Default)]
pub struct Reassembler {
    /// A handful: [`limits::PARTIAL_MESSAGES`].
    partial: Vec<(u32, Partial)>,
    announced: usize,
}

#[derive(Debug)]
struct Partial {
    length: usize,
    bytes: Vec<u8>,
}

impl Reassembler {
    /// Takes a chunk; gives a message when it was its last one (without a copy, if it was its only one).
    ///
    /// # Errors
    /// See [`ChunkError`]; remote input never panics and never reserves memory before it has arrived.
    pub fn push<'a>(&mut self, chunk: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>, ChunkError> {
        if chunk.len() > limits::CHUNK {
            return Err(ChunkError::Size);
        }
        let (&flags, rest) = chunk.split_first().ok_or(ChunkError::Size)?;
        if flags & !(FIRST | LAST) != 0 {
            return Err(ChunkError::Flags(flags));
        }
        let (number, rest) = take_u32(rest)?;
        if flags & FIRST == 0 {
            return Ok(self.go_on(number, rest, flags & LAST != 0)?.map(Cow::Owned));
        }
        let (length, part) = take_u32(rest)?;
        if length as usize > limits::LINK_MESSAGE {
            return Err(ChunkError::MessageTooLarge(length));
        }
        self.begin(number, length as usize, part, flags & LAST != 0)
    }

    fn begin<'a>(
        &mut self,
        number: u32,
        length: usize,
        part: &'a [u8],
        last: bool,
    ) -> Result<Option<Cow<'a, [u8]>>, ChunkError> {
        if self.place(number).is_some() {
            return Err(ChunkError::OutOfOrder);
        }
        if part.len() > length || (last && part.len() != length) {
            return Err(ChunkError::Length);
        }
        if last {
            return Ok(Some(Cow::Borrowed(part)));
        }
        if self.partial.len() >= limits::PARTIAL_MESSAGES || self.announced + length > limits::PARTIAL_BYTES {
            return Err(ChunkError::TooManyPartial);
        }
        self.announced += length;
        self.partial.push((number, Partial { length, bytes: part.to_vec() }));
        Ok(None)
    }

    fn go_on(&mut self, number: u32, part: &[u8], last: bool) -> Result<Option<Vec<u8>>, ChunkError> {
        let at = self.place(number).ok_or(ChunkError::OutOfOrder)?;
        let (_, partial) = &mut self.partial[at];
        let length = partial.bytes.len() + part.len();
        if length > partial.length || (last && length != partial.length) || part.is_empty() {
            return Err(ChunkError::Length);
        }
        partial.bytes.extend_from_slice(part);
        if !last {
            return Ok(None);
        }
        let (_, whole) = self.partial.swap_remove(at);
        self.announced -= whole.length;
        Ok(Some(whole.bytes))
    }

    fn place(&self, number: u32) -> Option<usize> {
        self.partial.iter().position(|(other, _)| *other == number)
    }
}

fn take_u32(bytes: &[u8]) -> Result<(u32, &[u8]), ChunkError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(ChunkError::Size)?;
    Ok((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outgoing(number: u32, bytes: Vec<u8>) -> Outgoing {
        Outgoing::new(number, bytes).unwrap()
    }

    #[test]
    fn the_largest_message_crosses_and_one_byte_more_is_refused() {
        let bytes = vec![7; limits::LINK_MESSAGE];
        let mut out = outgoing(1, bytes.clone());
        let mut back = Reassembler::default();
        let mut got = None;
        while let Some(chunk) = out.next_chunk() {
            assert!(chunk.len() <= limits::CHUNK);
            got = got.or(back.push(&chunk).unwrap().map(Cow::into_owned));
        }
        assert!(got.as_deref() == Some(&bytes[..]));
        assert_eq!(back.announced, 0);
        assert_eq!(Outgoing::new(1, vec![0; limits::LINK_MESSAGE + 1]).err(), Some(limits::LINK_MESSAGE + 1));
    }

    #[test]
    fn smaller_chunks_make_the_same_message() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        for (asked, chunk) in [(4000, 4000), (0, limits::CHUNK_LEAST), (usize::MAX, limits::CHUNK)] {
            let mut out = outgoing(1, bytes.clone()).in_chunks_of(asked);
            let (mut back, mut got, mut longest) = (Reassembler::default(), None, 0);
            while let Some(chunk) = out.next_chunk() {
                longest = longest.max(chunk.len());
                got = got.or(back.push(&chunk).unwrap().map(Cow::into_owned));
            }
            assert!(got.as_deref() == Some(&bytes[..]) && longest == chunk, "{asked}: {longest}");
        }
    }

    #[test]
    fn an_empty_message_is_one_chunk() {
        let mut out = outgoing(9, Vec::new());
        let chunk = out.next_chunk().unwrap();
        assert!(out.next_chunk().is_none());
        assert_eq!(Reassembler::default().push(&chunk), Ok(Some(Cow::Owned(Vec::new()))));
    }

    #[test]
    fn announced_lengths_are_bounded_before_memory_is_reserved() {
        let mut back = Reassembler::default();
        let first = |number: u32, length: u32| {
            let mut chunk = vec![FIRST];
            chunk.extend_from_slice(&number.to_be_bytes());
            chunk.extend_from_slice(&length.to_be_bytes());
            chunk.push(1);
            chunk
        };
        let largest = u32::try_from(limits::LINK_MESSAGE).unwrap();
        assert_eq!(back.push(&first(0, largest + 1)), Err(ChunkError::MessageTooLarge(largest + 1)));
        assert_eq!(back.push(&first(1, largest)), Ok(None));
        assert_eq!(back.push(&first(2, largest)), Ok(None));
        assert_eq!(back.push(&first(3, 2)), Err(ChunkError::TooManyPartial));
        assert_eq!(back.push(&first(1, 2)), Err(ChunkError::OutOfOrder));
    }

    proptest! {
        #[test]
        fn interleaved_messages_arrive_whole(
            lengths in proptest::collection::vec(0_usize..60_000, 1..8),
            order in proptest::collection::vec(any::<usize>(), 0..64),
        ) {
            let messages: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(i, &len)| vec![u8::try_from(i).unwrap(); len]).collect();
            let mut outs: Vec<(usize, Outgoing)> = messages.iter().enumerate()
                .map(|(i, m)| (i, outgoing(u32::try_from(i).unwrap(), m.clone()))).collect();
            let mut back = Reassembler::default();
            let mut got = vec![None; messages.len()];
            let mut order = order.into_iter().chain(std::iter::repeat(0));
            while !outs.is_empty() {
                let at = order.next().unwrap() % outs.len();
                let (i, out) = &mut outs[at];
                match out.next_chunk() {
                    Some(chunk) => if let Some(whole) = back.push(&chunk).unwrap() { got[*i] = Some(whole.into_owned()); },
                    None => { outs.remove(at); }
                }
            }
            prop_assert_eq!(got, messages.into_iter().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40)) {
            let mut back = Reassembler::default();
            for chunk in chunks { let _ = back.push(&chunk); }
        }
    }
}
