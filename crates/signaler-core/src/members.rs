//! The federation's members: who may be one, calling those that were learned of, telling peers of them.

use core::time::Duration;

use bytes::Bytes;
use rand_core::Rng as _;
use weft_wire::sibling::Sibling;
use weft_wire::signaler::FromSignaler;
use weft_wire::{List, SignalerId, Time};

use crate::counters::MemberStatus;
use crate::dials::Dials;
use crate::frames;
use crate::io::{ConnId, Event, Output};
use crate::links::Link;
use crate::membership::{Membership, Told};
use crate::registry::{Registry, Standing};
use crate::signaler::Signaler;
use crate::timers::Timer;

/// What peers are told of the members, encoded once for all of them.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    version: u64,
    frame: Option<Bytes>,
}

/// Least time between two lists that one peer is told: members that come and go cost no more than this.
const ROLL: Duration = Duration::from_secs(10);

impl Signaler {
    /// The signalers that placement chooses for a discovery key or a peer among those that live, the first first.
    pub fn residence(&self, key: &[u8; 32]) -> Vec<SignalerId> {
        self.ring.place(key).now
    }

    /// Whether a signaler may be a sibling and a member. Whoever decides that asks here, and nowhere else.
    pub(crate) fn may_admit(&self, id: &SignalerId) -> bool {
        admits(&self.registry, &self.dials, id)
    }

    pub(crate) fn member_statuses(&self) -> Vec<MemberStatus> {
        self.membership
            .known()
            .map(|known| MemberStatus {
                id: known.card.signaler,
                url: known.card.url.as_deref().map(str::to_owned),
                since: known.card.since,
                active: known.until.is_none(),
            })
            .collect()
    }

    /// A link came up, perhaps of a sibling that understands gossip.
    pub(crate) fn on_member_linked(&mut self, now: Time, conn: ConnId) {
        let Some((id, card)) = self.links.link(conn).and_then(|link| Some((link.id()?, link.card.clone()?)))
        else {
            return;
        };
        match self.membership.check(id, &card) {
            Ok(()) => self.membership.on_linked(now, &card),
            Err(code) => {
                if let Some(link) = self.links.link_mut(conn) {
                    link.card = None;
                }
                self.sibling_strike(now, conn, code);
            }
        }
        self.settle_members(now);
    }

    pub(crate) fn on_member_goodbye(&mut self, now: Time, id: SignalerId) {
        self.membership.on_goodbye(now, id);
        self.settle_members(now);
    }

    pub(crate) fn on_gossip(&mut self, now: Time, conn: ConnId, packet: &[u8]) {
        // Before it admits us there is nobody whom it could speak to.
        let Some(from) = self.links.link(conn).filter(|link| link.is_up()).and_then(Link::id) else { return };
        let (registry, dials, links) = (&self.registry, &self.dials, &self.links);
        let taken = self.membership.on_packet(
            now,
            from,
            packet,
            |id| admits(registry, dials, id),
            |id| links.to(id).is_some(),
        );
        if let Err(code) = taken {
            self.sibling_strike(now, conn, code);
        }
        self.settle_members(now);
    }

    /// Before a shutdown: what is to be stored is not put off.
    pub(crate) fn keep_cards(&mut self, now: Time) {
        self.membership.on_keep();
        self.settle_members(now);
    }

    pub(crate) fn on_members_due(&mut self, now: Time) {
        self.members_armed = None;
        self.membership.on_time(now);
        self.settle_members(now);
    }

    /// Does what the membership wants done, and sees to it that it is asked again in time.
    pub(crate) fn settle_members(&mut self, now: Time) {
        self.on_ring(now);
        while let Some(told) = self.membership.poll() {
            match told {
                Told::Packet { to, packet } => self.pass_packet(&to, &packet),
                Told::Call { id, url } => self.learn(now, id, url),
                Told::Up(id) => self.put(Output::Event(Event::MemberUp(id))),
                Told::Down(id) => self.put(Output::Event(Event::MemberDown(id))),
                Told::Forgotten(id) => self.dials.unlearn(&id),
                Told::Keep(id, card) => self.put(Output::KeepCard { id, card }),
            }
        }
        if let Some(at) = self.membership.deadline()
            && self.members_armed.is_none_or(|armed| at < armed)
        {
            self.members_armed = Some(at);
            self.timers.arm(at, Timer::Members);
        }
    }

    /// Tells an authenticated peer of the members, if there are any and it has not been told of these.
    pub(crate) fn tell_signalers(&mut self, now: Time, conn: ConnId) {
        let version = self.membership.version();
        let Some(peer) = self.peers.conn_mut(conn) else { return };
        let (told, not_before) = peer.roll;
        if told == version || now < not_before {
            return;
        }
        peer.roll = (version, now + ROLL);
        let frame = self.roll.frame(&self.membership);
        self.send(conn, frame);
    }

    /// A packet for a sibling that is not linked, or does not read, is lost: that is what it has to find out.
    fn pass_packet(&mut self, to: &SignalerId, packet: &[u8]) {
        let Some(conn) = self.links.to(to) else { return };
        if self.links.link(conn).is_some_and(|link| link.card.is_some() && !link.is_full()) {
            self.send(conn, frames::carrying(&Sibling::Gossip { packet }, packet.len()));
        }
    }

    /// A member can be called at this URL.
    fn learn(&mut self, now: Time, id: SignalerId, url: Option<String>) {
        let ours = self.config.public_url.as_deref().is_some_and(is_local);
        let url = url.filter(|url| ours || !is_local(url));
        if let Some(dial) = url.and_then(|url| self.dials.learn(id, url)) {
            // Not at once: it may be calling us.
            let wait = self.rng.next_u64() % self.config.redial_min_ms.max(1);
            self.timers.arm(now + Duration::from_millis(wait), Timer::Dial(dial));
        }
    }
}

impl Roll {
    fn frame(&mut self, membership: &Membership) -> Bytes {
        match &self.frame {
            Some(frame) if self.version == membership.version() => frame.clone(),
            _ => {
                let cards: Vec<_> = membership.cards().map(|card| weft_wire::Bytes(card.to_vec())).collect();
                let size = cards.iter().map(|card| card.0.len() + 4).sum();
                let frame = frames::carrying(&FromSignaler::Signalers { cards: List::first(cards) }, size);
                self.version = membership.version();
                self.frame = Some(frame.clone());
                frame
            }
        }
    }
}

/// Whether a URL leads to the machine itself: of use only to those that are on it, too.
fn is_local(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    host.starts_with("127.")
        || host.starts_with("[::1]")
        || host == "localhost"
        || host.starts_with("localhost:")
}

/// What the registry says of a key; where it says nothing, what the configuration says.
fn admits(registry: &Registry, dials: &Dials, id: &SignalerId) -> bool {
    match registry.standing((*id).into()) {
        Standing::Barred => false,
        Standing::Admitted => true,
        Standing::Unknown => dials.may_admit(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_machine_itself_are_told_from_others() {
        for url in ["ws://127.0.0.1:8190", "ws://[::1]:8190/x", "wss://localhost", "ws://localhost:1"] {
            assert!(is_local(url), "{url}");
        }
        for url in ["ws://10.0.0.1:8190", "wss://weft.example", "wss://localhost.example", "wss://[::10]"] {
            assert!(!is_local(url), "{url}");
        }
    }
}
