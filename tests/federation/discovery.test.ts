/** Who is in a swarm, told by signalers that know each other (ACCEPTANCE D1 to D5). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { chain, HASTY, pair, Signaler, until } from "./signaler.ts";
import { type Line, Weft } from "./weft.ts";
import { closeCode } from "./wire/codes.ts";
import { Key, parse, same, show } from "./wire/keys.ts";
import { From, Peer } from "./wire/peer.ts";
import { Sibling } from "./wire/sibling.ts";
import { Wire } from "./wire/wire.ts";

/** Tests that take minutes run as well. */
const LONG = process.env["WEFT_LONG"] === "1";

test("d1_peers_on_two_signalers_learn_of_each_other_once_with_since_and_until", async (t) => {
  const [a, b] = await pair(t);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  const since = Date.now() - 5000;
  const until_ = Date.now() + 60_000;
  await one.announce(discovery, { since, until: until_ });
  // The second may be faster than the news of the first.
  const listed = await two.announce(discovery);
  const [entryOfOne] = listed.length > 0 ? listed : [(await two.joined(one.id)).entry];
  const { entry: entryOfTwo } = await one.joined(two.id);
  assert.ok(entryOfOne !== undefined && same(entryOfOne.peer, one.id));
  assert.deepEqual([entryOfOne.since, entryOfOne.until], [since, until_]);
  assert.ok(same(entryOfOne.home, a.id) && same(entryOfTwo.home, b.id));
  assert.ok(entryOfTwo.since <= Date.now() && entryOfTwo.until > Date.now());

  // Refreshes are no news: an envelope that overtakes nothing shows that none came.
  await Promise.all([one.announce(discovery), two.announce(discovery)]);
  assert.equal(await one.forward(two.id, Buffer.from("marker")), "ack");
  assert.equal(await two.forward(one.id, Buffer.from("marker")), "ack");
  await Promise.all([one.delivered(), two.delivered()]);
  assert.equal(two.told(From.Joined, one.id) + listed.length, 1);
  assert.equal(one.told(From.Joined, two.id), 1);
});

test("d1_the_weft_command_tells_each_peer_once_with_since_and_its_home", async (t) => {
  const [a, b] = await pair(t);
  // The entries themselves, as the signalers tell them to a third one.
  const witness = await Sibling.join(a.url);
  const one = Weft.start(t, "peers", ["--watch"], { signalers: [a.url] });
  const two = Weft.start(t, "peers", ["--watch"], { signalers: [b.url] });
  const settled = (home: Signaler) => (line: { since?: number; linked: boolean; homes: string[] }) =>
    line.since !== undefined && line.linked && line.homes.includes(home.idText);
  const seenByOne = await one.line("the peer on the other signaler, linked", settled(b));
  const seenByTwo = await two.line("the peer on the other signaler, linked", settled(a));
  const joins = (lines: readonly Line[]) => lines.filter(({ json }) => json.change === "joined");
  assert.deepEqual([joins(one.lines).length, joins(two.lines).length], [1, 1]);

  const [entry] = await witness.entriesOf(parse(seenByTwo.json.peer));
  assert.ok(entry !== undefined && same(entry.home, a.id));
  assert.equal(entry.since, seenByTwo.json.since);
  assert.ok(Math.abs(entry.until - Date.now() - 120_000) < 60_000, "the default life is two minutes");
  assert.equal(show(entry.peer), seenByTwo.json.peer);
  assert.notEqual(seenByOne.json.peer, seenByTwo.json.peer);
});

test("d1_a_chain_of_three_signalers_shares_its_tables", async (t) => {
  const [b, a, c] = await chain(t);
  const discovery = randomBytes(32);
  const peers = await Promise.all([b, a, c].map((signaler) => Peer.connect(signaler.url)));
  const listed = await Promise.all(peers.map((peer) => peer.announce(discovery)));
  for (const [at, peer] of peers.entries()) {
    for (const other of peers.filter((each) => each !== peer)) {
      const known = listed[at]?.some((entry) => same(entry.peer, other.id)) === true;
      if (!known) await peer.joined(other.id);
    }
  }
  await until(
    "three entries everywhere",
    () => entries([a, b, c]),
    (counts) => counts.every((count) => count === 3),
  );
  // Each was told of each other exactly once, in the list or as news.
  for (const [at, peer] of peers.entries()) {
    for (const other of peers.filter((each) => each !== peer)) {
      const inList = listed[at]?.filter((entry) => same(entry.peer, other.id)).length ?? 0;
      assert.equal(inList + peer.told(From.Joined, other.id), 1);
    }
  }
});

test("d2_a_leave_is_seen_at_the_far_end_in_under_a_second", async (t) => {
  const [b, , c] = await chain(t);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(b.url), await Peer.connect(c.url)];
  await one.announce(discovery);
  await two.announce(discovery);
  await one.joined(two.id);
  const asked = performance.now();
  two.leave(discovery);
  const { at } = await one.left(two.id);
  assert.ok(at - asked < 1000, `${at - asked} ms`);
  // The peer itself is still there, for other swarms.
  assert.equal(await one.forward(two.id, Buffer.from("x"), c.id), "ack");
});

