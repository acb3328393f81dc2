//! Mail that is left at a signaler and collected, beside what SQLite alone takes for as much.
//!
//! 256 connections, each of which leaves envelopes in the mailboxes of all, two at a time, each acknowledged once it is on the
//! disk; then each collects its own mailbox until it is empty, and signs what it took. The same through three signalers that
//! keep everything, of which one is asked, where an envelope is acknowledged once two have it; all three are on one core. Beside it, in the same rounds and
//! on the same disk, one thread writes as many into SQLite with the signaler's settings and full transactions: once into a
//! table of numbers and bytes, once into the signaler's own table; and the signaler's core, with that table, does the same without
//! sockets.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use weft_crypto::challenge::{Collection, prove_collection, sign_taken};
use weft_crypto::statement::sign_record;
use weft_crypto::{IdentityKey, PeerKey, digest};
use weft_wire::signaler::{FromSignaler, ToSignaler};
use weft_wire::{Bytes, Code, IdentityId, List, PeerId, PeerRecord, Text, decode, encode, limits};

use crate::Common;
use crate::alone::Alone;
use crate::client::{Client, Talk};
use crate::figures::{Figure, say};
use crate::framing;
use crate::server::{Kind, Server, own_cpu};
use crate::sqlite::{self, Bare, Layout};
use crate::wire::weft::{now_ms, seed};

/// Connections, each with a mailbox.
const CONNECTIONS: usize = 256;
/// Envelopes that each connection has under way: all together fewer than the signaler lets wait for its disk.
const WINDOW: usize = 2;
/// Bytes of an envelope.
const ENVELOPE: usize = 256;
/// How long envelopes may wait, milliseconds.
const LIFE_MS: u64 = 86_400_000;
/// Signalers that keep everything.
const REPLICAS: usize = 3;
/// Share of what SQLite alone appends that the signaler should append at least, and the goal. Appending, an envelope is a write for
/// both; what is collected is taken out by up to 256 in a write of the signaler's, in larger transactions than SQLite's here.
const BAR: f64 = 0.5;
/// See [`BAR`].
const GOAL: f64 = 0.8;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Interleaved rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Envelopes that each connection leaves
    #[arg(long, default_value_t = 200)]
    each: usize,
}

/// What one stretch of a pass took.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    pub(crate) envelopes: usize,
    pub(crate) wall: Duration,
    /// CPU seconds of whoever stores.
    pub(crate) cpu: f64,
}

impl Took {
    /// So many envelopes since a time.
    pub(crate) fn since(envelopes: usize, began: Instant, cpu: f64) -> anyhow::Result<Self> {
        ensure!(envelopes > 0, "nothing was measured");
        Ok(Self { envelopes, wall: began.elapsed(), cpu })
    }

    fn per_second(&self) -> f64 {
        self.envelopes as f64 / self.wall.as_secs_f64()
    }

    fn per_cpu(&self) -> f64 {
        self.envelopes as f64 / self.cpu.max(0.01)
    }
}

/// Everything appended, and everything drained.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) append: Took,
    pub(crate) drain: Took,
}

impl Pass {
    fn whole(&self) -> Took {
        let Self { append, drain } = self;
        Took { envelopes: append.envelopes, wall: append.wall + drain.wall, cpu: append.cpu + drain.cpu }
    }
}

/// A line of the table.
struct Row {
    name: &'static str,
    passes: Vec<Pass>,
}

/// Measures, and prints a table.
pub(crate) fn run(common: &Common, options: &Options) -> anyhow::Result<()> {
    let (rounds, each) = if common.quick { (1, 8) } else { (options.rounds, options.each) };
    let row = |name| Row { name, passes: Vec::new() };
    let mut rows = [
        row("SQLite, numbers and bytes"),
        row("SQLite, the signaler's table"),
        row("the signaler's core and table, without sockets"),
        row("weft-signaler"),
        row("three weft-signalers that keep everything"),
    ];
    for _ in 0..rounds {
        let envelopes = envelopes(each);
        let passes = [
            Bare::pass(Layout::Bare, &envelopes)?,
            Bare::pass(Layout::Mail, &envelopes)?,
            alone(each)?,
            through(&[Server::start(Kind::Weft, common)?], each)?,
            through(&Server::federation(common, REPLICAS)?, each)?,
        ];
        for (row, pass) in rows.iter_mut().zip(passes) {
            say(&format!(
                "# {}: {:.0} appended/s, {:.0} drained/s; {:.0} and {:.0} per CPU-s",
                row.name,
                pass.append.per_second(),
                pass.drain.per_second(),
                pass.append.per_cpu(),
                pass.drain.per_cpu(),
            ));
            row.passes.push(pass);
        }
    }
    print(&rows, rounds, each);
    Ok(())
}

