//! What each kind of phase does, and what it finds out.

use std::time::Duration;

use weft_peer_core::Command;
use weft_wire::Time;

use crate::engine::parcel::Act;
use crate::engine::{Content, Divided, NodeId, Vice, Violation};
use crate::graph::Graph;
use crate::measure;
use crate::report::{Messages, PhaseReport, Publications, Round, Spread, figure, ratio, round};
use crate::run::{Change, Failure, Ledger, Run};
use crate::scenario::{Phase, Sender, seconds};
use crate::svg;
use crate::watch::{Arrival, Floors, mean_of, spread_of};

/// Publications of phases that do not wait for each one must be there after this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages have arrived or been given up after this long.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(12);
/// Rounds that may be spent on building a tree.
const SETTLING: usize = 2;
/// In a steady stream every so many publications the shortest ways are computed.
const FLOOR_EVERY: u64 = 50;

/// Lets a phase happen.
///
/// # Errors
/// See [`Failure`].
pub fn play(run: &mut Run<'_>, phase: &Phase) -> Result<PhaseReport, Failure> {
    let mut report = PhaseReport { kind: phase.kind(), at_s: run.elapsed_s(), ..PhaseReport::default() };
    run.tell(report.kind);
    match phase {
        Phase::Broadcast { rounds, every_ms, sender, body_bytes } => {
            let every = Duration::from_millis(*every_ms);
            let (rounds, publications) = broadcast(run, *rounds, every, *sender, *body_bytes)?;
            report.note = format!("{} documents of {body_bytes} bytes, sender {sender:?}", rounds.len());
            report.rounds = rounds;
            report.publications = Some(publications);
        }
        Phase::Stream { rate, seconds: time, body_bytes } => {
            report.note = format!("{rate} documents of {body_bytes} bytes a second for {time} s");
            let every = seconds(1.0 / rate.max(0.001));
            let sender = one(run)?;
            let publications =
                publish(run, seconds(*time), every, *body_bytes, |_| Some(sender), |_, _| Ok(()))?;
            report.publications = Some(publications);
        }
        Phase::Churn { per_minute, minutes, publish_every_ms, body_bytes, message_every_ms } => {
            report.note = format!("{:.0} % replaced in a minute for {minutes} min", per_minute * 100.0);
            let every = Duration::from_millis(*publish_every_ms);
            let time = seconds(minutes * 60.0);
            let mut owed = 0.0;
            let mut post = Post::open(run);
            let meanwhile = |run: &mut Run<'_>, passed: Duration| {
                owed += figure(u64::from(run.scenario.peers)) * per_minute * passed.as_secs_f64() / 60.0;
                while owed >= 1.0 {
                    owed -= 1.0;
                    replace(run, passed);
                }
                let now = run.world.now();
                let messages = passed.as_millis().checked_div(u128::from(*message_every_ms)).unwrap_or(0);
                for n in 0..u32::try_from(messages).unwrap_or(u32::MAX) {
                    post.send(run, now + passed / u32::try_from(messages).unwrap_or(1) * n, *body_bytes)?;
                }
                post.collect(run);
                Ok(())
            };
            let sender = |run: &mut Run<'_>| one(run).ok();
            report.publications = Some(publish(run, time, every, *body_bytes, sender, meanwhile)?);
            report.messages = (*message_every_ms > 0).then(|| post.close(run));
        }
        Phase::Crash { share, count } => {
            let mut victims = run.some(if *count > 0 { 1.0 } else { *share });
            if *count > 0 {
                run.dice.shuffle(&mut victims);
                victims.truncate(*count as usize);
            }
            let now = run.world.now();
            for victim in &victims {
                run.world.act(*victim, now, Act::Crash);
            }
            // From the next moment on they are.
            run.advance(Duration::from_millis(10))?;
            report.note = format!("{} peers are gone", victims.len());
        }
        Phase::Partition { groups, seconds: time, signalers } => {
            let divided = if *signalers { Divided::All } else { Divided::Peers };
            run.world.cut(*groups, seconds(*time), divided);
            report.note = format!("{groups} groups for {time} s");
            run.advance(seconds(*time))?;
        }
        Phase::Messages { count, every_ms, body_bytes } => {
            report.messages = Some(messages(run, *count, Duration::from_millis(*every_ms), *body_bytes)?);
            report.note = format!("{count} messages of {body_bytes} bytes");
        }
        Phase::Hostile { share, vice } => {
            let hostile = run.some(*share);
            let now = run.world.now();
            for node in &hostile {
                run.world.act(*node, now, Act::Turn(Vice::from(*vice)));
            }
            // From the next moment on, so that phases know who is hostile.
            run.advance(Duration::from_millis(10))?;
            report.note = format!("{} peers: {vice:?}", hostile.len());
        }
        Phase::Suspend { share, seconds: time } => {
            let tabs = run.some(*share);
            let now = run.world.now();
            for tab in &tabs {
                run.world.act(*tab, now, Act::Sleep { until: now + seconds(*time) });
            }
            run.advance(Duration::from_millis(10))?;
            report.note = format!("{} peers for {time} s", tabs.len());
        }
        Phase::Wait { seconds: time } => {
            report.note = format!("{time} s");
            run.advance(seconds(*time))?;
        }
        Phase::Restarts { .. } => {
            return Err(
                anyhow::anyhow!("signalers restart only where peers are announced, and no more").into()
            );
        }
        Phase::Heal { within_s } => {
            let healed = heal(run, seconds(*within_s))?;
            report.note = format!("one swarm again after {healed} s");
            report.healed_s = Some(healed);
        }
    }
    Ok(report)
}

