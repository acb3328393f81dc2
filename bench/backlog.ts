/**
 * `cargo xtask bench backlog [--quick]`: how fast somebody who comes late gets 100,000 documents of 256 B from one neighbour
 * that has them stored: the `weft` command from `weft seed`, and a page from `weft seed`.
 *
 * Beside the command: one message of 16 MiB between two commands, less one of a few bytes, so that what is left is the
 * transfer of its bytes over the same kind of connection. Beside the page: a bare RTCDataChannel, both ends in one page, in
 * messages of 16 KiB. Rounds alternate. Time counts from the start of the command, or from `join`, to the last document; a
 * backlog is given all at once when it is complete.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { directory } from "../tests/federation/signaler.ts";
import { Weft } from "../tests/federation/weft.ts";
import { Afterwards, launch, open, quantile, ROOT } from "./browser-lab.ts";

const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 1 : 3;
const DOCUMENTS = quick ? 20_000 : 100_000;
const MESSAGE = 16 * 1024 * 1024 - 64;
/** Longest that one transfer may take, milliseconds. */
const PATIENCE = 300_000;

const context = new Afterwards();
const { signaler, site, browser, close } = await launch();
context.after(close);
try {
  const dir = directory(context.test);
  const text = Array.from({ length: DOCUMENTS }, (_, n) => JSON.stringify({ n, text: "x".repeat(240) }));
  const file = join(dir, "documents.jsonl");
  writeFileSync(file, `${text.join("\n")}\n`);
  const bytes = DOCUMENTS * 256;
  const options = { signalers: [signaler.url], party: "late" };
  const seed = Weft.start(context.test, "seed", [file], options);
  await seed.said(`serving ${DOCUMENTS} documents`, PATIENCE);

  const figures = { command: [], message: [], page: [], bare: [] } as Record<string, number[]>;
  for (let round = 0; round < ROUNDS; round += 1) {
    figures["command"]?.push(bytes / (await command(options)));
    figures["message"]?.push(await message());
    figures["page"]?.push(bytes / (await page(options.party)));
    figures["bare"]?.push(await bare());
  }
  console.log(`\n${ROUNDS} rounds, ${DOCUMENTS} documents\n`);
  console.log("| | documents/s, median | MB/s | range | of the transfer beside it |\n|---|---|---|---|---|");
  row("the command from `weft seed`", "command", "message");
  row("16 MiB in one message between two commands", "message");
  row("a page from `weft seed`", "page", "bare");
  row("a bare channel in a page", "bare");

  function row(what: string, name: string, beside?: string): void {
    const rates = (figures[name] ?? []).map((rate) => rate * 1000);
    const [least, median, most] = [0, 0.5, 1].map((share) => quantile(rates, share)) as [
      number,
      number,
      number,
    ];
    const ratios = rates.map((rate, at) => rate / (1000 * (figures[beside ?? name]?.[at] ?? 1)));
    const documents = beside === undefined ? "" : Math.round(median / 256).toLocaleString("en");
    const range = `${(least / 1e6).toFixed(1)} to ${(most / 1e6).toFixed(1)}`;
    const ratio = beside === undefined ? "" : quantile(ratios, 0.5).toFixed(2);
    console.log(`| ${what} | ${documents} | ${(median / 1e6).toFixed(1)} | ${range} | ${ratio} |`);
  }
} finally {
  await context.run();
}

/** Milliseconds until a command that comes late has printed everything. */
async function command(options: {
  readonly signalers: readonly string[];
  readonly party: string;
}): Promise<number> {
  const begun = performance.now();
  const reader = Weft.start(context.test, "subscribe", ["--backlog", "--count", `${DOCUMENTS}`], options);
  const { code } = await reader.ended;
  if (code !== 0) throw new Error(`weft subscribe ended with ${code}: ${reader.log}`);
  const took = performance.now() - begun;
  const first = reader.lines.findIndex(({ json }, at) => json.data.n !== at);
  if (reader.lines.length !== DOCUMENTS || first >= 0) throw new Error(`not in order from ${first} on`);
  return took;
}

/** Bytes in a millisecond of one large message between two commands. */
async function message(): Promise<number> {
  const data = directory(context.test);
  const identity = await Weft.identity(data);
  const options = { signalers: [signaler.url], party: "message" };
  const reader = Weft.start(context.test, "listen", [], { ...options, data });
  await reader.said("listening as");
  const times: number[] = [];
  for (const length of [1, MESSAGE]) {
    const sender = Weft.start(context.test, "send", [identity, "-", "--timeout", "300"], options);
    sender.process.stdin?.end(JSON.stringify({ text: "x".repeat(length) }));
    const begun = performance.now();
    const { code } = await sender.ended;
    if (code !== 0) throw new Error(`weft send ended with ${code}: ${sender.log}`);
    times.push(performance.now() - begun);
  }
  await reader.kill();
  return MESSAGE / ((times[1] ?? 0) - (times[0] ?? 0));
}

/** Milliseconds until a page that comes late has everything. */
async function page(party: string): Promise<number> {
  const own = await browser.newContext();
  const here = await open(own, site.url);
  here.setDefaultTimeout(PATIENCE);
  const limits = { keepPublications: 1_000_000, keepBytes: 256 * 1024 * 1024 };
  const took = await here.evaluate<number>(`(async () => {
    const weft = await mesh.connect(${JSON.stringify({ signalers: [signaler.url], store: "memory", limits })});
    const begun = performance.now();
    const party = await weft.join(${JSON.stringify(party)});
    const all = [];
    await new Promise((resolve) => {
      party.subscribe({}, { backlog: true }).on("data", ({ data }) => {
        all.push(data.n);
        if (all.length === ${DOCUMENTS}) resolve();
      });
    });
    const took = performance.now() - begun;
    if (all.some((n, at) => n !== at)) throw new Error("not in order");
    await weft.close();
    return took;
  })()`);
  await own.close();
  return took;
}

/** Bytes in a millisecond over a bare channel, in messages of 16 KiB. */
async function bare(): Promise<number> {
  const own = await browser.newContext();
  const here = await open(own, site.url);
  here.setDefaultTimeout(PATIENCE);
  await here.addScriptTag({ path: join(ROOT, "bench/channel-page.js") });
  const count = Math.ceil((DOCUMENTS * 256) / 16_384);
  const rate = await here.evaluate<number>(`bench.bareRate(${count}, 16384, 1)`);
  await own.close();
  return (rate * 16_384) / 1000;
}
