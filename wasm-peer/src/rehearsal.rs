//! A party of two in memory, gone through once before the first real one.
//!
//! A browser compiles each function of a module when it is first called. On the way from `join` to the first document that
//! happens some hundred times, between frames for which the other side waits (docs/adr/0015). So the page goes the
//! same way beforehand, while it waits for its signaler: two cores with keys of their own join, link, and one gets what the
//! other publishes. Nothing of it leaves this file.
//!
//! Inputs: steps, each as short as handling one frame. Outputs: none. Invariants: it ends after [`STEPS`] at the latest, and
//! whatever goes wrong ends it silently: it is for speed only.

use std::collections::VecDeque;

use wasm_bindgen::prelude::*;
use weft_crypto::{IdentityKey, Party, PeerKey, Seed, SignalerKey, challenge};
use weft_peer_core::{
    Backlog, Command, Config, Event, HomeIndex, IceState, Input, Keys, LinkId, Output, Peer,
};
use weft_query::{Document, Filter};
use weft_wire::sealed::Candidate;
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{List, Nonce, Text, Time, decode, encode, limits};

use crate::failure::Failure;

/// More than it takes.
const STEPS: u32 = 200;
const HOME: HomeIndex = HomeIndex(0);
const NONCE: Nonce = Nonce([0; 32]);
const SDP: &str = "a=fingerprint:sha-256 00:11:22:33:44:55:66:77";

/// Two peers, and what is on its way between them.
#[wasm_bindgen]
pub struct Rehearsal {
    peers: [Peer; 2],
    links: [Option<LinkId>; 2],
    entries: [Vec<u8>; 2],
    signaler: SignalerKey,
    coming: VecDeque<(usize, Coming)>,
    now: Time,
    left: u32,
}

enum Coming {
    Opened,
    Frame(Vec<u8>),
    Described,
    Connected,
    Message(Vec<u8>),
    Drained,
}

