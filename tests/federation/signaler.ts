/** The built `weft-signaler` as a process, with its log, its pages and what it costs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "./wire/keys.ts";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const PROGRAM = process.env["WEFT_SIGNALER"] ?? join(ROOT, "target/release/weft-signaler");
const LOGS = join(ROOT, "test-results/logs");
/** How long a signaler may take to listen, milliseconds: it opens a database on a machine that is busy. */
const STARTING = 20_000;
/** How long anything may take until it ends, milliseconds: some have a lot to do before. */
const ENDING = 60_000;

export interface SignalerOptions {
  /** Further arguments. */
  readonly args?: readonly string[];
  /** The text of a configuration file. */
  readonly toml?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The directory of an earlier one, whose database is used again. */
  readonly dir?: string;
  /** 0, the default: the system chooses. */
  readonly port?: number;
  readonly host?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that was started: what it said and how it ended. */
export interface Run extends Ended {
  readonly out: string;
  readonly err: string;
}

/** Limits that make a signaler forget in seconds what it otherwise forgets in minutes. Milliseconds. */
export const HASTY = `[limits]
ttl_ms = 2000
grace_ms = 500
redial_min_ms = 50
redial_max_ms = 200
keepalive_ms = 400
dead_ms = 1000
outcome_ms = 1500
`;

let count = 0;

export class Signaler {
  /** Standard error so far. */
  log = "";
  readonly #ended: Promise<Ended>;

  private constructor(
    readonly process: ChildProcess,
    readonly dir: string,
    readonly url: string,
    readonly idText: string,
  ) {
    this.#ended = once(process, "exit").then(([code, signal]) => ({ code, signal }) as Ended);
  }

  /** Starts one that ends with the test, if it has not before. Its log is kept in test-results/logs. */
  static async start(t: TestContext, options: SignalerOptions = {}): Promise<Signaler> {
    const dir = options.dir ?? directory(t);
    const args = [...arguments_(options, dir)];
    const child = spawn(PROGRAM, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment({ RUST_LOG: "debug", ...options.env }),
    });
    endsWith(t, child);
    count += 1;
    mkdirSync(LOGS, { recursive: true });
    const name = t.name.replaceAll(/[^a-z0-9_]+/gi, "-").slice(0, 80);
    const kept = createWriteStream(join(LOGS, `${name}-${count}.log`));
    let log = "";
    child.stderr?.on("data", (data: Buffer) => {
      log += data.toString("utf8");
      kept.write(data);
      if (started !== undefined) started.log = log;
    });
    let started: Signaler | undefined;
    const line = await firstLine(child, () => log);
    const said = /^Weft signaler (z\w+) listens on (wss?:\/\/\S+)/.exec(line);
    if (said?.[1] === undefined || said[2] === undefined) throw new Error(`it said ${JSON.stringify(line)}`);
    started = new Signaler(child, dir, said[2], said[1]);
    started.log = log;
    return started;
  }

  /** Runs one that is expected to end by itself, as on a wrong argument. */
  static async run(t: TestContext, options: SignalerOptions = {}): Promise<Run> {
    const args = arguments_(options, options.dir ?? directory(t));
    return await run(PROGRAM, args, options.env);
  }

  get id(): Uint8Array {
    return parse(this.idText);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async get(path: string): Promise<Response> {
    return await fetch(new URL(path, this.url.replace(/^ws/, "http")));
  }

  async health(): Promise<Health> {
    return (await (await this.get("/healthz")).json()) as Health;
  }

  /** What `/metrics` says, by name with labels as written. */
  async metrics(): Promise<Metrics> {
    return new Metrics(await (await this.get("/metrics")).text());
  }

  /** Waits until as many siblings as wanted are up. */
  async siblings(wanted: number): Promise<void> {
    const up = async () => (await this.health()).siblings.filter((sibling) => sibling.up).length;
    await until(`${wanted} siblings of ${this.url}`, up, (now) => now === wanted);
  }

  /** Resident memory, bytes. */
  memory(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, "utf8");
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  }

  /** Waits for its end, however it comes. */
  async ended(): Promise<Ended> {
    return await inTime(this.#ended, () => this.log.slice(-10_000));
  }

  /** Ends it without a word. */
  async kill(): Promise<Ended> {
    this.process.kill("SIGKILL");
    return await this.ended();
  }

  /** Asks it to stop. */
  async stop(): Promise<Ended> {
    this.process.kill("SIGTERM");
    return await this.ended();
  }
}

/** Three that are linked with each other and admit anybody. */
export async function three(t: TestContext): Promise<[Signaler, Signaler, Signaler]> {
  const a = await Signaler.start(t, { args: ["--open"] });
  const args = ["--open", "--sibling", a.url];
  const [b, c] = [await Signaler.start(t, { args }), await Signaler.start(t, { args })];
  for (const one of [a, b, c]) await one.siblings(2);
  return [a, b, c];
}

export interface Health {
  readonly status: string;
  readonly version: string;
  readonly id: string;
  readonly uptime_s: number;
  readonly now_ms: number;
  readonly received_bytes: number;
  readonly sent_bytes: number;
  readonly connections: number;
  readonly peers: number;
  readonly swarms: number;
  readonly entries: number;
  readonly siblings: readonly {
    readonly id?: string | null;
    readonly url?: string | null;
    readonly up: boolean;
  }[];
  readonly members: readonly {
    readonly id: string;
    readonly url?: string | null;
    readonly since_ms: number;
    readonly active: boolean;
  }[];
}

/**
 * The text form of Prometheus (exposition format 0.0.4), parsed strictly: a line that is not of it throws, and so does a metric
 * that is told of twice, in two places, or before what it is.
 */
export class Metrics {
  readonly values = new Map<string, number>();
  readonly types = new Map<string, string>();
  readonly helps = new Map<string, string>();

