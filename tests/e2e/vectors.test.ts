/** The tests' own cryptography agrees with the golden vectors; without a browser. */
import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Key, parse, show } from "../federation/wire/keys.ts";
import { derive, deriveMore, keyed } from "./blake3.ts";
import { Agreement, seal, unseal } from "./envelope.ts";

const vectors: readonly { readonly name: string; readonly value: string }[] = JSON.parse(
  readFileSync(new URL("../vectors/crypto.json", import.meta.url), "utf8"),
);

function vector(name: string): string {
  return vectors.find((one) => one.name.startsWith(name))?.value ?? assert.fail(`no vector ${name}`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("keys that the tests derive are those of the golden vectors", () => {
  const seed = Buffer.alloc(32, 2);
  assert.equal(show(new Key(derive("weft/v1/peer-signing", seed)).id), vector("peer id of seed 02"));
  const agreement = new Agreement(derive("weft/v1/peer-agreement", seed));
  assert.equal(hex(agreement.id), vector("agreement key of seed 02"));
  const party = new Key(derive("weft/v1/open-party", Buffer.from("movies"))).id;
  assert.equal(show(party), vector("party key of 'movies'"));
  const discovery = keyed(party, Buffer.from("weft/v1/discovery-key"));
  assert.equal(hex(discovery), vector("discovery key of 'movies'"));
});

test("envelopes that the tests open and seal are those of the golden vectors", () => {
  const seed = Buffer.alloc(32, 3);
  const own = new Agreement(derive("weft/v1/peer-agreement", seed));
  const key = new Key(derive("weft/v1/peer-signing", seed));
  const golden = Buffer.from(vector("envelope to seed 03"), "hex");
  const { from, body } = unseal(key.id, own, golden);
  assert.equal(show(from), vector("peer id of seed 02"));
  assert.equal(Buffer.from(body).toString(), "hello");
  const again = seal(key, { peer: key.id, agreement: own.id }, Buffer.from("to myself"));
  assert.equal(Buffer.from(unseal(key.id, own, again).body).toString(), "to myself");
  again[again.length - 1] = (again.at(-1) ?? 0) ^ 1;
  assert.throws(() => unseal(key.id, own, again));
  assert.equal(parse(show(key.id)).length, 32);
});

test("c2_the_residences_that_the_tests_compute_are_the_golden_ones", () => {
  const placement: { readonly signalers: readonly string[]; readonly residences: readonly string[] } =
    JSON.parse(readFileSync(new URL("../vectors/placement.json", import.meta.url), "utf8"));
  const numbered = (context: string, n: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(n);
    return derive(context, bytes);
  };
  const signalers = placement.signalers.map((id, n) => {
    assert.equal(hex(numbered("weft/vectors/signaler", n)), id);
    return Buffer.from(id, "hex");
  });
  const golden = placement.residences.flatMap((line) => line.split(" "));
  assert.equal(golden.length, 10_000);
  for (const [n, residence] of golden.entries()) {
    const key = numbered("weft/vectors/key", n);
    const scored = signalers.map((id, place) => {
      const input = Buffer.concat([Buffer.from("weft/v1/placement"), id]);
      return { place, score: hex(keyed(key, input)) };
    });
    scored.sort((one, other) => (one.score > other.score ? -1 : 1));
    const kept = scored.slice(0, 3).map(({ place }) => place.toString(11));
    assert.equal(kept.join(""), residence, `key ${n}`);
  }
});

test("p5_documents_of_private_parties_open_as_the_golden_vectors_say", () => {
  const party = parse(vector("key of the private party of seed 0d"));
  const discovery = keyed(party, Buffer.from("weft/v1/discovery-key"));
  const feed = parse(vector("peer id of seed 02"));
  const first = Buffer.alloc(32, 15);
  const second = derive("weft/v1/group-chain", first);
  assert.equal(hex(second), vector("that chain at place 1"));
  for (const [place, chain, name] of [
    [0, first, "a document in that party"],
    [1, second, "the same at place 1"],
  ] as const) {
    const golden = Buffer.from(vector(name), "hex");
    const secrets = deriveMore("weft/v1/group-publication", chain);
    const [head, sealed] = [golden.subarray(0, 29), golden.subarray(29)];
    assert.equal(hex(head), `01${"10".repeat(8)}0000000${place}${hex(secrets.subarray(32, 48))}`);
    const cipher = createDecipheriv("chacha20-poly1305", secrets.subarray(0, 32), Buffer.alloc(12), {
      authTagLength: 16,
    });
    cipher.setAAD(Buffer.concat([head, discovery, feed]), { plaintextLength: sealed.length - 16 });
    cipher.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()]);
    assert.equal(opened.toString(), "what members read");
  }
});
