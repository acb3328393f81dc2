//! What is said in sessions: messages, announcements of large ones, receipts and keys of private parties.

use weft_crypto::correspondence::{Opened, SessionError};
use weft_crypto::statement;
use weft_wire::link::Link as Frame;
use weft_wire::sealed::Sealed;
use weft_wire::{Entry, MessageId, PeerId, Time, decode, encode, limits};

use super::Peer;
use super::sealed::Way;
use crate::roster::Contact;
use crate::sessions::Held;
use crate::storage::StoreRow;

/// Envelopes of sessions that may wait for what was stored to be read.
const EARLY: usize = 32;

/// Who somebody is, and where, as it says itself; beside what is sealed in a session.
#[derive(Debug, Default)]
pub(super) struct Sender {
    pub(super) record: Option<Vec<u8>>,
    pub(super) entry: Option<Vec<u8>>,
}

/// An envelope of a session that has come before it could be opened.
#[derive(Debug)]
pub(super) struct Early {
    from: PeerId,
    frame: (Vec<u8>, Option<Vec<u8>>),
    sender: Sender,
    way: Way,
}

impl Peer {
    // ---- what we say ----

    /// Says something in the session with a peer, which begins if there is none; without one to whom its record says that it
    /// knows none, and who has never had one. `contents` is given what is not said beside it. Whether it is on its way.
    pub(super) fn converse(
        &mut self,
        now: Time,
        to: PeerId,
        contact: Option<Contact>,
        contents: &dyn Fn(Sender) -> Sealed,
        (attempt, message): (u32, Option<MessageId>),
    ) -> bool {
        if self.sessions.is_loading() {
            return false;
        }
        let Some(known) = self.contact(&to, contact.clone()) else { return false };
        let sender =
            Sender { record: Some(self.env.record.clone()), entry: Some(self.homes.own_entry(None)) };
        if !known.sessions && !self.sessions.knows(&to) {
            // Where nothing is kept this is as it was: at once.
            let contents = contents(sender);
            return self.seal_and_send(now, to, contact, &contents, (attempt, false));
        }
        let inner = encode(&contents(Sender::default()));
        let Some(frame) = self.sessions.seal(now, to, &inner, &mut self.env) else {
            let asks = Sealed::Prekey { prekey: None, entry: sender.entry };
            let times = self.sessions.ask(to);
            self.seal_and_send(now, to, contact, &asks, (times, false));
            return false;
        };
        // Receipts answer somebody who knows us.
        let Sender { record, entry } = if message.is_some() { sender } else { Sender::default() };
        let contents = Box::new(Sealed::Session { frame, record, entry, prekey: None });
        self.sessions.hold(Held::Send { to, contact, contents, attempt, message });
        true
    }

    /// Confirms a message; `refused`: it was a request, and nobody answers any.
    pub(super) fn confirm(
        &mut self,
        now: Time,
        to: PeerId,
        contact: Contact,
        (id, refused): (MessageId, bool),
    ) {
        let receipt = |_| Sealed::Receipt { id, refused: refused.then_some(true), others: None };
        self.converse(now, to, Some(contact), &receipt, (0, None));
    }

    /// Gives a new neighbour a prekey, so that either side can write at once.
    pub(super) fn give_prekey(&mut self, now: Time, to: PeerId) {
        if !self.sessions.is_loading() && !self.sessions.has(&to) {
            let prekey = self.sessions.hand_out(now, to, &mut self.env);
            self.sessions.hold(Held::Prekey { to, prekey });
        }
    }

    // ---- what others say ----

    /// What is to travel in sessions has come without one, as from those who know none.
    pub(super) fn on_plain(&mut self, now: Time, from: PeerId, contents: Sealed, way: Way) {
        if self.sessions.knows(&from) {
            self.refuse_plain::<()>();
        } else {
            self.on_contents(now, from, contents, (way, None));
        }
    }

    /// Counts something that was said outside of the session in which it must have been.
    pub(super) fn refuse_plain<T>(&mut self) -> Option<T> {
        self.env.stats.unopened += 1;
        self.env.warn("bad-envelope", "a message came outside of its session");
        None
    }

