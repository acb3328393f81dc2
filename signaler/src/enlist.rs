//! Registering this signaler with another one, and telling it that we are alive.
//!
//! What is said is a statement as any client's; what to say next follows from what the other signaler says of us.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_rustls::TlsConnector;
use weft_crypto::SignalerKey;
use weft_crypto::registry::Signer;
use weft_wire::registry::{
    Heartbeat, Host, NetworkName, RegistrantId, Registration, Service, Statement, json,
};
use weft_wire::{List, Nonce, SignalerId};

use crate::dial::reach;
use crate::hub::{Ask, HubHandle, ToHub};

/// How long one request may take.
const ASKING: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER: usize = 256 * 1024;
/// How long until it is asked again, while a sovereign has not decided or something failed.
const WAITING: Duration = Duration::from_secs(5);
/// Least time between heartbeats, whatever the other side asks for.
const LEAST: Duration = Duration::from_secs(1);

/// With whom to register, and as what.
#[derive(Clone, Debug)]
pub struct Enlist {
    /// `http:` or `https:`, without a path.
    pub url: String,
    /// The name to ask for. None: the signaler's id.
    pub id: Option<RegistrantId>,
    /// Where this signaler can be reached.
    pub host: Host,
    /// And on which port. 0: the one it listens on.
    pub port: u16,
}

/// Registers and goes on beating until the hub stops.
pub(crate) async fn run(
    hub: HubHandle,
    key: SignalerKey,
    network: NetworkName,
    enlist: Enlist,
    tls: TlsConnector,
) {
    let mut member = Member { key, network, enlist, tls, taken_in: false, told: None };
    loop {
        let wait = match member.round(&hub).await {
            Ok(wait) => wait,
            Err(error) => {
                member.tell(&format!("cannot register with {}: {error:#}", member.enlist.url));
                WAITING
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = hub.to.closed() => return,
        }
    }
}

struct Member {
    key: SignalerKey,
    /// The federation's name.
    network: NetworkName,
    enlist: Enlist,
    tls: TlsConnector,
    taken_in: bool,
    /// What the log was told last; it is told once.
    told: Option<String>,
}

impl Member {
    /// Says what there is to say. Returns when to come again.
    async fn round(&mut self, hub: &HubHandle) -> anyhow::Result<Duration> {
        let (_, info) = self.ask(Method::GET, "/info", None).await?;
        let signaler: SignalerId = info["id"].as_str().context("/info names no id")?.parse()?;
        let network: NetworkName =
            info["registry"]["network"].as_str().context("it has no registry")?.parse()?;
        ensure!(
            self.network == network,
            "it belongs to the federation {:?}, and this signaler to {:?}: start this one with --network {}",
            &*network,
            &*self.network,
            &*network
        );
        let every = info["limits"]["registry_heartbeat_ms"].as_u64().map_or(WAITING, Duration::from_millis);
        let us = self.key.id();
        let id = self.enlist.id.clone().map_or_else(|| us.to_string().parse(), Ok)?;
        let (status, node) = self.ask(Method::GET, &format!("/nodes/{id}"), None).await?;
        if status == StatusCode::NOT_FOUND {
            let service = Service { kind: "signaler".parse()?, port: self.enlist.port, key: us.into() };
            let registration = Registration {
                network,
                signaler,
                id,
                key: us.into(),
                host: self.enlist.host.clone(),
                address: None,
                services: List::first([service]),
                after: None,
                time: now_ms(),
                nonce: nonce()?,
            };
            self.say("/register", &Statement::Register(registration)).await?;
            self.tell(&format!("registered with {}; a sovereign has to approve it now", self.enlist.url));
            return Ok(WAITING);
        }
        ensure!(
            node["public_key"].as_str() == Some(&us.to_string()),
            "the name {id} belongs to another key: choose one with --node-id"
        );
        match node["status"].as_str() {
            Some("active" | "offline") => {
                let heartbeat = Heartbeat {
                    network,
                    signaler,
                    id,
                    key: us.into(),
                    address: None,
                    time: now_ms(),
                    nonce: nonce()?,
                };
                self.say("/heartbeat", &Statement::Heartbeat(heartbeat)).await?;
                if !std::mem::replace(&mut self.taken_in, true) {
                    self.tell(&format!("taken in by {}", self.enlist.url));
                    let _ = hub.to.send(ToHub::Registry(Ask::Redial)).await;
                }
                Ok(every.max(LEAST))
            }
            status => {
                self.taken_in = false;
                self.tell(&format!(
                    "{} says that this signaler is {}",
                    self.enlist.url,
                    status.unwrap_or("unknown")
                ));
                Ok(WAITING)
            }
        }
    }

    async fn say(&self, path: &str, statement: &Statement) -> anyhow::Result<()> {
        let signature = Signer::Signaler(&self.key).sign(statement);
        let (status, answer) = self.ask(Method::POST, path, Some(json::write(statement, &signature))).await?;
        if !status.is_success() {
            bail!("{}", answer["error"]["message"].as_str().unwrap_or("it was refused"));
        }
        Ok(())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let asked = tokio::time::timeout(ASKING, self.request(method, path, body)).await;
        asked.context("it does not answer")?
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let uri: Uri = self.enlist.url.parse()?;
        let secure = uri.scheme_str() == Some("https");
        let stream = reach(&uri, secure, self.tls.clone()).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await.context("no HTTP answer")?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER).collect().await;
        connection.abort();
        let answer = answer.map_err(|error| anyhow::anyhow!("its answer: {error}"))?.to_bytes();
        Ok((status, serde_json::from_slice(&answer).context("its answer is no JSON: is it a signaler?")?))
    }

    fn tell(&mut self, text: &str) {
        if self.told.as_deref() != Some(text) {
            tracing::info!("{text}");
            self.told = Some(text.to_owned());
        }
    }
}

fn nonce() -> anyhow::Result<Nonce> {
    let mut nonce = Nonce([0; 32]);
    getrandom::fill(&mut nonce.0).context("the operating system gives no randomness")?;
    Ok(nonce)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
