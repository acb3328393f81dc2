/**
 * Sends what is in the outboxes, in order: a window of a few at a time for each person. What cannot go now stays there, also over
 * a reload, and goes when a signaler is connected again or the other one is there. Sending twice does no harm: the reader knows a
 * document by its id.
 */

import { type SentEvent, type Weft, WeftError } from "weft-mesh";
import { type Book, profileOf } from "./book.js";
import { BOUNDS, encode, sizeOf } from "./documents.js";
import type { Files } from "./files.js";
import type { Groups } from "./groups.js";
import { type Face, type Person, type Post, TIMES } from "./model.js";
import type { Rooms } from "./rooms.js";

/** Documents under way at a time, for each person. */
const WINDOW = 4;
/** Milliseconds after which it is tried again, at first and at most. */
const FIRST_PAUSE = 2000;
const LONGEST_PAUSE = 60_000;
/** What became of messages that nobody has asked for yet; the oldest go first. */
const EARLY = 256;

/** Codes after which it makes no sense to try again by itself. */
const FINAL: ReadonlySet<string> = new Set([
  "bad-document",
  "bad-id",
  "bad-option",
  "expired",
  "mailbox-full",
  "not-a-writer",
  "sender-full",
  "too-large",
]);

interface Route {
  readonly busy: Set<number>;
  pause: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  readAt: number;
  /** The timer of a `read` that is too early. */
  read: ReturnType<typeof setTimeout> | undefined;
}

export class Courier {
  readonly #routes = new Map<Person, Route>();
  readonly #told = new Map<string, SentEvent>();
  readonly #typed = new Map<Person, number>();

