//! What a chat keeps: one SQLite file beside the keys, in which nothing can be read without them.
//!
//! Rows are numbered; a row is its key and value, sealed under a key of the identity and bound to the number. Pieces of
//! attachments are named by a hash with a secret that is in a row. So the file tells how many rows there are, and how long
//! they are. One process at a time has it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};
use weft_chat::AttachmentHash;
use weft_chat::book::With;
use weft_crypto::IdentityKey;
use weft_crypto::vault::VaultKey;
use weft_native_peer::keystore;

use super::super::exit::Failure;

/// What SQLite keeps in the file for programs to know their own by: "WEFC".
const APPLICATION: i64 = 0x5745_4643;
/// Of the schema.
const VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE row (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE piece (id BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";
/// The row with the secret that names pieces.
const SECRET: &[u8] = b"secret";

/// A chat's store, which no other process has.
pub(crate) struct History {
    db: Connection,
    path: PathBuf,
    key: VaultKey,
    rng: ChaCha20Rng,
    /// Numbers of rows, by key.
    numbers: BTreeMap<Vec<u8>, i64>,
    last: i64,
    secret: [u8; 32],
    _lock: Option<File>,
}

/// Rows as the book takes them.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Something to be done, together with others.
pub(crate) enum Work {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
    Keep(With, AttachmentHash, u32, Vec<u8>),
    Forget(With, AttachmentHash),
}

impl History {
    /// Opens the history of an identity in a directory, or one that is nowhere, and reads its rows.
    ///
    /// # Errors
    /// Says what to do: another process has it, or the file is not ours or damaged.
    pub(crate) fn open(directory: Option<&Path>, identity: &IdentityKey) -> Result<(Self, Rows), Failure> {
        let path = directory.map_or_else(|| PathBuf::from(":memory:"), |directory| directory.join("chat.db"));
        let lock = directory.map(take_lock).transpose()?;
        let wrong = |error: rusqlite::Error| {
            Failure::error(&format!("{0}: {error}; move {0}* away, and a new history begins", path.display()))
        };
        let db = match directory {
            Some(_) => {
                private(&path).map_err(|error| Failure::error(&format!("{}: {error}", path.display())))?;
                Connection::open(&path)
            }
            None => Connection::open_in_memory(),
        };
        let mut db = db.map_err(wrong)?;
        let own: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(wrong)?;
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).map_err(wrong)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(wrong)?;
        if tables > 0 && (own != APPLICATION || version != VERSION) {
            return Err(Failure::error(&format!(
                "{0}: another program's, or of a later version; move {0}* away, and a new history begins",
                path.display()
            )));
        }
        // What is removed is overwritten.
        db.pragma_update(None, "secure_delete", true).map_err(wrong)?;
        if tables == 0 {
            db.pragma_update(None, "journal_mode", "WAL").map_err(wrong)?;
            let change = db.transaction().map_err(wrong)?;
            change.execute_batch(SCHEMA).map_err(wrong)?;
            change.pragma_update(None, "application_id", APPLICATION).map_err(wrong)?;
            change.pragma_update(None, "user_version", VERSION).map_err(wrong)?;
            change.commit().map_err(wrong)?;
        }
        db.pragma_update(None, "synchronous", "NORMAL").map_err(wrong)?;
        let mut rng = keystore::rng().map_err(|error| Failure::error(&error))?;
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let key = VaultKey::of_identity(identity);
        let mut history = Self { db, path, key, rng, numbers: BTreeMap::new(), last: 0, secret, _lock: lock };
        let rows = history.load()?;
        Ok((history, rows))
    }

    fn load(&mut self) -> Result<Rows, Failure> {
        let mut sealed: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut read = || -> rusqlite::Result<()> {
            let mut select = self.db.prepare("SELECT id, value FROM row ORDER BY id")?;
            let found = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            found.into_iter().try_for_each(|row| {
                sealed.push(row?);
                Ok(())
            })
        };
        read().map_err(|error| self.failed(&error))?;
        let mut rows = Rows::new();
        let (count, mut had_secret) = (sealed.len(), false);
        for (id, value) in sealed {
            self.last = self.last.max(id);
            let Some(opened) = self.key.open(&bound(id), &value) else { continue };
            let Some((key, value)) = unpack(&opened) else { continue };
            if key == SECRET {
                if let Ok(secret) = value.try_into() {
                    self.secret = secret;
                    had_secret = true;
                }
                continue;
            }
            self.numbers.insert(key.to_vec(), id);
            rows.push((key.to_vec(), value.to_vec()));
        }
        if had_secret {
            return Ok(rows);
        }
        if count > 0 {
            return Err(Failure::error(&format!(
                "{0} was written with other keys; move {0}* away, and a new history begins",
                self.path.display()
            )));
        }
        let secret = self.secret.to_vec();
        self.commit(vec![Work::Put(SECRET.to_vec(), secret)])?;
        Ok(rows)
    }

    /// Does all of it, or if it fails, nothing.
    ///
    /// # Errors
    /// Says what to do.
    pub(crate) fn commit(&mut self, works: Vec<Work>) -> Result<(), Failure> {
        if works.is_empty() {
            return Ok(());
        }
        let done = self.write(works);
        done.map_err(|error| self.failed(&error))
    }

    fn write(&mut self, works: Vec<Work>) -> rusqlite::Result<()> {
        let change = self.db.transaction()?;
        for work in works {
            match work {
                Work::Put(key, value) => {
                    let id = self.numbers.get(&key).copied().unwrap_or(self.last + 1);
                    self.last = self.last.max(id);
                    let value = pack(&key, &value);
                    self.numbers.insert(key, id);
                    let sealed = self.key.seal(&mut self.rng, &bound(id), &value);
                    put(&change, id, &sealed)?;
                }
                Work::Remove(key) => {
                    if let Some(id) = self.numbers.remove(&key) {
                        change.prepare_cached("DELETE FROM row WHERE id = ?1")?.execute([id])?;
                    }
                }
                Work::Keep(with, hash, at, data) => {
                    let id = name(&self.secret, with, hash, at);
                    let sealed = self.key.seal(&mut self.rng, &id, &data);
                    change
                        .prepare_cached("INSERT OR REPLACE INTO piece (id, value) VALUES (?1, ?2)")?
                        .execute(params![id, sealed])?;
                }
                Work::Forget(with, hash) => {
                    let mut delete = change.prepare_cached("DELETE FROM piece WHERE id = ?1")?;
                    let most = weft_chat::limits::ATTACHMENT / weft_chat::limits::PIECE as u64;
                    for at in 0..u32::try_from(most).unwrap_or(u32::MAX) {
                        delete.execute([name(&self.secret, with, hash, at)])?;
                    }
                }
            }
        }
        change.commit()
    }

    /// A piece that is kept.
    ///
    /// # Errors
    /// Says what to do.
    pub(crate) fn piece(
        &self,
        with: With,
        hash: AttachmentHash,
        at: u32,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let id = name(&self.secret, with, hash, at);
        let found: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT value FROM piece WHERE id = ?1")
            .and_then(|mut select| select.query_row([id], |row| row.get(0)).optional())
            .map_err(|error| self.failed(&error))?;
        Ok(found.and_then(|sealed| self.key.open(&id, &sealed)).map(|opened| opened.to_vec()))
    }

    fn failed(&self, error: &rusqlite::Error) -> Failure {
        Failure::error(&format!(
            "the history was not written: {}: {error}; is the disk full?",
            self.path.display()
        ))
    }
}

fn put(change: &Transaction<'_>, id: i64, sealed: &[u8]) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached("INSERT OR REPLACE INTO row (id, value) VALUES (?1, ?2)")?;
    insert.execute(params![id, sealed]).map(|_| ())
}

fn bound(id: i64) -> Vec<u8> {
    [b"weft/v1/chat-row".as_slice(), &id.to_be_bytes()].concat()
}

fn name(secret: &[u8; 32], with: With, hash: AttachmentHash, at: u32) -> [u8; 32] {
    let mut named = Sha256::new();
    for part in [secret.as_slice(), with.bytes(), &hash.0, &at.to_be_bytes()] {
        named.update(part);
    }
    // Of people they are named as before there were groups.
    if with.group().is_some() {
        named.update(b"group");
    }
    named.finalize().into()
}

fn pack(key: &[u8], value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(key.len()).unwrap_or_default();
    [&[len], key, value].concat()
}

fn unpack(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// Held for as long as a process has the history.
fn take_lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join("chat.lock");
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file =
        options.open(&path).map_err(|error| Failure::error(&format!("{}: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::error(&format!(
            "another weft chat has the history in {} open: end it first, or choose other keys with --data DIR",
            directory.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Failure::error(&format!("{}: {error}", path.display()))),
    }
}

/// A file for its owner alone; SQLite gives its log the same rights.
fn private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_crypto::Seed;
    use weft_native_peer::IdentityId;

    const TEXT: &[u8] = b"what nobody else is to read, written by Ada Lovelace";

    fn identity(n: u8) -> IdentityKey {
        IdentityKey::new(&Seed::new([n; 32]))
    }

    #[test]
    fn what_is_kept_is_there_again_and_readable_in_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let with = With::Person(IdentityId([7; 32]));
        // The same key, of a group.
        let group = With::Group(weft_wire::PartyKey([7; 32]));
        let hash = AttachmentHash([8; 32]);
        let (mut history, rows) = History::open(Some(directory.path()), &identity(1)).unwrap();
        assert!(rows.is_empty());
        let keep = Work::Keep(with, hash, 3, TEXT.to_vec());
        let key = [b"c".as_slice(), with.bytes()].concat();
        history.commit(vec![Work::Put(key.clone(), TEXT.to_vec()), keep]).unwrap();
        history.commit(vec![Work::Put(key.clone(), [TEXT, b"!"].concat())]).unwrap();
        let needles: [&[u8]; 4] = [TEXT, b"Lovelace", with.bytes(), &hash.0];
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for needle in needles {
                assert!(!bytes.windows(needle.len()).any(|part| part == needle));
            }
        }
        drop(history);
        let (mut history, rows) = History::open(Some(directory.path()), &identity(1)).unwrap();
        assert_eq!(rows, [(key.clone(), [TEXT, b"!"].concat())]);
        assert_eq!(history.piece(with, hash, 3).unwrap().as_deref(), Some(TEXT));
        assert_eq!(history.piece(group, hash, 3).unwrap(), None);
        history.commit(vec![Work::Remove(key), Work::Forget(with, hash)]).unwrap();
        assert_eq!(history.piece(with, hash, 3).unwrap(), None);
        drop(history);
        let (_, rows) = History::open(Some(directory.path()), &identity(1)).unwrap();
        assert!(rows.is_empty());
    }

    #[test]
    fn a_second_process_and_other_keys_are_told_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let first = History::open(Some(directory.path()), &identity(1)).unwrap();
        let error = History::open(Some(directory.path()), &identity(1)).err().unwrap();
        assert!(error.text().unwrap().contains("another weft chat"), "{error:?}");
        drop(first);
        let error = History::open(Some(directory.path()), &identity(2)).err().unwrap();
        assert!(error.text().unwrap().contains("other keys"), "{error:?}");
        std::fs::remove_file(directory.path().join("chat.db")).unwrap();
        for log in ["chat.db-wal", "chat.db-shm"] {
            // There is none after a clean end.
            let _ = std::fs::remove_file(directory.path().join(log));
        }
        let db = Connection::open(directory.path().join("chat.db")).unwrap();
        db.execute_batch("CREATE TABLE films (title TEXT)").unwrap();
        drop(db);
        let error = History::open(Some(directory.path()), &identity(1)).err().unwrap();
        assert!(error.text().unwrap().contains("another program's"), "{error:?}");
    }
}
