//! Signalers and peers that only announce themselves: is everybody found, whatever happens to the signalers?
//!
//! All the while some peers of each signaler ask who is in a swarm. An announced peer is *due* in the answer if it was confirmed
//! some seconds ago, its home has not withdrawn it, its entry has not expired, and one of those that kept the swarm when the
//! trouble began has lived since and is in reach of the signaler that is asked. Once the trouble is over the tables themselves
//! are looked at: everybody must be known to all who keep its swarm now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_crypto::placement::placed;
use weft_wire::{DiscoveryKey, PeerId, SignalerId, Time};

use crate::cost::Stopwatch;
use crate::engine::announced_node::{ASKING, REFRESH, TTL};
use crate::engine::parcel::Act;
use crate::engine::{
    AnnouncedNode, Answer, Dice, Divided, NodeId, START, SignalerNode, Stand, Violation, World,
};
use crate::report::{Federation, Lookups, PhaseReport, Report, Spread, Totals, count, figure, round};
use crate::run::{Failure, Options};
use crate::scenario::{Announced, Phase, Scenario, seconds};
use crate::simulate::Results;

/// A peer is due once it has been confirmed for so long.
const AGE: Duration = Duration::from_secs(3);
/// Before its entry expires by some clock, a peer is no longer due for so long.
const MARGIN: Duration = Duration::from_secs(5);
/// How often answers are looked at and new questions asked.
const STEP: Duration = Duration::from_millis(500);
/// Peers that ask, at each signaler.
const ASKERS: u32 = 2;
/// What goes on is told so often.
const TELL: u64 = 10;

/// Peers of one swarm.
#[derive(Debug)]
struct Swarm {
    discovery: DiscoveryKey,
    members: Vec<NodeId>,
}

struct Run<'a> {
    scenario: &'a Scenario,
    world: World,
    dice: Dice,
    progress: &'a mut dyn FnMut(&str),
    swarms: Vec<Swarm>,
    places: BTreeMap<DiscoveryKey, usize>,
    askers: Vec<NodeId>,
    /// Of each asker that asks: who was due when it did.
    asked: BTreeMap<NodeId, BTreeSet<PeerId>>,
    nodes: BTreeMap<SignalerId, NodeId>,
    /// Who lived before the present trouble began, and when that was.
    before: (Vec<SignalerId>, Time),
    /// Answers are judged.
    strict: bool,
    lookups: Lookups,
    found_ms: Vec<f64>,
}

