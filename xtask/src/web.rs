//! The npm package, the demo and the dashboard. How they are bundled is the business of web/'s own build script.

use crate::process::{command, run};
use crate::stamp::Inputs;
use crate::ui;
use crate::wasm::{self, Names};
use crate::workspace::{files, is_source_dir, npm_version, root};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Builds what is out of date of web/dist, the demo, the dashboard and the tarball; needs web/generated and builds it first
/// if there is none.
pub(crate) fn build() -> Result<()> {
    if !wasm::module().exists() {
        wasm::build(Names::Strip)?;
    }
    crate::setup::npm()?;
    let web = root().join("web");
    let page = |name: &str| web.join(name).join("dist").join("index.html");
    let outputs = [web.join("dist"), page("demo"), page("dashboard"), tarball()?];
    let stamp =
        Inputs::default().files(&sources(&web)?).stamp(root().join("node_modules").join(".weft-web-stamp"));
    if stamp.is_fresh(&outputs) {
        ui::fresh("web: package, demo and dashboard");
        return Ok(());
    }
    ui::step("web: package, demo and dashboard", || {
        run(
            command("npm", &root()).args(["run", "--silent", "build", "-w", "web"]),
            "read the first error above",
        )?;
        missing(&outputs[..3])
    })?;
    ui::step("web: npm pack", || {
        let mut pack = command("npm", &root());
        pack.args(["pack", "--silent", "-w", "web", "--pack-destination", "web"]);
        run(&mut pack, "web/package.json lists what is packed in `files`")?;
        missing(&outputs[3..])
    })?;
    stamp.write()
}

/// The packed npm package.
pub(crate) fn tarball() -> Result<PathBuf> {
    let web = root().join("web");
    let version = npm_version(&web.join("package.json"))?;
    Ok(web.join(format!("weft-mesh-{version}.tgz")))
}

/// Everything the package is made from: hand-written files, the glue, and the versions of the build tools.
fn sources(web: &Path) -> Result<Vec<PathBuf>> {
    let is_source = |path: &Path| path.extension().is_none_or(|extension| extension != "tgz");
    let mut found = files(web, &is_source_dir, &is_source)?;
    found.extend(files(&wasm::generated_dir(), &|_| true, &|path| !path.ends_with(".stamp"))?);
    found.push(root().join("package-lock.json"));
    Ok(found)
}

fn missing(outputs: &[PathBuf]) -> Result<()> {
    match outputs.iter().find(|output| !output.exists()) {
        Some(output) => {
            bail!("the build left no {}\nNext: look at web/package.json's build script", output.display())
        }
        None => Ok(()),
    }
}
