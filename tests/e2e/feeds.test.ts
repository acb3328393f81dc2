/** Feeds that outlive their pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler, until } from "../federation/signaler.ts";
import { Lab, type Peer, type Row } from "./browser.ts";

const numbers = (rows: readonly Row[]): number[] => rows.map(({ data }) => data.n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

/** Loads the page of a peer again and connects anew. */
async function reload(peer: Peer, options: Record<string, unknown>): Promise<void> {
  await peer.page.reload();
  await peer.page.waitForFunction("globalThis.mesh !== undefined");
  await peer.start(options);
}

async function live(peer: Peer, label: string): Promise<Row[]> {
  await peer.until(`mesh.subscriptions[${JSON.stringify(label)}].live`);
  return await peer.rows(label);
}

const STORED = "mesh.weft.stats().unstored === 0";

test("q7_pages_that_were_closed_and_opened_again_give_their_backlog_to_a_third", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const [author, reader] = [await lab.peer(options.signalers, "p"), await lab.peer(options.signalers, "p")];
  await reader.subscribe("p", {}, "all", { backlog: true });
  await author.linked(reader);
  await author.publish("p", ...upTo(300).map((n) => ({ n })));
  const first = await reader.got("all", 300);
  assert.deepEqual(numbers(first), upTo(300));
  for (const peer of [author, reader]) await peer.until(STORED);
  const { id } = author;
  // Both pages are gone at once; only one comes back, in the same profile and in another tab.
  await reader.page.close();
  await author.page.close();
  const again = await lab.page(author.context);
  await again.start(options);
  await again.join("p");
  assert.equal(again.id, id, "the peer it was");
  const third = await lab.peer(options.signalers, "p");
  await third.subscribe("p", {}, "all", { backlog: true });
  assert.deepEqual(numbers(await live(third, "all")), upTo(300));
  // Its feed goes on: the same feed, a greater number, and nobody waits for what is between.
  await again.publish("p", { n: 300 });
  const rows = await third.got("all", 301);
  assert.deepEqual(numbers(rows), upTo(301));
  assert.deepEqual(new Set(rows.map(({ feed }) => feed)), new Set([id]));
  assert.ok(rows.every((row, at) => at === 0 || row.seq > (rows[at - 1]?.seq ?? 0)));
  // What the reader got is in its profile, too, though the author is gone.
  await again.page.close();
  await third.page.close();
  const keeper = await lab.page(reader.context);
  await keeper.start(options);
  await keeper.join("p");
  const fourth = await lab.peer(options.signalers, "p");
  await fourth.subscribe("p", {}, "all", { backlog: true });
  assert.deepEqual(numbers(await live(fourth, "all")), upTo(300));
  for (const peer of [keeper, fourth]) assert.deepEqual(await peer.look("mesh.seen.warnings"), []);
});

test("q7_a_backlog_is_bounded_by_age_by_count_and_by_bytes", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url], limits: { keepBytes: 100_000 } };
  const author = await lab.page();
  await author.start(options);
  await author.join("p");
  const reader = await lab.peer(options.signalers, "p");
  await author.linked(reader);
  const filler = "x".repeat(1000);
  for (const n of upTo(200)) await author.publish("p", { n, filler });
  await author.until(STORED);
  const between = Date.now();
  await author.until(`Date.now() > ${between} + 1500`);
  for (const n of upTo(10)) await author.publish("p", { n: 200 + n, filler });
  await author.until(STORED);
  await reader.page.close();
  await reload(author, options);
  await author.join("p");
  const late = await lab.peer(options.signalers, "p");
  await author.linked(late);
  const age = Date.now() - between - 700;
  await late.subscribe("p", {}, "all", { backlog: true });
  await late.subscribe("p", {}, "age", { backlog: { age } });
  await late.subscribe("p", {}, "count", { backlog: { count: 7 } });
  await late.subscribe("p", { n: { $lt: 205 } }, "both", { backlog: { age, count: 3 } });
  const all = numbers(await live(late, "all"));
  assert.deepEqual(all, upTo(210).slice(210 - all.length), "the newest, in order");
  assert.ok(all.length >= 30 && all.length < 100, `${all.length} of 1 kB in 100 kB`);
  assert.deepEqual(numbers(await live(late, "age")), upTo(210).slice(200));
  assert.deepEqual(numbers(await live(late, "count")), upTo(210).slice(203));
  assert.deepEqual(numbers(await live(late, "both")), [202, 203, 204]);
  await author.publish("p", { n: 210 });
  for (const label of ["all", "age", "count"]) {
    await late.until(`mesh.subscriptions.${label}.got.at(-1)?.data.n === 210`);
  }
  await assert.rejects(late.subscribe("p", {}, "bad", { backlog: { newest: 3 } }), /newest/);
  await assert.rejects(late.subscribe("p", {}, "bad", { backlog: { count: -1 } }), /backlog\.count/);
});

