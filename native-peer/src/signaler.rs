//! WebSockets to signalers: one task each.
//!
//! The task reports that it opened, each message, and at last, once, that it closed. Reports wait in a bounded queue and
//! hold up the reading of that WebSocket, hence the sender. Messages to a signaler wait in a bounded queue too; a
//! signaler that lets it fill up is hung up on, as one that is out of reach.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};
use weft_peer_core::HomeIndex;
use weft_wire::{PEER_PROTOCOL, limits};

/// Messages that may wait for one signaler. A frame has at most 256 KiB, most have under 2 KiB.
const OUTGOING: usize = 256;
/// How long a WebSocket may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes read at once. The library's own 128 KiB is for busy servers.
const READ_BUFFER: usize = 16 * 1024;

/// What happened on a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It is open.
    Opened,
    /// A message; empty if it was text.
    Frame(Vec<u8>),
    /// It could not be opened, or has closed. The last report.
    Closed(String),
}

/// A report of a task.
#[derive(Debug)]
pub(crate) struct Report {
    home: HomeIndex,
    dial: u64,
    happened: Happened,
}

/// The WebSockets.
#[derive(Debug)]
pub(crate) struct Signalers {
    open: BTreeMap<HomeIndex, Connection>,
    /// Counts dials, so that late reports of an earlier one are told apart.
    dials: u64,
    reports: mpsc::Sender<Report>,
    tasks: tokio::task::JoinSet<()>,
}

#[derive(Debug)]
struct Connection {
    dial: u64,
    outgoing: mpsc::Sender<Vec<u8>>,
}

impl Signalers {
    /// None yet; their reports go to this queue.
    pub(crate) fn new(reports: mpsc::Sender<Report>) -> Self {
        Self { open: BTreeMap::new(), dials: 0, reports, tasks: tokio::task::JoinSet::new() }
    }

    /// Opens a WebSocket, in place of the one that was there.
    pub(crate) fn dial(&mut self, home: HomeIndex, url: String) {
        while self.tasks.try_join_next().is_some() {}
        self.dials += 1;
        let (outgoing, messages) = mpsc::channel(OUTGOING);
        let dial = self.dials;
        self.open.insert(home, Connection { dial, outgoing });
        let reports = Reports { home, dial, into: self.reports.clone() };
        self.tasks.spawn(async move {
            let reason = run(&url, messages, &reports).await;
            reports.send(Happened::Closed(reason)).await;
        });
    }

    /// Sends a message. Says whether the signaler still takes any.
    #[must_use]
    pub(crate) fn send(&mut self, home: HomeIndex, bytes: Vec<u8>) -> bool {
        let Some(connection) = self.open.get(&home) else { return true };
        match connection.outgoing.try_send(bytes) {
            // A task that has ended reports it itself.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.open.remove(&home);
                false
            }
        }
    }

    /// Closes a WebSocket after what was sent before. Says whether there was one; its task reports nothing more.
    pub(crate) fn hang_up(&mut self, home: HomeIndex) -> bool {
        self.open.remove(&home).is_some()
    }

    /// What a report says, unless it is of a WebSocket that was given up meanwhile.
    pub(crate) fn accept(&mut self, report: Report) -> Option<(HomeIndex, Happened)> {
        let current = self.open.get(&report.home).is_some_and(|connection| connection.dial == report.dial);
        if !current {
            return None;
        }
        if matches!(report.happened, Happened::Closed(_)) {
            self.open.remove(&report.home);
        }
        Some((report.home, report.happened))
    }

    /// Closes all, and waits until they are closed.
    pub(crate) async fn finish(&mut self) {
        self.open.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Reports {
    home: HomeIndex,
    dial: u64,
    into: mpsc::Sender<Report>,
}

impl Reports {
    /// Reports; nobody to report to means that the program ends.
    async fn send(&self, happened: Happened) {
        let _ = self.into.send(Report { home: self.home, dial: self.dial, happened }).await;
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Runs one WebSocket to its end, and says why it ended.
async fn run(url: &str, mut messages: mpsc::Receiver<Vec<u8>>, reports: &Reports) -> String {
    let connected = tokio::select! {
        connected = connect(url) => connected,
        // Nothing is sent before it is open, so this is a hang-up.
        _ = messages.recv() => return "hung up".into(),
    };
    let mut socket = match connected {
        Ok(socket) => socket,
        Err(error) => return reason(&error),
    };
    reports.send(Happened::Opened).await;
    loop {
        tokio::select! {
            message = messages.recv() => {
                let Some(first) = message else {
                    return hang_up(socket).await;
                };
                if let Err(error) = send_all(&mut socket, first, &mut messages).await {
                    return reason(&error);
                }
            }
            incoming = socket.next() => match incoming {
                Some(Ok(Message::Binary(bytes))) => reports.send(Happened::Frame(bytes.into())).await,
                Some(Ok(Message::Text(_))) => reports.send(Happened::Frame(Vec::new())).await,
                Some(Ok(Message::Close(frame))) => {
                    let said = frame.map(|frame| frame.reason.to_string()).filter(|said| !said.is_empty());
                    return said.unwrap_or_else(|| "closed by the signaler".into());
                }
                // Pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(error)) => return reason(&error),
                None => return "closed by the signaler".into(),
            },
        }
    }
}

/// Sends everything that waits, with one flush at the end.
async fn send_all(
    socket: &mut Socket,
    first: Vec<u8>,
    messages: &mut mpsc::Receiver<Vec<u8>>,
) -> Result<(), WebSocketError> {
    socket.feed(Message::binary(first)).await?;
    while let Ok(next) = messages.try_recv() {
        socket.feed(Message::binary(next)).await?;
    }
    socket.flush().await
}

async fn hang_up(mut socket: Socket) -> String {
    let farewell = async {
        socket.close(None).await?;
        while let Some(message) = socket.next().await {
            message?;
        }
        Ok::<(), WebSocketError>(())
    };
    // However it ends, nobody waits for more than this.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    "hung up".into()
}

async fn connect(url: &str) -> Result<Socket, WebSocketError> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PEER_PROTOCOL));
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(limits::FRAME))
        .max_frame_size(Some(limits::FRAME));
    let connector = if url.starts_with("wss:") { Some(Connector::Rustls(tls()?)) } else { None };
    // Signals are small and urgent: no Nagle.
    let (socket, _) = connect_async_tls_with_config(request, Some(config), true, connector).await?;
    Ok(socket)
}

