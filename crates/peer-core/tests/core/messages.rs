use std::time::Duration;

use weft_peer_core::{Command, Event, SendError};

use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);

fn outcomes(world: &World, node: usize) -> Vec<Result<(), SendError>> {
    let sent = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Sent { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    sent.collect()
}

fn received(world: &World, node: usize) -> usize {
    world.count(node, |event| matches!(event, Event::Message { .. }))
}

#[test]
fn a_message_reaches_a_peer_with_a_link_and_is_confirmed() {
    let mut world = World::new(1, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let forwards = world.forwards;
    let to = world.nodes[b].peer.identity();
    world.command(a, Command::Send { to, document: number(1) });
    world.run(SECOND);
    assert_eq!(outcomes(&world, a), [Ok(())]);
    assert_eq!(received(&world, b), 1);
    assert_eq!(world.forwards, forwards, "it took the link");
    let from = world.nodes[a].peer.identity();
    assert_eq!(world.count(b, |e| matches!(e, Event::Message { from: f, .. } if *f == from)), 1);
}

#[test]
fn a_message_reaches_a_member_without_a_link_through_the_signalers() {
    let mut world = World::new(2, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let (id_a, id_b) = (world.id(a), world.id(b));
    world.command(a, Command::Block { peer: id_b });
    world.command(b, Command::Block { peer: id_a });
    world.join(a, "p");
    world.join(b, "p");
    let to = world.nodes[b].peer.identity();
    world.command(a, Command::Send { to, document: number(1) });
    world.run(SECOND * 3);
    assert_eq!(outcomes(&world, a), [Ok(())]);
    assert_eq!(received(&world, b), 1);
}

#[test]
fn d10_a_message_whose_receipts_are_lost_is_sent_again_and_delivered_once() {
    for seed in 0..20 {
        let mut world = World::new(seed, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let (id_a, id_b) = (world.id(a), world.id(b));
        world.command(a, Command::Block { peer: id_b });
        world.command(b, Command::Block { peer: id_a });
        world.join(a, "p");
        world.join(b, "p");
        world.run(SECOND);
        world.drop_forwards = 40;
        let to = world.nodes[b].peer.identity();
        world.command(a, Command::Send { to, document: number(1) });
        world.run(SECOND * 11);
        assert!(received(&world, b) <= 1, "seed {seed}");
        let told = outcomes(&world, a);
        assert_eq!(told.len(), 1, "seed {seed}");
        assert!(told[0].is_err() || received(&world, b) == 1, "seed {seed}: confirmed but not received");
    }
}

#[test]
fn d10_an_unreachable_recipient_is_an_error_after_ten_seconds() {
    let mut world = World::new(3, 1);
    let (a, b) = (world.add(&[0]), world.add(&[]));
    world.join(a, "p");
    let to = world.nodes[b].peer.identity();
    world.command(a, Command::Send { to, document: number(1) });
    world.run(SECOND * 9);
    assert!(outcomes(&world, a).is_empty());
    world.run(SECOND * 2);
    assert_eq!(outcomes(&world, a), [Err(SendError::Unreachable(10))]);
}

#[test]
fn a_message_waits_for_a_recipient_that_comes_within_the_time() {
    let mut world = World::new(4, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    let to = world.nodes[b].peer.identity();
    world.command(a, Command::Send { to, document: number(1) });
    world.run(SECOND * 5);
    world.join(b, "p");
    world.run(SECOND * 2);
    assert_eq!(outcomes(&world, a), [Ok(())]);
    assert_eq!(received(&world, b), 1);
}
