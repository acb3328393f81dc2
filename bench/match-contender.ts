/** A contender of `bench match`: a process on one core that loads queries and then does what it is asked for. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const ROOT = resolve(fileURLToPath(import.meta.url), "../..");
const NATIVE = process.env["WEFT_MATCHER"] ?? join(ROOT, "target/release/matcher");
const IN_NODE = join(ROOT, "bench/match-worker.mjs");
/** One core for all, in turn: what else the machine does (interrupts, this program) is on the others. */
const CORE = "1";

/** Who there is: in which program, and as it is called in a table. */
export const CONTENDERS = {
  weft: { native: true, title: "weft" },
  "weft-cbor": { native: true, title: "weft, events as CBOR" },
  "weft-json": { native: true, title: "weft, events as JSON text" },
  "weft-scan": { native: true, title: "weft's evaluator without the index" },
  wasm: { native: false, title: "weft as wasm" },
  query: { native: false, title: "`Query.matches` of the npm package" },
  typed: { native: true, title: "typed scan in Rust" },
  "typed-hostile": { native: true, title: "typed scan in Rust, crate regex" },
  "typed-hostile-lite": { native: true, title: "typed scan in Rust, crate regex-lite" },
  "a-tree": { native: true, title: "a-tree 0.6.1" },
  sift: { native: false, title: "sift 17.1.4" },
  mingo: { native: false, title: "mingo 7.2.6" },
} as const;
export type Kind = keyof typeof CONTENDERS;

/** What loading cost. */
export interface Loaded {
  /** CPU seconds. */
  readonly seconds: number;
  /** Growth of resident memory. */
  readonly bytes: number;
}

/** A measurement. */
export interface Run {
  /** The first event; the others came in order, and after the last one the first. */
  readonly from: number;
  readonly events: number;
  readonly hits: number;
  /** Of the hits' query numbers. */
  readonly sum: number;
  /** CPU seconds. */
  readonly seconds: number;
}

/** Hits and the sum of their query numbers, for each event from the first one on. */
export interface Check {
  readonly hits: readonly number[];
  readonly sums: readonly number[];
}

/** Microseconds. */
export interface Times {
  readonly mean: number;
  readonly p999: number;
  readonly longest: number;
}

/** Removing a tenth of the queries, and adding it again. */
export interface Churn {
  readonly add: Times;
  readonly remove: Times;
}

/** A running contender. */
export class Contender {
  readonly kind: Kind;
  readonly count: number;
  readonly loaded: Loaded;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  private constructor(
    kind: Kind,
    count: number,
    loaded: Loaded,
    child: ChildProcessByStdio<Writable, Readable, null>,
    answers: AsyncIterator<string>,
  ) {
    this.kind = kind;
    this.count = count;
    this.loaded = loaded;
    this.#child = child;
    this.#answers = answers;
  }

  /** Starts a contender with the first `count` queries of a file. */
  static async start(kind: Kind, queries: string, count: number, events: string): Promise<Contender> {
    const program = CONTENDERS[kind].native ? [NATIVE] : [process.execPath, "--expose-gc", IN_NODE];
    const child = spawn("taskset", ["-c", CORE, ...program, kind, queries, String(count), events], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.on("error", (error) => {
      console.error(`taskset could not be started (Debian: util-linux): ${error.message}`);
    });
    // Writing to a contender that has ended is no second error: its missing answer says so.
    child.stdin.on("error", () => undefined);
    const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
    return new Contender(kind, count, await answer<Loaded>(kind, answers), child, answers);
  }

  run(seconds: number): Promise<Run> {
    return this.#ask(`run ${seconds}`);
  }

  check(seconds: number): Promise<Check> {
    return this.#ask(`check ${seconds}`);
  }

  churn(): Promise<Churn> {
    return this.#ask("churn");
  }

  stop(): void {
    this.#child.stdin.end();
    this.#child.kill();
  }

  async #ask<Answer>(question: string): Promise<Answer> {
    this.#child.stdin.write(`${question}\n`);
    return await answer<Answer>(this.kind, this.#answers);
  }
}

async function answer<Answer>(kind: Kind, answers: AsyncIterator<string>): Promise<Answer> {
  const { done, value } = await answers.next();
  if (done === true) throw new Error(`${kind} ended instead of answering; what it said is above`);
  return JSON.parse(value) as Answer;
}
