/** The event stream, and how it stands: it comes back by itself, and says so. */

import type { Change } from "./api.js";

/** `wait`: seconds until the next attempt. */
export type Standing =
  | { readonly state: "connecting" }
  | { readonly state: "live" }
  | { readonly state: "lost"; readonly wait: number };

/** Milliseconds before the first attempt to come back, and at most. */
const [FIRST, LONGEST] = [500, 15_000];
/** The first message has to come within so many milliseconds. */
const OPENING = 8_000;

export class Stream {
  private socket: WebSocket | undefined;
  /** Attempts since it was live last. */
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `back` runs whenever the stream begins: what happened before it is not told again. */
  constructor(
    private readonly url: string,
    private readonly stands: (standing: Standing) => void,
    private readonly back: () => void,
    private readonly change: (change: Change) => void,
  ) {
    addEventListener("online", () => {
      if (this.socket === undefined) this.open();
    });
    this.open();
  }

  /** The signaler does not answer elsewhere either: do not wait for the socket to notice. */
  doubt(): void {
    this.socket?.close();
    this.lost(this.socket);
  }

  private open(): void {
    clearTimeout(this.timer);
    this.stands({ state: "connecting" });
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.timer = setTimeout(() => {
      socket.close();
      this.lost(socket);
    }, OPENING);
    socket.addEventListener("message", ({ data }) => {
      if (socket === this.socket && typeof data === "string") this.heard(JSON.parse(data) as Change);
    });
    socket.addEventListener("close", () => this.lost(socket));
  }

  private heard(change: Change): void {
    if (change.type !== "hello") {
      this.change(change);
      return;
    }
    clearTimeout(this.timer);
    this.failures = 0;
    this.stands({ state: "live" });
    this.back();
  }

  private lost(socket: WebSocket | undefined): void {
    if (socket === undefined || socket !== this.socket) return;
    this.socket = undefined;
    clearTimeout(this.timer);
    const wait = Math.min(FIRST * 2 ** this.failures, LONGEST) * (0.75 + Math.random() / 2);
    this.failures += 1;
    this.stands({ state: "lost", wait: Math.ceil(wait / 1000) });
    this.timer = setTimeout(() => this.open(), wait);
  }
}
