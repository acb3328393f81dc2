import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { Message, Weft } from "weft-mesh";
import { type Attachment, BOUNDS } from "./documents.ts";
import { Files } from "./files.ts";
import type { Person } from "./model.ts";
import type { Vault } from "./vault.ts";

mock.timers.enable({ apis: ["setTimeout", "Date"] });

const GROUP = { identity: "group:friends", standing: "group", group: {} } as unknown as Person;
const ADA = { identity: "ada", standing: "contact" } as unknown as Person;

/** What is stored, as the vault does it, in memory. */
class Shelf {
  readonly records = new Map<string, unknown>();

  async put(entries: readonly (readonly [string, unknown])[]): Promise<void> {
    for (const [name, value] of entries)
      if (value === undefined) this.records.delete(name);
      else this.records.set(name, structuredClone(value));
  }
  async names(prefix: string): Promise<string[]> {
    return [...this.records.keys()].filter((name) => name.startsWith(prefix));
  }
  async all(prefix: string): Promise<unknown[]> {
    return (await this.names(prefix)).map((name) => structuredClone(this.records.get(name)));
  }
  async bytes(name: string): Promise<Uint8Array | undefined> {
    return this.records.get(name) as Uint8Array | undefined;
  }
  async remove(prefix: string): Promise<void> {
    for (const name of await this.names(prefix)) this.records.delete(name);
  }
}

type Ask = (message: Partial<Message>) => Promise<{ readonly data: Uint8Array }>;

/** Files of one who is in a group, in whose party each peer answers with what it is given here. */
class Desk {
  files!: Files;
  present: string[] = [];
  readonly members = new Set(["ada", "ben", "cyr"]);
  /** Hashes that texts of the group have. */
  readonly said = new Set<string>();
  readonly asked: string[] = [];
  readonly answers = new Map<string, (at: number) => Uint8Array | undefined>();
  #answer: Ask | undefined;

  static async open(shelf = new Shelf()): Promise<Desk> {
    const desk = new Desk();
    const weft = {
      onRequest: (answer: Ask) => {
        desk.#answer = answer;
      },
      request: async (who: string, { of, at }: { of: string; at: number }) => {
        desk.asked.push(who);
        const data = desk.answers.get(who)?.(at);
        if (data === undefined) throw new Error("gone");
        return { of, at, data };
      },
    };
    desk.files = await Files.open(shelf as unknown as Vault, weft as unknown as Weft, () => {}, {
      present: () => desk.present,
      has: async (_, who, hash) => desk.members.has(who) && desk.said.has(hash),
    });
    return desk;
  }

  /** These are there from now on, and what follows from it is done. */
  async meets(...present: string[]): Promise<void> {
    this.present = present;
    this.files.meet(GROUP.identity);
    await this.settles();
  }

