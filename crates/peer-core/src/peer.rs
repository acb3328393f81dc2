//! The composition of a peer: it only routes between the machines.

use crate::sorted::{Map, Set};
use std::sync::Arc;
use std::time::Duration;

use weft_crypto::{Party, envelope, statement};
use weft_query::Document;
use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::sealed::{Refusal, Sealed, Signal};
use weft_wire::{DiscoveryKey, Entry, IdentityId, PeerId, PeerRecord, SessionId, Time, decode, limits};

use crate::api::{Command, CommandError, CommandId, Event, HomeIndex, Input, Output, PeerInfo, Stats};
use crate::backoff::Backoff;
use crate::config::Config;
use crate::env::Env;
use crate::feeds::{Accepted, Verdict};
use crate::homes::{HomeEvent, Homes};
use crate::kept::{Age, Kept};
use crate::keys::Keys;
use crate::links::{LinkEvent, Links};
use crate::mail::{self, Letter, Mail};
use crate::negotiation::{Negotiator, Step};
use crate::roster::{Contact, Heard};
use crate::subscriptions::Subscriptions;
use crate::swarm::Swarm;
use crate::view::{Admission, PartyView, View};

/// Rosters are looked at this often for members of whom nothing was heard.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Leave a peer alone for this long after it refused for want of room.
const AFTER_FULL: Duration = Duration::from_secs(2);
/// Leave a peer alone for this long after it broke the protocol.
const AFTER_MISBEHAVIOUR: Duration = Duration::from_secs(60);

/// A peer. See [`crate::api`] for how to drive it.
#[derive(Debug)]
pub struct Peer {
    env: Env,
    homes: Homes,
    swarms: Map<DiscoveryKey, Swarm>,
    negotiator: Negotiator,
    links: Links,
    view: View,
    backoff: Backoff,
    subscriptions: Subscriptions,
    mail: Mail,
    next_command: u64,
    housekeeping_at: Time,
    queue_was_full: bool,
    closed: bool,
}

impl Peer {
    /// A new peer; dials its signalers at once. `seed` is 32 bytes from a cryptographic source.
    pub fn new(config: Config, keys: Keys, seed: [u8; 32], now: Time) -> Self {
        let env = Env::new(config, keys, seed, now);
        let homes = Homes::new(&env.config.signalers, now, &env);
        let mut peer = Self {
            env,
            homes,
            swarms: Map::new(),
            negotiator: Negotiator::default(),
            links: Links::default(),
            view: View::default(),
            backoff: Backoff::default(),
            subscriptions: Subscriptions::default(),
            mail: Mail::default(),
            next_command: 0,
            housekeeping_at: now + HOUSEKEEPING,
            queue_was_full: false,
            closed: false,
        };
        peer.settle(now);
        peer
    }

    /// This peer.
    pub fn id(&self) -> PeerId {
        self.env.me
    }

    /// Whose peer it is.
    pub fn identity(&self) -> IdentityId {
        self.env.identity
    }

    /// Takes a command of the application.
    ///
    /// # Errors
    /// See [`CommandError`]; state is then unchanged.
    pub fn command(&mut self, now: Time, command: Command) -> Result<CommandId, CommandError> {
        if self.closed {
            return Err(CommandError::Closed);
        }
        let id = CommandId(self.next_command + 1);
        match command {
            Command::Join { party } => self.join(now, &party)?,
            Command::Leave { discovery } => self.leave(now, discovery)?,
            Command::Subscribe { discovery, filter, backlog } => {
                self.subscribe(now, id, discovery, filter, backlog)?;
            }
            Command::Unsubscribe { subscription } => {
                if !self.subscriptions.remove(subscription) {
                    return Err(CommandError::UnknownSubscription);
                }
            }
            Command::Publish { discovery, document } => self.publish(now, id, discovery, &document)?,
            Command::Send { to, document } => self.send(now, id, to, &document)?,
            Command::Block { peer } => self.block(now, peer),
            Command::Unblock { peer } => self.view.unblock(&peer),
            Command::Rename { name } => self.rename(now, name)?,
            Command::Close => self.close(now),
        }
        self.next_command = id.0;
        self.settle(now);
        Ok(id)
    }

