//! Private parties: who is let in, who is not, and what those may do who are.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use weft_crypto::{Grant, IdentityKey, Invitation, Members, Party, PartySecret, PeerKey, Seed, publication};
use weft_peer_core::{
    Command, CommandError, CommandId, Event, Input, Keys, MemberDeed, STATEMENT_KEYS, StoreRow,
};
use weft_wire::link::{Exclusion, Link as Frame};
use weft_wire::membership::Role;
use weft_wire::{BundleEntry, DiscoveryKey, List, PublicationId, encode};

use crate::disk::keys;
use crate::world::{World, everything, number, one_chunk};

const SECOND: Duration = Duration::from_secs(1);

/// A private party in a world with one signaler; node 0 has founded it.
pub(crate) struct Private {
    pub(crate) world: World,
    pub(crate) discovery: DiscoveryKey,
    pub(crate) secret: PartySecret,
    pub(crate) subscriptions: Vec<CommandId>,
    invitations: u64,
}

impl Private {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new(seed, 1);
        let secret = PartySecret::new(&Seed::new([9; 32]));
        let discovery = Party::new(secret.key()).discovery();
        let mut party = Self { world, discovery, secret, subscriptions: Vec::new(), invitations: 0 };
        party.add(|party, us| (Members::found(&party.secret, us, party.world.now.millis()), None));
        party
    }

    /// Another peer, with what it knows of the members, and perhaps an invitation.
    pub(crate) fn add(
        &mut self,
        known: impl FnOnce(&Self, weft_wire::IdentityId) -> (Members, Option<Invitation>),
    ) -> usize {
        let node = self.world.add(&[0]);
        let (members, invitation) = known(self, self.world.nodes[node].peer.identity());
        self.world.command(node, Command::JoinPrivate { members: Box::new(members), invitation });
        self.subscriptions.push(self.world.subscribe(node, self.discovery, &everything(), true));
        node
    }

    pub(crate) fn add_invited(&mut self, invitation: &Invitation) -> usize {
        let invitation = invitation.clone();
        self.add(|party, _| (Members::new(party.secret.key()), Some(invitation)))
    }

    pub(crate) fn say(&mut self, node: usize, deed: MemberDeed) {
        self.world.command(node, Command::Say { discovery: self.discovery, deed });
    }

    pub(crate) fn invite(&mut self, by: usize, grant: impl Into<Grant>, life: Duration) -> Invitation {
        self.invitations += 1;
        let mut rng = ChaCha12Rng::seed_from_u64(self.invitations);
        let invitation = Invitation::new(&mut rng, self.secret.key());
        let until = (self.world.now + life).millis();
        self.say(by, MemberDeed::Invite { invitation: invitation.clone(), grant: grant.into(), until });
        invitation
    }

    pub(crate) fn member(&mut self, by: usize, grant: impl Into<Grant>) -> usize {
        let node = self.world.add(&[0]);
        self.admit(by, node, grant)
    }

    /// Makes a node a member.
    pub(crate) fn admit(&mut self, by: usize, node: usize, grant: impl Into<Grant>) -> usize {
        let grant = grant.into();
        let invitation = Some(self.invite(by, grant, SECOND * 3600));
        let members = Box::new(Members::new(self.secret.key()));
        self.world.command(node, Command::JoinPrivate { members, invitation });
        self.subscriptions.push(self.world.subscribe(node, self.discovery, &everything(), true));
        let role = grant.role;
        let identity = self.world.nodes[node].peer.identity();
        let all_know = |world: &World, discovery| {
            let admin = world.nodes[by].peer.members(discovery).unwrap();
            let members =
                world.nodes.iter().filter(|one| !one.killed && admin.role(&one.peer.identity()).is_some());
            members
                .filter_map(|one| one.peer.members(discovery))
                .all(|known| known.role(&identity) == Some(role))
        };
        let discovery = self.discovery;
        self.world.run_until(SECOND * 30, |world| all_know(world, &discovery)).expect("it becomes a member");
        node
    }

    pub(crate) fn role(&self, of: usize, as_known_by: usize) -> Option<Role> {
        let identity = self.world.nodes[of].peer.identity();
        self.world.nodes[as_known_by].peer.members(&self.discovery)?.role(&identity)
    }

    pub(crate) fn numbers(&self, node: usize) -> Vec<i64> {
        self.world.numbers(node, self.subscriptions[node])
    }

    pub(crate) fn refusals(&self, node: usize) -> Vec<Exclusion> {
        let events = self.world.nodes[node].events.iter();
        let reasons = events.filter_map(|event| match event {
            Event::NoMember { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    }
}

#[test]
fn p1_who_is_invited_becomes_a_member_and_documents_flow() {
    for seed in 0..20 {
        let mut party = Private::new(seed);
        party.world.publish(0, party.discovery, 1);
        let writer = party.member(0, Role::Writer);
        let reader = party.member(0, Role::Reader);
        party.world.publish(writer, party.discovery, 2);
        party.world.publish(0, party.discovery, 3);
        party.world.run(SECOND * 5);
        let sorted = |node| {
            let mut numbers = party.numbers(node);
            numbers.sort_unstable();
            numbers
        };
        assert_eq!((sorted(writer), sorted(reader)), (vec![1, 3], vec![1, 2, 3]), "seed {seed}");
        assert_eq!(party.numbers(0), [2], "seed {seed}");
    }
}

#[test]
fn p1_wrong_expired_and_used_invitations_are_refused_by_every_peer() {
    for seed in 0..10 {
        let mut party = Private::new(seed);
        let reader = party.member(0, Role::Reader);
        let used = party.invite(0, Role::Writer, SECOND * 3600);
        let guest = party.add_invited(&used);
        let role = |party: &Private, node| (party.role(node, 0), party.role(node, reader));
        party.world.run(SECOND * 10);
        assert_eq!(role(&party, guest), (Some(Role::Writer), Some(Role::Writer)), "seed {seed}");
        let expired = party.invite(0, Role::Writer, SECOND);
        party.world.run(SECOND * 2);
        let wrong = Invitation::new(&mut ChaCha12Rng::seed_from_u64(77), party.secret.key());
        for (invitation, reason) in [
            (used, Exclusion::UsedInvitation),
            (expired, Exclusion::ExpiredInvitation),
            (wrong, Exclusion::UnknownInvitation),
        ] {
            let stranger = party.add_invited(&invitation);
            party.world.publish(0, party.discovery, 5);
            party.world.run(SECOND * 20);
            assert_eq!(role(&party, stranger), (None, None), "seed {seed}: {reason:?}");
            let refusals = party.refusals(stranger);
            assert!(refusals.len() >= 2, "seed {seed}: only {refusals:?}");
            assert!(refusals.iter().all(|one| *one == reason), "seed {seed}: {refusals:?}");
            assert_eq!(party.numbers(stranger), Vec::<i64>::new(), "seed {seed}");
            party.world.kill(stranger);
        }
    }
}

#[test]
fn p1_who_knows_the_key_and_is_no_member_gets_nothing() {
    for seed in 0..10 {
        let mut party = Private::new(seed);
        let reader = party.member(0, Role::Reader);
        let stranger = party.add(|party, _| (Members::new(party.secret.key()), None));
        party.world.publish(0, party.discovery, 1);
        party.world.run(SECOND * 60);
        assert_eq!((party.numbers(reader), party.numbers(stranger)), (vec![1], vec![]), "seed {seed}");
        assert_eq!(
            party.world.nodes[0].peer.peers(&party.discovery).iter().filter(|info| info.linked).count(),
            1
        );
        assert!(party.world.connections_made < 30, "seed {seed}: {}", party.world.connections_made);
    }
}

#[test]
fn p1_an_invitation_finds_its_way_to_an_admin_through_others() {
    for seed in 0..10 {
        let mut party = Private::new(seed);
        let reader = party.member(0, Role::Reader);
        let invitation = party.invite(0, Role::Writer, SECOND * 3600);
        let guest = party.world.nodes.len();
        party.world.walls.extend([(0, guest), (guest, 0)]);
        assert_eq!(party.add_invited(&invitation), guest);
        let admitted = |world: &World| {
            let identity = world.nodes[guest].peer.identity();
            world.nodes.iter().all(|one| {
                one.peer.members(&party.discovery).and_then(|members| members.role(&identity)).is_some()
            })
        };
        assert!(party.world.run_until(SECOND * 9, admitted).is_some(), "seed {seed}");
        party.world.publish(guest, party.discovery, 7);
        party.world.run(SECOND * 5);
        assert_eq!((party.numbers(reader), party.numbers(0)), (vec![7], vec![7]), "seed {seed}");
    }
}

#[test]
fn p1_a_reader_does_not_publish_though_it_tries() {
    let mut party = Private::new(1);
    let keys = || Keys {
        identity: IdentityKey::new(&Seed::new([21; 32])),
        peer: PeerKey::new(&Seed::new([22; 32])),
    };
    let reader = party.world.add_keys(keys(), &[0], |_| {});
    let invitation = party.invite(0, Role::Reader, SECOND * 3600);
    let members = Box::new(Members::new(party.secret.key()));
    party.world.command(reader, Command::JoinPrivate { members, invitation: Some(invitation) });
    party.world.run(SECOND * 5);
    assert_eq!(party.role(reader, 0), Some(Role::Reader));
    let (now, discovery) = (party.world.now, party.discovery);
    let refused =
        party.world.nodes[reader].peer.command(now, Command::Publish { discovery, document: number(1) });
    assert_eq!(refused, Err(CommandError::NotAWriter));
    let deed = MemberDeed::Remove { member: party.world.nodes[0].peer.identity() };
    let refused = party.world.nodes[reader].peer.command(now, Command::Say { discovery, deed });
    assert_eq!(refused.map_err(|error| error.code()), Err("not-an-admin"));
    // A program that does not keep to it is not heard.
    let entries = List::first([BundleEntry { time: now.millis(), body: number(1).encode() }]);
    let author = keys().identity.id();
    let (bundle, _) =
        publication::sign_bundle(&keys().peer, discovery, author, 1, PublicationId([0; 32]), entries);
    let frame = Frame::Publish { hops: 0, age_ms: 0, record: None, bundle: &encode(&bundle), from: None };
    let link = party.world.link_of(0);
    party.world.input(0, Input::ChannelMessage { link, bytes: &one_chunk(&frame) });
    party.world.run(SECOND * 5);
    assert_eq!(party.numbers(0), Vec::<i64>::new());
    assert!(party.world.linked(0, reader), "it may be somebody who knows less of the members");
}

/// A founder (keys 10) and a writer (keys 30) who have stored what they know of each other, and are gone.
struct Stored {
    world: World,
    secret: PartySecret,
    discovery: DiscoveryKey,
    disks: [usize; 2],
    writer: weft_wire::IdentityId,
}

impl Stored {
    fn new() -> Self {
        let mut world = World::new(3, 1);
        let secret = PartySecret::new(&Seed::new([9; 32]));
        let discovery = Party::new(secret.key()).discovery();
        let disks = [world.disk(), world.disk()];
        let founder = world.add_storing(&keys(10), disks[0], |_| {});
        let us = world.nodes[founder].peer.identity();
        let members = Box::new(Members::found(&secret, us, world.now.millis()));
        world.command(founder, Command::JoinPrivate { members, invitation: None });
        let invitation = Invitation::new(&mut ChaCha12Rng::seed_from_u64(1), secret.key());
        let until = (world.now + SECOND * 60).millis();
        let deed = MemberDeed::Invite { invitation: invitation.clone(), grant: Role::Writer.into(), until };
        world.command(founder, Command::Say { discovery, deed });
        let guest = world.add_storing(&keys(30), disks[1], |_| {});
        let members = Box::new(Members::new(secret.key()));
        world.command(guest, Command::JoinPrivate { members, invitation: Some(invitation) });
        let writer = world.nodes[guest].peer.identity();
        let admitted = |world: &World| world.nodes[guest].peer.members(&discovery)?.role(&writer);
        world.run_until(SECOND * 10, |world| admitted(world).is_some()).unwrap();
        for node in [founder, guest] {
            world.run_until_stored(node);
            world.kill(node);
        }
        Self { world, secret, discovery, disks, writer }
    }
}

#[test]
fn p4_what_is_stored_of_members_is_told_of_a_party_that_is_not_joined() {
    let Stored { mut world, secret, discovery, disks, writer } = Stored::new();
    let ((first, end), at) = (STATEMENT_KEYS, |key: &[u8]| (discovery, key.to_vec()));
    let rows = world.disks[disks[1]].rows.range(at(&first)..at(&end));
    let row =
        |((_, key), value): (&(_, Vec<u8>), &Vec<u8>)| StoreRow { key: key.clone(), value: value.clone() };
    let rows: Vec<StoreRow> = rows.map(row).collect();
    assert_eq!(rows.len(), 3, "of the founder, the invitation, the admission");
    let role = |world: &World, node: usize, rows: &[StoreRow]| {
        let mut members = Members::new(secret.key());
        let said = world.nodes[node].peer.stored_statements(&discovery, rows);
        assert_eq!(members.take(said.iter().map(Vec::as_slice)).refused, 0);
        (said.len(), members.role(&writer))
    };
    let again = world.add_storing(&keys(30), disks[1], |_| {});
    assert_eq!(role(&world, again, &rows), (3, Some(Role::Writer)));
    let another = world.add_storing(&keys(50), disks[0], |_| {});
    assert_eq!(role(&world, another, &rows), (0, None), "what others have stored is not believed");
    let mut altered = rows;
    for row in &mut altered {
        row.value[3] ^= 1;
    }
    assert_eq!(role(&world, again, &altered), (0, None));
}

#[test]
fn p1_members_know_each_other_after_a_restart_of_all() {
    let Stored { mut world, secret, discovery, disks, writer } = Stored::new();
    world.run(SECOND * 200);
    // Both know nothing but the party's key and what is on their disks.
    let again = [(10, 0), (30, 1)].map(|(key, disk)| {
        let node = world.add_storing(&keys(key), disks[disk], |_| {});
        let members = Box::new(Members::new(secret.key()));
        world.command(node, Command::JoinPrivate { members, invitation: None });
        (node, world.subscribe(node, discovery, &everything(), true))
    });
    world.run(SECOND * 10);
    world.publish(again[1].0, discovery, 1);
    world.publish(again[0].0, discovery, 2);
    world.run(SECOND * 5);
    let members = world.nodes[again[0].0].peer.members(&discovery).unwrap();
    assert_eq!(members.role(&writer), Some(Role::Writer));
    assert_eq!(
        (world.numbers(again[0].0, again[0].1), world.numbers(again[1].0, again[1].1)),
        (vec![1], vec![2])
    );
}

#[test]
fn p2_who_was_removed_neither_reads_nor_publishes_and_others_go_on() {
    for seed in 0..10 {
        let mut party = Private::new(seed);
        let (removed, other) = (party.member(0, Role::Writer), party.member(0, Role::Writer));
        party.world.run(SECOND * 5);
        let member = party.world.nodes[removed].peer.identity();
        party.say(0, MemberDeed::Remove { member });
        party.world.run(SECOND * 2);
        party.world.publish(0, party.discovery, 1);
        party.world.publish(other, party.discovery, 2);
        let (now, discovery) = (party.world.now, party.discovery);
        // It may not have heard of it.
        let _ =
            party.world.nodes[removed].peer.command(now, Command::Publish { discovery, document: number(3) });
        party.world.run(SECOND * 120);
        assert_eq!(party.numbers(removed), Vec::<i64>::new(), "seed {seed}");
        assert_eq!((party.numbers(0), party.numbers(other)), (vec![2], vec![1]), "seed {seed}");
        assert!(party.refusals(removed).contains(&Exclusion::Removed), "seed {seed}");
        // Admitted again, it is one of them again.
        party.say(0, MemberDeed::Admit { member, grant: Role::Reader.into() });
        party.world.run(SECOND * 120);
        party.world.publish(other, party.discovery, 4);
        party.world.run(SECOND * 5);
        assert!(party.numbers(removed).contains(&4), "seed {seed}: {:?}", party.numbers(removed));
    }
}
