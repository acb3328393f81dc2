//! Mail that waits: two who are never there together, what survives whom, and what nobody can spoil.

use std::time::Duration;

use weft_crypto::envelope;
use weft_peer_core::{Command, CommandId, Config, Event, Keys, SendError};
use weft_query::View;
use weft_wire::sealed::Sealed;
use weft_wire::{Code, IdentityId, MessageId, encode};

use crate::disk::keys;
use crate::residence::Residence;
use crate::world::{World, number, object};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two identities, each with a peer that has a disk; nobody shares a party with anybody.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) keys: [Keys; 2],
    pub(crate) disks: [usize; 2],
    /// Whoever is running.
    pub(crate) nodes: [Option<usize>; 2],
    change: fn(&mut Config),
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    pub(crate) fn with(seed: u64, change: fn(&mut Config)) -> Self {
        let mut world = World::new(seed, 1);
        world.residence = Some(Residence::default());
        let disks = [world.disk(), world.disk()];
        let mut pair = Self { world, keys: [keys(10), keys(30)], disks, nodes: [None; 2], change };
        // Each has been there once: it has a mailbox.
        for side in [0, 1] {
            pair.come(side);
            pair.world.run(SECOND);
            pair.go(side);
        }
        pair
    }

    pub(crate) fn come(&mut self, side: usize) -> usize {
        assert!(self.nodes[side].is_none());
        let (keys, change) = (self.keys[side].clone(), self.change);
        let node = self.world.add_storing(&keys, self.disks[side], change);
        self.nodes[side] = Some(node);
        node
    }

    /// The process dies.
    pub(crate) fn go(&mut self, side: usize) {
        let node = self.nodes[side].take().expect("it runs");
        self.world.kill(node);
    }

    pub(crate) fn node(&self, side: usize) -> usize {
        self.nodes[side].expect("it runs")
    }

    pub(crate) fn identity(&self, side: usize) -> IdentityId {
        self.keys[side].identity.id()
    }

    pub(crate) fn send(&mut self, from: usize, n: i64) -> CommandId {
        let (node, to) = (self.node(from), self.identity(1 - from));
        self.world.command(node, Command::Send { to, document: number(n) })
    }

    pub(crate) fn waiting(&self, side: usize) -> usize {
        self.residence().waiting(self.keys[side].peer.id())
    }

    pub(crate) fn residence(&self) -> &Residence {
        self.world.residence.as_ref().expect("a residence")
    }

    pub(crate) fn residence_mut(&mut self) -> &mut Residence {
        self.world.residence.as_mut().expect("a residence")
    }

    /// Waits until so many messages are stored, as the one that runs was told.
    pub(crate) fn until_stored(&mut self, side: usize, count: usize) {
        let node = self.node(side);
        self.world.run_until(SECOND * 30, |w| stored(w, node) >= count).expect("stored in time");
    }

    fn told(&self, side: usize) -> Vec<i64> {
        told(&self.world, self.node(side))
    }
}

/// Numbers of the messages that a node was told of, in order.
pub(crate) fn told(world: &World, node: usize) -> Vec<i64> {
    let numbers = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Message { document, .. } => match document.get("n") {
            Some(View::Int(n)) => Some(n),
            _ => None,
        },
        _ => None,
    });
    numbers.collect()
}

/// Messages that a node was told of although it is not stored that it was: the next run is told of them again.
pub(crate) fn doubtful(world: &World, node: usize, disk: usize) -> Vec<i64> {
    let untold = world.disks[disk].untold(world.id(node));
    let numbers = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Message { id, document, .. } if untold.contains(id) => match document.get("n") {
            Some(View::Int(n)) => Some(n),
            _ => None,
        },
        _ => None,
    });
    numbers.collect()
}

/// So often a peer has asked that something be stored.
fn stores(world: &World, peer: weft_wire::PeerId) -> usize {
    let asked = &world.residence.as_ref().expect("a residence").asked;
    asked.iter().filter(|(from, kind)| *from == peer && *kind == 68).count()
}

pub(crate) fn stored(world: &World, node: usize) -> usize {
    world.count(node, |event| matches!(event, Event::Stored { .. }))
}

pub(crate) fn outcomes(world: &World, node: usize) -> Vec<Result<(), SendError>> {
    let sent = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Sent { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    sent.collect()
}

fn warnings(world: &World, node: usize) -> Vec<&'static str> {
    let warned = world.nodes[node].events.iter().filter_map(|event| match event {
        Event::Warning { code, .. } => Some(*code),
        _ => None,
    });
    warned.collect()
}

