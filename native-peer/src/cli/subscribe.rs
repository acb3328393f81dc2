//! `weft subscribe`.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use weft_native_peer::{Backlog, Delivery, Filter, Subscription};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::session::{End, Session, Stop};
use super::{NetworkArgs, parse_seconds};

/// A backlog is given all at once when it is complete, and is kept until then: as much as `weft seed` serves.
const BACKLOG_PUBLICATIONS: usize = 1_000_000;
const BACKLOG_BYTES: usize = 256 * 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// What to get, in MongoDB's query language as JSON, or @FILE with that in it; {} is everything.
    #[arg(default_value = "{}")]
    query: String,
    /// Also what was published before, as far as somebody in the party keeps it.
    #[arg(long)]
    backlog: bool,
    /// Of what was published before, only what is not older than so many seconds.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    backlog_age: Option<Duration>,
    /// Of what was published before, only the newest N that match.
    #[arg(long, value_name = "N")]
    backlog_count: Option<usize>,
    /// End after so many documents.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds; exit code 4 if --count was not reached, or nobody was.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    timeout: Option<Duration>,
    /// At the end, tell figures on standard error.
    #[arg(long)]
    stats: bool,
}

pub(crate) async fn run(args: SubscribeArgs) -> Result<Exit, Failure> {
    let query = text(&args.query)?;
    let filter = Filter::parse_json(&query).map_err(|error| Failure::usage(&error))?;
    let mut session = Session::start_with(&args.network, args.timeout, |config| {
        if args.wants_backlog() {
            (config.keep_publications, config.keep_bytes) = (BACKLOG_PUBLICATIONS, BACKLOG_BYTES);
        }
    })
    .await?;
    let mut printed = 0;
    let result = work(&args, filter, &mut session, &mut printed).await;
    let obstacle = session.obstacle().await.filter(|_| printed == 0);
    if args.stats {
        let stats = session.weft.stats().await.unwrap_or_default();
        eprintln!(
            "weft: {printed} printed, {} received, {} duplicates, {} forwarded, {} bytes in, {} bytes out",
            stats.received, stats.duplicates, stats.forwarded, stats.link_bytes_in, stats.link_bytes_out
        );
    }
    session.close().await;
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(End::Stopped(Stop::Interrupted)) if args.count.is_none() => Ok(Exit::Done),
        Err(End::Stopped(Stop::TimedOut)) if args.count.is_none() && obstacle.is_none() => Ok(Exit::Done),
        Err(end) => {
            let few = || format!("{printed} of {} came that match", args.count.unwrap_or_default());
            end.unfinished("waiting for documents", &obstacle.unwrap_or_else(few))
        }
    }
}

impl SubscribeArgs {
    fn wants_backlog(&self) -> bool {
        self.backlog || self.backlog_age.is_some() || self.backlog_count.is_some()
    }
}

/// Bytes of a file with a query, at most. A query has 64 KiB once encoded; white space and base64 are on top.
const FILE_BYTES: u64 = 2 * 1024 * 1024;

/// The query as it stands, or what is in `@FILE`. A shell passes on no argument of more than 128 KiB.
fn text(query: &str) -> Result<Cow<'_, str>, Failure> {
    let Some(path) = query.strip_prefix('@') else { return Ok(query.into()) };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(bytes) if bytes as u64 > FILE_BYTES => {
            Err(Failure::usage(&format!("the query in {path} has more than {FILE_BYTES} bytes")))
        }
        Ok(_) => Ok(text.into()),
        Err(error) => Err(Failure::usage(&format!("the query in {path} cannot be read: {error}"))),
    }
}

async fn work(
    args: &SubscribeArgs,
    filter: Filter,
    session: &mut Session,
    printed: &mut u64,
) -> Result<(), End> {
    if args.count == Some(0) {
        return Ok(());
    }
    let backlog =
        args.wants_backlog().then_some(Backlog { age: args.backlog_age, count: args.backlog_count });
    let mut subscription = session.weft.subscribe(session.party, filter, backlog).await?;
    while let Some(delivery) = session.until(next(&mut subscription)).await? {
        match delivery {
            Delivery::Data { publication, backlog } => {
                Line::new()
                    .document("data", &publication.document)
                    .text("author", &publication.author)
                    .text("id", &publication.id)
                    .number("seq", publication.seq)
                    .number("time", publication.time)
                    .number("hops", publication.hops.into())
                    .flag("backlog", backlog)
                    .print()?;
                *printed += 1;
                if args.count == Some(*printed) {
                    return Ok(());
                }
            }
            Delivery::Live => {}
            Delivery::Missed(count) => {
                eprintln!("weft: {count} documents were lost: the output is read too slowly");
            }
        }
    }
    Err(Failure::error(&weft_native_peer::Error::Closed).into())
}

async fn next(subscription: &mut Subscription) -> Option<Delivery> {
    subscription.next().await
}
