/**
 * The CBOR (RFC 8949) that Weft's frames are made of: integers, byte and text strings, arrays, maps with integer keys,
 * booleans, null. Definite lengths only. Written apart from the product's codec, so that the two check each other.
 */
export type Value = number | bigint | boolean | null | string | Uint8Array | readonly Value[] | Fields;
/** A map with integer keys; a value that is undefined is left out. */
export type Fields = ReadonlyMap<number, Value>;

/** Makes a map out of keys and values, without those that are undefined. */
export function fields(...pairs: readonly (readonly [number, Value | undefined])[]): Fields {
  return new Map(pairs.filter((pair): pair is readonly [number, Value] => pair[1] !== undefined));
}

export function encode(value: Value): Uint8Array {
  const parts: Uint8Array[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

/** Decodes one value; throws on anything that follows it. */
export function decode(bytes: Uint8Array): Value {
  const reader = { bytes, at: 0 };
  const value = read(reader);
  if (reader.at !== bytes.length) throw new Error(`${bytes.length - reader.at} bytes after the value`);
  return value;
}

function write(value: Value, into: Uint8Array[]): void {
  if (value === null) into.push(Uint8Array.of(0xf6));
  else if (typeof value === "boolean") into.push(Uint8Array.of(value ? 0xf5 : 0xf4));
  else if (typeof value === "number" || typeof value === "bigint") {
    const whole = BigInt(value);
    into.push(whole < 0n ? head(1, -1n - whole) : head(0, whole));
  } else if (typeof value === "string") {
    const text = Buffer.from(value, "utf8");
    into.push(head(3, BigInt(text.length)), text);
  } else if (value instanceof Uint8Array) into.push(head(2, BigInt(value.length)), value);
  else if (value instanceof Map) {
    into.push(head(5, BigInt(value.size)));
    for (const [key, item] of value as Fields) {
      write(key, into);
      write(item, into);
    }
  } else {
    const list = value as readonly Value[];
    into.push(head(4, BigInt(list.length)));
    for (const item of list) write(item, into);
  }
}

function head(major: number, value: bigint): Uint8Array {
  const first = major << 5;
  if (value < 24n) return Uint8Array.of(first | Number(value));
  const size = value < 1n << 8n ? 1 : value < 1n << 16n ? 2 : value < 1n << 32n ? 4 : 8;
  const bytes = Buffer.alloc(1 + size);
  bytes[0] = first | (24 + Math.log2(size));
  for (let at = 0; at < size; at += 1) bytes[size - at] = Number((value >> BigInt(8 * at)) & 0xffn);
  return bytes;
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function take(reader: Reader, count: number): Uint8Array {
  if (reader.at + count > reader.bytes.length) throw new Error("the value is cut short");
  const part = reader.bytes.subarray(reader.at, reader.at + count);
  reader.at += count;
  return part;
}

function read(reader: Reader): Value {
  const first = take(reader, 1)[0] ?? 0;
  const [major, low] = [first >> 5, first & 0x1f];
  if (major === 7) {
    if (low === 20 || low === 21) return low === 21;
    if (low === 22) return null;
    throw new Error(`simple value ${low}`);
  }
  if (low > 27) throw new Error("indefinite or reserved length");
  let argument = BigInt(low);
  if (low >= 24) {
    argument = 0n;
    for (const byte of take(reader, 1 << (low - 24))) argument = (argument << 8n) | BigInt(byte);
  }
  const count = Number(argument);
  switch (major) {
    case 0:
      return Number.isSafeInteger(count) ? count : argument;
    case 1:
      return Number.isSafeInteger(count) ? -1 - count : -1n - argument;
    case 2:
      return take(reader, count);
    case 3:
      return Buffer.from(take(reader, count)).toString("utf8");
    case 4:
      return Array.from({ length: count }, () => read(reader));
    case 5:
      return new Map(Array.from({ length: count }, () => [read(reader) as number, read(reader)]));
    default:
      throw new Error(`major type ${major}`);
  }
}
