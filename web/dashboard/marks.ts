/** How somebody looks: one mark for one thing, in the picture, in its legend and in the list. */

import { s } from "../demo/dom.js";
import { type Body, STATES, type State } from "./federation.js";

/** Who waits for a decision is no body yet, and has a mark all the same. */
export type Standing = State | "waiting";
/** Of a service. */
export type Health = "healthy" | "ill" | "unknown";

/** What a legend says. */
export const MEANINGS: Record<Standing, string> = { ...STATES, waiting: "waits for a decision" };
export const HEALTHS: Record<Health, string> = {
  healthy: "service, healthy",
  ill: "service, not reachable",
  unknown: "service, not probed",
};

/** Round for signalers, square for others, `size` from its middle to its rim. */
export function shape(kind: Body["kind"], state: Standing, size: number): SVGElement {
  const arm = Math.min(5, size * 0.45);
  const crossed = state === "gone" || state === "offline";
  return s(
    "g",
    { class: `shape-of ${state}`, "data-testid": "mark", "data-mark": `${kind} ${state}` },
    kind === "signaler"
      ? s("circle", { class: "shape", r: size })
      : s("rect", {
          class: "shape",
          x: -size,
          y: -size,
          width: 2 * size,
          height: 2 * size,
          rx: 0.35 * size,
        }),
    crossed
      ? s("path", { class: "cross", d: `M${-arm} ${-arm}L${arm} ${arm}M${arm} ${-arm}L${-arm} ${arm}` })
      : undefined,
  );
}

/** The dot of a service. */
export function bead(health: Health, x = 0, y = 0): SVGElement {
  return s("circle", { class: `bead ${health}`, r: 3.6, cx: x, cy: y });
}

/** A link among others, as in a legend. */
export function dash(said: "both" | "one"): SVGElement {
  return s("g", { class: "among" }, s("path", { class: said, d: "M-8 0H8" }));
}

export const healthOf = (healthy: boolean | undefined): Health =>
  healthy === undefined ? "unknown" : healthy ? "healthy" : "ill";

/** A mark among words. */
export function icon(...marks: (SVGElement | undefined)[]): SVGSVGElement {
  return s("svg", { class: "icon", viewBox: "-8 -8 16 16", "aria-hidden": "true" }, ...marks);
}
