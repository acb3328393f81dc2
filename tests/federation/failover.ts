/** A crowd with two homes each, and one of three signalers killed: how soon everybody has two homes again, and is anybody lost? */
import { randomBytes } from "node:crypto";
import type { Signaler } from "./signaler.ts";
import { decode, type Fields } from "./wire/cbor.ts";
import { bytesAt, Key, same } from "./wire/keys.ts";
import { From, Peer, To } from "./wire/peer.ts";

/** Clients in one swarm: below what a list of members may hold, with two homes each. */
const SWARM = 20;
/** Connections that are opened at once. */
const OPENING = 32;
/** How long it may take at most, milliseconds: that of an entry's life. */
const PATIENCE = 120_000;

/** What came of it, in milliseconds from the kill. */
export interface Failover {
  /** When everybody had been found at each signaler that is left, by whatever entry. */
  readonly found: number;
  /** When everybody had two homes again, and was found at both. */
  readonly moved: number;
  /** Looks at a swarm that lacked somebody. */
  readonly missed: number;
}

interface Client {
  readonly key: Key;
  readonly discovery: Uint8Array;
  readonly homes: Set<Signaler>;
}

/** Connects the crowd, kills the first signaler, and looks until all is well. */
export async function failover(
  all: readonly [Signaler, Signaler, Signaler],
  count: number,
): Promise<Failover> {
  const swarms = Array.from({ length: Math.ceil(count / SWARM) }, () => randomBytes(32));
  const clients = Array.from({ length: count }, (_, n): Client => {
    const discovery = swarms[n % swarms.length] ?? randomBytes(32);
    return { key: new Key(), discovery, homes: new Set() };
  });
  const lost: unknown[] = [];
  const enter = async (client: Client, home: Signaler): Promise<void> => {
    client.homes.add(home);
    const peer = await Peer.connect(home.url, { key: client.key });
    await lookUp(peer, client.discovery);
    peer.socket.onClosed = () => {
      client.homes.delete(home);
      if (running) move(client, home).catch((error: unknown) => lost.push(error));
    };
  };
  /** The home that it has not had. */
  const move = async (client: Client, gone: Signaler): Promise<void> => {
    const other = all.find((home) => home !== gone && !client.homes.has(home));
    if (other !== undefined) await enter(client, other);
  };
  let running = true;
  await crowd(clients.entries(), async ([n, client]) => {
    for (const home of [all[n % 3], all[(n + 1) % 3]]) if (home !== undefined) await enter(client, home);
  });

  const [dead, ...living] = all;
  const killed = performance.now();
  await dead.kill();
  const passed = () => performance.now() - killed;
  let [found, missed] = [0, 0];
  const askers = await Promise.all(living.map((home) => Peer.connect(home.url)));
  for (;;) {
    let [there, moved] = [0, 0];
    for (const asker of askers) {
      for (const discovery of swarms) {
        const listed = await lookUp(asker, discovery);
        asker.leave(discovery);
        const members = clients.filter((client) => client.discovery === discovery);
        const homes = (client: Client) => listed.get(hex(client.key.id)) ?? new Set();
        const here = members.filter((client) => homes(client).size > 0).length;
        const twice = (client: Client) => living.every((home) => homes(client).has(hex(home.id)));
        there += here;
        moved += members.filter(twice).length;
        missed += here < members.length ? 1 : 0;
      }
    }
    if (lost.length > 0) throw lost[0];
    if (there === askers.length * count) found ||= passed();
    if (moved === askers.length * count) break;
    if (passed() > PATIENCE)
      throw new Error(`after ${PATIENCE} ms ${moved} of ${askers.length * count} are found`);
  }
  running = false;
  return { found, moved: passed(), missed };
}

/** Announces a peer, and takes the list of members: their homes. Nothing is verified, for one process is the whole crowd. */
async function lookUp(peer: Peer, discovery: Uint8Array): Promise<Map<string, Set<string>>> {
  peer.send(To.Announce, [0, peer.entry(discovery)]);
  const { fields } = await peer.inbox.take(
    From.Members,
    (body) => same(bytesAt(body, 0), discovery),
    PATIENCE,
  );
  const homes = new Map<string, Set<string>>();
  for (const signed of fields.get(1) as Uint8Array[]) {
    const [body] = decode(signed) as [Uint8Array];
    const entry = decode(body) as Fields;
    const [who, home] = [hex(bytesAt(entry, 1)), hex(bytesAt(entry, 2))];
    homes.set(who, (homes.get(who) ?? new Set()).add(home));
  }
  return homes;
}

/** Does something for everybody, some at a time. */
async function crowd<T>(all: Iterable<T>, each: (one: T) => Promise<void>): Promise<void> {
  const rest = all[Symbol.iterator]();
  const worker = async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await each(next.value);
  };
  await Promise.all(Array.from({ length: OPENING }, worker));
}

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString("hex");
}
