/**
 * Somebody in a swarm who keeps to the protocol (docs/spec/wire.md) only as far as a test wants: it seals signals to a page,
 * opens a channel to it from a bare RTCPeerConnection, and says hello with what it has or has not.
 */
import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { decode, encode, type Fields, fields, type Value } from "../federation/wire/cbor.ts";
import { bytesAt, Key, numberAt, parse, same, u64 } from "../federation/wire/keys.ts";
import { Peer as Client, From, To } from "../federation/wire/peer.ts";
import { derive, keyed } from "./blake3.ts";
import type { Lab, Peer } from "./browser.ts";
import { Agreement, type Recipient, seal, unseal } from "./envelope.ts";

/** Kinds of signals. */
export const Signal = { Knock: 1, Offer: 2, Answer: 3, Candidates: 4, Refuse: 5 } as const;
/** Kinds of frames of a link. */
export const Frame = { Hello: 1, Bye: 5, Publish: 6, Want: 7, Presence: 9 } as const;

const ENVELOPE_SIGNAL = 1;
/** Flags of a chunk. */
const [FIRST, LAST] = [1, 2];
const HEAD = 9;
/** Bytes of a frame that one chunk carries. */
const PART = 16 * 1024 - HEAD;
/** How long is waited for what a page should answer, milliseconds. */
const PATIENCE = 30_000;

/** The public key of the open party of a name, and what signalers see of it. */
export function openParty(name: string): { readonly key: Uint8Array; readonly discovery: Uint8Array } {
  const key = new Key(derive("weft/v1/open-party", Buffer.from(name))).id;
  return { key, discovery: keyed(key, Buffer.from("weft/v1/discovery-key")) };
}

/** A party's key, proved for one connection by one peer. */
export function proof(party: Uint8Array, transcript: Uint8Array, prover: Uint8Array): Uint8Array {
  return keyed(derive("weft/v1/party-proof", party), Buffer.concat([transcript, prover]));
}

export interface Candidate {
  readonly candidate: string;
  readonly sdpMid?: string | null;
  readonly sdpMLineIndex?: number | null;
}

/** A frame that came over the channel, if it was of one chunk. */
export interface Received {
  readonly kind: number;
  readonly body: Fields;
  readonly bytes: Uint8Array;
}

/** A signal that came. */
export interface Said {
  readonly kind: number;
  readonly body: Fields;
}

/** What a signal says besides its own fields. */
export interface Envelope {
  readonly discovery?: Uint8Array;
  readonly session?: Uint8Array;
  readonly generation?: number;
}

/** Who an intruder is, and whom it knows. */
interface Self {
  readonly client: Client;
  readonly agreement: Agreement;
  readonly identity: Key;
  readonly discovery: Uint8Array;
  readonly listed: readonly Fields[];
}

export class Intruder {
  readonly session: Uint8Array = randomBytes(16);
  readonly client: Client;
  readonly agreement: Agreement;
  readonly identity: Key;
  readonly discovery: Uint8Array;
  /** Both ends' fingerprints, once there is an answer. */
  transcript: Uint8Array = new Uint8Array();
  #number = 0;

  private constructor(
    readonly page: Page,
    private readonly self: Self,
    readonly target: Recipient,
  ) {
    this.client = self.client;
    this.agreement = self.agreement;
    this.identity = self.identity;
    this.discovery = self.discovery;
  }

  /**
   * Joins the swarm, with a key that is lower than the target's, so that it is the one who offers; and lower than those
   * of others, if it is to be `beside` them as well.
   */
  static async join(
    lab: Lab,
    url: string,
    discovery: Uint8Array,
    target: Peer,
    ...others: readonly Peer[]
  ): Promise<Intruder> {
    const peers = [target, ...others].map(({ id }) => parse(id));
    let key = new Key();
    while (peers.some((peer) => Buffer.compare(key.id, peer) > 0)) key = new Key();
    const client = await Client.connect(url, { key });
    const agreement = new Agreement();
    client.send(To.Announce, [0, entry(client, agreement, discovery)]);
    const { fields: members } = await client.inbox.take(From.Members);
    const listed = (members.get(1) as Uint8Array[]).map(entryBody);
    return await Intruder.#at(lab, { client, agreement, identity: new Key(), discovery, listed }, target);
  }

