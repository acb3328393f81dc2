/** The tables of `bench match`, ready for bench/RESULTS.md. */
import { type Churn, CONTENDERS, type Kind, type Loaded, type Times } from "./match-contender.ts";

/** What a ratio has to reach: at least or at most so much. */
export type Bar = { readonly least: number } | { readonly most: number };

/** What was measured of one contender, one value per round. */
export interface Row {
  readonly kind: Kind;
  /** Standing queries. */
  readonly count: number;
  readonly loaded: Loaded;
  /** Events per CPU-second. */
  readonly rates: number[];
  readonly churns: Churn[];
}

/** Bars of a table: what weft's figure has to be, divided by that contender's. */
export type Bars = { readonly [kind in Kind]?: Bar };

/** Microseconds that adding or removing a query may take, on average. */
const CHURN: Bar = { most: 20 };

let missed = 0;

/** How many bars were missed so far. */
export function missedBars(): number {
  return missed;
}

/** Rates, and how many times the first one the others' are, round by round. */
export function rates(title: string, rows: readonly Row[], bars: Bars): void {
  const [ours] = rows;
  if (ours === undefined) return;
  heading(title);
  table("contender", "events/CPU-s", "weft is x times", "bar", "");
  for (const row of rows) {
    const ratios = row.rates.map((rate, round) => (ours.rates[round] ?? Number.NaN) / rate);
    line(CONTENDERS[row.kind].title, spread(row.rates), spread(ratios), ...verdict(ratios, bars[row.kind]));
  }
}

/** One line that compares two contenders of a table with each other. */
export function beside(rows: readonly Row[], one: Kind, other: Kind): void {
  const find = (kind: Kind) => rows.find((row) => row.kind === kind)?.rates;
  const [ours, theirs] = [find(one), find(other)];
  if (ours === undefined || theirs === undefined) return;
  const ratios = ours.map((rate, round) => rate / (theirs[round] ?? Number.NaN));
  console.log(`\n${CONTENDERS[one].title} is ${spread(ratios)} times as fast as ${CONTENDERS[other].title}.`);
}

/** Time and memory to load. */
export function loading(title: string, rows: readonly Row[], bars: Bars): void {
  heading(title);
  table("contender", "CPU seconds", "bytes per query", "bar", "");
  for (const { kind, count, loaded } of rows) {
    const each = loaded.bytes / count;
    line(CONTENDERS[kind].title, show(loaded.seconds), show(each), ...verdict([each], bars[kind]));
  }
}

/** A large index beside a smaller one, in the same rounds. */
export function scale(title: string, large: Row, small: Row, bar: Bar): void {
  heading(title);
  table("queries", "events/CPU-s", "times the smaller one", "bar", "");
  line(number(small.count), spread(small.rates), "", "", "");
  const ratios = large.rates.map((rate, round) => rate / (small.rates[round] ?? Number.NaN));
  line(number(large.count), spread(large.rates), spread(ratios), ...verdict(ratios, bar));
}

/** Single additions and removals. */
export function churning(title: string, row: Row): void {
  heading(title);
  table("operation", "mean us", "p99.9 us", "longest us", "bar", "");
  for (const operation of ["add", "remove"] as const) {
    const of = (part: keyof Times) => row.churns.map((churn) => churn[operation][part]);
    line(
      operation,
      spread(of("mean")),
      spread(of("p999")),
      spread(of("longest")),
      ...verdict(of("mean"), CHURN),
    );
  }
}

/** A whole number for people. */
export function number(value: number): string {
  return value.toLocaleString("en");
}

/** The median; of two values, the lower one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}

/** `median (least to most)`. */
export function spread(values: readonly number[]): string {
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`;
}

/** Three digits are all that such figures mean. */
export function show(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** A bar and whether the median reaches it, for two cells. */
export function verdict(values: readonly number[], bar: Bar | undefined): [string, string] {
  if (bar === undefined) return ["", ""];
  const least = "least" in bar;
  const reached = least ? median(values) >= bar.least : median(values) <= bar.most;
  if (!reached) missed += 1;
  return [least ? `>= ${number(bar.least)}` : `<= ${number(bar.most)}`, reached ? "reached" : "MISSED"];
}

/** What stands above a table. */
export function heading(title: string): void {
  console.log(`\n${title}:\n`);
}

/** The head of a table. */
export function table(...columns: string[]): void {
  line(...columns);
  console.log(`|${" --- |".repeat(columns.length)}`);
}

/** A line of a table. */
export function line(...cells: string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}
