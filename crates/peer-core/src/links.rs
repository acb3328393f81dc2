//! Authenticated links: hello, heartbeat, parties in common, fair sending within the channel's credit.
//!
//! Inputs: channels opened, messages, drained; frames to send; parties joined and left.
//! Outputs: chunks for the channels; [`LinkEvent`]s for the other machines.
//! Timers: hello outstanding, ping, dead.
//! Invariants: nothing of a peer is believed before its hello has been verified against the transcript; what a channel
//! has buffered stays within [`Config::channel_high`](crate::Config::channel_high); every queue is bounded, and a link
//! whose queue is full is closed rather than anything on it being lost silently.

use crate::sorted::{Map, Set};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use weft_crypto::link::{Transcript, check_link, sign_link};
use weft_crypto::{Members, Party, statement};
use weft_wire::chunk::{ChunkError, Outgoing, Reassembler};
use weft_wire::link::{ByeReason, Link as Frame, PartyProof};
use weft_wire::{DiscoveryKey, IdentityId, LINK_VERSION, List, PeerId, PeerRecord, Time, encode, limits};

use crate::api::{LinkId, Output};
use crate::env::Env;
use crate::kept::Kept;
use crate::negotiation::Carrier;
use crate::traffic::Traffic;

/// Frames that may wait on one link.
const QUEUE_FRAMES: usize = 65_536;
/// Feeds whose record is known to have crossed a link; beyond it records are sent again.
const RECORDS: usize = 4096;

/// Who has proved a private party's key has this long to show that it is a member, if there is nothing else in common.
const ASKS: Duration = Duration::from_secs(20);

/// A party that we are in.
#[derive(Clone, Copy)]
pub(crate) struct Ours<'a> {
    pub(crate) party: &'a Party,
    /// Of a private one, and whether we are one of them: nobody else has it in common with us.
    pub(crate) members: Option<(&'a Members, bool)>,
}

/// What links say, as far as it concerns other machines.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The other side has proved who it is.
    Open { peer: PeerId, parties: Vec<DiscoveryKey> },
    /// The other side joined or left parties that we are in.
    Parties { peer: PeerId, joined: Vec<DiscoveryKey>, left: Vec<DiscoveryKey> },
    /// The other side has answered a ping after this long.
    Measured { peer: PeerId, round_trip: Duration },
    /// Nothing comes over the link though the other side was asked for a sign of life; or something does again.
    Suspect { peer: PeerId, suspect: bool },
    /// The other side has proved the key of a private party of ours and nothing more.
    Excluded { peer: PeerId },
    /// The link has to be closed.
    Close { peer: PeerId, reason: String, misbehaved: bool },
    /// The other side has closed it; `needless` if only because nothing is left to say.
    Closed { peer: PeerId, reason: ByeReason, needless: bool },
}

/// What has arrived with a chunk.
pub(crate) struct Arrived<'c> {
    /// The bytes of a frame, if it is whole.
    pub(crate) frame: Option<Cow<'c, [u8]>>,
    /// The link was taken for dead.
    pub(crate) revived: bool,
    /// It came over the connection that is to take over: a hello, or nothing.
    pub(crate) takes_over: bool,
}

/// What became of a frame.
pub(crate) enum Taken {
    /// It was for this machine.
    Done(Option<LinkEvent>),
    /// It is another one's.
    Not,
}

#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Map<PeerId, Link>,
    numbered: u64,
}

/// Counts links. One whose stream gives way to a connection keeps its number: nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkNumber(u64);

#[derive(Debug)]
struct Link {
    number: LinkNumber,
    carrier: Carrier,
    /// A connection that is to take over from the stream.
    successor: Option<Successor>,
    transcript: Transcript,
    opened: Time,
    /// The hello has been verified.
    open: bool,
    /// Its record, parsed and as it is signed, once the hello has been verified.
    record: Option<Box<(PeerRecord, Vec<u8>)>>,
    parties: Set<DiscoveryKey>,
    /// Private parties whose key the other side has proved, and in which it is no member as far as we know.
    asking: Set<DiscoveryKey>,
    /// Parties of either kind in which we have shown what we are.
    shown: Set<DiscoveryKey>,
    /// Proofs that came for parties we were not in (yet).
    offered: Map<DiscoveryKey, PartyProof>,
    heard: Time,
    pinged: Option<Time>,
    /// It has not answered a ping in time.
    suspect: bool,
    reassembler: Reassembler,
    outbox: Outbox,
    records_sent: Set<PeerId>,
}

