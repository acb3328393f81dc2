//! The engine with few peers: what the network does to them, and what it must not.

use std::time::Duration;

use weft_peer_core::{Command, Config};
use weft_wire::Time;

use super::connection::Connection;
use super::content::Content;
use super::network::{Cut, Divided, Laws, Network};
use super::parcel::{Act, Cargo, NodeId};
use super::queue::{Post, Queue, SHARDS, Scope};
use super::world::World;

fn world(laws: Laws, peers: u32) -> World {
    let mut world = World::new(laws, 3, 1, 100, 1).unwrap();
    for n in 0..peers {
        let at = world.now() + Duration::from_millis(u64::from(n) * 50);
        world.add_peer(Config { homes: 1, ..Config::default() }, None, at);
    }
    world.run(Duration::from_secs(8)).unwrap();
    world
}

/// Chunks written at one moment, with when each arrives.
fn arrivals(laws: Laws, chunks: u32) -> Vec<(Time, Vec<u8>)> {
    let network = Network::new(laws, 5, 0);
    let (mut queue, mut post) = (Queue::default(), Post::default());
    let (me, other) = (NodeId(1), NodeId(2));
    let now = Time::from_millis(1_000);
    let mut scope = Scope { now, me, network: &network, queue: &mut queue, post: &mut post };
    let mut connection = Connection::new(weft_peer_core::LinkId(1));
    assert!(connection.accept("o=2 7 0", &mut scope));
    connection.open = true;
    for n in 0..chunks {
        connection.write(n.to_be_bytes().to_vec(), &mut scope);
    }
    let mut sent: Vec<_> = std::mem::take(&mut post.boxes[other.index() % SHARDS]);
    // As the receiver's queue does.
    sent.sort_by_key(|parcel| parcel.at);
    let chunk = |parcel: super::parcel::Parcel| match parcel.cargo {
        Cargo::Chunk { bytes, .. } => Some((parcel.at, bytes)),
        _ => None,
    };
    sent.into_iter().filter_map(chunk).collect()
}

