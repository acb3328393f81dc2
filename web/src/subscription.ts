import { Handlers } from "./emitter.js";
import { WeftError } from "./errors.js";
import { asyncDispose } from "./symbols.js";
import type { DataEvent, Document, Subscription, SubscriptionEvents } from "./types.js";

/** What a subscription needs of its party. */
export interface SubscriptionOwner {
  /** Ends the subscription in the core. */
  end(): void;
}

/**
 * Publications for handlers and for one iteration at a time.
 *
 * Whoever comes first empties the queue. With handlers for `data`, nothing is queued unless an iteration is running.
 */
export class LiveSubscription<Data extends object = Document> implements Subscription<Data> {
  readonly #handlers: Handlers<SubscriptionEvents<Data>>;
  readonly #owner: SubscriptionOwner;
  readonly #buffer: number;
  /** Oldest first; `#head` is where the oldest is, so that taking one is not linear in the length. */
  #queue: (DataEvent<Data> | undefined)[] = [];
  #head = 0;
  #dropped = 0;
  #overflowing = false;
  #live = false;
  #open = true;
  /** The iteration that waits for the next publication. */
  #waiting: (() => void)[] = [];
  #iterations = 0;

  constructor(owner: SubscriptionOwner, buffer: number) {
    this.#owner = owner;
    this.#buffer = buffer;
    this.#handlers = new Handlers(["data", "live", "error"], (event) => {
      if (event === "data") queueMicrotask(() => this.#flush());
      if (event === "live" && this.#live) queueMicrotask(() => this.#tellLive());
    });
  }

  get open(): boolean {
    return this.#open;
  }

  get dropped(): number {
    return this.#dropped;
  }

  on: Subscription<Data>["on"] = (event, handler, options) => this.#handlers.on(event, handler, options);
  once: Subscription<Data>["once"] = (event, handler, options) =>
    this.#handlers.once(event, handler, options);
  off: Subscription<Data>["off"] = (event, handler) => this.#handlers.off(event, handler);

  close(): void {
    if (!this.#open) return;
    this.ended();
    this.#owner.end();
  }

  async [asyncDispose](): Promise<void> {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<DataEvent<Data>> {
    this.#iterations += 1;
    try {
      for (;;) {
        const event = this.#take();
        if (event !== undefined) yield event;
        else if (!this.#open) return;
        else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      this.#iterations -= 1;
      this.close();
    }
  }

  /** @internal A publication has come. */
  data(event: DataEvent<Data>): void {
    if (!this.#open) return;
    const handled = this.#handlers.has("data");
    if (handled) {
      // What waited before the first handler came is older.
      this.#flush();
      this.#handlers.emit("data", event);
    }
    if (!handled || this.#iterations > 0) this.#queueUp(event);
  }

  /** @internal The backlog is complete. */
  live(): void {
    this.#live = true;
    this.#tellLive();
  }

  /** @internal The party or the peer is gone: what waits can still be read, nothing more comes. */
  ended(): void {
    this.#open = false;
    this.#wake();
  }

  /** "live" is told once, to whoever listens by then, and after what came before it. */
  #tellLive(): void {
    if (!this.#live || !this.#handlers.has("live")) return;
    this.#flush();
    this.#live = false;
    this.#handlers.emit("live", undefined);
  }

  #queueUp(event: DataEvent<Data>): void {
    if (this.#queue.length - this.#head >= this.#buffer) {
      this.#take();
      this.#dropped += 1;
      if (!this.#overflowing) {
        this.#overflowing = true;
        const message = `more than ${this.#buffer} publications wait to be read; the oldest are dropped`;
        this.#handlers.emit("error", new WeftError("events-dropped", message));
      }
    }
    this.#queue.push(event);
    this.#wake();
  }

  /** Gives what waits to the handlers, if no iteration takes it. */
  #flush(): void {
    while (this.#iterations === 0 && this.#handlers.has("data")) {
      const event = this.#take();
      if (event === undefined) return;
      this.#handlers.emit("data", event);
    }
  }

  #take(): DataEvent<Data> | undefined {
    const event = this.#queue[this.#head];
    if (event === undefined) {
      this.#overflowing = false;
      return undefined;
    }
    this.#queue[this.#head] = undefined;
    this.#head += 1;
    if (this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return event;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
