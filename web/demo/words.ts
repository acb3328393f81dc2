/** How numbers, keys and names look on the page. */

const figures = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** `1,240`. */
export const number = (value: number): string => figures.format(value);

/** `1.2K`. */
export const short = (value: number): string => compact.format(value);

/** `1 film`, `3,201 films`. */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`;

/** `3.4 MB`, in powers of 1000. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1_000_000) return `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** A key, short enough to compare by eye: `z6Mkf5…x9Qd`. */
export const key = (id: string): string => (id.length <= 14 ? id : `${id.slice(0, 6)}…${id.slice(-4)}`);

/** `14:05`, as the reader writes times. */
export const clock = (time: number): string =>
  new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

/** At most two letters for a name: `Amber Heron` is AH. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  const text = letters.map((word) => [...(word ?? "")][0] ?? "").join("");
  return text.toLocaleUpperCase() || "?";
}

/** A name, or what stands for it while there is none. */
export const called = (name: string, id: string): string => name.trim() || `Peer ${id.slice(-4)}`;

/** The longest start of a name that fits into the 64 bytes that a name may have. */
export function fitName(name: string): string {
  const encoder = new TextEncoder();
  let fitting = "";
  for (const character of name.trim()) {
    if (encoder.encode(fitting + character).length > 64) break;
    fitting += character;
  }
  return fitting;
}

/** A name for somebody who gave none. */
export function inventName(): string {
  const pick = <T>(words: readonly T[]): T => words[Math.floor(Math.random() * words.length)] as T;
  return `${pick(COLOURS)} ${pick(BIRDS)}`;
}

const COLOURS = "Amber Ashen Azure Cobalt Copper Coral Ebony Golden Indigo Ivory".split(" ");
const BIRDS = "Crane Finch Heron Ibis Kestrel Lark Martin Osprey Plover Swift Wren".split(" ");
