/**
 * `cargo xtask bench join [--quick]`: from `join` to the first document in Chromium, beside what it cannot be faster than.
 *
 * Every round measures, one after the other: a bare pair of RTCPeerConnections in two pages of one browser, whose
 * descriptions and candidates go through a BroadcastChannel; the signaler's round trip; and a page that joins a party
 * in which another page, with a profile of its own, has published one document. Pages are new in each round;
 * `connect` is over and the machine at rest when the clock starts, except in a last measurement, where a new page joins as
 * soon as its signaler has welcomed it.
 */
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { Peer } from "../tests/federation/wire/peer.ts";
import { launch, open, quantile, quiet, ROOT } from "./browser-lab.ts";

const BARE_PAIR = join(ROOT, "bench/bare-pair.js");
/** Rounds that count, and in `--quick` runs. One goes ahead that does not: caches of code, files and the database. */
const ROUNDS = 21;
const ROUNDS_QUICK = 3;
/** Pings of which the median is a round's round trip. */
const PINGS = 15;
/** What a join may take beyond a bare pair and three round trips to the signaler, milliseconds. */
const MARGIN = 20;
/** Envelopes that the signaler may have to pass on for one pair: offer, answer, and once what each side finds later. */
const SIGNALS = 4;

interface Round {
  /** Milliseconds each. */
  readonly pair: number;
  readonly trip: number;
  readonly join: number;
  readonly atOnce: number;
  /** Envelopes that the signaler delivered while the two made their link. */
  readonly signals: number;
}

/** Of one page that joins: milliseconds, and envelopes that the signaler delivered. */
interface Joined {
  readonly took: number;
  readonly signals: number;
}

const quick = process.argv.includes("--quick");
const { signaler, site, browser, close } = await launch();
try {
  const rounds: Round[] = [];
  for (let at = 0; at <= (quick ? ROUNDS_QUICK : ROUNDS); at += 1) {
    const pair = await barePair(browser, site.url);
    const trip = await roundTrip(signaler.url);
    const [joined, atOnce] = [
      await firstDocument(browser, site.url, signaler.url, `bench-${at}`, true),
      await firstDocument(browser, site.url, signaler.url, `bench-${at}-at-once`, false),
    ];
    if (at > 0) rounds.push({ pair, trip, join: joined.took, atOnce: atOnce.took, signals: joined.signals });
  }
  if (!report(rounds) && !quick) process.exitCode = 1;
} finally {
  await close();
}

/** From the first line of the page that offers to a message through the channel. */
async function barePair(browser: Browser, url: string): Promise<number> {
  const context = await browser.newContext();
  try {
    const [answers, offers] = [await open(context, url), await open(context, url)];
    for (const page of [answers, offers]) await page.addScriptTag({ path: BARE_PAIR });
    await answers.evaluate("bareEnd(false)");
    await quiet();
    return (await offers.evaluate("bareEnd(true)")) as number;
  } finally {
    await context.close();
  }
}

/** Median time from a frame to its answer on an authenticated connection. */
async function roundTrip(url: string): Promise<number> {
  const peer = await Peer.connect(url);
  const trips: number[] = [];
  for (let at = 0; at < PINGS; at += 1) {
    const start = performance.now();
    await peer.ping();
    trips.push(performance.now() - start);
  }
  await peer.socket.close();
  return quantile(trips, 0.5);
}

/** From `join` to the first document of somebody else. */
async function firstDocument(
  browser: Browser,
  url: string,
  signaler: string,
  party: string,
  settled: boolean,
): Promise<Joined> {
  const contexts = [await browser.newContext(), await browser.newContext()] as const;
  try {
    const [there, here] = [await open(contexts[0], url), await open(contexts[1], url)];
    for (const page of [there, here]) {
      await page.evaluate((url) => globalThis.mesh.start({ signalers: [url] }), signaler);
      await page.waitForFunction("mesh.weft.signalers().some(({ state }) => state === 'connected')");
    }
    if (settled) {
      for (const page of [there, here]) {
        await page.waitForFunction("performance.getEntriesByName('weft:rehearsed').length > 0");
      }
    }
    await there.evaluate(async (party) => {
      await globalThis.mesh.join(party);
      await globalThis.mesh.publish(party, [{ title: "Ran" }]);
    }, party);
    if (settled) await quiet();
    const before = await delivered(signaler);
    const took = await here.evaluate(async (party) => {
      const start = performance.now();
      const joined = await globalThis.mesh.weft.join(party);
      const subscription = joined.subscribe({ title: "Ran" });
      return await new Promise<number>((resolve) => {
        subscription.on("data", () => resolve(performance.now() - start));
      });
    }, party);
    // Candidates may still come when the first document has.
    await quiet();
    return { took, signals: (await delivered(signaler)) - before };
  } finally {
    for (const context of contexts) await context.close();
  }
}

/** Envelopes that the signaler has put on the sockets of their recipients so far. */
async function delivered(signaler: string): Promise<number> {
  const metrics = await (await fetch(new URL("/metrics", signaler.replace(/^ws/, "http")))).text();
  const value = /^weft_delivered_total (\d+)$/m.exec(metrics)?.[1];
  if (value === undefined) throw new Error("the signaler does not say how much it has delivered");
  return Number(value);
}

/** Prints the table; true if the median of the excess is within the margin and no pair took too many signals. */
function report(rounds: readonly Round[]): boolean {
  const line = (what: string, figures: readonly number[]) =>
    console.log(
      `| ${what} | ${[0, 0.5, 0.9, 1].map((share) => quantile(figures, share).toFixed(1)).join(" | ")} |`,
    );
  console.log(
    `\n${rounds.length} rounds, milliseconds\n\n| | least | median | p90 | greatest |\n|---|---|---|---|---|`,
  );
  line(
    "bare pair",
    rounds.map(({ pair }) => pair),
  );
  line(
    "signaler round trip",
    rounds.map(({ trip }) => trip),
  );
  line(
    "join to first document",
    rounds.map(({ join }) => join),
  );
  line(
    "the same at once after connecting",
    rounds.map(({ atOnce }) => atOnce),
  );
  const excess = rounds.map(({ pair, trip, join }) => join - pair - 3 * trip);
  line("join less (bare pair + 3 round trips)", excess);
  const said = (reached: boolean) => (reached ? "reached" : "MISSED");
  const soon = quantile(excess, 0.5) <= MARGIN;
  console.log(`\nbar: the last line's median <= ${MARGIN} ms: ${said(soon)}`);
  const signals = rounds.map((round) => round.signals);
  const few = quantile(signals, 1) <= SIGNALS;
  const [least, median, most] = [0, 0.5, 1].map((share) => quantile(signals, share));
  console.log(`signals of one pair through the signaler: ${least} to ${most}, median ${median}`);
  console.log(`bar: at most ${SIGNALS} for every pair: ${said(few)}`);
  return soon && few;
}

/** What tests/e2e/page.js puts into the page, as far as it is used here. */
declare global {
  var mesh: {
    readonly weft: {
      join(party: string): Promise<{
        subscribe(query: object): { on(event: "data", handler: () => void): void };
      }>;
    };
    start(options: object): Promise<unknown>;
    join(party: string): Promise<unknown>;
    publish(party: string, documents: object[]): Promise<unknown>;
  };
}