#[test]
fn c3_c4_two_who_are_never_there_together_write_to_each_other() {
    let mut pair = Pair::new(1);
    let a = pair.come(0);
    for n in 0..12 {
        pair.send(0, n);
    }
    pair.until_stored(0, 12);
    assert!(outcomes(&pair.world, a).is_empty(), "nobody has received anything");
    pair.go(0);
    assert_eq!(pair.waiting(1), 12);

    let b = pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!(told(&pair.world, b), (0..12).collect::<Vec<_>>(), "all, in order");
    assert_eq!(pair.waiting(1), 0, "and deleted");
    // It answers, and goes.
    pair.send(1, 100);
    pair.until_stored(1, 1);
    pair.go(1);

    let a = pair.come(0);
    pair.world.run(SECOND * 3);
    assert_eq!(told(&pair.world, a), [100]);
    assert_eq!(outcomes(&pair.world, a), vec![Ok(()); 12], "the receipts waited, too");
    assert_eq!(pair.waiting(0), 0);
    pair.world.run_until_stored(a);
    pair.go(0);

    let b = pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!((told(&pair.world, b), outcomes(&pair.world, b)), (vec![], vec![Ok(())]));
    let rows = |pair: &Pair, side: usize| {
        let rows = pair.world.disks[pair.disks[side]].rows.keys();
        rows.filter(|(_, key)| key[0] == 4 || key[0] == 5).count()
    };
    pair.world.run_until_stored(b);
    assert_eq!([rows(&pair, 0), rows(&pair, 1)], [0, 0], "nothing more is left to be done");
}

#[test]
fn c8_the_sender_is_told_stored_and_then_delivered() {
    let mut pair = Pair::new(2);
    let a = pair.come(0);
    let command = pair.send(0, 1);
    pair.until_stored(0, 1);
    let is_it = |event: &Event| matches!(event, Event::Stored { command: of, .. } if *of == command);
    assert_eq!(pair.world.count(a, is_it), 1);
    pair.come(1);
    let world = &mut pair.world;
    world.run_until(SECOND * 3, |w| !outcomes(w, a).is_empty()).expect("delivered while both are there");
    assert_eq!(outcomes(world, a), [Ok(())]);
    world.run(SECOND * 30);
    assert_eq!((stored(world, a), outcomes(world, a).len()), (1, 1), "each once");
}

#[test]
fn who_is_here_and_shares_no_party_is_written_to_all_the_same() {
    let mut pair = Pair::new(3);
    let (a, b) = (pair.come(0), pair.come(1));
    pair.world.run(SECOND);
    pair.send(0, 1);
    pair.world.run_until(SECOND * 5, |w| !outcomes(w, a).is_empty()).expect("delivered");
    assert_eq!((told(&pair.world, b), outcomes(&pair.world, a)), (vec![1], vec![Ok(())]));
}

#[test]
fn c3_either_side_may_restart_at_any_time() {
    // After each so many milliseconds whoever runs dies and comes again.
    for every in [30, 70, 150, 400, 900, 2100] {
        let mut pair = Pair::new(every);
        pair.come(0);
        let mut sent = 0;
        for _ in 0..4 {
            for _ in 0..3 {
                pair.send(0, sent);
                sent += 1;
            }
            pair.until_stored(0, 3);
            // What was told as stored waits or was taken, whatever happens from here on.
            pair.world.run(Duration::from_millis(every));
            pair.go(0);
            pair.come(0);
        }
        pair.go(0);
        let mut all = Vec::new();
        for _ in 0..40 {
            let b = pair.come(1);
            pair.world.run(Duration::from_millis(every));
            all.extend(told(&pair.world, b));
            pair.go(1);
        }
        let b = pair.come(1);
        pair.world.run(SECOND * 20);
        all.extend(told(&pair.world, b));
        // What was told in the moment of the end, whether the application has got it, nobody knows: it may come again.
        let mut once = all.clone();
        once.dedup();
        assert_eq!(once, (0..sent).collect::<Vec<_>>(), "every {every} ms");
        assert_eq!(pair.waiting(1), 0, "every {every} ms");
    }
}

