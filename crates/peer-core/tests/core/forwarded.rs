//! Links that signalers forward because no connection comes about, and connections that take their place.

use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed};
use weft_peer_core::{Cause, Command, CommandId, Diagnosis, Event, Keys, LinkState, Path};
use weft_query::{Document, Value};
use weft_wire::DiscoveryKey;

use crate::world::{World, everything, number, object};

const SECOND: Duration = Duration::from_secs(1);

/// Two peers between which no connection comes about, in a party, and what each gets of the other.
struct Pair {
    world: World,
    a: usize,
    b: usize,
    party: DiscoveryKey,
    got: [CommandId; 2],
}

fn pair(seed: u64) -> Pair {
    let mut world = World::new(seed, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.walls.insert((a, b));
    let party = world.join(a, "p");
    world.join(b, "p");
    let got = [a, b].map(|node| world.subscribe(node, party, &everything(), false));
    Pair { world, a, b, party, got }
}

fn forwarded(seed: u64) -> Pair {
    let mut pair = pair(seed);
    let (a, b) = (pair.a, pair.b);
    let took = pair.world.run_until(SECOND * 60, |w| w.linked(a, b) && w.forwarded(a, b));
    assert!(took.is_some(), "seed {seed}: no link");
    pair
}

impl Pair {
    /// Publishes on both sides, so many each, at such intervals.
    fn publish(&mut self, numbers: std::ops::Range<i64>, every: Duration) {
        for n in numbers {
            self.world.publish(self.a, self.party, n);
            self.world.publish(self.b, self.party, n);
            self.world.run(every);
        }
    }

    fn has_all(&self, numbers: std::ops::Range<i64>) -> bool {
        let all: Vec<i64> = numbers.collect();
        let [a, b] = self.got;
        self.world.numbers(self.a, a) == all && self.world.numbers(self.b, b) == all
    }

    /// Everything has come on both sides, once and in order, within so long.
    fn all_came(&mut self, numbers: std::ops::Range<i64>, within: Duration) -> bool {
        let all: Vec<i64> = numbers.clone().collect();
        let ([a, b], [one, two]) = ([self.a, self.b], self.got);
        self.world.run_until(within, |w| {
            w.numbers(a, one).len() >= all.len() && w.numbers(b, two).len() >= all.len()
        });
        self.world.run(SECOND);
        self.has_all(numbers)
    }
}

#[test]
fn d14_where_no_connection_comes_about_signalers_forward_the_link() {
    let mut pair = pair(1);
    let (a, b) = (pair.a, pair.b);
    let took = pair.world.run_until(SECOND * 12, |w| w.linked(a, b)).expect("a link within 12 s");
    assert!(took >= SECOND * 9, "{took:?}: connections have their time first");
    assert!(pair.world.forwarded(a, b));
    assert_eq!(pair.world.connections_made, 0);
    pair.publish(0..100, SECOND / 20);
    assert!(pair.all_came(0..100, SECOND * 2));
    let to = pair.world.nodes[b].peer.identity();
    pair.world.command(a, Command::Send { to, document: number(7) });
    pair.world.run(SECOND);
    assert_eq!(pair.world.count(a, |event| matches!(event, Event::Sent { outcome: Ok(()), .. })), 1);
    assert_eq!(pair.world.count(b, |event| matches!(event, Event::Message { .. })), 1);
}

#[test]
fn a_large_document_and_a_burst_cross_a_forwarded_link_and_share_it() {
    let mut pair = forwarded(2);
    let text = "x".repeat(900_000);
    let large = Document::from_value(&object(vec![("text", Value::String(text))])).unwrap();
    pair.world.command(pair.a, Command::Publish { discovery: pair.party, document: large });
    pair.publish(0..500, Duration::from_millis(1));
    // What signalers are given is paced: a megabyte takes a second.
    assert!(pair.all_came(0..500, SECOND * 10));
    let data = |event: &Event| matches!(event, Event::Data { .. });
    assert_eq!(pair.world.count(pair.b, data), 501);
}

#[test]
fn what_signalers_lose_is_sent_again_in_order_and_comes_once() {
    for seed in 0..20 {
        let mut pair = forwarded(seed);
        pair.world.drop_forwards = 25;
        pair.publish(0..60, SECOND / 10);
        assert!(pair.all_came(0..60, SECOND * 30), "seed {seed}");
    }
}

#[test]
fn a_connection_takes_over_as_soon_as_one_comes_about_and_nothing_is_lost_or_reordered() {
    for seed in 0..40 {
        let mut pair = forwarded(seed);
        let (a, b) = (pair.a, pair.b);
        pair.world.drop_forwards = if seed % 2 == 0 { 0 } else { 20 };
        pair.world.walls.clear();
        let mut n = 0;
        while pair.world.connections_made == 0 && n < 2000 {
            pair.publish(n..n + 1, Duration::from_millis(50));
            n += 1;
        }
        assert_eq!(pair.world.connections_made, 1, "seed {seed}: a connection is tried again");
        pair.publish(n..n + 100, Duration::from_millis(3));
        assert!(pair.all_came(0..n + 100, SECOND * 10), "seed {seed}");
        assert!(pair.world.linked(a, b) && !pair.world.forwarded(a, b), "seed {seed}");
        let closed = |event: &Event| matches!(event, Event::Link { state: LinkState::Closed { .. }, .. });
        assert_eq!(pair.world.count(a, closed) + pair.world.count(b, closed), 0, "seed {seed}: no gap");
        let before = pair.world.forwards;
        pair.publish(n + 100..n + 150, Duration::from_millis(20));
        assert!(pair.all_came(0..n + 150, SECOND * 2), "seed {seed}");
        assert_eq!(pair.world.forwards, before, "seed {seed}: signalers are left alone");
    }
}

#[test]
fn a_network_that_comes_back_tries_connections_at_once() {
    let mut pair = forwarded(3);
    let (a, b) = (pair.a, pair.b);
    pair.world.walls.clear();
    for node in [a, b] {
        pair.world.input(node, weft_peer_core::Input::Online);
    }
    let took = pair.world.run_until(SECOND * 5, |w| w.linked(a, b) && !w.forwarded(a, b));
    assert!(took.is_some());
}

#[test]
fn a_page_that_reloads_is_linked_again_and_nobody_sees_a_ghost() {
    let mut world = World::new(4, 1);
    let keys =
        Keys { identity: IdentityKey::new(&Seed::new([1; 32])), peer: PeerKey::new(&Seed::new([2; 32])) };
    let a = world.add(&[0]);
    let b = world.add_keys(keys.clone(), &[0], |_| {});
    world.walls.insert((a, b));
    let party = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND * 30, |w| w.forwarded(a, b)).unwrap();
    world.kill(b);
    let again = world.add_keys(keys, &[0], |_| {});
    world.walls.insert((a, again));
    world.join(again, "p");
    let got = world.subscribe(again, party, &everything(), false);
    let took = world.run_until(SECOND * 25, |w| {
        let open = |event: &Event| matches!(event, Event::Link { state: LinkState::Open { .. }, .. });
        w.count(again, open) == 1 && w.linked(a, again)
    });
    assert!(took.is_some());
    world.publish(a, party, 1);
    world.run(SECOND * 2);
    assert_eq!(world.numbers(again, got), [1]);
    assert_eq!(world.nodes[a].peer.peers(&party).len(), 1);
}

