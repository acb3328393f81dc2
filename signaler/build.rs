//! The demo and the dashboard are part of the binary: rebuild when they change.

use std::path::Path;

fn main() {
    // Cargo reads its instructions from standard output.
    let mut out = std::io::stdout();
    for page in ["../web/demo", "../web/dashboard"].map(Path::new) {
        let watched = if page.join("dist").exists() { page.join("dist") } else { page.to_owned() };
        let watched = if watched.exists() { watched } else { "build.rs".into() };
        let _ = std::io::Write::write_all(
            &mut out,
            format!("cargo::rerun-if-changed={}\n", watched.display()).as_bytes(),
        );
    }
}
