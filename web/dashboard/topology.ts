/**
 * The picture of the federation: this signaler in the middle, other signalers around it, and on a shelf below whoever else is
 * registered. A line is a link of this signaler, or one that it lost; of links between others it knows nothing.
 */

import { $, h, s, say, show } from "../demo/dom.js";
import { type Around, type Body, STATES, summary, waits } from "./federation.js";
import { bead, HEALTHS, healthOf, icon, MEANINGS, type Standing, shape } from "./marks.js";
import { count, more } from "./words.js";

/** So many are in the list below the picture at first, and so many more each time one asks. */
const [LISTED, MORE] = [12, 60];
/** Beyond so many signalers no names are written, and marks are small. */
const NAMED = 12;
/** Pixels left free at the sides, for names, and above and below. */
const [SIDE, EDGE] = [62, 40];
/** Half the width of a ring at most, and of one of two. */
const [RING, PAIR] = [330, 200];
/** Pixels of the shelf: how high it is, and from one mark on it to the next, with names and without. */
const [SHELF, ROOMY, CLOSE] = [58, 104, 26];
/** Pixels between the middles of two signalers at least. */
const APART = 15;
/** Pixels that a signaler's name may take, and another's; letters where there are no pixels to count. */
const [LONGEST, LONG, LETTERS] = [140, ROOMY - 8, 16];

const NOBODY: Around = { bodies: [], waiting: [] };

export class Topology {
  private readonly svg = $<SVGSVGElement>("topology");
  private around = NOBODY;
  private drawn = "";
  private listed = LISTED;

  /** `seek` shows who waits. */
  constructor(private readonly seek: () => void) {
    new ResizeObserver(() => this.draw()).observe(this.svg);
    $("around-more").addEventListener("click", () => {
      this.listed += MORE;
      this.list();
    });
  }