/// A peer that can publish.
fn one(run: &mut Run<'_>) -> Result<NodeId, Failure> {
    let able = run.able();
    let at = run.dice.below(able.len());
    able.get(at).copied().ok_or_else(|| anyhow::anyhow!("nobody is there to publish").into())
}

fn floors(run: &Run<'_>) -> Floors {
    if run.scenario.interested.is_some() { Floors::WithTree } else { Floors::Ways }
}

fn begin(run: &mut Run<'_>, sender: NodeId, body: usize, floors: Floors) -> Result<u32, Failure> {
    let number = run.number();
    let document = Content { number, topic: 0 }.document(body)?;
    run.watches.begin(&run.world, number, sender, floors);
    run.publisher = Some(sender);
    let now = run.world.now();
    run.world.act(sender, now, Act::Publish(document));
    Ok(number)
}

fn broadcast(
    run: &mut Run<'_>,
    count: u32,
    every: Duration,
    sender: Sender,
    body: usize,
) -> Result<(Vec<Round>, Publications), Failure> {
    let first = run.ledger();
    let mut rounds = Vec::new();
    let mut delays = Vec::new();
    let mut node = one(run)?;
    for n in 1..=count {
        if sender == Sender::Random || run.world.peer(node).is_none() {
            node = one(run)?;
        }
        let before = run.ledger();
        let floors = floors(run);
        // The first and the last publication show what the tree has learnt.
        let drawn = run.draw && (n == 1 || n == count);
        run.world.trace(drawn);
        let began = run.world.now();
        let number = begin(run, node, body, floors)?;
        run.advance(every)?;
        if drawn {
            let picture = svg::broadcast(&mut run.world, node, began);
            run.pictures.push((format!("broadcast-{}", run.pictures.len()), picture));
            run.world.trace(false);
        }
        let change = run.change(&before);
        if let Some(outcome) = run.watches.end(&run.world, number) {
            let mut round = outcome.round;
            round.frames = change.frames;
            round.rmr = rmr(change.frames, u64::from(round.due));
            round.duplicates = change.duplicates;
            rounds.push(round);
            delays.extend(outcome.delays_ms);
        }
    }
    let change = run.change(&first);
    let mut publications = summary(&rounds, delays, change, body);
    let settled = rounds.get(SETTLING..).filter(|rounds| !rounds.is_empty()).unwrap_or(&rounds);
    publications.rmr_settled = mean_of(settled, |round| round.rmr);
    Ok((rounds, publications))
}

