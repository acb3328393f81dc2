//! The signaler as it is shipped, over real sockets: peers speak raw frames.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use weft_crypto::challenge::{answer_as_peer, check_signaler};
use weft_crypto::registry::Signer;
use weft_crypto::statement::{open_entry, sign_entry};
use weft_crypto::{IdentityKey, PeerKey, Seed};
use weft_signaler::{Server, Settings};
use weft_wire::registry::{Registration, Statement, json};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{
    Code, DiscoveryKey, Entry, List, Nonce, PEER_PROTOCOL, PeerId, SignalerId, Text, decode, encode, limits,
};

/// Far longer than anything here takes; what is awaited has a name, so a hang says what did not come.
const PATIENCE: Duration = Duration::from_secs(20);
const SWARM: DiscoveryKey = DiscoveryKey([7; 32]);

struct Running {
    server: Server,
    dir: tempfile::TempDir,
}

async fn start(change: impl FnOnce(&mut Settings)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::ephemeral(dir.path().join("mesh.db"));
    change(&mut settings);
    Running { server: Server::start(settings).await.unwrap(), dir }
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    key: PeerKey,
    home: SignalerId,
    seq: u64,
}

impl Client {
    /// Connects and authenticates; both sides prove themselves.
    async fn connect(to: &Running, seed: u8) -> Self {
        let mut client = Self::strange(to.server.addr(), to.server.id(), seed).await;
        let theirs = client.challenge().await;
        let ours = Nonce([seed; 32]);
        let signature = answer_as_peer(&client.key, client.home, &theirs, &ours);
        let peer = client.key.id();
        client
            .send(&ToSignaler::Authenticate { peer, nonce: ours, signature, agent: Text::cut("test") })
            .await;
        let home = client.home;
        client
            .wait("Welcome", |frame| match frame {
                FromSignaler::Welcome { signature, .. } => {
                    check_signaler(home, peer, &theirs, &ours, &signature).unwrap();
                    Some(())
                }
                _ => None,
            })
            .await;
        client
    }

