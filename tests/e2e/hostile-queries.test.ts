/** Queries that nobody should write, and more subscriptions than allowed: in Chromium and for the `weft` command. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

/** How long the refusal of one query may take on a machine that does everything else as well, milliseconds. */
const QUICKLY = 1_000;
/** Subscriptions of one peer unless `limits.subscriptions` says otherwise (docs/guides/web.md, types). */
const SUBSCRIPTIONS = 10_000;

const MIB = 2 ** 20;
/** In the page: `inner` wrapped so many times. */
const nested = (times: number, inner: string, wrap: string) =>
  `Array.from({ length: ${times} }).reduce((inner) => (${wrap}), ${inner})`;
const regex = (source: string) => `{ a: { $regex: ${source} } }`;

/** What it is, the query as an expression for the page, the path of the error and a part of its message. */
const REFUSED: readonly (readonly [string, string, string, string])[] = [
  ["a text of 1 MB", `{ a: "x".repeat(${MIB}) }`, "$", "more than 65536 bytes"],
  ["bytes of 1 MB", `{ a: new Uint8Array(${MIB}) }`, "$", "more than 65536 bytes"],
  ["a name of 1 MB", `{ ["x".repeat(${MIB})]: 1 }`, "$", "more than 65536 bytes"],
  ["an operator of 1 MB", `{ a: { ["$" + "x".repeat(${MIB})]: 1 } }`, "$", "more than 65536 bytes"],
  [
    "a list of 1 MB",
    `{ a: { $in: Array.from({ length: ${MIB / 4} }, (_, n) => n + 1000) } }`,
    "$",
    "more than 65536",
  ],
  [
    "members of 1 MB",
    `Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => ["name " + n, n]))`,
    "$",
    "65536",
  ],
  [
    "branches of 1 MB",
    `{ $or: Array.from({ length: 100_000 }, (_, n) => ({ a: n })) }`,
    "$",
    "more than 65536",
  ],
  [
    "too many conditions",
    "{ $or: Array.from({ length: 300 }, (_, n) => ({ a: n })) }",
    "$.$or[128]",
    "conditions",
  ],
  ["$and 1,000 deep", nested(1000, "{ a: 1 }", "{ $and: [inner] }"), "$", "more than 32 arrays and objects"],
  ["$nor 1,000 deep", nested(1000, "{ a: 1 }", "{ $nor: [inner] }"), "$", "more than 32 arrays and objects"],
  ["$not 1,000 deep", `{ a: ${nested(1000, "{ $gt: 1 }", "{ $not: inner }")} }`, "$", "more than 32"],
  [
    "$elemMatch 1,000 deep",
    `{ a: ${nested(1000, "{ $gt: 1 }", "{ $elemMatch: inner }")} }`,
    "$",
    "more than 32",
  ],
  ["a value 1,000 deep", `{ a: ${nested(1000, "1", "[inner]")} }`, "$", "more than 32 arrays and objects"],
  ["a value 100,000 deep", `{ a: ${nested(100_000, "1", "({ a: inner })")} }`, "$", "more than 32"],
  ["a circle", "(() => { const query = {}; query.a = query; return query; })()", "$", "or a cycle"],
  ["a path of 1,000 names", `{ ["a.".repeat(999) + "a"]: 1 }`, `$.${"a.".repeat(40)}`, "the limit is 32"],
  ["repetitions that multiply", regex(`"((a{100}){100}){100}"`), "$.a.$regex", "size limit"],
  ["a repetition of a billion", regex(`"a{1000000000}"`), "$.a.$regex", "size limit"],
  ["a?ⁿaⁿ", regex(`"(?:a?){500}a{500}"`), "$.a.$regex", "size limit"],
  ["stars of stars, many times", regex(`"(((((a*)*)*)*)*)*b".repeat(20)`), "$.a.$regex", "size limit"],
  [
    "1,000 groups in each other",
    regex(`"(".repeat(1000) + "a" + ")".repeat(1000)`),
    "$.a.$regex",
    "longer than 512",
  ],
  ["100 groups in each other", regex(`"(".repeat(100) + "a" + ")".repeat(100)`), "$.a.$regex", "bad regular"],
  ["an open class", regex(`"[".repeat(500)`), "$.a.$regex", "bad regular expression"],
  ["a look-ahead", regex(`"(?=a+)+b"`), "$.a.$regex", "look-around"],
  ["a reference back", regex(`"(a+)+\\\\1"`), "$.a.$regex", "backreferences"],
  [
    "nine expressions",
    `{ $or: Array.from({ length: 9 }, () => (${regex('"a"')})) }`,
    "$.$or[8].a.$regex",
    "limit is 8",
  ],
  ["$gtee", "{ age: { $gtee: 1 } }", "$.age", "unknown operator $gtee"],
  ["$where", `{ $where: "while (true);" }`, "$", "unknown operator $where"],
  ["$expr", `{ $and: [{ a: 1 }, { $expr: {} }] }`, "$.$and[1]", "unknown operator $expr"],
  ["$function", `{ a: { $elemMatch: { $function: "" } } }`, "$.a.$elemMatch", "unknown operator $function"],
  ["$__proto__", `{ a: { $__proto__: 1 } }`, "$.a", "unknown operator $__proto__"],
  ["$", `{ a: { $: 1 } }`, "$.a", "unknown operator $"],
];

