//! One party: its members, its feeds, its neighbours, our presence in it.
//!
//! Inputs: neighbours that come and go, whatever the composition routes here.
//! Outputs: presences of ours that are due.
//! Timers: presence.
//! Invariants: live publications go to a neighbour only after it has said what it has (its want), so that what it gets
//! is in order and without gaps.

use std::time::Duration;

use crate::sorted::{Map, Set};

use weft_crypto::{Party, statement};
use weft_wire::link::Link as Frame;
use weft_wire::membership::Role;
use weft_wire::{Bytes, IdentityId, List, PeerId, Presence, SignalerId, Tag, Time, limits};

use crate::api::Backlog;
use crate::broadcast::Broadcast;
use crate::env::Env;
use crate::feeds::Feeds;
use crate::interest::Interest;
use crate::links::Ours;
use crate::private::Private;
use crate::roster::Roster;
use crate::routes::Routes;
use crate::tree::Tree;
use crate::wants::Wants;

/// What is asked of a further neighbour in a large swarm: two parts of one are found and joined in this time.
const WANT_LATE: Duration = Duration::from_secs(180);
/// Added to the age that is asked for: a want may be so long on its way.
const WANT_WAY: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) party: Party,
    /// Of a private party, who is in it.
    pub(crate) private: Option<Private>,
    joined_at: Time,
    pub(crate) roster: Roster,
    pub(crate) feeds: Feeds,
    /// Names the party between neighbours.
    pub(crate) tag: Tag,
    pub(crate) tree: Tree,
    pub(crate) broadcast: Broadcast,
    pub(crate) routes: Routes,
    pub(crate) interest: Interest,
    pub(crate) wants: Wants,
    /// Neighbours that have said what they have.
    pub(crate) synced: Set<PeerId>,
    /// When a neighbour was first asked for what it has.
    asked: Map<PeerId, Time>,
    pub(crate) ready: bool,
    /// Our presence has been given to the signalers' members.
    pub(crate) introduced: bool,
    presence_at: Time,
    presence_sent: Time,
    /// What our application says of itself here, encoded.
    state: Option<Bytes<{ limits::STATE }>>,
    /// It has not been told since it changed.
    untold: bool,
    pub(crate) shuffle: Rhythm,
    pub(crate) probe: Rhythm,
    /// Whom we asked last for its tree, and when.
    pub(crate) probed: Option<(PeerId, Time)>,
    /// When a neighbour's shuffle was last answered.
    shuffled: Map<PeerId, Time>,
}

/// Which presence of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// All there is to say.
    All,
    /// How to reach us, and no more.
    Contact,
    /// That we are going.
    Goodbye,
}

/// Something that is done again and again, not by everybody at once.
#[derive(Debug, Default)]
pub(crate) struct Rhythm(Option<Time>);

impl Rhythm {
    /// It is time; the next time is between half of the interval and one and a half from now.
    pub(crate) fn is_due(&mut self, now: Time, every: Duration, env: &mut Env) -> bool {
        let due = self.0.is_some_and(|at| at <= now);
        if due || self.0.is_none() {
            let part = u32::try_from(env.below(1001)).unwrap_or_default();
            self.0 = Some(now + every / 2 + every * part / 1000);
        }
        due
    }
}

impl Swarm {
    pub(crate) fn new(party: Party, now: Time, env: &mut Env) -> Self {
        let discovery = party.discovery();
        let tag = Tag::from(&discovery);
        Self {
            party,
            private: None,
            joined_at: now,
            roster: Roster::new(discovery),
            feeds: Feeds::new(discovery, now, env),
            tag,
            tree: Tree::new(tag, now, env),
            broadcast: Broadcast::default(),
            routes: Routes::default(),
            interest: Interest::default(),
            wants: Wants::default(),
            synced: Set::new(),
            asked: Map::new(),
            ready: false,
            introduced: false,
            presence_at: now,
            presence_sent: Time::ZERO,
            state: None,
            untold: false,
            shuffle: Rhythm::default(),
            probe: Rhythm::default(),
            probed: None,
            shuffled: Map::new(),
        }
    }

