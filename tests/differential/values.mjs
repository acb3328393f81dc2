/** What the values of documents and queries are, and where paths lead, as docs/spec/query.md has it. */

/** An object with members, as opposed to an array, a date, bytes, a RegExp or a scalar. */
export function isObject(value) {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Whether an object is a list of operators instead of a value. */
export function isOperators(value) {
  return isObject(value) && Object.keys(value).some((name) => name.startsWith("$"));
}

/** Every value inside a value, itself included. */
export function* every(value) {
  yield value;
  if (Array.isArray(value)) for (const item of value) yield* every(item);
  else if (isObject(value)) for (const member of Object.values(value)) yield* every(member);
}

/**
 * The places that a path leads to (section 4): `value`, undefined for missing, and whether it was named `byIndex` at the end
 * of the path, in which case an array is not looked into.
 */
export function ends(path, document) {
  return [...follow(path.split("."), document)];
}

function* follow(steps, value) {
  const [step, ...rest] = steps;
  if (step === undefined) yield { value, byIndex: false };
  else if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      if (isObject(item)) yield* follow(steps, item);
      if (step !== String(at)) continue;
      if (rest.length === 0) yield { value: item, byIndex: true };
      else if (isObject(item) || Array.isArray(item)) yield* follow(rest, item);
    }
  } else if (isObject(value) && Object.hasOwn(value, step)) yield* follow(rest, value[step]);
  else yield { value: undefined, byIndex: false };
}
