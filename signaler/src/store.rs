//! The one SQLite file: the signaler's own seed, the keys pinned for siblings' URLs, the cards of the federation's members, the
//! registry, and the mail, prekeys and records that peers left here.
//!
//! WAL, one writer thread, one signaler: the file is locked while one runs. What waits is written in one transaction, and copied
//! from the log into the file at once, so that a copy of the file is all of it; after mail, which comes all the time, once there is a pause. Who asked is
//! answered when it is in the log and on the disk. Who is connected is never stored: it expires anyway.
//!
//! What could not be written, as on a full disk, is written as soon as it can be; meanwhile it counts all the same, for siblings
//! have it already, and `/healthz` says that it is not durable. Not so mail: who left it is told, and leaves it again.
//!
//! Each write has a [`Place`] from when it is asked for until it is durable, or given up; there are [`QUEUE`] of them. Who finds
//! none is told before anything counts; what siblings say then counts, is not stored here, and comes from them again after a restart.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use weft_crypto::Seed;
use weft_signaler_core::registry::{Health, Record};
use weft_signaler_core::{MailChange, MailItem};
use weft_wire::registry::Sealed;
use weft_wire::sibling::KeptKind;
use weft_wire::{Bytes, Digest, IdentityId, PeerId, RegistryKey, SignalerId, Signature, Tag};

/// What the file held at start.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seed: Seed,
    pins: Vec<(String, SignalerId)>,
    /// Signed cards of members, our own among them.
    pub(crate) cards: Vec<Vec<u8>>,
    /// The registry, in the order in which it is to be restored.
    pub(crate) records: Vec<Record>,
    /// What peers left.
    pub(crate) mail: Vec<MailChange>,
}

impl Stored {
    /// Reads the file, which is made if there is none; whether a signaler runs with it does not matter.
    ///
    /// # Errors
    /// With the path and what to do.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        create(path)?;
        Self::open(path).map(|(_, stored)| stored)
    }

    fn open(path: &Path) -> anyhow::Result<(Connection, Self)> {
        let mut db = Connection::open(path)
            .with_context(|| format!("cannot open {}: choose another place with --data", path.display()))?;
        let stored = read(&mut db).map_err(|error| {
            let advice = if is_full(&error) {
                "make room on its disk and start again; nothing is broken"
            } else {
                "put its backup back, or name another file with --data (a new file is a new signaler: siblings that know this one's key have to be told)"
            };
            error.context(format!("cannot use {}: {advice}", path.display()))
        })?;
        Ok((db, stored))
    }

    /// The key that was pinned for a URL.
    pub(crate) fn pin(&self, url: &str) -> Option<SignalerId> {
        self.pins.iter().find_map(|(known, id)| (known == url).then_some(*id))
    }
}

/// Writes in the background.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    to: SyncSender<Waiting>,
    state: Arc<State>,
    /// Held until the signaler has ended.
    _lock: Arc<File>,
}

/// What could not be written. Counted since the start, but for `late`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    /// Times that writing failed.
    pub(crate) failures: u64,
    /// Writes that found no place, and are not made good.
    pub(crate) overflows: u64,
    /// Writes that are made good as soon as that goes.
    pub(crate) late: u64,
}

#[derive(Debug, Default)]
struct State {
    failures: AtomicU64,
    overflows: AtomicU64,
    late: AtomicU64,
    /// Writes that are not done.
    waiting: AtomicUsize,
    /// The operator was told that there is no place, and there has not been since.
    full: AtomicBool,
}

/// A place for one write among those that wait.
#[derive(Debug)]
pub(crate) struct Place(Arc<State>);

