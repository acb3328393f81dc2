/** Loads the wasm, once per page, and turns what it throws into errors. */

import { WeftError, type WeftErrorCode } from "./errors.js";
import init from "./glue.js";
import type { WasmSource } from "./types.js";

/** A source, or a way to get at one, which is asked only when it is needed. */
export type LazySource = WasmSource | Promise<WasmSource> | (() => WasmSource | Promise<WasmSource>);

let loading: Promise<void> | undefined;
let loaded = false;

/** Loads the wasm; later calls wait for the first one. After a failure the next call tries again. */
export function load(source: LazySource): Promise<void> {
  loading ??= start(source).then(
    () => {
      loaded = true;
    },
    (cause: unknown) => {
      loading = undefined;
      throw cause instanceof WeftError ? cause : loadError(cause);
    },
  );
  return loading;
}

/** Throws `not-ready` before {@link load} has resolved. */
export function assertLoaded(): void {
  if (!loaded) {
    throw new WeftError(
      "not-ready",
      "the wasm is not loaded yet: `await ready()` (or `await connect(…)`) first",
    );
  }
}

/** Calls into the wasm; what it throws becomes a {@link WeftError}. */
export function call<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (thrown) {
    throw asError(thrown);
  }
}

function asError(thrown: unknown): unknown {
  if (Array.isArray(thrown)) {
    const [code, message, path, hint] = thrown as [WeftErrorCode, string, string?, string?];
    return new WeftError(code, message, {
      ...(path === undefined ? {} : { path }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (thrown instanceof WebAssembly.RuntimeError) {
    return new WeftError("internal", "the wasm stopped: please report this with the cause's stack", {
      cause: thrown,
    });
  }
  return thrown;
}

async function start(source: LazySource): Promise<void> {
  const given = await (typeof source === "function" ? source() : source);
  await init({ module_or_path: await bytes(given) });
}

/** What the glue can take: it knows no `file:` URLs, and a page served in place of the wasm deserves a clear error. */
async function bytes(source: WasmSource): Promise<Response | BufferSource | WebAssembly.Module> {
  if (source instanceof URL && source.protocol === "file:") {
    const file = readFile(source);
    if (file !== undefined) return file;
  }
  const isRequest = typeof Request === "function" && source instanceof Request;
  const isLocation = typeof source === "string" || source instanceof URL || isRequest;
  const given = isLocation ? await fetch(source) : source;
  if (typeof Response !== "function" || !(given instanceof Response)) return given;
  const type = given.headers.get("content-type") ?? "";
  if (!given.ok || type.startsWith("text/html")) {
    throw loadError(`${given.url || "the response"}: status ${given.status}, type ${type || "unknown"}`);
  }
  // Servers that do not know the type still serve the bytes; only compiling while they stream needs it.
  return type.startsWith("application/wasm") ? given : given.arrayBuffer();
}

/** The file under Node; undefined in browsers, and in a Node that is too old for `process.getBuiltinModule`. */
function readFile(url: URL): Uint8Array<ArrayBuffer> | undefined {
  type Process = { getBuiltinModule?: (name: string) => { readFileSync(url: URL): Uint8Array<ArrayBuffer> } };
  // Not imported: a bundler for browsers would stumble over the name.
  const { process } = globalThis as { process?: Process };
  return process?.getBuiltinModule?.("node:fs").readFileSync(url);
}

function loadError(cause: unknown): WeftError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const next =
    "serve weft_bg.wasm beside the JavaScript (a Content Security Policy needs connect-src 'self' and script-src 'wasm-unsafe-eval'), pass `wasm`, or import weft-mesh/inline";
  return new WeftError("wasm-load", `the wasm could not be loaded (${why}): ${next}`, { cause });
}