#[derive(Debug)]
struct Successor {
    id: LinkId,
    /// Bytes of the largest message that it takes.
    largest: usize,
    transcript: Transcript,
    since: Time,
}

/// What waits to be sent, in lanes that take turns chunk by chunk: a ping need not wait for a backlog, nor publications for
/// large messages. Within a lane order is kept.
#[derive(Debug, Default)]
struct Outbox {
    lanes: [Lane; LANES],
    /// The lane that had its turn last.
    last: usize,
    queued_bytes: usize,
    next_number: u32,
    /// Bytes of a chunk at most.
    chunk: usize,
    /// Bytes given to the channel since it last was drained.
    given: usize,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Item>,
    queued_bytes: usize,
    current: Option<Outgoing>,
}

/// The numbers of lanes: frames of the protocol, publications, parts of our own large messages, and those of others.
const CONTROL: usize = 0;
const BULK: usize = 1;
const PARTS: usize = 2;
const PASSED: usize = 3;
const LANES: usize = 4;
/// Bytes of parts that wait in their lane; the next one is made when there are less.
const PARTS_QUEUE: usize = 64 * 1024;
/// Bytes of parts of others that wait; more are dropped, and whoever sends them finds out.
const PASSED_QUEUE: usize = 256 * 1024;

#[derive(Debug)]
enum Item {
    /// An encoded frame.
    Frame(Vec<u8>),
    /// A bundle that is kept anyway: encoded when its turn comes, so that a backlog costs no copy.
    Kept { kept: Arc<Kept>, age_ms: Option<u64>, from: Option<u64> },
}

impl Links {
    // ---- questions ----

