/** Dialling at once, signalers that die, networks that go away: in Chromium. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { Lab, type Peer } from "./browser.ts";
import { Network, NO_NETWORK } from "./network.ts";
import { Tap } from "./tap.ts";

test("d8_pages_that_dial_each_other_at_once_make_exactly_one_connection", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const peers = [await lab.peer([signaler.url]), await lab.peer([signaler.url])] as [Peer, Peer];
  const [a, b] = peers;
  for (let round = 1; round <= 6; round += 1) {
    const party = `round ${round}`;
    await Promise.all(peers.map((peer) => peer.join(party)));
    await a.linked(b);
    await b.linked(a);
    for (const peer of peers) assert.equal(await peer.look("mesh.connections.made"), round);
    await Promise.all(peers.map((peer) => peer.look(`mesh.parties["${party}"].leave()`)));
    for (const peer of peers) await peer.until("mesh.openLinks().length === 0");
  }
});

test("q8_a_signaler_dies_open_links_go_on_and_another_is_used_within_a_second", async (t) => {
  const first = await Signaler.start(t, { args: ["--open"] });
  const second = await Signaler.start(t, { args: ["--sibling", first.url] });
  await first.siblings(1);
  const lab = await Lab.open(t);
  const both = { signalers: [first.url, second.url], limits: { homes: 1 } };
  const peers: Peer[] = [];
  for (let n = 0; n < 2; n += 1) {
    const peer = await lab.page();
    await peer.start(both);
    await peer.join("p");
    peers.push(peer);
  }
  const [a, b] = peers as [Peer, Peer];
  await b.subscribe("p", {});
  await a.linked(b);
  await first.kill();
  await a.publish("p", { n: 1 });
  await b.got("p", 1);
  for (const peer of [a, b]) {
    const connected = `mesh.seen.signalers.findLast(({ state }) => state === "connected")`;
    await peer.until(`${connected}.url === ${JSON.stringify(second.url)}`);
    const took = await peer.look<number>(
      `${connected}.at - mesh.seen.signalers.findLast(({ state }) => state === "lost").at`,
    );
    assert.ok(took < 1000, `another signaler after ${took} ms`);
    assert.equal((await peer.look<string[]>("mesh.openLinks()")).length, 1);
  }
  const newcomer = await lab.page();
  await newcomer.start(both);
  await newcomer.join("p");
  await newcomer.linked(a, b);
});

test("d12_a_lost_connection_to_the_signaler_is_made_again_and_nobody_notices", async (t) => {
  const signaler = await Signaler.start(t);
  const tap = await Tap.open(t, signaler.url);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([tap.url], "p"), await lab.peer([signaler.url], "p")];
  await b.subscribe("p", {});
  await a.linked(b);
  for (let round = 1; round <= 3; round += 1) {
    tap.cut();
    await a.publish("p", { round });
    await b.got("p", round);
    const states = "mesh.seen.signalers.map(({ state }) => state)";
    await a.until(`${states}.filter((state) => state === "connected").length === ${round + 1}`);
  }
  const newcomer = await lab.peer([signaler.url], "p");
  await newcomer.linked(a, b);
  assert.deepEqual(await a.look("mesh.seen.links.map(({ state }) => state).slice(0, 2)"), [
    "connecting",
    "open",
  ]);
  const left = "mesh.seen.peers.filter(({ change }) => change === 'left')";
  assert.deepEqual(await b.look(left), [], "the loss of a socket is no leave");
});

test("d12_a_browser_that_was_offline_resumes_within_ten_seconds_and_nothing_is_lost", {
  skip: NO_NETWORK,
}, async (t) => {
  const network = await Network.open(t);
  const signaler = await Signaler.start(t, { host: network.outside });
  // The page is in a network of its own; without mDNS, which does not cross networks.
  const inside = await Lab.open(t, { executable: network.chromium, host: network.outside });
  const outside = await Lab.open(t, { executable: network.plain, host: network.outside });
  const away = await inside.peer([signaler.url], "p");
  const home = await outside.peer([signaler.url], "p");
  await away.subscribe("p", {});
  await home.subscribe("p", {});
  await away.linked(home);
  await home.publish("p", { n: 0 });
  await away.got("p", 1);

  network.down();
  await away.until("!navigator.onLine");
  // Longer than a connection heals by itself (about 12 s): ICE has given the pair up on both sides.
  const interrupted = `mesh.seen.links.some(({ state }) => state === "interrupted")`;
  await Promise.all([away.until(interrupted), home.until(interrupted)]);
  const gone = performance.now();
  for (let n = 1; n <= 5; n += 1) await home.publish("p", { n });
  await away.publish("p", { from: "away" });
  await home.until(`performance.now() > ${await home.look<number>("performance.now()")} + 16000`);
  assert.ok(performance.now() - gone > 15_000);
  assert.equal((await away.rows("p")).length, 1);

  network.up();
  const back = performance.now();
  const rows = await away.got("p", 6, 10_000);
  await home.got("p", 1, 10_000 - (performance.now() - back));
  assert.ok(performance.now() - back < 10_000);
  assert.deepEqual(
    rows.map(({ data }) => data["n"]),
    [0, 1, 2, 3, 4, 5],
  );
  await away.linked(home);
  for (const peer of [away, home]) {
    const states = await peer.look<string[]>("mesh.seen.links.map(({ state }) => state)");
    const restored = states[states.indexOf("interrupted") + 1];
    assert.equal(restored, "open", `${states.join()}: ICE was restarted on the connection that there was`);
  }
  await home.publish("p", { n: 6 });
  await away.got("p", 7);
  // The signaler is used again as well.
  await away.until(`mesh.weft.signalers().every(({ state }) => state === "connected")`);
});
