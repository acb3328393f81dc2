/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The public types of weft-mesh, written by hand: nothing generated and no wasm handle appears in them.
 *
 * Ids are text. Identities and peers are `z6Mk…` (the body of a `did:key`), publications and messages are hexadecimal.
 */

import type { WeftError, WeftErrorCode } from "./errors.js";
import type { Filter } from "./filter.js";
import type { Query } from "./query.js";

export type { Filter, Operators, Path } from "./filter.js";

/**
 * What documents are made of: JSON, and what JSON lacks.
 *
 * Whole numbers up to 2^53 - 1 in size travel as integers, others as IEEE 754 doubles (-0, NaN and the infinities keep
 * what they are). A bigint travels as a 64-bit integer and comes back as a number where one holds it exactly. A member
 * that is undefined is left out.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value | undefined };

/** A document as it arrives: an object whose members nobody has checked yet. */
// biome-ignore lint/suspicious/noExplicitAny: what others publish has any shape; `subscribe<Film>` names the expected one.
export type Document = { [name: string]: any };

/** Where the wasm of this package comes from, if not from beside the package's JavaScript. */
export type WasmSource = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/** What {@link connect} takes. */
export interface ConnectOptions {
  /** URLs of signalers (`ws://`, `wss://`), in order of preference; at most 16. */
  readonly signalers: readonly string[];
  /**
   * Whether signalers that those tell of stand in for them, also after a reload: for one that is down, or as the second where
   * one is given. Those that are given are always preferred. Default true; false: no other server is ever connected to.
   */
  readonly discover?: boolean;
  /** The display name that others see, at most 64 bytes. Neither unique nor proven. */
  readonly name?: string;
  /** STUN and TURN servers; the same as `rtc.iceServers`. */
  readonly iceServers?: RTCIceServer[];
  /** Given to every RTCPeerConnection as it is: `iceTransportPolicy`, `certificates` and so on. */
  readonly rtc?: RTCConfiguration;
  /** Where keys, and what parties keep, are stored: in this browser profile (the default), or nowhere. */
  readonly store?: "indexeddb" | "memory";
  /** The wasm, if not beside the package's JavaScript. */
  readonly wasm?: WasmSource | Promise<WasmSource>;
  /** Other bounds than the usual ones. */
  readonly limits?: Limits;
  /** Gives up connecting when aborted; without effect afterwards. */
  readonly signal?: AbortSignal;
}

/** For {@link importIdentity}. */
export interface ImportOptions {
  /** Puts it in the place of another identity that this browser profile has: nothing of that one stays. */
  readonly replace?: boolean;
  /** Where the wasm is, as in {@link ConnectOptions}. */
  readonly wasm?: WasmSource | Promise<WasmSource>;
}

/** A code that waits to be used: {@link Weft.link}. */
export interface Linking {
  /** `weft:l…`. Whoever has it in time is this identity. */
  readonly code: string;
  /** Resolves when the other place has the identity. Rejects with `closed` or the signal's reason. */
  readonly taken: Promise<void>;
}

/** For {@link takeIdentity}; members are as in {@link ConnectOptions}, the signalers those of the same federation. */
export interface LinkOptions
  extends Pick<ConnectOptions, "signalers" | "discover" | "iceServers" | "rtc" | "wasm" | "signal"> {
  /** Puts it in the place of the identity that this browser profile has: nothing of that one stays. */
  readonly replace?: boolean;
}

/** An identity that was imported. */
export interface Imported {
  /** Who one is from now on. */
  readonly identity: string;
  /** The display name that it had, for {@link ConnectOptions}; may be empty. */
  readonly name: string;
  /** The keys of its private parties, for {@link Weft.join}. */
  readonly parties: readonly string[];
}

