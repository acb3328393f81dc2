//! What we leave for others at the residences of their identities, and who is known there.
//!
//! A *parcel* is one sealed envelope for the mailbox of one peer: a message ([`crate::mail`]), receipts, or the word that a
//! session is lost. It goes out once what was sealed is durable, and the same bytes again until the residence has them: their
//! hash is their name there. Of each mailbox one is under way, so that they come in the order in which they were sealed.
//!
//! Inputs: parcels, identities whose peers are wanted; what residences answer. Outputs: questions for
//! [`crate::homes`]; [`Fate`]s. Timers: pauses after something was not stored, the end of a parcel's time.
//! Invariants: at most [`REPLIES`] parcels are no messages', of which the oldest goes first; those of messages are bounded with
//! them; at most [`AT_ONCE`] questions of each kind are open (for messages, for what is none, for peers); at most [`RESIDENCES`] identities are remembered.
//!
//! A parcel's row has the value: until, ms (8) | identity (32) | peer (32) | of a message (1) | its id (16) | envelope.

use std::time::Duration;

use weft_crypto::statement;
use weft_wire::signaler::{Recorded, ToSignaler};
use weft_wire::{AgreementKey, Code, IdentityId, MessageId, PeerId, Time};

use crate::env::Env;
use crate::homes::{Answer, Homes};
use crate::sessions::{Held, Sessions};
use crate::sorted::{Map, Set};
use crate::storage::Reader;

/// Questions of each kind that are open at once.
const AT_ONCE: usize = 8;
/// Receipts and the like that wait to be left for somebody.
const REPLIES: usize = 256;
/// Identities whose peers are remembered.
const RESIDENCES: usize = 256;
/// What a residence said of an identity's peers is believed for so long.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By number: in the order in which they were sealed.
    parcels: Map<u64, Parcel>,
    last: u64,
    /// Mailboxes in which something was not stored.
    pauses: Map<(IdentityId, PeerId), Pause>,
    residences: Map<IdentityId, Residence>,
}

/// An envelope for a mailbox.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) identity: IdentityId,
    pub(crate) peer: PeerId,
    pub(crate) message: Option<MessageId>,
    pub(crate) until: Time,
    pub(crate) envelope: Vec<u8>,
    /// What it was sealed with is durable.
    ready: bool,
    /// The question that is open.
    asked: Option<u32>,
}

#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Time,
}

/// What is known of the residence of an identity.
#[derive(Debug, Default)]
struct Residence {
    /// Its peers as they were last said to be, and when that was.
    said: Option<(Time, Vec<Known>)>,
    /// The question that is open, and whether it asks for prekeys for one use.
    asked: Option<(u32, bool)>,
    /// Such were asked for, and came as far as there are any.
    once: bool,
    failures: u32,
    not_before: Time,
}

/// A peer with a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) peer: PeerId,
    pub(crate) agreement: AgreementKey,
}

/// Whether something can be sealed for the peers of an identity.
#[derive(Debug)]
pub(crate) enum Ready {
    /// As far as it ever can: for these, of whom there is one at least.
    Now(Vec<Known>),
    /// The residence has been asked, or will be; again if it knew nobody.
    Later,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A parcel of this message is durable at the residence.
    Stored(MessageId),
    /// One is not, and will not be.
    Refused(MessageId, PeerId, Code),
}

impl Parcel {
    pub(crate) fn new(
        (identity, peer): (IdentityId, PeerId),
        message: Option<MessageId>,
        until: Time,
        envelope: Vec<u8>,
    ) -> Self {
        Self { identity, peer, message, until, envelope, ready: false, asked: None }
    }

    fn encode(&self) -> Vec<u8> {
        let message = self.message.unwrap_or(MessageId([0; 16]));
        let is_message = [u8::from(self.message.is_some())];
        let until = self.until.millis().to_be_bytes();
        [&until[..], &self.identity.0, &self.peer.0, &is_message, &message.0, &self.envelope].concat()
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut value = Reader(value);
        let until = Time::from_millis(value.number()?);
        let to = (IdentityId(value.take()?), PeerId(value.take()?));
        let [is_message] = value.take()?;
        let id = MessageId(value.take()?);
        Some(Self::new(to, (is_message == 1).then_some(id), until, value.0.to_vec()))
    }
}

