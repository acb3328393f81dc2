//! Announce, leave, loss and expiry: how the table changes and who is told.

use std::sync::Arc;

use rand_core::Rng as _;

use weft_crypto::StatementError;
use weft_crypto::statement::{open_entry, peek_entry, sign_gone};
use weft_wire::signaler::FromSignaler;
use weft_wire::{Code, DiscoveryKey, Entry, Gone, List, PeerId, Time, WireError, limits};

use crate::frames;
use crate::io::{ConnId, Event, Output};
use crate::signaler::Signaler;
use crate::table::{Change, Key, Kind, News, Statement};
use crate::timers::Timer;
use crate::watches::Waiter;

/// A peer whose socket was lost.
#[derive(Debug)]
pub(crate) struct Lost {
    /// When its grace ends.
    until: Time,
    /// In which it had a place.
    swarms: Vec<DiscoveryKey>,
}

/// Entries in the answer to a refresh, so that a peer hears of some others even if it missed their coming.
const REFRESH_SAMPLE: usize = 16;

/// Local members that hear of somebody's coming in a swarm with more members than a list may have.
const TOLD_IN_LARGE: usize = 8;

impl Signaler {
    pub(crate) fn on_announce(&mut self, now: Time, conn: ConnId, peer: PeerId, bytes: &[u8]) {
        let (entry, key, news) = match self.peek(peer, bytes, false) {
            Ok(known) => known,
            Err((code, discovery)) => return self.refuse_entry(now, conn, code, discovery),
        };
        let discovery = Some(entry.discovery);
        let code = self.admission(now, conn, &entry, news);
        if let Some(code) = code {
            return self.refuse(conn, code, None, discovery);
        }
        if open_entry(bytes).is_err() {
            return self.refuse_entry(now, conn, Code::BadSignature, discovery);
        }
        let until = Time::from_millis(entry.until).min(now + self.config.ttl());
        let bytes: Arc<[u8]> = bytes.into();
        let statement = Statement { key, seq: entry.seq, kind: Kind::Present, until, bytes: bytes.clone() };
        let change = self.table.apply(statement, None, false);
        let attached = self.table.attach(&key.discovery, peer, conn);
        if attached && let Some(at) = self.peers.conn_mut(conn) {
            at.swarms.push(key.discovery);
        }
        if let Some(lost) = self.lost.get_mut(&peer) {
            lost.swarms.retain(|swarm| *swarm != key.discovery);
        }
        self.tell(&key, change, &bytes);
        self.arm_flush(now);
        if !attached {
            return self.tell_members(conn, peer, &key.discovery, REFRESH_SAMPLE);
        }
        self.reconsider(now, &key.discovery);
        if self.watches.wait(&key.discovery, Waiter::Member { conn, peer }).is_some() {
            self.tell_members(conn, peer, &key.discovery, limits::ENTRIES);
        }
    }

    /// Answers an announce.
    pub(crate) fn tell_members(
        &mut self,
        conn: ConnId,
        peer: PeerId,
        discovery: &DiscoveryKey,
        limit: usize,
    ) {
        let (entries, total) = self.table.members(discovery, &peer, limit, &mut self.rng);
        let size = entries.iter().map(|entry| entry.len() + 4).sum();
        let frame = FromSignaler::Members {
            discovery: *discovery,
            entries: List::first(entries.into_iter().map(|entry| weft_wire::Bytes(entry.to_vec()))),
            total: u32::try_from(total).unwrap_or(u32::MAX),
        };
        let frame = frames::carrying(&frame, size);
        self.send(conn, frame);
    }

    pub(crate) fn on_leave(&mut self, now: Time, conn: ConnId, peer: PeerId, bytes: &[u8]) {
        let (entry, key, news) = match self.peek(peer, bytes, true) {
            Ok(known) => known,
            Err((code, discovery)) => return self.refuse_entry(now, conn, code, discovery),
        };
        let discovery = Some(entry.discovery);
        match news {
            News::Newer => {}
            News::New => return self.refuse(conn, Code::NotAMember, None, discovery),
            News::Same | News::Other | News::Old => {
                return self.refuse(conn, Code::Replayed, None, discovery);
            }
        }
        if open_entry(bytes).is_err() {
            return self.refuse_entry(now, conn, Code::BadSignature, discovery);
        }
        self.detach(&key.discovery, peer, conn);
        self.withdraw(now, key, entry.seq, Kind::Left, bytes.into(), None);
    }

