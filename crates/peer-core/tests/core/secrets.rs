//! What private parties say, and who can read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use weft_crypto::correspondence::Correspondence;
use weft_crypto::session::Ratchets;
use weft_crypto::{Grant, Invitation, Members, Party, PartySecret, Seed, VaultKey, group, statement};
use weft_peer_core::{Command, Event, Input, Keys, MemberDeed};
use weft_query::{Document, Value};
use weft_wire::link::Link as Frame;
use weft_wire::membership::Role;
use weft_wire::sealed::{FeedEpoch, FeedKey, Sealed};
use weft_wire::{Bundle, IdentityId, List, PeerId, PeerRecord, Text, decode, encode, limits};

use crate::disk::keys;
use crate::hostile::deliver;
use crate::parties::Private;
use crate::world::{START, World, everything, object, one_chunk};

const SECOND: Duration = Duration::from_secs(1);
const SECRET: &str = "nobody else is to read this";

fn secret() -> Document {
    Document::from_value(&object(vec![("n", Value::Int(7)), ("text", Value::String(SECRET.into()))])).unwrap()
}

fn shows(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|part| part == what)
}

/// The bundles that came over links, each with its bytes and to whom.
fn bundles(world: &World) -> Vec<(usize, Bundle, Vec<u8>)> {
    let whole = world.tape.iter().flatten().filter(|(_, chunk)| chunk.len() > 9 && chunk[0] & 3 == 3);
    let read = |(to, chunk): &(usize, Vec<u8>)| match decode::<Frame<'_>>(&chunk[9..], limits::LINK_MESSAGE) {
        Ok(Frame::Publish { bundle, .. }) => {
            Some((*to, decode::<Bundle>(bundle, limits::LINK_MESSAGE).unwrap(), bundle.to_vec()))
        }
        _ => None,
    };
    whole.filter_map(read).collect()
}

fn bundles_to(world: &World, node: usize) -> Vec<Bundle> {
    bundles(world).into_iter().filter(|(to, ..)| *to == node).map(|(_, bundle, _)| bundle).collect()
}

fn given(party: &Private, node: usize) -> u64 {
    party.world.nodes[node].peer.stats().keys_given
}

#[test]
fn p2_nothing_readable_is_on_links_at_signalers_or_on_disks() {
    let mut world = World::new(5, 1);
    world.tape = Some(Vec::new());
    let party_secret = PartySecret::new(&Seed::new([9; 32]));
    let discovery = Party::new(party_secret.key()).discovery();
    let disks = [world.disk(), world.disk()];
    let founder = world.add_storing(&keys(10), disks[0], |_| {});
    let us = world.nodes[founder].peer.identity();
    let members = Box::new(Members::found(&party_secret, us, world.now.millis()));
    world.command(founder, Command::JoinPrivate { members, invitation: None });
    world.command(founder, Command::Publish { discovery, document: secret() });
    let guest = world.add_storing(&keys(30), disks[1], |_| {});
    let member = world.nodes[guest].peer.identity();
    let deed = MemberDeed::Admit { member, grant: Role::Writer.into() };
    world.command(founder, Command::Say { discovery, deed });
    let members = Box::new(Members::new(party_secret.key()));
    world.command(guest, Command::JoinPrivate { members, invitation: None });
    let all = world.subscribe(guest, discovery, &everything(), true);
    world.run(SECOND * 10);
    world.command(founder, Command::Publish { discovery, document: secret() });
    world.run(SECOND * 5);
    assert_eq!(world.numbers(guest, all), [7, 7]);
    for node in [founder, guest] {
        world.run_until_stored(node);
    }
    // Both have it, and it is nowhere to be seen; what is not sealed is.
    let (on_links, at_signalers) = (world.tape.iter().flatten(), &world.seen_by_signalers);
    let on_links: Vec<u8> = on_links.flat_map(|(_, bytes)| bytes.clone()).collect();
    let on_disks: Vec<u8> =
        world.disks.iter().flat_map(|disk| disk.rows.values()).flatten().copied().collect();
    assert!(on_links.len() > 1000 && at_signalers.len() > 1000 && on_disks.len() > 1000);
    for bytes in [&on_links, at_signalers, &on_disks] {
        assert!(!shows(bytes, SECRET.as_bytes()));
    }
    assert!(shows(&on_links, &member.0) && shows(&on_disks, &discovery.0));
    // Alone after a restart it reads what it has stored.
    for node in [founder, guest] {
        world.kill(node);
    }
    world.run(SECOND * 200);
    let again = world.add_storing(&keys(30), disks[1], |_| {});
    let members = Box::new(Members::new(party_secret.key()));
    world.command(again, Command::JoinPrivate { members, invitation: None });
    let all = world.subscribe(again, discovery, &everything(), true);
    world.run(SECOND * 20);
    assert_eq!(world.numbers(again, all), [7, 7]);
}