impl Outbox {
    // ---- parcels ----

    /// The next number: of parcels, and of messages that are left.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A number of an earlier run.
    pub(crate) fn on_number(&mut self, number: u64) {
        self.last = self.last.max(number);
    }

    /// A parcel goes out once what it was sealed with is durable.
    pub(crate) fn add(&mut self, parcel: Parcel, sessions: &mut Sessions) {
        if parcel.message.is_none() {
            let replies = || self.parcels.iter().filter(|(_, one)| one.message.is_none());
            let oldest = replies().next().map(|(number, _)| *number);
            if replies().count() >= REPLIES
                && let Some(oldest) = oldest
            {
                self.remove(oldest, sessions);
            }
        }
        let number = self.number();
        sessions.put_parcel(number, Some(parcel.encode()));
        sessions.hold(Held::Parcel(number));
        self.parcels.insert(number, parcel);
    }

    /// A parcel was stored by an earlier run.
    pub(crate) fn restore(&mut self, number: u64, value: &[u8], sessions: &mut Sessions) {
        self.on_number(number);
        match Parcel::decode(value) {
            Some(parcel) => _ = self.parcels.insert(number, Parcel { ready: true, ..parcel }),
            None => sessions.put_parcel(number, None),
        }
    }

    /// What a parcel was sealed with is durable.
    pub(crate) fn on_durable(&mut self, number: u64) {
        if let Some(parcel) = self.parcels.get_mut(&number) {
            parcel.ready = true;
        }
    }

    /// The store has failed: what was sealed in sessions that were never stored is not to leave. Messages of which it was.
    pub(crate) fn on_store_failed(&mut self) -> Vec<(MessageId, PeerId)> {
        let lost = self.parcels.values().filter(|one| !one.ready);
        let lost = lost.filter_map(|one| Some((one.message?, one.peer))).collect();
        self.parcels.retain(|_, one| one.ready);
        // All sessions begin anew.
        for residence in self.residences.values_mut() {
            (residence.said, residence.once) = (None, false);
        }
        lost
    }

    fn remove(&mut self, number: u64, sessions: &mut Sessions) -> Option<Parcel> {
        sessions.put_parcel(number, None);
        self.parcels.remove(&number)
    }

    /// What is left of a message is not to be, of one peer's or of all.
    pub(crate) fn forget(&mut self, id: &MessageId, peer: Option<&PeerId>, sessions: &mut Sessions) {
        let of_it = |one: &Parcel| one.message == Some(*id) && peer.is_none_or(|peer| one.peer == *peer);
        let numbers = self.parcels.iter().filter(|(_, one)| of_it(one)).map(|(number, _)| *number);
        for number in numbers.collect::<Vec<_>>() {
            self.remove(number, sessions);
        }
    }

    /// A peer is its identity's no longer: nothing is left for it, and the residence is asked anew who is. Messages of which
    /// something was to be.
    pub(crate) fn forget_mailbox(
        &mut self,
        now: Time,
        of: (IdentityId, PeerId),
        sessions: &mut Sessions,
        env: &Env,
    ) -> Vec<MessageId> {
        let is_for = |one: &Parcel| (one.identity, one.peer) == of;
        let numbers = self.parcels.iter().filter(|(_, one)| is_for(one)).map(|(number, _)| *number);
        let numbers: Vec<u64> = numbers.collect();
        self.doubt(now + env.config.mail_retry, &of.0);
        numbers.into_iter().filter_map(|number| self.remove(number, sessions)?.message).collect()
    }

    /// Something of this message is not stored at its residence yet.
    pub(crate) fn has(&self, id: &MessageId) -> bool {
        self.parcels.values().any(|one| one.message == Some(*id))
    }

    /// Bytes of all parcels.
    pub(crate) fn bytes(&self) -> usize {
        self.parcels.values().map(|one| one.envelope.len()).sum()
    }

