import assert from "node:assert/strict";
import { test } from "node:test";
import { Book, nameOfPerson, type Taken } from "./book.ts";
import { encode, newId } from "./documents.ts";
import { identityOf } from "./identity.ts";
import { LIMITS, type Line, type Person, TIMES } from "./model.ts";
import { pack, unpack } from "./pack.ts";

const [ADA, BEN, CYR] = [1, 2, 3].map((byte) => identityOf(new Uint8Array(32).fill(byte))) as [
  string,
  string,
  string,
];
const hex = (n: number): string => n.toString(16).padStart(32, "0");

/** A book of Ada's, and words for what comes to her at a time that is told. */
class Desk {
  readonly book = new Book(ADA, "ada/1");
  now = 1_000_000;

  takes(from: string, data: object, peer = `${from}/1`): Taken {
    return this.book.take(from, peer, { id: newId() + newId(), time: this.now }, data, this.now);
  }

  says(from: string, id: number, n: number, text = `text ${id}`, peer?: string): Taken {
    return this.takes(from, { chat: 1, kind: "text", id: hex(id), sent: this.now, n, text }, peer);
  }

  person(identity: string): Person {
    const person = this.book.person(identity);
    assert.ok(person);
    return person;
  }

  /** Ben has asked, and was accepted. */
  friend(identity = BEN, room = 7): Person {
    this.takes(identity, {
      chat: 1,
      kind: "contact",
      id: newId(),
      sent: this.now,
      n: 1,
      name: "Ben",
      room: hex(room),
    });
    const person = this.person(identity);
    this.book.accept(person, "Ada", this.now);
    person.outbox = [];
    return person;
  }

  texts(person: Person): string[] {
    return this.book.lines(person).map(({ text }) => text);
  }
}

const doc = (kind: string, more: object) => ({ chat: 1, kind, id: newId(), sent: 1_000_000, n: 99, ...more });

test("what came is shown as it came, of one peer by its numbers", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 1, 1);
  desk.says(BEN, 4, 4);
  desk.book.write(ben, "mine", desk.now);
  desk.says(BEN, 3, 3);
  desk.says(BEN, 9, 1, "another peer", "ben/2");
  desk.says(BEN, 2, 2);
  assert.deepEqual(desk.texts(ben), ["text 1", "text 2", "text 3", "text 4", "mine", "another peer"]);
});

test("the second document of one author with the same id is ignored, whatever it is", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 1, 1, "first");
  assert.equal(desk.says(BEN, 1, 2, "second").dropped, "repeated");
  assert.equal(desk.takes(BEN, doc("delete", { id: hex(1), of: hex(1) })).dropped, "repeated");
  assert.deepEqual(desk.texts(ben), ["first"]);
  assert.equal(desk.book.dropped.repeated, 2);
});

test("the edit with the highest number counts, by its author only, and a delete keeps nothing", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 1, 1, "one");
  desk.takes(BEN, doc("edit", { n: 4, of: hex(1), text: "three" }));
  desk.takes(BEN, doc("edit", { n: 3, of: hex(1), text: "two" }));
  assert.deepEqual([desk.texts(ben), desk.book.lines(ben)[0]?.edited?.n], [["three"], 4]);
  const own = desk.book.write(ben, "mine", desk.now);
  desk.takes(BEN, doc("edit", { of: own.id, text: "not yours" }));
  assert.deepEqual(desk.texts(ben), ["three", "mine"]);
  desk.takes(BEN, doc("delete", { n: 5, of: hex(1) }));
  desk.takes(BEN, doc("edit", { n: 6, of: hex(1), text: "back" }));
  const [line] = desk.book.lines(ben);
  assert.deepEqual([line?.text, line?.deleted], ["", true]);
  desk.says(BEN, 2, 10, "again");
  desk.takes(BEN, doc("edit", { n: 12, of: hex(2), text: "and again" }));
  desk.takes(BEN, doc("delete", { n: 11, of: hex(2) }));
  assert.deepEqual(desk.texts(ben), ["", "mine", ""], "a deletion is final, whatever its number");
});

