/**
 * The address of the page says where one is: `?party=movies&signaler=wss://…&name=Ada&q={…}`.
 *
 * Whoever opens the same address meets the same people; the link that is passed on leaves name and query out.
 */

import { fitName, inventName } from "./words.js";

/** Where to go and who to be. */
export interface Place {
  /** Name or key; undefined shows the form. */
  readonly party: string | undefined;
  /** This tab's display name. */
  readonly name: string;
  /** URLs of signalers. */
  readonly signalers: readonly string[];
  /** The text of the query, if it is not the first one. */
  readonly query: string | undefined;
}

/** Reads the address. A tab keeps its name over reloads; two tabs of one browser have two names. */
export function readPlace(): Place {
  const parameters = new URLSearchParams(location.search);
  const signalers = parameters
    .getAll("signaler")
    .map((url) => url.trim())
    .filter(Boolean);
  const remembered = sessionStorage.getItem(NAME);
  return {
    party: parameters.get("party")?.trim() || undefined,
    name: fitName(parameters.get("name") ?? remembered ?? "") || inventName(),
    signalers: signalers.length > 0 ? signalers : [ownSignaler()],
    query: parameters.get("q") ?? undefined,
  };
}

/** Makes the address say this place, without a new entry in the history. */
export function writePlace(place: Place): void {
  sessionStorage.setItem(NAME, place.name);
  const url = partyLink(place);
  // The name stays where the user put it: one given in the address would otherwise undo a later change.
  if (new URLSearchParams(location.search).has("name")) url.searchParams.set("name", place.name);
  if (place.query !== undefined) url.searchParams.set("q", place.query);
  history.replaceState(null, "", url);
}

/** The link that brings somebody else here. */
export function partyLink(place: Place): URL {
  const url = new URL(location.pathname, location.href);
  if (place.party !== undefined) url.searchParams.set("party", place.party);
  const [only] = place.signalers;
  if (place.signalers.length > 1 || only !== ownSignaler()) {
    for (const signaler of place.signalers) url.searchParams.append("signaler", signaler);
  }
  return url;
}

/** A signaler's URL without what is the same everywhere. */
export const hostOf = (url: string): string => url.replace(/^wss?:\/\//, "").replace(/\/$/, "");

/** The signaler that serves this page: one port for everything. */
const ownSignaler = (): string => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;

const NAME = "weft-demo-name";
