//! What parties keep, in one SQLite file.
//!
//! WAL, one writer thread; what waits is committed together. All processes with one directory of keys share the file: each
//! puts what it keeps, and removes what it does not keep any more. The core decides what is stored, and whether what is read
//! is believed.
//!
//! A commit survives the end of the process, however it ends; the last ones may be lost when the power fails (`synchronous =
//! NORMAL`), and the file stays whole.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use tokio::sync::mpsc;
use weft_peer_core::{StoreDone, StoreRow, StoreWork};

/// Works that may wait. Of each of at most 64 parties one write is under way, and some at its end.
const QUEUE: usize = 1024;
/// Rows and bytes that are read at once.
const ROWS: usize = 4096;
const BYTES: usize = 4 * 1024 * 1024;
/// How long another process's commit is awaited.
const BUSY: Duration = Duration::from_secs(5);
/// What SQLite keeps in the file for programs to know their own by: "WEFP".
const APPLICATION: i64 = 0x5745_4650;

/// Of the schema.
const VERSION: u32 = 1;
/// One statement list per version of the schema; a file of version n needs those from n on.
const MIGRATIONS: [&str; VERSION as usize] = ["
    CREATE TABLE row (party BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (party, key)) WITHOUT ROWID;
"];

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Store {
    to: Option<SyncSender<StoreWork>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Begins to work on a file, which is opened when there is something to do. The answers come out of what is given back;
    /// while nobody reads them, nothing more is done.
    pub(crate) fn start(path: PathBuf) -> (Self, mpsc::Receiver<StoreDone>) {
        let (to, from) = sync_channel(QUEUE);
        let (done, answers) = mpsc::channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("weft-store".into()).spawn(move || work(&path, &from, &done));
        let store = match thread {
            Ok(thread) => Self { to: Some(to), thread: Some(thread) },
            Err(_) => Self { to: None, thread: None },
        };
        (store, answers)
    }

    /// Hands work over and never waits; gives the answer if it is one at once.
    pub(crate) fn give(&self, work: StoreWork) -> Option<StoreDone> {
        let refused = match &self.to {
            Some(to) => to.try_send(work),
            None => Err(TrySendError::Disconnected(work)),
        };
        let (work, reason) = match refused {
            Ok(()) => return None,
            Err(TrySendError::Full(work)) => (work, "the disk is too slow"),
            Err(TrySendError::Disconnected(work)) => (work, "its thread has ended"),
        };
        Some(failed(&work, reason))
    }

    /// Waits until everything that was handed over is done. Nobody may be expected to read answers any more.
    pub(crate) fn finish(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            // It has told what went wrong.
            let _ = thread.join();
        }
    }
}

fn failed(work: &StoreWork, reason: &str) -> StoreDone {
    match work {
        StoreWork::Load { discovery, .. } => {
            StoreDone::Loaded { discovery: *discovery, rows: Err(reason.into()), more: false }
        }
        StoreWork::Write { discovery, work, .. } | StoreWork::Forget { discovery, work } => {
            StoreDone::Written { discovery: *discovery, work: *work, outcome: Err(reason.into()) }
        }
    }
}

/// The thread: does what waits, all writes of it in one transaction.
fn work(path: &Path, from: &Receiver<StoreWork>, done: &mpsc::Sender<StoreDone>) {
    let mut db = None;
    while let Ok(first) = from.recv() {
        let mut waiting = vec![first];
        waiting.extend(from.try_iter().take(QUEUE));
        // Who only reads makes no file; what is read behind a write finds one.
        if db.is_none() && !path.exists() {
            let reads = waiting.iter().take_while(|work| matches!(work, StoreWork::Load { .. })).count();
            for work in waiting.drain(..reads) {
                let StoreWork::Load { discovery, .. } = work else { continue };
                let nothing = StoreDone::Loaded { discovery, rows: Ok(Vec::new()), more: false };
                let _ = done.blocking_send(nothing);
            }
            if waiting.is_empty() {
                continue;
            }
        }
        if db.is_none() {
            db = Some(open(path)).transpose().unwrap_or_else(|reason| {
                for work in std::mem::take(&mut waiting) {
                    let _ = done.blocking_send(failed(&work, &reason));
                }
                None
            });
        }
        let Some(db) = &mut db else { continue };
        let mut waiting = waiting.into_iter().peekable();
        while let Some(next) = waiting.next() {
            if let StoreWork::Load { discovery, after } = &next {
                let done_ = match load(db, &discovery.0, after.as_deref()) {
                    Ok((rows, more)) => StoreDone::Loaded { discovery: *discovery, rows: Ok(rows), more },
                    Err(error) => failed(&next, &told(path, &error)),
                };
                let _ = done.blocking_send(done_);
                continue;
            }
            let mut together = vec![next];
            while let Some(more) = waiting.next_if(|work| !matches!(work, StoreWork::Load { .. })) {
                together.push(more);
            }
            let mut outcome = write(db, &together).map_err(|error| told(path, &error));
            // What was forgotten is to be gone from the log, too.
            if outcome.is_ok() && together.iter().any(|work| matches!(work, StoreWork::Forget { .. })) {
                outcome = truncate_log(db).map_err(|error| told(path, &error));
            }
            for work in together {
                let (StoreWork::Write { discovery, work, .. } | StoreWork::Forget { discovery, work }) = work
                else {
                    continue;
                };
                let _ = done.blocking_send(StoreDone::Written { discovery, work, outcome: outcome.clone() });
            }
        }
    }
}