test("d2_ctrl_c_in_the_weft_command_is_seen_elsewhere_in_under_a_second", async (t) => {
  const [a, b] = await pair(t);
  const watcher = Weft.start(t, "peers", ["--watch"], { signalers: [a.url] });
  const goer = Weft.start(t, "listen", [], { signalers: [b.url] });
  const { json } = await watcher.line("the other, linked", (line) => line.linked === true);
  const asked = performance.now();
  const ended = goer.interrupt();
  const { at } = await watcher.line(
    "it leaving",
    (line) => line.change === "left" && line.peer === json.peer,
  );
  assert.ok(at - asked < 1000, `${at - asked} ms`);
  assert.equal((await ended).code, 0);
});

test("d2_after_kill_9_of_its_signaler_an_entry_goes_at_its_ttl", async (t) => {
  await expiresAtItsTtl(t, 2000, HASTY);
});

// Two minutes of nothing else than waiting: too long for every run.
test("d2_the_default_ttl_in_real_time", {
  skip: LONG ? false : "set WEFT_LONG=1 to wait for two minutes",
}, async (t) => {
  await expiresAtItsTtl(t, 120_000, "");
});

test("d2_a_peer_that_is_killed_goes_when_its_grace_ends", async (t) => {
  const [a, b] = await pair(t, HASTY);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  const staying = await one.stay(discovery, 500);
  await two.announce(discovery);
  if (staying.members.length === 0) await one.joined(two.id);
  const killed = performance.now();
  two.socket.destroy();
  const { at } = await one.left(two.id);
  assert.ok(at - killed > 450 && at - killed < 1500, `gone after ${at - killed} ms, the grace is 500`);
});

test("d2_a_peer_that_comes_back_within_its_grace_has_not_left", async (t) => {
  const [a, b] = await pair(t, HASTY);
  const discovery = randomBytes(32);
  const key = new Key();
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url, { key })];
  await one.stay(discovery, 500);
  await two.announce(discovery);
  await one.joined(key.id);
  two.socket.destroy();
  const again = await Peer.connect(b.url, { key });
  await again.stay(discovery, 500);
  const returned = performance.now();
  // Twice the grace later it is still there.
  await until(
    "a second of refreshes",
    () => performance.now() - returned,
    (ms) => ms > 1000,
  );
  await one.ping();
  assert.equal(one.told(From.Left, key.id), 0);
  assert.equal(await one.forward(key.id, Buffer.from("x")), "ack");
});

test("d3_dropping_one_of_two_homes_is_no_leave", async (t) => {
  const [b, a, c] = await chain(t, HASTY);
  const discovery = randomBytes(32);
  const key = new Key();
  const watchers = await Promise.all([a, b, c].map((signaler) => Peer.connect(signaler.url)));
  for (const watcher of watchers) await watcher.stay(discovery, 500);
  const homes = [await Peer.connect(b.url, { key }), await Peer.connect(c.url, { key })] as const;
  for (const home of homes) await home.stay(discovery, 500);
  for (const watcher of watchers) {
    await watcher.joined(key.id);
    await watcher.joined(key.id);
  }

  // One home is left politely, then, after a return, lost without a word: for nobody has the peer left. Statements
  // keep their order on the way, so whoever has heard of the newcomer has heard of the loss as well.
  const witness = await Sibling.join(a.url);
  homes[0].leave(discovery);
  const tombstones = () => witness.entries.filter((entry) => entry.left && same(entry.peer, key.id)).length;
  await until("the leave", tombstones, (count) => count === 1);
  const back = await Peer.connect(b.url, { key });
  await back.stay(discovery, 500);
  for (const watcher of watchers) await watcher.joined(key.id);
  back.socket.destroy();
  await witness.gone(key.id);
  const newcomer = await Peer.connect(b.url);
  await newcomer.announce(discovery);
  for (const watcher of watchers) await watcher.joined(newcomer.id);
  assert.deepEqual(
    watchers.map((watcher) => watcher.told(From.Left, key.id)),
    [0, 0, 0],
  );
  assert.equal(await watchers[1]?.forward(key.id, Buffer.from("x")), "ack");

  // The last home is another matter.
  homes[1].leave(discovery);
  await Promise.all(watchers.map((watcher) => watcher.left(key.id)));
  assert.deepEqual(
    watchers.map((watcher) => watcher.told(From.Left, key.id)),
    [1, 1, 1],
  );
});

test("d3_a_weft_command_whose_signaler_stops_is_still_there_for_others", async (t) => {
  const [a, b] = await pair(t);
  const watcher = Weft.start(t, "peers", ["--watch"], { signalers: [b.url] });
  const both = Weft.start(t, "listen", [], { signalers: [a.url, b.url] });
  const { json } = await watcher.line(
    "it with two homes, linked",
    (line) => line.homes.length === 2 && line.linked,
  );
  const before = watcher.lines.length;
  assert.equal((await a.stop()).code, 0);
  const later = () => watcher.lines.slice(before).map((line) => line.json);
  await until(
    "word of its last home alone",
    later,
    (lines) => lines.some(({ homes }) => homes.length === 1 && homes[0] === b.idText),
    15_000,
  );
  assert.ok(watcher.lines.every((line) => line.json.change !== "left"));
  await both.interrupt();
  await watcher.line("it leaving", (line) => line.change === "left" && line.peer === json.peer);
});

