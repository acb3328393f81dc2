//! `weft request`.

use std::time::Duration;

use clap::Args;
use weft_native_peer::{Error, IdentityId, PeerId, RequestError};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::send::{document, tell_progress};
use super::session::Session;
use super::{NetworkArgs, parse_seconds};

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Whom (`weft id` shows it); the first answer of its peers counts.
    #[arg(value_name = "IDENTITY")]
    to: IdentityId,
    /// Ask only this peer of it (`weft peers` lists them).
    #[arg(long, value_name = "PEER")]
    peer: Option<PeerId>,
    /// A JSON object, or plain text; - reads it from standard input.
    #[arg(default_value = "-")]
    message: String,
    /// How long the answer may take, in seconds.
    #[arg(long, value_name = "S", default_value = "10", value_parser = parse_seconds)]
    timeout: Duration,
}

pub(crate) async fn run(args: RequestArgs) -> Result<Exit, Failure> {
    let document = document(&args.message)?;
    let mut session = Session::start(&args.network, None).await?;
    let weft = session.weft.clone();
    let answer = async move {
        let asking = weft.start_request(args.to, args.peer, document, args.timeout).await?;
        tell_progress(asking).await
    };
    let answer = session.until(answer).await;
    session.close().await;
    let line = Line::new().text("from", &args.to);
    match answer {
        Ok(Ok(document)) => {
            line.document("data", &document).text("outcome", &"answered").print()?;
            Ok(Exit::Done)
        }
        Ok(Err(Error::Request(error))) => {
            line.text("outcome", &error.code()).text("reason", &error).print()?;
            Ok(match error {
                RequestError::Timeout(_) => Exit::TimedOut,
                RequestError::NotSent(_) => Exit::Unreachable,
                _ => Exit::Failed,
            })
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Ok(Exit::Interrupted),
    }
}
