/** Pages between which no connection comes about, and no TURN server helps: documents flow all the same. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Coturn } from "../e2e/coturn.ts";
import { Signaler } from "../federation/signaler.ts";
import { type Home, Internet, NO_INTERNET } from "./internet.ts";
import { page } from "./pages.ts";

// Most of it is waiting for connections that do not come.
describe("networks that let no connection through", { concurrency: true, skip: NO_INTERNET }, () => {
  test("d14_behind_symmetric_nats_and_without_turn_documents_flow_within_twenty_seconds", (t) =>
    forwarded(t, (internet) => [internet.home("symmetric"), internet.home("symmetric")]));

  test("d14_without_udp_and_turn_documents_flow_within_twenty_seconds", (t) =>
    forwarded(t, (internet) => {
      const blocked = internet.home("full-cone");
      blocked.blockUdp();
      return [blocked, internet.home("full-cone")];
    }));
});

async function forwarded(
  t: TestContext,
  build: (internet: Internet) => readonly [Home, Home],
): Promise<void> {
  const internet = Internet.open(t);
  const coturn = await Coturn.start(t, internet.host);
  const signaler = await Signaler.start(t, { host: internet.host });
  const options = { signalers: [signaler.url], iceServers: [{ urls: coturn.stun }] };
  const [a, b] = await Promise.all(build(internet).map((home) => page(t, internet, home)));
  assert.ok(a && b);
  await Promise.all([a, b].map((peer) => peer.start(options)));
  const joined = performance.now();
  await Promise.all([a, b].map((peer) => peer.enter("p", {})));
  const left = () => joined + 20_000 - performance.now();
  for (const peer of [a, b]) await peer.publish("p", { from: peer.id });
  assert.deepEqual((await b.got("p", 1, left()))[0]?.data, { from: a.id });
  assert.deepEqual((await a.got("p", 1, left()))[0]?.data, { from: b.id });
  t.diagnostic(`documents flow ${Math.round(performance.now() - joined)} ms after joining`);
  for (const peer of [a, b]) {
    assert.notEqual(await peer.look("mesh.connections.last?.connectionState"), "connected");
  }
}
