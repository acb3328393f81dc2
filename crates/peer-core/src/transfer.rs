//! Messages of ours that go out in parts.
//!
//! Each message goes to each peer of its recipient as a transfer of its own. The recipient says what it has
//! ([`Sealed::Taken`](weft_wire::sealed::Sealed::Taken)); parts that are not there and not on their way are sent, as many
//! at once as the window allows. Over a link, which loses nothing while it lives, the window is fixed and a part is lost
//! when the link is; over other ways, where whoever passes on drops what is too much, the window grows by what arrives
//! and shrinks by half with what does not (additive increase, multiplicative decrease: D. Chiu and R. Jain, Computer
//! Networks and ISDN Systems 17, 1989).
//!
//! Inputs: what recipients have, links that are gone, room on ways.
//! Outputs: parts to seal and send, one at a time, the transfers taking turns.
//! Timers: parts that are not confirmed; a transfer that does not go on is forgotten.
//! Invariants: at most [`WINDOW`] parts of a transfer, [`PER_PEER`] to a peer and [`AROUND`] that take no link are on
//! their way; a recipient gets all parts [`RUNS`] times at most; nothing of a message is copied but the part that is sent.

use std::sync::Arc;
use std::time::Duration;

use weft_crypto::part::PartKey;
use weft_wire::{MessageId, PeerId, Time, limits};

use crate::env::Env;
use crate::links::LinkNumber;
use crate::roster::Contact;
use crate::sorted::{Map, Set};

/// Parts of one transfer on their way: 1,016 KiB, which fills 100 Mbit/s at a round trip of 80 ms.
const WINDOW: usize = 8;
/// Parts to one peer.
const PER_PEER: usize = 16;
/// Parts that take other ways than a link, to all peers: nobody says how much of them waits.
const AROUND: usize = 6;
/// Of those, of one transfer: at first and at most.
const FIRST_WINDOW: usize = 1;
const MOST_WINDOW: usize = 4;
/// A part over a link that lives is sent again, another way if there is one, after so long without any word.
const LINK_PATIENCE: Duration = Duration::from_secs(4);
/// Bounds of the same for other ways.
const LEAST_PATIENCE: Duration = Duration::from_millis(400);
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// A large message that does not go on is announced again after this long: the recipient then says what it lacks. One that
/// is only bulky is sent again then.
pub(crate) const STALLED: Duration = Duration::from_secs(2);
/// A recipient may have lost all parts that it had, and get them again, so often, less one.
const RUNS: u32 = 4;
/// Where a part could not be sent at all, the next try comes after this long.
const HOLD: Duration = Duration::from_millis(300);

pub(crate) type Key = (MessageId, PeerId);

/// A large message, and where its recipient is if only the message knows.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) body: Arc<Vec<u8>>,
    /// Of its parts.
    pub(crate) key: Option<PartKey>,
    pub(crate) contact: Option<Contact>,
}

#[derive(Debug, Default)]
pub(crate) struct Transfers {
    list: Map<Key, Transfer>,
    /// Who had its turn last.
    last: Option<Key>,
}

#[derive(Debug)]
struct Transfer {
    source: Source,
    run: u32,
    /// How many runs there have been.
    runs: u32,
    /// The recipient has every part before this one, and of the next ones those with a bit.
    next: u32,
    ahead: u64,
    /// Parts from this one on were never sent.
    fresh: u32,
    flying: Vec<Flying>,
    lost: Set<u32>,
    /// Parts that may take other ways at once.
    window: usize,
    /// Parts confirmed since the window last grew.
    confirmed: usize,
    /// Counts losses: the next part takes another way.
    attempt: u32,
    /// Losses in a row, without any word in between.
    silence: u32,
    round_trip: Option<Duration>,
    /// Any part was confirmed, or the transfer began.
    progress: Time,
    /// The last word of the recipient.
    heard: Time,
    /// Nothing could be sent; the next try is at this time.
    held: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Flying {
    at: u32,
    sent: Time,
    /// Not for the first time: whatever is heard of it may be about the time before.
    again: bool,
    via: Option<LinkNumber>,
}

/// A way that has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    Link(LinkNumber),
    Around,
}

