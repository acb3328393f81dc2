/** The counters, each with its last five minutes as a small picture. */

import { $, h, s, say } from "../demo/dom.js";
import type { Health } from "./api.js";
import { bytes, count, number, rate, span } from "./words.js";

/** How long the pictures go back, milliseconds: since the page was opened, within these. */
const [SHORTEST, LONGEST] = [30_000, 5 * 60_000];
/** Seconds between two looks that tell a rate; a change makes the page look at once, and a moment tells little. */
const SOON = 1;
/** Units of a picture; it is stretched to its card. */
const [WIDE, HIGH] = [300, 56];

interface Sample {
  readonly at: number;
  readonly values: readonly number[];
}

/** How the signaler is, and how many others there are around it. */
export interface Look extends Health {
  readonly signalers: { readonly linked: number; readonly of: number };
}

interface Chart {
  readonly name: string;
  readonly test: string;
  /** What is counted, for people. */
  readonly about: string;
  /** What the lines are, if there is more than one. */
  readonly lines: readonly string[];
  readonly show: (value: number) => string;
  /** Out of how many. */
  readonly total?: (now: Look) => number;
  /** It takes two looks to know. */
  readonly rate?: true;
  readonly of: (now: Look, before: Look | undefined, seconds: number) => readonly number[];
}

/** A signaler that is not approved yet calls again and again: nothing is wrong. */
const ORDINARY = "not-admitted";
const refusals = (now: Health): number =>
  Object.entries(now.refused).reduce((sum, [code, count]) => sum + (code === ORDINARY ? 0 : count), 0);
const perSecond = (now: number, before: number | undefined, seconds: number): number =>
  before === undefined || seconds <= 0 ? 0 : Math.max(0, now - before) / seconds;

const CHARTS: readonly Chart[] = [
  {
    name: "Peers",
    test: "peers",
    about: "tabs and programs connected here",
    lines: [""],
    show: number,
    of: ({ peers }) => [peers],
  },
  {
    name: "Connections",
    test: "connections",
    about: "of peers, signalers and newcomers",
    lines: [""],
    show: number,
    of: ({ connections }) => [connections],
  },
  {
    name: "Places in swarms",
    test: "entries",
    about: "each peer in each swarm, here or elsewhere",
    lines: [""],
    show: number,
    of: ({ entries }) => [entries],
  },
  {
    name: "Signalers linked",
    test: "siblings",
    about: "with this one, of all it knows",
    lines: [""],
    show: number,
    total: ({ signalers }) => signalers.of,
    of: ({ signalers }) => [signalers.linked],
  },
  {
    name: "Frames per second",
    test: "frames",
    about: "of peers and signalers",
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
    about: "in these frames",
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
    about: "sealed messages, to peers here",
    lines: ["for one", "for a swarm"],
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
    about: "signalers that wait not counted",
    lines: [""],
    show: rate,
    rate: true,
    of: (now, before, seconds) => [60 * perSecond(refusals(now), before && refusals(before), seconds)],
  },
];

/** What was refused, for people; codes of a later signaler stand for themselves. */
const REASONS: Readonly<Record<string, string>> = {
  "bad-frame": "frames that make no sense",
  "too-large": "too large",
  "not-authenticated": "before saying who they are",
  "bad-signature": "signatures that are wrong",
  "wrong-party": "signed for somebody else",
  replayed: "said once before",
  expired: "too old, or from the future",
  "unknown-peer": "for a peer that is not there",
  "recipient-busy": "for a peer that reads too slowly",
  "swarm-full": "the swarm is full",
  "too-many-swarms": "in too many swarms",
  "rate-limited": "too much at once",
  "sibling-unreachable": "for a signaler out of reach",
  "too-many-hops": "passed on too often",
  "shutting-down": "while it was stopping",
  [ORDINARY]: "signalers that wait for approval",
  replaced: "the same key came again",
  "timed-out": "silent for too long",
  "signaler-full": "the signaler is full",
  "unsupported-version": "of another version",
  "not-a-member": "to a swarm they are not in",
};