test("what is said of something that has not come yet waits for it, 64 at most", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.takes(BEN, doc("edit", { n: 2, of: hex(1), text: "edited" }));
  desk.takes(BEN, doc("reaction", { of: hex(1), author: BEN, emoji: "👍" }));
  desk.says(BEN, 1, 1, "first");
  assert.deepEqual(desk.texts(ben), ["edited"]);
  assert.equal(desk.book.lines(ben)[0]?.reactions.theirs?.emoji, "👍");
  assert.equal(ben.early.length, 0);
  for (let n = 0; n < LIMITS.early + 10; n += 1) desk.takes(BEN, doc("delete", { of: hex(1000 + n) }));
  assert.equal(ben.early.length, LIMITS.early);
  assert.equal(ben.early[0]?.said.of, hex(1010), "the oldest went");
});

test("one person has one reaction to one text: the latest, at the same time that of the greater id", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const { id } = desk.book.write(ben, "mine", desk.now);
  const react = (emoji: string, sent: number, own: string) =>
    desk.takes(BEN, doc("reaction", { id: own, of: id, author: ADA, emoji, sent }));
  const now = () => desk.book.lines(ben)[0]?.reactions.theirs?.emoji;
  react("👍", 10, hex(5));
  react("🎉", 9, hex(6));
  assert.equal(now(), "👍");
  react("😂", 10, hex(4));
  assert.equal(now(), "👍");
  react("😮", 10, hex(9));
  assert.equal(now(), "😮");
  react("", 11, hex(1));
  assert.equal(now(), "");
  // Not of one's own, by saying that one had written it.
  desk.takes(BEN, doc("reaction", { of: id, author: CYR, emoji: "👎", sent: 99 }));
  assert.equal(now(), "");
});

test("a_text_is_stored_once_the_pieces_of_its_file_are", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const file = { name: "a", type: "text/plain", size: 70_000, hash: "ab".repeat(32) };
  const [other, line] = ["one", "two"].map((text) => desk.book.write(ben, text, desk.now)) as [Line, Line];
  line.attachments = [file];
  desk.book.follow(ben, [
    { of: file.hash, at: 0 },
    { of: file.hash, at: 1 },
  ]);
  const states = () => [other, line].map((one) => desk.book.stateOf(ben, one));
  for (const { id } of [other, line]) desk.book.progress(ben, id, "stored", { core: id });
  assert.deepEqual(states(), ["stored", "sending"]);
  const pieces = ben.outbox.filter(({ what }) => what === "piece");
  for (const piece of pieces) {
    assert.deepEqual(states(), ["stored", "sending"]);
    desk.book.posted(ben, piece);
  }
  assert.deepEqual([pieces.length, ...states()], [2, "stored", "stored"]);
  desk.book.follow(ben, [{ of: file.hash, at: 0 }]);
  desk.book.progress(ben, line.id, "delivered");
  assert.deepEqual(states(), ["stored", "delivered"], "whoever has the text can ask for the rest");
});

test("c8_read_covers_what_was_written_before_and_takes_no_state_back", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const lines = ["one", "two", "three", "four"].map((text) => desk.book.write(ben, text, desk.now));
  const [one, two, three, four] = lines as [Line, Line, Line, Line];
  desk.book.progress(ben, one.id, "delivered");
  desk.book.progress(ben, two.id, "stored", { core: "c2" });
  desk.book.progress(ben, three.id, "failed", { code: "mailbox-full" });
  desk.takes(BEN, { chat: 1, kind: "read", upTo: three.id });
  assert.deepEqual(
    lines.map(({ state }) => state),
    ["read", "read", "failed", "sending"],
  );
  desk.book.told(ben, "c2", "delivered");
  desk.book.progress(ben, one.id, "failed", { code: "expired" });
  assert.deepEqual(
    lines.map(({ state }) => state),
    ["read", "read", "failed", "sending"],
  );
  desk.takes(BEN, { chat: 1, kind: "read", ids: [four.id, hex(77)] });
  assert.equal(four.state, "read");
});

