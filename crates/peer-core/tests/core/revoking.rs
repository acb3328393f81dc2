//! The peers of one's identity, and revoking one: who hears of it, who is refused, and what nobody can do by it.

use std::time::Duration;

use weft_crypto::statement::{sign_record, sign_revocation};
use weft_crypto::{IdentityKey, Members, Party, PartySecret, Seed};
use weft_peer_core::{
    Command, CommandError, CommandId, Config, Event, Input, Keys, LinkState, MemberDeed, OwnPeer,
    ResidenceError,
};
use weft_wire::link::Link as Frame;
use weft_wire::membership::Role;
use weft_wire::{
    Bundle, BundleEntry, Bytes, Code, DiscoveryKey, IdentityId, List, PeerId, PeerRecord, Revocation, Text,
    decode, limits,
};

use crate::disk::keys;
use crate::mailboxes::told;
use crate::residence::Residence;
use crate::world::{World, everything, number, one_chunk};

const SECOND: Duration = Duration::from_secs(1);
const DAY: u64 = 24 * 3600 * 1000;

/// A place of Ada's.
fn place(n: u8) -> Keys {
    Keys { identity: keys(10).identity, peer: keys(n).peer }
}

/// The first place is a phone, the second a laptop; the third belongs to Bob, the fourth to Carol.
fn phone() -> Keys {
    place(10)
}

fn laptop() -> Keys {
    place(50)
}

fn ada() -> IdentityId {
    keys(10).identity.id()
}

fn world(seed: u64) -> World {
    let mut world = World::new(seed, 1);
    world.residence = Some(Residence::default());
    world
}

fn residence(world: &mut World) -> &mut Residence {
    world.residence.as_mut().expect("a residence")
}

/// A peer with a disk of its own, in a party.
fn add(world: &mut World, keys: &Keys) -> (usize, usize, DiscoveryKey) {
    let disk = world.disk();
    let node = world.add_storing(keys, disk, |_| {});
    (node, disk, world.join(node, "p"))
}

fn revoke(world: &mut World, node: usize, peer: PeerId) -> CommandId {
    world.command(node, Command::Revoke { peer })
}

/// What became of it, once that is known.
fn revoked(world: &World, node: usize, of: CommandId) -> Option<Result<(), ResidenceError>> {
    world.nodes[node].events.iter().find_map(|event| match event {
        Event::PeerRevoked { command, outcome, .. } if *command == of => Some(*outcome),
        _ => None,
    })
}

fn until_revoked(world: &mut World, node: usize, of: CommandId) {
    world.run_until(SECOND * 10, |w| revoked(w, node, of).is_some()).expect("an answer");
    assert_eq!(revoked(world, node, of), Some(Ok(())));
}

fn list(world: &mut World, node: usize) -> Result<Vec<OwnPeer>, ResidenceError> {
    let id = world.command(node, Command::ListPeers);
    let found = |w: &World| {
        w.nodes[node].events.iter().find_map(|event| match event {
            Event::OwnPeers { command, outcome } if *command == id => Some(outcome.clone()),
            _ => None,
        })
    };
    world.run_until(SECOND * 40, |w| found(w).is_some()).expect("an answer");
    found(world).expect("an answer")
}

fn is_out(event: &Event) -> bool {
    matches!(event, Event::Revoked { .. })
}

fn warned(world: &World, node: usize, of: &str) -> usize {
    world.count(node, |event| matches!(event, Event::Warning { code, .. } if *code == of))
}

/// A statement of an identity about a peer.
fn statement(by: &IdentityKey, peer: PeerId, issued: u64, until: u64) -> Vec<u8> {
    sign_revocation(by, &Revocation { identity: by.id(), peer, issued, until })
}

/// A neighbour says so over the newest connection of a node.
fn tell(world: &mut World, node: usize, statements: &[Vec<u8>]) {
    let link = world.link_of(node);
    for some in statements.chunks(limits::REVOCATIONS) {
        let revocations = List::first(some.iter().cloned().map(Bytes));
        let bytes = one_chunk(&Frame::Revoked { revocations });
        world.input(node, Input::ChannelMessage { link, bytes: &bytes });
    }
}

