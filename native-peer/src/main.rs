//! The `weft` command: JSON lines in and out, so that shell pipelines are bots.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
