//! Stores that others share, that are slow, and that are full.

use std::time::Duration;

use weft_crypto::{PeerKey, Seed};
use weft_peer_core::{Command, CommandId, Event, Keys};

use crate::disk::keys;
use crate::world::{World, everything};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(5);

/// Another peer of the same profile.
fn other_tab(n: u8) -> Keys {
    Keys { peer: PeerKey::new(&Seed::new([n + 100; 32])), ..keys(n) }
}

/// Keeps peers from each other, or lets them be linked again.
fn part(world: &mut World, (one, other): (usize, usize), apart: bool) {
    for (node, peer) in [(one, other), (other, one)] {
        let peer = world.id(peer);
        world.command(node, if apart { Command::Block { peer } } else { Command::Unblock { peer } });
    }
}

/// What a subscription got: numbers, and whether as backlog.
fn backlog_count(world: &World, node: usize, subscription: CommandId) -> usize {
    world.count(
        node,
        |event| matches!(event, Event::Data { subscription: of, backlog: true, .. } if *of == subscription),
    )
}

fn rows(world: &World, disk: usize, kind: u8) -> usize {
    world.disks[disk].rows.keys().filter(|(_, key)| key[0] == kind).count()
}

#[test]
fn what_another_tab_published_since_is_delivered_though_it_is_read_from_the_store() {
    let mut world = World::new(1, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(author, "p");
    world.publish(author, party, 0);
    world.run_until_stored(author);
    world.run(SECOND);
    world.disks[disk].latency = SECOND * 4;
    let tab = world.add_storing(&other_tab(10), disk, |_| {});
    part(&mut world, (author, tab), true);
    world.join(tab, "p");
    world.disks[disk].latency = SOON;
    let live = world.subscribe(tab, party, &everything(), false);
    let all = world.subscribe(tab, party, &everything(), true);
    world.run(SECOND);
    world.publish(author, party, 1);
    world.run(SECOND * 15);
    assert_eq!(world.numbers(tab, live), [1], "and not what was before it");
    assert_eq!(world.numbers(tab, all), [0, 1]);
    part(&mut world, (author, tab), false);
    world.run_until(SECOND * 60, |w| w.linked(author, tab)).unwrap();
    world.publish(author, party, 2);
    world.run(SECOND);
    assert_eq!(world.numbers(tab, live), [1, 2], "nothing twice");
    assert_eq!(world.numbers(tab, all), [0, 1, 2]);
}

#[test]
fn a_store_that_is_slower_than_it_is_waited_for_still_gives_the_backlog() {
    let mut world = World::new(2, 1);
    let author = world.add(&[0]);
    let party = world.join(author, "p");
    let disk = world.disk();
    let reader = world.add_storing(&keys(30), disk, |_| {});
    world.join(reader, "p");
    world.run_until(SECOND * 5, |w| w.linked(author, reader)).unwrap();
    for n in 0..50 {
        world.publish(author, party, n);
        world.run(SOON);
    }
    world.run(SECOND);
    world.run_until_stored(reader);
    world.kill(reader);
    world.cut(author);
    world.run(SECOND * 120);
    world.disks[disk].latency = SECOND * 8;
    let again = world.add_storing(&keys(30), disk, |_| {});
    world.join(again, "p");
    world.disks[disk].latency = SOON;
    // It has nothing, and says so.
    let other = world.add(&[0]);
    world.join(other, "p");
    let all = world.subscribe(again, party, &everything(), true);
    let fresh = world.subscribe(again, party, &everything(), false);
    let is_live = |w: &World| {
        w.count(again, |event| matches!(event, Event::Live { subscription } if *subscription == all)) == 1
    };
    world.run_until(SECOND * 7, is_live).unwrap();
    assert!(world.numbers(again, all).is_empty());
    world.run(SECOND * 5);
    assert_eq!(world.numbers(again, all), (0..50).collect::<Vec<_>>());
    assert_eq!(backlog_count(&world, again, all), 50);
    world.restore(author);
    world.run_until(SECOND * 60, |w| w.linked(author, again)).unwrap();
    world.publish(author, party, 50);
    world.run(SECOND * 10);
    assert_eq!(world.numbers(again, all), (0..=50).collect::<Vec<_>>(), "nothing twice");
    assert_eq!(world.numbers(again, fresh), [50]);
}

#[test]
fn what_expires_here_takes_nothing_from_another_tab() {
    let mut world = World::new(3, 1);
    let author = world.add(&[0]);
    let party = world.join(author, "p");
    let disk = world.disk();
    let briefly = |config: &mut weft_peer_core::Config| config.keep_age = SECOND * 60;
    let one = world.add_storing(&keys(30), disk, briefly);
    let two = world.add_storing(&other_tab(30), disk, briefly);
    for node in [one, two] {
        world.join(node, "p");
    }
    world.run_until(SECOND * 5, |w| w.linked(author, one) && w.linked(author, two)).unwrap();
    world.publish(author, party, 0);
    world.run(SECOND * 30);
    world.cut(one);
    world.publish(author, party, 1);
    world.run(SECOND * 40);
    world.run_until_stored(one);
    assert_eq!(rows(&world, disk, 2), 1, "the first one has expired");
    for node in [author, one, two] {
        world.kill(node);
    }
    let again = world.add_storing(&keys(30), disk, briefly);
    world.join(again, "p");
    let got = world.subscribe(again, party, &everything(), true);
    world.run(SECOND * 12);
    assert_eq!(world.numbers(again, got), [1]);
    // Nor does what nobody needs stay for ever.
    world.kill(again);
    world.run(SECOND * 60);
    for _ in 0..2 {
        let last = world.add_storing(&keys(30), disk, briefly);
        world.join(last, "p");
        world.run(SECOND);
        world.run_until_stored(last);
        world.kill(last);
    }
    assert_eq!((rows(&world, disk, 1), rows(&world, disk, 2)), (0, 0));
}

#[test]
fn a_full_disk_is_made_room_on() {
    let mut world = World::new(4, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |config| config.keep_publications = 10);
    let party = world.join(author, "p");
    let publish = |world: &mut World, numbers: std::ops::Range<i64>| {
        for n in numbers {
            world.publish(author, party, n);
            world.run(Duration::from_millis(20));
        }
    };
    publish(&mut world, 0..10);
    world.run_until_stored(author);
    world.disks[disk].room = world.disks[disk].rows.len() + 1;
    publish(&mut world, 10..20);
    world.run(SECOND);
    assert!(world.nodes[author].peer.unstored() > 0);
    let failed = |event: &Event| matches!(event, Event::Warning { code, .. } if *code == "store-failed");
    assert_eq!(world.count(author, failed), 1);
    let stored = |w: &World| w.nodes[author].peer.unstored() == 0;
    world.run_until(SECOND * 130, stored).expect("there is room once the old ones are gone");
    assert_eq!(rows(&world, disk, 2), 10);
}

#[test]
fn what_is_put_anew_and_removed_at_once_is_removed() {
    let mut world = World::new(5, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |config| config.keep_publications = 1);
    let party = world.join(author, "p");
    world.publish(author, party, 0);
    world.run_until_stored(author);
    world.run(SECOND);
    // Who asks for it gets it, and it is stored anew as something that somebody has.
    let first = world.add(&[0]);
    world.join(first, "p");
    world.run_until(SECOND * 5, |w| w.nodes[author].peer.unstored() > 0).unwrap();
    world.publish(author, party, 1);
    world.run(SECOND);
    world.run_until_stored(author);
    assert_eq!(rows(&world, disk, 2), 1);
}

#[test]
fn what_waits_to_be_signed_or_was_left_is_not_said_to_be_stored() {
    let mut world = World::new(6, 1);
    let disk = world.disk();
    let author = world.add_storing(&keys(10), disk, |_| {});
    let party = world.join(author, "p");
    world.run(SECOND);
    // The second is written with the first, the third waits for its signature meanwhile.
    world.disks[disk].latency = Duration::ZERO;
    world.publish(author, party, 0);
    world.run(Duration::from_millis(49));
    world.publish(author, party, 1);
    world.run_until_stored(author);
    world.publish(author, party, 2);
    assert!(world.nodes[author].peer.unstored() > 0);
    world.run_until_stored(author);
    assert_eq!(rows(&world, disk, 2), 3);
    world.disks[disk].latency = SOON;
    world.publish(author, party, 3);
    world.publish(author, party, 4);
    world.command(author, Command::Leave { discovery: party });
    assert!(world.nodes[author].peer.unstored() > 0, "it is on its way");
    let before = rows(&world, disk, 2);
    world.run_until_stored(author);
    assert!(rows(&world, disk, 2) > before);
}