/** What a page says of a query, as a subscription and on its own. */
interface Refusal {
  readonly code: string;
  readonly path: string;
  readonly message: string;
  readonly took: number;
}

async function refusals(peer: Peer, query: string): Promise<Refusal[]> {
  const asked = (ask: string) => `(() => {
    const query = ${query};
    const since = performance.now();
    try { ${ask}; } catch ({ code, path, message }) { return { code, path, message, took: performance.now() - since }; }
    return { code: "none" };
  })()`;
  return [
    await peer.look<Refusal>(asked("mesh.parties.p.subscribe(query)")),
    await peer.look<Refusal>(asked("new mesh.Query(query)")),
  ];
}

test("q12_hostile_queries_are_refused_at_once_with_their_place_and_the_page_goes_on", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  await a.subscribe("p", { n: { $gte: 0 } });
  await a.linked(b);
  for (const [name, query, path, part] of REFUSED) {
    for (const refusal of await refusals(a, query)) {
      assert.equal(refusal.code, "bad-query", `${name}: ${JSON.stringify(refusal)}`);
      assert.equal(refusal.path, path, name);
      assert.ok(refusal.message.includes(part), `${name}: ${refusal.message.slice(0, 500)}`);
      assert.ok(refusal.took < QUICKLY, `${name} took ${refusal.took} ms`);
    }
  }
  // The page, its subscription and its link are what they were.
  await b.publish("p", { n: 1 }, { other: 1 }, { n: 2 });
  assert.deepEqual(
    (await a.got("p", 2)).map(({ data }) => data),
    [{ n: 1 }, { n: 2 }],
  );
  await b.subscribe("p", {});
  await a.publish("p", { n: 3 });
  await b.got("p", 1);
  for (const peer of [a, b]) {
    assert.equal((await peer.look<string[]>("mesh.openLinks()")).length, 1);
    const dropped =
      "mesh.seen.links.filter(({ state }) => state !== 'open' && state !== 'connecting').length";
    assert.equal(await peer.look<number>(dropped), 0);
  }
});

test("q12_expressions_that_backtrack_elsewhere_take_no_longer_for_a_text_that_is_made_for_them", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  const bombs = [
    "^(a+)+$",
    "^(a|a)*$",
    "(a|aa)+$",
    "(.*)*(.*)*(.*)*b$",
    "(a*)*c",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
  ];
  for (const [n, $regex] of bombs.entries()) await a.subscribe("p", { text: { $regex } }, `bomb ${n}`);
  await a.subscribe("p", {}, "all");
  await a.linked(b);
  const text = `${"a".repeat(30_000)}!`;
  await b.publish("p", { text }, { text: "aaa" });
  const since = performance.now();
  assert.equal((await a.got("all", 2)).length, 2);
  assert.ok(performance.now() - since < 10_000, "six expressions over 30,000 letters");
  const counts = await Promise.all(bombs.map(async (_, n) => (await a.rows(`bomb ${n}`)).length));
  assert.deepEqual(counts, [1, 1, 1, 0, 0, 0], "what ends with ! is no row of letters");
});