#[test]
fn one_lists_the_peers_of_ones_identity() {
    let mut world = world(1);
    // One that has gone, one that is here, and the one that asks.
    let (gone, ..) = add(&mut world, &place(70));
    world.run(SECOND);
    world.kill(gone);
    let disk = world.disk();
    let here = world.add_storing(&laptop(), disk, |config| config.name = "Laptop".into());
    world.join(here, "p");
    let (node, ..) = add(&mut world, &phone());
    world.run_until(SECOND * 5, |w| w.linked(node, here)).expect("a link");
    world.run(SECOND);
    let mut listed = list(&mut world, node).expect("a list");
    listed.sort_by_key(|one| (!one.this, !one.connected));
    let shown: Vec<_> = listed.iter().map(|one| (one.peer, one.this, one.connected)).collect();
    let (phone, laptop, old) = (phone().peer.id(), laptop().peer.id(), place(70).peer.id());
    assert_eq!(shown, [(phone, true, true), (laptop, false, true), (old, false, false)]);
    assert_eq!(listed[1].name, "Laptop");
    assert!(listed[2].name.is_empty() && listed[2].issued > 0);
    // What a residence makes up is nobody's peer.
    let stranger = keys(90);
    let (issued, until) = (world.now.millis(), world.now.millis() + DAY);
    let record = PeerRecord {
        identity: stranger.identity.id(),
        peer: stranger.peer.id(),
        agreement: stranger.peer.agreement(),
        name: Text::default(),
        issued,
        until,
        sessions: Some(true),
    };
    residence(&mut world).of(old).record = sign_record(&stranger.identity, &record);
    let listed = list(&mut world, node).expect("a list");
    let listed: Vec<_> = listed.iter().map(|one| one.peer).collect();
    assert!(!listed.contains(&stranger.peer.id()) && listed.len() == 2, "{listed:?}");
}

#[test]
fn without_an_answer_of_a_signaler_both_end_in_time_with_an_error() {
    let mut world = world(2);
    let (node, ..) = add(&mut world, &phone());
    world.run(SECOND);
    world.kill_signaler(0);
    assert_eq!(list(&mut world, node), Err(ResidenceError::Unanswered(30)));
    let command = revoke(&mut world, node, laptop().peer.id());
    world.run_until(SECOND * 40, |w| revoked(w, node, command).is_some()).expect("an answer");
    assert_eq!(revoked(&world, node, command), Some(Err(ResidenceError::Unanswered(30))));
    // It is told all the same as soon as there is one.
    world.revive_signaler(0);
    world.run(SECOND * 10);
    assert!(residence(&mut world).revoked.contains(&(ada(), laptop().peer.id())));
}

#[test]
fn a_revoked_place_that_is_here_says_so_and_has_ended_for_good() {
    let mut world = world(3);
    let (phone, ..) = add(&mut world, &phone());
    let (lost, disk, _) = add(&mut world, &laptop());
    let (bob, ..) = add(&mut world, &keys(30));
    let all = |w: &World| w.linked(phone, lost) && w.linked(phone, bob) && w.linked(lost, bob);
    world.run_until(SECOND * 10, all).expect("links");
    let id = world.id(lost);
    let command = revoke(&mut world, phone, id);
    until_revoked(&mut world, phone, command);
    world.run(SECOND * 2);
    assert_eq!(world.count(lost, is_out), 1);
    let events = &world.nodes[lost].events;
    assert!(matches!(events.last(), Some(Event::Closed)), "{:?}", events.last());
    let refused = world.nodes[lost].peer.command(world.now, Command::ListPeers);
    assert_eq!(refused, Err(CommandError::Revoked));
    assert!(!world.linked(phone, lost) && !world.linked(lost, bob) && world.linked(phone, bob));
    let discovery = Party::open("p").discovery();
    for node in [phone, bob] {
        assert!(world.nodes[node].peer.peers(&discovery).iter().all(|one| one.peer != id), "{node}");
    }
    let listed = list(&mut world, phone).expect("a list");
    assert!(listed.iter().all(|one| one.peer != id));

    // It comes again where nobody could tell it.
    for node in [phone, bob] {
        world.kill(node);
    }
    world.run(SECOND);
    world.kill_signaler(0);
    let again = world.add_storing(&laptop(), disk, |_| {});
    world.run(SECOND);
    assert_eq!(world.count(again, is_out), 1);
    assert!(matches!(world.nodes[again].events.last(), Some(Event::Closed)));
}

