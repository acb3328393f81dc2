//! What signalers say.

use crate::sorted::Set;

use weft_crypto::statement;
use weft_wire::{DiscoveryKey, Entry, PeerId, Time, limits};

use super::Peer;
use super::sealed::Way;
use crate::api::HomeIndex;
use crate::homes::HomeEvent;
use crate::swarm::Says;

impl Peer {
    pub(super) fn on_home(&mut self, now: Time, event: HomeEvent) {
        match event {
            HomeEvent::Up => {
                self.negotiator.on_reachable(now);
                self.on_mail_up(now);
                for swarm in self.swarms.values_mut() {
                    swarm.introduced = false;
                    swarm.on_changed(now, &self.env);
                }
            }
            HomeEvent::Lost(home) => {
                for swarm in self.swarms.values_mut() {
                    swarm.roster.on_home_lost(now, home, &self.env);
                    swarm.on_changed(now, &self.env);
                }
            }
            HomeEvent::Members { home, discovery, entries, total } => {
                let mut listed = Set::new();
                for bytes in entries {
                    listed.extend(self.on_entry(now, home, &bytes).map(|entry| entry.peer));
                }
                if let Some(swarm) = self.swarms.get_mut(&discovery) {
                    swarm.roster.on_list(now, home, &listed, total, &mut self.env);
                }
                self.introduce(now, discovery);
            }
            HomeEvent::Joined { home, entry } => {
                self.on_entry(now, home, &entry);
            }
            HomeEvent::Left { home, discovery, peer } => {
                if let Some(swarm) = self.swarms.get_mut(&discovery) {
                    swarm.roster.on_left(now, home, peer, &mut self.env);
                }
            }
            HomeEvent::Envelope { envelope } => {
                match self.negotiator.on_packet(now, &envelope, &mut self.env) {
                    Some(steps) => self.take(now, steps),
                    None => self.on_envelope(now, &envelope, Way::Signaler),
                }
            }
            HomeEvent::Busy { peer } => {
                let steps = self.negotiator.on_refused(now, peer, false, &mut self.env);
                self.take(now, steps);
            }
            HomeEvent::Answered { re, answer } => self.on_mail_answer(now, re, answer),
            HomeEvent::MailWaits(identity) => {
                if identity == self.env.identity {
                    self.mailbox.on_waits(now, &self.env);
                }
            }
            HomeEvent::Unknown { peer } => {
                self.on_away(now, &peer);
                let steps = self.negotiator.on_refused(now, peer, true, &mut self.env);
                self.take(now, steps);
                // Nobody need wait for an answer to a wish.
                // In a large swarm there are many others.
                let large = self.swarms.values().any(|swarm| swarm.roster.is_large(&self.env));
                let steps = self.negotiator.on_unreachable(now, peer, large, &mut self.env);
                self.take(now, steps);
                for swarm in self.swarms.values_mut() {
                    swarm.roster.on_unreachable(now, peer, &mut self.env);
                }
            }
            HomeEvent::Fanned { discovery, payload } => {
                let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
                match swarm.party.open_fanout(&payload) {
                    Some(presence) => self.on_presence(now, None, limits::HOPS, &presence),
                    None => self.env.stats.unopened += 1,
                }
            }
        }
    }

    pub(super) fn on_entry(&mut self, now: Time, home: HomeIndex, bytes: &[u8]) -> Option<Entry> {
        let Ok(entry) = statement::open_entry(bytes) else {
            self.env.stats.forged += 1;
            self.env.warn("bad-signature", "a signaler passed on a discovery entry that does not verify");
            return None;
        };
        if self.revocations.has(now, &self.env.identity, &entry.peer) {
            return None;
        }
        let swarm = self.swarms.get_mut(&entry.discovery)?;
        swarm.roster.on_entry(now, home, &entry, &mut self.env);
        Some(entry)
    }

    /// Tells the members that signalers know who we are, before there are links to say it over.
    pub(super) fn introduce(&mut self, now: Time, discovery: DiscoveryKey) {
        let Some(swarm) = self.swarms.get_mut(&discovery).filter(|swarm| !swarm.introduced) else { return };
        swarm.introduced = true;
        if swarm.roster.is_large(&self.env) {
            return;
        }
        let links: Vec<PeerId> = self.links.neighbours(&discovery).collect();
        let homes = self.homes.signalers();
        let presence = swarm.sign_presence(now, Says::All, links.into_iter(), homes, &mut self.env);
        let sealed = swarm.party.seal_fanout(&mut self.env.rng, &presence);
        self.homes.fanout(discovery, &sealed, &mut self.env);
    }
}
