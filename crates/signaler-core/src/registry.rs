//! The registry of a federation: who is taken in, who decides that, who is alive.
//!
//! Inputs: statements of clients ([`Registry::submit`]) and of siblings ([`Registry::on_sibling`]), outcomes of probes, what
//! the database held, time. Outputs: records to store, changes of state, statements that siblings have not seen
//! ([`RegistryOutput`]). Timer: one per approved registrant, for when it is offline or lapses. Invariants: everything that is
//! known was signed by those it concerns; from equal statements and equal first sovereigns equal states follow, in whatever
//! order they came ([`history`], [`sovereigns`]); no list is longer than [`RegistryConfig`] says.
//!
//! What a client sends is checked in this order, and the first thing that is wrong is answered: network and signaler, who
//! signs, the signature, its time, whether it can be done in this state, the nonce.

mod config;
mod history;
mod nonces;
mod refusal;
mod shown;
mod sovereigns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_crypto::registry::{check, digest, peek, seal};
use weft_wire::registry::{
    Address, Decision, Heartbeat, Host, NetworkName, RegistrantId, Registration, Sealed, ServiceType,
    Statement,
};
use weft_wire::{Digest, RegistryKey, SignalerId, Signature, Time};

pub use config::RegistryConfig;
pub use refusal::Refusal;
pub use shown::{Health, Shown, ShownAddress, Status, Totals};

use history::{History, State, Verdict};
use nonces::Nonces;
use sovereigns::Sovereigns;

/// Addresses of a registrant that are remembered: those it had last.
const ADDRESSES: usize = 8;

/// What the driver stores, and gives back after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// A first sovereign.
    Sovereign(RegistryKey),
    /// A statement that stays.
    Statement {
        /// Its name.
        digest: Digest,
        /// Whom it is about, unless about sovereigns.
        about: Option<RegistrantId>,
        /// Itself.
        sealed: Sealed,
    },
    /// A heartbeat; the newest of each registrant have to be kept.
    Beat {
        /// Whose.
        id: RegistrantId,
        /// When it says that it was made, milliseconds.
        time: u64,
        /// Itself.
        sealed: Sealed,
    },
    /// A registrant was denied for its silence, after this statement.
    Lapse {
        /// Who.
        id: RegistrantId,
        /// The statement.
        head: Digest,
    },
    /// How a service was found.
    Health {
        /// Whose.
        id: RegistrantId,
        /// Which.
        kind: ServiceType,
        /// Where.
        port: u16,
        /// How.
        health: Health,
    },
}

/// What the driver, or the signaler around the registry, is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryOutput {
    /// Store this.
    Store(Record),
    /// A registrant is new, or in another state, or has another address.
    Changed(RegistrantId),
    /// Siblings have to hear of this.
    News(Sealed),
}

/// What a registrant's key is to the federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The registry says nothing of it.
    Unknown,
    /// A sovereign took it in.
    Admitted,
    /// It waits, was refused, or was thrown out.
    Barred,
}

/// What to probe: declared by a registrant that is taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose.
    pub id: RegistrantId,
    /// Where.
    pub host: Host,
    /// Kinds and ports.
    pub services: Vec<(ServiceType, u16)>,
}

#[derive(Debug, Default)]
struct Registrant {
    history: History,
    state: Option<State>,
    beat: Option<(Heartbeat, Sealed)>,
    /// Where its heartbeats said that it was, the newest last: whose, since when.
    addresses: VecDeque<(RegistryKey, Address, u64)>,
    /// Denied for its silence, after this statement.
    lapsed: Option<Digest>,
    health: BTreeMap<(ServiceType, u16), Health>,
    /// As it was told last: state, registration, address.
    told: Option<(Status, Digest, Option<Address>)>,
    armed: Option<Time>,
}

/// The registry without its sockets and its database.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    us: SignalerId,
    sovereigns: Sovereigns,
    registrants: BTreeMap<RegistrantId, Registrant>,
    nonces: Nonces,
    timers: BTreeSet<(Time, RegistrantId)>,
    out: VecDeque<RegistryOutput>,
}