/** Bounds of one peer. What is not given keeps its default. */
export interface Limits {
  /** Links that the peer seeks; it accepts two more. Default 5. */
  readonly links?: number;
  /** Signalers to be connected to at once. Default 2. */
  readonly homes?: number;
  /** Links that signalers may forward at once because no connection comes about. Default 7; 0: none. */
  readonly forwardedLinks?: number;
  /** Publications kept per party for those who lack them. Default 20,000. */
  readonly keepPublications?: number;
  /** Bytes of publications kept per party. Default 32 MiB. */
  readonly keepBytes?: number;
  /**
   * Milliseconds after which a publication is not kept any more, from 1,000 to 2^32 - 1. Default 7 days. Pages of one
   * origin share what is stored: the strictest page's bounds count for all of them.
   */
  readonly keepAge?: number;
  /** Bytes of own publications that may wait to be sent. Default 16 MiB. */
  readonly publishQueueBytes?: number;
  /** Subscriptions of the peer. Default 10,000. */
  readonly subscriptions?: number;
  /** Milliseconds after which a message without a receipt is unreachable. Default 10,000. */
  readonly messageTimeout?: number;
  /** Publications that wait in one subscription for `for await` or the first handler. Default 16,384. */
  readonly eventBuffer?: number;
}

/** Something that tells its events to handlers. A handler that throws is reported and disturbs no other. */
export interface Emitter<Events> {
  /**
   * Calls the handler for each event, until the returned function is called, `off` is, or the signal is aborted.
   *
   * Throws `bad-option` for an event that there is not.
   */
  on<Name extends keyof Events>(
    event: Name,
    handler: (event: Events[Name]) => void,
    options?: { readonly signal?: AbortSignal },
  ): () => void;
  /** Calls the handler for the next event only. */
  once<Name extends keyof Events>(
    event: Name,
    handler: (event: Events[Name]) => void,
    options?: { readonly signal?: AbortSignal },
  ): () => void;
  /** Ends what `on` or `once` began. */
  off<Name extends keyof Events>(event: Name, handler: (event: Events[Name]) => void): void;
}

