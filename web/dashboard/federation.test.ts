/** Who is around a signaler, out of what its pages say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Health, Node, Status } from "./api.js";
import { around, summary } from "./federation.ts";

const SELF = "z6MkSelf";
const health = (siblings: Health["siblings"], members: Health["members"]): Health =>
  ({ id: SELF, siblings, members }) as unknown as Health;

function nodes(...all: readonly (readonly [id: string, key: string, status: Status, type: string])[]) {
  return new Map(
    all.map(([id, public_key, status, type]) => {
      const node = { id, public_key, status, tailscale_hostname: `${id}.example`, health: [] };
      return [id, { ...node, services: [{ type, port: 1, publicKey: public_key }] } as unknown as Node];
    }),
  );
}

const member = (id: string, active: boolean, url: string | null = null) => ({ id, url, since_ms: 1, active });

for (const [name, siblings, members, registered, seen, words] of [
  ["nobody", [], [], [], [], "no other signaler"],
  [
    "a sibling that did not register",
    [{ id: "k", url: "ws://h:1", up: true }],
    [member("k", true, "ws://h:1")],
    [],
    ["h:1 signaler up"],
    "1 of 1 other signaler linked",
  ],
  [
    "an address that is called in vain is the member that has it",
    [{ id: null, url: "ws://h:1", up: false }],
    [member("k", false, "ws://h:1")],
    [],
    ["h:1 signaler gone"],
    "0 of 1 other signaler linked",
  ],
  [
    "who is kept out is not gone, though it runs",
    [{ id: "k", url: "ws://h:1", up: false }],
    [member("k", false), member("l", false)],
    [
      ["revoked", "k", "revoked", "signaler"],
      ["denied", "l", "denied", "signaler"],
    ],
    [],
    "no other signaler",
  ],
  [
    "signalers that wait are counted, and linked with nobody",
    [],
    [],
    [
      ["b", "k", "pending", "signaler"],
      ["c", "l", "pending", "ledger"],
    ],
    [],
    "no other signaler, 2 wait for a decision",
  ],
  [
    "one that was let in again goes by its new name",
    [{ id: "k", url: null, up: true }],
    [],
    [
      ["old", "k", "revoked", "signaler"],
      ["new", "k", "active", "signaler"],
    ],
    ["new signaler up"],
    "1 of 1 other signaler linked",
  ],
  [
    "registrants, itself left out",
    [],
    [],
    [
      ["me", SELF, "active", "signaler"],
      ["v", "k", "offline", "ledger"],
      ["s", "l", "active", "signaler"],
      ["g", "m", "offline", "signaler"],
    ],
    ["g signaler gone", "s signaler apart", "v registrant offline"],
    "0 of 2 other signalers linked, 1 other registrant",
  ],
] as const)
  test(`around_a_signaler_is_${name.replaceAll(/\W+/g, "_")}`, () => {
    const found = around(health(siblings, members), nodes(...registered));
    assert.deepEqual(
      found.bodies.map((body) => `${body.name} ${body.kind} ${body.state}`),
      seen,
    );
    assert.equal(summary(found), words);
  });
