//! `weft seed`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use weft_native_peer::{Digest, Document, digest};

use super::exit::{Exit, Failure};
use super::input::{self, Entries};
use super::session::{End, Progress, Session};
use super::{NetworkArgs, parse_bytes};

/// A file is looked at this often for changes.
const LOOK: Duration = Duration::from_secs(1);
/// What was served is served as long as it is in the file, however old it is.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Publications that are served at most.
const PUBLICATIONS: usize = 1_000_000;

#[derive(Debug, Args)]
pub(crate) struct SeedArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Files of JSON lines, or of one JSON array each. Lines that are added while it runs are published, too.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Memory for what is served, such as 64M or 2G; what is beyond it is served no longer, the oldest first.
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = parse_bytes)]
    keep: usize,
}

/// A file, and how it was when it was last read.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    seen: Option<(u64, SystemTime)>,
    /// Lines that were no documents then.
    refused: u64,
}

pub(crate) async fn run(args: SeedArgs) -> Result<Exit, Failure> {
    for file in &args.files {
        // What cannot be read at all is said before anything is started.
        std::fs::File::open(file).map_err(|error| Failure::error(&format!("{}: {error}", file.display())))?;
    }
    let keep = args.keep;
    let mut session = Session::start_with(&args.network, None, |config| {
        config.keep_publications = PUBLICATIONS;
        config.keep_bytes = keep;
        config.keep_age = FOR_EVER;
        // It serves whoever comes, so that nobody need be there yet.
        config.alone_waits = false;
    })
    .await?;
    let result = serve(&args, &mut session).await;
    session.close().await;
    match result {
        Ok(exit) => Ok(exit),
        Err(end) => end.endless(),
    }
}

async fn serve(args: &SeedArgs, session: &mut Session) -> Result<Exit, End> {
    let weft = session.weft.clone();
    let published = session.until(weft.published(session.party)).await??;
    let mut seed = Seed { known: published, added: 0 };
    let mut sources: Vec<Source> =
        args.files.iter().map(|path| Source { path: path.clone(), seen: None, refused: 0 }).collect();
    let mut told = None;
    loop {
        for source in &mut sources {
            let seen = state(&source.path);
            if seen.is_some() && seen != source.seen {
                // One that is being replaced just now is looked at again.
                let Ok(entries) = input::open(&source.path) else { continue };
                source.seen = seen;
                source.refused = seed.read(&source.path, entries, session).await?;
            }
        }
        let refused: u64 = sources.iter().map(|source| source.refused).sum();
        let now = (seed.known.len(), seed.added, refused);
        if told != Some(now) {
            session.until(weft.stored()).await??;
            let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
            let (served, added) = (seed.known.len(), seed.added);
            eprintln!("weft: serving {served} documents ({added} of them new{refused}); Ctrl-C ends it");
            if told.is_none() {
                notify_ready();
            }
            told = Some(now);
        }
        session.until(tokio::time::sleep(LOOK)).await?;
    }
}

/// What has been done so far.
#[derive(Debug)]
struct Seed {
    /// Documents that are served.
    known: BTreeSet<Digest>,
    added: u64,
}

impl Seed {
    /// Publishes what of a file is not served yet, and gives how much of it is refused. A document that is there several times
    /// is served once.
    async fn read(&mut self, path: &Path, mut entries: Entries, session: &mut Session) -> Result<u64, End> {
        let mut progress = Progress::new();
        let (mut here, mut refused) = (0_u64, 0_u64);
        let (weft, party) = (session.weft.clone(), session.party);
        while let Some(entry) = session.until(entries.recv()).await? {
            let document: Result<Document, String> = match entry {
                Ok(entry) => entry.document.map_err(|error| format!("{}: {error}", entry.place)),
                Err(error) => Err(error.to_string()),
            };
            let document = match document {
                Ok(document) => document,
                Err(error) => {
                    refused += 1;
                    eprintln!("weft: {}: {error}", path.display());
                    continue;
                }
            };
            let hash = digest(&document.encode());
            if !self.known.contains(&hash) {
                match session.until(weft.publish(party, document)).await? {
                    Ok(_) => {
                        self.known.insert(hash);
                        self.added += 1;
                    }
                    Err(weft_native_peer::Error::Command(error)) => {
                        refused += 1;
                        eprintln!("weft: {}: {error}", path.display());
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            here += 1;
            progress.show(&format!("{}: {here} documents", path.display()));
        }
        Ok(refused)
    }
}

/// Size and time of a file. None while it is not there: somebody may be replacing it.
fn state(path: &Path) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}

/// Tells systemd that all is served (sd_notify(3)): nothing without it.
fn notify_ready() {
    #[cfg(unix)]
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Ok(from) = std::os::unix::net::UnixDatagram::unbound()
    {
        let _ = from.send_to(b"READY=1", socket);
    }
}