    /// Takes what happened. Remote data never fails: it is counted, and may cost its sender the link.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        if self.closed {
            return;
        }
        match input {
            Input::SignalerOpened { home } => self.homes.on_opened(now, home),
            Input::SignalerFrame { home, bytes } => {
                let event = self.homes.on_frame(now, home, bytes, &mut self.env);
                if let Some(event) = event {
                    self.on_home(now, event);
                }
            }
            Input::SignalerClosed { home, reason } => {
                let event = self.homes.on_closed(now, home, reason, &mut self.env);
                if let Some(event) = event {
                    self.on_home(now, event);
                }
            }
            Input::LocalDescription { link, sdp } => {
                let steps = self.negotiator.on_description(now, link, &sdp, &mut self.env);
                self.take(now, steps);
            }
            Input::LocalCandidate { link, candidate } => {
                let steps = self.negotiator.on_candidate(now, link, candidate, &mut self.env);
                self.take(now, steps);
            }
            Input::LinkFailed { link, reason } => {
                let steps = self.negotiator.on_link_failed(link, &reason, &mut self.env);
                self.take(now, steps);
            }
            Input::CandidateRefused { .. } => self.env.stats.malformed += 1,
            Input::IceChanged { link, state } => self.negotiator.on_ice(now, link, state, &mut self.env),
            Input::ChannelOpened { link } => {
                let steps = self.negotiator.on_channel_opened(now, link, &mut self.env);
                self.take(now, steps);
            }
            Input::ChannelMessage { link, bytes } => {
                let Some(peer) = self.negotiator.peer(link) else { return };
                self.negotiator.on_alive(&peer, &mut self.env);
                let party = |key: &DiscoveryKey| self.swarms.get(key).map(|swarm| &swarm.party);
                let event = self.links.on_message(now, peer, bytes, party, &mut self.env);
                if let Some(event) = event {
                    self.on_link(now, event);
                }
            }
            Input::ChannelDrained { link } => {
                if let Some(peer) = self.negotiator.peer(link) {
                    self.links.on_drained(peer, &mut self.env);
                }
            }
            Input::ChannelClosed { link } => {
                let steps = self.negotiator.on_channel_closed(link, &mut self.env);
                self.take(now, steps);
            }
            Input::Online => {
                self.homes.on_online(now, &mut self.env);
                self.backoff.on_online();
                self.negotiator.on_reachable(now);
                let open: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
                for peer in open {
                    self.links.ping(now, peer, &mut self.env);
                }
            }
            Input::Timeout => {}
        }
        self.settle(now);
    }

    /// The next thing to do; nothing when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        self.env.out.pop_front()
    }

    /// When [`Input::Timeout`] is due, at the latest.
    pub fn deadline(&self) -> Option<Time> {
        if self.closed {
            return None;
        }
        let swarms = self.swarms.values().filter_map(|swarm| swarm.deadline(&self.env)).min();
        let housekeeping = (!self.swarms.is_empty()).then_some(self.housekeeping_at);
        [
            self.homes.deadline(&self.env),
            self.negotiator.deadline(&self.env),
            self.links.deadline(&self.env),
            self.mail.deadline(&self.env),
            self.subscriptions.deadline(),
            self.view.deadline(),
            swarms,
            housekeeping,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Who is in a party, ourselves not counted; ordered by id.
    pub fn peers(&self, discovery: &DiscoveryKey) -> Vec<PeerInfo> {
        self.swarms.get(discovery).map(|swarm| swarm.roster.infos()).unwrap_or_default()
    }

    /// Bytes that closing now could lose: own publications that nobody has been given yet, and what waits for channels.
    /// When it is 0 and every channel has drained, all is on its way.
    pub fn unsent(&self) -> usize {
        let alone: usize = self.swarms.values().map(|swarm| swarm.feeds.alone_bytes()).sum();
        let queued: usize = self.links.open().map(|(peer, _)| self.links.queued(&peer)).sum();
        alone + queued
    }

    /// Figures since the start.
    pub fn stats(&self) -> Stats {
        self.env.stats
    }

    // ---- commands ----

    fn join(&mut self, now: Time, party: &Party) -> Result<(), CommandError> {
        let discovery = party.discovery();
        if self.swarms.contains_key(&discovery) {
            return Ok(());
        }
        if self.swarms.len() >= limits::PARTIES {
            return Err(CommandError::TooManyParties);
        }
        self.swarms.insert(discovery, Swarm::new(party.clone(), now));
        self.homes.join(now, discovery, &mut self.env);
        let events = self.links.join(party, &mut self.env);
        for event in events {
            self.on_link(now, event);
        }
        Ok(())
    }

    fn leave(&mut self, now: Time, discovery: DiscoveryKey) -> Result<(), CommandError> {
        if !self.swarms.contains_key(&discovery) {
            return Err(CommandError::NotInParty);
        }
        self.say_goodbye(now, discovery);
        self.swarms.remove(&discovery);
        self.subscriptions.remove_party(&discovery);
        self.homes.leave(now, discovery, &mut self.env);
        self.links.leave(discovery, &mut self.env);
        self.close_useless(now);
        Ok(())
    }

    fn subscribe(
        &mut self,
        now: Time,
        id: CommandId,
        discovery: DiscoveryKey,
        filter: weft_query::Filter,
        backlog: bool,
    ) -> Result<(), CommandError> {
        let swarm = self.swarms.get_mut(&discovery).ok_or(CommandError::NotInParty)?;
        if self.subscriptions.len() >= self.env.config.subscriptions {
            return Err(CommandError::TooManySubscriptions(self.env.config.subscriptions));
        }
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        if backlog {
            for peer in &neighbours {
                let want = swarm.want(now, *peer, true);
                self.links.send(*peer, &want, &mut self.env);
            }
        }
        self.subscriptions.add(now, id, discovery, filter, backlog, &neighbours);
        Ok(())
    }

    fn publish(
        &mut self,
        now: Time,
        id: CommandId,
        discovery: DiscoveryKey,
        document: &Document,
    ) -> Result<(), CommandError> {
        let body = document.encode();
        if body.len() > limits::DOCUMENT {
            return Err(CommandError::TooLarge { len: body.len(), max: limits::DOCUMENT });
        }
        let waiting = self.publish_queue(&discovery).ok_or(CommandError::NotInParty)?;
        if waiting >= self.env.config.publish_queue {
            self.queue_was_full = true;
            return Err(CommandError::QueueFull(waiting));
        }
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.feeds.must_flush_before(body.len())) {
            self.flush(now, discovery);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return Err(CommandError::NotInParty) };
        let (publication, seq) = swarm.feeds.publish(now, body, &self.env);
        self.env.stats.published += 1;
        self.env.event(Event::Published { command: id, id: publication, seq });
        Ok(())
    }

    fn send(
        &mut self,
        now: Time,
        id: CommandId,
        to: IdentityId,
        document: &Document,
    ) -> Result<(), CommandError> {
        let body = document.encode();
        // Room for the record, the entry and the envelope's own bytes.
        let max = limits::ENVELOPE - envelope::OVERHEAD - limits::RECORD - limits::ENTRY - 256;
        if body.len() > max {
            return Err(CommandError::TooLarge { len: body.len(), max });
        }
        if self.mail.len() >= mail::OUTGOING {
            return Err(CommandError::QueueFull(self.mail.len()));
        }
        self.mail.send(now, id, to, body, &mut self.env);
        Ok(())
    }

    fn block(&mut self, now: Time, peer: PeerId) {
        self.view.block(peer);
        self.drop_link(now, peer, ByeReason::Blocked, "blocked");
    }

    fn rename(&mut self, now: Time, name: String) -> Result<(), CommandError> {
        if name.len() > limits::NAME {
            return Err(CommandError::NameTooLong);
        }
        self.env.config.name = name;
        self.env.renew_record(now);
        for swarm in self.swarms.values_mut() {
            swarm.on_changed(now, &self.env);
            swarm.introduced = false;
        }
        Ok(())
    }

    fn close(&mut self, now: Time) {
        let parties: Vec<DiscoveryKey> = self.swarms.keys().copied().collect();
        for discovery in parties {
            self.flush(now, discovery);
            self.say_goodbye(now, discovery);
        }
        let peers: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
        for peer in peers {
            self.drop_link(now, peer, ByeReason::Leaving, "we are leaving");
        }
        self.mail.close(&mut self.env);
        self.homes.close(now, &mut self.env);
        self.closed = true;
        self.env.event(Event::Closed);
    }

    // ---- what signalers say ----

    fn on_home(&mut self, now: Time, event: HomeEvent) {
        match event {
            HomeEvent::Up => {
                self.negotiator.on_reachable(now);
                for swarm in self.swarms.values_mut() {
                    swarm.introduced = false;
                    swarm.on_changed(now, &self.env);
                }
            }
            HomeEvent::Lost(home) => {
                for swarm in self.swarms.values_mut() {
                    swarm.roster.on_home_lost(now, home, &self.env);
                    swarm.on_changed(now, &self.env);
                }
            }
            HomeEvent::Members { home, discovery, entries, total } => {
                let complete = entries.len() >= total as usize;
                let mut listed = Set::new();
                for bytes in entries {
                    listed.extend(self.on_entry(now, home, &bytes).map(|entry| entry.peer));
                }
                if let Some(swarm) = self.swarms.get_mut(&discovery).filter(|_| complete) {
                    swarm.roster.on_list(now, home, &listed, &mut self.env);
                }
                self.introduce(now, discovery);
            }
            HomeEvent::Joined { home, entry } => {
                self.on_entry(now, home, &entry);
            }
            HomeEvent::Left { home, discovery, peer } => {
                if let Some(swarm) = self.swarms.get_mut(&discovery) {
                    swarm.roster.on_left(now, home, peer, &mut self.env);
                }
            }
            HomeEvent::Envelope { home, envelope } => self.on_envelope(now, &envelope, Some(home)),
            HomeEvent::Fanned { discovery, payload } => {
                let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
                match swarm.party.open_fanout(&payload) {
                    Some(presence) => self.on_presence(now, None, limits::HOPS, &presence),
                    None => self.env.stats.unopened += 1,
                }
            }
        }
    }

    fn on_entry(&mut self, now: Time, home: HomeIndex, bytes: &[u8]) -> Option<Entry> {
        let Ok(entry) = statement::open_entry(bytes) else {
            self.env.stats.forged += 1;
            self.env.warn("bad-signature", "a signaler passed on a discovery entry that does not verify");
            return None;
        };
        let swarm = self.swarms.get_mut(&entry.discovery)?;
        swarm.roster.on_entry(now, home, &entry, &mut self.env);
        Some(entry)
    }

    /// Tells the members that signalers know who we are, before there are links to say it over.
    fn introduce(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery).filter(|swarm| !swarm.introduced) else { return };
        swarm.introduced = true;
        let links: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        let presence =
            swarm.sign_presence(now, links.into_iter(), self.homes.signalers(), false, &mut self.env);
        let sealed = swarm.party.seal_fanout(&mut self.env.rng, &presence);
        self.homes.fanout(discovery, &sealed, &mut self.env);
    }

    // ---- what is sealed ----

    fn on_envelope(&mut self, now: Time, bytes: &[u8], home: Option<HomeIndex>) {
        let opened = match envelope::open(&self.env.keys.peer, bytes) {
            Ok(opened) => opened,
            Err(error) => {
                self.env.stats.unopened += 1;
                let way = if home.is_some() { "a signaler" } else { "a neighbour" };
                self.env.warn("bad-envelope", format!("{error} (it came from {way})"));
                return;
            }
        };
        let Ok(contents) = decode::<Sealed>(&opened.body, limits::ENVELOPE) else {
            self.env.stats.malformed += 1;
            return;
        };
        let from = opened.sender;
        match contents {
            Sealed::Signal { discovery, session, generation, signal } => {
                self.on_signal(now, from, (discovery, session, generation), signal);
            }
            Sealed::Message { id, record, time, body, entry } => {
                let Some(record) = self.check_record(now, from, &record) else { return };
                self.mail.on_message((record.identity, from), id, time, &body, &mut self.env);
                let contact = statement::open_entry(&entry).ok().filter(|entry| entry.peer == from);
                let contact =
                    contact.map(|entry| Contact { agreement: entry.agreement, homes: vec![entry.home] });
                let contact = contact.or(Some(Contact { agreement: record.agreement, homes: Vec::new() }));
                self.seal_and_send(from, contact, &Sealed::Receipt { id }, 0, true);
            }
            Sealed::Receipt { id } => {
                let by = self.swarms.values().find_map(|swarm| swarm.roster.record(&from));
                let by = by.map(|(record, _)| record.identity);
                self.mail.on_receipt(id, by, &mut self.env);
            }
        }
    }

    fn check_record(&mut self, now: Time, from: PeerId, bytes: &[u8]) -> Option<PeerRecord> {
        let record = statement::open_record(bytes).ok();
        let good = record.filter(|record| record.peer == from && record.until > now.millis());
        if good.is_none() {
            self.env.stats.forged += 1;
            self.env.warn("bad-signature", "a message came with a peer record that does not verify");
        }
        good
    }

    fn on_signal(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, session, generation): (DiscoveryKey, SessionId, u32),
        signal: Signal,
    ) {
        let about = (discovery, session, generation);
        if let Signal::Knock { entry, .. } | Signal::Offer { entry, .. } = &signal
            && let Ok(entry) = statement::open_entry(entry)
            && entry.peer == from
            && let Some(swarm) = self.swarms.get_mut(&discovery)
        {
            swarm.roster.on_contact(now, &entry, &self.env);
        }
        if !self.swarms.contains_key(&discovery) {
            // Nothing is known of the sender here, so there is nowhere to send a refusal: it gives up by itself.
            self.env.stats.unopened += 1;
            return;
        }
        if self.negotiator.is_new(&from, &session, &signal) {
            if self.backoff.is_barred(now, &from) {
                return self.take(now, vec![Negotiator::refuse(from, about, Refusal::Full)]);
            }
            let urgent =
                matches!(signal, Signal::Knock { urgent: true, .. } | Signal::Offer { urgent: true, .. });
            // A peer whose session we hold takes its own place, and so does one we are knocking at.
            let links = self.negotiator.count() - usize::from(self.negotiator.has(&from));
            let open: Vec<PeerId> =
                self.links.open().map(|(peer, _)| peer).filter(|peer| *peer != from).collect();
            match self.view.admit(now, &from, urgent, links, &open, &mut self.env) {
                Admission::Accept => {}
                Admission::InPlaceOf(other) => {
                    self.drop_link(now, other, ByeReason::MadeRoom, "made room for a peer that had no link");
                }
                Admission::Refuse(reason) => {
                    return self.take(now, vec![Negotiator::refuse(from, about, reason)]);
                }
            }
        }
        let heard = self.links.heard(&from);
        let steps = self.negotiator.on_signal(now, from, about, signal, heard, &mut self.env);
        self.take(now, steps);
    }

    /// Seals and sends by the best way there is: the link, if it works (and may be used); a signaler; neighbours.
    fn seal_and_send(
        &mut self,
        to: PeerId,
        contact: Option<Contact>,
        contents: &Sealed,
        attempt: u32,
        by_link: bool,
    ) -> bool {
        let known = self.swarms.values().find_map(|swarm| swarm.roster.contact(&to));
        // What the roster knows is newer; a contact that came with a message serves for those who are not in it, or
        // have lost their homes.
        let Some(contact) = (match known {
            Some(known) if !known.homes.is_empty() => Some(known),
            known => contact.or(known),
        }) else {
            return false;
        };
        let Some(sealed) = self.env.seal(to, &contact.agreement, contents) else { return false };
        if by_link && self.links.is_open(&to) && self.negotiator.healthy(&to) {
            return self.links.send(to, &Frame::Envelope { to, hops: 0, envelope: &sealed }, &mut self.env);
        }
        // Every third attempt goes over the mesh, in case the signalers do not reach the recipient; all do if there is
        // no signaler on either side.
        let over_mesh = attempt % 3 == 2 || contact.homes.is_empty() || !self.homes.any_up();
        if !over_mesh && self.homes.forward(to, &contact.homes, &sealed, attempt, &mut self.env) {
            return true;
        }
        let neighbours: Vec<PeerId> =
            self.links.open().map(|(peer, _)| peer).filter(|peer| *peer != to).collect();
        let mut sent = false;
        for peer in neighbours {
            sent |= self.links.send(peer, &Frame::Envelope { to, hops: 0, envelope: &sealed }, &mut self.env);
        }
        sent || self.homes.forward(to, &contact.homes, &sealed, attempt, &mut self.env)
    }

    // ---- negotiations ----

    fn take(&mut self, now: Time, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send { to, discovery, session, generation, mut signal, attempt } => {
                    if let Signal::Knock { entry, .. } | Signal::Offer { entry, .. } = &mut signal {
                        *entry = self.homes.own_entry(Some(&discovery));
                    }
                    let sealed = Sealed::Signal { discovery, session, generation, signal };
                    self.seal_and_send(to, None, &sealed, attempt, false);
                }
                Step::Opened { peer, link, transcript } => {
                    let parties = self.swarms.values().map(|swarm| &swarm.party);
                    self.links.on_opened(now, peer, link, transcript, parties, &mut self.env);
                }
                Step::Doubted { peer } => self.links.ping(now, peer, &mut self.env),
                Step::Ended { peer, refusal, open_since } => {
                    self.on_ended(now, peer, refusal, open_since);
                }
            }
        }
    }

    fn on_ended(&mut self, now: Time, peer: PeerId, refusal: Option<Refusal>, open_since: Option<Time>) {
        if self.links.remove(&peer) {
            for (discovery, swarm) in &mut self.swarms {
                swarm.on_unlinked(now, peer, &mut self.env);
                self.subscriptions.on_answered(discovery, peer);
            }
        }
        match refusal {
            Some(Refusal::Full | Refusal::NotInSwarm) => self.backoff.hold(now, peer, AFTER_FULL, &self.env),
            Some(Refusal::Blocked) => self.backoff.hold(now, peer, AFTER_MISBEHAVIOUR, &self.env),
            Some(Refusal::UnknownSession) => {}
            _ => self.backoff.on_ended(now, peer, open_since.map(|at| now.since(at)), &self.env),
        }
    }

    fn drop_link(&mut self, now: Time, peer: PeerId, reason: ByeReason, text: &str) {
        self.links.bye(peer, reason, &mut self.env);
        let steps = self.negotiator.close(peer, text, &mut self.env);
        self.take(now, steps);
        if reason == ByeReason::NothingInCommon {
            self.backoff.forget(&peer);
        }
    }

    // ---- what neighbours say ----

    fn on_link(&mut self, now: Time, event: LinkEvent) {
        match event {
            // Who knows a discovery key, as every signaler does, but proves no party's key, takes nobody's place.
            LinkEvent::Open { peer, parties, .. } if parties.is_empty() => {
                self.links.bye(peer, ByeReason::NothingInCommon, &mut self.env);
                let steps = self.negotiator.close(peer, "it proved no party's key", &mut self.env);
                self.take(now, steps);
                self.backoff.bar(now, peer, AFTER_FULL, &self.env);
            }
            LinkEvent::Open { peer, record, record_bytes, parties } => {
                self.env.event(Event::Link { peer, state: crate::api::LinkState::Open });
                for discovery in parties {
                    self.on_neighbour(now, peer, discovery, Some((&record, &record_bytes)));
                }
            }
            LinkEvent::Parties { peer, joined, left } => {
                for discovery in left {
                    if let Some(swarm) = self.swarms.get_mut(&discovery) {
                        swarm.on_unlinked(now, peer, &mut self.env);
                    }
                    self.subscriptions.on_answered(&discovery, peer);
                }
                for discovery in joined {
                    self.on_neighbour(now, peer, discovery, None);
                }
                self.close_useless(now);
            }
            LinkEvent::Close { peer, reason, misbehaved } => {
                if misbehaved {
                    self.env.warn("peer-misbehaved", format!("{peer}: {reason}"));
                    self.links.bye(peer, ByeReason::Misbehaved, &mut self.env);
                }
                let steps = self.negotiator.close(peer, &reason, &mut self.env);
                self.take(now, steps);
                if misbehaved {
                    self.backoff.hold(now, peer, AFTER_MISBEHAVIOUR, &self.env);
                }
            }
            LinkEvent::Closed { peer, reason, needless } => {
                let reason = format!("the other side closed the link ({})", reason.text());
                let steps = self.negotiator.close(peer, &reason, &mut self.env);
                self.take(now, steps);
                if needless {
                    self.backoff.forget(&peer);
                }
            }
            LinkEvent::Frame { peer, bytes } => {
                if let Ok(frame) = decode::<Frame<'_>>(&bytes, limits::LINK_MESSAGE) {
                    self.on_link_frame(now, peer, frame);
                }
            }
        }
    }

    /// A peer with a link is in a party that we are in.
    fn on_neighbour(
        &mut self,
        now: Time,
        peer: PeerId,
        discovery: DiscoveryKey,
        record: Option<(&PeerRecord, &[u8])>,
    ) {
        // A record that came with the hello holds for parties joined later, too.
        let known = self.swarms.values().find_map(|swarm| swarm.roster.record(&peer));
        let known = record.or(known).map(|(record, bytes)| (record.clone(), bytes.to_vec()));
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if let Some((record, bytes)) = known {
            swarm.feeds.learn(now, &record, &bytes, &self.env);
            let identity = record.identity;
            swarm.roster.on_record(now, record, &bytes, &mut self.env);
            self.mail.on_known(now, &identity);
        }
        swarm.roster.on_linked(now, peer, true, &mut self.env);
        swarm.on_changed(now, &self.env);
        let backlog = self.subscriptions.wants_backlog(&discovery);
        let want = swarm.want(now, peer, backlog);
        self.links.send(peer, &want, &mut self.env);
        self.subscriptions.on_asked(&discovery, peer);
        for presence in swarm.roster.presences(now, &self.env) {
            self.links.send(peer, &Frame::Presence { hops: 1, presence: &presence }, &mut self.env);
        }
        if !std::mem::replace(&mut swarm.ready, true) {
            self.env.event(Event::Ready { discovery });
        }
    }

    fn on_link_frame(&mut self, now: Time, peer: PeerId, frame: Frame<'_>) {
        match frame {
            Frame::Publish { hops, age_ms, record, bundle } => {
                self.on_bundle(now, peer, (hops, age_ms), record, bundle);
            }
            Frame::Want { discovery, age_ms, have } if self.links.shares(&peer, &discovery) => {
                self.flush(now, discovery);
                let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
                let at_most = age_ms.map(Duration::from_millis);
                for (kept, age) in swarm.feeds.answer(now, peer, at_most, &have, &self.env) {
                    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                    self.links.send_kept(peer, &kept, 0, Some(age_ms), &mut self.env);
                }
                swarm.synced.insert(peer);
                self.links.send_after_kept(peer, &Frame::Sent { discovery }, &mut self.env);
            }
            Frame::Sent { discovery } => self.subscriptions.on_answered(&discovery, peer),
            Frame::Presence { hops, presence } => self.on_presence(now, Some(peer), hops, presence),
            Frame::Envelope { to, hops, envelope } => {
                if to == self.env.me {
                    self.on_envelope(now, envelope, None);
                } else if hops == 0 && envelope.len() <= limits::ENVELOPE {
                    // One hop, to a neighbour: longer routes are the routing machine's.
                    self.links.send(to, &Frame::Envelope { to, hops: 1, envelope }, &mut self.env);
                }
            }
            _ => {}
        }
    }

    fn on_presence(&mut self, now: Time, from: Option<PeerId>, hops: u8, bytes: &[u8]) {
        let Ok(peeked) = statement::peek_presence(bytes) else {
            return self.strike(now, from, "a presence that cannot be read");
        };
        // What came through a signaler was sealed under the party's key.
        if from.is_some_and(|peer| !self.links.shares(&peer, &peeked.discovery)) {
            return;
        }
        let Some(swarm) = self.swarms.get_mut(&peeked.discovery) else { return };
        match swarm.roster.on_presence(now, bytes, &mut self.env) {
            Heard::New => {
                if let Some((record, record_bytes)) = swarm.roster.record(&peeked.peer) {
                    swarm.feeds.learn(now, record, record_bytes, &self.env);
                    self.mail.on_known(now, &record.identity);
                }
                if hops < limits::HOPS {
                    let neighbours: Vec<PeerId> =
                        self.links.neighbours(&peeked.discovery).filter(|peer| Some(*peer) != from).collect();
                    for peer in neighbours {
                        let frame = Frame::Presence { hops: hops + 1, presence: bytes };
                        self.links.send(peer, &frame, &mut self.env);
                    }
                }
            }
            Heard::Known => {}
            Heard::Forged => self.strike(now, from, "a presence that does not verify"),
        }
    }

    fn on_bundle(
        &mut self,
        now: Time,
        peer: PeerId,
        (hops, age_ms): (u8, u64),
        record: Option<&[u8]>,
        bytes: &[u8],
    ) {
        let discovery =
            decode::<weft_wire::Bundle>(bytes, limits::LINK_MESSAGE).map(|bundle| bundle.discovery);
        let Ok(discovery) = discovery else {
            return self.strike(now, Some(peer), "a publication that cannot be read");
        };
        if !self.links.shares(&peer, &discovery) {
            return;
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let age = Age { told: Duration::from_millis(age_ms), asked: swarm.asked(&peer) };
        match swarm.feeds.on_bundle(now, bytes, record, age, &mut self.env) {
            Verdict::New { kept, ready } => {
                self.env.stats.received += kept.last - kept.first + 1;
                // What answers a want of ours is new to us alone, unless it is fresh.
                if age.told < self.env.config.gap_wait {
                    self.pass_on(&kept, discovery, Some(peer), hops.saturating_add(1));
                }
                self.deliver(discovery, &ready);
            }
            Verdict::Known => self.env.stats.duplicates += 1,
            Verdict::NoRecord => self.env.stats.unopened += 1,
            Verdict::Forged => self.strike(now, Some(peer), "a publication that does not verify"),
        }
    }

    /// A neighbour passed on what nobody honest passes on.
    fn strike(&mut self, now: Time, from: Option<PeerId>, what: &str) {
        self.env.stats.forged += 1;
        if let Some(peer) = from {
            let reason = format!("it sent {what}");
            self.on_link(now, LinkEvent::Close { peer, reason, misbehaved: true });
        }
    }

    fn deliver(&mut self, discovery: DiscoveryKey, ready: &[Accepted]) {
        for accepted in ready {
            self.subscriptions.on_ready(&discovery, accepted, &mut self.env);
        }
    }

    fn pass_on(&mut self, kept: &Arc<Kept>, discovery: DiscoveryKey, from: Option<PeerId>, hops: u8) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        for peer in swarm.broadcast.on_new(from, hops, swarm.synced.iter().copied()) {
            if self.links.send_kept(peer, kept, hops, None, &mut self.env) && from.is_some() {
                self.env.stats.forwarded += kept.last - kept.first + 1;
            }
        }
    }

    // ---- timers and what follows from everything ----

    /// Does whatever is due, and looks for links that are missing.
    fn settle(&mut self, now: Time) {
        if self.closed {
            return;
        }
        for event in self.homes.on_time(now, &mut self.env) {
            self.on_home(now, event);
        }
        let steps = self.negotiator.on_time(now, &mut self.env);
        self.take(now, steps);
        for event in self.links.on_time(now, &mut self.env) {
            self.on_link(now, event);
        }
        for letter in self.mail.on_time(now, &mut self.env) {
            self.post(&letter);
        }
        let parties: Vec<DiscoveryKey> = self.swarms.keys().copied().collect();
        for discovery in parties {
            self.settle_swarm(now, discovery);
        }
        if self.housekeeping_at <= now {
            self.housekeeping_at = now + HOUSEKEEPING;
            for (discovery, swarm) in &mut self.swarms {
                for peer in self.links.neighbours(discovery) {
                    let healthy = self.negotiator.healthy(&peer);
                    swarm.roster.on_link_health(now, peer, healthy, &mut self.env);
                }
                swarm.roster.on_time(now, &mut self.env);
            }
        }
        self.seek_links(now);
        self.tell_drained();
    }

    fn settle_swarm(&mut self, now: Time, discovery: DiscoveryKey) {
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.feeds.is_due(now)) {
            self.flush(now, discovery);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let ready = swarm.feeds.on_time(now, &self.env);
        if self.subscriptions.complete(now, &discovery) {
            let backlog = swarm.feeds.backlog(&self.env);
            self.subscriptions.deliver_backlog(now, &discovery, &backlog, &mut self.env);
        }
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        let presence = swarm.presence(now, neighbours.iter().copied(), self.homes.signalers(), &mut self.env);
        if let Some(presence) = presence {
            for peer in neighbours {
                self.links.send(peer, &Frame::Presence { hops: 0, presence: &presence }, &mut self.env);
            }
        }
        self.deliver(discovery, &ready);
    }

    /// Signs what waits to be published and sends it.
    fn flush(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let alone = swarm.synced.is_empty();
        if let Some(kept) = swarm.feeds.flush(now, alone, &mut self.env) {
            self.pass_on(&kept, discovery, None, 0);
        }
    }

    /// Seals a message for each known peer of its recipient.
    fn post(&mut self, letter: &Letter) {
        let peers: Set<PeerId> =
            self.swarms.values().flat_map(|swarm| swarm.roster.peers_of(&letter.to)).collect();
        let contents = Sealed::Message {
            id: letter.id,
            record: self.env.record.clone(),
            time: letter.time,
            body: letter.body.clone(),
            entry: self.homes.own_entry(None),
        };
        for peer in peers {
            // The first attempt takes the link if there is one; should it be stuck, later ones go around it.
            self.seal_and_send(peer, None, &contents, letter.attempt, letter.attempt.is_multiple_of(2));
        }
    }

    fn seek_links(&mut self, now: Time) {
        let parties = self.swarms.iter().map(|(discovery, swarm)| PartyView {
            discovery: *discovery,
            candidates: swarm.roster.candidates(now, &self.env),
            neighbours: self.links.neighbours(discovery).count(),
        });
        let parties: Vec<PartyView> = parties.collect();
        let links = self.negotiator.count();
        let busy = |peer: &PeerId| self.negotiator.has(peer);
        let dials = self.view.seek(now, parties, links, busy, &self.backoff, &mut self.env);
        for dial in dials {
            let steps = self.negotiator.dial(now, dial.peer, dial.discovery, dial.urgent, &mut self.env);
            self.take(now, steps);
        }
    }

    // ---- helpers ----

    /// Bytes that wait because of our own publications: at the slowest neighbour, or for want of any.
    fn publish_queue(&self, discovery: &DiscoveryKey) -> Option<usize> {
        let swarm = self.swarms.get(discovery)?;
        let slowest = swarm.synced.iter().map(|peer| self.links.queued(peer)).max().unwrap_or(0);
        Some(slowest.max(swarm.feeds.alone_bytes()))
    }

    fn tell_drained(&mut self) {
        if !self.queue_was_full {
            return;
        }
        let half = self.env.config.publish_queue / 2;
        let waiting =
            self.swarms.keys().filter_map(|discovery| self.publish_queue(discovery)).max().unwrap_or(0);
        if waiting < half {
            self.queue_was_full = false;
            self.env.event(Event::Drained);
        }
    }

    fn say_goodbye(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get(&discovery) else { return };
        let none = std::iter::empty();
        let presence = swarm.sign_presence(now, none, std::iter::empty(), true, &mut self.env);
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        for peer in neighbours {
            self.links.send(peer, &Frame::Presence { hops: 0, presence: &presence }, &mut self.env);
        }
    }

    /// Closes links with peers that share no party with us any more.
    fn close_useless(&mut self, now: Time) {
        let useless: Vec<PeerId> =
            self.links.open().map(|(peer, _)| peer).filter(|peer| !self.links.shares_any(peer)).collect();
        for peer in useless {
            self.drop_link(now, peer, ByeReason::NothingInCommon, "no party in common any more");
        }
    }
}
