//! One to three signalers: who learns of whom, when, and when not.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use weft_crypto::statement::sign_entry;
use weft_signaler_core::{Config, SiblingConfig, TurnConfig};
use weft_wire::Code;
use weft_wire::signaler::ToSignaler;
use world::{Got, World, millis, signaler_key, swarm};

const PAIR: &[(usize, usize)] = &[(0, 1)];
/// 0 and 2 know each other through 1 only.
const CHAIN: &[(usize, usize)] = &[(0, 1), (1, 2)];

#[test]
fn d1_two_peers_on_one_signaler_learn_of_each_other_once() {
    let mut world = World::linked(1, &[]);
    let (a, b) = (world.client(0, 1), world.client(0, 2));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    let (pa, pb, home) = (world.peer(a), world.peer(b), world.id(0));
    assert_eq!(world.take(a), [Got::Members(swarm(1), vec![], 0), Got::Joined(pb, home)]);
    assert_eq!(world.take(b), [Got::Members(swarm(1), vec![pa], 1)]);
    world.announce(a, swarm(1));
    assert_eq!(world.take(b), [], "a refresh is no news");
}

#[test]
fn d1_peers_on_two_signalers_learn_of_each_other_once() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    let (pa, pb) = (world.peer(a), world.peer(b));
    let (ha, hb) = (world.id(0), world.id(1));
    assert_eq!(world.take(a), [Got::Members(swarm(1), vec![], 0), Got::Joined(pb, hb)]);
    assert_eq!(world.take(b), [Got::Members(swarm(1), vec![], 0), Got::Joined(pa, ha)]);
    world.pass(millis(40_000));
    world.announce(a, swarm(1));
    world.pass(millis(100));
    assert_eq!(world.take(b), []);
}

#[test]
fn swarms_are_counted_by_size_and_tombstones_are_no_members() {
    let mut world = World::linked(2, PAIR);
    let sizes = |world: &World, at: usize| world.signaler(at).gauges().swarm_sizes[..4].to_vec();
    let clients: Vec<_> = (1..=5_u8).map(|n| world.client(usize::from(n + 1) % 2, n)).collect();
    world.announce(clients[0], swarm(2));
    for (joined, expected) in
        [[2, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 0]].iter().enumerate()
    {
        world.announce(clients[joined], swarm(1));
        world.pass(millis(100));
        assert_eq!(sizes(&world, 0), expected, "{joined}");
        assert_eq!(sizes(&world, 1), expected, "{joined}: its sibling counts the same");
    }
    for client in &clients[1..] {
        world.leave(*client, swarm(1));
    }
    world.leave(clients[0], swarm(2));
    world.pass(millis(100));
    assert_eq!(sizes(&world, 1), [1, 0, 0, 0]);
    assert_eq!(world.signaler(1).gauges().swarms, 2, "one is remembered for its tombstone");
    world.leave(clients[0], swarm(1));
    world.pass(millis(200_000));
    assert_eq!(world.signaler(1).gauges().swarm_sizes, [0; 16]);
}

#[test]
fn d1_entries_cross_a_chain_of_signalers() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(a, swarm(1));
    world.pass(millis(100));
    world.announce(c, swarm(1));
    assert_eq!(world.take(c), [Got::Members(swarm(1), vec![world.peer(a)], 1)]);
    world.pass(millis(100));
    assert!(world.take(a).contains(&Got::Joined(world.peer(c), world.id(2))));
}

#[test]
fn d2_a_leave_is_seen_elsewhere_at_once() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(a, swarm(1));
    world.announce(c, swarm(1));
    world.pass(millis(100));
    world.take(c);
    world.leave(a, swarm(1));
    world.pass(millis(50));
    assert_eq!(world.take(c), [Got::Left(swarm(1), world.peer(a))]);
}

#[test]
fn d2_a_lost_socket_counts_after_its_grace_and_a_return_within_it_does_not() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    world.take(b);
    world.drop_client(a);
    world.pass(millis(9_000));
    assert_eq!(world.take(b), []);
    let again = world.client(0, 1);
    world.announce(again, swarm(1));
    world.pass(millis(20_000));
    assert_eq!(world.take(b), [], "it kept its place");
    world.drop_client(again);
    world.pass(millis(9_900));
    assert_eq!(world.take(b), []);
    world.pass(millis(200));
    assert_eq!(world.take(b), [Got::Left(swarm(1), world.peer(again))]);
}

#[test]
fn d2_entries_of_a_killed_signaler_go_at_their_ttl() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(b, swarm(1));
    world.announce(a, swarm(1));
    world.pass(millis(100));
    world.take(b);
    world.kill(0);
    world.pass(millis(60_000));
    world.announce(b, swarm(1));
    world.take(b);
    world.pass(millis(59_000));
    assert_eq!(world.take(b), [], "not before");
    world.pass(millis(1_500));
    assert_eq!(world.take(b), [Got::Left(swarm(1), world.peer(a))], "not much later");
}

