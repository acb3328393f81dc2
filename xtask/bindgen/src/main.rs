//! `weft-bindgen INPUT.wasm OUT_DIR OUT_NAME`: the JavaScript glue for a wasm module, which the npm package wraps.
//! Function names are kept; wasm-opt, which comes next, sorts by them and strips them.

use anyhow::{Context as _, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, out_dir, out_name] = arguments.as_slice() else {
        bail!("usage: weft-bindgen INPUT.wasm OUT_DIR OUT_NAME");
    };

    let mut bindgen = Bindgen::new();
    // Without the default path the glue holds no `import.meta.url`: the package says itself where the wasm is, in a
    // form that bundlers and Node understand.
    bindgen
        .web(true)?
        .omit_default_module_path(true)
        .input_path(input)
        .out_name(out_name)
        .typescript(true)
        .remove_name_section(false)
        .remove_producers_section(true)
        .generate(out_dir)
        .with_context(|| format!("wasm-bindgen could not process {input}"))
}
