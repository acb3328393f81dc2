//! The registry: every transition, what is refused, what order does not matter, what is bounded.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use weft_crypto::registry::{Signer, digest, seal};
use weft_crypto::{IdentityKey, Seed, SignalerKey};
use weft_signaler_core::registry::{
    Health, Record, Refusal, Registry, RegistryConfig, RegistryOutput, Shown, Standing, Status,
};
use weft_wire::registry::{
    Decision, Heartbeat, RegistrantId, Registration, Sealed, Service, SovereignChange, Statement,
};
use weft_wire::{Digest, List, Nonce, RegistryKey, SignalerId, Signature, Time};

const START: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;

fn key(byte: u8) -> IdentityKey {
    IdentityKey::new(&Seed::new([byte; 32]))
}

fn id_of(byte: u8) -> RegistryKey {
    key(byte).id().into()
}

fn us() -> SignalerId {
    SignalerKey::new(&Seed::new([250; 32])).id()
}

fn named(id: &str) -> RegistrantId {
    id.parse().unwrap()
}

/// A registry with a clock, people and fresh nonces. Key 1 is the first sovereign.
struct World {
    registry: Registry,
    now: u64,
    nonces: u8,
    out: Vec<RegistryOutput>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RegistryConfig)) -> Self {
        let mut config = RegistryConfig { sovereigns: vec![id_of(1)], ..RegistryConfig::default() };
        change(&mut config);
        Self { registry: Registry::new(config, us()), now: START, nonces: 0, out: Vec::new() }
    }

    fn time(&self) -> Time {
        Time::from_millis(self.now)
    }

    fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        Nonce([self.nonces; 32])
    }

    fn registration(&mut self, id: &str, by: u8) -> Registration {
        let service = Service { kind: "ledger".parse().unwrap(), port: 8080, key: RegistryKey([3; 32]) };
        Registration {
            network: self.registry.network().clone(),
            signaler: us(),
            id: named(id),
            key: id_of(by),
            host: "validator-b.ts.net".parse().unwrap(),
            address: Some("100.64.0.5".parse().unwrap()),
            services: List::first([service]),
            after: None,
            time: self.now,
            nonce: self.nonce(),
        }
    }

    /// A decision about a registrant as it stands.
    fn decision(&mut self, id: &str, by: u8) -> Decision {
        let shown = self.shown(id);
        Decision {
            network: self.registry.network().clone(),
            signaler: us(),
            id: named(id),
            key: shown.key,
            after: shown.head,
            sovereign: id_of(by),
            time: self.now,
            nonce: self.nonce(),
        }
    }

    fn change(&mut self, of: u8, by: u8) -> SovereignChange {
        SovereignChange {
            network: self.registry.network().clone(),
            signaler: us(),
            key: id_of(of),
            replacement: None,
            description: None,
            sovereign: id_of(by),
            time: self.now,
            nonce: self.nonce(),
        }
    }

    fn beat(&mut self, id: &str, by: u8) -> Heartbeat {
        Heartbeat {
            network: self.registry.network().clone(),
            signaler: us(),
            id: named(id),
            key: id_of(by),
            address: None,
            time: self.now,
            nonce: self.nonce(),
        }
    }

    /// Signed by whoever it says.
    fn submit(&mut self, statement: &Statement) -> Result<Option<Status>, Refusal> {
        let signature = signed(statement);
        self.registry.submit(self.time(), statement, signature)
    }

    fn register(&mut self, id: &str, by: u8) -> Result<Option<Status>, Refusal> {
        let body = self.registration(id, by);
        self.submit(&Statement::Register(body))
    }

    fn decide(&mut self, of: fn(Decision) -> Statement, id: &str) -> Result<Option<Status>, Refusal> {
        let body = self.decision(id, 1);
        self.submit(&of(body))
    }

    fn heartbeat(&mut self, id: &str, by: u8) -> Result<Option<Status>, Refusal> {
        let body = self.beat(id, by);
        self.submit(&Statement::Heartbeat(body))
    }

    fn pass(&mut self, millis: u64) {
        self.now += millis;
        self.registry.on_time(self.time());
    }

    fn shown(&self, id: &str) -> Shown {
        self.registry.show(self.time(), &named(id)).unwrap()
    }

    fn status(&self, id: &str) -> Status {
        self.shown(id).status
    }

    fn drain(&mut self) -> Vec<RegistryOutput> {
        std::iter::from_fn(|| self.registry.poll()).collect()
    }

    fn records(&mut self) -> Vec<Record> {
        let store = |output| match output {
            RegistryOutput::Store(record) => Some(record),
            _ => None,
        };
        self.out.extend(std::iter::from_fn(|| self.registry.poll()));
        self.out.iter().cloned().filter_map(store).collect()
    }
}

