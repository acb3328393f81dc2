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
/// Changes are gathered for so long before they are written, but for the first.
const GATHER: Duration = Duration::from_secs(1);
/// Rows of other configurations that are left alone in one store.
const OTHERS: usize = 4 * TELLERS * EACH;

/// Lists, for there are a few dozen of anything, and each kind of map adds a kilobyte to the wasm.
#[derive(Debug, Default)]
pub(crate) struct Told {
    tellers: Vec<Teller>,
    known: Vec<Known>,
    /// Calls that came to nothing, in a row, and before when there is no next one.
    failures: u32,
    not_before: Time,
    /// None: nothing is stored.
    key: Option<StoreKey>,
    /// Keys of what is stored of ours, or cannot be believed.
    stored: Vec<Vec<u8>>,
    others: usize,
    write_at: Option<Time>,
    work: Option<u64>,
}

/// Who tells, and the configured URL by which we came to it.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) id: SignalerId,
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
    tellers: Vec<(SignalerId, Option<Time>)>,
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
        teller: Teller,
        url: &str,
        cards: impl Iterator<Item = Vec<u8>>,
        (ours, up): (&[SignalerId], &[SignalerId]),
        env: &mut Env,
    ) {
        let (now, from) = (teller.at, teller.id);
        self.forget_old(now, up);
        if let Some(known) = self.tellers.iter_mut().find(|known| known.id == from) {
            *known = teller;
        } else if self.make_room(&teller, up) {
            self.tellers.push(teller);
        } else {
            return;
        }
        let mut listed: Vec<(Vec<u8>, Card)> = Vec::new();
        for bytes in cards {
            let Ok(card) = statement::peek_card(&bytes) else {
                env.stats.malformed += 1;
                continue;
            };
            let id = card.signaler;
            let early = Time::from_millis(card.since) > now + SKEW;
            let may = place::may_tell(url, card.url.as_deref().unwrap_or_default());
            let twice = listed.iter().any(|(_, other)| other.signaler == id);
            if id != from && !ours.contains(&id) && !early && may && !twice {
                listed.push((bytes, card));
            }
        }
        let mut kept = 0;
        for known in &mut self.known {
            let id = known.card.signaler;
            if let Some((_, unnamed)) = known.tellers.iter_mut().find(|(teller, _)| *teller == from) {
                let named = listed.iter().any(|(_, card)| card.signaler == id);
                kept += usize::from(named);
                *unnamed = if named { None } else { unnamed.or(Some(now)) };
            }
        }
        // Those that are known go on, with a newer card if there is one; of the others it is chosen at random.
        let mut checks = CHECKS;
        while !listed.is_empty() {
            let (bytes, card) = listed.swap_remove(env.below(listed.len()));
            let Some(before) = self.known.iter_mut().find(|known| known.card.signaler == card.signaler)
            else {
                if kept < EACH && check(&bytes, &mut checks, env) {
                    kept += 1;
                    self.known.push(Known::new(card, bytes, vec![(from, None)], env));
                }
                continue;
            };
            if card.since > before.card.since && check(&bytes, &mut checks, env) {
                if card.url != before.card.url {
                    before.failures = 0;
                }
                (before.card, before.bytes) = (card, bytes);
            }
            if kept < EACH && !before.is_told_by(from) {
                kept += 1;
                before.tellers.push((from, None));
            }
        }
        // Those that are not named any more have what room is left.
        for known in &mut self.known {
            known.tellers.retain(|(teller, unnamed)| {
                let lapses = *teller == from && unnamed.is_some();
                kept += usize::from(lapses);
                !lapses || kept <= EACH
            });
        }
        self.known.retain(|known| !known.tellers.is_empty());
        self.write_soon(now);
    }

    /// A configured signaler: nobody need tell of it.
    pub(crate) fn on_ours(&mut self, now: Time, id: SignalerId) {
        self.known.retain(|known| known.card.signaler != id);
        self.write_soon(now);
    }

    /// A home is lost that may have told of others: until now they lived.
    pub(crate) fn on_teller_gone(&mut self, now: Time, id: SignalerId) {
        if let Some(teller) = self.tellers.iter_mut().find(|teller| teller.id == id) {
            teller.at = now;
        }
    }

    fn forget_old(&mut self, now: Time, up: &[SignalerId]) {
        self.tellers.retain_mut(|teller| {
            if up.contains(&teller.id) {
                teller.at = now;
            }
            teller.at + LIFE >= now
        });
        self.forget(|unnamed| unnamed.is_some_and(|since| now >= since + LAPSE));
    }

    /// Whether there is a place for one more who tells, perhaps that of another.
    fn make_room(&mut self, newcomer: &Teller, up: &[SignalerId]) -> bool {
        if self.tellers.len() < TELLERS {
            return true;
        }
        let may_go = |teller: &Teller| !up.contains(&teller.id) && teller.configured <= newcomer.configured;
        let all = self.tellers.iter().enumerate().filter(|(_, teller)| may_go(teller));
        let Some((at, _)) = all.min_by_key(|(_, teller)| (teller.configured, teller.at)) else {
            return false;
        };
        self.tellers.swap_remove(at);
        self.forget(|_| false);
        true
    }

    /// Forgets who is told of by nobody who is listened to, or only as `lapsed`.
    fn forget(&mut self, lapsed: impl Fn(Option<Time>) -> bool) {
        let tellers = &self.tellers;
        self.known.retain_mut(|known| {
            known
                .tellers
                .retain(|(id, unnamed)| tellers.iter().any(|teller| teller.id == *id) && !lapsed(*unnamed));
            !known.tellers.is_empty()
        });
    }

    // ---- calls ----

    /// Whom to call next but for these, and when.
    pub(crate) fn next(&self, but: &[SignalerId]) -> Option<Candidate> {
        let others = || self.known.iter().filter(|known| !but.contains(&known.card.signaler));
        let at = others().map(|known| known.not_before).min()?.max(self.not_before);
        // Whom a configured one tells of comes before whom only others do.
        let rank = |known: &&Known| (known.failures, !self.first_hand(known), known.rank);
        let known = others().filter(|known| known.not_before <= at).min_by_key(rank)?;
        let by = self.tellers.iter().filter(|teller| known.is_told_by(teller.id));
        let through = by.max_by_key(|teller| teller.configured)?.through.clone();
        Some(Candidate { id: known.card.signaler, url: known.card.url.as_deref()?.to_owned(), through, at })
    }

    fn first_hand(&self, known: &Known) -> bool {
        let names = |teller: &Teller| teller.configured && known.tellers.contains(&(teller.id, None));
        self.tellers.iter().any(names)
    }

    /// A call came to nothing, or a home that was called so is lost; `stable`: not before it had served for a while. It may
    /// have said when to come back.
    pub(crate) fn on_lost(&mut self, now: Time, id: SignalerId, (stable, back): (bool, Time), env: &mut Env) {
        let reconnect = env.config.reconnect_most;
        let mut next = |failures: &mut u32, most| {
            *failures = if stable { 1 } else { *failures + 1 };
            now + env.backoff(*failures - 1, most)
        };
        self.not_before = next(&mut self.failures, reconnect);
        if let Some(known) = self.known.iter_mut().find(|known| known.card.signaler == id) {
            known.not_before = next(&mut known.failures, MOST).max(back);
        }
    }

    /// The network is there again.
    pub(crate) fn on_online(&mut self) {
        (self.failures, self.not_before) = (0, Time::ZERO);
        for known in &mut self.known {
            (known.failures, known.not_before) = (0, Time::ZERO);
        }
    }

    // ---- the store ----

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.write_at.filter(|_| self.key.is_some() && self.work.is_none())
    }

    /// The first list at once: whoever ends soon after it is to know more than it was given, next time.
    fn write_soon(&mut self, now: Time) {
        self.write_by(if self.stored.is_empty() { now } else { now + GATHER });
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
        let lapses =
            self.known.iter().flat_map(|known| &known.tellers).filter_map(|(_, unnamed)| *unnamed).min();
        let renew = (!self.tellers.is_empty()).then_some(now + RENEW);
        self.write_at = lapses.map(|since| since + LAPSE).into_iter().chain(renew).min();
        let mut put: Vec<StoreRow> = Vec::new();
        for known in &self.known {
            for teller in self.tellers.iter().filter(|teller| known.is_told_by(teller.id)) {
                let row = [teller.id.0, known.card.signaler.0].concat();
                let value = key.seal(&STORED, &row, row_value(teller, &known.bytes));
                put.push(StoreRow { key: row, value });
            }
        }
        let mut remove = core::mem::take(&mut self.stored);
        remove.retain(|key| !put.iter().any(|row| row.key == *key));
        self.stored = put.iter().map(|row| row.key.clone()).collect();
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
                if after.is_some() {
                    env.out.push_back(Output::Store(StoreWork::Load { discovery: STORED, after }));
                }
            }
            // One that failed is written again with the next list, or in half a day.
            StoreDone::Written { work, .. } => self.work = self.work.filter(|under_way| *under_way != work),
        }
    }

    fn read(&mut self, now: Time, row: &StoreRow, env: &mut Env) {
        let value = self.key.as_ref().and_then(|key| key.open(&STORED, &row.key, &row.value));
        let found = value.and_then(|value| row_parts(&row.key, value));
        let fresh = found.filter(|(teller, _, _)| teller.at + LIFE >= now);
        if let Some((teller, ..)) = &fresh
            && !env.config.signalers.contains(&teller.through)
            && self.others < OTHERS
        {
            // Another page of the same origin, or the same one tomorrow, may be configured so.
            self.others += 1;
            return;
        }
        self.stored.push(row.key.clone());
        let Some((mut teller, card, bytes)) = fresh else { return self.write_by(now + GATHER) };
        let from = teller.id;
        teller.at = teller.at.min(now);
        let before = self.tellers.iter().find(|known| known.id == from);
        let full = before.is_none() && self.tellers.len() >= TELLERS;
        // Who has told anew since the start is believed rather than what it told before.
        let told_anew = before.is_some_and(|teller| teller.heard);
        let of_it = self.known.iter().filter(|known| known.is_told_by(from)).count();
        if full || told_anew || of_it >= EACH || !env.config.signalers.contains(&teller.through) {
            return self.write_by(now + GATHER);
        }
        if before.is_none() {
            self.tellers.push(teller);
        }
        match self.known.iter_mut().find(|known| known.card.signaler == card.signaler) {
            Some(known) => known.tellers.push((from, None)),
            None => self.known.push(Known::new(card, bytes, vec![(from, None)], env)),
        }
    }
}

