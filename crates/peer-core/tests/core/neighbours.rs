//! A neighbour that proved the party's key, and then says whatever it likes.

use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, statement};
use weft_peer_core::{Command, Config, Event, Input, LinkId};
use weft_wire::link::{FeedHave, FeedRange, Link as Frame, Near};
use weft_wire::sealed::Sealed;
use weft_wire::{
    BundleEntry, Bytes, DiscoveryKey, IdentityId, List, PeerId, PeerRecord, PublicationId, Tag, Text, encode,
};

use crate::hostile::{deliver, introduce, low_and_high};
use crate::world::{World, everything, number, object, one_chunk};

const SECOND: Duration = Duration::from_secs(1);

/// A victim, its neighbour, and the victim's end of the link between them.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) victim: usize,
    pub(crate) neighbour: usize,
    link: LinkId,
    pub(crate) discovery: DiscoveryKey,
}

impl Pair {
    pub(crate) fn new(presence_members: usize) -> Self {
        let mut world = World::new(3, 1);
        let configure = |config: &mut Config| config.presence_members = presence_members;
        let (victim, neighbour) = (world.add_with(&[0], configure), world.add_with(&[0], configure));
        let discovery = world.join(victim, "p");
        world.join(neighbour, "p");
        world.run_until(SECOND * 3, |w| w.linked(victim, neighbour)).unwrap();
        world.run(SECOND);
        let link = world.link_of(victim);
        Self { world, victim, neighbour, link, discovery }
    }

    fn party(&self) -> Tag {
        Tag::from(&self.discovery)
    }

    /// The neighbour says something.
    pub(crate) fn say(&mut self, frame: &Frame<'_>) {
        let (victim, link) = (self.victim, self.link);
        self.world.input(victim, Input::ChannelMessage { link, bytes: &one_chunk(frame) });
    }

    fn identity_of_neighbour(&self) -> Option<IdentityId> {
        let peers = self.world.nodes[self.victim].peer.peers(&self.discovery);
        peers.iter().find(|info| info.peer == self.world.id(self.neighbour))?.identity
    }
}

/// A record that somebody else's peer is this identity's; anybody can sign one.
fn claim(world: &World, identity: &IdentityKey, peer: PeerId) -> Vec<u8> {
    let record = PeerRecord {
        identity: identity.id(),
        peer,
        agreement: PeerKey::new(&Seed::new([9; 32])).agreement(),
        name: Text::new("thief").unwrap(),
        issued: world.now.millis() + 60_000,
        until: world.now.millis() + 600_000,
        sessions: None,
    };
    statement::sign_record(identity, &record)
}

#[test]
fn what_a_search_finds_does_not_change_whose_peer_somebody_is() {
    let mut pair = Pair::new(64);
    let honest = pair.identity_of_neighbour();
    let thief = IdentityKey::new(&Seed::new([8; 32]));
    let (me, peer) = (pair.world.id(pair.victim), pair.world.id(pair.neighbour));
    let record = claim(&pair.world, &thief, peer);
    let found = Frame::Found { party: pair.party(), origin: Tag::from(&me), hops: 0, record: &record };
    // Whether or not the thief is being looked for.
    pair.say(&found);
    assert_eq!(pair.identity_of_neighbour(), honest);
    let to = thief.id();
    pair.world.command(pair.victim, Command::Send { to, document: number(1) });
    pair.say(&found);
    pair.world.run(SECOND);
    assert_eq!(pair.identity_of_neighbour(), honest);
    let to = honest.unwrap();
    pair.world.command(pair.victim, Command::Send { to, document: number(2) });
    pair.world.run(SECOND);
    let arrived = pair.world.count(pair.neighbour, |event| matches!(event, Event::Message { .. }));
    assert_eq!(arrived, 1, "what is for the honest identity still reaches it");
}

#[test]
fn what_a_graft_names_twice_is_sent_once() {
    let mut pair = Pair::new(64);
    for n in 0..10 {
        pair.world.publish(pair.victim, pair.discovery, n);
        pair.world.run(SECOND);
    }
    let feed = Tag::from(&pair.world.id(pair.victim));
    let first = |event: &Event| if let Event::Published { seq, .. } = event { Some(*seq) } else { None };
    let first = pair.world.nodes[pair.victim].events.iter().find_map(first).unwrap();
    let sent = |pair: &Pair| pair.world.nodes[pair.victim].peer.stats().sent.publications.frames;
    let before = sent(&pair);
    let everything = FeedRange { feed, first, more: u32::MAX };
    let want = List::first((0..256).map(|_| everything));
    let party = pair.party();
    pair.say(&Frame::Graft { party, want });
    assert_eq!(sent(&pair) - before, 10);
}

