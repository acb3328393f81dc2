//! Envelopes that go over several links, and searches for ways.

use weft_crypto::statement;
use weft_wire::link::Link as Frame;
use weft_wire::{IdentityId, PeerId, Tag, Time, limits};

use super::Peer;
use super::sealed::Way;
use crate::diagnosis::{self, Diagnosis, Facts};

impl Peer {
    /// An envelope has come over a link: it is for us, or goes on.
    pub(super) fn on_way(
        &mut self,
        now: Time,
        from: PeerId,
        (to, hops, left): (PeerId, u8, Option<u8>),
        envelope: &[u8],
    ) {
        let hops = hops.saturating_add(1);
        if to == self.env.me {
            return self.on_envelope(now, envelope, Way::Mesh(hops));
        }
        if envelope.len() > limits::ENVELOPE || hops >= limits::HOPS {
            return;
        }
        // Wherever it is a neighbour first: it has one allowance.
        let may =
            self.swarms.values_mut().find_map(|swarm| swarm.routes.may_pass(now, &from, envelope.len()));
        if may != Some(true) {
            return;
        }
        let left = left.map_or(u8::from(hops == 1), |left| left.min(limits::HOPS));
        self.go_on(now, (to, hops, left), envelope, 0);
    }

    /// Gives an envelope to the next link of its way, if there is one of at most so many links.
    fn go_on(
        &mut self,
        now: Time,
        (to, hops, left): (PeerId, u8, u8),
        envelope: &[u8],
        detour: usize,
    ) -> bool {
        if left == 0 {
            return false;
        }
        // Our own came here to go around the link, if there is one.
        let (via, left) = if hops > 0 && self.links.is_open(&to) && !self.links.is_suspect(&to) {
            (to, 0)
        } else {
            let ways = self.swarms.values().filter_map(|swarm| swarm.routes.way(now, &to, detour, left));
            let Some((via, _)) = ways.min_by_key(|(_, links)| *links) else { return false };
            (via, left - 1)
        };
        // What is passed on for others does not fill a link up.
        if hops > 0 && self.links.queued(&via) > self.env.config.link_queue / 4 {
            return false;
        }
        let frame = Frame::Envelope { to, hops, envelope, left: Some(left) };
        self.links.send(via, &frame, &mut self.env)
    }

    /// Sends an envelope of ours over several links. Later attempts take other ways, if there are any.
    pub(super) fn send_over_mesh(&mut self, now: Time, to: PeerId, envelope: &[u8], attempt: u32) -> bool {
        let detour = attempt.saturating_sub(1) as usize;
        let ways = self.swarms.values().filter_map(|swarm| swarm.routes.way(now, &to, detour, limits::HOPS));
        // One more than the way is long: it may have changed meanwhile.
        let left = ways.map(|(_, links)| links.saturating_add(1)).min();
        left.is_some_and(|left| self.go_on(now, (to, 0, left), envelope, detour))
    }

    /// There is a way to a peer over links.
    pub(super) fn has_way(&self, now: Time, to: &PeerId) -> bool {
        self.links.is_open(to)
            || self.swarms.values().any(|swarm| swarm.routes.way(now, to, 0, limits::HOPS).is_some())
    }

    /// Why a peer is, or is not, directly connected, and what would help.
    pub(super) fn diagnosis(&self, now: Time, peer: PeerId) -> Diagnosis {
        let ways = self.swarms.values().filter_map(|swarm| swarm.routes.way(now, &peer, 0, limits::HOPS));
        diagnosis::diagnose(&Facts {
            peer,
            linked: self.links.is_open(&peer),
            forwarded: self.negotiator.is_forwarded(&peer),
            works: self.negotiator.healthy(&peer),
            trying: self.negotiator.has(&peer),
            links_to: ways.map(|(_, links)| links).min(),
            signaler: self.homes.any_up(),
            attempt: self.negotiator.attempt(&peer),
        })
    }

    /// Looks for the peers of an identity in every party.
    pub(super) fn search(&mut self, identity: &IdentityId) {
        let target = Tag::from(identity);
        let mut frames = Vec::new();
        for swarm in self.swarms.values_mut() {
            frames.extend(swarm.routes.search(swarm.tag, target, true, &mut self.env));
        }
        for (peer, frame) in frames {
            self.links.send(peer, &frame, &mut self.env);
        }
    }

    pub(super) fn on_seek(&mut self, now: Time, from: PeerId, party: Tag, frame: &Frame<'_>) {
        let &Frame::Seek { origin, .. } = frame else { return };
        let Some((swarm, env)) = self.common_mut(&from, party) else { return };
        let (frames, ours) = swarm.routes.on_seek(now, from, frame, env);
        if ours {
            let record = self.env.record.clone();
            let found = Frame::Found { party, origin, hops: 0, record: &record };
            self.links.send(from, &found, &mut self.env);
        }
        for (peer, frame) in frames {
            self.links.send(peer, &frame, &mut self.env);
        }
    }

    pub(super) fn on_found(
        &mut self,
        now: Time,
        from: PeerId,
        party: Tag,
        (origin, hops): (Tag, u8),
        bytes: &[u8],
    ) {
        let me = Tag::from(&self.env.me);
        if self.common_mut(&from, party).is_none() {
            return;
        }
        let Ok(record) = statement::open_record(bytes) else {
            return self.strike(now, Some(from), "a peer record that does not verify");
        };
        let unasked = origin == me && !self.mail.seeks(&record.identity);
        let revoked = self.revocations.has(now, &record.identity, &record.peer);
        if unasked || revoked || record.until <= now.millis() || record.peer == self.env.me {
            return;
        }
        let Some((swarm, _)) = self.common_mut(&from, party) else { return };
        let back = swarm.routes.on_found(now, from, (origin, me), &record.peer, hops);
        if origin != me {
            // What is passed on for others does not fill a link up.
            if let Some((to, hops)) = back
                && self.links.queued(&to) <= self.env.config.link_queue / 4
            {
                self.links.send(to, &Frame::Found { party, origin, hops, record: bytes }, &mut self.env);
            }
            return;
        }
        let discovery = swarm.party.discovery();
        if let Some(swarm) = self.swarms.get_mut(&discovery).filter(|_| self.mail.seeks(&record.identity)) {
            swarm.roster.on_found(now, &record, &self.env);
            self.mail.on_known(now, &record.identity);
        }
    }
}
