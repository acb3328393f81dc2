//! The registry over HTTP: statements in, what anybody may know out. What counts is decided in the core.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt as _};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use weft_signaler_core::registry::{Refusal, Shown, Status};
use weft_signaler_core::{LinkStatus, Linked};
use weft_wire::registry::json::{JsonError, read, service};
use weft_wire::registry::{Kind, RegistrantId};
use weft_wire::{RegistryKey, SignalerId};

use crate::hub::{About, Ask, HubHandle, Submitted, show};
use crate::pages::{Page, json_page, later};

/// Bytes of a request's body: the largest statement has under 6 KiB as JSON.
pub(crate) const BODY: usize = 16 * 1024;
/// How long a body may take to arrive.
const READING: Duration = Duration::from_secs(10);
/// Registrants in one answer if nothing else is asked for, and at most.
const PAGE: (usize, usize) = (100, 500);
/// Addresses whose rates are remembered; when there are more, those that are idle are forgotten.
const ADDRESSES: usize = 10_000;
/// How long until there may be room for another address.
const CROWDED: Duration = Duration::from_secs(60);
/// Requests that read, for each that changes something.
const READS: u32 = 10;

const DOCUMENT: &str = include_str!("openapi.json");

/// The registry's pages.
#[derive(Clone)]
pub(crate) struct Rest {
    hub: HubHandle,
    limits: Arc<Limits>,
    signaler: Value,
}

/// Requests per address.
struct Limits {
    posts: Option<DefaultKeyedRateLimiter<IpAddr>>,
    reads: Option<DefaultKeyedRateLimiter<IpAddr>>,
}

impl Limits {
    /// `per_minute` that change something; 0: as many as there are.
    fn new(per_minute: u32) -> Self {
        let rate = |per_minute| {
            NonZeroU32::new(per_minute).map(|n| DefaultKeyedRateLimiter::keyed(Quota::per_minute(n)))
        };
        Self { posts: rate(per_minute), reads: rate(per_minute.saturating_mul(READS)) }
    }

    /// Otherwise how long until the next one is.
    fn admits(&self, method: &Method, from: IpAddr) -> Result<(), Duration> {
        let limiter = if method == Method::POST { &self.posts } else { &self.reads };
        let Some(limiter) = limiter else { return Ok(()) };
        if limiter.len() > ADDRESSES {
            limiter.retain_recent();
            if limiter.len() > ADDRESSES {
                return Err(CROWDED);
            }
        }
        limiter.check_key(&from).map_err(|until| until.wait_time_from(limiter.clock().now()))
    }
}

impl Rest {
    pub(crate) fn new(hub: HubHandle, per_minute: u32, signaler: Value) -> Self {
        Self { hub, limits: Arc::new(Limits::new(per_minute)), signaler }
    }

    /// What an address is told that has asked too often.
    pub(crate) fn refuse(&self, method: &Method, from: IpAddr) -> Option<Page> {
        let text = "too many requests from this address: wait as long as Retry-After says, in seconds";
        let after = self.limits.admits(method, from).err()?;
        Some(later(error(StatusCode::TOO_MANY_REQUESTS, "rate-limited", text), after))
    }

    /// `POST`: a statement, and how many bytes it says that it has. None: no path of the registry.
    pub(crate) async fn post<B: Buf>(
        &self,
        path: &str,
        len: Option<u64>,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Option<Page> {
        let (kind, id) = statement(path)?;
        if len.is_some_and(|len| len > BODY as u64) {
            // Not read at all: whoever asks first whether to send it (`Expect: 100-continue`) is told no.
            return Some(too_large());
        }
        Some(match collect(body).await {
            Ok(body) => self.submit(kind, id, &body).await,
            Err(refused) => refused,
        })
    }

    /// `GET`: what anybody may know. None: no path of the registry.
    pub(crate) async fn get(&self, path: &str, query: &str) -> Option<Page> {
        Some(match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["nodes"] => self.nodes(query).await,
            ["nodes", id] => self.node(id).await,
            ["topology"] => self.topology(query).await,
            ["openapi.json"] => crate::pages::page(StatusCode::OK, "application/json", DOCUMENT),
            _ => return None,
        })
    }

