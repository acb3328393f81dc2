//! `weft answer`.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use weft_native_peer::{Document, Message, Requests, Weft};
use weft_query::json;

use super::exit::{Exit, Failure};
use super::input;
use super::output::Line;
use super::session::{End, Session};
use super::{NetworkArgs, parse_seconds};

/// Commands that run at once; further requests wait.
const AT_ONCE: usize = 8;
/// Bytes of a command's output and of its errors that are read.
const OUTPUT: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// End after so many requests.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// A command that takes longer is killed, in seconds.
    #[arg(long, value_name = "S", default_value = "30", value_parser = parse_seconds)]
    limit: Duration,
    /// What is run for each request.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: AnswerArgs) -> Result<Exit, Failure> {
    let mut session = Session::start(&args.network, None).await?;
    let mut requests = session.weft.requests().await?;
    eprintln!("weft: answering as {}", session.weft.identity());
    let args = Arc::new(args);
    let result = work(&args, &mut session, &mut requests).await;
    session.close().await;
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(end) if args.count.is_none() => end.endless(),
        Err(end) => end.unfinished("waiting for requests", "fewer came"),
    }
}

async fn work(args: &Arc<AnswerArgs>, session: &mut Session, requests: &mut Requests) -> Result<(), End> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut answering: JoinSet<Line> = JoinSet::new();
    let mut taken = 0;
    loop {
        let enough = args.count.is_some_and(|count| taken >= count);
        if enough && answering.is_empty() {
            // What was answered last is on its way, and should arrive.
            let weft = session.weft.clone();
            session.until(async move { weft.flush().await }).await??;
            return Ok(());
        }
        // What there is no place for waits where it is bounded.
        let request = async {
            let place = Arc::clone(&places).acquire_owned().await;
            requests.next().await.map(|request| (request, place))
        };
        let next = async {
            tokio::select! {
                Some(done) = answering.join_next() => Err(done),
                request = request, if !enough => Ok(request),
            }
        };
        match session.until(next).await? {
            Ok(Some((request, place))) => {
                taken += 1;
                let (args, weft) = (Arc::clone(args), session.weft.clone());
                answering.spawn(async move {
                    let line = answer(&args, &weft, request).await;
                    drop(place);
                    line
                });
            }
            Ok(None) => return Err(Failure::error(&weft_native_peer::Error::Closed).into()),
            // Here it may take as long as the pipe wants.
            Err(done) => done.map_err(|error| Failure::error(&error))?.print()?,
        }
    }
}

/// Answers one request; gives what is to be told of it.
async fn answer(args: &AnswerArgs, weft: &Weft, request: Message) -> Line {
    let outcome = match tokio::time::timeout(args.limit, ask(&args.command, &request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("no answer within {} s", args.limit.as_secs_f64())),
    };
    let line = Line::new()
        .text("from", &request.from)
        .text("peer", &request.peer)
        .text("id", &request.id)
        .number("time", request.time)
        .document("data", &request.document);
    let line = match &outcome {
        Ok(document) => line.document("answer", document).text("outcome", &"answered"),
        Err(reason) => line.text("outcome", &"request-failed").text("reason", reason),
    };
    // An answer that is too large, or too late, is the asker's loss and not the end of everything.
    if let Err(error) = weft.respond(request.id, outcome).await {
        eprintln!("weft: the answer could not be sent: {error}");
        let _ = weft.respond(request.id, Err(error.to_string())).await;
    }
    line
}

/// The answer of a command, or why there is none.
async fn ask(command: &[OsString], request: &Message) -> Result<Document, String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("WEFT_FROM", request.from.to_string())
        .env("WEFT_PEER", request.peer.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.to_string_lossy()))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let question = format!("{}\n", json::to_string(&request.document.to_value()));
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A command need not read what it is asked.
            let _ = stdin.write_all(question.as_bytes()).await;
        }
    };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let read = async {
        if let Some(stdout) = stdout {
            stdout.take(OUTPUT).read_to_end(&mut output).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let read_errors = async {
        if let Some(stderr) = stderr {
            stderr.take(OUTPUT).read_to_end(&mut errors).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let ((), read, read_errors, status) = tokio::join!(write, read, read_errors, child.wait());
    read.and(read_errors).map_err(|error| error.to_string())?;
    let status = status.map_err(|error| error.to_string())?;
    if status.success() {
        return input::of_text(String::from_utf8_lossy(&output).trim());
    }
    let errors = String::from_utf8_lossy(&errors);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| status.to_string(), |line| line.trim().to_owned()))
}
