//! More signalers than keep one swarm: who keeps what, who is told, and what comes and goes with them.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use weft_signaler_core::{Config, SiblingConfig, Signaler};
use weft_wire::sibling::{Sibling, Watching};
use weft_wire::signaler::ToSignaler;
use weft_wire::{Bytes, Code, DiscoveryKey, List, PeerId, SignalerId, encode, limits};
use world::{Got, World, millis, star, star_config, swarm};

fn settled(count: usize) -> World {
    let mut world = star(count);
    // Links within a second or two, then five seconds in which things settle.
    world.pass(millis(12_000));
    world
}

fn keepers(world: &World, at: usize, discovery: DiscoveryKey) -> BTreeSet<usize> {
    let chosen = world.signaler(at).residence(&discovery.0);
    (0..world.signalers.len()).filter(|at| chosen.contains(&world.id(*at))).collect()
}

/// A swarm that `at` does not keep, and one that it does.
fn elsewhere_and_here(world: &World, at: usize) -> (DiscoveryKey, DiscoveryKey) {
    let find = |here: bool| {
        let mut all = (100..=u8::MAX).map(swarm);
        all.find(|key| keepers(world, at, *key).contains(&at) == here).unwrap()
    };
    (find(false), find(true))
}

fn holders(world: &World, discovery: DiscoveryKey) -> BTreeSet<usize> {
    let has = |at: &usize| {
        world.signalers[*at].as_ref().is_some_and(|signaler| !signaler.entries(&discovery).is_empty())
    };
    (0..world.signalers.len()).filter(has).collect()
}

fn total(world: &World, count: impl Fn(&Signaler) -> u64) -> u64 {
    world.signalers.iter().flatten().map(count).sum()
}

fn byte(n: usize) -> u8 {
    u8::try_from(n).unwrap()
}

#[test]
fn a_swarm_is_kept_by_three_and_its_homes_and_nobody_else() {
    let mut world = settled(8);
    for n in 0..20_u8 {
        let client = world.client(usize::from(n % 8), n + 1);
        world.announce(client, swarm(n));
    }
    world.pass(millis(100));
    for n in 0..20_u8 {
        let mut expected = keepers(&world, 0, swarm(n));
        expected.insert(usize::from(n % 8));
        assert_eq!(holders(&world, swarm(n)), expected);
    }
    // And by those who keep it because members are there.
    let (at, home) = (5, 0);
    let (elsewhere, _) = elsewhere_and_here(&world, at);
    let (one, other) = (world.client(at, 50), world.client(home, 51));
    world.announce(other, elsewhere);
    world.announce(one, elsewhere);
    world.pass(millis(100));
    let mut expected = keepers(&world, 0, elsewhere);
    expected.extend([at, home]);
    assert_eq!(holders(&world, elsewhere), expected);
}

#[test]
fn up_to_three_signalers_keep_everything() {
    let mut world = settled(3);
    for n in 0..6_u8 {
        let client = world.client(usize::from(n % 3), n + 1);
        world.announce(client, swarm(n));
    }
    world.pass(millis(100));
    for n in 0..6 {
        assert_eq!(holders(&world, swarm(n)), BTreeSet::from([0, 1, 2]));
    }
    assert!((0..3).all(|at| world.signaler(at).gauges().watches == 0));
}

#[test]
fn d1_peers_at_any_two_homes_learn_of_each_other_once() {
    let mut world = settled(8);
    let mut key = 0;
    for one in 0..8 {
        for other in (0..8).step_by(3).filter(|other| *other != one) {
            let discovery = swarm(key);
            key += 2;
            let (a, b) = (world.client(one, key), world.client(other, key + 1));
            world.announce(a, discovery);
            world.pass(millis(20));
            world.announce(b, discovery);
            world.pass(millis(20));
            assert_eq!(
                world.take(a),
                [Got::Members(discovery, vec![], 0), Got::Joined(world.peer(b), world.id(other))]
            );
            assert_eq!(world.take(b), [Got::Members(discovery, vec![world.peer(a)], 1)]);
            world.leave(b, discovery);
            world.pass(millis(20));
            assert_eq!(world.take(a), [Got::Left(discovery, world.peer(b))]);
        }
    }
}

#[test]
fn refreshes_keep_what_others_keep_and_watch() {
    let mut world = settled(8);
    let (elsewhere, _) = elsewhere_and_here(&world, 1);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    for _ in 0..10 {
        world.announce(a, elsewhere);
        world.announce(b, elsewhere);
        world.pass(millis(40_000));
    }
    let (pa, pb) = (world.peer(a), world.peer(b));
    assert!(!world.take(a).contains(&Got::Left(elsewhere, pb)));
    assert!(!world.take(b).contains(&Got::Left(elsewhere, pa)));
    assert!(world.members(3, elsewhere, 9).is_superset(&BTreeSet::from([pa, pb])));
    assert_eq!(total(&world, |signaler| signaler.counters().misdirected), 0);
}

