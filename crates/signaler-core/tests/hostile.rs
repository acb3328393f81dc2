//! Siblings that were admitted and misbehave: what they can do is bounded and counted, and others do not notice.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use weft_crypto::PeerKey;
use weft_crypto::statement::{sign_entry, sign_gone};
use weft_signaler_core::{Config, Counters};
use weft_wire::sibling::{Refresh, Sibling};
use weft_wire::{Bytes, Code, DiscoveryKey, Entry, Gone, List, Signature, encode, limits};
use world::{Got, World, millis, seed, signaler_key, star_config, swarm};

/// Three that keep everything; the second one is the bad one.
const BAD: usize = 1;

fn three(change: impl Fn(Config) -> Config) -> World {
    let mut world =
        World::of((0..3).map(|at| change(star_config(at, if at == 0 { &[] } else { &[0] }))).collect());
    world.pass(millis(12_000));
    world
}

fn entries(signed: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    encode(&Sibling::Entries { entries: List::first(signed.into_iter().map(Bytes)), ring: None })
}

/// An entry of a peer that there is not, at home at the bad one.
fn made_up(world: &World, discovery: DiscoveryKey, n: u8) -> (PeerKey, Entry) {
    let key = PeerKey::new(&seed(n));
    let now = world.now.millis();
    let (peer, agreement, home) = (key.id(), key.agreement(), signaler_key(BAD).id());
    (key, Entry { discovery, peer, home, agreement, seq: now, since: now, until: now + 120_000, left: false })
}

fn linked(world: &World, at: usize) -> usize {
    world.signaler(at).gauges().siblings.iter().filter(|sibling| sibling.up).count()
}

/// Peers at the two good ones find and reach each other.
fn assert_served(world: &mut World, n: u8) {
    let (a, b) = (world.client(0, n), world.client(2, n + 1));
    world.announce(a, swarm(n));
    world.pass(millis(20));
    world.announce(b, swarm(n));
    world.pass(millis(20));
    let (pa, pb) = (world.peer(a), world.peer(b));
    assert!(world.take(a).contains(&Got::Joined(pb, world.id(2))));
    assert!(world.take(b).contains(&Got::Members(swarm(n), vec![pa], 1)));
    world.forward(a, 1, pb, None, b"sealed");
    assert!(world.take(a).contains(&Got::Ack(1)));
}

#[test]
fn of_two_statements_with_one_number_the_first_stays_and_the_other_is_counted() {
    let mut world = three(|config| config);
    let (key, entry) = made_up(&world, swarm(1), 99);
    // At home at somebody who is not there, and so does not say that it is gone.
    let entry = Entry { home: signaler_key(9).id(), ..entry };
    let other = Entry { since: entry.since - 5, ..entry.clone() };
    world.between(BAD, 0, entries([sign_entry(&key, &entry)]));
    world.between(BAD, 2, entries([sign_entry(&key, &entry)]));
    for _ in 0..3 {
        world.between(BAD, 0, entries([sign_entry(&key, &other)]));
    }
    let counters = world.signaler(0).counters();
    assert_eq!((counters.equivocations, counters.forged_entries), (3, 0));
    // What others have is the same, so nothing is told again and again. The bad one itself asked for it once.
    let repaired =
        |world: &World| [0, 2].map(|at| world.signaler(at).counters().repaired).iter().sum::<u64>();
    world.pass(millis(35_000));
    let before = repaired(&world);
    world.pass(millis(65_000));
    assert_eq!(world.signaler(0).entries(&swarm(1)), world.signaler(2).entries(&swarm(1)));
    assert_eq!((before, repaired(&world)), (1, 1));
    // The same bytes once more are no equivocation, and a forgery is one.
    world.between(BAD, 0, entries([sign_entry(&key, &entry), sign_entry(&PeerKey::new(&seed(98)), &other)]));
    let counters = world.signaler(0).counters();
    assert_eq!((counters.equivocations, counters.forged_entries), (3, 1));
    assert_served(&mut world, 10);
}

#[test]
fn what_was_said_to_one_signaler_is_worth_nothing_when_it_is_said_again_to_another() {
    let mut world = three(|config| config);
    let peer = world.client(0, 1);
    let entry = world.entry(peer, swarm(1), false);
    let signed = sign_entry(&world.clients[peer].key, &entry);
    world.between(0, 2, entries([signed.clone()]));
    world.announce(peer, swarm(1));
    world.pass(millis(20));
    let before: Counters = world.signaler(2).counters().clone();
    // Older than what is known; after the peer has left; and after that was forgotten, when it has expired.
    world.between(BAD, 2, entries([signed.clone()]));
    world.leave(peer, swarm(1));
    world.pass(millis(20));
    world.between(BAD, 2, entries([signed.clone()]));
    assert_eq!(world.signaler(2).entries(&swarm(1)), []);
    world.pass(millis(121_000));
    assert_eq!(world.signaler(2).gauges().entries, 0, "the withdrawal is forgotten");
    world.between(BAD, 2, entries([signed]));
    assert_eq!(world.signaler(2).entries(&swarm(1)), []);
    assert_eq!(world.signaler(2).counters().expired_entries, before.expired_entries + 1);
    // A removal by somebody who is not its home.
    world.announce(peer, swarm(2));
    world.pass(millis(20));
    let gone = Gone { discovery: swarm(2), peer: world.peer(peer), home: world.id(0), seq: u64::MAX };
    let gone = sign_gone(&signaler_key(BAD), &gone);
    world.between(BAD, 2, encode(&Sibling::Gone { gone: List::first([Bytes(gone)]), ring: None }));
    assert_eq!(world.signaler(2).entries(&swarm(2)), [(world.peer(peer), world.id(0))]);
    assert_eq!(world.signaler(2).counters().forged_entries, before.forged_entries + 1);
    assert_served(&mut world, 10);
}

