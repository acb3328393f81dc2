//! Whom to have links with: the active view of HyParView (Leitão, Pereira, Rodrigues, DSN 2007), one for all parties.
//!
//! Signalers give what the paper's forwarded joins give, members chosen at random; the passive view
//! ([`crate::roster`]) is for when there is no signaler. As in the paper, links are symmetric, a peer without links is
//! never refused, and who is short of links takes one with whoever has room.
//!
//! Inputs: candidates of each party, links that there are, wishes of others.
//! Outputs: peers to dial, dials to give up; whether a wish is admitted, and whose place it takes; links to give up.
//! Timers: none of its own; asked after every input and when a wait ends ([`View::deadline`]).
//! Invariants: we seek at most [`Config::active_view`](crate::Config::active_view) links, one more only for a party in
//! which we have none or that seems split; [`Config::active_slack`](crate::Config::active_slack) more places are for
//! peers that have few links themselves, and are cleared when these have found others; room is made for a peer without
//! links at most once in [`Config::make_room_every`](crate::Config::make_room_every); dials follow each other at a
//! rate that is low while there are enough links ([`Pace`]).

use std::time::Duration;

use crate::sorted::Set;

use weft_wire::sealed::Refusal;
use weft_wire::{DiscoveryKey, PeerId, Time};

use crate::backoff::Backoff;
use crate::env::Env;
use crate::pace::Pace;

/// So many links of so many are kept whether they are fast or not.
const AT_RANDOM: u8 = 1;
const OF_LINKS: u8 = 8;
/// A link more than we want is kept this long: who has just come may need it.
const SURPLUS: Duration = Duration::from_secs(5);
/// Time between two dials, with few links and with enough.
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(crate) struct View {
    blocked: Set<PeerId>,
    made_room_at: Option<Time>,
    /// Of dials, at most as many at once as the active view has places: changes of links cost everybody something.
    pace: Pace,
    surplus_since: Option<Time>,
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

/// An open link that may be given up.
pub(crate) struct Open {
    pub(crate) peer: PeerId,
    /// Links the other side has, as far as it said.
    pub(crate) links: usize,
    /// A broadcast tree goes over it.
    pub(crate) in_tree: bool,
    /// Milliseconds of the way.
    pub(crate) cost: u16,
    pub(crate) since: Time,
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

    pub(crate) fn is_blocked(&self, peer: &PeerId) -> bool {
        self.blocked.contains(peer)
    }

    pub(crate) fn unblock(&mut self, peer: &PeerId) {
        self.blocked.remove(peer);
    }

    /// Whom to dial now. `links`: how many work or are being negotiated; `busy`: with whom.
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
        let wanted = env.config.active_view;
        let most = wanted + env.config.active_slack;
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
                } else {
                    self.wake(ready_at);
                }
            }
            shuffle(&mut free, env);
            // Who may be on another island first.
            free.sort_by_key(|(_, unreached)| !unreached);
            for (sought, (peer, unreached)) in (pending..).zip(free) {
                let exception = links < most && sought == 0 && (lonely || unreached);
                if links >= wanted && !exception {
                    break;
                }
                // Alone there is nothing to lose and nobody to disturb.
                let every = if party.neighbours * 2 <= wanted { SOON } else { LATER };
                if !(lonely && sought == 0)
                    && let Err(at) =
                        self.pace.take(now, every, every * u32::try_from(wanted).unwrap_or(u32::MAX))
                {
                    self.wake(at);
                    break;
                }
                dials.push(Dial { peer, discovery: party.discovery, urgent: lonely });
                links += 1;
            }
        }
        dials
    }

    /// Dials to give up. With few links, who does not answer makes room for members (`others`) that could be asked instead:
    /// where most are dead, as signalers may not know yet, they would take all places.
    pub(crate) fn give_up(
        &self,
        now: Time,
        mut unanswered: Vec<PeerId>,
        others: impl Iterator<Item = PeerId>,
        open: usize,
        backoff: &Backoff,
        env: &Env,
    ) -> Vec<PeerId> {
        if open * 2 > env.config.active_view {
            return Vec::new();
        }
        let free = others.filter(|peer| !self.is_blocked(peer) && backoff.ready_at(peer) <= now);
        unanswered.truncate(free.count());
        unanswered
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.wake_at.into_iter().chain(self.surplus_since.map(|at| at + SURPLUS)).min()
    }

    /// Whether a new wish is granted. `theirs`: how many links the other side says it has.
    pub(crate) fn admit(
        &mut self,
        now: Time,
        from: &PeerId,
        (urgent, theirs): (bool, Option<u8>),
        links: usize,
        open: &[Open],
        env: &mut Env,
    ) -> Admission {
        if self.blocked.contains(from) {
            return Admission::Refuse(Refusal::Blocked);
        }
        let few = urgent || theirs.is_none_or(|theirs| usize::from(theirs) * 2 <= env.config.active_view);
        let places = env.config.active_view + if few { env.config.active_slack } else { 0 };
        if links < places {
            return Admission::Accept;
        }
        let rested = self.made_room_at.is_none_or(|at| now.since(at) >= env.config.make_room_every);
        match least_needed(open, env).filter(|_| urgent && rested) {
            Some(peer) => {
                self.made_room_at = Some(now);
                Admission::InPlaceOf(peer)
            }
            None => Admission::Refuse(Refusal::Full),
        }
    }

    /// A link to give up because there are more than we want, and the other side has enough.
    pub(crate) fn surplus(&mut self, now: Time, open: &[Open], env: &Env) -> Option<PeerId> {
        if open.len() <= env.config.active_view {
            self.surplus_since = None;
            return None;
        }
        let since = *self.surplus_since.get_or_insert(now);
        if now.since(since) < SURPLUS {
            return None;
        }
        self.surplus_since = Some(now);
        let enough = |one: &&Open| one.links * 2 > env.config.active_view && now.since(one.since) >= SURPLUS;
        let least = |one: &&Open| {
            let at_random = is_at_random(&one.peer, &env.me);
            (!one.in_tree, !at_random, if at_random { one.links } else { one.cost.into() })
        };
        open.iter().filter(enough).max_by_key(least).map(|one| one.peer)
    }

    fn wake(&mut self, at: Time) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// A link between these two does not have to be fast; both sides agree on that. If all had to be, a swarm would fall
/// apart into those who are near each other.
fn is_at_random(a: &PeerId, b: &PeerId) -> bool {
    (a.0[0] ^ b.0[0]) % OF_LINKS < AT_RANDOM
}

/// The link whose other side will miss it least.
fn least_needed(open: &[Open], env: &mut Env) -> Option<PeerId> {
    let most = open.iter().map(|one| one.links).max()?;
    let among: Vec<PeerId> = open.iter().filter(|one| one.links == most).map(|one| one.peer).collect();
    Some(among[env.below(among.len())])
}

/// Fisher and Yates' shuffle.
fn shuffle<T>(items: &mut [T], env: &mut Env) {
    for i in (1..items.len()).rev() {
        items.swap(i, env.below(i + 1));
    }
}