#[test]
fn a_fanout_reaches_every_home_that_has_members_also_right_after_the_announce() {
    let mut world = settled(8);
    let (elsewhere, _) = elsewhere_and_here(&world, 2);
    let others: Vec<usize> = [0, 1, 3, 5, 7].iter().map(|at| world.client(*at, 10 + byte(*at))).collect();
    for other in &others {
        world.announce(*other, elsewhere);
    }
    world.pass(millis(50));
    for other in &others {
        world.take(*other);
    }
    let sender = world.client(2, 1);
    let signed = {
        let entry = world.entry(sender, elsewhere, false);
        weft_crypto::statement::sign_entry(&world.clients[sender].key, &entry)
    };
    // Both before anybody could answer.
    world.queue(sender, &ToSignaler::Announce { entry: &signed });
    world.queue(sender, &ToSignaler::Fanout { re: 4, discovery: elsewhere, payload: b"all", ack: true });
    world.settle();
    world.pass(millis(50));
    assert!(world.take(sender).contains(&Got::Ack(4)));
    for other in others {
        let fanned = world.take(other).into_iter().filter(|got| *got == Got::Fanned(b"all".to_vec())).count();
        assert_eq!(fanned, 1, "{other}");
    }
}

#[test]
fn interest_is_only_where_members_are() {
    let mut world = settled(8);
    let watches = |world: &World| -> (usize, usize, usize) {
        let gauges: Vec<_> = world.signalers.iter().flatten().map(Signaler::gauges).collect();
        (
            gauges.iter().map(|gauges| gauges.watches).sum(),
            gauges.iter().map(|gauges| gauges.watched).sum(),
            gauges.iter().map(|gauges| gauges.entries).sum(),
        )
    };
    let (elsewhere, here) = elsewhere_and_here(&world, 1);
    let a = world.client(1, 1);
    world.announce(a, here);
    world.pass(millis(100));
    assert_eq!(watches(&world).0, 0, "it keeps it itself");
    world.announce(a, elsewhere);
    world.pass(millis(100));
    assert_eq!((watches(&world).0, watches(&world).1), (1, 1));
    // Refreshed, it goes on.
    for _ in 0..5 {
        world.pass(millis(40_000));
        world.announce(a, elsewhere);
    }
    assert_eq!((watches(&world).0, watches(&world).1), (1, 1));
    world.leave(a, elsewhere);
    world.pass(millis(100));
    assert_eq!((watches(&world).0, watches(&world).1), (0, 0));
    world.pass(millis(125_000));
    assert_eq!(watches(&world), (0, 0, 0), "nothing is left anywhere");
}

#[test]
fn a_peer_without_a_swarm_is_found_over_its_residence() {
    let mut world = settled(8);
    let to = world.client(6, 2);
    let peer = world.peer(to);
    let residence = world.signaler(0).residence(&peer.0);
    world.pass(millis(20));
    for at in 0..8 {
        let from = world.client(at, 100 + byte(at));
        world.sibling_frames.clear();
        world.forward(from, 1, peer, None, b"sealed");
        assert_eq!(world.take(from), [Got::Ack(1)]);
        assert_eq!(world.take(to), [Got::Deliver(b"sealed".to_vec())]);
        let frames: usize = world.sibling_frames.values().sum();
        // There and the outcome back: to the residence, to the home; a residence knows the home itself.
        let known = at == 6 || residence.contains(&world.id(at)) || residence.contains(&world.id(6));
        let most = if at == 6 {
            0
        } else if known {
            4.min(frames)
        } else {
            4
        };
        assert!(frames <= most && frames.is_multiple_of(2), "{frames} from {at}");
    }
    // Gone is gone, and unknown is unknown, without a flood.
    world.drop_client(to);
    let from = world.client(0, 99);
    world.sibling_frames.clear();
    world.forward(from, 2, peer, None, b"sealed");
    assert_eq!(world.take(from), [Got::Error(Code::UnknownPeer, Some(2))]);
    assert!(world.sibling_frames.values().sum::<usize>() <= 2);
}

#[test]
fn residences_follow_the_members() {
    let mut world = settled(6);
    let clients: Vec<usize> = (1..=20).map(|key| world.client(2, key)).collect();
    world.pass(millis(100));
    world.kill(5);
    world.pass(millis(20_000));
    world.restart(5, star_config(5, &[0]));
    world.pass(millis(20_000));
    for client in clients {
        let peer = world.peer(client);
        let residence = world.signaler(2).residence(&peer.0);
        for at in 0..6 {
            let from = world.client(at, 200);
            world.forward(from, 1, peer, None, b"sealed");
            assert_eq!(world.take(from), [Got::Ack(1)], "from {at}, residence {residence:?}");
        }
    }
    let residents: usize = (0..6).map(|at| world.signaler(at).gauges().residents).sum();
    // Twenty peers, told to those of the three that are not their home.
    assert!((40..=60 + 3).contains(&residents), "{residents}");
}

