//! Signalers that signalers told of: which of them are believed, kept, stored, and called next.
//!
//! What the application configured is what it trusts; what is here only stands in for it. A peer that keeps two homes and
//! was given one address finds the other here, and so does one whose signalers are gone, also after a restart.
//!
//! Inputs: the lists of homes ([`FromSignaler::Signalers`](weft_wire::signaler::FromSignaler)), what was stored, how calls
//! ended. Outputs: whom to call next; [`StoreWork`]. Timers: the back-off of all calls together, and the next write.
//! Invariants:
//! - At most [`TELLERS`] signalers are listened to, and of each at most [`EACH`] others are kept: nobody's list takes the
//!   place of another's. Configured ones are the last that are not listened to any more.
//! - One is kept for as long as the newest list of somebody names it, and [`LAPSE`] longer: who has just started names few.
//!   Its newest card counts.
//! - What is kept was signed by whom it is about, within the last week's lists, and told by who may ([`crate::place`]).
//! - After a call that came to nothing, the next one, to whomever it is, waits for a back-off: lists that change do not make
//!   a peer call more often.
//!
//! What is stored has the key teller (32) | signaler (32), and the value time of the list, ms (8) | configured (1) | length
//! (2) | the configured URL by which the teller was come to | card. Where that URL is not configured any more, it counts
//! for nothing.

use std::time::Duration;

use weft_crypto::{StoreKey, statement};
use weft_wire::{Card, DiscoveryKey, SignalerId, Time};

use crate::api::Output;
use crate::env::Env;
use crate::place;
use crate::sorted::Map;
use crate::storage::{StoreDone, StoreRow, StoreWork};

/// In place of a party's: no discovery key, which are hashes.
pub(crate) const STORED: DiscoveryKey = DiscoveryKey(*b"weft/v1/signalers-that-were-told");

/// Signalers that are kept of one list: a peer needs two.
const EACH: usize = 8;
/// Signalers that are listened to.
const TELLERS: usize = 8;
/// Signatures of one list that are checked: of an honest one no more than are kept.
const CHECKS: usize = 2 * EACH;
/// Who is no longer named goes after so long, if there is room for it until then.
const LAPSE: Duration = Duration::from_secs(60);
/// Lists that are older count for nothing.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest wait before the same one is called again: DESIGN's for signalers among each other.
const MOST: Duration = Duration::from_secs(60);
/// A clock may be off by so much.
const SKEW: Duration = Duration::from_secs(24 * 3600);
/// Lists that still hold are stored anew this often.
const RENEW: Duration = Duration::from_secs(12 * 3600);
/// Changes are gathered for so long before they are written.
const GATHER: Duration = Duration::from_secs(1);
/// Rows of other configurations that are left alone in one store.
const OTHERS: usize = 4 * TELLERS * EACH;

#[derive(Debug, Default)]
pub(crate) struct Told {
    tellers: Map<SignalerId, Teller>,
    known: Map<SignalerId, Known>,
    /// Calls that came to nothing, in a row, and before when there is no next one.
    failures: u32,
    not_before: Time,
    /// None: nothing is stored.
    key: Option<StoreKey>,
    /// What is stored of ours: the time of the list and of the card.
    stored: Map<(SignalerId, SignalerId), (Time, u64)>,
    /// To be removed from the store.
    stale: Vec<Vec<u8>>,
    others: usize,
    write_at: Option<Time>,
    work: Option<u64>,
}

/// Who tells, and the configured URL by which we came to it.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    /// The URL that is configured, its own or that of whoever told of it.
    pub(crate) through: String,
    pub(crate) configured: bool,
    /// Of its newest list, or when it was last there.
    pub(crate) at: Time,
    /// In this run.
    pub(crate) heard: bool,
}

#[derive(Debug)]
struct Known {
    card: Card,
    bytes: Vec<u8>,
    /// With since when they do not name it any more.
    tellers: Map<SignalerId, Option<Time>>,
    failures: u32,
    not_before: Time,
    /// At random, so that not all peers call the same ones.
    rank: usize,
}

/// Somebody to call.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: SignalerId,
    pub(crate) url: String,
    /// The configured URL.
    pub(crate) through: String,
    pub(crate) at: Time,
}

impl Told {
    /// Begins to read what is stored, if anything is.
    pub(crate) fn new(env: &mut Env) -> Self {
        let mut told = Self::default();
        if env.config.discover && env.config.store {
            told.key = Some(StoreKey::new(&env.keys.identity));
            env.out.push_back(Output::Store(StoreWork::Load { discovery: STORED, after: None }));
        }
        told
    }

