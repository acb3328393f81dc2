//! Mail among those who keep it: telling them what is new, asking what they have, and who keeps it now.
//!
//! A change is told to all who keep a mailbox, and is done when a majority of them has it durably: of those whom placement
//! chooses and, while things settle, of those that live of whom it chose before. A reading asks all that are linked, and has
//! what a majority has. Mail gets its place at whoever takes it; one who keeps it and has later mail refuses, and it gets a later place: as
//! two majorities have somebody in common, what was acknowledged first stays first.
//!
//! What somebody missed is found by comparing: when a link comes up, when members come or go, and each half minute. Who is
//! not to keep a mailbox any more offers it to those who are, and deletes it once each of them has everything durably.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use weft_crypto::digest;
use weft_crypto::statement::{open_prekey, open_record, open_revocation};
use weft_wire::sibling::{BoxSum, Kept, KeptKind, Sibling};
use weft_wire::signaler::FromSignaler;
use weft_wire::{Code, Digest, IdentityId, List, SignalerId, Time, limits};

use crate::frames;
use crate::io::{ConnId, MailChange, Output};
use crate::mailboxes::{BoxId, Item, STATEMENT_LIFE, mix};
use crate::mailing::Ask;
use crate::signaler::Signaler;

/// What is under way between those who keep mail.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    changes: BTreeMap<u64, Change>,
    readings: BTreeMap<u64, Reading>,
    /// By link and number there: which change or reading waits for the answer.
    asked: BTreeMap<(ConnId, u32), u64>,
    /// Who waits until something is written.
    writing: BTreeMap<u64, Waits>,
    next: u64,
    next_re: u32,
    /// Mailboxes that others keep now: what was in them when it was offered, and who has it.
    leaving: BTreeMap<BoxId, (u64, BTreeSet<SignalerId>)>,
    compares: Option<Time>,
    /// By link: when its sums were looked at last.
    compared: BTreeMap<ConnId, Time>,
}

#[derive(Debug)]
struct Change {
    ask: Ask,
    identity: IdentityId,
    items: Vec<(BoxId, Digest)>,
    /// Whose answers are awaited, and how many.
    awaited: BTreeMap<SignalerId, u32>,
    asked: Vec<(ConnId, u32)>,
    has: BTreeSet<SignalerId>,
    written: bool,
    until: Time,
    tries: u8,
    then: Then,
}

/// What follows once a change is durable.
#[derive(Debug)]
pub(crate) enum Then {
    /// It is acknowledged; of new mail the peer is told.
    Ack(Option<(BoxId, Digest)>),
    Published(u32, BoxId),
    Peers(u32, BTreeMap<BoxId, Bytes>),
    /// It goes on with a reading.
    Read(Ask),
}

#[derive(Debug)]
struct Reading {
    ask: Ask,
    identity: IdentityId,
    awaited: BTreeMap<SignalerId, u32>,
    asked: Vec<(ConnId, u32)>,
    has: BTreeSet<SignalerId>,
    until: Time,
}

#[derive(Debug)]
enum Waits {
    Nobody,
    Change(u64),
    Sibling(ConnId, u32),
}

/// How long a change may take: the home that passed it on waits for twice that.
const CHANGE: Duration = Duration::from_secs(5);
/// How long is waited for those who do not answer a question, if a majority has.
const READING: Duration = Duration::from_secs(2);
/// How often an envelope gets a later place before its sender has to try again.
const TRIES: u8 = 4;
const COMPARING: Duration = Duration::from_secs(30);
/// How soon after members or links have changed.
const SOON: Duration = Duration::from_millis(300);
/// How often a mailbox is offered to those who keep it now.
const OFFERING: Duration = Duration::from_secs(2);
/// Mailboxes offered in one go.
const OFFERED: usize = 4 * limits::BOX_SUMS;
/// Sums of one sibling are looked at so often.
const LOOKING: Duration = Duration::from_millis(200);