#[test]
fn a_lost_acknowledgement_brings_the_same_bytes_again() {
    let mut pair = Pair::new(4);
    let a = pair.come(0);
    pair.world.run(SECOND);
    let to = pair.identity(1);
    pair.world.command(a, Command::Send { to, document: number(1) });
    pair.world.run_until(SECOND * 5, |w| w.residence.as_ref().is_some_and(|one| one.given.len() == 1));
    // That was acknowledged; the next is not, three times.
    pair.world.command(a, Command::Send { to, document: number(2) });
    pair.world.run_until(SECOND, |w| stored(w, a) == 1).expect("the first");
    pair.residence_mut().lose = 3;
    pair.world.run(SECOND * 60);
    assert_eq!(stored(&pair.world, a), 2);
    let given = &pair.residence().given;
    let mut different = given.clone();
    different.sort();
    different.dedup();
    assert!(given.len() > different.len() && different.len() == 2, "{given:?}");
    assert_eq!(pair.waiting(1), 2);
}

#[test]
fn what_was_not_acknowledged_is_left_again_by_the_next_run_with_the_same_bytes() {
    let mut pair = Pair::new(5);
    pair.come(0);
    pair.world.run(SECOND);
    pair.residence_mut().refuse = Some((Code::NotStored, 0));
    pair.send(0, 1);
    // It is sealed and stored here, and goes to the residence, whose answers are lost from then on.
    let given = |w: &World| w.residence.as_ref().is_some_and(|one| !one.given.is_empty());
    pair.world.run_until(SECOND * 5, given).expect("given");
    let first = pair.residence().given[0];
    pair.go(0);
    // The residence has lost it, as one that did not acknowledge may.
    let peer = pair.keys[1].peer.id();
    pair.residence_mut().of(peer).mail.clear();
    let a = pair.come(0);
    pair.until_stored(0, 1);
    assert_eq!(pair.residence().given.last(), Some(&first));
    let earlier = |event: &Event| matches!(event, Event::Stored { command: CommandId(0), .. });
    assert_eq!(pair.world.count(a, earlier), 1, "an earlier run sent it");
    pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!((pair.told(1), outcomes(&pair.world, a)), (vec![1], vec![Ok(())]));
}

#[test]
fn c11_two_peers_of_one_identity_each_get_what_waits() {
    let mut pair = Pair::new(6);
    let second = Keys { identity: keys(30).identity, peer: keys(50).peer };
    let disk = pair.world.disk();
    let node = pair.world.add_storing(&second, disk, |_| {});
    pair.world.run(SECOND);
    pair.world.kill(node);
    let a = pair.come(0);
    pair.send(0, 1);
    pair.send(0, 2);
    pair.until_stored(0, 2);
    pair.world.run(SECOND * 2);
    assert_eq!((pair.waiting(1), pair.residence().waiting(second.peer.id())), (2, 2));
    pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!((pair.told(1), outcomes(&pair.world, a)), (vec![1, 2], vec![Ok(()), Ok(())]));
    let node = pair.world.add_storing(&second, disk, |_| {});
    pair.world.run(SECOND * 3);
    assert_eq!(told(&pair.world, node), [1, 2], "the other one has them, too");
    assert_eq!(outcomes(&pair.world, a).len(), 2, "and each is delivered once");
}

#[test]
fn c10_full_mailboxes_are_errors_and_what_waits_there_is_not_lost() {
    for (most, error) in [((3, 250), SendError::MailboxFull), ((1000, 3), SendError::SenderFull)] {
        let mut pair = Pair::new(7);
        let a = pair.come(0);
        pair.residence_mut().most = Some(most);
        for n in 0..5 {
            pair.send(0, n);
        }
        pair.world.run(SECOND * 9);
        assert_eq!(outcomes(&pair.world, a), [Err(error.clone()), Err(error)]);
        assert_eq!(stored(&pair.world, a), 3);
        pair.come(1);
        pair.world.run(SECOND * 3);
        assert_eq!(pair.told(1), [0, 1, 2]);
        // There is room again.
        pair.go(1);
        pair.send(0, 5);
        pair.until_stored(0, 4);
    }
}

#[test]
fn c10_the_outbox_is_bounded_and_says_so() {
    let mut pair = Pair::with(8, |config| config.outbox_messages = 3);
    let a = pair.come(0);
    for n in 0..5 {
        pair.send(0, n);
    }
    pair.world.run(SECOND * 9);
    assert_eq!(outcomes(&pair.world, a), vec![Err(SendError::OutboxFull); 2]);
    assert_eq!(SendError::OutboxFull.code(), "outbox-full");
    pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!(pair.told(1), [0, 1, 2]);
    pair.send(0, 5);
    pair.world.run(SECOND * 5);
    assert_eq!(pair.told(1), [0, 1, 2, 5], "what was received makes room");
    // The same in bytes.
    let mut pair = Pair::with(8, |config| config.outbox_bytes = 20_000);
    let (a, to) = (pair.come(0), pair.identity(1));
    let text = weft_query::Value::from("x".repeat(6000).as_str());
    let document = weft_query::Document::from_value(&object(vec![("text", text)])).expect("a document");
    for _ in 0..2 {
        pair.world.command(a, Command::Send { to, document: document.clone() });
    }
    pair.world.run(SECOND * 9);
    assert_eq!((stored(&pair.world, a), outcomes(&pair.world, a)), (1, vec![Err(SendError::OutboxFull)]));
}

