//! `npm start`: a signaler with its database and the demo, from a fresh checkout.

use crate::process::command;
use crate::workspace::{release_binary, root};
use crate::{build, setup, ui};
use anyhow::{Context as _, Result};
use std::env;
use std::process::Command;

/// The port when MESH_PORT does not say otherwise.
const PORT: &str = "8190";

/// Builds what is out of date and becomes the signaler. `--open` lets everybody in: this is for development.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::run(setup::Scope::Build)?;
    build::everything()?;

    let port = env::var("MESH_PORT").unwrap_or_else(|_| PORT.to_owned());
    let database = env::var("MESH_DB_PATH").unwrap_or_else(|_| "./mesh.db".to_owned());
    ui::out(&format!(
        "\n  Demo       http://localhost:{port}/demo/   (open it in two tabs)\n  \
           Chat       http://localhost:{port}/demo/chat/\n  \
           Dashboard  http://localhost:{port}/\n  \
           Signaler   ws://localhost:{port}, database {database}, open to everybody: for development only\n  \
           Ctrl-C stops it.\n"
    ));
    let mut signaler = command(release_binary("weft-signaler"), &root());
    signaler.arg("--open").args(arguments).env("MESH_PORT", &port);
    become_program(&mut signaler)
}

/// Replaces this process, so that signals reach the signaler itself and it can say goodbye to its peers.
#[cfg(unix)]
fn become_program(program: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(program.exec()).context("weft-signaler could not be started\nNext: `npm run build`")
}

#[cfg(not(unix))]
fn become_program(program: &mut Command) -> Result<()> {
    crate::process::run(program, "`npm run build`; is the port free?")
}
