//! Our own mailbox: what others find of us at the residence of our identity, and collecting what they left there.
//!
//! A peer that stores its state publishes its record, without its name, a fallback and [`ONCE`] prekeys for one session each when a
//! home is there, looks after them every [`Config::mail_renew`](crate::Config::mail_renew), and collects when a home is there and
//! when it hears that mail waits. One that stores nothing would lose the key of what waits for it: it has no mailbox.
//!
//! While it is not known what waits, what comes live is not told of yet ([`crate::order`]): from the start, and from each word that
//! something may wait, until all of it was shown, or for [`Config::mail_hold`](crate::Config::mail_hold) in which nothing was. Whoever
//! showed nothing in that time holds nothing up again before it has shown all.
//!
//! Inputs: homes that came up, [`HomeEvent::MailWaits`](crate::homes::HomeEvent), answers, what has become durable.
//! Outputs: questions for [`crate::homes`], pages of mail. Timers: when to publish or collect next, how long what comes live is held.
//! Invariants: one question of each kind is open; of what was collected only what is durable is named as taken; after
//! [`Config::mail_tries`](crate::Config::mail_tries) failures in a row nothing is tried before the next renewal or home; a
//! residence that shows what was taken again and again is left alone for a while; the ids of the last [`COLLECTED`] envelopes
//! are known.

use std::time::Duration;

use weft_crypto::challenge::{Collection, prove_collection, sign_taken};
use weft_crypto::correspondence::ONCE;
use weft_wire::signaler::ToSignaler;
use weft_wire::{Bytes, Code, Digest, List, Nonce, SignalerId, Time};

use crate::env::Env;
use crate::homes::{Answer, Homes};
use crate::recent::Recent;
use crate::sessions::{Held, Sessions};

/// Envelopes that are known when they come again: twice as many as wait for a peer.
const COLLECTED: usize = 2048;
/// Pages of one collection: what waits is in fewer, and each costs signatures.
const PAGES: u32 = 256;
/// Pages in a row with nothing new, after which something is wrong there.
const STALE: u32 = 3;
/// With fewer prekeys for one session each at the residence more are made.
const FEW: usize = ONCE / 2;
/// After the second collection in a row that found nothing: one that was asked for during the one before it is nobody's fault.
const REST: Duration = Duration::from_secs(1);
/// What comes live is held for so many times [`Config::mail_hold`](crate::Config::mail_hold) at most, however much is shown meanwhile.
const HOLDS: u32 = 12;
/// After something was collected the prekeys are looked after, unless they were so lately.
const SINCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    publish_at: Option<Time>,
    published_at: Option<Time>,
    publishing: Option<u32>,
    /// What is being published are prekeys that the residence said it lacked.
    replenished: bool,
    unpublished: u32,
    collect_at: Option<Time>,
    collecting: Collecting,
    uncollected: u32,
    /// Mail came since we asked for it.
    again: bool,
    /// There was none although a signaler had said so, twice: not before then again.
    rests: Time,
    /// Collections in a row that found nothing.
    vain: u32,
    pages: u32,
    stale: u32,
    collected: Recent<Digest>,
    hold: Option<Hold>,
    /// Nothing was shown while what came live was held.
    doubted: bool,
    /// Some home has answered: it knows of mail.
    answers: bool,
    told: bool,
}

/// What comes live is told after what waits.
#[derive(Clone, Copy, Debug)]
struct Hold {
    since: Time,
    until: Time,
}

#[derive(Debug, Default)]
enum Collecting {
    #[default]
    No,
    Asked(u32),
    /// The proof, or what was taken, is with the residence.
    Shown(u32, Collection),
    /// A page is being stored.
    Storing(Collection),
}

impl Mailbox {
    /// We have a mailbox, and it is not known what waits there.
    pub(crate) fn on_start(&mut self, now: Time, env: &Env) {
        self.hold(now, env);
    }

    /// A home is there.
    pub(crate) fn on_up(&mut self, now: Time, env: &Env) {
        (self.publish_at, self.collect_at) = (Some(now), Some(now));
        (self.unpublished, self.uncollected) = (0, 0);
        self.hold(now, env);
    }

    /// A signaler says that mail waits.
    pub(crate) fn on_waits(&mut self, now: Time, env: &Env) {
        self.answers = true;
        match self.collecting {
            // Others have waited for longer than this is new.
            Collecting::No if self.uncollected == 0 => {
                self.collect_at = Some(now.max(self.rests));
                self.hold(now, env);
            }
            Collecting::No => {}
            _ => self.again = true,
        }
    }

    /// A question was answered, ours or another about mail.
    pub(crate) fn on_heard(&mut self, answer: &Answer) {
        self.answers |= !matches!(answer, Answer::Nothing);
    }

    /// There is a home that knows of mail.
    pub(crate) fn answers(&self) -> bool {
        self.answers
    }

