/**
 * Queries and documents that meet often: few names, few values, paths and operands that are mostly taken from the document.
 *
 * Every operator of the language occurs except `$contains`, which no other library has. Values are JavaScript's, so that all
 * libraries get the very same objects.
 */

import { isObject } from "./values.mjs";

const NAMES = ["a", "b", "0", "1"];
const NUMBERS = [0, -0, 1, 2, 5, -1, 1.5, -1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53];
const TEXTS = ["", "a", "b", "ab", "AB", "a\nb", "5", "é", "É", "\uff5e", "😀"];
const PATTERNS = [
  "",
  "a",
  "^a",
  "b$",
  "^b",
  "a.b",
  "[ab]+",
  "^$",
  "A",
  "\\d",
  "a|5",
  "(a)(b)?",
  "^ab$",
  "^.$",
  "é",
];
const TYPES = [
  "null",
  "bool",
  "int",
  "long",
  "double",
  "number",
  "string",
  "binData",
  "date",
  "array",
  "object",
];
const TYPE_NUMBERS = [10, 8, 16, 18, 1, 2, 5, 9, 4, 3];

/** A pair made by `random`. */
export function pair(random) {
  const document = members(random, 4);
  const seen = [...inside(document)];
  return { query: query(random, seen, 2), document };
}

/** Every value of a document with the path that leads to it, array indices sometimes left out. */
function* inside(value, path = "") {
  if (path !== "") yield { path, value };
  const deeper = (name) => (path === "" ? name : `${path}.${name}`);
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      yield* inside(item, deeper(String(at)));
      if (isObject(item)) yield* inside(item, path);
      else yield { path, value: item };
    }
  } else if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) yield* inside(member, deeper(name));
  }
}

function members(random, depth) {
  return Object.fromEntries(random.list(0, 3, () => [random.pick(NAMES), value(random, depth - 1)]));
}

function value(random, depth) {
  if (depth > 0 && random.chance(0.55)) {
    if (random.chance(0.6)) return random.list(0, 3, () => value(random, depth - 1));
    return members(random, depth);
  }
  return scalar(random);
}

function scalar(random) {
  const choice = random.below(40);
  if (choice < 6) return null;
  if (choice < 9) return random.chance(0.5);
  if (choice < 21) return random.pick(NUMBERS);
  if (choice < 32) return random.pick(TEXTS);
  if (choice < 36) return new Date(random.below(3));
  if (choice < 39) return bytes(random);
  return random.pick([1n, 5n, 2n ** 53n + 1n]);
}

/** A query of so many levels; `seen` is what `inside` found in the document. */
function query(random, seen, depth) {
  if (depth > 0 && random.chance(0.25)) {
    const branches = random.list(1, 3, () => query(random, seen, depth - 1));
    return { [random.pick(["$and", "$or", "$nor"])]: branches };
  }
  const fields = random.list(1, random.chance(0.2) ? 2 : 1, () => field(random, seen, depth));
  return Object.assign({}, ...fields);
}

function field(random, seen, depth) {
  if (seen.length === 0 || random.chance(0.2)) {
    return { [random.list(1, 3, () => random.pick(NAMES)).join(".")]: condition(random, undefined, depth) };
  }
  const { path, value } = random.pick(seen);
  // Sometimes one name too many.
  if (random.chance(0.1)) return { [`${path}.${random.pick(NAMES)}`]: condition(random, null, depth) };
  return { [path]: condition(random, value, depth) };
}

/** What stands behind a field: `near` is a value that the path leads to, if one is known. */
function condition(random, near, depth) {
  if (random.chance(0.15)) return random.chance(0.1) ? expression(random) : operand(random, near);
  return operators(random, near, depth);
}

function operators(random, near, depth) {
  const count = random.chance(0.2) ? 2 : 1;
  return Object.assign({}, ...random.list(count, count, () => operator(random, near, depth)));
}

function operator(random, near, depth) {
  const some = () => operand(random, near);
  switch (random.below(depth > 0 ? 24 : 20)) {
    case 0:
    case 1:
      return { $eq: some() };
    case 2:
      return { $ne: some() };
    case 3:
    case 4:
    case 5:
    case 6:
      return {
        [random.pick(["$gt", "$gte", "$lt", "$lte"])]: random.chance(0.3) ? another(random, near) : some(),
      };
    case 7:
    case 8:
      return { $in: list(random, near) };
    case 9:
      return { $nin: list(random, near) };
    case 10:
    case 11:
      return { $exists: random.pick([true, false, 1, 0]) };
    case 12:
    case 13:
      return { $type: types(random, near) };
    case 14:
      return { $mod: [random.pick([1, 2, -2, 5]), random.pick([0, 1, -1])] };
    case 15:
    case 16:
      return pattern(random, near);
    case 17:
      return { $size: random.below(4) };
    case 18:
      return { $all: list(random, near) };
    case 19:
      return { $not: random.chance(0.1) ? expression(random) : operators(random, near, 0) };
    case 20:
      return { $not: operators(random, near, depth - 1) };
    case 21:
      return { $all: random.list(1, 2, () => ({ $elemMatch: element(random, near, depth - 1) })) };
    default:
      return { $elemMatch: element(random, near, depth - 1) };
  }
}

/** The operand of `$elemMatch`, aimed at an element of the array there. */
function element(random, near, depth) {
  const item = Array.isArray(near) && near.length > 0 ? random.pick(near) : undefined;
  const within = item !== null && typeof item === "object" ? [...inside(item)] : [];
  if (random.chance(within.length > 0 ? 0.75 : 0.2)) return query(random, within, depth);
  return operators(random, item, depth);
}

function operand(random, near) {
  if (near !== undefined && random.chance(0.5)) {
    if (Array.isArray(near) && near.length > 0 && random.chance(0.6)) return random.pick(near);
    return random.chance(0.7) ? near : another(random, near);
  }
  if (random.chance(0.1)) return null;
  return value(random, 2);
}

/** A value of the same type, where there are several. */
function another(random, near) {
  if (typeof near === "number") return random.pick(NUMBERS);
  if (typeof near === "string") return random.pick(TEXTS);
  return near instanceof Uint8Array ? bytes(random) : value(random, 2);
}

function bytes(random) {
  return Uint8Array.from(random.list(0, 2, () => random.below(2)));
}

function list(random, near) {
  return random.list(0, 3, () => (random.chance(0.1) ? expression(random) : operand(random, near)));
}

function types(random, near) {
  if (typeof near === "number" && random.chance(0.3)) return random.pick(["number", "double", "int"]);
  if (near instanceof Uint8Array && random.chance(0.5)) return "binData";
  const one = () => (random.chance(0.8) ? random.pick(TYPES) : random.pick(TYPE_NUMBERS));
  return random.chance(0.1) ? random.list(1, 2, one) : one();
}

function pattern(random, near) {
  // No text here has a letter that means something in an expression.
  if (typeof near === "string" && random.chance(0.5)) {
    return random.pick([
      { $regex: "^.$" },
      { $regex: `^${near}` },
      { $regex: near.toLowerCase(), $options: "i" },
    ]);
  }
  const $regex = random.pick(PATTERNS);
  return random.chance(0.5)
    ? { $regex }
    : { $regex, $options: random.pick(["", "i", "m", "s", "im", "u", random.pick(["x", "is"])]) };
}

function expression(random) {
  return new RegExp(random.pick(PATTERNS), random.pick(["", "i", "m", "s"]));
}