/// A part to seal and send.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) key: Key,
    pub(crate) at: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) key_of_parts: Option<PartKey>,
    pub(crate) contact: Option<Contact>,
    pub(crate) road: Road,
    pub(crate) attempt: u32,
}

impl Transfers {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Begins to send parts to a peer, or learns what it has. Gives the bytes that it has, and whether
    /// any part was confirmed.
    pub(crate) fn on_taken(
        &mut self,
        now: Time,
        key: Key,
        source: &Source,
        (run, next, ahead): (u32, u32, u64),
    ) -> (usize, bool) {
        let runs = match self.list.get(&key) {
            Some(one) if one.run == run => None,
            Some(one) if one.runs == RUNS => return (one.bytes(), false),
            before => Some(before.map_or(1, |one| one.runs + 1)),
        };
        if let Some(runs) = runs {
            self.list.insert(key, Transfer { runs, ..Transfer::new(now, source.clone(), run) });
        }
        self.list.get_mut(&key).map_or((0, false), |one| one.on_taken(now, next, ahead))
    }

    /// What is sent to a peer, if anything is.
    pub(crate) fn of(&self, key: &Key) -> Option<&Source> {
        self.list.get(key).map(|one| &one.source)
    }

    /// It is confirmed, or nothing more of it is wanted.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.list.remove(key);
    }

    /// Nobody gets any more of it.
    pub(crate) fn remove_message(&mut self, id: &MessageId) {
        self.list.retain(|(of, _), _| of != id);
    }

    /// A peer gets nothing any more.
    pub(crate) fn remove_peer(&mut self, peer: &PeerId) {
        self.list.retain(|(_, to), _| to != peer);
    }

    /// Bytes of the messages that go on going out though their fate is told: some peer has them, and others not yet.
    pub(crate) fn lingering(&self, is_told: impl Fn(&MessageId) -> bool) -> usize {
        let mut ids = Set::new();
        let those = self.list.iter().filter(|((id, _), _)| is_told(id) && ids.insert(*id));
        those.map(|(_, one)| one.source.body.len()).sum()
    }

    /// The next part to send, if there is room for one. `road`: the best way to a peer that has room now, if true another one
    /// than the link, if there is one; `link`: the link to it, if it works.
    pub(crate) fn next(
        &mut self,
        now: Time,
        road: impl Fn(&PeerId, bool) -> Option<Road>,
        link: impl Fn(&PeerId) -> Option<LinkNumber>,
    ) -> Option<Part> {
        for ((_, peer), one) in self.list.iter_mut() {
            one.notice_losses(now, link(peer));
        }
        let around = self.list.values().map(Transfer::around).sum::<usize>();
        let mut to_peer: Map<PeerId, usize> = Map::new();
        for ((_, peer), one) in self.list.iter() {
            *to_peer.entry(*peer).or_default() += one.flying.len();
        }
        let may = |(key, one): (&Key, &Transfer)| {
            let road = road(&key.1, one.silence > 0).filter(|_| one.held.is_none())?;
            let room = match road {
                Road::Link(_) => one.flying.len() < WINDOW,
                Road::Around => one.flying.len() < one.window && around < AROUND,
            };
            let room = room && to_peer.get(&key.1).is_none_or(|flying| *flying < PER_PEER);
            let at = one.wanted().filter(|_| room)?;
            Some((*key, at, road))
        };
        // Whoever comes after the one that had its turn last.
        let after = self.list.iter().filter(|(key, _)| Some(**key) > self.last);
        let (key, at, road) = after.chain(self.list.iter()).find_map(may)?;
        self.last = Some(key);
        let one = self.list.get_mut(&key)?;
        one.lost.remove(&at);
        let again = at < one.fresh;
        one.fresh = one.fresh.max(at + 1);
        one.flying.push(Flying {
            at,
            sent: now,
            again,
            via: if let Road::Link(link) = road { Some(link) } else { None },
        });
        let bytes = one.source.body.get(range(at, one.source.body.len())).unwrap_or_default().to_vec();
        let Source { key: key_of_parts, contact, .. } = one.source.clone();
        Some(Part { key, at, bytes, key_of_parts, contact, road, attempt: one.attempt })
    }

    /// A part went nowhere.
    pub(crate) fn on_unsent(&mut self, now: Time, key: &Key, at: u32) {
        if let Some(one) = self.list.get_mut(key) {
            one.flying.retain(|flying| flying.at != at);
            one.lost.insert(at);
            one.attempt = one.attempt.wrapping_add(1);
            one.held = Some(now + HOLD);
        }
    }

    /// Forgets transfers that do not go on.
    pub(crate) fn on_time(&mut self, now: Time, env: &Env) {
        self.list.retain(|_, one| now.since(one.progress) < env.config.message_give_up);
        for one in self.list.values_mut() {
            one.held = one.held.filter(|until| *until > now);
        }
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let due = |one: &Transfer| {
            let overdue = one.flying.iter().map(|part| one.overdue_at(part));
            let give_up = one.progress + env.config.message_give_up;
            overdue.chain(one.held).fold(give_up, Time::min)
        };
        self.list.values().map(due).min()
    }
}

