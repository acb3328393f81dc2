//! A peer that signs two histories.

use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, publication, statement};
use weft_peer_core::{CommandId, Event, Input, Keys};
use weft_query::{Document, Value};
use weft_wire::chunk::Outgoing;
use weft_wire::link::Link as Frame;
use weft_wire::{Bundle, BundleEntry, DiscoveryKey, List, PeerRecord, PublicationId, Tag, Text, encode};

use crate::disk::keys;
use crate::world::{World, everything, number, object, one_chunk};

const SECOND: Duration = Duration::from_secs(1);
const NONE: PublicationId = PublicationId([0; 32]);

/// The hostile author: its keys, its record, and whatever it signs.
struct Forker {
    keys: Keys,
    record: Vec<u8>,
    party: DiscoveryKey,
    now: u64,
}

impl Forker {
    fn new(world: &World, party: DiscoveryKey) -> Self {
        Self::with_keys(world, party, keys(200))
    }

    /// One of many.
    fn of_many(world: &World, party: DiscoveryKey, n: u16) -> Self {
        let seed =
            |kind: u8| Seed::new(std::array::from_fn(|at| n.to_be_bytes().get(at).copied().unwrap_or(kind)));
        let keys = Keys { identity: IdentityKey::new(&seed(1)), peer: PeerKey::new(&seed(2)) };
        Self::with_keys(world, party, keys)
    }

    fn with_keys(world: &World, party: DiscoveryKey, keys: Keys) -> Self {
        let now = world.now.millis();
        let record = PeerRecord {
            identity: keys.identity.id(),
            peer: keys.peer.id(),
            agreement: keys.peer.agreement(),
            name: Text::default(),
            issued: now,
            until: now + 600_000,
            sessions: None,
        };
        let record = statement::sign_record(&keys.identity, &record);
        Self { keys, record, party, now }
    }

    /// A bundle of these numbers from `first` on, and the id of its last.
    fn bundle(&self, first: u64, previous: PublicationId, numbers: &[i64]) -> (Bundle, PublicationId) {
        self.sign(first, previous, numbers.iter().map(|n| number(*n).encode()))
    }

    fn sign(
        &self,
        first: u64,
        previous: PublicationId,
        bodies: impl Iterator<Item = Vec<u8>>,
    ) -> (Bundle, PublicationId) {
        let entries = bodies.map(|body| BundleEntry { time: self.now, body });
        let (author, entries) = (self.keys.identity.id(), List::first(entries));
        publication::sign_bundle(&self.keys.peer, self.party, author, first, previous, entries)
    }

    /// A neighbour hands one to a node.
    fn say(&self, world: &mut World, to: usize, bundle: &Bundle) {
        let bundle = encode(bundle);
        let frame =
            Frame::Publish { hops: 1, age_ms: 0, record: Some(&self.record), bundle: &bundle, from: None };
        let link = world.link_of(to);
        let mut cutter = Outgoing::new(9, encode(&frame)).unwrap();
        while let Some(chunk) = cutter.next_chunk() {
            world.input(to, Input::ChannelMessage { link, bytes: &chunk });
        }
    }

    /// A neighbour hands both branches of a fork to a node, each with a document of so many bytes.
    fn fork(&self, world: &mut World, to: usize, bytes: usize) {
        for branch in ["a", "b"] {
            let text = Value::String(branch.repeat(bytes));
            let body = Document::from_value(&object(vec![("text", text)])).unwrap().encode();
            let (bundle, _) = self.sign(100, NONE, [body].into_iter());
            self.say(world, to, &bundle);
        }
    }

    fn forks_seen(&self, world: &World, node: usize) -> Vec<u64> {
        let fork = |event: &Event| match event {
            Event::Fork { feed, author, seq, discovery } => {
                assert_eq!(*feed, self.keys.peer.id());
                // Who has got nothing of the feed yet does not know whose it is.
                assert!(author.is_none_or(|author| author == self.keys.identity.id()));
                assert_eq!(*discovery, self.party);
                Some(*seq)
            }
            _ => None,
        };
        world.nodes[node].events.iter().filter_map(fork).collect()
    }
}

