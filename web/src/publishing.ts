import { WeftError } from "./errors.js";
import type { Published } from "./types.js";

/** Gives a document to the peer: its command's number, or throws, `queue-full` among others. */
export type Publisher = (party: string, document: object) => number;

/** A document that waits for room, or for its place in the feed. */
interface Pending {
  readonly party: string;
  readonly document: object;
  resolve(published: Published): void;
  reject(error: unknown): void;
}

/** Documents that may wait for room; each is only a reference to what the caller holds anyway. */
const WAITING = 65_536;

/** Documents on their way into the feed, in the order of the calls also while the peer's queue is full. */
export class PublishQueue {
  readonly #publisher: Publisher;
  /** For room, oldest first. */
  #waiting: Pending[] = [];
  /** For their place, by command. */
  readonly #placing = new Map<number, Pending>();

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  async publish(party: string, document: object, signal: AbortSignal | undefined): Promise<Published> {
    signal?.throwIfAborted();
    let aborted: (() => void) | undefined;
    try {
      return await new Promise<Published>((resolve, reject) => {
        const pending = { party, document, resolve, reject };
        aborted = () => {
          this.#waiting = this.#waiting.filter((other) => other !== pending);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", aborted);
        if (this.#waiting.length > 0 || !this.#begin(pending)) this.#wait(pending);
      });
    } finally {
      if (aborted) signal?.removeEventListener("abort", aborted);
    }
  }

  /** A document has its place. */
  published(command: number, published: Published): void {
    this.#placing.get(command)?.resolve(published);
    this.#placing.delete(command);
  }

  /** There is room again. */
  drained(): void {
    let begun = 0;
    for (const pending of this.#waiting) {
      if (!this.#begin(pending)) break;
      begun += 1;
    }
    this.#waiting.splice(0, begun);
  }

  /** Nothing will be published any more. */
  end(error: WeftError): void {
    for (const pending of [...this.#waiting, ...this.#placing.values()]) pending.reject(error);
    this.#waiting = [];
    this.#placing.clear();
  }

  #wait(pending: Pending): void {
    if (this.#waiting.length >= WAITING) {
      pending.reject(
        new WeftError("queue-full", `${WAITING} documents wait to be published; await publish()`),
      );
    } else {
      this.#waiting.push(pending);
    }
  }

  /** False if there is no room. Any other refusal is the document's own. */
  #begin(pending: Pending): boolean {
    try {
      this.#placing.set(this.#publisher(pending.party, pending.document), pending);
    } catch (error) {
      if (error instanceof WeftError && error.code === "queue-full") return false;
      pending.reject(error);
    }
    return true;
  }
}