#[test]
fn c9_keys_of_a_party_are_said_in_sessions_so_lasting_keys_open_none_of_them() {
    let (party, all, had) = with_removed(3);
    assert!(had.len() >= 3 && given(&party, 1) > 0);
    for one in &all[..2] {
        let said = sealed_for(&party.world, one);
        assert!(said.iter().any(|said| matches!(said, Sealed::Session { .. })));
        assert!(!said.iter().any(|said| matches!(said, Sealed::Keys { .. })));
    }
}

#[test]
fn c9_keys_are_said_in_a_session_to_who_is_admitted_over_the_link_that_it_has() {
    for seed in 0..10 {
        let mut world = World::new(seed, 1);
        world.tape = Some(Vec::new());
        let party_secret = PartySecret::new(&Seed::new([9; 32]));
        let discovery = Party::new(party_secret.key()).discovery();
        let disks = [world.disk(), world.disk()];
        let founder = world.add_storing(&keys(10), disks[0], |_| {});
        let members = Members::found(&party_secret, world.nodes[founder].peer.identity(), world.now.millis());
        world.command(founder, Command::JoinPrivate { members: Box::new(members), invitation: None });
        let invitation = Invitation::new(&mut ChaCha12Rng::seed_from_u64(seed), party_secret.key());
        let (grant, until) = (Role::Reader.into(), (world.now + SECOND * 60).millis());
        let deed = MemberDeed::Invite { invitation: invitation.clone(), grant, until };
        world.command(founder, Command::Say { discovery, deed });
        world.command(founder, Command::Publish { discovery, document: secret() });
        let guest = world.add_storing(&keys(30), disks[1], |_| {});
        let members = Box::new(Members::new(party_secret.key()));
        world.command(guest, Command::JoinPrivate { members, invitation: Some(invitation) });
        let all = world.subscribe(guest, discovery, &everything(), true);
        world.run_until(SECOND * 10, |world| world.numbers(guest, all) == [7]).expect("it reads");
        let said = sealed_for(&world, &keys(30));
        assert!(said.iter().any(|said| matches!(said, Sealed::Session { .. })), "seed {seed}");
        assert!(!said.iter().any(|said| matches!(said, Sealed::Keys { .. })), "seed {seed}");
    }
}

#[test]
fn c9_keys_outside_of_a_session_are_refused_of_whom_there_is_one() {
    let (mut party, all, _) = with_removed(4);
    let feed = FeedEpoch { feed: PeerId([5; 32]), epoch: weft_wire::Epoch([6; 8]) };
    let chain = weft_wire::ChainKey([7; 32]);
    let key = FeedKey { feed: feed.feed, epoch: feed.epoch, place: 0, chain, knows: List::default() };
    let give = Sealed::Keys { discovery: party.discovery, keys: List::first([key]) };
    let ask = Sealed::KeysWanted {
        discovery: party.discovery,
        record: record(&all[1]),
        wanted: List::first([feed]),
    };
    let before = (given(&party, 1), party.world.nodes[1].peer.stats().unopened);
    deliver(&mut party.world, 1, &all[1], &all[0], &give);
    deliver(&mut party.world, 1, &all[1], &all[0], &ask);
    assert_eq!((given(&party, 1), party.world.nodes[1].peer.stats().unopened), (before.0, before.1 + 1));
    say_in_session(&mut party, 1, &all[1], &all[0], &give);
    deliver(&mut party.world, 1, &all[1], &all[0], &ask);
    assert_eq!(given(&party, 1), before.0 + 1);
}

