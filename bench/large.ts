/**
 * `cargo xtask bench large [--quick]`: bytes a second of messages of 64 KiB, and of one of 16 MiB, between two peers in one
 * page of Chromium, beside a bare RTCDataChannel in the same page.
 *
 * Rounds of both alternate. Every message is end to end encrypted and signed, confirmed by the other peer, and handed over as
 * a document; the bare channel only has its bytes counted. The page needs the signaler to introduce the two. What all processes
 * of the browser take of the processors says more than the rates where other programs run, too: both peers share one thread.
 */
import { launch, open } from "./browser-lab.ts";

const MIB = 1024 * 1024;
const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 2 : 7;
/** Messages of 64 KiB in a round. */
const MESSAGES = quick ? 128 : 512;

/** In the page: a bare pair and a pair of peers, and what they carry in bytes per second. */
const PAGE = `(async (url) => {
  const { connect } = mesh;
  const [left, right] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const [from, to] = [left, right].map((pc) => pc.createDataChannel("bare", { negotiated: true, id: 0 }));
  to.binaryType = "arraybuffer";
  left.onicecandidate = ({ candidate }) => candidate && right.addIceCandidate(candidate);
  right.onicecandidate = ({ candidate }) => candidate && left.addIceCandidate(candidate);
  await left.setLocalDescription();
  await right.setRemoteDescription(left.localDescription);
  await right.setLocalDescription();
  await left.setRemoteDescription(right.localDescription);
  await new Promise((resolve) => { from.onopen = resolve; });
  const options = { signalers: [url], store: "memory" };
  const [a, b] = [await connect(options), await connect(options)];
  const parties = [await a.join("p"), await b.join("p")];
  await Promise.all(parties.map((party) => party.ready));
  const size = 64 * 1024;
  const bytes = crypto.getRandomValues(new Uint8Array(size));
  const rate = (count, begin) => count / (performance.now() - begin) * 1000;
  return {
    bare: async (messages) => {
      const begin = performance.now();
      let got = 0;
      from.bufferedAmountLowThreshold = 256 * 1024;
      const all = new Promise((resolve) => {
        to.onmessage = ({ data }) => { got += data.byteLength; if (got === messages * size) resolve(); };
      });
      for (let at = 0; at < messages; at += 1) {
        if (from.bufferedAmount > ${MIB}) await new Promise((resolve) => { from.onbufferedamountlow = resolve; });
        from.send(bytes);
      }
      await all;
      return rate(messages * size, begin);
    },
    weft: async (messages) => {
      const begin = performance.now();
      await Promise.all(Array.from({ length: messages }, () => a.send(b.identity, { bytes })));
      return rate(messages * size, begin);
    },
    large: async () => {
      const large = new Uint8Array(${16 * MIB} - 64);
      const begin = performance.now();
      await a.send(b.identity, { large });
      return rate(large.length, begin);
    },
  };
})`;

const { signaler, site, browser, close } = await launch();
try {
  const page = await open(await browser.newContext(), site.url);
  await page.evaluate(`${PAGE}(${JSON.stringify(signaler.url)}).then((pair) => { globalThis.pair = pair; })`);
  const cdp = await browser.newBrowserCDPSession();
  /** Seconds of processor so far. */
  const processor = async () => {
    const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
    return processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  };
  const bytes = { bare: MESSAGES * 65_536, weft: MESSAGES * 65_536, large: 16 * MIB };
  const costs: Record<"bare" | "weft" | "large", number[]> = { bare: [], weft: [], large: [] };
  const figures: Record<"bare" | "weft" | "large", number[]> = { bare: [], weft: [], large: [] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const name of ["bare", "weft", "large"] as const) {
      const before = await processor();
      const rate = await page.evaluate<number>(`pair.${name}(${MESSAGES})`);
      const cost = ((await processor()) - before) / bytes[name];
      // The first one warms up.
      if (round === 0) continue;
      figures[name].push(rate / 1e6);
      costs[name].push(cost * 1e9);
    }
  }
  const median = (rates: number[]) => rates.sort((one, other) => one - other)[rates.length >> 1] ?? 0;
  const bare = median(figures.bare);
  console.log(
    "| what | MB/s, median | least | most | of bare | processor, ns a byte |\n|---|---|---|---|---|---|",
  );
  const rows = [
    ["a bare channel, 64 KiB", "bare"],
    ["messages of 64 KiB", "weft"],
    ["a message of 16 MiB", "large"],
  ] as const;
  for (const [what, name] of rows) {
    const rates = figures[name];
    const shown = [median(rates), Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(1));
    const cost = median(costs[name]).toFixed(0);
    console.log(`| ${what} | ${shown.join(" | ")} | ${(median(rates) / bare).toFixed(2)} | ${cost} |`);
  }
} finally {
  await close();
}
