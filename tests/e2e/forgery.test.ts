/**
 * Publications that are forged, replayed or broken, given to pages of Chromium by somebody who speaks the protocol by hand
 * and is a full member: it has the party's key and true publications of others.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type TestContext, test } from "node:test";
import { Signaler } from "../federation/signaler.ts";
import { encode, fields } from "../federation/wire/cbor.ts";
import { isSignedBy, Key, numberAt, parse } from "../federation/wire/keys.ts";
import { Lab, type Peer } from "./browser.ts";
import { chunk, Frame, Intruder, openParty, proof, Signal } from "./intruder.ts";
import { type Bundle, frame, lastId, read, signed, write } from "./publication.ts";

const NAME = "the party";
const PARTY = openParty(NAME);
const SECOND_NAME = "another party";
const SECOND = openParty(SECOND_NAME);
const NOTHING = Buffer.alloc(32);
const MISBEHAVED = 3;
/** Longest message over a link, bytes. */
const LINK_MESSAGE = 16 * 1024 * 1024;

/** In a page, before its scripts: keeps every message that its data channels get, in base64. */
const TAP = `
  globalThis.heard = [];
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = create.apply(this, args);
    channel.addEventListener("message", ({ data }) => {
      const bytes = new Uint8Array(data);
      heard.push(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
    });
    return channel;
  };
`;

/** A publication as its author's page sent it. */
interface Truth {
  readonly text: string;
  readonly bundle: Uint8Array;
  readonly record: Uint8Array;
}

/** Bundles that are lies; each is tried while the page does not have the truth yet. */
const FORGERIES: Readonly<Record<string, (truth: Truth, attacker: Intruder) => Forgery>> = {
  "a body that was altered after signing": ({ text, bundle, record }) => {
    return { bundle: write(reworded(read(bundle), text, text.replace("true", "fake"))), record };
  },
  "a signature by another key": ({ bundle, record }, { client }) => {
    return { bundle: write(signed(read(bundle), client.key)), record };
  },
  "a signature of another publication": ({ bundle, record }) => {
    return { bundle: write({ ...read(bundle), signature: randomBytes(64) }), record };
  },
  "another number in the feed": ({ bundle, record }) => {
    const told = read(bundle);
    return { bundle: write({ ...told, first: told.first + 1 }), record };
  },
  "a number so high that nothing true would come after it": ({ bundle, record }) => {
    return { bundle: write({ ...read(bundle), first: Number.MAX_SAFE_INTEGER }), record };
  },
  "another time": ({ bundle, record }) => {
    const told = read(bundle);
    return {
      bundle: write({ ...told, entries: told.entries.map(([time, body]) => [time + 1, body]) }),
      record,
    };
  },
  "one's own feed under the author's name": ({ bundle }, attacker) => {
    const own = { ...read(bundle), feed: attacker.id, previous: NOTHING };
    return { bundle: write(signed(own, attacker.client.key)), record: attacker.record() };
  },
  "the author's feed under one's own name, with one's own record": ({ bundle }, attacker) => {
    return { bundle: write({ ...read(bundle), author: attacker.identity.id }), record: attacker.record() };
  },
  "a record by another identity, which says that the feed is the author's": ({ bundle }, attacker) => {
    const told = read(bundle);
    const record = recordOf(told.author, told.feed, attacker.identity);
    return { bundle: write(signed(told, attacker.client.key)), record };
  },
  "a record in which one's own identity claims the author's feed": ({ bundle }, attacker) => {
    const told = read(bundle);
    const record = recordOf(attacker.identity.id, told.feed, attacker.identity);
    return { bundle: write(signed({ ...told, author: attacker.identity.id }, attacker.client.key)), record };
  },
  "a publication of this party moved into another": ({ bundle, record }) => {
    return { bundle: write({ ...read(bundle), discovery: SECOND.discovery }), record };
  },
};

interface Forgery {
  readonly bundle: Uint8Array;
  readonly record: Uint8Array;
}

/** Chunks that are no frame, or more than a frame may be. */
const BROKEN: Readonly<Record<string, (whole: Uint8Array) => readonly Uint8Array[]>> = {
  "a frame that is cut short in its head": (whole) => [chunk(3, 1, whole.subarray(0, 2), 2)],
  "a frame that is cut short before its last byte": (whole) => [
    chunk(3, 1, whole.subarray(0, -1), whole.length - 1),
  ],
  "a chunk that is the last, of a frame that was said to be longer": (whole) => [
    chunk(3, 1, whole, whole.length + 1),
  ],
  "a frame that goes on beyond the length that was said": (whole) => [
    chunk(1, 1, whole.subarray(0, 20), 30),
    chunk(2, 1, whole.subarray(20)),
  ],
  "a frame that is said to have 16 MiB and a byte": (whole) => [chunk(1, 1, whole, LINK_MESSAGE + 1)],
  "more announced than may be in reassembly": (whole) => [
    ...[1, 2, 3].map((number) => chunk(1, number, whole, LINK_MESSAGE)),
  ],
};

