//! Feeds that outlive their peers.

use std::time::Duration;

use weft_peer_core::{Backlog, Command, CommandId, Event, Output, StoreDone, StoreWork};
use weft_wire::{DiscoveryKey, PublicationId};

use crate::disk::keys;
use crate::world::{World, everything};

const SECOND: Duration = Duration::from_secs(1);

fn live(world: &World, node: usize, subscription: CommandId) -> bool {
    world.count(node, |event| matches!(event, Event::Live { subscription: of } if *of == subscription)) == 1
}

/// A peer that has published so many documents, with the disk they are on.
fn published(world: &mut World, count: i64) -> (usize, usize, DiscoveryKey) {
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(author, "p");
    for n in 0..count {
        world.publish(author, party, n);
    }
    world.run(SECOND);
    world.run_until_stored(author);
    (author, disk, party)
}

fn places(world: &World, node: usize) -> Vec<(u64, PublicationId)> {
    let place = |event: &Event| match event {
        Event::Published { seq, id, .. } => Some((*seq, *id)),
        _ => None,
    };
    world.nodes[node].events.iter().filter_map(place).collect()
}

#[test]
fn q7_what_was_stored_is_given_to_those_who_come_after_a_restart() {
    let mut world = World::new(1, 1);
    let (author, disk, _) = published(&mut world, 300);
    world.kill(author);
    world.run(SECOND * 30);
    let again = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(again, "p");
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(late, got), (0..300).collect::<Vec<_>>());
    assert!(live(&world, late, got));
}

