//! The load client: many connections on one thread, messages encoded beforehand, at most one read and one write per
//! message, so that the server is the one that is busy.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::framing;
use crate::server::Kind;
use crate::wire::{self, Mode, Received, Signal, Step, Wire};

/// Connections that may be half open at once: below every listen backlog.
const OPENING: usize = 64;
/// How long opening all connections may take.
const OPEN_DEADLINE: Duration = Duration::from_secs(90);
/// Latencies that are kept; the rest of a run is not timed.
const SAMPLES: usize = 4_000_000;
/// How long an exchange may take before the run is given up: no measured server needs a tenth of that.
const LOST: Duration = Duration::from_secs(10);

/// All connections to one server.
pub(crate) struct Client {
    poll: Poll,
    events: Events,
    wire: Box<dyn Wire>,
    connections: Vec<Connection>,
    /// How many of them are ready.
    ready: usize,
    pairs: Vec<Pair>,
    /// Relayed messages that arrived, all kinds.
    delivered: u64,
    /// Exchanges that came back.
    exchanges: u64,
    latencies: Vec<Duration>,
    /// Whether a pair begins anew when its exchange came back.
    running: bool,
    /// When each connection announced itself, while they do so again and again.
    announced: Vec<Instant>,
    /// What all connections say, while that is no exchange.
    talk: Option<Box<dyn Talk>>,
    scratch: Box<[u8]>,
}

/// What connections say on their own account once they are ready, where that is no exchange of signals.
pub(crate) trait Talk {
    /// What a connection says first.
    fn begin(&mut self, at: usize) -> anyhow::Result<Vec<Vec<u8>>>;
    /// What it says to a frame that arrived.
    fn answer(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Vec<Vec<u8>>>;
    /// Nothing more is to be said.
    fn is_over(&self) -> bool;
}

struct Connection {
    stream: TcpStream,
    upgraded: bool,
    ready: bool,
    /// What arrived of an incomplete frame.
    inbox: Vec<u8>,
    /// What the socket did not take yet.
    outbox: Vec<u8>,
    /// The pair it belongs to, and what it sends there.
    role: Option<(usize, Signal)>,
}

struct Pair {
    asking: usize,
    answering: usize,
    offer: Vec<u8>,
    answer: Vec<u8>,
    since: Instant,
    waiting: bool,
}

/// What happened in a stretch of time.
pub(crate) struct Stretch {
    /// Wall time.
    pub(crate) lasted: Duration,
    /// Relayed messages that arrived.
    pub(crate) delivered: u64,
    /// Exchanges that came back.
    pub(crate) exchanges: u64,
    /// From an offer to its answer, sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl Client {
    /// Opens `count` connections, each of them ready to relay.
    ///
    /// # Errors
    /// If the server refuses one, or takes longer than a minute and a half.
    pub(crate) fn open(kind: Kind, addr: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let mut client = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            wire: wire::of(kind),
            connections: Vec::with_capacity(count),
            ready: 0,
            pairs: Vec::new(),
            delivered: 0,
            exchanges: 0,
            latencies: Vec::new(),
            running: false,
            announced: Vec::new(),
            talk: None,
            scratch: vec![0; 256 * 1024].into(),
        };
        let deadline = Instant::now() + OPEN_DEADLINE;
        while client.ready < count {
            while client.connections.len() < count && client.connections.len() - client.ready < OPENING {
                client.connect(addr)?;
            }
            ensure!(Instant::now() < deadline, "only {} of {count} were ready in time", client.ready);
            client.turn(Duration::from_millis(100))?;
        }
        Ok(client)
    }

    /// Forms pairs; the earlier ones are forgotten.
    pub(crate) fn pair(&mut self, mode: Mode, pairs: impl Iterator<Item = (usize, usize)>) {
        for connection in &mut self.connections {
            connection.role = None;
        }
        self.pairs.clear();
        for (at, (asking, answering)) in pairs.enumerate() {
            for (member, signal) in [(asking, Signal::Offer), (answering, Signal::Answer)] {
                if let Some(connection) = self.connections.get_mut(member) {
                    connection.role = Some((at, signal));
                }
            }
            self.pairs.push(Pair {
                asking,
                answering,
                offer: self.wire.signal(mode, asking, answering, Signal::Offer),
                answer: self.wire.signal(mode, answering, asking, Signal::Answer),
                since: Instant::now(),
                waiting: false,
            });
        }
    }

