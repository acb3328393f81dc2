/** What firefox.test.ts runs inside its network namespace; WEFT_ADDRESS is an address there that is not loopback. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import puppeteer, { type Page } from "puppeteer-core";
import { program } from "../e2e/browser.ts";
import { FILM_FILE, FILMS, QUESTIONS } from "../e2e/films.ts";
import { serve } from "../e2e/site.ts";
import { directory, Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";

const ADDRESS = process.env["WEFT_ADDRESS"];

test("exchange", async (t) => {
  const signaler = await Signaler.start(t);
  const firefox = await Firefox.open(t);
  const identity = await firefox.join(signaler.url, "fox");
  await firefox.run("subscribe", "fox", { n: { $gte: 2 } });
  const data = directory(t);
  const options = { signalers: [signaler.url], party: "fox", address: ADDRESS };
  const writer = Weft.start(t, "publish", ["--wait-peers", "1", "--stay"], options);
  const reader = Weft.start(t, "subscribe", ['{"from": "firefox"}'], { ...options, data });
  await firefox.until("mesh.openLinks().length === 2");
  for (const n of [1, 2, 3]) writer.write({ n });
  await firefox.until("mesh.subscriptions.fox.got.length === 2");
  assert.deepEqual(await firefox.look("mesh.subscriptions.fox.got.map(({ data }) => data.n)"), [2, 3]);
  await firefox.run("publish", "fox", [{ from: "firefox", n: 0 }]);
  const { json } = await reader.line("Firefox's document", ({ data }) => data.from === "firefox");
  assert.equal(json.author, identity);

  const listener = Weft.start(t, "listen", [], { ...options, data });
  await firefox.until("mesh.openLinks().length === 3");
  assert.equal(await firefox.run("send", await Weft.identity(data), { text: "from Firefox" }), "delivered");
  await listener.line("Firefox's message", ({ data: message }) => message.text === "from Firefox");
  const sent = await Weft.run(t, "send", [identity, "to Firefox"], options);
  assert.equal(sent.code, 0, sent.err);
  await firefox.until('mesh.seen.messages.some(({ data }) => data.text === "to Firefox")');
  // A death is told: the link closes at once, with a goodbye.
  await writer.interrupt();
  await firefox.until("mesh.openLinks().length === 2");
});

test("films", async (t) => {
  const signaler = await Signaler.start(t);
  const options = { signalers: [signaler.url], party: "films", address: ADDRESS };
  const seed = Weft.start(t, "publish", [FILM_FILE, "--stay"], options);
  await seed.said("serving 3201 documents", 60_000);
  const firefox = await Firefox.open(t);
  await firefox.join(signaler.url, "films");
  const [question] = QUESTIONS;
  assert.ok(question);
  await firefox.run("subscribe", "films", question.query, "films", { backlog: true });
  const wanted = FILMS.filter((film) => question.is(film));
  await firefox.until(`mesh.subscriptions.films.got.length >= ${wanted.length}`);
  await firefox.until("mesh.subscriptions.films.live");
  assert.deepEqual(await firefox.look("mesh.subscriptions.films.got.map(({ data }) => data)"), wanted);
});

/** A page of Debian's Firefox, driven by WebDriver BiDi. */
class Firefox {
  private constructor(readonly page: Page) {}

  static async open(t: TestContext): Promise<Firefox> {
    const site = await serve();
    t.after(() => site.close());
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: program("firefox-esr"),
      headless: true,
      timeout: 60_000,
    });
    t.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(site.url);
    const firefox = new Firefox(page);
    await firefox.until("globalThis.mesh !== undefined");
    return firefox;
  }

  /** Connects and joins; resolves with the identity. */
  async join(url: string, party: string): Promise<string> {
    const { identity } = await this.run<{ identity: string }>("start", { signalers: [url] });
    await this.run("join", party);
    return identity;
  }

  async until(expression: string, within = 40_000): Promise<void> {
    try {
      await this.page.waitForFunction(expression, { timeout: within, polling: 50 });
    } catch {
      const seen = await this.look("JSON.stringify(globalThis.mesh?.seen)").catch(() => "the page is gone");
      throw new Error(`${expression} did not hold within ${within} ms; seen: ${String(seen).slice(0, 4000)}`);
    }
  }

  async look<T>(expression: string): Promise<T> {
    return (await this.page.evaluate(expression)) as T;
  }

  async run<T>(name: string, ...args: unknown[]): Promise<T> {
    const call = `mesh[${JSON.stringify(name)}](...${JSON.stringify(args)})`;
    return (await this.page.evaluate(call)) as T;
  }
}
