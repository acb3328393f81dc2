/** The main job in Chromium: the built signaler, the packed package, real data channels. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab } from "./browser.ts";
import { FILMS, QUESTIONS } from "./films.ts";

/** Documents that the seed's query must not select, each wrong in one way. */
const NEAR_MISSES = [
  { age: 5, name: "aaa", type: 4 },
  { key: "Value", age: 5, name: "aaa", type: 4 },
  { key: "values", age: 5, name: "aaa", type: 4 },
  { key: null, age: 5, name: "aaa", type: 4 },
  { key: { value: 1 }, age: 5, name: "aaa", type: 4 },
  { key: "value", name: "aaa", type: 4 },
  { key: "value", age: 4, name: "aaa", type: 4 },
  { key: "value", age: -5, name: "aaa", type: 4 },
  { key: "value", age: "5", name: "aaa", type: 4 },
  { key: "value", age: null, name: "aaa", type: 4 },
  { key: "value", age: 5, type: 4 },
  { key: "value", age: 5, name: "ccc", type: 4 },
  { key: "value", age: 5, name: "AAA", type: 4 },
  { key: "value", age: 5, name: "", type: 4 },
  { key: "value", age: 5, name: 10, type: 4 },
  { key: "value", age: 5, name: "aaa" },
  { key: "value", age: 5, name: "aaa", type: 2 },
  { key: "value", age: 5, name: "aaa", type: "4" },
  { key: "value", age: 5, name: "aaa", type: null },
  { key: "value", age: [1, 2], name: "aaa", type: 4 },
];

test("m1_two_tabs_of_the_demo_see_each_other_and_exchange_documents", async (t) => {
  const signaler = await Signaler.start(t, { args: ["--open"] });
  const lab = await Lab.open(t);
  const demo = new URL("/demo/?party=m1", signaler.url.replace(/^ws/, "http")).href;
  const open = async (name: string) => {
    const page = await (await lab.browser.newContext()).newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(`${demo}&name=${name}`);
    await page.getByTestId("app").waitFor();
    return page;
  };
  const [ada, grace] = [await open("Ada"), await open("Grace")];
  for (const page of [ada, grace]) {
    await page.locator('[data-testid="person"][data-linked="true"]').first().waitFor();
  }
  await ada.getByTestId("query-input").fill('{ "Title": "Ran" }');
  await ada.getByTestId("query-subscribe").click();
  await grace.getByTestId("person-asks").filter({ hasText: '{ "Title": "Ran" }' }).waitFor();
  await grace.getByTestId("document-input").fill('{ "Title": "Ran", "Director": "Akira Kurosawa" }');
  await grace.getByTestId("document-publish").click();
  await ada.getByTestId("match").first().waitFor();
  assert.match((await ada.getByTestId("match").first().textContent()) ?? "", /Ran/);
  assert.equal(await ada.getByTestId("match").count(), 1);
});

test("m2_three_browsers_on_three_signalers_get_exactly_their_films", async (t) => {
  const first = await Signaler.start(t, { args: ["--open"] });
  const call = { args: ["--sibling", first.url] };
  const [second, third] = await Promise.all([Signaler.start(t, call), Signaler.start(t, call)]);
  await first.siblings(2);
  const lab = await Lab.open(t);
  const peers = await Promise.all(
    [first, second, third].map((signaler) => lab.peer([signaler.url], "movies")),
  );
  const [publisher, ...readers] = peers as [(typeof peers)[0], ...typeof peers];
  for (const [n, reader] of readers.entries()) await reader.subscribe("movies", QUESTIONS[n]?.query);
  for (const peer of peers) await peer.linked(...peers.filter((other) => other !== peer));
  await publisher.publish("movies", ...FILMS, { end: true });
  for (const [n, reader] of readers.entries()) {
    const wanted = FILMS.filter((film) => QUESTIONS[n]?.is(film));
    assert.ok(wanted.length > 20, `${wanted.length} films are too few to tell order from luck`);
    const rows = await reader.got("movies", wanted.length);
    assert.deepEqual(
      rows.map(({ data }) => data),
      wanted,
      `reader ${n}: exactly what matches, once, in the author's order`,
    );
    assert.ok(rows.every((row) => row.author === publisher.identity && row.feed === publisher.id));
  }
  // Something that comes after everything: nothing more than the films may have come until then.
  for (const reader of readers) await reader.subscribe("movies", { last: true }, "last");
  await publisher.publish("movies", { last: true });
  for (const [n, reader] of readers.entries()) {
    await reader.got("last", 1);
    assert.equal((await reader.rows("movies")).length, FILMS.filter((film) => QUESTIONS[n]?.is(film)).length);
  }
});

