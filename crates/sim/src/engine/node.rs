//! A node: what it is at the moment, what it has to do, and when.

use weft_wire::Time;

use super::announced_node::AnnouncedNode;
use super::network::Network;
use super::parcel::{Act, Cargo, NodeId};
use super::peer_node::{PeerNode, Plan};
use super::queue::{NEVER, Post, Queue, Scope};
use super::signaler_node::SignalerNode;
use super::tally::Violation;

/// What a node is.
#[derive(Debug)]
pub(crate) enum Role {
    /// A peer that has not started yet.
    Planned(Box<Plan>),
    Peer(Box<PeerNode>),
    Signaler(Box<SignalerNode>),
    Announced(Box<AnnouncedNode>),
    /// It has left or crashed.
    Gone,
    /// Measures the engine itself.
    #[cfg(test)]
    Probe(Box<super::tests::Probe>),
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    queue: Queue,
    /// When its core wants to be called at the latest.
    pub(crate) timer: Time,
    asleep_until: Time,
    /// Messages of a peer that is gone which ended well, and which did not.
    sent: (u64, u64),
    /// The earliest window in whose list it is.
    pub(crate) listed: u64,
}

/// No window.
pub(crate) const UNLISTED: u64 = u64::MAX;

impl Node {
    pub(crate) fn new(id: NodeId, role: Role) -> Self {
        Self {
            id,
            role,
            queue: Queue::default(),
            timer: NEVER,
            asleep_until: Time::ZERO,
            sent: (0, 0),
            listed: UNLISTED,
        }
    }

    pub(crate) fn push(&mut self, at: Time, cargo: Cargo) {
        if !matches!(self.role, Role::Gone) {
            self.queue.push(at, cargo);
        }
    }

    /// When it has something to do next.
    pub(crate) fn next(&self) -> Time {
        self.queue.next().unwrap_or(NEVER).min(self.timer).max(self.asleep_until)
    }

    /// Does what is due before `end`; gives how many events that were.
    pub(crate) fn run(&mut self, end: Time, network: &Network, post: &mut Post) -> u64 {
        let mut events = 0;
        loop {
            let next = self.queue.next().unwrap_or(NEVER);
            let due = next.min(self.timer);
            let now = due.max(self.asleep_until);
            if now >= end {
                return events;
            }
            events += 1;
            // What has arrived comes before what only time asks for.
            let cargo = if next <= self.timer { self.queue.pop() } else { None };
            let mut scope = Scope { now, me: self.id, network, queue: &mut self.queue, post };
            match (&mut self.role, cargo) {
                (Role::Peer(peer), None) => peer.tick(&mut scope),
                (Role::Signaler(signaler), None) => signaler.tick(&mut scope),
                (Role::Announced(peer), None) => peer.tick(&mut scope),
                (_, Some(Cargo::Act(act))) => self.act(*act, now, network, post),
                (Role::Peer(peer), Some(cargo)) => peer.happen(cargo, &mut scope),
                (Role::Signaler(signaler), Some(cargo)) => signaler.happen(cargo, &mut scope),
                (Role::Announced(peer), Some(cargo)) => peer.happen(cargo, &mut scope),
                #[cfg(test)]
                (Role::Probe(probe), cargo) => probe.happen(cargo, &mut scope),
                (Role::Planned(_) | Role::Gone, _) => {}
            }
            self.timer = match &self.role {
                Role::Peer(peer) => peer.deadline(),
                Role::Signaler(signaler) => signaler.deadline(self.id, network),
                Role::Announced(peer) => peer.deadline(),
                Role::Planned(_) | Role::Gone => None,
                #[cfg(test)]
                Role::Probe(_) => None,
            }
            .map_or(NEVER, |at| at.max(now));
        }
    }

    fn act(&mut self, act: Act, now: Time, network: &Network, post: &mut Post) {
        let mut scope = Scope { now, me: self.id, network, queue: &mut self.queue, post };
        match act {
            Act::Start { party } => {
                if let Role::Planned(plan) = std::mem::replace(&mut self.role, Role::Gone) {
                    self.role = Role::Peer(Box::new(PeerNode::start(*plan, party, &mut scope)));
                }
            }
            Act::Sleep { until } => self.asleep_until = until,
            Act::Ask { discovery } => {
                if let Role::Announced(peer) = &mut self.role {
                    peer.ask(discovery, &mut scope);
                }
            }
            Act::Restart { gracefully, at } => {
                if let Role::Signaler(signaler) = &mut self.role {
                    signaler.restart(gracefully, at, &mut scope);
                }
            }
            act => {
                let ends = matches!(act, Act::Leave | Act::Crash);
                if let Role::Peer(peer) = &mut self.role {
                    peer.act(act, &mut scope);
                }
                if ends {
                    self.sent = self.sent();
                    self.role = Role::Gone;
                    self.queue.clear();
                }
            }
        }
    }

    /// It is in the background at this time.
    pub(crate) fn is_asleep(&self, now: Time) -> bool {
        self.asleep_until > now
    }

    /// Messages that ended well for whoever sent them here, and that did not; also when it is gone since.
    pub(crate) fn sent(&self) -> (u64, u64) {
        self.peer().map_or(self.sent, |peer| peer.tally.sent)
    }

    pub(crate) fn peer(&self) -> Option<&PeerNode> {
        match &self.role {
            Role::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    pub(crate) fn peer_mut(&mut self) -> Option<&mut PeerNode> {
        match &mut self.role {
            Role::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    /// The first rule it saw broken.
    pub(crate) fn violation(&mut self, at: Time) -> Option<Violation> {
        let node = self.id;
        self.peer_mut()?.tally.violation().map(|what| Violation { at, node, what })
    }
}
