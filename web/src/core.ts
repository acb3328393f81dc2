/** What the two entries of the package share. */

import { check, checkNumber, checkOptions } from "./check.js";
import { WeftError } from "./errors.js";
import { take } from "./linking.js";
import { rehearse } from "./rehearsal.js";
import { openKeys } from "./store.js";
import type { ConnectOptions, Imported, LinkOptions, Weft } from "./types.js";
import { type LazySource, load } from "./wasm.js";
import { RunningWeft } from "./weft.js";

export { WeftError, type WeftErrorCode } from "./errors.js";
export { importIdentity } from "./moving.js";
export { Query } from "./query.js";

/** Starts a peer; `source` is where the wasm is unless the options say so. */
export async function connect(options: ConnectOptions, source: LazySource): Promise<Weft> {
  assertBrowser();
  const rtc = rtcOf(options);
  const { signal, wasm = source, store = "indexeddb" } = options;
  signal?.throwIfAborted();
  await load(wasm);
  signal?.throwIfAborted();
  const keys = await openKeys(store);
  try {
    signal?.throwIfAborted();
    const weft = new RunningWeft(options, rtc, keys, (options) => connect(options, source));
    // While the signaler is being dialled there is nothing to do.
    void rehearse();
    return weft;
  } catch (error) {
    keys.database?.close();
    keys.release();
    throw error;
  }
}

/** Fetches an identity by the code that is shown where it is. */
export function takeIdentity(code: string, options: LinkOptions, source: LazySource): Promise<Imported> {
  return take(code, options, (options) => connect(options, source), source);
}

/** Loads the wasm. */
export async function ready(source: LazySource): Promise<void> {
  await load(source);
}

function assertBrowser(): void {
  if (typeof RTCPeerConnection === "function" && typeof WebSocket === "function") return;
  const message =
    "no WebRTC here: connect() needs a browser's page (not a worker, not Node); outside of browsers run the native peer, `weft`";
  throw new WeftError("no-webrtc", message);
}

const OPTIONS = [
  "signalers",
  "discover",
  "name",
  "iceServers",
  "rtc",
  "store",
  "wasm",
  "limits",
  "signal",
] as const;
const LIMITS = [
  "links",
  "homes",
  "forwardedLinks",
  "keepPublications",
  "keepBytes",
  "keepAge",
  "publishQueueBytes",
  "subscriptions",
  "messageTimeout",
  "eventBuffer",
] as const;

/** The configuration of connections, tried once so that a wrong one is an error here and not a link that never opens. */
function rtcOf(options: ConnectOptions): RTCConfiguration {
  const { signalers, discover, name, iceServers, rtc, store, limits } = checkOptions(
    options,
    "connect",
    OPTIONS,
  );
  const isText = (value: unknown) => typeof value === "string";
  check(Array.isArray(signalers) && signalers.every(isText), "signalers: a list of ws:// or wss:// URLs");
  check(discover === undefined || typeof discover === "boolean", "discover: true or false");
  check(name === undefined || isText(name), "name: text");
  check(store === undefined || store === "indexeddb" || store === "memory", 'store: "indexeddb" or "memory"');
  const { eventBuffer } = checkOptions(limits, "limits", LIMITS);
  checkNumber(eventBuffer, "limits.eventBuffer", 1, Number.MAX_SAFE_INTEGER);
  check(rtc === undefined || (typeof rtc === "object" && rtc !== null), "rtc: an RTCConfiguration");
  const configuration = iceServers === undefined ? { ...rtc } : { ...rtc, iceServers };
  try {
    new RTCPeerConnection(configuration).close();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WeftError("bad-option", `iceServers or rtc: ${why}`, { cause });
  }
  return configuration;
}