  /** `asOf`: the signaler does not answer, and this is how things were then. */
  set(around: Around, asOf?: string): void {
    const drawn = JSON.stringify([around, asOf]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.around = around;
    const words = summary(around) + (asOf === undefined ? "" : `, as of ${asOf}`);
    say($("topology-size"), words);
    say($("topology-words"), `Around this signaler: ${words}. The list below has each of them.`);
    this.list();
    this.legend();
    this.draw();
  }

  /** The same in words, for those who do not see the picture, and with what has no place in it. */
  private list(): void {
    const { bodies, waiting } = this.around;
    const rows = bodies.slice(0, this.listed).map(row);
    // Who waits comes after the signalers, and before what may be many.
    const others = rows.findIndex(({ dataset }) => dataset["kind"] === "registrant");
    if (waiting.length > 0) rows.splice(others < 0 ? rows.length : others, 0, this.queue(waiting));
    $("around").replaceChildren(...rows);
    const left = bodies.length - Math.min(this.listed, bodies.length);
    say($("around-more"), more(left, MORE));
    show($("around-more"), left > 0);
    show($("around"), rows.length > 0);
    show($("alone"), rows.length === 0);
  }

  /** All who wait, in one row. */
  private queue(waiting: readonly string[]): HTMLElement {
    const see = h("button", { type: "button", class: "small", "data-testid": "see-waiting" }, "Show");
    see.addEventListener("click", this.seek);
    return h(
      "li",
      { class: "body waiting", "data-testid": "waiting" },
      icon(shape("registrant", "waiting", 6)),
      h(
        "span",
        { class: "who" },
        h("b", {}, queued(waiting.length)),
        h("span", { class: "quiet facts" }, `for a decision: ${names(waiting)}`),
      ),
      see,
    );
  }

  /** What is in the picture, and nothing else. */
  private legend(): void {
    const { bodies, waiting } = this.around;
    const entries = new Map<string, HTMLElement>();
    const add = (name: string, mark: SVGElement, words: string): void => {
      if (!entries.has(name)) entries.set(name, h("li", {}, icon(mark), words));
    };
    add("self", s("circle", { class: "own", r: 5.5 }), "this one");
    for (const { kind, state } of bodies)
      add(
        `${kind} ${state}`,
        shape(kind, state, 6),
        kind === "signaler" ? MEANINGS[state] : `registrant, ${MEANINGS[state]}`,
      );
    if (waiting.length > 0) add("waiting", shape("registrant", "waiting", 6), MEANINGS.waiting);
    for (const { services } of bodies)
      for (const { healthy } of services)
        add(healthOf(healthy), bead(healthOf(healthy)), HEALTHS[healthOf(healthy)]);
    $("legend").replaceChildren(...entries.values());
    show($("legend"), entries.size > 1);
    show($("links-known"), bodies.filter(({ kind }) => kind === "signaler").length > 1);
  }

  private draw(): void {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const { bodies, waiting } = this.around;
    const signalers = bodies.filter(({ kind }) => kind === "signaler");
    const others = bodies.filter(({ kind }) => kind === "registrant");
    const shelf = others.length > 0 || waiting.length > 0 ? SHELF : 0;
    const [cx, cy] = [width / 2, (height - shelf) / 2];
    const labels = new Labels(width);
    labels.take({ left: cx - 26, right: cx + 26, top: cy - 26, bottom: cy + 26 });
    const ring = ringed(signalers, cx, cy, cx - SIDE, cy - EDGE);
    const shelved = shelf === 0 ? [] : onShelf(others, waiting.length, width, height - SHELF);
    const spots = [...ring.spots, ...shelved];
    for (const { x, y, size } of spots)
      labels.take({ left: x - size, right: x + size, top: y - size, bottom: y + size });
    const lines = ring.spots
      .filter(({ state }) => state === "up" || state === "gone")
      .map(({ state, x, y }) => s("line", { class: state, x1: cx, y1: cy, x2: x, y2: y }));
    this.svg.replaceChildren(
      s("g", { class: "links" }, ...lines),
      ...(shelf === 0
        ? []
        : [s("line", { class: "shelf", x1: 0, y1: height - SHELF, x2: width, y2: height - SHELF })]),
      s("g", {}, ...named(ring.spots, labels), ...named(shelved, labels)),
      ...(ring.left === 0
        ? []
        : [s("text", { class: "label", x: cx, y: height - shelf - 12 }, `and ${count(ring.left, "other")}`)]),
      s(
        "g",
        { class: "self", transform: `translate(${cx} ${cy})`, "data-testid": "self" },
        s("circle", { r: 24 }),
        s("use", { href: "#weave", x: -12, y: -12, width: 24, height: 24 }),
      ),
    );
  }
}

/** Somebody's place in the picture, in pixels. */
interface Spot {
  readonly kind: Body["kind"];
  readonly state: Standing;
  readonly x: number;
  readonly y: number;
  readonly size: number;
  /** Empty for none. */
  readonly name: string;
  /** Whether the name is above. */
  readonly above: boolean;
  /** Whether the name stands at its right. */
  readonly beside?: true;
  readonly services: Body["services"];
  readonly title: string;
}

/** Signalers on an ellipse, as far from each other as it gives; those that have no room are counted. */
function ringed(
  all: readonly Body[],
  cx: number,
  cy: number,
  most: number,
  ry: number,
): { readonly spots: Spot[]; readonly left: number } {
  // One or two stand beside the middle, where there is more room than above and below.
  const few = all.length <= 2;
  const rx = Math.min(most, few ? PAIR : RING);
  const [angles, around] = ellipse(rx, ry);
  const places = Math.max(1, Math.floor(around / APART));
  const shown = all.slice(0, places);
  const size = all.length <= NAMED ? 16 : Math.min(12, (0.34 * around) / shown.length);
  const spots = shown.map((body, n): Spot => {
    const angle = angles(few ? 0.75 - n / 2 : n / shown.length);
    return {
      kind: body.kind,
      state: body.state,
      x: cx + rx * Math.cos(angle),
      y: cy + ry * Math.sin(angle),
      size,
      name: all.length <= NAMED ? body.name : "",
      above: Math.sin(angle) < -0.2,
      services: body.services,
      title: `${body.name}: ${STATES[body.state]}`,
    };
  });
  return { spots, left: all.length - shown.length };
}

/** Angles of an ellipse by the share of the way around it, from the top on, and how long the way is. */
function ellipse(rx: number, ry: number): readonly [(share: number) => number, number] {
  const steps = 360;
  const ways = [0];
  const at = (n: number): number => (n / steps) * 2 * Math.PI - Math.PI / 2;
  for (let n = 1; n <= steps; n += 1)
    ways.push(
      (ways[n - 1] ?? 0) +
        Math.hypot(
          rx * (Math.cos(at(n)) - Math.cos(at(n - 1))),
          ry * (Math.sin(at(n)) - Math.sin(at(n - 1))),
        ),
    );
  const all = ways[steps] ?? 0;
  const angle = (share: number): number => {
    const next = ways.findIndex((way) => way > share * all);
    if (next < 1) return at(0);
    const [before, after] = [ways[next - 1] ?? 0, ways[next] ?? all];
    return at(next - 1 + (share * all - before) / (after - before));
  };
  return [angle, all];
}

/** Registrants in a row, who waits at its end as one; what has no room is a number. */
function onShelf(others: readonly Body[], waiting: number, width: number, top: number): Spot[] {
  const words = queued(waiting);
  const queue = waiting === 0 ? 0 : 34 + long(words);
  const room = Math.max(0, width - 32 - queue - (queue > 0 && others.length > 0 ? 28 : 0));
  const named = others.length * ROOMY <= room;
  const pitch = named ? ROOMY : CLOSE;
  const fitting = Math.floor(room / pitch);
  // The number needs a place of its own.
  const shown = others.length <= fitting ? others : others.slice(0, Math.max(0, fitting - 2));
  const rest = others.length - shown.length;
  const taken = shown.length * pitch + (rest > 0 ? 2 * pitch : 0);
  const gap = queue > 0 && taken > 0 ? 28 : 0;
  let x = (width - taken - gap - queue) / 2 + pitch / 2;
  const y = top + (named ? 19 : SHELF / 2);
  const spots = shown.map((body): Spot => {
    const { kind, state, services } = body;
    const title = `${body.name}: ${STATES[state]}`;
    const spot = { kind, state, services, title, x, y, size: 8, above: false };
    x += pitch;
    return { ...spot, name: named ? body.name : "" };
  });
  const folded = { kind: "registrant", above: false, beside: true, services: [] } as const;
  if (rest > 0) {
    const title = count(rest, "other registrant");
    spots.push({ ...folded, state: "active", x: x - pitch / 2, y, size: 0, name: `+${rest}`, title });
  }
  if (waiting > 0) {
    const from = (width + taken + gap - queue) / 2 + 12;
    spots.push({
      ...folded,
      state: "waiting",
      x: from,
      y: top + SHELF / 2,
      size: 8,
      name: words,
      title: waits(waiting),
    });
  }
  return spots;
}

/** A rectangle, in pixels. */
interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Where there is room for a name: none is written over another one, over a mark, or out of the picture. */
class Labels {
  private readonly taken: Box[] = [];

