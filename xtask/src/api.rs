//! `cargo xtask api`: schemathesis makes requests out of `/openapi.json` of a running signaler and holds the answers against it.
//!
//! It comes from PyPI into an environment of its own below target/, once.

use crate::process::{command, run as run_command};
use crate::ui;
use crate::workspace::{cargo, find_program, root, target_dir};
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// The tool, as it was tried.
const TOOL: &str = "schemathesis==4.32.5";
/// Requests of each sort for each path.
const EXAMPLES: &str = "50";
/// What is no fault of ours: whoever has no key cannot make a statement that is accepted, however well it is formed.
const EXCLUDED: &str = "positive_data_acceptance";

/// Builds the signaler, starts one, and asks it; the arguments go to schemathesis.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let tool = tool()?;
    ui::step("api: weft-signaler", || {
        let mut build = command(cargo(), &root());
        build.args(["build", "--quiet", "-p", "weft-signaler"]);
        run_command(&mut build, "read the compiler's first error above")
    })?;
    let place = target_dir().join("schemathesis-signaler");
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place)?;
    let signaler = Signaler::start(&place)?;
    ui::step("api: schemathesis", || {
        let mut asking = command(tool, &place);
        asking.args(["run", &format!("{}/openapi.json", signaler.url), "--max-examples", EXAMPLES]);
        asking.args(["--exclude-checks", EXCLUDED]).args(arguments);
        run_command(&mut asking, "each failure above has the request that makes it, as a curl command")
    })
}

/// Where schemathesis is, installed if it is not there.
fn tool() -> Result<PathBuf> {
    let place = target_dir().join("schemathesis");
    let program = |name: &str| place.join("bin").join(name);
    if !program("schemathesis").exists() {
        let python =
            find_program("python3").context("there is no python3\nNext: install it, with its venv")?;
        ui::step(&format!("api: install {TOOL}"), || {
            let next = "is PyPI reachable, and python3-venv installed?";
            run_command(command(python, &root()).args(["-m", "venv"]).arg(&place), next)?;
            run_command(command(program("pip"), &root()).args(["install", "--quiet", TOOL]), next)
        })?;
    }
    Ok(program("schemathesis"))
}

/// A signaler that ends with this.
struct Signaler {
    child: Child,
    url: String,
}

impl Signaler {
    /// On a port that the system chooses, without a limit of requests, for there will be thousands.
    fn start(place: &std::path::Path) -> Result<Self> {
        std::fs::write(place.join("signaler.toml"), "[registry]\nposts_per_minute = 0\n")?;
        let program =
            target_dir().join("debug").join(format!("weft-signaler{}", std::env::consts::EXE_SUFFIX));
        let mut signaler = command(program, place);
        signaler.args(["--listen", "127.0.0.1:0", "--data", "mesh.db", "--config", "signaler.toml"]);
        signaler.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = signaler.spawn().context("the signaler could not be started")?;
        let said = child.stdout.take().context("standard output was not captured")?;
        let line = BufReader::new(said).lines().next().transpose()?.unwrap_or_default();
        let Some(url) = line.split(" listens on ws://").nth(1).and_then(|rest| rest.split(' ').next()) else {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the signaler said {line:?}\nNext: start target/debug/weft-signaler by hand");
        };
        Ok(Self { url: format!("http://{url}"), child })
    }
}

impl Drop for Signaler {
    fn drop(&mut self) {
        // It may have ended by itself, which schemathesis has told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
