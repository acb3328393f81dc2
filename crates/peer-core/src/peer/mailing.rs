//! Mail that waits: what we leave for others, and what others left for us.

use std::time::Duration;

use weft_crypto::challenge::Collection;
use weft_crypto::{digest, statement};
use weft_wire::sealed::Sealed;
use weft_wire::{AgreementKey, Code, IdentityId, List, MessageId, PeerId, Time, encode};

use super::Peer;
use super::conversing::Sender;
use super::sealed::Way;
use crate::api::SendError;
use crate::homes::Answer;
use crate::mail::{Head, Mail, ToLeave};
use crate::order::Message;
use crate::outbox::{Fate, Known, Parcel, Ready};
use crate::sessions::{Held, Loaded};
use crate::sorted::{Map, Set};

/// Where nothing could be sealed for want of prekeys, the residence is asked again after so long.
const AGAIN: Duration = Duration::from_secs(30);
/// Bytes that an envelope has more than the message in it, at most.
const WRAPPING: usize = 2048;

/// What is to be answered when all of a page of mail has been opened.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Messages to confirm, by their sender.
    receipts: Map<PeerId, (IdentityId, AgreementKey, Vec<MessageId>)>,
    /// Who is to be told that a session is lost: its record, and the word.
    lost: Map<PeerId, (Vec<u8>, Vec<u8>)>,
}

impl Peer {
    /// We have a mailbox: what is kept for us will find its key, also after a restart.
    fn has_mailbox(&self) -> bool {
        self.env.config.mail && self.sessions.stores() && !self.sessions.is_loading()
    }

    /// Does what is due about mail.
    pub(super) fn settle_mail(&mut self, now: Time) {
        for id in self.mail.take_ended() {
            self.outbox.forget(&id, None, &mut self.sessions);
            self.sessions.put_left(&id, None);
        }
        self.mailbox.on_time(now);
        self.tell_in_order(now);
        if !self.env.config.mail || self.sessions.is_loading() {
            return;
        }
        self.leave_messages(now);
        self.outbox.leave(now, &mut self.homes, &mut self.sessions, &mut self.env);
        if self.has_mailbox() {
            self.mailbox.ask(now, &mut self.homes, &mut self.sessions, &mut self.env);
        }
    }

    pub(super) fn mail_deadline(&self, now: Time) -> Option<Time> {
        let mailbox = self.mailbox.deadline(&self.env).filter(|_| self.has_mailbox());
        [self.outbox.deadline(now, self.mail.wanted()), mailbox].into_iter().flatten().min()
    }

    /// With whom there is a link, of those for whom something is left or under way.
    pub(super) fn linked_recipients(&self) -> Set<IdentityId> {
        let left = self.mail.left_for();
        if left.is_empty() {
            return left;
        }
        let identity = |peer| self.swarms.values().find_map(|swarm| swarm.roster.identity(&peer));
        let linked = self.links.open().filter(|(peer, _)| self.negotiator.healthy(peer));
        linked.filter_map(|(peer, _)| identity(peer)).filter(|identity| left.contains(identity)).collect()
    }

    /// A home is there.
    pub(super) fn on_mail_up(&mut self, now: Time) {
        self.mailbox.on_up(now, &self.env);
        self.own.on_up(now);
        self.outbox.on_up(now);
        self.mail.on_up(now, &self.env.config);
        self.on_asked_around(now);
    }

    /// A signaler says that a peer is not there: its mailbox may be.
    pub(super) fn on_away(&mut self, now: Time, peer: &PeerId) {
        if let Some(identity) = self.swarms.values().find_map(|swarm| swarm.roster.identity(peer)) {
            self.mail.on_away(now, &identity, &self.env.config);
        }
    }

    /// A home came up or a party was joined: somebody may be told of.
    pub(super) fn on_asked_around(&mut self, now: Time) {
        self.told_at = now + self.env.config.mail_soonest;
    }