test("q1_the_seed_query_selects_its_datum_and_no_near_miss_between_two_browsers", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [reader, writer] = [await lab.peer([signaler.url], "seed"), await lab.peer([signaler.url], "seed")];
  await reader.subscribe("seed", {
    key: "value",
    age: { $gt: 4 },
    $and: [
      { $or: [{ name: { $contains: "b" } }, { name: { $contains: "a" } }] },
      { type: { $in: [1, 4, 5] } },
    ],
  });
  await reader.subscribe("seed", {}, "all");
  await reader.linked(writer);
  const datum = { key: "value", age: 5, name: "aaa", type: 4 };
  await writer.publish("seed", ...NEAR_MISSES.slice(0, 10), datum, ...NEAR_MISSES.slice(10));
  assert.equal((await reader.got("all", 21)).length, 21);
  assert.deepEqual(
    (await reader.rows("seed")).map(({ data }) => data),
    [datum],
  );
});

test("q3_a_document_crosses_an_uninterested_browser_whose_handler_does_not_fire", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [left, middle, right] = await Promise.all([0, 1, 2].map(() => lab.peer([signaler.url])));
  assert.ok(left && middle && right);
  await left.look(`mesh.weft.block(${JSON.stringify(right.id)})`);
  await right.look(`mesh.weft.block(${JSON.stringify(left.id)})`);
  for (const peer of [left, middle, right]) await peer.join("hops");
  await middle.subscribe("hops", { topic: "other" });
  for (const end of [left, right]) await end.subscribe("hops", { topic: "wanted" });
  await middle.linked(left, right);
  const wanted = Array.from({ length: 50 }, (_, n) => ({ topic: "wanted", n }));
  // Both ways, and behind them something that all would have heard of had they heard of the others.
  for (const [from, to] of [
    [left, right],
    [right, left],
  ] as const) {
    await from.publish("hops", ...wanted, { topic: "nobody's" }, { topic: "other", from: from.id });
    await middle.until(
      `mesh.subscriptions.hops.got.some(({ data }) => data.from === ${JSON.stringify(from.id)})`,
    );
    const rows = await to.got("hops", wanted.length);
    assert.deepEqual(
      rows.map(({ data }) => data),
      wanted,
    );
    assert.ok(rows.every(({ author, feed }) => author === from.identity && feed === from.id));
  }
  const others = await middle.rows("hops");
  assert.deepEqual(
    others.map(({ data }) => data),
    [left, right].map(({ id }) => ({ topic: "other", from: id })),
    "the handler in the middle fires for what it asked for, and for nothing else",
  );
  assert.ok((await middle.look<number>("mesh.weft.stats().forwarded")) >= 2 * wanted.length);
  for (const end of [left, right]) {
    const linked = await end.look<{ peer: string }[]>(
      `mesh.seen.links.filter(({ state }) => state === "open")`,
    );
    assert.deepEqual(
      [...new Set(linked.map(({ peer }) => peer))],
      [middle.id],
      "there never was a direct link",
    );
  }
});

