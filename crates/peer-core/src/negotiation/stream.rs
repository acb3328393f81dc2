//! One stream that signalers forward: chunks in order, each once, over a way that may lose, repeat and reorder packets.
//!
//! Inputs: chunks to send, packets that came, refusals.
//! Outputs: packets to send; chunks that came.
//! Timers: acknowledgement owed, send again.
//! Invariants: a chunk is kept until the other side has it; what comes out of order is dropped and comes again
//! (go-back-N), so that nothing waits here; at most what the link has given is kept
//! ([`Config::channel_high`](crate::Config::channel_high)); signalers are given no more than [`RATE`].

use std::collections::VecDeque;
use std::time::Duration;

use weft_crypto::stream::{Half, Tunnel};
use weft_wire::sealed::Packet;
use weft_wire::{AgreementKey, Bytes, DiscoveryKey, List, PeerId, SessionId, Time, decode, encode, limits};

use super::Retry;
use crate::env::Env;
use crate::pace::Pace;

/// An acknowledgement waits this long for something to travel with.
const ACKNOWLEDGE: Duration = Duration::from_millis(10);
/// So many bytes that came are acknowledged at once.
const ACKNOWLEDGE_BYTES: usize = 16 * 1024;
/// What is not acknowledged is sent again after so long at first, at least and at most; doubled each time.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_LEAST: Duration = Duration::from_millis(300);
const AGAIN_MOST: Duration = Duration::from_secs(5);
/// The other side's silence, while something waits for it, after which the stream has ended.
const SILENT: Duration = Duration::from_secs(20);
/// The same once signalers do not know the other side: a page that reloads is known again sooner.
const UNKNOWN: Duration = Duration::from_secs(5);
/// Bytes a second that all streams of a peer together give to signalers: a quarter of what these take by default.
const RATE: u32 = 1024 * 1024;
/// What one packet costs, besides its bytes: half of the frames that signalers take.
const PACKET_COST: Duration = Duration::from_millis(2);
/// May be sent at once after a pause: what is on its way of one link, and some.
const BURST: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: SessionId,
    pub(super) discovery: DiscoveryKey,
    pub(super) urgent: bool,
    pub(super) half: Half,
    pub(super) since: Time,
    /// Until the other side has agreed.
    pub(super) retry: Option<Retry>,
    tunnel: Option<Tunnel>,
    /// Sent, or to be sent, and not acknowledged.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
    /// Number of the first of them.
    first: u64,
    /// Number of the next chunk to be sent.
    next: u64,
    /// Chunks of the other side that came.
    came: u64,
    came_bytes: usize,
    acknowledge_at: Option<Time>,
    again_at: Option<Time>,
    again: Duration,
    /// Times that it was sent again without an answer.
    pub(super) attempt: u32,
    /// Each repetition takes another way, if there is one, and what follows stays on it.
    pub(super) way: u32,
    /// Number after the last chunk that was ever sent: what is sent again is not timed.
    sent: u64,
    /// A chunk whose acknowledgement is timed, and when it was sent.
    timed: Option<(u64, Time)>,
    heard: Time,
    waits_since: Time,
    pub(super) troubled: bool,
    /// A connection is taking over: nothing that comes counts any more.
    pub(super) frozen: bool,
    /// When a connection is tried again, and how long to wait after that.
    pub(super) direct_at: Time,
    pub(super) direct_wait: Duration,
}

/// What came with a packet.
#[derive(Debug, Default)]
pub(super) struct Came {
    pub(super) chunks: Vec<Vec<u8>>,
    /// Little enough is kept: more may be given.
    pub(super) drained: bool,
    /// It was troubled, and is not any more.
    pub(super) mended: bool,
}

