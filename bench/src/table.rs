//! The discovery table with a million entries beside bare hash maps in the same process, which are told the same.
//!
//! 800,000 peers, each in a swarm of its own (the worst case: nothing is shared), announce themselves every 40 s of
//! simulated time, in an order that is new to the processor's cache each time. One in seven announces is of a new peer
//! whose predecessor fell silent and goes after 120 s, so that a million entries are kept; three operations in ten are
//! lookups, a tenth of them of swarms that do not exist. Contenders take turns on batches of 100,000 operations; what a
//! hash map cannot know, when an entry is to go, it is told outside the clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use rustix::time::{ClockId, clock_gettime};
use weft_signaler_core::measured::Discovery;
use weft_wire::{DiscoveryKey, PeerId, SignalerId, Time};

use crate::Common;
use crate::figures::{Figure, say};

/// Peers that are there; a third as many entries again are of those that fell silent.
const PEERS: usize = 800_000;
/// Operations of a batch.
const BATCH: usize = 100_000;
/// Batches of a round.
const BATCHES: usize = 10;
/// What a signaler does at most before it looks at its sockets again.
const AT_ONCE: usize = 64;
/// Between two looks at what has expired, operations.
const BETWEEN: usize = 1_000;
/// An entry's life, and between two announces of a peer.
const LIFE: Duration = Duration::from_secs(120);
/// See [`LIFE`].
const REFRESH: Duration = Duration::from_secs(40);
/// As long as a signed entry is.
const ENTRY: [u8; 240] = [7; 240];
/// Entries that are told to who asks.
const TOLD: usize = 16;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Interleaved rounds
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

type Swarm = [u8; 32];

#[derive(Clone, Copy)]
enum Operation {
    /// Of a new peer, or of one that is there.
    Announce(Swarm),
    Lookup(Swarm),
    /// Its time has come. The table finds that out itself.
    Gone(Swarm),
}

/// Something that keeps entries.
trait Keeper {
    fn announce(&mut self, swarm: Swarm, seq: u64, until: Time);
    /// How many bytes who asks is told.
    fn lookup(&mut self, swarm: &Swarm) -> usize;
    fn gone(&mut self, _swarm: &Swarm) {}
}

/// What a signaler keeps, under the swarm's key, with nothing that finds it in another way.
struct Whole {
    _peer: Swarm,
    _home: Swarm,
    _seq: u64,
    _until: Time,
    bytes: Arc<[u8]>,
}

impl Keeper for HashMap<Swarm, Whole> {
    fn announce(&mut self, swarm: Swarm, seq: u64, until: Time) {
        let bytes = ENTRY[..].into();
        self.insert(swarm, Whole { _peer: swarm, _home: [1; 32], _seq: seq, _until: until, bytes });
    }

    fn lookup(&mut self, swarm: &Swarm) -> usize {
        let told: Vec<Arc<[u8]>> = self.get(swarm).map(|whole| whole.bytes.clone()).into_iter().collect();
        told.iter().map(|bytes| bytes.len()).sum()
    }

    fn gone(&mut self, swarm: &Swarm) {
        self.remove(swarm);
    }
}

impl Keeper for HashMap<Swarm, (u64, u64)> {
    fn announce(&mut self, swarm: Swarm, seq: u64, until: Time) {
        self.insert(swarm, (seq, until.micros()));
    }

    fn lookup(&mut self, swarm: &Swarm) -> usize {
        self.get(swarm).map_or(0, |_| ENTRY.len())
    }

    fn gone(&mut self, swarm: &Swarm) {
        self.remove(swarm);
    }
}

impl Keeper for Discovery {
    fn announce(&mut self, swarm: Swarm, seq: u64, until: Time) {
        Discovery::announce(self, DiscoveryKey(swarm), PeerId(swarm), seq, until, &ENTRY);
    }

    fn lookup(&mut self, swarm: &Swarm) -> usize {
        let told = Discovery::lookup(self, &DiscoveryKey(*swarm), &PeerId([0; 32]), TOLD);
        told.iter().map(|bytes| bytes.len()).sum()
    }
}