#[test]
fn a_channel_keeps_its_order_under_loss_and_jitter() {
    let laws = Laws { loss: 0.2, jitter: Duration::from_millis(30), ..Laws::default() };
    let arrived = arrivals(laws, 500);
    let order: Vec<Vec<u8>> = arrived.iter().map(|(_, bytes)| bytes.clone()).collect();
    let sent: Vec<Vec<u8>> = (0..500_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(order, sent);
    let took = arrived.last().unwrap().0.since(arrived[0].0);
    assert!(took >= Duration::from_millis(200), "nothing was lost: {took:?}");
}

#[test]
fn a_narrow_link_takes_its_time() {
    // 84 bytes a message with its headers: 100 of them take a second.
    let arrived = arrivals(Laws { bandwidth: 8_400, ..Laws::default() }, 100);
    let took = arrived.last().unwrap().0.since(arrived[0].0);
    assert_eq!(took, Duration::from_millis(990));
}

#[test]
fn peers_link_within_their_bounds() {
    let world = world(Laws::default(), 20);
    for (id, peer) in world.peers() {
        let links = peer.tally.neighbours.len();
        assert!((1..=8).contains(&links), "node {} has {links}", id.0);
    }
}

#[test]
fn pairs_that_cannot_connect_do_not() {
    let world = world(Laws { unreachable: 0.4, ..Laws::default() }, 20);
    let network = world.network();
    let links =
        || world.peers().flat_map(|(id, peer)| peer.tally.neighbours.iter().map(move |other| (id, *other)));
    assert!(links().count() > 20);
    assert!(links().all(|(a, b)| !network.is_unreachable(a, b)));
}

#[test]
fn what_was_confirmed_to_a_peer_that_crashes_counts_still() {
    let mut world = world(Laws::default(), 12);
    let [from, to] = [NodeId(3), NodeId(4)];
    let (now, to) = (world.now(), world.identity(to).unwrap());
    let document = Content { number: 1, topic: 0 }.document(256).unwrap();
    world.act(from, now, Act::Command(Command::Send { to, document }));
    world.run(Duration::from_secs(5)).unwrap();
    assert_eq!(world.sent(), (1, 0));
    world.act(from, world.now(), Act::Crash);
    world.run(Duration::from_secs(1)).unwrap();
    assert!(world.peer(from).is_none());
    assert_eq!(world.sent(), (1, 0));
}

#[test]
fn neighbours_of_a_crashed_peer_notice_after_a_while() {
    let mut world = world(Laws::default(), 12);
    let victim = NodeId(3);
    let neighbours = world.peer(victim).unwrap().tally.neighbours.clone();
    let know = |world: &World| {
        let still = |id: &&NodeId| world.peer(**id).unwrap().connected().any(|other| other == victim);
        neighbours.iter().filter(still).count()
    };
    let now = world.now();
    world.act(victim, now, Act::Crash);
    world.run(Duration::from_secs(5)).unwrap();
    assert!(world.peer(victim).is_none());
    // One or the other link may have been given up for reasons of its own.
    assert!(know(&world) * 2 > neighbours.len());
    world.run(Duration::from_secs(60)).unwrap();
    assert_eq!(know(&world), 0);
}

#[test]
fn a_leaving_peer_is_gone_at_once() {
    let mut world = world(Laws::default(), 12);
    let now = world.now();
    world.act(NodeId(3), now, Act::Leave);
    world.run(Duration::from_secs(1)).unwrap();
    assert!(world.peers().all(|(_, peer)| !peer.connected().any(|other| other == NodeId(3))));
}

/// Pairs with an open channel, from one side each.
fn channels(world: &World) -> Vec<(NodeId, NodeId)> {
    world.peers().flat_map(|(id, peer)| peer.connected().map(move |other| (id, other))).collect()
}

#[test]
fn nothing_crosses_a_partition() {
    let mut world = world(Laws::default(), 12);
    let cut: Cut = world.cut(2, Duration::from_secs(10), Divided::Peers);
    let sender = NodeId(1);
    let document = super::Content { number: 9, topic: 0 }.document(100).unwrap();
    let now = world.now();
    world.act(sender, now, Act::Publish(document));
    world.run(Duration::from_secs(9)).unwrap();
    let got = |world: &World, same: bool| {
        let side =
            world.peers().filter(|(id, _)| *id != sender && (cut.group(*id) == cut.group(sender)) == same);
        side.filter(|(_, peer)| !peer.tally.deliveries.is_empty()).count()
    };
    assert!(got(&world, true) > 0);
    assert_eq!(got(&world, false), 0);
    world.run(Duration::from_secs(20)).unwrap();
    assert_eq!(got(&world, true) + got(&world, false), 11);
}

#[test]
fn links_outlive_a_short_partition() {
    let mut world = world(Laws::default(), 12);
    let before = channels(&world);
    world.cut(2, Duration::from_secs(3), Divided::Peers);
    world.run(Duration::from_secs(6)).unwrap();
    let after = channels(&world);
    let kept = before.iter().filter(|pair| after.contains(pair)).count();
    assert!(kept * 10 >= before.len() * 8, "{kept} of {}", before.len());
}

#[test]
fn c1_signalers_that_know_one_address_are_all_linked_within_seconds() {
    let mut world = World::new(Laws::default(), 3, 7, 100, 1).unwrap();
    world.run(Duration::from_secs(8)).unwrap();
    for signaler in world.signalers() {
        let gauges = signaler.gauges();
        let up = gauges.siblings.iter().filter(|sibling| sibling.up).count();
        let active = gauges.members.iter().filter(|member| member.active).count();
        assert_eq!((up, active), (6, 6), "{gauges:?}");
    }
}

#[test]
fn a_sleeping_tab_takes_what_came_when_it_wakes() {
    let mut world = world(Laws::default(), 12);
    let tab = NodeId(2);
    let now = world.now();
    world.act(tab, now, Act::Sleep { until: now + Duration::from_secs(20) });
    world.run(Duration::from_secs(1)).unwrap();
    assert!(world.is_asleep(tab));
    let document = super::Content { number: 9, topic: 0 }.document(100).unwrap();
    let now = world.now();
    world.act(NodeId(5), now, Act::Publish(document));
    world.run(Duration::from_secs(5)).unwrap();
    assert!(world.peer(tab).unwrap().tally.deliveries.is_empty());
    assert_eq!(world.peer(NodeId(4)).unwrap().tally.deliveries.len(), 1);
    world.run(Duration::from_secs(20)).unwrap();
    let got = &world.peer(tab).unwrap().tally.deliveries;
    assert_eq!(got.len(), 1);
    assert!(got[0].at >= now + Duration::from_secs(19), "{:?}", got[0]);
}

/// A node that floods: what it sees first it passes on to its neighbours.
#[derive(Debug)]
pub(crate) struct Probe {
    neighbours: Vec<NodeId>,
    seen: u32,
}

impl Probe {
    pub(crate) fn happen(&mut self, cargo: Option<Cargo>, scope: &mut Scope<'_>) {
        let Some(Cargo::Chunk { link, bytes }) = cargo else { return };
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        if number > self.seen {
            self.seen = number;
            let me = scope.me;
            for other in self.neighbours.iter().copied().filter(|other| *other != me) {
                let at = scope.now + scope.latency(other);
                scope.send(other, at, Cargo::Chunk { link, bytes: bytes.clone() });
            }
        }
    }
}

/// The engine's own time for each event: `cargo test --release -p weft-sim overhead -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn overhead_of_an_event() {
    for threads in [1, 2] {
        let nodes = 10_000;
        let mut world = World::new(Laws::default(), 3, 1, 1, threads).unwrap();
        let mut dice = super::Dice::new(1, 1);
        for _ in 0..nodes {
            let neighbours = (0..5).map(|_| NodeId(1 + u32::try_from(dice.below(nodes)).unwrap())).collect();
            world.add(super::node::Role::Probe(Box::new(Probe { neighbours, seen: 0 })));
        }
        let (before, began) = (world.events(), std::time::Instant::now());
        for number in 1..=40_u32 {
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.resize(400, 0);
            world.give(NodeId(1), Cargo::Chunk { link: weft_peer_core::LinkId(0), bytes });
            world.run(Duration::from_secs(1)).unwrap();
        }
        let (events, took) = (world.events() - before, began.elapsed());
        let each = took.as_nanos() / u128::from(events);
        println!("{threads} threads: {events} events in {took:?}, {each} ns each");
    }
}
