/** How somebody is added: identities, `weft:` links, pages with such a link, https addresses (docs/spec/chat.md, section 5). */

import { isName } from "./documents.js";
import { isIdentity, keyOf } from "./identity.js";

/** Signalers in a link or a well-known file. */
const SIGNALERS = 4;
/** Bytes of a link: more than what is in it can be. */
const LONGEST = 8192;
/** Bytes of a well-known file. */
const FILE = 16 * 1024;
/** Milliseconds that it may take. */
const PATIENCE = 10_000;

/** Whom to add. */
export interface Address {
  readonly identity: string;
  readonly name: string | undefined;
  readonly signalers: readonly string[];
}

/** What somebody typed, pasted or photographed: an address, or where to ask for one. Throws what to say to them. */
export function parseAddress(text: string): Address | URL {
  const typed = text.trim();
  if (typed === "") throw new Error("Give an identity, a link or an https address.");
  if (keyOf(typed) !== undefined) return { identity: typed, name: undefined, signalers: [] };
  const hash = typed.indexOf("#weft:");
  if (/^weft:/i.test(typed)) return parseLink(typed);
  if (hash >= 0 && /^https?:/i.test(typed)) return parseLink(typed.slice(hash + 1));
  if (/^https:\/\//i.test(typed) && URL.canParse(typed)) return wellKnown(new URL(typed));
  throw new Error("That is neither an identity (z6Mk…), a weft: link nor an https address.");
}

/** A `weft:IDENTITY?name=…&signaler=…` link. Throws what to say to people. */
export function parseLink(link: string): Address {
  const [path = "", query = ""] = split(link.slice("weft:".length), "?");
  if (link.length > LONGEST || !/^weft:/i.test(link)) throw new Error("That is no weft: link.");
  if (path.startsWith("z") && path.length > 48 && query === "")
    throw new Error("That is an invitation into a party, not somebody's link.");
  if (keyOf(path) === undefined)
    throw new Error("The link names no identity: perhaps a part of it is missing.");
  let name: string | undefined;
  const signalers: string[] = [];
  for (const each of query.split("&").filter(Boolean)) {
    const [member = "", said = ""] = split(each, "=");
    if (member !== "name" && member !== "signaler") continue;
    const value = decoded(said);
    if (member === "name") {
      if (!isName(value)) throw new Error("The link has a name that is none.");
      name ??= value;
      continue;
    }
    if (!isSignaler(value)) throw new Error("The link names a signaler whose address is none.");
    if (signalers.length >= SIGNALERS) throw new Error(`The link names more than ${SIGNALERS} signalers.`);
    signalers.push(value);
  }
  return { identity: path, name, signalers };
}

/** The link of somebody: what a QR code holds. */
export function linkOf({ identity, name, signalers }: Address): string {
  const members = [
    ...(name === undefined ? [] : [`name=${encoded(name)}`]),
    ...signalers.slice(0, SIGNALERS).map((url) => `signaler=${encoded(url)}`),
  ];
  return `weft:${identity}${members.length > 0 ? `?${members.join("&")}` : ""}`;
}

/** Where an https address says who answers there. */
function wellKnown(url: URL): URL {
  if (url.pathname === "/" || url.pathname === "") return new URL("/.well-known/weft.json", url);
  return url;
}

/** Asks an https address for somebody. Rejects with what to say to people. */
export async function lookUp(url: URL, ask: typeof fetch = fetch): Promise<Address> {
  const why = (problem: string) => new Error(`${url.host} ${problem}`);
  let text: string;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await ask(url, { credentials: "omit", referrerPolicy: "no-referrer", signal });
    if (!response.ok) throw why(`answers ${response.status}: nobody can be added by that address.`);
    if (response.url !== "" && !response.url.startsWith("https://")) throw why("leads away from https.");
    text = await textOf(response);
  } catch (error) {
    if (error instanceof Error && error.message.startsWith(url.host)) throw error;
    throw why("cannot be asked, or does not let pages of other origins read its answer.");
  }
  const found = parseWellKnown(text);
  if (found === undefined) throw why("names nobody: its answer is no weft.json.");
  return found;
}

/** A well-known file; undefined if it is none. */
export function parseWellKnown(text: string): Address | undefined {
  try {
    if (new TextEncoder().encode(text).length > FILE) return undefined;
    const { weft, identity, name, signalers = [] } = JSON.parse(text) as { [member: string]: unknown };
    if (weft !== 1 || !isIdentity(identity)) return undefined;
    if (name !== undefined && !isName(name)) return undefined;
    if (!Array.isArray(signalers) || signalers.length > SIGNALERS || !signalers.every(isSignaler))
      return undefined;
    return { identity, name, signalers };
  } catch {
    return undefined;
  }
}

/** The text of an answer, which is given up where it is longer than a file may be. */
async function textOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  for (let size = 0; reader !== undefined; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    parts.push(value);
    if (size <= FILE) continue;
    await reader.cancel();
    throw new Error("too long");
  }
  return await new Blob(parts as BlobPart[]).text();
}

/** Whether that may be the URL of a signaler. */
export const isSignaler = (url: unknown): url is string =>
  typeof url === "string" && url.length <= 1024 && /^wss?:\/\/[^/\s]+/.test(url) && URL.canParse(url);

/** Everything but unreserved characters, colons and slashes (RFC 3986, sections 2.3 and 3.4) is encoded. */
const encoded = (text: string): string =>
  encodeURIComponent(text)
    .replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%3A", ":")
    .replaceAll("%2F", "/");

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function split(text: string, at: string): [string, string] {
  const place = text.indexOf(at);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}
