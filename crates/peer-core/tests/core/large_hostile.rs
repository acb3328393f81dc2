//! Senders and recipients of large messages that do not mean well.

use std::time::Duration;

use proptest::prelude::*;
use weft_crypto::{IdentityKey, PeerKey, Seed, digest, statement};
use weft_peer_core::{Command, Config, Event, Keys};
use weft_wire::sealed::Sealed;
use weft_wire::{Digest, MessageId, PeerRecord, Text, encode, limits};

use crate::hostile::{deliver, introduce};
use crate::large::large;
use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);
type Parts = Vec<(u32, Vec<u8>)>;

const LARGEST: u32 = 16 * 1024 * 1024;
const PART: u32 = 127 * 1024;

fn keys(n: u8) -> Keys {
    Keys { identity: IdentityKey::new(&Seed::new([n; 32])), peer: PeerKey::new(&Seed::new([n + 1; 32])) }
}

/// A peer with these keys and another one, with a link.
fn pair(victim: &Keys) -> (World, usize, usize) {
    let mut world = World::new(1, 1);
    let a = world.add_keys(victim.clone(), &[0], |_: &mut Config| {});
    let b = world.add(&[0]);
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    (world, a, b)
}

fn message(world: &World, from: &Keys, to: &Keys, id: MessageId, answers: Option<MessageId>) -> Sealed {
    let now = world.now.millis();
    let record = PeerRecord {
        identity: from.identity.id(),
        peer: from.peer.id(),
        agreement: from.peer.agreement(),
        name: Text::default(),
        issued: now,
        until: now + 600_000,
        sessions: None,
    };
    Sealed::Message {
        id,
        record: statement::sign_record(&from.identity, &record),
        time: now,
        body: Vec::new(),
        entry: Vec::new(),
        to: to.identity.id(),
        asks: None,
        answers,
        failed: None,
    }
}

fn announce(world: &mut World, from: &Keys, to: &Keys, id: MessageId, (length, hash): (u32, Digest)) {
    let message = encode(&message(world, from, to, id, None));
    deliver(world, 0, from, to, &Sealed::Large { message, length, hash, key: None });
}

fn id(n: usize) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(n as u64).to_be_bytes());
    MessageId(id)
}

fn arrived(world: &World, node: usize) -> usize {
    world.count(node, |event| matches!(event, Event::Message { .. }))
}

fn assembling(world: &World) -> u64 {
    world.nodes[0].peer.stats().assembling
}

#[test]
fn d15_a_thousand_announcements_reserve_nothing_and_keep_nobody_else_out() {
    let (victim, attacker) = (keys(10), keys(20));
    let (mut world, a, b) = pair(&victim);
    for n in 0..1000 {
        announce(&mut world, &attacker, &victim, id(n), (LARGEST, Digest([1; 32])));
    }
    assert_eq!(assembling(&world), 0);
    let to = victim.identity.id();
    world.command(b, Command::Send { to, document: large(limits::MESSAGE, 1) });
    assert!(world.run_until(SECOND, |w| arrived(w, a) == 1).is_some());
}

#[test]
fn announcements_of_many_identities_hold_no_place_when_nothing_follows_them() {
    let victim = keys(10);
    let (mut world, a, b) = pair(&victim);
    for n in 0..150 {
        let attacker = keys(100 + n);
        announce(&mut world, &attacker, &victim, id(n.into()), (LARGEST, Digest([1; 32])));
    }
    let to = victim.identity.id();
    world.command(b, Command::Send { to, document: large(limits::MESSAGE, 1) });
    assert!(world.run_until(SECOND, |w| arrived(w, a) == 1).is_some());
}

#[test]
fn announcements_that_are_renewed_before_they_idle_keep_nobody_out() {
    let victim = keys(10);
    let (mut world, a, b) = pair(&victim);
    world.bandwidth = Some(2_000_000);
    let to = victim.identity.id();
    for round in 0..8 {
        for attacker in [keys(100), keys(102)] {
            for n in 0..2 {
                deliver(&mut world, a, &attacker, &victim, &Sealed::Stop { id: id(round * 2 + n) });
                let next = id((round + 1) * 2 + n);
                announce(&mut world, &attacker, &victim, next, (LARGEST, Digest([1; 32])));
            }
        }
        if round == 0 {
            world.command(b, Command::Send { to, document: large(limits::MESSAGE, 1) });
        }
        world.run(SECOND * 3 / 2);
    }
    assert_eq!(arrived(&world, a), 1);
}

