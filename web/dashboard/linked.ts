/** Who else is linked with whom, by their own words: what `/topology` says of links, for the picture, the list and the news. */

import type { Links } from "./api.js";
import type { Body } from "./federation.js";
import type { Tone } from "./news.js";
import { count } from "./words.js";

/** A link between two others. */
export interface Line {
  readonly ends: readonly [Body, Body];
  /** The one of them that says so, if the other one does not. */
  readonly only: Body | undefined;
  /** In words. */
  readonly title: string;
}

export interface Others {
  readonly lines: readonly Line[];
  /** Pairs that both say that they are not linked with each other. */
  readonly apart: readonly (readonly [Body, Body])[];
  /** Whether any of them says with whom it is linked. */
  readonly told: boolean;
  /** There are links of which nothing was told here. */
  readonly more: boolean;
}

/** Names that are said at once, and pairs. */
const [NAMES, PAIRS] = [3, 3];

const NOBODY: Others = { lines: [], apart: [], told: false, more: false };

/** The links among these. */
export function others(bodies: readonly Body[], said: Links | undefined): Others {
  if (said === undefined) return NOBODY;
  const signalers = bodies.filter(({ kind, key }) => kind === "signaler" && key !== undefined);
  const byKey = new Map(signalers.map((body) => [body.key ?? "", body]));
  const speak = new Set(said.links_told_by);
  const linked = new Set<string>();
  const lines = said.links.flatMap(({ between, said_by }): Line[] => {
    const [one, other] = between.map((key) => byKey.get(key));
    if (one === undefined || other === undefined) return [];
    linked.add(pair(one, other));
    const only = said_by.length > 1 ? undefined : said_by[0] === one.key ? one : other;
    return [{ ends: [one, other], only, title: title(one, other, only, speak) }];
  });
  const telling = signalers.filter(({ key }) => speak.has(key ?? ""));
  // Of a list that is cut short nobody is missed.
  const apart = telling.flatMap((one, n) =>
    said.more_links
      ? []
      : telling
          .slice(n + 1)
          .filter((other) => !linked.has(pair(one, other)))
          .map((other) => [one, other] as const),
  );
  return { lines, apart, told: telling.length > 0, more: said.more_links };
}

const pair = (one: Body, other: Body): string => [one.key ?? "", other.key ?? ""].toSorted().join(" ");

function title(one: Body, other: Body, only: Body | undefined, speak: ReadonlySet<string>): string {
  if (only === undefined) return `${one.name} and ${other.name} are linked`;
  const silent = only === one ? other : one;
  const why = speak.has(silent.key ?? "")
    ? `${silent.name} says that it is not`
    : silent.state === "up"
      ? `${silent.name} says nothing of its links`
      : `${silent.name} is not linked with this signaler`;
  return `Only ${only.name} says that it is linked with ${silent.name}: ${why}`;
}

/** What the list says of the links of one of them: what is wrong with them, and with whom there are some. */
export function facts(
  of: Body,
  { lines, apart }: Others,
): { readonly wrong: string[]; readonly good: string[] } {
  const without = apart.filter((ends) => ends.includes(of)).map((ends) => other(ends, of));
  const own = lines.filter(({ ends }) => ends.includes(of));
  const wrong = own.flatMap(({ ends, only }) =>
    only === undefined
      ? []
      : [`linked with ${other(ends, of).name}, as only ${only === of ? "it" : only.name} says`],
  );
  const both = own.filter(({ only }) => only === undefined).map(({ ends }) => other(ends, of));
  return {
    wrong: [...(without.length === 0 ? [] : [`no link with ${names(without)}`]), ...wrong.slice(0, NAMES)],
    good: both.length === 0 ? [] : [`linked with ${names(both)}`],
  };
}

const other = ([one, two]: readonly [Body, Body], of: Body): Body => (one === of ? two : one);

/** `a`, `a and b`, `a, b and c`, `7 others`. */
function names(bodies: readonly Body[]): string {
  if (bodies.length > NAMES) return count(bodies.length, "other");
  const all = bodies.map(({ name }) => name);
  const last = all.pop() ?? "";
  return all.length === 0 ? last : `${all.join(", ")} and ${last}`;
}

/** What is below the picture: what its thin lines are, and what is wrong with links among the others. */
export function words({ lines, apart, told, more }: Others): {
  readonly known: string;
  readonly odd: string;
} {
  if (!told) return { known: "Lines are links of this signaler. The others say nothing of theirs.", odd: "" };
  const known = [
    ...(lines.length === 0 ? [] : ["Thin lines are links among the others, as they say themselves."]),
    ...(more ? ["There are more of them than are shown."] : []),
  ];
  const odd = [
    ...some(missing(apart), (rest) => `${count(rest, "more signaler misses", "more signalers miss")} links.`),
    ...some(
      lines.flatMap(({ only, title }) => (only === undefined ? [] : [`${title}.`])),
      (rest) => `Of ${count(rest, "more link", "more links")} only one side knows.`,
    ),
  ];
  return { known: known.join(" "), odd: odd.join(" ") };
}

/** Who is not linked with whom, with as few sentences as there can be: whoever misses most comes first. */
function missing(apart: Others["apart"]): string[] {
  const told: string[] = [];
  for (let left = [...apart]; left.length > 0; ) {
    const misses = new Map<Body, Body[]>();
    for (const ends of left)
      for (const one of ends) misses.set(one, [...(misses.get(one) ?? []), other(ends, one)]);
    const [[one, without]] = [...misses].toSorted(([, a], [, b]) => b.length - a.length) as [[Body, Body[]]];
    told.push(
      without.length === 1
        ? `${one.name} and ${names(without)} are not linked with each other.`
        : `${one.name} is not linked with ${names(without)}.`,
    );
    left = left.filter((ends) => !ends.includes(one));
  }
  return told;
}

function some(all: readonly string[], rest: (count: number) => string): string[] {
  return all.length > PAIRS ? [...all.slice(0, PAIRS - 1), rest(all.length - PAIRS + 1)] : [...all];
}

/** Links among others that were there and no longer are, and those of them that are there again. */
export class Losses {
  private linked = new Set<string>();
  private lost = new Set<string>();

  /** How it is now. Returns what is to be told of it. */
  see({ lines, apart, more }: Others): readonly (readonly [string, Tone])[] {
    // What is cut short says nothing about what is missing.
    if (more) return [];
    const now = new Map(lines.map(({ ends, only }) => [pair(...ends), { ends, only }]));
    const gone = apart.filter((ends) => this.linked.has(pair(...ends)));
    const back = [...now.values()].filter(
      ({ ends, only }) => only === undefined && this.lost.has(pair(...ends)),
    );
    for (const ends of gone) this.lost.add(pair(...ends));
    for (const { ends } of back) this.lost.delete(pair(...ends));
    this.linked = new Set(now.keys());
    const line = (all: readonly (readonly [Body, Body])[], what: string, tone: Tone): [string, Tone][] =>
      some(
        all.map(([one, two]) => `${one.name} and ${two.name} ${what}`),
        (rest) => `${count(rest, "more pair", "more pairs")} of signalers ${what}`,
      ).map((text) => [text, tone]);
    return [
      ...line(gone, "lost their link", "bad"),
      ...line(
        back.map(({ ends }) => ends),
        "are linked again",
        "good",
      ),
    ];
  }
}
