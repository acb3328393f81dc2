use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed};
use weft_peer_core::{
    Command, Event, HomeIndex, IceState, Input, Keys, LinkState, PeerChange, SignalerState,
};
use weft_wire::signaler::FromSignaler;
use weft_wire::{List, Text, encode};

use crate::world::{World, everything};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn d8_two_peers_that_dial_at_once_end_up_with_exactly_one_connection() {
    for seed in 0..1000 {
        let mut world = World::new(seed, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        world.join(a, "p");
        // From at once to 40 ms apart: every crossing of announces, knocks and offers occurs.
        world.run(Duration::from_micros(seed * 40));
        world.join(b, "p");
        assert!(world.run_until(SECOND, |w| w.linked(a, b)).is_some(), "seed {seed}: stuck");
        world.run(SECOND * 15);
        assert_eq!(world.connections_made, 1, "seed {seed}");
        assert_eq!(world.open_connections(), 1, "seed {seed}");
        assert!(world.linked(a, b), "seed {seed}");
    }
}

#[test]
fn a_pair_needs_two_signaler_messages() {
    let mut world = World::new(1, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    world.run(SECOND);
    world.join(b, "p");
    let took = world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    // Of which 89 ms are on the way: the candidates, which come at once, hold each description for 2 ms, not for 10.
    assert!(took < Duration::from_millis(100), "{took:?}");
    // An offer and an answer; a knock as well if the higher one was the first to know.
    assert!(world.forwards <= 3, "{}", world.forwards);
}

#[test]
fn lost_signals_are_sent_again() {
    for seed in 0..50 {
        let mut world = World::new(seed, 1);
        world.drop_forwards = 50;
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        world.join(a, "p");
        world.join(b, "p");
        assert!(world.run_until(SECOND * 60, |w| w.linked(a, b)).is_some(), "seed {seed}");
    }
}

#[test]
fn m4_a_signaler_that_alters_signals_prevents_the_link_and_is_reported() {
    let mut world = World::new(1, 1);
    world.tamper = true;
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    world.join(b, "p");
    world.run(SECOND * 30);
    assert_eq!(world.connections_made, 0);
    let reported = |event: &Event| matches!(event, Event::Warning { code: "bad-envelope", .. });
    assert!(world.count(a, reported) + world.count(b, reported) > 0);
    world.tamper = false;
    assert!(world.run_until(SECOND * 30, |w| w.linked(a, b)).is_some());
}

#[test]
fn d12_a_peer_that_was_cut_off_is_back_within_ten_seconds_and_has_lost_nothing() {
    for away in [3, 9, 20, 45, 100] {
        let mut world = World::new(away, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        let got = world.subscribe(b, party, &everything(), false);
        world.run(SECOND);
        world.cut(b);
        for n in 0..10 {
            world.publish(a, party, n);
            world.run(Duration::from_secs(away) / 10);
        }
        world.restore(b);
        let all: Vec<i64> = (0..10).collect();
        let back = world.run_until(SECOND * 10, |w| w.numbers(b, got) == all);
        assert!(back.is_some(), "away {away} s: {:?}", world.numbers(b, got));
        world.publish(a, party, 10);
        world.run(SECOND);
        assert_eq!(world.numbers(b, got).len(), 11, "away {away} s");
    }
}

#[test]
fn d12_a_channel_that_stays_stuck_when_its_connection_is_restored_is_replaced_and_nothing_is_lost() {
    for (stuck, replaced) in [(100, false), (700, false), (3000, true), (40_000, true)] {
        for seed in 0..4 {
            let mut world = World::new(seed, 1);
            let (a, b) = (world.add(&[0]), world.add(&[0]));
            let party = world.join(a, "p");
            world.join(b, "p");
            world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
            let got = [a, b].map(|node| world.subscribe(node, party, &everything(), false));
            world.run(SECOND);
            let before = world.connections_made;
            world.stuck = Duration::from_millis(stuck);
            world.cut(b);
            for n in 0..10 {
                world.publish(a, party, n);
                world.publish(b, party, n);
                world.run(SECOND * 3);
            }
            world.restore(b);
            let all: Vec<i64> = (0..10).collect();
            let both = |w: &World| w.numbers(a, got[0]) == all && w.numbers(b, got[1]) == all;
            let took = world.run_until(SECOND * 5, both);
            assert!(took.is_some_and(|took| took < SECOND * 2), "stuck {stuck}, seed {seed}: {took:?}");
            assert_eq!(world.connections_made > before, replaced, "stuck {stuck}, seed {seed}");
            world.run(SECOND * 30);
            assert!(world.connections_made <= before + 1, "stuck {stuck}, seed {seed}: again and again");
            assert!(both(&world) && world.linked(a, b), "stuck {stuck}, seed {seed}");
        }
    }
}

#[test]
fn d12_a_channel_and_a_signalers_socket_that_both_stay_stuck_are_replaced_within_three_seconds() {
    for (seed, away) in (0..6).flat_map(|seed| [10, 20, 30, 40].map(|away| (seed, away))) {
        let mut world = World::new(seed, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        let got = [a, b].map(|node| world.subscribe(node, party, &everything(), false));
        world.run(SECOND);
        world.stuck = SECOND * 60;
        world.sockets_stay_stuck = true;
        world.cut(b);
        world.run(SECOND * away);
        world.publish(a, party, 1);
        world.publish(b, party, 2);
        world.restore(b);
        let both = |w: &World| w.numbers(a, got[0]) == [2] && w.numbers(b, got[1]) == [1];
        let took = world.run_until(SECOND * 20, both);
        assert!(took.is_some_and(|took| took < SECOND * 3), "away {away} s, seed {seed}: {took:?}");
    }
}

#[test]
fn without_a_signaler_a_restored_connection_is_kept_however_silent() {
    for signaler in [true, false] {
        let mut world = World::new(2, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        world.run(SECOND);
        if !signaler {
            world.kill_signaler(0);
            world.run(SECOND);
        }
        world.slowness = SECOND * 5;
        let link = world.link_of(a);
        for state in [IceState::Disconnected, IceState::Connected] {
            world.input(a, Input::IceChanged { link, state });
        }
        world.run(SECOND * 3);
        assert_eq!(world.linked(a, b), !signaler, "with a signaler: {signaler}");
    }
}

#[test]
fn a_reloaded_page_is_linked_again_and_nobody_sees_a_ghost() {
    let mut world = World::new(3, 1);
    let keys =
        Keys { identity: IdentityKey::new(&Seed::new([1; 32])), peer: PeerKey::new(&Seed::new([2; 32])) };
    let a = world.add(&[0]);
    let b = world.add_keys(keys.clone(), &[0], |_| {});
    let party = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let got = world.subscribe(a, party, &everything(), false);
    world.publish(b, party, 1);
    world.run(SECOND);
    world.kill(b);
    let again = world.add_keys(keys, &[0], |_| {});
    world.join(again, "p");
    assert!(world.run_until(SECOND * 3, |w| w.linked(a, again)).is_some());
    world.publish(again, party, 2);
    world.run(SECOND);
    assert_eq!(world.numbers(a, got), [1, 2]);
    assert_eq!(world.nodes[a].peer.peers(&party).len(), 1);
}

#[test]
fn who_crashed_and_is_back_with_the_same_keys_is_linked_again_at_once() {
    for (away, first) in [(2, 1), (2, 5), (8, 1), (8, 5), (15, 1), (15, 5)] {
        let mut world = World::new(3, 1);
        let keys = |n| Keys {
            identity: IdentityKey::new(&Seed::new([n; 32])),
            peer: PeerKey::new(&Seed::new([n + 1; 32])),
        };
        let a = world.add_keys(keys(first), &[0], |_| {});
        let b = world.add_keys(keys(6 - first), &[0], |_| {});
        world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        world.crash(b);
        world.run(SECOND * away);
        let again = world.add_keys(keys(6 - first), &[0], |_| {});
        let party = world.join(again, "p");
        let both_see = |world: &World| {
            let linked = |node: usize| world.nodes[node].peer.peers(&party).iter().any(|peer| peer.linked);
            linked(a) && linked(again)
        };
        let took = world.run_until(SECOND * 60, both_see).expect("a link");
        assert!(took < SECOND * 3, "after {away} s, {first}: {took:?}");
    }
}

#[test]
fn who_ends_at_any_moment_of_a_handshake_and_is_back_with_the_same_keys_is_linked_in_three_seconds() {
    // Either side offers.
    for own in [10, 30] {
        for moment in 0..60 {
            let mut world = World::new(moment, 1);
            let keys = |n: u8| Keys {
                identity: IdentityKey::new(&Seed::new([n; 32])),
                peer: PeerKey::new(&Seed::new([n + 1; 32])),
            };
            let a = world.add_keys(keys(40 - own), &[0], |_| {});
            let b = world.add_keys(keys(own), &[0], |_| {});
            world.join(a, "p");
            world.run(SECOND);
            world.join(b, "p");
            world.run(Duration::from_millis(2 * moment));
            world.crash(b);
            world.run(Duration::from_millis(150));
            let again = world.add_keys(keys(own), &[0], |_| {});
            world.join(again, "p");
            let linked = world.run_until(SECOND * 3, |w| w.linked(a, again));
            assert!(linked.is_some(), "own keys {own}, ended after {} ms", 2 * moment);
        }
    }
}

#[test]
fn q8_open_links_outlive_their_signaler_and_new_ones_use_another_within_a_second() {
    let mut world = World::new(4, 2);
    let (a, b) = (world.add(&[0, 1]), world.add(&[0, 1]));
    let party = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let got = world.subscribe(b, party, &everything(), false);
    world.kill_signaler(0);
    world.publish(a, party, 1);
    world.run(SECOND);
    assert_eq!(world.numbers(b, got), [1]);
    assert!(world.linked(a, b));
    let c = world.add(&[0, 1]);
    world.join(c, "p");
    assert!(world.run_until(SECOND, |w| w.linked(a, c) && w.linked(b, c)).is_some());
}

#[test]
fn a_signaler_that_returns_is_used_again() {
    let mut world = World::new(5, 1);
    let a = world.add(&[0]);
    let up = |event: &Event| matches!(event, Event::Signaler { state: SignalerState::Connected { .. }, .. });
    world.run(SECOND);
    assert_eq!(world.count(a, up), 1);
    world.kill_signaler(0);
    world.run(SECOND * 60);
    world.revive_signaler(0);
    assert!(world.run_until(SECOND * 6, |w| w.count(a, up) == 2).is_some());
}

#[test]
fn a_peer_keeps_a_bounded_number_of_links_and_a_newcomer_always_finds_a_place() {
    let mut world = World::new(6, 1);
    let nodes: Vec<usize> = (0..30).map(|_| world.add(&[0])).collect();
    for &node in &nodes {
        world.join(node, "p");
        world.run(Duration::from_millis(300));
    }
    world.run(SECOND * 30);
    for &node in &nodes {
        let links = nodes.iter().filter(|&&other| other != node && world.linked(node, other)).count();
        assert!((1..=7).contains(&links), "node {node} has {links} links");
    }
}

#[test]
fn a_blocked_peer_gets_no_link_and_its_documents_still_travel_around() {
    let mut world = World::new(7, 1);
    let (a, b, c) = (world.add(&[0]), world.add(&[0]), world.add(&[0]));
    let (id_a, id_c) = (world.id(a), world.id(c));
    world.command(a, Command::Block { peer: id_c });
    world.command(c, Command::Block { peer: id_a });
    let mut party = None;
    for node in [a, b, c] {
        party = Some(world.join(node, "p"));
    }
    let got = world.subscribe(c, party.unwrap(), &everything(), false);
    world.run_until(SECOND * 3, |w| w.linked(a, b) && w.linked(b, c)).unwrap();
    world.run(SECOND);
    world.publish(a, party.unwrap(), 1);
    world.run(SECOND);
    assert!(!world.linked(a, c));
    assert_eq!(world.numbers(c, got), [1]);
}

#[test]
fn leaving_closes_what_is_not_needed_and_says_so() {
    let mut world = World::new(8, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    world.run(SECOND);
    world.command(b, Command::Leave { discovery: party });
    world.run(SECOND);
    assert!(!world.linked(a, b));
    let left = |event: &Event| matches!(event, Event::Peer { change: PeerChange::Left, .. });
    assert_eq!(world.count(a, left), 1);
    assert!(world.nodes[a].peer.peers(&party).is_empty());
    assert_eq!(world.open_connections(), 0);
}

#[test]
fn a_link_is_shared_by_two_parties_and_outlives_one_of_them() {
    let mut world = World::new(9, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let one = world.join(a, "one");
    world.join(b, "one");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let two = world.join(a, "two");
    world.join(b, "two");
    let got = world.subscribe(b, two, &everything(), false);
    world.run(SECOND);
    assert_eq!(world.connections_made, 1);
    world.command(a, Command::Leave { discovery: one });
    world.run(SECOND);
    world.publish(a, two, 5);
    world.run(SECOND);
    assert_eq!(world.numbers(b, got), [5]);
    assert!(world.linked(a, b));
}

#[test]
fn every_link_that_opened_is_told_to_close_or_stays_open() {
    let mut world = World::new(10, 1);
    let nodes: Vec<usize> = (0..8).map(|_| world.add(&[0])).collect();
    for &node in &nodes {
        world.join(node, "p");
    }
    world.run(SECOND * 5);
    world.kill(nodes[0]);
    world.run(SECOND * 30);
    let gone = world.id(nodes[0]);
    for &node in &nodes[1..] {
        let last = world.nodes[node].events.iter().rev().find_map(|event| match event {
            Event::Link { peer, state } if *peer == gone => Some(state.clone()),
            _ => None,
        });
        assert!(matches!(last, None | Some(LinkState::Closed { .. })), "{last:?}");
        let discovery = weft_crypto::Party::open("p").discovery();
        assert_eq!(world.nodes[node].peer.peers(&discovery).len(), 6);
    }
}

#[test]
fn parties_that_are_left_and_joined_again_are_linked_again_at_once() {
    let mut world = World::new(11, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    for round in 0..8 {
        let party = world.join(a, "p");
        world.join(b, "p");
        let took = world.run_until(SECOND * 20, |w| w.linked(a, b)).unwrap();
        assert!(took < SECOND, "round {round}: {took:?}");
        world.run(Duration::from_millis(200));
        world.command(a, Command::Leave { discovery: party });
        world.command(b, Command::Leave { discovery: party });
        world.run(SECOND);
    }
}

#[test]
fn d3_a_home_that_a_peer_has_lost_is_not_named_any_more() {
    let mut world = World::new(1, 2);
    let (watcher, other) = (world.add(&[1]), world.add(&[0, 1]));
    let party = world.join(watcher, "p");
    world.join(other, "p");
    let names = |world: &World, count: usize| {
        world.nodes[watcher].peer.peers(&party).iter().any(|peer| peer.homes.len() == count)
    };
    assert!(world.run_until(SECOND * 5, |world| names(world, 2)).is_some());
    world.kill_signaler(0);
    assert!(world.run_until(SECOND * 15, |world| names(world, 1)).is_some());
    let left = |event: &Event| matches!(event, Event::Peer { change: PeerChange::Left, .. });
    assert_eq!(world.count(watcher, left), 0);
}

/// Two that are not linked and know each other through a third, and the third; all at one signaler.
fn two_apart(world: &mut World) -> [usize; 3] {
    let [left, middle, right] = std::array::from_fn(|_| world.add(&[0]));
    for (one, other) in [(left, right), (right, left)] {
        let peer = world.id(other);
        world.command(one, Command::Block { peer });
    }
    for node in [left, middle, right] {
        world.join(node, "p");
    }
    let both = |w: &World| w.linked(left, middle) && w.linked(middle, right);
    assert!(world.run_until(SECOND * 3, both).is_some());
    world.run(SECOND * 12);
    [left, middle, right]
}

#[test]
fn q9_with_every_signaler_dead_peers_that_know_each_other_through_another_link_over_the_mesh() {
    for seed in 0..20 {
        let mut world = World::new(seed, 1);
        let [left, _, right] = two_apart(&mut world);
        world.kill_signaler(0);
        // Until everybody has said that it has no home any more, and nothing that a signaler said counts.
        world.run(SECOND * 130);
        for (one, other) in [(left, right), (right, left)] {
            let peer = world.id(other);
            world.command(one, Command::Unblock { peer });
        }
        assert!(world.run_until(SECOND * 15, |w| w.linked(left, right)).is_some(), "seed {seed}");
    }
}

#[test]
fn d13_who_is_gone_without_a_word_is_offline_after_twenty_seconds() {
    for seed in 0..20 {
        let mut world = World::new(seed, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(a, "p");
        world.join(b, "p");
        assert!(world.run_until(SECOND, |w| w.linked(a, b)).is_some());
        world.run(SECOND * 15);
        world.crash(b);
        let gone = |w: &World| w.nodes[a].peer.peers(&party).is_empty();
        assert!(world.run_until(SECOND * 21, gone).is_some(), "seed {seed}");
    }
}

#[test]
fn turn_servers_of_signalers_are_used_as_long_as_their_credentials_last() {
    let mut world = World::new(11, 2);
    let node = world.add(&[0, 1]);
    world.run(SECOND);
    let say = |world: &mut World, home: u32, url: &str, life_s: u32| {
        let frame = FromSignaler::IceServers {
            urls: List::first([Text::cut(url), Text::cut("https://not.a.server")]),
            username: Text::cut("until:weft"),
            credential: Text::cut(&format!("of {home}")),
            life_s,
        };
        world.input(node, Input::SignalerFrame { home: HomeIndex(home), bytes: &encode(&frame) });
        let told: Vec<Vec<String>> = world.nodes[node]
            .ice_servers
            .last()
            .map(|servers| servers.iter().map(|server| server.urls.clone()).collect())
            .unwrap_or_default();
        told.concat()
    };
    assert_eq!(say(&mut world, 0, "turn:a:1", 60), ["turn:a:1"]);
    assert_eq!(say(&mut world, 1, "stun:b:1", 600), ["turn:a:1", "stun:b:1"]);
    assert_eq!(say(&mut world, 1, "ftp://b", 600), ["turn:a:1"], "what is no server is passed over");
    assert_eq!(world.nodes[node].ice_servers[1][1].credential, "of 1");
    world.run(SECOND * 61);
    assert_eq!(say(&mut world, 1, "turns:b:2", 600), ["turns:b:2"], "the other one's have expired");
    assert!(!format!("{:?}", world.nodes[node].ice_servers).contains("of 1"), "no credential is in a log");
}

#[test]
fn channels_get_no_larger_messages_than_the_other_side_takes() {
    for (takes, linked) in [(0, true), (100_000, true), (5000, true), (1024, true), (1023, false), (1, false)]
    {
        let mut world = World::new(12, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        world.takes.insert(b, takes);
        // So that a hello does not fit the smallest chunk.
        for party in 0..40 {
            world.join(a, &format!("p{party}"));
            world.join(b, &format!("p{party}"));
        }
        let to = world.nodes[b].peer.identity();
        world.run(SECOND * 2);
        assert_eq!(world.linked(a, b), linked, "{takes}");
        world.command(a, Command::Send { to, document: crate::large::large(300_000, 1) });
        let came = |event: &Event| matches!(event, Event::Message { .. });
        assert!(world.run_until(SECOND * 9, |w| w.count(b, came) == 1).is_some(), "{takes}");
    }
}