    pub(crate) fn is_open(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.open)
    }

    /// Open links, and since when.
    pub(crate) fn open(&self) -> impl Iterator<Item = (PeerId, Time)> + '_ {
        self.links.iter().filter(|(_, link)| link.open).map(|(peer, link)| (*peer, link.opened))
    }

    /// Neighbours in a party.
    pub(crate) fn neighbours<'a>(&'a self, discovery: &'a DiscoveryKey) -> impl Iterator<Item = PeerId> + 'a {
        self.links
            .iter()
            .filter(|(_, link)| link.open && link.parties.contains(discovery))
            .map(|(peer, _)| *peer)
    }

    pub(crate) fn shares(&self, peer: &PeerId, discovery: &DiscoveryKey) -> bool {
        self.links.get(peer).is_some_and(|link| link.open && link.parties.contains(discovery))
    }

    pub(crate) fn shares_any(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| !link.parties.is_empty() || !link.asking.is_empty())
    }

    /// No party is in common, whatever the other side has proved.
    pub(crate) fn shares_nothing(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_none_or(|link| link.parties.is_empty())
    }

    /// The record in the other side's hello, parsed and as it is signed.
    pub(crate) fn record(&self, peer: &PeerId) -> Option<(&PeerRecord, &[u8])> {
        self.links.get(peer)?.record.as_deref().map(|(record, bytes)| (record, bytes.as_slice()))
    }

    /// Whose peer the other side is.
    pub(crate) fn identity(&self, peer: &PeerId) -> Option<IdentityId> {
        Some(self.record(peer)?.0.identity)
    }

    /// The other side has proved the party's key, member or not.
    pub(crate) fn has_proved(&self, peer: &PeerId, discovery: &DiscoveryKey) -> bool {
        self.links.get(peer).is_some_and(|link| {
            link.open && (link.parties.contains(discovery) || link.asking.contains(discovery))
        })
    }

    /// Parties whose key the other side has proved and in which we have not shown yet what we are. Only once.
    pub(crate) fn take_unshown(&mut self, peer: &PeerId) -> Vec<DiscoveryKey> {
        let Some(link) = self.links.get_mut(peer).filter(|link| link.open) else { return Vec::new() };
        let proved: Vec<DiscoveryKey> = link.parties.iter().chain(&link.asking).copied().collect();
        proved.into_iter().filter(|discovery| link.shown.insert(*discovery)).collect()
    }

    /// Since when the other side owes a sign of life: an answer to a ping, or its hello.
    pub(crate) fn owes(&self, peer: &PeerId) -> Option<Time> {
        let link = self.links.get(peer)?;
        let since = if link.open { link.pinged? } else { link.opened };
        Some(since.max(link.heard))
    }

    /// Bytes that wait for a link.
    pub(crate) fn queued(&self, peer: &PeerId) -> usize {
        self.links.get(peer).map_or(0, |link| link.outbox.queued_bytes)
    }

    /// The open link to a peer: the same as before, or another one?
    pub(crate) fn number(&self, peer: &PeerId) -> Option<LinkNumber> {
        self.links.get(peer).filter(|link| link.open).map(|link| link.number)
    }

    /// Whether there is room for a part of a large message.
    pub(crate) fn takes_part(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.outbox.lanes[PARTS].queued_bytes < PARTS_QUEUE)
    }

    // ---- the life of a link ----

    pub(crate) fn on_opened<'a>(
        &mut self,
        now: Time,
        peer: PeerId,
        (carrier, largest): (Carrier, usize),
        transcript: Transcript,
        parties: impl Iterator<Item = &'a Party>,
        env: &mut Env,
    ) {
        let me = env.me;
        let parties = List::first(parties.map(|party| prove(party, &transcript, me)));
        let hello = hello(&transcript, parties, None, env);
        self.numbered += 1;
        let mut link = Link {
            number: LinkNumber(self.numbered),
            carrier,
            successor: None,
            transcript,
            opened: now,
            open: false,
            record: None,
            parties: Set::new(),
            asking: Set::new(),
            shown: Set::new(),
            offered: Map::new(),
            heard: now,
            pinged: None,
            suspect: false,
            reassembler: Reassembler::default(),
            outbox: Outbox { chunk: largest.min(limits::CHUNK), ..Outbox::default() },
            records_sent: Set::new(),
        };
        link.outbox.push(hello);
        self.links.insert(peer, link);
        self.pump(peer, env);
    }

    /// Forgets a link. What waited on it is gone; the next link catches up.
    pub(crate) fn remove(&mut self, peer: &PeerId) -> bool {
        self.links.remove(peer).is_some_and(|link| link.open)
    }

    /// Says goodbye as the last thing on the link, ahead of whatever waits.
    pub(crate) fn bye(&mut self, peer: PeerId, reason: ByeReason, env: &mut Env) {
        if let Some(link) = self.links.get_mut(&peer) {
            // It fits any chunk.
            let mut outgoing = Outgoing::new(u32::MAX, encode(&Frame::Bye { reason })).ok();
            if let Some(bytes) = outgoing.as_mut().and_then(Outgoing::next_chunk) {
                carry(peer, link.carrier, bytes, env);
            }
        }
    }

    /// Says something that does not wait behind what is queued, before the last thing on the link.
    pub(crate) fn say_at_once(&mut self, peer: PeerId, frame: &Frame<'_>, env: &mut Env) {
        let Some(link) = self.links.get_mut(&peer).filter(|link| link.open) else { return };
        let outgoing = Outgoing::new(u32::MAX - 1, encode(frame)).ok();
        let mut outgoing = outgoing.map(|outgoing| outgoing.in_chunks_of(link.outbox.chunk));
        while let Some(bytes) = outgoing.as_mut().and_then(Outgoing::next_chunk) {
            carry(peer, link.carrier, bytes, env);
        }
    }

    // ---- a connection in the place of a stream ----

    /// The link is a stream, open, that a connection could take over from.
    pub(crate) fn may_be_taken_over(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.open && link.carrier == Carrier::Stream)
    }

    /// There is a connection beside the stream, of which so many chunks have come: says so over the connection. What comes
    /// over the stream from now on comes again over the connection.
    pub(crate) fn on_successor(
        &mut self,
        now: Time,
        peer: PeerId,
        (id, largest): (LinkId, usize),
        transcript: Transcript,
        came: u64,
        env: &mut Env,
    ) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let frame = hello(&transcript, List::default(), Some(came), env);
        if let Some(bytes) = Outgoing::new(0, frame).ok().as_mut().and_then(Outgoing::next_chunk) {
            carry(peer, Carrier::Channel(id), bytes, env);
        }
        link.successor = Some(Successor { id, largest, transcript, since: now });
    }

    /// The other side says the same: gives how many of our chunks have come to it. The party proofs of before hold on.
    pub(crate) fn on_taken_over(
        &mut self,
        peer: PeerId,
        hello: &Frame<'_>,
        env: &mut Env,
    ) -> Result<u64, LinkEvent> {
        let successor = self.links.get_mut(&peer).and_then(|link| Some((link.successor.take()?, link)));
        let (Some((successor, link)), Frame::Hello { peer: claimed, signature, resumes, .. }) =
            (successor, hello)
        else {
            return Err(misbehaved(peer, "no hello".into(), env));
        };
        if *claimed != peer || check_link(peer, &successor.transcript, signature).is_err() {
            return Err(misbehaved(peer, "the hello is not signed for this connection".into(), env));
        }
        let begun_anew =
            || LinkEvent::Close { peer, reason: "the other side began anew".into(), misbehaved: false };
        let came = resumes.ok_or_else(begun_anew)?;
        link.carrier = Carrier::Channel(successor.id);
        link.outbox.given = 0;
        link.outbox.chunk = successor.largest.min(limits::CHUNK);
        Ok(came)
    }

    /// Sends again, before all else, chunks that had been given to the stream. If one is too large for the connection, the
    /// link has to be closed: the next one begins with the connection's size.
    pub(crate) fn resume(&mut self, peer: PeerId, chunks: Vec<Vec<u8>>, env: &mut Env) -> Option<LinkEvent> {
        let link = self.links.get_mut(&peer)?;
        let begun =
            link.outbox.chunk < limits::CHUNK && link.outbox.lanes.iter().any(|lane| lane.current.is_some());
        if begun || chunks.iter().any(|chunk| chunk.len() > link.outbox.chunk) {
            let reason = "the connection takes only smaller messages than the stream before it".into();
            return Some(LinkEvent::Close { peer, reason, misbehaved: false });
        }
        for chunk in chunks {
            link.outbox.given += chunk.len();
            carry(peer, link.carrier, chunk, env);
        }
        self.pump(peer, env);
        None
    }

    // ---- parties ----

    /// We joined a party: neighbours learn of it, and those that are in it already become neighbours in it.
    pub(crate) fn join(&mut self, ours: Ours<'_>, env: &mut Env) -> Vec<LinkEvent> {
        let party = ours.party;
        let mut events = Vec::new();
        let peers: Vec<PeerId> = self.links.keys().copied().collect();
        for peer in peers {
            let Some(link) = self.links.get_mut(&peer) else { continue };
            let joined = List::first([prove(party, &link.transcript, env.me)]);
            link.outbox.push(encode(&Frame::Parties { joined, left: List::default() }));
            let offered = link.offered.get(&party.discovery()).cloned();
            let admitted = offered.and_then(|proof| link.admits(&peer, ours, &proof));
            if admitted == Some(true) && link.open {
                events.push(LinkEvent::Parties { peer, joined: vec![party.discovery()], left: Vec::new() });
            }
            self.pump(peer, env);
        }
        events
    }

    pub(crate) fn leave(&mut self, discovery: DiscoveryKey, env: &mut Env) {
        let peers: Vec<PeerId> = self.links.keys().copied().collect();
        for peer in peers {
            let Some(link) = self.links.get_mut(&peer) else { continue };
            link.parties.remove(&discovery);
            link.asking.remove(&discovery);
            link.shown.remove(&discovery);
            link.outbox
                .push(encode(&Frame::Parties { joined: List::default(), left: List::first([discovery]) }));
            self.pump(peer, env);
        }
    }

    /// More is known of a private party's members: who is in it now, and who is not any more.
    pub(crate) fn reconsider(&mut self, ours: Ours<'_>) -> Vec<LinkEvent> {
        let discovery = ours.party.discovery();
        let mut events = Vec::new();
        for (peer, link) in self.links.iter_mut().filter(|(_, link)| link.open) {
            let (mut joined, mut left) = (Vec::new(), Vec::new());
            if !link.is_member(ours) {
                if link.parties.remove(&discovery) {
                    link.asking.insert(discovery);
                    left.push(discovery);
                }
            } else if link.asking.remove(&discovery) && link.parties.insert(discovery) {
                joined.push(discovery);
            }
            if !joined.is_empty() || !left.is_empty() {
                events.push(LinkEvent::Parties { peer: *peer, joined, left });
            }
        }
        events
    }

    /// The other side does not take us for a member: nothing is said there until it has told us more.
    pub(crate) fn unshare(&mut self, peer: &PeerId, discovery: DiscoveryKey) -> Option<LinkEvent> {
        let link = self.links.get_mut(peer)?;
        link.parties.remove(&discovery).then(|| {
            link.asking.insert(discovery);
            LinkEvent::Parties { peer: *peer, joined: Vec::new(), left: vec![discovery] }
        })
    }

    // ---- sending ----

    /// Queues a frame. False, and nothing queued, if there is no open link or its queue is full: then
    /// [`Links::on_time`] closes it.
    pub(crate) fn send(&mut self, peer: PeerId, frame: &Frame<'_>, env: &mut Env) -> bool {
        let Some(link) = self.links.get_mut(&peer).filter(|link| link.open) else { return false };
        if link.outbox.is_full(env) {
            return false;
        }
        let lane = match frame {
            Frame::Envelope { hops, envelope, .. } if envelope.len() > limits::CHUNK => {
                if *hops == 0 {
                    PARTS
                } else {
                    PASSED
                }
            }
            _ => CONTROL,
        };
        if lane == PASSED && link.outbox.lanes[PASSED].queued_bytes > PASSED_QUEUE {
            return false;
        }
        let bytes = encode(frame);
        env.stats.sent.count(frame, bytes.len());
        link.outbox.push_to(lane, Item::Frame(bytes));
        self.pump(peer, env);
        true
    }

    /// Queues a bundle. Without an age it travels live; with one it answers a want, and does not count against the
    /// queue. The author's record goes with the first one of each feed. `from`: what the feed has from there on is not wanted.
    pub(crate) fn send_kept(
        &mut self,
        peer: PeerId,
        (kept, from): (&Arc<Kept>, Option<u64>),
        age_ms: Option<u64>,
        env: &mut Env,
    ) -> bool {
        let Some(link) = self.links.get_mut(&peer).filter(|link| link.open) else { return false };
        let full =
            if age_ms.is_none() { link.outbox.is_full(env) } else { link.outbox.len() >= QUEUE_FRAMES };
        if full {
            return false;
        }
        link.outbox.push_bulk(Item::Kept { kept: Arc::clone(kept), age_ms, from });
        self.pump(peer, env);
        true
    }

    /// Queues a frame behind all bundles.
    pub(crate) fn send_after_kept(&mut self, peer: PeerId, frame: &Frame<'_>, env: &mut Env) {
        if let Some(link) = self.links.get_mut(&peer).filter(|link| link.open) {
            link.outbox.push_bulk(Item::Frame(encode(frame)));
            self.pump(peer, env);
        }
    }

    /// Gives waiting chunks to the channel, as many as its credit allows.
    pub(crate) fn pump(&mut self, peer: PeerId, env: &mut Env) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let (high, hello_only) = (env.config.channel_high, !link.open);
        while link.outbox.given < high {
            let sent = &mut env.stats.sent;
            let Some(chunk) = link.outbox.next_chunk(&mut link.records_sent, hello_only, sent) else {
                return;
            };
            link.outbox.given += chunk.len();
            env.stats.link_bytes_out += chunk.len() as u64;
            carry(peer, link.carrier, chunk, env);
        }
    }

    // ---- inputs ----

    pub(crate) fn on_drained(&mut self, peer: PeerId, carrier: Carrier, env: &mut Env) {
        if let Some(link) = self.links.get_mut(&peer).filter(|link| link.carrier == carrier) {
            link.outbox.given = 0;
            self.pump(peer, env);
        }
    }

    /// Takes a chunk; gives the frame's bytes if it was the frame's last one.
    pub(crate) fn on_chunk<'c>(
        &mut self,
        now: Time,
        (peer, carrier): (PeerId, Carrier),
        chunk: &'c [u8],
        env: &mut Env,
    ) -> Result<Arrived<'c>, ChunkError> {
        let nothing = Arrived { frame: None, revived: false, takes_over: false };
        let Some(link) = self.links.get_mut(&peer) else { return Ok(nothing) };
        let successor = link.successor.as_ref().map(|successor| Carrier::Channel(successor.id));
        if successor == Some(carrier) {
            env.stats.link_bytes_in += chunk.len() as u64;
            return Ok(Arrived { frame: Reassembler::default().push(chunk)?, takes_over: true, ..nothing });
        }
        if link.carrier != carrier || successor.is_some() {
            return Ok(nothing);
        }
        link.heard = now;
        let revived = core::mem::take(&mut link.suspect);
        env.stats.link_bytes_in += chunk.len() as u64;
        let frame = link.reassembler.push(chunk)?;
        Ok(Arrived { frame, revived, takes_over: false })
    }

    /// Takes a frame, or leaves it to other machines.
    pub(crate) fn on_frame<'a>(
        &mut self,
        now: Time,
        peer: PeerId,
        frame: &Frame<'_>,
        party: impl Fn(&DiscoveryKey) -> Option<Ours<'a>>,
        env: &mut Env,
    ) -> Taken {
        let Some(link) = self.links.get_mut(&peer) else { return Taken::Done(None) };
        Taken::Done(match frame {
            Frame::Hello { .. } if link.open => Some(misbehaved(peer, "a second hello".into(), env)),
            Frame::Hello { .. } => Some(self.on_hello(now, peer, frame, party, env)),
            _ if !link.open => Some(misbehaved(peer, "a frame before the hello".into(), env)),
            Frame::Ping { token } => {
                self.send(peer, &Frame::Pong { token: *token }, env);
                None
            }
            Frame::Pong { .. } => {
                link.pinged.take().map(|at| LinkEvent::Measured { peer, round_trip: now.since(at) })
            }
            Frame::Parties { joined, left } => {
                let news = match link.take_proofs(&peer, joined.iter(), party) {
                    Ok(news) => news,
                    Err(text) => return Taken::Done(Some(misbehaved(peer, text.into(), env))),
                };
                let left: Vec<DiscoveryKey> = left.iter().filter(|key| link.forget(key)).copied().collect();
                Some(LinkEvent::Parties { peer, joined: news, left })
            }
            Frame::Bye { reason } => {
                let reason = *reason;
                let needless = matches!(reason, ByeReason::NothingInCommon | ByeReason::Leaving);
                Some(LinkEvent::Closed { peer, reason, needless })
            }
            _ => return Taken::Not,
        })
    }

    fn on_hello<'a>(
        &mut self,
        now: Time,
        peer: PeerId,
        hello: &Frame<'_>,
        party: impl Fn(&DiscoveryKey) -> Option<Ours<'a>>,
        env: &mut Env,
    ) -> LinkEvent {
        let (Some(link), Frame::Hello { peer: claimed, signature, record, parties, resumes, .. }) =
            (self.links.get_mut(&peer), hello)
        else {
            return misbehaved(peer, "no hello".into(), env);
        };
        if *claimed != peer || check_link(peer, &link.transcript, signature).is_err() {
            return misbehaved(peer, "the hello is not signed for this connection".into(), env);
        }
        if resumes.is_some() {
            // Not its fault: our stream has ended while its connection came about.
            let reason = "the other side goes on with what has ended here".into();
            return LinkEvent::Close { peer, reason, misbehaved: false };
        }
        let opened = statement::open_record(record);
        let Ok(owner) = opened.as_ref().map(|owner| owner.peer) else {
            return misbehaved(peer, "the hello's record does not verify".into(), env);
        };
        let Some(opened) = opened.ok().filter(|record| owner == peer && record.until > now.millis()) else {
            return misbehaved(peer, "the hello's record is another peer's, or has expired".into(), env);
        };
        link.record = Some(Box::new((opened, record.to_vec())));
        let common = match link.take_proofs(&peer, parties.iter(), party) {
            Ok(common) => common,
            Err(text) => return misbehaved(peer, text.into(), env),
        };
        link.open = true;
        link.opened = now;
        self.pump(peer, env);
        LinkEvent::Open { peer, parties: common }
    }

    /// Asks for a sign of life if there was none for so long: it matters whether anybody is there.
    pub(crate) fn probe(&mut self, now: Time, peer: PeerId, silent: Duration, env: &mut Env) {
        if self.links.get(&peer).is_some_and(|link| now.since(link.heard) >= silent) {
            self.ping(now, peer, env);
        }
    }

    /// A link whose other side did not answer a ping in time: the one that has been silent the longest.
    pub(crate) fn suspect(&self) -> Option<PeerId> {
        let suspect = self.links.iter().filter(|(_, link)| link.suspect);
        suspect.min_by_key(|(_, link)| link.heard).map(|(peer, _)| *peer)
    }

    /// The other side did not answer a ping in time.
    pub(crate) fn is_suspect(&self, peer: &PeerId) -> bool {
        self.links.get(peer).is_some_and(|link| link.suspect)
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        if let Some(link) = self.links.get_mut(&peer).filter(|link| link.open && link.pinged.is_none()) {
            link.pinged = Some(now);
            let token = u32::try_from(now.millis() & 0xffff_ffff).unwrap_or_default();
            self.send(peer, &Frame::Ping { token }, env);
        }
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<LinkEvent> {
        let mut events = Vec::new();
        let mut silent = Vec::new();
        for (peer, link) in &self.links {
            let quiet = now.since(link.heard);
            let close =
                |reason: &str| LinkEvent::Close { peer: *peer, reason: reason.to_owned(), misbehaved: false };
            if quiet >= env.config.link_dead {
                events.push(close("the link went silent"));
            } else if !link.open && now.since(link.opened) >= env.config.signal_give_up {
                events.push(close("the other side did not say who it is"));
            } else if link.asks_until().is_some_and(|until| until <= now) {
                events.push(LinkEvent::Excluded { peer: *peer });
            } else if link
                .successor
                .as_ref()
                .is_some_and(|one| now.since(one.since) >= env.config.signal_give_up)
            {
                events.push(close("the new connection was not confirmed"));
            } else if link.open && link.outbox.is_full(env) {
                events.push(close("the other side reads too slowly"));
            } else if link.open && quiet >= env.config.link_heartbeat && link.pinged.is_none() {
                silent.push(*peer);
            } else if link.suspect_at(env).is_some_and(|at| at <= now) {
                events.push(LinkEvent::Suspect { peer: *peer, suspect: true });
            }
        }
        for event in &events {
            if let LinkEvent::Suspect { peer, .. } = event
                && let Some(link) = self.links.get_mut(peer)
            {
                link.suspect = true;
            }
        }
        for peer in silent {
            self.ping(now, peer, env);
        }
        events
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let due = |link: &Link| match (link.open, link.pinged) {
            (false, _) => link.opened + env.config.signal_give_up,
            (true, _) if link.outbox.is_full(env) => Time::ZERO,
            (true, None) => link.heard + env.config.link_heartbeat,
            (true, Some(_)) => {
                let dead = link.heard + env.config.link_dead;
                link.suspect_at(env).map_or(dead, |at| at.min(dead))
            }
        };
        let successors = self.links.values().filter_map(|link| link.successor.as_ref());
        let successors = successors.map(|successor| successor.since + env.config.signal_give_up);
        let asking = self.links.values().filter_map(Link::asks_until);
        self.links.values().map(due).chain(successors).chain(asking).min()
    }
}

