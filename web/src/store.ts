/**
 * Where keys are kept: 32-byte seeds in IndexedDB, one for the identity and one for each numbered peer slot.
 *
 * A tab holds a slot by a Web Lock, which the browser lets go when the page ends however it ends. So two tabs are two
 * peers of one identity, and a reloaded tab, which remembers its slot in sessionStorage, is the peer it was.
 */

import { WeftError } from "./errors.js";
import { FEEDS } from "./feeds.js";
import { type KnownParty, MEMBERS, PARTY, records, statements } from "./remembered.js";
import type { Warning } from "./types.js";
import { isSealed, KEY, Wrapping } from "./wrapping.js";

/** The keys of one peer. */
export interface Keys {
  readonly identity: Uint8Array;
  readonly peer: Uint8Array;
  /** Both will be there after a reload. */
  readonly stored: boolean;
  readonly warnings: readonly Warning[];
  /** Where feeds are stored, too. */
  readonly database?: IDBDatabase;
  /** How seeds are sealed there. */
  readonly wrapping: Wrapping;
  /** The identity has revoked this peer: nobody is it any more. */
  revoked?(): void;
  /** Lets go of the slot. */
  release(): void;
}

/**
 * Opens what is stored, or makes it. Without Web Locks the peer, and where IndexedDB refuses at any step whatever it did
 * not keep, lives as long as the page, with a warning. Rejects with `revoked`.
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
      const { database, wrapping } = seeds;
      return { ...fleeting([{ code: "no-locks", message }], identity), database, wrapping };
    }
    if (await seeds.isRevoked(slot.number)) {
      seeds.database.close();
      throw revokedError();
    }
    const { number, release } = slot;
    const peer = await seeds.get(`peer/${number}`);
    const { database, wrapping } = seeds;
    const revoked = () => seeds.revoke(number);
    return { identity, peer, stored: true, warnings: [], database, wrapping, revoked, release };
  } catch (error) {
    slot?.release();
    if (error instanceof WeftError && error.code === "revoked") throw error;
    const why = error instanceof Error ? error.message : String(error);
    const ends = identity ? "peer ends" : "identity and peer end";
    const message = `this browser keeps nothing for this page (${why}): ${ends} with the page`;
    return fleeting([{ code: "not-stored", message }], identity);
  }
}

function fleeting(warnings: readonly Warning[], identity = randomSeed()): Keys {
  return { identity, peer: randomSeed(), stored: false, warnings, wrapping: Wrapping.NONE, release() {} };
}

/** 32 random bytes. */
export function randomSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32));
}

/** What a place that was revoked says. */
export function revokedError(): WeftError {
  const hint =
    "take the identity in again (importIdentity, takeIdentity), or another one with `replace: true`";
  const message = `the peer of this place was revoked by its identity, and does not run any more; to be another one, ${hint}. Nothing was deleted`;
  return new WeftError("revoked", message, { hint });
}

const DATABASE = "weft-mesh";
/** The object store of seeds. */
export const SEEDS = "seeds";
/** What marks the slots of peers that were revoked. */
const REVOKED = "revoked/";
/** Milliseconds. Some browsers leave the request to open a database unanswered for ever. */
const OPEN_TIMEOUT = 5000;

/** The database of seeds. */
class Seeds {
  private constructor(
    readonly database: IDBDatabase,
    readonly wrapping: Wrapping,
  ) {}

  static async open(): Promise<Seeds> {
    const database = await openDatabase();
    return new Seeds(database, await Wrapping.open(database, SEEDS));
  }

  /** The seed of that name, made if there is none: in one transaction, so that two tabs never make two. */
  async get(name: string): Promise<Uint8Array> {
    const made = randomSeed();
    // What is neither makes room for one.
    const isNone = (found: unknown) => !isSealed(found) && !isSeed(found);
    const found = await this.#put(name, await this.wrapping.seal(name, made), isNone);
    if (isSealed(found)) return await this.wrapping.open(name, found);
    if (!isSeed(found)) return made;
    if (this.wrapping.seals) {
      // As it was stored before, or where there was no key. If that cannot be changed now, it may be next time.
      const sealed = await this.wrapping.seal(name, found);
      await this.#put(name, sealed, (still) => still instanceof Uint8Array).catch(() => {});
    }
    return found;
  }

