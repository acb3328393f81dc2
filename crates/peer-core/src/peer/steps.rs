//! What follows from negotiations.

use weft_wire::link::ByeReason;
use weft_wire::sealed::{Refusal, Sealed, Signal};
use weft_wire::{PeerId, Time};

use super::{AFTER_FULL, AFTER_MADE_ROOM, AFTER_MISBEHAVIOUR, Peer};
use crate::negotiation::Step;

impl Peer {
    pub(super) fn take(&mut self, now: Time, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send { to, discovery, session, generation, mut signal, attempt } => {
                    if let Signal::Knock { entry, links, .. } | Signal::Offer { entry, links, .. } =
                        &mut signal
                    {
                        *entry = self.homes.own_entry(Some(&discovery));
                        *links = u8::try_from(self.links.open().count()).ok();
                    }
                    let sealed = Sealed::Signal { discovery, session, generation, signal };
                    self.seal_and_send(now, to, None, &sealed, (attempt, true));
                }
                Step::Opened { peer, link, transcript } => {
                    let parties = self.swarms.values().map(|swarm| &swarm.party);
                    self.links.on_opened(now, peer, link, transcript, parties, &mut self.env);
                }
                Step::Doubted { peer } => self.links.ping(now, peer, &mut self.env),
                Step::Ended { peer, refusal, open_since } => {
                    self.on_ended(now, peer, refusal, open_since);
                }
            }
        }
    }

    pub(super) fn on_ended(
        &mut self,
        now: Time,
        peer: PeerId,
        refusal: Option<Refusal>,
        open_since: Option<Time>,
    ) {
        self.mended.forget(&peer);
        if self.links.remove(&peer) {
            for (discovery, swarm) in &mut self.swarms {
                swarm.on_unlinked(now, peer, &mut self.env);
                self.subscriptions.on_answered(discovery, peer);
            }
        }
        match refusal {
            Some(Refusal::Full | Refusal::NotInSwarm) => self.backoff.hold(now, peer, AFTER_FULL, &self.env),
            Some(Refusal::Blocked) => self.backoff.hold(now, peer, AFTER_MISBEHAVIOUR, &self.env),
            Some(Refusal::UnknownSession) => {}
            _ => self.backoff.on_ended(now, peer, open_since.map(|at| now.since(at)), &self.env),
        }
    }

    pub(super) fn drop_link(&mut self, now: Time, peer: PeerId, reason: ByeReason, text: &str) {
        self.links.bye(peer, reason, &mut self.env);
        let steps = self.negotiator.close(peer, text, &mut self.env);
        self.take(now, steps);
        match reason {
            ByeReason::NothingInCommon => self.backoff.forget(now, &peer),
            ByeReason::MadeRoom => self.backoff.hold(now, peer, AFTER_MADE_ROOM, &self.env),
            _ => {}
        }
    }
}