/// TLS that trusts the system's authorities and Mozilla's. Read from disk once.
pub(crate) fn tls() -> std::io::Result<Arc<rustls::ClientConfig>> {
    static CONFIG: OnceLock<Arc<rustls::ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

/// The error as people read it, with what to do about it where that is known.
fn reason(error: &WebSocketError) -> String {
    match error {
        WebSocketError::Io(error) => {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            tls.map_or_else(|| error.to_string(), tls_reason)
        }
        WebSocketError::Http(response) => {
            format!("the server answered {}, not as a signaler", response.status())
        }
        WebSocketError::Protocol(ProtocolError::HttparseError(_)) => {
            "this port does not speak ws://; if it speaks TLS, the URL begins with wss://".into()
        }
        other => other.to_string(),
    }
}

fn tls_reason(error: &rustls::Error) -> String {
    use rustls::{CertificateError, InvalidMessage};
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "this port does not speak TLS; if it speaks ws://, not wss://, so must the URL".into()
        }
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("{error}: SSL_CERT_FILE names a file with the certificate of its authority")
        }
        // The verifier's own error, which rustls has no name for.
        rustls::Error::InvalidCertificate(CertificateError::Other(inner))
            if inner.to_string().contains("CaUsedAsEndEntity") =>
        {
            "a self-signed CA certificate is not accepted as a server's: make one with basicConstraints=CA:FALSE"
                .into()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// What is told of a port that answers anything with this.
    async fn told(scheme: &str, answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer).await.unwrap();
            stream
        });
        let error = connect(&url).await.unwrap_err();
        server.await.unwrap();
        reason(&error)
    }

    #[tokio::test]
    async fn the_wrong_scheme_for_a_port_is_told_with_the_right_one() {
        let plain = told("wss", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(plain.contains("ws://, not wss://"), "{plain}");
        // RFC 8446, 6: a fatal alert, decode_error.
        let tls = told("ws", &[0x15, 3, 3, 0, 2, 2, 50]).await;
        assert!(tls.contains("begins with wss://"), "{tls}");
    }

    #[test]
    fn a_certificate_that_is_not_accepted_is_told_with_what_to_do() {
        #[derive(Debug, thiserror::Error)]
        #[error("CaUsedAsEndEntity")]
        struct CaUsedAsEndEntity;
        let other = rustls::CertificateError::Other(rustls::OtherError(Arc::new(CaUsedAsEndEntity)));
        for (error, what) in
            [(other, "basicConstraints=CA:FALSE"), (rustls::CertificateError::UnknownIssuer, "SSL_CERT_FILE")]
        {
            let error = std::io::Error::other(rustls::Error::InvalidCertificate(error));
            let told = reason(&WebSocketError::Io(error));
            assert!(told.contains(what), "{told}");
        }
    }
}
