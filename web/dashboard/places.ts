/** Where somebody stands in the picture of the federation, and where there is room for names. Pixels throughout. */

import { type Body, queued, STATES, waits } from "./federation.js";
import type { Standing } from "./marks.js";
import { count } from "./words.js";

/** Beyond so many signalers no names are written, and marks are small. */
const NAMED = 12;
/** Pixels left free at the sides, for names, and above and below. */
export const [SIDE, EDGE] = [62, 40];
/** Half the width of a ring at most, and of one of two. */
const [RING, PAIR] = [330, 200];
/** How high the shelf is, and from one mark on it to the next, with names and without. */
export const SHELF = 58;
const [ROOMY, CLOSE] = [104, 26];
/** Pixels between the middles of two signalers at least. */
const APART = 15;
/** What a signaler's name may take, and another's. */
export const [LONGEST, LONG] = [140, ROOMY - 8];

/** Somebody's place in the picture, in pixels. */
export interface Spot {
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
export function ringed(
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

/** Pixels that a line between two others keeps from the middle, where this signaler is. */
const CLEAR = 48;

/** A line from one to another, as a path: straight, unless it would run through the middle. */
export function bent(from: Spot, to: Spot, cx: number, cy: number): string {
  const [x, y] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(x, y) || 1;
  // How far along it is nearest to the middle, and how far that is; upwards if it goes right through.
  const along = ((cx - from.x) * x + (cy - from.y) * y) / length ** 2;
  const off = ((cx - from.x) * y - (cy - from.y) * x) / length;
  const begin = `M${from.x.toFixed(1)} ${from.y.toFixed(1)}`;
  const end = `${to.x.toFixed(1)} ${to.y.toFixed(1)}`;
  if (along <= 0 || along >= 1 || Math.abs(off) >= CLEAR) return `${begin}L${end}`;
  const side = Math.abs(off) < 0.5 ? Math.sign(x || 1) : -Math.sign(off);
  // At its half the curve goes half as far as what it is drawn to, and less at its ends.
  const bow = (side * (CLEAR - Math.abs(off))) / Math.max(0.3, 2 * along * (1 - along));
  const [bx, by] = [(from.x + to.x) / 2 + (bow * y) / length, (from.y + to.y) / 2 - (bow * x) / length];
  return `${begin}Q${bx.toFixed(1)} ${by.toFixed(1)} ${end}`;
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
export function onShelf(others: readonly Body[], waiting: number, width: number, top: number): Spot[] {
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
export class Labels {
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

/** A pen to measure with: names are as long as their letters are wide. */
const pen = document.createElement("canvas").getContext("2d");

/** Pixels of a name in the picture. */
export function long(name: string): number {
  if (pen === null) return 8 * name.length;
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(name).width;
}

/** As much of a name as has room in so many pixels. */
export function fit(name: string, most: number): string {
  if (long(name) <= most) return name;
  const letters = [...name].slice(0, 40);
  while (letters.length > 1 && long(`${letters.join("")}…`) > most) letters.pop();
  return `${letters.join("")}…`;
}
