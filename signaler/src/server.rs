//! The listening side: accepts connections, ends TLS, answers HTTP, upgrades WebSockets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderMap, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;
use warp::Filter as _;
use warp::filters::BoxedFilter;
use weft_crypto::SignalerKey;
use weft_signaler_core::{Origin, Signaler};
use weft_wire::{FEDERATION_PROTOCOL, PEER_PROTOCOL, SignalerId};

use crate::acme::Acme;
use crate::clock::Clock;
use crate::dial::{Dialler, connector};
use crate::hub::{Hub, HubHandle};
use crate::pages::{Page, Pages, refusal};
use crate::rest::{self, Rest};
use crate::settings::Settings;
use crate::socket;
use crate::store::{Store, Stored};
use crate::stream::Stream;
use crate::{enlist, events, probe, tls};

/// How long a shutdown may take.
const STOPPING: Duration = Duration::from_secs(5);
/// How long a TLS handshake, and then a request's head, may take.
const OPENING: Duration = Duration::from_secs(10);
/// Connections that the system may hold for us.
const BACKLOG: i32 = 4096;

/// A running signaler.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    id: SignalerId,
    secure: bool,
    hub: HubHandle,
    running: JoinHandle<()>,
    accepting: JoinHandle<()>,
    /// Probing, watching certificates or asking for them, and registering elsewhere.
    beside: Vec<JoinHandle<()>>,
}

/// Whose request it is: an IPv4 address, or a network of IPv6.
#[derive(Clone, Copy, Debug)]
struct From(IpAddr);

/// Nobody has this path.
#[derive(Debug)]
struct NoSuchPage;

impl warp::reject::Reject for NoSuchPage {}

impl Server {
    /// Opens the database, listens, and serves in the background of the current runtime.
    ///
    /// # Errors
    /// Each says what to do about it. Nothing is left running.
    #[allow(
        clippy::unused_async,
        reason = "it needs the runtime it is awaited in, and may wait for storage later"
    )]
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let (store, stored) = Store::open(&settings.data)?;
        let key = SignalerKey::new(&stored.seed);
        let id = key.id();
        let shown = settings.tls.as_ref().map(|(cert, key)| tls::Shown::read(cert, key)).transpose()?;
        let asked = settings.acme.as_ref().map(Acme::start).transpose()?;
        let (acme_acceptor, certified) = asked.unzip();
        let acceptor = shown.clone().map(tls::Shown::acceptor).transpose()?.or(acme_acceptor);
        let roots = settings.sibling_ca.as_deref().map(tls::certificates).transpose()?.unwrap_or_default();
        let connector = connector(&roots)?;
        let listener = listen(&settings)?;
        let addr = listener.local_addr()?;

        let secure = acceptor.is_some();
        let mut config = settings.core.clone();
        pin(&mut config, &stored);
        config.cards.clone_from(&stored.cards);
        // Whoever listens on one address is reached there, unless the operator says otherwise.
        if config.public_url.is_none() && !addr.ip().is_unspecified() {
            config.public_url = Some(url("ws", addr, secure));
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system gives no randomness")?;
        let clock = Clock::start();
        let mut core = Signaler::new(config.clone(), key.clone(), seed, clock.now());
        let unread = core.restore(clock.now(), stored.records);
        if unread > 0 {
            tracing::error!(
                unread,
                "a part of the registry in the database cannot be read, and was left out"
            );
        }
        core.restore_mail(clock.now(), stored.mail);
        let (hub, handle) = Hub::new(core, clock, store, |hub| Dialler::new(hub, connector.clone()));
        let signaler = serde_json::json!({ "id": id.to_string(), "url": config.public_url });
        let rest = Rest::new(handle.clone(), settings.posts_per_minute, signaler);
        let federation = config.registry.network.clone();
        let pages = Pages::new(handle.clone(), id, config);
        let service = warp::service(routes(handle.clone(), pages, &rest));
        let probing = tokio::spawn(probe::run(handle.clone(), settings.probe, settings.probe_every));
        let enlisted = settings.enlist.map(|mut enlist| {
            if enlist.port == 0 {
                enlist.port = addr.port();
            }
            tokio::spawn(enlist::run(handle.clone(), key, federation, enlist, connector))
        });
        let watching = shown.map(|shown| tokio::spawn(tls::watch(shown)));
        let asking = certified.map(|certified| tokio::spawn(certified.run()));
        let beside = std::iter::once(probing).chain(enlisted).chain(watching).chain(asking).collect();
        let places = Arc::new(Places { max: settings.max_connections_per_ip, taken: Mutex::default() });
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, from) = match listener.accept().await {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, most likely: those that are open go on being served.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let Some(place) = Places::take(&places, from.ip()) else { continue };
                let service = service.clone();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Some(stream) = secured(tcp, acceptor).await else { return };
                    let service = hyper::service::service_fn(
                        move |mut request: http::Request<hyper::body::Incoming>| {
                            request.extensions_mut().insert(place.clone());
                            request.extensions_mut().insert(From(network(from.ip())));
                            hyper::service::Service::call(&TowerToHyperService::new(service.clone()), request)
                        },
                    );
                    let served = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(OPENING)
                        .max_buf_size(16 * 1024)
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades()
                        .await;
                    if let Err(error) = served {
                        tracing::debug!(%error, "an HTTP connection ended");
                    }
                });
            }
        });
        let running = tokio::spawn(hub.run());
        Ok(Self { addr, id, secure, hub: handle, running, accepting, beside })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Who it is.
    pub fn id(&self) -> SignalerId {
        self.id
    }

    /// Its URL for programs on this machine, with the given scheme's first letters (`ws` or `http`).
    pub fn url(&self, scheme: &str) -> String {
        url(scheme, self.addr, self.secure)
    }

    /// Says goodbye to everybody and stops, within five seconds.
    pub async fn shutdown(self) {
        self.accepting.abort();
        self.beside.iter().for_each(JoinHandle::abort);
        if tokio::time::timeout(STOPPING, self.hub.shutdown()).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
        self.running.abort();
    }

    /// Stops as if killed: nobody is told. For tests of what happens then.
    pub fn kill(self) {
        self.accepting.abort();
        self.beside.iter().for_each(JoinHandle::abort);
        self.running.abort();
    }
}

