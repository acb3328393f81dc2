//! The composition of a peer: it only routes between the machines.
//!
//! Here are what the outside sees and what is asked first of each input; the routes, by where something comes from, are in
//! the folder `peer`: the application (`commands`), signalers, neighbours, what is `sealed`, negotiations (`steps`), and
//! time (`settle`, which also does what follows from everything).

use crate::sorted::{Map, Set};
use std::time::Duration;

use weft_crypto::{Members, StoreKey};
use weft_wire::{Digest, DiscoveryKey, IdentityId, PeerId, Time};

use crate::api::{Command, CommandError, CommandId, Input, Output, PeerInfo, Stats};
use crate::assembly::Assemblies;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::diagnosis::Diagnosis;
use crate::env::Env;
use crate::homes::Homes;
use crate::keys::Keys;
use crate::links::Links;
use crate::mail::Mail;
use crate::mailbox::Mailbox;
use crate::mended::Mended;
use crate::negotiation::{Carrier, Negotiator};
use crate::order::Order;
use crate::outbox::Outbox;
use crate::own::Own;
use crate::private::Private;
use crate::revocations::Revocations;
use crate::sessions::{Kept, Sessions};
use crate::storage::{self, StoreRow};
use crate::subscriptions::Subscriptions;
use crate::swarm::Swarm;
use crate::transfer::Transfers;
use crate::view::View;

mod commands;
mod conversing;
mod group;
mod interests;
mod islands;
mod mailing;
mod members;
mod neighbours;
mod parts;
mod revoking;
mod sealed;
mod settle;
mod signalers;
mod steps;
mod stores;
mod ways;

use conversing::Early;
use mailing::Page;

/// Leave a peer alone for this long after it refused for want of room.
const AFTER_FULL: Duration = Duration::from_secs(2);
/// Leave a peer alone for this long after it gave our place to another, or we its place.
const AFTER_MADE_ROOM: Duration = Duration::from_secs(20);
/// Who was not heard for so long is asked for a sign of life before it is relied upon.
const SILENT: Duration = Duration::from_secs(2);
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
    mended: Mended,
    view: View,
    backoff: Backoff,
    subscriptions: Subscriptions,
    mail: Mail,
    sessions: Sessions,
    outbox: Outbox,
    mailbox: Mailbox,
    /// Messages that the application is told of after what waits.
    order: Order,
    /// When homes and parties will have told of everybody they know.
    told_at: Time,
    own: Own,
    revocations: Revocations,
    /// Since when our identity says that we are its own no longer.
    revoked: Option<u64>,
    /// Mail that is being opened.
    page: Option<Page>,
    /// What came in sessions before what is stored of them was read.
    early: Vec<Early>,
    /// Messages that an earlier run has stored and not told, until somebody takes messages.
    untold: Vec<Kept>,
    transfers: Transfers,
    assemblies: Assemblies,
    next_command: u64,
    housekeeping_at: Time,
    /// Something has happened that may concern more than one swarm.
    stirred: bool,
    /// Something about mail has become durable, and may leave.
    released: bool,
    /// When signalers, negotiations, messages or the view are due, if nothing stirs them before.
    rest_at: Option<Time>,
    queue_was_full: bool,
    /// Parties whose store is being emptied, by the name of that work.
    forgetting: Map<u64, CommandId>,
    /// The last writes of parties that we have left.
    leaving: Set<u64>,
    closed: bool,
}

