//! Timers, and what follows from everything that happens.

use std::time::Duration;

use weft_wire::link::Link as Frame;
use weft_wire::{DiscoveryKey, PeerId, Time};

use super::Peer;
use crate::api::Event;
use crate::view::PartyView;

/// Rosters are looked at this often for members of whom nothing was heard.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);

impl Peer {
    /// Does whatever is due, and looks for links that are missing.
    pub(super) fn settle(&mut self, now: Time) {
        if self.closed {
            return;
        }
        for event in self.homes.on_time(now, &mut self.env) {
            self.on_home(now, event);
        }
        let steps = self.negotiator.on_time(now, &mut self.env);
        self.take(now, steps);
        for event in self.links.on_time(now, &mut self.env) {
            self.on_link(now, event);
        }
        for letter in self.mail.on_time(now, &mut self.env) {
            self.post(&letter);
        }
        let parties: Vec<DiscoveryKey> = self.swarms.keys().copied().collect();
        for discovery in parties {
            self.settle_swarm(now, discovery);
        }
        if self.housekeeping_at <= now {
            self.housekeeping_at = now + HOUSEKEEPING;
            for (discovery, swarm) in &mut self.swarms {
                for peer in self.links.neighbours(discovery) {
                    let healthy = self.negotiator.healthy(&peer);
                    swarm.roster.on_link_health(now, peer, healthy, &mut self.env);
                }
                swarm.roster.on_time(now, &mut self.env);
            }
        }
        self.seek_links(now);
        self.tell_drained();
    }

    pub(super) fn settle_swarm(&mut self, now: Time, discovery: DiscoveryKey) {
        if self.swarms.get(&discovery).is_some_and(|swarm| swarm.feeds.is_due(now)) {
            self.flush(now, discovery);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let ready = swarm.feeds.on_time(now, &self.env);
        let links = self.links.open().count();
        swarm.tree.on_time(now, &self.env);
        let mut frames = swarm.tree.frames(now, links);
        if swarm.broadcast.has_frames() || swarm.broadcast.deadline().is_some_and(|at| at <= now) {
            let feeds = &swarm.feeds;
            let lacking = |feed, ranges: &_| feeds.lacking(feed, ranges);
            frames.extend(swarm.broadcast.frames(now, swarm.tag, lacking, &self.env));
        }
        for (peer, frame) in frames {
            self.links.send(peer, &frame, &mut self.env);
        }
        if self.subscriptions.complete(now, &discovery) {
            let backlog = swarm.feeds.backlog(&self.env);
            self.subscriptions.deliver_backlog(now, &discovery, &backlog, &mut self.env);
        }
        let neighbours: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        let presence = swarm.presence(now, neighbours.iter().copied(), self.homes.signalers(), &mut self.env);
        if let Some(presence) = presence {
            for peer in neighbours {
                self.links.send(peer, &Frame::Presence { hops: 0, presence: &presence }, &mut self.env);
            }
        }
        self.deliver(discovery, &ready);
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
        let parties = self.swarms.iter().map(|(discovery, swarm)| PartyView {
            discovery: *discovery,
            candidates: swarm.roster.candidates(now, &self.env),
            neighbours: self.links.neighbours(discovery).count(),
        });
        let parties: Vec<PartyView> = parties.collect();
        let links = self.negotiator.count();
        let busy = |peer: &PeerId| self.negotiator.has(peer);
        let dials = self.view.seek(now, parties, links, busy, &self.backoff, &mut self.env);
        for dial in dials {
            let steps = self.negotiator.dial(now, dial.peer, dial.discovery, dial.urgent, &mut self.env);
            self.take(now, steps);
        }
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