#[test]
fn p2_who_leaves_when_nothing_is_unsent_has_given_the_keys_of_what_it_published() {
    for seed in 0..10 {
        let mut world = World::new(seed, 1);
        let party_secret = PartySecret::new(&Seed::new([9; 32]));
        let discovery = Party::new(party_secret.key()).discovery();
        let disks = [world.disk(), world.disk()];
        let guest = world.add_storing(&keys(30), disks[1], |_| {});
        let members = Box::new(Members::new(party_secret.key()));
        world.command(guest, Command::JoinPrivate { members, invitation: None });
        let all = world.subscribe(guest, discovery, &everything(), true);
        let founder = world.add_storing(&keys(10), disks[0], |_| {});
        let us = world.nodes[founder].peer.identity();
        let member = world.nodes[guest].peer.identity();
        let members = Box::new(Members::found(&party_secret, us, world.now.millis()));
        world.command(founder, Command::JoinPrivate { members, invitation: None });
        let deed = MemberDeed::Admit { member, grant: Role::Writer.into() };
        world.command(founder, Command::Say { discovery, deed });
        world.command(founder, Command::Publish { discovery, document: secret() });
        world.run_until(SECOND * 10, |w| w.linked(founder, guest)).expect("a link");
        let handed_over = |w: &World| !bundles_to(w, guest).is_empty() && w.nodes[founder].peer.unsent() == 0;
        world.tape = Some(Vec::new());
        world.run_until(SECOND * 10, handed_over).expect("all is on its way");
        world.command(founder, Command::Close);
        world.run(SECOND * 5);
        assert_eq!(world.numbers(guest, all), [7], "seed {seed}");
    }
}

#[test]
fn p2_a_key_goes_over_each_link_once_at_most_however_much_is_published() {
    let mut party = Private::new(3);
    for _ in 0..4 {
        party.member(0, Role::Writer);
    }
    party.world.run(SECOND * 30);
    let all = |party: &Private| (0..5).map(|node| given(party, node)).sum::<u64>();
    let mut after = Vec::new();
    for n in 0..300 {
        party.world.publish(0, party.discovery, n);
        party.world.run(Duration::from_millis(20));
        after.push(all(&party));
    }
    party.world.run(SECOND * 5);
    for node in 1..5 {
        assert_eq!(party.numbers(node), (0..300).collect::<Vec<_>>());
    }
    assert!((4..=10).contains(&after[20]), "{} over ten links", after[20]);
    assert_eq!(all(&party), after[20]);
    // A new member gets those that there are, and nobody else gets any again.
    party.member(0, Role::Reader);
    party.world.run(SECOND * 15);
    assert_eq!(party.numbers(5), (0..300).collect::<Vec<_>>());
    assert!((1..=5).contains(&(all(&party) - after[20])), "{}", all(&party) - after[20]);
}

#[test]
fn p2_a_document_is_sealed_once_for_however_many_members() {
    let mut party = Private::new(3);
    for _ in 0..4 {
        party.member(0, Role::Writer);
    }
    party.world.run(SECOND * 30);
    party.world.tape = Some(Vec::new());
    for n in 0..50 {
        party.world.publish(0, party.discovery, n);
        party.world.run(Duration::from_millis(20));
    }
    party.world.run(SECOND * 5);
    let (mut copies, mut sealed) = (0, BTreeMap::<u64, BTreeSet<Vec<u8>>>::new());
    for (_, bundle, _) in bundles(&party.world) {
        for (seq, entry) in (bundle.first..).zip(bundle.entries.iter()) {
            copies += 1;
            sealed.entry(seq).or_default().insert(entry.body.clone());
        }
    }
    assert!(copies >= 4 * 50, "{copies} copies for four members");
    assert!(sealed.values().all(|bodies| bodies.len() == 1));
    // Each used one place of one chain.
    let places: Vec<u32> = sealed.values().flatten().map(|body| group::named(body).unwrap().place).collect();
    assert_eq!(places, (0..50).collect::<Vec<_>>());
}

