/**
 * The book: who is known, and what was said. A pure machine: it is told what came, what is written and what time it is, and
 * holds conversations as docs/spec/chat.md says they look.
 *
 * Inputs: `take` (a document of somebody), the commands (`write`, `edit`, `erase`, `react`, `see`, `add`, `accept`, …),
 * `progress` and `told` (how far something of one's own is). Outputs: what they return, each person's `outbox` (documents to
 * be sent, in order) and `changes` (what is to be stored). No timers: what is over is over by the time it is asked for.
 *
 * Invariants: lines of one peer are in the order of their `n`; a person's `unread` and `last` are those of its lines; nothing
 * grows beyond {@link LIMITS}. Lines of a conversation have to be there (`open`) before anything is done in it.
 */

import type { Role } from "weft-mesh";
import {
  type Attachment,
  type Contact,
  type Delete,
  type Dropped,
  decode,
  type Edit,
  type Envelope,
  given,
  type Leave,
  newId,
  type Profile,
  type Reaction,
  type Read,
  type Said,
  shown,
  type Text,
} from "./documents.js";
import {
  blockOf,
  type Circle,
  type Early,
  type Face,
  LIMITS,
  type Line,
  type Person,
  type Post,
  type State,
  TIMES,
} from "./model.js";

/** What came of a document. */
export interface Taken {
  /** Why nothing of it is kept. */
  readonly dropped?: Dropped | "repeated" | "stranger" | "blocked" | "full" | "reader";
  readonly person?: Person;
  /** A new text, if it is one. */
  readonly line?: Line;
  /** It is to be announced. */
  readonly announce?: boolean;
  /** Somebody whom one does not know asks. */
  readonly asks?: boolean;
  /** They are a contact from now on. */
  readonly met?: boolean;
  /** Pieces of attachments that came with it: of the text, or a document of their own. */
  readonly pieces?: readonly { readonly of: string; readonly at: number; readonly data: Uint8Array }[];
}

/** What is to be stored since it was last asked for. */
export interface Changes {
  readonly people: Set<Person>;
  /** Numbers of blocks of lines, by person. */
  readonly blocks: Map<Person, Set<number>>;
  readonly gone: Set<Person>;
}

/** What the core says of a publication that a document came in. */
export interface Published {
  readonly author: string;
  readonly feed: string;
  readonly id: string;
  readonly time: number;
  readonly backlog: boolean;
}

export class Book {
  readonly #people = new Map<string, Person>();
  readonly #lines = new Map<Person, Line[]>();
  readonly #seen = new Map<Person, Set<string>>();
  readonly #typing = new Map<Person, number>();
  readonly #recent = new Map<Person, number[]>();
  #changes: Changes = none();
  #locals = 0;
  /** Documents that were dropped, by reason. */
  readonly dropped = { malformed: 0, unknown: 0, repeated: 0, stranger: 0, blocked: 0, full: 0, reader: 0 };

  constructor(
    readonly identity: string,
    /** The peer that one is at the moment; it counts its documents. */
    readonly peer: string,
  ) {}

  // ── What is there ────────────────────────────────────────────────────────────────────────────────────────────

  /** Everybody, the latest conversation first. */
  people(): Person[] {
    return [...this.#people.values()].sort((a, b) => b.active - a.active || b.local - a.local);
  }

  person(identity: string): Person | undefined {
    return this.#people.get(identity);
  }

  /** Whether the lines of a conversation are there. */
  isOpen(person: Person): boolean {
    return this.#lines.has(person);
  }

  lines(person: Person): readonly Line[] {
    return this.#of(person);
  }

  line(person: Person, id: string, own: boolean): Line | undefined {
    return this.#of(person).findLast((line) => line.id === id && line.own === own);
  }

  /** Who wrote a line. */
  authorOf(person: Person, line: Line): string {
    return line.own ? this.identity : (line.author ?? person.identity);
  }

  /** A line by its author and id. */
  lineBy(person: Person, id: string, author: string): Line | undefined {
    return this.#of(person).findLast((line) => line.id === id && this.authorOf(person, line) === author);
  }

  /** The line that a line answers. */
  answered(person: Person, { reply, replyTo }: Line): Line | undefined {
    if (reply === undefined) return undefined;
    return this.#of(person).findLast(
      (line) => line.id === reply && (replyTo === undefined || replyTo === this.authorOf(person, line)),
    );
  }

