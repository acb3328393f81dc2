//! Envelopes: opening them, and sealing them and choosing their way.

use crate::sorted::Set;

use weft_crypto::part::PartKey;
use weft_crypto::{envelope, statement};
use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::sealed::{Refusal, Sealed, Signal};
use weft_wire::{DiscoveryKey, PeerId, PeerRecord, SessionId, Time, decode, encode, limits};

use super::Peer;
use super::conversing::Sender;
use crate::mail::{Head, Letter, Purpose, is_large};
use crate::negotiation::Negotiator;
use crate::order::Message;
use crate::roster::Contact;
use crate::sessions::{Held, Kept};
use crate::view::Admission;

/// How an envelope came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Signaler,
    /// From our mailbox.
    Mailbox,
    /// Over so many links.
    Mesh(u8),
}

/// From this attempt on, the ways that are known are believed to be broken.
const SEARCH_ANYWAY: u32 = 2;

impl Peer {
    pub(super) fn on_envelope(&mut self, now: Time, bytes: &[u8], way: Way) {
        let opened = match envelope::open(&self.env.keys.peer, bytes) {
            Ok(opened) => opened,
            Err(error) => {
                self.env.stats.unopened += 1;
                let way = match way {
                    Way::Signaler => "a signaler",
                    Way::Mailbox => "a mailbox",
                    Way::Mesh(_) => "a neighbour",
                };
                self.env.warn("bad-envelope", format!("{error} (it came from {way})"));
                return;
            }
        };
        let Ok(contents) = decode::<Sealed>(&opened.body, limits::ENVELOPE) else {
            self.env.stats.malformed += 1;
            return;
        };
        let from = opened.sender;
        if matches!(way, Way::Mailbox) && !matches!(contents, Sealed::Session { .. }) {
            // Nothing else waits.
            self.env.stats.malformed += 1;
            return;
        }
        match contents {
            Sealed::Signal { discovery, session, generation, signal } => {
                self.on_signal(now, from, (discovery, session, generation), signal);
            }
            Sealed::Message { .. } | Sealed::Large { .. } | Sealed::Receipt { .. } | Sealed::Keys { .. } => {
                self.on_plain(now, from, contents, way);
            }
            Sealed::Session { frame, record, entry, prekey } => {
                self.on_session(now, from, (frame, prekey), Sender { record, entry }, way);
            }
            Sealed::Prekey { prekey, entry } => self.on_prekey(now, from, prekey, entry.as_deref()),
            Sealed::Part { id, at, bytes } => self.on_part(now, (from, id), (at, bytes), way),
            Sealed::Taken { id, run, next, ahead, full } => {
                self.on_taken(now, (id, from), (run, next, ahead), full == Some(true));
            }
            Sealed::Stop { id } => self.on_stop(from, id),
            Sealed::KeysWanted { discovery, record, wanted } => {
                self.on_keys_wanted(now, from, discovery, &record, &wanted);
            }
            Sealed::Root { discovery, root, seq, reply } => {
                self.on_root(now, from, discovery, (root, seq), reply);
            }
        }
    }

    /// A message that has come, if its sender is who it says and means us; and its body.
    pub(super) fn head(
        &mut self,
        now: Time,
        from: PeerId,
        message: Sealed,
        (way, sender): (Way, Option<&Sender>),
    ) -> Option<(Head, Vec<u8>)> {
        let Sealed::Message { id, record, time, body, entry, to, asks, answers, failed } = message else {
            self.env.stats.malformed += 1;
            return None;
        };
        let record = sender.and_then(|sender| sender.record.clone()).unwrap_or(record);
        let entry = sender.and_then(|sender| sender.entry.clone()).unwrap_or(entry);
        if to != self.env.identity {
            self.env.stats.unopened += 1;
            return None;
        }
        let record = self.check_record(now, from, &record)?;
        let sessions = record.sessions == Some(true);
        if sender.is_none() && sessions {
            return self.refuse_plain();
        }
        // Where the roster knows where it is, what the message says of that need not be checked.
        let known = self.contact(&from, None).filter(|known| !known.homes.is_empty());
        let hops = if let Way::Mesh(hops) = way { Some(hops) } else { None };
        let entry = || statement::open_entry(&entry).ok().filter(|entry| entry.peer == from);
        let contact = known.or_else(|| {
            let entry = entry()?;
            Some(Contact { agreement: entry.agreement, homes: vec![entry.home], sessions })
        });
        let contact = contact.unwrap_or(Contact { agreement: record.agreement, homes: Vec::new(), sessions });
        let (from, peer, asks) = (record.identity, from, asks == Some(true));
        Some((Head { from, peer, contact, id, time, hops, asks, answers, failed }, body))
    }

