/** What the dashboard signs and checks, beside the tests' own code for the same statements. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Key } from "../../tests/federation/wire/keys.ts";
import { Statements } from "../../tests/federation/wire/registry.ts";
import { decode, encode } from "./cbor.ts";
import { decide, fromHex, openRegistration, parseKey, showKey, toHex } from "./statement.ts";

const signaler = new Key();
const say = new Statements(signaler.id, "example");
const registrant = new Key();
const service = { type: "ledger", port: 8080, publicKey: showKey(signaler.id) };

/** A registration as `GET /nodes/ID` shows it: its body is written again, by this page's own hand. */
function shown(change: (fields: Map<number, unknown>) => void = () => {}): [string, string] {
  const said = say.register(registrant, "validator-1", "host.example", [service]);
  const fields = new Map<number, unknown>([
    [0, "example"],
    [1, new Uint8Array(signaler.id)],
    [2, "validator-1"],
    [3, new Uint8Array(registrant.id)],
    [4, "host.example"],
    [6, [["ledger", 8080, new Uint8Array(signaler.id)]]],
    [8, said.timestamp],
    [9, fromHex(said.nonce)],
  ]);
  change(fields);
  return [toHex(encode([...fields] as Parameters<typeof encode>[0])), said.signature];
}

test("a_registration_is_read_if_its_registrant_signed_it", async () => {
  const read = await openRegistration("validator-1", ...shown());
  assert.equal(read.key, showKey(registrant.id));
  assert.equal(read.host, "host.example");
  assert.deepEqual(read.services, [{ type: "ledger", port: 8080, key: service.publicKey }]);
  assert.match(read.digest, /^[0-9a-f]{64}$/);
  await assert.rejects(openRegistration("validator-2", ...shown()), /somebody else/);
  for (const [key, value] of [
    [0, "other"],
    [4, "evil.example"],
    [6, [["ledger", 8081, new Uint8Array(signaler.id)]]],
    [3, new Uint8Array(new Key().id)],
  ] as const) {
    const changed = shown((fields) => fields.set(key, value));
    await assert.rejects(openRegistration("validator-1", ...changed), /not the registrant's/, String(key));
  }
});

test("decisions_are_the_bytes_that_the_tests_own_code_signs", async () => {
  const sovereign = new Key();
  const signer = {
    publicKey: new Uint8Array(sovereign.id),
    // The tests' own key signs domain and body apart, so what it is given is taken to pieces first.
    sign: async (bytes: Uint8Array) => {
      const end = bytes.indexOf(0);
      const domain = Buffer.from(bytes.subarray(0, end)).toString("utf8");
      return new Uint8Array(sovereign.sign(domain, [bytes.subarray(end + 9)]));
    },
  };
  const head = "ab".repeat(32);
  const matter = {
    network: "example",
    signaler: showKey(signaler.id),
    id: "v",
    key: service.publicKey,
    head,
    time: 5,
  };
  for (const verb of ["approve", "deny", "reset", "revoke"] as const) {
    const body = await decide(verb, matter, signer);
    const nonce = fromHex(String(body["nonce"]));
    const node = { id: "v", public_key: service.publicKey, head };
    assert.deepEqual(body, say.decide(verb, sovereign, node, { time: 5, nonce }), verb);
  }
});

test("keys_are_shown_and_read_as_everywhere", () => {
  const { id } = new Key();
  assert.equal(toHex(parseKey(showKey(id))), Buffer.from(id).toString("hex"));
  for (const wrong of [
    "",
    "z6Mk",
    `y${showKey(id).slice(1)}`,
    `${showKey(id).slice(0, -1)}0`,
    `z${"1".repeat(47)}`,
  ])
    assert.throws(() => parseKey(wrong), /no key/, wrong);
  assert.throws(() => fromHex("0g"), /hexadecimal/);
  assert.throws(() => fromHex("abc"), /hexadecimal/);
});

test("broken_bytes_are_an_error_and_nothing_else", () => {
  for (const hex of [
    "",
    "a1",
    "5b00000000ffffffff",
    "9affffffff",
    "a201010101",
    "f6",
    "0000",
    "1bffffffffffffffff",
    "5f",
    "62ff00",
  ])
    assert.throws(() => decode(fromHex(hex)), Error, hex);
  assert.throws(() => decode(fromHex("81".repeat(40))), /deeply/);
  for (const number of [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER])
    assert.deepEqual(decode(encode([[0, number]])), new Map([[0, number]]));
});
