/** The main job with native peers in place of browsers (ACCEPTANCE M3, Q11): Chromium on loopback, its addresses hidden by mDNS. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Lab } from "../e2e/browser.ts";
import { FILM_FILE, FILMS, QUESTIONS } from "../e2e/films.ts";
import { Signaler } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";

/** How long 3,201 films may take from one to all on a machine that does everything else as well, milliseconds. */
const PATIENCE = 40_000;

/** What is published after everything else: nothing more may have come until it does. */
const LAST = { last: true };

test("m3_a_native_publisher_reaches_browsers_with_exactly_their_films", async (t) => {
  const [first, second, third] = await three(t);
  const lab = await Lab.open(t);
  const readers = [await lab.peer([second.url], "movies"), await lab.peer([third.url], "movies")];
  for (const [n, reader] of readers.entries()) {
    await reader.subscribe("movies", QUESTIONS[n]?.query);
    await reader.subscribe("movies", LAST, "last");
  }
  const options = { signalers: [first.url], party: "movies" };
  const publisher = Weft.start(t, "publish", [FILM_FILE, "--wait-peers", "2"], options);
  for (const [n, reader] of readers.entries()) {
    const wanted = FILMS.filter((film) => QUESTIONS[n]?.is(film));
    const rows = await reader.got("movies", wanted.length, PATIENCE);
    assert.deepEqual(
      rows.map(({ data }) => data),
      wanted,
      `reader ${n}: exactly what matches, once, in the author's order`,
    );
    assert.equal(new Set(rows.map(({ author }) => author)).size, 1);
  }
  // Everything was handed over, so it ends by itself.
  assert.deepEqual(await publisher.ended(), { code: 0, signal: null });
  assert.match(publisher.log, /3201 published/);
  // Something that comes after everything: nothing more than the films has come until then.
  const more = Weft.start(t, "publish", ["--wait-peers", "2"], { ...options, data: publisher.data });
  more.write(LAST);
  more.end();
  for (const [n, reader] of readers.entries()) {
    await reader.got("last", 1);
    assert.equal((await reader.rows("movies")).length, FILMS.filter((film) => QUESTIONS[n]?.is(film)).length);
  }
});

test("m3_a_browser_publisher_reaches_native_subscribers_with_exactly_their_films", async (t) => {
  const [first, second, third] = await three(t);
  const lab = await Lab.open(t);
  const publisher = await lab.peer([first.url], "movies");
  const readers = [second, third].map((signaler, n) =>
    Weft.start(t, "subscribe", [JSON.stringify({ $or: [QUESTIONS[n]?.query, LAST] })], {
      signalers: [signaler.url],
      party: "movies",
    }),
  );
  await publisher.until("mesh.openLinks().length === 2");
  await publisher.publish("movies", ...FILMS, LAST);
  for (const [n, reader] of readers.entries()) {
    await reader.line("the end", ({ data }) => data.last === true, PATIENCE);
    const wanted = [...FILMS.filter((film) => QUESTIONS[n]?.is(film)), LAST];
    assert.deepEqual(
      reader.lines.map(({ json }) => json.data),
      wanted,
    );
    assert.ok(reader.lines.every(({ json }) => json.author === publisher.identity));
    assert.equal((await reader.interrupt()).code, 0);
  }
});

test("m3_native_peers_alone_on_three_signalers_get_exactly_their_films", async (t) => {
  const signalers = await three(t);
  const readers = [0, 1, 2].map((n) => {
    const wanted = FILMS.filter((film) => QUESTIONS[n]?.is(film));
    const args = [JSON.stringify(QUESTIONS[n]?.query), "--count", String(wanted.length), "--stats"];
    const reader = Weft.start(t, "subscribe", args, {
      signalers: [signalers[n]?.url ?? ""],
      party: "movies",
    });
    return { reader, wanted };
  });
  const publisher = Weft.start(t, "publish", [FILM_FILE, "--wait-peers", "3"], {
    signalers: [signalers[0].url],
    party: "movies",
  });
  for (const { reader, wanted } of readers) {
    assert.equal((await reader.ended()).code, 0, reader.log);
    assert.deepEqual(
      reader.lines.map(({ json }) => json.data),
      wanted,
    );
  }
  // Readers that had enough are gone; the publisher does not wait for them for ever.
  assert.equal((await publisher.ended()).code, 0, publisher.log);
});

