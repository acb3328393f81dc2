import type { Found } from "./feeds.js";
import type {
  Explanation,
  LinkEvent,
  OwnPeer,
  PeerDiagnosis,
  PeerInfo,
  SignalerInfo,
  Stats,
} from "./types.js";

/** The generated glue (web/generated/weft.js), by hand: its own types would only be there after a build. */

/** Loads and starts the module, once; the argument of later calls is ignored. */
export default function init(options: {
  module_or_path: URL | string | Request | Response | BufferSource | WebAssembly.Module | Promise<unknown>;
}): Promise<unknown>;

/** What {@link Peer} tells; wasm-peer/src/sink.rs. Ids are as in types.ts, parties are discovery keys. */
export interface Sink {
  data(
    subscription: number,
    data: object,
    author: string,
    id: string,
    feed: string,
    seq: number,
    time: number,
    backlog: boolean,
  ): void;
  live(subscription: number): void;
  published(command: number, id: string, seq: number): void;
  members(party: string): void;
  excluded(party: string, peer: string, code: string, reason: string): void;
  drained(): void;
  message(data: object, from: string, peer: string, id: string, time: number): void;
  progress(command: number, sent: number, total: number): void;
  incoming(from: string, peer: string, id: string, received: number, total: number): void;
  sent(command: number, id: string, code: string | undefined, reason: string): void;
  request(data: object, from: string, peer: string, id: string, time: number): void;
  answered(command: number, data: object | undefined, code: string | undefined, reason: string): void;
  signaler(home: number, info: SignalerInfo): void;
  ready(party: string): void;
  peer(party: string, change: "joined" | "changed" | "left", info: PeerInfo): void;
  link(info: LinkEvent): void;
  fork(party: string, author: string | undefined, feed: string, seq: number): void;
  forgotten(command: number, reason: string | undefined): void;
  listed(command: number, peers: OwnPeer[], code: string | undefined, reason: string): void;
  peerRevoked(command: number, code: string | undefined, reason: string): void;
  revoked(issued: number): void;
  store(
    party: string,
    what: string,
    work: number,
    put: Uint8Array[],
    remove: Uint8Array[],
  ): Found | undefined;
  warning(code: string, text: string): void;
  closed(): void;
}

/** wasm-peer/src/face.rs. Throws `[code, message, path?, hint?]`. */
export class Peer {
  constructor(
    signalers: string[],
    name: string,
    rtc: object | undefined,
    limits: object | undefined,
    seeds: Uint8Array,
    how: { store: boolean; lasts: boolean; discover: boolean },
    sink: Sink,
  );
  readonly identity: string;
  readonly id: string;
  party(nameOrKey: string, isKey: boolean): [discovery: string, key: string];
  join(key: string): void;
  founded(seed: Uint8Array): [discovery: string, key: string];
  invited(invitation: string): [discovery: string, key: string];
  joinPrivate(
    key: string,
    seed: Uint8Array,
    invitation: string | undefined,
    statements: readonly Uint8Array[],
  ): void;
  statements(party: string): Uint8Array[];
  statementKeys(): [first: Uint8Array, end: Uint8Array];
  storedStatements(party: string, found: readonly Uint8Array[]): Uint8Array[];
  invite(party: string, role: string, history: boolean, expires: number): string;
  admit(party: string, member: string, role: string, history: boolean): void;
  remove(party: string, member: string): void;
  members(party: string): string[] | undefined;
  forget(party: string): number;
  loaded(party: string, found: Found, failed: string | undefined): void;
  written(party: string, work: number, failed: string | undefined): void;
  leave(party: string): void;
  subscribe(party: string, matcher: Matcher, backlog: boolean, age: number, most: number): number;
  unsubscribe(subscription: number): void;
  publish(party: string, document: object): number;
  send(to: string, document: object, expires: number): number;
  request(to: string, document: object, timeout: number): number;
  cancel(command: number): void;
  answering(on: boolean): void;
  collect(): void;
  respond(request: string, document: object | undefined, failed: string | undefined): void;
  state(party: string, state: object | null): void;
  block(peer: string, blocked: boolean): void;
  rename(name: string): void;
  close(): void;
  woke(): void;
  peers(party: string): PeerInfo[];
  listPeers(): number;
  revoke(peer: string): number;
  diagnose(): PeerDiagnosis[];
  stats(): Stats;
  free(): void;
}

/** wasm-peer/src/rehearsal.rs. */
export class Rehearsal {
  constructor();
  step(): boolean;
  free(): void;
}

/** wasm-peer/src/matcher.rs. Throws `[code, message, path?, hint?]`. */
export class Matcher {
  constructor(query: object);
  matches(document: object): boolean;
  explain(document: object): Explanation;
  free(): void;
}

/** wasm-peer/src/export.rs. They throw `[code, message]`. */
export function exportRecipe(
  bytes?: Uint8Array,
): [memory: number, passes: number, lanes: number, salt: Uint8Array, letters: number];
export function sealExport(
  salt: Uint8Array,
  key: Uint8Array,
  identity: Uint8Array,
  name: string,
  parties: readonly (string | Uint8Array | readonly Uint8Array[])[],
): Uint8Array;
export function openExport(bytes: Uint8Array, key: Uint8Array): OpenedExport;

/** Of each party in turn: discovery key, key, seed or no bytes, statements. */
export type OpenedExport = [
  identity: Uint8Array,
  text: string,
  name: string,
  ...parties: (string | Uint8Array | Uint8Array[])[],
];

/** A new code for linking. */
export function linkCode(): string;
/** The key of the party where both sides of a code meet. Throws `bad-code`. */
export function linkParty(code: string): string;