/** One counter's card. */
class Card {
  readonly element: HTMLElement;
  private readonly figures: HTMLElement[];
  private readonly range = h("p", { class: "range quiet" });
  private readonly total = h("span", { class: "quiet series-total", "data-testid": "total" });
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
        chart.total === undefined ? undefined : this.total,
        line === "" ? undefined : h("span", { class: `quiet series line-${n}` }, line),
      ),
    ]);
    this.element = h(
      "section",
      { class: "card chart", "aria-label": chart.name },
      h("h3", {}, chart.name),
      h("p", { class: "about quiet" }, chart.about),
      h("p", { class: "figures" }, ...shown),
      this.picture,
      this.range,
    );
  }

  /** Nothing is known from now on until the next look. */
  pause(at: number): void {
    if (this.samples.length > 0) this.samples.push({ at, values: [] });
  }

  add(at: number, values: readonly number[], total: number | undefined): void {
    if (total !== undefined) say(this.total, total === 0 ? "" : ` of ${number(total)}`);
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
    const runs = this.runs();
    const point = ({ at, values }: Sample, n: number): string =>
      `${x(at).toFixed(1)} ${y(values[n] ?? 0).toFixed(1)}`;
    for (const [n, path] of this.paths.entries())
      path.setAttribute("d", runs.map((run) => `M${run.map((one) => point(one, n)).join("L")}`).join(""));
    const filled = runs.map((run) => {
      const [first, last] = [x(run[0]?.at ?? now), x(run.at(-1)?.at ?? now)];
      return `M${first} ${HIGH}L${run.map((one) => point(one, 0)).join("L")}L${last} ${HIGH}Z`;
    });
    this.fill.setAttribute("d", filled.join(""));
    const since = span(age);
    const within = `in the last ${since}`;
    const between = least === most ? `always ${show(most)}` : `${show(least)} to ${show(most)}`;
    // Of one look there is nothing to tell yet.
    say(this.range, age === 0 ? "" : least === most ? `unchanged for ${since}` : `${between} ${within}`);
    const current = this.samples.at(-1)?.values ?? [];
    const spoken = lines.map((line, n) => `${line} ${show(current[n] ?? 0)}`.trim()).join(", ");
    this.picture.setAttribute("aria-label", `${name}: now ${spoken}; ${between} ${within}`);
  }

  /** The samples between pauses. */
  private runs(): Sample[][] {
    const runs: Sample[][] = [[]];
    for (const sample of this.samples)
      if (sample.values.length === 0) runs.push([]);
      else runs.at(-1)?.push(sample);
    return runs.filter((run) => run.length > 0);
  }
}

export class Charts {
  private readonly cards = CHARTS.map((chart) => new Card(chart));
  private before: { readonly health: Look; readonly at: number } | undefined;

  constructor() {
    $("charts").prepend(...this.cards.map(({ element }) => element));
  }

  /** Takes an answer of `/healthz` that came at this time (of `performance.now()`). */
  add(health: Look, at: number): void {
    // A signaler that was started again counts from zero.
    const same = this.before !== undefined && this.before.health.uptime_s <= health.uptime_s;
    const before = same ? this.before : undefined;
    const seconds = before === undefined ? 0 : (at - before.at) / 1000;
    const early = before !== undefined && seconds < SOON;
    for (const [n, chart] of CHARTS.entries())
      if (chart.rate === undefined || (before !== undefined && !early))
        this.cards[n]?.add(at, chart.of(health, before?.health, seconds), chart.total?.(health));
    if (!early) this.before = { health, at };
    drawReasons(health);
    drawSizes(health);
  }

  /** It does not answer: lines end here, and begin anew when it does. */
  pause(): void {
    this.before = undefined;
    for (const card of this.cards) card.pause(performance.now());
  }
}

/** Why something was refused, the most frequent first, and at the end what is nothing to worry about. */
function drawReasons({ refused }: Health): void {
  const calm = ([code]: readonly [string, number]): number => Number(code === ORDINARY);
  const reasons = Object.entries(refused).sort((a, b) => calm(a) - calm(b) || b[1] - a[1]);
  const most = Math.max(0, ...reasons.map(([, count]) => count));
  $("reasons").replaceChildren(
    ...(reasons.length === 0
      ? [h("li", { class: "quiet" }, "Nothing has been refused.")]
      : reasons.map(([code, count]) => {
          const row = bar(REASONS[code] ?? code, count, most);
          row.classList.toggle("ordinary", code === ORDINARY);
          row.title = code;
          return row;
        })),
  );
}

/** Swarms by their size: classes, and no names. */
function drawSizes({ swarm_sizes, swarms }: Health): void {
  const most = Math.max(1, ...swarm_sizes);
  say($("swarms"), swarms === 0 ? "" : count(swarms, "swarm"));
  $("sizes").replaceChildren(
    ...(swarm_sizes.length === 0
      ? [h("li", { class: "quiet" }, "Nobody is in a swarm.")]
      : swarm_sizes.map((amount, n) => bar(sizes(n), amount, most))),
  );
}

const sizes = (n: number): string => {
  if (n === 0) return "1 member";
  return n === 15 ? `${number(2 ** n)} and more` : `${number(2 ** n)}–${number(2 ** (n + 1) - 1)}`;
};

function bar(name: string, amount: number, most: number): HTMLElement {
  return h(
    "li",
    {},
    h("span", { class: "name" }, name),
    h("progress", { max: most, value: amount, "aria-hidden": "true" }),
    h("span", { class: "amount" }, number(amount)),
  );
}
