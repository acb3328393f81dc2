/**
 * `cargo xtask bench channel [--quick]`: what documents over Weft cost in Chromium beside a bare RTCDataChannel, both ends in
 * one page: signed, sealed by DTLS, verified, matched and delivered, against bytes that are only sent and counted.
 *
 * Rounds are interleaved, each in a new page; the table has the median of the rounds' ratios. Publisher and receivers share one
 * thread, so all that both sides do counts.
 */
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { launch, open, quantile, quiet, ROOT } from "./browser-lab.ts";

const PAGE = join(ROOT, "bench/channel-page.js");
const quick = process.argv.includes("--quick");
const ROUNDS = quick ? 1 : 7;

/** What is measured: name, bar, and both ways to do it as expressions in the page. `trips`: less is better. */
interface Case {
  readonly name: string;
  readonly unit: string;
  readonly bar: string;
  readonly met: (ratio: number) => boolean;
  readonly bare: string;
  readonly weft: (signaler: string) => string;
}

const CASES: readonly Case[] = [
  rate("documents of 256 B, one receiver", 20_000, 256, 1, 0.8),
  rate("documents of 64 KiB, one receiver", 400, 65_536, 1, 0.9),
  rate("documents of 256 B to 5 receivers", 4_000, 256, 5, 0.8),
  {
    name: "256 B there and back, median",
    unit: "ms",
    bar: "<= 1.3",
    met: (ratio) => ratio <= 1.3,
    bare: "bench.bareTrips(300, 256).then((all) => all.sort((a, b) => a - b)[150])",
    weft: (url) => `bench.weftTrips("${url}", 300, 256).then((all) => all.sort((a, b) => a - b)[150])`,
  },
];

function rate(name: string, count: number, bytes: number, receivers: number, bar: number): Case {
  return {
    name,
    unit: "delivered/s",
    bar: `>= ${bar}`,
    met: (ratio) => ratio >= bar,
    bare: `bench.bareRate(${count}, ${bytes}, ${receivers})`,
    weft: (url) => `bench.weftRate("${url}", ${count}, ${bytes}, ${receivers})`,
  };
}

const { signaler, site, browser, close } = await launch();
try {
  console.log(
    `${ROUNDS} rounds, medians\n\n| | bare | Weft | Weft / bare | range | bar |\n|---|---|---|---|---|---|`,
  );
  let missed = false;
  for (const one of CASES) {
    const [bare, weft, ratios]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push(await measure(browser, site.url, one.bare));
      weft.push(await measure(browser, site.url, one.weft(signaler.url)));
      ratios.push((weft.at(-1) ?? 0) / (bare.at(-1) ?? 1));
    }
    const [least, ratio, most] = [0, 0.5, 1].map((share) => quantile(ratios, share)) as [
      number,
      number,
      number,
    ];
    const shown = (figures: number[]) => {
      const median = quantile(figures, 0.5);
      return one.unit === "ms" ? `${median.toFixed(2)} ms` : `${Math.round(median)} ${one.unit}`;
    };
    const range = `${least.toFixed(2)} to ${most.toFixed(2)}`;
    console.log(
      `| ${one.name} | ${shown(bare)} | ${shown(weft)} | ${ratio.toFixed(2)} | ${range} | ${one.bar}: ${one.met(ratio) ? "reached" : "MISSED"} |`,
    );
    missed ||= !one.met(ratio);
  }
  if (missed && !quick) process.exitCode = 1;
} finally {
  await close();
}

/** One figure, in a page of its own, on a machine at rest. */
async function measure(browser: Browser, url: string, expression: string): Promise<number> {
  const context = await browser.newContext();
  try {
    const page = await open(context, url);
    page.setDefaultTimeout(120_000);
    await page.addScriptTag({ path: PAGE });
    if (!quick) await quiet();
    return (await page.evaluate(expression)) as number;
  } finally {
    await context.close();
  }
}
