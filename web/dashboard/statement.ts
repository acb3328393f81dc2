/**
 * Statements to the registry (docs/spec/registry.md): what a registrant has signed, and what a sovereign decides about it. The
 * bytes are those that `weft approve` signs.
 */

import { blake3 } from "@noble/hashes/blake3.js";
import { decode, encode, type Item } from "./cbor.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** What a sovereign can decide. */
export const DECISIONS = ["approve", "deny", "reset", "revoke"] as const;
export type Verb = (typeof DECISIONS)[number];

/** Who signs. */
export interface Signer {
  readonly publicKey: Bytes;
  sign(bytes: Bytes): Promise<Bytes>;
}

/** A registration, as its registrant has signed it. */
export interface Registration {
  readonly id: string;
  readonly key: string;
  readonly host: string;
  readonly address: string | undefined;
  readonly services: readonly { readonly type: string; readonly port: number; readonly key: string }[];
  /** What names it: BLAKE3 over its domain, a zero byte and its body. */
  readonly digest: string;
}

/** What a decision is about, and where it counts. */
export interface Matter {
  readonly network: string;
  readonly signaler: string;
  readonly id: string;
  /** The registrant's key. */
  readonly key: string;
  /** The digest of the statement that this one follows. */
  readonly head: string;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
}

const DOMAIN = "weft/v1/registry-";

/** What is shown of a registrant, read and checked: the signature is the registrant's own, and is about this id. */
export async function openRegistration(id: string, body: string, signature: string): Promise<Registration> {
  const bytes = fromHex(body);
  const fields = decode(bytes);
  if (!(fields instanceof Map)) throw new Error("no map");
  const key = bytesOf(fields.get(3));
  const public_ = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  const signed = signedBytes(`${DOMAIN}register`, bytes);
  if (!(await crypto.subtle.verify("Ed25519", public_, fromHex(signature), signed)))
    throw new Error("the signature is not the registrant's");
  if (fields.get(2) !== id) throw new Error("it is about somebody else");
  const address = fields.get(5);
  return {
    id,
    key: showKey(key),
    host: textOf(fields.get(4)),
    address: address === undefined ? undefined : textOf(address),
    services: listOf(fields.get(6)).map((one) => {
      const [type, port, key] = listOf(one);
      return { type: textOf(type), port: numberOf(port), key: showKey(bytesOf(key)) };
    }),
    digest: digest(`${DOMAIN}register`, bytes),
  };
}

/** A decision, signed, as `POST /approve/ID` and the like take it. */
export async function decide(verb: Verb, matter: Matter, signer: Signer): Promise<Record<string, unknown>> {
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const body = encode([
    [0, matter.network],
    [1, parseKey(matter.signaler)],
    [2, matter.id],
    [3, parseKey(matter.key)],
    [4, fromHex(matter.head)],
    [5, signer.publicKey],
    [6, matter.time],
    [7, nonce],
  ]);
  const signature = await signer.sign(signedBytes(DOMAIN + verb, body));
  return {
    network: matter.network,
    signaler: matter.signaler,
    publicKey: matter.key,
    after: matter.head,
    approverPublicKey: showKey(signer.publicKey),
    timestamp: matter.time,
    nonce: toHex(nonce),
    signature: toHex(signature),
  };
}

/** The domain, a zero byte, the length of the body in 8 bytes, the body (docs/spec/crypto.md, section 2). */
function signedBytes(domain: string, body: Uint8Array): Bytes {
  const name = new TextEncoder().encode(domain);
  const bytes = new Uint8Array(name.length + 9 + body.length);
  bytes.set(name);
  new DataView(bytes.buffer).setBigUint64(name.length + 1, BigInt(body.length));
  bytes.set(body, name.length + 9);
  return bytes;
}

function digest(domain: string, body: Uint8Array): string {
  const name = new TextEncoder().encode(domain);
  const bytes = new Uint8Array(name.length + 1 + body.length);
  bytes.set(name);
  bytes.set(body, name.length + 1);
  return toHex(blake3(bytes));
}

// ── Keys and hexadecimal digits ────────────────────────────────────────────────────────────────────────────────────

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** `z6Mk…`: base58btc of the multicodec prefix ed01 and the key. */
export function showKey(key: Uint8Array): string {
  let rest = BigInt(`0xed01${toHex(key)}`);
  let text = "";
  for (; rest > 0n; rest /= 58n) text = (ALPHABET[Number(rest % 58n)] ?? "") + text;
  return `z${text}`;
}

/** The 32 bytes of a key as it is shown; throws on anything else. */
export function parseKey(text: string): Bytes {
  let value = 0n;
  if (text.length !== 48) throw new Error(`${text} is no key`);
  for (const letter of text.slice(1)) {
    const digit = ALPHABET.indexOf(letter);
    if (digit < 0) throw new Error(`${text} is no key`);
    value = value * 58n + BigInt(digit);
  }
  const hex = value.toString(16);
  if (text[0] !== "z" || !hex.startsWith("ed01") || hex.length !== 68) throw new Error(`${text} is no key`);
  return fromHex(hex.slice(4));
}

export const toHex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Throws on what is not hexadecimal. */
export function fromHex(text: string): Bytes {
  if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new Error("these are no hexadecimal digits");
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

function bytesOf(item: Item | undefined): Bytes {
  if (!(item instanceof Uint8Array) || item.length !== 32) throw new Error("no key");
  return item;
}

function textOf(item: Item | undefined): string {
  if (typeof item !== "string") throw new Error("no text");
  return item;
}

function numberOf(item: Item | undefined): number {
  if (typeof item !== "number") throw new Error("no number");
  return item;
}

function listOf(item: Item | undefined): readonly Item[] {
  if (!Array.isArray(item)) throw new Error("no list");
  return item as readonly Item[];
}
