//! Who is in a swarm, as far as we know: from signalers, from links, from presences.
//!
//! Inputs: entries and leaves from signalers, links opened and closed, presences, records.
//! Outputs: [`Event::Peer`] for the application; presences to pass on.
//! Timers: members of whom nothing was heard, looked at once a second by the composition; presences that came too soon.
//! Invariants: a member is here while a signaler lists it, a link to it is open, or its presence is fresh; at most
//! [`MEMBERS`] members; each member is told of once when it comes and once when it goes.

use crate::sorted::{Map, Set};

use weft_crypto::statement;
use weft_query::Document;
use weft_wire::{
    AgreementKey, Bytes, DiscoveryKey, Entry, IdentityId, PeerId, PeerRecord, SignalerId, Time, limits,
};

use crate::api::{Event, HomeIndex, PeerChange, PeerInfo};
use crate::env::Env;
use crate::hearing::{Hearing, Said, Turn};

/// Members remembered per swarm; a signaler's list has at most 128, presences bring the rest.
const MEMBERS: usize = 4096;
/// Peers of identities that we looked for.
const FOUND: usize = 256;

#[derive(Debug)]
pub(crate) struct Roster {
    discovery: DiscoveryKey,
    members: Map<PeerId, Member>,
    /// Peers that said goodbye, and the number of that statement: an older presence does not bring them back.
    gone: Map<PeerId, u64>,
    /// Members that neighbours told of in large swarms: nobody says whether they are still here.
    passive: Map<PeerId, Passive>,
    /// Peers of identities that we looked for. Their owners say so, the peers themselves did not: nothing else is
    /// believed of them.
    found: Map<PeerId, Found>,
    /// How many members a signaler said there are.
    total: usize,
    hearing: Hearing,
}

#[derive(Debug)]
struct Found {
    identity: IdentityId,
    agreement: AgreementKey,
    sessions: bool,
    until: Time,
}

#[derive(Debug)]
struct Passive {
    contact: Contact,
    seq: u64,
    presence: Vec<u8>,
}

#[derive(Debug, Default)]
struct Member {
    agreement: Option<AgreementKey>,
    homes: Map<SignalerId, u64>,
    since: Option<u64>,
    record: Option<PeerRecord>,
    record_bytes: Vec<u8>,
    /// Our signalers that list it; with a time once we have lost that signaler.
    listed: Map<HomeIndex, Option<Time>>,
    linked: bool,
    /// The link is interrupted, so that it does not say that the peer is here.
    silent: bool,
    presence: Option<Presence>,
    /// It is negotiating with us: kept until then even if nothing else says that it is here.
    contact_until: Time,
    told: bool,
}

#[derive(Debug)]
struct Presence {
    seq: u64,
    heard: Time,
    links: Set<PeerId>,
    homes: Set<SignalerId>,
    forwarded: u64,
    state: Option<Bytes<{ limits::STATE }>>,
    bytes: Vec<u8>,
}

/// How to reach a peer.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) agreement: AgreementKey,
    pub(crate) homes: Vec<SignalerId>,
    /// Its record says that messages to it travel in sessions.
    pub(crate) sessions: bool,
}

/// What came of a presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// New: pass it on.
    New,
    /// Known already.
    Known,
    /// Not what it claims to be.
    Forged,
    /// One of far too many.
    Flood,
}

impl Roster {
    pub(crate) fn new(discovery: DiscoveryKey) -> Self {
        Self {
            discovery,
            members: Map::new(),
            gone: Map::new(),
            passive: Map::new(),
            found: Map::new(),
            total: 0,
            hearing: Hearing::default(),
        }
    }

    // ---- questions ----

