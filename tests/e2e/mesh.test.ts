/** Ten pages of Chromium in one party: a partial mesh, in which documents pass through pages that do not ask for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Graph } from "../federation/graph.ts";
import { Signaler } from "../federation/signaler.ts";
import { Lab, type Peer } from "./browser.ts";
import { FILMS, type Film, QUESTIONS } from "./films.ts";

const PARTY = "mesh";
const PAGES = 10;
/** The first of them publish, all of them subscribe. */
const PUBLISHERS = 4;
/** Links of one page at most: the active view of 5, and 2 more for those who come. */
const MOST_LINKS = 7;
/** How long the films may take to everybody, on a machine that does everything else as well, milliseconds. */
const PATIENCE = 60_000;

/** The films of each publisher: about 400, none of them another's. */
const SHARES = Array.from({ length: PUBLISHERS }, (_, n) =>
  FILMS.filter((_film, at) => at % (2 * PUBLISHERS) === n),
);

const ASKED: readonly { readonly query: Film; readonly is: (film: Film) => boolean }[] = [
  ...QUESTIONS,
  { query: {}, is: () => true },
  { query: { Title: { $regex: "^The " } }, is: (film) => String(film["Title"]).startsWith("The ") },
];

/** In the page: whom it is linked with, as the party says. */
const LINKED = `mesh.parties.${PARTY}.peers().filter(({ linked }) => linked).map(({ peer }) => peer)`;
/** In the page: keeps the highest number of links that the party ever told, looked at whenever something changes. */
const WATCH = `{
  const look = () => { mesh.most = Math.max(mesh.most ?? 0, ${LINKED}.length); };
  mesh.parties.${PARTY}.on("link", look);
  mesh.parties.${PARTY}.on("peer", look);
}`;

test("q4_ten_browsers_hold_few_links_and_each_gets_every_match_exactly_once_in_order", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  // One after the other: a busy machine loads one page in time, if not ten.
  const pages: Peer[] = [];
  while (pages.length < PAGES) pages.push(await lab.peer([signaler.url]));
  const questions = pages.map((page, n) => ({ page, ...(ASKED[n % ASKED.length] ?? assert.fail()) }));
  await Promise.all(
    questions.map(async ({ page, query }) => {
      await page.join(PARTY);
      await page.look(WATCH);
      await page.subscribe(PARTY, query);
      await page.subscribe(PARTY, { last: { $exists: true } }, "last");
    }),
  );
  // At once: while they still meet, and some may not have a link yet.
  const publishers = pages.slice(0, PUBLISHERS);
  const publish = async (documents: (n: number) => readonly Film[]) => {
    await Promise.all(publishers.map((page, n) => page.publish(PARTY, ...documents(n))));
  };
  const begun = performance.now();
  await publish((n) => [...(SHARES[n] ?? []), { last: 1 }]);
  await everybodyHas(pages, publishers, 1);
  t.diagnostic(`everybody had everything after ${Math.round(performance.now() - begun)} ms`);
  // Something that comes after everything: nothing may have come twice until then.
  await publish(() => [{ last: 2 }]);
  await everybodyHas(pages, publishers, 2);

  for (const [reader, { page, is }] of questions.entries()) {
    const rows = await page.rows(PARTY);
    const kept = rows.filter(({ data }) => data.last === undefined);
    for (const [n, publisher] of publishers.entries()) {
      const wanted = publisher === page ? [] : (SHARES[n] ?? []).filter(is);
      const got = kept.filter(({ feed }) => feed === publisher.id);
      assert.ok(publisher === page || wanted.length > 1, `${wanted.length} films tell little`);
      assert.deepEqual(
        got.map(({ data }) => data),
        wanted,
        `page ${reader} has of publisher ${n} exactly what matches, once, in the author's order`,
      );
      assert.ok(got.every(({ author }) => author === publisher.identity));
    }
    assert.ok(kept.every(({ feed }) => publishers.some(({ id }) => id === feed)));
    assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length);
  }

  const graph = new Graph(pages.map(({ id }) => id));
  for (const page of pages) for (const other of await page.look<string[]>(LINKED)) graph.link(page.id, other);
  assert.deepEqual(graph.islands(), [PAGES], "the mesh is one");
  const most = await Promise.all(pages.map((page) => page.look<number>("mesh.most")));
  t.diagnostic(`links at most: ${most.join()}`);
  for (const links of most) assert.ok(links <= MOST_LINKS, `a page had ${links} links`);
  // With so few links not everybody is a neighbour of everybody: documents did pass through others.
  assert.ok((await passedOn(pages)) > 0);
});

/** Waits until every page has every publisher's last document of a round. */
async function everybodyHas(
  pages: readonly Peer[],
  publishers: readonly Peer[],
  round: number,
): Promise<void> {
  for (const page of pages) {
    const wanted = publishers.filter((publisher) => publisher !== page).length * round;
    await page.until(`mesh.subscriptions.last.got.length >= ${wanted}`, PATIENCE);
  }
}

async function passedOn(pages: readonly Peer[]): Promise<number> {
  const forwarded = await Promise.all(pages.map((page) => page.look<number>("mesh.weft.stats().forwarded")));
  return forwarded.reduce((sum, one) => sum + one, 0);
}
