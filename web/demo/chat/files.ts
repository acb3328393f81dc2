/**
 * Attachments: files as pieces of 64 KiB in the vault, asked for at their authors, in a group also at other members, given to
 * whom they were sent, compared with their hash when they are whole (docs/spec/chat.md, sections 6 and 7).
 *
 * Up to four pieces are asked for at a time. What has come is stored, so that a reload goes on where it was.
 */

import type { Message, Weft } from "weft-mesh";
import { type Attachment, BOUNDS, hex, isBytes, isHash } from "./documents.js";
import type { Person } from "./model.js";
import { Sources } from "./sources.js";
import type { Entry, Vault } from "./vault.js";

/** Requests at a time. */
const UNDER_WAY = 4;
/** Bytes up to which attachments of contacts are fetched without being asked for, while all that is stored is below the second. */
const BY_ITSELF = 4 * 1024 * 1024;
const STORED = 256 * 1024 * 1024;
/** Milliseconds after which somebody who did not answer is asked again. */
const AGAIN = 10_000;
/** Pieces of one contact that wait for their text, and of all. */
const EARLY = 8;
const EARLY_OF_ALL = 64;
/** Bytes up to which pieces follow their text, and up to which files of groups are fetched without being asked for. */
const PUSHED = 512 * 1024;

/** What is kept of a file beside its pieces. */
interface Kept {
  /** What its pieces are stored by. */
  readonly id: number;
  readonly hash: string;
  /** Bytes that it has to have, as who it is fetched of says. */
  size: number;
  /** Whose it is, or of which group; one's own is of nobody. */
  of?: string;
  /** Who wrote a text with it in that group. */
  authors?: readonly string[];
  /** What came from members of the group was something else. */
  suspect?: boolean;
  /** To whom it was sent. */
  given: string[];
  wanted: boolean;
  /** All is there, and its hash is right; or what prevents it. */
  state: "parts" | "whole" | "damaged" | "gone";
}

interface Piece {
  readonly from: string;
  readonly of: string;
  readonly at: number;
  readonly data: Uint8Array;
}

/** A file, as it is shown. */
export interface Shown {
  readonly state: "none" | "parts" | Kept["state"];
  /** It is being fetched. */
  readonly wanted: boolean;
  readonly size: number;
  /** Bytes that are there. */
  readonly here: number;
}

/** What is known of groups. */
export interface Circles {
  /** Members that are there, of a group of which one is a member. */
  present(group: string): readonly string[];
  /** Whether somebody is a member, as oneself, and a text with that file is in the group. */
  has(group: string, who: string, hash: string): Promise<boolean>;
}

export class Files {
  readonly #kept = new Map<string, Kept>();
  readonly #have = new Map<number, Set<number>>();
  readonly #urls = new Map<string, string>();
  /** Whom one asks, by piece. */
  readonly #asking = new Map<string, string>();
  readonly #sources = new Sources();
  /** Who is there, by group. */
  readonly #there = new Map<string, readonly string[]>();
  readonly #paused = new Map<string, ReturnType<typeof setTimeout>>();
  /** What came before its text, oldest first. */
  #early: Piece[] = [];
  #ids = 0;
  #closed = false;

  private constructor(
    readonly vault: Vault,
    readonly weft: Weft,
    /** Called when something of a file changed. */
    readonly changed: (hash: string) => void,
    readonly circles: Circles,
  ) {}

