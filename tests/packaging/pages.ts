/** Two people open a built app: the README's example, which logs what arrives. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { TestContext } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import { FLAGS, program } from "../e2e/browser.ts";
import { until } from "../federation/signaler.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

/** What a page said and asked for. */
interface Seen {
  readonly logged: string[];
  readonly failed: string[];
  readonly asked: string[];
}

export interface Visit extends Seen {
  /** The identity that the app shows as its title. */
  readonly identity: string;
}

/** Serves a directory's files as they are, as any static host does. Gives the URL of its root. */
async function host(t: TestContext, dir: string): Promise<string> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://x").pathname);
    const file = path === "/" ? "/index.html" : path;
    try {
      const body = readFileSync(join(dir, file));
      response
        .writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/**
 * Opens the app of a directory for two people and waits until each has logged the other's document. Throws, with what
 * the pages said, if that does not come, or if a page reported any error.
 */
export async function exchange(t: TestContext, dir: string): Promise<readonly [Visit, Visit]> {
  const url = await host(t, dir);
  const browser = await chromium.launch({ executablePath: program("chromium"), args: FLAGS });
  t.after(() => browser.close());
  const visits = [await visit(browser, url), await visit(browser, url)] as const;
  for (const [own, other] of [visits, [visits[1], visits[0]]] as const) {
    const wanted = `Ran from ${other.identity}`;
    await until(
      `document of ${other.identity}`,
      () => own,
      () => own.logged.includes(wanted),
      30_000,
    );
  }
  for (const { failed } of visits) if (failed.length > 0) throw new Error(failed.join("\n"));
  return visits;
}

async function visit(browser: Browser, url: string): Promise<Visit> {
  const page = await (await browser.newContext()).newPage();
  const seen = watch(page);
  await page.goto(url);
  const title = () => page.title();
  const identity = await until(
    "identity as the title",
    async () => ({ title: await title(), seen }),
    isNamed,
    30_000,
  );
  return { identity: identity.title, ...seen };
}

const isNamed = ({ title }: { readonly title: string }): boolean => title.startsWith("z6Mk");

function watch(page: Page): Seen {
  const seen: Seen = { logged: [], failed: [], asked: [] };
  page.on("console", (message) => {
    (message.type() === "error" ? seen.failed : seen.logged).push(message.text());
  });
  page.on("pageerror", (error) => seen.failed.push(String(error)));
  page.on("response", (response) => {
    if (response.url().startsWith("data:")) return;
    seen.asked.push(new URL(response.url()).pathname);
    if (!response.ok()) seen.failed.push(`${response.status()} ${response.url()}`);
  });
  return seen;
}