    pub(super) fn on_session(
        &mut self,
        now: Time,
        from: PeerId,
        (frame, prekey): (Vec<u8>, Option<Vec<u8>>),
        sender: Sender,
        way: Way,
    ) {
        if self.sessions.is_loading() {
            if self.early.len() < EARLY {
                self.early.push(Early { from, frame: (frame, prekey), sender, way });
            }
            return;
        }
        if let Some(prekey) = prekey {
            self.sessions.on_prekey(from, prekey);
        }
        match self.sessions.open(from, &frame) {
            Ok(Opened::Message(plain)) => match decode::<Sealed>(&plain, limits::ENVELOPE) {
                Ok(contents) => self.on_contents(now, from, contents, (way, Some(&sender))),
                Err(_) => self.env.stats.malformed += 1,
            },
            Ok(Opened::Lost { .. }) => {
                self.on_left_lost(now, &from);
                self.on_lost(now, from);
            }
            Ok(Opened::Missed) => self.on_left_lost(now, &from),
            Err(error) => self.on_unopened(now, from, &error, (&sender, way)),
        }
    }

    /// Something was said, in a session if there is a `sender`.
    fn on_contents(&mut self, now: Time, from: PeerId, contents: Sealed, about: (Way, Option<&Sender>)) {
        match contents {
            Sealed::Message { .. } => {
                let Some((head, body)) = self.head(now, from, contents, about) else { return };
                match about {
                    (Way::Mailbox, Some(sender)) => self.on_left_message(now, head, &body, sender),
                    _ => self.on_message(now, head, &body),
                }
            }
            Sealed::Large { .. } if matches!(about.0, Way::Mailbox) => self.env.stats.malformed += 1,
            Sealed::Large { message, length, hash, key } => {
                // Outside of a session a key keeps nothing secret.
                let key = key.filter(|_| about.1.is_some());
                self.on_large(now, from, &message, (length, hash, key), about);
            }
            Sealed::Receipt { id, refused, others } => {
                let by = self.swarms.values().find_map(|swarm| swarm.roster.identity(&from));
                self.transfers.remove(&(id, from));
                self.mail.on_receipt(id, (by, from), refused == Some(true), &mut self.env);
                for id in others.into_iter().flatten() {
                    self.mail.on_receipt(id, (by, from), false, &mut self.env);
                }
            }
            Sealed::Keys { discovery, keys } if !matches!(about.0, Way::Mailbox) => {
                self.on_keys(now, from, discovery, &keys);
            }
            _ => self.env.stats.malformed += 1,
        }
    }

    /// A peer cannot open what we said: it is said again in another session.
    fn on_lost(&mut self, now: Time, from: PeerId) {
        let identity = self.swarms.values().find_map(|swarm| swarm.roster.identity(&from));
        self.mail.on_session(now, &from, identity.as_ref());
    }

    /// We cannot open what a peer said: it is told, with what it needs to begin another session.
    fn on_unopened(&mut self, now: Time, from: PeerId, error: &SessionError, (sender, way): (&Sender, Way)) {
        self.env.stats.unopened += 1;
        let Some(frame) = error.notice() else { return };
        if matches!(way, Way::Mailbox) {
            return self.on_left_unopened(from, frame, sender);
        }
        let entry = sender.entry.as_deref().and_then(|entry| entry_of(from, entry));
        let contact = entry.map(|entry| contact_of(&entry));
        let prekey = self.sessions.fallback(now, &mut self.env);
        let contents = Box::new(Sealed::Session { frame, record: None, entry: None, prekey });
        self.sessions.hold(Held::Send { to: from, contact, contents, attempt: 0, message: None });
    }

