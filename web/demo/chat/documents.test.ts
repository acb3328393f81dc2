import assert from "node:assert/strict";
import { test } from "node:test";
import { BOUNDS, decode, encode, newId, type Said, shown, sizeOf } from "./documents.ts";
import { identityOf } from "./identity.ts";

const envelope = { id: "a".repeat(64), time: 1_700_000_000_000 };
const id = "0123456789abcdef0123456789abcdef";
const hash = "ab".repeat(32);
const somebody = identityOf(new Uint8Array(32).fill(7));
const head = { chat: 1, id, sent: 5, n: 1 };
const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2]);
const file = { name: "a.txt", type: "text/plain", size: 3, hash };

/** One of each kind, as it is within its bounds. */
const GOOD: { readonly [name: string]: { readonly [member: string]: unknown } } = {
  text: { ...head, kind: "text", text: "hello" },
  answer: { ...head, kind: "text", text: "x".repeat(16_384), reply: id, replyTo: somebody },
  "text of attachments": {
    ...head,
    kind: "text",
    text: "",
    attachments: [{ ...file, data: new Uint8Array(3) }],
  },
  edit: { ...head, kind: "edit", of: id, text: "!" },
  delete: { ...head, kind: "delete", of: id },
  reaction: { ...head, kind: "reaction", of: id, author: somebody, emoji: "👍" },
  "reaction taken back": { ...head, kind: "reaction", of: id, author: somebody, emoji: "" },
  read: { chat: 1, kind: "read", upTo: id },
  "read of some": { chat: 1, kind: "read", ids: Array(64).fill(id) },
  typing: { chat: 1, kind: "typing", on: true },
  profile: { chat: 1, kind: "profile", issued: 1, name: "x".repeat(64), color: "#00ff7f", picture: png },
  contact: { ...head, kind: "contact", name: "A", room: id, note: "" },
  accept: { chat: 1, kind: "accept", name: "A", room: id },
  group: { chat: 1, kind: "group", issued: 1, name: "A" },
  "the wish for a piece": { chat: 1, kind: "piece", of: hash, at: 0 },
  piece: { chat: 1, kind: "piece", of: hash, at: 1023, data: new Uint8Array(BOUNDS.piece) },
  invitation: { ...head, kind: "invitation", name: "A", invitation: "weft:z1" },
};

for (const [name, document] of Object.entries(GOOD)) {
  test(`${name} is taken, and written as it was`, () => {
    const said = decode(document, envelope);
    assert.ok(typeof said === "object", String(said));
    assert.deepEqual(encode(said), document);
    assert.deepEqual(decode({ ...document, later: "ignored" }, envelope), said);
  });
}

