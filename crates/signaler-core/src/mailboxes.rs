//! What a residence keeps of an identity's peers: records, prekeys, mail, and what of it was taken.
//!
//! Inputs: items, from peers and from those who keep them, too ([`Mailboxes::merge`], [`Mailboxes::take`]); whether they are
//! durable ([`Mailboxes::on_stored`]); time ([`Mailboxes::expire`]). Outputs: what is to be written ([`Mailboxes::write`]), what
//! waits ([`Mailboxes::page`]), how what is here differs from what somebody else has ([`Mailboxes::lacking`]). Timer:
//! [`Mailboxes::deadline`].
//!
//! Whoever has merged the same items has the same, in whatever order they came: what is gone stays gone, of two times of an
//! envelope the later counts, of records and fallbacks the newest stays, and a revocation leaves nothing beside it. Items have
//! names of eight bytes, in which their state is mixed; XORed they sum a mailbox up. Only what is durable has a name.
//!
//! Invariants: bodies are at most [`Config::max_mail_bytes`] together, mailboxes at most [`Config::max_mailboxes`], of one
//! identity [`limits::MAILBOXES_KEPT`]; in one mailbox are at most [`SLACK`] times the envelopes that peers may leave there,
//! [`TAKEN`] that were taken, and [`ONCE`] prekeys that lie ready.
//!
//! [`Config::max_mail_bytes`]: crate::Config::max_mail_bytes
//! [`Config::max_mailboxes`]: crate::Config::max_mailboxes

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use core::time::Duration;
use weft_wire::sibling::KeptKind;
use weft_wire::{Code, Digest, IdentityId, PeerId, Tag, Time, limits};

use crate::config::Config;
use crate::io::{MailChange, MailItem};

/// Names a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BoxId {
    pub(crate) identity: IdentityId,
    pub(crate) peer: PeerId,
}

/// What lies in a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: KeptKind,
    pub(crate) at: u64,
    pub(crate) sender: Tag,
    pub(crate) until: Time,
    /// None: it was taken or used.
    pub(crate) body: Option<Bytes>,
    /// It is durable as it is.
    stored: bool,
}

impl Item {
    pub(crate) fn new(kind: KeptKind, at: u64, until: Time, body: Option<Bytes>) -> Self {
        Self { kind, at, sender: Tag([0; 8]), until, body, stored: false }
    }
}

#[derive(Debug, Default)]
struct Mailbox {
    items: BTreeMap<Digest, Item>,
    /// Envelopes that wait.
    waiting: BTreeSet<(u64, Digest)>,
    /// Envelopes that were taken.
    taken: BTreeSet<(u64, Digest)>,
    /// Prekeys that lie ready, and those that were used.
    ready: BTreeSet<(u64, Digest)>,
    used: BTreeSet<(u64, Digest)>,
    /// The record, the fallback, the revocation.
    single: BTreeMap<KeptKind, Digest>,
    /// Of the mail that was ever here.
    last: u64,
    bytes: usize,
    /// By sender: what waits of it, and its bytes.
    shares: BTreeMap<Tag, (u32, usize)>,
    sum: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    boxes: BTreeMap<BoxId, Mailbox>,
    expiry: BTreeSet<(Time, BoxId, Digest)>,
    bytes: usize,
    /// Not written yet.
    dirty: BTreeSet<(BoxId, Digest)>,
    drops: Vec<(BoxId, Digest)>,
    /// Being written: what, and in which state.
    writing: BTreeMap<u64, Vec<(BoxId, Digest, u64)>>,
    next: u64,
    pub(crate) forgotten: u64,
    pub(crate) expired: u64,
}

/// Times the envelopes that peers may leave in a mailbox that others who keep it may bring: each of two who did not know of
/// each other has taken as many.
const SLACK: usize = 2;
/// Envelopes of a mailbox that are remembered after they were taken; of more, the earliest are forgotten.
pub(crate) const TAKEN: usize = 8192;
/// Prekeys of a peer that lie ready.
pub(crate) const ONCE: usize = 100;
/// Prekeys of a peer that are remembered after they were used.
const USED: usize = 1024;
/// The life of a record, prekey or revocation is cut to this.
pub(crate) const STATEMENT_LIFE: Duration = Duration::from_secs(400 * 86_400);
/// The latest place that mail may have, and time at which a statement may have been issued: there is one after it, and a database
/// that knows no unsigned numbers can hold it.
pub(crate) const LATEST: u64 = 1 << 62;
/// Items that expire at once.
const EXPIRE_AT_ONCE: usize = 256;

