//! `weft chat`: people who write to each other, as JSON lines for bots or on a terminal.

mod engine;
mod groups;
mod history;
mod lines;
mod screen;
mod terminal;
mod view;
mod wrap;

use clap::Args;

use super::ReachArgs;
use super::exit::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Commands and events as JSON lines on standard input and output, for bots.
    #[arg(long)]
    json: bool,
    /// With --json: go on when standard input ends, until interrupted. Otherwise this ends when everything is sent.
    #[arg(long, requires = "json")]
    stay: bool,
}

pub(crate) async fn run(args: ChatArgs) -> Result<Exit, Failure> {
    if args.json { lines::run(&args.reach, args.stay).await } else { terminal::run(&args.reach).await }
}