    pub(crate) fn contact(&self, peer: &PeerId) -> Option<Contact> {
        let found = self.found.get(peer).map(|found| (found.agreement, found.sessions));
        let unlisted = found.map(|(agreement, sessions)| Contact { agreement, homes: Vec::new(), sessions });
        let Some(member) = self.members.get(peer) else {
            return self.passive.get(peer).map(|passive| passive.contact.clone()).or(unlisted);
        };
        let homes: Set<SignalerId> = member
            .homes
            .keys()
            .chain(member.presence.iter().flat_map(|presence| &presence.homes))
            .copied()
            .collect();
        let record = member.record.as_ref().map(|record| (record.agreement, record.sessions == Some(true)));
        let said = record.or(found);
        let agreement = member.agreement.or(said.map(|(agreement, _)| agreement))?;
        let sessions = said.is_some_and(|(_, sessions)| sessions);
        Some(Contact { agreement, homes: homes.into_iter().collect(), sessions })
    }

    /// Members that can be asked for a link, and whether nothing of them came over the mesh lately (they may be on
    /// another island).
    pub(crate) fn candidates(&self, now: Time, env: &Env) -> Vec<(PeerId, bool)> {
        let known = self.members.iter().filter(|(peer, member)| {
            member.told
                && !member.linked
                && (member.agreement.is_some() || member.record.is_some())
                && **peer != env.me
        });
        let large = self.is_large(env);
        let mut candidates: Vec<(PeerId, bool)> =
            known.map(|(peer, member)| (*peer, !large && !member.fresh(now, env))).collect();
        if candidates.is_empty() {
            let here = |peer: &PeerId| self.members.get(peer).is_some_and(|member| member.told);
            candidates.extend(self.passive.keys().filter(|peer| !here(peer)).map(|peer| (*peer, false)));
        }
        candidates
    }

    /// There are too many members for everybody to hear everybody's presence.
    pub(crate) fn is_large(&self, env: &Env) -> bool {
        self.total.max(self.members.len()) > env.config.presence_members
    }

    /// All members are known, and each has said whose peer it is.
    pub(crate) fn knows_all(&self, env: &Env) -> bool {
        let known = self.members.values().filter(|member| member.record.is_some()).count();
        !self.is_large(env) && known >= self.total.max(self.members.len())
    }

    /// How many members there are, as far as anybody told us.
    pub(crate) fn size(&self) -> usize {
        self.total.max(self.members.len()).saturating_add(1)
    }

    /// A member without a link whom a signaler lists, at random.
    pub(crate) fn somebody(&self, env: &mut Env) -> Option<PeerId> {
        let listed = |member: &Member| !member.linked && !member.listed.is_empty();
        let others: Vec<PeerId> =
            self.members.iter().filter(|(_, member)| listed(member)).map(|(peer, _)| *peer).collect();
        (!others.is_empty()).then(|| others[env.below(others.len())])
    }

    // ---- shuffles ----

    /// Presences of members to tell a neighbour of, at most so many.
    pub(crate) fn sample(&self, most: usize, env: &mut Env) -> Vec<Vec<u8>> {
        let heard = self.members.values().filter_map(|member| member.presence.as_ref());
        let mut all: Vec<&Vec<u8>> = heard.map(|presence| &presence.bytes).collect();
        all.extend(self.passive.values().map(|passive| &passive.presence));
        for place in 0..all.len().min(most) {
            let other = place + env.below(all.len() - place);
            all.swap(place, other);
        }
        all.into_iter().take(most).cloned().collect()
    }

    /// Takes a presence from a shuffle into the passive view; where that is full it takes the place of a random one.
    pub(crate) fn on_passive(&mut self, now: Time, bytes: &[u8], env: &mut Env) -> Heard {
        let Ok(seen) = statement::peek_presence(bytes) else { return Heard::Forged };
        let known = self.passive.get(&seen.peer).map(|passive| passive.seq);
        let known = known.max(self.gone.get(&seen.peer).copied());
        if seen.peer == env.me || known.is_some_and(|seq| seq >= seen.seq) {
            return Heard::Known;
        }
        let Ok(presence) = statement::open_presence(bytes) else { return Heard::Forged };
        let Ok(record) = statement::open_record(&presence.record) else { return Heard::Forged };
        if presence.discovery != self.discovery || record.peer != presence.peer || !is_sound(&presence) {
            return Heard::Forged;
        }
        if presence.left || record.until <= now.millis() {
            return Heard::Known;
        }
        if self.passive.len() >= env.config.passive_view && !self.passive.contains_key(&presence.peer) {
            let place = env.below(self.passive.len());
            let leaves = self.passive.keys().nth(place).copied();
            leaves.map(|peer| self.passive.remove(&peer));
        }
        let homes = presence.homes.iter().copied().collect();
        let sessions = record.sessions == Some(true);
        let contact = Contact { agreement: record.agreement, homes, sessions };
        let passive = Passive { contact, seq: presence.seq, presence: bytes.to_vec() };
        self.passive.insert(presence.peer, passive);
        Heard::New
    }

