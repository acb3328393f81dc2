//! What a peer's application saw, and the rules that hold for it whatever happens.

use std::collections::BTreeMap;
use std::fmt;

use weft_peer_core::{CommandId, Event, LinkState, Publication};
use weft_wire::{PeerId, Time};

use super::clock::START;
use super::content::Content;
use super::network::Network;
use super::parcel::NodeId;
use super::trace::Trace;
use crate::measure;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// Where.
    pub node: NodeId,
    /// Which rule, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.at.since(START).as_secs_f64();
        write!(f, "at {since:.3} s, node {}: {}", self.node.0, self.what)
    }
}

/// A publication that reached the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// [`Content::number`] of it.
    pub number: u32,
    /// When.
    pub at: Time,
    /// Links it came over, where the peer says so.
    pub hops: Option<u8>,
}

/// What the application of one peer saw.
#[derive(Debug)]
pub struct Tally {
    /// What it asked for; none: everything.
    topic: Option<u32>,
    /// Links it may have.
    most_links: usize,
    /// Open links, by node; ordered.
    pub neighbours: Vec<NodeId>,
    /// Publications since the last [`Tally::take`].
    pub deliveries: Vec<Delivery>,
    /// Messages received since the last [`Tally::take`].
    pub messages: Vec<Delivery>,
    /// Publications as they came over links, while that is asked for.
    pub traces: Vec<Trace>,
    /// Commands to send that ended well, and that did not.
    pub sent: (u64, u64),
    /// When the first link was open.
    pub ready_at: Option<Time>,
    /// Publications delivered since the start.
    pub delivered: u64,
    /// Warnings by their code.
    pub warnings: BTreeMap<&'static str, u64>,
    /// Last sequence number of each feed that was delivered.
    feeds: BTreeMap<(CommandId, PeerId), u64>,
    violation: Option<String>,
}

impl Tally {
    pub(crate) fn new(topic: Option<u32>, most_links: usize) -> Self {
        Self {
            topic,
            most_links,
            neighbours: Vec::new(),
            deliveries: Vec::new(),
            messages: Vec::new(),
            traces: Vec::new(),
            sent: (0, 0),
            ready_at: None,
            delivered: 0,
            warnings: BTreeMap::new(),
            feeds: BTreeMap::new(),
            violation: None,
        }
    }

    /// Publications and messages since the last time.
    pub fn take(&mut self) -> (Vec<Delivery>, Vec<Delivery>) {
        (std::mem::take(&mut self.deliveries), std::mem::take(&mut self.messages))
    }

    /// What the peer asks for.
    pub fn wants(&self, topic: u32) -> bool {
        self.topic.is_none_or(|wanted| wanted == topic)
    }

    /// The first rule that was broken.
    pub(crate) fn violation(&mut self) -> Option<String> {
        self.violation.take()
    }

    pub(crate) fn break_rule(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// Takes what the application of an honest peer is told; of a hostile one only its links matter.
    pub(crate) fn on_event(&mut self, now: Time, event: &Event, honest: bool, network: &Network) {
        match event {
            Event::Link { peer, state } => self.on_link(peer, state, honest, network),
            _ if !honest => {}
            Event::Data { subscription, publication, .. } => {
                self.on_publication(now, *subscription, publication);
            }
            Event::Ready { .. } => {
                self.ready_at.get_or_insert(now);
            }
            Event::Message { document, .. } => match Content::of(document) {
                Some(content) => self.messages.push(Delivery {
                    number: content.number,
                    at: now,
                    hops: measure::message_hops(event),
                }),
                None => self.break_rule("a message was altered".into()),
            },
            Event::Sent { outcome: Ok(()), .. } => self.sent.0 += 1,
            Event::Sent { outcome: Err(_), .. } => self.sent.1 += 1,
            Event::Warning { code, .. } => *self.warnings.entry(code).or_default() += 1,
            _ => {}
        }
    }

    fn on_publication(&mut self, now: Time, subscription: CommandId, publication: &Publication) {
        self.delivered += 1;
        let Some(content) = Content::of(&publication.document) else {
            return self.break_rule(format!("publication {} was altered", publication.id));
        };
        if !self.wants(content.topic) {
            self.break_rule(format!("publication {} does not match", publication.id));
        }
        let last = self.feeds.entry((subscription, publication.feed)).or_default();
        if publication.seq <= *last {
            let (seq, last) = (publication.seq, *last);
            self.break_rule(format!("number {seq} of feed {} came after {last}", publication.feed));
        } else {
            *last = publication.seq;
        }
        self.deliveries.push(Delivery { number: content.number, at: now, hops: measure::hops(publication) });
    }

    fn on_link(&mut self, peer: &PeerId, state: &LinkState, honest: bool, network: &Network) {
        let Some(node) = network.node_of(peer) else { return };
        match (self.neighbours.binary_search(&node), state) {
            (Err(at), LinkState::Open { .. }) => {
                self.neighbours.insert(at, node);
                if honest && self.neighbours.len() > self.most_links {
                    let (links, most) = (self.neighbours.len(), self.most_links);
                    self.break_rule(format!("{links} links; at most {most} are allowed"));
                }
            }
            (Ok(at), LinkState::Closed { .. }) => {
                self.neighbours.remove(at);
            }
            _ => {}
        }
    }
}