    /// Keeps every pair exchanging: one message in flight each.
    pub(crate) fn exchange(&mut self, lasting: Duration) -> anyhow::Result<Stretch> {
        self.running = true;
        for at in 0..self.pairs.len() {
            if self.pairs.get(at).is_some_and(|pair| !pair.waiting) {
                self.ask(at)?;
            }
        }
        self.latencies.clear();
        let (delivered, exchanges, began) = (self.delivered, self.exchanges, Instant::now());
        self.idle(lasting)?;
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        Ok(Stretch {
            lasted: began.elapsed(),
            delivered: self.delivered - delivered,
            exchanges: self.exchanges - exchanges,
            latencies,
        })
    }

    /// Keeps every connection announcing itself: one announce in flight each. An exchange is an announce and its answer.
    pub(crate) fn announce(&mut self, lasting: Duration) -> anyhow::Result<Stretch> {
        if self.announced.is_empty() {
            self.announced = vec![Instant::now(); self.connections.len()];
            for at in 0..self.connections.len() {
                self.announce_one(at)?;
            }
        }
        self.latencies.clear();
        let (exchanges, began) = (self.exchanges, Instant::now());
        self.idle(lasting)?;
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_unstable();
        let exchanges = self.exchanges - exchanges;
        Ok(Stretch { lasted: began.elapsed(), delivered: exchanges, exchanges, latencies })
    }

    /// Lets every connection talk until all is said; how long that took.
    ///
    /// # Errors
    /// If it is not over within a minute and a half.
    pub(crate) fn converse(&mut self, talk: impl Talk + 'static) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let talk: &mut Box<dyn Talk> = self.talk.insert(Box::new(talk));
        let first =
            (0..self.connections.len()).map(|at| talk.begin(at)).collect::<anyhow::Result<Vec<_>>>()?;
        for (at, frames) in first.into_iter().enumerate() {
            for frame in frames {
                self.send(at, &frame)?;
            }
        }
        while self.talk.as_ref().is_some_and(|talk| !talk.is_over()) {
            ensure!(began.elapsed() < OPEN_DEADLINE, "the talk did not come to its end");
            self.turn(Duration::from_millis(100))?;
        }
        self.talk = None;
        Ok(began.elapsed())
    }

    fn announce_one(&mut self, at: usize) -> anyhow::Result<()> {
        let frame = self.wire.announce(at)?;
        if let Some(since) = self.announced.get_mut(at) {
            *since = Instant::now();
        }
        self.send(at, &frame)
    }

    /// Lets the exchanges under way come to their end.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        self.running = false;
        let deadline = Instant::now() + LOST;
        while self.pairs.iter().any(|pair| pair.waiting) {
            ensure!(Instant::now() < deadline, "an exchange got lost");
            self.turn(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// Answers what servers ask of every client (pings), and goes on with exchanges if there are any.
    pub(crate) fn idle(&mut self, lasting: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + lasting;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(left)?;
        }
    }

    fn connect(&mut self, addr: SocketAddr) -> anyhow::Result<()> {
        let stream = std::net::TcpStream::connect(addr).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let at = self.connections.len();
        self.poll.registry().register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE)?;
        let (path, protocol) = self.wire.request(at);
        let mut connection = Connection {
            stream,
            upgraded: false,
            ready: false,
            inbox: Vec::new(),
            outbox: Vec::new(),
            role: None,
        };
        connection.send(&framing::upgrade(&path, protocol))?;
        self.connections.push(connection);
        Ok(())
    }

