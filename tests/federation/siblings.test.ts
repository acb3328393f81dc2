/** Siblings that were admitted and misbehave: what they can do is bounded and counted, and others do not notice. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { HASTY, Signaler, until } from "./signaler.ts";
import { closeCode } from "./wire/codes.ts";
import { Key, signEntry } from "./wire/keys.ts";
import { From, Peer } from "./wire/peer.ts";
import { Said, Sibling } from "./wire/sibling.ts";

const MIB = 1024 * 1024;

test("an_equivocating_sibling_is_counted_and_the_first_statement_stays", async (t) => {
  const { a, goesOn } = await world(t);
  const discovery = randomBytes(32);
  const bad = await Sibling.join(a.url);
  const watcher = await Peer.connect(a.url);
  await watcher.announce(discovery);
  const [key, now] = [new Key(), Date.now()];
  const said = {
    discovery,
    peer: key.id,
    home: randomBytes(32),
    seq: now,
    until: now + 120_000,
    left: false,
  };
  const [one, other] = [now, now - 5000].map((since) => signEntry(key, { ...said, since }));
  assert.ok(one && other);
  bad.tell(one);
  await watcher.joined(key.id);
  for (let n = 0; n < 3; n += 1) bad.tell(other);
  await bad.ping();
  assert.equal((await a.metrics()).get("weft_equivocations_total"), 3);
  // The same bytes once more are none.
  bad.tell(one);
  await bad.ping();
  assert.equal((await a.metrics()).get("weft_equivocations_total"), 3);
  const late = await Peer.connect(a.url);
  const found = await late.announce(discovery);
  assert.equal(found.find((entry) => Buffer.compare(entry.peer, key.id) === 0)?.since, now);
  assert.equal(watcher.told(From.Joined, key.id), 1);
  await goesOn();
});

test("what_was_said_to_one_signaler_is_worth_nothing_when_it_is_said_again_to_another", async (t) => {
  const { a, b, goesOn } = await world(t, HASTY);
  const discovery = randomBytes(32);
  const [listening, bad] = [await Sibling.join(a.url), await Sibling.join(b.url)];
  const watcher = await Peer.connect(b.url);
  await watcher.stay(discovery, 500);
  const victim = await Peer.connect(a.url);
  const entry = victim.entry(discovery, { until: Date.now() + 2000 });
  victim.send(2, [0, entry]);
  await watcher.joined(victim.id);
  await listening.entriesOf(victim.id);
  victim.leave(discovery);
  await watcher.left(victim.id);
  // Older than the leave; and when that is forgotten it has expired.
  bad.tell(entry);
  await bad.ping();
  const forgotten = async () => (await b.metrics()).get("weft_entries");
  await until("a table without the leave", forgotten, (entries) => entries === 1);
  bad.tell(entry);
  await bad.ping();
  assert.ok((await b.metrics()).get("weft_expired_entries_total") >= 1);
  assert.equal(watcher.told(From.Joined, victim.id), 1);
  // A proof that was made for one signaler is none at another.
  const stolen = (await Sibling.call(a.url, bad.key)).proof;
  const thief = await Sibling.replay(b.url, bad.key, stolen);
  assert.equal(await thief.refusal(), "bad-signature");
  assert.equal((await thief.closed).code, closeCode("bad-signature"));
  assert.equal((await b.metrics()).refused("bad-signature"), 1);
  await goesOn();
});

test("clocks_of_siblings_that_are_off_lengthen_nothing_and_what_they_lose_is_counted", async (t) => {
  const { a, goesOn } = await world(t, HASTY);
  const discovery = randomBytes(32);
  const watcher = await Peer.connect(a.url);
  await watcher.stay(discovery, 500);
  const bad = await Sibling.join(a.url);
  const [behind, ahead] = [new Key(), new Key()];
  for (const [key, clock] of [
    [behind, Date.now() - 3_600_000],
    [ahead, Date.now() + 3_600_000],
  ] as const) {
    const said = { discovery, peer: key.id, home: bad.key.id, seq: clock, since: clock, left: false };
    bad.tell(signEntry(key, { ...said, until: clock + 120_000 }));
  }
  const { at: came } = await watcher.joined(ahead.id);
  assert.equal((await a.metrics()).get("weft_expired_entries_total"), 1);
  const { at: went } = await watcher.left(ahead.id);
  assert.ok(went - came > 1_500 && went - came < 3_500, `${went - came} ms, the TTL is 2000`);
  assert.equal(watcher.told(From.Joined, behind.id), 0);
  await goesOn();
});

test("a_sibling_that_floods_with_keys_fills_its_share_and_no_more", async (t) => {
  const limits = "[limits]\nmax_entries = 4000\nmax_entries_per_sibling = 1000\n";
  const { a, goesOn } = await world(t, limits);
  const bad = await Sibling.join(a.url);
  const now = Date.now();
  const before = a.memory();
  const made = (discovery: Uint8Array): Uint8Array => {
    const key = new Key();
    const said = { discovery, peer: key.id, home: bad.key.id, seq: now, since: now };
    return signEntry(key, { ...said, until: now + 120_000, left: false });
  };
  // Many swarms, and many peers in one.
  const one = randomBytes(32);
  for (let n = 0; n < 40; n += 1) {
    bad.tell(...Array.from({ length: 100 }, () => made(n % 2 === 0 ? randomBytes(32) : one)));
    await bad.ping();
  }
  const metrics = await a.metrics();
  assert.equal(metrics.get("weft_entries"), 1000);
  assert.equal(metrics.get("weft_refused_entries_total"), 3000);
  assert.equal(metrics.get("weft_dropped_entries_total"), 0, "the table is not full");
  const grown = a.memory() - before;
  t.diagnostic(`${(grown / MIB).toFixed(1)} MiB for 4,000 entries, of which 1,000 were taken`);
  assert.ok(grown < 24 * MIB, `${grown} bytes`);
  await goesOn();
});

test("a_sibling_that_says_more_than_can_be_looked_at_is_closed_and_nobody_else", async (t) => {
  const { a, b, goesOn } = await world(t, "[limits]\nmax_entries = 300\n");
  const bad = await Sibling.member(a.url);
  const before = a.memory();
  // Each frame of these has the room of what it names: 150 kB, and 192 kB.
  bad.send(OFFER, [0, randomBytes(32)], [1, randomBytes(10_000 * 12)]);
  await bad.ping();
  assert.equal((await a.metrics()).refused("rate-limited"), 0);
  for (let n = 0; n < 100; n += 1) bad.send(OFFER, [0, randomBytes(32)], [1, randomBytes(16_384 * 12)]);
  assert.equal((await bad.closed).code, closeCode("rate-limited"));
  assert.ok((await a.metrics()).refused("rate-limited") >= 1);
  assert.ok(a.memory() - before < 32 * MIB, `${a.memory() - before} bytes`);
  await b.siblings(1);
  await goesOn();
});

test("a_sibling_that_watches_and_names_more_than_its_share_is_refused_the_rest", async (t) => {
  const { a, goesOn } = await world(t, "[limits]\nmax_watches_per_sibling = 500\n");
  const bad = await Sibling.member(a.url);
  const before = a.memory();
  for (let n = 0; n < 2000; n += 1) bad.send(WATCH, [0, randomBytes(32)], [1, 0], [2, 0], [3, 0]);
  // 30,000 of 20,000 that there is room for.
  for (let n = 0; n < 30; n += 1)
    bad.send(CONNECTED, [0, Array.from({ length: 1000 }, () => randomBytes(32))], [1, []]);
  await bad.ping();
  const metrics = await a.metrics();
  assert.equal(metrics.get("weft_refused_watches_total"), 1500);
  assert.ok(metrics.get("weft_watched") <= 500);
  assert.equal(metrics.get("weft_refused_residents_total"), 10_000);
  assert.ok(a.memory() - before < 32 * MIB, `${a.memory() - before} bytes`);
  await goesOn();
});

test("a_sibling_that_never_reads_is_closed_and_nobody_waits_for_it", async (t) => {
  const limits = "[limits]\nkeepalive_ms = 1000\ndead_ms = 3000\n";
  const { a, b, goesOn } = await world(t, limits);
  const bad = await Sibling.join(a.url);
  bad.socket.stream.pause();
  const before = a.memory();
  const discovery = randomBytes(32);
  const watcher = await Peer.connect(b.url);
  await watcher.announce(discovery);
  // Everything that the others are told at once would be told to it, too.
  const crowd = await Promise.all(Array.from({ length: 20 }, () => Peer.connect(a.url)));
  const stopped = performance.now();
  for (const peer of crowd) {
    await peer.announce(discovery);
    await watcher.joined(peer.id, 2_000);
  }
  const up = async () => (await a.health()).siblings.filter((sibling) => sibling.up).length;
  await until("its link closed", up, (count) => count === 1, 30_000);
  const closed = performance.now() - stopped;
  t.diagnostic(`closed after ${Math.round(closed)} ms, the limit is 3000`);
  assert.ok(closed < 8_000, "the ten seconds for whoever has not proved who it is are not waited for");
  // Peers that keep silent for as long answer pings, and stay.
  assert.equal((await a.metrics()).refused("timed-out"), 1);
  assert.equal((await a.health()).peers, crowd.length);
  assert.ok(a.memory() - before < 16 * MIB, `${a.memory() - before} bytes`);
  await goesOn();
});

test("a_sibling_that_impersonates_another_or_was_dropped_gets_no_link_and_no_entry", async (t) => {
  const { a, b, goesOn } = await world(t);
  // Says that it is b, with a key of its own; and is b without a word to prove it.
  const impostor = await Sibling.call(a.url, new Key(), new Key());
  assert.equal(await impostor.refusal(), "bad-signature");
  assert.equal((await impostor.closed).code, closeCode("bad-signature"));
  const mute = await Sibling.claim(a.url, b.id);
  mute.send(Said.Entries, [0, []]);
  assert.equal(await mute.refusal(), "not-authenticated");
  const metrics = await a.metrics();
  assert.deepEqual([metrics.refused("bad-signature"), metrics.refused("not-authenticated")], [1, 1]);
  await a.siblings(1);
  await goesOn();
});

const [OFFER, WATCH, CONNECTED] = [15, 17, 18];

interface World {
  readonly a: Signaler;
  readonly b: Signaler;
  /** Peers at the two good ones find and reach each other. */
  goesOn(): Promise<void>;
}

/** Two good ones that are linked; both admit anybody. */
async function world(t: TestContext, toml = ""): Promise<World> {
  const a = await Signaler.start(t, { toml, args: ["--open"] });
  const b = await Signaler.start(t, { toml, args: ["--open", "--sibling", a.url] });
  await Promise.all([a.siblings(1), b.siblings(1)]);
  const goesOn = async (): Promise<void> => {
    const discovery = randomBytes(32);
    const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
    await one.announce(discovery);
    await two.announce(discovery);
    await one.joined(two.id);
    assert.equal(await one.forward(two.id, Buffer.from("sealed"), two.signaler), "ack");
    assert.deepEqual(Buffer.from(await two.delivered()), Buffer.from("sealed"));
    for (const { log } of [a, b]) assert.ok(!log.includes("panicked"), log);
  };
  return { a, b, goesOn };
}
