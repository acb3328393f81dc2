//! Everything that is shipped, in the order in which one needs the other.

use crate::process::{command, run};
use crate::ui;
use crate::wasm::{self, Names};
use crate::web;
use crate::workspace::{cargo, release_binary, root};
use anyhow::Result;

/// Wasm, then the web package and the pages, then the programs; the signaler embeds the pages, so it comes last.
pub(crate) fn everything() -> Result<()> {
    wasm::build(Names::Strip)?;
    web::build()?;
    programs()?;
    for built in [release_binary("weft-signaler"), release_binary("weft"), web::tarball()?] {
        ui::note(&built.strip_prefix(root()).unwrap_or(&built).display().to_string());
    }
    Ok(())
}

fn programs() -> Result<()> {
    ui::step("build: weft-signaler and weft (release; the first time some minutes)", || {
        let mut build = command(cargo(), &root());
        build.args(["build", "--release", "-p", "weft-signaler", "-p", "weft-native-peer"]);
        run(&mut build, "read the compiler's first error above")
    })
}