#[test]
fn a_peer_at_two_homes_stays_discoverable_when_one_dies() {
    let mut world = settled(8);
    let (first, second) = (world.client(1, 1), world.client(4, 1));
    let peer = world.peer(first);
    let discovery = swarm(3);
    let watcher = world.client(6, 2);
    for client in [first, second, watcher] {
        world.announce(client, discovery);
    }
    world.pass(millis(100));
    world.take(watcher);
    world.kill(1);
    for asker in 0..40 {
        let at = [0, 2, 3, 4, 5, 6, 7][asker % 7];
        assert!(world.members(at, discovery, 100 + byte(asker)).contains(&peer), "{asker} at {at}");
        let from = world.client(at, 200);
        world.forward(from, 1, peer, None, b"sealed");
        world.pass(millis(4_000));
        if asker % 9 == 8 {
            world.announce(second, discovery);
            world.announce(watcher, discovery);
        }
    }
    assert!(!world.take(watcher).contains(&Got::Left(discovery, peer)));
}

#[test]
fn what_the_dead_kept_is_kept_by_others_and_what_the_new_ones_keep_is_handed_over() {
    let mut world = settled(8);
    let mut clients = Vec::new();
    for n in 0..40_u8 {
        let client = world.client(usize::from(n % 7), n + 1);
        world.announce(client, swarm(n));
        clients.push(client);
    }
    world.pass(millis(100));
    let check = |world: &World, among: usize| {
        for n in 0..40_u8 {
            let mut expected = keepers(world, 0, swarm(n));
            assert_eq!(expected.len(), 3);
            expected.insert(usize::from(n % 7));
            assert_eq!(holders(world, swarm(n)), expected, "swarm {n} among {among}");
        }
    };
    world.kill(7);
    world.pass(millis(25_000));
    check(&world, 7);
    world.restart(7, star_config(7, &[0]));
    world.pass(millis(12_000));
    check(&world, 8);
    assert!(total(&world, |signaler| signaler.counters().handed_over) < 40, "homes saw to most of it");
}

#[test]
fn entries_of_a_dead_home_are_found_until_they_expire_whoever_keeps_them() {
    let mut world = settled(8);
    let discovery = swarm(5);
    let kept = keepers(&world, 0, discovery);
    let home = (0..8).find(|at| !kept.contains(at)).unwrap();
    let client = world.client(home, 1);
    let peer = world.peer(client);
    world.announce(client, discovery);
    world.pass(millis(100));
    world.kill(home);
    world.pass(millis(15_000));
    // Two of the three, one after another: those who follow get it from those who are left.
    for dead in kept.iter().take(2) {
        world.kill(*dead);
        world.pass(millis(20_000));
    }
    let running: Vec<usize> = (0..8).filter(|at| world.signalers[*at].is_some()).collect();
    for at in running {
        assert!(world.members(at, discovery, 60 + byte(at)).contains(&peer), "at {at}");
    }
}

#[test]
fn who_finds_out_late_that_others_are_dead_gets_what_it_keeps_instead_of_them() {
    for first in 0..6 {
        let mut world = settled(8);
        // All have just compared what they have, which they do each half minute.
        world.pass(millis(20_000));
        let dead = [first, first + 2];
        let living: Vec<usize> = (0..8).filter(|at| !dead.contains(at)).collect();
        for n in 0..60_u8 {
            let client = world.client(dead[usize::from(n % 2)], n + 1);
            world.announce(client, swarm(n));
        }
        world.pass(millis(100));
        // Their links stand, and nothing comes over them: each finds out by itself, one some seconds after another.
        for (at, dead) in living.iter().flat_map(|at| dead.map(|dead| (*at, dead))) {
            world.cut.insert((at, dead));
        }
        let lives = |world: &World, at: usize| {
            let members = world.signaler(at).gauges().members;
            members.iter().filter(|member| member.active).count() + 1 == living.len()
        };
        let began = world.now;
        while !living.iter().all(|at| lives(&world, *at)) {
            world.pass(millis(100));
            assert!(world.now < began + millis(30_000), "nobody is found dead");
        }
        // Until the last one takes things for settled, and a second.
        world.pass(millis(6_000));
        for n in 0..60 {
            let kept = keepers(&world, living[0], swarm(n));
            assert!(kept.is_subset(&holders(&world, swarm(n))), "{dead:?}: swarm {n} is kept by {kept:?}");
        }
    }
}