impl Registry {
    /// An empty registry at the signaler `us`.
    pub fn new(config: RegistryConfig, us: SignalerId) -> Self {
        let mut out = VecDeque::new();
        out.extend(config.sovereigns.iter().map(|key| RegistryOutput::Store(Record::Sovereign(*key))));
        let sovereigns = Sovereigns::new(config.sovereigns.iter().copied(), config.max_sovereigns);
        Self {
            config,
            us,
            sovereigns,
            registrants: BTreeMap::new(),
            nonces: Nonces::default(),
            timers: BTreeSet::new(),
            out,
        }
    }

    /// Takes what the database held, before anything else; heartbeats of one registrant in the order of their times. What
    /// cannot be read is left out, and counted in the answer.
    pub fn restore(&mut self, now: Time, records: impl IntoIterator<Item = Record>) -> usize {
        let mut unread = 0;
        for record in records {
            match record {
                Record::Sovereign(key) => self.sovereigns.add_first(key),
                Record::Statement { sealed, .. } | Record::Beat { sealed, .. } => {
                    let Ok(statement) = peek(&sealed) else {
                        unread += 1;
                        continue;
                    };
                    self.remember_nonce(now, &statement);
                    self.keep(digest(&statement), statement, sealed);
                }
                Record::Lapse { id, head } => self.registrants.entry(id).or_default().lapsed = Some(head),
                Record::Health { id, kind, port, health } => {
                    self.registrants.entry(id).or_default().health.insert((kind, port), health);
                }
            }
        }
        for id in self.registrants.keys().cloned().collect::<Vec<_>>() {
            self.settle(now, &id, false);
        }
        unread
    }

    /// The sovereigns that the configuration names, or named in an earlier run, in order.
    pub fn first_sovereigns(&self) -> impl Iterator<Item = RegistryKey> {
        self.sovereigns.first().iter().copied()
    }

    /// The name of the federation.
    pub fn network(&self) -> &NetworkName {
        &self.config.network
    }

    /// The constants in force.
    pub fn config(&self) -> &RegistryConfig {
        &self.config
    }

    /// Who is sovereign.
    pub fn sovereigns(&self) -> impl Iterator<Item = RegistryKey> {
        self.sovereigns.now().iter().copied()
    }

    /// The time of the newest change of sovereigns, milliseconds; what they sign next has to be later.
    pub fn sovereigns_changed_at(&self) -> u64 {
        self.sovereigns.changed_at()
    }

    /// What a key is to the federation: the one question that whoever admits siblings asks.
    pub fn standing(&self, key: RegistryKey) -> Standing {
        let mut standing = Standing::Unknown;
        for registrant in self.registrants.values() {
            let Some(state) = registrant.state.filter(|_| registrant.key() == Some(key)) else { continue };
            if state.verdict == Verdict::Approved && !registrant.is_lapsed() {
                return Standing::Admitted;
            }
            standing = Standing::Barred;
        }
        standing
    }

    /// Takes what a client says. Returns the state of whom it is about, unless it is about sovereigns.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing has changed.
    pub fn submit(
        &mut self,
        now: Time,
        statement: &Statement,
        signature: Signature,
    ) -> Result<Option<Status>, Refusal> {
        if *statement.network() != self.config.network {
            return Err(Refusal::WrongNetwork);
        }
        if statement.signaler() != self.us {
            return Err(Refusal::WrongSignaler);
        }
        self.judge_signer(statement)?;
        check(statement, &signature).map_err(|_| Refusal::BadSignature)?;
        let (time, fresh) = (Time::from_millis(statement.time()), self.config.freshness());
        if time + fresh < now || now + fresh < time {
            return Err(Refusal::Stale);
        }
        self.judge(now, statement)?;
        self.nonces.forget(now);
        if self.nonces.was_used(statement.signer(), statement.nonce()) {
            return Err(Refusal::Replayed);
        }
        if self.nonces.len() >= self.config.max_nonces as usize {
            return Err(Refusal::Busy);
        }
        self.take(now, statement, signature)
    }

