/** Debian's Firefox with itself and with Chromium: links, queries and messages, both ways, over two signalers. */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { type Browser, type Page as FirefoxPage, launch } from "puppeteer-core";
import { pair, Signaler } from "../federation/signaler.ts";
import { Lab, Peer, program, USED, type Used } from "./browser.ts";
import { Coturn } from "./coturn.ts";
import { FILMS, QUESTIONS } from "./films.ts";
import { Network, NO_NETWORK } from "./network.ts";

/** Firefox takes seconds to start, so that it is shared; each page has a container of its own. */
let firefox: Browser;

before(async () => {
  firefox = await launch({
    browser: "firefox",
    protocol: "webDriverBiDi",
    headless: true,
    executablePath: program("firefox-esr"),
  });
});

after(() => firefox.close());

type Other = "firefox" | "chromium";

test("d1_firefox_and_firefox_on_two_signalers_link_and_send_both_ways", (t) => linkAndSend(t, "firefox"));
test("d1_firefox_and_chromium_on_two_signalers_link_and_send_both_ways", (t) => linkAndSend(t, "chromium"));
test("m2_firefox_and_firefox_get_exactly_the_films_of_their_queries", (t) => getFilms(t, "firefox"));
test("m2_firefox_and_chromium_get_exactly_the_films_of_their_queries", (t) => getFilms(t, "chromium"));

test("d14_firefox_and_chromium_exchange_documents_over_the_turn_server_of_the_signaler", {
  skip: NO_NETWORK,
}, async (t) => {
  // Firefox takes no TURN server on loopback, but one at any other address of this machine.
  const network = await Network.open(t);
  const coturn = await Coturn.start(t, network.outside);
  const signaler = await Signaler.start(t, {
    args: ["--turn", coturn.url],
    env: { WEFT_TURN_SECRET: coturn.secret },
  });
  const lab = await Lab.open(t);
  const [chromium, fox] = [await lab.page(), await open(t, lab)];
  for (const peer of [chromium, fox]) {
    await peer.start({ signalers: [signaler.url], rtc: { iceTransportPolicy: "relay" } });
    await peer.enter("d14", {});
  }
  await Promise.all([chromium.linked(fox), fox.linked(chromium)]);
  for (const [reader, author] of both([chromium, fox])) {
    await author.publish("d14", { from: author.id });
    assert.deepEqual((await reader.got("d14", 1))[0]?.data, { from: author.id });
  }
  assert.equal((await chromium.look<Used>(USED)).kinds[0], "relay");
  const sessions = new Set(
    [...coturn.log.matchAll(/session (\d+):.*ALLOCATE processed, success/g)].map(([, id]) => id),
  );
  assert.ok(sessions.size >= 2, coturn.log.slice(-2000));
});

async function linkAndSend(t: TestContext, other: Other): Promise<void> {
  const peers = await meet(t, other, "d1");
  for (const [own, other] of both(peers)) {
    const joined = "mesh.seen.peers.filter(({ change }) => change === 'joined').map(({ peer }) => peer.peer)";
    assert.deepEqual(await own.look(joined), [other.id], "each learns of the other once");
    assert.equal(await own.look("mesh.connections.last.connectionState"), "connected");
    assert.deepEqual(await own.look("mesh.seen.warnings"), []);
  }
  for (const [own, other] of both(peers)) {
    const data = { text: `from ${own.id}` };
    assert.equal(await own.send(other.identity, data), "delivered");
    await other.until("mesh.seen.messages.length > 0");
    const messages = await other.look<Received[]>("mesh.seen.messages");
    assert.deepEqual(
      messages.map(({ from, peer, data }) => ({ from, peer, data })),
      [{ from: own.identity, peer: own.id, data }],
    );
  }
}

async function getFilms(t: TestContext, other: Other): Promise<void> {
  const peers = await meet(t, other, "m2");
  for (const [n, peer] of peers.entries()) await peer.subscribe("m2", QUESTIONS[n]?.query);
  for (const [n, [reader, author]] of both(peers).entries()) {
    const wanted = FILMS.filter((film) => QUESTIONS[n]?.is(film));
    assert.ok(wanted.length > 20, `${wanted.length} films are too few to tell order from luck`);
    // What comes after everything matches as well: once it is there, nothing more can come.
    const last = { ...wanted.at(-1), last: true };
    await author.publish("m2", ...FILMS, last);
    await reader.until("mesh.subscriptions.m2.got.some(({ data }) => data.last)", 60_000);
    const rows = await reader.rows("m2");
    assert.deepEqual(
      rows.map(({ data }) => data),
      [...wanted, last],
      `reader ${n}: exactly what matches, once, in the author's order`,
    );
    assert.ok(rows.every((row) => row.author === author.identity && row.feed === author.id));
  }
}

interface Received {
  readonly from: string;
  readonly peer: string;
  readonly data: unknown;
}

/** Two linked peers in a party, each on a signaler of its own; the signalers are siblings. */
async function meet(t: TestContext, other: Other, party: string): Promise<[Peer, Peer]> {
  const [here, there] = await pair(t);
  const lab = await Lab.open(t);
  const first = other === "chromium" ? await lab.page() : await open(t, lab);
  const second = await open(t, lab);
  await first.start({ signalers: [here.url], discover: false });
  await second.start({ signalers: [there.url], discover: false });
  await Promise.all([first.join(party), second.join(party)]);
  await Promise.all([first.linked(second), second.linked(first)]);
  return [first, second];
}

/** A page of Firefox with a profile of its own, as those of `Lab` are. */
async function open(t: TestContext, lab: Lab): Promise<Peer> {
  const container = await firefox.createBrowserContext();
  t.after(() => container.close());
  const page = await container.newPage();
  await page.goto(lab.site.url);
  await page.waitForFunction("globalThis.mesh !== undefined");
  // A Peer uses these two of Playwright's Page, and hands the context through.
  return new Peer(likePlaywright(page), container as unknown as BrowserContext);
}

/** Puppeteer's page with Playwright's order of arguments. */
function likePlaywright(page: FirefoxPage): Page {
  const adapter: Pick<Page, "evaluate"> & Pick<Page, "waitForFunction"> = {
    evaluate: page.evaluate.bind(page) as Page["evaluate"],
    waitForFunction: ((expression: string, _: undefined, options: { timeout: number; polling: number }) =>
      page.waitForFunction(expression, options)) as unknown as Page["waitForFunction"],
  };
  return adapter as Page;
}

/** Each with the other. */
function both([first, second]: readonly [Peer, Peer]): readonly [
  readonly [Peer, Peer],
  readonly [Peer, Peer],
] {
  return [
    [first, second],
    [second, first],
  ];
}
