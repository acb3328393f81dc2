/** Ed25519 keys, Weft's signatures (docs/spec/crypto.md, section 2), discovery entries, ids as they are shown. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from "node:crypto";
import { decode, encode, type Fields, fields, type Value } from "./cbor.ts";

/** A key pair out of a 32-byte Ed25519 secret. */
export class Key {
  readonly id: Uint8Array;
  readonly #secret: KeyObject;

  constructor(seed: Uint8Array = randomBytes(32)) {
    const prefix = Buffer.from("302e020100300506032b657004220420", "hex");
    this.#secret = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: "der", type: "pkcs8" });
    this.id = createPublicKey(this.#secret).export({ format: "der", type: "spki" }).subarray(-32);
  }

  sign(domain: string, parts: readonly Uint8Array[]): Uint8Array {
    return sign(null, signedBytes(domain, parts), this.#secret);
  }
}

export function isSignedBy(
  id: Uint8Array,
  domain: string,
  parts: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  const key = createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), id]),
    format: "der",
    type: "spki",
  });
  return verify(null, signedBytes(domain, parts), key, signature);
}

function signedBytes(domain: string, parts: readonly Uint8Array[]): Uint8Array {
  const bytes: Uint8Array[] = [Buffer.from(domain, "utf8"), Uint8Array.of(0)];
  for (const part of parts) bytes.push(u64(part.length), part);
  return Buffer.concat(bytes);
}

/** 8 bytes, big-endian. */
export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** A discovery entry; times in milliseconds since the Unix epoch. */
export interface Entry {
  readonly discovery: Uint8Array;
  readonly peer: Uint8Array;
  readonly home: Uint8Array;
  readonly seq: number;
  readonly since: number;
  readonly until: number;
  readonly left: boolean;
}

export function signEntry(key: Key, entry: Entry): Uint8Array {
  const body = encode(
    fields(
      [0, entry.discovery],
      [1, entry.peer],
      [2, entry.home],
      [3, Buffer.alloc(32, 7)],
      [4, entry.seq],
      [5, entry.since],
      [6, entry.until],
      [7, entry.left],
    ),
  );
  return encode([body, key.sign("weft/v1/entry", [body])]);
}

/** Reads an entry and checks that its peer signed it; throws if not. */
export function openEntry(bytes: Uint8Array): Entry {
  const [body, signature] = decode(bytes) as [Uint8Array, Uint8Array];
  const read = decode(body) as Fields;
  const entry = {
    discovery: bytesAt(read, 0),
    peer: bytesAt(read, 1),
    home: bytesAt(read, 2),
    seq: numberAt(read, 4),
    since: numberAt(read, 5),
    until: numberAt(read, 6),
    left: read.get(7) === true,
  };
  if (!isSignedBy(entry.peer, "weft/v1/entry", [body], signature)) throw new Error("a forged entry");
  return entry;
}

/** Reads a home's removal of an entry and checks that the home signed it; throws if not. */
export function openGone(bytes: Uint8Array): {
  discovery: Uint8Array;
  peer: Uint8Array;
  home: Uint8Array;
  seq: number;
} {
  const [body, signature] = decode(bytes) as [Uint8Array, Uint8Array];
  const read = decode(body) as Fields;
  const gone = {
    discovery: bytesAt(read, 0),
    peer: bytesAt(read, 1),
    home: bytesAt(read, 2),
    seq: numberAt(read, 3),
  };
  if (!isSignedBy(gone.home, "weft/v1/gone", [body], signature)) throw new Error("a forged removal");
  return gone;
}

/** What a signaler says of itself. */
export interface Card {
  readonly signaler: Uint8Array;
  readonly since: number;
  readonly url: string | undefined;
}

/** Signs a card; somebody else's key makes a forged one. */
export function signCard(key: Key, card: Card): Uint8Array {
  const body = encode(fields([0, card.signaler], [1, card.since], [2, card.url], [3, 1]));
  return encode([body, key.sign("weft/v1/member", [body])]);
}

/** Reads a card and checks that its signaler signed it; throws if not. */
export function openCard(bytes: Uint8Array): Card {
  const [body, signature] = decode(bytes) as [Uint8Array, Uint8Array];
  const read = decode(body) as Fields;
  const signaler = bytesAt(read, 0);
  if (!isSignedBy(signaler, "weft/v1/member", [body], signature)) throw new Error("a forged card");
  const url = read.get(2);
  return { signaler, since: numberAt(read, 1), url: typeof url === "string" ? url : undefined };
}

export function bytesAt(map: Fields, key: number): Uint8Array {
  const value: Value | undefined = map.get(key);
  if (!(value instanceof Uint8Array)) throw new Error(`field ${key} is no byte string: ${String(value)}`);
  return value;
}

export function numberAt(map: Fields, key: number): number {
  const value = map.get(key);
  if (typeof value !== "number") throw new Error(`field ${key} is no number: ${String(value)}`);
  return value;
}

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** `z6Mk…`: how an id is shown (multibase base58btc of the multicodec prefix ed01 and the key). */
export function show(id: Uint8Array): string {
  return `z${text58(Buffer.concat([Uint8Array.of(0xed, 0x01), id]))}`;
}

/** Base58btc of bytes that do not begin with zero. */
export function text58(bytes: Uint8Array): string {
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  while (rest > 0n) {
    text = ALPHABET[Number(rest % 58n)] + text;
    rest /= 58n;
  }
  return text;
}

/** The 32 bytes of an id as it is shown. */
export function parse(text: string): Uint8Array {
  let value = 0n;
  for (const letter of text.slice(1)) value = value * 58n + BigInt(ALPHABET.indexOf(letter));
  return Buffer.from(value.toString(16).padStart(68, "0"), "hex").subarray(2);
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
