//! A signaler for tests: one process, one lock, no limits, and it believes everybody. The real one has its own tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use weft_crypto::{Seed, SignalerKey, challenge, statement};
use weft_native_peer::{KeySource, Network, Options};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Code, DiscoveryKey, List, Nonce, PEER_PROTOCOL, PeerId, Text, decode, encode, limits};

/// A running signaler; it and all its connections end when it is dropped.
pub(crate) struct Signaler {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Signaler {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let state = Arc::new(Mutex::new(State::default()));
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        });
        Self { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for Signaler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Options of a peer with keys of its own, on loopback alone.
pub(crate) fn options(urls: &[String]) -> Options {
    let mut options = Options::new(urls.iter().map(String::as_str)).keys(KeySource::Ephemeral);
    options.network = Network { listen: vec!["127.0.0.1".parse().unwrap()], ..Network::default() };
    options
}

#[derive(Default)]
struct State {
    peers: BTreeMap<PeerId, mpsc::Sender<Vec<u8>>>,
    swarms: BTreeMap<DiscoveryKey, BTreeMap<PeerId, Vec<u8>>>,
}

impl State {
    fn tell(&self, to: &PeerId, frame: &FromSignaler<'_>) -> bool {
        self.peers.get(to).is_some_and(|peer| peer.try_send(encode(frame)).is_ok())
    }

    fn leave(&mut self, peer: PeerId, discovery: DiscoveryKey) {
        let gone = self.swarms.get_mut(&discovery).and_then(|members| members.remove(&peer));
        if gone.is_some() {
            for other in self.swarms[&discovery].keys() {
                self.tell(other, &FromSignaler::Left { discovery, peer });
            }
        }
    }

    fn on_frame(&mut self, from: PeerId, frame: &ToSignaler<'_>) {
        match *frame {
            ToSignaler::Announce { entry } => {
                let opened = statement::open_entry(entry).unwrap();
                let discovery = opened.discovery;
                let members = self.swarms.entry(discovery).or_default();
                let new = members.insert(from, entry.to_vec()).is_none();
                let others: Vec<_> = members.iter().filter(|(peer, _)| **peer != from).collect();
                let total = u32::try_from(others.len()).unwrap();
                let entries = List::first(others.iter().map(|(_, entry)| weft_wire::Bytes((*entry).clone())));
                let others: Vec<_> = others.iter().map(|(peer, _)| **peer).collect();
                self.tell(&from, &FromSignaler::Members { discovery, entries, total });
                for other in others.iter().filter(|_| new) {
                    self.tell(other, &FromSignaler::Joined { entry });
                }
            }
            ToSignaler::Leave { entry } => self.leave(from, statement::open_entry(entry).unwrap().discovery),
            ToSignaler::Forward { re, to, envelope, .. } => {
                if !self.tell(&to, &FromSignaler::Deliver { envelope }) {
                    let (code, text) = (Code::UnknownPeer, Text::default());
                    self.tell(&from, &FromSignaler::Error { code, re: Some(re), discovery: None, text });
                }
            }
            ToSignaler::Fanout { discovery, payload, .. } => {
                let members = self.swarms.get(&discovery).into_iter().flat_map(BTreeMap::keys);
                for member in members.filter(|member| **member != from) {
                    self.tell(member, &FromSignaler::Fanned { discovery, payload });
                }
            }
            ToSignaler::Ping { token } => _ = self.tell(&from, &FromSignaler::Pong { token }),
            // A signaler that keeps no mail does not answer about it.
            ToSignaler::Authenticate { .. }
            | ToSignaler::Publish { .. }
            | ToSignaler::Peers { .. }
            | ToSignaler::Store { .. }
            | ToSignaler::Collect { .. }
            | ToSignaler::Proof { .. }
            | ToSignaler::Taken { .. }
            | ToSignaler::Revoke { .. } => {}
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    #[expect(clippy::result_large_err, reason = "the type is the library's")]
    let choose = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PEER_PROTOCOL));
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, choose).await else { return };
    let key = SignalerKey::new(&Seed::new([7; 32]));
    let nonce = Nonce([9; 32]);
    let challenge = FromSignaler::Challenge { signaler: key.id(), nonce };
    if socket.send(Message::binary(encode(&challenge))).await.is_err() {
        return;
    }
    let (into, mut outgoing) = mpsc::channel(4096);
    let mut authenticated = None;
    loop {
        tokio::select! {
            Some(bytes) = outgoing.recv() => {
                if socket.send(Message::binary(bytes)).await.is_err() {
                    break;
                }
            }
            incoming = socket.next() => {
                let Some(Ok(message)) = incoming else { break };
                let Message::Binary(bytes) = message else { continue };
                let frame = decode::<ToSignaler<'_>>(&bytes, limits::FRAME).unwrap();
                if let ToSignaler::Authenticate { peer, nonce: theirs, .. } = &frame {
                    authenticated = Some(*peer);
                    state.lock().unwrap().peers.insert(*peer, into.clone());
                    let welcome = FromSignaler::Welcome {
                        signature: challenge::answer_as_signaler(&key, *peer, &nonce, theirs),
                        ttl_ms: 120_000,
                        keepalive_ms: 18_000,
                        max_frame: 256 * 1024,
                        max_swarms: 64,
                        now_ms: 0,
                    };
                    state.lock().unwrap().tell(peer, &welcome);
                } else if let Some(peer) = authenticated {
                    state.lock().unwrap().on_frame(peer, &frame);
                }
            }
        }
    }
    if let Some(peer) = authenticated {
        let mut state = state.lock().unwrap();
        state.peers.remove(&peer);
        let swarms: Vec<_> = state.swarms.keys().copied().collect();
        for discovery in swarms {
            state.leave(peer, discovery);
        }
    }
}