    /// From when on nobody will be told of whom we do not know; none if there are some to search for.
    pub(super) fn all_told(&self, now: Time) -> Option<Time> {
        let known = self.links.open().next().is_none()
            || self.swarms.values().all(|swarm| swarm.roster.knows_all(&self.env));
        let soonest = now + self.env.config.mail_soonest;
        known.then(|| if self.homes.any_up() { self.told_at.max(now) } else { soonest })
    }

    /// What became of something that was asked about mail.
    pub(super) fn on_mail_answer(&mut self, now: Time, re: u32, answer: Answer) {
        self.mailbox.on_heard(&answer);
        let answer = match self.own.on_answer(now, (re, answer), &mut self.env) {
            Ok(fate) => {
                if let Some(fate) = fate {
                    self.on_own_fate(now, fate);
                }
                return;
            }
            Err(answer) => answer,
        };
        let fate = self.outbox.on_answer(now, (re, answer), &mut self.sessions, &mut self.env);
        match fate {
            Ok(fate) => {
                if let Some(fate) = fate {
                    self.on_fate(now, fate);
                }
            }
            Err(answer) => {
                let to = (&mut self.homes, &mut self.sessions);
                if let Some(page) = self.mailbox.on_answer(now, (re, answer), to, &mut self.env) {
                    self.on_page(now, page);
                }
            }
        }
    }

    // ---- what we leave ----

    fn leave_messages(&mut self, now: Time) {
        let mut later: Set<IdentityId> = Set::new();
        for message in self.mail.to_leave(now) {
            if later.contains(&message.to) {
                continue;
            }
            let to = (&mut self.homes, &mut self.env);
            match self.outbox.ready(now, message.to, &self.sessions, to) {
                Ready::Now(peers) => self.leave_message(now, &message, &peers),
                Ready::Later => _ = later.insert(message.to),
            }
        }
    }

    /// Seals a message for mailboxes.
    fn leave_message(&mut self, now: Time, message: &ToLeave, peers: &[Known]) {
        if message.only.is_none() {
            let (count, bytes) = self.mail.left();
            let more = message.body.len() + peers.len() * (message.body.len() + WRAPPING);
            let (most, room) = (self.env.config.outbox_messages, self.env.config.outbox_bytes);
            if count >= most || bytes + self.outbox.bytes() + more > room {
                return self.mail.on_not_left(&message.id, SendError::OutboxFull, &mut self.env);
            }
        }
        let inner = encode(&Sealed::Message {
            id: message.id,
            record: Vec::new(),
            time: message.time,
            body: message.body.to_vec(),
            entry: Vec::new(),
            to: message.to,
            asks: None,
            answers: None,
            failed: None,
        });
        let is_meant = |known: &&Known| message.only.as_ref().is_none_or(|only| only.contains(&known.peer));
        let mut sealed = Vec::new();
        let is_ours = |known: &&Known| !self.revocations.has(now, &message.to, &known.peer);
        for known in peers.iter().filter(is_meant).filter(is_ours).cloned().collect::<Vec<_>>() {
            let Some(frame) = self.sessions.seal(now, known.peer, &inner, &mut self.env) else { continue };
            let (record, entry) = (Some(self.env.record.clone()), Some(self.homes.own_entry(None)));
            let contents = Sealed::Session { frame, record, entry, prekey: None };
            let Some(envelope) = self.env.seal(known.peer, &known.agreement, &contents) else { continue };
            // What was sealed before for it is of a session that it has lost.
            self.outbox.forget(&message.id, Some(&known.peer), &mut self.sessions);
            let to = (message.to, known.peer);
            let parcel = Parcel::new(to, Some(message.id), message.until, envelope);
            self.outbox.add(parcel, &mut self.sessions);
            sealed.push(known.peer);
        }
        // Who is not there any more needs nothing.
        let is_gone = |peer: &&PeerId| !peers.iter().any(|known| known.peer == **peer);
        let gone: Vec<PeerId> = message.only.iter().flatten().filter(is_gone).copied().collect();
        if sealed.is_empty() && gone.is_empty() {
            // There may be prekeys next time.
            return self.outbox.doubt(now + AGAIN, &message.to);
        }
        let number = self.outbox.number();
        if let Some(row) = self.mail.on_sealed(message, number, (&sealed, &gone)) {
            self.sessions.put_left(&message.id, Some(row));
        }
    }

