/** Keys of passphrases. Apart from the rest, for it has a module of its own, which is loaded when a passphrase is used. */

import { argon2id } from "hash-wasm";

/** What is to be done for a key: KiB of memory, how often it is gone over, in how many lanes; RFC 9106, section 3.1. */
export interface Recipe {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Uint8Array;
}

/** The key of 32 bytes that Argon2id makes of a passphrase. Half a second of work on a usual machine, without a break. */
export async function derive(passphrase: string, recipe: Recipe): Promise<Uint8Array> {
  return await argon2id({
    password: new TextEncoder().encode(passphrase),
    salt: recipe.salt,
    memorySize: recipe.memory,
    iterations: recipe.passes,
    parallelism: recipe.lanes,
    hashLength: 32,
    outputType: "binary",
  });
}