#[test]
fn an_answer_about_the_tree_that_nobody_asked_for_makes_no_link() {
    let (attacker, victim) = low_and_high();
    let mut world = World::new(1, 1);
    // Its one place is taken.
    let full = |config: &mut Config| (config.active_view, config.active_slack) = (1, 0);
    let node = world.add_keys(victim.clone(), &[0], full);
    let friend = world.add_with(&[0], full);
    let discovery = world.join(node, "p");
    world.join(friend, "p");
    world.run_until(SECOND * 3, |w| w.linked(node, friend)).unwrap();
    introduce(&mut world, node, &attacker, discovery);
    world.run(SECOND);
    let before = world.forwards;
    let answer = Sealed::Root { discovery, root: Tag([0; 8]), seq: u32::MAX, reply: true };
    deliver(&mut world, node, &attacker, &victim, &answer);
    world.run(SECOND);
    assert_eq!(world.forwards, before, "nothing is said to who is not a neighbour and was not asked");
}

#[test]
fn the_greatest_numbers_do_no_harm() {
    for presence_members in [64, 0] {
        let mut pair = Pair::new(presence_members);
        let subscription = pair.world.subscribe(pair.victim, pair.discovery, &everything(), false);
        let (party, me) = (pair.party(), Tag::from(&pair.world.id(pair.victim)));
        let feed = Tag::from(&pair.world.id(pair.neighbour));
        let ranges = [
            FeedRange { feed, first: u64::MAX, more: u32::MAX },
            FeedRange { feed, first: 0, more: u32::MAX },
            FeedRange { feed: me, first: u64::MAX - 1, more: 0 },
            FeedRange { feed: Tag([0xff; 8]), first: u64::MAX - 1, more: u32::MAX },
        ];
        let greatest = |hops, seq, cost, weight, links| Frame::Tree {
            party,
            root: Tag([0; 8]),
            weight,
            seq,
            hops,
            cost,
            parent: true,
            links,
            anew: Some(true),
        };
        let near = [(0, feed), (255, feed), (3, me), (1, Tag([0xff; 8]))];
        let near = || List::first(near.map(|(hops, peer)| Near { peer, identity: me, hops }));
        let pairs = List::first([(0, u64::MAX), (u64::MAX, u64::MAX), (5, 1)]);
        let have = List::first([FeedHave { feed: pair.world.id(pair.neighbour), ranges: pairs }]);
        let heads = List::first(ranges);
        let discovery = pair.discovery;
        let to = PeerId([0xee; 32]);
        let frames = [
            greatest(0, u32::MAX, u16::MAX, 255, 255),
            greatest(255, 0, 0, 0, 0),
            greatest(31, u32::MAX - 1, u16::MAX, 12, 0),
            Frame::Digest { party, have: List::first(ranges) },
            Frame::Graft { party, want: List::first(ranges) },
            Frame::Prune { party },
            Frame::Routes { party, anew: true, near: near() },
            Frame::Routes { party, anew: false, near: near() },
            Frame::Seek {
                party,
                origin: feed,
                id: u32::MAX,
                target: me,
                identity: false,
                hops: 255,
                left: 255,
            },
            Frame::Seek { party, origin: feed, id: 0, target: me, identity: false, hops: 0, left: 255 },
            Frame::Found { party, origin: feed, hops: 255, record: &[] },
            Frame::Envelope { to, hops: 255, envelope: &[], left: Some(255) },
            Frame::Envelope { to, hops: 0, envelope: &[], left: Some(0) },
            Frame::Want { discovery, age_ms: Some(u64::MAX), have: have.clone(), wants: Some(&[]) },
            Frame::Want { discovery, age_ms: Some(0), have, wants: None },
            Frame::Sent { discovery, heads, ends: None },
            Frame::Interest { party, wants: &[0xff; 3] },
            Frame::Shuffle { party, reply: false, members: List::first([Bytes(vec![0xff; 40])]) },
        ];
        for frame in &frames {
            pair.say(frame);
            pair.world.run(SECOND * 2);
            if !pair.world.linked(pair.victim, pair.neighbour) {
                let again = |w: &World| w.linked(pair.victim, pair.neighbour);
                assert!(pair.world.run_until(SECOND * 180, again).is_some(), "{frame:?}");
                pair.link = pair.world.link_of(pair.victim);
            }
        }
        pair.world.publish(pair.neighbour, discovery, 7);
        pair.world.run(SECOND * 8);
        assert_eq!(pair.world.numbers(pair.victim, subscription), [7]);
    }
}