    // ---- what comes live meanwhile ----

    fn hold(&mut self, now: Time, env: &Env) {
        if !self.doubted && self.hold.is_none() {
            self.hold = Some(Hold { since: now, until: now + env.config.mail_hold });
        }
    }

    /// What comes live is not told of yet.
    pub(crate) fn holds(&self, now: Time) -> bool {
        self.hold.is_some_and(|hold| now < hold.until)
    }

    /// Something was shown that is new: the rest may be, too.
    fn hold_on(&mut self, now: Time, env: &Env) {
        let each = env.config.mail_hold;
        if let Some(hold) = &mut self.hold {
            hold.until = (now + each).min(hold.since + each.saturating_mul(HOLDS));
        }
    }

    /// All that waited was shown.
    fn on_all_shown(&mut self) {
        (self.collecting, self.uncollected) = (Collecting::No, 0);
        self.doubted = false;
        if !self.again {
            self.hold = None;
        }
    }

    /// Ends what has been held for long enough.
    pub(crate) fn on_time(&mut self, now: Time) {
        if self.hold.take_if(|hold| hold.until <= now).is_some() {
            self.doubted = self.uncollected > 0 || !matches!(self.collecting, Collecting::No);
        }
    }

    // ---- what others find ----

    /// Asks what is due of our homes.
    pub(crate) fn ask(&mut self, now: Time, homes: &mut Homes, sessions: &mut Sessions, env: &mut Env) {
        if self.publish_at.is_some_and(|at| at <= now) && self.publishing.is_none() {
            let fallback = sessions.fallback(now, env);
            // A fallback that was made just now is durable before it leaves; one of before costs no write.
            sessions.hold(Held::Publish(fallback.into_iter().collect()));
            self.publish_at = None;
        }
        let may = env.config.collect;
        if may && self.collect_at.is_some_and(|at| at <= now) && matches!(self.collecting, Collecting::No) {
            let (identity, peer) = (env.identity, env.me);
            let frame = |re| ToSignaler::Collect { re, identity, peer };
            if let Some(re) = homes.ask(now, self.uncollected, frame, env) {
                (self.collecting, self.collect_at) = (Collecting::Asked(re), None);
                (self.pages, self.stale, self.again) = (0, 0, false);
            } else {
                // The next home asks.
                self.collect_at = None;
            }
        }
    }

    /// Prekeys are durable and may be given to the residence, with our record.
    pub(crate) fn publish(&mut self, now: Time, prekeys: Vec<Vec<u8>>, homes: &mut Homes, env: &mut Env) {
        let (record, renew) = env.residence_record(now);
        self.replenished = prekeys.len() > 1;
        let frame = |re| ToSignaler::Publish {
            re,
            record: Bytes(record),
            prekeys: List::first(prekeys.into_iter().map(Bytes)),
        };
        self.publishing = homes.ask(now, self.unpublished, frame, env);
        // Where there is no home, the next one brings it about.
        self.publish_at = self.publishing.map(|_| renew.min(now + env.config.mail_renew));
    }

    fn on_published(&mut self, now: Time, answer: &Answer, sessions: &mut Sessions, env: &mut Env) {
        self.publishing = None;
        match answer {
            Answer::Published(left) => {
                (self.unpublished, self.published_at) = (0, Some(now));
                let left = usize::try_from(*left).unwrap_or(usize::MAX);
                // Once for each time that we ask: whoever says that it has none all the same gets no more.
                if left < FEW && !std::mem::take(&mut self.replenished) {
                    let prekeys = sessions.replenish(now, left, env);
                    sessions.hold(Held::Publish(prekeys));
                }
            }
            Answer::Refused(code @ (Code::TooManyPeers | Code::Revoked)) => {
                if !std::mem::replace(&mut self.told, true) {
                    let text = match code {
                        // It shows nothing for it: only what our identity has signed ends us.
                        Code::Revoked => {
                            "a signaler says that this peer was revoked, and keeps nothing for it any more"
                        }
                        _ => {
                            "so many peers of this identity have mailboxes that this one gets none: mail for it does not wait"
                        }
                    };
                    env.warn(code.name(), text);
                }
            }
            _ => {
                self.unpublished += 1;
                if self.unpublished < env.config.mail_tries {
                    self.publish_at = Some(now + env.mail_backoff(self.unpublished - 1));
                }
            }
        }
    }

    // ---- collecting ----

    /// An envelope has been collected before; if not, it has now.
    pub(crate) fn is_known(&mut self, now: Time, id: Digest, sessions: &mut Sessions) -> bool {
        if !self.collected.insert(id, usize::MAX) {
            return true;
        }
        sessions.put_collected(&id, Some(now));
        while let Some(oldest) = self.collected.forget_over(COLLECTED) {
            sessions.put_collected(&oldest, None);
        }
        false
    }

