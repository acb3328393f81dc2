//! Who knows a discovery key, as every signaler does, but not the party's key.

use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, statement};
use weft_peer_core::{Event, Input, LinkId, LinkState};
use weft_wire::link::Link as Frame;
use weft_wire::{Bytes, DiscoveryKey, List, PeerRecord, Presence, Text};

use crate::world::{World, one_chunk};

const SECOND: Duration = Duration::from_secs(1);

fn opened(world: &World, node: usize) -> usize {
    world.count(node, |event| matches!(event, Event::Link { state: LinkState::Open { .. }, .. }))
}

#[test]
fn d6_who_proves_no_party_key_gets_no_link_and_is_not_dialled_in_a_loop() {
    for seed in 0..20 {
        let mut world = World::new(seed, 1);
        let (member, stranger) = (world.add(&[0]), world.add(&[0]));
        world.unproved.insert(stranger);
        world.join(member, "p");
        world.join(stranger, "p");
        world.run(SECOND * 60);
        assert!(world.connections_made > 0, "seed {seed}: nothing was tried");
        assert_eq!(opened(&world, member), 0, "seed {seed}");
        assert!(world.connections_made <= 40, "seed {seed}: {} connections in 60 s", world.connections_made);
        let friend = world.add(&[0]);
        world.join(friend, "p");
        assert!(world.run_until(SECOND * 5, |w| w.linked(member, friend)).is_some(), "seed {seed}");
    }
}

#[test]
fn d6_a_neighbour_of_one_party_has_no_say_in_another() {
    let mut world = World::new(1, 1);
    let (a, b) = (world.add(&[0]), world.add(&[0]));
    let common = world.join(a, "common");
    world.join(b, "common");
    let private = world.join(a, "private");
    world.run_until(SECOND, |w| w.linked(a, b)).unwrap();
    let names = |world: &World, discovery: DiscoveryKey| -> Vec<String> {
        let peers = world.nodes[a].peer.peers(&discovery);
        peers.into_iter().map(|info| info.name).filter(|name| name == "somebody").collect()
    };
    for discovery in [private, common] {
        let presence = presence(discovery, world.now.millis());
        let frame = one_chunk(&Frame::Presence { hops: 0, presence: &presence });
        // Whichever of the first ones is the link.
        for link in 0..4 {
            world.input(a, Input::ChannelMessage { link: LinkId(link), bytes: &frame });
        }
    }
    assert_eq!(names(&world, common), ["somebody"], "who is known by a presence alone is known by name");
    assert_eq!(names(&world, private), [""; 0]);
}

#[test]
fn who_broke_the_protocol_is_let_in_again_after_a_minute_and_not_before() {
    for offender_is_low in [false, true] {
        let mut world = World::new(8, 1);
        let (a, b) = (world.add(&[0]), world.add(&[0]));
        let (offender, other) = if (world.id(a) < world.id(b)) == offender_is_low { (a, b) } else { (b, a) };
        world.join(a, "p");
        world.join(b, "p");
        world.run_until(SECOND * 5, |w| w.linked(a, b)).unwrap();
        let link = world.link_of(other);
        world.input(other, Input::ChannelMessage { link, bytes: &[0xff; 40] });
        let warned = |event: &Event| matches!(event, Event::Warning { code: "peer-misbehaved", .. });
        assert_eq!(world.count(other, warned), 1);
        world.run(SECOND * 20);
        // The offender's network comes and goes, which makes it try at once; the other's, too.
        for node in [offender, other] {
            world.input(node, Input::Online);
        }
        assert_eq!(world.run_until(SECOND * 38, |w| w.linked(a, b)), None, "low: {offender_is_low}");
        assert!(world.run_until(SECOND * 120, |w| w.linked(a, b)).is_some(), "low: {offender_is_low}");
    }
}

fn presence(discovery: DiscoveryKey, now: u64) -> Vec<u8> {
    presence_with(discovery, now, None)
}

/// Word of somebody who is nobody's node that it is there, and what its application says.
pub(crate) fn presence_with(discovery: DiscoveryKey, now: u64, state: Option<Vec<u8>>) -> Vec<u8> {
    let (identity, key) = (IdentityKey::new(&Seed::new([5; 32])), PeerKey::new(&Seed::new([6; 32])));
    let record = PeerRecord {
        identity: identity.id(),
        peer: key.id(),
        agreement: key.agreement(),
        name: Text::new("somebody").unwrap(),
        issued: now,
        until: now + 600_000,
        sessions: None,
    };
    let presence = Presence {
        discovery,
        peer: key.id(),
        seq: now,
        record: statement::sign_record(&identity, &record),
        links: List::default(),
        homes: List::default(),
        left: false,
        forwarded: 0,
        state: state.map(Bytes),
    };
    statement::sign_presence(&key, &presence)
}
