//! Messages from identity to identity: sealed to each peer of the recipient, sent again until a receipt comes. A request
//! is a message that another one answers.
//!
//! Who cannot be reached finds a message at the residence of its identity ([`crate::outbox`]); here it waits until it is
//! confirmed, in this run or a later one. What is sent to the same identity meanwhile goes the same way, so that it does not
//! overtake, unless there is a link: over that all of it goes again, in order.
//!
//! A large message is announced by its letter and goes out in parts ([`crate::transfer`]); here it waits until it is its
//! turn, and is announced again when it does not go on.
//!
//! Inputs: messages to send, messages and receipts that came, what has crossed of large ones.
//! Outputs: [`Letter`]s to seal and send; [`Event::Message`], [`Event::Sent`], [`Event::Request`], [`Event::Answered`],
//! [`Event::Progress`].
//! Timers: send again, give up, answers that do not come.
//! Invariants: a message is told to the application once, however often it comes; every message that is not cancelled
//! ends in one [`Event::Sent`], perhaps in a later run; every request in one [`Event::Answered`]; at most [`OUTGOING`] messages are
//! under way, as many answers waited for, and as many requests of others waiting for theirs, of which whoever asks most
//! loses the oldest; of [`ANSWERS`] answers that are not confirmed, too. At most four large messages to one identity
//! are announced at once.

use crate::recent::Recent;
use crate::sorted::{Map, Set};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use weft_crypto::digest;
use weft_crypto::part::PartKey;
use weft_query::Document;
use weft_wire::{Digest, IdentityId, MessageId, PeerId, Text, Time, limits};

use crate::api::{CommandId, Event, RequestError, SendError};
use crate::config::Config;
use crate::env::Env;
use crate::roster::Contact;
use crate::sessions::Kept;
use crate::transfer::STALLED;

mod large;
mod left;

pub(crate) use large::{is_bulky, is_large};
pub(crate) use left::ToLeave;
use left::Waits;

/// Messages that may be under way at once.
pub(crate) const OUTGOING: usize = 1024;
/// Answers that may be under way at once.
const ANSWERS: usize = 256;
/// So often an answer is sent at most: whoever asked and hears nothing asks again.
const ANSWER_ATTEMPTS: u32 = 4;
/// Between two letters of a message at most: where much is lost, few of them in the time that there is are too few.
const MOST_WAIT: Duration = Duration::from_secs(1);
/// The body of an answer that is a failure: a document without members.
pub(crate) const NOTHING: &[u8] = &[0xa0];

/// Why a request has no other answer.
type Reason = Text<{ limits::FAILURE }>;

#[derive(Debug, Default)]
pub(crate) struct Mail {
    /// The application answers requests.
    pub(crate) answers: bool,
    outgoing: Map<MessageId, Outgoing>,
    /// When the last was written: each a little later than the one before, so that recipients can tell which came first.
    written: u64,
    received: Recent<MessageId>,
    /// Our requests that have no answer yet.
    asked: Map<MessageId, Asked>,
    /// Requests of others that have no answer yet, oldest first.
    requests: VecDeque<(MessageId, Asker)>,
    /// Something has changed for those that wait for their turn.
    room: bool,
    /// Large messages that ended before they were confirmed, and who may have parts of them.
    stopped: Vec<(MessageId, Set<PeerId>)>,
    /// Messages that were left for somebody, and have ended.
    ended: Vec<MessageId>,
}

/// Who has asked, and where the answer goes.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) identity: IdentityId,
    pub(crate) peer: PeerId,
    pub(crate) contact: Contact,
}

/// What a message is sent for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// It stands alone.
    Message,
    /// For an answer, which may take so long.
    Request { timeout: Duration },
    /// As the answer to this request, or because there is none.
    Answer { request: MessageId, failed: Option<Reason>, to: Asker },
}

#[derive(Debug)]
struct Outgoing {
    command: CommandId,
    to: IdentityId,
    peer: Option<PeerId>,
    purpose: Purpose,
    time: u64,
    body: Arc<Vec<u8>>,
    /// Of the body, if it is large.
    hash: Digest,
    /// Of its parts.
    key: Option<PartKey>,
    /// It waits for its turn.
    waits: bool,
    /// Of a large one: whom it was announced to, and the most bytes that one of them has.
    addressed: Set<PeerId>,
    confirmed: usize,
    /// A recipient had no room for it.
    full: bool,
    /// It began, or went on.
    since: Time,
    retry_at: Time,
    sent_at: Time,
    /// The last letter went somewhere.
    sent: bool,
    /// After the next time it is sent.
    wait: Duration,
    attempt: u32,
    /// Whether it waits at residences, or will.
    mail: Waits,
}

