//! Mail for peers that are away: what peers ask of the residence of an identity, whoever they ask it of.
//!
//! A home passes what a peer asks to the first of the residence that it reaches, which serves it: so in quiet times one
//! signaler gives the envelopes of a mailbox their order, and hands out each prekey. What it changes it tells the others that
//! keep it (`mailkeeping.rs`), and answers once that is durable at a majority; what it shows it asks of a majority first.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use weft_crypto::challenge::{Collection, check_collection, check_taken};
use weft_crypto::digest;
use weft_crypto::statement::{
    StatementError, open_prekey, open_record, open_revocation, peek_record, peek_revocation,
};
use weft_wire::sibling::{KeptKind, Sibling};
use weft_wire::signaler::{FromSignaler, Recorded, ToSignaler, Waiting};
use weft_wire::{
    Code, Digest, IdentityId, List, Nonce, PeerId, SignalerId, Signature, Tag, Time, decode, limits,
};

use crate::frames;
use crate::io::ConnId;
use crate::mailboxes::{BoxId, Item, Mailboxes, STATEMENT_LIFE};
use crate::mailkeeping::{Keeping, Then};
use crate::pending::{Asker, Wants};
use crate::signaler::Signaler;

/// Everything about mail.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) boxes: Mailboxes,
    pub(crate) keeping: Keeping,
    secret: [u8; 32],
    /// Nonces given so far.
    nonces: u64,
    /// By nonce: whose proof was good, and until when it collects.
    collections: BTreeMap<Nonce, (BoxId, Time)>,
    /// When a rate that is watched is back at rest.
    paces: BTreeMap<Paced, Time>,
    /// Of which mailboxes peers were told last that something waits, and when.
    told: BTreeMap<BoxId, Time>,
}

/// Whose rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Paced {
    Publishes(Tag),
    Asks(Tag),
    IsAsked(IdentityId),
}

/// For how long a proof is good, and a collection open after the last frame of it.
const COLLECTING: Duration = Duration::from_secs(60);
/// Collections that are open at once.
const COLLECTIONS: usize = 10_000;
/// Rates that are watched at once, and mailboxes of which it is remembered that peers were told.
const PACES: usize = 20_000;
/// How often one peer publishes: so many at once, then one in each such time. Each costs up to 65 verifications.
const PUBLISHES: (u32, Duration) = (30, Duration::from_secs(2));
/// Prekeys for one use that one peer gets.
const ASKS: (u32, Duration) = (30, Duration::from_secs(60));
/// Prekeys for one use that are given of one identity.
const IS_ASKED: (u32, Duration) = (60, Duration::from_secs(15));
/// How soon a peer that did not collect is told again.
const TELL_AGAIN: Duration = Duration::from_secs(30);
const DAY_MS: u64 = 86_400_000;