#[test]
fn what_was_lost_on_a_link_that_stood_is_found_by_comparing_and_costs_no_table() {
    let mut world = settled(2);
    for n in 0..200_u8 {
        let client = world.client(0, n + 1);
        world.announce(client, swarm(n));
        world.pass(millis(10));
    }
    let known = world.signaler(1).gauges().entries;
    assert_eq!(known, 200);
    // Too short for anybody to be taken for dead.
    world.cut.insert((0, 1));
    let lost = world.client(0, 250);
    world.announce(lost, swarm(250));
    world.pass(millis(500));
    world.cut.clear();
    let before = world.signaler(1).counters().sibling_bytes;
    world.pass(millis(35_000));
    assert_eq!(world.signaler(1).entries(&swarm(250)), [(world.peer(lost), world.id(0))]);
    assert_eq!(world.signaler(0).counters().repaired, 1);
    let bytes = world.signaler(1).counters().sibling_bytes - before;
    // Two summaries at most, the entry, and what members say of themselves; the table has 50 KB.
    assert!(bytes < 30_000, "{bytes}");
}

#[test]
fn who_has_nothing_to_offer_where_a_sibling_has_something_says_so_and_not_for_ever() {
    let mut world = settled(2);
    let client = world.client(0, 1);
    world.announce(client, swarm(7));
    world.pass(millis(31_000));
    let mut sums = vec![0; 256 * 8];
    sums[9 * 8] = 1;
    let summary = encode(&Sibling::Summary { ring: 0, whole: true, sums: Bytes(sums) });
    let mut answers = Vec::new();
    for _ in 0..20 {
        world.kinds.clear();
        world.between(1, 0, summary.clone());
        world.pass(millis(1_100));
        answers.push(world.kinds.get(&19).copied().unwrap_or_default());
    }
    assert_eq!(answers[0], 1, "{answers:?}");
    // Four, until both compare again after half a minute.
    assert!(
        answers[..4].iter().all(|count| *count == 1) && answers[4..14].iter().all(|count| *count == 0),
        "{answers:?}"
    );
}

#[test]
fn a_sibling_watches_and_names_no_more_than_its_share() {
    let limited = |at: usize, call: &[usize]| Config {
        max_watches_per_sibling: 3,
        max_connections: 10,
        ..star_config(at, call)
    };
    let mut world = World::of(vec![limited(0, &[]), limited(1, &[0])]);
    world.pass(millis(12_000));
    for n in 0..10 {
        let begin = Sibling::Watch { discovery: swarm(n), said: Watching::Begin, sum: 0, hops: 0 };
        world.between(1, 0, encode(&begin));
    }
    let peers = List::first((0..30).map(|n| PeerId([n; 32])));
    world.between(1, 0, encode(&Sibling::Connected { peers, gone: List::default() }));
    let (gauges, counters) = (world.signaler(0).gauges(), world.signaler(0).counters());
    assert_eq!((gauges.watched, counters.refused_watches), (3, 7));
    assert_eq!((gauges.residents, counters.refused_peers), (10, 20));
    // Said again, it goes on; not said again, it is over.
    world.pass(millis(131_000));
    assert_eq!(world.signaler(0).gauges().watched, 0);
    // And it still serves others.
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    world.pass(millis(20));
    assert!(world.take(a).contains(&Got::Joined(world.peer(b), world.id(1))));
}

#[test]
fn signalers_that_admit_only_the_one_in_the_middle_still_share_their_swarms() {
    let names = |at: usize, url: bool| SiblingConfig {
        id: Some(world::signaler_key(at).id()),
        url: url.then(|| format!("ws://{at}")),
        pinned: None,
    };
    let config = |at: usize, siblings| Config { siblings, open: false, ..star_config(at, &[]) };
    let middle = config(0, (1..5).map(|at| names(at, false)).collect());
    let outer = (1..5).map(|at| config(at, vec![names(0, true)]));
    let mut world = World::of([middle].into_iter().chain(outer).collect());
    // They know of one other member each, the one in the middle of four: after some summaries it tells them everything.
    world.pass(millis(60_000));
    for n in 0..12_u8 {
        let (one, other) = (1 + usize::from(n % 4), 1 + usize::from((n + 1) % 4));
        let (a, b) = (world.client(one, 2 * n + 1), world.client(other, 2 * n + 2));
        world.announce(a, swarm(n));
        world.pass(millis(20));
        world.announce(b, swarm(n));
        world.pass(millis(20));
        assert_eq!(world.take(a)[1..], [Got::Joined(world.peer(b), world.id(other))], "swarm {n}");
        assert_eq!(world.take(b), [Got::Members(swarm(n), vec![world.peer(a)], 1)], "swarm {n}");
    }
}