    // ---- lists ----

    /// A signaler that was reached at `url` names all that live. `ours`: who is configured, as far as we have met them;
    /// `up`: our homes.
    pub(crate) fn on_list(
        &mut self,
        (from, url): (SignalerId, &str),
        teller: Teller,
        cards: impl Iterator<Item = Vec<u8>>,
        (ours, up): (&[SignalerId], &[SignalerId]),
        env: &mut Env,
    ) {
        let now = teller.at;
        self.forget_old(now, up);
        if !self.tellers.contains_key(&from) && !self.make_room(&teller, up) {
            return;
        }
        self.tellers.insert(from, teller);
        let mut listed: Map<SignalerId, (Vec<u8>, Card)> = Map::new();
        for bytes in cards {
            let Ok(card) = statement::peek_card(&bytes) else {
                env.stats.malformed += 1;
                continue;
            };
            let may = |url: &str| place::may_tell(url, card.url.as_deref().unwrap_or_default());
            let early = Time::from_millis(card.since) > now + SKEW;
            if card.signaler != from && !ours.contains(&card.signaler) && !early && may(url) {
                listed.insert(card.signaler, (bytes, card));
            }
        }
        // Those that are known go on, with a newer card if there is one; of the others it is chosen at random.
        let mut checks = CHECKS;
        let mut kept = 0;
        for (id, known) in self.known.iter_mut() {
            if let Some(unnamed) = known.tellers.get_mut(&from) {
                let named = listed.contains_key(id);
                kept += usize::from(named);
                *unnamed = if named { None } else { unnamed.or(Some(now)) };
            }
        }
        let mut others = Vec::new();
        for (id, (bytes, card)) in listed {
            let Some(before) = self.known.get_mut(&id) else {
                others.push((id, bytes, card));
                continue;
            };
            if card.since > before.card.since && check(&bytes, &mut checks, env) {
                if card.url != before.card.url {
                    before.failures = 0;
                }
                (before.card, before.bytes) = (card, bytes);
            }
            if kept < EACH && before.tellers.insert(from, None).is_none() {
                kept += 1;
            }
        }
        while kept < EACH && checks > 0 && !others.is_empty() {
            let (id, bytes, card) = others.swap_remove(env.below(others.len()));
            if check(&bytes, &mut checks, env) {
                let (tellers, rank) = (Map::from_iter([(from, None)]), env.below(1 << 16));
                self.known
                    .insert(id, Known { card, bytes, tellers, failures: 0, not_before: Time::ZERO, rank });
                kept += 1;
            }
        }
        // Those that are not named any more have what room is left.
        for known in self.known.values_mut() {
            if known.tellers.get(&from).is_some_and(Option::is_some) {
                kept += 1;
                if kept > EACH {
                    known.tellers.remove(&from);
                }
            }
        }
        self.known.retain(|_, known| !known.tellers.is_empty());
        self.write_by(now + GATHER);
    }

    /// A configured signaler: nobody need tell of it.
    pub(crate) fn on_ours(&mut self, now: Time, id: &SignalerId) {
        if self.known.remove(id).is_some() {
            self.write_by(now + GATHER);
        }
    }

    /// A home is lost that may have told of others: until now they lived.
    pub(crate) fn on_teller_gone(&mut self, now: Time, id: &SignalerId) {
        if let Some(teller) = self.tellers.get_mut(id) {
            teller.at = now;
        }
    }

    fn forget_old(&mut self, now: Time, up: &[SignalerId]) {
        for (id, teller) in self.tellers.iter_mut() {
            if up.contains(id) {
                teller.at = now;
            }
        }
        let old: Vec<_> =
            self.tellers.iter().filter(|(_, teller)| teller.at + LIFE < now).map(|(id, _)| *id).collect();
        for id in old {
            self.forget(&id);
        }
        let holds = |unnamed: &Option<Time>| unnamed.is_none_or(|since| now < since + LAPSE);
        self.known.retain(|_, known| {
            known.tellers.retain(|_, unnamed| holds(unnamed));
            !known.tellers.is_empty()
        });
    }