#[derive(Debug)]
struct Asked {
    command: CommandId,
    to: IdentityId,
    /// Only this one may answer.
    peer: Option<PeerId>,
    since: Time,
    until: Time,
    timeout: Duration,
    /// Who was asked, and who says that nobody answers there.
    addressed: Set<PeerId>,
    refused: Set<PeerId>,
}

/// A message to seal to every known peer of an identity, or to one.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Names what it is sent for.
    pub(crate) command: CommandId,
    pub(crate) id: MessageId,
    pub(crate) to: IdentityId,
    pub(crate) peer: Option<PeerId>,
    pub(crate) purpose: Purpose,
    pub(crate) time: u64,
    pub(crate) body: Arc<Vec<u8>>,
    /// Of the body, if it is large.
    pub(crate) hash: Digest,
    /// Of its parts.
    pub(crate) key: Option<PartKey>,
    pub(crate) attempt: u32,
}

/// A message without its body, after it was opened and its sender's record was checked.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) from: IdentityId,
    pub(crate) peer: PeerId,
    pub(crate) contact: Contact,
    pub(crate) id: MessageId,
    pub(crate) time: u64,
    /// Links it came over; none if a signaler brought it.
    pub(crate) hops: Option<u8>,
    pub(crate) asks: bool,
    pub(crate) answers: Option<MessageId>,
    pub(crate) failed: Option<Reason>,
}

impl Mail {
    /// Messages under way, but for those that are left for somebody.
    pub(crate) fn messages(&self) -> usize {
        let is_message =
            |one: &&Outgoing| matches!(one.purpose, Purpose::Message) && one.mail.left().is_none();
        self.outgoing.values().filter(is_message).count()
    }

    /// Answers that are waited for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Begins to send; the first letter is due at once.
    pub(crate) fn send(
        &mut self,
        now: Time,
        command: CommandId,
        (to, peer): (IdentityId, Option<PeerId>),
        (purpose, life): (Purpose, Duration),
        body: Vec<u8>,
        env: &mut Env,
    ) {
        let id = MessageId(env.random());
        let may_wait = matches!(purpose, Purpose::Message) && !is_large(&body);
        let mail = Waits::new(now, if may_wait { life } else { Duration::ZERO }, &env.config);
        let waits = is_bulky(&body);
        self.room = true;
        self.written = now.millis().max(self.written + 1);
        match &purpose {
            Purpose::Message => {}
            Purpose::Request { timeout } => {
                let (addressed, refused) = (Set::new(), Set::new());
                let (timeout, until) = (*timeout, now + *timeout);
                let asked = Asked { command, to, peer, since: now, until, timeout, addressed, refused };
                self.asked.insert(id, asked);
            }
            Purpose::Answer { .. } => self.make_room_for_answer(),
        }
        let outgoing = Outgoing {
            peer,
            hash: if is_large(&body) { digest(&body) } else { Digest([0; 32]) },
            key: is_large(&body).then(|| PartKey::new(&mut env.rng)),
            waits,
            ..Outgoing::new(now, (command, purpose), (to, self.written, body), mail, &env.config)
        };
        self.outgoing.insert(id, outgoing);
    }

    /// Nobody waits for the answer to a request, or the fate of a message, any more.
    pub(crate) fn cancel(&mut self, command: CommandId) {
        let asked = self.asked.iter().filter(|(_, asked)| asked.command == command).map(|(id, _)| *id);
        let is_it = |one: &Outgoing| one.command == command && matches!(one.purpose, Purpose::Message);
        let sent = self.outgoing.iter().filter(|(_, one)| is_it(one)).map(|(id, _)| *id);
        let id: Option<MessageId> = asked.chain(sent).next();
        if let Some(id) = id {
            self.asked.remove(&id);
            self.take_back(&id);
        }
    }

    /// Who waits for an answer to this request, which is given now.
    pub(crate) fn take_request(&mut self, id: &MessageId) -> Option<Asker> {
        let at = self.requests.iter().position(|(request, _)| request == id)?;
        self.requests.remove(at).map(|(_, asker)| asker)
    }

    /// Bytes of answers that may not have arrived. Of messages and requests whoever sent them is told.
    pub(crate) fn unsent(&self) -> usize {
        let is_answer = |one: &&Outgoing| matches!(one.purpose, Purpose::Answer { .. });
        self.outgoing.values().filter(is_answer).map(|one| one.body.len()).sum()
    }

