//! Messages from identity to identity: sealed to each peer of the recipient, sent again until a receipt comes.
//!
//! Inputs: messages to send, messages and receipts that came.
//! Outputs: [`Letter`]s to seal and send; [`Event::Message`], [`Event::Sent`].
//! Timers: send again, give up.
//! Invariants: a message is told to the application once, however often it comes; every message ends in one
//! [`Event::Sent`]; at most [`OUTGOING`] messages are under way.

use crate::recent::Recent;
use crate::sorted::Map;
use std::time::Duration;

use weft_query::Document;
use weft_wire::{IdentityId, MessageId, PeerId, Time};

use crate::api::{CommandId, Event, SendError};
use crate::env::Env;

/// Messages that may be under way at once.
pub(crate) const OUTGOING: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Mail {
    outgoing: Map<MessageId, Outgoing>,
    received: Recent<MessageId>,
}

#[derive(Debug)]
struct Outgoing {
    command: CommandId,
    to: IdentityId,
    time: u64,
    body: Vec<u8>,
    since: Time,
    retry_at: Time,
    sent_at: Time,
    /// After the next time it is sent.
    wait: Duration,
    attempt: u32,
}

/// A message to seal to every known peer of an identity.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) id: MessageId,
    pub(crate) to: IdentityId,
    pub(crate) time: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) attempt: u32,
}

impl Mail {
    pub(crate) fn len(&self) -> usize {
        self.outgoing.len()
    }

    /// Begins to send; the first letter is due at once.
    pub(crate) fn send(
        &mut self,
        now: Time,
        command: CommandId,
        to: IdentityId,
        body: Vec<u8>,
        env: &mut Env,
    ) {
        let id = MessageId(env.random());
        let wait = env.config.message_retry;
        let outgoing = Outgoing {
            command,
            to,
            time: now.millis(),
            body,
            since: now,
            retry_at: now,
            sent_at: now,
            wait,
            attempt: 0,
        };
        self.outgoing.insert(id, outgoing);
    }

    pub(crate) fn on_receipt(&mut self, id: MessageId, by: Option<IdentityId>, env: &mut Env) {
        // Only the recipient can confirm: anybody else who somehow learned the id cannot.
        if self.outgoing.get(&id).is_some_and(|message| by == Some(message.to))
            && let Some(message) = self.outgoing.remove(&id)
        {
            env.event(Event::Sent { command: message.command, id, outcome: Ok(()) });
        }
    }

    /// Takes a message that was opened and whose sender's record was checked. A receipt is due in any case.
    pub(crate) fn on_message(
        &mut self,
        (from, peer): (IdentityId, PeerId),
        id: MessageId,
        (time, hops): (u64, Option<u8>),
        body: &[u8],
        env: &mut Env,
    ) {
        let Ok(document) = Document::decode(body) else {
            env.stats.malformed += 1;
            return;
        };
        if self.received.insert(id, env.config.message_memory) {
            env.event(Event::Message { from, peer, id, time, document, hops });
        }
    }

    /// Something is on its way to this identity.
    pub(crate) fn seeks(&self, identity: &IdentityId) -> bool {
        self.outgoing.values().any(|message| message.to == *identity)
    }

    /// A peer of this identity, or a way to one, has become known: what waits for it need not wait for its timer. However
    /// often that is said, nothing is sent again sooner than after half of its wait.
    pub(crate) fn on_known(&mut self, now: Time, identity: &IdentityId) {
        let waits = |message: &&mut Outgoing| message.to == *identity && message.attempt > 0;
        for message in self.outgoing.values_mut().filter(waits) {
            // The first attempt may have found nobody to send it to.
            let soonest =
                if message.attempt == 1 { now } else { now.max(message.sent_at + message.wait / 4) };
            message.retry_at = message.retry_at.min(soonest);
        }
    }

    pub(crate) fn close(&mut self, env: &mut Env) {
        for (id, message) in std::mem::take(&mut self.outgoing) {
            env.event(Event::Sent { command: message.command, id, outcome: Err(SendError::Closed) });
        }
    }

    pub(crate) fn on_time(&mut self, now: Time, env: &mut Env) -> Vec<Letter> {
        let late = |message: &Outgoing| now.since(message.since) >= env.config.message_give_up;
        let given_up: Vec<MessageId> =
            self.outgoing.iter().filter(|(_, message)| late(message)).map(|(id, _)| *id).collect();
        for id in given_up {
            if let Some(message) = self.outgoing.remove(&id) {
                let outcome = Err(SendError::Unreachable(env.config.message_give_up.as_secs()));
                env.event(Event::Sent { command: message.command, id, outcome });
            }
        }
        let mut letters = Vec::new();
        for (id, message) in self.outgoing.iter_mut().filter(|(_, message)| message.retry_at <= now) {
            letters.push(Letter {
                id: *id,
                to: message.to,
                time: message.time,
                body: message.body.clone(),
                attempt: message.attempt,
            });
            message.retry_at = now + message.wait;
            message.sent_at = now;
            message.wait = (message.wait * 2).min(env.config.message_give_up);
            message.attempt = message.attempt.saturating_add(1);
        }
        letters
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        self.outgoing.values().map(|m| m.retry_at.min(m.since + env.config.message_give_up)).min()
    }
}
