//! Publications that are watched: who should get them, who got them when.

use std::collections::BTreeMap;

use weft_wire::Time;

use crate::engine::{Delivery, NodeId, START, World};
use crate::graph::{Graph, UNREACHED};
use crate::report::{Round, Spread, count, figure, mean, round};

/// A publication that is watched.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Its number.
    pub number: u32,
    /// When it was published.
    pub at: Time,
    /// By whom.
    pub sender: NodeId,
    /// Who should get it, ascending.
    due: Vec<NodeId>,
    /// Who got it.
    got: Vec<(NodeId, Delivery)>,
    floor_hop: u32,
    floor_ms: f64,
    steiner: Option<u32>,
}

/// What is computed for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floors {
    /// Nothing.
    None,
    /// How soon and over how many links the last one could have been reached.
    Ways,
    /// Also how many links a tree to those who are interested needs.
    WithTree,
}

impl Watch {
    fn find_floors(&mut self, world: &World, floors: Floors) {
        let graph = Graph::of(world, |_| true);
        let Some(from) = graph.vertex(self.sender) else { return };
        let (hops, times) = (graph.hops(from), graph.times(from, world));
        let due: Vec<u32> = self
            .due
            .iter()
            .filter_map(|node| graph.vertex(*node))
            .filter(|vertex| hops[*vertex as usize] != UNREACHED)
            .collect();
        self.floor_hop = due.iter().map(|vertex| hops[*vertex as usize]).max().unwrap_or(0);
        let slowest = due.iter().map(|vertex| times[*vertex as usize]).max().unwrap_or(0);
        self.floor_ms = round(figure(slowest) / 1_000.0);
        if floors == Floors::WithTree {
            self.steiner = graph.steiner_edges(from, &due).and_then(|edges| u32::try_from(edges).ok());
        }
    }
}

/// What came of a publication.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures; transmissions are for the caller to fill in.
    pub round: Round,
    /// Each delivery, milliseconds.
    pub delays_ms: Vec<f64>,
}

/// A message that is watched.
#[derive(Clone, Debug)]
struct Letter {
    at: Time,
    ends: [NodeId; 2],
    /// Links between sender and recipient at least, when it was sent.
    shortest: Option<u32>,
    arrived: Option<Delivery>,
}

/// What came of a message.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// From sending to arrival, milliseconds; none if it did not arrive.
    pub delay_ms: Option<f64>,
    /// Links that it came over, if it came over links.
    pub hops: Option<f64>,
    /// Links between sender and recipient at least, when it was sent.
    pub shortest: Option<f64>,
}

/// All publications that are being watched.
#[derive(Debug, Default)]
pub struct Watches {
    open: BTreeMap<u32, Watch>,
    messages: BTreeMap<u32, Letter>,
}

impl Watches {
    /// Watches a publication about topic 0 that is about to be published now.
    pub fn begin(&mut self, world: &World, number: u32, sender: NodeId, floors: Floors) {
        let due: Vec<NodeId> = world
            .peers()
            .filter(|(id, peer)| {
                *id != sender
                    && !peer.is_hostile()
                    && peer.tally.ready_at.is_some()
                    && peer.tally.wants(0)
                    && !world.is_asleep(*id)
            })
            .map(|(id, _)| id)
            .collect();
        let mut watch = Watch {
            number,
            at: world.now(),
            sender,
            due,
            got: Vec::new(),
            floor_hop: 0,
            floor_ms: 0.0,
            steiner: None,
        };
        if floors != Floors::None {
            watch.find_floors(world, floors);
        }
        self.open.insert(number, watch);
    }

    /// Watches a message that is sent at a time.
    pub fn begin_message(&mut self, world: &World, number: u32, [from, to]: [NodeId; 2], at: Time) {
        let graph = Graph::of(world, |_| true);
        let shortest =
            graph.vertex(from).zip(graph.vertex(to)).map(|(from, to)| graph.hops(from)[to as usize]);
        let shortest = shortest.filter(|hops| *hops != UNREACHED);
        self.messages.insert(number, Letter { at, ends: [from, to], shortest, arrived: None });
    }

    /// Takes what applications saw since the last time.
    pub fn collect(&mut self, world: &mut World) {
        for id in (0..world.nodes()).map(NodeId) {
            let Some(peer) = world.peer_mut(id) else { continue };
            let (deliveries, messages) = peer.tally.take();
            for delivery in deliveries {
                if let Some(watch) = self.open.get_mut(&delivery.number) {
                    watch.got.push((id, delivery));
                }
            }
            for message in messages {
                if let Some(letter) = self.messages.get_mut(&message.number) {
                    letter.arrived.get_or_insert(message);
                }
            }
        }
    }

    /// The oldest publication, if it was published before a time.
    pub fn older(&self, than: Time) -> Option<u32> {
        self.open.first_key_value().filter(|(_, watch)| watch.at < than).map(|(number, _)| *number)
    }

    /// Ends the watch: who lives and should have got it by now.
    pub fn end(&mut self, world: &World, number: u32) -> Option<Outcome> {
        let mut watch = self.open.remove(&number)?;
        watch.due.retain(|id| world.peer(*id).is_some_and(|peer| !peer.is_hostile()));
        let got: Vec<&(NodeId, Delivery)> =
            watch.got.iter().filter(|(id, _)| watch.due.binary_search(id).is_ok()).collect();
        let millis = |at: Time| figure(u64::try_from(at.since(watch.at).as_micros()).unwrap_or(0)) / 1_000.0;
        let delays_ms: Vec<f64> = got.iter().map(|(_, delivery)| millis(delivery.at)).collect();
        let hops: Vec<u8> = got.iter().filter_map(|(_, delivery)| delivery.hops).collect();
        let whole = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let round_of = Round {
            at_s: round(watch.at.since(START).as_secs_f64()),
            sender: watch.sender.0,
            due: whole(watch.due.len()),
            reached: whole(got.len()),
            missed: whole(watch.due.len() - got.len()),
            frames: 0,
            rmr: 0.0,
            duplicates: 0,
            last_hop: hops.iter().max().map(|hops| u32::from(*hops)),
            mean_hop: (!hops.is_empty())
                .then(|| round(hops.iter().map(|hops| f64::from(*hops)).sum::<f64>() / count(hops.len()))),
            floor_hop: watch.floor_hop,
            delivery_ms: Spread::of(delays_ms.clone()),
            floor_ms: watch.floor_ms,
            steiner: watch.steiner,
        };
        Some(Outcome { round: round_of, delays_ms })
    }

    /// Ends the watch of messages that were sent before a time. One that did not arrive counts if sender and recipient
    /// still live.
    pub fn end_messages(&mut self, world: &World, than: Time) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        self.messages.retain(|_, letter| {
            if letter.at >= than {
                return true;
            }
            let live = letter.ends.iter().all(|node| world.peer(*node).is_some());
            if letter.arrived.is_some() || live {
                arrivals.push(Arrival {
                    delay_ms: letter.arrived.map(|got| got.at.since(letter.at).as_secs_f64() * 1_000.0),
                    hops: letter.arrived.and_then(|got| got.hops).map(f64::from),
                    shortest: letter.shortest.map(f64::from),
                });
            }
            false
        });
        arrivals
    }
}

/// Figures of many publications: a round each, and the delays of all.
pub fn spread_of(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> Spread {
    Spread::of(rounds.iter().map(figure).collect())
}

/// The mean over rounds.
pub fn mean_of(rounds: &[Round], figure: impl Fn(&Round) -> f64) -> f64 {
    round(mean(&rounds.iter().map(figure).collect::<Vec<_>>()))
}
