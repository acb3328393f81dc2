/** Private parties that this browser profile knows: their keys, and the seeds of those that were founded here. */

import { type KnownParty, MEMBERS, PARTY, PARTY_KEY, records, statements } from "./remembered.js";
import { type Keys, randomSeed, SEEDS } from "./store.js";
import { isSealed, request, type Wrapping } from "./wrapping.js";

/** Where one is a member, there is no seed. */
const NOTHING = new Uint8Array();

export class PrivateParties {
  readonly #database: IDBDatabase | undefined;
  readonly #wrapping: Wrapping;
  /** Seeds by discovery key. */
  readonly #known = new Map<string, Uint8Array>();
  /** Keys of those that were remembered by this page. */
  readonly #keys = new Map<string, string>();

  constructor(keys: Keys) {
    this.#database = keys.database;
    this.#wrapping = keys.wrapping;
  }

  /** A seed for a new party. */
  seed(): Uint8Array {
    return randomSeed();
  }

  /** Remembers a party; of one that was founded here, its seed. Resolves when it will be there after a reload. */
  async remember(discovery: string, key: string, seed: Uint8Array = NOTHING): Promise<void> {
    const known = await this.find(discovery);
    this.#keys.set(discovery, key);
    if (known !== undefined && known.length >= seed.length) return;
    this.#known.set(discovery, seed);
    const stored = await records(this.#wrapping, { discovery, key, seed });
    await this.#do("readwrite", (seeds) => {
      for (const [at, value] of stored) seeds.put(value, at);
      return { result: undefined };
    });
  }

  /** Whether a party is a private one, and its seed if it was founded here. */
  async find(discovery: string): Promise<Uint8Array | undefined> {
    const known = this.#known.get(discovery);
    if (known !== undefined) return known;
    const at = PARTY + discovery;
    const found = await this.#do("readonly", (seeds) => seeds.get(at));
    const seed = isSealed(found) ? await this.#wrapping.open(at, found) : found;
    if (!(seed instanceof Uint8Array)) return undefined;
    this.#known.set(discovery, seed);
    if (seed === found && seed.length > 0 && this.#wrapping.seals) {
      // As it was stored before. If that cannot be changed now, it may be next time.
      const sealed = await this.#wrapping.seal(at, seed);
      await this.#do("readwrite", (seeds) => seeds.put(sealed, at)).catch(() => {});
    }
    return seed;
  }

  /** All that this page or the profile knows. */
  async all(): Promise<KnownParty[]> {
    const keys = new Map(this.#keys);
    for (const [name, value] of await this.#storedKeys()) {
      const bytes = isSealed(value) ? await this.#wrapping.open(name, value) : value;
      if (bytes instanceof Uint8Array)
        keys.set(name.slice(PARTY_KEY.length), new TextDecoder().decode(bytes));
    }
    const all = [...keys].map(async ([discovery, key]) => {
      return { discovery, key, seed: (await this.find(discovery)) ?? NOTHING };
    });
    return await Promise.all(all);
  }

  async #storedKeys(): Promise<[name: string, value: unknown][]> {
    let names: IDBRequest<IDBValidKey[]> | undefined;
    const values = await this.#do("readonly", (seeds) => {
      const range = IDBKeyRange.bound(PARTY_KEY, `${PARTY_KEY}\uffff`);
      names = seeds.getAllKeys(range);
      return seeds.getAll(range);
    });
    const keys = names?.result ?? [];
    return keys.map((name, at) => [String(name), (values as unknown[])[at]]);
  }

  /** What was imported of a party's members, and is not joined yet. */
  async imported(discovery: string): Promise<readonly Uint8Array[]> {
    return statements(await this.#do("readonly", (seeds) => seeds.get(MEMBERS + discovery)));
  }

  /** What was imported of a party's members is of no use any more. */
  async forget(discovery: string): Promise<void> {
    await this.#do("readwrite", (seeds) => seeds.delete(MEMBERS + discovery));
  }

  async #do(
    mode: IDBTransactionMode,
    work: (seeds: IDBObjectStore) => { readonly result: unknown },
  ): Promise<unknown> {
    if (this.#database === undefined) return undefined;
    return await request(this.#database, SEEDS, mode, work);
  }
}