/// The signaler's id in a database, which is made if there is none.
///
/// # Errors
/// As [`Server::start`].
pub fn id_of(data: &std::path::Path) -> anyhow::Result<SignalerId> {
    Ok(SignalerKey::new(&Stored::read(data)?.seed).id())
}

fn url(scheme: &str, addr: SocketAddr, secure: bool) -> String {
    let host = match addr.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    let s = if secure { "s" } else { "" };
    format!("{scheme}{s}://{host}:{}", addr.port())
}

fn pin(config: &mut weft_signaler_core::Config, stored: &Stored) {
    for sibling in &mut config.siblings {
        sibling.pinned = sibling.url.as_deref().and_then(|url| stored.pin(url));
    }
}

fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let listener = match settings.listen {
        Some(addr) => bind(addr),
        // Both families on one socket; where there is no IPv6, the other alone.
        None => bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), settings.port)).or_else(|error| {
            if error.kind() == std::io::ErrorKind::AddrInUse {
                return Err(error);
            }
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), settings.port))
        }),
    };
    let port = settings.listen.map_or(settings.port, |addr| addr.port());
    listener.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} is in use: is a signaler running already? Stop it, or choose another port with --listen PORT or MESH_PORT"
        ),
        std::io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "may not listen on port {port}: ports below 1024 need privileges; choose another with --listen PORT"
        ),
        _ => anyhow::Error::new(error).context("cannot listen: see --listen"),
    })
}

fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it: without it, small frames wait for the other side's acknowledgement (44 ms).
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn secured(tcp: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Stream> {
    let Some(acceptor) = acceptor else { return Some(Stream::Plain(tcp)) };
    match tokio::time::timeout(OPENING, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => Some(Stream::Encrypted(Box::new(stream.into()))),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

fn routes(hub: HubHandle, pages: Pages, rest: &Rest) -> BoxedFilter<(Page,)> {
    let registry = registry(hub.clone(), rest);
    let with = move || {
        let pages = pages.clone();
        warp::any().map(move || pages.clone())
    };
    let upgrade = warp::path::end()
        .and(warp::header::exact_ignore_case("upgrade", "websocket"))
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<OnUpgrade>())
        .and(warp::ext::get::<Arc<Place>>())
        .map(move |headers: HeaderMap, upgrade: OnUpgrade, place: Arc<Place>| {
            accept(&hub, &headers, upgrade, place)
        });
    let landing = warp::path::end()
        .and(warp::header::headers_cloned())
        .map(|headers: HeaderMap| Pages::landing(&headers));
    let dashboard = warp::path("dashboard").and(warp::path::full()).and(warp::header::headers_cloned()).map(
        |full: warp::path::FullPath, headers: HeaderMap| match full.as_str().strip_prefix("/dashboard/") {
            Some(path) if !path.is_empty() => Pages::dashboard(path, &headers),
            Some(_) => moved("../"),
            None => moved("./"),
        },
    );
    let script = warp::path!("landing.js").map(Pages::landing_script);
    let health = warp::path!("healthz").and(with()).then(|pages: Pages| async move { pages.health().await });
    let metrics =
        warp::path!("metrics").and(with()).then(|pages: Pages| async move { pages.metrics().await });
    let info = warp::path!("info").and(with()).then(|pages: Pages| async move { pages.info().await });
    let demo = warp::path("demo").and(warp::path::full()).and(warp::header::headers_cloned()).map(
        |full: warp::path::FullPath, headers: HeaderMap| match full.as_str().strip_prefix("/demo/") {
            Some(path) => Pages::demo(path, &headers),
            None => moved("demo/"),
        },
    );
    let other = warp::path::full().and_then(|path: warp::path::FullPath| async move {
        rest::wrong_method(path.as_str()).ok_or_else(|| warp::reject::custom(NoSuchPage))
    });
    // Monitors ask with HEAD, too; hyper leaves the body out.
    let read = warp::get().or(warp::head()).unify();
    read.and(
        upgrade
            .or(landing)
            .unify()
            .or(script)
            .unify()
            .or(dashboard)
            .unify()
            .or(health)
            .unify()
            .or(metrics)
            .unify()
            .or(info)
            .unify()
            .or(demo)
            .unify(),
    )
    .or(registry)
    .unify()
    .or(other)
    .unify()
    .recover(|_: warp::Rejection| async {
        let text = "there is no such page: see docs/spec or /openapi.json";
        Ok::<Page, std::convert::Infallible>(rest::error(StatusCode::NOT_FOUND, "not-found", text))
    })
    .unify()
    .boxed()
}

/// The registry's pages, and its event stream.
fn registry(hub: HubHandle, rest: &Rest) -> BoxedFilter<(Page,)> {
    let listeners = Arc::new(Semaphore::new(events::LISTENERS));
    let with = {
        let rest = rest.clone();
        warp::any().map(move || rest.clone())
    };
    let events = warp::path!("events")
        .and(warp::get())
        .and(warp::header::exact_ignore_case("upgrade", "websocket"))
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<OnUpgrade>())
        .and(warp::ext::get::<Arc<Place>>())
        .map(move |headers: HeaderMap, upgrade: OnUpgrade, place: Arc<Place>| {
            if listeners.available_permits() == 0 {
                let text = "as many listeners as this signaler allows: try again later";
                return rest::error(StatusCode::SERVICE_UNAVAILABLE, "too-many-listeners", text);
            }
            let key = match handshake_key(&headers) {
                Ok(key) => key,
                Err(refused) => return *refused,
            };
            let (hub, listeners) = (hub.clone(), listeners.clone());
            tokio::spawn(async move {
                events::serve(upgrade, hub, listeners).await;
                drop(place);
            });
            switching(key, None)
        });
    let plain = warp::path!("events").and(warp::get()).map(|| {
        rest::error(
            StatusCode::UPGRADE_REQUIRED,
            "websocket",
            "this is a WebSocket: connect to ws://…/events",
        )
    });
    let post = warp::post()
        .and(warp::path::full())
        .and(warp::ext::get::<From>())
        .and(warp::header::optional::<u64>("content-length"))
        .and(warp::body::stream())
        .and(with.clone())
        .and_then(|path: warp::path::FullPath, from: From, len, body, rest: Rest| async move {
            if let Some(refused) = rest.refuse(&http::Method::POST, from.0) {
                return Ok(refused);
            }
            rest.post(path.as_str(), len, body).await.ok_or_else(|| warp::reject::custom(NoSuchPage))
        });
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let read = warp::get()
        .or(warp::head())
        .unify()
        .and(warp::path::full())
        .and(query)
        .and(warp::ext::get::<From>())
        .and(with)
        .and_then(|path: warp::path::FullPath, query: String, from: From, rest: Rest| async move {
            if let Some(refused) = rest.refuse(&http::Method::GET, from.0) {
                return Ok(refused);
            }
            rest.get(path.as_str(), &query).await.ok_or_else(|| warp::reject::custom(NoSuchPage))
        });
    events.or(plain).unify().or(post).unify().or(read).unify().boxed()
}

fn moved(to: &'static str) -> Page {
    let mut page = Response::new(Vec::new());
    *page.status_mut() = StatusCode::PERMANENT_REDIRECT;
    page.headers_mut().insert(header::LOCATION, http::HeaderValue::from_static(to));
    page
}

/// Answers a WebSocket's handshake (RFC 6455 section 4.2) and starts its task.
fn accept(hub: &HubHandle, headers: &HeaderMap, upgrade: OnUpgrade, place: Arc<Place>) -> Page {
    let key = match handshake_key(headers) {
        Ok(key) => key,
        Err(refused) => return *refused,
    };
    let offered = |protocol: &str| {
        headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim() == protocol)
    };
    let (protocol, origin) = if offered(PEER_PROTOCOL) {
        (PEER_PROTOCOL, Origin::Peer)
    } else if offered(FEDERATION_PROTOCOL) {
        (FEDERATION_PROTOCOL, Origin::Sibling)
    } else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "unsupported-version",
            "offer one of the protocols in Sec-WebSocket-Protocol",
        );
    };
    let hub = hub.clone();
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
        if let Some((conn, outbox)) = hub.open(origin).await {
            socket::run(parts.io.into_inner(), parts.read_buf, Role::Server, conn, outbox, hub.to).await;
        }
        drop(place);
    });
    switching(key, Some(protocol))
}

