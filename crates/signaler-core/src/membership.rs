//! Who is in the federation, and who lives: SWIM by the crate `foca`, between the signalers that this one admits.
//!
//! Inputs: siblings that were linked or said goodbye, packets of linked siblings, the cards that the driver stored, time.
//! Outputs: [`Told`]: packets for siblings, who came, went and was forgotten, which cards to store. Timer:
//! [`Membership::deadline`].
//!
//! What `foca` believes of whoever talks to it is too much here, so each packet is looked through before it gets any:
//! - A packet speaks for the sibling at the other end of its link and for nobody else.
//! - A member is a [`Card`] that it signed itself, newer than what is known of it, and that it is admitted is asked first:
//!   of others nothing is kept.
//! - While a member is linked, what others say of this life of it has no effect: the link knows better.
//!
//! Invariants: at most [`limits::MEMBERS`] are known, those that are down included; each of them has one card, its newest;
//! one timer for each purpose and member. A member that is down is called for [`Config::forget_ms`], then forgotten.

use core::fmt;
use core::num::{NonZeroU8, NonZeroUsize};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use foca::{AccumulatingRuntime, Foca, NoCustomBroadcast, OwnedNotification, PeriodicParams, Timer};
use rand_chacha::ChaCha20Rng;
use weft_crypto::SignalerKey;
use weft_crypto::statement::{open_card, peek_card};
use weft_wire::cbor::{Decode as _, Decoder};
use weft_wire::gossip::{GossipHead, Said, Standing, Update};
use weft_wire::{Card, Code, FEDERATION_VERSION, SignalerId, Text, Time, limits};

use crate::config::Config;
use crate::packets::{Member, Packets};

/// What the rest of the signaler is to do.
#[derive(Debug)]
pub(crate) enum Told {
    /// Send a packet to a sibling, if it is linked.
    Packet {
        /// The sibling.
        to: SignalerId,
        /// For [`weft_wire::sibling::Sibling::Gossip`].
        packet: Bytes,
    },
    /// This is where a member can be called.
    Call {
        /// Who.
        id: SignalerId,
        /// Where.
        url: Option<String>,
    },
    /// A member came.
    Up(SignalerId),
    /// A member is down.
    Down(SignalerId),
    /// A member has been down for long enough.
    Forgotten(SignalerId),
    /// A card is to be stored; none: no longer.
    Keep(SignalerId, Option<Bytes>),
}

/// A member, ours not among them.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) card: Card,
    bytes: Arc<[u8]>,
    /// When it is forgotten, if it is down.
    pub(crate) until: Option<Time>,
}

/// What a timer is for. The order is that in which those of the same moment run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Indirect,
    Probe,
    Suspect(SignalerId),
    Announce,
    Gossip,
    Remove(SignalerId),
    Forget(SignalerId),
    Renew,
    Keep,
    Revive,
}

pub(crate) struct Membership {
    swim: Foca<Member, Packets, ChaCha20Rng, NoCustomBroadcast>,
    doings: AccumulatingRuntime<Member>,
    /// `foca`'s, and without one our own.
    timers: BTreeMap<Slot, (Time, Option<Timer<Member>>)>,
    known: BTreeMap<SignalerId, Known>,
    key: SignalerKey,
    card: Card,
    /// Greatest `since` of ours that somebody knows.
    lived: u64,
    /// No new life before this.
    renew_at: Time,
    forget: Duration,
    /// Between two announces to those that are down.
    revive: Duration,
    /// Whose cards are to be stored.
    unkept: BTreeSet<SignalerId>,
    /// Changes of the list of those that live, or where.
    version: u64,
    told: VecDeque<Told>,
}

/// Least time between two lives of ours: who goes on declaring us dead gets one new card for it, not one for each time.
const RENEWAL: Duration = Duration::from_secs(5);
/// Changes of cards are gathered for so long before they are stored.
const KEEPING: Duration = Duration::from_secs(1);
/// Members asked to ping for us, and told news at once: SWIM's k (section 3.1), with `memberlist`'s value.
const HELPERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// How often each piece of news is passed on: `foca`'s for small networks; 3 log2 of 256 members is 24, but the periodic
/// announces fill what is missed.
const TRANSMISSIONS: NonZeroU8 = NonZeroU8::new(10).unwrap();

