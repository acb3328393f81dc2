import assert from "node:assert/strict";
import { test } from "node:test";
import { FeedStore, type Found } from "../../web/src/feeds.js";

/** As much of IndexedDB as the store uses, with the rows of one party. */
class Database {
  reads = 0;
  constructor(readonly rows: [Uint8Array, Uint8Array][]) {}

  transaction(): object {
    const transaction = {
      oncomplete: () => {},
      onabort: () => {},
      objectStore: () => ({
        openCursor: (after: Uint8Array | undefined) => this.#cursor(after, () => transaction.oncomplete()),
        delete: () => {
          this.rows.length = 0;
          setTimeout(() => transaction.oncomplete());
        },
      }),
    };
    return transaction;
  }

  #cursor(after: Uint8Array | undefined, complete: () => void): object {
    this.reads += 1;
    // What a transaction reads is what was there when it began.
    const rows = this.rows.filter(([key]) => after === undefined || (key[0] ?? 0) > (after[0] ?? 0));
    const request = { result: null as object | null, onsuccess: () => {} };
    const step = (at: number): void => {
      const row = rows[at];
      let goesOn = false;
      const next = () => {
        goesOn = true;
      };
      request.result = row ? { key: ["p", row[0]], value: row[1], continue: next } : null;
      request.onsuccess();
      setTimeout(() => (goesOn ? step(at + 1) : complete()));
    };
    setTimeout(() => step(0));
    return request;
  }
}

function opened(rows: [Uint8Array, Uint8Array][]): {
  database: Database;
  store: FeedStore;
  loaded: Promise<Found>;
} {
  Object.assign(globalThis, { IDBKeyRange: { bound: (begin: unknown[]) => begin[1] } });
  const database = new Database(rows);
  let resolve: (found: Found) => void = () => {};
  const loaded = new Promise<Found>((done) => {
    resolve = done;
  });
  const answers = { loaded: (_: string, found: Found) => resolve(found), written() {} };
  return { database, store: new FeedStore(database as unknown as IDBDatabase, answers), loaded };
}

const row = (key: number, size: number): [Uint8Array, Uint8Array] => [
  Uint8Array.of(key),
  new Uint8Array(size),
];

test("what is read at once is bounded in bytes, and the rest is read behind it", async () => {
  const { store, loaded } = opened([1, 2, 3, 4, 5, 6].map((key) => row(key, 1024 * 1024)));
  await store.prepare("p");
  const first = store.work("p", "load", 0, [], []);
  assert.equal(first?.[0], true);
  assert.equal(first?.length, 1 + 2 * 4);
  assert.equal(store.work("p", "load", 0, [Uint8Array.of(4)], []), undefined);
  const rest = await loaded;
  assert.equal(rest[0], false);
  assert.equal(rest.length, 1 + 2 * 2);
});

test("a party that is joined twice at once is read once, and what was forgotten does not come back", async () => {
  const { database, store, loaded } = opened([row(1, 10)]);
  await Promise.all([store.prepare("p"), store.prepare("p")]);
  assert.equal(database.reads, 1);
  assert.equal(store.work("p", "load", 0, [], [])?.length, 3);
  // One that was joined, and is forgotten while it is being read again.
  const again = store.prepare("p");
  store.work("p", "forget", 1, [], []);
  await again;
  assert.equal(store.work("p", "load", 0, [], []), undefined);
  assert.deepEqual(await loaded, [false]);
});
