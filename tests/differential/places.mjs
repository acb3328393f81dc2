/** What rules ask about the pair that they may excuse: one operator behind one path, and what the path meets on its way. */

import { every, isObject } from "./values.mjs";

export const ORDER = ["$gt", "$gte", "$lt", "$lte"];

export const isBigInt = (value) => typeof value === "bigint";
export const isBytes = (value) => value instanceof Uint8Array;
export const isDate = (value) => value instanceof Date;
export const isNotANumber = (value) => Number.isNaN(value);
export const isNumber = (value) => typeof value === "number" || isBigInt(value);
export const isText = (value) => typeof value === "string";
/** An array with an array in it. */
export const isNested = (value) => Array.isArray(value) && value.some((item) => Array.isArray(item));

/** Whether a value, or one anywhere inside it, is such. */
export const holds = (value, test) => [...every(value)].some(test);

/** The values that a condition is about: those at the path, and in place of an array its elements and it. */
export function candidates({ values = [] }) {
  return values.flatMap((value) => (Array.isArray(value) ? [...value, value] : [value]));
}

/** Text with a letter that is not ASCII. */
export const isBeyondAscii = (value) => isText(value) && /[^\0-\x7f]/.test(value);
/** Text with a character of two UTF-16 code units. */
export const isAstral = (value) => isText(value) && /[\ud800-\udfff]/.test(value);
/** Text with a character from U+E000 to U+FFFF, which code units put behind the astral ones. */
export const isNearTheEnd = (value) => isText(value) && /[\ue000-\uffff]/.test(value);

const isIndex = (step) => /^\d+$/.test(step);

/**
 * What a path meets before its end: `[value, step]` with the name that is looked for there. Unlike the language, this goes on inside
 * arrays in arrays, too, since libraries do.
 */
export function met(path, document) {
  const found = [];
  const go = (value, [step, ...rest]) => {
    if (step === undefined || value === undefined) return;
    found.push({ value, step, rest });
    if (Array.isArray(value)) {
      for (const item of value) go(item, [step, ...rest]);
      if (isIndex(step)) go(value[Number(step)], rest);
    } else if (isObject(value) && Object.hasOwn(value, step)) go(value[step], rest);
  };
  go(document, path.split("."));
  return found.slice(1);
}

/** The arrays that the path crosses with a name that is no index. */
export function byName({ path = "", document }) {
  return met(path, document).filter(({ value, step }) => Array.isArray(value) && !isIndex(step));
}

/** The arrays that the path crosses with an index. */
export function byIndex({ path = "", document }) {
  return met(path, document).filter(({ value, step }) => Array.isArray(value) && isIndex(step));
}