test("q12_forged_publications_cost_their_sender_the_link_go_no_further_and_do_not_keep_the_truth_away", async (t) => {
  const swarm = await Swarm.gather(t);
  for (const [what, forge] of Object.entries(FORGERIES)) {
    const truth = await swarm.truth();
    const attacker = await swarm.attacker();
    const { bundle, record } = forge(truth, attacker);
    await attacker.say(frame(bundle, record));
    await swarm.expels(attacker, what);
    await swarm.tells(truth, what);
    await swarm.neverHeard(bundle, what, swarm.far, swarm.other);
  }
  for (const [what, broken] of Object.entries(BROKEN)) {
    const truth = await swarm.truth();
    const attacker = await swarm.attacker();
    await attacker.chunks(...broken(frame(truth.bundle, truth.record)));
    await swarm.expels(attacker, what);
    await swarm.tells(truth, what);
  }
  // A well-formed frame with a document of more than 1 MiB, signed by its true author.
  const truth = await swarm.truth();
  const attacker = await swarm.attacker();
  const large = { ...own(attacker, truth), entries: [[Date.now(), Buffer.alloc(1024 * 1024 + 1)]] as const };
  await attacker.say(frame(write(large), attacker.record()));
  await swarm.expels(attacker, "a document of more than 1 MiB");
  await swarm.tells(truth, "a document of more than 1 MiB");
  await swarm.goesOn();
});

test("q12_replayed_and_misplaced_publications_are_delivered_at_most_once_and_the_swarm_goes_on", async (t) => {
  const swarm = await Swarm.gather(t);
  const { near, other, far } = swarm;
  const truth = await swarm.truth();
  await swarm.tells(truth, "the first");
  const attacker = await swarm.attacker(other);
  const beside = await attacker.beside(swarm.lab, other);
  await enter(beside);

  // The same bytes again, to both, with and without the record, with other hops and another age.
  const again = [
    frame(truth.bundle, truth.record),
    frame(truth.bundle),
    frame(truth.bundle, truth.record, 31),
  ];
  const old = encode([Frame.Publish, fields([0, 0], [1, 86_400_000], [2, truth.record], [3, truth.bundle])]);
  for (const way of [attacker, beside]) await way.say(...again, old, ...again);

  // A true publication for a party that the sender has not proved, though the page is in it; and for one of nobody.
  const body = own(attacker, truth);
  const elsewhere = [SECOND.discovery, randomBytes(32)].map((discovery) =>
    write(signed({ ...body, discovery }, attacker.client.key)),
  );
  for (const way of [attacker, beside]) {
    await way.say(...elsewhere.map((bundle) => frame(bundle, attacker.record())));
  }
  // A publication of a feed of which nobody has a record.
  const [stranger, someone] = [new Key(), new Key()];
  const unknown = signed({ ...body, feed: stranger.id, author: someone.id }, stranger);
  await attacker.say(frame(write(unknown)));

  // One that says it has come as far as can be: whoever gets it has it, once, and nobody falls over.
  const exhausted = signed(body, attacker.client.key);
  await attacker.say(
    frame(write(exhausted), attacker.record(), 255),
    frame(write(exhausted), undefined, 255),
  );
  const mine = (rows: Awaited<ReturnType<Peer["rows"]>>) =>
    rows.filter(({ feed }) => Buffer.from(parse(feed)).equals(attacker.id));
  await near.until(`mesh.subscriptions[${JSON.stringify(NAME)}].got.length === 2`);
  assert.equal(mine(await near.rows(NAME)).length, 1);

  // It has kept to the form, so it is still a neighbour, and what it publishes next reaches everybody.
  const next = signed(
    {
      ...body,
      first: body.first + 1,
      previous: lastId(exhausted),
      entries: [[Date.now(), swarm.word(truth, "mine")]],
    },
    attacker.client.key,
  );
  await attacker.say(frame(write(next), attacker.record()));
  for (const page of [near, other, far]) {
    await page.until(
      `mesh.subscriptions[${JSON.stringify(NAME)}].got.some(({ data }) => data.text.startsWith("mine"))`,
    );
    const rows = mine(await page.rows(NAME));
    assert.deepEqual(new Set(rows.map(({ id }) => id)).size, rows.length, "nothing twice");
  }
  await swarm.goesOn();
  for (const page of [near, other, far]) {
    const rows = await page.rows(NAME);
    assert.equal(rows.filter(({ data }) => data.text === truth.text).length, 1, "the truth, once");
    assert.equal((await page.rows(SECOND_NAME)).length, 0, "nothing in the other party");
  }
  for (const page of [near, other]) {
    assert.ok((await page.look<number>("mesh.weft.stats().duplicates")) >= 7, "the replays have arrived");
    assert.deepEqual(await page.look("mesh.seen.warnings"), [], "nobody is accused");
  }
  for (const bundle of elsewhere) await swarm.neverHeard(bundle, "another party", far);
});