impl Peer {
    /// A new peer; dials its signalers at once. `seed` is 32 bytes from a cryptographic source.
    pub fn new(config: Config, keys: Keys, seed: [u8; 32], now: Time) -> Self {
        let mut env = Env::new(config, keys, seed, now);
        let sessions = Sessions::new(now, &mut env);
        let homes = Homes::new(now, &mut env);
        let mut peer = Self {
            env,
            homes,
            swarms: Map::new(),
            negotiator: Negotiator::default(),
            links: Links::default(),
            mended: Mended::default(),
            view: View::default(),
            backoff: Backoff::default(),
            subscriptions: Subscriptions::default(),
            mail: Mail::default(),
            sessions,
            outbox: Outbox::default(),
            mailbox: Mailbox::default(),
            order: Order::default(),
            told_at: now,
            own: Own::default(),
            revocations: Revocations::default(),
            revoked: None,
            page: None,
            early: Vec::new(),
            untold: Vec::new(),
            transfers: Transfers::default(),
            assemblies: Assemblies::default(),
            next_command: 0,
            housekeeping_at: now + settle::HOUSEKEEPING,
            stirred: true,
            released: false,
            rest_at: None,
            queue_was_full: false,
            forgetting: Map::new(),
            leaving: Set::new(),
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
            return Err(self.revoked.map_or(CommandError::Closed, |_| CommandError::Revoked));
        }
        let id = CommandId(self.next_command + 1);
        let stirs = !matches!(command, Command::Publish { .. });
        match command {
            Command::Join { party } => self.join(now, &party, None)?,
            Command::JoinPrivate { members, invitation } => {
                self.join_private(now, *members, invitation.as_ref())?;
            }
            Command::Say { discovery, deed } => self.say(now, discovery, deed)?,
            Command::Leave { discovery } => self.leave(now, discovery)?,
            Command::Subscribe { discovery, filter, backlog } => {
                self.subscribe(now, id, discovery, &filter, backlog)?;
            }
            Command::Forget { discovery } => self.forget(now, id, discovery)?,
            Command::Unsubscribe { subscription } => {
                let discovery = self.subscriptions.remove(subscription);
                let discovery = discovery.ok_or(CommandError::UnknownSubscription)?;
                if let Some(swarm) = self.swarms.get_mut(&discovery) {
                    swarm.interest.on_filters(now);
                }
            }
            Command::Publish { discovery, document } => self.publish(now, id, discovery, &document)?,
            Command::Send { to, document } => {
                self.send(now, id, (to, self.env.config.mail_life), &document)?;
            }
            Command::SendFor { to, document, life } => self.send(now, id, (to, life), &document)?,
            Command::Request { to, peer, document, timeout } => {
                self.request(now, id, (to, peer), &document, timeout)?;
            }
            Command::AnswerRequests { on } => self.mail.answers = on,
            Command::Collect => {
                if !std::mem::replace(&mut self.env.config.collect, true) {
                    self.mailbox.on_wanted(now, &self.env);
                    self.tell_untold(now);
                }
            }
            Command::Cancel { command } => self.mail.cancel(command),
            Command::Respond { request, outcome } => self.respond(now, id, request, &outcome)?,
            Command::Block { peer } => self.block(now, peer),
            Command::Unblock { peer } => self.view.unblock(&peer),
            Command::ListPeers => self.list_peers(now, id)?,
            Command::Revoke { peer } => self.revoke(now, id, peer)?,
            Command::Rename { name } => self.rename(now, name)?,
            Command::SetState { discovery, state } => self.set_state(now, discovery, state.as_ref())?,
            Command::Close => self.close(now),
        }
        self.next_command = id.0;
        self.stirred |= stirs;
        self.settle(now);
        Ok(id)
    }