    async fn submit(&self, kind: Kind, id: Option<&str>, body: &[u8]) -> Page {
        let json: Value = match serde_json::from_slice(body) {
            Ok(json) => json,
            Err(wrong) => {
                return error(StatusCode::BAD_REQUEST, "bad-json", &format!("the body is no JSON: {wrong}"));
            }
        };
        let (statement, signature) = match read(kind, id, &json) {
            Ok(read) => read,
            Err(wrong) => return malformed(kind, &wrong),
        };
        let about = statement.about().cloned();
        let ask = |to| Ask::Submit { statement: Box::new(statement), signature, to };
        match self.hub.ask(ask).await {
            Some(Submitted::Taken(status)) => taken(kind, about.as_ref(), status),
            Some(Submitted::Refused(refusal)) => refused(refusal),
            Some(Submitted::Late) => {
                let text = "it counts, and could not be stored yet: the signaler tries again until it can, and would forget it if it stopped before. The operator's log says why, /healthz when it is stored";
                error(StatusCode::SERVICE_UNAVAILABLE, "not-stored", text)
            }
            Some(Submitted::NoRoom) => {
                let text = "nothing has changed: too much waits to be stored, for this signaler's disk is slow or full. Try again in a minute, or at another signaler";
                error(StatusCode::SERVICE_UNAVAILABLE, "store-full", text)
            }
            None => stopping(),
        }
    }

    async fn nodes(&self, query: &str) -> Page {
        let (mut status, mut after, mut most) = (None, None, PAGE.0);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let wrong =
                |wanted: String| error(StatusCode::BAD_REQUEST, "bad-field", &format!("{name}: {wanted}"));
            match name {
                "status" => match Status::of(value) {
                    Some(one) => status = Some(one),
                    None => return wrong(format!("one of {}", Status::ALL.map(Status::name).join(", "))),
                },
                "after" => match value.parse::<RegistrantId>() {
                    Ok(id) => after = Some(id),
                    Err(expected) => return wrong(expected.to_string()),
                },
                "limit" => match value.parse::<usize>().ok().filter(|limit| (1..=PAGE.1).contains(limit)) {
                    Some(limit) => most = limit,
                    None => return wrong(format!("from 1 to {}", PAGE.1)),
                },
                _ => {}
            }
        }
        let Some((nodes, more)) = self.hub.ask(|to| Ask::Page { status, after, most, to }).await else {
            return stopping();
        };
        let next = nodes.last().filter(|_| more).map(|last| last.id.to_string());
        let nodes: Vec<Value> = nodes.iter().map(public).collect();
        json_page(StatusCode::OK, &json!({ "nodes": nodes, "next": next }))
    }

    async fn node(&self, id: &str) -> Page {
        let Ok(id) = id.parse::<RegistrantId>() else { return refused(Refusal::NotFound) };
        match self.hub.ask(|to| Ask::Show { id, to }).await {
            Some(Some(shown)) => {
                let mut node = public(&shown);
                let body = hex(&shown.registration.body.0);
                let signature = shown.registration.signature.to_string();
                node["registration"] = json!({ "body": body, "signature": signature });
                json_page(StatusCode::OK, &node)
            }
            Some(None) => refused(Refusal::NotFound),
            None => stopping(),
        }
    }

    async fn topology(&self, query: &str) -> Page {
        let limit = query.split('&').find_map(|pair| pair.strip_prefix("limit="));
        let Some(most) =
            limit.map_or(Some(PAGE.1), |limit| limit.parse().ok().filter(|most| *most <= PAGE.1))
        else {
            let text = format!("limit: from 0 to {}", PAGE.1);
            return error(StatusCode::BAD_REQUEST, "bad-field", &text);
        };
        let page = |status| move |to| Ask::Page { status: Some(status), after: None, most, to };
        let (Some(active), Some(offline), Some(about), Some(linked), Some(snapshot)) = (
            self.hub.ask(page(Status::Active)).await,
            self.hub.ask(page(Status::Offline)).await,
            self.hub.ask(Ask::About).await,
            self.hub.ask(Ask::Linked).await,
            self.hub.snapshot().await,
        ) else {
            return stopping();
        };
        let nodes: Vec<Value> = active.0.iter().chain(&offline.0).map(public).collect();
        let siblings: Vec<Value> = snapshot
            .gauges
            .siblings
            .iter()
            .map(|one| json!({ "id": one.id.map(show), "url": one.url, "up": one.up }))
            .collect();
        json_page(
            StatusCode::OK,
            &json!({
                "network": &*about.network,
                "signaler": self.signaler,
                "nodes": nodes,
                "more": active.1 || offline.1,
                "siblings": siblings,
                "links": links_of(&linked),
                "more_links": linked.more,
                "links_told_by": linked.told_by.iter().copied().map(show).collect::<Vec<_>>(),
            }),
        )
    }
}

