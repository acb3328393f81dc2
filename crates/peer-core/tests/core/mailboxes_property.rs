//! Mail that waits, whatever happens: frames are lost, both sides come, go and crash, signalers die, links come and go.
//!
//! What is told as stored or received is shown, in the order in which its sender wrote it; once, but for what a run that
//! crashed was told of and had not stored that it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use weft_peer_core::{Command, CommandId, Config, Event, Keys};
use weft_wire::IdentityId;

use crate::disk::keys;
use crate::mailboxes::{doubtful, told};
use crate::residence::Residence;
use crate::world::{World, number};

/// First byte of the keys of what is left for others.
const PARCEL: u8 = 4;

/// Ann's place, and two of Ben.
const PLACES: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Send(usize),
    Come(usize),
    /// It joins the party that all may be in.
    Join(usize),
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

/// What happens at so many places; `linked`: there is a party, and signalers stay.
fn act(places: usize, linked: bool) -> impl Strategy<Value = Act> {
    let place = 0..places;
    let other = if linked {
        place.clone().prop_map(Act::Join).boxed()
    } else {
        any::<bool>().prop_map(Act::Signaler).boxed()
    };
    prop_oneof![
        6 => place.clone().prop_map(Act::Send),
        3 => place.clone().prop_map(Act::Come),
        2 => place.clone().prop_map(Act::Go),
        2 => place.clone().prop_map(Act::Crash),
        6 => prop_oneof![0..50_u64, 50..800_u64, 800..8000_u64].prop_map(Act::Run),
        1 => (0..40_u64).prop_map(Act::Drop),
        if linked { 4 } else { 1 } => other,
        1 => (place, prop_oneof![1..10_u64, 100..400_u64]).prop_map(|(place, ms)| Act::Disk(place, ms)),
    ]
}

/// What brings it about, at times that differ: one of Ben's places has what waits for both, and the other comes while Ann is there
/// and mail is lost.
fn meeting() -> impl Strategy<Value = Vec<Act>> {
    let times = (200..4000_u64, 100..3000_u64, 50..1000_u64);
    (1..4_usize, 1..4_usize, any::<bool>(), 0..70_u64, times).prop_map(
        |(before, after, goes, lost, times)| {
            let mut acts =
                vec![Act::Drop(0), Act::Go(1), Act::Go(2), Act::Come(0), Act::Join(0), Act::Run(1000)];
            acts.extend((0..before).map(|_| Act::Send(0)));
            acts.extend([Act::Run(4000), Act::Come(1), Act::Run(times.0)]);
            acts.extend(goes.then_some(Act::Go(1)));
            acts.extend([Act::Drop(lost), Act::Come(2), Act::Join(2), Act::Run(times.1)]);
            acts.extend((0..after).flat_map(|_| [Act::Send(0), Act::Run(times.2)]));
            acts
        },
    )
}

/// What a place was told, in all its runs.
#[derive(Default)]
struct Seen {
    told: Vec<i64>,
    /// How often it crashed before it was stored that it was told.
    doubtful: BTreeMap<i64, usize>,
}

struct Course {
    world: World,
    keys: [Keys; PLACES],
    disks: [usize; PLACES],
    nodes: [Option<usize>; PLACES],
    seen: [Seen; PLACES],
    /// The number of each command that sent something in this run of a place.
    sent: [Vec<(CommandId, i64)>; PLACES],
    /// By sender's side: what its recipient must be shown, and what lies in all mailboxes for which it is.
    promised: [BTreeSet<i64>; 2],
    lies: [BTreeSet<i64>; 2],
    /// What lay there when a message was written, on the same way.
    before: BTreeMap<i64, BTreeSet<i64>>,
    next: i64,
}

/// 0: Ann, 1: Ben.
fn side(place: usize) -> usize {
    place.min(1)
}