#[test]
fn who_revokes_while_the_disk_is_still_read_is_told_so_once_it_is_stored() {
    let mut world = world(21);
    let disk = world.disk();
    world.disks[disk].latency = SECOND * 2;
    let node = world.add_storing(&phone(), disk, |_| {});
    world.join(node, "p");
    let command = revoke(&mut world, node, laptop().peer.id());
    until_revoked(&mut world, node, command);
    // Whatever happens from now on.
    world.crash(node);
    world.disks[disk].latency = Duration::ZERO;
    let (lost, ..) = add(&mut world, &laptop());
    world.run(SECOND);
    let again = world.add_storing(&phone(), disk, |_| {});
    world.join(again, "p");
    world.run_until(SECOND * 20, |w| w.count(lost, is_out) == 1).expect("it is told");
}

#[test]
fn a_second_revocation_that_is_not_read_yet_is_not_undone_by_the_first_that_has_expired() {
    let mut world = world(22);
    let (node, disk, _) = add(&mut world, &phone());
    let command = revoke(&mut world, node, laptop().peer.id());
    until_revoked(&mut world, node, command);
    world.kill(node);
    world.run(SECOND * (401 * 86_400));
    world.disks[disk].latency = SECOND;
    let node = world.add_storing(&phone(), disk, |_| {});
    world.join(node, "p");
    let command = revoke(&mut world, node, laptop().peer.id());
    until_revoked(&mut world, node, command);
    world.crash(node);
    world.disks[disk].latency = Duration::ZERO;
    let (lost, ..) = add(&mut world, &laptop());
    let again = world.add_storing(&phone(), disk, |_| {});
    world.join(again, "p");
    world.run_until(SECOND * 20, |w| w.count(lost, is_out) == 1).expect("it is told");
}

#[test]
fn others_hear_of_it_from_each_other_and_refuse_the_revoked_peer() {
    let mut world = world(4);
    let direct = |config: &mut Config| config.forwarded_links = 0;
    let disks = [world.disk(), world.disk(), world.disk()];
    let places = [phone(), keys(30), keys(40)];
    let mut nodes = [0; 3];
    // The phone and Carol never meet.
    world.walls.insert((0, 2));
    for at in 0..3 {
        nodes[at] = world.add_storing(&places[at], disks[at], direct);
        world.join(nodes[at], "p");
    }
    let [phone, bob, carol] = nodes;
    world.run_until(SECOND * 10, |w| w.linked(phone, bob) && w.linked(bob, carol)).expect("links");
    let command = revoke(&mut world, phone, laptop().peer.id());
    until_revoked(&mut world, phone, command);
    world.run(SECOND);
    for node in [phone, bob] {
        world.kill(node);
    }
    world.run(SECOND);
    // It has no store, and knows of nothing.
    let lost = world.add_keys(laptop(), &[0], direct);
    let (discovery, id) = (world.join(lost, "p"), world.id(lost));
    world.run_until(SECOND * 20, |w| w.count(lost, is_out) == 1).expect("Carol tells it");
    assert!(matches!(world.nodes[lost].events.last(), Some(Event::Closed)));
    let is_adas = |event: &Event| matches!(event, Event::Peer { peer, .. } if peer.peer == id && peer.identity.is_some());
    assert_eq!(world.count(carol, is_adas), 0, "it was nobody's peer there");
    let is_open =
        |event: &Event| matches!(event, Event::Link { peer, state: LinkState::Open { .. } } if *peer == id);
    assert_eq!(world.count(carol, is_open), 0);
    world.run(SECOND * 3);
    assert!(world.nodes[carol].peer.peers(&discovery).iter().all(|one| one.peer != id));
}

#[test]
fn a_new_neighbour_is_told_and_another_place_of_the_identity_keeps_it() {
    let mut world = world(5);
    let (phone, ..) = add(&mut world, &phone());
    world.run(SECOND);
    let command = revoke(&mut world, phone, laptop().peer.id());
    until_revoked(&mut world, phone, command);
    // Another place of Ada's comes, hears of it, and restarts alone.
    let disk = world.disk();
    let tablet = world.add_storing(&place(70), disk, |_| {});
    world.join(tablet, "p");
    world.run_until(SECOND * 5, |w| w.linked(phone, tablet)).expect("a link");
    world.run(SECOND);
    world.run_until_stored(tablet);
    for node in [phone, tablet] {
        world.kill(node);
    }
    world.run(SECOND);
    let tablet = world.add_storing(&place(70), disk, |_| {});
    world.join(tablet, "p");
    world.run(SECOND);
    let lost = world.add_keys(laptop(), &[0], |_| {});
    world.join(lost, "p");
    world.run_until(SECOND * 20, |w| w.count(lost, is_out) == 1).expect("it was kept");
}