/// Measures, and prints a table.
pub(crate) fn run(common: &Common, options: &Options) -> anyhow::Result<()> {
    let (rounds, peers) = if common.quick { (1, PEERS / 100) } else { (options.rounds, PEERS) };
    let mut world = World::new(peers);
    let mut table = Discovery::new(SignalerId([1; 32]), 5);
    let mut whole: HashMap<Swarm, Whole> = HashMap::new();
    let mut bare: HashMap<Swarm, (u64, u64)> = HashMap::new();
    let mut expiry = Expiry::default();
    // Until as many entries go as come: one life, and a little.
    let per_life = 3 * peers * 10 / 7 / BATCH + 2;
    for _ in 0..per_life {
        let batch = world.batch();
        told(&mut table, &batch, Some(&mut expiry));
        told(&mut whole, &batch, None);
        told(&mut bare, &batch, None);
    }
    say(&format!("# {} entries at the beginning, {} in the hash maps", table.len(), bare.len()));
    let names = ["discovery table", "HashMap of the same entries", "HashMap of 32 bytes to two numbers"];
    let mut rates: [Figure; 3] = std::array::from_fn(|_| Figure::default());
    let mut ratios: [Figure; 3] = std::array::from_fn(|_| Figure::default());
    let (mut share, mut longest, mut gone) = (Figure::default(), Figure::default(), 0);
    for _ in 0..rounds {
        expiry = Expiry::default();
        let mut took = [0.0; 3];
        for _ in 0..BATCHES {
            let batch = world.batch();
            let ours = told(&mut table, &batch, Some(&mut expiry));
            let theirs = told(&mut whole, &batch, None);
            let least = told(&mut bare, &batch, None);
            ensure!(
                ours.bytes == theirs.bytes && ours.bytes == least.bytes,
                "lookups differ: {} bytes, {}, {}",
                ours.bytes,
                theirs.bytes,
                least.bytes
            );
            took.iter_mut().zip([ours, theirs, least]).for_each(|(sum, told)| *sum += told.took);
        }
        gone += expiry.gone;
        share.add(expiry.took / (took[0] - expiry.took) * 100.0);
        longest.add(expiry.longest * 1e3);
        for ((took_one, rate), ratio) in took.iter().zip(&mut rates).zip(&mut ratios) {
            rate.add((BATCH * BATCHES) as f64 / took_one / 1e6);
            ratio.add(took_one / took[0]);
        }
    }
    ensure!(gone > 0 || common.quick, "nothing expired: this measured something else");
    say(&format!("\n{} entries, {rounds} rounds: median (least to most)\n", table.len()));
    say("| | million operations/CPU-s | the table is x times |");
    say("| --- | --- | --- |");
    for ((name, rate), ratio) in names.iter().zip(&rates).zip(&ratios) {
        say(&format!("| {name} | {} | {} |", rate.show(2), ratio.show(2)));
    }
    say(&format!(
        "\nExpiry of {gone} entries, {AT_ONCE} looked at in one go: {} % on top of the rest, the longest go of each round took {} ms of the processor.",
        share.show(1),
        longest.show(2)
    ));
    Ok(())
}

/// What a batch came to.
struct Told {
    bytes: usize,
    /// CPU seconds, expiry included.
    took: f64,
}

/// What expiry cost.
#[derive(Default)]
struct Expiry {
    gone: usize,
    /// CPU seconds.
    took: f64,
    longest: f64,
}

/// A batch: who is announced and looked up, and the time at which it begins.
struct Batch {
    operations: Vec<Operation>,
    began: u64,
    lasting: u64,
}

fn told<K: Keeper + Expires>(keeper: &mut K, batch: &Batch, mut expiry: Option<&mut Expiry>) -> Told {
    let began = cpu();
    let mut bytes = 0;
    for (at, operations) in batch.operations.chunks(BETWEEN).enumerate() {
        let now = batch.began + batch.lasting * at as u64 * BETWEEN as u64 / batch.operations.len() as u64;
        if let Some(expiry) = &mut expiry {
            expire(keeper, Time::from_micros(now), expiry);
        }
        let until = Time::from_micros(now) + LIFE;
        for operation in operations {
            match operation {
                Operation::Announce(swarm) => keeper.announce(*swarm, now, until),
                Operation::Lookup(swarm) => bytes += keeper.lookup(swarm),
                Operation::Gone(swarm) => keeper.gone(swarm),
            }
        }
    }
    Told { bytes, took: cpu() - began }
}

/// What goes by itself.
trait Expires {
    fn is_due(&self, _now: Time) -> bool {
        false
    }
    fn expire(&mut self, _now: Time) -> usize {
        0
    }
}

