import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { identityOf, isIdentity, keyOf } from "./identity.ts";
import { verificationWords } from "./words.ts";

const keys = [1, 2, 250].map((byte) => new Uint8Array(32).fill(byte));
const [one, other, third] = keys.map(identityOf) as [string, string, string];

test("both read the same twelve words, and others read others", async () => {
  const words = await verificationWords(one, other);
  assert.equal(words.length, 12);
  assert.deepEqual(await verificationWords(other, one), words);
  assert.notDeepEqual(await verificationWords(one, third), words);
});

test("the words are the first 132 bits of the hash, eleven each", async () => {
  const [smaller, , greater] = keys as [Uint8Array, Uint8Array, Uint8Array];
  const hash = createHash("sha256").update("weft/v1/words\0").update(smaller).update(greater).digest();
  const whole = BigInt(`0x${hash.toString("hex")}`) >> 124n;
  const expected = Array.from(
    { length: 12 },
    (_, at) => wordlist[Number((whole >> BigInt(11 * (11 - at))) & 2047n)],
  );
  assert.deepEqual(await verificationWords(third, one), expected);
});

test("words are of identities only", async () => {
  await assert.rejects(verificationWords(one, "Ada"), TypeError);
});

test("identities are 34 bytes in base58 that begin as Ed25519 keys do", () => {
  assert.match(one, /^z6Mk/);
  assert.deepEqual(keyOf(one), keys[0]);
  for (const bad of [
    "",
    "z",
    one.slice(0, -1),
    `${one}1`,
    one.replace("z6Mk", "z6Lk"),
    one.replace("z", "Q"),
    5,
  ])
    assert.equal(isIdentity(bad), false, String(bad));
});