impl Stream {
    pub(super) fn new(
        now: Time,
        session: SessionId,
        discovery: DiscoveryKey,
        urgent: bool,
        env: &mut Env,
    ) -> Self {
        Self {
            session,
            discovery,
            urgent,
            half: Half::new(&mut env.rng),
            since: now,
            retry: Some(Retry::first(now, env)),
            tunnel: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            first: 0,
            next: 0,
            came: 0,
            came_bytes: 0,
            acknowledge_at: None,
            again_at: None,
            again: AGAIN_FIRST,
            attempt: 0,
            way: 0,
            sent: 0,
            timed: None,
            heard: now,
            waits_since: now,
            troubled: false,
            frozen: false,
            direct_at: now + env.config.direct_retry,
            direct_wait: env.config.direct_retry,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.tunnel.is_some()
    }

    /// The other side has agreed. False if its key is none.
    pub(super) fn agree(&mut self, now: Time, (us, them): (PeerId, PeerId), key: &AgreementKey) -> bool {
        self.tunnel = self.half.agree(self.session, (us, them), key);
        self.retry = None;
        self.heard = now;
        self.is_up()
    }

    /// Takes a chunk to send.
    pub(super) fn give(&mut self, now: Time, chunk: Vec<u8>) {
        if self.kept.is_empty() {
            self.waits_since = now;
        }
        self.kept_bytes += chunk.len();
        self.kept.push_back(chunk);
    }

    /// Chunks that the other side, to whom so many have come, lacks.
    pub(super) fn lacking(&mut self, came: u64) -> Vec<Vec<u8>> {
        self.acknowledged(came);
        self.kept.drain(..).collect()
    }

    pub(super) fn came(&self) -> u64 {
        self.came
    }

    /// Takes a packet; nothing if it does not open.
    pub(super) fn on_packet(&mut self, now: Time, bytes: &[u8], env: &Env) -> Option<Came> {
        let plain = self.tunnel.as_ref()?.open(bytes)?;
        let packet: Packet = decode(&plain, limits::ENVELOPE).ok()?;
        let mut came = Came { mended: std::mem::take(&mut self.troubled), ..Came::default() };
        self.heard = now;
        if packet.came > self.first && packet.came <= self.first + self.kept.len() as u64 {
            if let Some((number, at)) = self.timed
                && packet.came > number
            {
                self.timed = None;
                self.again = (now.since(at) * 2 + ACKNOWLEDGE * 2).clamp(AGAIN_LEAST, AGAIN_MOST);
            }
            let was = self.kept_bytes;
            self.acknowledged(packet.came);
            self.attempt = 0;
            self.again_at = (self.next > self.first).then(|| now + self.again);
            came.drained = was > env.config.channel_low && self.kept_bytes <= env.config.channel_low
                || self.kept.is_empty();
        }
        if packet.chunks.is_empty() || self.frozen {
            return Some(came);
        }
        // What comes again, or too soon, is answered at once: the other side has lost an answer, or we a packet.
        let expected = packet.first == self.came;
        // All of them, if a chunk before them is missing.
        let known = self.came.checked_sub(packet.first).and_then(|known| usize::try_from(known).ok());
        for chunk in packet.chunks.into_iter().skip(known.unwrap_or(usize::MAX)) {
            self.came += 1;
            self.came_bytes += chunk.0.len();
            came.chunks.push(chunk.0);
        }
        let at = if expected && self.came_bytes < ACKNOWLEDGE_BYTES { now + ACKNOWLEDGE } else { now };
        self.acknowledge_at = Some(self.acknowledge_at.map_or(at, |due| due.min(at)));
        Some(came)
    }

    /// A signaler did not take a packet: there is no hurry to send it again.
    pub(super) fn on_refused(&mut self, now: Time) {
        self.again = (self.again * 2).min(AGAIN_MOST);
        self.again_at = self.again_at.map(|at| at.max(now + self.again));
        self.timed = None;
    }

    /// Nobody hears us any more.
    pub(super) fn is_dead(&self, now: Time, unknown: bool) -> bool {
        let waits = !self.kept.is_empty() && !self.frozen;
        waits && now.since(self.silent_since()) >= if unknown { UNKNOWN } else { SILENT }
    }

    /// Since when the other side has left us without an answer: before something waits, it owes none.
    fn silent_since(&self) -> Time {
        self.heard.max(self.waits_since)
    }

    /// The packet that is due, if the pace allows it; else, with the pace's time, none.
    pub(super) fn packet(&mut self, now: Time, pace: &mut Pace) -> Result<Option<Vec<u8>>, Time> {
        let Some(tunnel) = self.tunnel.as_mut().filter(|_| !self.frozen) else { return Ok(None) };
        if self.again_at.is_some_and(|at| at <= now) {
            // From the first on: what came out of order was dropped.
            self.next = self.first;
            self.again_at = None;
            self.again = (self.again * 2).min(AGAIN_MOST);
            self.attempt = self.attempt.saturating_add(1);
            self.way = self.way.wrapping_add(1);
            self.timed = None;
        }
        let skip = usize::try_from(self.next - self.first).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |chunk: &&Vec<u8>| {
            bytes += chunk.len();
            bytes <= limits::PACKET_BYTES
        };
        let count = self.kept.iter().skip(skip).take(limits::PACKET_CHUNKS).take_while(fits).count();
        if count == 0 && self.acknowledge_at.is_none_or(|at| at > now) {
            return Ok(None);
        }
        let chunks = self.kept.iter().skip(skip).take(count);
        let bytes: usize = chunks.clone().map(Vec::len).sum();
        let cost = PACKET_COST + Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(RATE) / RATE;
        pace.take(now, cost, BURST)?;
        let chunks = List::first(chunks.map(|chunk| Bytes(chunk.clone())));
        let packet = Packet { came: self.came, first: self.next, chunks };
        self.next += count as u64;
        self.acknowledge_at = None;
        self.came_bytes = 0;
        if count > 0 {
            self.again_at.get_or_insert(now + self.again);
            if self.next > self.sent {
                self.timed.get_or_insert((self.next - 1, now));
            }
            self.sent = self.sent.max(self.next);
        }
        Ok(Some(tunnel.seal(&encode(&packet))))
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.frozen {
            return None;
        }
        let unsent = self.is_up() && self.next < self.first + self.kept.len() as u64;
        let dead = (!self.kept.is_empty()).then(|| self.silent_since() + SILENT);
        [unsent.then_some(Time::ZERO), self.acknowledge_at, self.again_at, dead].into_iter().flatten().min()
    }

    fn acknowledged(&mut self, came: u64) {
        while self.first < came
            && let Some(chunk) = self.kept.pop_front()
        {
            self.kept_bytes -= chunk.len();
            self.first += 1;
        }
        self.next = self.next.max(self.first);
    }
}
