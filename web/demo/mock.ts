/**
 * A pretended mesh with the face of weft-mesh, to work on the page's looks: `?peers=6&traffic=1&signaler-state=lost`.
 *
 * Only in builds made with `--mock`; nothing here is shipped. Its matcher knows the few operators of the examples.
 */

import { WeftError } from "../src/errors.ts";
import type {
  ConnectOptions,
  DataEvent,
  Explanation,
  Filter,
  Message,
  Party,
  PeerInfo,
  SignalerInfo,
  Stats,
  Subscription,
  Weft,
} from "../src/types.ts";

export { WeftError } from "../src/errors.ts";
export type * from "../src/types.ts";

const wish = new URLSearchParams(location.search);
const NAMES = [
  "Ada Lovelace",
  "Grace Hopper",
  "Bo",
  "Katherine J.",
  "Mary Shelley",
  "Alan",
  "Radia Perlman",
  "Edsger",
  "Barbara Liskov",
  "Leslie",
];

// biome-ignore lint/suspicious/noExplicitAny: a mock of several emitters at once.
class Events<Map_ = any> {
  private readonly handlers = new Map<keyof Map_, Set<(event: never) => void>>();
  on<K extends keyof Map_>(name: K, handler: (event: Map_[K]) => void): () => void {
    const set = this.handlers.get(name) ?? new Set();
    set.add(handler as (event: never) => void);
    this.handlers.set(name, set);
    return () => set.delete(handler as (event: never) => void);
  }
  once = this.on;
  off(): void {}
  emit<K extends keyof Map_>(name: K, event: Map_[K]): void {
    for (const handler of this.handlers.get(name) ?? []) (handler as (event: Map_[K]) => void)(event);
  }
}

const fakeKey = (seed: number): string => {
  const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  let state = seed * 7919 + 17;
  let text = "z6Mk";
  for (let at = 0; at < 44; at += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    text += alphabet[(state >>> 16) % 58];
  }
  return text;
};

export const ready = async (): Promise<void> => {};

export class Query {
  constructor(private readonly query: Filter) {
    validate(query, "$");
  }
  matches(document: object): boolean {
    return matches(this.query, document as Filter);
  }
  explain(document: object): Explanation {
    const failures = Object.entries(this.query)
      .filter(([name, condition]) => !matches({ [name]: condition }, document as Filter))
      .map(([name, condition]) => {
        const operator = Object.keys(condition as object)[0] ?? "$eq";
        const found = JSON.stringify((document as Filter)[name]) ?? "nothing";
        return {
          term: `$.${name}.${operator}`,
          field: name,
          reason: `found ${found}, which does not satisfy ${operator}`,
        };
      });
    return { matches: failures.length === 0, failures };
  }
}

const OPERATORS = new Set([
  "$gte",
  "$gt",
  "$lt",
  "$lte",
  "$eq",
  "$in",
  "$regex",
  "$options",
  "$exists",
  "$or",
  "$and",
]);

function validate(query: unknown, path: string): void {
  if (typeof query !== "object" || query === null || query instanceof RegExp) return;
  for (const [name, inner] of Object.entries(query)) {
    if (name.startsWith("$") && !OPERATORS.has(name)) {
      throw new WeftError("bad-query", `unknown operator ${name} at ${path}`, {
        path,
        hint: "did you mean $gte?",
      });
    }
    validate(inner, Array.isArray(query) ? `${path}[${name}]` : `${path}.${name}`);
  }
}

function matches(query: Filter, document: Filter): boolean {
  return Object.entries(query).every(([name, condition]) => {
    if (name === "$or") return (condition as Filter[]).some((part) => matches(part, document));
    const value = document[name] as number;
    if (condition instanceof RegExp) return condition.test(String(value));
    if (typeof condition !== "object" || condition === null) return value === condition;
    return Object.entries(condition as { [name: string]: never }).every(([operator, operand]) => {
      if (operator === "$gte") return typeof value === "number" && value >= operand;
      if (operator === "$gt") return typeof value === "number" && value > operand;
      if (operator === "$lt") return typeof value === "number" && value < operand;
      if (operator === "$in") return (operand as unknown[]).includes(value);
      if (operator === "$exists") return (value !== undefined) === operand;
      if (operator === "$regex") return new RegExp(operand).test(String(value));
      return true;
    });
  });
}

