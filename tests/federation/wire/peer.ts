/** A peer that speaks to a signaler frame by frame (docs/spec/signaler.md), and may say what an honest one would not. */
import { randomBytes } from "node:crypto";
import { decode, encode, type Fields, fields, type Value } from "./cbor.ts";
import { type CodeName, codeName } from "./codes.ts";
import { type Frame, Inbox } from "./inbox.ts";
import {
  bytesAt,
  type Card,
  type Entry,
  isSignedBy,
  Key,
  numberAt,
  openCard,
  openEntry,
  same,
  signEntry,
} from "./keys.ts";
import { type Closed, Socket, type SocketOptions } from "./socket.ts";

/** Frames that a peer sends. */
export const To = { Authenticate: 1, Announce: 2, Leave: 3, Forward: 4, Fanout: 5, Ping: 6 } as const;

/** Frames that a signaler sends. */
export const From = {
  Challenge: 1,
  Welcome: 2,
  Error: 3,
  Members: 4,
  Joined: 5,
  Left: 6,
  Deliver: 7,
  Fanned: 8,
  Ack: 9,
  Pong: 10,
  Goodbye: 11,
  Signalers: 65,
} as const;

const nameOf = (kind: number) =>
  Object.entries(From).find(([, number]) => number === kind)?.[0] ?? `frame ${kind}`;

/** An error frame. */
export interface Refusal {
  readonly code: string;
  readonly re: number | undefined;
}

/** What a connection is made with. */
export interface PeerOptions extends SocketOptions {
  readonly key?: Key;
}

let lastSeq = Date.now();

/** Sequence numbers grow, over all peers of this process: one peer may be at several signalers. */
function nextSeq(): number {
  lastSeq = Math.max(lastSeq + 1, Date.now());
  return lastSeq;
}

export class Peer {
  readonly inbox = new Inbox(nameOf);
  signaler: Uint8Array = new Uint8Array();
  /** Of the challenge. */
  nonce: Uint8Array = new Uint8Array();
  #re = 0;
  readonly #refreshing = new Set<NodeJS.Timeout>();

