/**
 * Whom to ask for a file of a group (docs/spec/chat.md, section 7): who wrote a text with it, while they are there and have
 * it; otherwise the other members that are there, each as much. A pure machine that is told what time it is.
 */

/** A member that has not got a file may have it later: it is asked again after so many milliseconds, then after twice as many. */
const LATER = 30_000;
const DOUBLINGS = 5;

/** A file, as far as it matters here. */
export interface Sought {
  readonly hash: string;
  /** Who wrote a text with it. */
  readonly authors?: readonly string[];
  /** What came from members was something else, and nobody knows from whom: only its authors are asked. */
  readonly suspect?: boolean;
}

interface Aside {
  readonly until: number;
  readonly tries: number;
  readonly gone: boolean;
}

export class Sources {
  /** By file, the members that have not got it, or gave something else. */
  readonly #aside = new Map<string, Map<string, Aside>>();

  /** Whom to ask of those who are there; `open` says how many questions to somebody have no answer yet. */
  whom(
    file: Sought,
    present: readonly string[],
    open: (who: string) => number,
    now: number,
  ): string | undefined {
    const free = present.filter((who) => this.#freeAt(file, who) <= now);
    const rank = (who: string): number => (isAuthor(file, who) ? -1 : open(who));
    return free.sort((a, b) => rank(a) - rank(b) || open(a) - open(b) || (a < b ? -1 : 1))[0];
  }

  /** A member has not got it, or gave something else. After how many milliseconds it may be asked again, if that is news. */
  refused({ hash }: Sought, who: string, gone: boolean, now: number): number | undefined {
    const all = this.#aside.get(hash) ?? new Map<string, Aside>();
    this.#aside.set(hash, all);
    const { until = 0, tries = 0 } = all.get(who) ?? {};
    // Of questions that were asked at once only the first counts.
    if (until > now) {
      all.set(who, { until, tries, gone });
      return undefined;
    }
    const wait = LATER * 2 ** Math.min(tries, DOUBLINGS);
    all.set(who, { until: now + wait, tries: tries + 1, gone });
    return wait;
  }

  /** Its authors have it no more, and nobody else who is there has it. */
  isLost(file: Sought, present: readonly string[]): boolean {
    const all = this.#aside.get(file.hash);
    const { authors = [], suspect } = file;
    if (all === undefined || authors.length === 0 || !authors.every((who) => all.get(who)?.gone))
      return false;
    return suspect === true || present.every((who) => all.has(who));
  }

  /** Somebody came, and may have it now. */
  came(who: string): void {
    for (const all of this.#aside.values()) all.delete(who);
  }

  /** Everybody may be asked for it. */
  anew({ hash }: Sought): void {
    this.#aside.delete(hash);
  }

  #freeAt(file: Sought, who: string): number {
    if (file.suspect && !isAuthor(file, who)) return Number.POSITIVE_INFINITY;
    const one = this.#aside.get(file.hash)?.get(who);
    if (one?.gone && isAuthor(file, who)) return Number.POSITIVE_INFINITY;
    return one?.until ?? 0;
  }
}

const isAuthor = ({ authors }: Sought, who: string): boolean => authors?.includes(who) === true;
