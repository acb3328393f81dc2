//! What the application asks for.

use std::time::Duration;

use weft_crypto::Party;
use weft_query::Document;
use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::{DiscoveryKey, IdentityId, MessageId, PeerId, Text, Time, limits};

use super::Peer;
use crate::api::{Backlog, CommandError, CommandId, Event};
use crate::mail::{self, NOTHING, Purpose};
use crate::private::Private;
use crate::swarm::{Says, Swarm};

impl Peer {
    pub(super) fn join(
        &mut self,
        now: Time,
        party: &Party,
        private: Option<Private>,
    ) -> Result<(), CommandError> {
        let discovery = party.discovery();
        if self.swarms.contains_key(&discovery) {
            return Ok(());
        }
        if self.swarms.len() >= limits::PARTIES {
            return Err(CommandError::TooManyParties);
        }
        let mut swarm = Swarm::new(party.clone(), now, &mut self.env);
        swarm.private = private;
        let events = self.links.join(swarm.ours(&self.env.identity), &mut self.env);
        self.swarms.insert(discovery, swarm);
        self.homes.join(now, discovery, &mut self.env);
        self.on_asked_around(now);
        let open: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
        for peer in open {
            self.show_membership(peer);
        }
        for event in events {
            self.on_link(now, event);
        }
        Ok(())
    }

    pub(super) fn leave(&mut self, now: Time, discovery: DiscoveryKey) -> Result<(), CommandError> {
        if !self.swarms.contains_key(&discovery) {
            return Err(CommandError::NotInParty);
        }
        self.flush(now, discovery);
        self.say_goodbye(now, discovery);
        self.store_all(now, discovery);
        if let Some(swarm) = self.swarms.remove(&discovery) {
            self.leaving.extend(swarm.feeds.storage.works());
        }
        self.subscriptions.remove_party(&discovery);
        self.homes.leave(now, discovery, &mut self.env);
        self.links.leave(discovery, &mut self.env);
        self.close_useless(now);
        Ok(())
    }

    pub(super) fn subscribe(
        &mut self,
        now: Time,
        id: CommandId,
        discovery: DiscoveryKey,
        filter: &weft_query::Filter,
        backlog: Option<Backlog>,
    ) -> Result<(), CommandError> {
        let swarm = self.swarms.get_mut(&discovery).ok_or(CommandError::NotInParty)?;
        if self.subscriptions.len() >= self.env.config.subscriptions {
            return Err(CommandError::TooManySubscriptions(self.env.config.subscriptions));
        }
        swarm.interest.on_filters(now);
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        if backlog.is_some() {
            for peer in &neighbours {
                let want = swarm.want(now, *peer, backlog, None);
                self.links.send(*peer, &want, &mut self.env);
            }
        }
        let asked = backlog.map(|backlog| (backlog, neighbours.as_slice()));
        self.subscriptions.add(now, id, discovery, filter, asked, &mut self.env);
        Ok(())
    }

