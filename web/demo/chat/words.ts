/** Words that two people compare, to be sure of each other's identity (docs/spec/chat.md, section 5). */

import { wordlist } from "@scure/bip39/wordlists/english.js";
import { keyOf } from "./identity.js";

const DOMAIN = "weft/v1/words";
/** Words, of eleven bits each. */
const WORDS = 12;

/** The words of two identities, the same for both. Rejects if one of them is no identity. */
export async function verificationWords(one: string, other: string): Promise<string[]> {
  const keys = [one, other].map(keyOf).filter((key) => key !== undefined);
  if (keys.length !== 2) throw new TypeError("verification words are of two identities");
  const [smaller, greater] = keys.sort(compare) as [Uint8Array, Uint8Array];
  const said = new Uint8Array([...new TextEncoder().encode(DOMAIN), 0, ...smaller, ...greater]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", said));
  const bits = [...hash].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return Array.from(
    { length: WORDS },
    (_, at) => wordlist[Number.parseInt(bits.slice(11 * at, 11 * at + 11), 2)] ?? "",
  );
}

function compare(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, index) => byte !== other[index]);
  return at < 0 ? 0 : (one[at] ?? 0) - (other[at] ?? 0);
}
