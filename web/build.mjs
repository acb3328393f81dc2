/**
 * Builds the package into dist/: `node build.mjs`, after `cargo xtask wasm` has filled generated/.
 *
 * core.js holds everything but the wasm; index.js and inline.js only say where that comes from, so that an application
 * which meets both has one of everything. passphrase.js, with a module of its own, is loaded by core.js when it is needed. Declarations are those that index.d.ts reaches, nothing of the inside.
 */

import { execFileSync } from "node:child_process";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { apiReport } from "./scripts/api.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const [source, generated, dist] = ["src", "generated", "dist"].map((folder) => join(here, folder));
const wasm = await readFile(join(generated, "weft_bg.wasm")).catch(() => {
  console.error("web: generated/weft_bg.wasm is missing\nNext: `cargo xtask wasm`");
  process.exit(1);
});

const options = {
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  minify: true,
  // Names of classes show in errors and consoles.
  keepNames: false,
  legalComments: "none",
  outdir: dist,
  logLevel: "warning",
};

/** The glue, and the wasm as text, which are only there after a build. */
const fromGenerated = {
  name: "generated",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/glue\.js$/ }, () => ({ path: join(generated, "weft.js") }));
    onResolve({ filter: /^\.\/wasm-inline\.js$/ }, () => ({ path: "wasm-inline", namespace: "inline" }));
    onLoad({ filter: /.*/, namespace: "inline" }, () => ({
      contents: JSON.stringify(gzipSync(wasm, { level: 9 }).toString("base64")),
      loader: "json",
    }));
  },
};

/** What the entries share stays in core.js. */
const core = {
  name: "core",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(core|errors|query)\.js$/ }, () => ({ path: "./core.js", external: true }));
  },
};

/** What is loaded later stays in a file of its own. */
const later = {
  name: "later",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/passphrase\.js$/ }, ({ path }) => ({ path, external: true }));
  },
};

await rm(dist, { recursive: true, force: true });
await build({ ...options, entryPoints: [join(source, "core.ts")], plugins: [fromGenerated, later] });
const hashWasm = await readFile(join(here, "..", "node_modules", "hash-wasm", "LICENSE"), "utf8");
await build({
  ...options,
  entryPoints: [join(source, "passphrase.ts")],
  banner: { js: `/*! hash-wasm\n${hashWasm.trim()} */` },
});
const entries = ["index.ts", "inline.ts"].map((entry) => join(source, entry));
await build({ ...options, entryPoints: entries, plugins: [core, fromGenerated] });
await writeFile(join(dist, "weft_bg.wasm"), wasm);

const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", here], { stdio: "inherit" });
await keepReachable("index.d.ts", "inline.d.ts");

for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"])
  await cp(join(here, "..", licence), join(dist, licence));
if (process.argv.includes("--write-api")) await writeFile(join(here, "api.md"), await apiReport(dist));

/** Deletes declarations that no entry imports. */
async function keepReachable(...entries) {
  const reached = new Set();
  const pending = [...entries];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    const text = await readFile(join(dist, file), "utf8");
    pending.push(...[...text.matchAll(/from "\.\/([\w-]+)\.js"/g)].map(([, name]) => `${name}.d.ts`));
  }
  const declarations = (await readdir(dist)).filter((file) => file.endsWith(".d.ts"));
  for (const file of declarations.filter((file) => !reached.has(file))) await rm(join(dist, file));
}
