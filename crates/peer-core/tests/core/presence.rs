//! What applications say of themselves: who learns it, how soon, and what it costs to say too much.

use std::time::Duration;

use weft_peer_core::{Command, CommandError, Config, Event, PeerChange};
use weft_query::{Document, Value, View};
use weft_wire::link::Link as Frame;
use weft_wire::{DiscoveryKey, limits};

use crate::neighbours::Pair;
use crate::strangers::presence_with;
use crate::world::{World, number, object};

const SECOND: Duration = Duration::from_secs(1);

fn say(world: &mut World, node: usize, discovery: DiscoveryKey, n: i64) {
    world.command(node, Command::SetState { discovery, state: Some(number(n)) });
}

/// What one node knows that another says.
fn known(world: &World, by: usize, of: usize, discovery: DiscoveryKey) -> Option<i64> {
    let peers = world.nodes[by].peer.peers(&discovery);
    let state = peers.into_iter().find(|info| info.peer == world.id(of))?.state?;
    match state.get("n") {
        Some(View::Int(n)) => Some(n),
        other => panic!("{other:?}"),
    }
}

fn changes(world: &World, by: usize, of: usize) -> usize {
    let of = world.id(of);
    let changed = |event: &Event| matches!(event, Event::Peer { change: PeerChange::Changed, peer, .. } if peer.peer == of);
    world.count(by, changed)
}

/// Twelve peers who may have two links each, so that most are several links apart.
fn ring() -> (World, DiscoveryKey) {
    let mut world = World::new(11, 1);
    let few = |config: &mut Config| (config.active_view, config.active_slack) = (2, 1);
    let nodes: Vec<usize> = (0..12).map(|_| world.add_with(&[0], few)).collect();
    let mut joined = nodes.iter().map(|node| world.join(*node, "p")).collect::<Vec<_>>();
    world.run(SECOND * 30);
    (world, joined.remove(0))
}

#[test]
fn d13_everybody_learns_a_state_at_once_and_a_late_joiner_too_and_null_takes_it_back() {
    let (mut world, discovery) = ring();
    say(&mut world, 0, discovery, 1);
    let all = |n: Option<i64>| move |w: &World| (1..12).all(|node| known(w, node, 0, discovery) == n);
    let took = world.run_until(SECOND, all(Some(1))).expect("everybody learns it");
    assert!(took < Duration::from_millis(600), "{took:?}");
    let before = changes(&world, 5, 0);
    say(&mut world, 0, discovery, 1);
    world.run(SECOND);
    assert_eq!(changes(&world, 5, 0), before, "the same again is no change");

    let late = world.add(&[0]);
    world.join(late, "p");
    assert!(world.run_until(SECOND * 3, |w| known(w, late, 0, discovery) == Some(1)).is_some());

    world.command(0, Command::SetState { discovery, state: None });
    assert!(world.run_until(SECOND, all(None)).is_some());
    assert_eq!(changes(&world, 5, 0), before + 1);
}

#[test]
fn d13_a_state_that_was_lost_on_its_way_is_known_within_ten_seconds() {
    let (mut world, discovery) = ring();
    // Not when its presence is due anyway.
    world.run(SECOND);
    world.lose_presences = 2;
    say(&mut world, 3, discovery, 7);
    let all = |w: &World| (0..12).all(|node| node == 3 || known(w, node, 3, discovery) == Some(7));
    assert_eq!(world.run_until(SECOND, all), None);
    assert_eq!(world.lose_presences, 0, "nothing was lost");
    assert!(world.run_until(SECOND * 10, all).is_some());
}

#[test]
fn d13_who_changes_its_state_all_the_time_tells_four_a_second_and_the_last_one_always() {
    let mut pair = Pair::new(64);
    let (discovery, node, other) = (pair.discovery, pair.victim, pair.neighbour);
    let sent = |pair: &Pair| pair.world.nodes[node].peer.stats().sent.presence.frames;
    let before = sent(&pair);
    for n in 0..500 {
        say(&mut pair.world, node, discovery, n);
        pair.world.run(SECOND / 100);
    }
    assert!(sent(&pair) - before <= 22, "{} presences in 5 s", sent(&pair) - before);
    assert!(changes(&pair.world, other, node) >= 18, "{} changes", changes(&pair.world, other, node));
    pair.world.run(SECOND / 2);
    assert_eq!(known(&pair.world, other, node, discovery), Some(499));
    assert!(pair.world.linked(node, other));
}

#[test]
fn in_a_large_swarm_neighbours_know_a_state_and_nobody_else_does() {
    let mut world = World::new(12, 1);
    let large = |config: &mut Config| {
        (config.active_view, config.active_slack, config.presence_members) = (2, 1, 4);
    };
    let discovery = (0..12).map(|_| world.add_with(&[0], large)).collect::<Vec<_>>().into_iter();
    let discovery = discovery.map(|node| world.join(node, "p")).last().unwrap();
    world.run(SECOND * 30);
    say(&mut world, 0, discovery, 1);
    world.run(SECOND * 2);
    let near = |w: &World, by: usize| {
        let peers = w.nodes[by].peer.peers(&discovery);
        peers.into_iter().any(|info| info.peer == w.id(0) && info.linked)
    };
    let holds = |w: &World, n: i64, gone: usize| {
        let mut rest = (1..12).filter(|node| *node != gone);
        rest.all(|node| known(w, node, 0, discovery) == near(w, node).then_some(n))
    };
    // Who was one until just now has not forgotten it yet.
    assert!(world.run_until(SECOND * 22, |w| holds(w, 1, 0)).is_some());
    assert!((1..12).filter(|node| near(&world, *node)).count() >= 2);
    // Who becomes a neighbour learns it.
    let gone = (1..12).find(|node| near(&world, *node)).unwrap();
    world.crash(gone);
    say(&mut world, 0, discovery, 2);
    world.run(SECOND * 70);
    assert!(world.run_until(SECOND * 22, |w| holds(w, 2, gone)).is_some());
    assert!((1..12).filter(|node| *node != gone && near(&world, *node)).count() >= 2);
}