impl Link {
    /// When the other side's silence begins to look like death. What we have given the channel delays our pings.
    fn suspect_at(&self, env: &Env) -> Option<Time> {
        let asked = self.pinged.filter(|_| !self.suspect && self.outbox.given <= env.config.channel_low);
        asked.map(|at| at.max(self.heard) + env.config.suspect_after)
    }

    /// Takes what the other side proves; gives the parties that are in common now and were not before.
    fn take_proofs<'f, 'p>(
        &mut self,
        peer: &PeerId,
        proofs: impl Iterator<Item = &'f PartyProof>,
        party: impl Fn(&DiscoveryKey) -> Option<Ours<'p>>,
    ) -> Result<Vec<DiscoveryKey>, &'static str> {
        let mut news = Vec::new();
        for proof in proofs {
            let Some(ours) = party(&proof.discovery) else {
                self.remember(proof.clone());
                continue;
            };
            if self.admits(peer, ours, proof).ok_or("a false proof of a party's key")? {
                news.push(proof.discovery);
            }
        }
        Ok(news)
    }

    /// Checks a proof; if it is good, the party is in common, and this says whether it was not before. The proof is kept
    /// for when we leave and join again.
    fn admits(&mut self, peer: &PeerId, ours: Ours<'_>, proof: &PartyProof) -> Option<bool> {
        ours.party.check(self.transcript.hash(), &peer.0, &proof.proof).then(|| {
            self.remember(proof.clone());
            if !self.is_member(ours) {
                self.asking.insert(ours.party.discovery());
                return false;
            }
            self.parties.insert(ours.party.discovery())
        })
    }

    /// Whoever has proved a party's key is in it, but for private ones.
    fn is_member(&self, ours: Ours<'_>) -> bool {
        let role = |members: &Members| members.role(&self.record.as_ref()?.0.identity);
        ours.members.is_none_or(|(members, we_are)| we_are && role(members).is_some())
    }

    /// When the other side has had its time to show that it is a member of anything.
    fn asks_until(&self) -> Option<Time> {
        (self.open && self.parties.is_empty() && !self.asking.is_empty()).then(|| self.opened + ASKS)
    }

    fn remember(&mut self, proof: PartyProof) {
        if self.offered.len() < limits::PARTIES {
            self.offered.insert(proof.discovery, proof);
        }
    }

    fn forget(&mut self, discovery: &DiscoveryKey) -> bool {
        self.offered.remove(discovery);
        self.asking.remove(discovery);
        self.shown.remove(discovery);
        self.parties.remove(discovery)
    }
}

