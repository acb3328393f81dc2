import { check, checkName, checkOptions } from "./check.js";
import type { Emitter } from "./types.js";

type Handler = { call(event: never): void; readonly once: boolean; readonly handler: unknown; end(): void };

/** Handlers by event. `on` during an event takes part from the next one; `off` during an event takes part at once. */
export class Handlers<Events> implements Emitter<Events> {
  readonly #handlers = new Map<keyof Events, Set<Handler>>();
  readonly #known: readonly (keyof Events & string)[];
  readonly #attached: ((event: keyof Events) => void) | undefined;

  /** For these events; `attached` is called when a handler has been added. */
  constructor(known: readonly (keyof Events & string)[], attached?: (event: keyof Events) => void) {
    this.#known = known;
    this.#attached = attached;
  }

  on<Name extends keyof Events>(
    event: Name,
    handler: (event: Events[Name]) => void,
    options?: { readonly signal?: AbortSignal },
  ): () => void {
    return this.#add(event, handler, false, options);
  }

  once<Name extends keyof Events>(
    event: Name,
    handler: (event: Events[Name]) => void,
    options?: { readonly signal?: AbortSignal },
  ): () => void {
    return this.#add(event, handler, true, options);
  }

  off<Name extends keyof Events>(event: Name, handler: (event: Events[Name]) => void): void {
    checkName(event, this.#known, "no event");
    for (const entry of this.#handlers.get(event) ?? []) {
      if (entry.handler === handler) entry.end();
    }
  }

  /** Tells every handler; what one throws is reported to the page. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const entry of [...(this.#handlers.get(name) ?? [])]) {
      if (!this.#handlers.get(name)?.has(entry)) continue;
      if (entry.once) entry.end();
      try {
        entry.call(event as never);
      } catch (error) {
        report(error);
      }
    }
  }

  /** Whether anybody listens. */
  has(event: keyof Events): boolean {
    return (this.#handlers.get(event)?.size ?? 0) > 0;
  }

  /** Forgets all handlers. */
  clear(): void {
    for (const entries of this.#handlers.values()) for (const entry of entries) entry.end();
  }

  #add<Name extends keyof Events>(
    event: Name,
    handler: (event: Events[Name]) => void,
    once: boolean,
    options: { readonly signal?: AbortSignal } | undefined,
  ): () => void {
    checkName(event, this.#known, "no event");
    check(typeof handler === "function", `the handler of "${String(event)}" is not a function`);
    const { signal } = checkOptions(options, "on", ["signal"]);
    if (signal?.aborted) return () => {};
    const entries = this.#handlers.get(event) ?? new Set<Handler>();
    this.#handlers.set(event, entries);
    const end = () => {
      entries.delete(entry);
      signal?.removeEventListener("abort", end);
    };
    const entry: Handler = { call: handler as (event: never) => void, once, handler, end };
    entries.add(entry);
    signal?.addEventListener("abort", end);
    this.#attached?.(event);
    return end;
  }
}

/** Lets the page know of an error in a handler, as if the browser had called the handler itself. */
export function report(error: unknown): void {
  const { reportError } = globalThis as { reportError?: (error: unknown) => void };
  if (reportError) reportError(error);
  else console.error(error);
}