impl Place {
    /// None: as many wait as may.
    fn take(state: &Arc<State>) -> Option<Self> {
        let free = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        let taken = state.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        taken.is_ok().then(|| Self(Arc::clone(state)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A write that is not done.
struct Waiting {
    job: Job,
    _place: Place,
}

/// What is to be written.
enum Job {
    Pin(String, SignalerId),
    /// A member's card; none: it is forgotten.
    Card(SignalerId, Option<bytes::Bytes>),
    /// Together or not at all; then somebody is told whether it is durable.
    Records(Vec<Record>, Done),
    /// Likewise.
    Mail(Vec<MailChange>, Done),
}

/// Is told whether something is durable.
type Done = Box<dyn FnOnce(bool) + Send>;

/// How long the end of another signaler with the same file is awaited.
const BUSY: Duration = Duration::from_secs(2);
/// What SQLite keeps in the file for programs to know their own by: "WEFT".
const APPLICATION: i64 = 0x5745_4654;

/// Writes that may wait, those among them that could not be written before.
const QUEUE: usize = 1024;
/// What could not be written is tried again after that.
const AGAIN: Duration = Duration::from_secs(1);
/// Writes in one transaction.
const BATCH: usize = 256;
/// How long there is nothing to write before mail is copied from the log into the file. SQLite does it by itself when the log
/// has 4 MiB.
const PAUSE: Duration = Duration::from_secs(1);
/// Heartbeats that are kept of each registrant: the last three hours.
const BEATS: u32 = 100;

/// One statement list per version of the schema; a file of version n needs those from n on.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE signaler (one INTEGER PRIMARY KEY CHECK (one = 1), seed BLOB NOT NULL CHECK (length(seed) = 32));
    CREATE TABLE pin (url TEXT PRIMARY KEY, id TEXT NOT NULL);
", "
    CREATE TABLE sovereign (key BLOB PRIMARY KEY CHECK (length(key) = 32));
    CREATE TABLE statement (
        digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
        about TEXT, kind INTEGER NOT NULL, body BLOB NOT NULL, signature BLOB NOT NULL CHECK (length(signature) = 64)
    );
    CREATE TABLE beat (
        id TEXT NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL, signature BLOB NOT NULL CHECK (length(signature) = 64),
        PRIMARY KEY (id, time, signature)
    ) WITHOUT ROWID;
    CREATE TABLE lapse (id TEXT PRIMARY KEY, head BLOB NOT NULL CHECK (length(head) = 32));
    CREATE TABLE health (
        id TEXT NOT NULL, type TEXT NOT NULL, port INTEGER NOT NULL, healthy INTEGER NOT NULL, checked_at INTEGER NOT NULL,
        PRIMARY KEY (id, type, port)
    );
", "
    CREATE TABLE card (id TEXT PRIMARY KEY, card BLOB NOT NULL);
", "
    CREATE TABLE mail (
        identity BLOB NOT NULL CHECK (length(identity) = 32), peer BLOB NOT NULL CHECK (length(peer) = 32),
        id BLOB NOT NULL CHECK (length(id) = 32), kind INTEGER NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
        sender BLOB NOT NULL CHECK (length(sender) = 8), body BLOB,
        PRIMARY KEY (identity, peer, id)
    );
"];

impl Store {
    /// Opens the file, makes it if there is none (readable by its owner only), and begins to write.
    ///
    /// # Errors
    /// With the path and what to do.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Stored)> {
        let lock = create(path)?;
        hold(&lock, path)?;
        let (db, stored) = Stored::open(path)?;
        // Each has a place, so there is always room in it.
        let (to, from) = sync_channel(QUEUE);
        let state = Arc::new(State::default());
        let writer = Writer::new(db, Arc::clone(&state));
        let thread = std::thread::Builder::new().name("store".into());
        thread.spawn(move || writer.run(&from))?;
        Ok((Self { to, state, _lock: Arc::new(lock) }, stored))
    }

    /// What could not be written.
    pub(crate) fn troubles(&self) -> Troubles {
        let State { failures, overflows, late, .. } = &*self.state;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Troubles { failures: read(failures), overflows: read(overflows), late: read(late) }
    }

    /// A place for something that is stored only if there is one. None: nothing more can wait.
    pub(crate) fn place(&self) -> Option<Place> {
        let place = Place::take(&self.state);
        if place.is_none() {
            self.state.overflows.fetch_add(1, Ordering::Relaxed);
            if !self.state.full.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "{QUEUE} writes wait for the database: until it is faster, or its disk has room, nothing more is stored"
                );
            }
        }
        place
    }

    /// Remembers a key for a URL. Without a place it is pinned anew after a restart.
    pub(crate) fn pin(&self, url: String, id: SignalerId) {
        self.queue(Job::Pin(url, id));
    }

    /// Remembers a member's card, or forgets it. Without a place it is found through others after a restart.
    pub(crate) fn card(&self, id: SignalerId, card: Option<bytes::Bytes>) {
        self.queue(Job::Card(id, card));
    }

    /// Stores what the registry has to keep, in a place that was taken before; `done` is told whether it is durable already.
    pub(crate) fn keep(&self, place: Place, records: Vec<Record>, done: impl FnOnce(bool) + Send + 'static) {
        self.send(place, Job::Records(records, Box::new(done)));
    }

    /// The same where nobody waits: without a place the registry gets it from siblings after a restart.
    pub(crate) fn keep_if_room(&self, records: Vec<Record>) {
        self.queue(Job::Records(records, Box::new(|_| {})));
    }

    /// Stores what peers left; `done` is told whether it is durable. False: it is not stored, and `done` not told.
    pub(crate) fn mail(&self, changes: Vec<MailChange>, done: impl FnOnce(bool) + Send + 'static) -> bool {
        self.queue(Job::Mail(changes, Box::new(done)))
    }

    fn queue(&self, job: Job) -> bool {
        self.place().is_some_and(|place| self.send(place, job))
    }

    /// False: the writer has ended, with the signaler.
    fn send(&self, place: Place, job: Job) -> bool {
        self.to.try_send(Waiting { job, _place: place }).is_ok()
    }
}

/// Writes what comes; first what could not be written before, which keeps the order.
struct Writer {
    db: Connection,
    late: Vec<Waiting>,
    /// Mail is in the log that is not in the file.
    behind: bool,
    /// The operator was told that it does not go, and it has not since.
    failing: bool,
    state: Arc<State>,
}

impl Writer {
    fn new(db: Connection, state: Arc<State>) -> Self {
        Self { db, late: Vec::new(), behind: false, failing: false, state }
    }

