/**
 * The little of CBOR (RFC 8949) that statements to the registry are made of: unsigned integers, bytes, text, arrays, and maps
 * with integer keys. Lengths are definite and shortest, so that whoever has the fields has the bytes.
 */

export type Item = number | string | Uint8Array<ArrayBuffer> | readonly Item[] | ReadonlyMap<number, Item>;

/** Levels of what is read; a registration has three. */
const DEPTH = 8;

/** Writes a map; fields that are undefined are left out. */
export function encode(fields: readonly (readonly [number, Item | undefined])[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  write(new Map(fields.filter((field): field is readonly [number, Item] => field[1] !== undefined)), out);
  return Uint8Array.from(out);
}

/** Reads one item that has nothing behind it; throws if that is not what there is. */
export function decode(bytes: Uint8Array): Item {
  const reader = new Reader(bytes);
  const item = reader.item(0);
  if (reader.at !== bytes.length) throw new Error("there is something behind the item");
  return item;
}

function write(item: Item, out: number[]): void {
  if (typeof item === "number") head(0, item, out);
  else if (typeof item === "string") {
    const text = new TextEncoder().encode(item);
    head(3, text.length, out);
    out.push(...text);
  } else if (item instanceof Uint8Array) {
    head(2, item.length, out);
    out.push(...item);
  } else if (item instanceof Map) {
    head(5, item.size, out);
    for (const [key, value] of [...item].sort(([a], [b]) => a - b)) {
      head(0, key, out);
      write(value, out);
    }
  } else {
    const list = item as readonly Item[];
    head(4, list.length, out);
    for (const one of list) write(one, out);
  }
}

function head(major: number, value: number, out: number[]): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${value} is no unsigned integer`);
  const first = major << 5;
  if (value < 24) return void out.push(first | value);
  const size = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  out.push(first | (24 + Math.log2(size)));
  for (let byte = size - 1; byte >= 0; byte -= 1) out.push(Math.floor(value / 256 ** byte) % 256);
}

class Reader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  item(depth: number): Item {
    if (depth > DEPTH) throw new Error("nested too deeply");
    const [major, value] = this.head();
    if (major === 0) return value;
    if (major === 2) return this.take(value);
    if (major === 3) return new TextDecoder("utf-8", { fatal: true }).decode(this.take(value));
    // Each item has a byte at least: no list is longer than what is left.
    if (value > this.bytes.length - this.at) throw new Error("cut short");
    if (major === 4) return Array.from({ length: value }, () => this.item(depth + 1));
    if (major !== 5) throw new Error(`major type ${major}`);
    const map = new Map<number, Item>();
    for (let n = 0; n < value; n += 1) {
      const key = this.item(depth + 1);
      if (typeof key !== "number" || map.has(key)) throw new Error("a key that is none");
      map.set(key, this.item(depth + 1));
    }
    return map;
  }

  private head(): readonly [number, number] {
    const first = this.take(1)[0] ?? 0;
    const low = first & 0x1f;
    if (low < 24) return [first >> 5, low];
    if (low > 27) throw new Error("no definite length");
    const value = this.take(2 ** (low - 24)).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw new Error("a number that is too large");
    return [first >> 5, value];
  }

  private take(count: number): Uint8Array<ArrayBuffer> {
    if (count > this.bytes.length - this.at) throw new Error("cut short");
    this.at += count;
    return this.bytes.slice(this.at - count, this.at) as Uint8Array<ArrayBuffer>;
  }
}
