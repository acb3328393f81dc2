/** Sessions between peers, which outlive the pages and processes that hold them. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { directory, Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

/** Loads the page of a peer again and connects anew. */
async function reload(peer: Peer, options: Record<string, unknown>): Promise<void> {
  await peer.page.reload();
  await peer.page.waitForFunction("globalThis.mesh !== undefined");
  await peer.start(options);
  await peer.join("mail");
}

const numbers = (peer: Peer): Promise<number[]> => peer.look("mesh.seen.messages.map(({ data }) => data.n)");
const unopened = (peer: Peer): Promise<number> => peer.look("mesh.weft.stats().unopened");

test("p4_identity_and_sessions_survive_a_reload_whichever_side_it_was", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const [one, other] = [await lab.peer(options.signalers, "mail"), await lab.peer(options.signalers, "mail")];
  await one.linked(other);
  const identities = [one.identity, other.identity];
  assert.equal(await one.send(other.identity, { n: 1 }), "delivered");
  assert.equal(await other.send(one.identity, { n: 2 }), "delivered");
  for (const [n, again] of [other, one].entries()) {
    const still = again === one ? other : one;
    await again.until("mesh.weft.stats().unstored === 0");
    await reload(again, options);
    await one.linked(other);
    // Who has stayed writes first: in a session that the other side has to know still.
    assert.equal(await still.send(again.identity, { n: 10 + n }), "delivered");
    assert.equal(await again.send(still.identity, { n: 20 + n }), "delivered");
    assert.deepEqual(await numbers(again), [10 + n], "nothing of before comes again");
    assert.equal(await unopened(again), 0, "the session was there");
  }
  assert.deepEqual([one.identity, other.identity], identities);
});

test("p3_a_command_that_was_killed_and_started_again_gets_each_message_once", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], "mail");
  const data = directory(t);
  const identity = await Weft.identity(data);
  const options = { signalers: [signaler.url], party: "mail", data };
  let listener = Weft.start(t, "listen", [], options);
  const linked = "mesh.openLinks().length === 1";
  await page.until(linked);
  const got: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await page.send(identity, { n: 2 * round }), "delivered");
    assert.equal(await page.send(identity, { n: 2 * round + 1 }), "delivered");
    await listener.count(2);
    got.push(...listener.lines.map(({ json }) => json.data.n));
    await listener.kill();
    await page.until("mesh.openLinks().length === 0", 60_000);
    listener = Weft.start(t, "listen", [], options);
    await page.until(linked);
  }
  assert.deepEqual(got, [0, 1, 2, 3, 4, 5]);
  assert.equal(await unopened(page), 0);
});

test("p3_a_command_that_has_lost_all_that_it_stored_but_its_keys_is_understood_and_understands_again", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], "mail");
  const data = directory(t);
  const identity = await Weft.identity(data);
  const options = { signalers: [signaler.url], party: "mail", data };
  let listener = Weft.start(t, "listen", [], options);
  assert.equal(await page.send(identity, { n: 1 }), "delivered");
  await listener.count(1);
  listener.process.kill("SIGTERM");
  await listener.ended();
  await page.until("mesh.openLinks().length === 0", 60_000);
  const stored = readdirSync(data).filter((name) => name.startsWith("feeds.db"));
  assert.ok(stored.length > 0);
  for (const name of stored) rmSync(join(data, name));
  listener = Weft.start(t, "listen", [], options);
  // In a session that only the page knows.
  assert.equal(await page.send(identity, { n: 2 }, { until: "delivered" }), "delivered");
  await listener.line("what was sealed anew", (line) => line.data?.n === 2);
  listener.process.kill("SIGTERM");
  await listener.ended();
  const sent = await Weft.run(t, "send", [page.identity, '{"n": 3}'], options);
  assert.equal((JSON.parse(sent.out) as { outcome: string }).outcome, "delivered");
  await page.until("mesh.seen.messages.length === 1");
  assert.deepEqual(await numbers(page), [3]);
});

test("p3_two_pages_that_write_first_at_the_same_time_each_get_all_and_go_on", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  for (let round = 0; round < 3; round += 1) {
    const parties = [[signaler.url], `mail ${round}`] as const;
    const [one, other] = [await lab.peer(...parties), await lab.peer(...parties)];
    const pairs = [
      [one, other],
      [other, one],
    ] as const;
    // Before there is a link, and right away.
    const first = pairs.flatMap(([from, to]) => [1, 2, 3].map((n) => from.send(to.identity, { n })));
    assert.deepEqual([...new Set(await Promise.all(first))], ["delivered"]);
    await one.linked(other);
    for (const [from, to] of pairs) assert.equal(await from.send(to.identity, { n: 4 }), "delivered");
    for (const peer of [one, other]) {
      await peer.until("mesh.seen.messages.length >= 4");
      assert.deepEqual((await numbers(peer)).sort(), [1, 2, 3, 4]);
    }
    for (const peer of [one, other]) await peer.page.close();
  }
});
