//! Envelopes and payloads: to whom they go, and what the sender is told.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::time::Duration;

use weft_signaler_core::{Config, Input};
use weft_wire::signaler::ToSignaler;
use weft_wire::{Code, limits};
use world::{Got, World, millis, swarm};

const PAIR: &[(usize, usize)] = &[(0, 1)];
const CHAIN: &[(usize, usize)] = &[(0, 1), (1, 2)];

#[test]
fn an_envelope_reaches_its_recipient_and_nobody_else() {
    let mut world = World::linked(1, &[]);
    let (a, b, c) = (world.client(0, 1), world.client(0, 2), world.client(0, 3));
    let to = world.peer(b);
    world.forward(a, 7, to, None, b"sealed");
    assert_eq!(world.take(b), [Got::Deliver(b"sealed".to_vec())]);
    assert_eq!(world.take(a), [Got::Ack(7)]);
    assert_eq!(world.take(c), []);
}

#[test]
fn success_is_told_to_those_who_ask_and_failure_to_all() {
    let mut world = World::linked(2, PAIR);
    let (a, b, far) = (world.client(0, 1), world.client(0, 2), world.client(1, 3));
    world.announce(a, swarm(1));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    world.take(a);
    let far_home = world.id(1);
    for (to, home) in [(world.peer(b), None), (world.peer(far), Some(far_home))] {
        world.send(a, &ToSignaler::Forward { re: 1, to, home, envelope: b"sealed", ack: false });
        world.settle();
        assert_eq!(world.take(a), []);
    }
    world.send(a, &ToSignaler::Fanout { re: 2, discovery: swarm(1), payload: b"all", ack: false });
    assert_eq!(world.take(a), []);
    assert_eq!(world.take(b).len(), 3, "the other member, the envelope, the payload");
    assert_eq!(world.take(far), [Got::Deliver(b"sealed".to_vec())]);
    for (re, home) in [(3, None), (4, Some(far_home))] {
        let to = weft_wire::PeerId([3; 32]);
        world.send(a, &ToSignaler::Forward { re, to, home, envelope: b"sealed", ack: false });
        world.settle();
        assert_eq!(world.take(a), [Got::Error(Code::UnknownPeer, Some(re))]);
    }
}

#[test]
fn q10_a_client_of_one_signaler_finds_a_client_of_the_other() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(c, swarm(1));
    world.pass(millis(100));
    let to = world.peer(c);
    world.forward(a, 7, to, None, b"sealed");
    world.settle();
    assert_eq!(world.take(c).pop(), Some(Got::Deliver(b"sealed".to_vec())));
    assert_eq!(world.take(a), [Got::Ack(7)]);
}

#[test]
fn q10_unknown_recipients_end_in_an_error_and_not_in_a_flood() {
    let mut world = World::linked(3, CHAIN);
    let a = world.client(0, 1);
    let stranger = weft_wire::PeerId([3; 32]);
    world.sibling_frames.clear();
    world.forward(a, 7, stranger, None, b"sealed");
    world.settle();
    assert_eq!(world.take(a), [Got::Error(Code::UnknownPeer, Some(7))]);
    assert!(world.sibling_frames.is_empty());
    let home = world.id(1);
    world.forward(a, 8, stranger, Some(home), b"sealed");
    world.settle();
    assert_eq!(world.take(a), [Got::Error(Code::UnknownPeer, Some(8))]);
    assert_eq!(world.sibling_frames.get(&(1, 2)), None, "the home answers, and asks nobody");
}

#[test]
fn a_hint_finds_a_peer_that_is_in_no_swarm() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    let (to, home) = (world.peer(b), world.id(1));
    world.forward(a, 1, to, Some(home), b"sealed");
    world.settle();
    assert_eq!((world.take(a), world.take(b)), (vec![Got::Ack(1)], vec![Got::Deliver(b"sealed".to_vec())]));
}

#[test]
fn a_stale_hint_gives_way_to_the_table() {
    let mut world = World::linked(3, CHAIN);
    let (a, c) = (world.client(0, 1), world.client(2, 2));
    world.announce(c, swarm(1));
    world.pass(millis(100));
    world.take(c);
    let (to, stale) = (world.peer(c), world.id(1));
    world.forward(a, 1, to, Some(stale), b"sealed");
    world.settle();
    assert_eq!(world.take(c), [Got::Deliver(b"sealed".to_vec())]);
    assert_eq!(world.take(a), [Got::Ack(1)]);
}

