/**
 * What the chat stores in this browser profile: sealed records in IndexedDB, under an AES-GCM key of WebCrypto that no script
 * can read out (W3C Web Cryptography API, section 13.4). Each is bound to its name. Names say nothing of people: they are
 * numbers.
 */

import { pack, unpack } from "./pack.js";

/** A record as it is stored. */
interface Sealed {
  readonly iv: Uint8Array<ArrayBuffer>;
  readonly sealed: ArrayBuffer;
}

/** What to store under a name; undefined removes it. */
export type Entry = readonly [name: string, value: unknown];

const DATABASE = "weft-chat";
const KEYS = "keys";
const RECORDS = "records";
const KEY = "history";
/** Bytes of an AES-GCM nonce (NIST SP 800-38D, section 8.2). */
const IV = 12;
/** Milliseconds. Some browsers leave the request to open a database unanswered for ever. */
const PATIENCE = 5000;

export class Vault {
  /** Writing is one after the other, so that of two values of one name the later one stays. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly database: IDBDatabase,
    readonly key: CryptoKey,
  ) {}

  /** Opens what is there. Rejects where the browser keeps nothing. */
  static async open(): Promise<Vault> {
    const database = await openDatabase();
    const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ]);
    const key = await run(database, KEYS, "readwrite", (keys) => {
      const found = keys.get(KEY);
      found.onsuccess = () => found.result === undefined && keys.put(made, KEY);
      return found;
    });
    return new Vault(database, key instanceof CryptoKey ? key : made);
  }

  /** The value of that name; undefined if there is none. */
  async get(name: string): Promise<unknown> {
    const bytes = await this.bytes(name);
    return bytes && unpack(bytes);
  }

  /** The bytes that were put as such under this name. */
  async bytes(name: string): Promise<Uint8Array | undefined> {
    await this.#queue;
    const found = await run(this.database, RECORDS, "readonly", (records) => records.get(name));
    return found === undefined ? undefined : await this.#opened(name, found as Sealed);
  }

  /** All values whose names begin so. */
  async all(prefix: string): Promise<unknown[]> {
    await this.#queue;
    const range = within(prefix);
    const names = (await run(this.database, RECORDS, "readonly", (records) =>
      records.getAllKeys(range),
    )) as string[];
    const found = (await run(this.database, RECORDS, "readonly", (records) =>
      records.getAll(range),
    )) as Sealed[];
    return await Promise.all(
      found.map(async (each, at) => unpack(await this.#opened(names[at] ?? "", each))),
    );
  }

  /** Names that begin so. */
  async names(prefix: string): Promise<string[]> {
    await this.#queue;
    const range = within(prefix);
    return (await run(this.database, RECORDS, "readonly", (records) =>
      records.getAllKeys(range),
    )) as string[];
  }

  /** Stores values, all or none of them. Bytes are stored as bytes. */
  put(entries: readonly Entry[]): Promise<void> {
    // Packed now: the values may change before it is their turn.
    const packed = entries.map(
      ([name, value]) =>
        [name, value instanceof Uint8Array ? new Uint8Array(value) : value && pack(value)] as const,
    );
    return this.#then(async () => {
      const sealed = await Promise.all(
        packed.map(
          async ([name, bytes]) =>
            [name, bytes && (await this.#sealed(name, bytes as BufferSource))] as const,
        ),
      );
      await run(this.database, RECORDS, "readwrite", (records) => {
        for (const [name, value] of sealed) value ? records.put(value, name) : records.delete(name);
      });
    });
  }

  /** Removes everything whose name begins with one of these. */
  remove(...prefixes: readonly string[]): Promise<void> {
    return this.#then(async () => {
      await run(this.database, RECORDS, "readwrite", (records) => {
        for (const prefix of prefixes) records.delete(within(prefix));
      });
    });
  }

  #then(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #sealed(name: string, bytes: BufferSource): Promise<Sealed> {
    const iv = crypto.getRandomValues(new Uint8Array(IV));
    return { iv, sealed: await crypto.subtle.encrypt(algorithm(iv, name), this.key, bytes) };
  }

  async #opened(name: string, { iv, sealed }: Sealed): Promise<Uint8Array> {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm(iv, name), this.key, sealed));
  }
}

const algorithm = (iv: Uint8Array<ArrayBuffer>, name: string): AesGcmParams => ({
  name: "AES-GCM",
  iv,
  additionalData: new TextEncoder().encode(name),
});

const within = (prefix: string): IDBKeyRange => IDBKeyRange.bound(prefix, `${prefix}\uffff`);

/** A transaction of its own. */
function run(
  database: IDBDatabase,
  store: string,
  mode: IDBTransactionMode,
  // biome-ignore lint/suspicious/noConfusingVoidType: what only writes gives nothing.
  work: (store: IDBObjectStore) => IDBRequest | void,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(store, mode);
    const asked = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked?.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB refuses"));
  });
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("IndexedDB does not answer")), PATIENCE);
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      for (const name of [KEYS, RECORDS]) request.result.createObjectStore(name);
    };
    request.onerror = () => reject(request.error ?? new Error("IndexedDB refuses"));
    request.onsuccess = () => {
      clearTimeout(timer);
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
  });
}