fn print(rows: &[Row; 5], rounds: u32, each: usize) {
    let all = CONNECTIONS * each;
    say(&format!(
        "\n{all} envelopes of {ENVELOPE} bytes in {CONNECTIONS} mailboxes, {rounds} rounds: median (least to most)\n"
    ));
    say("| | appended/s | drained/s | appended/CPU-s | drained/CPU-s |");
    say("| --- | --- | --- | --- | --- |");
    for Row { name, passes } in rows {
        let of = |figure: &dyn Fn(&Pass) -> f64| collect(passes.iter().map(figure)).show(0);
        say(&format!(
            "| {name} | {} | {} | {} | {} |",
            of(&|pass| pass.append.per_second()),
            of(&|pass| pass.drain.per_second()),
            of(&|pass| pass.append.per_cpu()),
            of(&|pass| pass.drain.per_cpu()),
        ));
    }
    say("\nShare of SQLite's, both tables, round by round:\n");
    say("| | of | appended and drained, wall | the same, CPU | appended, wall | appended, CPU |");
    say("| --- | --- | --- | --- | --- | --- |");
    let [bare, table, ours @ ..] = rows;
    for (row, other) in ours.iter().flat_map(|row| [(row, bare), (row, table)]) {
        let of = |figure: &dyn Fn(&Pass) -> f64| {
            let ratios = row.passes.iter().zip(&other.passes).map(|(one, two)| figure(one) / figure(two));
            collect(ratios)
        };
        let whole = of(&|pass| pass.whole().per_second());
        say(&format!(
            "| {} | {} | {} | {} | {} | {} |",
            row.name,
            other.name,
            whole.show(2),
            of(&|pass| pass.whole().per_cpu()).show(2),
            of(&|pass| pass.append.per_second()).show(2),
            of(&|pass| pass.append.per_cpu()).show(2),
        ));
    }
    say("");
    for (one, other) in ours.iter().flat_map(|row| [(row, bare), (row, table)]) {
        let ratios = one.passes.iter().zip(&other.passes);
        let wall = collect(ratios.map(|(one, two)| one.append.per_second() / two.append.per_second()));
        let said = |least: f64| if wall.median() >= least { "reached" } else { "MISSED" };
        say(&format!(
            "bar: {BAR} of {}, appended, wall: {}: {:.2}, {}; goal {GOAL}: {}",
            other.name,
            one.name,
            wall.median(),
            said(BAR),
            said(GOAL)
        ));
    }
}

fn collect(values: impl Iterator<Item = f64>) -> Figure {
    let mut figure = Figure::default();
    values.for_each(|value| figure.add(value));
    figure
}

/// What all connections leave, in the order in which each does.
fn envelopes(each: usize) -> Vec<sqlite::Envelope> {
    let order = (0..each).flat_map(|n| (0..CONNECTIONS).map(move |at| (at, n)));
    let owned = |(at, n)| {
        let (to, body) = (recipient(at, n), body(at, n));
        sqlite::Envelope { mailbox: digest(&to.to_be_bytes()).0, id: digest(&body).0, body }
    };
    order.map(owned).collect()
}

/// In whose mailbox a connection leaves its envelope of this number: in each in turn.
const fn recipient(at: usize, n: usize) -> usize {
    (at + n) % CONNECTIONS
}

/// An envelope, different from all others. Signalers cannot tell what is in it.
fn body(at: usize, n: usize) -> Vec<u8> {
    let name = ((at as u64) << 32) | n as u64;
    let parts = (0_u8..).map(|part| digest(&[&name.to_be_bytes()[..], &[part]].concat()).0);
    parts.flatten().take(ENVELOPE).collect()
}