impl Outbox {
    fn push(&mut self, frame: Vec<u8>) {
        self.push_to(CONTROL, Item::Frame(frame));
    }

    fn push_bulk(&mut self, item: Item) {
        self.push_to(BULK, item);
    }

    fn push_to(&mut self, lane: usize, item: Item) {
        self.queued_bytes += item.counted();
        let lane = &mut self.lanes[lane];
        lane.queued_bytes += item.counted();
        lane.queue.push_back(item);
    }

    fn is_full(&self, env: &Env) -> bool {
        self.queued_bytes >= env.config.link_queue || self.len() >= QUEUE_FRAMES
    }

    /// Frames that wait.
    fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queue.len()).sum()
    }

    fn next_chunk(
        &mut self,
        records_sent: &mut Set<PeerId>,
        hello_only: bool,
        sent: &mut Traffic,
    ) -> Option<Vec<u8>> {
        if hello_only {
            // Before the other side's hello only ours goes out; it is the first frame.
            let begun = self.lanes[CONTROL].current.as_ref().is_some_and(|hello| hello.remaining() > 0);
            return if self.next_number == 0 || begun {
                self.lane_chunk(CONTROL, records_sent, sent)
            } else {
                None
            };
        }
        let last = self.last;
        (1..=LANES).map(|turn| (last + turn) % LANES).find_map(|lane| {
            let chunk = self.lane_chunk(lane, records_sent, sent)?;
            self.last = lane;
            Some(chunk)
        })
    }

    fn lane_chunk(
        &mut self,
        lane: usize,
        records_sent: &mut Set<PeerId>,
        sent: &mut Traffic,
    ) -> Option<Vec<u8>> {
        loop {
            let lane = &mut self.lanes[lane];
            if let Some(chunk) = lane.current.as_mut().and_then(Outgoing::next_chunk) {
                return Some(chunk);
            }
            let item = lane.queue.pop_front()?;
            lane.queued_bytes -= item.counted();
            self.queued_bytes -= item.counted();
            // Frames are bounded where they are made; one that were too long could not be sent at all.
            lane.current = Outgoing::new(self.next_number, item.encode(records_sent, sent))
                .map(|outgoing| outgoing.in_chunks_of(self.chunk))
                .ok();
            self.next_number = self.next_number.wrapping_add(1) & 0x7fff_ffff;
        }
    }
}