test("forgetting_removes_what_is_stored_and_memory_keeps_nothing", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const options = { signalers: [signaler.url] };
  const rows = `new Promise((resolve) => {
    indexedDB.open("weft-mesh").onsuccess = ({ target }) => {
      const feeds = target.result.transaction("feeds").objectStore("feeds").count();
      feeds.onsuccess = () => { target.result.close(); resolve(feeds.result); };
    };
  })`;
  const author = await lab.peer(options.signalers);
  // What it has of its own, for its mailbox.
  const own = await until(
    "its own row",
    () => author.look<number>(rows),
    (count) => count > 0,
  );
  for (const party of ["p", "q"]) await author.join(party);
  await author.publish("p", { n: 1 });
  await author.publish("q", { n: 2 });
  await author.until(STORED);
  const both = await author.look<number>(rows);
  await author.look("mesh.parties.p.leave()");
  assert.equal(await author.look(rows), both, "leaving keeps it");
  await author.look('mesh.weft.forget("p")');
  const one = await author.look<number>(rows);
  assert.ok(one > own && one < both, `${one} of ${both}, its own ${own}`);
  await author.look('mesh.weft.forget("q")');
  assert.equal(await author.look(rows), own, "also of a party that one is in");
  await assert.rejects(author.publish("q", { n: 3 }), /left/);
  const fleeting = await lab.page();
  await fleeting.start({ ...options, store: "memory" });
  await fleeting.join("p");
  await fleeting.publish("p", { n: 1 });
  assert.equal(await fleeting.look("mesh.weft.stats().unstored"), 0);
  assert.deepEqual(await fleeting.look("indexedDB.databases().then((all) => all.length)"), 0);
});

test("a_store_that_is_full_is_a_warning_and_the_page_goes_on", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.page();
  await page.look(`void (IDBObjectStore.prototype.put = new Proxy(IDBObjectStore.prototype.put, {
    apply(put, store, args) {
      if (store.name === "feeds") throw new DOMException("no space left", "QuotaExceededError");
      return Reflect.apply(put, store, args);
    },
  }))`);
  await page.start({ signalers: [signaler.url] });
  await page.join("p");
  const reader = await lab.peer([signaler.url], "p");
  await reader.subscribe("p", {}, "all");
  await page.linked(reader);
  await page.publish("p", { n: 1 });
  await page.until('mesh.seen.warnings.some(({ code }) => code === "store-failed")');
  await page.publish("p", { n: 2 });
  assert.deepEqual(numbers(await reader.got("all", 2)), [1, 2]);
  const warnings = await page.look<{ code: string; message: string }[]>("mesh.seen.warnings");
  // Once each, however often it happens.
  assert.deepEqual(warnings.map(({ code }) => code).sort(), ["sessions-not-stored", "store-failed"]);
  for (const { message } of warnings) assert.match(message, /no space left/);
});