test("c8_states_go_forward_and_what_failed_may_be_sent_again", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const line = desk.book.write(ben, "mine", desk.now);
  desk.book.waits(ben, line.id);
  assert.equal(line.waits, true);
  desk.book.progress(ben, line.id, "stored", { core: "c1" });
  assert.deepEqual([line.state, line.waits, desk.book.waitedFor("c1") === ben], ["stored", undefined, true]);
  desk.book.told(ben, "c1", "failed", "expired");
  assert.deepEqual([line.state, line.code], ["failed", "expired"]);
  ben.outbox = [];
  desk.book.again(ben, line);
  assert.deepEqual([line.state, line.code, ben.outbox.length], ["sending", undefined, 1]);
  desk.book.progress(ben, line.id, "delivered");
  desk.book.progress(ben, line.id, "stored");
  assert.equal(line.state, "delivered");
});

test("c8_typing_shows_for_six_seconds_or_until_a_text_comes_or_it_ends", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const types = (on: boolean) => desk.takes(BEN, { chat: 1, kind: "typing", on });
  types(true);
  assert.equal(desk.book.isTyping(ben, desk.now + TIMES.typingShown - 1), true);
  assert.equal(desk.book.isTyping(ben, desk.now + TIMES.typingShown), false);
  types(false);
  assert.equal(desk.book.isTyping(ben, desk.now), false);
  types(true);
  desk.says(BEN, 1, 1);
  assert.equal(desk.book.isTyping(ben, desk.now), false);
});

test("c11_a_contact_asks_and_is_accepted_and_both_have_the_same_room", () => {
  const ada = new Desk();
  const ben = { book: new Book(BEN, "ben/1"), now: 5 };
  const asked = ada.book.add(BEN, { name: "Ada", note: "me" }, ada.now);
  assert.equal(ada.book.add(BEN, { name: "Ada" }, ada.now), asked, "once is enough");
  const post = asked.outbox[0];
  assert.ok(post?.what === "said" && asked.outbox.length === 1);
  const taken = ben.book.take(ADA, "ada/1", { id: "e".repeat(64), time: 1 }, encode(post.said), ben.now);
  assert.equal(taken.asks, true);
  const known = ben.book.person(ADA);
  assert.deepEqual(
    [known?.standing, known?.request?.note, known && nameOfPerson(known)],
    ["stranger", "me", "Ada"],
  );
  assert.ok(known);
  ben.book.accept(known, "Ben", ben.now);
  assert.deepEqual(
    known.outbox.map((each) => (each.what === "said" ? each.said.kind : each.what)),
    ["accept", "profile"],
  );
  const accept = known.outbox[0];
  assert.ok(accept?.what === "said");
  assert.equal(ada.takes(BEN, encode(accept.said)).met, true);
  assert.deepEqual([asked.standing, asked.room, nameOfPerson(asked)], ["contact", known.room, "Ben"]);
});

test("c11_if_both_asked_the_room_of_the_smaller_id_counts_for_both", () => {
  const [ada, ben] = [new Book(ADA, "ada/1"), new Book(BEN, "ben/1")];
  const [toBen, toAda] = [ada.add(BEN, { name: "Ada" }, 1), ben.add(ADA, { name: "Ben" }, 1)];
  const [hers, his] = [toBen.outbox[0], toAda.outbox[0]];
  assert.ok(hers?.what === "said" && his?.what === "said" && toBen.asked && toAda.asked);
  const smaller = toBen.asked.id < toAda.asked.id ? toBen.asked.room : toAda.asked.room;
  assert.equal(ada.take(BEN, "ben/1", { id: "1".repeat(64), time: 1 }, encode(his.said), 2).met, true);
  assert.equal(ben.take(ADA, "ada/1", { id: "2".repeat(64), time: 1 }, encode(hers.said), 2).met, true);
  assert.deepEqual([toBen.room, toAda.room], [smaller, smaller]);
});

test("an accept that nobody asked for changes nothing", () => {
  const desk = new Desk();
  assert.equal(desk.takes(BEN, { chat: 1, kind: "accept", name: "Ben", room: hex(1) }).dropped, "stranger");
  assert.equal(desk.book.people().length, 0);
  const ben = desk.friend(BEN, 7);
  desk.takes(BEN, { chat: 1, kind: "accept", name: "Ben", room: hex(8) });
  assert.equal(ben.room, hex(7));
});