    /// Gives our homes what can go: of each mailbox the first.
    pub(crate) fn leave(&mut self, now: Time, homes: &mut Homes, sessions: &mut Sessions, env: &mut Env) {
        let late = self.parcels.iter().filter(|(_, one)| one.until <= now).map(|(number, _)| *number);
        for number in late.collect::<Vec<_>>() {
            self.remove(number, sessions);
        }
        let parcels = &self.parcels;
        let is_for = |one: &Parcel, mailbox: &(IdentityId, PeerId)| (one.identity, one.peer) == *mailbox;
        self.pauses.retain(|mailbox, _| parcels.values().any(|one| is_for(one, mailbox)));
        // Receipts have questions of their own: a residence that does not answer must not hold up what we write.
        let mut open = [false, true].map(|message| {
            let asked = |one: &&Parcel| one.asked.is_some() && one.message.is_some() == message;
            self.parcels.values().filter(asked).count()
        });
        let mut seen = Set::new();
        for parcel in self.parcels.values_mut() {
            let mailbox = (parcel.identity, parcel.peer);
            let open = &mut open[usize::from(parcel.message.is_some())];
            if *open >= AT_ONCE {
                continue;
            }
            if !seen.insert(mailbox) || parcel.asked.is_some() || !parcel.ready {
                continue;
            }
            let pause = self.pauses.get(&mailbox);
            if pause.is_some_and(|pause| pause.until > now) {
                continue;
            }
            let (identity, peer) = mailbox;
            let life_ms = parcel.until.millis().saturating_sub(now.millis()).max(1);
            let envelope = parcel.envelope.as_slice();
            let frame = |re| ToSignaler::Store { re, identity, peer, life_ms, envelope };
            let attempt = pause.map_or(0, |pause| pause.failures);
            let Some(re) = homes.ask(now, attempt, frame, env) else { return };
            parcel.asked = Some(re);
            *open += 1;
        }
    }

    // ---- residences ----

    /// The peers of an identity with mailboxes, if they are known and there are sessions or prekeys for all for whom there can be.
    pub(crate) fn ready(
        &mut self,
        now: Time,
        identity: IdentityId,
        sessions: &Sessions,
        (homes, env): (&mut Homes, &mut Env),
    ) -> Ready {
        let open = self.residences.values().filter(|one| one.asked.is_some()).count();
        if self.residences.len() >= RESIDENCES && !self.residences.contains_key(&identity) {
            let idle = self.residences.iter().find(|(_, one)| one.asked.is_none()).map(|(id, _)| *id);
            idle.map(|id| self.residences.remove(&id));
        }
        let residence = self.residences.entry(identity).or_default();
        let lacks = |known: &Known| !sessions.has(&known.peer) && !sessions.has_prekey(&known.peer);
        let once = match residence.said.as_ref().filter(|(at, _)| now.since(*at) < FRESH) {
            Some((_, peers)) if residence.once || !peers.iter().any(lacks) => {
                return Ready::Now(peers.clone());
            }
            Some(_) => true,
            None => false,
        };
        if residence.asked.is_none() && residence.not_before <= now && open < AT_ONCE {
            let frame = |re| ToSignaler::Peers { re, identity, once };
            residence.asked = homes.ask(now, residence.failures, frame, env).map(|re| (re, once));
        }
        Ready::Later
    }

    /// What a residence said of this identity's peers is not so, or of no use: it is asked again, not before then.
    pub(crate) fn doubt(&mut self, not_before: Time, identity: &IdentityId) {
        if let Some(residence) = self.residences.get_mut(identity) {
            (residence.said, residence.once) = (None, false);
            residence.not_before = residence.not_before.max(not_before);
        }
    }

    /// Whether there is anybody. Where there is nobody it is asked again soon: somebody may come.
    fn on_peers(
        &mut self,
        now: Time,
        identity: IdentityId,
        peers: Vec<Recorded>,
        to: (&mut Sessions, &mut Env),
    ) -> bool {
        let (sessions, env) = to;
        let Some(residence) = self.residences.get_mut(&identity) else { return false };
        let mut known: Vec<Known> = Vec::new();
        for Recorded { record, prekeys } in peers {
            let record = statement::open_record(&record.0).ok().filter(|record| {
                record.identity == identity && record.until > now.millis() && record.sessions == Some(true)
            });
            let Some(record) = record else {
                env.stats.forged += 1;
                continue;
            };
            if record.peer == env.me || known.iter().any(|one| one.peer == record.peer) {
                continue;
            }
            let good = |prekey: &&weft_wire::Bytes<{ weft_wire::limits::PREKEY }>| {
                let opened = statement::open_prekey(&prekey.0);
                opened.is_ok_and(|one| one.peer == record.peer && one.until > now.millis())
            };
            // The fallback serves only where the residence has been asked for another.
            if residence.once
                && !sessions.has(&record.peer)
                && let Some(prekey) = prekeys.iter().find(good)
            {
                sessions.on_prekey(record.peer, prekey.0.clone());
            }
            known.push(Known { peer: record.peer, agreement: record.agreement });
        }
        let knows = !known.is_empty();
        residence.said = knows.then_some((now, known));
        knows
    }

