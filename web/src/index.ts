/**
 * weft-mesh: a mesh for browsers that nobody has to trust.
 *
 * The wasm is loaded from beside this file by URL; `weft-mesh/inline` carries it inside instead. Importing does nothing:
 * no request, no global, no polyfill, in a browser as in Node.
 */

import * as core from "./core.js";
import type { ConnectOptions, WasmSource, Weft } from "./types.js";

export { WeftError, type WeftErrorCode } from "./errors.js";
export { Query } from "./query.js";
export type * from "./types.js";

/**
 * Starts a peer. Keys are made on first use and kept in this browser profile; each tab is a peer of its own.
 *
 * Resolves as soon as the peer runs, not when a signaler answers: `weft.on("signaler")` and `party.ready` tell that.
 * Rejects with `bad-option`, `no-webrtc` (not a browser), `wasm-load` or the signal's reason.
 */
export function connect(options: ConnectOptions): Promise<Weft> {
  return core.connect(options, besideThisFile);
}

/** Loads the wasm, once; only needed before using {@link Query} without {@link connect}. Rejects with `wasm-load`. */
export function ready(wasm?: WasmSource | Promise<WasmSource>): Promise<void> {
  return core.ready(wasm ?? besideThisFile);
}

/** Bundlers look for this very expression and ship the file along. */
const besideThisFile = (): URL => new URL("./weft_bg.wasm", import.meta.url);
