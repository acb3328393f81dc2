use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, publication, statement};
use weft_peer_core::{Command, CommandId, Event, Input};
use weft_query::Value;
use weft_wire::link::Link as Frame;
use weft_wire::{BundleEntry, List, PeerRecord, PublicationId, Text, encode};

use crate::world::{World, everything, number, object, one_chunk};

const SECOND: Duration = Duration::from_secs(1);

fn above(n: i64) -> Value {
    object(vec![("n", object(vec![("$gt", Value::Int(n))]))])
}

#[test]
fn m2_subscribers_get_exactly_what_matches_once_in_the_authors_order() {
    for seed in 0..10 {
        let mut world = World::new(seed, 3);
        let nodes: Vec<usize> = (0..3).map(|n| world.add(&[n])).collect();
        let mut party = None;
        for &node in &nodes {
            party = Some(world.join(node, "movies"));
        }
        let party = party.unwrap();
        let low = world.subscribe(nodes[1], party, &above(999), false);
        let high = world.subscribe(nodes[2], party, &above(2999), false);
        world
            .run_until(SECOND * 2, |w| w.linked(nodes[0], nodes[1]) && w.linked(nodes[0], nodes[2]))
            .unwrap();
        for n in 0..3201 {
            world.publish(nodes[0], party, n);
        }
        world.run(SECOND * 5);
        assert_eq!(world.numbers(nodes[1], low), (1000..3201).collect::<Vec<_>>());
        assert_eq!(world.numbers(nodes[2], high), (3000..3201).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_published_after_a_pause_goes_out_at_once_and_a_burst_is_signed_together() {
    let mut world = World::new(1, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    let subscription = world.subscribe(b, party, &everything(), false);
    world.run_until(SECOND * 3, |w| w.linked(a, b)).unwrap();
    world.run(SECOND * 5);
    let bundles = |world: &World| world.nodes[a].peer.stats().sent.publications.frames;
    let before = bundles(&world);
    // As somebody who answers what has just come.
    for n in 0..100 {
        world.publish(a, party, n);
        assert_eq!(bundles(&world) - before, n.cast_unsigned() + 1, "{n}");
        world.run(Duration::from_millis(1));
    }
    world.run(SECOND);
    let before = bundles(&world);
    for n in 100..228 {
        world.publish(a, party, n);
    }
    world.run(Duration::from_millis(3));
    assert_eq!(bundles(&world) - before, 3, "the first, 64 of them, and the rest");
    world.run(SECOND);
    // Who never pauses for long cannot have everybody verify each publication.
    let before = bundles(&world);
    for n in 228..4228 {
        world.publish(a, party, n);
        world.run(Duration::from_micros(600));
    }
    let took = Duration::from_millis(2400);
    let signatures = bundles(&world) - before;
    assert!(u128::from(signatures) <= took.as_millis() / 2 + 502, "{signatures} signatures");
    world.run(SECOND);
    assert_eq!(world.numbers(b, subscription), (0..4228).collect::<Vec<_>>());
}

#[test]
fn q3_a_document_crosses_a_peer_that_is_not_interested_and_its_handler_does_not_fire() {
    let mut world = World::new(1, 1);
    let (a, b, c) = (world.add(&[0]), world.add(&[0]), world.add(&[0]));
    let (id_a, id_c) = (world.id(a), world.id(c));
    world.command(a, Command::Block { peer: id_c });
    world.command(c, Command::Block { peer: id_a });
    let party = world.join(a, "p");
    world.join(b, "p");
    world.join(c, "p");
    let uninterested = world.subscribe(b, party, &above(100), false);
    let interested = world.subscribe(c, party, &above(0), false);
    world.run_until(SECOND * 3, |w| w.linked(a, b) && w.linked(b, c)).unwrap();
    world.run(SECOND);
    world.publish(a, party, 50);
    world.run(SECOND);
    assert_eq!(world.numbers(c, interested), [50]);
    assert!(world.numbers(b, uninterested).is_empty());
    assert!(world.nodes[b].peer.stats().forwarded >= 1);
}

#[test]
fn q4_ten_peers_get_every_match_exactly_once() {
    for seed in 0..5 {
        let mut world = World::new(seed, 1);
        let nodes: Vec<usize> = (0..10).map(|_| world.add(&[0])).collect();
        let mut party = None;
        for &node in &nodes {
            party = Some(world.join(node, "p"));
        }
        let party = party.unwrap();
        let subscriptions: Vec<_> =
            nodes.iter().map(|&node| (node, world.subscribe(node, party, &everything(), false))).collect();
        world.run(SECOND * 12);
        for (n, &node) in nodes.iter().enumerate() {
            world.publish(node, party, i64::try_from(n).unwrap());
        }
        world.run(SECOND * 5);
        for (node, subscription) in subscriptions {
            let mut got = world.numbers(node, subscription);
            got.sort_unstable();
            let own = i64::try_from(node).unwrap();
            assert_eq!(got, (0..10).filter(|n| *n != own).collect::<Vec<_>>(), "seed {seed}, node {node}");
        }
    }
}

#[test]
fn q5_equal_bodies_sent_twice_are_delivered_twice() {
    let mut world = World::new(2, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    let got = world.subscribe(b, party, &everything(), false);
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    world.publish(a, party, 7);
    world.publish(a, party, 7);
    world.run(SECOND);
    assert_eq!(world.numbers(b, got), [7, 7]);
}

#[test]
fn q6_a_document_published_before_any_peer_is_there_is_delivered_when_one_is() {
    let mut world = World::new(3, 1);
    let a = world.add(&[0]);
    let party = world.join(a, "p");
    world.publish(a, party, 1);
    world.run(SECOND * 30);
    let b = world.add(&[0]);
    world.join(b, "p");
    let got = world.subscribe(b, party, &everything(), false);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(b, got), [1]);
    let c = world.add(&[0]);
    world.join(c, "p");
    world.run(SECOND * 3);
    let ready = |event: &Event| matches!(event, Event::Ready { .. });
    for node in [a, b, c] {
        assert_eq!(world.count(node, ready), 1);
    }
}

#[test]
fn q7_a_late_joiner_gets_the_backlog_if_it_asks_and_only_then() {
    let mut world = World::new(4, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    for n in 0..300 {
        world.publish(a, party, n);
    }
    world.run(SECOND * 20);
    let late = world.add(&[0]);
    world.join(late, "p");
    let without = world.subscribe(late, party, &everything(), false);
    let with = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(late, with), (0..300).collect::<Vec<_>>());
    assert!(world.numbers(late, without).is_empty());
    let live = |event: &Event| matches!(event, Event::Live { .. });
    assert_eq!(world.count(late, live), 1);
    // Asked for again much later, from what this peer itself keeps; live goes on behind it, once.
    let again = world.subscribe(late, party, &above(297), true);
    world.publish(a, party, 300);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(late, again), [298, 299, 300]);
    assert_eq!(world.numbers(late, with).last(), Some(&300));
    assert_eq!(world.numbers(late, without), [300]);
}

#[test]
fn q7_a_moment_before_and_a_moment_after_a_subscription_are_told_apart_over_slow_links() {
    for (seed, asks) in [(40, true), (41, false), (42, true), (43, false)] {
        let mut world = World::new(seed, 1);
        // A document takes longer to the late joiner than the time between its publication and the subscription.
        world.slowness = Duration::from_millis(150);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND * 5, |w| w.linked(a, b)).unwrap();
        let early = world.subscribe(b, party, &everything(), false);
        let late = world.add(&[0]);
        world.publish(a, party, 1);
        world.run_until(SECOND, |w| !w.numbers(b, early).is_empty()).unwrap();
        world.run(Duration::from_millis(10));
        world.join(late, "p");
        let without = world.subscribe(late, party, &everything(), false);
        let with = asks.then(|| world.subscribe(late, party, &everything(), true));
        world.run(Duration::from_millis(10));
        world.publish(a, party, 2);
        world.run(SECOND * 5);
        assert_eq!(world.numbers(late, without), [2], "seed {seed}");
        let Some(with) = with else { continue };
        assert_eq!(world.numbers(late, with), [1, 2], "seed {seed}");
        let earlier = |event: &Event| matches!(event, Event::Data { backlog: true, .. });
        assert_eq!(world.count(late, earlier), 1, "seed {seed}");
    }
}

#[test]
fn q11_what_was_seeded_is_served_to_those_who_come_when_the_first_readers_are_gone() {
    let mut world = World::new(5, 1);
    let seeder = world.add(&[0]);
    let party = world.join(seeder, "p");
    for n in 0..100 {
        world.publish(seeder, party, n);
    }
    world.run(SECOND * 5);
    let first = world.add(&[0]);
    world.join(first, "p");
    world.run(SECOND * 5);
    world.kill(first);
    world.run(SECOND * 40);
    let later = world.add(&[0]);
    world.join(later, "p");
    let got = world.subscribe(later, party, &everything(), true);
    world.run(SECOND * 5);
    assert_eq!(world.numbers(later, got), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_burst_shares_signatures_and_a_single_document_does_not_wait() {
    let mut world = World::new(6, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    let got = world.subscribe(b, party, &everything(), false);
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    world.run(SECOND);
    world.publish(a, party, 0);
    let took = world.run_until(SECOND, |w| w.numbers(b, got).len() == 1).unwrap();
    assert!(took < Duration::from_millis(30), "{took:?}");
}

#[test]
fn the_largest_document_crosses_and_a_larger_one_is_refused() {
    let mut world = World::new(7, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let party = world.join(a, "p");
    world.join(b, "p");
    let got = world.subscribe(b, party, &everything(), false);
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let big = |len: usize| {
        let entries = vec![("n", Value::Int(1)), ("x", Value::Bytes(vec![0; len]))];
        weft_query::Document::from_value(&object(entries)).unwrap()
    };
    world.command(a, Command::Publish { discovery: party, document: big(weft_wire::limits::DOCUMENT - 32) });
    world.run(SECOND * 3);
    assert_eq!(world.numbers(b, got), [1]);
    let now = world.now;
    let refused = Command::Publish { discovery: party, document: big(weft_wire::limits::DOCUMENT) };
    let error = world.nodes[a].peer.command(now, refused).unwrap_err();
    assert_eq!(error.code(), "too-large");
}

#[test]
fn a_full_queue_is_an_error_that_ends() {
    let mut world = World::new(8, 1);
    let a = world.add_with(&[0], |config| config.publish_queue = 10_000);
    let party = world.join(a, "p");
    let mut taken = 0;
    let error = loop {
        let now = world.now;
        let document = crate::world::number(taken);
        match world.nodes[a].peer.command(now, Command::Publish { discovery: party, document }) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        world.run(Duration::from_millis(1));
    };
    assert_eq!(error.code(), "queue-full");
    let b = world.add(&[0]);
    world.join(b, "p");
    let got = world.subscribe(b, party, &everything(), false);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(b, got), (0..taken).collect::<Vec<_>>());
    assert_eq!(world.count(a, |event| matches!(event, Event::Drained)), 1);
}

#[test]
fn one_seed_gives_one_history() {
    let history = |seed| {
        let mut world = World::new(seed, 2);
        let nodes: Vec<usize> = (0..6).map(|n| world.add(&[n % 2])).collect();
        for &node in &nodes {
            let party = world.join(node, "p");
            world.subscribe(node, party, &everything(), true);
            world.publish(node, party, i64::try_from(node).unwrap());
        }
        world.run(SECOND * 30);
        let events: Vec<String> = world.nodes.iter().map(|node| format!("{:?}", node.events)).collect();
        events.join("\n")
    };
    assert_eq!(history(1), history(1));
    assert_ne!(history(1), history(2));
}

/// A reader that is linked, and four bundles of a feed that comes to it over other ways, with one document each.
struct Overtaken {
    world: World,
    reader: usize,
    subscription: CommandId,
    record: Vec<u8>,
    bundles: Vec<Vec<u8>>,
}

impl Overtaken {
    fn new() -> Self {
        let mut world = World::new(8, 1);
        let (reader, bearer) = (world.add(&[0]), world.add(&[0]));
        let party = world.join(reader, "p");
        world.join(bearer, "p");
        let subscription = world.subscribe(reader, party, &everything(), false);
        world.run_until(SECOND * 3, |w| w.linked(reader, bearer)).unwrap();
        world.run(SECOND);

        let (identity, peer) = (IdentityKey::new(&Seed::new([90; 32])), PeerKey::new(&Seed::new([91; 32])));
        let record = PeerRecord {
            identity: identity.id(),
            peer: peer.id(),
            agreement: peer.agreement(),
            name: Text::default(),
            issued: world.now.millis(),
            until: world.now.millis() + 600_000,
            sessions: None,
        };
        let record = statement::sign_record(&identity, &record);
        let mut previous = PublicationId([0; 32]);
        let mut bundles = Vec::new();
        for n in 0..4 {
            let entries = List::first([BundleEntry { time: world.now.millis(), body: number(n).encode() }]);
            let first = 1000 + u64::try_from(n).unwrap();
            let (bundle, last) =
                publication::sign_bundle(&peer, party, identity.id(), first, previous, entries);
            previous = last;
            bundles.push(encode(&bundle));
        }
        Self { world, reader, subscription, record, bundles }
    }

    /// These bundles come, and what has been delivered then.
    fn come(&mut self, bundles: &[usize], pause: Duration) -> Vec<i64> {
        let link = self.world.link_of(self.reader);
        for &n in bundles {
            let (record, bundle) = (Some(&self.record[..]), &self.bundles[n]);
            let frame = Frame::Publish { hops: 1, age_ms: 0, record, bundle, from: None };
            self.world.input(self.reader, Input::ChannelMessage { link, bytes: &one_chunk(&frame) });
        }
        self.world.run(pause);
        self.world.numbers(self.reader, self.subscription)
    }
}

/// Bundles of one feed may come over different ways: the second one first.
#[test]
fn the_first_documents_of_a_feed_are_not_lost_when_later_ones_overtake_them() {
    assert_eq!(Overtaken::new().come(&[2, 1, 3, 0], SECOND / 10), [0, 1, 2, 3]);
}

#[test]
fn what_is_overtaken_by_seconds_still_comes_in_order() {
    let mut feed = Overtaken::new();
    assert!(feed.come(&[2], SECOND * 2).is_empty());
    assert_eq!(feed.come(&[0], SECOND / 10), [0]);
    assert_eq!(feed.come(&[3], SECOND * 2), [0]);
    assert_eq!(feed.come(&[1], SECOND / 10), [0, 1, 2, 3]);
}

#[test]
fn what_is_not_awaited_any_more_comes_late_and_once() {
    let mut feed = Overtaken::new();
    assert_eq!(feed.come(&[1], SECOND * 6), [1]);
    assert_eq!(feed.come(&[3], SECOND * 6), [1, 3]);
    assert_eq!(feed.come(&[0, 2, 0, 2], SECOND), [1, 3, 0, 2]);
}

#[test]
fn what_came_in_many_runs_of_a_feed_comes_no_second_time() {
    let mut world = World::new(1, 1);
    let disk = world.disk();
    let reader = world.add(&[0]);
    let party = world.join(reader, "p");
    let got = world.subscribe(reader, party, &everything(), true);
    for n in 0..40 {
        let author = world.add_storing(&crate::disk::keys(10), disk, |_| {});
        world.join(author, "p");
        world.run_until(SECOND * 5, |w| w.linked(author, reader)).unwrap();
        world.run(SECOND);
        world.publish(author, party, n);
        world.run_until(SECOND * 5, |w| w.numbers(reader, got).last() == Some(&n)).unwrap();
        world.run_until_stored(author);
        world.kill(author);
        world.run(SECOND * 20);
    }
    assert_eq!(world.numbers(reader, got), (0..40).collect::<Vec<_>>());
    assert_eq!(world.nodes[reader].peer.stats().duplicates, 0);
}