/** A record that an identity owns a peer, as from in a minute; signed by who may be neither. */
function recordOf(identity: Uint8Array, peer: Uint8Array, signer: Key): Uint8Array {
  const issued = Date.now() + 60_000;
  const claims = [identity, peer, randomBytes(32), "", issued, issued + 600_000] as const;
  const body = encode(fields(...claims.map((claim, key) => [key, claim] as const)));
  return encode([body, signer.sign("weft/v1/peer-record", [body])]);
}

/** A publication that an attacker may sign: its own, the first of its feed. */
function own(attacker: Intruder, truth: Truth): Bundle {
  const told = read(truth.bundle);
  const { discovery, entries, signature } = reworded(told, truth.text, truth.text.replace("true", "ours"));
  const first = Date.now() * 1000;
  return {
    discovery,
    entries,
    signature,
    first,
    previous: NOTHING,
    feed: attacker.id,
    author: attacker.identity.id,
  };
}

/** The same with other words of the same length in its documents. */
function reworded(bundle: Bundle, from: string, to: string): Bundle {
  assert.equal(from.length, to.length);
  const entries = bundle.entries.map(([time, body]) => [time, swap(body, from, to)] as const);
  return { ...bundle, entries };
}

function swap(body: Uint8Array, from: string, to: string): Uint8Array {
  const at = Buffer.from(body).indexOf(from);
  assert.ok(at > 0, `${from} is in the document`);
  const altered = Buffer.from(body);
  altered.write(to, at);
  return altered;
}

/** Makes the channel, proves the party and waits until the page takes it for a neighbour. */
async function enter(intruder: Intruder, ...more: readonly (typeof PARTY)[]): Promise<void> {
  await intruder.open();
  const proofs = [PARTY, ...more].map(
    ({ key, discovery }) => [discovery, proof(key, intruder.transcript, intruder.id)] as const,
  );
  await intruder.say(intruder.hello(...proofs));
  await intruder.heard(Frame.Want);
}

/**
 * Four pages: `near` is linked with `other` and with `far`, these two not with each other; the publications of `author`
 * travel by hand, so that a lie can be sooner than the truth.
 */
class Swarm {
  #count = 0;
  #record: Uint8Array | undefined;

  private constructor(
    readonly url: string,
    readonly lab: Lab,
    readonly near: Peer,
    readonly other: Peer,
    readonly far: Peer,
    readonly author: Peer,
    private readonly toNear: Intruder,
    private readonly fromAuthor: Intruder,
  ) {}

  static async gather(t: TestContext): Promise<Swarm> {
    const { url } = await Signaler.start(t);
    const lab = await Lab.open(t);
    const start = async () => {
      const context = await lab.browser.newContext();
      await context.addInitScript(TAP);
      return await (await lab.page(context)).start({ signalers: [url] });
    };
    const [near, other, far, author] = [await start(), await start(), await start(), await start()];
    for (const [one, another] of [
      [author, near],
      [author, other],
      [author, far],
      [other, far],
    ] as const) {
      await one.look(`mesh.weft.block(${JSON.stringify(another.id)})`);
      await another.look(`mesh.weft.block(${JSON.stringify(one.id)})`);
    }
    for (const page of [near, other, far, author]) {
      for (const name of [NAME, SECOND_NAME]) {
        if (page === author && name !== NAME) continue;
        await page.join(name);
        await page.subscribe(name, {});
      }
    }
    await near.linked(other, far);
    const toNear = await Intruder.join(lab, url, PARTY.discovery, near, author);
    await enter(toNear);
    const fromAuthor = await toNear.beside(lab, author);
    await enter(fromAuthor);
    return new Swarm(url, lab, near, other, far, author, toNear, fromAuthor);
  }

