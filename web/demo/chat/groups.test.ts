import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Book, nameOfPerson, type Taken } from "./book.ts";
import { newId } from "./documents.ts";
import { identityOf, partyOf } from "./identity.ts";
import { LIMITS, type Line, type Person } from "./model.ts";
import { pack, unpack } from "./pack.ts";

const [ADA, BEN, CYR, EVE] = [1, 2, 3, 4].map((byte) => identityOf(new Uint8Array(32).fill(byte))) as [
  string,
  string,
  string,
  string,
];
const KEY = identityOf(new Uint8Array(32).fill(9));
const CRYPTO = new URL("../../../tests/vectors/crypto.json", import.meta.url);
const hex = (n: number): string => n.toString(16).padStart(32, "0");

/** A book of Ada's, in a group of which Ben is the admin and Eve a reader. */
class Desk {
  readonly book = new Book(ADA, "ada/1");
  readonly group: Person;
  now = 1_000_000;

  constructor() {
    this.group = this.book.join(KEY, "Friends", "weft:z", this.now);
    this.members({ [ADA]: "writer", [BEN]: "admin", [CYR]: "writer", [EVE]: "reader" });
  }

  members(roles: { readonly [identity: string]: "reader" | "writer" | "admin" }): void {
    const all = Object.entries(roles).map(([identity, role]) => ({ identity, role }));
    this.book.members(this.group, all);
  }

  hears(author: string, data: object, backlog = false): Taken {
    const one = { author, feed: `${author}/1`, id: newId() + newId(), time: this.now, backlog };
    return this.book.takeIn(this.group, one, { chat: 1, ...data }, this.now);
  }

  says(author: string, id: number, text = `text ${id}`, sent = this.now, backlog = false): Taken {
    return this.hears(author, { kind: "text", id: hex(id), sent, n: id, text }, backlog);
  }

  texts(): string[] {
    return this.book.lines(this.group).map(({ text }) => text);
  }

  kinds(): string[] {
    return this.group.outbox.map((post) => (post.what === "said" ? post.said.kind : post.what));
  }
}

test("a group is unread and announced like a person, its backlog is not announced", () => {
  const desk = new Desk();
  assert.equal(desk.says(BEN, 1, "before", 1, true).announce, false);
  assert.equal(desk.says(BEN, 2).announce, true);
  assert.deepEqual([desk.group.unread, desk.book.unread()], [2, 2]);
  desk.book.note(desk.group, { muted: true });
  assert.equal(desk.says(BEN, 3).announce, false);
  desk.book.see(desk.group, true);
  assert.deepEqual([desk.group.unread, desk.kinds()], [0, ["profile"]], "nobody is told what was read");
});

test("readers, blocked people and what is said between two people only are dropped and counted", () => {
  const desk = new Desk();
  assert.equal(desk.says(EVE, 1).dropped, "reader");
  desk.book.take(
    CYR,
    "cyr/1",
    { id: newId(), time: 1 },
    { chat: 1, kind: "contact", id: hex(1), sent: 1, n: 1, name: "C", room: hex(1) },
    1,
  );
  const cyr = desk.book.person(CYR);
  assert.ok(cyr);
  desk.book.block(cyr, true);
  assert.equal(desk.says(CYR, 1).dropped, "blocked");
  assert.equal(desk.hears(BEN, { kind: "read", ids: [] }).dropped, "unknown");
  assert.equal(desk.hears(BEN, { kind: "typing", on: true }).dropped, "unknown");
  assert.equal(desk.hears(BEN, { kind: "group", issued: 1, name: "a".repeat(65) }).dropped, "malformed");
  assert.equal(desk.hears(BEN, { kind: "text" }).dropped, "malformed");
  assert.deepEqual(desk.texts(), []);
  const { reader, blocked, unknown, malformed } = desk.book.dropped;
  assert.deepEqual([reader, blocked, unknown, malformed], [1, 1, 2, 2]);
  // Between two people nothing of a group is taken.
  const leave = { chat: 1, kind: "leave", id: hex(9), sent: 1, n: 9 };
  assert.equal(desk.book.take(BEN, "ben/1", { id: newId(), time: 1 }, leave, 1).dropped, "unknown");
});

