/** Envelopes and payloads between signalers, and what they cost those who have nothing to do with them (ACCEPTANCE Q10, Q8). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { chain, HASTY, pair, Signaler, until } from "./signaler.ts";
import { closeCode } from "./wire/codes.ts";
import { bytesAt, Key, same } from "./wire/keys.ts";
import { From, Peer } from "./wire/peer.ts";
import { Said, Sibling } from "./wire/sibling.ts";

test("q10_a_client_of_one_signaler_finds_and_reaches_a_client_of_another", async (t) => {
  const [a, b] = await pair(t);
  const discovery = randomBytes(32);
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  await one.announce(discovery);
  const listed = await two.announce(discovery);
  const { entry } = await one.joined(two.id);
  if (listed.length === 0) await two.joined(one.id);
  const largest = randomBytes(255 * 1024);
  assert.equal(await one.forward(two.id, largest, entry.home), "ack");
  assert.ok(same(await two.delivered(), largest));
  // Without the hint, the table says where the recipient is.
  assert.equal(await two.forward(one.id, Buffer.from("back")), "ack");
  assert.ok(same(await one.delivered(), Buffer.from("back")));
});

test("q10_signals_to_unknown_recipients_end_in_an_error_not_in_a_flood", async (t) => {
  const [b, a, c] = await chain(t);
  const sender = await Peer.connect(a.url);
  const received = async (signaler: Signaler) => (await signaler.metrics()).get("weft_sibling_frames_total");
  const before = [await received(b), await received(c)];
  for (let n = 0; n < 200; n += 1) {
    assert.equal(await sender.forward(randomBytes(32), Buffer.from("anybody?")), "unknown-peer");
  }
  // Asked by name, a sibling is asked once and no other is.
  assert.equal(await sender.forward(randomBytes(32), Buffer.from("anybody?"), b.id), "unknown-peer");
  assert.deepEqual([await received(b), await received(c)], [(before[0] ?? 0) + 1, before[1]]);
  // A signaler that nobody knows is asked by nobody.
  const nobody = new Key().id;
  assert.equal(await sender.forward(randomBytes(32), Buffer.from("anybody?"), nobody), "sibling-unreachable");
  assert.deepEqual([await received(b), await received(c)], [(before[0] ?? 0) + 1, before[1]]);
  const metrics = await a.metrics();
  assert.equal(metrics.refused("unknown-peer"), 201);
  assert.equal(metrics.refused("sibling-unreachable"), 1);
  assert.equal(metrics.get("weft_passed_on_total"), 1);
  assert.equal(metrics.get("weft_pending_forwards"), 0);
});

test("a_chain_of_signalers_forwards_envelopes_and_fans_payloads_out", async (t) => {
  const [b, a, c] = await chain(t);
  const discovery = randomBytes(32);
  const peers = await Promise.all([b, b, a, c, c].map((signaler) => Peer.connect(signaler.url)));
  const [one, near, middle, far, farther] = peers as [Peer, Peer, Peer, Peer, Peer];
  for (const peer of peers) await peer.announce(discovery);
  await one.joined(farther.id);
  assert.equal(await one.forward(far.id, Buffer.from("two hops")), "ack");
  assert.ok(same(await far.delivered(), Buffer.from("two hops")));
  assert.equal(await far.forward(one.id, Buffer.from("back")), "ack");
  assert.ok(same(await one.delivered(), Buffer.from("back")));

  const payload = randomBytes(1000);
  assert.equal(await one.fanout(discovery, payload), "ack");
  for (const peer of [near, middle, far, farther]) {
    const { fields } = await peer.inbox.take(From.Fanned);
    assert.ok(same(bytesAt(fields, 0), discovery) && same(bytesAt(fields, 1), payload));
  }
  // Each got it once, the sender did not; one frame went over each link, however many members are behind it.
  await Promise.all(peers.map((peer) => peer.ping()));
  assert.deepEqual(
    peers.map((peer) => peer.inbox.seen(From.Fanned).length),
    [0, 1, 1, 1, 1],
  );
  assert.deepEqual(
    [(await c.metrics()).get("weft_fanned_total"), (await a.metrics()).get("weft_fanned_total")],
    [2, 1],
  );
  // Who is no member may not.
  const stranger = await Peer.connect(a.url);
  assert.equal(await stranger.fanout(discovery, payload), "not-a-member");
});

test("an_outcome_that_does_not_come_is_an_error_in_time", async (t) => {
  const a = await Signaler.start(t, { toml: HASTY, args: ["--open"] });
  const silent = await Sibling.join(a.url);
  const sender = await Peer.connect(a.url);
  await a.siblings(1);
  const asked = performance.now();
  const outcome = sender.forward(randomBytes(32), Buffer.from("x"), silent.key.id);
  await silent.inbox.take(Said.Forward);
  // It is alive and says nothing about the envelope.
  const alive = setInterval(() => silent.send(Said.Ping, [0, 1]), 200);
  t.after(() => clearInterval(alive));
  assert.equal(await outcome, "sibling-unreachable");
  const took = performance.now() - asked;
  assert.ok(took > 1400 && took < 2500, `${took} ms, outcome_ms is 1500`);
  // An outcome that comes too late, or was never asked for, changes nothing.
  silent.send(Said.Outcome, [0, 0]);
  silent.send(Said.Outcome, [0, 12_345]);
  await silent.ping();
  await sender.ping();
  assert.equal((await a.metrics()).get("weft_pending_forwards"), 0);
});

test("an_envelope_in_circles_is_refused_after_its_hops", async (t) => {
  const a = await Signaler.start(t, { args: ["--open"] });
  const sibling = await Sibling.join(a.url);
  const [to, home] = [new Key().id, new Key().id];
  const outcomeOf = async (hops: number) => {
    sibling.send(Said.Forward, [0, hops], [1, to], [2, home], [3, hops], [4, Buffer.from("x")]);
    const { fields } = await sibling.inbox.take(Said.Outcome, (body) => body.get(0) === hops);
    return fields.get(1);
  };
  assert.equal(await outcomeOf(32), 14, "too-many-hops");
  // Never back to where it came from, even if that is the only way.
  assert.equal(await outcomeOf(1), 13, "sibling-unreachable");
});

test("q8_peers_of_a_signaler_that_dies_are_told_and_served_by_another", async (t) => {
  const [a, b] = await pair(t, HASTY);
  const discovery = randomBytes(32);
  const key = new Key();
  const watcher = await Peer.connect(b.url);
  await watcher.stay(discovery, 400);
  const lost = await Peer.connect(a.url, { key });
  await lost.stay(discovery, 400);
  await watcher.joined(key.id);
  await a.kill();
  assert.equal((await lost.closed).code, undefined);
  // It goes to the other one at once: told by its new entry long before the old one is over, and never gone.
  const noticed = performance.now();
  const moved = await Peer.connect(b.url, { key });
  await moved.stay(discovery, 400);
  const { at, entry } = await watcher.joined(key.id);
  assert.ok(at - noticed < 1000 && same(entry.home, b.id));
  assert.equal(await watcher.forward(key.id, Buffer.from("x")), "ack");
  // The old entry expires, and that is no leave either.
  await until(
    "the watcher's and the new entry only",
    async () => (await b.health()).entries,
    (now) => now === 2,
  );
  await watcher.ping();
  assert.equal(watcher.told(From.Left, key.id), 0);
});

test("a_recipient_that_does_not_read_costs_its_senders_an_error_and_nobody_else_anything", async (t) => {
  const a = await Signaler.start(t, {
    toml: "[limits]\nbytes_burst = 1000000000\nbytes_per_second = 1000000000\n",
  });
  const [slow, sender, other] = [
    await Peer.connect(a.url),
    await Peer.connect(a.url),
    await Peer.connect(a.url),
  ];
  slow.socket.pause();
  const envelope = randomBytes(200_000);
  let sent = 0;
  let outcome: string = "ack";
  while (outcome === "ack" && sent < 500) {
    outcome = await sender.forward(slow.id, envelope);
    sent += 1;
  }
  assert.equal(outcome, "recipient-busy");
  assert.ok((await a.metrics()).refused("recipient-busy") >= 1);
  assert.equal(await sender.forward(other.id, Buffer.from("x")), "ack");
  await other.delivered();
  // Once it reads, it gets everything that was acknowledged, whole and in order, and can be reached again.
  slow.socket.resume();
  for (let n = 1; n < sent; n += 1) assert.ok(same(await slow.delivered(), envelope));
  assert.equal(await sender.forward(slow.id, Buffer.from("again")), "ack");
  assert.ok(same(await slow.delivered(), Buffer.from("again")));
});

test("a_recipient_that_never_reads_again_is_given_up", async (t) => {
  const a = await Signaler.start(t, {
    toml: `${HASTY}bytes_burst = 1000000000\nbytes_per_second = 1000000000\nframes_burst = 1000000\n`,
  });
  const [slow, sender] = [await Peer.connect(a.url), await Peer.connect(a.url)];
  slow.socket.pause();
  const envelope = randomBytes(200_000);
  let outcome: string = "ack";
  for (let n = 0; n < 500 && outcome === "ack"; n += 1) outcome = await sender.forward(slow.id, envelope);
  assert.equal(outcome, "recipient-busy");
  const busy = performance.now();
  while (outcome !== "unknown-peer" && performance.now() - busy < 10_000) {
    outcome = await sender.forward(slow.id, Buffer.from("x"));
  }
  assert.equal(outcome, "unknown-peer");
  slow.socket.resume();
  const { code } = await slow.closed;
  assert.ok(
    code === undefined || code === closeCode("recipient-busy") || code === closeCode("timed-out"),
    `${code}`,
  );
});
