//! Mail that waits at signalers as they are shipped: processes that are killed, peers that speak raw frames.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};
use weft_crypto::challenge::{Collection, answer_as_peer, prove_collection, sign_taken};
use weft_crypto::statement::sign_record;
use weft_crypto::{IdentityKey, PeerKey, Seed, digest};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{
    Bytes, Code, Digest, IdentityId, List, Nonce, PEER_PROTOCOL, PeerId, PeerRecord, SignalerId, Text,
    decode, encode, limits,
};

/// Far longer than anything here takes on a busy machine; what is awaited has a name, so a hang says what did not come.
const PATIENCE: Duration = Duration::from_secs(120);
const WEEK: u64 = 7 * 86_400_000;

/// A signaler in a process of its own, killed when it is dropped.
struct Signaler {
    process: Child,
    addr: SocketAddr,
    data: PathBuf,
}

impl Signaler {
    fn start(data: PathBuf, addr: SocketAddr, siblings: &[SocketAddr]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft-signaler"));
        command.args(["--open", "--listen", &addr.to_string(), "--data"]).arg(&data);
        for sibling in siblings {
            command.args(["--sibling", &format!("ws://{sibling}")]);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, url) = line.split_once("ws://").unwrap_or_else(|| panic!("it does not listen: {line}"));
        let addr = url.split(&[' ', '/'][..]).next().unwrap().parse().unwrap();
        Self { process, addr, data }
    }