impl Signaler {
    /// Gives back what the database held, before anything else. See [`Output::KeepMail`].
    pub fn restore_mail(&mut self, now: Time, changes: impl IntoIterator<Item = MailChange>) {
        for change in changes {
            if let MailChange::Put { identity, peer, id, item } = change {
                self.mail.boxes.restore(now, BoxId { identity, peer }, id, item);
            }
        }
        self.write_mail(Waits::Nobody);
        self.compare_mail_soon(now);
    }

    /// What this signaler holds durably or not of a peer's mail: the envelopes' hashes, those first that came first.
    pub fn mail_of(&self, identity: IdentityId, peer: weft_wire::PeerId) -> Vec<Digest> {
        let (page, _) = self.mail.boxes.page(&BoxId { identity, peer });
        page.iter().map(|(_, body)| digest(body)).collect()
    }

    pub(crate) fn mail_deadline(&self) -> Option<Time> {
        let keeping = &self.mail.keeping;
        let change = keeping.changes.first_key_value().map(|(_, change)| change.until);
        let reading = keeping.readings.first_key_value().map(|(_, reading)| reading.until);
        [self.mail.boxes.deadline(), change, reading, keeping.compares].into_iter().flatten().min()
    }

    pub(crate) fn on_mail_time(&mut self, now: Time) {
        self.mail.boxes.expire(now);
        self.counters.mail_expired = self.mail.boxes.expired;
        self.counters.mail_forgotten = self.mail.boxes.forgotten;
        self.write_mail(Waits::Nobody);
        while let Some((number, _)) =
            self.mail.keeping.changes.first_key_value().filter(|(_, change)| change.until <= now)
        {
            self.end_change(now, *number, Err(Code::NotStored));
        }
        while let Some((number, _)) =
            self.mail.keeping.readings.first_key_value().filter(|(_, reading)| reading.until <= now)
        {
            self.end_reading(now, *number);
        }
        if self.mail.keeping.compares.is_some_and(|at| at <= now) {
            self.compare_mail(now);
        }
    }

    /// Members or links have changed.
    pub(crate) fn compare_mail_soon(&mut self, now: Time) {
        if self.mail.boxes.len() > 0 {
            let at = self.mail.keeping.compares.map_or(now + SOON, |at| at.min(now + SOON));
            self.mail.keeping.compares = Some(at);
        }
    }

    pub(crate) fn on_mail_link_lost(&mut self, now: Time, conn: ConnId, id: Option<SignalerId>) {
        self.mail.keeping.compared.remove(&conn);
        let asked: Vec<(u32, u64)> = self
            .mail
            .keeping
            .asked
            .range((conn, 0)..=(conn, u32::MAX))
            .map(|((_, re), number)| (*re, *number))
            .collect();
        for (re, number) in asked {
            self.mail.keeping.asked.remove(&(conn, re));
            let Some(id) = id else { continue };
            if let Some(change) = self.mail.keeping.changes.get_mut(&number) {
                change.awaited.remove(&id);
                self.look_at_change(now, number);
            } else if let Some(reading) = self.mail.keeping.readings.get_mut(&number) {
                reading.awaited.remove(&id);
                self.look_at_reading(now, number);
            }
        }
    }

    /// Items were changed here: everybody who keeps them is to have them, then `then` follows.
    pub(crate) fn replicate_mail(
        &mut self,
        now: Time,
        ask: Ask,
        identity: IdentityId,
        items: Vec<(BoxId, Digest)>,
        then: Then,
    ) -> Result<(), Code> {
        if self.mail.keeping.changes.len() >= self.config.max_pending as usize {
            self.write_mail(Waits::Nobody);
            return Err(Code::RateLimited);
        }
        self.mail.keeping.next += 1;
        let number = self.mail.keeping.next;
        let change = Change {
            ask,
            identity,
            items,
            awaited: BTreeMap::new(),
            asked: Vec::new(),
            has: BTreeSet::new(),
            written: false,
            until: now + CHANGE,
            tries: 0,
            then,
        };
        self.mail.keeping.changes.insert(number, change);
        self.tell_change(now, number);
        self.look_at_change(now, number);
        Ok(())
    }

