//! `weft listen`.

use std::time::Duration;

use clap::Args;
use weft_native_peer::{Message, Messages};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::session::{End, Session};
use super::{NetworkArgs, parse_seconds};

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// End after so many messages; those that came with the last of them are printed, too.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after so many seconds; exit code 4 if --count was not reached.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    timeout: Option<Duration>,
}

pub(crate) async fn run(args: ListenArgs) -> Result<Exit, Failure> {
    let (mut session, mut messages) = Session::start_listening(&args.network, args.timeout).await?;
    let mut printed = 0;
    let result = work(&args, &mut session, &mut messages, &mut printed).await;
    let obstacle = session.obstacle().await.filter(|_| printed == 0);
    session.close().await;
    // Whoever sent it is told that it is delivered: what came until the end is printed, wanted or not.
    while let Some(Ok(message)) = messages.next().await {
        print(&message)?;
        printed += 1;
    }
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(end) if args.count.is_none() => end.endless(),
        Err(end) => {
            let few = || format!("{printed} of {} came", args.count.unwrap_or_default());
            end.unfinished("waiting for messages", &obstacle.unwrap_or_else(few))
        }
    }
}

fn print(message: &Message) -> Result<(), Failure> {
    let line = Line::new().text("from", &message.from).text("peer", &message.peer).text("id", &message.id);
    line.number("time", message.time).document("data", &message.document).print()
}

async fn work(
    args: &ListenArgs,
    session: &mut Session,
    messages: &mut Messages,
    printed: &mut u64,
) -> Result<(), End> {
    eprintln!("weft: listening as {}", session.weft.identity());
    while args.count.is_none_or(|count| *printed < count) {
        match session.until(messages.next()).await? {
            Some(Ok(message)) => {
                print(&message)?;
                *printed += 1;
            }
            Some(Err(missed)) => {
                eprintln!("weft: {missed} messages were lost: the output is read too slowly");
            }
            None => return Err(Failure::error(&weft_native_peer::Error::Closed).into()),
        }
    }
    Ok(())
}