#[test]
fn a_state_of_somebody_who_was_not_heard_for_twenty_seconds_is_forgotten() {
    let mut pair = Pair::new(64);
    let (discovery, node, other) = (pair.discovery, pair.victim, pair.neighbour);
    say(&mut pair.world, node, discovery, 3);
    pair.world.run(SECOND);
    assert_eq!(known(&pair.world, other, node, discovery), Some(3));
    // The signaler goes on listing it.
    pair.world.cut(node);
    let listed = |w: &World| w.nodes[other].peer.peers(&discovery).iter().any(|info| info.peer == w.id(node));
    let forgotten = |w: &World| known(w, other, node, discovery).is_none();
    let before = changes(&pair.world, other, node);
    assert!(pair.world.run_until(SECOND * 70, forgotten).is_some());
    assert!(listed(&pair.world), "or else this shows nothing");
    assert!(changes(&pair.world, other, node) > before);
    pair.world.restore(node);
    assert!(pair.world.run_until(SECOND * 15, |w| known(w, other, node, discovery) == Some(3)).is_some());
}

#[test]
fn a_state_is_at_most_a_kibibyte_and_of_a_party_that_was_joined() {
    let mut pair = Pair::new(64);
    let of = |len: usize| {
        let value = object(vec![("b", Value::Bytes(vec![7; len]))]);
        Document::from_value(&value).unwrap()
    };
    let (discovery, now) = (pair.discovery, pair.world.now);
    let overhead = of(1000).encode().len() - 1000;
    let mut set = |discovery, len| {
        let state = Some(of(len));
        pair.world.nodes[pair.victim].peer.command(now, Command::SetState { discovery, state }).map(|_| ())
    };
    assert_eq!(set(discovery, limits::STATE - overhead), Ok(()));
    let too_large = CommandError::TooLarge { len: limits::STATE + 1, max: limits::STATE };
    assert_eq!(set(discovery, limits::STATE - overhead + 1), Err(too_large));
    assert_eq!(set(DiscoveryKey([9; 32]), 1), Err(CommandError::NotInParty));
    let state = |w: &World| {
        let peers = w.nodes[pair.neighbour].peer.peers(&discovery);
        peers.into_iter().find_map(|info| info.state).map(|state| state.encode().len())
    };
    assert!(pair.world.run_until(SECOND * 11, |w| state(w) == Some(limits::STATE)).is_some());
}

#[test]
fn a_state_that_is_too_large_or_no_document_costs_its_bearer_the_link() {
    let not_documents: [Vec<u8>; 5] = [
        vec![],
        vec![0x01],
        vec![0xa1, 0x61, 0x78],
        vec![0xa0, 0x00],
        [vec![0xa1, 0x61, 0x78, 0x59, 0x04, 0x00], vec![0; limits::STATE]].concat(),
    ];
    for state in not_documents {
        let mut pair = Pair::new(64);
        let presence = presence_with(pair.discovery, pair.world.now.millis(), Some(state.clone()));
        pair.say(&Frame::Presence { hops: 0, presence: &presence });
        pair.world.run(SECOND);
        let (world, victim) = (&pair.world, pair.victim);
        assert!(!world.linked(victim, pair.neighbour), "{state:?}");
        assert_eq!(world.nodes[victim].peer.stats().forged, 1, "{state:?}");
        let peers = world.nodes[victim].peer.peers(&pair.discovery);
        assert!(peers.iter().all(|info| info.state.is_none() && info.name != "somebody"), "{state:?}");
    }
    let mut pair = Pair::new(64);
    let presence = presence_with(pair.discovery, pair.world.now.millis(), Some(number(4).encode()));
    pair.say(&Frame::Presence { hops: 0, presence: &presence });
    pair.world.run(SECOND);
    assert!(pair.world.linked(pair.victim, pair.neighbour), "and a good one costs nothing");
}

#[test]
fn of_a_flood_of_presences_little_is_told_the_last_one_is_and_too_much_costs_the_link() {
    let mut pair = Pair::new(64);
    let (discovery, victim, begin) = (pair.discovery, pair.victim, pair.world.now.millis());
    let told = |world: &World| {
        let somebody = |event: &Event| matches!(event, Event::Peer { peer, .. } if peer.name == "somebody");
        world.count(victim, somebody)
    };
    let last = |world: &World| {
        let peers = world.nodes[victim].peer.peers(&discovery);
        peers.into_iter().find(|info| info.name == "somebody")?.state
    };
    let say = |pair: &mut Pair, n: u64| {
        let state = number(i64::try_from(n).unwrap()).encode();
        let presence = presence_with(discovery, begin + n, Some(state));
        pair.say(&Frame::Presence { hops: 0, presence: &presence });
    };
    for n in 0..240 {
        say(&mut pair, n);
    }
    assert_eq!(told(&pair.world), 20);
    pair.world.run(SECOND);
    assert_eq!(told(&pair.world), 21);
    assert_eq!(last(&pair.world), Some(number(239)));
    assert!(
        pair.world.linked(victim, pair.neighbour),
        "a minute's presences that a slow link brings at once"
    );
    for n in 240..1000 {
        say(&mut pair, n);
    }
    pair.world.run(SECOND);
    assert!(!pair.world.linked(victim, pair.neighbour));
    assert_eq!(pair.world.nodes[victim].peer.stats().forged, 1);
    assert!(told(&pair.world) <= 30, "{} were told", told(&pair.world));
}
