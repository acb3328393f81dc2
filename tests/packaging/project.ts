/** Projects as a reader of the README makes them: a directory, the packed tarball installed by npm, the README's words. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { tarball } from "../e2e/site.ts";
import { directory } from "../federation/signaler.ts";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
/** A tool may take this long on a machine that is busy, milliseconds. */
const PATIENCE = 60_000;
/** The signaler that the README's example names. */
const NAMED = "ws://localhost:8190";

/** A new project with these files in which `weft-mesh` is installed; it goes with the test. */
export function project(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const dir = directory(t);
  const manifest = { name: "app", version: "1.0.0", private: true, type: "module" };
  write(dir, { "package.json": JSON.stringify(manifest), ...files });
  // Offline: the package has no dependencies, and a test may not need a registry.
  const options = ["--offline", "--no-audit", "--no-fund", "--silent"];
  execFileSync("npm", ["install", ...options, tarball()], { cwd: dir, timeout: PATIENCE });
  return dir;
}

export function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

/** Runs a development tool of this repository in a project; throws with what it printed if it fails. */
export function tool(dir: string, name: "vite" | "esbuild" | "tsc", ...args: readonly string[]): string {
  try {
    return execFileSync(join(ROOT, "node_modules/.bin", name), args, {
      cwd: dir,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PATIENCE,
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${name} ${args.join(" ")} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}

/** The TypeScript examples of a Markdown file of this repository, in order; throws if there is none. */
export function examples(file: string): readonly [string, ...string[]] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const [first, ...others] = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? "");
  if (first === undefined) throw new Error(`${file} has no example in TypeScript`);
  return [first, ...others];
}

/**
 * The README's first example as an app: only the signaler is another, and a line is added that shows in the page's title
 * whose page it is. What arrives, the example itself writes to the console.
 */
export function app(signaler: string): string {
  const [example] = examples("README.md");
  if (!example.includes(NAMED)) throw new Error(`the README's first example does not name ${NAMED}`);
  return `${example.replace(NAMED, signaler)}\ndocument.title = weft.identity;\n`;
}

/** A page that loads one module and asks for nothing else; `head` comes before it. */
export function html(script: string, head = ""): string {
  const start = '<!doctype html><meta charset="utf-8"><title></title><link rel="icon" href="data:,">';
  return `${start}${head}<script type="module" src="${script}"></script>`;
}
