/** What is left when everybody has left (ACCEPTANCE D7). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { HASTY, pair, type Signaler, until } from "./signaler.ts";
import { Peer } from "./wire/peer.ts";

/** Joins and leaves in one round. */
const JOINS = 10_000;
/** What two rounds may leave: to forget to forget 100 bytes of each join would cost as much. */
const LEFT = 2 * 1024 * 1024;
/** Swarms that one peer is in at once; a signaler allows 64. */
const SWARMS = 50;

test("d7_after_thousands_of_joins_and_leaves_swarms_are_dropped_and_memory_is_back", async (t) => {
  // The allocator, mimalloc, is to give free pages back at once: otherwise it does so with some later call, if one comes.
  const signalers = await pair(t, HASTY, { MIMALLOC_PURGE_DELAY: "0" });
  const [a, b] = signalers;
  // An allocator gives pages back when it gets to it, so one look says little: the least of two is compared with the
  // least of the two before.
  const seen: number[][] = [];
  for (let salt = 0; salt < 4; salt++) {
    await round(a, JOINS, salt);
    await settle(signalers);
    seen.push(signalers.map((signaler) => signaler.memory()));
  }
  for (const at of signalers.keys()) {
    const [first = 0, second = 0, third = 0, fourth = 0] = seen.map((memory) => memory[at] ?? 0);
    const grown = Math.min(third, fourth) - Math.min(first, second);
    t.diagnostic(`bytes after each round: ${[first, second, third, fourth].join(", ")}`);
    assert.ok(
      grown < LEFT,
      `${2 * JOINS} joins left ${grown} bytes behind: ${[first, second, third, fourth]}`,
    );
  }
  assert.equal((await b.metrics()).get("weft_forged_entries_total"), 0);
});

test("d7_a_signaler_drops_a_swarm_when_its_last_local_member_leaves", async (t) => {
  const [a, b] = await pair(t, HASTY);
  const discovery = createHash("sha256").update("a swarm").digest();
  const [one, two] = [await Peer.connect(a.url), await Peer.connect(b.url)];
  await one.announce(discovery);
  await two.announce(discovery);
  await one.joined(two.id);
  const local = async (signaler: Signaler) => (await signaler.metrics()).get("weft_local_swarms");
  assert.deepEqual([await local(a), await local(b)], [1, 1]);
  two.leave(discovery);
  await two.ping();
  assert.deepEqual([await local(a), await local(b)], [1, 0]);
  one.leave(discovery);
  await one.ping();
  assert.deepEqual([await local(a), await local(b)], [0, 0]);
  await settle([a, b]);
});

/** So many joins and leaves, of swarms that nobody was in before. */
async function round(signaler: Signaler, joins: number, salt: number): Promise<void> {
  for (let first = 0; first < joins; first += 10 * SWARMS) {
    const peers = await Promise.all(Array.from({ length: 10 }, () => Peer.connect(signaler.url)));
    const discoveries = (at: number) =>
      Array.from({ length: SWARMS }, (_, n) =>
        createHash("sha256").update(`${salt} ${first} ${at} ${n}`).digest(),
      );
    await Promise.all(
      peers.map(async (peer, at) => {
        await Promise.all(discoveries(at).map((discovery) => peer.announce(discovery)));
        for (const discovery of discoveries(at)) peer.leave(discovery);
        await peer.ping();
        await peer.socket.close();
      }),
    );
  }
}

/** Waits until tombstones, too, have gone, on all signalers. */
async function settle(signalers: readonly Signaler[]): Promise<void> {
  for (const signaler of signalers) {
    const left = async () => {
      const { swarms, entries, peers } = await signaler.health();
      return { swarms, entries, peers };
    };
    await until("nothing left", left, (now) => now.swarms === 0 && now.entries === 0);
  }
}
