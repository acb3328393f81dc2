/** The installed package under Node, where there is no page: importing it does nothing, queries work, connecting does not. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { project } from "./project.ts";

/** An import that keeps the process alive would be seen as this, milliseconds. */
const AT_ONCE = 10_000;

/** Runs a module in the project; it has to end by itself, well and without a word on standard error. */
function node(dir: string, script: string): string {
  const argv = ["--input-type=module", "--eval", script];
  const ran = spawnSync(process.execPath, argv, { cwd: dir, encoding: "utf8", timeout: AT_ONCE });
  const { status, signal, stderr } = ran;
  assert.deepEqual({ status, signal, stderr }, { status: 0, signal: null, stderr: "" });
  return ran.stdout;
}

/** Imports a module and gives its names, and the names of whatever a program could notice that it changed. */
function imported(dir: string, specifier: string): { readonly names: string[]; readonly changed: string[] } {
  const script = `
    const state = () => {
      const seen = new Map();
      for (const [owner, object] of Object.entries({ globalThis, process, Object: Object.prototype, Array: Array.prototype, Promise: Promise.prototype })) {
        for (const name of Reflect.ownKeys(object)) {
          const { value, get, set } = Object.getOwnPropertyDescriptor(object, name);
          seen.set(owner + "." + String(name), [value, get, set]);
        }
      }
      for (const event of process.eventNames()) seen.set("listeners of " + String(event), [process.listenerCount(event)]);
      // Node's own loader closes its files a little later.
      const own = (what) => /^(CloseReq|FSReq)/.test(what);
      for (const what of process.getActiveResourcesInfo()) if (!own(what)) seen.set("awake for " + what, []);
      return seen;
    };
    // Node itself makes these two when they are first read, and parts of itself on the first import.
    void [TextEncoder, TextDecoder];
    await import("data:text/javascript,export default 1");
    const before = state();
    const names = Object.keys(await import(${JSON.stringify(specifier)}));
    const after = state();
    const differs = (name) => !before.has(name) || !after.has(name) || before.get(name).some((part, n) => !Object.is(part, after.get(name)[n]));
    console.log(JSON.stringify({ names, changed: [...new Set([...before.keys(), ...after.keys()])].filter(differs) }));`;
  return JSON.parse(node(dir, script));
}

test("m5_importing_the_installed_package_in_node_has_no_side_effect", (t) => {
  const dir = project(t);
  assert.equal(node(dir, 'import("weft-mesh")'), "", "it prints nothing and ends by itself");
  for (const entry of ["weft-mesh", "weft-mesh/inline"]) {
    const names = ["Query", "WeftError", "connect", "importIdentity", "ready", "takeIdentity"];
    assert.deepEqual(imported(dir, entry), { names, changed: [] }, entry);
  }
  // The look itself: it notices a timer, a global, a replaced one and a listener.
  const rude =
    "globalThis.added = 1; globalThis.fetch = null; process.on('exit', () => {}); setTimeout(() => {}, 1);";
  assert.deepEqual(imported(dir, `data:text/javascript,${rude}`).changed.sort(), [
    "awake for Timeout",
    "globalThis.added",
    "globalThis.fetch",
    "listeners of exit",
  ]);
});

test("m5_a_query_in_node_needs_ready_and_then_matches", (t) => {
  const script = (entry: string) => `
    import { Query, ready, WeftError } from "${entry}";
    let early;
    try { early = new Query({ age: { $gt: 4 } }); } catch (error) { early = error; }
    await ready();
    const query = new Query({ age: { $gt: 4 } });
    let wrong;
    try { wrong = new Query({ age: { $more: 4 } }); } catch (error) { wrong = error; }
    console.log(JSON.stringify([early instanceof WeftError, early.code, query.matches({ age: 5 }), query.matches({ age: 4 }), wrong.code, wrong.path]));`;
  const dir = project(t);
  for (const entry of ["weft-mesh", "weft-mesh/inline"]) {
    const said = JSON.parse(node(dir, script(entry)));
    assert.deepEqual(said, [true, "not-ready", true, false, "bad-query", "$.age"], entry);
  }
});

test("texts_of_any_length_are_taken_as_they_are", (t) => {
  const script = `
    import { Query, ready } from "weft-mesh";
    await ready();
    for (const length of [1, 1_022, 1_023, 1_024, 1_025, 65_000]) {
      for (const [end, same, other] of [["a", "a", "b"], ["\u00e9", "\u00e9", "e"], ["\u{1f600}", "\u{1f600}", "\u{1f601}"], ["\ud800", "\ufffd", "?"]]) {
        const start = "x".repeat(length - 1);
        const query = new Query({ a: start + end });
        console.log(query.matches({ a: start + same }), query.matches({ a: start + other }));
      }
    }`;
  assert.equal(node(project(t), script), "true false\n".repeat(24));
});

test("m5_connecting_in_node_is_the_error_no_webrtc", (t) => {
  const script = `
    import { connect, WeftError } from "weft-mesh";
    const error = await connect({ signalers: ["ws://localhost:8190"] }).catch((error) => error);
    console.log(error instanceof WeftError, error.code);`;
  assert.equal(node(project(t), script), "true no-webrtc\n");
});