test("q12_ten_thousand_subscriptions_work_and_the_next_is_a_named_error", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  await a.linked(b);
  const taken = await a.look<{ count: number; code: string; message: string }>(`(() => {
    mesh.counts = new Map();
    mesh.many = [];
    const party = mesh.parties.p;
    for (let n = 0; n <= ${SUBSCRIPTIONS}; n += 1) {
      try {
        const subscription = party.subscribe({ $or: [{ n }, { to: "all" }] });
        subscription.on("data", () => mesh.counts.set(n, (mesh.counts.get(n) ?? 0) + 1));
        mesh.many.push(subscription);
      } catch ({ code, message }) {
        return { count: n, code, message };
      }
    }
    return { count: ${SUBSCRIPTIONS} + 1, code: "none", message: "" };
  })()`);
  assert.deepEqual([taken.count, taken.code], [SUBSCRIPTIONS, "too-many-subscriptions"]);
  assert.match(taken.message, /10000 subscriptions already; end some, or write one query for several/);

  // Each of them has what is for it, the first and the last as well, and nothing else.
  const some = [0, 1, 4_999, SUBSCRIPTIONS - 1];
  await b.publish("p", { n: -1 }, ...some.map((n) => ({ n })), { n: SUBSCRIPTIONS });
  await a.until(`mesh.counts.size === ${some.length}`);
  assert.deepEqual(
    await a.look("[...mesh.counts].sort(([m], [n]) => m - n)"),
    some.map((n) => [n, 1]),
  );
  await b.publish("p", { to: "all" });
  await a.until(`mesh.counts.size === ${SUBSCRIPTIONS}`, 60_000);
  const total = "[...mesh.counts.values()].reduce((sum, count) => sum + count, 0)";
  assert.equal(
    await a.look(total),
    SUBSCRIPTIONS + some.length,
    "each publication once for each that it matches",
  );

  // One that ends makes room for one.
  const again =
    "(() => { try { mesh.parties.p.subscribe({}); return 'taken'; } catch ({ code }) { return code; } })()";
  assert.equal(await a.look(again), "too-many-subscriptions");
  await a.look("mesh.many.pop().close()");
  assert.equal(await a.look(again), "taken");
  assert.equal(await a.look(again), "too-many-subscriptions");

  // All are connected, and documents go both ways.
  await b.subscribe("p", {}, "back");
  await a.publish("p", { n: "from the busy one" });
  await b.got("back", 1);
  const third = await lab.peer([signaler.url], "p");
  await third.linked(a, b);
  await third.publish("p", { n: 7 });
  await a.until("mesh.counts.get(7) === 2");
});

test("q12_the_bound_of_subscriptions_is_an_option_up_and_down", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  for (const bound of [2, SUBSCRIPTIONS + 5]) {
    const peer = await lab.page();
    await peer.start({ signalers: [signaler.url], limits: { subscriptions: bound } });
    await peer.join("p");
    const count = await peer.look(`(() => {
      let count = 0;
      try { for (; count <= ${bound}; count += 1) mesh.parties.p.subscribe({ n: count }); }
      catch ({ code }) { return [count, code]; }
      return [count, "none"];
    })()`);
    assert.deepEqual(count, [bound, "too-many-subscriptions"]);
  }
});

test("q12_hostile_queries_for_the_weft_command_are_an_error_with_a_code_and_no_panic", async (t) => {
  const signaler = await Signaler.start(t);
  const options = { signalers: [signaler.url], party: "p" };
  const deep = (open: string, inner: string, close: string) => open.repeat(1000) + inner + close.repeat(1000);
  const cases: readonly (readonly [string, RegExp])[] = [
    // The system takes no argument above 128 KiB: more is in a file, below.
    [
      JSON.stringify({ a: "x".repeat(120_000) }),
      /^weft: query at \$: more than 65536 bytes: it has at least 120008\n$/,
    ],
    [
      JSON.stringify({ a: { $in: Array.from({ length: 24_000 }, () => 300) } }),
      /^weft: query at \$: more than /,
    ],
    [deep('{"$and":[', "{}", "]}"), /^weft: query at \$: recursion limit exceeded at line 1 column \d+\n$/],
    [`{"a":${deep('{"$not":', "{}", "}")}}`, /^weft: query at \$: recursion limit/],
    [`{"a":${deep("[", "1", "]")}}`, /^weft: query at \$: recursion limit/],
    [`{"a":${"[".repeat(100_000)}}`, /^weft: query at \$: /],
    [
      JSON.stringify({ a: { $regex: "((a{100}){100}){100}" } }),
      /^weft: bad regular expression at \$\.a\.\$regex: .*\n$/,
    ],
    [JSON.stringify({ a: { $gtee: 1 } }), /^weft: unknown operator \$gtee at \$\.a; did you mean \$gte\?\n$/],
    ['{"a":', /^weft: query at \$: EOF/],
    ["nonsense", /^weft: query at \$: /],
  ];
  for (const [query, said] of cases) {
    const since = performance.now();
    const { code, signal, out, err } = await Weft.run(t, "subscribe", [query], options);
    assert.deepEqual([code, signal, out], [2, null, ""], `${query.slice(0, 60)}: ${err.slice(0, 500)}`);
    assert.match(err, said, query.slice(0, 60));
    assert.ok(performance.now() - since < 5 * QUICKLY, `${query.slice(0, 60)} took too long`);
  }
  const file = join(mkdtempSync(join(tmpdir(), "weft-")), "query.json");
  t.after(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, JSON.stringify({ a: "x".repeat(MIB) }));
  const { code, err } = await Weft.run(t, "subscribe", [`@${file}`], options);
  assert.deepEqual([code, err], [2, "weft: query at $: more than 65536 bytes: it has at least 1048584\n"]);
});