impl Membership {
    /// `stored` are the cards that were to be kept before, ours among them.
    pub(crate) fn new(config: &Config, key: &SignalerKey, rng: ChaCha20Rng, now: Time) -> Self {
        let us = key.id();
        let cards: Vec<(Card, &Vec<u8>)> =
            config.cards.iter().filter_map(|bytes| Some((open_card(bytes).ok()?, bytes))).collect();
        let lived = cards.iter().filter(|(card, _)| card.signaler == us).map(|(card, _)| card.since).max();
        let lived = lived.unwrap_or(0);
        let card = Card {
            signaler: us,
            since: now.millis().max(lived.saturating_add(1)),
            url: config.public_url.as_deref().and_then(Text::new),
            version: FEDERATION_VERSION,
        };
        let swim = Foca::new(Member::of(key, &card), swim(config), rng, Packets);
        let mut membership = Self {
            swim,
            doings: AccumulatingRuntime::new(),
            timers: BTreeMap::new(),
            known: BTreeMap::new(),
            key: key.clone(),
            lived: card.since,
            card,
            renew_at: now,
            forget: Duration::from_millis(config.forget_ms),
            revive: Duration::from_millis(config.probe_ms.saturating_mul(5).max(1)),
            unkept: BTreeSet::from([us]),
            version: 0,
            told: VecDeque::new(),
        };
        membership.timers.insert(Slot::Keep, (now + KEEPING, None));
        let until = now + membership.forget;
        for (card, bytes) in cards.into_iter().filter(|(card, _)| card.signaler != us).take(limits::MEMBERS) {
            let id = card.signaler;
            membership.told.push_back(Told::Call { id, url: url_of(&card) });
            membership.timers.insert(Slot::Forget(id), (until, None));
            let bytes = bytes.as_slice().into();
            membership.known.insert(id, Known { card, bytes, until: Some(until) });
        }
        membership
    }

    /// Our own card, signed.
    pub(crate) fn card(&self) -> &[u8] {
        self.swim.identity().card()
    }