    /// Until nobody can send any more.
    fn run(mut self, from: &Receiver<Waiting>) {
        loop {
            let first = if !self.late.is_empty() {
                from.recv_timeout(AGAIN)
            } else if self.behind {
                from.recv_timeout(PAUSE)
            } else {
                from.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
            let jobs = first.into_iter().chain(from.try_iter()).take(BATCH).collect();
            self.turn(jobs);
            if ended {
                let _ = into_file(&mut self.db);
                return;
            }
        }
    }

    /// Once what waits, and what came.
    fn turn(&mut self, jobs: Vec<Waiting>) {
        self.make_good();
        if jobs.is_empty() && self.behind {
            self.behind = into_file(&mut self.db).is_err();
        }
        let told = self.write(jobs);
        self.state.late.store(self.late.len() as u64, Ordering::Relaxed);
        if self.state.waiting.load(Ordering::Relaxed) < QUEUE / 2 {
            self.state.full.store(false, Ordering::Relaxed);
        }
        for (done, durable) in told {
            done(durable);
        }
    }

    /// Writes what came, all of it or what can be. Returns who is to be told what.
    fn write(&mut self, jobs: Vec<Waiting>) -> Vec<(Done, bool)> {
        let only_mail = jobs.iter().all(|waiting| is_mail(&waiting.job));
        self.behind |= only_mail && !jobs.is_empty();
        let together = self.late.is_empty() || only_mail;
        let together = together
            && write(&mut self.db, jobs.iter().map(|waiting| &waiting.job))
                .and_then(|()| copy(&mut self.db, only_mail))
                .is_ok();
        if together && !jobs.is_empty() && self.late.is_empty() {
            self.failing = false;
        }
        let mut told = Vec::new();
        for Waiting { job, _place: place } in jobs {
            // What does not fit together may one by one: the disk has room for some, and deletions make more. What comes
            // after something that waits has to wait, too.
            let durable = together || (self.late.is_empty() || is_mail(&job)) && self.write_one(&job);
            let job = match job {
                Job::Mail(_, done) => {
                    told.push((done, durable));
                    continue;
                }
                Job::Records(records, done) => {
                    told.push((done, durable));
                    Job::Records(records, Box::new(|_| {}))
                }
                job => job,
            };
            match job {
                Job::Card(id, card) if durable => {
                    tracing::debug!("stored: {} card of {id}", if card.is_some() { "the" } else { "no" });
                }
                _ if durable => {}
                job => self.late.push(Waiting { job, _place: place }),
            }
        }
        told
    }

    fn write_one(&mut self, job: &Job) -> bool {
        let outcome = write(&mut self.db, [job]).and_then(|()| copy(&mut self.db, is_mail(job)));
        self.went(&outcome)
    }

    /// Writes what could not be written before, all of it or nothing.
    fn make_good(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let outcome = write(&mut self.db, self.late.iter().map(|waiting| &waiting.job))
            .and_then(|()| into_file(&mut self.db));
        if self.went(&outcome) {
            tracing::info!("the database can be written again; {} changes of before are", self.late.len());
            self.late.clear();
            self.failing = false;
        }
    }

    /// Whether it did; if not, the operator is told once, until it does again.
    fn went(&mut self, outcome: &rusqlite::Result<()>) -> bool {
        if let Err(error) = outcome {
            self.state.failures.fetch_add(1, Ordering::Relaxed);
            if !std::mem::replace(&mut self.failing, true) {
                tracing::error!(
                    %error,
                    "the database cannot be written: is the disk full? It is tried again each second; mail is refused meanwhile"
                );
            }
        }
        outcome.is_ok()
    }
}

const fn is_mail(job: &Job) -> bool {
    matches!(job, Job::Mail(..))
}

/// Mail stays in the log for a while.
fn copy(db: &mut Connection, only_mail: bool) -> rusqlite::Result<()> {
    if only_mail { Ok(()) } else { into_file(db) }
}

fn write<'a>(db: &mut Connection, jobs: impl IntoIterator<Item = &'a Job>) -> rusqlite::Result<()> {
    let change = db.transaction()?;
    for job in jobs {
        match job {
            Job::Pin(url, id) => {
                change.execute(
                    "INSERT OR REPLACE INTO pin (url, id) VALUES (?1, ?2)",
                    params![url, id.to_string()],
                )?;
            }
            Job::Card(id, Some(card)) => {
                change.execute(
                    "INSERT OR REPLACE INTO card (id, card) VALUES (?1, ?2)",
                    params![id.to_string(), &**card],
                )?;
            }
            Job::Card(id, None) => {
                change.execute("DELETE FROM card WHERE id = ?1", params![id.to_string()])?;
            }
            Job::Records(records, _) => {
                for record in records {
                    write_record(&change, record)?;
                }
            }
            Job::Mail(changes, _) => {
                for one in changes {
                    write_mail(&change, one)?;
                }
            }
        }
    }
    change.commit()
}

fn write_mail(db: &Connection, change: &MailChange) -> rusqlite::Result<()> {
    match change {
        MailChange::Put { identity, peer, id, item } => {
            let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            db.prepare_cached("INSERT OR REPLACE INTO mail VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    identity.0,
                    peer.0,
                    id.0,
                    number_of(item.kind),
                    whole(item.at),
                    whole(item.until),
                    item.sender.0,
                    item.body.as_deref()
                ])?
        }
        MailChange::Drop { identity, peer, id } => db
            .prepare_cached("DELETE FROM mail WHERE identity = ?1 AND peer = ?2 AND id = ?3")?
            .execute(params![identity.0, peer.0, id.0])?,
    };
    Ok(())
}