    /// Waits for events once and handles them.
    fn turn(&mut self, timeout: Duration) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(at) = event.token();
            if event.is_writable()
                && let Some(connection) = self.connections.get_mut(at)
            {
                connection.flush()?;
            }
            if event.is_readable() {
                self.read(at).with_context(|| format!("connection {at}"))?;
            }
        }
        self.events = events;
        Ok(())
    }

    fn read(&mut self, at: usize) -> anyhow::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = self.read_into(&mut scratch, at);
        self.scratch = scratch;
        outcome
    }

    fn read_into(&mut self, scratch: &mut [u8], at: usize) -> anyhow::Result<()> {
        loop {
            let connection = self.connections.get_mut(at).context("an event of nobody")?;
            let read = match connection.stream.read(scratch) {
                Ok(0) => bail!("closed by the server"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let fresh = scratch.get(..read).unwrap_or_default();
            if connection.inbox.is_empty() {
                let used = self.take(at, fresh)?;
                let rest = fresh.get(used..).unwrap_or_default();
                if let Some(connection) = self.connections.get_mut(at) {
                    connection.inbox.extend_from_slice(rest);
                }
            } else {
                let mut inbox = std::mem::take(&mut connection.inbox);
                inbox.extend_from_slice(fresh);
                let used = self.take(at, &inbox)?;
                inbox.drain(..used);
                if let Some(connection) = self.connections.get_mut(at) {
                    connection.inbox = inbox;
                }
            }
            // A short read emptied the socket (epoll(7)): another one would only learn that.
            if read < scratch.len() {
                return Ok(());
            }
        }
    }

    /// Handles all whole frames; returns how many bytes they were.
    fn take(&mut self, at: usize, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut used = 0;
        if !self.connections.get(at).is_some_and(|connection| connection.upgraded) {
            let Some(end) = framing::upgraded(bytes)? else { return Ok(0) };
            used = end;
            let step = self.wire.open(at);
            self.step(at, step)?;
            if let Some(connection) = self.connections.get_mut(at) {
                connection.upgraded = true;
            }
        }
        while let Some(found) = framing::next(bytes, used)? {
            used = found.payload.end;
            let payload = bytes.get(found.payload).unwrap_or_default();
            match found.opcode {
                framing::PING => self.send(at, &framing::frame(framing::PONG, payload))?,
                framing::CLOSE => bail!("closed: {}", String::from_utf8_lossy(payload)),
                framing::TEXT | framing::BINARY => self.on_message(at, payload)?,
                _ => {}
            }
        }
        Ok(used)
    }

    fn on_message(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<()> {
        let Some(Connection { ready, role, .. }) = self.connections.get(at) else { return Ok(()) };
        let role = *role;
        if !ready {
            let step = self.wire.greet(at, payload)?;
            return self.step(at, step);
        }
        if let Some(talk) = &mut self.talk {
            for frame in talk.answer(at, payload)? {
                self.send(at, &frame)?;
            }
            return Ok(());
        }
        if let Some(since) = self.announced.get(at)
            && self.wire.is_announced(payload)
        {
            self.exchanges += 1;
            if self.latencies.len() < SAMPLES {
                self.latencies.push(since.elapsed());
            }
            return self.announce_one(at);
        }
        match (self.wire.received(payload), role) {
            (Received::Refused(why), _) => bail!("refused: {why}"),
            (Received::Other, _) => Ok(()),
            (Received::Signal(sent, slot), Some((pair, own))) if sent != own && slot == wire::slot(at) => {
                self.delivered += 1;
                if sent == Signal::Offer { self.answer(pair) } else { self.finish(pair) }
            }
            // For others of the swarm, or one's own coming back.
            (Received::Signal(..), _) => {
                self.delivered += 1;
                Ok(())
            }
        }
    }

    fn ask(&mut self, pair: usize) -> anyhow::Result<()> {
        let Some(Pair { asking, offer, since, waiting, .. }) = self.pairs.get_mut(pair) else {
            return Ok(());
        };
        *since = Instant::now();
        *waiting = true;
        match self.connections.get_mut(*asking) {
            Some(connection) => connection.send(offer),
            None => Ok(()),
        }
    }

    fn answer(&mut self, pair: usize) -> anyhow::Result<()> {
        let Some(Pair { answering, answer, .. }) = self.pairs.get(pair) else { return Ok(()) };
        match self.connections.get_mut(*answering) {
            Some(connection) => connection.send(answer),
            None => Ok(()),
        }
    }

    fn finish(&mut self, pair: usize) -> anyhow::Result<()> {
        let Some(Pair { since, waiting, .. }) = self.pairs.get_mut(pair) else { return Ok(()) };
        *waiting = false;
        self.exchanges += 1;
        if self.latencies.len() < SAMPLES {
            self.latencies.push(since.elapsed());
        }
        if self.running { self.ask(pair) } else { Ok(()) }
    }

    fn step(&mut self, at: usize, step: Step) -> anyhow::Result<()> {
        for frame in step.send {
            self.send(at, &frame)?;
        }
        if let Some(connection) = self.connections.get_mut(at) {
            self.ready += usize::from(step.ready && !connection.ready);
            connection.ready |= step.ready;
        }
        Ok(())
    }

    fn send(&mut self, at: usize, bytes: &[u8]) -> anyhow::Result<()> {
        self.connections.get_mut(at).map_or(Ok(()), |connection| connection.send(bytes))
    }
}

impl Connection {
    fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = if self.outbox.is_empty() { write(&mut self.stream, bytes)? } else { 0 };
        self.outbox.extend_from_slice(bytes.get(written..).unwrap_or_default());
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if !self.outbox.is_empty() {
            let written = write(&mut self.stream, &self.outbox)?;
            self.outbox.drain(..written);
        }
        Ok(())
    }
}

/// Writes as much as the socket takes.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<usize> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error).context("write"),
        }
    }
    Ok(written)
}
