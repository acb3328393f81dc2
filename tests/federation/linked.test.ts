/** Who is linked with whom, as `/topology` of a shipped signaler says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HASTY, Signaler, until } from "./signaler.ts";
import { triangle } from "./triangle.ts";
import { Key, show } from "./wire/keys.ts";
import type { Json } from "./wire/registry.ts";
import { Sibling } from "./wire/sibling.ts";
import { Socket } from "./wire/socket.ts";

/** The frame in which a signaler says with whom it is linked. */
const LINKED = 74;

interface Linked {
  /** `a b: a b` for a link that both of its ends say, `a b: a` for one that only one does. */
  readonly links: readonly string[];
  readonly toldBy: readonly string[];
}

/** What a signaler shows of links; `names` are those of keys. */
async function linked(signaler: Signaler, names: ReadonlyMap<string, string>): Promise<Linked> {
  const { links, links_told_by, more_links }: Json = await (await signaler.get("/topology")).json();
  assert.equal(more_links, false);
  const named = (keys: readonly string[]) =>
    keys
      .map((key) => names.get(key) ?? assert.fail(`nobody has the key ${key}`))
      .toSorted()
      .join(" ");
  const shown = links.map((link: Json) => `${named(link.between)}: ${named(link.said_by)}`);
  return { links: shown.toSorted(), toldBy: named(links_told_by).split(" ") };
}

const WHOLE = ["a b: a b", "a c: a c", "b c: b c"];

test("n4_a_link_that_is_cut_between_two_others_is_seen_at_the_third_and_seen_mended", async (t) => {
  const { third, ends, cut, heal } = await triangle(t, HASTY);
  const names = new Map([third, ...ends].map(({ idText }, n) => [idText, "abc"[n] ?? ""]));
  const events: Json[] = [];
  const socket = await Socket.open(`${third.url}/events`, undefined);
  socket.onMessage = (bytes) => void events.push(JSON.parse(Buffer.from(bytes).toString("utf8")));
  t.after(() => socket.destroy());
  const seen = async (signaler: Signaler, links: readonly string[]): Promise<Linked> =>
    await until(
      `links ${links}`,
      () => linked(signaler, names),
      (now) => String(now.links) === String(links),
    );
  const told = async (more: number): Promise<void> => {
    const count = () => events.filter(({ type }) => type === "links").length;
    await until("event about links", count, (now) => now > more);
  };
  for (const signaler of [third, ...ends]) await seen(signaler, WHOLE);
  await until(
    "hello",
    () => events[0],
    (first) => first?.type === "hello",
  );

  let before = events.filter(({ type }) => type === "links").length;
  cut();
  const { toldBy } = await seen(third, ["a b: a b", "a c: a c"]);
  assert.deepEqual(toldBy, ["a", "b", "c"], "both say that they are not linked");
  assert.equal((await third.metrics()).get("weft_siblings_apart"), 1);
  await told(before);
  // The others hear of each other's links through the third only, which speaks for itself.
  assert.deepEqual((await seen(ends[0], ["a b: a b", "a c: a"])).toldBy, ["a", "b"]);
  assert.deepEqual((await seen(ends[1], ["a b: a", "a c: a c"])).toldBy, ["a", "c"]);

  before = events.filter(({ type }) => type === "links").length;
  heal();
  for (const signaler of [third, ...ends]) await seen(signaler, WHOLE);
  await told(before);
  assert.equal((await third.metrics()).get("weft_siblings_apart"), 0);
  // What was there before is as it was.
  const topology: Json = await (await third.get("/topology")).json();
  assert.deepEqual(
    topology.siblings.map((one: Json) => one.up),
    [true, true],
  );
  const { [0]: event } = events.filter(({ type }) => type === "links");
  assert.deepEqual(Object.keys(event).toSorted(), ["at", "type"]);

  // Whoever is gone says nothing any more.
  await ends[1].kill();
  assert.deepEqual((await seen(third, ["a b: a b"])).toldBy, ["a", "b"]);
});

test("what_a_sibling_says_of_its_links_is_its_own_word_and_bounded", async (t) => {
  const third = await Signaler.start(t, { toml: HASTY, args: ["--open"] });
  const honest = await Signaler.start(t, { toml: HASTY, args: ["--open", "--sibling", third.url] });
  await third.siblings(1);
  const liar = await Sibling.join(third.url);
  const names = new Map([
    [third.idText, "a"],
    [honest.idText, "b"],
    [show(liar.key.id), "z"],
  ]);
  const own = ["a b: a b", "a z: a"];
  const shown = async () => (await linked(third, names)).links;
  await until("both links", shown, (now) => String(now) === String(own));
  // It claims a link that the other end denies, and one with somebody whom nobody knows.
  liar.send(LINKED, [0, [honest.id, third.id, new Key().id]]);
  await liar.ping();
  assert.deepEqual(await shown(), ["a b: a b", "a z: a z", "b z: z"]);
  // It says nothing about others, and takes back what it said itself.
  liar.send(LINKED, [0, []]);
  await liar.ping();
  assert.deepEqual(await shown(), own);
  assert.equal((await third.metrics()).get("weft_siblings_apart"), 1);
  // More than there may be, and itself: each is malformed, and the third time is the last.
  const refused = async () => (await third.metrics()).refused("bad-frame");
  assert.equal(await refused(), 0);
  liar.send(LINKED, [0, Array.from({ length: 257 }, () => new Key().id)]);
  liar.send(LINKED, [0, [liar.key.id]]);
  await liar.ping();
  assert.equal(await refused(), 2);
  assert.deepEqual(await shown(), own);
  liar.send(LINKED, [0, [liar.key.id]]);
  await liar.closed;
  await until("the liar gone", shown, (now) => String(now) === "a b: a b");
});
