/**
 * Why a library's answer is not Weft's: the known deviations (deviations.mjs) that account for it, or nothing.
 *
 * A pair is taken apart as the language is defined: a conjunction into its conditions, `$ne` into `$eq`, a list into its items,
 * `$elemMatch` into elements, a path into the values it leads to. A deviation of the whole is explained if each part whose
 * answers differ is explained and the library's answer for the whole follows from its answers for the parts. Only what
 * cannot be taken apart any more, or does not follow, needs a rule of its own.
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { LIBRARIES, weft } from "./engines.mjs";
import { ends, isObject, isOperators } from "./values.mjs";

const AND = (answers) => answers.every(Boolean);
const OR = (answers) => answers.some(Boolean);
const NOR = (answers) => !answers.some(Boolean);

/**
 * The rules that account for the difference, none if there is no difference; undefined if it is not explained.
 *
 * `rules` are those of this library.
 */
export function explain(library, rules, query, document) {
  const [ours, theirs] = [weft(query, document), LIBRARIES[library](query, document)];
  if (ours === theirs) return [];
  for (const { how, parts } of apart(query, document)) {
    assertComposes(ours, how, parts, query, document);
    const answers = parts.map((part) => LIBRARIES[library](...part));
    if (!follows(theirs, how, answers)) continue;
    const found = parts.map((part) => explain(library, rules, ...part));
    if (found.includes(undefined)) continue;
    return [...new Set(found.flat())];
  }
  const place = leaf(query, document);
  const rule = rules.find(({ applies }) => applies(place, theirs));
  return rule && [rule];
}

/** Whether an answer is what `how` makes of the answers of the parts; a part that throws may not have been asked. */
function follows(answer, how, answers) {
  if (typeof answer === "string") return answers.includes(answer);
  const open = answers.flatMap((one, at) => (typeof one === "string" ? [at] : []));
  for (let choice = 0; choice < 2 ** open.length; choice += 1) {
    const decided = answers.map((one, at) =>
      open.includes(at) ? ((choice >> open.indexOf(at)) & 1) === 1 : one,
    );
    if (how(decided) === answer) return true;
  }
  return false;
}

/** Weft itself must be what its specification says it is made of. */
function assertComposes(ours, how, parts, query, document) {
  const answers = parts.map((part) => weft(...part));
  assert.equal(
    how(answers),
    ours,
    `Weft does not compose: ${inspect({ query, document, parts, answers }, { depth: 20 })}`,
  );
}

/** The ways to take a pair apart: `how` its answer is made of those of its `parts`. */
function* apart(query, document) {
  const [[name, condition] = [], ...others] = Object.entries(query);
  if (name === undefined) return;
  if (others.length > 0) {
    yield { how: AND, parts: Object.entries(query).map(([name, one]) => [{ [name]: one }, document]) };
  } else if (name.startsWith("$")) {
    const how = { $and: AND, $or: OR, $nor: NOR }[name];
    yield { how, parts: condition.map((branch) => [branch, document]) };
  } else {
    yield* field(name, condition, document);
  }
}

function* field(path, condition, document) {
  const here = (...conditions) => conditions.map((one) => [{ [path]: one }, document]);
  if (condition instanceof RegExp) return yield { how: AND, parts: here(operatorOf(condition)) };
  if (!isOperators(condition)) return yield { how: AND, parts: here({ $eq: condition }) };
  const conditions = separate(condition);
  if (conditions.length > 1) return yield { how: AND, parts: here(...conditions) };
  const [[operator, operand]] = Object.entries(condition);
  switch (operator) {
    case "$not":
      return yield { how: NOR, parts: here(operand) };
    case "$ne":
      return yield { how: NOR, parts: here({ $eq: operand }) };
    case "$nin":
      return yield { how: NOR, parts: here({ $in: operand }) };
    case "$in":
      yield { how: OR, parts: here(...operand.map(operatorOf)) };
      if (operand.length > 1) yield { how: OR, parts: here(...operand.map((item) => ({ $in: [item] }))) };
      break;
    case "$all":
      if (operand.length > 0) yield { how: AND, parts: here(...operand.map(operatorOf)) };
      if (operand.length > 1) yield { how: AND, parts: here(...operand.map((item) => ({ $all: [item] }))) };
      break;
    case "$type":
      if (Array.isArray(operand)) yield { how: OR, parts: here(...operand.map((type) => ({ $type: type }))) };
      break;
    case "$exists":
      if (operand) break;
      return yield { how: NOR, parts: here({ $exists: true }) };
    case "$gte":
    case "$lte":
      yield { how: OR, parts: here({ $eq: operand }, { [operator.slice(0, 3)]: operand }) };
      break;
    default:
  }
  const places = ends(path, document);
  const plain = (value) => (value === undefined ? {} : { v: value });
  if (path !== "v" && !places.some(({ value, byIndex }) => byIndex && Array.isArray(value))) {
    yield { how: OR, parts: places.map(({ value }) => [{ v: condition }, plain(value)]) };
  } else if (operator === "$elemMatch") {
    yield* elements(path, condition, operand, places);
  }
}

function* elements(path, condition, operand, places) {
  const arrays = places.map(({ value }) => value).filter((value) => Array.isArray(value));
  const items = arrays.flat();
  if (path !== "v" || items.length !== 1) {
    return yield { how: OR, parts: items.map((item) => [{ v: condition }, { v: [item] }]) };
  }
  const [item] = items;
  const only = (operand) => [{ v: { $elemMatch: operand } }, { v: [item] }];
  const logical = Object.keys(operand).some((name) => ["$and", "$or", "$nor"].includes(name));
  if (isOperators(operand) && !logical) {
    const conditions = separate(operand);
    if (conditions.length > 1) yield { how: AND, parts: conditions.map(only) };
    else if (isOperators(operand.$not)) yield { how: NOR, parts: [only(operand.$not)] };
    else if (!Array.isArray(item)) yield { how: AND, parts: [[{ v: operand }, { v: item }]] };
  } else if (isObject(item)) {
    yield { how: AND, parts: [[operand, item]] };
  }
}

/** `{$gt: 1, $lt: 5}` as `{$gt: 1}` and `{$lt: 5}`; `$options` stays beside `$regex`. */
function separate(operators) {
  const { $options, ...others } = operators;
  return Object.entries(others).map(([operator, operand]) =>
    operator === "$regex" && $options !== undefined ? { $regex: operand, $options } : { [operator]: operand },
  );
}

/** An item of a list as the condition that it stands for. */
function operatorOf(item) {
  if (item instanceof RegExp)
    return { $regex: item.source === "(?:)" ? "" : item.source, $options: item.flags };
  return isOperators(item) ? item : { $eq: item };
}

/** What a rule looks at: a pair, and if it is one operator behind one path, those, and where the path leads. */
function leaf(query, document) {
  const [[path, condition]] = Object.entries(query);
  if (Object.keys(query).length > 1 || path.startsWith("$")) return { query, document };
  const [[operator, operand] = []] = isOperators(condition) ? Object.entries(condition) : [["", condition]];
  const places = ends(path, document);
  return {
    query,
    document,
    path,
    operator,
    operand,
    options: condition?.$options,
    places,
    values: places.map(({ value }) => value),
  };
}
