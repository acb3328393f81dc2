//! Running other programs: visible by default, with errors that say which command failed and what to do next.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// A command in `dir`.
pub(crate) fn command(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    command
}

/// Runs a command with its output shown; `next` tells what to do if it fails.
pub(crate) fn run(command: &mut Command, next: &str) -> Result<()> {
    let status = command.status().with_context(|| could_not_start(command, next))?;
    if !status.success() {
        bail!("`{}` ended with {status}\nNext: {next}", shown(command));
    }
    Ok(())
}

/// The standard output of a command, trimmed; `None` when it is missing or fails. Nothing is shown.
pub(crate) fn probe(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command and hands every line of its standard output to `on_line`; true if the command succeeded.
pub(crate) fn lines(command: &mut Command, next: &str, mut on_line: impl FnMut(&str)) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| could_not_start(command, next))?;
    let stdout = child.stdout.take().context("standard output was not captured")?;
    for line in BufReader::new(stdout).split(b'\n') {
        on_line(String::from_utf8_lossy(&line?).trim_end_matches('\r'));
    }
    Ok(child.wait()?.success())
}

fn could_not_start(command: &Command, next: &str) -> String {
    format!("`{}` could not be started\nNext: {next}", shown(command))
}

/// The command as one would type it, without directories in front of the program.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
