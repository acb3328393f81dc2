//! Messages that are left at the residences of their recipients: when they are, what is stored of them, how they end.
//!
//! A message's row has the value: number (8) | time, ms (8) | until, ms (8) | stored (1) | identity (32) | peers (1), of each its
//! id (32) and how often it was sealed for it (1, the highest bit set if it is to be sealed for it anew) | body.

use std::sync::Arc;
use std::time::Duration;

use weft_wire::{IdentityId, MessageId, PeerId, Time};

use super::{Letter, Mail, Outgoing, Purpose};
use crate::api::{CommandId, Event, SendError};
use crate::config::Config;
use crate::env::Env;
use crate::sorted::{Map, Set};
use crate::storage::Reader;

/// So often a message is sealed for one peer that says that it could not open it.
const SEALED: u8 = 4;
/// In a row: it is to be sealed for that peer anew.
const AGAIN: u8 = 0x80;
const _: () = assert!(SEALED < AGAIN);
/// In place of the command of a message of an earlier run.
const EARLIER: CommandId = CommandId(0);

/// Whether a message waits at residences.
#[derive(Debug)]
pub(super) enum Waits {
    /// It does not, and will not.
    Never,
    /// It will from then on, if it has no receipt, for so long.
    From(Time, Duration),
    /// It is to, as soon as the residence says for whom.
    Wanted(Duration),
    /// It does.
    Left(Left),
}

#[derive(Debug)]
pub(super) struct Left {
    /// Its place among all that is left.
    number: u64,
    until: Time,
    /// It is durable at the residence.
    stored: bool,
    /// For whom it was sealed, and how often.
    pub(super) peers: Map<PeerId, u8>,
    /// For whom it is to be sealed anew.
    again: Set<PeerId>,
    /// It went over the link that there is now.
    sent: bool,
}

/// A message to be sealed for mailboxes.
#[derive(Debug)]
pub(crate) struct ToLeave {
    pub(crate) id: MessageId,
    pub(crate) to: IdentityId,
    pub(crate) time: u64,
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) until: Time,
    /// For these alone: it was sealed for others before.
    pub(crate) only: Option<Set<PeerId>>,
}

impl Waits {
    /// When a new message is to wait at residences, and may for so long.
    pub(super) fn new(now: Time, life: Duration, config: &Config) -> Self {
        if !config.mail || life.is_zero() {
            return Self::Never;
        }
        Self::From(now + config.mail_after, life.min(config.mail_life))
    }

    pub(super) fn left(&self) -> Option<&Left> {
        if let Self::Left(left) = self { Some(left) } else { None }
    }

    fn left_mut(&mut self) -> Option<&mut Left> {
        if let Self::Left(left) = self { Some(left) } else { None }
    }

    /// Something may be stored of it.
    pub(super) fn may_be_stored(&self) -> bool {
        matches!(self, Self::Wanted(_) | Self::Left(_))
    }

    pub(super) fn due(&self) -> Option<Time> {
        match self {
            Self::From(at, _) => Some(*at),
            Self::Left(left) => Some(left.until),
            Self::Never | Self::Wanted(_) => None,
        }
    }
}

impl Mail {
    /// A signaler says that a peer of this identity is not there: it may be back in a moment.
    pub(crate) fn on_away(&mut self, now: Time, identity: &IdentityId, config: &Config) {
        for one in self.outgoing.values_mut().filter(|one| one.to == *identity) {
            if let Waits::From(at, _) = &mut one.mail {
                *at = (*at).min(now + config.mail_soonest);
            }
        }
    }

    /// Nobody of a message's recipient is known, and from `then` on nobody will be told of.
    pub(crate) fn on_nobody(&mut self, then: Time, id: &MessageId) {
        if let Some(Waits::From(at, _)) = self.outgoing.get_mut(id).map(|one| &mut one.mail) {
            *at = (*at).min(then);
        }
    }

    /// A home is there: it may yet tell who is.
    pub(crate) fn on_up(&mut self, now: Time, config: &Config) {
        for one in self.outgoing.values_mut() {
            if let Waits::From(at, _) = &mut one.mail {
                *at = (*at).max(now + config.mail_soonest);
            }
        }
    }

    /// Messages whose time has come, and all to the same identities: none is to overtake another.
    pub(crate) fn want(&mut self, now: Time) {
        let goes = |one: &&Outgoing| match one.mail {
            Waits::From(at, _) => at <= now,
            Waits::Wanted(_) | Waits::Left(_) => true,
            Waits::Never => false,
        };
        let to: Set<IdentityId> = self.outgoing.values().filter(goes).map(|one| one.to).collect();
        for one in self.outgoing.values_mut() {
            if let Waits::From(_, life) = one.mail
                && to.contains(&one.to)
            {
                one.mail = Waits::Wanted(life);
            }
        }
    }

