/** What is loaded before every file of tests ends those that hang. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const LIMIT = new URL("limit.ts", import.meta.url).href;
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TESTS = `import { test } from "node:test";
test("the first", () => {});
test("the one that hangs", () => new Promise(() => setInterval(() => {}, 1000)));`;

test("a test that hangs is ended and named and the file counts as failed", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "weft-limit-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "hangs.test.mjs");
  writeFileSync(file, TESTS);
  // Not as a child of this run of tests, which would take its results for its own.
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
  const args = ["--import", "tsx", "--import", LIMIT, "--test", "--test-reporter=tap", file];
  const run = await new Promise<{ code: unknown; out: string }>((resolve) => {
    execFile("node", args, { cwd: ROOT, env: { ...rest, WEFT_TEST_SECONDS: "1" } }, (error, out, err) =>
      resolve({ code: error?.code, out: out + err }),
    );
  });
  assert.equal(run.code, 1, run.out);
  assert.match(run.out, /the test the one that hangs has not ended after 1 s/);
  assert.match(run.out, /^ok \d+ - the first$/m);
  assert.match(run.out, /^# fail 1$/m);
});
