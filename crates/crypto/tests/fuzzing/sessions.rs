//! Three peers that write to each other over a network which loses, repeats, delays, alters and misdirects, on machines
//! which restart, lose everything or go on from yesterday's backup.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_crypto::correspondence::Opened;
#[cfg(not(weft_simulation))]
use weft_crypto::session::Olm as Library;
#[cfg(weft_simulation)]
use weft_crypto::session::Simulated as Library;
use weft_crypto::{Correspondence, PeerKey, Seed, SessionError, VaultKey, statement};

use crate::checks::Choices;

const SIDES: usize = 3;
/// Steps of one input.
const STEPS: usize = 120;
/// Messages that are on their way at once.
const UNDER_WAY: usize = 64;
/// So often a message is sealed again at most until it arrives, once nothing is lost any more.
const TRIES: usize = 6;

type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

struct Side {
    key: PeerKey,
    one: Correspondence<Library>,
    disk: Disk,
    backup: Disk,
    /// What others find of it: prekeys for one session each, and the fallback.
    once: Vec<Vec<u8>>,
    fallback: Vec<u8>,
    rng: ChaCha20Rng,
    /// What it has opened since it was last set back.
    opened: BTreeSet<u32>,
}

/// A message under way.
#[derive(Clone)]
struct Letter {
    from: usize,
    to: usize,
    bytes: Vec<u8>,
    /// None: a notice that something could not be opened.
    number: Option<u32>,
}

struct World {
    sides: [Side; SIDES],
    letters: Vec<Letter>,
    now: u64,
    next: u32,
}

impl Side {
    fn new(n: u8) -> Self {
        let key = PeerKey::new(&Seed::new([n; 32]));
        let mut rng = ChaCha20Rng::from_seed([n; 32]);
        let one = Correspondence::new(key.id(), &mut rng);
        let (disk, backup) = (Disk::new(), Disk::new());
        Self { key, one, disk, backup, once: Vec::new(), fallback: Vec::new(), rng, opened: BTreeSet::new() }
    }

    fn publish(&mut self, now: u64) {
        // Whoever keeps them for others drops those that have expired.
        self.once.retain(|signed| statement::open_prekey(signed).expect("it is ours").until >= now);
        for signed in self.one.replenish(&mut self.rng, &self.key, now, self.once.len()) {
            if statement::open_prekey(&signed).expect("it is ours").once {
                self.once.push(signed);
            } else {
                self.fallback = signed;
            }
        }
        self.store();
    }

    fn store(&mut self) {
        for change in self.one.changes(&mut self.rng, &VaultKey::new(&self.key)) {
            match change.value {
                Some(value) => self.disk.insert(change.key, value),
                None => self.disk.remove(&change.key),
            };
        }
    }

    fn restart(&mut self) {
        let rows = self.disk.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        let restored = Correspondence::restore(self.key.id(), &VaultKey::new(&self.key), rows);
        self.one = restored.unwrap_or_else(|| Correspondence::new(self.key.id(), &mut self.rng));
    }

    /// The driver says what the mailbox has of it, and what it has not, when it starts.
    fn start_over(&mut self, now: u64) {
        self.restart();
        self.opened.clear();
        self.publish(now);
        if let Some(fallback) = self.one.fallback(&self.key) {
            self.fallback = fallback;
        }
    }
}

impl World {
    fn new() -> Self {
        let mut world =
            Self { sides: [1, 2, 3].map(Side::new), letters: Vec::new(), now: 1_700_000_000_000, next: 0 };
        for side in &mut world.sides {
            side.publish(world.now);
        }
        world
    }

    /// Seals a numbered message, in a session that is begun if there is none.
    fn send(&mut self, from: usize, to: usize, number: u32, by_fallback: bool) -> bool {
        let peer = self.sides[to].key.id();
        if !self.sides[from].one.has(&peer) {
            let once = if by_fallback { None } else { self.sides[to].once.pop() };
            let prekey = once.unwrap_or_else(|| self.sides[to].fallback.clone());
            let (now, side) = (self.now, &mut self.sides[from]);
            match side.one.begin(&mut side.rng, now, peer, &prekey) {
                Ok(()) => {}
                // Prekeys get old when time passes and nobody publishes.
                Err(SessionError::ExpiredPrekey) => return false,
                Err(error) => panic!("a good prekey was refused: {error}"),
            }
        }
        let side = &mut self.sides[from];
        let bytes = side.one.seal(&mut side.rng, peer, &number.to_be_bytes()).expect("there is a session");
        side.store();
        self.letters.push(Letter { from, to, bytes, number: Some(number) });
        true
    }