  unread(): number {
    let sum = 0;
    for (const person of this.#people.values()) if (COUNTED.has(person.standing)) sum += person.unread;
    return sum;
  }

  isTyping(person: Person, now: number): boolean {
    return now < (this.#typing.get(person) ?? 0);
  }

  /** Lines that have all of these words, the latest first. */
  search(person: Person, words: string): Line[] {
    const wanted = words.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length === 0) return [];
    const has = ({ text, attachments, deleted }: Line) => {
      const all = `${shown(text)} ${attachments.map(({ name }) => name).join(" ")}`.toLocaleLowerCase();
      return !deleted && wanted.every((word) => all.includes(word));
    };
    return this.#of(person).filter(has).reverse();
  }

  // ── What is stored ───────────────────────────────────────────────────────────────────────────────────────────

  restore(person: Person): void {
    this.#people.set(person.identity, person);
    this.#locals = Math.max(this.#locals, person.local);
  }

  /** Lines of a conversation as they were stored, in any order. */
  open(person: Person, stored: readonly Line[]): void {
    const lines: Line[] = [];
    const seen = new Set<string>();
    for (const line of [...stored].sort((a, b) => a.key - b.key)) {
      place(lines, line, person.group !== undefined);
      const author = this.authorOf(person, line);
      seen.add(nameOf(author, line.id));
      const { own, theirs, others = {} } = line.reactions;
      if (line.edited) seen.add(nameOf(author, line.edited.id));
      if (own) seen.add(nameOf(this.identity, own.id));
      if (theirs) seen.add(nameOf(person.identity, theirs.id));
      for (const [by, { id }] of Object.entries(others)) seen.add(nameOf(by, id));
    }
    for (const { said, own, by } of person.early)
      seen.add(nameOf(own ? this.identity : (by ?? person.identity), said.id));
    this.#lines.set(person, lines);
    this.#seen.set(person, seen);
  }

  /** What is to be stored since the last time. */
  changes(): Changes {
    const changes = this.#changes;
    this.#changes = none();
    return changes;
  }

  // ── What comes ───────────────────────────────────────────────────────────────────────────────────────────────

  /** A document of somebody; whose conversation has to be open, if they are known. */
  take(from: string, peer: string, envelope: Envelope, data: unknown, now: number): Taken {
    const said = from === this.identity ? "unknown" : decode(data, envelope);
    if (typeof said === "string") return this.#drop(said);
    // In parties only.
    if (said.kind === "group" || said.kind === "leave") return this.#drop("unknown");
    const known = this.#people.get(from);
    if (known?.standing === "blocked") return this.#drop("blocked");
    const isStranger = known === undefined || known.standing === "stranger";
    if (isStranger && !OF_STRANGERS.has(said.kind)) return this.#drop("stranger");
    const person = known ?? this.#meet(from, "stranger", now);
    if ("id" in said && !this.#first(person, said.id, from)) return this.#drop("repeated");
    switch (said.kind) {
      case "text":
        return this.#takeText(person, peer, said, now);
      case "invitation":
        return this.#takeText(person, peer, invited(said), now, said.invitation);
      case "edit":
      case "delete":
      case "reaction":
        this.#apply(person, { said, peer, own: false });
        return { person };
      case "read":
        this.#read(person, said);
        return { person };
      case "typing":
        if (said.on) this.#typing.set(person, now + TIMES.typingShown);
        else this.#typing.delete(person);
        return { person };
      case "profile":
        return this.#profile(person, said);
      case "contact":
        return this.#asked(person, said, now);
      case "accept":
        if (person.standing !== "asked") return { person };
        person.called = said.name;
        this.#met(person, said.room, now);
        return { person, met: true };
      case "piece":
        return said.data === undefined
          ? { person }
          : { person, pieces: [{ of: said.of, at: said.at, data: said.data }] };
    }
  }

  /** A document that somebody published in a group, whose lines have to be there. */
  takeIn(group: Person, { author, feed, id, time, backlog }: Published, data: unknown, now: number): Taken {
    const circle = group.group;
    const said = circle === undefined ? "unknown" : decode(data, { id, time });
    if (circle === undefined || typeof said === "string") return this.#drop(said as Dropped);
    // What others let through, a reader's, is not taken all the same.
    if (this.#people.get(author)?.standing === "blocked") return this.#drop("blocked");
    if (circle.members[author] === "reader") return this.#drop("reader");
    const own = author === this.identity;
    switch (said.kind) {
      case "text":
      case "edit":
      case "delete":
      case "reaction":
        if (!this.#first(group, said.id, author)) return this.#drop("repeated");
        if (said.kind === "text") {
          this.#spoke(group, circle, author, said.sent);
          return this.#takeText(group, feed, said, now, undefined, { author, backlog });
        }
        this.#apply(group, { said, peer: feed, own, by: author });
        return { person: group };
      case "group": {
        const { kind: _, ...naming } = said;
        if (naming.issued > (circle.namings[author]?.issued ?? -1)) {
          circle.namings = keep({ ...circle.namings, [author]: naming }, LIMITS.namers, (who, { issued }) =>
            circle.members[who] === "admin" ? issued : issued - Number.MAX_SAFE_INTEGER,
          );
          this.#nameOfGroup(group, circle);
        }
        return { person: group };
      }
      case "profile": {
        const { kind: _, picture: __, ...face } = said;
        const there = circle.profiles[author];
        const room = there !== undefined || Object.keys(circle.profiles).length < LIMITS.members;
        this.#spoke(group, circle, author, face.issued);
        if (room && face.issued > (there?.issued ?? -1)) {
          circle.profiles = { ...circle.profiles, [author]: face };
          this.#touch(group);
        }
        return { person: group };
      }
      case "leave": {
        const later = this.#of(group).some(
          (line) => this.authorOf(group, line) === author && line.sent > said.sent,
        );
        const room = author in circle.left || Object.keys(circle.left).length < LIMITS.members;
        if (!own && !later && room && said.sent > (circle.left[author] ?? -1)) {
          circle.left = { ...circle.left, [author]: said.sent };
          this.#touch(group);
        }
        return { person: group };
      }
      default:
        return this.#drop("unknown");
    }
  }

  /** Who said that they leave is back when they say something later. */
  #spoke(group: Person, circle: Circle, author: string, sent: number): void {
    if (sent <= (circle.left[author] ?? Number.POSITIVE_INFINITY)) return;
    const { [author]: _, ...left } = circle.left;
    circle.left = left;
    this.#touch(group);
  }

  /** What a group is called: the latest of what its admins say. */
  #nameOfGroup(group: Person, circle: Circle): void {
    const namings = Object.entries(circle.namings).filter(([who]) => circle.members[who] === "admin");
    const [latest] = namings.sort(([a, one], [b, two]) => two.issued - one.issued || compareKeys(b, a));
    if (latest) group.face = latest[1];
    else delete group.face;
    this.#touch(group);
  }

  #takeText(
    person: Person,
    peer: string,
    said: Text,
    now: number,
    invitation?: string,
    of?: { readonly author: string; readonly backlog: boolean },
  ): Taken {
    const lines = this.#of(person);
    const own = of?.author === this.identity;
    const isStranger = person.standing === "stranger";
    if (isStranger && lines.length >= LIMITS.strangerLines) return this.#drop("full");
    this.#typing.delete(person);
    const announce = !isStranger && of?.backlog !== true && !own && this.#withinFlood(person, now);
    const line: Line = {
      key: this.#key(person),
      own,
      ...given({ author: own ? undefined : of?.author }),
      peer,
      id: said.id,
      n: said.n,
      sent: said.sent,
      time: said.sent > now + TIMES.ahead ? now : said.sent,
      came: now,
      text: said.text,
      ...given({ reply: said.reply, replyTo: said.replyTo, invitation }),
      attachments: said.attachments,
      reactions: {},
      ...(own ? { state: "published" as const } : { seen: !announce && !isStranger && of === undefined }),
    };
    this.#put(person, line);
    const pieces = [...said.data].map(([of, data]) => ({ of, at: 0, data }));
    return { person, line, announce: announce && person.muted !== true, pieces };
  }

