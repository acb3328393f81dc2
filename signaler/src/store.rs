//! The one SQLite file: the signaler's own seed and the keys pinned for siblings' URLs.
//!
//! WAL, one writer thread. What the signaler knows of peers is never stored: it expires anyway.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use weft_crypto::Seed;
use weft_wire::SignalerId;

/// What the file held at start.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) seed: Seed,
    pins: Vec<(String, SignalerId)>,
}

impl Stored {
    /// The key that was pinned for a URL.
    pub(crate) fn pin(&self, url: &str) -> Option<SignalerId> {
        self.pins.iter().find_map(|(known, id)| (known == url).then_some(*id))
    }
}

/// Writes in the background.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    to: SyncSender<(String, SignalerId)>,
}

/// Writes that may wait; there is one per sibling in the life of a file.
const QUEUE: usize = 1024;

/// One statement list per version of the schema; a file of version n needs those from n on.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE signaler (one INTEGER PRIMARY KEY CHECK (one = 1), seed BLOB NOT NULL CHECK (length(seed) = 32));
    CREATE TABLE pin (url TEXT PRIMARY KEY, id TEXT NOT NULL);
"];

impl Store {
    /// Opens the file, makes it if there is none (readable by its owner only), and begins to write.
    ///
    /// # Errors
    /// With the path and what to do.
    pub(crate) fn open(path: &Path) -> anyhow::Result<(Self, Stored)> {
        create(path)
            .with_context(|| format!("cannot create {}: choose another place with --data", path.display()))?;
        let mut db = Connection::open(path)
            .with_context(|| format!("cannot open {}: choose another place with --data", path.display()))?;
        let stored = read(&mut db).with_context(|| {
            format!(
                "cannot use {}: it is no database of a signaler, or another program holds it (is a signaler running with it already? then use another --data)",
                path.display()
            )
        })?;
        let (to, from) = sync_channel::<(String, SignalerId)>(QUEUE);
        std::thread::Builder::new().name("store".into()).spawn(move || {
            for (url, id) in from {
                let written =
                    db.execute("INSERT OR REPLACE INTO pin (url, id) VALUES (?1, ?2)", params![url, id.to_string()]);
                if let Err(error) = written {
                    tracing::error!(%error, "a sibling's key could not be stored; it will be pinned anew after a restart");
                }
            }
        })?;
        Ok((Self { to }, stored))
    }

    /// Remembers a key for a URL.
    pub(crate) fn pin(&self, url: String, id: SignalerId) {
        if self.to.try_send((url, id)).is_err() {
            tracing::error!("a sibling's key could not be stored; it will be pinned anew after a restart");
        }
    }
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn read(db: &mut Connection) -> anyhow::Result<Stored> {
    db.busy_timeout(Duration::from_secs(2))?;
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
    Ok(Stored { seed: Seed::new(seed), pins })
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
    fn a_file_that_is_no_database_is_refused_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "my notes, which are rather long and certainly no database").unwrap();
        let error = format!("{:#}", Store::open(&path).unwrap_err());
        assert!(error.contains("notes.txt") && error.contains("--data"), "{error}");
    }
}
