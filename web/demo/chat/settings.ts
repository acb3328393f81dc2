/** Who one is and what one wants, as it is stored; and where the signalers are. */

import { isSignaler } from "./address.js";
import type { Face } from "./model.js";

/** Signalers that are remembered. */
const MOST = 8;

export interface Settings {
  face: Face;
  signalers: string[];
  /** Tells others what one has read. */
  receipts: boolean;
  /** Tells others that one types. */
  typing: boolean;
  /** Shows notifications while the page is hidden. */
  notify: boolean;
}

/** The signaler that serves this page: one port for everything. */
const ownSignaler = (): string => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;

/** Signalers of the address, or those that are remembered, or the one that serves the page. */
export function signalersOf(search: string, remembered: readonly string[]): string[] {
  const given = new URLSearchParams(search)
    .getAll("signaler")
    .map((url) => url.trim())
    .filter(isSignaler);
  if (given.length > 0) return merge(given, []);
  return remembered.length > 0 ? [...remembered] : [ownSignaler()];
}

/** Some more signalers, each once. */
export const merge = (there: readonly string[], more: readonly string[]): string[] =>
  [...new Set([...there, ...more].map((url) => new URL(url).href))].slice(0, MOST);
