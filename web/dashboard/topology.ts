/**
 * The picture of the federation: this signaler in the middle, other signalers around it, and on a shelf below whoever else is
 * registered. A line is a link of this signaler, or one that it lost; a thin one is a link among others, as they say themselves.
 */

import { $, h, s, say, show } from "../demo/dom.js";
import type { Links } from "./api.js";
import { type Around, type Body, queued, STATES, summary } from "./federation.js";
import { facts, type Others, others, words } from "./linked.js";
import { bead, dash, HEALTHS, healthOf, icon, MEANINGS, shape } from "./marks.js";
import {
  bent,
  EDGE,
  fit,
  Labels,
  LONG,
  LONGEST,
  long,
  onShelf,
  ringed,
  SHELF,
  SIDE,
  type Spot,
} from "./places.js";
import { count, more } from "./words.js";

/** So many are in the list below the picture at first, and so many more each time one asks. */
const [LISTED, MORE] = [12, 60];
/** Letters of a name in the list of those who wait. */
const LETTERS = 16;
/** Beyond so many links among others only those are drawn that one side says alone. */
const DRAWN = 400;

const NOBODY: Around = { bodies: [], waiting: [] };

export class Topology {
  private readonly svg = $<SVGSVGElement>("topology");
  private around = NOBODY;
  private others: Others = others([], undefined);
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

  /** `asOf`: the signaler does not answer, and this is how things were then. Returns what is linked among the others, if anything changed. */
  set(around: Around, links: Links | undefined, asOf?: string): Others | undefined {
    const drawn = JSON.stringify([around, links, asOf]);
    if (drawn === this.drawn) return undefined;
    this.drawn = drawn;
    this.around = around;
    this.others = others(around.bodies, links);
    const size = summary(around) + (asOf === undefined ? "" : `, as of ${asOf}`);
    say($("topology-size"), size);
    const several = around.bodies.filter(({ kind }) => kind === "signaler").length > 1;
    const { known, odd } = several && links !== undefined ? words(this.others) : { known: "", odd: "" };
    for (const [id, text] of [
      ["links-known", known],
      ["links-odd", odd],
    ] as const) {
      say($(id), text);
      show($(id), text !== "");
    }
    const parts = [`Around this signaler: ${size}.`, known, odd, "The list below has each of them."];
    say($("topology-words"), parts.filter((part) => part !== "").join(" "));
    this.list();
    this.legend();
    this.draw();
    return this.others;
  }

  /** The same in words, for those who do not see the picture, and with what has no place in it. */
  private list(): void {
    const { bodies, waiting } = this.around;
    const rows = bodies.slice(0, this.listed).map((body) => row(body, this.others));
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
    for (const { only } of this.drawable())
      add(
        only === undefined ? "both" : "one",
        dash(only === undefined ? "both" : "one"),
        only === undefined ? "linked with each other" : "linked, as only one side says",
      );
    $("legend").replaceChildren(...entries.values());
    show($("legend"), entries.size > 1);
  }

  /** Links among others, unless they are so many that they would be a blot. */
  private drawable(): Others["lines"] {
    const { lines } = this.others;
    return lines.length <= DRAWN ? lines : lines.filter(({ only }) => only !== undefined).slice(0, DRAWN);
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
    const places = new Map(ring.spots.map((spot, n) => [signalers[n], spot]));
    const among = this.drawable().flatMap(({ ends, only, title }) => {
      const [from, to] = ends.map((body) => places.get(body));
      if (from === undefined || to === undefined) return [];
      const looks = { class: only === undefined ? "both" : "one", d: bent(from, to, cx, cy) };
      return [s("path", { ...looks, "data-testid": "among" }, s("title", {}, title))];
    });
    this.svg.replaceChildren(
      s("g", { class: "among" }, ...among),
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

/** One of them in the list; what is wrong comes first. */
function row(body: Body, others: Others): HTMLElement {
  const services = body.services.map(
    ({ name, healthy }) =>
      `${name} ${healthy === undefined ? "not probed" : healthy ? "healthy" : "not reachable"}`,
  );
  const { wrong, good } = facts(body, others);
  const known = [...wrong, ...body.known, ...good, ...services].join(" · ");
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
      h("span", { class: "quiet facts", title: known }, known),
    ),
    h("span", { class: "state" }, STATES[body.state]),
  );
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
