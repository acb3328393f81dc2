//! Timers, and what follows from everything that happens.

use std::time::Duration;

use weft_wire::link::{ByeReason, Link as Frame};
use weft_wire::{DiscoveryKey, PeerId, Time, limits};

use super::{Peer, SILENT};
use crate::api::Event;
use crate::swarm::Swarm;
use crate::view::{Open, PartyView};

/// Rosters are looked at this often for members of whom nothing was heard.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// In large swarms the parent in the tree is asked for a sign of life after so long.
const PARENT_SILENT: Duration = Duration::from_secs(2);

impl Peer {
    /// Does whatever is due, and looks for links that are missing. Most inputs are messages of neighbours, which concern
    /// one swarm: the rest is looked at when something has stirred it, or when its time has come.
    pub(super) fn settle(&mut self, now: Time) {
        if self.closed || self.stop_if_revoked(now) {
            return;
        }
        if self.links.deadline(&self.env).is_some_and(|at| at <= now) {
            for event in self.links.on_time(now, &mut self.env) {
                self.on_link(now, event);
            }
        }
        self.settle_rest(now);
        let due = |swarm: &Swarm| swarm.deadline(&self.env).is_some_and(|at| at <= now);
        let complete = |key, swarm: &Swarm| self.is_complete(now, key, swarm);
        let swarms = self.swarms.iter().filter(|(key, swarm)| due(swarm) || complete(key, swarm));
        for discovery in swarms.map(|(key, _)| *key).collect::<Vec<DiscoveryKey>>() {
            self.settle_swarm(now, discovery);
        }
        self.settle_rest(now);
        self.settle_parts(now);
        self.settle_sessions(now);
        // What has become durable may leave.
        while std::mem::take(&mut self.released) {
            self.stirred = true;
            self.settle_rest(now);
            self.settle_sessions(now);
        }
        self.forward_links(now);
        self.tell_drained();
    }

    fn settle_rest(&mut self, now: Time) {
        let streams = self.negotiator.streams_deadline(&self.env);
        let later = self.rest_at.into_iter().chain(streams).all(|at| at > now);
        if !std::mem::take(&mut self.stirred) && later {
            return;
        }
        for event in self.homes.on_time(now, &mut self.env) {
            self.on_home(now, event);
        }
        self.negotiator.may_forward = self.may_forward();
        let steps = self.negotiator.on_time(now, &mut self.env);
        self.take(now, steps);
        for peer in self.mended.due(now) {
            // Without a signaler this may be the only way to each other.
            if self.homes.signalers().next().is_some() {
                let reason = "nothing comes over the connection that was restored";
                let steps = self.negotiator.close(peer, reason, &mut self.env);
                self.take(now, steps);
            }
        }
        if self.sessions.on_time(now, &mut self.env) {
            self.on_sessions_ready(now);
        }
        let (linked, waits) = (self.linked_recipients(), self.mailbox.answers());
        for letter in self.mail.on_time(now, (&linked, waits), &mut self.env) {
            if !self.post(now, &letter) {
                self.mail.on_unsent(&letter.id);
            }
        }
        self.mail.want(now);
        self.tell_stopped(now);
        self.settle_mail(now);
        self.settle_own(now);
        if self.housekeeping_at <= now {
            self.housekeeping_at = now + HOUSEKEEPING;
            self.expire_revocations(now);
            for (discovery, swarm) in &mut self.swarms {
                for peer in self.links.neighbours(discovery) {
                    let healthy = self.negotiator.healthy(&peer);
                    swarm.roster.on_link_health(now, peer, healthy, &mut self.env);
                }
                swarm.roster.on_time(now, &mut self.env);
                if let Some(private) = &mut swarm.private {
                    private.group.expire(now, (&mut swarm.feeds.storage, &self.env));
                }
                // Who only listens, and wants little, would not notice for long that the tree has broken above.
                if swarm.roster.is_large(&self.env)
                    && let Some(parent) = swarm.tree.parent()
                {
                    self.links.probe(now, parent, PARENT_SILENT, &mut self.env);
                }
            }
        }
        self.seek_links(now);
        let housekeeping = (!self.swarms.is_empty()).then_some(self.housekeeping_at);
        self.rest_at = [
            self.homes.deadline(&self.env),
            self.negotiator.deadline(&self.env),
            self.mail.deadline(&self.env),
            self.mail_deadline(now),
            self.own.deadline(),
            self.sessions.deadline(),
            self.mended.deadline(),
            self.subscriptions.deadline(now),
            self.view.deadline(),
            housekeeping,
        ]
        .into_iter()
        .flatten()
        .min();
    }

