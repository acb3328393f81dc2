/**
 * BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs, section 2) of inputs of at most one chunk, which is all that Weft's
 * keys, hints, proofs and transcripts need. Written apart from the product's library, so that the two check each other.
 */
const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
] as const;
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8] as const;
const BLOCK = 64;
const CHUNK = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const ROOT = 8;
const KEYED = 16;
const CONTEXT = 32;
const MATERIAL = 64;
/** The four columns and four diagonals of the state that a round mixes. */
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

/** `BLAKE3 keyed hash(key, input)` of docs/spec/crypto.md. */
export function keyed(key: Uint8Array, input: Uint8Array): Uint8Array {
  return bytes(chunk(words(key), input, KEYED));
}

/** `KDF(context, input)` of docs/spec/crypto.md. */
export function derive(context: string, input: Uint8Array): Uint8Array {
  return bytes(chunk(chunk([...IV], Buffer.from(context), CONTEXT), input, MATERIAL));
}

/** The same with 64 bytes of output. */
export function deriveMore(context: string, input: Uint8Array): Uint8Array {
  const key = chunk([...IV], Buffer.from(context), CONTEXT);
  if (input.length > BLOCK) throw new Error(`${input.length} bytes are more than one block`);
  return bytes(wide(key, input, MATERIAL | CHUNK_START | CHUNK_END | ROOT));
}

/** Plain BLAKE3. */
export function hash(input: Uint8Array): Uint8Array {
  return bytes(chunk([...IV], input, 0));
}

function chunk(key: readonly number[], input: Uint8Array, mode: number): number[] {
  if (input.length > CHUNK) throw new Error(`${input.length} bytes are more than one chunk`);
  let chaining = [...key];
  const last = Math.max(0, Math.ceil(input.length / BLOCK) - 1);
  for (let at = 0; at <= last; at += 1) {
    const part = input.subarray(at * BLOCK, (at + 1) * BLOCK);
    const flags = mode | (at === 0 ? CHUNK_START : 0) | (at === last ? CHUNK_END | ROOT : 0);
    chaining = compress(chaining, part, flags);
  }
  return chaining;
}

function compress(chaining: readonly number[], part: Uint8Array, flags: number): number[] {
  return wide(chaining, part, flags).slice(0, 8);
}

/** With the second half, of which only the root's is used. */
function wide(chaining: readonly number[], part: Uint8Array, flags: number): number[] {
  const block = Buffer.alloc(BLOCK);
  block.set(part);
  let message = words(block);
  const state = [...chaining, ...IV.slice(0, 4), 0, 0, part.length, flags];
  for (let round = 0; round < 7; round += 1) {
    for (const [n, quarter] of QUARTERS.entries()) {
      mix(state, quarter, message[2 * n] ?? 0, message[2 * n + 1] ?? 0);
    }
    message = PERMUTATION.map((from) => message[from] ?? 0);
  }
  return state.map((word, n) => word ^ (n < 8 ? (state[n + 8] ?? 0) : (chaining[n - 8] ?? 0)));
}

function mix(
  state: number[],
  [a, b, c, d]: readonly [number, number, number, number],
  x: number,
  y: number,
): void {
  const at = (n: number) => state[n] ?? 0;
  for (const [add, first, second] of [
    [x, 16, 12],
    [y, 8, 7],
  ] as const) {
    state[a] = (at(a) + at(b) + add) | 0;
    state[d] = right(at(d) ^ at(a), first);
    state[c] = (at(c) + at(d)) | 0;
    state[b] = right(at(b) ^ at(c), second);
  }
}

function right(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function words(from: Uint8Array): number[] {
  const buffer = Buffer.from(from);
  return Array.from({ length: buffer.length / 4 }, (_, n) => buffer.readInt32LE(4 * n));
}

function bytes(from: readonly number[]): Uint8Array {
  const buffer = Buffer.alloc(4 * from.length);
  for (const [n, word] of from.entries()) buffer.writeInt32LE(word | 0, 4 * n);
  return buffer;
}
