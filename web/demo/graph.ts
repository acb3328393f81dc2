/** The picture of the swarm: peers, links, and documents on their way. */

import { $, calm, s } from "./dom.js";
import { Layout, type Spot } from "./layout.js";
import { initials } from "./words.js";

/** A peer as it is drawn. */
export interface Dot {
  readonly id: string;
  readonly name: string;
  readonly own: boolean;
  /** Publications that it has passed on. */
  readonly forwarded: number;
  /** Said when the pointer rests on it. */
  readonly title: string;
}

/** A link as it is drawn; `sure` if we are one of its ends or both ends speak of it. */
export interface Line {
  readonly from: string;
  readonly to: string;
  readonly sure: boolean;
  /** We are one of its ends. */
  readonly own: boolean;
}

/** Pulses that may be on their way at once: enough to look busy, few enough to stay cheap. */
const PULSES = 60;
/** Milliseconds that a pulse takes. */
const TRAVEL = 700;
/** Pixels of one ideal link at most: two peers need not be a screen apart. */
const MOST = 110;
/** Steps of the layout when nothing may move: the picture is drawn once, at rest. */
const AT_ONCE = 300;

interface Pulse {
  readonly from: string;
  readonly to: string;
  readonly begins: number;
  readonly dot: SVGCircleElement;
}

export class Graph {
  private readonly svg = $<SVGSVGElement>("graph");
  private readonly lines = s("g", { class: "lines" });
  private readonly pulses = s("g", { class: "pulses" });
  private readonly dots = s("g", { class: "dots" });
  private readonly layout = new Layout();
  private readonly drawnDots = new Map<string, SVGGElement>();
  private readonly drawnLines = new Map<string, { readonly line: Line; readonly element: SVGLineElement }>();
  private travelling: Pulse[] = [];
  private width = 0;
  private height = 0;
  private running = false;
  private warm = false;
  private radius = 18;

  constructor(private readonly pick: (id: string) => void) {
    this.svg.append(this.lines, this.pulses, this.dots);
    new ResizeObserver(([entry]) => {
      if (entry === undefined || entry.contentRect.width === 0) return;
      this.width = entry.contentRect.width;
      this.height = entry.contentRect.height;
      this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      this.run();
    }).observe(this.svg);
  }

  /** Draws these and no others. */
  set(dots: readonly Dot[], lines: readonly Line[]): void {
    this.radius = dots.length <= 8 ? 19 : dots.length <= 16 ? 15 : dots.length <= 40 ? 11 : 6;
    const own = dots.find((dot) => dot.own)?.id ?? "";
    this.layout.set(
      dots.map((dot) => dot.id),
      lines.map(({ from, to }) => [from, to] as const),
      own,
    );
    this.setLines(lines);
    this.setDots(dots);
    this.warm = true;
    if (calm()) for (let step = 0; step < AT_ONCE && this.layout.step(); step += 1);
    this.run();
  }

  /** Lets `amount` documents travel along a link, a few standing for many. */
  pulse(from: string, to: string, amount: number): void {
    if (calm() || document.hidden || this.width === 0) return;
    const dots = Math.min(amount, 1 + Math.floor(Math.log2(amount + 1)), 6);
    for (let dot = 0; dot < dots && this.travelling.length < PULSES; dot += 1) {
      const circle = s("circle", { r: 3.5, class: "pulse", visibility: "hidden" });
      this.pulses.append(circle);
      this.travelling.push({ from, to, begins: performance.now() + dot * 90, dot: circle });
    }
    this.run();
  }

  private setLines(lines: readonly Line[]): void {
    const wanted = new Map(lines.map((line) => [`${line.from} ${line.to}`, line]));
    for (const [name, drawn] of this.drawnLines) {
      if (wanted.has(name)) continue;
      drawn.element.remove();
      this.drawnLines.delete(name);
    }
    for (const [name, line] of wanted) {
      const element = this.drawnLines.get(name)?.element ?? s("line", { "data-testid": "swarm-link" });
      element.setAttribute("class", line.own ? "own" : line.sure ? "sure" : "unsure");
      element.setAttribute("data-from", line.from);
      element.setAttribute("data-to", line.to);
      if (element.parentNode === null) this.lines.append(element);
      this.drawnLines.set(name, { line, element });
    }
  }

