/**
 * What people say to each other, as documents of the core (docs/spec/chat.md, section 1): decoded with every bound, and
 * written. Nothing here knows of conversations, pages or time.
 */

import { isIdentity } from "./identity.js";

/** Every bound of a document, in bytes unless it says otherwise. */
export const BOUNDS = {
  /** A whole document, encoded: what waits for somebody who is away. */
  document: 128 * 1024,
  text: 16_384,
  /** Attachments of one text. */
  attachments: 8,
  emoji: 32,
  /** Single ids in `read`. */
  ids: 64,
  name: 64,
  note: 512,
  picture: 32 * 1024,
  invitation: 512,
  attachmentName: 255,
  attachmentType: 127,
  attachment: 64 * 1024 * 1024,
  /** What an attachment may have to be in `data`, and a piece of one that is not. */
  piece: 64 * 1024,
} as const;

/** What was attached to a text. */
export interface Attachment {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  /** SHA-256, 64 hexadecimal digits. */
  readonly hash: string;
}

/** What is in documents that may be spoken of. */
interface Named {
  readonly id: string;
  /** When it was written, milliseconds since 1970 by its author's clock. */
  readonly sent: number;
  /** Its number among those of its peer; undefined where nobody counted. */
  readonly n: number | undefined;
}

export interface Text extends Named {
  readonly kind: "text";
  readonly text: string;
  readonly reply?: string;
  readonly replyTo?: string;
  readonly attachments: readonly Attachment[];
  /** What attachments had inside, by hash. */
  readonly data: ReadonlyMap<string, Uint8Array>;
}

export interface Edit extends Named {
  readonly kind: "edit";
  readonly of: string;
  readonly text: string;
}

export interface Delete extends Named {
  readonly kind: "delete";
  readonly of: string;
}

export interface Reaction extends Named {
  readonly kind: "reaction";
  readonly of: string;
  readonly author: string;
  readonly emoji: string;
}

export interface Read {
  readonly kind: "read";
  readonly upTo?: string;
  readonly ids: readonly string[];
}

export interface Typing {
  readonly kind: "typing";
  readonly on: boolean;
}

export interface Profile {
  readonly kind: "profile";
  readonly issued: number;
  readonly name: string;
  readonly color?: string;
  readonly picture?: Uint8Array;
}

export interface Contact extends Named {
  readonly kind: "contact";
  readonly name: string;
  readonly room: string;
  readonly note?: string;
}

export interface Accept {
  readonly kind: "accept";
  readonly name: string;
  readonly room: string;
}

export interface Piece {
  readonly kind: "piece";
  readonly of: string;
  readonly at: number;
  /** None in who asks for it. */
  readonly data?: Uint8Array;
}

/** What a group is called; in parties only. */
export interface Group {
  readonly kind: "group";
  readonly issued: number;
  readonly name: string;
  readonly picture?: Uint8Array;
}

/** A member of a group leaves. */
export interface Leave extends Named {
  readonly kind: "leave";
}

export interface Invitation extends Named {
  readonly kind: "invitation";
  readonly name: string;
  readonly invitation: string;
}

export type Said =
  | Text
  | Edit
  | Delete
  | Reaction
  | Read
  | Typing
  | Profile
  | Contact
  | Accept
  | Piece
  | Invitation
  | Group
  | Leave;

/** Why a document is dropped. */
export type Dropped = "malformed" | "unknown";

/** What the core says of the message that a document came in. */
export interface Envelope {
  /** The core's id of the message, hexadecimal. */
  readonly id: string;
  /** The core's time of the message, milliseconds since 1970. */
  readonly time: number;
}

/** What a document says, or why it is dropped. */
export function decode(data: unknown, envelope: Envelope): Said | Dropped {
  if (!isObject(data) || sizeOf(data) > BOUNDS.document) return "malformed";
  if (!("chat" in data)) return isText(data["text"]) ? plain(data["text"], envelope) : "unknown";
  if (data["chat"] !== 1 || typeof data["kind"] !== "string") return "malformed";
  const read = Object.hasOwn(KINDS, data["kind"]) ? KINDS[data["kind"]] : undefined;
  if (read !== undefined) return read(data) ?? "malformed";
  return isText(data["text"]) ? plain(data["text"], envelope) : "unknown";
}

