/** Pages in homes. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Lab, type Peer, USED, type Used } from "../e2e/browser.ts";
import type { Home, Internet } from "./internet.ts";

/** Two pages link and exchange documents both ways; gives what each uses for it. */
export async function exchange(
  t: TestContext,
  internet: Internet,
  homes: readonly [Home, Home],
  options: Record<string, unknown>,
): Promise<Used[]> {
  const [a, b] = await Promise.all(homes.map((home) => page(t, internet, home)));
  assert.ok(a && b);
  const peers = [a, b];
  await Promise.all(peers.map((peer) => peer.start(options)));
  await Promise.all(peers.map((peer) => peer.enter("p", {})));
  await a.linked(b);
  await b.linked(a);
  for (const peer of peers) await peer.publish("p", { from: peer.id });
  assert.deepEqual((await b.got("p", 1))[0]?.data, { from: a.id });
  assert.deepEqual((await a.got("p", 1))[0]?.data, { from: b.id });
  const used = await Promise.all(peers.map((peer) => peer.look<Used>(USED)));
  // The next two are alone in the party.
  await Promise.all(peers.map((peer) => peer.look("mesh.weft.close()")));
  return used;
}

/** A page in a home; the site is on the internet. */
export async function page(t: TestContext, internet: Internet, home: Home): Promise<Peer> {
  const lab = await Lab.open(t, { executable: home.chromium, host: internet.host });
  return await lab.page();
}
