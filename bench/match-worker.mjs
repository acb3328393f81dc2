/**
 * `node --expose-gc bench/match-worker.mjs CONTENDER QUERIES COUNT EVENTS`: one contender of `bench match` that runs in
 * Node, as a process of its own: sift, mingo, our package's `Query`, or our index as wasm.
 *
 * It answers as bench/src/bin/matcher does, and measures in the same way: `run SECONDS`, `check SECONDS`.
 */
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

/** As in bench/src/bin/matcher/serve.rs: patience in multiples of the asked time, warming up as a share of it. */
const PATIENCE = 3;
const WARM_UP = 0.1;
/** A look at the clock is worth so much work, seconds. */
const BETWEEN_LOOKS = 0.01;

const [contender, queriesFile, count, eventsFile] = process.argv.slice(2);
const eventsText = readFileSync(eventsFile, "utf8");
const eventCount = eventsText.split("\n").length;
const load = { sift, mingo, query, wasm }[contender];
if (load === undefined) throw new Error(`there is no contender ${contender}`);

globalThis.gc();
const [begin, before] = [cpu(), process.memoryUsage().rss];
const run = await load();
const seconds = cpu() - begin;
globalThis.gc();
answer({ seconds, bytes: Math.max(0, process.memoryUsage().rss - before) });

let next = 0;
for await (const line of createInterface(process.stdin)) {
  const [what, seconds] = line.split(" ");
  if (what === "check") answer(check(Number(seconds)));
  else if (what === "run") answer(measure(Number(seconds)));
  else throw new Error(`unknown: ${line}`);
}

/** npm `sift`: each query becomes a function. */
async function sift() {
  const { default: module } = await import("sift");
  return await scan(module.default ?? module);
}

/** npm `mingo`: each query becomes an object. */
async function mingo() {
  const { Query } = await import("mingo");
  return await scan((query) => {
    const compiled = new Query(query);
    return (event) => compiled.test(event);
  });
}

/** Ours as applications have it: `Query` of the built package, with events as objects of JavaScript. */
async function query() {
  const { Query, ready } = await import("weft-mesh");
  await ready();
  return await scan((query) => {
    const compiled = new Query(query);
    return (event) => compiled.matches(event);
  });
}

/** One query after the other, events as JavaScript holds them. */
async function scan(compile) {
  const tests = [];
  for await (const text of queries()) tests.push(compile(JSON.parse(text)));
  const events = eventsText.split("\n").map((text) => JSON.parse(text));
  return (from, count) => {
    let [hits, sum] = [0, 0];
    for (let at = from; at < from + count; at += 1) {
      const event = events[at % eventCount];
      for (let number = 0; number < tests.length; number += 1) {
        if (tests[number](event)) {
          hits += 1;
          sum += number;
        }
      }
    }
    return { hits, sum };
  };
}

/** Our index as wasm, bench/matcher-wasm, with events parsed there. */
async function wasm() {
  const dir = process.env["WEFT_MATCHER_WASM"] ?? "target/matcher-wasm";
  const glue = await import(pathToFileURL(join(dir, "matcher.js")).href);
  glue.initSync({ module: readFileSync(join(dir, "matcher_bg.wasm")) });
  const matcher = new glue.Matcher(eventsText);
  let number = 0;
  for await (const text of queries()) {
    matcher.add(number, text);
    number += 1;
  }
  return (from, count) => {
    matcher.run(from, count);
    return { hits: matcher.hits, sum: matcher.sum };
  };
}

/** The JSON text of the first queries. */
async function* queries() {
  let left = Number(count);
  for await (const line of createInterface(createReadStream(queriesFile))) {
    if (left === 0) return;
    left -= 1;
    yield line;
  }
  if (left > 0) throw new Error(`${left} queries are missing`);
}

function measure(seconds) {
  stretch(seconds * WARM_UP, seconds * WARM_UP);
  return stretch(seconds, seconds * PATIENCE);
}

/** Matches event after event, at least for the time `least`, and for a pass or the time `most`. */
function stretch(least, most) {
  const from = next;
  let [events, hits, sum, batch] = [0, 0, 0, 1];
  const begin = cpu();
  for (let looked = begin; ; ) {
    const done = run(next, batch);
    hits += done.hits;
    sum += done.sum;
    events += batch;
    next = (next + batch) % eventCount;
    const now = cpu();
    const spent = now - begin;
    if (spent >= least && (events >= eventCount || spent >= most)) {
      return { from, events, hits, sum, seconds: spent };
    }
    if (now - looked < BETWEEN_LOOKS) batch *= 2;
    looked = now;
  }
}

/** Hits and the sum of their queries' numbers, for each event from the first one on. */
function check(seconds) {
  const enough = cpu() + seconds;
  const [hits, sums] = [[], []];
  for (let event = 0; event < eventCount; event += 1) {
    const done = run(event, 1);
    hits.push(done.hits);
    sums.push(done.sum);
    if (cpu() >= enough) break;
  }
  return { hits, sums };
}

/** CPU seconds of this process, all its threads. */
function cpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
