//! Interest as neighbours tell it, and publications that go only where they are wanted.

use std::sync::Arc;

use weft_query::{Document, Summary};
use weft_wire::link::Link as Frame;
use weft_wire::{Bundle, DiscoveryKey, PeerId, Tag, Time, decode, limits};

use super::{Peer, SILENT};
use crate::broadcast::burst;
use crate::env::Env;
use crate::feeds;
use crate::kept::Kept;
use crate::private::Private;
use crate::swarm::Swarm;
use crate::wants::Want;

use std::time::Duration;

/// Who begins to want something is told of what was published this long before.
const LATELY: Duration = Duration::from_secs(15);

impl Peer {
    /// Tells neighbours what is wanted here and behind us, in large swarms.
    pub(super) fn tell_interest(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if !swarm.roster.is_large(&self.env) {
            // What we told while it was large does not hold any more.
            for peer in swarm.interest.take_back() {
                let wants = Summary::everything().encode();
                self.links.send(peer, &Frame::Interest { party: swarm.tag, wants: &wants }, &mut self.env);
            }
            return;
        }
        let subscriptions = &self.subscriptions;
        let own = || subscriptions.summary(&discovery, limits::INTEREST);
        for (peer, wants) in swarm.interest.summaries(now, &swarm.tree, own) {
            self.links.send(peer, &Frame::Interest { party: swarm.tag, wants: &wants }, &mut self.env);
        }
        for (peer, before, wants) in swarm.interest.newly_wanted(now) {
            for kept in swarm.feeds.since(now - LATELY).filter(|kept| kept.feed != peer) {
                let documents = documents(kept, &mut swarm.private);
                let wanted = |wants: &Summary| match &documents {
                    Some(documents) => documents.iter().any(|document| wants.may_match(document)),
                    None => true,
                };
                if wanted(&wants) && !wanted(&before) {
                    swarm.broadcast.on_wanted(now, peer, kept.range(), &self.env);
                }
            }
        }
    }

    /// A neighbour tells what is wanted behind it.
    pub(super) fn on_interest(&mut self, now: Time, peer: PeerId, party: Tag, wants: &[u8]) {
        if self.common_mut(&peer, party).is_none() {
            return;
        }
        let Some(wants) = Summary::decode(wants).filter(|_| wants.len() <= limits::INTEREST) else {
            return self.strike(now, Some(peer), "a summary that cannot be read");
        };
        if let Some((swarm, _)) = self.common_mut(&peer, party) {
            swarm.interest.on_interest(now, &peer, wants);
        }
    }

    /// Passes a publication on, or one of our own out.
    pub(super) fn pass_on(
        &mut self,
        now: Time,
        kept: &Arc<Kept>,
        discovery: DiscoveryKey,
        from: Option<PeerId>,
    ) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let neighbours = swarm.synced.iter().copied();
        let selective = selected_by(swarm, &self.env);
        let documents = if selective { documents(kept, &mut swarm.private) } else { None };
        let interest = &swarm.interest;
        // Our own go to all neighbours in any case: the tree may have lost its way to those who want them, and we may leave
        // before anybody asks for what a digest named.
        let own = from.is_none();
        let wanted =
            |peer: &PeerId| own || documents.as_ref().is_none_or(|documents| interest.wants(peer, documents));
        // The root's own publications take the shortest ways anyway.
        let radius = burst(swarm.roster.size(), self.env.config.active_view);
        let spreads = kept.hops < radius && swarm.tree.root().0 != Tag::from(&kept.feed);
        let burst = own || spreads || swarm.feeds.forks.spreads(&kept.feed);
        let (range, tree) = (kept.range(), (&swarm.tree, wanted, burst));
        let (eager, skipped) = swarm.broadcast.on_new(now, from, range, neighbours, tree, &self.env);
        for peer in skipped {
            swarm.interest.skip(&peer, range);
        }
        let of = [kept.feed].into_iter().collect();
        for peer in &eager {
            self.give_keys(now, *peer, discovery, &of);
        }
        for peer in eager {
            let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
            let begin = swarm.interest.skipped(&peer, range.feed, range.first);
            if self.links.send_kept(peer, (kept, begin), None, &mut self.env) && from.is_some() {
                self.env.stats.forwarded += kept.last - kept.first + 1;
            }
            self.links.probe(now, peer, SILENT, &mut self.env);
        }
    }

    /// Tells of a publication that is not new, those who want it.
    pub(super) fn tell_of(&mut self, now: Time, kept: &Arc<Kept>, discovery: DiscoveryKey, from: PeerId) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let selective = selected_by(swarm, &self.env);
        let documents = if selective { documents(kept, &mut swarm.private) } else { None };
        let neighbours: Vec<PeerId> = swarm.synced.iter().copied().collect();
        let wants = |peer: &PeerId| documents.as_ref().is_none_or(|all| swarm.interest.wants(peer, all));
        let (wanted, skipped): (Vec<_>, Vec<_>) = neighbours.into_iter().partition(wants);
        swarm.broadcast.on_old(now, from, kept.range(), wanted.into_iter(), &self.env);
        for peer in skipped {
            swarm.interest.skip(&peer, kept.range());
        }
    }

    /// Gives a neighbour what it lacks: all of it, or what it wants.
    pub(super) fn answer(&mut self, now: Time, peer: PeerId, discovery: DiscoveryKey, want: Want) {
        self.flush(now, discovery);
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let Want { since, age, have, wants } = want;
        // What was young enough when it asked still is.
        let at_most = age.map(|age| age + now.since(since));
        let heads = swarm.feeds.heads(now, at_most);
        swarm.interest.on_asked(&peer, wants.as_ref());
        let answer = swarm.feeds.answer(now, peer, at_most, &have, &self.env);
        self.give_keys(now, peer, discovery, &answer.iter().map(|(kept, _)| kept.feed).collect());
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        for (kept, age) in answer {
            let private = &mut swarm.private;
            let wanted = |wants: &Summary| {
                let documents = documents(&kept, private);
                documents.is_none_or(|documents| documents.iter().any(|one| wants.may_match(one)))
            };
            // Our own are nobody else's to find, should we leave.
            if kept.feed != self.env.me && !wants.as_ref().is_none_or(wanted) {
                swarm.interest.skip(&peer, kept.range());
                continue;
            }
            let range = kept.range();
            let begin = swarm.interest.skipped(&peer, range.feed, range.first);
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            self.links.send_kept(peer, (&kept, begin), Some(age_ms), &mut self.env);
        }
        let first = swarm.synced.insert(peer);
        let ends = Some(swarm.feeds.ends()).filter(|ends| first && !ends.is_empty());
        self.links.send_after_kept(peer, &Frame::Sent { discovery, heads, ends }, &mut self.env);
        if first {
            self.show_forks(now, peer, discovery);
        }
    }
}

/// It matters what neighbours want. What they said when the swarm was large does not hold in a small one.
fn selected_by(swarm: &Swarm, env: &Env) -> bool {
    swarm.roster.is_large(env) && swarm.interest.is_selective()
}

/// The documents of a bundle; none if we cannot read it, and so cannot know who wants it.
fn documents(kept: &Kept, private: &mut Option<Private>) -> Option<Vec<Document>> {
    let bundle = decode::<Bundle>(&kept.bytes, feeds::BUNDLE).ok()?;
    let bodies = match private {
        None => bundle.entries.into_iter().map(|entry| entry.body).collect(),
        Some(private) => private.group.peek(&bundle)?,
    };
    Some(bodies.iter().filter_map(|body: &Vec<u8>| Document::decode(body).ok()).collect())
}