#[test]
fn a_sibling_of_the_version_before_gets_everything_and_its_peers_are_found_by_all() {
    // Linked with one that knows it, or with all.
    for call in [vec![0], vec![0, 1, 2, 3, 4]] {
        let old = 5;
        let mut calls = [vec![], vec![0], vec![0], vec![0], vec![0], call.clone()];
        let configs = (0..6).map(|at| star_config(at, &core::mem::take(&mut calls[at])));
        let mut world = World::of_some_old(configs.collect(), &[old]);
        world.pass(millis(15_000));
        assert_eq!(world.signaler(0).gauges().members.len(), 4, "it is no member");
        let mut pairs = Vec::new();
        for n in 0..20_u8 {
            let at = usize::from(n % 5);
            let (here, there) = (world.client(old, 2 * n + 1), world.client(at, 2 * n + 2));
            let (first, second) = if n % 2 == 0 { (here, there) } else { (there, here) };
            world.announce(first, swarm(n));
            world.pass(millis(30));
            world.announce(second, swarm(n));
            world.pass(millis(30));
            pairs.extend([(here, swarm(n)), (there, swarm(n))]);
            // In the list, or a moment later: who is linked with one alone has to wait for what that one asks for.
            for (client, other) in [(first, second), (second, first)] {
                let peer = world.peer(other);
                let tells = |got: &&Got| match got {
                    Got::Members(_, members, _) => members.contains(&peer),
                    Got::Joined(joined, _) => *joined == peer,
                    _ => false,
                };
                assert_eq!(world.take(client).iter().filter(tells).count(), 1, "swarm {n} at {at}");
            }
            if call.len() == 1 {
                continue;
            }
            // It has what nobody there asked for, as before: its siblings tell it all that they have.
            let lone = world.client(at, 100 + n);
            world.announce(lone, swarm(100 + n));
            world.pass(millis(30));
            assert_eq!(world.signaler(old).entries(&swarm(100 + n)).len(), 1);
            world.forward(here, 1, world.peer(lone), None, b"sealed");
            assert_eq!(world.take(here), [Got::Ack(1)]);
        }
        // Refreshed for longer than a TTL, and gone when they leave.
        for _ in 0..4 {
            world.pass(millis(40_000));
            for (client, discovery) in &pairs {
                world.announce(*client, *discovery);
            }
        }
        world.pass(millis(100));
        assert!((0..20).all(|n| world.signaler(old).entries(&swarm(n)).len() == 2));
    }
}

#[test]
fn an_entry_for_the_wrong_signaler_is_passed_on_once_and_does_not_stay() {
    let mut world = settled(8);
    let (elsewhere, _) = elsewhere_and_here(&world, 1);
    let home = (0..8).find(|at| *at != 1 && !keepers(&world, 0, elsewhere).contains(at)).unwrap();
    let client = world.client(home, 1);
    let peer = world.peer(client);
    let entry = world.entry(client, elsewhere, false);
    let signed = weft_crypto::statement::sign_entry(&world.clients[client].key, &entry);
    let frame = Sibling::Entries { entries: List::first([Bytes(signed)]), ring: None };
    world.between(home, 1, encode(&frame));
    world.pass(millis(50));
    let counters = world.signaler(1).counters();
    assert_eq!((counters.misdirected, counters.forwarded_once), (1, 1));
    assert!(world.members(3, elsewhere, 9).contains(&peer));
    world.pass(millis(121_000));
    assert!(holders(&world, elsewhere).is_empty());
}

#[test]
fn who_neither_keeps_nor_wants_a_swarm_asks_for_nothing_of_it_and_a_lookup_right_after_does() {
    let mut world = settled(8);
    let (elsewhere, _) = elsewhere_and_here(&world, 1);
    let keeper = keepers(&world, 0, elsewhere).into_iter().next().unwrap();
    let client = world.client(keeper, 1);
    world.announce(client, elsewhere);
    world.pass(millis(50));
    let misdirected = world.signaler(1).counters().misdirected;
    world.kinds.clear();
    let offer = Sibling::Offer { discovery: elsewhere, names: Bytes(vec![7; limits::NAME_BYTES]) };
    world.between(keeper, 1, encode(&offer));
    world.pass(millis(50));
    assert_eq!(world.kinds.get(&16), None, "something was asked for");
    assert_eq!(world.signaler(1).counters().misdirected, misdirected + 1);
    assert_eq!(world.members(1, elsewhere, 9), BTreeSet::from([world.peer(client)]));
}

