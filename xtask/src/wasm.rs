//! The wasm peer: cargo for wasm32, then the JavaScript glue, then wasm-opt; the result is in web/generated.

use crate::process::{command, run};
use crate::setup;
use crate::stamp::Inputs;
use crate::toolchain::{TARGET, Toolchain, wasm_target_dir};
use crate::ui;
use crate::workspace::{cargo, node_binary, root, target_dir};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the generated files: weft.js, weft.d.ts, weft_bg.wasm.
const OUT_NAME: &str = "weft";

/// The most that the wasm may have, gzipped, in bytes: what a page on a slow phone can be asked to load (docs/adr/0024, 0062).
pub(crate) const BUDGET_GZIP: u64 = 507_000;

/// What makes the module small once it is gzipped, found by measuring: what makes it shorter often makes it compress
/// worse. Speed of signatures, hashes and filters is the same with all of these.
const WASM_OPT_PASSES: [&str; 5] = [
    // Functions of one type or crate beside each other, within reach of gzip's window: 2.3 kB.
    "--reorder-functions-by-name",
    "-Oz",
    "--converge",
    // Functions of one caller become part of it only when they are short. Without a bound the merged functions have
    // locals of their own numbering, and what was alike no longer is: 10 kB.
    "--one-caller-inline-max-function-size=20",
    // The same of values that are computed twice: 1 kB.
    "--skip-pass=local-cse",
];

/// What rustc's wasm32 target emits and every browser has had since 2022; nothing newer may appear in the output.
const WASM_FEATURES: [&str; 7] = [
    "bulk-memory",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
    "simd",
];

/// Whether function names stay in the wasm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// As published.
    Strip,
    /// For profilers and stack traces.
    Keep,
}

/// Builds what is out of date of web/generated.
pub(crate) fn build(names: Names) -> Result<()> {
    let toolchain = setup::wasm_toolchain()?;
    setup::npm()?;
    let raw = ui::step("wasm: compile (the first time with the standard library, a minute or two)", || {
        compile(&toolchain, "weft-wasm-peer")
    })?;
    let generated = generated_dir();
    let outputs = ["js", "d.ts"].map(|kind| generated.join(format!("{OUT_NAME}.{kind}")));
    let outputs: Vec<PathBuf> = outputs.into_iter().chain([module()]).collect();
    let stamp = Inputs::default()
        .file(&raw)
        .text(&format!("{names:?} {WASM_OPT_PASSES:?} {WASM_FEATURES:?}"))
        .files(&bindgen_sources())
        .file(&root().join("node_modules/binaryen/package.json"))
        .stamp(generated.join(".stamp"));
    if stamp.is_fresh(&outputs) {
        ui::fresh("wasm: glue and optimisation");
        return Ok(());
    }
    ui::step("wasm: glue (the first time the generator is compiled, half a minute)", || {
        bindgen(&raw, &generated, OUT_NAME)
    })?;
    ui::step("wasm: wasm-opt", || optimise(&module(), names))?;
    stamp.write()?;
    let size = gzip_size(&module())?;
    ui::note(&format!(
        "{} bytes, {size} gzipped (budget {BUDGET_GZIP})",
        std::fs::metadata(module()).map_or(0, |file| file.len())
    ));
    Ok(())
}

/// Builds another crate as the wasm peer is built: `OUT_NAME.js` and `OUT_NAME_bg.wasm` in `out_dir`, to be measured.
pub(crate) fn build_like_the_peer(package: &str, out_dir: &Path, out_name: &str) -> Result<()> {
    let toolchain = setup::wasm_toolchain()?;
    setup::npm()?;
    ui::step(&format!("wasm: {package}"), || {
        bindgen(&compile(&toolchain, package)?, out_dir, out_name)?;
        optimise(&out_dir.join(format!("{out_name}_bg.wasm")), Names::Strip)
    })
}

/// Where the glue goes.
pub(crate) fn generated_dir() -> PathBuf {
    root().join("web").join("generated")
}

/// The finished module.
pub(crate) fn module() -> PathBuf {
    generated_dir().join(format!("{OUT_NAME}_bg.wasm"))
}

/// Fails when the module has grown over its budget.
pub(crate) fn check_budget() -> Result<()> {
    let size = gzip_size(&module())?;
    if size > BUDGET_GZIP {
        bail!(
            "the wasm is {size} bytes gzipped, more than its budget of {BUDGET_GZIP}\n\
             Next: `cargo xtask wasm --names`, then look at its functions with a size profiler"
        );
    }
    ui::note(&format!("the wasm is {size} bytes gzipped; its budget is {BUDGET_GZIP}"));
    Ok(())
}

/// Writes the JavaScript glue of a wasm file with the pinned generator. Function names stay: the optimiser sorts by them.
fn bindgen(input: &Path, out_dir: &Path, out_name: &str) -> Result<()> {
    let next = "the version of `wasm-bindgen` in Cargo.lock must equal that of `wasm-bindgen-cli-support`";
    let tool = target_dir().join("tools").join(format!("weft-bindgen{}", std::env::consts::EXE_SUFFIX));
    run(
        command(cargo(), &root()).args(["build", "--quiet", "--profile", "tools", "-p", "weft-bindgen"]),
        next,
    )?;
    let mut generate = command(tool, &root());
    generate.arg(input).arg(out_dir).arg(out_name);
    run(&mut generate, next)
}

fn compile(toolchain: &Toolchain, package: &str) -> Result<PathBuf> {
    let mut build = toolchain.release();
    build.args(["--profile", "wasm", "-p", package]);
    run(&mut build, "read the compiler's first error above; `cargo xtask setup` if a tool is missing")?;
    let file = format!("{}.wasm", package.replace('-', "_"));
    let raw = wasm_target_dir().join(TARGET).join("wasm").join(file);
    if !raw.is_file() {
        bail!("cargo made no {}\nNext: {package} needs crate-type = [\"cdylib\"]", raw.display());
    }
    Ok(raw)
}

fn optimise(module: &Path, names: Names) -> Result<()> {
    let optimised = module.with_extension("wasm.tmp");
    let mut wasm_opt = command(node_binary("wasm-opt"), &root());
    wasm_opt.arg(module).arg("-o").arg(&optimised).args(WASM_OPT_PASSES).arg("--mvp-features");
    // The first kilobyte is the far end of the stack, which nothing points into.
    wasm_opt.arg("--low-memory-unused");
    wasm_opt.args(WASM_FEATURES.map(|feature| format!("--enable-{feature}")));
    match names {
        Names::Strip => wasm_opt.args(["--strip-debug", "--strip-producers", "--strip-target-features"]),
        Names::Keep => wasm_opt.arg("-g"),
    };
    run(
        &mut wasm_opt,
        "`npm ci` puts wasm-opt back; a validation error names a feature missing in WASM_FEATURES",
    )?;
    std::fs::rename(&optimised, module).context("the optimised wasm could not be moved into place")
}

/// Bytes after `gzip -9`, which is what a web server sends.
fn gzip_size(file: &Path) -> Result<u64> {
    let script = "const {gzipSync} = require('node:zlib'); const {readFileSync} = require('node:fs'); \
                  console.log(gzipSync(readFileSync(process.argv[1]), {level: 9}).length)";
    let mut node = Command::new("node");
    let output = node.args(["-e", script]).arg(file).stderr(Stdio::inherit()).output()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().context("the gzipped size could not be measured")
}

fn bindgen_sources() -> Vec<PathBuf> {
    ["Cargo.toml", "src/main.rs"].map(|file| root().join("xtask/bindgen").join(file)).to_vec()
}
