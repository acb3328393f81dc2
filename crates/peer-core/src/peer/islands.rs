//! Keeping a swarm mixed and in one piece: shuffles between neighbours, and the question to somebody, through the
//! signalers, whether it is on the same island.

use weft_crypto::statement;
use weft_wire::link::Link as Frame;
use weft_wire::sealed::Sealed;
use weft_wire::{Bytes, DiscoveryKey, List, PeerId, Tag, Time};

use super::Peer;
use crate::roster::Heard;
use crate::swarm::Says;

/// Presences in a shuffle, our own among them.
const SHUFFLED: usize = 3;

impl Peer {
    /// Sends what is due of both.
    pub(super) fn mix(&mut self, now: Time, discovery: DiscoveryKey, neighbours: &[PeerId]) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        let large = swarm.roster.is_large(&self.env);
        if swarm.shuffle.is_due(now, self.env.config.shuffle_every, &mut self.env)
            && large
            && !neighbours.is_empty()
        {
            let to = neighbours[self.env.below(neighbours.len())];
            self.shuffle(now, discovery, to, false);
        }
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if swarm.probe.is_due(now, self.env.config.island_probe, &mut self.env)
            && large
            && !neighbours.is_empty()
            && let Some(to) = swarm.roster.somebody(&mut self.env)
        {
            let (root, seq) = swarm.tree.root();
            swarm.probed = Some((to, now));
            let contents = Sealed::Root { discovery, root, seq, reply: false };
            self.seal_and_send(now, to, None, &contents, (0, true));
        }
    }

    /// Somebody has asked on which island we are, or has answered.
    pub(super) fn on_root(
        &mut self,
        now: Time,
        from: PeerId,
        discovery: DiscoveryKey,
        (root, seq): (Tag, u32),
        reply: bool,
    ) {
        let room = self.working(None) < self.env.config.active_view + self.env.config.active_slack;
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if self.links.shares(&from, &discovery) {
            return;
        }
        let ours = swarm.tree.root();
        if !reply {
            let contents = Sealed::Root { discovery, root: ours.0, seq: ours.1, reply: true };
            self.seal_and_send(now, from, None, &contents, (0, true));
            return;
        }
        let asked = swarm.probed.take_if(|(of, _)| *of == from);
        let in_time = asked.is_some_and(|(_, at)| now.since(at) < self.env.config.signal_give_up);
        if in_time && room && !swarm.tree.agrees(root, seq) {
            // Two trees: one link makes them one.
            let steps = self.negotiator.dial(now, from, discovery, true, &mut self.env);
            self.take(now, steps);
        }
    }

    /// A neighbour tells of members.
    pub(super) fn on_shuffle(
        &mut self,
        now: Time,
        from: PeerId,
        discovery: DiscoveryKey,
        members: &[Bytes<{ weft_wire::limits::PRESENCE }>],
        reply: bool,
    ) {
        for member in members {
            let record =
                statement::peek_presence(&member.0).and_then(|one| statement::peek_record(&one.record));
            if record.is_ok_and(|one| self.revocations.has(now, &one.identity, &one.peer)) {
                continue;
            }
            let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
            if swarm.roster.on_passive(now, &member.0, &mut self.env) == Heard::Forged {
                return self.strike(now, Some(from), "a presence that does not verify");
            }
        }
        // One answer to each neighbour in a while: a question is cheaper than its answer.
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        if !reply && swarm.may_answer_shuffle(now, from, self.env.config.shuffle_every / 4) {
            self.shuffle(now, discovery, from, true);
        }
    }

    fn shuffle(&mut self, now: Time, discovery: DiscoveryKey, to: PeerId, reply: bool) {
        let Some(swarm) = self.swarms.get_mut(&discovery) else { return };
        // Who reads it wants to know how to reach us, and not whom we reach.
        let links = std::iter::empty();
        let homes = self.homes.signalers();
        let ours = swarm.sign_presence(now, Says::Contact, links, homes, &mut self.env);
        let others = swarm.roster.sample(SHUFFLED - 1, &mut self.env);
        let members = List::first(std::iter::once(ours).chain(others).map(Bytes));
        self.links.send(to, &Frame::Shuffle { party: swarm.tag, reply, members }, &mut self.env);
    }
}
