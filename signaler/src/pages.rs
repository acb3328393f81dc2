//! What a browser or a monitor reads over plain HTTP: the landing page, the demo, health, metrics, limits.

use http::{HeaderMap, Response, StatusCode, header};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use rust_embed::Embed;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use weft_signaler_core::Config;
use weft_wire::{FEDERATION_PROTOCOL, PEER_PROTOCOL, SignalerId, limits};

use crate::hub::{Ask, HubHandle, show};
use crate::{measures, rest};

/// A whole answer.
pub(crate) type Page = Response<Vec<u8>>;

#[derive(Embed)]
#[folder = "../web/demo/dist"]
#[allow_missing = true]
struct Demo;

#[derive(Embed)]
#[folder = "../web/dashboard/dist"]
#[allow_missing = true]
struct Dashboard;

/// The dashboard asks nobody but its own signaler, and may not be put into a frame: there are buttons in it that sign.
const DASHBOARD_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                                connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Pages run what is theirs, WebAssembly included, and may connect to any signaler.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; \
                      connect-src 'self' ws: wss: http: https:; base-uri 'none'; form-action 'none'; object-src 'none'";

/// When whoever gets a 503 may come again: by then a restart is over, an operator has made room, or others have been let go.
const LATER: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Pages {
    hub: HubHandle,
    id: SignalerId,
    config: Arc<Config>,
    recorder: Arc<PrometheusRecorder>,
    metrics: PrometheusHandle,
}

impl Pages {
    pub(crate) fn new(hub: HubHandle, id: SignalerId, config: Config) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = recorder.handle();
        Self { hub, id, config: Arc::new(config), recorder: Arc::new(recorder), metrics }
    }

    /// `GET /`: the dashboard, or a few lines in its place if this was built without it.
    pub(crate) fn landing(asked: &HeaderMap) -> Page {
        file::<Dashboard>("index.html", asked)
            .map_or_else(|| html(StatusCode::OK, include_str!("landing.html")), guarded)
    }

    /// `GET /landing.js`.
    pub(crate) fn landing_script() -> Page {
        page(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("landing.js"))
    }

    /// `GET /dashboard/…`.
    pub(crate) fn dashboard(path: &str, asked: &HeaderMap) -> Page {
        file::<Dashboard>(path, asked).map_or_else(no_such_file, guarded)
    }

    /// `GET /healthz`.
    pub(crate) async fn health(&self) -> Page {
        let Some(now) = self.hub.snapshot().await else {
            return json_page(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
        };
        let siblings: Vec<_> = now
            .gauges
            .siblings
            .iter()
            .map(|one| json!({ "id": one.id.map(show), "url": one.url, "up": one.up }))
            .collect();
        let members: Vec<_> = now
            .gauges
            .members
            .iter()
            .map(|one| {
                json!({ "id": show(one.id), "url": one.url, "since_ms": one.since, "active": one.active })
            })
            .collect();
        let counters = &now.counters;
        let refused: serde_json::Map<String, Value> = counters
            .refusals()
            .filter(|(_, count)| *count > 0)
            .map(|(code, count)| (code.name().to_owned(), json!(count)))
            .collect();
        json_page(
            StatusCode::OK,
            &json!({
                // Not an error: who restarts a signaler for that loses what is not stored.
                "status": if now.store.late == 0 { "ok" } else { "not-stored" },
                "unstored": now.store.late,
                "version": env!("CARGO_PKG_VERSION"),
                "id": show(self.id),
                "uptime_s": now.uptime.as_secs(),
                "now_ms": now.at,
                "connections": now.gauges.connections,
                "peers": now.gauges.peers,
                "swarms": now.gauges.swarms,
                "entries": now.gauges.entries,
                "local_swarms": now.gauges.local_swarms,
                "swarm_sizes": sizes_of(&now.gauges.swarm_sizes),
                "pending": now.gauges.pending,
                "delivered": counters.delivered,
                "fanned": counters.fanned,
                "received_frames": counters.peer_frames + counters.sibling_frames,
                "received_bytes": counters.peer_bytes + counters.sibling_bytes,
                "sent_frames": counters.sent_frames,
                "sent_bytes": counters.sent_bytes,
                "dropped": counters.dropped_fanned + counters.dropped_entries + now.overflows,
                "refused": refused,
                "siblings": siblings,
                "members": members,
            }),
        )
    }

    /// `GET /info`: what anybody may rely on.
    pub(crate) async fn info(&self) -> Page {
        let config = &self.config;
        let Some(about) = self.hub.ask(Ask::About).await else { return rest::stopping() };
        json_page(
            StatusCode::OK,
            &json!({
                "id": show(self.id),
                "version": env!("CARGO_PKG_VERSION"),
                "url": config.public_url,
                "now_ms": about.now_ms,
                "registry": rest::about(&about),
                "protocols": [PEER_PROTOCOL, FEDERATION_PROTOCOL],
                "limits": limits_of(config),
            }),
        )
    }

    /// `GET /metrics`, in the text form of Prometheus.
    pub(crate) async fn metrics(&self) -> Page {
        let Some(now) = self.hub.snapshot().await else {
            return page(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "stopping\n");
        };
        metrics::with_local_recorder(&*self.recorder, || measures::publish(&now));
        page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
    }

    /// `GET /demo/…`.
    pub(crate) fn demo(path: &str, asked: &HeaderMap) -> Page {
        let path = if path.is_empty() || path.ends_with('/') {
            format!("{path}index.html")
        } else {
            path.to_owned()
        };
        match file::<Demo>(&path, asked) {
            Some(page) => page,
            None if Demo::get("index.html").is_none() => {
                html(StatusCode::NOT_FOUND, include_str!("no-demo.html"))
            }
            None => no_such_file(),
        }
    }
}