    /// Writes a change, and tells it to all who keep it.
    fn tell_change(&mut self, now: Time, number: u64) {
        let Some(change) = self.mail.keeping.changes.get_mut(&number) else { return };
        (change.written, change.has) = (false, BTreeSet::new());
        change.awaited = BTreeMap::new();
        for asked in core::mem::take(&mut change.asked) {
            self.mail.keeping.asked.remove(&asked);
        }
        let Some(change) = self.mail.keeping.changes.get(&number) else { return };
        let (identity, items) = (change.identity, change.items.clone());
        let stored = items.iter().all(|(key, id)| self.mail.boxes.is_stored(key, id));
        if stored {
            self.on_written(number, true);
            self.write_mail(Waits::Nobody);
        } else {
            self.write_mail(Waits::Change(number));
        }
        let mut by_box: BTreeMap<BoxId, Vec<Digest>> = BTreeMap::new();
        for (key, id) in items {
            by_box.entry(key).or_default().push(id);
        }
        for (id, conn) in self.mail_keepers(identity) {
            for (key, items) in &by_box {
                let mut asked = Vec::new();
                self.give(now, conn, key, items, &mut Some(&mut asked));
                let Some(change) = self.mail.keeping.changes.get_mut(&number) else { return };
                for re in asked {
                    change.asked.push((conn, re));
                    *change.awaited.entry(id).or_default() += 1;
                    self.mail.keeping.asked.insert((conn, re), number);
                }
            }
        }
    }

    /// Sends items, as many in each frame as fit. With `asked` they are answered; the numbers are added to it.
    fn give(
        &mut self,
        now: Time,
        conn: ConnId,
        key: &BoxId,
        ids: &[Digest],
        asked: &mut Option<&mut Vec<u32>>,
    ) {
        let mut ids = ids.iter().peekable();
        while ids.peek().is_some() {
            let (mut items, mut room) = (Vec::new(), limits::FRAME - 256);
            while let Some(id) = ids.peek() {
                let Some(item) = self.mail.boxes.item(key, id) else {
                    ids.next();
                    continue;
                };
                let size = item.body.as_ref().map_or(0, Bytes::len) + 96;
                if items.len() == limits::KEPT || size > room {
                    break;
                }
                room -= size;
                items.push(Kept {
                    kind: item.kind,
                    id: **id,
                    at: item.at,
                    life_ms: u64::try_from(item.until.since(now).as_millis()).unwrap_or(u64::MAX),
                    sender: item.sender,
                    body: item.body.as_ref().map(|body| weft_wire::Bytes(body.to_vec())),
                });
                ids.next();
            }
            if items.is_empty() {
                return;
            }
            let re = asked.as_mut().map(|asked| {
                self.mail.keeping.next_re = self.mail.keeping.next_re.wrapping_add(1);
                asked.push(self.mail.keeping.next_re);
                self.mail.keeping.next_re
            });
            let BoxId { identity, peer } = *key;
            let frame = Sibling::MailKeep { re, identity, peer, items: List::first(items) };
            self.send(conn, frames::carrying(&frame, limits::FRAME - room));
        }
    }

    /// What is dirty is written; who waits is told then.
    fn write_mail(&mut self, waits: Waits) {
        if let Some((number, changes)) = self.mail.boxes.write() {
            self.mail.keeping.writing.insert(number, waits);
            self.put(Output::KeepMail { number, changes });
        }
    }

    /// The driver has written something, or could not.
    pub(crate) fn on_mail_written(&mut self, now: Time, number: u64, durable: bool) {
        self.mail.boxes.on_stored(number, durable);
        if !durable {
            self.counters.mail_unwritten += 1;
        }
        match self.mail.keeping.writing.remove(&number) {
            Some(Waits::Change(number)) => {
                self.on_written(number, durable);
                self.look_at_change(now, number);
            }
            Some(Waits::Sibling(conn, re)) if self.links.link(conn).is_some() => {
                let code = (!durable).then_some(Code::NotStored);
                self.send(conn, frames::small(&Sibling::MailKept { re, code, after: None }));
            }
            _ => {}
        }
    }

