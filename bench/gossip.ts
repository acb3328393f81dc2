/**
 * `cargo xtask bench gossip [--seeds N] [--peers LIST] [--rounds N] [--only CASES] [--baseline] [--json FILE]`: broadcasts
 * among simulated peers, beside iroh-gossip.
 *
 * iroh-gossip runs in its own simulator (bench/gossip-iroh, whose first comment says when a round ends there and who
 * notices a crash when), Weft in `cargo xtask sim`. For each number of peers, case and seed both run one after the other,
 * and ratios are taken within the seed. A seed does not mean the same overlay in both: it only repeats a run.
 *
 * Means of rounds leave out the first one of a run, which makes the tree; the first round after a crash is told by itself,
 * for it begins at the instant of the crash. `--baseline` runs iroh-gossip alone.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = resolve(fileURLToPath(import.meta.url), "../..");
const IROH =
  process.env["WEFT_GOSSIP_IROH"] ?? join(ROOT, "target/gossip-iroh/release/weft-bench-gossip-iroh");
const CARGO = process.env["CARGO"] ?? "cargo";
/** More than a run writes to standard output. */
const OUTPUT = 64 * 1024 * 1024;

/** What is measured, by the scenario's name in `cargo xtask sim`. */
const CASES: Readonly<Record<string, readonly string[]>> = {
  single: ["--case", "single"],
  rotating: ["--case", "rotating"],
  crash30: ["--case", "crash", "--share", "0.3"],
  crash50: ["--case", "crash", "--share", "0.5"],
  crash80: ["--case", "crash", "--share", "0.8"],
};

/** One broadcast. */
interface Round {
  /** Payloads received per delivery, less 1; null if nobody received it. */
  readonly rmr: number | null;
  /** Links that the farthest delivery has passed. */
  readonly hops: number;
  /** From the broadcast to the last delivery, simulated milliseconds. */
  readonly last: number;
  /** Peers alive that had not received it when the round ended. */
  readonly missed: number;
}

/** Rounds between which nothing crashes, the last one of a crash's after it. */
type Run = readonly (readonly Round[])[];

/** A line of the table: what it is called and its value in a run, if it has one. */
interface Figure {
  readonly name: string;
  of(run: Run): number | undefined;
}

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "5" },
    peers: { type: "string", default: "1000,10000" },
    rounds: { type: "string", default: "10" },
    only: { type: "string", default: Object.keys(CASES).join(",") },
    baseline: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const [seeds, rounds] = [whole("--seeds", options.seeds, 1), whole("--rounds", options.rounds, 2)];
const sizes = options.peers.split(",").map((size) => whole("--peers", size, 10));
const cases = options.only.split(",");
for (const name of cases) if (!(name in CASES)) throw new Error(`--only: there is no case ${name}`);