/** What breaks one bound each. */
const BAD: readonly (readonly [string, object])[] = [
  ["another version", { ...GOOD["text"], chat: 2 }],
  ["a version that is a text", { ...GOOD["text"], chat: "1" }],
  ["no kind", { chat: 1, text: "hello" }],
  ["an id in capitals", { ...GOOD["text"], id: id.toUpperCase() }],
  ["an id that is too long", { ...GOOD["text"], id: `${id}0` }],
  ["no number", { ...GOOD["text"], n: undefined }],
  ["number zero", { ...GOOD["text"], n: 0 }],
  ["half a number", { ...GOOD["text"], n: 1.5 }],
  ["a time that is a date", { ...GOOD["text"], sent: new Date() }],
  ["a time before 1970", { ...GOOD["text"], sent: -1 }],
  ["a long text", { ...GOOD["text"], text: "x".repeat(16_385) }],
  ["a text that is long in bytes", { ...GOOD["text"], text: "é".repeat(8193) }],
  ["an empty text", { ...GOOD["text"], text: "" }],
  ["an answer to nobody", { ...GOOD["text"], replyTo: "Ada" }],
  ["nine attachments", { ...GOOD["text"], attachments: Array(9).fill(file) }],
  ["an attachment with a path", { ...GOOD["text"], attachments: [{ ...file, name: "../a" }] }],
  ["an attachment with a backslash", { ...GOOD["text"], attachments: [{ ...file, name: "a\\b" }] }],
  ["an attachment with a line feed", { ...GOOD["text"], attachments: [{ ...file, name: "a\nb" }] }],
  ["an attachment without a name", { ...GOOD["text"], attachments: [{ ...file, name: "" }] }],
  ["an attachment with a long name", { ...GOOD["text"], attachments: [{ ...file, name: "x".repeat(256) }] }],
  ["an attachment of no type", { ...GOOD["text"], attachments: [{ ...file, type: "text" }] }],
  [
    "an attachment that is too large",
    { ...GOOD["text"], attachments: [{ ...file, size: BOUNDS.attachment + 1 }] },
  ],
  [
    "an attachment of less than it says",
    { ...GOOD["text"], attachments: [{ ...file, data: new Uint8Array(2) }] },
  ],
  [
    "an attachment that is large inside",
    {
      ...GOOD["text"],
      attachments: [{ ...file, size: BOUNDS.piece + 1, data: new Uint8Array(BOUNDS.piece + 1) }],
    },
  ],
  [
    "more than 128 KiB of attachments inside",
    {
      ...GOOD["text"],
      attachments: Array(2).fill({ ...file, size: BOUNDS.piece, data: new Uint8Array(BOUNDS.piece) }),
    },
  ],
  ["an edit of nothing", { ...GOOD["edit"], of: undefined }],
  ["an edit of no words", { ...GOOD["edit"], text: "" }],
  ["an edit that is too long", { ...GOOD["edit"], text: "x".repeat(16_385) }],
  ["a reaction to nobody's", { ...GOOD["reaction"], author: undefined }],
  ["a long reaction", { ...GOOD["reaction"], emoji: "👍".repeat(9) }],
  ["an answer that names no author", { ...GOOD["answer"], replyTo: undefined }],
  ["an answer to nothing", { ...GOOD["answer"], reply: undefined }],
  ["a read of nothing", { chat: 1, kind: "read" }],
  ["a read of two sorts", { chat: 1, kind: "read", upTo: id, ids: [id] }],
  ["a read of too many", { chat: 1, kind: "read", ids: Array(65).fill(id) }],
  ["a read of no ids", { chat: 1, kind: "read", ids: ["x"] }],
  ["typing neither on nor off", { chat: 1, kind: "typing", on: 1 }],
  ["a profile without a name", { ...GOOD["profile"], name: "" }],
  ["a profile with a long name", { ...GOOD["profile"], name: "x".repeat(65) }],
  ["a profile of a colour's name", { ...GOOD["profile"], color: "red" }],
  ["a profile with a picture of SVG", { ...GOOD["profile"], picture: new TextEncoder().encode("<svg/>") }],
  [
    "a profile with a large picture",
    { ...GOOD["profile"], picture: new Uint8Array([...png, ...Array(32 * 1024).fill(0)]) },
  ],
  ["a contact without a room", { ...GOOD["contact"], room: "" }],
  ["a contact with a long note", { ...GOOD["contact"], note: "x".repeat(513) }],
  ["an accept without a room", { ...GOOD["accept"], room: undefined }],
  ["a piece beyond the end", { ...GOOD["piece"], at: 1024 }],
  ["a piece before the start", { ...GOOD["piece"], at: -1 }],
  ["a piece of too much", { ...GOOD["piece"], data: new Uint8Array(BOUNDS.piece + 1) }],
  ["a piece of text", { ...GOOD["piece"], data: "abc" }],
  ["a long invitation", { ...GOOD["invitation"], invitation: "x".repeat(513) }],
];

for (const [name, document] of BAD)
  test(`${name} is malformed`, () => assert.equal(decode(document, envelope), "malformed"));

test("what is no object is malformed", () => {
  for (const value of [null, undefined, 1, "text", [], new Uint8Array(2)])
    assert.equal(decode(value, envelope), "malformed");
});

test("a kind that is not known is its text, or is unknown", () => {
  assert.equal(decode({ hello: 1 }, envelope), "unknown");
  assert.equal(decode({ text: "x".repeat(16_385) }, envelope), "unknown");
  assert.equal(decode({ chat: 1, kind: "poll" }, envelope), "unknown");
  assert.equal(decode({ chat: 1, kind: "constructor" }, envelope), "unknown");
  const said = decode({ ...head, kind: "poll", text: "Who comes?" }, envelope) as Said;
  assert.equal(said.kind, "text");
  assert.deepEqual(said.kind === "text" && [said.text, said.id, said.n], [
    "Who comes?",
    "a".repeat(32),
    undefined,
  ]);
});

test("a document without chat is a text with what the core says of it", () => {
  const said = decode({ text: "hi" }, envelope);
  const expected = { id: "a".repeat(32), sent: envelope.time, n: undefined };
  assert.deepEqual(said, { kind: "text", ...expected, text: "hi", attachments: [], data: new Map() });
});

test("control characters and what turns directions are left out, line feeds and tabs are not", () => {
  assert.equal(shown("a\u0000b\u001bc\nd\te\u202ef\u2066g\u2069h\u007fi\u009bj"), "abc\nd\tefghij");
});

test("sizes are those of deterministic CBOR", () => {
  assert.equal(sizeOf({ a: 1.5 }), 12, "a double counts as the most that it may take");
  assert.equal(sizeOf({ a: 1 }), 4);
  assert.equal(sizeOf(["é", -25, true, new Uint8Array(300)]), 1 + 3 + 2 + 1 + 303);
  assert.equal(sizeOf({ a: undefined }), 1);
});

test("ids are new each time", () => {
  assert.match(newId(), /^[0-9a-f]{32}$/);
  assert.notEqual(newId(), newId());
});
