//! What is different with messages that are large or bulky: they wait for their turn, are announced to somebody, go on by parts, and are
//! taken back.

use std::sync::Arc;

use weft_wire::{IdentityId, MessageId, PeerId, Time, limits};

use super::{Head, Mail, Outgoing, Purpose};
use crate::api::{CommandId, Event};
use crate::env::Env;
use crate::sorted::{Map, Set};
use crate::transfer::{STALLED, Source};

/// Large messages to one identity that are announced at once, and their bytes: what one recipient has room for.
const LARGE: usize = 4;
const LARGE_BYTES: usize = 2 * limits::MESSAGE;
/// Bytes of messages to one identity that are bulky, but not large, and under way at once.
const BULKY_BYTES: usize = 1024 * 1024;

/// Whether a message waits for its turn: it is more than a chunk of a link, so that many could fill one up.
pub(crate) fn is_bulky(body: &[u8]) -> bool {
    body.len() > limits::CHUNK
}

/// Whether a body is too large for one envelope.
pub(crate) fn is_large(body: &[u8]) -> bool {
    body.len() > limits::MESSAGE_WHOLE
}

impl Mail {
    /// Takes back what is not confirmed.
    pub(super) fn take_back(&mut self, id: &MessageId) -> Option<Outgoing> {
        let one = self.outgoing.remove(id)?;
        self.room = true;
        if one.mail.may_be_stored() {
            self.ended.push(*id);
        }
        if is_large(&one.body) {
            self.stopped.push((*id, one.addressed.clone()));
        }
        Some(one)
    }

    /// Large messages that were taken back, and who may have parts of them.
    pub(crate) fn take_stopped(&mut self) -> Vec<(MessageId, Set<PeerId>)> {
        core::mem::take(&mut self.stopped)
    }

    /// Bytes of the messages that are not confirmed, but for those that are left for somebody.
    pub(crate) fn bytes(&self) -> usize {
        let here = self.outgoing.values().filter(|one| one.mail.left().is_none());
        here.map(|one| one.body.len()).sum()
    }

    /// Whether a message is not confirmed.
    pub(crate) fn has(&self, id: &MessageId) -> bool {
        self.outgoing.contains_key(id)
    }

    /// A large message that was announced to this peer, and where that is if only the message knows.
    pub(crate) fn announced(&self, id: &MessageId, to: &PeerId) -> Option<Source> {
        let one = self.outgoing.get(id).filter(|one| one.addressed.contains(to))?;
        let contact = match &one.purpose {
            Purpose::Answer { to, .. } => Some(to.contact.clone()),
            _ => None,
        };
        Some(Source { body: Arc::clone(&one.body), key: one.key.clone(), contact })
    }

    /// A recipient has so much of a large message.
    pub(crate) fn on_progress(
        &mut self,
        now: Time,
        id: &MessageId,
        (confirmed, goes_on): (usize, bool),
        env: &mut Env,
    ) {
        let Some(one) = self.outgoing.get_mut(id) else { return };
        (one.full, one.retry_at) = (false, now + STALLED);
        if !goes_on {
            return;
        }
        (one.since, one.wait, one.attempt) = (now, env.config.message_retry, 1);
        if let Some(asked) = self.asked.get_mut(id) {
            asked.until = asked.until.max(now + asked.timeout);
        }
        if confirmed > one.confirmed {
            one.confirmed = confirmed;
            let (command, sent, total) = (one.command, confirmed, one.body.len());
            if !matches!(one.purpose, Purpose::Answer { .. }) {
                env.event(Event::Progress { command, id: *id, sent, total });
            }
        }
    }

    /// A recipient has no room for a large message now.
    pub(crate) fn on_full(&mut self, id: &MessageId) {
        if let Some(one) = self.outgoing.get_mut(id) {
            one.full = true;
        }
    }

    /// A part of an answer of ours to come.
    pub(crate) fn on_answer_goes_on(&mut self, now: Time, request: &MessageId) {
        if let Some(asked) = self.asked.get_mut(request) {
            asked.until = asked.until.max(now + asked.timeout);
        }
    }

    /// What is to be done with a large message that is announced to us: keep its parts, or answer that it is here already
    /// or, if true, that nobody answers it.
    pub(crate) fn on_announced(&self, head: &Head) -> Result<(), bool> {
        let known = self.received.contains(&head.id);
        let unasked = head.answers.is_some_and(|request| !self.may_answer(&request, head));
        let refused = !known && head.asks && head.answers.is_none() && !self.answers;
        if known || unasked || refused { Err(refused) } else { Ok(()) }
    }

    /// A request that waits for its turn: its time does not run yet.
    pub(super) fn waits(&self, id: &MessageId) -> bool {
        self.outgoing.get(id).is_some_and(|one| one.waits)
    }

    /// Messages that wait begin if there is room, in the order in which they were given.
    pub(super) fn begin_waiting(&mut self, now: Time) {
        if !core::mem::take(&mut self.room) {
            return;
        }
        let mut under_way: Map<IdentityId, UnderWay> = Map::new();
        let goes = |one: &&Outgoing| !one.waits && is_bulky(&one.body) && one.mail.left().is_none();
        for one in self.outgoing.values().filter(goes) {
            under_way.entry(one.to).or_default().take(&one.body);
        }
        let waiting = self.outgoing.iter().filter(|(_, one)| one.waits);
        let mut waiting: Vec<(CommandId, MessageId)> = waiting.map(|(id, one)| (one.command, *id)).collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            if let Some(one) = self.outgoing.get_mut(&id)
                && under_way.entry(one.to).or_default().take(&one.body)
            {
                (one.waits, one.since, one.retry_at) = (false, now, now);
                if let Some(asked) = self.asked.get_mut(&id) {
                    asked.until = asked.until.max(now + asked.timeout);
                }
            }
        }
    }
}

/// Messages to one identity that do not wait: how many large ones, their bytes, and those of the other bulky ones.
#[derive(Default)]
struct UnderWay {
    large: usize,
    large_bytes: usize,
    bytes: usize,
}

impl UnderWay {
    /// Counts a message, if there is room for it.
    fn take(&mut self, body: &[u8]) -> bool {
        if !is_large(body) {
            let room = self.bytes + body.len() <= BULKY_BYTES;
            self.bytes += if room { body.len() } else { 0 };
            return room;
        }
        let room = self.large < LARGE && self.large_bytes + body.len() <= LARGE_BYTES;
        if room {
            self.large += 1;
            self.large_bytes += body.len();
        }
        room
    }
}