    fn settle_swarm(&mut self, now: Time, discovery: DiscoveryKey) {
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.feeds.is_due(now)) {
            self.flush(now, discovery);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        for (peer, want) in swarm.wants.due(now) {
            self.answer_when_loaded(now, peer, discovery, want);
        }
        self.hear_late(now, discovery);
        self.send_forks(now, discovery);
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let ready = swarm.feeds.on_time(now, &mut self.env);
        swarm.tree.on_time(now, &self.env);
        if swarm.tree.is_lost() {
            // Those who are dead know no way either, whatever they said last.
            let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
            for peer in neighbours {
                self.links.probe(now, peer, SILENT, &mut self.env);
            }
        }
        let mut frames = Vec::new();
        if swarm.tree.has_frames(now) {
            frames = swarm.tree.frames(now, self.links.open().count());
        }
        if swarm.broadcast.deadline().is_some_and(|at| at <= now) {
            let feeds = &swarm.feeds;
            let lacking = |feed, ranges: &_| feeds.lacking(feed, ranges);
            let due = swarm.broadcast.frames(now, swarm.tag, lacking, &self.env);
            // What the tree did not bring: is it still there?
            if due.iter().any(|(_, frame)| matches!(frame, Frame::Graft { .. }))
                && let Some(parent) = swarm.tree.parent()
            {
                self.links.probe(now, parent, SILENT, &mut self.env);
            }
            frames.extend(due);
        }
        frames.extend(swarm.routes.frames(now, swarm.tag, &self.env));
        for (peer, frame) in frames {
            self.links.send(peer, &frame, &mut self.env);
        }
        self.tell_interest(now, discovery);
        let Some(swarm) = self.swarms.get(&discovery) else { return };
        if self.is_complete(now, &discovery, swarm) {
            let mut backlog = swarm.feeds.backlog(&self.env);
            let alone = super::stores::is_alone(swarm);
            self.open_backlog(now, discovery, &mut backlog);
            self.subscriptions.deliver_backlog(now, &discovery, (&backlog, alone), &mut self.env);
        }
        self.say_who_is_here(now, discovery);
        self.deliver(now, discovery, &ready);
        self.settle_keys(now, discovery);
    }

