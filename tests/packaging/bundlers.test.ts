/** The README's example as an app, brought to the page in each of the ways that the guide's table names. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { exchange } from "./pages.ts";
import { app, html, project, tool, write } from "./project.ts";

test("m5_readme_app_as_plain_es_modules_exchanges_documents", async (t) => {
  const { url } = await Signaler.start(t, { args: ["--open"] });
  const imports = { "weft-mesh": "./node_modules/weft-mesh/dist/index.js" };
  const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
  const dir = project(t, { "index.html": html("./app.js", map), "app.js": app(url) });
  const visits = await exchange(t, dir);
  for (const { asked } of visits) {
    assert.ok(asked.includes("/node_modules/weft-mesh/dist/weft_bg.wasm"), asked.join());
  }
});

test("m5_readme_app_built_by_vite_exchanges_documents", async (t) => {
  const { url } = await Signaler.start(t, { args: ["--open"] });
  const dir = project(t, { "index.html": html("/app.js"), "app.js": app(url) });
  tool(dir, "vite", "build", "--logLevel", "warn");
  const assets = readdirSync(join(dir, "dist/assets"));
  assert.ok(
    assets.some((name) => name.endsWith(".wasm")),
    `Vite shipped no wasm: ${assets.join()}`,
  );
  const visits = await exchange(t, join(dir, "dist"));
  for (const { asked } of visits) {
    assert.ok(
      asked.some((path) => path.endsWith(".wasm")),
      asked.join(),
    );
    assert.ok(
      asked.every((path) => path === "/" || assets.includes(path.replace("/assets/", ""))),
      asked.join(),
    );
  }
});

test("m5_readme_app_bundled_by_esbuild_into_one_file_exchanges_documents", async (t) => {
  const { url } = await Signaler.start(t, { args: ["--open"] });
  const source = app(url).replace('"weft-mesh"', '"weft-mesh/inline"');
  const dir = project(t, { "app.js": source });
  tool(
    dir,
    "esbuild",
    "app.js",
    "--bundle",
    "--format=esm",
    "--minify",
    "--outdir=one",
    "--log-level=warning",
  );
  write(dir, { "one/index.html": html("./app.js") });
  assert.deepEqual(readdirSync(join(dir, "one")).sort(), ["app.js", "index.html"]);
  const visits = await exchange(t, join(dir, "one"));
  for (const { asked } of visits) assert.deepEqual(asked, ["/", "/app.js"]);
});