    /// What becomes of a letter at its recipient, or at somebody else. Whether it was opened as what it is.
    fn deliver(&mut self, letter: &Letter, claimed: usize, at: usize) -> bool {
        let from = self.sides[claimed].key.id();
        let side = &mut self.sides[at];
        let opened = side.one.open(from, &letter.bytes);
        side.store();
        match opened {
            Ok(Opened::Message(plain)) => {
                assert_eq!((claimed, at), (letter.from, letter.to), "it was meant for others");
                let number = letter.number.expect("a notice is no message");
                assert_eq!(plain, number.to_be_bytes(), "what was opened is what was sealed");
                true
            }
            Ok(Opened::Lost { .. } | Opened::Missed) => false,
            Err(error) => {
                if let Some(notice) = error.notice()
                    && self.letters.len() < UNDER_WAY
                {
                    self.letters.push(Letter { from: at, to: claimed, bytes: notice, number: None });
                }
                false
            }
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) -> Option<()> {
        let what = choices.one_of(16)?;
        let (from, to) = (choices.one_of(SIDES)?, choices.one_of(SIDES)?);
        match what {
            0..=3 if from != to && self.letters.len() < UNDER_WAY => {
                self.next += 1;
                self.send(from, to, self.next, what == 0);
            }
            4..=7 => {
                let at = choices.one_of(self.letters.len())?;
                let letter = self.letters.remove(at);
                let taken = self.deliver(&letter, letter.from, letter.to);
                if let (true, Some(number)) = (taken, letter.number) {
                    let new = self.sides[letter.to].opened.insert(number);
                    assert!(new, "a message opens once");
                }
            }
            8 => {
                let at = choices.one_of(self.letters.len())?;
                self.letters.remove(at);
            }
            // Again, later.
            9 if self.letters.len() < UNDER_WAY => {
                let at = choices.one_of(self.letters.len())?;
                let letter = self.letters[at].clone();
                self.letters.push(letter);
            }
            // Somebody alters it.
            10 => {
                let at = choices.one_of(self.letters.len())?;
                let mut letter = self.letters[at].clone();
                let byte = choices.one_of(letter.bytes.len())?;
                letter.bytes[byte] ^= 1 << choices.one_of(8)?;
                assert!(!self.deliver(&letter, letter.from, letter.to), "an altered message was opened");
            }
            // Somebody passes on what is another's, as its own.
            11 => {
                let at = choices.one_of(self.letters.len())?;
                let letter = self.letters[at].clone();
                if (from, to) != (letter.from, letter.to) {
                    self.deliver(&letter, from, to);
                }
            }
            12 => self.sides[from].restart(),
            13 => {
                let side = &mut self.sides[from];
                if to == 0 {
                    side.disk.clear();
                    side.once.clear();
                    side.start_over(self.now);
                } else if to == 1 {
                    side.backup = side.disk.clone();
                } else if !side.backup.is_empty() {
                    side.disk = side.backup.clone();
                    side.start_over(self.now);
                }
            }
            14 => self.sides[from].publish(self.now),
            15 => self.now += 1 << (2 * choices.one_of(16)?),
            _ => {}
        }
        Some(())
    }

    /// When nothing is lost any more, a message arrives after it was sealed a few times.
    fn settle(&mut self, from: usize, to: usize) {
        self.next += 1;
        let number = self.next;
        for attempt in 0..TRIES {
            assert!(self.send(from, to, number, attempt > 1), "prekeys are fresh");
            // Notices call for nothing but what comes next.
            while let Some(letter) = self.letters.pop() {
                if self.deliver(&letter, letter.from, letter.to) && letter.number == Some(number) {
                    self.letters.clear();
                    return;
                }
            }
        }
        panic!("{from} does not reach {to}");
    }
}

/// Each byte is a choice of what happens next.
pub(crate) fn sessions(input: &[u8]) {
    let mut choices = Choices(input);
    let mut world = World::new();
    for _ in 0..STEPS {
        if world.step(&mut choices).is_none() && choices.0.is_empty() {
            break;
        }
    }
    world.letters.clear();
    world.now += 1;
    for side in &mut world.sides {
        side.publish(world.now);
        side.fallback = side.one.fallback(&side.key).expect("it was published");
    }
    for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 0), (0, 2), (2, 1)] {
        world.settle(from, to);
    }
}
