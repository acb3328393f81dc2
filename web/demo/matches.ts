/** The documents that came: the newest few hundred as cards, all of them counted. */

import { type DataEvent, type Filter, type Party, type Subscription, WeftError } from "weft-mesh";
import { $, h, perFrame, say, show } from "./dom.js";
import { complain, warn } from "./notices.js";
import type { Roster } from "./roster.js";
import { clock, count, initials, number } from "./words.js";

/** Cards on the page. More would only make it slow; what fell out is still counted. */
const CARDS = 250;
/** Milliseconds between two sentences for screen readers. */
const NEWS = 4000;
/** Milliseconds over which the rate is taken. */
const WINDOW = 2000;

/** What is looked for in a document. Nobody checks what others publish but the query, so everything is unknown. */
export interface Film {
  readonly Title?: unknown;
  readonly Director?: unknown;
  readonly Distributor?: unknown;
  readonly "Major Genre"?: unknown;
  readonly "Release Date"?: unknown;
  readonly "Running Time min"?: unknown;
  readonly "IMDB Rating"?: unknown;
}

export class Matches {
  private readonly list = $<HTMLOListElement>("matches");
  private subscription: Subscription<Film> | undefined;
  private waiting: DataEvent<Film>[] = [];
  private total = 0;
  private told = 0;
  private recent: { readonly at: number; readonly total: number }[] = [];
  /** Called for each document, for the pulses in the picture. */
  onArrival: (event: DataEvent<Film>) => void = () => {};
  private readonly drawSoon = perFrame(() => this.draw());

  constructor(
    private readonly party: Party,
    private readonly roster: Roster,
  ) {
    setInterval(() => this.measure(), 500);
    setInterval(() => this.news(), NEWS);
    roster.watch(perFrame(() => this.rename()));
  }

  /** Ends the subscription there was and begins another. */
  subscribe(query: Filter, backlog: boolean): void {
    this.subscription?.close();
    this.subscription = undefined;
    this.clear();
    try {
      const subscription = this.party.subscribe<Film>(query, { backlog });
      this.subscription = subscription;
      subscription.on("data", (event) => this.take(event));
      subscription.on("live", () =>
        say($("match-state"), "Everything known so far is here; what comes now is new."),
      );
      subscription.on("error", (error) =>
        warn(error instanceof WeftError ? error.code : "error", error.message),
      );
      say(
        $("match-state"),
        backlog ? "Collecting what was published before…" : "Waiting for what is published from now on.",
      );
    } catch (error) {
      complain("The query was refused", error);
    }
  }

  private take(event: DataEvent<Film>): void {
    this.total += 1;
    this.waiting.push(event);
    if (this.waiting.length > CARDS) this.waiting.shift();
    this.onArrival(event);
    this.drawSoon();
  }

  private clear(): void {
    this.waiting = [];
    this.recent = [];
    this.total = 0;
    this.told = 0;
    this.list.replaceChildren();
    this.draw();
  }

  private draw(): void {
    const cards = this.waiting.map((event) => card(event, this.roster));
    this.waiting = [];
    this.list.prepend(...cards.reverse());
    while (this.list.children.length > CARDS) this.list.lastElementChild?.remove();
    const figure = $("match-count");
    figure.setAttribute("data-count", String(this.total));
    say(figure, number(this.total));
    show($("match-empty"), this.total === 0);
    const older = this.total - this.list.children.length;
    show($("match-older"), older > 0);
    say($("match-older"), `${count(older, "earlier match", "earlier matches")} not shown.`);
    this.explainNothing();
  }

  private explainNothing(): void {
    const alone = this.roster.present().length === 0;
    const words = alone
      ? "You are alone in this party, and what you publish yourself does not come back to you. Open a second tab and publish the films there."
      : "Nobody else has published anything that matches. Publish the films in another tab, or ask for something else.";
    say($("match-empty-why"), words);
  }

  private measure(): void {
    const at = performance.now();
    this.recent = this.recent.filter((then) => at - then.at <= WINDOW);
    this.recent.push({ at, total: this.total });
    const first = this.recent[0];
    if (first === undefined || at === first.at) return;
    const rate = Math.round(((this.total - first.total) * 1000) / (at - first.at));
    say($("match-rate"), rate > 0 ? `${number(rate)} a second` : "");
  }