    /// Whether what somebody says is for somebody who listens. A message that the application does not take yet is not
    /// confirmed, so that it goes on waiting where its sender leaves it.
    pub(super) fn takes(&self, head: &Head) -> bool {
        self.env.config.collect || head.asks || head.answers.is_some() || self.mail.is_received(&head.id)
    }

    /// All of a message is here.
    pub(super) fn on_message(&mut self, now: Time, head: Head, body: &[u8]) {
        if !self.takes(&head) {
            return;
        }
        let (id, from, contact) = (head.id, head.peer, head.contact.clone());
        let refused = self.accept(now, head, body, false);
        self.confirm(now, from, contact, (id, refused));
    }

    /// Tells the application of a message, once it is stored and, unless it `waited` itself, behind what waits; true if it is
    /// a request, and nobody answers any.
    pub(super) fn accept(&mut self, now: Time, head: Head, body: &[u8], waited: bool) -> bool {
        let (id, from, identity, time) = (head.id, head.peer, head.from, head.time);
        let lasts = !head.asks && head.answers.is_none() && !self.mail.is_received(&id);
        let kept = Kept { id, from: head.from, peer: from, time: head.time, body: body.to_vec() };
        let before = self.env.out.len();
        let refused = !self.mail.on_message(head, body, &mut self.env);
        let said = self.env.out.split_off(before);
        if lasts && !said.is_empty() {
            self.sessions.keep(now, &kept, self.env.config.message_memory);
            let one = Message { from: identity, id, time, len: body.len(), said };
            self.tell_message(now, one, waited);
        } else if !said.is_empty() {
            self.sessions.hold(Held::Tell { said, message: None });
        }
        refused
    }

    pub(super) fn check_record(&mut self, now: Time, from: PeerId, bytes: &[u8]) -> Option<PeerRecord> {
        // One that is known need not be verified again.
        let known = self.swarms.values().find_map(|swarm| swarm.roster.record(&from));
        let known = known.filter(|(_, known)| *known == bytes).map(|(record, _)| record.clone());
        let record = known.or_else(|| statement::open_record(bytes).ok());
        let good = record.filter(|record| record.peer == from && record.until > now.millis());
        if good.as_ref().is_some_and(|record| self.revocations.has(now, &record.identity, &from)) {
            self.env.stats.unopened += 1;
            return None;
        }
        if good.is_none() {
            self.env.stats.forged += 1;
            self.env.warn("bad-signature", "a message came with a peer record that does not verify");
        }
        good
    }

    pub(super) fn on_signal(
        &mut self,
        now: Time,
        from: PeerId,
        (discovery, session, generation): (DiscoveryKey, SessionId, u32),
        signal: Signal,
    ) {
        let about = (discovery, session, generation);
        if let Signal::Knock { entry, .. } | Signal::Offer { entry, .. } | Signal::Stream { entry, .. } =
            &signal
            && let Ok(entry) = statement::open_entry(entry)
            && entry.peer == from
            && let Some(swarm) = self.swarms.get_mut(&discovery)
        {
            swarm.roster.on_contact(now, &entry, &self.env);
        }
        // A link goes on in other parties when the one is left in which it was negotiated.
        let goes_on = self.negotiator.has(&from) && !self.negotiator.is_new(&from, &session, &signal);
        if !self.swarms.contains_key(&discovery) && !goes_on {
            // Nothing is known of the sender here, so there is nowhere to send a refusal: it gives up by itself.
            self.env.stats.unopened += 1;
            return;
        }
        if self.negotiator.is_new(&from, &session, &signal) {
            if self.backoff.is_barred(now, &from) {
                return self.take(now, vec![Negotiator::refuse(from, about, Refusal::Full)]);
            }
            let need = match signal {
                Signal::Knock { urgent, links, .. }
                | Signal::Offer { urgent, links, .. }
                | Signal::Stream { urgent, links, .. } => (urgent, links),
                _ => (false, None),
            };
            // A peer whose session we hold takes its own place, and so does one we are knocking at.
            let links = self.working(Some(&from));
            let mut open = self.open_links();
            open.retain(|one| one.peer != from);
            match self.view.admit(now, &from, need, links, &open, &mut self.env) {
                Admission::Accept => {}
                Admission::InPlaceOf(other) => {
                    self.drop_link(now, other, ByeReason::MadeRoom, "made room for a peer that had no link");
                }
                Admission::Refuse(reason) => {
                    return self.take(now, vec![Negotiator::refuse(from, about, reason)]);
                }
            }
        }
        let owes = self.links.owes(&from);
        let steps = self.negotiator.on_signal(now, from, about, signal, owes, &mut self.env);
        self.take(now, steps);
    }

    /// Where a peer is. What the roster knows is newer; a contact that came with a message serves for those who are not in
    /// it, or have lost their homes.
    pub(super) fn contact(&self, to: &PeerId, contact: Option<Contact>) -> Option<Contact> {
        let said = contact.as_ref().is_some_and(|contact| contact.sessions);
        let known = match self.swarms.values().find_map(|swarm| swarm.roster.contact(to)) {
            Some(known) if !known.homes.is_empty() => Some(known),
            known => contact.or(known),
        };
        known.map(|known| Contact { sessions: known.sessions || said, ..known })
    }