  static async open(
    vault: Vault,
    weft: Weft,
    changed: (hash: string) => void,
    circles: Circles,
  ): Promise<Files> {
    const files = new Files(vault, weft, changed, circles);
    for (const kept of (await vault.all("file/")) as Kept[]) {
      files.#kept.set(kept.hash, kept);
      files.#ids = Math.max(files.#ids, kept.id);
    }
    for (const name of await vault.names("piece/")) {
      const [, id, at] = name.split("/").map(Number);
      files.#haveOf(id ?? 0).add(at ?? 0);
    }
    weft.onRequest((message) => files.#answer(message));
    files.go();
    return files;
  }

  /** How a file is. */
  shown({ hash, size }: Attachment): Shown {
    const kept = this.#kept.get(hash);
    if (kept === undefined) return { state: "none", wanted: false, size, here: 0 };
    const here = kept.state === "whole" ? size : Math.min(size, this.#haveOf(kept.id).size * BOUNDS.piece);
    return { state: kept.state, wanted: kept.wanted, size, here };
  }

  /** Takes a file of one's own in, to be sent. Rejects with what to say to people. */
  async adopt(file: File, progress: (done: number) => void): Promise<Attachment> {
    if (file.size > BOUNDS.attachment) throw new Error(`${file.name} has more than 64 MiB.`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const hash = await hashOf(bytes);
    const kept = this.#kept.get(hash) ?? this.#make({ hash, size: bytes.length });
    if (kept.state !== "whole") {
      for (let at = 0; at * BOUNDS.piece < bytes.length; at += 1) {
        const piece = bytes.subarray(at * BOUNDS.piece, (at + 1) * BOUNDS.piece);
        await this.vault.put([[pieceName(kept.id, at), piece]]);
        this.#haveOf(kept.id).add(at);
        progress(at * BOUNDS.piece + piece.length);
      }
      kept.state = "whole";
      // One's own bytes are given to whom one gives them: somebody may have named their hash in a group before.
      delete kept.of;
      await this.#store(kept);
    }
    return { name: fileName(file.name), type: mediaType(file.type), size: bytes.length, hash };
  }

  /** These may be asked for by somebody from now on. */
  async give(person: Person, attachments: readonly Attachment[]): Promise<void> {
    for (const { hash } of attachments) {
      const kept = this.#kept.get(hash);
      if (kept === undefined || kept.given.includes(person.identity)) continue;
      kept.given.push(person.identity);
      await this.#store(kept);
    }
  }

  /** What goes inside a text: the small ones, as long as there is room. By hash. */
  async inside(attachments: readonly Attachment[], room: number): Promise<Map<string, Uint8Array>> {
    const data = new Map<string, Uint8Array>();
    for (const { hash, size } of isInside(attachments, room)) {
      const bytes = size === 0 ? new Uint8Array() : await this.piece(hash, 0);
      if (bytes) data.set(hash, bytes);
    }
    return data;
  }

  /** Pieces that follow a text. */
  following(
    attachments: readonly Attachment[],
    room: number,
  ): { readonly of: string; readonly at: number }[] {
    const inside = new Set(isInside(attachments, room).map(({ hash }) => hash));
    return attachments
      .filter(({ hash, size }) => !inside.has(hash) && size <= PUSHED)
      .flatMap(({ hash, size }) => Array.from({ length: count(size) }, (_, at) => ({ of: hash, at })));
  }

  /** A piece that is here. */
  async piece(hash: string, at: number): Promise<Uint8Array | undefined> {
    const kept = this.#kept.get(hash);
    return kept && (await this.vault.bytes(pieceName(kept.id, at)));
  }

  /** Somebody sent these: what is small enough is fetched by itself. In a group it is said who. */
  async expect(person: Person, attachments: readonly Attachment[], author?: string): Promise<void> {
    for (const { hash, size } of attachments) {
      const there = this.#kept.get(hash);
      if (there !== undefined) {
        await this.#again(there, size, person, author);
        continue;
      }
      const kept = this.#make({ hash, size, of: person.identity });
      if (author !== undefined) kept.authors = [author];
      kept.wanted = this.#comesByItself(person, size);
      await this.#store(kept);
      if (size === 0) await this.#finish(kept);
      const early = ({ from, of }: Piece) => from === person.identity && of === hash;
      const came = this.#early.filter(early);
      this.#early = this.#early.filter((piece) => !early(piece));
      for (const { from, of, at, data } of came) await this.take(from, of, at, data);
    }
    this.go();
  }

  /** A file of that size is fetched though nobody has asked for it. */
  #comesByItself(person: Person, size: number): boolean {
    const most = person.group ? PUSHED : person.standing === "contact" ? BY_ITSELF : -1;
    return size <= most && this.#stored() + (person.group ? this.#coming() : 0) <= STORED;
  }

  /** Somebody else, or the same, sent a file that is known. */
  async #again(kept: Kept, size: number, person: Person, author: string | undefined): Promise<void> {
    const isSame = kept.of === person.identity;
    const { authors = [], state } = kept;
    const isNew = author !== undefined && !(isSame && authors.includes(author));
    if (isSame && isNew) kept.authors = [...authors, author];
    // A contact who sends it has it; in a group somebody may have named a hash that nobody can give.
    const isNearer =
      state === "parts" && person.standing === "contact" && kept.of !== undefined && isGroup(kept.of);
    // Perhaps this one has it. What came of it from others is not theirs to have.
    if (state === "gone" || isNearer || (state === "damaged" && !(isSame && person.group))) {
      if (!isSame) {
        await this.#drop(kept);
        kept.suspect = false;
        kept.authors = author === undefined ? [] : [author];
        kept.size = size;
      }
      kept.of = person.identity;
      kept.state = "parts";
      if (isNearer) kept.wanted ||= this.#comesByItself(person, size);
    } else if (!(isSame && isNew)) return;
    await this.#store(kept);
  }

  /** Fetches a file, or stops to. */
  async want({ hash }: Attachment, wanted: boolean): Promise<void> {
    const kept = this.#kept.get(hash);
    if (kept === undefined || kept.state === "whole") return;
    kept.wanted = wanted;
    if (wanted) {
      kept.state = "parts";
      this.#sources.anew(kept);
    }
    await this.#store(kept);
    this.go();
  }

  /** Who is there in a group may be different. */
  meet(group: string): void {
    const before = this.#there.get(group) ?? [];
    const there = this.circles.present(group);
    this.#there.set(group, there);
    for (const who of there) {
      if (before.includes(who)) continue;
      this.#sources.came(who);
      this.#unpause(who);
    }
    for (const kept of this.#kept.values()) if (kept.of === group) void this.#giveUp(kept);
    this.#more();
  }

  /** A piece that came. */
  async take(from: string, of: string, at: number, data: Uint8Array): Promise<void> {
    const kept = this.#kept.get(of);
    if (kept === undefined) this.#keepEarly({ from, of, at, data });
    if (kept === undefined || kept.of !== from || kept.state === "whole") return;
    const length = Math.min(BOUNDS.piece, kept.size - at * BOUNDS.piece);
    const have = this.#haveOf(kept.id);
    if (data.length !== length || have.has(at)) return;
    // What nobody has asked for is only taken where it may come by itself.
    if (!kept.wanted && (kept.size > PUSHED || this.#stored() > STORED)) return;
    await this.vault.put([[pieceName(kept.id, at), data]]);
    have.add(at);
    if (have.size === count(kept.size)) await this.#finish(kept);
    else this.changed(of);
  }

  /** Keeps a piece of a contact until its text comes; in groups none is sent without being asked for. */
  #keepEarly(piece: Piece): void {
    const { from } = piece;
    if (isGroup(from)) return;
    this.#early.push(piece);
    const isTheirs = (one: Piece) => one.from === from;
    if (this.#early.filter(isTheirs).length > EARLY) this.#early.splice(this.#early.findIndex(isTheirs), 1);
    if (this.#early.length > EARLY_OF_ALL) this.#early.shift();
  }

  /** The whole file. */
  async blob({ hash, type }: Attachment): Promise<Blob | undefined> {
    const kept = this.#kept.get(hash);
    if (kept?.state !== "whole") return undefined;
    const parts = await this.#parts(kept);
    // Others say what it is: nothing that a browser would run.
    const safe = /^(image\/(png|jpeg|webp|gif)|audio\/\w+|video\/\w+)$/.test(type)
      ? type
      : "application/octet-stream";
    return new Blob(parts, { type: safe });
  }

  async #parts({ id, size }: Kept): Promise<BlobPart[]> {
    const pieces = Array.from({ length: count(size) }, (_, at) => this.vault.bytes(pieceName(id, at)));
    return (await Promise.all(pieces)).filter((part) => part !== undefined) as BlobPart[];
  }

  /** An address of the whole file for this page. */
  async url(attachment: Attachment): Promise<string | undefined> {
    const there = this.#urls.get(attachment.hash);
    if (there !== undefined) return there;
    const blob = await this.blob(attachment);
    if (blob === undefined) return undefined;
    const url = this.#urls.get(attachment.hash) ?? URL.createObjectURL(blob);
    this.#urls.set(attachment.hash, url);
    return url;
  }

  /** Nobody needs the files that only they sent, or that went only to them. */
  async forget(person: Person): Promise<void> {
    for (const kept of [...this.#kept.values()]) {
      kept.given = kept.given.filter((identity) => identity !== person.identity);
      if (kept.given.length > 0 || (kept.of !== undefined && kept.of !== person.identity)) continue;
      this.#kept.delete(kept.hash);
      this.#have.delete(kept.id);
      await this.vault.put([[fileName_(kept.id), undefined]]);
      await this.vault.remove(`piece/${kept.id}/`);
    }
  }

  /** Asks for what is wanted, and of whom may answer now. */
  go(who?: string): void {
    for (const identity of [...this.#paused.keys()])
      if (who === undefined || identity === who) this.#unpause(identity);
    for (const kept of this.#closed ? [] : this.#kept.values()) {
      if (!kept.wanted || kept.state !== "parts") continue;
      const have = this.#haveOf(kept.id);
      for (let at = 0; at < count(kept.size) && this.#asking.size < UNDER_WAY; at += 1) {
        const name = pieceName(kept.id, at);
        if (have.has(at) || this.#asking.has(name)) continue;
        const whom = this.#whom(kept);
        if (whom === undefined) break;
        this.#asking.set(name, whom);
        void this.#ask(kept, whom, at).finally(() => {
          this.#asking.delete(name);
          this.#more();
        });
      }
    }
  }

  #unpause(who: string): void {
    clearTimeout(this.#paused.get(who));
    this.#paused.delete(who);
  }

  /** Who is asked for the next piece. */
  #whom(kept: Kept): string | undefined {
    const { of } = kept;
    if (of === undefined) return undefined;
    if (!isGroup(of)) return this.#paused.has(of) ? undefined : of;
    const present = this.circles.present(of).filter((who) => !this.#paused.has(who));
    const open = (who: string) => [...this.#asking.values()].filter((one) => one === who).length;
    return this.#sources.whom(kept, present, open, Date.now());
  }

  /** Goes on with those who answer. */
  #more(): void {
    this.go("");
  }

  async #ask(kept: Kept, identity: string, at: number): Promise<void> {
    const { of: whose = identity } = kept;
    try {
      const answer = await this.weft.request(identity, { chat: 1, kind: "piece", of: kept.hash, at });
      const { of, at: which, data } = answer;
      if (of !== kept.hash || which !== at || !isBytes(data)) throw new Error("wrong");
      await this.take(whose, kept.hash, at, data);
      // It is not of the size that it has to have: whoever answers so once would do so again.
      if (kept.state === "parts" && !this.#haveOf(kept.id).has(at)) throw new Error("wrong");
    } catch (error) {
      const { code, message = "" } = error as { readonly code?: string; readonly message?: string };
      // Nobody can be asked any more: the page is about to go.
      if (code === "closed") this.#closed = true;
      if (/\bgone\b/.test(message) || message === "wrong") {
        await this.#refused(kept, whose, identity, message !== "wrong");
      } else if (!this.#paused.has(identity)) {
        this.#paused.set(
          identity,
          setTimeout(() => this.go(identity), AGAIN),
        );
      }
    }
  }

  /** Somebody has not got a file: in a group another member may have it. */
  async #refused(kept: Kept, whose: string, by: string, gone: boolean): Promise<void> {
    if (!isGroup(whose)) {
      await this.#lose(kept);
      return;
    }
    const wait = this.#sources.refused(kept, by, gone, Date.now());
    if (wait !== undefined) setTimeout(() => this.#more(), wait);
    await this.#giveUp(kept);
  }

  /** What nobody of a group has who could be asked is gone. */
  async #giveUp(kept: Kept): Promise<void> {
    if (!kept.wanted || kept.of === undefined) return;
    if (this.#sources.isLost(kept, this.circles.present(kept.of))) await this.#lose(kept);
  }

  async #lose(kept: Kept): Promise<void> {
    if (kept.state !== "parts") return;
    kept.state = "gone";
    kept.wanted = false;
    await this.#store(kept);
  }

  /** Answers who asks for a piece of what was sent to them, or is in a group that they are a member of. */
  async #answer({ from, data }: Message): Promise<object> {
    const { chat, kind, of, at } = data;
    const kept = isHash(of) ? this.#kept.get(of) : undefined;
    const asks = chat === 1 && kind === "piece" && Number.isSafeInteger(at);
    const isTheirs = asks && kept !== undefined && (await this.#isFor(kept, from));
    const piece = isTheirs ? await this.piece(kept.hash, at as number) : undefined;
    if (piece === undefined) throw new Error("gone");
    return { of, at, data: piece };
  }

  /** What somebody sent oneself alone is no group's, whoever names its hash there. */
  async #isFor({ given, of, hash, state }: Kept, who: string): Promise<boolean> {
    if (given.includes(who)) return true;
    if (state !== "whole") return false;
    for (const group of of === undefined ? given : [...given, of])
      if (isGroup(group) && (await this.circles.has(group, who, hash))) return true;
    return false;
  }

  async #finish(kept: Kept): Promise<void> {
    // Nobody is given or shown what was not compared.
    const bytes = await new Blob(await this.#parts(kept)).arrayBuffer();
    kept.state = (await hashOf(bytes)) === kept.hash ? "whole" : "damaged";
    if (kept.state === "damaged") {
      if (kept.of !== undefined && isGroup(kept.of)) kept.suspect = true;
      await this.#drop(kept);
    }
    kept.wanted = false;
    await this.#store(kept);
  }

  /** Removes its pieces. */
  async #drop(kept: Kept): Promise<void> {
    this.#haveOf(kept.id).clear();
    await this.vault.remove(`piece/${kept.id}/`);
  }

  #make({ hash, size, of }: { hash: string; size: number; of?: string }): Kept {
    this.#ids += 1;
    const kept: Kept = {
      id: this.#ids,
      hash,
      size,
      ...(of ? { of } : {}),
      given: [],
      wanted: false,
      state: "parts",
    };
    this.#kept.set(hash, kept);
    return kept;
  }

  async #store(kept: Kept): Promise<void> {
    const entry: Entry = [fileName_(kept.id), kept];
    await this.vault.put([entry]);
    this.changed(kept.hash);
  }