/// The signature of whoever a statement says is its signer.
fn signed(statement: &Statement) -> Signature {
    let key = (0..=255).map(key).find(|key| RegistryKey::from(key.id()) == statement.signer()).unwrap();
    Signer::Identity(&key).sign(statement)
}

/// A registrant in each state, by what brings it there.
fn in_state(status: Status) -> World {
    let mut world = World::new();
    world.register("a", 10).unwrap();
    match status {
        Status::Pending => {}
        Status::Active => drop(world.decide(Statement::Approve, "a").unwrap()),
        Status::Offline => {
            world.decide(Statement::Approve, "a").unwrap();
            world.pass(5 * MINUTE);
        }
        Status::Denied => drop(world.decide(Statement::Deny, "a").unwrap()),
        Status::Revoked => {
            world.decide(Statement::Approve, "a").unwrap();
            world.decide(Statement::Revoke, "a").unwrap();
        }
    }
    assert_eq!(world.status("a"), status);
    world
}

#[test]
fn every_transition_is_in_the_table() {
    use Status::{Active, Denied, Offline, Pending, Revoked};
    type Act = fn(&mut World) -> Result<Option<Status>, Refusal>;
    let acts: [(&str, Act); 6] = [
        ("register", |world| world.register("a", 10)),
        ("approve", |world| world.decide(Statement::Approve, "a")),
        ("deny", |world| world.decide(Statement::Deny, "a")),
        ("reset", |world| world.decide(Statement::Reset, "a")),
        ("revoke", |world| world.decide(Statement::Revoke, "a")),
        ("heartbeat", |world| world.heartbeat("a", 10)),
    ];
    let taken = Refusal::AlreadyRegistered;
    let decided = |status| Err(Refusal::AlreadyDecided(status));
    let silent = |status| Err(Refusal::NotApproved(status));
    let table = [
        (
            Pending,
            [
                Err(taken(Pending)),
                Ok(Active),
                Ok(Denied),
                decided(Pending),
                decided(Pending),
                silent(Pending),
            ],
        ),
        (
            Active,
            [Err(taken(Active)), decided(Active), decided(Active), decided(Active), Ok(Revoked), Ok(Active)],
        ),
        (
            Offline,
            [
                Err(taken(Offline)),
                decided(Offline),
                decided(Offline),
                decided(Offline),
                Ok(Revoked),
                Ok(Active),
            ],
        ),
        (
            Denied,
            [
                Err(taken(Denied)),
                decided(Denied),
                decided(Denied),
                Ok(Pending),
                decided(Denied),
                silent(Denied),
            ],
        ),
        (
            Revoked,
            [
                Err(taken(Revoked)),
                decided(Revoked),
                decided(Revoked),
                Ok(Pending),
                decided(Revoked),
                silent(Revoked),
            ],
        ),
    ];
    for (from, outcomes) in table {
        for ((name, act), wanted) in acts.iter().zip(outcomes) {
            let mut world = in_state(from);
            assert_eq!(act(&mut world), wanted.map(Some), "{name} when {from}");
            assert_eq!(world.status("a"), wanted.unwrap_or(from), "{name} when {from}");
        }
    }
}