/// Each link, with who of its ends says so.
fn links_of(linked: &Linked) -> Vec<Value> {
    let json = |LinkStatus { between, said }: &LinkStatus| {
        let by = between.iter().zip(said).filter(|(_, said)| **said).map(|(id, _)| show(*id));
        json!({ "between": between.map(show), "said_by": by.collect::<Vec<_>>() })
    };
    linked.links.iter().map(json).collect()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The statement that a path asks for, and about whom.
fn statement(path: &str) -> Option<(Kind, Option<&str>)> {
    Some(match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["register"] => (Kind::Register, None),
        ["heartbeat"] => (Kind::Heartbeat, None),
        ["approve", id] => (Kind::Approve, Some(id)),
        ["deny", id] => (Kind::Deny, Some(id)),
        ["reset", id] => (Kind::Reset, Some(id)),
        ["revoke", id] => (Kind::Revoke, Some(id)),
        ["sovereign", "add"] => (Kind::AddSovereign, None),
        ["sovereign", "revoke"] => (Kind::RevokeSovereign, None),
        ["sovereign", "rotate"] => (Kind::RotateSovereign, None),
        _ => return None,
    })
}

async fn collect<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Vec<u8>, Page> {
    let all = async {
        let mut body = std::pin::pin!(body);
        let mut all = Vec::new();
        while let Some(part) = body.next().await {
            let cut = |_| error(StatusCode::BAD_REQUEST, "bad-json", "the body was cut short");
            let mut part = part.map_err(cut)?;
            if all.len() + part.remaining() > BODY {
                return Err(too_large());
            }
            while part.has_remaining() {
                let len = part.chunk().len();
                all.extend_from_slice(part.chunk());
                part.advance(len);
            }
        }
        Ok(all)
    };
    let late = |_| error(StatusCode::REQUEST_TIMEOUT, "timed-out", "the body took too long");
    tokio::time::timeout(READING, all).await.map_err(late)?
}

fn too_large() -> Page {
    error(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &format!("a body has at most {BODY} bytes"))
}

fn malformed(kind: Kind, wrong: &JsonError) -> Page {
    let sovereigns = matches!(kind, Kind::AddSovereign | Kind::RevokeSovereign | Kind::RotateSovereign);
    match wrong {
        // Who does not even say who allows it.
        JsonError::Missing("approverPublicKey" | "signature") if sovereigns => refused(Refusal::NotSovereign),
        JsonError::Missing(_) => {
            error(StatusCode::BAD_REQUEST, "missing-field", &format!("{wrong}: see /openapi.json"))
        }
        _ => error(StatusCode::BAD_REQUEST, "bad-field", &wrong.to_string()),
    }
}

fn taken(kind: Kind, about: Option<&RegistrantId>, status: Option<Status>) -> Page {
    let (code, message) = match kind {
        Kind::Register => (StatusCode::CREATED, "Registration successful. Awaiting sovereign approval."),
        Kind::Heartbeat => (StatusCode::OK, "Heard."),
        _ => (StatusCode::OK, "Done."),
    };
    let mut answer = json!({ "success": true, "message": message });
    if let (Some(id), Some(status)) = (about, status) {
        answer["nodeId"] = json!(&**id);
        answer["status"] = json!(status.name());
    }
    json_page(code, &answer)
}