export async function connect(options: ConnectOptions): Promise<Weft> {
  const events = new Events();
  const count = Number(wish.get("peers") ?? 0);
  const stats = {
    published: 0,
    received: 0,
    forwarded: 0,
    duplicates: 0,
    forged: 0,
    delivered: 0,
    unopened: 0,
    malformed: 0,
    linkBytesOut: 0,
    linkBytesIn: 0,
    connections: 0,
    unsent: 0,
    assembling: 0,
    unstored: 0,
  };
  const own = fakeKey(9999);
  let peers: PeerInfo[] = [];
  const joined = new Events();
  const subscriptions = new Set<{ query: Query; events: Events; open: boolean }>();

  const info = (index: number): PeerInfo => ({
    peer: fakeKey(index),
    identity: fakeKey(index + 100),
    name: NAMES[index % NAMES.length] ?? "",
    since: Date.now(),
    homes: [],
    linked: index % 3 !== 2 && index < 7,
    links: [
      own,
      ...[1, 3, count - 1, count - 3].map((step) => fakeKey((index + step) % Math.max(1, count))),
    ].slice(index % 3 === 2 || index >= 7 ? 1 : 0),
    forwarded: index % 4 === 0 ? 0 : 40 * index * index,
    ...(index % 3 === 0 ? {} : { state: { asks: '{ "rating": { "$gte": 8 }, "genre": "Drama" }' } }),
  });
  const arrive = (): void => {
    const peer = info(peers.length);
    peers = [...peers, peer];
    stats.connections = peers.filter((one) => one.linked).length;
    joined.emit("peer", { change: "joined", peer });
    if (peers.length < count) setTimeout(arrive, wish.has("fast") ? 20 : 300);
  };
  if (count > 0) setTimeout(arrive, 200);
  if (wish.has("traffic")) setTimeout(() => void traffic(), 300 * count + 400);

  async function traffic(): Promise<void> {
    const films = (await (await fetch("movies.json")).json()) as object[];
    let seq = 300;
    setInterval(() => {
      for (const film of films.slice(seq, seq + 12)) deliver(film, seq++);
      peers = peers.map((peer, at) => (at % 2 ? { ...peer, forwarded: peer.forwarded + 5 } : peer));
      stats.forwarded += 7;
      stats.received += 12;
      joined.emit("peer", { change: "changed", peer: peers[0] });
    }, 120);
    events.emit("message", {
      data: { text: "Hello! Which films did you ask for?" },
      from: fakeKey(100),
      peer: fakeKey(0),
      id: "ab",
      time: Date.now(),
    } satisfies Message);
  }
  function deliver(film: object, seq: number): void {
    for (const subscription of subscriptions) {
      if (!subscription.open || !subscription.query.matches(film)) continue;
      const event: DataEvent = {
        data: film as never,
        author: fakeKey(100 + (seq % 3)),
        feed: fakeKey(seq % 3),
        id: `id${seq}`,
        seq,
        time: Date.now(),
        backlog: seq < 400,
      };
      subscription.events.emit("data", event);
    }
  }

  const party = Object.assign(joined, {
    name: "movies",
    key: fakeKey(5),
    ready: Promise.resolve(),
    subscribe(query: Filter): Subscription {
      const mine = { query: new Query(query), events: new Events(), open: true };
      subscriptions.add(mine);
      setTimeout(() => mine.events.emit("live", undefined), 1500);
      return Object.assign(mine.events, {
        open: true,
        dropped: 0,
        close: () => {
          mine.open = false;
        },
      }) as unknown as Subscription;
    },
    async publish(_: object, options?: { signal?: AbortSignal }) {
      options?.signal?.throwIfAborted();
      stats.published += 1;
      return { id: fakeKey(stats.published).slice(4), seq: stats.published };
    },
    peers: () => peers,
    presence: () => [],
    setState: () => {},
    leave: async () => {},
  }) as unknown as Party;

  const state = wish.get("signaler-state");
  const signalers = options.signalers.map(
    (url, at): SignalerInfo =>
      state === "lost" && at > 0
        ? { url, state: "lost", reason: "connection refused" }
        : { url, state: "connected", signaler: fakeKey(77) },
  );
  return Object.assign(events, {
    identity: fakeKey(4242),
    peer: own,
    stored: true,
    join: async () => party,
    send: async (_: string, data: { text?: string }) => {
      await new Promise((done) => setTimeout(done, 600));
      if (data.text?.includes("lost"))
        throw new WeftError("unreachable", "no peer of the recipient could be reached within 10 s");
      return { id: "cd" };
    },
    signalers: () => signalers,
    block() {},
    unblock() {},
    rename() {},
    stats: (): Stats => stats,
    close: async () => {},
  }) as unknown as Weft;
}