  static async #at(lab: Lab, self: Self, target: Peer): Promise<Intruder> {
    const peer = parse(target.id);
    const about =
      self.listed.find((member) => same(bytesAt(member, 1), peer)) ??
      entryBody(bytesAt((await self.client.joined(peer)).fields, 0));
    const { page } = await lab.page();
    await page.addScriptTag({ path: new URL("raw.js", import.meta.url).pathname });
    return new Intruder(page, self, { peer, agreement: bytesAt(about, 3) });
  }

  /** The same peer at another page. The channel to this one has to be open: there is one reader of signals. */
  async beside(lab: Lab, target: Peer): Promise<Intruder> {
    return await Intruder.#at(lab, this.self, target);
  }

  get id(): Uint8Array {
    return this.client.id;
  }

  /** Seals any bytes to the target and passes them on. */
  async put(body: Uint8Array): Promise<void> {
    await this.pass(seal(this.client.key, this.target, body));
  }

  /** Gives the signaler bytes for the target, in place of an envelope. */
  async pass(envelope: Uint8Array): Promise<void> {
    const outcome = await this.client.forward(this.target.peer, envelope);
    if (outcome !== "ack") throw new Error(`the signaler did not pass it on: ${outcome}`);
  }

  /** The body of a signal. */
  signal(kind: number, body: readonly (readonly [number, Value])[], about: Envelope = {}): Uint8Array {
    const { discovery = this.discovery, session = this.session, generation = 0 } = about;
    const signal = [kind, fields(...body)];
    const contents = fields([0, discovery], [1, session], [2, generation], [3, signal]);
    return encode([ENVELOPE_SIGNAL, contents]);
  }

  /** The body of an offer. */
  offer(sdp: string, candidates: readonly Candidate[] = [], about: Envelope = {}): Uint8Array {
    const body = [
      [0, sdp],
      [1, candidates.map(candidateFields)],
      [2, true],
      [3, entry(this.client, this.agreement, this.discovery)],
    ] as const;
    return this.signal(Signal.Offer, body, about);
  }

  candidates(candidates: readonly Candidate[], about: Envelope = {}): Uint8Array {
    return this.signal(Signal.Candidates, [[0, candidates.map(candidateFields)]], about);
  }

  /** The next answer or refusal in a session that the target sends; other signals are passed over. */
  async answer(session = this.session): Promise<Said> {
    for (;;) {
      const said = this.#unseal(await this.client.delivered(), session);
      if (said?.kind === Signal.Answer || said?.kind === Signal.Refuse) return said;
    }
  }

  /** What an envelope says, if it is a signal of the target's in a session. */
  #unseal(envelope: Uint8Array, session: Uint8Array): Said | undefined {
    const { from, body } = unseal(this.id, this.agreement, envelope);
    if (!same(from, this.target.peer)) return undefined;
    const [kind, contents] = decode(body) as [number, Fields];
    if (kind !== ENVELOPE_SIGNAL || !same(bytesAt(contents, 1), session)) return undefined;
    const [signal, fields] = contents.get(3) as [number, Fields];
    return { kind: signal, body: fields };
  }

  /** A description and all candidates of the bare connection. */
  async describe(): Promise<{ readonly sdp: string; readonly candidates: readonly Candidate[] }> {
    const sdp = (await this.page.evaluate("raw.offer()")) as string;
    await this.#until("raw.gathered()");
    return { sdp, candidates: (await this.page.evaluate("raw.candidates")) as Candidate[] };
  }

  /** Sends an offer, takes the answer and waits until the channel is open. */
  async open(): Promise<void> {
    const { sdp, candidates } = await this.describe();
    await this.put(this.offer(sdp, candidates));
    await this.settle(sdp);
  }

  /** Waits for the answer to an offer, and until the channel is open. */
  async settle(sdp: string): Promise<void> {
    const { kind, body } = await this.answer();
    if (kind !== Signal.Answer) throw new Error(`refused with reason ${numberAt(body, 0)}`);
    await this.accept(sdp, body);
  }

  /** Takes an answer, with or without its candidates, and waits until the channel is open. */
  async accept(sdp: string, body: Fields, options: { readonly deaf?: boolean } = {}): Promise<void> {
    const theirs = body.get(0) as string;
    this.transcript = derive(
      "weft/v1/link-transcript",
      Buffer.concat([
        this.session,
        this.id,
        this.target.peer,
        ...[sdp, theirs].flatMap((description) => {
          const value = /^a=fingerprint:(.*)$/m.exec(description)?.[1]?.trim().toUpperCase() ?? "";
          return [u64(value.length), Buffer.from(value)];
        }),
      ]),
    );
    const deaf = options.deaf === true;
    const candidates = deaf ? [] : (body.get(1) as Fields[]).map(candidateOf);
    const heard = deaf ? theirs.replaceAll(/^a=candidate:.*\r\n/gm, "") : theirs;
    await this.page.evaluate(
      ([sdp, candidates]) =>
        // biome-ignore lint/suspicious/noExplicitAny: the page's own object.
        (globalThis as any).raw.answer(sdp, candidates),
      [heard, candidates] as const,
    );
    if (!deaf) await this.#follow();
    await this.#until("raw.opened");
  }

  /** Takes the candidates that come after the answer, which on a busy machine may be all, until the channel is open. */
  async #follow(): Promise<void> {
    const deadline = performance.now() + PATIENCE;
    for (let count = 0; performance.now() < deadline; ) {
      const envelopes = this.client.inbox.seen(From.Deliver).slice(count);
      count += envelopes.length;
      for (const { fields } of envelopes) {
        const said = this.#unseal(bytesAt(fields, 0), this.session);
        if (said?.kind !== Signal.Candidates) continue;
        const candidates = (said.body.get(0) as Fields[]).map(candidateOf);
        await this.page.evaluate(`raw.add(${JSON.stringify(candidates)})`);
      }
      const opened = await this.#until("raw.opened", 200).then(
        () => true,
        () => false,
      );
      if (opened) return;
    }
  }

  /** A hello that says truly who it is, with these proofs of parties' keys. */
  hello(...parties: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
    const signature = this.client.key.sign("weft/v1/link", [this.id, this.transcript]);
    const body = fields([0, 1], [1, this.id], [2, signature], [3, this.record()], [4, parties]);
    return encode([Frame.Hello, body]);
  }

  /** A true statement of an identity that this peer is its own. */
  record(): Uint8Array {
    const now = Date.now();
    const body = encode(
      fields(
        [0, this.identity.id],
        [1, this.id],
        [2, this.agreement.id],
        [3, "intruder"],
        [4, now],
        [5, now + 600_000],
      ),
    );
    return encode([body, this.identity.sign("weft/v1/peer-record", [body])]);
  }

  /** Word that it is in the party, and what its application says of it. */
  presence(state?: Uint8Array): Uint8Array {
    const body = encode(
      fields(
        [0, this.discovery],
        [1, this.id],
        [2, Date.now()],
        [3, this.record()],
        [4, []],
        [5, []],
        [6, false],
        [7, 0],
        ...(state === undefined ? [] : [[8, state] as const]),
      ),
    );
    const presence = encode([body, this.client.key.sign("weft/v1/presence", [body])]);
    return encode([Frame.Presence, fields([0, 0], [1, presence])]);
  }

  /** A wish for everything that was published. */
  want(): Uint8Array {
    return encode([Frame.Want, fields([0, this.discovery], [2, []])]);
  }

  /** Sends frames over the channel, in one go, cut into chunks. */
  async say(...frames: readonly Uint8Array[]): Promise<void> {
    const chunks = frames.flatMap((frame) => {
      this.#number += 1;
      const parts = Array.from({ length: Math.max(1, Math.ceil(frame.length / PART)) }, (_, n) =>
        frame.subarray(n * PART, (n + 1) * PART),
      );
      return parts.map((part, n) => {
        const flags = (n === 0 ? FIRST : 0) | (n === parts.length - 1 ? LAST : 0);
        return chunk(flags, this.#number, part, n === 0 ? frame.length : undefined);
      });
    });
    await this.chunks(...chunks);
  }

  /** Sends chunks as they are. */
  async chunks(...chunks: readonly Uint8Array[]): Promise<void> {
    const texts = chunks.map((one) => Buffer.from(one).toString("base64"));
    await this.page.evaluate(`raw.send(${JSON.stringify(texts)})`);
  }

  /** What has come over the channel. */
  async received(): Promise<Received[]> {
    const chunks = (await this.page.evaluate("raw.received")) as string[];
    return chunks.map((chunk) => {
      const bytes = Buffer.from(chunk, "base64").subarray(HEAD);
      const [kind, body] = decode(bytes) as [number, Fields];
      return { kind, body, bytes };
    });
  }

  /** Waits for a frame of a kind, with certain words in it. */
  async heard(kind: number, words = ""): Promise<Received> {
    const deadline = performance.now() + PATIENCE;
    for (let count = 0; ; ) {
      const received = await this.received();
      const found = received
        .slice(count)
        .find((frame) => frame.kind === kind && Buffer.from(frame.bytes).includes(words));
      if (found !== undefined) return found;
      count = received.length;
      const rest = deadline - performance.now();
      await this.#until(`raw.received.length > ${count}`, Math.max(1, rest)).catch(() => {
        throw new Error(`no frame ${kind}; there were ${received.map((frame) => frame.kind).join()}`);
      });
    }
  }

  /** Waits until the other side has closed the channel. */
  async closed(): Promise<void> {
    await this.#until("raw.closed");
  }

  async #until(expression: string, timeout = PATIENCE): Promise<void> {
    await this.page.waitForFunction(expression, undefined, { timeout, polling: 20 }).catch(() => {
      throw new Error(`${expression} did not hold within ${timeout} ms`);
    });
  }
}