    fn on_written(&mut self, number: u64, durable: bool) {
        let Some(change) = self.mail.keeping.changes.get_mut(&number) else { return };
        // An earlier write of something that was changed since does not count.
        if durable && !change.items.iter().all(|(key, id)| self.mail.boxes.is_stored(key, id)) {
            return;
        }
        change.written = true;
        if durable {
            change.has.insert(self.us);
        }
    }

    /// Whether so many have something that whoever asks a majority later finds it.
    fn is_majority(&self, identity: IdentityId, has: &BTreeSet<SignalerId>) -> bool {
        let placed = self.ring.place(&identity.0);
        let most = |of: &[SignalerId]| of.iter().filter(|id| has.contains(id)).count() * 2 > of.len();
        let before: Vec<SignalerId> =
            placed.before.iter().filter(|id| self.ring.lives(id)).copied().collect();
        most(&placed.now) && (before.is_empty() || most(&before))
    }

    /// Whom placement chooses besides us, as far as they are linked.
    fn mail_keepers(&self, identity: IdentityId) -> Vec<(SignalerId, ConnId)> {
        let all = self.ring.place(&identity.0).all();
        let others = all.into_iter().filter(|id| *id != self.us);
        others.filter_map(|id| Some((id, self.mail_link(&id)?))).collect()
    }

    fn look_at_change(&mut self, now: Time, number: u64) {
        let Some(change) = self.mail.keeping.changes.get(&number) else { return };
        if self.is_majority(change.identity, &change.has) {
            self.end_change(now, number, Ok(()));
        } else if change.written && change.awaited.is_empty() {
            self.end_change(now, number, Err(Code::NotStored));
        }
    }

    fn end_change(&mut self, now: Time, number: u64, outcome: Result<(), Code>) {
        let Some(change) = self.mail.keeping.changes.remove(&number) else { return };
        for asked in &change.asked {
            self.mail.keeping.asked.remove(asked);
        }
        let Change { ask, identity, then, .. } = change;
        if let Err(code) = outcome {
            self.counters.mail_refused += 1;
            return self.answer(ask.asker, Err(code));
        }
        match then {
            Then::Ack(mail) => {
                self.answer(ask.asker, Ok(()));
                if let Some((key, id)) = mail {
                    self.counters.mail_stored += 1;
                    if self.mail.boxes.item(&key, &id).is_some_and(|item| item.body.is_some()) {
                        self.mail_waits(now, key);
                    }
                }
            }
            Then::Published(re, key) => {
                let left = u32::try_from(self.mail.boxes.left(&key)).unwrap_or(u32::MAX);
                self.reply_mail(ask.asker, frames::small(&FromSignaler::Published { re, left }));
            }
            Then::Peers(re, used) => self.tell_peers(ask.asker, re, identity, &used),
            Then::Read(ask) => {
                let asker = ask.asker;
                if let Err(code) = self.read_mail(now, ask, identity) {
                    self.answer(asker, Err(code));
                }
            }
        }
        // Nobody waits for it any more, and everybody who keeps it should have a look.
        self.begin_comparing(now);
    }

