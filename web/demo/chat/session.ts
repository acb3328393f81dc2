/**
 * A running chat: the peer, the book, the vault and what carries between them. What comes goes one after the other, so that
 * everything is applied in the order of its coming and stored before the next.
 */

import { connect, type DataEvent, type Message, type Weft } from "weft-mesh";
import { type Address, linkOf } from "./address.js";
import { Book, nameOfPerson, type Taken } from "./book.js";
import { Courier, roomIn } from "./courier.js";
import { type Attachment, encode, sizeOf } from "./documents.js";
import { Files } from "./files.js";
import { Groups, last } from "./groups.js";
import { partyOf } from "./identity.js";
import { blockOf, type Face, type Line, type Person, TIMES } from "./model.js";
import { Rooms } from "./rooms.js";
import { merge, type Settings } from "./settings.js";
import type { Entry, Vault } from "./vault.js";

/** The name of the record of settings. */
const SETTINGS = "settings";

/** What the page wants to know. */
export interface Watcher {
  /** Something of somebody changed, or of everybody. */
  changed(person: Person | undefined): void;
  /** Something of a file changed. */
  file(hash: string): void;
  /** Something is to be announced. */
  announce(person: Person, taken: Taken): void;
  /** Whether this conversation is on a visible screen. */
  visible(person: Person): boolean;
  /** Something is wrong. */
  wrong(what: string, error: unknown): void;
}

/** The settings that are stored; undefined at the first visit. */
export async function storedSettings(vault: Vault): Promise<Settings | undefined> {
  return (await vault.get(SETTINGS)) as Settings | undefined;
}

export class Session {
  readonly book: Book;
  readonly rooms: Rooms;
  readonly groups: Groups;
  readonly #opening = new Map<Person, Promise<void>>();
  #files: Files | undefined;
  #courier: Courier | undefined;
  #inbox: Promise<void> = Promise.resolve();
  #saving = false;

  private constructor(
    readonly weft: Weft,
    readonly vault: Vault,
    readonly settings: Settings,
    readonly watcher: Watcher,
  ) {
    this.book = new Book(weft.identity, weft.peer);
    this.rooms = new Rooms(weft, this.book, (person) => {
      if (this.rooms.linked(person)) {
        this.#courier?.go(person, true);
        this.#files?.go(person.identity);
      }
      this.watcher.changed(person);
    });
    this.groups = new Groups(weft, this.book, {
      published: (group, event) => this.#takeIn(group, event),
      changed: (group) => {
        this.#files?.meet(group.identity);
        this.#changed(group);
      },
      joined: (group) => this.#courier?.go(group, true),
    });
  }

