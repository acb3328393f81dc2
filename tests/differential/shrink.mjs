/** Makes a failing pair smaller for as long as it still fails. */

import { every, isObject } from "./values.mjs";

/** The smallest pair found for which `fails(query, document)` holds; it has to hold for the one given. */
export function shrink({ query, document }, fails) {
  const stillFails = (smaller) => {
    try {
      return fails(smaller.query, smaller.document);
    } catch {
      // No query or no document any more.
      return false;
    }
  };
  let smallest = { query, document };
  for (;;) {
    const smaller = candidates(smallest).find(stillFails);
    if (smaller === undefined) return smallest;
    smallest = smaller;
  }
}

function candidates({ query, document }) {
  return [
    ...[...every(query)]
      .slice(1)
      .filter(isObject)
      .map((query) => ({ query, document })),
    ...[...smaller(query)].filter(isObject).map((query) => ({ query, document })),
    ...[...smaller(document)].filter(isObject).map((document) => ({ query, document })),
    ...[...shorterPaths(query)].map((query) => ({ query, document })),
  ];
}

/** Every value that is a little smaller than this one. None grows, so that shrinking ends. */
function* smaller(value) {
  if (Array.isArray(value)) {
    yield* value;
    for (const at of value.keys()) yield value.toSpliced(at, 1);
    for (const [at, item] of value.entries()) for (const less of smaller(item)) yield value.with(at, less);
  } else if (isObject(value)) {
    const entries = Object.entries(value);
    yield* Object.values(value);
    for (const at of entries.keys()) yield Object.fromEntries(entries.toSpliced(at, 1));
    for (const [at, [name, member]] of entries.entries()) {
      for (const less of smaller(member)) yield Object.fromEntries(entries.with(at, [name, less]));
    }
  } else if (typeof value === "string" && value.length > 1 && !value.startsWith("$")) {
    yield [...value].slice(1).join("");
  } else if (typeof value === "object" && value !== null) {
    yield 1;
  }
}

/** The query with one name of one path left out. */
function* shorterPaths(query) {
  if (Array.isArray(query)) {
    for (const [at, item] of query.entries())
      for (const less of shorterPaths(item)) yield query.with(at, less);
  }
  if (!isObject(query)) return;
  const entries = Object.entries(query);
  for (const [at, [name, member]] of entries.entries()) {
    const steps = name.split(".");
    if (steps.length > 1) {
      for (const step of steps.keys()) {
        yield Object.fromEntries(entries.with(at, [steps.toSpliced(step, 1).join("."), member]));
      }
    }
    for (const less of shorterPaths(member)) yield Object.fromEntries(entries.with(at, [name, less]));
  }
}