const fn number_of(kind: KeptKind) -> u8 {
    match kind {
        KeptKind::Mail => 0,
        KeptKind::Once => 1,
        KeptKind::Fallback => 2,
        KeptKind::Record => 3,
        KeptKind::Revocation => 4,
    }
}

/// The mail as it was; what is of a kind that this version does not know stays where it is.
fn read_mail(db: &Connection) -> anyhow::Result<Vec<MailChange>> {
    let kinds = [KeptKind::Mail, KeptKind::Once, KeptKind::Fallback, KeptKind::Record, KeptKind::Revocation];
    let mut select = db.prepare("SELECT identity, peer, id, kind, at, until, sender, body FROM mail")?;
    let rows = select.query_map([], |row| {
        let number: u8 = row.get(3)?;
        let Some(kind) = kinds.into_iter().find(|kind| number_of(*kind) == number) else { return Ok(None) };
        let item = MailItem {
            kind,
            at: u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
            until: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
            sender: Tag(row.get(6)?),
            body: row.get::<_, Option<Vec<u8>>>(7)?.map(bytes::Bytes::from),
        };
        let (identity, peer) = (IdentityId(row.get(0)?), PeerId(row.get(1)?));
        Ok(Some(MailChange::Put { identity, peer, id: Digest(row.get(2)?), item }))
    })?;
    let mut mail = Vec::new();
    for row in rows {
        mail.extend(row?);
    }
    Ok(mail)
}