impl Course {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 1);
        world.residence = Some(Residence::default());
        let ben = keys(30);
        let other = Keys { identity: ben.identity.clone(), peer: keys(50).peer };
        let disks = [world.disk(), world.disk(), world.disk()];
        Self {
            world,
            keys: [keys(10), ben, other],
            disks,
            nodes: [None; PLACES],
            seen: Default::default(),
            sent: Default::default(),
            promised: Default::default(),
            lies: Default::default(),
            before: BTreeMap::new(),
            next: 0,
        }
    }

    /// Each has been there once: it has a mailbox.
    fn meet(&mut self, places: usize) {
        for place in 0..places {
            self.act(&Act::Come(place));
            self.act(&Act::Run(1000));
            self.act(&Act::Go(place));
        }
    }

    fn identity(&self, side: usize) -> IdentityId {
        self.keys[side].identity.id()
    }

    fn harvest(&mut self, place: usize, crashes: bool) {
        let node = self.nodes[place].expect("it runs");
        let doubtful = doubtful(&self.world, node, self.disks[place]);
        assert!(crashes || doubtful.is_empty(), "all is stored: {doubtful:?}");
        for n in doubtful {
            *self.seen[place].doubtful.entry(n).or_default() += 1;
        }
        self.seen[place].told.extend(told(&self.world, node));
        let number = |command| self.sent[place].iter().find(|(of, _)| of == command).map(|(_, n)| *n);
        for event in &self.world.nodes[node].events {
            match event {
                Event::Stored { command, .. } | Event::Sent { command, outcome: Ok(()), .. } => {
                    self.promised[side(place)].extend(number(command));
                }
                _ => {}
            }
        }
        self.sent[place].clear();
    }

    /// Notes what lies in all mailboxes: where nothing is under way any more, that is what was said to be stored.
    fn note(&mut self) {
        for place in 0..PLACES {
            let Some(node) = self.nodes[place] else { continue };
            let disk = &self.world.disks[self.disks[place]];
            if disk.kept(self.keys[place].peer.id(), PARCEL).next().is_some()
                || self.world.nodes[node].peer.unstored() > 0
            {
                continue;
            }
            let number = |command| self.sent[place].iter().find(|(of, _)| of == command).map(|(_, n)| *n);
            let stored = self.world.nodes[node].events.iter().filter_map(|event| match event {
                Event::Stored { command, .. } => number(command),
                _ => None,
            });
            self.lies[side(place)].extend(stored);
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Send(place) => {
                let Some(node) = self.nodes[place] else { return };
                self.next += 1;
                let to = self.identity(1 - side(place));
                let command = self.world.command(node, Command::Send { to, document: number(self.next) });
                self.sent[place].push((command, self.next));
                self.before.insert(self.next, self.lies[side(place)].clone());
            }
            Act::Come(place) if self.nodes[place].is_none() => {
                // A mailbox that shows nothing for a while is waited for here.
                let patient = |config: &mut Config| config.mail_hold = Duration::from_secs(3600);
                let node = self.world.add_storing(&self.keys[place].clone(), self.disks[place], patient);
                self.nodes[place] = Some(node);
            }
            Act::Join(place) => {
                if let Some(node) = self.nodes[place] {
                    self.world.join(node, "p");
                }
            }
            Act::Go(place) => {
                let Some(node) = self.nodes[place] else { return };
                self.world.run_until_stored(node);
                self.harvest(place, false);
                self.nodes[place] = None;
                self.world.kill(node);
            }
            Act::Crash(place) => {
                let Some(node) = self.nodes[place] else { return };
                self.harvest(place, true);
                self.nodes[place] = None;
                self.world.kill(node);
            }
            Act::Run(ms) => self.world.run(Duration::from_millis(ms)),
            Act::Drop(share) => self.world.drop_mail = share,
            Act::Signaler(true) => self.world.revive_signaler(0),
            Act::Signaler(false) => self.world.kill_signaler(0),
            Act::Disk(place, ms) => {
                self.world.disks[self.disks[place]].latency = Duration::from_millis(ms);
            }
            Act::Come(_) => {}
        }
        self.note();
    }

    /// In the end all is well, and all are there for long enough.
    fn end(&mut self, places: usize) -> Vec<usize> {
        self.act(&Act::Signaler(true));
        self.act(&Act::Drop(0));
        for place in 0..places {
            self.act(&Act::Disk(place, 5));
            self.act(&Act::Come(place));
        }
        self.act(&Act::Run(600_000));
        let residence = self.world.residence.as_ref().expect("a residence");
        let waiting = self.keys.iter().map(|keys| residence.waiting(keys.peer.id())).collect();
        for place in 0..places {
            self.act(&Act::Go(place));
        }
        waiting
    }
}

/// Without what was told again, which is what may be.
fn once(place: usize, seen: &Seen) -> Result<Vec<i64>, TestCaseError> {
    let mut first: Vec<i64> = Vec::new();
    for n in &seen.told {
        if !first.contains(n) {
            first.push(*n);
        }
    }
    for n in &first {
        let times = seen.told.iter().filter(|one| *one == n).count();
        let may = 1 + seen.doubtful.get(n).copied().unwrap_or_default();
        prop_assert_eq!(times, may, "place {} and {}: {:?}", place, n, &seen.told);
    }
    Ok(first)
}

fn check(seed: u64, acts: &[Act], places: usize) -> Result<(), TestCaseError> {
    let mut course = Course::new(seed);
    course.meet(places);
    for act in acts {
        course.act(act);
    }
    prop_assert_eq!(course.end(places), [0; PLACES], "nothing waits any more");
    let told: Vec<Vec<i64>> =
        course.seen.iter().enumerate().map(|(place, seen)| once(place, seen)).collect::<Result<_, _>>()?;
    for (from, promised) in course.promised.iter().enumerate() {
        for n in promised {
            let is_told = (0..PLACES).any(|place| side(place) != from && told[place].contains(n));
            prop_assert!(is_told, "nobody was told of {}: {:?}", n, &told);
        }
    }
    for (place, told) in told.iter().enumerate() {
        if places == 2 {
            prop_assert!(told.is_sorted(), "place {}: not in order: {:?}", place, told);
        }
        let at = |n: &i64| told.iter().position(|one| one == n);
        for n in told {
            for before in course.before[n].iter().filter(|before| told.contains(before)) {
                prop_assert!(at(before) < at(n), "place {}: {} overtook {}: {:?}", place, n, before, told);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn c3_c4_nothing_told_as_stored_is_lost_nothing_is_shown_twice_and_order_is_kept(
        seed in 0..1000_u64,
        acts in prop::collection::vec(act(2, false), 1..60),
    ) {
        check(seed, &acts, 2)?;
    }

    #[test]
    fn c4_what_comes_over_links_does_not_overtake_what_waits(
        seed in 0..1000_u64,
        before in prop::collection::vec(act(3, true), 0..20),
        meeting in meeting(),
        after in prop::collection::vec(act(3, true), 0..40),
    ) {
        check(seed, &[before, meeting, after].concat(), 3)?;
    }
}