  constructor(private readonly width: number) {}

  take(box: Box): void {
    this.taken.push(box);
  }

  /** Takes the place if it is free. */
  fits(box: Box): boolean {
    const { left, right, top, bottom } = box;
    if (left < 2 || right > this.width - 2) return false;
    if (
      this.taken.some((one) => left < one.right && right > one.left && top < one.bottom && bottom > one.top)
    )
      return false;
    this.take(box);
    return true;
  }
}

/** With their names, unless most of them have no room. */
function named(spots: readonly Spot[], labels: Labels): SVGElement[] {
  const names = spots.map((spot) => label(spot, labels));
  const placed = names.filter((name, n) => name !== undefined && spots[n]?.beside !== true).length;
  const enough = 2 * placed >= spots.filter(({ beside }) => beside !== true).length;
  return spots.map((spot, n) => drawn(spot, enough || spot.beside === true ? names[n] : undefined));
}

function drawn(spot: Spot, name: SVGElement | undefined): SVGGElement {
  const { kind, state, x, y, size, above, services } = spot;
  // Its services sit on its rim, where its name is not; small ones have none.
  const rim = size + (kind === "signaler" ? 0 : 2);
  const beads = (size < 7 ? [] : services.slice(0, 8)).map(({ healthy }, n, all) => {
    const angle = (n - (all.length - 1) / 2) * 0.62 + (above ? Math.PI / 2 : -Math.PI / 2);
    return bead(healthOf(healthy), rim * Math.cos(angle), rim * Math.sin(angle));
  });
  return s(
    "g",
    {
      class: `spot ${state}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      "data-testid": "spot",
      "data-kind": kind,
      "data-state": state,
    },
    size === 0 ? undefined : shape(kind, state, size),
    ...beads,
    name,
    s("title", {}, spot.title),
  );
}

/** Its name, if there is room. */
function label({ x, y, size, above, beside, ...spot }: Spot, labels: Labels): SVGElement | undefined {
  const name = beside === true ? spot.name : fit(spot.name, spot.kind === "signaler" ? LONGEST : LONG);
  if (name === "") return undefined;
  if (beside === true) return s("text", { class: "label beside", x: size + 8, y: 4.5 }, name);
  const [half, base] = [long(name) / 2, above ? -size - 8 : size + 17];
  const box = { left: x - half, right: x + half, top: y + base - 10, bottom: y + base + 3 };
  return labels.fits(box) ? s("text", { class: "label", y: base }, name) : undefined;
}

/** One of them in the list. */
function row(body: Body): HTMLElement {
  const services = body.services.map(
    ({ name, healthy }) =>
      `${name} ${healthy === undefined ? "not probed" : healthy ? "healthy" : "not reachable"}`,
  );
  const facts = [...body.known, ...services].join(" · ");
  return h(
    "li",
    {
      class: `body ${body.state}`,
      "data-testid": "around",
      "data-state": body.state,
      "data-kind": body.kind,
    },
    icon(shape(body.kind, body.state, 6)),
    h(
      "span",
      { class: "who" },
      h("b", { title: body.name }, body.name),
      h("span", { class: "quiet facts", title: facts }, facts),
    ),
    h("span", { class: "state" }, STATES[body.state]),
  );
}

/** `1 waits`, `50 wait`, where the legend says for what. */
const queued = (amount: number): string => count(amount, "waits", "wait");

/** A pen to measure with: names are as long as their letters are wide. */
const pen = document.createElement("canvas").getContext("2d");

/** Pixels of a name in the picture. */
function long(name: string): number {
  if (pen === null) return 8 * name.length;
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(name).width;
}

/** As much of a name as has room in so many pixels. */
function fit(name: string, most: number): string {
  if (long(name) <= most) return name;
  const letters = [...name].slice(0, 40);
  while (letters.length > 1 && long(`${letters.join("")}…`) > most) letters.pop();
  return `${letters.join("")}…`;
}

/** `a, b, c and 47 others`. */
function names(all: readonly string[]): string {
  const rest = all.length > 4 ? all.length - 3 : 0;
  const some = all
    .slice(0, all.length - rest)
    .map(clip)
    .join(", ");
  return rest === 0 ? some : `${some} and ${count(rest, "other")}`;
}

const clip = (name: string): string => (name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name);