/// Empties the log into the file. Another process that reads just now leaves that to the next one who writes.
fn truncate_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

fn told(path: &Path, error: &rusqlite::Error) -> String {
    format!("{}: {error}", path.display())
}

fn open(path: &Path) -> Result<Connection, String> {
    let wrong = |error: rusqlite::Error| {
        format!("{0}: {error}; move {0}* away, and a new one is made at the next start", path.display())
    };
    private(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(wrong)?;
    db.busy_timeout(BUSY).map_err(wrong)?;
    // Nobody waits at the end for what the next start can do.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(wrong)?;
    // What is removed is overwritten.
    db.pragma_update(None, "secure_delete", true).map_err(wrong)?;
    prepare(&mut db).map_err(wrong)?;
    let own: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(wrong)?;
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
    if own != APPLICATION || version != VERSION {
        return Err(format!(
            "{0}: another program's, or of another version; move {0}* away, and a new one is made at the next start",
            path.display()
        ));
    }
    Ok(db)
}

/// A file for its owner alone; SQLite gives its log the same rights.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// Brings a file that is empty, or ours, to this version.
fn prepare(db: &mut Connection) -> rusqlite::Result<()> {
    let own: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if own != APPLICATION && tables > 0 {
        return Ok(());
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    // Another process may be doing the same.
    let change = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: u32 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for statements in MIGRATIONS.iter().skip(version as usize) {
        change.execute_batch(statements)?;
    }
    if version < VERSION {
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    change.commit()
}

fn load(db: &Connection, party: &[u8; 32], after: Option<&[u8]>) -> rusqlite::Result<(Vec<StoreRow>, bool)> {
    let query = "SELECT key, value FROM row WHERE party = ?1 AND key > ?2 ORDER BY key";
    let mut select = db.prepare_cached(query)?;
    let mut found = select.query(params![party, after.unwrap_or_default()])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        if rows.len() == ROWS || bytes >= BYTES {
            return Ok((rows, true));
        }
        let row = StoreRow { key: row.get(0)?, value: row.get(1)? };
        bytes += row.value.len();
        rows.push(row);
    }
    Ok((rows, false))
}

fn write(db: &mut Connection, works: &[StoreWork]) -> rusqlite::Result<()> {
    let change = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for work in works {
        match work {
            StoreWork::Write { discovery, put, remove, .. } => {
                let mut insert = change
                    .prepare_cached("INSERT OR REPLACE INTO row (party, key, value) VALUES (?1, ?2, ?3)")?;
                for StoreRow { key, value } in put {
                    insert.execute(params![discovery.0, key, value])?;
                }
                let mut delete = change.prepare_cached("DELETE FROM row WHERE party = ?1 AND key = ?2")?;
                for key in remove {
                    delete.execute(params![discovery.0, key])?;
                }
            }
            StoreWork::Forget { discovery, .. } => {
                change.execute("DELETE FROM row WHERE party = ?1", params![discovery.0])?;
            }
            StoreWork::Load { .. } => {}
        }
    }
    change.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_wire::DiscoveryKey;

    const PARTY: DiscoveryKey = DiscoveryKey([7; 32]);
    const TEXT: &[u8] = b"what nobody else is to read, in a row of its own";

    fn put() -> StoreWork {
        let put = vec![StoreRow { key: vec![2; 40], value: TEXT.to_vec() }];
        StoreWork::Write { discovery: PARTY, work: 1, put, remove: Vec::new() }
    }

    /// Does works that all wait at once.
    fn answers(path: &Path, works: Vec<StoreWork>) -> Vec<StoreDone> {
        let (to, from) = sync_channel(QUEUE);
        let (done, mut answers) = mpsc::channel(QUEUE);
        for work in works {
            to.send(work).expect("room");
        }
        drop(to);
        work(path, &from, &done);
        std::iter::from_fn(|| answers.try_recv().ok()).collect()
    }

    #[test]
    fn what_is_read_behind_the_first_write_finds_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let load = || StoreWork::Load { discovery: PARTY, after: None };
        let done = answers(&directory.path().join("feeds.db"), vec![load(), put(), load()]);
        let found: Vec<Option<usize>> = done
            .iter()
            .map(|done| match done {
                StoreDone::Loaded { rows, .. } => rows.as_ref().ok().map(Vec::len),
                StoreDone::Written { .. } => None,
            })
            .collect();
        assert_eq!(found, [Some(0), None, Some(1)]);
    }

    #[test]
    fn what_was_forgotten_is_in_no_file_any_more() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("feeds.db");
        let there = || {
            let files = std::fs::read_dir(directory.path()).expect("a directory");
            let mut bytes = files.map(|file| std::fs::read(file.expect("a file").path()).expect("bytes"));
            bytes.any(|bytes| bytes.windows(TEXT.len()).any(|part| part == TEXT))
        };
        answers(&path, vec![put()]);
        assert!(there());
        answers(&path, vec![StoreWork::Forget { discovery: PARTY, work: 2 }]);
        assert!(!there());
    }
}