#[test]
fn p2_late_members_read_as_far_back_as_they_were_granted_though_the_author_has_gone() {
    for seed in 0..10 {
        let mut party = Private::new(seed);
        let other = party.member(0, Role::Admin);
        party.world.publish(0, party.discovery, 1);
        party.world.publish(0, party.discovery, 2);
        party.world.run(SECOND * 5);
        // In the same epoch, and its author is gone before they come.
        let late = Grant { role: Role::Reader, history: false };
        let (all, some) = (party.member(0, Role::Reader), party.member(0, late));
        party.world.publish(0, party.discovery, 3);
        party.world.run(SECOND * 5);
        party.world.kill(0);
        party.world.run(SECOND);
        assert_eq!((party.numbers(all), party.numbers(some)), (vec![1, 2, 3], vec![3]), "seed {seed}");
        let (all, some) = (party.member(other, Role::Reader), party.member(other, late));
        party.world.publish(other, party.discovery, 4);
        party.world.run(SECOND * 15);
        assert_eq!((party.numbers(all), party.numbers(some)), (vec![1, 2, 3, 4], vec![4]), "seed {seed}");
    }
}

/// A peer's own record.
fn record(of: &Keys) -> Vec<u8> {
    let record = PeerRecord {
        identity: of.identity.id(),
        peer: of.peer.id(),
        agreement: of.peer.agreement(),
        name: Text::cut(""),
        issued: START.millis(),
        until: (START + SECOND * 86_400).millis(),
        sessions: Some(true),
    };
    statement::sign_record(&of.identity, &record)
}

/// What was sealed for somebody with its lasting key: over links, and by signalers.
fn sealed_for(world: &World, who: &Keys) -> Vec<Sealed> {
    let on_links = world.tape.iter().flatten().filter_map(|(_, chunk)| {
        let whole = chunk.len() > 9 && chunk[0] & 3 == 3;
        match decode::<Frame<'_>>(chunk.get(9..).filter(|_| whole)?, limits::LINK_MESSAGE) {
            Ok(Frame::Envelope { envelope, .. }) => Some(envelope.to_vec()),
            _ => None,
        }
    });
    let by_signalers = world.recorded.iter().map(|(_, envelope)| envelope.clone());
    let opened = on_links
        .chain(by_signalers)
        .filter_map(|envelope| weft_crypto::envelope::open(&who.peer, &envelope).ok());
    opened.filter_map(|opened| decode::<Sealed>(&opened.body, limits::ENVELOPE).ok()).collect()
}

/// Says something to a peer in a session that is begun for it, as another peer whose keys we have.
fn say_in_session(party: &mut Private, to: usize, from: &Keys, recipient: &Keys, contents: &Sealed) {
    let mut rng = ChaCha12Rng::from_seed([3; 32]);
    let asks = Sealed::Prekey { prekey: None, entry: None };
    let prekeys = |world: &World| -> Vec<Vec<u8>> {
        let said = sealed_for(world, from).into_iter();
        let prekey = |said| if let Sealed::Prekey { prekey, .. } = said { prekey } else { None };
        said.filter_map(prekey).collect()
    };
    let before = prekeys(&party.world);
    deliver(&mut party.world, to, from, recipient, &asks);
    let new = |world: &World| prekeys(world).into_iter().find(|prekey| !before.contains(prekey));
    party.world.run_until(SECOND * 5, |world| new(world).is_some()).expect("it gives a prekey");
    let prekey = new(&party.world).unwrap();
    let mut ours = Correspondence::<Ratchets>::new(from.peer.id(), &mut rng);
    ours.begin(&mut rng, party.world.now.millis(), recipient.peer.id(), &prekey).unwrap();
    let frame = ours.seal(&mut rng, recipient.peer.id(), &encode(contents)).unwrap();
    let said = Sealed::Session { frame, record: Some(record(from)), entry: None, prekey: None };
    deliver(&mut party.world, to, from, recipient, &said);
}

/// The chains that a disk holds of a party, opened with the owner's keys.
fn stored_chains(party: &Private, disk: usize, owner: &Keys) -> Vec<FeedKey> {
    let vault = VaultKey::of_identity(&owner.identity);
    let rows = party.world.disks[disk].rows.iter();
    let chains =
        rows.filter(|((of, key), _)| *of == party.discovery && key[0] == 16).map(|((_, key), value)| {
            let label = [&party.discovery.0[..], &key[1..]].concat();
            // Behind it is the tag of every value.
            let opened = vault.open(&label, &value[..value.len() - 16]).expect("the owner opens it");
            FeedKey {
                feed: PeerId(key[1..33].try_into().unwrap()),
                epoch: weft_wire::Epoch(key[33..].try_into().unwrap()),
                place: u32::from_be_bytes(opened[..4].try_into().unwrap()),
                chain: weft_wire::ChainKey(opened[4..36].try_into().unwrap()),
                knows: List::default(),
            }
        });
    chains.collect()
}

