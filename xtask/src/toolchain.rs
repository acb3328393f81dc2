//! Where the wasm32 standard library comes from (DESIGN: the installed toolchain, rustup, Debian's packages).

use crate::process::{command, probe};
use crate::ui;
use crate::workspace::{cargo, find_program, root, target_dir};
use anyhow::{Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one target of the wasm peer.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages, apart from `lld-NN`, whose newest version [`newest_lld_package`] finds.
pub(crate) const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A compiler that can build for wasm32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain of this cargo has the target's standard library.
    Installed,
    /// Debian's compiler builds the standard library from Debian's sources; `linker` is `wasm-ld-NN`.
    Debian { rustc: PathBuf, linker: PathBuf },
}

/// What is there, and what would have to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Ready to build.
    Ready(Toolchain),
    /// rustup may be asked to add the target.
    AskRustup,
    /// Debian's packages are needed.
    NeedsDebianPackages,
}

/// Looks for a toolchain in the documented order, without installing anything.
pub(crate) fn find() -> Result<Found> {
    let debian_only = match env::var("WEFT_WASM_TOOLCHAIN").as_deref() {
        Err(_) | Ok("") => false,
        Ok("debian") => true,
        Ok(other) => bail!("WEFT_WASM_TOOLCHAIN={other} is not known\nNext: unset it, or set it to `debian`"),
    };
    if !debian_only {
        if has_target() {
            return Ok(Found::Ready(Toolchain::Installed));
        }
        if rustup_may_download() {
            return Ok(Found::AskRustup);
        }
    }
    Ok(debian().map_or(Found::NeedsDebianPackages, Found::Ready))
}

/// Asks rustup for the target; false if it cannot (no network, read-only toolchain).
pub(crate) fn add_target_with_rustup() -> bool {
    let added = command("rustup", &root()).args(["target", "add", TARGET]).status();
    let added = added.is_ok_and(|status| status.success()) && has_target();
    if !added {
        ui::note("rustup could not add the wasm32 target; going on with Debian's packages");
    }
    added
}

/// Debian's toolchain, if its three packages are installed.
pub(crate) fn debian() -> Option<Toolchain> {
    let rustc = debian_rustc()?;
    let sysroot = probe(command(&rustc, &root()).args(["--print", "sysroot"]))?;
    let has_source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.toml").is_file();
    has_source.then_some(())?;
    Some(Toolchain::Debian { rustc, linker: newest_wasm_ld()? })
}

/// The newest `lld-NN` that apt knows.
pub(crate) fn newest_lld_package() -> Option<String> {
    let names = probe(command("apt-cache", &root()).args(["search", "--names-only", "^lld-[0-9]+$"]))?;
    let names = names.lines().filter_map(|line| line.split_whitespace().next());
    names.max_by_key(|name| trailing_number(name)).map(str::to_owned)
}

impl Toolchain {
    /// `cargo SUBCOMMAND` for wasm32, in a target directory of its own so that its flags do not evict native builds.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = command(cargo(), &root());
        cargo.arg(subcommand).args(["--target", TARGET]);
        cargo.env("CARGO_TARGET_DIR", wasm_target_dir()).env("CARGO_ENCODED_RUSTFLAGS", rustflags());
        if let Self::Debian { rustc, linker } = self {
            cargo.args(["-Z", "build-std=std,panic_abort"]);
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").env("RUSTUP_AUTO_INSTALL", "0");
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }

    /// `cargo build` for what is shipped: as [`cargo`](Self::cargo), and smaller by a quarter. Where the standard
    /// library is built along, it is built for size too, and a panic traps without the text that nobody would see.
    pub(crate) fn release(&self) -> Command {
        let mut cargo = self.cargo("build");
        let mut flags = rustflags();
        // 5 kB gzipped; hashing is not what a peer waits for.
        flags.push_str("\u{1f}--cfg=sha2_backend_soft=\"compact\"");
        if let Self::Debian { .. } = self {
            cargo.args(["-Z", "build-std-features=optimize_for_size"]);
            for flag in [
                "-Zunstable-options",
                "-Cpanic=immediate-abort",
                "-Zlocation-detail=none",
                "-Zfmt-debug=none",
            ] {
                flags.push('\u{1f}');
                flags.push_str(flag);
            }
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
        cargo
    }
}

/// The target directory of wasm builds.
pub(crate) fn wasm_target_dir() -> PathBuf {
    target_dir().join("wasm-build")
}

/// Flags separated by 0x1f, as CARGO_ENCODED_RUSTFLAGS wants them. The remapping keeps this machine's paths out of
/// what is published.
fn rustflags() -> String {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    [
        "--cfg=getrandom_backend=\"wasm_js\"".to_owned(),
        "-Ctarget-feature=+simd128".to_owned(),
        format!("--remap-path-prefix={}=cargo", cargo_home.display()),
        format!("--remap-path-prefix={}=weft", root().display()),
    ]
    .join("\u{1f}")
}

/// Whether the toolchain of this cargo can compile for wasm32 as it is.
fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let libraries = probe(command(rustc, &root()).args(["--print", "target-libdir", "--target", TARGET]));
    libraries.is_some_and(|dir| {
        std::fs::read_dir(dir).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("libstd-")))
        })
    })
}

/// RUSTUP_AUTO_INSTALL=0 is how a machine says that rustup is not to fetch anything.
fn rustup_may_download() -> bool {
    let forbidden = env::var("RUSTUP_AUTO_INSTALL").is_ok_and(|value| value == "0");
    !forbidden && find_program("rustup").is_some()
}

/// The rustc that the package installed, which is not the first on PATH where rustup is present.
fn debian_rustc() -> Option<PathBuf> {
    let files = probe(command("dpkg-query", &root()).args(["--listfiles", "rustc-web"]))?;
    files.lines().find(|file| file.ends_with("/bin/rustc")).map(PathBuf::from).filter(|rustc| rustc.exists())
}

fn newest_wasm_ld() -> Option<PathBuf> {
    let entries = std::fs::read_dir("/usr/bin").ok()?;
    let linkers = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("wasm-ld"));
    linkers.filter(named).max_by_key(|path| trailing_number(&path.to_string_lossy()))
}

/// 19 of `lld-19`; 0 of a name without a number.
fn trailing_number(name: &str) -> u32 {
    name.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_linker_is_chosen_by_number_not_by_spelling() {
        let newest = ["lld-9", "lld-19", "lld-14"].into_iter().max_by_key(|name| trailing_number(name));
        assert_eq!(newest, Some("lld-19"));
    }

    #[test]
    fn a_debian_build_names_its_compiler_and_keeps_out_of_the_native_cache() {
        let toolchain =
            Toolchain::Debian { rustc: "/usr/bin/rustc".into(), linker: "/usr/bin/wasm-ld-19".into() };
        let command = toolchain.cargo("build");
        let variable = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == name)
                .and_then(|(_, value)| value)
                .map(ToOwned::to_owned)
        };
        assert_eq!(variable("RUSTC"), Some("/usr/bin/rustc".into()));
        assert_eq!(
            variable("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"),
            Some("/usr/bin/wasm-ld-19".into())
        );
        assert_eq!(variable("CARGO_TARGET_DIR"), Some(wasm_target_dir().into()));
        assert!(command.get_args().any(|argument| argument == "build-std=std,panic_abort"));
    }
}