    /// The members that live, without us, by id.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Known> {
        self.known.values().filter(|known| known.until.is_none())
    }

    /// Every member that is known, without us, by id.
    pub(crate) fn known(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    /// The signed cards of those that live, ours first.
    pub(crate) fn cards(&self) -> impl Iterator<Item = &[u8]> {
        core::iter::once(self.card()).chain(self.active().map(|known| &*known.bytes))
    }

    /// Grows whenever somebody comes or goes or moves.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn poll(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// When [`Membership::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.timers.values().map(|(at, _)| *at).min()
    }

    /// An admitted sibling showed its card on its link.
    ///
    /// # Errors
    /// What is wrong with it; nothing changed.
    pub(crate) fn check(&self, from: SignalerId, bytes: &[u8]) -> Result<(), Code> {
        self.genuine(from, bytes).map(|_| ())
    }

    /// A sibling whose card was [checked](Self::check) is linked.
    pub(crate) fn on_linked(&mut self, now: Time, bytes: &[u8]) {
        let Ok(card) = peek_card(bytes) else { return };
        if !self.has_room(&card.signaler) {
            return;
        }
        let member = Member::new(&card, bytes);
        let alive = core::iter::once(foca::Member::alive(member.clone()));
        let _ = self.swim.apply_many(alive, true, &mut self.doings);
        let _ = self.swim.announce(member, &mut self.doings);
        self.settle(now);
    }

    /// A linked sibling says that it stops.
    pub(crate) fn on_goodbye(&mut self, now: Time, id: SignalerId) {
        let Some(known) = self.known.get(&id) else { return };
        let down = core::iter::once(foca::Member::down(Member::new(&known.card, &known.bytes)));
        let _ = self.swim.apply_many(down, true, &mut self.doings);
        self.settle(now);
    }

    /// A packet from the linked sibling `from`. `admits` and `linked` say of whom we hear and with whom we have a link.
    ///
    /// # Errors
    /// Why it is not honest; nothing changed.
    pub(crate) fn on_packet(
        &mut self,
        now: Time,
        from: SignalerId,
        packet: &[u8],
        admits: impl Fn(&SignalerId) -> bool,
        linked: impl Fn(&SignalerId) -> bool,
    ) -> Result<(), Code> {
        let (said, packet) = self.looked_through(from, packet, admits, linked)?;
        // Two that have declared each other dead would else go on telling each other so until both have new lives.
        let is_known = matches!(said, Said::YouAreDown) && self.timers.contains_key(&Slot::Renew);
        if self.has_room(&from) && !is_known {
            self.swim.handle_data(&packet, &mut self.doings).map_err(|_| Code::BadFrame)?;
        }
        if self.lived > self.card.since {
            self.renew(now);
        }
        self.settle(now);
        Ok(())
    }

    pub(crate) fn on_time(&mut self, now: Time) {
        let mut due: Vec<(Time, Slot)> = self
            .timers
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(slot, (at, _))| (*at, *slot))
            .collect();
        due.sort_unstable();
        for (_, slot) in due {
            let Some((_, timer)) = self.timers.remove(&slot) else { continue };
            match (slot, timer) {
                (_, Some(timer)) => {
                    // It says that a probe was late, at most.
                    let _ = self.swim.handle_timer(timer, &mut self.doings);
                }
                (Slot::Forget(id), None) => self.on_forget(now, id),
                (Slot::Keep, None) => self.on_keep(),
                (Slot::Renew, None) => self.renew(now),
                (Slot::Revive, None) => self.revive(now),
                (_, None) => {}
            }
            self.settle(now);
        }
    }

    /// A card of `signer`, genuine.
    fn genuine(&self, signer: SignalerId, bytes: &[u8]) -> Result<Card, Code> {
        let card = peek_card(bytes).map_err(|_| Code::BadFrame)?;
        if card.signaler != signer {
            return Err(Code::WrongParty);
        }
        if self.known.get(&signer).is_some_and(|known| *known.bytes == *bytes) {
            return Ok(card);
        }
        open_card(bytes).map_err(|_| Code::BadSignature)
    }

    /// What is said, and the packet without what must have no effect.
    fn looked_through(
        &mut self,
        from: SignalerId,
        packet: &[u8],
        admits: impl Fn(&SignalerId) -> bool,
        linked: impl Fn(&SignalerId) -> bool,
    ) -> Result<(Said, Vec<u8>), Code> {
        if packet.len() > limits::GOSSIP {
            return Err(Code::TooLarge);
        }
        let mut decoder = Decoder::new(packet);
        let head = GossipHead::decode(&mut decoder, &mut ()).map_err(|_| Code::BadFrame)?;
        self.genuine(from, &head.from.0)?;
        let said = head.said;
        let (head, rest) = packet.split_at(decoder.position());
        let mut kept = head.to_vec();
        let Some((count, updates)) = rest.split_first_chunk() else {
            return if rest.is_empty() { Ok((said, kept)) } else { Err(Code::BadFrame) };
        };
        let count = usize::from(u16::from_be_bytes(*count));
        if count > limits::MEMBERS + 1 {
            return Err(Code::TooLarge);
        }
        let place = kept.len();
        kept.extend([0, 0]);
        let mut decoder = Decoder::new(updates);
        let mut number = 0_u16;
        let mut new = BTreeSet::new();
        for _ in 0..count {
            let start = decoder.position();
            let update = Update::decode(&mut decoder, &mut ()).map_err(|_| Code::BadFrame)?;
            if self.counts(from, &update, &mut new, &admits, &linked)? {
                kept.extend(updates.get(start..decoder.position()).unwrap_or_default());
                number += 1;
            }
        }
        if decoder.position() < updates.len() {
            return Err(Code::BadFrame);
        }
        if let Some(into) = kept.get_mut(place..place + 2) {
            into.copy_from_slice(&number.to_be_bytes());
        }
        Ok((said, kept))
    }

    /// Whether what `from` says of a member may have an effect.
    fn counts(
        &mut self,
        from: SignalerId,
        update: &Update,
        new: &mut BTreeSet<SignalerId>,
        admits: &impl Fn(&SignalerId) -> bool,
        linked: &impl Fn(&SignalerId) -> bool,
    ) -> Result<bool, Code> {
        let bytes = &update.card.0;
        let card = peek_card(bytes).map_err(|_| Code::BadFrame)?;
        let id = card.signaler;
        if id == self.card.signaler {
            if card.since > self.card.since {
                // From before our clock was set back.
                let card = self.genuine(id, bytes)?;
                self.lived = self.lived.max(card.since);
                return Ok(false);
            }
            return Ok(*bytes == self.card());
        }
        if !admits(&id) {
            return Ok(false);
        }
        match self.known.get(&id) {
            Some(known) if card.since < known.card.since => Ok(false),
            Some(known) if card.since == known.card.since => {
                Ok(*known.bytes == **bytes && (from == id || !linked(&id)))
            }
            Some(_) => self.genuine(id, bytes).map(|_| true),
            // Who is dead need not be made the acquaintance of.
            None if update.standing == Standing::Down => Ok(false),
            None if self.known.len() + new.len() >= limits::MEMBERS && !new.contains(&id) => Ok(false),
            None => {
                self.genuine(id, bytes)?;
                new.insert(id);
                Ok(true)
            }
        }
    }

    fn has_room(&self, id: &SignalerId) -> bool {
        self.known.contains_key(id) || self.known.len() < limits::MEMBERS
    }

    /// Begins a new life, or waits until that is allowed.
    fn renew(&mut self, now: Time) {
        if now < self.renew_at {
            self.timers.insert(Slot::Renew, (self.renew_at, None));
            return;
        }
        self.renew_at = now + RENEWAL;
        self.card.since = now.millis().max(self.lived.saturating_add(1));
        self.lived = self.card.since;
        let member = Member::of(&self.key, &self.card);
        let _ = self.swim.change_identity(member, &mut self.doings);
        // With nothing new, so that it begins to probe again.
        let _ = self.swim.apply_many(core::iter::empty(), false, &mut self.doings);
        self.version += 1;
        self.revive(now);
        self.keep(now, self.card.signaler);
    }

    /// Those that are down and whose link stands (it was cut for less than it takes to be lost) hear of us: the answer says
    /// whether we are dead to them, too. To those without a link nothing is sent.
    fn revive(&mut self, now: Time) {
        let down: Vec<Member> = self
            .known
            .values()
            .filter(|known| known.until.is_some())
            .map(|known| Member::new(&known.card, &known.bytes))
            .collect();
        if !down.is_empty() {
            self.timers.insert(Slot::Revive, (now + self.revive, None));
        }
        for member in down {
            let _ = self.swim.announce(member, &mut self.doings);
        }
    }

    /// Takes what `foca` wants done.
    fn settle(&mut self, now: Time) {
        while self.doings.backlog() > 0 {
            while let Some((to, packet)) = self.doings.to_send() {
                self.told.push_back(Told::Packet { to: to.id(), packet });
            }
            while let Some((after, timer)) = self.doings.to_schedule() {
                self.arm(now + after, timer);
            }
            while let Some(notification) = self.doings.to_notify() {
                self.on_notification(now, &notification);
            }
        }
    }

    fn arm(&mut self, at: Time, timer: Timer<Member>) {
        let slot = match &timer {
            Timer::SendIndirectProbe { .. } => Slot::Indirect,
            Timer::ProbeRandomMember(_) => Slot::Probe,
            Timer::ChangeSuspectToDown { member_id, .. } => Slot::Suspect(member_id.id()),
            Timer::PeriodicAnnounce(_) | Timer::PeriodicAnnounceDown(_) => Slot::Announce,
            Timer::PeriodicGossip(_) => Slot::Gossip,
            Timer::RemoveDown(member) => Slot::Remove(member.id()),
        };
        // The same suspicion again is no reason to wait longer.
        if matches!(slot, Slot::Suspect(_))
            && self.timers.get(&slot).is_some_and(|(_, old)| *old == Some(timer.clone()))
        {
            return;
        }
        self.timers.insert(slot, (at, Some(timer)));
    }

    fn on_notification(&mut self, now: Time, notification: &OwnedNotification<Member>) {
        match notification {
            OwnedNotification::MemberUp(member) => {
                self.on_up(now, member);
                self.told.push_back(Told::Up(member.id()));
            }
            OwnedNotification::Rename(_, member) => {
                if self.known.get(&member.id()).is_some_and(|known| known.until.is_none()) {
                    self.on_up(now, member);
                }
            }
            OwnedNotification::MemberDown(member) => {
                let (id, until) = (member.id(), now + self.forget);
                if let Some(known) = self.known.get_mut(&id) {
                    known.until = Some(until);
                    self.timers.insert(Slot::Forget(id), (until, None));
                    self.timers.entry(Slot::Revive).or_insert((now + self.revive, None));
                    self.version += 1;
                    self.told.push_back(Told::Down(id));
                }
            }
            OwnedNotification::Defunct => self.renew(now),
            OwnedNotification::Active | OwnedNotification::Idle | OwnedNotification::Rejoin(_) => {}
        }
    }

    fn on_up(&mut self, now: Time, member: &Member) {
        let (id, bytes) = (member.id(), member.card());
        let Ok(card) = peek_card(bytes) else { return };
        self.timers.remove(&Slot::Forget(id));
        self.version += 1;
        self.told.push_back(Told::Call { id, url: url_of(&card) });
        self.known.insert(id, Known { card, bytes: bytes.into(), until: None });
        self.keep(now, id);
    }

    fn on_forget(&mut self, now: Time, id: SignalerId) {
        if self.known.remove(&id).is_some() {
            self.told.push_back(Told::Forgotten(id));
            self.keep(now, id);
        }
    }

    fn keep(&mut self, now: Time, id: SignalerId) {
        self.unkept.insert(id);
        self.timers.entry(Slot::Keep).or_insert((now + KEEPING, None));
    }

    /// Says whose cards are to be stored.
    pub(crate) fn on_keep(&mut self) {
        while let Some(id) = self.unkept.pop_first() {
            let known = self.known.get(&id).map(|known| Bytes::copy_from_slice(&known.bytes));
            let card =
                if id == self.card.signaler { Some(Bytes::copy_from_slice(self.card())) } else { known };
            self.told.push_back(Told::Keep(id, card));
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("card", &self.card)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

fn url_of(card: &Card) -> Option<String> {
    card.url.as_deref().map(str::to_owned)
}

/// `foca`'s configuration.
fn swim(config: &Config) -> foca::Config {
    let millis = Duration::from_millis;
    let every = |frequency, num_members| Some(PeriodicParams { frequency, num_members });
    foca::Config {
        probe_period: millis(config.probe_ms.max(2)),
        probe_rtt: millis((config.probe_ms / 2).max(1)),
        num_indirect_probes: HELPERS,
        max_transmissions: TRANSMISSIONS,
        suspect_to_down_after: millis(config.suspect_ms.max(1)),
        remove_down_after: Some(millis(config.forget_ms)),
        max_packet_size: NonZeroUsize::new(limits::GOSSIP).unwrap_or(NonZeroUsize::MIN),
        notify_down_members: true,
        periodic_announce: every(millis(config.probe_ms.saturating_mul(30).max(1)), NonZeroUsize::MIN),
        // `membership` does it: also where nobody else lives.
        periodic_announce_to_down_members: None,
        periodic_gossip: every(millis((config.probe_ms / 2).max(1)), HELPERS),
    }
}
