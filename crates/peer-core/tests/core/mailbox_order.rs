//! What comes live is told behind what waits: of each sender in the order in which it wrote.

use std::time::Duration;

use weft_peer_core::{Command, Config, Event, Keys};
use weft_wire::Code;

use crate::disk::keys;
use crate::mailboxes::{Pair, doubtful, outcomes, stored, told};
use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);

/// Ann, who is here, and Ben, who has two peers: what was left for both of them was confirmed by one alone.
struct Three {
    pair: Pair,
    ann: usize,
    other: Keys,
    disk: usize,
    configure: fn(&mut Config),
}

impl Three {
    /// So many messages wait for Ben's other peer, from 0 on.
    fn new(seed: u64, waiting: i64, configure: fn(&mut Config)) -> Self {
        let mut pair = Pair::new(seed);
        let other = Keys { identity: keys(30).identity, peer: keys(50).peer };
        let disk = pair.world.disk();
        let node = pair.world.add_storing(&other, disk, |_| {});
        pair.world.run(SECOND);
        pair.world.kill(node);
        let ann = pair.come(0);
        pair.world.join(ann, "p");
        for n in 0..waiting {
            pair.send(0, n);
        }
        pair.until_stored(0, usize::try_from(waiting).unwrap());
        pair.come(1);
        let all = usize::try_from(waiting).unwrap();
        pair.world.run_until(SECOND * 20, |w| outcomes(w, ann).len() == all).expect("the first has them");
        pair.go(1);
        pair.world.run(SECOND);
        let three = Self { pair, ann, other, disk, configure };
        assert_eq!(three.waiting(), all);
        three
    }

    fn waiting(&self) -> usize {
        self.pair.residence().waiting(self.other.peer.id())
    }

    /// Ben's other peer starts, is in Ann's party and linked with her.
    fn come(&mut self) -> usize {
        let node = self.pair.world.add_storing(&self.other, self.disk, self.configure);
        self.pair.world.join(node, "p");
        let ann = self.ann;
        self.pair.world.run_until(SECOND * 5, |w| w.linked(ann, node)).expect("a link");
        node
    }

    fn refuse(&mut self) {
        self.pair.residence_mut().refuse = Some((Code::NotStored, usize::MAX));
    }

    fn run(&mut self, time: Duration) {
        self.pair.world.run(time);
    }

    fn told(&self, node: usize) -> Vec<i64> {
        told(&self.pair.world, node)
    }
}

/// When a node is told of a message, from now.
fn told_after(world: &mut World, node: usize, n: i64) -> Duration {
    world.run_until(SECOND * 60, |w| told(w, node).contains(&n)).expect("it is told")
}