    pub(super) fn publish(
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
        if self.swarms.get(&discovery).is_some_and(|swarm| !swarm.may_publish(&self.env.identity)) {
            return Err(CommandError::NotAWriter);
        }
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.feeds.must_flush_before(body.len())) {
            self.flush(now, discovery);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return Err(CommandError::NotInParty) };
        let body = match &mut swarm.private {
            None => body,
            Some(private) => private.seal(now, &body, (&mut swarm.feeds.storage, &mut self.env)),
        };
        let (publication, seq) = swarm.feeds.publish(now, body, &self.env);
        swarm.tree.on_published(now);
        self.env.stats.published += 1;
        self.env.event(Event::Published { command: id, id: publication, seq });
        Ok(())
    }

    pub(super) fn send(
        &mut self,
        now: Time,
        id: CommandId,
        (to, life): (IdentityId, Duration),
        document: &Document,
    ) -> Result<(), CommandError> {
        let body = self.message_body(document)?;
        if self.mail.messages() >= mail::OUTGOING {
            return Err(CommandError::TooManyMessages(mail::OUTGOING));
        }
        self.mail.send(now, id, (to, None), (Purpose::Message, life), body, &mut self.env);
        Ok(())
    }

    pub(super) fn request(
        &mut self,
        now: Time,
        id: CommandId,
        (to, peer): (IdentityId, Option<PeerId>),
        document: &Document,
        timeout: Duration,
    ) -> Result<(), CommandError> {
        let body = self.message_body(document)?;
        if self.mail.asked() >= mail::OUTGOING {
            return Err(CommandError::TooManyMessages(mail::OUTGOING));
        }
        let purpose = (Purpose::Request { timeout }, Duration::ZERO);
        self.mail.send(now, id, (to, peer), purpose, body, &mut self.env);
        Ok(())
    }

    pub(super) fn respond(
        &mut self,
        now: Time,
        id: CommandId,
        request: MessageId,
        outcome: &Result<Document, String>,
    ) -> Result<(), CommandError> {
        let (body, failed) = match outcome {
            Ok(document) => (self.message_body(document)?, None),
            Err(text) => (NOTHING.to_vec(), Some(Text::cut(text))),
        };
        let asker = self.mail.take_request(&request).ok_or(CommandError::UnknownRequest)?;
        let to = (asker.identity, Some(asker.peer));
        let purpose = Purpose::Answer { request, failed, to: asker };
        self.mail.send(now, id, to, (purpose, Duration::ZERO), body, &mut self.env);
        Ok(())
    }

    pub(super) fn block(&mut self, now: Time, peer: PeerId) {
        self.view.block(peer);
        self.drop_link(now, peer, ByeReason::Blocked, "blocked");
    }

    pub(super) fn rename(&mut self, now: Time, name: String) -> Result<(), CommandError> {
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

    pub(super) fn set_state(
        &mut self,
        now: Time,
        discovery: DiscoveryKey,
        state: Option<&Document>,
    ) -> Result<(), CommandError> {
        let state = state.map(Document::encode);
        let len = state.as_ref().map_or(0, Vec::len);
        if len > limits::STATE {
            return Err(CommandError::TooLarge { len, max: limits::STATE });
        }
        let swarm = self.swarms.get_mut(&discovery).ok_or(CommandError::NotInParty)?;
        swarm.set_state(now, state, &self.env);
        Ok(())
    }

    pub(super) fn close(&mut self, now: Time) {
        let parties: Vec<DiscoveryKey> = self.swarms.keys().copied().collect();
        for discovery in parties {
            self.flush(now, discovery);
            self.say_goodbye(now, discovery);
            self.store_all(now, discovery);
        }
        let peers: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
        for peer in peers {
            self.drop_link(now, peer, ByeReason::Leaving, "we are leaving");
        }
        self.mail.close(self.sessions.stores(), &mut self.env);
        self.sessions.write(true, &mut self.env);
        self.homes.close(now, &mut self.env);
        self.closed = true;
        self.env.event(Event::Closed);
    }

    /// Bytes that wait because of our own publications: at the slowest neighbour, or (unless the configuration says otherwise)
    /// for want of any.
    pub(super) fn publish_queue(&self, discovery: &DiscoveryKey) -> Option<usize> {
        let swarm = self.swarms.get(discovery)?;
        let slowest = swarm.synced.iter().map(|peer| self.links.queued(peer)).max().unwrap_or(0);
        let alone = if self.env.config.alone_waits { swarm.feeds.alone_bytes() } else { 0 };
        Some(slowest.max(alone))
    }

    pub(super) fn say_goodbye(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get(&discovery) else { return };
        let (links, homes) = (std::iter::empty(), std::iter::empty());
        let presence = swarm.sign_presence(now, Says::Goodbye, links, homes, &mut self.env);
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        for peer in neighbours {
            self.links.send(peer, &Frame::Presence { hops: 0, presence: &presence }, &mut self.env);
        }
    }

    /// A document as the body of a message, if it may be one and there is room for it.
    fn message_body(&self, document: &Document) -> Result<Vec<u8>, CommandError> {
        let (body, max) = (document.encode(), limits::MESSAGE);
        if body.len() > max {
            return Err(CommandError::TooLarge { len: body.len(), max });
        }
        if mail::is_bulky(&body) {
            let under_way = self.mail.bytes() + self.transfers.lingering(|id| !self.mail.has(id));
            if under_way + body.len() > self.env.config.message_queue {
                return Err(CommandError::QueueFull(under_way));
            }
        }
        Ok(body)
    }
}