    /// Seals and sends by the best way there is. What is no `signal` takes the link or a way over several, if there is
    /// one; signals, which make links, go through signalers first, and every third attempt over the mesh.
    pub(super) fn seal_and_send(
        &mut self,
        now: Time,
        to: PeerId,
        contact: Option<Contact>,
        contents: &Sealed,
        (attempt, signal): (u32, bool),
    ) -> bool {
        let Some(contact) = self.contact(&to, contact) else { return false };
        let Some(sealed) = self.env.seal(to, &contact.agreement, contents) else { return false };
        // The first attempt takes the link if there is one; should it be stuck, later ones go around it.
        if !signal && attempt.is_multiple_of(2) && self.links.is_open(&to) && self.negotiator.healthy(&to) {
            let frame = Frame::Envelope { to, hops: 0, envelope: &sealed, left: Some(0) };
            return self.links.send(to, &frame, &mut self.env);
        }
        let by_signaler = !contact.homes.is_empty() && self.homes.any_up();
        let mesh_first = if signal { attempt % 3 == 2 } else { attempt % 3 != 2 };
        if (mesh_first || !by_signaler) && self.send_over_mesh(now, to, &sealed, attempt) {
            return true;
        }
        if (!signal || attempt % 3 != 2) && by_signaler {
            return self.homes.forward(to, &contact.homes, &sealed, attempt, &mut self.env);
        }
        let neighbours: Vec<PeerId> =
            self.links.open().map(|(peer, _)| peer).filter(|peer| *peer != to).collect();
        let mut sent = false;
        for peer in neighbours {
            let frame = Frame::Envelope { to, hops: 0, envelope: &sealed, left: None };
            sent |= self.links.send(peer, &frame, &mut self.env);
        }
        sent || self.homes.forward(to, &contact.homes, &sealed, attempt, &mut self.env)
    }

    /// Seals a message for each known peer of its recipient; looks for them where none is near. Whether it went anywhere.
    pub(super) fn post(&mut self, now: Time, letter: &Letter) -> bool {
        let mut peers: Set<PeerId> =
            self.swarms.values().flat_map(|swarm| swarm.roster.peers_of(&letter.to)).collect();
        peers.retain(|peer| {
            letter.peer.is_none_or(|only| only == *peer) && !self.revocations.has(now, &letter.to, peer)
        });
        let (mut asks, mut answers, mut failed, mut contact) = (None, None, None, None);
        match letter.purpose.clone() {
            Purpose::Message => {}
            Purpose::Request { .. } => asks = Some(true),
            Purpose::Answer { request, failed: reason, to } => {
                // Whoever asked said where it is, and need not be in the roster.
                peers.insert(to.peer);
                (answers, failed, contact) = (Some(request), reason, Some(to.contact));
            }
        }
        if peers.is_empty()
            && contact.is_none()
            && let Some(then) = self.all_told(now)
        {
            // There is nobody to ask but the residence.
            self.mail.on_nobody(then, &letter.id);
        }
        let lost = || contact.is_none() && !peers.iter().any(|peer| self.has_way(now, peer));
        if contact.is_none() && letter.attempt >= SEARCH_ANYWAY || letter.attempt == 0 && lost() {
            self.search(&letter.to);
            if letter.attempt == 0 && self.links.open().next().is_some() {
                return false; // What is found sends it; else the next attempt goes through signalers.
            }
        }
        let large = is_large(&letter.body);
        let message = |sender: Sender| {
            let message = Sealed::Message {
                id: letter.id,
                record: sender.record.unwrap_or_default(),
                time: letter.time,
                body: if large { Vec::new() } else { letter.body.to_vec() },
                entry: sender.entry.unwrap_or_default(),
                to: letter.to,
                asks,
                answers,
                failed: failed.clone(),
            };
            if large { announce(&message, letter) } else { message }
        };
        self.mail.on_addressed(&letter.id, &peers);
        let (mut sent, about) = (false, (letter.attempt, Some(letter.id)));
        for peer in &peers {
            sent |= self.converse(now, *peer, contact.clone(), &message, about);
        }
        if !sent && peers.iter().any(|peer| self.sessions.is_asked(peer)) {
            self.mail.on_wanting(&letter.id);
        }
        sent
    }
}

/// A large message as it is announced.
fn announce(message: &Sealed, letter: &Letter) -> Sealed {
    let length = u32::try_from(letter.body.len()).unwrap_or(u32::MAX);
    let key = letter.key.as_ref().map(PartKey::secret);
    Sealed::Large { message: encode(message), length, hash: letter.hash, key }
}