fn refused(refusal: Refusal) -> Page {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    error(status, refusal.code(), &refusal.message())
}

pub(crate) fn stopping() -> Page {
    error(StatusCode::SERVICE_UNAVAILABLE, "stopping", "this signaler is stopping: use another one")
}

/// An error of the registry: a stable code, and what to do next.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Page {
    json_page(status, &json!({ "error": { "code": code, "message": message } }))
}

/// What is said to a method that a path does not take; RFC 9110 section 15.5.6 wants those named that it does. None: nobody
/// has this path.
pub(crate) fn wrong_method(path: &str) -> Option<Page> {
    let allowed = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
        [
            "" | "healthz" | "metrics" | "info" | "landing.js" | "events" | "nodes" | "topology"
            | "openapi.json",
        ]
        | ["nodes", _]
        | ["demo" | "dashboard", ..] => "GET, HEAD",
        _ => statement(path).map(|_| "POST")?,
    };
    let text = "this method is not used here: see /openapi.json";
    let mut page = error(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", text);
    page.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static(allowed));
    Some(page)
}

/// What the registry says of itself in `/info`.
pub(crate) fn about(about: &About) -> Value {
    let nodes: serde_json::Map<String, Value> =
        about.totals.all().map(|(status, count)| (status.name().to_owned(), json!(count))).collect();
    json!({
        "network": &*about.network,
        "first_sovereigns": about.first_sovereigns.iter().map(RegistryKey::to_string).collect::<Vec<_>>(),
        "sovereigns": about.sovereigns.iter().map(RegistryKey::to_string).collect::<Vec<_>>(),
        "sovereigns_changed_at": about.changed_at,
        "nodes": nodes,
    })
}

/// A registrant as anybody may see it.
fn public(shown: &Shown) -> Value {
    let approved = matches!(shown.status, Status::Active | Status::Offline);
    let decided = shown.decided.map(|(time, by)| (time, by.to_string()));
    let (decided_at, decided_by) =
        (decided.as_ref().map(|(time, _)| *time), decided.as_ref().map(|(_, by)| by));
    let services: Vec<Value> = shown.services.iter().map(|(one, _)| service(one)).collect();
    let health: Vec<Value> = shown
        .services
        .iter()
        .filter_map(|(one, health)| {
            let health = (*health)?;
            Some(json!({
                "type": &*one.kind,
                "port": one.port,
                "healthy": health.healthy,
                "checked_at": health.checked_at,
            }))
        })
        .collect();
    let addresses: Vec<Value> =
        shown.addresses.iter().map(|one| json!({ "ip": &*one.address, "since": one.since })).collect();
    json!({
        "id": &*shown.id,
        "public_key": shown.key.to_string(),
        "tailscale_hostname": &*shown.host,
        "tailscale_ip": shown.addresses.last().map(|one| one.address.to_string()),
        "addresses": addresses,
        "status": shown.status.name(),
        "lapsed": shown.lapsed,
        "services": services,
        "health": health,
        "registered_at": shown.registered_at,
        "approved_at": decided_at.filter(|_| approved),
        "approved_by": decided_by.filter(|_| approved),
        "decided_at": decided_at,
        "decided_by": decided_by,
        "last_heartbeat": shown.heartbeat_at,
        "head": shown.head.to_string(),
    })
}

/// What became of a signaler, as listeners of `/events` get it.
pub(crate) fn link(what: &str, id: SignalerId, url: Option<&str>, at: u64) -> Value {
    json!({ "type": what, "at": at, "signaler": { "id": show(id), "url": url } })
}

/// That siblings are linked with others than before, as listeners of `/events` get it.
pub(crate) fn links_changed(at: u64) -> Value {
    json!({ "type": "links", "at": at })
}

/// A change, as listeners of `/events` get it.
pub(crate) fn change(shown: &Shown, at: u64) -> Value {
    json!({ "type": shown.status.name(), "at": at, "node": public(shown) })
}