#[test]
fn n1_everything_that_is_used_is_signed() {
    let mut world = World::new();
    let honest = world.registration("a", 10);
    let signature = signed(&Statement::Register(honest.clone()));
    let with_port = |port| {
        let mut services = honest.services.clone().into_vec();
        services[0].port = port;
        List::first(services)
    };
    let other_service = |change: fn(&mut Service)| {
        let mut services = honest.services.clone().into_vec();
        change(&mut services[0]);
        List::first(services)
    };
    let forged = [
        Registration { id: named("b"), ..honest.clone() },
        Registration { key: id_of(11), ..honest.clone() },
        Registration { host: "evil.example".parse().unwrap(), ..honest.clone() },
        Registration { address: None, ..honest.clone() },
        Registration { address: Some("100.64.0.6".parse().unwrap()), ..honest.clone() },
        Registration { services: with_port(8081), ..honest.clone() },
        Registration {
            services: other_service(|service| service.kind = "t4".parse().unwrap()),
            ..honest.clone()
        },
        Registration {
            services: other_service(|service| service.key = RegistryKey([4; 32])),
            ..honest.clone()
        },
        Registration { services: List::default(), ..honest.clone() },
        Registration { after: Some(Digest([1; 32])), ..honest.clone() },
        Registration { time: honest.time + 1, ..honest.clone() },
        Registration { nonce: Nonce([99; 32]), ..honest.clone() },
    ];
    for forged in forged {
        let refused = world.registry.submit(world.time(), &Statement::Register(forged.clone()), signature);
        assert_eq!(refused, Err(Refusal::BadSignature), "{forged:?}");
    }
    let elsewhere = Registration { signaler: SignalerId([9; 32]), ..honest.clone() };
    assert_eq!(world.submit(&Statement::Register(elsewhere)), Err(Refusal::WrongSignaler));
    let other = Registration { network: "other".parse().unwrap(), ..honest.clone() };
    assert_eq!(world.submit(&Statement::Register(other)), Err(Refusal::WrongNetwork));
    assert!(world.drain().iter().all(|output| matches!(output, RegistryOutput::Store(Record::Sovereign(_)))));
    assert_eq!(world.submit(&Statement::Register(honest.clone())), Ok(Some(Status::Pending)));
    assert_eq!(world.submit(&Statement::Register(honest)), Err(Refusal::AlreadyRegistered(Status::Pending)));
}

#[test]
fn n3_a_decision_counts_once_for_one_state_by_a_sovereign() {
    let mut world = World::new();
    world.register("a", 10).unwrap();
    let stranger = world.decision("a", 2);
    assert_eq!(world.submit(&Statement::Approve(stranger)), Err(Refusal::NotSovereign));
    let approval = world.decision("a", 1);
    let signature = signed(&Statement::Approve(approval.clone()));
    assert_eq!(
        world.registry.submit(world.time(), &Statement::Deny(approval.clone()), signature),
        Err(Refusal::BadSignature)
    );
    let unknown = Decision { id: named("b"), ..approval.clone() };
    assert_eq!(world.submit(&Statement::Approve(unknown)), Err(Refusal::NotFound));
    assert_eq!(world.submit(&Statement::Approve(approval.clone())), Ok(Some(Status::Active)));
    assert_eq!(
        world.submit(&Statement::Approve(approval.clone())),
        Err(Refusal::AlreadyDecided(Status::Active))
    );
    // Thrown out, let in again, and registered anew: the old approval is about something else.
    world.decide(Statement::Revoke, "a").unwrap();
    world.decide(Statement::Reset, "a").unwrap();
    assert_eq!(world.submit(&Statement::Approve(approval.clone())), Err(Refusal::Superseded));
    let head = world.shown("a").head;
    let early = world.registration("a", 11);
    assert_eq!(world.submit(&Statement::Register(early)), Err(Refusal::Superseded));
    let again = Registration { after: Some(head), ..world.registration("a", 11) };
    assert_eq!(world.submit(&Statement::Register(again)), Ok(Some(Status::Pending)));
    assert_eq!(world.shown("a").key, id_of(11));
    assert_eq!(world.submit(&Statement::Approve(approval)), Err(Refusal::Superseded));
    assert_eq!(world.decide(Statement::Approve, "a"), Ok(Some(Status::Active)));
}

