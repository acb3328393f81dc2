//! Swarms with members here that are kept elsewhere: asking for them, being told of them, and telling others.

use core::time::Duration;

use weft_wire::sibling::{Sibling, Watching};
use weft_wire::{DiscoveryKey, Time};

use crate::frames;
use crate::io::ConnId;
use crate::signaler::Signaler;
use crate::timers::Timer;
use crate::watches::{Waiter, Watches};

/// How long a peer's list of members waits for whoever keeps the swarm: many times the way to the other end of the world.
const FILL: Duration = Duration::from_secs(1);
/// How often it is said again that a swarm is watched; each time what both sides have is compared.
pub(crate) const REFRESH: Duration = Duration::from_secs(30);
/// Who did not say so for so long no longer watches: three refreshes.
const OVER: Duration = Duration::from_secs(100);

impl Signaler {
    /// Whether all of a swarm is wanted here, whoever keeps it: members are here, or behind a sibling that relies on us.
    pub(crate) fn wants(&self, discovery: &DiscoveryKey) -> bool {
        self.is_asked_first_hand(discovery) || self.watches.is_watched(discovery)
    }

    /// Whether members are here, or at a home that takes no part in placement and hears of everything from us.
    fn is_asked_first_hand(&self, discovery: &DiscoveryKey) -> bool {
        self.table.is_own(discovery)
            || self
                .table
                .homes(discovery)
                .any(|home| self.links.to(&home).is_some_and(|conn| self.is_unplaced(conn)))
    }

    /// Something changed that decides whether a swarm is to be watched, and at whom.
    pub(crate) fn reconsider(&mut self, now: Time, discovery: &DiscoveryKey) {
        let placed = self.placed(now, discovery);
        let wanted = self.wants(discovery);
        if wanted && !placed.is_whole(&self.us) {
            let _ = self.watches.begin(*discovery);
            return self.steer(now, discovery);
        }
        if let Some(mut watch) = self.watches.end(discovery) {
            if let Some(feeder) = watch.feeder {
                self.say_watch(feeder, *discovery, Watching::End, 0);
            }
            let waiting = watch.fill();
            self.on_filled(now, discovery, waiting);
        }
        if !wanted && !placed.keeps(&self.us) && !self.is_leaving(discovery) {
            self.table.forget_foreign(discovery);
        }
    }

    /// A sibling asks, or answers.
    pub(crate) fn on_watch(
        &mut self,
        now: Time,
        conn: ConnId,
        discovery: DiscoveryKey,
        said: Watching,
        sum: u64,
        hops: u8,
    ) {
        match said {
            Watching::Begin | Watching::Look => {
                let begins = said == Watching::Begin;
                let most = self.config.max_watches_per_sibling as usize;
                if begins && !self.watches.on_begin(discovery, conn, hops > 0, now + OVER, most) {
                    self.counters.refused_watches += 1;
                }
                if self.placed(now, &discovery).keeps(&self.us) {
                    return self.tell_swarm(conn, discovery, sum);
                }
                self.counters.misdirected += 1;
                if begins && hops == 0 {
                    self.counters.forwarded_once += 1;
                    self.reconsider(now, &discovery);
                    if self.watches.wait(&discovery, Waiter::Sibling(conn)).is_none() {
                        return;
                    }
                }
                self.tell_swarm(conn, discovery, sum);
            }
            Watching::End => {
                self.watches.on_end(&discovery, conn);
                self.reconsider(now, &discovery);
            }
            Watching::Done => self.on_watch_done(now, conn, discovery, sum),
        }
    }

    /// The first answer is late: what is known has to do.
    pub(crate) fn on_fill_over(&mut self, now: Time, discovery: &DiscoveryKey) {
        let keepers = self.keepers(now, discovery);
        let Some(watch) = self.watches.ours(discovery).filter(|watch| !watch.filled) else { return };
        let waiting = watch.fill();
        let looks = !core::mem::replace(&mut watch.looked, true);
        let others = keepers.into_iter().filter(|_| looks).filter(|keeper| watch.awaited.insert(*keeper));
        let others: Vec<ConnId> = others.collect();
        let sum = self.table.sum(discovery);
        for other in others {
            self.ask(now, other, *discovery, Watching::Look, sum);
        }
        self.on_filled(now, discovery, waiting);
    }

    /// Says again what is watched, and forgets those that did not.
    pub(crate) fn on_refresh(&mut self, now: Time) {
        self.timers.arm(now + REFRESH, Timer::Refresh);
        self.compare_all(now);
        self.on_moves_refresh(now);
        for discovery in self.watches.on_time(now) {
            self.reconsider(now, &discovery);
        }
        for discovery in self.watches.all() {
            let feeder = |watches: &mut Watches| watches.ours(&discovery).and_then(|watch| watch.feeder);
            let old = feeder(&mut self.watches);
            // Whoever was asked because nobody else could be is left to itself once those who keep the swarm can be.
            self.reconsider(now, &discovery);
            let Some(same) = feeder(&mut self.watches).filter(|feeder| Some(*feeder) == old) else {
                continue;
            };
            let sum = self.table.sum(&discovery);
            if let Some(watch) = self.watches.ours(&discovery) {
                watch.looked = false;
                watch.awaited.insert(same);
            }
            self.ask(now, same, discovery, Watching::Begin, sum);
        }
    }