#[test]
fn clocks_that_are_off_lengthen_nothing_and_what_they_lose_is_counted() {
    let mut world = three(|config| config);
    let hour = 3_600_000;
    let (late, behind) = made_up(&world, swarm(1), 98);
    let (early, ahead) = made_up(&world, swarm(1), 99);
    let now = world.now.millis();
    let behind = Entry { seq: now - hour, since: now - hour, until: now - hour + 120_000, ..behind };
    let ahead = Entry { seq: now + hour, since: now + hour, until: now + hour + 120_000, ..ahead };
    world.between(BAD, 0, entries([sign_entry(&late, &behind), sign_entry(&early, &ahead)]));
    assert_eq!(world.signaler(0).counters().expired_entries, 1);
    assert_eq!(world.signaler(0).entries(&swarm(1)), [(early.id(), world.id(BAD))]);
    world.pass(millis(120_300));
    assert_eq!(world.signaler(0).entries(&swarm(1)), [], "a TTL by the receiver's clock");
    assert_served(&mut world, 10);
}

#[test]
fn a_sibling_fills_no_more_than_its_share_of_a_table() {
    let mut world = three(|config| Config { max_entries_per_sibling: 20, max_entries: 60, ..config });
    // Many swarms, many peers, and many of both; over and over, and under another link.
    for round in 0..2 {
        for first in [100_u8, 130] {
            let flood: Vec<Vec<u8>> = (first..first + 25)
                .map(|n| {
                    let (key, entry) = made_up(&world, swarm(n), n);
                    sign_entry(&key, &entry)
                })
                .collect();
            world.between(BAD, 0, entries(flood));
        }
        assert_eq!(world.signaler(0).gauges().entries, 20, "round {round}");
        world.kill(BAD);
        world.restart(BAD, star_config(BAD, &[0, 2]));
        world.pass(millis(5_000));
    }
    assert!(world.signaler(0).counters().refused_entries >= 2 * 30);
    // With others as homes: half as many, and none of that is the share of those who pass it on.
    let others: Vec<Vec<u8>> = (0..100_u8)
        .map(|n| {
            let (key, entry) = made_up(&world, swarm(n), n);
            let home = signaler_key(if n < 50 { 0 } else { 9 }).id();
            sign_entry(&key, &Entry { home, ..entry })
        })
        .collect();
    world.between(BAD, 0, entries(others));
    assert_eq!(world.signaler(0).gauges().entries, 20 + 10);
    assert_eq!(world.signaler(0).counters().dropped_entries, 0, "the table is not full");
    assert_served(&mut world, 10);
    // What expires makes room again, withdrawals included.
    world.pass(millis(260_000));
    let (key, entry) = made_up(&world, swarm(200), 200);
    world.between(BAD, 0, entries([sign_entry(&key, &entry)]));
    assert_eq!(world.signaler(0).entries(&swarm(200)).len(), 1);
}

#[test]
fn an_offer_takes_the_room_of_what_it_names() {
    // Room for 600 statements of 256 bytes: 150 kB.
    let mut world = three(|config| Config { max_entries: 300, ..config });
    let offer = |names: usize| {
        let names = Bytes(vec![7; names * limits::NAME_BYTES]);
        encode(&Sibling::Offer { discovery: swarm(1), names })
    };
    world.between(BAD, 0, offer(10_000));
    assert_eq!(world.signaler(0).counters().refused(Code::RateLimited), 0);
    world.between(BAD, 0, offer(limits::NAMES));
    assert_eq!(world.signaler(0).counters().refused(Code::RateLimited), 1);
    assert_served(&mut world, 200);
}

#[test]
fn who_says_more_than_can_be_looked_at_is_closed_and_nobody_else() {
    let mut world = three(|config| Config { max_entries: 60, ..config });
    let signed = |n: u8| {
        let (key, entry) = made_up(&world, swarm(n), n);
        sign_entry(&key, &entry)
    };
    // More at once than twice what the table holds.
    let flood: Vec<Vec<u8>> = (0..128).map(signed).collect();
    world.between(BAD, 0, entries(flood));
    assert!(world.signaler(0).counters().refused(Code::RateLimited) > 0);
    let downs = |world: &World, who: usize| {
        let id = world.id(who);
        world
            .events
            .iter()
            .filter(|(at, event)| *at == 0 && *event == weft_signaler_core::Event::SiblingDown(id))
            .count()
    };
    assert_eq!((downs(&world, BAD), downs(&world, 2)), (1, 0));
    assert_served(&mut world, 200);
}

