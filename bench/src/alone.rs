//! A signaler's core and its database without sockets, on one thread: what mail costs where nothing is sent.
//!
//! What clients say is made outside the clock. Writes wait until nobody has anything more to say before one of them is durable,
//! or a transaction is full; the statements are the signaler's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use weft_crypto::{Seed, SignalerKey};
use weft_signaler_core::{Config, ConnId, Input, MailChange, Origin, Output, Signaler};
use weft_wire::Time;

use crate::client::Talk;
use crate::mailbox::Took;
use crate::server::Kind;
use crate::sqlite::{BATCH, Bare, Layout};
use crate::wire;
use crate::wire::weft::now_ms;

/// The core, its database, and connections by number.
pub(crate) struct Alone {
    core: Signaler,
    db: Bare,
    /// What is to be written, by its number.
    waiting: VecDeque<(u64, Vec<MailChange>)>,
    start: (Instant, u64),
    /// What the core and the database took since this was last asked.
    wall: Duration,
    cpu: Duration,
}

/// Frames, and on which connection.
type Frames = Vec<(usize, Vec<u8>)>;

impl Alone {
    /// With so many peers that are authenticated.
    pub(crate) fn open(connections: usize) -> anyhow::Result<Self> {
        let start = (Instant::now(), now_ms()?);
        let key = SignalerKey::new(&Seed::new([1; 32]));
        let core = Signaler::new(Config::default(), key, [2; 32], Time::from_millis(start.1));
        let db = Bare::new(Layout::Mail)?;
        let (wall, cpu) = (Duration::ZERO, Duration::ZERO);
        let mut alone = Self { core, db, waiting: VecDeque::new(), start, wall, cpu };
        let mut greetings = wire::of(Kind::Weft);
        let mut ready = vec![false; connections];
        for at in 0..connections {
            greetings.open(at);
            let mut said = alone.greeted(at)?;
            while let Some((to, frame)) = said.pop() {
                let ready = ready.get_mut(to).context("nobody's")?;
                if *ready {
                    continue;
                }
                let step = greetings.greet(to, &frame)?;
                *ready = step.ready;
                for frame in step.send {
                    said.extend(alone.hear(to, &frame)?);
                }
            }
        }
        Ok(alone)
    }

    /// Lets every connection talk until all is said.
    pub(crate) fn converse(
        &mut self,
        connections: usize,
        envelopes: usize,
        mut talk: impl Talk,
    ) -> anyhow::Result<Took> {
        (self.wall, self.cpu) = (Duration::ZERO, Duration::ZERO);
        let mut said = VecDeque::new();
        for at in 0..connections {
            said.extend(talk.begin(at)?.into_iter().map(|frame| (at, frame)));
        }
        loop {
            let next = if self.waiting.len() < BATCH { said.pop_front() } else { None };
            let heard = match next {
                Some((at, frame)) => self.hear(at, &frame)?,
                None => self.store()?,
            };
            for (at, frame) in heard {
                said.extend(talk.answer(at, &frame)?.into_iter().map(|frame| (at, frame)));
            }
            if talk.is_over() {
                return Ok(Took { envelopes, wall: self.wall, cpu: self.cpu.as_secs_f64() });
            }
            ensure!(!said.is_empty() || !self.waiting.is_empty(), "nobody says anything more");
        }
    }

    fn greeted(&mut self, at: usize) -> anyhow::Result<Frames> {
        let input = Input::Connected { conn: ConnId(at as u64), origin: Origin::Peer };
        self.core.handle(self.now(), input);
        self.polled()
    }

    /// What the core says to a frame as it is on a socket.
    fn hear(&mut self, at: usize, frame: &[u8]) -> anyhow::Result<Frames> {
        // Length and mask are before what it says (bench/src/framing.rs).
        let header = match frame.get(1).context("no frame")? & 0x7f {
            0x7e => 8,
            0x7f => 14,
            _ => 6,
        };
        let bytes = frame.get(header..).context("no frame")?;
        let (wall, cpu) = (Instant::now(), cpu());
        self.core.handle(self.now(), Input::Frame { conn: ConnId(at as u64), bytes });
        let frames = self.polled();
        self.took(wall, cpu);
        frames
    }

    /// Writes one transaction.
    fn store(&mut self) -> anyhow::Result<Frames> {
        let (wall, cpu) = (Instant::now(), cpu());
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        self.db.write(batch.iter().flat_map(|(_, changes)| changes))?;
        for (number, _) in batch {
            self.core.handle(self.now(), Input::MailKept { number, durable: true });
        }
        let frames = self.polled();
        self.took(wall, cpu);
        frames
    }

    fn polled(&mut self) -> anyhow::Result<Frames> {
        let mut frames = Vec::new();
        while let Some(output) = self.core.poll() {
            match output {
                Output::Send { conn, frame } => frames.push((usize::try_from(conn.0)?, frame.to_vec())),
                Output::KeepMail { number, changes } => self.waiting.push_back((number, changes)),
                _ => {}
            }
        }
        Ok(frames)
    }

    fn now(&self) -> Time {
        let (began, ms) = self.start;
        Time::from_millis(ms) + began.elapsed()
    }

    fn took(&mut self, wall: Instant, before: Duration) {
        self.wall += wall.elapsed();
        self.cpu += cpu().saturating_sub(before);
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