impl Transfer {
    fn new(now: Time, source: Source, run: u32) -> Self {
        Self {
            source,
            run,
            runs: 1,
            next: 0,
            ahead: 0,
            fresh: 0,
            flying: Vec::new(),
            lost: Set::new(),
            window: FIRST_WINDOW,
            confirmed: 0,
            attempt: 0,
            silence: 0,
            round_trip: None,
            progress: now,
            heard: now,
            held: None,
        }
    }

    fn parts(&self) -> u32 {
        u32::try_from(self.source.body.len().div_ceil(limits::PART)).unwrap_or(u32::MAX)
    }

    fn has(&self, at: u32) -> bool {
        let bit = |behind: u32| self.ahead.checked_shr(behind).is_some_and(|bits| bits & 1 == 1);
        at < self.next || (at > self.next && bit(at - self.next - 1))
    }

    fn on_taken(&mut self, now: Time, next: u32, ahead: u64) -> (usize, bool) {
        // Words may overtake each other; nobody has more than there is.
        if next >= self.next && next <= self.parts() {
            let ahead = if next == self.next { self.ahead | ahead } else { ahead };
            (self.next, self.ahead) = (next, ahead);
        }
        self.heard = now;
        let flying = core::mem::take(&mut self.flying);
        let (here, flying): (Vec<_>, Vec<_>) = flying.into_iter().partition(|part| self.has(part.at));
        self.flying = flying;
        let lost = core::mem::take(&mut self.lost);
        self.lost = lost.into_iter().filter(|at| !self.has(*at)).collect();
        if here.is_empty() {
            self.lose_old(now);
        }
        // What the recipient had from before need not be sent.
        self.fresh = self.fresh.max(self.next);
        // P. Karn and C. Partridge, SIGCOMM 1987: what was sent again says nothing about the way's time.
        for part in here.iter().filter(|part| !part.again) {
            let sample = now.since(part.sent);
            self.round_trip = Some(self.round_trip.map_or(sample, |mean| (mean * 7 + sample) / 8));
        }
        if !here.is_empty() {
            (self.progress, self.silence, self.held) = (now, 0, None);
            self.confirmed += here.len();
            if self.confirmed >= self.window {
                self.confirmed = 0;
                self.window = (self.window + 1).min(MOST_WINDOW);
            }
        }
        (self.bytes(), !here.is_empty())
    }