impl Mail {
    /// `seed` as that of the signaler: another stream of the same generator.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let mut rng = ChaCha20Rng::from_seed(seed);
        rng.set_stream(1);
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self {
            boxes: Mailboxes::default(),
            keeping: Keeping::default(),
            secret,
            nonces: 0,
            collections: BTreeMap::new(),
            paces: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    /// Names a peer to others for a day.
    fn tag(&self, now: Time, peer: &PeerId) -> Tag {
        let day = (now.millis() / DAY_MS).to_be_bytes();
        let hash = digest(&[&self.secret[..], b"sender", &day, &peer.0].concat());
        Tag(hash.0.first_chunk().copied().unwrap_or_default())
    }

    /// A nonce for a mailbox: when it was given and its number, and that it was us.
    fn nonce(&mut self, now: Time, key: &BoxId) -> Nonce {
        self.nonces += 1;
        let mut given = [0; 16];
        for (to, from) in
            given.iter_mut().zip(now.millis().to_be_bytes().into_iter().chain(self.nonces.to_be_bytes()))
        {
            *to = from;
        }
        self.vouched(given, key)
    }

    fn vouched(&self, given: [u8; 16], key: &BoxId) -> Nonce {
        let hash = digest(&[&self.secret[..], b"collect", &given, &key.identity.0, &key.peer.0].concat());
        let mut nonce = Nonce(hash.0);
        for (to, from) in nonce.0.iter_mut().zip(given) {
            *to = from;
        }
        nonce
    }

    /// When a nonce of ours was given for a mailbox.
    fn given(&self, nonce: &Nonce, key: &BoxId) -> Option<Time> {
        let ms = u64::from_be_bytes(*nonce.0.first_chunk()?);
        (self.vouched(*nonce.0.first_chunk()?, key) == *nonce).then_some(Time::from_millis(ms))
    }

    fn pace(&mut self, now: Time, of: Paced, (burst, every): (u32, Duration)) -> bool {
        if self.paces.len() >= PACES && !self.paces.contains_key(&of) {
            self.paces.retain(|_, rests| *rests > now);
            if self.paces.len() >= PACES {
                return false;
            }
        }
        let rests = self.paces.get(&of).copied().unwrap_or(now).max(now);
        if rests > now + every * (burst - 1) {
            return false;
        }
        self.paces.insert(of, rests + every);
        true
    }
}

/// What a frame about mail is about: its number, whose residence it is for, and which signaler of that.
fn about(frame: &ToSignaler<'_>) -> Option<(u32, IdentityId, Option<SignalerId>)> {
    Some(match frame {
        ToSignaler::Publish { re, record, .. } => (*re, peek_record(&record.0).ok()?.identity, None),
        ToSignaler::Revoke { re, revocation } => (*re, peek_revocation(&revocation.0).ok()?.identity, None),
        ToSignaler::Peers { re, identity, .. }
        | ToSignaler::Store { re, identity, .. }
        | ToSignaler::Collect { re, identity, .. } => (*re, *identity, None),
        ToSignaler::Proof { re, identity, signaler, .. }
        | ToSignaler::Taken { re, identity, signaler, .. } => (*re, *identity, Some(*signaler)),
        _ => return None,
    })
}

/// Who asks for what.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) asker: Asker,
    pub(crate) sender: Tag,
    /// As the peer sent it.
    pub(crate) frame: Vec<u8>,
}

impl Signaler {
    /// A peer of ours wants something of a residence.
    pub(crate) fn on_mail(&mut self, now: Time, conn: ConnId, peer: PeerId, re: u32, bytes: &[u8]) {
        let asker = Asker { conn, re, wants: Wants::Ack };
        let ask = Ask { asker, sender: self.mail.tag(now, &peer), frame: bytes.to_vec() };
        self.route_mail(now, ask, None);
    }

    /// A sibling passes on what a peer of its own wants.
    pub(crate) fn on_mail_ask(
        &mut self,
        now: Time,
        conn: ConnId,
        re: u32,
        hops: u8,
        sender: Tag,
        frame: &[u8],
    ) {
        let asker = Asker { conn, re, wants: Wants::Outcome };
        self.route_mail(now, Ask { asker, sender, frame: frame.to_vec() }, Some(hops));
    }

    /// Serves it, or passes it to the first of the residence; `hops` if it came from a sibling.
    fn route_mail(&mut self, now: Time, ask: Ask, hops: Option<u8>) {
        let asker = ask.asker;
        let frame = decode::<ToSignaler<'_>>(&ask.frame, limits::FRAME).ok();
        let Some((_, identity, signaler)) = frame.as_ref().and_then(about) else {
            return self.answer(asker, Err(Code::BadFrame));
        };
        let last = hops.is_some_and(|hops| hops > 0);
        let order = self.ring.place(&identity.0).all();
        let keeps = order.contains(&self.us);
        let (to, hops) = match signaler {
            Some(id) if id == self.us || last => (None, 0),
            Some(id) => (Some(id), 1),
            None if !keeps && hops.is_some() => {
                self.counters.misdirected += 1;
                return self.answer(asker, Err(Code::SiblingUnreachable));
            }
            None if last => (None, 0),
            None => match order.into_iter().find(|id| *id == self.us || self.mail_link(id).is_some()) {
                Some(id) if id == self.us => (None, 0),
                Some(id) => (Some(id), u8::from(keeps)),
                None => return self.answer(asker, Err(Code::SiblingUnreachable)),
            },
        };
        let Some(id) = to else { return self.serve_mail(now, ask, false) };
        let Some(link) = self.mail_link(&id) else {
            return self.answer(asker, Err(Code::SiblingUnreachable));
        };
        let until = now + self.config.outcome();
        let Some(re) = self.pending.wait(asker, link, until, self.config.max_pending as usize) else {
            return self.answer(asker, Err(Code::RateLimited));
        };
        self.arm_pending();
        self.counters.passed_on += 1;
        let passed = Sibling::MailAsk { re, hops, sender: ask.sender, frame: &ask.frame };
        self.send(link, frames::carrying(&passed, ask.frame.len()));
    }