#[test]
fn a_home_out_of_reach_is_an_error_at_once_and_a_silent_one_within_ten_seconds() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    let to = world.peer(b);
    world.cut.insert((0, 1));
    world.forward(a, 1, to, None, b"sealed");
    world.pass(millis(9_900));
    assert_eq!(world.take(a), []);
    world.pass(millis(200));
    assert_eq!(world.take(a), [Got::Error(Code::SiblingUnreachable, Some(1))]);
    world.forward(a, 2, to, None, b"sealed");
    world.kill(1);
    world.forward(a, 3, to, None, b"sealed");
    world.settle();
    assert_eq!(
        world.take(a),
        [Got::Error(Code::SiblingUnreachable, Some(2)), Got::Error(Code::SiblingUnreachable, Some(3))]
    );
}

#[test]
fn a_recipient_that_does_not_read_costs_the_sender_an_error_and_is_closed_in_the_end() {
    let mut world = World::linked(1, &[]);
    let (a, b) = (world.client(0, 1), world.client(0, 2));
    let (to, conn, now) = (world.peer(b), world.clients[b].conn, world.now);
    world.signalers[0].as_mut().unwrap().handle(now, Input::Full { conn });
    world.forward(a, 1, to, None, b"sealed");
    assert_eq!(world.take(a), [Got::Error(Code::RecipientBusy, Some(1))]);
    assert_eq!(world.take(b), []);
    world.signalers[0].as_mut().unwrap().handle(now, Input::Drained { conn });
    world.forward(a, 2, to, None, b"sealed");
    assert_eq!(world.take(a), [Got::Ack(2)]);
    world.take(b);
    let now = world.now;
    world.signalers[0].as_mut().unwrap().handle(now, Input::Full { conn });
    world.pass(millis(41_000));
    assert_eq!(world.take(b), [Got::Goodbye(Code::RecipientBusy), Got::Closed(Code::RecipientBusy)]);
}

#[test]
fn a_fanout_reaches_every_other_member_once_and_no_stranger() {
    let mut world = World::linked(3, CHAIN);
    let members =
        [world.client(0, 1), world.client(0, 2), world.client(1, 3), world.client(2, 4), world.client(2, 5)];
    let stranger = world.client(1, 6);
    for member in members {
        world.announce(member, swarm(1));
    }
    world.announce(stranger, swarm(2));
    world.pass(millis(100));
    (0..6).for_each(|client| drop(world.take(client)));
    world.send(members[0], &ToSignaler::Fanout { re: 5, discovery: swarm(1), payload: b"sealed", ack: true });
    world.settle();
    assert_eq!(world.take(members[0]), [Got::Ack(5)]);
    for member in &members[1..] {
        assert_eq!(world.take(*member), [Got::Fanned(b"sealed".to_vec())]);
    }
    assert_eq!(world.take(stranger), []);
    world.send(stranger, &ToSignaler::Fanout { re: 6, discovery: swarm(1), payload: b"sealed", ack: true });
    assert_eq!(world.take(stranger), [Got::Error(Code::NotAMember, Some(6))]);
}

#[test]
fn a_fanout_follows_the_announces_before_it() {
    let mut world = World::linked(2, PAIR);
    let (a, b) = (world.client(0, 1), world.client(1, 2));
    world.announce(b, swarm(1));
    world.pass(millis(100));
    world.take(b);
    world.announce(a, swarm(1));
    world.send(a, &ToSignaler::Fanout { re: 1, discovery: swarm(1), payload: b"sealed", ack: true });
    world.pass(millis(100));
    let (peer, home) = (world.peer(a), world.id(0));
    let got = world.take(b);
    assert!(
        got.contains(&Got::Joined(peer, home)) && got.contains(&Got::Fanned(b"sealed".to_vec())),
        "{got:?}"
    );
}

#[test]
fn d9_a_challenge_answered_for_another_key_or_signaler_is_refused() {
    let mut world = World::linked(2, &[]);
    let client = world.stranger(0, 1);
    world.clients[client].server = 1;
    let conn = world.clients[client].conn;
    // Signed for signaler 1, sent to signaler 0.
    let wrong = {
        use weft_crypto::challenge::answer_as_peer;
        use weft_wire::{Nonce, Text};
        let at = &world.clients[client];
        let signature = answer_as_peer(&at.key, world.id(1), &Nonce([0; 32]), &Nonce([9; 32]));
        weft_wire::encode(&ToSignaler::Authenticate {
            peer: at.key.id(),
            nonce: Nonce([9; 32]),
            signature,
            agent: Text::cut("test"),
        })
    };
    world.clients[client].server = 0;
    let now = world.now;
    world.signalers[0].as_mut().unwrap().handle(now, Input::Frame { conn, bytes: &wrong });
    world.settle();
    assert_eq!(
        world.take(client),
        [
            Got::Error(Code::BadSignature, None),
            Got::Goodbye(Code::BadSignature),
            Got::Closed(Code::BadSignature)
        ]
    );
}

