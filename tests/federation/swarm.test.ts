/** A swarm of thirty `weft` commands: how many links each has, who reaches whom, and what happens when five die at once. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Graph } from "./graph.ts";
import { Signaler, until } from "./signaler.ts";
import { type Line, Weft } from "./weft.ts";

const PARTY = "swarm";
/** Those that print who is linked to whom, and those that print documents. */
const [WATCHERS, SUBSCRIBERS] = [24, 6];
const ALL = WATCHERS + SUBSCRIBERS;
/** Links of one peer at most: the active view of 5, and 2 more for those who come. */
const MOST_LINKS = 7;
/** How many die, which is few enough for a part of the subscribers to live. */
const DEATHS = 5;

/** Nobody changes a link for so long: the swarm has settled. Milliseconds, like all that follow. */
const SETTLED = 4_000;
/** After so long those who live are one swarm again; a link that goes silent is noticed in about 15 s. */
const HEALED = 30_000;
/** Links are opened and closed at most so often in each time of this length. */
const RATE = { within: 10_000, joining: 4 * MOST_LINKS, healing: 2 * MOST_LINKS } as const;

test("d11_thirty_peers_stay_within_the_bound_of_links_and_heal_after_five_are_killed", async (t) => {
  const signaler = await Signaler.start(t);
  const swarm = await Swarm.start(t, signaler);
  await until("swarm of one piece", () => swarm.graph().islands(), whole(ALL), 30_000);
  await swarm.settled();
  assert.deepEqual(swarm.tooMany(), [], "each has at most its bound of links");
  const formed = performance.now();
  t.diagnostic(
    `at most ${swarm.most(0)} changes of links of one peer within ${RATE.within} ms while they met`,
  );
  assert.ok(swarm.most(0) <= RATE.joining, `${swarm.most(0)} changes of links of one peer`);

  // Whoever has the fewest links loses as many of them as can be: if it has no more than five, it is alone.
  const [loner] = swarm.watchers.sort((one, other) => one.links.size - other.links.size);
  assert.ok(loner);
  const victims = [...loner.links].slice(0, DEATHS);
  for (const other of swarm.ids()) {
    if (victims.length < DEATHS && other !== loner.id && !victims.includes(other)) victims.push(other);
  }
  await swarm.kill(victims);
  const killed = performance.now();
  t.diagnostic(`islands after the deaths: ${swarm.graph().islands().join()}`);
  await until("swarm of one piece again", () => swarm.graph().islands(), whole(ALL - DEATHS), HEALED);
  t.diagnostic(`one swarm again ${Math.round(performance.now() - killed)} ms after the deaths`);

  // Somebody who comes now finds a place, and reaches everybody.
  const documents = Array.from({ length: 20 }, (_, n) => ({ n }));
  const newcomer = Weft.start(t, "publish", ["--stay"], { signalers: [signaler.url], party: PARTY });
  for (const document of documents) newcomer.write(document);
  for (const subscriber of swarm.subscribers) await subscriber.weft.count(documents.length);
  await swarm.settled();
  assert.ok(swarm.subscribers.length >= SUBSCRIBERS - DEATHS);
  for (const { weft } of swarm.subscribers) {
    assert.deepEqual(
      weft.lines.map(({ json }) => json.data),
      documents,
      "everything once, in order",
    );
  }
  assert.deepEqual(swarm.tooMany(), [], "each has at most its bound of links");
  t.diagnostic(`at most ${swarm.most(formed)} changes within ${RATE.within} ms while it healed`);
  assert.ok(swarm.most(formed) <= RATE.healing, `${swarm.most(formed)} changes of links of one peer`);
  assert.ok(swarm.mostTold <= MOST_LINKS, `somebody said that it had ${swarm.mostTold} links`);
});

/** A command, and the peer that it is. */
interface Member {
  readonly id: string;
  readonly weft: Weft;
}

class Swarm {
  /** The most links that anybody ever said it had. */
  mostTold = 0;
  /** What peers said last about their links, and when that came. */
  readonly #told = new Map<string, { readonly at: number; readonly links: readonly string[] }>();

  private constructor(
    public watchers: Watcher[],
    public subscribers: Member[],
  ) {}