fn write_record(db: &Connection, record: &Record) -> rusqlite::Result<()> {
    let changed = match record {
        Record::Sovereign(key) => db.execute("INSERT OR IGNORE INTO sovereign VALUES (?1)", params![key.0]),
        Record::Statement { digest, about, sealed } => db.execute(
            "INSERT OR IGNORE INTO statement VALUES (?1, ?2, ?3, ?4, ?5)",
            params![digest.0, about.as_deref(), sealed.kind, sealed.body.0, sealed.signature.0],
        ),
        Record::Beat { id, time, sealed } => {
            let time = i64::try_from(*time).unwrap_or(i64::MAX);
            db.prepare_cached("INSERT OR IGNORE INTO beat VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                &**id,
                time,
                sealed.body.0,
                sealed.signature.0
            ])?;
            db.prepare_cached(
                "DELETE FROM beat WHERE id = ?1 AND time < (SELECT time FROM beat WHERE id = ?1 ORDER BY time DESC LIMIT 1 OFFSET ?2)",
            )?
            .execute(params![&**id, BEATS - 1])
        }
        Record::Lapse { id, head } => {
            db.execute("INSERT OR REPLACE INTO lapse VALUES (?1, ?2)", params![&**id, head.0])
        }
        Record::Health { id, kind, port, health } => db.execute(
            "INSERT OR REPLACE INTO health VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                &**id,
                &**kind,
                port,
                health.healthy,
                i64::try_from(health.checked_at).unwrap_or(i64::MAX)
            ],
        ),
        // A kind of a later version of the core.
        _ => Ok(0),
    };
    changed.map(|_| ())
}

/// The registry as it was, what cannot be read left out.
fn read_records(db: &Connection) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut each = |sql: &str, read: &dyn Fn(&rusqlite::Row<'_>) -> rusqlite::Result<Option<Record>>| {
        let mut select = db.prepare(sql)?;
        for record in select.query_map([], |row| read(row))? {
            records.extend(record?);
        }
        anyhow::Ok(())
    };
    each("SELECT key FROM sovereign", &|row| Ok(Some(Record::Sovereign(RegistryKey(row.get(0)?)))))?;
    each("SELECT digest, about, kind, body, signature FROM statement", &|row| {
        let sealed =
            Sealed { kind: row.get(2)?, body: Bytes(row.get(3)?), signature: Signature(row.get(4)?) };
        let about = row.get::<_, Option<String>>(1)?.and_then(|id| id.parse().ok());
        Ok(Some(Record::Statement { digest: Digest(row.get(0)?), about, sealed }))
    })?;
    each("SELECT id, time, body, signature FROM beat ORDER BY id, time", &|row| {
        let sealed = Sealed {
            kind: weft_wire::registry::Kind::Heartbeat.number(),
            body: Bytes(row.get(2)?),
            signature: Signature(row.get(3)?),
        };
        let time = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
        Ok(row.get::<_, String>(0)?.parse().ok().map(|id| Record::Beat { id, time, sealed }))
    })?;
    each("SELECT id, head FROM lapse", &|row| {
        let head = Digest(row.get(1)?);
        Ok(row.get::<_, String>(0)?.parse().ok().map(|id| Record::Lapse { id, head }))
    })?;
    each("SELECT id, type, port, healthy, checked_at FROM health", &|row| {
        let checked_at = u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default();
        let health = Health { healthy: row.get(3)?, checked_at };
        let (id, kind) = (row.get::<_, String>(0)?.parse().ok(), row.get::<_, String>(1)?.parse().ok());
        let port = row.get(2)?;
        Ok(id.zip(kind).map(|(id, kind)| Record::Health { id, kind, port, health }))
    })?;
    Ok(records)
}

/// The disk is full, or the file may not grow.
fn is_full(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::DiskFull)
}

fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(path)
        .with_context(|| format!("cannot create {}: choose another place with --data", path.display()))?;
    #[cfg(unix)]
    close_to_others(&file, path);
    Ok(file)
}

/// A backup that was put back may be readable by everybody, and it holds the signaler's key.
#[cfg(unix)]
fn close_to_others(file: &File, path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(about) = file.metadata() else { return };
    let of_others = about.permissions().mode() & 0o077;
    if of_others == 0 {
        return;
    }
    match file.set_permissions(std::fs::Permissions::from_mode(0o600)) {
        Ok(()) => tracing::warn!("{} was open to others; only its owner may read it now", path.display()),
        Err(error) => tracing::warn!(
            "{} holds the signaler's key and is open to others: chmod 600 it ({error})",
            path.display()
        ),
    }
}