test("q11_a_native_peer_seeds_a_file_for_browsers_that_come_later", async (t) => {
  const signaler = await Signaler.start(t);
  const options = { signalers: [signaler.url], party: "seeded" };
  const seed = Weft.start(t, "publish", [FILM_FILE, "--stay"], options);
  await seed.said("serving 3201 documents", PATIENCE);
  const lab = await Lab.open(t);
  // To the first who comes it is all new: nobody has had it before.
  const first = await lab.peer([signaler.url], "seeded");
  await first.subscribe("seeded", {}, "seeded", { backlog: true });
  const rows = await first.got("seeded", FILMS.length, PATIENCE);
  assert.deepEqual(
    rows.map(({ data }) => data),
    FILMS,
  );
  const [asking, fresh] = [
    await lab.peer([signaler.url], "seeded"),
    await lab.peer([signaler.url], "seeded"),
  ];
  const [question] = QUESTIONS;
  assert.ok(question);
  await asking.subscribe("seeded", question.query, "seeded", { backlog: true });
  await fresh.subscribe("seeded", {}, "seeded");
  const wanted = FILMS.filter((film) => question.is(film));
  const matching = await asking.got("seeded", wanted.length, PATIENCE);
  assert.deepEqual(
    matching.map(({ data }) => data),
    wanted,
  );
  assert.ok(matching.every(({ backlog }) => backlog));
  // Who did not ask for the past gets none of it, only what is published from now on.
  await fresh.linked(first, asking);
  await first.publish("seeded", { now: true });
  assert.deepEqual(
    (await fresh.got("seeded", 1)).map(({ data }) => data),
    [{ now: true }],
  );
  const ended = await seed.interrupt();
  assert.equal(ended.code, 0, seed.log);
});

test("q11_a_native_peer_seeds_from_a_pipe_what_is_live_and_what_was", async (t) => {
  const signaler = await Signaler.start(t);
  const seed = Weft.start(t, "publish", ["-", "--stay"], { signalers: [signaler.url], party: "pipe" });
  for (let n = 0; n < 50; n += 1) seed.write({ n });
  const lab = await Lab.open(t);
  const early = await lab.peer([signaler.url], "pipe");
  await early.subscribe("pipe", {}, "pipe", { backlog: true });
  await early.got("pipe", 50);
  // The pipe is still open: what comes through it now is live for one and the past for another.
  for (let n = 50; n < 100; n += 1) seed.write({ n });
  await early.got("pipe", 100);
  seed.end();
  await seed.said("serving 100 documents");
  const late = await lab.peer([signaler.url], "pipe");
  await late.subscribe("pipe", {}, "pipe", { backlog: true });
  await late.got("pipe", 100);
  const expected = Array.from({ length: 100 }, (_, n) => ({ n }));
  for (const reader of [early, late]) {
    const rows = await reader.rows("pipe");
    assert.deepEqual(
      rows.map(({ data }) => data),
      expected,
    );
  }
  assert.equal((await seed.interrupt()).code, 0);
});

test("q11_a_shell_pipeline_is_a_bot", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const human = await lab.peer([signaler.url], "bots");
  await human.subscribe("bots", { answer: { $exists: true } });
  const subscriber = Weft.start(t, "subscribe", ['{"ask": {"$exists": true}}'], {
    signalers: [signaler.url],
    party: "bots",
  });
  const publisher = Weft.start(t, "publish", ["--stay"], { signalers: [signaler.url], party: "bots" });
  await human.until("mesh.openLinks().length === 2");
  await human.publish("bots", { ask: 20 });
  const { json } = await subscriber.line("the question", ({ data }) => data.ask === 20);
  publisher.write({ answer: 2 * json.data.ask + 2 });
  const rows = await human.got("bots", 1);
  assert.deepEqual(rows[0]?.data, { answer: 42 });
});

/** Three signalers, of which the first introduces the others. */
async function three(t: TestContext): Promise<[Signaler, Signaler, Signaler]> {
  const first = await Signaler.start(t, { args: ["--open"] });
  const call = { args: ["--sibling", first.url] };
  const [second, third] = await Promise.all([Signaler.start(t, call), Signaler.start(t, call)]);
  await first.siblings(2);
  return [first, second, third];
}