  #asked(person: Person, said: Contact, now: number): Taken {
    const { id, room, name, note } = said;
    person.called = name;
    this.#touch(person);
    if (person.standing === "asked" && person.asked !== undefined) {
      this.#met(person, id < person.asked.id ? room : person.asked.room, now);
      return { person, met: true };
    }
    if (person.standing === "contact") {
      // They have forgotten us, and ask again.
      this.#met(person, room, now);
      this.#accepted(person, room);
      return { person };
    }
    const again = person.request !== undefined;
    person.request = { id, room, name, ...given({ note }) };
    person.active = now;
    return { person, asks: !again };
  }

  #profile(person: Person, { kind: _, ...face }: Profile): Taken {
    if (person.face === undefined || face.issued > person.face.issued) {
      person.face = face;
      this.#touch(person);
    }
    return { person };
  }

  /** An edit, delete or reaction: now, or when what it is of comes. */
  #apply(person: Person, early: Early): void {
    const { said } = early;
    const author = this.#meant(person, early);
    if (said.kind === "reaction" && author !== this.identity && author !== person.identity && !person.group)
      return;
    const line = this.lineBy(person, said.of, author);
    if (line === undefined) {
      person.early.push(early);
      person.early.splice(0, person.early.length - LIMITS.early);
      this.#touch(person);
      return;
    }
    if (said.kind === "reaction") this.#takeReaction(person, line, said, early);
    else this.#change(person, line, said, early.peer);
  }

  /** Who wrote what an edit, delete or reaction is of. */
  #meant(person: Person, { said, own, by }: Early): string {
    return said.kind === "reaction" ? said.author : own ? this.identity : (by ?? person.identity);
  }

  #takeReaction(person: Person, line: Line, { emoji, sent, id }: Reaction, { own, by }: Early): void {
    const { others = {} } = line.reactions;
    const there = own ? line.reactions.own : person.group ? others[by ?? ""] : line.reactions.theirs;
    if (there && (there.sent > sent || (there.sent === sent && there.id >= id))) return;
    const full = there === undefined && !own && Object.keys(others).length >= LIMITS.reactions;
    if (line.deleted || full) return;
    const one = { emoji, sent, id };
    const change = own
      ? { own: one }
      : person.group
        ? { others: { ...others, [by ?? ""]: one } }
        : { theirs: one };
    line.reactions = { ...line.reactions, ...change };
    this.#touchLine(person, line);
  }

  /** The edit with the highest number of the peer that wrote the text counts; a deletion is final, whatever its number. */
  #change(person: Person, line: Line, said: Edit | Delete, peer: string): void {
    const change = { id: said.id, n: said.n ?? 0, same: peer === line.peer };
    const { edited } = line;
    if (line.deleted) return;
    if (said.kind === "edit" && edited && (edited.same !== change.same ? edited.same : edited.n >= change.n))
      return;
    line.edited = change;
    if (said.kind === "edit") line.text = said.text;
    else this.#blank(line);
    this.#touchLine(person, line);
  }

  #blank(line: Line): void {
    line.deleted = true;
    line.text = "";
    line.attachments = [];
    line.reactions = {};
    line.seen = true;
  }

  /** What they have read: what it names, and with `upTo` all of one's own before it. */
  #read(person: Person, { upTo, ids }: Read): void {
    const lines = this.#of(person);
    const until = upTo === undefined ? -1 : lines.findIndex((line) => line.own && line.id === upTo);
    const named = new Set(ids);
    for (const [at, line] of lines.entries()) {
      if (!line.own || line.state === "failed") continue;
      if (at <= until || named.has(line.id)) this.#state(person, line, "read");
    }
  }

  // ── What one says ────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a text. */
  write(
    person: Person,
    text: string,
    now: number,
    more: { readonly reply?: Line | undefined; readonly attachments?: readonly Attachment[] } = {},
  ): Line {
    const { reply, attachments = [] } = more;
    const answer = reply && {
      reply: reply.id,
      replyTo: this.authorOf(person, reply),
    };
    this.#introduce(person);
    const line: Line = {
      key: this.#key(person),
      own: true,
      peer: this.peer,
      ...this.#named(person, now),
      time: now,
      came: now,
      text,
      ...answer,
      attachments,
      reactions: {},
      state: "sending",
    };
    this.#put(person, line);
    this.#post(person, { what: "line", line: line.id });
    return line;
  }

  edit(person: Person, line: Line, text: string, now: number): void {
    const said: Edit = { kind: "edit", ...this.#named(person, now), of: line.id, text };
    this.#apply(person, { said, peer: this.peer, own: true });
    this.#post(person, { what: "said", said });
  }

  /** Takes back what one wrote. */
  erase(person: Person, line: Line, now: number): void {
    const said: Delete = { kind: "delete", ...this.#named(person, now), of: line.id };
    this.#apply(person, { said, peer: this.peer, own: true });
    this.#post(person, { what: "said", said });
  }

  /** Reacts to a line; the same once more takes it back. */
  react(person: Person, line: Line, emoji: string, now: number): void {
    const author = this.authorOf(person, line);
    const wanted = line.reactions.own?.emoji === emoji ? "" : emoji;
    const sent = Math.max(now, (line.reactions.own?.sent ?? 0) + 1);
    const said: Reaction = {
      kind: "reaction",
      ...this.#named(person, now),
      sent,
      of: line.id,
      author,
      emoji: wanted,
    };
    this.#apply(person, { said, peer: this.peer, own: true });
    this.#post(person, { what: "said", said });
  }

  /** What is on a visible screen was seen; says so, if it is wanted. */
  see(person: Person, say: boolean): boolean {
    const fresh = this.#of(person).filter((line) => !line.own && line.seen === false);
    for (const line of fresh) {
      line.seen = true;
      this.#touchLine(person, line);
    }
    const last = fresh.at(-1);
    if (!say || last === undefined || person.standing !== "contact") return fresh.length > 0;
    const said: Read = { kind: "read", upTo: last.id, ids: [] };
    person.outbox = person.outbox.filter((post) => post.what !== "said" || post.said.kind !== "read");
    this.#post(person, { what: "said", said });
    return true;
  }

  /** Sends once more what failed. */
  again(person: Person, line: Line): void {
    if (line.state !== "failed") return;
    delete line.code;
    line.state = "sending";
    this.#touchLine(person, line);
    this.#post(person, { what: "line", line: line.id });
  }

  // ── Whom one knows ───────────────────────────────────────────────────────────────────────────────────────────

  /** Adds somebody: asks them, or accepts if they have asked. Throws what to say to people. */
  add(
    identity: string,
    own: { readonly name: string; readonly note?: string | undefined },
    now: number,
    called?: string,
  ): Person {
    if (identity === this.identity) throw new Error("That is your own link. Give it to others.");
    const known = this.#people.get(identity);
    if (known?.standing === "contact" || known?.standing === "asked") return known;
    this.#hasRoom();
    const person = known ?? this.#meet(identity, "asked", now);
    if (called !== undefined) person.called ??= called;
    if (person.request !== undefined) {
      this.accept(person, own.name, now);
      return person;
    }
    const room = newId();
    const named = this.#named(person, now);
    person.standing = "asked";
    person.asked = { id: named.id, room };
    person.active = now;
    const said: Contact = {
      kind: "contact",
      ...named,
      name: own.name,
      room,
      ...given({ note: own.note || undefined }),
    };
    this.#post(person, { what: "said", said });
    return person;
  }

  /** Takes somebody who asked, or only wrote, for a contact. */
  accept(person: Person, name: string, now: number): void {
    this.#ownName = name;
    this.#hasRoom();
    const { request } = person;
    if (request === undefined) return void this.add(person.identity, { name }, now);
    this.#met(person, request.room, now);
    this.#accepted(person, request.room);
  }

  /** One's name, for what is said by itself. */
  set name(name: string) {
    this.#ownName = name;
  }
  #ownName = "?";

  #accepted(person: Person, room: string): void {
    // Ahead of the profile that follows it.
    const profile = person.outbox.filter(({ what }) => what === "profile");
    person.outbox = person.outbox.filter(({ what }) => what !== "profile");
    this.#post(person, { what: "said", said: { kind: "accept", name: this.#ownName, room } });
    person.outbox.push(...profile);
  }

  #met(person: Person, room: string, now: number): void {
    person.standing = "contact";
    person.room = room;
    person.active = Math.max(person.active, now);
    delete person.request;
    delete person.asked;
    this.tellProfile(person);
  }

  /** One's profile goes to this contact. */
  tellProfile(person: Person): void {
    person.outbox = person.outbox.filter(({ what }) => what !== "profile");
    this.#post(person, { what: "profile" });
  }

  /** Forgets somebody and all that was said; who is blocked stays so. */
  remove(person: Person): void {
    this.#people.delete(person.identity);
    for (const map of [this.#lines, this.#seen, this.#typing, this.#recent]) map.delete(person);
    this.#changes.people.delete(person);
    this.#changes.blocks.delete(person);
    this.#changes.gone.add(person);
  }

  /** Takes nothing from somebody any more, or again. Nobody tells them. */
  block(person: Person, blocked: boolean): void {
    person.standing = blocked ? "blocked" : person.room === undefined ? "stranger" : "contact";
    if (blocked) person.outbox = [];
    this.#touch(person);
  }

  /** What one notes about somebody. */
  note(person: Person, note: Partial<Pick<Person, "localName" | "compared" | "muted">>): void {
    Object.assign(person, note);
    if (person.localName === "") delete person.localName;
    this.#touch(person);
  }

  // ── Groups ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** The group of a party. */
  groupOf(key: string): Person | undefined {
    return this.#people.get(`group:${key}`);
  }

  /** A group that one has founded just now. Throws what to say to people. */
  found(key: string, name: string, now: number): Person {
    const group = this.#newGroup(key, name, "member", now);
    if (group.group) group.group.members = { [this.identity]: "admin" };
    this.#introduce(group);
    this.nameGroup(group, { name }, now);
    return group;
  }

  /** Joins a group by an invitation. Throws what to say to people. */
  join(key: string, name: string, invitation: string, now: number): Person {
    const known = this.groupOf(key);
    if (known?.group?.state === "member") throw new Error("You are in that group already.");
    const group = known ?? this.#newGroup(key, name, "joining", now);
    if (group.group) Object.assign(group.group, { state: "joining", invitation });
    this.#touch(group);
    return group;
  }

  /** Remembers that an invitation was taken, or turned down. */
  answer(person: Person, line: Line, taken: boolean): void {
    line.taken = taken;
    this.#touchLine(person, line);
  }

  /** What the group is called, for everybody. */
  nameGroup(group: Person, face: Omit<Face, "issued">, now: number): void {
    const circle = group.group;
    if (circle === undefined) return;
    const last = Math.max(0, ...Object.values(circle.namings).map(({ issued }) => issued));
    const issued = Math.max(now, last + 1);
    const naming = { issued, name: face.name, ...given({ picture: face.picture }) };
    circle.namings = { ...circle.namings, [this.identity]: naming };
    this.#nameOfGroup(group, circle);
    this.#post(group, { what: "said", said: { kind: "group", ...naming } });
  }

  /** Who is a member now. */
  members(group: Person, members: readonly { readonly identity: string; readonly role: Role }[]): void {
    const circle = group.group;
    // A party has an admin at least: otherwise nothing is known yet.
    if (circle === undefined || members.length === 0) return;
    // Oneself and admins before others, where there are more than are kept.
    const rank = ({ identity, role }: { readonly identity: string; readonly role: Role }) =>
      identity === this.identity ? 0 : role === "admin" ? 1 : role === "writer" ? 2 : 3;
    const first = [...members].sort((a, b) => rank(a) - rank(b) || compareKeys(a.identity, b.identity));
    const now = Object.fromEntries(
      first.slice(0, LIMITS.members).map(({ identity, role }) => [identity, role]),
    );
    const before = circle.members;
    const isIn = this.identity in now;
    const state = isIn ? "member" : circle.state === "member" ? "out" : circle.state;
    if (state === circle.state && JSON.stringify(now) === JSON.stringify(before)) return;
    const gone = Object.keys(before).filter((who) => !(who in now) && who !== this.identity);
    circle.former = [...new Set([...circle.former, ...gone])]
      .filter((who) => !(who in now))
      .slice(-LIMITS.members);
    circle.left = Object.fromEntries(Object.entries(circle.left).filter(([who]) => !gone.includes(who)));
    if (Object.keys(now).some((who) => !(who in before))) circle.introduced = false;
    circle.members = now;
    if (state === "out" && circle.state === "member") circle.why = "removed";
    const letIn = state === "member" && circle.state !== "member";
    circle.state = state;
    if (isIn) {
      delete circle.invitation;
      delete circle.why;
    }
    this.#nameOfGroup(group, circle);
    if (letIn) this.#introduce(group);
  }

  /** A peer does not take one for a member. As a member one believes it of members: who was removed says the same of others. */
  excluded(group: Person, code: string, by?: string): void {
    const circle = group.group;
    if (circle === undefined || circle.state === "out") return;
    const certain =
      circle.state === "joining"
        ? ["invitation-used", "invitation-expired", "bad-invitation", "removed"].includes(code)
        : code === "removed" && by !== undefined && by in circle.members;
    if (!certain) return;
    Object.assign(circle, { state: "out", why: code });
    delete circle.invitation;
    this.#touch(group);
  }

  /** What one may do in a group: undefined for who is no member. */
  role(group: Person, identity = this.identity): Role | undefined {
    return group.group?.state === "member" ? group.group.members[identity] : undefined;
  }

  /** Sends a contact an invitation, which an admin, oneself, has said in the party. */
  invite(person: Person, group: Person, invitation: string, now: number): Line {
    const line: Line = {
      key: this.#key(person),
      own: true,
      peer: this.peer,
      ...this.#named(person, now),
      time: now,
      came: now,
      text: nameOfPerson(group),
      invitation,
      attachments: [],
      reactions: {},
      state: "sending",
    };
    this.#put(person, line);
    this.#post(person, { what: "line", line: line.id });
    return line;
  }

  /** What one says last in a group. */
  farewell(group: Person, now: number): Leave {
    return { kind: "leave", ...this.#named(group, now) };
  }

  /** What a member of a group is called: as a contact, or as they say themselves, with the end of their identity. */
  memberName(group: Person, identity: string): string {
    const known = this.#people.get(identity);
    if (known?.standing === "contact" || known?.standing === "asked") return nameOfPerson(known);
    const name = shown(group.group?.profiles[identity]?.name ?? "").trim() || "Somebody";
    return `${name} (${identity.slice(-4)})`;
  }

  /** How a member looks. */
  memberFace(group: Person, identity: string): Face | undefined {
    return this.#people.get(identity)?.face ?? group.group?.profiles[identity];
  }

  /** One is called otherwise: every group is told. */
  introduceEverywhere(): void {
    for (const person of this.#people.values()) {
      if (person.group) person.group.introduced = false;
      this.#introduce(person);
    }
  }

  /** Says who one is, if somebody may not know it. */
  #introduce(person: Person): void {
    const circle = person.group;
    const role = this.role(person);
    if (circle === undefined || circle.introduced || (role !== "writer" && role !== "admin")) return;
    circle.introduced = true;
    this.tellProfile(person);
  }

  #newGroup(key: string, name: string, state: Circle["state"], now: number): Person {
    const count = [...this.#people.values()].filter(({ standing }) => standing === "group").length;
    if (this.groupOf(key) !== undefined) throw new Error("You are in that group already.");
    if (count >= LIMITS.groups)
      throw new Error(`You are in ${LIMITS.groups} groups already: leave one first.`);
    const group = this.#meet(`group:${key}`, "group", now);
    group.called = name;
    group.group = {
      key,
      state,
      namings: {},
      members: {},
      former: [],
      profiles: {},
      left: {},
      introduced: false,
    };
    return group;
  }

  // ── How far one's own are ────────────────────────────────────────────────────────────────────────────────────

  /** Something of the outbox is done: it is gone from there. */
  posted(person: Person, post: Post): void {
    person.outbox = person.outbox.filter(({ key }) => key !== post.key);
    this.#touch(person);
  }

  /** Pieces that follow a text, right behind it. */
  follow(person: Person, pieces: readonly { readonly of: string; readonly at: number }[]): void {
    for (const piece of pieces) this.#post(person, { what: "piece", ...piece });
  }

  /** How far a line of one's own is as people understand it: what is stored for somebody is so with its files. */
  stateOf(person: Person, { state, attachments }: Pick<Line, "state" | "attachments">): State | undefined {
    const isOf = (hash: string) => attachments.some((attachment) => attachment.hash === hash);
    const isBehind = (post: Post) => post.what === "piece" && isOf(post.of);
    return state === "stored" && person.outbox.some(isBehind) ? "sending" : state;
  }

  /** How far a line is, and under which id the core will tell more of it. */
  progress(
    person: Person,
    id: string,
    state: State,
    more: { readonly core?: string; readonly code?: string } = {},
  ): void {
    const line = this.line(person, id, true);
    const { core, code } = more;
    if (core !== undefined && state === "stored") {
      person.waiting[core] = id;
      const [oldest] = Object.keys(person.waiting);
      if (oldest !== undefined && Object.keys(person.waiting).length > LIMITS.waiting)
        delete person.waiting[oldest];
    }
    if (line === undefined) return;
    delete line.waits;
    this.#state(person, line, state, code);
  }

  /** It was tried, and goes when somebody can take it. */
  waits(person: Person, id: string): void {
    const line = this.line(person, id, true);
    if (line === undefined || line.waits) return;
    line.waits = true;
    this.#touchLine(person, line);
  }

  /** Whom the core tells of. */
  waitedFor(core: string): Person | undefined {
    for (const person of this.#people.values()) if (Object.hasOwn(person.waiting, core)) return person;
    return undefined;
  }

  /** The core tells what became of a message that waited; its conversation has to be open. */
  told(person: Person, core: string, state: State, code?: string): void {
    const id = person.waiting[core];
    if (id === undefined || state === "stored") return;
    delete person.waiting[core];
    this.#touch(person);
    this.progress(person, id, state, given({ code }));
  }

  /** A state never goes back: what failed may have come after all, what came does not fail. */
  #state(person: Person, line: Line, state: State, code?: string): void {
    const now = line.state ?? "sending";
    const mayFail = now === "sending" || now === "stored";
    if (state === "failed" ? !mayFail : now !== "failed" && RANK[state] <= RANK[now]) return;
    if (now === "failed" && state === "sending") return;
    line.state = state;
    if (state === "failed" && code !== undefined) line.code = code;
    else delete line.code;
    this.#touchLine(person, line);
  }

  // ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────────

  #meet(identity: string, standing: Person["standing"], now: number): Person {
    this.#locals += 1;
    const person: Person = {
      local: this.#locals,
      identity,
      standing,
      active: now,
      since: now,
      counted: { peer: this.peer, n: 0 },
      keys: 0,
      unread: 0,
      outbox: [],
      waiting: {},
      early: [],
    };
    this.#people.set(identity, person);
    this.open(person, []);
    this.#touch(person);
    if (standing === "group") return person;
    const strangers = [...this.#people.values()].filter(({ standing }) => standing === "stranger");
    const oldest = strangers.sort((a, b) => a.since - b.since || a.local - b.local)[0];
    if (strangers.length > LIMITS.strangers && oldest) this.remove(oldest);
    return person;
  }

  #of(person: Person): Line[] {
    const lines = this.#lines.get(person);
    if (lines === undefined) throw new Error("this conversation is not open");
    return lines;
  }

  /** Whether this is the first document of that id by that author. */
  #first(person: Person, id: string, author: string): boolean {
    const seen = this.#seen.get(person) ?? new Set();
    const name = nameOf(author, id);
    if (seen.has(name)) return false;
    seen.add(name);
    for (const oldest of seen) {
      if (seen.size <= 2 * LIMITS.lines) break;
      seen.delete(oldest);
    }
    return true;
  }

  #withinFlood(person: Person, now: number): boolean {
    const recent = (this.#recent.get(person) ?? []).filter((time) => time > now - TIMES.flood);
    recent.push(now);
    this.#recent.set(person, recent.slice(-LIMITS.flood - 1));
    return recent.length <= LIMITS.flood;
  }

  #named(person: Person, now: number): { readonly id: string; readonly sent: number; readonly n: number } {
    const n = person.counted.peer === this.peer ? person.counted.n + 1 : 1;
    person.counted = { peer: this.peer, n };
    const id = newId();
    this.#first(person, id, this.identity);
    return { id, sent: now, n };
  }

  /** Throws what to say to people if there is none for one more. */
  #hasRoom(): void {
    const known = [...this.#people.values()];
    const count = known.filter(({ standing }) => standing !== "stranger" && standing !== "group").length;
    if (count >= LIMITS.contacts)
      throw new Error(`There are ${LIMITS.contacts} contacts already: remove one first.`);
  }

  #key(person: Person): number {
    person.keys += 1;
    return person.keys;
  }

  #put(person: Person, line: Line): void {
    const lines = this.#of(person);
    place(lines, line, person.group !== undefined);
    person.active = line.came;
    while (lines.length > LIMITS.lines) {
      const oldest = lines.shift();
      if (oldest) this.#touchLine(person, oldest);
    }
    this.#touchLine(person, line);
    const author = this.authorOf(person, line);
    const meant = (early: Early) => early.said.of === line.id && this.#meant(person, early) === author;
    const early = person.early.filter(meant);
    if (early.length === 0) return;
    person.early = person.early.filter((each) => !meant(each));
    for (const each of early) this.#apply(person, each);
  }

  #post(person: Person, post: PostOf<Post>): void {
    person.outbox.push({ key: this.#key(person), ...post } as Post);
    this.#touch(person);
  }

  #touch(person: Person): void {
    if (this.#people.get(person.identity) === person) this.#changes.people.add(person);
  }

  #touchLine(person: Person, line: Line): void {
    const blocks = this.#changes.blocks.get(person) ?? new Set();
    this.#changes.blocks.set(person, blocks.add(blockOf(line.key)));
    this.#sum(person);
  }

  /** What is shown of a conversation that is not open. */
  #sum(person: Person): void {
    const lines = this.#of(person);
    person.unread = lines.reduce((sum, { own, seen }) => sum + (!own && seen === false ? 1 : 0), 0);
    const last = lines.at(-1);
    if (last === undefined) delete person.last;
    else {
      const text = last.deleted ? "" : [...shown(last.text)].slice(0, 120).join("");
      person.last = {
        own: last.own,
        text,
        attached: last.attachments.length,
        ...given({
          state: last.state,
          author: last.author,
          invited: last.invitation === undefined ? undefined : true,
        }),
      };
    }
    this.#touch(person);
  }

  #drop(dropped: NonNullable<Taken["dropped"]>): Taken {
    this.dropped[dropped] += 1;
    return { dropped };
  }
}

