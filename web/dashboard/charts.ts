/** The counters, each with its last five minutes as a small picture. */

import { $, h, s, say } from "../demo/dom.js";
import type { Health } from "./api.js";
import { bytes, number, rate, span } from "./words.js";

/** How long the pictures go back, milliseconds: since the page was opened, within these. */
const [SHORTEST, LONGEST] = [30_000, 5 * 60_000];
/** Units of a picture; it is stretched to its card. */
const [WIDE, HIGH] = [300, 56];

interface Sample {
  readonly at: number;
  readonly values: readonly number[];
}

interface Chart {
  readonly name: string;
  readonly test: string;
  /** What the lines are, if there is more than one. */
  readonly lines: readonly string[];
  readonly show: (value: number) => string;
  /** It takes two looks to know. */
  readonly rate?: true;
  readonly of: (now: Health, before: Health | undefined, seconds: number) => readonly number[];
}

const refusals = (now: Health): number => Object.values(now.refused).reduce((sum, count) => sum + count, 0);
const perSecond = (now: number, before: number | undefined, seconds: number): number =>
  before === undefined || seconds <= 0 ? 0 : Math.max(0, now - before) / seconds;

const CHARTS: readonly Chart[] = [
  { name: "Peers", test: "peers", lines: [""], show: number, of: ({ peers }) => [peers] },
  {
    name: "Connections",
    test: "connections",
    lines: [""],
    show: number,
    of: ({ connections }) => [connections],
  },
  { name: "Entries", test: "entries", lines: [""], show: number, of: ({ entries }) => [entries] },
  {
    name: "Siblings up",
    test: "siblings",
    lines: [""],
    show: number,
    of: ({ siblings }) => [siblings.filter(({ up }) => up).length],
  },
  {
    name: "Frames per second",
    test: "frames",
    lines: ["in", "out"],
    show: rate,
    rate: true,
    of: (now, before, seconds) => [
      perSecond(now.received_frames, before?.received_frames, seconds),
      perSecond(now.sent_frames, before?.sent_frames, seconds),
    ],
  },
  {
    name: "Bytes per second",
    test: "bytes",
    lines: ["in", "out"],
    show: (value) => bytes(Math.round(value)),
    rate: true,
    of: (now, before, seconds) => [
      perSecond(now.received_bytes, before?.received_bytes, seconds),
      perSecond(now.sent_bytes, before?.sent_bytes, seconds),
    ],
  },
  {
    name: "Deliveries per second",
    test: "deliveries",
    lines: ["envelopes", "fan-outs"],
    show: rate,
    rate: true,
    of: (now, before, seconds) => [
      perSecond(now.delivered, before?.delivered, seconds),
      perSecond(now.fanned, before?.fanned, seconds),
    ],
  },
  {
    name: "Refusals per minute",
    test: "refusals",
    lines: [""],
    show: rate,
    rate: true,
    of: (now, before, seconds) => [60 * perSecond(refusals(now), before && refusals(before), seconds)],
  },
];

/** One counter's card. */
class Card {
  readonly element: HTMLElement;
  private readonly figures: HTMLElement[];
  private readonly range = h("p", { class: "range quiet" });
  private readonly paths: SVGPathElement[];
  private readonly fill = s("path", { class: "fill" });
  private readonly picture: SVGSVGElement;
  private samples: Sample[] = [];

  constructor(private readonly chart: Chart) {
    this.figures = chart.lines.map((_, n) =>
      h("span", { class: `figure line-${n}`, "data-testid": `now-${chart.test}` }),
    );
    this.paths = chart.lines.map((_, n) => s("path", { class: `line line-${n}` }));
    this.picture = s(
      "svg",
      {
        viewBox: `0 0 ${WIDE} ${HIGH}`,
        preserveAspectRatio: "none",
        role: "img",
        "data-testid": `chart-${chart.test}`,
      },
      this.fill,
      ...this.paths,
    );
    const shown = chart.lines.flatMap((line, n) => [
      h(
        "span",
        { class: "now" },
        this.figures[n],
        line === "" ? undefined : h("span", { class: `quiet series line-${n}` }, line),
      ),
    ]);
    this.element = h(
      "section",
      { class: "card chart", "aria-label": chart.name },
      h("h3", {}, chart.name),
      h("p", { class: "figures" }, ...shown),
      this.picture,
      this.range,
    );
  }

