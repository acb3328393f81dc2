//! Who is linked with whom: each signaler hears it from those it is linked with, of themselves only.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;
use weft_signaler_core::Event;
use weft_wire::sibling::Sibling;
use weft_wire::{Code, List, SignalerId, decode, encode, limits};
use world::{World, millis, signaler_key, star, star_config};

/// Links as one signaler shows them, by the places of their ends, with who says that they are there.
type Shown = Vec<((usize, usize), Vec<usize>)>;

fn place(id: SignalerId) -> usize {
    (0..20).find(|at| signaler_key(*at).id() == id).expect("one of the world")
}

fn shown(world: &World, at: usize) -> Shown {
    let linked = world.signaler(at).linked();
    assert!(!linked.more);
    let mut links: Shown = linked
        .links
        .iter()
        .map(|link| {
            let said = link.between.iter().zip(link.said).filter(|(_, said)| *said);
            let mut by: Vec<usize> = said.map(|(id, _)| place(*id)).collect();
            by.sort_unstable();
            let [one, other] = link.between.map(place);
            ((one.min(other), one.max(other)), by)
        })
        .collect();
    links.sort_unstable();
    links
}

/// Each link is said by both of its ends.
fn by_both(links: &[(usize, usize)]) -> Shown {
    links.iter().map(|(one, other)| ((*one, *other), vec![*one, *other])).collect()
}

fn told_by(world: &World, at: usize) -> BTreeSet<usize> {
    world.signaler(at).linked().told_by.into_iter().map(place).collect()
}

fn apart(world: &World, at: usize) -> usize {
    world.signaler(at).gauges().apart
}

fn changes(world: &World, at: usize) -> usize {
    world.events.iter().filter(|event| **event == (at, Event::LinksChanged)).count()
}