#[wasm_bindgen]
impl Rehearsal {
    /// Not begun yet.
    ///
    /// # Errors
    /// `internal` without a source of randomness.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Result<Rehearsal, JsValue> {
        let (mut signaler, mut seeds) = ([0; 32], [[[0; 32]; 3]; 2]);
        getrandom::fill(&mut signaler)
            .and_then(|()| getrandom::fill(seeds.as_flattened_mut().as_flattened_mut()))
            .map_err(|_| Failure::new("internal", "the browser gave no random bytes"))?;
        let now = Time::from_millis(1_000_000);
        let peers = seeds.map(|[identity, peer, seed]| {
            let keys = Keys {
                identity: IdentityKey::new(&Seed::new(identity)),
                peer: PeerKey::new(&Seed::new(peer)),
            };
            Peer::new(Config { signalers: vec![String::new()], ..Config::default() }, keys, seed, now)
        });
        let mut rehearsal = Self {
            peers,
            links: [None; 2],
            entries: [Vec::new(), Vec::new()],
            signaler: SignalerKey::new(&Seed::new(signaler)),
            coming: VecDeque::new(),
            now,
            left: STEPS,
        };
        let party = Party::open("rehearsal");
        let discovery = party.discovery();
        for at in 0..2 {
            rehearsal.command(at, Command::Join { party: party.clone() });
        }
        // An empty object, as a query and as a document.
        let empty = [0xa0];
        if let Ok(filter) = Filter::decode(&empty) {
            rehearsal.command(0, Command::Subscribe { discovery, filter, backlog: Some(Backlog::default()) });
        }
        if let Ok(document) = Document::decode(&empty) {
            rehearsal.command(1, Command::Publish { discovery, document });
        }
        Ok(rehearsal)
    }

    /// Goes one step; false when there is nothing more to do.
    pub fn step(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            return false;
        }
        let Some((at, coming)) = self.coming.pop_front() else {
            let due = self.peers.iter().filter_map(Peer::deadline).min();
            self.now = due.map_or(self.now, |due| due.max(self.now));
            return (0..2).all(|at| self.handle(at, Input::Timeout));
        };
        let link = self.links[at].unwrap_or(LinkId(0));
        match coming {
            Coming::Opened => {
                let challenge = FromSignaler::Challenge { signaler: self.signaler.id(), nonce: NONCE };
                self.say(at, &challenge);
                self.handle(at, Input::SignalerOpened { home: HOME })
            }
            Coming::Frame(bytes) => self.handle(at, Input::SignalerFrame { home: HOME, bytes: &bytes }),
            Coming::Described => {
                let candidate = Candidate { candidate: Text::cut("candidate:"), mid: None, index: Some(0) };
                self.handle(at, Input::LocalDescription { link, sdp: SDP.to_owned() })
                    && self.handle(at, Input::LocalCandidate { link, candidate })
            }
            Coming::Connected => {
                self.handle(at, Input::IceChanged { link, state: IceState::Connected })
                    && self.handle(at, Input::ChannelOpened { link })
            }
            Coming::Message(bytes) => self.handle(at, Input::ChannelMessage { link, bytes: &bytes }),
            Coming::Drained => self.handle(at, Input::ChannelDrained { link }),
        }
    }

    fn command(&mut self, at: usize, command: Command) {
        let _ = self.peers[at].command(self.now, command);
        self.carry_out(at);
    }

    fn handle(&mut self, at: usize, input: Input<'_>) -> bool {
        self.peers[at].handle(self.now, input);
        self.carry_out(at)
    }

    fn say(&mut self, to: usize, frame: &FromSignaler<'_>) {
        self.coming.push_back((to, Coming::Frame(encode(frame))));
    }

    /// False when the document has arrived.
    fn carry_out(&mut self, at: usize) -> bool {
        let other = 1 - at;
        while let Some(output) = self.peers[at].poll() {
            let coming = match output {
                Output::DialSignaler { .. } => (at, Coming::Opened),
                Output::SignalerFrame { bytes, .. } => {
                    self.on_signaler(at, &bytes);
                    continue;
                }
                Output::OpenLink { link, offer } => {
                    self.links[at] = Some(link);
                    if !offer {
                        continue;
                    }
                    (at, Coming::Described)
                }
                Output::AcceptOffer { .. } => (at, Coming::Described),
                Output::AcceptAnswer { .. } => {
                    self.coming.push_back((other, Coming::Connected));
                    (at, Coming::Connected)
                }
                Output::ChannelMessage { bytes, .. } => {
                    self.coming.push_back((at, Coming::Drained));
                    (other, Coming::Message(bytes))
                }
                Output::Event(Event::Data { .. }) => return false,
                _ => continue,
            };
            self.coming.push_back(coming);
        }
        true
    }

    /// What a signaler with two peers says.
    fn on_signaler(&mut self, at: usize, bytes: &[u8]) {
        let other = 1 - at;
        match decode::<ToSignaler<'_>>(bytes, limits::FRAME) {
            Ok(ToSignaler::Authenticate { peer, nonce, .. }) => {
                let signature = challenge::answer_as_signaler(&self.signaler, peer, &NONCE, &nonce);
                let (ttl_ms, keepalive_ms, max_frame, max_swarms) = (120_000, 20_000, 262_144, 64);
                let now_ms = self.now.millis();
                self.say(
                    at,
                    &FromSignaler::Welcome { signature, ttl_ms, keepalive_ms, max_frame, max_swarms, now_ms },
                );
            }
            Ok(ToSignaler::Announce { entry }) => {
                entry.clone_into(&mut self.entries[at]);
                let there = self.entries[other].clone();
                let entries = List::first((!there.is_empty()).then(|| weft_wire::Bytes(there.clone())));
                let discovery = Party::open("rehearsal").discovery();
                self.say(at, &FromSignaler::Members { discovery, total: 1, entries });
                if !there.is_empty() {
                    self.say(other, &FromSignaler::Joined { entry });
                }
            }
            Ok(ToSignaler::Forward { envelope, .. }) => self.say(other, &FromSignaler::Deliver { envelope }),
            Ok(ToSignaler::Fanout { discovery, payload, .. }) => {
                self.say(other, &FromSignaler::Fanned { discovery, payload });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_all_the_way_to_the_document() {
        let Ok(mut rehearsal) = Rehearsal::new() else { panic!("no randomness") };
        let mut steps = 1;
        while rehearsal.step() {
            steps += 1;
        }
        assert!(rehearsal.left > STEPS / 2, "{steps} steps, and no document");
    }
}