/// Runs a scenario of announced peers to its end.
///
/// # Errors
/// See [`Failure`].
pub(crate) fn run(
    scenario: &Scenario,
    announced: &Announced,
    options: Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Results, Failure> {
    let mut watch = Stopwatch::start();
    let mut run = Run::begin(scenario, announced, options, progress)?;
    run.advance(seconds(scenario.join_s + scenario.warm_up_s))?;
    watch.lap(0.0);
    let mut phases = Vec::new();
    for phase in &scenario.phase {
        phases.push(run.play(phase)?);
    }
    let events = figure(run.world.events());
    let report = Report {
        scenario: scenario.name.clone(),
        seed: options.seed,
        peers: scenario.peers,
        signalers: scenario.signalers,
        phases,
        federation: Some(run.state()),
        totals: Totals { simulated_s: run.elapsed_s(), events: run.world.events(), ..Totals::default() },
        ..Report::default()
    };
    let cost = watch.stop(0.0, events, run.world.threads());
    Ok(Results { report, cost, pictures: Vec::new() })
}

impl<'a> Run<'a> {
    fn begin(
        scenario: &'a Scenario,
        announced: &Announced,
        options: Options,
        progress: &'a mut dyn FnMut(&str),
    ) -> Result<Self, Failure> {
        let mut laws = scenario.laws();
        laws.skew = seconds(announced.skew_s);
        let mut world = World::new(laws, options.seed, scenario.signalers, scenario.peers, options.threads)?;
        let mut dice = Dice::new(options.seed, 15);
        let began = world.now();
        let joining = seconds(scenario.join_s);
        let mut swarms: Vec<Swarm> = (0..scenario.peers.div_ceil(announced.members.max(1)))
            .map(|_| Swarm { discovery: DiscoveryKey(dice.bytes()), members: Vec::new() })
            .collect();
        let signalers = scenario.signalers;
        let any = |dice: &mut Dice| NodeId(u32::try_from(dice.below(signalers as usize)).unwrap_or_default());
        for n in 0..scenario.peers {
            let at = began + joining.mul_f64(f64::from(n) / f64::from(scenario.peers));
            // Whoever joins a swarm comes at another time than the others in it.
            let swarm = n as usize % swarms.len();
            let discovery = swarms[swarm].discovery;
            let node = world.add_announced(Some(discovery), any(&mut dice), at);
            swarms[swarm].members.push(node);
        }
        let mut askers = Vec::new();
        for n in 0..signalers * ASKERS {
            askers.push(world.add_announced(None, NodeId(n % signalers), began + joining));
        }
        let nodes =
            (0..signalers).filter_map(|n| Some((world.signaler(NodeId(n))?.id(), NodeId(n)))).collect();
        let places = swarms.iter().enumerate().map(|(at, swarm)| (swarm.discovery, at)).collect();
        let mut run = Self {
            scenario,
            world,
            dice,
            progress,
            swarms,
            places,
            askers,
            asked: BTreeMap::new(),
            nodes,
            before: (Vec::new(), began),
            strict: false,
            lookups: Lookups::default(),
            found_ms: Vec::new(),
        };
        run.trouble();
        Ok(run)
    }

    /// Something is about to happen: who keeps what so far is what counts.
    fn trouble(&mut self) {
        let lives = |id: &NodeId| self.world.signaler(*id).is_some_and(|node| node.runs_since().is_some());
        let living = self.nodes.iter().filter(|(_, node)| lives(node)).map(|(id, _)| *id).collect();
        self.before = (living, self.world.now());
    }

    fn play(&mut self, phase: &Phase) -> Result<PhaseReport, Failure> {
        let mut report = PhaseReport { at_s: self.elapsed_s(), ..PhaseReport::default() };
        (self.lookups, self.found_ms) = (Lookups::default(), Vec::new());
        report.kind = phase.kind();
        self.tell(report.kind);
        match phase {
            Phase::Partition { groups, seconds: time, .. } => {
                self.trouble();
                self.strict = true;
                self.world.cut(*groups, seconds(*time), Divided::Signalers);
                report.note = format!("the signalers are {groups} groups for {time} s");
                self.advance(seconds(*time))?;
                // What was asked before the end is answered after it.
                self.strict = false;
            }
            Phase::Restarts { rounds, at_once, down_s, between_s, graceful } => {
                self.strict = true;
                report.note = format!("{rounds} times {at_once} at once, for {down_s} s each");
                self.restarts(*rounds, *at_once, [*down_s, *between_s], *graceful)?;
            }
            Phase::Wait { seconds: time } => {
                self.strict = true;
                report.note = format!("{time} s");
                self.advance(seconds(*time))?;
            }
            Phase::Heal { within_s } => {
                self.strict = false;
                let healed = self.heal(seconds(*within_s))?;
                report.note = format!("everybody is known to all who keep its swarm after {healed} s");
                report.healed_s = Some(healed);
                self.trouble();
                self.strict = true;
            }
            _ => return Err(anyhow::anyhow!("{} is nothing for announced peers", phase.kind()).into()),
        }
        self.lookups.found_ms = Spread::of(core::mem::take(&mut self.found_ms));
        report.lookups = Some(core::mem::take(&mut self.lookups));
        Ok(report)
    }

    /// One group after another, in the order of a circle that begins anywhere.
    fn restarts(
        &mut self,
        rounds: u32,
        at_once: u32,
        [down, between]: [f64; 2],
        graceful: f64,
    ) -> Result<(), Failure> {
        let mut order: Vec<u32> = (0..self.scenario.signalers).collect();
        self.dice.shuffle(&mut order);
        for round in 0..rounds as usize {
            self.trouble();
            let now = self.world.now();
            let gracefully = crate::engine::dice::is_in_share(self.dice.roll(), graceful);
            for n in 0..at_once as usize {
                let node = NodeId(order[(round * at_once as usize + n) % order.len()]);
                self.world.act(node, now, Act::Restart { gracefully, at: now + seconds(down) });
            }
            self.advance(seconds(down + between))?;
        }
        Ok(())
    }

    /// Lets time pass, while askers ask.
    fn advance(&mut self, time: Duration) -> Result<(), Failure> {
        let until = self.world.now() + time;
        while self.world.now() < until {
            let before = self.world.now();
            self.world.run_until(until.min(before + STEP))?;
            self.judge()?;
            self.ask();
            let seconds = |at: Time| at.since(START).as_secs() / TELL;
            if seconds(before) != seconds(self.world.now()) {
                let all = self.lookups.asked;
                self.tell(&format!(
                    "{} of {} announced, {all} lookups",
                    self.standing(),
                    self.scenario.peers
                ));
            }
        }
        Ok(())
    }

    fn ask(&mut self) {
        let now = self.world.now();
        for asker in self.askers.clone() {
            let Some(home) =
                self.world.announced(asker).filter(|peer| peer.is_idle()).map(AnnouncedNode::home)
            else {
                continue;
            };
            let at = self.dice.below(self.swarms.len());
            let due = self.due(at, home);
            self.asked.insert(asker, due);
            self.world.act(asker, now, Act::Ask { discovery: self.swarms[at].discovery });
        }
    }

    fn judge(&mut self) -> Result<(), Failure> {
        for asker in self.askers.clone() {
            let answers = self.world.announced_mut(asker).map(|peer| (peer.home(), peer.take()));
            let Some((home, answers)) = answers else { continue };
            for answer in answers {
                let before = self.asked.remove(&asker).unwrap_or_default();
                self.judge_one(home, &answer, &before)?;
            }
        }
        Ok(())
    }

    fn judge_one(&mut self, home: NodeId, answer: &Answer, before: &BTreeSet<PeerId>) -> Result<(), Failure> {
        if !self.strict || answer.asked < self.before.1 {
            return Ok(());
        }
        let Some(at) = self.places.get(&answer.discovery).copied() else { return Ok(()) };
        let after = self.due(at, home);
        let due: Vec<PeerId> = before.intersection(&after).copied().collect();
        self.lookups.asked += 1;
        self.lookups.due += due.len() as u64;
        self.lookups.excused += (self.swarms[at].members.len() - due.len()) as u64;
        let missing: Vec<&PeerId> = due.iter().filter(|peer| !answer.found.contains_key(*peer)).collect();
        if !missing.is_empty() {
            let what = format!(
                "a lookup in swarm {at} {} ms ago finds {} peers, and not {} of {} that are due: {missing:?}",
                self.world.now().since(answer.asked).as_millis(),
                answer.found.len(),
                missing.len(),
                due.len(),
            );
            return Err(Violation { at: self.world.now(), node: home, what }.into());
        }
        if let Some(last) = due.iter().filter_map(|peer| answer.found.get(peer)).max() {
            self.found_ms.push(last.since(answer.asked).as_secs_f64() * 1_000.0);
        }
        Ok(())
    }

    /// Peers of a swarm that somebody at `home` must find.
    fn due(&self, at: usize, home: NodeId) -> BTreeSet<PeerId> {
        let swarm = &self.swarms[at];
        let (living, began) = (&self.before.0, self.before.1);
        let stays = |id: &SignalerId| {
            let node = *self.nodes.get(id)?;
            let since = self.world.signaler(node)?.runs_since()?;
            (since <= began && self.reaches(home, node)).then_some(())
        };
        if placed(&swarm.discovery.0, living).iter().all(|id| stays(id).is_none()) {
            return BTreeSet::new();
        }
        let members = swarm.members.iter().filter_map(|node| self.world.announced(*node));
        let due = members.filter(|peer| peer.stands().any(|stand| self.is_valid(stand, home)));
        due.map(AnnouncedNode::id).collect()
    }

    /// Whether the entry of a place is to be found from `from`: it was not withdrawn, and does not expire soon.
    fn is_valid(&self, stand: &Stand, from: NodeId) -> bool {
        let now = self.world.now();
        let Some(home) = self.world.signaler(stand.home) else { return false };
        let kept = match home.runs_since() {
            Some(since) => since <= stand.since && stand.lost.is_none(),
            // Whoever says goodbye withdraws; whoever crashes does not.
            None => !home.was_graceful(),
        };
        let (mut since, mut signed) = (stand.since, stand.signed);
        if !self.reaches(from, stand.home) {
            // What was heard of it is from before; the last refresh may have been as long ago as they are apart.
            since = since + now.since(self.before.1);
            signed = signed.min(self.before.1 - REFRESH - REFRESH / 5);
        }
        // By the clock that is ahead of all.
        let ahead = self.world.network().laws.skew;
        kept && since + AGE <= now && now + ahead + MARGIN + ASKING < signed + TTL
    }

    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        from == to || self.world.network().cut_until(self.world.now(), from, to).is_none()
    }

    /// Waits until the tables of all who keep a swarm, or have members in it, have everybody.
    fn heal(&mut self, within: Duration) -> Result<u64, Failure> {
        let began = self.world.now();
        loop {
            let lacking = self.lacking();
            let passed = self.world.now().since(began);
            if lacking.is_empty() {
                return Ok(passed.as_secs());
            }
            if passed >= within {
                let what = format!("after {} s {}", within.as_secs(), lacking);
                return Err(Violation { at: self.world.now(), node: NodeId(0), what }.into());
            }
            self.advance(Duration::from_secs(1))?;
        }
    }

    /// What is not as it should be; nothing if all is well.
    fn lacking(&self) -> String {
        let all: Vec<SignalerId> = self.nodes.keys().copied().collect();
        let knows_all = |node: &&SignalerNode| {
            node.runs_since().is_some()
                && node.gauges().members.iter().filter(|member| member.active).count() + 1 == all.len()
        };
        let alone = all.len() - self.world.signalers().filter(knows_all).count();
        if alone > 0 {
            return format!("{alone} signalers do not run or do not know all others");
        }
        let links = |node: &SignalerNode| node.gauges().siblings.iter().filter(|sibling| sibling.up).count();
        let unlinked = self.world.signalers().filter(|node| links(node) + 1 < all.len()).count();
        if unlinked > 0 {
            return format!("{unlinked} signalers are not linked with all others");
        }
        let standing = self.standing();
        if standing < self.scenario.peers as usize {
            return format!("only {standing} of {} peers are announced", self.scenario.peers);
        }
        let mut lacking = 0_usize;
        for swarm in &self.swarms {
            let peers = swarm.members.iter().filter_map(|node| self.world.announced(*node));
            let now = self.world.now();
            let is_due = |stand: &&Stand| stand.lost.is_none() && stand.since + AGE <= now;
            // What was refreshed a moment ago may be under way; the refresh before it is too old to wait for.
            let fresh = |stand: &Stand| (stand.signed + AGE <= now).then(|| stand.signed.millis());
            let stands: Vec<(PeerId, NodeId, u64)> = peers
                .filter_map(|peer| {
                    let stand = peer.stands().find(is_due)?;
                    Some((peer.id(), stand.home, fresh(stand).unwrap_or_default()))
                })
                .collect();
            let keepers =
                placed(&swarm.discovery.0, &all).into_iter().filter_map(|id| self.nodes.get(&id).copied());
            let homes = stands.iter().map(|(_, home, _)| *home);
            for at in keepers.chain(homes).collect::<BTreeSet<NodeId>>() {
                let Some(node) = self.world.signaler(at) else { continue };
                let id_of = |home: NodeId| self.world.signaler(home).map(SignalerNode::id);
                let has = |(peer, home, seq): &&(PeerId, NodeId, u64)| {
                    let known = id_of(*home).and_then(|home| node.seq_of(swarm.discovery, *peer, home));
                    known.is_some_and(|known| known >= *seq)
                };
                lacking += stands.len() - stands.iter().filter(has).count();
            }
        }
        if lacking > 0 { format!("{lacking} entries are not where they should be") } else { String::new() }
    }

    /// Peers that have a place.
    fn standing(&self) -> usize {
        let members = self.swarms.iter().flat_map(|swarm| &swarm.members);
        let has = |node: &&NodeId| {
            self.world
                .announced(**node)
                .is_some_and(|peer| peer.stands().next().is_some_and(|stand| stand.lost.is_none()))
        };
        members.filter(has).count()
    }

    /// Figures of the signalers as they are now.
    fn state(&self) -> Federation {
        let gauges: Vec<_> = self.world.signalers().map(SignalerNode::gauges).collect();
        let knows = |node: &SignalerNode| {
            let swarms = self.swarms.iter().map(|swarm| (swarm, node.entries(&swarm.discovery)));
            let peers = swarms.flat_map(|(swarm, entries)| {
                entries.into_iter().map(move |(peer, _)| (swarm.discovery, peer)).collect::<BTreeSet<_>>()
            });
            count(peers.count())
        };
        let known: Vec<f64> = self.world.signalers().map(knows).collect();
        let total = |of: fn(&weft_signaler_core::Counters) -> u64| {
            self.world.signalers().map(|node| of(node.counters())).sum()
        };
        Federation {
            announced: self.standing(),
            swarms: self.swarms.len(),
            known: Spread::of(known),
            watches: gauges.iter().map(|gauges| gauges.watches).sum(),
            repaired: total(|counters| counters.repaired),
            handed_over: total(|counters| counters.handed_over),
            sibling_frames: total(|counters| counters.sibling_frames),
            sibling_bytes: total(|counters| counters.sibling_bytes),
        }
    }

    fn tell(&mut self, text: &str) {
        let line = format!("{:>7.1} s  {text}", self.elapsed_s());
        (self.progress)(&line);
    }

    fn elapsed_s(&self) -> f64 {
        round(self.world.now().since(START).as_secs_f64())
    }
}