    /// A word that tells nothing new is the answer to our asking: what took no link and should have been there by then is lost.
    fn lose_old(&mut self, now: Time) {
        let age = STALLED.max(self.round_trip.unwrap_or_default());
        let is_old = |part: &Flying| part.via.is_none() && now.since(part.sent) >= age;
        let old = self.flying.iter().filter(|part| is_old(part)).map(|part| part.at);
        self.lost.extend(old);
        self.flying.retain(|part| !is_old(part));
    }

    /// Bytes that the recipient has.
    fn bytes(&self) -> usize {
        let len = self.source.body.len();
        let ahead = (self.next..self.parts()).filter(|at| self.has(*at)).map(|at| range(at, len).len());
        (self.next as usize * limits::PART).min(len) + ahead.sum::<usize>()
    }

    /// The part that is to be sent next.
    fn wanted(&self) -> Option<u32> {
        let fresh = || {
            let last = self.parts().min(self.next.saturating_add(limits::PARTS_AHEAD));
            (self.fresh..last).find(|at| !self.has(*at))
        };
        self.lost.iter().next().copied().or_else(fresh)
    }

    /// Parts that take no link.
    fn around(&self) -> usize {
        self.flying.iter().filter(|part| part.via.is_none()).count()
    }

    fn overdue_at(&self, part: &Flying) -> Time {
        let wait = if part.via.is_some() {
            LINK_PATIENCE
        } else {
            let mean = self.round_trip.unwrap_or(LEAST_PATIENCE);
            (mean * 2).clamp(LEAST_PATIENCE, MOST_PATIENCE)
        };
        // While words come, the line is slow, not dead.
        let since = if part.via.is_some() { part.sent.max(self.heard) } else { part.sent };
        since + wait * (1 << self.silence.min(3))
    }

    /// Parts over a link that is no more, and those that should have been confirmed by now, are lost.
    fn notice_losses(&mut self, now: Time, link: Option<LinkNumber>) {
        let gone = |part: &Flying| part.via.is_some() && part.via != link;
        let overdue = self.flying.iter().any(|part| !gone(part) && self.overdue_at(part) <= now);
        let is_lost = |part: &Flying| gone(part) || (overdue && self.overdue_at(part) <= now);
        let (lost, flying): (Vec<_>, Vec<_>) = self.flying.iter().copied().partition(is_lost);
        if lost.is_empty() {
            return;
        }
        self.flying = flying;
        self.lost.extend(lost.iter().map(|part| part.at));
        if overdue {
            self.window = (self.window / 2).max(1);
            self.confirmed = 0;
            self.silence += 1;
            self.attempt = self.attempt.wrapping_add(1);
        }
    }
}

/// Where a part stands in a message of so many bytes.
fn range(at: u32, len: usize) -> core::ops::Range<usize> {
    let begin = (at as usize * limits::PART).min(len);
    begin..(begin + limits::PART).min(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_claims_to_have_lost_its_parts_again_and_again_is_not_sent_them_without_end() {
        let (mut transfers, key) = (Transfers::default(), (MessageId([1; 16]), PeerId([2; 32])));
        let source = Source { body: Arc::new(vec![0; 3 * limits::PART]), key: None, contact: None };
        let mut now = Time::from_millis(1_000);
        let (mut sent, mut went_on) = (0, 0);
        for run in 1..100 {
            for next in 0..3 {
                now = now + Duration::from_millis(20);
                let (_, goes_on) = transfers.on_taken(now, key, &source, (run, next, 0));
                went_on += u32::from(goes_on);
                sent += usize::from(transfers.next(now, |_, _| Some(Road::Around), |_| None).is_some());
            }
        }
        assert_eq!(went_on, 2 * RUNS);
        // And what was on its way in the last run, once more after it was lost.
        assert!((12..=15).contains(&sent), "{sent} parts");
    }
}