    /// A peer could not be reached: neighbours and signalers remember it for too long.
    pub(crate) fn on_unreachable(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        self.passive.remove(&peer);
        let large = self.is_large(env);
        if let Some(member) = self.members.get_mut(&peer).filter(|_| large) {
            member.listed.clear();
            self.settle(now, peer, false, env);
        }
    }

    pub(crate) fn peers_of(&self, identity: &IdentityId) -> Vec<PeerId> {
        let theirs =
            |member: &Member| member.record.as_ref().is_some_and(|record| record.identity == *identity);
        let members = self.members.iter().filter(|(_, member)| theirs(member)).map(|(peer, _)| peer);
        let found = self
            .found
            .iter()
            .filter(|(peer, found)| found.identity == *identity && self.record(peer).is_none());
        let found = found.map(|(peer, _)| peer);
        members.chain(found).copied().collect()
    }

    /// Whose peer it is: as it said itself, else as the identity says.
    pub(crate) fn identity(&self, peer: &PeerId) -> Option<IdentityId> {
        let own = self.record(peer).map(|(record, _)| record.identity);
        own.or_else(|| self.found.get(peer).map(|found| found.identity))
    }

    pub(crate) fn record(&self, peer: &PeerId) -> Option<(&PeerRecord, &[u8])> {
        let member = self.members.get(peer)?;
        member.record.as_ref().map(|record| (record, member.record_bytes.as_slice()))
    }

    pub(crate) fn infos(&self) -> Vec<PeerInfo> {
        self.members
            .iter()
            .filter(|(_, member)| member.told)
            .map(|(peer, member)| member.info(*peer))
            .collect()
    }

    /// A member was told of, and has not gone.
    pub(crate) fn is_here(&self, peer: &PeerId) -> bool {
        self.members.get(peer).is_some_and(|member| member.told)
    }

    /// Presences to give to a new neighbour.
    pub(crate) fn presences(&self, now: Time, env: &Env) -> Vec<Vec<u8>> {
        let fresh = self.members.values().filter(|member| member.fresh(now, env));
        fresh.filter_map(|member| member.presence.as_ref()).map(|presence| presence.bytes.clone()).collect()
    }

    // ---- inputs ----

    /// Takes an entry that has been verified.
    pub(crate) fn on_entry(&mut self, now: Time, home: HomeIndex, entry: &Entry, env: &mut Env) {
        if entry.peer == env.me || entry.discovery != self.discovery || !self.has_room(&entry.peer) {
            return;
        }
        let member = self.members.entry(entry.peer).or_default();
        let known = member.homes.get(&entry.home).copied();
        if known.is_some_and(|seq| seq > entry.seq) {
            return;
        }
        member.homes.insert(entry.home, entry.seq);
        member.agreement = Some(entry.agreement);
        member.since = Some(member.since.map_or(entry.since, |since| since.min(entry.since)));
        // In a swarm without whole lists nobody tells who goes.
        let until = (self.total > limits::ENTRIES).then(|| now + env.config.entry_ttl);
        member.listed.insert(home, until);
        self.gone.remove(&entry.peer);
        self.settle(now, entry.peer, known.is_none(), env);
    }