  private constructor(
    readonly socket: Socket,
    readonly key: Key,
  ) {
    socket.onMessage = (bytes) => {
      const [kind, body] = decode(bytes) as [number, Fields];
      this.inbox.add(kind, body);
    };
    socket.onClosed = () => {
      for (const timer of this.#refreshing) clearInterval(timer);
    };
  }

  /** Connects and authenticates; checks the signaler's own signature. */
  static async connect(url: string, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.strange(url, options);
    const nonce = randomBytes(32);
    peer.authenticate(nonce);
    const { fields: welcome } = await peer.inbox.take(From.Welcome);
    const parts = [peer.signaler, peer.id, peer.nonce, nonce];
    if (!isSignedBy(peer.signaler, "weft/v1/signaler-to-peer", parts, bytesAt(welcome, 0))) {
      throw new Error("the signaler's proof does not verify");
    }
    return peer;
  }

  /** Connects and takes the challenge, no more; rejects with the code if the signaler says goodbye instead. */
  static async strange(url: string, options: PeerOptions = {}): Promise<Peer> {
    const peer = new Peer(await Socket.open(url, "weft.v1", options), options.key ?? new Key());
    const first = await peer.inbox.wait(
      "Challenge",
      ({ kind }) => kind === From.Challenge || kind === From.Goodbye,
    );
    const challenge = first.fields;
    if (first.kind === From.Goodbye) throw new Error(`goodbye: ${codeName(numberAt(challenge, 0))}`);
    peer.signaler = bytesAt(challenge, 0);
    peer.nonce = bytesAt(challenge, 1);
    return peer;
  }

  get id(): Uint8Array {
    return this.key.id;
  }

  get closed(): Promise<Closed> {
    return this.socket.closed();
  }

  /** Answers the challenge; what else than the truth is signed or claimed may be said. */
  authenticate(nonce: Uint8Array, lie: { readonly signer?: Key; readonly over?: Uint8Array } = {}): void {
    const parts = [this.signaler, this.id, lie.over ?? this.nonce, nonce];
    const signature = (lie.signer ?? this.key).sign("weft/v1/peer-to-signaler", parts);
    this.send(To.Authenticate, [0, this.id], [1, nonce], [2, signature], [3, "tests"]);
  }

  send(kind: number, ...body: readonly (readonly [number, Value | undefined])[]): void {
    this.socket.send(encode([kind, fields(...body)]));
  }

  /** A discovery entry of this peer at this signaler, signed; `lie` changes what it says or who signs. */
  entry(discovery: Uint8Array, lie: Partial<Entry> & { readonly signer?: Key } = {}): Uint8Array {
    const now = Date.now();
    const honest = {
      discovery,
      peer: this.id,
      home: this.signaler,
      since: now,
      until: now + 120_000,
      left: false,
    };
    const { signer, ...said } = lie;
    return signEntry(signer ?? this.key, { seq: nextSeq(), ...honest, ...said });
  }

  /** Joins a swarm or refreshes the entry; resolves with the members that the signaler tells. */
  async announce(discovery: Uint8Array, lie: Partial<Entry> = {}): Promise<Entry[]> {
    this.send(To.Announce, [0, this.entry(discovery, lie)]);
    const answer = await this.inbox.take(From.Members, (body) => same(bytesAt(body, 0), discovery));
    return (answer.fields.get(1) as Uint8Array[]).map(openEntry);
  }

  /** Announces now and then every so many milliseconds, with the same `since`, until stopped or closed. */
  async stay(discovery: Uint8Array, every: number): Promise<{ readonly members: Entry[]; stop(): void }> {
    const since = Date.now();
    const members = await this.announce(discovery, { since });
    const timer = setInterval(() => this.send(To.Announce, [0, this.entry(discovery, { since })]), every);
    this.#refreshing.add(timer);
    return { members, stop: () => clearInterval(timer) };
  }

  leave(discovery: Uint8Array): void {
    this.send(To.Leave, [0, this.entry(discovery, { left: true })]);
  }

  /** Passes an envelope on; resolves with "ack" or the name of the code it was refused with. */
  async forward(to: Uint8Array, envelope: Uint8Array, home?: Uint8Array): Promise<CodeName | "ack"> {
    this.#re += 1;
    const re = this.#re;
    this.send(To.Forward, [0, re], [1, to], [2, home], [3, envelope], [4, true]);
    return await this.#outcome(re);
  }

  async fanout(discovery: Uint8Array, payload: Uint8Array): Promise<CodeName | "ack"> {
    this.#re += 1;
    const re = this.#re;
    this.send(To.Fanout, [0, re], [1, discovery], [2, payload], [3, true]);
    return await this.#outcome(re);
  }

  /** Resolves once everything that was sent before has been dealt with. */
  async ping(): Promise<void> {
    this.#re += 1;
    const token = this.#re;
    this.send(To.Ping, [0, token]);
    await this.inbox.take(From.Pong, (body) => body.get(0) === token);
  }

  /** The next error frame. */
  async refusal(): Promise<Refusal> {
    const { fields: body } = await this.inbox.take(From.Error);
    const re = body.get(1);
    return { code: codeName(numberAt(body, 0)), re: typeof re === "number" ? re : undefined };
  }

  /** The signalers of the federation, the next time that they are told: every card is checked. */
  async signalers(): Promise<Card[]> {
    const { fields: body } = await this.inbox.take(From.Signalers);
    return (body.get(0) as Uint8Array[]).map(openCard);
  }

  /** The next news that a member came. */
  async joined(peer: Uint8Array, within?: number): Promise<Frame & { readonly entry: Entry }> {
    const frame = await this.inbox.take(
      From.Joined,
      (body) => same(openEntry(bytesAt(body, 0)).peer, peer),
      within,
    );
    return { ...frame, entry: openEntry(bytesAt(frame.fields, 0)) };
  }

  /** The next news that a member has gone. */
  async left(peer: Uint8Array, within?: number): Promise<Frame> {
    return await this.inbox.take(From.Left, (body) => same(bytesAt(body, 1), peer), within);
  }

  /** How often it was told, so far, that a member came or went. */
  told(kind: typeof From.Joined | typeof From.Left, peer: Uint8Array): number {
    const about = (body: Fields) =>
      same(kind === From.Left ? bytesAt(body, 1) : openEntry(bytesAt(body, 0)).peer, peer);
    return this.inbox.seen(kind, about).length;
  }

  /** The next envelope. */
  async delivered(): Promise<Uint8Array> {
    return bytesAt((await this.inbox.take(From.Deliver)).fields, 0);
  }

  async #outcome(re: number): Promise<CodeName | "ack"> {
    const frame = await this.inbox.wait(
      `outcome of ${re}`,
      ({ kind, fields: body }) =>
        (kind === From.Ack && body.get(0) === re) || (kind === From.Error && body.get(1) === re),
    );
    return frame.kind === From.Ack ? "ack" : (codeName(numberAt(frame.fields, 0)) as CodeName);
  }
}
