/**
 * `cargo xtask bench forwarded [--quick]`: bytes a second over a link that signalers forward, beside what two clients can pass
 * to each other through the same signaler.
 *
 * The link is between two peers in one page that may only use TURN and have none: documents of 16 KiB from one to the other.
 * The clients are bare sockets that forward envelopes of 16 KiB as fast as the signaler's quota for one peer lets them.
 * Rounds alternate; what quotas allow at once after a pause is used up before the clock starts.
 */
import { randomBytes } from "node:crypto";
import { From, Peer } from "../tests/federation/wire/peer.ts";
import { launch, open, quantile } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 1 : 5;
const SIZE = 16 * 1024;
/** Milliseconds that are measured, and those before, in which what was saved up is used. */
const MEASURED = quick ? 2_000 : 5_000;
const BEFORE = 4_000;
/** Envelopes of a client that are under way at once. */
const WINDOW = 4;
/** A client that was told to slow down waits so long, milliseconds: who goes on regardless is closed. */
const SLOWER = 100;
/** Share of what two clients reach that a forwarded link should: peers give signalers a quarter of what these take. */
const BAR = 0.2;

/** In the page: two peers whose link is forwarded, and bytes in a millisecond of documents that arrive. */
const PAGE = `(async (url) => {
  const options = { signalers: [url], store: "memory", rtc: { iceTransportPolicy: "relay" } };
  const [from, to] = [await mesh.connect(options), await mesh.connect(options)];
  const forwarded = new Promise((resolve) => {
    from.on("link", ({ state, forwarded }) => { if (state === "open" && forwarded) resolve(); });
  });
  const parties = [await from.join("p"), await to.join("p")];
  await forwarded;
  const bytes = new Uint8Array(${SIZE}).fill(7);
  let got = 0;
  parties[1].subscribe({}).on("data", ({ data }) => { got += data.bytes.length; });
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  return async () => {
    let over = false;
    const publishing = (async () => {
      while (!over) {
        await parties[0].publish({ bytes });
        // No more waits than the link carries in half a second.
        while (from.stats().unsent > 512 * 1024 && !over) await pause(10);
      }
    })();
    await pause(${BEFORE});
    const [before, begun] = [got, performance.now()];
    await pause(${MEASURED});
    const rate = (got - before) / (performance.now() - begun);
    over = true;
    await publishing;
    while (from.stats().unsent > 0) await pause(10);
    return rate;
  };
})`;

const { signaler, site, browser, close } = await launch();
try {
  const page = await open(await browser.newContext(), site.url);
  page.setDefaultTimeout(60_000);
  await page.evaluate(`${PAGE}("${signaler.url}").then((rate) => { globalThis.rate = rate; })`);
  const [links, clients, ratios]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const link = await page.evaluate<number>("rate()");
    const client = await pair();
    links.push(link);
    clients.push(client);
    ratios.push(link / client);
  }
  console.log(`${ROUNDS} rounds\n\n| | kB/s, median | least | most |\n|---|---|---|---|`);
  for (const [what, rates] of [
    ["a forwarded link, documents of 16 KiB", links],
    ["two bare clients, envelopes of 16 KiB", clients],
  ] as const) {
    const shown = [0.5, 0, 1].map((share) => Math.round(quantile(rates, share)).toLocaleString("en"));
    console.log(`| ${what} | ${shown.join(" | ")} |`);
  }
  const ratio = quantile(ratios, 0.5);
  const reached = ratio >= BAR;
  console.log(`\nbar: at least ${BAR} of it: ${ratio.toFixed(2)}, ${reached ? "reached" : "MISSED"}`);
  if (!reached && !quick) process.exitCode = 1;
} finally {
  await close();
}

/** Bytes in a millisecond from one client to another through the signaler. */
async function pair(): Promise<number> {
  const [from, to] = [await Peer.connect(signaler.url), await Peer.connect(signaler.url)];
  const envelope = randomBytes(SIZE);
  let over = false;
  const worker = async () => {
    while (!over) {
      if ((await from.forward(to.id, envelope)) === "rate-limited") {
        await new Promise((resolve) => setTimeout(resolve, SLOWER));
      }
    }
  };
  const workers = Promise.all(Array.from({ length: WINDOW }, worker));
  await new Promise((resolve) => setTimeout(resolve, BEFORE));
  const [before, begun] = [to.inbox.seen(From.Deliver).length, performance.now()];
  await new Promise((resolve) => setTimeout(resolve, MEASURED));
  const rate = ((to.inbox.seen(From.Deliver).length - before) * SIZE) / (performance.now() - begun);
  over = true;
  await workers;
  for (const peer of [from, to]) await peer.socket.close();
  return rate;
}