  /** Something that the author publishes, which no other page has. */
  async truth(): Promise<Truth> {
    this.#count += 1;
    const text = `true word ${String(this.#count).padStart(3, "0")}`;
    await this.author.publish(NAME, { text });
    // Whatever way publications take, who asks for everything gets it.
    await this.fromAuthor.say(this.fromAuthor.want());
    const { body } = await this.fromAuthor.heard(Frame.Publish, text);
    const [record, bundle] = [body.get(2), body.get(3)];
    if (record instanceof Uint8Array) this.#record = record;
    assert.ok(bundle instanceof Uint8Array && this.#record !== undefined);
    const told = read(bundle);
    assert.deepEqual(Buffer.from(write(told)), Buffer.from(bundle));
    assert.ok(isSignedBy(told.feed, "weft/v1/publication", [lastId(told)], told.signature));
    return { text, bundle, record: this.#record };
  }

  /** Somebody new, at the page that is near; its key is lower than that of others if it has to be. */
  async attacker(...others: readonly Peer[]): Promise<Intruder> {
    const attacker = await Intruder.join(this.lab, this.url, PARTY.discovery, this.near, ...others);
    await enter(attacker, ...(others.length === 0 ? [SECOND] : []));
    return attacker;
  }

  /** A document like that of a publication, with other words. */
  word(truth: Truth, word: string): Uint8Array {
    const [entry] = read(truth.bundle).entries;
    return swap(entry?.[1] ?? NOTHING, truth.text, word.padEnd(truth.text.length));
  }

  /** The page says why, closes the link, reports it, and does not take the peer back. */
  async expels(attacker: Intruder, what: string): Promise<void> {
    const bye = await attacker.heard(Frame.Bye);
    assert.equal(numberAt(bye.body, 0), MISBEHAVED, what);
    await attacker.closed();
    await this.near.until(`mesh.seen.warnings.length > 0`);
    const warnings = await this.near.look<{ code: string }[]>("mesh.seen.warnings.splice(0)");
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ["peer-misbehaved"],
      what,
    );
    const session = randomBytes(16);
    await attacker.put(attacker.offer("v=0", [], { session }));
    assert.equal((await attacker.answer(session)).kind, Signal.Refuse, what);
    attacker.client.socket.destroy();
    await attacker.page.close();
  }

  /** The truth comes, and everybody has it, once and at last, and nothing else. */
  async tells(truth: Truth, what: string): Promise<void> {
    const pages = [this.near, this.other, this.far];
    const before = await Promise.all(pages.map((page) => page.rows(NAME)));
    assert.ok(
      !before.flat().some(({ data }) => data.text === truth.text),
      `${what}: nothing before the truth`,
    );
    await this.toNear.say(frame(truth.bundle, truth.record));
    for (const [n, page] of pages.entries()) {
      const count = (before[n]?.length ?? 0) + 1;
      const rows = await page.got(NAME, count);
      assert.equal(rows.length, count, what);
      assert.deepEqual([rows.at(-1)?.data, rows.at(-1)?.feed], [{ text: truth.text }, this.author.id], what);
    }
  }

  /** These bytes never came to a page that is not a neighbour of who sent them, and led to nothing. */
  async neverHeard(bundle: Uint8Array, what: string, ...pages: readonly Peer[]): Promise<void> {
    for (const page of pages) {
      const heard = (await page.look<string[]>("heard")).map((message) => Buffer.from(message, "base64"));
      assert.ok(heard.length > 0);
      assert.ok(!heard.some((message) => message.includes(Buffer.from(bundle))), what);
      assert.equal(await page.look("mesh.weft.stats().forged"), 0, what);
    }
    for (const page of [this.near, this.other, this.far]) {
      assert.equal((await page.rows(SECOND_NAME)).length, 0, what);
    }
  }

  /** The honest links are there, and documents go from everybody to everybody. */
  async goesOn(): Promise<void> {
    for (const [from, ...to] of [
      [this.near, this.other, this.far],
      [this.other, this.near, this.far],
      [this.far, this.near, this.other],
    ] as const) {
      const text = `from ${from.id}`;
      await from.publish(NAME, { text });
      const got = `mesh.subscriptions[${JSON.stringify(NAME)}].got.filter(({ data }) => data.text === "${text}")`;
      for (const page of to) {
        await page.until(`${got}.length > 0`);
        assert.equal((await page.look<unknown[]>(got)).length, 1);
      }
    }
    await this.tells(await this.truth(), "in the end");
    const links = await this.near.look<string[]>("mesh.openLinks()");
    for (const { id } of [this.other, this.far]) assert.ok(links.includes(id), "they are still linked");
  }
}
