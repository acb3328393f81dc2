/**
 * `cargo xtask bench latency [--rounds N] [--quick]`: how long a message takes between two people who are there, each at a
 * signaler of their own, beside an envelope that the same two signalers forward.
 *
 * Both are pages that may only use TURN and have none, so they have no direct link. Pairs that have a party in common write to
 * each other the way that signalers forward, once with what pages store as a rule and once without; a pair that has none
 * leaves each message in the other's mailbox, who is told and collects it. Each message is answered from the other's event
 * by a message, and half of the time there and back counts, since pages have clocks of their own. The envelopes go there and
 * back between two bare clients, one at each signaler.
 */
import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { Signaler, until } from "../tests/federation/signaler.ts";
import { Peer } from "../tests/federation/wire/peer.ts";
import { Afterwards, launch, open, quantile } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const at = process.argv.indexOf("--rounds");
const ROUNDS = at >= 0 ? Number(process.argv[at + 1]) : quick ? 1 : 5;
/** Messages there and back of a round, as many of those that wait in a mailbox, and those before that do not count. */
const [COUNT, COUNT_MAIL, BEFORE] = quick ? [20, 2, 5] : [200, 20, 10];
/** Bytes of a message. */
const SIZE = 256;
/** What a message may take longer than an envelope, median, milliseconds. */
const BAR = 3;
const QUIET = { RUST_LOG: "warn" };

/** In a page: a peer that answers, and that measures milliseconds there and back. */
const PAGE = `(async (url, store, party) => {
  const rtc = { iceTransportPolicy: "relay" };
  const weft = await mesh.connect({ signalers: [url], discover: false, store, rtc });
  const linked = new Promise((resolve) => {
    weft.on("link", ({ state, forwarded }) => { if (state === "open" && forwarded) resolve(); });
  });
  if (party !== undefined) await weft.join(party);
  const text = "x".repeat(${SIZE});
  let back = () => {};
  weft.on("message", ({ from, data }) => {
    if (data.answer) back(data.n);
    else weft.send(from, { n: data.n, answer: true, text });
  });
  let n = 0;
  globalThis.linked = () => party === undefined ? undefined : linked;
  globalThis.trips = async (to, count) => {
    const took = [];
    for (let left = count; left > 0; left -= 1) {
      n += 1;
      const began = performance.now();
      const answered = new Promise((resolve) => { back = (number) => { if (number === n) resolve(performance.now()); }; });
      const sent = weft.send(to, { n, answer: false, text });
      took.push((await answered) - began);
      await sent;
    }
    return took;
  };
  return weft.identity;
})`;

/** What is measured of pages: how it is called, where they store, and whether they have a party in common, and trips of a round. */
const KINDS = [
  { what: "a message of pages that store nothing", store: "memory", party: true, count: COUNT },
  { what: "a message of pages that store what they send", store: "indexeddb", party: true, count: COUNT },
  {
    what: "a message without a common party, by way of the mailbox",
    store: "indexeddb",
    party: false,
    count: COUNT_MAIL,
  },
] as const;

