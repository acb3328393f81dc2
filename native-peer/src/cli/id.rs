//! `weft id`.

use clap::Args;
use weft_native_peer::keystore::KeyStoreError;

use super::KeyArgs;
use super::exit::{Exit, Failure};
use super::output::Line;

#[derive(Debug, Args)]
pub(crate) struct IdArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// Choose the display name that others see (not unique, not proven); empty for none.
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &IdArgs) -> Result<Exit, Failure> {
    let store = args.keys.store()?;
    let failed = |error: KeyStoreError| match error {
        KeyStoreError::NameTooLong => Failure::usage(&error),
        _ => Failure::error(&error),
    };
    if let Some(name) = &args.name {
        store.set_name(name).map_err(failed)?;
    }
    let identity = store.identity().map_err(failed)?.id();
    let name = store.name().map_err(failed)?;
    let peers = store.peers().map_err(failed)?;
    let line = Line::new().text("identity", &identity).text("name", &name).list("peers", &peers);
    let line = line.text("data", &store.directory().display());
    if args.json {
        line.print()?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("identity  {identity}")];
    if !name.is_empty() {
        lines.push(format!("name      {name}"));
    }
    lines.extend(peers.iter().enumerate().map(|(slot, peer)| format!("peer {slot}    {peer}")));
    lines.push(format!("keys in   {}\n", store.directory().display()));
    super::output::print(&lines.join("\n"))?;
    Ok(Exit::Done)
}
