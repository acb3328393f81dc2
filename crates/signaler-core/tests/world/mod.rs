//! Signalers wired in memory, with clients that speak frames, on a clock moved by hand.

#![allow(dead_code, clippy::unused_self, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use weft_crypto::challenge::{answer_as_peer, check_signaler};
use weft_crypto::statement::{open_card, open_entry, sign_entry};
use weft_crypto::{PeerKey, Seed, SignalerKey};
use weft_signaler_core::{
    Config, ConnId, Event, Input, MailChange, MailItem, Origin, Output, SiblingConfig, Signaler,
};
use weft_wire::sibling::Sibling;
use weft_wire::signaler::{FromSignaler, Recorded, ToSignaler};
use weft_wire::{
    Code, Digest, DiscoveryKey, Entry, IdentityId, Nonce, PeerId, SignalerId, Text, Time, decode, encode,
    limits,
};

/// What a client got, without borrowed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Welcome,
    Members(DiscoveryKey, Vec<PeerId>, u32),
    Joined(PeerId, SignalerId),
    Left(DiscoveryKey, PeerId),
    Deliver(Vec<u8>),
    Fanned(Vec<u8>),
    Ack(u32),
    Published(u32, u32),
    /// Records, and the prekeys that came with each.
    Peers(u32, Vec<(Vec<u8>, Vec<Vec<u8>>)>),
    Prove(u32, SignalerId, Nonce),
    Mail(u32, Vec<(u64, Vec<u8>)>, bool),
    MailWaits(IdentityId),
    Pong(u32),
    Error(Code, Option<u32>),
    /// ICE servers, with when they expire in seconds.
    IceServers(Vec<String>, u64),
    Goodbye(Code),
    Closed(Code),
}

pub(crate) struct Client {
    pub(crate) key: PeerKey,
    pub(crate) server: usize,
    pub(crate) conn: ConnId,
    pub(crate) got: Vec<Got>,
    pub(crate) open: bool,
    pub(crate) seq: u64,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) signalers: Vec<Option<Signaler>>,
    pub(crate) urls: Vec<String>,
    pub(crate) clients: Vec<Client>,
    pub(crate) events: Vec<(usize, Event)>,
    pub(crate) pins: Vec<(usize, String, SignalerId)>,
    /// What signalers were told to store: by signaler, whose.
    pub(crate) cards: BTreeMap<(usize, SignalerId), Vec<u8>>,
    /// By client: the signalers that it was told of last, and where.
    pub(crate) told: BTreeMap<usize, BTreeMap<SignalerId, Option<String>>>,
    pub(crate) pings: usize,
    /// Frames between signalers: by sender, receiver.
    pub(crate) sibling_frames: BTreeMap<(usize, usize), usize>,
    /// Frames between signalers, by what they are.
    pub(crate) kinds: BTreeMap<u8, usize>,
    /// Their bytes, likewise.
    pub(crate) sizes: BTreeMap<u8, usize>,
    /// Signalers of the version before: nobody sees a card of theirs, and they see nobody's.
    pub(crate) old: BTreeSet<usize>,
    /// How often signalers were woken because something was due.
    pub(crate) ticks: usize,
    /// Links that lose everything: pairs of signalers, either order.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// What is on each signaler's disk of mail.
    pub(crate) disks: BTreeMap<usize, BTreeMap<(IdentityId, PeerId, Digest), MailItem>>,
    /// Frames about mail between signalers: by sender.
    pub(crate) seen: Vec<(usize, Vec<u8>)>,
    /// Signalers whose disks take nothing more.
    pub(crate) disks_full: BTreeSet<usize>,
    /// How many changes of mail each was told to write.
    pub(crate) written: BTreeMap<usize, usize>,
    muted: BTreeSet<(usize, ConnId)>,
    peers: BTreeMap<(usize, ConnId), usize>,
    links: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    inputs: VecDeque<(usize, Owned)>,
    nonces: BTreeMap<usize, Nonce>,
    next: u64,
}

enum Owned {
    Connected(ConnId, Origin),
    Frame(ConnId, Vec<u8>),
    Closed(ConnId),
    DialFailed(weft_signaler_core::DialId),
    /// Reaches the disk first.
    Write(u64, Vec<MailChange>),
}

pub(crate) fn seed(byte: u8) -> Seed {
    Seed::new([byte; 32])
}

pub(crate) fn signaler_key(at: usize) -> SignalerKey {
    SignalerKey::new(&seed(200 + u8::try_from(at).unwrap()))
}

