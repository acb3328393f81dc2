/** What signalers can see, and what happens to one that meddles: checked on all they receive and store. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { parse } from "../federation/wire/keys.ts";
import { Lab, type Peer } from "./browser.ts";
import { memory } from "./memory.ts";
import { Tap } from "./tap.ts";

/** Every byte of a signaler's files. */
function stored(signaler: Signaler): Buffer {
  return Buffer.concat(readdirSync(signaler.dir).map((name) => readFileSync(join(signaler.dir, name))));
}

/** What a page's connection would tell: addresses, candidates, credentials and fingerprint of its own description. */
async function description(peer: Peer): Promise<string[]> {
  const sdp = await peer.look<string>("mesh.connections.last.localDescription.sdp");
  const found = [...sdp.matchAll(/a=candidate:\S+ \d+ \S+ \d+ (\S+) /g)].map(([, address]) => address ?? "");
  const one = (line: RegExp) => line.exec(sdp)?.[1] ?? assert.fail(`no ${line} in ${sdp}`);
  assert.ok(found.length > 0, "the page has candidates");
  return [...found, one(/a=ice-pwd:(\S+)/), one(/a=fingerprint:sha-256 (\S+)/)];
}

test("m4_no_signaler_ever_holds_an_sdp_an_address_a_document_or_a_party_key", async (t) => {
  const first = await Signaler.start(t, { args: ["--open"] });
  const between = await Tap.open(t, first.url);
  const second = await Signaler.start(t, { args: ["--sibling", between.url] });
  await first.siblings(1);
  const taps = await Promise.all([first, second].map((signaler) => Tap.open(t, signaler.url)));
  const lab = await Lab.open(t);
  const party = "a party whose name nobody guesses";
  const peers: Peer[] = [];
  let key = "";
  for (const tap of taps) {
    const peer = await lab.page();
    await peer.start({ signalers: [tap.url], discover: false, name: "Grace Brewster Hopper" });
    key = await peer.join(party);
    peers.push(peer);
  }
  const [a, b] = peers as [Peer, Peer];
  await b.subscribe(party, {});
  await a.linked(b);
  await a.publish(party, { text: "what only the two of us know" });
  await b.got(party, 1);
  assert.equal(await b.send(a.identity, { text: "a message for one person" }), "delivered");
  await a.look(`Object.values(mesh.parties)[0].setState({ doing: "what everybody here may see" })`);
  await b.until(`Object.values(mesh.parties)[0].peers().some(({ state }) => state !== undefined)`);

  const secrets: (string | Uint8Array)[] = [
    ...(await description(a)),
    ...(await description(b)),
    "a=candidate",
    "candidate:",
    "a=ice-ufrag",
    "what only the two of us know",
    "a message for one person",
    "what everybody here may see",
    "Grace Brewster Hopper",
    party,
    key,
    parse(key),
  ];
  const held = {
    "what passed to and from the pages": Buffer.concat(taps.map((tap) => tap.bytes)),
    "what passed between the signalers": between.bytes,
    "the databases": Buffer.concat([first, second].map(stored)),
    "the logs": Buffer.from(first.log + second.log),
    "the memory": Buffer.concat([first, second].map((signaler) => memory(signaler.process.pid ?? 0))),
  };
  const holds = (bytes: Buffer, what: string | Uint8Array) =>
    bytes.includes(typeof what === "string" ? what : Buffer.from(what));
  // The search would find something: the ids that signalers do see.
  assert.ok(holds(held["what passed to and from the pages"], parse(a.id)));
  assert.ok(holds(held["what passed between the signalers"], parse(b.id)));
  assert.ok(holds(held["the memory"], parse(a.id)) && holds(held["the memory"], parse(b.id)));
  assert.ok(held["the databases"].length > 0 && held["the logs"].length > 0);
  for (const [where, bytes] of Object.entries(held)) {
    for (const secret of secrets) assert.ok(!holds(bytes, secret), `${secret} is in ${where}`);
  }
});

/** Flips a bit in what is forwarded: frame 7 is Deliver, and Forward between siblings; its envelope is the last thing in it. */
function flip(payload: Buffer): void {
  if (payload[0] === 0x82 && payload[1] === 0x07) payload[payload.length - 1] = (payload.at(-1) ?? 0) ^ 1;
}

/** No link comes to be and that is reported, until nobody alters anything any more. */
async function linkedOnlyWithout(taps: readonly Tap[], a: Peer, b: Peer): Promise<void> {
  const reported = `mesh.seen.warnings.some(({ code }) => code === "bad-envelope")`;
  await Promise.any([a.until(reported), b.until(reported)]);
  // One whole attempt passes without a link.
  const failed = `mesh.seen.links.some(({ state }) => state === "closed")`;
  await Promise.any([a.until(failed), b.until(failed)]);
  for (const peer of [a, b]) assert.deepEqual(await peer.look("mesh.openLinks()"), []);
  for (const tap of taps) tap.alter = () => {};
  await a.linked(b);
}

test("m4_a_signaler_that_alters_signals_prevents_the_link_and_is_reported", async (t) => {
  const signaler = await Signaler.start(t);
  const taps = [await Tap.open(t, signaler.url), await Tap.open(t, signaler.url)] as const;
  for (const tap of taps) tap.alter = flip;
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([taps[0].url], "p"), await lab.peer([taps[1].url], "p")];
  await linkedOnlyWithout(taps, a, b);
});

test("m4_a_sibling_that_alters_signals_prevents_the_link_and_is_reported", async (t) => {
  const first = await Signaler.start(t, { args: ["--open"] });
  const between = await Tap.open(t, first.url);
  between.alter = flip;
  const second = await Signaler.start(t, { args: ["--sibling", between.url] });
  await first.siblings(1);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([first.url], "p"), await lab.peer([second.url], "p")];
  await linkedOnlyWithout([between], a, b);
});

test("d6_a_page_with_another_key_is_never_linked_though_it_uses_the_same_signaler", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b, other] = [
    await lab.peer([signaler.url], "the party"),
    await lab.peer([signaler.url], "the party"),
    await lab.peer([signaler.url], "The Party"),
  ];
  await a.linked(b);
  await other.subscribe("The Party", {});
  await b.subscribe("the party", {});
  await a.publish("the party", { n: 1 });
  await b.got("the party", 1);
  assert.deepEqual(await other.look("mesh.seen.links"), []);
  assert.equal((await other.rows("The Party")).length, 0);
  const invitation = await other.look("mesh.weft.join('weft:invite:abc').then(() => 'in', (e) => e.code)");
  assert.equal(invitation, "bad-invitation");
});