    /// Whoever has most answers under way loses the oldest if there are too many.
    fn make_room_for_answer(&mut self) {
        let answers = || {
            self.outgoing.iter().filter_map(|(id, one)| match &one.purpose {
                Purpose::Answer { to, .. } => Some((one.since, *id, to.peer)),
                _ => None,
            })
        };
        if answers().count() < ANSWERS {
            return;
        }
        let most = most_frequent(answers().map(|(.., peer)| peer));
        let oldest = answers().filter(|(.., peer)| Some(*peer) == most).min();
        if let Some((_, id, _)) = oldest {
            self.take_back(&id);
        }
    }

    /// A letter goes to these peers.
    pub(crate) fn on_addressed(&mut self, id: &MessageId, peers: &Set<PeerId>) {
        if let Some(asked) = self.asked.get_mut(id) {
            asked.addressed.extend(peers.iter().copied());
        }
        if let Some(one) = self.outgoing.get_mut(id).filter(|one| is_large(&one.body)) {
            one.addressed.extend(peers.iter().copied());
        }
    }

    /// `by`: whose peer it came from, if we know, and which. `refused`: it was a request that nobody answers there.
    pub(crate) fn on_receipt(
        &mut self,
        id: MessageId,
        (by, from): (Option<IdentityId>, PeerId),
        refused: bool,
        env: &mut Env,
    ) {
        // Only the recipient can confirm: anybody else who somehow learned the id cannot.
        let confirms = |message: &Outgoing| {
            let is_left = message.mail.left().is_some_and(|left| left.peers.contains_key(&from));
            by == Some(message.to) || message.peer == Some(from) || is_left
        };
        let confirmed = self.outgoing.get(&id).is_some_and(confirms);
        if !refused {
            if confirmed {
                self.end(id, Ok(()), env);
            }
        } else if let Some(asked) = self.asked.get_mut(&id)
            && asked.addressed.contains(&from)
        {
            // Others of them may answer.
            asked.refused.insert(from);
            if asked.addressed.iter().all(|peer| asked.refused.contains(peer)) {
                self.take_back(&id);
                self.answered(id, Err(RequestError::Refused), env);
            }
        }
    }

    /// Takes a message; false if it is a request and nobody answers any. A receipt is due in any case.
    pub(crate) fn on_message(&mut self, came: Head, body: &[u8], env: &mut Env) -> bool {
        let Ok(document) = Document::decode(body) else {
            env.stats.malformed += 1;
            return true;
        };
        let is_request = came.asks && came.answers.is_none();
        if is_request && !self.answers && !self.received.contains(&came.id) {
            return false;
        }
        if !self.received.insert(came.id, env.config.message_memory) {
            return true;
        }
        let Head { from, peer, id, time, hops, .. } = came;
        if let Some(request) = came.answers {
            if self.may_answer(&request, &came) {
                let failed = |text: Reason| Err(RequestError::Failed(text.into_string()));
                let outcome = came.failed.map_or(Ok(document), failed);
                // The answer says that the request was received, too; others need not get the rest of it.
                self.take_back(&request);
                self.answered(request, outcome, env);
            }
        } else if came.asks {
            if self.requests.len() >= OUTGOING {
                let most = most_frequent(self.requests.iter().map(|(_, asker)| asker.peer));
                let oldest = self.requests.iter().position(|(_, asker)| Some(asker.peer) == most);
                oldest.map(|at| self.requests.remove(at));
            }
            self.requests.push_back((id, Asker { identity: from, peer, contact: came.contact }));
            env.event(Event::Request { from, peer, id, time, document });
        } else {
            env.event(Event::Message { from, peer, id, time, document, hops });
        }
        true
    }

    /// Only who was asked can answer.
    fn may_answer(&self, request: &MessageId, by: &Head) -> bool {
        let was_asked = |asked: &Asked| asked.to == by.from && asked.peer.is_none_or(|only| only == by.peer);
        self.asked.get(request).is_some_and(was_asked)
    }

    fn answered(&mut self, id: MessageId, outcome: Result<Document, RequestError>, env: &mut Env) {
        if let Some(asked) = self.asked.remove(&id) {
            env.event(Event::Answered { command: asked.command, id, outcome });
        }
    }