#[test]
fn what_is_written_to_the_identity_goes_to_the_others_only() {
    let mut world = world(6);
    let (first, first_disk, _) = add(&mut world, &phone());
    let (lost, ..) = add(&mut world, &laptop());
    let (bob, ..) = add(&mut world, &keys(30));
    world.run_until(SECOND * 10, |w| w.linked(first, bob) && w.linked(lost, bob)).expect("links");
    world.run(SECOND * 2);
    // Both are away, and something waits for both.
    world.kill(lost);
    world.kill(first);
    world.command(bob, Command::Send { to: ada(), document: number(1) });
    world.run(SECOND * 30);
    let waiting = |world: &mut World, keys: Keys| residence(world).waiting(keys.peer.id());
    assert_eq!((waiting(&mut world, phone()), waiting(&mut world, laptop())), (1, 1));
    let first = world.add_storing(&phone(), first_disk, |_| {});
    world.join(first, "p");
    world.run_until(SECOND * 10, |w| w.linked(first, bob)).expect("a link");
    let command = revoke(&mut world, first, laptop().peer.id());
    until_revoked(&mut world, first, command);
    world.run(SECOND);
    world.kill(first);
    // The residence goes on naming it, and takes what is left for it.
    let old = residence(&mut world);
    let record = old.boxes.keys().all(|(_, peer)| *peer != laptop().peer.id());
    assert!(record, "its mailbox is gone");
    world.command(bob, Command::Send { to: ada(), document: number(2) });
    world.run(SECOND * 30);
    let boxes = residence(&mut world);
    assert_eq!(boxes.waiting(phone().peer.id()), 1);
    assert_eq!(boxes.waiting(laptop().peer.id()), 0);
    let first = world.add_storing(&phone(), first_disk, |_| {});
    world.run(SECOND * 5);
    assert_eq!(told(&world, first), [2]);
}

#[test]
fn a_residence_that_goes_on_naming_a_revoked_peer_is_not_followed() {
    let mut world = world(7);
    let (lost, ..) = add(&mut world, &laptop());
    let (phone_node, ..) = add(&mut world, &phone());
    let (bob, ..) = add(&mut world, &keys(30));
    world.run_until(SECOND * 10, |w| w.linked(phone_node, bob)).expect("links");
    world.run(SECOND);
    world.kill(lost);
    world.run(SECOND);
    let key = (ada(), laptop().peer.id());
    let kept = residence(&mut world).boxes.remove(&key).expect("a mailbox");
    let command = revoke(&mut world, phone_node, key.1);
    until_revoked(&mut world, phone_node, command);
    world.run(SECOND);
    let lying = residence(&mut world);
    lying.boxes.insert(key, kept);
    lying.revoked.clear();
    let listed = list(&mut world, phone_node).expect("a list");
    assert!(listed.iter().all(|one| one.peer != key.1), "{listed:?}");
    world.kill(phone_node);
    world.command(bob, Command::Send { to: ada(), document: number(1) });
    world.run(SECOND * 30);
    let boxes = residence(&mut world);
    assert_eq!((boxes.waiting(phone().peer.id()), boxes.waiting(key.1)), (1, 0));
}

#[test]
fn what_it_publishes_after_it_was_revoked_is_nobodys_and_what_it_did_before_stays() {
    let mut world = world(8);
    let (first, ..) = add(&mut world, &phone());
    let (lost, _, discovery) = add(&mut world, &laptop());
    world.run_until(SECOND * 10, |w| w.linked(first, lost)).expect("a link");
    world.publish(lost, discovery, 1);
    world.run(SECOND);
    // It hears of nothing, and goes on.
    world.cut(lost);
    let command = revoke(&mut world, first, laptop().peer.id());
    until_revoked(&mut world, first, command);
    world.run(SECOND);
    world.publish(lost, discovery, 2);
    world.run(SECOND * 3);
    // Somebody who has not heard of it takes all, and brings it to who has.
    let (bob, ..) = add(&mut world, &keys(30));
    world.walls.insert((first.min(lost), first.max(lost)));
    let late = world.subscribe(first, discovery, &everything(), true);
    world.run_until(SECOND * 20, |w| w.linked(first, bob)).expect("a link");
    world.run(SECOND * 3);
    assert_eq!(world.numbers(first, late), [1]);
}

