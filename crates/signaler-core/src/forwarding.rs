//! Forwarding: envelopes to one peer, payloads to all members of a swarm, here or at siblings. Nothing is ever flooded.

use weft_wire::sibling::Sibling;
use weft_wire::signaler::FromSignaler;
use weft_wire::{Code, DiscoveryKey, PeerId, SignalerId, Time, limits};

use crate::frames;
use crate::io::ConnId;
use crate::pending::{Asker, Wants};
use crate::signaler::Signaler;
use crate::timers::Timer;
use crate::watches::Waiter;

/// An envelope on its way.
pub(crate) struct Passage<'a> {
    pub(crate) to: PeerId,
    pub(crate) home: Option<SignalerId>,
    /// Taken so far.
    pub(crate) hops: u8,
    /// The sibling that passed it on.
    pub(crate) from: Option<ConnId>,
    pub(crate) envelope: &'a [u8],
}

/// A payload on its way to the members at one home.
pub(crate) struct Fan<'a> {
    pub(crate) discovery: DiscoveryKey,
    pub(crate) home: SignalerId,
    /// Taken so far.
    pub(crate) hops: u8,
    pub(crate) sender: PeerId,
    pub(crate) payload: &'a [u8],
}

impl Signaler {
    pub(crate) fn on_forward(&mut self, now: Time, asker: Asker, passage: &Passage<'_>) {
        let outcome = if passage.envelope.len() > limits::ENVELOPE {
            Some(Err(Code::TooLarge))
        } else {
            self.pass(now, asker, passage)
        };
        if let Some(outcome) = outcome {
            self.answer(asker, outcome);
        }
    }

    pub(crate) fn on_sibling_forward(&mut self, now: Time, conn: ConnId, re: u32, passage: &Passage<'_>) {
        let asker = Asker { conn, re, wants: Wants::Outcome };
        let here = passage.home == Some(self.us);
        let outcome = if passage.envelope.len() > limits::ENVELOPE {
            Some(Err(Code::TooLarge))
        } else if here && !self.knows_better(passage) {
            Some(Err(Code::UnknownPeer))
        } else if passage.hops >= limits::HOPS {
            Some(Err(Code::TooManyHops))
        } else {
            self.pass(now, asker, passage)
        };
        if let Some(outcome) = outcome {
            self.answer(asker, outcome);
        }
    }

    pub(crate) fn on_fanout(
        &mut self,
        now: Time,
        asker: Asker,
        peer: PeerId,
        discovery: DiscoveryKey,
        payload: &[u8],
    ) {
        let Asker { conn, re, .. } = asker;
        if payload.len() > limits::ENVELOPE {
            return self.refuse(conn, Code::TooLarge, Some(re), Some(discovery));
        }
        if !self.table.is_local(&discovery, &peer, conn) {
            return self.refuse(conn, Code::NotAMember, Some(re), Some(discovery));
        }
        if self.watches.is_filling(&discovery) {
            // Who else is there is being found out.
            let _ = self.watches.wait(&discovery, Waiter::Fan { asker, peer, payload: payload.to_vec() });
            return;
        }
        self.fan(discovery, peer, payload);
        let homes: Vec<SignalerId> = self.table.homes(&discovery).collect();
        for home in homes {
            if let Some(link) = self.links.next_hop(&home, None) {
                let re = self.pending.unawaited();
                let frame = Sibling::Fanout { re, discovery, home, hops: 0, from: peer, payload };
                // A home that is too busy misses this one; counted.
                let _ = self.pass_fanout(now, link, &frame, payload.len());
            }
        }
        self.answer(asker, Ok(()));
    }

    pub(crate) fn on_sibling_fanout(&mut self, now: Time, conn: ConnId, re: u32, fan: &Fan<'_>) {
        let Fan { discovery, home, hops, sender, payload } = *fan;
        let outcome = if payload.len() > limits::ENVELOPE {
            Err(Code::TooLarge)
        } else if home == self.us {
            self.fan(discovery, sender, payload);
            Ok(())
        } else if hops >= limits::HOPS {
            Err(Code::TooManyHops)
        } else if let Some(link) = self.links.next_hop(&home, Some(conn)) {
            let re = self.pending.unawaited();
            let frame = Sibling::Fanout { re, discovery, home, hops: hops + 1, from: sender, payload };
            self.pass_fanout(now, link, &frame, payload.len())
        } else {
            Err(Code::SiblingUnreachable)
        };
        self.answer(Asker { conn, re, wants: Wants::Outcome }, outcome);
    }

    pub(crate) fn on_outcome(&mut self, conn: ConnId, re: u32, code: Option<Code>) {
        if let Some(asker) = self.pending.on_outcome(conn, re) {
            self.answer(asker, code.map_or(Ok(()), Err));
        }
    }

    /// Outcomes that did not come in time.
    pub(crate) fn on_overdue(&mut self, now: Time) {
        self.pending_armed = false;
        while let Some(asker) = self.pending.overdue(now) {
            self.answer(asker, Err(Code::SiblingUnreachable));
        }
        self.arm_pending();
    }

    /// Outcomes that will not come: their link is lost.
    pub(crate) fn on_outcomes_lost(&mut self, conn: ConnId) {
        for asker in self.pending.on_lost(conn) {
            self.answer(asker, Err(Code::SiblingUnreachable));
        }
    }