test("d4_refresh_keeps_an_entry_for_ten_ttls_and_without_it_it_expires_everywhere", async (t) => {
  const ttl = 1000;
  const [b, a, c] = await chain(t, HASTY.replace("ttl_ms = 2000", `ttl_ms = ${ttl}`));
  const discovery = randomBytes(32);
  const kept = await Peer.connect(b.url);
  const watchers = await Promise.all([a, b, c].map((signaler) => Peer.connect(signaler.url)));
  for (const watcher of watchers) await watcher.stay(discovery, ttl / 3);
  const staying = await kept.stay(discovery, ttl / 3);
  await Promise.all(watchers.map((watcher) => watcher.joined(kept.id)));
  const began = performance.now();
  await until(
    "ten TTLs",
    () => performance.now() - began,
    (ms) => ms > 10 * ttl,
    20 * ttl,
  );
  await Promise.all(watchers.map((watcher) => watcher.ping()));
  assert.deepEqual(
    watchers.map((watcher) => watcher.told(From.Left, kept.id)),
    [0, 0, 0],
  );

  staying.stop();
  // Its connection lives on: only the entry is not renewed.
  await kept.ping();
  const stopped = performance.now();
  const gone = await Promise.all(watchers.map((watcher) => watcher.left(kept.id)));
  for (const { at } of gone) {
    assert.ok(
      at - stopped > ttl / 2 && at - stopped < ttl + 1000,
      `${at - stopped} ms after the last refresh`,
    );
  }
});

test("d5_a_graceful_shutdown_says_so_for_its_peers", async (t) => {
  const [b, a, c] = await chain(t);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(b.url), await Peer.connect(c.url)];
  await one.announce(discovery);
  await two.announce(discovery);
  await one.joined(two.id);
  const asked = performance.now();
  const ended = c.stop();
  const { at } = await one.left(two.id);
  assert.ok(at - asked < 1000, `${at - asked} ms`);
  const goodbye = await two.inbox.take(From.Goodbye);
  assert.equal(goodbye.fields.get(0), 15, "shutting-down");
  assert.equal((await two.closed).code, closeCode("shutting-down"));
  assert.deepEqual(await ended, { code: 0, signal: null });
  assert.ok(performance.now() - asked < 6000, "within five seconds");
  await a.siblings(1);
});

test("d5_the_entries_of_a_partitioned_signaler_expire_and_healing_restores_them", async (t) => {
  const a = await Signaler.start(t, { toml: HASTY, args: ["--open"] });
  // Each calls the other, and is cut off from it.
  const [there, back] = [await Wire.to(t, a.port), await Wire.to(t)];
  const address = (wire: Wire): string => `ws://127.0.0.1:${wire.port}`;
  const args = ["--sibling", address(there), "--public-url", address(back)];
  const b = await Signaler.start(t, { toml: HASTY, args });
  back.target = b.port;
  await Promise.all([a.siblings(1), b.siblings(1)]);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  await one.stay(discovery, 400);
  const { members } = await two.stay(discovery, 400);
  await one.joined(two.id);
  if (members.length === 0) await two.joined(one.id);

  const cut = performance.now();
  for (const wire of [there, back]) wire.cut();
  const gone = await Promise.all([one.left(two.id), two.left(one.id)]);
  for (const { at } of gone) {
    assert.ok(at - cut > 1000 && at - cut < 3500, `gone ${at - cut} ms after the cut, the TTL is 2000`);
  }
  assert.equal(await one.forward(two.id, Buffer.from("x")), "unknown-peer");

  for (const wire of [there, back]) wire.heal();
  await Promise.all([one.joined(two.id), two.joined(one.id)]);
  assert.equal(await one.forward(two.id, Buffer.from("x")), "ack");
});

/** Kills a signaler; its peer's entry goes elsewhere when its time is over, not before, not much later. */
async function expiresAtItsTtl(t: TestContext, ttl: number, toml: string): Promise<void> {
  const [a, b] = await pair(t, toml);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  await one.stay(discovery, ttl / 4);
  // It arrives there a little later than it is signed here.
  const announced = performance.now();
  await two.announce(discovery);
  await one.joined(two.id);
  await b.kill();
  const { at } = await one.left(two.id, ttl + 10_000);
  const lived = at - announced;
  assert.ok(lived >= ttl - 50 && lived < ttl + 1500, `gone after ${lived} ms, the TTL is ${ttl}`);
}

async function entries(signalers: readonly Signaler[]): Promise<number[]> {
  return await Promise.all(signalers.map(async (signaler) => (await signaler.health()).entries));
}