#[test]
fn q7_a_reader_that_restarts_gives_what_it_stored_of_others() {
    let mut world = World::new(2, 1);
    let (author, _, party) = published(&mut world, 200);
    let disk = world.disk();
    let reader = world.add_storing(&keys(30), disk, |_| {});
    world.join(reader, "p");
    let first = world.subscribe(reader, party, &everything(), true);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(reader, first).len(), 200);
    world.run_until_stored(reader);
    world.kill(author);
    world.kill(reader);
    world.run(SECOND * 60);
    let again = world.add_storing(&keys(30), disk, |_| {});
    world.join(again, "p");
    let own = world.subscribe(again, party, &everything(), true);
    // Nobody has to come for that.
    world.run_until(SECOND * 3, |w| live(w, again, own)).unwrap();
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 12);
    for (node, subscription) in [(again, own), (late, got)] {
        assert_eq!(world.numbers(node, subscription), (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn a_feed_goes_on_after_a_restart_and_nobody_waits_for_what_was_never_there() {
    let mut world = World::new(3, 1);
    let (author, disk, party) = published(&mut world, 3);
    let reader = world.add(&[0]);
    world.join(reader, "p");
    let got = world.subscribe(reader, party, &everything(), true);
    world.run_until(SECOND * 3, |w| live(w, reader, got)).unwrap();
    let before = places(&world, author);
    world.run_until_stored(author);
    world.kill(author);
    world.run(SECOND * 20);
    let again = world.add_storing(&keys(10), disk, |_| {});
    world.join(again, "p");
    // Somebody who has none of what was before.
    let stranger = world.add(&[0]);
    world.join(stranger, "p");
    let fresh = world.subscribe(stranger, party, &everything(), false);
    world.run_until(SECOND * 5, |w| w.linked(again, reader) && w.linked(again, stranger)).unwrap();
    world.run(SECOND);
    world.publish(again, party, 3);
    let all = |w: &World| w.numbers(reader, got).len() == 4 && w.numbers(stranger, fresh).len() == 1;
    let took = world.run_until(SECOND * 8, all).unwrap();
    assert!(took < Duration::from_millis(100), "{took:?}: nothing is missing");
    assert_eq!(world.numbers(reader, got), [0, 1, 2, 3]);
    let (seq, id) = places(&world, again)[0];
    assert!(seq > before[2].0, "numbers grow");
    // The chain goes on: the id hashes the one of before.
    let place = weft_crypto::publication::Place {
        discovery: party,
        author: world.nodes[again].peer.identity(),
        feed: world.id(again),
    };
    let body = crate::world::number(3).encode();
    let time = world.nodes[reader].events.iter().rev().find_map(|event| match event {
        Event::Data { publication, .. } if publication.seq == seq => Some(publication.time),
        _ => None,
    });
    let expected = weft_crypto::publication::id(&place, seq, &before[2].1, time.unwrap(), &body);
    assert_eq!(id, expected);
    assert_eq!(world.count(reader, |event| matches!(event, Event::Fork { .. })), 0);
}

#[test]
fn a_number_is_never_used_twice_though_the_end_was_not_stored_and_the_clock_was_set_back() {
    let mut world = World::new(4, 1);
    let (author, disk, party) = published(&mut world, 10);
    let reader = world.add(&[0]);
    world.join(reader, "p");
    let got = world.subscribe(reader, party, &everything(), true);
    world.run_until(SECOND * 3, |w| live(w, reader, got)).unwrap();
    // These reach the reader, and not the disk.
    world.disks[disk].latency = SECOND * 100;
    for n in 10..20 {
        world.publish(author, party, n);
    }
    world.run_until(SECOND, |w| w.numbers(reader, got).len() == 20).unwrap();
    let before = places(&world, author);
    world.kill(author);
    world.disks[disk].latency = Duration::from_millis(5);
    world.run(SECOND);
    // A new run whose clock says what it said long ago.
    let config = weft_peer_core::Config { store: true, ..Default::default() };
    let early = crate::world::START - SECOND * 3600;
    let mut again = weft_peer_core::Peer::new(config, keys(10), [1; 32], early);
    again.command(early, Command::Join { party: weft_crypto::Party::open("p") }).unwrap();
    let mut seqs = Vec::new();
    let mut publish = true;
    while let Some(output) = again.poll().or_else(|| {
        std::mem::take(&mut publish).then(|| {
            let document = crate::world::number(99);
            again.command(early, Command::Publish { discovery: party, document }).unwrap();
            again.poll().unwrap()
        })
    }) {
        match output {
            Output::Store(work) => {
                let done = world.disks[disk].work(work);
                again.handle(early, weft_peer_core::Input::Store(done));
            }
            Output::Event(Event::Published { seq, .. }) => seqs.push(seq),
            _ => {}
        }
    }
    assert_eq!(seqs.len(), 1);
    assert!(before.iter().all(|(seq, _)| *seq < seqs[0]), "{seqs:?} after {before:?}");
}

#[test]
fn what_is_read_late_joins_what_has_come_and_nothing_comes_twice() {
    let mut world = World::new(5, 1);
    let (author, _, party) = published(&mut world, 150);
    let disk = world.disk();
    let reader = world.add_storing(&keys(30), disk, |_| {});
    world.join(reader, "p");
    world.subscribe(reader, party, &everything(), true);
    world.run(SECOND * 3);
    world.run_until_stored(reader);
    world.kill(reader);
    // Everything comes from the author again before the disk has said anything.
    world.disks[disk].latency = SECOND * 2;
    let again = world.add_storing(&keys(30), disk, |_| {});
    world.join(again, "p");
    let got = world.subscribe(again, party, &everything(), true);
    world.run_until(SECOND * 2, |w| w.linked(author, again)).unwrap();
    world.publish(author, party, 150);
    world.run(SECOND * 5);
    assert_eq!(world.numbers(again, got), (0..=150).collect::<Vec<_>>());
    // Who asks us gets all of it once, though we were asked before we had read it.
    world.publish(author, party, 151);
    world.run(SECOND);
    assert_eq!(world.numbers(again, got).last(), Some(&151));
}

#[test]
fn who_asks_before_the_store_has_been_read_is_answered_when_it_has() {
    let mut world = World::new(6, 1);
    let (author, disk, _) = published(&mut world, 50);
    world.kill(author);
    world.run(SECOND * 30);
    world.disks[disk].latency = SECOND;
    let again = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(again, "p");
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run_until(SECOND, |w| w.linked(again, late)).unwrap();
    assert!(world.numbers(late, got).is_empty());
    world.run(SECOND * 4);
    assert_eq!(world.numbers(late, got), (0..50).collect::<Vec<_>>());
}

#[test]
fn what_nobody_had_when_the_page_was_closed_goes_to_the_first_who_comes_later() {
    let mut world = World::new(7, 1);
    let (author, disk, party) = published(&mut world, 5);
    world.kill(author);
    world.run(SECOND * 60);
    let again = world.add_storing(&keys(10), disk, |_| {});
    world.join(again, "p");
    world.run(SECOND * 10);
    let first = world.add(&[0]);
    world.join(first, "p");
    let got = world.subscribe(first, party, &everything(), false);
    world.run(SECOND * 3);
    assert_eq!(world.numbers(first, got), (0..5).collect::<Vec<_>>());
    // Once: it is a backlog from then on, also for a run after that.
    world.run_until_stored(again);
    world.kill(again);
    world.kill(first);
    world.run(SECOND * 60);
    let third = world.add_storing(&keys(10), disk, |_| {});
    world.join(third, "p");
    let second = world.add(&[0]);
    world.join(second, "p");
    let got = world.subscribe(second, party, &everything(), false);
    world.run(SECOND * 5);
    assert!(world.numbers(second, got).is_empty());
}

#[test]
fn q7_the_backlog_is_bounded_by_age_by_count_and_in_what_is_kept() {
    let mut world = World::new(8, 1);
    let author = world.add(&[0]);
    let party = world.join(author, "p");
    let witness = world.add(&[0]);
    world.join(witness, "p");
    world.run_until(SECOND * 3, |w| w.linked(author, witness)).unwrap();
    for n in 0..100 {
        world.publish(author, party, n);
        world.publish(witness, party, 1000 + n);
        world.run(SECOND);
    }
    let late = world.add(&[0]);
    world.join(late, "p");
    let with = |age: Option<u64>, count| Some(Backlog { age: age.map(Duration::from_secs), count });
    let by_age = world.subscribe_with(late, party, &everything(), with(Some(20), None));
    let by_count = world.subscribe_with(late, party, &everything(), with(None, Some(11)));
    let by_both = world.subscribe_with(late, party, &everything(), with(Some(20), Some(1000)));
    let none = world.subscribe_with(late, party, &everything(), with(None, Some(0)));
    world.run_until(SECOND * 5, |w| live(w, late, by_age) && live(w, late, by_count)).unwrap();
    let split = |subscription| {
        let all = world.numbers(late, subscription);
        let (witness, author): (Vec<i64>, Vec<i64>) = all.into_iter().partition(|n| *n >= 1000);
        assert!(author.is_sorted() && witness.is_sorted(), "in order per author");
        (author, witness)
    };
    for subscription in [by_age, by_both] {
        let (author, witness) = split(subscription);
        assert_eq!((author.last(), witness.last()), (Some(&99), Some(&1099)));
        assert!((18..=21).contains(&author.len()), "{author:?}");
        assert!((18..=21).contains(&witness.len()), "{witness:?}");
    }
    let (author_newest, witness_newest) = split(by_count);
    assert_eq!(author_newest.len() + witness_newest.len(), 11);
    assert!(author_newest[0] >= 94 && witness_newest[0] >= 1094);
    assert!(world.numbers(late, none).is_empty());
    world.publish(author, party, 100);
    world.run(SECOND);
    for subscription in [by_age, by_count, by_both, none] {
        assert_eq!(world.numbers(late, subscription).last(), Some(&100), "and then live");
    }
}

#[test]
fn what_is_stored_is_bounded_as_what_is_kept_is() {
    let mut world = World::new(9, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |config| {
        config.keep_publications = 50;
        config.keep_age = SECOND * 60;
    });
    let party = world.join(author, "p");
    for n in 0..200 {
        world.publish(author, party, n);
        world.run(Duration::from_millis(20));
    }
    world.run_until_stored(author);
    let bundles = |world: &World| world.disks[disk].rows.keys().filter(|(_, key)| key[0] == 2).count();
    assert!((1..=50).contains(&bundles(&world)), "{}", bundles(&world));
    assert!(world.disks[disk].writes < 150, "{} writes", world.disks[disk].writes);
    // Too old while it runs, and while it does not.
    world.kill(author);
    let again = world.add_storing(&keys(10), disk, |config| config.keep_age = SECOND * 60);
    world.join(again, "p");
    world.run(SECOND * 30);
    assert!(bundles(&world) > 0);
    world.run(SECOND * 40);
    assert_eq!(bundles(&world), 0);
}

#[test]
fn a_store_that_was_tampered_with_costs_what_was_altered_and_a_warning() {
    let mut world = World::new(10, 1);
    let (author, disk, party) = published(&mut world, 640);
    world.kill(author);
    let keys_of_rows: Vec<_> = world.disks[disk].rows.keys().cloned().collect();
    let mut bundles = keys_of_rows.iter().filter(|(_, key)| key[0] == 2);
    let (altered, moved) = (bundles.next().unwrap(), bundles.next().unwrap());
    let value = world.disks[disk].rows.get_mut(altered).unwrap();
    let middle = value.len() / 2;
    value[middle] ^= 1;
    let value = world.disks[disk].rows.remove(moved).unwrap();
    let elsewhere = (party, [moved.1.as_slice(), b"x"].concat());
    world.disks[disk].rows.insert(elsewhere.clone(), value);
    world.disks[disk].rows.insert((party, vec![7; 20]), vec![1; 100]);
    let again = world.add_storing(&keys(10), disk, |_| {});
    world.join(again, "p");
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 5);
    let damaged = |event: &Event| matches!(event, Event::Warning { code, text } if *code == "store-damaged" && text.contains('3'));
    assert_eq!(world.count(again, damaged), 1);
    let numbers = world.numbers(late, got);
    assert!(numbers.is_sorted() && numbers.len() < 640 && numbers.len() >= 640 - 2 * 64, "{}", numbers.len());
    assert!(world.linked(again, late), "nothing forged was passed on");
    world.run_until_stored(again);
    let gone = |key| !world.disks[disk].rows.contains_key(key);
    assert!(gone(altered) && gone(&elsewhere) && gone(&(party, vec![7; 20])));
}

#[test]
fn a_store_that_fails_is_a_warning_and_the_peer_goes_on_and_stores_again_when_it_works() {
    let mut world = World::new(11, 1);
    let disk = world.disk();
    world.disks[disk].broken = true;
    let author = world.add_storing(&keys(10), disk, |_| {});
    let reader = world.add(&[0]);
    let party = world.join(author, "p");
    world.join(reader, "p");
    let got = world.subscribe(reader, party, &everything(), false);
    for n in 0..30 {
        world.publish(author, party, n);
        world.run(SECOND);
    }
    assert_eq!(world.numbers(reader, got), (0..30).collect::<Vec<_>>());
    let of = |code: &'static str| move |event: &Event| matches!(event, Event::Warning { code: of, .. } if *of == code);
    assert_eq!(world.count(author, of("store-failed")), 1);
    assert_eq!(world.count(author, of("store-damaged")), 1, "it could not be read either");
    assert!(world.nodes[author].peer.unstored() > 0, "nothing is said to be stored");
    world.disks[disk].broken = false;
    world.run(SECOND * 61);
    world.publish(author, party, 30);
    world.run(SECOND);
    assert_eq!(world.nodes[author].peer.unstored(), 0);
    // Also what was published when it did not work.
    world.kill(author);
    world.kill(reader);
    world.run(SECOND * 30);
    let again = world.add_storing(&keys(10), disk, |_| {});
    world.join(again, "p");
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 5);
    assert_eq!(world.numbers(late, got), (0..=30).collect::<Vec<_>>());
}

#[test]
fn leaving_keeps_what_is_stored_and_forgetting_removes_it() {
    let mut world = World::new(12, 1);
    let (author, disk, party) = published(&mut world, 5);
    world.publish(author, party, 5);
    world.command(author, Command::Leave { discovery: party });
    world.run(SECOND);
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.join(author, "p");
    world.run(SECOND * 5);
    assert_eq!(world.numbers(late, got), (0..=5).collect::<Vec<_>>(), "also what was published last");
    let command = world.command(author, Command::Forget { discovery: party });
    world.run(SECOND);
    let forgotten =
        |event: &Event| matches!(event, Event::Forgotten { command: of, outcome: Ok(()) } if *of == command);
    assert_eq!(world.count(author, forgotten), 1);
    assert!(world.disks[disk].rows.keys().all(|(of, _)| *of != party));
    assert_eq!(
        world.count(late, |event| matches!(
            event,
            Event::Peer { change: weft_peer_core::PeerChange::Left, .. }
        )),
        1
    );
}

/// The figures are printed; what is checked is that it takes no signature for each.
#[test]
fn twenty_thousand_publications_are_read_quickly() {
    let mut world = World::new(13, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(author, "p");
    for n in 0..20_000 {
        world.publish(author, party, n);
        // Each in a bundle of its own: the worst case.
        world.run(Duration::from_millis(5));
    }
    world.run_until_stored(author);
    world.kill(author);
    let rows = world.disks[disk].rows.len();
    assert!(rows > 19_000, "{rows}");
    let again = world.add_storing(&keys(10), disk, |_| {});
    world.disks[disk].latency = Duration::ZERO;
    let mut all = Vec::new();
    let mut after = None;
    let now = world.now;
    world.nodes[again].peer.command(now, Command::Join { party: weft_crypto::Party::open("p") }).unwrap();
    loop {
        let done = world.disks[disk].work(StoreWork::Load { discovery: party, after });
        let StoreDone::Loaded { rows: Ok(rows), more, .. } = done else { panic!("read") };
        after = rows.last().map(|row| row.key.clone());
        all.extend(rows);
        if !more {
            break;
        }
    }
    let done = StoreDone::Loaded { discovery: party, rows: Ok(all), more: false };
    world.nodes[again].peer.handle(now, weft_peer_core::Input::Store(done));
    let backlog = world.subscribe(again, party, &everything(), true);
    let late = world.add(&[0]);
    world.join(late, "p");
    let got = world.subscribe(late, party, &everything(), true);
    world.run(SECOND * 15);
    assert_eq!(world.numbers(late, got).len(), 20_000);
    assert!(world.numbers(again, backlog).is_empty(), "no echo");
}