#[test]
fn who_closes_is_gone_at_once_and_who_dies_within_half_a_minute() {
    let mut pair = forwarded(5);
    let (a, b) = (pair.a, pair.b);
    pair.world.command(b, Command::Close);
    let closed = |w: &World| {
        w.count(a, |event| matches!(event, Event::Link { state: LinkState::Closed { .. }, .. })) == 1
    };
    assert!(pair.world.run_until(SECOND, closed).is_some());

    let mut pair = forwarded(6);
    let (a, b) = (pair.a, pair.b);
    pair.world.crash(b);
    let closed = |w: &World| {
        w.count(a, |event| matches!(event, Event::Link { state: LinkState::Closed { .. }, .. })) == 1
    };
    assert!(pair.world.run_until(SECOND * 30, closed).is_some());
}

#[test]
fn a_signaler_that_comes_back_finds_the_link_where_it_was() {
    let mut pair = forwarded(7);
    pair.publish(0..10, SECOND / 20);
    pair.world.kill_signaler(0);
    pair.publish(10..20, SECOND / 20);
    pair.world.revive_signaler(0);
    assert!(pair.all_came(0..20, SECOND * 15));
}

#[test]
fn packets_that_are_altered_repeated_or_made_up_do_no_harm() {
    let mut pair = forwarded(8);
    pair.publish(0..5, SECOND / 20);
    pair.world.tamper = true;
    pair.publish(5..10, SECOND / 20);
    pair.world.tamper = false;
    pair.world.repeat_forwards = true;
    pair.publish(10..40, SECOND / 20);
    assert!(pair.all_came(0..40, SECOND * 15));
}

