/**
 * Weft's queries against two libraries with the same language, mingo and sift, on random pairs of query and document.
 *
 * Every difference has to be a known deviation of the library from MongoDB (deviations.mjs). WEFT_DIFFERENTIAL_SEED and
 * WEFT_DIFFERENTIAL_PAIRS choose other pairs, for example those of a failure.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect } from "node:util";
import { RULES } from "./deviations.mjs";
import { LIBRARIES, weft } from "./engines.mjs";
import { explain } from "./explain.mjs";
import { pair } from "./pairs.mjs";
import { Random } from "./random.mjs";
import { shrink } from "./shrink.mjs";

const SEED = 2;
const seed = Number(process.env.WEFT_DIFFERENTIAL_SEED ?? SEED);
/** Enough for every rule to be used with this seed, and a few seconds. */
const PAIRS = 20_000;
const count = Number(process.env.WEFT_DIFFERENTIAL_PAIRS ?? PAIRS);

const text = (value) =>
  inspect(value, { depth: 40, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: null });

test("q2_weft_answers_as_mingo_does_but_for_the_known_deviations", (t) => compare(t, "mingo"));

test("q2_weft_answers_as_sift_does_but_for_the_known_deviations", (t) => compare(t, "sift"));

for (const [library, rules] of Object.entries(RULES)) {
  for (const rule of rules) {
    const [query, document, ours, theirs] = rule.example;
    test(`${library} deviates as known: ${rule.name}`, () => {
      assert.equal(weft(query, document), ours);
      assert.equal(LIBRARIES[library](query, document), theirs, `${library} has changed; the rule may go`);
      assert.deepEqual(explain(library, rules, query, document), [rule]);
    });
  }

  test(`every deviation of ${library} is in the specification's list, and no other`, () => {
    const page = readFileSync(new URL("../../docs/spec/query-deviations.md", import.meta.url), "utf8");
    const sections = page
      .split(/^## /m)
      .filter((part) => part.startsWith("Both") || part.startsWith(library));
    const listed = sections.flatMap((section) => [...section.matchAll(/^\| `([a-z0-9-]+)`/gm)]);
    assert.deepEqual(listed.map(([, name]) => name).sort(), rules.map(({ name }) => name).sort());
  });
}

/** Random pairs: each difference is explained by rules, and no rule explains too many or none. */
function compare(t, library) {
  const rules = RULES[library];
  const random = new Random(seed);
  const excused = new Map(rules.map((rule) => [rule, 0]));
  let selected = 0;
  for (let at = 0; at < count; at += 1) {
    const one = pair(random);
    const ours = weft(one.query, one.document);
    if (ours) selected += 1;
    if (ours === LIBRARIES[library](one.query, one.document)) continue;
    const found = explain(library, rules, one.query, one.document);
    if (found === undefined) assert.fail(report(library, one, at));
    for (const rule of found) excused.set(rule, excused.get(rule) + 1);
  }
  const times = [...excused].map(([{ name }, times]) => `${name} ${times}`);
  t.diagnostic(`${count} pairs of seed ${seed}, ${selected} selected; excused: ${times.join(", ")}`);
  // Of few pairs or others, a rule may happen to excuse more or none.
  if (seed !== SEED || count !== PAIRS) return;
  assert.ok(selected > count / 5 && selected < (count * 4) / 5, "neither all nor none are selected");
  for (const [{ name, share }, times] of excused) {
    assert.ok(
      times <= share * count,
      `${name} excused ${times} of ${count} pairs, more than ${share * 100} %`,
    );
    assert.ok(times > 0, `${name} was never used`);
  }
}

/** What a difference looks like that nothing explains: as small as it can be made, and how to see it again. */
function report(library, found, at) {
  const unexplained = (query, document) => explain(library, RULES[library], query, document) === undefined;
  const { query, document } = shrink(found, unexplained);
  return [
    `no known deviation of ${library} explains pair ${at} of seed ${seed}: WEFT_DIFFERENTIAL_SEED=${seed} shows it again`,
    `query     ${text(query)}`,
    `document  ${text(document)}`,
    `weft      ${weft(query, document)}`,
    `${library.padEnd(9)} ${LIBRARIES[library](query, document)}`,
    `made from ${text(found)}`,
  ].join("\n");
}
