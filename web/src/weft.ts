import { check, checkId, checkNumber, checkOptions } from "./check.js";
import { Handlers } from "./emitter.js";
import { WeftError, type WeftErrorCode } from "./errors.js";
import { FeedStore } from "./feeds.js";
import { Peer, type Sink } from "./glue.js";
import { give, type Start } from "./linking.js";
import { sealIdentity } from "./moving.js";
import { JoinedParty, type PartyOwner } from "./party.js";
import { PrivateParties } from "./private.js";
import { type Publisher, PublishQueue } from "./publishing.js";
import { checkProgress, LONGEST_TIMER, Requests, SENDING } from "./requests.js";
import { type Keys, revokedError } from "./store.js";
import { asyncDispose } from "./symbols.js";
import type {
  ConnectOptions,
  JoinOptions,
  LinkEvent,
  Linking,
  Message,
  OwnPeer,
  Party,
  PeerDiagnosis,
  PeerInfo,
  RequestHandler,
  RequestOptions,
  SendOptions,
  Sent,
  SignalerInfo,
  Stats,
  Warning,
  Weft,
  WeftEvents,
} from "./types.js";
import { call } from "./wasm.js";

/** What waits for the first handler at most, per event. */
const HELD = 1024;
/** Default of `limits.eventBuffer`. */
const EVENT_BUFFER = 16_384;
/** Milliseconds after which `close` resolves even if the goodbyes are not out. */
const CLOSE_TIMEOUT = 3000;

const EVENTS = ["message", "sent", "signaler", "link", "warning", "progress", "revoked", "closed"] as const;

/** A message on its way. */
interface Sending {
  readonly until: SendOptions["until"];
  readonly onProgress: SendOptions["onProgress"];
  resolve(sent: Sent): void;
  reject(error: unknown): void;
}

/** Something that is being waited for. */
interface Settling {
  resolve(): void;
  reject(error: unknown): void;
}

/** Somebody waits for the peers of the identity. */
interface Listing {
  resolve(peers: OwnPeer[]): void;
  reject(error: unknown): void;
}

