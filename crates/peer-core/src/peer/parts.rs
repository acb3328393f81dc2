//! Large messages: what goes out and comes in by parts, and the ways that parts take.

use weft_crypto::part::PartKey;
use weft_wire::link::Link as Frame;
use weft_wire::sealed::Sealed;
use weft_wire::{Digest, MessageId, PartSecret, PeerId, Time, decode, limits};

use super::Peer;
use super::conversing::Sender;
use super::sealed::Way;
use crate::api::Event;
use crate::assembly::{self, Outcome, State};
use crate::roster::Contact;
use crate::transfer::{self, Part, Road, Transfers};

/// Attempts that take a signaler rather than the link: what came around it is answered around it.
const AROUND: u32 = 5;

impl Peer {
    // ---- what comes in ----

    /// Somebody has a message for us that comes in parts.
    pub(super) fn on_large(
        &mut self,
        now: Time,
        from: PeerId,
        message: &[u8],
        (length, hash, key): (u32, Digest, Option<PartSecret>),
        (way, sender): (Way, Option<&Sender>),
    ) {
        let length = length as usize;
        let message = decode::<Sealed>(message, limits::ENVELOPE).ok();
        let Some(message) = message.filter(|_| (1..=limits::MESSAGE).contains(&length)) else {
            self.env.stats.malformed += 1;
            return;
        };
        let Some((head, _)) = self.head(now, from, message, (way, sender)) else { return };
        if !self.takes(&head) {
            return;
        }
        let (id, contact) = (head.id, head.contact.clone());
        if let Err(refused) = self.mail.on_announced(&head) {
            return self.confirm(now, from, contact, (id, refused));
        }
        let key = key.map(PartKey::from);
        let state = self.assemblies.on_large(now, (from, id), (head, length, hash, key), &mut self.env);
        self.tell_taken(now, (from, id), contact, &state);
    }

    pub(super) fn on_part(&mut self, now: Time, key: assembly::Key, part: (u32, Vec<u8>), way: Way) {
        let around = !matches!(way, Way::Mesh(1)) && self.links.is_open(&key.0);
        match self.assemblies.on_part(now, &key, part, around, &self.env) {
            Outcome::Kept => {}
            Outcome::Tell => self.tell_sender(now, &key),
            Outcome::Full(head, state) => self.tell_taken(now, key, head.contact, &state),
            Outcome::Whole(head, body) => {
                let length = body.len();
                self.tell_incoming(&head, (length, length));
                self.on_message(now, head, &body);
            }
            Outcome::Bad(text) => {
                self.env.stats.malformed += 1;
                self.env.warn("peer-misbehaved", format!("{}: {text}", key.0));
            }
        }
    }

    /// Tells the sender of a message and the application what is here of it.
    fn tell_sender(&mut self, now: Time, key: &assembly::Key) {
        let Some(state) = self.assemblies.tell(key) else { return };
        let Some(head) = self.assemblies.head(key).cloned() else { return };
        if let Some(request) = &head.answers {
            self.mail.on_answer_goes_on(now, request);
        }
        self.tell_incoming(&head, state.received);
        self.tell_taken(now, *key, head.contact, &state);
    }

    fn tell_incoming(&mut self, head: &crate::mail::Head, (received, total): (usize, usize)) {
        let (from, peer, id, answers) = (head.from, head.peer, head.id, head.answers);
        self.env.event(Event::Incoming { from, peer, id, answers, received, total });
    }

    fn tell_taken(&mut self, now: Time, (to, id): assembly::Key, contact: Contact, state: &State) {
        let &State { run, next, ahead, full, around, .. } = state;
        let taken = Sealed::Taken { id, run, next, ahead, full: full.then_some(true) };
        let attempt = if around { AROUND } else { 0 };
        self.seal_and_send(now, to, Some(contact), &taken, (attempt, false));
    }

    // ---- what goes out ----