    /// Whether an envelope that was sent here can go on: to its recipient, or, if we are only its residence, to its home.
    fn knows_better(&self, passage: &Passage<'_>) -> bool {
        self.peers.conn_of(&passage.to).is_some()
            || (passage.hops == 0 && !self.residences.homes(&passage.to).is_empty())
    }

    /// Hands an envelope to its recipient or to the next signaler. None: the outcome is awaited.
    fn pass(&mut self, now: Time, asker: Asker, passage: &Passage<'_>) -> Option<Result<(), Code>> {
        if let Some(conn) = self.peers.conn_of(&passage.to) {
            return Some(self.deliver(conn, passage.envelope));
        }
        let Some((home, link)) = self.way(passage) else {
            let known = passage.home.is_some_and(|home| home != self.us)
                || self.table.whereabouts(&passage.to).next().is_some();
            return Some(Err(if known { Code::SiblingUnreachable } else { Code::UnknownPeer }));
        };
        if self.links.link(link).is_none_or(crate::links::Link::is_full) {
            return Some(Err(Code::RecipientBusy));
        }
        let until = now + self.config.outcome();
        let Some(re) = self.pending.wait(asker, link, until, self.config.max_pending as usize) else {
            return Some(Err(Code::RateLimited));
        };
        self.arm_pending();
        self.flush_link(now, link);
        let hops = passage.hops + u8::from(passage.from.is_some());
        let frame = Sibling::Forward { re, to: passage.to, home, hops, envelope: passage.envelope };
        self.counters.passed_on += 1;
        self.send(link, frames::carrying(&frame, passage.envelope.len()));
        None
    }

    /// The home to aim at and the link towards it. The hint counts where the table agrees with it or knows nothing.
    fn way(&self, passage: &Passage<'_>) -> Option<(SignalerId, ConnId)> {
        let hint = passage.home;
        let agreed = hint.filter(|hint| self.table.whereabouts(&passage.to).any(|home| home == *hint));
        let told = self.residences.homes(&passage.to).iter();
        let told = told.filter_map(|conn| self.links.link(*conn)?.id());
        let homes = agreed.into_iter().chain(self.table.whereabouts(&passage.to)).chain(told);
        homes
            .chain(hint)
            .filter(|home| *home != self.us)
            .find_map(|home| Some((home, self.links.next_hop(&home, passage.from)?)))
            .or_else(|| self.residence_of(passage))
    }

    /// Whoever knows where a peer is whose home is unknown here. Only the first signaler asks, and nobody asks again.
    fn residence_of(&self, passage: &Passage<'_>) -> Option<(SignalerId, ConnId)> {
        if passage.from.is_some() {
            return None;
        }
        let placed = self.ring.place(&passage.to.0);
        if placed.is_whole(&self.us) {
            return None;
        }
        let others = placed.all().into_iter().filter(|id| *id != self.us);
        others.into_iter().find_map(|id| Some((id, self.placed_link(&id)?)))
    }

    fn deliver(&mut self, conn: ConnId, envelope: &[u8]) -> Result<(), Code> {
        if self.peers.conn(conn).is_none_or(crate::peers::Peer::is_full) {
            return Err(Code::RecipientBusy);
        }
        self.counters.delivered += 1;
        self.send(conn, frames::carrying(&FromSignaler::Deliver { envelope }, envelope.len()));
        Ok(())
    }

    /// Hands a payload to every local member but its sender: one encoding, shared.
    fn fan(&mut self, discovery: DiscoveryKey, from: PeerId, payload: &[u8]) {
        let count = self.table.locals(&discovery).len();
        if count == 0 {
            return;
        }
        let frame = frames::carrying(&FromSignaler::Fanned { discovery, payload }, payload.len());
        for at in 0..count {
            let Some(local) = self.table.locals(&discovery).get(at).copied() else { break };
            if local.peer == from {
                continue;
            }
            if self.peers.conn(local.conn).is_none_or(crate::peers::Peer::is_full) {
                self.counters.dropped_fanned += 1;
                continue;
            }
            self.counters.fanned += 1;
            self.send(local.conn, frame.clone());
        }
    }

    fn pass_fanout(&mut self, now: Time, link: ConnId, frame: &Sibling<'_>, len: usize) -> Result<(), Code> {
        if self.links.link(link).is_none_or(crate::links::Link::is_full) {
            self.counters.dropped_fanned += 1;
            return Err(Code::RecipientBusy);
        }
        self.flush_link(now, link);
        self.counters.passed_on += 1;
        self.send(link, frames::carrying(frame, len));
        Ok(())
    }

    pub(crate) fn answer(&mut self, asker: Asker, outcome: Result<(), Code>) {
        let Asker { conn, re, wants } = asker;
        match (wants, outcome) {
            (Wants::Failure, Ok(())) => {}
            (Wants::Failure | Wants::Ack, _) if self.peers.conn(conn).is_none() => {}
            (Wants::Ack, Ok(())) => self.send(conn, frames::small(&FromSignaler::Ack { re })),
            (Wants::Failure | Wants::Ack, Err(code)) => self.refuse(conn, code, Some(re), None),
            (Wants::Outcome, _) => {
                if self.links.link(conn).is_some() {
                    self.send(conn, frames::small(&Sibling::Outcome { re, code: outcome.err() }));
                }
            }
        }
    }

    pub(crate) fn arm_pending(&mut self) {
        if !self.pending_armed
            && let Some(at) = self.pending.deadline()
        {
            self.pending_armed = true;
            self.timers.arm(at, Timer::Pending);
        }
    }
}
