/**
 * `cargo xtask bench tab [--quick]`: what a tab has in memory after very many links were opened and closed.
 *
 * One page stays in a party; another one, in the same browser, comes and goes: each time it is a new peer, with a link to the
 * first. At the marks the collector runs, and the first page is asked for its JavaScript heap, its wasm memory and the
 * RTCPeerConnections that are still there. The first links warm up: wasm memory never shrinks, and peers that have gone are
 * remembered for two minutes. Beside it, a page in which bare RTCPeerConnections are opened in pairs and closed, to tell what
 * the browser itself holds on to.
 */
import type { CDPSession, Page } from "playwright-core";
import { launch, open } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const WARM = quick ? 20 : 1_500;
const LINKS = quick ? 40 : 2_000;
/**
 * Bare pairs, and links after which the other page is loaded anew: Chromium refuses a page more than 500 connections that it
 * has not collected yet.
 */
const PAIRS = quick ? 20 : 100;
/** Times that memory is looked at after the first. */
const MARKS = 4;
/** Links between two runs of the collector. */
const BATCH = 10;
/** JavaScript heap and wasm memory may grow by so much, bytes: what collectors and allocators differ by. */
const SLACK = 1024 * 1024;

/** In the page beside it: pairs of connections that open a channel and close. */
const BARE = `globalThis.pairs = async (count) => {
  for (let n = 0; n < count; n += 1) {
    const ends = [new RTCPeerConnection(), new RTCPeerConnection()];
    const channels = ends.map((end) => end.createDataChannel("bare", { negotiated: true, id: 0 }));
    ends.forEach((end, at) => {
      end.onicecandidate = ({ candidate }) => candidate && ends[1 - at].addIceCandidate(candidate);
    });
    const opened = channels.map((channel) => new Promise((resolve) => { channel.onopen = resolve; }));
    await ends[0].setLocalDescription();
    await ends[1].setRemoteDescription(ends[0].localDescription);
    await ends[1].setLocalDescription();
    await ends[0].setRemoteDescription(ends[1].localDescription);
    await Promise.all(opened);
    for (const end of ends) end.close();
  }
};0`;

interface Memory {
  /** Bytes. */
  readonly heap: number;
  readonly wasm: number;
  /** RTCPeerConnections that are not collected. */
  readonly connections: number;
}

const { signaler, site, browser, close } = await launch();
try {
  const [stays, comes, bare] = [await page(), await page(), await page()] as const;
  await stays.page.evaluate(
    `mesh.start({ signalers: ["${signaler.url}"], store: "memory" }).then(() => mesh.join("p"))`,
  );
  console.log(
    "| after | JavaScript heap, kB | wasm memory, kB | connections not collected |\n|---|---|---|---|",
  );
  const seen: Memory[] = [];
  for (let mark = 0; mark <= MARKS; mark += 1) {
    const links = mark === 0 ? WARM : LINKS / MARKS;
    for (let done = 0; done < links; done += BATCH) {
      if (done % PAIRS === 0) {
        await comes.page.reload();
        await comes.page.waitForFunction("globalThis.mesh !== undefined");
        await comes.page.evaluate(comesAndGoes(signaler.url));
      }
      await comes.page.evaluate(`come(${BATCH})`);
      for (const { cdp } of [comes, stays]) await cdp.send("HeapProfiler.collectGarbage");
      // What the tests' page writes down is no part of the package.
      await stays.page.evaluate("for (const kind of ['links', 'peers']) mesh.seen[kind].length = 0");
    }
    await stays.page.waitForFunction("mesh.weft.stats().connections === 0");
    const now = await memory(stays);
    seen.push(now);
    const shown = [now.heap, now.wasm].map((bytes) => (bytes / 1000).toFixed(0));
    console.log(`| ${WARM + mark * (LINKS / MARKS)} links | ${shown.join(" | ")} | ${now.connections} |`);
  }
  await bare.page.evaluate(BARE);
  for (let done = 0; done < PAIRS; done += BATCH) {
    await bare.page.evaluate(`pairs(${BATCH})`);
    await bare.cdp.send("HeapProfiler.collectGarbage");
  }
  const { connections } = await memory(bare);
  console.log(
    `\nof ${2 * PAIRS} bare connections that were closed, Chromium has not collected ${connections}`,
  );
  const [first, last] = [seen.at(0), seen.at(-1)];
  if (first === undefined || last === undefined) throw new Error("nothing was measured");
  const grown = [last.heap - first.heap, last.wasm - first.wasm];
  const reached = grown.every((bytes) => bytes <= SLACK);
  const shown = grown.map((bytes) => `${(bytes / 1000).toFixed(0)} kB`).join(" and ");
  console.log(`heap and wasm memory have grown by ${shown} over ${LINKS} links`);
  console.log(
    `bar: back to the baseline, give or take ${SLACK / 1024} KiB: ${reached ? "reached" : "MISSED"}`,
  );
  if (!reached && !quick) process.exitCode = 1;
} finally {
  await close();
}

interface Looked {
  readonly page: Page;
  readonly cdp: CDPSession;
}

/** A page that tells of its wasm memory. */
async function page(): Promise<Looked> {
  const context = await browser.newContext();
  await context.addInitScript(`{
    const kept = (promise) => promise.then((made) => {
      globalThis.wasmMemory = (made.instance ?? made).exports.memory;
      return made;
    });
    for (const name of ["instantiate", "instantiateStreaming"]) {
      const original = WebAssembly[name];
      WebAssembly[name] = (...all) => kept(original.apply(WebAssembly, all));
    }
  }`);
  const page = await open(context, site.url);
  page.setDefaultTimeout(120_000);
  return { page, cdp: await context.newCDPSession(page) };
}

async function memory({ page, cdp }: Looked): Promise<Memory> {
  // Objects of the browser go in a second turn.
  for (let turn = 0; turn < 3; turn += 1) await cdp.send("HeapProfiler.collectGarbage");
  const { usedSize: heap } = await cdp.send("Runtime.getHeapUsage");
  const wasm = (await page.evaluate("globalThis.wasmMemory?.buffer.byteLength ?? 0")) as number;
  const prototype = "Object.getPrototypeOf(RTCPeerConnection).prototype";
  const { result } = await cdp.send("Runtime.evaluate", { expression: prototype });
  if (result.objectId === undefined) throw new Error("the page has no RTCPeerConnection");
  const { objects } = await cdp.send("Runtime.queryObjects", { prototypeObjectId: result.objectId });
  const { result: count } = await cdp.send("Runtime.callFunctionOn", {
    objectId: objects.objectId ?? "",
    functionDeclaration: "function () { return this.length; }",
    returnByValue: true,
  });
  // The prototype of the tests' own class counts as one.
  return { heap, wasm, connections: (count.value as number) - 1 };
}

/** In the page that comes and goes: so many peers one after another, each until it has a link. */
function comesAndGoes(url: string): string {
  return `globalThis.come = async (count) => {
    for (let n = 0; n < count; n += 1) {
      const weft = await mesh.connect({ signalers: ["${url}"], store: "memory" });
      const linked = new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("no link in 20 s")), 20_000);
        weft.on("link", ({ state }) => { if (state === "open") { clearTimeout(timer); resolve(); } });
      });
      await weft.join("p");
      await linked;
      await weft.close();
    }
  };0`;
}
