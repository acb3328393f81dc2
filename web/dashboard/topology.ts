/** The picture of the federation: this signaler in the middle, others around it, whoever else is registered outside. */

import { $, h, s, say } from "../demo/dom.js";
import type { Body, State } from "./federation.js";
import { STATES } from "./federation.js";
import { count } from "./words.js";

/** So many are in the picture, and so many in the list below it: all the members that a federation may have. */
const [DRAWN, LISTED] = [64, 300];
/** Names are written while there is room for them. */
const NAMED = 12;
/** Pixels left free at the sides, for names, and above and below. */
const [SIDE, EDGE] = [62, 40];
/** On a picture narrower than this, others than signalers have no names: the list below has them. */
const NARROW = 480;

const MARKS: Record<State, string> = {
  up: "●",
  apart: "◐",
  gone: "○",
  pending: "◌",
  active: "●",
  offline: "○",
};

export class Topology {
  private readonly svg = $<SVGSVGElement>("topology");
  private bodies: readonly Body[] = [];
  private drawn = "";

  constructor() {
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  set(bodies: readonly Body[]): void {
    const drawn = JSON.stringify(bodies);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.bodies = bodies;
    this.list();
    this.draw();
  }

  /** The same in words, for those who do not see the picture, and with what has no place in it. */
  private list(): void {
    $("around").replaceChildren(
      ...this.bodies.slice(0, LISTED).map((body) =>
        h(
          "li",
          {
            class: `body ${body.state}`,
            "data-testid": "around",
            "data-state": body.state,
            "data-kind": body.kind,
          },
          h("span", { class: "mark-of", "aria-hidden": "true" }, MARKS[body.state]),
          h(
            "span",
            { class: "who" },
            h("b", {}, body.name),
            h("span", { class: "quiet facts" }, facts(body)),
          ),
          h("span", { class: "state" }, STATES[body.state]),
        ),
      ),
    );
    if (this.bodies.length > LISTED)
      $("around").append(
        h(
          "li",
          { class: "body quiet" },
          `and ${count(this.bodies.length - LISTED, "other")}: see the registry`,
        ),
      );
    $("alone").toggleAttribute("hidden", this.bodies.length > 0);
    const signalers = this.bodies.filter(({ kind }) => kind === "signaler");
    const linked = signalers.filter(({ state }) => state === "up").length;
    const others = this.bodies.length - signalers.length;
    const words =
      `${linked} of ${count(signalers.length, "other signaler")} linked` +
      (others === 0 ? "" : `, ${count(others, "other registrant")}`);
    say($("topology-size"), words);
    say($("topology-words"), `This signaler is linked with ${words}. The list below has each of them.`);
  }

  private draw(): void {
    const { width, height } = this.svg.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const shown = this.bodies.slice(0, DRAWN);
    const inner = shown.filter(({ kind }) => kind === "signaler");
    const outer = shown.filter(({ kind }) => kind === "registrant");
    const [cx, cy] = [width / 2, height / 2];
    const [rx, ry] = [Math.min(cx - SIDE, 330), cy - EDGE];
    const place = (ring: readonly Body[], scale: number, turn: number) =>
      ring.map((body, n) => {
        const angle = ((n + turn) / ring.length) * 2 * Math.PI - Math.PI / 2;
        const [right, down] = [scale * Math.cos(angle), Math.sqrt(scale) * Math.sin(angle)];
        return { body, x: cx + rx * right, y: cy + ry * down, above: down < -0.2 };
      });
    const two = inner.length > 0 && outer.length > 0;
    // The outer ring is turned by half a step, so that fewer are in one line with the middle.
    const placed = [...place(inner, two ? 0.58 : 0.9, 0), ...place(outer, 1, two ? 0.5 : 0)];
    const spots = placed.map(({ body, x, y, above }) => {
      const named = placed.length <= NAMED && (width >= NARROW || body.kind === "signaler");
      return dot(body, x, y, named, above);
    });
    const lines = placed.map(({ body, x, y }) =>
      s("line", { class: `${body.kind} ${body.state}`, x1: cx, y1: cy, x2: x, y2: y }),
    );
    this.svg.replaceChildren(
      s("g", { class: "links" }, ...lines),
      s("g", {}, ...spots),
      s(
        "g",
        { class: "self", transform: `translate(${cx} ${cy})`, "data-testid": "self" },
        s("circle", { r: 24 }),
        s("use", { href: "#weave", x: -12, y: -12, width: 24, height: 24 }),
      ),
    );
  }
}

function dot(body: Body, x: number, y: number, named: boolean, above: boolean): SVGGElement {
  const size = body.kind === "signaler" ? (named ? 16 : 10) : named ? 10 : 8;
  const shape =
    body.kind === "signaler"
      ? s("circle", { class: "shape", r: size })
      : s("rect", { class: "shape", x: -size, y: -size, width: 2 * size, height: 2 * size, rx: 4 });
  // Its services sit on its rim, where its name is not.
  const beads = body.services.slice(0, 8).map(({ healthy }, n, all) => {
    const angle = (n - (all.length - 1) / 2) * 0.62 + (above ? Math.PI / 2 : -Math.PI / 2);
    const rim = size + (body.kind === "signaler" ? 0 : 2);
    const state = healthy === undefined ? "unknown" : healthy ? "healthy" : "ill";
    return s("circle", {
      class: `bead ${state}`,
      r: 3.6,
      cx: rim * Math.cos(angle),
      cy: rim * Math.sin(angle),
    });
  });
  const cross = body.state === "gone" ? s("path", { class: "cross", d: "M-5 -5L5 5M5 -5L-5 5" }) : undefined;
  return s(
    "g",
    {
      class: `spot ${body.kind} ${body.state}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      "data-testid": "spot",
      "data-state": body.state,
    },
    shape,
    cross,
    ...beads,
    named ? s("text", { class: "label", y: above ? -size - 8 : size + 17 }, clip(body.name)) : undefined,
    s("title", {}, `${body.name}: ${STATES[body.state]}. ${facts(body)}`),
  );
}

/** Where it is, and what it offers. */
function facts(body: Body): string {
  const health = ({ name, healthy }: Body["services"][number]): string =>
    `${name} ${healthy === undefined ? "not probed" : healthy ? "healthy" : "not reachable"}`;
  return [body.url === body.name ? undefined : body.url, ...body.services.map(health)]
    .filter(Boolean)
    .join(" · ");
}

const clip = (name: string): string => (name.length > 18 ? `${name.slice(0, 17)}…` : name);
