/**
 * Firefox and native peers. Firefox links with a native peer at any address but loopback, and gathers no candidates without
 * a default route: everything runs in a network namespace of its own, joined to ours by a cable, which goes with the test.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Network, NO_NETWORK } from "../e2e/network.ts";
import { environment } from "../federation/signaler.ts";

const HERE = resolve(fileURLToPath(import.meta.url), "..");

test("m3_firefox_and_native_peers_exchange_documents_and_messages", { skip: NO_NETWORK }, async (t) => {
  await inside(t, "exchange");
});

test("m3_firefox_gets_exactly_its_films_from_a_native_seed", { skip: NO_NETWORK }, async (t) => {
  await inside(t, "films");
});

/** Runs one of firefox-inside.ts's tests in a namespace; what it says is shown if it fails. */
async function inside(t: TestContext, name: string): Promise<void> {
  const network = await Network.open(t);
  const { NODE_TEST_CONTEXT: _context, ...env } = environment({ WEFT_ADDRESS: network.inside });
  const node = [process.execPath, "--import", "tsx", "--test-name-pattern", `^${name}$`];
  const child = spawn("ip", ["netns", "exec", network.name, ...node, join(HERE, "firefox-inside.ts")], {
    stdio: ["ignore", "pipe", "pipe"],
    env,
    timeout: 110_000,
    killSignal: "SIGTERM",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      output += data.toString("utf8");
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, output);
  assert.match(output, /^# pass 1$|ℹ pass 1$/m, output);
}
