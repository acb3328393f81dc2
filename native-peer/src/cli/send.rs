//! `weft send`.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::sync::watch;
use weft_native_peer::{Document, Error, Event, IdentityId, Progress, Sending, Sent, Until};

use super::exit::{Exit, Failure};
use super::input;
use super::output::Line;
use super::session::{Session, Stop};
use super::{NetworkArgs, parse_seconds};

/// Bytes of a message that are read from standard input: one more than the longest JSON that a document can have, so that
/// nothing is cut off without a word.
const INPUT: u64 = 32 * 1024 * 1024 + 1;
/// Progress is shown this often at most.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// To whom (`weft id` shows it).
    #[arg(value_name = "IDENTITY")]
    to: IdentityId,
    /// A JSON object, or plain text; - reads it from standard input.
    #[arg(default_value = "-")]
    message: String,
    /// How long to look for the recipient, in seconds; with `--until delivered`, how long to wait.
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    timeout: Duration,
    /// Done when the message waits for a recipient that is away, or only when it has been received.
    #[arg(long, value_name = "STATE", value_enum, default_value_t = State::Stored)]
    until: State,
    /// How long it may wait for a recipient that is away, in seconds; 7 days at most, and if this is left out. 0: not at all.
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    expires: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    Stored,
    Delivered,
}

/// The core says that nobody can be reached before we stop waiting for somebody who is only slow.
const LATER: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: SendArgs) -> Result<Exit, Failure> {
    let document = document(&args.message)?;
    // The core gives up by itself; what this adds is that it may be told when.
    let (until, deadline) = match args.until {
        State::Stored => (Until::Stored, None),
        State::Delivered => (Until::Delivered, Some(args.timeout + LATER)),
    };
    let mut session = Session::start_with(&args.network, deadline, |config| {
        config.message_give_up = args.timeout;
    })
    .await?;
    let weft = session.weft.clone();
    let mut events = weft.events();
    let sent = async move {
        let sending = weft.start_send_until(args.to, document, until, args.expires).await?;
        tell_progress(sending).await
    };
    // Whether it waits is worth knowing where it was to be delivered.
    let (told, mut left) = watch::channel(None);
    let watched = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Stored { command, id } = event
                && command.0 != 0
            {
                told.send_replace(Some(id));
            }
        }
    });
    let sent = session.until(sent).await;
    session.close().await;
    // It ends with the peer.
    let _ = watched.await;
    let line = Line::new().text("to", &args.to);
    match sent {
        Ok(Ok(Sent { id, state })) => {
            let outcome = if state == Until::Delivered { "delivered" } else { "stored" };
            line.text("id", &id).text("outcome", &outcome).print()?;
            Ok(Exit::Done)
        }
        Err(Stop::TimedOut) => {
            let Some(id) = *left.borrow_and_update() else {
                line.text("outcome", &"timeout").print()?;
                return Ok(Exit::TimedOut);
            };
            line.text("id", &id).text("outcome", &"stored").print()?;
            Ok(Exit::TimedOut)
        }
        Ok(Err(Error::Send(error))) => {
            line.text("outcome", &error.code()).text("reason", &error).print()?;
            Ok(Exit::Unreachable)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(Exit::Interrupted),
    }
}

/// Waits for the fate of a message or for an answer, and meanwhile shows on a terminal how much of a large one has arrived.
pub(crate) async fn tell_progress<T>(mut sending: Sending<T>) -> Result<T, Error> {
    let mut progress = sending.progress();
    if !std::io::stderr().is_terminal() {
        return sending.await;
    }
    let mut shown = false;
    let fate = loop {
        tokio::select! {
            fate = &mut sending => break fate,
            Ok(()) = progress.changed() => {
                let Progress { sent, total } = *progress.borrow_and_update();
                shown = true;
                show(&format!("\r{}", line(sent, total)));
                // What comes meanwhile is in the next line.
                tokio::select! {
                    fate = &mut sending => break fate,
                    () = tokio::time::sleep(SHOWN_EVERY) => {}
                }
            }
        }
    };
    if shown {
        show("\n");
    }
    fate
}

/// Where nobody can be told, the work goes on all the same.
fn show(text: &str) {
    let mut out = std::io::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn line(sent: usize, total: usize) -> String {
    let percent = sent * 100 / total.max(1);
    format!("{percent:3} % of {} KiB have arrived", total.div_ceil(1024))
}

/// A message of the command line, or of standard input if that is `-`, as a document.
pub(crate) fn document(message: &str) -> Result<Document, Failure> {
    let mut read = String::new();
    let text = if message == "-" {
        std::io::stdin()
            .take(INPUT)
            .read_to_string(&mut read)
            .map_err(|error| Failure::error(&format!("standard input: {error}")))?;
        read.trim_end_matches(['\r', '\n'])
    } else {
        message
    };
    input::of_text(text).map_err(|error| Failure::usage(&format!("the message: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_query::json;

    #[test]
    fn progress_is_a_line_that_does_not_change_its_length() {
        assert_eq!(line(48_128, 16 * 1024 * 1024), "  0 % of 16384 KiB have arrived");
        assert_eq!(line(200_000, 200_000), "100 % of 196 KiB have arrived");
    }

    #[test]
    fn an_object_is_sent_as_it_is_and_anything_else_as_text() {
        let written = |message| json::to_string(&document(message).unwrap().to_value());
        assert_eq!(written("{\"a\":1}"), "{\"a\":1}");
        assert_eq!(written("hello, world"), "{\"text\":\"hello, world\"}");
        assert_eq!(written("[1]"), "{\"text\":\"[1]\"}");
        assert_eq!(document("{\"a\"").unwrap_err().exit(), Exit::Usage);
    }
}
