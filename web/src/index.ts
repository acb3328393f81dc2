/**
 * weft-mesh: a mesh for browsers that nobody has to trust.
 *
 * The wasm is loaded from beside this file by URL; `weft-mesh/inline` carries it inside instead. Importing does nothing:
 * no request, no global, no polyfill, in a browser as in Node.
 */

import * as core from "./core.js";
import type { ConnectOptions, Imported, ImportOptions, LinkOptions, WasmSource, Weft } from "./types.js";

export { WeftError, type WeftErrorCode } from "./errors.js";
export { Query } from "./query.js";
export type * from "./types.js";

/**
 * Starts a peer. Keys are made on first use and kept in this browser profile; each tab is a peer of its own.
 *
 * Resolves as soon as the peer runs, not when a signaler answers: `weft.on("signaler")` and `party.ready` tell that.
 * Rejects with `bad-option`, `no-webrtc` (not a browser), `wasm-load`, `revoked` or the signal's reason.
 */
export function connect(options: ConnectOptions): Promise<Weft> {
  return core.connect(options, besideThisFile);
}

/** Loads the wasm, once; only needed before using {@link Query} without {@link connect}. Rejects with `wasm-load`. */
export function ready(wasm?: WasmSource | Promise<WasmSource>): Promise<void> {
  return core.ready(wasm ?? besideThisFile);
}

/**
 * Takes in an identity that {@link Weft.export}, or `weft export` in a terminal, has written: {@link connect} is it from then on,
 * with a peer of its own. Tabs that run already stay who they are.
 *
 * Rejects with `wrong-passphrase`, `bad-export`, `another-identity` if this browser profile has another one and `replace` is not
 * set, `in-use` if tabs run that are to be replaced, `store-failed`, `bad-option` or `wasm-load`; nothing is changed then.
 */
export function importIdentity(
  file: Blob | ArrayBuffer | Uint8Array,
  passphrase: string,
  options?: ImportOptions,
): Promise<Imported> {
  return core.importIdentity(file, passphrase, options, besideThisFile);
}

/**
 * Fetches an identity from a place that shows a code, by {@link Weft.link} or by `weft link` in a terminal: {@link connect} is it from
 * then on, with a peer of its own. Waits for that place until the signal says otherwise.
 *
 * Rejects with `bad-code`, with `another-identity` if this browser profile has one already and `replace` is not set, `in-use` if tabs
 * run that are to be replaced, `store-failed`, as {@link connect} does, or with the signal's reason; nothing is changed then.
 */
export function takeIdentity(code: string, options: LinkOptions): Promise<Imported> {
  return core.takeIdentity(code, options, besideThisFile);
}

/** Bundlers look for this very expression and ship the file along. */
const besideThisFile = (): URL => new URL("./weft_bg.wasm", import.meta.url);