    /// Takes what a sibling passed on. Returns whether it is new; what is not, or cannot be used, changes nothing.
    ///
    /// # Errors
    /// [`Refusal::BadSignature`] if it is no statement, or nobody's: the sibling should have noticed.
    pub fn on_sibling(&mut self, now: Time, sealed: &Sealed) -> Result<bool, Refusal> {
        let statement = peek(sealed).map_err(|_| Refusal::BadSignature)?;
        let ahead = Time::from_millis(statement.time()) > now + self.config.freshness();
        if *statement.network() != self.config.network || ahead {
            return Ok(false);
        }
        let digest = digest(&statement);
        if self.has(&statement, digest) || !self.has_room(&statement) {
            return Ok(false);
        }
        check(&statement, &sealed.signature).map_err(|_| Refusal::BadSignature)?;
        let about = statement.about().cloned();
        self.remember_nonce(now, &statement);
        self.record(&statement, digest, sealed);
        self.keep(digest, statement, sealed.clone());
        self.out.push_back(RegistryOutput::News(sealed.clone()));
        self.settle_about(now, about.as_ref());
        Ok(true)
    }

    /// All statements that siblings should have, by digest; heartbeats are not among them.
    pub fn statements(&self) -> impl Iterator<Item = (Digest, &Sealed)> {
        self.sovereigns.all().chain(self.registrants.values().flat_map(|registrant| registrant.history.all()))
    }

    /// The newest heartbeat of each.
    pub fn beats(&self) -> impl Iterator<Item = &Sealed> {
        self.registrants.values().filter_map(|registrant| registrant.beat.as_ref().map(|(_, sealed)| sealed))
    }

    /// The newest heartbeat of one.
    pub fn beat(&self, id: &RegistrantId) -> Option<&Sealed> {
        self.registrants.get(id)?.beat.as_ref().map(|(_, sealed)| sealed)
    }