    /// A message is confirmed or given up.
    fn end(&mut self, id: MessageId, outcome: Result<(), SendError>, env: &mut Env) {
        self.room = true;
        let message = if outcome.is_ok() { self.outgoing.remove(&id) } else { self.take_back(&id) };
        let Some(message) = message else { return };
        if message.mail.may_be_stored() && outcome.is_ok() {
            self.ended.push(id);
        }
        if outcome.is_ok() && is_large(&message.body) && !matches!(message.purpose, Purpose::Answer { .. }) {
            let total = message.body.len();
            env.event(Event::Progress { command: message.command, id, sent: total, total });
        }
        match (message.purpose, outcome) {
            (Purpose::Message, outcome) => {
                env.event(Event::Sent { command: message.command, id, outcome });
            }
            (Purpose::Request { .. }, Err(error)) => self.answered(id, Err(error.into()), env),
            (Purpose::Request { .. }, Ok(())) | (Purpose::Answer { .. }, _) => {}
        }
    }

    /// Something is on its way to this identity.
    pub(crate) fn seeks(&self, identity: &IdentityId) -> bool {
        self.outgoing.values().any(|message| message.to == *identity)
    }

    /// A peer of this identity, or a way to one, has become known: what waits for it need not wait for its timer. However
    /// often that is said, nothing that was sent is sent again sooner than after half of its wait.
    pub(crate) fn on_known(&mut self, now: Time, identity: &IdentityId) {
        self.on_perhaps_linked(identity);
        let waits = |message: &&mut Outgoing| {
            message.to == *identity && message.attempt > 0 && !message.waits && message.mail.left().is_none()
        };
        for message in self.outgoing.values_mut().filter(waits) {
            let soonest = if message.sent { now.max(message.sent_at + message.wait / 4) } else { now };
            message.retry_at = message.retry_at.min(soonest);
        }
    }

    /// A prekey of this peer has come, or it has lost our session: what is on its way to it goes out again, or at last.
    pub(crate) fn on_session(&mut self, now: Time, peer: &PeerId, identity: Option<&IdentityId>) {
        let to_it = |one: &&mut Outgoing| one.peer.map_or(Some(&one.to) == identity, |only| only == *peer);
        for message in self.outgoing.values_mut().filter(|one| !one.waits).filter(to_it) {
            // However often that is said, it takes longer each time.
            let soonest = if message.attempt > 1 { message.sent_at + message.wait / 4 } else { now };
            message.retry_at = message.retry_at.min(soonest.max(now));
        }
    }

    /// What was stored of sessions has been read: what waited for it goes out.
    pub(crate) fn on_sessions(&mut self, now: Time) {
        for message in self.outgoing.values_mut().filter(|one| !one.sent && !one.waits) {
            message.retry_at = now;
        }
    }

    /// Tells the application of a message that came in an earlier run.
    pub(crate) fn tell(kept: Kept, env: &mut Env) {
        let Kept { id, from, peer, time, body } = kept;
        match Document::decode(&body) {
            Ok(document) => env.event(Event::Message { from, peer, id, time, document, hops: None }),
            Err(_) => env.stats.malformed += 1,
        }
    }

    /// A message came in an earlier run.
    pub(crate) fn on_received_before(&mut self, id: MessageId, env: &Env) {
        self.received.insert(id, env.config.message_memory);
    }

    /// A message has come already.
    pub(crate) fn is_received(&self, id: &MessageId) -> bool {
        self.received.contains(id)
    }

    /// The first letter did not go out for want of a prekey: that was no attempt.
    pub(crate) fn on_wanting(&mut self, id: &MessageId) {
        if let Some(message) = self.outgoing.get_mut(id).filter(|one| one.attempt == 1) {
            message.attempt = 0;
        }
    }

    /// There was nobody to send a letter to: it goes out as soon as somebody is found.
    pub(crate) fn on_unsent(&mut self, id: &MessageId) {
        if let Some(message) = self.outgoing.get_mut(id) {
            message.sent = false;
        }
    }

    /// `lasts`: what is left for others is stored, and goes on in the next run.
    pub(crate) fn close(&mut self, lasts: bool, env: &mut Env) {
        let ends = self.outgoing.iter().filter(|(_, one)| !lasts || one.mail.left().is_none());
        let all: Vec<MessageId> = ends.map(|(id, _)| id).chain(self.asked.keys()).copied().collect();
        for id in all {
            self.end(id, Err(SendError::Closed), env);
            self.answered(id, Err(SendError::Closed.into()), env);
        }
    }

