//! `weft publish`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use weft_native_peer::{Document, Publishing};

use super::exit::{Exit, Failure};
use super::input::{self, Entries};
use super::output::Line;
use super::session::{End, Progress, Session, Stop};
use super::{NetworkArgs, parse_seconds};

/// Publications that are on their way to their place in the feed.
const IN_FLIGHT: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// File of JSON lines or of one JSON array; - is standard input. What comes from a file is not stored beside the keys: it is
    /// published anew each time.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Wait for so many peers in the party before publishing [default: 1, with --stay 0].
    #[arg(long, value_name = "N")]
    wait_peers: Option<usize>,
    /// Go on serving the documents to those who come later, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Stop at the first line that is no document.
    #[arg(long)]
    strict: bool,
    /// Print a JSON line {id, seq} for each publication.
    #[arg(long, short)]
    verbose: bool,
    /// Give up after so many seconds if the documents are not handed over by then.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    timeout: Option<Duration>,
}

/// What there is to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A first document.
    #[default]
    Reading,
    /// Peers.
    Meeting,
    /// That peers take the documents.
    HandingOver,
}

/// What was done so far.
#[derive(Debug, Default)]
struct Tally {
    stage: Stage,
    published: u64,
    refused: u64,
    /// Reading has ended before the end of the input.
    stopped: bool,
}

pub(crate) async fn run(mut args: PublishArgs) -> Result<Exit, Failure> {
    // A file is there again at the next start, and would then be published twice.
    args.network.reach.no_store |= args.file.as_os_str() != "-";
    let mut entries = input::open(&args.file)?;
    let mut session = Session::start(&args.network, args.timeout).await?;
    let mut tally = Tally::default();
    let result = work(&args, &mut session, &mut entries, &mut tally).await;
    let obstacle = session.obstacle().await;
    session.close().await;
    let refused = if tally.refused > 0 { format!(", {} refused", tally.refused) } else { String::new() };
    eprintln!("weft: {} published{refused}", tally.published);
    match result {
        Ok(()) if tally.refused > 0 || tally.stopped => Ok(Exit::Failed),
        Ok(()) => Ok(Exit::Done),
        Err(end) => {
            let (doing, why) = match tally.stage {
                Stage::Reading => ("reading", Some("there was no document yet".to_owned())),
                Stage::Meeting => ("waiting for peers", obstacle),
                Stage::HandingOver => ("handing over the documents", obstacle),
            };
            end.unfinished(doing, &why.unwrap_or_else(|| "too few or too slow peers".to_owned()))
        }
    }
}

async fn work(
    args: &PublishArgs,
    session: &mut Session,
    entries: &mut Entries,
    tally: &mut Tally,
) -> Result<(), End> {
    let first = first_document(args, session, entries, tally).await?;
    if first.is_none() && (!args.stay || tally.stopped) {
        return Ok(());
    }
    tally.stage = Stage::Meeting;
    session.wait_for_peers(args.wait_peers.unwrap_or(usize::from(!args.stay))).await?;
    tally.stage = Stage::HandingOver;
    publish_all(args, session, first, entries, tally).await?;
    if args.stay && !tally.stopped {
        eprintln!("weft: serving {} documents; Ctrl-C ends it", tally.published);
        // Only an interrupt or the end of the given time ends this, and then the work is done.
        let _ = session.until(std::future::pending::<()>()).await;
        return Ok(());
    }
    if tally.published > 0 {
        let mut progress = Progress::new();
        progress.show("handing over…");
        let weft = session.weft.clone();
        session.until(async move { weft.flush().await }).await??;
    }
    Ok(())
}

/// A document and where it stands.
type Placed = (String, Document);

/// Reads as far as the first document: without any, nobody has to be waited for.
async fn first_document(
    args: &PublishArgs,
    session: &mut Session,
    entries: &mut Entries,
    tally: &mut Tally,
) -> Result<Option<Placed>, Stop> {
    while !tally.stopped {
        let Some(entry) = session.until(entries.recv()).await? else { break };
        let first = accept(args, tally, entry);
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}

/// Publishes what is read, in order, as it is read. What was begun is finished whatever comes after it.
async fn publish_all(
    args: &PublishArgs,
    session: &mut Session,
    first: Option<Placed>,
    entries: &mut Entries,
    tally: &mut Tally,
) -> Result<(), End> {
    let (weft, party) = (session.weft.clone(), session.party);
    let mut in_flight: VecDeque<(String, Publishing)> = VecDeque::new();
    if let Some((place, document)) = first {
        in_flight.push_back((place, session.until(weft.start_publish(party, document)).await??));
    }
    let mut open = true;
    while open || !in_flight.is_empty() {
        let room = open && in_flight.len() < IN_FLIGHT;
        let next = async {
            let first = async {
                match in_flight.front_mut() {
                    Some((_, publishing)) => publishing.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What is done is told before more is begun.
                biased;
                done = first => Next::Done(done),
                entry = entries.recv(), if room => Next::Entry(entry),
            }
        };
        match session.until(next).await? {
            Next::Done(done) => {
                let place = in_flight.pop_front().map(|(place, _)| place).unwrap_or_default();
                match done {
                    Ok(published) => {
                        tally.published += 1;
                        if args.verbose {
                            Line::new().text("id", &published.id).number("seq", published.seq).print()?;
                        }
                    }
                    Err(weft_native_peer::Error::Command(error)) => refuse(args, tally, &place, &error),
                    Err(error) => return Err(error.into()),
                }
            }
            Next::Entry(Some(entry)) => {
                if let Some((place, document)) = accept(args, tally, entry) {
                    in_flight.push_back((place, session.until(weft.start_publish(party, document)).await??));
                }
            }
            Next::Entry(None) => open = false,
        }
        open &= !tally.stopped;
    }
    Ok(())
}

#[derive(Debug)]
enum Next {
    Done(Result<weft_native_peer::Published, weft_native_peer::Error>),
    Entry(Option<std::io::Result<input::Entry>>),
}

/// The document that was read, if it is one.
fn accept(args: &PublishArgs, tally: &mut Tally, entry: std::io::Result<input::Entry>) -> Option<Placed> {
    match entry {
        Ok(input::Entry { place, document: Ok(document) }) => Some((place, document)),
        Ok(input::Entry { place, document: Err(error) }) => {
            refuse(args, tally, &place, &error);
            None
        }
        Err(error) => {
            eprintln!("weft: {}: {error}", args.file.display());
            tally.stopped = true;
            None
        }
    }
}

/// Tells of what is no document; the strict read no further.
fn refuse(args: &PublishArgs, tally: &mut Tally, place: &str, error: &dyn std::fmt::Display) {
    tally.refused += 1;
    tally.stopped |= args.strict;
    eprintln!("weft: {}: {place}: {error}", args.file.display());
}
