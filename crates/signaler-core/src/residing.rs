//! Telling the residences of our peers that they are at home here, and being told of others'.

use weft_wire::sibling::Sibling;
use weft_wire::{List, PeerId, Time, limits};

use crate::frames;
use crate::io::ConnId;
use crate::signaler::Signaler;
use crate::timers::Timer;

/// Peers whose residences are looked at in one go after something changed: about a millisecond, with 64 signalers.
const RETELL_AT_ONCE: usize = 128;

impl Signaler {
    /// A sibling says who is connected to it.
    pub(crate) fn on_connected_peers(&mut self, conn: ConnId, peers: &[PeerId], gone: &[PeerId]) {
        let most = self.config.max_connections as usize;
        for peer in peers {
            if !self.residences.on_told(conn, *peer, most) {
                self.counters.refused_peers += 1;
            }
        }
        for peer in gone {
            self.residences.on_gone(conn, peer);
        }
    }

    /// A peer came: its residences hear of it.
    pub(crate) fn tell_connected(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.conn(conn).and_then(crate::peers::Peer::id) else { return };
        // So few know each other's peers by their swarms.
        let residence = if self.ring.is_whole() { Vec::new() } else { self.residence(&peer.0) };
        let mut links: Vec<ConnId> = residence.iter().filter_map(|id| self.placed_link(id)).collect();
        links.sort_unstable();
        let Some(at) = self.peers.conn_mut(conn) else { return };
        let told = core::mem::replace(&mut at.residences, links.clone());
        for link in links.iter().filter(|link| !told.contains(link)) {
            self.say_connected(*link, &[peer], &[]);
        }
        for link in told.iter().filter(|link| !links.contains(link)) {
            self.say_connected(*link, &[], &[peer]);
        }
    }

    /// A peer's connection is gone.
    pub(crate) fn tell_disconnected(&mut self, peer: PeerId, residences: &[ConnId]) {
        if self.peers.conn_of(&peer).is_some() {
            return;
        }
        for link in residences {
            self.say_connected(*link, &[], &[peer]);
        }
    }

    /// The ring or a link changed: perhaps other residences are to hear of our peers.
    pub(crate) fn retell_connected(&mut self, now: Time) {
        self.retell = self.peers.all();
        self.timers.arm(now, Timer::Retell);
    }

    /// Looks at a portion of the peers.
    pub(crate) fn on_retell(&mut self, now: Time) {
        for _ in 0..RETELL_AT_ONCE {
            let Some(conn) = self.retell.pop() else { return };
            self.tell_connected(conn);
        }
        self.timers.arm(now, Timer::Retell);
    }

    fn say_connected(&mut self, link: ConnId, peers: &[PeerId], gone: &[PeerId]) {
        if self.links.link(link).is_none() {
            return;
        }
        let list = |peers: &[PeerId]| List::<PeerId, { limits::CONNECTED }>::first(peers.iter().copied());
        self.send(link, frames::small(&Sibling::Connected { peers: list(peers), gone: list(gone) }));
    }
}
