/**
 * `cargo xtask bench drain [--rounds N] [--quick]`: a page that was closed comes back to a mailbox that is full.
 *
 * Four people leave 250 messages each for somebody whose page is closed: as many as a mailbox takes, of each as many as of one
 * sender. Then the page is opened again; what counts is the time from `connect`, which reads keys and sessions from IndexedDB,
 * until the last message is shown: collected, opened, stored and acknowledged page by page. All have to come, once, and of each
 * sender in order.
 */
import { Signaler } from "../tests/federation/signaler.ts";
import { Afterwards, launch, open, quantile } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const at = process.argv.indexOf("--rounds");
const ROUNDS = at >= 0 ? Number(process.argv[at + 1]) : quick ? 1 : 3;
/** Senders, and messages of each. */
const [SENDERS, EACH] = [4, quick ? 10 : 250];
/** Messages that a sender has under way. */
const WINDOW = 16;
/** Bytes of a message. */
const SIZE = 256;

/** In the page of the senders: each leaves its messages. */
const LEAVE = `(async (url, to) => {
  const text = "x".repeat(${SIZE});
  await Promise.all(Array.from({ length: ${SENDERS} }, async (_, from) => {
    const weft = await mesh.connect({ signalers: [url], store: "memory" });
    let n = 0;
    const worker = async () => {
      while (n < ${EACH}) {
        n += 1;
        await weft.send(to, { from, n, text }, { until: "stored" });
      }
    };
    // The first one begins the session.
    n += 1;
    await weft.send(to, { from, n, text }, { until: "stored" });
    await Promise.all(Array.from({ length: ${WINDOW} }, worker));
    await weft.close();
  }));
})`;

/** In the page that comes back: when it was connected, and when the first and the last message were shown, milliseconds. */
const COLLECT = `(async (url) => {
  const began = performance.now();
  let first = 0;
  const all = [];
  await mesh.start({ signalers: [url] });
  const connected = performance.now() - began;
  await new Promise((resolve) => {
    const look = () => {
      if (mesh.seen.messages.length > 0 && first === 0) first = performance.now() - began;
      if (mesh.seen.messages.length >= ${SENDERS * EACH}) resolve();
    };
    mesh.weft.on("message", look);
    look();
  });
  const last = performance.now() - began;
  return { connected, first, last, shown: mesh.seen.messages.map(({ data }) => [data.from, data.n]) };
})`;

interface Collected {
  readonly connected: number;
  readonly first: number;
  readonly last: number;
  readonly shown: readonly (readonly [number, number])[];
}

const context = new Afterwards();
const { site, browser, close } = await launch();
try {
  const rounds: Collected[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const signaler = await Signaler.start(context.test, { env: { RUST_LOG: "warn" } });
    const profile = await browser.newContext();
    const before = await open(profile, site.url);
    const { identity } = await before.evaluate<{ identity: string }>(
      `mesh.start({ signalers: ["${signaler.url}"] })`,
    );
    await before.waitForFunction(`mesh.weft.signalers().some(({ state }) => state === "connected")`);
    while ((await signaler.metrics()).get("weft_mailboxes") < 1) await before.waitForTimeout(20);
    await before.close();
    const senders = await open(await browser.newContext(), site.url);
    senders.setDefaultTimeout(300_000);
    await senders.evaluate(`${LEAVE}("${signaler.url}", "${identity}")`);
    const waits = (await signaler.metrics()).get("weft_mail");
    if (waits !== SENDERS * EACH) throw new Error(`${waits} envelopes wait`);
    await senders.context().close();

    const back = await open(profile, site.url);
    back.setDefaultTimeout(300_000);
    const collected = await back.evaluate<Collected>(`${COLLECT}("${signaler.url}")`);
    checked(collected.shown);
    rounds.push(collected);
    const [first, last] = [collected.first, collected.last].map((time) => time.toFixed(0));
    console.log(`# round ${round + 1}: first after ${first} ms, last after ${last} ms`);
    await profile.close();
    await signaler.kill();
  }
  console.log(`\n${SENDERS * EACH} messages of ${SIZE} bytes, ${ROUNDS} rounds\n`);
  console.log("| ms | median | least | most |\n|---|---|---|---|");
  for (const [what, of] of [
    ["`connect` resolves", "connected"],
    ["the first message is shown", "first"],
    ["the last message is shown", "last"],
  ] as const) {
    const times = rounds.map((round) => round[of]);
    console.log(`| ${what} | ${[0.5, 0, 1].map((share) => quantile(times, share).toFixed(0)).join(" | ")} |`);
  }
} finally {
  await close();
  await context.run();
}

/** All, once, and of each sender in order. */
function checked(shown: Collected["shown"]): void {
  const last = Array.from({ length: SENDERS }, () => 0);
  for (const [from, n] of shown) {
    if (n !== (last[from] ?? Number.NaN) + 1) throw new Error(`${n} of ${from} came after ${last[from]}`);
    last[from] = n;
  }
  if (last.some((n) => n !== EACH)) throw new Error(`of each came ${last}`);
}
