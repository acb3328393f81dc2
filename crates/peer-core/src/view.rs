//! Whom to have links with: the active view.
//!
//! Inputs: candidates of each party, links that there are, wishes of others.
//! Outputs: peers to dial; whether a wish is admitted, and whose place it takes.
//! Timers: none of its own; asked after every input and when a wait ends ([`View::deadline`]).
//! Invariants: we seek at most [`Config::active_view`](crate::Config::active_view) links, one more only for a party in
//! which we have none or that seems split; we accept at most
//! [`Config::active_slack`](crate::Config::active_slack) beyond that; room is made for a peer without links at most
//! once in [`Config::make_room_every`](crate::Config::make_room_every).
//!
//! This is the place of a HyParView: its interface is what such a machine needs.

use crate::sorted::Set;

use weft_wire::sealed::Refusal;
use weft_wire::{DiscoveryKey, PeerId, Time};

use crate::backoff::Backoff;
use crate::env::Env;

#[derive(Debug, Default)]
pub(crate) struct View {
    blocked: Set<PeerId>,
    made_room_at: Option<Time>,
    wake_at: Option<Time>,
}

/// A party as this machine sees it.
pub(crate) struct PartyView {
    pub(crate) discovery: DiscoveryKey,
    /// Members without a link, and whether nothing of them came over the mesh lately.
    pub(crate) candidates: Vec<(PeerId, bool)>,
    pub(crate) neighbours: usize,
}

/// A peer to dial.
pub(crate) struct Dial {
    pub(crate) peer: PeerId,
    pub(crate) discovery: DiscoveryKey,
    pub(crate) urgent: bool,
}

/// Whether a wish for a link is granted.
pub(crate) enum Admission {
    Accept,
    /// Accept, and close the link with this peer first.
    InPlaceOf(PeerId),
    Refuse(Refusal),
}

impl View {
    pub(crate) fn block(&mut self, peer: PeerId) {
        self.blocked.insert(peer);
    }

    pub(crate) fn unblock(&mut self, peer: &PeerId) {
        self.blocked.remove(peer);
    }

    /// Whom to dial now. `links`: how many are open or being negotiated; `busy`: with whom.
    pub(crate) fn seek(
        &mut self,
        now: Time,
        parties: Vec<PartyView>,
        links: usize,
        busy: impl Fn(&PeerId) -> bool,
        backoff: &Backoff,
        env: &mut Env,
    ) -> Vec<Dial> {
        self.wake_at = None;
        let mut dials: Vec<Dial> = Vec::new();
        let mut links = links;
        let most = env.config.active_view + env.config.active_slack;
        for party in parties {
            let pending = party.candidates.iter().filter(|(peer, _)| busy(peer)).count();
            let lonely = party.neighbours == 0;
            let mut free: Vec<(PeerId, bool)> = Vec::new();
            for (peer, unreached) in party.candidates {
                if busy(&peer) || self.blocked.contains(&peer) || dials.iter().any(|dial| dial.peer == peer) {
                    continue;
                }
                let ready_at = backoff.ready_at(&peer);
                if ready_at <= now {
                    free.push((peer, unreached));
                } else if self.wake_at.is_none_or(|at| ready_at < at) {
                    self.wake_at = Some(ready_at);
                }
            }
            shuffle(&mut free, env);
            // Who may be on another island first.
            free.sort_by_key(|(_, unreached)| !unreached);
            for (sought, (peer, unreached)) in (pending..).zip(free) {
                let room = links < env.config.active_view;
                let exception = links < most && sought == 0 && (lonely || unreached);
                if !room && !exception {
                    break;
                }
                dials.push(Dial { peer, discovery: party.discovery, urgent: lonely });
                links += 1;
            }
        }
        dials
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.wake_at
    }

    /// Whether a new wish is granted. `open`: peers with an open link.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        from: &PeerId,
        urgent: bool,
        links: usize,
        open: &[PeerId],
        env: &mut Env,
    ) -> Admission {
        if self.blocked.contains(from) {
            return Admission::Refuse(Refusal::Blocked);
        }
        if links < env.config.active_view + env.config.active_slack {
            return Admission::Accept;
        }
        let rested = self.made_room_at.is_none_or(|at| now.since(at) >= env.config.make_room_every);
        if !urgent || !rested || open.is_empty() {
            return Admission::Refuse(Refusal::Full);
        }
        self.made_room_at = Some(now);
        Admission::InPlaceOf(open[env.below(open.len())])
    }
}

/// Fisher and Yates' shuffle.
fn shuffle<T>(items: &mut [T], env: &mut Env) {
    for i in (1..items.len()).rev() {
        items.swap(i, env.below(i + 1));
    }
}