/// A party of three whose keys are known, of whom the last was removed after all had published.
fn with_removed(seed: u64) -> (Private, [Keys; 3], Vec<FeedKey>) {
    let mut party = Private::new(seed);
    party.world.tape = Some(Vec::new());
    let all = [40, 50, 60].map(keys);
    let disk = party.world.disk();
    for keys in &all {
        let node = if keys.peer.id() == all[2].peer.id() {
            party.world.add_storing(keys, disk, |_| {})
        } else {
            party.world.add_keys(keys.clone(), &[0], |_| {})
        };
        party.admit(0, node, Role::Writer);
    }
    for node in 0..4 {
        party.world.publish(node, party.discovery, i64::try_from(node).unwrap());
    }
    party.world.run(SECOND * 10);
    // All that it was ever given.
    let removed = all[2].identity.id();
    party.world.run_until_stored(3);
    let had = stored_chains(&party, disk, &all[2]);
    assert!(had.len() >= 3, "it was a member: {}", had.len());
    party.say(0, MemberDeed::Remove { member: removed });
    party.world.run(SECOND * 2);
    party.world.tape = Some(Vec::new());
    for node in 0..3 {
        party.world.publish(node, party.discovery, 10 + i64::try_from(node).unwrap());
    }
    party.world.run(SECOND * 10);
    (party, all, had)
}

#[test]
fn p2_a_removed_members_own_program_reads_nothing_even_of_what_somebody_hands_it() {
    for seed in 0..5 {
        let (mut party, all, had) = with_removed(seed);
        assert_eq!((party.numbers(1).len(), party.numbers(3).len()), (5, 3), "seed {seed}: others go on");
        let later = bundles(&party.world);
        assert!(later.len() >= 3 && later.iter().all(|(to, ..)| *to != 3), "seed {seed}");
        // Every chain that it had, against everything that was said since.
        for (_, bundle, _) in &later {
            for entry in bundle.entries.iter() {
                let named = group::named(&entry.body).expect("it is sealed");
                for key in &had {
                    let mut reader =
                        group::Reader::new(group::Chain::from_key(key.place, &key.chain).unwrap());
                    assert_ne!(named.epoch, key.epoch, "seed {seed}");
                    assert!(reader.open((&party.discovery, &bundle.feed), &entry.body).is_err());
                }
            }
        }
        // It asks for the keys, as itself and as somebody else's peer; a member that asks gets them.
        let wanted = List::first(later.iter().map(|(_, bundle, _)| FeedEpoch {
            feed: bundle.feed,
            epoch: group::named(&bundle.entries.iter().next().unwrap().body).unwrap().epoch,
        }));
        let ask = |of: &Keys| Sealed::KeysWanted {
            discovery: party.discovery,
            record: record(of),
            wanted: wanted.clone(),
        };
        let (its_own, borrowed, honest) = (ask(&all[2]), ask(&all[1]), ask(&all[1]));
        let before = given(&party, 1);
        deliver(&mut party.world, 1, &all[2], &all[0], &its_own);
        deliver(&mut party.world, 1, &all[2], &all[0], &borrowed);
        assert_eq!(given(&party, 1), before, "seed {seed}");
        deliver(&mut party.world, 1, &all[1], &all[0], &honest);
        assert!(given(&party, 1) > before, "seed {seed}");
    }
}

