/**
 * Where keys are kept: 32-byte seeds in IndexedDB, one for the identity and one for each numbered peer slot.
 *
 * A tab holds a slot by a Web Lock, which the browser lets go when the page ends however it ends. So two tabs are two
 * peers of one identity, and a reloaded tab, which remembers its slot in sessionStorage, is the peer it was.
 */

import { FEEDS } from "./feeds.js";
import type { Warning } from "./types.js";

/** The keys of one peer. */
export interface Keys {
  readonly identity: Uint8Array;
  readonly peer: Uint8Array;
  /** Both will be there after a reload. */
  readonly stored: boolean;
  readonly warnings: readonly Warning[];
  /** Where feeds are stored, too. */
  readonly database?: IDBDatabase;
  /** Lets go of the slot. */
  release(): void;
}

/**
 * Opens what is stored, or makes it. Without Web Locks the peer, and where IndexedDB refuses at any step whatever it did
 * not keep, lives as long as the page, with a warning.
 */
export async function openKeys(store: "indexeddb" | "memory"): Promise<Keys> {
  if (store === "memory") return fleeting([]);
  let identity: Uint8Array | undefined;
  let slot: Slot | undefined;
  try {
    const seeds = await Seeds.open();
    identity = await seeds.get("identity");
    slot = await takeSlot();
    if (slot === undefined) {
      const message =
        "no Web Locks here (not a secure context?): after a reload this is another peer of the same identity";
      return { ...fleeting([{ code: "no-locks", message }], identity), database: seeds.database };
    }
    const peer = await seeds.get(`peer/${slot.number}`);
    const { database } = seeds;
    return { identity, peer, stored: true, warnings: [], database, release: slot.release };
  } catch (error) {
    slot?.release();
    const why = error instanceof Error ? error.message : String(error);
    const ends = identity ? "peer ends" : "identity and peer end";
    const message = `this browser keeps nothing for this page (${why}): ${ends} with the page`;
    return fleeting([{ code: "not-stored", message }], identity);
  }
}

function fleeting(warnings: readonly Warning[], identity = randomSeed()): Keys {
  return { identity, peer: randomSeed(), stored: false, warnings, release() {} };
}

function randomSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

const DATABASE = "weft-mesh";
const SEEDS = "seeds";
/** Milliseconds. Some browsers leave the request to open a database unanswered for ever. */
const OPEN_TIMEOUT = 5000;

/** The database of seeds. */
class Seeds {
  private constructor(readonly database: IDBDatabase) {}

  static open(): Promise<Seeds> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("IndexedDB does not answer")), OPEN_TIMEOUT);
      // Throws where pages are not allowed to store anything, or have no such thing at all.
      const request = globalThis.indexedDB.open(DATABASE, 2);
      request.onupgradeneeded = () => {
        const { result } = request;
        for (const name of [SEEDS, FEEDS])
          if (!result.objectStoreNames.contains(name)) result.createObjectStore(name);
      };
      request.onerror = () => reject(request.error ?? new Error("IndexedDB refuses"));
      request.onsuccess = () => {
        clearTimeout(timer);
        // A later version of the package may upgrade from another tab.
        request.result.onversionchange = () => request.result.close();
        resolve(new Seeds(request.result));
      };
    });
  }

  /** The seed of that name, made if there is none: in one transaction, so that two tabs never make two. */
  get(name: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(SEEDS, "readwrite");
      const seeds = transaction.objectStore(SEEDS);
      let seed: Uint8Array;
      const request: IDBRequest<unknown> = seeds.get(name);
      request.onsuccess = () => {
        const found = request.result;
        if (found instanceof Uint8Array && found.length === 32) {
          seed = found;
        } else {
          seed = randomSeed();
          try {
            seeds.put(seed, name);
          } catch (error) {
            reject(error);
          }
        }
      };
      // Only now is it sure that the seed will be there after a reload.
      transaction.oncomplete = () => resolve(seed);
      transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB refuses"));
    });
  }
}

interface Slot {
  readonly number: number;
  release(): void;
}

/** More tabs than anybody has; beyond it a tab is a peer without a slot. */
const SLOTS = 256;
/** Milliseconds. A reloaded page may start before the browser has let go of the lock of the one before it. */
const RELOAD_PATIENCE = 1000;
/** Where a tab remembers its slot over a reload. */
const REMEMBERED = "weft-mesh/slot/";

/** Slots that this page holds, in the order of its calls of `connect`. */
const held: (number | undefined)[] = [];

/** The slot that this tab had before a reload, or else the first free one; undefined without Web Locks. */
async function takeSlot(): Promise<Slot | undefined> {
  const { locks } = (globalThis.navigator ?? {}) as { locks?: LockManager };
  if (!locks) return undefined;
  const free = held.indexOf(undefined);
  const place = free >= 0 ? free : held.length;
  held[place] = -1;
  const release = (unlock: () => void) => () => {
    held[place] = undefined;
    unlock();
  };
  try {
    const before = remembered(place);
    // The copy of a duplicated tab finds its slot taken, and waits in vain for a moment.
    const patience = AbortSignal.timeout(RELOAD_PATIENCE);
    if (before !== undefined && !held.includes(before)) {
      const unlock = await lock(locks, before, { signal: patience }).catch(() => undefined);
      if (unlock) return remember(place, before, release(unlock));
    }
    for (let number = 0; number < SLOTS; number += 1) {
      const unlock = await lock(locks, number, { ifAvailable: true });
      if (unlock) return remember(place, number, release(unlock));
    }
  } catch {
    // Locks may be refused where storage is.
  }
  held[place] = undefined;
  return undefined;
}

/** Takes a lock and gives the way to let go of it; undefined if somebody else has it. */
function lock(locks: LockManager, number: number, options: LockOptions): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const name = `${DATABASE}/peer/${number}`;
    const granted = (lock: Lock | null) => {
      if (!lock) return resolve(undefined);
      return new Promise<void>((unlock) => resolve(unlock));
    };
    locks.request(name, options, granted).catch(reject);
  });
}

function remember(place: number, number: number, release: () => void): Slot {
  held[place] = number;
  try {
    sessionStorage.setItem(`${REMEMBERED}${place}`, String(number));
  } catch {
    // Without it a reloaded tab takes the first free slot.
  }
  return { number, release };
}

function remembered(place: number): number | undefined {
  try {
    const number = Number(sessionStorage.getItem(`${REMEMBERED}${place}`) ?? Number.NaN);
    return Number.isInteger(number) && number >= 0 && number < SLOTS ? number : undefined;
  } catch {
    return undefined;
  }
}
