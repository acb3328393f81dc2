/**
 * A WebSocket client (RFC 6455) that can do what a well-behaved one cannot: stop reading, send text, send any number of
 * bytes, be destroyed without a close. Pings are answered.
 */
import { createHash, randomBytes } from "node:crypto";
import { type ClientRequest, type IncomingMessage, request as plain } from "node:http";
import { request as secure } from "node:https";
import type { Duplex } from "node:stream";

export interface Closed {
  /** Of the close frame; undefined when the connection ended without one. */
  readonly code: number | undefined;
  readonly reason: string;
}

export interface SocketOptions {
  /** Certificates in PEM form to check the server's against. */
  readonly ca?: string;
}

/** The server answered the upgrade with something else. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
  ) {
    super(`HTTP ${status}: ${body}`);
  }
}

export class Socket {
  /** Called for each message, in order. Those that came before it was set are given to it then. */
  #onMessage: ((bytes: Uint8Array) => void) | undefined;
  readonly #early: Uint8Array[] = [];
  readonly #closed: Promise<Closed>;
  #settle: (closed: Closed) => void = () => {};
  #buffer = Buffer.alloc(0);
  #partial: Buffer[] = [];

  private constructor(
    readonly stream: Duplex,
    head: Buffer,
  ) {
    this.#closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    stream.on("data", (data: Buffer) => this.#read(data));
    stream.on("error", () => {});
    stream.on("close", () => this.#settle({ code: undefined, reason: "" }));
    stream.on("end", () => stream.end());
    if (head.length > 0) this.#read(head);
  }

  /** Rejects with {@link Refused} if the server does not upgrade, within 5 s. Without a protocol none is asked for. */
  static open(url: string, protocol: string | undefined, options: SocketOptions = {}): Promise<Socket> {
    const at = new URL(url);
    const key = randomBytes(16).toString("base64");
    const encrypted = at.protocol === "wss:";
    const target = {
      hostname: at.hostname.replace(/^\[|\]$/g, ""),
      port: at.port,
      path: at.pathname,
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        ...(protocol === undefined ? {} : { "Sec-WebSocket-Protocol": protocol }),
      },
      timeout: 5000,
    };
    return new Promise((resolve, reject) => {
      const ca = options.ca === undefined ? {} : { ca: options.ca };
      const sent: ClientRequest = encrypted ? secure({ ...target, ...ca }) : plain(target);
      sent.on("upgrade", (answer: IncomingMessage, stream: Duplex, head: Buffer) => {
        const expected = createHash("sha1")
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest("base64");
        if (answer.headers["sec-websocket-accept"] !== expected) reject(new Error("a false accept key"));
        else if (answer.headers["sec-websocket-protocol"] !== protocol)
          reject(new Error("another sub-protocol"));
        else resolve(new Socket(stream, head));
      });
      sent.on("response", (answer) => {
        let body = "";
        answer.on("data", (data: Buffer) => {
          body += data.toString("utf8");
        });
        answer.on("end", () => reject(new Refused(answer.statusCode ?? 0, body)));
      });
      sent.on("timeout", () => sent.destroy(new Error(`${url} did not answer`)));
      sent.on("error", reject);
      sent.end();
    });
  }

  set onMessage(handler: (bytes: Uint8Array) => void) {
    this.#onMessage = handler;
    for (const bytes of this.#early.splice(0)) handler(bytes);
  }

  /** Sends one message; `opcode` 2 is binary, 1 is text. The mask is zero, which RFC 6455 allows a test. */
  send(payload: Uint8Array, opcode = 2): void {
    if (!this.stream.writable) return;
    const length = payload.length;
    const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
    head[0] = 0x80 | opcode;
    if (length < 126) head[1] = 0x80 | length;
    else if (length < 65_536) {
      head[1] = 0x80 | 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
    this.stream.write(head);
    this.stream.write(payload);
  }

  /** Stops and starts reading from the operating system: what the server sends stays in its queues. */
  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  /** Says goodbye and waits for the server's close. */
  async close(): Promise<Closed> {
    this.send(Buffer.from([0x03, 0xe8]), 8);
    return await this.closed();
  }

  /** Resolves when the server has said close, or the connection is gone. */
  async closed(within = 10_000): Promise<Closed> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not closed within ${within} ms`)), within);
    });
    try {
      return await Promise.race([this.#closed, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Called once it is closed. */
  set onClosed(handler: () => void) {
    void this.#closed.then(handler);
  }

  /** Ends without a word, as a process that was killed does. */
  destroy(): void {
    this.stream.destroy();
  }

  #read(data: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, data]);
    for (;;) {
      const buffer = this.#buffer;
      if (buffer.length < 2) return;
      const [first, second] = [buffer[0] ?? 0, (buffer[1] ?? 0) & 0x7f];
      const start = second < 126 ? 2 : second === 126 ? 4 : 10;
      if (buffer.length < start) return;
      const length =
        second < 126 ? second : second === 126 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
      if (buffer.length < start + length) return;
      const payload = buffer.subarray(start, start + length);
      this.#buffer = buffer.subarray(start + length);
      this.#onFrame(first & 0x0f, (first & 0x80) !== 0, payload);
    }
  }

  #onFrame(opcode: number, last: boolean, payload: Buffer): void {
    if (opcode === 8) {
      const code = payload.length >= 2 ? payload.readUInt16BE(0) : undefined;
      this.#settle({ code, reason: payload.subarray(2).toString("utf8") });
      this.send(payload, 8);
      this.stream.end();
    } else if (opcode === 9) this.send(payload, 10);
    else if (opcode < 3) {
      this.#partial.push(payload);
      if (!last) return;
      const message = Buffer.concat(this.#partial);
      this.#partial = [];
      if (this.#onMessage === undefined) this.#early.push(message);
      else this.#onMessage(message);
    }
  }
}