    /// A peer asks for a prekey, or gives one.
    pub(super) fn on_prekey(
        &mut self,
        now: Time,
        from: PeerId,
        prekey: Option<Vec<u8>>,
        entry: Option<&[u8]>,
    ) {
        if let Some(prekey) = prekey {
            self.sessions.on_prekey(from, prekey);
            if !self.sessions.has(&from) {
                self.on_lost(now, from);
            }
            self.pay_keys(now, from);
            return;
        }
        if self.sessions.is_loading() {
            return;
        }
        let contact = entry.and_then(|entry| entry_of(from, entry)).map(|entry| contact_of(&entry));
        let prekey = Some(self.sessions.hand_out(now, from, &mut self.env));
        let contents = Box::new(Sealed::Prekey { prekey, entry: None });
        self.sessions.hold(Held::Send { to: from, contact, contents, attempt: 0, message: None });
    }

    /// A neighbour gives us a prekey.
    pub(super) fn on_neighbours_prekey(&mut self, now: Time, peer: PeerId, prekey: &[u8]) {
        if prekey.len() <= limits::PREKEY {
            self.on_prekey(now, peer, Some(prekey.to_vec()), None);
        }
    }

    // ---- what is stored ----

    /// Gives the store what has changed, and does what waits for nothing any more.
    pub(super) fn settle_sessions(&mut self, now: Time) {
        loop {
            let held = self.sessions.write(false, &mut self.env);
            if held.is_empty() {
                return;
            }
            self.release(now, held);
        }
    }

    /// Does what was held back.
    pub(super) fn release(&mut self, now: Time, held: Vec<Held>) {
        for held in held {
            match held {
                Held::Send { to, contact, contents, attempt, message } => {
                    let sent = self.seal_and_send(now, to, contact, &contents, (attempt, false));
                    if let Some(id) = message.filter(|_| !sent) {
                        self.mail.on_unsent(&id);
                    }
                }
                Held::Prekey { to, prekey } => {
                    self.links.send(to, &Frame::Prekey { prekey: &prekey }, &mut self.env);
                }
                Held::Parcel(number) => {
                    self.outbox.on_durable(number);
                    self.released = true;
                }
                Held::Publish(prekeys) => {
                    self.mailbox.publish(now, prekeys, &mut self.homes, &mut self.env);
                    self.released = true;
                }
                Held::Taken { of, ids } => {
                    self.on_taken_durable(now, &of, ids);
                    self.released = true;
                }
                Held::Tell { said, message } => {
                    self.env.out.extend(said);
                    if let Some(id) = message {
                        self.sessions.on_told(now, &id);
                    }
                }
            }
        }
    }

    /// Some of what is stored of sessions has been read.
    pub(super) fn on_sessions_loaded(&mut self, now: Time, rows: Result<Vec<StoreRow>, String>, more: bool) {
        let discovery = self.sessions.place();
        match self.sessions.on_loaded(rows, more, &mut self.env) {
            Ok(mut loaded) => {
                self.on_mail_loaded(now, &mut loaded);
                for id in loaded.received {
                    self.mail.on_received_before(id, &self.env);
                }
                self.untold = loaded.untold;
                self.mailbox.on_start(now, &self.env);
                if self.env.config.collect {
                    self.tell_untold(now);
                }
                self.on_sessions_ready(now);
            }
            Err(Some(after)) => {
                let load = crate::storage::StoreWork::Load { discovery, after: Some(after) };
                self.env.out.push_back(crate::api::Output::Store(load));
            }
            Err(None) => {}
        }
    }

    /// Sessions can be used from now on.
    pub(super) fn on_sessions_ready(&mut self, now: Time) {
        for Early { from, frame, sender, way } in std::mem::take(&mut self.early) {
            self.on_session(now, from, frame, sender, way);
        }
        let open: Vec<PeerId> = self.links.open().map(|(peer, _)| peer).collect();
        for peer in open {
            self.give_prekey(now, peer);
            self.pay_keys(now, peer);
        }
        self.mail.on_sessions(now);
    }
}

/// Where a peer says that it is.
fn entry_of(from: PeerId, bytes: &[u8]) -> Option<Entry> {
    statement::open_entry(bytes).ok().filter(|entry| entry.peer == from)
}

fn contact_of(entry: &Entry) -> Contact {
    Contact { agreement: entry.agreement, homes: vec![entry.home], sessions: true }
}