    /// What is to be looked at: the services of all who are taken in, whether they speak up or not.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.registrants.iter().filter_map(|(id, registrant)| {
            let state = registrant.state.filter(|state| state.verdict == Verdict::Approved)?;
            let body = registrant.registration(&state).filter(|_| !registrant.is_lapsed())?;
            let services = body.services.iter().map(|service| (service.kind.clone(), service.port)).collect();
            Some(Target { id: id.clone(), host: body.host.clone(), services })
        })
    }

    /// A service was looked at.
    pub fn on_probed(&mut self, now: Time, id: &RegistrantId, kind: &ServiceType, port: u16, healthy: bool) {
        let Some(registrant) = self.registrants.get_mut(id) else { return };
        let declared =
            registrant.state.and_then(|state| registrant.registration(&state)).is_some_and(|body| {
                body.services.iter().any(|service| service.kind == *kind && service.port == port)
            });
        if !declared {
            return;
        }
        let health = Health { healthy, checked_at: now.millis() };
        let before = registrant.health.insert((kind.clone(), port), health);
        let record = Record::Health { id: id.clone(), kind: kind.clone(), port, health };
        self.out.push_back(RegistryOutput::Store(record));
        if before.is_none_or(|before| before.healthy != healthy) {
            self.out.push_back(RegistryOutput::Changed(id.clone()));
        }
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Time) {
        while let Some((_, id)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.timers.pop_first();
            if let Some(registrant) = self.registrants.get_mut(&id) {
                registrant.armed = None;
            }
            self.settle(now, &id, true);
        }
    }

    /// When [`Registry::on_time`] has to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<RegistryOutput> {
        self.out.pop_front()
    }

    /// Whether the one who signs may at all.
    fn judge_signer(&self, statement: &Statement) -> Result<(), Refusal> {
        match statement {
            Statement::Register(_) => Ok(()),
            Statement::Heartbeat(body) => {
                let state = self.registrants.get(&body.id).and_then(|registrant| {
                    registrant.state.and_then(|state| registrant.registration(&state))
                });
                let key = state.ok_or(Refusal::NotFound)?.key;
                if key == body.key { Ok(()) } else { Err(Refusal::WrongKey) }
            }
            _ if self.sovereigns.now().contains(&statement.signer()) => Ok(()),
            _ => Err(Refusal::NotSovereign),
        }
    }

    /// Whether it can be done as things are.
    fn judge(&self, now: Time, statement: &Statement) -> Result<(), Refusal> {
        match statement {
            Statement::Register(body) => self.judge_registration(now, body),
            Statement::Approve(body)
            | Statement::Deny(body)
            | Statement::Reset(body)
            | Statement::Revoke(body) => self.judge_decision(now, statement, body),
            Statement::Heartbeat(body) => match self.status(now, &body.id).ok_or(Refusal::NotFound)? {
                Status::Active | Status::Offline => Ok(()),
                status => Err(Refusal::NotApproved(status)),
            },
            _ if self.sovereigns.len() >= self.config.max_sovereign_changes as usize => {
                Err(Refusal::TooManySovereigns)
            }
            _ => self.sovereigns.judge(statement),
        }
    }

    fn judge_registration(&self, now: Time, body: &Registration) -> Result<(), Refusal> {
        let known = self.registrants.get(&body.id).and_then(|registrant| registrant.state);
        let Some(state) = known else {
            let pending = || {
                let pending = |one: &&Registrant| {
                    one.state.is_some_and(|state| matches!(state.verdict, Verdict::Pending { .. }))
                };
                self.registrants.values().filter(pending).count()
            };
            let full = self.registrants.len() >= self.config.max_registrants as usize
                || pending() >= self.config.max_pending as usize;
            return match body.after {
                _ if full => Err(Refusal::Full),
                Some(_) => Err(Refusal::Superseded),
                None => Ok(()),
            };
        };
        if state.verdict != (Verdict::Pending { reset: true }) {
            return Err(Refusal::AlreadyRegistered(self.status(now, &body.id).unwrap_or(Status::Pending)));
        }
        if body.after == Some(state.head) { self.judge_history(&body.id) } else { Err(Refusal::Superseded) }
    }

    fn judge_decision(&self, now: Time, statement: &Statement, body: &Decision) -> Result<(), Refusal> {
        let registrant = self.registrants.get(&body.id).ok_or(Refusal::NotFound)?;
        let (Some(state), Some(status)) = (registrant.state, self.status(now, &body.id)) else {
            return Err(Refusal::NotFound);
        };
        let possible = match statement {
            Statement::Approve(_) | Statement::Deny(_) => status == Status::Pending,
            Statement::Reset(_) => matches!(status, Status::Denied | Status::Revoked),
            _ => matches!(status, Status::Active | Status::Offline),
        };
        if !possible {
            return Err(Refusal::AlreadyDecided(status));
        }
        if body.after != state.head || registrant.key() != Some(body.key) {
            return Err(Refusal::Superseded);
        }
        self.judge_history(&body.id)
    }

    fn judge_history(&self, id: &RegistrantId) -> Result<(), Refusal> {
        let len = self.registrants.get(id).map_or(0, |registrant| registrant.history.len());
        if len < self.config.max_statements as usize { Ok(()) } else { Err(Refusal::HistoryFull) }
    }

    /// Takes a statement of a client that nothing speaks against; if it does not count after all, nothing has changed.
    fn take(
        &mut self,
        now: Time,
        statement: &Statement,
        signature: Signature,
    ) -> Result<Option<Status>, Refusal> {
        let (digest, sealed) = (digest(statement), seal(statement, signature));
        let about = statement.about().cloned();
        self.keep(digest, statement.clone(), sealed.clone());
        match &about {
            None if !self.sovereigns.counts(statement.time(), digest) => {
                self.sovereigns.remove(statement.time(), digest);
                return Err(Refusal::ClockBehind);
            }
            Some(id) if !matches!(statement, Statement::Heartbeat(_)) => {
                let Some(registrant) = self.registrants.get_mut(id) else { return Err(Refusal::NotFound) };
                if registrant.history.state(&self.sovereigns).map(|state| state.head) != Some(digest) {
                    registrant.history.remove(&digest);
                    if registrant.history.len() == 0 {
                        self.registrants.remove(id);
                    }
                    return Err(Refusal::ClockBehind);
                }
            }
            _ => {}
        }
        self.remember_nonce(now, statement);
        self.record(statement, digest, &sealed);
        self.out.push_back(RegistryOutput::News(sealed));
        self.settle_about(now, about.as_ref());
        Ok(about.and_then(|id| self.status(now, &id)))
    }

    fn record(&mut self, statement: &Statement, digest: Digest, sealed: &Sealed) {
        let sealed = sealed.clone();
        let record = match statement {
            Statement::Heartbeat(body) => Record::Beat { id: body.id.clone(), time: body.time, sealed },
            _ => Record::Statement { digest, about: statement.about().cloned(), sealed },
        };
        self.out.push_back(RegistryOutput::Store(record));
    }

    /// Puts a statement where it belongs; what follows from it is found out afterwards.
    fn keep(&mut self, digest: Digest, statement: Statement, sealed: Sealed) {
        match statement {
            Statement::Heartbeat(body) => {
                let registrant = self.registrants.entry(body.id.clone()).or_default();
                if is_newer(registrant.beat.as_ref(), &body) {
                    if let Some(address) = &body.address {
                        registrant.saw(body.key, address, body.time);
                    }
                    registrant.beat = Some((body, sealed));
                }
            }
            Statement::AddSovereign(_) | Statement::RevokeSovereign(_) | Statement::RotateSovereign(_) => {
                self.sovereigns.insert(digest, statement, sealed);
            }
            Statement::Register(_)
            | Statement::Approve(_)
            | Statement::Deny(_)
            | Statement::Reset(_)
            | Statement::Revoke(_) => {
                let Some(id) = statement.about().cloned() else { return };
                self.registrants.entry(id).or_default().history.insert(digest, statement, sealed);
            }
        }
    }

    fn has(&self, statement: &Statement, digest: Digest) -> bool {
        let registrant = || statement.about().and_then(|id| self.registrants.get(id));
        match statement {
            Statement::Heartbeat(body) => registrant().is_some_and(|one| !is_newer(one.beat.as_ref(), body)),
            _ if statement.about().is_none() => self.sovereigns.has(statement.time(), digest),
            _ => registrant().is_some_and(|one| one.history.has(&digest)),
        }
    }

    /// Whether what a sibling says can be kept.
    fn has_room(&mut self, statement: &Statement) -> bool {
        match statement {
            // Of somebody who is known, and by the right key; the others come again when they are.
            Statement::Heartbeat(body) => {
                self.registrants.get(&body.id).is_some_and(|registrant| registrant.key() == Some(body.key))
            }
            _ => match statement.about() {
                Some(id) => match self.registrants.get(id) {
                    Some(registrant) => registrant.history.len() < self.config.max_statements as usize,
                    None => self.registrants.len() < self.config.max_registrants as usize,
                },
                None => {
                    self.sovereigns.len() < self.config.max_sovereign_changes as usize
                        || self.sovereigns.make_room(&statement.signer())
                }
            },
        }
    }

    fn remember_nonce(&mut self, now: Time, statement: &Statement) {
        let until = Time::from_millis(statement.time()) + self.config.freshness();
        if until >= now && self.nonces.len() < self.config.max_nonces as usize {
            self.nonces.remember(statement.signer(), statement.nonce(), until);
        }
    }

    /// Finds out what follows: for one registrant, or for all if who is sovereign may have changed.
    fn settle_about(&mut self, now: Time, about: Option<&RegistrantId>) {
        if let Some(id) = about {
            return self.settle(now, id, true);
        }
        for id in self.registrants.keys().cloned().collect::<Vec<_>>() {
            self.settle(now, &id, true);
        }
    }

    fn settle(&mut self, now: Time, id: &RegistrantId, tell: bool) {
        let Some(registrant) = self.registrants.get_mut(id) else { return };
        registrant.state = registrant.history.state(&self.sovereigns);
        if let Some(state) = registrant.state
            && let Some(body) = registrant.registration(&state).cloned()
        {
            registrant.health.retain(|(kind, port), _| {
                body.services.iter().any(|service| service.kind == *kind && service.port == *port)
            });
        }
        if let Some(state) = registrant.state.filter(|state| state.verdict == Verdict::Approved)
            && !registrant.is_lapsed()
        {
            let alive = Time::from_millis(registrant.alive_at(&state));
            let lapses = self.config.lapse().map(|lapse| alive + lapse);
            if lapses.is_some_and(|at| at <= now) {
                registrant.lapsed = Some(state.head);
                let record = Record::Lapse { id: id.clone(), head: state.head };
                self.out.push_back(RegistryOutput::Store(record));
            } else {
                let offline = Some(alive + self.config.offline());
                let next = offline.into_iter().chain(lapses).filter(|at| *at > now).min();
                if let Some(next) = next.filter(|next| registrant.armed.is_none_or(|armed| armed > *next)) {
                    if let Some(armed) = registrant.armed.replace(next) {
                        self.timers.remove(&(armed, id.clone()));
                    }
                    self.timers.insert((next, id.clone()));
                }
            }
        }
        let Some(registrant) = self.registrants.get_mut(id) else { return };
        let told = registrant.status(now, &self.config).zip(registrant.state).map(|(status, state)| {
            (status, state.registration, registrant.whereabouts(&state).pop().map(|one| one.address))
        });
        let changed = registrant.told != told;
        registrant.told = told;
        if tell && changed {
            self.out.push_back(RegistryOutput::Changed(id.clone()));
        }
    }

    fn status(&self, now: Time, id: &RegistrantId) -> Option<Status> {
        self.registrants.get(id)?.status(now, &self.config)
    }
}

