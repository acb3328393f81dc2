/** Three minutes of the soak that `cargo xtask bench mail-soak` runs for longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { soak } from "./soak.ts";

test("c12_nothing_is_lost_or_shown_twice_while_signalers_are_killed_at_random", async (t) => {
  const tell = (line: string) => t.diagnostic(line);
  const { safe, deaths, faults } = await soak(t, { minutes: 3, count: 12, tell });
  assert.deepEqual(faults, []);
  assert.ok(safe > 20 && deaths > 5, `${safe} messages, ${deaths} signalers killed: too little happened`);
});
