//! The one SQLite file: the signaler's own seed, the keys pinned for siblings' URLs, the cards of the federation's members.
//!
//! WAL, one writer thread, one signaler: the file is locked while one runs. Every change is copied from the log into the file
//! at once (there are a few in the life of each sibling and member), so that a copy of the file is all of it. What the signaler knows of peers is never stored: it expires anyway.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use weft_crypto::Seed;
use weft_wire::SignalerId;

/// What the file held at start.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seed: Seed,
    pins: Vec<(String, SignalerId)>,
    /// Signed cards of members, our own among them.
    pub(crate) cards: Vec<Vec<u8>>,
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
        let stored = read(&mut db).with_context(|| {
            format!(
                "cannot use {}: put its backup back, or name another file with --data (a new file is a new signaler: siblings that know this one's key have to be told)",
                path.display()
            )
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
    to: SyncSender<Write>,
    /// Held until the signaler has ended.
    _lock: Arc<File>,
}

/// What is to be written.
#[derive(Debug)]
enum Write {
    Pin { url: String, id: SignalerId },
    Card { id: SignalerId, card: Option<Bytes> },
}

impl Write {
    fn into_file(self, db: &mut Connection) -> rusqlite::Result<()> {
        match self {
            Self::Pin { url, id } => db.execute(
                "INSERT OR REPLACE INTO pin (url, id) VALUES (?1, ?2)",
                params![url, id.to_string()],
            )?,
            Self::Card { id, card: Some(card) } => db.execute(
                "INSERT OR REPLACE INTO card (id, card) VALUES (?1, ?2)",
                params![id.to_string(), &*card],
            )?,
            Self::Card { id, card: None } => {
                db.execute("DELETE FROM card WHERE id = ?1", params![id.to_string()])?
            }
        };
        into_file(db)
    }

    fn what(&self) -> String {
        match self {
            Self::Pin { url, id } => format!("{url} proves {id}"),
            Self::Card { id, card: Some(_) } => format!("the card of {id}"),
            Self::Card { id, card: None } => format!("no card of {id}"),
        }
    }

    /// What is lost if it cannot be written.
    const fn lost(&self) -> &'static str {
        match self {
            Self::Pin { .. } => "a sibling's key could not be stored; it will be pinned anew after a restart",
            Self::Card { .. } => {
                "a member could not be stored; after a restart it must be found through others"
            }
        }
    }
}

/// How long the end of another signaler with the same file is awaited.
const BUSY: Duration = Duration::from_secs(2);
/// What SQLite keeps in the file for programs to know their own by: "WEFT".
const APPLICATION: i64 = 0x5745_4654;

/// Writes that may wait: more than a federation has members.
const QUEUE: usize = 1024;

/// One statement list per version of the schema; a file of version n needs those from n on.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE signaler (one INTEGER PRIMARY KEY CHECK (one = 1), seed BLOB NOT NULL CHECK (length(seed) = 32));
    CREATE TABLE pin (url TEXT PRIMARY KEY, id TEXT NOT NULL);
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
        let (to, from) = sync_channel::<Write>(QUEUE);
        std::thread::Builder::new().name("store".into()).spawn(move || {
            for write in from {
                let (lost, what) = (write.lost(), write.what());
                match write.into_file(&mut db) {
                    Ok(()) => tracing::debug!("stored: {what}"),
                    Err(error) => tracing::error!(%error, "{lost}"),
                }
            }
        })?;
        Ok((Self { to, _lock: Arc::new(lock) }, stored))
    }

    /// Remembers a key for a URL.
    pub(crate) fn pin(&self, url: String, id: SignalerId) {
        self.write(Write::Pin { url, id });
    }

    /// Remembers a member's card, or forgets it.
    pub(crate) fn card(&self, id: SignalerId, card: Option<Bytes>) {
        self.write(Write::Card { id, card });
    }

    fn write(&self, write: Write) {
        let lost = write.lost();
        if self.to.try_send(write).is_err() {
            tracing::error!("{lost}");
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .with_context(|| format!("cannot create {}: choose another place with --data", path.display()))
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
    db.pragma_update(None, "synchronous", "NORMAL")?;
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
    into_file(db)?;
    Ok(Stored { seed: Seed::new(seed), pins, cards })
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
    fn cards_are_kept_replaced_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mesh.db");
        let (one, other) = (SignalerId([1; 32]), SignalerId([2; 32]));
        let (store, _) = Store::open(&path).unwrap();
        for (id, card) in [(one, Some("old")), (other, Some("other")), (one, Some("new")), (other, None)] {
            store.card(id, card.map(|card| Bytes::from_static(card.as_bytes())));
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
