//! `weft-bench floor`: the least that a forwarding server can do, so that figures have a limit to be compared with.
//!
//! One thread, one epoll, no JSON, no proof of who anybody is, no quota, no time-out. A binary frame begins with the
//! number of the connection it is for, which is the path that it asked for, or [`EVERYBODY`] for the rest of the swarm. What waits for
//! a socket when all events were handled leaves in one write. Not a server for anything else: it believes what it is told.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::wire::SWARM;

/// Addresses the rest of the sender's swarm.
pub(crate) const EVERYBODY: u32 = u32::MAX;
/// Of the listening socket.
const LISTENER: Token = Token(usize::MAX);
/// The answer to every upgrade. The load client does not check the key.
const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Bytes of a client's frame header with a length of two bytes, and of one with a short length.
const HEADERS: [usize; 2] = [8, 6];

/// Where to listen.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Address and port
    listen: SocketAddr,
}

#[derive(Default)]
struct Connections {
    all: Vec<Connection>,
    /// Where in `all` the connection of a number is.
    numbers: Vec<usize>,
    /// Those with something to write.
    dirty: Vec<usize>,
}

struct Connection {
    stream: TcpStream,
    /// Once it is upgraded.
    number: Option<usize>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

/// Serves until it is killed.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(options.listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections = Connections::default();
    let mut scratch = vec![0; 64 * 1024];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            if event.token() == LISTENER {
                connections.accept(&listener, &poll)?;
                continue;
            }
            let Token(at) = event.token();
            if event.is_readable() && connections.read(at, &mut scratch).is_err() {
                connections.close(at);
            }
            if event.is_writable() {
                connections.dirty.push(at);
            }
        }
        connections.flush();
    }
}