    /// Whether there is a place for one more who tells, perhaps that of another.
    fn make_room(&mut self, newcomer: &Teller, up: &[SignalerId]) -> bool {
        if self.tellers.len() < TELLERS {
            return true;
        }
        let may_go = self
            .tellers
            .iter()
            .filter(|(id, teller)| !up.contains(id) && teller.configured <= newcomer.configured);
        let Some(id) = may_go.min_by_key(|(_, teller)| (teller.configured, teller.at)).map(|(id, _)| *id)
        else {
            return false;
        };
        self.forget(&id);
        true
    }

    fn forget(&mut self, teller: &SignalerId) {
        self.tellers.remove(teller);
        self.known.retain(|_, known| {
            known.tellers.remove(teller);
            !known.tellers.is_empty()
        });
    }

    // ---- calls ----

    /// Whom to call next but for these, and when.
    pub(crate) fn next(&self, but: &[SignalerId]) -> Option<Candidate> {
        let others = || self.known.iter().filter(|(id, _)| !but.contains(id));
        let soonest = others().map(|(_, known)| known.not_before).min()?.max(self.not_before);
        // Whom a configured one tells of comes before whom only others do.
        let rank = |known: &Known| (known.failures, !self.first_hand(known), known.rank);
        let ready = others().filter(|(_, known)| known.not_before <= soonest);
        let (id, known) = ready.min_by_key(|(_, known)| rank(known))?;
        let by = known.tellers.keys().filter_map(|teller| self.tellers.get(teller));
        let through = by.max_by_key(|teller| teller.configured)?.through.clone();
        Some(Candidate { id: *id, url: known.card.url.as_deref()?.to_owned(), through, at: soonest })
    }

    fn first_hand(&self, known: &Known) -> bool {
        let is_configured = |id| self.tellers.get(id).is_some_and(|teller: &Teller| teller.configured);
        known.tellers.iter().any(|(id, unnamed)| unnamed.is_none() && is_configured(id))
    }

    /// A call came to nothing, or a home that was called so is lost; `stable`: not before it had served for a while. It may
    /// have said when to come back.
    pub(crate) fn on_lost(
        &mut self,
        now: Time,
        id: &SignalerId,
        (stable, back): (bool, Time),
        env: &mut Env,
    ) {
        let reconnect = env.config.reconnect_most;
        let mut next = |failures: &mut u32, most| {
            *failures = if stable { 1 } else { *failures + 1 };
            now + env.backoff(*failures - 1, most)
        };
        self.not_before = next(&mut self.failures, reconnect);
        if let Some(known) = self.known.get_mut(id) {
            known.not_before = next(&mut known.failures, MOST).max(back);
        }
    }

    /// The network is there again.
    pub(crate) fn on_online(&mut self) {
        (self.failures, self.not_before) = (0, Time::ZERO);
        for known in self.known.values_mut() {
            (known.failures, known.not_before) = (0, Time::ZERO);
        }
    }