  /** The peer of a slot was revoked. */
  async isRevoked(slot: number): Promise<boolean> {
    return (await this.#put(REVOKED + slot, undefined, () => false)) !== undefined;
  }

  /** Nobody is the peer of a slot any more. If that cannot be kept, what the peer itself stores says so. */
  revoke(slot: number): void {
    this.#put(REVOKED + slot, true, () => true).catch(() => {});
  }

  /** The identity's seed, if there is one. */
  async identity(): Promise<Uint8Array | undefined> {
    const found = await this.#put("identity", undefined, () => false);
    if (isSealed(found)) return await this.wrapping.open("identity", found);
    return isSeed(found) ? found : undefined;
  }

  /**
   * Stores an identity and its parties, all of it or nothing. What is known of parties stays known; if it is to `replace`
   * another identity, nothing of that one stays. Peers that were revoked are others afterwards: this place is meant to be one.
   */
  async import(identity: Uint8Array, parties: readonly ImportedParty[], replace: boolean): Promise<void> {
    const values: [name: string, value: unknown][] = [];
    for (const party of parties) values.push(...(await records(this.wrapping, party)));
    values.push(["identity", await this.wrapping.seal("identity", identity)]);
    await new Promise<void>((resolve, reject) => {
      const transaction = this.database.transaction([SEEDS, FEEDS], "readwrite");
      const seeds = transaction.objectStore(SEEDS);
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB refuses"));
      if (replace) {
        transaction.objectStore(FEEDS).clear();
        for (const all of [IDBKeyRange.upperBound(KEY, true), IDBKeyRange.lowerBound(KEY, true)])
          seeds.delete(all);
      }
      const marks = seeds.getAllKeys(IDBKeyRange.bound(REVOKED, `${REVOKED}:`));
      marks.onsuccess = () => {
        for (const mark of marks.result) {
          seeds.delete(mark);
          seeds.delete(`peer/${String(mark).slice(REVOKED.length)}`);
        }
      };
      for (const [name, value] of values) {
        const isNothing = name.startsWith(PARTY) && value instanceof Uint8Array && value.length === 0;
        if (!isNothing) seeds.put(value, name);
        // The seed of a founder may be there.
        else merge(seeds, name, (found) => found ?? value);
      }
      for (const party of parties) {
        merge(seeds, MEMBERS + party.discovery, (found) => {
          const known = statements(found);
          const texts = new Set(known.map(String));
          return [...known, ...party.statements.filter((one) => !texts.has(String(one)))];
        });
      }
    });
  }

  /** Stores a value if it may take the place of what is there, in one transaction; gives what was there. */
  #put(name: string, value: unknown, when: (found: unknown) => boolean): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(SEEDS, "readwrite");
      const seeds = transaction.objectStore(SEEDS);
      const request: IDBRequest<unknown> = seeds.get(name);
      request.onsuccess = () => {
        if (!when(request.result)) return;
        try {
          seeds.put(value, name);
        } catch (error) {
          reject(error);
        }
      };
      // Only now is it sure that it will be there after a reload.
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB refuses"));
    });
  }
}

function merge(seeds: IDBObjectStore, name: string, work: (found: unknown) => unknown): void {
  const request: IDBRequest<unknown> = seeds.get(name);
  request.onsuccess = () => seeds.put(work(request.result), name);
}

/** A private party of an identity that comes from elsewhere. */
export interface ImportedParty extends KnownParty {
  readonly statements: readonly Uint8Array[];
}

/**
 * Keeps an identity that comes from elsewhere. Rejects with `another-identity` if the profile has another one that is not to be
 * replaced, with `in-use` if that one's peers are running, and with `store-failed`.
 */
export async function importKeys(
  identity: Uint8Array,
  parties: readonly ImportedParty[],
  replace: boolean,
): Promise<void> {
  let seeds: Seeds | undefined;
  try {
    seeds = await Seeds.open();
    // One that cannot be opened any more is another one, too.
    const there = await seeds.identity().catch(() => new Uint8Array());
    const isOther = there !== undefined && String(there) !== String(identity);
    if (isOther) await assertReplaceable(replace);
    await seeds.import(identity, parties, isOther);
  } catch (cause) {
    if (cause instanceof WeftError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new WeftError("store-failed", `this browser keeps nothing for this page (${why})`, { cause });
  } finally {
    seeds?.database.close();
  }
}

/** Rejects with `another-identity` or `in-use` if an identity that is not known yet could not be kept here. */
export async function assertRoom(replace: boolean): Promise<void> {
  let seeds: Seeds | undefined;
  let isThere = false;
  try {
    seeds = await Seeds.open();
    isThere = (await seeds.identity().catch(() => new Uint8Array())) !== undefined;
  } catch {
    // What cannot be stored will be told when it is.
  } finally {
    seeds?.database.close();
  }
  if (isThere) await assertReplaceable(replace);
}

async function assertReplaceable(replace: boolean): Promise<void> {
  if (!replace) {
    const message =
      "this browser profile has another identity: export it if it is to be kept, and say `replace: true`";
    throw new WeftError("another-identity", message);
  }
  if (await isRunning()) {
    throw new WeftError("in-use", "the identity that is to be replaced is running: close its tabs first");
  }
}

/** Whether any tab of this profile has a peer, as far as can be seen. */
async function isRunning(): Promise<boolean> {
  const { locks } = (globalThis.navigator ?? {}) as { locks?: LockManager };
  const { held = [] } = (await locks?.query()) ?? {};
  return held.some(({ name }) => name?.startsWith(`${DATABASE}/peer/`));
}

function isSeed(found: unknown): found is Uint8Array {
  return found instanceof Uint8Array && found.length === 32;
}

function openDatabase(): Promise<IDBDatabase> {
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
      resolve(request.result);
    };
  });
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
