//! How soon a message goes to the mailbox of somebody of whom nobody is known.

use std::time::Duration;

use weft_peer_core::{Command, Config};
use weft_wire::IdentityId;

use crate::disk::keys;
use crate::residence::Residence;
use crate::world::{World, number};

const SECOND: Duration = Duration::from_secs(1);
/// What it takes to ask the residence, beside waiting.
const ASKING: Duration = Duration::from_millis(200);

/// Somebody, and others who have mailboxes and are not there. Each is written to once: what is left for somebody is not overtaken.
struct Away {
    world: World,
    ann: usize,
    others: Vec<IdentityId>,
}

impl Away {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 1);
        world.residence = Some(Residence::default());
        let mut others = Vec::new();
        for n in 0..4 {
            let (keys, disk) = (keys(100 + 2 * n), world.disk());
            let node = world.add_storing(&keys, disk, |_| {});
            world.run(SECOND);
            world.kill(node);
            others.push(keys.identity.id());
        }
        let ann = world.add(&[0]);
        Self { world, ann, others }
    }

    /// How long it takes until a message to the next of them is left.
    fn took(&mut self) -> Duration {
        let to = self.others.pop().expect("another one");
        let given = |w: &World| w.residence.as_ref().map_or(0, |one| one.given.len());
        let before = given(&self.world);
        self.world.command(self.ann, Command::Send { to, document: number(1) });
        self.world.run_until(SECOND * 9, |w| given(w) > before).expect("it is left")
    }
}

#[test]
fn a_message_goes_to_the_mailbox_at_once_where_all_who_could_tell_of_somebody_have() {
    let mut away = Away::new(1);
    away.world.run(SECOND);
    let took = away.took();
    assert!(took < ASKING, "{took:?}");
    away.world.join(away.ann, "p");
    away.world.run(SECOND);
    let took = away.took();
    assert!(took < ASKING, "{took:?}");
}

#[test]
fn a_message_waits_for_who_may_yet_be_told_of_after_a_start_a_home_and_a_party() {
    let soonest = Config::default().mail_soonest;
    let waits = |took: Duration| took >= soonest / 2 && took < soonest + ASKING;
    let mut away = Away::new(2);
    let took = away.took();
    assert!(took >= soonest && waits(took), "after a start: {took:?}");
    away.world.run(SECOND);
    away.world.join(away.ann, "p");
    away.world.run(soonest / 4);
    let took = away.took();
    assert!(waits(took), "after a party: {took:?}");
    away.world.run(SECOND);
    away.world.kill_signaler(0);
    away.world.run(SECOND);
    away.world.revive_signaler(0);
    let took = away.took();
    assert!(took >= soonest, "after a home: {took:?}");
}

#[test]
fn who_is_linked_with_others_leaves_a_message_at_once_if_it_knows_everybody_and_else_after_a_search() {
    for (most, waits) in [(64, false), (0, true)] {
        let mut away = Away::new(3);
        let ben = away.world.add(&[0]);
        let ann = away.world.add_with(&[0], |config| config.presence_members = most);
        away.ann = ann;
        away.world.join(ann, "p");
        away.world.join(ben, "p");
        away.world.run_until(SECOND * 5, |w| w.linked(ann, ben)).expect("a link");
        away.world.run(SECOND * 2);
        let took = away.took();
        assert_eq!(took > SECOND, waits, "{took:?}");
        assert!(waits || took < ASKING, "{took:?}");
    }
}

#[test]
fn who_has_just_joined_a_common_party_is_found_there_and_not_in_its_mailbox() {
    for seed in 4..14 {
        let mut away = Away::new(seed);
        let ben = keys(106);
        away.world.run(SECOND);
        let disk = away.world.disk();
        let node = away.world.add_storing(&ben, disk, |_| {});
        away.world.join(node, "p");
        away.world.run(SECOND);
        let given = |w: &World| w.residence.as_ref().map_or(0, |one| one.given.len());
        let before = given(&away.world);
        // In the same moment: only what the party tells brings them together.
        away.world.join(away.ann, "p");
        let to = ben.identity.id();
        away.world.command(away.ann, Command::Send { to, document: number(1) });
        away.world.run_until(SECOND * 2, |w| crate::mailboxes::told(w, node) == [1]).expect("told");
        away.world.run(SECOND * 3);
        assert_eq!(given(&away.world), before, "seed {seed}: nothing was left");
    }
}

#[test]
fn two_who_share_no_party_write_to_and_fro_without_waiting() {
    for seed in 20..26 {
        let mut pair = crate::mailboxes::Pair::new(seed);
        let nodes = [pair.come(0), pair.come(1)];
        pair.world.run(SECOND * 2);
        for n in 0..20_usize {
            pair.send(n % 2, i64::try_from(n).unwrap());
            let node = nodes[1 - n % 2];
            let count = n / 2 + 1;
            let told = |w: &World| crate::mailboxes::told(w, node).len() == count;
            let took = pair.world.run_until(SECOND * 5, told).expect("told");
            assert!(took < SECOND / 2, "seed {seed}, message {n}: {took:?}");
        }
    }
}