const dir = mkdtempSync(join(tmpdir(), "weft-gossip-"));
const raw: unknown[] = [];
try {
  for (const peers of sizes) {
    table(peers);
    for (const name of cases) {
      const [theirs, ours]: [Run[], Run[]] = [[], []];
      for (let seed = 1; seed <= seeds; seed += 1) {
        theirs.push(iroh(name, peers, seed));
        if (!options.baseline) ours.push(weft(name, peers, seed));
      }
      for (const figure of figures(name)) line(name, figure, theirs, ours);
    }
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(raw)}\n`);

/** iroh-gossip in one run. */
function iroh(name: string, peers: number, seed: number): Run {
  const given = ["--peers", String(peers), "--seed", String(seed), "--rounds", String(rounds)];
  const output = execFileSync(IROH, [...(CASES[name] ?? []), ...given], { maxBuffer: OUTPUT });
  const told: {
    phases: { rounds: { rmr: number | null; ldh: number; last_ms: number; missed: number }[] }[];
  } = JSON.parse(output.toString());
  raw.push({ of: "iroh-gossip", name, ...told });
  return told.phases.map((phase) =>
    // Its neighbours of the sender have hop 0.
    phase.rounds.map(({ rmr, ldh, last_ms, missed }) => ({ rmr, hops: ldh + 1, last: last_ms, missed })),
  );
}

/** Weft in one run. */
function weft(name: string, peers: number, seed: number): Run {
  const file = join(dir, "weft.json");
  const given = ["--seed", String(seed), "--peers", String(peers), "--json", file];
  execFileSync(CARGO, ["xtask", "sim", name, ...given], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const told: unknown = JSON.parse(readFileSync(file, "utf8"));
  raw.push({ of: "weft", name, peers, seed, told });
  return read(told);
}

/** What `cargo xtask sim --json` writes. The only place that knows. */
function read(told: unknown): Run {
  const { runs } = told as {
    runs: {
      report: {
        phases: {
          rounds?: { rmr: number; last_hop: number; delivery_ms: { max: number }; missed: number }[];
        }[];
      };
    }[];
  };
  // Before and after the crash; what comes when all has healed has no counterpart.
  const phases = (runs[0]?.report.phases ?? []).flatMap(({ rounds }) =>
    rounds === undefined ? [] : [rounds],
  );
  if (phases.length === 0) throw new Error("cargo xtask sim told of no broadcast");
  return phases.slice(0, 2).map((phase) =>
    phase.map(({ rmr, last_hop, delivery_ms, missed }) => ({
      rmr,
      hops: last_hop,
      last: delivery_ms.max,
      missed,
    })),
  );
}

/** What the table says about a case. */
function figures(name: string): Figure[] {
  const steady: Figure[] = [
    { name: "RMR", of: (run) => mean(warm(run), ({ rmr }) => rmr) },
    { name: "last hop", of: (run) => mean(warm(run), ({ hops }) => hops) },
    { name: "last delivery, ms", of: (run) => mean(warm(run), ({ last }) => last) },
  ];
  if (!name.startsWith("crash")) {
    const missed = (run: Run) => run.flat().reduce((sum, round) => sum + round.missed, 0);
    return [...steady, { name: "missed in all rounds", of: missed }];
  }
  return [
    { name: "missed in the first round", of: (run) => run.at(-1)?.[0]?.missed },
    { name: "last delivery in the first round, ms", of: (run) => run.at(-1)?.[0]?.last },
    { name: "missed in the second round", of: (run) => run.at(-1)?.[1]?.missed },
    { name: "missed in the last round", of: (run) => run.at(-1)?.at(-1)?.missed },
    ...steady,
  ];
}

/** The rounds of the last phase without its first one. */
function warm(run: Run): readonly Round[] {
  return run.at(-1)?.slice(1) ?? [];
}

function mean(rounds: readonly Round[], of: (round: Round) => number | null): number | undefined {
  const values = rounds.map(of).filter((value) => value !== null);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function table(peers: number): void {
  console.log(`\n${peers.toLocaleString("en")} peers, ${seeds} seeds, median (least to most):\n`);
  const columns = ["case", "figure", "iroh-gossip"];
  if (!options.baseline) columns.push("weft", "weft is x times");
  console.log(`| ${columns.join(" | ")} |`);
  console.log(`|${" --- |".repeat(columns.length)}`);
}

function line(name: string, figure: Figure, theirs: readonly Run[], ours: readonly Run[]): void {
  const cells = [name, figure.name, spread(theirs.map((run) => figure.of(run)))];
  if (!options.baseline) {
    const ratios = ours.map((run, at) => ratio(figure.of(run), figure.of(theirs[at] ?? [])));
    cells.push(spread(ours.map((run) => figure.of(run))), spread(ratios));
  }
  console.log(`| ${cells.join(" | ")} |`);
}

/** There is no ratio to nothing, which many figures are when all is well. */
function ratio(ours: number | undefined, theirs: number | undefined): number | undefined {
  return ours === undefined || theirs === undefined || theirs === 0 ? undefined : ours / theirs;
}

/** `median (least to most)` of what there is. */
function spread(all: readonly (number | undefined)[]): string {
  const values = all.filter((value) => value !== undefined).sort((a, b) => a - b);
  const [least, median, most] = [values[0], values[(values.length - 1) >> 1], values.at(-1)];
  if (least === undefined || median === undefined || most === undefined) return "";
  return `${show(median)} (${show(least)} to ${show(most)})`;
}

/** Three digits, and none behind what is as good as nothing. */
function show(value: number): string {
  const shown = Math.abs(value) < 0.0005 ? 0 : value;
  return Math.abs(shown) >= 1_000
    ? Math.round(shown).toLocaleString("en")
    : String(Number(shown.toPrecision(3)));
}

function whole(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) throw new Error(`${flag} takes whole numbers from ${least}`);
  return value;
}
