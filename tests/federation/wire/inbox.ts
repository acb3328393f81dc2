/** Frames as they arrive: kept in order, taken by whoever waits for them. */
import type { Fields } from "./cbor.ts";

export interface Frame {
  /** The frame's number. */
  readonly kind: number;
  readonly fields: Fields;
  /** When it arrived, `performance.now()`. */
  readonly at: number;
}

interface Waiter {
  readonly wanted: (frame: Frame) => boolean;
  readonly found: (frame: Frame) => void;
}

/** How long is waited for a frame if nothing else is said, milliseconds. */
export const PATIENCE = 10_000;

export class Inbox {
  /** Everything that arrived, taken or not. */
  readonly all: Frame[] = [];
  readonly #waiting: Frame[] = [];
  readonly #waiters: Waiter[] = [];

  constructor(readonly name: (kind: number) => string) {}

  add(kind: number, fields: Fields): void {
    const frame = { kind, fields, at: performance.now() };
    this.all.push(frame);
    const at = this.#waiters.findIndex((waiter) => waiter.wanted(frame));
    if (at < 0) this.#waiting.push(frame);
    else this.#waiters.splice(at, 1)[0]?.found(frame);
  }

  /** The first frame of this kind that nobody has taken yet; rejects with what came instead. */
  take(kind: number, wanted: (fields: Fields) => boolean = () => true, within = PATIENCE): Promise<Frame> {
    return this.wait(this.name(kind), (frame) => frame.kind === kind && wanted(frame.fields), within);
  }

  /** The same for frames of several kinds. */
  wait(what: string, wanted: (frame: Frame) => boolean, within = PATIENCE): Promise<Frame> {
    const at = this.#waiting.findIndex(wanted);
    const [known] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const waiter = {
        wanted,
        found: (frame: Frame) => {
          clearTimeout(timer);
          resolve(frame);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        const seen = this.all.slice(-20).map((frame) => this.name(frame.kind));
        reject(new Error(`no ${what} in ${within} ms; the last frames were ${seen.join(", ") || "none"}`));
      }, within);
      this.#waiters.push(waiter);
    });
  }

  /** Frames of this kind so far, taken or not. */
  seen(kind: number, wanted: (fields: Fields) => boolean = () => true): Frame[] {
    return this.all.filter((frame) => frame.kind === kind && wanted(frame.fields));
  }
}
