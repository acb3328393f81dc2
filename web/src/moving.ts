/** An identity that goes elsewhere in a file under a passphrase: docs/spec/crypto.md, docs/adr/0070 and 0082. */

import { check, checkOptions } from "./check.js";
import { WeftError } from "./errors.js";
import { exportRecipe, openExport, sealExport } from "./glue.js";
import type { Recipe } from "./passphrase.js";
import { type ImportedParty, importKeys } from "./store.js";
import type { Imported, ImportOptions } from "./types.js";
import { call, type LazySource, load } from "./wasm.js";

/** Bytes of the largest export. */
const LARGEST = 64 * 1024 * 1024;

/** A private party that goes with its member. */
export interface ExportedParty {
  readonly key: string;
  /** Empty where one has not founded it. */
  readonly seed: Uint8Array;
  readonly statements: readonly Uint8Array[];
}

/** Seals an identity. The wasm must be loaded. */
export async function sealIdentity(
  passphrase: string,
  identity: Uint8Array,
  name: string,
  parties: () => Promise<readonly ExportedParty[]>,
): Promise<Uint8Array> {
  const [recipe, letters] = recipeOf();
  check(
    typeof passphrase === "string" && [...passphrase].length >= letters,
    `a passphrase, which is text of at least ${letters} letters`,
  );
  const key = await derive(passphrase, recipe);
  const each = (await parties()).flatMap(({ key, seed, statements }) => [key, seed, statements]);
  return call(() => sealExport(recipe.salt, key, identity, name, each));
}

/** Takes in an identity; `source` is where the wasm is unless the options say so. */
export async function importIdentity(
  file: Blob | ArrayBuffer | Uint8Array,
  passphrase: string,
  options: ImportOptions | undefined,
  source: LazySource,
): Promise<Imported> {
  const { replace = false, wasm = source } = checkOptions(options, "importIdentity", ["replace", "wasm"]);
  check(typeof passphrase === "string", "a passphrase is text");
  check(typeof replace === "boolean", "replace: true or false");
  await load(wasm);
  return await takeIn(await read(file), passphrase, replace);
}

/** The same of bytes, once the wasm is loaded. */
export async function takeIn(bytes: Uint8Array, passphrase: string, replace: boolean): Promise<Imported> {
  const [recipe] = recipeOf(bytes);
  const key = await derive(passphrase, recipe);
  const [seed, identity, name, ...rest] = call(() => openExport(bytes, key));
  const parties: ImportedParty[] = [];
  for (let at = 0; at + 3 < rest.length; at += 4) {
    const [discovery, key, seed, statements] = rest.slice(at) as [string, string, Uint8Array, Uint8Array[]];
    parties.push({ discovery, key, seed, statements });
  }
  await importKeys(seed, parties, replace);
  return { identity, name, parties: parties.map(({ key }) => key) };
}

async function read(file: Blob | ArrayBuffer | Uint8Array): Promise<Uint8Array> {
  if (file instanceof Blob) return new Uint8Array(await bounded(file, file.size).arrayBuffer());
  const isBytes = file instanceof ArrayBuffer || file instanceof Uint8Array;
  check(isBytes, "an export is a File, a Blob, an ArrayBuffer or a Uint8Array");
  return new Uint8Array(bounded(file, file.byteLength));
}

function bounded<File>(file: File, size: number): File {
  if (size <= LARGEST) return file;
  const message = `this is no export of an identity: ${size} bytes are more than there can be`;
  throw new WeftError("bad-export", message);
}

/** How the key of an export, or of a new one, comes of its passphrase, and the letters that it must have. */
function recipeOf(bytes?: Uint8Array): [Recipe, number] {
  const [memory, passes, lanes, salt, letters] = call(() => exportRecipe(bytes));
  return [{ memory, passes, lanes, salt }, letters];
}

async function derive(passphrase: string, recipe: Recipe): Promise<Uint8Array> {
  const module = await import("./passphrase.js").catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    const next = "serve passphrase.js beside core.js";
    throw new WeftError("wasm-load", `what makes keys of passphrases could not be loaded (${why}): ${next}`, {
      cause,
    });
  });
  return await module.derive(passphrase, recipe);
}
