//! Where events go: an object of the TypeScript side, one method per event.
//!
//! Called only while the core is not borrowed, so a method may call back into the peer. What a method throws is
//! reported to the page and goes no further.

use std::cell::RefCell;
use std::collections::VecDeque;

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use weft_peer_core::{
    Diagnosis, Event, LinkState, OwnPeer, PeerChange, PeerInfo, ResidenceError, SignalerState, StoreDone,
    StoreRow, StoreWork,
};
use weft_wire::DiscoveryKey;

use crate::convert;
use crate::link::message_of;

#[wasm_bindgen]
extern "C" {
    /// The receiver of events.
    pub type Sink;

    #[wasm_bindgen(method, catch)]
    fn data(
        this: &Sink,
        subscription: f64,
        data: &JsValue,
        author: &JsValue,
        id: &str,
        feed: &JsValue,
        seq: f64,
        time: f64,
        backlog: bool,
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn live(this: &Sink, subscription: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn published(this: &Sink, command: f64, id: &str, seq: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn members(this: &Sink, party: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn excluded(this: &Sink, party: &str, peer: &str, code: &str, reason: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn drained(this: &Sink) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn message(
        this: &Sink,
        data: &JsValue,
        from: &str,
        peer: &str,
        id: &str,
        time: f64,
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn progress(this: &Sink, command: f64, sent: f64, total: f64) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn incoming(
        this: &Sink,
        from: &str,
        peer: &str,
        id: &str,
        received: f64,
        total: f64,
    ) -> Result<(), JsValue>;
    /// Without a code: delivered; with `stored`: it waits for the recipient, and this is called again.
    #[wasm_bindgen(method, catch)]
    fn sent(this: &Sink, command: f64, id: &str, code: Option<&str>, reason: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn request(
        this: &Sink,
        data: &JsValue,
        from: &str,
        peer: &str,
        id: &str,
        time: f64,
    ) -> Result<(), JsValue>;
    /// Without a code: answered.
    #[wasm_bindgen(method, catch)]
    fn answered(
        this: &Sink,
        command: f64,
        data: &JsValue,
        code: Option<&str>,
        reason: &str,
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn signaler(this: &Sink, home: u32, info: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn ready(this: &Sink, party: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn peer(this: &Sink, party: &str, change: &str, info: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn link(this: &Sink, info: &JsValue) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn warning(this: &Sink, code: &str, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn fork(this: &Sink, party: &str, author: Option<&str>, feed: &str, seq: f64) -> Result<(), JsValue>;
    /// Without a reason: forgotten.
    #[wasm_bindgen(method, catch)]
    fn forgotten(this: &Sink, command: f64, reason: Option<&str>) -> Result<(), JsValue>;
    /// The peers of our own identity, unless there is a code.
    #[wasm_bindgen(method, catch)]
    fn listed(
        this: &Sink,
        command: f64,
        peers: Array,
        code: Option<&str>,
        reason: &str,
    ) -> Result<(), JsValue>;
    /// Without a code: the residence has it.
    #[wasm_bindgen(method, catch, js_name = peerRevoked)]
    fn peer_revoked(this: &Sink, command: f64, code: Option<&str>, reason: &str) -> Result<(), JsValue>;
    /// Our own identity has revoked this peer.
    #[wasm_bindgen(method, catch)]
    fn revoked(this: &Sink, issued: f64) -> Result<(), JsValue>;
    /// Work for the store; called while the core is borrowed, so that it must not call back before it returns. Gives what was
    /// read, if that is known at once: `[more, key, value, key, value, …]`.
    #[wasm_bindgen(method, catch)]
    fn store(
        this: &Sink,
        party: &str,
        what: &str,
        work: f64,
        put: Array,
        remove: Array,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn closed(this: &Sink) -> Result<(), JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(error: &JsValue);
}

/// Who was named last, as JavaScript strings: a stream of publications comes from few, and writing a key in base 58 and handing the
/// text over takes longer than matching a document.
#[derive(Default)]
pub(crate) struct Names(RefCell<VecDeque<([u8; 32], JsValue)>>);

/// Keys that are remembered.
const NAMES: usize = 16;

impl Names {
    fn of(&self, key: &[u8; 32], text: impl FnOnce() -> String) -> JsValue {
        let mut names = self.0.borrow_mut();
        if let Some((_, name)) = names.iter().find(|(other, _)| other == key) {
            return name.clone();
        }
        let name = JsValue::from(text());
        names.truncate(NAMES - 1);
        names.push_front((*key, name.clone()));
        name
    }
}

impl Sink {
    /// Tells one event.
    pub(crate) fn tell(&self, names: &Names, event: Event) {
        if let Err(thrown) = self.call(names, event) {
            console_error(&thrown);
        }
    }

    /// Hands work to the store. Gives the answer if there is one at once.
    pub(crate) fn give(&self, work: StoreWork) -> Option<StoreDone> {
        let list = |bytes: &mut dyn Iterator<Item = &[u8]>| {
            bytes.map(Uint8Array::from).map(JsValue::from).collect::<Array>()
        };
        match work {
            StoreWork::Load { discovery, after } => {
                let party = discovery.to_string();
                let found =
                    self.store(&party, "load", 0.0, list(&mut after.as_deref().into_iter()), Array::new());
                let found = found.inspect_err(console_error).ok()?;
                found.is_array().then(|| loaded(discovery, &found.unchecked_into(), None))
            }
            StoreWork::Write { discovery, work, put, remove } => {
                let put = list(&mut put.iter().flat_map(|row| [&*row.key, &*row.value]));
                let remove = list(&mut remove.iter().map(|key| &**key));
                self.write((discovery, work), "write", put, remove)
            }
            StoreWork::Forget { discovery, work } => {
                self.write((discovery, work), "forget", Array::new(), Array::new())
            }
        }
    }

    fn write(
        &self,
        (discovery, work): (DiscoveryKey, u64),
        what: &str,
        put: Array,
        remove: Array,
    ) -> Option<StoreDone> {
        let thrown = self.store(&discovery.to_string(), what, count(work), put, remove).err()?;
        Some(StoreDone::Written { discovery, work, outcome: Err(message_of(&thrown)) })
    }

    fn call(&self, names: &Names, event: Event) -> Result<(), JsValue> {
        match event {
            Event::Data { subscription, publication, backlog } => self.data(
                count(subscription.0),
                &convert::to_js(publication.document.view()),
                &names.of(&publication.author.0, || publication.author.to_string()),
                &publication.id.to_string(),
                &names.of(&publication.feed.0, || publication.feed.to_string()),
                count(publication.seq),
                count(publication.time),
                backlog,
            ),
            Event::Live { subscription } => self.live(count(subscription.0)),
            Event::Published { command, id, seq } => {
                self.published(count(command.0), &id.to_string(), count(seq))
            }
            Event::Drained => self.drained(),
            Event::Message { from, peer, id, time, document, hops: _ } => self.message(
                &convert::to_js(document.view()),
                &from.to_string(),
                &peer.to_string(),
                &id.to_string(),
                count(time),
            ),
            Event::Progress { command, id: _, sent, total } => {
                self.progress(count(command.0), count(sent as u64), count(total as u64))
            }
            Event::Incoming { from, peer, id, answers: _, received, total } => self.incoming(
                &from.to_string(),
                &peer.to_string(),
                &id.to_string(),
                count(received as u64),
                count(total as u64),
            ),
            Event::Stored { command, id } => self.sent(count(command.0), &id.to_string(), Some("stored"), ""),
            Event::Sent { command, id, outcome } => {
                let reason = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
                let code = outcome.err().map(|error| error.code());
                self.sent(count(command.0), &id.to_string(), code, &reason)
            }
            Event::Request { from, peer, id, time, document } => self.request(
                &convert::to_js(document.view()),
                &from.to_string(),
                &peer.to_string(),
                &id.to_string(),
                count(time),
            ),
            Event::Answered { command, id: _, outcome } => match outcome {
                Ok(document) => self.answered(count(command.0), &convert::to_js(document.view()), None, ""),
                Err(error) => {
                    let (code, nothing) = (Some(error.code()), JsValue::UNDEFINED);
                    self.answered(count(command.0), &nothing, code, &error.to_string())
                }
            },
            Event::Signaler { home, url, told, state } => {
                self.signaler(home.0, &signaler_info(&url, told, state))
            }
            Event::Ready { discovery } => self.ready(&discovery.to_string()),
            Event::Peer { discovery, change, peer } => {
                let change = match change {
                    PeerChange::Joined => "joined",
                    PeerChange::Changed => "changed",
                    PeerChange::Left => "left",
                };
                self.peer(&discovery.to_string(), change, &peer_info(&peer))
            }
            Event::Link { peer, state } => self.link(&link_info(&peer.to_string(), state)),
            Event::Members { discovery, .. } => self.members(&discovery.to_string()),
            Event::NoMember { discovery, peer, reason } => {
                let (party, peer) = (discovery.to_string(), peer.to_string());
                self.excluded(&party, &peer, reason.code(), reason.text())
            }
            Event::Fork { discovery, author, feed, seq } => {
                let author = author.map(|author| author.to_string());
                self.fork(&discovery.to_string(), author.as_deref(), &feed.to_string(), count(seq))
            }
            Event::Forgotten { command, outcome } => {
                self.forgotten(count(command.0), outcome.err().as_deref())
            }
            Event::OwnPeers { command, outcome } => match outcome {
                Ok(peers) => {
                    let peers = peers.iter().map(own_peer).collect();
                    self.listed(count(command.0), peers, None, "")
                }
                Err(error) => {
                    self.listed(count(command.0), Array::new(), Some(error.code()), &error.to_string())
                }
            },
            Event::PeerRevoked { command, peer: _, outcome } => {
                let reason = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
                let code = outcome.as_ref().err().map(ResidenceError::code);
                self.peer_revoked(count(command.0), code, &reason)
            }
            Event::Revoked { issued } => self.revoked(count(issued)),
            Event::Warning { code, text } => self.warning(code, &text),
            Event::Closed => self.closed(),
            // Of a later core; nothing that this page could know how to show.
            _ => Ok(()),
        }
    }
}

/// `PeerInfo` of types.ts.
pub(crate) fn peer_info(info: &PeerInfo) -> JsValue {
    let texts = |ids: &mut dyn Iterator<Item = String>| -> JsValue {
        ids.map(JsValue::from).collect::<Array>().into()
    };
    convert::record(&[
        ("peer", info.peer.to_string().into()),
        ("identity", info.identity.map_or(JsValue::UNDEFINED, |id| id.to_string().into())),
        ("name", info.name.as_str().into()),
        ("since", info.since.map_or(JsValue::UNDEFINED, |since| count(since).into())),
        ("linked", info.linked.into()),
        ("links", texts(&mut info.links.iter().map(ToString::to_string))),
        ("homes", texts(&mut info.homes.iter().map(ToString::to_string))),
        ("forwarded", count(info.forwarded).into()),
        ("state", info.state.as_ref().map_or(JsValue::UNDEFINED, |state| convert::to_js(state.view()))),
    ])
}

/// `OwnPeer` of types.ts.
fn own_peer(one: &OwnPeer) -> JsValue {
    convert::record(&[
        ("peer", one.peer.to_string().into()),
        ("name", one.name.as_str().into()),
        ("issued", count(one.issued).into()),
        ("this", one.this.into()),
        ("connected", one.connected.into()),
    ])
}

/// What was read, as [`Sink::store`] gives it.
pub(crate) fn loaded(discovery: DiscoveryKey, found: &Array, failed: Option<String>) -> StoreDone {
    let more = found.get(0).is_truthy();
    StoreDone::Loaded { discovery, rows: failed.map_or_else(|| Ok(rows(found, 1)), Err), more }
}

/// Keys, each followed by its value, from somewhere on.
pub(crate) fn rows(found: &Array, from: u32) -> Vec<StoreRow> {
    let bytes = |at| Uint8Array::new(&found.get(at)).to_vec();
    let keys = (from..found.length()).step_by(2);
    keys.map(|at| StoreRow { key: bytes(at), value: bytes(at + 1) }).collect()
}

/// A number that JavaScript holds exactly: counters, sequence numbers and milliseconds stay below 2^53.
pub(crate) fn count(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 unless forged, and then only shown")]
    let float = count as f64;
    float
}

/// `SignalerInfo` of types.ts.
fn signaler_info(url: &str, told: bool, state: SignalerState) -> JsValue {
    let undefined = JsValue::UNDEFINED;
    let (state, signaler, reason, code) = match state {
        SignalerState::Connecting => ("connecting", undefined.clone(), undefined.clone(), undefined),
        SignalerState::Connected { signaler } => {
            ("connected", signaler.to_string().into(), undefined.clone(), undefined)
        }
        SignalerState::Lost { reason, code } => {
            ("lost", undefined.clone(), reason.into(), code.map_or(undefined, |code| code.name().into()))
        }
    };
    convert::record(&[
        ("url", url.into()),
        ("told", if told { true.into() } else { JsValue::UNDEFINED }),
        ("state", state.into()),
        ("signaler", signaler),
        ("reason", reason),
        ("code", code),
    ])
}

/// `LinkEvent` of types.ts.
fn link_info(peer: &str, state: LinkState) -> JsValue {
    let undefined = JsValue::UNDEFINED;
    let (state, reason, forwarded) = match state {
        LinkState::Connecting => ("connecting", undefined.clone(), undefined),
        LinkState::Open { forwarded } => ("open", undefined, forwarded.into()),
        LinkState::Interrupted => ("interrupted", undefined.clone(), undefined),
        LinkState::Closed { reason } => ("closed", reason.into(), undefined),
    };
    convert::record(&[
        ("peer", peer.into()),
        ("state", state.into()),
        ("reason", reason),
        ("forwarded", forwarded),
    ])
}

/// `PeerDiagnosis` of types.ts.
pub(crate) fn diagnosis(one: &Diagnosis) -> JsValue {
    convert::record(&[
        ("peer", one.peer.to_string().into()),
        ("path", one.path.name().into()),
        ("links", one.path.links().map_or(JsValue::UNDEFINED, JsValue::from)),
        ("cause", one.cause.code().into()),
        ("text", one.text.as_str().into()),
        ("advice", one.advice.into()),
    ])
}