/// A file that is inside the binary, or that it is what the browser has already.
fn file<E: Embed>(path: &str, asked: &HeaderMap) -> Option<Page> {
    let file = E::get(path)?;
    let tag = first_half(&file.metadata.sha256_hash());
    let tag = format!("\"{tag:032x}\"");
    let kind = mime_guess::from_path(path).first_or_octet_stream();
    let known = asked.get(header::IF_NONE_MATCH).is_some_and(|have| have.as_bytes() == tag.as_bytes());
    let mut page = if known {
        page(StatusCode::NOT_MODIFIED, kind.as_ref(), Vec::new())
    } else {
        page(StatusCode::OK, kind.as_ref(), file.data.into_owned())
    };
    if let Ok(tag) = tag.parse() {
        page.headers_mut().insert(header::ETAG, tag);
    }
    Some(page)
}

fn no_such_file() -> Page {
    page(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "no such file\n")
}

/// Under the dashboard's policy.
fn guarded(mut page: Page) -> Page {
    let policy = http::HeaderValue::from_static(DASHBOARD_POLICY);
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}

/// Numbers of swarms by size, without the classes at the end that are empty.
fn sizes_of(sizes: &[usize]) -> Value {
    let filled = sizes.iter().rposition(|swarms| *swarms > 0).map_or(0, |last| last + 1);
    json!(sizes.iter().take(filled).collect::<Vec<_>>())
}

