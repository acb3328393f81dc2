//! Asking a signaler over HTTP, for its registry: one request and one bounded answer of JSON.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::signaler::tls;

/// How long a request may take.
const ASKING: Duration = Duration::from_secs(20);
/// Bytes of an answer: 500 registrants with 16 services each.
const ANSWER: usize = 4 * 1024 * 1024;

/// A signaler's pages.
#[derive(Clone, Debug)]
pub struct Client {
    uri: Uri,
    secure: bool,
}

impl Client {
    /// `http:`, `https:`, `ws:` or `wss:`; the path is not looked at.
    ///
    /// # Errors
    /// Says what is wrong with the URL.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => bail!("{url:?}: the URL of a signaler looks like http://host:8190 or https://host"),
        };
        ensure!(uri.host().is_some(), "{url:?} names no host");
        Ok(Self { uri, secure })
    }

    /// Asks, and reads the answer whatever its status.
    ///
    /// # Errors
    /// Why there is no answer, for people.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let asked = tokio::time::timeout(ASKING, self.connect(method, path, body)).await;
        asked.with_context(|| format!("{} does not answer", self.uri))?
    }

    async fn connect(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.uri.port_u16().unwrap_or(if self.secure { 443 } else { 80 });
        let reached = TcpStream::connect((host.as_str(), port)).await;
        let tcp = reached
            .with_context(|| format!("cannot connect to {}: is a signaler running there?", self.uri))?;
        if !self.secure {
            return self.request(tcp, method, path, body).await;
        }
        let name = ServerName::try_from(host).context("not a host name")?;
        let stream = TlsConnector::from(tls()?).connect(name, tcp).await;
        self.request(stream.with_context(|| format!("no TLS with {}", self.uri))?, method, path, body).await
    }

    async fn request(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.uri.authority().map_or("", hyper::http::uri::Authority::as_str))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.context("no HTTP answer")?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER).collect().await;
        connection.abort();
        let answer = answer.map_err(|error| anyhow::anyhow!("the answer: {error}"))?.to_bytes();
        let json =
            serde_json::from_slice(&answer).context("the answer is no JSON: is it a Weft signaler?")?;
        Ok((status, json))
    }
}

/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// Reads what is at an `https:` address, without credentials and with redirects only to others of those.
///
/// # Errors
/// Why there is nothing, for people: also if it is longer than that, or takes longer.
pub async fn read(url: &str, most: usize, within: Duration) -> anyhow::Result<Vec<u8>> {
    let reading = async {
        let mut uri: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        for _ in 0..=REDIRECTS {
            ensure!(uri.scheme_str() == Some("https"), "{uri}: only https: addresses are read");
            match read_one(&uri, most).await.with_context(|| format!("nothing was read from {uri}"))? {
                Read::All(bytes) => return Ok(bytes),
                Read::Elsewhere(place) => uri = resolve(&uri, &place)?,
            }
        }
        bail!("{url} leads from one address to the next")
    };
    tokio::time::timeout(within, reading).await.with_context(|| format!("{url} does not answer"))?
}

/// What an address gives.
enum Read {
    All(Vec<u8>),
    Elsewhere(String),
}

async fn read_one(uri: &Uri, most: usize) -> anyhow::Result<Read> {
    let host = uri.host().context("no host")?.trim_matches(['[', ']']).to_owned();
    let tcp = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    let name = ServerName::try_from(host).context("not a host name")?;
    let stream = TlsConnector::from(tls()?).connect(name, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    let request = Request::get(path)
        .header(header::HOST, uri.authority().map_or("", hyper::http::uri::Authority::as_str))
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::new()))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if status.is_redirection() {
        connection.abort();
        let place = response.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        return Ok(Read::Elsewhere(place.context("a redirect to nowhere")?.to_owned()));
    }
    ensure!(status == StatusCode::OK, "it answers {status}");
    let read = Limited::new(response.into_body(), most).collect().await;
    connection.abort();
    Ok(Read::All(read.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes().to_vec()))
}

/// Where a redirect leads: a whole address, or a path at the same host.
fn resolve(from: &Uri, place: &str) -> anyhow::Result<Uri> {
    let to = if place.starts_with('/') && !place.starts_with("//") {
        format!("https://{}{place}", from.authority().map_or("", hyper::http::uri::Authority::as_str))
    } else {
        place.to_owned()
    };
    let to: Uri = to.parse().with_context(|| format!("{place:?} is no address"))?;
    ensure!(to.scheme_str() == Some("https"), "it leads away from https:, to {place}");
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_signalers_are_told_from_others() {
        for (url, secure) in
            [("http://a:1", false), ("ws://a", false), ("https://a", true), ("wss://[::1]:2", true)]
        {
            assert_eq!(Client::new(url).unwrap().secure, secure, "{url}");
        }
        for wrong in ["", "a", "ftp://a", "http://", "a:8190"] {
            assert!(Client::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn redirects_stay_within_https() {
        let from: Uri = "https://a.example:8443/x".parse().unwrap();
        assert_eq!(resolve(&from, "/y?z").unwrap(), "https://a.example:8443/y?z");
        assert_eq!(resolve(&from, "https://b.example/y").unwrap(), "https://b.example/y");
        for away in ["http://a.example/y", "//b.example/y", "y", "file:///etc/passwd"] {
            assert!(resolve(&from, away).is_err(), "{away}");
        }
    }
}