    // ---- the store ----

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.write_at.filter(|_| self.key.is_some() && self.work.is_none())
    }

    fn write_by(&mut self, at: Time) {
        self.write_at = Some(self.write_at.map_or(at, |before| before.min(at)));
    }

    /// Gives out what is due; with `all`, what there is.
    pub(crate) fn write(&mut self, now: Time, all: bool, up: &[SignalerId], env: &mut Env) {
        let Some(key) = self.key.clone().filter(|_| self.work.is_none()) else { return };
        if self.write_at.is_none_or(|at| !all && at > now) {
            return;
        }
        self.forget_old(now, up);
        let lapses = self.known.values().flat_map(|known| known.tellers.values()).flatten().min();
        let renew = (!self.tellers.is_empty()).then_some(now + RENEW);
        self.write_at = lapses.map(|since| *since + LAPSE).into_iter().chain(renew).min();
        let mut held = Map::new();
        let mut put = Vec::new();
        for (id, known) in self.known.iter() {
            for from in known.tellers.keys() {
                let Some(teller) = self.tellers.get(from) else { continue };
                let (pair, new) = ((*from, *id), (teller.at, known.card.since));
                let old = self.stored.get(&pair).filter(|old| old.1 == new.1 && new.0 < old.0 + RENEW / 2);
                held.insert(pair, *old.unwrap_or(&new));
                if old.is_none() {
                    let row = row_key(&pair);
                    let value = key.seal(&STORED, &row, row_value(teller, &known.bytes));
                    put.push(StoreRow { key: row, value });
                }
            }
        }
        let gone = self.stored.keys().map(row_key).chain(core::mem::take(&mut self.stale));
        let is_held = |key: &Vec<u8>| row_pair(key).is_some_and(|pair| held.contains_key(&pair));
        let remove: Vec<_> = gone.filter(|key| !is_held(key)).collect();
        self.stored = held;
        if !put.is_empty() || !remove.is_empty() {
            let work = env.next_store_work();
            self.work = Some(work);
            env.out.push_back(Output::Store(StoreWork::Write { discovery: STORED, work, put, remove }));
        }
    }

    /// The store has done something.
    pub(crate) fn on_store(&mut self, now: Time, done: StoreDone, env: &mut Env) {
        match done {
            StoreDone::Loaded { rows, more, .. } => {
                // Of a store that fails, what parties keep tells the application.
                let rows = rows.unwrap_or_default();
                let after = rows.last().filter(|_| more).map(|row| row.key.clone());
                for row in rows {
                    self.read(now, &row, env);
                }
                if !self.stale.is_empty() {
                    self.write_by(now + GATHER);
                }
                if after.is_some() {
                    env.out.push_back(Output::Store(StoreWork::Load { discovery: STORED, after }));
                }
            }
            StoreDone::Written { work, outcome, .. } => {
                if self.work != Some(work) {
                    return;
                }
                self.work = None;
                if outcome.is_err() {
                    // With the next list, or in half a day, all of it is written again.
                    self.stored.clear();
                }
            }
        }
    }

    fn read(&mut self, now: Time, row: &StoreRow, env: &mut Env) {
        let found = self.key.as_ref().and_then(|key| key.open(&STORED, &row.key, &row.value));
        let found = found.and_then(|value| Some((row_pair(&row.key)?, row_parts(value)?)));
        let Some(((from, id), (mut teller, bytes, card))) = found.filter(|(pair, (teller, _, card))| {
            card.signaler == pair.1 && card.url.is_some() && teller.at + LIFE >= now
        }) else {
            return self.stale.push(row.key.clone());
        };
        teller.at = teller.at.min(now);
        if !env.config.signalers.contains(&teller.through) {
            // Another page of the same origin, or the same one tomorrow, may be configured so.
            self.others += 1;
            if self.others > OTHERS {
                self.stale.push(row.key.clone());
            }
            return;
        }
        let of_it = self.known.values().filter(|known| known.tellers.contains_key(&from)).count();
        let full = !self.tellers.contains_key(&from) && self.tellers.len() >= TELLERS;
        // Who has told anew since the start is believed rather than what it told before.
        let told_anew = self.tellers.get(&from).is_some_and(|teller| teller.heard);
        if full || of_it >= EACH || told_anew {
            return self.stale.push(row.key.clone());
        }
        self.stored.insert((from, id), (teller.at, card.since));
        self.tellers.insert(from, teller);
        let rank = env.below(1 << 16);
        let new = Known { card, bytes, tellers: Map::new(), failures: 0, not_before: Time::ZERO, rank };
        self.known.entry(id).or_insert(new).tellers.insert(from, None);
    }
}

/// Whether somebody signed a card, as long as there are checks left.
fn check(bytes: &[u8], checks: &mut usize, env: &mut Env) -> bool {
    if *checks == 0 {
        return false;
    }
    *checks -= 1;
    let holds = statement::open_card(bytes).is_ok();
    if !holds {
        env.stats.forged += 1;
    }
    holds
}

fn row_key((from, id): &(SignalerId, SignalerId)) -> Vec<u8> {
    [from.0, id.0].concat()
}

fn row_pair(key: &[u8]) -> Option<(SignalerId, SignalerId)> {
    let (from, id) = key.split_at_checked(32)?;
    Some((SignalerId(from.try_into().ok()?), SignalerId(id.try_into().ok()?)))
}

fn row_value(teller: &Teller, card: &[u8]) -> Vec<u8> {
    let length = u16::try_from(teller.through.len()).unwrap_or_default().to_be_bytes();
    let at = teller.at.millis().to_be_bytes();
    [&at[..], &[u8::from(teller.configured)], &length, teller.through.as_bytes(), card].concat()
}

fn row_parts(value: &[u8]) -> Option<(Teller, Vec<u8>, Card)> {
    let (at, rest) = value.split_first_chunk::<8>()?;
    let ([configured, high, low], rest) = rest.split_first_chunk::<3>()?;
    let (through, card) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    let teller = Teller {
        through: core::str::from_utf8(through).ok()?.to_owned(),
        configured: *configured == 1,
        at: Time::from_millis(u64::from_be_bytes(*at)),
        heard: false,
    };
    Some((teller, card.to_vec(), statement::peek_card(card).ok()?))
}
