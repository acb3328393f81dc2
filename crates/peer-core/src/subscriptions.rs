//! Subscriptions: which publications the application gets.
//!
//! Inputs: subscribe, unsubscribe, publications in the order of their feeds, neighbours that have sent their backlog.
//! Outputs: [`Event::Data`], [`Event::Live`].
//! Timers: a backlog that nobody completes.
//! Invariants: a subscription gets each publication at most once, each author's in order; one without backlog gets
//! nothing that was published before it was made; filters are evaluated here and nowhere else, each publication once for
//! all subscriptions of its party.

use crate::sorted::{Map, Set};
use std::time::Duration;

use weft_query::{Document, Filter, Index, Summary};
use weft_wire::{DiscoveryKey, PeerId, PublicationId, Time};

use crate::api::{Backlog, CommandId, Event, Publication};
use crate::env::Env;
use crate::feeds::Accepted;

/// After this long without a complete answer a backlog is what has come so far.
const BACKLOG_WAIT: Duration = Duration::from_secs(10);
/// The same where nobody else is known, and something was kept from before.
const ALONE_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    by_id: Map<CommandId, Subscription>,
    /// How many of them wait for a backlog.
    collecting: usize,
    /// The filters of each party's subscriptions.
    filters: Map<DiscoveryKey, Index<CommandId>>,
}

