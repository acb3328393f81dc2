//! Calling siblings: TCP, TLS for `wss:`, and the client's side of the WebSocket upgrade.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use weft_signaler_core::{DialId, Origin};
use weft_wire::FEDERATION_PROTOCOL;

use crate::hub::{HubHandle, ToHub};
use crate::socket;
use crate::stream::Stream;

/// How long a call may take until it is a WebSocket.
const CALLING: Duration = Duration::from_secs(10);

pub(crate) struct Dialler {
    hub: HubHandle,
    tls: TlsConnector,
}

impl Dialler {
    /// `extra` certificates are trusted besides the operating system's and Mozilla's.
    pub(crate) fn new(hub: HubHandle, tls: TlsConnector) -> Self {
        Self { hub, tls }
    }

    /// Calls in the background; the hub hears of the outcome.
    pub(crate) fn dial(&self, dial: DialId, url: String) {
        let (hub, tls) = (self.hub.clone(), self.tls.clone());
        tokio::spawn(async move {
            let called = tokio::time::timeout(CALLING, call(&url, tls)).await;
            let error = match called {
                Ok(Ok((stream, head))) => {
                    if let Some((conn, outbox)) = hub.open(Origin::Dialled(dial)).await {
                        socket::run(stream, head, Role::Client, conn, outbox, hub.to).await;
                    }
                    return;
                }
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => format!("no answer within {} s", CALLING.as_secs()),
            };
            tracing::warn!(%url, %error, "cannot reach sibling; trying again");
            let _ = hub.to.send(ToHub::DialFailed { dial }).await;
        });
    }
}

/// The certificates that siblings' are checked against.
pub(crate) fn connector(
    extra: &[tokio_rustls::rustls::pki_types::CertificateDer<'static>],
) -> anyhow::Result<TlsConnector> {
    Ok(TlsConnector::from(client_config(extra).context("--sibling-ca")?))
}

/// The same for any server: the system's authorities, Mozilla's, and these.
pub(crate) fn client_config(
    extra: &[tokio_rustls::rustls::pki_types::CertificateDer<'static>],
) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra {
        roots.add(certificate.clone()).context("a certificate in it cannot be used")?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Whether a sibling's URL can be called; says what is wrong with it.
pub(crate) fn check_url(url: &str) -> anyhow::Result<Uri> {
    let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    ensure!(
        matches!(uri.scheme_str(), Some("ws" | "wss")) && uri.host().is_some(),
        "{url:?}: the URL of a signaler looks like ws://host:8190 or wss://host"
    );
    Ok(uri)
}

/// Connects to the host of a URL, with TLS if it is to be secure.
pub(crate) async fn reach(uri: &Uri, secure: bool, tls: TlsConnector) -> anyhow::Result<Stream> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host.as_str(), port)).await.context("cannot connect")?;
    tcp.set_nodelay(true)?;
    Ok(if secure {
        let name = ServerName::try_from(host).context("not a host name")?;
        Stream::Encrypted(Box::new(tls.connect(name, tcp).await.context("no TLS")?.into()))
    } else {
        Stream::Plain(tcp)
    })
}

async fn call(url: &str, tls: TlsConnector) -> anyhow::Result<(Stream, Bytes)> {
    let uri = check_url(url)?;
    let stream = reach(&uri, uri.scheme_str() == Some("wss"), tls).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    let key = generate_key();
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let request = Request::get(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
        .header(header::HOST, authority)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, FEDERATION_PROTOCOL)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await.context("no HTTP answer")?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        bail!("it answered {}: is it a Weft signaler of this version?", response.status());
    }
    let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(http::HeaderValue::as_bytes);
    ensure!(accepted == Some(derive_accept_key(key.as_bytes()).as_bytes()), "it answered another handshake");
    let protocol = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL).map(http::HeaderValue::as_bytes);
    ensure!(protocol == Some(FEDERATION_PROTOCOL.as_bytes()), "it does not speak {FEDERATION_PROTOCOL}");
    let upgraded = hyper::upgrade::on(response).await?;
    let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { bail!("the stream was not ours") };
    Ok((parts.io.into_inner(), parts.read_buf))
}
