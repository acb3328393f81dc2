/**
 * What parties keep, in IndexedDB: the core says what is put and removed, and whether what is read is believed.
 *
 * All tabs of a profile share one store: each puts what it keeps and removes what it does not keep any more.
 */

import { request } from "./wrapping.js";

/** Where answers go; never while the store is being called. */
export interface FeedAnswers {
  loaded(party: string, found: Found, failed: string | undefined): void;
  written(party: string, work: number, failed: string | undefined): void;
}

/** Whether there is more, and then each key with its value. */
export type Found = readonly (boolean | Uint8Array)[];

/** The object store's name. Its keys are pairs: a party's discovery key, and the core's key. */
export const FEEDS = "feeds";
/** Entries that are read at once, and bytes of them: one entry more than these at most. */
const AT_ONCE = 1024;
const BYTES = 4 * 1024 * 1024;
/** Milliseconds that joining waits for what is stored; what comes later is merged. */
const PATIENCE = 1000;

export class FeedStore {
  readonly #database: IDBDatabase;
  readonly #answers: FeedAnswers;
  /** What was read before the core asks for it. */
  readonly #ready = new Map<string, Found>();
  /** Beginnings that are being read. */
  readonly #preparing = new Map<string, Promise<void>>();

  constructor(database: IDBDatabase, answers: FeedAnswers) {
    this.#database = database;
    this.#answers = answers;
  }

  /** Reads the beginning of what is stored of a party, once for all who ask, so that it is there as soon as the core asks. */
  prepare(party: string): Promise<void> {
    const known = this.#preparing.get(party);
    if (known) return known;
    const preparing = this.#beginning(party).then((found) => {
      // Unless it was forgotten meanwhile.
      if (this.#preparing.get(party) !== preparing) return;
      this.#preparing.delete(party);
      if (found) this.#ready.set(party, found);
    });
    this.#preparing.set(party, preparing);
    return preparing;
  }

  /** What was prepared is of no use any more. */
  discard(party: string): void {
    this.#ready.delete(party);
    this.#preparing.delete(party);
  }

  async #beginning(party: string): Promise<Found | undefined> {
    let stop = () => {};
    const late = new Promise<undefined>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE);
      stop = () => clearTimeout(timer);
    });
    // What cannot be read now is asked for again by the core, and fails there.
    const found = await Promise.race([this.#read(party, undefined).catch(() => undefined), late]);
    stop();
    return found;
  }

  /** Does what the core says; gives what was read if it is there already. Throws what keeps a write from beginning. */
  work(
    party: string,
    what: string,
    work: number,
    put: Uint8Array[],
    remove: Uint8Array[],
  ): Found | undefined {
    if (what === "load") {
      const [after] = put;
      const ready = this.#ready.get(party);
      this.#ready.delete(party);
      if (after === undefined && ready !== undefined) return ready;
      this.#read(party, after).then(
        (found) => this.#answers.loaded(party, found, undefined),
        (error) => this.#answers.loaded(party, [false], reason(error)),
      );
      return undefined;
    }
    if (what === "forget") this.discard(party);
    const transaction = this.#database.transaction(FEEDS, "readwrite");
    const feeds = transaction.objectStore(FEEDS);
    try {
      if (what === "forget") feeds.delete(range(party, undefined));
      for (let at = 0; at + 1 < put.length; at += 2) {
        feeds.put(put[at + 1], [party, put[at] as Uint8Array<ArrayBuffer>]);
      }
      for (const key of remove) feeds.delete([party, key as Uint8Array<ArrayBuffer>]);
    } catch (error) {
      // All of it or nothing.
      transaction.abort();
      throw error;
    }
    transaction.oncomplete = () => this.#answers.written(party, work, undefined);
    transaction.onabort = () => this.#answers.written(party, work, reason(transaction.error));
    return undefined;
  }

  /** What a party has stored between two keys, the second not included: each key with its value. */
  async between(party: string, [first, end]: readonly [Uint8Array, Uint8Array]): Promise<Uint8Array[]> {
    const range = IDBKeyRange.bound([party, first], [party, end], false, true);
    let keys: IDBRequest<IDBValidKey[]> | undefined;
    const values = (await request(this.#database, FEEDS, "readonly", (feeds) => {
      keys = feeds.getAllKeys(range);
      return feeds.getAll(range);
    })) as unknown[];
    return (keys?.result ?? []).flatMap((key, at) => [bytes((key as unknown[])[1]), bytes(values[at])]);
  }

  /** Ends when what is under way is done. */
  close(): void {
    this.#database.close();
  }

  #read(party: string, after: Uint8Array | undefined): Promise<Found> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(FEEDS, "readonly");
      const request = transaction.objectStore(FEEDS).openCursor(range(party, after));
      const rows: Uint8Array[] = [];
      let size = 0;
      let more = false;
      request.onsuccess = () => {
        const cursor = request.result;
        more = cursor !== null && (rows.length >= 2 * AT_ONCE || size >= BYTES);
        if (cursor === null || more) return;
        const value = bytes(cursor.value);
        rows.push(bytes((cursor.key as unknown[])[1]), value);
        size += value.length;
        cursor.continue();
      };
      transaction.onabort = () => reject(transaction.error);
      transaction.oncomplete = () => resolve([more, ...rows]);
    });
  }
}

/** The keys of a party, behind one of them. A list is greater than any bytes. */
function range(party: string, after: Uint8Array | undefined): IDBKeyRange {
  const begin = after === undefined ? [party] : [party, after as Uint8Array<ArrayBuffer>];
  return IDBKeyRange.bound(begin, [party, []], true);
}

/** Whatever is found there: the core drops what is none of its own. */
function bytes(found: unknown): Uint8Array {
  if (found instanceof Uint8Array) return found;
  return found instanceof ArrayBuffer ? new Uint8Array(found) : new Uint8Array();
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message || error.name : "IndexedDB refuses";
}
