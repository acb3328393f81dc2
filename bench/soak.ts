/**
 * `cargo xtask bench soak [--minutes N]`: a `weft seed` and two signalers that run for long while readers come and go.
 *
 * The seed serves a file of 1,000 documents that gains one every half minute. Every two seconds, or as soon as the one before has
 * gone, a reader comes to either signaler, in turns, and asks for everything there is; every third is killed on the way. Every five minutes one of the signalers is
 * killed and started again. Whoever stays must get every document that was there when it came, in order, once. Resident
 * memory is looked at every ten seconds; when it is over, its median in the last quarter is held against the second.
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { directory, Signaler } from "../tests/federation/signaler.ts";
import { Weft } from "../tests/federation/weft.ts";
import { Afterwards, quantile } from "./browser-lab.ts";

const asked = process.argv.indexOf("--minutes");
const MINUTES = asked < 0 ? 60 : Number(process.argv[asked + 1]);
if (!(MINUTES > 0)) throw new Error("--minutes takes a number above 0");
const FIRST = 1_000;
/** Milliseconds between documents, readers, looks at memory, deaths of a signaler; the same of lines of progress. */
const [DOCUMENT, READER, LOOK, DEATH, PROGRESS] = [30_000, 2_000, 10_000, 300_000, 60_000];
/** Longest that a reader may take, milliseconds. */
const PATIENCE = 60_000;
/** Memory in the last quarter, of that in the second. */
const BAR = 1.1;
const PARTY = "soak";
/** What a signaler says of every frame is not wanted for hours. */
const QUIET = { RUST_LOG: "warn" };

const context = new Afterwards();
let over = false;
try {
  const signalers = [await Signaler.start(context.test, { args: ["--open"], env: QUIET })];
  const first = signalers[0] as Signaler;
  signalers.push(await Signaler.start(context.test, { args: ["--sibling", first.url], env: QUIET }));
  await first.siblings(1);
  const file = join(directory(context.test), "documents.jsonl");
  let documents = 0;
  const more = () => `${JSON.stringify({ n: documents++, text: "x".repeat(240) })}\n`;
  writeFileSync(file, Array.from({ length: FIRST }, more).join(""));
  const urls = signalers.map((signaler) => signaler.url);
  const seed = Weft.start(context.test, "seed", [file], { signalers: urls, party: PARTY });
  await seed.said(`serving ${FIRST} documents`, PATIENCE);

  const memory: Record<string, number[]> = { "weft seed": [], "signaler 1": [], "signaler 2": [] };
  const look = () => {
    memory["weft seed"]?.push(resident(seed.process.pid));
    for (const [at, { process }] of signalers.entries()) {
      if (process.signalCode === null) memory[`signaler ${at + 1}`]?.push(resident(process.pid));
    }
  };
  const took: number[] = [];
  let [came, killed, deaths] = [0, 0, 0];
  const began = performance.now();
  const every = (pause: number, act: () => void) =>
    context.after(clearInterval.bind(null, setInterval(act, pause)));
  every(DOCUMENT, () => appendFileSync(file, more()));
  every(LOOK, look);
  every(PROGRESS, () => {
    const [now] = (memory["weft seed"] ?? []).slice(-1);
    const minutes = Math.round((performance.now() - began) / 60_000);
    console.log(
      `${minutes} of ${MINUTES} min: ${took.length} readers got all, ${killed} killed, ${deaths} signalers killed; ${megabytes(now)} MB`,
    );
  });
  const dying = (async () => {
    for (let next = began + DEATH; next < began + MINUTES * 60_000; next += DEATH) {
      await pause(next - performance.now());
      if (over) return;
      const at = deaths % signalers.length;
      const old = signalers[at] as Signaler;
      await old.kill();
      const args = at === 0 ? ["--open"] : ["--sibling", urls[0] as string];
      signalers[at] = await Signaler.start(context.test, { args, dir: old.dir, port: old.port, env: QUIET });
      deaths += 1;
    }
  })();
  while (performance.now() - began < MINUTES * 60_000) {
    await pause(began + READER * came - performance.now());
    const there = documents - 1;
    // It names both, and prefers one or the other.
    const preferred = came % 2 === 0 ? urls : urls.toReversed();
    const since = performance.now();
    const options = { signalers: preferred, party: PARTY };
    const reader = Weft.start(context.test, "subscribe", ["--backlog", "--count", `${there}`], options);
    came += 1;
    if (came % 3 === 0) {
      await pause(Math.random() * 1_000);
      await reader.kill();
      killed += 1;
      continue;
    }
    const late = setTimeout(() => reader.process.kill("SIGKILL"), PATIENCE);
    const { code } = await reader.ended;
    clearTimeout(late);
    const wrong = reader.lines.findIndex(({ json }, at) => json.data.n !== at);
    if (code !== 0 || reader.lines.length !== there || wrong >= 0)
      throw new Error(
        `reader ${came} got ${reader.lines.length} of ${there}, wrong from ${wrong}, ended with ${code}: ${reader.log}`,
      );
    took.push(performance.now() - since);
  }
  over = true;
  await dying;
  const [median, most] = [0.5, 1].map((share) => Math.round(quantile(took, share)));
  console.log(
    `\n${MINUTES} minutes: ${took.length} readers got everything, in ${median} ms (median), ${most} ms at most; ${killed} were killed`,
  );
  console.log(`${documents} documents in the end; ${deaths} times a signaler was killed\n`);
  console.log("| memory, MB | second quarter | last quarter | ratio |\n|---|---|---|---|");
  for (const [name, values] of Object.entries(memory)) {
    const quarter = (n: number) =>
      quantile(values.slice((values.length * n) / 4, (values.length * (n + 1)) / 4), 0.5);
    const ratio = quarter(3) / quarter(1);
    console.log(`| ${name} | ${megabytes(quarter(1))} | ${megabytes(quarter(3))} | ${ratio.toFixed(2)} |`);
    if (ratio > BAR) process.exitCode = 1;
  }
  console.log(`\nbar: at most ${BAR}: ${process.exitCode === 1 ? "MISSED" : "reached"}`);
} finally {
  over = true;
  await context.run();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)));
}

/** Resident memory of a process, bytes, without what is mapped from files: those pages come as they are needed first. */
function resident(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1]);
}

function megabytes(bytes = 0): string {
  return (bytes / 1e6).toFixed(1);
}
