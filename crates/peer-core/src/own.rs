//! The peers of our own identity: asking our residence who they are, and telling it who is one no longer.
//!
//! Inputs: commands, homes that came up, answers. Outputs: questions for [`crate::homes`]; [`Fate`]s of commands.
//! Timers: when to ask again, and how long a command waits. What is told and not acknowledged is stored beside the sessions
//! ([`crate::sessions`]).
//! Invariants: one question about who they are is open, and one for each revocation; a revocation is told until the residence
//! has it, or refuses it for good; whoever waits for either hears of it within [`WAIT`].

use std::time::Duration;

use weft_wire::signaler::{Recorded, ToSignaler};
use weft_wire::{Bytes, Code, PeerId, Time};

use crate::api::{CommandId, ResidenceError};
use crate::env::Env;
use crate::homes::{Answer, Homes};
use crate::sorted::Map;

/// So long a command waits for the residence: three answers, or a home that comes up late.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// Commands that may wait at once for the list, and for one revocation.
pub(crate) const LISTS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Own {
    lists: Vec<Waiting>,
    asked: Option<u32>,
    failures: u32,
    /// When to ask who they are.
    at: Option<Time>,
    revoking: Map<PeerId, Revoking>,
}

/// A command that waits for the residence.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    command: CommandId,
    until: Time,
}

#[derive(Debug)]
struct Revoking {
    bytes: Vec<u8>,
    asked: Option<u32>,
    failures: u32,
    at: Option<Time>,
    waiting: Vec<Waiting>,
}

/// What became of commands.
#[derive(Debug)]
pub(crate) enum Fate {
    /// What the residence says, or why it says nothing.
    Listed(Vec<CommandId>, Result<Vec<Recorded>, ResidenceError>),
    /// A revocation is at the residence, or is not. With `told` nothing more is to be done about it.
    Revoked { peer: PeerId, commands: Vec<CommandId>, outcome: Result<(), ResidenceError>, told: bool },
}

impl Own {
    /// Somebody wants to know who they are; false if too many do.
    pub(crate) fn list(&mut self, now: Time, command: CommandId) -> bool {
        if self.lists.len() >= LISTS {
            return false;
        }
        self.lists.push(Waiting { command, until: now + WAIT });
        self.at.get_or_insert(now);
        true
    }

    /// A revocation is to be told to the residence, for a command or (of an earlier run) for none; false if too many wait for it.
    pub(crate) fn revoke(
        &mut self,
        now: Time,
        peer: PeerId,
        bytes: Vec<u8>,
        command: Option<CommandId>,
    ) -> bool {
        let new = || Revoking { bytes, asked: None, failures: 0, at: Some(now), waiting: Vec::new() };
        let one = self.revoking.entry(peer).or_insert_with(new);
        if command.is_some() && one.waiting.len() >= LISTS {
            return false;
        }
        one.waiting.extend(command.map(|command| Waiting { command, until: now + WAIT }));
        if one.asked.is_none() {
            // Somebody waits for it now, however long ago it was tried.
            one.at = Some(now);
        }
        true
    }

    /// A home is there.
    pub(crate) fn on_up(&mut self, now: Time) {
        self.failures = 0;
        if !self.lists.is_empty() {
            self.at = Some(now);
        }
        for one in self.revoking.values_mut() {
            (one.at, one.failures) = (Some(now), 0);
        }
    }

    /// Asks what is due; gives what has taken too long.
    pub(crate) fn on_time(&mut self, now: Time, homes: &mut Homes, env: &mut Env) -> Vec<Fate> {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if due(self.at) && self.asked.is_none() {
            let identity = env.identity;
            let frame = |re| ToSignaler::Peers { re, identity, once: false };
            // Where there is no home, the next one brings it about.
            self.at = None;
            self.asked = homes.ask(now, self.failures, frame, env);
        }
        for one in self.revoking.values_mut().filter(|one| due(one.at) && one.asked.is_none()) {
            let revocation = Bytes(one.bytes.clone());
            one.at = None;
            one.asked = homes.ask(now, one.failures, |re| ToSignaler::Revoke { re, revocation }, env);
        }
        self.expire(now)
    }

    fn expire(&mut self, now: Time) -> Vec<Fate> {
        let mut fates = Vec::new();
        let late = take(&mut self.lists, |one| one.until <= now);
        if !late.is_empty() {
            fates.push(Fate::Listed(late, Err(ResidenceError::Unanswered(WAIT.as_secs()))));
        }
        for (peer, one) in self.revoking.iter_mut() {
            let commands = take(&mut one.waiting, |one| one.until <= now);
            if !commands.is_empty() {
                let outcome = Err(ResidenceError::Unanswered(WAIT.as_secs()));
                fates.push(Fate::Revoked { peer: *peer, commands, outcome, told: false });
            }
        }
        fates
    }

    /// What became of a question; the answer itself if it is not ours.
    pub(crate) fn on_answer(
        &mut self,
        now: Time,
        (re, answer): (u32, Answer),
        env: &mut Env,
    ) -> Result<Option<Fate>, Answer> {
        if self.asked == Some(re) {
            self.asked = None;
            let Answer::Peers(peers) = answer else {
                self.at = (!self.lists.is_empty()).then(|| now + env.mail_backoff(self.failures));
                self.failures += 1;
                return Ok(None);
            };
            self.failures = 0;
            return Ok(Some(Fate::Listed(take(&mut self.lists, |_| true), Ok(peers))));
        }
        let asked = self.revoking.iter_mut().find(|(_, one)| one.asked == Some(re));
        let Some((&peer, one)) = asked else { return Err(answer) };
        one.asked = None;
        let outcome = match answer {
            Answer::Ack => Ok(()),
            Answer::Refused(code) if is_final(code) => Err(ResidenceError::Refused(code)),
            _ => {
                one.failures += 1;
                let tries_again = one.failures < env.config.mail_tries;
                let wait = env.mail_backoff(one.failures - 1);
                one.at = Some(now + if tries_again { wait } else { env.config.mail_renew });
                return Ok(None);
            }
        };
        let commands = take(&mut one.waiting, |_| true);
        self.revoking.remove(&peer);
        // There may be room in a later run.
        let told = !matches!(outcome, Err(ResidenceError::Refused(Code::TooManyPeers)));
        Ok(Some(Fate::Revoked { peer, commands, outcome, told }))
    }

    /// A revocation has expired before the residence had it.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.revoking.remove(peer);
    }

    /// Commands that wait, when nothing more will be answered.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let list = self.at.filter(|_| self.asked.is_none());
        let revoking = self.revoking.values().filter(|one| one.asked.is_none()).filter_map(|one| one.at);
        let waiting = self.revoking.values().flat_map(|one| &one.waiting).chain(&self.lists);
        list.into_iter().chain(revoking).chain(waiting.map(|one| one.until)).min()
    }
}

/// Takes the commands that have waited for something out of those that wait.
fn take(waiting: &mut Vec<Waiting>, is_over: impl Fn(&Waiting) -> bool) -> Vec<CommandId> {
    waiting.extract_if(.., |one| is_over(one)).map(|one| one.command).collect()
}

/// Sending the same again would not help.
fn is_final(code: Code) -> bool {
    matches!(code, Code::BadFrame | Code::BadSignature | Code::Expired | Code::TooLarge | Code::TooManyPeers)
}