type PostOf<P> = P extends unknown ? Omit<P, "key"> : never;

const none = (): Changes => ({ people: new Set(), blocks: new Map(), gone: new Set() });

/** What is taken of who is no contact. */
const OF_STRANGERS: ReadonlySet<Said["kind"]> = new Set(["text", "edit", "delete", "reaction", "contact"]);

const RANK: Record<State, number> = { failed: 0, sending: 0, stored: 1, published: 1, delivered: 2, read: 3 };

const nameOf = (author: string, id: string): string => `${author} ${id}`;

/** Whose unread lines count. */
const COUNTED: ReadonlySet<Person["standing"]> = new Set(["contact", "asked", "group"]);

/** Those of the highest rank, at most so many. */
function keep<T>(
  all: { [who: string]: T },
  most: number,
  rank: (who: string, one: T) => number,
): { [who: string]: T } {
  const entries = Object.entries(all);
  if (entries.length <= most) return all;
  return Object.fromEntries(entries.sort(([a, one], [b, two]) => rank(b, two) - rank(a, one)).slice(0, most));
}

/** The order of keys by their bytes: base58 keeps it between texts of one length, its digits being in that of ASCII. */
const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What is shown of an invitation into a group. */
const invited = ({
  id,
  sent,
  n,
  name,
}: {
  id: string;
  sent: number;
  n: number | undefined;
  name: string;
}): Text => ({
  kind: "text",
  id,
  sent,
  n,
  text: name,
  attachments: [],
  data: new Map(),
});