pub(crate) fn swarm(byte: u8) -> DiscoveryKey {
    DiscoveryKey([byte; 32])
}

/// A frame as a signaler without cards sends it, or takes it.
fn of_the_version_before(frame: &[u8]) -> Vec<u8> {
    match decode::<Sibling<'_>>(frame, limits::FRAME).expect("signalers send valid frames") {
        Sibling::Admitted { url, .. } => encode(&Sibling::Admitted { url, card: None }),
        Sibling::Entries { entries, .. } => encode(&Sibling::Entries { entries, ring: None }),
        Sibling::Gone { gone, .. } => encode(&Sibling::Gone { gone, ring: None }),
        _ => {
            assert!(frame[1] < 13 || frame[1] > 19, "frame {} is none of the version before", frame[1]);
            frame.to_vec()
        }
    }
}

/// Open, at `ws://AT`, calling those of `call`.
pub(crate) fn star_config(at: usize, call: &[usize]) -> Config {
    let siblings = call
        .iter()
        .map(|other| SiblingConfig { id: None, url: Some(format!("ws://{other}")), pinned: None })
        .collect();
    Config { open: true, public_url: Some(format!("ws://{at}")), siblings, ..Config::default() }
}

/// `count` of them; all but the first know its address and nothing else.
pub(crate) fn star(count: usize) -> World {
    World::of((0..count).map(|at| star_config(at, if at == 0 { &[] } else { &[0] })).collect())
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    /// `count` signalers that are linked as `links` says (the first of a pair dials), by key.
    pub(crate) fn linked(count: usize, links: &[(usize, usize)]) -> Self {
        Self::with(count, links, |config| config)
    }

    pub(crate) fn with(count: usize, links: &[(usize, usize)], change: impl Fn(Config) -> Config) -> Self {
        let siblings = |at: usize| {
            let dials = links.iter().filter(|(from, _)| *from == at).map(|(_, to)| (*to, true));
            let called = links.iter().filter(|(_, to)| *to == at).map(|(from, _)| (*from, false));
            dials
                .chain(called)
                .map(|(other, dial)| SiblingConfig {
                    id: Some(signaler_key(other).id()),
                    url: dial.then(|| format!("ws://{other}")),
                    pinned: None,
                })
                .collect::<Vec<_>>()
        };
        let configs =
            (0..count).map(|at| change(Config { siblings: siblings(at), ..Config::default() })).collect();
        Self::of(configs)
    }

    pub(crate) fn of(configs: Vec<Config>) -> Self {
        Self::of_some_old(configs, &[])
    }

    pub(crate) fn of_some_old(configs: Vec<Config>, old: &[usize]) -> Self {
        let now = Time::from_millis(1_700_000_000_000);
        let count = configs.len();
        let mut world = Self {
            now,
            signalers: Vec::new(),
            urls: (0..count).map(|at| format!("ws://{at}")).collect(),
            clients: Vec::new(),
            events: Vec::new(),
            pins: Vec::new(),
            cards: BTreeMap::new(),
            told: BTreeMap::new(),
            pings: 0,
            sibling_frames: BTreeMap::new(),
            kinds: BTreeMap::new(),
            sizes: BTreeMap::new(),
            old: BTreeSet::new(),
            ticks: 0,
            cut: BTreeSet::new(),
            disks: BTreeMap::new(),
            seen: Vec::new(),
            disks_full: BTreeSet::new(),
            written: BTreeMap::new(),
            muted: BTreeSet::new(),
            peers: BTreeMap::new(),
            links: BTreeMap::new(),
            inputs: VecDeque::new(),
            nonces: BTreeMap::new(),
            next: 0,
        };
        world.old.extend(old);
        for (at, config) in configs.into_iter().enumerate() {
            world.signalers.push(Some(world.make(at, config)));
        }
        world.settle();
        world
    }

    fn make(&self, at: usize, config: Config) -> Signaler {
        let salt = u8::try_from(self.next % 251).unwrap();
        Signaler::new(config, signaler_key(at), [u8::try_from(at).unwrap() ^ salt; 32], self.now)
    }

    pub(crate) fn id(&self, at: usize) -> SignalerId {
        signaler_key(at).id()
    }

    pub(crate) fn signaler(&self, at: usize) -> &Signaler {
        self.signalers[at].as_ref().expect("it runs")
    }

    /// Carries everything out that is due now.
    pub(crate) fn settle(&mut self) {
        assert!(self.settle_some(1_000_000), "the world does not come to rest");
    }

    /// Carries out so many steps of what is due now. Returns whether that was all.
    pub(crate) fn settle_some(&mut self, steps: usize) -> bool {
        for _ in 0..steps {
            let mut worked = false;
            for at in 0..self.signalers.len() {
                let due = self.signalers[at].as_ref().and_then(Signaler::deadline);
                if due.is_some_and(|due| due <= self.now) {
                    let now = self.now;
                    self.signalers[at].as_mut().unwrap().handle(now, Input::Tick);
                    self.ticks += 1;
                    worked = true;
                }
                worked |= self.carry_out(at);
            }
            if let Some((at, input)) = self.inputs.pop_front() {
                worked = true;
                self.feed(at, input);
                self.carry_out(at);
            }
            if !worked {
                return true;
            }
        }
        false
    }

    fn feed(&mut self, at: usize, input: Owned) {
        let now = self.now;
        let Some(signaler) = self.signalers[at].as_mut() else { return };
        match input {
            Owned::Connected(conn, origin) => signaler.handle(now, Input::Connected { conn, origin }),
            Owned::Frame(conn, bytes) => signaler.handle(now, Input::Frame { conn, bytes: &bytes }),
            Owned::Closed(conn) => signaler.handle(now, Input::Closed { conn }),
            Owned::DialFailed(dial) => signaler.handle(now, Input::DialFailed { dial }),
            Owned::Write(number, changes) => {
                let durable = !self.disks_full.contains(&at);
                let disk = self.disks.entry(at).or_default();
                for change in changes.into_iter().filter(|_| durable) {
                    match change {
                        MailChange::Put { identity, peer, id, item } => {
                            disk.insert((identity, peer, id), item);
                        }
                        MailChange::Drop { identity, peer, id } => _ = disk.remove(&(identity, peer, id)),
                    }
                }
                signaler.handle(now, Input::MailKept { number, durable });
            }
        }
    }

    fn carry_out(&mut self, at: usize) -> bool {
        let mut worked = false;
        while let Some(output) = self.signalers[at].as_mut().and_then(Signaler::poll) {
            worked = true;
            match output {
                Output::Send { conn, frame } => {
                    if let Some((other, theirs)) = self.links.get(&(at, conn)).copied() {
                        if !self.is_cut(at, other) {
                            *self.sibling_frames.entry((at, other)).or_default() += 1;
                            // An array of the frame's number and its fields.
                            *self.kinds.entry(frame[1]).or_default() += 1;
                            *self.sizes.entry(frame[1]).or_default() += frame.len();
                            // Numbers from 24 on have a byte of their own.
                            if frame[1] == 24 {
                                self.seen.push((at, frame.to_vec()));
                            }
                            let is_old = self.old.contains(&at) || self.old.contains(&other);
                            let frame = if is_old { of_the_version_before(&frame) } else { frame.to_vec() };
                            self.inputs.push_back((other, Owned::Frame(theirs, frame)));
                        }
                    } else if let Some(client) = self.peers.get(&(at, conn)).copied() {
                        self.on_client_frame(client, &frame);
                    }
                }
                Output::Close { conn, code } => {
                    if let Some((other, theirs)) = self.links.remove(&(at, conn)) {
                        self.links.remove(&(other, theirs));
                        if !self.is_cut(at, other) {
                            self.inputs.push_back((other, Owned::Closed(theirs)));
                        }
                    } else if let Some(client) = self.peers.remove(&(at, conn)) {
                        self.clients[client].open = false;
                        self.clients[client].got.push(Got::Closed(code));
                    }
                }
                Output::Dial { dial, url } => {
                    let other = self.urls.iter().position(|known| *known == url);
                    match other.filter(|other| self.signalers[*other].is_some() && !self.is_cut(at, *other)) {
                        Some(other) => {
                            let (ours, theirs) = (self.conn(), self.conn());
                            self.links.insert((at, ours), (other, theirs));
                            self.links.insert((other, theirs), (at, ours));
                            self.inputs.push_back((at, Owned::Connected(ours, Origin::Dialled(dial))));
                            self.inputs.push_back((other, Owned::Connected(theirs, Origin::Sibling)));
                        }
                        None => self.inputs.push_back((at, Owned::DialFailed(dial))),
                    }
                }
                Output::Ping { conn } => {
                    self.pings += 1;
                    let alive =
                        self.links.get(&(at, conn)).is_some_and(|(other, _)| !self.is_cut(at, *other))
                            || (self.peers.contains_key(&(at, conn)) && !self.muted.contains(&(at, conn)));
                    if alive {
                        let now = self.now;
                        self.signalers[at].as_mut().unwrap().handle(now, Input::Heard { conn });
                    }
                }
                Output::KeepMail { number, changes } => {
                    *self.written.entry(at).or_default() += changes.len();
                    self.inputs.push_back((at, Owned::Write(number, changes)));
                }
                Output::PinSibling { url, id } => self.pins.push((at, url, id)),
                Output::Record(_) | Output::Registrant(_) | Output::Raise { .. } => {}
                Output::KeepCard { id, card: Some(card) } => {
                    self.cards.insert((at, id), card.to_vec());
                }
                Output::KeepCard { id, card: None } => {
                    self.cards.remove(&(at, id));
                }
                Output::Event(event) => self.events.push((at, event)),
            }
        }
        worked
    }

    fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a, b)) || self.cut.contains(&(b, a))
    }

    fn conn(&mut self) -> ConnId {
        self.next += 1;
        ConnId(self.next)
    }

    /// Lets time pass, stopping at every deadline.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.signalers.iter().flatten().filter_map(Signaler::deadline).min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now = next.max(self.now),
                None => break,
            }
        }
        self.now = end;
        self.settle();
    }

    /// A killed process: its sockets close, it says nothing.
    pub(crate) fn kill(&mut self, at: usize) {
        self.signalers[at] = None;
        // What was on its way to it, and to its disk, is lost.
        self.inputs.retain(|(to, _)| *to != at);
        let links: Vec<_> =
            self.links.iter().filter(|((from, _), _)| *from == at).map(|(a, b)| (*a, *b)).collect();
        for (ours, theirs) in links {
            self.links.remove(&ours);
            self.links.remove(&theirs);
            self.inputs.push_back((theirs.0, Owned::Closed(theirs.1)));
        }
        let clients: Vec<_> =
            self.peers.iter().filter(|((from, _), _)| *from == at).map(|(a, b)| (*a, *b)).collect();
        for (key, client) in clients {
            self.peers.remove(&key);
            self.clients[client].open = false;
        }
        self.settle();
    }

    pub(crate) fn restart(&mut self, at: usize, config: Config) {
        self.next += 7;
        let mut signaler = self.make(at, config);
        let stored = self.disks.entry(at).or_default().clone();
        let stored = stored.into_iter().map(|((identity, peer, id), item)| MailChange::Put {
            identity,
            peer,
            id,
            item,
        });
        signaler.restore_mail(self.now, stored);
        self.signalers[at] = Some(signaler);
        self.settle();
    }

    pub(crate) fn shutdown(&mut self, at: usize) {
        let now = self.now;
        self.signalers[at].as_mut().unwrap().handle(now, Input::Shutdown);
        self.settle();
        self.kill(at);
    }

    /// A client of `server`, connected and authenticated.
    pub(crate) fn client(&mut self, server: usize, key: u8) -> usize {
        let client = self.stranger(server, key);
        self.authenticate(client);
        assert!(self.clients[client].got.contains(&Got::Welcome), "{:?}", self.clients[client].got);
        self.clients[client].got.clear();
        client
    }

    /// A client that has not answered the challenge yet.
    pub(crate) fn stranger(&mut self, server: usize, key: u8) -> usize {
        let conn = self.conn();
        let seq = self.now.millis();
        self.clients.push(Client {
            key: PeerKey::new(&seed(key)),
            server,
            conn,
            got: Vec::new(),
            open: true,
            seq,
        });
        let client = self.clients.len() - 1;
        self.peers.insert((server, conn), client);
        self.inputs.push_back((server, Owned::Connected(conn, Origin::Peer)));
        self.settle();
        client
    }

    pub(crate) fn authenticate(&mut self, client: usize) {
        let ours = Nonce([9; 32]);
        let at = &self.clients[client];
        let theirs = self.nonces[&client];
        let signature = answer_as_peer(&at.key, signaler_key(at.server).id(), &theirs, &ours);
        let frame =
            ToSignaler::Authenticate { peer: at.key.id(), nonce: ours, signature, agent: Text::cut("test") };
        self.send(client, &frame);
    }

    fn on_client_frame(&mut self, client: usize, frame: &[u8]) {
        let frame: FromSignaler<'_> = decode(frame, limits::FRAME).expect("signalers send valid frames");
        let peer_of = |bytes: &[u8]| open_entry(bytes).expect("entries are signed").peer;
        let at = &mut self.clients[client];
        let got = match frame {
            FromSignaler::Challenge { nonce, .. } => {
                self.nonces.insert(client, nonce);
                return;
            }
            FromSignaler::Welcome { signature, .. } => {
                let us = signaler_key(at.server).id();
                check_signaler(us, at.key.id(), &self.nonces[&client], &Nonce([9; 32]), &signature)
                    .expect("the signaler proves itself");
                Got::Welcome
            }
            FromSignaler::Error { code, re, .. } => Got::Error(code, re),
            FromSignaler::Members { discovery, entries, total } => {
                Got::Members(discovery, entries.iter().map(|entry| peer_of(&entry.0)).collect(), total)
            }
            FromSignaler::Joined { entry } => Got::Joined(peer_of(entry), open_entry(entry).unwrap().home),
            FromSignaler::Left { discovery, peer } => Got::Left(discovery, peer),
            FromSignaler::Deliver { envelope } => Got::Deliver(envelope.to_vec()),
            FromSignaler::Fanned { payload, .. } => Got::Fanned(payload.to_vec()),
            FromSignaler::Ack { re } => Got::Ack(re),
            FromSignaler::Pong { token } => Got::Pong(token),
            FromSignaler::Published { re, left } => Got::Published(re, left),
            FromSignaler::Peers { re, peers } => {
                let prekeys = |one: &Recorded| one.prekeys.iter().map(|prekey| prekey.0.clone()).collect();
                Got::Peers(re, peers.iter().map(|one| (one.record.0.clone(), prekeys(one))).collect())
            }
            FromSignaler::Prove { re, signaler, nonce } => Got::Prove(re, signaler, nonce),
            FromSignaler::Mail { re, items, more } => {
                let items = items.into_iter().map(|item| (item.at, item.envelope.0)).collect();
                Got::Mail(re, items, more)
            }
            FromSignaler::MailWaits { identity } => Got::MailWaits(identity),
            FromSignaler::IceServers { urls, username, life_s, .. } => {
                let until = username.strip_suffix(":weft").and_then(|until| until.parse().ok()).unwrap_or(0);
                assert_eq!(until, self.now.millis() / 1000 + u64::from(life_s));
                Got::IceServers(urls.into_iter().map(weft_wire::Text::into_string).collect(), until)
            }
            FromSignaler::Goodbye { code, .. } => Got::Goodbye(code),
            FromSignaler::Signalers { cards } => {
                let cards = cards.iter().map(|card| open_card(&card.0).expect("cards are signed"));
                let told = cards.map(|card| (card.signaler, card.url.map(Text::into_string))).collect();
                self.told.insert(client, told);
                return;
            }
        };
        at.got.push(got);
    }

    pub(crate) fn raw(&mut self, client: usize, bytes: Vec<u8>) {
        let (server, conn) = (self.clients[client].server, self.clients[client].conn);
        self.inputs.push_back((server, Owned::Frame(conn, bytes)));
        self.settle();
    }

    /// As `send`, but nothing is carried out yet.
    pub(crate) fn queue(&mut self, client: usize, frame: &ToSignaler<'_>) {
        let (server, conn) = (self.clients[client].server, self.clients[client].conn);
        self.inputs.push_back((server, Owned::Frame(conn, encode(frame))));
    }

    /// The queue between two signalers is full, at the first one's end, or short again.
    pub(crate) fn full(&mut self, from: usize, to: usize, is_full: bool) {
        let mut links = self.links.iter().filter(|((at, _), (other, _))| *at == from && *other == to);
        let conn = links.next().expect("they are linked").0.1;
        let input = if is_full { Input::Full { conn } } else { Input::Drained { conn } };
        let now = self.now;
        self.signalers[from].as_mut().unwrap().handle(now, input);
        self.settle();
    }

    /// Bytes that reach a signaler over its link with another.
    pub(crate) fn between(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let mut links = self.links.iter().filter(|((at, _), (other, _))| *at == from && *other == to);
        let conn = links.next().expect("they are linked").1.1;
        self.inputs.push_back((to, Owned::Frame(conn, bytes)));
        self.settle();
    }

    pub(crate) fn send(&mut self, client: usize, frame: &ToSignaler<'_>) {
        self.raw(client, encode(frame));
    }

    pub(crate) fn entry(&mut self, client: usize, discovery: DiscoveryKey, left: bool) -> Entry {
        let until = self.now.millis() + 120_000;
        let since = self.now.millis();
        let at = &mut self.clients[client];
        at.seq += 1;
        Entry {
            discovery,
            peer: at.key.id(),
            home: signaler_key(at.server).id(),
            agreement: at.key.agreement(),
            seq: at.seq,
            since,
            until,
            left,
        }
    }

    /// An entry that differs from an earlier one as a refresh does.
    pub(crate) fn refresh(&mut self, client: usize, entry: &Entry) -> Entry {
        let later = self.entry(client, entry.discovery, false);
        let entry = Entry { since: entry.since, ..later };
        let signed = sign_entry(&self.clients[client].key, &entry);
        self.send(client, &ToSignaler::Announce { entry: &signed });
        entry
    }

    pub(crate) fn announce(&mut self, client: usize, discovery: DiscoveryKey) {
        let entry = self.entry(client, discovery, false);
        let signed = sign_entry(&self.clients[client].key, &entry);
        self.send(client, &ToSignaler::Announce { entry: &signed });
    }

    pub(crate) fn leave(&mut self, client: usize, discovery: DiscoveryKey) {
        let entry = self.entry(client, discovery, true);
        let signed = sign_entry(&self.clients[client].key, &entry);
        self.send(client, &ToSignaler::Leave { entry: &signed });
    }

    /// From now on the client answers no pings.
    pub(crate) fn mute(&mut self, server: usize, conn: ConnId) {
        self.muted.insert((server, conn));
    }

    /// Adds a second signaler that dials the first, which is restarted to know it; clients of the first come back.
    pub(crate) fn restart_with_sibling(&mut self) {
        let named = |at: usize, dial: bool| SiblingConfig {
            id: Some(signaler_key(at).id()),
            url: dial.then(|| format!("ws://{at}")),
            pinned: None,
        };
        self.urls.push("ws://1".into());
        self.kill(0);
        self.restart(0, Config { siblings: vec![named(1, false)], ..Config::default() });
        for client in 0..self.clients.len() {
            let conn = self.conn();
            self.clients[client].conn = conn;
            self.clients[client].open = true;
            self.peers.insert((0, conn), client);
            self.inputs.push_back((0, Owned::Connected(conn, Origin::Peer)));
            self.settle();
            self.authenticate(client);
            self.announce(client, swarm(1));
        }
        let second = self.make(1, Config { siblings: vec![named(0, true)], ..Config::default() });
        self.signalers.push(Some(second));
        self.settle();
    }

    /// Bytes that reach a signaler over its first link.
    pub(crate) fn raw_sibling(&mut self, at: usize, bytes: Vec<u8>) {
        let conn = self.links.keys().find(|(server, _)| *server == at).map(|(_, conn)| *conn);
        if let Some(conn) = conn {
            self.inputs.push_back((at, Owned::Frame(conn, bytes)));
            self.settle();
        }
    }

    /// The client's socket is lost.
    pub(crate) fn drop_client(&mut self, client: usize) {
        let (server, conn) = (self.clients[client].server, self.clients[client].conn);
        self.clients[client].open = false;
        self.peers.remove(&(server, conn));
        self.inputs.push_back((server, Owned::Closed(conn)));
        self.settle();
    }

    pub(crate) fn forward(
        &mut self,
        client: usize,
        re: u32,
        to: PeerId,
        home: Option<SignalerId>,
        envelope: &[u8],
    ) {
        self.send(client, &ToSignaler::Forward { re, to, home, envelope, ack: true });
    }

    pub(crate) fn peer(&self, client: usize) -> PeerId {
        self.clients[client].key.id()
    }

    /// What a client got since the last time.
    pub(crate) fn take(&mut self, client: usize) -> Vec<Got> {
        std::mem::take(&mut self.clients[client].got)
    }

    /// Who is in a swarm, as a fresh member at `server` is told.
    pub(crate) fn members(&mut self, server: usize, discovery: DiscoveryKey, key: u8) -> BTreeSet<PeerId> {
        let asker = self.client(server, key);
        self.announce(asker, discovery);
        let members = self.take(asker).into_iter().find_map(|got| match got {
            Got::Members(_, members, _) => Some(members.into_iter().collect()),
            _ => None,
        });
        self.leave(asker, discovery);
        self.drop_client(asker);
        members.expect("an announce is answered")
    }
}
