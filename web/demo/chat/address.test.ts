import assert from "node:assert/strict";
import { test } from "node:test";
import { linkOf, lookUp, parseAddress, parseLink, parseWellKnown } from "./address.ts";
import { identityOf } from "./identity.ts";

const identity = identityOf(new Uint8Array(32).fill(9));
const signalers = ["wss://a.example/", "ws://[::1]:8080/?x=1&y=2"];

test("a link says who, called what, and where", () => {
  const link = linkOf({ identity, name: "Zoë & co?", signalers });
  assert.equal(
    link,
    `weft:${identity}?name=Zo%C3%AB%20%26%20co%3F&signaler=wss://a.example/&signaler=ws://%5B::1%5D:8080/%3Fx%3D1%26y%3D2`,
  );
  assert.deepEqual(parseLink(link), { identity, name: "Zoë & co?", signalers });
  assert.equal(linkOf({ identity, name: undefined, signalers: [] }), `weft:${identity}`);
});

test("an identity, a link, and a page with a link behind its # are addresses", () => {
  const bare = { identity, name: undefined, signalers: [] };
  assert.deepEqual(parseAddress(` ${identity}\n`), bare);
  assert.deepEqual(parseAddress(`weft:${identity}`), bare);
  assert.deepEqual(parseAddress(`WEFT:${identity}?color=red&name=A`), { ...bare, name: "A" });
  assert.deepEqual(parseAddress(`https://chat.example/x/?a=b#weft:${identity}?name=A`), {
    ...bare,
    name: "A",
  });
});

test("an https address is where to ask: with an empty path its well-known file", () => {
  assert.equal(String(parseAddress("https://ada.example")), "https://ada.example/.well-known/weft.json");
  assert.equal(String(parseAddress("https://ada.example/me.json")), "https://ada.example/me.json");
});

test("what is wrong with an address is told", () => {
  const many = Array(5).fill("signaler=wss%3A%2F%2Fa.example").join("&");
  for (const [text, problem] of [
    ["", /Give an identity/],
    ["Ada", /neither an identity/],
    ["http://ada.example", /neither an identity/],
    ["weft:", /names no identity/],
    [`weft:${identity.slice(0, -1)}`, /names no identity/],
    [`weft:z${"A".repeat(80)}`, /invitation into a party/],
    [`weft:${identity}?name=${"x".repeat(65)}`, /a name that is none/],
    [`weft:${identity}?name=%E0%A4%A`, /a name that is none/],
    [`weft:${identity}?name=`, /a name that is none/],
    [`weft:${identity}?signaler=https%3A%2F%2Fa.example`, /whose address is none/],
    [`weft:${identity}?signaler=javascript%3Aalert`, /whose address is none/],
    [`weft:${identity}?${many}`, /more than 4/],
  ] as const)
    assert.throws(() => parseAddress(text), problem, text);
});

test("a well-known file names somebody, or nobody", () => {
  const text = JSON.stringify({ weft: 1, identity, name: "Ada", signalers, more: true });
  assert.deepEqual(parseWellKnown(text), { identity, name: "Ada", signalers });
  assert.deepEqual(parseWellKnown(JSON.stringify({ weft: 1, identity })), {
    identity,
    name: undefined,
    signalers: [],
  });
  for (const bad of [
    "{",
    "null",
    JSON.stringify({ identity }),
    JSON.stringify({ weft: 2, identity }),
    JSON.stringify({ weft: 1, identity: "Ada" }),
    JSON.stringify({ weft: 1, identity, name: "" }),
    JSON.stringify({ weft: 1, identity, signalers: "wss://a.example" }),
    JSON.stringify({ weft: 1, identity, signalers: Array(5).fill("wss://a.example") }),
    JSON.stringify({ weft: 1, identity, pad: "x".repeat(16 * 1024) }),
  ])
    assert.equal(parseWellKnown(bad), undefined, bad.slice(0, 80));
});

test("an https address is asked without credentials, and what is wrong is told", async () => {
  const url = new URL("https://ada.example/.well-known/weft.json");
  const asked: RequestInit[] = [];
  const answering = (body: BodyInit, status = 200) =>
    ((_: URL, options: RequestInit) => {
      asked.push(options);
      return Promise.resolve(new Response(body, { status }));
    }) as unknown as typeof fetch;
  assert.deepEqual(await lookUp(url, answering(JSON.stringify({ weft: 1, identity }))), {
    identity,
    name: undefined,
    signalers: [],
  });
  assert.equal(asked[0]?.credentials, "omit");
  await assert.rejects(lookUp(url, answering("", 404)), /answers 404/);
  await assert.rejects(lookUp(url, answering("{}")), /names nobody/);
  await assert.rejects(lookUp(url, answering("x".repeat(20_000))), /cannot be asked/);
  await assert.rejects(
    lookUp(url, (() => Promise.reject(new TypeError("CORS"))) as typeof fetch),
    /cannot be asked/,
  );
});
