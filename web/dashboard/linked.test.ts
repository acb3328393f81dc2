/** Who else is linked with whom, out of what signalers say of themselves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Links } from "./api.js";
import type { Body, State } from "./federation.js";
import { facts, Losses, others, words } from "./linked.ts";

const body = (name: string, state: State = "up"): Body => ({
  ...{ name, kind: "signaler", state, key: `key of ${name}` },
  ...{ known: [], services: [] },
});

/** `b-c`: both say so; `b>c`: only b does. `speak` are those that say anything. */
function said(speak: string, ...links: readonly string[]): Links {
  const key = (name: string) => `key of ${name}`;
  return {
    links: links.map((link) => {
      const [one = "", how, other = ""] = link;
      const between = [key(one), key(other)] as const;
      return { between, said_by: how === "-" ? between : [key(one)] };
    }),
    more_links: false,
    links_told_by: [...speak].map(key),
  };
}

const SILENT = "Lines are links of this signaler. The others say nothing of theirs.";
const THIN = "Thin lines are links among the others, as they say themselves.";

for (const [name, bodies, links, lines, apart, [known, odd]] of [
  ["nothing_was_read_yet", "bc", undefined, [], [], [SILENT, ""]],
  ["nobody_else_speaks", "bc", said("a", "a>b"), [], [], [SILENT, ""]],
  ["all_are_linked", "bc", said("abc", "a-b", "a-c", "b-c"), ["b and c are linked"], [], [THIN, ""]],
  [
    "two_are_apart",
    "bc",
    said("abc", "a-b", "a-c"),
    [],
    ["b c"],
    ["", "b and c are not linked with each other."],
  ],
  [
    "one_claims_what_the_other_denies",
    "bc",
    said("abc", "a-b", "a-c", "c>b"),
    ["Only c says that it is linked with b: b says that it is not"],
    [],
    [THIN, "Only c says that it is linked with b: b says that it is not."],
  ],
  [
    "one_is_of_the_version_before",
    "bc",
    said("ab", "a-b", "a>c", "b>c"),
    ["Only b says that it is linked with c: c says nothing of its links"],
    [],
    [THIN, "Only b says that it is linked with c: c says nothing of its links."],
  ],
  [
    "one_is_not_heard_here",
    "bd",
    said("ab", "a-b", "b>d"),
    ["Only b says that it is linked with d: d is not linked with this signaler"],
    [],
    [THIN, "Only b says that it is linked with d: d is not linked with this signaler."],
  ],
  ["somebody_is_not_shown", "b", said("abc", "a-b", "a-c", "b-c"), [], [], ["", ""]],
  [
    "many_are_apart",
    "bcefg",
    said("abcefg", "b-c", "b-e", "b-f", "b-g"),
    ["b and c are linked", "b and e are linked", "b and f are linked", "b and g are linked"],
    ["c e", "c f", "c g", "e f", "e g", "f g"],
    [
      THIN,
      "c is not linked with e, f and g. e is not linked with f and g. f and g are not linked with each other.",
    ],
  ],
  [
    "one_has_no_address",
    "bcefg",
    said("abcefg", "b-c", "b-e", "b-f", "c-e", "c-f", "e-f"),
    ["b and c", "b and e", "b and f", "c and e", "c and f", "e and f"].map((ends) => `${ends} are linked`),
    ["b g", "c g", "e g", "f g"],
    [THIN, "g is not linked with 4 others."],
  ],
  [
    "all_are_alone",
    "bcefg",
    said("abcefg"),
    [],
    ["b c", "b e", "b f", "b g", "c e", "c f", "c g", "e f", "e g", "f g"],
    ["", "b is not linked with 4 others. c is not linked with e, f and g. 2 more signalers miss links."],
  ],
] as const)
  test(`links_among_others_when_${name}`, () => {
    const found = others(
      [...bodies].map((one) => body(one, one === "d" ? "apart" : "up")),
      links,
    );
    assert.deepEqual(
      found.lines.map(({ title }) => title),
      lines,
    );
    assert.deepEqual(
      found.apart.map((ends) => ends.map((end) => end.name).join(" ")),
      apart,
    );
    assert.deepEqual(words(found), { known, odd });
  });

test("the_list_says_of_each_what_is_wrong_with_its_links_and_with_whom_it_has_some", () => {
  const all = [..."bcef"].map((name) => body(name));
  const found = others(all, said("abce", "b-c", "b>e", "c-e", "b-f"));
  const rows = Object.fromEntries(all.map((one) => [one.name, facts(one, found)]));
  assert.deepEqual(rows, {
    b: { wrong: ["linked with e, as only it says"], good: ["linked with c and f"] },
    c: { wrong: [], good: ["linked with b and e"] },
    e: { wrong: ["linked with b, as only b says"], good: ["linked with c"] },
    f: { wrong: [], good: ["linked with b"] },
  });
  const apart = others(all, said("abcef", "b-c", "b-e", "b-f"));
  const f = all.at(-1) ?? assert.fail();
  assert.deepEqual(facts(f, apart), { wrong: ["no link with c and e"], good: ["linked with b"] });
});

test("of_links_that_are_cut_short_nobody_is_missed", () => {
  const links = { ...said("abc", "a-b", "a-c"), more_links: true };
  const found = others([body("b"), body("c")], links);
  assert.deepEqual(
    [found.apart, words(found)],
    [[], { known: "There are more of them than are shown.", odd: "" }],
  );
});

test("links_that_are_lost_and_found_are_told_once_and_new_ones_are_not", () => {
  const losses = new Losses();
  const all = [..."bcefg"].map((name) => body(name));
  const see = (links: Links) => losses.see(others(all, links)).map(([text, tone]) => `${tone}: ${text}`);
  const full = said("abc", "a-b", "a-c", "b-c");
  assert.deepEqual(see(said("abc", "a-b", "a-c")), [], "who comes has no links yet");
  assert.deepEqual(see(full), []);
  assert.deepEqual(see(said("abc", "a-b", "a-c")), ["bad: b and c lost their link"]);
  assert.deepEqual(see(said("abc", "a-b", "a-c")), []);
  assert.deepEqual(see(said("abc", "a-b", "a-c", "b>c")), [], "one word is not enough");
  assert.deepEqual(see(full), ["good: b and c are linked again"]);
  assert.deepEqual(see(full), []);
  // Whoever is gone says nothing any more, and has lost nothing.
  assert.deepEqual(see(said("ab", "a-b")), []);
  const five = ["b-c", "b-e", "b-f", "b-g", "c-e", "c-f", "c-g", "e-f", "e-g", "f-g"];
  assert.deepEqual(see(said("abcefg", ...five)), []);
  assert.deepEqual(see(said("abcefg")), [
    "bad: b and c lost their link",
    "bad: b and e lost their link",
    "bad: 8 more pairs of signalers lost their link",
  ]);
});
