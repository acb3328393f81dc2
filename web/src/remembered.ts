/** How private parties are remembered in the object store of seeds. */

import type { Wrapping } from "./wrapping.js";

/** A private party. */
export interface KnownParty {
  readonly discovery: string;
  readonly key: string;
  /** Empty where one has not founded it. */
  readonly seed: Uint8Array;
}

/** Before the discovery key, under which names a party's seed, its key, and what was imported of its members are stored. */
export const PARTY = "party/";
export const PARTY_KEY = "key/";
export const MEMBERS = "members/";

/** What is stored to remember a party. */
export async function records(
  wrapping: Wrapping,
  party: KnownParty,
): Promise<[name: string, value: unknown][]> {
  const { discovery, key, seed } = party;
  const [at, keyAt] = [PARTY + discovery, PARTY_KEY + discovery];
  return [
    [at, seed.length > 0 ? await wrapping.seal(at, seed) : seed],
    [keyAt, await wrapping.seal(keyAt, new TextEncoder().encode(key))],
  ];
}

/** Statements about members, of whatever is found there: the core drops what is none. */
export function statements(found: unknown): Uint8Array[] {
  return Array.isArray(found) ? found.filter((one) => one instanceof Uint8Array) : [];
}
