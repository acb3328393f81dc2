/** A TCP proxy in front of a signaler that keeps what passes, and can alter or lose it: somebody in the middle. */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** Frames of one direction of one WebSocket (RFC 6455, section 5.2), unmasked, put together from a stream. */
class Frames {
  #rest = Buffer.alloc(0);
  #upgraded = false;

  /** Takes bytes, gives those to pass on; `each` sees every frame's payload, may change it in place, and says if it is lost. */
  push(bytes: Buffer, each: (payload: Buffer) => boolean): Buffer {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const out: Buffer[] = [];
    if (!this.#upgraded) {
      const end = this.#rest.indexOf("\r\n\r\n");
      if (end < 0) return Buffer.alloc(0);
      out.push(this.#rest.subarray(0, end + 4));
      this.#rest = this.#rest.subarray(end + 4);
      this.#upgraded = true;
    }
    for (;;) {
      const whole = this.#next();
      if (whole === undefined) return Buffer.concat(out);
      const { frame, payload, mask } = whole;
      if (mask !== undefined) apply(payload, mask);
      const lost = each(payload);
      if (mask !== undefined) apply(payload, mask);
      if (!lost) out.push(frame);
    }
  }

  #next(): { frame: Buffer; payload: Buffer; mask: Buffer | undefined } | undefined {
    const rest = this.#rest;
    if (rest.length < 2) return undefined;
    const masked = ((rest[1] ?? 0) & 0x80) !== 0;
    const short = (rest[1] ?? 0) & 0x7f;
    const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
    const head = 2 + wide + (masked ? 4 : 0);
    if (rest.length < head) return undefined;
    const length = wide === 0 ? short : wide === 2 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if (rest.length < head + length) return undefined;
    const frame = Buffer.from(rest.subarray(0, head + length));
    this.#rest = rest.subarray(head + length);
    const mask = masked ? frame.subarray(2 + wide, head) : undefined;
    return { frame, payload: frame.subarray(head), mask };
  }
}

function apply(payload: Buffer, mask: Buffer): void {
  for (let n = 0; n < payload.length; n += 1) payload[n] = (payload[n] ?? 0) ^ (mask[n % 4] ?? 0);
}

export class Tap {
  /** Everything that was in a frame, both ways. */
  readonly payloads: Buffer[] = [];
  /** Sees each payload on its way to the client; may change it in place. */
  alter: (payload: Buffer) => void = () => {};
  /** Sees each payload on its way to the signaler. */
  sent: (payload: Buffer) => void = () => {};
  /** Whether this payload, on its way to the client, is lost. */
  lose: (payload: Buffer) => boolean = () => false;

  private constructor(
    readonly url: string,
    private readonly sockets: Set<Socket>,
  ) {}

  static async open(t: TestContext, target: string): Promise<Tap> {
    const { hostname, port } = new URL(target);
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect(Number(port), hostname);
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      const [up, down] = [new Frames(), new Frames()];
      client.on("data", (bytes) => {
        const passed = up.push(bytes, (payload) => {
          tap.payloads.push(Buffer.from(payload));
          tap.sent(payload);
          return false;
        });
        upstream.write(passed);
      });
      upstream.on("data", (bytes) => {
        const passed = down.push(bytes, (payload) => {
          tap.payloads.push(Buffer.from(payload));
          tap.alter(payload);
          return tap.lose(payload);
        });
        client.write(passed);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const tap = new Tap(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets);
    t.after(() => {
      server.close();
      tap.cut();
    });
    return tap;
  }

  /** Ends every connection without a word; new ones are taken. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** All that passed, as one. */
  get bytes(): Buffer {
    return Buffer.concat(this.payloads);
  }
}
