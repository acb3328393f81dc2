//! Messages in sessions: what they survive, and what nobody reads.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use weft_crypto::correspondence::{Correspondence, Opened};
use weft_crypto::session::Ratchets;
use weft_crypto::{VaultKey, envelope, statement, vault};
use weft_peer_core::{Command, Event, Keys, SendError};
use weft_query::View;
use weft_wire::sealed::Sealed;
use weft_wire::{MessageId, PeerRecord, Text, decode, limits};

use crate::disk::keys;
use crate::hostile::deliver;
use crate::large::large;
use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);

/// Numbers of the messages that a node was told of, in order.
fn told(world: &World, node: usize) -> Vec<i64> {
    let numbers = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Message { document, .. } => match document.get("n") {
            Some(View::Int(n)) => Some(n),
            _ => None,
        },
        _ => None,
    });
    numbers.collect()
}

fn outcomes(world: &World, node: usize) -> Vec<Result<(), SendError>> {
    let sent = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Sent { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    sent.collect()
}

fn unopened(world: &World, node: usize) -> u64 {
    world.nodes[node].peer.stats().unopened
}

fn send(world: &mut World, from: usize, to: usize, n: i64) {
    let to = world.nodes[to].peer.identity();
    world.command(from, Command::Send { to, document: number(n) });
}

/// Sends a message and waits until it is confirmed.
fn say(world: &mut World, from: usize, to: usize, n: i64) {
    let before = outcomes(world, from).len();
    send(world, from, to, n);
    world.run_until(SECOND * 11, |w| outcomes(w, from).len() > before).expect("an outcome");
    assert_eq!(outcomes(world, from).last(), Some(&Ok(())), "message {n}");
}

/// Two peers, and the disks of those that store what they know; all goes through a signaler, there is no link between them.
fn apart(seed: u64, stores: bool) -> (World, [Option<usize>; 2], [usize; 2]) {
    two(seed, stores, false)
}

fn two(seed: u64, stores: bool, links: bool) -> (World, [Option<usize>; 2], [usize; 2]) {
    let mut world = World::new(seed, 1);
    let disks = [10, 30].map(|_| stores.then(|| world.disk()));
    let nodes = [(10, disks[0]), (30, disks[1])].map(|(key, disk)| start(&mut world, key, disk, links));
    world.run(SECOND);
    (world, disks, nodes)
}

fn start(world: &mut World, key: u8, disk: Option<usize>, links: bool) -> usize {
    let node = world.add_on(keys(key), &[0], disk, |config| {
        config.store = disk.is_some();
        // The signalers here know of no mail, for which what comes live would wait.
        config.mail = false;
        if !links {
            (config.active_view, config.active_slack, config.forwarded_links) = (0, 0, 0);
        }
    });
    world.join(node, "p");
    node
}

/// The same peer again. Without links the others know it still, and nobody tells it who they are.
fn restart(world: &mut World, key: u8, node: usize, disk: Option<usize>, links: bool) -> usize {
    world.kill(node);
    let again = start(world, key, disk, links);
    world.run(SECOND * 2);
    again
}

#[test]
fn p3_whichever_side_is_restarted_the_session_goes_on() {
    for side in [0, 1] {
        let (mut world, disks, mut nodes) = two(1, true, true);
        for n in 0..3 {
            say(&mut world, nodes[0], nodes[1], n);
            say(&mut world, nodes[1], nodes[0], 10 + n);
        }
        world.run_until_stored(nodes[side]);
        nodes[side] = restart(&mut world, [10, 30][side], nodes[side], disks[side], true);
        let before = nodes.map(|node| told(&world, node).len());
        let refused = nodes.map(|node| unopened(&world, node));
        say(&mut world, nodes[0], nodes[1], 100);
        say(&mut world, nodes[1], nodes[0], 101);
        assert_eq!(told(&world, nodes[1])[before[1]..], [100], "side {side}");
        assert_eq!(told(&world, nodes[0])[before[0]..], [101], "side {side}");
        assert_eq!(nodes.map(|node| unopened(&world, node)), refused, "side {side}: nothing was lost");
    }
}

#[test]
fn p3_a_side_that_has_lost_its_state_is_understood_again() {
    for side in [0, 1] {
        let (mut world, _, mut nodes) = two(2, false, true);
        say(&mut world, nodes[0], nodes[1], 0);
        say(&mut world, nodes[1], nodes[0], 1);
        nodes[side] = restart(&mut world, [10, 30][side], nodes[side], None, true);
        let before = nodes.map(|node| told(&world, node).len());
        say(&mut world, nodes[0], nodes[1], 100);
        say(&mut world, nodes[1], nodes[0], 101);
        assert_eq!(told(&world, nodes[1])[before[1]..], [100], "side {side}");
        assert_eq!(told(&world, nodes[0])[before[0]..], [101], "side {side}");
        let refused = unopened(&world, nodes[0]) + unopened(&world, nodes[1]);
        say(&mut world, nodes[0], nodes[1], 102);
        say(&mut world, nodes[1], nodes[0], 103);
        assert_eq!(unopened(&world, nodes[0]) + unopened(&world, nodes[1]), refused, "it has settled");
    }
}

#[test]
fn p3_two_who_write_at_once_settle_on_one_session() {
    for seed in 0..20 {
        let (mut world, _, [a, b]) = apart(seed, seed % 2 == 0);
        world.repeat_forwards = seed % 3 == 0;
        send(&mut world, a, b, 1);
        send(&mut world, b, a, 2);
        world.run(SECOND * 2);
        assert_eq!((told(&world, b), told(&world, a)), (vec![1], vec![2]), "seed {seed}");
        for n in 3..9 {
            let [from, to] = if n % 2 == 0 { [a, b] } else { [b, a] };
            say(&mut world, from, to, n);
        }
        assert_eq!((told(&world, b), told(&world, a)), (vec![1, 4, 6, 8], vec![2, 3, 5, 7]), "seed {seed}");
        assert_eq!([a, b].map(|node| outcomes(&world, node).len()), [4, 4]);
    }
}

#[test]
fn d10_with_losses_each_message_is_delivered_once_though_its_recipient_restarts() {
    for seed in 0..10 {
        let (mut world, disks, [a, mut b]) = apart(seed, true);
        world.drop_forwards = 20;
        let mut all = Vec::new();
        for n in 0..8 {
            say(&mut world, a, b, n);
            world.run_until_stored(b);
            all.extend(told(&world, b));
            b = restart(&mut world, 30, b, disks[1], false);
        }
        all.extend(told(&world, b));
        assert_eq!(all, (0..8).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn what_was_sealed_leaves_only_once_its_state_is_stored_and_nothing_is_told_or_confirmed_before_that() {
    let (mut world, disks, [a, b]) = apart(3, true);
    say(&mut world, a, b, 0);
    world.run_until_stored(a);
    world.run_until_stored(b);
    let [of_a, of_b] = disks.map(|disk| disk.expect("a disk"));
    world.disks[of_a].latency = SECOND * 2;
    let before = world.recorded.len();
    send(&mut world, a, b, 1);
    world.run(Duration::from_millis(1999));
    assert_eq!(world.recorded.len(), before, "it waits for the disk");
    world.disks[of_a].latency = Duration::from_millis(5);
    world.disks[of_b].latency = SECOND * 2;
    let came = world.run_until(SECOND * 5, |w| w.recorded.len() > before).expect("it leaves");
    assert!(came <= Duration::from_millis(50), "{came:?}");
    world.run(SECOND);
    assert_eq!((told(&world, b).len(), outcomes(&world, a).len()), (1, 1), "the other disk is as slow");
    // It dies before that.
    world.disks[of_b].latency = Duration::from_millis(5);
    let again = restart(&mut world, 30, b, Some(of_b), false);
    world.run_until(SECOND * 5, |w| outcomes(w, a).len() == 2).expect("an outcome");
    assert_eq!((told(&world, again), outcomes(&world, a)), (vec![1], vec![Ok(()), Ok(())]));
}

#[test]
fn d10_a_message_that_was_stored_and_not_confirmed_before_the_end_is_told_once() {
    let (mut world, disks, [a, b]) = apart(4, true);
    say(&mut world, a, b, 0);
    world.run_until_stored(b);
    let forwards = world.forwards;
    send(&mut world, a, b, 1);
    world.run_until(SECOND, |w| w.forwards > forwards).expect("it leaves");
    // What comes back is lost.
    world.drop_forwards = 100;
    world.run_until(SECOND, |w| told(w, b).len() == 2).expect("it is told");
    world.run_until_stored(b);
    let again = restart(&mut world, 30, b, disks[1], false);
    world.drop_forwards = 0;
    world.run_until(SECOND * 9, |w| outcomes(w, a).len() == 2).expect("an outcome");
    assert_eq!(outcomes(&world, a), [Ok(()), Ok(())]);
    assert!(told(&world, again).is_empty(), "it was told before");
}

#[test]
fn what_was_stored_and_not_told_before_the_end_is_told_at_the_next_start() {
    let (mut world, disks, [a, b]) = apart(5, true);
    say(&mut world, a, b, 0);
    world.run_until_stored(b);
    let disk = disks[1].expect("a disk");
    world.disks[disk].latency = Duration::from_millis(100);
    let rows = world.disks[disk].rows.len();
    send(&mut world, a, b, 1);
    world
        .run_until(SECOND, |w| w.disks[disk].rows.len() > rows || told(w, b).len() == 2)
        .expect("it is stored");
    // In that moment the process ends: whether the application has got it, nobody knows.
    world.disks[disk].latency = Duration::from_millis(5);
    let again = restart(&mut world, 30, b, Some(disk), false);
    assert_eq!(told(&world, again), [1]);
    world.run_until_stored(again);
    let third = restart(&mut world, 30, again, Some(disk), false);
    assert!(told(&world, third).is_empty(), "and not at each start");
}

#[test]
fn a_store_that_fails_costs_a_warning_and_messages_go_on_in_new_sessions() {
    let (mut world, disks, [a, b]) = apart(6, true);
    say(&mut world, a, b, 0);
    say(&mut world, b, a, 1);
    let disk = disks[1].expect("a disk");
    world.run_until_stored(b);
    world.disks[disk].broken = true;
    for n in 2..6 {
        say(&mut world, a, b, n);
        say(&mut world, b, a, n + 10);
    }
    assert_eq!(told(&world, b), [0, 2, 3, 4, 5]);
    let warned = |event: &Event| matches!(event, Event::Warning { code: "sessions-not-stored", .. });
    assert_eq!(world.count(b, warned), 1);
    // What was stored last is of before, and nothing was sealed with it since.
    world.disks[disk].broken = false;
    let again = restart(&mut world, 30, b, Some(disk), false);
    say(&mut world, a, again, 20);
    say(&mut world, a, again, 21);
    assert_eq!(told(&world, again), [20, 21]);
}

/// A message outside of any session, as a version that knows none sends it.
fn plain(world: &World, from: &Keys, to: &Keys, sessions: Option<bool>) -> Sealed {
    let now = world.now.millis();
    let record = PeerRecord {
        identity: from.identity.id(),
        peer: from.peer.id(),
        agreement: from.peer.agreement(),
        name: Text::default(),
        issued: now,
        until: now + 600_000,
        sessions,
    };
    Sealed::Message {
        id: MessageId([9; 16]),
        record: statement::sign_record(&from.identity, &record),
        time: now,
        body: number(66).encode(),
        entry: Vec::new(),
        to: to.identity.id(),
        asks: None,
        answers: None,
        failed: None,
    }
}

#[test]
fn who_knows_no_sessions_is_understood_and_who_knows_them_cannot_do_without() {
    let (mut world, _, nodes) = apart(7, false);
    let [a, b] = nodes;
    let stranger = keys(50);
    // Of a version before.
    let message = plain(&world, &stranger, &keys(30), None);
    deliver(&mut world, b, &stranger, &keys(30), &message);
    assert_eq!(told(&world, b), [66]);
    // Says that it knows sessions, and uses none.
    let other = keys(60);
    let message = plain(&world, &other, &keys(30), Some(true));
    deliver(&mut world, b, &other, &keys(30), &message);
    assert_eq!((told(&world, b), unopened(&world, b)), (vec![66], 1));
    // Has had one, and now claims to know none.
    say(&mut world, a, b, 1);
    let Sealed::Message { record, time, body, entry, to, .. } = plain(&world, &keys(10), &keys(30), None)
    else {
        unreachable!()
    };
    let message = Sealed::Message {
        id: MessageId([8; 16]),
        record,
        time,
        body,
        entry,
        to,
        asks: None,
        answers: None,
        failed: None,
    };
    deliver(&mut world, b, &keys(10), &keys(30), &message);
    assert_eq!((told(&world, b), unopened(&world, b)), (vec![66, 1], 2));
}

/// Everything that keys which last, and all that is stored, open of what a signaler has recorded.
fn readable(world: &World, stolen: &[(Keys, Option<usize>)]) -> Vec<u8> {
    let mut read = Vec::new();
    let mut rng = ChaCha12Rng::from_seed([7; 32]);
    for (to, sealed) in &world.recorded {
        let (keys, disk) = stolen.iter().find(|(keys, _)| keys.peer.id() == *to).expect("both were taken");
        let opened = envelope::open(&keys.peer, sealed).expect("the lasting key opens the envelope");
        read.extend_from_slice(&opened.body);
        let Ok(Sealed::Session { frame, .. }) = decode::<Sealed>(&opened.body, limits::ENVELOPE) else {
            continue;
        };
        let Some(disk) = disk else { continue };
        let place = vault::place(&keys.peer.id());
        let rows = world.disks[*disk].rows.iter().filter(|((of, key), _)| *of == place && key[0] < 2);
        let rows = rows.map(|((_, key), value)| (key.as_slice(), value.as_slice()));
        let vault = VaultKey::new(&keys.peer);
        let restored = Correspondence::<Ratchets>::restore(keys.peer.id(), &vault, rows);
        let mut restored = restored.unwrap_or_else(|| Correspondence::new(keys.peer.id(), &mut rng));
        if let Ok(Opened::Message(plain)) = restored.open(opened.sender, &frame) {
            read.extend_from_slice(&plain);
        }
    }
    read
}

#[test]
fn c9_who_takes_all_lasting_keys_and_stores_and_has_recorded_everything_reads_nothing_of_before() {
    let (mut world, disks, [a, b]) = apart(8, true);
    let secret = |n: i64| number(7_000_000_000_000_000 + n);
    let to = [world.nodes[a].peer.identity(), world.nodes[b].peer.identity()];
    let mut said = 0;
    for n in 0..6 {
        let (from, to) = if n % 2 == 0 { (a, to[1]) } else { (b, to[0]) };
        world.command(from, Command::Send { to, document: secret(n) });
        world.run(SECOND);
        said += 1;
    }
    // One that is larger than an envelope, too.
    let bulk = large(400_000, 5);
    world.command(a, Command::Send { to: to[1], document: bulk.clone() });
    world.run(SECOND * 20);
    assert_eq!(outcomes(&world, a).len() + outcomes(&world, b).len(), said + 1);
    for node in [a, b] {
        assert!(outcomes(&world, node).iter().all(Result::is_ok));
        world.run_until_stored(node);
    }
    let read = readable(&world, &[(keys(10), disks[0]), (keys(30), disks[1])]);
    assert!(read.len() > 400_000, "the envelopes themselves opened");
    let holds = |part: &[u8]| read.windows(part.len()).any(|window| window == part);
    for n in 0..6 {
        let body = secret(n).encode();
        assert!(!holds(&body[body.len() - 8..]), "message {n} was read");
    }
    let body = bulk.encode();
    for at in (64..body.len() - 64).step_by(50_000) {
        assert!(!holds(&body[at..at + 32]), "the large message was read at {at}");
    }
}
