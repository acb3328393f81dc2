/** Requests and their answers, between two pages and a command. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

/** In the page: answers according to what is asked. */
const ANSWER = `mesh.weft.onRequest(async ({ data, from, peer }) => {
  mesh.asked = (mesh.asked ?? 0) + 1;
  if (data.wait) await new Promise((resolve) => setTimeout(resolve, data.wait));
  if (data.fail) throw new Error(data.fail);
  if (data.wrong) return { now: () => 1 };
  if (data.quiet) return undefined;
  return { sum: data.a + data.b, from, peer };
})`;

/** Asks from within a page; gives the answer, or the code and message of what went wrong. */
async function ask(page: Peer, to: string, data: unknown, options = "undefined"): Promise<unknown> {
  const call = `mesh.weft.request(${JSON.stringify(to)}, ${JSON.stringify(data)}, ${options})`;
  return await page.look(
    `${call}.catch((error) => [typeof error.code === "string" ? error.code : error.name, error.message].join(" "))`,
  );
}

test("requests_are_answered_refused_timed_out_and_given_up", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  await a.linked(b);
  assert.equal(await ask(a, b.identity, { a: 1 }), "request-failed nobody answers requests there");
  await b.look(`void (mesh.takeBack = ${ANSWER})`);
  const sum = { sum: 3, from: a.identity, peer: a.id };
  assert.deepEqual(await ask(a, b.identity, { a: 1, b: 2 }), sum);
  assert.deepEqual(await ask(a, b.id, { a: 1, b: 2 }), sum, "by peer as by identity");
  assert.deepEqual(await ask(a, b.id, { quiet: true }), {});
  assert.equal(await ask(a, b.id, { fail: "no such film" }), "request-failed no such film");
  assert.match(String(await ask(a, b.id, { wrong: true })), /^request-failed \$\.now: /);
  const warnings = await b.look<{ code: string; message: string }[]>("mesh.seen.warnings");
  assert.deepEqual([...new Set(warnings.map(({ code }) => code))], ["request-failed"]);
  assert.match(warnings[0]?.message ?? "", /no such film/);
  assert.match(
    String(await ask(a, b.id, { wait: 2000 }, "{ timeout: 300 }")),
    /^timeout no answer within 3\d\d ms/,
  );
  const soon = "{ signal: AbortSignal.timeout(100) }";
  assert.match(String(await ask(a, b.id, { wait: 2000 }, soon)), /^TimeoutError/);
  // Many at once, each with its own answer.
  const many = Array.from({ length: 200 }, (_, n) => n);
  const sums = await a.look<number[]>(
    `Promise.all(${JSON.stringify(many)}.map((n) => mesh.weft.request("${b.id}", { a: n, b: 1 }))).then((all) => all.map(({ sum }) => sum))`,
  );
  assert.deepEqual(
    sums,
    many.map((n) => n + 1),
  );
  await b.look("mesh.takeBack()");
  assert.equal(await ask(a, b.id, {}), "request-failed nobody answers requests there");
  assert.deepEqual(await a.look("mesh.seen.messages"), [], "none of this is a message");
  assert.deepEqual(await b.look("mesh.seen.messages"), []);
  await b.look(`void ${ANSWER}`);
  const pending = ask(a, b.id, { wait: 60_000 }, "{ timeout: 60_000 }");
  await b.until("mesh.asked > 207");
  await a.look("void mesh.weft.close()");
  assert.match(String(await pending), /^closed /);
});

test("a_page_asks_a_command_and_a_command_a_page", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], "p");
  await page.look(`void ${ANSWER}`);
  const options = { signalers: [signaler.url], party: "p" };
  const asked = await Weft.run(t, "request", [page.identity, '{"a": 20, "b": 22}'], options);
  assert.equal(asked.code, 0, asked.err);
  assert.equal(JSON.parse(asked.out).data.sum, 42);
  const bot = Weft.start(t, "answer", ["--count", "1", "--", "tr", "a-z", "A-Z"], options);
  await bot.said("answering as");
  const identity = await Weft.identity(bot.data);
  assert.deepEqual(await ask(page, identity, { title: "Ran" }), { TITLE: "RAN" });
  assert.equal((await bot.ended()).code, 0);
});