#[test]
fn c8_a_message_whose_time_is_over_is_reported_and_not_left_where_it_may_not_wait() {
    let mut pair = Pair::new(9);
    let (a, to) = (pair.come(0), pair.identity(1));
    let life = SECOND * 3600;
    pair.world.command(a, Command::SendFor { to, document: number(1), life });
    pair.until_stored(0, 1);
    pair.world.run(life);
    assert_eq!(outcomes(&pair.world, a), [Err(SendError::Expired)]);
    pair.world.command(a, Command::SendFor { to, document: number(2), life: Duration::ZERO });
    pair.world.run(SECOND * 11);
    assert_eq!(outcomes(&pair.world, a).last(), Some(&Err(SendError::Unreachable(10))));
    assert_eq!((stored(&pair.world, a), pair.waiting(1)), (1, 1));
}

#[test]
fn large_messages_do_not_wait_and_say_so() {
    let mut pair = Pair::new(10);
    let (a, to) = (pair.come(0), pair.identity(1));
    pair.world.run(SECOND);
    pair.world.command(a, Command::Send { to, document: crate::large::large(200_000, 1) });
    pair.world.run(SECOND * 11);
    assert_eq!(outcomes(&pair.world, a), [Err(SendError::TooLargeToWait)]);
    // One that fits into an envelope does.
    pair.world.command(a, Command::Send { to, document: crate::large::large(100_000, 1) });
    pair.until_stored(0, 1);
    let b = pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!(pair.world.count(b, |event| matches!(event, Event::Message { .. })), 1);
}

#[test]
fn who_has_no_mailbox_is_unreachable_and_so_is_everybody_where_no_signaler_knows_of_mail() {
    let mut pair = Pair::new(11);
    let a = pair.come(0);
    let to = keys(70).identity.id();
    pair.world.command(a, Command::Send { to, document: number(1) });
    pair.world.run(SECOND * 11);
    assert_eq!(outcomes(&pair.world, a), [Err(SendError::Unreachable(10))]);
    pair.world.residence = None;
    pair.send(0, 2);
    pair.world.run(SECOND * 11);
    assert_eq!(outcomes(&pair.world, a).len(), 2);
    assert_eq!(outcomes(&pair.world, a)[1], Err(SendError::Unreachable(10)));
}

#[test]
fn c3_who_has_moved_to_another_mailbox_meanwhile_gets_what_was_sealed_for_the_one_before() {
    for restarts in [false, true] {
        let mut pair = Pair::new(14);
        pair.come(0);
        pair.world.run(SECOND);
        // It takes the residence longer than a message without a mailbox would be kept.
        let us = pair.keys[0].peer.id();
        let tries = |w: &World| stores(w, us);
        pair.residence_mut().stores_nothing = Some(Code::NotStored);
        pair.send(0, 1);
        pair.world.run(SECOND * 15);
        assert!(tries(&pair.world) > 2);
        // The mailbox is gone by then.
        let there = std::mem::take(&mut pair.residence_mut().boxes);
        pair.residence_mut().stores_nothing = None;
        let before = tries(&pair.world);
        pair.world.run_until(SECOND * 60, |w| tries(w) > before).expect("it is to be stored");
        pair.world.run(SECOND);
        if restarts {
            pair.go(0);
            pair.come(0);
            pair.world.run(SECOND);
        }
        pair.residence_mut().boxes = there;
        pair.until_stored(0, 1);
        pair.come(1);
        pair.world.run(SECOND * 3);
        assert_eq!(pair.told(1), [1], "restarts: {restarts}");
    }
}