impl Mailboxes {
    pub(crate) fn len(&self) -> usize {
        self.boxes.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Envelopes that wait. Walks over the mailboxes.
    pub(crate) fn waiting(&self) -> usize {
        self.boxes.values().map(|one| one.waiting.len()).sum()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.expiry.first().map(|(at, ..)| *at)
    }

    pub(crate) fn of(&self, identity: IdentityId) -> impl Iterator<Item = (BoxId, u64)> {
        let ends = [PeerId([0; 32]), PeerId([u8::MAX; 32])].map(|peer| BoxId { identity, peer });
        self.boxes.range(ends[0]..=ends[1]).map(|(key, one)| (*key, one.sum))
    }

    /// Every mailbox with its sum.
    pub(crate) fn all(&self) -> impl Iterator<Item = (BoxId, u64)> {
        self.boxes.iter().map(|(key, one)| (*key, one.sum))
    }

    pub(crate) fn sum(&self, key: &BoxId) -> u64 {
        self.boxes.get(key).map_or(0, |one| one.sum)
    }

    /// Whether mail for it is taken.
    ///
    /// # Errors
    /// [`Code::NoMailbox`], [`Code::Revoked`].
    pub(crate) fn is_open(&self, key: &BoxId) -> Result<(), Code> {
        let one = self.boxes.get(key).ok_or(Code::NoMailbox)?;
        if one.the(KeptKind::Revocation).is_some() {
            return Err(Code::Revoked);
        }
        one.the(KeptKind::Record).map(|_| ()).ok_or(Code::NoMailbox)
    }

    /// Mailboxes of an identity that are open.
    pub(crate) fn open_of(&self, identity: IdentityId) -> Vec<BoxId> {
        self.of(identity).map(|(key, _)| key).filter(|key| self.is_open(key).is_ok()).collect()
    }

    /// Whether an envelope may be left there by that sender.
    ///
    /// # Errors
    /// [`Code::MailboxFull`], [`Code::SenderFull`].
    pub(crate) fn room(&self, key: &BoxId, sender: Tag, len: usize, config: &Config) -> Result<(), Code> {
        let Some(one) = self.boxes.get(key) else { return Ok(()) };
        let (count, bytes) = one.shares.get(&sender).copied().unwrap_or_default();
        if one.waiting.len() >= config.mailbox_envelopes as usize
            || one.bytes + len > config.mailbox_bytes as usize
        {
            return Err(Code::MailboxFull);
        }
        if count >= config.mailbox_envelopes_per_sender
            || bytes + len > config.mailbox_bytes_per_sender as usize
        {
            return Err(Code::SenderFull);
        }
        Ok(())
    }

    /// The record and the fallback of a peer.
    pub(crate) fn statements(&self, key: &BoxId) -> Option<(Bytes, Option<Bytes>)> {
        let one = self.boxes.get(key)?;
        let body = |kind| one.the(kind).and_then(|(_, item)| item.body.clone());
        Some((body(KeptKind::Record)?, body(KeptKind::Fallback)))
    }

    /// The prekey that lies ready for the longest time.
    pub(crate) fn ready(&self, key: &BoxId) -> Option<(Digest, Bytes)> {
        let one = self.boxes.get(key)?;
        let (_, id) = one.ready.first()?;
        Some((*id, one.items.get(id)?.body.clone()?))
    }

    /// Prekeys that lie ready.
    pub(crate) fn left(&self, key: &BoxId) -> usize {
        self.boxes.get(key).map_or(0, |one| one.ready.len())
    }

    /// The time of the last mail of a mailbox.
    pub(crate) fn last(&self, key: &BoxId) -> u64 {
        self.boxes.get(key).map_or(0, |one| one.last)
    }

    pub(crate) fn item(&self, key: &BoxId, id: &Digest) -> Option<&Item> {
        self.boxes.get(key)?.items.get(id)
    }

    pub(crate) fn is_stored(&self, key: &BoxId, id: &Digest) -> bool {
        self.item(key, id).is_some_and(|item| item.stored)
    }

    /// Whether all of a mailbox is durable.
    pub(crate) fn is_written(&self, key: &BoxId) -> bool {
        self.boxes.get(key).is_none_or(|one| one.items.values().all(|item| item.stored))
    }

    /// What waits, those first that came first, as far as it fits; and whether there is more.
    pub(crate) fn page(&self, key: &BoxId) -> (Vec<(u64, Bytes)>, bool) {
        let Some(one) = self.boxes.get(key) else { return (Vec::new(), false) };
        let (mut page, mut room) = (Vec::new(), limits::FRAME - 512);
        for (at, id) in &one.waiting {
            let Some(body) = one.items.get(id).and_then(|item| item.body.clone()) else { continue };
            let size = body.len() + 64;
            if page.len() == limits::MAIL || size > room {
                return (page, true);
            }
            room -= size;
            page.push((*at, body));
        }
        (page, false)
    }

    /// Takes an item in. Whether it changed anything, or is still to be written.
    ///
    /// # Errors
    /// Why it is not kept; nothing changed.
    pub(crate) fn merge(
        &mut self,
        now: Time,
        key: BoxId,
        id: Digest,
        item: Item,
        config: &Config,
    ) -> Result<bool, Code> {
        if item.until <= now || item.at > LATEST {
            return Err(Code::Expired);
        }
        if let Some(one) = self.boxes.get_mut(&key) {
            if item.kind != KeptKind::Revocation && one.the(KeptKind::Revocation).is_some() {
                return Err(Code::Revoked);
            }
            if let Some(known) = one.items.get(&id) {
                let gone = known.body.is_none() || item.body.is_none();
                let at = known.at.max(item.at);
                if known.kind != item.kind {
                    return Err(Code::BadFrame);
                }
                let same = known.at == at && gone == known.body.is_none();
                let stored = known.stored;
                if !same {
                    let (until, sender) = (known.until, known.sender);
                    let body = known.body.clone().filter(|_| !gone);
                    self.remove(&key, &id);
                    self.insert(key, id, Item { kind: item.kind, at, sender, until, body, stored: false });
                }
                if !same || !stored {
                    self.dirty.insert((key, id));
                }
                return Ok(!same || !stored);
            }
        } else if self.boxes.len() >= config.max_mailboxes as usize {
            return Err(Code::SignalerFull);
        } else if self.of(key.identity).count() >= limits::MAILBOXES_KEPT {
            return Err(Code::TooManyPeers);
        }
        let len = item.body.as_ref().map_or(0, Bytes::len);
        // What only makes room is always taken.
        if item.kind != KeptKind::Revocation && len > 0 && (self.bytes + len) as u64 > config.max_mail_bytes {
            return Err(Code::SignalerFull);
        }
        if let Some(one) = self.boxes.get(&key) {
            match item.kind {
                KeptKind::Mail
                    if item.body.is_some()
                        && (one.waiting.len() >= SLACK * config.mailbox_envelopes as usize
                            || one.bytes + len > SLACK * config.mailbox_bytes as usize) =>
                {
                    return Err(Code::MailboxFull);
                }
                KeptKind::Once if item.body.is_some() && one.ready.len() >= ONCE => {
                    return Err(Code::MailboxFull);
                }
                KeptKind::Record | KeptKind::Fallback | KeptKind::Revocation => {
                    if let Some((old, known)) = one.the(item.kind) {
                        if (known.at, old) >= (item.at, id) {
                            return Ok(false);
                        }
                        self.drop_item(&key, &old);
                    }
                    if item.kind == KeptKind::Revocation {
                        self.clear(&key);
                    }
                }
                _ => {}
            }
        }
        self.insert(key, id, item);
        self.dirty.insert((key, id));
        self.forget(&key);
        Ok(true)
    }

    /// What is here in place of an item that somebody else has, if there is anything: it was taken or used, it has a later place, a newer
    /// statement counts, or the peer was revoked.
    pub(crate) fn newer(&self, key: &BoxId, id: &Digest, item: &Item) -> Option<Digest> {
        let one = self.boxes.get(key)?;
        if item.kind != KeptKind::Revocation
            && let Some((id, _)) = one.the(KeptKind::Revocation)
        {
            return Some(id);
        }
        if let Some(known) = one.items.get(id) {
            let gone = known.body.is_none() && item.body.is_some();
            return (gone || known.at > item.at).then_some(*id);
        }
        one.the(item.kind)
            .filter(|(other, known)| (known.at, *other) > (item.at, *id))
            .map(|(other, _)| other)
    }

    /// Something was taken or used. False: it is not here, or already gone.
    pub(crate) fn take(&mut self, key: &BoxId, id: &Digest) -> bool {
        let Some(item) = self.item(key, id).filter(|item| item.body.is_some()).cloned() else { return false };
        self.remove(key, id);
        self.insert(*key, *id, Item { body: None, stored: false, ..item });
        self.dirty.insert((*key, *id));
        self.forget(key);
        true
    }

    /// An envelope gets a later time.
    pub(crate) fn postpone(&mut self, key: &BoxId, id: &Digest, at: u64) {
        let Some(item) = self.item(key, id).filter(|item| item.body.is_some() && item.at < at).cloned()
        else {
            return;
        };
        self.remove(key, id);
        self.insert(*key, *id, Item { at, stored: false, ..item });
        self.dirty.insert((*key, *id));
    }

    /// Somebody else keeps it now.
    pub(crate) fn forget_box(&mut self, key: &BoxId) {
        self.clear(key);
        let revocation = self.boxes.get(key).and_then(|one| one.the(KeptKind::Revocation)).map(|(id, _)| id);
        if let Some(id) = revocation {
            self.drop_item(key, &id);
        }
    }

    /// What is to be written, and under which number it is confirmed.
    pub(crate) fn write(&mut self) -> Option<(u64, Vec<MailChange>)> {
        if self.dirty.is_empty() && self.drops.is_empty() {
            return None;
        }
        let mut changes: Vec<MailChange> = core::mem::take(&mut self.drops)
            .into_iter()
            .map(|(key, id)| MailChange::Drop { identity: key.identity, peer: key.peer, id })
            .collect();
        let mut states = Vec::new();
        for (key, id) in core::mem::take(&mut self.dirty) {
            let Some(item) = self.item(&key, &id) else { continue };
            states.push((key, id, mark(&key, &id, item)));
            changes.push(MailChange::Put {
                identity: key.identity,
                peer: key.peer,
                id,
                item: MailItem {
                    kind: item.kind,
                    at: item.at,
                    until: item.until.millis(),
                    sender: item.sender,
                    body: item.body.clone(),
                },
            });
        }
        self.next += 1;
        self.writing.insert(self.next, states);
        Some((self.next, changes))
    }

    /// What was written under a number is durable, or is not.
    pub(crate) fn on_stored(&mut self, number: u64, durable: bool) {
        for (key, id, state) in self.writing.remove(&number).unwrap_or_default() {
            let Some(one) = self.boxes.get_mut(&key) else { continue };
            let Some(item) = one.items.get_mut(&id) else { continue };
            if durable && !item.stored && mark(&key, &id, item) == state {
                item.stored = true;
                one.sum ^= state;
            }
        }
    }

    /// What the database held.
    pub(crate) fn restore(&mut self, now: Time, key: BoxId, id: Digest, item: MailItem) {
        let until = Time::from_millis(item.until);
        if until <= now {
            self.drops.push((key, id));
            return;
        }
        let MailItem { kind, at, sender, body, .. } = item;
        let item = Item { kind, at, sender, until, body, stored: true };
        let name = mark(&key, &id, &item);
        self.insert(key, id, item);
        if let Some(one) = self.boxes.get_mut(&key) {
            one.sum ^= name;
        }
    }

    /// Removes a portion of what has expired.
    pub(crate) fn expire(&mut self, now: Time) {
        for _ in 0..EXPIRE_AT_ONCE {
            let Some((_, key, id)) = self.expiry.first().copied().filter(|(at, ..)| *at <= now) else {
                return;
            };
            let Some((kind, waits)) = self.item(&key, &id).map(|item| (item.kind, item.body.is_some()))
            else {
                self.expiry.pop_first();
                continue;
            };
            self.expired += u64::from(kind == KeptKind::Mail && waits);
            if kind == KeptKind::Record {
                // Nobody could open what waits for it.
                self.clear(&key);
            } else {
                self.drop_item(&key, &id);
            }
        }
    }

    /// The names of what is durable.
    pub(crate) fn names(&self, key: &BoxId) -> Vec<u8> {
        let stored = self.boxes.get(key).into_iter().flat_map(|one| one.items.iter());
        let names = stored.filter(|(_, item)| item.stored).map(|(id, item)| mark(key, id, item));
        names.take(limits::NAMES).flat_map(u64::to_be_bytes).collect()
    }

    /// What is durable and has none of these names.
    pub(crate) fn lacking(&self, key: &BoxId, names: &[u8]) -> Vec<Digest> {
        let names = names.chunks_exact(8).filter_map(|name| Some(u64::from_be_bytes(name.try_into().ok()?)));
        let theirs: BTreeSet<u64> = names.collect();
        let Some(one) = self.boxes.get(key) else { return Vec::new() };
        let stored = one.items.iter().filter(|(_, item)| item.stored);
        let lacking = stored.filter(|(id, item)| !theirs.contains(&mark(key, id, item)));
        // The record first: without it there is no mailbox; and mail in its order.
        let mut lacking: Vec<_> =
            lacking.map(|(id, item)| (core::cmp::Reverse(item.kind), item.at, *id)).collect();
        lacking.sort_unstable();
        lacking.into_iter().map(|(.., id)| id).collect()
    }

    /// Everything but a revocation.
    fn clear(&mut self, key: &BoxId) {
        let Some(one) = self.boxes.get(key) else { return };
        let items = one.items.iter().filter(|(_, item)| item.kind != KeptKind::Revocation);
        for id in items.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.drop_item(key, &id);
        }
    }

