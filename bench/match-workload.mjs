/**
 * What `bench match` matches, the same bytes for the same seed: `node bench/match-workload.mjs [DIR] [QUERIES] [SEED]`.
 *
 * Writes events.jsonl (2,000 events of ten fields), queries.jsonl (standing queries as people write them: equalities,
 * some with a range) and hostile.jsonl (10,000 queries without a single equality, so that no index of values helps).
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const EVENTS = 2_000;
const HOSTILE = 10_000;
/** Distinct regular expressions among the hostile queries. */
const PATTERNS = 400;

const [dir = ".", queryCount = "100000", seed = "12345"] = process.argv.slice(2);
const random = generator(Number(seed));
write(
  "events.jsonl",
  Array.from({ length: EVENTS }, (_, at) => event(at)),
);
write("queries.jsonl", Array.from({ length: Number(queryCount) }, query));
write("hostile.jsonl", hostile(generator(~Number(seed))));

/** Marsaglia's xorshift of 32 bits: whole numbers below `n`. */
function generator(seed) {
  let state = seed;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

function write(name, rows) {
  writeFileSync(join(dir, name), rows.map((row) => JSON.stringify(row)).join("\n"));
}

function event(at) {
  return {
    type: `t${random(50)}`,
    room: `r${random(1000)}`,
    user: `u${random(10000)}`,
    ts: 1700000000 + at,
    price: random(100000) / 100,
    qty: random(100),
    level: random(11),
    tags: [`g${random(100)}`, `g${random(100)}`],
    geo: { country: `c${random(50)}`, lat: random(180) - 90 },
    text: `lorem ipsum ${random(1e6)}`,
  };
}

/** 60 % two equalities, 20 % equality and range, 10 % equality and $gte, 5 % $in and nested, 5 % $or and range. */
function query() {
  const kind = random(100);
  if (kind < 60) return { type: `t${random(50)}`, room: `r${random(1000)}` };
  if (kind < 80) {
    const low = random(990);
    return { type: `t${random(50)}`, price: { $gte: low, $lt: low + 10 } };
  }
  if (kind < 90) return { user: `u${random(10000)}`, level: { $gte: random(11) } };
  if (kind < 95) {
    return { tags: { $in: [`g${random(100)}`, `g${random(100)}`] }, "geo.country": `c${random(50)}` };
  }
  return { $or: [{ room: `r${random(1000)}` }, { user: `u${random(10000)}` }], qty: { $gt: random(100) } };
}

/** One or two conditions, each of one of four kinds, on different fields. */
function hostile(random) {
  const one = (items) => items[random(items.length)];
  const patterns = expressions(random);
  const kinds = [
    () =>
      one(
        [
          ["type", `t${random(50)}`],
          ["user", `u${random(10000)}`],
          ["room", `r${random(1000)}`],
        ].map(([field, value]) => [field, { $ne: value }]),
      ),
    () => [
      one(["price", "tags", "geo.country", "geo.lat", "color", "seller", "geo.city", "seller.name"]),
      { $exists: random(2) === 0 },
    ],
    () => {
      const [field, $regex] = one(patterns);
      return [field, { $regex }];
    },
    () => {
      const [field, value] = one([
        ["price", random(100000) / 100],
        ["ts", 1700000000 + random(EVENTS)],
        ["qty", random(100)],
        ["geo.lat", random(180) - 90],
      ]);
      return [field, random(2) === 0 ? { $gt: value } : { $lt: value }];
    },
  ];
  return Array.from({ length: HOSTILE }, () => {
    const conditions = [one(kinds)()];
    while (conditions.length < 2 && random(2) === 0) {
      const second = one(kinds)();
      if (second[0] !== conditions[0][0]) conditions.push(second);
    }
    return Object.fromEntries(conditions);
  });
}

/** Fields with expressions that mean the same in JavaScript and in Rust: anchored or not, with text to look for or without. */
function expressions(random) {
  const digit = () => random(10);
  const range = () => {
    const from = random(9);
    return `[${from}-${from + 1 + random(9 - from)}]`;
  };
  const templates = [
    () => ["text", `^lorem ipsum ${digit()}${digit()}`],
    () => ["text", `ipsum ${digit()}.*${digit()}`],
    () => ["text", `${digit()}${digit()}${digit()}`],
    () => ["text", `${digit()}${range()}$`],
    () => ["text", `(${digit()}${digit()}|${digit()}${digit()}|${digit()}${digit()})`],
    () => ["text", `${range()}{2}${range()}{2}`],
    () => ["user", `^u${digit()}${digit()}?[0-4]`],
    () => ["user", `^.${range()}.${range()}$`],
    () => ["user", `${digit()}${digit()}`],
    () => ["user", `\\d${range()}\\d${range()}`],
    () => ["room", `^r${digit()}`],
    () => ["room", `${range()}${digit()}$`],
    () => ["room", `^r(${digit()}|${digit()}${digit()})`],
    () => ["room", `${range()}+${range()}${range()}`],
  ];
  const found = new Map();
  while (found.size < PATTERNS) {
    const pattern = templates[random(templates.length)]();
    found.set(pattern.join(" "), pattern);
  }
  return [...found.values()];
}