/// The limits that `/info` tells.
fn limits_of(config: &Config) -> Value {
    let registry = &config.registry;
    let mut told = json!({
        "frame_bytes_before_authentication": limits::FRAME_BEFORE_AUTH,
        "frame_bytes": limits::FRAME,
        "envelope_bytes": limits::ENVELOPE,
        "entry_bytes": limits::ENTRY,
        "entries_per_frame": limits::ENTRIES,
        "hops": limits::HOPS,
        "ttl_ms": config.ttl_ms,
        "grace_ms": config.grace_ms,
        "auth_ms": config.auth_ms,
        "keepalive_ms": config.keepalive_ms,
        "dead_ms": config.dead_ms,
        "outcome_ms": config.outcome_ms,
        "probe_ms": config.probe_ms,
        "suspect_ms": config.suspect_ms,
        "forget_ms": config.forget_ms,
        "redial_min_ms": config.redial_min_ms,
        "redial_max_ms": config.redial_max_ms,
        "members": limits::MEMBERS,
        "max_connections": config.max_connections,
        "max_swarms_per_peer": config.max_swarms_per_peer,
        "max_members_per_swarm": config.max_members_per_swarm,
        "max_entries": config.max_entries,
        "max_entries_per_sibling": config.max_entries_per_sibling,
        "max_watches_per_sibling": config.max_watches_per_sibling,
        "settle_ms": config.settle_ms,
        "max_pending": config.max_pending,
        "mail_life_ms": config.mail_life_ms,
        "mailbox_envelopes": config.mailbox_envelopes,
        "mailbox_bytes": config.mailbox_bytes,
        "mailbox_envelopes_per_sender": config.mailbox_envelopes_per_sender,
        "mailbox_bytes_per_sender": config.mailbox_bytes_per_sender,
        "max_mailboxes": config.max_mailboxes,
        "max_mail_bytes": config.max_mail_bytes,
        "strikes": config.strikes,
        "frames_per_second": config.frames_per_second,
        "frames_burst": config.frames_burst,
        "bytes_per_second": config.bytes_per_second,
        "bytes_burst": config.bytes_burst,
        "handshakes_per_second": config.handshakes_per_second,
        "handshakes_burst": config.handshakes_burst,
        "refusals": config.refusals,
    });
    let of_registry = json!({
        "registry_freshness_ms": registry.freshness_ms,
        "registry_heartbeat_ms": registry.heartbeat_ms,
        "registry_offline_ms": registry.offline_ms,
        "registry_deny_after_missed": registry.deny_after_missed,
        "registry_max_nodes": registry.max_registrants,
        "registry_max_pending": registry.max_pending,
        "registry_max_statements": registry.max_statements,
        "registry_max_sovereigns": registry.max_sovereigns,
        "registry_max_sovereign_changes": registry.max_sovereign_changes,
        "registry_max_nonces": registry.max_nonces,
        "registry_body_bytes": rest::BODY,
    });
    if let (Value::Object(told), Value::Object(of_registry)) = (&mut told, of_registry) {
        told.extend(of_registry);
    }
    told
}

fn first_half(hash: &[u8; 32]) -> u128 {
    hash.iter().take(16).fold(0, |half, byte| half << 8 | u128::from(*byte))
}

/// An answer that names what went wrong, for programs and people.
pub(crate) fn refusal(status: StatusCode, error: &str, advice: &str) -> Page {
    json_page(
        status,
        &json!({ "error": error, "advice": advice, "protocols": [PEER_PROTOCOL, FEDERATION_PROTOCOL] }),
    )
}

pub(crate) fn json_page(status: StatusCode, body: &Value) -> Page {
    page(status, "application/json", format!("{body:#}\n"))
}

fn html(status: StatusCode, body: &'static str) -> Page {
    page(status, "text/html; charset=utf-8", body)
}

pub(crate) fn page(status: StatusCode, kind: &str, body: impl Into<Vec<u8>>) -> Page {
    let mut page = Response::new(body.into());
    *page.status_mut() = status;
    let headers = page.headers_mut();
    if let Ok(kind) = kind.parse() {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE { later(page, LATER) } else { page }
}

/// With the word when to come again (RFC 9110 section 10.2.3), rounded up to seconds.
pub(crate) fn later(mut page: Page, after: Duration) -> Page {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    let headers = page.headers_mut();
    headers.insert(header::RETRY_AFTER, seconds.into());
    // For programs in pages of other origins.
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, http::HeaderValue::from_static("retry-after"));
    page
}