    /// A recipient says what it has of a message of ours.
    pub(super) fn on_taken(&mut self, now: Time, key: transfer::Key, state: (u32, u32, u64), full: bool) {
        // Parts go only to whom the message was announced.
        let announced = self.mail.announced(&key.0, &key.1);
        let Some(source) = announced.or_else(|| self.transfers.of(&key).cloned()) else { return };
        if full {
            return self.mail.on_full(&key.0);
        }
        let (bytes, goes_on) = self.transfers.on_taken(now, key, &source, state);
        self.mail.on_progress(now, &key.0, (bytes, goes_on), &mut self.env);
    }

    /// The sender of a message has taken it back, or a recipient wants no more of it.
    pub(super) fn on_stop(&mut self, from: PeerId, id: MessageId) {
        self.assemblies.remove(&(from, id));
        self.transfers.remove(&(id, from));
    }

    /// Messages that were taken back: those who have parts of them may forget them.
    pub(super) fn tell_stopped(&mut self, now: Time) {
        for (id, peers) in self.mail.take_stopped() {
            for peer in peers {
                let contact = self.transfers.of(&(id, peer)).and_then(|source| source.contact.clone());
                self.seal_and_send(now, peer, contact, &Sealed::Stop { id }, (0, false));
            }
            self.transfers.remove_message(&id);
        }
    }

    // ---- what is due ----

    /// Sends parts for as long as there is room, and words about those that came.
    pub(super) fn settle_parts(&mut self, now: Time) {
        for key in self.assemblies.on_time(now, &self.env) {
            self.tell_sender(now, &key);
        }
        if self.transfers.is_empty() {
            return;
        }
        self.transfers.on_time(now, &self.env);
        loop {
            let mut transfers = core::mem::take(&mut self.transfers);
            let part = self.next_part(now, &mut transfers);
            self.transfers = transfers;
            let Some(part) = part else { return };
            self.send_part(now, part);
        }
    }

    fn next_part(&self, now: Time, transfers: &mut Transfers) -> Option<Part> {
        let works = |peer: &PeerId| self.negotiator.healthy(peer) && !self.links.is_suspect(peer);
        let link = |peer: &PeerId| self.links.number(peer).filter(|_| works(peer));
        let road = |peer: &PeerId, around: bool| match link(peer) {
            Some(number) if !(around && self.is_reached_around(now, peer)) => {
                self.links.takes_part(peer).then_some(Road::Link(number))
            }
            _ => Some(Road::Around),
        };
        transfers.next(now, road, link)
    }

    fn send_part(&mut self, now: Time, part: Part) {
        let Part { key: (id, to), at, mut bytes, key_of_parts, contact, road, attempt } = part;
        // Announced in a session to everybody but those of a version that knows none.
        if let Some(key) = key_of_parts.filter(|_| self.sessions.knows(&to)) {
            bytes = key.seal(&id, at, &bytes);
        }
        let sealed = self.contact(&to, contact).and_then(|contact| {
            let sealed = self.env.seal(to, &contact.agreement, &Sealed::Part { id, at, bytes })?;
            Some((sealed, contact))
        });
        let sent = sealed.is_some_and(|(sealed, contact)| match road {
            Road::Link(_) => {
                let frame = Frame::Envelope { to, hops: 0, envelope: &sealed, left: Some(0) };
                self.links.send(to, &frame, &mut self.env)
            }
            // Losses change the way; there is only so much that others pass on.
            Road::Around => {
                let by_mesh = |peer: &mut Self| peer.send_over_mesh(now, to, &sealed, attempt);
                let by_signaler =
                    |peer: &mut Self| peer.homes.forward(to, &contact.homes, &sealed, attempt, &mut peer.env);
                let mesh_first = attempt.is_multiple_of(2);
                (mesh_first && by_mesh(self)) || by_signaler(self) || (!mesh_first && by_mesh(self))
            }
        });
        if !sent {
            self.transfers.on_unsent(now, &(id, to), at);
        }
    }

    /// There is another way to a peer than its link.
    fn is_reached_around(&self, now: Time, peer: &PeerId) -> bool {
        let mut swarms = self.swarms.values();
        swarms.any(|swarm| swarm.routes.way(now, peer, 0, limits::HOPS).is_some()) || self.homes.any_up()
    }

    pub(super) fn parts_due(&self) -> Option<Time> {
        [self.assemblies.deadline(&self.env), self.transfers.deadline(&self.env)].into_iter().flatten().min()
    }
}