#[test]
fn whoever_sends_slowly_loses_nothing_to_those_who_only_announce() {
    let (victim, slow) = (keys(10), keys(20));
    let (mut world, a, _) = pair(&victim);
    let body = large(limits::PART * 5, 1).encode();
    announce(&mut world, &slow, &victim, id(0), (u32::try_from(body.len()).unwrap(), digest(&body)));
    for (round, part) in body.chunks(limits::PART).enumerate() {
        let at = u32::try_from(round).unwrap();
        deliver(&mut world, a, &slow, &victim, &Sealed::Part { id: id(0), at, bytes: part.to_vec() });
        world.run(SECOND * 5 / 2);
        for n in 0..16 {
            let attacker = keys(100 + n);
            announce(&mut world, &attacker, &victim, id(round), (LARGEST, Digest([1; 32])));
        }
    }
    assert_eq!(arrived(&world, a), 1);
}

/// A peer that puts together at most so many bytes, and one that sends to it.
fn small(victim: &Keys, parts_all: usize) -> World {
    let mut world = World::new(1, 1);
    let a = world.add_keys(victim.clone(), &[0], |config| config.parts_all = parts_all);
    world.join(a, "p");
    world.run(SECOND);
    world
}

fn send_part(world: &mut World, from: &Keys, to: &Keys, at: u32, len: usize) {
    deliver(world, 0, from, to, &Sealed::Part { id: id(1), at, bytes: vec![0; len] });
}

#[test]
fn the_first_part_takes_a_place_if_there_is_one() {
    let victim = keys(10);
    let mut world = small(&victim, 5 * limits::PART);
    let senders = [keys(20), keys(30), keys(40)];
    let length = 2 * PART;
    for sender in &senders {
        announce(&mut world, sender, &victim, id(1), (length, Digest([1; 32])));
    }
    world.run(Duration::from_millis(100));
    let forwards = world.forwards;
    for sender in &senders {
        send_part(&mut world, sender, &victim, 1, limits::PART);
        world.run(Duration::from_millis(10));
    }
    assert_eq!(assembling(&world), 2 * limits::PART as u64, "room for two");
    world.run(Duration::from_millis(100));
    assert_eq!(world.forwards - forwards, 3, "the third is told, too");
    // It has to announce its message again, and has a place when another one idles.
    send_part(&mut world, &senders[2], &victim, 1, limits::PART);
    assert_eq!(assembling(&world), 2 * limits::PART as u64);
    world.run(SECOND * 2);
    announce(&mut world, &senders[2], &victim, id(1), (length, Digest([1; 32])));
    assert_eq!(assembling(&world), 2 * limits::PART as u64, "nobody gives way to an announcement");
    send_part(&mut world, &senders[2], &victim, 0, limits::PART);
    send_part(&mut world, &senders[0], &victim, 0, limits::PART);
    assert_eq!(assembling(&world), 2 * limits::PART as u64, "the oldest gave way");
}

#[test]
fn a_last_part_of_one_byte_takes_no_place() {
    let victim = keys(10);
    let mut world = small(&victim, 5 * limits::PART);
    for n in 0..3 {
        let attacker = keys(100 + 2 * n);
        announce(&mut world, &attacker, &victim, id(1), (4 * PART + 1, Digest([1; 32])));
        send_part(&mut world, &attacker, &victim, 4, 1);
    }
    assert_eq!(assembling(&world), 3);
    announce(&mut world, &keys(20), &victim, id(1), (5 * PART, Digest([1; 32])));
    send_part(&mut world, &keys(20), &victim, 0, limits::PART);
    assert_eq!(assembling(&world), limits::PART as u64, "all that is here counts, and the bytes give way");
    // And none of those who are in place gives way to a byte.
    world.run(SECOND * 2);
    announce(&mut world, &keys(100), &victim, id(2), (4 * PART + 1, Digest([1; 32])));
    let byte = Sealed::Part { id: id(2), at: 4, bytes: vec![0] };
    deliver(&mut world, 0, &keys(100), &victim, &byte);
    assert_eq!(assembling(&world), limits::PART as u64);
}