#[test]
fn d2_a_killed_and_restarted_home_gives_its_peers_their_grace() {
    let config = |_: usize| Config {
        siblings: vec![SiblingConfig {
            id: Some(signaler_key(1).id()),
            url: Some("ws://1".into()),
            pinned: None,
        }],
        ..Config::default()
    };
    let mut world = World::linked(2, PAIR);
    let (a, gone, b) = (world.client(0, 1), world.client(0, 3), world.client(1, 2));
    for client in [a, gone, b] {
        world.announce(client, swarm(1));
    }
    world.pass(millis(100));
    world.take(b);
    world.kill(0);
    world.pass(millis(3_000));
    world.restart(0, config(0));
    world.pass(millis(2_000));
    let again = world.client(0, 1);
    world.announce(again, swarm(1));
    world.pass(millis(20_000));
    assert_eq!(world.take(b), [Got::Left(swarm(1), world.peer(gone))], "only who did not come back left");
}

#[test]
fn d3_dropping_one_of_two_homes_is_no_leave() {
    let mut world = World::linked(3, CHAIN);
    let watcher = world.client(2, 9);
    world.announce(watcher, swarm(1));
    let (first, second) = (world.client(0, 1), world.client(1, 1));
    world.announce(first, swarm(1));
    world.announce(second, swarm(1));
    world.pass(millis(100));
    let peer = world.peer(first);
    let joined: Vec<Got> =
        world.take(watcher).into_iter().filter(|got| matches!(got, Got::Joined(..))).collect();
    assert_eq!(joined.len(), 2, "once for each home: {joined:?}");
    world.leave(first, swarm(1));
    world.pass(millis(15_000));
    assert_eq!(world.take(watcher), []);
    world.drop_client(second);
    world.pass(millis(15_000));
    assert_eq!(world.take(watcher), [Got::Left(swarm(1), peer)]);
}

#[test]
fn d4_refreshes_keep_an_entry_and_without_them_it_expires_everywhere() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(a, swarm(1));
    world.announce(c, swarm(1));
    for _ in 0..30 {
        world.pass(millis(40_000));
        world.announce(a, swarm(1));
        world.announce(c, swarm(1));
    }
    world.pass(millis(100));
    assert!(!world.take(c).contains(&Got::Left(swarm(1), world.peer(a))));
    // The connection stays, the refreshes stop.
    for _ in 0..3 {
        world.pass(millis(39_000));
        world.announce(c, swarm(1));
    }
    world.take(c);
    world.pass(millis(3_500));
    assert_eq!(world.take(c), [Got::Left(swarm(1), world.peer(a))]);
    let left: Vec<Got> = world.take(a).into_iter().filter(|got| matches!(got, Got::Left(..))).collect();
    assert_eq!(left, []);
    assert!(world.members(1, swarm(1), 50).contains(&world.peer(c)));
    assert!(!world.members(0, swarm(1), 51).contains(&world.peer(a)));
}

#[test]
fn d5_a_signaler_that_shuts_down_says_so_for_its_peers() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(a, swarm(1));
    world.announce(c, swarm(1));
    world.pass(millis(100));
    world.take(a);
    world.take(c);
    world.shutdown(0);
    world.pass(millis(100));
    assert_eq!(world.take(a), [Got::Goodbye(Code::ShuttingDown), Got::Closed(Code::ShuttingDown)]);
    assert_eq!(world.take(c), [Got::Left(swarm(1), world.peer(a))]);
}

#[test]
fn d5_entries_behind_a_partition_expire_and_healing_restores_them() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    world.take(b);
    world.cut.insert((0, 1));
    for _ in 0..4 {
        world.pass(millis(40_000));
        world.announce(a, swarm(1));
        world.announce(b, swarm(1));
    }
    assert!(world.take(b).contains(&Got::Left(swarm(1), world.peer(a))));
    world.cut.clear();
    world.pass(millis(70_000));
    assert!(world.take(b).contains(&Got::Joined(world.peer(a), world.id(0))));
}

#[test]
fn d7_a_swarm_without_members_leaves_nothing_behind() {
    let mut world = World::linked(2, PAIR);
    let a = world.client(0, 1);
    for round in 0..40_u8 {
        for at in 0..50 {
            world.announce(a, swarm(round.wrapping_mul(50).wrapping_add(at)));
        }
        for at in 0..50 {
            world.leave(a, swarm(round.wrapping_mul(50).wrapping_add(at)));
        }
        world.pass(millis(1_000));
        assert_eq!(world.signaler(0).gauges().local_swarms, 0);
    }
    world.pass(millis(121_000));
    for at in 0..2 {
        let gauges = world.signaler(at).gauges();
        assert_eq!((gauges.swarms, gauges.entries), (0, 0));
    }
}