  private setDots(dots: readonly Dot[]): void {
    const wanted = new Set(dots.map((dot) => dot.id));
    for (const [id, drawn] of this.drawnDots) {
      if (wanted.has(id)) continue;
      drawn.remove();
      this.drawnDots.delete(id);
    }
    for (const dot of dots) {
      const group = this.drawnDots.get(dot.id) ?? this.newDot(dot.id);
      const ring = dot.forwarded > 0 ? Math.min(7, 1 + Math.log2(1 + dot.forwarded) / 2) : 0;
      const [halo, circle, letters, label, title] = group.children as unknown as SVGElement[];
      group.setAttribute("class", dot.own ? "dot own" : "dot");
      halo?.setAttribute("r", String(this.radius + ring / 2));
      halo?.setAttribute("stroke-width", String(ring));
      circle?.setAttribute("r", String(this.radius));
      letters?.setAttribute("font-size", String(Math.max(8, this.radius * 0.62)));
      if (letters) letters.textContent = this.radius >= 11 ? initials(dot.name) : "";
      label?.setAttribute("y", String(this.radius + ring + 13));
      if (label) label.textContent = this.radius >= 15 ? clip(dot.own ? "you" : dot.name) : "";
      if (title) title.textContent = dot.title;
    }
  }

  private newDot(id: string): SVGGElement {
    const group = s(
      "g",
      { "data-testid": "swarm-node", "data-peer": id },
      s("circle", { class: "halo" }),
      s("circle", { class: "body" }),
      s("text", { class: "letters", dy: "0.36em" }),
      s("text", { class: "label" }),
      s("title"),
    );
    group.addEventListener("click", () => this.pick(id));
    this.dots.append(group);
    this.drawnDots.set(id, group);
    return group;
  }

  private run(): void {
    if (this.running) return;
    this.running = true;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    this.running = false;
    if (this.width === 0) return;
    if (this.warm && !calm()) this.warm = this.layout.step();
    else this.warm = false;
    this.place();
    this.travel();
    if (this.warm || this.travelling.length > 0) this.run();
  }

  /** From units of the layout to pixels: everything fits, and two peers are not a screen apart. */
  private place(): void {
    const at = this.scale();
    for (const [id, group] of this.drawnDots) {
      const [x, y] = at(this.layout.spots.get(id));
      group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    }
    for (const { line, element } of this.drawnLines.values()) {
      const [x1, y1] = at(this.layout.spots.get(line.from));
      const [x2, y2] = at(this.layout.spots.get(line.to));
      for (const [name, value] of Object.entries({ x1, y1, x2, y2 }))
        element.setAttribute(name, value.toFixed(1));
    }
  }

  private travel(): void {
    const at = this.scale();
    const now = performance.now();
    this.travelling = this.travelling.filter(({ from, to, begins, dot }) => {
      const way = (now - begins) / TRAVEL;
      const [one, other] = [this.layout.spots.get(from), this.layout.spots.get(to)];
      if (way >= 1 || one === undefined || other === undefined) {
        dot.remove();
        return false;
      }
      if (way < 0) return true;
      const eased = way * way * (3 - 2 * way);
      const [x1, y1] = at(one);
      const [x2, y2] = at(other);
      dot.setAttribute("cx", (x1 + (x2 - x1) * eased).toFixed(1));
      dot.setAttribute("cy", (y1 + (y2 - y1) * eased).toFixed(1));
      dot.setAttribute("visibility", "visible");
      return true;
    });
  }

  private scale(): (spot: Spot | undefined) => readonly [number, number] {
    const all = [...this.layout.spots.values()];
    const [left, right] = [Math.min(...all.map(({ x }) => x)), Math.max(...all.map(({ x }) => x))];
    const [top, bottom] = [Math.min(...all.map(({ y }) => y)), Math.max(...all.map(({ y }) => y))];
    // Room for rings and labels, which are wider than the peers.
    const wide = Math.min((this.width - 2 * this.radius - 76) / (right - left), MOST);
    const high = Math.min((this.height - 2 * this.radius - 44) / (bottom - top), MOST);
    // A little stretching fills the frame; more would make neighbours look far apart.
    const [fitX, fitY] = [Math.min(wide, 1.35 * high), Math.min(high, 1.35 * wide)];
    return (spot) => {
      if (spot === undefined) return [this.width / 2, this.height / 2];
      return [
        this.width / 2 + (spot.x - (left + right) / 2) * fitX,
        this.height / 2 + (spot.y - (top + bottom) / 2) * fitY - 5,
      ];
    };
  }
}

const clip = (name: string): string => (name.length > 14 ? `${name.slice(0, 13)}…` : name);