/** A running peer of one's identity. Made by {@link connect}. */
export interface Weft extends Emitter<WeftEvents>, AsyncDisposable {
  /** Who one is: what others send messages to. The same in every tab of this browser profile. */
  readonly identity: string;
  /** This running participant: one tab, one peer. */
  readonly peer: string;
  /** True if keys are kept; false if they are gone with the page (`store: "memory"`, or the browser keeps nothing). */
  readonly stored: boolean;
  /**
   * Goes into a party: an open party by its name, any party by its key (`z6Mk…`), or a private party by an invitation
   * (`weft:z…`, also at the end of a link). Joining twice gives the same.
   *
   * By an invitation it resolves when an admin of the party has let one in, which takes an admin who is online; rejects with
   * `invitation-expired`, `invitation-used`, `invitation-unknown`, `removed`, `bad-invitation` or the signal's reason. From
   * then on the party's key is enough, unless nothing is stored.
   */
  join(party: string, options?: JoinOptions): Promise<Party>;
  /**
   * Makes a private party, with oneself as its first admin, and goes into it. What is published there can be read by its
   * members only. Its key is `party.key`; others come in by `party.invite()`.
   */
  create(): Promise<Party>;
  /**
   * Leaves a party, if one is in it, and removes what this browser profile stores of it. Other tabs that are in it go on
   * storing. Rejects with `store-failed` or `closed`.
   */
  forget(party: string): Promise<void>;
  /**
   * Sends a message, end to end encrypted, to every known peer of an identity. If none can be reached, messages of up to
   * 128 KiB, encoded, wait for them with the signalers: sealed, for 7 days at most, while they have opened a mailbox there by
   * having been connected once.
   *
   * It has at most 16 MiB, encoded. Of large ones (more than 128 KiB) four to one identity are under way at once and others
   * wait for their turn; `queue-full` if more than 64 MiB would be under way: await what was sent before.
   *
   * Resolves when one of them has confirmed it (`state: "delivered"`) or, unless `until` says otherwise, when it waits safely
   * (`"stored"`): then {@link WeftEvents.sent} tells when it has been received. Rejects with `unreachable` (of a large one:
   * nothing more of it arrived for that long), `mailbox-full`, `sender-full`, `outbox-full`, `expired`, `timeout`,
   * `queue-full`, `closed`, `bad-id`, `bad-option`, `bad-document`, `too-large` (also of a large one whose recipient is away)
   * or the signal's reason. A message that was given up may have been received all the same.
   */
  send(identity: string, data: object, options?: SendOptions): Promise<Sent>;
  /**
   * Asks for an answer: an identity, of whose peers the first answer counts, or one peer of a party that one is in.
   *
   * Resolves with what the other side's {@link Weft.onRequest} gave; rejects with `request-failed` and its words if it
   * threw or there is none, with `timeout`, `queue-full`, and as {@link Weft.send} does. A request that was given up may
   * have been acted upon all the same. Nobody checks that the answer has the type that one expects.
   */
  request<Answer extends object = Document>(
    to: string,
    data: object,
    options?: RequestOptions,
  ): Promise<Answer>;
  /**
   * Answers the requests of others from now on, in place of an earlier handler. Set it before joining: a request that
   * nobody answers is refused at once. Gives a function that takes the handler back.
   *
   * What the handler returns, or resolves with, is the answer, nothing is `{}`; the message of what it throws is told to
   * whoever asked, and to oneself as the warning `request-failed`.
   */
  onRequest(handler: RequestHandler): () => void;
  /** The signalers that were configured, and what is known of each; behind them those that stand in for them now. */
  signalers(): SignalerInfo[];
  /** Has no links with a peer from now on. Documents still travel around it. */
  block(peer: string): void;
  /** Allows links with a peer again. */
  unblock(peer: string): void;
  /** Changes the display name, at most 64 bytes. */
  rename(name: string): void;
  /**
   * Why each peer of one's parties is, or is not, directly connected, and what would help, in words: for a page "What is
   * wrong?", or a report. What is wrong with a signaler, {@link Weft.signalers} says.
   */
  diagnose(): PeerDiagnosis[];
  /** Figures since the start. */
  stats(): Stats;
  /**
   * The identity and its private parties in a file under a passphrase of at least 8 letters, for {@link importIdentity} in another
   * browser or `weft import` in a terminal. Whoever has both is that identity. Peers are not a part of it: each place has its own.
   *
   * Takes half a second of the page's time. Rejects with `bad-option`, `too-large`, `wasm-load` or `closed`.
   */
  export(passphrase: string): Promise<Uint8Array>;
  /**
   * Lets another browser, or `weft link CODE` in a terminal, be this identity too: shows a code that whoever has it gives to
   * {@link takeIdentity} there, once, while this waits. Show it as text or as a QR code, to nobody else.
   *
   * Rejects as {@link Weft.export} does, or with the signal's reason, which also ends the waiting.
   */
  link(options?: { readonly signal?: AbortSignal }): Promise<Linking>;
  /**
   * The peers of this identity: one for each tab and terminal that was ever connected as it and that the signalers know, and those that
   * are here now. One that is not used any more goes by itself after 90 days, or is revoked.
   *
   * Rejects with `unreachable` if no signaler answers within 30 s, `queue-full`, `closed` or `revoked`.
   */
  peers(): Promise<OwnPeer[]>;
  /**
   * Says that a peer is this identity's no longer: a place that was lost or sold. That counts at once, and wherever it is heard of: others
   * end their links with it, nothing is left for it any more, and if it runs this package, or `weft`, it leaves everything, tells
   * {@link WeftEvents.revoked} and does not start again. It cannot be taken back. Whoever has taken the identity's key out of a place
   * can make other peers, and is not kept out by this.
   *
   * Resolves when the signalers have it, durable. Rejects with `unreachable` if none answers within 30 s: it counts all the same, and they
   * are told again until they have it, after a reload too. Rejects with `bad-option` for this peer itself and for another identity's,
   * `bad-id`, `too-many-peers` (64 are revoked), `closed` or `revoked`; nothing has happened then.
   */
  revoke(peer: string): Promise<void>;
  /** Says goodbye everywhere, ends every party and subscription. Closing twice is the same as once. */
  close(): Promise<void>;
}

/** What a {@link Weft} tells. */
export interface WeftEvents {
  /** Somebody sent a message; its receipt is on its way. */
  readonly message: Message;
  /**
   * What became of a message of one's own: it waits for the recipient, has been received, or will not be. Also of those that an
   * earlier page of this tab has left, and of which it was not told.
   */
  readonly sent: SentEvent;
  /** More of a large message, request or answer has come. It is told itself when all of it is here, if ever. */
  readonly progress: Incoming;
  /** The state of a signaler changed. */
  readonly signaler: SignalerInfo;
  /** The state of a link to another peer changed. */
  readonly link: LinkEvent;
  /** Something is wrong that one may want to show or count. */
  readonly warning: Warning;
  /**
   * This peer's own identity has revoked it, by {@link Weft.revoke} in another place: it has left everything and is closed, for good.
   * `connect` rejects with `revoked` from now on. Nothing was deleted.
   */
  readonly revoked: Revoked;
  /** The last event: after `close()`, `revoked`, or when the page goes away. */
  readonly closed: undefined;
}

