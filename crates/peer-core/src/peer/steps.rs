//! What follows from negotiations.

use weft_wire::link::ByeReason;
use weft_wire::sealed::{Refusal, Sealed, Signal};
use weft_wire::{PeerId, Time};

use super::{AFTER_FULL, AFTER_MADE_ROOM, AFTER_MISBEHAVIOUR, Peer};
use crate::api::{Event, LinkState};
use crate::negotiation::{Carrier, Step};

impl Peer {
    pub(super) fn take(&mut self, now: Time, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Send { to, discovery, session, generation, mut signal, attempt } => {
                    if let Signal::Knock { entry, links, .. }
                    | Signal::Offer { entry, links, .. }
                    | Signal::Stream { entry, links, .. } = &mut signal
                    {
                        *entry = self.homes.own_entry(Some(&discovery));
                        *links = u8::try_from(self.links.open().count()).ok();
                    }
                    let sealed = Sealed::Signal { discovery, session, generation, signal };
                    self.seal_and_send(now, to, None, &sealed, (attempt, true));
                }
                Step::Opened { peer, carrier: Carrier::Channel(link), transcript, largest }
                    if self.links.may_be_taken_over(&peer) =>
                {
                    let came = self.negotiator.freeze(&peer).unwrap_or_default();
                    self.links.on_successor(now, peer, (link, largest), transcript, came, &mut self.env);
                }
                Step::Opened { peer, carrier, transcript, largest } => {
                    if carrier != Carrier::Stream {
                        self.negotiator.forget_stream(&peer);
                    }
                    let parties = self.swarms.values().map(|swarm| &swarm.party);
                    self.links.on_opened(now, peer, (carrier, largest), transcript, parties, &mut self.env);
                }
                Step::Chunks { peer, chunks } => {
                    for chunk in chunks {
                        self.on_chunk(now, (peer, Carrier::Stream), &chunk);
                    }
                }
                Step::Drained { peer } => self.links.on_drained(peer, Carrier::Stream, &mut self.env),
                Step::Working { peer, works } if self.links.is_open(&peer) => {
                    let state =
                        if works { LinkState::Open { forwarded: true } } else { LinkState::Interrupted };
                    self.env.event(Event::Link { peer, state });
                }
                Step::Working { .. } => {}
                Step::Packet { to, packet, attempt } => {
                    let contact = self.swarms.values().find_map(|swarm| swarm.roster.contact(&to));
                    let homes = contact.map(|contact| contact.homes).unwrap_or_default();
                    self.homes.forward(to, &homes, &packet, attempt, &mut self.env);
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

    /// The last thing on a link. Over a stream it goes at once, or not at all.
    pub(super) fn say_bye(&mut self, now: Time, peer: PeerId, reason: ByeReason) {
        self.links.bye(peer, reason, &mut self.env);
        self.forward_links(now);
    }

    /// Gives signalers what waits of the links that they forward.
    pub(super) fn forward_links(&mut self, now: Time) {
        for (peer, chunk) in std::mem::take(&mut self.env.streamed) {
            self.negotiator.give(now, &peer, chunk);
        }
        let steps = self.negotiator.packets(now);
        self.take(now, steps);
    }

    pub(super) fn drop_link(&mut self, now: Time, peer: PeerId, reason: ByeReason, text: &str) {
        self.say_bye(now, peer, reason);
        let steps = self.negotiator.close(peer, text, &mut self.env);
        self.take(now, steps);
        match reason {
            ByeReason::NothingInCommon => self.backoff.forget(now, &peer),
            ByeReason::MadeRoom => self.backoff.hold(now, peer, AFTER_MADE_ROOM, &self.env),
            _ => {}
        }
    }
}