/// Frames about its own links that a signaler has sent, to all together.
fn said(world: &World, from: usize) -> usize {
    let frames = world.seen.iter().filter(|(at, _)| *at == from);
    let frames = frames.filter_map(|(_, frame)| decode::<Sibling<'_>>(frame, limits::FRAME).ok());
    frames.filter(|frame| matches!(frame, Sibling::Linked { .. })).count()
}

fn linked_with(siblings: impl IntoIterator<Item = SignalerId>) -> Vec<u8> {
    encode(&Sibling::Linked { siblings: List::first(siblings) })
}

/// Links that were cut are lost by then: a stream that lost something does not go on.
fn mend(world: &mut World) {
    world.pass(millis(45_000));
    world.cut.clear();
}

fn strikes(world: &World, at: usize) -> u64 {
    world.signaler(at).counters().refused(Code::BadFrame)
}

#[test]
fn n4_a_link_that_is_cut_between_two_others_is_seen_by_the_third_and_seen_mended() {
    let mut world = star(3);
    world.pass(millis(5_000));
    let all = by_both(&[(0, 1), (0, 2), (1, 2)]);
    for at in 0..3 {
        assert_eq!((shown(&world, at), told_by(&world, at)), (all.clone(), BTreeSet::from([0, 1, 2])));
    }
    let before = changes(&world, 0);
    assert_eq!(apart(&world, 0), 0);
    world.cut.insert((1, 2));
    // Silence is noticed after 40 seconds.
    world.pass(millis(45_000));
    assert_eq!(shown(&world, 0), by_both(&[(0, 1), (0, 2)]));
    assert_eq!(told_by(&world, 0), BTreeSet::from([0, 1, 2]), "both say that there is none");
    assert_eq!([0, 1, 2].map(|at| apart(&world, at)), [1, 0, 0], "whom one does not hear may well be linked");
    assert!(changes(&world, 0) > before);
    // Those at its ends hear of the other's links only from the third, which says so for itself.
    let heard = vec![((0, 1), vec![0, 1]), ((0, 2), vec![0])];
    assert_eq!((shown(&world, 1), told_by(&world, 1)), (heard, BTreeSet::from([0, 1])));
    let before = changes(&world, 0);
    world.cut.clear();
    world.pass(millis(61_000));
    for at in 0..3 {
        assert_eq!((shown(&world, at), apart(&world, at)), (all.clone(), 0));
    }
    assert!(changes(&world, 0) > before);
}

#[test]
fn all_links_of_a_larger_federation_are_known_to_everybody_and_said_once() {
    let mut world = star(8);
    world.pass(millis(10_000));
    let pairs: Vec<(usize, usize)> = (0..8).flat_map(|one| (one + 1..8).map(move |two| (one, two))).collect();
    for at in 0..8 {
        assert_eq!(shown(&world, at), by_both(&pairs));
    }
    world.seen.clear();
    let before: Vec<usize> = (0..8).map(|at| changes(&world, at)).collect();
    world.pass(millis(600_000));
    assert_eq!(world.seen.len(), 0, "nothing changes, and nothing is said");
    assert_eq!((0..8).map(|at| changes(&world, at)).collect::<Vec<_>>(), before);
    // One that goes costs one frame to each of the others.
    world.kill(3);
    world.pass(millis(5_000));
    for at in (0..8).filter(|at| *at != 3) {
        assert_eq!(said(&world, at), 6);
    }
}

#[test]
fn what_a_sibling_said_goes_with_its_link() {
    let mut world = star(3);
    world.pass(millis(5_000));
    world.kill(1);
    assert_eq!(told_by(&world, 0), BTreeSet::from([0, 2]), "at once");
    world.pass(millis(100));
    assert_eq!(shown(&world, 0), by_both(&[(0, 2)]));
    world.restart(1, star_config(1, &[0]));
    world.pass(millis(61_000));
    assert_eq!(shown(&world, 0), by_both(&[(0, 1), (0, 2), (1, 2)]));
}

#[test]
fn a_sibling_is_believed_about_itself_only() {
    let mut world = star(4);
    world.pass(millis(5_000));
    let ids: Vec<SignalerId> = (0..4).map(|at| world.id(at)).collect();
    world.cut.insert((1, 2));
    world.pass(millis(45_000));
    let truth = by_both(&[(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]);
    assert_eq!(shown(&world, 0), truth);
    // It claims the link that is cut, and one with somebody whom nobody knows: the one is its word alone, the other nothing.
    world.between(1, 0, linked_with([ids[0], ids[2], ids[3], signaler_key(9).id()]));
    let mut claimed = truth.clone();
    claimed.insert(3, ((1, 2), vec![1]));
    assert_eq!(shown(&world, 0), claimed);
    // It denies all: that takes nobody else's word, nor the link over which it speaks.
    world.between(1, 0, linked_with([]));
    let denied = vec![
        ((0, 1), vec![0]),
        ((0, 2), vec![0, 2]),
        ((0, 3), vec![0, 3]),
        ((1, 3), vec![3]),
        ((2, 3), vec![2, 3]),
    ];
    assert_eq!(shown(&world, 0), denied);
    assert_eq!(strikes(&world, 0), 0);
    // Others do not hear of it.
    let of_two = vec![
        ((0, 1), vec![0]),
        ((0, 2), vec![0, 2]),
        ((0, 3), vec![0, 3]),
        ((1, 3), vec![3]),
        ((2, 3), vec![2, 3]),
    ];
    assert_eq!(shown(&world, 2), of_two);
    assert_eq!(shown(&world, 3), truth);
}

#[test]
fn who_says_too_much_or_names_itself_is_counted_and_closed() {
    let mut world = star(3);
    world.pass(millis(5_000));
    let too_many = |n: usize| -> Vec<u8> {
        // A list is no longer than it may be, so this one is written by hand.
        let mut frame = vec![0x82, 0x18, 74, 0xa1, 0x00, 0x99];
        frame.extend(u16::try_from(n).unwrap().to_be_bytes());
        for k in 0..n {
            frame.extend([0x58, 0x20]);
            frame.extend([u8::try_from(k % 256).unwrap(); 32]);
        }
        frame
    };
    let all = by_both(&[(0, 1), (0, 2), (1, 2)]);
    world.between(1, 0, too_many(limits::MEMBERS + 1));
    assert_eq!((strikes(&world, 0), shown(&world, 0)), (1, all.clone()));
    let itself = linked_with([world.id(0), world.id(1), world.id(2)]);
    world.between(1, 0, itself.clone());
    assert_eq!((strikes(&world, 0), shown(&world, 0)), (2, all));
    // As many as there may be are taken.
    world.between(1, 0, too_many(limits::MEMBERS));
    assert_eq!((strikes(&world, 0), told_by(&world, 0)), (2, BTreeSet::from([0, 1, 2])));
    world.between(1, 0, itself);
    assert_eq!((strikes(&world, 0), told_by(&world, 0)), (3, BTreeSet::from([0, 2])), "and closed");
}

#[test]
fn links_that_come_and_go_are_told_of_once_a_second_and_the_last_of_it_is_told() {
    let mut world = star(4);
    world.pass(millis(5_000));
    let [zero, two, three] = [world.id(0), world.id(2), world.id(3)];
    let before = changes(&world, 0);
    for n in 0..300 {
        world.between(1, 0, linked_with(if n % 2 == 0 { vec![zero, three] } else { vec![zero, two, three] }));
        world.pass(millis(10));
    }
    let told = changes(&world, 0) - before;
    assert!((3..=4).contains(&told), "{told} in three seconds");
    world.pass(millis(1_000));
    let before = changes(&world, 0);
    // The same once more is no change.
    world.between(1, 0, linked_with([zero, two, three]));
    world.pass(millis(2_000));
    assert_eq!((changes(&world, 0), shown(&world, 0)[3].clone()), (before, ((1, 2), vec![1, 2])));

    // Its own links come and go ten times in a second.
    world.seen.clear();
    for _ in 0..10 {
        world.kill(3);
        world.pass(millis(50));
        world.restart(3, star_config(3, &[0, 1, 2]));
        world.pass(millis(50));
    }
    let told = world.seen.iter().filter(|(from, _)| *from == 0).count();
    world.pass(millis(5_000));
    // Two frames to each of two; those to the one that comes and goes are one for each link at most.
    assert!((2..=14).contains(&told), "{told} frames");
    let pairs: Vec<(usize, usize)> = (0..4).flat_map(|one| (one + 1..4).map(move |two| (one, two))).collect();
    assert_eq!(shown(&world, 0), by_both(&pairs));
}

#[test]
fn who_does_not_read_is_told_once_it_does() {
    let mut world = star(4);
    world.pass(millis(5_000));
    world.full(1, 0, true);
    world.kill(3);
    world.pass(millis(5_000));
    let mut late = by_both(&[(0, 1), (0, 2), (1, 2)]);
    late.push(((1, 3), vec![1]));
    assert_eq!(shown(&world, 0), late);
    assert_eq!(shown(&world, 2), by_both(&[(0, 1), (0, 2), (1, 2)]));
    world.seen.clear();
    world.full(1, 0, false);
    world.pass(millis(1_000));
    assert_eq!((said(&world, 1), world.seen.len()), (1, 1), "nobody else is told again");
    assert_eq!(shown(&world, 0), by_both(&[(0, 1), (0, 2), (1, 2)]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn everybody_knows_all_links_again_whatever_happened_to_them(
        story in prop::collection::vec((0..5_u8, 0..4_usize, 0..4_usize, 0..30_000_u64), 0..20),
    ) {
        let mut world = star(4);
        for (what, one, other, wait) in story {
            match what {
                0 | 1 if one != other => _ = world.cut.insert((one.min(other), one.max(other))),
                2 => mend(&mut world),
                3 => {
                    world.kill(one);
                    world.restart(one, star_config(one, &[0, 1, 2, 3].map(|at| (one + at) % 4)[1..]));
                }
                _ => {}
            }
            world.pass(millis(wait));
        }
        mend(&mut world);
        // A call each minute, and some for those whose two calls crossed.
        world.pass(millis(300_000));
        let pairs: Vec<(usize, usize)> = (0..4).flat_map(|one| (one + 1..4).map(move |two| (one, two))).collect();
        for at in 0..4 {
            prop_assert_eq!(shown(&world, at), by_both(&pairs));
            prop_assert_eq!(told_by(&world, at).len(), 4);
        }
    }
}