/// Two signalers with one key would take each other's places. Where locks are mandatory (Windows) SQLite's own have to do.
fn hold(file: &File, path: &Path) -> anyhow::Result<()> {
    let end = Instant::now() + BUSY;
    while cfg!(not(windows)) {
        match file.try_lock() {
            // A file system without locks has to do without.
            Ok(()) | Err(TryLockError::Error(_)) => break,
            Err(TryLockError::WouldBlock) => {
                anyhow::ensure!(
                    Instant::now() < end,
                    "{} belongs to a signaler that is running: stop that one, or give this one a file of its own with --data",
                    path.display()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}

/// Empties the log into the file.
fn into_file(db: &mut Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn read(db: &mut Connection) -> anyhow::Result<Stored> {
    db.busy_timeout(BUSY)?;
    let own: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    anyhow::ensure!(own == APPLICATION || tables == 0, "it is another program's SQLite database");
    db.pragma_update(None, "application_id", APPLICATION)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    migrate(db)?;
    let seed: Option<[u8; 32]> =
        db.query_row("SELECT seed FROM signaler", [], |row| row.get(0)).optional()?;
    let seed = if let Some(seed) = seed {
        seed
    } else {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("the operating system gives no randomness")?;
        db.execute("INSERT INTO signaler (one, seed) VALUES (1, ?1)", params![seed])?;
        seed
    };
    let mut pins = Vec::new();
    let mut select = db.prepare("SELECT url, id FROM pin")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for row in rows {
        let (url, id) = row?;
        pins.push((url, id.parse()?));
    }
    drop(select);
    let mut select = db.prepare("SELECT card FROM card ORDER BY id")?;
    let cards = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    drop(select);
    let records = read_records(db)?;
    let mail = read_mail(db)?;
    into_file(db)?;
    Ok(Stored { seed: Seed::new(seed), pins, cards, records, mail })
}

fn migrate(db: &mut Connection) -> anyhow::Result<()> {
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = version as usize;
    anyhow::ensure!(version <= MIGRATIONS.len(), "it was written by a later version (schema {version})");
    for (at, statements) in MIGRATIONS.iter().enumerate().skip(version) {
        let change = db.transaction()?;
        change.execute_batch(statements)?;
        change.pragma_update(None, "user_version", u32::try_from(at + 1)?)?;
        change.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_stays_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, first) = Store::open(&path).unwrap();
        drop(store);
        let (_store, second) = Store::open(&path).unwrap();
        assert_eq!(first.seed.expose(), second.seed.expose());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_closed_to_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        drop(Store::open(&path).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (_store, _) = Store::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    /// What was refused a place on the disk is there after all, once there is room, in the order in which it was said.
    #[test]
    fn n9_what_could_not_be_written_is_written_when_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, _) = Store::open(&path).unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON lapse BEGIN SELECT RAISE(ABORT, 'full'); END";
        Connection::open(&path).unwrap().execute_batch(full).unwrap();
        let lapse = |head: u8| Record::Lapse { id: "a".parse().unwrap(), head: Digest([head; 32]) };
        let keep = |record: Record| {
            let (done, durable) = sync_channel(1);
            store.keep(store.place().unwrap(), vec![record], move |durable| done.send(durable).unwrap());
            durable.recv().unwrap()
        };
        assert!(!keep(lapse(1)) && !keep(lapse(2)));
        let troubles = store.troubles();
        assert!(troubles.failures >= 2 && troubles.late == 2, "{troubles:?}");
        Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
        assert!(keep(Record::Sovereign(RegistryKey([1; 32]))), "there is room again");
        assert_eq!(store.troubles().late, 0);
        drop(store);
        let kept = Store::open(&path).unwrap().1.records;
        assert!(kept.contains(&lapse(2)) && !kept.contains(&lapse(1)), "{kept:?}");
    }

    /// Nobody has to do anything for it.
    #[test]
    fn n9_what_could_not_be_written_is_tried_again_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, _) = Store::open(&path).unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON pin BEGIN SELECT RAISE(ABORT, 'full'); END";
        Connection::open(&path).unwrap().execute_batch(full).unwrap();
        store.pin("ws://a".into(), SignalerId([1; 32]));
        let deadline = Instant::now() + Duration::from_secs(20);
        let until = |what: &str, done: &dyn Fn() -> bool| {
            while !done() {
                assert!(Instant::now() < deadline, "{what}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until("it is known to be late", &|| store.troubles().late == 1);
        Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
        until("it is written", &|| store.troubles().late == 0);
        assert_eq!(Stored::read(&path).unwrap().pin("ws://a"), Some(SignalerId([1; 32])));
    }

    /// Not even what is late may grow without end.
    #[test]
    fn n9_so_many_writes_wait_and_the_next_ones_find_no_place_until_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, _) = Store::open(&path).unwrap();
        let full = "CREATE TRIGGER full BEFORE INSERT ON pin BEGIN SELECT RAISE(ABORT, 'full'); END";
        Connection::open(&path).unwrap().execute_batch(full).unwrap();
        for n in 0..QUEUE + 10 {
            store.pin(format!("ws://{n}"), SignalerId([1; 32]));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        let until = |what: &str, done: &dyn Fn(Troubles) -> bool| {
            while !done(store.troubles()) {
                assert!(Instant::now() < deadline, "{what}: {:?}", store.troubles());
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until("all that have a place are late", &|now| now.late == QUEUE as u64);
        assert_eq!(store.troubles().overflows, 10);
        assert!(store.place().is_none());
        assert!(!store.mail(Vec::new(), |_| panic!("told, though it was refused")));
        Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
        until("they are written", &|now| now.late == 0);
        let place = store.place();
        assert!(place.is_some(), "there is room again");
        let stored = Stored::read(&path).unwrap();
        let last = |n: usize| stored.pin(&format!("ws://{n}"));
        assert_eq!(
            (stored.pins.len(), last(QUEUE - 1), last(QUEUE)),
            (QUEUE, Some(SignalerId([1; 32])), None)
        );
    }

    #[test]
    fn n9_that_writing_fails_is_logged_once_until_it_works_again() {
        #[derive(Clone, Default)]
        struct Log(Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for Log {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        drop(create(&path).unwrap());
        let (db, _) = Stored::open(&path).unwrap();
        let state = Arc::new(State::default());
        let mut writer = Writer::new(db, Arc::clone(&state));
        let log = Log::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone()).finish();
        let errors = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap().matches("ERROR").count();
        let pin = |n: u8| Waiting {
            job: Job::Pin(format!("ws://{n}"), SignalerId([n; 32])),
            _place: Place::take(&state).unwrap(),
        };
        let other = Connection::open(&path).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for round in 1..=2 {
                other
                    .execute_batch(
                        "CREATE TRIGGER full BEFORE INSERT ON pin BEGIN SELECT RAISE(ABORT, 'full'); END",
                    )
                    .unwrap();
                writer.turn(vec![pin(1), pin(2)]);
                writer.turn(Vec::new());
                writer.turn(vec![pin(3)]);
                assert_eq!(errors(), round, "once, not at each attempt");
                other.execute_batch("DROP TRIGGER full").unwrap();
                writer.turn(Vec::new());
                assert!(writer.late.is_empty());
            }
        });
        assert_eq!(state.failures.load(Ordering::Relaxed), 2 * 3, "each attempt counts");
        assert_eq!(state.waiting.load(Ordering::Relaxed), 0, "no place is held for what is written");
    }

    #[test]
    fn a_copy_of_the_file_is_all_of_it_and_only_one_signaler_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("mesh.db"), dir.path().join("backup.db"));
        let (store, first) = Store::open(&path).unwrap();
        std::fs::copy(&path, &copy).unwrap();
        assert_eq!(Stored::read(&copy).unwrap().seed.expose(), first.seed.expose());
        #[cfg(not(windows))]
        {
            let error = format!("{:#}", Store::open(&path).unwrap_err());
            assert!(error.contains("running") && error.contains("--data"), "{error}");
        }
        assert_eq!(Stored::read(&path).unwrap().seed.expose(), first.seed.expose());
        drop(store);
        Store::open(&path).unwrap();
    }

    #[test]
    fn n9_heartbeats_beyond_a_hundred_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, _) = Store::open(&path).unwrap();
        let beat = |id: &str, time: u8| Record::Beat {
            id: id.parse().unwrap(),
            time: time.into(),
            sealed: Sealed { kind: 9, body: Bytes(vec![time]), signature: Signature([time; 64]) },
        };
        let mut records: Vec<Record> = (0..250).map(|time| beat("a", time)).collect();
        records.push(beat("b", 0));
        let (done, durable) = sync_channel(1);
        store.keep(store.place().unwrap(), records, move |durable| done.send(durable).unwrap());
        assert!(durable.recv().unwrap());
        drop(store);
        let kept = Store::open(&path).unwrap().1.records;
        let wanted: Vec<Record> = (150..250).map(|time| beat("a", time)).chain([beat("b", 0)]).collect();
        assert_eq!(kept, wanted);
    }

    #[test]
    fn c3_mail_is_kept_replaced_and_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (store, _) = Store::open(&path).unwrap();
        let item = |kind, body: Option<&'static str>| MailItem {
            kind,
            at: 1_700_000_000_000,
            until: 1_700_000_000_001,
            sender: Tag([3; 8]),
            body: body.map(|body| bytes::Bytes::from_static(body.as_bytes())),
        };
        let put = |id: u8, item| MailChange::Put {
            identity: IdentityId([1; 32]),
            peer: PeerId([2; 32]),
            id: Digest([id; 32]),
            item,
        };
        let drop_one =
            MailChange::Drop { identity: IdentityId([1; 32]), peer: PeerId([2; 32]), id: Digest([3; 32]) };
        let kinds =
            [KeptKind::Mail, KeptKind::Once, KeptKind::Fallback, KeptKind::Record, KeptKind::Revocation];
        let mut changes: Vec<MailChange> =
            (1..).zip(kinds).map(|(id, kind)| put(id, item(kind, Some("body")))).collect();
        let (done, durable) = sync_channel(2);
        let told = done.clone();
        assert!(store.mail(changes.clone(), move |durable| told.send(durable).unwrap()));
        let taken = put(1, item(KeptKind::Mail, None));
        assert!(store.mail(vec![taken.clone(), drop_one], move |durable| done.send(durable).unwrap()));
        assert!(durable.recv().unwrap() && durable.recv().unwrap());
        // Another connection sees what is durable, whether it is in the log or in the file.
        let mut kept = Stored::read(&path).unwrap().mail;
        changes[0] = taken;
        changes.remove(2);
        kept.sort_by_key(|change| format!("{change:?}"));
        changes.sort_by_key(|change| format!("{change:?}"));
        assert_eq!(kept, changes);
    }

    #[test]
    fn c10_a_full_disk_is_told_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (mut db, _) = (create(&path).map(|_| ()).and_then(|()| Stored::open(&path))).unwrap();
        let put = |id: u8, len: usize| MailChange::Put {
            identity: IdentityId([1; 32]),
            peer: PeerId([2; 32]),
            id: Digest([id; 32]),
            item: MailItem {
                kind: KeptKind::Mail,
                at: 1,
                until: 2,
                sender: Tag([3; 8]),
                body: Some(vec![id; len].into()),
            },
        };
        let job = |change| Job::Mail(vec![change], Box::new(|_| {}));
        write(&mut db, &[job(put(1, 100))]).unwrap();
        // As many pages as there are, and a few: SQLite refuses then as it does when the disk is full.
        let pages: u32 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 4).unwrap();
        assert!(write(&mut db, &[job(put(2, 100)), job(put(3, 100_000))]).is_err());
        write(&mut db, &[job(put(2, 100))]).unwrap();
        let kept = read_mail(&db).unwrap();
        assert_eq!(kept, [put(1, 100), put(2, 100)]);
    }

    #[test]
    fn cards_are_kept_replaced_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (one, other) = (SignalerId([1; 32]), SignalerId([2; 32]));
        let (store, _) = Store::open(&path).unwrap();
        for (id, card) in [(one, Some("old")), (other, Some("other")), (one, Some("new")), (other, None)] {
            store.card(id, card.map(|card| bytes::Bytes::from_static(card.as_bytes())));
        }
        store.pin("ws://a".into(), one);
        // The writer is done when its channel is closed and the lock is free; what it wrote last is in the file then.
        drop(store);
        let deadline = Instant::now() + Duration::from_secs(10);
        let stored = loop {
            let stored = Stored::read(&path).unwrap();
            if stored.pin("ws://a").is_some() || Instant::now() > deadline {
                break stored;
            }
            std::thread::yield_now();
        };
        assert_eq!(stored.cards, [b"new".to_vec()]);
        assert_eq!(stored.pin("ws://a"), Some(one));
    }

    #[test]
    fn a_file_of_the_first_schema_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute("INSERT INTO signaler (one, seed) VALUES (1, ?1)", params![[5_u8; 32]]).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.pragma_update(None, "application_id", APPLICATION).unwrap();
        drop(old);
        let stored = Stored::read(&path).unwrap();
        assert_eq!((stored.seed.expose(), stored.cards.len()), (&[5; 32], 0));
    }

    #[test]
    fn another_programs_database_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = format!("{:#}", Store::open(&path).unwrap_err());
        assert!(error.contains("another program") && error.contains("--data"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "my notes, which are rather long and certainly no database").unwrap();
        let error = format!("{:#}", Store::open(&path).unwrap_err());
        assert!(error.contains("notes.txt") && error.contains("--data"), "{error}");
    }
}