test("who has forgotten a contact and asks again is accepted at once", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.takes(BEN, doc("contact", { name: "Ben", room: hex(9) }));
  assert.equal(ben.room, hex(9));
  assert.deepEqual(
    ben.outbox.map((each) => (each.what === "said" ? each.said.kind : each.what)),
    ["accept", "profile"],
  );
});

test("strangers are kept apart: 64 of them, 16 texts each, nothing announced, no typing, pieces or profiles", () => {
  const desk = new Desk();
  const identities = Array.from({ length: LIMITS.strangers + 5 }, (_, n) =>
    identityOf(new Uint8Array(32).fill(100 + n)),
  );
  for (const [at, identity] of identities.entries()) {
    desk.now += 1;
    const taken = desk.says(identity, at, 1);
    assert.deepEqual([taken.announce, taken.dropped], [false, undefined]);
  }
  assert.equal(desk.book.people().length, LIMITS.strangers);
  assert.equal(desk.book.person(identities[4] ?? ""), undefined, "the oldest went");
  assert.equal(desk.book.unread(), 0);
  const last = identities.at(-1) ?? "";
  for (let n = 2; n <= 20; n += 1) desk.says(last, 1000 + n, n);
  assert.equal(desk.book.lines(desk.person(last)).length, LIMITS.strangerLines);
  for (const kind of [
    { kind: "typing", on: true },
    { kind: "piece", of: "0".repeat(64), at: 0, data: new Uint8Array(1) },
    { kind: "profile", issued: 1, name: "A" },
    { kind: "read", upTo: hex(1) },
  ])
    assert.equal(desk.takes(last, { chat: 1, ...kind }).dropped, "stranger");
});

test("who is blocked gets nothing through, and unblocked is what they were", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.book.block(ben, true);
  assert.equal(desk.says(BEN, 1, 1).dropped, "blocked");
  desk.book.block(ben, false);
  assert.equal(ben.standing, "contact");
  desk.says(BEN, 2, 2);
  assert.deepEqual(desk.texts(ben), ["text 2"]);
});

test("more than 200 documents a minute are kept and not announced", () => {
  const desk = new Desk();
  const ben = desk.friend();
  const announced = Array.from({ length: 210 }, (_, n) => desk.says(BEN, n + 1, n + 1).announce);
  assert.equal(announced.filter(Boolean).length, LIMITS.flood);
  assert.deepEqual([desk.book.lines(ben).length, ben.unread], [210, LIMITS.flood]);
  desk.now += TIMES.flood + 1;
  assert.equal(desk.says(BEN, 999, 999).announce, true);
});

test("unread is what was not on a screen; seeing says so once", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 1, 1);
  desk.says(BEN, 2, 2);
  assert.deepEqual([ben.unread, desk.book.unread(), ben.last?.text], [2, 2, "text 2"]);
  desk.book.see(ben, true);
  desk.book.see(ben, true);
  assert.equal(ben.unread, 0);
  const reads = ben.outbox.filter((post) => post.what === "said" && post.said.kind === "read");
  assert.deepEqual(
    reads.map((post) => post.what === "said" && encode(post.said)),
    [{ chat: 1, kind: "read", upTo: hex(2) }],
  );
  desk.says(BEN, 3, 3);
  desk.book.see(ben, false);
  assert.equal(ben.outbox.filter((post) => post.what === "said").length, 1, "unless nobody is to be told");
});

test("a clock that is ahead gives no time of its own", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.takes(BEN, doc("text", { sent: desk.now + TIMES.ahead, text: "a little" }));
  desk.takes(BEN, doc("text", { sent: desk.now + TIMES.ahead + 1, text: "too much" }));
  assert.deepEqual(
    desk.book.lines(ben).map(({ time }) => time - desk.now),
    [TIMES.ahead, 0],
  );
});

test("a conversation keeps its latest 10,000 lines", () => {
  const desk = new Desk();
  const ben = desk.friend();
  for (let n = 1; n <= LIMITS.lines + 3; n += 1) {
    desk.now += TIMES.flood;
    desk.says(BEN, n, n);
    if (n % 100 === 0) desk.book.see(ben, false);
  }
  assert.deepEqual([desk.book.lines(ben).length, desk.book.lines(ben)[0]?.text], [LIMITS.lines, "text 4"]);
});