    /// A link is lost: what came over it comes from elsewhere now.
    pub(crate) fn on_watches_lost(&mut self, now: Time, conn: ConnId) {
        for discovery in self.watches.on_lost(conn) {
            self.reconsider(now, &discovery);
        }
    }

    /// Sees to it that somebody tells us of a swarm that we watch.
    fn steer(&mut self, now: Time, discovery: &DiscoveryKey) {
        let keepers = self.keepers(now, discovery);
        let sum = self.table.sum(discovery);
        let Some(watch) = self.watches.ours(discovery) else { return };
        let old = watch.feeder;
        if old.is_some_and(|feeder| keepers.contains(&feeder)) {
            return;
        }
        // Not all at the same one.
        let first = keepers.len().clamp(1, 2);
        let feeder = keepers.get(usize::from(self.us.0[0]) % first).copied();
        // Nobody in reach keeps it: perhaps somebody knows somebody.
        let any = self.links.up().into_iter().find(|conn| !self.is_unplaced(*conn));
        let feeder = feeder.or_else(|| any.filter(|_| self.is_asked_first_hand(discovery)));
        let Some(watch) = self.watches.ours(discovery) else { return };
        if feeder == old && old.is_some() {
            return;
        }
        watch.feeder = feeder;
        watch.looked = false;
        watch.awaited = feeder.into_iter().collect();
        let filled = watch.filled;
        if !filled {
            self.timers.arm(now + FILL, Timer::Fill(*discovery));
        }
        if let Some(old) = old.filter(|old| self.links.link(*old).is_some()) {
            self.say_watch(old, *discovery, Watching::End, 0);
        }
        // Who has no answer yet wants all of it.
        let sum = if filled { sum } else { 0 };
        match feeder {
            Some(feeder) => self.ask(now, feeder, *discovery, Watching::Begin, sum),
            None => self.on_fill_over(now, discovery),
        }
    }

    /// A sibling has told us what it had.
    pub(crate) fn on_watch_done(&mut self, now: Time, conn: ConnId, discovery: DiscoveryKey, theirs: u64) {
        let keepers = self.keepers(now, &discovery);
        let ours = self.table.sum(&discovery);
        let Some(watch) = self.watches.ours(&discovery) else { return };
        if !watch.awaited.remove(&conn) {
            return;
        }
        let looks = !core::mem::replace(&mut watch.looked, true);
        if looks {
            watch.awaited.extend(keepers.iter().filter(|keeper| **keeper != conn));
        }
        let others: Vec<ConnId> = if looks { watch.awaited.iter().copied().collect() } else { Vec::new() };
        // One that was only just chosen may know of nobody yet.
        let is_filled = watch.awaited.is_empty() || theirs != 0;
        let waiting = if is_filled { watch.fill() } else { Vec::new() };
        for other in others {
            self.ask(now, other, discovery, Watching::Look, ours);
        }
        if ours != theirs {
            self.offer(conn, discovery);
        }
        self.on_filled(now, &discovery, waiting);
    }

    fn on_filled(&mut self, now: Time, discovery: &DiscoveryKey, waiting: Vec<Waiter>) {
        for waiter in waiting {
            match waiter {
                Waiter::Member { conn, peer } => {
                    if self.table.is_local(discovery, &peer, conn) {
                        self.tell_members(conn, peer, discovery, weft_wire::limits::ENTRIES);
                    }
                }
                Waiter::Sibling(conn) => {
                    if self.links.link(conn).is_some() {
                        self.tell_swarm(conn, *discovery, 0);
                    }
                }
                Waiter::Fan { asker, peer, payload } => {
                    self.on_fanout(now, asker, peer, *discovery, &payload);
                }
            }
        }
    }

    /// Tells a sibling that has the entries of `theirs` what else there is.
    fn tell_swarm(&mut self, conn: ConnId, discovery: DiscoveryKey, theirs: u64) {
        let ours = self.table.sum(&discovery);
        if theirs == 0 && ours != 0 {
            let id = self.links.link(conn).and_then(crate::links::Link::id);
            let records: Vec<_> =
                self.table.records(&discovery).filter(|told| Some(told.home) != id).collect();
            self.tell_records(conn, records);
        } else if theirs != ours {
            self.offer(conn, discovery);
        }
        self.say_watch(conn, discovery, Watching::Done, ours);
    }

    /// Links to those who keep a swarm: those first that kept it before.
    fn keepers(&mut self, now: Time, discovery: &DiscoveryKey) -> Vec<ConnId> {
        let all = self.placed(now, discovery).all();
        all.iter().filter(|id| **id != self.us).filter_map(|id| self.placed_link(id)).collect()
    }

    /// Asks after having told what is new here, so that both have the same.
    fn ask(&mut self, now: Time, conn: ConnId, discovery: DiscoveryKey, said: Watching, sum: u64) {
        self.flush_link(now, conn);
        self.say_watch(conn, discovery, said, sum);
    }

    fn say_watch(&mut self, conn: ConnId, discovery: DiscoveryKey, said: Watching, sum: u64) {
        let asks = matches!(said, Watching::Begin | Watching::Look);
        let hops = u8::from(asks && !self.is_asked_first_hand(&discovery));
        self.send(conn, frames::small(&Sibling::Watch { discovery, said, sum, hops }));
    }
}
