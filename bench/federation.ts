/**
 * `cargo xtask bench federation [--quick]`: how soon a change is known everywhere, with five signalers that are processes of
 * their own.
 *
 * Clients are bare: one WebSocket, frames as in docs/spec/signaler.md. In each swarm a client waits at every signaler; another one
 * announces itself at one of them in turn, and what counts is when the last of the five has heard of it, and again when it
 * leaves. Then somebody new asks at each signaler who is in the swarm: what counts is when the answer, or what follows it, has
 * named the peer. Nothing here depends on which of the signalers keep a swarm. A second series is taken while other peers announce
 * themselves anew all the time.
 */
import { randomBytes } from "node:crypto";
import { bytesAt, openEntry, same } from "../tests/federation/wire/keys.ts";
import { From, Peer, To } from "../tests/federation/wire/peer.ts";
import { quantile, type Running, start } from "./browser-lab.ts";

const SIGNALERS = 5;
/** Changes of each kind in a series, and in `--quick` runs. */
const CHANGES = 500;
const CHANGES_QUICK = 20;
/** Changes that go ahead and do not count. */
const BEFORE = 20;
/** A swarm is left behind after so many changes. */
const IN_SWARM = 25;
/** Peers that announce themselves meanwhile, at each signaler, and how often one of them does, milliseconds. */
const OTHERS = 40;
const EVERY = 2;
/** What 99 of 100 changes may take until they are known everywhere, milliseconds. */
const BAR = 100;
/** How long signalers may take to find each other, milliseconds. */
const MEETING = 30_000;

const quick = process.argv.includes("--quick");
const changes = quick ? CHANGES_QUICK : CHANGES;

/** Milliseconds of each change. */
interface Series {
  readonly joins: number[];
  readonly leaves: number[];
  readonly lookups: number[];
  /** Of a round trip to the signaler that was asked. */
  readonly trips: number[];
  /** Lookups whose first answer named the peer. */
  atOnce: number;
}

const signalers: Running[] = [];