/// Peers that are all linked with each other, each with a subscription to everything.
fn swarm(world: &mut World, size: usize) -> (DiscoveryKey, Vec<(usize, CommandId)>) {
    let nodes: Vec<usize> = (0..size).map(|_| world.add(&[0])).collect();
    let mut party = None;
    for &node in &nodes {
        party = Some(world.join(node, "p"));
    }
    let party = party.unwrap();
    let subscribed =
        nodes.iter().map(|node| (*node, world.subscribe(*node, party, &everything(), true))).collect();
    let linked = |w: &World| nodes.windows(2).all(|two| w.linked(two[0], two[1]));
    world.run_until(SECOND * 10, linked).unwrap();
    world.run(SECOND);
    (party, subscribed)
}

#[test]
fn a_hostile_forker_is_known_to_everybody_once_and_both_its_branches_reach_everybody() {
    for seed in 0..5 {
        let mut world = World::new(seed, 1);
        let (party, nodes) = swarm(&mut world, 6);
        let forker = Forker::new(&world, party);
        let (root, id) = forker.bundle(100, NONE, &[1, 2]);
        forker.say(&mut world, nodes[0].0, &root);
        world.run(SECOND);
        // One half of the swarm gets one branch, the other half the other.
        let (one, one_id) = forker.bundle(102, id, &[10, 11]);
        let (other, other_id) = forker.bundle(102, id, &[20, 21]);
        forker.say(&mut world, nodes[0].0, &one);
        forker.say(&mut world, nodes[5].0, &other);
        world.run(SECOND * 2);
        for (node, _) in &nodes {
            assert_eq!(forker.forks_seen(&world, *node), [102], "seed {seed}, node {node}");
        }
        // What follows on each of them is delivered everywhere, whoever gets it first.
        let (more, _) = forker.bundle(104, one_id, &[12]);
        let (other_more, _) = forker.bundle(104, other_id, &[22]);
        forker.say(&mut world, nodes[5].0, &more);
        forker.say(&mut world, nodes[2].0, &other_more);
        world.run(SECOND * 2);
        for (node, subscription) in &nodes {
            let mut numbers = world.numbers(*node, *subscription);
            numbers.sort_unstable();
            assert_eq!(numbers, [1, 2, 10, 11, 12, 20, 21, 22], "seed {seed}, node {node}");
            assert_eq!(forker.forks_seen(&world, *node).len(), 1);
        }
        // Nobody is blamed, and the swarm goes on.
        for pair in nodes.windows(2) {
            assert!(world.linked(pair[0].0, pair[1].0), "seed {seed}");
        }
        world.publish(nodes[1].0, party, 99);
        world.run(SECOND);
        assert_eq!(world.numbers(nodes[4].0, nodes[4].1).last(), Some(&99));
        // Who comes later learns of it, too.
        let late = world.add(&[0]);
        world.join(late, "p");
        let got = world.subscribe(late, party, &everything(), true);
        world.run(SECOND * 5);
        assert_eq!(forker.forks_seen(&world, late).len(), 1);
        let mut numbers = world.numbers(late, got);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 10, 11, 12, 20, 21, 22, 99]);
    }
}