    /// As links see it.
    pub(crate) fn ours(&self, us: &IdentityId) -> Ours<'_> {
        let members = self.private.as_ref().map(Private::members);
        Ours { party: &self.party, members: members.map(|members| (members, members.role(us).is_some())) }
    }

    /// What somebody may do, in a private party.
    pub(crate) fn role(&self, identity: &IdentityId) -> Option<Role> {
        self.private.as_ref()?.members().role(identity)
    }

    /// Something has come whose key has not.
    pub(crate) fn waits_for_keys(&self) -> bool {
        self.private.as_ref().is_some_and(|private| private.group.is_waiting())
    }

    /// Publications of an identity count here.
    pub(crate) fn may_publish(&self, author: &IdentityId) -> bool {
        self.private.is_none() || self.role(author) >= Some(Role::Writer)
    }

    /// Asks a neighbour for what it has and we have not: what may have been published since we joined, and with `backlog`
    /// all of it, or what is not older than that.
    pub(crate) fn want<'a>(
        &mut self,
        now: Time,
        peer: PeerId,
        backlog: Option<Backlog>,
        wants: Option<&'a [u8]>,
    ) -> Frame<'a> {
        if !self.asked.contains_key(&peer) {
            self.asked.insert(peer, now);
        }
        let mut age = now.since(self.joined_at) + WANT_WAY;
        if wants.is_some() && !self.synced.is_empty() {
            // What we lack of the time before, our other neighbours did not keep from us.
            age = age.min(WANT_LATE);
        }
        let age = match backlog {
            None => Some(age),
            Some(backlog) => backlog.age.map(|most| age.max(most.saturating_add(WANT_WAY))),
        };
        let age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Frame::Want { discovery: self.party.discovery(), age_ms, have: self.feeds.have(), wants }
    }

    /// When a neighbour was first asked for what it has.
    pub(crate) fn asked(&self, peer: &PeerId) -> Option<Time> {
        self.asked.get(peer).copied()
    }

    /// A neighbour is gone.
    pub(crate) fn on_unlinked(&mut self, now: Time, peer: PeerId, env: &mut Env) {
        self.synced.remove(&peer);
        self.asked.remove(&peer);
        self.shuffled.remove(&peer);
        self.tree.on_unlinked(now, &peer, env);
        self.broadcast.on_unlinked(now, &peer);
        self.routes.on_unlinked(now, &peer);
        self.interest.on_unlinked(now, &peer);
        self.wants.on_unlinked(&peer);
        self.feeds.forks.on_unlinked(&peer);
        if let Some(private) = &mut self.private {
            private.group.on_unlinked(&peer);
        }
        self.roster.on_linked(now, peer, false, env);
        self.on_changed(now, env);
    }

    /// A neighbour's shuffle is answered, if the last answer was long enough ago.
    pub(crate) fn may_answer_shuffle(&mut self, now: Time, peer: PeerId, pause: Duration) -> bool {
        let may = self.shuffled.get(&peer).is_none_or(|at| now.since(*at) >= pause);
        if may {
            self.shuffled.insert(peer, now);
        }
        may
    }

    /// Something that our presence says has changed.
    pub(crate) fn on_changed(&mut self, now: Time, env: &Env) {
        let soonest = self.presence_sent + env.config.presence_soonest;
        self.presence_at = self.presence_at.min(if soonest > now { soonest } else { now });
    }

    /// Our application says something else of itself, or nothing any more.
    pub(crate) fn set_state(&mut self, now: Time, state: Option<Vec<u8>>, env: &Env) {
        let state = state.map(Bytes);
        if self.state != state {
            self.state = state;
            self.untold = true;
            self.on_changed(now, env);
        }
    }

    /// Our application says something of itself.
    pub(crate) fn has_state(&self) -> bool {
        self.state.is_some()
    }

    /// Our presence, if it is due.
    pub(crate) fn presence(
        &mut self,
        now: Time,
        links: impl Iterator<Item = PeerId>,
        homes: impl Iterator<Item = SignalerId>,
        env: &mut Env,
    ) -> Option<Vec<u8>> {
        if self.presence_at > now {
            return None;
        }
        self.presence_sent = now;
        self.presence_at = now + env.config.presence_every;
        self.untold = false;
        Some(self.sign_presence(now, Says::All, links, homes, env))
    }

    /// Our presence is due and not sent: in a large swarm nobody passes it on. What our application says of itself
    /// is told to neighbours all the same.
    pub(crate) fn skip_presence(&mut self, now: Time, env: &Env) {
        if self.presence_at <= now && !self.untold {
            self.presence_at = now + env.config.presence_every;
        }
    }

    /// Presence, a shuffle or a probe is due.
    pub(crate) fn is_talkative(&self, now: Time) -> bool {
        let rhythms = [self.shuffle.0, self.probe.0];
        self.presence_at <= now || rhythms.into_iter().any(|at| at.is_none_or(|at| at <= now))
    }

    pub(crate) fn sign_presence(
        &self,
        now: Time,
        says: Says,
        links: impl Iterator<Item = PeerId>,
        homes: impl Iterator<Item = SignalerId>,
        env: &mut Env,
    ) -> Vec<u8> {
        let presence = Presence {
            discovery: self.party.discovery(),
            peer: env.me,
            seq: env.next_stamp(now),
            record: env.record.clone(),
            links: List::first(links),
            homes: List::first(homes),
            left: says == Says::Goodbye,
            forwarded: env.stats.forwarded,
            state: self.state.clone().filter(|_| says == Says::All),
        };
        statement::sign_presence(&env.keys.peer, &presence)
    }

    pub(crate) fn deadline(&self, env: &Env) -> Option<Time> {
        let machines = [
            self.feeds.deadline(env),
            self.tree.deadline(env),
            self.broadcast.deadline(),
            self.routes.deadline(),
            self.wants.deadline(),
            self.roster.deadline(),
            self.private.as_ref().and_then(|private| private.group.deadline()),
            self.roster.is_large(env).then(|| self.interest.deadline(&self.tree)).flatten(),
        ];
        let rhythms = [self.shuffle.0, self.probe.0, Some(self.presence_at)];
        machines.into_iter().chain(rhythms).flatten().min()
    }
}