#[test]
fn a_sibling_that_never_reads_gets_nothing_more_and_is_closed_and_others_do_not_wait() {
    let mut world = three(|config| config);
    world.full(0, BAD, true);
    world.sibling_frames.clear();
    for n in 0..40_u8 {
        let client = world.client(0, n + 1);
        world.announce(client, swarm(n));
        world.pass(millis(10));
        assert_eq!(world.signaler(2).entries(&swarm(n)).len(), 1, "at once");
    }
    // Questions whether it lives, and answers to its own: two a second at most.
    let frames = world.sibling_frames.get(&(0, BAD)).copied().unwrap_or_default();
    assert!(frames < 10, "{frames}");
    world.pass(millis(41_000));
    let closed = world
        .events
        .iter()
        .any(|(at, event)| *at == 0 && *event == weft_signaler_core::Event::SiblingDown(world.id(BAD)));
    assert!(closed);
    // It is let in again when it calls, and then has what it missed.
    world.pass(millis(61_000));
    assert_eq!(linked(&world, 0), 2);
    assert_served(&mut world, 100);
}

#[test]
fn a_refresh_costs_little_more_than_what_is_new_in_it() {
    // Three are to keep it; a fourth one is its home.
    let mut world = World::of((0..6).map(|at| star_config(at, if at == 0 { &[] } else { &[0] })).collect());
    world.pass(millis(12_000));
    let kept = |world: &World, n: u8| world.signaler(0).residence(&swarm(n).0);
    let all: Vec<u8> = (0..80).filter(|n| !kept(&world, *n).contains(&world.id(3))).take(20).collect();
    assert_eq!(all.len(), 20);
    let mut announced = Vec::new();
    for n in &all {
        let client = world.client(3, n + 1);
        let entry = world.entry(client, swarm(*n), false);
        let signed = sign_entry(&world.clients[client].key, &entry);
        world.send(client, &weft_wire::signaler::ToSignaler::Announce { entry: &signed });
        announced.push((client, entry));
    }
    world.pass(millis(35_000));
    (world.kinds, world.sizes) = Default::default();
    // One by one, as they come in when little happens: the frame is theirs alone.
    for (client, entry) in &mut announced {
        *entry = world.refresh(*client, entry);
        world.pass(millis(20));
    }
    let replicas = 20 * 3;
    assert_eq!(
        (world.kinds.get(&14), world.kinds.get(&5), world.kinds.get(&16)),
        (Some(&replicas), None, None)
    );
    // A key, a peer, an expiry and a signature.
    let bytes = world.sizes[&14].div_ceil(replicas);
    assert!(bytes * 10 <= 12 * (32 + 32 + 8 + 64), "{bytes} bytes for each replica");
    // And it keeps them: the first announce alone would have expired.
    world.pass(millis(100_000));
    for n in &all {
        for at in (0..6).filter(|at| kept(&world, *n).contains(&world.id(*at))) {
            assert_eq!(world.signaler(at).entries(&swarm(*n)).len(), 1);
        }
    }
    let asked: u64 = (0..6).map(|at| world.signaler(at).counters().asked_entries).sum();
    assert_eq!(asked, 0);
}

#[test]
fn what_a_refresh_does_not_fit_is_asked_for_and_forged_ones_change_nothing() {
    let mut world = three(|config| config);
    let client = world.client(0, 1);
    let entry = world.entry(client, swarm(1), false);
    let signed = sign_entry(&world.clients[client].key, &entry);
    // The announce is lost on its way to the third one.
    world.cut.insert((0, 2));
    world.send(client, &weft_wire::signaler::ToSignaler::Announce { entry: &signed });
    world.pass(millis(20));
    world.cut.clear();
    world.refresh(client, &entry);
    world.pass(millis(20));
    assert_eq!(world.signaler(2).counters().asked_entries, 1);
    assert_eq!(world.signaler(2).entries(&swarm(1)), [(world.peer(client), world.id(0))]);
    // Made up: of a peer that is known, and of one that is not.
    let name = weft_crypto::placement::entry_name(&swarm(1), &world.peer(client), &world.id(0));
    let until = world.now.millis() + 120_000;
    let refresh =
        |name| Refresh { discovery: swarm(1), name, seq: u64::MAX, until, signature: Signature([7; 64]) };
    let forged =
        Sibling::Refreshes { refreshes: List::first([refresh(name), refresh(name ^ 1)]), ring: None };
    world.pass(millis(3_000));
    for _ in 0..50 {
        world.between(BAD, 2, encode(&forged));
    }
    // Asked for once in two seconds, and believed never.
    assert_eq!(world.signaler(2).counters().asked_entries, 3);
    let present: BTreeSet<_> = world.signaler(2).entries(&swarm(1)).into_iter().collect();
    assert_eq!(present, BTreeSet::from([(world.peer(client), world.id(0))]));
    world.leave(client, swarm(1));
    world.pass(millis(20));
    assert_eq!(world.signaler(2).entries(&swarm(1)), [], "its own later number counts");
    assert_served(&mut world, 10);
}