#[test]
fn c4_who_comes_back_is_told_of_what_waits_before_what_comes_live() {
    for seed in 20..30 {
        let mut three = Three::new(seed, 7, |_| {});
        // Its mailbox does not answer at first; links come about all the same.
        three.refuse();
        let ben = three.come();
        for n in 7..10 {
            three.pair.send(0, n);
        }
        let ann = three.ann;
        let confirmed = |w: &World| outcomes(w, ann).len() == 10;
        three.pair.world.run_until(SECOND * 2, confirmed).expect("stored and confirmed at once");
        assert_eq!(three.told(ben), [0; 0], "but not told before what may wait");
        three.pair.residence_mut().refuse = None;
        three.run(SECOND * 10);
        assert_eq!(three.told(ben), (0..10).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(three.waiting(), 0);
    }
}

#[test]
fn c4_what_waits_while_there_are_links_is_not_overtaken_either() {
    for seed in 20..30 {
        let mut pair = Pair::new(seed);
        let (ann, ben) = (pair.come(0), pair.come(1));
        pair.world.join(ann, "p");
        pair.world.join(ben, "p");
        pair.world.run_until(SECOND * 5, |w| w.linked(ann, ben)).expect("a link");
        // Ann's other place shares no party with Ben.
        let other = Keys { identity: keys(10).identity, peer: keys(60).peer };
        let disk = pair.world.disk();
        let place = pair.world.add_storing(&other, disk, |_| {});
        pair.world.run(SECOND * 3);
        pair.world.command(place, Command::Send { to: pair.identity(1), document: number(0) });
        pair.world.run_until(SECOND * 5, |w| stored(w, place) == 1).expect("stored");
        // Ben hears of it, and is slow.
        let disk = pair.disks[1];
        pair.world.disks[disk].latency = SECOND / 2;
        pair.send(0, 1);
        pair.world.run(SECOND * 5);
        assert_eq!(told(&pair.world, ben), [0, 1], "seed {seed}");
    }
}

#[test]
fn c4_what_a_killed_run_was_not_told_of_is_told_behind_what_waits() {
    for seed in 20..30 {
        let mut three = Three::new(seed, 7, |_| {});
        three.refuse();
        let ben = three.come();
        three.pair.send(0, 7);
        let ann = three.ann;
        three.pair.world.run_until(SECOND * 2, |w| outcomes(w, ann).len() == 8).expect("confirmed");
        assert_eq!(three.told(ben), [0; 0]);
        three.pair.world.kill(ben);
        // Some of what waits comes first in time, but was written before.
        three.pair.residence_mut().refuse = None;
        let ben = three.come();
        three.run(SECOND * 10);
        assert_eq!(three.told(ben), (0..8).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_residence_that_is_dead_delays_what_comes_live_once_and_not_for_long() {
    let mut three = Three::new(31, 3, |_| {});
    three.refuse();
    let ben = three.come();
    three.pair.send(0, 3);
    let hold = Config::default().mail_hold;
    let took = told_after(&mut three.pair.world, ben, 3);
    assert!(took > SECOND && took <= hold, "{took:?}");
    // No more: what waits would not open any longer.
    for n in 4..7 {
        three.pair.send(0, n);
        let took = told_after(&mut three.pair.world, ben, n);
        assert!(took < SECOND / 5, "message {n} took {took:?}");
        three.run(SECOND * 7);
    }
    // What waits is not lost.
    three.pair.residence_mut().refuse = None;
    three.run(SECOND * 180);
    assert_eq!((three.told(ben).len(), three.waiting()), (7, 0));
}

#[test]
fn nothing_is_held_back_when_it_is_known_that_nothing_waits() {
    let mut three = Three::new(32, 0, |_| {});
    let ben = three.come();
    three.run(SECOND * 2);
    for n in 0..20 {
        three.pair.send(0, n);
        let took = told_after(&mut three.pair.world, ben, n);
        assert!(took < SECOND / 10, "message {n} took {took:?}");
    }
}

#[test]
fn a_mailbox_that_goes_on_showing_mail_is_waited_for_and_not_without_end() {
    // Each page takes its time.
    let mut three = Three::new(33, 40, |config| config.mail_hold = Duration::from_secs(3));
    let disk = three.disk;
    three.pair.world.disks[disk].latency = SECOND / 2;
    let ben = three.come();
    three.pair.send(0, 40);
    let took = told_after(&mut three.pair.world, ben, 40);
    assert!(took > SECOND * 4, "{took:?}");
    assert_eq!(three.told(ben), (0..=40).collect::<Vec<_>>());
    // More pages than are waited for.
    let mut three = Three::new(34, 40, |config| config.mail_hold = Duration::from_secs(1));
    three.pair.residence_mut().page = Some(1);
    let disk = three.disk;
    three.pair.world.disks[disk].latency = SECOND / 4;
    let ben = three.come();
    three.pair.send(0, 40);
    let took = told_after(&mut three.pair.world, ben, 40);
    assert!(took > SECOND * 10 && took < SECOND * 13, "{took:?}");
    three.run(SECOND * 60);
    let mut told = three.told(ben);
    assert!(told.iter().position(|n| *n == 40) < Some(40), "{told:?}");
    told.sort_unstable();
    assert_eq!(told, (0..=40).collect::<Vec<_>>(), "nothing is lost");
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut three = Three::new(35, 1, |_| {});
    three.refuse();
    let ben = three.come();
    for _ in 0..4 {
        for n in 0..256 {
            three.pair.send(0, n);
        }
        three.run(SECOND / 10);
    }
    three.run(SECOND / 2);
    let count = three.pair.world.count(ben, |event| matches!(event, Event::Message { .. }));
    assert_eq!(count, 1024, "as many as are held, and no more");
}

#[test]
fn requests_and_those_without_a_mailbox_wait_for_nothing() {
    let mut three = Three::new(36, 3, |_| {});
    three.refuse();
    let ben = three.come();
    three.pair.world.command(ben, Command::AnswerRequests { on: true });
    let (ann, to) = (three.ann, three.pair.identity(1));
    let request = Command::Request { to, peer: None, document: number(1), timeout: SECOND * 5 };
    three.pair.world.command(ann, request);
    let asked = |w: &World| w.count(ben, |event| matches!(event, Event::Request { .. })) == 1;
    three.pair.world.run_until(SECOND / 5, asked).expect("a request is told at once");
    let bare = keys(90);
    let node = three.pair.world.add_on(bare.clone(), &[0], None, |_| {});
    three.pair.world.join(node, "p");
    three.pair.world.run_until(SECOND * 5, |w| w.linked(ann, node)).expect("a link");
    three.pair.world.command(ann, Command::Send { to: bare.identity.id(), document: number(1) });
    let took = told_after(&mut three.pair.world, node, 1);
    assert!(took < SECOND / 5, "{took:?}");
}

#[test]
fn c12_what_was_stored_in_the_moment_of_a_crash_is_told_by_the_next_run_in_order() {
    for write in 1..60 {
        let mut pair = Pair::new(40);
        pair.come(0);
        for n in 0..12 {
            pair.send(0, n);
        }
        pair.until_stored(0, 12);
        // The disk has it, and the process dies before it hears of that.
        let (ben, disk) = (pair.come(1), pair.disks[1]);
        pair.world.disks[disk].mute_from = Some(write);
        let crashed = pair.world.run_until(SECOND * 3, |w| w.disks[disk].mute_from == Some(0)).is_some();
        let (first, doubtful) = (told(&pair.world, ben), doubtful(&pair.world, ben, disk));
        pair.go(1);
        pair.world.disks[disk].mute_from = None;
        let ben = pair.come(1);
        pair.world.run(SECOND * 5);
        // What the first run was told of, and had not stored that it was, comes again, and nothing else.
        let rest = (0..12).filter(|n| !first.contains(n) || doubtful.contains(n)).collect::<Vec<_>>();
        assert_eq!(told(&pair.world, ben), rest, "after write {write}: {first:?} and then {doubtful:?}");
        assert_eq!((first.is_sorted(), pair.waiting(1)), (true, 0), "after write {write}");
        if !crashed {
            assert_eq!((first.len(), doubtful.len()), (12, 0));
            assert!(write > 6, "it died between pages, too");
            return;
        }
    }
    panic!("it never came to an end");
}
