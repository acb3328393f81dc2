//! Links between signalers: proof, admission, and tables that come out alike.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_signaler_core::{Config, ConnId, Event, Input, Origin, Output, SiblingConfig, Signaler};
use weft_wire::sibling::{Sibling, Watching};
use weft_wire::signaler::ToSignaler;
use weft_wire::{Bytes, Code, List, Nonce, PeerId, SignalerId, Signature, Text, Time, encode};
use world::{Got, World, millis, signaler_key, swarm};

fn named(id: Option<usize>, url: Option<usize>) -> SiblingConfig {
    SiblingConfig {
        id: id.map(|at| signaler_key(at).id()),
        url: url.map(|at| format!("ws://{at}")),
        pinned: None,
    }
}

fn config(siblings: Vec<SiblingConfig>) -> Config {
    Config { siblings, ..Config::default() }
}

fn up(world: &World, at: usize) -> usize {
    world.signaler(at).gauges().siblings.iter().filter(|sibling| sibling.up).count()
}

#[test]
fn two_signalers_that_name_each_other_by_url_pin_each_other() {
    let mut world = World::of(vec![config(vec![named(None, Some(1))]), config(vec![named(None, Some(0))])]);
    world.pass(millis(5_000));
    assert_eq!((up(&world, 0), up(&world, 1)), (1, 1));
    let pins: BTreeSet<(usize, SignalerId)> = world.pins.iter().map(|(at, _, id)| (*at, *id)).collect();
    assert_eq!(pins, BTreeSet::from([(0, world.id(1)), (1, world.id(0))]));
}

#[test]
fn a_stranger_is_not_admitted_and_open_admits_anybody() {
    let mut world = World::of(vec![config(vec![named(None, Some(1))]), config(vec![])]);
    world.pass(millis(5_000));
    assert_eq!((up(&world, 0), up(&world, 1)), (0, 0));
    assert!(world.signaler(1).counters().refused(Code::NotAdmitted) > 0);
    let mut world =
        World::of(vec![config(vec![named(None, Some(1))]), Config { open: true, ..config(vec![]) }]);
    world.pass(millis(5_000));
    assert_eq!((up(&world, 0), up(&world, 1)), (1, 1));
}

#[test]
fn a_url_that_proves_another_key_is_refused() {
    let mut world =
        World::of(vec![config(vec![named(Some(7), Some(1))]), Config { open: true, ..config(vec![]) }]);
    world.pass(millis(2_000));
    assert_eq!(up(&world, 0), 0);
    assert!(world.events.iter().any(|(at, event)| *at == 0 && matches!(event, Event::WrongSibling { .. })));
}

#[test]
fn a_signaler_does_not_federate_with_itself() {
    let mut world = World::of(vec![config(vec![named(None, Some(0))])]);
    world.pass(millis(600_000));
    assert_eq!(up(&world, 0), 0);
    assert!(world.signaler(0).counters().refused(Code::WrongParty) > 5, "it is tried now and then");
    assert_eq!(world.events, [(0, Event::OwnUrl("ws://0".into()))], "it is said once");
}

#[test]
fn a_url_that_led_to_somebody_else_and_is_its_own_again_is_told_of_again() {
    let open = |siblings| Config { open: true, ..config(siblings) };
    let mut world = World::of(vec![open(vec![named(None, Some(0))]), open(vec![])]);
    let own =
        |world: &World| world.events.iter().filter(|(_, event)| matches!(event, Event::OwnUrl(_))).count();
    world.pass(millis(100_000));
    assert_eq!(own(&world), 1);
    // As with a name that has several addresses.
    world.urls = vec!["ws://elsewhere".into(), "ws://0".into()];
    world.pass(millis(100_000));
    assert_eq!((up(&world, 0), own(&world)), (1, 1));
    world.urls = vec!["ws://0".into(), "ws://1".into()];
    world.kill(1);
    world.pass(millis(100_000));
    assert_eq!(own(&world), 2);
}