#[test]
fn n5_a_heartbeat_is_fresh_new_and_its_owners() {
    let mut world = in_state(Status::Active);
    world.pass(2 * MINUTE);
    let beat = world.beat("a", 10);
    for (time, wanted) in [
        (world.now - MINUTE - 1, Err(Refusal::Stale)),
        (world.now + MINUTE + 1, Err(Refusal::Stale)),
        (world.now - MINUTE, Ok(Some(Status::Active))),
        (world.now, Err(Refusal::Replayed)),
    ] {
        assert_eq!(world.submit(&Statement::Heartbeat(Heartbeat { time, ..beat.clone() })), wanted, "{time}");
    }
    assert_eq!(world.heartbeat("a", 11), Err(Refusal::WrongKey));
    assert_eq!(world.heartbeat("b", 10), Err(Refusal::NotFound));
    let forged = signed(&Statement::Heartbeat(Heartbeat { key: id_of(11), ..beat.clone() }));
    let stolen = Heartbeat { nonce: Nonce([77; 32]), ..beat };
    assert_eq!(
        world.registry.submit(world.time(), &Statement::Heartbeat(stolen), forged),
        Err(Refusal::BadSignature)
    );
}

#[test]
fn n6_five_minutes_of_silence_are_offline_and_the_next_beat_is_active() {
    let mut world = in_state(Status::Active);
    world.drain();
    world.pass(5 * MINUTE - 1);
    assert_eq!(world.status("a"), Status::Active);
    assert!(world.drain().is_empty());
    assert_eq!(world.registry.deadline(), Some(Time::from_millis(START + 5 * MINUTE)));
    world.pass(1);
    assert_eq!(world.status("a"), Status::Offline, "approved, and never heard of");
    assert_eq!(world.drain(), [RegistryOutput::Changed(named("a"))]);
    assert_eq!(world.heartbeat("a", 10), Ok(Some(Status::Active)));
    assert!(world.drain().contains(&RegistryOutput::Changed(named("a"))));
    for _ in 0..10 {
        world.pass(2 * MINUTE);
        assert_eq!(world.heartbeat("a", 10), Ok(Some(Status::Active)));
    }
    assert!(!world.drain().contains(&RegistryOutput::Changed(named("a"))));
    world.pass(5 * MINUTE);
    assert_eq!(world.status("a"), Status::Offline);
}

#[test]
fn n7_sovereigns_are_made_by_sovereigns_and_the_last_one_stays() {
    let mut world = World::new();
    let change = world.change(2, 2);
    assert_eq!(world.submit(&Statement::AddSovereign(change)), Err(Refusal::NotSovereign));
    let change = world.change(1, 1);
    assert_eq!(world.submit(&Statement::RevokeSovereign(change)), Err(Refusal::LastSovereign));
    let change = world.change(2, 1);
    assert_eq!(world.submit(&Statement::AddSovereign(change.clone())), Ok(None));
    assert_eq!(world.submit(&Statement::AddSovereign(change)), Err(Refusal::AlreadySovereign));
    let change = world.change(3, 1);
    assert_eq!(world.submit(&Statement::RevokeSovereign(change)), Err(Refusal::UnknownSovereign));
    // What one signs in the same millisecond comes after what made one a sovereign, or is refused.
    world.now += 1;
    let rotation = SovereignChange { replacement: Some(id_of(3)), ..world.change(1, 2) };
    assert_eq!(world.submit(&Statement::RotateSovereign(rotation)), Ok(None));
    assert_eq!(world.registry.sovereigns().collect::<Vec<_>>().len(), 2);
    world.register("a", 10).unwrap();
    assert_eq!(world.decide(Statement::Approve, "a"), Err(Refusal::NotSovereign), "the old key is none");
    let body = world.decision("a", 3);
    assert_eq!(
        world.submit(&Statement::Approve(Decision { time: START - 1, ..body.clone() })),
        Err(Refusal::ClockBehind)
    );
    assert_eq!(world.status("a"), Status::Pending);
    assert_eq!(world.submit(&Statement::Approve(body)), Ok(Some(Status::Active)));
    world.now += 1;
    let change = world.change(2, 3);
    assert_eq!(world.submit(&Statement::RevokeSovereign(change)), Ok(None));
    let change = world.change(3, 3);
    assert_eq!(world.submit(&Statement::RevokeSovereign(change)), Err(Refusal::LastSovereign));
    assert_eq!(world.status("a"), Status::Active, "what a sovereign decided while it was one stays");
}