impl Known {
    fn new(card: Card, bytes: Vec<u8>, tellers: Vec<(SignalerId, Option<Time>)>, env: &mut Env) -> Self {
        Self { card, bytes, tellers, failures: 0, not_before: Time::ZERO, rank: env.below(1 << 16) }
    }

    fn is_told_by(&self, teller: SignalerId) -> bool {
        self.tellers.iter().any(|(id, _)| *id == teller)
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

fn row_value(teller: &Teller, card: &[u8]) -> Vec<u8> {
    let length = u16::try_from(teller.through.len()).unwrap_or_default().to_be_bytes();
    let at = teller.at.millis().to_be_bytes();
    [&at[..], &[u8::from(teller.configured)], &length, teller.through.as_bytes(), card].concat()
}

fn row_parts(key: &[u8], value: &[u8]) -> Option<(Teller, Card, Vec<u8>)> {
    let (from, id) = key.split_first_chunk::<32>()?;
    let (at, rest) = value.split_first_chunk::<8>()?;
    let ([configured, high, low], rest) = rest.split_first_chunk::<3>()?;
    let (through, bytes) = rest.split_at_checked(u16::from_be_bytes([*high, *low]).into())?;
    let teller = Teller {
        id: SignalerId(*from),
        through: core::str::from_utf8(through).ok()?.to_owned(),
        configured: *configured == 1,
        at: Time::from_millis(u64::from_be_bytes(*at)),
        heard: false,
    };
    let card =
        statement::peek_card(bytes).ok().filter(|card| card.signaler.0 == *id && card.url.is_some())?;
    Some((teller, card, bytes.to_vec()))
}