    /// A connection of a peer is gone, or is about to be.
    pub(crate) fn forget_peer(&mut self, now: Time, conn: ConnId) {
        let Some(peer) = self.peers.on_closed(conn) else { return };
        let Some(id) = peer.id() else { return };
        for discovery in &peer.swarms {
            self.table.detach(discovery, &id, conn);
        }
        for discovery in peer.swarms {
            self.keep_place(now, id, discovery);
        }
        self.tell_disconnected(id, &peer.residences);
        self.put(Output::Event(Event::PeerDown(id)));
    }

    /// A peer may come back and keep its place, until its grace ends.
    pub(crate) fn keep_place(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey) {
        let until = now + self.config.grace();
        let lost = self.lost.entry(peer).or_insert(Lost { until, swarms: Vec::new() });
        lost.until = until;
        if !lost.swarms.contains(&discovery) {
            lost.swarms.push(discovery);
        }
        self.timers.arm(until, Timer::Grace(peer));
    }

    /// A lost peer's grace ends: where it has not announced itself again, it is gone.
    pub(crate) fn on_grace(&mut self, now: Time, peer: PeerId) {
        if self.lost.get(&peer).is_none_or(|lost| lost.until > now) {
            return;
        }
        let Some(lost) = self.lost.remove(&peer) else { return };
        for discovery in lost.swarms {
            self.withdraw_ours(now, discovery, peer);
        }
    }

    /// Records whose time has passed go, everywhere by the same rule and without a word to siblings.
    pub(crate) fn on_expiry(&mut self, now: Time, budget: usize) {
        for (key, change) in self.table.expire(now, budget) {
            if key.home == self.us
                && let Some(conn) = self.peers.conn_of(&key.peer)
            {
                self.detach(&key.discovery, key.peer, conn);
            }
            self.tell(&key, change, &[]);
            if key.home == self.us {
                self.reconsider(now, &key.discovery);
            }
        }
    }

    /// Before a shutdown: says of all our peers that they are gone.
    pub(crate) fn withdraw_all(&mut self, now: Time) {
        if self.links.up().is_empty() {
            return;
        }
        for conn in self.peers.all() {
            let Some((peer, swarms)) =
                self.peers.conn(conn).and_then(|at| Some((at.id()?, at.swarms.clone())))
            else {
                continue;
            };
            for discovery in swarms {
                self.detach(&discovery, peer, conn);
                self.withdraw_ours(now, discovery, peer);
            }
        }
        while let Some((peer, lost)) = self.lost.pop_first() {
            for discovery in lost.swarms {
                self.withdraw_ours(now, discovery, peer);
            }
        }
    }

    /// Takes a verified withdrawal and tells everybody. `from`: over which link it came, and whether it is to be passed on.
    pub(crate) fn withdraw(
        &mut self,
        now: Time,
        key: Key,
        seq: u64,
        kind: Kind,
        bytes: Arc<[u8]>,
        from: Option<(ConnId, bool)>,
    ) {
        let until = now + self.config.ttl();
        let via = from.map(|(via, _)| via);
        let pass = from.is_some_and(|(_, pass)| pass);
        let change = self.table.apply(Statement { key, seq, kind, until, bytes }, via, pass);
        self.tell(&key, change, &[]);
        self.arm_flush(now);
        if key.home == self.us {
            self.reconsider(now, &key.discovery);
        }
    }

