/** What applications give is looked at here, before it gets into the wasm, which knows only how to stop. */

import { WeftError, type WeftErrorCode } from "./errors.js";

/** Throws unless it holds; `what` says what is expected. */
export function check(holds: boolean, what: string, code: WeftErrorCode = "bad-option"): void {
  if (!holds) throw new WeftError(code, what);
}

/** Options as they were given, none if undefined: an object with no other members than the known ones. */
export function checkOptions<Options extends object>(
  given: Options | undefined,
  owner: string,
  known: readonly (keyof Options & string)[],
): Partial<Options> {
  if (given === undefined) return {};
  check(typeof given === "object" && given !== null, `${owner}: an object of ${known.join(", ")}`);
  for (const name of Object.keys(given)) checkName(name, known, `${owner}: no option`);
  const { signal } = given as { readonly signal?: Partial<AbortSignal> | null };
  // Not by instanceof: it may come from another frame.
  const isSignal = (signal ?? undefined) === undefined || typeof signal?.throwIfAborted === "function";
  check(isSignal, `${owner}: signal: an AbortSignal`);
  return given;
}

/** Throws unless the name is one of the known ones. */
export function checkName(name: unknown, known: readonly string[], what: string): void {
  check(known.includes(name as string), `${what} "${String(name)}"; known are ${known.join(", ")}`);
}

/** Throws `bad-id` unless it is text, which the wasm then reads. */
export function checkId(id: unknown, what: string): void {
  check(
    typeof id === "string",
    `${what}: text such as z6Mk…, not ${id === null ? "null" : typeof id}`,
    "bad-id",
  );
}

/** Throws unless it is a whole number within the bounds, or undefined. */
export function checkNumber(given: unknown, what: string, least: number, most: number): void {
  const isWithin = Number.isInteger(given) && (given as number) >= least && (given as number) <= most;
  check(given === undefined || isWithin, `${what}: a whole number from ${least} to ${most}`);
}