#[test]
fn c8_receipts_for_a_residence_that_does_not_answer_do_not_hold_up_messages() {
    let mut pair = Pair::new(15);
    let (to, me) = (pair.identity(1), pair.keys[1].peer.id());
    for n in 0..9_u8 {
        let disk = pair.world.disk();
        let node = pair.world.add_storing(&keys(100 + 2 * n), disk, |_| {});
        pair.world.run(SECOND);
        pair.world.command(node, Command::Send { to, document: number(n.into()) });
        pair.world.run_until(SECOND * 30, |w| stored(w, node) == 1).expect("stored");
        pair.world.kill(node);
    }
    let b = pair.come(1);
    pair.residence_mut().mute_but = Some(pair.keys[0].identity.id());
    pair.world.run_until(SECOND * 10, |w| told(w, b).len() == 9).expect("all nine");
    pair.world.run_until(SECOND * 10, |w| stores(w, me) >= 8).expect("receipts are under way");
    pair.send(1, 7);
    pair.world.run_until(SECOND * 4, |w| stored(w, b) == 1).expect("it is stored");
}

#[test]
fn a_recipient_that_has_lost_its_state_gets_what_was_sealed_before_sealed_anew() {
    let mut pair = Pair::new(12);
    pair.come(0);
    pair.send(0, 0);
    pair.until_stored(0, 1);
    pair.come(1);
    pair.world.run(SECOND * 3);
    pair.go(1);
    // In the session that both have now.
    for n in 1..4 {
        pair.send(0, n);
    }
    pair.until_stored(0, 4);
    let disk = pair.disks[1];
    pair.world.disks[disk].rows.clear();
    let b = pair.come(1);
    pair.world.run(SECOND * 10);
    assert_eq!(told(&pair.world, b), [1, 2, 3], "in order");
    let a = pair.node(0);
    assert_eq!(outcomes(&pair.world, a), vec![Ok(()); 4]);
}

#[test]
fn whoever_ends_after_it_was_told_that_a_session_is_lost_seals_anew_in_the_next_run() {
    for after in (0..400).step_by(10).map(Duration::from_millis) {
        let mut pair = Pair::new(12);
        pair.come(0);
        pair.send(0, 0);
        pair.until_stored(0, 1);
        pair.come(1);
        pair.world.run(SECOND * 3);
        pair.go(1);
        for n in 1..4 {
            pair.send(0, n);
        }
        pair.until_stored(0, 4);
        pair.go(0);
        let disk = pair.disks[1];
        pair.world.disks[disk].rows.clear();
        pair.come(1);
        pair.world.run(SECOND * 5);
        pair.go(1);
        assert_eq!((pair.waiting(0), pair.waiting(1)), (1, 0), "the word that nothing could be opened");
        pair.come(0);
        pair.world.run(after);
        pair.go(0);
        pair.come(0);
        pair.world.run(SECOND * 5);
        pair.go(0);
        let b = pair.come(1);
        pair.world.run(SECOND * 5);
        assert_eq!(told(&pair.world, b), [1, 2, 3], "ended after {after:?}");
    }
}

#[test]
fn c7_poison_in_a_mailbox_does_not_block_what_is_behind_it() {
    let mut pair = Pair::new(13);
    let (b_keys, stranger) = (pair.keys[1].clone(), keys(90));
    let mut rng = rand_chacha_rng();
    let mut seal = |from: &Keys, contents: &Sealed| {
        let (to, agreement) = (b_keys.peer.id(), b_keys.peer.agreement());
        envelope::seal(&mut rng, &from.peer, to, &agreement, &encode(contents)).expect("sealed")
    };
    let session = |frame: &[u8], record: Option<Vec<u8>>| Sealed::Session {
        frame: frame.to_vec(),
        record,
        entry: None,
        prekey: None,
    };
    // Garbage, a session that is unknown, one with a record that is none, what does not wait at all, and more of it than a page.
    let unknown = encode(&weft_wire::ratchet::Ratcheted::Message {
        session: weft_wire::RatchetId([1; 16]),
        began: 1,
        first: false,
        body: weft_wire::Bytes(vec![1, 2, 3]),
    });
    let mut poison = vec![
        vec![7; 300],
        seal(&stranger, &session(&[0xff], None)),
        seal(&stranger, &session(&unknown, Some(vec![1, 2, 3]))),
        seal(&stranger, &Sealed::Stop { id: MessageId([1; 16]) }),
        seal(&stranger, &Sealed::Receipt { id: MessageId([1; 16]), refused: None, others: None }),
    ];
    poison.extend((0..6).map(|n| seal(&stranger, &session(&[n], None))));
    let peer = b_keys.peer.id();
    let count = poison.len();
    let from = stranger.peer.id();
    pair.residence_mut().of(peer).mail.extend(poison.into_iter().map(|one| (from, one)));
    pair.come(0);
    pair.send(0, 1);
    pair.until_stored(0, 1);
    assert_eq!(pair.waiting(1), count + 1);
    let b = pair.come(1);
    pair.world.run(SECOND * 5);
    assert_eq!((told(&pair.world, b), pair.waiting(1)), (vec![1], 0));
    let stats = pair.world.nodes[b].peer.stats();
    assert!(stats.unopened + stats.malformed + stats.forged >= count as u64, "{stats:?}");
}

