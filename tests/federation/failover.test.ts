/** A signaler dies under a crowd, and under a `weft` command. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { failover } from "./failover.ts";
import { type Signaler, three, until } from "./signaler.ts";
import { Weft } from "./weft.ts";

/** Everybody is found, and has two homes again, after at most so long; milliseconds. */
const BAR = 10_000;
/** A peer whose home dies has another one after at most so long. */
const MOVED = 5_000;

test("q8_c2_of_three_signalers_one_is_killed_and_three_hundred_clients_are_found_all_the_time", async (t) => {
  const { found, moved, missed } = await failover(await three(t), 300);
  t.diagnostic(
    `found everywhere after ${Math.round(found)} ms, with two homes after ${Math.round(moved)} ms`,
  );
  assert.equal(missed, 0, "somebody was not found for a time");
  assert.ok(found <= BAR && moved <= BAR, `${found} ms, ${moved} ms`);
});

test("q8_a_weft_command_whose_home_is_killed_has_another_in_five_seconds_and_its_subscriptions", async (t) => {
  const [a, b, c] = await three(t);
  const watcher = Weft.start(t, "peers", ["--watch"], { signalers: [c.url] });
  const query = JSON.stringify({ rating: { $gte: 8 } });
  const moving = Weft.start(t, "subscribe", [query], { signalers: [a.url, b.url, c.url] });
  const at = (homes: readonly Signaler[]) => (line: { homes?: string[] }) =>
    line.homes?.length === homes.length && homes.every((home) => line.homes?.includes(home.idText));
  await watcher.line("it at two homes", at([a, b]));
  const killed = performance.now();
  await a.kill();
  const later = () => watcher.lines.filter((line) => line.at > killed);
  const seen = await until("it at two homes again", later, (lines) =>
    lines.some(({ json }) => at([b, c])(json)),
  );
  const moved = (seen.find(({ json }) => at([b, c])(json))?.at ?? Number.NaN) - killed;
  t.diagnostic(`it had moved after ${Math.round(moved)} ms`);
  assert.ok(moved <= MOVED, `${moved} ms`);
  assert.ok(watcher.lines.every(({ json }) => json.change !== "left"));
  // Somebody who comes now, by the home that was not its own before.
  const author = Weft.start(t, "publish", [], { signalers: [c.url] });
  author.write({ title: "Ran", rating: 8.2 });
  author.write({ title: "Cats", rating: 2.8 });
  author.end();
  const { json } = await moving.line("what it subscribed to", (line) => line.data?.title === "Ran");
  assert.equal(json.data.rating, 8.2);
  assert.ok(moving.lines.every((line) => line.json.data?.title !== "Cats"));
});