#[test]
fn n8_standing_follows_the_decisions() {
    for (status, standing) in [
        (Status::Pending, Standing::Barred),
        (Status::Active, Standing::Admitted),
        (Status::Offline, Standing::Admitted),
        (Status::Denied, Standing::Barred),
        (Status::Revoked, Standing::Barred),
    ] {
        let world = in_state(status);
        assert_eq!(world.registry.standing(id_of(10)), standing, "{status}");
        assert_eq!(
            world.registry.standing(RegistryKey([3; 32])),
            Standing::Unknown,
            "the key of a service proves nothing"
        );
    }
}

#[test]
fn n11_missed_heartbeats_deny_if_so_configured_until_a_reset() {
    let mut world = World::with(|config| config.deny_after_missed = 4);
    world.register("a", 10).unwrap();
    world.decide(Statement::Approve, "a").unwrap();
    world.pass(8 * MINUTE - 1);
    assert_eq!(world.status("a"), Status::Offline);
    world.pass(1);
    assert_eq!(world.status("a"), Status::Denied);
    assert!(world.shown("a").lapsed);
    assert_eq!(world.registry.standing(id_of(10)), Standing::Barred);
    assert_eq!(world.heartbeat("a", 10), Err(Refusal::NotApproved(Status::Denied)));
    let records = world.records();
    assert!(records.iter().any(|record| matches!(record, Record::Lapse { .. })));
    assert_eq!(restored(&world, records).status("a"), Status::Denied);
    assert_eq!(world.decide(Statement::Reset, "a"), Ok(Some(Status::Pending)));
    assert_eq!(world.decide(Statement::Approve, "a"), Ok(Some(Status::Active)));
}

#[test]
fn n11_health_is_recorded_for_declared_services_and_addresses_are_remembered() {
    let mut world = in_state(Status::Active);
    let (kind, other) = ("ledger".parse().unwrap(), "t4".parse().unwrap());
    assert_eq!(world.registry.targets().count(), 1);
    world.drain();
    world.registry.on_probed(world.time(), &named("a"), &other, 8080, true);
    world.registry.on_probed(world.time(), &named("a"), &kind, 8081, true);
    assert!(world.drain().is_empty());
    world.registry.on_probed(world.time(), &named("a"), &kind, 8080, false);
    let health = Health { healthy: false, checked_at: START };
    assert_eq!(world.shown("a").services[0].1, Some(health));
    assert_eq!(world.drain().len(), 2, "a record and news");
    let moved = Heartbeat { address: Some("100.64.0.9".parse().unwrap()), ..world.beat("a", 10) };
    world.submit(&Statement::Heartbeat(moved)).unwrap();
    assert!(world.drain().contains(&RegistryOutput::Changed(named("a"))));
    let seen: Vec<String> = world.shown("a").addresses.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(seen, ["100.64.0.5", "100.64.0.9"]);
    world.decide(Statement::Revoke, "a").unwrap();
    assert_eq!(world.registry.targets().count(), 0);
}

fn restored(world: &World, records: Vec<Record>) -> World {
    let mut again =
        Registry::new(RegistryConfig { sovereigns: Vec::new(), ..world.registry.config().clone() }, us());
    assert_eq!(again.restore(world.time(), records), 0);
    World { registry: again, now: world.now, nonces: 100, out: Vec::new() }
}

#[test]
fn n9_what_was_stored_is_the_registry_again() {
    let mut world = World::new();
    world.register("a", 10).unwrap();
    world.register("b", 11).unwrap();
    world.decide(Statement::Approve, "a").unwrap();
    let change = world.change(2, 1);
    world.submit(&Statement::AddSovereign(change)).unwrap();
    let beat = world.beat("a", 10);
    world.submit(&Statement::Heartbeat(beat.clone())).unwrap();
    let records = world.records();
    let mut again = restored(&world, records);
    assert_eq!(again.shown("a"), world.shown("a"));
    assert_eq!(again.shown("b"), world.shown("b"));
    assert!(again.registry.sovereigns().eq(world.registry.sovereigns()));
    // Nobody names them again.
    assert!(again.registry.config().sovereigns.is_empty());
    assert!(again.registry.first_sovereigns().eq([id_of(1)]));
    // A restart does not make room for a replay.
    assert_eq!(again.submit(&Statement::Heartbeat(beat)), Err(Refusal::Replayed));
    again.pass(5 * MINUTE);
    assert_eq!(again.status("a"), Status::Offline);
}

