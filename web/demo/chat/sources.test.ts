import assert from "node:assert/strict";
import { test } from "node:test";
import { Sources } from "./sources.ts";

const FILE = { hash: "ab", authors: ["ada"] };

/** Whom four questions at once go to. */
function four(sources: Sources, file: typeof FILE, present: readonly string[], now = 0): string[] {
  const asked: string[] = [];
  const open = (who: string) => asked.filter((one) => one === who).length;
  for (let n = 0; n < 4; n += 1) {
    const who = sources.whom(file, present, open, now);
    if (who !== undefined) asked.push(who);
  }
  return asked;
}

test("the author is asked before others, and others each as much", () => {
  const sources = new Sources();
  assert.deepEqual(four(sources, FILE, ["ben", "ada", "cyr"]), ["ada", "ada", "ada", "ada"]);
  assert.deepEqual(four(sources, FILE, ["cyr", "ben"]), ["ben", "cyr", "ben", "cyr"]);
  assert.deepEqual(four(sources, FILE, []), []);
});

test("who has not got a file is asked again later, or when they come", () => {
  const sources = new Sources();
  assert.equal(sources.refused(FILE, "ben", true, 0), 30_000);
  assert.equal(sources.refused(FILE, "ben", true, 1), undefined, "asked at the same time");
  assert.deepEqual(four(sources, FILE, ["ben"], 29_999), []);
  assert.equal(sources.refused(FILE, "ben", false, 30_000), 60_000);
  assert.deepEqual(four(sources, FILE, ["ben"], 89_999), []);
  sources.came("ben");
  assert.equal(four(sources, FILE, ["ben"], 89_999).length, 4);
});

test("a file is lost when its author says so and nobody else is left", () => {
  const sources = new Sources();
  sources.refused(FILE, "ben", true, 0);
  assert.equal(sources.isLost(FILE, ["ben"]), false, "the author may come");
  sources.refused(FILE, "ada", true, 0);
  assert.equal(sources.isLost(FILE, ["ada", "ben", "cyr"]), false);
  assert.equal(sources.isLost(FILE, ["ada", "ben"]), true);
  assert.deepEqual(four(sources, FILE, ["ada"], 10 ** 9), [], "the author is not asked again by itself");
  sources.anew(FILE);
  assert.deepEqual(four(sources, FILE, ["ada", "ben"]), ["ada", "ada", "ada", "ada"]);
});

test("after damage only the author is asked", () => {
  const sources = new Sources();
  const suspect = { ...FILE, suspect: true };
  assert.deepEqual(four(sources, suspect, ["ben", "cyr"]), []);
  assert.deepEqual(four(sources, suspect, ["ben", "ada"]), ["ada", "ada", "ada", "ada"]);
  sources.refused(suspect, "ada", true, 0);
  assert.equal(sources.isLost(suspect, ["ada", "ben"]), true);
});