#[test]
fn what_is_shown_again_is_told_once_and_a_residence_that_never_deletes_is_left_alone() {
    let mut pair = Pair::new(14);
    pair.come(0);
    pair.send(0, 1);
    pair.until_stored(0, 1);
    pair.residence_mut().keeps = true;
    let b = pair.come(1);
    pair.world.run(SECOND * 60);
    assert_eq!(told(&pair.world, b), [1]);
    let asked = pair.residence().asked.iter().filter(|(peer, _)| *peer == pair.keys[1].peer.id()).count();
    assert!(asked < 100, "{asked} questions in a minute");
    // Also in the next run; what was replayed opens nothing.
    pair.world.run_until_stored(b);
    pair.go(1);
    let b = pair.come(1);
    pair.world.run(SECOND * 5);
    assert!(told(&pair.world, b).is_empty());
    assert_eq!(pair.world.nodes[b].peer.stats().unopened, 0, "they are known by their hashes");
}

#[test]
fn prekeys_are_replenished_when_few_lie_ready_and_records_have_no_name() {
    let mut pair = Pair::with(15, |config| config.name = "Ada".into());
    let peer = pair.keys[1].peer.id();
    let one = pair.residence_mut().of(peer);
    assert_eq!((one.once.len(), one.fallback.is_some()), (50, true));
    one.once.truncate(24);
    pair.come(1);
    pair.world.run(SECOND * 2);
    assert_eq!(pair.residence_mut().of(peer).once.len(), 50);
    pair.residence_mut().of(peer).once.truncate(25);
    pair.world.run(SECOND * 3600 * 7);
    assert_eq!(pair.residence_mut().of(peer).once.len(), 25, "enough");
    pair.residence_mut().of(peer).once.truncate(3);
    pair.world.run(SECOND * 3600 * 7);
    assert_eq!(pair.residence_mut().of(peer).once.len(), 50, "looked after every six hours");
}

#[test]
fn who_is_always_told_that_there_are_no_prekeys_does_not_make_them_without_end() {
    let mut pair = Pair::new(35);
    pair.residence_mut().denies = true;
    let peer = pair.keys[1].peer.id();
    pair.residence_mut().asked.clear();
    pair.come(1);
    pair.world.run(SECOND * 60);
    let published = |pair: &mut Pair| {
        pair.residence_mut().asked.iter().filter(|(from, kind)| (*from, *kind) == (peer, 66)).count()
    };
    assert_eq!(published(&mut pair), 2, "its record, and what it lacks, once");
    pair.world.run(SECOND * 3600 * 7);
    assert_eq!(published(&mut pair), 4, "and again when it is time");
}

#[test]
fn who_does_not_take_messages_yet_leaves_them_where_they_wait() {
    let mut pair = Pair::with(36, |config| config.collect = false);
    pair.come(0);
    for n in 0..3 {
        pair.send(0, n);
    }
    pair.until_stored(0, 3);
    let ben = pair.come(1);
    pair.world.run(SECOND * 30);
    assert_eq!((pair.waiting(1), pair.told(1)), (3, vec![]));
    pair.world.command(ben, Command::Collect);
    pair.world.run(SECOND * 5);
    assert_eq!((pair.waiting(1), pair.told(1)), (0, vec![0, 1, 2]));
}

#[test]
fn c12_what_a_killed_run_has_stored_and_not_told_waits_for_a_run_that_takes_messages() {
    let mut told_again = 0;
    for ms in 0..600 {
        let mut pair = Pair::with(37, |config| config.collect = false);
        pair.come(0);
        for n in 0..3 {
            pair.send(0, n);
        }
        pair.until_stored(0, 3);
        pair.go(0);
        let run = |pair: &mut Pair, takes: bool, time: Duration| {
            let ben = pair.come(1);
            if takes {
                pair.world.command(ben, Command::Collect);
            }
            pair.world.run(time);
            let told = pair.told(1);
            pair.go(1);
            told
        };
        let first = run(&mut pair, true, Duration::from_millis(ms));
        assert_eq!(run(&mut pair, false, SECOND * 2), [0; 0], "killed after {ms} ms");
        let last = run(&mut pair, true, SECOND * 5);
        if last.is_empty() {
            assert_eq!(first, [0, 1, 2], "killed after {ms} ms");
            break;
        }
        // What was told just before it was killed may be told again.
        assert!(first.is_empty() || first == last, "killed after {ms} ms: {first:?}");
        assert_eq!(last, [0, 1, 2], "killed after {ms} ms");
        told_again += usize::from(first == last);
    }
    assert!(told_again > 0, "no run was killed before it had stored that it told");
}