/** A running peer: routes between the application, its parties and the wasm. */
export class RunningWeft implements Weft {
  readonly identity: string;
  readonly peer: string;
  readonly stored: boolean;
  readonly #peer: Peer;
  readonly #keys: Keys;
  readonly #handlers: Handlers<WeftEvents>;
  readonly #parties = new Map<string, JoinedParty>();
  readonly #signalers: SignalerInfo[];
  readonly #sending = new Map<number, Sending>();
  readonly #publishing: PublishQueue;
  readonly #requests: Requests;
  readonly #feeds: FeedStore | undefined;
  readonly #private: PrivateParties;
  readonly #forgetting = new Map<number, Settling>();
  readonly #listing = new Map<number, Listing>();
  readonly #revoking = new Map<number, Settling>();
  #revoked = false;
  readonly #owner: PartyOwner;
  /** What came before anybody listened. */
  readonly #held: { message: Message[]; warning: Warning[] };
  readonly #page: Page;
  #name: string;
  readonly #link: (
    seal: (code: string) => Promise<Uint8Array>,
    signal?: AbortSignal,
  ) => ReturnType<typeof give>;
  /** What ends with this peer: others that wait to give its identity away. */
  readonly #linking = new Set<() => Promise<void>>();
  #state: "running" | "closing" | "closed" = "running";
  #lastStats: Stats | undefined;
  #closed: Promise<void> | undefined;
  #closedNow: () => void = () => {};

  constructor(options: ConnectOptions, rtc: RTCConfiguration, keys: Keys, start: Start) {
    this.#keys = keys;
    this.#link = (seal, signal) => give(options, start, seal, signal);
    this.#name = options.name ?? "";
    this.stored = keys.stored;
    this.#held = { message: [], warning: [...keys.warnings] };
    this.#handlers = new Handlers(EVENTS, (event) => {
      if (event === "message" || event === "warning") queueMicrotask(() => this.#release(event));
      // What waits for this peer is fetched when somebody takes it.
      if (event === "message" && this.#state === "running") this.#peer.collect();
    });
    this.#signalers = options.signalers.map((url) => ({ url, state: "idle" }));
    const publisher: Publisher = (party, document) => call(() => this.#running().publish(party, document));
    this.#publishing = new PublishQueue(publisher);
    this.#requests = new Requests({
      running: () => this.#running(),
      answering: (on) => this.#state === "running" && this.#peer.answering(on),
      warn: (code, message) => this.#hold("warning", { code, message }),
    });
    this.#private = new PrivateParties(keys);
    const { database } = keys;
    this.#feeds =
      database &&
      new FeedStore(database, {
        loaded: (party, found, failed) => this.#state === "closed" || this.#peer.loaded(party, found, failed),
        written: (party, work, failed) => this.#state === "closed" || this.#peer.written(party, work, failed),
      });
    this.#peer = call(
      () =>
        new Peer(
          [...options.signalers],
          options.name ?? "",
          rtc,
          options.limits,
          new Uint8Array([...keys.identity, ...keys.peer]),
          { store: keys.database !== undefined, lasts: keys.stored, discover: options.discover ?? true },
          this.#sink(),
        ),
    );
    this.identity = this.#peer.identity;
    this.peer = this.#peer.id;
    this.#owner = {
      running: () => this.#running(),
      identity: this.identity,
      eventBuffer: options.limits?.eventBuffer ?? EVENT_BUFFER,
      publish: (party, document, signal) => this.#publishing.publish(party, document, signal),
      left: (discovery) => this.#parties.delete(discovery),
    };
    this.#page = new Page(
      () => this.#state === "running" && this.#peer.woke(),
      () => void this.close(),
    );
  }

  on: Weft["on"] = (event, handler, options) => this.#handlers.on(event, handler, options);
  once: Weft["once"] = (event, handler, options) => this.#handlers.once(event, handler, options);
  off: Weft["off"] = (event, handler) => this.#handlers.off(event, handler);

  async join(party: string, options?: JoinOptions): Promise<Party> {
    const { signal } = checkOptions(options, "join", ["signal"]);
    signal?.throwIfAborted();
    const { isKey, discovery, key, invitation } = this.#partyOf(party);
    const seed = isKey ? await this.#private.find(discovery) : undefined;
    if (seed === undefined && invitation === undefined) {
      return await this.#join(discovery, key, isKey ? undefined : party, (peer) => peer.join(key));
    }
    const secret = seed ?? new Uint8Array();
    const imported = await this.#private.imported(discovery);
    const joined = await this.#join(discovery, key, undefined, (peer) =>
      peer.joinPrivate(key, secret, invitation, imported),
    );
    if (invitation === undefined || joined.role !== undefined) return joined;
    try {
      await letIn(joined, signal);
      await this.#private.remember(discovery, key);
    } catch (error) {
      await joined.leave();
      throw error;
    }
    return joined;
  }

  async create(): Promise<Party> {
    const seed = this.#private.seed();
    const [discovery, key] = call(() => this.#running().founded(seed));
    await this.#private.remember(discovery, key, seed);
    return await this.#join(discovery, key, undefined, (peer) => peer.joinPrivate(key, seed, undefined, []));
  }

  async #join(
    discovery: string,
    key: string,
    name: string | undefined,
    enter: (peer: Peer) => void,
  ): Promise<JoinedParty> {
    // Its own feed goes on where it was, so that is read first.
    if (!this.#parties.has(discovery)) await this.#feeds?.prepare(discovery);
    const peer = this.#running();
    const joined = this.#parties.get(discovery);
    if (joined) return joined;
    try {
      call(() => enter(peer));
    } finally {
      this.#feeds?.discard(discovery);
    }
    const made = new JoinedParty(this.#owner, discovery, key, name);
    this.#parties.set(discovery, made);
    return made;
  }

  async forget(party: string): Promise<void> {
    const { discovery } = this.#partyOf(party);
    await this.#parties.get(discovery)?.leave();
    await this.#private.forget(discovery).catch((cause: unknown) => {
      throw new WeftError("store-failed", `what was stored could not be removed: ${String(cause)}`, {
        cause,
      });
    });
    const command = call(() => this.#running().forget(discovery));
    await new Promise<void>((resolve, reject) => this.#forgetting.set(command, { resolve, reject }));
  }

  #partyOf(party: string): PartyName {
    const peer = this.#running();
    if (typeof party !== "string" || party === "") {
      throw new WeftError(
        "bad-option",
        "a party is joined by a name or a key (z6Mk…), which is text and not empty",
      );
    }
    if (/^(weft:|https?:\/\/)/i.test(party)) {
      // As it was given, or at the end of a link to a page that passes it on.
      const invitation = /weft:z[1-9A-Za-z]+$/.exec(party.trim())?.[0] ?? party;
      const [discovery, key] = call(() => peer.invited(invitation));
      return { isKey: true, discovery, key, invitation };
    }
    const isKey = party.startsWith("z6Mk");
    const [discovery, key] = call(() => peer.party(party, isKey));
    return { isKey, discovery, key, invitation: undefined };
  }

  async send(identity: string, data: object, options?: SendOptions): Promise<Sent> {
    const { signal, timeout, onProgress, until, expires } = checkOptions(options, "send", [
      ...SENDING,
      "until",
      "expires",
    ]);
    checkNumber(timeout, "timeout (milliseconds)", 0, LONGEST_TIMER);
    checkNumber(expires, "expires (milliseconds)", 0, Number.MAX_SAFE_INTEGER);
    check(
      until === undefined || until === "stored" || until === "delivered",
      'until: "stored" or "delivered"',
    );
    checkProgress(onProgress);
    checkId(identity, "the recipient's identity");
    signal?.throwIfAborted();
    const peer = this.#running();
    const command = call(() => peer.send(identity, data, expires ?? Number.POSITIVE_INFINITY));
    let timer: ReturnType<typeof setTimeout> | undefined;
    let aborted: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#sending.set(command, { until, resolve, reject, onProgress });
        const giveUp = (why: unknown) => {
          peer.cancel(command);
          reject(why);
        };
        if (timeout !== undefined) {
          const late = `not confirmed within ${timeout} ms; it may have been received`;
          timer = setTimeout(() => giveUp(new WeftError("timeout", late)), timeout);
        }
        aborted = () => giveUp(signal?.reason);
        signal?.addEventListener("abort", aborted);
      });
    } finally {
      this.#sending.delete(command);
      clearTimeout(timer);
      if (aborted) signal?.removeEventListener("abort", aborted);
    }
  }

  async request<Answer extends object>(to: string, data: object, options?: RequestOptions): Promise<Answer> {
    return (await this.#requests.request(to, data, options)) as Answer;
  }

  onRequest(handler: RequestHandler): () => void {
    return this.#requests.onRequest(handler);
  }

  signalers(): SignalerInfo[] {
    return this.#signalers.filter((info) => info !== undefined);
  }

  block(peer: string): void {
    checkId(peer, "a peer");
    call(() => this.#running().block(peer, true));
  }

  unblock(peer: string): void {
    checkId(peer, "a peer");
    call(() => this.#running().block(peer, false));
  }

  rename(name: string): void {
    check(typeof name === "string", "name: text");
    call(() => this.#running().rename(name));
    this.#name = name;
  }

  async export(passphrase: string): Promise<Uint8Array> {
    this.#running();
    return await sealIdentity(passphrase, this.#keys.identity, this.#name, async () => {
      const parties = await this.#private.all();
      return await Promise.all(
        parties.map(async (party) => ({ ...party, statements: await this.#statements(party.discovery) })),
      );
    });
  }

  async link(options?: { readonly signal?: AbortSignal }): Promise<Linking> {
    const { signal } = checkOptions(options, "link", ["signal"]);
    signal?.throwIfAborted();
    this.#running();
    const { linking, close } = await this.#link((code) => this.export(code), signal);
    if (this.#state !== "running") {
      await close();
      throw closedError();
    }
    this.#linking.add(close);
    linking.taken.catch(() => {}).finally(() => this.#linking.delete(close));
    return linking;
  }

  /** What is known of the members of a private party, whether or not one is in it now. */
  async #statements(discovery: string): Promise<readonly Uint8Array[]> {
    const peer = this.#running();
    if (this.#parties.has(discovery)) return call(() => peer.statements(discovery));
    const imported = await this.#private.imported(discovery);
    const rows = (await this.#feeds?.between(discovery, peer.statementKeys())) ?? [];
    return [...imported, ...call(() => this.#running().storedStatements(discovery, rows))];
  }

  async peers(): Promise<OwnPeer[]> {
    const command = call(() => this.#running().listPeers());
    return await new Promise((resolve, reject) => this.#listing.set(command, { resolve, reject }));
  }

  async revoke(peer: string): Promise<void> {
    checkId(peer, "a peer");
    const command = call(() => this.#running().revoke(peer));
    await new Promise<void>((resolve, reject) => this.#revoking.set(command, { resolve, reject }));
  }

  diagnose(): PeerDiagnosis[] {
    return call(() => this.#running().diagnose());
  }

  stats(): Stats {
    return this.#lastStats ?? call(() => this.#peer.stats());
  }

  close(): Promise<void> {
    // One that was revoked has closed by itself.
    this.#closed ??= this.#state === "closed" ? Promise.resolve() : this.#close();
    return this.#closed;
  }

  async [asyncDispose](): Promise<void> {
    await this.close();
  }

  #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#closedNow = resolve;
    });
    call(() => this.#peer.close());
    this.#state = "closing";
    for (const party of this.#parties.values()) party.ended();
    for (const end of this.#linking) void end();
    const timer = setTimeout(() => this.#onClosed(), CLOSE_TIMEOUT);
    return closed.finally(() => clearTimeout(timer));
  }

  #onClosed(): void {
    if (this.#state === "closed") return;
    this.#lastStats = call(() => this.#peer.stats());
    this.#state = "closed";
    const error = this.#revoked ? revokedError() : closedError();
    this.#publishing.end(error);
    this.#requests.end(error);
    for (const all of [this.#sending, this.#forgetting, this.#listing, this.#revoking])
      for (const waiting of all.values()) waiting.reject(error);
    for (const party of this.#parties.values()) party.ended();
    this.#parties.clear();
    this.#page.detach();
    this.#feeds?.close();
    this.#keys.release();
    this.#handlers.emit("closed", undefined);
    this.#handlers.clear();
    this.#closedNow();
    // Not from within its own call.
    setTimeout(() => this.#peer.free());
  }

  #running(): Peer {
    if (this.#state !== "running") throw this.#revoked ? revokedError() : closedError();
    return this.#peer;
  }

  /** Gives what was held back to handlers. */
  #release(event: "message" | "warning"): void {
    while (this.#handlers.has(event)) {
      const held = this.#held[event].shift();
      if (held === undefined) return;
      this.#handlers.emit(event, held as never);
    }
  }

  #hold(event: "message" | "warning", what: Message | Warning): void {
    const held = this.#held[event] as unknown[];
    if (held.length === 0 && this.#handlers.has(event)) {
      this.#handlers.emit(event, what as never);
      return;
    }
    if (held.length >= HELD) {
      held.shift();
      if (event === "message") {
        this.#warn("messages-dropped", `more than ${HELD} messages came and nobody listens to "message"`);
      }
    }
    held.push(what);
    this.#release(event);
  }

  #warn(code: string, message: string): void {
    if (this.#held.warning.some((warning) => warning.code === code)) return;
    this.#hold("warning", { code, message });
  }

  #sink(): Sink {
    const partyOf = (subscription: number): JoinedParty | undefined => {
      for (const party of this.#parties.values()) if (party.has(subscription)) return party;
      return undefined;
    };
    return {
      data: (subscription, data, author, id, feed, seq, time, backlog) =>
        partyOf(subscription)?.data(subscription, { data, author, id, feed, seq, time, backlog }),
      live: (subscription) => partyOf(subscription)?.live(subscription),
      published: (command, id, seq) => this.#publishing.published(command, { id, seq }),
      members: (party) => this.#parties.get(party)?.membersChanged(),
      excluded: (party, peer, code, message) => this.#parties.get(party)?.excluded({ peer, code, message }),
      drained: () => this.#publishing.drained(),
      message: (data, from, peer, id, time) => this.#hold("message", { data, from, peer, id, time }),
      progress: (command, sent, total) => {
        this.#sending.get(command)?.onProgress?.({ sent, total });
        this.#requests.progressed(command, { sent, total });
      },
      incoming: (from, peer, id, received, total) =>
        this.#handlers.emit("progress", { from, peer, id, received, total }),
      sent: (command, id, code, reason) => {
        const sending = this.#sending.get(command);
        const state = code === undefined ? "delivered" : code === "stored" ? code : "failed";
        if (state === "failed") {
          sending?.reject(new WeftError(code as WeftErrorCode, reason));
          this.#handlers.emit("sent", { id, state, code: code as WeftErrorCode });
          return;
        }
        if (state === "delivered" || sending?.until !== "delivered") sending?.resolve({ id, state });
        this.#handlers.emit("sent", { id, state });
      },
      request: (data, from, peer, id, time) => void this.#requests.came({ data, from, peer, id, time }),
      answered: (command, data, code, reason) => this.#requests.answered(command, data, code, reason),
      signaler: (home, info) => {
        // Places of those that were told of are taken by others in turn.
        if (info.told && info.state === "lost") delete this.#signalers[home];
        else this.#signalers[home] = info;
        this.#handlers.emit("signaler", info);
      },
      ready: (party) => this.#parties.get(party)?.becameReady(),
      peer: (party, change, info: PeerInfo) => this.#parties.get(party)?.peerChanged(change, info),
      link: (info: LinkEvent) => {
        this.#handlers.emit("link", info);
        for (const party of this.#parties.values()) party.linkChanged(info);
      },
      fork: (party, author, feed, seq) =>
        this.#parties.get(party)?.forked({ feed, seq, ...(author === undefined ? {} : { author }) }),
      forgotten: (command, reason) => {
        const waiting = this.#forgetting.get(command);
        this.#forgetting.delete(command);
        if (reason === undefined) waiting?.resolve();
        else
          waiting?.reject(new WeftError("store-failed", `what was stored could not be removed: ${reason}`));
      },
      listed: (command, peers, code, reason) => {
        const waiting = this.#listing.get(command);
        this.#listing.delete(command);
        if (code === undefined) waiting?.resolve(peers);
        else waiting?.reject(new WeftError(code as WeftErrorCode, reason));
      },
      peerRevoked: (command, code, reason) => {
        const waiting = this.#revoking.get(command);
        this.#revoking.delete(command);
        if (code === undefined) waiting?.resolve();
        else waiting?.reject(new WeftError(code as WeftErrorCode, reason));
      },
      revoked: (time) => {
        this.#revoked = true;
        this.#keys.revoked?.();
        for (const end of this.#linking) void end();
        this.#handlers.emit("revoked", { time });
      },
      store: (party, what, work, put, remove) => this.#feeds?.work(party, what, work, put, remove),
      warning: (code, message) => this.#hold("warning", { code, message }),
      closed: () => this.#onClosed(),
    };
  }
}

/** What names a party. */
interface PartyName {
  readonly isKey: boolean;
  readonly discovery: string;
  readonly key: string;
  readonly invitation: string | undefined;
}

/** Milliseconds for which those who do not know an invitation may know less than others do. */
const DOUBT = 8000;

/** Waits until one is a member. */
function letIn(party: JoinedParty, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let doubt: ReturnType<typeof setTimeout> | undefined;
    const ends: (() => void)[] = [];
    const end = (error: unknown): void => {
      clearTimeout(doubt);
      for (const end of ends) end();
      if (error === undefined) resolve();
      else reject(error);
    };
    const abort = () => end(signal?.reason);
    signal?.addEventListener("abort", abort);
    ends.push(
      () => signal?.removeEventListener("abort", abort),
      party.on("members", () => party.role !== undefined && end(undefined)),
      party.on("excluded", ({ code, message }) => {
        const error = new WeftError(code as WeftErrorCode, message);
        if (CERTAIN.includes(code)) end(error);
        else doubt ??= setTimeout(() => end(error), DOUBT);
      }),
    );
    // The party was left, or the peer closed, meanwhile.
    party.ready.catch(end);
  });
}

const CERTAIN = ["invitation-expired", "invitation-used", "removed"];

/** What the page lives through: sleep, loss of the network, and its end. */
class Page {
  readonly #ends: (() => void)[] = [];

  constructor(woke: () => void, gone: () => void) {
    const page: EventTarget | undefined = globalThis.document;
    this.#on(globalThis, "online", woke);
    this.#on(page, "visibilitychange", () => globalThis.document.visibilityState === "visible" && woke());
    this.#on(page, "resume", woke);
    this.#on(globalThis, "pageshow", (event) => (event as PageTransitionEvent).persisted && woke());
    // A page that the browser keeps for "back" may come again: its connections end, it does not say goodbye.
    this.#on(globalThis, "pagehide", (event) => (event as PageTransitionEvent).persisted || gone());
  }

  detach(): void {
    for (const end of this.#ends) end();
  }

  #on(target: EventTarget | undefined, type: string, handler: (event: Event) => void): void {
    target?.addEventListener(type, handler);
    this.#ends.push(() => target?.removeEventListener(type, handler));
  }
}

function closedError(): WeftError {
  return new WeftError("closed", "this peer is closed; connect again");
}