    pub(super) fn on_fate(&mut self, now: Time, fate: Fate) {
        match fate {
            Fate::Stored(id) => {
                if let Some(row) = self.mail.on_stored(&id, &mut self.env) {
                    self.sessions.put_left(&id, Some(row));
                }
            }
            Fate::Refused(id, _, _) if self.mail.is_stored(&id) || self.outbox.has(&id) => {}
            Fate::Refused(id, _, Code::NoMailbox | Code::Revoked) => self.mail.on_nowhere(now, &id),
            Fate::Refused(id, _, code) => {
                let error = match code {
                    Code::MailboxFull => SendError::MailboxFull,
                    Code::SenderFull => SendError::SenderFull,
                    Code::TooLarge => SendError::TooLargeToWait,
                    _ => SendError::Expired,
                };
                self.mail.on_not_left(&id, error, &mut self.env);
            }
        }
    }

    /// A peer cannot open what we left for it, or said to it.
    pub(super) fn on_left_lost(&mut self, now: Time, peer: &PeerId) {
        let again = self.mail.on_left_lost(peer);
        if !again.is_empty() {
            // With the prekey that came with the word: those at the residence may be as old as what was lost.
            self.sessions.begin(now, *peer, &mut self.env);
        }
        for (id, row) in again {
            self.sessions.put_left(&id, Some(row));
        }
    }

    /// The store has failed: what was sealed and not stored does not leave.
    pub(super) fn on_sessions_failed(&mut self) {
        for (id, peer) in self.outbox.on_store_failed() {
            self.mail.on_unstored(&id, &peer);
        }
    }

    // ---- what others left ----

    /// Some of our mail.
    fn on_page(&mut self, now: Time, envelopes: Vec<Vec<u8>>) {
        self.page = Some(Page::default());
        let (mut ids, mut new) = (Vec::new(), false);
        for envelope in envelopes {
            let id = digest(&envelope);
            ids.push(id);
            // What does not open is known as well from now on, and goes: it does not open next time either.
            if !self.mailbox.is_known(now, id, &mut self.sessions) {
                new = true;
                self.on_envelope(now, &envelope, Way::Mailbox);
            }
        }
        if let Some(page) = self.page.take() {
            self.answer_page(now, page);
        }
        self.mailbox.on_kept(now, (ids, new), &mut self.sessions, &self.env);
    }

    /// A message was left for us.
    pub(super) fn on_left_message(&mut self, now: Time, head: Head, body: &[u8], sender: &Sender) {
        if head.asks || head.answers.is_some() {
            // Nobody waits for these so long.
            self.env.stats.malformed += 1;
            return;
        }
        let (id, from, identity, contact) = (head.id, head.peer, head.from, head.contact.clone());
        self.accept(now, head, body, true);
        if let Some(page) = &mut self.page {
            let receipts = page.receipts.entry(from);
            receipts.or_insert_with(|| (identity, contact.agreement, Vec::new())).2.push(id);
        }
        let entry = sender.entry.as_deref().and_then(|entry| statement::open_entry(entry).ok());
        let is_here = entry.is_some_and(|entry| entry.peer == from && entry.until > now.millis());
        if is_here || self.has_way(now, &from) {
            // It need not look into its own mailbox to know.
            self.confirm(now, from, contact, (id, false));
        }
    }

    /// Something was left for us in a session that is lost.
    pub(super) fn on_left_unopened(&mut self, from: PeerId, frame: Vec<u8>, sender: &Sender) {
        if let Some(page) = &mut self.page
            && let Some(record) = &sender.record
            && !page.lost.contains_key(&from)
        {
            page.lost.insert(from, (record.clone(), frame));
        }
    }