test("what is stored is the same group again, and what comes once more changes nothing", () => {
  const desk = new Desk();
  desk.says(CYR, 2, "two", 2);
  desk.says(BEN, 1, "one", 1);
  const own = desk.book.write(desk.group, "mine", desk.now);
  desk.hears(BEN, { kind: "reaction", id: hex(8), sent: 5, n: 8, of: own.id, author: ADA, emoji: "a" });
  desk.hears(CYR, { kind: "profile", issued: 1, name: "Cyr" });
  const lines = unpack(pack(desk.book.lines(desk.group))) as Line[];
  const group = unpack(pack(desk.group)) as Person;
  const again = new Book(ADA, "ada/1");
  again.restore(group);
  again.open(group, lines);
  const taken = again.takeIn(
    group,
    { author: CYR, feed: "cyr/1", id: newId(), time: 9, backlog: true },
    { chat: 1, kind: "text", id: hex(2), sent: 2, n: 2, text: "another" },
    9,
  );
  assert.equal(taken.dropped, "repeated");
  assert.deepEqual(
    again.lines(group).map(({ text }) => text),
    ["one", "two", "mine"],
  );
  assert.equal(again.memberName(group, CYR), `Cyr (${CYR.slice(-4)})`);
  assert.equal(again.lines(group)[2]?.reactions.others?.[BEN]?.emoji, "a");
  assert.equal(again.groupOf(KEY), group);
});

test("one's name is said when one was let in, and before the first text after somebody came", () => {
  const desk = new Desk();
  assert.deepEqual(desk.kinds(), ["profile"]);
  desk.group.outbox = [];
  desk.members({ [ADA]: "writer", [BEN]: "admin", [CYR]: "writer" });
  desk.book.write(desk.group, "x", desk.now);
  assert.deepEqual(desk.kinds(), ["line"], "nobody new");
  desk.group.outbox = [];
  desk.members({ [ADA]: "writer", [BEN]: "admin", [EVE]: "writer" });
  assert.deepEqual(desk.kinds(), [], "not everybody at once");
  desk.book.write(desk.group, "x", desk.now);
  desk.book.write(desk.group, "y", desk.now);
  assert.deepEqual(desk.kinds(), ["profile", "line", "line"]);
  assert.deepEqual(desk.group.group?.former, [CYR]);
});

test("an invitation is taken once, and who was removed may be asked back", () => {
  const desk = new Desk();
  assert.throws(() => desk.book.join(KEY, "Friends", "weft:z", 1), /already/);
  desk.members({});
  assert.equal(desk.group.group?.state, "member", "nothing is known yet");
  desk.members({ [BEN]: "admin" });
  assert.deepEqual([desk.group.group?.state, desk.group.group?.why], ["out", "removed"]);
  assert.equal(desk.book.role(desk.group), undefined);
  assert.equal(desk.book.join(KEY, "Friends", "weft:z2", 2), desk.group);
  desk.members({ [ADA]: "writer", [BEN]: "admin" });
  assert.deepEqual([desk.group.group?.state, desk.group.group?.invitation], ["member", undefined]);
});

test("there are bounds on groups, members, namers, and persons who react", () => {
  const desk = new Desk();
  for (let n = 1; n < LIMITS.groups; n += 1) desk.book.join(`${KEY}${n}`, "x", "weft:z", 1);
  assert.throws(() => desk.book.found("one more", "x", 1), /48 groups/);
  const many = Array.from(
    { length: 2 * LIMITS.members },
    (_, n) => [`who ${String(n).padStart(4, "0")}`, "admin"] as const,
  );
  desk.members({ ...Object.fromEntries(many), [ADA]: "writer" });
  assert.equal(Object.keys(desk.group.group?.members ?? {}).length, LIMITS.members);
  assert.equal(desk.book.role(desk.group), "writer", "one is not the one that is left out");
  desk.says("who 0000", 1);
  for (const [at, [who]] of many.entries()) {
    desk.hears(who, { kind: "profile", issued: 1, name: "x" });
    if (at > 200) continue;
    desk.hears(who, { kind: "group", issued: at, name: `name ${at}` });
    const of = { of: hex(1), author: identityOf(new Uint8Array(32)), emoji: "a" };
    desk.hears(who, { kind: "reaction", id: newId(), sent: 1, n: 1, ...of });
  }
  const { profiles = {}, namings = {} } = desk.group.group ?? {};
  assert.deepEqual(
    [Object.keys(profiles).length, Object.keys(namings).length, nameOfPerson(desk.group)],
    [LIMITS.members, LIMITS.namers, "name 200"],
  );
  assert.ok(desk.group.early.length <= LIMITS.early);
});

test("the key of a party is read out of an invitation, and nothing else is one", () => {
  const crypto = JSON.parse(readFileSync(CRYPTO, "utf8")) as { name: string; value: string }[];
  const golden =
    crypto.find(({ name }) => name === "an invitation to it")?.value ?? assert.fail("no invitation");
  const key = partyOf(golden);
  const party = crypto.find(({ name }) => name.startsWith("key of the private party"));
  assert.equal(key, party?.value);
  assert.equal(partyOf(`https://chat.example/#${golden} `), key);
  for (const wrong of [
    "",
    "weft:z",
    `weft:${ADA}`,
    `weft:${ADA}?name=weft:z1`,
    golden.slice(0, -9),
    "weft:z0",
    "weft:z6Mk",
    KEY,
    `weft:${KEY}`,
  ])
    assert.throws(() => partyOf(wrong), wrong);
});