impl Connections {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> anyhow::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            stream.set_nodelay(true)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(self.all.len()), interest)?;
            self.all.push(Connection { stream, number: None, inbox: Vec::new(), outbox: Vec::new() });
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(connection) = self.all.get_mut(at) {
            let _ = connection.stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn read(&mut self, at: usize, scratch: &mut [u8]) -> anyhow::Result<()> {
        loop {
            let connection = self.all.get_mut(at).context("an event of nobody")?;
            let read = match connection.stream.read(scratch) {
                Ok(0) => anyhow::bail!("closed"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let fresh = scratch.get(..read).unwrap_or_default();
            if connection.inbox.is_empty() {
                let used = self.take(at, fresh)?;
                if let Some(connection) = self.all.get_mut(at) {
                    connection.inbox.extend_from_slice(fresh.get(used..).unwrap_or_default());
                }
            } else {
                let mut inbox = std::mem::take(&mut connection.inbox);
                inbox.extend_from_slice(fresh);
                let used = self.take(at, &inbox)?;
                inbox.drain(..used);
                if let Some(connection) = self.all.get_mut(at) {
                    connection.inbox = inbox;
                }
            }
            if read < scratch.len() {
                return Ok(());
            }
        }
    }

    /// Handles all whole frames; returns how many bytes they were.
    fn take(&mut self, at: usize, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut used = 0;
        if self.all.get(at).is_some_and(|connection| connection.number.is_none()) {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(0) };
            let number = asked_for(bytes)?;
            if let Some(connection) = self.all.get_mut(at) {
                connection.number = Some(number);
            }
            if self.numbers.len() <= number {
                self.numbers.resize(number + 1, usize::MAX);
            }
            if let Some(place) = self.numbers.get_mut(number) {
                *place = at;
            }
            self.queue(at, UPGRADED);
            used = end + 4;
        }
        while let Some((header, end)) = frame(bytes.get(used..).unwrap_or_default())? {
            let payload = bytes.get(used + header..used + end).unwrap_or_default();
            used += end;
            if let Some((to, signal)) = payload.split_first_chunk::<4>() {
                self.forward(at, u32::from_be_bytes(*to), signal);
            }
        }
        Ok(used)
    }

    fn forward(&mut self, from: usize, to: u32, signal: &[u8]) {
        // One encoding, whoever it goes to.
        let mut frame = Vec::with_capacity(signal.len() + 4);
        match u8::try_from(signal.len()) {
            Ok(short) if short < 126 => frame.extend([0x82, short]),
            _ => {
                frame.extend([0x82, 0x7e]);
                frame.extend(u16::try_from(signal.len()).unwrap_or_default().to_be_bytes());
            }
        }
        frame.extend(signal);
        if to == EVERYBODY {
            let own = self.all.get(from).and_then(|connection| connection.number).unwrap_or_default();
            let first = own / SWARM * SWARM;
            (first..first + SWARM).filter(|number| *number != own).for_each(|to| self.queue_for(to, &frame));
        } else {
            self.queue_for(to as usize, &frame);
        }
    }

    fn queue_for(&mut self, number: usize, bytes: &[u8]) {
        if let Some(at) = self.numbers.get(number) {
            self.queue(*at, bytes);
        }
    }

    fn queue(&mut self, at: usize, bytes: &[u8]) {
        if let Some(connection) = self.all.get_mut(at) {
            if connection.outbox.is_empty() {
                self.dirty.push(at);
            }
            connection.outbox.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self) {
        for at in std::mem::take(&mut self.dirty) {
            let Some(connection) = self.all.get_mut(at).filter(|connection| !connection.outbox.is_empty())
            else {
                continue;
            };
            match connection.stream.write(&connection.outbox) {
                Ok(written) if written == connection.outbox.len() => connection.outbox.clear(),
                Ok(written) => _ = connection.outbox.drain(..written),
                // It is written when the socket can; of one that is gone nothing is.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => connection.outbox.clear(),
            }
        }
    }
}

/// The number in `GET /NUMBER HTTP/1.1`.
fn asked_for(request: &[u8]) -> anyhow::Result<usize> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let path = std::str::from_utf8(line)?.split(' ').nth(1).unwrap_or_default();
    let number = path.trim_start_matches('/').parse().context("the path is no number")?;
    ensure!(number < 1 << 20, "no such number");
    Ok(number)
}

/// Bytes of the header of the first whole frame, and where it ends; `None` while bytes are missing.
fn frame(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let &[_, second, ref rest @ ..] = bytes else { return Ok(None) };
    ensure!(second & 0x80 != 0, "a frame without a mask");
    let [long, short] = HEADERS;
    let (header, length) = match second & 0x7f {
        0x7e => match rest.first_chunk::<2>() {
            Some(length) => (long, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        0x7f => anyhow::bail!("a frame larger than any of these benchmarks"),
        length => (short, usize::from(length)),
    };
    if bytes.len() < header + length {
        return Ok(None);
    }
    // The load client's mask is zero, so that nobody has to undo it: neither this server nor the others gain by that here.
    ensure!(bytes.get(header - 4..header) == Some(&[0; 4]), "a mask that is not zero");
    Ok(Some((header, header + length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing;

    #[test]
    fn frames_of_the_load_client_are_found_whole_and_only_whole() {
        for length in [0, 4, 125, 126, 260, 65_535] {
            let bytes = framing::frame(framing::BINARY, &vec![7; length]);
            let (header, end) = frame(&bytes).unwrap().unwrap();
            assert_eq!((end - header, end), (length, bytes.len()));
            assert!(frame(&bytes[..bytes.len() - 1]).unwrap().is_none());
        }
        assert!(frame(&[0x82, 4]).is_err());
    }

    #[test]
    fn a_connection_has_the_number_that_it_asks_for() {
        assert_eq!(asked_for(&framing::upgrade("/17", None)).unwrap(), 17);
        assert!(asked_for(&framing::upgrade("/", None)).is_err());
        assert!(asked_for(&framing::upgrade("/9999999", None)).is_err());
    }
}