    /// Leaves receipts, and the word that sessions are lost, for those who left something for us.
    fn answer_page(&mut self, now: Time, page: Page) {
        let until = now + self.env.config.mail_life;
        for (peer, (identity, agreement, ids)) in page.receipts {
            let Some((id, others)) = ids.split_first() else { continue };
            let others = (!others.is_empty()).then(|| List::first(others.iter().copied()));
            let inner = encode(&Sealed::Receipt { id: *id, refused: None, others });
            let Some(frame) = self.sessions.seal(now, peer, &inner, &mut self.env) else { continue };
            let contents = Sealed::Session { frame, record: None, entry: None, prekey: None };
            self.reply((identity, peer), (&agreement, &contents), until);
        }
        for (peer, (record, frame)) in page.lost {
            let Some(record) = self.check_record(now, peer, &record) else { continue };
            let prekey = self.sessions.fallback(now, &mut self.env);
            let contents = Sealed::Session { frame, record: None, entry: None, prekey };
            self.reply((record.identity, peer), (&record.agreement, &contents), until);
        }
    }

    fn reply(
        &mut self,
        to: (IdentityId, PeerId),
        (agreement, contents): (&AgreementKey, &Sealed),
        until: Time,
    ) {
        if let Some(envelope) = self.env.seal(to.1, agreement, contents) {
            self.outbox.add(Parcel::new(to, None, until, envelope), &mut self.sessions);
        }
    }

    // ---- what came live meanwhile ----

    /// It is not known whether what comes live is the next that its sender wrote.
    fn holds(&self, now: Time) -> bool {
        self.has_mailbox() && self.env.config.collect && self.mailbox.holds(now)
    }

    /// Tells the application of a message: of one that `waited` behind what its sender wrote before, of another when all that
    /// waits was shown.
    pub(super) fn tell_message(&mut self, now: Time, one: Message, waited: bool) {
        if waited {
            let before = self.order.take_until(&one.from, one.time);
            self.tell_all(before.into_iter().chain([one]));
        } else {
            self.order.push(one);
            self.tell_in_order(now);
        }
    }

    /// Tells the application of what came live, once that is not to wait any more, or is too much.
    fn tell_in_order(&mut self, now: Time) {
        if !self.order.is_empty() && (self.order.is_full() || !self.holds(now)) {
            let all = self.order.take();
            self.tell_all(all);
        }
    }

    fn tell_all(&mut self, some: impl IntoIterator<Item = Message>) {
        for Message { id, said, .. } in some {
            self.sessions.hold(Held::Tell { said, message: Some(id) });
        }
    }

    /// Tells the application, which takes messages, of those that an earlier run has stored and not told.
    pub(super) fn tell_untold(&mut self, now: Time) {
        for kept in std::mem::take(&mut self.untold) {
            let (from, id, time, len) = (kept.from, kept.id, kept.time, kept.body.len());
            let before = self.env.out.len();
            Mail::tell(kept, &mut self.env);
            let said = self.env.out.split_off(before);
            self.order.push(Message { from, id, time, len, said });
        }
        self.tell_in_order(now);
    }

    /// What was collected is durable.
    pub(super) fn on_taken_durable(&mut self, now: Time, of: &Collection, ids: Vec<weft_wire::Digest>) {
        self.mailbox.take(now, of, ids, &mut self.homes, &mut self.env);
    }

    /// What was stored of mail has been read.
    pub(super) fn on_mail_loaded(&mut self, now: Time, loaded: &mut Loaded) {
        self.on_stored_revocations(now, std::mem::take(&mut loaded.revocations));
        for (number, row) in std::mem::take(&mut loaded.parcels) {
            self.outbox.restore(number, &row, &mut self.sessions);
        }
        for (id, row) in std::mem::take(&mut loaded.left) {
            match self.mail.restore_left(now, id, &row, &self.env) {
                Some(number) => {
                    self.outbox.on_number(number);
                    // There was no mailbox any more for which it was sealed.
                    if !self.outbox.has(&id) {
                        self.mail.on_nowhere(now, &id);
                    }
                }
                None => self.sessions.put_left(&id, None),
            }
        }
        for id in std::mem::take(&mut loaded.collected) {
            self.mailbox.restore(id);
        }
    }
}