/** Until each is linked with all others. */
async function meeting(): Promise<void> {
  const deadline = performance.now() + MEETING;
  for (const { url } of signalers) {
    for (;;) {
      const health = await (await fetch(new URL("/healthz", url.replace(/^ws/, "http")))).json();
      const up = (health as { siblings: { up: boolean }[] }).siblings.filter((sibling) => sibling.up).length;
      if (up === SIGNALERS - 1) break;
      if (performance.now() > deadline) throw new Error(`${url} has ${up} siblings`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function series(wanted: number): Promise<Series> {
  const found: Series = { joins: [], leaves: [], lookups: [], trips: [], atOnce: 0 };
  const ignored: Series = { joins: [], leaves: [], lookups: [], trips: [], atOnce: 0 };
  let swarm: Swarm | undefined;
  for (let at = 0; at < wanted + BEFORE; at += 1) {
    if (at % IN_SWARM === 0) {
      await swarm?.close();
      swarm = await Swarm.open();
    }
    await swarm?.change(at, at < BEFORE ? ignored : found);
  }
  await swarm?.close();
  return found;
}

/** A swarm in which somebody waits at every signaler. */
class Swarm {
  private constructor(
    readonly discovery: Uint8Array,
    readonly watchers: readonly Peer[],
  ) {}

  static async open(): Promise<Swarm> {
    const discovery = randomBytes(32);
    const watchers: Peer[] = [];
    for (const { url } of signalers) {
      const watcher = await Peer.connect(url);
      await watcher.announce(discovery);
      // Whoever is there already hears of it, so that what is measured begins when all know of all.
      await Promise.all(watchers.map((other) => other.joined(watcher.id)));
      watchers.push(watcher);
    }
    return new Swarm(discovery, watchers);
  }

  async change(at: number, into: Series): Promise<void> {
    const peer = await Peer.connect(signalers[at % SIGNALERS]?.url ?? "");
    const heard = Promise.all(this.watchers.map((watcher) => watcher.joined(peer.id)));
    const came = performance.now();
    peer.send(To.Announce, [0, peer.entry(this.discovery)]);
    into.joins.push(Math.max(...(await heard).map((frame) => frame.at)) - came);

    const asked = signalers[Math.floor(at / SIGNALERS) % SIGNALERS]?.url ?? "";
    await lookup(asked, this.discovery, peer, into);

    const missed = Promise.all(this.watchers.map((watcher) => watcher.left(peer.id)));
    const went = performance.now();
    peer.leave(this.discovery);
    into.leaves.push(Math.max(...(await missed).map((frame) => frame.at)) - went);
    await peer.socket.close();
  }

  async close(): Promise<void> {
    for (const watcher of this.watchers) {
      watcher.leave(this.discovery);
      await watcher.socket.close();
    }
  }
}

/** Somebody new asks who is in a swarm. */
async function lookup(url: string, discovery: Uint8Array, peer: Peer, into: Series): Promise<void> {
  const asking = await Peer.connect(url);
  const pinged = performance.now();
  await asking.ping();
  into.trips.push(performance.now() - pinged);
  const asked = performance.now();
  asking.send(To.Announce, [0, asking.entry(discovery)]);
  const members = await asking.inbox.take(From.Members);
  const named = (members.fields.get(1) as Uint8Array[]).some((entry) => same(openEntry(entry).peer, peer.id));
  if (named) into.atOnce += 1;
  const at = named ? members.at : (await later(asking, peer)).at;
  into.lookups.push(at - asked);
  asking.leave(discovery);
  await asking.socket.close();
}

/** A peer that an answer did not name follows it: as somebody who came, or in another answer. */
async function later(asking: Peer, peer: Peer) {
  return await asking.inbox.wait("news of the peer", ({ kind, fields }) => {
    if (kind === From.Joined) return same(openEntry(bytesAt(fields, 0)).peer, peer.id);
    const entries = kind === From.Members ? (fields.get(1) as Uint8Array[]) : [];
    return entries.some((entry) => same(openEntry(entry).peer, peer.id));
  });
}

/** Peers in swarms of their own, one of which announces itself anew every now and then. */
async function others(): Promise<{ stop(): Promise<number> }> {
  const peers: { readonly peer: Peer; readonly discovery: Uint8Array }[] = [];
  for (const { url } of signalers) {
    for (let at = 0; at < OTHERS; at += 1)
      peers.push({ peer: await Peer.connect(url), discovery: randomBytes(32) });
  }
  let count = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    const one = peers[count % peers.length];
    count += 1;
    one?.peer.send(To.Announce, [0, one.peer.entry(one.discovery)]);
  }, EVERY);
  return {
    stop: async () => {
      clearInterval(timer);
      const rate = (count / (performance.now() - began)) * 1000;
      for (const { peer } of peers) await peer.socket.close();
      return rate;
    },
  };
}

function report(alone: Series, busy: Series, rate: number): void {
  const shown = (values: readonly number[]) =>
    [0.5, 0.99, 1].map((share) => quantile(values, share).toFixed(1)).join(" | ");
  const during = `while ${Math.round(rate)} others per second announce themselves`;
  console.log(`\n${SIGNALERS} signalers, ${alone.joins.length} changes of each kind, milliseconds\n`);
  console.log("| | median | p99 | longest |\n|---|---|---|---|");
  for (const [found, when] of [
    [alone, "at rest"],
    [busy, during],
  ] as const) {
    console.log(`| known to all five that a peer came, ${when} | ${shown(found.joins)} |`);
    console.log(`| known to all five that it left, ${when} | ${shown(found.leaves)} |`);
    console.log(`| who asks anywhere has its name, ${when} | ${shown(found.lookups)} |`);
    console.log(`| a ping beside that, ${when} | ${shown(found.trips)} |`);
  }
  const asked = alone.lookups.length + busy.lookups.length;
  const worst = Math.max(
    ...[alone, busy].flatMap(({ joins, leaves }) => [quantile(joins, 0.99), quantile(leaves, 0.99)]),
  );
  console.log(`\nnamed by the first answer: ${alone.atOnce + busy.atOnce} of ${asked}`);
  console.log(`bar: p99 at most ${BAR} ms: ${worst.toFixed(1)}, ${worst <= BAR ? "reached" : "MISSED"}`);
  if (worst > BAR && !quick) process.exitCode = 1;
}

try {
  const first = await start("--open");
  signalers.push(first);
  for (let at = 1; at < SIGNALERS; at += 1) signalers.push(await start("--open", "--sibling", first.url));
  await meeting();
  const alone = await series(changes);
  const churn = await others();
  const busy = await series(changes);
  const rate = await churn.stop();
  report(alone, busy, rate);
} finally {
  for (const signaler of signalers) signaler.stop();
}
