/** A page and a `weft` command that were given one address of three, and that signaler killed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { directory, three, until } from "../federation/signaler.ts";
import { Weft } from "../federation/weft.ts";
import { Lab, type Peer } from "./browser.ts";

/** A peer whose home dies has another one after at most so long, milliseconds. */
const MOVED = 5_000;
const GREAT = { rating: { $gte: 8 } };

interface Info {
  readonly url: string;
  readonly state: string;
  readonly told?: true;
}

test("c1_a_page_that_was_given_one_address_goes_on_and_comes_back_when_that_signaler_is_killed", async (t) => {
  const all = await three(t);
  const [a, , c] = all;
  const lab = await Lab.open(t);
  const page = await (await lab.page()).start({ signalers: [a.url] });
  await page.enter("movies", GREAT);
  const other = await lab.peer([c.url], "movies");
  await other.subscribe("movies", {});
  // The one that was given, and one that it told of.
  const homes = await connected(page, (homes) => homes.length === 2);
  assert.deepEqual(
    homes.map(({ url, told }) => [url === a.url, told]),
    [
      [true, undefined],
      [false, true],
    ],
  );
  assert.ok(all.some(({ url }) => url === homes[1]?.url));
  await until(
    "rows in the browser's store",
    () => page.look<number>(STORED),
    (rows) => rows === 3,
  );

  const killed = performance.now();
  await a.kill();
  await connected(page, (homes) => homes.length === 2 && homes.every(({ url }) => url !== a.url));
  const moved = performance.now() - killed;
  t.diagnostic(`two other homes after ${Math.round(moved)} ms`);
  assert.ok(moved < MOVED, `${moved} ms`);
  await other.publish("movies", { title: "Ran", rating: 8.2 }, { title: "Cats", rating: 2.8 });
  await titles(page, "movies", ["Ran"]);
  // What it subscribes to now, with somebody who comes now, to yet another party.
  await page.join("books");
  await page.subscribe("books", GREAT);
  const newcomer = await lab.peer([c.url], "books");
  await newcomer.publish("books", { title: "Emma", rating: 9 });
  await titles(page, "books", ["Emma"]);

  // Nobody is where it was told to begin.
  await page.page.reload();
  await page.page.waitForFunction("globalThis.mesh !== undefined");
  await page.start({ signalers: [a.url] });
  const again = await connected(page, (homes) => homes.length === 2);
  assert.ok(again.every(({ url, told }) => url !== a.url && told === true));
  await page.join("movies");
  await page.subscribe("movies", GREAT, "again");
  await other.publish("movies", { title: "Ikiru", rating: 8.3 });
  await titles(page, "again", ["Ikiru"]);
});

test("c1_a_page_that_may_not_discover_has_the_given_signalers_alone", async (t) => {
  const [a, b] = await three(t);
  const lab = await Lab.open(t);
  const page = await lab.page();
  await page.start({ signalers: [a.url], discover: false });
  // Whoever does discover has two homes long since.
  const free = await (await lab.page()).start({ signalers: [a.url] });
  await connected(free, (homes) => homes.length === 2);
  assert.deepEqual(
    (await connected(page, () => true)).map(({ url }) => url),
    [a.url],
  );
  await a.kill();
  await connected(page, (homes) => homes.length === 0);
  assert.equal(await page.look("mesh.seen.signalers.some(({ told }) => told)"), false);
  await connected(await (await lab.page()).start({ signalers: [b.url] }), (homes) => homes.length === 2);
  assert.deepEqual(await connected(page, () => true), []);
});

test("c1_a_weft_command_that_was_given_one_address_goes_on_and_starts_again_when_that_signaler_is_killed", async (t) => {
  const [a, , c] = await three(t);
  const data = directory(t);
  const subscribe = () =>
    Weft.start(t, "subscribe", [JSON.stringify(GREAT)], { signalers: [a.url], discover: true, data });
  const publish = (title: string): void => {
    const author = Weft.start(t, "publish", [], { signalers: [c.url] });
    author.write({ title, rating: 9 });
    author.end();
  };
  const first = subscribe();
  await first.said("which others told of");
  const watcher = Weft.start(t, "peers", ["--watch"], { signalers: [c.url] });
  const id = await Weft.peer(data);
  const at = (wanted: (homes: readonly string[]) => boolean) => (line: { peer?: string; homes?: string[] }) =>
    line.peer === id && wanted(line.homes ?? []);
  await watcher.line(
    "it at two homes",
    at((homes) => homes.length === 2 && homes.includes(a.idText)),
  );
  await a.kill();
  await watcher.line(
    "it at two others",
    at((homes) => homes.length === 2 && !homes.includes(a.idText)),
  );
  publish("Ran");
  await first.line("what was published elsewhere", ({ data }) => data?.title === "Ran");

  await first.kill();
  const second = subscribe();
  await second.said("which others told of");
  publish("Ikiru");
  await second.line("what was published after its restart", ({ data }) => data?.title === "Ikiru");
  await second.kill();

  // Without leave to discover, what is remembered is of no use.
  const options = { signalers: [a.url], data };
  const { code, err } = await Weft.run(t, "peers", ["--timeout", "2"], options);
  assert.equal(code, 4, err);
  assert.match(err, /no signaler was reached/);
  const { code: reached, err: said } = await Weft.run(t, "peers", ["--timeout", "2"], {
    ...options,
    discover: true,
  });
  assert.equal(reached, 0, said);
});

/** In the page: rows about signalers in its store. */
const STORED = `(async () => {
  const open = indexedDB.open("weft-mesh");
  const database = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
  const party = [...new TextEncoder().encode("weft/v1/signalers-that-were-told")]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const count = database.transaction("feeds").objectStore("feeds").count(IDBKeyRange.bound([party], [party, []]));
  const rows = await new Promise((resolve) => { count.onsuccess = () => resolve(count.result); });
  database.close();
  return rows;
})()`;

/** The signalers that a page is connected to, once they are as wanted. */
async function connected(page: Peer, wanted: (homes: Info[]) => boolean): Promise<Info[]> {
  const look = () => page.look<Info[]>("mesh.weft.signalers()");
  const up = (infos: Info[]) => infos.filter(({ state }) => state === "connected");
  return up(await until("homes", look, (infos) => wanted(up(infos)), 20_000));
}

async function titles(page: Peer, label: string, wanted: string[]): Promise<void> {
  const look = async () => (await page.rows(label)).map(({ data }) => data.title as string);
  await until(`titles of ${label}`, look, (got) => JSON.stringify(got) === JSON.stringify(wanted), 20_000);
}