#[test]
fn of_two_at_once_the_one_without_a_place_comes_after_the_other() {
    let victim = keys(10);
    let mut world = small(&victim, 3 * 1024 * 1024);
    let senders = [world.add(&[0]), world.add(&[0])];
    for sender in senders {
        world.join(sender, "p");
    }
    world.run_until(SECOND * 2, |w| senders.iter().all(|sender| w.linked(0, *sender))).unwrap();
    world.bandwidth = Some(2_000_000);
    let to = victim.identity.id();
    for (seed, sender) in (0..).zip(senders) {
        world.command(sender, Command::Send { to, document: large(2 * 1024 * 1024, seed) });
    }
    world.run(Duration::from_millis(500));
    let begun = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Incoming { from, .. } => Some(*from),
        _ => None,
    });
    assert_eq!(begun.collect::<std::collections::BTreeSet<_>>().len(), 1);
    assert!(world.run_until(SECOND * 9, |w| arrived(w, 0) == 2).is_some());
}

#[test]
fn whoever_keeps_more_than_there_is_room_for_is_told_to_come_later() {
    let victim = keys(10);
    let mut world = World::new(1, 1);
    let a = world.add_keys(victim.clone(), &[0], |config| config.parts_all = 1024 * 1024);
    let b = world.add(&[0]);
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let to = victim.identity.id();
    world.command(b, Command::Send { to, document: large(2 * 1024 * 1024, 1) });
    world.run(SECOND * 11);
    let reasons = world.nodes[b].events.iter().filter_map(|event| match event {
        Event::Sent { outcome: Err(error), .. } => Some((error.code(), error.to_string())),
        _ => None,
    });
    let [(code, text)] = &reasons.collect::<Vec<_>>()[..] else { panic!("one outcome") };
    assert!(*code == "queue-full" && text.contains("no room"), "{code}: {text}");
}

#[test]
fn what_is_not_as_it_was_announced_is_not_delivered() {
    let (victim, attacker) = (keys(10), keys(20));
    let body = large(limits::PART * 3, 1).encode();
    let length = u32::try_from(body.len()).unwrap();
    let part = |at: usize| body[at * limits::PART..(at + 1) * limits::PART].to_vec();
    let mut other = part(2);
    other[100] ^= 1;
    // What is sent, how many bytes are kept of it, and whether it is whole.
    let cases: [(&str, Parts, usize, usize); 6] = [
        ("as it is", vec![(0, part(0)), (2, part(2)), (1, part(1))], 0, 1),
        ("another last part", vec![(0, part(0)), (1, part(1)), (2, other)], 0, 0),
        ("a short part", vec![(0, part(0)), (1, vec![1; 10])], 0, 0),
        ("a part behind the end", vec![(0, part(0)), (3, part(0))], 0, 0),
        ("the last number there is", vec![(u32::MAX, part(0))], 0, 0),
        ("a part twice", vec![(1, part(1)), (1, part(1)), (0, part(0))], 2 * limits::PART, 0),
    ];
    for (what, parts, kept, delivered) in cases {
        let (mut world, a, _) = pair(&victim);
        announce(&mut world, &attacker, &victim, id(1), (length, digest(&body)));
        for (at, bytes) in parts {
            deliver(&mut world, a, &attacker, &victim, &Sealed::Part { id: id(1), at, bytes });
        }
        world.run(Duration::from_millis(100));
        assert_eq!((assembling(&world), arrived(&world, a)), (kept as u64, delivered), "{what}");
        let warned = world.count(a, |event| matches!(event, Event::Warning { code: "peer-misbehaved", .. }));
        assert_eq!(warned, usize::from(kept + delivered == 0), "{what}");
    }
}