    /// Takes what happened. Remote data never fails: it is counted, and may cost its sender the link.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        if self.closed {
            return;
        }
        self.stirred |=
            !matches!(input, Input::ChannelMessage { .. } | Input::ChannelDrained { .. } | Input::Timeout);
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
                let steps = self.negotiator.on_link_failed(now, link, &reason, &mut self.env);
                self.take(now, steps);
            }
            Input::CandidateRefused { .. } => self.env.stats.malformed += 1,
            Input::IceChanged { link, state } => {
                let interrupted =
                    self.negotiator.peer(link).filter(|peer| self.negotiator.is_interrupted(peer));
                self.negotiator.on_ice(now, link, state, &mut self.env);
                if let Some(peer) = interrupted.filter(|peer| self.negotiator.healthy(peer)) {
                    self.links.ping(now, peer, &mut self.env);
                    self.mended.on_restored(now, peer, &self.env);
                }
            }
            Input::ChannelOpened { link } => {
                let steps = self.negotiator.on_channel_opened(now, link, &mut self.env);
                self.take(now, steps);
            }
            Input::ChannelMessage { link, bytes } => {
                let Some(peer) = self.negotiator.peer(link) else { return };
                self.negotiator.on_alive(&peer, &mut self.env);
                self.mended.forget(&peer);
                self.on_chunk(now, (peer, Carrier::Channel(link)), bytes);
            }
            Input::ChannelDrained { link } => {
                if let Some(peer) = self.negotiator.peer(link) {
                    self.links.on_drained(peer, Carrier::Channel(link), &mut self.env);
                }
            }
            Input::ChannelClosed { link } => {
                let steps = self.negotiator.on_channel_closed(now, link, &mut self.env);
                self.take(now, steps);
            }
            Input::Online => {
                self.homes.on_online(now, &mut self.env);
                self.backoff.on_online(now);
                self.negotiator.on_reachable(now);
                let open: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
                for peer in open {
                    self.links.ping(now, peer, &mut self.env);
                }
            }
            Input::Store(done) => self.on_store(now, done),
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
        [
            self.rest_at,
            self.negotiator.streams_deadline(&self.env),
            self.links.deadline(&self.env),
            self.parts_due(),
            swarms,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whose peer somebody is, if it is in a party that we are in or has published there, as far as we know.
    pub fn identity_of(&self, peer: &PeerId) -> Option<IdentityId> {
        let of = |swarm: &Swarm| {
            let record = swarm.roster.record(peer).map(|(record, _)| record.identity);
            record.or_else(|| swarm.feeds.author(peer))
        };
        self.swarms.values().find_map(of)
    }

    /// Who is in a party, ourselves not counted; ordered by id.
    pub fn peers(&self, discovery: &DiscoveryKey) -> Vec<PeerInfo> {
        self.swarms.get(discovery).map(|swarm| swarm.roster.infos()).unwrap_or_default()
    }

    /// Hashes (BLAKE3) of the documents that our identity has published in a party and that we keep, encoded, also those of
    /// earlier runs.
    /// None while what is stored is being read, and for a party that we are not in.
    pub fn published(&self, discovery: &DiscoveryKey) -> Option<Set<Digest>> {
        let swarm = self.swarms.get(discovery).filter(|swarm| swarm.feeds.storage.loading().is_none())?;
        let bodies = swarm.feeds.own_bodies(&self.env);
        Some(match &swarm.private {
            None => bodies.map(|(_, body)| weft_crypto::digest(&body)).collect(),
            Some(private) => {
                let read = |(feed, body): (PeerId, Vec<u8>)| private.group.read(feed, &body);
                bodies.filter_map(read).map(|body| weft_crypto::digest(&body)).collect()
            }
        })
    }

    /// Who is in a private party, and as what, as far as we know; none for other parties.
    pub fn members(&self, discovery: &DiscoveryKey) -> Option<&Members> {
        self.swarms.get(discovery)?.private.as_ref().map(Private::members)
    }

    /// Statements about the members of a party in which one need not be, of rows that a driver has read between
    /// [`STATEMENT_KEYS`](crate::STATEMENT_KEYS). What our identity has not stored itself is left out.
    pub fn stored_statements(&self, discovery: &DiscoveryKey, rows: &[StoreRow]) -> Vec<Vec<u8>> {
        storage::statements(&StoreKey::new(&self.env.keys.identity), discovery, rows)
    }

    /// A neighbour in a party has told what it knows: of a private one who is a member, of any which documents it has.
    pub fn has_met(&self, discovery: &DiscoveryKey) -> bool {
        self.swarms.get(discovery).is_some_and(|swarm| !swarm.synced.is_empty())
    }

    /// Why each peer of our parties is, or is not, directly connected, and what would help; ordered by peer.
    pub fn diagnose(&self, now: Time) -> Vec<Diagnosis> {
        let members = self.swarms.values().flat_map(|swarm| swarm.roster.infos()).map(|info| info.peer);
        let peers: Set<PeerId> = members.chain(self.negotiator.all().copied()).collect();
        peers.iter().map(|peer| self.diagnosis(now, *peer)).collect()
    }

    /// Bytes, or more things, that closing now could lose: own publications that nobody has been given yet, keys of private
    /// parties without which what was given cannot be read, answers that are not confirmed, and what waits for channels.
    /// When it is 0 and every channel has drained, all is on its way.
    pub fn unsent(&self) -> usize {
        let alone: usize = self.swarms.values().map(|swarm| swarm.feeds.alone_bytes()).sum();
        let queued: usize = self.links.open().map(|(peer, _)| self.links.queued(&peer)).sum();
        let private = self.swarms.values().filter_map(|swarm| swarm.private.as_ref());
        let debts: usize = private.map(|private| private.group.debts()).sum();
        alone + queued + debts + self.sessions.unsaid() + self.mail.unsent()
    }

    /// Changes of what is kept that are not durable yet; 0 without a store.
    pub fn unstored(&self) -> usize {
        self.leaving.len()
            + self.sessions.unstored()
            + self.swarms.values().map(|swarm| swarm.feeds.unstored()).sum::<usize>()
    }

    /// Figures since the start.
    pub fn stats(&self) -> Stats {
        Stats { assembling: self.assemblies.bytes() as u64, ..self.env.stats }
    }
}
