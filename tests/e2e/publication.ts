/** Bundles of publications (docs/spec/wire.md, section 3): read, made, signed, and put into frames. */
import { decode, encode, type Fields, fields } from "../federation/wire/cbor.ts";
import { bytesAt, type Key, numberAt, u64 } from "../federation/wire/keys.ts";
import { derive } from "./blake3.ts";
import { Frame } from "./intruder.ts";

/** Publications of one feed, in order. */
export interface Bundle {
  readonly discovery: Uint8Array;
  /** Whose they are: an identity. */
  readonly author: Uint8Array;
  /** The peer that signs. */
  readonly feed: Uint8Array;
  readonly first: number;
  readonly previous: Uint8Array;
  /** Each with its time and its encoded document. */
  readonly entries: readonly (readonly [number, Uint8Array])[];
  readonly signature: Uint8Array;
}

export function read(bytes: Uint8Array): Bundle {
  const body = decode(bytes) as Fields;
  return {
    discovery: bytesAt(body, 0),
    author: bytesAt(body, 1),
    feed: bytesAt(body, 2),
    first: numberAt(body, 3),
    previous: bytesAt(body, 4),
    entries: body.get(5) as [number, Uint8Array][],
    signature: bytesAt(body, 6),
  };
}

export function write(bundle: Bundle): Uint8Array {
  return encode(
    fields(
      [0, bundle.discovery],
      [1, bundle.author],
      [2, bundle.feed],
      [3, bundle.first],
      [4, bundle.previous],
      [5, bundle.entries],
      [6, bundle.signature],
    ),
  );
}

/** The id of the last publication (docs/spec/crypto.md, section 4); of documents of less than 900 bytes. */
export function lastId({ discovery, author, feed, first, previous, entries }: Bundle): Uint8Array {
  return entries.reduce(
    (before, [time, body], at) =>
      derive(
        "weft/v1/publication-id",
        Buffer.concat([discovery, author, feed, u64(first + at), before, u64(time), body]),
      ),
    previous,
  );
}

export function signed(bundle: Bundle, key: Key): Bundle {
  return { ...bundle, signature: key.sign("weft/v1/publication", [lastId(bundle)]) };
}

/** A frame with a bundle that is as it came, or as it was made. */
export function frame(bundle: Uint8Array, record?: Uint8Array, hops = 0): Uint8Array {
  return encode([Frame.Publish, fields([0, hops], [1, 0], [2, record], [3, bundle])]);
}