    /// `linked`: with whom there is a link. `waits`: there is a home that knows of mail.
    pub(crate) fn on_time(
        &mut self,
        now: Time,
        (linked, waits): (&Set<IdentityId>, bool),
        env: &mut Env,
    ) -> Vec<Letter> {
        self.expire(now, env);
        let given_up = |message: &Outgoing| {
            let is_answer = matches!(message.purpose, Purpose::Answer { .. });
            let often = is_answer && message.attempt >= ANSWER_ATTEMPTS && message.retry_at <= now;
            let late =
                now.since(message.since) >= env.config.message_give_up && message.mail.left().is_none();
            !message.waits && (often || late)
        };
        let given_up = self.outgoing.iter().filter(|(_, message)| given_up(message));
        let why = |one: &Outgoing| {
            let is_message = matches!(one.purpose, Purpose::Message);
            let too_large = is_large(&one.body) && is_message && waits && one.confirmed == 0;
            match (one.full, too_large) {
                (true, _) => SendError::NoRoom,
                (false, true) if !linked.contains(&one.to) => SendError::TooLargeToWait,
                _ => SendError::Unreachable(env.config.message_give_up.as_secs()),
            }
        };
        for (id, error) in given_up.map(|(id, one)| (*id, why(one))).collect::<Vec<_>>() {
            self.end(id, Err(error), env);
        }
        self.want(now);
        let late = self.asked.iter().filter(|(id, asked)| asked.until <= now && !self.waits(id));
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            let waited = self.asked.get(&id).map_or(Duration::ZERO, |asked| now.since(asked.since));
            let error = RequestError::Timeout(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
            self.take_back(&id);
            self.answered(id, Err(error), env);
        }
        self.begin_waiting(now);
        let mut letters = self.letters_of_left(linked);
        let held_up = self.held_up(linked);
        let is_due = |one: &Outgoing| !one.waits && one.retry_at <= now && one.mail.left().is_none();
        for (id, message) in self.outgoing.iter_mut().filter(|(_, one)| is_due(one)) {
            if matches!(message.purpose, Purpose::Message) && held_up.contains(&message.to) {
                message.retry_at = now + message.wait;
                continue;
            }
            letters.push(Letter {
                command: message.command,
                id: *id,
                to: message.to,
                peer: message.peer,
                purpose: message.purpose.clone(),
                time: message.time,
                body: Arc::clone(&message.body),
                hash: message.hash,
                key: message.key.clone(),
                attempt: message.attempt,
            });
            // A bulky one takes its time on a slow line; sent again too soon it takes twice that.
            let patience =
                if is_bulky(&message.body) && !is_large(&message.body) { STALLED } else { Duration::ZERO };
            message.retry_at = now + message.wait.max(patience);
            (message.sent_at, message.sent) = (now, true);
            message.wait = (message.wait * 2).min(MOST_WAIT);
            message.attempt = message.attempt.saturating_add(1);
        }
        // In the order in which they were given: over a link they come so.
        letters.sort_by_key(|letter| letter.command);
        letters
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        // Those that wait begin when another one ends.
        let messages = self.outgoing.values().filter(|one| !one.waits && one.mail.left().is_none());
        let messages = messages.flat_map(|m| [m.retry_at, m.since + env.config.message_give_up]);
        let mail = self.outgoing.values().filter_map(|one| one.mail.due());
        let asked = self.asked.iter().filter(|(id, _)| !self.waits(id));
        messages.chain(mail).chain(asked.map(|(_, asked)| asked.until)).min()
    }
}

impl Outgoing {
    /// A message that is not large, to all of an identity, of which nothing has gone out.
    fn new(
        now: Time,
        (command, purpose): (CommandId, Purpose),
        (to, time, body): (IdentityId, u64, Vec<u8>),
        mail: Waits,
        config: &Config,
    ) -> Self {
        Self {
            command,
            to,
            peer: None,
            purpose,
            time,
            body: Arc::new(body),
            hash: Digest([0; 32]),
            key: None,
            waits: false,
            addressed: Set::new(),
            confirmed: 0,
            full: false,
            since: now,
            retry_at: now,
            sent_at: now,
            sent: false,
            wait: config.message_retry,
            attempt: 0,
            mail,
        }
    }
}

/// Who is there most often.
fn most_frequent(peers: impl Iterator<Item = PeerId>) -> Option<PeerId> {
    let mut times: Map<PeerId, u32> = Map::new();
    for peer in peers {
        *times.entry(peer).or_default() += 1;
    }
    times.iter().max_by_key(|(_, times)| **times).map(|(peer, _)| *peer)
}
