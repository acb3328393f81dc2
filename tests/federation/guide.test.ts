/** The guide for operators, docs/guides/federation.md: its commands as they stand there, one after the other. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "./pebble.ts";
import { directory, type Metrics, run, Signaler, until } from "./signaler.ts";
import { PROGRAM as WEFT } from "./weft.ts";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const GUIDE = readFileSync(join(ROOT, "docs/guides/federation.md"), "utf8");

/** The lines of the code blocks of a section, without those that build. */
function commands(section: string): string[] {
  const [, text] = new RegExp(`^## ${section}\\n(.*?)(?=^## )`, "ms").exec(GUIDE) ?? [];
  assert.ok(text !== undefined, `the guide has no section ${section}`);
  return [...text.matchAll(/^```\n(.*?)^```$/gms)].flatMap(([, block]) =>
    (block ?? "").trimEnd().split("\n"),
  );
}

/** An operator at a terminal: commands run in a directory with what earlier ones set; signalers in terminals of their own. */
class Operator {
  readonly signalers: Signaler[] = [];
  readonly #set: string[] = [];

  private constructor(
    readonly t: TestContext,
    readonly dir: string,
    /** Of the guide, and free ones instead of them. */
    readonly ports: ReadonlyMap<string, number>,
  ) {}

  static async arrive(t: TestContext): Promise<Operator> {
    const ports = new Map<string, number>();
    for (const port of ["8191", "8192", "8193"]) ports.set(port, await freePort());
    return new Operator(t, directory(t), ports);
  }

  /** Gives commands; returns what they print. Any that fails is an error. */
  async give(lines: readonly string[]): Promise<string> {
    let out = "";
    for (const line of lines) {
      const command = line.replaceAll(/\b819[123]\b/g, (port) => String(this.ports.get(port)));
      if (command.startsWith("weft-signaler ")) await this.#start(command);
      else if (/^(export )?[A-Z_]+=/.test(command)) this.#set.push(command);
      else out += await this.#shell(command);
    }
    return out;
  }

  async #start(command: string): Promise<void> {
    const args = (await this.#shell(`printf '%s\\n' ${command.slice("weft-signaler ".length)}`))
      .trimEnd()
      .split("\n");
    const data = args.indexOf("--data") + 1;
    args[data] = join(this.dir, args[data] ?? "");
    this.signalers.push(await Signaler.start(this.t, { args, dir: this.dir }));
  }

  async #shell(command: string): Promise<string> {
    const path = `${dirname(WEFT)}:${process.env["PATH"]}`;
    const script = ["set -eo pipefail", `cd ${this.dir}`, ...this.#set, command].join("\n");
    const { code, out, err } = await run("bash", ["-c", script], { PATH: path });
    assert.equal(code, 0, `${command}\n${err}`);
    return out;
  }
}

test("the_guide_for_operators_leads_from_nothing_to_a_federation_of_three", async (t) => {
  const operator = await Operator.arrive(t);
  await operator.give(commands("1\\. A sovereign"));
  await operator.give(commands("2\\. The first signaler"));
  const [first] = operator.signalers;
  assert.ok(first !== undefined);

  const three = commands("3\\. Two more");
  const looks = three.findIndex((line) => line.startsWith("curl"));
  const approves = three.findIndex((line) => line.includes("--status pending"));
  await operator.give(three.slice(0, approves));
  const pending = async () => await operator.give(["weft nodes --status pending | jq -r .id | sort | xargs"]);
  await until("both registrations", pending, (ids) => ids === "b c\n");
  const approved = await operator.give(three.slice(approves, looks));
  assert.match(approved, /^[bc]\nz6Mk\w+\n127\.0\.0\.1$/m);
  const linked = async () => await operator.give(three.slice(looks, looks + 1));
  await until("the links", linked, (said) => said === '"b"\n"c"\ntrue\ntrue\n', 30_000);
  const registry = async () => await operator.give(three.slice(looks + 1));
  await until("the registry elsewhere", registry, (said) => said.trim().split("\n").length === 2);

  // Section 4: what is to be watched is there by the names that are given.
  const page = await (await first.get("/")).text();
  assert.match(page, /<html/);
  const metrics: Metrics = await first.metrics();
  const [, watching] = /^\*\*Metrics\.\*\*(.*?)^$/ms.exec(GUIDE) ?? [];
  const names = [...(watching ?? "").matchAll(/\bweft_\w+/g)].map(([name]) => name);
  assert.ok(names.length >= 4, String(watching));
  for (const name of names) assert.ok([...metrics.types.keys()].includes(name), name);
  assert.equal(metrics.get("weft_siblings_up"), 2);

  const [revoke, ...again] = commands("5\\. Throwing out, letting in again");
  await operator.give([revoke ?? ""]);
  await first.siblings(1);
  await operator.give(again);
  await until("the link again", linked, (said) => said === '"b"\n"c"\ntrue\ntrue\n', 30_000);

  const said = await operator.give(commands("6\\. More sovereigns"));
  const second = (await operator.give(["weft id --data second --json | jq -r .identity"])).trim();
  assert.ok(said.trimEnd().endsWith(JSON.stringify([second], null, 2)), said);
});