test("the latest profile counts, and a name of one's own goes before it", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.takes(BEN, { chat: 1, kind: "profile", issued: 5, name: "Benjamin" });
  desk.takes(BEN, { chat: 1, kind: "profile", issued: 4, name: "Old" });
  assert.equal(nameOfPerson(ben), "Benjamin");
  desk.book.note(ben, { localName: "The weaver" });
  assert.equal(nameOfPerson(ben), "The weaver");
  desk.book.note(ben, { localName: "" });
  assert.equal(nameOfPerson(ben), "Benjamin");
});

test("one's own documents are numbered for each conversation and each peer", () => {
  const desk = new Desk();
  const [ben, cyr] = [desk.friend(BEN), desk.friend(CYR, 8)];
  assert.deepEqual(
    [ben, ben, cyr].map((person) => desk.book.write(person, "x", desk.now).n),
    [1, 2, 1],
  );
  const later = new Book(ADA, "ada/2");
  later.restore(ben);
  later.open(ben, desk.book.lines(ben));
  assert.equal(later.write(ben, "x", desk.now).n, 1);
});

test("what is stored and read again is the same conversation", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 3, 3);
  desk.book.write(ben, "mine", desk.now);
  desk.says(BEN, 1, 1);
  desk.takes(BEN, {
    chat: 1,
    kind: "profile",
    issued: 5,
    name: "Ben",
    picture: new Uint8Array([0xff, 0xd8, 0xff, 0]),
  });
  desk.takes(BEN, doc("edit", { n: 4, of: hex(3), text: "edited" }));
  const { people, blocks } = desk.book.changes();
  assert.deepEqual([[...people], [...(blocks.get(ben) ?? [])]], [[ben], [0]]);
  const again = new Book(ADA, "ada/1");
  const person = unpack(pack(ben)) as Person;
  again.restore(person);
  again.open(person, unpack(pack([...desk.book.lines(ben)].reverse())) as Line[]);
  assert.deepEqual(again.lines(person), desk.book.lines(ben));
  assert.deepEqual(person, ben);
  const repeated = again.take(
    BEN,
    "ben/1",
    { id: "0".repeat(64), time: 1 },
    doc("text", { id: hex(3), text: "x" }),
    9,
  );
  assert.equal(repeated.dropped, "repeated");
});

test("a search finds all words, the latest first, and nothing that was taken back", () => {
  const desk = new Desk();
  const ben = desk.friend();
  desk.says(BEN, 1, 1, "The red loom");
  const own = desk.book.write(ben, "a RED thread for the loom", desk.now);
  desk.book.write(ben, "blue", desk.now);
  assert.deepEqual(
    desk.book.search(ben, "loom red").map(({ text }) => text),
    [own.text, "The red loom"],
  );
  desk.book.erase(ben, own, desk.now);
  assert.deepEqual(desk.book.search(ben, "red").length, 1);
  assert.deepEqual(desk.book.search(ben, "  "), []);
});

test("documents in any order and twice give the same texts", () => {
  const documents = Array.from({ length: 12 }, (_, at) =>
    doc("text", { id: hex(at + 1), n: at + 1, text: `t${at + 1}` }),
  );
  documents.push(doc("edit", { id: hex(50), n: 20, of: hex(4), text: "four" }));
  documents.push(doc("delete", { id: hex(51), n: 21, of: hex(5) }));
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed;
  };
  const expected = [1, 2, 3]
    .map((n) => `t${n}`)
    .concat(
      "four",
      "",
      [6, 7, 8, 9, 10, 11, 12].map((n) => `t${n}`),
    );
  for (let round = 0; round < 50; round += 1) {
    const desk = new Desk();
    const ben = desk.friend();
    const order = [...documents, ...documents]
      .map((each) => [random(), each] as const)
      .sort((a, b) => a[0] - b[0]);
    for (const [, each] of order) desk.takes(BEN, each);
    assert.deepEqual(desk.texts(ben), expected, `round ${round}`);
  }
});