#[test]
fn m4_nothing_that_a_forwarded_link_carries_can_be_read_by_its_signaler() {
    let mut pair = forwarded(9);
    let secret = "a text that nobody on the way should see";
    let document = Document::from_value(&object(vec![("text", Value::String(secret.to_owned()))])).unwrap();
    pair.world.command(pair.a, Command::Publish { discovery: pair.party, document });
    pair.world.run(SECOND);
    assert_eq!(pair.world.count(pair.b, |event| matches!(event, Event::Data { .. })), 1);
    let seen = &pair.world.seen_by_signalers;
    assert!(seen.len() > 1000, "the signaler did carry it");
    let needle = secret.as_bytes();
    assert!(!seen.windows(needle.len()).any(|window| window == needle));
}

#[test]
fn no_signaler_forwards_links_for_who_does_not_want_any() {
    let mut world = World::new(10, 1);
    let a = world.add_with(&[0], |config| config.forwarded_links = 0);
    let b = world.add(&[0]);
    world.walls.insert((a, b));
    world.join(a, "p");
    world.join(b, "p");
    assert!(world.run_until(SECOND * 60, |w| w.linked(a, b)).is_none());
}

#[test]
fn two_that_cannot_connect_need_no_signaler_where_others_link_them() {
    let mut world = World::new(11, 1);
    let nodes: Vec<usize> = (0..8).map(|_| world.add(&[0])).collect();
    world.walls.insert((nodes[0], nodes[1]));
    for node in &nodes {
        world.join(*node, "p");
    }
    world.run(SECOND * 60);
    for node in nodes {
        let forwarded =
            |event: &Event| matches!(event, Event::Link { state: LinkState::Open { forwarded: true }, .. });
        assert_eq!(world.count(node, forwarded), 0);
    }
}

/// What one node says of another.
fn diagnosis(world: &World, node: usize, other: usize) -> Diagnosis {
    let all = world.nodes[node].peer.diagnose(world.now);
    all.into_iter().find(|one| one.peer == world.id(other)).expect("a diagnosis")
}

#[test]
fn why_there_is_no_connection_is_said_in_words_and_what_would_help() {
    let mut pair = pair(12);
    let (a, b) = (pair.a, pair.b);
    pair.world.run(SECOND * 2);
    let said = diagnosis(&pair.world, a, b);
    assert_eq!((said.path, said.cause), (Path::Connecting, Cause::Connecting));
    pair.world.run_until(SECOND * 20, |w| w.forwarded(a, b)).unwrap();
    for (node, other) in [(a, b), (b, a)] {
        let said = diagnosis(&pair.world, node, other);
        assert_eq!((said.path, said.cause), (Path::Forwarded, Cause::NoStun), "{}", said.text);
        assert!(said.advice.contains("STUN"), "{}", said.advice);
    }
    pair.world.walls.clear();
    pair.world.run_until(SECOND * 60, |w| !w.forwarded(a, b)).unwrap();
    let said = diagnosis(&pair.world, a, b);
    assert_eq!((said.path, said.cause, said.advice), (Path::Direct, Cause::Connected, ""));
    pair.world.crash(b);
    pair.world.run(SECOND * 100);
    assert!(pair.world.nodes[a].peer.diagnose(pair.world.now).iter().all(|one| one.path != Path::Direct));
}