#[derive(Debug)]
struct Subscription {
    discovery: DiscoveryKey,
    filter: Filter,
    backlog: Option<Backlog>,
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
    alone_until: Time,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// What the subscriptions in this party want together of what was published before.
    pub(crate) fn wants_backlog(&self, now: Time, discovery: &DiscoveryKey) -> Option<Backlog> {
        let theirs = self.by_id.values().filter(|one| one.discovery == *discovery);
        let wanted = theirs.filter_map(|one| one.backlog.map(|backlog| (backlog, one.created)));
        let ages =
            wanted.map(|(backlog, created)| backlog.age.map(|age| age.saturating_add(now.since(created))));
        // None is the greatest of them: no limit.
        let most = ages.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)))?;
        Some(Backlog { age: most, count: None })
    }

    /// `backlog`: the neighbours that were asked for what they keep, if that is wanted.
    pub(crate) fn add(
        &mut self,
        now: Time,
        id: CommandId,
        discovery: DiscoveryKey,
        filter: &Filter,
        backlog: Option<(Backlog, &[PeerId])>,
        env: &mut Env,
    ) {
        self.collecting += usize::from(backlog.is_some());
        let collecting = backlog.map(|(_, asked)| Collecting {
            asked: !asked.is_empty(),
            awaited: asked.iter().copied().collect(),
            until: now + BACKLOG_WAIT,
            alone_until: now + ALONE_WAIT,
        });
        let subscription = Subscription {
            discovery,
            filter: filter.clone(),
            backlog: backlog.map(|(backlog, _)| backlog),
            created: now,
            collecting,
            marks: Map::new(),
        };
        self.by_id.insert(id, subscription);
        let seed = u64::from_le_bytes(env.random());
        self.filters.entry(discovery).or_insert_with(|| Index::new(seed)).insert(id, filter);
    }

    /// Some of a party's subscriptions have got their backlog, or want none.
    pub(crate) fn any_live(&self, discovery: &DiscoveryKey) -> bool {
        self.by_id.values().any(|one| one.discovery == *discovery && one.collecting.is_none())
    }

    /// What the subscriptions of a party want together, in at most so many bytes.
    pub(crate) fn summary(&self, discovery: &DiscoveryKey, max_bytes: usize) -> Summary {
        let theirs = self.by_id.values().filter(|one| one.discovery == *discovery);
        Summary::of(theirs.map(|one| &one.filter), max_bytes)
    }

    /// Ends a subscription; gives its party.
    pub(crate) fn remove(&mut self, id: CommandId) -> Option<DiscoveryKey> {
        let Subscription { discovery, collecting, .. } = self.by_id.remove(&id)?;
        self.collecting -= usize::from(collecting.is_some());
        if let Some(filters) = self.filters.get_mut(&discovery) {
            filters.remove(&id);
            if filters.is_empty() {
                self.filters.remove(&discovery);
            }
        }
        Some(discovery)
    }

    pub(crate) fn remove_party(&mut self, discovery: &DiscoveryKey) {
        self.filters.remove(discovery);
        self.by_id.retain(|_, one| one.discovery != *discovery);
        self.collecting = self.by_id.values().filter(|one| one.collecting.is_some()).count();
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

    /// Subscriptions whose backlog is complete, or that have waited long enough. `alone`: nobody else is known, and something
    /// was kept from before. `waits`: something has come and cannot be read yet.
    pub(crate) fn complete(&self, now: Time, discovery: &DiscoveryKey, (alone, waits): (bool, bool)) -> bool {
        let late = |one: &Subscription| one.collecting.as_ref().is_some_and(|one| one.until <= now);
        let complete = |one: &Subscription| one.is_complete(now, alone) && (!waits || late(one));
        self.collecting > 0 && self.by_id.values().any(|one| one.discovery == *discovery && complete(one))
    }

    /// Gives the backlog to those whose is complete, and lets them go live.
    pub(crate) fn deliver_backlog(
        &mut self,
        now: Time,
        discovery: &DiscoveryKey,
        (backlog, alone): (&[Accepted], bool),
        env: &mut Env,
    ) {
        let Self { by_id: subscriptions, filters, .. } = self;
        let complete = |one: &Subscription| one.discovery == *discovery && one.is_complete(now, alone);
        let complete = subscriptions.iter().filter(|(_, one)| complete(one)).map(|(id, _)| *id);
        let complete: Vec<CommandId> = complete.collect();
        let Some(filters) = filters.get_mut(discovery).filter(|_| !complete.is_empty()) else { return };
        // What a subscription gets at most of what is older than it.
        let mut newest = newest(&complete, subscriptions, filters, backlog);
        // One document at a time: a whole backlog, decoded, would be many times its size.
        for accepted in backlog {
            for id in &complete {
                if let Some(one) = subscriptions.get_mut(id) {
                    one.marks.insert(accepted.bundle.feed, accepted.bundle.last());
                }
            }
            for publication in publications(accepted) {
                for id in selected(filters, &publication.document) {
                    let Some(one) = subscriptions.get(&id) else { continue };
                    let is_new = accepted.kept.since >= one.created;
                    let chosen = newest.get_mut(&id).is_none_or(|of| of.remove(&publication.id));
                    if complete.binary_search(&id).is_ok() && one.wants(accepted) && (is_new || chosen) {
                        deliver(id, publication.clone(), !is_new, env);
                    }
                }
            }
        }
        for id in complete {
            if let Some(one) = subscriptions.get_mut(&id) {
                self.collecting -= usize::from(one.collecting.take().is_some());
            }
            env.event(Event::Live { subscription: id });
        }
    }

    /// Gives publications, which come in the order of their feeds, to those who are live.
    pub(crate) fn on_ready(&mut self, discovery: &DiscoveryKey, accepted: &Accepted, env: &mut Env) {
        let Self { by_id: subscriptions, filters, .. } = self;
        let Some(filters) = filters.get_mut(discovery) else { return };
        let is_concerned = |one: &Subscription| {
            let mark = one.marks.get(&accepted.bundle.feed);
            let new = accepted.unordered || mark.is_none_or(|mark| *mark < accepted.bundle.first);
            one.collecting.is_none() && new && one.wants(accepted)
        };
        if !subscriptions.values().any(|one| one.discovery == *discovery && is_concerned(one)) {
            return;
        }
        for publication in publications(accepted) {
            for id in selected(filters, &publication.document) {
                if let Some(one) = subscriptions.get(&id).filter(|one| is_concerned(one)) {
                    deliver(id, publication.clone(), accepted.kept.since < one.created, env);
                }
            }
        }
    }

    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        if self.collecting == 0 {
            return None;
        }
        let collecting = self.by_id.values().filter_map(|one| one.collecting.as_ref());
        collecting.flat_map(|one| [one.until, one.alone_until]).filter(|at| *at > now).min()
    }

    fn collecting<'a>(&'a mut self, discovery: &'a DiscoveryKey) -> impl Iterator<Item = &'a mut Collecting> {
        let none = self.collecting == 0;
        let theirs =
            self.by_id.values_mut().take_while(move |_| !none).filter(|one| one.discovery == *discovery);
        theirs.filter_map(|one| one.collecting.as_mut())
    }
}

