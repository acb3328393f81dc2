/** An identity goes to another place of the same person by a code: docs/spec/crypto.md, section 12, docs/adr/0084. */

import { check, checkOptions } from "./check.js";
import { WeftError } from "./errors.js";
import { linkCode, linkParty } from "./glue.js";
import { takeIn } from "./moving.js";
import { assertRoom } from "./store.js";
import type { ConnectOptions, Imported, Linking, LinkOptions, Party, Weft } from "./types.js";
import { call, type LazySource, load } from "./wasm.js";

/** Milliseconds that an export may take from there to here. */
const PATIENCE = 60_000;

/** Starts a peer of nobody that stores nothing. */
export type Start = (options: ConnectOptions) => Promise<Weft>;

/** Waits with a new code for somebody who has been given it, and gives away what `seal` seals under that code, once. */
export async function give(
  options: ConnectOptions,
  start: Start,
  seal: (code: string) => Promise<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<{ linking: Linking; close: () => Promise<void> }> {
  const code = call(() => linkCode());
  const file = await seal(code);
  signal?.throwIfAborted();
  // A peer of its own: requests to the application are the application's.
  const { signal: _, ...rest } = options;
  const weft = await start({ ...rest, name: "", store: "memory" });
  let taker: string | undefined;
  weft.onRequest(({ data, peer }) => {
    const isMeant = (data as { code?: unknown }).code === code && (taker ?? peer) === peer;
    if (!isMeant) throw new Error("nobody answers requests here");
    taker = peer;
    return { export: file };
  });
  const ends: (() => void)[] = [];
  const taken = new Promise<void>((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    ends.push(() => signal?.removeEventListener("abort", abort));
    ends.push(weft.on("closed", () => reject(new WeftError("closed", "this peer is closed; connect again"))));
    weft.join(call(() => linkParty(code))).then((party) => {
      // It goes when it has what it came for.
      party.on("peer", ({ change, peer }) => change === "left" && peer.peer === taker && resolve());
    }, reject);
  }).finally(() => {
    for (const end of ends) end();
    return weft.close();
  });
  // Who does not ask how it ended need not hear of it.
  taken.catch(() => {});
  return { linking: { code, taken }, close: () => weft.close() };
}

/** Fetches an identity from where its code is shown. */
export async function take(
  code: string,
  options: LinkOptions,
  start: Start,
  source: LazySource,
): Promise<Imported> {
  checkOptions(options, "takeIdentity", LINK);
  check(typeof code === "string", "a code for linking is text (weft:l…)", "bad-code");
  const { replace = false, ...rest } = options;
  const { signal, wasm = source } = rest;
  check(typeof replace === "boolean", "replace: true or false");
  signal?.throwIfAborted();
  await load(wasm);
  const text = code.trim();
  const key = call(() => linkParty(text));
  // Before the code is used up.
  await assertRoom(replace);
  const weft = await start({ ...rest, name: "", store: "memory" });
  try {
    return await takeIn(await fetched(weft, await weft.join(key), text, signal), text, replace);
  } finally {
    await weft.close();
  }
}

const LINK = ["signalers", "discover", "iceServers", "rtc", "wasm", "signal", "replace"] as const;

/** The first export that anybody in the party answers with. */
function fetched(
  weft: Weft,
  party: Party,
  code: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const asked = new Set<string>();
  let aborted = () => {};
  const found = new Promise<Uint8Array>((resolve, reject) => {
    aborted = () => reject(signal?.reason);
    signal?.addEventListener("abort", aborted);
    const look = async () => {
      for (const { peer, linked } of party.peers()) {
        if (!linked || asked.has(peer)) continue;
        asked.add(peer);
        const asking = weft.request<{ export?: unknown }>(peer, { code }, { timeout: PATIENCE });
        const answer = await asking.catch(() => undefined);
        if (answer?.export instanceof Uint8Array) return resolve(answer.export);
        // A link may have broken; one that has nothing to give says so again.
        if (answer === undefined) asked.delete(peer);
      }
    };
    party.on("peer", () => void look());
    party.on("link", () => void look());
    party.ready.catch(reject);
    void look();
  });
  return found.finally(() => signal?.removeEventListener("abort", aborted));
}