  /** One sentence now and then, not one per document. */
  private news(): void {
    const fresh = this.total - this.told;
    if (fresh === 0) return;
    this.told = this.total;
    say($("match-news"), `${count(fresh, "new match", "new matches")}, ${number(this.total)} in all.`);
  }

  /** Somebody's name became known or changed. */
  private rename(): void {
    for (const author of this.list.querySelectorAll<HTMLElement>(".author")) {
      const name = this.roster.nameOfPeer(author.getAttribute("data-peer") ?? "");
      if (author.title === name) continue;
      author.title = name;
      say(author, initials(name));
    }
    this.explainNothing();
  }
}

function card(event: DataEvent<Film>, roster: Roster): HTMLElement {
  const { data, author, feed, id, seq, time, backlog } = event;
  const name = roster.nameOfPeer(feed);
  const film = typeof data.Title === "string" || typeof data.Title === "number";
  const details = h(
    "details",
    {},
    h(
      "summary",
      {},
      film ? rating(data["IMDB Rating"]) : h("span", { class: "rating none", "aria-hidden": true }, "{ }"),
      film ? filmWords(data) : otherWords(data),
      h("span", { class: "avatar author", title: name, "data-peer": feed }, initials(name)),
    ),
  );
  // Most cards are never opened: the text is made when one is.
  details.addEventListener("toggle", () => {
    if (details.children.length > 1) return;
    const origin = `Published by ${roster.nameOfPeer(feed)} at ${clock(time)}${backlog ? ", published before you asked" : ""}`;
    details.append(
      h("div", { class: "whole" }, h("pre", {}, pretty(data)), h("p", { class: "quiet" }, origin)),
    );
  });
  return h(
    "li",
    {
      class: "match",
      "data-testid": "match",
      "data-id": id,
      "data-author": author,
      "data-feed": feed,
      "data-seq": seq,
      "data-backlog": String(backlog),
    },
    details,
  );
}

function filmWords(data: Film): HTMLElement {
  const year = /\d{4}$/.exec(text(data["Release Date"]))?.[0];
  const minutes = typeof data["Running Time min"] === "number" ? `${data["Running Time min"]} min` : "";
  const facts = [text(data.Director), text(data["Major Genre"]), minutes, text(data.Distributor)].filter(
    Boolean,
  );
  return h(
    "span",
    { class: "words" },
    h(
      "span",
      { class: "title" },
      h("cite", {}, text(data.Title)),
      year === undefined ? undefined : h("span", { class: "year" }, year),
    ),
    h("span", { class: "facts" }, facts.join(" · ") || "Nothing more is known"),
  );
}

function otherWords(data: object): HTMLElement {
  const entries = Object.entries(data);
  const [first, ...others] = entries;
  return h(
    "span",
    { class: "words" },
    h(
      "span",
      { class: "title" },
      first === undefined ? "An empty document" : `${first[0]}: ${brief(first[1])}`,
    ),
    h(
      "span",
      { class: "facts" },
      others
        .slice(0, 6)
        .map(([name, value]) => `${name}: ${brief(value)}`)
        .join(" · "),
    ),
  );
}

function rating(value: unknown): HTMLElement {
  if (typeof value !== "number") return h("span", { class: "rating none", title: "No rating" }, "–");
  const strength = value >= 8 ? "high" : value >= 6 ? "middle" : "low";
  return h("span", { class: `rating ${strength}`, title: "IMDB rating" }, value.toFixed(1));
}

const text = (value: unknown): string =>
  typeof value === "string" || typeof value === "number" ? String(value) : "";

const brief = (value: unknown): string => {
  const words = typeof value === "string" ? value : pretty(value, 0);
  return words.length > 60 ? `${words.slice(0, 59)}…` : words;
};

/** JSON, with what JSON lacks written so that people understand it. */
function pretty(value: unknown, indent = 2): string {
  const readable = (_: string, inner: unknown): unknown => {
    if (typeof inner === "bigint") return inner.toString();
    if (inner instanceof Uint8Array) return `${inner.length} bytes`;
    return inner;
  };
  return JSON.stringify(value, readable, indent) ?? "nothing";
}
