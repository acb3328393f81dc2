//! The demo page is part of the binary: rebuild when it changes.

fn main() {
    let demo = std::path::Path::new("../web/demo");
    let watched = if demo.join("dist").exists() { demo.join("dist") } else { demo.to_owned() };
    let watched = if watched.exists() { watched } else { "build.rs".into() };
    // Cargo reads its instructions from standard output.
    let mut out = std::io::stdout();
    let _ = std::io::Write::write_all(
        &mut out,
        format!("cargo::rerun-if-changed={}\n", watched.display()).as_bytes(),
    );
}