/// An author may number its feed as it likes.
#[test]
fn a_feed_that_begins_with_the_greatest_number_ends_there() {
    let mut pair = Pair::new(64);
    let subscription = pair.world.subscribe(pair.victim, pair.discovery, &everything(), false);
    let (identity, author) = (IdentityKey::new(&Seed::new([8; 32])), PeerKey::new(&Seed::new([7; 32])));
    let now = pair.world.now.millis();
    let record = statement::sign_record(
        &identity,
        &PeerRecord {
            identity: identity.id(),
            peer: author.id(),
            agreement: author.agreement(),
            name: Text::new("last").unwrap(),
            issued: now,
            until: now + 600_000,
            sessions: None,
        },
    );
    pair.say(&Frame::Sent {
        discovery: pair.discovery,
        heads: List::first([FeedRange { feed: Tag::from(&author.id()), first: u64::MAX, more: 0 }]),
        ends: None,
    });
    for first in [u64::MAX - 1, u64::MAX - 2] {
        let entries = List::first([BundleEntry { time: now + 1000, body: number(1).encode() }]);
        let previous = PublicationId([1; 32]);
        let (bundle, _) = weft_crypto::publication::sign_bundle(
            &author,
            pair.discovery,
            identity.id(),
            first,
            previous,
            entries,
        );
        let bundle = encode(&bundle);
        pair.say(&Frame::Publish {
            hops: 0,
            age_ms: 0,
            record: Some(&record),
            bundle: &bundle,
            from: Some(0),
        });
        pair.world.run(SECOND * 8);
    }
    assert!(!pair.world.numbers(pair.victim, subscription).is_empty());
    assert!(pair.world.linked(pair.victim, pair.neighbour));
}

#[test]
fn who_says_again_and_again_that_it_is_found_is_not_written_to_again_and_again() {
    let mut pair = Pair::new(64);
    let stranger = IdentityKey::new(&Seed::new([8; 32]));
    let to = stranger.id();
    pair.world.command(pair.victim, Command::Send { to, document: number(1) });
    pair.world.run(SECOND);
    let sent =
        |pair: &Pair| pair.world.forwards + pair.world.nodes[pair.victim].peer.stats().sent.unicast.frames;
    let before = sent(&pair);
    let (me, peer) = (pair.world.id(pair.victim), PeerKey::new(&Seed::new([7; 32])).id());
    let record = claim(&pair.world, &stranger, peer);
    let found = Frame::Found { party: pair.party(), origin: Tag::from(&me), hops: 0, record: &record };
    pair.say(&found);
    assert_eq!(
        sent(&pair) - before,
        2,
        "until now there was nobody to write to: it goes out, and one more search"
    );
    for _ in 0..200 {
        pair.say(&found);
    }
    assert_eq!(sent(&pair) - before, 2, "for 200 times");
    pair.world.run(SECOND * 20);
}

#[test]
fn what_was_published_alone_is_given_to_the_first_neighbour_whatever_it_wants() {
    let mut world = World::new(4, 1);
    let large = |config: &mut Config| config.presence_members = 0;
    let (author, other) = (world.add_with(&[0], large), world.add_with(&[0], large));
    let discovery = world.join(author, "p");
    world.publish(author, discovery, 1);
    world.run(SECOND);
    let elsewhere = object(vec![("n", weft_query::Value::Int(2))]);
    world.join(other, "p");
    world.subscribe(other, discovery, &elsewhere, false);
    world.run(SECOND * 2);
    let received = world.nodes[other].peer.stats().received;
    assert_eq!(received, 1, "nobody else could give it to those who want it");
}

#[test]
fn who_leaves_a_party_and_joins_it_again_over_a_link_that_stays_gets_its_documents() {
    let mut pair = Pair::new(64);
    for node in [pair.victim, pair.neighbour] {
        pair.world.join(node, "other");
    }
    pair.world.run(SECOND);
    let made = pair.world.connections_made;
    let discovery = pair.discovery;
    pair.world.command(pair.victim, Command::Leave { discovery });
    pair.world.run(SECOND);
    pair.world.join(pair.victim, "p");
    let subscription = pair.world.subscribe(pair.victim, discovery, &everything(), false);
    pair.world.run(SECOND * 2);
    pair.world.publish(pair.neighbour, discovery, 5);
    pair.world.run(SECOND * 2);
    assert_eq!(pair.world.numbers(pair.victim, subscription), [5]);
    assert_eq!(pair.world.connections_made, made, "over the link that there was");
}