test("q5_equal_bodies_sent_twice_are_delivered_twice_to_a_browser", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [reader, writer, other] = await Promise.all([0, 1, 2].map(() => lab.peer([signaler.url], "p")));
  assert.ok(reader && writer && other);
  await reader.subscribe("p", {});
  // Three that are all linked: everything can come over two ways, and yet only once.
  await reader.linked(writer, other);
  await writer.linked(other);
  const same = { same: [1, "one"] };
  await writer.publish("p", same, same, { other: 1 });
  await reader.got("p", 3);
  await writer.publish("p", same);
  await reader.got("p", 4);
  await other.publish("p", same, { last: 1 });
  const rows = await reader.got("p", 6);
  assert.deepEqual(
    rows.map(({ data, feed }) => ({ data, feed })),
    [
      ...[same, same, { other: 1 }, same].map((data) => ({ data, feed: writer.id })),
      ...[same, { last: 1 }].map((data) => ({ data, feed: other.id })),
    ],
  );
  assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length, "each has an id of its own");
});

test("q6_what_was_published_alone_is_delivered_when_a_browser_comes_and_ready_fires_once", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const early = await lab.peer([signaler.url], "p");
  await early.publish("p", { n: 1 }, { n: 2 });
  const late = await lab.peer([signaler.url]);
  // At once, as an application does: between two calls of ours the link could open and bring both of them.
  await late.enter("p", {});
  assert.deepEqual(
    (await late.got("p", 2)).map(({ data }) => data),
    [{ n: 1 }, { n: 2 }],
  );
  const third = await lab.peer([signaler.url], "p");
  await third.linked(early, late);
  await early.linked(late, third);
  await third.publish("p", { n: 3 });
  await late.got("p", 3);
  for (const peer of [early, late, third]) assert.equal(await peer.look("mesh.seen.ready.p"), 1);
});

test("m_messages_are_delivered_end_to_end_and_an_absent_recipient_is_unreachable", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  await a.linked(b);
  assert.equal(await a.send(b.identity, { text: "hi", bytes: [1, 2] }), "delivered");
  const messages = await b.look<{ from: string; data: unknown }[]>("mesh.seen.messages");
  assert.deepEqual(
    messages.map(({ from, data }) => ({ from, data })),
    [{ from: a.identity, data: { text: "hi", bytes: [1, 2] } }],
  );
  const nobody = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
  assert.equal(await a.send(nobody, { text: "hi" }), "unreachable");
  assert.equal(await a.send("z6Mk", { text: "hi" }), "bad-id");
});

test("m_two_tabs_are_two_peers_of_one_identity_and_a_reloaded_tab_is_the_peer_it_was", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const context = await lab.browser.newContext();
  const [one, two] = [await lab.page(context), await lab.page(context)];
  await one.start({ signalers: [signaler.url] });
  await two.start({ signalers: [signaler.url] });
  assert.equal(one.identity, two.identity);
  assert.notEqual(one.id, two.id);
  await one.join("p");
  await two.join("p");
  await two.subscribe("p", {});
  await one.linked(two);
  await one.publish("p", { n: 1 });
  await two.got("p", 1);
  const was = one.id;
  await one.page.reload();
  await one.page.waitForFunction("globalThis.mesh !== undefined");
  await one.start({ signalers: [signaler.url] });
  assert.equal(one.id, was);
  await one.join("p");
  await one.linked(two);
  await one.publish("p", { n: 2 });
  assert.deepEqual(
    (await two.got("p", 2)).map(({ data }) => data),
    [{ n: 1 }, { n: 2 }],
  );
});

test("m_a_throwing_handler_harms_nobody_and_a_large_document_crosses", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], "p"), await lab.peer([signaler.url], "p")];
  await b.look(`mesh.parties.p.subscribe({}).on("data", () => { throw new Error("on purpose"); })`);
  await b.subscribe("p", {});
  await a.linked(b);
  await a.look(`mesh.parties.p.publish({ bytes: new Uint8Array(1024 * 1024 - 64).fill(7) })`);
  await b.until("mesh.subscriptions.p.got.length === 1");
  assert.equal(await b.look("mesh.subscriptions.p.got[0].data.bytes.length"), 1024 * 1024 - 64);
  const code = await a.look(
    `mesh.parties.p.publish({ bytes: new Uint8Array(1024 * 1024) }).then(() => "taken", (e) => e.code)`,
  );
  assert.equal(code, "too-large");
});