    /// Of what is gone no more is remembered than there is room for.
    fn forget(&mut self, key: &BoxId) {
        let Some(one) = self.boxes.get(key) else { return };
        let too_many = |set: &BTreeSet<(u64, Digest)>, most: usize| {
            set.iter().take(set.len().saturating_sub(most)).map(|(_, id)| *id).collect::<Vec<_>>()
        };
        let mut forgotten = too_many(&one.taken, TAKEN);
        forgotten.extend(too_many(&one.used, USED));
        for id in forgotten {
            self.forgotten += 1;
            self.drop_item(key, &id);
        }
    }

    fn drop_item(&mut self, key: &BoxId, id: &Digest) {
        self.remove(key, id);
        self.dirty.remove(&(*key, *id));
        self.drops.push((*key, *id));
    }

    fn insert(&mut self, key: BoxId, id: Digest, item: Item) {
        let one = self.boxes.entry(key).or_default();
        let len = item.body.as_ref().map_or(0, Bytes::len);
        self.bytes += len;
        self.expiry.insert((item.until, key, id));
        match one.set(&item) {
            Some(set) => _ = set.insert((item.at, id)),
            None => _ = one.single.insert(item.kind, id),
        }
        if item.kind == KeptKind::Mail {
            one.last = one.last.max(item.at);
            if item.body.is_some() {
                one.bytes += len;
                let share = one.shares.entry(item.sender).or_default();
                *share = (share.0 + 1, share.1 + len);
            }
        }
        one.items.insert(id, item);
    }