/** A peer of one's own identity. */
export interface OwnPeer {
  /** Which. */
  readonly peer: string;
  /** Display name, where the peer was met; signalers do not know it. Empty if it is not known. */
  readonly name: string;
  /** When it last said that it is one, milliseconds since the Unix epoch; to a week, if it is not here. */
  readonly issued: number;
  /** It is the one that was asked. */
  readonly this: boolean;
  /** It is here now, in a party that one is in. */
  readonly connected: boolean;
}

/** For {@link WeftEvents.revoked}. */
export interface Revoked {
  /** When that was said, milliseconds since the Unix epoch, on the clock of the place that said it. */
  readonly time: number;
}

/** For {@link Weft.join}. */
export interface JoinOptions {
  /** Gives up waiting to be let in. */
  readonly signal?: AbortSignal;
}

/** What a member of a private party may do: a reader reads, a writer publishes, too, an admin invites and removes, too. */
export type Role = "reader" | "writer" | "admin";

/** A member of a private party. */
export interface Member {
  /** Who. */
  readonly identity: string;
  /** As what. */
  readonly role: Role;
}

/** For {@link Party.admit}. */
export interface AdmitOptions {
  /** Default `"writer"`. */
  readonly role?: Role;
  /** False: the new member reads only what is published after its admission. Default true. */
  readonly history?: boolean;
}

/** For {@link Party.invite}. */
export interface InviteOptions extends AdmitOptions {
  /** Milliseconds after which the invitation ends. Default 7 days. */
  readonly expires?: number;
}

/** What became of a message: {@link Weft.send}. */
export interface Sent {
  /** The same id as the recipient sees. */
  readonly id: string;
  /** It waits for the recipient, or a peer of the recipient has it. */
  readonly state: "stored" | "delivered";
}

/** See {@link WeftEvents.sent}. */
export interface SentEvent {
  /** As {@link Weft.send} gave it. */
  readonly id: string;
  /** It waits for the recipient, a peer of the recipient has it, or nobody will have it. */
  readonly state: "stored" | "delivered" | "failed";
  /** Why, if it failed: as {@link Weft.send} rejects. */
  readonly code?: WeftErrorCode;
}

