/**
 * The golden documents, links, words and conversations of tests/vectors/chat.json, which the native chat writes: both read the
 * same protocol out of docs/spec/chat.md.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Role } from "weft-mesh";
import { linkOf, parseAddress, parseWellKnown } from "./address.ts";
import { Book, nameOfPerson } from "./book.ts";
import { decode, encode } from "./documents.ts";
import type { Person } from "./model.ts";
import { unpack } from "./pack.ts";
import { verificationWords } from "./words.ts";

const FILE = new URL("../../../tests/vectors/chat.json", import.meta.url);
const TIME = 1_700_000_000_000;
const PEER = "their peer";

type Data = { readonly [member: string]: unknown };

interface Step {
  readonly at: number;
  readonly document?: Data;
  readonly peer?: number;
  readonly say?: string;
  readonly as?: string;
  readonly stored?: string;
  readonly delivered?: string;
  readonly read?: true;
}

interface Vectors {
  readonly message: string;
  readonly me: string;
  readonly them: string;
  readonly documents: readonly { readonly name: string; readonly document: Data; readonly means: Data }[];
  readonly dropped: readonly { readonly name: string; readonly document: Data; readonly code: string }[];
  readonly words: readonly { readonly a: string; readonly b: string; readonly words: string }[];
  readonly links: readonly (Data & {
    readonly text: string;
    readonly written: string;
    readonly refused?: true;
  })[];
  readonly wellKnown: readonly (Data & { readonly text: string; readonly refused?: true })[];
  readonly scripts: readonly {
    readonly name: string;
    readonly steps: readonly Step[];
    readonly result: Data;
  }[];
  readonly group: string;
  readonly groups: readonly {
    readonly name: string;
    readonly steps: readonly GroupStep[];
    readonly result: Data;
  }[];
}

/** A step in a group. */
interface GroupStep extends Step {
  readonly by?: string;
  readonly backlog?: true;
  readonly members?: { readonly [identity: string]: Role };
  readonly published?: string;
  readonly excluded?: string;
  readonly whose?: string;
}

// The file comes with the native chat.
run(unpack(readFileSync(FILE)) as Vectors);

function run(vectors: Vectors): void {
  const envelope = { id: vectors.message, time: TIME };

  for (const { name, document, means } of vectors.documents)
    test(`${name} means what the vectors say`, () => {
      const said = decode(document, envelope);
      assert.ok(typeof said === "object", String(said));
      assert.deepEqual(plain(encode(said)), plain(means));
    });

  for (const { name, document, code } of vectors.dropped)
    test(`${name} is dropped as the vectors say`, () => assert.equal(decode(document, envelope), code));

  test("words are those of the vectors", async () => {
    for (const { a, b, words } of vectors.words)
      assert.equal((await verificationWords(a, b)).join(" "), words);
  });

  test("links are read and written as the vectors say", () => {
    for (const { text, refused, identity, name, signalers, written } of vectors.links) {
      if (refused) {
        assert.throws(() => parseAddress(text), text);
        continue;
      }
      const address = parseAddress(text);
      assert.ok(!(address instanceof URL), text);
      assert.deepEqual(
        [address.identity, address.name ?? "", address.signalers],
        [identity, name, signalers],
      );
      assert.equal(linkOf(address), written);
    }
  });

  test("well-known files are read as the vectors say", () => {
    for (const { text, refused, identity, name, signalers } of vectors.wellKnown) {
      const found = parseWellKnown(text);
      assert.equal(found === undefined, refused === true, text);
      if (found)
        assert.deepEqual([found.identity, found.name ?? "", found.signalers], [identity, name, signalers]);
    }
  });

  for (const { name, steps, result } of vectors.scripts)
    test(`${name}: the conversation is that of the vectors`, () =>
      assert.deepEqual(play(vectors, steps), result));

  for (const { name, steps, result } of vectors.groups)
    test(`${name}: the group is that of the vectors`, () =>
      assert.deepEqual(playGroup(vectors, steps), result));
}

/** Without members that are undefined. */
const plain = (data: Data): Data =>
  Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));