    /// Presence, shuffles and probes, each when it is due.
    fn say_who_is_here(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery).filter(|swarm| swarm.is_talkative(now)) else {
            return;
        };
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        // In a large swarm nobody passes presences on: neighbours alone are told, of what the application says.
        let large = swarm.roster.is_large(&self.env);
        if large {
            swarm.skip_presence(now, &self.env);
        }
        let (links, hops) = if large { (&[][..], limits::HOPS) } else { (&neighbours[..], 0) };
        let links = links.iter().copied();
        if let Some(presence) = swarm.presence(now, links, self.homes.signalers(), &mut self.env) {
            for peer in &neighbours {
                self.links.send(*peer, &Frame::Presence { hops, presence: &presence }, &mut self.env);
            }
        }
        self.mix(now, discovery, &neighbours);
    }

    /// Signs what waits to be published and sends it.
    pub(super) fn flush(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let alone = swarm.synced.is_empty();
        if let Some(kept) = swarm.feeds.flush(now, alone, &mut self.env) {
            self.pass_on(now, &kept, discovery, None);
        }
    }

    pub(super) fn seek_links(&mut self, now: Time) {
        let most = self.env.config.active_view + self.env.config.active_slack;
        while self.negotiator.all().count() > most
            && let Some(worst) = self.negotiator.worst().or_else(|| self.links.suspect())
        {
            // Others have taken its place.
            self.drop_link(now, worst, ByeReason::MadeRoom, "interrupted, and there are others");
        }
        self.give_up_unanswered(now);
        let links = self.working(None);
        let mut parties = Vec::new();
        for (discovery, swarm) in &self.swarms {
            let neighbours = self.links.neighbours(discovery).filter(|peer| self.works(peer)).count();
            // With enough links, only who is alone in a party, or hears nothing of somebody, seeks another.
            let content =
                links >= self.env.config.active_view && neighbours > 0 && swarm.roster.is_large(&self.env);
            if !content && links < most {
                let candidates = swarm.roster.candidates(now, &self.env);
                parties.push(PartyView { discovery: *discovery, candidates, neighbours });
            }
        }
        let busy = |peer: &PeerId| self.negotiator.has(peer);
        let dials = self.view.seek(now, parties, links, busy, &self.backoff, &mut self.env);
        for dial in dials {
            let steps = self.negotiator.dial(now, dial.peer, dial.discovery, dial.urgent, &mut self.env);
            self.take(now, steps);
        }
        let open = self.open_links();
        if let Some(peer) = self.view.surplus(now, &open, &self.env) {
            self.drop_link(now, peer, ByeReason::MadeRoom, "more links than are needed");
        }
    }

    /// How many links work or are being negotiated, but for that with one peer.
    pub(super) fn working(&self, without: Option<&PeerId>) -> usize {
        let counts = |peer: &&PeerId| {
            Some(*peer) != without && !self.negotiator.is_interrupted(peer) && !self.links.is_suspect(peer)
        };
        self.negotiator.all().filter(counts).count()
    }

    /// Connections are few, or some party has no neighbour: a link that signalers forward is better than none.
    fn may_forward(&self) -> bool {
        let connected = self.links.open().filter(|(peer, _)| !self.negotiator.is_forwarded(peer)).count();
        let lonely = |(discovery, swarm): (&DiscoveryKey, &Swarm)| {
            swarm.roster.size() > 1 && self.links.neighbours(discovery).next().is_none()
        };
        self.homes.any_up()
            && (connected * 2 <= self.env.config.active_view || self.swarms.iter().any(lonely))
    }

    fn give_up_unanswered(&mut self, now: Time) {
        let unanswered: Vec<PeerId> =
            self.negotiator.all().filter(|peer| self.negotiator.is_unanswered(now, peer)).copied().collect();
        if unanswered.is_empty() {
            return;
        }
        let others = self.swarms.values().flat_map(|swarm| swarm.roster.candidates(now, &self.env));
        let others = others.map(|(peer, _)| peer).filter(|peer| !self.negotiator.has(peer));
        let open = self.open_links().len();
        for peer in self.view.give_up(now, unanswered, others, open, &self.backoff, &self.env) {
            let steps = self.negotiator.close(peer, "no answer, and there are others", &mut self.env);
            self.take(now, steps);
        }
    }

    fn works(&self, peer: &PeerId) -> bool {
        self.negotiator.healthy(peer) && !self.links.is_suspect(peer)
    }

    /// Open links that work, as the view sees them.
    pub(super) fn open_links(&self) -> Vec<Open> {
        let open = self.links.open().filter(|(peer, _)| self.works(peer));
        open.map(|(peer, since)| {
            let trees = || self.swarms.values().map(|swarm| &swarm.tree);
            let links = trees().filter_map(|tree| tree.links(&peer)).max().unwrap_or_default();
            let cost = trees().filter_map(|tree| tree.cost(&peer)).max().unwrap_or_default();
            Open { peer, links: links.into(), in_tree: trees().any(|tree| tree.has(&peer)), cost, since }
        })
        .collect()
    }

    pub(super) fn tell_drained(&mut self) {
        if !self.queue_was_full {
            return;
        }
        let half = self.env.config.publish_queue / 2;
        let waiting =
            self.swarms.keys().filter_map(|discovery| self.publish_queue(discovery)).max().unwrap_or(0);
        if waiting < half {
            self.queue_was_full = false;
            self.env.event(Event::Drained);
        }
    }
}