  static async start(vault: Vault, settings: Settings, watcher: Watcher): Promise<Session> {
    await vault.put([[SETTINGS, settings]]);
    const weft = await connect({
      signalers: settings.signalers,
      name: "",
      wasm: new URL("../weft_bg.wasm", import.meta.url),
    });
    const session = new Session(weft, vault, settings, watcher);
    session.book.name = settings.face.name;
    for (const person of (await vault.all("person/")) as Person[]) session.book.restore(person);
    session.#files = await Files.open(vault, weft, (hash) => watcher.file(hash), {
      present: (group) => session.#present(group),
      has: (group, who, hash) => session.#has(group, who, hash),
    });
    session.#courier = new Courier(weft, session.book, session.rooms, session.files, session.groups, {
      face: () => settings.face,
      open: (person) => session.open(person),
      changed: (person) => session.#changed(person),
    });
    // Only now: what waits is fetched when somebody takes it.
    weft.on("message", (message) => session.#take(message));
    session.rooms.follow();
    session.groups.follow();
    session.courier.all();
    return session;
  }

  get files(): Files {
    if (this.#files === undefined) throw new Error("files are not open yet");
    return this.#files;
  }

  get courier(): Courier {
    if (this.#courier === undefined) throw new Error("nobody carries yet");
    return this.#courier;
  }

  /** What others add one by. */
  link(): string {
    const { signalers, face } = this.settings;
    return linkOf({ identity: this.weft.identity, name: face.name, signalers });
  }

  /** The same as an address of this page. */
  pageLink(): string {
    return `${location.origin}${location.pathname}#${this.link()}`;
  }

  /** Makes sure that the lines of a conversation are there. */
  async open(person: Person): Promise<void> {
    if (this.book.isOpen(person)) return;
    const opening =
      this.#opening.get(person) ??
      this.vault.all(linesOf(person)).then((blocks) => {
        if (!this.book.isOpen(person)) this.book.open(person, (blocks as Line[][]).flat());
        this.#opening.delete(person);
      });
    this.#opening.set(person, opening);
    await opening;
  }

  // ── What comes ───────────────────────────────────────────────────────────────────────────────────────────────

  #take({ from, peer, id, time, data }: Message): void {
    const work = async () => {
      const known = this.book.person(from);
      if (known) await this.open(known);
      const taken = this.book.take(from, peer, { id, time }, data, Date.now());
      const { person, line, pieces, met, announce, asks } = taken;
      if (person === undefined) return;
      if (line) await this.files.expect(person, line.attachments);
      for (const piece of pieces ?? []) await this.files.take(from, piece.of, piece.at, piece.data);
      if (met || (line && this.rooms.presence(person) === undefined)) this.rooms.follow();
      if (line && announce && this.watcher.visible(person)) this.see(person);
      this.#changed(person);
      if (this.book.isTyping(person, Date.now()))
        setTimeout(() => this.watcher.changed(person), TIMES.typingShown + 20);
      if (announce || asks || met) this.watcher.announce(person, taken);
    };
    this.#queue(work);
  }

  #takeIn(group: Person, { author, feed, id, time, backlog, data }: DataEvent): void {
    this.#queue(async () => {
      if (this.book.person(group.identity) !== group) return;
      await this.open(group);
      const taken = this.book.takeIn(group, { author, feed, id, time, backlog }, data, Date.now());
      const { line, pieces = [], announce = false } = taken;
      if (taken.person === undefined) return;
      if (line) await this.files.expect(group, line.attachments, author);
      for (const piece of pieces) await this.files.take(group.identity, piece.of, piece.at, piece.data);
      if (line && this.watcher.visible(group)) this.see(group);
      this.#changed(group);
      if (announce) this.watcher.announce(group, taken);
    });
  }

  /** Members of a group that are there and may be asked for files. */
  #present(identity: string): readonly string[] {
    const group = this.book.person(identity);
    if (group === undefined) return [];
    return [...this.groups.present(group)].filter((who) => this.#isMember(group, who));
  }

  /** Whether a text with that file is in a group that somebody is a member of, as oneself. */
  async #has(identity: string, who: string, hash: string): Promise<boolean> {
    const group = this.book.person(identity);
    if (group === undefined || !this.#isMember(group, who)) return false;
    await this.open(group);
    return this.book.lines(group).some(({ attachments }) => attachments.some((one) => one.hash === hash));
  }

  #isMember(group: Person, who: string): boolean {
    return this.book.role(group, who) !== undefined && this.book.person(who)?.standing !== "blocked";
  }

  #queue(work: () => Promise<void>): void {
    this.#inbox = this.#inbox
      .then(work)
      .catch((error: unknown) => this.watcher.wrong("What came was lost", error));
  }

  // ── What one does ────────────────────────────────────────────────────────────────────────────────────────────

  async write(
    person: Person,
    text: string,
    reply: Line | undefined,
    attachments: readonly Attachment[],
  ): Promise<void> {
    await this.files.give(person, attachments);
    const line = this.book.write(person, text, Date.now(), { reply, attachments });
    if (attachments.length > 0 && !person.group) {
      const { id, sent, n } = line;
      const bare = { kind: "text", id, sent, n, text, attachments, data: new Map() } as const;
      const size = sizeOf(
        encode({
          ...bare,
          ...(line.reply ? { reply: line.reply } : {}),
          ...(line.replyTo ? { replyTo: line.replyTo } : {}),
        }),
      );
      this.book.follow(person, this.files.following(attachments, roomIn(size, attachments.length)));
    }
    this.courier.typed(person);
    this.rooms.follow();
    this.#changed(person);
  }

  // ── Groups ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Makes a group. Rejects with what to say to people. */
  async found(name: string): Promise<Person> {
    const party = await this.groups.found();
    const group = this.book.found(party.key, name, Date.now());
    this.groups.adopt(group, party);
    this.#changed(group);
    return group;
  }

  /** Invites a contact; who may read what was said before, if that is so. */
  async invite(group: Person, person: Person, history: boolean): Promise<void> {
    const party = this.groups.party(group);
    await this.open(person);
    // No invitation lets in who was removed.
    if (group.group?.former.includes(person.identity)) party.admit(person.identity, { history });
    this.book.invite(person, group, party.invite({ history }), Date.now());
    this.#changed(person);
  }

  /** Takes an invitation, or turns it down. */
  answer(person: Person, line: Line, take: boolean): Person | undefined {
    const { invitation } = line;
    if (invitation === undefined || line.own || line.taken !== undefined) return undefined;
    const key = partyOf(invitation);
    const group = take ? this.book.join(key, line.text, invitation, Date.now()) : undefined;
    this.book.answer(person, line, take);
    this.#changed(person);
    if (group) this.#changed(group);
    this.groups.follow();
    return group;
  }

  /** Joins a group by an invitation that came another way. Throws what to say to people. */
  join(invitation: string): Person {
    const group = this.book.join(partyOf(invitation), "", invitation.trim(), Date.now());
    this.#changed(group);
    this.groups.follow();
    return group;
  }

  expel(group: Person, identity: string): void {
    this.groups.party(group).remove(identity);
    this.book.members(group, this.groups.party(group).members() ?? []);
    this.#changed(group);
  }

  nameGroup(group: Person, face: Omit<Face, "issued">): void {
    this.book.nameGroup(group, face, Date.now());
    this.#changed(group);
  }

  /** Leaves a group, and removes what was said there. */
  async leave(group: Person): Promise<void> {
    const said = last(this.book, group);
    this.book.remove(group);
    this.#changed(undefined);
    await this.files.forget(group);
    await this.groups.leave(group, said);
  }

  edit(person: Person, line: Line, text: string): void {
    this.book.edit(person, line, text, Date.now());
    this.#changed(person);
  }

  erase(person: Person, line: Line): void {
    this.book.erase(person, line, Date.now());
    this.#changed(person);
  }

  react(person: Person, line: Line, emoji: string): void {
    this.book.react(person, line, emoji, Date.now());
    this.#changed(person);
  }

  again(person: Person, line: Line): void {
    this.book.again(person, line);
    this.#changed(person);
  }

  /** A conversation is on a visible screen. */
  see(person: Person): void {
    if (!this.book.isOpen(person) || person.unread === 0) return;
    if (this.book.see(person, this.settings.receipts)) this.#changed(person);
  }

  async add(address: Address, note: string | undefined): Promise<Person> {
    const known = this.book.person(address.identity);
    if (known) await this.open(known);
    if (known?.standing === "blocked") this.block(known, false);
    const person = this.book.add(
      address.identity,
      { name: this.settings.face.name, note },
      Date.now(),
      address.name,
    );
    const signalers = merge(this.settings.signalers, address.signalers);
    if (signalers.length > this.settings.signalers.length) await this.set({ signalers });
    this.rooms.follow();
    this.#changed(person);
    return person;
  }

  async accept(person: Person): Promise<void> {
    await this.open(person);
    this.book.accept(person, this.settings.face.name, Date.now());
    for (const { own, attachments } of this.book.lines(person))
      if (!own) await this.files.expect(person, attachments);
    this.rooms.follow();
    this.#changed(person);
  }

  async remove(person: Person): Promise<void> {
    this.book.remove(person);
    await this.files.forget(person);
    this.rooms.follow();
    this.#changed(undefined);
  }

  block(person: Person, blocked: boolean): void {
    this.book.block(person, blocked);
    this.rooms.follow();
    this.#changed(person);
  }

  note(person: Person, note: Parameters<Book["note"]>[1]): void {
    this.book.note(person, note);
    this.#changed(person);
  }

  /** Changes settings; those of signalers count from the next start. */
  async set(change: Partial<Settings>): Promise<void> {
    Object.assign(this.settings, change);
    await this.vault.put([[SETTINGS, this.settings]]);
    this.watcher.changed(undefined);
  }

  /** Changes what others see of one; all contacts are told. */
  async setFace(face: Omit<Face, "issued">): Promise<void> {
    const issued = Math.max(Date.now(), this.settings.face.issued + 1);
    await this.set({ face: { ...face, issued } });
    this.book.name = face.name;
    for (const person of this.book.people()) {
      if (person.standing !== "contact") continue;
      this.book.tellProfile(person);
      this.#changed(person);
    }
    this.book.introduceEverywhere();
    for (const person of this.book.people()) if (person.group) this.#changed(person);
  }

  nameOf(person: Person): string {
    return nameOfPerson(person);
  }

  /** What the author of a line is called. */
  authorOf(person: Person, line: Line): string {
    if (person.group === undefined) return this.nameOf(person);
    return this.book.memberName(person, this.book.authorOf(person, line));
  }

  async close(): Promise<void> {
    this.rooms.close();
    this.groups.close();
    await this.#inbox;
    await this.save();
    await this.weft.close();
  }

  // ── Storing ──────────────────────────────────────────────────────────────────────────────────────────────────

  #changed(person: Person | undefined): void {
    this.watcher.changed(person);
    if (person !== undefined && person.outbox.length > 0) this.courier.go(person);
    if (this.#saving) return;
    this.#saving = true;
    queueMicrotask(() => {
      this.#saving = false;
      this.save().catch((error: unknown) => this.watcher.wrong("This browser stores nothing more", error));
    });
  }

  /** Stores what has changed. */
  async save(): Promise<void> {
    const { people, blocks, gone } = this.book.changes();
    const entries: Entry[] = [...people].map((person) => [`person/${number(person.local)}`, person]);
    for (const [person, changed] of blocks) {
      const lines = this.book.lines(person);
      for (const block of changed) {
        const inside = lines.filter(({ key }) => blockOf(key) === block);
        entries.push([`${linesOf(person)}${number(block)}`, inside.length > 0 ? inside : undefined]);
      }
    }
    if (entries.length > 0) await this.vault.put(entries);
    for (const person of gone) {
      await this.vault.put([[`person/${number(person.local)}`, undefined]]);
      await this.vault.remove(linesOf(person));
    }
  }
}

const number = (value: number): string => String(value).padStart(8, "0");
const linesOf = (person: Person): string => `line/${number(person.local)}/`;
