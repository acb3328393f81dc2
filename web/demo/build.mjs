/**
 * Bundles the demo into demo/dist: a page, its script and style, the wasm by URL, and the film list; and beside it, in
 * demo/dist/chat, the chat with its service worker.
 *
 * `node demo/build.mjs` takes the built package (web/dist). `node demo/build.mjs --mock FOLDER` puts the page with a
 * pretended mesh (mock.ts) into FOLDER, to work on its looks without wasm and signaler; that is never shipped.
 */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const mockAt = process.argv.indexOf("--mock");
const mock = mockAt >= 0;
const out = mock ? resolve(process.argv[mockAt + 1] ?? fail("--mock needs a folder")) : join(here, "dist");
const built = join(here, "..", "dist");

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
if (!mock && !existsSync(join(built, "weft_bg.wasm")))
  fail("web/dist has no package: run `npm run build -w web` first");

const options = {
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  minify: !mock,
  external: ["*.svg"],
  legalComments: "none",
  logLevel: "warning",
};
await build({
  ...options,
  entryPoints: [join(here, "app.ts"), join(here, "style.css")],
  alias: { "weft-mesh": mock ? join(here, "mock.ts") : join(built, "index.js") },
  outdir: out,
});
await cp(join(here, "index.html"), join(out, "index.html"));
for (const picture of ["favicon.svg", "weave.svg"]) await cp(join(here, picture), join(out, picture));
await cp(films(), join(out, "movies.json"));
// The bundle asks for it beside itself: `new URL("./weft_bg.wasm", import.meta.url)`.
if (!mock) {
  await cp(join(built, "weft_bg.wasm"), join(out, "weft_bg.wasm"));
  await buildChat(join(here, "chat"), join(out, "chat"));
}

/** The chat. It shares wasm and icon with the demo; its service worker knows its files and what they are made of. */
async function buildChat(from, to) {
  await build({
    ...options,
    entryPoints: [join(from, "app.ts"), join(from, "style.css")],
    alias: { "weft-mesh": join(built, "index.js") },
    outdir: to,
    // What others wrote in it keeps its notice.
    legalComments: "eof",
    // The reader of QR codes is loaded when somebody uses the camera.
    splitting: true,
    chunkNames: "[name]-[hash]",
  });
  for (const file of [
    "index.html",
    "manifest.webmanifest",
    "icon-192.png",
    "icon-512.png",
    "icon-maskable.png",
  ])
    await cp(join(from, file), join(to, file));
  const own = (await readdir(to)).filter((file) => file !== "index.html").sort();
  const files = ["./", ...own, "../weft_bg.wasm", "../favicon.svg"];
  const hash = createHash("sha256");
  for (const file of files) hash.update(await readFile(join(to, file === "./" ? "index.html" : file)));
  const version = JSON.stringify(hash.digest("hex").slice(0, 16));
  await build({
    ...options,
    entryPoints: [join(from, "worker.ts")],
    outdir: to,
    format: "iife",
    define: { VERSION: version, FILES: JSON.stringify(files) },
  });
}

/** Where npm put the film list; it may be in this folder's node_modules or in the workspace's. */
function films() {
  const folders = createRequire(import.meta.url).resolve.paths("vega-datasets") ?? [];
  const found = folders
    .map((folder) => join(folder, "vega-datasets", "data", "movies.json"))
    .find((file) => existsSync(file));
  return found ?? fail("vega-datasets is not installed: run `npm install`");
}

function fail(message) {
  console.error(`demo: ${message}`);
  process.exit(1);
}