    // ---- answers ----

    /// What became of a question; none if it is not ours.
    pub(crate) fn on_answer(
        &mut self,
        now: Time,
        (re, answer): (u32, Answer),
        sessions: &mut Sessions,
        env: &mut Env,
    ) -> Result<Option<Fate>, Answer> {
        let parcel = self.parcels.iter().find(|(_, one)| one.asked == Some(re)).map(|(number, _)| *number);
        if let Some(number) = parcel {
            return Ok(self.on_store_answer(now, number, &answer, (sessions, env)));
        }
        let asked = |one: &Residence| one.asked.is_some_and(|(of, _)| of == re);
        let Some((identity, residence)) = self.residences.iter_mut().find(|(_, one)| asked(one)) else {
            return Err(answer);
        };
        let identity = *identity;
        let once = residence.asked.take().is_some_and(|(_, once)| once);
        let knows = if let Answer::Peers(peers) = answer {
            residence.once = once;
            self.on_peers(now, identity, peers, (sessions, env))
        } else {
            false
        };
        if let Some(residence) = self.residences.get_mut(&identity) {
            if knows {
                residence.failures = 0;
            } else {
                residence.not_before = now + env.mail_backoff(residence.failures);
                residence.failures += 1;
            }
        }
        Ok(None)
    }

    fn on_store_answer(
        &mut self,
        now: Time,
        number: u64,
        answer: &Answer,
        (sessions, env): (&mut Sessions, &mut Env),
    ) -> Option<Fate> {
        let parcel = self.parcels.get_mut(&number)?;
        parcel.asked = None;
        let mailbox = (parcel.identity, parcel.peer);
        let refused = match answer {
            Answer::Ack => None,
            Answer::Refused(code) if is_final(*code) => Some(*code),
            _ => {
                let pause = self.pauses.entry(mailbox).or_default();
                pause.until = now + env.mail_backoff(pause.failures);
                pause.failures += 1;
                return None;
            }
        };
        self.pauses.remove(&mailbox);
        let parcel = self.remove(number, sessions)?;
        if matches!(refused, Some(Code::NoMailbox | Code::Revoked)) {
            self.doubt(now + env.config.mail_retry, &parcel.identity);
        }
        let id = parcel.message?;
        Some(refused.map_or(Fate::Stored(id), |code| Fate::Refused(id, parcel.peer, code)))
    }

    /// A home is there: nothing pauses.
    pub(crate) fn on_up(&mut self, now: Time) {
        for pause in self.pauses.values_mut() {
            pause.until = now;
        }
        for residence in self.residences.values_mut() {
            (residence.not_before, residence.failures) = (now, 0);
        }
    }

    /// When something is due that is not now. `wanted`: whose peers are waited for.
    pub(crate) fn deadline(&self, now: Time, wanted: impl Iterator<Item = IdentityId>) -> Option<Time> {
        let idle = |one: &&Parcel| one.asked.is_none() && one.ready;
        let paused = self.parcels.values().filter(idle);
        let paused = paused.filter_map(|one| self.pauses.get(&(one.identity, one.peer))).map(|one| one.until);
        let residences = wanted.filter_map(|identity| self.residences.get(&identity));
        let residences = residences.filter(|one| one.asked.is_none()).map(|one| one.not_before);
        // What could not be asked for now waits for a home, or for answers.
        paused
            .chain(residences)
            .chain(self.parcels.values().map(|one| one.until))
            .filter(|at| *at > now)
            .min()
    }
}

/// Sending the same again would not help.
fn is_final(code: Code) -> bool {
    matches!(
        code,
        Code::MailboxFull
            | Code::SenderFull
            | Code::NoMailbox
            | Code::Revoked
            | Code::Expired
            | Code::TooLarge
            | Code::BadFrame
    )
}
