/** What the built package promises whoever imports it outside of a browser. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { apiReport } from "../scripts/api.mjs";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));

/** Runs a module in a Node of its own and gives what it prints. */
function node(script) {
  const argv = ["--input-type=module", "--eval", script];
  return execFileSync(process.execPath, argv, { cwd: dist, encoding: "utf8" }).trim();
}

test("m5_importing_has_no_side_effect", () => {
  const script = `
    const trap = (name) => Object.defineProperty(globalThis, name, { get() { throw new Error(name + " was touched") }, configurable: true });
    const before = Reflect.ownKeys(globalThis).length;
    ["fetch", "indexedDB", "RTCPeerConnection", "WebSocket", "localStorage", "sessionStorage", "document", "crypto"].forEach(trap);
    const added = Reflect.ownKeys(globalThis).length;
    const names = Object.keys(await import("weft-mesh")).join() + " " + Object.keys(await import("weft-mesh/inline")).join();
    if (Reflect.ownKeys(globalThis).length !== added || added < before) throw new Error("globals changed");
    console.log(names);`;
  const names = "Query,WeftError,connect,importIdentity,ready,takeIdentity";
  assert.equal(node(script), `${names} ${names}`);
});

test("connect() outside of a page is the error no-webrtc", () => {
  const script = `
    import { connect, WeftError } from "weft-mesh";
    const error = await connect({ signalers: ["ws://localhost:1"] }).catch((error) => error);
    console.log(error instanceof WeftError, error.code, error.message.includes("native peer"));`;
  assert.equal(node(script), "true no-webrtc true");
});

test("the inlined wasm matches as the one beside does, and both entries share one of everything", () => {
  const script = `
    import { Query as Other } from "weft-mesh";
    import { Query, ready } from "weft-mesh/inline";
    await ready();
    console.log(new Query({ a: { $gt: 1 } }).matches({ a: 2 }), new Other({ a: 3 }).matches({ a: 2 }), Query === Other);`;
  assert.equal(node(script), "true false true");
});

test("a wasm that cannot be loaded is the error wasm-load, and the next attempt may succeed", () => {
  const script = `
    import { ready, Query } from "weft-mesh";
    const code = async (wasm) => (await ready(wasm).catch((error) => error)).code;
    const html = new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
    console.log(await code("http://127.0.0.1:9/weft_bg.wasm"), await code(new Uint8Array(8)), await code(html));
    await ready();
    console.log(new Query({}).matches({}));`;
  assert.equal(node(script), "wasm-load wasm-load wasm-load\ntrue");
});

test("the wasm may be given as bytes, as a module or as a promise of either", () => {
  for (const given of ["bytes", "new WebAssembly.Module(bytes)", "Promise.resolve(bytes)"]) {
    const script = `
      import { readFileSync } from "node:fs";
      import { ready, Query } from "weft-mesh";
      const bytes = readFileSync("weft_bg.wasm");
      await ready(${given});
      console.log(new Query({}).matches({}));`;
    assert.equal(node(script), "true", given);
  }
});

test("the API report is that of the built package", async () => {
  const committed = await readFile(new URL("../api.md", import.meta.url), "utf8");
  assert.equal(
    await apiReport(dist),
    committed,
    "the public types changed: npm run build:package -w web -- --write-api",
  );
});

test("the declarations name nothing of the inside", async () => {
  const report = await apiReport(dist);
  for (const word of ["glue", "Matcher", "core.js", "wasm.js", "@internal"])
    assert.ok(!report.includes(word), word);
});
