/**
 * `cargo xtask bench reconnect [--quick]`: how soon documents flow again when a page that was offline for 30 s is online.
 *
 * The page is in a network namespace of its own whose cable is pulled, so that the browser knows that it is offline; the
 * other page and the signaler are outside. Both publish all the while. Time counts from the page's `online` event until both
 * have every document. One pair of pages for all rounds, so that what one round leaves behind shows in the next. Needs root.
 */
import { Lab, type Peer } from "../tests/e2e/browser.ts";
import { Network, NO_NETWORK } from "../tests/e2e/network.ts";
import { Signaler } from "../tests/federation/signaler.ts";
import { Afterwards, quantile } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 1 : 7;
/** Seconds without a network; a document is published outside in each, and in every tenth inside. */
const OFFLINE = 30;
/** Longest that documents may take to flow again, milliseconds. */
const BAR = 3_000;

if (NO_NETWORK !== false) throw new Error(NO_NETWORK);
const context = new Afterwards();
try {
  const network = await Network.open(context.test);
  const signaler = await Signaler.start(context.test, { host: network.outside });
  const inside = await Lab.open(context.test, { executable: network.chromium, host: network.outside });
  const outside = await Lab.open(context.test, { executable: network.plain, host: network.outside });
  const away = await inside.peer([signaler.url], "p");
  const home = await outside.peer([signaler.url], "p");
  for (const peer of [away, home]) await peer.subscribe("p", {});
  await away.linked(home);
  await away.look(`addEventListener("online", () => { mesh.online = true; })`);
  const took: number[] = [];
  const sent = { away: 0, home: 0 };
  for (let round = 0; round < ROUNDS; round += 1) {
    await away.look("mesh.online = false");
    network.down();
    await away.until("!navigator.onLine");
    const gone = performance.now();
    for (let second = 1; second <= OFFLINE; second += 1) {
      await new Promise((resolve) => setTimeout(resolve, gone + 1000 * second - performance.now()));
      await publish(home, "home", sent);
      if (second % 10 === 0) await publish(away, "away", sent);
    }
    network.up();
    await away.until("mesh.online", 10_000);
    const online = performance.now();
    await publish(home, "home", sent);
    await publish(away, "away", sent);
    await Promise.all([away.got("p", sent.home, 60_000), home.got("p", sent.away, 60_000)]);
    took.push(performance.now() - online);
    await complete(away, sent.home);
    await complete(home, sent.away);
    console.log(`round ${round + 1}: ${Math.round(took.at(-1) ?? 0)} ms`);
  }
  const [least, median, most] = [0, 0.5, 1].map((share) => Math.round(quantile(took, share)));
  const reached = (most ?? 0) <= BAR;
  console.log(`\n${ROUNDS} rounds of ${OFFLINE} s offline: ${least} to ${most} ms, median ${median}`);
  console.log(`documents: ${sent.home} and ${sent.away}, each came once and in order`);
  console.log(`bar: at most ${BAR} ms in every round: ${reached ? "reached" : "MISSED"}`);
  if (!reached && !quick) process.exitCode = 1;
} finally {
  await context.run();
}

async function publish(
  peer: Peer,
  who: "away" | "home",
  sent: Record<"away" | "home", number>,
): Promise<void> {
  await peer.publish("p", { n: sent[who] });
  sent[who] += 1;
}

/** Throws unless a page has so many documents, each once and in order. */
async function complete(peer: Peer, count: number): Promise<void> {
  const numbers = (await peer.rows("p")).map(({ data }) => data.n as number);
  const first = numbers.findIndex((n, at) => n !== at);
  if (numbers.length !== count || first >= 0) {
    throw new Error(`${numbers.length} of ${count} documents, not in order from ${first} on`);
  }
}
