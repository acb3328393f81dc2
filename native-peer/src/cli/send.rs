//! `weft send`.

use std::io::Read as _;
use std::time::Duration;

use clap::Args;
use weft_native_peer::{Document, Error, IdentityId};

use super::exit::{Exit, Failure};
use super::input;
use super::output::Line;
use super::session::Session;
use super::{NetworkArgs, parse_seconds};

/// Bytes of a message that are read from standard input; what can be sent is less.
const INPUT: u64 = 1024 * 1024;

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
    /// How long to look for the recipient, in seconds.
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    timeout: Duration,
}

pub(crate) async fn run(args: SendArgs) -> Result<Exit, Failure> {
    let document = document(&args.message)?;
    // The core gives up by itself; what this adds is that it may be told when.
    let mut session = Session::start_with(&args.network, None, |config| {
        config.message_give_up = args.timeout;
    })
    .await?;
    let weft = session.weft.clone();
    let sent = session.until(async move { weft.send(args.to, document).await }).await;
    session.close().await;
    let line = Line::new().text("to", &args.to);
    match sent {
        Ok(Ok(id)) => {
            line.text("id", &id).text("outcome", &"delivered").print()?;
            Ok(Exit::Done)
        }
        Ok(Err(Error::Send(error))) => {
            line.text("outcome", &error.code()).text("reason", &error).print()?;
            Ok(Exit::Unreachable)
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(Exit::Interrupted),
    }
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
    fn an_object_is_sent_as_it_is_and_anything_else_as_text() {
        let written = |message| json::to_string(&document(message).unwrap().to_value());
        assert_eq!(written("{\"a\":1}"), "{\"a\":1}");
        assert_eq!(written("hello, world"), "{\"text\":\"hello, world\"}");
        assert_eq!(written("[1]"), "{\"text\":\"[1]\"}");
        assert_eq!(document("{\"a\"").unwrap_err().exit(), Exit::Usage);
    }
}
