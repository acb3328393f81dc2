//! One WebSocket, from upgrade to close: a task that reads for the hub and writes what the hub queued.
//!
//! Reading, control frames and the closing handshake are tungstenite's, driven without `tokio-tungstenite` because the
//! limit on messages is raised after authentication and because its wakers and buffers cost more than the frames.
//! Binary frames are written here: all that is queued goes into one buffer per thread and out in one write, so an idle
//! connection holds no outgoing buffer, and a fan-out payload is framed but never re-encoded.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::Sender;
use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Message, Utf8Bytes};
use weft_signaler_core::ConnId;
use weft_wire::{Code, limits};

use crate::hub::ToHub;
use crate::outbox::Outbox;

/// What can carry a WebSocket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// How long a closing handshake may take.
const CLOSING: Duration = Duration::from_secs(2);
/// Bytes gathered into one write.
const WRITE: usize = 64 * 1024;
/// Bytes read at once; most frames are smaller. One such buffer is all that an idle connection holds.
const READ: usize = 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(WRITE + limits::FRAME));
}

/// Runs a connection until it is closed. `head` was read already, after the upgrade.
pub(crate) async fn run<S: Io>(
    io: S,
    head: Bytes,
    role: Role,
    conn: ConnId,
    outbox: Arc<Outbox>,
    hub: Sender<ToHub>,
) {
    let mut socket = Socket {
        io,
        context: WebSocketContext::from_partially_read(
            head.to_vec(),
            role,
            Some(config(limits::FRAME_BEFORE_AUTH)),
        ),
        role,
        rest: Bytes::new(),
    };
    drop(head);
    let why = loop {
        match poll_fn(|cx| socket.poll(cx, &outbox)).await {
            Happened::Message(message) => {
                let told = match message {
                    Message::Binary(bytes) => ToHub::Frame { conn, bytes },
                    Message::Text(_) => ToHub::NotBinary { conn },
                    Message::Ping(_) | Message::Pong(_) => ToHub::Heard { conn },
                    Message::Close(_) | Message::Frame(_) => continue,
                };
                if hub.send(told).await.is_err() {
                    break None;
                }
            }
            Happened::Drained => {
                if hub.send(ToHub::Drained { conn }).await.is_err() {
                    break None;
                }
            }
            Happened::Oversized => {
                // The core answers with an error and a close; nothing more can be read.
                if hub.send(ToHub::Oversized { conn }).await.is_err() {
                    break None;
                }
                let _ = tokio::time::timeout(CLOSING, poll_fn(|cx| socket.poll_last(cx, &outbox))).await;
                break None;
            }
            Happened::Close(code) => break Some(code),
            Happened::Gone => break None,
        }
    };
    if let Some(code) = why {
        let _ = tokio::time::timeout(CLOSING, socket.close(code)).await;
    }
    outbox.abandon();
    let _ = hub.send(ToHub::Closed { conn }).await;
}

#[derive(Debug)]
enum Happened {
    Message(Message),
    Drained,
    Oversized,
    Close(Code),
    Gone,
}

struct Socket<S> {
    io: S,
    context: WebSocketContext,
    role: Role,
    /// Of the last portion, what the socket did not take.
    rest: Bytes,
}

