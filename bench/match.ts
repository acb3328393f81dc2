/**
 * `cargo xtask bench match [--rounds N] [--seconds S] [--only NAMES] [--quick]`: standing queries matched against events.
 *
 * Our index, natively and as wasm, beside sift and mingo (Node), a-tree (Rust) and a scan written by hand for just these
 * queries (Rust). Every contender is a process of its own that stays for all rounds; in each round they are measured one
 * after the other on the same core, and ratios are taken within the round. What counts is CPU time of the process.
 * Before that, the hits of every contender are compared, event by event, and after every measurement those of all that
 * it matched: a contender that finds something else ends the run.
 *
 * `--only` takes names of tables (1, 1000, 100000, hostile, 1000000) and of contenders (bench/match-contender.ts).
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Check, CONTENDERS, Contender, type Kind, type Run } from "./match-contender.ts";
import * as report from "./match-report.ts";

const WORKLOAD = resolve(fileURLToPath(import.meta.url), "../match-workload.mjs");
const ROUNDS = 5;
/** CPU seconds of one measurement; a slow contender gets up to three times as much for one pass over the events. */
const SECONDS = 2;
/** More CPU seconds than a comparison of all events takes. */
const ALL_EVENTS = 1e6;

/** What is measured in the same rounds. */
interface Group {
  readonly name: string;
  readonly title: string;
  readonly queries: "queries" | "hostile";
  readonly contenders: readonly { readonly kind: Kind; readonly count: number }[];
  /** Whose queries are also removed and added, if that is measured. */
  readonly churned?: number;
  report(rows: readonly report.Row[]): void;
}

/** Native figures may be at most so many times those of wasm: at least 0.4 of them. */
const WASM = { most: 2.5 };
const everybody: readonly Kind[] = [
  "weft",
  "weft-cbor",
  "weft-json",
  "wasm",
  "typed",
  "a-tree",
  "sift",
  "mingo",
];
const ofSize = (count: number, kinds: readonly Kind[]) => kinds.map((kind) => ({ kind, count }));