impl<V> Expires for HashMap<Swarm, V> {}

impl Expires for Discovery {
    fn is_due(&self, now: Time) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    fn expire(&mut self, now: Time) -> usize {
        Discovery::expire(self, now, AT_ONCE)
    }
}

fn expire<K: Expires>(keeper: &mut K, now: Time, expiry: &mut Expiry) {
    let began = cpu();
    while keeper.is_due(now) {
        let began = cpu();
        expiry.gone += keeper.expire(now);
        expiry.longest = expiry.longest.max(cpu() - began);
    }
    expiry.took += cpu() - began;
}

/// Who is there and what they do next.
struct World {
    /// The swarm of each peer that is there.
    swarms: Vec<Swarm>,
    /// When each announced itself last; zero before the first time.
    announced: Vec<u64>,
    /// Who fell silent, and when their entries go.
    silent: VecDeque<(u64, Swarm)>,
    next: usize,
    now: u64,
    random: u64,
}

impl World {
    fn new(peers: usize) -> Self {
        let mut world = Self {
            swarms: Vec::with_capacity(peers),
            announced: vec![0; peers],
            silent: VecDeque::new(),
            next: 0,
            now: 1_000_000_000,
            random: 1,
        };
        for _ in 0..peers {
            let swarm = world.swarm();
            world.swarms.push(swarm);
        }
        world
    }

    fn batch(&mut self) -> Batch {
        // Seven operations of ten are announces, and all peers announce themselves within the time of a refresh.
        let lasting = REFRESH.as_micros() * BATCH as u128 * 7 / 10 / self.swarms.len() as u128;
        let lasting = u64::try_from(lasting).unwrap_or(u64::MAX);
        let mut operations = Vec::with_capacity(BATCH + BATCH / 5);
        let began = self.now;
        while operations.len() < BATCH {
            self.now = began + lasting * operations.len() as u64 / BATCH as u64;
            // As late as the table's own buckets may be: nobody looks these up any more.
            while let Some((_, swarm)) = self.silent.front().copied().filter(|(due, _)| *due <= self.now) {
                self.silent.pop_front();
                operations.push(Operation::Gone(swarm));
            }
            let dice = self.random() % 70;
            operations.push(match dice {
                0..3 => Operation::Lookup(self.swarm()),
                3..21 => {
                    let at = self.below(self.swarms.len());
                    Operation::Lookup(self.swarms.get(at).copied().unwrap_or_default())
                }
                _ => self.announce(dice < 28),
            });
        }
        self.now = began + lasting;
        Batch { operations, began, lasting }
    }

    /// The next peer in turn, or one in its place.
    fn announce(&mut self, new: bool) -> Operation {
        let at = self.next;
        self.next = (at + 1) % self.swarms.len();
        let fresh = self.swarm();
        let (Some(swarm), Some(announced)) = (self.swarms.get_mut(at), self.announced.get_mut(at)) else {
            return Operation::Lookup(fresh);
        };
        if new && *announced > 0 {
            self.silent.push_back((*announced + u64::try_from(LIFE.as_micros()).unwrap_or(0), *swarm));
            *swarm = fresh;
        }
        *announced = self.now;
        Operation::Announce(*swarm)
    }

    fn swarm(&mut self) -> Swarm {
        let mut swarm = [0; 32];
        swarm.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&self.random().to_le_bytes()));
        swarm
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from((u128::from(self.random()) * bound as u128) >> 64).unwrap_or(0)
    }

    /// SplitMix64 (Steele and others 2014).
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// CPU seconds of this thread so far.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_the_hash_maps_tell_the_same_and_keep_the_same() {
        let mut world = World::new(2_000);
        let mut table = Discovery::new(SignalerId([1; 32]), 5);
        let mut bare: HashMap<Swarm, (u64, u64)> = HashMap::new();
        let mut expiry = Expiry::default();
        for _ in 0..5 {
            let batch = world.batch();
            let (ours, theirs) = (told(&mut table, &batch, Some(&mut expiry)), told(&mut bare, &batch, None));
            assert_eq!(ours.bytes, theirs.bytes);
            assert!(ours.bytes > 0);
        }
        assert!(expiry.gone > 0);
        assert!(table.len() >= 2_000 && table.len().abs_diff(bare.len()) < 1_000, "{}", table.len());
    }
}