/// All envelopes through the first of these signalers. The CPU time is that of all of them.
fn through(servers: &[Server], each: usize) -> anyhow::Result<Pass> {
    let home = servers.first().context("no signaler")?;
    let cpu = || servers.iter().map(Server::cpu).sum::<anyhow::Result<f64>>();
    let owners: Vec<Owner> = (0..CONNECTIONS).map(Owner::new).collect();
    let all = CONNECTIONS * each;
    let mut client = Client::open(Kind::Weft, home.addr(), CONNECTIONS)?;
    client.converse(Opening { owners: owners.clone(), left: CONNECTIONS })?;

    let (before, client_before) = (cpu()?, own_cpu()?);
    let wall = client.converse(Leaving::new(owners.clone(), each))?;
    let append = Took { envelopes: all, wall, cpu: cpu()? - before };
    busy(client_before, wall)?;

    let (before, client_before) = (cpu()?, own_cpu()?);
    let wall = client.converse(Collecting::new(owners, all))?;
    let drain = Took { envelopes: all, wall, cpu: cpu()? - before };
    busy(client_before, wall)?;
    Ok(Pass { append, drain })
}

/// The same without sockets.
fn alone(each: usize) -> anyhow::Result<Pass> {
    let owners: Vec<Owner> = (0..CONNECTIONS).map(Owner::new).collect();
    let all = CONNECTIONS * each;
    let mut core = Alone::open(CONNECTIONS)?;
    core.converse(CONNECTIONS, all, Opening { owners: owners.clone(), left: CONNECTIONS })?;
    let append = core.converse(CONNECTIONS, all, Leaving::new(owners.clone(), each))?;
    let drain = core.converse(CONNECTIONS, all, Collecting::new(owners, all))?;
    Ok(Pass { append, drain })
}

/// Says so if the client had too little to spare to measure anybody else.
fn busy(before: f64, wall: Duration) -> anyhow::Result<()> {
    let share = (own_cpu()? - before) / wall.as_secs_f64();
    if share > 0.9 {
        say(&format!("# the client was busy for {:.0} % of the time", share * 100.0));
    }
    Ok(())
}

/// Whose mailbox it is.
#[derive(Clone)]
struct Owner {
    key: PeerKey,
    peer: PeerId,
    identity: IdentityId,
    identity_key: IdentityKey,
}

impl Owner {
    fn new(at: usize) -> Self {
        let (key, identity_key) = (PeerKey::new(&seed(at)), IdentityKey::new(&seed(at)));
        Self { peer: key.id(), identity: identity_key.id(), key, identity_key }
    }
}

fn frame(frame: &ToSignaler<'_>) -> Vec<u8> {
    framing::frame(framing::BINARY, &encode(frame))
}

fn received(payload: &[u8]) -> anyhow::Result<FromSignaler<'_>> {
    match decode::<FromSignaler<'_>>(payload, limits::FRAME)? {
        // The disk was too slow: it is to be sent again, which is measured, too.
        refused @ FromSignaler::Error { code: Code::NotStored, .. } => Ok(refused),
        FromSignaler::Error { code, text, .. } => bail!("refused: {code:?} {text:?}"),
        frame => Ok(frame),
    }
}

/// Everybody publishes a record, which opens a mailbox.
struct Opening {
    owners: Vec<Owner>,
    left: usize,
}

impl Talk for Opening {
    fn begin(&mut self, at: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let owner = self.owners.get(at).context("nobody's")?;
        let now = now_ms()?;
        let record = PeerRecord {
            identity: owner.identity,
            peer: owner.peer,
            agreement: owner.key.agreement(),
            name: Text::cut(""),
            issued: now,
            until: now + LIFE_MS,
            sessions: None,
        };
        let record = Bytes(sign_record(&owner.identity_key, &record));
        Ok(vec![frame(&ToSignaler::Publish { re: 1, record, prekeys: List::default() })])
    }

    fn answer(&mut self, _: usize, payload: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        self.left -= usize::from(matches!(received(payload)?, FromSignaler::Published { .. }));
        Ok(Vec::new())
    }

    fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// Everybody leaves envelopes for all.
struct Leaving {
    owners: Vec<Owner>,
    each: usize,
    /// How many each connection has sent.
    sent: Vec<usize>,
    /// Not acknowledged yet.
    left: usize,
}

impl Leaving {
    fn new(owners: Vec<Owner>, each: usize) -> Self {
        Self { sent: vec![0; owners.len()], left: owners.len() * each, owners, each }
    }