#[test]
fn nothing_goes_before_authentication_and_waiting_ends() {
    let mut world = World::linked(1, &[]);
    let client = world.stranger(0, 1);
    world.send(client, &ToSignaler::Ping { token: 1 });
    assert_eq!(world.take(client), [Got::Error(Code::NotAuthenticated, None)]);
    world.pass(Duration::from_secs(11));
    assert_eq!(world.take(client), [Got::Goodbye(Code::TimedOut), Got::Closed(Code::TimedOut)]);
    let client = world.stranger(0, 2);
    world.raw(client, vec![0; limits::FRAME_BEFORE_AUTH + 1]);
    assert!(world.take(client).contains(&Got::Closed(Code::TooLarge)));
}

#[test]
fn the_second_connection_of_a_peer_replaces_the_first() {
    let mut world = World::linked(1, &[]);
    let first = world.client(0, 1);
    let second = world.client(0, 1);
    assert_eq!(world.take(first), [Got::Goodbye(Code::Replaced), Got::Closed(Code::Replaced)]);
    world.send(second, &ToSignaler::Ping { token: 3 });
    assert_eq!(world.take(second), [Got::Pong(3)]);
    assert_eq!(world.signaler(0).gauges().peers, 1);
}

#[test]
fn three_malformed_frames_close_and_unknown_optional_ones_do_not() {
    let mut world = World::linked(1, &[]);
    let client = world.client(0, 1);
    for _ in 0..5 {
        world.raw(client, vec![0x82, 0x18, 64, 0xa0]);
    }
    assert_eq!(world.take(client), []);
    assert_eq!(world.signaler(0).counters().ignored_frames, 5);
    for _ in 0..3 {
        world.raw(client, vec![0x82, 0x18, 63, 0xa0]);
    }
    let got = world.take(client);
    assert_eq!(
        got[..3],
        [
            Got::Error(Code::BadFrame, None),
            Got::Error(Code::BadFrame, None),
            Got::Error(Code::BadFrame, None)
        ]
    );
    assert_eq!(got[3..], [Got::Goodbye(Code::BadFrame), Got::Closed(Code::BadFrame)]);
}

#[test]
fn a_sender_over_its_rate_is_told_and_in_the_end_closed() {
    let limited = |config| Config { frames_per_second: 1, frames_burst: 5, refusals: 3, ..config };
    let mut world = World::with(1, &[], limited);
    let client = world.client(0, 1);
    let to = world.peer(client);
    for re in 0..4 {
        world.forward(client, re, to, None, b"x");
    }
    world.take(client);
    world.forward(client, 9, to, None, b"x");
    assert_eq!(world.take(client), [Got::Error(Code::RateLimited, Some(9))]);
    world.pass(millis(1_100));
    world.forward(client, 10, to, None, b"x");
    assert!(world.take(client).contains(&Got::Ack(10)));
    for re in 11..15 {
        world.forward(client, re, to, None, b"x");
    }
    assert!(world.take(client).contains(&Got::Closed(Code::RateLimited)));
}

#[test]
fn a_flood_is_closed_though_the_rate_lets_some_of_it_through() {
    let limited = |config| Config { frames_per_second: 10, frames_burst: 10, refusals: 50, ..config };
    let mut world = World::with(1, &[], limited);
    let client = world.client(0, 1);
    let to = world.peer(client);
    let mut got = Vec::new();
    for re in 0..200 {
        // Ten times the rate: one passes, nine do not.
        world.forward(client, re, to, None, b"x");
        world.pass(millis(10));
        got.extend(world.take(client));
    }
    assert!(got.contains(&Got::Ack(20)) || got.contains(&Got::Ack(30)), "some of it passes");
    assert!(got.contains(&Got::Closed(Code::RateLimited)));
}

#[test]
fn connections_and_handshakes_are_limited() {
    let mut world = World::with(1, &[], |config| Config { max_connections: 2, ..config });
    let clients: Vec<usize> = (1..=3).map(|key| world.stranger(0, key)).collect();
    assert_eq!(world.take(clients[2]), [Got::Goodbye(Code::SignalerFull), Got::Closed(Code::SignalerFull)]);
    let limited = |config| Config { handshakes_per_second: 1, handshakes_burst: 1, ..config };
    let mut world = World::with(1, &[], limited);
    let clients: Vec<usize> = (1..=2).map(|key| world.stranger(0, key)).collect();
    assert_eq!(world.take(clients[1]), [Got::Goodbye(Code::RateLimited), Got::Closed(Code::RateLimited)]);
}

#[test]
fn a_silent_peer_is_pinged_then_closed() {
    let mut world = World::linked(1, &[]);
    let client = world.client(0, 1);
    world.pass(Duration::from_secs(60));
    assert!(world.pings >= 2, "it answered {} pings", world.pings);
    assert_eq!(world.take(client), []);
    let (server, conn) = (0, world.clients[client].conn);
    // From now on it answers nothing.
    world.mute(server, conn);
    world.pass(Duration::from_secs(41));
    assert_eq!(world.signaler(0).gauges().peers, 0);
}
