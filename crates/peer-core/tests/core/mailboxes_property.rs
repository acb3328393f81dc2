//! Mail that waits, whatever happens: frames are lost, both sides come, go and crash, signalers die.
//!
//! What is told as stored or received is shown, once, in the order in which its sender wrote it.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use weft_peer_core::Event;

use crate::mailboxes::{Pair, told};

/// What was told within this many messages before a crash may be told again: whether the application has got it, nobody knows.
const DOUBTFUL: usize = 40;

#[derive(Clone, Debug)]
enum Act {
    Send(usize),
    Come(usize),
    /// It ends when all is on its disk.
    Go(usize),
    /// It ends at once.
    Crash(usize),
    Run(u64),
    /// So much of what is said about mail is lost from now on, percent.
    Drop(u64),
    Signaler(bool),
    /// A disk becomes slow, or fast again.
    Disk(usize, u64),
}

fn act() -> impl Strategy<Value = Act> {
    let side = 0..2_usize;
    prop_oneof![
        6 => side.clone().prop_map(Act::Send),
        3 => side.clone().prop_map(Act::Come),
        2 => side.clone().prop_map(Act::Go),
        2 => side.clone().prop_map(Act::Crash),
        6 => prop_oneof![0..50_u64, 50..800_u64, 800..8000_u64].prop_map(Act::Run),
        1 => (0..40_u64).prop_map(Act::Drop),
        1 => any::<bool>().prop_map(Act::Signaler),
        1 => (side, prop_oneof![1..10_u64, 100..400_u64]).prop_map(|(side, ms)| Act::Disk(side, ms)),
    ]
}

/// What each side was told, in all its runs, and what was promised to it.
#[derive(Default)]
struct Seen {
    told: Vec<i64>,
    doubtful: BTreeSet<i64>,
    promised: BTreeSet<i64>,
}

struct Course {
    pair: Pair,
    seen: [Seen; 2],
    /// The number of each command that sent something in this run of a side.
    sent: [Vec<(weft_peer_core::CommandId, i64)>; 2],
    next: i64,
}

impl Course {
    fn harvest(&mut self, side: usize, crashes: bool) {
        let node = self.pair.node(side);
        let told = told(&self.pair.world, node);
        if crashes {
            self.seen[side].doubtful.extend(told.iter().rev().take(DOUBTFUL));
        }
        self.seen[side].told.extend(told);
        let number = |command| self.sent[side].iter().find(|(of, _)| of == command).map(|(_, n)| *n);
        for event in &self.pair.world.nodes[node].events {
            match event {
                Event::Stored { command, .. } | Event::Sent { command, outcome: Ok(()), .. } => {
                    self.seen[1 - side].promised.extend(number(command));
                }
                _ => {}
            }
        }
        self.sent[side].clear();
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send(side) if self.pair.nodes[side].is_some() => {
                self.next += 1;
                let command = self.pair.send(side, self.next);
                self.sent[side].push((command, self.next));
            }
            Act::Come(side) if self.pair.nodes[side].is_none() => _ = self.pair.come(side),
            Act::Go(side) if self.pair.nodes[side].is_some() => {
                let node = self.pair.node(side);
                self.pair.world.run_until_stored(node);
                self.harvest(side, false);
                self.pair.go(side);
            }
            Act::Crash(side) if self.pair.nodes[side].is_some() => {
                self.harvest(side, true);
                self.pair.go(side);
            }
            Act::Run(ms) => self.pair.world.run(Duration::from_millis(ms)),
            Act::Drop(share) => self.pair.world.drop_mail = share,
            Act::Signaler(true) => self.pair.world.revive_signaler(0),
            Act::Signaler(false) => self.pair.world.kill_signaler(0),
            Act::Disk(side, ms) => {
                let disk = self.pair.disks[side];
                self.pair.world.disks[disk].latency = Duration::from_millis(ms);
            }
            Act::Send(_) | Act::Come(_) | Act::Go(_) | Act::Crash(_) => {}
        }
    }
}

fn check(seed: u64, acts: &[Act]) -> Result<(), TestCaseError> {
    let mut course = Course {
        pair: Pair::new(seed),
        seen: [Seen::default(), Seen::default()],
        sent: [Vec::new(), Vec::new()],
        next: 0,
    };
    for act in acts {
        course.act(act);
    }
    // In the end all is well, and both are there for long enough.
    for act in
        [Act::Signaler(true), Act::Drop(0), Act::Disk(0, 5), Act::Disk(1, 5), Act::Come(0), Act::Come(1)]
    {
        course.act(&act);
    }
    course.act(&Act::Run(600_000));
    let waiting = [course.pair.waiting(0), course.pair.waiting(1)];
    course.act(&Act::Go(0));
    course.act(&Act::Go(1));
    prop_assert_eq!(waiting, [0, 0], "nothing waits any more");
    for (side, seen) in course.seen.iter().enumerate() {
        let mut first = Vec::new();
        for n in &seen.told {
            if first.contains(n) {
                prop_assert!(
                    seen.doubtful.contains(n),
                    "side {} was told twice of {}: {:?}",
                    side,
                    n,
                    seen.told
                );
            } else {
                first.push(*n);
            }
        }
        for n in &seen.promised {
            prop_assert!(first.contains(n), "side {} was never told of {}: {:?}", side, n, seen.told);
        }
        prop_assert!(first.is_sorted(), "side {}: not in order: {:?}", side, first);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn c3_c4_nothing_told_as_stored_is_lost_nothing_is_shown_twice_and_order_is_kept(
        seed in 0..1000_u64,
        acts in prop::collection::vec(act(), 1..60),
    ) {
        check(seed, &acts)?;
    }
}