  constructor(text: string) {
    const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"`;
    const sample = new RegExp(
      `^([a-zA-Z_:][\\w:]*)(\\{${label}(?:,${label})*,?\\})? (-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|NaN|[+-]Inf)$`,
    );
    if (!text.endsWith("\n")) throw new Error("the last line has no end");
    const once = <V>(map: Map<string, V>, name: string, value: V): void => {
      if (map.has(name)) throw new Error(`${name} is told of twice`);
      map.set(name, value);
    };
    let group: string | undefined;
    for (const line of text.split("\n")) {
      const help = /^# HELP ([a-zA-Z_:][\w:]*) ((?:[^\\]|\\[\\n])+)$/.exec(line);
      const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
      const [, name, labels = "", value] = sample.exec(line) ?? [];
      if (help?.[1] !== undefined && help[2] !== undefined) {
        once(this.helps, help[1], help[2]);
        if (this.types.has(help[1])) throw new Error(`what ${help[1]} is comes after its type`);
      } else if (type?.[1] !== undefined && type[2] !== undefined) {
        once(this.types, type[1], type[2]);
        group = type[1];
      } else if (name !== undefined) {
        if (name !== group) throw new Error(`${name} is not below its type`);
        once(this.values, `${name}${labels}`, Number(value));
      } else if (line !== "") throw new Error(`no Prometheus line: ${line}`);
    }
  }

  /** Throws if there is no such metric, so that a misspelt one cannot pass for zero. */
  get(name: string): number {
    const value = this.values.get(name);
    if (value === undefined) throw new Error(`no metric ${name} among ${[...this.values.keys()].join(", ")}`);
    return value;
  }

  refused(code: string): number {
    return this.get(`weft_refused_total{code="${code}"}`);
  }
}

/** B - A - C: the outer two call the one in the middle by its URL; it admits them because it is open. */
export async function chain(t: TestContext, toml = ""): Promise<[Signaler, Signaler, Signaler]> {
  const middle = await Signaler.start(t, { toml, args: ["--open"] });
  const call = { toml, args: ["--sibling", middle.url] };
  const [first, last] = await Promise.all([Signaler.start(t, call), Signaler.start(t, call)]);
  await Promise.all([middle.siblings(2), first.siblings(1), last.siblings(1)]);
  return [first, middle, last];
}

/** Two that are siblings. */
export async function pair(
  t: TestContext,
  toml = "",
  env: Readonly<Record<string, string>> = {},
): Promise<[Signaler, Signaler]> {
  const one = await Signaler.start(t, { toml, env, args: ["--open"] });
  const other = await Signaler.start(t, { toml, env, args: ["--sibling", one.url] });
  await Promise.all([one.siblings(1), other.siblings(1)]);
  return [one, other];
}

const running = new Set<ChildProcess>();

/** Ends a program with its test, and with this process should that be ended first. */
export function endsWith(t: TestContext, child: ChildProcess): void {
  if (running.size === 0 && process.listenerCount("exit", killAll) === 0) {
    process.on("exit", killAll);
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      process.once(signal, () => process.exit(code));
    }
  }
  running.add(child);
  child.once("exit", () => running.delete(child));
  t.after(() => child.kill("SIGKILL"));
}

function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

/** What a program's end gives; throws with the end of its log if that does not come. */
export async function inTime(end: Promise<Ended>, log: () => string): Promise<Ended> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not ended in ${ENDING} ms\n${log()}`)), ENDING);
  });
  return await Promise.race([end, late]).finally(() => clearTimeout(timer));
}

/** A directory that goes with the test. */
export function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "weft-federation-"));
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

/** Asks again and again until what it says is as wanted; at the deadline tells what was seen last. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  wanted: (seen: T) => boolean,
  within = 10_000,
): Promise<T> {
  const deadline = performance.now() + within;
  for (;;) {
    const seen = await look();
    if (wanted(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`no ${what} in ${within} ms: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Runs a program to its end, at most 20 s. */
export async function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: environment(env),
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString("utf8");
  });
  child.stderr.on("data", (data: Buffer) => {
    err += data.toString("utf8");
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, out, err };
}

function arguments_(options: SignalerOptions, dir: string): string[] {
  const args = [...(options.args ?? [])];
  if (options.env?.["MESH_PORT"] === undefined && !args.includes("--listen")) {
    args.push("--listen", `${options.host ?? "127.0.0.1"}:${options.port ?? 0}`);
  }
  if (options.env?.["MESH_DB_PATH"] === undefined && !args.includes("--data"))
    args.push("--data", join(dir, "mesh.db"));
  if (options.toml !== undefined) {
    writeFileSync(join(dir, "weft.toml"), options.toml);
    args.push("--config", join(dir, "weft.toml"));
  }
  return args;
}

/** This process's environment without what would change the programs. */
export function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = ["MESH_PORT", "MESH_DB_PATH", "WEFT_SIGNALER", "WEFT_PARTY", "WEFT_DATA"];
  const rest = Object.entries(process.env).filter(([name]) => !own.includes(name));
  return { ...Object.fromEntries(rest), ...more };
}

async function firstLine(child: ChildProcess, log: () => string): Promise<string> {
  let out = "";
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`not listening after ${STARTING} ms: ${log()}`)),
      STARTING,
    );
    child.stdout?.on("data", (data: Buffer) => {
      out += data.toString("utf8");
      if (!out.includes("\n")) return;
      clearTimeout(timer);
      resolve(out.split("\n")[0] ?? "");
    });
    child.on("error", reject);
    child.on("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`it ended with ${code}: ${log()}`));
    });
  });
}
