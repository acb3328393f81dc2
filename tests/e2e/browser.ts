/** Pages of Debian's Chromium, each in a context of its own, with the package loaded. */
import { execFileSync } from "node:child_process";
import type { TestContext } from "node:test";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { type Site, serve } from "./site.ts";

export const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** In the page: kinds of the two candidates that the last connection uses, and how it reaches its relay, if by one. */
export const USED = `(async () => {
  const stats = new Map(await mesh.connections.last.getStats());
  const transport = [...stats.values()].find(({ type }) => type === "transport");
  const pair = stats.get(transport.selectedCandidatePairId);
  const [own, other] = [pair.localCandidateId, pair.remoteCandidateId].map((id) => stats.get(id));
  return { kinds: [own.candidateType, other.candidateType], relayed: own.relayProtocol };
})()`;

/** Where a program is, or an error that says what to do. */
export function program(name: string): string {
  try {
    return execFileSync("which", [name], { encoding: "utf8" }).trim();
  } catch {
    throw new Error(`${name} is not installed; next: cargo xtask setup --tests`);
  }
}

/** What {@link USED} gives. */
export interface Used {
  readonly kinds: readonly string[];
  readonly relayed?: string;
}

export interface Row {
  // biome-ignore lint/suspicious/noExplicitAny: what others publish has no type.
  readonly data: any;
  readonly author: string;
  readonly id: string;
  readonly feed: string;
  readonly seq: number;
  readonly backlog: boolean;
}

/** Chromium and the site, for one test. */
export class Lab {
  private constructor(
    readonly browser: Browser,
    readonly site: Site,
  ) {}

  static async open(
    t: TestContext,
    options: { readonly executable?: string; readonly host?: string; readonly policy?: string } = {},
  ): Promise<Lab> {
    const site = await serve(options.host, options.policy);
    t.after(() => site.close());
    const executablePath = options.executable ?? program("chromium");
    const browser = await chromium.launch({ executablePath, args: FLAGS });
    t.after(() => browser.close());
    return new Lab(browser, site);
  }

  /** A page with a profile of its own: another identity. */
  async page(context?: BrowserContext): Promise<Peer> {
    const own = context ?? (await this.browser.newContext());
    const page = await own.newPage();
    await page.goto(this.site.url);
    await page.waitForFunction("globalThis.mesh !== undefined");
    return new Peer(page, own);
  }

  /** A page whose peer is connected to these signalers and no others, and in these parties. */
  async peer(signalers: readonly string[], ...parties: readonly string[]): Promise<Peer> {
    const peer = await this.page();
    await peer.start({ signalers, discover: false });
    for (const party of parties) await peer.join(party);
    return peer;
  }
}

/** A page with one peer in it. */
export class Peer {
  identity = "";
  id = "";

  constructor(
    readonly page: Page,
    readonly context: BrowserContext,
  ) {}

  async start(options: Record<string, unknown>): Promise<this> {
    const made = await this.run<{ identity: string; peer: string }>("start", options);
    this.identity = made.identity;
    this.id = made.peer;
    return this;
  }

  async join(party: string): Promise<string> {
    return await this.run("join", party);
  }

  /** Joins and subscribes without a pause between. */
  async enter(party: string, query: unknown): Promise<void> {
    await this.run("enter", party, query);
  }

  async subscribe(party: string, query: unknown, label = party, options: unknown = {}): Promise<void> {
    await this.run("subscribe", party, query, label, options);
  }

  async publish(party: string, ...documents: unknown[]): Promise<void> {
    await this.run("publish", party, documents);
  }

  async send(identity: string, data: unknown, options?: unknown): Promise<string> {
    return await this.run("send", identity, data, options);
  }

  async rows(label: string): Promise<Row[]> {
    return await this.look(`mesh.subscriptions[${JSON.stringify(label)}].got`);
  }

  /** Waits for so many publications of a subscription. */
  async got(label: string, count: number, within = 30_000): Promise<Row[]> {
    const length = `mesh.subscriptions[${JSON.stringify(label)}].got.length`;
    await this.until(`${length} >= ${count}`, within);
    return await this.rows(label);
  }

  /** Waits until there are open links with all of these. */
  async linked(...others: readonly Peer[]): Promise<void> {
    const ids = JSON.stringify(others.map((other) => other.id));
    await this.until(`${ids}.every((id) => mesh.openLinks().includes(id))`);
  }

  /**
   * Waits until an expression holds in the page; tells what the page has seen if it does not. A promise would count as true at
   * once: `until` of tests/federation/signaler.ts asks for what takes one.
   */
  async until(expression: string, within = 30_000): Promise<void> {
    const now = `((seen) => { if (seen instanceof Promise) throw new Error("a promise"); return seen; })(${expression})`;
    try {
      await this.page.waitForFunction(now, undefined, { timeout: within, polling: 20 });
    } catch {
      const seen = await this.look("JSON.stringify(mesh.seen)").catch(() => "the page is gone");
      throw new Error(`${expression} did not hold within ${within} ms; seen: ${String(seen).slice(0, 4000)}`);
    }
  }

  async look<T>(expression: string): Promise<T> {
    return (await this.page.evaluate(expression)) as T;
  }

  async run<T>(name: string, ...args: unknown[]): Promise<T> {
    return (await this.page.evaluate(
      // biome-ignore lint/suspicious/noExplicitAny: the page's own object.
      ([name, args]) => (globalThis as any).mesh[name as string](...(args as unknown[])),
      [name, args] as const,
    )) as T;
  }
}