#[test]
fn what_is_full_says_so() {
    let mut world = World::with(|config| {
        config.max_pending = 2;
        config.max_registrants = 3;
        config.max_statements = 3;
        config.max_sovereigns = 2;
        config.max_sovereign_changes = 2;
        config.max_nonces = 9;
    });
    world.register("a", 10).unwrap();
    world.register("b", 10).unwrap();
    assert_eq!(world.register("c", 10), Err(Refusal::Full), "two wait");
    world.decide(Statement::Approve, "a").unwrap();
    world.register("c", 10).unwrap();
    world.decide(Statement::Approve, "b").unwrap();
    assert_eq!(world.register("d", 10), Err(Refusal::Full), "three are there");
    world.decide(Statement::Revoke, "a").unwrap();
    assert_eq!(world.decide(Statement::Reset, "a"), Err(Refusal::HistoryFull));
    let change = world.change(2, 1);
    world.submit(&Statement::AddSovereign(change)).unwrap();
    let change = world.change(3, 1);
    assert_eq!(world.submit(&Statement::AddSovereign(change)), Err(Refusal::TooManySovereigns));
    world.now += 1;
    let change = world.change(2, 1);
    world.submit(&Statement::RevokeSovereign(change)).unwrap();
    let change = world.change(2, 1);
    assert_eq!(world.submit(&Statement::AddSovereign(change)), Err(Refusal::TooManySovereigns));
    world.heartbeat("b", 10).unwrap();
    assert_eq!(world.heartbeat("b", 10), Err(Refusal::Busy));
    world.pass(MINUTE + 2);
    assert_eq!(
        world.heartbeat("b", 10),
        Ok(Some(Status::Active)),
        "nonces are forgotten with their statements"
    );
}

#[test]
fn pages_are_bounded_and_follow_each_other() {
    let mut world = World::new();
    for id in ["a", "b", "c", "d"] {
        world.register(id, 10).unwrap();
    }
    world.decide(Statement::Approve, "c").unwrap();
    let ids = |page: &(Vec<Shown>, bool)| page.0.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    let first = world.registry.page(world.time(), Some(Status::Pending), None, 2);
    assert_eq!((ids(&first), first.1), (vec!["a".into(), "b".into()], true));
    let last = world.registry.page(world.time(), Some(Status::Pending), Some(&named("b")), 2);
    assert_eq!((ids(&last), last.1), (vec!["d".into()], false));
    assert_eq!(world.registry.totals(world.time()).of(Status::Pending), 3);
    assert_eq!(world.registry.totals(world.time()).of(Status::Active), 1);
}

/// Everything there is to know of a registry.
fn snapshot(registry: &Registry, now: Time) -> (Vec<RegistryKey>, BTreeMap<String, Shown>) {
    let (page, more) = registry.page(now, None, None, 1_000);
    assert!(!more);
    (registry.sovereigns().collect(), page.into_iter().map(|one| (one.id.to_string(), one)).collect())
}

/// Statements that contradict each other in every way: two registrations of one id, decisions of sovereigns that come and
/// go, all of them genuine.
static QUARREL: LazyLock<Vec<Sealed>> = LazyLock::new(quarrel);