/// The ids of the newest publications that match, for those of these subscriptions that want only so many.
fn newest(
    complete: &[CommandId],
    subscriptions: &Map<CommandId, Subscription>,
    filters: &mut Index<CommandId>,
    backlog: &[Accepted],
) -> Map<CommandId, Set<PublicationId>> {
    let count = |id: &CommandId| subscriptions.get(id)?.backlog?.count;
    let mut chosen: Map<CommandId, Set<PublicationId>> =
        complete.iter().filter(|id| count(id).is_some()).map(|id| (*id, Set::new())).collect();
    let mut backwards: Vec<&Accepted> = backlog.iter().filter(|_| !chosen.is_empty()).collect();
    backwards.sort_unstable_by_key(|one| core::cmp::Reverse((one.kept.since, one.bundle.first)));
    let mut wanting = chosen.keys().filter(|id| count(id) > Some(0)).count();
    for accepted in backwards {
        if wanting == 0 {
            break;
        }
        let documents: Vec<Publication> = publications(accepted).collect();
        for publication in documents.iter().rev() {
            for id in selected(filters, &publication.document) {
                let Some(of) = chosen.get_mut(&id) else { continue };
                let most = count(&id).unwrap_or_default();
                let older = |one: &Subscription| accepted.kept.since < one.created && one.wants(accepted);
                if of.len() < most && subscriptions.get(&id).is_some_and(older) {
                    of.insert(publication.id);
                    wanting -= usize::from(of.len() == most);
                }
            }
        }
    }
    chosen
}

impl Subscription {
    /// It is new, or as young as the backlog that is wanted.
    fn wants(&self, accepted: &Accepted) -> bool {
        // Of what comes late, nobody can say whether it would have been among the newest.
        let counted = |backlog: &Backlog| backlog.count.is_some() && self.collecting.is_none();
        let oldest = self.backlog.filter(|backlog| !counted(backlog));
        let oldest = oldest.map(|backlog| backlog.age.map_or(Time::ZERO, |age| self.created - age));
        accepted.kept.since >= oldest.unwrap_or(self.created)
    }

    fn is_complete(&self, now: Time, alone: bool) -> bool {
        let complete = |c: &Collecting| {
            (c.asked && c.awaited.is_empty()) || c.until <= now || (alone && !c.asked && c.alone_until <= now)
        };
        self.collecting.as_ref().is_some_and(complete)
    }
}

/// The documents of a bundle. One that does not decode is its author's fault and is passed over.
fn publications(accepted: &Accepted) -> impl Iterator<Item = Publication> + '_ {
    let bundle = &accepted.bundle;
    // The numbers last: the one after the greatest is not asked for.
    let numbered = bundle.entries.iter().zip(&accepted.ids).zip(bundle.first..);
    numbered.filter_map(move |((entry, id), seq)| {
        let document = Document::decode(&entry.body).ok()?;
        Some(Publication {
            discovery: bundle.discovery,
            id: *id,
            author: bundle.author,
            feed: bundle.feed,
            seq,
            time: entry.time,
            document,
            hops: accepted.kept.hops,
        })
    })
}

/// Whose filters select a document, in the order in which they were made.
fn selected(filters: &mut Index<CommandId>, document: &Document) -> Vec<CommandId> {
    let mut ids = Vec::new();
    filters.select(document, |id| ids.push(id));
    ids.sort_unstable();
    ids
}

fn deliver(subscription: CommandId, publication: Publication, backlog: bool, env: &mut Env) {
    env.stats.delivered += 1;
    env.event(Event::Data { subscription, publication, backlog });
}