/** What a conversation looks like after some steps. */
function play({ me, them }: Vectors, steps: readonly Step[]): Data {
  const book = new Book(me, "my peer");
  const room = "0".repeat(32);
  const contact = { chat: 1, kind: "contact", id: "f".repeat(32), sent: 0, n: 1, name: "T", room };
  book.take(them, PEER, { id: "f".repeat(64), time: 0 }, contact, 0);
  const person = book.person(them);
  assert.ok(person);
  book.accept(person, "M", 0);
  const names = new Map<string, string>();
  let now = 0;
  for (const { at, document, peer = 1, say, as, stored, delivered, read } of steps) {
    now = at;
    const named = (name: string) => [...names].find(([, other]) => other === name)?.[0] ?? name;
    if (document) {
      const data = Object.fromEntries(
        Object.entries(document).map(([member, value]) => [
          member,
          typeof value === "string" ? named(value) : value,
        ]),
      );
      const n = typeof document["n"] === "number" ? document["n"] : 0;
      // A message without an id of its own has that of the second document in the vectors.
      const id = (n === 0 ? "02" : "66").repeat(32);
      book.take(them, `${PEER} ${peer}`, { id, time: at }, data, at);
    }
    if (say !== undefined && as !== undefined) names.set(book.write(person, say, at).id, as);
    if (stored !== undefined) book.progress(person, named(stored), "stored", { core: stored });
    if (delivered !== undefined) book.progress(person, named(delivered), "delivered");
    if (read) book.see(person, true);
  }
  return { items: itemsOf(book, person, names), unread: person.unread, typing: book.isTyping(person, now) };
}

/** Lines as they are in the file; what was written here by the names that it has there. */
function itemsOf(book: Book, person: Person, names: ReadonlyMap<string, string>): Data[] {
  return book.lines(person).map((line) => {
    const { own, theirs, others = {} } = line.reactions;
    const all = [
      [book.identity, own?.emoji],
      [person.identity, theirs?.emoji],
      ...Object.entries(others).map(([who, { emoji }]) => [who, emoji]),
    ];
    const reactions = Object.fromEntries(all.filter(([, emoji]) => emoji));
    return plain({
      author: book.authorOf(person, line),
      id: names.get(line.id) ?? line.id,
      text: line.text,
      time: line.time,
      edited: line.edited && !line.deleted ? true : undefined,
      deleted: line.deleted,
      state: line.state,
      reactions: Object.keys(reactions).length > 0 ? reactions : undefined,
      reply: line.reply && { author: line.replyTo, id: names.get(line.reply) ?? line.reply },
    });
  });
}

/** What a group looks like after some steps. */
function playGroup({ me, group: key }: Vectors, steps: readonly GroupStep[]): Data {
  const book = new Book(me, "my peer");
  const group = book.join(key, "Friends", "weft:z", 0);
  const names = new Map<string, string>();
  for (const [count, step] of steps.entries()) {
    const { at, by, backlog = false, document, members, say, as, published, excluded, whose, read } = step;
    const named = (name: string) => [...names].find(([, other]) => other === name)?.[0] ?? name;
    if (by !== undefined && document) {
      const data = Object.fromEntries(
        Object.entries(document).map(([member, value]) => [
          member,
          typeof value === "string" ? named(value) : value,
        ]),
      );
      const id = (count + 100).toString(16).repeat(32);
      book.takeIn(group, { author: by, feed: `${by}/1`, id, time: at, backlog }, data, at);
    }
    if (members)
      book.members(
        group,
        Object.entries(members).map(([identity, role]) => ({ identity, role })),
      );
    if (say !== undefined && as !== undefined) names.set(book.write(group, say, at).id, as);
    if (published !== undefined) book.progress(group, named(published), "published");
    if (excluded !== undefined) book.excluded(group, excluded, whose);
    if (read) book.see(group, true);
  }
  const { state, why, left, members } = group.group ?? assert.fail("no group");
  return {
    name: nameOfPerson(group),
    standing: state === "out" ? why : state,
    left: Object.keys(members).filter((who) => who in left),
    items: itemsOf(book, group, names),
    unread: group.unread,
  };
}