/// However much longer somebody has who has not proved who it is.
#[test]
fn silence_is_noticed_in_its_time_and_whoever_answers_stays() {
    let quick = |config: Config| Config { keepalive_ms: 1_000, dead_ms: 3_000, ..config };
    let mut world = World::with(2, &[(0, 1)], quick);
    let (silent, answers) = (world.client(0, 1), world.client(0, 2));
    world.mute(0, world.clients[silent].conn);
    world.cut.insert((0, 1));
    let timed_out = |world: &World| world.signaler(0).counters().refused(Code::TimedOut);
    world.pass(millis(2_900));
    assert_eq!((up(&world, 0), timed_out(&world)), (1, 0));
    // What members say of each other was heard of last a moment after the beginning.
    world.pass(millis(1_200));
    assert_eq!((up(&world, 0), timed_out(&world)), (0, 2));
    assert_eq!(world.take(silent), [Got::Goodbye(Code::TimedOut), Got::Closed(Code::TimedOut)]);
    world.pass(millis(60_000));
    assert_eq!(world.take(answers), [], "it was asked, and is there");
    // Who says nothing at all has its ten seconds, here as well.
    let stranger = world.stranger(0, 3);
    world.pass(millis(9_900));
    assert!(world.clients[stranger].open);
    world.pass(millis(200));
    assert!(!world.clients[stranger].open);
}

#[test]
fn a_sibling_of_another_federation_is_told_of_once_for_each_link() {
    let mut world = World::linked(2, &[(0, 1)]);
    let theirs: weft_wire::registry::NetworkName = "another".parse().unwrap();
    let summary = Sibling::RegistrySummary { network: theirs.clone(), sums: Bytes(vec![1; 8]) };
    let told = |world: &World| -> Vec<(usize, Event)> {
        let events = world.events.iter().filter(|(_, event)| matches!(event, Event::OtherNetwork { .. }));
        events.cloned().collect()
    };
    let event = (0, Event::OtherNetwork { id: world.id(1), theirs });
    for links in 1..=2 {
        for _ in 0..3 {
            world.between(1, 0, encode(&summary));
        }
        assert_eq!(told(&world), vec![event.clone(); links]);
        world.kill(1);
        let known = SiblingConfig { id: Some(world.id(0)), url: None, pinned: None };
        world.restart(1, config(vec![known]));
        world.pass(millis(5_000));
        assert_eq!(up(&world, 0), 1);
    }
}

#[test]
fn of_two_links_between_a_pair_one_stays_and_it_stays_up() {
    let mut world =
        World::of(vec![config(vec![named(Some(1), Some(1))]), config(vec![named(Some(0), Some(0))])]);
    world.pass(millis(200_000));
    for at in 0..2 {
        let gauges = world.signaler(at).gauges();
        assert_eq!((gauges.connections, up(&world, at)), (1, 1));
    }
    let downs = world.events.iter().filter(|(_, event)| matches!(event, Event::SiblingDown(_))).count();
    assert_eq!(downs, 0, "{:?}", world.events);
}

#[test]
fn a_lost_sibling_is_dialled_again() {
    let mut world = World::linked(2, &[(0, 1)]);
    assert_eq!(up(&world, 0), 1);
    world.kill(1);
    world.pass(millis(30_000));
    assert_eq!(up(&world, 0), 0);
    world.restart(1, config(vec![named(Some(0), None)]));
    world.pass(millis(61_000));
    assert_eq!(up(&world, 0), 1);
}

#[test]
fn a_link_that_falls_silent_is_given_up_and_dialled_again() {
    let mut world = World::linked(2, &[(0, 1)]);
    world.cut.insert((0, 1));
    world.pass(millis(41_000));
    assert_eq!((up(&world, 0), up(&world, 1)), (0, 0));
    world.cut.clear();
    world.pass(millis(61_000));
    assert_eq!((up(&world, 0), up(&world, 1)), (1, 1));
}

#[test]
fn the_whole_table_is_told_on_admission_and_refreshes_one_by_one_afterwards() {
    let mut world = World::linked(1, &[]);
    let clients: Vec<usize> = (1..=150).map(|key| world.client(0, key)).collect();
    for client in &clients {
        world.announce(*client, swarm(1));
    }
    let mut world = {
        world.restart_with_sibling();
        world
    };
    world.pass(millis(3_000));
    assert_eq!(world.signaler(1).gauges().entries, 150);
    let before = world.sibling_frames.get(&(0, 1)).copied().unwrap_or(0);
    world.announce(clients[0], swarm(1));
    world.pass(millis(100));
    assert_eq!(world.sibling_frames[&(0, 1)] - before, 1, "one frame for one change");
}

#[test]
fn a_sibling_that_is_not_admitted_gets_nothing_in() {
    let mut signaler = Signaler::new(config(vec![]), signaler_key(0), [1; 32], Time::from_millis(1));
    let conn = ConnId(1);
    let now = Time::from_millis(2);
    signaler.handle(now, Input::Connected { conn, origin: Origin::Sibling });
    for frame in [
        Sibling::Forward { re: 1, to: PeerId([1; 32]), home: signaler_key(0).id(), hops: 0, envelope: b"x" },
        Sibling::Admitted { url: None, card: None },
        Sibling::Prove { signature: Signature([0; 64]) },
    ] {
        signaler.handle(now, Input::Frame { conn, bytes: &encode(&frame) });
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| signaler.poll()).collect();
    assert!(
        outputs.iter().any(|output| matches!(output, Output::Close { code: Code::BadFrame, .. })),
        "{outputs:?}"
    );
    assert_eq!(signaler.counters().refused(Code::NotAuthenticated), 1);
}