    /// Tells the local members of a swarm about a change.
    pub(crate) fn tell(&mut self, key: &Key, change: Change, entry: &[u8]) {
        if self.table.locals(&key.discovery).is_empty() {
            return;
        }
        let frame = if change.joined {
            frames::carrying(&FromSignaler::Joined { entry }, entry.len())
        } else if change.left {
            frames::small(&FromSignaler::Left { discovery: key.discovery, peer: key.peer })
        } else {
            return;
        };
        let others = self.table.locals(&key.discovery).iter().filter(|local| local.peer != key.peer);
        let mut to: Vec<ConnId> = others.map(|local| local.conn).collect();
        to.retain(|conn| !self.watches.is_waiting(&key.discovery, *conn));
        let (present, _) = self.table.presence(&key.discovery, &key.peer);
        if present > limits::ENTRIES {
            // Nobody has a whole list. Who comes is told to some, so that it is found; who goes is forgotten by the
            // others when its entry's time is over.
            if change.left {
                return;
            }
            for place in 0..to.len().min(TOLD_IN_LARGE) {
                let other =
                    place + usize::try_from(self.rng.next_u64()).unwrap_or_default() % (to.len() - place);
                to.swap(place, other);
            }
            to.truncate(TOLD_IN_LARGE);
        }
        for conn in to {
            self.send(conn, frame.clone());
        }
    }

    /// Signs that a peer is gone from here, unless it is not, or has a connection again.
    fn withdraw_ours(&mut self, now: Time, discovery: DiscoveryKey, peer: PeerId) {
        let key = Key { discovery, peer, home: self.us };
        if self.table.locals(&discovery).iter().any(|local| local.peer == peer) {
            return;
        }
        let Some(seq) = self.table.present_seq(&key) else { return };
        let gone = sign_gone(&self.key, &Gone { discovery, peer, home: self.us, seq });
        self.withdraw(now, key, seq, Kind::Gone, gone.into(), None);
    }

    fn detach(&mut self, discovery: &DiscoveryKey, peer: PeerId, conn: ConnId) {
        self.table.detach(discovery, &peer, conn);
        if let Some(at) = self.peers.conn_mut(conn) {
            at.swarms.retain(|swarm| swarm != discovery);
        }
    }

    /// Size, decode, whose it is, seen before: everything but the signature.
    fn peek(
        &self,
        peer: PeerId,
        bytes: &[u8],
        left: bool,
    ) -> Result<(Entry, Key, News), (Code, Option<DiscoveryKey>)> {
        let entry = peek_entry(bytes).map_err(|error| match error {
            StatementError::Wire(WireError::TooLarge { .. }) => (Code::TooLarge, None),
            _ => (Code::BadFrame, None),
        })?;
        let discovery = Some(entry.discovery);
        if entry.left != left {
            return Err((Code::BadFrame, discovery));
        }
        if entry.peer != peer || entry.home != self.us {
            return Err((Code::WrongParty, discovery));
        }
        let key = Key { discovery: entry.discovery, peer, home: self.us };
        let kind = if left { Kind::Left } else { Kind::Present };
        let news = self.table.news(&key, entry.seq, kind, bytes);
        Ok((entry, key, news))
    }

    /// Why an entry that belongs here is not taken.
    fn admission(&self, now: Time, conn: ConnId, entry: &Entry, news: News) -> Option<Code> {
        if matches!(news, News::Same | News::Other | News::Old) {
            return Some(Code::Replayed);
        }
        if entry.until <= now.millis() {
            return Some(Code::Expired);
        }
        let in_swarms = self.peers.conn(conn).map_or(0, |at| at.swarms.len());
        if !self.table.is_local(&entry.discovery, &entry.peer, conn)
            && in_swarms >= self.config.max_swarms_per_peer as usize
        {
            return Some(Code::TooManySwarms);
        }
        let (present, is_member) = self.table.presence(&entry.discovery, &entry.peer);
        if !is_member && present >= self.config.max_members_per_swarm as usize {
            return Some(Code::SwarmFull);
        }
        (news == News::New && self.table.len() >= self.config.max_entries as usize)
            .then_some(Code::SignalerFull)
    }

    /// Refuses an entry that no honest client sends: that counts towards a close.
    fn refuse_entry(&mut self, now: Time, conn: ConnId, code: Code, discovery: Option<DiscoveryKey>) {
        self.refuse(conn, code, None, discovery);
        self.strike(now, conn, code);
    }
}
