//! SQLite with nothing around it, as the signaler has it: WAL, each commit on the disk, one writer, as many in a transaction.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use rusqlite::{Connection, params};
use weft_signaler_core::MailChange;
use weft_wire::sibling::KeptKind;

use crate::mailbox::{Pass, Took};
use crate::server::own_cpu;

/// Writes in one transaction, at most: as in the signaler (signaler/src/store.rs).
pub(crate) const BATCH: usize = 256;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A number and the bytes.
    Bare,
    /// That of the signaler, with its keys.
    Mail,
}

const BARE: &str = "CREATE TABLE mail (n INTEGER PRIMARY KEY, body BLOB)";
/// As in signaler/src/store.rs.
const MAIL: &str = "CREATE TABLE mail (
    identity BLOB NOT NULL CHECK (length(identity) = 32), peer BLOB NOT NULL CHECK (length(peer) = 32),
    id BLOB NOT NULL CHECK (length(id) = 32), kind INTEGER NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL,
    sender BLOB NOT NULL CHECK (length(sender) = 8), body BLOB,
    PRIMARY KEY (identity, peer, id)
)";

/// A new file with one table; dropping it removes the file.
pub(crate) struct Bare {
    dir: PathBuf,
    db: Connection,
    layout: Layout,
}

impl Bare {
    /// On the disk on which the signaler's file is, too.
    pub(crate) fn new(layout: Layout) -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("weft-bench-{}-{layout:?}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let db = Connection::open(dir.join("mail.db"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch(if layout == Layout::Bare { BARE } else { MAIL })?;
        Ok(Self { dir, db, layout })
    }

    /// Appends all, one full transaction after the other.
    pub(crate) fn append(&mut self, envelopes: &[Envelope]) -> anyhow::Result<Took> {
        let (began, cpu) = (Instant::now(), own_cpu()?);
        for batch in envelopes.chunks(BATCH) {
            let change = self.db.transaction()?;
            for one in batch {
                let Envelope { mailbox, id, body } = one;
                match self.layout {
                    Layout::Bare => change
                        .prepare_cached("INSERT INTO mail (body) VALUES (?1)")?
                        .execute(params![body])?,
                    Layout::Mail => change
                        .prepare_cached(
                            "INSERT OR REPLACE INTO mail VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                        )?
                        .execute(params![
                            mailbox,
                            mailbox,
                            id,
                            0,
                            1_i64 << 40,
                            1_i64 << 41,
                            [7_u8; 8],
                            body
                        ])?,
                };
            }
            change.commit()?;
        }
        Took::since(envelopes.len(), began, own_cpu()? - cpu)
    }

    /// Reads all, and takes out what was read, in transactions as full.
    pub(crate) fn drain(&mut self, expected: usize) -> anyhow::Result<Took> {
        let (began, cpu) = (Instant::now(), own_cpu()?);
        let mut drained = 0;
        loop {
            let change = self.db.transaction()?;
            let page: Vec<(i64, Vec<u8>)> = change
                .prepare_cached("SELECT rowid, body FROM mail ORDER BY rowid LIMIT ?1")?
                .query_map(params![u32::try_from(BATCH)?], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (row, _) in &page {
                change.prepare_cached("DELETE FROM mail WHERE rowid = ?1")?.execute(params![row])?;
            }
            change.commit()?;
            drained += page.len();
            if page.is_empty() {
                break;
            }
        }
        ensure!(drained == expected, "{drained} drained of {expected}");
        Took::since(drained, began, own_cpu()? - cpu)
    }

    /// Writes what a signaler keeps, in one transaction, as signaler/src/store.rs does.
    pub(crate) fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a MailChange>,
    ) -> anyhow::Result<()> {
        let transaction = self.db.transaction()?;
        for change in changes {
            match change {
                MailChange::Put { identity, peer, id, item } => transaction
                    .prepare_cached("INSERT OR REPLACE INTO mail VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                    .execute(params![
                        identity.0,
                        peer.0,
                        id.0,
                        u8::from(item.kind != KeptKind::Mail),
                        i64::try_from(item.at)?,
                        i64::try_from(item.until)?,
                        item.sender.0,
                        item.body.as_deref()
                    ])?,
                MailChange::Drop { identity, peer, id } => transaction
                    .prepare_cached("DELETE FROM mail WHERE identity = ?1 AND peer = ?2 AND id = ?3")?
                    .execute(params![identity.0, peer.0, id.0])?,
            };
        }
        Ok(transaction.commit()?)
    }

    /// Both, of new envelopes.
    pub(crate) fn pass(layout: Layout, envelopes: &[Envelope]) -> anyhow::Result<Pass> {
        let mut bare = Self::new(layout)?;
        Ok(Pass { append: bare.append(envelopes)?, drain: bare.drain(envelopes.len())? })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What is appended.
pub(crate) struct Envelope {
    /// Whose.
    pub(crate) mailbox: [u8; 32],
    pub(crate) id: [u8; 32],
    pub(crate) body: Vec<u8>,
}
