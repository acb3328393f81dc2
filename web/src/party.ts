import { check, checkId, checkNumber, checkOptions } from "./check.js";
import { Handlers } from "./emitter.js";
import { WeftError } from "./errors.js";
import type { Peer } from "./glue.js";
import { Query } from "./query.js";
import { LiveSubscription } from "./subscription.js";
import { asyncDispose } from "./symbols.js";
import type {
  AdmitOptions,
  DataEvent,
  Document,
  ExcludedEvent,
  Filter,
  ForkEvent,
  InviteOptions,
  LinkEvent,
  Member,
  Party,
  PartyEvents,
  PeerInfo,
  Presence,
  Published,
  Role,
  SubscribeOptions,
  Subscription,
} from "./types.js";
import { call } from "./wasm.js";

/** Milliseconds: seven days, and a hundred years. */
const INVITED = 7 * 86_400_000;
const LONGEST_INVITATION = 36_525 * 86_400_000;

/** What a party needs of the peer it belongs to. */
export interface PartyOwner {
  /** The wasm peer; throws `closed` once it is closed. */
  running(): Peer;
  readonly identity: string;
  readonly eventBuffer: number;
  publish(party: string, document: object, signal: AbortSignal | undefined): Promise<Published>;
  /** The party is left. */
  left(discovery: string): void;
}

/** A party that was joined. */
export class JoinedParty implements Party {
  readonly name: string | undefined;
  readonly key: string;
  readonly ready: Promise<void>;
  readonly #owner: PartyOwner;
  readonly #discovery: string;
  readonly #handlers = new Handlers<PartyEvents>(["peer", "ready", "link", "fork", "members", "excluded"]);
  readonly #subscriptions = new Map<number, LiveSubscription>();
  /** Peers of this party with whom a link is open or under way. */
  readonly #linked = new Set<string>();
  #open = true;
  #settle: { resolve(): void; reject(error: WeftError): void };

  constructor(owner: PartyOwner, discovery: string, key: string, name: string | undefined) {
    this.#owner = owner;
    this.#discovery = discovery;
    this.key = key;
    this.name = name;
    let settle: { resolve(): void; reject(error: WeftError): void } | undefined;
    this.ready = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.#settle = settle as NonNullable<typeof settle>;
    // Nobody has to wait for it.
    this.ready.catch(() => {});
  }

  on: Party["on"] = (event, handler, options) => this.#handlers.on(event, handler, options);
  once: Party["once"] = (event, handler, options) => this.#handlers.once(event, handler, options);
  off: Party["off"] = (event, handler) => this.#handlers.off(event, handler);