#[test]
fn only_what_the_identity_itself_has_signed_and_has_not_expired_counts() {
    let mut world = world(9);
    let (bob, ..) = add(&mut world, &keys(30));
    let (lost, ..) = add(&mut world, &laptop());
    world.run_until(SECOND * 10, |w| w.linked(bob, lost)).expect("a link");
    let (now, peer) = (world.now.millis(), world.id(lost));
    let others = statement(&keys(90).identity, peer, now, now + DAY);
    let expired = statement(&keys(10).identity, peer, now - 2, now - 1);
    for node in [bob, lost] {
        tell(&mut world, node, &[others.clone(), expired.clone()]);
        tell(&mut world, node, &[others.clone(), others.clone()]);
    }
    world.run(SECOND * 2);
    assert!(world.linked(bob, lost) && world.count(lost, is_out) == 0);
    // Of a forged one nothing is believed, and who passes it on has misbehaved.
    let mut forged = statement(&keys(10).identity, peer, now, now + DAY);
    *forged.last_mut().unwrap() ^= 1;
    let links = |w: &World| w.count(bob, |event| matches!(event, Event::Link { .. }));
    let before = links(&world);
    tell(&mut world, bob, &[forged.clone()]);
    world.run(SECOND);
    assert!(!world.linked(bob, lost) && links(&world) > before);
    assert_eq!(warned(&world, bob, "peer-misbehaved"), 1);
    assert_eq!(world.count(lost, is_out), 0);
    world.run_until(SECOND * 90, |w| w.linked(bob, lost)).expect("forgiven");
    // The true one counts all the same, once.
    let said = statement(&keys(10).identity, peer, now, world.now.millis() + DAY);
    tell(&mut world, bob, &[said.clone(), said.clone()]);
    world.run(SECOND * 2);
    assert_eq!(world.count(lost, is_out), 1);
    assert!(!world.linked(bob, lost));
}

#[test]
fn a_restart_before_the_residence_has_it_tells_it_again() {
    let mut world = world(10);
    let (first, disk, _) = add(&mut world, &phone());
    world.run(SECOND);
    residence(&mut world).refuse = Some((Code::NotStored, usize::MAX));
    let command = revoke(&mut world, first, laptop().peer.id());
    world.run(SECOND * 5);
    assert_eq!(revoked(&world, first, command), None);
    world.run_until_stored(first);
    world.kill(first);
    residence(&mut world).refuse = None;
    assert!(residence(&mut world).revoked.is_empty());
    let again = world.add_storing(&phone(), disk, |_| {});
    world.run(SECOND * 5);
    assert!(residence(&mut world).revoked.contains(&(ada(), laptop().peer.id())));
    // Once it has it, it is not told any more.
    world.run_until_stored(again);
    world.kill(again);
    let asked = |world: &mut World| residence(world).asked.iter().filter(|(_, kind)| *kind == 72).count();
    let before = asked(&mut world);
    world.add_storing(&phone(), disk, |_| {});
    world.run(SECOND * 5);
    assert_eq!(asked(&mut world), before);
}

#[test]
fn a_signaler_that_lies_shuts_nobody_out() {
    let mut world = world(11);
    residence(&mut world).lies = true;
    let (node, disk, _) = add(&mut world, &laptop());
    let (bob, ..) = add(&mut world, &keys(30));
    world.run(SECOND * 10);
    assert!(warned(&world, node, "revoked") >= 1, "it says what it was told");
    assert_eq!(world.count(node, is_out), 0);
    assert!(world.linked(node, bob));
    world.run_until_stored(node);
    world.kill(node);
    let again = world.add_storing(&laptop(), disk, |_| {});
    world.join(again, "p");
    world.run_until(SECOND * 10, |w| w.linked(again, bob)).expect("as if nothing had been");
    assert_eq!(world.count(again, is_out), 0);
}