    /// Takes where a peer says it is, from an entry in one of its signals: enough to answer, not to list it.
    pub(crate) fn on_contact(&mut self, now: Time, entry: &Entry, env: &Env) {
        if entry.peer == env.me || !self.has_room(&entry.peer) {
            return;
        }
        let member = self.members.entry(entry.peer).or_default();
        member.contact_until = now + env.config.signal_give_up * 2;
        if member.homes.get(&entry.home).is_none_or(|seq| *seq <= entry.seq) {
            member.homes.insert(entry.home, entry.seq);
            member.agreement = Some(entry.agreement);
            member.since = member.since.or(Some(entry.since));
        }
    }

    /// A signaler says that a member's last entry is gone.
    pub(crate) fn on_left(&mut self, now: Time, home: HomeIndex, peer: PeerId, env: &mut Env) {
        if let Some(member) = self.members.get_mut(&peer) {
            member.listed.remove(&home);
            if member.listed.is_empty() {
                member.homes.clear();
            }
            self.settle(now, peer, false, env);
        }
    }

    /// A complete list of a signaler has come: whom it does not hold, that signaler does not list.
    pub(crate) fn on_list(
        &mut self,
        now: Time,
        home: HomeIndex,
        listed: &Set<PeerId>,
        total: u32,
        env: &mut Env,
    ) {
        self.total = total as usize;
        if listed.len() < total as usize {
            // Part of a list: who is not told of again is gone when its entry's time is over.
            let until = now + env.config.entry_ttl;
            for (peer, member) in &mut self.members {
                if let Some(end) = member.listed.get_mut(&home) {
                    *end = if listed.contains(peer) { Some(until) } else { end.or(Some(until)) };
                }
            }
            return;
        }
        let missing: Vec<PeerId> = self
            .members
            .iter()
            .filter(|(peer, member)| member.listed.contains_key(&home) && !listed.contains(peer))
            .map(|(peer, _)| *peer)
            .collect();
        for peer in missing {
            self.on_left(now, home, peer, env);
        }
    }

    /// A signaler of ours is lost: what it listed counts for one more life of an entry.
    pub(crate) fn on_home_lost(&mut self, now: Time, home: HomeIndex, env: &Env) {
        for member in self.members.values_mut() {
            if let Some(until) = member.listed.get_mut(&home) {
                until.get_or_insert(now + env.config.entry_ttl);
            }
        }
    }

    pub(crate) fn on_linked(&mut self, now: Time, peer: PeerId, linked: bool, env: &mut Env) {
        if !linked && !self.members.contains_key(&peer) {
            return;
        }
        let member = self.members.entry(peer).or_default();
        let changed = member.linked != linked;
        member.linked = linked;
        member.silent = false;
        self.settle(now, peer, changed, env);
    }

    /// The link to a peer works, or is interrupted: then only a fresh presence or a signaler says that it is here.
    pub(crate) fn on_link_health(&mut self, now: Time, peer: PeerId, healthy: bool, env: &mut Env) {
        if healthy {
            self.on_linked(now, peer, true, env);
        }
        if let Some(member) = self.members.get_mut(&peer) {
            member.silent = !healthy;
        }
    }

    /// Takes a record that has been verified; gives false if it is expired, older than the known one, or no room.
    pub(crate) fn on_record(&mut self, now: Time, record: PeerRecord, bytes: &[u8], env: &mut Env) -> bool {
        let peer = record.peer;
        if record.until <= now.millis() || peer == env.me || !self.has_room(&peer) {
            return false;
        }
        if self.members.entry(peer).or_default().learn(record, bytes) {
            self.settle(now, peer, true, env);
        }
        true
    }

    /// A search for an identity has found this peer: enough to write to it.
    pub(crate) fn on_found(&mut self, now: Time, record: &PeerRecord, env: &Env) {
        if self.found.len() >= FOUND && !self.found.contains_key(&record.peer) {
            let first = self.found.iter().min_by_key(|(_, found)| found.until).map(|(peer, _)| *peer);
            first.map(|peer| self.found.remove(&peer));
        }
        let until = now + env.config.entry_ttl;
        let (identity, agreement) = (record.identity, record.agreement);
        let found = Found { identity, agreement, sessions: record.sessions == Some(true), until };
        self.found.insert(record.peer, found);
    }