    async fn strange(addr: SocketAddr, home: SignalerId, seed: u8) -> Self {
        let tcp = TcpStream::connect(addr).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut request = format!("ws://{addr}/").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PEER_PROTOCOL));
        let (socket, _) = client_async(request, tcp).await.unwrap();
        Self { socket, key: PeerKey::new(&Seed::new([seed; 32])), home, seq: 1_700_000_000_000 }
    }

    async fn challenge(&mut self) -> Nonce {
        let home = self.home;
        self.wait("Challenge", |frame| match frame {
            FromSignaler::Challenge { signaler, nonce } => {
                assert_eq!(signaler, home);
                Some(nonce)
            }
            _ => None,
        })
        .await
    }

    async fn send(&mut self, frame: &ToSignaler<'_>) {
        self.raw(encode(frame)).await;
    }

    async fn raw(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    fn entry(&mut self, left: bool) -> Vec<u8> {
        self.seq += 1;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let now = u64::try_from(now).unwrap();
        sign_entry(
            &self.key,
            &Entry {
                discovery: SWARM,
                peer: self.key.id(),
                home: self.home,
                agreement: self.key.agreement(),
                seq: self.seq,
                since: now,
                until: now + 120_000,
                left,
            },
        )
    }

    /// Announces; returns whom it was told of.
    async fn announce(&mut self) -> Vec<PeerId> {
        let entry = self.entry(false);
        self.send(&ToSignaler::Announce { entry: &entry }).await;
        self.wait("Members", |frame| match frame {
            FromSignaler::Members { entries, .. } => {
                Some(entries.iter().map(|entry| open_entry(&entry.0).unwrap().peer).collect())
            }
            _ => None,
        })
        .await
    }

    /// The next binary message, or the close code.
    async fn next(&mut self) -> Result<Vec<u8>, u16> {
        loop {
            match tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("a message") {
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes.to_vec()),
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(FromSignaler<'_>) -> Option<T>) -> T {
        loop {
            let bytes = self.next().await.unwrap_or_else(|code| panic!("closed with {code} before {what}"));
            if let Some(found) = wanted(decode(&bytes, limits::FRAME).unwrap()) {
                return found;
            }
        }
    }

    async fn error(&mut self) -> (Code, Option<u32>) {
        self.wait("Error", |frame| match frame {
            FromSignaler::Error { code, re, .. } => Some((code, re)),
            _ => None,
        })
        .await
    }

    async fn ack(&mut self, re: u32) {
        self.wait("Ack", |frame| match frame {
            FromSignaler::Ack { re: got } => (got == re).then_some(()),
            FromSignaler::Error { code, .. } => panic!("{code}"),
            _ => None,
        })
        .await;
    }

    async fn joined(&mut self) -> PeerId {
        self.wait("Joined", |frame| match frame {
            FromSignaler::Joined { entry } => Some(open_entry(entry).unwrap().peer),
            _ => None,
        })
        .await
    }

    async fn left(&mut self) -> PeerId {
        self.wait("Left", |frame| match frame {
            FromSignaler::Left { peer, .. } => Some(peer),
            _ => None,
        })
        .await
    }

    async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

/// Three signalers: the first and the last call the one in the middle, which admits them.
async fn chain() -> [Running; 3] {
    let middle = start(|settings| settings.core.open = true).await;
    let (url, id) = (middle.server.url("ws"), middle.server.id());
    let first = start(|settings| settings.add_sibling(&format!("{id}@{url}")).unwrap()).await;
    let last = start(|settings| settings.add_sibling(&url).unwrap()).await;
    [first, middle, last]
}

#[tokio::test]
async fn d1_d2_peers_on_signalers_that_know_each_other_through_a_third() {
    let [a, _b, c] = chain().await;
    let (mut one, mut two) = (Client::connect(&a, 1).await, Client::connect(&c, 2).await);
    one.announce().await;
    let known = two.announce().await;
    assert_eq!(one.joined().await, two.key.id());
    if known.is_empty() {
        assert_eq!(two.joined().await, one.key.id());
    }
    // Envelopes and payloads go both ways over the chain.
    let (to_two, to_one) = (two.key.id(), one.key.id());
    one.send(&ToSignaler::Forward { re: 1, to: to_two, home: None, envelope: b"there", ack: true }).await;
    let got = two
        .wait("Deliver", |frame| {
            if let FromSignaler::Deliver { envelope } = frame { Some(envelope.to_vec()) } else { None }
        })
        .await;
    assert_eq!(got, b"there");
    one.ack(1).await;
    two.send(&ToSignaler::Fanout { re: 2, discovery: SWARM, payload: b"all", ack: true }).await;
    let got = one
        .wait("Fanned", |frame| {
            if let FromSignaler::Fanned { payload, .. } = frame { Some(payload.to_vec()) } else { None }
        })
        .await;
    assert_eq!(got, b"all");
    // A leave is seen at the other end in under a second.
    let started = std::time::Instant::now();
    let entry = two.entry(true);
    two.send(&ToSignaler::Leave { entry: &entry }).await;
    assert_eq!(one.left().await, to_two);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    one.send(&ToSignaler::Forward { re: 3, to: to_one, home: None, envelope: b"self", ack: true }).await;
    one.ack(3).await;
}

#[tokio::test]
async fn d5_a_graceful_shutdown_is_told_to_peers_and_siblings() {
    let [a, b, _c] = chain().await;
    let (mut one, mut two) = (Client::connect(&a, 1).await, Client::connect(&b, 2).await);
    one.announce().await;
    if two.announce().await.is_empty() {
        two.joined().await;
    }
    let Running { server, dir: _dir } = a;
    let stopping = tokio::spawn(server.shutdown());
    assert_eq!(two.left().await, one.key.id());
    assert_eq!(one.closed().await, 4000 + Code::ShuttingDown.number());
    tokio::time::timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn bad_signatures_replays_and_unknown_recipients_are_named_errors() {
    let a = start(|_| {}).await;
    let mut one = Client::connect(&a, 1).await;
    let entry = one.entry(false);
    one.send(&ToSignaler::Announce { entry: &entry }).await;
    one.send(&ToSignaler::Announce { entry: &entry }).await;
    assert_eq!(one.error().await, (Code::Replayed, None));
    one.send(&ToSignaler::Forward { re: 4, to: PeerId([9; 32]), home: None, envelope: b"x", ack: true })
        .await;
    assert_eq!(one.error().await, (Code::UnknownPeer, Some(4)));
    let mut two = Client::strange(a.server.addr(), a.server.id(), 2).await;
    two.challenge().await;
    let signature = answer_as_peer(&two.key, two.home, &Nonce([0; 32]), &Nonce([1; 32]));
    let peer = two.key.id();
    two.send(&ToSignaler::Authenticate { peer, nonce: Nonce([1; 32]), signature, agent: Text::cut("t") })
        .await;
    assert_eq!(two.error().await, (Code::BadSignature, None));
    assert_eq!(two.closed().await, 4000 + Code::BadSignature.number());
}

#[tokio::test]
async fn q12_oversized_frames_close_with_a_reason_and_others_go_on() {
    let a = start(|_| {}).await;
    let mut early = Client::strange(a.server.addr(), a.server.id(), 1).await;
    early.challenge().await;
    early.raw(vec![0; limits::FRAME_BEFORE_AUTH + 1]).await;
    assert_eq!(early.error().await.0, Code::TooLarge);
    assert_eq!(early.closed().await, 4000 + Code::TooLarge.number());
    let mut late = Client::connect(&a, 2).await;
    let to = late.key.id();
    late.send(&ToSignaler::Forward {
        re: 1,
        to,
        home: None,
        envelope: &vec![1; limits::ENVELOPE],
        ack: true,
    })
    .await;
    late.ack(1).await;
    late.raw(vec![0; limits::FRAME + 1]).await;
    assert_eq!(late.error().await.0, Code::TooLarge);
    assert_eq!(late.closed().await, 4000 + Code::TooLarge.number());
    let mut text = Client::connect(&a, 3).await;
    text.socket.send(Message::text("{}")).await.unwrap();
    assert_eq!(text.error().await.0, Code::BadFrame);
    text.send(&ToSignaler::Ping { token: 5 }).await;
    text.wait("Pong", |frame| matches!(frame, FromSignaler::Pong { token: 5 }).then_some(())).await;
}

#[tokio::test]
async fn a_sender_over_its_rate_is_told() {
    let a = start(|settings| (settings.core.frames_per_second, settings.core.frames_burst) = (1, 3)).await;
    let mut one = Client::connect(&a, 1).await;
    let to = one.key.id();
    for re in 0..3 {
        one.send(&ToSignaler::Forward { re, to, home: None, envelope: b"x", ack: true }).await;
    }
    assert_eq!(one.error().await, (Code::RateLimited, Some(2)));
}

#[tokio::test]
async fn a_peer_that_does_not_read_costs_its_senders_an_error_and_nobody_else_anything() {
    let a = start(|settings| settings.core.bytes_burst = 1 << 30).await;
    let slow = Client::connect(&a, 1).await;
    let mut one = Client::connect(&a, 2).await;
    let to = slow.key.id();
    let envelope = vec![7; 200_000];
    let mut refused = None;
    for re in 0..200 {
        one.send(&ToSignaler::Forward { re, to, home: None, envelope: &envelope, ack: true }).await;
        let answer = one
            .wait("an answer", |frame| match frame {
                FromSignaler::Ack { .. } => Some(None),
                FromSignaler::Error { code, .. } => Some(Some(code)),
                _ => None,
            })
            .await;
        if answer.is_some() {
            refused = answer;
            break;
        }
    }
    assert_eq!(refused, Some(Code::RecipientBusy));
    let mut three = Client::connect(&a, 3).await;
    let to = three.key.id();
    one.send(&ToSignaler::Forward { re: 999, to, home: None, envelope: b"x", ack: true }).await;
    three.wait("Deliver", |frame| matches!(frame, FromSignaler::Deliver { .. }).then_some(())).await;
    // Once it reads, it gets what was queued, whole.
    let mut slow = slow;
    slow.wait("Deliver", |frame| match frame {
        FromSignaler::Deliver { envelope: got } => {
            assert_eq!(got, envelope);
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn no_common_protocol_is_an_answer_that_says_which_there_are() {
    let a = start(|_| {}).await;
    let tcp = TcpStream::connect(a.server.addr()).await.unwrap();
    let request = format!("ws://{}/", a.server.addr()).into_client_request().unwrap();
    match client_async(request, tcp).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 400);
            let head = get(a.server.addr(), "/healthz", "").await;
            assert!(head.contains("\"status\": \"ok\""), "{head}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pages_are_served_beside_the_sockets() {
    let a = start(|_| {}).await;
    let addr = a.server.addr();
    let mut one = Client::connect(&a, 1).await;
    one.announce().await;
    assert!(get(addr, "/", "").await.contains("<h1"));
    let health = get(addr, "/healthz", "").await;
    assert!(health.contains("\"peers\": 1") && health.contains(&a.server.id().to_string()), "{health}");
    let metrics = get(addr, "/metrics", "").await;
    assert!(
        metrics.contains("weft_peers 1") && metrics.contains("weft_refused_total{code=\"bad-frame\"} 0"),
        "{metrics}"
    );
    let info = get(addr, "/info", "Origin: http://elsewhere\r\n").await;
    assert!(info.contains("access-control-allow-origin: *") && info.contains("\"ttl_ms\": 120000"), "{info}");
    let demo = get(addr, "/demo/", "").await;
    assert!(demo.contains("content-security-policy") && demo.contains("wasm-unsafe-eval"), "{demo}");
    assert!(get(addr, "/nowhere", "").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn tls_serves_the_same_to_a_sibling_that_trusts_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let a = start(|settings| {
        settings.tls = Some((cert.clone(), key));
        settings.core.open = true;
    })
    .await;
    let url = format!("wss://localhost:{}", a.server.addr().port());
    let b = start(|settings| {
        settings.sibling_ca = Some(cert);
        settings.add_sibling(&format!("{}@{url}", a.server.id())).unwrap();
    })
    .await;
    let mut one = Client::connect(&b, 1).await;
    // The hint names a signaler that answers only over the encrypted link.
    let home = a.server.id();
    for re in 0.. {
        one.send(&ToSignaler::Forward {
            re,
            to: PeerId([9; 32]),
            home: Some(home),
            envelope: b"x",
            ack: true,
        })
        .await;
        match one.error().await.0 {
            Code::UnknownPeer => break,
            Code::SiblingUnreachable => tokio::task::yield_now().await,
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_port_in_use_and_a_wrong_certificate_say_what_to_do() {
    let a = start(|_| {}).await;
    let dir = tempfile::tempdir().unwrap();
    let mut settings = Settings::ephemeral(dir.path().join("mesh.db"));
    settings.listen = Some(a.server.addr());
    let error = format!("{:#}", Server::start(settings).await.unwrap_err());
    assert!(error.contains("in use") && error.contains("--listen"), "{error}");
    let mut settings = Settings::ephemeral(dir.path().join("mesh.db"));
    let nothing = dir.path().join("nothing.pem");
    std::fs::write(&nothing, "nothing").unwrap();
    settings.tls = Some((nothing.clone(), nothing));
    settings.listen = Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
    let error = format!("{:#}", Server::start(settings).await.unwrap_err());
    assert!(error.contains("nothing.pem") && error.contains("certificate"), "{error}");
}

/// What counts and is not on the disk is told so; what would not even find a place among that which waits changes nothing.
#[tokio::test]
async fn n9_a_disk_that_takes_nothing_is_told_of_until_it_takes_something() {
    let running = start(|settings| {
        settings.core.registry.max_pending = 5_000;
    })
    .await;
    let addr = running.server.addr();
    let db = rusqlite::Connection::open(running.dir.path().join("mesh.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    db.execute_batch("CREATE TRIGGER full BEFORE INSERT ON statement BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let mut late = 0;
    let (refused, id) = loop {
        let id = format!("node-{late}");
        let answer = register(&mut tcp, &running, &id).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 60\r\n"), "{answer}");
        if !answer.contains("not-stored") {
            break (answer, id);
        }
        assert!(answer.contains("it counts"), "{answer}");
        late += 1;
    };
    assert!(refused.contains("store-full") && refused.contains("nothing has changed"), "{refused}");
    // The card of the signaler itself waits, too.
    assert!((1_020..=1_024).contains(&late), "{late}");
    assert!(get(addr, "/nodes/node-0", "").await.starts_with("HTTP/1.1 200 "), "what is late counts");
    assert!(get(addr, &format!("/nodes/{id}"), "").await.starts_with("HTTP/1.1 404 "));
    let health = get(addr, "/healthz", "").await;
    assert!(health.contains("\"status\": \"not-stored\""), "{health}");
    let metrics = get(addr, "/metrics", "").await;
    assert!(metrics.contains("\nweft_store_overflows_total 1\n"), "{metrics}");

    db.execute_batch("DROP TRIGGER full").unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !get(addr, "/healthz", "").await.contains("\"status\": \"ok\"") {
        assert!(tokio::time::Instant::now() < deadline, "it is never stored");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let taken = register(&mut tcp, &running, &id).await;
    assert!(taken.starts_with("HTTP/1.1 201 "), "{taken}");
    let stored: u32 = db.query_row("SELECT count(*) FROM statement", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, late + 1);
}

/// Registers somebody over a connection that stays open. Returns the answer.
async fn register(tcp: &mut TcpStream, to: &Running, id: &str) -> String {
    let key = IdentityKey::new(&Seed::new([9; 32]));
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut nonce = [0; 32];
    nonce[..id.len()].copy_from_slice(id.as_bytes());
    nonce[24..].copy_from_slice(&u64::try_from(time).unwrap().to_be_bytes());
    let statement = Statement::Register(Registration {
        network: "weft".parse().unwrap(),
        signaler: to.server.id(),
        id: id.parse().unwrap(),
        key: key.id().into(),
        host: "validator.example".parse().unwrap(),
        address: None,
        services: List::first([]),
        after: None,
        time: u64::try_from(time).unwrap(),
        nonce: Nonce(nonce),
    });
    let body = json::write(&statement, &Signer::Identity(&key).sign(&statement)).to_string();
    let head = format!("POST /register HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", body.len());
    tcp.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        tcp.read_buf(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return text.into_owned();
        }
    }
}

async fn get(addr: SocketAddr, path: &str, headers: &str) -> String {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{headers}\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