/// Statements of four peers at two homes in three swarms, some of them withdrawn.
fn story(steps: &[(u8, u8, u8)]) -> World {
    let mut world = World::linked(3, &[(0, 1), (1, 2)]);
    let clients: Vec<usize> = (0..4).map(|at| world.client(usize::from(at % 3), at + 1)).collect();
    for (who, which, what) in steps {
        let client = clients[usize::from(*who % 4)];
        match what % 4 {
            0 | 1 => world.announce(client, swarm(*which % 3)),
            2 => world.leave(client, swarm(*which % 3)),
            _ => world.pass(millis(2)),
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn tables_converge_whatever_happened_while_links_were_cut(
        before in prop::collection::vec(any::<(u8, u8, u8)>(), 0..20),
        cut in 0..2_usize,
        during in prop::collection::vec(any::<(u8, u8, u8)>(), 0..20),
    ) {
        let mut world = story(&before);
        let clients: Vec<usize> = (0..4).collect();
        world.cut.insert((cut, cut + 1));
        for (who, which, what) in &during {
            let client = clients[usize::from(*who % 4)];
            match what % 3 {
                0 => world.announce(client, swarm(*which % 3)),
                1 => world.leave(client, swarm(*which % 3)),
                _ => world.pass(millis(15_000)),
            }
        }
        world.cut.clear();
        world.pass(millis(1_000));
        // The link may have been given up meanwhile: wait for the next call, and refresh what would expire.
        for _ in 0..3 {
            world.pass(millis(35_000));
            for client in &clients {
                world.announce(*client, swarm(9));
            }
        }
        for which in [0, 1, 2, 9] {
            let seen: Vec<BTreeSet<PeerId>> =
                (0..3).map(|at| world.members(at, swarm(which), 100 + u8::try_from(at).unwrap())).collect();
            prop_assert_eq!(&seen[0], &seen[1]);
            prop_assert_eq!(&seen[1], &seen[2]);
        }
    }

    #[test]
    fn mutated_frames_never_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        which in 0..13_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::linked(2, &[(0, 1)]);
        let (a, b) = (world.client(0, 1), world.client(1, 2));
        let entry = world.entry(a, swarm(1), false);
        let signed = weft_crypto::statement::sign_entry(&world.clients[a].key, &entry);
        let frames = [
            encode(&ToSignaler::Announce { entry: &signed }),
            encode(&ToSignaler::Leave { entry: &signed }),
            encode(&ToSignaler::Forward { re: 1, to: world.peer(b), home: Some(world.id(1)), envelope: b"sealed", ack: true }),
            encode(&ToSignaler::Fanout { re: 1, discovery: swarm(1), payload: b"sealed", ack: true }),
            encode(&ToSignaler::Ping { token: 1 }),
            encode(&ToSignaler::Authenticate {
                peer: world.peer(a),
                nonce: Nonce([1; 32]),
                signature: Signature([2; 64]),
                agent: Text::cut("test"),
            }),
            encode(&Sibling::Challenge { signaler: world.id(0), nonce: Nonce([1; 32]) }),
            encode(&Sibling::Outcome { re: 1, code: Some(Code::UnknownPeer) }),
            encode(&Sibling::Offer { discovery: swarm(1), names: Bytes(vec![1; 16]) }),
            encode(&Sibling::Wanted { discovery: swarm(1), names: Bytes(vec![1; 16]) }),
            encode(&Sibling::Watch { discovery: swarm(1), said: Watching::Begin, sum: 1, hops: 0 }),
            encode(&Sibling::Watch { discovery: swarm(1), said: Watching::Done, sum: 1, hops: 0 }),
            encode(&Sibling::Connected {
                peers: List::first([world.peer(a)]),
                gone: List::first([world.peer(b)]),
            }),
        ];
        let mut bytes = frames[which].clone();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        world.raw(a, bytes.clone());
        world.raw_sibling(1, bytes);
        world.pass(millis(100));
        // It still serves others.
        let (c, d) = (world.client(0, 3), world.client(0, 4));
        let to = world.peer(d);
        world.forward(c, 1, to, None, b"sealed");
        prop_assert_eq!(world.take(c), [Got::Ack(1)]);
    }
}
