/** A signaler that speaks to another frame by frame (docs/spec/federation.md): it sees what siblings are told. */
import { decode, encode, type Fields, fields, type Value } from "./cbor.ts";
import { codeName } from "./codes.ts";
import { Inbox } from "./inbox.ts";
import {
  bytesAt,
  type Card,
  type Entry,
  isSignedBy,
  Key,
  numberAt,
  openCard,
  openEntry,
  openGone,
  same,
  signCard,
} from "./keys.ts";
import { type Closed, Socket } from "./socket.ts";

export const Said = {
  Challenge: 1,
  Prove: 2,
  Admitted: 3,
  Error: 4,
  Entries: 5,
  Gone: 6,
  Forward: 7,
  Outcome: 8,
  Fanout: 9,
  Ping: 10,
  Pong: 11,
  Goodbye: 12,
  Gossip: 13,
} as const;

const nameOf = (kind: number) =>
  Object.entries(Said).find(([, number]) => number === kind)?.[0] ?? `frame ${kind}`;
/** Whether a member lives. */
export const Standing = { Alive: 0, Suspect: 1, Down: 2 } as const;

const NEWS = 9;
const DOMAIN = "weft/v1/signaler-to-signaler";

export class Sibling {
  readonly inbox = new Inbox(nameOf);
  /** Every entry and tombstone that was told, verified, in order. */
  readonly entries: Entry[] = [];
  readonly #nonce = Buffer.alloc(32, 5);
  /** Who the other side says it is. */
  theirs: Uint8Array = new Uint8Array();
  /** What it proved its key with. */
  proof: Uint8Array = new Uint8Array();
  readonly #since = Date.now();
  #theirs: Card | undefined;

  private constructor(
    readonly socket: Socket,
    readonly key: Key,
  ) {
    socket.onMessage = (bytes) => {
      const [kind, body] = decode(bytes) as [number, Fields];
      if (kind === Said.Entries) this.entries.push(...(body.get(0) as Uint8Array[]).map(openEntry));
      if (kind === Said.Ping) this.send(Said.Pong, [0, numberAt(body, 0)]);
      this.inbox.add(kind, body);
    };
  }

  /** Connects and proves its key; what the signaler makes of it is the next frame. `forged`: proves another key. */
  static async call(url: string, key = new Key(), forged?: Key): Promise<Sibling> {
    const { sibling, theirNonce } = await Sibling.#begin(url, key, key.id);
    sibling.proof = (forged ?? key).sign(DOMAIN, [key.id, sibling.theirs, sibling.#nonce, theirNonce]);
    sibling.send(Said.Prove, [0, sibling.proof]);
    if (forged === undefined) {
      const { fields: proved } = await sibling.inbox.take(Said.Prove);
      const parts = [sibling.theirs, key.id, theirNonce, sibling.#nonce];
      if (!isSignedBy(sibling.theirs, DOMAIN, parts, bytesAt(proved, 0))) throw new Error("a false proof");
    }
    return sibling;
  }

  /** Says who it is and proves nothing. */
  static async claim(url: string, id: Uint8Array): Promise<Sibling> {
    return (await Sibling.#begin(url, new Key(), id)).sibling;
  }

  /** Says who it is with a proof that was made before. */
  static async replay(url: string, key: Key, proof: Uint8Array): Promise<Sibling> {
    const { sibling } = await Sibling.#begin(url, key, key.id);
    sibling.send(Said.Prove, [0, proof]);
    return sibling;
  }

  static async #begin(
    url: string,
    key: Key,
    id: Uint8Array,
  ): Promise<{ sibling: Sibling; theirNonce: Uint8Array }> {
    const sibling = new Sibling(await Socket.open(url, "weft-federation.v1"), key);
    const { fields: challenge } = await sibling.inbox.take(Said.Challenge);
    sibling.theirs = bytesAt(challenge, 0);
    sibling.send(Said.Challenge, [0, id], [1, sibling.#nonce]);
    return { sibling, theirNonce: bytesAt(challenge, 1) };
  }

  /** The same, admitted on both sides. */
  static async join(url: string, key?: Key): Promise<Sibling> {
    const sibling = await Sibling.call(url, key);
    await sibling.inbox.take(Said.Admitted);
    sibling.send(Said.Admitted);
    return sibling;
  }

  /** The same, as a member of the federation: with a card. It answers no pings, so it is one for some seconds. */
  static async member(url: string, key = new Key()): Promise<Sibling> {
    const sibling = await Sibling.call(url, key);
    const { fields: admitted } = await sibling.inbox.take(Said.Admitted);
    sibling.#theirs = openCard(bytesAt(admitted, 1));
    sibling.send(Said.Admitted, [1, sibling.card]);
    return sibling;
  }

  /** Its own card. */
  get card(): Uint8Array {
    return signCard(this.key, { signaler: this.key.id, since: this.#since, url: undefined });
  }

  /** Sends a packet of news: cards, and whether those members live. */
  news(...updates: readonly (readonly [Uint8Array, number])[]): void {
    if (this.#theirs === undefined) throw new Error("only members have news");
    const to = fields([0, this.#theirs.signaler], [1, this.#theirs.since]);
    const head = encode(fields([0, this.card], [1, 0], [2, to], [3, [NEWS, fields()]]));
    const count = Buffer.alloc(2);
    count.writeUInt16BE(updates.length);
    const told = updates.map(([card, standing]) => encode(fields([0, card], [1, 0], [2, standing])));
    this.send(Said.Gossip, [0, Buffer.concat([head, count, ...told])]);
  }

  get closed(): Promise<Closed> {
    return this.socket.closed();
  }

  /** Passes on entries, whoever made them. */
  tell(...entries: readonly Uint8Array[]): void {
    this.send(Said.Entries, [0, [...entries]]);
  }

  send(kind: number, ...body: readonly (readonly [number, Value | undefined])[]): void {
    this.socket.send(encode([kind, fields(...body)]));
  }

  /** Waits until an entry of this peer has been told; returns all that were told so far. */
  async entriesOf(peer: Uint8Array, count = 1): Promise<Entry[]> {
    const mine = () => this.entries.filter((entry) => same(entry.peer, peer));
    while (mine().length < count) await this.inbox.take(Said.Entries);
    return mine();
  }

  /** The next removal of a peer's entry by its home, verified. */
  async gone(peer: Uint8Array): Promise<ReturnType<typeof openGone>> {
    const about = (body: Fields) => (body.get(0) as Uint8Array[]).map(openGone);
    const frame = await this.inbox.take(Said.Gone, (body) =>
      about(body).some((gone) => same(gone.peer, peer)),
    );
    const found = about(frame.fields).find((gone) => same(gone.peer, peer));
    if (found === undefined) throw new Error("unreachable: the frame was chosen for it");
    return found;
  }

  /** The next error frame's code. */
  async refusal(): Promise<string> {
    return codeName(numberAt((await this.inbox.take(Said.Error)).fields, 0));
  }

  /** Resolves once everything that was sent before has been dealt with. */
  async ping(): Promise<void> {
    const token = 1 + Math.floor(performance.now());
    this.send(Said.Ping, [0, token]);
    await this.inbox.take(Said.Pong, (body) => body.get(0) === token);
  }
}