/** A text that has only what the core says of it. */
const plain = (text: string, { id, time }: Envelope): Text => ({
  kind: "text",
  id: id.slice(0, 32),
  sent: time,
  n: undefined,
  text,
  attachments: [],
  data: new Map(),
});

type Members = { readonly [name: string]: unknown };

/** How each kind is read; undefined: it breaks a bound. */
const KINDS: { readonly [kind: string]: (data: Members) => Said | undefined } = {
  text(data) {
    const { text, reply, replyTo } = data;
    const head = named(data);
    const attached = attachments(data["attachments"]);
    if (head === undefined || attached === undefined || !isString(text, 0, BOUNDS.text)) return undefined;
    if (text === "" && attached.attachments.length === 0) return undefined;
    if (!optional(reply, isId) || !optional(replyTo, isIdentity)) return undefined;
    if ((reply === undefined) !== (replyTo === undefined)) return undefined;
    return { kind: "text", ...head, text, ...given({ reply, replyTo }), ...attached };
  },
  edit(data) {
    const head = named(data);
    const { of, text } = data;
    return head && isId(of) && isText(text) ? { kind: "edit", ...head, of, text } : undefined;
  },
  delete(data) {
    const head = named(data);
    const { of } = data;
    return head && isId(of) ? { kind: "delete", ...head, of } : undefined;
  },
  reaction(data) {
    const head = named(data);
    const { of, author, emoji } = data;
    return head && isId(of) && isIdentity(author) && isString(emoji, 0, BOUNDS.emoji)
      ? { kind: "reaction", ...head, of, author, emoji }
      : undefined;
  },
  read({ upTo, ids }) {
    if (!optional(upTo, isId) || !optional(ids, isIds)) return undefined;
    if ((upTo === undefined) === (ids === undefined)) return undefined;
    return { kind: "read", ...given({ upTo }), ids: ids ?? [] };
  },
  typing({ on }) {
    return typeof on === "boolean" ? { kind: "typing", on } : undefined;
  },
  profile({ issued, name, color, picture }) {
    return isTime(issued) && isName(name) && optional(color, isColor) && optional(picture, isPicture)
      ? { kind: "profile", issued, name, ...given({ color, picture }) }
      : undefined;
  },
  contact(data) {
    const head = named(data);
    const { name, room, note } = data;
    return head && isName(name) && isId(room) && optional(note, isNote)
      ? { kind: "contact", ...head, name, room, ...given({ note }) }
      : undefined;
  },
  accept({ name, room }) {
    return isName(name) && isId(room) ? { kind: "accept", name, room } : undefined;
  },
  piece({ of, at, data }) {
    const last = BOUNDS.attachment / BOUNDS.piece - 1;
    return isHash(of) && isWhole(at, 0, last) && optional(data, isPiece)
      ? { kind: "piece", of, at, ...given({ data }) }
      : undefined;
  },
  invitation(data) {
    const head = named(data);
    const { name, invitation } = data;
    return head && isName(name) && isString(invitation, 1, BOUNDS.invitation)
      ? { kind: "invitation", ...head, name, invitation }
      : undefined;
  },
  group({ issued, name, picture }) {
    return isTime(issued) && isName(name) && optional(picture, isPicture)
      ? { kind: "group", issued, name, ...given({ picture }) }
      : undefined;
  },
  leave(data) {
    const head = named(data);
    return head && { kind: "leave", ...head };
  },
};

function named({ id, sent, n }: Members): Named | undefined {
  return isId(id) && isTime(sent) && isWhole(n, 1, Number.MAX_SAFE_INTEGER) ? { id, sent, n } : undefined;
}

function attachments(list: unknown): Pick<Text, "attachments" | "data"> | undefined {
  if (list === undefined) return { attachments: [], data: new Map() };
  if (!Array.isArray(list) || list.length > BOUNDS.attachments) return undefined;
  const data = new Map<string, Uint8Array>();
  const found: Attachment[] = [];
  for (const each of list) {
    if (!isObject(each)) return undefined;
    const { name, type, size, hash, data: inside } = each;
    if (!isFileName(name) || !isMediaType(type) || !isHash(hash)) return undefined;
    if (!isWhole(size, 0, BOUNDS.attachment)) return undefined;
    if (inside !== undefined) {
      if (!isBytes(inside) || inside.length > BOUNDS.piece || inside.length !== size) return undefined;
      data.set(hash, inside);
    }
    found.push({ name, type, size, hash });
  }
  return { attachments: found, data };
}

