/**
 * Where the peers are drawn: springs along links, everybody pushes everybody away, a little gravity.
 *
 * After Fruchterman and Reingold, "Graph Drawing by Force-directed Placement" (1991), with the distances in units of one
 * ideal link. The same peers that come in the same order get the same picture: places begin at a hash of the id, and
 * there is no randomness. Quadratic in the number of peers, so fine for the hundred or two that one can look at.
 */

/** A peer's place. */
export interface Spot {
  readonly id: string;
  x: number;
  y: number;
  /** Movement in the last step. */
  dx: number;
  dy: number;
}

/** How much of the movement is left after a step. */
const FRICTION = 0.8;
/** Pull towards the middle, so that parts without links do not drift off. */
const GRAVITY = 0.02;
/** Strength with which peers push each other away, and the squared distance beyond which they do not. */
const PUSH = 0.06;
const REACH = 16;
/** The farthest that anybody moves in one step. */
const LEAP = 0.25;
/** Below this everything has come to rest. */
const REST = 0.002;

export class Layout {
  readonly spots = new Map<string, Spot>();
  private pairs: (readonly [Spot, Spot])[] = [];
  private centre: string | undefined;

  /** Takes over who is there and who has links; those who stay keep their places. */
  set(ids: readonly string[], links: readonly (readonly [string, string])[], centre: string): void {
    const here = new Set(ids);
    for (const id of this.spots.keys()) if (!here.has(id)) this.spots.delete(id);
    for (const id of ids) if (!this.spots.has(id)) this.spots.set(id, firstSpot(id, id === centre));
    this.centre = centre;
    this.pairs = links.flatMap(([a, b]) => {
      const [one, other] = [this.spots.get(a), this.spots.get(b)];
      return one === undefined || other === undefined ? [] : [[one, other] as const];
    });
  }

  /** Moves everybody a little; false once everybody is at rest. */
  step(): boolean {
    const all = [...this.spots.values()];
    for (const [index, one] of all.entries()) {
      for (const other of all.slice(index + 1)) push(one, other);
      one.dx -= one.x * GRAVITY;
      one.dy -= one.y * GRAVITY;
    }
    for (const [one, other] of this.pairs) spring(one, other);
    let farthest = 0;
    for (const spot of all) {
      // Oneself stays where one is: the swarm is seen from there.
      if (spot.id === this.centre) spot.dx = spot.dy = 0;
      const length = Math.hypot(spot.dx, spot.dy);
      const shorten = length > LEAP ? LEAP / length : 1;
      spot.x += spot.dx * shorten;
      spot.y += spot.dy * shorten;
      farthest = Math.max(farthest, length * shorten);
      spot.dx *= FRICTION * shorten;
      spot.dy *= FRICTION * shorten;
    }
    return farthest > REST;
  }
}

/** Inverse distance: what is near is pushed hard. */
function push(one: Spot, other: Spot): void {
  const [x, y] = [one.x - other.x, one.y - other.y];
  const squared = Math.max(x * x + y * y, 0.01);
  if (squared > REACH) return;
  // Nothing is left of it at the border: a jump there would keep pairs swinging across it for ever.
  const force = PUSH / squared - PUSH / REACH;
  one.dx += x * force;
  one.dy += y * force;
  other.dx -= x * force;
  other.dy -= y * force;
}

/** Towards the length of one. */
function spring(one: Spot, other: Spot): void {
  const [x, y] = [other.x - one.x, other.y - one.y];
  const length = Math.max(Math.hypot(x, y), 0.01);
  const force = (0.04 * (length - 1)) / length;
  one.dx += x * force;
  one.dy += y * force;
  other.dx -= x * force;
  other.dy -= y * force;
}

function firstSpot(id: string, middle: boolean): Spot {
  if (middle) return { id, x: 0, y: 0, dx: 0, dy: 0 };
  // FNV-1a (the 32-bit one): spreads ids that differ in one character all over the circle.
  let hash = 0x811c9dc5;
  for (const character of id) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  const angle = ((hash & 0xffff) / 0x10000) * 2 * Math.PI;
  const distance = 0.8 + (hash >>> 16) / 0x20000;
  return { id, x: distance * Math.cos(angle), y: distance * Math.sin(angle), dx: 0, dy: 0 };
}
