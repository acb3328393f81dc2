import { check, checkId, checkNumber, checkOptions } from "./check.js";
import { WeftError, type WeftErrorCode } from "./errors.js";
import type { Peer } from "./glue.js";
import type { Document, Message, Progress, RequestHandler, RequestOptions } from "./types.js";
import { call } from "./wasm.js";

/** Milliseconds that an answer may take unless the options say so. */
const TIMEOUT = 10_000;
/** The longest that a timer of browsers can wait, milliseconds; more would be over at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The options of what is sent. */
export const SENDING = ["signal", "timeout", "onProgress"] as const;

/** Throws `bad-option` unless it is a function or undefined. */
export function checkProgress(onProgress: unknown): void {
  check(onProgress === undefined || typeof onProgress === "function", "onProgress: a function");
}

/** A request that waits for its answer. */
interface Asking {
  readonly onProgress: RequestOptions["onProgress"];
  resolve(answer: Document): void;
  reject(error: unknown): void;
}

/** What requests need of the running peer. */
export interface RequestOwner {
  /** The peer; throws `closed` if there is none any more. */
  running(): Peer;
  /** Nobody answers any more; nothing if the peer is closed. */
  answering(on: boolean): void;
  warn(code: string, message: string): void;
}

/** Requests of ours and their answers, and those of others and their handler. */
export class Requests {
  readonly #owner: RequestOwner;
  readonly #asking = new Map<number, Asking>();
  #handler: RequestHandler | undefined;

  constructor(owner: RequestOwner) {
    this.#owner = owner;
  }

  async request(to: string, data: object, options?: RequestOptions): Promise<Document> {
    const { signal, timeout = TIMEOUT, onProgress } = checkOptions(options, "request", SENDING);
    checkNumber(timeout, "timeout (milliseconds)", 1, LONGEST_TIMER);
    checkProgress(onProgress);
    checkId(to, "who is asked");
    signal?.throwIfAborted();
    const peer = this.#owner.running();
    const command = call(() => peer.request(to, data, timeout));
    let aborted: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#asking.set(command, { resolve, reject, onProgress });
        aborted = () => {
          peer.cancel(command);
          reject(signal?.reason);
        };
        signal?.addEventListener("abort", aborted);
      });
    } finally {
      this.#asking.delete(command);
      if (aborted) signal?.removeEventListener("abort", aborted);
    }
  }

  onRequest(handler: RequestHandler): () => void {
    check(typeof handler === "function", "onRequest: a function");
    this.#handler = handler;
    this.#owner.running().answering(true);
    return () => {
      if (this.#handler !== handler) return;
      this.#handler = undefined;
      this.#owner.answering(false);
    };
  }

  /** More of a request has arrived. */
  progressed(command: number, progress: Progress): void {
    this.#asking.get(command)?.onProgress?.(progress);
  }

  /** An answer came, or none will. */
  answered(command: number, data: Document | undefined, code: string | undefined, reason: string): void {
    const asking = this.#asking.get(command);
    if (data === undefined) asking?.reject(new WeftError((code ?? "internal") as WeftErrorCode, reason));
    else asking?.resolve(data);
  }

  /** Somebody asks. */
  async came(request: Message): Promise<void> {
    const handler = this.#handler;
    if (handler === undefined) {
      // It was taken back while the request was on its way here from the wasm.
      this.#respond(request.id, undefined, "nobody answers requests there");
      return;
    }
    try {
      this.#respond(request.id, (await handler(request)) ?? {});
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#owner.warn("request-failed", `a request could not be answered: ${why}`);
      this.#respond(request.id, undefined, why);
    }
  }

  /** Nothing will be answered any more. */
  end(error: WeftError): void {
    for (const asking of this.#asking.values()) asking.reject(error);
  }

  /** Throws what is wrong with an answer; that one is too late for anybody is no error. */
  #respond(id: string, answer: object | undefined, failed?: string): void {
    try {
      call(() => this.#owner.running().respond(id, answer, failed));
    } catch (error) {
      const { code } = error as WeftError;
      if (failed === undefined && code !== "closed" && code !== "unknown-request") throw error;
    }
  }
}