  add(at: number, values: readonly number[]): void {
    this.samples.push({ at, values });
    // One that is older than the window stays: the line begins at the edge.
    while ((this.samples[1]?.at ?? at) < at - LONGEST) this.samples.shift();
    for (const [n, figure] of this.figures.entries()) say(figure, this.chart.show(values[n] ?? 0));
    this.draw(at);
  }

  private draw(now: number): void {
    const { show, lines, name } = this.chart;
    const all = this.samples.flatMap(({ values }) => values);
    const [least, most] = [Math.min(...all), Math.max(...all)];
    // From zero, so that heights compare; a line along the bottom if there is nothing.
    const y = (value: number): number => HIGH - 3 - (most === 0 ? 0 : (value / most) * (HIGH - 8));
    const age = now - (this.samples[0]?.at ?? now);
    const window = Math.min(Math.max(age, SHORTEST), LONGEST);
    const x = (at: number): number => Math.max(0, WIDE * (1 - (now - at) / window));
    for (const [n, path] of this.paths.entries()) {
      const points = this.samples.map(
        ({ at, values }) => `${x(at).toFixed(1)} ${y(values[n] ?? 0).toFixed(1)}`,
      );
      path.setAttribute("d", `M${points.join("L")}`);
      if (n === 0)
        this.fill.setAttribute(
          "d",
          `M${x(this.samples[0]?.at ?? now)} ${HIGH}L${points.join("L")}L${WIDE} ${HIGH}Z`,
        );
    }
    const since = span(age);
    const between = least === most ? `${show(most)} all the time` : `${show(least)} to ${show(most)}`;
    say(this.range, `${between} · ${since}`);
    const current = this.samples.at(-1)?.values ?? [];
    const spoken = lines.map((line, n) => `${line} ${show(current[n] ?? 0)}`.trim()).join(", ");
    this.picture.setAttribute("aria-label", `${name}: now ${spoken}; ${between} in the last ${since}`);
  }
}

export class Charts {
  private readonly cards = CHARTS.map((chart) => new Card(chart));
  private before: { readonly health: Health; readonly at: number } | undefined;

  constructor() {
    $("charts").prepend(...this.cards.map(({ element }) => element));
  }

  /** Takes an answer of `/healthz` that came at this time (of `performance.now()`). */
  add(health: Health, at: number): void {
    // A signaler that was started again counts from zero.
    const same = this.before !== undefined && this.before.health.uptime_s <= health.uptime_s;
    const before = same ? this.before : undefined;
    const seconds = before === undefined ? 0 : (at - before.at) / 1000;
    for (const [n, chart] of CHARTS.entries())
      if (before !== undefined || chart.rate === undefined)
        this.cards[n]?.add(at, chart.of(health, before?.health, seconds));
    this.before = { health, at };
    drawReasons(health);
    drawSizes(health);
  }
}

/** Why something was refused, the most frequent first. */
function drawReasons({ refused }: Health): void {
  const reasons = Object.entries(refused).sort(([, a], [, b]) => b - a);
  $("reasons").replaceChildren(
    ...(reasons.length === 0
      ? [h("li", { class: "quiet" }, "Nothing has been refused.")]
      : reasons.map(([code, count]) => bar(code, count, reasons[0]?.[1] ?? count))),
  );
}

/** Swarms by their size: classes, and no names. */
function drawSizes({ swarm_sizes, swarms }: Health): void {
  const most = Math.max(1, ...swarm_sizes);
  say($("swarms"), `${number(swarms)} in all`);
  $("sizes").replaceChildren(
    ...(swarm_sizes.length === 0
      ? [h("li", { class: "quiet" }, "Nobody is in a swarm.")]
      : swarm_sizes.map((count, n) => bar(sizes(n), count, most))),
  );
}

const sizes = (n: number): string => {
  if (n === 0) return "1 member";
  return n === 15 ? `${number(2 ** n)} and more` : `${number(2 ** n)}–${number(2 ** (n + 1) - 1)}`;
};

function bar(name: string, count: number, most: number): HTMLElement {
  return h(
    "li",
    {},
    h("span", { class: "name" }, name),
    h("progress", { max: most, value: count, "aria-hidden": "true" }),
    h("span", { class: "amount" }, number(count)),
  );
}
