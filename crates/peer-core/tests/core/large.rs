//! Messages that travel in parts.

use std::time::Duration;

use weft_peer_core::{Command, CommandError, CommandId, Config, Event, Keys, RequestError, SendError};
use weft_query::{Document, DocumentError, Value};
use weft_wire::{MessageId, limits};

use crate::world::{World, everything, number, object};

const SECOND: Duration = Duration::from_secs(1);
const MIB: usize = 1024 * 1024;

/// A document whose encoding has so many bytes, different ones for different seeds.
pub(crate) fn large(bytes: usize, seed: u8) -> Document {
    // {"d": h'…'}: a map, a name of one letter, the head of long bytes.
    let bytes = (0..bytes - 8).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[1] ^ seed).collect();
    Document::from_value(&object(vec![("d", Value::Bytes(bytes))])).unwrap()
}

pub(crate) fn pair(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    world.run(SECOND);
    (world, a, b)
}

/// Two at one signaler that have no link, and no way over others.
fn apart(seed: u64) -> (World, usize, usize) {
    let mut world = World::new(seed, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    block(&mut world, a, b);
    world.join(a, "p");
    world.join(b, "p");
    world.run(SECOND);
    (world, a, b)
}

fn block(world: &mut World, a: usize, b: usize) {
    for (one, other) in [(a, b), (b, a)] {
        let peer = world.id(other);
        world.command(one, Command::Block { peer });
    }
}

fn send(world: &mut World, from: usize, to: usize, document: Document) -> CommandId {
    let to = world.nodes[to].peer.identity();
    world.command(from, Command::Send { to, document })
}

fn messages(world: &World, node: usize) -> Vec<&Document> {
    let events = world.nodes[node].events.iter();
    let documents = events.filter_map(|event| match event {
        Event::Message { document, .. } => Some(document),
        _ => None,
    });
    documents.collect()
}

fn outcomes(world: &World, node: usize) -> Vec<(CommandId, Result<(), SendError>)> {
    let events = world.nodes[node].events.iter();
    let outcomes = events.filter_map(|event| match event {
        Event::Sent { command, outcome, .. } => Some((*command, outcome.clone())),
        _ => None,
    });
    outcomes.collect()
}

/// Bytes that are confirmed of a message.
fn confirmed(world: &World, node: usize, of: CommandId) -> Vec<usize> {
    let events = world.nodes[node].events.iter();
    let progress = events.filter_map(|event| match event {
        Event::Progress { command, sent, .. } if *command == of => Some(*sent),
        _ => None,
    });
    progress.collect()
}

fn at(world: &World, node: usize, of: CommandId) -> usize {
    confirmed(world, node, of).last().copied().unwrap_or(0)
}

fn incoming(world: &World, node: usize) -> Vec<(usize, usize)> {
    let events = world.nodes[node].events.iter();
    let progress = events.filter_map(|event| match event {
        Event::Incoming { received, total, .. } => Some((*received, *total)),
        _ => None,
    });
    progress.collect()
}

fn assembling(world: &World, node: usize) -> u64 {
    world.nodes[node].peer.stats().assembling
}

fn rises(figures: &[usize]) -> bool {
    figures.is_sorted_by(|one, next| one < next)
}

#[test]
fn d15_a_message_of_16_mib_arrives_once_with_at_most_1_mib_buffered() {
    let (mut world, a, b) = pair(1);
    world.bandwidth = Some(8_000_000);
    world.most_queued = 0;
    let document = large(limits::MESSAGE, 1);
    assert_eq!(document.encode().len(), limits::MESSAGE);
    let sent = send(&mut world, a, b, document.clone());
    let took = world.run_until(SECOND * 10, |w| !outcomes(w, a).is_empty()).expect("a receipt");
    assert!(took < Duration::from_millis(2500), "of 2.1 s at this bandwidth: {took:?}");
    assert_eq!(outcomes(&world, a), [(sent, Ok(()))]);
    world.run(SECOND * 20);
    assert!(messages(&world, b) == [&document]);
    let buffered = (world.most_buffered, world.most_queued);
    assert!(buffered.0 + buffered.1 as u64 <= MIB as u64, "channel and outbox: {buffered:?}");
    assert_eq!((assembling(&world, b), world.nodes[a].peer.unsent()), (0, 0));
    let told = confirmed(&world, a, sent);
    assert!(told.len() > 50 && rises(&told), "{told:?}");
    assert_eq!(told.last(), Some(&limits::MESSAGE));
    let come = incoming(&world, b);
    assert!(rises(&come.iter().map(|(here, _)| *here).collect::<Vec<_>>()));
    assert_eq!(come.last(), Some(&(limits::MESSAGE, limits::MESSAGE)));
}

#[test]
fn d15_one_byte_more_than_16_mib_is_an_error_that_says_so() {
    let bytes = Value::Bytes(vec![0; limits::MESSAGE - 7]);
    let error = Document::from_value(&object(vec![("d", bytes)])).unwrap_err();
    assert_eq!(error, DocumentError::TooLarge { len: limits::MESSAGE + 1, limit: limits::MESSAGE });
    assert_eq!(error.to_string(), "more than 16777216 bytes: it has at least 16777217");
}

#[test]
fn d15_two_messages_share_a_link_and_nothing_else_waits_for_them() {
    let (mut world, a, b) = pair(2);
    let party = weft_crypto::Party::open("p").discovery();
    let got = world.subscribe(b, party, &everything(), false);
    world.run(SECOND);
    world.bandwidth = Some(2_000_000);
    let sent = [1, 2].map(|seed| send(&mut world, a, b, large(8 * MIB, seed)));
    for round in 1..=6 {
        world.run(SECOND);
        let [one, other] = sent.map(|sent| at(&world, a, sent));
        assert!(one > 0 && other > 0 && one < other * 2 && other < one * 2, "{round} s: {one} and {other}");
        // What the channel has buffered goes first: 256 KiB, 131 ms at this bandwidth.
        let small = send(&mut world, a, b, number(round));
        let delivered = |w: &World| outcomes(w, a).contains(&(small, Ok(())));
        let took = world.run_until(SECOND, delivered).expect("a receipt");
        assert!(took < Duration::from_millis(350), "a message took {took:?}");
        world.publish(a, party, round);
        let took = world.run_until(SECOND, |w| w.numbers(b, got).last() == Some(&round));
        assert!(took.is_some_and(|took| took < Duration::from_millis(350)), "a publication took {took:?}");
    }
    assert!(outcomes(&world, a).len() == 6, "both are still on their way");
    world.run(SECOND * 10);
    assert_eq!(outcomes(&world, a).len(), 8);
    assert_eq!(messages(&world, b).len(), 8);
}

#[test]
fn what_is_lost_on_the_way_is_sent_again() {
    for seed in 0..60 {
        let (mut world, a, b) = apart(seed);
        world.drop_forwards = 20;
        let document = large(MIB, 3);
        let sent = send(&mut world, a, b, document.clone());
        world.run_until(SECOND * 60, |w| !outcomes(w, a).is_empty()).expect("an outcome");
        assert_eq!(outcomes(&world, a), [(sent, Ok(()))], "seed {seed}");
        world.run(SECOND * 20);
        assert!(messages(&world, b) == [&document], "seed {seed}");
        assert_eq!(assembling(&world, b), 0);
    }
}

#[test]
fn when_the_link_goes_the_rest_takes_another_way() {
    let (mut world, a, b) = pair(4);
    world.bandwidth = Some(4_000_000);
    let document = large(4 * MIB, 4);
    let sent = send(&mut world, a, b, document.clone());
    world.run_until(SECOND * 5, |w| at(w, a, sent) > 2 * MIB).expect("half of it");
    let (forwards, half) = (world.forwards, at(&world, a, sent));
    block(&mut world, a, b);
    assert!(!world.linked(a, b));
    world.run_until(SECOND * 20, |w| !outcomes(w, a).is_empty()).expect("an outcome");
    assert_eq!(outcomes(&world, a), [(sent, Ok(()))]);
    assert!(messages(&world, b) == [&document]);
    let parts = (4 * MIB - half).div_ceil(limits::PART) as u64;
    let forwarded = world.forwards - forwards;
    // Parts, words about them (one for four, or one for each if they come slowly), and little else.
    assert!((parts..parts * 2 + 12).contains(&forwarded), "{forwarded} envelopes for {parts} parts");
}

#[test]
fn when_the_network_is_away_for_some_seconds_it_goes_on_where_it_was() {
    let (mut world, a, b) = pair(5);
    world.bandwidth = Some(4_000_000);
    let document = large(4 * MIB, 5);
    let sent = send(&mut world, a, b, document.clone());
    world.run_until(SECOND * 5, |w| at(w, a, sent) > MIB).expect("a quarter");
    world.cut(b);
    world.run(SECOND * 7);
    let before = at(&world, a, sent);
    world.restore(b);
    world.run_until(SECOND * 10, |w| !outcomes(w, a).is_empty()).expect("an outcome");
    assert_eq!(outcomes(&world, a), [(sent, Ok(()))]);
    assert!(messages(&world, b) == [&document]);
    assert!(before > MIB && rises(&confirmed(&world, a, sent)));
}

#[test]
fn whoever_is_not_linked_gets_it_over_others() {
    let mut world = World::new(6, 1);
    let [a, middle, b] = std::array::from_fn(|_| world.add(&[0]));
    block(&mut world, a, b);
    for node in [a, middle, b] {
        world.join(node, "p");
    }
    world.run_until(SECOND * 5, |w| w.linked(a, middle) && w.linked(middle, b)).unwrap();
    world.run(SECOND * 12);
    world.kill_signaler(0);
    world.run(SECOND);
    let document = large(MIB, 6);
    let sent = send(&mut world, a, b, document.clone());
    world.run_until(SECOND * 60, |w| !outcomes(w, a).is_empty()).expect("an outcome");
    assert_eq!(outcomes(&world, a), [(sent, Ok(()))]);
    assert!(messages(&world, b) == [&document]);
}

#[test]
fn what_is_given_up_stops_at_once_and_the_recipient_forgets_it() {
    let (mut world, a, b) = pair(7);
    world.bandwidth = Some(2_000_000);
    let sent = send(&mut world, a, b, large(8 * MIB, 7));
    world.run_until(SECOND * 5, |w| assembling(w, b) > MIB as u64).expect("some of it");
    let before = world.nodes[a].peer.stats().link_bytes_out;
    world.command(a, Command::Cancel { command: sent });
    // What is in the channel goes out before the word that it is over.
    world.run(Duration::from_millis(300));
    assert_eq!(assembling(&world, b), 0);
    world.run(SECOND * 20);
    let after = world.nodes[a].peer.stats().link_bytes_out;
    assert!(after - before < 300_000, "{} bytes afterwards", after - before);
    assert_eq!((messages(&world, b).len(), outcomes(&world, a).len()), (0, 0));
}

#[test]
fn when_the_sender_is_gone_the_recipient_forgets_what_it_has() {
    let (mut world, a, b) = pair(8);
    world.bandwidth = Some(2_000_000);
    send(&mut world, a, b, large(8 * MIB, 8));
    world.run_until(SECOND * 5, |w| assembling(w, b) > MIB as u64).expect("some of it");
    world.kill(a);
    world.run(SECOND * 14);
    assert!(assembling(&world, b) > 0, "it may come back");
    world.run(SECOND * 2);
    assert_eq!(assembling(&world, b), 0);
}

#[test]
fn a_recipient_that_was_reloaded_gets_it_from_the_beginning() {
    let mut world = World::new(9, 1);
    let keys = |n| Keys {
        identity: weft_crypto::IdentityKey::new(&weft_crypto::Seed::new([n; 32])),
        peer: weft_crypto::PeerKey::new(&weft_crypto::Seed::new([n + 1; 32])),
    };
    let a = world.add(&[0]);
    let b = world.add_keys(keys(5), &[0], |_: &mut Config| {});
    world.join(a, "p");
    world.join(b, "p");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    world.bandwidth = Some(2_000_000);
    let document = large(4 * MIB, 9);
    let sent = send(&mut world, a, b, document.clone());
    world.run_until(SECOND * 5, |w| assembling(w, b) > 2 * MIB as u64).expect("half of it");
    world.kill(b);
    let again = world.add_keys(keys(5), &[0], |_: &mut Config| {});
    world.join(again, "p");
    world.run_until(SECOND * 20, |w| !outcomes(w, a).is_empty()).expect("an outcome");
    assert_eq!(outcomes(&world, a), [(sent, Ok(()))]);
    assert!(messages(&world, again) == [&document]);
    assert!(rises(&confirmed(&world, a, sent)), "told progress does not fall");
}

#[test]
fn large_requests_and_answers_cross_and_their_time_counts_from_the_last_part() {
    let (mut world, a, b) = pair(10);
    world.command(b, Command::AnswerRequests { on: true });
    world.bandwidth = Some(500_000);
    let to = world.nodes[b].peer.identity();
    let (question, answer) = (large(2 * MIB, 1), large(2 * MIB, 2));
    let ask = Command::Request { to, peer: None, document: question.clone(), timeout: SECOND * 2 };
    let asked = world.command(a, ask);
    let requests = |world: &World| -> Vec<(MessageId, Document)> {
        let events = world.nodes[b].events.iter();
        let requests = events.filter_map(|event| match event {
            Event::Request { id, document, .. } => Some((*id, document.clone())),
            _ => None,
        });
        requests.collect()
    };
    let took = world.run_until(SECOND * 10, |w| !requests(w).is_empty()).expect("the request");
    assert!(took > SECOND * 4, "at this bandwidth: {took:?}");
    let [(request, document)] = &requests(&world)[..] else { panic!("one request") };
    assert!(*document == question);
    assert!(rises(&confirmed(&world, a, asked)));
    world.command(b, Command::Respond { request: *request, outcome: Ok(answer.clone()) });
    let answered = |world: &World| -> Option<Result<Document, RequestError>> {
        world.nodes[a].events.iter().find_map(|event| match event {
            Event::Answered { command, outcome, .. } if *command == asked => Some(outcome.clone()),
            _ => None,
        })
    };
    world.run_until(SECOND * 10, |w| answered(w).is_some()).expect("an answer");
    assert!(answered(&world) == Some(Ok(answer)));
    let came = |event: &Event| matches!(event, Event::Incoming { answers: Some(of), .. } if of == request);
    assert!(world.count(a, came) > 5);
}

/// Requests of so many bytes, with 3 s for the answer, behind messages that fill what may be under way.
fn ask_behind(seed: u64, messages: &[usize], bytes: usize) -> (World, usize, usize, CommandId) {
    let (mut world, a, b) = pair(seed);
    world.command(b, Command::AnswerRequests { on: true });
    world.bandwidth = Some(500_000);
    for (seed, bytes) in (0..).zip(messages) {
        send(&mut world, a, b, large(*bytes, seed));
    }
    let to = world.nodes[b].peer.identity();
    let asked = Command::Request { to, peer: None, document: large(bytes, 9), timeout: SECOND * 3 };
    let asked = world.command(a, asked);
    (world, a, b, asked)
}

fn late(world: &World, node: usize, of: CommandId) -> usize {
    let timeout = |outcome: &Result<Document, RequestError>| matches!(outcome, Err(RequestError::Timeout(_)));
    world.count(
        node,
        |event| matches!(event, Event::Answered { command, outcome, .. } if *command == of && timeout(outcome)),
    )
}

#[test]
fn the_time_of_a_request_does_not_run_while_it_waits_for_its_turn() {
    for (messages, bytes) in [(&[MIB; 4][..], MIB), (&[100 * 1024; 40], 100 * 1024)] {
        let (mut world, a, b, asked) = ask_behind(16, messages, bytes);
        let requests = |w: &World| w.count(b, |event| matches!(event, Event::Request { .. }));
        let took = world.run_until(SECOND * 15, |w| requests(w) == 1 || late(w, a, asked) == 1).unwrap();
        assert_eq!((requests(&world), late(&world, a, asked)), (1, 0), "after {took:?}");
        assert!(took > SECOND * 6, "it waited: {took:?}");
        // Nobody answers. The time counts from when it began, or went on.
        assert!(world.run_until(SECOND * 3, |w| late(w, a, asked) == 1).is_some());
    }
}

#[test]
fn a_large_request_that_nobody_answers_is_refused_before_it_crosses() {
    let (mut world, a, b) = pair(11);
    let to = world.nodes[b].peer.identity();
    let before = world.nodes[a].peer.stats().link_bytes_out;
    let ask = Command::Request { to, peer: None, document: large(8 * MIB, 1), timeout: SECOND * 5 };
    let asked = world.command(a, ask);
    let refused = |event: &Event| matches!(event, Event::Answered { command, outcome: Err(RequestError::Refused), .. } if *command == asked);
    world.run_until(SECOND, |w| w.count(a, refused) == 1).expect("a refusal");
    assert!(world.nodes[a].peer.stats().link_bytes_out - before < 10_000);
}

#[test]
fn every_peer_of_an_identity_gets_it() {
    let mut world = World::new(12, 1);
    let a = world.add(&[0]);
    let identity = weft_crypto::IdentityKey::new(&weft_crypto::Seed::new([3; 32]));
    let tabs = [4, 5].map(|n| {
        let peer = weft_crypto::PeerKey::new(&weft_crypto::Seed::new([n; 32]));
        world.add_keys(Keys { identity: identity.clone(), peer }, &[0], |_| {})
    });
    for node in [a, tabs[0], tabs[1]] {
        world.join(node, "p");
    }
    world.run_until(SECOND * 2, |w| tabs.iter().all(|tab| w.linked(a, *tab))).unwrap();
    world.run(SECOND);
    world.bandwidth = Some(4_000_000);
    let document = large(2 * MIB, 1);
    send(&mut world, a, tabs[0], document.clone());
    world.run(SECOND * 5);
    assert_eq!(outcomes(&world, a).len(), 1);
    for tab in tabs {
        assert!(messages(&world, tab) == [&document]);
    }
}

#[test]
fn many_at_once_wait_for_their_turn_and_what_is_too_much_is_refused() {
    let (mut world, a, b) = pair(13);
    world.bandwidth = Some(50_000_000);
    let to = world.nodes[b].peer.identity();
    let sent: Vec<CommandId> = (0..8).map(|seed| send(&mut world, a, b, large(8 * MIB, seed))).collect();
    let now = world.now;
    let more = Command::Send { to, document: large(MIB, 9) };
    assert_eq!(world.nodes[a].peer.command(now, more), Err(CommandError::QueueFull(64 * MIB)));
    world.command(a, Command::Send { to, document: number(1) });
    // Four are under way: the recipient keeps no more than 32 MiB of one identity.
    world.run_until(SECOND * 5, |w| at(w, a, sent[3]) > 0).expect("the fourth begins");
    assert_eq!(at(&world, a, sent[4]), 0);
    world.run_until(SECOND * 20, |w| outcomes(w, a).len() == 9).expect("all of them");
    assert!(outcomes(&world, a).iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(messages(&world, b).len(), 9);
    send(&mut world, a, b, large(MIB, 9));
}

#[test]
fn messages_of_64_kib_wait_for_their_turn_instead_of_filling_the_link() {
    let (mut world, a, b) = pair(14);
    world.bandwidth = Some(20_000_000);
    world.most_queued = 0;
    let document = large(64 * 1024, 1);
    for _ in 0..800 {
        send(&mut world, a, b, document.clone());
    }
    let small = send(&mut world, a, b, number(1));
    world.run(SECOND / 4);
    assert!(outcomes(&world, a).contains(&(small, Ok(()))), "a small one passes them");
    world.run_until(SECOND * 10, |w| outcomes(w, a).len() == 801).expect("all of them");
    assert!(outcomes(&world, a).iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(messages(&world, b).len(), 801);
    let buffered = (world.most_buffered, world.most_queued);
    assert!(buffered.0 + buffered.1 as u64 <= 5 * MIB as u64 / 4, "channel and outbox: {buffered:?}");
}

#[test]
fn on_a_slow_line_messages_of_64_kib_are_not_sent_twice() {
    let (mut world, a, b) = pair(15);
    world.bandwidth = Some(1_000_000);
    let before = world.nodes[a].peer.stats().link_bytes_out;
    for seed in 0..16 {
        send(&mut world, a, b, large(64 * 1024, seed));
    }
    world.run_until(SECOND * 5, |w| outcomes(w, a).len() == 16).expect("all of them");
    let sent = world.nodes[a].peer.stats().link_bytes_out - before;
    assert!(sent < 17 * 64 * 1024, "{sent} bytes");
}