impl<S: Io> Socket<S> {
    /// Writes what is queued, then reads.
    fn poll(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<Happened> {
        outbox.register(cx.waker());
        match self.poll_write(cx, outbox) {
            Poll::Ready(Some(happened)) => return Poll::Ready(happened),
            Poll::Ready(None) | Poll::Pending => {}
        }
        let mut adapter = Adapter { io: &mut self.io, cx, blocked: !self.rest.is_empty() };
        match self.context.read(&mut adapter) {
            Ok(message) => Poll::Ready(Happened::Message(message)),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => Poll::Ready(Happened::Oversized),
            Err(_) => Poll::Ready(Happened::Gone),
        }
    }

    /// Writes what is queued. Ready with something to report, or with nothing when all is written.
    fn poll_write(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<Option<Happened>> {
        loop {
            if !self.rest.is_empty() {
                let rest = std::mem::take(&mut self.rest);
                match self.write_some(cx, &rest) {
                    Ok(written) if written == rest.len() => {}
                    Ok(written) => {
                        self.rest = rest.slice(written..);
                        return Poll::Pending;
                    }
                    Err(_) => return Poll::Ready(Some(Happened::Gone)),
                }
            }
            // Pongs and close frames that tungstenite holds come first, so that frames never cross.
            let mut adapter = Adapter { io: &mut self.io, cx, blocked: false };
            match self.context.flush(&mut adapter) {
                Ok(()) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(_) => return Poll::Ready(Some(Happened::Gone)),
            }
            let portion = SCRATCH.with_borrow_mut(|scratch| {
                scratch.clear();
                let role = self.role;
                let portion = outbox.take(WRITE, |frame| put_frame(scratch, 0x82, frame, role));
                if portion.ping {
                    put_frame(scratch, 0x89, &[], role);
                }
                let mut at = 0;
                while at < scratch.len() {
                    match Pin::new(&mut self.io).poll_write(cx, &scratch[at..]) {
                        Poll::Ready(Ok(0) | Err(_)) => return Err(()),
                        Poll::Ready(Ok(written)) => at += written,
                        Poll::Pending => {
                            self.rest = Bytes::copy_from_slice(&scratch[at..]);
                            break;
                        }
                    }
                }
                if scratch.capacity() > 2 * (WRITE + limits::FRAME) {
                    *scratch = Vec::with_capacity(WRITE + limits::FRAME);
                }
                Ok((portion, at > 0))
            });
            let Ok((portion, progress)) = portion else { return Poll::Ready(Some(Happened::Gone)) };
            if portion.abandoned {
                return Poll::Ready(Some(Happened::Gone));
            }
            if portion.raise {
                self.context.set_config(|config| {
                    config.max_message_size = Some(limits::FRAME);
                    config.max_frame_size = Some(limits::FRAME);
                });
            }
            if let (Some(code), true) = (portion.close, self.rest.is_empty()) {
                return Poll::Ready(Some(Happened::Close(code)));
            }
            if portion.drained {
                return Poll::Ready(Some(Happened::Drained));
            }
            if !self.rest.is_empty() {
                return Poll::Pending;
            }
            if !progress {
                // Encrypting streams hold bytes back until they are flushed.
                return match Pin::new(&mut self.io).poll_flush(cx) {
                    Poll::Ready(Ok(())) => Poll::Ready(None),
                    Poll::Ready(Err(_)) => Poll::Ready(Some(Happened::Gone)),
                    Poll::Pending => Poll::Pending,
                };
            }
        }
    }

    /// Only writes, until the hub says close and everything before is written.
    fn poll_last(&mut self, cx: &mut Context<'_>, outbox: &Outbox) -> Poll<()> {
        outbox.register(cx.waker());
        match self.poll_write(cx, outbox) {
            Poll::Ready(Some(Happened::Close(code))) => {
                let mut adapter = Adapter { io: &mut self.io, cx, blocked: false };
                let _ = self.context.close(&mut adapter, Some(close_frame(code)));
                let _ = self.context.flush(&mut adapter);
                Poll::Ready(())
            }
            Poll::Ready(Some(Happened::Gone)) => Poll::Ready(()),
            Poll::Ready(Some(_)) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn write_some(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match Pin::new(&mut self.io).poll_write(cx, &bytes[at..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => at += written,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        Ok(at)
    }

    /// The closing handshake: says why, and waits for the other side's close.
    async fn close(&mut self, code: Code) {
        let mut said = false;
        poll_fn(|cx| {
            let mut adapter = Adapter { io: &mut self.io, cx, blocked: false };
            if !said {
                said = true;
                let _ = self.context.close(&mut adapter, Some(close_frame(code)));
            }
            loop {
                match self.context.flush(&mut adapter) {
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Poll::Pending;
                    }
                    Err(_) => return Poll::Ready(()),
                    Ok(()) => {}
                }
                match self.context.read(&mut adapter) {
                    Ok(_) => {}
                    Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Poll::Pending;
                    }
                    Err(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
        let _ = poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await;
    }
}

fn config(max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_write_buffer_size(4096)
        .max_message_size(Some(max))
        .max_frame_size(Some(max))
}

fn close_frame(code: Code) -> CloseFrame {
    CloseFrame { code: (4000 + code.number()).into(), reason: Utf8Bytes::from_static(code.name()) }
}

/// Appends one unfragmented frame (RFC 6455 section 5.2); a client's is masked.
fn put_frame(into: &mut Vec<u8>, first: u8, payload: &[u8], role: Role) {
    let masked = if role == Role::Client { 0x80 } else { 0x00 };
    into.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(len @ 0..=125), _) => into.push(masked | len),
        (_, Ok(len)) => {
            into.push(masked | 0x7e);
            into.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            into.push(masked | 0x7f);
            into.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    if masked == 0 {
        into.extend_from_slice(payload);
        return;
    }
    let mut mask = [0; 4];
    // Without randomness the mask is zero: what it protects from, caches that take our bytes for HTTP, is not here.
    let _ = getrandom::fill(&mut mask);
    into.extend_from_slice(&mask);
    into.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Lets tungstenite, which knows only blocking calls, use a stream that says when to come back.
struct Adapter<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
    /// A frame of ours is half written: nothing else may be written now.
    blocked: bool,
}

impl<S: Io> Read for Adapter<'_, '_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(self.cx, &mut into) {
            Poll::Ready(result) => result.map(|()| into.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S: Io> Write for Adapter<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match Pin::new(&mut *self.io).poll_write(self.cx, bytes) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.blocked {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match Pin::new(&mut *self.io).poll_flush(self.cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