fn quarrel() -> Vec<Sealed> {
    let mut world = World::new();
    let mut said = Vec::new();
    let mut say = |statement: Statement| {
        let sealed = seal(&statement, signed(&statement));
        said.push(sealed);
        digest(&statement)
    };
    let one = world.registration("a", 10);
    world.now += 1;
    let other = world.registration("a", 11);
    let (first, second) = (say(Statement::Register(one.clone())), say(Statement::Register(other.clone())));
    let decision = |world: &mut World, by: u8, key: u8, after: Digest| {
        world.now += 1;
        Decision {
            network: world.registry.network().clone(),
            signaler: us(),
            id: named("a"),
            key: id_of(key),
            after,
            sovereign: id_of(by),
            time: world.now,
            nonce: world.nonce(),
        }
    };
    let add = world.change(2, 1);
    say(Statement::AddSovereign(add));
    // Both sovereigns decide about both registrations, differently.
    let approved = say(Statement::Approve(decision(&mut world, 2, 11, second)));
    say(Statement::Deny(decision(&mut world, 1, 11, second)));
    say(Statement::Approve(decision(&mut world, 2, 10, first)));
    say(Statement::Approve(decision(&mut world, 3, 10, first)));
    let revoked = say(Statement::Revoke(decision(&mut world, 2, 11, approved)));
    let reset = say(Statement::Reset(decision(&mut world, 2, 11, revoked)));
    let again = Registration { after: Some(reset), ..world.registration("a", 12) };
    say(Statement::Register(again));
    // They throw each other out; the earlier one wins.
    let revoke = world.change(2, 1);
    say(Statement::RevokeSovereign(revoke));
    world.now += 1;
    let revoke = world.change(1, 2);
    say(Statement::RevokeSovereign(revoke));
    let add = world.change(3, 2);
    say(Statement::AddSovereign(add));
    world.now += 1;
    let rotate = SovereignChange { replacement: Some(id_of(4)), ..world.change(1, 1) };
    say(Statement::RotateSovereign(rotate));
    say(Statement::Approve(decision(&mut world, 4, 10, first)));
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn statements_in_any_order_come_to_the_same(order in Just((0..QUARREL.len()).collect::<Vec<_>>()).prop_shuffle(), keep in any::<u32>()) {
        let said = &*QUARREL;
        // Any part of them, too.
        let kept = |at: &usize| keep & (1 << at) != 0;
        let now = Time::from_millis(START + MINUTE);
        let mut straight = World::new().registry;
        for at in (0..said.len()).filter(kept) {
            straight.on_sibling(now, &said[at]).unwrap();
        }
        let mut shuffled = World::new().registry;
        for at in order.iter().filter(|at| kept(at)) {
            prop_assert!(shuffled.on_sibling(now, &said[*at]).unwrap());
            prop_assert!(!shuffled.on_sibling(now, &said[*at]).unwrap(), "once is enough");
        }
        prop_assert_eq!(snapshot(&straight, now), snapshot(&shuffled, now));
    }

    #[test]
    fn whatever_siblings_say_nothing_panics_and_forgeries_change_nothing(
        at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), bit in 0..8_u8, kind in any::<u8>(),
    ) {
        let said = &*QUARREL;
        let now = Time::from_millis(START + MINUTE);
        let mut registry = World::new().registry;
        for sealed in said {
            registry.on_sibling(now, sealed).unwrap();
        }
        let before = snapshot(&registry, now);
        let mut forged = said[at.index(said.len())].clone();
        let len = forged.body.0.len();
        forged.body.0[byte.index(len)] ^= 1 << bit;
        let _ = registry.on_sibling(now, &forged);
        let _ = registry.on_sibling(now, &Sealed { kind, ..said[at.index(said.len())].clone() });
        prop_assert_eq!(snapshot(&registry, now), before);
    }
}

#[test]
fn siblings_pass_on_what_is_new_and_heartbeats_of_whom_they_know() {
    let mut here = World::new();
    here.register("a", 10).unwrap();
    here.decide(Statement::Approve, "a").unwrap();
    here.pass(MINUTE);
    here.heartbeat("a", 10).unwrap();
    let mut there = World::new();
    there.pass(MINUTE);
    there.drain();
    let beat = here.registry.beats().next().unwrap().clone();
    assert_eq!(there.registry.on_sibling(there.time(), &beat), Ok(false), "whose?");
    for sealed in here.registry.statements().map(|(_, sealed)| sealed.clone()).collect::<Vec<_>>() {
        assert_eq!(there.registry.on_sibling(there.time(), &sealed), Ok(true));
        assert!(there.drain().contains(&RegistryOutput::News(sealed)));
    }
    assert_eq!(there.registry.on_sibling(there.time(), &beat), Ok(true));
    assert_eq!(there.registry.on_sibling(there.time(), &beat), Ok(false));
    assert_eq!(there.shown("a"), here.shown("a"));
    // From a day ahead: it comes again in time.
    let early = there.registry.on_sibling(there.time() - Duration::from_secs(86_400), &beat);
    assert_eq!(early, Ok(false));
}