    fn get(&self, path: &str) -> String {
        let Ok(mut socket) = std::net::TcpStream::connect(self.addr) else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.addr);
        let mut answer = String::new();
        let _ = socket.write_all(request.as_bytes()).and_then(|()| socket.read_to_string(&mut answer));
        answer
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let page = self.get("/metrics");
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Signaler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Client {
    socket: WebSocketStream<TcpStream>,
    key: PeerKey,
}

impl Client {
    async fn connect(to: SocketAddr, seed: u8) -> Self {
        let tcp = TcpStream::connect(to).await.unwrap();
        let mut request = format!("ws://{to}/").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PEER_PROTOCOL));
        let (socket, _) = client_async(request, tcp).await.unwrap();
        let mut client = Self { socket, key: PeerKey::new(&Seed::new([seed; 32])) };
        let (home, theirs): (SignalerId, Nonce) = client
            .wait("Challenge", |frame| match frame {
                FromSignaler::Challenge { signaler, nonce } => Some((signaler, nonce)),
                _ => None,
            })
            .await;
        let nonce = Nonce([seed; 32]);
        let signature = answer_as_peer(&client.key, home, &theirs, &nonce);
        let peer = client.key.id();
        client.send(&ToSignaler::Authenticate { peer, nonce, signature, agent: Text::cut("test") }).await;
        client.wait("Welcome", |frame| matches!(frame, FromSignaler::Welcome { .. }).then_some(())).await;
        client
    }

    async fn send(&mut self, frame: &ToSignaler<'_>) {
        self.socket.send(Message::binary(encode(frame))).await.unwrap();
    }

    async fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(FromSignaler<'_>) -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.socket.next().await.expect("it is open").unwrap();
                if let Message::Binary(bytes) = message
                    && let Some(found) = wanted(decode(&bytes, limits::FRAME).unwrap())
                {
                    return found;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
    }

    /// The outcome of a frame with this number.
    async fn outcome(&mut self, number: u32) -> Result<(), Code> {
        self.wait("an outcome", |frame| match frame {
            FromSignaler::Ack { re } | FromSignaler::Published { re, .. } if re == number => Some(Ok(())),
            FromSignaler::Error { code, re: Some(re), .. } if re == number => Some(Err(code)),
            _ => None,
        })
        .await
    }

    async fn publish(&mut self, identity: &IdentityKey) -> Result<(), Code> {
        let issued =
            u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        let record = PeerRecord {
            identity: identity.id(),
            peer: self.key.id(),
            agreement: self.key.agreement(),
            name: Text::default(),
            issued,
            until: issued + WEEK,
            sessions: None,
        };
        let record = Bytes(sign_record(identity, &record));
        self.send(&ToSignaler::Publish { re: 1, record, prekeys: List::default() }).await;
        self.outcome(1).await
    }

    /// Again and again, with a pause in between as a peer makes one, until it is stored: who asks without a pause is refused
    /// for the rate of it.
    async fn store(&mut self, identity: IdentityId, peer: PeerId, envelope: &[u8]) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.send(&ToSignaler::Store { re: 2, identity, peer, life_ms: WEEK, envelope }).await;
            match self.outcome(2).await {
                Ok(()) => return,
                Err(Code::NotStored | Code::SiblingUnreachable) if Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(code) => panic!("{code}"),
            }
        }
    }

    async fn begin(&mut self, identity: IdentityId) -> Result<Collection, Code> {
        let peer = self.key.id();
        self.send(&ToSignaler::Collect { re: 3, identity, peer }).await;
        self.wait("Prove", |frame| match frame {
            FromSignaler::Prove { re: 3, signaler, nonce } => {
                Some(Ok(Collection { peer, identity, signaler, nonce }))
            }
            FromSignaler::Error { code, re: Some(3), .. } => Some(Err(code)),
            _ => None,
        })
        .await
    }

    async fn mail(&mut self, number: u32) -> Result<Vec<Vec<u8>>, Code> {
        self.wait("Mail", |frame| match frame {
            FromSignaler::Mail { re, items, .. } if re == number => {
                Some(Ok(items.into_iter().map(|item| item.envelope.0).collect()))
            }
            FromSignaler::Error { code, re: Some(re), .. } if re == number => Some(Err(code)),
            _ => None,
        })
        .await
    }

    async fn prove(&mut self, of: &Collection) -> Result<Vec<Vec<u8>>, Code> {
        let signature = prove_collection(&self.key, of);
        let Collection { peer, identity, signaler, nonce } = *of;
        self.send(&ToSignaler::Proof { re: 4, identity, peer, signaler, nonce, signature }).await;
        self.mail(4).await
    }

    async fn taken(&mut self, of: &Collection, mail: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Code> {
        let ids: Vec<Digest> = mail.iter().map(|envelope| digest(envelope)).collect();
        let signature = sign_taken(&self.key, of, &ids);
        let Collection { peer, identity, signaler, nonce } = *of;
        let ids = List::first(ids);
        self.send(&ToSignaler::Taken { re: 5, identity, peer, signaler, nonce, ids, signature }).await;
        self.mail(5).await
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[tokio::test]
async fn c3_each_of_three_signalers_may_be_killed_while_mail_waits() {
    let dir = tempfile::tempdir().unwrap();
    let data = |at: usize| dir.path().join(format!("{at}.db"));
    let first = Signaler::start(data(0), any_port(), &[]);
    let known = first.addr;
    let mut signalers = vec![first];
    for at in 1..3 {
        signalers.push(Signaler::start(data(at), any_port(), &[known]));
    }
    let addrs: Vec<SocketAddr> = signalers.iter().map(|one| one.addr).collect();
    until("all know all", || signalers.iter().all(|one| one.metric("weft_members_active") == Some(2.0)))
        .await;

    let identity = IdentityKey::new(&Seed::new([9; 32]));
    let mut bob = Client::connect(addrs[0], 1).await;
    let peer = bob.key.id();
    bob.publish(&identity).await.unwrap();
    drop(bob);
    let (mut next, mut waits) = (0_u32, Vec::new());
    for victim in 0..3 {
        let home = addrs[(victim + 1) % 3];
        let mut ann = Client::connect(home, 2).await;
        for _ in 0..20 {
            next += 1;
            waits.push(next.to_be_bytes().to_vec());
            ann.store(identity.id(), peer, &next.to_be_bytes()).await;
        }
        // As soon as the last one is acknowledged.
        signalers[victim].kill();
        for _ in 0..5 {
            next += 1;
            waits.push(next.to_be_bytes().to_vec());
            ann.store(identity.id(), peer, &next.to_be_bytes()).await;
        }
        // Half is taken while one is away, and does not come back with it.
        let mut bob = Client::connect(addrs[(victim + 2) % 3], 1).await;
        let collection = bob.begin(identity.id()).await.unwrap();
        let mail = bob.prove(&collection).await.unwrap();
        assert_eq!(mail, waits, "all that was acknowledged, in order");
        let half = waits.len() / 2;
        let rest = bob.taken(&collection, &mail[..half]).await.unwrap();
        waits.drain(..half);
        assert_eq!(rest, waits);
        let others: Vec<SocketAddr> = addrs.iter().copied().filter(|addr| *addr != addrs[victim]).collect();
        let stored = signalers[victim].data.clone();
        signalers[victim] = Signaler::start(stored, addrs[victim], &others);
        let count = u32::try_from(waits.len()).unwrap();
        until("all have what waits", || {
            signalers.iter().all(|one| one.metric("weft_mail") == Some(f64::from(count)))
        })
        .await;
    }
    // And all three at once.
    signalers.iter_mut().for_each(Signaler::kill);
    for (at, signaler) in signalers.iter_mut().enumerate() {
        *signaler = Signaler::start(data(at), addrs[at], &addrs[..at]);
    }
    until("all know all again", || {
        signalers.iter().all(|one| one.metric("weft_members_active") == Some(2.0))
    })
    .await;
    let mut bob = Client::connect(addrs[1], 1).await;
    let collection = bob.begin(identity.id()).await.unwrap();
    assert_eq!(bob.prove(&collection).await.unwrap(), waits);
    assert_eq!(bob.taken(&collection, &waits).await.unwrap(), Vec::<Vec<u8>>::new());
    until("nothing waits", || signalers.iter().all(|one| one.metric("weft_mail") == Some(0.0))).await;
}

#[tokio::test]
async fn c6_c10_a_shipped_signaler_refuses_what_it_should_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let signaler = Signaler::start(dir.path().join("mesh.db"), any_port(), &[]);
    let identity = IdentityKey::new(&Seed::new([9; 32]));
    let (mut bob, mut eve) =
        (Client::connect(signaler.addr, 1).await, Client::connect(signaler.addr, 2).await);
    let peer = bob.key.id();
    let identity_id = identity.id();
    let store = |envelope: &'static [u8]| ToSignaler::Store {
        re: 2,
        identity: identity_id,
        peer,
        life_ms: WEEK,
        envelope,
    };
    eve.send(&store(b"early")).await;
    assert_eq!(eve.outcome(2).await, Err(Code::NoMailbox));
    assert_eq!(eve.publish(&IdentityKey::new(&Seed::new([8; 32]))).await, Ok(()));
    assert_eq!(bob.publish(&identity).await, Ok(()));
    eve.store(identity_id, peer, b"for bob").await;
    // Drained by another key, by a replay.
    let collection = bob.begin(identity_id).await.unwrap();
    assert_eq!(eve.prove(&collection).await, Err(Code::BadSignature));
    assert_eq!(bob.prove(&collection).await, Ok(vec![b"for bob".to_vec()]));
    let again = prove_collection(&bob.key, &collection);
    let Collection { signaler: by, nonce, .. } = collection;
    eve.send(&ToSignaler::Proof {
        re: 4,
        identity: identity_id,
        peer,
        signaler: by,
        nonce,
        signature: again,
    })
    .await;
    assert_eq!(eve.mail(4).await, Err(Code::Replayed));
    assert_eq!(eve.taken(&collection, &[b"for bob".to_vec()]).await, Err(Code::BadSignature));
    // One sender's share, by number.
    for n in 1..250_u32 {
        eve.store(identity_id, peer, &n.to_be_bytes()).await;
    }
    eve.send(&store(b"too many")).await;
    assert_eq!(eve.outcome(2).await, Err(Code::SenderFull));
    // Malformed ones are counted, and others are served.
    eve.socket.send(Message::binary(vec![0x82, 0x18, 68, 0xa1, 0, 1])).await.unwrap();
    eve.wait("a refusal", |frame| {
        matches!(frame, FromSignaler::Error { code: Code::BadFrame, .. }).then_some(())
    })
    .await;
    let first = bob.taken(&collection, &[b"for bob".to_vec()]).await.unwrap();
    assert_eq!(first.len(), 249);
    assert_eq!(bob.taken(&collection, &first).await, Ok(vec![]));
}
