//! As much of RFC 6455 as a client on loopback needs: the upgrade, whole frames, masks of zero.

use std::ops::Range;

/// Opcode of a text frame.
pub(crate) const TEXT: u8 = 1;
/// Opcode of a binary frame.
pub(crate) const BINARY: u8 = 2;
/// Opcode of a close frame.
pub(crate) const CLOSE: u8 = 8;
/// Opcode of a ping frame.
pub(crate) const PING: u8 = 9;
/// Opcode of a pong frame.
pub(crate) const PONG: u8 = 10;

/// Bytes of the largest frame that is taken from a server: far beyond anything these benchmarks cause.
const LARGEST: usize = 1 << 20;

/// The request that upgrades a connection.
pub(crate) fn upgrade(path: &str, protocol: Option<&str>) -> Vec<u8> {
    let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
    // The key is the example of RFC 6455 section 1.3: nothing between here and the server caches.
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
    )
    .into_bytes()
}

/// Where the answer to an upgrade ends: `None` while it is incomplete, an error if the server declines.
pub(crate) fn upgraded(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        anyhow::ensure!(bytes.len() < 16 * 1024, "the answer to the upgrade does not end");
        return Ok(None);
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    anyhow::ensure!(head.starts_with("HTTP/1.1 101"), "no upgrade: {head}");
    Ok(Some(end + 4))
}

/// One frame of a client. The mask is zero, so the payload is sent as it is.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(0x80 | opcode);
    if let Ok(short) = u8::try_from(payload.len())
        && short < 126
    {
        bytes.push(0x80 | short);
    } else if let Ok(medium) = u16::try_from(payload.len()) {
        bytes.push(0x80 | 0x7e);
        bytes.extend(medium.to_be_bytes());
    } else {
        bytes.push(0x80 | 0x7f);
        bytes.extend((payload.len() as u64).to_be_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A frame found in received bytes.
pub(crate) struct Found {
    /// What kind of frame it is.
    pub(crate) opcode: u8,
    /// Where its payload is.
    pub(crate) payload: Range<usize>,
}

/// The first whole frame at `from`; `None` while bytes are missing.
pub(crate) fn next(bytes: &[u8], from: usize) -> anyhow::Result<Option<Found>> {
    let rest = bytes.get(from..).unwrap_or_default();
    let &[first, second, ref more @ ..] = rest else { return Ok(None) };
    anyhow::ensure!(first & 0x80 != 0 && second & 0x80 == 0, "a fragment or a masked frame from a server");
    let (length, header) = match second {
        0x7e => match more.first_chunk::<2>() {
            Some(bytes) => (usize::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        0x7f => match more.first_chunk::<8>() {
            Some(bytes) => (usize::try_from(u64::from_be_bytes(*bytes))?, 10),
            None => return Ok(None),
        },
        short => (usize::from(short), 2),
    };
    anyhow::ensure!(length <= LARGEST, "a frame of {length} bytes");
    let payload = from + header..from + header + length;
    Ok((bytes.len() >= payload.end).then_some(Found { opcode: first & 0x0f, payload }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server would send: the same frame without its mask.
    fn unmasked(payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(BINARY, payload);
        let mask_at = bytes.len() - payload.len() - 4;
        bytes.drain(mask_at..mask_at + 4);
        bytes[1] &= 0x7f;
        bytes
    }

    #[test]
    fn frames_of_every_length_form_are_found_whole_and_only_whole() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = [vec![9; 3], unmasked(&payload)].concat();
            let found = next(&bytes, 3).unwrap().unwrap();
            assert_eq!((found.opcode, &bytes[found.payload]), (BINARY, payload.as_slice()));
            assert!(next(&bytes[..bytes.len() - 1], 3).unwrap().is_none());
        }
    }

    #[test]
    fn a_declined_upgrade_is_an_error_that_shows_the_answer() {
        assert!(upgraded(b"HTTP/1.1 101 S").unwrap().is_none());
        assert_eq!(upgraded(b"HTTP/1.1 101 S\r\n\r\nx").unwrap(), Some(18));
        let error = upgraded(b"HTTP/1.1 429 Too Many\r\n\r\n").unwrap_err().to_string();
        assert!(error.contains("429"), "{error}");
    }
}