  #haveOf(id: number): Set<number> {
    const have = this.#have.get(id) ?? new Set();
    this.#have.set(id, have);
    return have;
  }

  #stored(): number {
    let pieces = 0;
    for (const have of this.#have.values()) pieces += have.size;
    return pieces * BOUNDS.piece;
  }

  /** Bytes of what is being fetched. */
  #coming(): number {
    let bytes = 0;
    for (const { wanted, size } of this.#kept.values()) if (wanted) bytes += size;
    return bytes;
  }
}

const isGroup = (identity: string): boolean => identity.startsWith("group:");

const count = (size: number): number => Math.ceil(size / BOUNDS.piece);
const pieceName = (id: number, at: number): string => `piece/${id}/${at}`;
const fileName_ = (id: number): string => `file/${id}`;

/** Those that are small enough, one after the other as long as there is room. */
function isInside(attachments: readonly Attachment[], room: number): Attachment[] {
  let left = room;
  return attachments.filter(({ size }) => {
    if (size > BOUNDS.piece || size > left) return false;
    left -= size;
    return true;
  });
}

async function hashOf(bytes: BufferSource): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** A name as the bounds want it. */
function fileName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what no name may have.
  let fitting = name.replaceAll(/[/\\\u0000-\u001f\u007f-\u009f]/g, "_") || "file";
  while (new TextEncoder().encode(fitting).length > BOUNDS.attachmentName)
    fitting = [...fitting].slice(1).join("");
  return fitting;
}

const mediaType = (type: string): string =>
  /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/i.test(type) &&
  type.length <= BOUNDS.attachmentType
    ? type
    : "application/octet-stream";