#[test]
fn who_stops_right_after_somebody_came_says_so_to_everybody_and_is_done() {
    let mut world = settled(6);
    let clients: Vec<usize> = (0..12).map(|n| world.client(0, n + 1)).collect();
    for (n, client) in (0..).zip(&clients) {
        world.announce(*client, swarm(n));
    }
    world.pass(millis(100));
    world.kill(5);
    world.pass(millis(20_000));
    world.restart(5, star_config(5, &[0]));
    // Not compared yet: somebody came a moment ago.
    world.shutdown(0);
    world.pass(millis(3_000));
    for n in 0..12 {
        assert_eq!(holders(&world, swarm(n)), BTreeSet::new(), "swarm {n}");
    }
}

#[test]
fn a_watch_at_somebody_else_goes_to_those_who_keep_the_swarm_once_they_know_the_same_members() {
    let mut world = settled(6);
    let (elsewhere, _) = elsewhere_and_here(&world, 0);
    let kept = keepers(&world, 0, elsewhere);
    // By their own word they all know others than signaler 0 does, for a while.
    let other = Sibling::Summary { ring: 7, whole: false, sums: Bytes(Vec::new()) };
    for _ in 0..7 {
        for keeper in &kept {
            world.between(*keeper, 0, encode(&other));
        }
        world.pass(millis(1_100));
    }
    let client = world.client(0, 1);
    world.announce(client, elsewhere);
    world.pass(millis(100));
    let mut expected = kept;
    expected.insert(0);
    let helped = |world: &World| holders(world, elsewhere).difference(&expected).count();
    assert_eq!(helped(&world), 1, "somebody else is asked meanwhile");
    // They compare, and a watch is said again.
    for _ in 0..2 {
        world.pass(millis(30_000));
        world.announce(client, elsewhere);
    }
    world.pass(millis(100));
    assert_eq!(helped(&world), 0);
    assert_eq!(holders(&world, elsewhere), expected);
    let watched = |at: usize| world.signaler(at).gauges().watched;
    assert_eq!(expected.iter().map(|at| watched(*at)).sum::<usize>(), 1);
    assert_eq!((0..6).map(watched).sum::<usize>(), 1, "at one of those who keep it, and nowhere else");
}

/// Everybody knows everybody, a moment ago.
fn is_complete(world: &World) -> bool {
    world.signalers.iter().flatten().map(Signaler::gauges).all(|gauges| {
        let others = world.signalers.len() - 1;
        gauges.members.iter().filter(|member| member.active).count() == others
            && gauges.siblings.iter().filter(|sibling| sibling.up).count() == others
    })
}

#[test]
fn who_comes_while_signalers_still_find_each_other_is_told_to_those_who_are_there() {
    // Everybody is linked with everybody before it is known for a moment who is there.
    let hasty = |at: usize, call: &[usize]| Config { redial_min_ms: 50, ..star_config(at, call) };
    for round in 0..10_u64 {
        let mut world = World::of((0..5).map(|at| hasty(at, if at == 0 { &[] } else { &[0] })).collect());
        // They come one after another, and hear of each other at different times.
        (1..5).for_each(|at| world.kill(at));
        world.pass(millis(15_000));
        for at in 1..5 {
            world.restart(at, hasty(at, &[0]));
            world.pass(millis((round * 37 + at as u64 * 61) % 290));
        }
        while !is_complete(&world) {
            world.pass(millis(5));
        }
        world.pass(millis(round % 5 * 60));
        let watchers: Vec<usize> = (0..5).map(|at| world.client(at, 10 + byte(at))).collect();
        let late = world.client(0, 1);
        for watcher in &watchers {
            (0..6).for_each(|n| world.announce(*watcher, swarm(n)));
        }
        world.pass(millis(5));
        (0..6).for_each(|n| world.announce(late, swarm(n)));
        world.pass(millis(1_500));
        for watcher in watchers {
            let news = Got::Joined(world.peer(late), world.id(0));
            let told = world.take(watcher).into_iter().filter(|got| *got == news).count();
            assert_eq!(told, 6, "round {round}, {watcher}");
        }
    }
}

/// A minute in which nothing happens: what signalers say to each other then, and how often they wake.
fn assert_quiet(world: &mut World) {
    let count = world.signalers.iter().flatten().count();
    let gauges = world.signalers.iter().flatten().map(Signaler::gauges);
    let watches: usize = gauges.map(|gauges| gauges.watches).sum();
    world.kinds.clear();
    world.ticks = 0;
    world.pass(millis(60_000));
    for (kind, frames) in &world.kinds {
        // A minute has parts of three half minutes.
        let most = match kind {
            // Gossip: a ping each second with its answer, and one is asked for news each half minute.
            13 => count * 2 * (61 + 3),
            // Watch: the three that keep it are asked each half minute, and answer.
            17 => watches * 2 * 3 * 3,
            // Summary: over each link each way, each half minute.
            19 => count * (count - 1) * 3,
            _ => 0,
        };
        assert!(*frames <= most, "{frames} of kind {kind}, not {most}: {:?}", world.kinds);
    }
    assert!(world.ticks <= count * 60 * 4, "woken {} times", world.ticks);
}