    fn remove(&mut self, key: &BoxId, id: &Digest) {
        let Some(one) = self.boxes.get_mut(key) else { return };
        let Some(item) = one.items.remove(id) else { return };
        let len = item.body.as_ref().map_or(0, Bytes::len);
        self.bytes -= len;
        self.expiry.remove(&(item.until, *key, *id));
        match one.set(&item) {
            Some(set) => _ = set.remove(&(item.at, *id)),
            None => _ = one.single.remove(&item.kind),
        }
        if item.stored {
            one.sum ^= mark(key, id, &item);
        }
        if item.kind == KeptKind::Mail && item.body.is_some() {
            one.bytes -= len;
            if let Some(share) = one.shares.get_mut(&item.sender) {
                *share = (share.0 - 1, share.1 - len);
                if share.0 == 0 {
                    one.shares.remove(&item.sender);
                }
            }
        }
        if one.items.is_empty() {
            self.boxes.remove(key);
        }
    }
}

impl Mailbox {
    /// The one item of a kind of which there is one.
    fn the(&self, kind: KeptKind) -> Option<(Digest, &Item)> {
        let id = self.single.get(&kind)?;
        Some((*id, self.items.get(id)?))
    }

    fn set(&mut self, item: &Item) -> Option<&mut BTreeSet<(u64, Digest)>> {
        match (item.kind, item.body.is_some()) {
            (KeptKind::Mail, true) => Some(&mut self.waiting),
            (KeptKind::Mail, false) => Some(&mut self.taken),
            (KeptKind::Once, true) => Some(&mut self.ready),
            (KeptKind::Once, false) => Some(&mut self.used),
            _ => None,
        }
    }
}

/// The name of an item in its state.
fn mark(key: &BoxId, id: &Digest, item: &Item) -> u64 {
    let first = |bytes: &[u8; 32]| bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let state = item.at.rotate_left(1) ^ u64::from(item.body.is_none());
    mix(mix(first(&id.0) ^ first(&key.peer.0).rotate_left(32)) ^ state)
}

/// Mixes 64 bits so that each depends on all: the finisher of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