  constructor(
    readonly weft: Weft,
    readonly book: Book,
    readonly rooms: Rooms,
    readonly files: Files,
    readonly groups: Groups,
    readonly own: {
      face(): Face;
      /** Makes sure that the lines of a conversation are there. */
      open(person: Person): Promise<void>;
      /** Something in the book changed. */
      changed(person: Person): void;
    },
  ) {
    weft.on("sent", (event) => void this.#sent(event));
    weft.on("signaler", ({ state }) => state === "connected" && this.all());
  }

  /** Everything that waits is tried now. */
  all(): void {
    for (const person of this.book.people()) this.go(person, true);
  }

  /** Sends what waits for somebody; at once, if something has changed for the better. */
  go(person: Person, now = false): void {
    if (person.outbox.length === 0 || person.standing === "blocked") return;
    const route = this.#routeOf(person);
    if (now) {
      clearTimeout(route.timer);
      route.timer = undefined;
      route.pause = FIRST_PAUSE;
    }
    if (route.timer !== undefined) return;
    if (!this.#canGo(person)) {
      this.#wait(person, route);
      return;
    }
    for (const post of person.outbox) {
      // In a group one after the other: publications have an order.
      if (route.busy.size >= (person.group ? 1 : WINDOW)) return;
      if (route.busy.has(post.key)) continue;
      if (isRead(post)) {
        const early = route.readAt + TIMES.read - Date.now();
        if (early > 0) {
          // Said at most once in a while; whatever comes meanwhile takes its place.
          route.read ??= setTimeout(() => {
            route.read = undefined;
            this.go(person);
          }, early);
          continue;
        }
        route.readAt = Date.now();
      }
      route.busy.add(post.key);
      void this.#deliver(person, post).then((went) => {
        route.busy.delete(post.key);
        if (went) route.pause = FIRST_PAUSE;
        else this.#wait(person, route);
        this.own.changed(person);
        if (went) this.go(person);
      });
    }
  }

  /** Tells that one is typing, or no more: now or never. */
  typing(person: Person, on: boolean): void {
    const last = this.#typed.get(person);
    if (on ? Date.now() - (last ?? 0) < TIMES.typingSent : last === undefined) return;
    if (on) this.#typed.set(person, Date.now());
    else this.#typed.delete(person);
    if (!this.rooms.linked(person)) return;
    this.weft.send(person.identity, { chat: 1, kind: "typing", on }, { expires: 0 }).catch(() => {});
  }

  /** A text went: whoever reads it knows that one has stopped typing. */
  typed(person: Person): void {
    this.#typed.delete(person);
  }

  #canGo(person: Person): boolean {
    if (person.group) return this.groups.isJoined(person);
    return this.rooms.linked(person) || this.weft.signalers().some(({ state }) => state === "connected");
  }

  #wait(person: Person, route: Route): void {
    if (route.timer !== undefined) return;
    void this.#mark(person);
    route.timer = setTimeout(() => {
      route.timer = undefined;
      route.pause = Math.min(2 * route.pause, LONGEST_PAUSE);
      this.go(person);
    }, route.pause);
  }

  /** What is not under way is shown as waiting. */
  async #mark(person: Person): Promise<void> {
    await this.own.open(person);
    for (const post of person.outbox) if (post.what === "line") this.book.waits(person, post.line);
    this.own.changed(person);
  }

  /** Sends one; false if it has to wait. */
  async #deliver(person: Person, post: Post): Promise<boolean> {
    try {
      await this.own.open(person);
      const document = await this.#document(person, post);
      if (document === undefined) {
        this.book.posted(person, post);
        return true;
      }
      if (person.group) {
        await this.groups.publish(person, document);
        if (post.what === "line") this.book.progress(person, post.line, "published");
        this.book.posted(person, post);
        return true;
      }
      const { id, state } = await this.weft.send(person.identity, document);
      if (post.what === "line") {
        this.book.progress(person, post.line, state, { core: id });
        const told = this.#told.get(id);
        if (told !== undefined) this.#tell(person, told);
      }
      this.book.posted(person, post);
      return true;
    } catch (error) {
      const code = error instanceof WeftError ? error.code : "internal";
      if (!(error instanceof WeftError)) console.error(error);
      else if (!FINAL.has(code)) return false;
      // Whoever lacks a piece asks for it; other documents that are small wait until there is room.
      const full = code === "mailbox-full" || code === "sender-full";
      if (full && post.what !== "line" && post.what !== "piece") return false;
      if (post.what === "line") this.book.progress(person, post.line, "failed", { code });
      this.book.posted(person, post);
      return true;
    }
  }

  /** What is sent; undefined if it is not needed any more. */
  async #document(person: Person, post: Post): Promise<object | undefined> {
    switch (post.what) {
      case "said":
        return encode(post.said);
      case "profile": {
        const { picture, ...face } = this.own.face();
        // In a group it would be in everybody's backlog.
        return encode(profileOf(picture && !person.group ? { ...face, picture } : face));
      }
      case "piece": {
        const data = await this.files.piece(post.of, post.at);
        return data && encode({ kind: "piece", of: post.of, at: post.at, data });
      }
      case "line": {
        const line = this.book.line(person, post.line, true);
        if (line === undefined || line.deleted) return undefined;
        const { id, sent, n, text, reply, replyTo, attachments, invitation } = line;
        if (invitation !== undefined)
          return encode({ kind: "invitation", id, sent, n, name: text, invitation });
        const said = {
          kind: "text" as const,
          ...{ id, sent, n, text, attachments },
          ...(reply === undefined ? {} : { reply }),
          ...(replyTo === undefined ? {} : { replyTo }),
        };
        const bare = sizeOf(encode({ ...said, data: new Map() }));
        return encode({
          ...said,
          data: await this.files.inside(attachments, roomIn(bare, attachments.length)),
        });
      }
    }
  }

  async #sent(event: SentEvent): Promise<void> {
    this.#told.set(event.id, event);
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= EARLY) break;
      this.#told.delete(oldest);
    }
    const person = this.book.waitedFor(event.id);
    if (person === undefined) return;
    await this.own.open(person);
    this.#tell(person, event);
  }

  #tell(person: Person, { id, state, code }: SentEvent): void {
    this.book.told(person, id, state, code);
    this.own.changed(person);
  }

  #routeOf(person: Person): Route {
    const route = this.#routes.get(person) ?? {
      busy: new Set(),
      pause: FIRST_PAUSE,
      timer: undefined,
      readAt: 0,
      read: undefined,
    };
    this.#routes.set(person, route);
    return route;
  }
}

const isRead = (post: Post): boolean => post.what === "said" && post.said.kind === "read";

/** Bytes that attachments may have inside a document that has so many without them. */
export const roomIn = (bare: number, attachments: number): number =>
  Math.max(0, BOUNDS.document - bare - 16 * attachments);
