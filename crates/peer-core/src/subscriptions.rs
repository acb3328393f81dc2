//! Subscriptions: which publications the application gets.
//!
//! Inputs: subscribe, unsubscribe, publications in the order of their feeds, neighbours that have sent their backlog.
//! Outputs: [`Event::Data`], [`Event::Live`].
//! Timers: a backlog that nobody completes.
//! Invariants: a subscription gets each publication at most once, each author's in order; one without backlog gets
//! nothing that was published before it was made; filters are evaluated here and nowhere else.

use crate::sorted::{Map, Set};
use std::time::Duration;

use weft_query::{Document, Filter};
use weft_wire::{DiscoveryKey, PeerId, Time};

use crate::api::{CommandId, Event, Publication};
use crate::env::Env;
use crate::feeds::Accepted;

/// After this long without a complete answer a backlog is what has come so far.
const BACKLOG_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    subscriptions: Map<CommandId, Subscription>,
}

#[derive(Debug)]
struct Subscription {
    discovery: DiscoveryKey,
    filter: Filter,
    backlog: bool,
    created: Time,
    collecting: Option<Collecting>,
    /// The last number of each feed that the backlog brought.
    marks: Map<PeerId, u64>,
}

/// Neighbours are being asked for their backlog; what is live waits until it is complete, to keep each author's order.
#[derive(Debug)]
struct Collecting {
    asked: bool,
    awaited: Set<PeerId>,
    until: Time,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Some subscription in this party wants what was published before.
    pub(crate) fn wants_backlog(&self, discovery: &DiscoveryKey) -> bool {
        self.subscriptions.values().any(|one| one.backlog && one.discovery == *discovery)
    }

    pub(crate) fn add(
        &mut self,
        now: Time,
        id: CommandId,
        discovery: DiscoveryKey,
        filter: Filter,
        backlog: bool,
        asked: &[PeerId],
    ) {
        let collecting = backlog.then(|| Collecting {
            asked: !asked.is_empty(),
            awaited: asked.iter().copied().collect(),
            until: now + BACKLOG_WAIT,
        });
        let subscription =
            Subscription { discovery, filter, backlog, created: now, collecting, marks: Map::new() };
        self.subscriptions.insert(id, subscription);
    }

    pub(crate) fn remove(&mut self, id: CommandId) -> bool {
        self.subscriptions.remove(&id).is_some()
    }

    pub(crate) fn remove_party(&mut self, discovery: &DiscoveryKey) {
        self.subscriptions.retain(|_, one| one.discovery != *discovery);
    }

    /// A neighbour has been asked for what it keeps.
    pub(crate) fn on_asked(&mut self, discovery: &DiscoveryKey, peer: PeerId) {
        for collecting in self.collecting(discovery) {
            collecting.asked = true;
            collecting.awaited.insert(peer);
        }
    }

    /// A neighbour has sent what it keeps, or is gone.
    pub(crate) fn on_answered(&mut self, discovery: &DiscoveryKey, peer: PeerId) {
        for collecting in self.collecting(discovery) {
            collecting.awaited.remove(&peer);
        }
    }

    /// Subscriptions whose backlog is complete, or that have waited long enough.
    pub(crate) fn complete(&self, now: Time, discovery: &DiscoveryKey) -> bool {
        self.subscriptions.values().any(|one| one.discovery == *discovery && one.is_complete(now))
    }

    /// Gives the backlog to those whose is complete, and lets them go live.
    pub(crate) fn deliver_backlog(
        &mut self,
        now: Time,
        discovery: &DiscoveryKey,
        backlog: &[Accepted],
        env: &mut Env,
    ) {
        let complete = |one: &Subscription| one.discovery == *discovery && one.is_complete(now);
        for (id, subscription) in self.subscriptions.iter_mut().filter(|(_, one)| complete(one)) {
            subscription.collecting = None;
            for accepted in backlog {
                subscription.marks.insert(accepted.bundle.feed, accepted.bundle.last());
                for publication in publications(accepted) {
                    let earlier = accepted.kept.since < subscription.created;
                    deliver(*id, &subscription.filter, publication, earlier, env);
                }
            }
            env.event(Event::Live { subscription: *id });
        }
    }

    /// Gives publications, which come in the order of their feeds, to those who are live.
    pub(crate) fn on_ready(&mut self, discovery: &DiscoveryKey, accepted: &Accepted, env: &mut Env) {
        let concerned = self.subscriptions.iter().filter(|(_, one)| {
            let new = one.marks.get(&accepted.bundle.feed).is_none_or(|mark| *mark < accepted.bundle.first);
            one.discovery == *discovery
                && one.collecting.is_none()
                && new
                && (one.backlog || accepted.kept.since >= one.created)
        });
        let concerned: Vec<_> = concerned.collect();
        if concerned.is_empty() {
            return;
        }
        for publication in publications(accepted) {
            for (id, one) in &concerned {
                let earlier = accepted.kept.since < one.created;
                deliver(**id, &one.filter, publication.clone(), earlier, env);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.subscriptions
            .values()
            .filter_map(|one| one.collecting.as_ref())
            .map(|collecting| collecting.until)
            .min()
    }

    fn collecting<'a>(&'a mut self, discovery: &'a DiscoveryKey) -> impl Iterator<Item = &'a mut Collecting> {
        let theirs = self.subscriptions.values_mut().filter(|one| one.discovery == *discovery);
        theirs.filter_map(|one| one.collecting.as_mut())
    }
}

impl Subscription {
    fn is_complete(&self, now: Time) -> bool {
        let complete = |c: &Collecting| (c.asked && c.awaited.is_empty()) || c.until <= now;
        self.collecting.as_ref().is_some_and(complete)
    }
}

/// The documents of a bundle. One that does not decode is its author's fault and is passed over.
fn publications(accepted: &Accepted) -> impl Iterator<Item = Publication> + '_ {
    let bundle = &accepted.bundle;
    let numbered = (bundle.first..).zip(bundle.entries.iter().zip(&accepted.ids));
    numbered.filter_map(move |(seq, (entry, id))| {
        let document = Document::decode(&entry.body).ok()?;
        Some(Publication {
            discovery: bundle.discovery,
            id: *id,
            author: bundle.author,
            feed: bundle.feed,
            seq,
            time: entry.time,
            document,
        })
    })
}

fn deliver(subscription: CommandId, filter: &Filter, publication: Publication, backlog: bool, env: &mut Env) {
    if filter.matches(&publication.document) {
        env.stats.delivered += 1;
        env.event(Event::Data { subscription, publication, backlog });
    }
}