#[test]
fn c4_who_takes_no_messages_is_not_told_of_those_that_come_over_links_and_gets_them_once_it_does() {
    let mut pair = Pair::with(16, |config| config.collect = false);
    let (a, b) = (pair.come(0), pair.come(1));
    pair.world.join(a, "p");
    pair.world.join(b, "p");
    pair.world.run_until(SECOND * 5, |w| w.linked(a, b)).expect("they are linked");
    for n in 0..3 {
        pair.send(0, n);
    }
    let large = Command::Send { to: pair.identity(1), document: crate::large::large(200_000, 1) };
    pair.world.command(a, large);
    pair.until_stored(0, 3);
    pair.world.run(SECOND * 11);
    assert_eq!((pair.told(1), outcomes(&pair.world, a).len()), (vec![], 1), "what cannot wait has failed");
    // Whoever asks is answered: that is no message.
    pair.world.command(b, Command::Collect);
    pair.world.run(SECOND * 5);
    assert_eq!(pair.told(1), [0, 1, 2]);
    assert_eq!(outcomes(&pair.world, a)[1..], [Ok(()), Ok(()), Ok(())]);
    pair.send(0, 3);
    pair.world.run(SECOND);
    assert_eq!(pair.told(1), [0, 1, 2, 3], "over the link");
}

#[test]
fn a_record_is_the_same_for_a_week_and_renewed_in_time() {
    let mut pair = Pair::new(16);
    let peer = pair.keys[1].peer.id();
    let first = pair.residence_mut().of(peer).record.clone();
    pair.come(1);
    pair.world.run(SECOND * 2);
    assert_eq!(pair.residence_mut().of(peer).record, first, "another run, the same bytes");
    pair.world.run(DAY * 8);
    assert_ne!(pair.residence_mut().of(peer).record, first);
}

#[test]
fn questions_without_answers_are_repeated_ever_more_seldom_and_not_for_ever() {
    let mut pair = Pair::new(17);
    let peer = pair.keys[1].peer.id();
    pair.residence_mut().asked.clear();
    pair.residence_mut().refuse = Some((Code::NotStored, usize::MAX));
    pair.come(1);
    let mut counts = Vec::new();
    for _ in 0..4 {
        pair.world.run(SECOND * 1800);
        let asked = pair.residence().asked.iter().filter(|(of, _)| *of == peer).count();
        counts.push(asked);
    }
    assert!(counts[0] >= 12 && counts[0] <= 24, "{counts:?}");
    assert_eq!(counts[1], counts[3], "after twelve tries of each kind it rests");
    pair.residence_mut().refuse = None;
    pair.world.run(SECOND * 3600 * 6);
    assert!(pair.residence().asked.len() > counts[3], "and looks again at the next renewal");
}

#[test]
fn without_a_store_there_is_no_mailbox_and_others_can_be_left_something_all_the_same() {
    let mut pair = Pair::new(18);
    let ephemeral = keys(90);
    let node = pair.world.add_on(ephemeral.clone(), &[0], None, |_| {});
    pair.world.run(SECOND * 30);
    assert!(pair.residence().boxes.keys().all(|(_, peer)| *peer != ephemeral.peer.id()));
    let to = pair.identity(1);
    pair.world.command(node, Command::Send { to, document: number(1) });
    pair.world.run_until(SECOND * 5, |w| stored(w, node) == 1).expect("stored");
    let b = pair.come(1);
    pair.world.run(SECOND * 3);
    assert_eq!(told(&pair.world, b), [1]);
    assert!(warnings(&pair.world, b).is_empty(), "{:?}", warnings(&pair.world, b));
}

#[test]
fn too_many_peers_is_a_warning_once() {
    let mut pair = Pair::new(19);
    pair.residence_mut().refuse = Some((Code::TooManyPeers, usize::MAX));
    let b = pair.come(1);
    pair.world.run(DAY);
    let warned = warnings(&pair.world, b);
    assert_eq!(warned.iter().filter(|code| **code == "too-many-peers").count(), 1, "{warned:?}");
}