    /// Messages that are to be sealed for mailboxes, in the order in which they were given.
    pub(crate) fn to_leave(&self, now: Time) -> Vec<ToLeave> {
        let mut all = Vec::new();
        for (id, one) in self.outgoing.iter() {
            let (place, until, only) = match &one.mail {
                Waits::Wanted(life) => (u64::MAX, now + *life, None),
                Waits::Left(left) if !left.again.is_empty() => {
                    (left.number, left.until, Some(left.again.clone()))
                }
                _ => continue,
            };
            let (to, time, body) = (one.to, one.time, Arc::clone(&one.body));
            all.push((place, one.command, ToLeave { id: *id, to, time, body, until, only }));
        }
        all.sort_by_key(|(place, command, _)| (*place, *command));
        all.into_iter().map(|(.., message)| message).collect()
    }

    /// Identities to whom something is to be left.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = IdentityId> + '_ {
        let wants = |one: &&Outgoing| match &one.mail {
            Waits::Wanted(_) => true,
            Waits::Left(left) => !left.again.is_empty(),
            _ => false,
        };
        self.outgoing.values().filter(wants).map(|one| one.to)
    }

    /// How many messages are left for others, and their bytes.
    pub(crate) fn left(&self) -> (usize, usize) {
        let all = self.outgoing.values().filter(|one| one.mail.left().is_some());
        all.fold((0, 0), |(count, bytes), one| (count + 1, bytes + one.body.len()))
    }

    /// A message has been sealed for mailboxes (of those that are not gone); gives what is to be stored of it. Direct ways are not tried any more.
    pub(crate) fn on_sealed(
        &mut self,
        message: &ToLeave,
        number: u64,
        (sealed, gone): (&[PeerId], &[PeerId]),
    ) -> Option<Vec<u8>> {
        let one = self.outgoing.get_mut(&message.id)?;
        self.room = true;
        if one.mail.left().is_none() {
            let (peers, again) = (Map::new(), Set::new());
            let (until, sent) = (message.until, false);
            one.mail = Waits::Left(Left { number, until, stored: false, peers, again, sent });
        }
        let left = one.mail.left_mut()?;
        left.again.retain(|peer| !sealed.contains(peer) && !gone.contains(peer));
        for peer in sealed {
            *left.peers.entry(*peer).or_default() += 1;
        }
        self.row_of(&message.id)
    }

    /// The peers are no longer there for whom a message was left: others are looked for, as long as for a new message. What
    /// is stored of it stays until it is sealed for them, or has failed.
    pub(crate) fn on_nowhere(&mut self, now: Time, id: &MessageId) {
        if let Some(one) = self.outgoing.get_mut(id)
            && let Waits::Left(left) = &one.mail
            && !left.stored
        {
            (one.mail, one.since) = (Waits::Wanted(left.until.since(now)), now);
        }
    }

    /// A peer has lost the session in which messages were sealed for it: they are to be sealed again. Gives what is to be stored of
    /// them: whoever ends now does so in the next run, since the peer does not say it again.
    pub(crate) fn on_left_lost(&mut self, peer: &PeerId) -> Vec<(MessageId, Vec<u8>)> {
        let mut changed = Vec::new();
        for (id, one) in &mut self.outgoing {
            if let Waits::Left(left) = &mut one.mail
                && left.peers.get(peer).is_some_and(|times| *times < SEALED)
                && left.again.insert(*peer)
            {
                changed.push(*id);
            }
        }
        changed.into_iter().filter_map(|id| Some((id, self.row_of(&id)?))).collect()
    }

    /// What was sealed of a message was not stored here, and must not leave.
    pub(crate) fn on_unstored(&mut self, id: &MessageId, peer: &PeerId) {
        if let Some(left) = self.outgoing.get_mut(id).and_then(|one| one.mail.left_mut()) {
            left.again.insert(*peer);
        }
    }

    /// A message is durable at a residence; gives what is to be stored of it then.
    pub(crate) fn on_stored(&mut self, id: &MessageId, env: &mut Env) -> Option<Vec<u8>> {
        let one = self.outgoing.get_mut(id)?;
        let command = one.command;
        let left = one.mail.left_mut()?;
        if std::mem::replace(&mut left.stored, true) {
            return None;
        }
        env.event(Event::Stored { command, id: *id });
        self.row_of(id)
    }

    /// A message is at a residence.
    pub(crate) fn is_stored(&self, id: &MessageId) -> bool {
        self.outgoing.get(id).and_then(|one| one.mail.left()).is_some_and(|left| left.stored)
    }

    /// A message cannot be left anywhere.
    pub(crate) fn on_not_left(&mut self, id: &MessageId, error: SendError, env: &mut Env) {
        self.end(*id, Err(error), env);
    }

    /// Messages that were left and have ended: nothing of them need be kept.
    pub(crate) fn take_ended(&mut self) -> Vec<MessageId> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn expire(&mut self, now: Time, env: &mut Env) {
        let late = |one: &Outgoing| one.mail.left().is_some_and(|left| left.until <= now);
        let late = self.outgoing.iter().filter(|(_, one)| late(one)).map(|(id, _)| *id);
        for id in late.collect::<Vec<_>>() {
            self.end(id, Err(SendError::Expired), env);
        }
    }

    // ---- links ----

    /// To whom something is left.
    pub(crate) fn left_for(&self) -> Set<IdentityId> {
        self.outgoing.values().filter(|one| one.mail.left().is_some()).map(|one| one.to).collect()
    }

    /// To whom nothing is to overtake what is left.
    pub(super) fn held_up(&self, linked: &Set<IdentityId>) -> Set<IdentityId> {
        let mut left = self.left_for();
        left.retain(|identity| !linked.contains(identity));
        left
    }

    /// There may be a link with this identity that is new.
    pub(super) fn on_perhaps_linked(&mut self, identity: &IdentityId) {
        for one in self.outgoing.values_mut().filter(|one| one.to == *identity) {
            if let Some(left) = one.mail.left_mut() {
                left.sent = false;
            }
        }
    }

    /// What is left for those with whom there is a link goes over that, too, once.
    pub(super) fn letters_of_left(&mut self, linked: &Set<IdentityId>) -> Vec<Letter> {
        let mut letters = Vec::new();
        for (id, one) in self.outgoing.iter_mut().filter(|(_, one)| linked.contains(&one.to)) {
            let Some(left) = one.mail.left_mut().filter(|left| !left.sent) else { continue };
            left.sent = true;
            let letter = Letter {
                command: one.command,
                id: *id,
                to: one.to,
                peer: None,
                purpose: Purpose::Message,
                time: one.time,
                body: Arc::clone(&one.body),
                hash: one.hash,
                key: None,
                attempt: 0,
            };
            letters.push((left.number, letter));
        }
        letters.sort_by_key(|(number, _)| *number);
        letters.into_iter().map(|(_, letter)| letter).collect()
    }

    // ---- what is stored ----

    fn row_of(&self, id: &MessageId) -> Option<Vec<u8>> {
        let one = self.outgoing.get(id)?;
        let left = one.mail.left()?;
        let mut row = [left.number, one.time, left.until.millis()].map(u64::to_be_bytes).concat();
        row.push(u8::from(left.stored));
        row.extend_from_slice(&one.to.0);
        row.push(u8::try_from(left.peers.len()).unwrap_or(u8::MAX));
        for (peer, times) in left.peers.iter().take(u8::MAX.into()) {
            row.extend_from_slice(&peer.0);
            row.push(if left.again.contains(peer) { *times | AGAIN } else { *times });
        }
        row.extend_from_slice(&one.body);
        Some(row)
    }

    /// A message that was left by an earlier run; gives its number, or none if it is none.
    pub(crate) fn restore_left(&mut self, now: Time, id: MessageId, row: &[u8], env: &Env) -> Option<u64> {
        let mut row = Reader(row);
        let (number, time) = (row.number()?, row.number()?);
        let until = Time::from_millis(row.number()?);
        let [stored] = row.take()?;
        let to = IdentityId(row.take()?);
        let [count] = row.take()?;
        let (mut peers, mut again) = (Map::new(), Set::new());
        for _ in 0..count {
            let peer = PeerId(row.take()?);
            let [times] = row.take()?;
            peers.insert(peer, times & !AGAIN);
            if times & AGAIN != 0 {
                again.insert(peer);
            }
        }
        let left = Left { number, until, stored: stored == 1, peers, again, sent: false };
        let body = row.0.to_vec();
        let what = (EARLIER, Purpose::Message);
        let new = Outgoing::new(now, what, (to, time, body), Waits::Left(left), &env.config);
        let outgoing = Outgoing { attempt: 1, ..new };
        self.outgoing.insert(id, outgoing);
        Some(number)
    }
}