const GROUPS: readonly Group[] = [
  {
    name: "1",
    title: "1 standing query",
    queries: "queries",
    contenders: ofSize(1, [...everybody, "query"]),
    report(rows) {
      report.rates(this.title, rows, { wasm: WASM, sift: { least: 10 } });
      report.beside(rows, "query", "sift");
    },
  },
  {
    name: "1000",
    title: "1,000 standing queries",
    queries: "queries",
    contenders: ofSize(1_000, [...everybody, "weft-scan"]),
    report(rows) {
      report.rates(this.title, rows, { wasm: WASM, sift: { least: 1_000 } });
    },
  },
  {
    name: "100000",
    title: "100,000 standing queries",
    queries: "queries",
    contenders: ofSize(100_000, everybody),
    report(rows) {
      report.rates(this.title, rows, {
        wasm: WASM,
        sift: { least: 5_000 },
        mingo: { least: 5_000 },
        "a-tree": { least: 100 },
        typed: { least: 50 },
      });
      report.loading("Loading 100,000 queries from JSON text", rows, {});
    },
  },
  {
    name: "hostile",
    title: "10,000 standing queries without an equality",
    queries: "hostile",
    contenders: ofSize(10_000, ["weft", "weft-scan", "typed-hostile", "typed-hostile-lite", "sift", "mingo"]),
    churned: 10_000,
    report(rows) {
      report.rates(this.title, rows, { sift: { least: 20 }, "typed-hostile": { least: 1 } });
      report.churning("A tenth of these queries removed and added", only(rows, "weft", 10_000));
    },
  },
  {
    name: "1000000",
    title: "1,000,000 standing queries",
    queries: "queries",
    contenders: [...ofSize(1_000_000, ["weft", "typed"]), ...ofSize(100_000, ["weft"])],
    churned: 1_000_000,
    report(rows) {
      const large = only(rows, "weft", 1_000_000);
      report.scale(this.title, large, only(rows, "weft", 100_000), { least: 0.1 });
      const loaded = rows.filter(({ count }) => count === 1_000_000);
      report.loading("Loading 1,000,000 queries from JSON text", loaded, { weft: { most: 300 } });
      report.churning("A tenth of these queries removed and added", large);
    },
  },
];

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: String(ROUNDS) },
    seconds: { type: "string", default: String(SECONDS) },
    only: { type: "string", default: "" },
    quick: { type: "boolean", default: false },
  },
});
const [rounds, seconds] = options.quick ? [1, 0.2] : [Number(options.rounds), Number(options.seconds)];
if (!(rounds >= 1 && seconds > 0)) throw new Error("--rounds and --seconds are numbers above 0");
const groups = chosen(options.only.split(",").filter((name) => name !== ""));
const dir = mkdtempSync(join(tmpdir(), "weft-match-"));
try {
  const most = Math.max(...groups.flatMap(({ contenders }) => contenders.map(({ count }) => count)));
  execFileSync(process.execPath, [WORKLOAD, dir, String(most)]);
  for (const group of groups) {
    const rows = await measure(group);
    group.report(rows);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
if (report.missedBars() > 0 && !options.quick) process.exitCode = 1;

/** The groups and contenders of these names; ours is always among the contenders, for the others are compared with it. */
function chosen(names: readonly string[]): Group[] {
  const isGroup = (name: string) => GROUPS.some((group) => group.name === name);
  const kinds = names.filter((name) => !isGroup(name));
  for (const kind of kinds) if (!(kind in CONTENDERS)) throw new Error(`--only: there is no ${kind}`);
  return GROUPS.filter(({ name }) => names.includes(name) || !names.some(isGroup)).map((group) => ({
    ...group,
    contenders: group.contenders.filter(
      ({ kind }) => kind === "weft" || kinds.length === 0 || kinds.includes(kind),
    ),
  }));
}

/** Loads all contenders of a group, compares what they find, and measures them in turn. */
async function measure(group: Group): Promise<report.Row[]> {
  const queries = join(dir, `${group.queries}.jsonl`);
  const running: { readonly contender: Contender; readonly row: report.Row; readonly truth: Check }[] = [];
  const truths = new Map<number, Check>();
  try {
    for (const { kind, count } of group.contenders) {
      const contender = await Contender.start(kind, queries, count, join(dir, "events.jsonl"));
      const { loaded } = contender;
      progress(group, contender, `loaded in ${loaded.seconds.toFixed(2)} s, ${loaded.bytes} bytes`);
      const truth = truths.get(count) ?? (await contender.check(ALL_EVENTS));
      running.push({ contender, row: { kind, count, loaded, rates: [], churns: [] }, truth });
      if (truths.has(count)) compare(kind, await contender.check(seconds), truth);
      truths.set(count, truth);
    }
    for (let round = 1; round <= rounds; round += 1) {
      for (const { contender, row, truth } of running) {
        const run = await contender.run(seconds);
        verify(contender.kind, run, truth);
        row.rates.push(run.events / run.seconds);
        const figure = `${(run.events / run.seconds).toPrecision(4)} events/CPU-s, ${run.events} events`;
        progress(group, contender, `round ${round} of ${rounds}: ${figure}`);
        if (contender.kind !== "weft" || contender.count !== group.churned) continue;
        row.churns.push(await contender.churn());
        compare("weft after queries were removed and added", await contender.check(ALL_EVENTS), truth);
        progress(group, contender, `round ${round} of ${rounds}: a tenth removed and added`);
      }
    }
  } finally {
    for (const { contender } of running) contender.stop();
  }
  return running.map(({ row }) => row);
}

/** Throws where two contenders differ about an event. */
function compare(who: string, check: Check, truth: Check): void {
  for (const [event, hits] of check.hits.entries()) {
    if (hits !== truth.hits[event] || check.sums[event] !== truth.sums[event]) {
      throw new Error(
        `event ${event}: ${who} finds ${hits} queries, sum of numbers ${check.sums[event]}; ` +
          `weft finds ${truth.hits[event]}, sum ${truth.sums[event]}`,
      );
    }
  }
}

/** Throws where a measurement found something else than the comparison. */
function verify(who: string, run: Run, truth: Check): void {
  const all = truth.hits.length;
  const total = (each: readonly number[]) => {
    const passes = Math.floor(run.events / all);
    let sum = passes === 0 ? 0 : passes * each.reduce((sum, value) => sum + value, 0);
    for (let at = passes * all; at < run.events; at += 1) sum += each[(run.from + at) % all] ?? Number.NaN;
    return sum;
  };
  const [hits, sum] = [total(truth.hits), total(truth.sums)];
  if (run.hits !== hits || run.sum !== sum) {
    throw new Error(
      `${run.events} events from ${run.from}: ${who} found ${run.hits} queries, sum of numbers ${run.sum}; ` +
        `there are ${hits}, sum ${sum}`,
    );
  }
}

function only(rows: readonly report.Row[], kind: Kind, count: number): report.Row {
  const row = rows.find((row) => row.kind === kind && row.count === count);
  if (row === undefined) throw new Error(`${kind} was not measured with ${count} queries`);
  return row;
}

function progress(group: Group, { kind, count }: Contender, what: string): void {
  const queries = group.queries === "hostile" ? "hostile queries" : "queries";
  console.log(`# ${kind}, ${report.number(count)} ${queries}: ${what}`);
}