    /// A sibling answers what was passed to it.
    pub(crate) fn on_mail_answer(&mut self, conn: ConnId, re: u32, bytes: &[u8]) {
        let Some(asker) = self.pending.on_outcome(conn, re) else { return };
        let answered = match decode::<FromSignaler<'_>>(bytes, limits::FRAME) {
            Ok(
                FromSignaler::Published { re, .. }
                | FromSignaler::Peers { re, .. }
                | FromSignaler::Prove { re, .. }
                | FromSignaler::Mail { re, .. },
            ) => Some(re),
            _ => None,
        };
        match asker.wants {
            Wants::Outcome if answered.is_some() => self.reply_mail(asker, Bytes::copy_from_slice(bytes)),
            Wants::Ack if answered == Some(asker.re) => self.reply_mail(asker, Bytes::copy_from_slice(bytes)),
            _ => self.answer(asker, Err(Code::SiblingUnreachable)),
        }
    }

    /// Does what was asked for; `read`: what those have that keep it, too, is known.
    pub(crate) fn serve_mail(&mut self, now: Time, ask: Ask, read: bool) {
        let asker = ask.asker;
        if let Err(code) = self.try_mail(now, ask, read) {
            self.counters.mail_refused += 1;
            self.answer(asker, Err(code));
        }
    }

    fn try_mail(&mut self, now: Time, mut ask: Ask, read: bool) -> Result<(), Code> {
        // It is needed again only where something is read first: else an envelope is not copied once more.
        let bytes = core::mem::take(&mut ask.frame);
        let (asker, sender) = (ask.asker, ask.sender);
        let again = || Ask { asker, sender, frame: bytes.clone() };
        let frame = decode::<ToSignaler<'_>>(&bytes, limits::FRAME).map_err(|_| Code::BadFrame)?;
        match frame {
            ToSignaler::Publish { re, record, prekeys } => {
                let prekeys: Vec<&[u8]> = prekeys.iter().map(|prekey| &*prekey.0).collect();
                self.publish_mail(now, ask, re, &record.0, &prekeys)
            }
            ToSignaler::Peers { re, identity, once } => {
                if !read {
                    return self.read_mail(now, again(), identity);
                }
                self.mail_peers(now, &ask, re, identity, once)
            }
            ToSignaler::Store { identity, peer, life_ms, envelope, .. } => {
                let key = BoxId { identity, peer };
                if !read && self.mail.boxes.is_open(&key) == Err(Code::NoMailbox) {
                    return self.read_mail(now, again(), identity);
                }
                self.store_mail(now, &ask, key, life_ms, envelope)
            }
            ToSignaler::Collect { re, identity, peer } => {
                let key = BoxId { identity, peer };
                if !read && self.mail.boxes.is_open(&key) == Err(Code::NoMailbox) {
                    return self.read_mail(now, again(), identity);
                }
                self.mail.boxes.is_open(&key)?;
                let nonce = self.mail.nonce(now, &key);
                let prove = FromSignaler::Prove { re, signaler: self.us, nonce };
                self.reply_mail(ask.asker, frames::small(&prove));
                Ok(())
            }
            ToSignaler::Proof { re, identity, peer, signaler, nonce, signature } => {
                let key = BoxId { identity, peer };
                if read {
                    self.show_mail(ask.asker, re, &key);
                    return Ok(());
                }
                self.begin_collection(now, &Collection { peer, identity, signaler, nonce }, &signature)?;
                self.read_mail(now, again(), identity)
            }
            ToSignaler::Taken { re, identity, peer, signaler, nonce, ids, signature } => {
                let key = BoxId { identity, peer };
                if read {
                    self.show_mail(ask.asker, re, &key);
                    return Ok(());
                }
                let collection = Collection { peer, identity, signaler, nonce };
                self.take_mail(now, again(), &collection, &ids, &signature)
            }
            ToSignaler::Revoke { revocation, .. } => {
                let revoked = open_revocation(&revocation.0).map_err(|error| code_of(&error))?;
                let key = BoxId { identity: revoked.identity, peer: revoked.peer };
                let until = Time::from_millis(revoked.until).min(now + STATEMENT_LIFE);
                let body = Some(Bytes::from(revocation.0));
                let id = digest(body.as_deref().unwrap_or_default());
                let item = Item::new(KeptKind::Revocation, revoked.issued, until, body);
                self.mail.boxes.merge(now, key, id, item, &self.config)?;
                let kept: Vec<_> = self.mail.boxes.item(&key, &id).map(|_| (key, id)).into_iter().collect();
                self.replicate_mail(now, ask, key.identity, kept, Then::Ack(None))
            }
            _ => Err(Code::BadFrame),
        }
    }

    fn publish_mail(
        &mut self,
        now: Time,
        ask: Ask,
        re: u32,
        record: &[u8],
        prekeys: &[&[u8]],
    ) -> Result<(), Code> {
        if !self.mail.pace(now, Paced::Publishes(ask.sender), PUBLISHES) {
            return Err(Code::RateLimited);
        }
        let opened = open_record(record).map_err(|error| code_of(&error))?;
        let key = BoxId { identity: opened.identity, peer: opened.peer };
        let cut = |until| Time::from_millis(until).min(now + STATEMENT_LIFE);
        let mut items = Vec::new();
        for bytes in prekeys {
            let prekey = open_prekey(bytes).map_err(|error| code_of(&error))?;
            if prekey.peer != key.peer {
                return Err(Code::WrongParty);
            }
            let kind = if prekey.once { KeptKind::Once } else { KeptKind::Fallback };
            let item = Item::new(kind, prekey.issued, cut(prekey.until), Some(Bytes::copy_from_slice(bytes)));
            items.push((digest(bytes), item));
        }
        let open = self.mail.boxes.is_open(&key);
        if open == Err(Code::Revoked) {
            return Err(Code::Revoked);
        }
        if open.is_err() && self.mail.boxes.open_of(key.identity).len() >= limits::MAILBOXES {
            return Err(Code::TooManyPeers);
        }
        let id = digest(record);
        let item = Item::new(
            KeptKind::Record,
            opened.issued,
            cut(opened.until),
            Some(Bytes::copy_from_slice(record)),
        );
        self.mail.boxes.merge(now, key, id, item, &self.config)?;
        let mut kept = vec![(key, id)];
        for (id, item) in items {
            // One that has expired, or is too many, is left out: the answer says how many there are.
            if self.mail.boxes.merge(now, key, id, item, &self.config).is_ok() {
                kept.push((key, id));
            }
        }
        kept.retain(|(key, id)| self.mail.boxes.item(key, id).is_some());
        self.replicate_mail(now, ask, key.identity, kept, Then::Published(re, key))
    }

    fn mail_peers(
        &mut self,
        now: Time,
        ask: &Ask,
        re: u32,
        identity: IdentityId,
        once: bool,
    ) -> Result<(), Code> {
        let mut used = BTreeMap::new();
        let mut kept = Vec::new();
        for key in self.mail.boxes.open_of(identity) {
            let Some((id, prekey)) = self.mail.boxes.ready(&key).filter(|_| once) else { continue };
            if !self.mail.pace(now, Paced::Asks(ask.sender), ASKS)
                || !self.mail.pace(now, Paced::IsAsked(identity), IS_ASKED)
            {
                self.counters.mail_withheld_prekeys += 1;
                break;
            }
            self.mail.boxes.take(&key, &id);
            used.insert(key, prekey);
            kept.push((key, id));
        }
        if kept.is_empty() {
            self.tell_peers(ask.asker, re, identity, &used);
            return Ok(());
        }
        self.counters.mail_prekeys += kept.len() as u64;
        self.replicate_mail(now, ask.clone(), identity, kept, Then::Peers(re, used))
    }

    pub(crate) fn tell_peers(
        &mut self,
        asker: Asker,
        re: u32,
        identity: IdentityId,
        used: &BTreeMap<BoxId, Bytes>,
    ) {
        let wire = |bytes: &Bytes| weft_wire::Bytes(bytes.to_vec());
        let mut peers = Vec::new();
        for key in self.mail.boxes.open_of(identity) {
            let Some((record, fallback)) = self.mail.boxes.statements(&key) else { continue };
            let prekeys = used.get(&key).into_iter().chain(fallback.as_ref()).map(wire);
            peers.push(Recorded { record: weft_wire::Bytes(record.to_vec()), prekeys: List::first(prekeys) });
        }
        let frame = FromSignaler::Peers { re, peers: List::first(peers) };
        self.reply_mail(asker, frames::small(&frame));
    }

    fn store_mail(
        &mut self,
        now: Time,
        ask: &Ask,
        key: BoxId,
        life_ms: u64,
        envelope: &[u8],
    ) -> Result<(), Code> {
        if envelope.len() > limits::ENVELOPE {
            return Err(Code::TooLarge);
        }
        if envelope.is_empty() {
            return Err(Code::BadFrame);
        }
        if life_ms == 0 {
            return Err(Code::Expired);
        }
        self.mail.boxes.is_open(&key)?;
        let id = digest(envelope);
        let until = now + Duration::from_millis(life_ms.min(self.config.mail_life_ms));
        let mut item = Item::new(KeptKind::Mail, 0, until, Some(Bytes::copy_from_slice(envelope)));
        item.sender = ask.sender;
        if let Some(known) = self.mail.boxes.item(&key, &id) {
            item.at = known.at;
            self.counters.mail_repeated += 1;
        } else {
            self.mail.boxes.room(&key, ask.sender, envelope.len(), &self.config)?;
            item.at = now.millis().max(self.mail.boxes.last(&key).saturating_add(1));
        }
        self.mail.boxes.merge(now, key, id, item, &self.config)?;
        self.replicate_mail(now, ask.clone(), key.identity, vec![(key, id)], Then::Ack(Some((key, id))))
    }

    fn begin_collection(
        &mut self,
        now: Time,
        collection: &Collection,
        signature: &Signature,
    ) -> Result<(), Code> {
        let key = BoxId { identity: collection.identity, peer: collection.peer };
        if self.mail.collections.contains_key(&collection.nonce) {
            return Err(Code::Replayed);
        }
        let given = self.mail.given(&collection.nonce, &key).filter(|_| collection.signaler == self.us);
        if given.ok_or(Code::WrongParty)? + COLLECTING < now {
            return Err(Code::Expired);
        }
        check_collection(collection, signature).map_err(|_| Code::BadSignature)?;
        self.mail.boxes.is_open(&key)?;
        if self.mail.collections.len() >= COLLECTIONS {
            // A nonce older than that is refused as such.
            self.mail.collections.retain(|_, (_, until)| *until > now);
            if self.mail.collections.len() >= COLLECTIONS {
                return Err(Code::RateLimited);
            }
        }
        // For as long as the nonce would be good, and some.
        self.mail.collections.insert(collection.nonce, (key, now + COLLECTING));
        self.counters.mail_collections += 1;
        Ok(())
    }

    fn take_mail(
        &mut self,
        now: Time,
        ask: Ask,
        collection: &Collection,
        ids: &[Digest],
        signature: &Signature,
    ) -> Result<(), Code> {
        let key = BoxId { identity: collection.identity, peer: collection.peer };
        if collection.signaler != self.us {
            return Err(Code::WrongParty);
        }
        let open = self.mail.collections.get_mut(&collection.nonce);
        let (_, until) = open.filter(|(of, until)| *of == key && *until >= now).ok_or(Code::Expired)?;
        check_taken(collection, ids, signature).map_err(|_| Code::BadSignature)?;
        *until = now + COLLECTING;
        let mut kept = BTreeSet::new();
        for id in ids {
            if self.mail.boxes.take(&key, id) {
                self.counters.mail_taken += 1;
            }
            // What was taken before may not be durable yet.
            if self.mail.boxes.item(&key, id).is_some_and(|item| item.kind == KeptKind::Mail) {
                kept.insert((key, *id));
            }
        }
        if kept.is_empty() {
            return self.read_mail(now, ask, key.identity);
        }
        let then = Then::Read(ask.clone());
        self.replicate_mail(now, ask, key.identity, kept.into_iter().collect(), then)
    }

    fn show_mail(&mut self, asker: Asker, re: u32, key: &BoxId) {
        let (page, more) = self.mail.boxes.page(key);
        let size = page.iter().map(|(_, body)| body.len() + 64).sum();
        let wire = |(at, body): (u64, Bytes)| Waiting { at, envelope: weft_wire::Bytes(body.to_vec()) };
        self.counters.mail_shown += page.len() as u64;
        let items = List::first(page.into_iter().map(wire));
        let frame = frames::carrying(&FromSignaler::Mail { re, items, more }, size);
        self.mail.told.remove(key);
        self.reply_mail(asker, frame);
    }

    /// Answers a peer, by way of its home.
    pub(crate) fn reply_mail(&mut self, asker: Asker, frame: Bytes) {
        if self.peers.conn(asker.conn).is_some() {
            self.send(asker.conn, frame);
        } else if self.links.link(asker.conn).is_some() {
            let answer = Sibling::MailAnswer { re: asker.re, frame: &frame };
            self.send(asker.conn, frames::carrying(&answer, frame.len()));
        }
    }

    /// Something is there for a peer: it hears of it, wherever it is connected.
    pub(crate) fn mail_waits(&mut self, now: Time, key: BoxId) {
        if self.mail.told.get(&key).is_some_and(|told| *told + TELL_AGAIN > now) {
            return;
        }
        if self.mail.told.len() >= PACES {
            self.mail.told.retain(|_, told| *told + TELL_AGAIN > now);
            if self.mail.told.len() >= PACES {
                return;
            }
        }
        self.mail.told.insert(key, now);
        if self.tell_mail_waits(&key) {
            return;
        }
        let homes: Vec<SignalerId> = self.table.whereabouts(&key.peer).collect();
        let mut links: BTreeSet<ConnId> = homes.iter().filter_map(|id| self.mail_link(id)).collect();
        links.extend(self.residences.homes(&key.peer));
        let mut hops = 1;
        if links.is_empty() && self.ring.is_whole() {
            links.extend(self.links.up());
        } else if links.is_empty() {
            hops = 0;
            let residence = self.ring.place(&key.peer.0).all();
            links.extend(residence.iter().find_map(|id| self.mail_link(id)));
        }
        for link in links {
            self.pass_mail_waits(link, &key, hops);
        }
    }

    /// A sibling says that mail waits for a peer.
    pub(crate) fn on_mail_waits(&mut self, key: &BoxId, hops: u8) {
        if !self.tell_mail_waits(key) && hops == 0 {
            for link in self.residences.homes(&key.peer).to_vec() {
                self.pass_mail_waits(link, key, 1);
            }
        }
    }

    fn tell_mail_waits(&mut self, key: &BoxId) -> bool {
        let Some(conn) = self.peers.conn_of(&key.peer) else { return false };
        if self.peers.conn(conn).is_some_and(|peer| !peer.is_full()) {
            self.send(conn, frames::small(&FromSignaler::MailWaits { identity: key.identity }));
        }
        true
    }

    fn pass_mail_waits(&mut self, link: ConnId, key: &BoxId, hops: u8) {
        if self.links.link(link).is_some_and(|link| link.card.is_some() && !link.is_full()) {
            let BoxId { identity, peer } = *key;
            self.send(link, frames::small(&Sibling::MailWaits { identity, peer, hops }));
        }
    }

    /// The link to a sibling that may keep mail and reads.
    pub(crate) fn mail_link(&self, id: &SignalerId) -> Option<ConnId> {
        let conn = self.links.to(id)?;
        self.links.link(conn).filter(|link| link.card.is_some() && !link.is_full()).map(|_| conn)
    }
}

const fn code_of(error: &StatementError) -> Code {
    match error {
        StatementError::Signature(_) => Code::BadSignature,
        _ => Code::BadFrame,
    }
}