  subscribe<Data extends object = Document>(
    query: Filter<Data> | Query<Data>,
    options?: SubscribeOptions,
  ): Subscription<Data> {
    const known = ["backlog", "buffer", "signal"] as const;
    const given = checkOptions(options, "subscribe", known);
    const { backlog = false, buffer = this.#owner.eventBuffer, signal } = given;
    const isObject = typeof backlog === "object" && backlog !== null;
    check(typeof backlog === "boolean" || isObject, "backlog: true, false, or { age, count }");
    const { age, count } = checkOptions(isObject ? backlog : undefined, "backlog", ["age", "count"]);
    checkNumber(age, "backlog.age (milliseconds)", 0, Number.MAX_SAFE_INTEGER);
    checkNumber(count, "backlog.count", 0, 2 ** 31);
    const some = backlog !== false;
    checkNumber(buffer, "buffer", 1, Number.MAX_SAFE_INTEGER);
    signal?.throwIfAborted();
    const peer = this.#running();
    const matcher = Query.matcherOf(query instanceof Query ? query : new Query<Data>(query));
    const id = call(() => peer.subscribe(this.#discovery, matcher, some, age ?? Infinity, count ?? Infinity));
    const end = () => {
      signal?.removeEventListener("abort", close);
      // Forgotten already if the party was left or the peer closed.
      if (this.#subscriptions.delete(id)) call(() => this.#owner.running().unsubscribe(id));
    };
    const subscription = new LiveSubscription<Data>({ end }, buffer);
    const close = () => subscription.close();
    signal?.addEventListener("abort", close);
    this.#subscriptions.set(id, subscription as unknown as LiveSubscription);
    return subscription;
  }

  async publish(document: object, options?: { readonly signal?: AbortSignal }): Promise<Published> {
    const { signal } = checkOptions(options, "publish", ["signal"]);
    this.#running();
    return this.#owner.publish(this.#discovery, document, signal);
  }

  setState(state: object | null): void {
    const peer = this.#running();
    call(() => peer.state(this.#discovery, state));
  }

  get role(): Role | undefined {
    return this.members()?.find(({ identity }) => identity === this.#owner.identity)?.role;
  }

  members(): Member[] | undefined {
    const told = this.#open ? call(() => this.#owner.running().members(this.#discovery)) : undefined;
    if (told === undefined) return undefined;
    const members: Member[] = [];
    for (let at = 0; at + 1 < told.length; at += 2)
      members.push({ identity: told[at] as string, role: told[at + 1] as Role });
    return members;
  }

  invite(options?: InviteOptions): string {
    const given = checkOptions(options, "invite", ["role", "history", "expires"]);
    const { role = "writer", history = true, expires = INVITED } = given;
    checkNumber(expires, "expires (milliseconds)", 0, LONGEST_INVITATION);
    check(typeof history === "boolean", "history: true or false");
    const peer = this.#running();
    return call(() => peer.invite(this.#discovery, String(role), history, expires));
  }

  admit(identity: string, options?: AdmitOptions): void {
    const { role = "writer", history = true } = checkOptions(options, "admit", ["role", "history"]);
    checkId(identity, "an identity");
    check(typeof history === "boolean", "history: true or false");
    const peer = this.#running();
    call(() => peer.admit(this.#discovery, identity, String(role), history));
  }

  remove(identity: string): void {
    checkId(identity, "an identity");
    const peer = this.#running();
    call(() => peer.remove(this.#discovery, identity));
  }

  peers(): PeerInfo[] {
    return this.#open ? call(() => this.#owner.running().peers(this.#discovery)) : [];
  }

  presence(): Presence[] {
    const byIdentity = new Map<string, PeerInfo[]>();
    for (const info of this.peers()) {
      if (info.identity === undefined) continue;
      const peers = byIdentity.get(info.identity);
      if (peers) peers.push(info);
      else byIdentity.set(info.identity, [info]);
    }
    return [...byIdentity].map(([identity, peers]) => {
      const since = peers.flatMap((info) => info.since ?? []);
      const latest = peers.reduce((a, b) => ((b.since ?? 0) > (a.since ?? 0) ? b : a));
      return {
        identity,
        name: latest.name,
        ...(since.length === 0 ? {} : { since: Math.min(...since) }),
        peers: peers.map((info) => info.peer),
        states: Object.fromEntries(peers.flatMap(({ peer, state }) => (state ? [[peer, state]] : []))),
        self: identity === this.#owner.identity,
      };
    });
  }

  async leave(): Promise<void> {
    if (!this.#open) return;
    const peer = this.#owner.running();
    this.ended();
    this.#owner.left(this.#discovery);
    call(() => peer.leave(this.#discovery));
  }

  async [asyncDispose](): Promise<void> {
    await this.leave();
  }

  /** @internal */
  data(subscription: number, event: DataEvent): void {
    this.#subscriptions.get(subscription)?.data(event);
  }

  /** @internal */
  live(subscription: number): void {
    this.#subscriptions.get(subscription)?.live();
  }

  /** @internal */
  has(subscription: number): boolean {
    return this.#subscriptions.has(subscription);
  }

  /** @internal */
  becameReady(): void {
    this.#settle.resolve();
    this.#handlers.emit("ready", undefined);
  }

  /** @internal */
  peerChanged(change: "joined" | "changed" | "left", peer: PeerInfo): void {
    this.#handlers.emit("peer", { change, peer });
  }

  /** @internal */
  membersChanged(): void {
    this.#handlers.emit("members", undefined);
  }

  /** @internal */
  excluded(event: ExcludedEvent): void {
    this.#handlers.emit("excluded", event);
  }

  /** @internal */
  forked(event: ForkEvent): void {
    this.#handlers.emit("fork", event);
  }

  /** @internal Links are shared by parties; this party tells of those to its own peers. */
  linkChanged(event: LinkEvent): void {
    if (!this.#linked.has(event.peer) && !this.peers().some((info) => info.peer === event.peer)) return;
    if (event.state === "closed") this.#linked.delete(event.peer);
    else this.#linked.add(event.peer);
    this.#handlers.emit("link", event);
  }

  /** @internal The party was left, or the peer closed. */
  ended(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#settle.reject(new WeftError("closed", "the party was left before anybody was there"));
    const subscriptions = [...this.#subscriptions.values()];
    this.#subscriptions.clear();
    for (const subscription of subscriptions) subscription.close();
  }

  #running(): Peer {
    const peer = this.#owner.running();
    if (!this.#open) throw new WeftError("not-in-party", "this party was left; join it again");
    return peer;
  }
}
