//! Requests and their answers.

use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, statement};
use weft_peer_core::{Command, CommandError, CommandId, Config, Event, Keys, RequestError, SendError};
use weft_query::Document;
use weft_wire::sealed::Sealed;
use weft_wire::{Entry, MessageId, PeerRecord, SignalerId, Text, limits};

use crate::hostile::deliver;
use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);

/// Two peers with a link.
fn pair(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    answer(&mut world, b);
    (world, a, b)
}

/// Somebody with links to two peers of one identity.
fn with_two_tabs(seed: u64) -> (World, usize, [usize; 2]) {
    let mut world = World::new(seed, 1);
    let asker = world.add(&[0]);
    let identity = IdentityKey::new(&Seed::new([3; 32]));
    let tabs = [4, 5].map(|n| {
        let keys = Keys { identity: identity.clone(), peer: PeerKey::new(&Seed::new([n; 32])) };
        world.add_keys(keys, &[0], |_: &mut Config| {})
    });
    for node in [asker, tabs[0], tabs[1]] {
        world.join(node, "p");
    }
    world.run_until(SECOND * 2, |w| tabs.iter().all(|tab| w.linked(asker, *tab))).unwrap();
    world.run(SECOND);
    (world, asker, tabs)
}

/// A node's application answers requests from now on.
fn answer(world: &mut World, node: usize) {
    world.command(node, Command::AnswerRequests { on: true });
}

fn ask(world: &mut World, from: usize, to: usize, timeout: Duration) -> CommandId {
    let to = world.nodes[to].peer.identity();
    world.command(from, Command::Request { to, peer: None, document: number(1), timeout })
}

/// Requests that a node's application has seen.
fn requests(world: &World, node: usize) -> Vec<MessageId> {
    let events = world.nodes[node].events.iter();
    let ids = events.filter_map(|event| match event {
        Event::Request { id, .. } => Some(*id),
        _ => None,
    });
    ids.collect()
}

fn answers(world: &World, node: usize) -> Vec<(CommandId, Result<Document, RequestError>)> {
    let events = world.nodes[node].events.iter();
    let answers = events.filter_map(|event| match event {
        Event::Answered { command, outcome, .. } => Some((*command, outcome.clone())),
        _ => None,
    });
    answers.collect()
}

#[test]
fn a_request_gets_its_answer_once() {
    let (mut world, a, b) = pair(1);
    let asked = ask(&mut world, a, b, SECOND * 5);
    world.run(SECOND);
    let [request] = requests(&world, b)[..] else { panic!("{:?}", requests(&world, b)) };
    assert!(answers(&world, a).is_empty());
    world.command(b, Command::Respond { request, outcome: Ok(number(42)) });
    world.run(SECOND);
    assert_eq!(answers(&world, a), [(asked, Ok(number(42)))]);
    let again = Command::Respond { request, outcome: Ok(number(43)) };
    let now = world.now;
    assert_eq!(world.nodes[b].peer.command(now, again), Err(CommandError::UnknownRequest));
    world.run(SECOND * 20);
    assert_eq!(answers(&world, a).len(), 1);
    let told = |event: &Event| matches!(event, Event::Message { .. } | Event::Sent { .. });
    assert_eq!(world.count(a, told) + world.count(b, told), 0, "neither is a message to the application");
}

#[test]
fn a_failure_is_told_in_the_words_of_the_other_side_as_far_as_they_fit() {
    let (mut world, a, b) = pair(2);
    let asked = ask(&mut world, a, b, SECOND * 5);
    world.run(SECOND);
    let request = requests(&world, b)[0];
    world.command(b, Command::Respond { request, outcome: Err("ö".repeat(limits::FAILURE)) });
    world.run(SECOND);
    let text = "ö".repeat(limits::FAILURE / 2);
    assert_eq!(answers(&world, a), [(asked, Err(RequestError::Failed(text)))]);
}

#[test]
fn an_answer_that_does_not_come_is_a_timeout_and_one_that_comes_late_is_nothing() {
    let (mut world, a, b) = pair(3);
    let asked = ask(&mut world, a, b, SECOND * 30);
    world.run(SECOND * 29);
    assert!(answers(&world, a).is_empty(), "also when it takes longer than a message may");
    world.run(SECOND * 2);
    assert_eq!(answers(&world, a), [(asked, Err(RequestError::Timeout(30_000)))]);
    let request = requests(&world, b)[0];
    world.command(b, Command::Respond { request, outcome: Ok(number(42)) });
    world.run(SECOND);
    assert_eq!(answers(&world, a).len(), 1);
}