#[test]
fn nothing_that_is_sent_later_overtakes_what_waits_and_a_link_brings_all_of_it_at_once() {
    let mut pair = Pair::new(20);
    let a = pair.come(0);
    pair.world.join(a, "p");
    pair.send(0, 0);
    pair.send(0, 1);
    pair.until_stored(0, 2);
    let b = pair.come(1);
    // Its mailbox does not answer; links come about all the same.
    pair.residence_mut().refuse = Some((Code::NotStored, usize::MAX));
    pair.world.join(b, "p");
    pair.world.run_until(SECOND * 5, |w| w.linked(a, b)).expect("a link");
    pair.send(0, 2);
    pair.world.run(SECOND * 3);
    assert_eq!(outcomes(&pair.world, a), vec![Ok(()); 3]);
    // Told of when the mailbox has been waited for.
    pair.world.run(Config::default().mail_hold);
    assert_eq!(told(&pair.world, b), [0, 1, 2]);
    // What waits in the mailbox is known by then.
    pair.residence_mut().refuse = None;
    pair.world.run(SECOND * 120);
    assert_eq!((told(&pair.world, b).len(), pair.waiting(1)), (3, 0));
}

#[test]
fn c4_nothing_that_is_sent_later_overtakes_what_an_earlier_run_has_left() {
    for seed in 20..30 {
        let mut pair = Pair::new(seed);
        pair.come(0);
        pair.send(0, 0);
        pair.send(0, 1);
        pair.until_stored(0, 2);
        pair.go(0);
        let a = pair.come(0);
        pair.world.join(a, "p");
        let b = pair.come(1);
        // Its mailbox does not answer at first; links come about all the same.
        pair.residence_mut().refuse = Some((Code::NotStored, usize::MAX));
        pair.world.join(b, "p");
        pair.world.run_until(SECOND * 5, |w| w.linked(a, b)).expect("a link");
        pair.send(0, 2);
        pair.world.run(SECOND / 10);
        pair.residence_mut().refuse = None;
        pair.world.run(SECOND * 120);
        assert_eq!(told(&pair.world, b), [0, 1, 2], "seed {seed}");
        assert_eq!(pair.waiting(1), 0);
    }
}

#[test]
fn a_message_that_is_cancelled_is_not_left_any_more() {
    let mut pair = Pair::new(21);
    let a = pair.come(0);
    pair.world.run(SECOND);
    pair.residence_mut().refuse = Some((Code::NotStored, usize::MAX));
    let command = pair.send(0, 1);
    pair.world.run(SECOND * 4);
    pair.world.command(a, Command::Cancel { command });
    pair.residence_mut().refuse = None;
    pair.world.run(SECOND * 300);
    assert_eq!((pair.waiting(1), stored(&pair.world, a), outcomes(&pair.world, a).len()), (0, 0, 0));
}

#[test]
fn a_store_that_fails_while_something_is_left_loses_nothing_that_was_told_as_stored() {
    let mut pair = Pair::new(22);
    let a = pair.come(0);
    pair.send(0, 1);
    pair.until_stored(0, 1);
    let disk = pair.disks[0];
    pair.world.disks[disk].broken = true;
    pair.send(0, 2);
    pair.until_stored(0, 2);
    assert!(warnings(&pair.world, a).contains(&"sessions-not-stored"));
    let b = pair.come(1);
    pair.world.run(SECOND * 5);
    let mut came = told(&pair.world, b);
    came.sort_unstable();
    assert_eq!(came, [1, 2]);
}

#[test]
fn c6_c9_what_waits_names_nobody_and_holds_nothing_in_clear() {
    let mut pair = Pair::with(23, |config| config.name = "Ada Lovelace".into());
    pair.come(0);
    let secret = 7_000_000_000_000_001;
    pair.send(0, secret);
    pair.until_stored(0, 1);
    let peer = pair.keys[1].peer.id();
    let sender = pair.keys[0].clone();
    let body = number(secret).encode();
    let envelope = pair.residence_mut().of(peer).mail[0].1.clone();
    let holds = |part: &[u8]| envelope.windows(part.len()).any(|window| window == part);
    assert!(!holds(&body[body.len() - 8..]) && !holds(b"Ada"));
    assert!(!holds(&sender.peer.id().0) && !holds(&sender.identity.id().0));
}

fn rand_chacha_rng() -> rand_chacha::ChaCha12Rng {
    use rand_core::SeedableRng as _;
    rand_chacha::ChaCha12Rng::from_seed([9; 32])
}
