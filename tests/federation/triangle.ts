/** Three signalers that are linked with each other, two of them over a wire that can be cut. */

import type { TestContext } from "node:test";
import { Signaler } from "./signaler.ts";
import { Wire } from "./wire/wire.ts";

export interface Triangle {
  /** It is linked with both others, whatever becomes of their wire. */
  readonly third: Signaler;
  readonly ends: readonly [Signaler, Signaler];
  /** Where the others find these. */
  readonly hosts: readonly [string, string];
  cut(): void;
  heal(): void;
}

export async function triangle(t: TestContext, toml: string): Promise<Triangle> {
  const third = await Signaler.start(t, { toml, args: ["--open"] });
  // The two call the third by itself, and each other where the other says that it is: at the near end of a wire.
  const start = async (): Promise<readonly [Signaler, Wire]> => {
    const wire = await Wire.to(t);
    const args = ["--open", "--sibling", third.url, "--public-url", `ws://127.0.0.1:${wire.port}`];
    const signaler = await Signaler.start(t, { toml, args });
    wire.target = signaler.port;
    return [signaler, wire];
  };
  const [[one, here], [other, there]] = [await start(), await start()];
  for (const signaler of [third, one, other]) await signaler.siblings(2);
  const wires = [here, there];
  return {
    third,
    ends: [one, other],
    hosts: [`127.0.0.1:${here.port}`, `127.0.0.1:${there.port}`],
    cut: () => {
      for (const wire of wires) wire.cut();
    },
    heal: () => {
      for (const wire of wires) wire.heal();
    },
  };
}
