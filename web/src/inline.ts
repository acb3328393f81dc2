/** The same as `weft-mesh`, with the wasm inside: for bundles of one file, and servers that serve no wasm. */

import * as core from "./core.js";
import type { ConnectOptions, Imported, ImportOptions, LinkOptions, WasmSource, Weft } from "./types.js";
import inlined from "./wasm-inline.js";

export { WeftError, type WeftErrorCode } from "./errors.js";
export { Query } from "./query.js";
export type * from "./types.js";

/** As `connect` of `weft-mesh`. */
export function connect(options: ConnectOptions): Promise<Weft> {
  return core.connect(options, unpack);
}

/** As `ready` of `weft-mesh`. */
export function ready(wasm?: WasmSource | Promise<WasmSource>): Promise<void> {
  return core.ready(wasm ?? unpack);
}

/** As `importIdentity` of `weft-mesh`. */
export function importIdentity(
  file: Blob | ArrayBuffer | Uint8Array,
  passphrase: string,
  options?: ImportOptions,
): Promise<Imported> {
  return core.importIdentity(file, passphrase, options, unpack);
}

/** As `takeIdentity` of `weft-mesh`. */
export function takeIdentity(code: string, options: LinkOptions): Promise<Imported> {
  return core.takeIdentity(code, options, unpack);
}

/** From base64 of gzip: a third of the size of the bytes in base64. */
async function unpack(): Promise<ArrayBuffer> {
  const packed = Uint8Array.from(atob(inlined), (character) => character.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).arrayBuffer();
}