impl Registrant {
    fn registration(&self, state: &State) -> Option<&Registration> {
        self.history.registration(&state.registration).map(|(body, _)| body)
    }

    fn key(&self) -> Option<RegistryKey> {
        self.registration(&self.state?).map(|body| body.key)
    }

    fn is_lapsed(&self) -> bool {
        self.state.is_some_and(|state| state.verdict == Verdict::Approved && self.lapsed == Some(state.head))
    }

    /// Milliseconds since the Unix epoch of its approval, or of its last heartbeat.
    fn alive_at(&self, state: &State) -> u64 {
        let approved = state.decided.map_or(0, |(time, _)| time);
        let key = self.registration(state).map(|body| body.key);
        let beat = self.beat.as_ref().filter(|(beat, _)| Some(beat.key) == key);
        beat.map_or(0, |(beat, _)| beat.time).max(approved)
    }

    fn status(&self, now: Time, config: &RegistryConfig) -> Option<Status> {
        let state = self.state?;
        Some(match state.verdict {
            Verdict::Pending { .. } => Status::Pending,
            Verdict::Denied => Status::Denied,
            Verdict::Revoked => Status::Revoked,
            Verdict::Approved if self.is_lapsed() => Status::Denied,
            Verdict::Approved => {
                let alive = Time::from_millis(self.alive_at(&state));
                if alive + config.offline() <= now { Status::Offline } else { Status::Active }
            }
        })
    }

    fn saw(&mut self, key: RegistryKey, address: &Address, time: u64) {
        if self.addresses.back().is_some_and(|(of, last, _)| *of == key && last == address) {
            return;
        }
        if self.addresses.len() == ADDRESSES {
            self.addresses.pop_front();
        }
        self.addresses.push_back((key, address.clone(), time));
    }

    /// The address that it registered with, then those it had since.
    fn whereabouts(&self, state: &State) -> Vec<ShownAddress> {
        let Some(body) = self.registration(state) else { return Vec::new() };
        let first = body.address.clone().map(|address| ShownAddress { address, since: body.time });
        let since = self.addresses.iter().filter(|(key, ..)| *key == body.key);
        let since = since.map(|(_, address, since)| ShownAddress { address: address.clone(), since: *since });
        let mut all: Vec<ShownAddress> = first.into_iter().chain(since).collect();
        all.dedup_by(|later, earlier| later.address == earlier.address);
        all
    }
}

/// The order of heartbeats: time, then nonce.
fn is_newer(known: Option<&(Heartbeat, Sealed)>, beat: &Heartbeat) -> bool {
    known.is_none_or(|(known, _)| (known.time, known.nonce) < (beat.time, beat.nonce))
}
