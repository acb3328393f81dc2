/** Pages behind NATs that do not agree with each other, each in a network of its own: what gets through, and how. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Coturn } from "../e2e/coturn.ts";
import { Signaler } from "../federation/signaler.ts";
import { Internet, NO_INTERNET } from "./internet.ts";
import { exchange } from "./pages.ts";

test("d14_behind_nats_that_keep_their_ports_links_are_direct_with_stun_alone", {
  skip: NO_INTERNET,
}, async (t) => {
  const internet = Internet.open(t);
  const coturn = await Coturn.start(t, internet.host);
  const signaler = await Signaler.start(t, { host: internet.host });
  const options = { signalers: [signaler.url], iceServers: [{ urls: coturn.stun }] };
  for (const nats of [
    ["full-cone", "full-cone"],
    ["restricted-cone", "restricted-cone"],
    // Whoever lets everybody in is reached from anywhere.
    ["full-cone", "symmetric"],
  ] as const) {
    const homes = [internet.home(nats[0]), internet.home(nats[1])] as const;
    for (const { kinds } of await exchange(t, internet, homes, options)) {
      const what = `${nats.join(" and ")}: ${kinds.join(" to ")}`;
      assert.ok(
        kinds.every((kind) => ["host", "srflx", "prflx"].includes(kind)),
        what,
      );
      assert.ok(kinds.includes("srflx") || kinds.includes("prflx"), what);
    }
  }
  assert.doesNotMatch(coturn.log, /ALLOCATE/);
});

test("d14_behind_symmetric_nats_or_without_udp_documents_flow_over_the_turn_server_of_the_signaler", {
  skip: NO_INTERNET,
}, async (t) => {
  const internet = Internet.open(t);
  const coturn = await Coturn.start(t, internet.host);
  const signaler = await Signaler.start(t, {
    host: internet.host,
    args: ["--turn", coturn.url, "--turn", coturn.tcp],
    env: { WEFT_TURN_SECRET: coturn.secret },
  });
  const options = { signalers: [signaler.url] };
  const [symmetric, another, blocked] = [
    internet.home("symmetric"),
    internet.home("symmetric"),
    internet.home("full-cone"),
  ];
  blocked.blockUdp();
  for (const { kinds } of await exchange(t, internet, [symmetric, another], options)) {
    assert.ok(kinds.includes("relay"), kinds.join(" to "));
  }
  const [used] = await exchange(t, internet, [blocked, symmetric], options);
  assert.equal(used?.kinds[0], "relay");
  assert.equal(used.relayed, "tcp");
  assert.match(coturn.log, /:weft>.*ALLOCATE processed, success/);
});
