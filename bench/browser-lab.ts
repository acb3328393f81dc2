/** What benchmarks in Chromium share: the signaler as shipped, pages, a machine at rest, quantiles. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { FLAGS, program } from "../tests/e2e/browser.ts";
import { type Site, serve } from "../tests/e2e/site.ts";

export const ROOT = resolve(fileURLToPath(import.meta.url), "../..");
const PROGRAM = process.env["WEFT_SIGNALER"] ?? join(ROOT, "target/release/weft-signaler");
/** Share of the processors' time that may be in use when the clock starts, and for how many milliseconds it is looked at. */
const QUIET = 0.1;
const LOOK = 200;
/** Longest that one step in a page may take, milliseconds. */
const STEP = 20_000;

export interface Running {
  readonly url: string;
  stop(): void;
}

/** The signaler as shipped, without a configuration file. */
export async function start(...args: readonly string[]): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), "weft-bench-"));
  const child: ChildProcess = spawn(
    PROGRAM,
    ["--listen", "127.0.0.1:0", "--data", join(dir, "mesh.db"), ...args],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const stop = () => {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
  if (child.stdout === null) throw new Error("no standard output");
  for await (const line of createInterface(child.stdout)) {
    const url = / listens on (ws:\S+)/.exec(line)?.[1];
    if (url !== undefined) return { url, stop };
  }
  stop();
  throw new Error("the signaler ended before it listened");
}

/** What a benchmark in Chromium needs, for as long as it runs. */
export interface BrowserLab {
  readonly signaler: Running;
  readonly site: Site;
  readonly browser: Browser;
  close(): Promise<void>;
}

/** The signaler as shipped, the site and Chromium with further flags; what is running is ended if the rest does not start. */
export async function launch(...flags: readonly string[]): Promise<BrowserLab> {
  const cleanups: (() => unknown)[] = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0)) await cleanup();
  };
  try {
    const signaler = await start();
    cleanups.unshift(() => signaler.stop());
    const site = await serve();
    cleanups.unshift(() => site.close());
    const browser = await chromium.launch({
      executablePath: program("chromium"),
      args: [...FLAGS, ...flags],
    });
    cleanups.unshift(() => browser.close());
    return { signaler, site, browser, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A page with the package loaded. */
export async function open(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP);
  await page.goto(url);
  await page.waitForFunction("globalThis.mesh !== undefined");
  return page;
}

/** Until the processors have almost nothing to do: a browser works on for a while after a page has been opened or closed. */
export async function quiet(): Promise<void> {
  const end = performance.now() + STEP;
  for (let before = cpu(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, LOOK));
    const now = cpu();
    if (now.busy - before.busy <= (now.all - before.all) * QUIET) return;
    if (performance.now() > end) throw new Error("the machine is busy with something else; try again later");
    before = now;
  }
}

/** Ticks of all processors since the machine was started (proc(5), /proc/stat). */
function cpu(): { readonly busy: number; readonly all: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, part) => sum + part, 0);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { busy: all - idle - waiting, all };
}

/** The figure below which this share of all lies. */
export function quantile(figures: readonly number[], share: number): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
}

/** What helpers of the tests take for the test they belong to, outside of one: they only say what is to be done afterwards. */
export class Afterwards {
  readonly name = "bench";
  readonly #all: (() => unknown)[] = [];

  after(what: () => unknown): void {
    this.#all.unshift(what);
  }

  get test(): TestContext {
    return this as unknown as TestContext;
  }

  async run(): Promise<void> {
    for (const one of this.#all.splice(0)) await one();
  }
}