    /// Takes a presence as it came: checks it, in the order size, seen before, signature, and whether this peer spoke
    /// just now.
    pub(crate) fn on_presence(
        &mut self,
        now: Time,
        (from, hops): (Option<PeerId>, u8),
        bytes: &[u8],
        env: &mut Env,
    ) -> Heard {
        let Ok(seen) = statement::peek_presence(bytes) else { return Heard::Forged };
        let peer = seen.peer;
        let newest =
            self.members.get(&peer).and_then(|member| member.presence.as_ref()).map(|known| known.seq);
        let newest = newest.max(self.gone.get(&peer).copied()).max(self.hearing.newest(&peer));
        if peer == env.me || newest.is_some_and(|seq| seq >= seen.seq) || !self.has_room(&peer) {
            return Heard::Known;
        }
        let Ok(presence) = statement::open_presence(bytes) else { return Heard::Forged };
        let known = self.record(&peer).filter(|(_, known)| *known == presence.record);
        let record = known.map(|(record, _)| record.clone());
        let Some(record) = record.or_else(|| statement::open_record(&presence.record).ok()) else {
            return Heard::Forged;
        };
        if presence.discovery != self.discovery || record.peer != peer || !is_sound(&presence) {
            return Heard::Forged;
        }
        if !presence.left && record.until <= now.millis() {
            return Heard::Known;
        }
        let said = Said { peer, seq: presence.seq, from, hops, bytes: bytes.to_vec() };
        match self.hearing.on_said(now, said) {
            Turn::Now => {
                self.hear(now, presence, record, bytes, env);
                Heard::New
            }
            Turn::Later => Heard::Known,
            Turn::Flood => Heard::Flood,
        }
    }

    /// Hears the presences whose turn has come, and gives them to be passed on.
    pub(crate) fn hear_late(&mut self, now: Time, env: &mut Env) -> Vec<Said> {
        let due = self.hearing.due(now);
        for Said { bytes, .. } in &due {
            // Both were verified when they came.
            if let Ok(presence) = statement::peek_presence(bytes)
                && let Ok(record) = statement::peek_record(&presence.record)
            {
                self.hear(now, presence, record, bytes, env);
            }
        }
        due
    }

    fn hear(
        &mut self,
        now: Time,
        presence: weft_wire::Presence,
        record: PeerRecord,
        bytes: &[u8],
        env: &mut Env,
    ) {
        let peer = presence.peer;
        if presence.left {
            self.remember_gone(peer, presence.seq);
            if let Some(member) = self.members.get_mut(&peer) {
                member.listed.clear();
                member.presence = None;
                member.linked = false;
            }
            return self.remove(now, peer, env);
        }
        let member = self.members.entry(peer).or_default();
        let learnt = member.learn(record, &presence.record);
        let links: Set<PeerId> = presence.links.iter().copied().collect();
        let homes: Set<SignalerId> = presence.homes.iter().copied().collect();
        let changed = member.presence.as_ref().is_none_or(|known| {
            known.links != links
                || known.homes != homes
                || known.forwarded != presence.forwarded
                || known.state != presence.state
        });
        // It says where it is: of what older entries said, only that is left. (A full list may not be all.)
        if homes.len() < limits::PRESENCE_HOMES {
            member.homes.retain(|home, seq| *seq > presence.seq || homes.contains(home));
        }
        member.presence = Some(Presence {
            seq: presence.seq,
            heard: now,
            links,
            homes,
            forwarded: presence.forwarded,
            state: presence.state,
            bytes: bytes.to_vec(),
        });
        self.settle(now, peer, changed || learnt, env);
    }

    /// A peer is its identity's no longer: whatever says that it is here does not count.
    pub(crate) fn forget(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        self.passive.remove(&peer);
        self.found.remove(&peer);
        if let Some(member) = self.members.get_mut(&peer) {
            member.listed.clear();
            (member.presence, member.linked, member.contact_until) = (None, false, now);
            self.remove(now, peer, env);
        }
    }