  /** Waits until the file is so; hashing has threads of its own, which take their time. */
  async becomes(file: Attachment, state: string): Promise<void> {
    const end = performance.now() + 10_000;
    while (this.files.shown(file).state !== state) {
      assert.ok(performance.now() < end, `${this.files.shown(file).state} instead of ${state}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.settles();
  }

  async settles(): Promise<void> {
    for (let turn = 0; turn < 500; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async gives(from: string, of: string, at = 0): Promise<boolean> {
    const data = { chat: 1, kind: "piece", of, at };
    const given = this.#answer?.({ from, data } as unknown as Message);
    return (await given?.then(({ data }) => data.length > 0).catch(() => false)) ?? false;
  }
}

const BYTES = new Uint8Array(3 * BOUNDS.piece + 5).map((_, at) => at / 300);
const piece = (at: number) => BYTES.slice(at * BOUNDS.piece, (at + 1) * BOUNDS.piece);

/** The file, as texts name it. */
async function attachment(size = BYTES.length) {
  const digest = await crypto.subtle.digest("SHA-256", BYTES);
  return { name: "a.bin", type: "a/b", size, hash: Buffer.from(digest).toString("hex") };
}

test("a file of a group is fetched from another member while its author is away, and given to members only", async () => {
  const desk = await Desk.open();
  const file = await attachment();
  desk.answers.set("cyr", piece);
  await desk.files.expect(GROUP, [file], "ada");
  desk.said.add(file.hash);
  await desk.meets("ben", "cyr");
  await desk.becomes(file, "whole");
  assert.ok(!desk.asked.includes("ada"));
  assert.deepEqual([await desk.gives("ben", file.hash), await desk.gives("eve", file.hash)], [true, false]);
  desk.members.delete("ben");
  assert.equal(await desk.gives("ben", file.hash), false, "removed");
  desk.said.clear();
  assert.equal(await desk.gives("cyr", file.hash), false, "no text of the group has it any more");
});

test("a file of a group is gone when its author says so and nobody else is left, and it waits otherwise", async () => {
  const desk = await Desk.open();
  const file = await attachment();
  await desk.files.expect(GROUP, [file], "ada");
  await desk.meets("ben");
  assert.deepEqual([desk.files.shown(file).state, desk.files.shown(file).wanted], ["parts", true]);
  const before = desk.asked.length;
  mock.timers.tick(29_999);
  await desk.settles();
  assert.equal(desk.asked.length, before);
  mock.timers.tick(1);
  await desk.settles();
  assert.ok(desk.asked.length > before, "Ben may have it by now");
  await desk.meets("ada", "ben");
  await desk.becomes(file, "gone");
  desk.answers.set("cyr", piece);
  await desk.files.want(file, true);
  await desk.meets("ada", "cyr");
  await desk.becomes(file, "whole");
});

test("after damage the author alone is asked, and only when somebody wants it; also after a reload", async () => {
  const shelf = new Shelf();
  let desk = await Desk.open(shelf);
  const file = await attachment();
  desk.answers.set("ben", (at) => piece(at).fill(1));
  await desk.files.expect(GROUP, [file], "ada");
  await desk.meets("ben");
  await desk.becomes(file, "damaged");
  assert.deepEqual(await shelf.names("piece/"), []);
  desk = await Desk.open(shelf);
  for (const who of ["ada", "ben"]) desk.answers.set(who, piece);
  await desk.meets("ada", "ben");
  assert.deepEqual(desk.asked, []);
  await desk.meets("ben");
  await desk.files.want(file, true);
  await desk.meets("ben", "cyr");
  assert.deepEqual(desk.asked, []);
  await desk.meets("ada", "ben");
  await desk.becomes(file, "whole");
  assert.deepEqual(new Set(desk.asked), new Set(["ada"]));
});

test("what somebody sent oneself alone is not given to a group in which its hash is named", async () => {
  const desk = await Desk.open();
  const file = await attachment();
  desk.answers.set("ada", piece);
  await desk.files.expect(ADA, [file]);
  await desk.meets();
  await desk.becomes(file, "whole");
  await desk.files.expect(GROUP, [file], "ben");
  desk.said.add(file.hash);
  assert.equal(await desk.gives("ben", file.hash), false);
  // Nor what one has oneself, until one gives it.
  const own = await Desk.open();
  await own.files.expect(GROUP, [file], "ben");
  own.said.add(file.hash);
  await own.files.adopt(new File([BYTES], "a.bin"), () => {});
  assert.equal(await own.gives("ben", file.hash), false);
  await own.files.give(GROUP, [file]);
  assert.equal(await own.gives("ben", file.hash), true);
});

test("larger files of a group than 512 KiB are fetched when somebody asks", async () => {
  const desk = await Desk.open();
  const large = await attachment(BOUNDS.piece * 8 + 1);
  await desk.files.expect(GROUP, [large], "ada");
  await desk.meets("ada");
  assert.deepEqual([desk.files.shown(large).wanted, desk.asked], [false, []]);
  await desk.files.want(large, true);
  assert.equal(desk.asked[0], "ada");
});

test("what was not compared yet is not whole, so that nobody is given what somebody has made up", async () => {
  const [shelf, states, file] = [new Shelf(), new Set<string>(), await attachment()];
  const desk = await Desk.open(shelf);
  const read = shelf.bytes.bind(shelf);
  shelf.bytes = async (name) => {
    states.add(desk.files.shown(file).state);
    return await read(name);
  };
  desk.answers.set("ben", (at) => piece(at).fill(1));
  await desk.files.expect(GROUP, [file], "ada");
  await desk.meets("ben");
  await desk.becomes(file, "damaged");
  assert.deepEqual([...states], ["parts"]);
});

test("a file that a contact sends comes, whatever size a group has named for its hash before", async () => {
  const desk = await Desk.open();
  const file = await attachment();
  await desk.files.expect(GROUP, [{ ...file, size: 5 }], "ben");
  desk.answers.set("ada", piece);
  await desk.files.expect(ADA, [file]);
  await desk.becomes(file, "whole");
  const size = BYTES.length;
  assert.deepEqual(desk.files.shown(file), { state: "whole", wanted: false, size, here: size });
});

test("pieces that come before their text are kept for it, eight of one contact and no more", async () => {
  const desk = await Desk.open();
  const file = await attachment();
  for (let at = 0; at < 4; at += 1) await desk.files.take("ada", file.hash, at, piece(at));
  assert.equal(desk.files.shown(file).state, "none");
  // Others do not crowd them out, and theirs are not taken for hers.
  for (let at = 0; at < 20; at += 1) await desk.files.take("ben", "ee".repeat(32), at, piece(0));
  await desk.files.take("ben", file.hash, 1, piece(0));
  await desk.files.expect(ADA, [file]);
  await desk.becomes(file, "whole");
  assert.deepEqual(desk.asked, [], "all is there");

  const other = await Desk.open();
  for (let at = 0; at < 4; at += 1) await other.files.take("ada", file.hash, at, piece(at));
  for (let at = 0; at < 6; at += 1) await other.files.take("ada", "ee".repeat(32), at, piece(0));
  await other.files.expect(ADA, [file]);
  assert.equal(other.files.shown(file).here, 2 * BOUNDS.piece, "the latest eight");
});