/** Puts a line where it belongs: behind what came before, but before what its peer wrote after it; in a group by its time. */
function place(lines: Line[], line: Line, byTime: boolean): void {
  let at = lines.length;
  if (byTime) {
    while (at > 0 && isBefore(line, lines[at - 1] as Line)) at -= 1;
    lines.splice(at, 0, line);
    return;
  }
  for (let before = lines.length - 1; before >= 0 && line.n !== undefined; before -= 1) {
    const other = lines[before];
    if (other?.n === undefined || other.own !== line.own || other.peer !== line.peer) continue;
    // Those of one peer are in order, so that nothing before this one is later.
    if (other.n <= line.n) break;
    at = before;
  }
  lines.splice(at, 0, line);
}

/** The order in a group: by time, then id, then author. Of two lines with the same id at most one is one's own. */
function isBefore(a: Line, b: Line): boolean {
  if (a.time !== b.time) return a.time < b.time;
  if (a.id !== b.id) return a.id < b.id;
  return compareKeys(a.author ?? "", b.author ?? "") < 0;
}

/** What somebody is called: by oneself, by themselves, or by what stands for it. */
export function nameOfPerson({ localName, face, called, identity }: Person): string {
  const whoever = identity.startsWith("group:") ? "Group" : "Somebody";
  return shown(localName ?? face?.name ?? called ?? "").trim() || `${whoever} ${identity.slice(-4)}`;
}

/** A face as a document. */
export const profileOf = (face: Face): Profile => ({ kind: "profile", ...face });