#[test]
fn halves_that_each_have_one_branch_learn_of_the_other_when_they_meet() {
    let mut world = World::new(1, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let (c, d) = (world.add(&[0]), world.add(&[0]));
    let halves = [[a, b], [c, d]];
    let party = world.join(a, "p");
    for node in [b, c, d] {
        world.join(node, "p");
    }
    // No links between the halves.
    for (near, far) in [(a, c), (a, d), (b, c), (b, d)] {
        let ids = (world.id(near), world.id(far));
        world.command(near, weft_peer_core::Command::Block { peer: ids.1 });
        world.command(far, weft_peer_core::Command::Block { peer: ids.0 });
    }
    world.run_until(SECOND * 5, |w| w.linked(a, b) && w.linked(c, d)).unwrap();
    let forker = Forker::new(&world, party);
    for (half, n) in halves.iter().zip([10, 20]) {
        let (bundle, _) = forker.bundle(100, NONE, &[n, n + 1]);
        forker.say(&mut world, half[0], &bundle);
    }
    world.run(SECOND * 5);
    for node in [a, b, c, d] {
        assert!(forker.forks_seen(&world, node).is_empty());
    }
    let ids = (world.id(b), world.id(c));
    world.command(b, weft_peer_core::Command::Unblock { peer: ids.1 });
    world.command(c, weft_peer_core::Command::Unblock { peer: ids.0 });
    world.run_until(SECOND * 60, |w| w.linked(b, c)).unwrap();
    world.run(SECOND * 2);
    for node in [a, b, c, d] {
        assert_eq!(forker.forks_seen(&world, node), [100], "{node}");
    }
}

#[test]
fn a_chain_that_does_not_fit_what_is_before_it_is_a_fork() {
    let mut world = World::new(2, 1);
    let (party, nodes) = swarm(&mut world, 3);
    let forker = Forker::new(&world, party);
    let (first, _) = forker.bundle(100, NONE, &[1]);
    let (second, _) = forker.bundle(101, PublicationId([7; 32]), &[2]);
    forker.say(&mut world, nodes[0].0, &first);
    forker.say(&mut world, nodes[0].0, &second);
    world.run(SECOND * 2);
    for (node, subscription) in &nodes {
        assert_eq!(forker.forks_seen(&world, *node), [101]);
        assert_eq!(world.numbers(*node, *subscription), [1, 2]);
    }
}

#[test]
fn one_history_in_other_bundles_or_with_a_gap_is_no_fork() {
    let mut world = World::new(3, 1);
    let (party, nodes) = swarm(&mut world, 3);
    let forker = Forker::new(&world, party);
    let (whole, id) = forker.bundle(100, NONE, &[1, 2, 3]);
    let (_, first_id) = forker.bundle(100, NONE, &[1]);
    let (part, _) = forker.bundle(101, first_id, &[2, 3]);
    let (mut again, _) = forker.bundle(500, id, &[4]);
    again.after = Some(102);
    // Begun anew, as somebody does who stores nothing.
    let (anew, _) = forker.bundle(900, NONE, &[5]);
    for bundle in [&whole, &part, &again, &anew] {
        forker.say(&mut world, nodes[0].0, bundle);
    }
    world.run(SECOND);
    for (node, subscription) in &nodes {
        assert!(forker.forks_seen(&world, *node).is_empty());
        assert_eq!(world.numbers(*node, *subscription), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn branches_without_end_are_not_kept_or_passed_on_without_end() {
    let mut world = World::new(4, 1);
    let (party, nodes) = swarm(&mut world, 3);
    let forker = Forker::new(&world, party);
    for n in 0..400 {
        let (bundle, _) = forker.bundle(100, NONE, &[n]);
        forker.say(&mut world, nodes[0].0, &bundle);
    }
    world.run(SECOND);
    for (node, subscription) in &nodes {
        assert_eq!(forker.forks_seen(&world, *node), [100]);
        let numbers = world.numbers(*node, *subscription);
        assert_eq!(numbers.len(), 257, "{node}: the first, and a bounded number of others");
    }
    // It goes on being heard all the same.
    let (next, _) = forker.bundle(1000, NONE, &[1000]);
    forker.say(&mut world, nodes[0].0, &next);
    world.run(SECOND);
    assert_eq!(world.numbers(nodes[1].0, nodes[1].1).last(), Some(&1000));
}

#[test]
fn a_hostile_proof_costs_its_sender_the_link() {
    let world = World::new(5, 1);
    let party = weft_crypto::Party::open("p").discovery();
    let forker = Forker::new(&world, party);
    let (one, id) = forker.bundle(100, NONE, &[1]);
    let (follows, _) = forker.bundle(101, id, &[2]);
    let (mut forged, _) = forker.bundle(100, NONE, &[3]);
    forged.signature = one.signature;
    let elsewhere = Forker { party: DiscoveryKey([9; 32]), ..Forker::new(&world, party) };
    let (foreign, _) = elsewhere.bundle(100, NONE, &[4]);
    let stranger = Forker { keys: keys(210), ..Forker::new(&world, party) };
    let (others, _) = stranger.bundle(100, NONE, &[5]);
    let one = encode(&one);
    let proofs = [one.clone(), encode(&follows), encode(&forged), encode(&foreign), encode(&others), vec![1]];
    for (n, other) in proofs.iter().enumerate() {
        for (first, second) in [(&one, other), (other, &one)] {
            let mut world = World::new(5, 1);
            let (party, nodes) = swarm(&mut world, 2);
            let link = world.link_of(nodes[0].0);
            let frame = Frame::Fork { party: Tag::from(&party), one: first, other: second };
            world.input(nodes[0].0, Input::ChannelMessage { link, bytes: &one_chunk(&frame) });
            world.run(SECOND);
            assert!(!world.linked(nodes[0].0, nodes[1].0), "proof {n}");
            assert!(forker.forks_seen(&world, nodes[0].0).is_empty(), "proof {n}");
        }
    }
}

#[test]
fn a_peer_whose_keys_run_twice_hears_of_its_own_fork() {
    let mut world = World::new(6, 1);
    let (party, nodes) = swarm(&mut world, 3);
    let own = world.add_keys(keys(200), &[0], |_| {});
    world.join(own, "p");
    world.run_until(SECOND * 5, |w| w.linked(own, nodes[0].0)).unwrap();
    world.run(SECOND);
    world.publish(own, party, 1);
    world.run(SECOND);
    let seq = world.nodes[nodes[0].0].events.iter().find_map(|event| match event {
        Event::Data { publication, .. } => Some(publication.seq),
        _ => None,
    });
    let forker = Forker::new(&world, party);
    let (clone, _) = forker.bundle(seq.unwrap(), NONE, &[2]);
    forker.say(&mut world, nodes[1].0, &clone);
    world.run(SECOND * 2);
    for node in [own, nodes[0].0, nodes[1].0, nodes[2].0] {
        assert_eq!(forker.forks_seen(&world, node), [seq.unwrap()], "{node}");
    }
}

#[test]
fn a_fork_is_remembered_over_a_restart() {
    let mut world = World::new(7, 1);
    let (party, nodes) = swarm(&mut world, 2);
    let disk = world.disk();
    let keeper = world.add_storing(&keys(30), disk, |_| {});
    world.join(keeper, "p");
    world.run_until(SECOND * 5, |w| w.linked(keeper, nodes[0].0)).unwrap();
    let forker = Forker::new(&world, party);
    for n in [1, 2] {
        let (bundle, _) = forker.bundle(100, NONE, &[n]);
        forker.say(&mut world, nodes[0].0, &bundle);
    }
    world.run(SECOND * 2);
    assert_eq!(forker.forks_seen(&world, keeper), [100]);
    world.run_until_stored(keeper);
    for node in [keeper, nodes[0].0, nodes[1].0] {
        world.kill(node);
    }
    world.run(SECOND * 60);
    let again = world.add_storing(&keys(30), disk, |_| {});
    world.join(again, "p");
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 5);
    for node in [again, late] {
        assert_eq!(forker.forks_seen(&world, node), [100]);
    }
    assert_eq!(world.numbers(late, got).len(), 2, "both branches");
}

/// A peer that stores, linked with another one.
fn keeper(world: &mut World) -> (usize, usize, DiscoveryKey) {
    let disk = world.disk();
    let other = world.add(&[0]);
    let party = world.join(other, "p");
    let keeper = world.add_storing(&keys(30), disk, |_| {});
    world.join(keeper, "p");
    world.run_until(SECOND * 5, |w| w.linked(keeper, other)).unwrap();
    world.run(SECOND);
    (keeper, disk, party)
}

/// How many proofs are on a disk, and their bytes.
fn proofs(world: &World, disk: usize) -> (usize, usize) {
    let proofs = world.disks[disk].rows.iter().filter(|((_, key), _)| key[0] == 3);
    proofs.fold((0, 0), |(count, bytes), (_, value)| (count + 1, bytes + value.len()))
}

#[test]
fn proofs_that_are_kept_no_more_are_removed_from_the_store() {
    // Of many feeds, and of few with large documents.
    for (seed, feeds, bytes) in [(8, 1030, 1), (9, 5, 900_000)] {
        let mut world = World::new(seed, 1);
        let (keeper, disk, party) = keeper(&mut world);
        for n in 0..feeds {
            Forker::of_many(&world, party, n).fork(&mut world, keeper, bytes);
            if n % 100 == 0 {
                world.run(Duration::from_millis(200));
            }
        }
        world.run_until_stored(keeper);
        let (count, stored) = proofs(&world, disk);
        assert!(count > 1 && count <= 1024, "{count} proofs");
        assert!(stored <= 4 * 1024 * 1024 + count * 100, "{stored} bytes of proofs");
    }
}

#[test]
fn a_new_neighbour_learns_of_every_fork_in_the_end() {
    let mut world = World::new(10, 1);
    let (first, _, party) = keeper(&mut world);
    for n in 0..60 {
        Forker::of_many(&world, party, n).fork(&mut world, first, 1);
    }
    // What was published before it came it does not ask for.
    world.run(SECOND * 60);
    let late = world.add(&[0]);
    world.join(late, "p");
    let further = world.add(&[0]);
    world.join(further, "p");
    let known = |world: &World, node| world.count(node, |event| matches!(event, Event::Fork { .. }));
    let all = |w: &World| known(w, late) == 60 && known(w, further) == 60;
    assert!(
        world.run_until(SECOND * 60, all).is_some(),
        "{} and {}",
        known(&world, late),
        known(&world, further)
    );
}

#[test]
fn what_is_read_late_holds_nothing_up_that_comes_live() {
    let mut world = World::new(11, 1);
    let (first, disk, party) = keeper(&mut world);
    let forker = Forker::new(&world, party);
    let (begin, _) = forker.bundle(110, NONE, &[110]);
    let (held, id) = forker.bundle(115, PublicationId([5; 32]), &[115]);
    let (stored, id) = forker.bundle(116, id, &[116, 117, 118, 119, 120]);
    let (live, _) = forker.bundle(121, id, &[121]);
    forker.say(&mut world, first, &stored);
    world.run(SECOND);
    world.run_until_stored(first);
    for node in 0..2 {
        world.kill(node);
    }
    world.run(SECOND * 60);
    world.disks[disk].latency = SECOND * 4;
    let other = world.add(&[0]);
    world.join(other, "p");
    let again = world.add_storing(&keys(30), disk, |_| {});
    world.join(again, "p");
    let got = world.subscribe(again, party, &everything(), false);
    world.run_until(SECOND * 3, |w| w.linked(again, other)).unwrap();
    forker.say(&mut world, again, &begin);
    forker.say(&mut world, again, &held);
    world.run(SECOND * 4);
    // The first gap is waited for; what was stored is none.
    forker.say(&mut world, again, &live);
    world.run(SECOND * 2);
    assert_eq!(world.numbers(again, got), [110, 115, 121]);
}