#[test]
fn a_peer_that_needs_no_link_is_reached_over_others_and_one_behind_walls_says_why() {
    let mut world = World::new(13, 1);
    let nodes: Vec<usize> = (0..12).map(|_| world.add(&[0])).collect();
    for node in &nodes {
        world.join(*node, "p");
    }
    world.run(SECOND * 20);
    let all = world.nodes[nodes[0]].peer.diagnose(world.now);
    assert_eq!(all.len(), 11);
    for one in all {
        match one.path {
            Path::Direct => assert_eq!(one.cause, Cause::Connected),
            Path::Mesh { links } => {
                assert!(links >= 2 && matches!(one.cause, Cause::NotNeeded | Cause::Refused), "{one:?}");
            }
            _ => panic!("{one:?}"),
        }
    }
}

#[test]
fn two_forwarded_links_share_what_signalers_are_given() {
    let mut world = World::new(14, 1);
    let [a, b, c] = [world.add(&[0]), world.add(&[0]), world.add(&[0])];
    world.walls.extend([(a, b), (a, c), (b, c)]);
    let party = [a, b, c].map(|node| world.join(node, "p"))[0];
    let got = [b, c].map(|node| (node, world.subscribe(node, party, &everything(), false)));
    world.run_until(SECOND * 60, |w| w.forwarded(a, b) && w.forwarded(a, c)).unwrap();
    let text = Value::String("x".repeat(30_000));
    for n in 0..200 {
        let document = object(vec![("n", Value::Int(n)), ("text", text.clone())]);
        let document = Document::from_value(&document).unwrap();
        world.command(a, Command::Publish { discovery: party, document });
    }
    // Six megabytes to each of two, at a megabyte a second.
    world.run(SECOND * 8);
    for (node, subscription) in got {
        let came = world.numbers(node, subscription).len();
        assert!(came > 50, "{came} came to one of them in 8 s");
    }
    world.run(SECOND * 20);
    for (node, subscription) in got {
        assert_eq!(world.numbers(node, subscription), (0..200).collect::<Vec<i64>>());
        let trouble = |event: &Event| {
            matches!(event, Event::Link { state: LinkState::Closed { .. } | LinkState::Interrupted, .. })
        };
        assert_eq!(world.count(node, trouble), 0);
    }
}

#[test]
fn a_connection_takes_over_though_the_party_of_the_stream_was_left() {
    for left_by in 0..2 {
        let mut pair = forwarded(15);
        let (a, b) = (pair.a, pair.b);
        let other = pair.world.join(a, "q");
        pair.world.join(b, "q");
        pair.world.run(SECOND);
        let leaver = [a, b][left_by];
        pair.world.command(leaver, Command::Leave { discovery: pair.party });
        pair.world.walls.clear();
        let took = pair.world.run_until(SECOND * 60, |w| w.linked(a, b) && !w.forwarded(a, b));
        assert!(took.is_some(), "left by {left_by}");
        let got = pair.world.subscribe(b, other, &everything(), false);
        pair.world.publish(a, other, 5);
        pair.world.run(SECOND);
        assert_eq!(pair.world.numbers(b, got), [5]);
    }
}

#[test]
fn a_suspended_page_comes_back_to_its_forwarded_link() {
    let mut pair = forwarded(16);
    let (a, b) = (pair.a, pair.b);
    pair.world.run(SECOND * 12);
    pair.world.cut(b);
    pair.world.run(SECOND * 15);
    pair.world.publish(a, pair.party, 0);
    pair.world.publish(b, pair.party, 0);
    pair.world.run(SECOND * 3);
    pair.world.restore(b);
    assert!(pair.all_came(0..1, SECOND * 10));
}
