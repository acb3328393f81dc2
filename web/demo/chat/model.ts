/** What the book keeps of people and of what was said: plain values, which the vault stores as they are. */

import type { Role } from "weft-mesh";
import type { Accept, Attachment, Contact, Delete, Edit, Group, Reaction, Read } from "./documents.js";

/** Bounds on what is kept and told (docs/spec/chat.md, sections 2 to 5 and 8). */
export const LIMITS = {
  /** Documents of a conversation. */
  lines: 10_000,
  contacts: 1024,
  /** With the rooms as many parties as a link carries. */
  groups: 48,
  /** Members of a group that are known, and names of them. */
  members: 1024,
  /** Authors whose words for what a group is called are kept. */
  namers: 16,
  strangers: 64,
  /** Documents of one stranger. */
  strangerLines: 16,
  /** Edits and the like of what has not come yet, in one conversation. */
  early: 64,
  /** Texts to one person that are stored for them, and of which the core tells more. */
  waiting: 1024,
  /** Rooms that are joined: of the latest conversations. */
  rooms: 16,
  /** Documents of one contact in a minute that are announced. */
  flood: 200,
  /** Persons whose reactions to one text are kept. */
  reactions: 64,
} as const;

/** Times, in milliseconds. */
export const TIMES = {
  /** How far ahead of the reader's clock an author's may be before the time of coming is shown. */
  ahead: 5 * 60_000,
  /** `typing` is shown so long. */
  typingShown: 6000,
  /** … and sent at most so often. */
  typingSent: 4000,
  /** `read` is said at most so often in a conversation. */
  read: 2000,
  flood: 60_000,
} as const;

/** How far one's own text is. */
export type State = "sending" | "stored" | "delivered" | "read" | "published" | "failed";

/** Somebody's reaction to a text. */
export interface Emoji {
  readonly emoji: string;
  readonly sent: number;
  readonly id: string;
}

/** A text in a conversation. */
export interface Line {
  /** Its number in the order of coming: what it is stored by. */
  readonly key: number;
  readonly own: boolean;
  /** Who wrote it, of what others wrote in a group. */
  readonly author?: string;
  /** The author's peer that wrote it. */
  readonly peer: string;
  readonly id: string;
  readonly n: number | undefined;
  readonly sent: number;
  /** What is shown as its time. */
  readonly time: number;
  readonly came: number;
  text: string;
  readonly reply?: string;
  readonly replyTo?: string;
  attachments: readonly Attachment[];
  /** An invitation into a group, named by the text. */
  readonly invitation?: string;
  /** It was taken, or turned down. */
  taken?: boolean;
  /** The edit that counts: its id and number, and whether the peer of the text wrote it. */
  edited?: { readonly id: string; readonly n: number; readonly same: boolean };
  deleted?: true;
  /** Of others in a group, by identity. */
  reactions: { own?: Emoji; theirs?: Emoji; others?: { readonly [identity: string]: Emoji } };
  /** Of somebody else's: it was on a screen, or was never announced. */
  seen?: boolean;
  /** Of one's own. */
  state?: State;
  /** Why it failed: the core's code. */
  code?: string;
  /** It was tried, and waits: nobody can take it yet. */
  waits?: boolean;
}

/** What waits to be sent to somebody, in this order. */
export type Post = { readonly key: number } & (
  | { readonly what: "line"; readonly line: string }
  | { readonly what: "said"; readonly said: Edit | Delete | Reaction | Read | Contact | Accept | Group }
  | { readonly what: "piece"; readonly of: string; readonly at: number }
  | { readonly what: "profile" }
);

/** An edit, delete or reaction of something that has not come yet. */
export interface Early {
  readonly said: Edit | Delete | Reaction;
  readonly peer: string;
  readonly own: boolean;
  /** Who says so, in a group. */
  readonly by?: string;
}

/** What somebody says of themselves. */
export interface Face {
  readonly issued: number;
  readonly name: string;
  readonly color?: string;
  readonly picture?: Uint8Array;
}

/** A group: what is known of a private party in which people write to each other (docs/spec/chat.md, section 7). */
export interface Circle {
  /** The party's key. */
  readonly key: string;
  /** `joining`: an invitation was taken, and no admin has let one in yet. `out`: a member no more, or never. */
  state: "joining" | "member" | "out";
  /** Why one is out: the core's code. */
  why?: string;
  /** What lets one in, for as long as nobody has. */
  invitation?: string;
  /** What each says it is called. */
  namings: { [identity: string]: Face };
  members: { [identity: string]: Role };
  /** Who was a member and is none any more. */
  former: string[];
  profiles: { [identity: string]: Face };
  /** Who said that they leave, and when. */
  left: { [identity: string]: number };
  /** Everybody who is a member can know one's name. */
  introduced: boolean;
}

/** Somebody whom one knows, or who wrote; or a group, with which one writes in the same way. */
export interface Person {
  /** A number of one's own: what they are stored by, so that names of records name nobody. */
  readonly local: number;
  /** Of a group `group:` and its key, which may have been made to be somebody's. */
  readonly identity: string;
  /** `asked`: by oneself, and not accepted yet. `stranger`: they wrote, or asked. */
  standing: "contact" | "asked" | "stranger" | "blocked" | "group";
  group?: Circle;
  /** When they became what they are, or last said something. */
  active: number;
  readonly since: number;
  /** What one asked them with. */
  asked?: { readonly id: string; readonly room: string };
  /** What they asked with. */
  request?: { readonly id: string; readonly room: string; readonly name: string; readonly note?: string };
  room?: string;
  /** What they called themselves when they asked, accepted, or in a link. */
  called?: string;
  face?: Face;
  /** What one calls them. */
  localName?: string;
  /** The words were compared. */
  compared?: boolean;
  muted?: boolean;
  /** The last number that one's own peer gave to a document for them. */
  counted: { readonly peer: string; readonly n: number };
  /** Keys of lines and posts that were given. */
  keys: number;
  unread: number;
  last?: {
    readonly own: boolean;
    readonly author?: string;
    readonly text: string;
    readonly state?: State;
    readonly attached: number;
    readonly invited?: boolean;
  };
  outbox: Post[];
  /** Lines by the core's id of the message that brought them: what it tells of later. */
  waiting: { [core: string]: string };
  early: Early[];
}

/** Lines that are stored together. */
export const BLOCK = 64;
export const blockOf = (key: number): number => Math.floor(key / BLOCK);