#[test]
fn where_nothing_happens_signalers_only_ask_whether_the_others_live_and_compare() {
    for count in [2, 3, 8] {
        let mut world = settled(count);
        for n in 0..24_u8 {
            let client = world.client(usize::from(n) % count, n + 1);
            world.announce(client, swarm(n / 3));
        }
        // News of members are told ten times, once each half second or second.
        world.pass(millis(30_000));
        assert_quiet(&mut world);
        for at in 0..count {
            let asked = world.members(at, swarm(0), 100 + byte(at)).len();
            assert!(asked >= 3, "everybody is there");
        }
    }
}

/// What happens: signalers, clients that come and go, in swarms.
struct Story {
    world: World,
    count: usize,
    /// By client: in which swarms it is.
    joined: BTreeMap<usize, BTreeSet<DiscoveryKey>>,
    keys: u8,
}

impl Story {
    fn new(count: usize) -> Self {
        Self { world: settled(count), count, joined: BTreeMap::new(), keys: 0 }
    }

    fn open(&self) -> Vec<usize> {
        self.joined.keys().copied().filter(|client| self.world.clients[*client].open).collect()
    }

    /// Time passes, and everybody refreshes.
    fn pass(&mut self, mut time: u64) {
        while time > 0 {
            let step = time.min(30_000);
            self.world.pass(millis(step));
            time -= step;
            for client in self.open() {
                for discovery in self.joined[&client].clone() {
                    self.world.announce(client, discovery);
                }
            }
        }
    }

    fn join(&mut self, at: usize, discovery: DiscoveryKey) {
        if self.world.signalers[at].is_none() || self.open().len() >= 12 || self.keys >= 150 {
            return;
        }
        self.keys += 1;
        let client = self.world.client(at, self.keys);
        self.world.announce(client, discovery);
        self.joined.insert(client, BTreeSet::from([discovery]));
    }

    fn leave(&mut self, which: usize, drops: bool) {
        let open = self.open();
        let Some(client) = open.get(which % open.len().max(1)).copied() else { return };
        if drops {
            self.world.drop_client(client);
            return;
        }
        for discovery in std::mem::take(self.joined.get_mut(&client).unwrap()) {
            self.world.leave(client, discovery);
        }
    }

    fn start(&mut self, at: usize) {
        let config = star_config(at, if at == 0 { &[] } else { &[0] });
        let cards = self.world.cards.iter().filter(|((whose, _), _)| *whose == at);
        let cards = cards.map(|(_, card)| card.clone()).collect();
        self.world.restart(at, Config { cards, ..config });
    }

    fn stop(&mut self, at: usize, gracefully: bool) {
        if gracefully { self.world.shutdown(at) } else { self.world.kill(at) }
    }

    fn living(&self, discovery: DiscoveryKey) -> BTreeSet<(PeerId, SignalerId)> {
        let joined = self.open().into_iter().filter(|client| self.joined[client].contains(&discovery));
        joined
            .map(|client| (self.world.peer(client), self.world.id(self.world.clients[client].server)))
            .collect()
    }

    /// Every signaler that runs finds everybody.
    fn assert_found(&mut self, discovery: DiscoveryKey, what: &str) {
        let living: BTreeSet<PeerId> = self.living(discovery).into_iter().map(|(peer, _)| peer).collect();
        for at in 0..self.count {
            if self.world.signalers[at].is_none() {
                continue;
            }
            let asker = self.world.client(at, 200 + u8::try_from(at).unwrap());
            self.world.announce(asker, discovery);
            // The wait for an answer that does not come.
            self.world.pass(millis(1_100));
            let mut found = BTreeSet::new();
            for got in self.world.take(asker) {
                match got {
                    Got::Members(_, members, _) => found.extend(members),
                    Got::Joined(peer, _) => _ = found.insert(peer),
                    Got::Left(_, peer) => _ = found.remove(&peer),
                    _ => {}
                }
            }
            self.world.leave(asker, discovery);
            self.world.drop_client(asker);
            assert!(
                found.is_superset(&living),
                "{what}: at {at} of swarm {discovery:?}: {found:?}, not {living:?}"
            );
        }
    }

    /// Everybody has what it should have and nothing else.
    fn assert_exact(&self, swarms: u8) {
        for discovery in (0..swarms).map(swarm) {
            let living = self.living(discovery);
            let kept = keepers(&self.world, 0, discovery);
            for at in 0..self.count {
                let has: BTreeSet<_> = self.world.signaler(at).entries(&discovery).into_iter().collect();
                let id = self.world.id(at);
                let own: BTreeSet<_> = living.iter().copied().filter(|(_, home)| *home == id).collect();
                let expected = if kept.contains(&at) || !own.is_empty() { living.clone() } else { own };
                assert_eq!(has, expected, "at {at}, swarm {discovery:?}, kept by {kept:?}");
            }
        }
    }
}

