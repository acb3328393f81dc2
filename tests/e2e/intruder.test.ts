/** Pages against somebody who breaks the rules: a discovery key without the party's key, false signals, broken descriptions. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { encode, fields } from "../federation/wire/cbor.ts";
import { Key } from "../federation/wire/keys.ts";
import { Lab } from "./browser.ts";
import { Agreement, seal } from "./envelope.ts";
import { type Candidate, Frame, Intruder, openParty, proof, Signal } from "./intruder.ts";

const NAME = "the party";
const PARTY = openParty(NAME);
const SECRET = "what only members read";

test("d6_who_knows_the_discovery_key_but_not_the_party_key_gets_no_document", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], NAME);
  await page.publish(NAME, { text: SECRET });
  const lies: Readonly<
    Record<string, (intruder: Intruder) => Promise<readonly (readonly [Uint8Array, Uint8Array])[]>>
  > = {
    "a proof of another key": async ({ transcript, id }) => [
      [PARTY.discovery, proof(openParty("The Party").key, transcript, id)],
    ],
    "the discovery key taken for the key": async ({ transcript, id }) => [
      [PARTY.discovery, proof(PARTY.discovery, transcript, id)],
    ],
    "the page's own proof": async (intruder) => {
      const proofs = (await intruder.heard(Frame.Hello)).body.get(4) as [Uint8Array, Uint8Array][];
      assert.ok(proofs.length > 0, "the page proves its party");
      return proofs;
    },
  };
  for (const [what, parties] of Object.entries(lies)) {
    const intruder = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
    await intruder.open();
    await intruder.say(intruder.hello(...(await parties(intruder))));
    await intruder.closed();
    const kinds = (await intruder.received()).map(({ kind }) => kind);
    assert.deepEqual(
      kinds.filter((kind) => kind !== Frame.Bye),
      [Frame.Hello],
      what,
    );
    await page.until(`mesh.seen.warnings.some(({ code }) => code === "peer-misbehaved")`);
    await page.look("mesh.seen.warnings.length = 0");
    assert.deepEqual(await page.look("mesh.openLinks()"), [], what);
    intruder.client.socket.destroy();
    await intruder.page.close();
  }
  // The same intruder's hands with the right key: what it is refused above is there.
  const member = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
  await member.open();
  const known = proof(PARTY.key, member.transcript, member.id);
  await member.say(member.hello([PARTY.discovery, known]), member.want());
  assert.ok(Buffer.from((await member.heard(Frame.Publish)).bytes).includes(SECRET));
  await member.say(member.presence());
  await page.until(
    `mesh.parties[${JSON.stringify(NAME)}].presence().some(({ name }) => name === "intruder")`,
  );
});

test("d6_who_proves_no_key_is_not_kept_and_has_no_say_in_the_party", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], NAME);
  await page.publish(NAME, { text: SECRET });
  const silent = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
  await silent.open();
  await silent.say(silent.hello(), silent.presence(), silent.want());
  await silent.closed();
  const kinds = (await silent.received()).map(({ kind }) => kind);
  assert.deepEqual(
    kinds.filter((kind) => kind !== Frame.Bye),
    [Frame.Hello],
  );
  const present = `mesh.parties[${JSON.stringify(NAME)}].presence()`;
  assert.deepEqual(await page.look(present), [], "nobody else is present");
});

test("d13_a_state_that_is_too_large_or_no_document_costs_its_sender_the_link_and_shows_nothing", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], NAME);
  const present = `mesh.parties[${JSON.stringify(NAME)}].presence().flatMap(({ states }) => Object.values(states))`;
  // { x: bytes } of 1,024, which make it a few more.
  const large = Buffer.concat([Buffer.from("a16178590400", "hex"), randomBytes(1024)]);
  for (const state of [large, encode("text"), randomBytes(7), new Uint8Array()]) {
    const intruder = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
    await intruder.open();
    const known = proof(PARTY.key, intruder.transcript, intruder.id);
    await intruder.say(intruder.hello([PARTY.discovery, known]), intruder.presence(state));
    await intruder.closed();
    await page.until(`mesh.seen.warnings.some(({ code }) => code === "peer-misbehaved")`);
    await page.look("mesh.seen.warnings.length = 0");
    assert.deepEqual(await page.look(present), []);
    intruder.client.socket.destroy();
    await intruder.page.close();
  }
  const honest = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
  await honest.open();
  const known = proof(PARTY.key, honest.transcript, honest.id);
  await honest.say(honest.hello([PARTY.discovery, known]), honest.presence(Buffer.from("a1617805", "hex")));
  await page.until(`${present}.length === 1`);
  assert.deepEqual(await page.look(present), [{ x: 5 }]);
});

test("d9_signals_of_a_wrong_party_session_recipient_or_sender_open_nothing", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], NAME);
  const intruder = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
  const { sdp, candidates } = await intruder.describe();
  const { key } = intruder.client;
  const elsewhere = { session: randomBytes(16) };
  const stranger = { peer: intruder.target.peer, agreement: new Agreement().id };
  await intruder.put(intruder.offer(sdp, candidates, { ...elsewhere, discovery: randomBytes(32) }));
  await intruder.put(
    intruder.signal(
      Signal.Answer,
      [
        [0, sdp],
        [1, []],
      ],
      elsewhere,
    ),
  );
  await intruder.put(intruder.candidates(candidates, elsewhere));
  await intruder.pass(seal(key, stranger, intruder.offer(sdp, candidates, elsewhere)));
  await intruder.pass(seal(key, intruder.target, intruder.offer(sdp, candidates, elsewhere), new Key().id));
  await intruder.pass(
    seal(key, { ...intruder.target, peer: new Key().id }, intruder.offer(sdp, candidates, elsewhere)),
  );
  await intruder.pass(randomBytes(300));
  // Envelopes keep their order: once this one is answered, the others have been dealt with.
  await intruder.put(intruder.offer("no description", [], { session: Buffer.alloc(16, 9) }));
  const last = await intruder.answer(Buffer.alloc(16, 9));
  assert.equal(last.kind, Signal.Refuse);
  assert.deepEqual(await page.look("mesh.openLinks()"), []);
  const refused = await page.look<{ code: string }[]>("mesh.seen.warnings");
  assert.ok(refused.filter(({ code }) => code === "bad-envelope").length >= 4, JSON.stringify(refused));
});

test("d9_candidates_that_come_before_their_offer_do_no_harm_and_count_when_they_come_with_it", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const page = await lab.peer([signaler.url], NAME);
  const intruder = await Intruder.join(lab, signaler.url, PARTY.discovery, page);
  const { sdp, candidates } = await intruder.describe();
  const bare = sdp.replaceAll(/^a=candidate:.*\r\n/gm, "");
  await intruder.put(intruder.candidates(candidates));
  await intruder.put(intruder.offer(bare));
  // It does not hear the page's candidates either: only its own, when the offer comes again, can make the connection.
  const { body } = await intruder.answer();
  await intruder.put(intruder.offer(bare, candidates));
  await intruder.accept(sdp, body, { deaf: true });
  await intruder.say(intruder.hello([PARTY.discovery, proof(PARTY.key, intruder.transcript, intruder.id)]));
  await intruder.heard(Frame.Want);
});

test("q12_broken_descriptions_candidates_and_frames_cost_their_sender_a_link_and_nobody_else_anything", async (t) => {
  const signaler = await Signaler.start(t);
  const lab = await Lab.open(t);
  const [a, b] = [await lab.peer([signaler.url], NAME), await lab.peer([signaler.url], NAME)];
  const errors: string[] = [];
  a.page.on("pageerror", (error) => errors.push(String(error)));
  await a.linked(b);
  for (const peer of [a, b]) await peer.subscribe(NAME, {});
  const intruder = await Intruder.join(lab, signaler.url, PARTY.discovery, a);
  const { sdp } = await intruder.describe();
  const broken = [
    "",
    "\0",
    "v=0\r\n",
    "a=fingerprint:sha-256 00\r\n".repeat(300),
    sdp.slice(0, sdp.length / 2),
    sdp.replace(/a=fingerprint:.*\r\n/, ""),
    sdp.replace(/a=fingerprint:sha-256 .*\r\n/, "a=fingerprint:sha-256 zz\r\n"),
    sdp.replace("m=application", "m=audio"),
    sdp.replace(/a=ice-ufrag:.*\r\n/, ""),
    `${sdp}${"🧵".repeat(1000)}`,
  ];
  const candidates: Candidate[] = [
    { candidate: "candidate:", sdpMid: "0", sdpMLineIndex: 0 },
    { candidate: "candidate:1 1 udp 1 999.999.999.999 99999 typ host", sdpMid: "0", sdpMLineIndex: 0 },
    { candidate: "candidate:1 1 udp 1 nowhere.local 9 typ nothing", sdpMid: "7", sdpMLineIndex: 65_535 },
    { candidate: "x".repeat(1000), sdpMid: "", sdpMLineIndex: 3 },
  ];
  for (const one of broken) {
    const session = randomBytes(16);
    await intruder.put(intruder.offer(one, candidates, { session }));
    await intruder.put(intruder.candidates(candidates, { session }));
    await intruder.put(intruder.offer(one, [], { session, generation: 1 }));
  }
  // Not even the form is right: cut short, too long, the wrong type, one level too deep.
  const whole = intruder.offer(sdp);
  for (let length = 0; length < whole.length; length += 37) await intruder.put(whole.subarray(0, length));
  await intruder.put(intruder.offer("v".repeat(16 * 1024 + 1)));
  await intruder.put(intruder.signal(Signal.Offer, [[0, 7]]));
  await intruder.put(intruder.signal(99, []));
  await intruder.put(Buffer.alloc(1000, 0x81));
  await intruder.put(Buffer.from("9b00ffffffffffffff", "hex"));

  // A connection that is made, and then says what it must not.
  await intruder.put(intruder.offer(sdp, (await intruder.page.evaluate("raw.candidates")) as Candidate[]));
  await intruder.settle(sdp);
  await intruder.say(intruder.hello([PARTY.discovery, proof(PARTY.key, intruder.transcript, intruder.id)]));
  await intruder.heard(Frame.Want);
  await intruder.say(encode([Frame.Publish, fields([0, 0], [1, 0], [3, randomBytes(200)])]));
  await intruder.closed();

  await b.publish(NAME, { n: 1 });
  await a.publish(NAME, { n: 2 });
  assert.deepEqual(
    (await a.got(NAME, 1)).map(({ data }) => data),
    [{ n: 1 }],
  );
  assert.deepEqual(
    (await b.got(NAME, 1)).map(({ data }) => data),
    [{ n: 2 }],
  );
  assert.deepEqual(await a.look("mesh.openLinks()"), [b.id]);
  assert.deepEqual(errors, []);
});