    /// An envelope was collected in an earlier run.
    pub(crate) fn restore(&mut self, id: Digest) {
        self.collected.insert(id, COLLECTED);
    }

    /// All of a page is kept; `new`: something of it had not come before. What is durable may then be deleted.
    pub(crate) fn on_kept(
        &mut self,
        now: Time,
        (ids, new): (Vec<Digest>, bool),
        sessions: &mut Sessions,
        env: &Env,
    ) {
        self.stale = if new { 0 } else { self.stale + 1 };
        if new {
            self.hold_on(now, env);
        }
        if let Collecting::Storing(of) = &self.collecting {
            sessions.hold(Held::Taken { of: *of, ids });
        }
    }

    /// The application takes messages from now on.
    pub(crate) fn on_wanted(&mut self, now: Time, env: &Env) {
        self.collect_at = Some(now);
        self.hold(now, env);
    }

    /// What was collected is durable.
    pub(crate) fn take(
        &mut self,
        now: Time,
        of: &Collection,
        ids: Vec<Digest>,
        homes: &mut Homes,
        env: &mut Env,
    ) {
        if !matches!(&self.collecting, Collecting::Storing(open) if open == of) {
            return;
        }
        if self.pages >= PAGES || self.stale >= STALE {
            return self.on_failed(now, env);
        }
        let signature = sign_taken(&env.keys.peer, of, &ids);
        let Collection { peer, identity, signaler, nonce } = *of;
        let ids = List::first(ids);
        let frame = |re| ToSignaler::Taken { re, identity, peer, signaler, nonce, ids, signature };
        match homes.ask(now, self.uncollected, frame, env) {
            Some(re) => self.collecting = Collecting::Shown(re, *of),
            None => self.on_failed(now, env),
        }
    }

    fn on_proof_wanted(
        &mut self,
        now: Time,
        (signaler, nonce): (SignalerId, Nonce),
        homes: &mut Homes,
        env: &mut Env,
    ) {
        let of = Collection { peer: env.me, identity: env.identity, signaler, nonce };
        let signature = prove_collection(&env.keys.peer, &of);
        let Collection { peer, identity, .. } = of;
        let frame = |re| ToSignaler::Proof { re, identity, peer, signaler, nonce, signature };
        match homes.ask(now, self.uncollected, frame, env) {
            Some(re) => self.collecting = Collecting::Shown(re, of),
            None => self.on_failed(now, env),
        }
    }

    fn on_failed(&mut self, now: Time, env: &mut Env) {
        self.collecting = Collecting::No;
        self.uncollected += 1;
        if self.uncollected < env.config.mail_tries {
            self.collect_at = Some(now + env.mail_backoff(self.uncollected - 1));
        } else {
            (self.hold, self.doubted) = (None, true);
        }
    }

    /// What became of a question: a page of mail, if that is what came.
    pub(crate) fn on_answer(
        &mut self,
        now: Time,
        (re, answer): (u32, Answer),
        (homes, sessions): (&mut Homes, &mut Sessions),
        env: &mut Env,
    ) -> Option<Vec<Vec<u8>>> {
        if self.publishing == Some(re) {
            self.on_published(now, &answer, sessions, env);
            return None;
        }
        match (&self.collecting, answer) {
            (Collecting::Asked(of), Answer::Prove(signaler, nonce)) if *of == re => {
                self.on_proof_wanted(now, (signaler, nonce), homes, env);
            }
            (Collecting::Shown(of, _), Answer::Mail(page)) if *of == re && page.is_empty() => {
                self.on_all_shown();
                self.vain = if self.pages == 0 { self.vain.saturating_add(1) } else { 0 };
                if self.vain > 1 {
                    self.rests = now + REST;
                }
                self.collect_at = self.again.then_some(now.max(self.rests));
                if self.pages > 0 && self.published_at.is_none_or(|at| now.since(at) > SINCE) {
                    self.publish_at = Some(now);
                }
            }
            (Collecting::Shown(of, collection), Answer::Mail(page)) if *of == re => {
                self.collecting = Collecting::Storing(*collection);
                self.pages += 1;
                return Some(page);
            }
            (Collecting::Asked(of), Answer::Refused(Code::NoMailbox | Code::Revoked)) if *of == re => {
                // A mailbox that is not there yet has nothing in it.
                self.on_all_shown();
            }
            (Collecting::Asked(of) | Collecting::Shown(of, _), _) if *of == re => self.on_failed(now, env),
            _ => {}
        }
        None
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let publish = self.publish_at.filter(|_| self.publishing.is_none());
        let collect =
            self.collect_at.filter(|_| env.config.collect && matches!(self.collecting, Collecting::No));
        let hold = self.hold.map(|hold| hold.until);
        [publish, collect, hold].into_iter().flatten().min()
    }
}