/// What a WebSocket's handshake has to bring.
fn handshake_key(headers: &HeaderMap) -> Result<&http::HeaderValue, Box<Page>> {
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return Err(Box::new(refusal(StatusCode::BAD_REQUEST, "bad-frame", "Sec-WebSocket-Key is missing")));
    };
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        let mut page =
            refusal(StatusCode::UPGRADE_REQUIRED, "unsupported-version", "use WebSocket version 13");
        page.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, http::HeaderValue::from_static("13"));
        return Err(Box::new(page));
    }
    Ok(key)
}

fn switching(key: &http::HeaderValue, protocol: Option<&'static str>) -> Page {
    let mut page = Response::new(Vec::new());
    *page.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = page.headers_mut();
    headers.insert(header::CONNECTION, http::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, http::HeaderValue::from_static("websocket"));
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, http::HeaderValue::from_static(protocol));
    }
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    page
}

/// Connections by address.
#[derive(Debug)]
struct Places {
    /// 0: no limit.
    max: u32,
    taken: Mutex<HashMap<IpAddr, u32>>,
}

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    ip: Option<IpAddr>,
}

impl Places {
    fn take(places: &Arc<Self>, ip: IpAddr) -> Option<Arc<Place>> {
        if places.max == 0 {
            return Some(Arc::new(Place { places: places.clone(), ip: None }));
        }
        let ip = network(ip);
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(ip).or_default();
        if *count >= places.max {
            return None;
        }
        *count += 1;
        Some(Arc::new(Place { places: places.clone(), ip: Some(ip) }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(ip) = self.ip else { return };
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&ip);
            }
        }
    }
}

/// Whoever has an IPv6 address has a /64 of them.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
