/** More signalers than keep one swarm: peers find and reach each other all the same, also when signalers die. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Signaler, until } from "./signaler.ts";
import { Key, same } from "./wire/keys.ts";
import { From, Peer } from "./wire/peer.ts";

/** Limits with which the dead are known, and things settle, within some seconds. Milliseconds. */
const QUICK = `[limits]
probe_ms = 300
suspect_ms = 1500
settle_ms = 1500
redial_min_ms = 100
redial_max_ms = 500
`;

/** Signalers that know the address of the first one, each linked with all others. */
async function federation(t: TestContext, count: number): Promise<Signaler[]> {
  const first = await Signaler.start(t, { toml: QUICK, args: ["--open"] });
  const start = () => Signaler.start(t, { toml: QUICK, args: ["--open", "--sibling", first.url] });
  const all = [first, ...(await Promise.all(Array.from({ length: count - 1 }, start)))];
  await complete(all);
  return all;
}

async function complete(all: readonly Signaler[]): Promise<void> {
  for (const one of all) {
    const active = async () => (await one.health()).members.filter((member) => member.active).length;
    await until(`all members at ${one.url}`, active, (count) => count === all.length - 1, 30_000);
    await one.siblings(all.length - 1);
  }
}

async function total(all: readonly Signaler[], name: string): Promise<number> {
  const values = await Promise.all(all.map(async (one) => (await one.metrics()).get(name)));
  return values.reduce((sum, value) => sum + value, 0);
}

/** Waits until the peer was told of the other: in the list that it got, or as news. */
async function knows(
  peer: Peer,
  listed: readonly { readonly peer: Uint8Array }[],
  other: Peer,
): Promise<void> {
  if (!listed.some((entry) => same(entry.peer, other.id))) await peer.joined(other.id);
}

test("d1_c2_among_five_signalers_three_and_the_home_keep_an_entry_and_everybody_finds_it", async (t) => {
  const all = await federation(t, 5);
  const swarms = 20;
  const lone = await Promise.all(all.map((signaler) => Peer.connect(signaler.url)));
  for (let at = 0; at < swarms; at += 1) await lone[at % 5]?.announce(randomBytes(32));
  // Three each, and the home if it is not one of them; 100 is what everybody keeping everything would be.
  const entries = await until(
    "entries where they belong",
    () => total(all, "weft_entries"),
    (count) => count >= 3 * swarms && count <= 4 * swarms,
  );
  assert.ok(entries < 5 * swarms);

  // One swarm over all five: each is told of each other once, and hears what is sent to all.
  const discovery = randomBytes(32);
  const peers = await Promise.all(all.map((signaler) => Peer.connect(signaler.url)));
  const listed = await Promise.all(peers.map((peer) => peer.announce(discovery)));
  for (const [at, peer] of peers.entries()) {
    for (const other of peers.filter((each) => each !== peer)) {
      await knows(peer, listed[at] ?? [], other);
      const inList = listed[at]?.filter((entry) => same(entry.peer, other.id)).length ?? 0;
      assert.equal(inList + peer.told(From.Joined, other.id), 1);
    }
  }
  const [sender, ...others] = peers;
  assert.equal(await sender?.fanout(discovery, Buffer.from("all")), "ack");
  for (const other of others) await other.inbox.take(From.Fanned);

  // Somebody who is in no swarm is found over the residence, from everywhere; nobody is not.
  const hermit = await Peer.connect(all[2]?.url ?? "");
  for (const peer of peers) {
    // It has only just come: those of its residence are told at the same time as it is welcomed.
    const passed = () => peer.forward(hermit.id, Buffer.from("x"));
    await until("way to the hermit", passed, (outcome) => outcome === "ack");
    await hermit.delivered();
    assert.equal(await peer.forward(new Key().id, Buffer.from("x")), "unknown-peer");
  }

  // The last members go, and with them the interest.
  for (const peer of peers) peer.leave(discovery);
  for (const peer of [...peers, ...lone]) await peer.socket.close();
  await until(
    "no interest",
    () => total(all, "weft_watches"),
    (count) => count === 0,
    20_000,
  );
  assert.equal(await total(all, "weft_refused_watches_total"), 0);
});

test("d3_c2_of_five_signalers_two_die_and_those_at_two_homes_are_found_all_the_time", async (t) => {
  const all = await federation(t, 5);
  const [a, b, c, d, e] = all;
  assert.ok(a && b && c && d && e);
  const key = new Key();
  const watcher = await Peer.connect(c.url);
  const swarms = Array.from({ length: 8 }, () => randomBytes(32));
  const [first, second] = [await Peer.connect(a.url, { key }), await Peer.connect(b.url, { key })];
  for (const discovery of swarms) {
    await watcher.announce(discovery);
    await first.announce(discovery);
    await second.announce(discovery);
    await watcher.joined(key.id);
  }
  const isFound = async (home: Signaler) => {
    const asker = await Peer.connect(home.url);
    for (const discovery of swarms) {
      const listed = await asker.announce(discovery);
      if (!listed.some((entry) => same(entry.peer, key.id))) await asker.joined(key.id, 2_000);
    }
    assert.equal(await asker.forward(key.id, Buffer.from("x"), b.id), "ack");
    await asker.socket.close();
  };
  for (const [dead, living] of [
    [a, [b, c, d, e]],
    [e, [b, c, d]],
  ] as const) {
    await dead.kill();
    for (const home of living) await isFound(home);
    await complete(living);
    for (const home of living) await isFound(home);
  }
  assert.equal(watcher.told(From.Left, key.id), 0);
});