const context = new Afterwards();
const { site, browser, close } = await launch();
try {
  const first = await Signaler.start(context.test, { args: ["--open"], env: QUIET });
  const args = ["--open", "--sibling", first.url];
  const second = await Signaler.start(context.test, { args, env: QUIET });
  await first.siblings(1);
  await second.siblings(1);
  const urls = [first.url, second.url];
  const series: Series[] = [{ what: "an envelope", count: COUNT, trips: await clients(urls), times: [] }];
  for (const kind of KINDS)
    series.push({ what: kind.what, count: kind.count, trips: await pages(first, urls, kind), times: [] });
  for (let round = 0; round < ROUNDS; round += 1)
    for (const one of series) one.times.push((await one.trips(one.count)).map((trip) => trip / 2));
  console.log(
    `${ROUNDS} rounds of ${COUNT} there and back (${COUNT_MAIL} by way of mailboxes), ${SIZE} bytes, milliseconds one way\n`,
  );
  console.log(
    "| | median | p99 | longest | median less an envelope's, of each round |\n|---|---|---|---|---|",
  );
  for (const { what, times } of series) {
    const [middle, late, longest] = [0.5, 0.99, 1].map((share) => quantile(times.flat(), share).toFixed(2));
    const [more, least, most] = [0.5, 0, 1].map((share) => quantile(extra(times), share).toFixed(2));
    console.log(`| ${what} | ${middle} | ${late} | ${longest} | ${more} (${least} to ${most}) |`);
  }
  console.log("");
  let missed = false;
  for (const { what, times } of series.slice(1)) {
    const more = quantile(extra(times), 0.5);
    missed ||= !(more <= BAR);
    console.log(
      `bar: at most ${BAR} ms more: ${what}: ${more.toFixed(2)}, ${more <= BAR ? "reached" : "MISSED"}`,
    );
  }
  if (missed && !quick) process.exitCode = 1;

  /** How much longer the median of each round is than an envelope's. */
  function extra(times: readonly (readonly number[])[]): number[] {
    const bare = series[0]?.times ?? [];
    return times.map((round, at) => quantile(round, 0.5) - quantile(bare[at] ?? [], 0.5));
  }
} finally {
  await close();
  await context.run();
}

/** Milliseconds there and back, so many times. */
type Trips = (count: number) => Promise<readonly number[]>;

interface Series {
  readonly what: string;
  readonly count: number;
  readonly trips: Trips;
  /** One way, of each round. */
  readonly times: (readonly number[])[];
}

/** Two pages, one at each signaler, that know each other. */
async function pages(first: Signaler, urls: readonly string[], kind: (typeof KINDS)[number]): Promise<Trips> {
  const party = kind.party ? `latency-${kind.store}` : undefined;
  const mailboxes = async () => (await first.metrics()).get("weft_mailboxes");
  const before = await mailboxes();
  const peers: { readonly page: Page; readonly identity: string }[] = [];
  for (const url of urls) {
    const page = await open(await browser.newContext(), site.url);
    page.setDefaultTimeout(120_000);
    const words = [url, kind.store, party].map((word) => JSON.stringify(word)).join(", ");
    peers.push({ page, identity: await page.evaluate<string>(`${PAGE}(${words})`) });
  }
  for (const { page } of peers) await page.evaluate("linked()");
  // Somebody is found without a party once there is a mailbox; who stores nothing has none.
  if (kind.store === "indexeddb") await until("mailboxes", mailboxes, (count) => count >= before + 2);
  const [one, other] = peers;
  if (one === undefined || other === undefined) throw new Error("two signalers are needed");
  const trips = (count: number) => one.page.evaluate<number[]>(`trips("${other.identity}", ${count})`);
  await trips(BEFORE);
  return trips;
}

/** Two bare clients, one at each signaler. */
async function clients(urls: readonly string[]): Promise<Trips> {
  const [one, other] = await Promise.all(urls.map((url) => Peer.connect(url)));
  if (one === undefined || other === undefined) throw new Error("two signalers are needed");
  const pass = async (from: Peer, to: Peer): Promise<void> => {
    const sent = from.forward(to.id, randomBytes(SIZE), to.signaler);
    await to.delivered();
    const outcome = await sent;
    if (outcome !== "ack") throw new Error(`an envelope was refused: ${outcome}`);
  };
  const trips = async (count: number): Promise<number[]> => {
    const took: number[] = [];
    for (let left = count; left > 0; left -= 1) {
      const began = performance.now();
      await pass(one, other);
      await pass(other, one);
      took.push(performance.now() - began);
    }
    return took;
  };
  await trips(BEFORE);
  context.after(async () => {
    for (const { socket } of [one, other]) await socket.close();
  });
  return trips;
}