/** A document for what is said; `data` gives what attachments have inside. */
export function encode(said: Said): { readonly [name: string]: unknown } {
  if (said.kind === "read" && said.ids.length === 0) return { chat: 1, kind: "read", upTo: said.upTo };
  if (said.kind !== "text") return { chat: 1, ...said };
  const { data, attachments, ...rest } = said;
  const attached = attachments.map((each) => {
    const inside = data.get(each.hash);
    return inside === undefined ? { ...each } : { ...each, data: inside };
  });
  return { chat: 1, ...rest, ...(attached.length > 0 ? { attachments: attached } : {}) };
}

/** What may be shown of a text: without control characters and without what turns the direction of what stands around it. */
export const shown = (text: string): string => text.replaceAll(HIDDEN, "");
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is left out.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Bytes of a text in UTF-8. */
export const bytesOf = (text: string): number => encoder.encode(text).length;
const encoder = new TextEncoder();

/** Bytes that a value takes in deterministic CBOR (docs/spec/query.md, section 2); of doubles the most that they may take. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return headOf(bytesOf(value)) + bytesOf(value);
  if (typeof value === "number") return Number.isSafeInteger(value) ? headOf(Math.abs(value)) : 9;
  if (typeof value === "bigint") return 9;
  if (isBytes(value)) return headOf(value.length) + value.length;
  if (value instanceof Date) return 15;
  if (Array.isArray(value))
    return value.reduce<number>((sum, each) => sum + sizeOf(each), headOf(value.length));
  if (!isObject(value)) return 1;
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  return members.reduce((sum, [name, each]) => sum + sizeOf(name) + sizeOf(each), headOf(members.length));
}

function headOf(count: number): number {
  if (count < 24) return 1;
  if (count < 0x100) return 2;
  if (count < 0x1_0000) return 3;
  return count < 0x1_0000_0000 ? 5 : 9;
}

/** A new id, room or the like: 16 random bytes. */
export const newId = (): string => hex(crypto.getRandomValues(new Uint8Array(16)));

/** Lower-case hexadecimal digits. */
export const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export const isId = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
export const isHash = (value: unknown): value is string =>
  typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
export const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;
export const isName = (value: unknown): value is string => isString(value, 1, BOUNDS.name);
const isNote = (value: unknown): value is string => isString(value, 0, BOUNDS.note);
const isText = (value: unknown): value is string => isString(value, 1, BOUNDS.text);
const isTime = (value: unknown): value is number => isWhole(value, 0, Number.MAX_SAFE_INTEGER);
const isColor = (value: unknown): value is string =>
  typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value);
const isIds = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length <= BOUNDS.ids && value.every(isId);
const isPiece = (value: unknown): value is Uint8Array =>
  isBytes(value) && value.length >= 1 && value.length <= BOUNDS.piece;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what no name may have.
const NO_FILE_NAME = /[/\\\u0000-\u001f\u007f-\u009f]/;
const isFileName = (value: unknown): value is string =>
  isString(value, 1, BOUNDS.attachmentName) && !NO_FILE_NAME.test(value);
/** RFC 6838, section 4.2, without parameters. */
const isMediaType = (value: unknown): value is string =>
  isString(value, 3, BOUNDS.attachmentType) &&
  /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/i.test(value);

const isPicture = (value: unknown): value is Uint8Array =>
  isBytes(value) && value.length <= BOUNDS.picture && pictureType(value) !== undefined;

/** The media type of a picture that may be somebody's, by how it begins. */
export function pictureType(bytes: Uint8Array): "image/png" | "image/jpeg" | "image/webp" | undefined {
  const starts = (text: string, at = 0) => [...text].every((c, i) => bytes[at + i] === c.charCodeAt(0));
  if (starts("\u0089PNG\r\n\u001a\n")) return "image/png";
  if (starts("\u00ff\u00d8\u00ff")) return "image/jpeg";
  return starts("RIFF") && starts("WEBP", 8) ? "image/webp" : undefined;
}

const isObject = (value: unknown): value is Members =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !isBytes(value) &&
  !(value instanceof Date);

function isString(value: unknown, least: number, most: number): value is string {
  if (typeof value !== "string" || value.length > most) return false;
  const size = bytesOf(value);
  return size >= least && size <= most;
}

const isWhole = (value: unknown, least: number, most: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;

const optional = <T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined =>
  value === undefined || is(value);

/** Without the members that are undefined. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
