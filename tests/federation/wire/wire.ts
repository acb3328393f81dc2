/** A TCP connection between two programs that can be cut: then nothing passes, and nobody is told. */

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export class Wire {
  port = 0;
  #cut = false;
  readonly #pairs = new Set<readonly [Socket, Socket]>();

  private constructor(
    /** The port at the far end. 0: nobody is there yet. */
    public target: number,
  ) {}

  /** A port that leads to another one, on loopback. */
  static async to(t: TestContext, target = 0): Promise<Wire> {
    const wire = new Wire(target);
    const server = createServer((near) => wire.#join(near));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    wire.port = (server.address() as AddressInfo).port;
    t.after(() => {
      server.close();
      for (const pair of wire.#pairs) for (const socket of pair) socket.destroy();
    });
    return wire;
  }

  /** From now on nothing passes; new connections are taken and lead nowhere. */
  cut(): void {
    this.#cut = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.unpipe().pause();
  }

  /** What hung is reset; new connections pass again. */
  heal(): void {
    this.#cut = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  #join(near: Socket): void {
    const far = connect(this.target, "127.0.0.1");
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    for (const [socket, other] of [pair, [far, near] as const]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        if (!this.#cut) other.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#cut) return;
    near.pipe(far);
    far.pipe(near);
  }
}