#[test]
fn a_flood_of_true_ones_is_bounded_and_costs_nobody_a_link() {
    let mut world = world(12);
    let (bob, ..) = add(&mut world, &keys(30));
    let (carol, ..) = add(&mut world, &keys(40));
    world.run_until(SECOND * 10, |w| w.linked(bob, carol)).expect("a link");
    let (now, mut all) = (world.now.millis(), Vec::new());
    for n in 0..300_u16 {
        let mut seed = [77; 32];
        seed[..2].copy_from_slice(&n.to_be_bytes());
        let sybil = IdentityKey::new(&Seed::new(seed));
        all.push(statement(&sybil, PeerId([5; 32]), now, now + DAY));
    }
    world.tape = Some(Vec::new());
    // There is one connection, and Carol is at its other end.
    tell(&mut world, bob, &all);
    let (dave, ..) = add(&mut world, &keys(60));
    world.run_until(SECOND * 10, |w| w.linked(bob, dave)).expect("others come as before");
    assert!(world.linked(bob, carol));
    // What is true is heard after it, from others.
    let peer = world.id(dave);
    let said = statement(&keys(60).identity, peer, now, now + DAY);
    tell(&mut world, dave, &[said]);
    world.run(SECOND * 2);
    assert_eq!(world.count(dave, is_out), 1);
    assert!(world.linked(bob, carol) && !world.linked(bob, dave));
}

#[test]
fn one_revokes_neither_oneself_nor_peers_of_others_but_peers_that_nobody_knows() {
    let mut world = world(13);
    let (node, ..) = add(&mut world, &phone());
    let (bob, ..) = add(&mut world, &keys(30));
    world.run_until(SECOND * 10, |w| w.linked(node, bob)).expect("a link");
    let (own, others, now) = (world.id(node), world.id(bob), world.now);
    let mut ask = |peer| world.nodes[node].peer.command(now, Command::Revoke { peer });
    assert_eq!(ask(own), Err(CommandError::Oneself));
    assert_eq!(ask(others), Err(CommandError::AnothersPeer));
    for n in 0..u8::try_from(limits::REVOCATIONS).unwrap() {
        ask(PeerId([n + 1; 32])).expect("taken");
    }
    assert_eq!(ask(PeerId([200; 32])), Err(CommandError::TooManyRevoked));
    let command = ask(PeerId([1; 32])).expect("again");
    until_revoked(&mut world, node, command);
}

/// The epochs of the sealed publications of a feed that came over links, in their order, each once.
fn epochs(world: &World, feed: PeerId) -> Vec<[u8; 8]> {
    let whole = world.tape.iter().flatten().filter(|(_, chunk)| chunk.len() > 9 && chunk[0] & 3 == 3);
    let mut found = Vec::new();
    for (_, chunk) in whole {
        if let Ok(Frame::Publish { bundle, .. }) = decode::<Frame<'_>>(&chunk[9..], limits::LINK_MESSAGE) {
            let bundle = decode::<Bundle>(bundle, limits::LINK_MESSAGE).unwrap();
            let epoch = |entry: &BundleEntry| <[u8; 8]>::try_from(&entry.body[1..9]).unwrap();
            found.extend(bundle.entries.iter().filter(|_| bundle.feed == feed).map(epoch));
        }
    }
    found.dedup();
    found
}

#[test]
fn authors_in_private_parties_begin_chains_that_the_revoked_peer_has_not() {
    let mut world = world(14);
    let secret = PartySecret::new(&Seed::new([9; 32]));
    let discovery = Party::new(secret.key()).discovery();
    let join = |world: &mut World, keys: &Keys, members: Members| {
        let disk = world.disk();
        let node = world.add_storing(keys, disk, |_| {});
        world.command(node, Command::JoinPrivate { members: Box::new(members), invitation: None });
        node
    };
    let founded = || Members::found(&secret, ada(), 0);
    let first = join(&mut world, &phone(), founded());
    let deed = MemberDeed::Admit { member: keys(30).identity.id(), grant: Role::Writer.into() };
    world.command(first, Command::Say { discovery, deed });
    let lost = join(&mut world, &laptop(), founded());
    let bob = join(&mut world, &keys(30), Members::new(secret.key()));
    let all = |w: &World| w.linked(first, lost) && w.linked(first, bob) && w.linked(lost, bob);
    world.run_until(SECOND * 20, all).expect("links");
    world.run(SECOND * 2);
    world.tape = Some(Vec::new());
    let got = world.subscribe(first, discovery, &everything(), false);
    for n in 1..=2 {
        world.publish(bob, discovery, n);
        world.run(SECOND);
    }
    let feed = world.id(bob);
    assert_eq!(epochs(&world, feed).len(), 1);
    let command = revoke(&mut world, first, laptop().peer.id());
    until_revoked(&mut world, first, command);
    world.run(SECOND);
    world.publish(bob, discovery, 3);
    world.run(SECOND * 2);
    assert_eq!(epochs(&world, feed).len(), 2);
    assert_eq!(world.numbers(first, got), [1, 2, 3], "members read on");
}
