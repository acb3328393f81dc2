//! Swarms that are larger than anybody's view: links, the broadcast tree, repair.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_peer_core::{CommandId, Config};
use weft_wire::DiscoveryKey;

use crate::world::{World, everything};

const S: Duration = Duration::from_secs(1);

/// So many peers, all subscribed to everything; settled.
fn swarm(seed: u64, peers: usize, configure: fn(&mut Config)) -> (World, DiscoveryKey, Vec<CommandId>) {
    let mut world = World::new(seed, 2);
    let mut discovery = None;
    let mut subscriptions = Vec::new();
    for n in 0..peers {
        let node = world.add_with(&[n % 2], configure);
        let key = world.join(node, "large");
        discovery = Some(key);
        subscriptions.push(world.subscribe(node, key, &everything(), false));
        world.run(S / 5);
    }
    world.run(S * 40);
    (world, discovery.unwrap(), subscriptions)
}

/// Neighbours of each living node, as the nodes see it.
fn graph(world: &World, discovery: &DiscoveryKey, alive: &[usize]) -> BTreeMap<usize, BTreeSet<usize>> {
    let ids: BTreeMap<_, usize> = alive.iter().map(|node| (world.id(*node), *node)).collect();
    let linked = |node: &usize| -> BTreeSet<usize> {
        let peers = world.nodes[*node].peer.peers(discovery);
        peers.iter().filter(|peer| peer.linked).filter_map(|peer| ids.get(&peer.peer).copied()).collect()
    };
    alive.iter().map(|node| (*node, linked(node))).collect()
}

fn reachable(graph: &BTreeMap<usize, BTreeSet<usize>>) -> usize {
    let mut seen: BTreeSet<usize> = graph.keys().take(1).copied().collect();
    let mut next: Vec<usize> = seen.iter().copied().collect();
    while let Some(node) = next.pop() {
        for other in &graph[&node] {
            if graph.contains_key(other) && seen.insert(*other) {
                next.push(*other);
            }
        }
    }
    seen.len()
}

#[test]
fn d11_thirty_peers_stay_within_their_bound_and_connected_and_heal_when_five_are_killed() {
    for seed in 1..3 {
        let (mut world, discovery, subscriptions) = swarm(seed, 30, |_| {});
        let config = Config::default();
        let mut alive: Vec<usize> = (0..30).collect();
        let links = graph(&world, &discovery, &alive);
        for (node, neighbours) in &links {
            assert!(neighbours.len() <= config.active_view, "{node} has {} links", neighbours.len());
        }
        assert_eq!(reachable(&links), 30);
        for node in 0..5 {
            world.crash(node * 6);
            alive.retain(|other| *other != node * 6);
        }
        let healed = |world: &World| {
            let links = graph(world, &discovery, &alive);
            reachable(&links) == 25 && links.values().all(|neighbours| neighbours.len() >= 3)
        };
        let took = world.run_until(S * 60, healed).expect("the swarm heals");
        assert!(took < S * 20, "healing took {took:?}");
        world.run(S * 20);
        let links = graph(&world, &discovery, &alive);
        assert!(links.values().all(|neighbours| neighbours.len() <= config.active_view));
        world.publish(1, discovery, 7);
        world.run(S * 2);
        for node in alive.iter().filter(|node| **node != 1) {
            assert_eq!(world.numbers(*node, subscriptions[*node]), [7], "node {node}");
        }
    }
}

#[test]
fn whoever_publishes_nobody_gets_a_publication_twice_over_the_links() {
    let (mut world, discovery, subscriptions) = swarm(5, 40, |_| {});
    let sent = |world: &World| -> u64 {
        world.nodes.iter().map(|node| node.peer.stats().sent.publications.frames).sum()
    };
    let before = sent(&world);
    for n in (0..40).step_by(4) {
        world.publish(n, discovery, i64::try_from(n).unwrap());
        world.run(S * 2);
    }
    for (node, subscription) in subscriptions.iter().enumerate() {
        let own = usize::from(node % 4 == 0);
        assert_eq!(world.numbers(node, *subscription).len(), 10 - own, "node {node}");
    }
    let sent = sent(&world) - before;
    // A publication of one's own goes to all five neighbours. To four of them the tree brings it again, and meets there what
    // they have passed on.
    assert!(sent <= 10 * (39 + 2 * 4), "{sent} transmissions for {} deliveries", 10 * 39);
}

#[test]
fn what_a_crash_loses_on_its_way_is_fetched_from_somebody_else() {
    let (mut world, discovery, subscriptions) = swarm(6, 40, |_| {});
    let crashed: Vec<usize> = (0..40).filter(|node| node % 4 == 1).collect();
    for node in &crashed {
        world.crash(*node);
    }
    // At once: nobody has noticed.
    world.publish(0, discovery, 7);
    world.run(S * 4);
    let missed: Vec<usize> = (1..40)
        .filter(|node| !crashed.contains(node) && world.numbers(*node, subscriptions[*node]) != [7])
        .collect();
    assert_eq!(missed, [0; 0]);
}

#[test]
fn in_a_large_swarm_presences_are_not_passed_on_and_everybody_is_still_reached() {
    let (mut world, discovery, subscriptions) = swarm(7, 30, |config| config.presence_members = 12);
    let presences = |world: &World| -> u64 {
        world.nodes.iter().map(|node| node.peer.stats().sent.presence.frames).sum()
    };
    let before = presences(&world);
    world.run(S * 60);
    assert_eq!(presences(&world), before);
    let shuffles: u64 = world.nodes.iter().map(|node| node.peer.stats().sent.membership.frames).sum();
    assert!(shuffles >= 30, "{shuffles} shuffles");
    world.publish(3, discovery, 9);
    world.run(S * 2);
    let reached = (0..30).filter(|node| world.numbers(*node, subscriptions[*node]) == [9]).count();
    assert_eq!(reached, 29);
}

#[test]
fn a_root_that_dies_without_a_word_is_replaced_in_seconds() {
    for seed in 1..4 {
        let (mut world, discovery, subscriptions) = swarm(seed, 40, |config| config.presence_members = 12);
        // Nobody has published, so it is the one with the smallest id.
        let root = (0..40).min_by_key(|node| world.id(*node)).unwrap();
        world.crash(root);
        world.run(S * 12);
        let sender = (root + 1) % 40;
        world.publish(sender, discovery, 7);
        // Sooner than anybody could ask for what was announced.
        world.run(Duration::from_millis(240));
        let missed: Vec<usize> = (0..40)
            .filter(|node| {
                ![root, sender].contains(node) && world.numbers(*node, subscriptions[*node]) != [7]
            })
            .collect();
        assert_eq!(missed, [0; 0], "seed {seed}");
    }
}

#[test]
fn where_most_members_are_dead_and_still_listed_the_living_find_each_other_in_seconds() {
    for seed in 1..6 {
        let (mut world, discovery, _) = swarm(seed, 40, |config| config.presence_members = 12);
        let alive: Vec<usize> = (0..40).filter(|node| node % 5 == 0).collect();
        // Nothing tells the signalers: what is sent to the dead by way of them is never answered.
        for node in (0..40).filter(|node| node % 5 != 0) {
            world.cut(node);
        }
        let one = |world: &World| reachable(&graph(world, &discovery, &alive)) == alive.len();
        let took = world.run_until(S * 60, one).expect("one swarm");
        assert!(took < S * 15, "seed {seed}: {took:?}");
    }
}