#[test]
fn a_tombstone_keeps_an_old_entry_out() {
    let mut world = World::linked(1, &[]);
    let a = world.client(0, 1);
    let entry = world.entry(a, swarm(1), false);
    let old = sign_entry(&world.clients[a].key, &entry);
    world.send(a, &ToSignaler::Announce { entry: &old });
    world.leave(a, swarm(1));
    world.take(a);
    world.send(a, &ToSignaler::Announce { entry: &old });
    assert_eq!(world.take(a), [Got::Error(Code::Replayed, None)]);
}

#[test]
fn entries_of_others_or_for_other_homes_are_refused() {
    let mut world = World::linked(1, &[]);
    let (a, b) = (world.client(0, 1), world.client(0, 2));
    let entry = world.entry(b, swarm(1), false);
    let others = sign_entry(&world.clients[b].key, &entry);
    world.send(a, &ToSignaler::Announce { entry: &others });
    assert_eq!(world.take(a), [Got::Error(Code::WrongParty, None)]);
    let mut entry = world.entry(a, swarm(1), false);
    entry.home = signaler_key(5).id();
    let elsewhere = sign_entry(&world.clients[a].key, &entry);
    world.send(a, &ToSignaler::Announce { entry: &elsewhere });
    assert_eq!(world.take(a), [Got::Error(Code::WrongParty, None)]);
    let mut entry = world.entry(b, swarm(1), false);
    entry.until = world.now.millis();
    let late = sign_entry(&world.clients[b].key, &entry);
    world.send(b, &ToSignaler::Announce { entry: &late });
    assert_eq!(world.take(b), [Got::Error(Code::Expired, None)]);
    let entry = world.entry(b, swarm(1), false);
    let mut forged = sign_entry(&world.clients[a].key, &entry);
    world.send(b, &ToSignaler::Announce { entry: &forged });
    assert_eq!(world.take(b), [Got::Error(Code::BadSignature, None)]);
    forged.truncate(40);
    world.send(b, &ToSignaler::Announce { entry: &forged });
    assert_eq!(world.take(b), [Got::Error(Code::BadFrame, None)]);
}

#[test]
fn more_members_than_fit_are_a_random_choice_of_them() {
    let mut world = World::linked(1, &[]);
    for key in 1..=180 {
        let client = world.client(0, key);
        world.announce(client, swarm(1));
    }
    let sample = |world: &mut World, key| {
        let asker = world.client(0, key);
        world.announce(asker, swarm(1));
        match world.take(asker).remove(0) {
            Got::Members(_, members, total) => (members, total),
            other => panic!("{other:?}"),
        }
    };
    let (one, total) = sample(&mut world, 190);
    let (other, _) = sample(&mut world, 191);
    assert_eq!((one.len(), other.len(), total), (128, 128, 180));
    assert_ne!(one, other);
}

#[test]
fn swarms_and_their_members_are_limited() {
    let limited = |config| Config { max_swarms_per_peer: 2, max_members_per_swarm: 3, ..config };
    let mut world = World::with(1, &[], limited);
    let a = world.client(0, 1);
    for at in 1..=3 {
        world.announce(a, swarm(at));
    }
    assert_eq!(world.take(a).pop(), Some(Got::Error(Code::TooManySwarms, None)));
    for key in 2..=4 {
        let client = world.client(0, key);
        world.announce(client, swarm(1));
        let full = world.take(client).contains(&Got::Error(Code::SwarmFull, None));
        assert_eq!(full, key == 4);
    }
}

#[test]
fn peers_are_told_of_turn_servers_and_again_before_their_credentials_expire() {
    let urls = vec!["turn:turn.example:3478?transport=udp".to_owned()];
    let turn = TurnConfig { urls: urls.clone(), secret: "secret".into(), life_s: 600 };
    let mut world = World::with(1, &[], |config| Config { turn: Some(turn.clone()), ..config });
    let peer = world.stranger(0, 2);
    assert_eq!(world.take(peer), [], "who has not said who it is learns nothing");
    world.authenticate(peer);
    let expiry = |got: &[Got]| match got {
        [Got::IceServers(told, until)] if *told == urls => *until,
        other => panic!("{other:?}"),
    };
    let got: Vec<Got> = world.take(peer).into_iter().filter(|got| *got != Got::Welcome).collect();
    let first = expiry(&got);
    let ping = ToSignaler::Ping { token: 7 };
    for _ in 0..29 {
        world.pass(millis(10_000));
        world.send(peer, &ping);
        assert_eq!(world.take(peer), [Got::Pong(7)]);
    }
    world.pass(millis(10_000));
    world.send(peer, &ping);
    let got: Vec<Got> = world.take(peer).into_iter().filter(|got| *got != Got::Pong(7)).collect();
    assert_eq!(expiry(&got), first + 300);
}
