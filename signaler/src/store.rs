//! The one SQLite file: the signaler's own seed, the keys pinned for siblings' URLs, the cards of the federation's members, and the registry.
//!
//! WAL, one writer thread, one signaler: the file is locked while one runs. What waits is written in one transaction, and copied
//! from the log into the file at once, so that a copy of the file is all of it. Who asked is answered when that is done. What the
//! signaler knows of peers is never stored: it expires anyway.
//!
//! What could not be written, as on a full disk, is written as soon as it can be; meanwhile it counts all the same, for siblings
//! have it already, and `/healthz` says that it is not durable.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use weft_crypto::Seed;
use weft_signaler_core::registry::{Health, Record};
use weft_wire::registry::Sealed;
use weft_wire::{Bytes, Digest, RegistryKey, SignalerId, Signature};

/// What the file held at start.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seed: Seed,
    pins: Vec<(String, SignalerId)>,
    /// Signed cards of members, our own among them.
    pub(crate) cards: Vec<Vec<u8>>,
    /// The registry, in the order in which it is to be restored.
    pub(crate) records: Vec<Record>,
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
    to: SyncSender<Job>,
    troubles: Arc<Troubles>,
    /// Held until the signaler has ended.
    _lock: Arc<File>,
}

/// What could not be written.
#[derive(Debug, Default)]
struct Troubles {
    /// Times that writing failed.
    failures: AtomicU64,
    /// Writes that are made good as soon as that goes.
    late: AtomicU64,
}

/// What is to be written.
enum Job {
    Pin(String, SignalerId),
    /// A member's card; none: it is forgotten.
    Card(SignalerId, Option<bytes::Bytes>),
    /// Together or not at all; then somebody is told whether it is durable.
    Records(Vec<Record>, Box<dyn FnOnce(bool) + Send>),
}

/// How long the end of another signaler with the same file is awaited.
const BUSY: Duration = Duration::from_secs(2);
/// What SQLite keeps in the file for programs to know their own by: "WEFT".
const APPLICATION: i64 = 0x5745_4654;

/// Writes that may wait; what comes beyond is not stored, and whoever asked is told.
const QUEUE: usize = 1024;
/// What could not be written is tried again after that.
const AGAIN: Duration = Duration::from_secs(1);
/// Writes in one transaction.
const BATCH: usize = 256;
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
"];

impl Store {
    /// Opens the file, makes it if there is none (readable by its owner only), and begins to write.
    ///
    /// # Errors
    /// With the path and what to do.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Stored)> {
        let lock = create(path)?;
        hold(&lock, path)?;
        let (mut db, stored) = Stored::open(path)?;
        let (to, from) = sync_channel::<Job>(QUEUE);
        let troubles = Arc::new(Troubles::default());
        let counted = Arc::clone(&troubles);
        let writer = std::thread::Builder::new().name("store".into());
        writer.spawn(move || write_all(&mut db, &from, &counted))?;
        Ok((Self { to, troubles, _lock: Arc::new(lock) }, stored))
    }

    /// Times that writing failed, and writes that are still to be made good.
    pub(crate) fn troubles(&self) -> (u64, u64) {
        (self.troubles.failures.load(Ordering::Relaxed), self.troubles.late.load(Ordering::Relaxed))
    }

    /// Remembers a key for a URL.
    pub(crate) fn pin(&self, url: String, id: SignalerId) {
        if self.to.try_send(Job::Pin(url, id)).is_err() {
            tracing::error!("a sibling's key could not be stored; it will be pinned anew after a restart");
        }
    }

    /// Remembers a member's card, or forgets it.
    pub(crate) fn card(&self, id: SignalerId, card: Option<bytes::Bytes>) {
        if self.to.try_send(Job::Card(id, card)).is_err() {
            tracing::error!("a member could not be stored; after a restart it must be found through others");
        }
    }

    /// Stores what the registry has to keep; `done` is told whether it is durable.
    pub(crate) fn keep(&self, records: Vec<Record>, done: impl FnOnce(bool) + Send + 'static) {
        if let Err(
            TrySendError::Full(Job::Records(_, done)) | TrySendError::Disconnected(Job::Records(_, done)),
        ) = self.to.try_send(Job::Records(records, Box::new(done)))
        {
            tracing::error!("the database is too slow: a change of the registry is not stored");
            done(false);
        }
    }
}

/// Writes what comes until nobody can send any more; first what could not be written before, which keeps the order.
fn write_all(db: &mut Connection, from: &Receiver<Job>, troubles: &Troubles) {
    let mut late: VecDeque<Job> = VecDeque::new();
    loop {
        let first = if late.is_empty() {
            from.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            from.recv_timeout(AGAIN)
        };
        let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
        if ended && late.is_empty() {
            return;
        }
        // When too much is late nothing more is taken, so that who asks is told.
        let room = (QUEUE - late.len().min(QUEUE)).min(BATCH);
        let new: Vec<Job> = first.into_iter().chain(from.try_iter().take(room)).collect();
        let written = write(db, late.iter().chain(&new)).and_then(|()| into_file(db));
        match &written {
            Ok(()) if !late.is_empty() => {
                tracing::info!("the database could be written again, with {} changes of before", late.len());
                late.clear();
            }
            Ok(()) => {}
            Err(error) => {
                if late.is_empty() {
                    tracing::error!(%error, "the database could not be written and will be tried again: is the disk full?");
                }
                troubles.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut told = Vec::new();
        for job in new {
            match (job, written.is_ok()) {
                (Job::Records(records, done), durable) => {
                    told.push(done);
                    if !durable {
                        late.push_back(Job::Records(records, Box::new(|_| {})));
                    }
                }
                (Job::Card(id, card), true) => {
                    tracing::debug!("stored: {} card of {id}", if card.is_some() { "the" } else { "no" });
                }
                (job, false) => late.push_back(job),
                _ => {}
            }
        }
        troubles.late.store(late.len() as u64, Ordering::Relaxed);
        for done in told {
            done(written.is_ok());
        }
        if ended {
            return;
        }
    }
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
        }
    }
    change.commit()
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
    into_file(db)?;
    Ok(Stored { seed: Seed::new(seed), pins, cards, records })
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
            store.keep(vec![record], move |durable| done.send(durable).unwrap());
            durable.recv().unwrap()
        };
        assert!(!keep(lapse(1)) && !keep(lapse(2)));
        let (failures, late) = store.troubles();
        assert!(failures >= 2 && late == 2, "{failures} failures, {late} late");
        Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
        assert!(keep(Record::Sovereign(RegistryKey([1; 32]))), "there is room again");
        assert_eq!(store.troubles().1, 0);
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
        until("it is known to be late", &|| store.troubles().1 == 1);
        Connection::open(&path).unwrap().execute_batch("DROP TRIGGER full").unwrap();
        until("it is written", &|| store.troubles().1 == 0);
        assert_eq!(Stored::read(&path).unwrap().pin("ws://a"), Some(SignalerId([1; 32])));
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
        store.keep(records, move |durable| done.send(durable).unwrap());
        assert!(durable.recv().unwrap());
        drop(store);
        let kept = Store::open(&path).unwrap().1.records;
        let wanted: Vec<Record> = (150..250).map(|time| beat("a", time)).chain([beat("b", 0)]).collect();
        assert_eq!(kept, wanted);
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