#[test]
fn p2_a_removed_members_own_program_publishes_nothing_that_anybody_takes() {
    let (mut party, all, had) = with_removed(1);
    // Under the chain it had published with, signed well, handed to a member by a member.
    let key = had[0].clone();
    let mut chain = group::Chain::from_key(key.place, &key.chain).unwrap();
    let body = chain.seal((&party.discovery, &all[2].peer.id()), key.epoch, &secret().encode());
    let entries = List::first([weft_wire::BundleEntry { time: party.world.now.millis(), body }]);
    let (bundle, _) = weft_crypto::publication::sign_bundle(
        &all[2].peer,
        party.discovery,
        all[2].identity.id(),
        party.world.now.micros(),
        weft_wire::PublicationId([0; 32]),
        entries,
    );
    let own = record(&all[2]);
    let bundle = weft_wire::encode(&bundle);
    let frame = Frame::Publish { hops: 0, age_ms: 0, record: Some(&own), bundle: &bundle, from: None };
    let before = party.numbers(1).len();
    let link = party.world.link_of(1);
    party.world.input(1, Input::ChannelMessage { link, bytes: &one_chunk(&frame) });
    // And gives its key away.
    let give = Sealed::Keys { discovery: party.discovery, keys: List::first([key]) };
    say_in_session(&mut party, 1, &all[2], &all[0], &give);
    party.world.run(SECOND * 15);
    assert_eq!(party.numbers(1).len(), before);
    assert!(party.world.linked(0, 1), "who passed it on may know less");
}

#[test]
fn p2_a_key_of_after_a_removal_is_not_passed_on_by_who_has_not_heard_of_it() {
    let (mut party, all, _) = with_removed(2);
    // A member that has heard of nothing since, and is given a key that names a removal.
    let late = party.world.add_keys(keys(70), &[0], |_| {});
    party.admit(0, late, Role::Reader);
    let removed: IdentityId = all[2].identity.id();
    let known = |party: &Private, node: usize| {
        party.world.nodes[node].peer.members(&party.discovery).unwrap().was_removed(&removed)
    };
    assert!(known(&party, late));
    let key = FeedKey {
        feed: PeerId([5; 32]),
        epoch: weft_wire::Epoch([6; 8]),
        place: 0,
        chain: weft_wire::ChainKey([7; 32]),
        knows: List::first([weft_wire::Tag([8; 8])]),
    };
    let wanted = List::first([FeedEpoch { feed: key.feed, epoch: key.epoch }]);
    let give = |knows: List<weft_wire::Tag, { limits::REMOVALS }>| Sealed::Keys {
        discovery: party.discovery,
        keys: List::first([FeedKey { knows, ..key.clone() }]),
    };
    let ask = Sealed::KeysWanted { discovery: party.discovery, record: record(&all[1]), wanted };
    let unheard_of = give(key.knows.clone());
    say_in_session(&mut party, 1, &all[1], &all[0], &unheard_of);
    let before = given(&party, 1);
    deliver(&mut party.world, 1, &all[1], &all[0], &ask);
    assert_eq!(given(&party, 1), before);
    // Had it known the removal, it would have.
    let heard_of = {
        let members = party.world.nodes[1].peer.members(&party.discovery).unwrap();
        assert_eq!(members.removals().len(), 1);
        Sealed::Keys {
            discovery: party.discovery,
            keys: List::first([FeedKey {
                epoch: weft_wire::Epoch([9; 8]),
                knows: members.removals(),
                ..key.clone()
            }]),
        }
    };
    say_in_session(&mut party, 1, &all[1], &all[0], &heard_of);
    let wanted = List::first([FeedEpoch { feed: key.feed, epoch: weft_wire::Epoch([9; 8]) }]);
    let ask = Sealed::KeysWanted { discovery: party.discovery, record: record(&all[1]), wanted };
    deliver(&mut party.world, 1, &all[1], &all[0], &ask);
    assert_eq!(given(&party, 1), before + 1);
}

#[test]
fn p2_without_a_warning_and_in_order_in_a_party_that_changes_all_the_time() {
    for seed in 0..5 {
        let mut party = Private::new(seed);
        let (one, other) = (party.member(0, Role::Writer), party.member(0, Role::Writer));
        for round in 0..4 {
            let guest = party.member(0, Role::Writer);
            for n in 0..10 {
                party.world.publish(one, party.discovery, round * 10 + n);
                party.world.run(Duration::from_millis(30));
            }
            let member = party.world.nodes[guest].peer.identity();
            party.say(0, MemberDeed::Remove { member });
        }
        party.world.run(SECOND * 15);
        for node in [0, other] {
            assert_eq!(party.numbers(node), (0..40).collect::<Vec<_>>(), "seed {seed}");
            let warned = party.world.count(node, |event| matches!(event, Event::Warning { .. }));
            assert_eq!(warned, 0, "seed {seed}");
        }
    }
}