const SWARMS: u8 = 5;

/// Runs steps; at the end everything runs and nothing is cut.
fn happened(steps: &[(u8, usize, u8)]) -> Story {
    let mut story = Story::new(6);
    for (what, at, which) in steps.iter().copied() {
        let discovery = swarm(which % SWARMS);
        let runs = story.world.signalers[at].is_some();
        match what {
            0 | 1 if runs => story.stop(at, what == 1),
            0 | 1 => story.start(at),
            2 => {
                // Halves, whichever.
                for one in 0..6 {
                    for other in (0..6).filter(|other| (which >> one & 1) < (which >> other & 1)) {
                        story.world.cut.insert((one, other));
                    }
                }
            }
            3 => story.world.cut.clear(),
            4 | 5 => story.join(at, discovery),
            6 => story.leave(at, which % 2 == 0),
            _ => story.pass(u64::from(which) * 150),
        }
    }
    story.world.cut.clear();
    for at in 0..6 {
        if story.world.signalers[at].is_none() {
            story.start(at);
        }
    }
    story
}

/// What the property below found: somebody who was taken for a stranger for a while, and a swarm that was watched on its behalf
/// ever after.
#[test]
fn what_is_watched_for_somebody_else_ends_when_that_one_knows_the_others() {
    #[rustfmt::skip]
    let steps = [
        (1, 1, 42), (8, 3, 8), (3, 1, 65), (8, 2, 246), (2, 2, 130), (4, 5, 33), (3, 5, 14), (3, 5, 211), (0, 4, 29), (2, 5, 39), (7, 4, 218), (8, 5, 229), (8, 2, 42), (0, 0, 206), (4, 3, 132), (7, 1, 203), (5, 2, 171), (7, 4, 198), (4, 4, 93), (2, 1, 211), (4, 0, 157), (0, 1, 230), (6, 4, 40), (8, 5, 98), (7, 4, 66),
    ];
    let mut story = happened(&steps);
    story.pass(60_000 + 45_000 + 30_000 + 125_000);
    story.assert_exact(SWARMS);
}

/// The same, and a swarm that was watched at somebody else ever after, though those who keep it had long been known again.
#[test]
fn nobody_else_is_asked_for_a_swarm_once_those_who_keep_it_are_known() {
    #[rustfmt::skip]
    let steps = [
        (1, 4, 0), (1, 3, 0), (4, 5, 0), (0, 2, 0), (2, 0, 223), (7, 0, 138), (7, 0, 114), (0, 1, 0), (2, 0, 0), (7, 0, 207), (7, 0, 21), (0, 1, 0), (0, 1, 0), (4, 0, 44),
    ];
    let mut story = happened(&steps);
    story.pass(60_000 + 45_000 + 30_000 + 125_000);
    story.assert_exact(SWARMS);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_everybody_has_what_it_should_have_whatever_happened(
        steps in prop::collection::vec((0..9_u8, 0..6_usize, any::<u8>()), 0..30),
    ) {
        let mut story = happened(&steps);
        // The longest wait for a call, a false suspicion, the next comparison, and then a whole TTL.
        story.pass(60_000 + 45_000 + 30_000 + 125_000);
        story.assert_exact(SWARMS);
        // The last refreshes are on their way.
        story.world.pass(millis(1_000));
        assert_quiet(&mut story.world);
        story.assert_exact(SWARMS);
        for which in 0..SWARMS {
            story.assert_found(swarm(which), "in the end");
        }
    }

    #[test]
    fn nobody_is_lost_to_a_lookup_while_signalers_come_and_go(
        steps in prop::collection::vec((0..5_u8, 0..6_usize, any::<u8>()), 1..14),
    ) {
        let mut story = Story::new(6);
        for which in 0..SWARMS {
            story.join(usize::from(which), swarm(which));
        }
        story.pass(1_000);
        for (what, at, which) in steps {
            let running = story.world.signalers.iter().flatten().count();
            match what {
                0 | 1 if story.world.signalers[at].is_none() => story.start(at),
                // What was lost has been made up for before the next one goes.
                0 | 1 if running > 4 => {
                    story.pass(20_000);
                    story.stop(at, what == 1);
                }
                2 => story.join(at, swarm(which % SWARMS)),
                3 => story.leave(at, which % 2 == 0),
                _ => story.pass(u64::from(which) * 20),
            }
            story.assert_found(swarm(which % SWARMS), &format!("{what} at {at}"));
        }
    }
}
