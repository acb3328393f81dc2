/** Groups: the private parties in which people write to each other (docs/spec/chat.md, section 7). */

import { type DataEvent, type Party, type Weft, WeftError } from "weft-mesh";
import type { Book } from "./book.js";
import { encode } from "./documents.js";
import type { Person } from "./model.js";

/** Publications that wait to be taken in: more than a party keeps. */
const BUFFER = 32_768;
/** How long others may take to get the last words of who leaves, and how often is looked whether they have; milliseconds. */
const FAREWELL = 3000;
const LOOK = 50;
/** How long who leaves answers for its last words: neighbours ask for their key after 20 ms and 300 ms, and nothing tells that nobody asks. */
const LINGER = 1000;
/** Milliseconds after which those are asked again who do not know an invitation. */
const AGAIN = 15_000;

export class Groups {
  readonly #parties = new Map<Person, Party>();
  readonly #joining = new Map<Person, AbortController>();
  #closed = false;

  constructor(
    readonly weft: Weft,
    readonly book: Book,
    readonly own: {
      /** Something was published. */
      published(group: Person, event: DataEvent): void;
      /** Who is there, who is a member or how one is in it, is different. */
      changed(group: Person): void;
      /** One can publish there now. */
      joined(group: Person): void;
    },
  ) {}

  /** Joins the groups that one is in, or is to be let into. */
  follow(): void {
    for (const group of this.#closed ? [] : this.book.people()) {
      const { group: circle } = group;
      if (circle === undefined || circle.state === "out") continue;
      if (this.#parties.has(group) || this.#joining.has(group)) continue;
      void this.#join(group, circle.invitation ?? circle.key);
    }
  }

  /** Makes a private party. */
  async found(): Promise<Party> {
    return await this.weft.create();
  }

  /** Takes a party that was made just now. */
  adopt(group: Person, party: Party): void {
    this.#parties.set(group, party);
    party.on("members", () => this.#members(group, party));
    party.on("excluded", ({ code, peer }) => {
      const by = party.peers().find((other) => other.peer === peer)?.identity;
      this.#out(group, code, by);
    });
    party.on("peer", () => this.own.changed(group));
    party.on("link", () => this.own.changed(group));
    const all = party.subscribe({}, { backlog: true, buffer: BUFFER });
    all.on("data", (event) => this.own.published(group, event));
    this.#members(group, party);
    this.own.joined(group);
  }

  /** Whether one can publish there. */
  isJoined(group: Person): boolean {
    return this.#parties.has(group) && group.group?.state === "member";
  }

  /** Publishes; resolves when it is there after a reload, as far as the browser stores anything. */
  async publish(group: Person, document: object): Promise<void> {
    await this.party(group).publish(document);
    const until = Date.now() + FAREWELL;
    while (this.weft.stats().unstored > 0 && Date.now() < until) await pause(LOOK);
  }

  party(group: Person): Party {
    const party = this.#parties.get(group);
    if (party === undefined) throw new Error("You are not in that group yet.");
    return party;
  }

  /** Members that are linked, oneself not counted. */
  present(group: Person): ReadonlySet<string> {
    const peers = this.#parties.get(group)?.peers() ?? [];
    const linked = peers.filter((peer) => peer.linked).map(({ identity }) => identity);
    return new Set(linked.filter((who) => who !== undefined && who !== this.weft.identity) as string[]);
  }

  /** Says the last words, leaves, and removes what is stored of it. */
  async leave(group: Person, last: object | undefined): Promise<void> {
    const key = group.group?.key ?? "";
    this.#joining.get(group)?.abort();
    const party = this.#parties.get(group);
    this.#parties.delete(group);
    if (party !== undefined && last !== undefined) {
      await party.publish(last);
      // Where nobody is there, nobody hears it.
      const until = Date.now() + FAREWELL;
      while (this.weft.stats().unsent > 0 && Date.now() < until) await pause(LOOK);
      if (this.weft.stats().unsent === 0) await pause(LINGER);
    }
    await this.weft.forget(key);
  }

  close(): void {
    this.#closed = true;
    for (const joining of this.#joining.values()) joining.abort();
  }

  async #join(group: Person, party: string): Promise<void> {
    const end = new AbortController();
    this.#joining.set(group, end);
    try {
      const joined = await this.weft.join(party, { signal: end.signal });
      if (this.#closed || end.signal.aborted) return;
      this.adopt(group, joined);
    } catch (error) {
      if (end.signal.aborted || !(error instanceof WeftError) || error.code === "closed") return;
      this.#out(group, error.code);
      // Others may know more than those who were asked.
      if (group.group?.state === "joining") setTimeout(() => this.follow(), AGAIN);
    } finally {
      this.#joining.delete(group);
    }
  }

  #members(group: Person, party: Party): void {
    this.book.members(group, party.members() ?? []);
    this.own.changed(group);
    if (group.group?.state === "out") this.#end(group);
  }

  #out(group: Person, code: string, by?: string): void {
    this.book.excluded(group, code, by);
    this.own.changed(group);
    if (group.group?.state === "out") this.#end(group);
  }

  /** Whoever is asked back joins with the new invitation. */
  #end(group: Person): void {
    const party = this.#parties.get(group);
    this.#parties.delete(group);
    void party?.leave();
  }
}

/** What one says last in a group; undefined for who may not write. */
export const last = (book: Book, group: Person): object | undefined => {
  const role = book.role(group);
  return role === "writer" || role === "admin" ? encode(book.farewell(group, Date.now())) : undefined;
};

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