/** For {@link Weft.send}. */
export interface SendOptions {
  /**
   * Resolve when the message waits safely for a recipient that is away (`"stored"`, the default), or only when it has been
   * received.
   */
  readonly until?: "stored" | "delivered";
  /** Milliseconds for which it may wait for a recipient that is away; at most 7 days, which is the default. 0: not at all. */
  readonly expires?: number;
  /** Gives the message up: what has not been sent is not sent any more, and of a large one the recipient forgets the rest. */
  readonly signal?: AbortSignal;
  /** Milliseconds to wait for the receipt, then it is given up: `timeout`. Default: `limits.messageTimeout`, then `unreachable`. */
  readonly timeout?: number;
  /** Called when more of a large message (more than 128 KiB, encoded) has arrived. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How much of a large message or request has arrived. */
export interface Progress {
  /** Bytes that a peer of the recipient has confirmed: of the one that has most. Grows. */
  readonly sent: number;
  /** All of them. */
  readonly total: number;
}

/** How much of a large message of somebody else has come. */
export interface Incoming {
  /** The sender's identity. */
  readonly from: string;
  /** The sender's peer. */
  readonly peer: string;
  /** Of the message or request; of an answer, one of its own. */
  readonly id: string;
  /** Bytes that are here. */
  readonly received: number;
  /** All of them, at most 16 MiB, as the sender says. */
  readonly total: number;
}

/** For {@link Weft.request}. */
export interface RequestOptions {
  /** Gives the request up: what has not been sent is not sent any more. */
  readonly signal?: AbortSignal;
  /**
   * Milliseconds that the answer may take, then `timeout`. Default 10,000. A request of more than 16 KiB may have to
   * wait for its turn behind others to the same identity: they do not run before. If request or answer are large, they
   * count from when the last part crossed.
   */
  readonly timeout?: number;
  /** Called when more of a large request (more than 128 KiB, encoded) has arrived. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Answers requests; see {@link Weft.onRequest}. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler that only acts need not return anything.
export type RequestHandler = (request: Message) => object | void | Promise<object | void>;

/** A message that came. */
export interface Message {
  /** What it says. */
  readonly data: Document;
  /** The sender's identity. */
  readonly from: string;
  /** The sender's peer. */
  readonly peer: string;
  /** The same id as the sender sees. */
  readonly id: string;
  /** When it was written, milliseconds since the Unix epoch on the sender's clock. */
  readonly time: number;
}

/** A signaler. */
export interface SignalerInfo {
  /** As configured, or as it says itself. */
  readonly url: string;
  /** True if it is not configured: others told of it, and it stands in for one that is. */
  readonly told?: true;
  /** `lost` ones are dialled again by themselves; `idle` ones wait as a reserve. */
  readonly state: "idle" | "connecting" | "connected" | "lost";
  /** Who it is (`z6Mk…`), once connected. */
  readonly signaler?: string;
  /** For people, if lost. */
  readonly reason?: string;
  /** The code that it gave, if it gave one. */
  readonly code?: string;
}

/** A link to another peer changed. */
export interface LinkEvent {
  /** The other side. */
  readonly peer: string;
  /** `interrupted`: no answer at the moment; it is being mended. */
  readonly state: "connecting" | "open" | "interrupted" | "closed";
  /** For people, if closed. */
  readonly reason?: string;
  /**
   * If open: no connection came about, so signalers forward what both sides seal; slower than a connection. `open` is told
   * again, with false, when a connection takes its place.
   */
  readonly forwarded?: boolean;
}

/** Why a peer is, or is not, directly connected; docs/guides/connections.md says what each means. */
export type DiagnosisCause =
  | "connected"
  | "connecting"
  | "interrupted"
  | "not-needed"
  | "no-signaler"
  | "unknown-peer"
  | "unanswered"
  | "refused"
  | "no-webrtc"
  | "no-address"
  | "no-stun"
  | "no-turn"
  | "turn-failed";

/** The way to one peer. See {@link Weft.diagnose}. */
export interface PeerDiagnosis {
  /** The peer. */
  readonly peer: string;
  /**
   * How documents and messages get there: by a connection, by a link that signalers forward, over the links of others
   * (`links` of them), or not yet. With `none`, publications get there all the same if the swarm hangs together.
   */
  readonly path: "direct" | "forwarded" | "mesh" | "connecting" | "none";
  /** Links between oneself and the peer, if `path` is `mesh`. */
  readonly links?: number;
  /** Why, for programs. */
  readonly cause: DiagnosisCause;
  /** Why, for people. */
  readonly text: string;
  /** What would help, for people; empty if nothing needs help. */
  readonly advice: string;
}

/** Something that is wrong. Nothing else depends on it. */
export interface Warning {
  /** Stable. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** A collaboration that one takes part in. Made by {@link Weft.join}. */
export interface Party extends Emitter<PartyEvents>, AsyncDisposable {
  /** The name it was joined by; undefined if it was joined by key. */
  readonly name: string | undefined;
  /** The party's key (`z6Mk…`). Who knows it can join; signalers never see it. */
  readonly key: string;
  /** One's own role in a private party, as far as is known; undefined in an open party, and for who is no member. */
  readonly role: Role | undefined;
  /** The members of a private party, as far as is known, ordered by identity; undefined for an open party. */
  members(): Member[] | undefined;
  /**
   * Makes an invitation (`weft:z…`) that lets one member in, once, as soon as an admin is online. Whoever has it can use it:
   * give it to one person over a channel that you trust. Throws `not-an-admin`, `not-private`, `not-possible`, `closed`.
   */
  invite(options?: InviteOptions): string;
  /** Lets an identity in without an invitation, also again after it was removed. Throws as {@link Party.invite}. */
  admit(identity: string, options?: AdmitOptions): void;
  /**
   * Removes a member: what others publish from then on it cannot read, and what it publishes nobody takes. Admins cannot be
   * removed by those who became admins at the same time or later. Throws as {@link Party.invite}.
   */
  remove(identity: string): void;
  /** Resolves when the first link in this party is open; rejects with `closed` if the party is left before. */
  readonly ready: Promise<void>;
  /**
   * Gets the publications of others that match, from now on, or also what was published before.
   *
   * Directly after `await weft.join(…)` nothing can have come yet. Who subscribes later, and without `backlog`, misses
   * what came between.
   *
   * With `Data`, as in `subscribe<Film>(…)`, the compiler checks the query against it; without, it takes any. Throws
   * `bad-query` with the path of what is wrong, for a member that is undefined too, and `bad-option`.
   */
  subscribe<Data extends object = Document>(
    query: Filter<Data> | Query<Data>,
    options?: SubscribeOptions,
  ): Subscription<Data>;
  /**
   * Publishes a document to everybody in the party who asks for it.
   *
   * Resolves when it has its place in one's feed, which may be before anybody has it. Waits while the queue of what is
   * to be sent is full. Rejects with `bad-document` (and `path`), `too-large`, `closed` or the signal's reason.
   */
  publish(document: object, options?: { readonly signal?: AbortSignal }): Promise<Published>;
  /**
   * Says something of this peer to everybody in the party, in place of what it said before: a colour, a cursor, "typing".
   * `null` takes it back. Whoever comes later learns it, too; see {@link PeerInfo.state}.
   *
   * Changes are told at most 4 times a second, the last one always. In parties of more than 64 members only peers with a
   * direct link learn it. Throws `bad-document`, `too-large` over 1,024 bytes encoded, `closed` or `not-in-party`.
   */
  setState(state: object | null): void;
  /** Who is in the party as far as this peer knows, oneself not counted; ordered by peer. */
  peers(): PeerInfo[];
  /** Who is in the party by identity: somebody with two tabs is here once. Peers whose identity is unknown yet are not. */
  presence(): Presence[];
  /** Leaves; subscriptions end. What is stored stays ({@link Weft.forget}). Leaving twice is the same as once. */
  leave(): Promise<void>;
}

/** What a {@link Party} tells. */
export interface PartyEvents {
  /** Somebody came, changed (its state, too) or went. */
  readonly peer: PeerEvent;
  /** The first link in this party is open. Once. */
  readonly ready: undefined;
  /** The state of a link to a peer of this party changed. */
  readonly link: LinkEvent;
  /** Somebody's feed has forked. Once per feed. */
  readonly fork: ForkEvent;
  /** Something new is known of the members of a private party: see {@link Party.members}. */
  readonly members: undefined;
  /** A peer of a private party does not take one for a member: `removed`, say. */
  readonly excluded: ExcludedEvent;
}

/** A peer does not take one for a member of a private party. */
export interface ExcludedEvent {
  /** Who says so. It may know less than others do, unless it is `removed`. */
  readonly peer: string;
  /** `removed`, `not-a-member`, `invitation-expired`, `invitation-used` or `invitation-unknown`. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/**
 * A peer has signed what cannot all be of one feed, so that not everybody gets the same from it: by intent, or because its
 * keys run in two places. Everybody in the party learns of it, and publications go on being delivered.
 */
export interface ForkEvent {
  /** Whose publications they are, if that is known. */
  readonly author?: string;
  /** The peer. */
  readonly feed: string;
  /** The first number known where there are two ways on. */
  readonly seq: number;
}

/** Somebody came, changed or went. */
export interface PeerEvent {
  /** What happened. */
  readonly change: "joined" | "changed" | "left";
  /** Who, as known now, or as last known. */
  readonly peer: PeerInfo;
}

/** What is known of a peer in a party. */
export interface PeerInfo {
  /** Who. */
  readonly peer: string;
  /** Whose, once known. */
  readonly identity?: string;
  /** Display name, may be empty. Neither unique nor proven. */
  readonly name: string;
  /** Since when it is here, milliseconds since the Unix epoch on its own clock, once known. */
  readonly since?: number;
  /** We have an open link to it. */
  readonly linked: boolean;
  /** Peers that it says it has links to. */
  readonly links: readonly string[];
  /** Signalers (`z6Mk…`) that it says it is connected to. */
  readonly homes: readonly string[];
  /** How many publications it says it has passed on. */
  readonly forwarded: number;
  /** What it says of itself with {@link Party.setState}, for as long as it is heard. Nobody has checked its members. */
  readonly state?: Document;
}

/** Somebody in a party. */
export interface Presence {
  /** Who. */
  readonly identity: string;
  /** The display name of its peer that came last. */
  readonly name: string;
  /** Since when its first peer is here, milliseconds since the Unix epoch, once known. */
  readonly since?: number;
  /** Its peers. */
  readonly peers: readonly string[];
  /** What each of them says of itself, by peer; see {@link PeerInfo.state}. */
  readonly states: { readonly [peer: string]: Document };
  /** It is oneself, in another tab or on another machine with the same identity. */
  readonly self: boolean;
}

/** Where a document that one has published stands. */
export interface Published {
  /** The publication's id. */
  readonly id: string;
  /** Its number in one's feed; grows, not always by one. */
  readonly seq: number;
}

/** For {@link Party.subscribe}. */
export interface SubscribeOptions {
  /**
   * Also get what was published before, as far as it is stored here or kept anywhere near: all, or only what is not older
   * than `age` milliseconds, and only the newest `count` that match. What its author published while alone, and nobody has
   * got yet, is new all the same. `live` tells when it is complete. Default false.
   */
  readonly backlog?: boolean | { readonly age?: number; readonly count?: number };
  /** Publications that wait here for `for await` or the first handler. Default: `limits.eventBuffer`. */
  readonly buffer?: number;
  /** Ends the subscription when aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Publications that match, as events or by `for await`.
 *
 * What comes before the first `on("data")` or `for await` waits. If more waits than the buffer holds, the oldest is
 * dropped, `dropped` counts it, and `error` tells `events-dropped` once until the reader has caught up. Ends with
 * `close()`, `break` in `for await`, `party.leave()` and `weft.close()`.
 */
export interface Subscription<Data extends object = Document>
  extends Emitter<SubscriptionEvents<Data>>,
    AsyncIterable<DataEvent<Data>>,
    AsyncDisposable {
  /** True until it has ended. */
  readonly open: boolean;
  /** Publications that were dropped because nobody read them. */
  readonly dropped: number;
  /** Ends it. Closing twice is the same as once. */
  close(): void;
}

/** What a {@link Subscription} tells. */
export interface SubscriptionEvents<Data extends object = Document> {
  /** A publication that matches. */
  readonly data: DataEvent<Data>;
  /** The backlog is complete; from now on publications are new. Once. */
  readonly live: undefined;
  /** Publications were dropped. */
  readonly error: WeftError;
}

/** A publication that matches. */
export interface DataEvent<Data extends object = Document> {
  /** The document. Its type is what the subscriber says: nobody checks what others publish but the query. */
  readonly data: Data;
  /** Whose it is. */
  readonly author: string;
  /** The publication's id; two publications of equal documents are two. */
  readonly id: string;
  /** The author's peer that published it. */
  readonly feed: string;
  /** Its number in that feed. */
  readonly seq: number;
  /** When it was published, milliseconds since the Unix epoch on the author's clock. */
  readonly time: number;
  /** It was published before one subscribed. */
  readonly backlog: boolean;
}

/** Figures since the start. */
export interface Stats {
  /** Publications of one's own. */
  readonly published: number;
  /** Publications of others, each counted once. */
  readonly received: number;
  /** Publications passed on, counted once per link. */
  readonly forwarded: number;
  /** Publications that came again and were dropped. */
  readonly duplicates: number;
  /** Publications and presences that did not verify. */
  readonly forged: number;
  /** Publications given to subscriptions. */
  readonly delivered: number;
  /** Envelopes that could not be opened. */
  readonly unopened: number;
  /** Frames that could not be decoded. */
  readonly malformed: number;
  /** Bytes sent on links. */
  readonly linkBytesOut: number;
  /** Bytes received on links. */
  readonly linkBytesIn: number;
  /** Bytes of large messages of others that are not whole yet, at the moment. */
  readonly assembling: number;
  /** RTCPeerConnections at the moment. */
  readonly connections: number;
  /** Bytes that closing now could lose: one's own publications that nobody has yet, and what waits for links. */
  readonly unsent: number;
  /** Changes of what is kept that are not stored yet; 0 with `store: "memory"`. */
  readonly unstored: number;
}

/** Why a document does not match. */
export interface Explanation {
  /** Whether it matches. */
  readonly matches: boolean;
  /** What failed, in the order of the query; empty if it matches. At most 32. */
  readonly failures: readonly {
    /** The condition's place in the query, such as `$.$or[1].age.$gt`. */
    readonly term: string;
    /** The path in the document that it looked at; empty for `$nor`. */
    readonly field: string;
    /** What it found there, for people. */
    readonly reason: string;
  }[];
}