  /** Starts all at once, and waits until everybody knows everybody. */
  static async start(t: TestContext, signaler: Signaler): Promise<Swarm> {
    const options = { signalers: [signaler.url], party: PARTY };
    const start = (count: number, command: string, ...args: string[]) =>
      Array.from({ length: count }, () => Weft.start(t, command, args, options));
    const watching = start(WATCHERS, "peers", "--watch");
    const subscribing = start(SUBSCRIBERS, "subscribe");
    const known = () => watching.map(({ lines }) => new Set(lines.map(({ json }) => json.peer)).size);
    await until("acquaintance of all", known, (counts) => counts.every((count) => count === ALL - 1), 30_000);
    const member = async (weft: Weft) => ({ id: await Weft.peer(weft.data), weft });
    const watchers = (await Promise.all(watching.map(member))).map(({ id, weft }) => new Watcher(id, weft));
    return new Swarm(watchers, await Promise.all(subscribing.map(member)));
  }

  ids(): string[] {
    return [...this.watchers, ...this.subscribers].map(({ id }) => id);
  }

  /** Who is linked to whom: as each watcher says of itself, and for the others as they told the watchers. */
  graph(): Graph {
    this.#read();
    const graph = new Graph(this.ids());
    for (const { id, links } of this.watchers) for (const other of links) graph.link(id, other);
    for (const { id } of this.subscribers) for (const other of this.#links(id)) graph.link(id, other);
    return graph;
  }

  /** Peers with more links than they may have. */
  tooMany(): string[] {
    this.#read();
    const links = [
      ...this.watchers.map(({ id, links }) => ({ id, count: links.size })),
      ...this.subscribers.map(({ id }) => ({ id, count: this.#links(id).length })),
    ];
    return links.filter(({ count }) => count > MOST_LINKS).map(({ id, count }) => `${id} has ${count}`);
  }

  /** How often one peer's links changed within a time, for the peer and the time when they did most, since then. */
  most(since: number): number {
    this.#read();
    const counts = this.watchers.flatMap(({ changes }) => {
      const times = changes.filter((at) => at >= since);
      return times.map((from) => times.filter((at) => at >= from && at < from + RATE.within).length);
    });
    return Math.max(0, ...counts);
  }

  /** Waits until nobody has changed a link for a while. */
  async settled(): Promise<void> {
    const rest = () => {
      this.#read();
      return performance.now() - Math.max(...this.watchers.map(({ changes }) => changes.at(-1) ?? 0));
    };
    await until("rest", rest, (now) => now >= SETTLED, 60_000);
  }

  /** Ends these without a word. */
  async kill(ids: readonly string[]): Promise<void> {
    const [watchers, subscribers] = [this.watchers, this.subscribers];
    const lives = ({ id }: { readonly id: string }) => !ids.includes(id);
    [this.watchers, this.subscribers] = [watchers.filter(lives), subscribers.filter(lives)];
    const dead = [...watchers, ...subscribers].filter((member) => !lives(member));
    await Promise.all(dead.map(({ weft }) => weft.kill()));
  }

  #links(id: string): readonly string[] {
    return this.#told.get(id)?.links ?? [];
  }

  #read(): void {
    for (const watcher of this.watchers) {
      for (const { at, json } of watcher.read()) {
        this.mostTold = Math.max(this.mostTold, json.links.length);
        if (at >= (this.#told.get(json.peer)?.at ?? 0)) this.#told.set(json.peer, { at, links: json.links });
      }
    }
  }
}

/** A `weft peers --watch`: its links, and when they changed. */
class Watcher implements Member {
  readonly links = new Set<string>();
  /** When a link was opened or closed (`performance.now()`). */
  readonly changes: number[] = [];
  #read = 0;

  constructor(
    readonly id: string,
    readonly weft: Weft,
  ) {}

  /** Takes what it has printed since the last time, and gives it. */
  read(): Line[] {
    const lines = this.weft.lines.slice(this.#read);
    this.#read += lines.length;
    for (const { at, json } of lines) {
      const linked = json.linked && json.change !== "left";
      if (linked === this.links.has(json.peer)) continue;
      if (linked) this.links.add(json.peer);
      else this.links.delete(json.peer);
      this.changes.push(at);
    }
    return lines;
  }
}

/** Whether there is one island, of so many. */
function whole(count: number): (islands: readonly number[]) => boolean {
  return (islands) => islands[0] === count;
}