/// Publishes steadily and calls `meanwhile` in between; gives what came of everything.
fn publish(
    run: &mut Run<'_>,
    time: Duration,
    every: Duration,
    body: usize,
    mut sender: impl FnMut(&mut Run<'_>) -> Option<NodeId>,
    mut meanwhile: impl FnMut(&mut Run<'_>, Duration) -> Result<(), Failure>,
) -> Result<Publications, Failure> {
    let first = run.ledger();
    let began = run.world.now();
    let (mut rounds, mut delays) = (Vec::new(), Vec::new());
    let mut end_older = |run: &mut Run<'_>, than: Time| {
        while let Some(outcome) =
            run.watches.older(than).and_then(|number| run.watches.end(&run.world, number))
        {
            rounds.push(outcome.round);
            delays.extend(outcome.delays_ms);
        }
    };
    let mut next = began;
    let mut number = 0;
    while run.world.now() < began + time {
        if let Some(sender) = sender(run) {
            let floors = if number % FLOOR_EVERY == 0 { floors(run) } else { Floors::None };
            begin(run, sender, body, floors)?;
        }
        number += 1;
        next = next + every;
        let passed = next.since(run.world.now());
        meanwhile(run, passed)?;
        run.advance(passed)?;
        let old = run.world.now() - PATIENCE;
        end_older(run, old);
    }
    run.advance(PATIENCE + Duration::from_millis(10))?;
    let now = run.world.now();
    end_older(run, now);
    let change = run.change(&first);
    Ok(summary(&rounds, delays, change, body))
}

fn summary(rounds: &[Round], delays: Vec<f64>, change: Change, body: usize) -> Publications {
    let due: u64 = rounds.iter().map(|round| u64::from(round.due)).sum();
    let payload = change.payload_bytes.unwrap_or(change.frames * body as u64);
    let spreading = measure::SPREADING.iter().filter_map(|kind| change.kinds.get(kind)).sum();
    let with_tree: Vec<&Round> = rounds.iter().filter(|round| round.steiner.is_some()).collect();
    let edges: u64 = with_tree.iter().filter_map(|round| round.steiner).map(u64::from).sum();
    let with_floor: Vec<Round> = rounds.iter().filter(|round| round.floor_hop > 0).cloned().collect();
    Publications {
        published: u32::try_from(rounds.len()).unwrap_or(u32::MAX),
        due,
        missed: rounds.iter().map(|round| u64::from(round.missed)).sum(),
        delivery_ms: Spread::of(delays),
        last_ms: spread_of(rounds, |round| round.delivery_ms.max),
        last_hop: spread_of(rounds, |round| f64::from(round.last_hop.unwrap_or(0))),
        floor_hop: spread_of(&with_floor, |round| f64::from(round.floor_hop)),
        floor_ms: spread_of(&with_floor, |round| round.floor_ms),
        frames: change.frames,
        rmr: rmr(change.frames, due),
        rmr_settled: rmr(change.frames, due),
        duplicates: change.duplicates,
        steiner_ratio: ratio(with_tree.iter().map(|round| round.frames).sum(), edges),
        control_ratio: ratio(change.bytes.saturating_sub(payload), payload),
        spreading_ratio: ratio(spreading, payload),
        bytes: change.bytes,
        kinds: change.kinds,
    }
}

/// Relative message redundancy (Leitao, Pereira, Rodrigues 2007): payload transmissions for each receiver, minus one.
fn rmr(frames: u64, receivers: u64) -> f64 {
    if receivers == 0 { 0.0 } else { round(figure(frames) / figure(receivers) - 1.0) }
}

/// One peer goes, with or without a word, and another one comes.
fn replace(run: &mut Run<'_>, within: Duration) {
    let all: Vec<NodeId> =
        run.world.peers().map(|(id, _)| id).filter(|id| Some(*id) != run.publisher).collect();
    let now = run.world.now();
    let spread = |run: &mut Run<'_>| {
        let most = u64::try_from(within.as_micros()).unwrap_or(u64::MAX).max(1);
        now + Duration::from_micros(run.dice.roll() % most)
    };
    let at = spread(run);
    let gone = run.dice.below(all.len());
    let act = if run.dice.below(2) == 0 { Act::Crash } else { Act::Leave };
    if let Some(node) = all.get(gone) {
        run.world.act(*node, at, act);
    }
    let at = spread(run);
    run.join(at);
}