    fn next(&mut self, at: usize) -> anyhow::Result<Option<Vec<u8>>> {
        let sent = self.sent.get_mut(at).context("nobody's")?;
        if *sent == self.each {
            return Ok(None);
        }
        *sent += 1;
        let n = *sent - 1;
        self.envelope(at, n).map(Some)
    }

    fn envelope(&self, at: usize, n: usize) -> anyhow::Result<Vec<u8>> {
        let to = self.owners.get(recipient(at, n)).context("for nobody")?;
        let (re, envelope) = (u32::try_from(n)?, &body(at, n));
        let (identity, peer) = (to.identity, to.peer);
        Ok(frame(&ToSignaler::Store { re, identity, peer, life_ms: LIFE_MS, envelope }))
    }
}

impl Talk for Leaving {
    fn begin(&mut self, at: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let first = (0..WINDOW).map(|_| self.next(at)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(first.into_iter().flatten().collect())
    }

    fn answer(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        match received(payload)? {
            FromSignaler::Ack { .. } => {
                self.left -= 1;
                Ok(self.next(at)?.into_iter().collect())
            }
            FromSignaler::Error { re: Some(re), .. } => Ok(vec![self.envelope(at, usize::try_from(re)?)?]),
            _ => Ok(Vec::new()),
        }
    }

    fn is_over(&self) -> bool {
        self.left == 0
    }
}

/// Everybody collects until nothing is left.
struct Collecting {
    owners: Vec<Owner>,
    /// Of each connection, once it was asked for a proof.
    collections: Vec<Option<Collection>>,
    /// What each said last that it took.
    taken: Vec<Vec<u8>>,
    /// Envelopes that are still to come, and connections that have not heard that theirs is empty.
    expected: usize,
    open: usize,
}

impl Collecting {
    fn new(owners: Vec<Owner>, expected: usize) -> Self {
        Self {
            collections: vec![None; owners.len()],
            taken: vec![Vec::new(); owners.len()],
            open: owners.len(),
            owners,
            expected,
        }
    }
}

impl Talk for Collecting {
    fn begin(&mut self, at: usize) -> anyhow::Result<Vec<Vec<u8>>> {
        let Owner { identity, peer, .. } = self.owners.get(at).context("nobody's")?;
        Ok(vec![frame(&ToSignaler::Collect { re: 1, identity: *identity, peer: *peer })])
    }

    fn answer(&mut self, at: usize, payload: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        let Owner { key, identity, peer, .. } = self.owners.get(at).context("nobody's")?;
        let (identity, peer) = (*identity, *peer);
        let collection = self.collections.get_mut(at).context("nobody's")?;
        match received(payload)? {
            FromSignaler::Prove { signaler, nonce, .. } => {
                let proven = Collection { peer, identity, signaler, nonce };
                *collection = Some(proven);
                let signature = prove_collection(key, &proven);
                Ok(vec![frame(&ToSignaler::Proof { re: 2, identity, peer, signaler, nonce, signature })])
            }
            FromSignaler::Mail { items, .. } if items.is_empty() => {
                self.open -= 1;
                ensure!(self.open > 0 || self.expected == 0, "{} envelopes are lost", self.expected);
                Ok(Vec::new())
            }
            FromSignaler::Mail { items, .. } => {
                let ids: Vec<_> = items.iter().map(|waiting| digest(&waiting.envelope.0)).collect();
                self.expected = self.expected.checked_sub(ids.len()).context("more came than was left")?;
                let collection = collection.as_ref().context("mail without a proof")?;
                let Collection { signaler, nonce, .. } = *collection;
                let signature = sign_taken(key, collection, &ids);
                let ids = List::first(ids);
                let taken = ToSignaler::Taken { re: 3, identity, peer, signaler, nonce, ids, signature };
                let taken = frame(&taken);
                self.taken.get_mut(at).context("nobody's")?.clone_from(&taken);
                Ok(vec![taken])
            }
            FromSignaler::Error { .. } => Ok(vec![self.taken.get(at).context("nobody's")?.clone()]),
            _ => Ok(Vec::new()),
        }
    }

    fn is_over(&self) -> bool {
        self.open == 0
    }
}