#[test]
fn what_nobody_announced_or_asked_for_is_not_kept() {
    let (victim, attacker) = (keys(10), keys(20));
    let (mut world, a, _) = pair(&victim);
    let part = || Sealed::Part { id: id(1), at: 0, bytes: vec![0; limits::PART] };
    deliver(&mut world, a, &attacker, &victim, &part());
    let answer = encode(&message(&world, &attacker, &victim, id(1), Some(id(2))));
    let announced = Sealed::Large { message: answer, length: LARGEST, hash: Digest([1; 32]), key: None };
    deliver(&mut world, a, &attacker, &victim, &announced);
    deliver(&mut world, a, &attacker, &victim, &part());
    assert_eq!(assembling(&world), 0);
    for length in [0, LARGEST + 1] {
        announce(&mut world, &attacker, &victim, id(1), (length, Digest([1; 32])));
        deliver(&mut world, a, &attacker, &victim, &part());
        assert_eq!(assembling(&world), 0);
    }
    let inner = encode(&Sealed::Stop { id: id(1) });
    let nested = Sealed::Large { message: inner, length: LARGEST, hash: Digest([1; 32]), key: None };
    deliver(&mut world, a, &attacker, &victim, &nested);
    deliver(&mut world, a, &attacker, &victim, &part());
    assert_eq!(assembling(&world), 0);
}

#[test]
fn parts_go_to_nobody_else() {
    let (victim, thief) = (keys(10), keys(20));
    let (mut world, a, b) = pair(&victim);
    world.bandwidth = Some(1_000_000);
    let to = world.nodes[b].peer.identity();
    world.command(a, Command::Send { to, document: large(limits::MESSAGE, 1) });
    let coming = |world: &World| {
        world.nodes[b].events.iter().find_map(|event| match event {
            Event::Incoming { id, .. } => Some(*id),
            _ => None,
        })
    };
    world.run_until(SECOND, |w| coming(w).is_some()).unwrap();
    let id = coming(&world).unwrap();
    introduce(&mut world, a, &thief, weft_crypto::Party::open("p").discovery());
    world.run(SECOND * 11); // Until it is given up as a peer to link with.
    let forwards = world.forwards;
    deliver(&mut world, a, &thief, &victim, &Sealed::Taken { id, run: 1, next: 0, ahead: 0, full: None });
    world.run(Duration::from_millis(200));
    assert_eq!(world.forwards, forwards);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_recipient_says_it_has_nothing_breaks(
        words in proptest::collection::vec(
            (any::<bool>(), prop_oneof![0_u32..8, any::<u32>()], any::<u64>(), any::<bool>(), any::<bool>()), 1..12,
        ),
    ) {
        let (sender, recipient) = (keys(10), keys(20));
        let mut world = World::new(1, 1);
        let a = world.add_keys(sender.clone(), &[0], |_: &mut Config| {});
        let b = world.add_keys(recipient.clone(), &[0], |_: &mut Config| {});
        world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
        world.bandwidth = Some(1_000_000);
        let to = recipient.identity.id();
        world.command(a, Command::Send { to, document: large(300_000, 1) });
        let coming = |world: &World| world.nodes[b].events.iter().find_map(|event| match event {
            Event::Incoming { id, .. } => Some(*id),
            _ => None,
        });
        world.run_until(SECOND, |w| coming(w).is_some()).unwrap();
        let id = coming(&world).unwrap();
        for (run, next, ahead, full, stop) in words {
            let taken = Sealed::Taken { id, run: run.into(), next, ahead, full: full.then_some(true) };
            let word = if stop { Sealed::Stop { id } } else { taken };
            deliver(&mut world, a, &recipient, &sender, &word);
            world.run(Duration::from_millis(30));
        }
        // The true word of what is there puts it right.
        world.run(SECOND * 30);
        let ended = world.count(a, |event| matches!(event, Event::Sent { .. }));
        prop_assert_eq!(ended, 1);
        world.command(a, Command::Send { to, document: number(1) });
        let before = arrived(&world, b);
        prop_assert!(world.run_until(SECOND * 5, |w| arrived(w, b) > before).is_some());
    }
}