fn messages(run: &mut Run<'_>, count: u32, every: Duration, body: usize) -> Result<Messages, Failure> {
    let mut post = Post::open(run);
    for _ in 0..count {
        let now = run.world.now();
        post.send(run, now, body)?;
        run.advance(every)?;
    }
    run.advance(MESSAGE_PATIENCE)?;
    Ok(post.close(run))
}

/// Messages between random pairs, and what there was before them.
struct Post {
    before: Ledger,
    signaler_frames: u64,
    outcomes: (u64, u64),
    direct_ms: Vec<f64>,
    arrivals: Vec<Arrival>,
}

impl Post {
    fn open(run: &Run<'_>) -> Self {
        Self {
            before: run.ledger(),
            signaler_frames: run.signaler_frames(),
            outcomes: run.world.sent(),
            direct_ms: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    /// Sends one at a time that is not before now.
    fn send(&mut self, run: &mut Run<'_>, at: Time, body: usize) -> Result<(), Failure> {
        let (from, to) = (one(run)?, one(run)?);
        let number = run.number();
        let document = Content { number, topic: 0 }.document(body)?;
        if let Some(identity) = run.world.identity(to).filter(|_| from != to) {
            self.direct_ms.push(run.world.network().latency(from, to).as_secs_f64() * 1_000.0);
            run.watches.begin_message(&run.world, number, [from, to], at);
            run.world.act(from, at, Act::Command(Command::Send { to: identity, document }));
        }
        Ok(())
    }

    /// Takes what came of those that have arrived or been given up.
    fn collect(&mut self, run: &mut Run<'_>) {
        let old = run.world.now() - MESSAGE_PATIENCE;
        self.arrivals.extend(run.watches.end_messages(&run.world, old));
    }

    fn close(mut self, run: &mut Run<'_>) -> Messages {
        self.arrivals.extend(run.watches.end_messages(&run.world, run.world.now()));
        let over_links: Vec<(f64, f64)> =
            self.arrivals.iter().filter_map(|arrival| arrival.hops.zip(arrival.shortest)).collect();
        let (hops, shortest): (Vec<f64>, Vec<f64>) = over_links.into_iter().unzip();
        let delays: Vec<f64> = self.arrivals.iter().filter_map(|arrival| arrival.delay_ms).collect();
        let change = run.change(&self.before);
        let after = run.world.sent();
        let whole = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let least: f64 = shortest.iter().sum();
        Messages {
            sent: whole(self.arrivals.len()),
            arrived: whole(delays.len()),
            confirmed: after.0.saturating_sub(self.outcomes.0),
            failed: after.1.saturating_sub(self.outcomes.1),
            delivery_ms: Spread::of(delays),
            direct_ms: Spread::of(self.direct_ms),
            signaler_frames: run.signaler_frames() - self.signaler_frames,
            over_links: whole(hops.len()),
            stretch: if least > 0.0 { round(hops.iter().sum::<f64>() / least) } else { 0.0 },
            hops: Spread::of(hops),
            shortest: Spread::of(shortest),
            bytes: change.bytes,
            kinds: change.kinds,
        }
    }
}

/// Waits until everybody is connected to everybody, by way of links that both sides have.
fn heal(run: &mut Run<'_>, within: Duration) -> Result<u64, Failure> {
    let began = run.world.now();
    loop {
        let graph = Graph::of(&run.world, |_| true);
        if graph.components().len() == 1 {
            return Ok(run.world.now().since(began).as_secs());
        }
        if run.world.now().since(began) >= within {
            let sizes = graph.components();
            let what = format!("{} components after {} s: {sizes:?}", sizes.len(), within.as_secs());
            return Err(Violation { at: run.world.now(), node: NodeId(0), what }.into());
        }
        run.advance(Duration::from_secs(1))?;
    }
}
