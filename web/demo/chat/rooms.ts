/** Rooms: the open parties in which contacts meet, for links with them and to see who is there (docs/spec/chat.md, section 5). */

import type { Party, Weft } from "weft-mesh";
import type { Book } from "./book.js";
import { LIMITS, type Person } from "./model.js";

export class Rooms {
  readonly #parties = new Map<string, Promise<Party>>();
  readonly #here = new Map<string, Party>();
  #closed = false;

  constructor(
    readonly weft: Weft,
    readonly book: Book,
    /** Called when somebody came, went or is linked. */
    readonly changed: (person: Person) => void,
  ) {}

  /** Joins the rooms of the latest conversations, and leaves others. */
  follow(): void {
    if (this.#closed) return;
    const wanted = this.book
      .people()
      .filter(({ standing, room }) => standing === "contact" && room !== undefined)
      .slice(0, LIMITS.rooms);
    const names = new Set(wanted.map(({ room }) => room));
    for (const [room, party] of this.#parties) {
      if (names.has(room)) continue;
      this.#parties.delete(room);
      this.#here.delete(room);
      void party.then((party) => party.leave()).catch(() => {});
    }
    for (const person of wanted) {
      const { room } = person;
      if (room === undefined || this.#parties.has(room)) continue;
      const joining = this.weft.join(`weft-chat/${room}`);
      this.#parties.set(room, joining);
      joining
        .then((party) => {
          if (this.#parties.get(room) !== joining) return;
          this.#here.set(room, party);
          party.on("peer", () => this.changed(person));
          party.on("link", () => this.changed(person));
          this.changed(person);
        })
        .catch(() => this.#parties.delete(room));
    }
  }

  /** Whether somebody is there; undefined if their room is not joined. */
  presence({ room, identity }: Person): boolean | undefined {
    const party = room === undefined ? undefined : this.#here.get(room);
    return party?.presence().some((present) => present.identity === identity);
  }

  /** Whether there is a link with one of their peers. */
  linked({ room, identity }: Person): boolean {
    const party = room === undefined ? undefined : this.#here.get(room);
    return party?.peers().some((peer) => peer.linked && peer.identity === identity) ?? false;
  }

  close(): void {
    this.#closed = true;
  }
}