function entry(client: Client, agreement: Agreement, discovery: Uint8Array): Uint8Array {
  const now = Date.now();
  const body = encode(
    fields(
      [0, discovery],
      [1, client.id],
      [2, client.signaler],
      [3, agreement.id],
      [4, now],
      [5, now],
      [6, now + 100_000],
      [7, false],
    ),
  );
  return encode([body, client.key.sign("weft/v1/entry", [body])]);
}

/** A chunk of a frame; the first says how long the frame is (docs/spec/wire.md, section 2.2). */
export function chunk(flags: number, number: number, part: Uint8Array, length?: number): Uint8Array {
  const head = Buffer.alloc(length === undefined ? HEAD - 4 : HEAD);
  head[0] = flags;
  head.writeUInt32BE(number, 1);
  if (length !== undefined) head.writeUInt32BE(length, 5);
  return Buffer.concat([head, part]);
}

/** What a signed entry says. */
function entryBody(statement: Uint8Array): Fields {
  const [body] = decode(statement) as [Uint8Array];
  return decode(body) as Fields;
}

function candidateFields({ candidate, sdpMid, sdpMLineIndex }: Candidate): Fields {
  return fields([0, candidate], [1, sdpMid ?? undefined], [2, sdpMLineIndex ?? undefined]);
}

function candidateOf(body: Fields): Candidate {
  const [candidate, mid, index] = [body.get(0), body.get(1), body.get(2)];
  return {
    candidate: String(candidate),
    sdpMid: typeof mid === "string" ? mid : null,
    sdpMLineIndex: typeof index === "number" ? index : null,
  };
}