impl Item {
    /// Bytes that count against the queue: a backlog is kept anyway.
    fn counted(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.len(),
            Self::Kept { kept, age_ms: None, .. } => kept.bytes.len(),
            Self::Kept { .. } => 0,
        }
    }

    fn encode(self, records_sent: &mut Set<PeerId>, sent: &mut Traffic) -> Vec<u8> {
        match self {
            Self::Frame(frame) => frame,
            Self::Kept { kept, age_ms, from } => {
                if records_sent.len() >= RECORDS {
                    records_sent.clear();
                }
                let record = records_sent.insert(kept.feed).then_some(&*kept.record);
                let (hops, age_ms) = (kept.hops, age_ms.unwrap_or(0));
                let frame = Frame::Publish { hops, age_ms, record, bundle: &kept.bytes, from };
                let bytes = encode(&frame);
                sent.count(&frame, bytes.len());
                bytes
            }
        }
    }
}

fn carry(peer: PeerId, carrier: Carrier, bytes: Vec<u8>, env: &mut Env) {
    match carrier {
        Carrier::Channel(link) => env.out.push_back(Output::ChannelMessage { link, bytes }),
        Carrier::Stream => env.streamed.push((peer, bytes)),
    }
}

fn hello(
    transcript: &Transcript,
    parties: List<PartyProof, { limits::PARTIES }>,
    resumes: Option<u64>,
    env: &mut Env,
) -> Vec<u8> {
    let (signature, record) = (sign_link(&env.keys.peer, transcript), env.record.as_slice());
    let frame = Frame::Hello { version: LINK_VERSION, peer: env.me, signature, record, parties, resumes };
    let mut sent = env.stats.sent;
    sent.count(&frame, 0);
    let bytes = encode(&frame);
    env.stats.sent = sent;
    bytes
}

fn prove(party: &Party, transcript: &Transcript, me: PeerId) -> PartyProof {
    PartyProof { discovery: party.discovery(), proof: party.prove(transcript.hash(), &me.0) }
}

fn misbehaved(peer: PeerId, reason: String, env: &mut Env) -> LinkEvent {
    env.stats.malformed += 1;
    LinkEvent::Close { peer, reason, misbehaved: true }
}