    // ---- timers ----

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) {
        for member in self.members.values_mut() {
            member.listed.retain(|_, until| until.is_none_or(|until| until > now));
        }
        self.found.retain(|_, found| found.until > now);
        self.hearing.on_time(now);
        let stale: Vec<PeerId> =
            self.members.iter().filter(|(_, member)| !member.here(now, env)).map(|(peer, _)| *peer).collect();
        for peer in stale {
            self.remove(now, peer, env);
        }
        // Who is here only because a signaler lists it may have said something else since.
        let mut silent = Vec::new();
        for (peer, member) in &mut self.members {
            if !member.linked
                && !member.fresh(now, env)
                && member.presence.as_mut().is_some_and(|presence| presence.state.take().is_some())
            {
                silent.push(*peer);
            }
        }
        for peer in silent {
            self.settle(now, peer, true, env);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.hearing.deadline()
    }

    // ---- helpers ----

    fn has_room(&self, peer: &PeerId) -> bool {
        self.members.len() < MEMBERS || self.members.contains_key(peer)
    }

    fn remember_gone(&mut self, peer: PeerId, seq: u64) {
        if self.gone.len() >= MEMBERS {
            self.gone.pop_first();
        }
        self.gone.insert(peer, seq);
    }

    /// Tells what follows from a change of a member.
    fn settle(&mut self, now: Time, peer: PeerId, changed: bool, env: &mut Env) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        if !member.here(now, env) {
            self.remove(now, peer, env);
        } else if !member.told {
            member.told = true;
            let info = Box::new(member.info(peer));
            env.event(Event::Peer { discovery: self.discovery, change: PeerChange::Joined, peer: info });
        } else if changed {
            let info = Box::new(member.info(peer));
            env.event(Event::Peer { discovery: self.discovery, change: PeerChange::Changed, peer: info });
        }
    }

    fn remove(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        let Some(member) = self.members.get_mut(&peer) else { return };
        let told = core::mem::take(&mut member.told);
        if told {
            let info = Box::new(member.info(peer));
            env.event(Event::Peer { discovery: self.discovery, change: PeerChange::Left, peer: info });
        }
        if self.members.get(&peer).is_some_and(|member| member.contact_until <= now) {
            self.members.remove(&peer);
        }
    }
}

impl Member {
    fn fresh(&self, now: Time, env: &Env) -> bool {
        let fresh = |presence: &Presence| now.since(presence.heard) < env.config.presence_offline;
        self.presence.as_ref().is_some_and(fresh)
    }

    fn here(&self, now: Time, env: &Env) -> bool {
        (self.linked && !self.silent) || !self.listed.is_empty() || self.fresh(now, env)
    }

    /// Takes a record if it is newer; true if it is.
    fn learn(&mut self, record: PeerRecord, bytes: &[u8]) -> bool {
        if self.record.as_ref().is_some_and(|known| known.issued >= record.issued) {
            return false;
        }
        self.record = Some(record);
        bytes.clone_into(&mut self.record_bytes);
        true
    }

    fn info(&self, peer: PeerId) -> PeerInfo {
        PeerInfo {
            peer,
            identity: self.record.as_ref().map(|record| record.identity),
            name: self.record.as_ref().map(|record| record.name.to_string()).unwrap_or_default(),
            since: self.since,
            linked: self.linked,
            links: self.presence.as_ref().map(|presence| presence.links.clone()).unwrap_or_default(),
            homes: self
                .homes
                .keys()
                .chain(self.presence.iter().flat_map(|presence| &presence.homes))
                .copied()
                .collect(),
            forwarded: self.presence.as_ref().map(|presence| presence.forwarded).unwrap_or_default(),
            state: self
                .presence
                .as_ref()
                .and_then(|presence| Document::decode(&presence.state.as_ref()?.0).ok()),
        }
    }
}

/// What its application says is a document.
fn is_sound(presence: &weft_wire::Presence) -> bool {
    presence.state.as_ref().is_none_or(|state| Document::decode(&state.0).is_ok())
}