#[test]
fn who_cannot_be_reached_is_told_as_for_messages() {
    let mut world = World::new(4, 1);
    let (a, b) = (world.add(&[0]), world.add(&[]));
    world.join(a, "p");
    let asked = ask(&mut world, a, b, SECOND * 10);
    world.run(SECOND * 11);
    let unreachable = RequestError::NotSent(SendError::Unreachable(10));
    assert_eq!(answers(&world, a), [(asked, Err(unreachable))]);
}

#[test]
fn what_is_cancelled_is_neither_sent_again_nor_answered() {
    let mut world = World::new(5, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    let asked = ask(&mut world, a, b, SECOND * 60);
    world.run(SECOND);
    world.command(a, Command::Cancel { command: asked });
    let to = world.nodes[b].peer.identity();
    let message = world.command(a, Command::Send { to, document: number(2) });
    world.command(a, Command::Cancel { command: message });
    world.join(b, "p");
    world.run(SECOND * 20);
    assert!(world.linked(a, b));
    assert_eq!((requests(&world, b).len(), answers(&world, a).len()), (0, 0));
    let arrived = world.count(b, |event| matches!(event, Event::Message { .. }));
    assert_eq!(arrived, 0, "a message neither");
}

#[test]
fn one_peer_of_several_is_asked_alone_and_of_all_the_first_answer_counts() {
    let (mut world, asker, tabs) = with_two_tabs(6);
    for tab in tabs {
        answer(&mut world, tab);
    }
    let to = world.nodes[tabs[0]].peer.identity();
    let only =
        Command::Request { to, peer: Some(world.id(tabs[1])), document: number(1), timeout: SECOND * 5 };
    world.command(asker, only);
    world.run(SECOND);
    assert_eq!(tabs.map(|tab| requests(&world, tab).len()), [0, 1]);
    let all =
        world.command(asker, Command::Request { to, peer: None, document: number(2), timeout: SECOND * 5 });
    world.run(SECOND);
    assert_eq!(tabs.map(|tab| requests(&world, tab).len()), [1, 2]);
    for tab in tabs {
        let request = *requests(&world, tab).last().unwrap();
        world.command(tab, Command::Respond { request, outcome: Ok(number(7)) });
    }
    world.run(SECOND);
    assert_eq!(answers(&world, asker), [(all, Ok(number(7)))]);
}

#[test]
fn nobody_else_can_answer() {
    let mut world = World::new(7, 1);
    let victim =
        Keys { identity: IdentityKey::new(&Seed::new([6; 32])), peer: PeerKey::new(&Seed::new([7; 32])) };
    let a = world.add_keys(victim.clone(), &[0], |_: &mut Config| {});
    let b = world.add(&[0]);
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    answer(&mut world, b);
    ask(&mut world, a, b, SECOND * 5);
    world.run(SECOND);
    let request = requests(&world, b)[0];
    let thief =
        Keys { identity: IdentityKey::new(&Seed::new([8; 32])), peer: PeerKey::new(&Seed::new([9; 32])) };
    let record = PeerRecord {
        identity: thief.identity.id(),
        peer: thief.peer.id(),
        agreement: thief.peer.agreement(),
        name: Text::default(),
        issued: world.now.millis(),
        until: world.now.millis() + 600_000,
        sessions: None,
    };
    let forged = Sealed::Message {
        id: MessageId([1; 16]),
        record: statement::sign_record(&thief.identity, &record),
        time: world.now.millis(),
        body: number(666).encode(),
        entry: Vec::new(),
        to: victim.identity.id(),
        asks: None,
        answers: Some(request),
        failed: None,
    };
    deliver(&mut world, a, &thief, &victim, &forged);
    world.run(SECOND);
    assert!(answers(&world, a).is_empty());
    world.command(b, Command::Respond { request, outcome: Ok(number(42)) });
    world.run(SECOND);
    assert_eq!(answers(&world, a).len(), 1);
}

#[test]
fn whoever_closes_waits_for_no_answer() {
    let (mut world, a, b) = pair(8);
    let asked = ask(&mut world, a, b, SECOND * 5);
    world.run(SECOND);
    world.command(a, Command::Close);
    let closed = RequestError::NotSent(SendError::Closed);
    assert_eq!(answers(&world, a), [(asked, Err(closed))]);
}

#[test]
fn requests_that_wait_for_their_answers_are_bounded() {
    let (mut world, a, b) = pair(9);
    let to = world.nodes[b].peer.identity();
    let ask = || Command::Request { to, peer: None, document: number(1), timeout: SECOND * 60 };
    let now = world.now;
    let taken = (0..3000).filter(|_| world.nodes[a].peer.command(now, ask()).is_ok()).count();
    assert_eq!(taken, 1024);
    assert_eq!(world.nodes[a].peer.command(now, ask()), Err(CommandError::TooManyMessages(1024)));
    world.command(a, Command::Send { to, document: number(2) });
    world.run(SECOND * 61);
    assert_eq!(answers(&world, a).len(), 1024, "each ends");
    let now = world.now;
    assert!(world.nodes[a].peer.command(now, ask()).is_ok());
}

#[test]
fn an_answer_goes_where_the_request_came_from_though_nobody_else_knows_that_peer() {
    answers_a_stranger(10, Ok(number(42)));
}

#[test]
fn that_there_is_no_answer_goes_there_as_well_and_is_waited_for() {
    answers_a_stranger(12, Err("no such film".into()));
}

fn answers_a_stranger(seed: u64, outcome: Result<Document, String>) {
    let mut world = World::new(seed, 1);
    let me =
        Keys { identity: IdentityKey::new(&Seed::new([6; 32])), peer: PeerKey::new(&Seed::new([7; 32])) };
    let answerer = world.add_keys(me.clone(), &[0], |_: &mut Config| {});
    let discovery = world.join(answerer, "p");
    answer(&mut world, answerer);
    world.run(SECOND);
    let asker =
        Keys { identity: IdentityKey::new(&Seed::new([8; 32])), peer: PeerKey::new(&Seed::new([9; 32])) };
    let now = world.now.millis();
    let record = PeerRecord {
        identity: asker.identity.id(),
        peer: asker.peer.id(),
        agreement: asker.peer.agreement(),
        name: Text::default(),
        issued: now,
        until: now + 600_000,
        sessions: None,
    };
    let entry = Entry {
        discovery,
        peer: asker.peer.id(),
        home: SignalerId([7; 32]),
        agreement: asker.peer.agreement(),
        seq: 1,
        since: now,
        until: now + 60_000,
        left: false,
    };
    let question = Sealed::Message {
        id: MessageId([1; 16]),
        record: statement::sign_record(&asker.identity, &record),
        time: now,
        body: number(1).encode(),
        entry: statement::sign_entry(&asker.peer, &entry),
        to: me.identity.id(),
        asks: Some(true),
        answers: None,
        failed: None,
    };
    deliver(&mut world, answerer, &asker, &me, &question);
    let request = requests(&world, answerer)[0];
    world.run(Duration::from_millis(100));
    let before = world.forwards;
    world.command(answerer, Command::Respond { request, outcome });
    world.run(Duration::from_millis(100));
    assert_eq!(world.forwards, before + 1);
    assert!(world.nodes[answerer].peer.unsent() > 0, "who closes now could lose it");
    world.run(SECOND * 11);
    assert_eq!(world.forwards, before + 4, "it was sent again, a few times");
    assert_eq!(world.nodes[answerer].peer.unsent(), 0, "nobody confirmed it, and it was given up");
}

#[test]
fn where_nobody_answers_a_request_is_refused_unless_another_peer_answers() {
    let (mut world, a, b) = pair(11);
    world.command(b, Command::AnswerRequests { on: false });
    let asked = ask(&mut world, a, b, SECOND * 5);
    world.run(SECOND);
    assert_eq!(answers(&world, a), [(asked, Err(RequestError::Refused))]);
    assert!(requests(&world, b).is_empty());

    let (mut world, asker, tabs) = with_two_tabs(12);
    answer(&mut world, tabs[1]);
    let asked = ask(&mut world, asker, tabs[0], SECOND * 5);
    world.run(SECOND);
    assert!(answers(&world, asker).is_empty(), "the tab that answers takes its time");
    let request = requests(&world, tabs[1])[0];
    world.command(tabs[1], Command::Respond { request, outcome: Ok(number(7)) });
    world.run(SECOND);
    assert_eq!(answers(&world, asker), [(asked, Ok(number(7)))]);
}

#[test]
fn one_that_asks_too_much_costs_others_nothing() {
    let (mut world, a, b) = pair(13);
    let c = world.add(&[0]);
    world.join(c, "p");
    world.run_until(SECOND * 2, |w| w.linked(b, c)).unwrap();
    let asked = ask(&mut world, a, b, SECOND * 60);
    world.run(SECOND);
    let request = requests(&world, b)[0];
    let mut failures = Vec::new();
    for _ in 0..3 {
        (0..1024).for_each(|_| {
            ask(&mut world, c, b, SECOND);
        });
        world.run(SECOND * 2);
        failures.extend(requests(&world, b).into_iter().rev().take(500));
    }
    // Answers that nobody confirms are bounded, too, and what is refused keeps nobody from sending.
    world.kill(c);
    for request in failures {
        let now = world.now;
        let refused = Command::Respond { request, outcome: Err("no".into()) };
        _ = world.nodes[b].peer.command(now, refused);
    }
    let to = world.nodes[a].peer.identity();
    world.command(b, Command::Send { to, document: number(1) });
    world.command(b, Command::Respond { request, outcome: Ok(number(42)) });
    world.run(SECOND);
    assert_eq!(answers(&world, a), [(asked, Ok(number(42)))]);
}
