/** The built `weft` command as a process: JSON lines in and out. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { directory, type Ended, endsWith, environment, inTime, type Run, run, until } from "./signaler.ts";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
export const PROGRAM = process.env["WEFT"] ?? join(ROOT, "target/release/weft");
/** How long is waited for a line if nothing else is said, milliseconds. */
const PATIENCE = 20_000;

export interface WeftOptions {
  /** One or several, in order of preference. */
  readonly signalers: readonly string[];
  /** It may use others that those tell of; if left out it has those alone. */
  readonly discover?: boolean;
  readonly party?: string;
  /** Where the keys are; a new place if left out. */
  readonly data?: string;
  /** Use only this address; loopback if left out, undefined for all. */
  readonly address?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command line: `ip netns exec NAME`, say. */
  readonly within?: readonly string[];
}

/** A line of output, with when it came (`performance.now()`). */
export interface Line {
  readonly at: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a program prints has no type.
  readonly json: any;
}

export class Weft {
  readonly lines: Line[] = [];
  /** Standard error so far. */
  log = "";
  readonly #ended: Promise<Ended>;
  readonly #waiters = new Set<() => void>();

  private constructor(
    readonly process: ChildProcess,
    readonly data: string,
  ) {
    this.#ended = once(process, "close").then(([code, signal]) => ({ code, signal }) as Ended);
    let rest = "";
    process.stdout?.on("data", (data: Buffer) => {
      const lines = (rest + data.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.lines.push({ at: performance.now(), json: JSON.parse(line) });
      for (const waiter of this.#waiters) waiter();
    });
    process.stderr?.on("data", (data: Buffer) => {
      this.log += data.toString("utf8");
      for (const waiter of this.#waiters) waiter();
    });
    void this.#ended.then(() => {
      for (const waiter of this.#waiters) waiter();
    });
  }

  /** Starts a command that ends with the test, if it has not before. */
  static start(t: TestContext, command: string, args: readonly string[], options: WeftOptions): Weft {
    const data = options.data ?? directory(t);
    const [program, ...words] = [
      ...(options.within ?? []),
      PROGRAM,
      ...commandLine(command, args, data, options),
    ];
    const child = spawn(program ?? PROGRAM, words, {
      stdio: ["pipe", "pipe", "pipe"],
      env: environment(options.env),
    });
    // A command may end before it has read everything.
    child.stdin.on("error", () => {});
    endsWith(t, child);
    return new Weft(child, data);
  }

  /** Runs one to its end. */
  static async run(
    t: TestContext,
    command: string,
    args: readonly string[],
    options: WeftOptions,
  ): Promise<Run> {
    const [program = PROGRAM, ...words] = [
      ...(options.within ?? []),
      PROGRAM,
      ...commandLine(command, args, options.data ?? directory(t), options),
    ];
    return await run(program, words, options.env);
  }

  /** The identity of a directory of keys. */
  static async identity(data: string): Promise<string> {
    const { out } = await run(PROGRAM, ["id", "--json", "--data", data]);
    return (JSON.parse(out) as { identity: string }).identity;
  }

  /** The peer that a command with a directory of keys of its own is. */
  static async peer(data: string): Promise<string> {
    const { out } = await run(PROGRAM, ["id", "--json", "--data", data]);
    const [peer, ...others] = (JSON.parse(out) as { peers: string[] }).peers;
    if (peer === undefined || others.length > 0) throw new Error(`not one peer, but ${out}`);
    return peer;
  }

  /** The first line so far, or to come, that is as wanted. */
  async line(what: string, wanted: (json: Line["json"]) => boolean, within = PATIENCE): Promise<Line> {
    const found = () => this.lines.find((line) => wanted(line.json));
    await this.#until(what, () => found() !== undefined, within);
    return found() as Line;
  }

  /** Waits for so many lines. */
  async count(lines: number, within = PATIENCE): Promise<void> {
    await this.#until(`${lines} lines`, () => this.lines.length >= lines, within);
  }

  /** Waits for words on standard error. */
  async said(words: string, within = PATIENCE): Promise<void> {
    await this.#until(words, () => this.log.includes(words), within);
  }

  /** Gives it a line of input. */
  write(json: unknown): void {
    this.process.stdin?.write(`${JSON.stringify(json)}\n`);
  }

  end(): void {
    this.process.stdin?.end();
  }

  /** Waits for its end, however it comes. */
  async ended(): Promise<Ended> {
    return await inTime(this.#ended, () => this.log);
  }

  /** Ctrl-C. */
  async interrupt(): Promise<Ended> {
    this.process.kill("SIGINT");
    return await this.ended();
  }

  /**
   * Stops all its threads. One of them has to run to stop the others (signal(7)): on a busy machine they may do a lot until
   * then, so that it is waited for.
   */
  async pause(): Promise<void> {
    this.process.kill("SIGSTOP");
    const tasks = `/proc/${this.process.pid}/task`;
    const stops = (task: string): boolean => {
      try {
        return / T [^)]*$/.test(readFileSync(`${tasks}/${task}/stat`, "utf8"));
      } catch {
        return true; // It has ended meanwhile.
      }
    };
    const running = () => readdirSync(tasks).filter((task) => !stops(task)).length;
    await until("stop of every thread", running, (count) => count === 0);
  }

  /** Lets it go on. */
  resume(): void {
    this.process.kill("SIGCONT");
  }

  /** Ends it without a word. */
  async kill(): Promise<Ended> {
    this.process.kill("SIGKILL");
    return await this.ended();
  }

  async #until(what: string, is: () => boolean, within: number): Promise<void> {
    if (is()) return;
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error) => {
        this.#waiters.delete(look);
        clearTimeout(timer);
        if (error === undefined) resolve();
        else reject(error);
      };
      const fail = (why: string) => {
        const last = this.lines.slice(-5).map(({ json }) => JSON.stringify(json));
        done(
          new Error(`no ${what} ${why}; ${this.lines.length} lines, last ${last.join("\n")}\n${this.log}`),
        );
      };
      const look = () => {
        if (is()) done();
        else if (this.process.exitCode !== null) fail(`before it ended with ${this.process.exitCode}`);
      };
      const timer = setTimeout(() => fail(`in ${within} ms`), within);
      this.#waiters.add(look);
    });
  }
}

function commandLine(command: string, args: readonly string[], data: string, options: WeftOptions): string[] {
  const words = [...command.split(" "), "--data", data];
  // People, and who goes elsewhere, are in no party.
  if (!["chat", "link", "revoke"].includes(command)) words.push("--party", options.party ?? "tests");
  for (const url of options.signalers) words.push("--signaler", url);
  if (options.discover !== true) words.push("--no-discovery");
  const address = "address" in options ? options.address : "127.0.0.1";
  if (address !== undefined) words.push("--listen-address", address);
  return [...words, ...args];
}