    /// A sibling that keeps it, too, has it durably, or has not.
    pub(crate) fn on_mail_kept(
        &mut self,
        now: Time,
        conn: ConnId,
        re: u32,
        code: Option<Code>,
        after: Option<u64>,
    ) {
        let Some(number) = self.mail.keeping.asked.remove(&(conn, re)) else { return };
        let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) else { return };
        let Some(change) = self.mail.keeping.changes.get_mut(&number) else { return };
        change.asked.retain(|asked| *asked != (conn, re));
        match (code, after, &change.items[..]) {
            (None, ..) => {
                let awaited = change.awaited.entry(id).or_default();
                *awaited = awaited.saturating_sub(1);
                if *awaited == 0 {
                    change.awaited.remove(&id);
                    change.has.insert(id);
                }
            }
            (Some(_), Some(after), [(key, item)]) if change.tries < TRIES => {
                change.tries += 1;
                let (key, item) = (*key, *item);
                let at = after.max(self.mail.boxes.last(&key)).saturating_add(1);
                self.mail.boxes.postpone(&key, &item, at);
                self.counters.mail_postponed += 1;
                self.tell_change(now, number);
            }
            // What else it was asked for it may have; that is no longer enough.
            _ => _ = change.awaited.remove(&id),
        }
        self.look_at_change(now, number);
    }

    /// A sibling gives us something to keep.
    pub(crate) fn on_mail_keep(
        &mut self,
        now: Time,
        conn: ConnId,
        re: Option<u32>,
        key: BoxId,
        items: Vec<Kept>,
    ) {
        let mut refused = None;
        let mut told = BTreeSet::new();
        for kept in items {
            let id = kept.id;
            // New mail goes behind what is here; what is repaired has its place.
            let new = re.is_some() && kept.kind == KeptKind::Mail && kept.body.is_some();
            if new && self.mail.boxes.item(&key, &id).is_none() && kept.at <= self.mail.boxes.last(&key) {
                refused = Some((Code::Replayed, Some(self.mail.boxes.last(&key))));
                break;
            }
            let kept = self.item_of(now, &key, kept).and_then(|item| {
                // Whoever has something older hears of what is newer here: else it would offer that for ever.
                told.extend(self.mail.boxes.newer(&key, &id, &item));
                self.mail.boxes.merge(now, key, id, item, &self.config)
            });
            match kept {
                Ok(changed) => self.counters.mail_kept += u64::from(changed),
                // It has run out, or it must not be here.
                Err(Code::Expired | Code::Revoked) => {}
                Err(code @ (Code::BadSignature | Code::BadFrame | Code::WrongParty)) => {
                    refused = Some((code, None));
                    self.sibling_strike(now, conn, code);
                    break;
                }
                Err(code) => {
                    self.counters.mail_dropped += 1;
                    refused = Some((code, None));
                }
            }
        }
        if self.links.link(conn).is_none() {
            return self.write_mail(Waits::Nobody);
        }
        if !told.is_empty() {
            let told: Vec<Digest> = told.into_iter().collect();
            self.give(now, conn, &key, &told, &mut None);
        }
        match (re, refused) {
            (Some(re), None) => {
                let before = self.mail.keeping.writing.len();
                self.write_mail(Waits::Sibling(conn, re));
                if self.mail.keeping.writing.len() == before {
                    self.send(conn, frames::small(&Sibling::MailKept { re, code: None, after: None }));
                }
            }
            (Some(re), Some((code, after))) => {
                self.write_mail(Waits::Nobody);
                self.send(conn, frames::small(&Sibling::MailKept { re, code: Some(code), after }));
            }
            (None, _) => self.write_mail(Waits::Nobody),
        }
        self.begin_comparing(now);
    }

    /// What a sibling gives us, if it is what it says it is.
    fn item_of(&self, now: Time, key: &BoxId, kept: Kept) -> Result<Item, Code> {
        let mut life = Duration::from_millis(kept.life_ms);
        if kept.kind == KeptKind::Mail {
            life = life.min(Duration::from_millis(self.config.mail_life_ms));
        }
        let body = kept.body.map(|body| Bytes::from(body.0));
        if self.mail.boxes.item(key, &kept.id).is_none()
            && let Some(body) = &body
        {
            check(key, kept.kind, kept.id, body)?;
        }
        let mut item = Item::new(kept.kind, kept.at, now + life.min(STATEMENT_LIFE), body);
        item.sender = kept.sender;
        Ok(item)
    }

    /// What those have who keep an identity's mailboxes, too, is merged; then the peer is answered.
    pub(crate) fn read_mail(&mut self, now: Time, ask: Ask, identity: IdentityId) -> Result<(), Code> {
        if self.mail.keeping.readings.len() >= self.config.max_pending as usize {
            return Err(Code::RateLimited);
        }
        self.mail.keeping.next += 1;
        let number = self.mail.keeping.next;
        let has = BTreeSet::from([self.us]);
        let mut reading =
            Reading { ask, identity, awaited: BTreeMap::new(), asked: Vec::new(), has, until: now + READING };
        let boxes = self.mail.boxes.of(identity).map(|(key, sum)| box_sum(key, sum));
        let boxes: List<BoxSum, { limits::MAILBOXES_KEPT }> = List::first(boxes);
        for (id, conn) in self.mail_keepers(identity) {
            self.mail.keeping.next_re = self.mail.keeping.next_re.wrapping_add(1);
            let re = self.mail.keeping.next_re;
            reading.awaited.insert(id, 1);
            reading.asked.push((conn, re));
            self.mail.keeping.asked.insert((conn, re), number);
            self.send(conn, frames::small(&Sibling::MailLook { re, identity, boxes: boxes.clone() }));
        }
        self.mail.keeping.readings.insert(number, reading);
        self.look_at_reading(now, number);
        Ok(())
    }

    fn look_at_reading(&mut self, now: Time, number: u64) {
        if self.mail.keeping.readings.get(&number).is_some_and(|reading| reading.awaited.is_empty()) {
            self.end_reading(now, number);
        }
    }

    fn end_reading(&mut self, now: Time, number: u64) {
        let Some(reading) = self.mail.keeping.readings.remove(&number) else { return };
        for asked in &reading.asked {
            self.mail.keeping.asked.remove(asked);
        }
        if self.is_majority(reading.identity, &reading.has) {
            self.serve_mail(now, reading.ask, true);
        } else {
            self.counters.mail_refused += 1;
            self.answer(reading.ask.asker, Err(Code::SiblingUnreachable));
        }
    }

    /// A sibling asks which mailboxes of an identity are other ones here.
    pub(crate) fn on_mail_look(&mut self, conn: ConnId, re: u32, identity: IdentityId, theirs: &[BoxSum]) {
        let theirs: BTreeMap<_, _> = theirs.iter().map(|one| (one.peer, one.sum)).collect();
        let differ = self.mail.boxes.of(identity).filter(|(key, sum)| theirs.get(&key.peer) != Some(sum));
        let boxes = List::first(differ.map(|(key, sum)| box_sum(key, sum)));
        self.send(conn, frames::small(&Sibling::MailHave { re: Some(re), leaving: false, boxes }));
    }

    /// A sibling says what it has.
    pub(crate) fn on_mail_have(
        &mut self,
        now: Time,
        conn: ConnId,
        re: Option<u32>,
        leaving: bool,
        boxes: &[BoxSum],
    ) {
        let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) else { return };
        let number = re.and_then(|re| self.mail.keeping.asked.remove(&(conn, re)));
        let reading = number.and_then(|number| self.mail.keeping.readings.get(&number));
        let of = reading.map(|reading| reading.identity);
        if re.is_some() && of.is_none() {
            return;
        }
        let mut names = Vec::new();
        for one in boxes {
            let key = BoxId { identity: one.identity, peer: one.peer };
            let wanted = match of {
                Some(identity) => identity == key.identity,
                None => self.ring.place(&key.identity.0).keeps(&self.us),
            };
            if wanted && (leaving || self.mail.boxes.sum(&key) != one.sum) {
                names.push(key);
            }
        }
        if of.is_some() {
            names.truncate(limits::MAILBOXES_KEPT);
        }
        for key in &names {
            self.mail.keeping.next_re = self.mail.keeping.next_re.wrapping_add(1);
            let re = self.mail.keeping.next_re;
            let BoxId { identity, peer } = *key;
            let names = weft_wire::Bytes(self.mail.boxes.names(key));
            let size = names.0.len();
            self.send(conn, frames::carrying(&Sibling::MailNames { re, identity, peer, names }, size + 96));
            if let Some(number) = number.filter(|_| of.is_some()) {
                self.mail.keeping.asked.insert((conn, re), number);
                if let Some(reading) = self.mail.keeping.readings.get_mut(&number) {
                    reading.asked.push((conn, re));
                    *reading.awaited.entry(id).or_default() += 1;
                }
            }
        }
        if let Some(number) = number {
            self.on_read_from(now, number, id);
        }
    }

    /// A sibling says what it has of a mailbox, and gets the rest.
    pub(crate) fn on_mail_names(&mut self, now: Time, conn: ConnId, re: u32, key: BoxId, names: &[u8]) {
        let lacking = self.mail.boxes.lacking(&key, names);
        if lacking.is_empty() {
            if let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) {
                self.on_mail_confirmed(&key, id);
            }
        } else {
            self.counters.mail_repaired += lacking.len() as u64;
            self.give(now, conn, &key, &lacking, &mut None);
        }
        self.send(conn, frames::small(&Sibling::MailDone { re }));
    }

    pub(crate) fn on_mail_done(&mut self, now: Time, conn: ConnId, re: u32) {
        let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) else { return };
        if let Some(number) = self.mail.keeping.asked.remove(&(conn, re)) {
            self.on_read_from(now, number, id);
        }
    }

    fn on_read_from(&mut self, now: Time, number: u64, id: SignalerId) {
        let Some(reading) = self.mail.keeping.readings.get_mut(&number) else { return };
        let awaited = reading.awaited.entry(id).or_default();
        *awaited = awaited.saturating_sub(1);
        if *awaited == 0 {
            reading.awaited.remove(&id);
            reading.has.insert(id);
            self.look_at_reading(now, number);
        }
    }

    fn begin_comparing(&mut self, now: Time) {
        if self.mail.keeping.compares.is_none() && self.mail.boxes.len() > 0 {
            self.mail.keeping.compares = Some(now + COMPARING);
        }
    }

    /// Siblings hear what is here of that which they keep, too; what is not ours any more is offered.
    fn compare_mail(&mut self, now: Time) {
        for conn in self.links.up() {
            self.tell_mail_sums(conn, false);
        }
        let leaves = self.offer_mail();
        let next = now + if leaves { OFFERING } else { COMPARING };
        self.mail.keeping.compares = (self.mail.boxes.len() > 0).then_some(next);
    }

    fn tell_mail_sums(&mut self, conn: ConnId, answer: bool) {
        let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) else { return };
        if self.mail_link(&id) != Some(conn) || !self.ring.lives(&id) {
            return;
        }
        let sums = weft_wire::Bytes(self.mail_sums(&id).into_iter().flat_map(u64::to_be_bytes).collect());
        let frame = Sibling::MailSums { ring: self.ring.name(), answer, sums };
        self.send(conn, frames::carrying(&frame, limits::TABLE_SUMS));
    }

    /// Mailboxes that both we and a sibling are to keep.
    fn shared_mail(&self, with: &SignalerId) -> Vec<(BoxId, u64)> {
        let whole = self.ring.is_whole();
        let mut shared = None;
        let mut found = Vec::new();
        for (key, sum) in self.mail.boxes.all() {
            let is_shared = match shared {
                _ if whole => true,
                Some((identity, is)) if identity == key.identity => is,
                _ => {
                    let now = self.ring.place(&key.identity.0).now;
                    now.contains(&self.us) && now.contains(with)
                }
            };
            shared = Some((key.identity, is_shared));
            if is_shared {
                found.push((key, sum));
            }
        }
        found
    }

    fn mail_sums(&self, with: &SignalerId) -> Vec<u64> {
        let mut sums = vec![0; 256];
        for (key, sum) in self.shared_mail(with) {
            if let Some(bucket) = sums.get_mut(usize::from(key.identity.0[0])) {
                *bucket ^= mix(sum);
            }
        }
        sums
    }

    pub(crate) fn on_mail_sums(&mut self, now: Time, conn: ConnId, ring: u64, answer: bool, theirs: &[u8]) {
        let Some(id) = self.links.link(conn).and_then(crate::links::Link::id) else { return };
        let looked = self.mail.keeping.compared.get(&conn);
        if ring != self.ring.name() || looked.is_some_and(|at| *at + LOOKING > now) {
            return;
        }
        self.mail.keeping.compared.insert(conn, now);
        let shared = self.shared_mail(&id);
        let ours = self.mail_sums(&id);
        let theirs = theirs.chunks_exact(8).map(|sum| sum.try_into().map_or(0, u64::from_be_bytes));
        let differ: BTreeSet<usize> = (0..256)
            .zip(ours.iter().zip(theirs.chain(core::iter::repeat(0))))
            .filter_map(|(at, (ours, theirs))| (*ours != theirs).then_some(at))
            .collect();
        if differ.is_empty() {
            return;
        }
        let have = shared.into_iter().filter(|(key, _)| differ.contains(&usize::from(key.identity.0[0])));
        self.tell_mail_have(conn, false, have);
        if !answer {
            self.tell_mail_sums(conn, true);
        }
    }

    fn tell_mail_have(&mut self, conn: ConnId, leaving: bool, boxes: impl IntoIterator<Item = (BoxId, u64)>) {
        let mut boxes = boxes.into_iter().map(|(key, sum)| box_sum(key, sum)).peekable();
        while boxes.peek().is_some() {
            let boxes = List::first(boxes.by_ref().take(limits::BOX_SUMS));
            let frame = Sibling::MailHave { re: None, leaving, boxes };
            self.send(conn, frames::carrying(&frame, limits::FRAME));
        }
    }

    /// Offers what others keep now. Returns whether there is any such.
    fn offer_mail(&mut self) -> bool {
        if self.ring.is_whole() || self.ring.settles().is_some() {
            self.mail.keeping.leaving.clear();
            return self.ring.settles().is_some();
        }
        let us = self.us;
        let mut offers: BTreeMap<SignalerId, Vec<(BoxId, u64)>> = BTreeMap::new();
        let mut leaving = BTreeMap::new();
        for (key, sum) in self.mail.boxes.all() {
            let now = self.ring.place(&key.identity.0).now;
            if now.contains(&us) {
                continue;
            }
            if leaving.len() >= OFFERED {
                break;
            }
            let before = self.mail.keeping.leaving.remove(&key).filter(|(then, _)| *then == sum);
            let has = before.map(|(_, has)| has).unwrap_or_default();
            for id in now.into_iter().filter(|id| !has.contains(id)) {
                offers.entry(id).or_default().push((key, sum));
            }
            leaving.insert(key, (sum, has));
        }
        self.mail.keeping.leaving = leaving;
        for (id, boxes) in offers {
            if let Some(conn) = self.mail_link(&id) {
                self.tell_mail_have(conn, true, boxes);
            }
        }
        !self.mail.keeping.leaving.is_empty()
    }

    /// Who keeps a mailbox now has all of it.
    fn on_mail_confirmed(&mut self, key: &BoxId, id: SignalerId) {
        let now_sum = self.mail.boxes.sum(key);
        let placed = self.ring.place(&key.identity.0);
        let Some((sum, has)) = self.mail.keeping.leaving.get_mut(key) else { return };
        if *sum != now_sum || placed.keeps(&self.us) || !self.mail.boxes.is_written(key) {
            return;
        }
        has.insert(id);
        if placed.now.iter().all(|id| has.contains(id)) {
            self.mail.keeping.leaving.remove(key);
            self.mail.boxes.forget_box(key);
            self.counters.mail_handed_over += 1;
            self.write_mail(Waits::Nobody);
        }
    }
}

/// Whether somebody has signed what a sibling gives us, or it is what it says.
fn check(key: &BoxId, kind: KeptKind, id: Digest, body: &[u8]) -> Result<(), Code> {
    if digest(body) != id {
        return Err(Code::BadFrame);
    }
    let (identity, peer) = match kind {
        KeptKind::Mail => (key.identity, key.peer),
        KeptKind::Once | KeptKind::Fallback => {
            let prekey = open_prekey(body).map_err(|_| Code::BadSignature)?;
            if prekey.once != (kind == KeptKind::Once) {
                return Err(Code::BadFrame);
            }
            (key.identity, prekey.peer)
        }
        KeptKind::Record => {
            let record = open_record(body).map_err(|_| Code::BadSignature)?;
            (record.identity, record.peer)
        }
        KeptKind::Revocation => {
            let revocation = open_revocation(body).map_err(|_| Code::BadSignature)?;
            (revocation.identity, revocation.peer)
        }
    };
    if (BoxId { identity, peer }) == *key { Ok(()) } else { Err(Code::WrongParty) }
}

const fn box_sum(key: BoxId, sum: u64) -> BoxSum {
    BoxSum { identity: key.identity, peer: key.peer, sum }
}
